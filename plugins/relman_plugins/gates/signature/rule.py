"""From `[signature]` to what is demanded of a candidate, under each name that hosts will pull it by."""

from __future__ import annotations

from collections.abc import Callable

from relman.model.oci import Reference, Repository
from relman.model.release import Candidate
from relman.model.signature import SignatureRule
from relman.plugin import ConfigError
from relman_plugins.gates.signature.demand import Demand, Kind, Requirement
from relman_plugins.gates.signature.identity import Identity, Match
from relman_plugins.gates.signature.keys import PublicKey
from relman_plugins.gates.signature.names import Name
from relman_plugins.gates.signature.policy import load_key, read_policy
from relman_plugins.gates.signature.registries_d import read_registries_d

Demands = Callable[[Candidate], tuple[Demand, ...]]


def demands(rule: SignatureRule) -> Demands:
    """Reads what ``rule`` names, once, and answers for candidates. Raises `ConfigError`, here and there.

    Hosts follow the stream's tags: those are the names, dated tags are not. A stream that builds write has the name of
    its own tag.
    """
    asked = _by_policy(rule) if rule.policy else _by_signer(rule)

    def of(candidate: Candidate) -> tuple[Demand, ...]:
        return tuple(asked(reference, candidate) for reference in _final(candidate))

    return of


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
