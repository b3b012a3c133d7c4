"""Markdown to plain text that reads well in a terminal and in a mail."""

from __future__ import annotations

import html
import textwrap
import unicodedata
from collections.abc import Sequence

from markdown_it.tree import SyntaxTreeNode

from relman.render.parsing import Tag, is_comment, parse, pieces

WIDEST_CELL = 60
"""Columns after which a table's cell is broken between words, and words are never broken."""

_UNDERLINES = {"h1": "=", "h2": "-"}


def to_text(markdown: str) -> str:
    """The text without its markup: headings underlined, tables in columns, links as `text (address)`, in a
    table as its last column.

    What stood in `<details>` is shown. Ends with one line end; empty where there is nothing to show.
    """
    text = _blocks(SyntaxTreeNode(parse(markdown)).children)
    return text + "\n" if text else ""


def width(text: str) -> int:
    """How many columns a terminal gives the text: wide characters and emoji take two, combining ones none."""
    columns = last = 0
    for char in text:
        if char == "\ufe0f":  # asks for the emoji form of the character before it, which is wide
            columns += last == 1
            last = 0
        elif unicodedata.category(char) in ("Mn", "Me", "Cf", "Cc"):
            continue
        else:
            last = 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
            columns += last
    return columns


def _blocks(nodes: Sequence[SyntaxTreeNode]) -> str:
    return "\n\n".join(text for node in nodes if (text := _block(node)))


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "heading":
            text = _inline(node).replace("\n", " ")
            return f"{text}\n{_UNDERLINES.get(node.tag, '~') * width(text)}" if text else ""
        case "paragraph" | "inline":
            return _inline(node)
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "blockquote":
            return textwrap.indent(_blocks(node.children), "> ", lambda _: True)
        case "fence" | "code_block":
            return textwrap.indent(visible(node.content).rstrip("\n"), "    ")
        case "hr":
            return "-" * 20
        case "table":
            return _table(node)
        case "html_block":
            return _html(node.content)
        case _:
            return _blocks(node.children)


def _list(node: SyntaxTreeNode) -> str:
    number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    items = []
    tight = True
    for item in node.children:
        marker = "- " if number is None else f"{number}. "
        number = None if number is None else number + 1
        tight = tight and all(child.type != "paragraph" or child.hidden for child in item.children)
        body = "\n".join(map(_block, item.children)) if tight else _blocks(item.children)
        items.append(marker + textwrap.indent(body, " " * len(marker)).lstrip(" "))
    return ("\n" if tight else "\n\n").join(items)


def _html(content: str) -> str:
    shown = [html.unescape(piece.strip()) for piece in pieces(content) if not isinstance(piece, Tag)]
    return "\n".join(visible(text) for text in shown if text)


def _table(node: SyntaxTreeNode) -> str:
    rows = [_cells(row) for part in node.children for row in part.children]
    wrapped = [[_wrapped(cell) for cell in row] for row in rows]
    widths = [_column([line for row in wrapped for line in row[at]]) for at in range(len(rows[0]))]
    used = [at for at, columns in enumerate(widths) if columns]
    head, *body = [_row([row[at] for at in used], [widths[at] for at in used]) for row in wrapped]
    rule = "  ".join("-" * widths[at] for at in used)
    return "\n".join([head, rule, *body])


def _cells(row: SyntaxTreeNode) -> list[str]:
    """The row's cells, and last the addresses of its links: inside the cells they would tear the columns apart."""
    cells = [_inline(cell, addresses=False).replace("\n", " ") for cell in row.children]
    links = [str(node.attrs["href"]) for node in row.walk() if node.type == "link"]
    return [*cells, " ".join(dict.fromkeys(links))]


def _wrapped(cell: str) -> list[str]:
    return textwrap.wrap(cell, WIDEST_CELL, break_long_words=False, break_on_hyphens=False) or [""]


def _column(lines: Sequence[str]) -> int:
    """How wide the column is: a word that is too long sticks out of it, rather than widening every row."""
    return min(max(map(width, lines)), WIDEST_CELL)


def _row(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    lines = []
    for at in range(max(map(len, cells), default=0)):
        parts = [cell[at] if at < len(cell) else "" for cell in cells]
        padded = [part + " " * (columns - width(part)) for part, columns in zip(parts, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _inline(node: SyntaxTreeNode, *, addresses: bool = True) -> str:
    return "".join(_span(child, addresses=addresses) for child in node.children)


def _span(node: SyntaxTreeNode, *, addresses: bool) -> str:
    match node.type:
        case "text" | "code_inline":
            return visible(node.content)
        case "html_inline":
            return "" if is_comment(node.content) else visible(node.content)
        case "softbreak" | "hardbreak":
            return "\n"
        case "image":
            return _with_address(visible(node.content), str(node.attrs.get("src", "")))
        case "link":
            text = _inline(node, addresses=addresses)
            return _with_address(text, str(node.attrs.get("href", ""))) if addresses or not text else text
        case _:
            return _inline(node, addresses=addresses)


def _with_address(text: str, address: str) -> str:
    bare = address.removeprefix("mailto:")
    if not address or text in (address, bare):
        return text or address
    return f"{text} ({bare})" if text else bare


def visible(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")
