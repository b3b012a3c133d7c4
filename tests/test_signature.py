"""Whether an image is signed as is demanded: the gate `signature`, and the action `verify` before any tag moves."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.errors import ConfigError, GateClosed, Malformed, RelmanError
from relman.model.oci import Descriptor, Digest, Reference, Repository, parse_repository
from relman.model.plan import Action, GateResult, Stage, State
from relman.model.record import ReceiptState
from relman.model.release import Candidate, Release, TagMove
from relman.model.signature import SignatureRule
from relman.model.streams import GateRule, Place, Stream, TagPattern, Variant
from relman.plugin import GatesContext
from relman.registry.look import look_at
from relman.registry.manifests import as_json
from relman.testing import MemoryRegistry, put_image, put_index
from relman_plugins.gates import signature
from relman_plugins.gates.signature.attached import BODY_LIMIT, MOST, SIGNATURE, tag_of
from relman_plugins.gates.signature.claims import read_bundle, read_claim, subjects
from relman_plugins.gates.signature.demand import Demand, Kind, Requirement
from relman_plugins.gates.signature.executor import VerifyExecutor, payload
from relman_plugins.gates.signature.identity import Identity, Match
from relman_plugins.gates.signature.judge import judge
from relman_plugins.gates.signature.keys import PublicKey
from relman_plugins.gates.signature.names import Name
from relman_plugins.gates.signature.rule import demands
from tests.signing import SIMPLE, Signer, put_signature, put_signatures, simple_payload

OS, NEXT = parse_repository("ghcr.io/acme/os"), parse_repository("ghcr.io/acme/next")
ALICE, BOB = Signer(), Signer()
RULES = (GateRule("signature", "signature"),)


def asked(
    *keys: Signer, match: Match = Match.REPOSITORY, values: tuple[str, ...] = (), name: str = "ghcr.io/acme/os:stable"
) -> Demand:
    """What a policy with one requirement asks for."""
    requirement = Requirement(Kind.KEYS, tuple(PublicKey(key.pem) for key in keys), (Identity(match, values),))
    return Demand(Name.parse(name), (requirement,), "the policy", each_platform=True)


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def image(registry: MemoryRegistry) -> Digest:
    return put_image(registry, OS, tags=["testing"])


def said(registry: MemoryRegistry, image: Digest, demand: Demand, repository: Repository = OS) -> tuple[State, str]:
    verdict = judge(registry, repository.digest(image), (image,), (demand,))
    return verdict.state, verdict.reason


# ------------------------------------------------------------------------------------------ one signature, one key


@pytest.mark.parametrize(
    "signer",
    [
        ALICE,
        Signer(ec.generate_private_key(ec.SECP384R1())),
        Signer(rsa.generate_private_key(65537, 2048)),
        Signer(ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=["P-256", "P-384", "RSA", "Ed25519"],
)
def test_a_signature_by_the_key_for_the_name_is_accepted_and_said(
    registry: MemoryRegistry, image: Digest, signer: Signer
) -> None:
    signer.sign(registry, OS, image)

    verdict = judge(registry, OS.digest(image), (image,), (asked(signer),))

    assert (verdict.state, verdict.reason) == (State.PASSED, "signed for `ghcr.io/acme/os:stable` as the policy asks")
    signed = {
        "digest": image,
        "key": PublicKey(signer.pem).fingerprint,
        "layout": tag_of(image),
        "identity": "ghcr.io/acme/os",
        "accepted_by": "matchRepository",
    }
    name = {"name": "ghcr.io/acme/os:stable", "asked_by": "the policy", "signed": [signed]}
    assert verdict.evidence == {"names": [name]}


def test_one_good_signature_among_others_is_enough(registry: MemoryRegistry, image: Digest) -> None:
    put_signature(registry, OS, image, b"garbage", "also garbage")
    put_signature(registry, OS, image, simple_payload(image, str(OS)), None)
    BOB.sign(registry, OS, image)
    ALICE.sign(registry, OS, image)

    assert said(registry, image, asked(ALICE))[0] is State.PASSED
    assert said(registry, image, asked(Signer(), ALICE))[0] is State.PASSED


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda r, d: None, "it has no signature that a host sees (the tag `sha256-"),
        (lambda r, d: BOB.sign(r, OS, d), "no signature was made with the key"),
        (
            lambda r, d: ALICE.sign(r, OS, d, about=Digest.of(b"other")),
            "the signature is for sha256:d9298a10d1b0, not for",
        ),
        (lambda r, d: ALICE.sign(r, OS, d, reference="ghcr.io/acme/other"), "is for the name `ghcr.io/acme/other`"),
        (lambda r, d: ALICE.sign(r, OS, d, payload=b"{"), "Expecting property name"),
        (lambda r, d: ALICE.sign(r, OS, d, payload=b"\xff"), "codec can't decode"),
        (
            lambda r, d: ALICE.sign(r, OS, d, payload=simple_payload(d, str(OS), optional={"timestamp": 1e308})),
            "`timestamp` is no whole number",
        ),
        (
            lambda r, d: ALICE.sign(r, OS, d, payload=simple_payload(d, str(OS), optional={"creator": 1})),
            "`creator` is not a text",
        ),
        (lambda r, d: ALICE.sign(r, OS, d, payload=b"[" * 50_000), "nested too deeply"),
        (lambda r, d: ALICE.sign(r, OS, d, payload=simple_payload(d, str(OS), extra=1)), "should not have `extra`"),
        (
            lambda r, d: ALICE.sign(r, OS, d, payload=simple_payload(d, str(OS)).replace(b"cosign", b"atomic")),
            "it is a `atomic container image signature`",
        ),
        (lambda r, d: put_signature(r, OS, d, simple_payload(d, str(OS)), "!!"), "it is not base64"),
        (lambda r, d: put_signature(r, OS, d, simple_payload(d, str(OS)), None), "has no signature in its annotations"),
        (
            lambda r, d: put_signature(r, OS, d, simple_payload(d, str(OS)), "AAAA"),
            "no signature was made with the key",
        ),
    ],
    ids=[
        "none",
        "key",
        "digest",
        "name",
        "cut",
        "bytes",
        "time",
        "creator",
        "deep",
        "fields",
        "type",
        "base64",
        "annotation",
        "short",
    ],
)
def test_what_a_host_would_refuse_is_refused_with_its_reason(
    registry: MemoryRegistry, image: Digest, wrong: Callable[[MemoryRegistry, Digest], None], reason: str
) -> None:
    wrong(registry, image)

    state, why = said(registry, image, asked(ALICE))

    assert state is State.FAILED
    assert reason in why


def test_a_signature_moved_to_another_image_does_not_sign_it(registry: MemoryRegistry, image: Digest) -> None:
    ALICE.sign(registry, OS, image)
    other = put_image(registry, OS, labels={"other": "yes"})
    manifest = registry.manifest(OS.tag(tag_of(image)))
    registry.put_manifest(OS, manifest.content, manifest.descriptor.media_type, tag=tag_of(other))

    assert said(registry, other, asked(ALICE)) == (
        State.FAILED,
        f"`ghcr.io/acme/os:stable`: the signature is for {image.short}, not for {other.short}",
    )


# ------------------------------------------------------------------------------------------ names, copies, bundles


def test_what_was_signed_as_testing_is_not_signed_as_stable_where_the_name_must_match(
    registry: MemoryRegistry, image: Digest
) -> None:
    ALICE.sign(registry, OS, image, reference="ghcr.io/acme/os:testing")

    assert said(registry, image, asked(ALICE, match=Match.EXACT)) == (
        State.FAILED,
        "`ghcr.io/acme/os:stable`: the signature is for the name `ghcr.io/acme/os:testing`, which matchExact does not "
        "accept for this one",
    )
    assert said(registry, image, asked(ALICE, match=Match.DIGEST_OR_EXACT))[0] is State.FAILED
    assert said(registry, image, asked(ALICE, match=Match.REPOSITORY))[0] is State.PASSED
    assert said(registry, image, asked(ALICE, match=Match.EXACT, name="ghcr.io/acme/os:testing"))[0] is State.PASSED


def test_a_copy_is_signed_for_where_it_came_from(registry: MemoryRegistry, image: Digest) -> None:
    ALICE.sign(registry, OS, image)
    name = "ghcr.io/acme/next:stable"

    assert said(registry, image, asked(ALICE, name=name))[0] is State.FAILED
    exact = asked(ALICE, match=Match.EXACT_REPOSITORY, values=("ghcr.io/acme/os",), name=name)
    assert said(registry, image, exact)[0] is State.PASSED


def test_a_bundle_alone_is_refused_although_the_key_made_it(registry: MemoryRegistry, image: Digest) -> None:
    ALICE.bundle(registry, OS, image)

    state, why = said(registry, image, asked(ALICE))

    assert state is State.FAILED
    assert (
        "it is signed with the key, but only as a sigstore bundle, as cosign 3 does, and hosts do not see those" in why
    )
    ALICE.sign(registry, OS, image)
    assert said(registry, image, asked(ALICE))[0] is State.PASSED


@pytest.mark.parametrize("api", [True, False])
def test_bundles_are_found_by_api_and_by_fallback_tag(api: bool) -> None:
    registry = MemoryRegistry(referrers_api=api)
    image = put_image(registry, OS)
    ALICE.bundle(registry, OS, image)

    assert "only as a sigstore bundle" in said(registry, image, asked(ALICE))[1]
    assert "none of the 1 sigstore bundles" in said(registry, image, asked(BOB))[1]


def test_an_attestation_is_not_a_signature_of_the_image(registry: MemoryRegistry, image: Digest) -> None:
    ALICE.bundle(registry, OS, image, predicate="https://slsa.dev/provenance/v1")

    assert "none of the 1 sigstore bundles is its signature by the key" in said(registry, image, asked(ALICE))[1]


# -------------------------------------------------------------------------------------------------- what is hostile


def test_signatures_that_hosts_would_not_read_close_the_gate(registry: MemoryRegistry, image: Digest) -> None:
    ALICE.sign(registry, OS, image)
    huge = as_json(Descriptor(SIMPLE, registry.put_blob(OS, b"x" * (BODY_LIMIT + 1)), BODY_LIMIT + 1))
    put_signatures(registry, OS, image, [huge])

    with pytest.raises(Malformed, match=f"a signature has `{BODY_LIMIT + 1}` bytes, and hosts read {BODY_LIMIT}"):
        said(registry, image, asked(ALICE))


def test_a_layer_larger_than_it_says_is_not_read_whole(registry: MemoryRegistry, image: Digest) -> None:
    layer = as_json(Descriptor(SIMPLE, registry.put_blob(OS, b"x" * (BODY_LIMIT + 1)), 10))
    put_signatures(registry, OS, image, [{**layer, "annotations": {SIGNATURE: "AAAA"}}])

    with pytest.raises(Malformed):
        said(registry, image, asked(ALICE))


def test_more_signatures_than_anybody_makes_are_not_looked_at(registry: MemoryRegistry, image: Digest) -> None:
    layer = as_json(Descriptor(SIMPLE, registry.put_blob(OS, b"x"), 1))
    put_signatures(registry, OS, image, [layer] * (MOST + 1))

    with pytest.raises(Malformed, match=f"no list of at most {MOST} layers"):
        said(registry, image, asked(ALICE))


def test_an_index_in_the_place_of_signatures_is_refused(registry: MemoryRegistry, image: Digest) -> None:
    put_index(registry, OS, [image], tags=[tag_of(image)])

    with pytest.raises(Malformed, match="not a manifest of signatures"):
        said(registry, image, asked(ALICE))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_claim_or_refused(content: bytes) -> None:
    for read in (read_claim, read_bundle, subjects):
        with suppress(ValueError):
            read(content)


WHOLE = simple_payload(Digest.of(b"image"), str(OS))


@given(st.data())
def test_one_changed_byte_of_a_payload_is_never_accepted(data: st.DataObject) -> None:
    registry = MemoryRegistry()
    image = put_image(registry, OS)
    whole = simple_payload(image, str(OS))
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    cut = data.draw(st.booleans())
    changed = whole[:place] if cut else whole[:place] + bytes([byte]) + whole[place + 1 :]
    put_signature(registry, OS, image, changed, base64.b64encode(ALICE.made(whole)).decode())

    assert said(registry, image, asked(ALICE)) == (
        State.FAILED,
        "`ghcr.io/acme/os:stable`: no signature was made with the key",
    )


@given(st.dictionaries(st.sampled_from(["mediaType", "digest", "size", "annotations", "x"]), JSON, max_size=5))
def test_any_layer_is_read_or_refused(layer: dict[str, Any]) -> None:
    registry = MemoryRegistry()
    image = put_image(registry, OS)
    tag = OS.tag(tag_of(image))
    content = json.dumps({"schemaVersion": 2, "mediaType": _OCI, "layers": [layer]}).encode()
    try:
        registry.put_manifest(OS, content, _OCI, tag=tag.tag)
    except RelmanError:  # this registry does not take it; another might
        return
    with suppress(RelmanError):
        assert said(registry, image, asked(ALICE))[0] is State.FAILED


_OCI = "application/vnd.oci.image.manifest.v1+json"

# ------------------------------------------------------------------------------------------------- several platforms


def test_an_index_needs_signatures_of_its_own_and_of_each_platform(registry: MemoryRegistry) -> None:
    parts = [put_image(registry, OS, platform=name) for name in ("linux/amd64", "linux/arm64")]
    index = put_index(registry, OS, parts)

    def verdict(demand: Demand) -> tuple[State, str]:
        found = judge(registry, OS.digest(index), parts, (demand,))
        return found.state, found.reason

    ALICE.sign(registry, OS, parts[0])
    assert verdict(asked(ALICE))[0] is State.FAILED  # rpm-ostree and bootc ask for the index's
    ALICE.sign(registry, OS, index)
    state, why = verdict(asked(ALICE))
    assert state is State.FAILED
    assert f"the platform's manifest {parts[1].short}, which podman and skopeo verify" in why
    assert "`cosign sign --recursive`" in why
    assert verdict(replace(asked(ALICE), each_platform=False))[0] is State.PASSED
    ALICE.sign(registry, OS, parts[1])
    assert verdict(asked(ALICE))[0] is State.PASSED


# ----------------------------------------------------------------------------------------------- several requirements


@pytest.mark.parametrize(
    ("requirements", "unseen", "state", "reason"),
    [
        ([Requirement(Kind.ANYTHING)], None, State.ABSENT, "accepts anything: no signature is asked for"),
        ([Requirement(Kind.REJECT)], None, State.FAILED, "rejects every image"),
        ([Requirement(Kind.ANYTHING), Requirement(Kind.REJECT)], None, State.FAILED, "rejects every image"),
        ([Requirement(Kind.UNVERIFIABLE, reason="GPG")], None, State.ERROR, "GPG; it cannot be verified here"),
        ([*asked(ALICE).requirements, *asked(BOB).requirements], None, State.FAILED, "no signature was made"),
        ([Requirement(Kind.ANYTHING), *asked(ALICE).requirements], None, State.PASSED, "signed for"),
        (asked(ALICE).requirements, "it is off", State.FAILED, "a host would see no signature: it is off"),
    ],
)
def test_all_that_is_asked_for_must_hold(
    registry: MemoryRegistry,
    image: Digest,
    requirements: list[Requirement],
    unseen: str | None,
    state: State,
    reason: str,
) -> None:
    ALICE.sign(registry, OS, image)

    found, why = said(registry, image, replace(asked(ALICE), requirements=tuple(requirements), unseen=unseen))

    assert found is state
    assert reason in why


# --------------------------------------------------------------------------------------------- the gate, the action


@dataclass
class Project:
    """A candidate that waits in one repository for a stream in the same or in another one."""

    folder: Path
    registry: MemoryRegistry
    image: Digest
    place: Repository = OS

    def candidate(self) -> Candidate:
        found = look_at(self.registry, OS.tag("testing"))
        moves = [
            TagMove(self.place.tag("stable"), None, dated=False),
            TagMove(self.place.tag("44"), None, dated=False),
            TagMove(self.place.tag("stable-20260706"), None, dated=True),
        ]
        platforms = tuple(part.platform for part in found.platforms)
        return Candidate(Place(Variant("os", "os"), self.place), found, platforms, moves=tuple(moves))

    def context(self, rule: SignatureRule | None) -> GatesContext:
        release = Release("0" * 16, "X", "stable", "testing", "v", None, None, (self.candidate(),))
        stream = Stream("stable", (TagPattern("stable"),), (TagPattern("stable-{date}"),))
        now = datetime(2026, 7, 6, tzinfo=UTC)
        return GatesContext(release, stream, RULES, (), self.registry, (), now, lambda model: (), signature=rule)

    def gate(self, rule: SignatureRule) -> GateResult:
        (result,) = signature.relman_gates(self.context(rule))
        return result

    def policy(self, *entries: dict[str, Any], attachments: bool = True) -> SignatureRule:
        file = self.folder / "policy.json"
        file.write_text(
            json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {"ghcr.io/acme": entries}}})
        )
        (self.folder / "registries.d").mkdir(exist_ok=True)
        text = f"docker:\n  ghcr.io/acme:\n    use-sigstore-attachments: {'true' if attachments else 'false'}\n"
        (self.folder / "registries.d" / "acme.yaml").write_text(text)
        return SignatureRule(policy=file)

    def keys(self, *signers: Signer) -> SignatureRule:
        files = []
        for number, signer in enumerate(signers):
            files.append(self.folder / f"key{number}.pub")
            files[-1].write_text(signer.pem)
        return SignatureRule(keys=tuple(files))


@pytest.fixture
def project(tmp_path: Path, registry: MemoryRegistry, image: Digest) -> Project:
    return Project(tmp_path, registry, image)


def key_of(signer: Signer, **identity: str) -> dict[str, Any]:
    data = base64.b64encode(signer.pem.encode()).decode()
    return {"type": "sigstoreSigned", "keyData": data, **({"signedIdentity": identity} if identity else {})}


def test_the_gate_asks_for_each_name_that_hosts_follow_and_not_for_dated_tags(project: Project) -> None:
    rule = project.policy(key_of(ALICE))
    ALICE.sign(project.registry, OS, project.image, reference="ghcr.io/acme/os:stable")
    first = project.gate(rule)
    ALICE.sign(project.registry, OS, project.image, reference="ghcr.io/acme/os:44")
    second = project.gate(rule)

    assert (first.state, second.state) == (State.FAILED, State.PASSED)
    assert first.reason.startswith("`ghcr.io/acme/os:44`: the signature is for the name `ghcr.io/acme/os:stable`")
    names = second.evidence["names"]
    assert isinstance(names, list)
    assert [entry["name"] for entry in names] == ["ghcr.io/acme/os:stable", "ghcr.io/acme/os:44"]


@pytest.mark.parametrize(
    ("attachments", "state", "reason"),
    [
        (True, State.PASSED, "signed for `ghcr.io/acme/os:stable` as `policy.json`, under `ghcr.io/acme`, asks"),
        (False, State.FAILED, "turns `use-sigstore-attachments` off under `ghcr.io/acme`"),
    ],
)
def test_the_policy_counts_together_with_what_hosts_look_for(
    project: Project, attachments: bool, state: State, reason: str
) -> None:
    rule = project.policy(key_of(ALICE, type="matchRepository"), attachments=attachments)
    ALICE.sign(project.registry, OS, project.image)

    result = project.gate(rule)

    assert (result.gate, result.variant, result.digest, result.state) == ("signature", "os", project.image, state)
    assert reason in result.reason


def test_a_policy_asks_for_each_platform_and_keys_alone_for_what_the_tag_points_at(project: Project) -> None:
    parts = [put_image(project.registry, OS, platform=name) for name in ("linux/amd64", "linux/arm64")]
    index = put_index(project.registry, OS, parts, tags=["testing"])
    rule = project.policy(key_of(ALICE, type="matchRepository"))
    ALICE.sign(project.registry, OS, index)

    alone = project.gate(rule).state, project.gate(project.keys(ALICE)).state
    for part in parts:
        ALICE.sign(project.registry, OS, part)

    assert alone == (State.FAILED, State.PASSED)
    assert project.gate(rule).state is State.PASSED


def test_a_policy_without_registries_d_is_refused_as_hosts_would(project: Project) -> None:
    rule = project.policy(key_of(ALICE, type="matchRepository"))
    (project.folder / "registries.d" / "acme.yaml").unlink()
    ALICE.sign(project.registry, OS, project.image)

    assert "does not turn `use-sigstore-attachments` on" in project.gate(rule).reason


@pytest.mark.parametrize(("signer", "state"), [(ALICE, State.PASSED), (BOB, State.PASSED), (Signer(), State.FAILED)])
def test_with_keys_alone_one_of_them_must_have_signed(project: Project, signer: Signer, state: State) -> None:
    signer.sign(project.registry, OS, project.image)

    assert project.gate(project.keys(ALICE, BOB)).state is state


def test_with_keys_alone_a_copy_may_keep_the_name_that_it_was_signed_with(project: Project) -> None:
    project.place = NEXT
    ALICE.sign(project.registry, OS, project.image)
    BOB.sign(project.registry, OS, project.image, reference="ghcr.io/acme/third")

    assert project.gate(project.keys(ALICE)).state is State.PASSED
    assert project.gate(project.keys(BOB)).state is State.FAILED


def test_what_cannot_be_read_closes_the_gate(project: Project) -> None:
    put_index(project.registry, OS, [project.image], tags=[tag_of(project.image)])

    result = project.gate(project.keys(ALICE))

    assert result.state is State.ERROR
    assert "not a manifest of signatures" in result.reason


def test_without_a_table_the_gate_is_absent_and_names_it(project: Project) -> None:
    (result,) = signature.relman_gates(project.context(None))

    assert (result.state, result.code, result.needs) == (State.ABSENT, "no-rule", "[signature] in relman.toml")


def test_an_identity_without_cosign_is_closed_and_says_what_to_install(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ALICE.sign(project.registry, OS, project.image)

    result = project.gate(SignatureRule(identity="ci@acme.example", issuer="https://issuer.example"))

    assert (result.state, result.reason) == (
        State.ERROR,
        "a signature by an identity is verified by cosign, which is not installed (install cosign 2.4 or newer)",
    )


def cosign(folder: Path, code: int, out: str = "", err: str = "") -> None:
    """A stand-in that notes how it was called, and answers."""
    program = folder / "cosign"
    program.write_text(
        f"#!/bin/sh\necho \"$@\" > {folder}/called\ncat <<'X'\n{out}\nX\ncat >&2 <<'X'\n{err}\nX\nexit {code}\n"
    )
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("code", "reference", "about", "err", "state", "reason"),
    [
        (0, "ghcr.io/acme/os", None, "", State.PASSED, "signed for"),
        (0, "ghcr.io/acme/third", None, "", State.FAILED, "`ghcr.io/acme/third`, not for this one"),
        (
            0,
            "ghcr.io/acme/os",
            Digest.of(b"x"),
            "",
            State.ERROR,
            "no list of payloads: one is about sha256:2d711642b726",
        ),
        (
            1,
            "",
            None,
            "Error: no matching signatures: x",
            State.FAILED,
            "cosign does not accept it for `ci@acme.example`",
        ),
        (1, "", None, "Error: dial tcp: no such host", State.ERROR, "exited with 1"),
    ],
)
def test_what_cosign_verified_is_read_again(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: int,
    reference: str,
    about: Digest | None,
    err: str,
    state: State,
    reason: str,
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ALICE.sign(project.registry, OS, project.image)
    payload = simple_payload(about or project.image, reference).decode() if reference else ""
    cosign(tmp_path, code, f"[{payload}]", err)

    result = project.gate(SignatureRule(identity="ci@acme.example", issuer="https://issuer.example"))

    assert result.state is state, result
    assert reason in result.reason
    assert (tmp_path / "called").read_text().split() == [
        "verify",
        "--output=json",
        "--new-bundle-format=false",
        "--certificate-identity=ci@acme.example",
        "--certificate-oidc-issuer=https://issuer.example",
        f"ghcr.io/acme/os@{project.image}",
    ]


def verify(project: Project, rule: SignatureRule) -> Action:
    candidate = project.candidate()
    planned = payload(candidate, demands(rule)(candidate))
    survived = json.loads(json.dumps(planned))  # as in a saved plan
    return Action("verify", Stage.PREPARE, "k", "verify:os", payload=survived)


def test_the_action_looks_where_the_stream_lives_with_the_keys_that_the_plan_pins(project: Project) -> None:
    project.place = NEXT
    ALICE.sign(project.registry, OS, project.image)
    action = verify(project, project.keys(ALICE))
    project.keys(BOB)  # the file has another key by now
    executor = VerifyExecutor()
    project.registry.copy(OS.digest(project.image), NEXT)

    with pytest.raises(GateClosed, match=r"so no tag moves: `ghcr\.io/acme/next:stable`: it has no signature"):
        executor.apply(action, project.registry)
    assert executor.probe(action, project.registry) is None
    ALICE.sign(project.registry, NEXT, project.image, reference=str(OS))
    receipt = executor.apply(action, project.registry)

    assert (receipt.state, receipt.remote_id) == (ReceiptState.DONE, f"ghcr.io/acme/next@{project.image}")
    assert executor.describe(action) == (
        f"verify the signatures of ghcr.io/acme/next@{project.image} for `ghcr.io/acme/next:stable`, "
        "`ghcr.io/acme/next:44`"
    )
    assert executor.undo(action, receipt, project.registry) is None


@pytest.mark.parametrize(
    "edit",
    [
        {"demands": []},
        {"demands": "all"},
        {"demands": [{}]},
        {
            "demands": [
                {
                    "name": "ghcr.io/acme/os:stable",
                    "requirements": [],
                    "source": "",
                    "unseen": None,
                    "each_platform": True,
                    "plain": False,
                }
            ]
        },
        {"platforms": []},
        {"platforms": ["sha256:1"]},
    ],
)
def test_a_plan_that_was_edited_to_demand_nothing_verifies_nothing(project: Project, edit: dict[str, Any]) -> None:
    ALICE.sign(project.registry, OS, project.image)
    action = verify(project, project.keys(ALICE))

    with pytest.raises(Malformed, match="not what a plan has"):
        VerifyExecutor().apply(replace(action, payload={**action.payload, **edit}), project.registry)


def test_every_demand_survives_in_a_plan(project: Project) -> None:
    entries = (
        key_of(ALICE),
        {"type": "reject"},
        {"type": "insecureAcceptAnything"},
        {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "x"},
    )
    candidate = project.candidate()
    for rule in (
        project.policy(*entries),
        project.keys(ALICE, BOB),
        SignatureRule(identity="a", issuer="b", insecure=frozenset({"ghcr.io"})),
    ):
        for demand in demands(rule)(candidate):
            assert Demand.read(json.loads(json.dumps(demand.as_json()))) == demand


@pytest.mark.parametrize(("name", "content"), [("none.pub", None), ("bad.pub", "no key"), ("big.pub", "x" * 2_000_000)])
def test_a_key_that_cannot_be_read_is_an_error_that_names_it(project: Project, name: str, content: str | None) -> None:
    file = project.folder / name
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigError, match=name):
        demands(SignatureRule(keys=(file,)))(project.candidate())


def test_images_in_folders_have_no_name_that_a_policy_could_speak_of(project: Project) -> None:
    layout = Reference(parse_repository("oci:images/os"), tag="stable")
    candidate = project.candidate()
    candidate = replace(candidate, moves=(TagMove(layout, None, dated=False),))

    with pytest.raises(ConfigError, match="lies in files"):
        demands(project.keys(ALICE))(candidate)
