"""Which package database an entry of an SBOM was read from: the image's own, or another one that lies inside it.

Scanners find every database in a file tree: the base image's copy that rpm-ostree keeps, those of containers and of
other deployments. Only the image's own counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum

_OWN = {
    "rpm": re.compile(
        r"(?:\A|/)(?:usr/share/rpm|usr/lib/sysimage/rpm|var/lib/rpm)/(?:Packages|Packages\.db|rpmdb\.sqlite)\Z"
    ),
    "deb": re.compile(r"(?:\A|/)var/lib/dpkg/(?:status|status\.d/[^/]+|info/[^/]+)\Z"),
    "alpm": re.compile(r"(?:\A|/)var/lib/pacman/local/[^/]+/[^/]+\Z"),
}
_RPMDB_FILES = frozenset({"Packages", "Packages.db", "rpmdb.sqlite"})
_ARCHIVES = {"rpm": ".rpm", "deb": ".deb", "alpm": ".pkg.tar.zst"}


class Place(Enum):
    """Where an entry comes from, beside the folder (a `str`, `""` is the image's root) that holds its database."""

    UNKNOWN = "unknown"
    NOT_INSTALLED = "not installed"


Where = Place | str


def place(ecosystem: str, paths: Sequence[str]) -> Where:
    """The folder that holds the database of ``paths``, the best where there are several.

    `Place.UNKNOWN` where no path is a database; `Place.NOT_INSTALLED` for package files that merely lie there and for
    the copy of the base image's list in `rpm-ostree-base-db`.
    """
    found: list[Where] = [_place(ecosystem, path.lstrip("/").removeprefix("./")) for path in paths]
    folders = [where for where in found if isinstance(where, str)]
    if folders:
        return min(folders, key=_depth)
    return Place.NOT_INSTALLED if Place.NOT_INSTALLED in found else Place.UNKNOWN


def _place(ecosystem: str, path: str) -> Where:
    pattern = _OWN.get(ecosystem)
    if pattern is None:
        return Place.UNKNOWN
    folder, _, file = path.rpartition("/")
    if path.endswith(_ARCHIVES[ecosystem]) or "rpm-ostree-base-db" in folder.split("/"):
        return Place.NOT_INSTALLED
    if match := pattern.search(path):
        return path[: match.start()]
    return folder if ecosystem == "rpm" and file in _RPMDB_FILES else Place.UNKNOWN


def chosen(found: Iterable[tuple[str, Where]]) -> frozenset[tuple[str, Where]]:
    """Which places count: for each ecosystem the database nearest to the root, and entries of unknown place."""
    folders: dict[str, set[str]] = {}
    keep: set[tuple[str, Where]] = set()
    for ecosystem, where in found:
        if isinstance(where, str):
            folders.setdefault(ecosystem, set()).add(where)
        elif where is Place.UNKNOWN:
            keep.add((ecosystem, where))
    for ecosystem, several in folders.items():
        keep.add((ecosystem, min(several, key=_depth)))
    return frozenset(keep)


def _depth(folder: str) -> tuple[int, str]:
    return (folder.count("/") + 1 if folder else 0, folder)
