"""A composed set of builds in Bluefin's shape, with the truth of every change between them.

Four variants, three builds, about 1,900 packages each. Names and versions of the first build are real
(tests/data/README.md); what happens afterwards is composed, and each `Step` says what it is *because of how it was
made*: nothing here compares two lists. The traps are those of published release notes that were wrong.
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relman.model.diff import Change, ChangeKind, Part
from tests import bluefin_traps as traps

VARIANTS = ("bluefin", "bluefin-dx", "bluefin-nvidia-open", "bluefin-dx-nvidia-open")
ALL = frozenset(VARIANTS)
DX = frozenset(variant for variant in VARIANTS if "dx" in variant)
NVIDIA = frozenset(variant for variant in VARIANTS if "nvidia" in variant)
TRAITS: Mapping[str, tuple[str, ...]] = {
    variant: tuple(
        trait
        for trait, has in (("base", variant not in DX), ("dx", variant in DX), ("nvidia", variant in NVIDIA))
        if has
    )
    for variant in VARIANTS
}
MAJOR = 44
DATES = (dt.date(2026, 6, 9), dt.date(2026, 6, 16), dt.date(2026, 6, 23))

Where = Mapping[str, frozenset[str]]
WHERE: Where = {"all": ALL, "dx": DX, "nvidia": NVIDIA, "plain": ALL - NVIDIA}


@dataclass(frozen=True, slots=True)
class Installed:
    """One line of an rpm database. ``version`` is ``[epoch:]version-release``."""

    name: str
    arch: str
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one package between two builds, in these variants. ``kind`` is `None` for no change at all.

    ``arch_before`` differs from ``arch`` only where that is the change.
    """

    name: str
    arch: str
    source: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    kind: ChangeKind | None
    part: Part | None
    variants: frozenset[str]
    arch_before: str | None = None

    def change(self) -> Change | None:
        """How a right diff shows it; `None` where it shows nothing."""
        if self.kind is None:
            return None
        return Change(
            kind=self.kind,
            part=self.part,
            ecosystem="rpm",
            name=self.name,
            arch=self.arch,
            before=self.before,
            after=self.after,
            source=self.source,
            arch_before=self.arch_before,
        )

    def side(self, after: bool) -> Iterator[Installed]:
        """What is installed on one side."""
        arch = self.arch if after else self.arch_before or self.arch
        for version in self.after if after else self.before:
            yield Installed(self.name, arch, version, self.source)


@dataclass(frozen=True, slots=True)
class FoldedRow:
    """Packages of one source with the same step, as a set of variants shows them."""

    source: str
    kind: ChangeKind
    part: Part | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    packages: frozenset[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Composed:
    """The whole set. Builds are numbered from 0; ``transitions[n]`` leads from build n to n + 1."""

    first: Mapping[str, tuple[Installed, ...]]
    transitions: tuple[tuple[Step, ...], ...]
    trusted: tuple[tuple[str, ...], ...]

    @functools.cache  # noqa: B019  there is one set for each seed, kept for the whole run anyway
    def installed(self, variant: str, build: int) -> tuple[Installed, ...]:
        """Everything in one image, sorted, without the trusted keys."""
        packages = set(self.first[variant])
        for steps in self.transitions[:build]:
            for step in steps:
                if variant in step.variants:
                    packages -= set(step.side(after=False))
                    packages |= set(step.side(after=True))
        return tuple(sorted(packages, key=lambda p: (p.name, p.arch, p.version)))

    def steps(self, before: int, after: int) -> tuple[Step, ...]:
        """Everything that happened between two builds. No package is touched twice, so steps just add up."""
        return tuple(step for steps in self.transitions[before:after] for step in steps)

    def changes(self, variant: str, before: int, after: int) -> tuple[Change, ...]:
        """The right diff of one variant, sorted as the contract has it."""
        changes = (step.change() for step in self.steps(before, after) if variant in step.variants)
        return tuple(sorted((c for c in changes if c), key=lambda c: (c.ecosystem, c.name, c.arch or "")))

    def keys(self, before: int, after: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Trusted keys added and removed, in every variant alike."""
        old, new = self.trusted[before], self.trusted[after]
        return tuple(k for k in new if k not in old), tuple(k for k in old if k not in new)

    def changed(self, before: int, after: int) -> int:
        """How many (variant, platform, package) rows changed."""
        return sum(len(step.variants) for step in self.steps(before, after) if step.kind)

    def groups(self, before: int, after: int) -> dict[frozenset[str], frozenset[FoldedRow]]:
        """The right partition: for each exact set of variants, the folded rows."""
        folded: dict[frozenset[str], dict[tuple[object, ...], list[Step]]] = defaultdict(lambda: defaultdict(list))
        for step in self.steps(before, after):
            if step.kind:
                same = (step.source, step.kind, step.part, step.before, step.after, step.arch_before)
                folded[step.variants][same].append(step)
        return {
            variants: frozenset(
                FoldedRow(
                    s[0].source, s[0].kind, s[0].part, s[0].before, s[0].after, frozenset((p.name, p.arch) for p in s)
                )
                for s in rows.values()
                if s[0].kind
            )
            for variants, rows in folded.items()
        }


@functools.cache
def compose(seed: int = MAJOR) -> Composed:
    """The set for this seed: other seeds bump other packages, the traps stay."""
    first = {variant: {(p.name, p.arch): p for p in _first(variant)} for variant in VARIANTS}
    chance = random.Random(seed)
    taken: set[tuple[str, str]] = set()
    big = tuple(_trapped(first, taken)) + tuple(_bumped(first, taken, chance, sources=60))
    small = tuple(_bumped(first, taken, chance, sources=12))
    befores = {
        variant: {(p.name, p.arch) for step in big if variant in step.variants for p in step.side(after=False)}
        for variant in VARIANTS
    }
    lists = {
        variant: (
            *(p for key, p in first[variant].items() if key not in befores[variant]),
            *(p for step in big if variant in step.variants for p in step.side(after=False)),
        )
        for variant in VARIANTS
    }
    return Composed(lists, (big, small), traps.KEYS)


def real_packages() -> tuple[Installed, ...]:
    """The packages of a real image, without its trusted key."""
    with (Path(__file__).parent / "data" / "packages.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return tuple(
        Installed(
            r["name"],
            r["arch"],
            f"{r['epoch']}:{r['version-release']}" if r["epoch"] else r["version-release"],
            r["source"],
        )
        for r in rows
        if r["name"] != "gpg-pubkey"
    )


def _first(variant: str) -> Iterator[Installed]:
    for package in real_packages():
        yield package
        if package.name in traps.ALSO_I686:
            yield replace(package, arch="i686")
    for where, extra in traps.EXTRA.items():
        if variant in WHERE[where]:
            for name, version, source, *arches in extra:
                yield from (Installed(name, arch, version, source) for arch in arches or ["x86_64"])


def _trapped(first: Mapping[str, Mapping[tuple[str, str], Installed]], taken: set[tuple[str, str]]) -> Iterator[Step]:
    """The steps that are written out, for every package that they name."""
    for trap in traps.TRAPS:
        variants = frozenset(VARIANTS) & (WHERE.get(trap.where) or frozenset(trap.where.split()))
        for name in trap.names:
            for arch in trap.arches:
                taken.add((name, arch))
                known = next((first[v][name, arch] for v in VARIANTS if (name, arch) in first[v]), None)
                source = trap.source or (known.source if known else name)
                kind = ChangeKind(trap.kind) if trap.kind else None
                part = Part(trap.part) if trap.part else None
                yield Step(name, arch, source, trap.before, trap.after, kind, part, variants, trap.arch_before)
                if trap.arch_before:
                    taken.add((name, trap.arch_before))


def _bumped(
    first: Mapping[str, Mapping[tuple[str, str], Installed]],
    taken: set[tuple[str, str]],
    chance: random.Random,
    *,
    sources: int,
) -> Iterator[Step]:
    """Ordinary life: whole sources get a new version, a new release, or are built again for another dist."""
    by_source: dict[tuple[str, str], dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for variant in VARIANTS:
        for key, package in first[variant].items():
            by_source[package.source, package.version][key].add(variant)
    free = [
        (source, version)
        for (source, version), found in sorted(by_source.items())
        if _PLAIN.fullmatch(version) and not taken & set(found)
    ]
    for source, version in chance.sample(free, sources):
        kind, part, after = _bump(version, chance.choices(("version", "release", "dist"), (6, 3, 2))[0], chance)
        for (name, arch), variants in sorted(by_source[source, version].items()):
            taken.add((name, arch))
            yield Step(name, arch, source, (version,), (after,), kind, part, frozenset(variants))


_PLAIN = re.compile(r"(?P<head>(?:\d+:)?(?:\d+\.)+)(?P<last>[1-9]\d{0,4})-(?P<release>[1-9]\d*)\.fc(?P<dist>\d\d)")


def _bump(version: str, what: str, chance: random.Random) -> tuple[ChangeKind, Part, str]:
    match = _PLAIN.fullmatch(version)
    assert match is not None
    head, last, release, dist = match["head"], int(match["last"]), int(match["release"]), int(match["dist"])
    if what == "version":
        return ChangeKind.UPGRADED, Part.VERSION, f"{head}{last + chance.choice((1, 2, 9))}-1.fc{dist}"
    if what == "release":
        return ChangeKind.UPGRADED, Part.RELEASE, f"{head}{last}-{release + chance.choice((1, 9))}.fc{dist}"
    return ChangeKind.REBUILT, Part.DIST, f"{head}{last}-{release}.fc{chance.choice((f'{dist + 1}', f'{dist}.1'))}"


def counted(changes: Iterable[Change]) -> dict[ChangeKind, int]:
    """How many changes of each kind there are, every kind named."""
    found = [change.kind for change in changes]
    return {kind: found.count(kind) for kind in ChangeKind}


def as_json(change: Change) -> dict[str, Any]:
    """A change as `relman.diff/1` shows it."""
    shown: dict[str, Any] = {
        "kind": change.kind.value,
        "part": change.part.value if change.part else None,
        "ecosystem": "rpm",
        "name": change.name,
        "arch": change.arch,
        "before": list(change.before),
        "after": list(change.after),
        "source": change.source,
    }
    return {**shown, "arch_before": change.arch_before} if change.arch_before else shown
