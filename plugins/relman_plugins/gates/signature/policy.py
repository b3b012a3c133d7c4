"""containers-policy.json(5): which requirements hold for an image, read as strictly as hosts read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from relman.plugin import ConfigError
from relman_plugins.gates.signature.claims import decoded
from relman_plugins.gates.signature.demand import Kind, Requirement
from relman_plugins.gates.signature.documents import read_json
from relman_plugins.gates.signature.identity import Identity
from relman_plugins.gates.signature.keys import PublicKey
from relman_plugins.gates.signature.names import Name

_LIMIT = 1024 * 1024
_KEYS = ("keyPath", "keyPaths", "keyData", "keyDatas")
_CERTIFICATES = ("fulcio", "pki")
_REKOR = ("rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas")
_GPG = frozenset({"GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "insecureAcceptAnything": frozenset(),
    "reject": frozenset(),
    "signedBy": frozenset({"keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"}),
    "signedBaseLayer": frozenset({"baseLayerIdentity"}),
    "sigstoreSigned": frozenset({*_KEYS, *_REKOR, "fulcio", "pki", "signedIdentity"}),
}


class Policy(msgspec.Struct, frozen=True):
    """A policy file: its requirements by scope, the transport `docker` alone; ``""`` is what holds by default."""

    file: Path
    scopes: Mapping[str, tuple[Mapping[str, Any], ...]]

    def requirements(self, name: Name) -> tuple[str, tuple[Requirement, ...]]:
        """Where the policy speaks of ``name``, for people, and what it asks for there.

        The most precise scope alone counts. Raises `ConfigError` for a key that cannot be read.
        """
        scope = next(scope for scope in (*name.scopes, "") if scope in self.scopes)
        where = f"`{self.file.name}`, under `{scope}`," if scope else f"`{self.file.name}`, by default,"
        try:
            return where, tuple(self._requirement(entry) for entry in self.scopes[scope])
        except (ValueError, OSError) as error:
            raise ConfigError(f"`{self.file}`, scope `{scope}`: {error}") from error

    def _requirement(self, entry: Mapping[str, Any]) -> Requirement:
        kind = entry["type"]
        if kind in ("insecureAcceptAnything", "reject"):
            return Requirement(Kind(kind))
        if kind == "signedBy":
            return _unverifiable("a GPG signature (`signedBy`) is asked for, and those are kept outside of registries")
        if kind == "signedBaseLayer":
            return _unverifiable("`signedBaseLayer` is asked for, which no host implements")
        beyond = [name for name in (*_CERTIFICATES, *_REKOR) if name in entry]
        if beyond:
            return _unverifiable(f"`{beyond[0]}` is asked for, beside a key or in place of it")
        return Requirement(Kind.KEYS, tuple(self._keys(entry)), (Identity.read(entry.get("signedIdentity")),))

    def _keys(self, entry: Mapping[str, Any]) -> list[PublicKey]:
        name = next(name for name in _KEYS if name in entry)
        if name in ("keyData", "keyDatas"):
            return [PublicKey(decoded(value).decode()) for value in _listed(entry, name)]
        return [self._key(value) for value in _listed(entry, name)]

    def _key(self, path: str) -> PublicKey:
        places = places_of(self.file, path)
        for place in places:
            if place.is_file():
                try:
                    return load_key(place)
                except ValueError as error:
                    raise ValueError(f"the key `{place}`: {error}") from error
        raise ValueError(f"there is no key `{path}` (looked for {', '.join(f'`{place}`' for place in places)})")


def read_policy(file: Path) -> Policy:
    """Read a policy file. Raises `ConfigError` that says what is wrong."""
    try:
        content = _bounded(file)
        return Policy(file, _scopes(read_json(content)))
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no policy `{file}`", hint="`[signature] policy` is a file, from the configuration's folder on"
        ) from error
    except (ValueError, OSError) as error:
        raise ConfigError(f"`{file}` is no policy of containers-policy.json(5): {error}") from error


def load_key(file: Path) -> PublicKey:
    """A public key in a file. Raises `ValueError`, `OSError`."""
    return PublicKey(_utf8(_bounded(file)))


def places_of(policy: Path, path: str) -> tuple[Path, ...]:
    """Where the file that a policy calls ``path`` may lie.

    A policy below ``…/etc/containers`` or ``…/usr/etc/containers`` is that of an image whose files lie in ``…``: its
    keys are looked for there, and nowhere else. Any other policy speaks of this machine, and of its own folder.
    """
    relative = path.lstrip("/")
    parents = policy.absolute().parent
    if (parents.name, parents.parent.name) == ("containers", "etc") and parents.parent.parent != Path("/"):
        root = parents.parent.parent
        if root.name == "usr":
            return (root.parent / relative, root / relative)
        return (root / relative, root / "usr" / relative)
    return (policy.parent / path,)


def _scopes(value: object) -> dict[str, tuple[Mapping[str, Any], ...]]:
    if not isinstance(value, dict) or not set(value) <= {"default", "transports"} or "default" not in value:
        raise ValueError("it has other keys than `default` and `transports`, or lacks `default`")
    transports = value.get("transports", {})
    if not isinstance(transports, dict) or not all(isinstance(scopes, dict) for scopes in transports.values()):
        raise ValueError("`transports` is no map of maps")
    found = {"": _entries(value["default"])}
    for transport, scopes in transports.items():
        read = {scope: _entries(entries) for scope, entries in scopes.items()}
        if transport == "docker":
            found |= read
    return found


def _entries(value: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("a scope's requirements are a list that is not empty")
    for entry in value:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or kind not in _FIELDS:
            raise ValueError(f"`{str(kind)[:40]}` is no type of requirement")
        unknown = set(entry) - _FIELDS[kind] - {"type"}
        if unknown:
            raise ValueError(f"`{kind}` has no key `{sorted(unknown)[0][:40]}`")
        if kind in ("signedBy", "sigstoreSigned"):
            _check(entry, kind)
    return tuple(value)


def _check(entry: Mapping[str, Any], kind: str) -> None:
    """What hosts check of every scope when they read the file: one bad entry, and they pull nothing at all."""
    Identity.read(entry.get("signedIdentity"))
    signers = [name for name in (*_KEYS, *_CERTIFICATES) if name in entry]
    if len(signers) != 1:
        raise ValueError(f"`{kind}` takes one of {', '.join(f'`{name}`' for name in _KEYS)}")
    if kind == "signedBy" and entry.get("keyType") not in _GPG:
        raise ValueError("`signedBy` is without a `keyType` that hosts know")
    if sum(name in entry for name in _REKOR) > 1 or ("fulcio" in entry and not any(name in entry for name in _REKOR)):
        raise ValueError("one of the Rekor public keys goes with `fulcio`, and at most one beside a key")
    for name in (name for name in (*_KEYS, *_REKOR) if name in entry):
        for value in _listed(entry, name):
            if name.endswith(("Data", "Datas")):
                decoded(value)


def _listed(entry: Mapping[str, Any], name: str) -> list[str]:
    value = entry[name]
    listed = value if name.endswith("s") else [value]
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) and text for text in listed):
        raise ValueError(f"`{name}` is {'no list of texts' if name.endswith('s') else 'no text'}")
    return listed


def _unverifiable(reason: str) -> Requirement:
    return Requirement(Kind.UNVERIFIABLE, reason=reason)


def _bounded(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(_LIMIT + 1)
    if len(content) > _LIMIT:
        raise ValueError(f"it is larger than {_LIMIT} bytes")
    return content


def _utf8(content: bytes) -> str:
    return content.decode()
