"""observe and audit, end to end on a real registry: two releases, then everything goes wrong that can."""

from __future__ import annotations

import http.client
import json
import signal
from typing import Any

import pytest

from tests.integration.driver import VARIANTS, Project, Workshop

NEWS = """
[[announce]]
type = "file"
name = "news"
path = "news/{{ version }}.md"
"""
FIRST: dict[str, Any] = {"SOURCE_DATE_EPOCH": "1782302400"}
SECOND: dict[str, Any] = {"SOURCE_DATE_EPOCH": "1782388800"}
LATER: dict[str, Any] = {"SOURCE_DATE_EPOCH": "1783598400"}


@pytest.fixture(scope="module")
def project(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The builds of the 16th and the 23rd, each promoted and observed."""
    made = Workshop(tmp_path_factory.mktemp("audit"), docker_registry).behind(docker_registry, NEWS)
    made.configure('from = "testing"', 'from = "testing"\nexpect = "7d"')
    made.relman("release", "stable", "--yes", **FIRST)
    made.relman("observe", **FIRST)
    for variant in VARIANTS:
        made.retag(variant, "testing", 2)
    made.relman("release", "stable", "--yes", **SECOND)
    return made


def delete(project: Project, variant: str, build: int) -> None:
    """Remove a manifest from the registry, and with it every tag that points at it."""
    host, _, name = project.repository(variant).partition("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("DELETE", f"/v2/{name}/manifests/{project.digests[variant, build]}")
    assert connection.getresponse().status == 202
    connection.close()


def lines(project: Project) -> list[Any]:
    return [json.loads(line) for line in (project.folder / "releases" / "observed.jsonl").read_text().splitlines()]


def test_two_runs_at_once_and_one_that_is_killed_note_everything_once(project: Project) -> None:
    running = [project.start("observe", **SECOND) for _ in range(3)]
    running[2].send_signal(signal.SIGKILL)
    ends = [process.wait(60) for process in running]
    for process in running:
        process.communicate()
    again = project.relman("observe", **SECOND)

    assert ends[:2] == [0, 0]
    assert again.stdout == "nothing has changed\n"
    found = lines(project)
    held = {(line["stream"], line["variant"]): line["digest"] for line in found if line["kind"] == "stream"}
    assert len({json.dumps([*line.values()][2:]) for line in found}) == len(found)
    assert held == {(stream, v): project.digests[v, 2] for stream in ("testing", "stable") for v in VARIANTS}


def test_as_it_was_left_nothing_is_found(project: Project) -> None:
    ran = project.relman("audit", "--format", "json", **SECOND)

    assert (ran.json["schema"], ran.json["findings"]) == ("relman.audit/1", [])
    assert "nothing was found" in project.relman("audit", **SECOND).stdout


def test_everything_that_was_done_to_it_afterwards_is_named(project: Project) -> None:
    project.retag("dx", "stable-20260624", 0)
    project.retag("dx", "stable", 0)
    delete(project, "base", 1)
    (project.folder / "news" / "stable-20260625.md").write_text("edited")

    ran = project.relman("audit", "--format", "json", code=9, **LATER)
    text = project.relman("audit", "stable", code=9, **LATER).stdout

    assert sorted((f["code"], f["stream"], f["variant"], f["version"]) for f in ran.json["findings"]) == [
        ("edited", "stable", None, "stable-20260625"),
        ("foreign-move", "stable", "dx", "stable-20260625"),
        ("image-gone", "stable", "base", "stable-20260624"),
        ("moved-tag", "stable", "dx", "stable-20260624"),
        ("standstill", "stable", None, None),
    ]
    assert [line.split()[1] for line in text.splitlines() if line.startswith(("  error", "  warning"))] == [
        "edited",
        "foreign-move",
        "moved-tag",
        "image-gone",
        "standstill",
    ]
    assert text.splitlines()[-1] == "5 findings"


def test_a_registry_that_is_down_is_no_clean_bill(project: Project) -> None:
    for record in (project.folder / "releases" / "stable").glob("*/record.json"):
        record.parent.rename(project.folder / record.parent.name)
    project.configure(f'prefix = "{project.store}"', 'prefix = "127.0.0.1:9/os"')

    ran = project.relman("audit", "--format", "json", code=75, **LATER)

    assert ran.json["findings"] == []
    assert {one["code"] for one in ran.json["unchecked"] if one["failed"]} >= {"unannounced", "moved-tag"}
