"""Where in a TOML file a key stands: `tomllib` reads the values, and keeps no lines.

Follows TOML 1.0 as far as keys go (tables, arrays of tables, dotted and quoted keys; strings of all four kinds and
nested brackets are skipped). Entries of an array have lines of their own; inside an inline table the line on which it
begins is the answer.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]

_KEY_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
_VALUE_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'" r"|#[^\n]*" r"|[\[\]{}\n]",
    re.DOTALL,
)
_ENTRY_TOKEN = re.compile(_VALUE_TOKEN.pattern + r"""|,|[^\s\[\]{},"'#]+""", re.DOTALL)


def key_lines(text: str) -> Mapping[Path, int]:
    """The line, from 1, on which each key and table of ``text`` stands; tables of an array by their number, from 0."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    position, line = 0, 1
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        stripped = text[position:end].strip()
        if not stripped or stripped.startswith("#"):
            position, line = end + 1, line + 1
        elif stripped.startswith("["):
            array = stripped.startswith("[[")
            parts = _key(stripped.lstrip("["))[0]
            table = _inside(parts, counts, array)
            for depth in range(1, len(table) + 1):
                lines.setdefault(table[:depth], line)
            position, line = end + 1, line + 1
        else:
            parts, length = _key(text[position:end])
            for depth in range(1, len(parts) + 1):
                lines.setdefault(table + parts[:depth], line)
            after = _skip_value(text, position + length)
            value = text[position + length : after].lstrip("= \t")
            for number, entry in enumerate(_entry_lines(value, line)):
                if entry != line:  # else that of the key serves
                    lines.setdefault((*table, *parts, number), entry)
            line += text.count("\n", position, after)
            position = after
    return lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of ``path``, or of the nearest thing around it; `None` where the file has nothing of it."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _key(text: str) -> tuple[Path, int]:
    parts: list[str | int] = []
    position = 0
    while match := _KEY_PART.match(text, position):
        parts.append(_unescaped(match[1]) if match[1] is not None else match[2] if match[2] is not None else match[3])
        position = match.end()
        if not text.startswith(".", position):
            break
        position += 1
    return tuple(parts), position


def _unescaped(text: str) -> str:
    return str(tomllib.loads(f'key = "{text}"')["key"])


def _inside(parts: Path, counts: dict[Path, int], array: bool) -> Path:
    """The path of a table header, with the number of the current table of every array on the way."""
    path: Path = ()
    for index, part in enumerate(parts):
        path += (part,)
        if array and index == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path


def _entry_lines(value: str, line: int) -> list[int]:
    """The line on which each entry of ``value`` begins, where that is an array; its bracket stands on ``line``."""
    found: list[int] = []
    depth, between = 0, True
    for token in _ENTRY_TOKEN.finditer(value) if value.startswith("[") else ():
        kind = token[0]
        if depth == 1 and kind == ",":
            between = True
        elif depth == 1 and between and kind not in ("]", "\n") and not kind.startswith("#"):
            found.append(line)
            between = False
        depth += (kind in ("[", "{")) - (kind in ("]", "}"))
        line += kind.count("\n")
    return found


def _skip_value(text: str, position: int) -> int:
    """The place after the line on which the value that begins at ``position`` ends."""
    depth = 0
    for token in _VALUE_TOKEN.finditer(text, position):
        kind = token[0]
        if kind in "[{":
            depth += 1
        elif kind in "]}":
            depth -= 1
        elif kind == "\n" and depth <= 0:
            return token.end()
    return len(text)
