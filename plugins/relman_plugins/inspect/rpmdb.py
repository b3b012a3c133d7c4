"""Contents from the package database itself: in an image's layers, or in a file or folder (`rpmdb:FILE-OR-FOLDER`).

rpm's database (SQLite, ndb), dpkg's and pacman's are read, without an image being pulled or unpacked. It is the one
source that knows what no list says: obsoletes, sizes, and on demand changelogs and the digests of packaged files.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relman.model.contents import Capability, Contents, Unavailable
from relman.model.oci import PlatformImage, Transport
from relman.plugin import ContentsContext, ImageUnderRead, Malformed, NotFound, Unequipped, hookimpl

if TYPE_CHECKING:  # the readers are imported where one reads: an image may have a list that is smaller
    from .layers import Found, Limits


# SQLite gives Python's lock away at every row: two that read at once take turns row by row, and are slower than one.
_ONE: Final = threading.Lock()


@hookimpl
def relman_contents_sources(context: ContentsContext) -> Iterable[DatabaseSource]:  # noqa: ARG001  pluggy names it
    """One source: package databases."""
    return [DatabaseSource()]


class DatabaseSource:
    """Reads package databases, within ``limits``."""

    name = "rpmdb"
    capabilities = frozenset(Capability)

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        """The image's contents by its package database. What the registry itself fails at is raised, not answered."""
        if image.image is None:
            return self._read_path(image)
        if not image.image.layers:
            return Unavailable("the image has no layers")
        try:
            with tempfile.TemporaryDirectory(prefix="relman-rpmdb-") as folder:
                return self._read_layers(image, image.image, Path(folder))
        except (Malformed, NotFound) as error:
            return Unavailable(f"{error.message}{f' ({error.hint})' if error.hint else ''}")
        except OSError as error:
            raise Unequipped(
                f"no temporary folder for a package database can be used: {error.strerror or error}",
                hint="`TMPDIR` names another folder for temporary files",
            ) from error

    def _read_path(self, image: ImageUnderRead) -> Contents | Unavailable:
        from .databases import read_path

        repository = image.reference.repository
        if repository.transport is not Transport.RPMDB:
            return Unavailable(f"`{image.reference}` is not a package database")
        try:
            return read_path(Path(repository.name), image.wants)
        except (Malformed, NotFound) as error:
            return Unavailable(f"{error.message}{f' ({error.hint})' if error.hint else ''}")
        except OSError as error:
            return Unavailable(f"`{repository.name}` cannot be read: {error.strerror or error}")

    def _read_layers(self, image: ImageUnderRead, part: PlatformImage, folder: Path) -> Contents | Unavailable:
        from .databases import Kind
        from .layers import LIMITS, LOOKED_IN, Search

        kinds = frozenset(Kind)
        empty: list[str] = []
        while kinds:
            place = folder / str(len(empty))
            place.mkdir()
            search = Search(image.registry, image.reference.repository, part, place, self._limits or LIMITS)
            found = search.find(kinds, image.wants)
            if found is None:
                places = ", ".join(f"`{folder}`" for folder in LOOKED_IN)
                but = f" that lists a package (that of {', '.join(empty)} is empty)" if empty else ""
                return Unavailable(
                    f"{len(part.layers)} layers, {search.read} read: no package database{but} in {places}"
                )
            contents = _contents(found, image.wants)
            if len(contents.packages):
                return contents
            # rpm and dpkg get installed on each other's systems, as tools.
            empty.append(found.kind)
            kinds -= {found.kind}
        return Unavailable(f"the package databases of {', '.join(empty)} in its layers list no packages")


def _contents(found: Found, wants: frozenset[Capability]) -> Contents:
    from .databases import Kind, read_dpkg, read_pacman, read_rpm

    match found.kind:
        case Kind.RPM:
            assert found.rpm is not None
            with _ONE:
                return read_rpm(found.rpm, wants)
        case Kind.DPKG:
            return read_dpkg(found.status, found.status_d, found.info, wants)
        case Kind.PACMAN:
            return read_pacman(found.descs)
