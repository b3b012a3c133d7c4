"""Markdown cut to a limit, between sections, blocks or rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.render.fit import fit
from tests.hostile_text import hostile

NOTES = """\
# Title

Summary.

## One

| a | b |
| - | - |
| 1 | 2 |
| 3 | 4 |

## Two

### Deep

Text.

<details>
<summary>x</summary>

folded

## inside

</details>

Last.
"""


def test_a_text_that_fits_is_not_touched() -> None:
    assert fit(NOTES, len(NOTES)) == NOTES


def _room_until(end: str) -> int:
    """A limit that has just enough room for the notes up to ``end`` and the last line."""
    return NOTES.index(end) + len(end) + len("\n\n…")


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (_room_until("</details>"), "</details>"),
        (_room_until("</details>") - 1, "Text."),
        (_room_until("Text."), "Text."),
        (_room_until("Text.") - 1, "| 3 | 4 |"),
        (_room_until("| 3 | 4 |") - 1, "Summary."),
    ],
)
def test_whole_sections_are_dropped_from_the_end(limit: int, kept: str) -> None:
    assert fit(NOTES, limit) == NOTES[: NOTES.index(kept) + len(kept)] + "\n\n…"


def test_a_title_without_what_it_announces_is_not_kept() -> None:
    assert fit(NOTES, _room_until("Summary.") - 1) == "…"


def test_a_section_too_large_loses_rows_and_items_but_never_half_of_one() -> None:
    table = "| a | b |\n| - | - |\n" + "".join(f"| {n} | {'x' * n} |\n" for n in range(50))
    items = "".join(f"- item {n}\n  of two lines\n" for n in range(50))

    assert fit(table, 100, more="[all](https://e.org)") == (
        "| a | b |\n| - | - |\n| 0 |  |\n| 1 | x |\n| 2 | xx |\n| 3 | xxx |\n| 4 | xxxx |\n\n[all](https://e.org)"
    )
    assert fit(items, 60) == "- item 0\n  of two lines\n- item 1\n  of two lines\n\n…"


def test_the_measure_is_the_channels_own() -> None:
    assert fit("ää\n\n## b\n\nc\n", 8, measure=lambda text: len(text.encode())) == "…"
    assert fit("ää\n\n## b\n\nc\n", 9, measure=lambda text: len(text.encode())) == "ää\n\n…"


def test_a_limit_without_room_for_the_last_line_is_refused() -> None:
    with pytest.raises(ValueError, match="a limit of 3 leaves no room for `https`"):
        fit("long text", 3, more="https")


def test_where_something_is_missing_already_the_last_line_is_due() -> None:
    assert fit("a\n\nb\n", 100, always=True) == "a\n\nb\n\n…"
    assert fit("a\n\nb\n", 6, always=True) == "a\n\n…"


@given(hostile, st.integers(min_value=1, max_value=200))
def test_what_was_cut_fits_and_is_a_beginning(text: str, limit: int) -> None:
    cut = fit(text, limit)

    assert len(cut) <= limit
    if cut != text:
        assert cut.endswith("…")
        kept = cut.removesuffix("…").removesuffix("\n\n")
        assert kept in text.replace("\r\n", "\n").replace("\r", "\n")
