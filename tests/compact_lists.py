"""Images and contents made to order for tests of relman's own lists; all of it is composed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from relman.hookspecs import ImageUnderRead
from relman.model.contents import (
    EXACT,
    Capability,
    ChangelogEntry,
    Contents,
    Details,
    Identity,
    Obsolete,
    Package,
    PackagedFile,
    PackageSet,
)
from relman.model.oci import Digest, Image, Platform, Reference, Repository
from relman.registry.look import look_at
from relman.registry.protocol import RegistryReader, RegistryWriter
from relman.testing import put_image, put_index, tar

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BUILT = datetime(2026, 6, 23, 4, 40, tzinfo=UTC)
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SYSTEM = tuple(Package("rpm", f"composed-{number:03}", "x86_64", "1.0-1.fc44", "composed") for number in range(120))
KERNELS = tuple(Package("rpm", "kernel", "x86_64", f"6.19.{n}-200.fc44", "kernel", "Fedora Project") for n in (9, 12))
RICH = EXACT | {Capability.SOURCE_PACKAGE, Capability.VENDOR, Capability.OBSOLETES}


def contents(*packages: Package, source: str = "rpmdb", details: bool = True) -> Contents:
    """Two kernels, an epoch, keys, sizes, an obsoletes, and what is no part of a compact list."""
    every = PackageSet([*SYSTEM, *KERNELS, Package("rpm", "bash", "x86_64", "1:5.3-1.fc44", "bash"), *packages])
    known = Details(
        obsoletes={Identity("rpm", "bash", "x86_64"): (Obsolete("sh-utils", "<", "2.0"), Obsolete("bash2"))},
        sizes={package.identity: 1000 + number for number, package in enumerate(every)},
        changelogs={"kernel": (ChangelogEntry(1_750_000_000, "Composed <c@example.org>", "- CVE-2026-1"),)},
        files={"/etc/composed.conf": PackagedFile("ab" * 32, True)},
    )
    capabilities = RICH | ({Capability.CHANGELOG, Capability.FILES} if details else frozenset())
    return Contents(every, source, frozenset(capabilities), ("105ef944-65ca83d1",), details=known if details else None)


def put(
    writer: RegistryWriter, repository: Repository, *tags: str, platforms: Iterable[str] = ("linux/amd64",)
) -> Image:
    """An image of two layers for each platform; several platforms: an index."""
    names = tuple(platforms)
    children = [
        put_image(
            writer,
            repository,
            tags=tags if len(names) == 1 else (),
            platform=name,
            labels={"composed": "yes"},
            created=BUILT,
            layers=[tar({"usr/lib/os-release": b"NAME=composed\n"}), tar({"usr/bin/x": name.encode() * 1000})],
        )
        for name in names
    ]
    digest = children[0] if len(children) == 1 else put_index(writer, repository, children, tags=tags)
    return look_at(writer, repository.digest(digest))


def under_read(reader: RegistryReader, image: Image, platform: Platform = AMD64) -> ImageUnderRead:
    """One platform's image as a source is handed it."""
    return ImageUnderRead(image.reference, image.on(platform), reader)


def at(image: Image, digest: Digest) -> Reference:
    """Another manifest beside ``image``."""
    return image.reference.repository.digest(digest)
