"""Markdown written from strangers' strings, read, checked, turned into HTML and text, and cut to a limit."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from relman.render.escaping import LONGEST, cleaned, code, in_html, url
from relman.render.fit import fit
from relman.render.markdown import closed, escape, problems, sanitised, to_html, to_text
from relman.render.text import width
from tests.changelogs import HOSTILE_SUBJECTS

PIECES = "|`*_~[]()<>#$\\&;@!-+=:.\"'1 2\n\r\tab/é\u05d0\u0627\u202e\u2066\u200b\x00\x1b\ufeff\U0001f389\ufe0f\u00a0"
WORDS = (
    *HOSTILE_SUBJECTS,
    *("<details>", "</details>", "<summary>", "</summary>", "<!--", "-->", "<script>", "<?", "<![CDATA[", "<br>"),
    *(
        "```",
        "~~~~",
        "![x](",
        "](javascript:x)",
        "<javascript:x>",
        "- ",
        "> ",
        "1. ",
        "    ",
        "| - |",
        "&#x26;",
        "\n\n",
    ),
)
hostile = st.one_of(
    st.text(),
    st.text(alphabet=PIECES, max_size=40),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(alphabet=PIECES, max_size=5)), max_size=12).map("".join),
)


def gfm() -> MarkdownIt:
    """A parser set up apart from ours: CommonMark with what GitHub adds to it."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def cells(markdown: str) -> list[list[Token]]:
    """The children of every cell of the body of the one table in the text."""
    tokens = gfm().parse(markdown)
    return [token.children or [] for at, token in enumerate(tokens) if tokens[at - 1].type == "td_open"]


def shown(children: list[Token]) -> str:
    assert {child.type for child in children} <= {"text"}
    return "".join(child.content for child in children)


# ------------------------------------------------------------------------------------------------------ escape


@given(hostile, hostile)
@example("a\\", "|")
@example("!", "[x](http://127.0.0.1)")
def test_escaped_text_fills_exactly_its_cell_and_nothing_else(text: str, other: str) -> None:
    row = f"| a | b | c |\n| - | - | - |\n| {escape(text)} | **{escape(other)}** | {escape(text, whole=True)} |\n"

    first, _, third = cells(row)

    assert shown(first) == sanitised(text)
    assert shown(third) == sanitised(text)


@given(hostile)
def test_escaped_text_is_one_plain_paragraph(text: str) -> None:
    tokens = gfm().parse(escape(text))

    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    assert "".join(shown(token.children or []) for token in tokens if token.type == "inline") == sanitised(text)


@given(hostile)
def test_escaped_text_stays_inside_a_heading_and_a_list_item(text: str) -> None:
    for markdown, tag in ((f"# {escape(text)}", "h1"), (f"- x {escape(text)}", "li")):
        tokens = gfm().parse(markdown)
        assert tokens[0].tag in (tag, "ul")
        assert [shown(token.children or []) for token in tokens if token.type == "inline"] in (
            [sanitised(text)],
            [f"x {sanitised(text)}".strip()],
            [],
        )


@given(hostile)
def test_nothing_that_was_sanitised_pings_turns_text_around_or_hides(text: str) -> None:
    line = sanitised(text)

    assert "@" not in line.replace("@\u200b", "")
    assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\n\r\t\x00\x1b\ufeff")
    assert len(line.splitlines()) <= 1
    line.encode()


def test_names_that_people_write_survive_readably() -> None:
    assert escape("fix: snake_case in x86_64 (#123), AT&T, R&D & more!?") == (
        "fix: snake_case in x86_64 (#123), AT&amp;T, R&amp;D & more!?"
    )
    assert escape("0.8.3~rc1-2", whole=True) == "0.8.3~rc1-2"
    assert escape("0.8.3~rc1-2") == "0.8.3\\~rc1-2"
    assert escape("a~1 b~2", whole=True) == "a\\~1 b\\~2"


def test_an_emoji_of_several_parts_is_kept_whole() -> None:
    assert escape("🎉 👨‍👩‍👧 🇩🇪 ❤️") == "🎉 👨‍👩‍👧 🇩🇪 ❤️"


def test_right_to_left_text_is_isolated_from_what_stands_beside_it() -> None:
    assert sanitised("fix: שלום") == "\u2068fix: שלום\u2069"
    assert sanitised("العربية \u202etxt.exe") == "\u2068العربية txt.exe\u2069"


def test_mentions_and_addresses_ping_nobody() -> None:
    assert escape("thanks @octocat and @all at a@example.org") == (
        "thanks @\u200boctocat and @\u200ball at a@\u200bexample.org"
    )


def test_a_text_without_end_is_cut_visibly() -> None:
    assert len(cleaned("x" * 100_000)) == LONGEST
    assert cleaned("x" * 100_000).endswith("x…")


@given(hostile)
def test_a_code_span_shows_its_text_or_is_none(text: str) -> None:
    (inline,) = (t for t in gfm().parse(f"x {code(text)} y") if t.type == "inline")
    content = "".join(child.content for child in inline.children or [])

    assert {child.type for child in inline.children or []} <= {"text", "code_inline"}
    assert " ".join(content.split()) == " ".join(f"x {sanitised(text)} y".split())


@given(hostile)
def test_a_summary_shows_its_text(text: str) -> None:
    html = to_html(f"<details>\n<summary>{in_html(text)}</summary>\n\nx\n\n</details>\n")
    tags, data = read_html(html)

    assert [tag for tag, _ in tags] == ["details", "summary", "p"]
    assert data.strip().removesuffix("x").strip() == sanitised(text)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://github.com/ublue-os/bluefin", "https://github.com/ublue-os/bluefin"),
        ("https://example.org/a b)|<c>", "https://example.org/a%20b%29%7C%3Cc%3E"),
        ("javascript:alert(1)", None),
        ("file:///etc/passwd", None),
        ("/relative", None),
        ("https://", None),
        ("https://[broken", None),
    ],
)
def test_only_web_addresses_become_links(address: str, expected: str | None) -> None:
    assert url(address) == expected


# ----------------------------------------------------------------------------------------------------- to_html


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def read_html(html: str) -> tuple[list[tuple[str, dict[str, str | None]]], str]:
    """The tags and the text of a fragment, which has to be balanced."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader.tags, reader.data


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


# --------------------------------------------------------------------------------------------------------- fit

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


@given(hostile, st.integers(min_value=1, max_value=200))
def test_what_was_cut_fits_and_is_a_beginning(text: str, limit: int) -> None:
    cut = fit(text, limit)

    assert len(cut) <= limit
    if cut != text:
        assert cut.endswith("…")
        kept = cut.removesuffix("…").removesuffix("\n\n")
        assert kept in text.replace("\r\n", "\n").replace("\r", "\n")
