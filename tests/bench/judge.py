"""Rows that differ from the truth, for relman and for the scripts in use today."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relman.model.diff import Change
from tests.bench.inputs import truth

_Row = tuple[str, ...]
_DIST = re.compile(r"\.fc\d\d")


def wrong_of_relman(stdout: bytes, variants: int, *, exact: bool) -> int:
    """Rows that are missing or should not be there, over all variants. A variant that is missing has all rows wrong.

    A source that says itself that it is not ``exact`` is judged by names and newest versions, as today's flow is.
    """
    diffs = json.loads(stdout)["diffs"]
    if len(diffs) != variants or any(diff["exact"] != exact for diff in diffs):
        return len(truth().changes) * variants
    if not exact:
        rows = [[(c["name"], c["before"], c["after"]) for c in diff["changes"]] for diff in diffs]
        return sum(len(_by_name(found).symmetric_difference(_right_by_name())) for found in rows)
    right = Counter(map(_right, truth().changes))
    return sum(_apart(right, Counter(map(_row, diff["changes"]))) for diff in diffs)


def wrong_of_today(before: Mapping[str, str], after: Mapping[str, str]) -> int:
    """The same for one version per name, judged as kindly as can be: the newest version, in the scripts' own spelling.

    ``before`` and ``after`` are versions by name.
    """
    names = before.keys() | after.keys()
    found = _by_name((n, [before[n]] if n in before else [], [after[n]] if n in after else []) for n in names)
    return len(found ^ _right_by_name())


def _right(change: Change) -> _Row:
    return (str(change.kind), change.name, change.arch or "", ",".join(change.before), ",".join(change.after))


def _row(change: Mapping[str, Any]) -> _Row:
    before, after = ",".join(change["before"]), ",".join(change["after"])
    return (change["kind"], change["name"], change["arch"] or "", before, after)


def _apart(one: Counter[_Row], two: Counter[_Row]) -> int:
    return sum(((one - two) + (two - one)).values())


def _right_by_name() -> set[_Row]:
    return _by_name((change.name, change.before, change.after) for change in truth().changes)


def _by_name(rows: Iterable[tuple[str, Sequence[str], Sequence[str]]]) -> set[_Row]:
    """Name and newest versions; what those scripts cannot tell apart is no row."""
    found = {(name, _stripped(before), _stripped(after)) for name, before, after in rows}
    return {row for row in found if row[1] != row[2]}


def _stripped(versions: Sequence[str]) -> str:
    """The newest version as those scripts print it: without epoch and dist tag."""
    newest = versions[-1] if versions else ""
    return _DIST.sub("", newest.partition(":")[2] or newest)
