"""The rows of the classic tables, each read or refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from urllib.parse import unquote, urlsplit

from relman.imports.blocks import LONGEST_CELL, Cell, TableRow
from relman.imports.markdown import markdown_cell
from relman.imports.notes import CommitRow, MajorRow, PackageRow

_ADDED, _CHANGED, _REMOVED = "✨", "🔄", "❌"
_SYMBOLS = (_ADDED, _CHANGED, _REMOVED)
_VARIATION = "\ufe0f"
_ARROWS = ("➡", "→", " -> ")
_NAMES = frozenset({"name", "package"})
_BEFORE = frozenset({"previous", "before", "old", "from"})
_AFTER = frozenset({"new", "after", "to"})
_UNKNOWN = frozenset({"n/a", "na", "none", "null", "unknown", "-", "–", "—", "?", "tbd"})
_HEX = re.compile(r"[0-9a-f]{7,64}", re.ASCII | re.IGNORECASE)


class Kind(Enum):
    """What a table holds: ``STEPS`` are packages of one symbol, which its heading names, with `before ➡️ after`."""

    MAJORS = "majors"
    COMMITS = "commits"
    PACKAGES = "packages"
    STEPS = "steps"


class RowRefused(ValueError):
    """A row that cannot be read; ``reason`` says why, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def symbol_of(text: str) -> str:
    """The symbol that ``text`` begins with, or nothing."""
    return next((symbol for symbol in _SYMBOLS if text.startswith(symbol)), "")


def kind_of(head: Sequence[Cell], symbol: str) -> Kind | None:
    """What a table with this head holds, or `None` for one of another format. ``symbol`` is that of its heading."""
    words = [cell.plain.strip(" :*").casefold() for cell in head]
    match words:
        case ["hash" | "commit", "subject" | "message", *rest] if rest in ([], ["author"]):
            return Kind.COMMITS
        case ["", name, before, after] if name in _NAMES and before in _BEFORE and after in _AFTER:
            return Kind.PACKAGES
        case [name, "version"] if name in _NAMES:
            return Kind.STEPS if symbol else Kind.MAJORS
    return None


def package_row(row: TableRow, symbol: str | None, width: int) -> PackageRow:
    """A package: from `| 🔄 | name | before | after |`, or below a ``symbol`` from `| name | before ➡️ after |`."""
    _check(row, width)
    if symbol is None:
        mark, name = row.cells[0].plain.replace(_VARIATION, ""), row.cells[1].value
        before, remark = ((), None) if mark == _ADDED and _says_none(row.cells[2]) else _with_remark(row.cells[2])
        after = () if mark == _REMOVED and _says_none(row.cells[3]) else _versions(row.cells[3].value)
    else:
        mark, name, remark = symbol, row.cells[0].value, None
        before, after = _step(row.cells[1].value)
        if _arrow(row.cells[1].value) is None:
            before, after = ((), after) if symbol == _ADDED else (after, ())
    if not name:
        raise RowRefused("it names no package")
    expected = {(False, True): _ADDED, (True, True): _CHANGED, (True, False): _REMOVED}.get((bool(before), bool(after)))
    if expected is None:
        raise RowRefused("it has no version")
    if mark != expected:
        sides = (
            "a version before and one after" if before and after else f"only a version {'after' if after else 'before'}"
        )
        raise RowRefused(f"it is marked `{mark}`, and has {sides}")
    return PackageRow(row.line, name, before, after, remark)


def major_row(row: TableRow, heading: str, width: int) -> MajorRow:
    """A major package: `| **Kernel** | before ➡️ after |`, under `Major packages` or `Major DX packages`."""
    _check(row, width)
    label = row.cells[0].plain
    if not label:
        raise RowRefused("it names no package")
    before, after = _step(row.cells[1].value)
    return MajorRow(row.line, _word(heading), label, before, after)


def _word(heading: str) -> str:
    """`DX` of `Major DX packages`; empty for `Major packages`, and for any other heading."""
    words = heading.split()
    if len(words) > 2 and words[0].casefold() == "major" and words[-1].casefold() == "packages":
        return " ".join(words[1:-1])
    return ""


def commit_row(row: TableRow, head: Sequence[Cell]) -> CommitRow:
    """A commit: `| **[0340d37](…/commit/<id>)** | subject | author |`; a `|` in the subject splits no cell."""
    width = len(head)
    _check(row, None)
    extra = len(row.raw) - width if row.raw is not None else 0
    subject = row.cells[1]
    if extra > 0 and row.raw is not None:
        subject = markdown_cell("|".join(row.raw[1 : 2 + extra]))
    author = row.cells[-1].value if width == 3 else ""
    shown = row.cells[0].plain.split()
    short = shown[-1] if shown else ""
    if not _HEX.fullmatch(short):
        raise RowRefused(f"`{short}` is not the id of a commit")
    if not subject.written:
        raise RowRefused("it has no subject")
    sha, base = _linked(row.cells[0].link, short.lower())
    return CommitRow(row.line, sha, subject.written, author, base)


def _linked(link: str | None, short: str) -> tuple[str, str | None]:
    """The full id in the link, and the repository's address; the short one where the link leads elsewhere."""
    try:
        path = unquote(urlsplit(link or "").path).rstrip("/")
    except ValueError:
        return short, None
    full = path.rpartition("/")[2].lower()
    if link is None or not _HEX.fullmatch(full) or not full.startswith(short):
        return short, None
    base, found, _ = link.rpartition("/commit/")
    return full, base if found else None


def _check(row: TableRow, width: int | None) -> None:
    if row.bare:
        raise RowRefused("a sentence that stands too close below a table: an empty line is missing")
    if any(len(cell.written) >= LONGEST_CELL for cell in row.cells):
        raise RowRefused(f"a cell is longer than {LONGEST_CELL:,} characters")
    if width is not None and any(cell.written for cell in row.cells[width:]):
        raise RowRefused(f"it has {len(row.cells)} cells, and its table {width} columns")


def _arrow(text: str) -> tuple[str, str] | None:
    bare = text.replace(_VARIATION, "")
    for arrow in _ARROWS:
        before, found, after = bare.partition(arrow)
        if found:
            return before.strip(), after.strip()
    return None


def _step(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The versions before and after; the same on both sides where there is only one."""
    sides = _arrow(text)
    if sides is None:
        versions = _versions(text)
        if not versions:
            raise RowRefused("it has no version")
        return versions, versions
    before = _versions(sides[0])
    after = () if sides[1] == "removed" else _versions(sides[1])
    if not before or (not after and sides[1] != "removed"):
        raise RowRefused("a version is missing beside the arrow")
    return before, after


def _versions(text: str) -> tuple[str, ...]:
    """All versions of a cell, `a, b` where several are installed. A placeholder is no version."""
    found = tuple(version.strip() for version in text.split(", ")) if text.strip() else ()
    for version in found:
        if "{" in version or "}" in version:
            raise RowRefused(f"`{version}` is a placeholder, not a version")
        if version.casefold() in _UNKNOWN:
            raise RowRefused(f"`{version}` is not a version")
        if not version or any(char.isspace() for char in version):
            raise RowRefused(f"`{version}` is not a version: it has spaces in it")
    return found


def _says_none(cell: Cell) -> bool:
    """Whether a dash or the like stands where the row's mark says that there is no version."""
    return cell.plain.casefold() in _UNKNOWN


def _with_remark(cell: Cell) -> tuple[tuple[str, ...], str | None]:
    """The versions before, and what stands in brackets behind them: `1.2-3 (aarch64)`."""
    text, opened, remark = cell.value.partition(" (")
    if opened and remark.endswith(")"):
        return _versions(text), remark[:-1]
    return _versions(cell.value), None
