"""From `[signature]` to what is demanded of a candidate, under each name that hosts will pull it by."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from relman.model.oci import Digest, Reference, Repository
from relman.model.release import Candidate
from relman.model.signature import SignatureRule
from relman.plugin import ConfigError, RegistryReader
from relman_plugins.gates.signature.demand import Demand, Kind, Requirement
from relman_plugins.gates.signature.identity import Identity, Match
from relman_plugins.gates.signature.keys import PublicKey
from relman_plugins.gates.signature.names import Name
from relman_plugins.gates.signature.policy import load_key, read_policy
from relman_plugins.gates.signature.registries_d import read_registries_d
from relman_plugins.gates.signature.shipped import lay_out

Demands = Callable[[Candidate], tuple[Demand, ...]]


def demands(rule: SignatureRule, registry: RegistryReader | None = None) -> Demands:
    """Reads what ``rule`` names, once, and answers for candidates. Raises `ConfigError`, here and there.

    Hosts follow the stream's tags: those are the names, dated tags are not. A stream that builds write has the name of
    its own tag.
    """
    if rule.shipped is not None:
        if registry is None:
            raise ConfigError("the policy that an image ships cannot be read without a registry")
        return _by_shipped_policy(rule, registry)
    asked = _by_policy(rule) if rule.policy else _by_signer(rule)

    def of(candidate: Candidate) -> tuple[Demand, ...]:
        return tuple(asked(reference, candidate) for reference in _final(candidate))

    return of


def _by_shipped_policy(rule: SignatureRule, registry: RegistryReader) -> Demands:
    """Each image by the policy in it: that of its first platform, which is what a host of that platform would have."""
    assert rule.shipped
    known: dict[Digest, tuple[Demand, ...]] = {}

    def of(candidate: Candidate) -> tuple[Demand, ...]:
        image = candidate.image
        if image.digest not in known:
            known[image.digest] = tuple(_as_shipped(rule, registry, candidate))
        return known[image.digest]

    return of


def _as_shipped(rule: SignatureRule, registry: RegistryReader, candidate: Candidate) -> Iterator[Demand]:
    assert rule.shipped
    image = candidate.image
    with tempfile.TemporaryDirectory(prefix="relman-policy-") as folder:
        root = f"{Path(folder) / 'root'}/"
        try:
            policy, registries = lay_out(
                registry, image.reference.repository, image.platforms[0], rule.shipped, Path(folder)
            )
            asked = _by_policy(replace(rule, policy=policy, registries=registries, shipped=None))
            for reference in _final(candidate):
                found = asked(reference, candidate)
                yield replace(
                    found, source=f"{found.source} shipped by the image", unseen=_unrooted(found.unseen, root)
                )
        except ConfigError as error:
            raise ConfigError(_unrooted(error.message, root) or "", hint=error.hint) from error


def _unrooted(text: str | None, root: str) -> str | None:
    """A sentence with files named as they are in the image."""
    return text.replace(root, "/") if text else text


def _final(candidate: Candidate) -> tuple[Reference, ...]:
    followed = tuple(move.reference for move in candidate.moves if not move.dated)
    found = candidate.image.reference
    return followed or (found.repository.tag(found.tag) if found.tag else found,)


def _by_policy(rule: SignatureRule) -> Callable[[Reference, Candidate], Demand]:
    assert rule.policy
    policy = read_policy(rule.policy)
    attachments = read_registries_d(rule.registries or rule.policy.parent / "registries.d")

    def asked(reference: Reference, candidate: Candidate) -> Demand:
        name = _name(reference)
        where, requirements = policy.requirements(name)
        return Demand(
            name,
            requirements,
            where,
            unseen=attachments.unseen(name),
            each_platform=True,
            plain=_plain(rule, candidate.image.reference.repository),
        )

    return asked


def _by_signer(rule: SignatureRule) -> Callable[[Reference, Candidate], Demand]:
    keys: list[PublicKey] = []
    for file in rule.keys:
        try:
            keys.append(load_key(file))
        except OSError as error:
            raise ConfigError(f"the key `{file}` cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(f"the key `{file}`: {error}") from error

    def asked(reference: Reference, candidate: Candidate) -> Demand:
        # Where the hosts' policy is not known: the repository of the build, in which it was signed, or the stream's.
        built = _name(candidate.image.reference).repository
        identities = (Identity(Match.REPOSITORY), Identity(Match.EXACT_REPOSITORY, (built,)))
        if keys:
            requirement = Requirement(Kind.KEYS, tuple(keys), identities)
            source = f"[signature] keys ({', '.join(file.name for file in rule.keys)})"
        else:
            requirement = Requirement(
                Kind.KEYLESS, identities=identities, subject=rule.identity or "", issuer=rule.issuer or ""
            )
            source = f"[signature] identity ({rule.identity})"
        return Demand(
            _name(reference), (requirement,), source, plain=_plain(rule, candidate.image.reference.repository)
        )

    return asked


def _name(reference: Reference) -> Name:
    try:
        return Name.of(reference)
    except ValueError as error:
        raise ConfigError(str(error), hint="leave out [signature] where images lie in folders") from error


def _plain(rule: SignatureRule, repository: Repository) -> bool:
    return repository.registry in rule.insecure
