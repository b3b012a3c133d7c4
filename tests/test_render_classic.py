"""The tables that pages have read since 2024: the same data comes back from them."""

from __future__ import annotations

import pytest

from relman.model.changelog import Changelog
from relman.render.markdown import sanitised
from tests import changelogs
from tests.changelogs import changelog, group, row, variant
from tests.notes_reading import MADE, Read, notes, read_tables


def expected_lines(made: Changelog) -> list[tuple[str, list[list[str]]]]:
    """What the classic tables have to say about each group, taken from the changelog by itself."""
    found = []
    for each in made.groups:
        arches: dict[str, set[str | None]] = {}
        for r in each.rows:
            for package in r.packages:
                arches.setdefault(package.name, set()).add(package.arch)
        rows = []
        for r in each.rows:
            said = ", ".join(filter(None, [r.arch_before, r.vendor_before and f"vendor {r.vendor_before}"]))
            before = ", ".join(r.before) + (f" ({said})" if said else "")
            for package in r.packages:
                name = f"{package.name}.{package.arch}" if len(arches[package.name]) > 1 else package.name
                if r.name_before:
                    rows += [["❌", r.name_before, before, ""], ["✨", name, "", ", ".join(r.after)]]
                else:
                    symbol = "✨" if not r.before else "❌" if not r.after else "🔄"
                    rows.append([symbol, name, before, ", ".join(r.after)])
        title = "All Images" if each.title == "All images" else each.title
        found.append((sanitised(title), sorted([sanitised(cell) for cell in line] for line in rows)))
    return found


@pytest.mark.parametrize("name", ["small", "large", "pathological"])
def test_a_parser_reads_the_same_packages_back_from_the_classic_tables(name: str) -> None:
    made = MADE[name]()

    tables = [table for table in read_tables(notes(made, "classic")) if table.head == ["", "Name", "Previous", "New"]]

    assert [(table.heading, sorted(table.rows)) for table in tables] == expected_lines(made)


@pytest.mark.parametrize("name", ["small", "large", "pathological"])
def test_a_page_that_splits_lines_at_pipes_finds_the_same_cells(name: str) -> None:
    text = notes(MADE[name](), "classic", authors=True)
    wanted = [len(table.head) for table in read_tables(text) for _ in range(len(table.rows) + 2)]

    found = [len(line[1:-1].split("|")) for line in text.splitlines() if line.startswith("|")]

    assert found == wanted


def test_classic_majors_and_commits_are_those_of_todays_notes() -> None:
    text = notes(changelogs.small(), "classic", authors=True)

    majors, dx, commits, *_ = read_tables(text)

    assert text.startswith(
        "This is an automatically generated changelog for release `stable-20250608`.\n\n"
        "From previous `stable` version `stable-20250525` there have been the following changes. "
        "**Every changed package is shown.**\n\n"
    )
    assert majors == Read(
        "Major packages",
        ["Name", "Version"],
        [["Kernel", "6.14.4-300.fc42 ➡️ 6.14.5-300.fc42"], ["Podman", "5:5.5.0-1.fc42"]],
    )
    assert dx == Read("Major DX packages", ["Name", "Version"], [["Docker", "28.1.1-1.fc42 ➡️ 28.2.2-1.fc42"]])
    assert (commits.heading, commits.head) == ("Commits", ["Hash", "Subject", "Author"])
    assert commits.rows[0] == [
        changelogs.sha("feat: Add `iwd` (#2616)")[:7],
        "feat: Add `iwd` (#2616)",
        "A. Maintainer",
    ]
    assert len(commits.rows) == 5


def test_classic_notes_of_nothing_say_so() -> None:
    assert "have been the following changes. **No package changed.**\n" in notes(changelog(), "classic")
    assert "There is no previous `stable` version to compare it with.\n" in notes(
        changelog(variants=(variant("bluefin", follows=False),)), "classic"
    )


def test_classic_notes_admit_what_the_configuration_ignores() -> None:
    assert "**Every changed package is shown, except 3 that the configuration ignores.**" in notes(
        changelog(ignored=3, groups=(group("All images", [row("a", "1", "2")]),)), "classic"
    )
