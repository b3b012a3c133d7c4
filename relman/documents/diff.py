"""`relman diff --format json`: the documents `relman.diff/1` and `relman.diffs/1` (docs/contract)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict

from relman.documents.values import rfc3339
from relman.model.changelog import Fix
from relman.model.contents import ChangelogEntry
from relman.model.details import DiffDetails, SourceEntries
from relman.model.diff import Change, ChangeKind, Diff, Part, Side

_LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


class SideDocument(TypedDict):
    """One image of a diff. ``digest`` and ``platform`` are `null` for a list that was given as a file.

    ``passed_over`` is there only where other sources were asked before ``source``: each with its reason, a line each.
    """

    reference: str
    digest: str | None
    platform: str | None
    version: str | None
    revision: str | None
    packages: int
    source: str
    passed_over: NotRequired[list[str]]


class SummaryDocument(TypedDict):
    """How many changes of each kind."""

    added: int
    removed: int
    upgraded: int
    downgraded: int
    rebuilt: int
    renamed: int
    changed: int


class ChangeDocument(TypedDict):
    """One changed package; `[]` is not installed. The keys that end in `_before` are there only where that changed."""

    kind: ChangeKind
    part: Part | None
    ecosystem: str
    name: str
    arch: str | None
    before: list[str]
    after: list[str]
    source: str | None
    arch_before: NotRequired[str]
    vendor_before: NotRequired[str]
    name_before: NotRequired[str]


class KeysDocument(TypedDict):
    """Trusted keys that came and went, as rpm numbers them (`version-release` of `gpg-pubkey`)."""

    added: list[str]
    removed: list[str]


class EntryDocument(TypedDict):
    """An entry of a package's own changelog; rpm has noon UTC of the day."""

    time: str
    author: str
    text: str


class ChangelogDocument(TypedDict):
    """The entries that are new in the changelog of one source package, the newest first."""

    source: str
    packages: list[str]
    entries: list[EntryDocument]


class SecurityDocument(TypedDict):
    """A security fix that new changelog entries name, and their words."""

    id: str
    packages: list[str]
    text: str


class FileDocument(TypedDict):
    """A packaged file whose content changed; ``config`` where it is configuration."""

    path: str
    config: bool


Detail: TypeAlias = Literal["changelogs", "security", "files"]
"""What can be asked for beside the packages, as the document's keys call it."""


class DiffDocument(TypedDict):
    """The difference of two images of one platform. ``variant`` is there only in diffs of a stream.

    ``changelogs``, ``security`` and ``files`` are there only where they were asked for, and null where a source cannot
    tell, for the reason in ``notes``.
    """

    schema: Literal["relman.diff/1"]
    variant: NotRequired[str]
    exact: bool
    notes: list[str]
    before: SideDocument
    after: SideDocument
    summary: SummaryDocument
    changes: list[ChangeDocument]
    keys: KeysDocument
    changelogs: NotRequired[list[ChangelogDocument] | None]
    security: NotRequired[list[SecurityDocument] | None]
    files: NotRequired[list[FileDocument] | None]


class DiffsDocument(TypedDict):
    """Several diffs: of a stream's variants, or of an image's platforms."""

    schema: Literal["relman.diffs/1"]
    diffs: list[DiffDocument]


def diff_document(diff: Diff, details: DiffDetails | None = None, asked: Collection[Detail] = ()) -> DiffDocument:
    """``diff`` as the document that scripts read, its keys in the order of the contract.

    Of ``details``, what was ``asked`` for.
    """
    document: DiffDocument = {
        "schema": "relman.diff/1",
        "variant": diff.variant or "",
        "exact": diff.exact,
        "notes": [*diff.notes, *detail_notes(details, asked)],
        "before": _side(diff.before),
        "after": _side(diff.after),
        "summary": _summary(diff),
        "changes": [_change(change) for change in diff.changes],
        "keys": {"added": list(diff.keys_added), "removed": list(diff.keys_removed)},
    }
    if diff.variant is None:
        del document["variant"]
    told = details or DiffDetails()
    if "changelogs" in asked:
        document["changelogs"] = None if told.changelogs is None else list(map(_changelog, told.changelogs))
    if "security" in asked:
        document["security"] = None if told.security is None else list(map(_fix, told.security))
    if "files" in asked:
        document["files"] = None if told.files is None else [{"path": f.path, "config": f.config} for f in told.files]
    return document


def detail_notes(details: DiffDetails | None, asked: Collection[Detail]) -> tuple[str, ...]:
    """What cannot be told of what was ``asked`` for, a sentence each."""
    if details is None:
        return ()
    changelogs = details.changelog_notes if "changelogs" in asked or "security" in asked else ()
    return (*changelogs, *(details.file_notes if "files" in asked else ()))


def diffs_document(diffs: Iterable[DiffDocument]) -> DiffsDocument:
    """Several diffs, in the order given."""
    return {"schema": "relman.diffs/1", "diffs": list(diffs)}


def _changelog(one: SourceEntries) -> ChangelogDocument:
    entries: list[EntryDocument] = [
        {"time": entry_time(entry), "author": entry.author, "text": entry.text} for entry in one.entries
    ]
    return {"source": one.source, "packages": list(one.packages), "entries": entries}


def entry_time(entry: ChangelogEntry) -> str:
    """When an entry was written, as RFC 3339 has it; a time that no calendar has is the nearest that it has."""
    return rfc3339(datetime.fromtimestamp(min(max(entry.time, 0), _LAST_SECOND), UTC))


def _fix(fix: Fix) -> SecurityDocument:
    return {"id": fix.id, "packages": list(fix.packages), "text": fix.text}


def _side(side: Side) -> SideDocument:
    document: SideDocument = {
        "reference": side.reference,
        "digest": side.digest,
        "platform": str(side.platform) if side.platform else None,
        "version": side.version,
        "revision": side.revision,
        "packages": side.packages,
        "source": side.source,
    }
    if side.passed_over:
        document["passed_over"] = list(side.passed_over)
    return document


def _summary(diff: Diff) -> SummaryDocument:
    counts = diff.summary
    return {
        "added": counts[ChangeKind.ADDED],
        "removed": counts[ChangeKind.REMOVED],
        "upgraded": counts[ChangeKind.UPGRADED],
        "downgraded": counts[ChangeKind.DOWNGRADED],
        "rebuilt": counts[ChangeKind.REBUILT],
        "renamed": counts[ChangeKind.RENAMED],
        "changed": counts[ChangeKind.CHANGED],
    }


def _change(change: Change) -> ChangeDocument:
    document: ChangeDocument = {
        "kind": change.kind,
        "part": change.part,
        "ecosystem": change.ecosystem,
        "name": change.name,
        "arch": change.arch,
        "before": list(change.before),
        "after": list(change.after),
        "source": change.source,
    }
    if change.arch_before is not None:
        document["arch_before"] = change.arch_before
    if change.vendor_before is not None:
        document["vendor_before"] = change.vendor_before
    if change.name_before is not None:
        document["name_before"] = change.name_before
    return document
