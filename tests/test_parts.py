"""Notes fitted to what a channel takes: what goes, in which order, and that it is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman.errors import UsageError
from relman.model.changelog import Section
from relman.render import NotesRenderer
from relman.render.markdown import problems
from relman.render.measures import MEASURES, graphemes
from relman.render.parts import MARKERS, ORDER, Parted, start, unmarked
from tests import changelogs
from tests.changelogs import changelog, group, row
from tests.golden_files import check_golden
from tests.notes_reading import BUILT_IN, MADE, notes, read_tables

FULL = "https://example.org/releases/stable-20260612"
ENDINGS = {"markdown": "md", "text": "txt", "bbcode": "bbcode", "html": "html", "classic": "classic.md"}


def fitted(name: str, limit: int, format: str = "markdown", **more: object) -> str:
    return NotesRenderer(BUILT_IN, MADE[name]()).notes(format, limit=limit, full=FULL, **more)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ golden


@pytest.mark.parametrize(
    ("name", "format", "limit"),
    [
        ("large", "markdown", 30_000),
        ("large", "markdown", 20_000),
        ("large", "markdown", 5_000),
        ("large", "markdown", 1_500),
        ("large", "bbcode", 8_000),
        ("large", "text", 5_000),
        ("large", "classic", 5_000),
        ("large", "html", 20_000),
        ("small", "markdown", 2_000),
        ("pathological", "markdown", 2_500),
        ("empty", "markdown", 200),
    ],
)
def test_fitted_notes_are_as_reviewed(name: str, format: str, limit: int) -> None:
    text = fitted(name, limit, format)

    assert len(text) <= limit
    check_golden(f"{name}.{limit}.{ENDINGS[format]}", text)


def test_classic_notes_that_are_cut_do_not_say_that_every_package_is_shown() -> None:
    whole = fitted("small", 100_000, "classic")

    assert "**Every changed package is shown.**" in whole
    for limit in range(600, len(whole), 50):
        cut = fitted("small", limit, "classic")
        assert "**The end of these notes is left out, for want of room.**" in cut
        assert "Every changed package" not in cut


# --------------------------------------------------------------------------------------------- what goes first


def _thousand() -> NotesRenderer:
    rows = [
        row(f"a-package-of-some-length-{n}", f"1.{n}.0-1.fc44", f"1.{n}.1-1.fc44", vendor="Fedora Project")
        for n in range(1000)
    ]
    return NotesRenderer(BUILT_IN, changelog(groups=(group("All images", rows),)))


def test_notes_of_a_thousand_rows_fit_a_forge_by_losing_their_links_alone() -> None:
    renderer = _thousand()
    whole = renderer.notes()

    text = renderer.notes(limit=125_000, full=FULL)

    assert len(whole) > 125_000 >= len(text)
    assert len(read_tables(text)[0].rows) == 1000
    assert "fedoraproject" not in text
    assert (
        "\n\n*Left out here for want of room: the links of package rows. Counts are those of the full notes.* "
        f"[The full notes]({FULL}).\n\n---\n"
    ) in text


def test_parts_go_in_the_stated_order_each_kind_from_its_last() -> None:
    text = unmarked_parts = NotesRenderer(BUILT_IN, changelogs.large())._marked("notes.md.j2", row_links=False)
    parted = Parted(text)
    order = [shed.id for shed in ORDER]

    gone = [part.id for part in parted._parts]

    assert gone == sorted(gone, key=order.index)
    assert [part.first for part in parted._parts if part.id == "group"] == sorted(
        (part.first for part in parted._parts if part.id == "group"), reverse=True
    )
    assert {line.split()[0][1:] for line in unmarked_parts.split("\n") if line.startswith(MARKERS[0])} == set(gone)


@pytest.mark.parametrize("name", ["small", "large", "pathological"])
def test_the_summary_and_the_accounting_stay_as_long_as_anything_is_dropped_in_parts(name: str) -> None:
    whole = notes(MADE[name]())
    parted = Parted(NotesRenderer(BUILT_IN, MADE[name]())._marked("notes.md.j2"))

    least = parted.without(parted.steps, parted.left_out(parted.steps, links=True, full=FULL))

    assert least.split("\n")[:5] == whole.split("\n")[:5]
    assert least.splitlines()[-1] == whole.splitlines()[-1]
    assert "\n## Packages" not in least
    assert f"[The full notes]({FULL})" in least


def test_what_was_left_out_is_counted_once_whatever_held_it() -> None:
    text = NotesRenderer(BUILT_IN, changelogs.small())._marked("notes.md.j2")
    parted = Parted(text)

    assert parted.left_out(parted.steps, links=False, full=None) == (
        "*Left out here for want of room: 2 lists of the packages of a source, 1 commit taken back, "
        "1 package built again, 12 changed packages, 5 commits, 1 section, 2 images and 1 trusted key. "
        "Counts are those of the full notes.*"
    )


def test_json_is_never_cut_and_what_cannot_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="`json` is data"):
        fitted("small", 100, "json")
    with pytest.raises(UsageError, match="the notes cannot be made to fit: a limit of 20 leaves no room"):
        fitted("small", 20)


def test_own_templates_without_parts_are_cut_from_their_end() -> None:
    text = fitted("large", 3_000, "classic")

    assert len(text) <= 3_000
    assert text.startswith("This is an automatically generated changelog")
    assert text.endswith(f"\n\n… [The full notes]({FULL})\n")


# ------------------------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize("format", ["markdown", "text", "bbcode", "html"])
@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(["small", "large", "unchanged"]),
    limit=st.integers(200, 45_000),
    measure=st.sampled_from(sorted(MEASURES)),
)
def test_fitted_notes_fit_by_the_channels_measure_and_are_whole(
    format: str, name: str, limit: int, measure: str
) -> None:  # fmt: skip
    counted: Callable[[str], int] = MEASURES[measure]
    whole = notes(MADE[name](), format)
    try:
        text = fitted(name, limit, format, measure=measure)
    except UsageError:
        assert format == "html"  # the page alone is longer
        return

    assert counted(text) <= limit
    assert not set(text) & set(MARKERS)
    if counted(whole) <= limit:
        assert text == whole
    else:
        assert FULL in text
    if format == "markdown":
        assert problems(text) == ()
        assert "\n\n\n" not in text
        tables = read_tables(text)
        assert all(len(line) == len(table.head) for table in tables for line in table.rows)
        known = {tuple(line) for table in read_tables(whole) for line in table.rows}
        assert {tuple(line) for table in tables for line in table.rows} <= known


def test_a_stranger_cannot_mark_a_part() -> None:
    forged = f"a\n{MARKERS[0]}commits 5\nb\n{MARKERS[1]}\n{MARKERS[2]}"
    made = changelog(
        title=forged,
        notes=(forged,),
        groups=(group("All images", [row(forged, "1", forged)]),),
        sections=(Section("before", 10, forged, forged), Section("after", 60, forged, forged)),
    )

    marked = NotesRenderer(BUILT_IN, made)._marked("notes.md.j2")

    assert [line for line in marked.split("\n") if line.startswith(f"{MARKERS[0]}commits")] == []
    assert marked.count(MARKERS[2]) == 1
    assert marked.count("\n\na\ncommits 5\nb\n") == 2


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no part `pakages` of the notes: there are names, undone"):
        start("pakages", 1)


def test_a_text_without_parts_is_not_touched() -> None:
    assert unmarked("a\n\n\nb\n") == "a\n\n\nb\n"


# ---------------------------------------------------------------------------------------------------- measures


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", (0, 0, 0, 0)),
        ("abc", (3, 3, 3, 3)),
        ("é", (1, 2, 1, 1)),
        ("e\u0301", (2, 3, 2, 1)),
        ("🎉", (1, 4, 2, 1)),
        ("👨‍👩‍👧", (5, 18, 8, 1)),
        ("👍🏽", (2, 8, 4, 1)),
        ("🇩🇪🇫🇷", (4, 16, 8, 2)),
        ("❤️", (2, 6, 2, 1)),
        ("a\r\nb", (4, 4, 4, 3)),
    ],
)
def test_each_place_counts_in_its_own_way(text: str, counts: tuple[int, ...]) -> None:
    names = ("characters", "bytes", "utf16", "graphemes")

    assert tuple(MEASURES[name](text) for name in names) == counts


@given(st.text())
def test_graphemes_are_at_most_the_characters(text: str) -> None:
    assert graphemes(text) <= len(text)
    assert bool(graphemes(text)) == bool(text)
