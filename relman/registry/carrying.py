"""Copying an image piece by piece, digests kept: children before their index, blobs before what refers to them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from relman.errors import Malformed, NotFound, UsageError
from relman.model.oci import Descriptor, Reference, Repository
from relman.registry.manifests import read_manifest
from relman.registry.protocol import Manifest, RegistryReader, RegistryWriter

WORKERS = 8
_DEPTH = 3

CarryBlob = Callable[[Descriptor], None]


def require_pinned(source: Reference) -> None:
    """Refuse what is not given by digest: a tag may point elsewhere before the copy is done."""
    if not source.pinned:
        raise UsageError(f"`{source}` is not pinned: only a digest can be copied")


def require_named(reference: Reference) -> None:
    """Refuse a repository without tag and digest: which image is meant is not guessed."""
    if reference.tag is None and reference.digest is None:
        raise UsageError(f"`{reference}` names no image", hint=f"add a tag or a digest, such as `{reference}:stable`")


def family(reader: RegistryReader, root: Reference) -> tuple[Manifest, ...]:
    """The manifest at ``root`` and all that it lists, children first, each once. Raises `NotFound` where one lacks."""
    found: dict[str, Manifest] = {}

    def visit(reference: Reference, depth: int) -> None:
        if reference.digest in found:
            return
        if depth > _DEPTH:
            raise Malformed(f"`{root}` holds indexes in indexes, more than {_DEPTH} deep")
        manifest = reader.manifest(reference)
        parts = read_manifest(manifest.content, manifest.descriptor.media_type, f"`{reference}`")
        for child in parts.children:
            visit(root.repository.digest(child.digest), depth + 1)
        found[manifest.descriptor.digest] = manifest

    visit(root, 0)
    return tuple(found.values())


def first_missing(reader: RegistryReader, image: Reference) -> str | None:
    """What a pinned image lacks: the first manifest or blob that it names and that is not there; `None`: it is whole.

    That the manifest answers says little: a registry's clean-up may have taken what it refers to.
    """
    require_pinned(image)
    try:
        manifests = family(reader, image)
    except NotFound as error:
        return error.message
    blobs = tuple({blob.digest: None for manifest in manifests for blob in blobs_of(image.repository, manifest)})
    with ThreadPoolExecutor(WORKERS) as pool:
        there = pool.map(lambda digest: reader.has_blob(image.repository, digest), blobs)
        gone = [digest for digest, is_there in zip(blobs, there, strict=True) if not is_there]
    return f"the blob `{gone[0]}` is not in `{image.repository}`" if gone else None


def blobs_of(repository: Repository, manifest: Manifest) -> tuple[Descriptor, ...]:
    """What a manifest is stored beside. Raises `Malformed`."""
    reference = repository.digest(manifest.descriptor.digest)
    return read_manifest(manifest.content, manifest.descriptor.media_type, f"`{reference}`").blobs


def carry(
    reader: RegistryReader, writer: RegistryWriter, source: Reference, target: Repository, carry_blob: CarryBlob
) -> None:
    """Copy a pinned image, all platforms. Manifests that ``target`` has are not written again.

    ``carry_blob`` is called for their blobs all the same, and brings only what is missing.
    """
    require_pinned(source)
    with ThreadPoolExecutor(WORKERS) as pool:
        for manifest in family(reader, source):
            for _ in pool.map(carry_blob, blobs_of(source.repository, manifest)):
                pass
            if writer.resolve(target.digest(manifest.descriptor.digest)) is None:
                writer.put_manifest(target, manifest.content, manifest.descriptor.media_type)
