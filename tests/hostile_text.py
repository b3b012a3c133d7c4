"""Texts that strangers could write, and the readers that tests judge the answers by."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import strategies as st
from markdown_it import MarkdownIt

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
