"""Composed rpm headers and databases: packages as rpm would have written them, for tests that need many or odd ones."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from relman_plugins.inspect.databases.header import Tag

Value = str | bytes | Sequence[str] | Sequence[bytes] | int | Sequence[int]

_WIDE = {Tag.LONGSIZE}
_NARROW = {Tag.FILESTATES}
_REGION = 63  # HEADERIMMUTABLE


def header(tags: Mapping[int, Value], *, region: bool = True) -> bytes:
    """A header blob with ``tags``: text, texts, a number or numbers each."""
    entries, data = [], bytearray()
    for tag, value in sorted(tags.items()):
        kind, width, count, content = _encoded(tag, value)
        data += b"\0" * (-len(data) % width)
        entries.append((tag, kind, len(data), count))
        data += content
    if region:
        trailer = struct.pack(">IiiI", _REGION, 7, -16 * (len(entries) + 1), 16)
        entries.insert(0, (_REGION, 7, len(data), 16))
        data += trailer
    index = b"".join(struct.pack(">4I", *entry) for entry in entries)
    return struct.pack(">2I", len(entries), len(data)) + index + bytes(data)


def _encoded(tag: int, value: Value) -> tuple[int, int, int, bytes]:
    if isinstance(value, str | bytes):
        return 6, 1, 1, _bytes(value) + b"\0"
    if isinstance(value, int):
        value = [value]
    if value and isinstance(value[0], int):
        kind, code, width = (5, "Q", 8) if tag in _WIDE else (1, "B", 1) if tag in _NARROW else (4, "I", 4)
        return kind, width, len(value), struct.pack(f">{len(value)}{code}", *value)
    return 8, 1, len(value), b"".join(_bytes(one) + b"\0" for one in value)  # type: ignore[arg-type]


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def package(
    name: str, version: str = "1.0", release: str = "1.fc44", arch: str | None = "x86_64", **more: Value
) -> bytes:
    """A package's header; ``more`` by the names of `Tag` in small letters."""
    tags: dict[int, Value] = {Tag.NAME: name, Tag.VERSION: version, Tag.RELEASE: release}
    if arch is not None:
        tags[Tag.ARCH] = arch
    return header(tags | {Tag[key.upper()]: value for key, value in more.items()})


def sqlite_database(path: Path, headers: Iterable[bytes]) -> Path:
    """A database as rpm's SQLite backend lays it out."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        database.executemany("INSERT INTO Packages (blob) VALUES (?)", ((blob,) for blob in headers))
    return path


def ndb_database(path: Path, headers: Iterable[bytes]) -> Path:
    """A database as rpm's ndb backend lays it out."""
    blobs = list(headers)
    pages = (len(blobs) + 2) // 256 + 1
    block = pages * 256
    slots, content = [b"RpmP" + struct.pack("<7I", 0, 1, pages, len(blobs) + 1, 0, 0, 0)], bytearray()
    for number, blob in enumerate(blobs, 1):
        whole = b"BlbS" + struct.pack("<3I", number, 1, len(blob)) + blob
        whole += b"\0" * (-(len(whole) + 12) % 16)
        whole += struct.pack("<2I", zlib.adler32(whole), len(blob)) + b"BlbE"
        slots.append(b"Slot" + struct.pack("<3I", number, block, len(whole) // 16))
        block += len(whole) // 16
        content += whole
    table = b"".join(slots)
    free = (pages * 4096 - len(table)) // 16
    path.write_bytes(table + b"Slot\0\0\0\0\0\0\0\0\0\0\0\0" * free + bytes(content))
    return path
