"""What is attached to a manifest (distribution spec 1.1, "Listing Referrers" and "Referrers Tag Schema")."""

from __future__ import annotations

from collections.abc import Mapping

from relman.errors import Malformed, NotFound
from relman.model.oci import Descriptor, Digest, Repository
from relman.registry.manifests import OCI_EMPTY, as_json, encode, read_manifest
from relman.registry.protocol import INDEXES, OCI_INDEX, OCI_MANIFEST, Manifest, RegistryReader, RegistryWriter

_EMPTY = b"{}"


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


def attach(
    writer: RegistryWriter,
    repository: Repository,
    subject: Digest,
    content: bytes,
    *,
    artifact_type: str,
    media_type: str,
    annotations: Mapping[str, str] | None = None,
    by_tag: bool | None = None,
) -> Descriptor:
    """Attach ``content`` to the manifest ``subject`` and return the descriptor of the manifest that does so.

    The fallback tag's list is kept where the registry does not list referrers by itself (``by_tag`` forces it, or
    forbids it); its other entries stay. Two who attach at once may lose an entry of that list: the specification has
    no way to prevent it. Raises `NotFound` where the subject is not there.
    """
    target = writer.resolve(repository.digest(subject))
    if target is None:
        raise NotFound(f"`{repository.digest(subject)}` is not there to attach anything to")
    blob = writer.put_blob(repository, content)
    empty = writer.put_blob(repository, _EMPTY)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": as_json(Descriptor(OCI_EMPTY, empty, len(_EMPTY))),
        "layers": [as_json(Descriptor(media_type, blob, len(content)))],
        "subject": as_json(Descriptor(target.media_type, subject, target.size)),
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    encoded = encode(manifest)
    digest = writer.put_manifest(repository, encoded, OCI_MANIFEST)
    attached = Descriptor(OCI_MANIFEST, digest, len(encoded), artifact_type, dict(annotations or {}))
    known = by_tag is False or any(d.digest == digest for d in writer.referrers(repository, subject))
    if by_tag or not known:
        _list_under_tag(writer, repository, subject, attached)
    return attached


def _list_under_tag(writer: RegistryWriter, repository: Repository, subject: Digest, attached: Descriptor) -> None:
    before = by_fallback_tag(writer, repository, subject)
    entries = merged(before, (attached,))
    if entries == before:
        return
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [as_json(entry) for entry in entries]}
    writer.put_manifest(repository, encode(index), OCI_INDEX, tag=subject.fallback_tag)
