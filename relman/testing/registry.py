"""A registry in memory, and images made to order, for tests and for whoever wants images without building any.

The factories write to any `RegistryWriter`, and the same arguments make the same bytes, so the same digests.
"""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

import msgspec

from relman.errors import Malformed, NotFound, RelmanError
from relman.model.oci import Descriptor, Digest, Platform, Reference, Repository
from relman.registry.attaching import attach as attach_to
from relman.registry.carrying import require_named, require_pinned
from relman.registry.manifests import OCI_CONFIG, as_json, encode, read_manifest, read_object, read_platform
from relman.registry.protocol import INDEXES, OCI_INDEX, OCI_MANIFEST, Manifest, RegistryWriter, require_range
from relman.registry.referrers import by_fallback_tag, merged

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Write(msgspec.Struct, frozen=True):
    """One change that was asked for, whether or not it changed anything."""

    kind: Literal["blob", "manifest", "copy"]
    repository: Repository
    digest: Digest
    tag: str | None = None


class _Shelf(msgspec.Struct):
    """A repository: every blob, the media types of those that are manifests, and the tags."""

    blobs: dict[Digest, bytes] = msgspec.field(default_factory=dict)
    manifests: dict[Digest, str] = msgspec.field(default_factory=dict)
    tags: dict[str, Digest] = msgspec.field(default_factory=dict)


class MemoryRegistry:
    """`RegistryWriter` in memory, as strict as a server: a manifest must find what it refers to.

    ``writes`` holds every change in order. With ``referrers_api=False`` it lists referrers by the fallback tag alone,
    as GHCR and docker-registry do.
    """

    def __init__(self, *, referrers_api: bool = True) -> None:
        self.writes: list[Write] = []
        self._referrers_api = referrers_api
        self._lock = threading.RLock()
        self._shelves: dict[Repository, _Shelf] = {}

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """In the order in which they were made."""
        with self._lock:
            if repository not in self._shelves:
                raise NotFound(f"there is no repository `{repository}`")
            return tuple(self._shelves[repository].tags)

    def resolve(self, reference: Reference) -> Descriptor | None:
        """A digest decides over a tag."""
        require_named(reference)
        with self._lock:
            shelf = self._shelves.get(reference.repository, _Shelf())
            digest = reference.digest or shelf.tags.get(reference.tag or "")
            if digest is None or digest not in shelf.manifests:
                return None
            return Descriptor(shelf.manifests[digest], digest, len(shelf.blobs[digest]))

    def manifest(self, reference: Reference) -> Manifest:
        """The bytes that were put."""
        with self._lock:
            descriptor = self.resolve(reference)
            if descriptor is None:
                raise NotFound(f"`{reference}` is not there")
            return Manifest(descriptor, self._shelves[reference.repository].blobs[descriptor.digest])

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """The bytes that were put."""
        with self._lock:
            content = self._shelves.get(repository, _Shelf()).blobs.get(digest)
        if content is None:
            raise NotFound(f"the blob `{digest}` is not in `{repository}`")
        if len(content) > limit:
            raise Malformed(f"the blob `{digest}` of `{repository}` is larger than {limit} bytes")
        return content

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Whether it was put."""
        with self._lock:
            return digest in self._shelves.get(repository, _Shelf()).blobs

    @contextmanager
    def open_blob(self, repository: Repository, digest: Digest) -> Iterator[Iterator[bytes]]:
        """In pieces of 64 KiB."""
        content = io.BytesIO(self.blob(repository, digest, limit=1 << 62))
        yield iter(lambda: content.read(64 * 1024), b"")

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """A part of the bytes that were put."""
        require_range(start, length)
        content = self.blob(repository, digest, limit=1 << 62)[start : start + length]
        if len(content) != length:
            raise Malformed(f"the blob `{digest}` of `{repository}` ends before byte {start + length}")
        return content

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """By ``subject``, unless made without that; and by the fallback tag."""
        found = []
        with self._lock:
            shelf = self._shelves.get(repository, _Shelf())
            for own, media_type in shelf.manifests.items() if self._referrers_api else ():
                content = shelf.blobs[own]
                parts = read_manifest(content, media_type, f"`{repository.digest(own)}`")
                if parts.subject is not None and parts.subject.digest == digest:
                    size, kind = len(content), parts.artifact_type
                    found.append(Descriptor(media_type, own, size, kind, annotations=parts.annotations))
            return merged(tuple(found), by_fallback_tag(self, repository, digest))

    def lists_referrers(self, repository: Repository) -> bool | None:
        """As it was made."""
        return self._referrers_api

    def require_push(self, repository: Repository) -> None:
        """Everybody may write."""

    def put_blob(self, repository: Repository, content: bytes) -> Digest:
        """Recorded in ``writes`` only where it is new: what is there is not sent."""
        digest = Digest.of(content)
        with self._lock:
            shelf = self._shelves.setdefault(repository, _Shelf())
            if digest not in shelf.blobs:
                shelf.blobs[digest] = bytes(content)
                self.writes.append(Write("blob", repository, digest))
        return digest

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        """Refused where it refers to what is not there."""
        digest = Digest.of(content)
        repository.tag(tag or "latest")
        parts = read_manifest(content, media_type, f"the manifest for `{repository}`")
        with self._lock:
            shelf = self._shelves.setdefault(repository, _Shelf())
            missing = [d.digest for d in parts.blobs if d.digest not in shelf.blobs]
            missing += [d.digest for d in parts.children if d.digest not in shelf.manifests]
            if missing:
                raise RelmanError(f"`{repository}` refuses a manifest that refers to `{missing[0]}`, which it lacks")
            shelf.blobs[digest] = bytes(content)
            shelf.manifests[digest] = media_type
            if tag is not None:
                shelf.tags[tag] = digest
            self.writes.append(Write("manifest", repository, digest, tag))
        return digest

    def copy(self, source: Reference, target: Repository) -> None:
        """Everything that the image consists of, without a tag."""
        require_pinned(source)
        manifest = self.manifest(source)
        digest = manifest.descriptor.digest
        with self._lock:
            self._copy(source.repository, target, digest)
            self.writes.append(Write("copy", target, digest))

    def _copy(self, source: Repository, target: Repository, digest: Digest) -> None:
        manifest = self.manifest(source.digest(digest))
        parts = read_manifest(manifest.content, manifest.descriptor.media_type, f"`{source.digest(digest)}`")
        for child in parts.children:
            self._copy(source, target, child.digest)
        shelf = self._shelves.setdefault(target, _Shelf())
        for blob in parts.blobs:
            shelf.blobs[blob.digest] = self._shelves[source].blobs[blob.digest]
        shelf.blobs[digest] = manifest.content
        shelf.manifests[digest] = manifest.descriptor.media_type


def put_image(
    writer: RegistryWriter,
    repository: Repository,
    *,
    tags: Iterable[str] = (),
    labels: Mapping[str, str] = _NOTHING,
    platform: str | Platform = "linux/amd64",
    created: datetime | None = None,
    layers: Iterable[bytes] = (),
) -> Digest:
    """An image of one platform; without ``layers`` it has one, a tar with an `os-release`. Returns its digest.

    ``layers`` are stored as they are, as uncompressed tars: what is in them is only for readers to mind.
    """
    which = Platform.parse(platform) if isinstance(platform, str) else platform
    contents = tuple(layers) or (tar({"usr/lib/os-release": b'NAME="relman"\n'}),)
    digests = [writer.put_blob(repository, content) for content in contents]
    config: dict[str, object] = {
        "architecture": which.architecture,
        "os": which.os,
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in digests]},
    }
    if which.variant:
        config["variant"] = which.variant
    if created is not None:
        config["created"] = created.astimezone(UTC).isoformat().replace("+00:00", "Z")
    encoded = encode(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": as_json(Descriptor(OCI_CONFIG, writer.put_blob(repository, encoded), len(encoded))),
        "layers": [
            as_json(Descriptor(OCI_LAYER, digest, len(content)))
            for digest, content in zip(digests, contents, strict=True)
        ],
    }
    return _put(writer, repository, encode(manifest), OCI_MANIFEST, tags)


def put_index(
    writer: RegistryWriter, repository: Repository, children: Iterable[Digest], *, tags: Iterable[str] = ()
) -> Digest:
    """An index of images that are in ``repository``, each under the platform that its configuration names."""
    entries = []
    for child in children:
        manifest = writer.manifest(repository.digest(child))
        found = manifest.descriptor
        what = f"`{repository.digest(child)}`"
        parts = read_manifest(manifest.content, found.media_type, what)
        platform = None
        if found.media_type not in INDEXES and parts.config is not None and parts.is_image:
            config = writer.blob(repository, parts.config.digest, limit=16 * 1024 * 1024)
            platform = read_platform(read_object(config, what), what)
        entries.append(as_json(Descriptor(found.media_type, child, len(manifest.content), platform=platform)))
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return _put(writer, repository, encode(index), OCI_INDEX, tags)


def attach(
    writer: RegistryWriter,
    repository: Repository,
    subject: Digest,
    content: bytes,
    artifact_type: str,
    media_type: str,
    *,
    by_fallback_tag: bool | None = None,
) -> Digest:
    """Attach ``content`` to an image, as an SBOM is; returns the digest of the manifest that does so.

    The tag ``sha256-<hex>`` lists it where the registry has no referrers API, or where ``by_fallback_tag`` says so;
    what the tag listed before stays listed.
    """
    attached = attach_to(
        writer,
        repository,
        subject,
        content,
        artifact_type=artifact_type,
        media_type=media_type,
        by_tag=by_fallback_tag,
    )
    return attached.digest


def tar(files: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar of ``files``, the same bytes for the same files: a layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def _put(
    writer: RegistryWriter, repository: Repository, content: bytes, media_type: str, tags: Iterable[str]
) -> Digest:
    names = tuple(tags)
    for tag in names:
        writer.put_manifest(repository, content, media_type, tag=tag)
    return Digest.of(content) if names else writer.put_manifest(repository, content, media_type)
