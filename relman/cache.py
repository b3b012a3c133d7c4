"""Contents that were read before, kept on this machine by the digest of the image, and what images are made of.

A manifest's digest says what is inside, for ever, so nothing here goes stale; what readers of another version, other
sources or other wishes would read has another key. Many runs share the folder: files are written beside their place
and renamed, and each says the digest of what it holds. A cache that cannot be written is none, and no error.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from relman import __version__
from relman.documents.contents import CONTENTS_LIMIT, bound_contents, contents_document
from relman.errors import Malformed
from relman.model.contents import EXACT, Capability, Contents
from relman.model.oci import Digest, Platform

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

log = logging.getLogger(__name__)

LIMIT: Final = 512 * 1024 * 1024
"""The most bytes that are kept; beyond it, what was used longest ago goes first."""

_FORMAT = 1
_SUFFIX = ".contents"
_PIECE = ".piece"  # a manifest or a configuration
_PIECE_LIMIT = 4 * 1024 * 1024
_LEVEL = 3  # 25 KB in under a millisecond
_HEAD = len(Digest.of(b"")) + 1
_ABANDONED = 3600.0
_KEEP = 0.9


class Reading(msgspec.Struct, frozen=True):
    """Everything that what is read depends on: the image, and how it is read.

    ``sources`` are those that are asked, in their order; ``wants`` what was wanted beyond the list; ``settings`` what
    else changes the answer.
    """

    image: Digest
    platform: Platform
    sources: tuple[str, ...]
    wants: frozenset[Capability] = frozenset()
    settings: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of its file, without the suffix."""
        parts = [_FORMAT, __version__, self.image, str(self.platform), self.sources, sorted(self.wants), self.settings]
        return Digest.of(json.dumps(parts).encode()).hex


class Usage(msgspec.Struct, frozen=True):
    """How much a cache holds: lists, and the bytes of all that it keeps."""

    entries: int
    size: int


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """``$RELMAN_CACHE``, else `relman` in ``$XDG_CACHE_HOME`` or `~/.cache`; `None` where there is no home."""
    if given := environment.get("RELMAN_CACHE"):
        return Path(given)
    base = environment.get("XDG_CACHE_HOME", "")
    if base and Path(base).is_absolute():  # the specification: a relative path is to be ignored
        return Path(base) / "relman"
    home = environment.get("HOME")
    return Path(home) / ".cache" / "relman" if home else None


class ContentsCache:
    """Lists of contents in ``folder``, at most ``limit`` bytes of them. For any number of threads and processes."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self.folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._size: int | None = None
        self._writable = True

    def read(self, reading: Reading) -> Contents | None:
        """What this reading gave before; `None` where it is not here. A file that is broken is removed."""
        path = self._path(reading)
        try:
            content = _bounded(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.debug("the cache `%s` cannot be read: %s", path, error)
            return None
        try:
            found = _opened(content, reading)
        except Malformed as error:
            log.debug("dropped from the cache, for it is broken: %s", error.message)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # used now: the last to go
        return found

    def keep(self, reading: Reading, contents: Contents) -> None:
        """Keep what this reading gave, where it is exact: an approximation may be known better tomorrow.

        Lists of files are not kept: reading one back takes more memory than a run should have.
        """
        if not self._writable or not contents.capabilities >= EXACT or Capability.FILES in reading.wants:
            return
        try:
            listed = contents_document({reading.platform: contents}, image=reading.image, whole=True)
            document = msgspec.json.encode(listed, enc_hook=str)  # digests, which are text of a kind of their own
        except ValueError as error:  # a plugin's extras that are no JSON
            log.debug("not cached: %s", error)
            return
        packed = zstd.compress(document, _LEVEL)
        content = f"{Digest.of(packed)}\n".encode() + packed
        if len(content) > self._limit or len(document) > CONTENTS_LIMIT:
            return
        try:
            self._write(self._path(reading), content)
        except OSError as error:
            log.debug("nothing is cached: `%s` cannot be written: %s", self.folder, error)
            self._writable = False

    def piece(self, digest: Digest) -> bytes | None:
        """A manifest or configuration by its digest; `None` where it is not here. What is broken is removed."""
        path = self._piece_path(digest)
        try:
            content = zstd.ZstdDecompressor().decompress(_bounded(path), _PIECE_LIMIT + 1)
        except OSError:
            return None
        except zstd.ZstdError:
            content = b""
        if Digest.of(content, digest.algorithm) != digest:
            log.debug("dropped from the cache, for it is broken: `%s`", path)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def keep_piece(self, digest: Digest, content: bytes) -> None:
        """Keep a manifest or configuration that has this digest, where it is not kept yet."""
        path = self._piece_path(digest)
        if not self._writable or len(content) > _PIECE_LIMIT or path.exists():
            return
        try:
            self._write(path, zstd.compress(content, _LEVEL))
        except OSError as error:
            log.debug("nothing is cached: `%s` cannot be written: %s", self.folder, error)
            self._writable = False

    def usage(self) -> Usage:
        """How much there is now."""
        files = [(path.suffix, size) for path, _, size in self._files()]
        return Usage(sum(suffix == _SUFFIX for suffix, _ in files), sum(size for _, size in files))

    def clear(self) -> Usage:
        """Remove everything that is the cache's own; what there was. Raises `OSError` where that is not allowed."""
        count = size = 0
        for path, _, bytes_ in self._files(leftovers=True):
            path.unlink(missing_ok=True)
            count, size = count + (path.suffix != _PIECE), size + bytes_
        self._size = None
        return Usage(count, size)

    def _path(self, reading: Reading) -> Path:
        key = reading.key
        return self.folder / key[:2] / f"{key}{_SUFFIX}"

    def _piece_path(self, digest: Digest) -> Path:
        return self.folder / digest.hex[:2] / f"{digest.algorithm}-{digest.hex}{_PIECE}"

    def _write(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        with self._lock:
            if self._size is None or self._size + len(content) > self._limit:
                self._size = self._prune()
            else:
                self._size += len(content)

    def _prune(self) -> int:
        """Remove the least recently used beyond the limit, and what killed runs left; the bytes that stay."""
        abandoned = time.time() - _ABANDONED
        kept = []
        for path, used, size in self._files(leftovers=True):
            if path.suffix not in (_SUFFIX, _PIECE):
                if used < abandoned:
                    with suppress(OSError):
                        path.unlink()
                continue
            kept.append((used, size, path))
        total = sum(size for _, size, _ in kept)
        if total <= self._limit:
            return total
        for _, size, path in sorted(kept):
            if total <= self._limit * _KEEP:
                break
            with suppress(OSError):
                path.unlink()
                total -= size
        return total

    def _files(self, *, leftovers: bool = False) -> Iterable[tuple[Path, float, int]]:
        """Each file with the time of its last use and its size; with ``leftovers``, unfinished ones as well."""
        try:
            folders = [Path(entry) for entry in os.scandir(self.folder) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return
        for folder in sorted(folders):
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            for entry in entries:
                if entry.name.endswith((_SUFFIX, _PIECE)) or (leftovers and entry.name.endswith(".tmp")):
                    with suppress(OSError):  # another run removed it
                        found = entry.stat(follow_symlinks=False)
                        yield Path(entry.path), found.st_mtime, found.st_size


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(CONTENTS_LIMIT + 1)


def _opened(content: bytes, reading: Reading) -> Contents:
    what = f"the cached list of `{reading.image.short}`"
    head, packed = content[:_HEAD], content[_HEAD:]
    if head != f"{Digest.of(packed)}\n".encode():
        raise Malformed(f"{what} does not hash to what it says")
    try:
        document = zstd.ZstdDecompressor().decompress(packed, CONTENTS_LIMIT + 1)
    except zstd.ZstdError as error:
        raise Malformed(f"{what} is not zstd: {error}") from error
    found = bound_contents(document, what=what)
    if found.image != reading.image or reading.platform not in found.platforms:
        raise Malformed(f"{what} is of another image")
    return found.platforms[reading.platform]
