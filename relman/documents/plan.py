"""`relman.plan/1`: what would be done, saved, so that exactly what was reviewed is carried out."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NotRequired

from pydantic import BeforeValidator, Field, TypeAdapter
from typing_extensions import TypedDict

from relman.documents.changelog import changelog_document, changelog_from_document
from relman.documents.gates import (
    GateDocument,
    OverrideDocument,
    gate_document,
    gate_from,
    override_document,
    override_from,
)
from relman.documents.reading import PLAN_LIMIT, canonical, printable, read_json, validated
from relman.documents.record import RollbackDocument, rollback_document, rollback_from
from relman.documents.values import (
    JsonObject,
    Name,
    PlatformText,
    ReferenceText,
    Time,
    parse_rfc3339,
    plain_object,
    rfc3339,
)
from relman.errors import ConfigError, Malformed
from relman.model.oci import Digest, Platform, Reference, parse_reference
from relman.model.plan import Action, Plan, PlannedVariant, Stage, action_key, ordered

PLAN_SCHEMA: Final = "relman.plan/1"


def _stage(value: object) -> object:
    if isinstance(value, str) and value.upper() in Stage.__members__ and value.islower():
        return value
    raise ValueError(f"a stage is one of {', '.join(f'`{stage.name.lower()}`' for stage in Stage)}")


class PlannedVariantDocument(TypedDict):
    """A candidate, pinned; ``tags`` are the stream's with the digest that each held, null where it was not there.

    ``sboms`` is there only where files stood for what is inside: their names by platform.
    """

    name: Name
    reference: ReferenceText
    digest: Digest
    platforms: list[PlatformText]
    revision: str | None
    previous_digest: Digest | None
    source: ReferenceText | None
    tags: dict[str, Digest | None]
    sboms: NotRequired[dict[PlatformText, str]]


class ActionDocument(TypedDict):
    """One effect; ``stage`` by its name, ``needs`` are keys of other actions."""

    kind: Name
    stage: Annotated[Literal["prepare", "promote", "seal", "publish", "announce"], BeforeValidator(_stage)]
    key: Name
    target: Name
    needs: list[str]
    channel: str | None
    required: bool
    payload: JsonObject


class PlanDocument(TypedDict):
    """A whole plan; ``changelog`` is a `relman.changelog/1`, ``notes`` the rendered text, ``config`` a digest.

    ``rollback`` is there where the plan is the way back to an earlier release.
    """

    schema: Literal["relman.plan/1"]
    id: Name
    project: str
    stream: Name
    version: Name
    previous: str | None
    previous_id: str | None
    created: Time
    config: Digest
    changed: bool
    variants: Annotated[list[PlannedVariantDocument], Field(min_length=1)]
    gates: list[GateDocument]
    overrides: list[OverrideDocument]
    actions: list[ActionDocument]
    assumed: list[str]
    changelog: dict[str, object]
    notes: str
    rollback: NotRequired[RollbackDocument]


_PLAN = TypeAdapter(PlanDocument)


def plan_document(plan: Plan) -> PlanDocument:
    """The plan as JSON has it. Raises `ValueError` for a payload or evidence that JSON cannot hold."""
    document = PlanDocument(
        schema=PLAN_SCHEMA,
        id=plan.id,
        project=plan.project,
        stream=plan.stream,
        version=plan.version,
        previous=plan.previous,
        previous_id=plan.previous_id,
        created=rfc3339(plan.created),
        config=plan.config,
        changed=plan.changed,
        variants=[_variant_document(variant) for variant in plan.variants],
        gates=[gate_document(gate) for gate in plan.gates],
        overrides=[override_document(override) for override in plan.overrides],
        actions=[_action_document(action) for action in plan.actions],
        assumed=list(plan.assumed),
        changelog=dict(changelog_document(plan.changelog)),
        notes=plan.notes,
    )
    if plan.rollback is not None:
        document["rollback"] = rollback_document(plan.rollback)
    return document


def plan_from_document(document: object, *, what: str = "the plan") -> Plan:
    """The plan that ``document`` holds. Raises `Malformed`, also for one that was edited and no longer adds up."""
    read = validated(_PLAN, document, PLAN_SCHEMA, what=what)
    changelog = changelog_from_document(read["changelog"])
    try:
        plan = Plan(
            id=read["id"],
            project=read["project"],
            stream=read["stream"],
            version=read["version"],
            previous=read["previous"],
            previous_id=read["previous_id"],
            created=parse_rfc3339(read["created"]),
            config=read["config"],
            changed=read["changed"],
            variants=tuple(_variant(variant) for variant in read["variants"]),
            gates=tuple(gate_from(gate) for gate in read["gates"]),
            actions=tuple(_action(action) for action in read["actions"]),
            assumed=tuple(read["assumed"]),
            changelog=changelog,
            notes=read["notes"],
            overrides=tuple(map(override_from, read["overrides"])),
            rollback=rollback_from(read.get("rollback")),
        )
        _check(plan)
    except (ValueError, ConfigError) as error:
        raise Malformed(
            printable(f"{what} does not add up: {error}"), hint="make it again with `relman plan`"
        ) from error
    return plan


def plan_bytes(plan: Plan) -> bytes:
    """The plan as it is saved: the same plan gives the same bytes. Raises `Malformed` for one that does not add up."""
    try:
        _check(plan)
        return canonical(plan_document(plan))
    except (ValueError, ConfigError) as error:
        raise Malformed(printable(f"the plan of `{plan.version}` cannot be saved: {error}")) from error


def plan_digest(content: bytes) -> Digest:
    """What a record names its plan by: the digest of the saved bytes."""
    return Digest.of(content)


def plan_from_bytes(content: bytes, *, what: str = "the plan") -> Plan:
    """The plan in a file, which anybody may have written. Raises `Malformed`; ``what`` names the file."""
    return plan_from_document(read_json(content, what=what, limit=PLAN_LIMIT), what=what)


def _check(plan: Plan) -> None:
    """What a plan says twice has to agree. Raises `ValueError` or `ConfigError`."""
    digests = {variant.name: variant.digest for variant in plan.variants}
    if len(digests) != len(plan.variants):
        raise ValueError("a variant stands in it twice")
    for gate in plan.gates:
        bound = digests.get(gate.variant)
        if gate.platform is None and bound is not None and bound != gate.digest:
            raise ValueError(
                f"gate `{gate.gate}` answered for `{gate.digest.short}`, and `{gate.variant}` is `{bound.short}`"
            )
    for action in plan.actions:
        if action.key != action_key(plan.id, action.target):
            raise ValueError(
                f"the key of `{action.target}` is `{action.key}`, which does not derive from release `{plan.id}`"
            )
    ordered(plan.actions)


def _variant_document(variant: PlannedVariant) -> PlannedVariantDocument:
    document = PlannedVariantDocument(
        name=variant.name,
        reference=_spelled(variant.reference),
        digest=variant.digest,
        platforms=[str(platform) for platform in variant.platforms],
        revision=variant.revision,
        previous_digest=variant.previous_digest,
        source=_spelled(variant.source) if variant.source else None,
        tags=dict(variant.tags),
    )
    if variant.sboms:
        document["sboms"] = {str(platform): file for platform, file in variant.sboms.items()}
    return document


def _spelled(reference: Reference) -> str:
    text = str(reference)
    if parse_reference(text) != reference:
        raise ValueError(f"`{text}` would be read back as another reference")
    return text


def _variant(read: PlannedVariantDocument) -> PlannedVariant:
    return PlannedVariant(
        name=read["name"],
        reference=parse_reference(read["reference"]),
        digest=read["digest"],
        platforms=tuple(Platform.parse(platform) for platform in read["platforms"]),
        revision=read["revision"],
        previous_digest=read["previous_digest"],
        source=parse_reference(read["source"]) if read["source"] else None,
        tags=read["tags"],
        sboms={Platform.parse(platform): file for platform, file in read.get("sboms", {}).items()},
    )


def _action_document(action: Action) -> ActionDocument:
    return ActionDocument(
        kind=action.kind,
        stage=action.stage.name.lower(),  # type: ignore[typeddict-item]  # the names of `Stage`, as a test shows
        key=action.key,
        target=action.target,
        needs=list(action.needs),
        channel=action.channel,
        required=action.required,
        payload=plain_object(action.payload),
    )


def _action(read: ActionDocument) -> Action:
    return Action(
        kind=read["kind"],
        stage=Stage[read["stage"].upper()],
        key=read["key"],
        target=read["target"],
        needs=tuple(read["needs"]),
        channel=read["channel"],
        required=read["required"],
        payload=read["payload"],
    )
