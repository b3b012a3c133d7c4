"""Commits as the notes show them: under headings, without what was taken back, with those who are new here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from relman.model.changelog import Commit

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Breaking changes": (),
    "Features": ("feat",),
    "Fixes": ("fix",),
    "Performance": ("perf",),
    "Documentation": ("docs",),
    "Build and maintenance": ("build", "ci", "chore", "deps", "refactor", "style", "test"),
    "Other": (),
}
"""Headings in their order, with the types of conventional commits that stand under each."""

_CLOSES = re.compile(
    r"[,;]? ?\(?\b(?:close[sd]?|fix(?:es|ed)?|resolve[sd]?):? #([0-9]{1,9})\)?$", re.IGNORECASE | re.ASCII
)

_HEADING_OF = {type: heading for heading, types in _HEADINGS.items() for type in types}


def commit_groups(commits: Iterable[Commit]) -> Mapping[str, tuple[Commit, ...]]:
    """Commits under their headings, each once and in their order; headings without any are left out."""
    found: dict[str, list[Commit]] = {heading: [] for heading in _HEADINGS}
    for commit in commits:
        heading = "Breaking changes" if commit.breaking else _HEADING_OF.get(commit.type or "", "Other")
        found[heading].append(commit)
    return {heading: tuple(those) for heading, those in found.items() if those}


def first_contributions(commits: Iterable[Commit]) -> tuple[tuple[str, Commit], ...]:
    """Everybody whose first contribution is among ``commits``, with that commit, the oldest first."""
    return tuple((name, commit) for commit in reversed(tuple(commits)) for name in commit.newcomers or ())


def bare_subject(commit: Commit) -> str:
    """The subject without what is linked beside it: the number of its pull request and `closes #12` at its end."""
    subject = commit.subject
    if commit.pull_request is not None:
        subject = re.sub(rf"\s*\(#{commit.pull_request}\)\s*$", "", subject)
    while (found := _CLOSES.search(subject)) and int(found[1]) in commit.closes:
        subject = subject[: found.start()]
    return subject if subject.strip() else commit.subject


def undone(commits: tuple[Commit, ...]) -> tuple[tuple[Commit, Commit], ...]:
    """Each commit that was taken back, with the commit that does so, where both are in the range.

    A revert that was itself taken back undoes nothing: then the first commit stands again.
    """
    by_sha = {commit.sha: commit for commit in commits}
    alive: dict[str, bool] = {}
    pairs = []
    for commit in _oldest_last(commits, by_sha):
        reverter = by_sha.get(commit.reverted_by or "")
        alive[commit.sha] = reverter is None or not alive.get(reverter.sha, True)
        if reverter is not None and not alive[commit.sha]:
            pairs.append((commit, reverter))
    return tuple(pairs)


def _oldest_last(commits: tuple[Commit, ...], by_sha: Mapping[str, Commit]) -> Iterator[Commit]:
    """The commits so that each stands after the one that reverts it; a circle is broken where it is met."""
    done: set[str] = set()
    for commit in commits:
        chain: list[Commit] = []
        step: Commit | None = commit
        while step is not None and step.sha not in done:
            done.add(step.sha)
            chain.append(step)
            step = by_sha.get(step.reverted_by or "")
        yield from reversed(chain)
