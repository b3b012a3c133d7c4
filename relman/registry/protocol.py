"""What relman asks of a registry, whatever it is: a server, a folder on disk, a table in a test.

Reading and writing are two types, so that whoever is handed a reader has nothing to write with. One contract test
(tests/test_registry_contract.py) runs over all implementations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from relman.model.oci import Descriptor, Digest, Reference, Repository

MANIFEST_LIMIT = 4 * 1024 * 1024
"""The largest manifest that is read, in bytes: what the distribution specification asks registries to accept."""

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})


class Manifest(msgspec.Struct, frozen=True):
    """A manifest's exact bytes; ``descriptor`` holds their digest, counted from the bytes themselves."""

    descriptor: Descriptor
    content: bytes


def require_range(start: int, length: int) -> None:
    """Raise `ValueError` for a range of a blob that cannot be asked for."""
    if start < 0 or length < 1:
        raise ValueError(f"`{length}` bytes from `{start}` on are no range")


class RegistryReader(Protocol):
    """Reads. Every byte is checked against its digest, save in `blob_range`: `DigestMismatch` where it does not hold.

    All methods may be called from several threads. They raise `Passing` when the registry cannot be reached or stays
    busy, `Unequipped` when it refuses the credentials, `Malformed` for answers that are no such thing.
    """

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """Every tag, in the registry's order. Raises `NotFound` where there is no such repository."""

    def resolve(self, reference: Reference) -> Descriptor | None:
        """What the reference points at now, without its content; `None` where it is not there."""

    def manifest(self, reference: Reference) -> Manifest:
        """The manifest or index. A digest in the reference decides over its tag. Raises `NotFound`."""

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """A blob whole, at most ``limit`` bytes (else `Malformed`). Raises `NotFound`."""

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Whether the blob is there, without its content."""

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """A blob in pieces; after the last one its digest is checked. Raises `NotFound`."""

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """``length`` bytes of a blob from byte ``start`` on. Raises `NotFound`, `Malformed` where it is shorter.

        A part cannot be checked against the digest of the whole: **the caller checks** what it asked for, by a digest
        that it trusts. Where ranges are refused the blob is read from its beginning, as far as needed and no further.
        """

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """What is attached to the manifest with this digest, by API or by fallback tag; empty where nothing is."""

    def lists_referrers(self, repository: Repository) -> bool | None:
        """Whether what is attached is listed by an API, not under fallback tags; `None` where that is not known yet.

        `referrers` finds it out; here nothing is asked.
        """


class RegistryWriter(RegistryReader, Protocol):
    """Writes, too. What was written is what was asked: the digest in the answer is checked where there is one.

    A write whose answer is lost raises `AnswerLost`: the caller settles it by reading.
    """

    def require_push(self, repository: Repository) -> None:
        """Raise `Unequipped` where it is known without writing that nothing can be written there.

        A token is asked for, which the first write then uses; that it was given promises nothing.
        """

    def put_blob(self, repository: Repository, content: bytes) -> Digest:
        """Store ``content``. Nothing is sent where it is there already."""

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        """Store a manifest under its digest and, with ``tag``, let that tag point at it."""

    def copy(self, source: Reference, target: Repository) -> None:
        """Copy a pinned image, all platforms, digests kept, into another repository, without a tag."""
