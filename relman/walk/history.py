"""Commits of several ranges as one list, and the rules that leave some out, each with its reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from relman.model.changelog import Commit


class CommitRange(msgspec.Struct, frozen=True):
    """The commits between two revisions, newest first, and the variants that were built from these two."""

    variants: tuple[str, ...]
    commits: tuple[Commit, ...]


def merge_ranges(ranges: Sequence[CommitRange]) -> tuple[Commit, ...]:
    """Every commit once, with the variants whose ranges hold it in the order of ``ranges``.

    Each range keeps its own order wherever that does not contradict an earlier one's.
    """
    known: dict[str, list[tuple[Commit, tuple[str, ...]]]] = {}
    for each in ranges:
        for commit in each.commits:
            known.setdefault(commit.sha, []).append((commit, each.variants))
    return tuple(_joined(known[sha]) for sha in _interleaved(ranges))


def _interleaved(ranges: Iterable[CommitRange]) -> Iterable[str]:
    """The merge that Python's C3 makes of class lists: the first head that stands behind nothing elsewhere."""
    unique = dict.fromkeys(tuple(dict.fromkeys(commit.sha for commit in each.commits)) for each in ranges)
    lists = [list(reversed(shas)) for shas in unique if shas]  # the head is the last, where taking it off is quick
    behind = Counter(sha for each in lists for sha in each[:-1])
    done: set[str] = set()
    while lists:
        sha = next((each[-1] for each in lists if not behind[each[-1]]), lists[0][-1])
        done.add(sha)
        yield sha
        for each in lists:
            while each and each[-1] in done:
                each.pop()
                if each:
                    behind[each[-1]] -= 1
        lists = [each for each in lists if each]


def _joined(seen: Sequence[tuple[Commit, tuple[str, ...]]]) -> Commit:
    variants = dict.fromkeys(name for _, names in seen for name in names)
    reverted_by = next((commit.reverted_by for commit, _ in seen if commit.reverted_by), None)
    told = [commit.newcomers for commit, _ in seen if commit.newcomers is not None]
    newcomers = tuple(dict.fromkeys(name for names in told for name in names)) if told else None
    return replace(seen[0][0], variants=tuple(variants), reverted_by=reverted_by, newcomers=newcomers)


def apply_rules(commits: Iterable[Commit], exclude: Sequence[re.Pattern[str]]) -> tuple[Commit, ...]:
    """The same commits; those whose subject a rule finds are no longer listed, and say which rule.

    The first rule that finds something is named. A commit that a plugin left out already keeps its reason.
    """
    return tuple(_ruled(commit, exclude) for commit in commits)


def _ruled(commit: Commit, exclude: Sequence[re.Pattern[str]]) -> Commit:
    rule = next((rule for rule in exclude if rule.search(commit.subject)), None)
    if rule is None or not commit.listed:
        return commit
    return replace(commit, listed=False, reason=f"excluded by `{rule.pattern}`")
