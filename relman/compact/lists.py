"""Compact lists as bytes: packed, and unpacked within bounds."""

from __future__ import annotations

import sys
from typing import Final

from msgspec.structs import replace

from relman.documents.contents import CONTENTS_LIMIT, BoundContents, bound_contents, contents_document
from relman.documents.reading import compact
from relman.errors import Malformed
from relman.model.contents import Contents
from relman.model.oci import Digest, Platform

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SOURCE: Final = "contents"
"""What `[packages] sources` calls a compact list."""
ARTIFACT_TYPE: Final = "application/vnd.relman.contents.v1+json"
LAYER_TYPE: Final = "application/vnd.relman.contents.v1.json+zstd"
LABEL: Final = "dev.relman.contents"
FILE: Final = "usr/share/relman/contents.json.zst"
PACKED_LIMIT: Final = CONTENTS_LIMIT
"""The most bytes of a packed list that are read; a real one has some 25,000."""

_LEVEL = 19
_MADE_FROM = "made_from"
_OF_READING = frozenset({"passed_over", _MADE_FROM})  # how a list came to be read, which says nothing of the image


def document_bytes(
    platform: Platform, contents: Contents, *, image: Digest | None = None, beneath: Digest | None = None
) -> bytes:
    """The document of one platform, bound to its ``image`` or to the layers ``beneath`` it; the same each time."""
    extras = {key: value for key, value in contents.extras.items() if key not in _OF_READING}
    return compact(contents_document({platform: replace(contents, extras=extras)}, image=image, beneath=beneath))


def pack(document: bytes) -> bytes:
    """``document`` compressed: the same bytes from the same zstd, and other bytes of the same meaning from another."""
    return zstd.compress(document, _LEVEL)


def unpack(packed: bytes, what: str) -> bytes:
    """The document in ``packed``, which ``what`` names in errors. Raises `Malformed`: cut, corrupt, or a bomb."""
    frame = zstd.ZstdDecompressor()
    try:
        document = frame.decompress(packed, CONTENTS_LIMIT + 1)
    except zstd.ZstdError as error:
        raise Malformed(f"{what} is not zstd: {error}") from error
    if len(document) > CONTENTS_LIMIT:
        raise Malformed(f"{what} unpacks to more than {CONTENTS_LIMIT} bytes")
    if not frame.eof or frame.unused_data:
        raise Malformed(f"{what} is cut, or has something behind its end")
    return document


def read_document(document: bytes, what: str) -> BoundContents:
    """The list in ``document``. Raises `Malformed`."""
    return bound_contents(document, what=what)


def of_platform(found: BoundContents, platform: Platform, what: str) -> Contents:
    """The one list that ``found`` holds, as read from a compact list. Raises `Malformed` where it is of another.

    A platform's variant is not compared: an index may state one where the image's configuration does not.
    """
    named = ", ".join(map(str, found.platforms)) or "no platform"
    if len(found.platforms) != 1:
        raise Malformed(f"{what} is of {named[:200]}, not of {platform} alone")
    ((stated, contents),) = found.platforms.items()
    if (stated.os, stated.architecture) != (platform.os, platform.architecture):
        raise Malformed(f"{what} is of {stated}, not of {platform}")
    return replace(contents, source=SOURCE, extras={**contents.extras, _MADE_FROM: contents.source})
