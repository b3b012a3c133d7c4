"""Attaching something to a manifest (distribution spec 1.1, "Pushing Manifests with Subject").

A registry with the referrers API lists it by itself; for the others the tag ``sha256-<hex>`` holds the list, which
clients rewrite. The specification has no way to do that as one step: two who write at once overwrite each other. So
what was written is read back, and what somebody else's write lost is put in again.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from relman.errors import Malformed, NotFound, Passing
from relman.model.oci import Descriptor, Digest, Repository
from relman.registry.manifests import OCI_EMPTY, as_json, encode, read_object
from relman.registry.protocol import MANIFEST_LIMIT, OCI_INDEX, OCI_MANIFEST, RegistryWriter
from relman.registry.referrers import listed

_EMPTY = b"{}"
_TRIES = 40


class Patience(msgspec.Struct, frozen=True):
    """How the fallback tag's list is looked after: it has to be whole ``looks`` times, ``seconds`` apart.

    Whoever overwrites our list has read it before we wrote. The looks together should take longer than a slow client's
    way from reading to writing: a list that is still whole then is not lost to those who were on their way.
    """

    looks: int = 1
    seconds: float = 0.0
    sleep: Callable[[float], None] = time.sleep


AT_ONCE = Patience()
CAREFUL = Patience(looks=3, seconds=0.4)


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
    inline: bool = False,
    patience: Patience = AT_ONCE,
) -> Descriptor:
    """Attach ``content`` to the manifest ``subject`` and return the descriptor of the manifest that does so.

    With ``inline`` it also stands in the manifest itself where that is small enough (descriptor.md, `data`), so that
    readers need no second request. The fallback tag's list is kept where the registry does not list referrers by
    itself, which is seen by asking it (``by_tag`` forces the list, or forbids it); its other entries stay as they are.
    Raises `NotFound` where the subject is not there, `Passing` where others keep overwriting the list.
    """
    target = writer.resolve(repository.digest(subject))
    if target is None:
        raise NotFound(f"`{repository.digest(subject)}` is not there to attach anything to")
    blob = writer.put_blob(repository, content)
    empty = writer.put_blob(repository, _EMPTY)
    layer = as_json(Descriptor(media_type, blob, len(content)))
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": as_json(Descriptor(OCI_EMPTY, empty, len(_EMPTY))),
        "layers": [layer],
        "subject": as_json(Descriptor(target.media_type, subject, target.size)),
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    encoded = encode(manifest)
    if inline and len(encoded) + 2 * len(content) < MANIFEST_LIMIT:  # base64 takes 4/3
        encoded = encode({**manifest, "layers": [{**layer, "data": base64.b64encode(content).decode()}]})
    digest = writer.put_manifest(repository, encoded, OCI_MANIFEST)
    attached = Descriptor(OCI_MANIFEST, digest, len(encoded), artifact_type, dict(annotations or {}))
    if by_tag or (by_tag is None and not _is_listed(writer, repository, subject, digest)):
        list_under_tag(writer, repository, subject, attached, patience)
    return attached


def list_under_tag(
    writer: RegistryWriter, repository: Repository, subject: Digest, attached: Descriptor, patience: Patience = AT_ONCE
) -> None:
    """Let the fallback tag of ``subject`` list ``attached`` beside everything that it lists.

    Every entry that was seen there on the way is put back where it is missing later. Raises `Malformed` where the tag
    holds something that is no list, `Passing` where others never stop overwriting it.
    """
    seen = {attached.digest: as_json(attached)}
    wrote, clean = False, 0
    for _ in range(_TRIES):
        found = _read(writer, repository, subject)
        missing = [seen[digest] for digest in seen if digest not in found.entries]
        seen = {**found.entries, **seen}
        if missing:
            writer.put_manifest(repository, found.with_entries(missing), found.media_type, tag=subject.fallback_tag)
            wrote, clean = True, 0
            continue
        clean += 1
        if not wrote or clean >= patience.looks:
            return
        patience.sleep(patience.seconds * random.uniform(0.75, 1.25))  # noqa: S311  keeps writers apart, hides nothing
    raise Passing(
        f"others keep overwriting what `{repository.tag(subject.fallback_tag)}` lists",
        hint="the same command later adds what is missing",
    )


class _List(msgspec.Struct, frozen=True):
    """The list under a fallback tag as it stands there, with fields that only others know."""

    media_type: str
    fields: Mapping[str, Any]
    entries: Mapping[Digest, dict[str, Any]]

    def with_entries(self, entries: list[dict[str, Any]]) -> bytes:
        content = encode({**self.fields, "manifests": [*self.entries.values(), *entries]})
        if len(content) > MANIFEST_LIMIT:
            raise Malformed(f"the list of referrers would be larger than {MANIFEST_LIMIT} bytes")
        return content


def _read(writer: RegistryWriter, repository: Repository, subject: Digest) -> _List:
    reference = repository.tag(subject.fallback_tag)
    try:
        manifest = writer.manifest(reference)
    except NotFound:
        return _List(OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX}, {})
    descriptors = listed(manifest, f"`{reference}`")
    fields = read_object(manifest.content, f"`{reference}`")
    raw = fields.pop("manifests")
    entries = {descriptor.digest: entry for descriptor, entry in zip(descriptors, raw, strict=True)}
    return _List(manifest.descriptor.media_type, fields, entries)


def _is_listed(writer: RegistryWriter, repository: Repository, subject: Digest, digest: Digest) -> bool:
    return any(descriptor.digest == digest for descriptor in writer.referrers(repository, subject))
