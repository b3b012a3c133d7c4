"""What others say of the notes: a Markdown linter, and an HTML parser that forgives nothing."""

from __future__ import annotations

from pathlib import Path

import html5lib  # type: ignore[import-untyped]
import pytest
from pymarkdown.api import PyMarkdownApi

from relman.render import NotesRenderer
from tests.hostile_text import read_html
from tests.notes_reading import BUILT_IN, MADE, notes

OFF = {
    "md013": "a row of a table is one line, however long it is",
    "md033": "`<details>` and `<summary>` fold what is long, and forges show them",
    "md034": "a bare address in a commit's subject is its author's, and forges make a link of it",
}  # fmt: skip
"""Rules that are not asked, with the reason."""

BEYOND = {
    "pathological": {
        "md040": "a handwritten section opens a code block and does not say of what",
        "md060": "a commit has no subject, which leaves a cell empty",
    }
}


@pytest.mark.parametrize("limit", [None, 4_000])
@pytest.mark.parametrize("format", ["markdown", "classic"])
@pytest.mark.parametrize("name", MADE)
def test_a_linter_finds_nothing_in_the_notes(name: str, format: str, limit: int | None, tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    text = NotesRenderer(BUILT_IN, MADE[name]()).notes(format, limit=limit, full="https://example.org/notes")
    file.write_text(text if format == "markdown" else f"# Release\n\n{text}", encoding="utf-8")
    linter = PyMarkdownApi().enable_extension_by_identifier("markdown-tables")
    for rule in [*OFF, *BEYOND.get(name, {}), *(CLASSIC if format == "classic" else {})]:
        linter = linter.disable_rule_by_identifier(rule)

    found = linter.scan_path(str(file))

    assert [(each.line_number, each.rule_id, each.rule_description) for each in found.scan_failures] == []
    assert found.pragma_errors == []


CLASSIC = {
    "md001": "the classic notes begin with headings of the third level",
    "md022": "their tables follow their headings at once",
    "md058": "the same",
    "md060": "their empty cells are as they have always been",
}
"""What the classic format, which pages parse, cannot mend."""


@pytest.mark.parametrize("name", MADE)
def test_the_page_is_valid_html_that_runs_and_loads_nothing(name: str) -> None:
    page = notes(MADE[name](), "html")

    html5lib.HTMLParser(strict=True).parse(page)

    body = page[page.index("<style>") : page.index("</head>")] + page[page.index("<main>") : page.index("</body>")]
    tags, _ = read_html(body)
    names = {tag for tag, _ in tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "meta", "svg", "video"}
    assert {attribute for _, attributes in tags for attribute in attributes} <= {
        "lang",
        "href",
        "style",
        "start",
        "class",
    }
    assert all(
        str(attributes.get("href", "https:")).startswith(("https:", "http:", "mailto:")) for _, attributes in tags
    )
    assert "url(" not in page
    assert "@import" not in page


def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("# a\n### b\n\n\n\n|a|\n|-|\n", encoding="utf-8")

    found = PyMarkdownApi().enable_extension_by_identifier("markdown-tables").scan_path(str(file))

    assert {"MD001", "MD012"} <= {each.rule_id for each in found.scan_failures}
