"""HTML as blocks, for feeds: GitHub's releases.atom has the notes as the page shows them (html.parser)."""

from __future__ import annotations

from html.parser import HTMLParser

from relman.errors import Malformed
from relman.imports.blocks import Block, Cell, Document, Heading, Table, TableRow, Text, Unseen, check_rows
from relman.render.escaping import escape, url

_VOID = frozenset({"br", "hr", "img", "input", "wbr", "col", "source", "area", "base", "link", "meta"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PARTS = frozenset({"p", "pre", "ul", "ol", "blockquote", "div", "section", "details", "summary", "dl"})
_MARKS = {"code": "`", "strong": "**", "b": "**", "em": "*", "i": "*", "del": "~~", "s": "~~", "tt": "`"}
_LISTS = frozenset({"ol", "ul"})
_ENDS_ITSELF = frozenset({"p", "li", "tr", "td", "th", "dt", "dd"})
_DEPTH = 256


def read_html(text: str) -> Document:
    """The blocks of ``text``, every run of text in exactly one. Raises `Malformed` where it nests too deep."""
    reader = _Reader()
    reader.feed(_with_ends(text))
    reader.close()
    reader.finish()
    return Document(tuple(reader.blocks), reader.seen)


def _with_ends(text: str) -> str:
    """The text with what would open something and never ends as plain text.

    `html.parser` looks for the end again and again, and a text of nothing else would keep it busy for hours.
    """
    text = text.replace("<![", "&lt;![")
    last = text.rfind("-->") + 1
    text = text[:last] + text[last:].replace("<!--", "&lt;!--")
    last = text.rfind(">") + 1
    return text[:last] + text[last:].replace("<", "&lt;")


class _Words:
    """Text that grows: as readers see it, as it was written, and as Markdown."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.units = 0
        self.plain = ""
        self.written = ""
        self.markdown = ""
        self.link: str | None = None
        self.codes: list[str] = []
        self.bold: list[str] = []

    def cell(self) -> Cell:
        return Cell.of(self.plain, self.written, self.link)

    def mark(self, sign: str) -> None:
        self.written += sign
        self.markdown += sign

    def say(self, text: str, *, inside: frozenset[str]) -> None:
        self.units += bool(text.strip())
        self.plain += text
        self.written += text
        if inside & {"pre"}:
            self.markdown += text
        elif inside & {"code", "tt"}:
            self.markdown += text.replace("`", "'")
        else:
            lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
            self.markdown += (" " if lead else "") + escape(text) + (" " if tail and text.strip() else "")
        if inside & {"code", "tt"}:
            self.codes.append(text.strip())
        if inside & {"strong", "b"}:
            self.bold.append(text.strip())


class _Reader(HTMLParser):
    """Sorts what it is told into blocks. A tag that is never closed ends where its parent does."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self.seen = 0
        self._open: list[str] = []
        self._text: _Words | None = None
        self._heading: _Words | None = None
        self._level = 1
        self._tables = 0
        self._count = 0
        self._table_line = 0
        self._rows: list[tuple[bool, int, list[_Words]]] = []
        self._cell: _Words | None = None
        self._links: list[str | None] = []
        self._numbers: list[int | None] = []
        self._data = ""

    # ------------------------------------------------------------------------------------------------- html.parser

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a tag."""
        line = self.getpos()[0]
        if tag in _ENDS_ITSELF and self._open[-1:] == [tag]:
            self.handle_endtag(tag)
        if tag not in _VOID:
            self._open.append(tag)
            if len(self._open) > _DEPTH:
                raise Malformed("the text nests too deep", hint="it holds more than 256 open tags at one place")
        if tag in _HEADINGS and not self._tables:
            self.end_text()
            self._end_heading()
            self._heading, self._level = _Words(line), int(tag[1])
        elif tag == "table":
            self._tables += 1
            if self._tables == 1:
                self.end_text()
                self._table_line, self._rows = line, []
        elif self._tables == 1 and tag == "tr":
            self._count += 1
            check_rows(self._count)
            self._rows.append((False, line, []))
        elif self._tables == 1 and tag in ("td", "th") and self._rows:
            self._cell = _Words(line)
            head, at, cells = self._rows[-1]
            cells.append(self._cell)
            self._rows[-1] = (head or tag == "th", at, cells)
        elif tag == "hr" and not self._tables:
            self.end_text()
            self.blocks.append(Unseen(line, "---", 0))
        else:
            self._inline(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        """Close a tag, and those that were left open inside it."""
        if tag not in self._open:
            return
        while self._open and self._open[-1] != tag:
            self._close(self._open.pop())
        if self._open:
            self._close(self._open.pop())

    def handle_data(self, data: str) -> None:
        """A run of text: it goes to the cell, the heading or the text that is open."""
        self.seen += bool(data.strip())
        if self._sink() is None and not data.strip():
            return
        sink = self._sink() or self._new_text()
        sink.say(data if "pre" in self._open else data.replace("\n", " "), inside=frozenset(self._open))

    # ------------------------------------------------------------------------------------------------------ blocks

    def finish(self) -> None:
        """Close what was left open at the end."""
        while self._open:
            self._close(self._open.pop())
        self.end_text()

    def end_text(self) -> None:
        """Finish the text that is open, as a block of its own."""
        text, self._text = self._text, None
        if text is not None and text.units:
            source = "\n".join(line.rstrip() for line in text.markdown.strip("\n ").split("\n"))
            self.blocks.append(
                Text(text.line, source, text.units, " ".join(text.plain.split()), tuple(text.codes), tuple(text.bold))
            )

    def _sink(self) -> _Words | None:
        return self._cell or self._heading or self._text

    def _new_text(self) -> _Words:
        self._text = _Words(self.getpos()[0])
        return self._text

    def _inline(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag in _LISTS:
            self._numbers.append(1 if tag == "ol" else None)
        outside = self._cell is None and self._heading is None
        if outside and tag in _PARTS and not {"li", "blockquote"} & set(self._open[:-1]):
            self.end_text()
            if tag == "pre":
                self._new_text().markdown = "```\n"
        elif outside and tag == "li":
            item = self._text or self._new_text()
            item.markdown += "\n" if item.markdown and not item.markdown.endswith("\n") else ""
            item.markdown += self._bullet()
        sink = self._sink()
        if tag == "a":
            address = url(attributes.get("href") or "")
            self._links.append(address)
            if sink is not None:
                sink.link = sink.link or address
            if address and outside:
                (sink or self._new_text()).markdown += "["
        elif tag in _MARKS and "pre" not in self._open:
            (sink or self._new_text()).mark(_MARKS[tag])
        elif tag == "br" and sink is not None:
            sink.say(" ", inside=frozenset())

    def _bullet(self) -> str:
        number = self._numbers[-1] if self._numbers else None
        if number is None:
            return "- "
        self._numbers[-1] = number + 1
        return f"{number}. "

    def _close(self, tag: str) -> None:
        if tag in _LISTS and self._numbers:
            self._numbers.pop()
        outside = self._cell is None and self._heading is None
        if tag in ("td", "th") and self._tables == 1:
            self._cell = None
        elif tag == "table":
            self._tables -= 1
            if self._tables == 0:
                self._cell = None
                self._end_table()
        elif tag in _HEADINGS:
            self._end_heading()
        elif tag == "a":
            address = self._links.pop() if self._links else None
            if address and outside and self._text is not None:
                self._text.markdown += f"]({address})"
        elif tag in _MARKS and "pre" not in self._open:
            if (sink := self._sink()) is not None:
                sink.mark(_MARKS[tag])
        elif outside and tag in _PARTS and not {"li", "blockquote"} & set(self._open):
            if tag == "pre" and self._text is not None:
                self._text.markdown = self._text.markdown.rstrip("\n") + "\n```"
            self.end_text()

    def _end_heading(self) -> None:
        heading, self._heading = self._heading, None
        if heading is not None and heading.units:
            title = heading.cell()
            source = f"{'#' * self._level} {escape(title.plain)}"
            self.blocks.append(Heading(heading.line, self._level, title, source, heading.units))

    def _end_table(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        _, line, first = rows[0]
        head = tuple(words.cell() for words in first)
        body = tuple(
            TableRow(at, cells + (Cell("", ""),) * (len(head) - len(cells)), " | ".join(c.plain for c in cells), units)
            for _, at, words in rows[1:]
            if (cells := tuple(each.cell() for each in words)) is not None
            for units in (sum(each.units for each in words),)
        )
        source = "\n".join(
            _markdown_row(cells) for cells in (head, tuple(Cell("---", "---") for _ in head), *(r.cells for r in body))
        )
        self.blocks.append(Table(self._table_line or line, head, body, source, sum(each.units for each in first)))


def _markdown_row(cells: tuple[Cell, ...]) -> str:
    return "| " + " | ".join(escape(cell.plain) if cell.plain != "---" else "---" for cell in cells) + " |"
