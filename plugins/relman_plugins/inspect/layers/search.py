"""Finding an image's package database in its layers, from as few bytes as that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec

from relman.model.contents import Capability
from relman.model.oci import PlatformImage, Repository
from relman.plugin import Malformed, NotFound, RegistryReader

from ..databases import Kind
from .chunked import Blob, listed_in
from .naming import reading_order
from .paths import INFO, LINKS, LOCAL, OBJECTS, STATUS, STATUS_D, Hidden, Wanted
from .spool import Spool
from .stream import LIMITS, Limits, opened
from .view import Held, Merged, View, seen_in

T = TypeVar("T")

_AGAIN = 3  # so often the layers are read anew because a link leads the database elsewhere


class Found(msgspec.Struct, frozen=True):
    """A database as it is in the image: rpm's as a file (its log beside it), dpkg's and pacman's in memory."""

    kind: Kind
    rpm: Path | None = None
    status: bytes | None = None
    status_d: Mapping[str, bytes] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    info: Mapping[str, bytes] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    descs: tuple[tuple[str, bytes], ...] = ()


class Search:
    """Looks through one image. ``folder`` is where rpm's database is put, and is its maker's to delete.

    ``read`` counts the layers that something was read of.
    """

    def __init__(
        self,
        registry: RegistryReader,
        repository: Repository,
        image: PlatformImage,
        folder: Path,
        limits: Limits = LIMITS,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._layers = image.layers
        self._order = reading_order(image)
        self._limits = limits
        self._spool = Spool(folder, limits)
        self._touched: set[int] = set()

    @property
    def read(self) -> int:
        """How many layers something was read of."""
        return len(self._touched)

    def find(self, kinds: frozenset[Kind], wants: frozenset[Capability]) -> Found | None:
        """The database of one of ``kinds`` that is found first, from the top down; `None` where there is none.

        Raises `Malformed`, naming the layer, where one that has to be read is not what it should be: what it may hide
        is not known then.
        """
        aliases: tuple[str, ...] = ()
        for _ in range(_AGAIN):
            merged = Merged()
            wanted = Wanted(kinds, wants, aliases=aliases)
            found = self._look(merged, wanted)
            if found is not None:
                return found
            beyond = {place for link, target in merged.links.items() for place in wanted.beyond(link, target)}
            if not beyond:
                return None
            aliases = (*aliases, *sorted(beyond))
        raise Malformed("its package database is behind links that lead to links")

    def small(self, wanted: Wanted) -> tuple[Merged, Mapping[str, bytes]]:
        """The files that ``wanted`` names, of all layers from the top down, and what was seen beside them."""
        merged, done = Merged(), set()
        for number in range(len(self._layers) - 1, -1, -1):
            if self._layers[number].digest not in done:
                done.add(self._layers[number].digest)
                merged.add(self._view(number, wanted, merged.hidden))
        contents = zip(merged.files, self._followed(merged, merged.files.values()), strict=True)
        return merged, {name: self._at(held, held.bytes) for name, held in contents}

    def _look(self, merged: Merged, wanted: Wanted) -> Found | None:
        done = set()
        for number in self._order:
            # The same layer further down has nothing that it does not have further up.
            if self._layers[number].digest in done:
                continue
            done.add(self._layers[number].digest)
            merged.add(self._view(number, wanted, merged.hidden))
            if (found := self._found(merged, wanted)) is not None:
                return found
        return self._gathered(merged)

    def _found(self, merged: Merged, wanted: Wanted) -> Found | None:
        """The database that no layer below can add to."""
        for path in wanted.rpm_paths:
            held = self._content(merged, merged.files.get(path))
            if held is None:
                continue
            log = self._content(merged, merged.files.get(f"{path}-wal"))
            file = self._at(held, held.file)
            return Found(Kind.RPM, self._spool.database(file, self._at(log, log.file) if log else None))
        if STATUS in merged.files and not wanted.files and not merged.parts(STATUS_D):
            return self._dpkg(merged)
        return None

    def _gathered(self, merged: Merged) -> Found | None:
        """The database that is made of the files of all layers."""
        if (found := self._dpkg(merged)) is not None:
            return found
        if descs := self._parts(merged, LOCAL):
            return Found(Kind.PACMAN, descs=tuple(sorted(descs.items())))
        return None

    def _dpkg(self, merged: Merged) -> Found | None:
        status = self._content(merged, merged.files.get(STATUS))
        status_d = self._parts(merged, STATUS_D)
        if status is None and not status_d:
            return None
        content = self._at(status, status.bytes) if status else None
        return Found(Kind.DPKG, status=content, status_d=status_d, info=self._parts(merged, INFO))

    def _parts(self, merged: Merged, folder: str) -> Mapping[str, bytes]:
        parts = merged.parts(folder)
        contents = zip(parts, self._followed(merged, parts.values()), strict=True)
        return MappingProxyType({name: self._at(held, held.bytes) for name, held in contents})

    # -------------------------------------------------------------------------------------------------- links

    def _content(self, merged: Merged, held: Held | None) -> Held | None:
        """The file itself where ``held`` is a link to it; `None` where it is empty, as where there is none."""
        if held is None:
            return None
        (file,) = self._followed(merged, (held,))
        return file if file.size else None

    def _followed(self, merged: Merged, files: Iterable[Held]) -> list[Held]:
        """The files that hard links lead to, and those that are none. Raises `Malformed` for what leads nowhere."""
        followed = list(files)
        for _ in range(LINKS):
            links: dict[int, set[str]] = {}
            for held in followed:
                if held.target and _known(merged, held) is None:
                    links.setdefault(held.layer, set()).add(held.target)
            for layer, targets in links.items():
                self._fetch(merged, layer, targets)
            if not any(held.target for held in followed):
                return followed
            followed = [(_known(merged, held) or held) if held.target else held for held in followed]
        raise Malformed(f"a package database is behind more than {LINKS} hard links, or they lead in a circle")

    def _fetch(self, merged: Merged, layer: int, targets: set[str]) -> None:
        """Read layers anew for ``targets``: the link's own, those below, and for ostree's objects those above."""
        missing = set(targets)
        below = range(layer, -1, -1)
        above = range(len(self._layers) - 1, layer, -1) if any(t.startswith(OBJECTS) for t in targets) else ()
        for number in (*below, *above):
            if not missing:
                return
            files = self._view(number, Wanted(targets=missing), Hidden()).files
            view = merged.views.setdefault(number, View(number))
            view.linkable.update(files)
            missing -= files.keys()
        if missing:
            name = ascii(min(missing)[:300])[1:-1]
            raise self._broken(layer, f"it has a package database as a hard link to `{name}`, which is in no layer")

    # ------------------------------------------------------------------------------------------------- layers

    def _view(self, number: int, wanted: Wanted, hidden: Hidden) -> View:
        layer = self._layers[number]
        self._touched.add(number)

        def view() -> View:
            blob = Blob(self._registry, self._repository, layer, self._limits.part)
            listed = listed_in(blob, number, wanted, hidden, self._spool, self._limits)
            if listed is not None:
                return listed
            with opened(self._registry, self._repository, layer, self._limits) as archive:
                return seen_in(archive, number, wanted, hidden, self._spool)

        return self._in_layer(number, view)

    def _at(self, held: Held, fetch: Callable[[Spool], T]) -> T:
        return self._in_layer(held.layer, lambda: fetch(self._spool))

    def _in_layer(self, number: int, act: Callable[[], T]) -> T:
        """``act``, its failures named by the layer."""
        try:
            return act()
        except (Malformed, NotFound) as error:
            raise self._broken(number, error.message, error.hint) from error

    def _broken(self, number: int, message: str, hint: str | None = None) -> Malformed:
        digest = self._layers[number].digest
        return Malformed(f"layer {number + 1} of {len(self._layers)} (`{digest.short}`): {message}", hint=hint)


def _known(merged: Merged, link: Held) -> Held | None:
    """What ``link`` leads to, in the layers that were looked at: its own, the next below; ostree's objects anywhere."""
    numbers = [number for number in merged.views if number <= link.layer or link.target.startswith(OBJECTS)]
    for number in sorted(numbers, key=lambda number: (number > link.layer, -number)):
        if (held := merged.views[number].has(link.target)) is not None:
            return held
    return None
