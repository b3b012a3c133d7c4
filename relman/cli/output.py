"""Prints values: tables for people, documents for programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from relman.errors import RelmanError
from relman.redaction import redact

_NARROWEST = 40
_NO_BREAK = "\ue000"  # for private use: `printable` takes it out of whatever strangers wrote


def document(value: Mapping[str, object]) -> None:
    """A JSON document on stdout."""
    import msgspec

    # `json` itself indents in Python, value by value: a tenth of a run that compares ten variants.
    click.echo(msgspec.json.format(json.dumps(value, ensure_ascii=False), indent=2))


def table(
    rows: Sequence[Sequence[str]],
    *,
    header: Sequence[str] | None = None,
    indent: str = "",
    colours: Sequence[str | None] = (),
) -> str:
    """Columns, as wide as what is in them, each row in its colour where one is given.

    Control characters, which a terminal would obey, are taken out.
    """
    cells = [[printable(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    if not cells:
        return ""
    widths = [max(_width(row[column]) for row in cells if column < len(row)) for column in range(max(map(len, cells)))]
    lines = []
    for number, row in enumerate(cells):
        padded = [cell + " " * (widths[column] - _width(cell)) for column, cell in enumerate(row)]
        line = (indent + "  ".join(padded)).rstrip()
        row_number = number - bool(header)
        colour = colours[row_number] if 0 <= row_number < len(colours) else None
        lines.append(click.style(line, bold=row_number < 0 or None, fg=colour))
    return "\n".join(lines)


def counted(number: int, what: str) -> str:
    """`1 variant`, `4 variants`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def write(text: str, path: str | None) -> None:
    """Text to a file, or to stdout where ``path`` is `None` or `-`."""
    if not text.endswith("\n"):
        text += "\n"
    if path in (None, "-"):
        click.echo(text, nl=False)
        return
    target = Path(path or "")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise RelmanError(f"cannot write `{path}`: {error.strerror}") from error


def read_note(path: str | None) -> str | None:
    """The handwritten introduction of `--note`: a file, `-` for stdin."""
    if path is None:
        return None
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RelmanError(f"cannot read the note `{path}`: {error}") from error
    return text if text.strip() else None


def printable(text: str) -> str:
    """``text`` without what a terminal would obey, and without secrets."""
    return redact("".join(c if unicodedata.category(c)[0] != "C" else "�" for c in text))


def wrapped(text: str, indent: int) -> str:
    """``text`` in lines that stand ``indent`` columns in, the first one excepted, where it goes to a terminal.

    What stands in backticks is meant to be copied, and stays on one line. In a pipe all of it does.
    """
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return text
    width = max(shutil.get_terminal_size().columns - indent, _NARROWEST)
    kept = re.sub(r"`[^`]*`", lambda found: found[0].replace(" ", _NO_BREAK), text)
    lines = textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False) or [""]
    return f"\n{'':{indent}}".join(lines).replace(_NO_BREAK, " ")


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
