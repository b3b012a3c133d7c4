"""What manifests and indexes say, read with suspicion (OCI Image Format 1.1: manifest.md, image-index.md).

Everything here comes from a registry: each field is checked before it is believed, and `Malformed` names the bad one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec

from relman.errors import Malformed
from relman.model.oci import Descriptor, Digest, Platform
from relman.registry.protocol import INDEXES, MANIFEST_LIMIT, MANIFESTS, OCI_INDEX, OCI_MANIFEST

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
IMAGE_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
SCHEMA_1 = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
_SMALL = 64 * 1024
REF_NAME = "org.opencontainers.image.ref.name"


class Parts(msgspec.Struct, frozen=True):
    """A manifest's references to other content.

    ``children`` are an index's manifests; ``config`` and ``layers`` an image's. ``subject`` is what it is attached to,
    ``artifact_type`` what it says that it is (for artifacts; from its config's type where it has no other word for it).
    """

    media_type: str
    children: tuple[Descriptor, ...]
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str | None
    annotations: Mapping[str, str]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything that is stored beside the manifest, each once; layers kept elsewhere by licence left out."""
        config = (self.config,) if self.config else ()
        found = {blob.digest: blob for blob in (*config, *self.layers) if not _kept_elsewhere(blob)}
        return tuple(found.values())

    @property
    def is_image(self) -> bool:
        """An image of one platform, not an artifact in an image's clothes."""
        return self.config is not None and self.config.media_type in IMAGE_CONFIGS


def _kept_elsewhere(blob: Descriptor) -> bool:
    return "nondistributable" in blob.media_type or ".foreign." in blob.media_type


def read_object(content: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``content``, which ``what`` names in errors."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object")
    return value


def read_descriptor(value: object, what: str) -> Descriptor:
    """A descriptor (descriptor.md); fields that it must have are refused where they are missing or of another kind."""
    if not isinstance(value, dict):
        raise Malformed(f"{what}: `{_cut(value)}` is no descriptor")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str) or not isinstance(digest, str):
        raise Malformed(f"{what}: a descriptor without media type or digest: `{_cut(value)}`")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Malformed(f"{what}: a descriptor with the size `{_cut(size)}`")
    artifact_type = value.get("artifactType")
    try:
        return Descriptor(
            media_type,
            Digest(digest),
            size,
            artifact_type=artifact_type if isinstance(artifact_type, str) and artifact_type else None,
            annotations=read_strings(value.get("annotations"), what),
            platform=read_platform(value.get("platform"), what),
        )
    except ValueError as error:
        raise Malformed(f"{what}: {error}") from error


def read_platform(value: object, what: str) -> Platform | None:
    """A platform; `None` where there is none. ``arm64`` and ``arm64/v8`` are one, as for containerd and podman."""
    if not isinstance(value, dict) or not (value.get("os") or value.get("architecture")):
        return None
    parts = (value.get("os"), value.get("architecture"), value.get("variant") or None)
    os, architecture, variant = parts
    if not isinstance(os, str) or not isinstance(architecture, str) or not isinstance(variant, str | None):
        raise Malformed(f"{what}: `{_cut(value)}` is no platform")
    try:
        return Platform(os, architecture, None if (architecture, variant) == ("arm64", "v8") else variant)
    except ValueError as error:
        raise Malformed(f"{what}: {error}") from error


def read_strings(value: object, what: str) -> Mapping[str, str]:
    """A map of strings, such as labels and annotations; `null` is empty."""
    if value is None:
        return MappingProxyType({})
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise Malformed(f"{what}: `{_cut(value)}` is no map of strings")
    return MappingProxyType(dict(value))


def read_manifest(content: bytes, media_type: str, what: str) -> Parts:
    """What a manifest or index refers to. Raises `Malformed`, for Docker's schema 1 too."""
    if len(content) <= _SMALL:
        try:
            return _known_manifest(content, media_type)  # an image's is looked into by each that has to do with it
        except Malformed:
            pass  # said below of ``what`` it is
    return _read_manifest(content, media_type, what)


@lru_cache(maxsize=128)
def _known_manifest(content: bytes, media_type: str) -> Parts:
    return _read_manifest(content, media_type, "it")


def _read_manifest(content: bytes, media_type: str, what: str) -> Parts:
    refuse_schema_1(media_type, what)
    value = read_object(content, what)
    stated = value.get("mediaType")
    if stated and stated != media_type:
        # distribution spec, "Pulling manifests": two readers must not take the same bytes for two things.
        raise Malformed(f"{what} came as `{media_type}` and calls itself `{_cut(stated)}`")
    annotations = read_strings(value.get("annotations"), what)
    stated_type = value.get("artifactType")
    artifact_type = stated_type if isinstance(stated_type, str) and stated_type else None
    subject = read_descriptor(value["subject"], what) if value.get("subject") else None
    if media_type in INDEXES:
        children = _descriptors(value.get("manifests"), what)
        return Parts(media_type, children, None, (), subject, artifact_type, annotations)
    if media_type not in MANIFESTS:
        raise Malformed(f"{what} is of the type `{media_type[:100]}`, which is no image")
    config = read_descriptor(value.get("config"), what)
    if artifact_type is None and config.media_type not in IMAGE_CONFIGS:
        artifact_type = config.media_type
    return Parts(media_type, (), config, _descriptors(value.get("layers"), what), subject, artifact_type, annotations)


def _descriptors(value: object, what: str) -> tuple[Descriptor, ...]:
    if not isinstance(value, list):
        raise Malformed(f"{what} lists `{_cut(value)}` where manifests or layers belong")
    return tuple(read_descriptor(item, what) for item in value)


def refuse_schema_1(media_type: str, what: str) -> None:
    """Say plainly that Docker's first format, which has no digests to rely on, is not read."""
    if media_type in SCHEMA_1:
        raise Malformed(
            f"{what} is a Docker schema 1 manifest, a format given up in 2017",
            hint="push it again with a current podman, buildah or docker",
        )


def sniffed_media_type(content: bytes) -> str | None:
    """The type of a manifest that declares none outside (`mediaType` may be absent within); `None`: it is none."""
    if len(content) > MANIFEST_LIMIT or content.lstrip()[:1] != b"{":
        return None
    try:
        value = read_object(content, "it")
    except Malformed:
        return None
    stated = value.get("mediaType")
    if isinstance(stated, str):
        return stated if stated in INDEXES | MANIFESTS else None
    if value.get("schemaVersion") != 2:
        return None
    if isinstance(value.get("manifests"), list):
        return OCI_INDEX
    return OCI_MANIFEST if isinstance(value.get("config"), dict) and isinstance(value.get("layers"), list) else None


def as_json(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor as it stands in a manifest."""
    value: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        value["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        value["annotations"] = dict(descriptor.annotations)
    if descriptor.platform:
        platform = descriptor.platform
        value["platform"] = {"architecture": platform.architecture, "os": platform.os}
        if platform.variant:
            value["platform"]["variant"] = platform.variant
    return value


def encode(value: Mapping[str, Any]) -> bytes:
    """JSON, the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
