"""Reading Markdown: the dialect (CommonMark with tables and strikethrough), safe links, and the few tags allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from markdown_it import MarkdownIt
from markdown_it.token import Token

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_SAFE_SCHEMES = frozenset({"http:", "https:", "mailto:"})
_PIECE = re.compile(r"(<!--.*?-->|</?(?:details|summary)>)", re.DOTALL)
_COMMENT = "<!--"


def safe_link(address: str) -> bool:
    """Whether a link may lead there: http, https, mailto, or relative."""
    visible = "".join(char for char in address if char > " ")  # browsers skip tabs and line ends inside a scheme
    scheme = _SCHEME.match(visible)
    return scheme is None or scheme.group().lower() in _SAFE_SCHEMES


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802  # markdown-it's own name for this hook
        return safe_link(url)


def parser() -> MarkdownIt:
    """A parser of what our notes are written in; raw HTML comes out as tokens of its own."""
    return _Markdown("commonmark", {"html": True}).enable(["table", "strikethrough"])


def parse(markdown: str) -> list[Token]:
    """The block tokens of a text, inline ones as their children."""
    return parser().parse(markdown)


class Tag(Enum):
    """The only tags that notes may hold, at block level."""

    DETAILS = "<details>"
    DETAILS_END = "</details>"
    SUMMARY = "<summary>"
    SUMMARY_END = "</summary>"


def pieces(content: str) -> Iterator[Tag | str]:
    """The allowed tags of a block of raw HTML and the text between them; comments are left out."""
    for piece in _PIECE.split(content):
        if not piece or (piece.startswith(_COMMENT) and piece.endswith("-->")):
            continue
        try:
            yield Tag(piece)
        except ValueError:
            yield piece


def is_comment(content: str) -> bool:
    """Whether a piece of raw HTML is a comment and nothing else."""
    return all(isinstance(piece, str) and not piece.strip() for piece in pieces(content))
