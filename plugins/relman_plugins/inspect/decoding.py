"""JSON as SBOMs have it: typed, only the keys that are used, bounded, and refused by what is wrong with it."""

from __future__ import annotations

import threading
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from relman.plugin import Malformed

_OBJECT_LIMIT = 4_000_000  # objects within one list: each costs a hundred bytes once it is read
_STEP = 256 * 1024  # larger ones would come from the system each time, and cost more than the counting

ABSENT: Final = Raw()
"""A key that is not there."""

_decoders: dict[object, msgspec.json.Decoder[Any]] = {}
_preparing = threading.Lock()

T = TypeVar("T")
Json = bytes | bytearray | memoryview | Raw


def decode(content: Json, kind: type[T], what: str) -> T:
    """``content`` as ``kind``. Raises `Malformed`, naming ``what`` it is."""
    try:
        found: T = _decoder(kind).decode(content)
        return found
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(_why_not(content, error, what)) from error


def _decoder(kind: object) -> msgspec.json.Decoder[Any]:
    """The decoder of a type. msgspec 0.22 crashes where two threads prepare one type at once: here one does."""
    found = _decoders.get(kind)
    if found is None:
        with _preparing:
            found = _decoders[kind] = msgspec.json.Decoder(kind)
    return found


def _why_not(content: Json, error: Exception, what: str) -> str:
    head = bytes(memoryview(content)[:200]).lstrip()
    for start, kind in ((b"SPDXVersion:", "SPDX as tag-value text"), (b"<", "XML")):
        if head.startswith(start):
            return f"it is {kind}, which is not read: publish it as JSON"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head[:1] == b"\0" or head[1:2] == b"\0":
        return "it is UTF-16 or UTF-32 text, and JSON is UTF-8"
    if isinstance(error, msgspec.ValidationError):
        return f"{what} is not what its format says: {error}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"it is not JSON, or cut: {error}"


def braces(content: Json) -> int:
    """How many objects JSON has at most, before any of it is decoded."""
    view = memoryview(content)
    return sum(bytes(view[at : at + _STEP]).count(b"{") for at in range(0, len(view), _STEP))


def items(raw: Raw, kind: type[T], what: str) -> list[T]:
    """A list of the document, read; an absent one and `null` are empty."""
    if not raw:
        return []
    if braces(raw) > _OBJECT_LIMIT:
        raise Malformed(f"{what} holds more than {_OBJECT_LIMIT} objects")
    return decode(raw, list[kind] | None, what) or []  # type: ignore[valid-type, arg-type]
