"""`observed.jsonl` on disk: lines that are only ever added, under the ledger's lock."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from relman.documents.observed import OBSERVED_LIMIT, observations_from, observed_lines
from relman.errors import Malformed
from relman.ledger.disk import read_file, sync_folder, touching
from relman.model.observed import Observation, Observations


class ObservedFile:
    """The observations in ``path``, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[bytes, Observations, int] = (b"", Observations(), 0)

    def read(self) -> Observations:
        """What was noted. Raises `Malformed` with the line that cannot be read."""
        return self._read()[1]

    def append(self, entries: Iterable[Observation]) -> None:
        """Add lines, on disk when this returns. What a killed run left half-written is cut off first.

        The caller holds the lock. Where the disk refuses, the file is as it was.
        """
        content, _, whole = self._read()
        lines = observed_lines(entries)
        if whole and not content[:whole].endswith(b"\n"):
            lines = b"\n" + lines
        with touching(self._path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o666)
            try:
                if whole != len(content):
                    os.ftruncate(descriptor, whole)
                _write(descriptor, lines, whole)
            finally:
                os.close(descriptor)
            sync_folder(self._path.parent)

    def _read(self) -> tuple[bytes, Observations, int]:
        """The file's bytes, what they say, and up to where it is whole; bytes that were read before say the same."""
        content = read_file(self._path, limit=OBSERVED_LIMIT) or b""
        if content != self._known[0]:
            try:
                self._known = (content, *observations_from(content, what=f"`{self._path}`"))
            except Malformed as error:
                hint = error.hint or "mend that line, or take it out: every other line stands for itself"
                raise Malformed(error.message, hint=hint) from error
        return self._known


def _write(descriptor: int, lines: bytes, size: int) -> None:
    try:
        while lines:
            lines = lines[os.write(descriptor, lines) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise
