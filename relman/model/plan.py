"""A plan: what would be done, as data that survives in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import IntEnum

import msgspec

from relman.errors import ConfigError
from relman.model.changelog import Changelog
from relman.model.gates import GateResult as GateResult
from relman.model.gates import Override
from relman.model.gates import State as State
from relman.model.oci import Digest, Platform, Reference
from relman.model.rollback import Rollback


class Stage(IntEnum):
    """The order of effects: what can be undone, the commit point, what people see, what cannot be taken back."""

    PREPARE = 10
    PROMOTE = 20
    SEAL = 30
    PUBLISH = 40
    ANNOUNCE = 50


def action_key(release: str, target: str) -> str:
    """The key of what a release does to ``target``: the same today, tomorrow and on another machine."""
    return hashlib.sha256(f"{release}\n{target}".encode()).hexdigest()[:32]


class Action(msgspec.Struct, frozen=True):
    """One effect, as data. ``kind`` picks the executor; ``target`` says what it is about (`tag:bluefin:stable`).

    ``needs`` are keys of actions that must be done first. ``channel`` names the table of the configuration that has
    the address, where there is one; ``required`` is false where failing only has to be reported. The payload is plain
    JSON and holds everything else, rendered text included, and no secret.
    """

    kind: str
    stage: Stage
    key: str
    target: str
    needs: tuple[str, ...] = ()
    channel: str | None = None
    required: bool = True
    payload: Mapping[str, object] = msgspec.field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.kind, self.key, self.target))

    def text(self, name: str) -> str:
        """A text of the payload. Raises `ValueError` where it is not there, as in a plan edited by hand."""
        value = self.payload.get(name)
        if not isinstance(value, str):
            raise ValueError(f"action `{self.target}` has no `{name}` in its payload")
        return value


class PlannedVariant(msgspec.Struct, frozen=True):
    """A candidate as a plan pins it, and every stream tag with the digest that it held when the plan was made.

    ``sboms`` are the files that stood for what is inside it, as they were named; empty where its own sources served.
    """

    name: str
    reference: Reference
    digest: Digest
    platforms: tuple[Platform, ...]
    revision: str | None
    previous_digest: Digest | None
    source: Reference | None
    tags: Mapping[str, Digest | None]
    sboms: Mapping[Platform, str] = msgspec.field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, self.reference, self.digest))


class Plan(msgspec.Struct, frozen=True):
    """A release that would be made. ``config`` is the digest of what the plan pins of the configuration.

    ``rollback`` is set where it is the way back to an earlier release.
    """

    id: str
    project: str
    stream: str
    version: str
    previous: str | None
    previous_id: str | None
    created: datetime
    config: Digest
    changed: bool
    variants: tuple[PlannedVariant, ...]
    gates: tuple[GateResult, ...]
    actions: tuple[Action, ...]
    assumed: tuple[str, ...]
    changelog: Changelog
    notes: str
    overrides: tuple[Override, ...] = ()
    rollback: Rollback | None = None

    @property
    def closed(self) -> tuple[GateResult, ...]:
        """The gates that do not open."""
        return tuple(gate for gate in self.gates if not gate.opens)


def ordered(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Actions by stage, and after whatever they need; those that are equal keep the order they came in.

    Raises `ConfigError` for a need that nobody answers, a key that stands twice, and a circle.
    """
    waiting = sorted(actions, key=lambda action: action.stage)
    known = {action.key for action in waiting}
    if len(known) != len(waiting):
        twice = [a.target for i, a in enumerate(waiting) if a.key in {b.key for b in waiting[:i]}]
        raise ConfigError(f"`{twice[0]}` is planned twice", hint="give each table of that type a `name` of its own")
    done: set[str] = set()
    result: list[Action] = []
    while waiting:
        ready = next((action for action in waiting if done.issuperset(action.needs)), None)
        if ready is None:
            stuck = waiting[0]
            missing = set(stuck.needs) - known
            why = "needs an action that no plugin plans" if missing else "waits for itself"
            raise ConfigError(f"`{stuck.target}` {why}")
        waiting.remove(ready)
        done.add(ready.key)
        result.append(ready)
    return tuple(result)
