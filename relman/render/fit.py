"""Fitting a Markdown text to what a channel takes, without cutting through anything."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import msgspec
from markdown_it.token import Token

from relman.render.parsing import Tag, parse, pieces


def fit(
    markdown: str, limit: int, measure: Callable[[str], int] = len, more: str = "…", *, always: bool = False
) -> str:
    """The text if it measures at most ``limit``, else as much of its beginning as does, with the line ``more`` after.

    Whole sections are dropped from the end, a `<details>` counting as one; where not even the first section fits,
    whole blocks, then rows of a table and items of a list. A row, a paragraph or a code block is never cut, and no
    heading is left without what it announces; where nothing fits, ``more`` stands alone. ``always`` says that something
    is missing already, so that ``more`` is due even where all of the text fits. Raises `ValueError` where ``more`` does
    not fit.
    """
    if measure(markdown) <= limit and not always:
        return markdown
    if measure(more) > limit:
        raise ValueError(f"a limit of {limit} leaves no room for `{more}`")
    text = markdown.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    blocks = _blocks(parse(text))

    def cut(end: int) -> str:
        return "\n".join(lines[:end]).strip("\n") + "\n\n" + more

    if always and measure(cut(len(lines))) <= limit:
        return cut(len(lines))
    for ends in (_ends_of_sections(blocks), _ends_of_blocks(blocks), _ends_of_rows(blocks)):
        fitting = bisect_right(ends, limit, key=lambda end: measure(cut(end)))
        if fitting:
            return cut(ends[fitting - 1])
    return more


class _Block(msgspec.Struct, frozen=True):
    """A block by its lines, the end excluded; ``rows`` are the ends of what it could be cut after."""

    start: int
    end: int
    heading: bool
    details: bool
    rows: tuple[int, ...]


def _blocks(tokens: Sequence[Token]) -> list[_Block]:
    found: list[_Block] = []
    opened = 0
    for token, inner in _outermost(tokens):
        start, end = token.map or [0, 0]
        inside = opened > 0
        if token.type == "html_block":
            opened += sum((piece is Tag.DETAILS) - (piece is Tag.DETAILS_END) for piece in pieces(token.content))
            opened = max(opened, 0)
        if inside:
            found[-1] = _Block(found[-1].start, end, heading=False, details=True, rows=())
        else:
            found.append(_Block(start, end, token.type == "heading_open", opened > 0, tuple(_rows(inner))))
    return found


def _outermost(tokens: Sequence[Token]) -> Iterator[tuple[Token, Sequence[Token]]]:
    """Each block of the text itself, with the tokens inside it."""
    start = 0
    for at, token in enumerate(tokens):
        if token.level == 0 and token.nesting >= 0:
            start = at
        if token.level == 0 and token.nesting <= 0:
            yield tokens[start], tokens[start + 1 : at]


def _rows(inner: Sequence[Token]) -> Iterator[int]:
    body = False
    for token in inner:
        body = body or token.type == "tbody_open"
        if token.map and ((token.type == "tr_open" and body) or (token.type == "list_item_open" and token.level == 1)):
            yield token.map[1]


def _ends_of_sections(blocks: Sequence[_Block]) -> list[int]:
    ends = []
    for at, block in enumerate(blocks):
        if block.heading or block.details:
            kept = at
            while kept and blocks[kept - 1].heading:
                kept -= 1
            if kept:
                ends.append(blocks[kept].start)
        if block.details:
            ends.append(block.end)
    return ends


def _ends_of_blocks(blocks: Sequence[_Block]) -> list[int]:
    return [block.end for block in blocks if not block.heading]


def _ends_of_rows(blocks: Sequence[_Block]) -> list[int]:
    return [row for block in blocks for row in block.rows]
