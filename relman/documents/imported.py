"""`relman.import/1`: what `relman records import` read, what became of it, and what it could not read."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class NotReadDocument(TypedDict):
    """A line that was not read: its number in the file (in the release's text, for JSON and feeds), and why."""

    line: int
    text: str
    reason: str


class ImportedReleaseDocument(TypedDict):
    """A published release. ``state``: `imported`, `planned` (nobody agreed), `known` (left as it is), `left-out`.

    The counts are those of its text, and are there where it was read; ``reason`` where it was left out or differs.
    """

    file: str
    name: str
    stream: str | None
    version: str | None
    id: str | None
    state: Literal["imported", "planned", "known", "left-out"]
    reason: str | None
    majors: NotRequired[int]
    packages: NotRequired[int]
    commits: NotRequired[int]
    not_read: list[NotReadDocument]


class FailedFileDocument(TypedDict):
    """A file that holds nothing to import."""

    reason: str


class ImportDocument(TypedDict):
    """A whole import."""

    schema: Literal["relman.import/1"]
    releases: list[ImportedReleaseDocument]
    failed: list[FailedFileDocument]
