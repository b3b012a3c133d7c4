"""gate: every rule's answer for every candidate. What is not answered, or is about another digest, stays closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from relman.errors import UsageError
from relman.model.plan import GateResult, State
from relman.model.release import Candidate
from relman.model.streams import GateRule, Stream

ALWAYS = (GateRule("complete", "complete"), GateRule("hold", "hold"))
GOING_BACK = frozenset({"complete", "signature"})
"""The types of gates that decide over a rollback, too: it is older, held or not, and nothing new to be tried."""


def rules_of(stream: Stream, *, signed: bool, rollback: bool = False) -> tuple[GateRule, ...]:
    """The gates of a stream: those that always run, then its own, else those that hold by default.

    Of these only some decide over a rollback.
    """
    own = stream.gates
    if own is None:
        own = (GateRule("no-downgrade", "no-downgrade"),)
        own += (GateRule("signature", "signature"),) if signed else ()
    names = {rule.name for rule in ALWAYS}
    rules = ALWAYS + tuple(rule for rule in own if rule.name not in names)
    return tuple(rule for rule in rules if rule.type in GOING_BACK or not rollback)


def settle(
    rules: Iterable[GateRule],
    candidates: Sequence[Candidate],
    answers: Iterable[GateResult],
    failures: Mapping[str, str],
) -> tuple[GateResult, ...]:
    """One result or more for each rule and candidate, in that order.

    ``failures`` are the plugins that failed, with the reason: a rule that nobody answered is then an `error`, since the
    answer may have been theirs; without any it is `absent`.
    """
    answers = tuple(answers)
    results: list[GateResult] = []
    for rule in rules:
        for candidate in candidates:
            own = [
                answer
                for answer in answers
                if (answer.gate, answer.variant, answer.digest)
                == (rule.name, candidate.variant.name, candidate.image.digest)
            ]
            if not own:
                state = State.ERROR if failures else State.ABSENT
                reason = "; ".join(failures.values()) or f"no plugin answers for the gate `{rule.name}`"
                own = [GateResult(rule.name, candidate.variant.name, candidate.image.digest, state, reason)]
            results += own
    return tuple(results)


def override(gate: str, reason: str, until: datetime, by: str | None, now: datetime) -> Mapping[str, object]:
    """An override as plan and record keep it. Raises `UsageError` for one that is over before it began."""
    if until <= now:
        raise UsageError(f"the override of `{gate}` ends at {until:%Y-%m-%d %H:%M}, which is past")
    return {"gate": gate, "reason": reason, "until": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "by": by}


def closed(
    results: Iterable[GateResult], overrides: Iterable[Mapping[str, object]], now: datetime
) -> tuple[GateResult, ...]:
    """The results that keep a release out, after the overrides that have not expired."""
    open_by_hand = {entry["gate"] for entry in overrides if datetime.fromisoformat(str(entry["until"])) > now}
    return tuple(result for result in results if not result.opens and result.gate not in open_by_hand)


def explain(results: Iterable[GateResult]) -> str:
    """Which gates are closed, for which variants, and why; results that say the same are said once."""
    said: dict[tuple[str, State, str], list[str]] = {}
    for result in results:
        said.setdefault((result.gate, result.state, result.reason), []).append(result.variant)
    return "; ".join(
        f"gate `{gate}` is {state} for {', '.join(f'`{name}`' for name in dict.fromkeys(variants))}: {reason}"
        for (gate, state, reason), variants in said.items()
    )
