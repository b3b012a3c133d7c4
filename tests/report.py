"""What `./dev test` says before pytest's closing line: what did not run here and why, and which files are long."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

TOOLS = {
    "bluesky_node": "tests that post to a real server of Bluesky (`./dev test --peers` installs it)",
    "cosign": "tests that compare verdicts on signatures (`./dev test --peers` builds it)",
    "crane": "tests that read the result of a promotion with crane (`./dev test --peers` builds it)",
    "docker-registry": "tests against a real registry server",
    "gitea": "tests that publish to a real Gitea (`./dev test --peers` builds it)",
    "git": "tests of commits and of records in a branch",
    "olareg": "tests against a registry that has the referrers API (`./dev test --peers` builds it)",
    "regctl": "tests that read the result of a promotion with regctl (`./dev test --peers` builds it)",
    "rpm": "tests that read an rpm database with rpm itself",
    "rpmbuild": "tests that build rpm packages",
    "skopeo": "tests that copy and read images with skopeo",
    "synapse_homeserver": "tests that post to a real server of Matrix (`./dev test --peers` installs it)",
    "syft": "tests that compare with syft's rows (`./dev test --peers` builds it)",
    "zstd": "tests that compress with zstd itself",
}
"""Programs that some tests want, and what is lost without each."""


LONG = 350
"""Lines beyond which a file had better be two."""


def long_files(root: Path) -> list[tuple[str, int]]:
    """The project's modules that are longer than that, with their lines, the longest first."""
    paths = [path for part in ("relman", "plugins") for path in sorted((root / part).rglob("*.py"))]
    counted = ((str(path.relative_to(root)), len(path.read_text().splitlines())) for path in paths)
    return sorted((item for item in counted if item[1] > LONG), key=lambda item: -item[1])


def reasons(skipped: list[pytest.TestReport]) -> Counter[str]:
    """Why tests were skipped, with how many for each reason."""
    found: Counter[str] = Counter()
    for report in skipped:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found[text.removeprefix("Skipped: ").strip() or "no reason given"] += 1
    return found


def lines(skipped: Counter[str], deselected: int, missing: dict[str, str]) -> list[str]:
    """One line for each thing that did not run; never empty, since silence could mean either."""
    out = [f"not run on this machine: {what}: `{tool}` is not installed" for tool, what in sorted(missing.items())]
    out += [f"not run on this machine: {_tests(count)}: {reason}" for reason, count in sorted(skipped.items())]
    if deselected:
        out.append(f"not run on this machine: {_tests(deselected)}: deselected on the command line")
    return out or ["not run on this machine: nothing, everything ran"]


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


_DESELECTED = pytest.StashKey[int]()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what the command line leaves out."""
    if items:
        config = items[0].config
        config.stash[_DESELECTED] = config.stash.get(_DESELECTED, 0) + len(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell it, where this is a worker of pytest-xdist."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["deselected"] = session.config.stash.get(_DESELECTED, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Note what a worker told."""
    told = getattr(node, "workeroutput", {}).get("deselected", 0)
    node.config.stash[_DESELECTED] = max(node.config.stash.get(_DESELECTED, 0), told)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print both lists."""
    missing = {tool: what for tool, what in TOOLS.items() if shutil.which(tool) is None}
    skipped = reasons(terminalreporter.stats.get("skipped", []))
    # Each worker of pytest-xdist collects the same tests, and tells the one that prints what it left out.
    deselected = max(len(terminalreporter.stats.get("deselected", [])), config.stash.get(_DESELECTED, 0))
    terminalreporter.section("not run")
    for line in lines(skipped, deselected, missing):
        terminalreporter.line(line)
    for name, count in long_files(config.rootpath):
        terminalreporter.line(f"longer than {LONG} lines: {name} ({count})")
