"""Markdown as chats read it: one walk over the text, and what each of them writes differently.

None of them has tables, and HTML is text in all of them. A row of a table becomes a line of a list.
"""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote, urlsplit

from markdown_it.tree import SyntaxTreeNode

from relman.render.parsing import Tag, is_comment, parse, pieces
from relman.render.text import visible

_KEPT = ":/?#@!$&+,;=%~-._"


class Dialect(ABC):
    """Writes Markdown in the manner of one chat.

    ``bullet`` begins an item of a list. The methods get what is written already, save for `text` and `code`, which
    get it as it is meant.
    """

    bullet: ClassVar[str] = "• "

    @abstractmethod
    def text(self, text: str) -> str:
        """Text that shows as just this."""

    @abstractmethod
    def strong(self, inner: str) -> str:
        """Bold."""

    @abstractmethod
    def emphasis(self, inner: str) -> str:
        """Italic."""

    @abstractmethod
    def struck(self, inner: str) -> str:
        """Struck out."""

    @abstractmethod
    def code(self, text: str) -> str:
        """A span of code."""

    @abstractmethod
    def fence(self, text: str) -> str:
        """A block of code."""

    @abstractmethod
    def link(self, address: str, inner: str, shown: str) -> str:
        """A link to an address of the web; ``shown`` is the text of ``inner`` without markup."""

    @abstractmethod
    def heading(self, level: int, inner: str, shown: str) -> str:
        """A heading, on a line of its own."""

    def quote(self, inner: str) -> str:
        """A quotation of several lines."""
        return "\n".join(f"> {line}".rstrip() for line in inner.split("\n"))

    def paragraph(self, inner: str) -> str:
        """A paragraph, a line of it for each line."""
        return inner

    # ------------------------------------------------------------------------------------------------- the walk

    def written(self, markdown: str) -> str:
        """The whole text; empty where there is nothing to show."""
        return self.blocks(SyntaxTreeNode(parse(markdown)).children)

    def blocks(self, nodes: Sequence[SyntaxTreeNode]) -> str:
        """Blocks with an empty line between."""
        return "\n\n".join(text for node in nodes if (text := self.block(node)))

    def block(self, node: SyntaxTreeNode) -> str:
        """One block; empty where it shows nothing."""
        match node.type:
            case "heading":
                inner = self.inline(node).replace("\n", " ").strip()
                return self.heading(int(node.tag[1:]), inner, plain(node)) if inner else ""
            case "paragraph" | "inline":
                return self.paragraph(self.inline(node).strip())
            case "bullet_list" | "ordered_list":
                return self.list(node)
            case "blockquote":
                inner = self.blocks(node.children)
                return self.quote(inner) if inner else ""
            case "fence" | "code_block":
                content = visible(node.content).strip("\n")
                return self.fence(content) if content.strip() else ""
            case "hr":
                return ""
            case "table":
                return self.table(node)
            case "html_block":
                words = [html.unescape(part.strip()) for part in pieces(node.content) if not isinstance(part, Tag)]
                return "\n".join(self.paragraph(self.text(visible(text))) for text in words if text)
            case _:
                return self.blocks(node.children)

    def list(self, node: SyntaxTreeNode) -> str:
        """Items below each other; what is inside one is indented."""
        number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
        lines = []
        for item in node.children:
            marker = self.bullet if number is None else f"{number}. "
            number = None if number is None else number + 1
            body = "\n".join(text for child in item.children if (text := self.block(child)))
            lines.append(marker + body.replace("\n", "\n" + " " * len(marker)))
        return "\n".join(lines)

    def table(self, node: SyntaxTreeNode) -> str:
        """The rows below the head as lines of a list."""
        rows = [row for part in node.children if part.type == "tbody" for row in part.children]
        cells = [[text for cell in row.children if (text := self.inline(cell).replace("\n", " "))] for row in rows]
        return "\n".join(self.bullet + " · ".join(row) for row in cells if row)

    def inline(self, node: SyntaxTreeNode) -> str:
        """What stands in a block."""
        return "".join(map(self.span, node.children))

    def span(self, node: SyntaxTreeNode) -> str:
        """One piece of it."""
        match node.type:
            case "text":
                return self.text(visible(node.content))
            case "code_inline":
                return self.code(visible(node.content))
            case "html_inline":
                return "" if is_comment(node.content) else self.text(visible(node.content))
            case "softbreak" | "hardbreak":
                return "\n"
            case "strong" | "em" | "s":
                write = {"strong": self.strong, "em": self.emphasis, "s": self.struck}[node.type]
                inner = self.inline(node)
                return write(inner) if inner.strip() else inner
            case "link":
                return self.linked(str(node.attrs.get("href", "")), self.inline(node), plain(node))
            case "image":
                words = visible(node.content)
                return self.linked(str(node.attrs.get("src", "")), self.text(words), words)
            case _:
                return self.inline(node)

    def linked(self, address: str, inner: str, shown: str) -> str:
        """A link where it leads to the web, else its text alone: `tg://user` would ping, and `mailto:` is none."""
        found = web(address)
        if found is None:
            return inner
        return self.link(found, inner if shown.strip() else self.text(found), shown.strip() or found)


def plain(node: SyntaxTreeNode) -> str:
    """The text of a block or a span without its markup."""
    if node.type in ("text", "code_inline"):
        return visible(node.content)
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(map(plain, node.children))


def web(address: str) -> str | None:
    """An address of the web in which nothing can end a link, or `None` for any other."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return quote(address, safe=_KEPT)
