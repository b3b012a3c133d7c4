"""What every template can use: the changelog's own fields, and what is read off them to be printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields

from relman.model.changelog import Changelog, folded_fixes
from relman.model.contents import Identity
from relman.model.diff import ChangeKind
from relman.render.commits import bare_subject, commit_groups, first_contributions, undone
from relman.render.forge import Forge
from relman.render.tables import SYMBOLS, classic_title, lines, majors, majors_by_trait, tables

BEFORE_THE_PACKAGES = 50
"""Sections of a lower rank stand before the packages."""

_LOOK_TWICE = (ChangeKind.DOWNGRADED, ChangeKind.REMOVED)


def standard_values(changelog: Changelog) -> dict[str, object]:
    """The values by name: every field of `Changelog`, and these.

    ``changelog`` is the value itself, ``revision`` the first variant's (or empty). ``listed`` are the commits that no
    rule left out; ``undone`` pairs of a commit and the one that takes it back; ``by_bots`` those of the others that
    programs wrote; ``commit_groups`` the rest under their headings; ``excluded`` how many each rule left out.
    ``first_contributions`` are names with the commit that was their first. ``bare_subject`` takes the number of the
    pull request off a commit's subject; ``forge`` makes the addresses of commits, pull requests and issues.

    ``tables`` and ``major_lines`` are groups and majors as they are printed, ``look_twice`` the rows that a reader must
    not miss (downgraded, removed), each after the title of its group. ``counts`` are the changed packages by kind and
    ``packages_changed`` all of them, each package once, however many variants have it. ``fix_groups`` are the security
    fixes, those of the same packages together. ``compared`` is false where no image has a predecessor.
    """
    listed = tuple(commit for commit in changelog.commits if commit.listed)
    pairs = tuple(pair for pair in undone(changelog.commits) if any(commit.listed for commit in pair))
    folded = {commit.sha for pair in pairs for commit in pair}
    standing = tuple(commit for commit in listed if commit.sha not in folded)
    printed = tables(changelog)
    sections = sorted(changelog.sections, key=lambda section: (section.rank, section.id))
    own: dict[str, object] = {field.name: getattr(changelog, field.name) for field in fields(changelog)}
    return own | {
        "changelog": changelog,
        "revision": next((v.revision for v in changelog.variants[:1] if v.revision), ""),
        "fix_groups": folded_fixes(changelog.security or ()),
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
        "major_lines": majors(changelog),
        "majors_by_trait": majors_by_trait(changelog),
        "counts": counts(changelog),
        "packages_changed": len({identity for _, identity in _changes(changelog)}),
        "symbols": SYMBOLS,
        "lines": lines,
        "classic_title": classic_title,
    }


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
