"""Values that documents spell as text, and the JSON that plugins hang into them (RFC 3339, RFC 8259)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from relman.model.oci import Platform, parse_reference

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_DEPTH = 64
_LONGEST = 4096


def rfc3339(moment: datetime) -> str:
    """``moment`` in UTC with a ``Z``; fractions only where there are some. Raises `ValueError` without a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"`{moment}` has no time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """The moment, in UTC. Raises `ValueError` for anything but a date, a time and a zone."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"`{text[:60]}` is not a time (`2025-06-08T12:00:00Z`)")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`{text[:60]}` is not a time: {error}") from error


def plain(value: object) -> object:
    """``value`` as JSON has it: objects with sorted keys, arrays, text, finite numbers, true, false, null.

    Values that are equal give the same bytes. Raises `ValueError` for everything that JSON cannot hold, for text that
    is no Unicode, and for what nests deeper than 64 levels.
    """
    return _plain(value, _DEPTH)


def plain_object(value: Mapping[str, object]) -> dict[str, object]:
    """`plain` for an object."""
    return {key: _plain(value[key], _DEPTH - 1) for key in sorted(_keys(value))}


def _plain(value: object, depth: int) -> object:
    if depth < 0:
        raise ValueError(f"nests deeper than {_DEPTH} levels")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"`{value}` is not a number that JSON has")
        return value
    if isinstance(value, Mapping):
        return {key: _plain(value[key], depth - 1) for key in sorted(_keys(value))}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    raise ValueError(f"a {type(value).__name__} is no JSON")


def _keys(value: Mapping[str, object]) -> list[str]:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"`{key!r}` is not a key that JSON has")
    return [_text(key) for key in value]


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair is no text") from error
    return str(value)


def _time(text: str) -> str:
    parse_rfc3339(text)
    return text


def _platform(text: str) -> str:
    Platform.parse(text)
    return text


def _reference(text: str) -> str:
    parse_reference(text)
    return text


def bounded(text: str) -> str:
    """``text`` short and writable: a service that answers with a megabyte must not cost the document."""
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return text.encode(errors="replace").decode()


def one_of(kind: type[StrEnum]) -> BeforeValidator:
    """Read a member of ``kind`` from its text, and from nothing else: documents are read strictly."""

    def read(value: object) -> object:
        if isinstance(value, str) and value in kind._value2member_map_:
            return kind(value)
        raise ValueError(f"it is one of {', '.join(f'`{member}`' for member in kind)}")

    return BeforeValidator(read)


Time: TypeAlias = Annotated[str, AfterValidator(_time), Field(json_schema_extra={"format": "date-time"})]
"""A moment as RFC 3339 spells it; relman writes UTC with a ``Z``."""

PlatformText: TypeAlias = Annotated[str, AfterValidator(_platform)]
"""``linux/amd64``."""

ReferenceText: TypeAlias = Annotated[str, AfterValidator(_reference)]
"""An image's or a repository's name, as the command line takes it."""

Name: TypeAlias = Annotated[str, Field(min_length=1)]
"""Text that cannot be empty."""

JsonObject: TypeAlias = Annotated[dict[str, object], AfterValidator(plain_object)]
"""An object whose keys relman does not know: evidence, payloads."""
