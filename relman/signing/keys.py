"""Private keys that statements are signed with, and the public keys that verify them.

ECDSA on P-256, RSA and Ed25519, over SHA-256 and with PKCS #1 v1.5 as sigstore does (sigstore/sigstore,
`pkg/signature`). In PEM: PKCS #8, encrypted or not, and cosign's own form (sigstore/cosign, `pkg/cosign/keys.go`;
go-securesystemslib, `encrypted`): a key derived by scrypt, around a NaCl secretbox.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import msgspec

from relman.documents.reading import read_json
from relman.errors import Malformed, Unequipped
from relman.signing.dsse import Envelope, bundle_bytes, signed_bytes

_LARGEST = 64 * 1024
_COSIGN = re.compile(
    r"-----BEGIN ENCRYPTED (COSIGN|SIGSTORE) PRIVATE KEY-----\s(.+?)-----END ENCRYPTED \1 PRIVATE KEY-----", re.DOTALL
)
# What cosign has ever written, and four times that: the rest of the file decides how much memory we take.
_LARGEST_COST = 4 * 65536 * 8


class Signer(Protocol):
    """Signs statements."""

    def sign(self, statement: bytes) -> bytes:
        """``statement`` in a sigstore bundle. Raises what says why it could not."""


class PublicKey(msgspec.Struct, frozen=True, dict=True):
    """A public key in PEM. Raises `Malformed` for anything else; ``what`` names it."""

    pem: str
    what: str = "the key"

    def __post_init__(self) -> None:
        assert self._loaded

    @cached_property
    def _loaded(self) -> Any:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(self.pem.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Malformed(f"{self.what} is no public key in PEM") from error
        return _usable(key, self.what)

    def verified(self, envelope: Envelope) -> bool:
        """Whether one of the signatures is this key's owner's."""
        content = signed_bytes(envelope.statement)
        return any(_made(self._loaded, signature, content) for signature in envelope.signatures)


@dataclass(frozen=True)
class PrivateKey:
    """A private key, loaded. What it is made of is in no representation of it."""

    _loaded: Any = field(repr=False)

    def sign(self, statement: bytes) -> bytes:
        """``statement`` in a bundle, verified once with the public half."""
        envelope = Envelope(statement, (self._sign(signed_bytes(statement)),))
        if not _made(self._loaded.public_key(), envelope.signatures[0], signed_bytes(statement)):
            raise Malformed("the key of [record] does not verify what it signed itself")
        return bundle_bytes(envelope, hint=self.hint)

    @property
    def hint(self) -> str:
        """The SHA-256 of the public half in DER, in base64: what cosign writes there."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self._loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def _sign(self, content: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256

        signed: bytes
        if isinstance(self._loaded, ec.EllipticCurvePrivateKey):
            signed = self._loaded.sign(content, ec.ECDSA(SHA256()))
        elif isinstance(self._loaded, rsa.RSAPrivateKey):
            signed = self._loaded.sign(content, padding.PKCS1v15(), SHA256())
        else:
            signed = self._loaded.sign(content)
        return signed


def load_private_key(pem: str, password: str | None, what: str) -> PrivateKey:
    """The key in ``pem``, opened with ``password`` where it is encrypted. ``what`` names it in errors.

    Raises `Unequipped` for what cannot be used: no such key, no password, a wrong one. No error has a part of either.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    if len(pem) > _LARGEST:
        raise Unequipped(f"{what} is no private key: it has {len(pem)} characters")
    found = _COSIGN.search(pem)
    try:
        if found:
            loaded: Any = load_der_private_key(_opened(found[2], password, what), None)
        else:
            encrypted = "ENCRYPTED" in pem
            _require_password(password, what, encrypted=encrypted)
            loaded = load_pem_private_key(pem.encode(), password.encode() if password and encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        hint = "it wants a key in PEM, as `cosign generate-key-pair` writes it, and its password"
        # Without the cause: a library may repeat what it was given.
        raise Unequipped(f"{what} cannot be opened: it is no private key, or has another password", hint=hint) from None
    try:
        _usable(loaded.public_key(), what)
    except Malformed as error:
        raise Unequipped(error.message, hint=error.hint) from error
    return PrivateKey(loaded)


def _require_password(password: str | None, what: str, *, encrypted: bool) -> None:
    if encrypted and password is None:
        raise Unequipped(f"{what} is encrypted, and no password is given", hint='[record] password = { env = "NAME" }')


def _opened(body: str, password: str | None, what: str) -> bytes:
    """The key in cosign's form, as DER. An empty password is a password."""
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    _require_password(password, what, encrypted=True)
    assert password is not None
    try:
        value = read_json(base64.b64decode("".join(body.split()), validate=True), what=what, limit=_LARGEST)
        if not isinstance(value, dict):
            raise ValueError("it is no object")
        kdf, cipher = value["kdf"], value["cipher"]
        n, r, p = (int(kdf["params"][name]) for name in ("N", "r", "p"))
        if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox") or not 0 < n * r * p <= _LARGEST_COST:
            raise ValueError("it is closed in another way")
        salt, nonce, box = (base64.b64decode(text) for text in (kdf["salt"], cipher["nonce"], value["ciphertext"]))
        key = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r * p + 2**20, dklen=32)
        return SecretBox(key).decrypt(box, nonce)
    except (KeyError, Malformed) as error:
        raise ValueError("it is not as cosign writes it") from error
    except CryptoError as error:
        raise ValueError("another password") from error


def _usable(key: Any, what: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    raise Malformed(
        f"{what} is neither an ECDSA key on P-256, nor an RSA key of 2048 bits or more, nor an Ed25519 key",
        hint="`cosign generate-key-pair` makes one",
    )


def _made(key: Any, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

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
