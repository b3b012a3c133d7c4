"""Small files of an image by name, or by their folder: read from its layers as a package database is.

Whiteouts hide what lies below them, hard links are followed within the layers, symbolic links by looking once more for
what they lead to. A layer in zstd:chunked says where its files are; any other is read as a stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from relman.model.oci import PlatformImage, Repository
from relman.plugin import Malformed, RegistryReader

from .paths import Role, Wanted, linked, parents
from .search import Search
from .stream import Limits
from .view import Merged

SMALL = Limits(held=16 * 1024 * 1024, spooled=64 * 1024 * 1024)
"""The most that is read of such files, together; of what their layers unpack to as much as for a database."""
_LARGEST = 1024 * 1024
_AGAIN = 8


class WantedFiles(Wanted):
    """Files by their exact ``names``, and those ending so in ``folders``: endings by folder, without its end slash."""

    def __init__(self, names: Iterable[str], folders: Mapping[str, str]) -> None:
        super().__init__()
        self._names = frozenset(names)
        self._endings = dict(folders)
        places = (*self._names, *(f"{folder}/" for folder in folders))
        self._above = frozenset(folder for place in places for folder in parents(place))

    def role(self, name: str) -> Role | None:
        """A part, as those of dpkg's database are: kept in memory."""
        folder, _, leaf = name.rpartition("/")
        ending = self._endings.get(folder)
        return Role.PART if name in self._names or (ending and leaf.endswith(ending)) else None

    def is_folder(self, name: str) -> bool:
        """Whether something wanted lies below ``name``."""
        return name in self._above

    def concerns(self, path: str) -> bool:
        """Whether hiding ``path`` could hide something wanted."""
        return path in self._above or path in self._names or path.rpartition("/")[0] in self._endings

    def beyond(self, folder: str, target: str) -> Iterator[str]:
        """Nothing is looked for beside what was asked for: links are the caller's to follow."""
        return iter(())


def small_files(
    registry: RegistryReader,
    repository: Repository,
    image: PlatformImage,
    names: Iterable[str],
    folders: Mapping[str, str],
    place: Path,
) -> Mapping[str, bytes]:
    """The files of an image that are called so, or lie in ``folders``: by their path, without a slash before it.

    One that is not there is not among them. ``place`` is a folder for temporary files. Raises `Malformed` for a file
    of more than a MiB, for a layer that is not what it should be, and for links that lead in a circle.
    """
    asked = dict.fromkeys(names)
    roots = dict(folders)
    for number in range(_AGAIN):
        spool = place / str(number)
        spool.mkdir()
        search = Search(registry, repository, image, spool, SMALL)
        merged, found = search.small(WantedFiles(asked, roots))
        more = dict.fromkeys(_through(asked, roots, merged))
        if not more.keys() - asked.keys() - roots.keys():
            return {**found, **_linked(asked, roots, merged, found)}
        for path in more:
            folder = next((one for one in roots if _through_folder(one, path, merged)), None)
            if folder is None:
                asked[path] = None
            else:
                roots[path] = roots[folder]
    raise Malformed("what is looked for in the image is behind links that lead to links")


def _through(names: Iterable[str], folders: Mapping[str, str], merged: Merged) -> Iterator[str]:
    """Where wanted paths lead, by the symbolic links at them or above them."""
    for path in (*names, *folders):
        target = _resolved(path, merged)
        if target is not None and target != path:
            yield target
    for link, target in merged.links.items():
        if link.rpartition("/")[0] in folders and (there := linked(link, target)):
            yield there


def _through_folder(folder: str, path: str, merged: Merged) -> bool:
    return _resolved(folder, merged) == path


def _resolved(path: str, merged: Merged) -> str | None:
    """The path with the first link in it replaced by what that leads to; `None` where it leads out of everything."""
    for link in (path, *parents(path)):
        if link in merged.links:
            there = linked(link, merged.links[link])
            return f"{there or ''}{path[len(link) :]}".lstrip("/") or None
    return path


def _linked(
    names: Iterable[str], folders: Mapping[str, str], merged: Merged, found: Mapping[str, bytes]
) -> dict[str, bytes]:
    """What links lead to, under the names that were asked for."""
    more: dict[str, bytes] = {}
    for path in names:
        if (content := _content(path, merged, found)) is not None:
            more[path] = content
    for folder in folders:
        there = _followed(folder, merged)
        for name, content in found.items():
            if there != folder and name.rpartition("/")[0] == there:
                more[f"{folder}/{name.rpartition('/')[2]}"] = content
    for link in merged.links:
        if link.rpartition("/")[0] in folders and (content := _content(link, merged, found)) is not None:
            more[link] = content
    return more


def _content(path: str, merged: Merged, found: Mapping[str, bytes]) -> bytes | None:
    content = found.get(_followed(path, merged))
    if content is not None and len(content) > _LARGEST:
        raise Malformed(f"`/{path}` is larger than {_LARGEST} bytes")
    return content


def _followed(path: str, merged: Merged) -> str:
    for _ in range(_AGAIN):
        there = _resolved(path, merged)
        if there is None or there == path:
            break
        path = there
    return path
