"""Signed statements beside cosign: with keys that it made, on registries of both kinds, verified by it and by us."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from relman.model.oci import Digest
from relman.model.record import RecordState
from relman.registry import Registries
from relman.signing.dsse import envelope_bytes, read_bundle
from relman.signing.keys import load_private_key
from tests.integration.driver import relman
from tests.servers import olareg
from tests.walking import World

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("cosign", "cosign3", "olareg")),
    reason="`cosign`, `cosign3` or `olareg` is not there: `./dev test --peers` builds them",
)
CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}"

[record]
attach = true
"""
KEY = 'key = { env = "RECORD_KEY" }\npassword = { env = "RECORD_PASSWORD" }\n'
PASSWORD = "correct horse"
SUMMARY = "https://slsa.dev/verification_summary/v1"


@pytest.fixture(scope="module", params=["by tag", "by API"])
def host(
    request: pytest.FixtureRequest, docker_registry: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "by tag":
        yield docker_registry
        return
    with olareg(tmp_path_factory.mktemp("olareg")) as found:
        yield found


@pytest.fixture
def world(host: str, tmp_path: Path) -> Iterator[World]:
    """A project with one image to promote, and a pair of cosign's keys in its folder."""
    with Registries(tmp_path) as registries:
        found = World(tmp_path, registries, prefix=f"{host}/signed-{tmp_path.name}".lower())
        found.push("os", "testing", "testing-20260705", day=date(2026, 7, 5))
        run("cosign", "generate-key-pair", cwd=tmp_path)
        yield found


def run(*argv: str, cwd: Path, code: int | None = 0) -> str:
    environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD, "HOME": str(cwd)}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert code is None or done.returncode == code, done.stderr
    return done.stdout + done.stderr


def released(world: World, **variables: str) -> str:
    """Release; the image by digest."""
    given = {"RECORD_KEY": (world.folder / "cosign.key").read_text(), "RECORD_PASSWORD": PASSWORD} | variables
    ran = relman(world.folder, "release", "stable", "--yes", "--verbose", code=0, stdin=None, **given)
    record = (world.ledger.records("stable"))[0]
    assert record.state is RecordState.FINISHED
    secrets = [PASSWORD, *given["RECORD_KEY"].splitlines()[1:-1]]
    left = [path.read_text() for path in (world.folder / "releases").rglob("*.json")]
    assert [text for text in (ran.stdout, ran.stderr, *left) for secret in secrets if secret and secret in text] == []
    return f"{world.prefix}/os@{world.holds('os:stable')}"


SIGNING = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
PLAIN = ("--allow-http-registry", "--allow-insecure-registry")


@pytest.mark.parametrize("program", ["cosign", "cosign3"])
def test_cosign_verifies_the_statement_that_is_attached(world: World, program: str) -> None:
    world.configure(CONFIG + KEY)
    image = released(world)
    verify = [program, "verify-attestation", "--insecure-ignore-tlog", "--new-bundle-format", *PLAIN]
    if program == "cosign":  # cosign 2 fetches sigstore's roots for bundles, also where a key is given
        (world.folder / "root.json").write_text(json.dumps({"mediaType": ROOT}))
        verify.append("--trusted-root=root.json")

    said = run(*verify, "--key=cosign.pub", f"--type={SUMMARY}", image, cwd=world.folder)

    envelope = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["subject"] == [{"name": f"{world.prefix}/os", "digest": {"sha256": image.rpartition(":")[2]}}]
    assert statement["predicate"]["verificationResult"] == "PASSED"
    (world.folder / "other").mkdir()
    run("cosign", "generate-key-pair", cwd=world.folder / "other")
    run(*verify, "--key=other/cosign.pub", f"--type={SUMMARY}", image, cwd=world.folder, code=1)


def test_our_own_reader_verifies_it_and_cosign_takes_the_envelope_and_the_record(world: World) -> None:
    world.configure(CONFIG + KEY)
    image = released(world)
    record = world.ledger.records("stable")[0]

    printed = relman(world.folder, "records", "show", record.id, "--statement", "os", "--key", "cosign.pub").stdout

    stated = relman(world.folder, "records", "show", record.id, "--statement", "os").stdout
    assert base64.b64decode(json.loads(printed)["payload"]).decode() == stated
    (world.folder / "other").mkdir()
    run("cosign", "generate-key-pair", cwd=world.folder / "other")
    refused = relman(
        world.folder, "records", "show", record.id, "--statement", "os", "--key", "other/cosign.pub", code=1
    )
    assert "signed with another key, or was changed" in refused.stderr
    with Registries(world.folder) as reader:
        repository = world.reference("os:stable").repository
        digest = world.holds("os:stable")
        assert digest
        bundles = [one for one in reader.referrers(repository, digest) if "bundle" in str(one.artifact_type)]
        (layer,) = json.loads(reader.manifest(repository.digest(bundles[0].digest)).content)["layers"]
        (world.folder / "bundle.json").write_bytes(reader.blob(repository, Digest(layer["digest"]), limit=1 << 20))
    argv = ["verify-blob-attestation", "--key=cosign.pub", "--bundle=bundle.json", f"--type={SUMMARY}"]
    argv += ["--insecure-ignore-tlog", f"--digest={image.rpartition(':')[2]}", "--digestAlg=sha256"]
    run("cosign3", *argv, cwd=world.folder)


@pytest.mark.skipif(
    shutil.which("slsa-verifier") is None, reason="`slsa-verifier` is not there: `./dev test --peers` builds it"
)
def test_slsa_verifier_takes_the_envelope_but_for_a_level_that_it_does_not_know(world: World) -> None:
    world.configure(CONFIG + KEY)
    image = released(world)
    record = world.ledger.records("stable")[0]
    envelope = relman(world.folder, "records", "show", record.id, "--statement", "os", "--key", "cosign.pub").stdout
    argv = ["verify-vsa", "--attestation-path=vsa.json", f"--subject-digest=sha256:{image.rpartition(':')[2]}"]
    argv += ["--verifier-id=urn:relman:project:Composed%20OS", f"--resource-uri=docker://{world.prefix}/os:stable"]
    argv += ["--public-key-path=cosign.pub"]

    # slsa.dev/verification_summary/v1 has SLSA_BUILD_LEVEL_UNEVALUATED, slsa-verifier 2.7 wants a number there.
    (world.folder / "vsa.json").write_text(envelope)
    said = run("slsa-verifier", *argv, cwd=world.folder, code=1)
    assert "invalid SLSA level: SLSA_BUILD_LEVEL_UNEVALUATED" in said

    statement = base64.b64decode(json.loads(envelope)["payload"]).replace(b"LEVEL_UNEVALUATED", b"LEVEL_0")
    key = load_private_key((world.folder / "cosign.key").read_text(), PASSWORD, "the key")
    (world.folder / "vsa.json").write_bytes(envelope_bytes(read_bundle(key.sign(statement), "the bundle")))
    assert "PASSED" in run("slsa-verifier", *argv, cwd=world.folder)


def test_cosign_signs_the_statement_as_it_is_where_an_identity_signs(world: World, tmp_path: Path) -> None:
    """There is no sigstore here to vouch for anybody: the real cosign is given a key behind relman's back."""
    real, programs = shutil.which("cosign3"), tmp_path / "programs"
    programs.mkdir()
    (tmp_path / "config.json").write_text(json.dumps({"mediaType": SIGNING}))
    more = f"--key={tmp_path}/cosign.key --signing-config={tmp_path}/config.json"
    (programs / "cosign").write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/called\n'
        f'case "$*" in *--help) exec {real} "$@";; *) exec {real} "$@" {more};; esac\n'
    )
    (programs / "cosign").chmod(0o755)
    world.configure(CONFIG + 'sign = "keyless"\n')
    path = f"{programs}:{os.environ['PATH']}"

    relman(world.folder, "release", "stable", "--yes", PATH=path, COSIGN_PASSWORD=PASSWORD)

    record = world.ledger.records("stable")[0]
    printed = relman(world.folder, "records", "show", record.id, "--statement", "os", "--key", "cosign.pub").stdout
    stated = relman(world.folder, "records", "show", record.id, "--statement", "os").stdout
    assert base64.b64decode(json.loads(printed)["payload"]).decode() == stated
    called = (tmp_path / "called").read_text().splitlines()
    assert called[0] == "attest-blob --help"
    assert re.fullmatch(r"attest-blob --yes --statement=/\S+ --bundle=/\S+", called[-1])


def test_a_cosign_that_cannot_sign_a_statement_is_7_before_the_first_write(world: World, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cosign").symlink_to(str(shutil.which("cosign")))
    world.configure(CONFIG + 'sign = "keyless"\n')
    path = f"{programs}:{os.environ['PATH']}"

    said = relman(world.folder, "release", "stable", "--yes", code=7, PATH=path).stderr

    assert "the installed one is older" in said
    assert world.holds("os:stable") is None
    assert world.ledger.records() == ()
