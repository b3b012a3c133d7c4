"""Bad input: each an error that says what, which value and what to do, with nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relman.model.oci import parse_repository
from relman.testing import put_index
from tests import bluefin_sboms as sboms
from tests.integration.driver import REVISION, Project, Workshop, installed, put_build, relman
from tests.integration.front import Forward
from tests.servers import Asked, Front, Reply


@pytest.fixture(scope="module")
def workshop(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("bad"), docker_registry)


def refused(project: Project, *, code: int = 1) -> str:
    """What `relman release` says as it exits with ``code`` and changes nothing."""
    before = project.holds("stable")
    ran = project.relman("release", "stable", "--yes", code=code)
    assert ran.stderr.count("error: ") == 1
    assert project.holds("stable") == before
    assert not list(project.folder.glob("releases/stable/*"))
    return ran.stderr


# ------------------------------------------------------------------------------------------------------- images


def test_a_tag_that_is_not_there_is_named(workshop: Workshop) -> None:
    project = workshop.behind(workshop.registry)
    image = f"{project.store}/base"

    over_http = project.relman("diff", f"{image}:stable", f"{image}:nowhere", code=1)
    in_folder = workshop.layouts().relman("diff", "oci:images/base:stable", "oci:images/base:nowhere", code=1)

    assert f"{image}:nowhere" in over_http.stderr
    assert "images/base:nowhere" in in_folder.stderr


def test_a_repository_that_is_not_there_is_named(workshop: Workshop, tmp_path: Path) -> None:
    ran = relman(tmp_path, "diff", f"{workshop.registry}/no/such:a", f"{workshop.registry}/no/such:b", code=1)

    assert "no/such:a" in ran.stderr


def test_a_variant_without_a_candidate_is_named(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.configure('name = "dx"', 'name = "dxx"')

    said = refused(project)

    assert "`dxx`" in said
    assert "`testing`" in said


def test_a_name_that_is_no_image_is_wrong_usage(tmp_path: Path) -> None:
    ran = relman(tmp_path, "diff", "not an image", "host/also:not an image", code=2)

    assert "not an image" in ran.stderr


def test_a_blob_with_another_digest_is_refused(workshop: Workshop) -> None:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)

        def twisted(asked: Asked, forward: Forward) -> Reply | None:
            if asked.method != "GET" or "/blobs/" not in asked.path:
                return None
            reply = forward()
            return Reply(reply.status, reply.headers, reply.body[:-1] + b"!")

        front.faults.append(twisted)

        assert "hash to" in refused(project)


def test_a_manifest_with_another_digest_is_refused(workshop: Workshop) -> None:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)

        def twisted(asked: Asked, forward: Forward) -> Reply | None:
            if asked.method != "GET" or "/manifests/" not in asked.path:
                return None
            reply = forward()
            return Reply(reply.status, reply.headers, reply.body.replace(b"{", b"{ ", 1))

        front.faults.append(twisted)

        assert refused(project)


def test_half_a_blob_is_never_taken_for_the_whole(workshop: Workshop) -> None:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)

        def cut(asked: Asked, forward: Forward) -> Reply | None:
            if asked.method != "GET" or "/blobs/" not in asked.path:
                return None
            reply = forward()
            return Reply(reply.status, reply.headers, reply.body, cut=len(reply.body) // 2)

        front.faults.append(cut)

        assert "/blobs/" in project.relman("diff", "--stream", "stable", code=75).stderr


def test_a_layout_with_half_a_blob_is_refused(workshop: Workshop) -> None:
    project = workshop.layouts()
    blobs = project.folder / "images/dx/blobs/sha256"
    largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:5000])

    said = refused_or_fine(project)

    assert largest.name[:12] in said


def refused_or_fine(project: Project) -> str:
    """A cut list is an error for the stream that needs it: all builds of a variant are as large."""
    texts = []
    for build in (0, 1, 2):
        ran = project.relman("contents", f"oci:images/dx@{project.digests['dx', build]}", code=None)
        if ran.code:
            assert ran.code == 1
            texts.append(ran.stderr)
    (text,) = texts
    return text


# -------------------------------------------------------------------------------------------------------- lists


def whole(build: int = 1) -> bytes:
    return sboms.syft(installed("dx", build), (), build)


BAD_LISTS = {
    "empty": b"",
    "null": b"null",
    "no packages": json.dumps({**json.loads(whole()), "artifacts": []}).encode(),
    "truncated": whole()[: len(whole()) // 2],
    "a placeholder": b'{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"placeholder","packages":[]}',
    "too short": sboms.syft(installed("dx", 1)[:60], (), 1),
    "not text": b"\x00\xff\xfe" * 100,
    "half a zstd": sboms.compressed(whole())[:400],
    "deep": b"[" * 200_000,
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_list_that_is_not_whole_is_an_error_and_never_an_empty_diff(workshop: Workshop, name: str) -> None:
    project = workshop.layouts()
    put_build(
        project.writer, "oci:images/dx", "dx", 1, project.history, ["testing"], labels={"n": name}, sbom=BAD_LISTS[name]
    )

    said = refused(project)

    assert "images/dx" in said
    assert "images/base" not in said


def test_an_image_without_any_list_is_an_error_that_names_every_source(workshop: Workshop) -> None:
    project = workshop.layouts()
    index = project.folder / "images/dx/index.json"
    listed = json.loads(index.read_bytes())
    tagged = [
        entry for entry in listed["manifests"] if "org.opencontainers.image.ref.name" in entry.get("annotations", {})
    ]
    index.write_text(json.dumps({**listed, "manifests": [e for e in tagged if "sha256-" not in str(e["annotations"])]}))

    said = refused(project)

    assert "sbom:" in said
    assert "label:" in said
    assert "[packages]" in said


# ------------------------------------------------------------------------------------------------------ commits


def _clone(project: Project, *options: str) -> Path:
    clone = project.folder / "clone"
    argv = ["git", "clone", "--quiet", *options, f"file://{project.history.folder}", str(clone)]
    subprocess.run(argv, check=True, capture_output=True)
    project.configure(json.dumps(str(project.history.folder)), '"clone"')
    return clone


def test_a_shallow_clone_says_how_to_get_the_rest(workshop: Workshop) -> None:
    project = workshop.layouts()
    _clone(project, "--depth", "5")

    said = refused(project)

    assert "fetch" in said
    assert "shallow" in said or project.history.revisions[0] in said


def test_a_bare_clone_is_as_good(workshop: Workshop) -> None:
    project = workshop.layouts()
    expected = project.relman("changelog", "--stream", "stable", "--format", "json").json["commits"]
    _clone(project, "--bare")

    assert project.relman("changelog", "--stream", "stable", "--format", "json").json["commits"] == expected
    assert len(expected) == len(project.history.commits(0, 1))


def test_a_revision_that_the_checkout_lacks_is_named_with_the_fetch_that_would_help(workshop: Workshop) -> None:
    project = workshop.layouts()
    unknown = "0123456789abcdef0123456789abcdef01234567"
    put_build(project.writer, "oci:images/dx", "dx", 1, project.history, ["testing"], labels={REVISION: unknown})

    said = refused(project)

    assert unknown in said
    assert "git" in said
    assert "fetch" in said


@pytest.mark.parametrize(
    "label", [None, "main", "--upload-pack=touch x", ""], ids=["none", "branch", "option", "empty"]
)
def test_a_revision_that_is_none_is_an_error_unless_commits_are_not_required(
    workshop: Workshop, label: str | None
) -> None:
    project = workshop.layouts()
    put_build(project.writer, "oci:images/dx", "dx", 1, project.history, ["testing"], labels={REVISION: label})

    assert "revision" in refused(project)

    project.configure('"^Merge "]', '"^Merge "], required = false')
    notes = project.relman("changelog", "--stream", "stable", "--format", "json").json
    assert len(notes["commits"]) == len(project.history.commits(0, 1))
    assert {tuple(commit["variants"]) for commit in notes["commits"]} == {("base",)}
    assert any("Commits are missing" in note for note in notes["notes"])


def test_variants_of_different_revisions_work_and_are_named(workshop: Workshop) -> None:
    project = workshop.layouts()
    other = project.history.revisions[2]
    put_build(project.writer, "oci:images/dx", "dx", 1, project.history, ["testing"], labels={REVISION: other})

    notes = project.relman("changelog", "--stream", "stable", "--format", "json").json

    by_sha = {commit["sha"]: commit["variants"] for commit in notes["commits"]}
    newer = {commit.sha for commit in project.history.commits(1, 2)}
    older = {commit.sha for commit in project.history.commits(0, 1)}
    assert {sha for sha, variants in by_sha.items() if variants == ["dx"]} == newer
    assert {sha for sha, variants in by_sha.items() if variants == ["base", "dx"]} == older
    assert any("different revisions" in note and "dx" in note for note in notes["notes"])
    project.relman("release", "stable", "--yes")


# ---------------------------------------------------------------------------------------------------- platforms


def test_an_image_for_another_platform_is_named(workshop: Workshop) -> None:
    project = workshop.layouts()
    put_build(project.writer, "oci:images/dx", "dx", 1, project.history, ["arm"], platform="linux/arm64")

    ran = project.relman("diff", "oci:images/dx:stable", "oci:images/dx:arm", code=1)
    asked = project.relman("diff", "oci:images/dx:stable", "oci:images/dx:testing", "--platform", "linux/s390x", code=1)

    assert "linux/arm64" in ran.stderr
    assert "linux/amd64" in ran.stderr
    assert "linux/s390x" in asked.stderr


def test_a_platform_that_is_none_is_wrong_usage(workshop: Workshop) -> None:
    ran = workshop.layouts().relman(
        "diff", "oci:images/dx:stable", "oci:images/dx:testing", "--platform", "toaster", code=2
    )

    assert "toaster" in ran.stderr


def test_an_index_is_compared_on_each_platform_and_promoted_whole(workshop: Workshop) -> None:
    project = workshop.layouts()
    digests = {}
    for build, tags in ((0, ("stable", "stable-20260610")), (1, ("testing", "testing-44.20260616"))):
        parts = [
            put_build(project.writer, "oci:images/dx", "dx", build, project.history, [], platform=platform)
            for platform in ("linux/amd64", "linux/arm64")
        ]
        digests[build] = put_index(project.writer, parse_repository("oci:images/dx"), parts, tags=tags)
    project.configure('traits = ["dx"]', 'traits = ["dx"]\nplatforms = ["linux/amd64", "linux/arm64"]')

    diffs = project.relman("diff", "--stream", "stable", "--format", "json").json["diffs"]
    project.relman("release", "stable", "--yes")

    assert [(d["variant"], d["after"]["platform"]) for d in diffs] == [
        ("base", "linux/amd64"),
        ("dx", "linux/amd64"),
        ("dx", "linux/arm64"),
    ]
    assert [(v["name"], v["digest"], v["platforms"]) for v in project.record["variants"]] == [
        ("base", project.digests["base", 1], ["linux/amd64"]),
        ("dx", digests[1], ["linux/amd64", "linux/arm64"]),
    ]
    assert project.holds("stable")["dx"] == digests[1]


# --------------------------------------------------------------------------------------------------------- disk


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written below ``folder``. Skips where that cannot be had."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)
        return
    bind = ["mount", "--bind", str(folder), str(folder)]
    if shutil.which("mount") is None or subprocess.run(bind, capture_output=True).returncode:
        pytest.skip("a read-only folder: for root it takes a mount, which is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_ledger_that_cannot_be_written_stops_the_release_before_its_first_write(workshop: Workshop) -> None:
    project = workshop.layouts()
    (project.folder / "releases").mkdir()
    with read_only(project.folder / "releases"):
        said = refused(project, code=7)

    assert "releases" in said


def test_a_registry_that_cannot_be_written_stops_the_release(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.plan()
    with read_only(project.folder / "images"):
        ran = project.relman("apply", "plan.json", code=None)

    assert ran.code in (1, 7)
    assert "images" in ran.stderr
    assert project.builds("stable") == {"stable": {0}}


def test_a_plan_that_cannot_be_saved_is_an_error(workshop: Workshop) -> None:
    project = workshop.layouts()
    (project.folder / "out").mkdir()
    with read_only(project.folder / "out"):
        ran = project.relman("plan", "stable", "-o", "out/plan.json", code=1)

    assert "out/plan.json" in ran.stderr


# -------------------------------------------------------------------------------------------------------- plans


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b'{"schema": "relman.plan/9"}', b"\xff"])
def test_a_file_that_is_no_plan_is_refused(workshop: Workshop, content: bytes) -> None:
    project = workshop.layouts()
    (project.folder / "plan.json").write_bytes(content)

    ran = project.relman("apply", "plan.json", code=1)

    assert "plan.json" in ran.stderr


def test_a_plan_that_is_not_there_is_named(workshop: Workshop) -> None:
    ran = workshop.layouts().relman("apply", "elsewhere.json", code=1)

    assert "elsewhere.json" in ran.stderr
    assert "relman plan" in ran.stderr


def test_a_broken_record_is_named_and_blocks_writing(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.relman("release", "stable", "--yes")
    (file,) = project.folder.glob("releases/stable/*/record.json")
    file.write_bytes(file.read_bytes()[:100])
    for variant in ("base", "dx"):
        project.retag(variant, "testing", 2)

    ran = project.relman("release", "stable", "--yes", code=1)

    assert "record.json" in ran.stderr
    assert project.builds("stable") == {"stable": {1}}


def test_half_a_blob_is_asked_for_again(workshop: Workshop) -> None:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)
        seen: dict[str, int] = {}

        def cut(asked: Asked, forward: Forward) -> Reply | None:
            if asked.method != "GET" or "/blobs/" not in asked.path:
                return None
            seen[asked.path] = seen.get(asked.path, 0) + 1
            reply = forward()
            if seen[asked.path] > 2:
                return reply
            return Reply(reply.status, reply.headers, reply.body, cut=len(reply.body) // 2)

        front.faults.append(cut)

        project.relman("diff", "--stream", "stable")
