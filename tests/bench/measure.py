"""Measuring: one case is run some times, and what is told of it is the median of the times and the most of the rest."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.distance import Counts, Distant

_LAUNCHER = Path(__file__).parent / "measured.py"
_TOOLS = ("git", "skopeo", "zstd", "rpm", "cosign", "oras")
_FOREIGN = ("RELMAN_", "GITHUB_", "SOURCE_DATE_", "XDG_", "REGISTRY_AUTH", "DOCKER_CONFIG", "PYTHON")

RELMAN = str(Path(sys.executable).parent / "relman")
"""The installed command."""


@dataclass
class Run:
    """One run. Times in seconds, sizes in bytes; ``startup`` is what passed until the first request arrived."""

    seconds: float
    startup: float
    cpu: float
    peak: int
    processes: int
    counts: Counts
    wrong: int


@dataclass
class Row:
    """A case with its runs. ``allowed`` is the most requests a variant that would be near the lower bound."""

    case: str
    variants: int
    round_trip: float
    runs: list[Run] = field(default_factory=list)
    note: str = ""
    allowed: float | None = None

    def median(self, of: Callable[[Run], float]) -> float:
        """The middle of the runs."""
        return statistics.median(map(of, self.runs))


@dataclass(frozen=True)
class Done:
    """A command that ended: its stdout, and what it took."""

    stdout: bytes
    begin: float
    seconds: float
    cpu: float
    peak: int


class Failed(Exception):
    """A command that should have worked."""


def run(argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Done:
    """Run a command in ``folder``. Raises `Failed` with its words where it does not exit with 0."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_LAUNCHER), *argv],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    words, _, last = done.stderr.rstrip(b"\n").rpartition(b"\n")
    taken = json.loads(last) if done.returncode == 0 else {"code": done.returncode}
    if taken.pop("code") != 0:
        raise Failed(f"`{' '.join(argv)[:200]}`: {(words or last).decode(errors='replace')[-2000:]}")
    return Done(done.stdout, **taken)


def unbiased() -> dict[str, str]:
    """The environment without what tells relman, or Python, how to run: PYTHONDONTWRITEBYTECODE makes it slower."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def surroundings(home: Path, shims: Path) -> dict[str, str]:
    """The environment of a run: no login, nothing that says how to run, and every program that is started counted."""
    return {
        **unbiased(),
        "HOME": str(home),
        "PATH": f"{shims}:{os.environ['PATH']}",
        "BENCH_STARTED": str(home / "started"),
    }


def installed() -> list[str]:
    """The folders of relman and its plugins: the checkout, where they are installed from there."""
    specs = map(importlib.util.find_spec, ("relman", "relman_plugins"))
    return [folder for spec in specs if spec for folder in spec.submodule_search_locations or ()]


def compile_relman() -> None:
    """As pip does when it installs: whoever uses relman never waits for that. Says so where it could not."""
    argv = [sys.executable, "-m", "compileall", "-q", *installed()]
    done = subprocess.run(argv, env=unbiased(), capture_output=True, text=True, check=False)
    if done.returncode:
        words = f"{done.stdout}{done.stderr}".strip()[-1000:]
        sys.stderr.write(f"bench: relman could not be compiled, so start-up is longer than a user's: {words}\n")


def make_shims(folder: Path) -> Path:
    """Programs that note that they were started, and then become those that they are called by."""
    shims = folder / "shims"
    shims.mkdir()
    for tool in _TOOLS:
        real = shutil.which(tool)
        if real:
            shim = shims / tool
            shim.write_text(f'#!/bin/sh\necho {tool} >>"$BENCH_STARTED"\nexec {real} "$@"\n')
            shim.chmod(0o755)
    return shims


def relman_run(front: Distant, argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[Run, bytes]:
    """relman as its users start it, from an installed command; its rows are still to be judged."""
    started = Path(environment["BENCH_STARTED"])
    started.unlink(missing_ok=True)
    front.counts = Counts()
    done, counts = run([RELMAN, *argv], folder, environment), front.counts
    programs = Counter(started.read_text().split()) if started.exists() else Counter[str]()
    startup = (counts.first or done.begin + done.seconds) - done.begin
    made = Run(done.seconds, startup, done.cpu, done.peak, 1 + sum(programs.values()), counts, wrong=-1)
    return made, done.stdout
