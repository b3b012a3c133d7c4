"""The `dev` script and what it goes by: the lock file, and the list of what did not run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.report import lines

ROOT = Path(__file__).parent.parent
LOCK = ROOT / ".config" / "dev-requirements.txt"


def dev(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "dev"), *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def locked() -> dict[str, Requirement]:
    """What the lock pins, by project."""
    text = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, text)}


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_without_a_command_it_says_what_there_is(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = dev(*arguments, cwd=tmp_path)

    assert done.returncode == 0
    for command in ("demo", "test", "bench", "lint", "fuzz", "lock"):
        assert f"\n  {command} " in done.stdout


def test_an_unknown_command_is_wrong_usage() -> None:
    done = dev("tset")

    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: ./dev COMMAND" in done.stderr


def test_fuzzing_of_what_is_no_target_is_wrong_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "1", "rpm"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "error: no target is called `rpm`; there are rpm-header, " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "spread"),
    [
        ("tests/test_dev.py -k dev", "-n auto --dist worksteal"),
        ("-x", "-n auto --dist worksteal"),
        ("-x --pdb", ""),
        ("-n4", ""),
        ("-n 0", ""),
        ("-s", ""),
        ("-p no:xdist", ""),
    ],
)
def test_tests_run_on_all_cores_unless_somebody_says_otherwise(arguments: str, spread: str) -> None:
    function = re.search(r"^spread\(\) \{\n.*?^\}\n", (ROOT / "dev").read_text(), re.MULTILINE | re.DOTALL)
    assert function is not None
    done = subprocess.run(
        ["bash", "-c", f"{function[0]}\nspread {arguments}"], capture_output=True, text=True, check=True
    )

    assert " ".join(done.stdout.split()) == spread


def test_a_python_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", "/nowhere/python3")

    done = dev("lint")

    assert done.returncode == 1
    assert "no Python of 3.11 or newer was found (looked for: /nowhere/python3" in done.stderr
    assert "hint: " in done.stderr


def test_the_lock_pins_exactly_and_names_no_index() -> None:
    for name, pin in locked().items():
        assert [specifier.operator for specifier in pin.specifier] == ["=="], name
        assert pin.url is None, name
    assert not [line for line in LOCK.read_text().splitlines() if line.startswith("-") or "://" in line]


def test_the_lock_satisfies_what_the_project_asks_for() -> None:
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = map(
        Requirement,
        [
            *tables["build-system"]["requires"],
            *tables["project"]["dependencies"],
            *tables["dependency-groups"]["dev"],
        ],
    )
    pins = locked()

    for requirement in wanted:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement} is not in the lock: run ./dev lock"
        (exact,) = pin.specifier
        assert requirement.specifier.contains(exact.version), (
            f"{pin} is not what {requirement} asks for: run ./dev lock"
        )


def test_what_did_not_run_is_named_with_its_reason() -> None:
    skipped = Counter({"needs a network namespace": 2, "`rpm` is not installed": 1})

    assert lines(skipped, 3, {"rpm": "tests that read an rpm database"}) == [
        "not run on this machine: tests that read an rpm database: `rpm` is not installed",
        "not run on this machine: 1 test: `rpm` is not installed",
        "not run on this machine: 2 tests: needs a network namespace",
        "not run on this machine: 3 tests: deselected on the command line",
    ]


def test_that_everything_ran_is_said_too() -> None:
    assert lines(Counter(), 0, {}) == ["not run on this machine: nothing, everything ran"]
