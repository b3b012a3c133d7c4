"""Release notes of the classic format as a value: what they say, what is kept as text, what could not be read."""

from __future__ import annotations

import msgspec


class PackageRow(msgspec.Struct, frozen=True):
    """A package of a group: `✨` without ``before``, `❌` without ``after``, else `🔄`.

    ``remark`` is what stands in brackets behind the version before: another arch, another vendor.
    """

    line: int
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    remark: str | None = None


class PublishedGroup(msgspec.Struct, frozen=True):
    """A table of packages, under the title that it was published with."""

    title: str
    rows: tuple[PackageRow, ...]


class MajorRow(msgspec.Struct, frozen=True):
    """A major package; ``word`` is that of its heading: `DX` for `Major DX packages`, empty for all images."""

    line: int
    word: str
    label: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class CommitRow(msgspec.Struct, frozen=True):
    """A commit: its full id where the link has it, ``base`` the repository's address before `/commit/`."""

    line: int
    sha: str
    subject: str
    author: str
    base: str | None


class KeptText(msgspec.Struct, frozen=True):
    """A part that is text: Markdown under its title. ``early`` ones stand before the first table."""

    title: str
    markdown: str
    early: bool


class NotRead(msgspec.Struct, frozen=True):
    """What could not be read: its line in the text, what stands there, and why; ``row`` where it is a table's row."""

    line: int
    text: str
    reason: str
    row: bool = False


class Tally(msgspec.Struct, frozen=True):
    """Counted from both ends, so that it can disagree: the pieces and rows of the source, and what became of each."""

    units: int
    units_read: int
    units_kept: int
    units_not_read: int
    rows: int
    rows_read: int
    rows_kept: int
    rows_not_read: int

    def __post_init__(self) -> None:
        for what in ("units", "rows"):
            whole = getattr(self, what)
            parts = [getattr(self, f"{what}_{fate}") for fate in ("read", "kept", "not_read")]
            if whole != sum(parts):
                raise ValueError(
                    f"{whole} {what} are in the text, but {parts[0]} were read, {parts[1]} kept and {parts[2]} "
                    "not read: some were lost"
                )


class Notes(msgspec.Struct, frozen=True):
    """One release's notes. ``previous`` is `None` where they name no release before; ``remark`` their words on what
    they show.

    Raises `ValueError` for rows that the tally counted as read and that are not there.
    """

    title: str | None
    version: str | None
    stream: str | None
    previous: str | None
    remark: str | None
    majors: tuple[MajorRow, ...]
    groups: tuple[PublishedGroup, ...]
    commits: tuple[CommitRow, ...]
    texts: tuple[KeptText, ...]
    not_read: tuple[NotRead, ...]
    tally: Tally

    def __post_init__(self) -> None:
        held = len(self.majors) + len(self.commits) + self.packages
        if held != self.tally.rows_read:
            raise ValueError(f"{self.tally.rows_read} rows were read, and {held} are there: a row was lost")

    @property
    def packages(self) -> int:
        """The rows of all groups."""
        return sum(len(group.rows) for group in self.groups)

    @property
    def found(self) -> bool:
        """Whether anything in the text is of the classic format."""
        return bool(self.version or self.previous or self.tally.rows_read)
