"""Release notes as Bluefin and Bazzite published them (tests/data), and a count of their rows that parses nothing."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relman import config as configuration
from relman.config import Config
from relman.imports.changelogs import changelog_of
from relman.imports.classic import read_notes
from relman.imports.markdown import read_markdown
from relman.imports.notes import Notes
from relman.imports.published import Origin, Published
from relman.model.changelog import Changelog

DATA = Path(__file__).parent / "data"
CHANGELOGS = DATA / "changelogs"
BAZZITE = DATA / "releases" / "bazzite-2026-07.json"

RELMAN_TOML = """
[project]
name = "Composed OS"
repository = "https://github.com/acme/os"

[registry]
prefix = "ghcr.io/acme"

[[variants]]
name = "os"
traits = ["base"]

[[variants]]
name = "os-dx"
traits = ["dx"]

[[variants]]
name = "os-nvidia"
traits = ["base", "nvidia"]

[[groups]]
title = "Dev Experience Images"
traits = ["dx"]

[[groups]]
title = "Nvidia Images"
traits = ["nvidia"]

[[majors]]
label = "Kernel"
package = "kernel"

[streams.stable]
tags = ["stable{suffix}"]
versions = ["stable{suffix}-{date}[.{point}]", "{major}.{date}[.{point}]"]

[streams.gts]
tags = ["gts{suffix}"]
versions = ["gts{suffix}-{date}[.{point}]"]

[streams.lts]
tags = ["lts{suffix}"]
versions = ["lts{suffix}-{date}[.{point}]", "lts{suffix}.{date}[.{point}]"]

[streams.testing]
tags = ["testing{suffix}"]
versions = ["testing{suffix}-{major}.{date}[.{point}]"]
"""
"""A configuration that reads the versions of both projects."""


def config(folder: Path, text: str = RELMAN_TOML) -> Config:
    """That configuration, loaded."""
    file = folder / "relman.toml"
    file.write_text(text, encoding="utf-8")
    return configuration.load(file)


@dataclass(frozen=True)
class Counted:
    """Rows of a text, counted line by line."""

    added: int
    changed: int
    removed: int
    majors: int
    commits: int

    @property
    def packages(self) -> int:
        """All rows of packages."""
        return self.added + self.changed + self.removed


def counted(text: str) -> Counted:
    """What a person with a marker would count: lines that begin alike."""
    lines = text.splitlines()
    return Counted(
        added=sum(line.startswith("| ✨ |") for line in lines),
        changed=sum(line.startswith("| 🔄 |") for line in lines),
        removed=sum(line.startswith("| ❌ |") for line in lines),
        majors=sum(line.startswith("| **") and not line.startswith("| **[") for line in lines),
        commits=sum(line.startswith("| **[") for line in lines),
    )


def real() -> dict[str, str]:
    """The 58 published texts by name."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(CHANGELOGS.glob("*.md"))}
    releases = json.loads(BAZZITE.read_text(encoding="utf-8"))
    return texts | {release["tag_name"]: release["body"] for release in releases}


def body_of(text: str) -> str:
    """A text without the front matter that the documentation's files have."""
    return text.split("---\n", 2)[2] if text.startswith("---\n") else text


@functools.cache
def notes(text: str) -> Notes:
    """What relman reads in a text of Markdown."""
    return read_notes(read_markdown(text))


def changelog(read: Notes, config: Config, version: str = "stable-20250608") -> Changelog:
    """The changelog of notes, with the version that they name."""
    published = Published(Origin.MARKDOWN, "x.md", "x.md", None, None, None, datetime(2025, 6, 8, tzinfo=UTC), "")
    named = read.version or version
    return changelog_of(read, published, config, stream=read.stream or "stable", version=named, read=None)
