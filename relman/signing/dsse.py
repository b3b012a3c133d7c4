"""Statements that are signed: DSSE envelopes (DSSE 1.0, protocol.md and envelope.md), in sigstore bundles.

A bundle is what cosign attaches and looks for: `dev.sigstore.bundle.v1.Bundle` of sigstore/protobuf-specs as JSON,
version 0.3. Some tools (slsa-verifier) take the envelope alone.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from relman.documents.reading import compact, read_json
from relman.errors import Malformed

IN_TOTO = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
BUNDLE_LIMIT = 4 * 1024 * 1024
"""The largest bundle that is read, in bytes."""
_FAMILY = "application/vnd.dev.sigstore.bundle"
_MOST = 16


def signed_bytes(statement: bytes) -> bytes:
    """What a signature under ``statement`` is over: the pre-authentication encoding of DSSE."""
    kind = IN_TOTO.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement)


class Envelope(msgspec.Struct, frozen=True):
    """A statement and the signatures under it."""

    statement: bytes
    signatures: tuple[bytes, ...]

    def as_json(self) -> dict[str, object]:
        """As envelope.md has it. No key id: it says nothing that a verifier may rely on."""
        return {
            "payload": base64.b64encode(self.statement).decode(),
            "payloadType": IN_TOTO,
            "signatures": [{"keyid": "", "sig": base64.b64encode(one).decode()} for one in self.signatures],
        }


def envelope_bytes(envelope: Envelope) -> bytes:
    """An envelope alone, as a line of JSON."""
    return compact(envelope.as_json())


def bundle_bytes(envelope: Envelope, *, hint: str) -> bytes:
    """A bundle around ``envelope``; ``hint`` says which public key verifies it, in words of the verifier's choice."""
    return compact(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": envelope.as_json(),
        }
    )


def read_bundle(content: bytes, what: str) -> Envelope:
    """The envelope in a bundle of any version. Raises `Malformed` for anything else; nothing is verified."""
    value = read_json(content, what=what, limit=BUNDLE_LIMIT)
    try:
        if not isinstance(value, dict) or not str(value.get("mediaType")).startswith(_FAMILY):
            raise ValueError("it is no sigstore bundle")
        envelope = value.get("dsseEnvelope")
        if not isinstance(envelope, dict) or envelope.get("payloadType") != IN_TOTO:
            raise ValueError("it holds no in-toto statement")
        signatures = envelope.get("signatures")
        if not isinstance(signatures, list) or not 0 < len(signatures) <= _MOST:
            raise ValueError(f"it has no list of 1 to {_MOST} signatures")
        return Envelope(_decoded(envelope.get("payload")), tuple(_decoded(_of(one)) for one in signatures))
    except ValueError as error:
        raise Malformed(f"{what}: {error}") from error


def _of(signature: object) -> object:
    if not isinstance(signature, dict):
        raise ValueError("a signature is none")
    return signature.get("sig")


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("what should be base64 is no text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"it is not base64: {error}") from error
