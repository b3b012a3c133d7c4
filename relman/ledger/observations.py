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


def read(path: Path) -> Observations:
    """What was noted; nothing where there is no such file. Raises `Malformed` with the line that cannot be read."""
    return _read(path)[0]


def append(path: Path, entries: Iterable[Observation]) -> None:
    """Add lines, on disk when this returns. What a killed run left half-written is cut off first.

    The caller holds the lock. Where the disk refuses, the file is as it was.
    """
    content, whole = _read(path)[1:]
    lines = observed_lines(entries)
    if whole and not content[:whole].endswith(b"\n"):
        lines = b"\n" + lines
    with touching(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
        try:
            if whole != len(content):
                os.ftruncate(descriptor, whole)
            _write(descriptor, lines, whole)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)


def _write(descriptor: int, lines: bytes, size: int) -> None:
    try:
        while lines:
            lines = lines[os.write(descriptor, lines) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _read(path: Path) -> tuple[Observations, bytes, int]:
    content = read_file(path, limit=OBSERVED_LIMIT) or b""
    try:
        observations, whole = observations_from(content, what=f"`{path}`")
    except Malformed as error:
        hint = error.hint or "mend that line, or take it out: every other line stands for itself"
        raise Malformed(error.message, hint=hint) from error
    return observations, content, whole
