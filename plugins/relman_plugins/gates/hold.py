"""The gate `hold`: closed while a person holds the stream or the variant, and for images that were yanked.

It always runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.plan import GateResult, State
from relman.model.record import RecordState
from relman.model.release import Candidate
from relman.plugin import GatesContext, hookimpl


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Failed with the reason that was given, and with what lifts it."""
    for rule in context.of_type("hold"):
        for candidate in context.release.candidates:
            said, evidence = _held(context, candidate)
            yield candidate.gate(
                rule.name,
                State.FAILED if said else State.PASSED,
                "; ".join(said) or "nobody holds it",
                evidence=evidence,
            )


def _held(context: GatesContext, candidate: Candidate) -> tuple[list[str], dict[str, object]]:
    """What is said against it, and the evidence."""
    stream = context.stream.name
    holds = [hold for hold in context.holds if hold.covers(stream, candidate.variant.name)]
    yanked = [
        record
        for record in context.records
        for variant in record.variants
        if record.state is RecordState.YANKED and variant.digest == candidate.image.digest
    ]
    said = [
        f"{hold.by} holds {hold.what} since {hold.since:%Y-%m-%d %H:%M}: {hold.reason} (`relman unhold {stream}`)"
        for hold in holds
    ]
    said += [
        f"it was yanked as {record.version}" + (f": {record.withdrawn.reason}" if record.withdrawn else "")
        for record in yanked
    ]
    evidence: dict[str, object] = {}
    if holds:
        evidence["holds"] = [
            {"variant": hold.variant, "reason": hold.reason, "by": hold.by, "since": f"{hold.since:%Y-%m-%dT%H:%M:%SZ}"}
            for hold in holds
        ]
    if yanked:
        evidence["yanked"] = [record.id for record in yanked]
    return said, evidence
