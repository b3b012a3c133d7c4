"""What an image must be signed with to be pulled under one name: plain data, so that a saved plan pins it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

import msgspec

from relman_plugins.gates.signature.identity import Identity
from relman_plugins.gates.signature.keys import PublicKey
from relman_plugins.gates.signature.names import Name


class Kind(StrEnum):
    """What a requirement asks for."""

    ANYTHING = "insecureAcceptAnything"
    REJECT = "reject"
    KEYS = "sigstoreSigned"
    KEYLESS = "keyless"
    UNVERIFIABLE = "unverifiable"


class Requirement(msgspec.Struct, frozen=True):
    """One of the things that are asked for, all of which must hold.

    ``keys``: one of them must have signed, under one of ``identities``. ``subject`` and ``issuer``: who a certificate
    must name. ``reason``: why it cannot be verified here.
    """

    kind: Kind
    keys: tuple[PublicKey, ...] = ()
    identities: tuple[Identity, ...] = ()
    subject: str = ""
    issuer: str = ""
    reason: str = ""

    def as_json(self) -> dict[str, object]:
        """What `read` takes."""
        return {
            "type": self.kind.value,
            "keys": [key.pem for key in self.keys],
            "identities": [identity.as_json() for identity in self.identities],
            "subject": self.subject,
            "issuer": self.issuer,
            "reason": self.reason,
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """Raises `ValueError`, `KeyError` or `TypeError` for what `as_json` did not write."""
        return cls(
            Kind(value["type"]),
            tuple(PublicKey(pem) for pem in value["keys"]),
            tuple(Identity.read(identity) for identity in value["identities"]),
            str(value["subject"]),
            str(value["issuer"]),
            str(value["reason"]),
        )


class Demand(msgspec.Struct, frozen=True):
    """What is asked of an image that is pulled as ``name``, and who asks.

    ``source`` says where that stands, for people. ``unseen``: why a host would see no sigstore signature, or `None`.
    ``each_platform``: podman and skopeo look for the signature of the platform's own manifest, rpm-ostree and bootc
    for that of the index (skopeo's proxy); whoever does not know which will pull asks for both. ``plain``: the
    registry is spoken to without TLS.
    """

    name: Name
    requirements: tuple[Requirement, ...]
    source: str
    unseen: str | None = None
    each_platform: bool = False
    plain: bool = False

    def as_json(self) -> dict[str, object]:
        """What `read` takes; public keys and names, no secrets."""
        return {
            "name": str(self.name),
            "requirements": [requirement.as_json() for requirement in self.requirements],
            "source": self.source,
            "unseen": self.unseen,
            "each_platform": self.each_platform,
            "plain": self.plain,
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """Raises `ValueError`, `KeyError` or `TypeError` for what `as_json` did not write, as in an edited plan."""
        requirements = tuple(Requirement.read(requirement) for requirement in value["requirements"])
        if not requirements:
            raise ValueError("nothing is asked for")
        unseen = value["unseen"]
        return cls(
            Name.parse(value["name"]),
            requirements,
            str(value["source"]),
            None if unseen is None else str(unseen),
            bool(value["each_platform"]),
            bool(value["plain"]),
        )
