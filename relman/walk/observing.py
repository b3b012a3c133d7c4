"""observe: which digest each stream's tag holds now, and which each dated tag that nobody has seen yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from relman.config import Config
from relman.ledger.protocol import Ledger
from relman.model.observed import Observation, Observations, TagKind, went_back
from relman.model.oci import Digest
from relman.model.streams import Place, Stream
from relman.walk.parallel import in_parallel
from relman.walk.tags import TagBook

AT_ONCE = 1000
"""Dated tags of one variant that a run asks for, at most, so that the first run on an old repository ends."""


class Held(msgspec.Struct, frozen=True):
    """What a variant's tag in a stream holds now (`None`: it is not there), and since when that was seen."""

    stream: str
    variant: str
    tag: str
    digest: Digest | None
    since: datetime | None


class Observed(msgspec.Struct, frozen=True):
    """What one run of `relman observe` found: what it noted beside what was ``known``, and what every stream holds."""

    known: Observations
    noted: tuple[Observation, ...]
    held: tuple[Held, ...]
    notes: tuple[str, ...]


class Sighting(msgspec.Struct, frozen=True):
    """All tags that were looked at, and what has to be said of it."""

    entries: tuple[Observation, ...]
    notes: tuple[str, ...]


def observe(config: Config, streams: Sequence[Stream], tags: TagBook, ledger: Ledger, now: datetime) -> Observed:
    """Look, note in the ledger what has changed, and tell. Where the registry does not answer nothing is noted."""
    known = ledger.observed()
    sighting = look(config, streams, tags, known, now)
    noted = ledger.observe(sighting.entries, known=known)
    return _outcome(known, sighting, noted, ledger.observed(), now)


def look(config: Config, streams: Sequence[Stream], tags: TagBook, known: Observations, now: datetime) -> Sighting:
    """Every stream's tag, dated tags that were never seen, and those that were seen and are gone.

    Dated tags that are known and still there are not asked again: whether one moved is for `relman audit`.
    """
    places = [(stream, config.place(variant, stream)) for stream in streams for variant in config.variants]
    in_parallel(tags.list, dict.fromkeys(place.repository for _, place in places))
    wanted: list[tuple[Stream, Place, TagKind, str]] = []
    gone: list[Observation] = []
    notes: list[str] = []
    for stream, place in places:
        name = place.variant.name
        primary = stream.primary.make(place.variant.suffix, today=now.date(), build=None)
        wanted.append((stream, place, TagKind.STREAM, primary))
        there = [version.tag for version in tags.dated(stream, place)]
        last = {history[-1].tag: history[-1].digest for history in known.dated(stream.name, name)}
        new = [tag for tag in there if last.get(tag) is None]
        wanted += [(stream, place, TagKind.DATED, tag) for tag in new[:AT_ONCE]]
        if len(new) > AT_ONCE:
            left = len(new) - AT_ONCE
            notes.append(f"`{stream.name}` of `{name}`: {left:,} older dated tags are left for the next run")
        seen_before = {tag for tag, digest in last.items() if digest is not None}
        missing = sorted(seen_before.difference(there))
        gone += [Observation(now, stream.name, name, TagKind.DATED, tag, None) for tag in missing]
    digests = in_parallel(lambda one: tags.holds(one[1].repository.tag(one[3])), wanted)
    seen = [
        Observation(now, stream.name, place.variant.name, kind, tag, digest)
        for (stream, place, kind, tag), digest in zip(wanted, digests, strict=True)
    ]
    return Sighting((*seen, *gone), (*notes, *_clock_notes(seen, known)))


def _clock_notes(seen: Sequence[Observation], known: Observations) -> tuple[str, ...]:
    found = [(last, entry) for entry in seen if (last := known.last(entry.slot)) and went_back(last, entry)]
    if not found:
        return ()
    last, entry = max(found, key=lambda pair: pair[0].at)
    return (
        f"the clock went back: `{last.stream}` of `{last.variant}` was noted at {last.at:%Y-%m-%d %H:%M:%S}, and now "
        f"it is {entry.at:%Y-%m-%d %H:%M:%S}; what streams hold is counted from now on",
    )


def _outcome(
    known: Observations, sighting: Sighting, noted: tuple[Observation, ...], after: Observations, now: datetime
) -> Observed:
    """What the run tells: ``noted`` is what the ledger wrote, ``after`` all that it holds then."""
    held = tuple(
        Held(
            entry.stream,
            entry.variant,
            entry.tag,
            entry.digest,
            after.first_seen(entry.digest, entry.stream, entry.variant, now=now) if entry.digest else None,
        )
        for entry in sighting.entries
        if entry.kind is TagKind.STREAM
    )
    return Observed(known, noted, held, sighting.notes)
