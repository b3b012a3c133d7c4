"""Markdown turned into HTML and plain text, checked, and closed."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from relman.render.markdown import closed, problems, to_html, to_text
from relman.render.text import width
from tests.hostile_text import gfm, hostile, read_html

# ----------------------------------------------------------------------------------------------------- to_html


SAFE = {
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "details",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "img",
    "li",
} | {*("ol", "p", "pre", "s", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul")}


@given(hostile)
@example("> <details>\n\n</details>")
@example("- <details>\n\n  x\n\n</details>\n")
@example("<details>\n\n> </details>\n")
@example("<details open onclick=x>\n\n</details>")
@example("<summary>a</summary></summary>")
@example("<summary>\n\n</summary>")
@example("<summary><details></summary>")
@example("<div\n><script>x</script>\n\n<pre><b>")
@example("text <details> inline </details> <summary>x</summary>")
@example("[a](java\tscript:x) [b](&#106;avascript:x) ![c](data:image/png;base64,x) <vbscript:x>")
def test_any_text_becomes_html_that_is_balanced_and_safe(text: str) -> None:
    tags, _ = read_html(to_html(text))

    for tag, attributes in tags:
        assert tag in SAFE
        assert set(attributes) <= {"href", "src", "alt", "title", "class", "style", "start"}
        assert (attributes.get("style") or "text-align:left").startswith("text-align:")
        for address in (attributes.get("href"), attributes.get("src")):
            scheme = "".join((address or "").split()).lower().partition(":")[0]
            assert scheme not in ("javascript", "vbscript", "data", "file")


def test_the_tags_of_our_templates_stay_and_all_others_are_shown() -> None:
    assert to_html(
        "<details>\n<summary>a &amp; <b>b</b></summary>\n\n**x** <i>y</i>\n\n</details>\n\n<div>z</div>\n"
    ) == (
        "<details>\n<summary>a &amp; &lt;b&gt;b&lt;/b&gt;</summary>\n"
        "<p><strong>x</strong> &lt;i&gt;y&lt;/i&gt;</p>\n</details>\n<p>&lt;div&gt;z&lt;/div&gt;</p>\n"
    )


def test_a_details_that_is_left_open_is_closed_where_its_container_ends() -> None:
    assert to_html("> <details>\n\nafter\n") == ("<blockquote>\n<details>\n</details>\n</blockquote>\n<p>after</p>\n")


def test_only_web_mail_and_relative_links_are_made() -> None:
    html = to_html("[a](https://e.org) [b](mailto:x@e.org) [c](/docs) [d](javascript:x) [e](data:x) [f](ftp://e.org)")

    assert [attributes["href"] for tag, attributes in read_html(html)[0] if tag == "a"] == [
        "https://e.org",
        "mailto:x@e.org",
        "/docs",
    ]


def test_comments_are_in_no_output() -> None:
    text = "<!-- write here\n\nsomething -->\n\nwords<!-- and -->\n"

    assert (to_html(text), to_text(text), problems(text)) == ("<p>words</p>\n", "words\n", ())


# ----------------------------------------------------------------------------------------------------- to_text


def test_plain_text_reads_like_a_page() -> None:
    assert to_text(
        "# Title\n\nSee [the notes](https://e.org/1) or <https://e.org/2>.\n\n## Next\n\n"
        "<details>\n<summary>More &lt;here&gt;</summary>\n\n| | Name | Version |\n| - | - | - |\n"
        "| ✨ | iwd | 3.6 |\n| 🔄 | 日本語-fonts | 1 ➡️ 2 |\n\n</details>\n\n"
        "1. one\n2. two\n   - deep\n\n> said\n\n```\ncode\n```\n"
    ) == (
        "Title\n=====\n\nSee the notes (https://e.org/1) or https://e.org/2.\n\nNext\n----\n\nMore <here>\n\n"
        "    Name          Version\n--  ------------  -------\n✨  iwd           3.6\n🔄  日本語-fonts  1 ➡️ 2\n\n"
        "1. one\n2. two\n   - deep\n\n> said\n\n    code\n"
    )


def test_addresses_in_a_table_stand_in_a_column_of_their_own() -> None:
    assert to_text("| a | b |\n| - | - |\n| [x](https://e.org/long) | y |\n") == (
        "a  b\n-  -  ------------------\nx  y  https://e.org/long\n"
    )


def test_one_endless_word_does_not_widen_the_whole_table() -> None:
    lines = to_text(f"| a | b |\n| - | - |\n| {'x' * 500} | 1 |\n| y | 2 |\n").splitlines()

    assert [len(line) for line in lines] == [63, 63, 503, 63]


@given(hostile)
def test_any_text_becomes_plain_text_that_no_terminal_obeys(text: str) -> None:
    plain = to_text(text)

    assert not {char for char in plain if ord(char) < 32 or 0x7F <= ord(char) < 0xA0} - {"\n", "\t"}
    assert plain == "" or plain.endswith("\n")


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("日本", 4), ("é", 1), ("e\u0301", 1), ("✨", 2), ("⬇️", 2), ("a\u200bb", 2), ("🎉", 2), ("", 0)],
)
def test_width_is_counted_in_columns(text: str, columns: int) -> None:
    assert width(text) == columns


# ---------------------------------------------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("All is *well*.\n\n<details>\n<summary>x</summary>\n\n```\n<b>\n```\n\n</details>\n", ()),
        ("x\n\n```sh\nls\n", ("line 3: the code block that begins here is never closed",)),
        ("x\n\n<details>\n\ny\n", ("line 3: `<details>` is never closed",)),
        ("</details>\n", ("line 1: `</details>` closes nothing",)),
        (
            "<details>\n<summary>x\n\ny\n\n</details>\n",
            ("line 1: `<summary>` is not closed before the next empty line",),
        ),
        (
            "a <b>c</b>\n",
            ("line 1: raw HTML `<b>`: write Markdown instead", "line 1: raw HTML `</b>`: write Markdown instead"),
        ),
        ("<div id='x'>\ny\n</div>\n", ("line 1: raw HTML `<div id='x'>`: write Markdown instead",)),
        ("x\n\n<!-- never\n\nclosed\n", ("line 3: `<!-- never` is never closed",)),
        (
            "<details open>\n\nx\n\n</details>\n",
            ("line 1: raw HTML `<details open>`: write Markdown instead", "line 5: `</details>` closes nothing"),
        ),
    ],
)
def test_problems_of_handwritten_notes_are_found_with_their_line(text: str, found: tuple[str, ...]) -> None:
    assert problems(text) == found


@given(hostile)
@example("```\nx")
@example("<details>\n\n```\n</details>")
@example("<pre>\n\nx")
@example("<!-- x")
@example("> ```")
@example("- <details>")
def test_a_closed_text_swallows_nothing_that_comes_after_it(text: str) -> None:
    *_, opening, inline, closing = gfm().parse(f"{closed(text)}\n\nafter it\n")

    assert [opening.type, inline.content, closing.type] == ["paragraph_open", "after it", "paragraph_close"]
    assert opening.level == 0


def test_a_text_without_faults_is_not_touched_by_closing() -> None:
    text = "Some *words*.\n\n<details>\n<summary>x</summary>\n\n```\ny\n```\n\n</details>"

    assert closed(text) == text
