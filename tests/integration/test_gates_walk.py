"""Each gate in turn is the only thing that holds a release back; then what it needs happens, and the same command goes
through.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relman.model.oci import Digest, parse_repository
from relman.testing import attach, put_image
from tests import bluefin_sboms as sboms
from tests.integration.driver import DAYS, NOW, REVISION, VARIANTS, Project, Workshop, installed, put_build
from tests.test_commits import Checkout
from tests.test_handwritten import put

DAY = 24 * 3600
LINE = 'new_version = "stable-{today}[.{point}]"'
ISSUE = '+++\ntitle = "No sleep"\n+++\nIt stays awake.\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Workshop(tmp_path, "").layouts()  # layouts alone


@dataclass(frozen=True)
class At:
    """The time of a run, in days after that of the set."""

    days: float

    def __str__(self) -> str:
        return f"{NOW.timestamp() + self.days * DAY:.0f}"


def gates(project: Project, text: str, more: str = "") -> None:
    project.configure(LINE, f"{LINE}\ngates = [{text}]\n{more}")


def closed(project: Project, *arguments: str, days: float = 0) -> str:
    """What a release says that is held back. It wrote nothing."""
    before = project.holds("stable")
    ran = project.relman("release", "stable", "--yes", *arguments, code=6, SOURCE_DATE_EPOCH=str(At(days)))
    assert project.holds("stable") == before
    assert not list(project.folder.glob("releases/stable/*"))
    (line,) = [line for line in ran.stderr.splitlines() if "gate `" in line]
    return line.partition("gate ")[2]


def released(project: Project, days: float = 0) -> None:
    project.relman("release", "stable", "--yes", SOURCE_DATE_EPOCH=str(At(days)))
    assert project.holds("stable") == project.holds("testing")


def move(project: Project, variant: str, digest: Digest) -> None:
    """Let `testing` hold another build."""
    place = parse_repository(project.repository(variant))
    manifest = project.writer.manifest(place.digest(digest))
    project.writer.put_manifest(place, manifest.content, manifest.descriptor.media_type, tag="testing")


def build(project: Project, variant: str, *, sbom: bytes | None = None, revision: str | None = None) -> Digest:
    """A build of `testing` of its own, with a list of contents of its own."""
    labels = {"org.example.own": "yes", **({REVISION: revision} if revision else {})}
    repository = project.repository(variant)
    return put_build(project.writer, repository, variant, 1, project.history, ["testing"], labels=labels, sbom=sbom)


# --------------------------------------------------------------------------------------------------------------


def test_complete(project: Project) -> None:
    project.configure("[registry]", 'platforms = ["linux/amd64", "linux/arm64"]\n[registry]')

    assert closed(project) == (
        "`complete` is failed for `base`, `dx`: the image has no linux/arm64: it has linux/amd64"
    )
    project.configure(', "linux/arm64"', "")
    released(project)


def test_hold(project: Project) -> None:
    project.relman("hold", "stable", "--variant", "dx", "--reason", "no sound", "--yes", GITHUB_ACTOR="ada")

    assert closed(project) == (
        "`hold` is failed for `dx`: ada holds stable, variant dx since 2026-06-24 12:00: no sound "
        "(`relman unhold stable`)"
    )
    project.relman("unhold", "stable", "--yes")
    released(project)


def test_soak(project: Project) -> None:
    gates(project, '"soak"', 'soak = "3d"')

    assert closed(project) == (
        "`soak` is absent for `base`, `dx`: it was never observed in `testing`, so nobody knows since when it is there"
    )
    project.relman("observe")
    assert closed(project, days=2.5) == "`soak` is pending for `base`, `dx`: in `testing` for 2d12h of 3d"
    released(project, days=3)


def test_soak_begins_anew_for_a_new_build(project: Project) -> None:
    gates(project, "", 'soak = "3d"')  # a stream that has a soak asks for it
    project.relman("observe")
    for variant in VARIANTS:
        project.retag(variant, "testing", 2)
    project.relman("observe", SOURCE_DATE_EPOCH=str(At(2)))

    assert closed(project, days=3) == "`soak` is pending for `base`, `dx`: in `testing` for 1d of 3d"
    released(project, days=5)


def test_sbom(project: Project) -> None:
    gates(project, '"sbom"')
    digest = build(project, "base", sbom=b"")
    (project.folder / "list.json").write_bytes(sboms.syft(installed("base", 1), (), 1))

    assert closed(project, "--sbom", "base=list.json").startswith(
        "`sbom` is failed for `base` (linux/amd64): no SBOM can be read: the SBOM `sha256:"
    )
    place, content = parse_repository(project.repository("base")), (project.folder / "list.json").read_bytes()
    attach(project.writer, place, digest, content, "application/vnd.spdx+json", "application/json")
    released(project)


def test_no_downgrade(project: Project) -> None:
    gates(project, '"no-downgrade"')
    for variant in VARIANTS:
        project.retag(variant, "stable", 2)
        project.retag(variant, "stable-20260623", 2)

    assert closed(project) == (
        "`no-downgrade` is failed for `base`, `dx`: it was made 2026-06-16 04:40, before its predecessor of 2026-06-23 "
        "04:40; gate `no-downgrade` is failed for `base`, `dx`: it calls itself 44.20260616, and its predecessor "
        "44.20260623"
    )
    day = f"{DAYS[2]:%Y%m%d}"
    later = {"org.opencontainers.image.version": f"44.{day}.1"}
    for variant in VARIANTS:
        put_build(project.writer, project.repository(variant), variant, 2, project.history, ["testing"], labels=later)
    released(project)


def test_packages(project: Project) -> None:
    gates(project, '{ type = "packages", forbidden = ["tool-new"], required = ["package-001 >= 1.0"] }')

    assert closed(project) == "`packages` is failed for `dx` (linux/amd64): has tool-new 2.0-1.fc44, against `tool-new`"
    without = [one for one in installed("dx", 1) if one.name != "tool-new"]
    build(project, "dx", sbom=sboms.syft(without, (), 1))
    released(project)


def test_consistent(project: Project) -> None:
    gates(project, '{ type = "consistent", compare = ["revision"] }')
    project.retag("dx", "testing", 2)
    one, two = project.history.revisions[1], project.history.revisions[2]

    assert closed(project) == (
        f"`consistent` is failed for `base`: its revision is {one}, that of dx is {two}; "
        f"gate `consistent` is failed for `dx`: its revision is {two}, that of base is {one}"
    )
    project.retag("base", "testing", 2)
    released(project)


def test_known_issues(project: Project, tmp_path: Path) -> None:
    made = Checkout(tmp_path / "own")
    first = put(made, issues__sleep=ISSUE)
    second = put(made, issues__sleep=None)
    gates(project, '"known-issues"')
    project.configure(f"checkout = {json.dumps(str(project.history.folder))}", f'checkout = "{made.folder}"')
    project.configure("[changelog]", '[changelog]\nknown_issues = "issues"')
    for variant in VARIANTS:
        repository = project.repository(variant)
        labels = {REVISION: first}
        put_build(project.writer, repository, variant, 0, project.history, ["stable", "stable-20260611"], labels=labels)
        build(project, variant, revision=second)

    assert closed(project) == (
        "`known-issues` is failed for `base`, `dx`: neither declared fixed nor carried over: "
        "`issues/sleep.md` (No sleep)"
    )
    put(made, issues__sleep=ISSUE.replace('"\n', '"\nfixed-in = "stable-20260624"\n', 1))
    released(project)


def test_size(project: Project) -> None:
    gates(project, '{ type = "size", image = "9 kB" }')

    assert (
        closed(project)
        == "`size` is failed for `base` (linux/amd64), `dx` (linux/amd64): it has 10.2 kB, more than 9.0 kB"
    )
    for variant in VARIANTS:
        place = parse_repository(project.repository(variant))
        labels = {REVISION: project.history.revisions[1], "org.opencontainers.image.version": "44.20260616"}
        created = datetime(2026, 6, 16, 4, 40, tzinfo=UTC)
        digest = put_image(
            project.writer, place, tags=["testing"], labels=labels, created=created, layers=(b"x" * 9000,)
        )
        content = sboms.syft(installed(variant, 1), (), 1)
        attach(project.writer, place, digest, content, "application/vnd.spdx+json", "application/json")
    released(project)


def test_freeze(project: Project) -> None:
    windows = (
        '{ from = "2026-06-20", to = "2026-06-25", zone = "Europe/Berlin", reason = "holidays" }, '
        '{ days = ["friday"], from = "00:00", to = "monday 08:00", zone = "Europe/Berlin", reason = "weekend" }'
    )
    gates(project, f'{{ type = "freeze", windows = [{windows}] }}')

    assert closed(project) == (
        "`freeze` is pending for `base`, `dx`: frozen until 2026-06-26 00:00 (Europe/Berlin): holidays"
    )
    assert closed(project, days=2) == (
        "`freeze` is pending for `base`, `dx`: frozen until 2026-06-29 08:00 (Europe/Berlin): weekend"
    )
    opens = (datetime(2026, 6, 29, 6, tzinfo=UTC) - NOW).total_seconds()
    plan = project.plan(SOURCE_DATE_EPOCH=str(At(0)))
    assert {gate["at"] for gate in plan["gates"] if gate["gate"] == "freeze"} == {"2026-06-29T06:00:00Z"}
    closed(project, days=(opens - 1) / DAY)
    released(project, days=opens / DAY)


def test_a_table_that_is_wrong_is_a_fault_of_the_file_with_its_line(project: Project) -> None:
    table = '{ type = "freeze", windows = [{ days = ["fryday"], zone = "Europe/Berln" }] }'
    gates(project, f'{table}, "size", {{ type = "complete", platforms = [] }}')
    lines = (project.folder / "relman.toml").read_text().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if "fryday" in line)

    ran = project.relman("release", "stable", "--yes", code=2)

    assert f"relman.toml:{number}: streams.stable.gates[1].windows[1].days[1]: `fryday`" in ran.stderr
    assert (
        f"relman.toml:{number}: streams.stable.gates[1].windows[1].zone: `Europe/Berln` is no time zone" in ran.stderr
    )
    assert f"relman.toml:{number}: streams.stable.gates[2]: the gate `size` needs a limit" in ran.stderr
    assert f"relman.toml:{number}: streams.stable.gates[3].platforms: unknown key `platforms`" in ran.stderr


def test_status_says_what_is_not_looked_at_before_a_plan(project: Project) -> None:
    gates(project, '"no-downgrade", { type = "packages", required = ["package-001"] }, "sbom"')

    document = project.relman("status", "stable", "--format", "json").json
    (stream,) = document["streams"]
    found = {(gate["gate"], gate["variant"]): (gate["state"], gate["reason"]) for gate in stream["gates"]}

    assert found["packages", "dx"] == ("skipped", "packages are compared when a release is planned")
    assert found["sbom", "dx"] == ("skipped", "an SBOM is attached, and is read when a release is planned")
    state, reason = found["no-downgrade", "dx"]
    assert state == "passed"
    assert reason.endswith("; packages are compared when a release is planned")
    released(project)
