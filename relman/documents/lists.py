"""The documents that are lists: packages, tags, records, plugins, the cache, and what was published."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from relman.documents.record import RecordDocument
from relman.model.contents import Contents


class PackageDocument(TypedDict):
    """One installed package; `null` where the source of the list does not know."""

    ecosystem: str
    name: str
    arch: str | None
    version: str
    source: str | None
    vendor: str | None


class PackagesDocument(TypedDict):
    """What is inside one platform's image, or a file. ``source`` is where it was read, ``keys`` the trusted keys."""

    schema: Literal["relman.packages/1"]
    reference: str
    source: str
    capabilities: list[str]
    keys: list[str]
    packages: list[PackageDocument]


class AttachedDocument(TypedDict):
    """One platform's list. ``digest`` is the image's, ``list`` that of the manifest which attaches the list to it.

    ``state`` is `there` where the same list was attached before; ``source`` is what it was made from, ``bytes`` its
    size as it is stored.
    """

    platform: str
    digest: str
    list: str
    state: Literal["there", "attached"]
    packages: int
    source: str
    bytes: int


class PublishedDocument(TypedDict):
    """What `relman contents --publish` attached."""

    schema: Literal["relman.published/1"]
    reference: str
    lists: list[AttachedDocument]


class GrownDocument(TypedDict):
    """By how many bytes one platform's image grew; 0 where its list was inside already."""

    platform: str
    added: int


class EmbeddedDocument(TypedDict):
    """What `relman contents --embed` made: ``reference`` is the new image, ``before`` the one it was made from."""

    schema: Literal["relman.embedded/1"]
    before: str
    reference: str
    digest: str
    tag: str | None
    platforms: list[GrownDocument]


class UsageDocument(TypedDict):
    """Lists, and their bytes."""

    entries: int
    size: int


class CacheDocument(TypedDict):
    """What is kept, and the most that is; ``removed`` is there after `relman cache clear`."""

    schema: Literal["relman.cache/1"]
    folder: str
    entries: int
    size: int
    limit: int
    removed: NotRequired[UsageDocument]


def packages_document(reference: str, found: Contents) -> PackagesDocument:
    """``found`` as `relman contents --format json` prints it."""
    return PackagesDocument(
        schema="relman.packages/1",
        reference=reference,
        source=found.source,
        capabilities=sorted(found.capabilities),
        keys=list(found.keys),
        packages=[
            PackageDocument(
                ecosystem=package.ecosystem,
                name=package.name,
                arch=package.arch,
                version=package.version,
                source=package.source,
                vendor=package.vendor,
            )
            for package in found.packages
        ],
    )


class TagDocument(TypedDict):
    """A tag as the streams read it; ``kind`` is `unread` where none does, and ``reason`` says why.

    ``stream``, ``variant`` and ``pattern`` are those of the first reading; ``streams`` are all that read it, and
    ``variants`` all that have this tag alike. ``order`` counts the builds of its stream and variant: 1 is the newest.
    ``digest`` is only there with `--digests`. ``alias_of`` is the tag that stands for the same build, where this is
    another spelling: of one digest where digests are known, else of one (stream, date, point).
    """

    tag: str
    kind: Literal["dated", "moving", "unread"]
    stream: str | None
    variant: str | None
    date: str | None
    point: int | None
    major: int | None
    streams: list[str]
    variants: list[str]
    pattern: str | None
    order: int | None
    digest: str | None
    alias_of: str | None
    reason: str | None


class TagsDocument(TypedDict):
    """All tags of a repository: those that streams read first, each stream's moving ones before the others by day.

    ``repository`` is `null` for a list from a file that was read for no repository in particular.
    """

    schema: Literal["relman.tags/1"]
    repository: str | None
    tags: list[TagDocument]


class RecordsDocument(TypedDict):
    """Records, the newest first."""

    schema: Literal["relman.records/1"]
    records: list[RecordDocument]


PluginDocument = TypedDict("PluginDocument", {"name": str, "from": str})
"""A plugin, and the distribution that it came with."""


class HookDocument(TypedDict):
    """A hook, and who answers it, in the order in which they are asked."""

    hook: str
    plugins: list[str]


class BrokenDocument(TypedDict):
    """A plugin that could not be used, and why."""

    name: str
    reason: str


class PluginsDocument(TypedDict):
    """Every plugin and every hook, in the order of the walk."""

    schema: Literal["relman.plugins/1"]
    plugins: list[PluginDocument]
    hooks: list[HookDocument]
    broken: list[BrokenDocument]
