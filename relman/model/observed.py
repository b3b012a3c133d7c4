"""What tags were seen to hold, and since when: `relman observe` notes it, gates and `relman audit` ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

import msgspec

from relman.model.oci import Digest

Slot: TypeAlias = tuple[str, str, str]
"""What has one history: stream, variant, and a dated tag's name, which is ``""`` for the stream's own tag."""


class TagKind(StrEnum):
    """``stream``: the first of the tags that move; ``dated``: one that should be written once."""

    STREAM = "stream"
    DATED = "dated"


class Observation(msgspec.Struct, frozen=True):
    """A tag as it was seen at a moment. ``digest`` is `None` where a tag that was there before was there no more."""

    at: datetime
    stream: str
    variant: str
    kind: TagKind
    tag: str
    digest: Digest | None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"`{self.at}` has no time zone")

    @property
    def slot(self) -> Slot:
        """What it is a part of the history of."""
        return (self.stream, self.variant, self.tag if self.kind is TagKind.DATED else "")


class Observations(msgspec.Struct, frozen=True, dict=True):
    """All that was noted, in the order in which it was noted; only changes were."""

    entries: tuple[Observation, ...] = ()

    @cached_property
    def _histories(self) -> Mapping[Slot, tuple[Observation, ...]]:
        histories: dict[Slot, list[Observation]] = {}
        for entry in self.entries:
            histories.setdefault(entry.slot, []).append(entry)
        return {slot: tuple(found) for slot, found in histories.items()}

    @cached_property
    def _tags(self) -> Mapping[tuple[str, str], list[str]]:
        tags: dict[tuple[str, str], list[str]] = {}
        for stream, variant, tag in self._histories:
            tags.setdefault((stream, variant), []).extend([tag] if tag else [])
        return tags

    def history(self, slot: Slot) -> tuple[Observation, ...]:
        """What was noted of one tag, the oldest first; empty where it never was."""
        return self._histories.get(slot, ())

    def last(self, slot: Slot) -> Observation | None:
        """What was noted of a tag most recently."""
        history = self.history(slot)
        return history[-1] if history else None

    def dated(self, stream: str, variant: str) -> Iterator[tuple[Observation, ...]]:
        """The history of each dated tag of a variant."""
        for tag in self._tags.get((stream, variant), ()):
            yield self.history((stream, variant, tag))

    def held(self, stream: str, variant: str) -> Digest | None:
        """What the stream's tag held when it was last noted; `None` where it was not there, or never seen."""
        last = self.last((stream, variant, ""))
        return last.digest if last else None

    def first_seen(self, digest: Digest, stream: str, variant: str, *, now: datetime) -> datetime | None:
        """Since when the stream's tag held ``digest`` without a break; `None` where it was never seen there.

        What came after it is let be: a newer candidate takes nothing from an older one. A digest that comes back after
        another one, or after the tag was gone, starts anew. Never later than ``now``: times that a clock ahead of ours
        noted do not count, and where there is no other it was seen only now. So a wrong clock can make a soak longer,
        and never shorter.
        """
        history = self.history((stream, variant, ""))
        times: list[datetime] = []
        for entry in reversed(history):
            if entry.digest == digest:
                times.append(entry.at)
            elif times:
                break
        if not times:
            return None
        return max((at for at in times if at <= now), default=now)


def changes(
    previous: Observations, now: Iterable[Observation], *, known: Observations | None = None
) -> tuple[Observation, ...]:
    """What of ``now`` is to be noted beside ``previous``: digests that differ from the last one noted of their tag.

    The digest of a stream's tag is noted again where its last note lies in the future: then a clock went back, and the
    new note is the one to count from. ``known`` is what had been noted when looking began: of a tag that another run
    has noted since, its word stands, which is newer than ours.
    """
    return tuple(
        entry
        for entry in now
        if (known is None or len(previous.history(entry.slot)) == len(known.history(entry.slot)))
        and _is_news(previous.last(entry.slot), entry)
    )


def _is_news(last: Observation | None, entry: Observation) -> bool:
    if last is None or last.digest != entry.digest:
        return entry.digest is not None or last is not None
    return went_back(last, entry)


def went_back(last: Observation, entry: Observation) -> bool:
    """Whether ``entry`` says only that the clock went back since ``last``."""
    return last.digest == entry.digest is not None and entry.kind is TagKind.STREAM and entry.at < last.at
