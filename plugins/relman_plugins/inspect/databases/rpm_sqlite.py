"""`rpmdb.sqlite`: the header blobs in the table `Packages` (rpm's `lib/backend/sqlite.c`), each read once, in order.

The file is hostile: its schema may hold views and generated columns, its pages may point in circles. So only the one
real table may be read, no function may run, and rows, bytes and steps are bounded.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from relman.plugin import Malformed

from .header import LIMIT

MAGIC = b"SQLite format 3\0"
_PACKAGE_LIMIT = 250_000
_STEPS, _CALLS = 100_000, 200  # a database of 2,500 packages takes one call's worth of steps
_COLUMN_LIMIT = 100
_EVERY_ROW = "SELECT rowid, blob FROM Packages NOT INDEXED"
_SETTLE = 3  # how often a database is copied that changes meanwhile
_HEADER = 100  # of the file; "Database File Format", 1.3
_WAL_HEADER = 32
_SIDECARS = ("-wal", "-journal")

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ})
_TABLES = frozenset({"sqlite_master", "sqlite_schema", "Packages"})
_LIMITS = (
    (sqlite3.SQLITE_LIMIT_LENGTH, LIMIT),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 64 * 1024),
    (sqlite3.SQLITE_LIMIT_COLUMN, _COLUMN_LIMIT),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 50),
    (sqlite3.SQLITE_LIMIT_VDBE_OP, 10_000),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
)


def blobs(path: Path) -> Iterator[bytes]:
    """Every header blob in the database at ``path``. Raises `Malformed` for what is no such database.

    A log beside it that still holds changes (``-wal``, ``-journal``) counts: rpm's newest rows may stand only there.
    Then a copy is read, for SQLite would write into the folder.
    """
    _check_size(path)
    try:
        if any(_sidecars(path)):
            with _copied(path) as copy:
                yield from _read(f"{copy.as_uri()}?mode=rw", sum(_sizes(copy)))
        else:
            # Nothing to replay: without `immutable` a header that says WAL makes SQLite write beside the file.
            yield from _read(f"{path.absolute().as_uri()}?mode=ro&immutable=1", sum(_sizes(path)))
    except sqlite3.Error as error:
        raise Malformed(f"it is no SQLite database that can be read: {error}") from error
    except UnicodeDecodeError as error:  # SQLite's own message, which repeats what the schema has
        raise Malformed("it is no SQLite database that can be read: its schema is corrupt") from error


def _check_size(path: Path) -> None:
    """Raise `Malformed` for a file of no whole pages: SQLite would read zeros where the end is missing, and go on."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
    stated = int.from_bytes(head[16:18], "big")
    page = 65536 if stated == 1 else stated
    if len(head) < _HEADER or not page or size % page:
        raise Malformed(f"it is no SQLite database that can be read: it is cut, its {size} bytes are no whole pages")


def _read(uri: str, size: int) -> Iterator[bytes]:
    with closing(sqlite3.connect(uri, uri=True)) as database:
        _defend(database)
        _check_schema(database)
        database.set_authorizer(_authorize)
        total, last = 0, None
        for count, (number, blob) in enumerate(database.execute(_EVERY_ROW), 1):
            if not isinstance(blob, bytes) or isinstance(blob, _Text):
                raise Malformed(f"row {count} of its table `Packages` holds no header")
            total += len(blob)
            # Pages that are pointed to twice give rows twice, or more bytes than the file has.
            if count > _PACKAGE_LIMIT or total > size or (last is not None and number <= last):
                raise Malformed(f"row {count} of its table `Packages` is one that it cannot have: its pages overlap")
            last = number
            yield blob


def _check_schema(database: sqlite3.Connection) -> None:
    found = database.execute("SELECT type, rootpage FROM sqlite_master WHERE name = 'Packages'").fetchall()
    if [(kind, bool(page)) for kind, page in found] != [(b"table", True)]:
        raise Malformed("it has no table `Packages`, so it is no rpm database")
    # Generated columns run functions that no authorizer is asked about.
    columns = database.execute("PRAGMA table_xinfo('Packages')").fetchmany(_COLUMN_LIMIT)
    if [(name, hidden) for _, name, *_, hidden in columns if name == b"blob" or hidden] != [(b"blob", 0)]:
        raise Malformed("its table `Packages` is none of rpm's")


def _defend(database: sqlite3.Connection) -> None:
    """Take everything away that a hostile file could use."""
    for name, limit in _LIMITS:
        database.setlimit(name, limit)
    for setting in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON", "cache_size=-2000"):
        database.execute(f"PRAGMA {setting}").close()
    calls = iter(range(_CALLS))
    database.set_progress_handler(lambda: next(calls, None) is None, _STEPS)
    # Text may be no UTF-8; where a column should be a blob and is text, the row is refused.
    database.text_factory = _Text


class _Text(bytes):
    """What SQLite holds as text."""


def _authorize(action: int, first: str | None, _second: str | None, _place: str | None, within: str | None) -> int:
    # `within` names the view or trigger that wants to read: there is none in a database of rpm.
    if action in _ALLOWED and within is None and (action == sqlite3.SQLITE_SELECT or first in _TABLES):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


# ------------------------------------------------------------------------------------------------- a live log


def _sidecars(path: Path) -> list[Path]:
    """The logs beside ``path`` that hold anything."""
    beside = [path.with_name(path.name + suffix) for suffix in _SIDECARS]
    return [log for log in beside if log.is_file() and log.stat().st_size > 0]


def _sizes(path: Path) -> list[int]:
    return [file.stat().st_size for file in (path, *_sidecars(path))]


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """A copy of the database and its logs as they are at one moment, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="relman-rpmdb-") as folder:
        for _ in range(_SETTLE):
            before = _state(path)
            copy = Path(folder, "rpmdb.sqlite")
            for suffix in ("", *_SIDECARS):
                source, target = path.with_name(path.name + suffix), copy.with_name(copy.name + suffix)
                target.unlink(missing_ok=True)
                if not suffix or source.is_file():
                    shutil.copyfile(source, target)
            if _state(path) == before:
                yield copy
                return
    raise Malformed(f"`{path}` changes while it is read", hint="read it when no rpm transaction is under way")


def _state(path: Path) -> tuple[object, ...]:
    """What tells whether pages moved from the log into the database: a log may grow meanwhile, but not start anew."""
    status = path.stat()
    starts = []
    for log in _sidecars(path):
        with log.open("rb") as file:
            starts.append(file.read(_WAL_HEADER))
    return (status.st_mtime_ns, status.st_size, *starts)


def spooled(content: bytes, wal: bytes | None, folder: str) -> Path:
    """``content`` and its log as files in ``folder``, to be read by `blobs`."""
    path = Path(folder, "rpmdb.sqlite")
    path.write_bytes(content)
    if wal:
        Path(os.fspath(path) + "-wal").write_bytes(wal)
    return path
