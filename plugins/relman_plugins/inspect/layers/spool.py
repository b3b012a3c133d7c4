"""Where files from layers are put while they are needed: a temporary folder for databases, memory for small ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from relman.plugin import Malformed, Unequipped

from .stream import Limits

_NOTE = 256  # about what a file costs that is kept track of, beside its name


class Spool:
    """Files in ``folder``, which is its maker's to delete. They get numbers for names: nothing of an image's."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._count = 0
        self._written = 0
        self._held = 0
        self._noted = 0

    def room(self, size: int) -> bool:
        """Whether ``size`` bytes may be written that will perhaps not be needed."""
        return self._written + size <= self._limits.spooled // 2

    def keep(self, pieces: Iterable[bytes], size: int) -> Path:
        """A file with ``pieces``, which are ``size`` bytes. Raises `Malformed` where that is too much."""
        if self._written + size > self._limits.spooled:
            raise Malformed(f"a database of {size} bytes is more than the {self._limits.spooled} that are read")
        self._written += size
        self._count += 1
        path = self._folder / str(self._count)
        try:
            with path.open("xb") as file:
                file.writelines(pieces)
        except OSError as error:
            raise Unequipped(
                f"a package database cannot be written to `{self._folder}`: {error.strerror or error}",
                hint="`TMPDIR` names another folder for temporary files",
            ) from error
        return path

    def hold(self, pieces: Iterable[bytes], size: int) -> bytes:
        """The same in memory."""
        self._held += size
        if self._held > self._limits.held:
            raise Malformed(f"the files of its package database are larger than {self._limits.held} bytes")
        return b"".join(pieces)

    def note(self, name: str) -> None:
        """Count that something is kept of the file ``name``. Raises `Malformed` beyond the limit: names add up, too."""
        self._noted += _NOTE + len(name)
        if self._noted > self._limits.noted:
            raise Malformed(f"it has more files of package databases than {self._limits.noted} bytes can name")

    def database(self, file: Path, log: Path | None) -> Path:
        """``file`` under a name that SQLite finds its ``log`` by. Raises `Malformed` where both are one file."""
        if file == log:
            raise Malformed("its rpm database is linked to its own log")
        path = self._folder / "rpmdb"
        file.rename(path)
        if log is not None:
            log.rename(self._folder / "rpmdb-wal")
        return path


def with_head(pieces: Iterator[bytes], length: int) -> tuple[bytes, Iterator[bytes]]:
    """The first ``length`` bytes of ``pieces``, fewer where there are no more, and all of them again."""
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size >= length:
            break
    return b"".join(taken)[:length], chain(taken, pieces)
