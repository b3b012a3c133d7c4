"""JSON from strangers and from policies: within bounds, no key twice, exactly the keys that belong there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def read_json(content: bytes) -> Any:
    """The value. Raises `ValueError`; a key that stands twice is refused, since readers differ in which one counts."""
    try:
        return json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def fields(value: object, names: Iterable[str], what: str) -> dict[str, Any]:
    """``value`` as an object with exactly the keys ``names``. Raises `ValueError`."""
    wanted = set(names)
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    if set(value) != wanted:
        odd = ", ".join(f"`{name[:40]}`" for name in sorted(set(value) ^ wanted)[:3])
        raise ValueError(f"{what} lacks or should not have {odd}")
    return value


def text(value: object, what: str) -> str:
    """``value`` as a text. Raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is not a text")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in it")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"`{name}` is no JSON")
