"""How long a text is, as the places that take it count."""

from __future__ import annotations

import unicodedata

_ZWJ = "\u200d"


def characters(text: str) -> int:
    """Unicode characters: GitHub, GitLab, Discourse, Mastodon."""
    return len(text)


def utf8_bytes(text: str) -> int:
    """Bytes in UTF-8: Matrix, Steam, a file."""
    return len(text.encode("utf-8", "replace"))


def utf16_units(text: str) -> int:
    """Units of UTF-16, of which an emoji has two: Telegram."""
    return len(text.encode("utf-16-le", "replace")) // 2


def graphemes(text: str) -> int:
    """What readers take for one character (Bluesky), or a few more, never fewer than there are.

    By the rules of Unicode's annex 29 on marks, joined emoji and flags; scripts with conjoining letters are counted
    letter by letter.
    """
    count = 0
    joined = flag = False
    last = ""
    for char in text:
        regional = "\U0001f1e6" <= char <= "\U0001f1ff"
        extends = unicodedata.category(char) in ("Mn", "Me") or char == _ZWJ or "\U0001f3fb" <= char <= "\U0001f3ff"
        if not ((extends and last not in ("", "\n", "\r")) or joined or (regional and flag) or last + char == "\r\n"):
            count += 1
        flag = regional and not flag
        joined = char == _ZWJ and last != "" and unicodedata.category(last) in ("So", "Mn", "Sk")
        last = char
    return count


MEASURES = {"characters": characters, "bytes": utf8_bytes, "utf16": utf16_units, "graphemes": graphemes}
"""By the names that channels and options use."""
