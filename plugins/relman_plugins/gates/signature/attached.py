"""The signatures of a manifest, in both layouts: cosign's tag ``sha256-<hex>.sig``, and sigstore bundles as referrers.

Sources: cosign, specs/SIGNATURE_SPEC.md ("Storage") and specs/BUNDLE_SPEC.md; containers/image, `docker`, for what
hosts read. All of it is written by strangers: bounded, and refused whole where a host would refuse it whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from relman.model.oci import Digest, Repository
from relman.plugin import Malformed, RegistryReader
from relman_plugins.gates.signature.documents import read_json

BODY_LIMIT = 4 * 1024 * 1024
"""The largest payload that hosts read, in bytes (containers/image, `iolimits.MaxSignatureBodySize`)."""
MOST = 128
"""Signatures of one manifest that are looked at."""

SIGNATURE = "dev.cosignproject.cosign/signature"
_SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle."
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Simple(msgspec.Struct, frozen=True):
    """A layer of cosign's tag: ``payload`` is signed, ``signature`` its signature in base64, absent where it is."""

    payload: bytes
    signature: str | None


def tag_of(digest: Digest) -> str:
    """cosign's tag for the signatures of ``digest``."""
    return f"{digest.fallback_tag}.sig"


def signatures_of(reader: RegistryReader, repository: Repository, digest: Digest) -> tuple[Simple, ...]:
    """What hosts see: the layers of cosign's tag. Empty where there is no such tag.

    Raises `Malformed` where it is no manifest of signatures, or one of them is larger than hosts read: they would then
    read none of them.
    """
    reference = repository.tag(tag_of(digest))
    held = reader.resolve(reference)
    if held is None:
        return ()
    found = [layer for layer in _layers(reader, repository, held.digest, str(reference)) if layer[0] == _SIMPLE]
    return tuple(
        Simple(reader.blob(repository, blob, limit=BODY_LIMIT), notes.get(SIGNATURE)) for _, blob, notes in found
    )


def bundles_of(reader: RegistryReader, repository: Repository, digest: Digest) -> Iterator[bytes]:
    """The sigstore bundles that are attached to a manifest, by API or by fallback tag. Raises `Malformed`."""
    for referrer in reader.referrers(repository, digest)[:MOST]:
        if referrer.artifact_type and not referrer.artifact_type.startswith(_BUNDLE):
            continue
        what = f"`{repository.digest(referrer.digest)}`"
        for media_type, blob, _ in _layers(reader, repository, referrer.digest, what):
            if media_type.startswith(_BUNDLE):
                yield reader.blob(repository, blob, limit=BODY_LIMIT)


def _layers(
    reader: RegistryReader, repository: Repository, digest: Digest, what: str
) -> list[tuple[str, Digest, dict[str, str]]]:
    """Media type, digest and annotations of each layer."""
    manifest = reader.manifest(repository.digest(digest))
    if manifest.descriptor.media_type != _OCI_MANIFEST:
        raise Malformed(f"{what} is a `{manifest.descriptor.media_type}`, not a manifest of signatures")
    try:
        value = read_json(manifest.content)
        layers = value["layers"] if isinstance(value, dict) else None
        if not isinstance(layers, list) or len(layers) > MOST:
            raise ValueError(f"it has no list of at most {MOST} layers")
        return [_layer(layer) for layer in layers]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{what} is no manifest of signatures: {error}") from error


def _layer(value: Any) -> tuple[str, Digest, dict[str, str]]:
    size, notes = value["size"], value.get("annotations") or {}
    if not isinstance(size, int) or size > BODY_LIMIT:
        raise ValueError(f"a signature has `{str(size)[:20]}` bytes, and hosts read {BODY_LIMIT}")
    if not isinstance(notes, dict) or not isinstance(value["mediaType"], str):
        raise ValueError("a layer is none")
    return value["mediaType"], Digest(value["digest"]), {k: v for k, v in notes.items() if isinstance(v, str)}
