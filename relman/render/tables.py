"""A changelog's groups as the tables that templates print: symbols, labels, versions with what else changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec
from msgspec.structs import replace

from relman.model.changelog import Changelog, Group, Major, PackageName, Row
from relman.model.diff import ChangeKind
from relman.model.oci import Platform
from relman.render.links import Links

SYMBOLS: Mapping[ChangeKind, str] = {
    ChangeKind.ADDED: "✨",
    ChangeKind.REMOVED: "❌",
    ChangeKind.UPGRADED: "🔄",
    ChangeKind.DOWNGRADED: "⏪",
    ChangeKind.REBUILT: "🔁",
    ChangeKind.RENAMED: "🏷️",
    ChangeKind.CHANGED: "🔀",
}
"""In the order in which counts are given. The first three are those of the notes that readers know."""

_ADDED_CHANGED_REMOVED = ("✨", "🔄", "❌")


class Entry(msgspec.Struct, frozen=True):
    """A row as it is printed. ``names`` are its packages, `name.arch` where one name has several arches in the group.

    ``title`` stands for them all; ``before`` and ``after`` hold every version, with what else changed in brackets,
    and are empty where nothing was or is installed. ``link`` is the page of its source, ``build`` that of this build.
    """

    kind: ChangeKind
    symbol: str
    title: str
    names: tuple[str, ...]
    before: str
    after: str
    link: str | None = None
    build: str | None = None

    @property
    def several(self) -> bool:
        """Whether it stands for more than one package."""
        return len(self.names) > 1


class Table(msgspec.Struct, frozen=True):
    """A group as it is printed. ``rebuilt`` are the rows of which nothing but the dist tag changed.

    ``where`` names the variants when the title does not, and the platforms when there are others; empty where the
    group is everything. ``packages`` counts packages, not rows; ``counts`` by kind, those that are not zero.
    ``title`` counts the variants where it would be a long list of them, which is then in ``where``.
    """

    title: str
    where: str
    entries: tuple[Entry, ...]
    rebuilt: tuple[Entry, ...]
    packages: int
    counts: Mapping[ChangeKind, int]

    @property
    def news(self) -> int:
        """How many packages are not only built again."""
        return self.packages - self.counts.get(ChangeKind.REBUILT, 0)


class Line(msgspec.Struct, frozen=True):
    """One package in the classic tables: `✨`, `🔄` or `❌`, its name, all versions before and after."""

    symbol: str
    name: str
    before: str
    after: str


class MajorLine(msgspec.Struct, frozen=True):
    """A major package as it is printed; ``where`` is empty where it holds for every variant."""

    label: str
    where: str
    before: str
    after: str
    link: str | None = None
    build: str | None = None

    @property
    def changed(self) -> bool:
        """Whether its version did."""
        return self.before != self.after

    @property
    def step(self) -> str:
        """`before ➡️ after`, the version alone where it is unchanged or new, a dash where it is on neither side."""
        if not self.before or self.before == self.after:
            return self.after or "–"
        return f"{self.before} ➡️ {self.after or 'removed'}"

    @property
    def symbol(self) -> str:
        """`✨` for a package that was not there before, `❌` for one that is there no longer, else empty."""
        return "" if bool(self.before) == bool(self.after) else "❌" if self.before else "✨"


def tables(changelog: Changelog, links: Links | None = None) -> tuple[Table, ...]:
    """Every group, in order; rows as the changelog has them. Rebuilt rows have no links: there is nothing to read."""
    everywhere = tuple(dict.fromkeys(variant.name for variant in changelog.variants))
    platforms = {variant.platform for variant in changelog.variants}
    return tuple(_table(group, everywhere, platforms, links) for group in changelog.groups)


def _table(group: Group, everywhere: Sequence[str], platforms: AbstractSet[Platform], links: Links | None) -> Table:
    several = _several_arches(group.rows)
    entries = [_entry(row, several, links) for row in group.rows]
    counts = Counter(dict.fromkeys(SYMBOLS, 0))
    for row in group.rows:
        counts[row.kind] += len(row.packages)
    return Table(
        title=_title(group, len(everywhere)),
        where=_where(group, everywhere, platforms),
        entries=tuple(entry for entry in entries if entry.kind is not ChangeKind.REBUILT),
        rebuilt=tuple(entry for entry in entries if entry.kind is ChangeKind.REBUILT),
        packages=counts.total(),
        counts={kind: count for kind, count in counts.items() if count},
    )


MANY = 4
"""Variants that are still named one by one, where they are not the point."""


def _title(group: Group, everywhere: int) -> str:
    named = ", ".join(group.variants)
    if len(group.variants) > MANY and group.title.startswith(named):
        return f"{len(group.variants)} of {everywhere} images{group.title.removeprefix(named)}"
    return group.title


def _where(group: Group, everywhere: Sequence[str], platforms: AbstractSet[Platform]) -> str:
    parts: list[str] = []
    title = _title(group, len(everywhere))
    if set(group.variants) != set(everywhere) and not all(variant in title for variant in group.variants):
        parts.append(", ".join(group.variants))
    if set(group.platforms) != platforms:
        named = [str(platform) for platform in group.platforms]
        if not all(name in title for name in named):
            parts.append(", ".join(named))
    return " on ".join(parts)


def _several_arches(rows: Iterable[Row]) -> frozenset[str]:
    """The names that stand in these rows for more than one arch."""
    arches: dict[str, set[str | None]] = {}
    for row in rows:
        for package in row.packages:
            arches.setdefault(package.name, set()).add(package.arch)
    return frozenset(name for name, found in arches.items() if len(found) > 1)


_BESIDE = frozenset({"i386", "i486", "i586", "i686"})
"""Arches that stand beside a system's own: `openssl-libs` without its arch would read as gone altogether."""


def _label(package: PackageName, several: frozenset[str]) -> str:
    told_apart = package.name in several or package.arch in _BESIDE
    return f"{package.name}.{package.arch}" if package.arch and told_apart else package.name


def _entry(row: Row, several: frozenset[str], links: Links | None) -> Entry:
    names = tuple(_label(package, several) for package in row.packages)
    title = names[0] if len(names) == 1 else row.source or row.title
    link = links.source(row) if links and row.kind is not ChangeKind.REBUILT else None
    build = links.build(row) if links and row.kind is ChangeKind.DOWNGRADED else None
    return Entry(row.kind, SYMBOLS[row.kind], title, names, _before(row), ", ".join(row.after), link, build)


def _before(row: Row, *, name: bool = True) -> str:
    remarks = [
        row.name_before if name else None,
        row.arch_before,
        f"vendor {row.vendor_before}" if row.vendor_before else None,
    ]
    said = ", ".join(remark for remark in remarks if remark)
    versions = ", ".join(row.before)
    return f"{versions} ({said})" if said else versions


def lines(group: Group) -> tuple[Line, ...]:
    """A group as one line for each package: added, then changed, then removed, each by name.

    A renamed package is the old one removed and the new one added, since these tables know no other way.
    """
    found = sorted(
        _lines(group.rows, _several_arches(group.rows)),
        key=lambda line: (_ADDED_CHANGED_REMOVED.index(line.symbol), line.name, line.before, line.after),
    )
    return tuple(found)


def _lines(rows: Iterable[Row], several: frozenset[str]) -> Iterator[Line]:
    for row in rows:
        for package in row.packages:
            name, before, after = _label(package, several), _before(row, name=False), ", ".join(row.after)
            if row.name_before:
                yield Line("❌", row.name_before, before, "")
                yield Line("✨", name, "", after)
            else:
                yield Line("✨" if not before else "❌" if not after else "🔄", name, before, after)


def classic_title(title: str) -> str:
    """The group's title in the spelling of the old notes, which pages look for: `All Images`."""
    return "All Images" if title.lower() == "all images" else title


def majors(changelog: Changelog, links: Links | None = None) -> tuple[MajorLine, ...]:
    """The major packages as they are printed; variants are named, or counted, where not all have the same."""
    everywhere = {variant.name for variant in changelog.variants}
    rows = _rows_by_step(changelog, {major.package for major in changelog.majors}) if links else {}
    made = []
    for line, major in zip(_major_lines(changelog.majors), changelog.majors, strict=True):
        if not line.where and set(major.variants) != everywhere:
            words = ", ".join(map(_word, sorted(major.traits)))
            line = replace(line, where=f"{words} images" if words else ", ".join(major.variants))
        if len(major.variants) > MANY and line.where == ", ".join(major.variants):
            line = replace(line, where=f"{len(major.variants)} of {len(everywhere)} images")
        row = rows.get((major.package, major.before, major.after))
        if links and row:
            line = replace(line, link=links.source(row), build=links.build(row))
        made.append(line)
    return tuple(made)


def _rows_by_step(
    changelog: Changelog, names: AbstractSet[str]
) -> Mapping[tuple[str, tuple[str, ...], tuple[str, ...]], Row]:
    """The rows in which these packages changed, by name and step."""
    return {
        (package.name, row.before, row.after): row
        for group in changelog.groups
        for row in group.rows
        for package in row.packages
        if package.name in names
    }


def majors_by_trait(changelog: Changelog) -> Mapping[str, tuple[MajorLine, ...]]:
    """The major packages under the word of their traits: `dx` is `DX`, none is the empty word.

    Those that are installed on neither side are left out: the old notes have no way to say so.
    """
    words: dict[str, list[Major]] = {}
    for major in changelog.majors:
        if major.before or major.after:
            words.setdefault(" ".join(map(_word, sorted(major.traits))), []).append(major)
    return {word: _major_lines(words[word]) for word in sorted(words, key=lambda word: word != "")}


def _word(trait: str) -> str:
    return trait.upper() if len(trait) <= 3 else trait[:1].upper() + trait[1:]


def _major_lines(found: Sequence[Major]) -> tuple[MajorLine, ...]:
    labels = Counter(major.label for major in found)
    return tuple(
        MajorLine(
            label=major.label,
            where=", ".join(major.variants) if labels[major.label] > 1 else "",
            before=", ".join(major.before),
            after=", ".join(major.after),
        )
        for major in found
    )
