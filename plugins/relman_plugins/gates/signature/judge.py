"""Whether a manifest is signed as is demanded: each requirement, as the host that pulls it would decide.

Source: containers/image, `signature` (`prSigstoreSigned.isRunningImageAllowed`); containers-policy.json(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec

from relman.model.oci import Digest, Reference, Repository
from relman.model.plan import State
from relman.plugin import RegistryReader
from relman_plugins.gates.signature import keyless
from relman_plugins.gates.signature.attached import Simple, bundles_of, signatures_of, tag_of
from relman_plugins.gates.signature.claims import decoded, read_bundle, read_claim, subjects
from relman_plugins.gates.signature.demand import Demand, Kind, Requirement
from relman_plugins.gates.signature.keys import PublicKey


class Signed(msgspec.Struct, frozen=True, dict=True):
    """Where a manifest is, and what it is."""

    reader: RegistryReader
    repository: Repository
    digest: Digest

    @cached_property
    def signatures(self) -> tuple[Simple, ...]:
        """Those that hosts see, read once."""
        return signatures_of(self.reader, self.repository, self.digest)


class Verdict(msgspec.Struct, frozen=True):
    """``passed``, or closed with the reason; ``evidence`` is what it rests on."""

    state: State
    reason: str
    evidence: Mapping[str, object] = msgspec.field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether what was demanded is there."""
        return self.state is State.PASSED


def judge(reader: RegistryReader, image: Reference, platforms: Iterable[Digest], demands: Iterable[Demand]) -> Verdict:
    """Whether a pinned image, as it lies in its repository, may be pulled as each of ``demands`` has it.

    ``platforms`` are the manifests of an index, or the image's own digest. The first demand that is not met decides.
    What the registry's reader raises passes through.
    """
    assert image.digest
    manifests = [Signed(reader, image.repository, one) for one in dict.fromkeys((image.digest, *platforms))]
    names: list[Mapping[str, object]] = []
    reasons: list[str] = []
    for demand in demands:
        verdict = _each(manifests if demand.each_platform else manifests[:1], demand)
        if not verdict.good:
            return verdict
        names.append(verdict.evidence)
        reasons.append(verdict.reason)
    return Verdict(State.PASSED, "; ".join(reasons), {"names": names})


def _each(manifests: Sequence[Signed], demand: Demand) -> Verdict:
    found: list[Mapping[str, object]] = []
    for one in manifests:
        verdict = _all_of(one, demand)
        if not verdict.good:
            platform = one is not manifests[0]
            which = f"the platform's manifest {one.digest.short}, which podman and skopeo verify: " if platform else ""
            more = "; sign it too: `cosign sign --recursive`" if platform and verdict.state is State.FAILED else ""
            return Verdict(verdict.state, f"`{demand.name}`: {which}{verdict.reason}{more}", verdict.evidence)
        found.append({"digest": one.digest, **verdict.evidence})
    return Verdict(
        State.PASSED,
        f"signed for `{demand.name}` as {demand.source} asks",
        {"name": str(demand.name), "asked_by": demand.source, "signed": found},
    )


def _all_of(image: Signed, demand: Demand) -> Verdict:
    asked = [requirement for requirement in demand.requirements if requirement.kind is not Kind.ANYTHING]
    if not asked:
        return Verdict(State.ABSENT, f"{demand.source} accepts anything: no signature is asked for")
    evidence: dict[str, object] = {}
    for requirement in asked:
        verdict = _one(image, requirement, demand)
        if not verdict.good:
            return verdict
        evidence.update(verdict.evidence)
    return Verdict(State.PASSED, "", evidence)


def _one(image: Signed, requirement: Requirement, demand: Demand) -> Verdict:
    match requirement.kind:
        case Kind.REJECT:
            return Verdict(State.FAILED, f"{demand.source} rejects every image")
        case Kind.UNVERIFIABLE:
            return Verdict(State.ERROR, f"{requirement.reason}; it cannot be verified here")
        case Kind.KEYS | Kind.KEYLESS if demand.unseen:
            return Verdict(State.FAILED, f"a host would see no signature: {demand.unseen}")
        case Kind.KEYS:
            return _by_key(image, requirement, demand)
        case _:
            return _without_key(image, requirement, demand)


def _by_key(image: Signed, requirement: Requirement, demand: Demand) -> Verdict:
    if not image.signatures:
        return _unsigned(image, requirement.keys)
    refused: list[str] = []
    for signature in image.signatures:
        try:
            return Verdict(State.PASSED, "", _accepted(image.digest, signature, requirement, demand))
        except ValueError as error:
            refused.append(str(error))
    return Verdict(State.FAILED, "; ".join(dict.fromkeys(refused[:5])))


def _accepted(digest: Digest, signature: Simple, requirement: Requirement, demand: Demand) -> dict[str, object]:
    """What one signature proves. Raises `ValueError` with why it is not accepted."""
    key = _signer(signature, requirement.keys)
    claim = read_claim(signature.payload)
    if claim.digest != digest:
        raise ValueError(f"the signature is for {claim.digest.short}, not for {digest.short}")
    accepting = [identity for identity in requirement.identities if identity.accepts(demand.name, claim.reference)]
    if not accepting:
        asked = " or ".join(map(str, requirement.identities))
        raise ValueError(
            f"the signature is for the name `{claim.reference[:200]}`, which {asked} does not accept for this one"
        )
    return {
        "key": key.fingerprint,
        "layout": tag_of(digest),
        "identity": claim.reference,
        "accepted_by": str(accepting[0]),
    }


def _signer(signature: Simple, keys: Iterable[PublicKey]) -> PublicKey:
    if signature.signature is None:
        raise ValueError("a signature's layer has no signature in its annotations")
    made = decoded(signature.signature)
    for key in keys:
        if key.made(made, signature.payload):
            return key
    raise ValueError("no signature was made with the key" if len(tuple(keys)) == 1 else "no key made the signature")


def _unsigned(image: Signed, keys: Iterable[PublicKey]) -> Verdict:
    """No signature that a host sees; what else there is, since that is what people will have looked at."""
    there = 0
    for content in bundles_of(image.reader, image.repository, image.digest):
        there += 1
        try:
            envelope = read_bundle(content)
            if envelope is None or image.digest not in subjects(envelope.statement):
                continue
        except ValueError:
            continue
        for key in keys:
            if any(key.made(signature, envelope.signed) for signature in envelope.signatures):
                reason = (
                    "it is signed with the key, but only as a sigstore bundle, as cosign 3 does, and hosts do not see "
                    "those; sign with `cosign sign --new-bundle-format=false --use-signing-config=false`"
                )
                return Verdict(State.FAILED, reason, {"key": key.fingerprint, "layout": "bundle"})
    also = f"; none of the {there} sigstore bundles is its signature by the key" if there else ""
    return Verdict(State.FAILED, f"it has no signature that a host sees (the tag `{tag_of(image.digest)}`){also}")


def _without_key(image: Signed, requirement: Requirement, demand: Demand) -> Verdict:
    if not image.signatures:
        return _unsigned(image, ())
    reference = image.repository.digest(image.digest)
    try:
        references = keyless.verified(reference, requirement.subject, requirement.issuer, plain=demand.plain)
    except keyless.Refused as error:
        return Verdict(State.FAILED, error.message)
    accepted = [
        text for text in references if any(identity.accepts(demand.name, text) for identity in requirement.identities)
    ]
    if not accepted:
        return Verdict(
            State.FAILED, f"the signature is for the name `{', '.join(sorted(references))[:200]}`, not for this one"
        )
    evidence = {
        "layout": tag_of(image.digest),
        "identity": accepted[0],
        "subject": requirement.subject,
        "issuer": requirement.issuer,
    }
    return Verdict(State.PASSED, "", evidence)
