"""A changelog as data: what changed where, which commits, and the count that proves nothing was lost."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from relman.model.diff import ChangeKind, Part
from relman.model.oci import Digest, Platform


class Commit(msgspec.Struct, frozen=True):
    """A commit between the revisions of two images, as git has it, with what relman reads in its subject.

    ``listed`` is false where a rule of the configuration left it out, which ``reason`` then names. ``reverted_by`` is
    the commit that takes this one back. ``variants`` are those whose range holds it.

    ``co_authors`` are the names of those who wrote it together with ``author``; ``bot`` says that a program did.
    ``pull_request`` is the number of the request that brought it, ``closes`` are those of the issues that it closes.
    ``newcomers`` are the people whose first contribution to the whole history this is; `None` where the history is
    not all there, so that nobody can tell.
    """

    sha: str
    subject: str
    author: str
    type: str | None = None
    scope: str | None = None
    breaking: bool = False
    listed: bool = True
    reason: str | None = None
    reverted_by: str | None = None
    variants: tuple[str, ...] = ()
    co_authors: tuple[str, ...] = ()
    bot: bool = False
    pull_request: int | None = None
    closes: tuple[int, ...] = ()
    newcomers: tuple[str, ...] | None = ()

    def __post_init__(self) -> None:
        if self.listed == (self.reason is not None):
            raise ValueError(f"commit `{self.sha[:7]}` is either listed or left out for a reason")

    @property
    def short(self) -> str:
        """The seven digits that people use."""
        return self.sha[:7]


class Section(msgspec.Struct, frozen=True):
    """A titled part of the notes, in Markdown. Sections are ordered by ``rank``, then ``id``; below 50 stands first."""

    id: str
    rank: int
    title: str
    markdown: str

    def __post_init__(self) -> None:
        if not self.id or not self.markdown.strip():
            raise ValueError(f"section `{self.id}` is empty: an empty section is left out, not shown")


class PackageName(msgspec.Struct, frozen=True):
    """One package of a row."""

    name: str
    arch: str | None


class Row(msgspec.Struct, frozen=True):
    """Packages of one source that made the same step. ``vendor`` is who built them, where that is known."""

    kind: ChangeKind
    part: Part | None
    ecosystem: str
    source: str | None
    packages: tuple[PackageName, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    arch_before: str | None = None
    vendor_before: str | None = None
    name_before: str | None = None
    vendor: str | None = None

    @property
    def newest(self) -> str:
        """The newest version that is installed, or was; empty where the row names none."""
        return (self.after or self.before or ("",))[-1]

    @property
    def title(self) -> str:
        """The name that stands for the row: the source's own package, else the first."""
        names = [package.name for package in self.packages]
        return self.source if self.source in names and self.source is not None else names[0]


class Group(msgspec.Struct, frozen=True):
    """The rows that exactly these variants, on exactly these platforms, have in common."""

    title: str
    variants: tuple[str, ...]
    platforms: tuple[Platform, ...]
    rows: tuple[Row, ...]


class Major(msgspec.Struct, frozen=True):
    """A package that readers look for first, whether or not it changed, and the variants for which this holds."""

    label: str
    package: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    variants: tuple[str, ...]
    traits: frozenset[str] = frozenset()


class Fix(msgspec.Struct, frozen=True):
    """A security fix: its id, the packages that carry it, and the packages' own words."""

    id: str
    packages: tuple[str, ...]
    text: str

    @property
    def rank(self) -> tuple[int, int, int]:
        """What sorts fixes: those of most packages first, then the newest ids."""
        _, year, number = self.id.split("-") if self.id.count("-") == 2 else ("", "", "")
        return (-len(self.packages), -_number(year), -_number(number))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


class FixGroup(msgspec.Struct, frozen=True):
    """A fix, or many that the same packages carry. ``text`` is what is said of the one; empty where there are more."""

    packages: tuple[str, ...]
    ids: tuple[str, ...]
    text: str


FEW = 3
"""As many fixes of the same packages stand each on its own."""


def folded_fixes(fixes: Iterable[Fix]) -> tuple[FixGroup, ...]:
    """Fixes of the same packages together, where they are more than a few, in the order in which they come."""
    found: dict[tuple[str, ...], list[Fix]] = {}
    for fix in fixes:
        found.setdefault(fix.packages, []).append(fix)
    groups: list[FixGroup] = []
    for packages, those in found.items():
        if len(those) > FEW:
            groups.append(FixGroup(packages, tuple(fix.id for fix in those), ""))
        else:
            groups += (FixGroup(packages, (fix.id,), fix.text) for fix in those)
    return tuple(groups)


class VariantSummary(msgspec.Struct, frozen=True):
    """One variant on one platform, as the notes introduce it. ``exact`` is that of its diff.

    ``digest`` and ``packages`` are `None` where the changelog was read from published notes, which do not name them.
    ``download`` is what a host fetches that comes from the image before, in bytes; `None` where that is not known.
    """

    name: str
    platform: Platform
    digest: Digest | None
    previous_digest: Digest | None
    revision: str | None
    exact: bool
    packages: int | None
    download: int | None = None


class Accounting(msgspec.Struct, frozen=True):
    """Counts taken independently from both ends, so that they can disagree.

    Packages are counted as (variant, platform, package) rows: ``changed`` in the diffs, ``shown`` in the groups,
    ``ignored`` by the rules. A constructor that is given counts that do not add up refuses.
    """

    commits_in_range: int
    commits_listed: int
    commits_excluded: int
    packages_changed: int
    packages_shown: int
    packages_ignored: int

    def __post_init__(self) -> None:
        if self.packages_changed != self.packages_shown + self.packages_ignored:
            raise ValueError(
                f"{self.packages_changed} package rows changed, but {self.packages_shown} are shown and "
                f"{self.packages_ignored} ignored: a row was lost"
            )
        if self.commits_in_range != self.commits_listed + self.commits_excluded:
            raise ValueError(
                f"{self.commits_in_range} commits are in the range, but {self.commits_listed} are listed and "
                f"{self.commits_excluded} left out: a commit was lost"
            )


class Changelog(msgspec.Struct, frozen=True):
    """Everything that notes, posts and pages are made from. ``notes`` are sentences that readers have to know.

    ``security`` is `None` where no source can tell, which is not the same as no fixes. ``stream`` is `None` for two
    images given by hand. ``major`` is the number of the system's release (the 44 of F44), where the tags or the labels
    tell. ``imported`` is true where it was read from published notes, and nothing was compared.
    """

    project: str
    stream: str | None
    version: str | None
    previous: str | None
    title: str
    variants: tuple[VariantSummary, ...]
    majors: tuple[Major, ...]
    groups: tuple[Group, ...]
    commits: tuple[Commit, ...]
    security: tuple[Fix, ...] | None
    sections: tuple[Section, ...]
    keys_added: tuple[str, ...]
    keys_removed: tuple[str, ...]
    accounting: Accounting
    notes: tuple[str, ...] = ()
    repository_url: str | None = None
    major: int | None = None
    imported: bool = False
