"""Files that are whole or not there: written beside their place, flushed, renamed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from relman.errors import DigestMismatch, RelmanError, Unequipped
from relman.model.oci import Digest

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PIECE = 1024 * 1024


def refused(verb: str, path: Path, error: OSError) -> RelmanError:
    """The error for a file that cannot be read or written, by the reason that the system gives."""
    message = f"cannot {verb} `{path}`: {error.strerror or error}"
    if error.errno in _FORBIDDEN:
        return Unequipped(message, hint="its folder must be yours to write" if verb == "write" else None)
    hint = "make room on the disk; nothing half-written was left behind" if error.errno in _FULL else None
    return RelmanError(message, hint=hint)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, made with its folder where needed, until the block ends. Waits for others."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise refused("write", path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise refused("write", path, error) from error
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes) -> None:
    """Let ``path`` hold ``content``: the old bytes or the new ones, whatever happens."""
    with _new_file(path) as file:
        file.write(content)


def write_blob(path: Path, digest: Digest, size: int, content: Callable[[], Iterator[bytes]]) -> None:
    """Let ``path`` hold the blob; a whole one that is there already is left alone. Raises `DigestMismatch`."""
    if _holds(path, digest, size):
        return
    with _new_file(path) as file:
        seen, counted = hashlib.new(digest.algorithm), 0
        for piece in content():
            counted += len(piece)
            if counted > size:
                raise DigestMismatch(f"the blob `{digest}` has more than the {size} bytes that are stated for it")
            seen.update(piece)
            file.write(piece)
        if counted != size or seen.hexdigest() != digest.hex:
            raise DigestMismatch(f"the blob `{digest}` came as {counted} bytes that do not hash to it")


def _holds(path: Path, digest: Digest, size: int) -> bool:
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            seen = hashlib.new(digest.algorithm)
            while piece := file.read(_PIECE):
                seen.update(piece)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise refused("read", path, error) from error
    return seen.hexdigest() == digest.hex


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` when the block ends well, and vanishes when it does not."""
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
        name = ""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise refused("write", path, error) from error
    finally:
        if name:
            with suppress(OSError):
                Path(name).unlink()
