"""What only a package database knows, as `relman.contents/1` has it: sizes, obsoletes, changelogs, files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NotRequired, TypeAlias

from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from relman.documents.values import Name
from relman.model.contents import ChangelogEntry, Details, Identity, Obsolete, PackagedFile, PackageSet

Bytes: TypeAlias = Annotated[int, Field(ge=0)]


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_ARRAY = BeforeValidator(_tuple)  # documents are read strictly, and JSON's arrays come as lists

ObsoleteRow: TypeAlias = Annotated[tuple[Name, str, str], _ARRAY]
"""Name, relation (`<`, `=`, `>=` …), version; both empty where every version is meant."""

ObsoletingRow: TypeAlias = Annotated[tuple[Name, str | None, list[ObsoleteRow]], _ARRAY]
"""Name and arch of a package, and what it takes the place of."""

EntryRow: TypeAlias = Annotated[tuple[int, str, str], _ARRAY]
"""Seconds since 1970, author, text."""

FileRow: TypeAlias = Annotated[tuple[str, bool], _ARRAY]
"""The digest of a file's content; whether it is configuration."""


class DetailsDocument(TypedDict):
    """``sizes`` are installed bytes by ecosystem, one for each name and arch, in the order of the rows of `packages`.

    ``changelogs`` (by source package) and ``files`` (by path) are only where the whole is kept, never in a list that
    is published.
    """

    sizes: dict[Name, list[Bytes | None]]
    obsoletes: dict[Name, list[ObsoletingRow]]
    changelogs: NotRequired[dict[str, list[EntryRow]]]
    files: NotRequired[dict[str, FileRow]]


def details_document(details: Details, packages: PackageSet, *, whole: bool) -> DetailsDocument:
    """The details as JSON has them. Without ``whole``, changelogs and files are left out: they are many times larger.

    Sizes of what is not among ``packages`` are left out, too.
    """
    sizes: dict[str, list[int | None]] = {}
    if details.sizes:
        for identity in _identities(packages):
            sizes.setdefault(identity.ecosystem, []).append(details.sizes.get(identity))
    obsoletes: dict[str, list[ObsoletingRow]] = {}
    for identity, rows in sorted(details.obsoletes.items(), key=lambda item: _order(item[0])):
        named = [(row.name, row.relation, row.version) for row in rows]
        obsoletes.setdefault(identity.ecosystem, []).append((identity.name, identity.arch, named))
    document = DetailsDocument(sizes=sizes, obsoletes=obsoletes)
    if whole:
        document["changelogs"] = {
            source: [(entry.time, entry.author, entry.text) for entry in entries]
            for source, entries in sorted(details.changelogs.items())
        }
        document["files"] = {path: (file.digest, file.config) for path, file in sorted(details.files.items())}
    return document


def details_from_document(document: DetailsDocument, packages: PackageSet) -> Details:
    """The details that ``document`` holds of ``packages``. Raises `ValueError` where the sizes do not fit them."""
    by_ecosystem: dict[str, list[Identity]] = {}
    for identity in _identities(packages):
        by_ecosystem.setdefault(identity.ecosystem, []).append(identity)
    sizes: dict[Identity, int] = {}
    for ecosystem, column in document["sizes"].items():
        identities = by_ecosystem.get(ecosystem, [])
        if len(identities) != len(column):
            raise ValueError(f"it has {len(column)} sizes of {len(identities)} packages of `{ecosystem[:40]}`")
        pairs = zip(identities, column, strict=True)
        sizes.update({identity: size for identity, size in pairs if size is not None})
    return Details(
        obsoletes={
            Identity(ecosystem, name, arch): tuple(Obsolete(*row) for row in rows)
            for ecosystem, entries in document["obsoletes"].items()
            for name, arch, rows in entries
        },
        sizes=sizes,
        changelogs={
            source: tuple(ChangelogEntry(*row) for row in rows)
            for source, rows in document.get("changelogs", {}).items()
        },
        files={path: PackagedFile(*row) for path, row in document.get("files", {}).items()},
    )


def _identities(packages: PackageSet) -> Iterable[Identity]:
    """Each identity once, in the order of the rows."""
    return dict.fromkeys(package.identity for package in packages)


def _order(identity: Identity) -> tuple[str, str, str]:
    return (identity.ecosystem, identity.name, identity.arch or "")
