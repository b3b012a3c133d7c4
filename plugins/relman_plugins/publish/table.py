"""What the tables of all forges have in common, and how their servers are addressed."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from relman.plugin import ConfigError, Duration, PublishSettings, Secret

_VERSION = re.compile(r"\{\{\s*version\s*\}\}")
_NO_TAG = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/.-]|/\.|[/.]$|\.lock(?:/|$)")
"""What no name of a tag has (git-check-ref-format(1))."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AssetKind(StrEnum):
    """What may be attached to a release."""

    NOTES = "notes"
    RECORD = "record"
    SBOM = "sbom"


def _tag(value: str) -> str:
    if not _VERSION.search(value) or "{" in _VERSION.sub("", value):
        raise ValueError(f"`{value}` has to have `{{{{ version }}}}` in it, and no other placeholder")
    return value


def server(value: str) -> str:
    """An address that a token may be sent to, without a slash at its end. Raises `ValueError` for any other."""
    parts = urlsplit(value)
    if parts.username or parts.query or parts.fragment or not parts.hostname:
        raise ValueError(f"`{value}` is not the address of a server, such as `https://codeberg.org`")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"`{value}` has to begin with `https://`: a token is sent there")
    return value.rstrip("/")


def lacking(type: str, why: str) -> BeforeValidator:
    """Of a key that other forges have: refused with the reason, instead of as one that nobody knows."""

    def refuse(_value: object) -> None:
        raise ValueError(f"is no key of `{type}`: {why}")

    return BeforeValidator(refuse)


Server = Annotated[str, AfterValidator(server)]
Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
"""`owner/name`."""


class Address(msgspec.Struct, frozen=True):
    """A forge's server: its API, and the site that people see."""

    api: str
    site: str

    def owns(self, url: str, *, aside: Iterable[str] = ()) -> bool:
        """Whether ``url`` leads to the API's own host or to one of those ``aside``, as safely as to the API."""
        try:
            own, other = urlsplit(self.api), urlsplit(url)
            other.port  # noqa: B018 - refuses what is no number
        except ValueError:
            return False
        if other.username is not None or other.password is not None:
            return False
        return other.scheme == own.scheme and other.hostname in {own.hostname, *aside}


class ForgeSettings(PublishSettings):
    """What all forges have. ``asset_limit`` in MiB; ``limit`` in what the forge measures texts by.

    ``timeout`` is for all requests of one release, its files included.
    """

    timeout: Duration = timedelta(minutes=5)
    repository: Repository
    token: Secret
    tag: Annotated[str, AfterValidator(_tag)] = "{{ version }}"
    target: str | None = Field(default=None, min_length=1)
    assets: tuple[AssetKind, ...] = (AssetKind.NOTES, AssetKind.RECORD)
    asset_limit: int = Field(default=256, ge=1, le=2048)
    limit: int | None = Field(default=None, ge=1000)

    folder: ClassVar[str] = "releases"
    """Where releases are, below the repository's page."""
    downloads: ClassVar[str] = "download/{tag}"
    """Where a release's files are, below ``folder``."""
    shown: ClassVar[str] = "tag/{tag}"
    """Where a release is, below ``folder``."""

    @property
    @abstractmethod
    def address(self) -> Address:
        """Where the forge is."""

    @property
    def home(self) -> str:
        """The repository's page."""
        return f"{self.address.site}/{self.repository}"

    def tag_of(self, version: str) -> str:
        """The tag of a release. Raises `ConfigError` where it would be none."""
        tag = _VERSION.sub(lambda _: version, self.tag)
        if _NO_TAG.search(tag) or not tag.isprintable():
            raise ConfigError(
                f"channel `{self.name or self.type}`: `{tag[:200]}` cannot be the tag of a release",
                hint="mend `tag` in its table",
            )
        return tag

    def page(self, version: str) -> str | None:
        """Where people will find the release of ``version``; `None` where nobody will before a person publishes it."""
        return f"{self.home}/{self.folder}/{self.shown.format(tag=quote(self.tag_of(version), safe=''))}"

    def download(self, tag: str, name: str) -> str:
        """Where people will find the file ``name`` of the release with this ``tag``."""
        return f"{self.home}/{self.folder}/{self.downloads.format(tag=quote(tag, safe=''))}/{quote(name, safe='')}"
