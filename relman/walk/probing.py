"""Before the first write: what a plan needs of this machine and of the registries, and whether it is there.

Only what the plan does not have behind it is asked after, and each thing once: a plan that moves tags inside a
repository takes a token, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from relman.boundary import guarded
from relman.errors import RelmanError, Unequipped
from relman.hookspecs import Executor
from relman.model.oci import Repository
from relman.model.plan import Action, Plan
from relman.model.record import Receipt
from relman.walk.statement import nobody_signs


class Ability(msgspec.Struct, frozen=True):
    """How something of the plan is done here, in a sentence; with a ``problem`` it cannot be done at all."""

    how: str
    problem: RelmanError | None = None


class Probes(msgspec.Struct, frozen=True):
    """What is asked. ``require_push`` is told of each repository that is written to, ``signer`` opens the key."""

    executors: Mapping[str, Executor[Any, Any]]
    reader: Callable[[Action, Executor[Any, Any]], Any]
    require_push: Callable[[Repository], None]
    signer: Callable[[], object]


def probe(plan: Plan, known: Sequence[Receipt], probes: Probes) -> tuple[Ability, ...]:
    """How what is left of ``plan`` would be done, each way once; what keeps it from being done is a problem."""
    settled = {receipt.key for receipt in known if receipt.settled}
    left = [action for action in plan.actions if action.key not in settled]
    found: list[Ability] = []
    written = dict.fromkeys(
        variant.reference.repository
        for variant in plan.variants
        if any(_is_registrys(action, probes) for action in left) and variant.tags
    )
    found += _problems(lambda repository: f"writing to `{repository}`", probes.require_push, written)
    if any(action.payload.get("signed") for action in left if action.kind == "statement"):
        found += _problems(str, lambda _: _require_signer(probes.signer), ["signing the record"])
    for kind in dict.fromkeys(action.kind for action in left):
        mine = [action for action in left if action.kind == kind]
        executor = probes.executors.get(kind)
        ready = getattr(executor, "ready", None)
        if executor is not None and ready is not None:
            try:
                said = guarded(f"`{mine[0].target}` cannot be prepared", ready, mine, probes.reader(mine[0], executor))
                found += [Ability(str(how)) for how in said]
            except RelmanError as error:
                found.append(Ability(f"`{mine[0].target}`", error))
    return tuple(dict.fromkeys(found))


def require_able(abilities: Iterable[Ability]) -> None:
    """Raise the first problem, with the others named in its hint."""
    problems = [ability.problem for ability in abilities if ability.problem]
    if problems:
        first, *others = problems
        if others and isinstance(first, Unequipped):
            more = "; ".join(other.message for other in others)
            raise Unequipped(first.message, hint="; ".join(filter(None, (first.hint, f"then also: {more}")))) from first
        raise first


def _require_signer(signer: Callable[[], object]) -> None:
    if signer() is None:
        raise nobody_signs()


def _is_registrys(action: Action, probes: Probes) -> bool:
    executor = probes.executors.get(action.kind)
    return executor is not None and executor.scope == "registry"


def _problems(name: Callable[[Any], str], ask: Callable[[Any], object], things: Iterable[Any]) -> list[Ability]:
    """An ability for each of ``things`` that cannot be; one that can says nothing."""
    found = []
    for thing in things:
        try:
            ask(thing)
        except RelmanError as error:
            found.append(Ability(name(thing), error))
    return found
