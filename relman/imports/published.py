"""One release as it was published, wherever that was."""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from urllib.parse import unquote, urlsplit

import msgspec


class Origin(StrEnum):
    """The kind of file that a release was read from."""

    GITHUB = "github"
    ATOM = "atom"
    JSON_FEED = "json-feed"
    MARKDOWN = "markdown"


class Published(msgspec.Struct, frozen=True):
    """A release as a file has it. ``tag`` and ``at`` are `None` where it does not say; ``refused`` says why it
    is none to import (a draft, a time that is no time).

    ``line`` is the number of the line before the first of ``body`` in the file, where lines of the file can be named.
    """

    origin: Origin
    file: str
    name: str
    tag: str | None
    title: str | None
    url: str | None
    at: datetime | None
    body: str
    html: bool = False
    line: int | None = None
    refused: str | None = None

    @property
    def sha256(self) -> str:
        """The hash of the text as it was published, for whoever compares it later."""
        return hashlib.sha256(self.body.encode("utf-8", "surrogatepass")).hexdigest()


def tag_of_address(address: str) -> str | None:
    """The tag at the end of a release's address: `…/releases/tag/stable-20250608`. `None` for other addresses."""
    try:
        path = unquote(urlsplit(address).path)
    except ValueError:
        return None
    _, found, tag = path.partition("/releases/tag/")
    return tag.strip("/") or None if found else None


def tag_of_title(title: str | None) -> str | None:
    """The tag before the colon of `stable-20250608: Stable (F42.20250608, #0340d37)`. `None` for titles of prose."""
    tag = (title or "").partition(":")[0].strip()
    return tag if any(char.isdigit() for char in tag) and not any(char.isspace() for char in tag) else None
