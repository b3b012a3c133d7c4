"""Header blobs: one rpm package as the rpm database holds it.

All numbers are big-endian: how many index entries, how many bytes of data; the entries (tag, type, offset, count); the
data that they point into (rpm's docs, "RPM v4 header format"; checked as rpm's `lib/header.c` does). Blobs are
hostile: every offset and count is checked before it is used, and nothing is read that nobody asks for.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from enum import IntEnum

from relman.plugin import Malformed

LIMIT = 64 * 1024 * 1024
"""The most bytes of one header: the largest real ones have some megabytes."""


class Tag(IntEnum):
    """The tags that are read (rpm's `include/rpm/rpmtag.h`)."""

    NAME = 1000
    VERSION = 1001
    RELEASE = 1002
    EPOCH = 1003
    SIZE = 1009
    VENDOR = 1011
    ARCH = 1022
    FILESTATES = 1029
    FILEDIGESTS = 1035
    FILEFLAGS = 1037
    SOURCERPM = 1044
    CHANGELOGTIME = 1080
    CHANGELOGNAME = 1081
    CHANGELOGTEXT = 1082
    OBSOLETENAME = 1090
    OBSOLETEFLAGS = 1114
    OBSOLETEVERSION = 1115
    DIRINDEXES = 1116
    BASENAMES = 1117
    DIRNAMES = 1118
    LONGSIZE = 5009
    FILEDIGESTALGO = 5011
    MODULARITYLABEL = 5096


_INTRO = struct.Struct(">II")
_ENTRY_SIZE = 16
_ENTRY_LIMIT = 0xFFFF  # HEADER_TAGS_MAX
_STRING, _STRING_ARRAY, _I18N = 6, 8, 9
_TEXTS = frozenset({_STRING, _STRING_ARRAY, _I18N})
_NUMBERS = {1: ("B", 1), 2: ("B", 1), 3: ("H", 2), 4: ("I", 4), 5: ("Q", 8)}  # CHAR, INT8, INT16, INT32, INT64


class Header:
    """The index of one blob. Raises `Malformed` where it is cut, or claims what cannot be."""

    __slots__ = ("_blob", "_flat", "_places", "_start")

    def __init__(self, blob: bytes) -> None:
        size = len(blob)
        if size < _INTRO.size:
            raise Malformed(f"its header is cut: it has {size} bytes")
        count, length = _INTRO.unpack_from(blob)
        if not 0 < count <= _ENTRY_LIMIT or size > LIMIT:
            raise Malformed(f"its header claims {count} entries in {size} bytes")
        start = _INTRO.size + _ENTRY_SIZE * count
        if start + length != size:
            raise Malformed(f"its header claims {count} entries, {length} bytes of data, and has {size} bytes in all")
        flat = struct.unpack_from(f">{4 * count}I", blob, _INTRO.size)
        # What rpm adds when it installs a package stands last, and takes the place of an earlier entry of that tag.
        self._places = dict(zip(flat[::4], range(1, len(flat), 4), strict=True))
        self._flat = flat
        self._blob = blob
        self._start = start

    def text(self, tag: Tag) -> bytes | None:
        """The string of ``tag``, of several the first (untranslated) one; `None` where the header has no such tag."""
        place = self._places.get(tag)
        if place is None:
            return None
        kind, offset, count = self._flat[place : place + 3]
        start, size = self._start + offset, len(self._blob)
        if kind not in _TEXTS or not 0 < count <= size - start:
            self._entry(tag, place, _TEXTS)  # which says what is wrong
        end = self._blob.find(b"\0", start)
        if end < 0:
            raise Malformed(f"{_named(tag)} has no end")
        return self._blob[start:end]

    def texts(self, tag: Tag) -> list[bytes]:
        """Every string of ``tag``; empty where the header has no such tag."""
        place = self._places.get(tag)
        if place is None:
            return []
        _, start, count = self._entry(tag, place, _TEXTS)
        pieces = self._blob[start:].split(b"\0", count)
        if len(pieces) != count + 1:
            raise Malformed(f"{_named(tag)} claims {count} strings, and has {len(pieces) - 1}")
        pieces.pop()
        return pieces

    def numbers(self, tag: Tag) -> tuple[int, ...]:
        """Every number of ``tag``, none of them negative; empty where the header has no such tag."""
        place = self._places.get(tag)
        if place is None:
            return ()
        kind, start, count = self._entry(tag, place, _NUMBERS)
        code, width = _NUMBERS[kind]
        if start + count * width > len(self._blob):
            raise Malformed(f"{_named(tag)} claims {count} numbers, more than its header holds")
        return struct.unpack_from(f">{count}{code}", self._blob, start)

    def number(self, tag: Tag) -> int | None:
        """The first number of ``tag``; `None` where the header has no such tag."""
        return next(iter(self.numbers(tag)), None) if tag in self._places else None

    def _entry(self, tag: Tag, place: int, kinds: Container[int]) -> tuple[int, int, int]:
        """The type, where the values start, and how many there are."""
        kind, offset, count = self._flat[place : place + 3]
        if kind not in kinds:
            raise Malformed(f"{_named(tag)} is of type {kind}")
        start = self._start + offset
        if start >= len(self._blob):
            raise Malformed(f"{_named(tag)} lies outside of the header, at {offset}")
        if not 0 < count <= len(self._blob) - start:
            raise Malformed(f"{_named(tag)} claims {count} values")
        return kind, start, count


def _named(tag: Tag) -> str:
    return f"its {tag.name.lower()} (tag {tag.value})"
