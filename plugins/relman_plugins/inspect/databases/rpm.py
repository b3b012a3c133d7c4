"""From the header blobs of an rpm database, whichever its format, to the contents of an image."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import MappingProxyType

from relman.model.contents import (
    Capability,
    ChangelogEntry,
    Contents,
    Details,
    Identity,
    Obsolete,
    Package,
    PackageSet,
    known_package,
)
from relman.model.versions import compare, normalise
from relman.plugin import Malformed

from .files import Files, algorithm
from .header import Header, Tag

KNOWN = frozenset(
    {
        Capability.EPOCH,
        Capability.ARCH,
        Capability.MULTI_VERSION,
        Capability.SOURCE_PACKAGE,
        Capability.VENDOR,
        Capability.OBSOLETES,
    }
)
"""What every rpm database knows of its packages."""

_KEY = "gpg-pubkey"
_TEXT_LIMIT = 1024
_CHANGELOG_LIMIT = 96 * 1024 * 1024  # bytes of text; RHEL, which trims nothing, has some 30 MiB
_LESS, _GREATER, _EQUAL = 2, 4, 8  # RPMSENSE_*
_RELATIONS = {_LESS: "<", _LESS | _EQUAL: "<=", _EQUAL: "=", _GREATER | _EQUAL: ">=", _GREATER: ">"}
_TAGS = (Tag.VERSION, Tag.RELEASE, Tag.SOURCERPM, Tag.VENDOR, Tag.ARCH)
_MADE_SIZE = 2000  # bytes
_MADE_COUNT = 16_384
_CONFIG = 1  # RPMFILE_CONFIG
_NORMAL = 0  # RPMFILE_STATE_NORMAL: the others were replaced, left out, or are of another colour


def contents(blobs: Iterable[bytes], wants: frozenset[Capability], source: str) -> Contents:
    """The contents that ``blobs`` describe; changelogs and files only where ``wants`` has them.

    An empty database gives an empty list. Raises `Malformed`, naming the package, for a header that is none.
    """
    gathered = _Gathered(wants)
    for number, blob in enumerate(blobs, 1):
        name = None
        try:
            header = Header(blob)
            name = gathered.text(header, Tag.NAME)
            gathered.add(name, header)
        except Malformed as error:
            raise Malformed(f"package {number}{f' (`{name}`)' if name else ''}: {error.message}") from error
    return gathered.contents(source)


_Made = tuple[Package, tuple[str, str] | None]

# By all that it is made of: the databases of a release's images share nearly all of theirs.
_made: dict[tuple[str | bytes | int | None, ...], _Made] = {}


class _Gathered:
    """What is known so far. ``_texts`` holds each distinct text once: vendors, authors, "- Rebuilt for Fedora 44"."""

    def __init__(self, wants: frozenset[Capability]) -> None:
        self._wants = wants
        self._names: dict[bytes, str] = {}
        self._texts: dict[bytes, str] = {}
        self._entries: dict[str, str] = {}
        self._sources: dict[bytes, tuple[str, str] | None] = {}
        self._packages: list[Package] = []
        self._keys: set[str] = set()
        self._obsoletes: dict[Identity, dict[Obsolete, None]] = {}  # in their order, each once
        self._sizes: dict[Identity, int] = {}
        self._modules: dict[str, str] = {}
        self._changelogs: dict[str, tuple[str, tuple[ChangelogEntry, ...]]] = {}
        self._changelog_size = 0
        self._files = Files()

    def add(self, name: str, header: Header) -> None:
        """Note one package."""
        if name == _KEY:
            version, release = self.text(header, Tag.VERSION), self.text(header, Tag.RELEASE)
            self._keys.add(normalise("rpm", None, version, release))
            return
        package, origin = self._package(name, header)
        self._packages.append(package)
        self._add_details(package, header)
        if Capability.CHANGELOG in self._wants:
            self._add_changelog(*(origin or (name, package.version)), header)
        if Capability.FILES in self._wants:
            self._add_files(header)

    def _package(self, name: str, header: Header) -> _Made:
        """The package, and its source's name and version."""
        try:
            key = (name, *[header.text(tag) for tag in _TAGS], header.number(Tag.EPOCH))
        except Malformed:  # the first fault is the one to tell of, and these were not looked at in order
            return self._new_package(name, header)
        made = _made.get(key)
        if made is None:
            made = self._new_package(name, header)
            if sum([len(part) for part in key if isinstance(part, bytes)]) < _MADE_SIZE:
                if len(_made) >= _MADE_COUNT:
                    _made.clear()
                _made[key] = made
        return made

    def _new_package(self, name: str, header: Header) -> _Made:
        version, release = self.text(header, Tag.VERSION), self.text(header, Tag.RELEASE)
        origin = self._source(header.text(Tag.SOURCERPM))
        vendor = header.text(Tag.VENDOR)
        arch = header.text(Tag.ARCH)
        package = known_package(
            "rpm",
            name,
            self._checked(Tag.ARCH, arch) if arch else None,
            normalise("rpm", header.number(Tag.EPOCH), version, release),
            origin[0] if origin else None,
            (self._printable(vendor) or None) if vendor else None,
        )
        return package, origin

    def contents(self, source: str) -> Contents:
        """All of it. What was asked for and is nowhere in the database is not claimed to be known."""
        known = set(KNOWN)
        if self._changelogs:
            known.add(Capability.CHANGELOG)
        if self._files:
            known.add(Capability.FILES)
        return Contents(
            packages=PackageSet(self._packages),
            source=source,
            capabilities=frozenset(known),
            keys=tuple(sorted(self._keys)),
            extras=MappingProxyType({"modules": self._modules} if self._modules else {}),
            details=Details(
                obsoletes=MappingProxyType({identity: tuple(found) for identity, found in self._obsoletes.items()}),
                sizes=MappingProxyType(self._sizes),
                changelogs=MappingProxyType({name: entries for name, (_, entries) in self._changelogs.items()}),
                files=self._files,
            ),
        )

    # --------------------------------------------------------------------------------------------- one package

    def text(self, header: Header, tag: Tag) -> str:
        """The text of a tag that a package has to have. Raises `Malformed` where it is no name and no version."""
        found = header.text(tag)
        if not found:
            raise Malformed(f"it has no {tag.name.lower()}")
        return self._checked(tag, found)

    def _checked(self, tag: Tag, found: bytes) -> str:
        text = self._names.get(found)
        if text is None:
            text = sys.intern(found.decode("utf-8", "backslashreplace"))
            if len(text) > _TEXT_LIMIT or not text.isprintable():
                raise Malformed(f"`{ascii(text[:60])[1:-1]}` is no {tag.name.lower()} ({len(text)} characters)")
            self._names[found] = text
        return text

    def _printable(self, found: bytes) -> str:
        text = self._decoded(found)
        if len(text) > _TEXT_LIMIT or not text.isprintable():
            text = "".join(c if c.isprintable() else " " for c in text[:_TEXT_LIMIT]).strip()
        return text

    def _decoded(self, found: bytes) -> str:
        text = self._texts.get(found)
        if text is None:
            text = self._texts[found] = found.decode("utf-8", "replace")
        return text

    def _shared(self, found: bytes) -> str:
        # Long texts are not also kept as bytes.
        text = found.decode("utf-8", "replace")
        return self._entries.setdefault(text, text)

    def _source(self, found: bytes | None) -> tuple[str, str] | None:
        """The name and the version of the source package, of `bash-5.3.0-2.fc44.src.rpm`."""
        if not found:
            return None
        if found not in self._sources:
            text = self._printable(found)
            parts = text.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
            valid = len(parts) == 3 and all(parts)
            self._sources[found] = (sys.intern(parts[0]), f"{parts[1]}-{parts[2]}") if valid else None
        return self._sources[found]

    def _add_details(self, package: Package, header: Header) -> None:
        identity = package.identity
        size = header.number(Tag.LONGSIZE)
        if size is None:
            size = header.number(Tag.SIZE)
        if size is not None:
            # Versions side by side take their space together.
            self._sizes[identity] = self._sizes.get(identity, 0) + size
        if names := header.texts(Tag.OBSOLETENAME):
            self._obsoletes.setdefault(identity, {}).update(dict.fromkeys(self._obsolete(names, header)))
        if label := header.text(Tag.MODULARITYLABEL):
            self._modules[str(identity)] = self._printable(label)

    def _obsolete(self, names: list[bytes], header: Header) -> list[Obsolete]:
        flags, versions = header.numbers(Tag.OBSOLETEFLAGS), header.texts(Tag.OBSOLETEVERSION)
        if (flags or versions) and not len(names) == len(flags) == len(versions):
            raise Malformed(f"it has {len(names)} obsoletes with {len(flags)} flags and {len(versions)} versions")
        found = []
        for index, name in enumerate(names):
            version = self._printable(versions[index]) if versions else ""
            relation = _RELATIONS.get(flags[index] & (_LESS | _GREATER | _EQUAL), "") if flags else ""
            whole = (relation, version) if relation and version else ("", "")
            found.append(Obsolete(self._printable(name), *whole))
        return found

    # ----------------------------------------------------------------------------------- changelogs and files

    def _add_changelog(self, source: str, version: str, header: Header) -> None:
        """The changelog of the source package, read from the first of its packages; that of the newest source."""
        known = self._changelogs.get(source)
        if known is not None and (known[0] == version or (compare("rpm", known[0], version) or 0) >= 0):
            return
        times = header.numbers(Tag.CHANGELOGTIME)
        if not times:
            return
        authors, texts = header.texts(Tag.CHANGELOGNAME), header.texts(Tag.CHANGELOGTEXT)
        if not len(times) == len(authors) == len(texts):
            raise Malformed(f"its changelog has {len(times)} times, {len(authors)} authors and {len(texts)} texts")
        self._changelog_size += sum(map(len, texts)) + sum(map(len, authors))
        if self._changelog_size > _CHANGELOG_LIMIT:
            raise Malformed(f"the changelogs have more than {_CHANGELOG_LIMIT} bytes")
        entries = [
            ChangelogEntry(time, self._decoded(author), self._shared(text))
            for time, author, text in zip(times, authors, texts, strict=True)
        ]
        entries.sort(key=lambda entry: -entry.time)
        self._changelogs[source] = (version, tuple(entries))

    def _add_files(self, header: Header) -> None:
        digests = header.texts(Tag.FILEDIGESTS)
        if not any(digests):
            return
        names, places = header.texts(Tag.BASENAMES), header.numbers(Tag.DIRINDEXES)
        folders = [folder.decode("utf-8", "backslashreplace") for folder in header.texts(Tag.DIRNAMES)]
        flags, states = header.numbers(Tag.FILEFLAGS), header.numbers(Tag.FILESTATES)
        count = len(digests)
        if not count == len(names) == len(places) == len(flags) or (states and len(states) != count):
            raise Malformed(f"it has {len(names)} files, {count} digests, {len(places)} folders, {len(flags)} flags")
        if max(places) >= len(folders):
            raise Malformed(f"a file lies in folder {max(places)} of {len(folders)}")
        kind = algorithm(header.number(Tag.FILEDIGESTALGO))
        for index, digest in enumerate(digests):
            # Folders, links and devices have no digest.
            if digest and (not states or states[index] == _NORMAL):
                name = sys.intern(names[index].decode("utf-8", "backslashreplace"))
                self._files.add(folders[places[index]], name, kind, digest, bool(flags[index] & _CONFIG))
