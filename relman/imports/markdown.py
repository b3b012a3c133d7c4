"""Markdown as blocks: markdown-it finds tables and headings, each cell is read by itself (GFM, "Tables")."""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from relman.imports.blocks import (
    EMPTY,
    LONGEST_CELL,
    Block,
    Cell,
    Document,
    Heading,
    Table,
    TableRow,
    Text,
    Unseen,
    check_rows,
)
from relman.render.parsing import parser

_SENTENCE = 2048
_MOST_CELLS = 256
_MARKUP = frozenset("\\`*_~[]<>&!:@")  # without any of them, a cell is what it looks like


def read_markdown(text: str) -> Document:
    """The blocks of ``text``, every line that is not blank in exactly one."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    lines = text.split("\n")
    inline = parser()
    blocks: list[Block] = []
    at = rows = 0
    tokens = _block_parser().parse(text)
    for number, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, end = token.map
        content = tokens[number + 1].content if token.type in ("heading_open", "paragraph_open") else ""
        blocks += _beside(lines, at, start)
        if token.type == "table_open":
            rows += end - start - 2
            check_rows(rows)
        blocks.append(_block(token, content, lines, start, end, inline))
        at = max(at, end)
    blocks += _beside(lines, at, len(lines))
    return Document(tuple(blocks), sum(1 for line in lines if line.strip()))


def markdown_cell(raw: str, inline: MarkdownIt | None = None) -> Cell:
    """A cell from its Markdown."""
    if len(raw) > LONGEST_CELL:
        return Cell.of(raw[: LONGEST_CELL + 1])
    if _MARKUP.isdisjoint(raw):
        return Cell.of(raw)
    (token,) = (inline or parser()).parseInline(raw.strip())
    return _cell(token.children or ())


def _block_parser() -> MarkdownIt:
    """Blocks alone: what stands in them is read where it is wanted, and a long text costs no more than its lines."""
    return parser().disable(["inline", "text_join"])


def _beside(lines: Sequence[str], start: int, end: int) -> list[Block]:
    """The lines that no block of markdown-it takes: definitions of links. They are kept as text."""
    units = _units(lines, start, end)
    return [Text(start + 1, "\n".join(lines[start:end]).strip("\n"), units)] if units else []


def _units(lines: Sequence[str], start: int, end: int) -> int:
    return sum(1 for line in lines[start:end] if line.strip())


def _block(token: Token, content: str, lines: Sequence[str], start: int, end: int, inline: MarkdownIt) -> Block:
    source = "\n".join(lines[start:end]).rstrip()
    units = _units(lines, start, end)
    match token.type:
        case "heading_open":
            return Heading(start + 1, int(token.tag[1:]), markdown_cell(content, inline), source, units)
        case "table_open":
            return _table(lines, start, end, source, inline)
        case "paragraph_open" if len(content) <= _SENTENCE:
            (read,) = inline.parseInline(content)
            return _paragraph(start + 1, source, units, read.children or ())
        case "hr":
            return Unseen(start + 1, source, units)
        case "html_block" if _is_comment(source):
            return Unseen(start + 1, source, units, comment=True)
    return Text(start + 1, source, units)


def _is_comment(source: str) -> bool:
    """Whether a block of raw HTML holds comments and nothing else."""
    at = 0
    while source.startswith("<!--", at):
        end = source.find("-->", at + 4)
        if end < 0:
            return False
        at = end + 3
        at += len(source[at:]) - len(source[at:].lstrip())
    return at == len(source)


def _paragraph(line: int, source: str, units: int, children: Sequence[Token]) -> Text:
    codes = tuple(token.content.strip() for token in children if token.type == "code_inline")
    bold: list[str] = []
    depth = 0
    for token in children:
        depth += token.nesting if token.type.startswith("strong") else 0
        if token.type == "strong_open" and depth == 1:
            bold.append("")
        elif depth and bold:
            bold[-1] += token.content
    return Text(line, source, units, _cell(children).plain, codes, tuple(each.strip() for each in bold))


def _table(lines: Sequence[str], start: int, end: int, source: str, inline: MarkdownIt) -> Table:
    head = tuple(markdown_cell(raw, inline) for raw in cells_of(lines[start]))
    rows = [row_of(lines[at], at + 1, len(head), inline) for at in range(start + 2, end) if lines[at].strip()]
    return Table(start + 1, head, tuple(rows), source, 2)


def row_of(line: str, number: int, width: int, inline: MarkdownIt | None = None) -> TableRow:
    """A line as a row of at least ``width`` cells, filled up with empty ones."""
    raw = cells_of(line)
    cells = tuple(markdown_cell(each, inline) for each in raw)
    cells += (EMPTY,) * (width - len(cells))
    return TableRow(number, cells, line.strip(), 1, tuple(raw), bare="|" not in line)


def cells_of(line: str) -> list[str]:
    """The cells of a row as GFM splits it: at each `|` without a backslash before it, those at the ends aside."""
    pieces = line.strip().split("|", _MOST_CELLS)  # what is beyond stays in the last, and makes the row too wide
    cells = pieces[:1]
    for piece in pieces[1:]:
        if cells[-1].endswith("\\"):
            cells[-1] = f"{cells[-1][:-1]}|{piece}"
        else:
            cells.append(piece)
    if len(cells) > 1 and not cells[0].strip():
        del cells[0]
    if len(cells) > 1 and not cells[-1].strip():
        del cells[-1]
    return cells


def _cell(children: Sequence[Token]) -> Cell:
    plain: list[str] = []
    written: list[str] = []
    links: list[str] = []
    inside: list[tuple[bool, str]] = []
    for token in children:
        match token.type:
            case "link_open":
                address = str(token.attrGet("href") or "")
                links.append(address)
                inside.append((token.markup == "autolink", address))
                written.append("" if token.markup == "autolink" else "[")
            case "link_close":
                automatic, address = inside.pop() if inside else (True, "")
                written.append("" if automatic else f"]({address})")
            case "code_inline":
                plain.append(token.content)
                written.append(f"{token.markup}{token.content}{token.markup}")
            case "image":
                plain.append(token.content)
                written.append(f"![{token.content}]({token.attrGet('src') or ''})")
            case "softbreak" | "hardbreak":
                plain.append(" ")
                written.append(" ")
            case "html_inline":
                written.append(token.content)
            case kind if kind.endswith(("_open", "_close")):
                written.append(token.markup)
            case _:
                plain.append(token.content)
                written.append(token.content)
    return Cell.of("".join(plain), "".join(written), links[0] if links else None)
