"""What a plan says of its images has to hold together, before anything is asked or done: anybody can edit a file.

The gates answer for the images that a plan names, so that nothing else may get its tags; and people approve a release
by its id, so that it has to be the id of these images.
"""

from __future__ import annotations

from msgspec.structs import replace

from relman.config import Config
from relman.errors import Malformed, StalePlan
from relman.model.oci import Platform, parse_reference
from relman.model.plan import Action, Plan, PlannedVariant, Stage, action_key
from relman.model.release import Release, TagMove, release_id
from relman.model.rollback import rollback_id


def require_whole(plan: Plan, config: Config) -> None:
    """Raises `Malformed` where id, images and tags do not belong together, `StalePlan` where nothing is verified that
    `[signature]` asks for.
    """
    faults = [*_of_images(plan, config), *(fault for action in plan.actions if (fault := _of_action(plan, action)))]
    if faults:
        raise Malformed(
            f"the plan of `{plan.version}` does not add up: {faults[0]}",
            hint=f"make it again: `relman plan {plan.stream}`",
        )
    if config.signature is not None:
        planned = {action.key for action in plan.actions if action.kind == "verify"}
        for variant in plan.variants:
            tagged = any(action.kind == "tag" and _is_of(action, variant) for action in plan.actions)
            if tagged and action_key(plan.id, f"verify:{variant.name}") not in planned:
                raise StalePlan(
                    f"the plan would move tags of `{variant.name}` without verifying the signatures that [signature] "
                    "asks for",
                    hint=f"make a new plan: `relman plan {plan.stream}`",
                )


def with_moves(release: Release, plan: Plan) -> Release:
    """A plan's release with the tags that the plan moves, so that gates are asked what they were asked before."""
    moves: dict[str, tuple[TagMove, ...]] = {}
    for variant in plan.variants:
        found = [action for action in plan.actions if action.kind == "tag" and _is_of(action, variant)]
        moves[variant.name] = tuple(
            TagMove(reference, variant.tags[reference.tag or ""], action.stage is Stage.SEAL)
            for action in found
            for reference in (parse_reference(action.text("reference")),)
        )
    candidates = tuple(replace(one, moves=moves[one.variant.name]) for one in release.candidates)
    return replace(release, candidates=candidates)


def _of_images(plan: Plan, config: Config) -> list[str]:
    digests = [(one.name, platform, one.digest) for one in plan.variants for platform in _compared(one, config)]
    if plan.rollback:
        expected = rollback_id(plan.project, plan.stream, digests, plan.rollback.of)
    else:
        expected = release_id(plan.project, plan.stream, digests, plan.previous_id)
    found = [f"its id is `{plan.id}`, and that of these images is `{expected}`"] if expected != plan.id else []
    return found + [
        f"the image of `{one.name}` is {one.digest.short}, and comes from `{reference}`"
        for one in plan.variants
        for reference in (one.reference, one.source)
        if reference is not None and reference.digest != one.digest
    ]


def _compared(variant: PlannedVariant, config: Config) -> tuple[Platform, ...]:
    """The platforms that a release's id is made of: those that are demanded and there, else all."""
    own = next((one for one in config.variants if one.name == variant.name), None)
    wanted = config.platforms_of(own) if own else ()
    return tuple(platform for platform in wanted if platform in variant.platforms) or variant.platforms


def _of_action(plan: Plan, action: Action) -> str | None:
    """What is wrong with a tag, or with a copy of an image; `None` for all else."""
    if action.kind not in ("tag", "copy", "evidence"):
        return None
    variant = next((one for one in plan.variants if _is_of(action, one)), None)
    if variant is None:
        return f"`{action.target}` is about no image of it"
    try:
        if action.kind != "tag":
            source, target = parse_reference(action.text("from")), action.text("to")
            right = source.digest == variant.digest and target == str(variant.reference.repository)
            return None if right else f"`{action.target}` copies `{source}` to `{target}`"
        reference, digest = parse_reference(action.text("reference")), action.text("digest")
    except ValueError as error:
        return str(error)
    tag = reference.tag or ""
    if reference.repository != variant.reference.repository or tag not in variant.tags:
        return f"`{action.target}` would move `{reference}`, which is no tag of `{variant.name}`"
    if digest != variant.digest:
        return f"`{reference}` would get {digest[:19]}, and the image of `{variant.name}` is {variant.digest.short}"
    if action.payload.get("before") != variant.tags[tag]:
        return f"`{reference}` held two things when it was made"
    expected = Stage.SEAL if action.payload.get("dated") else Stage.PROMOTE
    return None if action.stage is expected else f"`{action.target}` is to be done at another stage than tags are"


def _is_of(action: Action, variant: PlannedVariant) -> bool:
    return action.target == f"{action.kind}:{variant.name}" or action.target.startswith(
        f"{action.kind}:{variant.name}:"
    )
