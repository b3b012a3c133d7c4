"""Lists of contents, kept by the digest of their uncompressed bytes (RFC 8878 for zstd)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from relman.documents.contents import CONTENTS_LIMIT
from relman.errors import DigestMismatch, Malformed
from relman.ledger.disk import make_folder, read_file, remove_file, touching, write_file
from relman.ledger.layout import Layout
from relman.model.oci import Digest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 15
_NAME = re.compile(r"(sha256|sha512)-([0-9a-f]+)\.json\.zst", re.ASCII)


def keep(layout: Layout, document: bytes) -> Digest:
    """Keep ``document``; nothing is written where it is there and whole already."""
    digest = Digest.of(document)
    path = layout.contents(digest)
    try:
        if read(path, digest) is not None:
            return digest
    except Malformed:
        pass  # what lies there is broken, and is replaced
    make_folder(path.parent)
    write_file(path, zstd.compress(document, _LEVEL))
    return digest


def read(path: Path, digest: Digest) -> bytes | None:
    """The document at ``path``, or `None` where it is not there. Raises `Malformed` where it is not ``digest``'s."""
    packed = read_file(path, limit=CONTENTS_LIMIT)
    if packed is None:
        return None
    unpacking = zstd.ZstdDecompressor()
    try:
        document = unpacking.decompress(packed, CONTENTS_LIMIT + 1)
    except zstd.ZstdError as error:
        raise Malformed(f"`{path}` is not zstd: {error}") from error
    if len(document) > CONTENTS_LIMIT:
        raise Malformed(f"`{path}` unpacks to more than {CONTENTS_LIMIT // 1024} KiB")
    if not unpacking.eof or unpacking.unused_data:
        raise Malformed(f"`{path}` is cut short, or has something behind its end")
    if (found := Digest.of(document, digest.algorithm)) != digest:
        raise DigestMismatch(f"`{path}` unpacks to `{found.short}`, not to `{digest.short}`")
    return document


def prune(layout: Layout, wanted: Iterable[Digest]) -> tuple[Digest, ...]:
    """Remove every kept list that is not ``wanted``; answers with those. Files of other names are let be."""
    kept = set(wanted)
    gone: list[Digest] = []
    folder = layout.contents(Digest.of(b"")).parent
    with touching(folder):
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        if path.name.startswith(".") and path.name.endswith(".tmp"):
            remove_file(path)  # what a killed run left: whoever prunes is the only one who writes
            continue
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        try:
            digest = Digest(f"{match[1]}:{match[2]}")
        except ValueError:
            continue
        if digest not in kept:
            remove_file(path)
            gone.append(digest)
    return tuple(gone)
