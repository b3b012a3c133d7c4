"""What is attached to a manifest (distribution spec 1.1, "Listing Referrers" and "Referrers Tag Schema").

`relman.registry.attaching` is how something becomes attached.
"""

from __future__ import annotations

from relman.errors import Malformed, NotFound
from relman.model.oci import Descriptor, Digest, Repository
from relman.registry.manifests import read_manifest
from relman.registry.protocol import INDEXES, Manifest, RegistryReader


def listed(manifest: Manifest, what: str) -> tuple[Descriptor, ...]:
    """The descriptors in a list of referrers, an index; their ``artifact_type`` is `None` where the list lacks it."""
    if manifest.descriptor.media_type not in INDEXES:
        raise Malformed(f"{what} is a `{manifest.descriptor.media_type}`, not an index")
    return read_manifest(manifest.content, manifest.descriptor.media_type, what).children


def by_fallback_tag(reader: RegistryReader, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
    """What the tag ``sha256-<hex>`` lists; empty where there is no such tag."""
    reference = repository.tag(digest.fallback_tag)
    try:
        manifest = reader.manifest(reference)
    except NotFound:
        return ()
    return listed(manifest, f"`{reference}`")


def merged(*lists: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
    """All of them, each digest once, as the first list has it."""
    found: dict[Digest, Descriptor] = {}
    for descriptor in (descriptor for each in lists for descriptor in each):
        found.setdefault(descriptor.digest, descriptor)
    return tuple(found.values())
