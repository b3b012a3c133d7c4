"""What every template can use: the changelog's own fields, and what is read off them to be printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import asdict

from relman.model.changelog import Changelog, FixGroup, Group, folded_fixes
from relman.model.contents import Identity
from relman.model.diff import ChangeKind
from relman.render import parts
from relman.render.commits import bare_subject, commit_groups, first_contributions, undone
from relman.render.forge import Forge
from relman.render.links import Links
from relman.render.tables import SYMBOLS, Entry, Table, classic_title, lines, majors, majors_by_trait, tables

BEFORE_THE_PACKAGES = 50
"""Sections of a lower rank stand before the packages."""

_LOOK_TWICE = (ChangeKind.DOWNGRADED, ChangeKind.REMOVED)


FIRST_FIXES = 5
"""Security fixes that are shown open; the others are folded."""


def standard_values(changelog: Changelog, links: Links | None = None) -> dict[str, object]:
    """The values by name: every field of `Changelog`, and these.

    ``changelog`` is the value itself, ``revision`` the first variant's (or empty). ``listed`` are the commits that no
    rule left out; ``undone`` pairs of a commit and the one that takes it back; ``by_bots`` those of the others that
    programs wrote; ``commit_groups`` the rest under their headings; ``excluded`` how many each rule left out.
    ``first_contributions`` are names with the commit that was their first. ``bare_subject`` takes the number of the
    pull request off a commit's subject; ``forge`` makes the addresses of commits, pull requests and issues.

    ``tables`` and ``major_lines`` are groups and majors as they are printed, ``look_twice`` the rows that a reader must
    not miss (downgraded, removed), each after the title of its group. ``counts`` are the changed packages by kind and
    ``packages_changed`` all of them, each package once, however many variants have it. ``compared`` is false where no
    image has a predecessor.

    `first_screen` has those of the summary. ``row_links`` says whether packages have links, and ``shortened`` whether
    something is to be left out. ``part``, ``part_end`` and
    ``part_slot`` mark what may be left out where a channel has no room (`relman.render.parts`).
    """
    listed = tuple(commit for commit in changelog.commits if commit.listed)
    pairs = tuple(pair for pair in undone(changelog.commits) if any(commit.listed for commit in pair))
    folded = {commit.sha for pair in pairs for commit in pair}
    standing = tuple(commit for commit in listed if commit.sha not in folded)
    printed = tables(changelog, links)
    sections = sorted(changelog.sections, key=lambda section: (section.rank, section.id))
    return (
        asdict(changelog)
        | first_screen(changelog, printed, links)
        | {
            "changelog": changelog,
            "revision": next((v.revision for v in changelog.variants[:1] if v.revision), ""),
            "compared": bool(changelog.groups)
            or any(v.previous_digest for v in changelog.variants)
            or (changelog.imported and changelog.previous is not None),
            "listed": listed,
            "undone": pairs,
            "by_bots": tuple(commit for commit in standing if commit.bot and not commit.breaking),
            "commit_groups": commit_groups(commit for commit in standing if commit.breaking or not commit.bot),
            "first_contributions": first_contributions(changelog.commits),
            "bare_subject": bare_subject,
            "forge": Forge.at(changelog.repository_url),
            "excluded": dict(Counter(commit.reason for commit in changelog.commits if not commit.listed).most_common()),
            "sections_before": tuple(section for section in sections if section.rank < BEFORE_THE_PACKAGES),
            "sections_after": tuple(section for section in sections if section.rank >= BEFORE_THE_PACKAGES),
            "tables": printed,
            "look_twice": tuple((t.title, e) for t in printed for e in t.entries if e.kind in _LOOK_TWICE),
            "row_links": links is not None,
            "shortened": False,
            "part": parts.start,
            "part_end": parts.end,
            "part_slot": parts.slot,
            "majors_by_trait": majors_by_trait(changelog),
            "counts": counts(changelog),
            "packages_changed": len({identity for _, identity in _changes(changelog)}),
            "symbols": SYMBOLS,
            "lines": lines,
            "classic_title": classic_title,
        }
    )


def first_screen(changelog: Changelog, printed: Sequence[Table], links: Links | None) -> dict[str, object]:
    """The values of the summary; ``printed`` are the changelog's groups as tables.

    ``downgraded`` are the rows that went back, each after the title of its group, which is empty for what all images
    have; ``removed`` are such titles, each with the rows that are gone. ``majors_changed`` and ``majors_unchanged`` are
    ``major_lines`` taken apart, those of packages that are nowhere left out. ``fixes_first`` and ``fixes_more`` are
    ``security``, many of the same packages together and those of major packages first, the former shown open.
    ``downloads`` are what hosts fetch, in bytes, the least and the most; empty where that is not known.
    """
    major_lines = majors(changelog, links)
    fixes = ranked_fixes(changelog)
    downloads = sorted({variant.download for variant in changelog.variants if variant.download is not None})
    pointed = [
        ("" if _everywhere(changelog, group) else table.title, entry)
        for group, table in zip(changelog.groups, printed, strict=True)
        for entry in table.entries
    ]
    return {
        "major_lines": major_lines,
        "majors_changed": tuple(line for line in major_lines if line.changed),
        "majors_unchanged": tuple(line for line in major_lines if not line.changed and line.after),
        "fixes_first": fixes[:FIRST_FIXES],
        "fixes_more": fixes[FIRST_FIXES:],
        "downloads": (downloads[0], downloads[-1]) if downloads else (),
        "downgraded": tuple((title, entry) for title, entry in pointed if entry.kind is ChangeKind.DOWNGRADED),
        "removed": _gathered((title, entry) for title, entry in pointed if entry.kind is ChangeKind.REMOVED),
    }


def _everywhere(changelog: Changelog, group: Group) -> bool:
    """Whether all images have the group's rows."""
    return {variant.name for variant in changelog.variants} == set(group.variants) and {
        variant.platform for variant in changelog.variants
    } == set(group.platforms)


def _gathered(entries: Iterable[tuple[str, Entry]]) -> tuple[tuple[str, tuple[Entry, ...]], ...]:
    found: dict[str, list[Entry]] = {}
    for title, entry in entries:
        found.setdefault(title, []).append(entry)
    return tuple((title, tuple(those)) for title, those in found.items())


def ranked_fixes(changelog: Changelog) -> tuple[FixGroup, ...]:
    """Security fixes, those in major packages first, otherwise as the changelog orders them; empty for `None`."""
    watched = {major.package for major in changelog.majors}
    sources = {
        row.source for group in changelog.groups for row in group.rows if watched & {p.name for p in row.packages}
    }
    found = folded_fixes(changelog.security or ())
    return tuple(sorted(found, key=lambda fixes: not (watched | sources) & set(fixes.packages)))


def counts(changelog: Changelog) -> Mapping[ChangeKind, int]:
    """How many packages made each kind of change, in any variant; kinds that did not occur are left out.

    A package that was upgraded in one variant and added in another counts under both.
    """
    found = Counter(kind for kind, _ in set(_changes(changelog)))
    return {kind: found[kind] for kind in SYMBOLS if found[kind]}


def _changes(changelog: Changelog) -> Iterable[tuple[ChangeKind, Identity]]:
    for group in changelog.groups:
        for row in group.rows:
            for package in row.packages:
                yield row.kind, Identity(row.ecosystem, package.name, package.arch)
