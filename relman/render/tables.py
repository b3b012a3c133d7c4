"""A changelog's groups as the tables that templates print: symbols, labels, versions with what else changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from relman.model.changelog import Changelog, Group, Major, PackageName, Row
from relman.model.diff import ChangeKind

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


@dataclass(frozen=True, slots=True)
class Entry:
    """A row as it is printed. ``names`` are its packages, `name.arch` where one name has several arches in the group.

    ``title`` stands for them all; ``before`` and ``after`` hold every version, with what else changed in brackets,
    and are empty where nothing was or is installed.
    """

    kind: ChangeKind
    symbol: str
    title: str
    names: tuple[str, ...]
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Table:
    """A group as it is printed. ``rebuilt`` are the rows of which nothing but the dist tag changed.

    ``where`` names the variants when the title does not, and the platforms when there are others; empty where the
    group is everything. ``packages`` counts packages, not rows; ``counts`` by kind, those that are not zero.
    """

    title: str
    where: str
    entries: tuple[Entry, ...]
    rebuilt: tuple[Entry, ...]
    packages: int
    counts: Mapping[ChangeKind, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One package in the classic tables: `✨`, `🔄` or `❌`, its name, all versions before and after."""

    symbol: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class MajorLine:
    """A major package as it is printed; ``where`` is empty where it holds for every variant."""

    label: str
    where: str
    before: str
    after: str

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


def tables(changelog: Changelog) -> tuple[Table, ...]:
    """Every group, in order; rows by kind of news, then by title."""
    return tuple(_table(changelog, group) for group in changelog.groups)


def _table(changelog: Changelog, group: Group) -> Table:
    several = _several_arches(group.rows)
    entries = [_entry(row, several) for row in group.rows]
    counts = Counter(dict.fromkeys(SYMBOLS, 0))
    for row in group.rows:
        counts[row.kind] += len(row.packages)
    return Table(
        title=group.title,
        where=_where(changelog, group),
        entries=tuple(entry for entry in entries if entry.kind is not ChangeKind.REBUILT),
        rebuilt=tuple(entry for entry in entries if entry.kind is ChangeKind.REBUILT),
        packages=counts.total(),
        counts={kind: count for kind, count in counts.items() if count},
    )


def _where(changelog: Changelog, group: Group) -> str:
    parts: list[str] = []
    everywhere = {variant.name for variant in changelog.variants}
    if set(group.variants) != everywhere and not all(variant in group.title for variant in group.variants):
        parts.append(", ".join(group.variants))
    if set(group.platforms) != {variant.platform for variant in changelog.variants}:
        named = [str(platform) for platform in group.platforms]
        if not all(name in group.title for name in named):
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


def _entry(row: Row, several: frozenset[str]) -> Entry:
    names = tuple(_label(package, several) for package in row.packages)
    title = names[0] if len(names) == 1 else row.source or row.title
    return Entry(row.kind, SYMBOLS[row.kind], title, names, _before(row), ", ".join(row.after))


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


def majors(changelog: Changelog) -> tuple[MajorLine, ...]:
    """The major packages as they are printed; variants are named where not all have the same."""
    everywhere = {variant.name for variant in changelog.variants}
    made = []
    for line, major in zip(_major_lines(changelog.majors), changelog.majors, strict=True):
        if not line.where and set(major.variants) != everywhere:
            words = ", ".join(map(_word, sorted(major.traits)))
            line = replace(line, where=f"{words} images" if words else ", ".join(major.variants))
        made.append(line)
    return tuple(made)


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
