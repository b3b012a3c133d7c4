"""Names and values of the OCI world: digests, platforms, repositories, references, images.

Sources: OCI Image Format 1.1 (descriptor.md, image-index.md), OCI Distribution 1.1 (spec.md, "Pulling manifests"),
and the image names of `relman --help` (docs/contract: Images).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?", re.ASCII)


class Digest(str):
    """A content address, ``sha256:<64 hex>`` or ``sha512:<128 hex>``. Refuses anything else with `ValueError`."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """The digest that ``value`` spells."""
        if not _DIGEST.fullmatch(value):
            raise ValueError(f"`{value[:100]}` is not a digest (`sha256:` and 64 hex digits)")
        return super().__new__(cls, value)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """The digest of ``content``."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")

    @property
    def algorithm(self) -> str:
        """``sha256`` or ``sha512``."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The digits after the colon."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """Enough of it for people: ``sha256:`` and 12 digits."""
        return f"{self.algorithm}:{self.hex[:12]}"

    @property
    def fallback_tag(self) -> str:
        """The tag under which registries without the referrers API list what refers to this digest."""
        return f"{self.algorithm}-{self.hex[:64]}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets documents use digests: a string in JSON, checked when read."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, handler(str))


class Platform(msgspec.Struct, frozen=True, order=True):
    """Operating system, architecture and, where it matters, its variant: ``linux/arm64/v8``."""

    os: str
    architecture: str
    variant: str | None = None

    def __post_init__(self) -> None:
        for part in (self.os, self.architecture, self.variant):
            if part is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", part):
                raise ValueError(f"`{part[:40]}` is no part of a platform (`linux/amd64`)")

    @classmethod
    def parse(cls, text: str) -> Self:
        """``linux/amd64`` or ``linux/arm/v7``. Raises `ValueError` for anything else."""
        parts = text.split("/")
        if len(parts) not in (2, 3):
            raise ValueError(f"`{text}` is not a platform: write `os/architecture`, such as `linux/amd64`")
        return cls(*parts)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


LINUX_AMD64 = Platform("linux", "amd64")


class Transport(StrEnum):
    """Where an image is kept, in the spelling that skopeo and podman share where they have one."""

    DOCKER = "docker"
    OCI = "oci"
    CONTAINERS_STORAGE = "containers-storage"
    SBOM = "sbom"
    RPMDB = "rpmdb"


class Repository(msgspec.Struct, frozen=True, order=True):
    """A name that holds tags and manifests: on a registry (``docker``), or an OCI layout's folder (``oci``).

    ``registry`` is a host with an optional port, and empty for everything that lies in files; ``name`` is then a path.
    """

    transport: Transport
    registry: str
    name: str

    def __post_init__(self) -> None:
        if self.transport is Transport.DOCKER:
            if not _HOST.fullmatch(self.registry):
                raise ValueError(f"`{self.registry}` is not a registry's host")
            if not _NAME.fullmatch(self.name) or len(self.name) > 255:
                raise ValueError(f"`{self.name}` is not a repository's name (lower case, digits, `.`, `_`, `-`, `/`)")
        elif self.registry or not self.name:
            raise ValueError(f"`{self.transport}:` takes a path")

    def tag(self, tag: str) -> Reference:
        """What ``tag`` points at here."""
        return Reference(self, tag=tag)

    def digest(self, digest: Digest) -> Reference:
        """The manifest with this ``digest`` here."""
        return Reference(self, digest=digest)

    def __str__(self) -> str:
        if self.transport is Transport.DOCKER:
            return f"{self.registry}/{self.name}"
        return f"{self.transport}:{self.name}"


class Reference(msgspec.Struct, frozen=True, order=True):
    """A repository with a tag, a digest, or both; a file's (``sbom:``, ``rpmdb:``) has neither.

    With both, the digest decides and the tag is only how it was found.
    """

    repository: Repository
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if self.tag is not None and not _TAG.fullmatch(self.tag):
            raise ValueError(f"`{self.tag[:140]}` is not a tag (letters, digits, `_`, `.`, `-`; at most 128)")

    @property
    def pinned(self) -> bool:
        """Given by digest."""
        return self.digest is not None

    def at(self, digest: Digest) -> Reference:
        """The same, pinned to ``digest``."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_repository(text: str) -> Repository:
    """``ghcr.io/ublue-os/bluefin`` or ``oci:FOLDER``. Raises `ValueError`."""
    reference = parse_reference(text)
    if reference.tag or reference.digest or reference.repository.transport not in (Transport.DOCKER, Transport.OCI):
        raise ValueError(f"`{text}` is not a repository: leave out the tag and the digest")
    return reference.repository


def parse_reference(text: str) -> Reference:
    """Read an image's name as the command line takes it. Raises `ValueError` that says what is wrong.

    ``[docker://]registry/repository[:tag][@digest]`` · ``oci:FOLDER[:TAG][@digest]`` · ``sbom:FILE`` ·
    ``rpmdb:FILE-OR-FOLDER`` · ``containers-storage:IMAGE``, what podman and buildah keep, in whatever spelling skopeo
    takes. A registry is never guessed: a name without a host is refused.
    """
    for transport in (Transport.SBOM, Transport.RPMDB, Transport.CONTAINERS_STORAGE):
        if text.startswith(f"{transport}:"):
            return Reference(Repository(transport, "", text.removeprefix(f"{transport}:")))
    rest, at, digest_text = text.partition("@")
    digest = Digest(digest_text) if at else None
    if rest.startswith("oci:"):
        folder, colon, tag = rest.removeprefix("oci:").rpartition(":")
        if not colon or "/" in tag:
            folder, tag = rest.removeprefix("oci:"), ""
        return Reference(Repository(Transport.OCI, "", folder), tag=tag or None, digest=digest)
    rest = rest.removeprefix("docker://")
    host, slash, path = rest.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        raise ValueError(
            f"`{text}` does not begin with a registry: write `ghcr.io/owner/image:tag`, or `oci:FOLDER:TAG`"
        )
    name, colon, tag = path.partition(":")
    if colon and not tag:
        raise ValueError(f"`{text}` ends in a colon without a tag")
    return Reference(Repository(Transport.DOCKER, host, name), tag=tag or None, digest=digest)


class Descriptor(msgspec.Struct, frozen=True):
    """What points at some content: media type, digest and size in bytes (descriptor.md)."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    platform: Platform | None = None

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"a size of `{self.size}` bytes cannot be")

    def __hash__(self) -> int:
        return hash((self.media_type, self.digest, self.size))


class HistoryEntry(msgspec.Struct, frozen=True):
    """What a configuration says of how one layer was made (config.md, `history`); empty where it says nothing."""

    created_by: str = ""
    comment: str = ""


class PlatformImage(msgspec.Struct, frozen=True):
    """One platform's image inside what a reference names.

    ``labels`` are its configuration's, ``size`` the bytes of its compressed layers, ``created`` the configuration's
    time or `None` where it has none; ``layers`` are its layers from the bottom up, ``diff_ids`` the digests of what is
    in them, uncompressed; ``history`` has an entry for each layer, or none at all where it does not fit them.
    """

    platform: Platform
    manifest: Descriptor
    labels: Mapping[str, str]
    created: datetime | None
    size: int
    layers: tuple[Descriptor, ...] = ()
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[HistoryEntry, ...] = ()

    def __hash__(self) -> int:
        return hash((self.platform, self.manifest))

    @property
    def revision(self) -> str | None:
        """The commit that it was built from, by its own word (`org.opencontainers.image.revision`)."""
        return self.labels.get("org.opencontainers.image.revision") or None

    @property
    def version(self) -> str | None:
        """The version that it gives itself (`org.opencontainers.image.version`)."""
        return self.labels.get("org.opencontainers.image.version") or None


class Image(msgspec.Struct, frozen=True):
    """An image that was looked at: pinned, with every platform's part. ``digest`` is the index's where there is one."""

    reference: Reference
    media_type: str
    platforms: tuple[PlatformImage, ...]

    def __post_init__(self) -> None:
        if self.reference.digest is None:
            raise ValueError(f"`{self.reference}` is not pinned")
        if not self.platforms:
            raise ValueError(f"`{self.reference}` holds no image of any platform")

    @property
    def digest(self) -> Digest:
        """What promotion moves a tag to."""
        assert self.reference.digest is not None
        return self.reference.digest

    def on(self, platform: Platform) -> PlatformImage | None:
        """The part for ``platform``, or `None`."""
        return next((part for part in self.platforms if part.platform == platform), None)
