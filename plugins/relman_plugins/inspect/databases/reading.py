"""Databases on disk, whichever they are: told apart by their first bytes, read, and brought into one list."""

from __future__ import annotations

import tempfile
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from relman.model.contents import Capability, Contents, Details, PackageSet
from relman.plugin import Malformed, NotFound

from . import rpm, rpm_ndb, rpm_sqlite
from .dpkg import read_dpkg
from .locate import Kind, Located, is_plain_file, locate
from .pacman import read_pacman

K = TypeVar("K")
V = TypeVar("V")

NAME = "rpmdb"
"""What contents that were read from a database name as their source, unless told otherwise."""

_BERKELEY = frozenset({0x00061561, 0x00053162})  # a hash, a B-tree; at 12, in the byte order of its machine
_FILE_LIMIT = 256 * 1024 * 1024
_NO_WANTS: frozenset[Capability] = frozenset()


def read_rpm(path: Path, wants: frozenset[Capability] = _NO_WANTS, *, source: str = NAME) -> Contents:
    """What rpm has installed, by its database at ``path``: `rpmdb.sqlite` or `Packages.db`, whatever it is called.

    Nothing is written beside it. A log that lies beside it (``-wal``) and still holds changes is honoured. Changelogs
    and files are read only where ``wants`` has them, and are many times larger than the list. An empty database gives
    an empty list. Raises `Malformed`, naming what is wrong, and `NotFound`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
        return rpm.contents(_blobs(path, head), wants, source)
    except OSError as error:
        raise NotFound(f"`{path}` cannot be read: {error.strerror or error}") from error
    except Malformed as error:
        raise Malformed(f"the rpm database `{path.name}` cannot be read: {error.message}", hint=error.hint) from error


def read_rpm_bytes(
    content: bytes, wal: bytes | None = None, wants: frozenset[Capability] = _NO_WANTS, *, source: str = NAME
) -> Contents:
    """The same for a database in memory, and the log beside it.

    It goes through a temporary file all the same: SQLite would hold a copy of its own. Whoever reads a large one from
    a layer writes it to a file as it comes, and calls `read_rpm`.
    """
    with tempfile.TemporaryDirectory(prefix="relman-rpmdb-") as folder:
        return read_rpm(rpm_sqlite.spooled(content, wal, folder), wants, source=source)


def _blobs(path: Path, head: bytes) -> Iterator[bytes]:
    if head.startswith(rpm_sqlite.MAGIC):
        return rpm_sqlite.blobs(path)
    if head.startswith(rpm_ndb.MAGIC):
        return rpm_ndb.blobs(path)
    if {int.from_bytes(head[12:16], "little"), int.from_bytes(head[12:16], "big")} & _BERKELEY:
        raise Malformed(
            "it is a Berkeley DB database, which relman does not read",
            hint="rpm 4.16 and later convert a copy of its folder: `rpmdb --rebuilddb --dbpath COPY`; or use an SBOM",
        )
    if not head:
        raise Malformed("it is empty")
    raise Malformed(f"it is neither SQLite nor ndb: it begins with `{head[:8].hex()}`")


# --------------------------------------------------------------------------------------- `rpmdb:FILE-OR-FOLDER`


def read_path(path: Path, wants: frozenset[Capability] = _NO_WANTS, *, source: str = NAME) -> Contents:
    """The contents by every database that ``path`` names (see `locate`); those that are empty do not count.

    Raises `NotFound` where there is none, `Malformed` where one is broken or none lists a package.
    """
    found = [_read(located, wants, source) for located in locate(path)]
    filled = [contents for contents in found if len(contents.packages)]
    if not filled:
        raise Malformed(f"the package database in `{path}` lists no packages")
    return merged(filled)


def _read(located: Located, wants: frozenset[Capability], source: str) -> Contents:
    match located.kind:
        case Kind.RPM:
            return read_rpm(located.path, wants, source=source)
        case Kind.DPKG:
            return _read_dpkg(located.path, wants, source)
        case Kind.PACMAN:
            folders = sorted(located.path.iterdir())
            descs = (folder / "desc" for folder in folders)
            return read_pacman(
                ((f"{d.parent.name}/desc", _content(d)) for d in descs if is_plain_file(d)), source=source
            )


def _read_dpkg(place: Path, wants: frozenset[Capability], source: str) -> Contents:
    if place.is_file():
        return read_dpkg(_content(place), wants=wants, source=source)
    status = place / "status"
    return read_dpkg(
        _content(status) if is_plain_file(status) else None,
        _all(place / "status.d", ""),
        _all(place / "info", ".md5sums") if Capability.FILES in wants else {},
        wants,
        source=source,
    )


def _all(folder: Path, suffix: str) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    files = (file for file in sorted(folder.iterdir()) if file.name.endswith(suffix) and is_plain_file(file))
    return {file.name: _content(file) for file in files}


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise NotFound(f"`{path}` cannot be read: {error.strerror or error}") from error
    if len(content) > _FILE_LIMIT:
        raise Malformed(f"`{path}` is larger than {_FILE_LIMIT} bytes")
    return content


def merged(several: Sequence[Contents]) -> Contents:
    """One list of the databases that lie in one image, with what all of them know. Raises `ValueError` for none."""
    if not several:
        raise ValueError("there is no list to merge")
    if len(several) == 1:
        return several[0]
    details = [contents.details or Details() for contents in several]
    return Contents(
        packages=PackageSet(package for contents in several for package in contents.packages),
        source=several[0].source,
        capabilities=reduce(frozenset.intersection, (contents.capabilities for contents in several)),
        keys=tuple(sorted({key for contents in several for key in contents.keys})),
        extras=_joined([contents.extras for contents in several]),
        details=Details(
            _joined([one.obsoletes for one in details]),
            _joined([one.sizes for one in details]),
            _joined([one.changelogs for one in details]),
            _joined([one.files for one in details]),
        ),
    )


def _joined(mappings: Sequence[Mapping[K, V]]) -> Mapping[K, V]:
    # Only looked into, never written to: a view is enough, however many files there are.
    return MappingProxyType(ChainMap(*mappings))  # type: ignore[arg-type]
