"""Fuzz every target, or those named: ``python -m tests.fuzz SECONDS [TARGET…]``; what `./dev fuzz` starts.

The seconds are for all targets together. Corpora are kept in `.cache/fuzz`, so that each run goes on from the last;
what made a target fail lies beside them and is named.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".cache" / "fuzz"
LEAST = 2
"""Seconds that a target gets however many there are."""
OPTIONS = ("-max_len=65536", "-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=1")

_UNITS = re.compile(r"stat::number_of_executed_units: *(\d+)")
_MEMORY = re.compile(r"stat::peak_rss_mb: *(\d+)")
_COVERED = re.compile(r"cov: (\d+) ft: \d+ corp: (\d+)")


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of one target. ``covered`` counts the edges of relman's code that were seen; ``found`` is a file."""

    name: str
    seconds: float
    executions: int
    covered: int
    corpus: int
    memory: int
    found: str
    log: Path


def fuzzed(name: str, seconds: int) -> Fuzzed:
    """Fuzz one target for so long."""
    corpus, crashes = KEPT / "corpus" / name, KEPT / "found" / name
    for folder in (corpus, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    log = KEPT / f"{name}.log"
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(corpus)]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/", *OPTIONS]
    start = time.monotonic()
    with log.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, check=False)
    text = log.read_text(errors="replace")
    covered = _COVERED.findall(text) or [("0", "0")]
    written = re.findall(r"Test unit written to (\S+)", text)
    found = written[-1] if written else "" if done.returncode == 0 else f"exit {done.returncode}, see {log}"
    return Fuzzed(
        name=name,
        seconds=time.monotonic() - start,
        executions=_number(_UNITS, text),
        covered=int(covered[-1][0]),
        corpus=int(covered[-1][1]),
        memory=_number(_MEMORY, text),
        found=found,
        log=log,
    )


def _number(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.findall(text)
    return int(found[-1]) if found else 0


def main() -> int:
    """Fuzz, print a table, and fail where something was found."""
    from tests.fuzz.targets import TARGETS

    seconds, names = int(sys.argv[1]), sys.argv[2:] or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        print(f"error: no target is called `{unknown[0]}`; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    cores = os.cpu_count() or 1
    each = max(LEAST, seconds * min(cores, len(names)) // len(names))
    print(f"{len(names)} targets, {each} seconds each, {cores} at a time")
    print(f"{'target':14} {'executions':>11} {'seconds':>8} {'edges':>7} {'corpus':>7} {'peak MB':>8}  found")
    failed = False
    with ThreadPoolExecutor(cores) as pool:
        for one in pool.map(lambda name: fuzzed(name, each), names):
            counts = f"{one.executions:11,} {one.seconds:8.0f} {one.covered:7,} {one.corpus:7,} {one.memory:8,}"
            print(f"{one.name:14} {counts}  {one.found or 'nothing'}", flush=True)
            failed = failed or bool(one.found)
    if failed:
        print("hint: copy what was found to tests/data/fuzz/TARGET/, where a test keeps it", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
