"""Signed statements read back: which bundles hang on a promoted image, whose they are, and what they say."""

from __future__ import annotations

from collections.abc import Iterator

from relman.documents.reading import read_json
from relman.errors import Malformed, NotFound
from relman.model.oci import Digest, Reference, parse_repository
from relman.model.record import Record
from relman.registry.manifests import read_manifest
from relman.registry.protocol import RegistryReader
from relman.signing.dsse import BUNDLE, BUNDLE_LIMIT, Envelope, envelope_bytes, read_bundle
from relman.signing.keys import PublicKey
from relman.walk.statement import EXTENSION, STATEMENT, SUMMARY

_MOST = 64


def signed_envelope(reader: RegistryReader, record: Record, variant: str, key: PublicKey) -> bytes:
    """The statement of ``record`` that is attached to a variant's image and signed with ``key``: a line of JSON.

    It has to be about that image and that release. Raises `NotFound`, and `Malformed` where none is.
    """
    recorded = record.variant(variant)
    if recorded is None or recorded.digest is None:
        raise NotFound(f"`{record.version}` has no image `{variant}` on record")
    image = parse_repository(recorded.reference).digest(recorded.digest)
    others = []
    for envelope in _attached(reader, image):
        if not key.verified(envelope):
            others.append("it is signed with another key, or was changed")
        elif (fault := _fault(envelope, image, record)) is not None:
            others.append(fault)
        else:
            return envelope_bytes(envelope)
    if others:
        raise Malformed(f"no statement that is attached to `{image}` can be believed: {others[0]}")
    raise NotFound(f"no signed statement is attached to `{image}`")


def _attached(reader: RegistryReader, image: Reference) -> Iterator[Envelope]:
    """Every statement in a bundle on an image. What is no such thing, or cannot be read, is somebody else's."""
    assert image.digest
    for referrer in reader.referrers(image.repository, image.digest)[:_MOST]:
        if referrer.artifact_type != BUNDLE:
            continue
        reference = image.repository.digest(referrer.digest)
        try:
            manifest = reader.manifest(reference)
            parts = read_manifest(manifest.content, manifest.descriptor.media_type, f"`{reference}`")
            for layer in parts.layers[:1]:
                yield read_bundle(reader.blob(image.repository, layer.digest, limit=BUNDLE_LIMIT), f"`{reference}`")
        except (Malformed, NotFound):
            continue


def _fault(envelope: Envelope, image: Reference, record: Record) -> str | None:
    """Why a statement whose signature is good is not about this promotion, or `None`."""
    said = read_json(envelope.statement, what="the statement", limit=BUNDLE_LIMIT)
    predicate = said.get("predicate") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(predicate, dict):
        return "it is no statement"
    if (said.get("_type"), said.get("predicateType")) != (STATEMENT, SUMMARY):
        return "it is a statement of another kind"
    if image.digest not in tuple(_subjects(said.get("subject"))):
        return "it is about another image"
    extension = predicate.get(EXTENSION)
    if not isinstance(extension, dict) or extension.get("release") != record.id:
        return "it is about another release"
    return None


def _subjects(value: object) -> Iterator[Digest]:
    for subject in value if isinstance(value, list) else ():
        digests = subject.get("digest") if isinstance(subject, dict) else None
        for algorithm, hexadecimal in digests.items() if isinstance(digests, dict) else ():
            try:
                yield Digest(f"{algorithm}:{hexadecimal}")
            except ValueError:
                continue
