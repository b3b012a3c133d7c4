"""plan: everything that a release would do, as one value that survives in a file; and whether it still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from relman.config import Config
from relman.errors import PartlyDone, StalePlan
from relman.model.changelog import Changelog
from relman.model.gates import Override
from relman.model.oci import Platform
from relman.model.plan import Action, GateResult, Plan, PlannedVariant, Stage, ordered
from relman.model.record import Receipt, Record, RecordedVariant, RecordState
from relman.model.release import Candidate, Release
from relman.model.rollback import Rollback
from relman.model.streams import SourceMoved, Stream
from relman.registry.protocol import RegistryReader
from relman.walk.acting import UNFINISHED
from relman.walk.parallel import in_parallel


def make_plan(
    release: Release,
    changelog: Changelog,
    gates: Sequence[GateResult],
    actions: Iterable[Action],
    notes: str,
    *,
    config: Config,
    changed: bool,
    now: datetime,
    overrides: Sequence[Override] = (),
    given: Mapping[str, Mapping[Platform, str]] = MappingProxyType({}),
    rollback: Rollback | None = None,
) -> Plan:
    """The plan of ``release``. One that changes nothing has no actions. ``given`` are SBOMs by variant and platform."""
    return Plan(
        id=release.id,
        project=release.project,
        stream=release.stream,
        version=release.version,
        previous=release.previous,
        previous_id=release.previous_id,
        created=now,
        config=config.pinned,
        changed=changed,
        variants=tuple(
            _planned(candidate, release, given.get(candidate.variant.name, {})) for candidate in release.candidates
        ),
        gates=tuple(gates),
        actions=ordered(actions) if changed else (),
        assumed=release.assumed,
        changelog=changelog,
        notes=notes,
        overrides=tuple(overrides),
        rollback=rollback,
    )


def _planned(candidate: Candidate, release: Release, sboms: Mapping[Platform, str]) -> PlannedVariant:
    return PlannedVariant(
        name=candidate.variant.name,
        reference=candidate.place.repository.digest(candidate.image.digest),
        digest=candidate.image.digest,
        platforms=tuple(part.platform for part in candidate.image.platforms),
        revision=candidate.revision,
        previous_digest=candidate.follows.digest if candidate.follows else None,
        source=candidate.image.reference if release.source else None,
        tags={move.reference.tag or "": move.before for move in candidate.moves},
        sboms=sboms,
    )


def record_of(plan: Plan, plan_digest: str) -> Record:
    """The record that a plan begins: its intent."""
    from relman.model.oci import Digest

    return Record(
        id=plan.id,
        project=plan.project,
        stream=plan.stream,
        version=plan.version,
        previous=plan.previous_id,
        state=RecordState.INTENDED,
        created=plan.created,
        finished=None,
        plan=Digest(plan_digest),
        variants=tuple(
            RecordedVariant(
                name=variant.name,
                reference=str(variant.reference.repository),
                digest=variant.digest,
                previous_digest=variant.previous_digest,
                platforms=variant.platforms,
                revision=variant.revision,
            )
            for variant in plan.variants
        ),
        gates=plan.gates,
        overrides=plan.overrides,
        rollback=plan.rollback,
    )


def check_fresh(plan: Plan, config: Config, reader: RegistryReader, known: Sequence[Receipt]) -> None:
    """Whether what the plan assumed still holds, just before acting. Raises `StalePlan` that says what has moved.

    A tag may hold what it held when the plan was made, or what the plan gives it. A source that moved on matters only
    where the stream says so and nothing was written yet.
    """
    if plan.config != config.pinned:
        raise StalePlan(
            "the configuration of project, registry, variants or streams has changed since the plan was made",
            hint=f"make a new plan: `relman plan {plan.stream}`",
        )
    touched = {receipt.key for receipt in known if receipt.ours}
    begun = any(action.key in touched for action in plan.actions if action.stage <= Stage.SEAL)
    refuses = config.stream(plan.stream).on_source_moved is SourceMoved.REFUSE
    tags = [variant.reference.repository.tag(tag) for variant in plan.variants for tag in variant.tags]
    holding = dict(zip(tags, in_parallel(reader.resolve, tags), strict=True))
    for variant in plan.variants:
        repository = variant.reference.repository
        for tag, before in variant.tags.items():
            found = holding[repository.tag(tag)]
            held = found.digest if found else None
            if held not in (before, variant.digest):
                moved = (
                    f"`{repository}:{tag}` held {before.short if before else 'nothing'} when the plan was made, and "
                    f"holds {held.short if held else 'nothing'} now"
                )
                if begun:
                    raise PartlyDone(
                        f"`{plan.version}` is partly done, and somebody moved a tag: {moved}",
                        hint=f"let it hold {variant.digest} again, then `relman resume {plan.id}`",
                    )
                raise StalePlan(moved, hint=f"make a new plan: `relman plan {plan.stream}`")
        if refuses and not begun and variant.source and variant.source.tag:
            found = reader.resolve(variant.source.repository.tag(variant.source.tag))
            if found is None or found.digest != variant.digest:
                now = found.digest.short if found else "nothing"
                raise StalePlan(
                    f"the source `{variant.source.repository}:{variant.source.tag}` moved on from "
                    f'{variant.digest.short} to {now}, and `{plan.stream}` has on_source_moved = "refuse"',
                    hint=f"make a new plan: `relman plan {plan.stream}`",
                )


def moved_in_part(plan: Plan, known: Sequence[Receipt]) -> bool:
    """Whether some, but not all, of the tags of an unfinished release have moved, or may have."""
    touched = {receipt.key for receipt in known if receipt.ours}
    tags = [action.key for action in plan.actions if action.stage in (Stage.PROMOTE, Stage.SEAL)]
    settled = {receipt.key for receipt in known if receipt.settled}
    return any(key in touched for key in tags) and not all(key in settled for key in tags)


def refuse_half_done(stream: Stream, records: Iterable[Record], plan_of: Callable[[Record], Plan | None]) -> None:
    """Raise `PartlyDone` where one of the ``records`` of ``stream`` has moved some of its tags and not all."""
    for record in records:
        plan = plan_of(record) if record.state in UNFINISHED else None
        if plan and moved_in_part(plan, record.receipts):
            raise PartlyDone(
                f"the tags of `{stream.name}` are partly moved: `{record.version}` is not finished",
                hint=f"finish it: `relman resume {record.id}`",
            )
