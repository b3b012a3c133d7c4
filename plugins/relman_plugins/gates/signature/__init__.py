"""The gate `signature`, and the same question again where the tags are about to move.

A candidate is signed as `[signature]` demands, for each name that hosts will pull it by. The gate looks where the
image was built; the action `verify` looks where the stream lives, after the copy and before any tag, whatever gates
the stream has and whoever overrides them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING

from relman.model.plan import Action, GateResult, Stage, State, action_key
from relman.model.release import Candidate
from relman.plugin import ActionsContext, GatesContext, RegistryReader, RelmanError, Slot, Table, hookimpl

if TYPE_CHECKING:  # every release asks this plugin, and most projects have no [signature]
    from relman_plugins.gates.signature.executor import VerifyExecutor
    from relman_plugins.gates.signature.judge import Verdict
    from relman_plugins.gates.signature.rule import Demands

_AT_ONCE = 8
"""Candidates that are looked at at the same time."""


class SignatureSettings(Table):
    """A table of this type has no keys of its own, so that one which is there is a fault: `[signature]` has them."""


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "signature", SignatureSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where every signature that hosts will ask for is there, and names the image as they will."""
    rules = [rule for rule in context.rules if rule.type == "signature"]
    if not rules:
        return
    candidates = context.release.candidates
    if context.signature is None:
        for rule, candidate in product(rules, candidates):
            yield candidate.gate(
                rule.name,
                State.ABSENT,
                "there is no table [signature], which says who must have signed",
                code="no-rule",
                needs="[signature] in relman.toml",
            )
        return
    from relman_plugins.gates.signature.rule import demands

    asked = demands(context.signature, context.registry)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as workers:
        verdicts = list(workers.map(lambda candidate: _verdict(context.registry, candidate, asked), candidates))
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        for rule in rules:
            yield GateResult(
                rule.name,
                candidate.variant.name,
                candidate.image.digest,
                verdict.state,
                verdict.reason,
                verdict.evidence,
            )


def _verdict(reader: RegistryReader, candidate: Candidate, asked: Demands) -> Verdict:
    from relman_plugins.gates.signature.judge import Verdict, judge

    image = candidate.image
    platforms = [part.manifest.digest for part in image.platforms]
    try:
        return judge(reader, image.reference, platforms, asked(candidate))
    except RelmanError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Verdict(State.ERROR, f"{error.message}{hint}")


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """Before any tag is moved: the signatures as they lie where the stream lives, for the names that will be pulled."""
    if context.signature is None:
        return
    from relman_plugins.gates.signature.executor import payload
    from relman_plugins.gates.signature.rule import demands

    asked = demands(context.signature, context.registry)
    release = context.release
    for candidate in (candidate for candidate in release.candidates if candidate.moves):
        variant, target = candidate.variant.name, candidate.place.repository
        copied = candidate.image.reference.repository != target
        yield Action(
            kind="verify",
            stage=Stage.PREPARE,
            key=action_key(release.id, f"verify:{variant}"),
            target=f"verify:{variant}",
            needs=(action_key(release.id, f"evidence:{variant}"),) if copied else (),
            payload=payload(candidate, asked(candidate)),
        )


@hookimpl
def relman_executors() -> tuple[VerifyExecutor]:
    """The one that verifies."""
    from relman_plugins.gates.signature.executor import VerifyExecutor

    return (VerifyExecutor(),)
