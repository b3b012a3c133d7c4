"""Gates' answers for people: each refusal with why, what is needed, when it could pass, and who may override it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from relman.cli.output import printable, table
from relman.model.gates import GateResult, Override, State

_MARKS = {State.PASSED: "✓", State.SKIPPED: "–"}
_INDENT = "  "


class Verdict(msgspec.Struct, frozen=True):
    """What a gate says in the same words of one or more images; ``whom`` names them. ``by_hand`` lets it pass."""

    result: GateResult
    whom: str
    by_hand: Override | None

    @property
    def mark(self) -> str:
        """One character: passed, let through by hand, not looked at, or anything else."""
        return "~" if self.by_hand else _MARKS.get(self.result.state, "✗")

    @property
    def shut(self) -> bool:
        """Whether it keeps the release out."""
        return not self.result.opens and self.by_hand is None

    @property
    def refusal(self) -> str:
        """The state, with the code where that says more."""
        own = self.result.code
        return f"{self.result.state}" if own in ("", self.result.state) else f"{self.result.state} ({own})"


def verdicts(results: Iterable[GateResult], overrides: Sequence[Override], now: datetime) -> tuple[Verdict, ...]:
    """Every answer once for all images that it is the same for, in the order in which gates were asked."""
    results = tuple(results)
    said: dict[tuple[object, ...], list[GateResult]] = {}
    for result in results:
        let = next((one for one in overrides if one.passes(result, now)), None)
        same = (let.by, let.reason, let.until) if let else None
        key = (result.gate, result.state, result.code, result.reason, result.needs, result.at, same)
        said.setdefault(key, []).append(result)
    every = {result.variant for result in results}
    return tuple(
        Verdict(first := those[0], _whom(those, every), next((o for o in overrides if o.passes(first, now)), None))
        for those in said.values()
    )


def _whom(those: Sequence[GateResult], every: set[str]) -> str:
    names = dict.fromkeys(one.variant for one in those)
    whom = "all" if set(names) == every else ", ".join(names)
    platforms = dict.fromkeys(str(one.platform) for one in those if one.platform)
    return f"{whom} ({', '.join(platforms)})" if platforms else whom


def gate_lines(
    results: Iterable[GateResult], overrides: Sequence[Override], now: datetime, *, closed_only: bool = False
) -> list[str]:
    """A table of what each gate says, and below each that is closed what would open it."""
    shown = [one for one in verdicts(results, overrides, now) if one.shut or not closed_only]
    if not shown:
        return []
    rows = [(one.mark, one.result.gate, one.whom, one.refusal, one.result.reason) for one in shown]
    colours = ["red" if one.mark == "✗" else "yellow" if one.mark in "~–" else None for one in shown]
    lines: list[str] = []
    for one, line in zip(shown, table(rows, indent=_INDENT, colours=colours).split("\n"), strict=True):
        lines.append(line)
        lines += [f"{_INDENT}    {word:<10}{printable(text)}" for word, text in _below(one, now)]
    return lines


def _below(one: Verdict, now: datetime) -> list[tuple[str, str]]:
    if one.by_hand:
        until = f"{one.by_hand.until.astimezone(UTC):%Y-%m-%d %H:%M}"
        return [("by hand", f"{one.by_hand.by}, until {until}: {one.by_hand.reason}")]
    if not one.shut or one.result.state is State.SKIPPED:
        return []
    found = [("needs", one.result.needs)] if one.result.needs else []
    found += [("opens", opens(one.result.at, now))] if one.result.at else []
    return [*found, ("override", who_may(one.result))]


def opens(at: datetime, now: datetime) -> str:
    """`2026-07-08 12:00 UTC at the earliest, in 2 d 3 h`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC at the earliest" + (f", in {left(at - now)}" if at > now else "")


def left(span: timedelta) -> str:
    """`2 d 3 h`, `45 min`: a length of time in the two largest units that matter."""
    minutes = -(-int(span.total_seconds()) // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{rest} min"


def who_may(result: GateResult) -> str:
    """Who may let it pass, and how."""
    if result.may_override == ():
        return "nobody may"
    whoever = "whoever releases" if result.may_override is None else ", ".join(result.may_override)
    return f"{whoever}: `--override {result.gate} --reason TEXT --until TIME`"


def gate_markdown(results: Iterable[GateResult], overrides: Sequence[Override], now: datetime) -> list[str]:
    """The same as Markdown, for a pull request or the summary of a job."""

    from relman.render.escaping import code, escape, sentence  # texts load much, and are seldom asked for

    shown = verdicts(results, overrides, now)
    rows = [
        f"| {_EMOJI[one.mark]} | {code(one.result.gate)} | {escape(one.whom)} | {one.refusal} | "
        f"{sentence(one.result.reason)} |"
        for one in shown
    ]
    lines = ["| | Gate | Images | State | Why |", "| :-: | --- | --- | --- | --- |", *rows]
    below = [(one, _below(one, now)) for one in shown]
    if any(words for _, words in below):
        lines.append("")
    for one, words in below:
        if words:
            said = "; ".join(f"{word}: {sentence(text)}" for word, text in words)
            lines.append(f"- {code(one.result.gate)} ({escape(one.whom)}) {said}")
    return lines


_EMOJI = {"✓": "✅", "~": "✋", "–": "➖", "✗": "❌"}
