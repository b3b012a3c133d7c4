"""Atom feeds (RFC 4287), such as GitHub's `releases.atom`: expat, without document types and entities of their own."""

from __future__ import annotations

from html import escape
from typing import NoReturn
from xml.parsers import expat

import msgspec

from relman.errors import Malformed

ATOM = "http://www.w3.org/2005/Atom"
XHTML = "http://www.w3.org/1999/xhtml"
_DEPTH = 64


class AtomEntry(msgspec.Struct):
    """An entry: its texts by element, the address of its page, and how its content is written (`html`, `text`).

    Content of the type `xhtml` is elements of the feed (RFC 4287, 3.1.1.3); its text is the HTML of them.
    """

    texts: dict[str, str] = msgspec.field(default_factory=dict)
    address: str | None = None
    content_type: str = "text"


def read_atom(content: bytes, *, what: str, most: int) -> list[AtomEntry]:
    """The entries of a feed. Raises `Malformed` for what is no feed, for a document type, and for too many entries."""
    reader = _Feed(what, most)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.EntityDeclHandler = reader.refuse_doctype
    parser.ExternalEntityRefHandler = reader.refuse_doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise Malformed(f"{what} is not XML: {expat.errors.messages[error.code]}, at line {error.lineno}") from error
    if not reader.feed:
        raise Malformed(f"{what} is XML, and no Atom feed")
    return reader.entries


class _Feed:
    def __init__(self, what: str, most: int) -> None:
        self.entries: list[AtomEntry] = []
        self.feed = False
        self._what = what
        self._most = most
        self._path: list[str] = []
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name.removeprefix(f"{ATOM} "))
        if len(self._path) > _DEPTH:
            raise Malformed(f"{self._what} nests too deep")
        match self._path:
            case ["feed"]:
                self.feed = True
            case ["feed", "entry"]:
                self.entries.append(AtomEntry())
                if len(self.entries) > self._most:
                    raise Malformed(f"{self._what} has more than {self._most:,} entries")
            case ["feed", "entry", "link"] if attributes.get("rel", "alternate") == "alternate":
                self.entries[-1].address = self.entries[-1].address or attributes.get("href")
            case ["feed", "entry", "content"]:
                self.entries[-1].content_type = attributes.get("type", "text")
        if len(self._path) == 3:
            self._text = []
        elif self._xhtml:
            link = f' href="{escape(attributes["href"])}"' if "href" in attributes else ""
            self._text.append(f"<{name.removeprefix(f'{XHTML} ')}{link}>")

    def end(self, name: str) -> None:
        if self._xhtml and len(self._path) > 3:
            self._text.append(f"</{name.removeprefix(f'{XHTML} ')}>")
        elif len(self._path) == 3 and self._path[:2] == ["feed", "entry"]:
            self.entries[-1].texts.setdefault(self._path[2], "".join(self._text))
        self._path.pop()

    def text(self, data: str) -> None:
        if len(self._path) >= 3:
            self._text.append(escape(data, quote=False) if self._xhtml else data)

    @property
    def _xhtml(self) -> bool:
        """Whether the parser is inside of content that is elements of the feed."""
        return self._path[:3] == ["feed", "entry", "content"] and self.entries[-1].content_type == "xhtml"

    def refuse_doctype(self, *_: object) -> NoReturn:
        raise Malformed(f"{self._what} has a document type, which feeds have no need of, and so it is not read")
