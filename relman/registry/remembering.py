"""Asking once: within a run for all that several parts of it want to know, between runs for what can never change.

Only what is named by a digest is remembered. Where a tag points is asked for each time.
"""

from __future__ import annotations

import threading
from typing import Protocol

from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry.forwarding import Forwarding
from relman.registry.manifests import sniffed_media_type
from relman.registry.protocol import Manifest, RegistryReader

_LARGEST = 256 * 1024
_ROOM = 32 * 1024 * 1024


class Pieces(Protocol):
    """Where small content is kept between runs, by its digest."""

    def piece(self, digest: Digest) -> bytes | None:
        """The content with this digest, checked; `None` where it is not there."""

    def keep_piece(self, digest: Digest, content: bytes) -> None:
        """Keep it, where there is a place for it."""


class Remembering(Forwarding):
    """`RegistryReader` for one run: manifests and small blobs by digest, and lists of referrers, are asked for once.

    With ``pieces``, configurations come from there, and manifests are kept there for `Past`. What could not be had is
    not remembered.
    """

    def __init__(self, reader: RegistryReader, pieces: Pieces | None = None) -> None:
        super().__init__(reader)
        self._pieces = pieces
        self._lock = threading.Lock()
        self._referrers: dict[tuple[Repository, Digest], tuple[Descriptor, ...]] = {}
        self._manifests: dict[tuple[Repository, Digest], Manifest] = {}
        self._blobs: dict[tuple[Repository, Digest], bytes] = {}
        self._room = _ROOM

    def manifest(self, reference: Reference) -> Manifest:
        """By digest as it was the first time, which is as it always is; by tag as it is now."""
        if reference.digest is not None:
            known = self._manifests.get((reference.repository, reference.digest))
            if known is not None:
                return known
        found = self._reader.manifest(reference)
        digest = found.descriptor.digest
        if self._has_room(len(found.content)):
            self._manifests[reference.repository, digest] = found
        if self._pieces is not None and sniffed_media_type(found.content) == found.descriptor.media_type:
            self._pieces.keep_piece(digest, found.content)
        return found

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """As it was the first time, or from the pieces."""
        known = self._blobs.get((repository, digest))
        if known is None and self._pieces is not None:
            known = self._pieces.piece(digest)
        if known is not None and len(known) <= limit:
            return known
        found = self._reader.blob(repository, digest, limit=limit)
        if self._has_room(len(found)):
            self._blobs[repository, digest] = found
        if self._pieces is not None:
            self._pieces.keep_piece(digest, found)
        return found

    def _has_room(self, size: int) -> bool:
        with self._lock:
            if size > min(_LARGEST, self._room):
                return False
            self._room -= size
            return True

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """As it was the first time."""
        key = (repository, digest)
        with self._lock:
            known = self._referrers.get(key)
        if known is None:
            known = self._reader.referrers(repository, digest)
            with self._lock:
                self._referrers[key] = known
        return known


class Past(Forwarding):
    """`RegistryReader` for what was released before: manifests by digest come from ``pieces``, where they have them.

    Never for what is to be released: that a registry has a manifest is only known from the registry.
    """

    def __init__(self, reader: RegistryReader, pieces: Pieces) -> None:
        super().__init__(reader)
        self._pieces = pieces

    def manifest(self, reference: Reference) -> Manifest:
        """From the pieces, where the reference is pinned and they have it."""
        if reference.digest is not None and (content := self._pieces.piece(reference.digest)) is not None:
            media_type = sniffed_media_type(content)
            if media_type is not None:
                return Manifest(Descriptor(media_type, reference.digest, len(content)), content)
        return self._reader.manifest(reference)
