"""What only package databases tell, compared: changelog entries, security fixes, changed files. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from relman.model.changelog import Fix
from relman.model.contents import Capability, ChangelogEntry, Contents, Obsolete, Package
from relman.model.diff import Change, ChangeKind, Diff
from relman.model.versions import compare, parse

_CVE = re.compile(r"(?<![A-Za-z0-9])CVE-[0-9]{4}-[0-9]{4,19}(?![0-9])", re.ASCII | re.IGNORECASE)
_TEXT_LIMIT = 500
_NO_NEWS = frozenset({ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.DOWNGRADED})


def new_entries(before: tuple[ChangelogEntry, ...], after: tuple[ChangelogEntry, ...]) -> tuple[ChangelogEntry, ...]:
    """The entries of ``after`` that are newer than the newest of ``before``; both come newest first, as does this.

    Entries have the day, not the hour: of the newest old day those are new that the old side does not have. Versions
    in the text are never compared. Empty where the old side has no entry, since then nothing tells what is new.
    """
    if not before:
        return ()
    newest = max(entry.time for entry in before)
    known = frozenset(entry for entry in before if entry.time == newest)
    found = []
    for entry in after:
        if entry.time < newest or entry in known:
            break
        found.append(entry)
    return tuple(found)


def cve_ids(text: str) -> tuple[str, ...]:
    """The CVE ids in ``text``, in capitals, each once, in the order in which they stand there."""
    return tuple(dict.fromkeys(found.upper() for found in _CVE.findall(text)))


# --------------------------------------------------------------------------------------------- security fixes


@dataclass(frozen=True, slots=True)
class _Mention:
    """A changelog entry that names an id, and the packages that it came with."""

    entry: ChangelogEntry
    packages: frozenset[str]


def security_fixes(diff: Diff, before: Contents, after: Contents) -> tuple[Fix, ...] | None:
    """The CVE ids that the changed packages' own changelogs name anew, those of most packages first, then by id.

    ``diff`` is that of ``before`` and ``after``. `None` where either side has no changelogs, which is not the same as
    no fixes. What was downgraded, came or went fixes nothing.
    """
    if before.details is None or after.details is None:
        return None
    if Capability.CHANGELOG not in before.capabilities & after.capabilities:
        return None
    mentions: dict[str, list[_Mention]] = {}
    for source, packages in sorted(_changed_sources(diff).items()):
        old, new = before.details.changelogs.get(source, ()), after.details.changelogs.get(source, ())
        for entry in new_entries(old, new):
            for id in cve_ids(entry.text):
                mentions.setdefault(id, []).append(_Mention(entry, packages))
    fixes = [_fix(id, found) for id, found in mentions.items()]
    return tuple(sorted(fixes, key=lambda fix: (-len(fix.packages), _by_number(fix.id))))


def _changed_sources(diff: Diff) -> dict[str, frozenset[str]]:
    """The source packages that went forward, with the names of their packages that did."""
    found: dict[str, frozenset[str]] = {}
    for change in diff.changes:
        if change.kind not in _NO_NEWS and not _went_back(change):
            source = change.source or change.name
            found[source] = found.get(source, frozenset()) | {change.name}
    return found


def _went_back(change: Change) -> bool:
    return (compare(change.ecosystem, change.before[-1], change.after[-1]) or 0) > 0


def _fix(id: str, mentions: list[_Mention]) -> Fix:
    packages = sorted(frozenset[str]().union(*(mention.packages for mention in mentions)))
    text = mentions[0].entry.text.strip()
    if len(text) > _TEXT_LIMIT:
        text = text[: _TEXT_LIMIT - 1] + "…"
    return Fix(id, tuple(packages), text)


def _by_number(id: str) -> tuple[int, int]:
    _, year, number = id.split("-")
    return int(year), int(number)


# ------------------------------------------------------------------------------------------------------ files


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A packaged file whose content changed. ``config``: a package marks it as configuration, on either side."""

    path: str
    config: bool


def changed_files(before: Contents, after: Contents) -> tuple[ChangedFile, ...] | None:
    """The files that packages of both sides have, with other content, sorted; `None` where a side does not know files.

    Digests of different algorithms say nothing about the content: such files are left out.
    """
    if before.details is None or after.details is None:
        return None
    if Capability.FILES not in before.capabilities & after.capabilities:
        return None
    return tuple(sorted(_changed(before, after), key=lambda file: file.path))


def _changed(before: Contents, after: Contents) -> Iterator[ChangedFile]:
    assert before.details is not None
    assert after.details is not None
    old = before.details.files
    for path, new in after.details.files.items():
        was = old.get(path)
        if was is None or was.digest == new.digest:
            continue
        if was.digest.rpartition(":")[0] == new.digest.rpartition(":")[0]:
            yield ChangedFile(path, was.config or new.config)


# -------------------------------------------------------------------------------------------------- obsoletes


def obsoletes(obsolete: Obsolete, package: Package) -> bool:
    """Does ``obsolete`` take the place of this package, in this version?

    For rpm as its `rpmdsCompare` has it: where the range names no release, any release of that version is meant. A
    range that nothing can be said about (no order, no such relation) does not match.
    """
    if obsolete.name != package.name:
        return False
    if not obsolete.relation:
        return True
    version, limit = package.version, obsolete.version
    if package.ecosystem == "rpm" and parse("rpm", limit).release is None:
        evr = parse("rpm", version)
        version = f"{evr.epoch}:{evr.version}"
    order = compare(package.ecosystem, version, limit)
    match obsolete.relation:
        case "<":
            return order == -1
        case "<=":
            return order in (-1, 0)
        case "=":
            return order == 0
        case ">=":
            return order in (0, 1)
        case ">":
            return order == 1
    return False
