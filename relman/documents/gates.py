"""What gates said, and what let a release through, as plans, records and other documents have it."""

from __future__ import annotations

from typing import Annotated, NotRequired

from typing_extensions import TypedDict

from relman.documents.values import JsonObject, Name, PlatformText, Time, one_of, parse_rfc3339, plain_object, rfc3339
from relman.model.gates import GateResult, Override, State
from relman.model.oci import Digest, Platform


class GateDocument(TypedDict):
    """What a gate said of a digest; ``platform``, ``at`` and ``needs`` are there only where the gate named them.

    ``code`` is there where it says more than the state; ``may_override`` where not everybody may who may release.
    """

    gate: Name
    variant: Name
    digest: Digest
    state: Annotated[State, one_of(State)]
    reason: str
    evidence: JsonObject
    platform: NotRequired[PlatformText]
    at: NotRequired[Time]
    code: NotRequired[str]
    needs: NotRequired[str]
    may_override: NotRequired[list[str]]


class OverrideDocument(TypedDict):
    """Who lets which answer of a gate pass: of that code, for that variant's digest, until when, and why.

    ``platform`` is there where the answer was about one.
    """

    gate: Name
    code: Name
    variant: Name
    digest: Digest
    reason: str
    by: str
    until: Time
    platform: NotRequired[PlatformText]


def gate_document(gate: GateResult) -> GateDocument:
    """A gate's answer as records and plans have it."""
    document = GateDocument(
        gate=gate.gate,
        variant=gate.variant,
        digest=gate.digest,
        state=gate.state,
        reason=gate.reason,
        evidence=plain_object(gate.evidence),
    )
    if gate.platform is not None:
        document["platform"] = str(gate.platform)
    if gate.at is not None:
        document["at"] = rfc3339(gate.at)
    if gate.code not in ("", gate.state):
        document["code"] = gate.code
    if gate.needs is not None:
        document["needs"] = gate.needs
    if gate.may_override is not None:
        document["may_override"] = list(gate.may_override)
    return document


def gate_from(read: GateDocument) -> GateResult:
    """The answer that a validated document holds."""
    platform, at = read.get("platform"), read.get("at")
    return GateResult(
        gate=read["gate"],
        variant=read["variant"],
        digest=read["digest"],
        state=read["state"],
        reason=read["reason"],
        evidence=read["evidence"],
        platform=Platform.parse(platform) if platform else None,
        at=parse_rfc3339(at) if at else None,
        code=read.get("code", ""),
        needs=read.get("needs"),
        may_override=tuple(read["may_override"]) if "may_override" in read else None,
    )


def override_document(override: Override) -> OverrideDocument:
    """An override as records and plans have it."""
    document = OverrideDocument(
        gate=override.gate,
        code=override.code,
        variant=override.variant,
        digest=override.digest,
        reason=override.reason,
        by=override.by,
        until=rfc3339(override.until),
    )
    if override.platform is not None:
        document["platform"] = str(override.platform)
    return document


def override_from(read: OverrideDocument) -> Override:
    """The override that a validated document holds."""
    return Override(
        gate=read["gate"],
        code=read["code"],
        variant=read["variant"],
        digest=read["digest"],
        reason=read["reason"],
        by=read["by"],
        until=parse_rfc3339(read["until"]),
        platform=Platform.parse(read["platform"]) if "platform" in read else None,
    )
