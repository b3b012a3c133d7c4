"""A registry to look at: whoever is handed one has nothing to write with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry.protocol import Manifest, RegistryReader


class ReadOnly:
    """`RegistryReader` over any registry, and no more. While relman observes, plugins get this."""

    __slots__ = ("__registry",)

    def __init__(self, registry: RegistryReader) -> None:
        self.__registry = registry

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """See `RegistryReader.tags`."""
        return self.__registry.tags(repository)

    def resolve(self, reference: Reference) -> Descriptor | None:
        """See `RegistryReader.resolve`."""
        return self.__registry.resolve(reference)

    def manifest(self, reference: Reference) -> Manifest:
        """See `RegistryReader.manifest`."""
        return self.__registry.manifest(reference)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """See `RegistryReader.blob`."""
        return self.__registry.blob(repository, digest, limit=limit)

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """See `RegistryReader.blob_range`."""
        return self.__registry.blob_range(repository, digest, start, length)

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """See `RegistryReader.has_blob`."""
        return self.__registry.has_blob(repository, digest)

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """See `RegistryReader.open_blob`."""
        return self.__registry.open_blob(repository, digest)

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """See `RegistryReader.referrers`."""
        return self.__registry.referrers(repository, digest)

    def lists_referrers(self, repository: Repository) -> bool | None:
        """See `RegistryReader.lists_referrers`."""
        return self.__registry.lists_referrers(repository)
