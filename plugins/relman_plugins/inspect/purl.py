"""Package URLs, as far as lists of packages use them (purl-spec, "How to parse a purl string")."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec


class Purl(msgspec.Struct, frozen=True):
    """``pkg:type/namespace/name@version?qualifiers``, decoded. ``namespace`` and ``version`` are `""` where absent."""

    type: str
    namespace: str
    name: str
    version: str
    qualifiers: Mapping[str, str]


def parse_purl(text: str) -> Purl | None:
    """Read a package URL; `None` for text that is none. What follows `#` (a path inside the package) is left out."""
    return _cached(text) if len(text) < _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> Purl | None:
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() != "pkg":
        return None
    rest, _, query = rest.partition("#")[0].partition("?")
    path = rest.strip("/")
    # The version begins at the last `@`, unless that belongs to a scope (`pkg:npm/@angular/core`).
    head, at, version = path.rpartition("@")
    if at and "/" not in version and not head.endswith("/") and head:
        path = head
    else:
        version = ""
    kind, _, path = path.partition("/")
    namespace, _, name = path.rstrip("/").rpartition("/")
    if not kind or not name:
        return None
    qualifiers = {
        key.lower(): unquote(value)
        for key, equals, value in (part.partition("=") for part in query.split("&"))
        if equals and value
    }
    return Purl(kind.lower(), unquote(namespace), unquote(name), unquote(version), qualifiers)


_CACHED_LENGTH = 500
_cached = functools.lru_cache(maxsize=16_384)(_parse)  # the lists of a release's images share nearly all of theirs
