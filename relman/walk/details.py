"""What only package databases tell, compared: changelog entries, security fixes, changed files. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from relman.model.changelog import Fix
from relman.model.contents import Capability, ChangelogEntry, Contents, Details, Obsolete, Package
from relman.model.details import ChangedFile, DiffDetails, SourceEntries
from relman.model.diff import Change, ChangeKind, Diff
from relman.model.versions import compare, parse

FIXES_LIMIT = 2_000
"""The most fixes of one diff; a kernel that leaps a year names some hundreds."""

_CVE = re.compile(r"(?<![A-Za-z0-9])CVE-[0-9]{4}-[0-9]{4,19}(?![0-9])", re.ASCII | re.IGNORECASE)
_POINT = re.compile(r"^\s*[-*•]\s+", re.MULTILINE)
_TEXT_LIMIT = 500
_NAMED = 5
_NO_NEWS = frozenset({ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.DOWNGRADED})


def details_of(diff: Diff, before: Contents, after: Contents, wants: frozenset[Capability]) -> DiffDetails:
    """What changelogs and files tell of the two sides of ``diff``, as far as ``wants`` asks for it.

    What a source cannot tell is `None`, and a sentence says so.
    """
    found = DiffDetails()
    if Capability.CHANGELOG in wants:
        news = new_changelogs(diff, before, after)
        security = None if news is None else security_fixes(news)
        found = replace(
            found,
            changelogs=news,
            security=security,
            changelog_notes=tuple(_changelog_notes(diff, before, after, security)),
        )
    if Capability.FILES in wants:
        notes = tuple(_lacking(before, after, Capability.FILES))
        found = replace(found, files=changed_files(before, after), file_notes=notes)
    return found


_NOT_TOLD = {
    Capability.CHANGELOG: "has no changelogs: which entries and security fixes are new cannot be told",
    Capability.FILES: "knows no files: which of them changed cannot be told",
}


def _lacking(before: Contents, after: Contents, what: Capability) -> Iterator[str]:
    """Which side cannot tell, in a sentence; none where both can."""
    sides = [
        (contents.source, place)
        for contents, place in ((before, "before"), (after, "after"))
        if contents.details is None or what not in contents.capabilities
    ]
    if len(sides) == 2:
        names = sides[0][0] if sides[0][0] == sides[1][0] else f"{sides[0][0]}` and `{sides[1][0]}"
        yield f"The source `{names}` of both sides {_NOT_TOLD[what]}."
    elif sides:
        yield f"The source `{sides[0][0]}` of the side `{sides[0][1]}` {_NOT_TOLD[what]}."


def _known(before: Contents, after: Contents, what: Capability) -> tuple[Details, Details] | None:
    """The details of both sides where both know ``what``."""
    if before.details is None or after.details is None or what not in before.capabilities & after.capabilities:
        return None
    return before.details, after.details


# ------------------------------------------------------------------------------------------------- changelogs


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


def new_changelogs(diff: Diff, before: Contents, after: Contents) -> tuple[SourceEntries, ...] | None:
    """The new entries of each source package that went forward, by its name; `None` where a side has no changelogs.

    ``diff`` is that of ``before`` and ``after``. What was downgraded, came or went has no news.
    """
    known = _known(before, after, Capability.CHANGELOG)
    if known is None:
        return None
    old, new = known[0].changelogs, known[1].changelogs
    found = (
        SourceEntries(source, packages, new_entries(old.get(source, ()), new.get(source, ())))
        for source, packages in _changed_sources(diff).items()
    )
    return tuple(one for one in found if one.entries)


def _changed_sources(diff: Diff) -> dict[str, tuple[str, ...]]:
    """The source packages that went forward, sorted, with the names of their packages that did."""
    found: dict[str, set[str]] = {}
    for change in diff.changes:
        if change.kind not in _NO_NEWS and not _went_back(change):
            found.setdefault(change.source or change.name, set()).add(change.name)
    return {source: tuple(sorted(found[source])) for source in sorted(found)}


def _went_back(change: Change) -> bool:
    return (compare(change.ecosystem, change.before[-1], change.after[-1]) or 0) > 0


def _changelog_notes(diff: Diff, before: Contents, after: Contents, security: tuple[Fix, ...] | None) -> Iterator[str]:
    yield from _lacking(before, after, Capability.CHANGELOG)
    known = _known(before, after, Capability.CHANGELOG)
    if known is None or security is None:
        return
    old, new = known[0].changelogs, known[1].changelogs
    bare = [source for source in _changed_sources(diff) if not old.get(source) and new.get(source)]
    if bare:
        named = ", ".join(f"`{source}`" for source in bare[:_NAMED])
        more = f" and {len(bare) - _NAMED} more" if len(bare) > _NAMED else ""
        yield f"There was no changelog before of {named}{more}: nothing tells what is new in theirs."
    if len(security) >= FIXES_LIMIT:
        yield f"The changelogs name {FIXES_LIMIT:,} security fixes or more: no more are listed."


# --------------------------------------------------------------------------------------------- security fixes


def cve_ids(text: str) -> tuple[str, ...]:
    """The CVE ids in ``text``, in capitals, each once, in the order in which they stand there."""
    return tuple(dict.fromkeys(found.upper() for found in _CVE.findall(text)))


def security_fixes(news: Iterable[SourceEntries]) -> tuple[Fix, ...]:
    """The CVE ids that new entries name, those of most packages first, then the newest.

    The text of a fix is the point of an entry that names it, on one line. At most ``FIXES_LIMIT`` are listed.
    """
    words: dict[str, str] = {}
    packages: dict[str, set[str]] = {}
    for one in news:
        for entry in one.entries:
            for id, point in _named(entry.text).items():
                if id in words:
                    packages[id].update(one.packages)
                elif len(words) < FIXES_LIMIT:
                    words[id] = _line(point)
                    packages[id] = set(one.packages)
    return tuple(sorted((Fix(id, tuple(sorted(packages[id])), words[id]) for id in words), key=lambda fix: fix.rank))


def _named(text: str) -> dict[str, str]:
    """Each id in an entry, with the point that names it first."""
    found: dict[str, str] = {}
    for point in _POINT.split(text):
        for id in cve_ids(point):
            found.setdefault(id, point)
    return found


def _line(text: str) -> str:
    line = " ".join(text[: 8 * _TEXT_LIMIT].split())
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"


# ------------------------------------------------------------------------------------------------------ files


def changed_files(before: Contents, after: Contents) -> tuple[ChangedFile, ...] | None:
    """The files that packages of both sides have, with other content, sorted; `None` where a side does not know files.

    Digests of different algorithms say nothing about the content: such files are left out.
    """
    known = _known(before, after, Capability.FILES)
    return None if known is None else tuple(sorted(_changed(*known), key=lambda file: file.path))


def _changed(before: Details, after: Details) -> Iterator[ChangedFile]:
    for path, new in after.files.items():
        was = before.files.get(path)
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
