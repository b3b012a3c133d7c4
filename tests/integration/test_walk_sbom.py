"""`--sbom VARIANT=FILE`: a release whose candidate has no list attached, planned here and applied elsewhere."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relman.model.oci import parse_repository
from relman.testing import put_image
from tests import bluefin_sboms as sboms
from tests.integration.driver import DAYS, REVISION, Project, Workshop, installed

SAID = "base: the packages are those of an SBOM that was given by hand, `base.json`."


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The small set, in layouts; what waits for `stable` is new for `base`, and nothing says what is inside."""
    project = Workshop(tmp_path, "").layouts()
    labels = {REVISION: project.history.revisions[1], "org.opencontainers.image.version": "44.20260616"}
    created = datetime(2026, 6, 16, 4, 40, tzinfo=UTC)
    place = parse_repository(project.repository("base"))
    put_image(project.writer, place, tags=("testing", f"testing-44.{DAYS[1]:%Y%m%d}"), labels=labels, created=created)
    (project.folder / "base.json").write_bytes(sboms.syft(installed("base", 1), (), 1))
    return project


def test_a_plan_with_a_list_from_disk_is_applied_on_another_machine(project: Project) -> None:
    given = ("--sbom", "base=base.json")
    refused = project.relman("diff", "--stream", "stable", code=1)
    diffs = project.relman("diff", "--stream", "stable", *given, "--format", "json").json["diffs"]
    notes = project.relman("changelog", "--stream", "stable", *given, "--format", "json").json
    project.relman("plan", "stable", *given, "-o", "plan.json")
    elsewhere = project.folder.with_name("elsewhere")
    shutil.copytree(project.folder, elsewhere)
    (elsewhere / "base.json").unlink()
    other = Project(elsewhere, project.store, project.history, project.digests)

    other.relman("apply", "plan.json")

    assert "no SBOM is attached" in refused.stderr
    assert [diff["after"]["source"] for diff in diffs] == ["sbom:base.json", "sbom"]
    assert [(c["name"], c["kind"]) for c in diffs[0]["changes"]] == [("package-001", "upgraded")]
    assert SAID in notes["notes"]
    assert project.read("plan.json")["variants"][0]["sboms"] == {"linux/amd64": "base.json"}
    assert other.record["state"] == "finished"
    assert [variant["contents"] is None for variant in other.record["variants"]] == [True, False]


def test_a_release_in_one_go_takes_it_too_and_wrong_usage_is_told(project: Project) -> None:
    wrong = project.relman("release", "stable", "--yes", "--sbom", "bse=base.json", code=2)
    project.relman("release", "stable", "--yes", "--sbom", "base=base.json")

    assert "`--sbom bse=base.json`: there is no variant `bse`" in wrong.stderr
    assert "the candidates are `base`, `dx`" in wrong.stderr
    assert all(variant["contents"] for variant in project.record["variants"])


def test_files_are_named_from_where_the_user_is(project: Project) -> None:
    from tests.integration.driver import relman

    inner = project.folder / "inner"
    inner.mkdir()
    shutil.copy(project.folder / "base.json", inner)

    ran = relman(
        inner, "diff", "sbom:base.json", "sbom:../base.json", "--format", "json", "--detailed-exitcode", code=3
    )

    assert ran.json["changes"] == []
