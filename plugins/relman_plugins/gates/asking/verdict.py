"""What a gate concludes that asked somebody else and got no answer; and strangers' texts, made harmless."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import ParamSpec

from relman.model.gates import State
from relman.plugin import Malformed, Passing, RelmanError, Unequipped, redact
from relman_plugins.gates.verdict import Verdict

P = ParamSpec("P")

LINE = 200
"""Characters of a stranger's text that go into a reason."""


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
