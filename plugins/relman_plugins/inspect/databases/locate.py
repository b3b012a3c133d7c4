"""Where the package databases are in a folder: a database's own, or the root of a file tree that somebody unpacked.

Links are followed as they would be with that tree as the root: `/usr/share/rpm` in it is never that of this machine.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from relman.plugin import Malformed, NotFound

from . import rpm_ndb, rpm_sqlite

RPM_FOLDERS = ("usr/share/rpm", "usr/lib/sysimage/rpm", "var/lib/rpm")
"""Where rpm's database is, the best first. The base image's copy in `rpm-ostree-base-db` is none of these."""
RPM_FILES = ("rpmdb.sqlite", "Packages.db", "Packages")
"""What its file is called, by format: SQLite, ndb, Berkeley DB."""
DPKG_FOLDER = "var/lib/dpkg"
PACMAN_FOLDER = "var/lib/pacman"

_LINKS = 40  # as many as Linux follows


class Kind(StrEnum):
    """Whose database it is."""

    RPM = "rpm"
    DPKG = "dpkg"
    PACMAN = "pacman"


class Located(msgspec.Struct, frozen=True):
    """A database: rpm's file, dpkg's folder (or its `status` alone), or pacman's folder `local`."""

    kind: Kind
    path: Path


def locate(path: Path) -> tuple[Located, ...]:
    """The databases that ``path`` names: a file, the folder of one, or a root that may hold one of each kind.

    Raises `NotFound` where there is none.
    """
    if path.is_file():
        return (Located(_kind(path), path),)
    if not path.is_dir():
        raise NotFound(f"`{path}` is not there", hint="name a package database, its folder, or the root of a file tree")
    found = tuple(_own(path)) or tuple(_below(path))
    if not found:
        raise NotFound(
            f"`{path}` holds no package database",
            hint=f"looked for {', '.join((*RPM_FOLDERS, DPKG_FOLDER, PACMAN_FOLDER))} and for {', '.join(RPM_FILES)}",
        )
    return found


def _kind(path: Path) -> Kind:
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith((rpm_sqlite.MAGIC, rpm_ndb.MAGIC)) or path.name in RPM_FILES:
        return Kind.RPM
    if head[:1].isalpha() and b":" in head:
        return Kind.DPKG
    raise Malformed(
        f"`{path}` is no package database",
        hint=f"an rpm database is called {', '.join(RPM_FILES)}; dpkg's is `status`; for pacman name the folder",
    )


def _own(folder: Path) -> Iterator[Located]:
    """The database whose folder this is."""
    if (file := _rpm_file(folder, "")) is not None:
        yield Located(Kind.RPM, file)
    elif _is_dpkg(folder):
        yield Located(Kind.DPKG, folder)
    elif (local := _pacman(folder)) is not None:
        yield Located(Kind.PACMAN, local)


def _below(root: Path) -> Iterator[Located]:
    """The databases of the file tree whose root this is, one of each kind."""
    rpm = (_rpm_file(root, place) for place in RPM_FOLDERS)
    if (file := next((file for file in rpm if file is not None), None)) is not None:
        yield Located(Kind.RPM, file)
    if (folder := inside(root, DPKG_FOLDER)) is not None and _is_dpkg(folder):
        yield Located(Kind.DPKG, folder)
    if (folder := inside(root, PACMAN_FOLDER)) is not None and (local := _pacman(folder)) is not None:
        yield Located(Kind.PACMAN, local)


def _rpm_file(root: Path, place: str) -> Path | None:
    for name in RPM_FILES:
        file = inside(root, f"{place}/{name}")
        # rpm makes an empty file where it only looks for a database.
        if file is not None and file.is_file() and file.stat().st_size:
            return file
    return None


def _is_dpkg(folder: Path) -> bool:
    return is_plain_file(folder / "status") or (folder / "status.d").is_dir()


def _pacman(folder: Path) -> Path | None:
    for local in (folder, folder / "local"):
        if local.is_dir() and (is_plain_file(local / "ALPM_DB_VERSION") or any(local.glob("*/desc"))):
            return local
    return None


def is_plain_file(path: Path) -> bool:
    """Is it a file itself, and no link to one?"""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def inside(root: Path, place: str) -> Path | None:
    """``place`` in the tree at ``root``, links followed as if that were `/`; `None` where there is nothing."""
    parts = [part for part in place.split("/") if part][::-1]
    walked: list[str] = []
    links = 0
    while parts:
        part = parts.pop()
        if part in ("", "."):
            continue
        if part == "..":
            walked = walked[:-1]
            continue
        here = root.joinpath(*walked, part)
        try:
            mode = here.lstat().st_mode
            target = str(here.readlink()) if stat.S_ISLNK(mode) else None
        except OSError:
            return None
        if target is None:
            walked.append(part)
            continue
        links += 1
        if links > _LINKS:
            return None
        if target.startswith("/"):
            walked = []
        parts.extend(target.split("/")[::-1])
    return root.joinpath(*walked)
