"""A layer's blob as a stream of entries: bounded, decompressed as it comes, and left as soon as nothing more is wanted.

What is checked: a layer that was read to its end hashes to its digest, or `DigestMismatch` is raised before anything
of it is used. Where reading stopped early, what came is what the registry sent, over its TLS, and no more is known of
it than that decompressor and tar reader took it; so that little is left unchecked, the rest is read after all where it
is short.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from relman.model.oci import Descriptor, Repository
from relman.plugin import Malformed, RegistryReader

from ..unpack import decompressed
from .tar import ENTRY_LIMIT, Archive


class Limits(msgspec.Struct, frozen=True):
    """The most that is read of one image. All but ``entries`` in bytes.

    ``unpacked`` is what one layer may have unpacked, ``spooled`` what is written to temporary files, ``held`` what is
    kept in memory of databases that are made of many small files, ``noted`` what keeping track of all such files, of
    links and of what is removed may take; ``part`` what is asked for at once of a blob's part.
    """

    unpacked: int = 64 * 1024**3
    spooled: int = 1024**3
    held: int = 256 * 1024**2
    noted: int = 64 * 1024**2
    entries: int = ENTRY_LIMIT
    part: int = 64 * 1024**2


LIMITS = Limits()

REST = 1024 * 1024
"""So many bytes of a blob are read on for its digest's sake when what was looked for is found."""


class _Counted:
    """Pieces of a blob, counted. Raises `Malformed` beyond ``limit``."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self.count += len(piece)
        if self.count > self._limit:
            raise Malformed(f"it is larger than the {self._limit} bytes that the manifest states")
        return piece


@contextmanager
def opened(registry: RegistryReader, repository: Repository, layer: Descriptor, limits: Limits) -> Iterator[Archive]:
    """The layer's archive. When the caller is done with it, what is left is read for the digest, if it is short.

    An archive that was read to its end has its blob read to the end, too: a table of contents may follow it.
    """
    with registry.open_blob(repository, layer.digest) as pieces:
        counted = _Counted(iter(pieces), layer.size)
        archive = _Watched(_bounded(decompressed(counted), limits.unpacked), limits.entries)
        yield archive
        if archive.ended or layer.size - counted.count <= REST:
            for _ in counted:
                pass


class _Watched(Archive):
    """An archive that knows whether it was read to its end."""

    def __init__(self, pieces: Iterator[bytes], entries: int) -> None:
        super().__init__(pieces, entries=entries)
        self.ended = False

    def _next_header(self) -> bytes | None:
        header = super()._next_header()
        self.ended = self.ended or header is None
        return header


def _bounded(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise Malformed(f"it unpacks to more than {limit} bytes")
        yield piece
