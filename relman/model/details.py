"""What only package databases tell of two images, beyond the rows: changelog entries, security fixes, changed files."""

from __future__ import annotations

import msgspec

from relman.model.changelog import Fix
from relman.model.contents import ChangelogEntry


class SourceEntries(msgspec.Struct, frozen=True):
    """The entries that are new in the changelog of one source package, the newest first; ``packages`` made from it."""

    source: str
    packages: tuple[str, ...]
    entries: tuple[ChangelogEntry, ...]


class ChangedFile(msgspec.Struct, frozen=True):
    """A packaged file whose content changed. ``config``: a package marks it as configuration, on either side."""

    path: str
    config: bool


class DiffDetails(msgspec.Struct, frozen=True):
    """Beside the rows of one diff. Each is `None` where a source cannot tell, or where it was not asked for.

    ``changelog_notes`` say what ``changelogs`` and ``security`` cannot tell, ``file_notes`` what ``files`` cannot.
    """

    changelogs: tuple[SourceEntries, ...] | None = None
    security: tuple[Fix, ...] | None = None
    files: tuple[ChangedFile, ...] | None = None
    changelog_notes: tuple[str, ...] = ()
    file_notes: tuple[str, ...] = ()
