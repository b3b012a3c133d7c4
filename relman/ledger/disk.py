"""Files that are whole or not there: atomic writes that survive a power cut, bounded reads, and one lock."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relman.errors import Locked, Malformed, RelmanError, Unequipped

_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
_PAUSE = 0.025


def failure(error: OSError, path: Path) -> RelmanError:
    """What the operating system's refusal means for people; ``path`` is what relman was about to touch."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in _DENIED:
        return Unequipped(f"cannot use `{path}`: {reason}", hint="the ledger's folder must be writable for this user")
    if error.errno in _FULL:
        return RelmanError(
            f"cannot write `{path}`: {reason}",
            hint="make room and run the same command again: what was done until here is noted in the ledger's journal",
        )
    if error.errno in _IN_THE_WAY:
        return RelmanError(f"cannot use `{path}`: something else is in its place ({reason})", hint="move that away")
    return RelmanError(f"cannot use `{path}`: {reason}")


@contextmanager
def touching(path: Path) -> Iterator[None]:
    """Turn refusals of the operating system into relman's errors."""
    try:
        yield
    except OSError as error:
        raise failure(error, path) from error


def read_file(path: Path, *, limit: int) -> bytes | None:
    """The file's bytes, or `None` where there is none. Raises `Malformed` for one that is too large or no file."""
    with touching(path):
        try:
            # Without O_NONBLOCK a named pipe in the file's place would wait forever for somebody to write.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Malformed(f"`{path}` is not a file")
            content = file.read(limit + 1)
    if len(content) > limit:
        raise Malformed(f"`{path}` is larger than {limit // 1024} KiB")
    return content


def write_file(path: Path, content: bytes) -> None:
    """Replace ``path`` at once: whoever reads sees the old bytes or the new ones. On disk when this returns.

    One writer at a time: `guarded` sees to that.
    """
    beside = path.with_name(f".{path.name}.tmp")
    with touching(path):
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            beside.replace(path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make ``path`` and what is missing above it, on disk when this returns."""
    with touching(path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        if not missing and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)


def remove_file(path: Path) -> None:
    """Remove ``path``; nothing happens where it is not there."""
    with touching(path):
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Put the names in ``path`` on disk: a rename is lost in a power cut until its folder is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder, and need not
            raise
    finally:
        os.close(descriptor)


@contextmanager
def guarded(lock: Path, patience: float = 10.0) -> Iterator[None]:
    """Be the only one on this machine who checks and writes, for the moment that this takes.

    The kernel lets go when the process ends, however it ends. Raises `Locked` when somebody holds on for ``patience``
    seconds.
    """
    with touching(lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        _wait(descriptor, lock, patience)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, lock: Path, patience: float) -> None:
    for _ in range(round(patience / _PAUSE)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError as error:
            raise failure(error, lock) from error
        else:
            return
    raise Locked(f"another process is writing, and holds `{lock}`", hint="see who with `lslocks`, or try again")
