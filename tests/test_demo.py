"""`relman demo`: what it makes is the same every time, and its tour runs to the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from relman.demo.build import DAYS, build_demo
from relman.demo.packages import VARIANTS, installed
from relman.demo.tour import run_tour
from relman.errors import RelmanError, UsageError
from relman.registry import Registries
from relman.testing import MemoryRegistry

ROOT = Path(__file__).parent.parent
COMMANDS = ["status", "diff", "changelog", "plan", "show", "apply", "records", "apply", "status"]


def demo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relman", "demo", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "RELMAN_CONFIG": "/nowhere/relman.toml"},  # the demo has a configuration of its own
        check=False,
    )


def commands(output: str) -> list[str]:
    """What the tour typed, without what it printed."""
    return [line.removeprefix("$ relman ") for line in output.splitlines() if line.startswith("$ relman ")]


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, except what git and locks keep for themselves."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts and path.suffix != ".lock"
    }


def test_the_demo_is_the_same_to_the_byte_every_time(tmp_path: Path) -> None:
    made = [build_demo(tmp_path / name, Registries(tmp_path / name), "oci:images").revisions for name in ("one", "two")]

    assert made[0] == made[1]
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_its_lists_are_long_enough_to_be_compared_and_small_enough_to_ship() -> None:
    for variant in VARIANTS:
        for build in range(len(DAYS)):
            assert sum(len(package.versions) for package in installed(variant, build)) >= 150
    assert sum(path.stat().st_size for path in (ROOT / "relman" / "demo" / "data").iterdir()) < 60_000


def test_every_build_changes_every_variant() -> None:
    for variant in VARIANTS:
        assert len({installed(variant, build) for build in range(len(DAYS))}) == len(DAYS)


def test_it_writes_to_any_registry(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    build_demo(tmp_path, registry, "registry.example.org/os")

    tags = {write.tag for write in registry.writes if write.tag and not write.tag.startswith("sha256-")}

    assert tags == {
        "stable",
        "stable-20260621",
        "testing",
        *(f"testing-44.{day:%Y%m%d}" for day in DAYS),
    }


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder after its tour, and what the tour printed."""
    below = tmp_path_factory.mktemp("demo")
    done = demo("tour", cwd=below)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return below / "tour", done.stdout


def test_the_tour_runs_each_command_and_the_second_apply_changes_nothing(toured: tuple[Path, str]) -> None:
    folder, shown = toured

    assert [line.split()[0] for line in commands(shown)] == COMMANDS
    assert "nothing to do: `stable-20260705` is finished" in shown
    assert "Traceback" not in shown
    assert "stable-20260705" in (folder / "news" / "stable-20260705.md").read_text()
    assert [path.name.startswith("stable-20260705-") for path in (folder / "releases" / "stable").iterdir()] == [True]


def test_two_tours_print_the_same(toured: tuple[Path, str], tmp_path: Path) -> None:
    again = demo("tour", cwd=tmp_path)

    assert (again.returncode, again.stdout) == (0, toured[1])


def test_the_tour_prints_commands_that_work_when_typed(toured: tuple[Path, str]) -> None:
    folder, shown = toured
    (setting,) = re.findall(r"^\$ export (\w+)=(\d+)", shown, re.MULTILINE)
    (typed,) = (line for line in commands(shown) if line == "records")

    done = subprocess.run(
        [sys.executable, "-m", "relman", *typed.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, setting[0]: setting[1]},
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert f"$ relman {typed}\n{done.stdout}" in shown


def test_it_does_the_same_against_a_running_registry(docker_registry: str, tmp_path: Path) -> None:
    done = demo("tour", "--registry", docker_registry, cwd=tmp_path)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert [line.split()[0] for line in commands(done.stdout)] == COMMANDS
    assert f"{docker_registry}/relman-demo/bluefin:stable" in done.stdout
    assert not (tmp_path / "tour" / "images").exists()


def test_a_folder_that_holds_something_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")

    with pytest.raises(UsageError, match="is not an empty folder"):
        run_tour(tmp_path, None, sys.stdout)

    assert files(tmp_path) == {"mine": b"precious"}


def test_a_registry_that_is_not_there_leaves_no_half_a_demo(tmp_path: Path) -> None:
    with pytest.raises(RelmanError):
        run_tour(tmp_path / "tour", "127.0.0.1:1", sys.stdout)

    assert list(tmp_path.iterdir()) == []
