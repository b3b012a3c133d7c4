"""gate: every rule's answer for every candidate. What is not answered, or is about another digest, stays closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from relman.errors import UsageError
from relman.model.gates import GateResult, Override, OverrideRequest, State
from relman.model.gates import closed as closed
from relman.model.release import Candidate
from relman.model.streams import GateRule, Stream

ALWAYS = (GateRule("complete", "complete"), GateRule("hold", "hold"))
GOING_BACK = frozenset({"complete", "signature"})
"""The types of gates that decide over a rollback, too: it is older, held or not, and nothing new to be tried."""


def rules_of(stream: Stream, *, signed: bool, rollback: bool = False) -> tuple[GateRule, ...]:
    """The gates of a stream: those that always run, as it has them or as they are, then its own or the default ones.

    A stream that has a `soak` asks for it, whether or not its own gates name one. Of all only some decide over a
    rollback.
    """
    own = stream.gates
    if own is None:
        own = (GateRule("no-downgrade", "no-downgrade"),)
        own += (GateRule("signature", "signature"),) if signed else ()
    if stream.soak is not None and not any(rule.type == "soak" for rule in own):
        own += (GateRule("soak", "soak"),)
    first = tuple(next((rule for rule in own if rule.type == each.type), each) for each in ALWAYS)
    rules = first + tuple(rule for rule in own if rule not in first)
    return tuple(rule for rule in rules if rule.type in GOING_BACK or not rollback)


def settle(
    rules: Iterable[GateRule],
    candidates: Sequence[Candidate],
    answers: Iterable[GateResult],
    failures: Mapping[str, str],
) -> tuple[GateResult, ...]:
    """One result or more for each rule and candidate, in that order, with who may override it.

    ``failures`` are the plugins that failed, with the reason: a rule that nobody answered is then an `error`, since the
    answer may have been theirs; without any it is `absent`. An answer about another digest answers nothing, and one
    about a platform nothing of the others: those that nobody spoke of are `absent`.
    """
    answers = tuple(answers)
    results: list[GateResult] = []
    for rule in rules:
        for candidate in candidates:
            about = [
                answer for answer in answers if (answer.gate, answer.variant) == (rule.name, candidate.variant.name)
            ]
            own = [answer for answer in about if answer.digest == candidate.image.digest]
            own = [*own, *_left_out(rule, candidate, own)] or [_unanswered(rule, candidate, about, failures)]
            results += [replace(answer, may_override=rule.may_override) for answer in own]
    return tuple(results)


def _unanswered(
    rule: GateRule, candidate: Candidate, others: Sequence[GateResult], failures: Mapping[str, str]
) -> GateResult:
    if others:
        about = ", ".join(sorted({f"`{other.digest.short}`" for other in others}))
        reason = f"what answers for it spoke about {about}, and this is `{candidate.image.digest.short}`"
        return candidate.gate(rule.name, State.ERROR, reason, code="other-digest", needs="an answer about this digest")
    if failures:
        needs = "plugins that do not fail: one of these may have had the answer"
        return candidate.gate(rule.name, State.ERROR, "; ".join(failures.values()), needs=needs)
    reason = f"no plugin answers for gates of the type `{rule.type}`"
    return candidate.gate(rule.name, State.ABSENT, reason, needs="the plugin that does, or another `type`")


def _left_out(rule: GateRule, candidate: Candidate, own: Sequence[GateResult]) -> list[GateResult]:
    """Where all answers are about platforms: an answer for each platform that nobody spoke of."""
    spoken = {answer.platform for answer in own}
    if not own or None in spoken:
        return []
    reason = f"what answers for it spoke about {', '.join(sorted(map(str, spoken)))} alone"
    return [
        candidate.gate(
            rule.name,
            State.ABSENT,
            reason,
            code="other-platform",
            needs="an answer about this platform",
            platform=platform,
        )
        for platform in candidate.platforms
        if platform not in spoken
    ]


def granted(
    requests: Iterable[OverrideRequest], results: Sequence[GateResult], now: datetime
) -> tuple[tuple[Override, ...], tuple[str, ...]]:
    """Each request bound to the closed answers that it means; and, in words, those that mean none.

    Raises `UsageError` for one that is over before it began, that names a gate which is not asked, or that the
    configuration does not let that person make.
    """
    found: list[Override] = []
    unused: list[str] = []
    for request in requests:
        if request.until <= now:
            raise UsageError(
                f"the override of `{request.gate}` ends at {request.until:%Y-%m-%d %H:%M} UTC, which is past"
            )
        if not any(result.gate == request.gate for result in results):
            known = ", ".join(f"`{name}`" for name in dict.fromkeys(result.gate for result in results))
            raise UsageError(
                f"there is no gate `{request.gate}` to override", hint=f"the stream asks {known or 'none'}"
            )
        meant = [result for result in results if not result.opens and request.means(result)]
        refused = next((result for result in meant if not result.overridable_by(request.by)), None)
        if refused:
            who = ", ".join(refused.may_override or ()) or "nobody"
            raise UsageError(
                f"`{request.by}` may not override the gate `{request.gate}`",
                hint=f"who may: {who} (`override` in its table)",
            )
        if not meant:
            unused.append(f"nothing that `{request.gate}` says needs the override: it has no effect")
        found += [request.bound(result) for result in meant]
    return tuple(dict.fromkeys(found)), tuple(unused)


def explain(results: Iterable[GateResult]) -> str:
    """Which gates are closed, for which variants and platforms, and why; what says the same is said once."""
    said: dict[tuple[str, State, str], dict[str, list[str]]] = {}
    for result in results:
        platforms = said.setdefault((result.gate, result.state, result.reason), {}).setdefault(result.variant, [])
        platforms += [str(result.platform)] if result.platform else []
    return "; ".join(
        f"gate `{gate}` is {state} for {', '.join(map(_named, variants, variants.values()))}: {reason}"
        for (gate, state, reason), variants in said.items()
    )


def _named(variant: str, platforms: Iterable[str]) -> str:
    names = ", ".join(dict.fromkeys(platforms))
    return f"`{variant}` ({names})" if names else f"`{variant}`"
