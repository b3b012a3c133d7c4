"""The matrix: every trap of comparing packages against every source that can meet it, to the row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from relman.model.contents import Contents, Unavailable
from relman.walk.compare import Comparison, compare_contents
from tests.trap_sources import SOURCES, Source
from tests.traps import TRAPS, Row, Trap

BY_NAME = {source.name: source for source in SOURCES}
IMAGES = [(source, ecosystem) for source in SOURCES for ecosystem in sorted(source.ecosystems)]
CELLS = [(source, ecosystem, trap) for source, ecosystem in IMAGES for trap in TRAPS[ecosystem]]
Look = Callable[[Source, str, int], Contents]


@pytest.fixture(scope="module")
def look() -> Look:
    """The contents of a build by a source, read once."""
    known: dict[tuple[str, str, int], Contents] = {}

    def look(source: Source, ecosystem: str, build: int) -> Contents:
        key = (source.name, ecosystem, build)
        if key not in known:
            traps = TRAPS[ecosystem]
            found = source.read([one for trap in traps for one in (trap.before, trap.after)[build]], build)
            assert isinstance(found, Contents), found
            known[key] = found
        return known[key]

    return look


def expected(trap: Trap, *sources: Source) -> tuple[Row, ...]:
    """What a diff between ``sources`` shows of ``trap``; the obsoletes are those of the later side."""
    if not all(source.exact for source in sources):
        return trap.label
    lacks = frozenset[str]().union(*(source.lacks - {"obsoletes"} for source in sources))
    lacks |= sources[-1].lacks & {"obsoletes"}
    return next((rows for what, rows in trap.without.items() if what in lacks), trap.rows)


def shown(found: Comparison, trap: Trap) -> list[Row]:
    return [row for row in found.changes if row.name in trap.names or row.name_before in trap.names]


def ordered(rows: Iterator[Row] | tuple[Row, ...] | list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.name, row.arch or ""))


def _id(value: object) -> str:
    return getattr(value, "name", str(value))


@pytest.mark.parametrize(("source", "ecosystem", "trap"), CELLS, ids=_id)
def test_a_trap_gives_its_rows_and_no_others(source: Source, ecosystem: str, trap: Trap, look: Look) -> None:
    found = compare_contents(look(source, ecosystem, 0), look(source, ecosystem, 1))

    assert ordered(shown(found, trap)) == ordered(expected(trap, source))


@pytest.mark.parametrize(("source", "ecosystem"), IMAGES, ids=_id)
def test_a_source_says_nothing_beside_the_traps_and_how_exact_it_is(source: Source, ecosystem: str, look: Look) -> None:
    before, after = (look(source, ecosystem, build) for build in (0, 1))
    found = compare_contents(before, after)
    traps = TRAPS[ecosystem]

    assert len(found.changes) == sum(len(expected(trap, source)) for trap in traps)
    assert found.exact is source.exact
    if source.exact:
        added = tuple(key for trap in traps for key in trap.keys[0])
        removed = tuple(key for trap in traps for key in trap.keys[1])
        assert (found.keys_added, found.keys_removed) == (added, removed)
        assert found.notes == tuple(
            note for trap in traps for note in trap.notes if "modules" not in source.lacks and trap.notes
        )
    else:
        assert found.notes == (
            "The source `label` of both sides knows no epochs: they are left out on both sides, so a step in the epoch "
            "alone is not seen.",
            "The source `label` of both sides does not know the architecture of every package: all architectures of a "
            "name are compared as one.",
            "The source `label` of both sides knows one version of each name: where several are installed side by "
            "side, only one of them is compared.",
        )
        assert (found.keys_added, found.keys_removed) == ((), ())


PAIRS = [
    (one, two, ecosystem)
    for one, two in product(SOURCES, repeat=2)
    for ecosystem in sorted(one.ecosystems & two.ecosystems)
    if one is not two and one.exact and two.exact
]


def test_two_exact_sources_give_the_rows_that_both_can_know(look: Look) -> None:
    wrong = [
        (one.name, two.name, trap.name, shown(found, trap))
        for one, two, ecosystem in PAIRS
        for found in (compare_contents(look(one, ecosystem, 0), look(two, ecosystem, 1)),)
        for trap in TRAPS[ecosystem]
        if ordered(shown(found, trap)) != ordered(expected(trap, one, two))
    ]

    assert wrong == []
    assert len(PAIRS) > 500


@pytest.mark.parametrize(
    ("before", "after"), [("label, version 2", "rpm ndb, gzip"), ("syft-json", "label, version 1")]
)
def test_the_same_build_by_a_label_and_by_an_exact_source_differs_only_in_what_stands_side_by_side(
    before: str, after: str, look: Look
) -> None:
    found = compare_contents(look(BY_NAME[before], "rpm", 1), look(BY_NAME[after], "rpm", 1))

    assert (found.changes, found.keys_added, found.keys_removed, found.exact) == ((), (), (), False)
    assert len(found.notes) == 3
    assert all("`label` of the side `" in note for note in found.notes)


@pytest.mark.parametrize("source", [source for source in SOURCES if source.empty], ids=_id)
def test_a_list_without_packages_is_no_list_and_says_so(source: Source) -> None:
    found = source.read([], 0)

    assert isinstance(found, Unavailable), found
    assert source.empty in found.reason


def test_every_source_meets_every_trap_of_its_ecosystem() -> None:
    assert {ecosystem: len(traps) for ecosystem, traps in TRAPS.items()} == {"rpm": 27, "deb": 12, "alpm": 6}
    assert len(CELLS) == len({(s.name, e, t.name) for s, e, t in CELLS}) > 700
    for traps in TRAPS.values():
        names = [name for trap in traps for name in trap.names]
        assert len(names) == len(set(names)), "a package belongs to one trap, else its rows are nobody's"
