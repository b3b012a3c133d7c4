"""`relman.contents/1`: what is inside one variant's image, platform by platform, as small as JSON gets.

The same document is kept with records, in the cache, and (of one platform, bound to its image) published as relman's
compact list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NotRequired, TypeAlias

import msgspec
from msgspec.structs import replace
from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from relman.documents.details import DetailsDocument, details_document, details_from_document
from relman.documents.reading import compact, read_json, validated
from relman.documents.values import JsonObject, PlatformText, one_of, plain_object
from relman.errors import Malformed
from relman.model.contents import LARGE, PASSED_OVER, Capability, Contents, Package, PackageSet, known_package
from relman.model.oci import Digest, Platform

CONTENTS_SCHEMA: Final = "relman.contents/1"
CONTENTS_LIMIT = 64 * 1024 * 1024
"""The largest document that is read, in bytes and uncompressed: hundreds of thousands of packages."""

Row: TypeAlias = Annotated[list[str | None], Field(min_length=5, max_length=5)]
"""One package: name, arch, version, source, vendor; null where the source of the list does not know."""


class PlatformContents(TypedDict):
    """One platform's list. ``packages`` are rows by ecosystem, sorted by name and arch, then in order of versions."""

    source: str
    capabilities: list[Annotated[Capability, one_of(Capability)]]
    keys: list[str]
    extras: JsonObject
    packages: dict[str, list[Row]]
    details: NotRequired[DetailsDocument]


class ContentsDocument(TypedDict):
    """Lists by platform. ``image`` is the digest of the one manifest that a published list is of.

    A list inside an image cannot name that: it has ``beneath``, the chain of the layers below its own (`ChainID` of the
    OCI image format's config.md).
    """

    schema: Literal["relman.contents/1"]
    image: NotRequired[Digest]
    beneath: NotRequired[Digest]
    platforms: dict[PlatformText, PlatformContents]


class BoundContents(msgspec.Struct, frozen=True):
    """Lists by platform, and the image (or the chain of layers) that they are of; both are `None` in a plain list."""

    platforms: Mapping[Platform, Contents]
    image: Digest | None = None
    beneath: Digest | None = None


_CONTENTS = TypeAdapter(ContentsDocument)


def contents_document(
    platforms: Mapping[Platform, Contents],
    *,
    image: Digest | None = None,
    beneath: Digest | None = None,
    whole: bool = False,
) -> ContentsDocument:
    """The lists as JSON has them; equal ones give equal documents. Raises `ValueError` for extras that are no JSON.

    Changelogs and files are in it only with ``whole``; without them it does not claim to know them.
    """
    lists = {
        str(platform): _platform_document(platforms[platform], whole=whole) for platform in sorted(platforms, key=str)
    }
    if image is not None:
        return ContentsDocument(schema=CONTENTS_SCHEMA, image=image, platforms=lists)
    if beneath is not None:
        return ContentsDocument(schema=CONTENTS_SCHEMA, beneath=beneath, platforms=lists)
    return ContentsDocument(schema=CONTENTS_SCHEMA, platforms=lists)


def contents_bytes(platforms: Mapping[Platform, Contents]) -> bytes:
    """The lists as the ledger keeps and names them, before compression.

    What did not serve when they were read is not kept: it says nothing of the image.
    """
    return compact(contents_document({platform: _unread(contents) for platform, contents in platforms.items()}))


def _unread(contents: Contents) -> Contents:
    extras = {key: value for key, value in contents.extras.items() if key != PASSED_OVER}
    return replace(contents, extras=extras) if len(extras) < len(contents.extras) else contents


def contents_from_bytes(content: bytes, *, what: str = "the list of contents") -> dict[Platform, Contents]:
    """The lists in a file, uncompressed. Raises `Malformed`."""
    return dict(bound_contents(content, what=what).platforms)


def bound_contents(content: bytes, *, what: str = "the list of contents") -> BoundContents:
    """The same, with what they are bound to. Raises `Malformed`."""
    return _bound(read_json(content, what=what, limit=CONTENTS_LIMIT), what)


def _bound(document: object, what: str) -> BoundContents:
    read = validated(_CONTENTS, document, CONTENTS_SCHEMA, what=what)
    try:
        platforms = {Platform.parse(name): _contents(platform) for name, platform in read["platforms"].items()}
    except ValueError as error:
        raise Malformed(f"{what} does not add up: {error}") from error
    return BoundContents(platforms, read.get("image"), read.get("beneath"))


def _platform_document(contents: Contents, *, whole: bool) -> PlatformContents:
    packages: dict[str, list[Row]] = {}
    for package in contents.packages:
        packages.setdefault(package.ecosystem, []).append(
            [package.name, package.arch, package.version, package.source, package.vendor]
        )
    known = contents.capabilities if whole or contents.details is None else contents.capabilities - LARGE
    document = PlatformContents(
        source=contents.source,
        capabilities=sorted(known),
        keys=list(contents.keys),
        extras=plain_object(contents.extras),
        packages=packages,
    )
    if contents.details is not None:
        document["details"] = details_document(contents.details, contents.packages, whole=whole)
    return document


def _contents(read: PlatformContents) -> Contents:
    packages = PackageSet(_package(ecosystem, row) for ecosystem, rows in read["packages"].items() for row in rows)
    details = read.get("details")
    return Contents(
        packages=packages,
        source=read["source"],
        capabilities=frozenset(read["capabilities"]),
        keys=tuple(read["keys"]),
        extras=read["extras"],
        details=details_from_document(details, packages) if details is not None else None,
    )


def _package(ecosystem: str, row: Row) -> Package:
    name, arch, version, source, vendor = row
    return known_package(ecosystem, name or "", arch, version or "", source, vendor)
