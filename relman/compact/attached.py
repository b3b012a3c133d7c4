"""A compact list as a referrer: read with suspicion."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from relman.compact.lists import ARTIFACT_TYPE, LAYER_TYPE, PACKED_LIMIT, of_platform, read_document, unpack
from relman.errors import DigestMismatch, Malformed
from relman.model.contents import Contents
from relman.model.oci import Descriptor, Digest, PlatformImage, Repository
from relman.registry.manifests import read_manifest, read_object
from relman.registry.protocol import MANIFESTS, Manifest, RegistryReader

CREATED: Final = "org.opencontainers.image.created"


def lists_among(referrers: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Those that say that they are compact lists, the newest first; without a time they come last."""
    ours = [referrer for referrer in referrers if referrer.artifact_type == ARTIFACT_TYPE]
    return tuple(sorted(ours, key=lambda one: (created(one) or datetime.min.replace(tzinfo=UTC), one.digest)))[::-1]


def created(referrer: Descriptor) -> datetime | None:
    """When it was made, by its own word; `None` where it does not say, or says no time."""
    try:
        made = datetime.fromisoformat(referrer.annotations.get(CREATED, ""))
        return (made if made.tzinfo else made.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def attached_contents(
    reader: RegistryReader, repository: Repository, referrer: Descriptor, image: PlatformImage
) -> Contents:
    """The contents of ``image`` by the list ``referrer``. Raises `Malformed` where it is broken or of another image."""
    what = f"the list `{referrer.digest.short}`"
    document = attached_document(reader, repository, referrer, image.manifest.digest)
    found = read_document(document, what)
    if found.image != image.manifest.digest:
        raise Malformed(
            f"{what} is of `{found.image or 'no image'}`, not of `{image.manifest.digest}` that it hangs on"
        )
    return of_platform(found, image.platform, what)


def attached_document(reader: RegistryReader, repository: Repository, referrer: Descriptor, subject: Digest) -> bytes:
    """The document, unpacked, of the list that hangs on ``subject``. Raises `Malformed`, `NotFound`."""
    what = f"the list `{referrer.digest.short}`"
    manifest = reader.manifest(repository.digest(referrer.digest))
    if manifest.descriptor.media_type not in MANIFESTS:
        raise Malformed(f"{what} is a `{manifest.descriptor.media_type[:100]}`, which carries none")
    parts = read_manifest(manifest.content, manifest.descriptor.media_type, what)
    if parts.artifact_type != ARTIFACT_TYPE:
        raise Malformed(f"{what} calls itself `{(parts.artifact_type or 'nothing')[:100]}`")
    if parts.subject is None or parts.subject.digest != subject:
        other = parts.subject.digest if parts.subject else "nothing"
        raise Malformed(f"{what} refers to `{other}`, not to `{subject}`")
    if len(parts.layers) != 1 or parts.layers[0].media_type != LAYER_TYPE:
        raise Malformed(f"{what} has no single layer of the type `{LAYER_TYPE}`")
    (layer,) = parts.layers
    if layer.size > PACKED_LIMIT:
        raise Malformed(f"{what} has {layer.size} bytes, more than the {PACKED_LIMIT} that are read")
    packed = _inline(manifest, layer, what)
    if packed is None:
        packed = reader.blob(repository, layer.digest, limit=layer.size)
    return unpack(packed, what)


def _inline(manifest: Manifest, layer: Descriptor, what: str) -> bytes | None:
    """What the descriptor itself carries (descriptor.md, `data`), checked as the blob would be; `None`: nothing."""
    (raw,) = read_object(manifest.content, what)["layers"]
    data = raw.get("data")
    if data is None:
        return None
    try:
        content = base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise Malformed(f"{what} carries `data` that is not base64") from error
    if len(content) != layer.size or Digest.of(content, layer.digest.algorithm) != layer.digest:
        raise DigestMismatch(f"{what} carries `data` that is not what its digest says")
    return content
