"""The table that `docs/performance.md` holds, in Markdown, with what it was made by."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Row

_HEAD = (
    "case",
    "N",
    "ms away",
    "wall s",
    "min-max",
    "start-up s",
    "work s",
    "requests",
    "per variant",
    "goal",
    "connections",
    "MB",
    "programs",
    "CPU s",
    "peak MB",
    "rows wrong",
)


def table(rows: Sequence[Row], *, spread: bool) -> str:
    """All rows; times are medians, requests and bytes those of the last run, peaks the highest.

    With ``spread`` there is a column of the shortest and the longest wall time: how much noise there was.
    """
    lines = [_HEAD, ("---",) + ("---:",) * (len(_HEAD) - 1), *map(_cells, rows)]
    at = _HEAD.index("min-max")
    shown = lines if spread else [(*cells[:at], *cells[at + 1 :]) for cells in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in shown)


def _cells(row: Row) -> tuple[str, ...]:
    counts, walls = row.runs[-1].counts, [run.seconds for run in row.runs]
    wall, startup = row.median(lambda run: run.seconds), row.median(lambda run: run.startup)
    return (
        row.case,
        str(row.variants),
        f"{row.round_trip * 1000:.0f}",
        f"{wall:.2f}",
        f"{min(walls):.2f}–{max(walls):.2f}" if len(walls) > 1 else "–",
        f"{startup:.2f}" if startup else "–",
        f"{wall - startup:.2f}",
        str(counts.requests),
        f"{counts.requests / row.variants:.1f}",
        f"{row.allowed:.1f}" if row.allowed else "–",
        str(counts.connections),
        f"{counts.sent / 1e6:.1f}",
        str(max(run.processes for run in row.runs)),
        f"{row.median(lambda run: run.cpu):.2f}",
        f"{max(run.peak for run in row.runs) / 1e6:.0f}",
        f"{max(run.wrong for run in row.runs)}{row.note}",
    )


def kinds(row: Row) -> str:
    """What was asked for, a line for those who look for waste."""
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(row.runs[-1].counts.kinds.items()))
    return f"{row.case}, N = {row.variants}: {found}"


def versions() -> str:
    """What it was measured with, in one sentence."""
    parts = [
        f"Python {platform.python_version()}",
        _said("skopeo", "--version"),
        _said("docker-registry", "--version"),
        f"oras {_said('oras', 'version').partition('Version:')[2].split(chr(10))[0].strip() or 'not there'}",
        f"{os.cpu_count()} × {_processor()}",
        f"Linux {platform.release()}",
    ]
    return ", ".join(parts)


def _said(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return f"{argv[0]} not there"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
