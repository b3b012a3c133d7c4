"""The configuration as the rest of relman sees it: frozen, complete, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from relman.errors import ConfigError, UsageError
from relman.model.links import LinkRule
from relman.model.oci import Digest, Platform, parse_repository
from relman.model.signature import SignatureRule, StatementSigning
from relman.model.streams import Place, Stream, Variant

DEFAULT_TITLE = (
    "{{ version or project }}{% if stream %}: {{ project }} {{ stream }}{% endif %}"
    "{% if major or revision %} ({% if major %}F{{ major }}{% endif %}"
    "{% if major and revision %}, {% endif %}{% if revision %}#{{ revision[:7] }}{% endif %}){% endif %}"
)
"""`stable-20260705: Bluefin stable (F44, #7a1b2c3)`, with what is known."""


class GroupRule(msgspec.Struct, frozen=True):
    """The title of the set of variants that have all of ``traits``."""

    title: str
    traits: frozenset[str]


class MajorRule(msgspec.Struct, frozen=True):
    """What readers look for first: a ``package``, or the image label ``label``, in the variants with all ``traits``."""

    title: str
    package: str | None
    label: str | None
    traits: frozenset[str]


class Packages(msgspec.Struct, frozen=True):
    """How lists of packages are read and shown."""

    sources: tuple[str, ...] = ("contents", "sbom", "rpmdb", "label")
    minimum: int = 100
    ignore: tuple[str, ...] = ()
    rename: tuple[tuple[re.Pattern[str], str], ...] = ()
    ecosystems: frozenset[str] = frozenset()


class Notes(msgspec.Struct, frozen=True):
    """How notes are written. ``exclude`` are expressions on commit subjects; ``templates`` a folder of overrides.

    ``highlights`` and ``known_issues`` are folders of the git repository, from its root.
    ``page`` is a template of the address where the whole notes stand.
    ``security``: sources that know security fixes are asked before those that do not, however much more they read.
    """

    title: str = DEFAULT_TITLE
    page: str | None = None
    exclude: tuple[re.Pattern[str], ...] = ()
    required: bool = True
    authors: bool = False
    security: bool = False
    templates: Path | None = None
    highlights: str | None = None
    known_issues: str | None = None


class ChannelTable(msgspec.Struct, frozen=True):
    """One `[[publish]]` or `[[announce]]` table. ``table`` is as written: environment variables still by name."""

    kind: Literal["publish", "announce"]
    type: str
    name: str
    streams: tuple[str, ...]
    required: bool
    table: Mapping[str, object]

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it names, as values or among its headers."""
        tables = [self.table, *(value for value in self.table.values() if isinstance(value, dict))]
        values = [value for table in tables for value in table.values() if isinstance(value, dict)]
        return tuple(str(value["env"]) for value in values if set(value) == {"env"})

    def applies(self, stream: str) -> bool:
        """Whether releases of ``stream`` go there."""
        return not self.streams or stream in self.streams


class LedgerBranch(msgspec.Struct, frozen=True):
    """A branch that the records lie in, of the checkout's ``remote``: a name, an address, or ``.`` for the checkout.

    Without one: `origin`, the only one, or, where there is none, the checkout itself.
    """

    name: str
    remote: str | None = None


class Config(msgspec.Struct, frozen=True):
    """All of relman.toml. ``folder`` is where relative paths begin; ``pinned`` the digest of what a plan pins.

    ``attach``: whether promotions are attached to their images, as statements; ``signing``: who signs those.
    """

    folder: Path
    file: Path | None
    project: str
    repository_url: str | None
    checkout: Path | None
    platforms: tuple[Platform, ...]
    prefix: str | None
    insecure: frozenset[str]
    variants: tuple[Variant, ...]
    groups: tuple[GroupRule, ...]
    majors: tuple[MajorRule, ...]
    links: tuple[LinkRule, ...]
    streams: Mapping[str, Stream]
    packages: Packages
    notes: Notes
    ledger: Path
    channels: tuple[ChannelTable, ...]
    plugins: Mapping[str, Mapping[str, object]]
    signature: SignatureRule | None
    pinned: Digest
    ledger_branch: LedgerBranch | None = None
    attach: bool = False
    signing: StatementSigning | None = None

    @property
    def signed(self) -> bool:
        """Whether signatures are asked for."""
        return self.signature is not None

    @property
    def tables(self) -> frozenset[str]:
        """The channels, gates and plugins that it names, such as `announce.discord` (`Slot.table`).

        `[signature]` names the gate of that type, whatever gates the streams have: it is asked again before tags move.
        """
        return frozenset(
            (
                *(("gate.signature",) if self.signed else ()),
                *(f"{channel.kind}.{channel.type}" for channel in self.channels),
                *(f"gate.{rule.type}" for stream in self.streams.values() for rule in stream.gates or ()),
                *(f"plugin.{name}" for name in self.plugins),
            )
        )

    def stream(self, name: str) -> Stream:
        """The stream of that name. Raises `UsageError` that lists those there are."""
        if name in self.streams:
            return self.streams[name]
        if not self.streams:
            raise ConfigError(f"there is no stream `{name}`: {self.where} has no [streams.…] table")
        known = ", ".join(f"`{stream}`" for stream in self.streams)
        raise UsageError(f"there is no stream `{name}`", hint=f"{self.where} has {known}")

    @property
    def where(self) -> str:
        """The file, as messages name it."""
        return str(self.file.name) if self.file else "the configuration"

    def place(self, variant: Variant, stream: Stream) -> Place:
        """The repository in which ``stream`` of ``variant`` lives. Raises `ConfigError` where no prefix says so."""
        prefix = stream.prefix or self.prefix
        if prefix is None:
            raise ConfigError(
                f"{self.where} does not say where the images are",
                hint='add `[registry]` with `prefix = "ghcr.io/OWNER"`',
            )
        return Place(variant, parse_repository(f"{prefix.rstrip('/')}/{variant.repository}"))

    def platforms_of(self, variant: Variant) -> tuple[Platform, ...]:
        """The platforms that must be there, and are compared; empty: whatever the image holds."""
        return variant.platforms or self.platforms

    def traits(self, name: str) -> frozenset[str]:
        """The traits of the variant called ``name``; none for one that is not configured."""
        return next((variant.traits for variant in self.variants if variant.name == name), frozenset())
