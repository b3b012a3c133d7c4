"""Putting a compact list into an image: a new manifest with one more small layer. The old one is never touched."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relman.compact.inband import Announced, announced, chain_id, embedded_document, layer_tar
from relman.compact.lists import LABEL, document_bytes, pack
from relman.errors import Malformed, NotFound, RelmanError
from relman.model.contents import Contents
from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, Repository
from relman.registry.look import CONFIG_LIMIT
from relman.registry.manifests import as_json, encode, read_object
from relman.registry.protocol import DOCKER_MANIFEST, INDEXES, RegistryReader, RegistryWriter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_OCI_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_OCI_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
_DOCKER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CREATED_BY = "relman contents --embed"


@dataclass(frozen=True, slots=True)
class Embedding:
    """What is to be stored: blobs, then manifests in their order, of which the last is the image to name.

    ``added`` are the bytes that each platform's image grows by: 0 where its list was in it before.
    """

    blobs: tuple[bytes, ...] = field(repr=False)
    manifests: tuple[tuple[bytes, str], ...] = field(repr=False)
    digest: Digest
    added: Mapping[Platform, int] = field(hash=False)


def embedding(reader: RegistryReader, image: Image, contents: Mapping[Platform, Contents]) -> Embedding:
    """``image`` with each platform's list in band. Only reads; the same image and lists make the same bytes.

    Raises `NotFound` for a platform without a list, `Malformed` for an index that holds others.
    """
    blobs: list[bytes] = []
    manifests: list[tuple[bytes, str]] = []
    replaced: dict[Digest, Descriptor] = {}
    added: dict[Platform, int] = {}
    for part in image.platforms:
        if part.platform not in contents:
            raise NotFound(f"there is no list of `{image.reference}` for {part.platform}")
        repository = image.reference.repository
        made = _with_list(reader, repository, part, contents[part.platform])
        if made is None:
            added[part.platform] = 0
            continue
        new_blobs, manifest = made
        blobs += new_blobs
        manifests.append((manifest, part.manifest.media_type))
        replaced[part.manifest.digest] = Descriptor(part.manifest.media_type, Digest.of(manifest), len(manifest))
        added[part.platform] = len(new_blobs[0])
    if not replaced:
        return Embedding((), (), image.digest, added)
    if image.media_type in INDEXES:
        manifests.append((_index(reader, image, replaced), image.media_type))
    return Embedding(tuple(blobs), tuple(manifests), Digest.of(manifests[-1][0]), added)


def store(writer: RegistryWriter, repository: Repository, made: Embedding, tag: str | None) -> None:
    """Store the new image, without a tag or under ``tag``, which is moved last. Nothing else is changed."""
    for blob in made.blobs:
        writer.put_blob(repository, blob)
    for content, media_type in made.manifests[:-1]:
        writer.put_manifest(repository, content, media_type)
    if made.manifests:
        writer.put_manifest(repository, *made.manifests[-1], tag=tag)
    elif tag is not None:
        found = writer.manifest(repository.digest(made.digest))
        writer.put_manifest(repository, found.content, found.descriptor.media_type, tag=tag)
    reference = repository.tag(tag) if tag else repository.digest(made.digest)
    seen = writer.resolve(reference)
    if seen is None or seen.digest != made.digest:
        raise RelmanError(f"`{reference}` was written and now holds `{seen.digest if seen else 'nothing'}`")


def _with_list(
    reader: RegistryReader, repository: Repository, part: PlatformImage, contents: Contents
) -> tuple[tuple[bytes, bytes], bytes] | None:
    """The new layer, the new configuration, the new manifest; `None` where the same list is in it already."""
    what = f"`{repository.digest(part.manifest.digest)}`"
    if not part.diff_ids or len(part.diff_ids) != len(part.layers):
        raise Malformed(f"{what} has {len(part.layers)} layers, and its configuration speaks of {len(part.diff_ids)}")
    if _has_it(reader, repository, part, contents):
        return None
    beneath = chain_id(part.diff_ids)
    packed = pack(document_bytes(part.platform, contents, beneath=beneath))
    archive = layer_tar(packed)
    label = Announced(Digest.of(archive), Digest.of(packed), beneath)
    manifest = read_object(reader.manifest(repository.digest(part.manifest.digest)).content, what)
    old = Digest(manifest["config"]["digest"])
    config = read_object(reader.blob(repository, old, limit=CONFIG_LIMIT), f"the configuration of {what}")
    new_config = encode(_configured(config, label, len(part.layers)))
    layer, media_type = _packed_layer(archive, part)
    manifest["config"] = _pointing(manifest["config"], Digest.of(new_config), len(new_config))
    manifest["layers"] = [*manifest["layers"], as_json(Descriptor(media_type, Digest.of(layer), len(layer)))]
    return (layer, new_config), encode(manifest)


def _has_it(reader: RegistryReader, repository: Repository, part: PlatformImage, contents: Contents) -> bool:
    try:
        found = announced(part.labels)
        document = embedded_document(reader, repository, part)
    except (Malformed, NotFound):
        return False  # stale or broken: one more layer, and a label that says so
    if found is None or document is None:
        return False
    return document == document_bytes(part.platform, contents, beneath=found.beneath)


def _configured(config: dict[str, Any], label: Announced, layers: int) -> dict[str, Any]:
    """The configuration with the layer, its history, and the label."""
    inner = dict(config.get("config") or {})
    inner["Labels"] = {**(inner.get("Labels") or {}), LABEL: label.encode()}
    rootfs = {**config["rootfs"], "diff_ids": [*config["rootfs"]["diff_ids"], str(label.layer)]}
    history = config.get("history") or []
    if not isinstance(history, list):
        raise Malformed("its configuration has a history that is no list")
    history = list(history)
    # config.md: entries without `empty_layer` are the layers. buildah refuses to build on an image where they are less.
    told = sum(1 for entry in history if not (isinstance(entry, dict) and entry.get("empty_layer")))
    history += [{"comment": "a layer without a history of its own"}] * (layers - told)
    entry = {"created_by": _CREATED_BY, "comment": "list of contents"}
    if isinstance(config.get("created"), str):
        entry["created"] = config["created"]  # not the clock: the same list makes the same image
    return {**config, "config": inner, "rootfs": rootfs, "history": [*history, entry]}


def _packed_layer(archive: bytes, part: PlatformImage) -> tuple[bytes, str]:
    """The layer as the others are: zstd where the topmost is, else gzip; with its media type."""
    if part.manifest.media_type == DOCKER_MANIFEST:
        return _gzip(archive), _DOCKER_GZIP
    if part.layers[-1].media_type.endswith("+zstd"):
        return zstd.compress(archive), _OCI_ZSTD
    return _gzip(archive), _OCI_GZIP


def _gzip(content: bytes) -> bytes:
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)  # 31: with gzip's header, in which the time is 0
    return packing.compress(content) + packing.flush()


def _index(reader: RegistryReader, image: Image, replaced: Mapping[Digest, Descriptor]) -> bytes:
    """The index with the new manifests in place of the old; everything else in it stays as it is."""
    what = f"`{image.reference}`"
    index = read_object(reader.manifest(image.reference).content, what)
    entries, left = [], set(replaced)
    for entry in index["manifests"]:
        new = replaced.get(entry["digest"])
        left.discard(entry["digest"])
        entries.append(_pointing(entry, new.digest, new.size) if new else entry)
    if left:
        raise Malformed(f"{what} holds indexes in indexes, which no list can be put into")
    index["manifests"] = entries
    return encode(index)


def _pointing(descriptor: Mapping[str, Any], digest: Digest, size: int) -> dict[str, Any]:
    """The descriptor with another content; a copy of the old content in it (`data`) is dropped."""
    kept = {key: value for key, value in descriptor.items() if key != "data"}
    return {**kept, "digest": str(digest), "size": size}
