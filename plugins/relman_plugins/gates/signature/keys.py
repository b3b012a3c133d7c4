"""Public keys: ECDSA, RSA and Ed25519, as sigstore signs with them: over SHA-256, RSA with PKCS #1 v1.5 padding.

Source: sigstore/sigstore, `pkg/signature` (`LoadVerifier`). The library is imported when a key is used.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import msgspec


class PublicKey(msgspec.Struct, frozen=True, dict=True):
    """A public key as text (PEM). Raises `ValueError` for anything else."""

    pem: str

    def __post_init__(self) -> None:
        _ = self._loaded

    @property
    def fingerprint(self) -> str:
        """``SHA256:`` and the hex digest of the key's `SubjectPublicKeyInfo` in DER."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self._loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"SHA256:{hashlib.sha256(der).hexdigest()}"

    def made(self, signature: bytes, content: bytes) -> bool:
        """Whether this key's owner made ``signature`` over ``content``."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256

        key = self._loaded
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, content, ec.ECDSA(SHA256()))
            elif isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, content, padding.PKCS1v15(), SHA256())
            else:
                key.verify(signature, content)
        except InvalidSignature:
            return False
        return True

    @cached_property
    def _loaded(self) -> Any:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(self.pem.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError("it is no public key in PEM") from error
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
            raise ValueError("it is neither an ECDSA nor an RSA nor an Ed25519 key")
        return key
