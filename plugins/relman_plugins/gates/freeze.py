"""The gate `freeze`: nothing enters in certain windows of time, such as holidays and weekends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from relman.model.gates import GateResult, State
from relman.plugin import GatesContext, Slot, Table, hookimpl
from relman_plugins.gates.verdict import Verdict, passed
from relman_plugins.gates.windows import Window

_CHAIN = 400
"""Windows that follow each other without a break, before relman says that it sees no end."""


class FreezeSettings(Table):
    """`{ type = "freeze", windows = [{ … }] }`."""

    windows: Annotated[tuple[Window, ...], Field(min_length=1)]


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "freeze", FreezeSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Pending while a window is open, until the last of those that adjoin ends."""
    for rule, settings in context.asked("freeze", FreezeSettings):
        answer = verdict(settings.windows, context.now)
        for candidate in context.release.candidates:
            yield answer.of(candidate, rule.name)


def verdict(windows: Sequence[Window], now: datetime) -> Verdict:
    """Whether one of ``windows`` is open ``now``, why, and when all are closed next."""
    ends = {window: end for window in windows if (end := window.open_until(now))}
    if not ends:
        return passed("no window is open")
    said = [_said(window, end) for window, end in ends.items()]
    opens = closed_from(windows, now)
    return Verdict(
        State.PENDING,
        f"frozen {'; '.join(said)}",
        code="frozen",
        needs=f"no window that is open: after {opens:%Y-%m-%d %H:%M} UTC" if opens else "windows that end",
        at=opens,
        evidence={"windows": said},
    )


def closed_from(windows: Sequence[Window], now: datetime) -> datetime | None:
    """The first moment from ``now`` on at which no window is open; `None` where none is in sight."""
    for _ in range(_CHAIN):
        ends = [end for window in windows if (end := window.open_until(now))]
        if not ends:
            return now
        now = max(ends)
    return None


def _said(window: Window, end: datetime) -> str:
    until = f"until {end.astimezone(ZoneInfo(window.zone)):%Y-%m-%d %H:%M} ({window.zone})"
    return f"{until}: {window.reason}" if window.reason else until
