"""Markdown, in and out: what templates write with, and what handwritten notes are checked with."""

from __future__ import annotations

from markdown_it.token import Token

from relman.render.escaping import code, escape, sanitised
from relman.render.html import to_html
from relman.render.parsing import Tag, is_comment, parse, pieces
from relman.render.parts import MARKERS
from relman.render.text import to_text

__all__ = ["closed", "code", "escape", "problems", "sanitised", "to_html", "to_text"]

_PROBE = "relman-end-of-text"
_NO_MARKERS = dict.fromkeys(map(ord, MARKERS))


def problems(markdown: str) -> tuple[str, ...]:
    """What is wrong with a handwritten text, each with its line; empty where it can stand in the notes.

    Those are what would swallow the rest of the notes (a fence, a comment, a `<details>` never closed), what would
    close something that is not its own, and raw HTML, which other places than GitHub do not show.
    """
    found: list[tuple[int, str]] = []
    opened: list[int] = []
    for token in parse(_probed(markdown)):
        line = _line(token)
        if token.type == "fence" and _PROBE in token.content:
            found.append((line, "the code block that begins here is never closed"))
        elif token.type == "html_block":
            found += _in_html_block(token, opened)
        for child in token.children or ():
            if child.type == "html_inline" and not is_comment(child.content):
                found.append((line, f"raw HTML `{child.content[:60]}`: write Markdown instead"))
    found += [(line, "`<details>` is never closed") for line in opened]
    return tuple(f"line {line}: {what}" for line, what in sorted(found, key=lambda each: each[0]))


def _in_html_block(token: Token, opened: list[int]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    summary = False
    line = _line(token)
    for piece in pieces(token.content):
        if piece is Tag.DETAILS:
            opened.append(line)
        elif piece is Tag.DETAILS_END:
            if opened:
                opened.pop()
            else:
                found.append((line, "`</details>` closes nothing"))
        elif isinstance(piece, Tag):
            if summary == (piece is Tag.SUMMARY):
                found.append((line, f"`{piece.value}` has no partner"))
            summary = piece is Tag.SUMMARY
        elif _PROBE in piece:
            shown = piece.strip().partition("\n")[0][:60]
            found.append((line, f"`{shown}` is never closed"))
        elif "<" in piece:
            shown = piece[piece.index("<") :].partition("\n")[0][:60]
            found.append((line, f"raw HTML `{shown}`: write Markdown instead"))
        line += (piece.value if isinstance(piece, Tag) else piece).count("\n")
    if summary:
        found.append((_line(token), "`<summary>` is not closed before the next empty line"))
    return found


def closed(markdown: str) -> str:
    """The text with what it left open closed, so that what comes after it in the notes is not swallowed."""
    text = markdown.translate(_NO_MARKERS).strip("\n")
    ending: list[str] = []
    opened = 0
    for token in parse(_probed(text)):
        if _PROBE in token.content and token.type == "fence":
            ending.append(token.markup)
        elif _PROBE in token.content and token.type == "html_block":
            ending.append(_end_of(token.content))
        if token.type == "html_block" and token.level == 0:
            for piece in pieces(token.content):
                opened += (piece is Tag.DETAILS) - (piece is Tag.DETAILS_END and opened > 0)
    ending += ["", "</details>"] * opened
    return "\n".join([text, *ending])


def _end_of(content: str) -> str:
    """What ends a block of raw HTML that an empty line does not end (CommonMark 0.31, 4.6, kinds 1 to 5)."""
    endings = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>", "<!": ">"}
    start = content.lstrip()
    return next((end for begin, end in endings.items() if start.startswith(begin)), "</pre>")


def _probed(markdown: str) -> str:
    """The text with a paragraph after it: whatever swallows that was never closed."""
    return f"{markdown}\n\n{_PROBE}\n"


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1
