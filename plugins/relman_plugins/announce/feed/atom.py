"""Atom (RFC 4287), read as strictly as it has to be and written whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from relman.plugin import Malformed
from relman_plugins.announce.feed.entries import Entry, Head, Slot, bounded, key_of, moment, written

NAMESPACE = "http://www.w3.org/2005/Atom"
_A = f"{{{NAMESPACE}}}"
# XML 1.0, 2.2: every other character cannot stand in a document, however it is written.
_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Raw = ElementTree.Element


def read(content: bytes | None, what: str) -> tuple[Slot[Raw], ...]:
    """The entries of a feed, none where there is no file yet, each with what relman wrote there.

    Raises `Malformed` for what is no Atom feed: it is somebody else's, and not overwritten.
    """
    if content is None:
        return ()
    _refuse_doctype(bounded(content, what), what)
    try:
        root = ElementTree.fromstring(content)  # noqa: S314  without a document type, so without entities
    except ElementTree.ParseError as error:
        raise Malformed(f"{what} is not XML: {error}", hint="repair it, or move it away") from error
    if root.tag != f"{_A}feed":
        raise Malformed(f"{what} is XML, and no Atom feed", hint="another `path` leaves it alone")
    try:
        return tuple(_slot(element) for element in root.findall(f"{_A}entry"))
    except ValueError as error:
        raise Malformed(f"{what} has an entry of relman's that cannot be read: {error}") from error


def write(head: Head, slots: Iterable[Slot[Raw]]) -> bytes:
    """The whole feed."""
    ElementTree.register_namespace("", NAMESPACE)
    slots = tuple(slots)
    root = ElementTree.Element(f"{_A}feed")
    _text(root, "id", head.id)
    _text(root, "title", head.title)
    changed = [slot.raw.findtext(f"{_A}updated") or "" for slot in slots]
    _text(root, "updated", max(changed, default="1970-01-01T00:00:00Z") or "1970-01-01T00:00:00Z")
    if head.url:
        ElementTree.SubElement(root, f"{_A}link", {"rel": "self", "href": _clean(head.url)})
    if head.home:
        ElementTree.SubElement(root, f"{_A}link", {"rel": "alternate", "href": _clean(head.home)})
    _text(root, "generator", "relman")
    root.extend(slot.raw for slot in slots)
    ElementTree.indent(root)
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def element(entry: Entry) -> Raw:
    """An entry as it is written."""
    found = ElementTree.Element(f"{_A}entry")
    _text(found, "id", entry.id)
    _text(found, "title", entry.title)
    _text(found, "published", written(entry.published))
    _text(found, "updated", written(entry.updated))
    _text(ElementTree.SubElement(found, f"{_A}author"), "name", entry.author)
    if entry.url:
        ElementTree.SubElement(found, f"{_A}link", {"rel": "alternate", "href": _clean(entry.url)})
    _text(found, "content", entry.html).set("type", "html")
    return found


def _slot(found: Raw) -> Slot[Raw]:
    id = found.findtext(f"{_A}id") or ""
    if key_of(id) is None:
        return Slot(found, None)
    link = next((one for one in found.findall(f"{_A}link") if one.get("rel", "alternate") == "alternate"), None)
    return Slot(
        found,
        Entry(
            id=id,
            title=found.findtext(f"{_A}title") or "",
            url=link.get("href") if link is not None else None,
            author=found.findtext(f"{_A}author/{_A}name") or "",
            html=found.findtext(f"{_A}content") or "",
            published=moment(found.findtext(f"{_A}published") or ""),
            updated=moment(found.findtext(f"{_A}updated") or ""),
        ),
    )


def _text(parent: Raw, name: str, text: str) -> Raw:
    child = ElementTree.SubElement(parent, f"{_A}{name}")
    child.text = _clean(text)
    return child


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")


def _refuse_doctype(content: bytes, what: str) -> None:
    """A document type may define entities that swell to gigabytes, or name files."""

    def refuse(*_: object) -> NoReturn:
        raise Malformed(f"{what} has a document type, which feeds have no need of, and so it is not read")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        message = expat.errors.messages[error.code]
        raise Malformed(
            f"{what} is not XML: {message}, at line {error.lineno}", hint="repair it, or move it away"
        ) from error
