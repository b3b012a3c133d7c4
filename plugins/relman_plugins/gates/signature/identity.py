"""Whose name a signature must carry: `signedIdentity` of containers-policy.json(5)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

import msgspec

from relman_plugins.gates.signature.names import Name


class Match(StrEnum):
    """The rules that there are."""

    EXACT = "matchExact"
    DIGEST_OR_EXACT = "matchRepoDigestOrExact"
    REPOSITORY = "matchRepository"
    EXACT_REFERENCE = "exactReference"
    EXACT_REPOSITORY = "exactRepository"
    REMAP = "remapIdentity"


_FIELDS: Mapping[Match, tuple[str, ...]] = {
    Match.EXACT_REFERENCE: ("dockerReference",),
    Match.EXACT_REPOSITORY: ("dockerRepository",),
    Match.REMAP: ("prefix", "signedPrefix"),
}


class Identity(msgspec.Struct, frozen=True):
    """One rule. ``values`` are what it compares with: a reference, a repository, or a prefix and what stands for it."""

    match: Match
    values: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: object) -> Self:
        """From a policy or a saved plan; absent is `matchRepoDigestOrExact`. Raises `ValueError`."""
        if value is None:
            return cls(Match.DIGEST_OR_EXACT)
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise ValueError(f"`{str(value)[:80]}` is no identity: it has no `type`")
        match = Match(value["type"])
        fields = _FIELDS.get(match, ())
        if set(value) != {"type", *fields} or not all(isinstance(value[name], str) for name in fields):
            raise ValueError(f"`{match}` takes {' and '.join(f'`{name}`' for name in fields) or 'no other key'}")
        values = tuple(value[name] for name in fields)
        if match is Match.EXACT_REFERENCE and Name.parse(values[0]).bare:
            raise ValueError(f"`{values[0]}` has neither tag nor digest")
        if match is Match.EXACT_REPOSITORY and not Name.parse(values[0]).bare:
            raise ValueError(f"`{values[0]}` is not a repository alone")
        return cls(match, values)

    def as_json(self) -> dict[str, str]:
        """What `read` takes."""
        return {"type": self.match.value, **dict(zip(_FIELDS.get(self.match, ()), self.values, strict=True))}

    def accepts(self, pulled: Name, signed: str) -> bool:
        """Whether a signature that carries the name ``signed`` vouches for what is pulled as ``pulled``."""
        try:
            name = Name.parse(signed)
        except ValueError:
            return False
        match self.match:
            case Match.REPOSITORY:
                return name.repository == pulled.repository
            case Match.EXACT_REPOSITORY:
                return name.repository == Name.parse(self.values[0]).repository
            case Match.EXACT_REFERENCE:
                return not name.bare and name == Name.parse(self.values[0])
            case Match.EXACT:
                return not name.bare and not pulled.bare and name == pulled
            case Match.DIGEST_OR_EXACT:
                return _digest_or_exact(pulled, name)
            case Match.REMAP:
                return _digest_or_exact(self._remapped(pulled), name)

    def _remapped(self, pulled: Name) -> Name:
        prefix, signed = self.values
        if pulled.repository != prefix and not pulled.repository.startswith(f"{prefix}/"):
            return pulled
        return Name.parse(str(Name(signed + pulled.repository[len(prefix) :], pulled.tag, pulled.digest)))

    def __str__(self) -> str:
        return " ".join((self.match.value, *(f"`{value}`" for value in self.values)))


def _digest_or_exact(pulled: Name, signed: Name) -> bool:
    if signed.bare:
        return False
    if pulled.tag:
        return signed == pulled
    return pulled.digest is not None and signed.repository == pulled.repository
