"""The gate `no-downgrade`: what enters a stream is no older than what the stream holds."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.plan import GateResult, State
from relman.model.release import Candidate
from relman.plugin import GatesContext, hookimpl


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Failed where a candidate was made before its predecessor."""
    for rule in (rule for rule in context.rules if rule.type == "no-downgrade"):
        for candidate in context.release.candidates:
            state, reason = _judge(candidate)
            yield GateResult(rule.name, candidate.variant.name, candidate.image.digest, state, reason)


def _judge(candidate: Candidate) -> tuple[State, str]:
    follows = candidate.follows
    if follows is None:
        return State.PASSED, "it is the first release of this variant"
    if follows.image is None:
        return State.ABSENT, f"the registry no longer has `{follows.version}`: there is no build time to compare with"
    before, after = follows.image.platforms[0].created, candidate.first.created
    if before is None or after is None:
        which = "its predecessor" if before is None else "the candidate"
        return State.ABSENT, f"{which} does not say when it was made"
    if after < before:
        return State.FAILED, f"it was made {after:%Y-%m-%d %H:%M}, before its predecessor of {before:%Y-%m-%d %H:%M}"
    return State.PASSED, f"made {after:%Y-%m-%d %H:%M}, its predecessor {before:%Y-%m-%d %H:%M}"
