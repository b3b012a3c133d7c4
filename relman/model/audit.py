"""What `relman audit` finds: where registry, records and observations do not agree."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Code(StrEnum):
    """Every kind of finding."""

    UNANNOUNCED = "unannounced"
    MOVED_TAG = "moved-tag"
    FOREIGN_MOVE = "foreign-move"
    GAP = "gap"
    SAME_BUILD = "same-build"
    BACKWARDS = "backwards"
    UNFINISHED = "unfinished"
    BROKEN_RECORD = "broken-record"
    STANDSTILL = "standstill"
    IMAGE_GONE = "image-gone"
    EVIDENCE_LOST = "evidence-lost"
    EDITED = "edited"
    UNPINNED = "unpinned"


class Severity(StrEnum):
    """``error``: what was promised does not hold; ``warning``: somebody should look; ``notice``: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


SEVERITY: Mapping[Code, Severity] = {
    Code.UNANNOUNCED: Severity.WARNING,
    Code.MOVED_TAG: Severity.ERROR,
    Code.FOREIGN_MOVE: Severity.ERROR,
    Code.GAP: Severity.WARNING,
    Code.SAME_BUILD: Severity.NOTICE,
    Code.BACKWARDS: Severity.WARNING,
    Code.UNFINISHED: Severity.WARNING,
    Code.BROKEN_RECORD: Severity.ERROR,
    Code.STANDSTILL: Severity.WARNING,
    Code.IMAGE_GONE: Severity.ERROR,
    Code.EVIDENCE_LOST: Severity.ERROR,
    Code.EDITED: Severity.ERROR,
    Code.UNPINNED: Severity.WARNING,
}


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it should be.

    ``stream`` is `None` for the ledger as a whole, ``variant`` where it is about several or none, ``version`` where it
    is about no release. ``message`` and ``hint`` are for people, ``evidence`` is what the finding rests on, as JSON.
    """

    code: Code
    stream: str | None
    variant: str | None
    version: str | None
    message: str
    hint: str
    evidence: Mapping[str, object] = msgspec.field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.code, self.stream, self.variant, self.version, self.message))

    @property
    def severity(self) -> Severity:
        """How bad it is: the same for all of a kind."""
        return SEVERITY[self.code]


class Unchecked(msgspec.Struct, frozen=True):
    """What could not be looked into, so that nobody takes it for clean.

    ``exit_code`` is that of the failure; `None` where nothing failed and nobody could know (a webhook cannot be asked).
    """

    code: Code
    stream: str | None
    reason: str
    exit_code: int | None = None


class BrokenRecord(msgspec.Struct, frozen=True):
    """A record that cannot be read. ``name`` is its folder's: ``<version>-<id>``."""

    stream: str
    name: str
    reason: str

    @property
    def version(self) -> str:
        """The version, by the name of its folder."""
        return self.name.rpartition("-")[0]

    @property
    def id(self) -> str:
        """The id, by the name of its folder."""
        return self.name.rpartition("-")[2]


class StreamAudit(msgspec.Struct, frozen=True):
    """What came of one stream; ``records`` are those that were read."""

    stream: str
    source: str | None
    records: int
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]


class Audit(msgspec.Struct, frozen=True):
    """What came of all streams that were asked for, and of the ledger as a whole."""

    streams: tuple[StreamAudit, ...]
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Those of the ledger, then stream by stream."""
        return (*self.findings, *(finding for stream in self.streams for finding in stream.findings))

    @property
    def all_unchecked(self) -> tuple[Unchecked, ...]:
        """Those of the ledger, then stream by stream."""
        return (*self.unchecked, *(one for stream in self.streams for one in stream.unchecked))
