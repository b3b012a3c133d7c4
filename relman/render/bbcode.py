"""Markdown to BBCode: for Steam, and for forums."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec
from markdown_it.tree import SyntaxTreeNode

from relman.render.parsing import Tag, is_comment, parse, pieces
from relman.render.text import visible

# Stands for a bracket of the text until all is joined: only then is it known what comes after it.
_BRACKET = "\ufdd0"
_COULD_BEGIN_A_TAG = re.compile(rf"{_BRACKET}(?=[/*a-zA-Z])")


class Flavour(msgspec.Struct, frozen=True):
    """How a place writes what places write differently. ``folds`` says that `[spoiler=title]` folds a block away."""

    headings: tuple[tuple[str, str], ...]
    strike: str
    numbered: tuple[str, str]
    rule: str
    folds: bool


STEAM = Flavour(
    headings=(("[h1]", "[/h1]"), ("[h2]", "[/h2]"), ("[h3]", "[/h3]")),
    strike="strike",
    numbered=("[olist]", "[/olist]"),
    rule="[hr][/hr]",
    folds=False,
)
"""Steam's announcements (Steamworks documentation, Text Formatting), where a spoiler is a black bar: folds are open."""

FORUM = Flavour(
    headings=(("[size=5][b]", "[/b][/size]"), ("[size=4][b]", "[/b][/size]"), ("[b]", "[/b]")),
    strike="s",
    numbered=("[list=1]", "[/list]"),
    rule="[hr]",
    folds=True,
)
"""Forums such as XenForo, which have no headings and fold spoilers."""

FLAVOURS = {"steam": STEAM, "forum": FORUM}


def to_bbcode(markdown: str, flavour: Flavour = STEAM) -> str:
    """The text as BBCode. What looks like a tag in it, such as `[b]` in a subject, stays text.

    Links lead to http, https and mailto only; images become links. Ends with one line end; empty where there is
    nothing to show.
    """
    text = _Writer(flavour).blocks(SyntaxTreeNode(parse(markdown)).children)
    # A bracket that no tag follows is harmless; the others are kept from beginning one by a zero-width space.
    text = _COULD_BEGIN_A_TAG.sub("[\u200b", text).replace(_BRACKET, "[")
    return text + "\n" if text else ""


class _Writer(msgspec.Struct):
    flavour: Flavour
    opened: list[str] = msgspec.field(default_factory=list)
    outer: int = 0

    def blocks(self, nodes: Sequence[SyntaxTreeNode]) -> str:
        outer, self.outer = self.outer, len(self.opened)
        written = [text for node in nodes if (text := self.block(node))]
        while len(self.opened) > self.outer:  # what was opened in a block ends in it
            written.append(self.opened.pop())
        self.outer = outer
        return "\n\n".join(written)

    def block(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "heading":
                before, after = self.flavour.headings[min(int(node.tag[1:]), 3) - 1]
                text = self.inline(node).replace("\n", " ")
                return f"{before}{text}{after}" if text else ""
            case "paragraph" | "inline":
                return self.inline(node)
            case "bullet_list" | "ordered_list":
                before, after = ("[list]", "[/list]") if node.type == "bullet_list" else self.flavour.numbered
                items = [f"[*]{self.blocks(item.children)}" for item in node.children]
                return "\n".join([before, *items, after])
            case "blockquote":
                return f"[quote]\n{self.blocks(node.children)}\n[/quote]"
            case "fence" | "code_block":
                content = _text(node.content).rstrip("\n")
                return f"[code]\n{content}\n[/code]"
            case "hr":
                return self.flavour.rule
            case "table":
                return self.table(node)
            case "html_block":
                return self.html(node.content)
            case _:
                return self.blocks(node.children)

    def html(self, content: str) -> str:
        """Folds, as the place has them, and all other HTML as the text that it is."""
        written: list[str] = []
        parts = [part for part in pieces(content) if isinstance(part, Tag) or part.strip()]
        for at, part in enumerate(parts):
            if isinstance(part, str):
                words = _text(html.unescape(part.strip()))
                title = parts[at - 1 : at] == [Tag.SUMMARY]
                written.append(self.title(words) if title else words)
            elif part is Tag.DETAILS and self.flavour.folds and parts[at + 1 : at + 2] != [Tag.SUMMARY]:
                written.append(self.open(""))
            elif part is Tag.DETAILS_END and len(self.opened) > self.outer:
                written.append(self.opened.pop())
        return "\n".join(written)

    def title(self, words: str) -> str:
        if self.flavour.folds:
            return self.open("=" + words.replace("]", ")").replace(_BRACKET, "("))
        before, after = self.flavour.headings[-1]
        return f"{before}{words}{after}"

    def open(self, title: str) -> str:
        self.opened.append("[/spoiler]")
        return f"[spoiler{title}]"

    def table(self, node: SyntaxTreeNode) -> str:
        rows = [row for part in node.children for row in part.children]
        lines = []
        for at, row in enumerate(rows):
            tag = "td" if at else "th"
            cells = (self.inline(cell).replace("\n", " ") for cell in row.children)
            lines.append("[tr]" + "".join(f"[{tag}]{cell}[/{tag}]" for cell in cells) + "[/tr]")
        return "\n".join(["[table]", *lines, "[/table]"])

    def inline(self, node: SyntaxTreeNode) -> str:
        return "".join(map(self.span, node.children))

    def span(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "text" | "code_inline":
                return _text(node.content)
            case "html_inline":
                return "" if is_comment(node.content) else _text(node.content)
            case "softbreak" | "hardbreak":
                return "\n"
            case "strong":
                return f"[b]{self.inline(node)}[/b]"
            case "em":
                return f"[i]{self.inline(node)}[/i]"
            case "s":
                return f"[{self.flavour.strike}]{self.inline(node)}[/{self.flavour.strike}]"
            case "link":
                return _link(str(node.attrs.get("href", "")), self.inline(node))
            case "image":
                return _link(str(node.attrs.get("src", "")), _text(node.content))
            case _:
                return self.inline(node)


def _link(address: str, text: str) -> str:
    """A link; only its text where the address leads nowhere from another site."""
    if not address.lower().startswith(("http://", "https://", "mailto:")):
        return text
    quoted = quote(address, safe=":/?#@!$&*+,;=%~-._").replace("'", "%27")
    return f"[url={quoted}]{text or quoted}[/url]"


def _text(text: str) -> str:
    return visible(text).replace(_BRACKET, "").replace("[", _BRACKET)
