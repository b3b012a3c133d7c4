"""Markdown to BBCode: what is text stays text, and every tag is ours and closed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from relman.render.bbcode import FORUM, STEAM, Flavour, to_bbcode
from relman.render.escaping import escape
from tests.changelogs import HOSTILE_SUBJECTS
from tests.hostile_text import hostile

_TAG = re.compile(r"\[(/?)([a-z][a-z0-9]*|\*)(=[^\]]*)?\]")
_OURS = {
    *("b", "i", "s", "strike", "*", "h1", "h2", "h3", "size", "hr", "url", "list", "olist"),
    *("quote", "code", "spoiler"),
    *("table", "tr", "th", "td"),
}


def tags(text: str) -> list[str]:
    """The tags of a text, which have to be ours, well nested and closed; `[*]` closes with its list."""
    opened: list[str] = []
    found = []
    for slash, name, _ in _TAG.findall(text):
        assert name in _OURS, text
        found.append(name)
        if slash:
            assert opened.pop() == name, text
        elif name != "*" and not (name == "hr" and "[/hr]" not in text):
            opened.append(name)
    assert opened == []
    return found


@pytest.mark.parametrize(
    ("markdown", "steam", "forum"),
    [
        ("# a\n\n### b", "[h1]a[/h1]\n\n[h3]b[/h3]", "[size=5][b]a[/b][/size]\n\n[b]b[/b]"),
        ("**a** *b* ~~c~~ `d`", "[b]a[/b] [i]b[/i] [strike]c[/strike] d", "[b]a[/b] [i]b[/i] [s]c[/s] d"),
        ("1. a\n2. b", "[olist]\n[*]a\n[*]b\n[/olist]", "[list=1]\n[*]a\n[*]b\n[/list]"),
        ("- a\n  - b", "[list]\n[*]a\n\n[list]\n[*]b\n[/list]\n[/list]", None),
        ("> a", "[quote]\na\n[/quote]", None),
        ("```\n[b]\n[/code]\n```", "[code]\n[\u200bb]\n[\u200b/code]\n[/code]", None),
        (
            "| a | b |\n| - | - |\n| 1 | |",
            "[table]\n[tr][th]a[/th][th]b[/th][/tr]\n[tr][td]1[/td][td][/td][/tr]\n[/table]",
            None,
        ),
        ("[a](https://e.org/?x=[1]'\")", "[url=https://e.org/?x=%5B1%5D%27%22]a[/url]", None),
        ("![a](https://e.org/x.png)", "[url=https://e.org/x.png]a[/url]", None),
        ("[a](/relative) [b](javascript:x)", "a [\u200bb](javascript:x)", None),
        ("a\n\n---", "a\n\n[hr][/hr]", "a\n\n[hr]"),
        (
            "<details>\n<summary>x [b]</summary>\n\ny\n\n</details>",
            "[h3]x [\u200bb][/h3]\n\ny",
            "[spoiler=x (b)]\n\ny\n\n[/spoiler]",
        ),
        ("<details>\n\nnever closed", "never closed", "[spoiler]\n\nnever closed\n\n[/spoiler]"),
        ("- a\n\n  </details>", "[list]\n[*]a\n[/list]", None),
        ("<!-- said to nobody -->", "", None),
        ("<script>alert(1)</script>", "<script>alert(1)</script>", None),
        ("2 [1] [ ] [", "2 [1] [ ] [", None),
        ("\\[<!-- -->b\\]", "[\u200bb]", None),
    ],
)  # fmt: skip
def test_each_piece_is_written_as_the_place_has_it(markdown: str, steam: str, forum: str | None) -> None:
    assert to_bbcode(markdown) == (steam + "\n" if steam else "")
    if forum is not None:
        assert to_bbcode(markdown, FORUM) == forum + "\n"


@pytest.mark.parametrize(
    "subject", [*HOSTILE_SUBJECTS, "[b]", "[/td][url=javascript:x]", "[[b]]", "[*]", "[img]x[/img]"]
)
def test_a_subject_makes_no_tag_and_is_read_as_it_is(subject: str) -> None:
    text = to_bbcode(f"| {escape(subject)} |\n| - |\n")

    assert tags(text) == ["table", "tr", "th", "th", "tr", "table"]


@pytest.mark.parametrize("flavour", [STEAM, FORUM])
@given(hostile)
def test_whatever_the_text_every_tag_is_ours_and_closed(flavour: Flavour, text: str) -> None:
    tags(to_bbcode(text, flavour))


@given(hostile)
def test_what_was_escaped_for_markdown_shows_the_same_letters(text: str) -> None:
    shown = to_bbcode(escape(text))

    assert tags(shown) == []
