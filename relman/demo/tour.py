"""Walks through a release by running relman itself, each command printed before it runs."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from relman import process
from relman.demo.build import NOW, build_demo
from relman.errors import UsageError
from relman.registry import Registries

NAME = "relman-demo"

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Four editions of an operating system lie in a registry. Builds push to `testing` every week; `stable` is "
        "what people run. What is where, and what waits?",
        ("status",),
    ),
    (
        "Two images, compared package by package. This needs no configuration.",
        ("diff", "PREFIX/bluefin:stable", "PREFIX/bluefin:testing"),
    ),
    (
        "All four at once, as notes for readers: what all share, what only some have, and the commits between.",
        ("changelog", "--stream", "stable"),
    ),
    (
        "A plan pins every image by digest and holds every text. Making one changes nothing.",
        ("plan", "stable", "-o", "plan.json"),
    ),
    ("Read it as a reviewer would.", ("show", "plan.json")),
    (
        "Carry out exactly that: move the tags, write the dated tag, announce, keep a record.",
        ("apply", "plan.json"),
    ),
    ("What was done is on record.", ("records",)),
    ("The same plan again finds everything done, and changes nothing.", ("apply", "plan.json")),
    ("Where we are now:", ("status",)),
)
"""What is said, and the command that shows it. ``PREFIX`` is what the images lie below."""


def run_tour(folder: Path, registry: str | None, out: TextIO) -> int:
    """Make the demo in ``folder`` and walk through it; the exit code of the first command that fails, else 0.

    ``registry`` is the host of a running registry, to push to instead of OCI layouts below the folder. Raises
    `UsageError` for a folder that holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"`{folder}` is not an empty folder", hint="name a new one; the demo never overwrites")
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"{registry}/{NAME}" if registry else "oci:images"
    try:
        with Registries(folder.resolve()) as registries:
            build_demo(folder, registries, prefix)
    except BaseException:  # half a demo would only stand in the way of the next try
        shutil.rmtree(folder)
        raise
    shown = _shown(folder)
    where = registry or f"{shown}/images"
    print(f"Made in {shown}: relman.toml, a git repository in source, and twelve images in {where}.", file=out)
    print(f"\n$ cd {shlex.quote(shown)}", file=out)
    print(
        f"$ export SOURCE_DATE_EPOCH={NOW.timestamp():.0f}   # {NOW:%d %B %Y}, so that you see what this shows",
        file=out,
    )
    for text, arguments in STEPS:
        code = _step(folder, text, tuple(word.replace("PREFIX", prefix) for word in arguments), out)
        if code:
            return code
    print(f"\n{shown} stays: change relman.toml, try `relman tags`, `relman plugins`, or release something.", file=out)
    return 0


def _shown(folder: Path) -> str:
    """The folder as one would type it here."""
    path = folder.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _step(folder: Path, text: str, arguments: tuple[str, ...], out: TextIO) -> int:
    """Say, show and run one command; its exit code."""
    print(file=out)
    for line in textwrap.wrap(text, 98):
        print(f"# {line}", file=out)
    print(f"$ relman {shlex.join(arguments)}", file=out, flush=True)
    try:
        done = process.run(
            [sys.executable, "-m", "relman", *arguments], timeout=300, cwd=folder, environment=_environment()
        )
        code, stdout, stderr = 0, done.stdout, done.stderr
    except process.ProcessFailed as error:
        code, stdout, stderr = error.code, error.stdout, error.stderr
    for part in _printed(stdout, stderr):
        print(part, end="", file=out, flush=True)
    return code


def _printed(stdout: bytes, stderr: str) -> Iterator[str]:
    """What a terminal would show: data, then talk, each ending its line."""
    for part in (stdout.decode(errors="replace"), stderr):
        if part:
            yield part if part.endswith("\n") else f"{part}\n"


def _environment() -> dict[str, str]:
    """What makes two tours alike: the time, the width, no colours, and no configuration from elsewhere."""
    return {
        "SOURCE_DATE_EPOCH": f"{NOW.timestamp():.0f}",
        "COLUMNS": "110",
        "NO_COLOR": "1",
        "RELMAN_CONFIG": "relman.toml",
        "GITHUB_OUTPUT": "",
        "GITHUB_STEP_SUMMARY": "",
    }
