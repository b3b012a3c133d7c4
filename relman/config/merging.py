"""A profile and a project's own relman.toml, put together; each part knows the line on which it stands.

The rule (docs/configuration: profile): tables merge key by key. Lists of tables merge entry by entry where both have
an entry with the same `name`, `label` or `title`; entries that the profile does not have come after its own. Any other
value, lists of texts included, takes the place of the profile's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from relman.config.lines import Path, line_of

_NAMES = ("name", "label", "title")


class Origin(msgspec.Struct, frozen=True):
    """Where a part of the configuration was written: the file as messages name it, the line, the path in that file."""

    file: str
    line: int
    path: Path


class Layer(msgspec.Struct, frozen=True):
    """One file: its data, and the lines of its keys. ``shown`` is its name in full.

    What stands at a path of ``without`` is as if it were not there.
    """

    file: str
    shown: str
    data: Mapping[str, Any]
    lines: Mapping[Path, int]
    without: Collection[Path] = frozenset()

    def origin(self, path: Path) -> Origin:
        """Where the part at ``path`` was written."""
        return Origin(self.file, line_of(self.lines, path) or 1, path)


class Merged(msgspec.Struct):
    """The data of one or two layers, and where each table and key of it comes from."""

    origins: dict[Path, Origin] = msgspec.field(default_factory=dict)

    def take(self, layer: Layer, value: Any, at: Path, path: Path) -> Any:
        """What ``layer`` has at ``path``, put at ``at``."""
        if at:
            self.origins[at] = layer.origin(path)
        if isinstance(value, Mapping):
            return {
                key: self.take(layer, inner, (*at, key), (*path, key))
                for key, inner in value.items()
                if (*path, key) not in layer.without
            }
        if _tables(value):
            entries = [number for number in range(len(value)) if (*path, number) not in layer.without]
            return [self.take(layer, value[n], (*at, to), (*path, n)) for to, n in enumerate(entries)]
        return value

    def merge(self, base: Layer, own: Layer) -> dict[str, Any]:
        """All of ``own``, over ``base``."""
        merged: dict[str, Any] = self._over(base, base.data, own, own.data, (), (), ())
        return merged

    def _over(self, base: Layer, old: Any, own: Layer, new: Any, at: Path, below: Path, above: Path) -> Any:
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if at:
                self.origins[at] = own.origin(above)
            kept = [key for key in old if (*below, key) not in base.without]
            found: dict[str, Any] = {}
            for key in (*kept, *(key for key in new if key not in kept)):
                to, lower, upper = (*at, key), (*below, key), (*above, key)
                if key not in new:
                    found[key] = self.take(base, old[key], to, lower)
                elif key not in kept:
                    found[key] = self.take(own, new[key], to, upper)
                else:
                    found[key] = self._over(base, old[key], own, new[key], to, lower, upper)
            return found
        if _tables(old) and _tables(new):
            return self._entries(base, old, own, new, at, below, above)
        return self.take(own, new, at, above)

    def _entries(
        self, base: Layer, old: list[Any], own: Layer, new: list[Any], at: Path, below: Path, above: Path
    ) -> list[Any]:
        self.origins[at] = own.origin(above)
        found: list[Any] = []
        left = dict(enumerate(new))
        for number, entry in enumerate(old):
            lower, to = (*below, number), (*at, len(found))
            if lower in base.without:
                continue
            same = next((n for n, other in left.items() if name_of(other) == name_of(entry) is not None), None)
            if same is None:
                found.append(self.take(base, entry, to, lower))
            else:
                found.append(self._over(base, entry, own, left.pop(same), to, lower, (*above, same)))
        for number, entry in left.items():
            found.append(self.take(own, entry, (*at, len(found)), (*above, number)))
        return found


def name_of(entry: Mapping[str, Any]) -> str | None:
    """What an entry of a list of tables is known by; `None` where it has no name."""
    return next((entry[key] for key in _NAMES if isinstance(entry.get(key), str)), None)


def find(data: Any, dotted: str, path: Path = ()) -> Path | None:
    """The path of ``variants.bazzite-deck`` or ``streams.stable.gates`` in ``data``; `None` where there is none."""
    for key, inner, where in _parts(data, path):
        if key == dotted:
            return where
        if dotted.startswith(f"{key}.") and (found := find(inner, dotted.removeprefix(f"{key}."), where)):
            return found
    return None


def dotted_parts(data: Any, before: str = "") -> Iterator[str]:
    """Everything that `find` finds, as it is written."""
    for key, inner, _ in _parts(data, ()):
        yield before + key
        yield from dotted_parts(inner, f"{before}{key}.")


def _parts(data: Any, path: Path) -> Iterator[tuple[str, Any, Path]]:
    if isinstance(data, Mapping):
        for key, inner in data.items():
            yield key, inner, (*path, key)
    elif _tables(data):
        for number, entry in enumerate(data):
            if name := name_of(entry):
                yield name, entry, (*path, number)


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)
