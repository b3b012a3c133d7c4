"""What a signature claims: of which manifest it speaks, and under which name.

Sources: containers-signature(5), "JSON Data Format", as cosign and containers/image sign it for sigstore; DSSE 1.0
(protocol.md, "Signature Definition"); in-toto Statement 1; cosign, specs/BUNDLE_SPEC.md.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from relman.model.oci import Digest
from relman_plugins.gates.signature.documents import fields, read_json, text

_SIMPLE = "cosign container image signature"
_IN_TOTO = "application/vnd.in-toto+json"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
"""What cosign 3 calls the signature of an image, beside attestations of other kinds."""


class Claim(msgspec.Struct, frozen=True):
    """That the manifest ``digest`` is what ``reference`` names."""

    digest: Digest
    reference: str


class Envelope(msgspec.Struct, frozen=True):
    """A DSSE envelope: ``signed`` are the bytes that each of ``signatures`` is over, ``statement`` what they say."""

    signed: bytes
    signatures: tuple[bytes, ...]
    statement: bytes


def read_claim(payload: bytes) -> Claim:
    """The claim of a simple-signing payload, read as strictly as hosts do. Raises `ValueError`."""
    whole = fields(read_json(payload), ("critical", "optional"), "the payload")
    _check_optional(whole["optional"])
    critical = fields(whole["critical"], ("type", "image", "identity"), "`critical`")
    if critical["type"] != _SIMPLE:
        raise ValueError(f"it is a `{str(critical['type'])[:60]}`, not a `{_SIMPLE}`")
    image = fields(critical["image"], ("docker-manifest-digest",), "`image`")
    identity = fields(critical["identity"], ("docker-reference",), "`identity`")
    digest = Digest(text(image["docker-manifest-digest"], "the digest"))
    return Claim(digest, text(identity["docker-reference"], "the reference"))


def _check_optional(value: object) -> None:
    if not isinstance(value, dict | None):
        raise ValueError("`optional` is not an object")
    more = value or {}
    text(more.get("creator", ""), "`creator`")
    time = more.get("timestamp", 0)
    if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < 2**63 or time != int(time):
        raise ValueError("`timestamp` is no whole number")


def read_bundle(content: bytes) -> Envelope | None:
    """The envelope in a sigstore bundle; `None` where the bundle signs in another way. Raises `ValueError`."""
    bundle = read_json(content)
    if not isinstance(bundle, dict):
        raise ValueError("the bundle is not an object")
    envelope = bundle.get("dsseEnvelope")
    if envelope is None:
        return None
    if not isinstance(envelope, dict) or envelope.get("payloadType") != _IN_TOTO:
        raise ValueError("the envelope holds no in-toto statement")
    statement = decoded(envelope.get("payload"))
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not all(isinstance(entry, dict) for entry in signatures):
        raise ValueError("the envelope has no list of signatures")
    kind = _IN_TOTO.encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement)
    return Envelope(signed, tuple(decoded(entry.get("sig")) for entry in signatures), statement)


def subjects(statement: bytes) -> frozenset[Digest]:
    """The manifests that an in-toto statement signs as images; empty for attestations. Raises `ValueError`."""
    value = read_json(statement)
    if not isinstance(value, dict) or value.get("predicateType") != SIGN_PREDICATE:
        return frozenset()
    found = value.get("subject")
    digests = [entry.get("digest") for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    hexes = [digest.get("sha256") for digest in digests if isinstance(digest, dict)]
    return frozenset(Digest(f"sha256:{text(digits, 'a digest')}") for digits in hexes)


def decoded(value: object) -> bytes:
    """Bytes from standard base64. Raises `ValueError`."""
    try:
        return base64.b64decode(text(value, "base64"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is not base64: {error}") from error
