"""The commands on the composed Bluefin-like set: the diff and the notes are right, to the row, in every form."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from relman.model.diff import ChangeKind, Part
from tests.bluefin import VARIANTS, Composed, FoldedRow, as_json, compose
from tests.bluefin_commits import History, make_history
from tests.bluefin_project import make_project, relman, title

SINCE = ("--stream", "stable", "--from", "stable-20260609")
ICONS = {
    ChangeKind.ADDED: "✨",
    ChangeKind.REMOVED: "❌",
    ChangeKind.UPGRADED: "🔄",
    ChangeKind.DOWNGRADED: "⏪",
    ChangeKind.REBUILT: "🔁",
    ChangeKind.CHANGED: "🔀",
}


@pytest.fixture(scope="module")
def composed() -> Composed:
    return compose()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return make_history(tmp_path_factory.mktemp("bluefin") / "source")


@pytest.fixture(scope="module")
def project(composed: Composed, history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, composed, history)
    return folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_relman_diff_shows_every_change_and_no_other(project: Path, composed: Composed, variant: str) -> None:
    image = f"oci:images/{variant}:stable-"
    found = json.loads(relman(project, "diff", f"{image}20260609", f"{image}20260616", "--format", "json"))

    added, removed = composed.keys(0, 1)
    assert found["changes"] == [as_json(c) for c in composed.changes(variant, 0, 1)]
    assert found["keys"] == {"added": list(added), "removed": list(removed)}
    assert found["exact"] is True
    assert found["summary"] == {
        kind.value: [c.kind for c in composed.changes(variant, 0, 1)].count(kind) for kind in ChangeKind
    }


def folded(row: dict[str, Any]) -> FoldedRow:
    """A row of `relman.changelog/1` in the generator's words."""
    return FoldedRow(
        source=row["source"],
        kind=ChangeKind(row["kind"]),
        part=Part(row["part"]) if row["part"] else None,
        before=tuple(row["before"]),
        after=tuple(row["after"]),
        packages=frozenset((package["name"], package["arch"]) for package in row["packages"]),
    )


@pytest.fixture(scope="module")
def changelog(project: Path) -> dict[str, Any]:
    """The stream's notes as data, since the oldest build."""
    found: dict[str, Any] = json.loads(relman(project, "changelog", *SINCE, "--format", "json"))
    return found


def test_the_notes_of_a_stream_group_every_change_and_list_every_commit(
    changelog: dict[str, Any], composed: Composed, history: History
) -> None:
    found = changelog
    groups = {frozenset(group["variants"]): {folded(row) for row in group["changes"]} for group in found["groups"]}
    assert groups == {variants: set(rows) for variants, rows in composed.groups(0, 2).items()}
    assert [commit["sha"] for commit in found["commits"]] == [commit.sha for commit in history.commits(0, 2)]
    assert [commit["subject"] for commit in found["commits"]] == [c.line.subject for c in history.commits(0, 2)]
    assert [commit["reverted_by"] for commit in found["commits"]] == [c.reverted_by for c in history.commits(0, 2)]
    assert found["accounting"]["packages"] == {
        "changed": composed.changed(0, 2),
        "shown": composed.changed(0, 2),
        "ignored": 0,
    }
    assert found["version"] == "stable-20260623"


def test_the_rest_of_what_is_read_in_commits_is_right(changelog: dict[str, Any], history: History) -> None:
    found = {commit["sha"]: commit for commit in changelog["commits"]}

    for commit in history.commits(0, 2):
        if commit.line.reverts:
            continue
        shown = found[commit.sha]
        line = commit.line
        assert (shown["type"], shown["scope"], shown["breaking"]) == (line.type, line.scope, line.breaking)
        assert shown["listed"] is not line.subject.startswith(("chore", "Merge "))
        assert shown["author"] == line.author


# --------------------------------------------------------------------------------------------- Markdown, as read

Cells = tuple[str, ...]


def plain(token: Token) -> str:
    """An inline token's text, as a reader sees it."""
    return "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))


def tables(markdown: str, *, heading: str) -> dict[str, list[Cells]]:
    """The rows of every table below what has that ``heading``: an h3's text, or a `<summary>`'s."""
    found: dict[str, list[Cells]] = {}
    under = ""
    row: list[str] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    for before, token in pairwise(tokens):
        if heading == "summary" and token.type == "html_block" and "<summary>" in token.content:
            under = token.content.partition("<summary>")[2].partition("</summary>")[0]
        elif heading == "h3" and before.type == "heading_open" and before.tag in ("h2", "h3"):
            under = plain(token)
        elif token.type == "tr_open":
            row = []
        elif before.type == "td_open":
            row.append(plain(token))
        elif token.type == "tr_close" and row:
            found.setdefault(under, []).append(tuple(row))
    return found


def joined(versions: tuple[str, ...], arch: str | None = None) -> str:
    return ", ".join(versions) + (f" ({arch})" if arch else "")


def test_the_markdown_notes_show_every_row_of_every_group(project: Path, composed: Composed) -> None:
    found = tables(relman(project, "changelog", *SINCE), heading="summary")

    shown = Counter(
        (summary.partition(":")[0], *row) for summary, rows in found.items() for row in rows if len(row) == 4
    )
    wanted: Counter[tuple[str, ...]] = Counter()
    for variants, folded_rows in composed.groups(0, 2).items():
        for row in folded_rows:
            if row.kind is ChangeKind.REBUILT:
                continue
            (name, row_arch), many = next(iter(row.packages)), len(row.packages)
            name = f"{name}.{row_arch}" if row_arch == "i686" else name
            shown_name = name if many == 1 else f"{row.source} ({many} packages)"
            arch = "x86_64" if name == "gnome-shell-common" else None
            wanted[title(variants), ICONS[row.kind], shown_name, joined(row.before, arch), joined(row.after)] += 1
    assert shown == wanted


def test_the_markdown_notes_name_what_was_built_again_once_in_each_group(project: Path, composed: Composed) -> None:
    notes = relman(project, "changelog", *SINCE)

    shown = re.findall(r"<summary>🔁 [0-9]+ packages? built again from the same version</summary>\n\n(.*)\n", notes)
    wanted = []
    for rows in composed.groups(0, 2).values():
        several = Counter(name for row in rows for name, _ in row.packages)
        again = [package for row in rows if row.kind is ChangeKind.REBUILT for package in row.packages]
        wanted.append(sorted(f"{name}.{arch}" if several[name] > 1 or arch == "i686" else name for name, arch in again))
    assert sorted(sorted(names.split(", ")) for names in shown) == sorted(filter(None, wanted))


def test_the_classic_notes_show_every_package_of_every_group(project: Path, composed: Composed) -> None:
    found = tables(relman(project, "changelog", *SINCE, "--format", "classic"), heading="h3")

    shown = {
        group: Counter((icon, name, before, after) for icon, name, before, after in rows)
        for group, rows in found.items()
        if all(len(row) == 4 for row in rows)
    }
    wanted: dict[str, Counter[Cells]] = {}
    for variants, rows in composed.groups(0, 2).items():
        group = wanted.setdefault(title(variants).replace("All images", "All Images"), Counter())
        names = Counter(name for row in rows for name, _ in row.packages)
        for row in rows:
            icon = ICONS[row.kind] if row.kind in (ChangeKind.ADDED, ChangeKind.REMOVED) else "🔄"
            for name, arch in row.packages:
                whole = f"{name}.{arch}" if names[name] > 1 or arch == "i686" else name
                was = "x86_64" if name == "gnome-shell-common" else None
                group[icon, whole, joined(row.before, was), joined(row.after)] += 1
    assert shown == wanted


def test_every_listed_commit_stands_in_the_notes_as_it_was_written(project: Path, history: History) -> None:
    text = relman(project, "changelog", *SINCE, "--format", "classic")

    rows = tables(text, heading="h3")["Commits"]

    unseen = dict.fromkeys(map(ord, "\u2066\u2067\u2068\u2069\u202a\u202b\u202c\u202d\u202e\u200b"))
    listed = [c for c in history.commits(0, 2) if not c.line.subject.startswith(("chore", "Merge "))]
    assert [row[0] for row in rows] == [commit.sha[:7] for commit in listed]
    for row, commit in zip(rows, listed, strict=True):
        subject = commit.line.subject.translate(unseen)
        assert subject.startswith(row[1].translate(unseen).rstrip("…").rstrip()), row
    assert "<script" not in text
    assert "@somebody" not in text
