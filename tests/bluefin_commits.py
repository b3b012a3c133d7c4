"""The composed set's git repository: commits between the builds, with subjects that break what is not escaped."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

START = 1_780_920_000  # 2026-06-08 12:00 UTC
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Line:
    """A commit to be made. ``reverts`` is the subject of an earlier one; ``merge`` merges the side branch."""

    subject: str
    type: str | None = None
    scope: str | None = None
    breaking: bool = False
    author: str = "Contributor One"
    reverts: str | None = None
    side: bool = False
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A commit that was made, and what is to be read in it."""

    sha: str
    line: Line
    reverted_by: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """``revisions[n]`` is what build n was built from; ``between[n]`` the commits from there to build n + 1.

    Newest first, as `git log` has them: each commit is an hour later than the one before.
    """

    folder: Path
    revisions: tuple[str, ...]
    between: tuple[tuple[Made, ...], ...]

    def commits(self, before: int, after: int) -> tuple[Made, ...]:
        """Those of a range of builds, newest first."""
        return tuple(commit for part in reversed(self.between[before:after]) for commit in part)


LINES: tuple[tuple[Line, ...], ...] = (
    (Line("feat: a first image", "feat"),),
    (
        Line("feat(dx): add `incus` | and a column | more", "feat", "dx"),
        Line("fix: pin the kernel to 7.0.8 (#4706)", "fix"),
        Line("chore(deps): update base-main digest to 3f2a1b4 (#4711)", "chore", "deps", author="renovate[bot]"),
        Line("fix(gnome): thanks to @somebody and @some-org/maintainers", "fix", "gnome"),
        Line("docs: <script>alert(1)</script> & <b>bold</b>", "docs", author="Contributor | `Two` @somebody"),
        Line("feat!: 🦖 hello, 👩‍🚀 and 🏳️‍🌈", "feat", breaking=True),
        Line("fix(i18n): תרגום חדש \u202egnp.exe", "fix", "i18n", author="תורם שלוש"),
        Line("feat(firmware): fetch the newest microcode", "feat", "firmware"),
        Line("Update README.md"),
        Line("chore: tidy", "chore"),
        Line("feat(nvidia): a side branch's work", "feat", "nvidia", side=True),
        Line("fix(nvidia): and its repair", "fix", "nvidia", side=True),
        Line("Merge pull request #4720 from contributor/branch", merge=True),
        Line(
            'Revert "feat(firmware): fetch the newest microcode"', reverts="feat(firmware): fetch the newest microcode"
        ),
        Line("[link](javascript:alert(1)) ![image](http://example.org/x.png) {{ 7*7 }} {% raw %} \\"),
        Line("# not a heading, ::set-output name=x::y and ${{ secrets.X }}"),
        Line("ci: `a `` b``` c | d", "ci"),
        Line("fix: " + "a very long subject " * 12 + "ends", "fix"),
        Line("feat(just)!: `ujust update` asks before it restarts", "feat", "just", breaking=True),
    ),
    (
        Line("fix(bling): a missing alias", "fix", "bling"),
        Line("chore(deps): update actions/checkout (#4731)", "chore", "deps", author="renovate[bot]"),
        Line("perf: start-up without waiting for the network", "perf"),
    ),
)
"""Oldest first; the first part leads to build 0."""


def make_history(folder: Path) -> History:
    """Make the repository in ``folder``: the same commits, with the same names, every time."""
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    tree = _git(folder, "mktree", stdin="")
    parent: str | None = None
    revisions, between, clock = [], [], START
    for part in LINES:
        made: list[tuple[str, Line]] = []
        side: str | None = None
        for line in part:
            clock += HOUR
            parents = [side or parent] if line.side else [parent, side] if line.merge else [parent]
            target = next((sha for sha, other in made if other.subject == line.reverts), None)
            body = f"\n\nThis reverts commit {target}.\n" if target else "\n"
            sha = _commit(folder, tree, [p for p in parents if p], line, body, clock)
            made.append((sha, line))
            if line.side:
                side = sha
            else:
                parent = sha
        assert parent is not None
        revisions.append(parent)
        reverts = {line.reverts: sha for sha, line in made if line.reverts}
        between.append(tuple(Made(sha, line, reverts.get(line.subject)) for sha, line in reversed(made)))
    _git(folder, "update-ref", "refs/heads/main", revisions[-1])
    return History(folder, tuple(revisions), tuple(between[1:]))


def _commit(folder: Path, tree: str, parents: list[str], line: Line, body: str, when: int) -> str:
    who = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", line.author), ("EMAIL", "contributor@example.org"), ("DATE", f"{when} +0000"))
    }
    onto = [argument for parent in parents for argument in ("-p", parent)]
    return _git(folder, "commit-tree", tree, *onto, stdin=line.subject + body, environment=who)


def _git(folder: Path, *arguments: str, stdin: str = "", environment: dict[str, str] | None = None) -> str:
    """Run git without the configuration of whoever runs the tests."""
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        input=stdin.encode(),
        capture_output=True,
        check=True,
        env={**os.environ, **quiet, **(environment or {})},
    )
    return done.stdout.decode().strip()
