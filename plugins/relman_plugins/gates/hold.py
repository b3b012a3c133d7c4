"""The gate `hold`: closed while a person holds the stream or the variant, and for images that were yanked.

It always runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relman.model.gates import GateResult, State
from relman.model.holds import Hold
from relman.model.record import Record, RecordState
from relman.plugin import GatesContext, hookimpl
from relman_plugins.gates.verdict import Verdict, passed


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Failed with the reason that was given, and with what lifts it; held and yanked are two answers."""
    stream = context.stream.name
    for rule in context.of_type("hold"):
        for candidate in context.release.candidates:
            holds = [hold for hold in context.holds if hold.covers(stream, candidate.variant.name)]
            yanked = [
                record
                for record in context.records
                if record.state is RecordState.YANKED
                and any(variant.digest == candidate.image.digest for variant in record.variants)
            ]
            for each in verdicts(stream, holds, yanked):
                yield each.of(candidate, rule.name)


def verdicts(stream: str, holds: Sequence[Hold], yanked: Sequence[Record]) -> list[Verdict]:
    """An answer for the ``holds`` that cover an image, one for the ``yanked`` releases that had it, else one that
    passes.
    """
    found = []
    if holds:
        lift = f"`relman unhold {stream}`"
        said = [
            f"{hold.by} holds {hold.what} since {hold.since:%Y-%m-%d %H:%M}: {hold.reason} ({lift})" for hold in holds
        ]
        found.append(
            Verdict(State.FAILED, "; ".join(said), code="held", needs=lift, evidence={"holds": [*map(_shown, holds)]})
        )
    if yanked:
        said = [
            f"it was yanked as {record.version}" + (f": {record.withdrawn.reason}" if record.withdrawn else "")
            for record in yanked
        ]
        ids = [record.id for record in yanked]
        found.append(
            Verdict(State.FAILED, "; ".join(said), code="yanked", needs="another build", evidence={"yanked": ids})
        )
    return found or [passed("nobody holds it")]


def _shown(hold: Hold) -> dict[str, object]:
    since = f"{hold.since:%Y-%m-%dT%H:%M:%SZ}"
    return {"variant": hold.variant, "reason": hold.reason, "by": hold.by, "since": since}
