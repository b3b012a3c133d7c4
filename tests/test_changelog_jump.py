"""`relman changelog --from A --to C`: over images where they are there, else over notes on record, to the same end."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from relman.cli import relman
from relman.cli.options import settings
from relman.errors import NotFound, UsageError
from relman.registry import Registries
from tests.walking import MONDAY, World

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
new_version = "stable-{today}[.{point}]"
"""
BUILDS = (
    {"kernel": "6.1-1.fc44", "joe": "1.0-1.fc44"},
    {"kernel": "6.2-1.fc44", "joe": "2.0-1.fc44", "uupd": "1.0-1.fc44"},
    {"kernel": "6.3-1.fc44", "joe": "1.0-1.fc44"},
    {"kernel": "6.4-1.fc44", "joe": "1.0-1.fc44"},
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three releases of four builds; the fourth waits."""
    folder = tmp_path_factory.mktemp("jump")
    with Registries(folder) as registries:
        world = World(folder, registries, prefix="oci:images")
        world.configure(CONFIG)
        for number, packages in enumerate(BUILDS):
            day = MONDAY + timedelta(days=7 * number)
            world.push(
                "os", "testing", f"testing-{day:%Y%m%d}", day=date.fromordinal(day.toordinal()), packages=packages
            )
            if number < len(BUILDS) - 1:
                with world.walk(now=day) as walk:
                    walk.apply(walk.plan(walk.config.stream("stable")), lambda _action, _receipt: None)
    return folder


@pytest.fixture
def folder(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(released, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings(), "cache", False)
    return tmp_path


VERSIONS = ("stable-20260706", "stable-20260713", "stable-20260720")


def changelog(*arguments: str) -> Result:
    return CliRunner().invoke(relman, ["changelog", "--stream", "stable", "--format", "json", *arguments])


def rows(found: Result) -> list[Any]:
    made = json.loads(found.stdout)
    return [(r["packages"][0]["name"], r["before"], r["after"]) for group in made["groups"] for r in group["changes"]]


def lose(folder: Path, version: str) -> None:
    """The image of a release goes, and the list that was kept of it."""
    index = folder / "images" / "os" / "index.json"
    document = json.loads(index.read_text())
    name = "org.opencontainers.image.ref.name"
    (digest,) = [m["digest"] for m in document["manifests"] if m.get("annotations", {}).get(name) == version]
    document["manifests"] = [m for m in document["manifests"] if m["digest"] != digest]
    index.write_text(json.dumps(document))
    (folder / "images/os/blobs/sha256" / digest.partition(":")[2]).unlink()
    shutil.rmtree(folder / "releases" / "contents")


def test_a_jump_over_releases_is_told_from_their_notes_as_it_would_be_from_the_images(folder: Path) -> None:
    direct = changelog("--from", VERSIONS[0], "--to", VERSIONS[2])
    lose(folder, VERSIONS[0])
    joined = changelog("--from", VERSIONS[0], "--to", VERSIONS[2])

    assert rows(direct) == rows(joined) == [("kernel", ["6.1-1.fc44"], ["6.3-1.fc44"])]
    assert json.loads(joined.stdout)["previous"] == VERSIONS[0]
    assert "these are the notes of the releases in between, joined" in joined.stderr
    assert "these are the notes" not in direct.stderr


def test_a_jump_to_what_waits_joins_the_releases_with_what_comes_next(folder: Path) -> None:
    direct = changelog("--from", VERSIONS[0])
    lose(folder, VERSIONS[0])
    joined = changelog("--from", VERSIONS[0])

    assert rows(direct) == rows(joined) == [("kernel", ["6.1-1.fc44"], ["6.4-1.fc44"])]
    assert json.loads(joined.stdout)["accounting"] == json.loads(direct.stdout)["accounting"]


def test_a_jump_that_cannot_be_told_is_an_error_and_what_is_recorded_cannot_be_changed(folder: Path) -> None:
    lose(folder, VERSIONS[0])

    backwards = changelog("--from", VERSIONS[2], "--to", VERSIONS[0])
    unknown = changelog("--from", "stable-20200101", "--to", VERSIONS[2])
    with_platform = changelog("--from", VERSIONS[0], "--to", VERSIONS[2], "--platform", "linux/amd64")

    assert isinstance(backwards.exception, NotFound)
    assert isinstance(unknown.exception, NotFound)
    assert isinstance(with_platform.exception, UsageError)
