"""Strings from strangers, written where they do no harm."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from markdown_it.token import Token

from relman.render.escaping import LONGEST, cleaned, code, in_html, sentence, url
from relman.render.markdown import escape, sanitised, to_html
from tests.hostile_text import gfm, hostile, read_html


def cells(markdown: str) -> list[list[Token]]:
    """The children of every cell of the body of the one table in the text."""
    tokens = gfm().parse(markdown)
    return [token.children or [] for at, token in enumerate(tokens) if tokens[at - 1].type == "td_open"]


def shown(children: list[Token]) -> str:
    assert {child.type for child in children} <= {"text"}
    return "".join(child.content for child in children)


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


def test_a_sentence_keeps_its_own_code_spans_and_escapes_the_rest() -> None:
    assert (
        sentence("no *record* of `stable`: `a_b` stands for it") == "no \\*record\\* of `stable`: `a_b` stands for it"
    )
    assert sentence("one ` alone") == "one \\` alone"


@given(hostile)
def test_a_sentence_with_a_name_of_strangers_stays_one_plain_paragraph(name: str) -> None:
    tokens = gfm().parse(f"- {sentence(f'there is no `{name}` here')}\n")

    assert [token.type for token in tokens if token.nesting >= 0] == [
        "bullet_list_open",
        "list_item_open",
        "paragraph_open",
        "inline",
    ]
    (inline,) = (token for token in tokens if token.type == "inline")
    assert {child.type for child in inline.children or []} <= {"text", "text_special", "code_inline"}


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
