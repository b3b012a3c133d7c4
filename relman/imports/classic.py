"""The classic format of release notes, read back from blocks.

That is what the scripts of Bluefin, Aurora, Bazzite and uCore have published since 2024, and what the template
`classic.md.j2` writes: `From previous … version …`, tables of majors, commits and packages, text around them. Tables
are known by their heads, not by the titles above them, so that other titles, orders and hand-made edits do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from relman.imports.blocks import Cell, Document, Heading, Table, TableRow, Text, Unseen, taken
from relman.imports.markdown import row_of
from relman.imports.notes import CommitRow, KeptText, MajorRow, Notes, NotRead, PackageRow, PublishedGroup, Tally
from relman.imports.rows import Kind, RowRefused, commit_row, kind_of, major_row, package_row, symbol_of
from relman.render.escaping import cleaned
from relman.render.tables import classic_title

INTRODUCTION = "Introduction"
"""The title of the text that stands above all headings."""

_SHOWN = 200


class _Fate(Enum):
    READ = "read"
    KEPT = "kept"
    NOT_READ = "not read"


def read_notes(document: Document) -> Notes:
    """What ``document`` says."""
    reader = _Reader()
    for block in document.blocks:
        reader.take(block)
    return reader.notes(document)


class _Kept:
    """A part that is text, as it grows."""

    def __init__(self, title: str, level: int, early: bool) -> None:
        self.title = title
        self.level = level
        self.early = early
        self.sources: list[str] = []


class _Reader:
    """Goes through the blocks and gives each piece of the source its fate."""

    def __init__(self) -> None:
        self._units = dict.fromkeys(_Fate, 0)
        self._rows = dict.fromkeys(_Fate, 0)
        self._title: str | None = None
        self._version: str | None = None
        self._stream: str | None = None
        self._previous: str | None = None
        self._remark: str | None = None
        self._majors: list[MajorRow] = []
        self._groups: dict[str, list[PackageRow]] = {}
        self._commits: list[CommitRow] = []
        self._introduction = _Kept(INTRODUCTION, 0, early=True)
        self._kept: list[_Kept] = [self._introduction]
        self._not_read: list[NotRead] = []
        self._part: _Kept | None = self._introduction
        self._waiting: Heading | None = None
        self._above: list[Heading] = []
        self._symbol = ""
        self._table: tuple[Kind, Table] | None = None
        self._tables_seen = False

    # --------------------------------------------------------------------------------------------- block by block

    def take(self, block: Heading | Table | Text | Unseen) -> None:
        """Read, keep, or list as not read."""
        match block:
            case Heading():
                self._take_heading(block)
            case Table():
                self._take_table(block)
            case Text():
                self._take_text(block)
            case Unseen(comment=False) if self._part is not None and self._part.sources and self._waiting is None:
                self._keep(block.source, block.units)
            case Unseen():
                self._units[_Fate.READ] += block.units

    def _take_heading(self, block: Heading) -> None:
        if self._part is not None and self._waiting is None and 0 < self._part.level < block.level:
            self._keep(block.source, block.units)
            return
        self._drop_waiting(block)
        self._above = [each for each in self._above if each.level < block.level]
        self._table = None
        self._symbol = symbol_of(block.title.plain)
        if block.level == 1 and self._title is None and not self._above and not self._tables_seen:
            self._title = block.title.plain
            self._units[_Fate.READ] += block.units
            return
        self._above.append(block)
        self._waiting = block
        self._part = None

    def _drop_waiting(self, next: Heading | None) -> None:
        """A heading that nothing came after: it titles the deeper one, or nothing at all."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if next is not None and next.level > waiting.level:
            self._units[_Fate.READ] += waiting.units
        else:
            self._refuse(waiting.line, waiting.source, "a heading with nothing below it", waiting.units)

    def _take_table(self, block: Table) -> None:
        kind = kind_of(block.head, self._symbol)
        if kind is None:
            self._keep(block.source, taken(block))
            self._rows[_Fate.KEPT] += len(block.rows)
            self._table = None
            return
        self._settle_waiting()
        self._part = None
        self._tables_seen = True
        self._table = (kind, block)
        self._units[_Fate.READ] += block.units
        for row in block.rows:
            self._take_row(row, kind, block.head)

    def _settle_waiting(self) -> None:
        if self._waiting is not None:
            self._units[_Fate.READ] += self._waiting.units
            self._waiting = None

    def _take_row(self, row: TableRow, kind: Kind, head: tuple[Cell, ...]) -> None:
        try:
            match kind:
                case Kind.MAJORS:
                    self._majors.append(major_row(row, self._title_of_part(), len(head)))
                case Kind.COMMITS:
                    self._commits.append(commit_row(row, head))
                case Kind.PACKAGES | Kind.STEPS:
                    read = package_row(row, self._symbol if kind is Kind.STEPS else None, len(head))
                    self._groups.setdefault(self._title_of_group(), []).append(read)
        except RowRefused as refused:
            self._refuse(row.line, row.source, refused.reason, row.units, row=True)
            return
        self._rows[_Fate.READ] += 1
        self._units[_Fate.READ] += row.units

    def _title_of_part(self) -> str:
        return self._above[-1].title.plain if self._above else ""

    def _title_of_group(self) -> str:
        titles = [each.title.plain for each in self._above if not symbol_of(each.title.plain)]
        return classic_title(titles[-1]) if titles and titles[-1] else "Packages"

    # -------------------------------------------------------------------------------------------------- sentences

    def _take_text(self, block: Text) -> None:
        if block.source.lstrip().startswith("|") and self._waiting is None and self._table is not None:
            self._take_rows_of(block, self._table)
            return
        sentences = block.plain
        if not self._tables_seen and self._takes_header(block, sentences):
            return
        if any(symbol_of(line.strip().lstrip("| ")) and "|" in line for line in block.source.split("\n")):
            self._take_stray_rows(block)
            return
        self._keep(block.source, block.units)

    def _takes_header(self, block: Text, words: str) -> bool:
        """Whether the paragraph is one of the sentences of the header, and nothing else."""
        codes = block.codes
        start = words.casefold()
        said: tuple[str, ...] = ()
        if start.startswith("this is an automatically generated changelog"):
            self._version = self._version or (codes[0] if codes else None)
            said = ("This is an automatically generated changelog", "for release", *codes[:1])
            start = "".join(start.partition("from previous ")[1:])  # both may stand in one paragraph
            codes = codes[1:]
        if start.startswith("from previous ") and "version" in start:
            names = [code for code in codes if code]
            self._previous = self._previous or (names[-1] if names else None)
            self._stream = self._stream or (names[0] if len(names) > 1 else None)
            self._remark = self._remark or (" ".join(block.bold) or None)
            said += ("From previous", *names[:-1], "version", *names[-1:], "there have been the following changes")
            said += block.bold
        elif start.startswith("there is no previous "):
            self._stream = self._stream or (codes[0] if codes else None)
            said = ("There is no previous", *codes[:1], "version to compare it with")
        if not said:
            return False
        rest = _without(words, said)
        if rest.strip(" .:"):
            self._keep(block.source, block.units)
        else:
            self._units[_Fate.READ] += block.units
        return True

    def _take_rows_of(self, block: Text, table: tuple[Kind, Table]) -> None:
        """Lines below an empty one that cut a table in two."""
        kind, above = table
        for number, line in enumerate(block.source.split("\n"), block.line):
            if line.strip().startswith("|"):
                self._take_row(row_of(line, number, len(above.head)), kind, above.head)
                self._stray += 1
            elif line.strip():
                self._keep(line, 1)

    def _take_stray_rows(self, block: Text) -> None:
        self._settle_waiting()
        for number, line in enumerate(block.source.split("\n"), block.line):
            if line.strip():
                if "|" in line:
                    self._refuse(number, line, "it looks like a row, and stands in no table", 1)
                else:
                    self._keep(line, 1)

    # ------------------------------------------------------------------------------------------------------- text

    def _keep(self, source: str, units: int) -> None:
        self._units[_Fate.KEPT] += units
        if self._part is None:
            above = self._waiting or (self._above[-1] if self._above else None)
            if self._waiting is not None:
                self._units[_Fate.KEPT] += self._waiting.units
                self._waiting = None
            title = above.title.plain if above is not None else INTRODUCTION
            level = above.level if above is not None else 0
            self._part = _Kept(title, level, early=not self._tables_seen)
            self._kept.append(self._part)
        self._part.sources.append(source)

    def _refuse(self, line: int, text: str, reason: str, units: int, *, row: bool = False) -> None:
        shown = cleaned(text)
        shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
        self._not_read.append(NotRead(line, shown, reason, row))
        self._units[_Fate.NOT_READ] += units
        self._rows[_Fate.NOT_READ] += row

    # -------------------------------------------------------------------------------------------------------- all

    _stray = 0

    def notes(self, document: Document) -> Notes:
        """What was read, with the counts of both ends."""
        self._drop_waiting(None)
        return Notes(
            title=self._title or None,
            version=self._version,
            stream=self._stream,
            previous=self._previous,
            remark=self._remark,
            majors=tuple(self._majors),
            groups=tuple(PublishedGroup(title, tuple(rows)) for title, rows in self._groups.items()),
            commits=tuple(self._commits),
            texts=tuple(
                KeptText(part.title or INTRODUCTION, "\n\n".join(part.sources), part.early)
                for part in self._kept
                if part.sources
            ),
            not_read=tuple(self._not_read),
            tally=Tally(
                units=document.units,
                units_read=self._units[_Fate.READ],
                units_kept=self._units[_Fate.KEPT],
                units_not_read=self._units[_Fate.NOT_READ],
                rows=document.rows + self._stray,
                rows_read=self._rows[_Fate.READ],
                rows_kept=self._rows[_Fate.KEPT],
                rows_not_read=self._rows[_Fate.NOT_READ],
            ),
        )


def _without(text: str, parts: Iterable[str]) -> str:
    """What is left of ``text`` when each of ``parts``, in their order, is taken out of it once."""
    left, at = "", 0
    folded = text.casefold()
    for part in parts:
        found = folded.find(cleaned(part).casefold(), at) if part else -1
        if found >= 0:
            left += text[at:found]
            at = found + len(cleaned(part))
    return left + text[at:]
