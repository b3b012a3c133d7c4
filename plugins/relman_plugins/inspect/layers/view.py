"""What one layer has of the wanted files, and what it hides of the layers below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from relman.plugin import Malformed

from .paths import LINKS, OBJECTS, OPAQUE, REMOVED, STATUS, Hidden, Role, Wanted, is_database, may_be_linked
from .spool import Spool, with_head
from .tar import Archive, Entry, Kind

_HEAD = 16


class Held(msgspec.Struct, frozen=True):
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

    def file(self, spool: Spool) -> Path:
        """Where the content is, on disk."""
        if self.path is not None:
            return self.path
        return self.fetch() if self.fetch is not None else spool.keep((self.content or b"",), self.size)

    def bytes(self, spool: Spool) -> bytes:
        """The content of a small file."""
        if self.content is not None:
            return self.content
        # Lazily, so that it is counted before it is read.
        return spool.hold((path.read_bytes() for path in (self.file(spool),)), self.size) if self.size else b""


class View(msgspec.Struct):
    """A layer's part of the matter.

    ``files`` are those wanted, ``linkable`` those that a hard link may lead to; ``removed`` and ``opaque`` are what it
    hides; ``links`` its symbolic links at or above wanted paths.
    """

    layer: int
    files: dict[str, Held] = msgspec.field(default_factory=dict)
    linkable: dict[str, Held] = msgspec.field(default_factory=dict)
    removed: set[str] = msgspec.field(default_factory=set)
    opaque: set[str] = msgspec.field(default_factory=set)
    links: dict[str, str] = msgspec.field(default_factory=dict)
    is_ostree: bool = False

    def note(self, entry: Entry, wanted: Wanted, spool: Spool) -> Role | None:
        """Note what ``entry`` hides, and say what it is where it is a wanted file or a hard link to one."""
        folder, _, leaf = entry.name.rpartition("/")
        if leaf.startswith(REMOVED):
            if leaf == OPAQUE:
                if not folder or wanted.concerns(folder):
                    spool.note(folder)
                    self.opaque.add(folder)
            elif wanted.concerns(path := entry.name[: -len(leaf)] + leaf[len(REMOVED) :]):
                self._remove(path, spool)
            return None
        if entry.kind is not Kind.FOLDER and wanted.is_folder(entry.name):
            self._remove(entry.name, spool)
            if entry.kind is Kind.SYMLINK:
                self.links[entry.name] = entry.target
            return None
        role = wanted.role(entry.name)
        if role is None or entry.kind in (Kind.FILE, Kind.HARD_LINK):
            return role
        self._remove(entry.name, spool)
        if entry.kind is Kind.SYMLINK:
            self.links[entry.name] = entry.target
        return None

    def _remove(self, path: str, spool: Spool) -> None:
        spool.note(path)
        self.removed.add(path)

    def has(self, path: str) -> Held | None:
        """The content that a hard link to ``path`` has, as far as this layer was looked at."""
        return self.files.get(path) or self.linkable.get(path)

    def done(self, wanted: Wanted) -> str:
        """The folder of the database that this layer has whole, with a slash; empty while it has none."""
        paths: tuple[str, ...] = wanted.rpm_paths if wanted.files else (*wanted.rpm_paths, STATUS)
        for path in paths:
            held = self.files.get(path)
            for _ in range(LINKS):
                if held is None or not held.target:
                    break
                held = self.has(held.target)
            if held is not None and held.size:
                return path[: path.rindex("/") + 1]
        return ""


def seen_in(archive: Archive, layer: int, wanted: Wanted, hidden: Hidden, spool: Spool) -> View:
    """What the streamed ``archive`` has. Reading stops when nothing of it can matter any more.

    For targets that is when all are found. For a database it is when the entries leave its folder: a log may lie
    beside it, and tools that make layers write folder by folder. Those made from ostree are not written so, and are
    read to their end.
    """
    view = View(layer)
    done, pending = "", set[str]()
    for entry in archive:
        if done and not entry.name.startswith(done) and not view.is_ostree:
            break
        role = view.note(entry, wanted, spool)
        loose = role is None
        if loose and not (entry.kind is Kind.FILE and (entry.name in pending or may_be_linked(entry.name))):
            continue
        view.is_ostree = view.is_ostree or entry.name.startswith(OBJECTS)
        if not loose and role is not Role.TARGET and hidden.hides(entry.name):
            continue
        if entry.name in pending:
            role = role or Role.TARGET
        held = _taken(archive, entry, layer, role, spool)
        if held is None:
            continue
        spool.note(entry.name + held.target)
        if held.target and view.has(held.target) is None:
            pending.add(held.target)
        (view.linkable if loose else view.files)[entry.name] = held
        if wanted.targets and wanted.targets <= view.files.keys():
            break
        done = done or view.done(wanted)
    return view


def _taken(archive: Archive, entry: Entry, layer: int, role: Role | None, spool: Spool) -> Held | None:
    """The entry with its content; `None` for what merely might have been linked to, and will not be."""
    if entry.kind is Kind.HARD_LINK:
        if not entry.target or entry.target == entry.name:
            raise Malformed(f"`{entry.name}` is a hard link to itself, or out of the image")
        return Held(layer, role or Role.TARGET, 0, entry.target)
    if entry.sparse and role is not None:
        raise Malformed(f"`{entry.name}` is a sparse file, which layers do not have")
    if role in (Role.STATUS, Role.PART):
        return Held(layer, role, entry.size, content=spool.hold(archive.content(), entry.size))
    pieces = archive.content()
    if role is None:
        # An empty file is kept, too: it tells an empty log from one that holds changes.
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
