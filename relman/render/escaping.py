"""Strings from strangers (subjects, package names, authors, labels), made harmless for the place they go to."""

from __future__ import annotations

import html
import unicodedata
from urllib.parse import quote, urlsplit

LONGEST = 4096
"""Characters after which a single string is cut: no name or subject is that long, and none may fill the notes."""

_ZERO_WIDTH_SPACE = "\u200b"
_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_INVISIBLE = frozenset(
    map(chr, (0x061C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF))
) | frozenset(map(chr, range(0xFFF9, 0xFFFC)))
_BACKSLASHED = frozenset("\\`*[]$~_#")
_ENTITIES = {"|": "&#124;", "<": "&lt;", ">": "&gt;"}
_BLOCK_STARTS = frozenset("-+=")


def cleaned(text: str) -> str:
    """One line without control characters, bidi controls or invisible ones; emoji stay, halves of surrogates do not."""
    if text.isascii() and text.isprintable():  # what nearly all are
        kept = text
    else:
        kept = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text if not _dropped(char))
    line = " ".join(kept.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"


def _dropped(char: str) -> bool:
    if char in _INVISIBLE:
        return True
    point = ord(char)
    if point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF:  # noncharacters, which XML and so feeds cannot carry
        return True
    return unicodedata.category(char) == "Cc" and not char.isspace()


def sanitised(text: str) -> str:
    """The text that readers see where `escape` writes it.

    That is the cleaned line, with a zero-width space after each `@`, so that it pings nobody, and isolated where it
    holds right-to-left characters, so that it turns no neighbour around.
    """
    line = cleaned(text).replace("@", "@" + _ZERO_WIDTH_SPACE)
    if not line.isascii() and any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in line):
        return f"{_ISOLATE}{line}{_POP_ISOLATE}"
    return line


def escape(text: str, *, whole: bool = False) -> str:
    """Markdown (GFM) that shows `sanitised(text)` and nothing else, in a table's cell and in a paragraph alike.

    `#123` stays, since a forge makes a link of it. ``whole`` says that nothing else stands in the same cell or
    paragraph: then a single `~` stays as it is, for it strikes nothing out, and versions are full of them.
    """
    line = sanitised(text)
    start = _start_of_block(line)
    lone_tilde = whole and line.count("~") == 1
    written: list[str] = []
    for at, char in enumerate(line):
        before, after = line[at - 1 : at], line[at + 1 : at + 2]
        if char in _ENTITIES:
            written.append(_ENTITIES[char])
        elif char == "&":
            written.append("&amp;" if not after or after == "#" or after.isalnum() else "&")
        elif at == start or (char == "!" and not after):
            written.append("\\" + char)
        elif char not in _BACKSLASHED or (char == "~" and lone_tilde):
            written.append(char)
        elif (char == "_" and before.isalnum() and after.isalnum()) or (char == "#" and after in _DIGITS):
            written.append(char)  # GFM has no emphasis inside a word; `#1` is no heading
        else:
            written.append("\\" + char)
    return "".join(written)


_DIGITS = frozenset("0123456789")


def _start_of_block(line: str) -> int:
    """Where the character stands that would begin a list, a rule or a table at the start of a paragraph, or -1."""
    if line[:1] in _BLOCK_STARTS or line.startswith(":-"):
        return 0
    digits = len(line) - len(line.lstrip("0123456789"))
    if digits and line[digits : digits + 1] in (".", ")") and line[digits + 1 : digits + 2] in ("", " "):
        return digits
    return -1


def code(text: str) -> str:
    """The text as a Markdown code span where it can be one, else escaped: a span cannot hold a backtick."""
    line = sanitised(text)
    return f"`{line}`" if line and not set(line) & set("`|\\$") else escape(text)


def sentence(text: str) -> str:
    """A sentence of relman's own as Markdown: what it has between backticks is code, and the rest is escaped."""
    pieces = cleaned(text).split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return "".join(_literal(piece) if at % 2 else _between(piece) for at, piece in enumerate(pieces))


def _literal(piece: str) -> str:
    span = code(piece)
    return span if span.startswith("`") else escape(f"`{piece}`")


def _between(piece: str) -> str:
    """A piece of a sentence, with the spaces that part it from its neighbours."""
    return " " * piece.startswith(" ") + escape(piece) + " " * (piece.endswith(" ") and bool(piece.strip()))


def in_html(text: str) -> str:
    """HTML that shows `sanitised(text)`: for a `<summary>`, where Markdown does not reach."""
    return html.escape(sanitised(text))


def url(text: str) -> str | None:
    """An address that can stand in a Markdown link, or `None` where it is not http or https."""
    line = cleaned(text)
    try:
        parts = urlsplit(line)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return quote(line, safe=":/?#@!$&'*+,;=%~-._[]").replace("[", "%5B").replace("]", "%5D").replace("*", "%2A")
