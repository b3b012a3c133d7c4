"""Writes the exact versions of everything that development needs, solved in a fresh virtual environment.

Run by `./dev lock`, with the oldest Python that relman supports, so that nothing newer is asked for than works there.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path


def requirements(pyproject: Path) -> list[str]:
    """What relman runs with, is built with, and is developed with."""
    tables = tomllib.loads(pyproject.read_text())
    return [
        *tables["build-system"]["requires"],
        *tables["project"]["dependencies"],
        *tables["dependency-groups"]["dev"],
    ]


def canonical(name: str) -> str:
    """A project's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def markers(wanted: list[str]) -> dict[str, str]:
    """The conditions under which a requirement holds, by project, so that the lock keeps them."""
    found = (line.partition(";") for line in wanted)
    return {canonical(re.split(r"[^\w.-]", head.strip())[0]): mark.strip() for head, _, mark in found if mark}


def frozen(wanted: list[str]) -> list[str]:
    """``name==version`` of all that ``wanted`` brings with it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", *wanted], check=True)
        answer = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
    return answer.stdout.split()


def main() -> None:
    """Write the file named as the only argument."""
    if sys.version_info[:2] != (3, 11):
        sys.exit("lock with the oldest Python that relman supports: PYTHON=python3.11 ./dev lock")
    wanted = requirements(Path("pyproject.toml"))
    conditions = markers(wanted)
    lines = ["# Exact versions for development, written by `./dev lock`."]
    for pin in frozen(wanted):
        mark = conditions.get(canonical(pin.partition("==")[0]))
        lines.append(f"{pin}; {mark}" if mark else pin)
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n")


main()
