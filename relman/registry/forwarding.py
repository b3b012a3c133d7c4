"""A reader that hands every question on: what stands before another says only what it does otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry.protocol import Manifest, RegistryReader


class Forwarding:
    """`RegistryReader` that answers what ``reader`` answers."""

    def __init__(self, reader: RegistryReader) -> None:
        self._reader = reader

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """See `RegistryReader.tags`."""
        return self._reader.tags(repository)

    def resolve(self, reference: Reference) -> Descriptor | None:
        """See `RegistryReader.resolve`."""
        return self._reader.resolve(reference)

    def manifest(self, reference: Reference) -> Manifest:
        """See `RegistryReader.manifest`."""
        return self._reader.manifest(reference)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """See `RegistryReader.blob`."""
        return self._reader.blob(repository, digest, limit=limit)

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """See `RegistryReader.has_blob`."""
        return self._reader.has_blob(repository, digest)

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """See `RegistryReader.open_blob`."""
        return self._reader.open_blob(repository, digest)

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """See `RegistryReader.blob_range`."""
        return self._reader.blob_range(repository, digest, start, length)

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """See `RegistryReader.referrers`."""
        return self._reader.referrers(repository, digest)

    def lists_referrers(self, repository: Repository) -> bool | None:
        """See `RegistryReader.lists_referrers`."""
        return self._reader.lists_referrers(repository)
