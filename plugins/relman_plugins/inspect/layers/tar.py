"""Tar archives as they come: entry by entry, content only where somebody asks for it, nothing ever held but a piece.

Read as container engines read layers (Go's `archive/tar`: ustar, pax, and GNU's long names), so that nobody can be
shown other files than those that get installed. Nothing is unpacked: a path is only ever compared.
"""

from __future__ import annotations

import posixpath
import zlib
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from relman.plugin import Malformed

ENTRY_LIMIT = 1_000_000
"""The most entries of one archive, its extended headers counted; large systems have some 500,000 files in all."""
EXTENDED_LIMIT = 1024 * 1024
"""The most bytes of one extended header or long name: as much as Go's reader takes."""

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_CUT = "its tar archive is cut: the end is missing"


class Kind(Enum):
    """What an entry is. Devices and pipes are other things, as is whatever no engine unpacks."""

    FILE = "file"
    FOLDER = "folder"
    HARD_LINK = "hard link"
    SYMLINK = "symbolic link"
    OTHER = "other"


class Entry(NamedTuple):
    """A file or link of the archive. ``name`` is clean (`usr/lib`, no `./`, no `..`), and so is a hard link's target.

    ``size`` is the content's; ``sparse`` content has holes that are not in the archive.
    """

    kind: Kind
    name: str
    size: int = 0
    target: str = ""
    sparse: bool = False


_KINDS = {
    0x00: Kind.FILE,
    0x30: Kind.FILE,
    0x31: Kind.HARD_LINK,
    0x32: Kind.SYMLINK,
    0x33: Kind.OTHER,
    0x34: Kind.OTHER,
    0x35: Kind.FOLDER,
    0x36: Kind.OTHER,
    0x37: Kind.FILE,
    0x53: Kind.FILE,  # S, GNU's old way of sparse files
}
_WITHOUT_CONTENT = frozenset(range(0x31, 0x37))  # whatever size their header states
_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK, _SPARSE = 0x78, 0x67, 0x4C, 0x4B, 0x53


class Archive:
    """The archive in ``pieces``: iterate over its entries, once. Raises `Malformed` for what is no archive."""

    def __init__(self, pieces: Iterator[bytes], *, entries: int = ENTRY_LIMIT) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._at = 0
        self._unread = 0  # what is left of the current entry's content
        self._padding = 0
        self._limit = entries

    def __iter__(self) -> Iterator[Entry]:
        name, target, extended = "", "", dict[str, str]()
        for count in range(self._limit + 1):
            header = self._next_header()
            if header is None:
                return
            if count == self._limit:
                break
            kind, size = header[156], 0 if header[156] in _WITHOUT_CONTENT else _number(header[124:136])
            self._expect(size)
            if kind == _PAX:
                extended = _records(self._extended(size))
            elif kind == _LONG_NAME:
                name = _text(self._extended(size))
            elif kind == _LONG_LINK:
                target = _text(self._extended(size))
            elif kind != _GLOBAL:
                entry = self._entry(header, size, name, target, extended)
                name, target, extended = "", "", {}
                if entry is not None:
                    yield entry
        raise Malformed(f"its tar archive has more than {self._limit} entries")

    def content(self) -> Iterator[bytes]:
        """The content of the entry that came last, in pieces; what is not taken is passed over."""
        while self._unread:
            if self._at == len(self._buffer) and not self._fill():
                raise Malformed(_CUT)
            piece = self._buffer[self._at : self._at + self._unread]
            self._at += len(piece)
            self._unread -= len(piece)
            yield piece

    # ------------------------------------------------------------------------------------------------ entries

    def _entry(self, header: bytes, size: int, name: str, target: str, extended: dict[str, str]) -> Entry | None:
        """The entry, or `None` for one that no engine would unpack: it lies outside of the root."""
        code = header[156]
        kind = _KINDS.get(code, Kind.OTHER)
        sparse = code == _SPARSE or bool(extended and _is_sparse(extended))
        if code == _SPARSE:
            self._skip_sparse_map(header)
        if "size" in extended and code not in _WITHOUT_CONTENT:
            size = _decimal(extended["size"])
            self._expect(size)
        path = extended.get("GNU.sparse.name") or extended.get("path") or name or _name(header)
        if kind is Kind.FILE and path.endswith("/"):
            kind = Kind.FOLDER  # as before POSIX
        clean = cleaned(path)
        if clean is None:
            return None
        link = extended.get("linkpath") or target or _text(header[157:257])
        if kind is Kind.HARD_LINK:
            link = cleaned(link) or ""
        return Entry(kind, clean, size if kind is Kind.FILE else 0, link if code in (0x31, 0x32) else "", sparse)

    def _skip_sparse_map(self, header: bytes) -> None:
        """Go over the blocks that continue a sparse file's map; they stand between header and content."""
        more = header[482]
        while more:
            more = self._block()[504]

    def _next_header(self) -> bytes | None:
        """The next header, checked by its checksum; `None` at the end of the archive."""
        self._skip(self._unread + self._padding)
        self._unread = self._padding = 0
        if self._at == len(self._buffer) and not self._fill():
            return None
        block = self._block()
        if block == _ZEROS:
            return None
        stated = block[148:156]
        # All bytes are summed, these eight as blanks. Adler-32 begins with such a sum, and is 15 times as fast.
        if zlib.adler32(block) & 0xFFFF != (_octal(stated) + sum(stated) - 255) % 65521 and not _signed(block):
            raise Malformed("it is no tar archive, or a corrupt one: a header's checksum is wrong")
        return block

    def _expect(self, size: int) -> None:
        self._unread = size
        self._padding = -size % _BLOCK

    def _extended(self, size: int) -> bytes:
        if size > EXTENDED_LIMIT:
            raise Malformed(f"its tar archive has an extended header of {size} bytes")
        return b"".join(self.content())

    # ------------------------------------------------------------------------------------------------ reading

    def _fill(self) -> bool:
        """Go on to the next piece; false at the end."""
        self._at = 0
        self._buffer = next(filter(None, self._pieces), b"")
        return bool(self._buffer)

    def _block(self) -> bytes:
        end = self._at + _BLOCK
        if end <= len(self._buffer):
            block = self._buffer[self._at : end]
            self._at = end
            return block
        gathered = self._buffer[self._at :]
        while len(gathered) < _BLOCK and self._fill():
            taken = self._buffer[: _BLOCK - len(gathered)]
            self._at = len(taken)
            gathered += taken
        if len(gathered) < _BLOCK:
            raise Malformed(_CUT)
        return gathered

    def _skip(self, count: int) -> None:
        while count > len(self._buffer) - self._at:
            count -= len(self._buffer) - self._at
            if not self._fill():
                raise Malformed(_CUT)
        self._at += count


def cleaned(path: str) -> str | None:
    """``path`` below the root, without `.`, `..` and doubled slashes; empty for the root, `None` for what is outside.

    The same as Go's `filepath.Clean`, so `a/../b` is `b`; and `../b` is what engines refuse.
    """
    if path.startswith("./"):
        path = path[2:]
    path = path.strip("/")
    if "//" in path or "/." in path or path.startswith("."):
        path = posixpath.normpath(path)
        if path == ".":
            return ""
        if path == ".." or path.startswith("../"):
            return None
    return path


def _name(header: bytes) -> str:
    name = _text(header[:100])
    # The prefix is POSIX's; GNU's own format (`ustar  `) keeps times there.
    if header[257:263] == b"ustar\0" and header[345]:
        return f"{_text(header[345:500])}/{name}"
    return name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """A size: octal digits, or (GNU) big-endian bytes with the highest bit set."""
    if not field[0] & 0x80:
        return _octal(field)
    if field[0] & 0x40:
        raise Malformed("its tar archive has an entry of a negative size")
    return int.from_bytes(bytes((field[0] & 0x7F, *field[1:])), "big")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    try:
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:  # 8 and 9 are no octal digits
        pass
    raise Malformed("it is no tar archive, or a corrupt one: a header has no number where one belongs")


def _signed(block: bytes) -> bool:
    """Whether the checksum is one of signed bytes, as some old writers summed them; Go's reader takes both."""
    blank = block[:148] + b" " * 8 + block[156:]
    return sum(byte - 256 if byte > 127 else byte for byte in blank) == _octal(block[148:156])


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Malformed(f"its tar archive has an entry of the size `{ascii(text[:40])[1:-1]}`")
    return int(text)


def _is_sparse(extended: dict[str, str]) -> bool:
    return any(key.startswith("GNU.sparse.") for key in extended)


def _records(content: bytes) -> dict[str, str]:
    """The records of a pax header, `LENGTH KEY=VALUE\\n` (POSIX, pax, "pax Extended Header")."""
    records: dict[str, str] = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 20)
        digits = content[at:space] if space > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        record = content[space + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if not equals or at + length > len(content) or not record.endswith(b"\n"):
            raise Malformed("its tar archive has a pax header that is none")
        if b"\0" in value and not key.startswith(b"SCHILY.xattr."):
            raise Malformed("its tar archive has a pax header with a NUL in it")
        at += length
        # Only these matter here; attributes can be large.
        if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse."):
            records[key.decode("ascii", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
    return records
