"""Reads and writes documents: bounded, strict, with errors that name the key."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from relman import __version__
from relman.errors import Malformed

D = TypeVar("D")

PLAN_LIMIT = 64 * 1024 * 1024
"""The largest plan that is read, in bytes."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SCHEMA = re.compile(r"relman\.[a-z-]+/[0-9]{1,9}", re.ASCII)
_SHOWN = 3


def read_json(content: bytes, *, what: str, limit: int) -> object:
    """The value in ``content``, at most ``limit`` bytes of it; ``what`` names it in errors.

    Stricter than `json`: a key that stands twice, a number that is not finite and text that is no Unicode are
    `Malformed` too, since each would be another value to another reader.
    """
    if len(content) > limit:
        raise Malformed(f"{what} is larger than {limit // 1024} KiB")
    try:
        value: object = json.loads(
            content.decode(), object_pairs_hook=_unique, parse_constant=_number, parse_float=_number
        )
        if _SURROGATE.search(content):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise Malformed(f"{what} is not UTF-8 text") from error
    except RecursionError as error:
        raise Malformed(f"{what} nests too deep") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"{what} is not JSON: {error.msg}, at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:
        raise Malformed(printable(f"{what} is not JSON: {error}")) from error
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key `{next(key for key in keys if keys.count(key) > 1)[:60]}` stands there twice")
    return found


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"`{text[:40]}` is not a number")
    return number


def validated(adapter: TypeAdapter[D], document: object, schema: str, *, what: str) -> D:
    """``document`` as ``adapter`` has it; its ``schema`` must be exactly ``schema``, keys beside the known are let be.

    Raises `Malformed`, which names every key that is wrong (the first few of many).
    """
    check_schema(document, schema, what=what)
    try:
        return adapter.validate_python(document, strict=True)
    except ValidationError as error:
        faults = [f"`{_path(fault['loc'])}` {_reason(fault['type'], fault['msg'])}" for fault in error.errors()]
        more = f"; and {len(faults) - _SHOWN} more faults" if len(faults) > _SHOWN else ""
        raise Malformed(printable(f"{what} is not a `{schema}`: {'; '.join(faults[:_SHOWN])}{more}")) from error


def check_schema(document: object, schema: str, *, what: str) -> None:
    """Refuse what is not a ``schema`` with `Malformed`; where another version of relman may read it, say which."""
    found = document.get("schema") if isinstance(document, Mapping) else None
    if found == schema:
        return
    if not isinstance(found, str) or not _SCHEMA.fullmatch(found):
        raise Malformed(f'{what} is not a document of relman: it has no `"schema": "{schema}"`')
    name, _, number = schema.partition("/")
    other, _, theirs = found.partition("/")
    if other != name:
        raise Malformed(f"{what} is a `{found}`, not a `{schema}`")
    age = "newer" if int(theirs) > int(number) else "older"
    raise Malformed(
        f"{what} is a `{found}`, and relman {__version__} reads `{schema}`",
        hint=f"use a relman that is {age} than {__version__}, such as the one that wrote it",
    )


def canonical(document: Mapping[str, object]) -> bytes:
    """The one spelling of a document that is kept and hashed: indented by one, UTF-8, a newline at the end."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def compact(document: Mapping[str, object]) -> bytes:
    """`canonical` for machines: on one line, without spaces."""
    return (json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n").encode()


def printable(text: str) -> str:
    """``text`` with everything that a terminal would act on spelled out: errors quote what strangers wrote."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _path(location: Sequence[int | str]) -> str:
    """``variants[0].digest``."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:60]}" for part in location)
    return path.removeprefix(".") or "the whole"


def _reason(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return "has a bad value: " + message.removeprefix("Value error, ")
    return "has a bad value: " + message[:1].lower() + message[1:]
