"""`relman.contents/1`: what is inside one variant's image, platform by platform, as small as JSON gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from relman.documents.reading import compact, read_json, validated
from relman.documents.values import JsonObject, PlatformText, one_of, plain_object
from relman.errors import Malformed
from relman.model.contents import Capability, Contents, Package, PackageSet
from relman.model.oci import Platform

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


class ContentsDocument(TypedDict):
    """Lists by platform."""

    schema: Literal["relman.contents/1"]
    platforms: dict[PlatformText, PlatformContents]


_CONTENTS = TypeAdapter(ContentsDocument)


def contents_document(platforms: Mapping[Platform, Contents]) -> ContentsDocument:
    """The lists as JSON has them; equal ones give equal documents. Raises `ValueError` for extras that are no JSON."""
    return ContentsDocument(
        schema=CONTENTS_SCHEMA,
        platforms={str(platform): _platform_document(platforms[platform]) for platform in sorted(platforms, key=str)},
    )


def contents_from_document(document: object, *, what: str = "the list of contents") -> dict[Platform, Contents]:
    """The lists that ``document`` holds. Raises `Malformed`."""
    read = validated(_CONTENTS, document, CONTENTS_SCHEMA, what=what)
    try:
        return {Platform.parse(name): _contents(platform) for name, platform in read["platforms"].items()}
    except ValueError as error:
        raise Malformed(f"{what} does not add up: {error}") from error


def contents_bytes(platforms: Mapping[Platform, Contents]) -> bytes:
    """The lists as the ledger keeps and names them, before compression."""
    return compact(contents_document(platforms))


def contents_from_bytes(content: bytes, *, what: str = "the list of contents") -> dict[Platform, Contents]:
    """The lists in a file, uncompressed. Raises `Malformed`."""
    return contents_from_document(read_json(content, what=what, limit=CONTENTS_LIMIT), what=what)


def _platform_document(contents: Contents) -> PlatformContents:
    packages: dict[str, list[Row]] = {}
    for package in contents.packages:
        packages.setdefault(package.ecosystem, []).append(
            [package.name, package.arch, package.version, package.source, package.vendor]
        )
    return PlatformContents(
        source=contents.source,
        capabilities=sorted(contents.capabilities),
        keys=list(contents.keys),
        extras=plain_object(contents.extras),
        packages=packages,
    )


def _contents(read: PlatformContents) -> Contents:
    return Contents(
        packages=PackageSet(_package(ecosystem, row) for ecosystem, rows in read["packages"].items() for row in rows),
        source=read["source"],
        capabilities=frozenset(read["capabilities"]),
        keys=tuple(read["keys"]),
        extras=read["extras"],
    )


def _package(ecosystem: str, row: Row) -> Package:
    name, arch, version, source, vendor = row
    return Package(ecosystem, name or "", arch, version or "", source, vendor)
