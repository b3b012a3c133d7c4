"""The gate `soak`: an image has been in the source stream for some time before it enters this one.

The time is counted for each digest, from when `relman observe` first saw it there: a newer candidate takes nothing
from it, and another digest begins anew. Days have 24 hours, whatever clocks on walls do.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from relman.model.gates import GateResult, State
from relman.model.oci import Digest
from relman.plugin import Duration, GatesContext, Slot, Table, hookimpl
from relman_plugins.gates.verdict import Verdict, passed

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", timedelta(seconds=1)))


class SoakSettings(Table):
    """`{ type = "soak", time = "3d" }`. Without ``time`` the stream's own `soak` is the least time."""

    time: Duration | None = None


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "soak", SoakSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Pending until the time is over; absent where nobody saw the image in the source stream."""
    for rule, settings in context.asked("soak", SoakSettings):
        time = context.stream.soak if settings.time is None else settings.time
        for candidate in context.release.candidates:
            yield _verdict(context, candidate.variant.name, time, candidate.image.digest).of(candidate, rule.name)


def _verdict(context: GatesContext, variant: str, time: timedelta | None, digest: Digest) -> Verdict:
    if time is None:
        return Verdict(
            State.ABSENT,
            f"nothing says how long: `{context.stream.name}` has no `soak`",
            code="no-time",
            needs=f'`soak = "3d"` in [streams.{context.stream.name}]',
        )
    if context.source is None:
        return Verdict(
            State.ABSENT,
            f"`{context.stream.name}` is promoted from no stream in which an image could wait",
            code="no-source",
            needs=f"`from` in [streams.{context.stream.name}], or no gate `soak`",
        )
    first = context.observed.first_seen(digest, context.source.name, variant, now=context.now)
    return verdict(first, time, context.now, context.source.name)


def verdict(first: datetime | None, time: timedelta, now: datetime, source: str) -> Verdict:
    """What an image that ``source`` holds since ``first`` has to wait for; `None`: nobody saw it there."""
    opens = _later(now if first is None else first, time)
    if first is None:
        return Verdict(
            State.ABSENT,
            f"it was never observed in `{source}`, so nobody knows since when it is there",
            code="never-observed",
            needs="run `relman observe` on a schedule",
            at=opens,
        )
    evidence = {"since": f"{first:%Y-%m-%dT%H:%M:%SZ}", "time": written(time)}
    soaked = now.astimezone(UTC) - first.astimezone(UTC)
    if soaked >= time:
        return passed(f"in `{source}` for {written(soaked)}, at least {written(time)}", **evidence)
    return Verdict(
        State.PENDING,
        f"in `{source}` for {written(soaked)} of {written(time)}",
        code="too-young",
        needs=f"{written(time - soaked)} more in `{source}`",
        at=opens,
        evidence=evidence,
    )


def _later(moment: datetime, time: timedelta) -> datetime | None:
    try:
        return moment.astimezone(UTC) + time  # in a zone, Python adds to the clock on the wall
    except OverflowError:  # later than there are dates for
        return None


def written(time: timedelta) -> str:
    """A length as relman.toml writes it, of two units at most: `3d`, `1d12h`, `0s`. What is left is cut off."""
    rest, parts = max(time, timedelta(0)), []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"
