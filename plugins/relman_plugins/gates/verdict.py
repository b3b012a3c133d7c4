"""What one gate says of one image, before it is bound to that image: the answer of a pure function of the evidence.

And what it concludes where it asked somebody else and got no answer; and strangers' texts, made harmless.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ParamSpec

import msgspec

from relman.model.gates import GateResult, State
from relman.model.oci import Platform
from relman.model.release import Candidate
from relman.plugin import Malformed, Passing, RelmanError, Unequipped, redact

P = ParamSpec("P")

LINE = 200
"""Characters of a stranger's text that go into a reason."""


_NEEDS = {
    "unreachable": "an answer: it is asked again when a release is planned",
    "unreadable": "an answer that can be read",
    "empty-report": "an answer that says something",
    "unequipped": "what is missing there, on the machine that runs relman",
    "not-answered": "a table that says enough to ask",
    "cut": "the whole list",
    "unfit": "an image that says something else of itself",
    "no-previous": "an earlier release, or no `{previous}`",
    "other-digest": "an answer that names this digest",
    "other-commit": "checks of this commit",
    "other-platform": "an answer about this platform",
    "other-baseline": "the report on the image that this one follows",
    "other-status": "a status that is expected",
    "other-value": "the value that `equals` says",
    "no-field": "an answer that has it",
    "no-date": "an answer that says when it was",
    "unknown-revision": "a forge that knows the commit",
    "several-revisions": "a build from one commit",
    "no-revocations": "the file that `revoked` names",
    "too-many": "no more signatures than are looked at",
    "scanner-failed": "a scanner that succeeds",
    "killed": "that it ends by itself",
    "timeout": "a longer `timeout`",
    "failed": "that it passes",
    "pending": "that it passes later on",
    "error": "that it answers",
    "absent": "an answer",
    "skipped": "that it is not skipped",
}


class Verdict(msgspec.Struct, frozen=True):
    """A state with its reason; the other fields are those of `GateResult`, which says what they mean."""

    state: State
    reason: str
    code: str = ""
    needs: str | None = None
    at: datetime | None = None
    evidence: Mapping[str, object] = msgspec.field(default_factory=lambda: MappingProxyType({}))

    @property
    def _needed(self) -> str:
        """What would open it, where that follows from the code, or else from the state."""
        return _NEEDS.get(self.code or self.state.value) or f"another answer than `{self.code or self.state}`"

    def of(self, candidate: Candidate, gate: str, platform: Platform | None = None) -> GateResult:
        """The same of ``candidate``, said by the gate of that name."""
        return candidate.gate(
            gate,
            self.state,
            self.reason,
            code=self.code,
            needs=self.needs if self.needs or self.state is State.PASSED else self._needed,
            at=self.at,
            evidence=self.evidence,
            platform=platform,
        )


def passed(reason: str, **evidence: object) -> Verdict:
    """It may enter."""
    return Verdict(State.PASSED, reason, evidence=evidence)


def skipped(what: str) -> Verdict:
    """Nobody looked, since the images are not read: ``what`` is looked at when a release is planned."""
    return Verdict(State.SKIPPED, f"{what} when a release is planned", code="not-read", needs="`relman plan`")


class Closed(Exception):
    """Nothing can be concluded but that the gate stays closed: ``verdict`` says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


def closing(judge: Callable[P, Verdict], *args: P.args, **named: P.kwargs) -> Verdict:
    """What ``judge`` concludes; where it cannot, the gate is closed and says why."""
    try:
        return judge(*args, **named)
    except Closed as closed:
        return closed.verdict
    except RelmanError as error:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), "not-answered")
        return Verdict(State.ERROR, plain(error.message), code, error.hint)


_CODES: tuple[tuple[type[RelmanError], str], ...] = (
    (Passing, "unreachable"),
    (Malformed, "unreadable"),
    (Unequipped, "unequipped"),
)


def plain(text: object, limit: int = LINE) -> str:
    """A stranger's text on one line: no secrets, nothing that a terminal obeys, and no more than ``limit`` of it."""
    words = " ".join(redact(str(text)).split())
    clean = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" else c for c in words)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def lines(text: str, limit: int) -> str:
    """A stranger's text with its lines kept, and as little to fear."""
    kept = [plain(line, limit) for line in text.splitlines()]
    return "\n".join(kept)[-limit:]


def listed(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    """A few names in backticks, and how many more there are."""
    shown = ", ".join(f"`{plain(name, 80)}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
