"""From published notes to a changelog of the model: what they say, and nothing that they do not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from relman.config import Config
from relman.imports.classic import INTRODUCTION
from relman.imports.notes import CommitRow, KeptText, MajorRow, Notes, PackageRow, PublishedGroup
from relman.imports.published import Published
from relman.model.changelog import (
    Accounting,
    Changelog,
    Commit,
    Group,
    Major,
    PackageName,
    Row,
    Section,
    VariantSummary,
)
from relman.model.diff import ChangeKind, Part
from relman.model.oci import LINUX_AMD64, Platform
from relman.model.streams import Variant, Version
from relman.model.versions import compare, differing_part

ECOSYSTEM = "rpm"
"""What the packages of the classic format are: every project that publishes it is built from Fedora or CentOS."""

_VENDOR = "vendor "
_SYSTEM = re.compile(r"\(F(\d{1,3})\b", re.ASCII)
_HEAD = re.compile(r"#([0-9a-f]{7,40})\)", re.ASCII)
_EARLY, _LATE = 10, 60
_NAMED = 3


def changelog_of(
    notes: Notes, published: Published, config: Config, *, stream: str, version: str, read: Version | None
) -> Changelog:
    """The changelog that ``notes`` tell. ``read`` is what the stream's patterns make of ``version``.

    Digests, architectures, epochs and source packages are unknown; variants are those that are configured, and a
    group has those that its title stands for, else all.
    """
    variants = config.variants
    title = published.title or notes.title or version
    commits = tuple(_commit(row, variants) for row in notes.commits)
    platforms = config.platforms or (LINUX_AMD64,)
    groups = tuple(_group(group, config, platforms) for group in notes.groups)
    revision = _revision(title, commits)
    return Changelog(
        project=config.project,
        stream=stream,
        version=version,
        previous=notes.previous,
        title=title,
        variants=tuple(
            VariantSummary(variant.name, platform, None, None, revision, exact=False, packages=None)
            for variant in variants
            for platform in platforms
        ),
        majors=tuple(_majors(notes.majors, config)),
        groups=groups,
        commits=commits,
        security=None,
        sections=tuple(_sections(notes.texts)),
        keys_added=(),
        keys_removed=(),
        accounting=Accounting(
            commits_in_range=len(notes.commits),
            commits_listed=len(commits),
            commits_excluded=0,
            packages_changed=sum(
                len(group.rows) * len(_variants(group.title, config)) * len(platforms) for group in notes.groups
            ),
            packages_shown=sum(
                len(row.packages) * len(group.variants) * len(group.platforms) for group in groups for row in group.rows
            ),
            packages_ignored=0,
        ),
        notes=tuple(_remarks(notes)),
        repository_url=_repository(notes.commits) or config.repository_url,
        major=read.major if read and read.major is not None else _number(title),
        imported=True,
    )


def _remarks(notes: Notes) -> Iterable[str]:
    """What readers have to know of notes that were read back."""
    yield "Read from the published notes, which name no digests, architectures, epochs or sources of packages."
    if notes.remark:
        yield f"They say of themselves: {notes.remark}"
    if notes.not_read:
        some = "; ".join(f"line {each.line}, {each.reason}" for each in notes.not_read[:_NAMED])
        more = f"; and {len(notes.not_read) - _NAMED} more" if len(notes.not_read) > _NAMED else ""
        yield f"Not all of them could be read: {some}{more}."


def _number(title: str) -> int | None:
    found = _SYSTEM.search(title)
    return int(found[1]) if found else None


def _revision(title: str, commits: Sequence[Commit]) -> str | None:
    """The whole id of the commit that the title names in short; `None` where the list does not have it."""
    found = _HEAD.search(title)
    return (
        next((commit.sha for commit in commits if len(commit.sha) == 40 and commit.sha.startswith(found[1])), None)
        if found
        else None
    )


def _repository(commits: Iterable[CommitRow]) -> str | None:
    """The address that the links of most commits begin with."""
    bases = Counter(row.base for row in commits if row.base)
    return bases.most_common(1)[0][0] if bases else None


def _commit(row: CommitRow, variants: Iterable[Variant]) -> Commit:
    return Commit(row.sha, row.subject, row.author, variants=tuple(variant.name for variant in variants))


def _variants(title: str, config: Config) -> tuple[str, ...]:
    """The variants that a group's title stands for: a configured group's, one that it names, else all."""
    folded = title.casefold()
    rule = next((group for group in config.groups if group.title.casefold() == folded), None)
    if rule is not None:
        return _with_traits(rule.traits, config)
    words = title.split()
    named = tuple(variant.name for variant in config.variants if variant.name in words)
    return named or _with_traits(frozenset(), config)


def _with_traits(traits: frozenset[str], config: Config) -> tuple[str, ...]:
    found = tuple(variant.name for variant in config.variants if traits <= variant.traits)
    return found or tuple(variant.name for variant in config.variants)


def _group(group: PublishedGroup, config: Config, platforms: tuple[Platform, ...]) -> Group:
    rows = sorted(group.rows, key=lambda row: (row.name, row.before, row.after, row.remark or ""))
    return Group(group.title, _variants(group.title, config), platforms, tuple(_row(row) for row in rows))


def _row(row: PackageRow) -> Row:
    kind, part = _kind(row)
    remarks = row.remark.split(", ") if row.remark else []
    vendor = next((each.removeprefix(_VENDOR) for each in remarks if each.startswith(_VENDOR)), None)
    arch = next((each for each in remarks if not each.startswith(_VENDOR)), None)
    return Row(kind, part, ECOSYSTEM, None, (PackageName(row.name, None),), row.before, row.after, arch, vendor)


def _kind(row: PackageRow) -> tuple[ChangeKind, Part | None]:
    """What the versions say as they were published: without epochs, and mostly without dist tags."""
    if not row.before:
        return ChangeKind.ADDED, None
    if not row.after:
        return ChangeKind.REMOVED, None
    before, after = row.before[-1], row.after[-1]
    order = compare(ECOSYSTEM, before, after)
    if not order:
        return ChangeKind.CHANGED, None
    part = differing_part(ECOSYSTEM, before, after)
    if part is Part.DIST:
        return ChangeKind.REBUILT, part
    return (ChangeKind.UPGRADED if order < 0 else ChangeKind.DOWNGRADED), part


def _majors(rows: Sequence[MajorRow], config: Config) -> Iterable[Major]:
    """The majors, those of all images first, then by the word of their heading, as the classic template has them."""
    words = dict.fromkeys(("", *(row.word for row in rows)))
    for word in words:
        traits = frozenset(word.casefold().split())
        everywhere = _with_traits(traits, config)
        for row in (row for row in rows if row.word == word):
            label, variants = _told_apart(row.label, config)
            rule = next((rule for rule in config.majors if rule.title.casefold() == label.casefold()), None)
            package = (rule.package if rule else None) or label
            yield Major(label, package, row.before, row.after, variants or everywhere, traits)


def _told_apart(label: str, config: Config) -> tuple[str, tuple[str, ...]]:
    """A label without the variants that relman's own notes put behind it where they differ: `Kernel (bluefin-dx)`."""
    before, opened, rest = label.rpartition(" (")
    names = tuple(rest.removesuffix(")").split(", ")) if opened and rest.endswith(")") else ()
    known = {variant.name for variant in config.variants}
    return (before, names) if names and known.issuperset(names) else (label, ())


def _sections(texts: Sequence[KeptText]) -> Iterable[Section]:
    used: Counter[str] = Counter()
    for early in (True, False):
        for number, text in enumerate(each for each in texts if each.early is early):
            name = _identifier(text.title)
            used[name] += 1
            id = name if used[name] == 1 else f"{name}-{used[name]}"
            # The published order counts: ranks keep it, and what stood above the packages stays there.
            rank = min(_EARLY + number, 49) if early else _LATE + number
            yield Section(id, rank, text.title, text.markdown)


def _identifier(title: str) -> str:
    words = re.findall(r"[a-z0-9]+", title.casefold(), re.ASCII)
    return "-".join(words)[:60] or INTRODUCTION.casefold()
