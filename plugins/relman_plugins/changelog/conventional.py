"""What a commit's message says by convention: its type, whether it breaks something, which commits it takes back.

Sources: Conventional Commits 1.0.0 (items 1-5, 11-16) and what `git revert` writes. A message that follows no
convention is read as far as it goes; none is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = re.compile(
    r"(?P<type>[A-Za-z][A-Za-z0-9_-]{0,49})(?:\((?P<scope>[^()]*)\))?(?P<bang>!)?:[ \t]+\S",
)
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE(?::(?=\s|\Z)| #\S)", re.MULTILINE)
_SHA = r"[0-9a-fA-F]{7,64}"
_REVERTS = re.compile(rf"\bThis reverts commits?\s+({_SHA}(?:(?:,?\s+and\s+|,\s*){_SHA})*)\b")


@dataclass(frozen=True, slots=True)
class Reading:
    """``type`` (in lower case) and ``scope`` are `None` where the subject is of another shape.

    ``reverts`` are the commits that the message says it reverts, in lower case, as long or short as they stand there.
    """

    type: str | None
    scope: str | None
    breaking: bool
    reverts: tuple[str, ...]


def read(subject: str, message: str) -> Reading:
    """Read a commit's ``subject`` and its whole ``message``, which begins with the subject."""
    header = _HEADER.match(subject)
    reverts = (sha for found in _REVERTS.findall(message) for sha in re.findall(_SHA, found))
    return Reading(
        type=header["type"].lower() if header else None,
        scope=((header["scope"] or "").strip() or None) if header else None,
        breaking=bool(header and header["bang"]) or _BREAKING.search(message) is not None,
        reverts=tuple(dict.fromkeys(sha.lower() for sha in reverts)),
    )
