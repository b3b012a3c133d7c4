"""Side by side with those who sign and those who pull: cosign 2 and 3, and the library that every host asks.

`hostpolicy` (in the folder of that name) is a few lines around containers/image, which podman, skopeo, rpm-ostree and
bootc decide with. Signatures are cosign's own, the registry is a real one. `./dev test --peers` builds all three.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from relman.errors import ConfigError
from relman.model.oci import Digest, Reference, Repository, parse_repository
from relman.model.plan import State
from relman.model.release import Candidate, TagMove
from relman.model.signature import SignatureRule
from relman.model.streams import Place, Variant
from relman.registry import Registries
from relman.registry.evidence import copy_evidence
from relman.registry.look import look_at
from relman.testing import put_image, put_index
from relman_plugins.gates.signature.attached import tag_of
from relman_plugins.gates.signature.judge import Verdict, judge
from relman_plugins.gates.signature.rule import demands
from tests.signing import Signer, put_signature

needs_peers = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("cosign", "cosign3", "hostpolicy")),
    reason="`cosign`, `cosign3` or `hostpolicy` is not there: `./dev test --peers` builds them",
)
pytestmark = needs_peers
_count = itertools.count()


def run(*argv: str, cwd: Path, code: int | None = 0) -> str:
    """What a program says on both channels."""
    environment = {**os.environ, "COSIGN_PASSWORD": "", "HOME": str(cwd)}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert code is None or done.returncode == code, done.stderr
    return done.stdout + done.stderr


@dataclass
class Shop:
    """A registry, two pairs of cosign's keys, and a host's configuration."""

    folder: Path
    registry: Registries
    host: str
    digests: dict[str, Digest] = field(default_factory=dict)

    def repository(self) -> Repository:
        return parse_repository(f"{self.host}/signed-{next(_count)}/os")

    def image(self, *platforms: str) -> tuple[Repository, Digest]:
        """A new repository with one image as `:testing` and `:stable`; of several platforms: an index."""
        repository, tags = self.repository(), ("testing", "stable")
        if not platforms:
            return repository, put_image(self.registry, repository, tags=tags)
        parts = [put_image(self.registry, repository, platform=platform) for platform in platforms]
        return repository, put_index(self.registry, repository, parts, tags=tags)

    def cosign(self, image: Reference, *more: str, key: str = "right") -> None:
        """Sign as cosign 2 does."""
        run("cosign", "sign", "--yes", "--tlog-upload=false", f"--key={key}.key", *more, str(image), cwd=self.folder)

    def cosign3(self, image: Reference, *more: str) -> None:
        """Sign as cosign 3 does."""
        options = ("--yes", "--use-signing-config=false", "--tlog-upload=false", "--key=right.key")
        run("cosign3", "sign", *options, *more, str(image), cwd=self.folder)

    def rule(self, identity: dict[str, str] | None, *, attachments: bool = True, kind: str = "") -> SignatureRule:
        """A policy for the right key, and what goes with it."""
        entry: dict[str, Any] = {"type": "sigstoreSigned", "keyPath": str(self.folder / "right.pub")}
        entry = {"type": kind} if kind else {**entry, **({"signedIdentity": identity} if identity else {})}
        folder = self.folder / f"host-{next(_count)}"
        (folder / "registries.d").mkdir(parents=True)
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {self.host: [entry]}}}
        (folder / "policy.json").write_text(json.dumps(policy))
        text = f"docker:\n  {self.host}:\n    use-sigstore-attachments: {str(attachments).lower()}\n"
        (folder / "registries.d" / "all.yaml").write_text(text)
        return SignatureRule(policy=folder / "policy.json")

    def hosts(self, repository: Repository, rule: SignatureRule) -> dict[str, str]:
        """What hosts that pull `:stable` say: `toplevel` and, of an index, `instance`."""
        assert rule.policy
        argv = ("hostpolicy", str(rule.policy), str(rule.policy.parent / "registries.d"), f"{repository}:stable")
        lines = [line.partition(" ") for line in run(*argv, cwd=self.folder).splitlines()]
        return {what: answer for what, _, answer in lines}

    def relman(self, repository: Repository, rule: SignatureRule) -> Verdict:
        """What the gate says of what waits as `:testing` for `:stable`."""
        found = look_at(self.registry, repository.tag("testing"))
        place = Place(Variant("os", "os"), repository)
        move = TagMove(repository.tag("stable"), None, dated=False)
        candidate = Candidate(place, found, tuple(part.platform for part in found.platforms), moves=(move,))
        (demand,) = demands(rule)(candidate)
        parts = [part.manifest.digest for part in found.platforms]
        return judge(self.registry, repository.digest(found.digest), parts, (demand,))


@pytest.fixture(scope="module")
def shop(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("signed")
    for name in ("right", "wrong"):
        run("cosign", "generate-key-pair", f"--output-key-prefix={name}", cwd=folder)
    with Registries(folder) as registries:
        yield Shop(folder, registries, docker_registry)


MATCH_REPOSITORY = {"type": "matchRepository"}
Signing = Callable[[Shop, Repository, Digest], None]


def signed_by_hand(name: str) -> Signing:
    """A signature by the right key for another name than cosign would give it, as skopeo does."""

    def sign(shop: Shop, repository: Repository, digest: Digest) -> None:
        payload = json.dumps(
            {
                "critical": {
                    "type": "cosign container image signature",
                    "image": {"docker-manifest-digest": digest},
                    "identity": {"docker-reference": name.format(repository)},
                },
                "optional": {"creator": "composed", "timestamp": 1_700_000_000},
            }
        )
        (shop.folder / "payload").write_text(payload)
        made = run("cosign", "sign-blob", "--yes", "--tlog-upload=false", "--key=right.key", "payload", cwd=shop.folder)
        signature = next(line for line in made.splitlines() if line.startswith("ME"))
        put_signature(shop.registry, repository, digest, payload.encode(), signature)

    return sign


def of_another(shop: Shop, repository: Repository, digest: Digest) -> None:
    """The signature of another image under this one's tag: a manifest that was changed after signing."""
    other = put_image(shop.registry, repository, labels={"another": "image"})
    shop.cosign(repository.digest(other))
    manifest = shop.registry.manifest(repository.tag(tag_of(other)))
    shop.registry.put_manifest(repository, manifest.content, manifest.descriptor.media_type, tag=tag_of(digest))


def garbage(shop: Shop, repository: Repository, digest: Digest) -> None:
    put_signature(shop.registry, repository, digest, b'{"critical":', "AAAA")


def garbage_then_cosign(shop: Shop, repository: Repository, digest: Digest) -> None:
    garbage(shop, repository, digest)
    shop.cosign(repository.digest(digest))


SIGNINGS: dict[str, Signing] = {
    "nothing": lambda shop, repository, digest: None,
    "cosign": lambda shop, repository, digest: shop.cosign(repository.digest(digest)),
    "cosign, wrong key": lambda shop, repository, digest: shop.cosign(repository.digest(digest), key="wrong"),
    "cosign 3": lambda shop, repository, digest: shop.cosign3(repository.digest(digest)),
    "cosign 3, old layout": lambda shop, repository, digest: shop.cosign3(
        repository.digest(digest), "--new-bundle-format=false"
    ),
    "as testing": signed_by_hand("{}:testing"),
    "as stable": signed_by_hand("{}:stable"),
    "as another": signed_by_hand("{}-dx:stable"),
    "of another": of_another,
    "garbage": garbage,
    "garbage, then cosign": garbage_then_cosign,
}
RULES: dict[str, Callable[[Shop, Repository], SignatureRule]] = {
    "matchRepository": lambda shop, repository: shop.rule(MATCH_REPOSITORY),
    "matchExact": lambda shop, repository: shop.rule({"type": "matchExact"}),
    "the default": lambda shop, repository: shop.rule(None),
    "exactReference": lambda shop, repository: shop.rule(
        {"type": "exactReference", "dockerReference": f"{repository}:testing"}
    ),
    "exactRepository": lambda shop, repository: shop.rule(
        {"type": "exactRepository", "dockerRepository": f"{repository}-dx"}
    ),
    "remapIdentity": lambda shop, repository: shop.rule(
        {"type": "remapIdentity", "prefix": str(repository), "signedPrefix": f"{repository}-dx"}
    ),
    "without attachments": lambda shop, repository: shop.rule(MATCH_REPOSITORY, attachments=False),
    "reject": lambda shop, repository: shop.rule(None, kind="reject"),
}
PASSES = {
    ("cosign", "matchRepository"),
    ("cosign 3, old layout", "matchRepository"),
    ("as testing", "matchRepository"),
    ("as stable", "matchRepository"),
    ("garbage, then cosign", "matchRepository"),
    ("as stable", "matchExact"),
    ("as stable", "the default"),
    ("as testing", "exactReference"),
    ("as another", "exactRepository"),
    ("as another", "remapIdentity"),
}


@pytest.mark.parametrize("signing", SIGNINGS)
def test_relman_accepts_what_hosts_accept_and_nothing_else(shop: Shop, signing: str) -> None:
    repository, digest = shop.image()
    SIGNINGS[signing](shop, repository, digest)

    for name, make in RULES.items():
        rule = make(shop, repository)
        hosts, verdict = shop.hosts(repository, rule), shop.relman(repository, rule)
        assert (hosts["toplevel"] == "allowed") is verdict.good, (signing, name, hosts, verdict)
        assert verdict.good is ((signing, name) in PASSES), (signing, name, hosts, verdict)


def test_of_an_index_hosts_of_one_kind_look_at_it_and_hosts_of_the_other_at_its_platforms(shop: Shop) -> None:
    rule = shop.rule(MATCH_REPOSITORY)
    repository, index = shop.image("linux/amd64", "linux/arm64")
    shop.cosign(repository.digest(index))
    alone = shop.hosts(repository, rule), shop.relman(repository, rule)
    shop.cosign(repository.digest(index), "--recursive")
    all_of_it = shop.hosts(repository, rule), shop.relman(repository, rule)

    assert alone[0]["toplevel"] == "allowed"
    assert alone[0]["instance"].startswith("refused A signature was required, but no signature exists")
    assert alone[1].state is State.FAILED
    assert "which podman and skopeo verify" in alone[1].reason
    assert all_of_it[0] == {"toplevel": "allowed", "instance": "allowed"}
    assert all_of_it[1].good


def test_a_copy_with_all_its_evidence_is_signed_under_its_old_name(shop: Shop) -> None:
    source, digest = shop.image()
    shop.cosign(source.digest(digest))
    target = shop.repository()
    shop.registry.copy(source.digest(digest), target)
    copy_evidence(shop.registry, source.digest(digest), target)
    manifest = shop.registry.manifest(target.digest(digest))
    for tag in ("testing", "stable"):
        shop.registry.put_manifest(target, manifest.content, manifest.descriptor.media_type, tag=tag)

    for identity, good in (
        (MATCH_REPOSITORY, False),
        ({"type": "exactRepository", "dockerRepository": str(source)}, True),
        ({"type": "remapIdentity", "prefix": str(target), "signedPrefix": str(source)}, False),  # cosign gives no tag
    ):
        rule = shop.rule(identity)
        assert (shop.hosts(target, rule)["toplevel"] == "allowed", shop.relman(target, rule).good) == (good, good)
    verified = run(
        "cosign", "verify", "--insecure-ignore-tlog", "--key=right.pub", str(target.digest(digest)), cwd=shop.folder
    )
    assert "verified against the specified public key" in verified  # cosign asks for no name


@pytest.mark.parametrize("program", ["cosign", "cosign3"])
def test_what_was_signed_by_us_is_good_for_cosign_too(shop: Shop, program: str) -> None:
    signer = Signer()
    repository, digest = shop.image()
    signer.sign(shop.registry, repository, digest)
    (shop.folder / "ours.pub").write_text(signer.pem)
    command = (program, "verify", "--insecure-ignore-tlog", "--key=ours.pub", str(repository.digest(digest)))

    assert "verified against the specified public key" in run(*command, cwd=shop.folder)


def test_a_bundle_by_the_key_is_good_for_cosign_3_and_for_no_host(shop: Shop) -> None:
    rule = shop.rule(MATCH_REPOSITORY)
    repository, digest = shop.image()
    shop.cosign3(repository.digest(digest))
    command = ("cosign3", "verify", "--insecure-ignore-tlog", "--key=right.pub", str(repository.digest(digest)))

    assert "verified against the specified public key" in run(*command, cwd=shop.folder)
    assert shop.hosts(repository, rule)["toplevel"].startswith("refused A signature was required")
    assert "it is signed with the key, but only as a sigstore bundle" in shop.relman(repository, rule).reason


POLICIES = [
    '{"default": [{"type": "sigstoreSigned", "keyPath": "KEY", "signedIdentity": {"type": "matchRepository"}}]}',
    '{"default": [{"type": "sigstoreSigned", "keyPaths": ["WRONG", "KEY"], "signedIdentity": ANY}]}',
    '{"default": [{"type": "sigstoreSigned", "keyPaths": ["WRONG"], "signedIdentity": ANY}]}',
    '{"default": [{"type": "sigstoreSigned", "keyPath": "KEY", "keyPaths": ["KEY"]}]}',
    '{"default": [{"type": "sigstoreSigned", "keyPath": ""}]}',
    '{"default": [{"type": "sigstoreSigned"}]}',
    '{"default": [{"type": "sigstoreSigned", "keyPath": "KEY", "more": 1}]}',
    '{"default": [{"type": "sigstoreSigned", "keyPath": "KEY", "keyPath": "KEY"}]}',
    '{"default": []}',
    '{"transports": {}}',
    '{"default": [{"type": "reject"}], "transports": {"docker": {"": [OK]}}}',
    '{"default": [{"type": "reject"}], "transports": {"docker": {"HOST": [OK]}}}',
    '{"default": [{"type": "reject"}], "transports": {"docker": {"REPO": [OK], "HOST": [{"type": "reject"}]}}}',
    '{"default": [OK], "transports": {"docker": {"REPO:stable": [{"type": "reject"}], "REPO": [OK]}}}',
    '{"default": [OK], "transports": {"docker": {"REPO:testing": [{"type": "reject"}]}}}',
    '{"default": [{"type": "reject"}], "transports": {"docker": {"REPO/more": [OK]}}}',
    '{"default": [OK], "transports": {"docker": {"*.0.0.1": [{"type": "reject"}]}}}',
    '{"default": [OK], "transports": {"docker": {"*.1": [{"type": "reject"}]}}}',
    '{"default": [OK], "transports": {"docker": {"127.0.0.1": [{"type": "reject"}]}}}',
    '{"default": [OK], "transports": {"docker": {"x.io": [{"type": "sigstoreSigned"}]}}}',
    '{"default": [OK], "transports": {"docker": {"x.io": []}}}',
    '{"default": [OK], "transports": {"docker": {"x.io": [{"type": "signedBy", "keyPath": "x"}]}}}',
    '{"default": [OK], "transports": {"dir": {"": [{"type": "reject"}]}}}',
    '{"default": [OK], "transports": {"docker": {}, "docker": {}}}',
    '{"default": [OK, OK]}',
    '{"default": [OK, {"type": "reject"}]}',
    '{"default": [OK, {"type": "insecureAcceptAnything"}]}',
    '{"default": [OK], "extra": 1}',
    '{"default": [OK]} trailing',
    "[]",
    "",
]


@pytest.mark.parametrize("number", range(len(POLICIES)))
def test_a_policy_says_to_relman_what_it_says_to_hosts(shop: Shop, number: int, tmp_path: Path) -> None:
    repository, digest = shop.image()
    shop.cosign(repository.digest(digest))
    right, wrong = str(shop.folder / "right.pub"), str(shop.folder / "wrong.pub")
    text = POLICIES[number].replace("OK", POLICIES[0][len('{"default": [') : -2]).replace("KEY", right)
    text = (
        text.replace("WRONG", wrong)
        .replace("ANY", '{"type": "matchRepository"}')
        .replace("REPO", str(repository))
        .replace("HOST", shop.host)
    )
    rule = shop.rule(None)
    assert rule.policy
    rule.policy.write_text(text)
    argv = ("hostpolicy", str(rule.policy), str(rule.policy.parent / "registries.d"), f"{repository}:stable")

    hosts = "toplevel allowed" in run(*argv, cwd=shop.folder, code=None)
    try:
        ours = shop.relman(repository, rule).good
    except ConfigError:
        ours = False

    assert ours is hosts, text


ATTACHMENTS = [
    "",
    "{}\n",
    "docker:\n  HOST:\n    use-sigstore-attachments: true\n",
    "docker:\n  HOST: {use-sigstore-attachments: true}\n",
    'docker:\n  "HOST":\n    use-sigstore-attachments: true # why\n',
    "docker:\n  HOST:\n    use-sigstore-attachments: yes\n",
    "docker:\n  HOST:\n    use-sigstore-attachments: True\n",
    "docker:\n  HOST:\n    use-sigstore-attachments: 'true'\n",
    'docker:\n  HOST:\n    use-sigstore-attachments: "true"\n',
    "docker:\n  HOST:\n    use-sigstore-attachments: 1\n",
    "docker:\n  HOST:\n    use-sigstore-attachments:\n",
    "docker:\n  HOST:\n    Use-Sigstore-Attachments: true\n",
    "docker:\n  HOST:\n    use-sigstore-attachments: false\n  REPO:\n    use-sigstore-attachments: true\n",
    "docker:\n  HOST:\n    use-sigstore-attachments: true\n  REPO:\n    lookaside: file:///none\n",
    "docker:\n  HOST:\n    use-sigstore-attachments: true\n  REPO:\n    use-sigstore-attachments: false\n",
    "docker:\n  127.0.0.1:\n    use-sigstore-attachments: true\n",
    "docker:\n  '*.0.0.1':\n    use-sigstore-attachments: true\n",
    "default-docker:\n  use-sigstore-attachments: true\n",
    "default-docker:\n  use-sigstore-attachments: true\n  more: 1\n",
    "---\ndefault-docker:\n    use-sigstore-attachments: on\n",
    "default-docker:\n  use-sigstore-attachments: true\ndefault-docker:\n  use-sigstore-attachments: true\n",
    "default-docker:\n use-sigstore-attachments: true\n  lookaside: x\n",
    "default-docker:\nuse-sigstore-attachments: true\n",
    "# nothing\n",
    "default-docker:\n  # use-sigstore-attachments: true\n  lookaside: x#use-sigstore-attachments: true\n",
    "default-docker: true\n",
    "more:\n  - 1\n",
]


@pytest.mark.parametrize("number", range(len(ATTACHMENTS)))
def test_relman_sees_no_signature_that_hosts_do_not_see(shop: Shop, number: int) -> None:
    """What is refused as YAML that is not read here may well be fine for hosts: that side is the safe one."""
    repository, digest = shop.image()
    shop.cosign(repository.digest(digest))
    rule = shop.rule(MATCH_REPOSITORY)
    assert rule.policy
    file = rule.policy.parent / "registries.d" / "all.yaml"
    file.write_text(ATTACHMENTS[number].replace("HOST", shop.host).replace("REPO", str(repository)))
    argv = ("hostpolicy", str(rule.policy), str(file.parent), f"{repository}:stable")

    hosts = "toplevel allowed" in run(*argv, cwd=shop.folder, code=None)
    try:
        ours: bool | None = shop.relman(repository, rule).good
    except ConfigError:
        ours = None

    assert ours in (hosts, None), ATTACHMENTS[number]
    if ours is None and hosts:
        assert "{use-" in ATTACHMENTS[number], ATTACHMENTS[number]


def payloads(digest: str, name: str) -> Iterator[bytes]:
    """What may be signed in the place of an image, some of it right."""
    critical = f'''"critical": {{"type": "cosign container image signature",
        "identity": {{"docker-reference": "{name}"}}, "image": {{"docker-manifest-digest": "{digest}"}}}}'''
    for optional in (
        "null",
        "{}",
        "[]",
        "1",
        '{"creator": "x"}',
        '{"creator": 1}',
        '{"creator": null}',
        '{"timestamp": 1}',
        '{"timestamp": 1.5}',
        '{"timestamp": 1.0}',
        '{"timestamp": 1e400}',
        '{"timestamp": "1"}',
        '{"timestamp": null}',
        '{"timestamp": true}',
        '{"timestamp": 1e300}',
        '{"a": {"b": [1]}}',
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
    ):
        yield f'{{{critical}, "optional": {optional}}}'.encode()
    yield f"{{{critical}}}".encode()
    yield f'{{{critical}, "optional": null, "more": 1}}'.encode()
    yield f'{{{critical}, {critical}, "optional": null}}'.encode()
    yield f'{{{critical}, "optional": null}} more'.encode()
    yield f'{{{critical}, "Optional": null}}'.encode()
    yield f'\ufeff{{{critical}, "optional": null}}'.encode()
    yield f'{{{critical}, "optional": null}}'.encode("utf-16")
    yield f'{{{critical.replace("cosign", "atomic")}, "optional": null}}'.encode()
    yield f'{{{critical.replace(digest, digest.upper())}, "optional": null}}'.encode()
    yield f'{{{critical.replace(digest, digest.removeprefix("sha256:"))}, "optional": null}}'.encode()
    yield f'{{{critical.replace(name, name.upper())}, "optional": null}}'.encode()
    yield f'{{{critical.replace(name, f"{name}@{digest}")}, "optional": null}}'.encode()
    yield f'{{{critical.replace(name, f"{name}:x@{digest}")}, "optional": null}}'.encode()
    yield f'{{{critical.replace(name, f"{name}:")}, "optional": null}}'.encode()
    yield f'{{{critical.replace(name, "")}, "optional": null}}'.encode()
    yield b""
    yield b"null"


def test_relman_accepts_no_payload_that_hosts_refuse(shop: Shop) -> None:
    signer = Signer()
    rule = shop.rule(MATCH_REPOSITORY)
    assert rule.policy
    entry = {"type": "sigstoreSigned", "keyPath": "host.pub", "signedIdentity": MATCH_REPOSITORY}
    (shop.folder / "host.pub").write_text(signer.pem)
    rule.policy.write_text(json.dumps({"default": [{**entry, "keyPath": str(shop.folder / "host.pub")}]}))
    good = []
    for number in range(len(list(payloads("", "x")))):
        repository, digest = shop.image()
        content = list(payloads(digest, str(repository)))[number]
        signer.sign(shop.registry, repository, digest, payload=content)
        hosts, ours = shop.hosts(repository, rule)["toplevel"], shop.relman(repository, rule)
        assert not ours.good or hosts == "allowed", (content, hosts, ours)
        good.append((ours.good, hosts == "allowed"))

    assert good.count((True, True)) >= 8
    # Go takes a null for an empty text or a zero; who writes one means neither.
    assert good.count((False, True)) == 2
