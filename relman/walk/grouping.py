"""Which packages changed alike on which images: a partition of every row of every diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase
from typing import NamedTuple

import msgspec

from relman.config.values import GroupRule
from relman.model.changelog import Group, PackageName, Row
from relman.model.diff import Change, ChangeKind, Diff, Part
from relman.model.oci import Platform

ALL_IMAGES = "All images"


class Grouped(NamedTuple):
    """The groups, and how many (variant, platform, package) rows are in them and how many were left out by a rule."""

    groups: tuple[Group, ...]
    shown: int
    ignored: int


class _Place(NamedTuple):
    variant: str
    platform: Platform


class _Step(NamedTuple):
    """What has to be equal for two images to have the same change; its source is no part of it."""

    kind: ChangeKind
    part: Part | None
    ecosystem: str
    name: str
    arch: str | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    arch_before: str | None
    vendor_before: str | None
    name_before: str | None


def group_changes(
    diffs: Sequence[Diff],
    *,
    variants: Mapping[str, AbstractSet[str]],
    groups: Sequence[GroupRule] = (),
    ignore: Sequence[str] = (),
) -> Grouped:
    """Put each changed package into the group of exactly the images on which it made that step.

    ``variants`` are names with their traits, in the configured order; ``diffs`` name their variant and platform, each
    pair once, else `ValueError`. ``ignore`` are globs on package names. A set of images that is not every one of some
    variants on every one of some platforms is split by platform, so that a group's variants times its platforms are
    its images.
    """
    compared = _compared(diffs, variants)
    found: dict[_Step, list[_Place]] = {}
    sources: dict[_Step, str] = {}
    vendors: dict[_Step, str] = {}
    for place, diff in compared.items():
        for change in diff.changes:
            if not _ignored(change, ignore):
                step = _step(change)
                found.setdefault(step, []).append(place)
                if change.source is not None:
                    sources.setdefault(step, change.source)
                if change.vendor is not None:
                    vendors.setdefault(step, change.vendor)
    blocks: dict[_Block, list[_Step]] = {}
    for step, places in found.items():
        for block in _blocks(places):
            blocks.setdefault(block, []).append(step)
    titles = _Titles(tuple(compared), variants, tuple(groups))
    order = sorted(blocks, key=titles.order)
    made = tuple(
        Group(titles.title(block), block.variants, block.platforms, _rows(blocks[block], sources, vendors))
        for block in order
    )
    shown = sum(len(row.packages) * len(group.variants) * len(group.platforms) for group in made for row in group.rows)
    return Grouped(made, shown, sum(_ignored(change, ignore) for diff in diffs for change in diff.changes))


def _compared(diffs: Iterable[Diff], variants: Mapping[str, AbstractSet[str]]) -> dict[_Place, Diff]:
    """The diffs by where they were made: variants in the configured order, then platforms by name."""
    places: dict[_Place, Diff] = {}
    for diff in diffs:
        if diff.variant is None or diff.platform is None or diff.variant not in variants:
            raise ValueError(f"the diff of `{diff.after.reference}` does not say which variant and platform it is of")
        place = _Place(diff.variant, diff.platform)
        if place in places:
            raise ValueError(f"there are two diffs of `{place.variant}` on `{place.platform}`")
        places[place] = diff
    rank = {name: number for number, name in enumerate(variants)}
    return dict(sorted(places.items(), key=lambda item: (rank[item[0].variant], str(item[0].platform))))


def _ignored(change: Change, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(change.name, glob) for glob in globs)


def _step(change: Change) -> _Step:
    return _Step(
        change.kind,
        change.part,
        change.ecosystem,
        change.name,
        change.arch,
        change.before,
        change.after,
        change.arch_before,
        change.vendor_before,
        change.name_before,
    )


class _Block(NamedTuple):
    """Every one of ``variants`` on every one of ``platforms``."""

    variants: tuple[str, ...]
    platforms: tuple[Platform, ...]


def _blocks(places: Iterable[_Place]) -> tuple[_Block, ...]:
    """``places``, which are in order, as the fewest blocks that keep each platform in one piece."""
    variants: dict[Platform, list[str]] = {}
    for place in places:
        variants.setdefault(place.platform, []).append(place.variant)
    platforms: dict[tuple[str, ...], list[Platform]] = {}
    for platform in sorted(variants, key=str):
        platforms.setdefault(tuple(variants[platform]), []).append(platform)
    return tuple(_Block(names, tuple(found)) for names, found in platforms.items())


class _Titles(msgspec.Struct, frozen=True):
    """Knows what a block is called, and which comes first."""

    compared: tuple[_Place, ...]
    traits: Mapping[str, AbstractSet[str]]
    rules: tuple[GroupRule, ...]

    def title(self, block: _Block) -> str:
        """The name of the variants, with the platforms where these are not all on which the variants were compared."""
        rank = self._rank(block)
        named = [ALL_IMAGES, *(rule.title for rule in self.rules), ", ".join(block.variants)][rank]
        if self._whole(block):
            return named
        return f"{named} ({', '.join(map(str, block.platforms))})"

    def order(self, block: _Block) -> tuple[int, bool, int, str]:
        """All images, then the configured groups as they are configured, then the others: the larger, then by name."""
        size = len(block.variants) * len(block.platforms)
        return (self._rank(block), not self._whole(block), -size, self.title(block))

    def _whole(self, block: _Block) -> bool:
        return len({place.platform for place in self.compared if place.variant in block.variants}) == len(
            block.platforms
        )

    def _rank(self, block: _Block) -> int:
        """0 for all variants, from 1 on the configured groups, after them all others."""
        names = dict.fromkeys(place.variant for place in self.compared)
        if block.variants == tuple(names):
            return 0
        for number, rule in enumerate(self.rules, 1):
            if block.variants == tuple(name for name in names if rule.traits <= self.traits[name]):
                return number
        return len(self.rules) + 1


def _rows(steps: Iterable[_Step], sources: Mapping[_Step, str], vendors: Mapping[_Step, str]) -> tuple[Row, ...]:
    """Packages of one source with the same step, folded; a package of unknown source is a row of its own."""
    folded: dict[tuple[object, ...], list[_Step]] = {}
    for step in steps:
        source = sources.get(step)
        same = step._replace(name="", arch=None) if source is not None else step
        folded.setdefault((source, same), []).append(step)
    rows = (_row(members, sources.get(members[0]), vendors.get(members[0])) for members in folded.values())
    return tuple(sorted(rows, key=_row_order))


def _row(members: list[_Step], source: str | None, vendor: str | None) -> Row:
    first = members[0]
    names = sorted(((step.name, step.arch) for step in members), key=lambda each: (each[0], each[1] or ""))
    return Row(
        kind=first.kind,
        part=first.part,
        ecosystem=first.ecosystem,
        source=source,
        packages=tuple(PackageName(name, arch) for name, arch in names),
        before=first.before,
        after=first.after,
        arch_before=first.arch_before,
        vendor_before=first.vendor_before,
        name_before=first.name_before,
        vendor=vendor,
    )


def _row_order(row: Row) -> tuple[object, ...]:
    packages = tuple((package.name, package.arch or "") for package in row.packages)
    return (row.title, row.ecosystem, packages, row.kind, row.before, row.after)
