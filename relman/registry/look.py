"""Looking at an image: pinned, with the labels, time and size of every platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import msgspec

from relman.errors import Malformed
from relman.model.oci import Descriptor, Digest, HistoryEntry, Image, Platform, PlatformImage, Reference
from relman.registry.manifests import read_manifest, read_object, read_platform, read_strings
from relman.registry.protocol import INDEXES, MANIFESTS, Manifest, RegistryReader

CONFIG_LIMIT = 16 * 1024 * 1024
"""The largest image configuration that is read, in bytes. rechunk keeps lists of packages in labels: 2 MiB and more."""

_WORKERS = 8
_DEPTH = 3
_UNKNOWN = Platform("unknown", "unknown")
_REFERENCE_TYPE = "vnd.docker.reference.type"
# RFC 3339, 5.6; Go writes nanoseconds, which `datetime` cuts to microseconds.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class _Part(msgspec.Struct, frozen=True):
    """A manifest to look into, and what the index says of it."""

    manifest: Manifest
    platform: Platform | None
    what: str


def look_at(reader: RegistryReader, reference: Reference) -> Image:
    """The image at ``reference``; its own reference keeps the tag and gains the digest.

    Attestations and other artifacts in an index are no platforms. Raises `NotFound`; `Malformed` for an artifact, a
    Docker schema 1 manifest, an index without images, and one whose entry names another platform than the image does.
    """
    root = reader.manifest(reference)
    pinned = reference.at(root.descriptor.digest)
    if root.descriptor.media_type not in INDEXES:
        looked = [_look(reader, pinned, _only(pinned, root))]
    else:
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="look") as pool:
            parts = _parts(reader, pinned, root, pool)
            looked = list(pool.map(lambda part: _look(reader, pinned, part), parts))
    platforms: dict[Platform, PlatformImage] = {}
    for image in looked:
        # The same platform again is the same image in another compression (buildah --add-compression).
        if image is not None:
            platforms.setdefault(image.platform, image)
    if not platforms:
        raise Malformed(f"`{pinned}` holds no image of any platform")
    return Image(pinned, root.descriptor.media_type, tuple(platforms.values()))


def _only(pinned: Reference, root: Manifest) -> _Part:
    """An image of one platform that has no index."""
    what = f"`{pinned}`"
    parts = read_manifest(root.content, root.descriptor.media_type, what)
    if not parts.is_image:
        raise Malformed(f"{what} is an artifact of the type `{parts.artifact_type}`, not an image")
    return _Part(root, None, what)


def _parts(reader: RegistryReader, pinned: Reference, root: Manifest, pool: ThreadPoolExecutor) -> list[_Part]:
    """The manifests of single platforms below an index, level by level."""
    what = f"`{pinned}`"
    found: list[_Part] = []
    level = [root]
    for _ in range(_DEPTH):
        entries = [
            child
            for index in level
            for child in read_manifest(index.content, index.descriptor.media_type, what).children
            if _is_candidate(child)
        ]
        fetched = list(pool.map(lambda child: _child(reader, pinned, child), entries))
        level = [manifest for manifest in fetched if manifest.descriptor.media_type in INDEXES]
        found += [
            _Part(manifest, entry.platform, f"`{pinned.repository.digest(entry.digest)}`")
            for manifest, entry in zip(fetched, entries, strict=True)
            if manifest.descriptor.media_type not in INDEXES
        ]
        if not level:
            return found
    raise Malformed(f"{what} holds indexes in indexes, more than {_DEPTH} deep")


def _is_candidate(child: Descriptor) -> bool:
    if child.platform == _UNKNOWN or child.artifact_type or _REFERENCE_TYPE in child.annotations:
        return False
    return child.media_type in INDEXES | MANIFESTS


def _child(reader: RegistryReader, pinned: Reference, child: Descriptor) -> Manifest:
    manifest = reader.manifest(pinned.repository.digest(child.digest))
    if len(manifest.content) != child.size:
        raise Malformed(
            f"`{pinned}` says that `{child.digest}` has {child.size} bytes, and it has {len(manifest.content)}"
        )
    return manifest


def _look(reader: RegistryReader, pinned: Reference, part: _Part) -> PlatformImage | None:
    """The image, or `None` for an artifact that the index did not mark as one."""
    descriptor = part.manifest.descriptor
    parts = read_manifest(part.manifest.content, descriptor.media_type, part.what)
    if parts.config is None or not parts.is_image or parts.artifact_type:
        return None
    what = f"the configuration of {part.what}"
    config = read_object(reader.blob(pinned.repository, parts.config.digest, limit=CONFIG_LIMIT), what)
    platform = read_platform(config, what)
    if platform is None:
        raise Malformed(f"{what} names no platform")
    stated = part.platform
    if stated and (stated.os, stated.architecture) != (platform.os, platform.architecture):
        raise Malformed(f"`{pinned}` lists {part.what} for `{stated}`, and its configuration says `{platform}`")
    manifest = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, platform=stated or platform)
    inner = config.get("config") or {}
    if not isinstance(inner, dict):
        raise Malformed(f"{what} holds a `config` that is no object")
    return PlatformImage(
        stated or platform,
        manifest,
        read_strings(inner.get("Labels"), what),
        _created(config, what),
        sum(layer.size for layer in parts.layers),
        parts.layers,
        _diff_ids(config, what),
        _history(config, len(parts.layers)),
    )


def _diff_ids(config: Mapping[str, Any], what: str) -> tuple[Digest, ...]:
    """The digests of the uncompressed layers (config.md, `rootfs.diff_ids`); empty where it has no such list."""
    rootfs = config.get("rootfs")
    listed = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if listed is None:
        return ()
    try:
        return tuple(map(Digest, listed))
    except (TypeError, ValueError) as error:
        raise Malformed(f"{what} lists a layer that is no digest") from error


def _history(config: Mapping[str, Any], layers: int) -> tuple[HistoryEntry, ...]:
    """An entry for each layer. It only ever helps to find things: what does not fit is left out, and is no error."""
    listed = config.get("history")
    entries = listed if isinstance(listed, list) else []
    if not all(isinstance(entry, dict) for entry in entries):
        return ()
    filled = [entry for entry in entries if not entry.get("empty_layer")]
    if len(filled) != layers:
        return ()
    return tuple(HistoryEntry(_text(entry.get("created_by")), _text(entry.get("comment"))) for entry in filled)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _created(config: Mapping[str, Any], what: str) -> datetime | None:
    """When it was built, in UTC; Go's zero time is none."""
    text = config.get("created")
    if text is None or text == "":
        return None
    if isinstance(text, str) and _TIME.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            return None if moment.year == 1 else moment
    if isinstance(text, str) and text.startswith("0001-01-01T00:00:00"):
        return None
    raise Malformed(f"{what} was created at `{str(text)[:40]}`, which is no time")
