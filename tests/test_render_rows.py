"""Every changed row is found in the notes once, in whatever format."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman.model.changelog import Changelog, Row
from relman.model.diff import ChangeKind
from tests.changelogs import changelog, group, row, variant
from tests.notes_reading import notes

VARIANTS = ("os", "os-dx", "os-nvidia")
_SETS = [VARIANTS, VARIANTS[:2], VARIANTS[1:], ("os-dx",)]
_ADDRESS = {
    "markdown": re.compile(r"\]\(https?:[^)]*\)"),
    "html": re.compile(r'href="[^"]*"'),
    "bbcode": re.compile(r"\[url=[^\]]*\]"),
    "text": re.compile(r"$^"),
}
_HEADINGS = {
    "markdown": ("\n## Packages\n", "\n## Images\n"),
    "html": ("<h2>Packages</h2>", "<h2>Images</h2>"),
    "bbcode": ("[h2]Packages[/h2]", "[h2]Images[/h2]"),
    "text": ("\nPackages\n--------\n", "\nImages\n------\n"),
}

_shapes = st.tuples(
    st.sampled_from(ChangeKind),
    st.integers(1, 4),
    st.sampled_from([None, "Fedora Project", "Terra", "unknown"]),
)


@st.composite
def _changelogs(draw: st.DrawFn) -> Changelog:
    """Groups of rows in which every package, source and version has a name of its own."""
    number = 0
    groups = []
    for variants in _SETS:
        rows = []
        for kind, packages, vendor in draw(st.lists(_shapes, max_size=6)):
            number += 1
            names = tuple(f"p{number}x{at}z" for at in range(packages))
            before = "" if kind is ChangeKind.ADDED else f"{number}.1-1"
            after = "" if kind is ChangeKind.REMOVED else f"{number}.2-1"
            rows.append(row(names, before, after, kind=kind, source=f"s{number}z", vendor=vendor))
        if rows:
            groups.append(group(f"Group of {len(variants)}", rows, variants))
    return changelog(variants=tuple(map(variant, VARIANTS)), groups=tuple(groups))


def _shown(text: str, format: str) -> str:
    """What readers see in the part on packages, addresses aside."""
    begin, end = _HEADINGS[format]
    return _ADDRESS[format].sub("", text.partition(begin)[2].partition(end)[0])


def _expected(rows: list[Row]) -> Counter[str]:
    """How often each word stands there: a package once, and the name of a source of several in its row and list."""
    words: Counter[str] = Counter()
    for each in rows:
        words.update(package.name for package in each.packages)
        if len(each.packages) > 1 and each.kind is not ChangeKind.REBUILT:
            words[f"{each.source}"] += 2
    return words


@pytest.mark.parametrize("format", _HEADINGS)
@settings(max_examples=40, deadline=None)
@given(_changelogs())
def test_every_changed_row_is_in_the_notes_exactly_once(format: str, made: Changelog) -> None:
    rows = [each for part in made.groups for each in part.rows]

    shown = _shown(notes(made, format), format)

    assert Counter(re.findall(r"\b[ps]\d+(?:x\d)?z\b", shown)) == _expected(rows)
    for each in rows:
        if each.kind is not ChangeKind.REBUILT:
            for version in (*each.before, *each.after):
                assert version in shown
