"""What a feed holds, whatever it is written in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from relman.plugin import Malformed

LARGEST = 32 * 1024 * 1024
"""The largest feed that is read, in bytes: some thousand releases."""

_OWN = re.compile(r"tag:[^,\s]+,[0-9]{4}:relman/([0-9a-f]{32})")

T = TypeVar("T")


def entry_id(domain: str, year: int, key: str) -> str:
    """The id of an entry, a `tag:` URI (RFC 4151): ``domain`` is the project's, ``year`` one in which it was."""
    return f"tag:{domain},{year}:relman/{key}"


def key_of(id: str) -> str | None:
    """The key of the action that wrote the entry of this id; `None` for an entry of somebody else's.

    It is what tells entries apart: the domain may come to be another one.
    """
    found = _OWN.fullmatch(id)
    return found.group(1) if found else None


class Entry(msgspec.Struct, frozen=True):
    """A release in a feed. ``id`` never changes, and tells a repetition from news (RFC 4287, 4.2.6).

    ``url`` is the page with the whole notes, ``html`` what readers show, ``published`` when it first stood there.
    """

    id: str
    title: str
    url: str | None
    author: str
    html: str
    published: datetime
    updated: datetime

    def says(self, other: Entry) -> bool:
        """Whether readers see the same in both."""
        own = (self.key, self.title, self.url, self.author, self.html)
        return own == (other.key, other.title, other.url, other.author, other.html)

    @property
    def key(self) -> str | None:
        """The key of the action that wrote it."""
        return key_of(self.id)


class Slot(msgspec.Struct, Generic[T], frozen=True):
    """An entry as it stands in a file: ``own`` where relman wrote it, ``raw`` to be kept as it is where not."""

    raw: T
    own: Entry | None


class Head(msgspec.Struct, frozen=True):
    """What a feed says of itself. ``url`` is its own address, ``home`` the page that it belongs to."""

    id: str
    title: str
    url: str | None
    home: str | None


def with_entry(slots: Iterable[Slot[T]], entry: Entry, most: int, raw: Callable[[Entry], T]) -> tuple[Slot[T], ...]:
    """``slots`` with ``entry``, in its place where it stood before, else in front; of relman's own at most ``most``.

    The oldest go. An entry keeps the time at which it was first published.
    """
    slots = tuple(slots)
    before = standing(slots, entry.key)
    if before:
        entry = replace(entry, id=before.id, published=before.published)
        slots = tuple(Slot(raw(entry), entry) if slot.own is before else slot for slot in slots)
    else:
        slots = (Slot(raw(entry), entry), *slots)
    own = sorted((slot.own for slot in slots if slot.own), key=lambda one: one.published, reverse=True)
    kept = {one.key for one in own[:most]}
    return tuple(slot for slot in slots if slot.own is None or slot.own.key in kept)


def without_entry(slots: Iterable[Slot[T]], key: str) -> tuple[Slot[T], ...]:
    """``slots`` without the entry of that key."""
    return tuple(slot for slot in slots if not (slot.own and slot.own.key == key))


def standing(slots: Iterable[Slot[T]], key: str | None) -> Entry | None:
    """The entry of that key, if it is there."""
    return next((slot.own for slot in slots if slot.own and slot.own.key == key), None)


def moment(text: str) -> datetime:
    """A time of RFC 3339. Raises `ValueError`."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"`{text}` has no time zone")
    return found.astimezone(UTC)


def written(at: datetime) -> str:
    """The same as text, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bounded(content: bytes, what: str) -> bytes:
    """``content``, unless it is too large to be a feed."""
    if len(content) > LARGEST:
        raise Malformed(f"{what} has {len(content):,} bytes, which is more than a feed has")
    return content
