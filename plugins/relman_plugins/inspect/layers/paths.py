"""Which paths matter, and which a layer hides from those below (OCI Image Format 1.1, layer.md, "Whiteouts")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from relman.model.contents import Capability

from ..databases import DPKG_FOLDER, PACMAN_FOLDER, RPM_FILES, RPM_FOLDERS, Kind

RPM_PATHS = tuple(f"{folder}/{file}" for folder in RPM_FOLDERS for file in RPM_FILES)
"""Where rpm's database may lie, the best place first."""
STATUS = f"{DPKG_FOLDER}/status"
STATUS_D = f"{DPKG_FOLDER}/status.d"
INFO = f"{DPKG_FOLDER}/info"
LOCAL = f"{PACMAN_FOLDER}/local"
LOOKED_IN = (*RPM_FOLDERS, DPKG_FOLDER, LOCAL)

OBJECTS = "sysroot/ostree/repo/objects/"
"""Where layers that were made from an ostree commit keep the content; the real paths are hard links to it."""
BASE_COPY = "usr/lib/sysimage/rpm-ostree-base-db/"
"""The base image's own database, never the image's; but the image's may be a hard link to it, and is the same then."""

LINKS = 8
"""The most links, one leading to the next, that are followed to a file."""
OPAQUE = ".wh..wh..opq"
REMOVED = ".wh."
_MAGICS = (b"SQLite format 3\0", b"RpmP", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")  # databases, and SQLite's log


class Role(Enum):
    """What a wanted file is."""

    RPM = "rpm"
    LOG = "log"
    STATUS = "status"
    PART = "part"
    """One of many small files that make a database together."""
    TARGET = "target"
    """What a link leads to."""


class Wanted:
    """What to look for: databases of these ``kinds``, or ``targets``, the files that links lead to.

    ``aliases`` are further paths of rpm's database, where links of folders lead; ``wants`` is what the run has a use
    for: with files, dpkg's lists of them are part of its database.
    """

    def __init__(
        self,
        kinds: frozenset[Kind] = frozenset(),
        wants: frozenset[Capability] = frozenset(),
        *,
        aliases: Iterable[str] = (),
        targets: Iterable[str] = (),
    ) -> None:
        self.files = Capability.FILES in wants
        self.rpm_paths: tuple[str, ...] = (*RPM_PATHS, *aliases) if Kind.RPM in kinds else ()
        self.targets = frozenset(targets)
        self._has_dpkg, self._has_pacman = Kind.DPKG in kinds, Kind.PACMAN in kinds
        self._exact = dict.fromkeys(self.rpm_paths, Role.RPM)
        self._exact |= {f"{path}-wal": Role.LOG for path in self.rpm_paths}
        self._exact |= {STATUS: Role.STATUS} if self._has_dpkg else {}
        self._exact |= dict.fromkeys(self.targets, Role.TARGET)
        places = [
            *self._exact,
            *([f"{STATUS_D}/"] if self._has_dpkg else []),
            *([f"{LOCAL}/"] if self._has_pacman else []),
        ]
        self._folders = frozenset(folder for place in places for folder in parents(place))

    def role(self, name: str) -> Role | None:
        """What the file ``name`` would be; `None` for one that does not matter."""
        role = self._exact.get(name)
        if role is None and name.startswith("var/lib/") and self._is_part(*name.rpartition("/")[::2]):
            return Role.PART
        return role

    def _is_part(self, folder: str, leaf: str) -> bool:
        if self._has_dpkg and folder in (STATUS_D, INFO):
            return self.files if leaf.endswith(".md5sums") else folder == STATUS_D
        return self._has_pacman and leaf == "desc" and folder.rpartition("/")[0] == LOCAL

    def is_folder(self, name: str) -> bool:
        """Whether something wanted lies below ``name``."""
        return name in self._folders

    def concerns(self, path: str) -> bool:
        """Whether hiding ``path`` could hide something wanted."""
        return path in self._folders or path in self._exact or path.startswith((f"{DPKG_FOLDER}/", f"{LOCAL}/"))

    def beyond(self, folder: str, target: str) -> Iterator[str]:
        """Where rpm's database would be by the link ``folder`` (or file), if that is none of the places known."""
        for path in self.rpm_paths:
            if path == folder or path.startswith(f"{folder}/"):
                there = linked(folder, target)
                if there is not None and (place := f"{there}{path[len(folder) :]}".lstrip("/")) not in self._exact:
                    yield place


class Hidden:
    """What the layers above hide."""

    def __init__(self) -> None:
        self._removed: set[str] = set()
        self._opaque: set[str] = set()

    def add(self, removed: Iterable[str], opaque: Iterable[str]) -> None:
        """Note what one more layer removes, and the folders whose earlier content it hides."""
        self._removed.update(removed)
        self._opaque.update(opaque)

    def hides(self, path: str) -> bool:
        """Whether a file at ``path`` in a layer below is not in the image."""
        if not self._removed and not self._opaque:
            return False
        return (
            path in self._removed
            or "" in self._opaque
            or any(folder in self._removed or folder in self._opaque for folder in parents(path))
        )


def parents(path: str) -> Iterator[str]:
    """The folders above ``path``, the nearest first, without the root."""
    while path := path.rpartition("/")[0]:
        yield path


def linked(link: str, target: str) -> str | None:
    """Where the symbolic link at ``link`` leads, below the image's root; `None` for the root itself."""
    parts = [] if target.startswith("/") else link.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or None


def may_be_linked(name: str) -> bool:
    """Whether a hard link of a database may lead to ``name``, so that it is kept though nobody asked for it."""
    return name.startswith((OBJECTS, BASE_COPY))


def is_database(head: bytes) -> bool:
    """By its first 16 bytes: an rpm database, or the log of one."""
    return head.startswith(_MAGICS)
