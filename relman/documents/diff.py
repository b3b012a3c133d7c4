"""`relman diff --format json`: the documents `relman.diff/1` and `relman.diffs/1` (docs/contract)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from relman.model.diff import Change, ChangeKind, Diff, Part, Side


class SideDocument(TypedDict):
    """One image of a diff. ``digest`` and ``platform`` are `null` for a list that was given as a file."""

    reference: str
    digest: str | None
    platform: str | None
    version: str | None
    revision: str | None
    packages: int
    source: str


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


class DiffDocument(TypedDict):
    """The difference of two images of one platform. ``variant`` is there only in diffs of a stream."""

    schema: Literal["relman.diff/1"]
    variant: NotRequired[str]
    exact: bool
    notes: list[str]
    before: SideDocument
    after: SideDocument
    summary: SummaryDocument
    changes: list[ChangeDocument]
    keys: KeysDocument


class DiffsDocument(TypedDict):
    """Several diffs: of a stream's variants, or of an image's platforms."""

    schema: Literal["relman.diffs/1"]
    diffs: list[DiffDocument]


def diff_document(diff: Diff) -> DiffDocument:
    """``diff`` as the document that scripts read, its keys in the order of the contract."""
    document: DiffDocument = {
        "schema": "relman.diff/1",
        "variant": diff.variant or "",
        "exact": diff.exact,
        "notes": list(diff.notes),
        "before": _side(diff.before),
        "after": _side(diff.after),
        "summary": _summary(diff),
        "changes": [_change(change) for change in diff.changes],
        "keys": {"added": list(diff.keys_added), "removed": list(diff.keys_removed)},
    }
    if diff.variant is None:
        del document["variant"]
    return document


def diffs_document(diffs: Iterable[Diff]) -> DiffsDocument:
    """Several diffs, in the order given."""
    return {"schema": "relman.diffs/1", "diffs": [diff_document(diff) for diff in diffs]}


def _side(side: Side) -> SideDocument:
    return {
        "reference": side.reference,
        "digest": side.digest,
        "platform": str(side.platform) if side.platform else None,
        "version": side.version,
        "revision": side.revision,
        "packages": side.packages,
        "source": side.source,
    }


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
