"""containers-policy.json(5) and containers-registries.d(5), as hosts read them."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.errors import ConfigError
from relman.model.oci import parse_reference
from relman_plugins.gates.signature.demand import Kind, Requirement
from relman_plugins.gates.signature.identity import Identity, Match
from relman_plugins.gates.signature.names import Name
from relman_plugins.gates.signature.policy import read_policy
from relman_plugins.gates.signature.registries_d import read_registries_d, read_yaml
from tests.signing import Signer

REJECT = [{"type": "reject"}]
ANYTHING = [{"type": "insecureAcceptAnything"}]

# ------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("acme/os:stable", "docker.io/acme/os:stable"),
        ("index.docker.io/busybox", "docker.io/library/busybox"),
        ("localhost/os", "localhost/os"),
        ("localhost:5000/os:stable", "localhost:5000/os:stable"),
        ("ghcr.io/acme/os", "ghcr.io/acme/os"),
    ],
)
def test_names_are_read_in_their_full_form(text: str, full: str) -> None:
    assert str(Name.parse(text)) == full


@pytest.mark.parametrize(
    "text", ["", "ghcr.io/", "ghcr.io/ACME/os", "ghcr.io/a/os:", "a@sha256:12", "0" * 64, "a b", "x" * 300]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Name.parse(text)


def test_scopes_go_from_the_name_to_its_parents_and_to_wildcards_of_its_host() -> None:
    assert Name.parse("quay.example.com:8443/ns/team/os:stable").scopes == (
        "quay.example.com:8443/ns/team/os:stable",
        "quay.example.com:8443/ns/team/os",
        "quay.example.com:8443/ns/team",
        "quay.example.com:8443/ns",
        "quay.example.com:8443",
        "*.example.com",
        "*.com",
    )


def test_what_lies_in_a_folder_has_no_name() -> None:
    with pytest.raises(ValueError, match="lies in files"):
        Name.of(parse_reference("oci:images/os:stable"))


# ---------------------------------------------------------------------------------------------------- identity

D = "sha256:" + "1" * 64
OS, STABLE, TESTING = "ghcr.io/acme/os", "ghcr.io/acme/os:stable", "ghcr.io/acme/os:testing"


@pytest.mark.parametrize(
    ("rule", "pulled", "signed", "accepted"),
    [
        (
            {"type": "remapIdentity", "prefix": "mirror:5000/m", "signedPrefix": "ghcr.io/acme/o"},
            "mirror:5000/ms:stable",
            STABLE,
            False,
        ),
        ({"type": "matchExact"}, STABLE, STABLE, True),
        ({"type": "matchExact"}, STABLE, TESTING, False),
        ({"type": "matchExact"}, STABLE, OS, False),
        ({"type": "matchExact"}, f"{OS}@{D}", STABLE, False),
        ({"type": "matchRepoDigestOrExact"}, STABLE, STABLE, True),
        ({"type": "matchRepoDigestOrExact"}, STABLE, TESTING, False),
        ({"type": "matchRepoDigestOrExact"}, STABLE, OS, False),
        ({"type": "matchRepoDigestOrExact"}, f"{OS}@{D}", TESTING, True),
        ({"type": "matchRepoDigestOrExact"}, f"{OS}@{D}", OS, False),
        (None, STABLE, TESTING, False),
        (None, STABLE, STABLE, True),
        ({"type": "matchRepository"}, STABLE, TESTING, True),
        ({"type": "matchRepository"}, STABLE, OS, True),
        ({"type": "matchRepository"}, STABLE, "ghcr.io/acme/other:stable", False),
        ({"type": "matchRepository"}, STABLE, "not a name", False),
        ({"type": "exactReference", "dockerReference": TESTING}, STABLE, TESTING, True),
        ({"type": "exactReference", "dockerReference": TESTING}, STABLE, STABLE, False),
        ({"type": "exactRepository", "dockerRepository": "ghcr.io/acme/built"}, STABLE, "ghcr.io/acme/built:x", True),
        ({"type": "exactRepository", "dockerRepository": "ghcr.io/acme/built"}, STABLE, STABLE, False),
        (
            {"type": "remapIdentity", "prefix": "mirror:5000/m", "signedPrefix": "ghcr.io"},
            "mirror:5000/m/acme/os:stable",
            STABLE,
            True,
        ),
        (
            {"type": "remapIdentity", "prefix": "mirror:5000/m", "signedPrefix": "ghcr.io"},
            "mirror:5000/mm/acme/os:stable",
            STABLE,
            False,
        ),
        ({"type": "remapIdentity", "prefix": "mirror:5000", "signedPrefix": "ghcr.io"}, STABLE, STABLE, True),
    ],
)
def test_a_signature_counts_for_the_names_that_its_rule_accepts(
    rule: dict[str, str] | None, pulled: str, signed: str, accepted: bool
) -> None:
    identity = Identity.read(rule)

    assert identity.accepts(Name.parse(pulled), signed) is accepted
    assert Identity.read(identity.as_json()) == identity


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "matchAnything"},
        {"type": "matchExact", "dockerReference": STABLE},
        {"type": "exactReference"},
        {"type": "exactReference", "dockerReference": OS},
        {"type": "exactRepository", "dockerRepository": STABLE},
        {"type": "remapIdentity", "prefix": "a"},
        {},
        "matchExact",
        7,
    ],
)
def test_a_rule_that_hosts_do_not_know_is_refused(rule: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Identity.read(rule)


# ------------------------------------------------------------------------------------------------------ policy


def policy(folder: Path, value: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "policy.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return file


def test_the_most_precise_scope_alone_counts(tmp_path: Path) -> None:
    scopes: dict[str, Any] = {
        "ghcr.io/acme/os:stable": REJECT,
        "ghcr.io/acme/os": ANYTHING,
        "ghcr.io/acme": REJECT,
        "*.example.com": ANYTHING,
        "": REJECT,
    }
    read = read_policy(policy(tmp_path, {"default": ANYTHING, "transports": {"docker": scopes, "dir": {"": REJECT}}}))

    def kinds(name: str) -> list[Kind]:
        return [requirement.kind for requirement in read.requirements(Name.parse(name))[1]]

    assert kinds("ghcr.io/acme/os:stable") == [Kind.REJECT]
    assert kinds("ghcr.io/acme/os:44") == [Kind.ANYTHING]
    assert kinds("ghcr.io/acme/other:44") == [Kind.REJECT]
    assert kinds("quay.example.com/os:44") == [Kind.ANYTHING]
    assert kinds("quay.io/os:44") == [Kind.REJECT]
    assert read.requirements(Name.parse("quay.io/os:44"))[0] == "`policy.json`, by default,"
    assert read.requirements(Name.parse("ghcr.io/acme/x"))[0] == "`policy.json`, under `ghcr.io/acme`,"


def test_without_the_transport_the_default_counts(tmp_path: Path) -> None:
    read = read_policy(policy(tmp_path, {"default": REJECT, "transports": {"dir": {"": ANYTHING}}}))

    assert read.requirements(Name.parse(STABLE))[1] == (Requirement(Kind.REJECT),)


def test_keys_are_read_from_the_policy_or_from_files(tmp_path: Path) -> None:
    one, two = Signer(), Signer()
    (tmp_path / "two.pub").write_text(two.pem)
    data = base64.b64encode(one.pem.encode()).decode()
    entries = [
        {"type": "sigstoreSigned", "keyData": data, "signedIdentity": {"type": "matchRepository"}},
        {"type": "sigstoreSigned", "keyPaths": ["two.pub", str(tmp_path / "two.pub")]},
        {"type": "sigstoreSigned", "keyDatas": [data]},
    ]

    _, found = read_policy(policy(tmp_path, {"default": entries})).requirements(Name.parse(STABLE))

    assert [[key.pem for key in requirement.keys] for requirement in found] == [[one.pem], [two.pem] * 2, [one.pem]]
    assert [requirement.identities[0].match for requirement in found] == [
        Match.REPOSITORY,
        Match.DIGEST_OR_EXACT,
        Match.DIGEST_OR_EXACT,
    ]


@pytest.mark.parametrize(
    ("policy_folder", "key_folder"),
    [
        ("etc/containers", "etc/pki"),
        ("usr/etc/containers", "usr/etc/pki"),
        ("usr/etc/containers", "etc/pki"),
        ("etc/containers", "usr/etc/pki"),
    ],
)
def test_the_keys_of_an_image_are_looked_for_among_its_files(
    tmp_path: Path, policy_folder: str, key_folder: str
) -> None:
    (tmp_path / key_folder).mkdir(parents=True)
    (tmp_path / key_folder / "acme.pub").write_text(Signer().pem)
    entries = [{"type": "sigstoreSigned", "keyPath": "/etc/pki/acme.pub"}]

    _, found = read_policy(policy(tmp_path / policy_folder, {"default": entries})).requirements(Name.parse(STABLE))

    assert len(found[0].keys) == 1


def test_a_key_that_is_not_there_is_an_error_that_says_where_it_was_looked_for(tmp_path: Path) -> None:
    read = read_policy(policy(tmp_path, {"default": [{"type": "sigstoreSigned", "keyPath": "no.pub"}]}))

    with pytest.raises(ConfigError, match=r"there is no key `no.pub` \(looked for `.*/no.pub`\)"):
        read.requirements(Name.parse(STABLE))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"type": "signedBy", "keyType": "GPGKeys", "keyPath": "x"}, "GPG"),
        ({"type": "signedBaseLayer", "baseLayerIdentity": {}}, "no host implements"),
        ({"type": "sigstoreSigned", "fulcio": {}, "rekorPublicKeyPath": "x"}, "`fulcio`"),
        ({"type": "sigstoreSigned", "keyPath": "x", "rekorPublicKeyData": "AAAA"}, "`rekorPublicKeyData`"),
        ({"type": "sigstoreSigned", "pki": {}}, "`pki`"),
    ],
)
def test_what_cannot_be_verified_is_said_and_never_taken_for_granted(
    tmp_path: Path, entry: dict[str, Any], reason: str
) -> None:
    _, (found,) = read_policy(policy(tmp_path, {"default": [entry]})).requirements(Name.parse(STABLE))

    assert found.kind is Kind.UNVERIFIABLE
    assert reason in found.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"default": []}',
        '{"default": {}}',
        '{"default": [{"type": "sigstore"}]}',
        '{"default": [{"type": ["reject"]}]}',
        '{"default": [{"type": "reject", "more": 1}]}',
        '{"default": [{"type": "reject"}], "transport": {}}',
        '{"default": [{"type": "reject"}], "transports": {"docker": {"x": []}}}',
        '{"default": [{"type": "reject"}], "transports": {"docker": []}}',
        '{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}',
        '{"default": [{"type": "reject"}], "transports": {"docker": {"a": [{"type": "reject"}], "a": []}}}',
        "[" * 100_000,
    ],
)
def test_a_policy_that_hosts_would_refuse_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is no policy of"):
        read_policy(policy(tmp_path, text))


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "sigstoreSigned"},
        {"type": "sigstoreSigned", "keyData": "AAAA", "keyPath": "x"},
        {"type": "sigstoreSigned", "keyPaths": []},
        {"type": "sigstoreSigned", "keyData": "%%"},
        {"type": "sigstoreSigned", "keyPath": 7},
        {"type": "sigstoreSigned", "keyPath": ""},
        {"type": "sigstoreSigned", "keyPath": "x", "signedIdentity": {"type": "matchSome"}},
        {"type": "sigstoreSigned", "fulcio": {}},
        {"type": "sigstoreSigned", "keyPath": "x", "rekorPublicKeyPath": "x", "rekorPublicKeyData": "AAAA"},
        {"type": "signedBy", "keyPath": "x"},
        {"type": "signedBy", "keyType": "GPGKeys"},
    ],
)
def test_one_bad_entry_anywhere_spoils_the_whole_policy_as_it_does_for_hosts(
    tmp_path: Path, entry: dict[str, Any]
) -> None:
    value = {"default": REJECT, "transports": {"docker": {"elsewhere.example": [entry]}}}

    with pytest.raises(ConfigError, match=r"is no policy of"):
        read_policy(policy(tmp_path, value))


@pytest.mark.parametrize("content", [b"no key", b"\xff"])
def test_a_key_that_is_none_is_an_error_of_its_scope(tmp_path: Path, content: bytes) -> None:
    entry = {"type": "sigstoreSigned", "keyData": base64.b64encode(content).decode()}

    with pytest.raises(ConfigError, match="scope"):
        read_policy(policy(tmp_path, {"default": [entry]})).requirements(Name.parse(STABLE))


# ------------------------------------------------------------------------------------------------ registries.d


def attachments(folder: Path, **files: str) -> str | None:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return read_registries_d(folder).unseen(Name.parse(STABLE))


ON, OFF = "use-sigstore-attachments: true", "use-sigstore-attachments: false"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", False),
        (f"docker:\n  ghcr.io/acme/os:\n    {ON}\n", True),
        (f"docker:\n  ghcr.io/acme:\n    {ON}\n", True),
        (f"docker:\n  ghcr.io:\n      {ON}   # as the build does\n", True),
        (f"default-docker:\n  {ON}\n", True),
        (f"default-docker:\n  {OFF}\n", False),
        (f"default-docker:\n  {ON}\ndocker:\n  ghcr.io/acme:\n    {OFF}\n", False),
        (f"docker:\n  ghcr.io:\n    {OFF}\n  ghcr.io/acme:\n    {ON}\n", True),
        (f"docker:\n  ghcr.io:\n    {ON}\n  ghcr.io/acme:\n    lookaside: https://sigs.example/x\n", True),
        (f"docker:\n  ghcr.io/acme/other:\n    {ON}\n", False),
        (f'---\ndocker:\n  "ghcr.io/acme/os:stable":\n    {ON}\n', True),
        (f"docker:\n  '*.io':\n    {ON}\n", True),
        ("docker: {}\n", False),
        ("# nothing\n", False),
        ("docker:\n\ndefault-docker:\n  lookaside: file:///var/lib/x\n", False),
    ],
)
def test_a_host_looks_for_signatures_where_its_configuration_says_so(tmp_path: Path, text: str, seen: bool) -> None:
    why = attachments(tmp_path / "registries.d", one=text)

    assert (why is None) is seen, why


def test_without_the_folder_a_host_sees_no_signature(tmp_path: Path) -> None:
    why = read_registries_d(tmp_path / "none").unseen(Name.parse(STABLE))

    assert why == f"`{tmp_path}/none` does not turn `use-sigstore-attachments` on for `ghcr.io/acme/os`"


def test_a_scope_in_two_files_is_an_error_as_it_is_for_hosts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stands twice"):
        attachments(tmp_path / "d", one=f"docker:\n  a.io:\n    {ON}\n", two=f"docker:\n  a.io:\n    {ON}\n")


@pytest.mark.parametrize(
    "text",
    [
        "docker:\n  ghcr.io: [1]\n",
        "docker:\n\tghcr.io:\n",
        "docker: &x\n",
        "- docker\n",
        "docker:\n  a.io:\n    use-sigstore-attachments: maybe\n",
        "docker:\n  a.io:\n    use-sigstore-attachments: |\n      true\n",
        "docker:\n  a.io:\n    use-sigstore-attachments: 'true'\n",
        "docker: text\n",
        "default-docker: text\n",
        "docker:\n  a.io: text\n",
        "docker:\n  a.io:\n     x: y\n    z: w\n",
        "a: b\na: c\n",
        "just words\n",
        'docker:\n  "a.io:\n    x: y\n',
    ],
)
def test_yaml_that_is_not_understood_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"one\.yaml"):
        attachments(tmp_path / "d", one=text)


@given(st.text(alphabet="ab: \n#'\"{}-\t&[", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        read_yaml(text)
