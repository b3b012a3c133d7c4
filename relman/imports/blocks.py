"""A published text as a list of blocks: the same for Markdown and for HTML, and nothing of it left out."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from relman.errors import Malformed
from relman.render.escaping import cleaned

LONGEST_CELL = 4096
"""Characters of a cell that are read: longer than any name, version or subject."""


MOST_ROWS = 100_000
"""Rows of one text that are read: a hundred times the largest that was published."""


def check_rows(count: int) -> None:
    """Refuse a text with more rows than anybody publishes, before they cost anything. Raises `Malformed`."""
    if count > MOST_ROWS:
        raise Malformed(f"the text has more than {MOST_ROWS:,} rows of tables")


class Cell(msgspec.Struct, frozen=True):
    """A cell, or a heading: ``plain`` as readers see it, ``written`` with the signs of its markup, ``link`` its first.

    A subject is taken as written, since the scripts that publish it escape nothing: `feat: add `iwd``.
    """

    plain: str
    written: str
    link: str | None = None

    @classmethod
    def of(cls, plain: str, written: str | None = None, link: str | None = None) -> Cell:
        """A cell of cleaned texts."""
        return cls(cleaned(plain), cleaned(plain if written is None else written), link)

    @property
    def value(self) -> str:
        """What a name or a version is: as written, unless markup or a link goes around all of it."""
        bare = self.written.strip("*`_~ ")
        return self.plain if bare in (self.plain, f"[{self.plain}]({self.link})") else self.written


EMPTY = Cell("", "")


class Heading(msgspec.Struct, frozen=True):
    """A heading. ``units`` are the pieces of the source that a block takes: lines of Markdown, runs of text of HTML."""

    line: int
    level: int
    title: Cell
    source: str
    units: int


class TableRow(msgspec.Struct, frozen=True):
    """A row. ``raw`` are its cells as they stand in the source, more than the head has where a subject holds a `|`.

    ``bare`` says that nothing in the line separates cells: a sentence that stands too close below the table.
    """

    line: int
    cells: tuple[Cell, ...]
    source: str
    units: int
    raw: tuple[str, ...] | None = None
    bare: bool = False


class Table(msgspec.Struct, frozen=True):
    """A table. ``units`` are those of its head; each row counts its own."""

    line: int
    head: tuple[Cell, ...]
    rows: tuple[TableRow, ...]
    source: str
    units: int


class Text(msgspec.Struct, frozen=True):
    """Anything else, as Markdown. ``codes`` are the code spans of a paragraph, ``bold`` what stands in bold there."""

    line: int
    source: str
    units: int
    plain: str = ""
    codes: tuple[str, ...] = ()
    bold: tuple[str, ...] = ()


class Unseen(msgspec.Struct, frozen=True):
    """What has no words: a rule between parts; or a comment, which no reader sees."""

    line: int
    source: str
    units: int
    comment: bool = False


Block: TypeAlias = Heading | Table | Text | Unseen


class Document(msgspec.Struct, frozen=True):
    """A whole text. ``units`` counts its pieces in the source, by itself: blocks that miss some are refused."""

    blocks: tuple[Block, ...]
    units: int

    def __post_init__(self) -> None:
        found = sum(taken(block) for block in self.blocks)
        if found != self.units:
            raise ValueError(f"the text has {self.units} pieces, and its blocks {found}: some were lost")

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(len(block.rows) for block in self.blocks if isinstance(block, Table))


def taken(block: Block) -> int:
    """The pieces of the source that a block takes, rows included."""
    return block.units + (sum(row.units for row in block.rows) if isinstance(block, Table) else 0)
