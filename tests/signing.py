"""Signatures as cosign makes them, with keys that last as long as a test: both layouts, and whatever may be wrong."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relman.model.oci import Descriptor, Digest, Repository
from relman.registry.manifests import OCI_CONFIG, as_json, encode, read_object
from relman.registry.protocol import OCI_MANIFEST, RegistryWriter
from relman.testing import attach
from relman_plugins.gates.signature.attached import SIGNATURE, tag_of
from relman_plugins.gates.signature.claims import SIGN_PREDICATE

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_IN_TOTO = "application/vnd.in-toto+json"
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def simple_payload(digest: str, reference: str, **more: Any) -> bytes:
    """What cosign 2 signs."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": critical, "optional": None} | more).encode()


@dataclass(frozen=True)
class Signer:
    """Somebody with a private key."""

    private: Private = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> str:
        """The public key, as `cosign.pub` has it."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def made(self, content: bytes) -> bytes:
        """A signature over ``content``."""
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return self.private.sign(content, ec.ECDSA(SHA256()))
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(content, padding.PKCS1v15(), SHA256())
        return self.private.sign(content)

    def sign(
        self,
        writer: RegistryWriter,
        repository: Repository,
        digest: Digest,
        *,
        reference: str | None = None,
        payload: bytes | None = None,
        about: Digest | None = None,
    ) -> None:
        """Beside the signatures that are there, one under cosign's tag of ``digest``; it is ``about`` the same."""
        content = payload if payload is not None else simple_payload(about or digest, reference or str(repository))
        put_signature(writer, repository, digest, content, base64.b64encode(self.made(content)).decode())

    def bundle(
        self, writer: RegistryWriter, repository: Repository, digest: Digest, *, predicate: str = SIGN_PREDICATE
    ) -> None:
        """A sigstore bundle as cosign 3 attaches it: a DSSE envelope around an in-toto statement."""
        statement = json.dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{"digest": {"sha256": digest.hex}}],
                "predicateType": predicate,
                "predicate": {},
            }
        ).encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(_IN_TOTO), _IN_TOTO.encode(), len(statement), statement)
        envelope = {
            "payload": base64.b64encode(statement).decode(),
            "payloadType": _IN_TOTO,
            "signatures": [{"sig": base64.b64encode(self.made(signed)).decode()}],
        }
        content = {"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "x"}}, "dsseEnvelope": envelope}
        attach(writer, repository, digest, json.dumps(content).encode(), BUNDLE, BUNDLE)


def put_signature(
    writer: RegistryWriter, repository: Repository, digest: Digest, payload: bytes, signature: str | None
) -> None:
    """A layer more under cosign's tag of ``digest``."""
    tag = repository.tag(tag_of(digest))
    held = writer.resolve(tag)
    layers = read_object(writer.manifest(tag).content, "the signatures")["layers"] if held else []
    layer = as_json(Descriptor(SIMPLE, writer.put_blob(repository, payload), len(payload)))
    put_signatures(
        writer, repository, digest, [*layers, {**layer, "annotations": {SIGNATURE: signature} if signature else {}}]
    )


def put_signatures(writer: RegistryWriter, repository: Repository, digest: Digest, layers: list[Any]) -> None:
    """A manifest of signatures with these layers, under cosign's tag of ``digest``."""
    config = writer.put_blob(repository, b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": as_json(Descriptor(OCI_CONFIG, config, 2)),
        "layers": layers,
    }
    writer.put_manifest(repository, encode(manifest), OCI_MANIFEST, tag=tag_of(digest))
