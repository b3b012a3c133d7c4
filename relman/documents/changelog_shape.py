"""The shape of `relman.changelog/1`, key by key in the order of the contract."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from relman.documents.values import Name, PlatformText
from relman.model.oci import Digest


class VariantDocument(TypedDict):
    """One variant on one platform; ``packages`` counts what is installed.

    Digests and that count are null where the changelog was read from published notes. ``download`` is in bytes, where
    it is known.
    """

    name: Name
    platform: PlatformText
    digest: Digest | None
    previous_digest: Digest | None
    revision: str | None
    exact: bool
    packages: int | None
    download: NotRequired[int]


class MajorDocument(TypedDict):
    """A package that readers look for first; ``traits`` only where the configuration asks for some."""

    label: str
    package: str
    before: list[str]
    after: list[str]
    variants: list[str]
    traits: NotRequired[list[str]]


class PackageDocument(TypedDict):
    """One package of a row."""

    name: Name
    arch: str | None


class RowDocument(TypedDict):
    """Packages of one source with the same step; the keys at the end only where that, too, changed, or is known."""

    kind: Literal["added", "removed", "upgraded", "downgraded", "rebuilt", "renamed", "changed"]
    part: Literal["epoch", "version", "release", "dist"] | None
    ecosystem: str
    source: str | None
    packages: list[PackageDocument]
    before: list[str]
    after: list[str]
    arch_before: NotRequired[str]
    vendor_before: NotRequired[str]
    name_before: NotRequired[str]
    vendor: NotRequired[str]


class GroupDocument(TypedDict):
    """What exactly these variants on these platforms have in common."""

    title: str
    variants: list[str]
    platforms: list[PlatformText]
    changes: list[RowDocument]


class CommitDocument(TypedDict):
    """A commit of the range: listed, or left out for a reason.

    The keys at the end are there only where they say something; ``newcomers`` is null where nobody can tell.
    """

    sha: Name
    subject: str
    author: str
    type: str | None
    scope: str | None
    breaking: bool
    listed: bool
    reason: str | None
    reverted_by: str | None
    variants: list[str]
    co_authors: NotRequired[list[str]]
    bot: NotRequired[bool]
    pull_request: NotRequired[int]
    closes: NotRequired[list[int]]
    newcomers: NotRequired[list[str] | None]


class FixDocument(TypedDict):
    """A security fix."""

    id: str
    packages: list[str]
    text: str


class SectionDocument(TypedDict):
    """A titled part of the notes, in Markdown; those with a rank below 50 stand before the packages."""

    id: Name
    rank: int
    title: str
    markdown: str


class KeysDocument(TypedDict):
    """Trusted keys."""

    added: list[str]
    removed: list[str]


class CommitCounts(TypedDict):
    """``in_range`` = ``listed`` + ``excluded``."""

    in_range: int
    listed: int
    excluded: int


class PackageCounts(TypedDict):
    """(variant, platform, package) rows: ``changed`` = ``shown`` + ``ignored``."""

    changed: int
    shown: int
    ignored: int


class AccountingDocument(TypedDict):
    """Counts from both ends."""

    commits: CommitCounts
    packages: PackageCounts


class WithdrawnDocument(TypedDict):
    """Why the release no longer stands; ``state`` is `yanked` or `rolled back`."""

    state: str
    at: str
    by: str
    reason: str


class ChangelogDocument(TypedDict):
    """A whole changelog. ``security`` is null where no source can tell; ``notes`` are sentences for readers.

    ``imported`` is there, and true, where it was read from published notes; ``withdrawn`` only where
    `relman changelog --to` prints a release that was yanked or rolled back.
    """

    schema: Literal["relman.changelog/1"]
    project: str
    stream: str | None
    version: str | None
    previous: str | None
    title: str
    variants: list[VariantDocument]
    majors: list[MajorDocument]
    groups: list[GroupDocument]
    commits: list[CommitDocument]
    security: list[FixDocument] | None
    sections: list[SectionDocument]
    keys: KeysDocument
    accounting: AccountingDocument
    notes: NotRequired[list[str]]
    repository_url: NotRequired[str | None]
    major: NotRequired[int | None]
    imported: NotRequired[bool]
    withdrawn: NotRequired[WithdrawnDocument]
