"""Where streams stand: what they hold and what waits, what does not agree, and what is noted of it. Moves nothing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from relman.errors import ConfigError, NotFound
from relman.lifecycle import Lifecycle
from relman.model.audit import Audit, Finding
from relman.model.gates import GateResult, State
from relman.model.release import Release
from relman.model.state import StreamState, VariantState, still_held
from relman.model.streams import Stream
from relman.walk import observing
from relman.walk.acting import UNFINISHED
from relman.walk.audit import auditing
from relman.walk.audit.facts import Facts, Images, Published
from relman.walk.audit.rhythm import standstill
from relman.walk.tags import TagBook


def stream_state(walk: Lifecycle, stream: Stream) -> StreamState:
    """What the stream holds, what waits to enter it, and what is unfinished. Never fails for what is not there."""
    resolver = walk.instruments.resolver
    records = walk.ledger.records(stream.name)
    released = resolver.last_finished(stream.name)
    gates: tuple[GateResult, ...] = ()
    release: Release | None = None
    problem: str | None = None
    try:
        release = walk.resolve(stream)
        gates = walk.gate(release, None)
    except (NotFound, ConfigError) as error:
        problem = error.message
    held = resolver.held(stream, release, released)
    return StreamState(
        name=stream.name,
        source=stream.source,
        variants=_since(walk, stream, held),
        released=released,
        unfinished=tuple(record for record in records if record.state in UNFINISHED),
        gates=gates,
        problem=problem,
        holds=tuple(hold for hold in walk.ledger.holds() if hold.stream == stream.name),
        yanked=still_held(records, held),
        stalled=() if problem else _stalled(walk, stream, gates),
    )


def observe(walk: Lifecycle, streams: Sequence[Stream]) -> observing.Observed:
    """Note in the ledger what the tags of ``streams`` hold now: all that is ever written while looking."""
    return observing.observe(walk.config, streams, TagBook(walk.instruments.reader), walk.ledger, walk.clock())


def audit(walk: Lifecycle, streams: Sequence[Stream], *, last: int | None) -> Audit:
    """Registry, records and observations compared; ``last``: how many earlier releases are asked after."""

    def closed(stream: Stream) -> tuple[GateResult, ...]:
        """What keeps out what waits, as far as that can be told without reading the images."""
        try:
            return _shut(walk.gate(walk.resolve(stream), None))
        except (NotFound, ConfigError):
            return ()

    now, published = walk.clock(), _published(walk)
    return auditing.audit(
        walk.config, streams, walk.ledger, walk.instruments.reader, published, now=now, last=last, closed=closed
    )


def _since(walk: Lifecycle, stream: Stream, held: tuple[VariantState, ...]) -> tuple[VariantState, ...]:
    observed, now = walk.ledger.observed(), walk.clock()
    return tuple(
        replace(one, since=observed.first_seen(one.holds, stream.name, one.name, now=now)) if one.holds else one
        for one in held
    )


def _stalled(walk: Lifecycle, stream: Stream, gates: Sequence[GateResult]) -> tuple[Finding, ...]:
    """What `relman audit` would say of the rhythm of ``stream``, and of the one that it promotes from."""
    source = (walk.config.stream(stream.source),) if stream.source else ()
    shut = _shut(gates)
    asked = (
        Facts(
            walk.config,
            one,
            walk.ledger.records(one.name),
            (),
            walk.ledger.observed(),
            walk.instruments.resolver.tags,
            Images(walk.instruments.told),
            walk.instruments.reader,
            _published(walk),
            walk.clock(),
            0,
            lambda other: shut if other.name == stream.name else (),
        )
        for one in (stream, *source)
        if one.expect
    )
    return tuple(answer for one in asked for answer in standstill(one) if isinstance(answer, Finding))


def _shut(gates: Sequence[GateResult]) -> tuple[GateResult, ...]:
    return tuple(gate for gate in gates if not gate.opens and gate.state is not State.SKIPPED)


def _published(walk: Lifecycle) -> Published:
    return Published(walk.instruments.plan_of, lambda kind: walk.hands.executors.get(kind), walk.hands.eyes)
