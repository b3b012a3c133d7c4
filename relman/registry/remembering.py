"""Asking once: within a run for all that several parts of it want to know, between runs for what can never change.

Only what is named by a digest is remembered. Where a tag points is asked for each time, and so is whatever was written.
"""

from __future__ import annotations

import threading
from typing import Protocol

from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry.forwarding import Forwarding
from relman.registry.manifests import sniffed_media_type
from relman.registry.protocol import Manifest, RegistryReader, RegistryWriter

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
        self._there: set[tuple[Repository, Digest]] = set()
        self._room = _ROOM
        self._turns: dict[object, threading.Lock] = {}

    def manifest(self, reference: Reference) -> Manifest:
        """By digest as it was the first time, which is as it always is; by tag as it is now."""
        if reference.digest is None:
            return self._asked(reference)
        with self._turn((reference.repository, reference.digest)):
            return self.known(reference) or self._asked(reference)

    def _asked(self, reference: Reference) -> Manifest:
        found = self._reader.manifest(reference)
        self.note(reference.repository, found)
        if self._pieces is not None and sniffed_media_type(found.content) == found.descriptor.media_type:
            self._pieces.keep_piece(found.descriptor.digest, found.content)
        return found

    def known(self, reference: Reference) -> Manifest | None:
        """The manifest with the reference's digest, where this run has its bytes: nothing is asked."""
        return self._manifests.get((reference.repository, reference.digest)) if reference.digest else None

    def note(self, repository: Repository, manifest: Manifest) -> None:
        """Remember what ``repository`` answered to somebody else."""
        key = (repository, manifest.descriptor.digest)
        if key not in self._manifests and self._has_room(len(manifest.content)):
            self._manifests[key] = manifest

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """That it is there, as it was the first time; whether it is not is asked again."""
        key = (repository, digest)
        if key in self._there:
            return True
        found = self._reader.has_blob(repository, digest)
        if found:
            self._there.add(key)
        return found

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """As it was the first time, or from the pieces."""
        with self._turn((repository, digest, "blob")):
            return self._blob(repository, digest, limit)

    def _blob(self, repository: Repository, digest: Digest, limit: int) -> bytes:
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
        with self._turn(("referrers", *key)):
            known = self._referrers.get(key)
            if known is None:
                known = self._referrers[key] = self._reader.referrers(repository, digest)
            return known

    def _turn(self, key: object) -> threading.Lock:
        """Who asks for what is being asked for waits for that answer."""
        with self._lock:
            return self._turns.setdefault(key, threading.Lock())


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


class Telling(Forwarding):
    """`RegistryReader` that asks each time, and lets ``told`` know of the manifests that it was shown."""

    def __init__(self, reader: RegistryReader, told: Remembering) -> None:
        super().__init__(reader)
        self._told = told

    def manifest(self, reference: Reference) -> Manifest:
        """As the registry has it now."""
        found = self._reader.manifest(reference)
        self._told.note(reference.repository, found)
        return found


class Informed(Telling):
    """`RegistryWriter` that does not fetch the bytes of a manifest which this run has: what a digest names is the same.

    Whoever has to know that a registry *has* a manifest asks with `Telling`.
    """

    def __init__(self, writer: RegistryWriter, told: Remembering) -> None:
        super().__init__(writer, told)
        self._writer = writer

    def manifest(self, reference: Reference) -> Manifest:
        """The bytes that are known, else as the registry has it now."""
        return self._told.known(reference) or super().manifest(reference)

    def require_push(self, repository: Repository) -> None:
        """See `RegistryWriter.require_push`."""
        self._writer.require_push(repository)

    def put_blob(self, repository: Repository, content: bytes) -> Digest:
        """See `RegistryWriter.put_blob`."""
        return self._writer.put_blob(repository, content)

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        """See `RegistryWriter.put_manifest`."""
        return self._writer.put_manifest(repository, content, media_type, tag=tag)

    def copy(self, source: Reference, target: Repository) -> None:
        """See `RegistryWriter.copy`."""
        self._writer.copy(source, target)
