"""Who must have signed what enters a stream, and who signs what relman states, as the configuration has it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec


class SignatureRule(msgspec.Struct, frozen=True):
    """`[signature]`: exactly one of ``policy``, ``shipped``, ``keys`` and ``identity``.

    ``policy`` is a file of containers-policy.json(5), ``shipped`` the path of the one that each image ships in place of
    it, ``registries`` the folder of containers-registries.d(5) that
    hosts read with it, `None` for ``registries.d`` beside it. ``keys`` are files with public keys. ``identity`` and
    ``issuer`` are who a certificate must name. ``insecure`` are the hosts that are spoken to without TLS.
    """

    policy: Path | None = None
    registries: Path | None = None
    keys: tuple[Path, ...] = ()
    identity: str | None = None
    issuer: str | None = None
    insecure: frozenset[str] = frozenset()
    shipped: str | None = None

    def __post_init__(self) -> None:
        if sum((self.policy is not None, self.shipped is not None, bool(self.keys), self.identity is not None)) != 1:
            raise ValueError("signatures are asked for by a policy, by keys or by an identity: one of them")
        if (self.identity is None) != (self.issuer is None):
            raise ValueError("an identity is one only with its issuer")


class SigningMode(StrEnum):
    """How a statement is signed."""

    KEY = "key"
    KEYLESS = "keyless"


class StatementSigning(msgspec.Struct, frozen=True):
    """What `[record]` says of who signs statements.

    ``key`` and ``password`` are names of environment variables, never what they hold; without a key it is the identity
    of whoever runs relman, by cosign.
    """

    mode: SigningMode
    key: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        if (self.mode is SigningMode.KEY) != (self.key is not None) or (self.password and not self.key):
            raise ValueError("statements are signed with a key, which may have a password, or without one")
