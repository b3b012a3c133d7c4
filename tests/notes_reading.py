"""Notes rendered for tests, and their tables read back by markdown-it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markdown_it.tree import SyntaxTreeNode

from relman.model.changelog import Changelog
from relman.render import NotesRenderer, Templates
from relman.render.parsing import parse
from tests import changelogs

BUILT_IN = Templates()

MADE: dict[str, Callable[[], Changelog]] = {
    "empty": changelogs.empty,
    "unchanged": changelogs.unchanged,
    "small": changelogs.small,
    "large": changelogs.large,
    "pathological": changelogs.pathological,
}


def notes(made: Changelog, format: str = "markdown", **extra: object) -> str:
    return NotesRenderer(BUILT_IN, made, extra).notes(format)


@dataclass
class Read:
    """A table as a reader finds it: the heading above it, its head and its rows."""

    heading: str
    head: list[str]
    rows: list[list[str]]


def read_tables(markdown: str) -> list[Read]:
    """Every table of a text, by markdown-it."""
    found: list[Read] = []
    heading = ""
    for node in SyntaxTreeNode(parse(markdown)).walk():
        if node.type == "heading":
            heading = words(node)
        elif node.type == "table":
            head, *rest = [[words(cell) for cell in line.children] for part in node.children for line in part.children]
            found.append(Read(heading, head, rest))
    return found


def words(node: SyntaxTreeNode) -> str:
    return "".join(inner.content for inner in node.walk() if inner.type in ("text", "code_inline"))
