"""Whether a stream moves as often as its project says (`[streams.X] expect`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from relman.model.audit import Code
from relman.model.gates import GateResult
from relman.model.observed import Observations
from relman.model.oci import Digest, Image
from relman.model.state import age
from relman.model.streams import Place, Stream
from relman.walk.audit.facts import Answer, Facts


def standstill(facts: Facts) -> Iterator[Answer]:
    """Variants that have not moved for longer than expected, and candidates that have waited for longer."""
    held = facts.held()
    yield from _missing(facts, held)
    expect = facts.stream.expect
    if expect is None:
        yield facts.unchecked(
            Code.STANDSTILL, f"[streams.{facts.stream.name}] has no `expect`: nobody says how often it moves"
        )
        return
    waits = _waiting(facts, held)
    still: dict[str, datetime] = {}
    ageless: list[str] = []
    for place in facts.places:
        digest = held[place.variant.name]
        since = _since(facts, place, digest) if digest else None
        if since and facts.now - since > expect:
            still[place.variant.name] = since
        elif digest and since is None:
            ageless.append(place.variant.name)
    if ageless:
        _, words = facts.variants(ageless)
        yield facts.unchecked(
            Code.STANDSTILL, f"nobody knows since when {words} holds what it holds: run `relman observe`"
        )
    late = {name: since for name, (_, since) in waits.items() if facts.now - since > expect and name not in still}
    if still:
        yield _still(facts, still, waits)
    if late:
        yield _late(facts, late, waits)


def _missing(facts: Facts, held: Mapping[str, Digest | None]) -> Iterator[Answer]:
    """Variants without a tag, in a stream that builds push to. A promoted one may not have begun yet."""
    for place in facts.places:
        if held[place.variant.name] is None and facts.stream.source is None:
            yield facts.finding(
                Code.STANDSTILL,
                f"`{facts.primary(place)}` is not there: `{facts.stream.name}` has no `{place.variant.name}`",
                "push it, or take the variant out of the configuration",
                variant=place.variant.name,
                evidence={"tag": str(facts.primary(place)), "holds": None},
            )


def _still(facts: Facts, still: dict[str, datetime], waits: dict[str, tuple[Digest, datetime]]) -> Answer:
    one, words = facts.variants(still)
    since = min(still.values())
    waiting = {name: digest for name, (digest, _) in waits.items() if name in still}
    message = f"{words} has not moved for {age(since, facts.now)}; expected is {_expected(facts)}"
    hint = "see whether builds still arrive"
    if waiting:
        gates = facts.closed(facts.stream)
        message += f"; meanwhile `{facts.stream.source}` holds another build, which waits{_behind(gates)}"
        hint = _look(facts, gates)
    return facts.finding(
        Code.STANDSTILL,
        message,
        hint,
        variant=one,
        evidence={"since": {name: _text(at) for name, at in still.items()}, "waits": waiting}
        | ({"gates": _names(gates)} if waiting else {}),
    )


def _late(facts: Facts, late: dict[str, datetime], waits: dict[str, tuple[Digest, datetime]]) -> Answer:
    one, words = facts.variants(late)
    since = min(late.values())
    gates = facts.closed(facts.stream)
    return facts.finding(
        Code.STANDSTILL,
        f"a build of {words} has waited in `{facts.stream.source}` for {age(since, facts.now)}{_behind(gates)}; "
        f"expected is {_expected(facts)}",
        _look(facts, gates),
        variant=one,
        evidence={
            "since": {name: _text(at) for name, at in late.items()},
            "waits": {name: waits[name][0] for name in late},
            "gates": _names(gates),
        },
    )


def _names(gates: Sequence[GateResult]) -> list[str]:
    return list(dict.fromkeys(gate.gate for gate in gates))


def _behind(gates: Sequence[GateResult]) -> str:
    """Which gates do not open, as part of a sentence."""
    if not gates:
        return ""
    states = {name: next(gate.state for gate in gates if gate.gate == name) for name in _names(gates)}
    closed = ", ".join(f"`{name}` ({state})" for name, state in states.items())
    return f" behind {closed}"


def _look(facts: Facts, gates: Sequence[GateResult]) -> str:
    name = facts.stream.name
    return (
        f"`relman status {name}` shows what would open it"
        if gates
        else f"no gate is known to be closed: does the job that runs `relman release {name}` still run?"
    )


def _expected(facts: Facts) -> str:
    assert facts.stream.expect
    seconds = int(facts.stream.expect.total_seconds())
    return f"{seconds // 86400} d" if seconds % 86400 == 0 else f"{seconds / 3600:g} h"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _since(facts: Facts, place: Place, digest: Digest) -> datetime | None:
    """When the stream came to hold ``digest``, as far as is known: by record, as observed, else when it was made."""
    current = facts.current if facts.stream.source else None
    recorded = facts.digest_at(current, place) if current else None
    if current is None or recorded is None:
        return _earliest(facts, facts.stream, place, digest, [])
    released = current.finished or current.created
    if recorded == digest:
        return _earliest(facts, facts.stream, place, digest, [released])
    # Somebody else put it there, after the release: when it was made says nothing of when that was.
    since = _earliest(facts, facts.stream, place, digest, [])
    return max(since, released) if since else released


def _earliest(facts: Facts, stream: Stream, place: Place, digest: Digest, by_record: list[datetime]) -> datetime | None:
    name = place.variant.name
    seen = facts.observed.first_seen(digest, stream.name, name, now=facts.now)
    known = [*by_record, *([seen] if seen else [])]
    if not known or (stream.source is None and not _came_after_another(facts.observed, stream, name, digest)):
        # Observing began after it came: a stream that is built in place has it since it was made, or soon after.
        image = facts.images.look(place.repository.digest(digest))
        created = [part.created for part in image.platforms if part.created] if isinstance(image, Image) else []
        known += created[:1]
    return min(known, default=None)


def _came_after_another(observed: Observations, stream: Stream, variant: str, digest: Digest) -> bool:
    """Whether something else was seen there before, so that the time of the change is known."""
    return any(entry.digest != digest for entry in observed.history((stream.name, variant, "")))


def _waiting(facts: Facts, held: Mapping[str, Digest | None]) -> dict[str, tuple[Digest, datetime]]:
    """What the source holds and the stream does not, and since when."""
    if facts.stream.source is None:
        return {}
    source = facts.config.stream(facts.stream.source)
    found: dict[str, tuple[Digest, datetime]] = {}
    for variant in facts.config.variants:
        place = facts.config.place(variant, source)
        digest = facts.tags.holds(facts.primary(place, source))
        if digest and digest != held.get(variant.name):
            since = _earliest(facts, source, place, digest, [])
            if since:
                found[variant.name] = (digest, since)
    return found
