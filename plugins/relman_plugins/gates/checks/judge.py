"""What the checks of one commit amount to: a function of them, of the settings and of the time, and of nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

import msgspec
from pydantic import Field

from relman.model.gates import State
from relman.plugin import Duration
from relman_plugins.gates.asking.answers import stamp
from relman_plugins.gates.asking.forge import ForgeTable
from relman_plugins.gates.verdict import Verdict, listed, plain

SKEW = timedelta(minutes=5)
"""As far as a forge's clock may be ahead of ours."""
_SHOWN = 100


class Outcome(StrEnum):
    """What came of a check, in the words of all forges together."""

    PASSED = "passed"
    FAILED = "failed"
    RUNNING = "running"
    NEUTRAL = "neutral"
    SKIPPED = "skipped"


class Check(msgspec.Struct, frozen=True):
    """One run of one check. ``source`` and ``name`` say which, ``said`` is the forge's own word for its ``outcome``.

    ``at`` is when it ended, or else began; ``order`` tells which run of a check is the newest. ``commit`` is what the
    forge says that it ran on.
    """

    source: str
    name: str
    outcome: Outcome
    said: str
    at: datetime | None
    order: tuple[int, str]
    commit: str
    url: str = ""


class ChecksSettings(ForgeTable):
    """`{ type = "checks", … }`. In names `*` stands for anything."""

    required: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    accept: tuple[Literal["neutral", "skipped"], ...] = ()
    minimum: int = Field(default=1, ge=1)
    max_age: Duration | None = None


def judge(checks: Iterable[Check], revision: str, settings: ChecksSettings, now: datetime) -> Verdict:
    """Passed where what counts is there, ended, good, enough and young enough.

    With ``required`` names, those must be there and pass; of the others only a failure counts. Without, all that are
    not ignored must pass.
    """
    checks = tuple(checks)
    strange = [check.name for check in checks if check.commit != revision]
    if strange:
        reason = f"the forge answered with checks of another commit than {revision[:12]}: {listed(strange)}"
        return Verdict(State.ERROR, reason, "other-commit")
    seen = [check for check in newest(checks) if not _any(settings.ignore, check.name)]
    counted = [check for check in seen if not settings.required or _any(settings.required, check.name)]
    good = [check for check in counted if check.outcome is Outcome.PASSED or check.outcome.value in settings.accept]
    evidence: dict[str, object] = {"revision": revision, "checks": [_row(check) for check in seen[:_SHOWN]]}
    if len(seen) > _SHOWN:
        evidence["not_shown"] = len(seen) - _SHOWN
    state, code, reason, needs = _conclude(seen, counted, good, settings, now)
    return Verdict(state, reason, code, needs, evidence=evidence)


def _conclude(
    seen: Sequence[Check], counted: Sequence[Check], good: Sequence[Check], settings: ChecksSettings, now: datetime
) -> tuple[State, str, str, str | None]:
    if not seen:
        return State.ABSENT, "no-checks", "nothing checked this commit", "CI that runs on it"
    if failed := _said(seen, Outcome.FAILED):
        return State.FAILED, "failed-checks", f"failed: {failed}", "a new run that passes"
    if running := _said(counted, Outcome.RUNNING):
        return State.PENDING, "still-running", f"not ended yet: {running}", "that they end"
    missing = [name for name in settings.required if not any(_any((name,), check.name) for check in counted)]
    if missing:
        return State.ABSENT, "missing-checks", f"never ran: {listed(missing)}", "that they run on this commit"
    passed_over = [check for check in counted if check not in good]
    if passed_over:
        reason = f"did not really run: {listed([f'{check.name}: {check.said}' for check in passed_over])}"
        return State.SKIPPED, "skipped-checks", reason, "that they run, or `accept`, or `ignore`"
    if len(good) < settings.minimum:
        reason = f"{len(good)} passed, and {settings.minimum} must"
        return State.ABSENT, "too-few", reason, "that more checks run on this commit"
    if settings.max_age is not None:
        undated = [check.name for check in good if check.at is None or check.at > now + SKEW]
        if undated:
            return State.ERROR, "no-date", f"nobody knows when they ran: {listed(undated)}", None
        old = [check.name for check in good if check.at and now - check.at > settings.max_age]
        if old:
            return State.FAILED, "stale", f"ran longer than {_days(settings.max_age)} ago: {listed(old)}", "a new run"
    return State.PASSED, "", f"passed: {listed([check.name for check in good])}", None


def newest(checks: Iterable[Check]) -> list[Check]:
    """Each check once, as its newest run has it, ordered by name."""
    found: dict[tuple[str, str], Check] = {}
    for check in checks:
        key = (check.source, check.name)
        if key not in found or found[key].order <= check.order:
            found[key] = check
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))]


def _said(checks: Sequence[Check], outcome: Outcome) -> str:
    return listed([f"{check.name}: {check.said}" for check in checks if check.outcome is outcome])


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(re.fullmatch(".*".join(map(re.escape, one.split("*"))), name, re.DOTALL) for one in patterns)


def _days(length: timedelta) -> str:
    hours, days = length.total_seconds() / 3600, length.total_seconds() / 86400
    return f"{days:g} d" if days >= 1 else f"{hours:g} h"


def _row(check: Check) -> dict[str, object]:
    row = {"name": plain(check.name), "source": plain(check.source, 80), "said": plain(check.said, 40)}
    if check.at:
        row["at"] = stamp(check.at) or ""
    if check.url.startswith(("https://", "http://")):
        row["url"] = plain(check.url, 300)
    return dict(row)
