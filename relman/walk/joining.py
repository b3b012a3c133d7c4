"""Changelogs of releases that follow each other, joined: what somebody meets who goes from the first to the last.

Where the images of an old release are gone, its notes are still there; A → C is then told from A → B and B → C. What
was changed and changed back cancels out, and each highlight stands there once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from relman.config.values import GroupRule
from relman.model.changelog import Accounting, Changelog, Commit, Fix, Major, PackageName, Row, Section, VariantSummary
from relman.model.contents import Capability, Contents, Identity, Package, PackageSet
from relman.model.diff import Diff, Side
from relman.model.oci import Platform
from relman.walk.compare import assemble, compare_contents
from relman.walk.grouping import group_changes

_REVERT = re.compile(r'Revert "(.+)"(?:\s+\(#[0-9]+\))?')


def join(
    steps: Sequence[Changelog],
    traits: Mapping[str, frozenset[str]] = MappingProxyType({}),
    groups: Sequence[GroupRule] = (),
) -> Changelog:
    """One changelog from the earliest of ``steps`` to the latest, in which each follows the one before it.

    ``traits`` are those of the variants, by which ``groups`` lend their titles. A variant that was new in one of the
    steps has nothing to be compared with, here as there.
    Packages that ``[packages] ignore`` left out of the steps are in none of them, and so neither in this. Where two
    steps do not meet, since a tag was moved in between, the earlier step says where it began and the later one where
    it ended; ``notes`` say of how many packages that is so.
    """
    first, last = steps[0], steps[-1]
    if len(steps) == 1:
        return first
    new = {place for step in steps for place in _new(step)}
    ways = {place: _Way() for variant in last.variants if (place := _Place(variant.name, variant.platform)) not in new}
    for step in steps:
        for place, rows in _rows(step).items():
            for row, package in rows if place in ways else ():
                ways[place].go(row, package)
    diffs = tuple(way.diff(place) for place, way in ways.items())
    variants = {variant.name: traits.get(variant.name, frozenset()) for variant in last.variants}
    grouped = group_changes(diffs, variants=variants, groups=groups)
    commits = _commits(steps)
    broken = sum(way.broken for way in ways.values())
    changed = sum(len(diff.changes) for diff in diffs)
    said = dict.fromkeys(note for step in steps for note in step.notes)
    names = ", ".join(step.version or "?" for step in steps)
    return replace(
        last,
        previous=first.previous,
        variants=tuple(_from(first, variant) for variant in last.variants),
        majors=_majors(first, last),
        groups=grouped.groups,
        commits=commits,
        security=_security(steps),
        sections=_sections(steps),
        keys_added=_keys(steps, came=True),
        keys_removed=_keys(steps, came=False),
        accounting=Accounting(
            commits_in_range=len(commits),
            commits_listed=sum(commit.listed for commit in commits),
            commits_excluded=sum(not commit.listed for commit in commits),
            packages_changed=changed,
            packages_shown=grouped.shown,
            packages_ignored=grouped.ignored,
        ),
        notes=(
            f"Put together from the notes of {len(steps)} releases: {names}.",
            *([f"Of {broken} package rows the notes of two releases do not meet."] if broken else []),
            *said,
        ),
    )


class _Place(NamedTuple):
    variant: str
    platform: Platform


def _new(changelog: Changelog) -> Iterable[_Place]:
    """The places that had no image before, in a release that had some."""
    followed = any(variant.previous_digest for variant in changelog.variants)
    for variant in changelog.variants:
        if followed and variant.previous_digest is None:
            yield _Place(variant.name, variant.platform)


def _rows(changelog: Changelog) -> Mapping[_Place, Sequence[tuple[Row, PackageName]]]:
    found: dict[_Place, list[tuple[Row, PackageName]]] = {}
    for group in changelog.groups:
        for variant in group.variants:
            for platform in group.platforms:
                rows = found.setdefault(_Place(variant, platform), [])
                rows += [(row, package) for row in group.rows for package in row.packages]
    return found


# ------------------------------------------------------------------------------------------------------- packages


class _Way(msgspec.Struct):
    """What is known of one image's packages at both ends: those that any step touched, and no others."""

    start: dict[Identity, tuple[Package, ...]] = msgspec.field(default_factory=dict)
    end: dict[Identity, tuple[Package, ...]] = msgspec.field(default_factory=dict)
    instead_of: dict[str, list[str]] = msgspec.field(default_factory=dict)
    broken: int = 0

    def go(self, row: Row, package: PackageName) -> None:
        """Take one package's step."""
        new = Identity(row.ecosystem, package.name, package.arch)
        old = Identity(row.ecosystem, row.name_before or package.name, row.arch_before or package.arch)
        was = _packages(old, row.before, row.source, row.vendor_before or row.vendor)
        if old not in self.end:
            self.start.setdefault(old, was)
        elif tuple(p.version for p in self.end[old]) != row.before:
            self.broken += 1
        self.end[old] = ()
        if new != old:
            self.start.setdefault(new, ())
        self.end[new] = _packages(new, row.after, row.source, row.vendor)
        if row.name_before:
            self.instead_of.setdefault(package.name, []).append(row.name_before)
            self.instead_of[package.name] += self.instead_of.get(row.name_before, [])

    def diff(self, place: _Place) -> Diff:
        """Everything that differs between the two ends."""
        before, after = self._contents(self.start), self._contents(self.end)
        comparison = compare_contents(before, replace(after, extras={"obsoletes": self.instead_of}))
        side = Side(place.variant, None, place.platform, None, None, 0, "notes")
        return assemble(comparison, side, side, variant=place.variant, platform=place.platform)

    def _contents(self, packages: Mapping[Identity, tuple[Package, ...]]) -> Contents:
        return Contents(PackageSet(p for several in packages.values() for p in several), "notes", _KNOWN)


_KNOWN = frozenset(Capability) - {Capability.CHANGELOG, Capability.FILES}


def _packages(
    identity: Identity, versions: Iterable[str], source: str | None, vendor: str | None
) -> tuple[Package, ...]:
    return tuple(Package(*identity, version, source, vendor) for version in versions)


# --------------------------------------------------------------------------------------------------- all the rest


def _from(first: Changelog, variant: VariantSummary) -> VariantSummary:
    earlier = next((v for v in first.variants if (v.name, v.platform) == (variant.name, variant.platform)), None)
    return replace(variant, previous_digest=earlier.previous_digest if earlier else None, download=None)


def _majors(first: Changelog, last: Changelog) -> tuple[Major, ...]:
    """The majors of the last with the versions that each variant had before the first."""
    before = {
        (major.label, major.package, variant): major.before for major in first.majors for variant in major.variants
    }
    found: dict[Major, list[str]] = {}
    for major in last.majors:
        for variant in major.variants:
            step = replace(major, before=before.get((major.label, major.package, variant), ()), variants=())
            found.setdefault(step, []).append(variant)
    return tuple(replace(major, variants=tuple(variants)) for major, variants in found.items())


def _commits(steps: Sequence[Changelog]) -> tuple[Commit, ...]:
    """The commits of all, the newest first; one of an earlier step that a later step takes back is paired with it."""
    joined: dict[str, Commit] = {}
    for step in reversed(steps):
        reverts = [(match[1], c.sha) for c in joined.values() if (match := _REVERT.fullmatch(c.subject))]
        for commit in step.commits:
            by = [sha for subject, sha in reverts if subject == commit.subject and commit.reverted_by is None]
            if commit.sha not in joined:
                joined[commit.sha] = replace(commit, reverted_by=by[0]) if len(by) == 1 else commit
    return tuple(joined.values())


def _security(steps: Sequence[Changelog]) -> tuple[Fix, ...] | None:
    fixes: dict[str, Fix] = {}
    for step in reversed(steps):
        if step.security is None:
            return None
        for fix in step.security:
            known = fixes.get(fix.id)
            packages = tuple(sorted({*fix.packages, *(known.packages if known else ())}))
            fixes[fix.id] = replace(known or fix, packages=packages)
    return tuple(fixes.values())


def _sections(steps: Sequence[Changelog]) -> tuple[Section, ...]:
    """The highlights of all, the newest first, and what is known to be wrong with the last."""
    known = tuple(section for section in steps[-1].sections if section.id == "known-issues")
    written = [section for step in reversed(steps) for section in step.sections if section.id == "highlights"]
    if not written:
        return known
    text = "\n\n".join(dict.fromkeys(section.markdown for section in written))
    return (replace(written[0], markdown=text), *known)


def _keys(steps: Sequence[Changelog], *, came: bool) -> tuple[str, ...]:
    """The trusted keys that came, or went, and were not taken back."""
    change: dict[str, int] = {}
    for step in steps:
        for key in step.keys_added:
            change[key] = change.get(key, 0) + 1
        for key in step.keys_removed:
            change[key] = change.get(key, 0) - 1
    return tuple(sorted(key for key, count in change.items() if (count > 0 if came else count < 0)))
