"""What is inside an image: packages, and what the source of the list can and cannot know."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from relman.model.versions import sorted_versions


class Capability(StrEnum):
    """Something that a source of contents knows, where others cannot."""

    EPOCH = "epoch"
    ARCH = "arch"
    MULTI_VERSION = "multi-version"
    SOURCE_PACKAGE = "source-package"
    VENDOR = "vendor"
    OBSOLETES = "obsoletes"
    CHANGELOG = "changelog"
    FILES = "files"


LARGE = frozenset({Capability.CHANGELOG, Capability.FILES})
"""What is many times larger than a list, and so is only read where it is wanted, and kept no longer than it is used."""


class Identity(NamedTuple):
    """Which package: the same name in another ecosystem or for another architecture is another package.

    ``arch`` is `None` where the source does not know it.
    """

    ecosystem: str
    name: str
    arch: str | None

    def __str__(self) -> str:
        return f"{self.name}.{self.arch}" if self.arch else self.name


class Package(msgspec.Struct, frozen=True, dict=True):
    """One installed package. ``version`` is whole: ``[epoch:]version-release`` for rpm, as dpkg prints it for deb.

    ``source`` is the name of the source package, ``vendor`` who built it; `None` where the source does not say.
    """

    ecosystem: str
    name: str
    arch: str | None
    version: str
    source: str | None = None
    vendor: str | None = None

    def __post_init__(self) -> None:
        if not self.ecosystem or not self.name or not self.version:
            raise ValueError(f"a package needs ecosystem, name and version, not `{self!r}`")

    @functools.cached_property
    def identity(self) -> Identity:
        """What it is, whichever version."""
        return _identity(self.ecosystem, self.name, self.arch)


@functools.lru_cache(maxsize=16_384)
def known_package(
    ecosystem: str, name: str, arch: str | None, version: str, source: str | None = None, vendor: str | None = None
) -> Package:
    """A `Package`, each once: the images of a release share nearly all of theirs."""
    return Package(ecosystem, name, arch, version, source, vendor)


@functools.lru_cache(maxsize=16_384)
def _identity(ecosystem: str, name: str, arch: str | None) -> Identity:
    """Each once: the lists of thirty images name the same packages."""
    return Identity(ecosystem, name, arch)


class PackageSet:
    """Packages by identity, each with *all* its installed versions in order: kernels are installed side by side.

    The same package given twice (a nested database, a careless scanner) is there once.
    """

    __slots__ = ("_by_identity", "_count")

    def __init__(self, packages: Iterable[Package]) -> None:
        packages = tuple(packages)
        gathered: dict[Identity, tuple[Package, ...]] = {package.identity: (package,) for package in packages}
        if len(gathered) < len(packages):
            gathered |= _several(packages)
        self._by_identity: Mapping[Identity, tuple[Package, ...]] = MappingProxyType(
            {identity: gathered[identity] for identity in _sorted(gathered)}
        )
        self._count = sum(map(len, self._by_identity.values()))

    def __len__(self) -> int:
        """How many packages are installed, each version counted."""
        return self._count

    def __iter__(self) -> Iterator[Package]:
        """Every package, sorted by identity, then in the order of versions."""
        for packages in self._by_identity.values():
            yield from packages

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackageSet) and self._by_identity == other._by_identity

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"PackageSet({list(self)!r})"

    @property
    def by_identity(self) -> Mapping[Identity, tuple[Package, ...]]:
        """The installed versions of each identity in order, the newest last; sorted by identity."""
        return self._by_identity

    @property
    def identities(self) -> frozenset[Identity]:
        """Every identity in the set."""
        return frozenset(self._by_identity)

    def get(self, identity: Identity) -> tuple[Package, ...]:
        """The installed versions of ``identity`` in order, the newest last; empty where it is not installed."""
        return self._by_identity.get(identity, ())


def _several(packages: Iterable[Package]) -> dict[Identity, tuple[Package, ...]]:
    """Those that are installed in several versions, or given more than once: a few of thousands."""
    first: dict[Identity, Package] = {}
    several: dict[Identity, dict[str, Package]] = {}
    for package in packages:
        identity = package.identity
        if (known := first.setdefault(identity, package)) is not package:
            several.setdefault(identity, {known.version: known}).setdefault(package.version, package)
    return {
        identity: tuple(versions[v] for v in sorted_versions(identity.ecosystem, versions))
        for identity, versions in several.items()
    }


def _sorted(identities: Iterable[Identity]) -> list[Identity]:
    try:
        return sorted(identities)
    except TypeError:  # of one name, once with an arch and once without
        return sorted(identities, key=_order)


def _order(identity: Identity) -> tuple[str, str, str]:
    return (identity.ecosystem, identity.name, identity.arch or "")


class ChangelogEntry(msgspec.Struct, frozen=True):
    """An entry of a package's own changelog. ``time`` is in seconds since 1970; rpm has noon UTC of the day."""

    time: int
    author: str
    text: str


class Obsolete(msgspec.Struct, frozen=True):
    """A name that a package takes the place of, where its version is in range: ``relation`` is `<`, `=`, `>=` … .

    Both are empty where every version is meant.
    """

    name: str
    relation: str = ""
    version: str = ""


class PackagedFile(msgspec.Struct, frozen=True):
    """A file as its package has it: the digest of its content, and whether it is configuration."""

    digest: str
    config: bool


class Details(msgspec.Struct, frozen=True):
    """What only a package database knows, beyond names and versions.

    ``obsoletes`` by the package that has them; ``sizes`` installed bytes by package; ``changelogs`` by the name of the
    source package, the newest entry first; ``files`` by path. Each is empty where it was not asked for.
    """

    obsoletes: Mapping[Identity, tuple[Obsolete, ...]] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    sizes: Mapping[Identity, int] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    changelogs: Mapping[str, tuple[ChangelogEntry, ...]] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, PackagedFile] = msgspec.field(default_factory=lambda: MappingProxyType({}))


class Contents(msgspec.Struct, frozen=True):
    """What a source says is in one platform's image.

    ``source`` names where it was read (``sbom``, ``label``); ``capabilities`` what that source can know; ``keys`` the
    trusted keys (rpm lists them as `gpg-pubkey`); ``details`` what only a package database has, `None` elsewhere;
    ``extras`` is room for what only some sources have.
    """

    packages: PackageSet
    source: str
    capabilities: frozenset[Capability]
    keys: tuple[str, ...] = ()
    extras: Mapping[str, object] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    details: Details | None = None

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("contents need the name of their source")

    def __hash__(self) -> int:
        return hash((self.packages, self.source, self.capabilities, self.keys))

    @property
    def passed_over(self) -> tuple[str, ...]:
        """What did not serve before this, and why: a line each."""
        said = self.extras.get(PASSED_OVER)
        return tuple(map(str, said)) if isinstance(said, tuple | list) else ()

    @property
    def plain(self) -> Contents:
        """The same without changelogs and files, which it then does not claim to know."""
        if self.details is None or not (self.details.changelogs or self.details.files):
            return self
        small = Details(self.details.obsoletes, self.details.sizes)
        return replace(self, capabilities=self.capabilities - LARGE, details=small)


class Unavailable(msgspec.Struct, frozen=True):
    """A source that cannot serve this image, and why: the next one is asked, and the reasons are kept."""

    reason: str


PASSED_OVER = "passed_over"
"""The extra that says which sources, or which lists of one, did not serve before this one did, and why."""

EXACT = frozenset({Capability.EPOCH, Capability.ARCH, Capability.MULTI_VERSION})
"""Without any one of these a diff is an approximation, and says so."""
