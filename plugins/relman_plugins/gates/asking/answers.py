"""JSON from strangers: within bounds, no key twice, and of the shape that was expected, or the gate stays closed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from relman.model.gates import State
from relman_plugins.gates.signature.documents import read_json
from relman_plugins.gates.verdict import Closed, Verdict, plain


def unreadable(what: str, why: object) -> Closed:
    """``what`` is not what it should be."""
    return Closed(Verdict(State.ERROR, f"{what} cannot be read: {plain(why)}", "unreadable"))


def json_of(content: bytes, what: str, *, limit: int) -> Any:
    """The JSON in ``content``. Raises `Closed` for anything else, and for what may have been cut at ``limit`` bytes."""
    if len(content) >= limit:
        raise unreadable(what, f"it is larger than {limit // 1024} KiB")
    head = content[:512].lstrip().lower()
    if head.startswith(b"<"):
        reason = f"{what} is a page for people and no JSON: is a login needed?"
        raise Closed(Verdict(State.ERROR, reason, "not-json", "an address that answers with JSON, or a token"))
    if not head:
        raise Closed(Verdict(State.ERROR, f"{what} is empty", "empty-report"))
    try:
        return read_json(content)
    except ValueError as error:
        raise unreadable(what, error) from error


def object_of(value: object, what: str) -> dict[str, Any]:
    """``value``, an object. Raises `Closed`."""
    if not isinstance(value, dict):
        raise unreadable(what, "it is not an object")
    return value


def list_of(value: object, what: str) -> list[Any]:
    """``value``, a list. Raises `Closed`."""
    if not isinstance(value, list):
        raise unreadable(what, "it is not a list")
    return value


def text_of(value: object) -> str:
    """``value`` where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def field_of(document: object, path: str) -> object:
    """What stands at ``result.state`` in ``document``; `None` where nothing does. A number leads into a list."""
    found: object = document
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and re.fullmatch(r"[0-9]{1,6}", step) and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def moment_of(value: object) -> datetime | None:
    """A time as in RFC 3339, in UTC; `None` for anything else. Parts of a second beyond millionths are left out."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    text = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", value.replace("Z", "+00:00"))
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def stamp(moment: datetime | None) -> str | None:
    """A time as evidence has it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
