"""What one layer has of the wanted files, and what it hides of the layers below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relman.plugin import Malformed

from .paths import OBJECTS, OPAQUE, REMOVED, Hidden, Role, Wanted, is_database, may_be_linked
from .spool import Spool, with_head
from .stream import Limits
from .tar import Archive, Entry, Kind

_HEAD = 16


@dataclass(frozen=True, slots=True)
class Held:
    """A file of a layer. ``target`` is where a hard link leads, else empty.

    The content of a file is at ``path``, or in ``content``; where it was not fetched yet, ``fetch`` does it.
    """

    layer: int
    role: Role
    size: int
    target: str = ""
    path: Path | None = None
    content: bytes | None = None
    fetch: Callable[[], Path] | None = None

    def file(self) -> Path:
        """Where the content is, on disk."""
        if self.path is None:
            assert self.fetch is not None
            return self.fetch()
        return self.path


@dataclass(slots=True)
class View:
    """A layer's part of the matter.

    ``files`` are those wanted, ``linkable`` those that a hard link may lead to; ``removed`` and ``opaque`` are what it
    hides; ``links`` its symbolic links at or above wanted paths.
    """

    layer: int
    files: dict[str, Held] = field(default_factory=dict)
    linkable: dict[str, Held] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    is_ostree: bool = False

    def note(self, entry: Entry, wanted: Wanted, limits: Limits) -> Role | None:
        """Note what ``entry`` hides, and say what it is where it is a wanted file or a hard link to one."""
        folder, _, leaf = entry.name.rpartition("/")
        if leaf.startswith(REMOVED):
            if leaf == OPAQUE:
                if not folder or wanted.concerns(folder):
                    self.opaque.add(folder)
            elif wanted.concerns(path := entry.name[: -len(leaf)] + leaf[len(REMOVED) :]):
                self._remove(path, limits)
            return None
        if entry.kind is not Kind.FOLDER and wanted.is_folder(entry.name):
            self._remove(entry.name, limits)
            if entry.kind is Kind.SYMLINK:
                self.links[entry.name] = entry.target
            return None
        role = wanted.role(entry.name)
        if role is None or entry.kind in (Kind.FILE, Kind.HARD_LINK):
            return role
        self._remove(entry.name, limits)
        if entry.kind is Kind.SYMLINK:
            self.links[entry.name] = entry.target
        return None

    def _remove(self, path: str, limits: Limits) -> None:
        self.removed.add(path)
        if len(self.removed) > limits.removed:
            raise Malformed(f"it removes more than {limits.removed} files of package databases")

    def has(self, path: str) -> Held | None:
        """The content that a hard link to ``path`` has, as far as this layer was looked at."""
        return self.files.get(path) or self.linkable.get(path)

    def database(self, wanted: Wanted) -> str | None:
        """The path of rpm's database, if this layer has it and its content; the best place first."""
        for path in wanted.rpm_paths:
            held = self.files.get(path)
            seen = 0
            while held is not None and held.target and seen < _HEAD:
                held, seen = self.has(held.target), seen + 1
            if held is not None and held.size and not held.target:
                return path
        return None


def seen_in(
    archive: Archive, layer: int, wanted: Wanted, hidden: Hidden, spool: Spool, limits: Limits, *, targets: bool = False
) -> View:
    """What the streamed ``archive`` has. Reading stops when nothing of it can matter any more.

    For ``targets`` that is when all are found. For a database it is when the entries leave its folder: a log may lie
    beside it, and tools that make layers write folder by folder. Those made from ostree are not written so, and are
    read to their end.
    """
    view = View(layer)
    done = ""
    for entry in archive:
        folder = entry.name.rpartition("/")[0]
        if done and folder != done and not view.is_ostree:
            break
        if entry.kind is Kind.FILE and entry.name.startswith(OBJECTS):
            view.is_ostree = True
        role = view.note(entry, wanted, limits)
        if role is None and not (entry.kind is Kind.FILE and may_be_linked(entry.name)):
            continue
        if role is not None and not targets and hidden.hides(entry.name):
            continue
        held = _taken(archive, entry, layer, role, spool)
        if held is None:
            continue
        if role is None:
            view.linkable[entry.name] = held
            continue
        view.files[entry.name] = held
        view.removed.discard(entry.name)
        if targets:
            break
        if role is Role.STATUS and held.size and not wanted.files and not held.target:
            break
        if role in (Role.RPM, Role.LOG) and (path := view.database(wanted)):
            done = path.rpartition("/")[0]
    return view


def _taken(archive: Archive, entry: Entry, layer: int, role: Role | None, spool: Spool) -> Held | None:
    """The entry with its content; `None` for what merely might have been linked to, and will not be."""
    if entry.kind is Kind.HARD_LINK:
        if not entry.target or entry.target == entry.name:
            raise Malformed(f"`{entry.name}` is a hard link to itself")
        return Held(layer, role or Role.TARGET, 0, entry.target)
    if entry.sparse and role is not None:
        raise Malformed(f"`{entry.name}` is a sparse file, which layers do not have")
    if role in (Role.STATUS, Role.PART):
        return Held(layer, role, entry.size, content=spool.hold(archive.content(), entry.size))
    pieces = archive.content()
    if role is None:
        # An empty file needs no content to be told apart from a log that holds changes.
        head, pieces = with_head(pieces, _HEAD)
        if entry.sparse or (entry.size and not is_database(head)) or not spool.room(entry.size):
            return None
    if not entry.size:
        return Held(layer, role or Role.TARGET, 0)
    return Held(layer, role or Role.TARGET, entry.size, path=spool.keep(pieces, entry.size))


class Merged:
    """The views of the layers read so far: for each path the file that the image has."""

    def __init__(self) -> None:
        self.files: dict[str, Held] = {}
        self.hidden = Hidden()
        self.links: dict[str, str] = {}
        self.views: dict[int, View] = {}

    def add(self, view: View) -> None:
        """Put a layer below those added before."""
        for path, held in view.files.items():
            if path not in self.files and not self.hidden.hides(path):
                self.files[path] = held
        for path, target in view.links.items():
            if path not in self.files and not self.hidden.hides(path):
                self.links.setdefault(path, target)
        self.hidden.add(view.removed, view.opaque)
        # An empty file hides the one below as any other does; folders of files that are gone are told by `hidden`.
        self.views[view.layer] = view

    def parts(self, folder: str) -> Mapping[str, Held]:
        """The small files below ``folder``, by the rest of their path."""
        prefix = f"{folder}/"
        return {path[len(prefix) :]: held for path, held in self.files.items() if path.startswith(prefix)}


def of_role(files: Iterable[Held], role: Role) -> bool:
    """Whether any of ``files`` is of ``role`` and not empty."""
    return any(held.role is role and (held.size or held.target) for held in files)
