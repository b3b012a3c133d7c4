"""What a release leaves behind (docs/contract: Records)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

import msgspec

from relman.model.gates import GateResult, Override
from relman.model.oci import Digest, Platform
from relman.model.plan import Action
from relman.model.rollback import Rollback

NO_TIME = datetime.min.replace(tzinfo=UTC)
"""The time of a receipt that the core has not stamped yet."""


class ReceiptState(StrEnum):
    """What came of an action. Only ``done`` and ``adopted`` (it was so already) count as done."""

    DONE = "done"
    ADOPTED = "adopted"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Correction(msgspec.Struct, frozen=True):
    """Who changed or took back a post, and when. ``sha256`` is the hash of what an edit made of the action."""

    at: datetime
    by: str
    sha256: str | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What came of one action. ``sha256`` is the hash of what was written or posted, ``detail`` a reason for people.

    ``edited`` and ``withdrawn`` are there where the post was corrected or taken back since, ``by`` where a person said
    what came of it, because the service cannot tell.
    """

    key: str
    action: str
    state: ReceiptState
    at: datetime
    remote_id: str | None = None
    url: str | None = None
    sha256: str | None = None
    detail: str | None = None
    edited: Correction | None = None
    withdrawn: Correction | None = None
    by: str | None = None

    @classmethod
    def of(
        cls,
        action: Action,
        state: ReceiptState,
        *,
        remote_id: str | None = None,
        url: str | None = None,
        sha256: str | None = None,
        detail: str | None = None,
    ) -> Self:
        """A receipt for ``action`` as executors write it: its time is set by the core, which has the clock."""
        return cls(action.key, action.target, state, NO_TIME, remote_id, url, sha256, detail)

    @property
    def settled(self) -> bool:
        """Nothing is left to do for it: it is done, or somebody said that it is to be left."""
        return self.stands or (self.state is ReceiptState.SKIPPED and bool(self.withdrawn or self.by))

    @property
    def stands(self) -> bool:
        """It was done, and is there still as far as anybody knows."""
        return self.state in (ReceiptState.DONE, ReceiptState.ADOPTED)

    @property
    def ours(self) -> bool:
        """This release did it, or may have: what was so before is not."""
        return self.state in (ReceiptState.DONE, ReceiptState.UNKNOWN)


class Unknown(msgspec.Struct, frozen=True):
    """The world cannot tell whether something was done; ``reason`` says why not."""

    reason: str


class Attempt(msgspec.Struct, frozen=True):
    """An action that is about to be tried. Without a receipt after it, what came of it is unknown."""

    key: str
    action: str
    at: datetime


class RecordState(StrEnum):
    """Where a release stands."""

    INTENDED = "intended"
    PARTIAL = "partial"
    FINISHED = "finished"
    ROLLED_BACK = "rolled-back"
    YANKED = "yanked"


class RecordedEvidence(msgspec.Struct, frozen=True):
    """A piece of evidence that was attached to ``subject`` when its release was finished: so an audit can miss it.

    ``kind`` is its type, ``tag`` the tag of cosign's that held it, `None` for a referrer.
    """

    subject: Digest
    digest: Digest
    kind: str
    tag: str | None = None


class RecordedVariant(msgspec.Struct, frozen=True):
    """One variant as it was released. ``contents`` names the list of packages kept in the ledger, if one was.

    ``evidence`` is what was attached to its image, its platforms and to evidence itself; `None` where nobody looked.
    """

    name: str
    reference: str
    digest: Digest | None
    previous_digest: Digest | None
    platforms: tuple[Platform, ...]
    revision: str | None
    contents: Digest | None = None
    evidence: tuple[RecordedEvidence, ...] | None = None


class Imported(msgspec.Struct, frozen=True):
    """Where a record was read from: relman did not make this release, and knows only what was published of it.

    ``origin`` is the kind of the source (`github`, `atom`, `json-feed`, `markdown`), ``file`` its name, ``url`` the
    release's page. ``sha256`` is the hash of the published text, in hex; ``not_read`` counts what could not be read.
    """

    origin: str
    file: str
    url: str | None
    sha256: str
    not_read: int = 0


class Withdrawal(msgspec.Struct, frozen=True):
    """Why a release no longer stands (rolled back, yanked): who said so, when, and why."""

    reason: str
    by: str
    at: datetime


class Lease(msgspec.Struct, frozen=True):
    """Who works on a release, and until when nobody else may. ``started`` tells a reused process id apart."""

    host: str
    process: int
    started: str | None
    until: datetime


class Record(msgspec.Struct, frozen=True):
    """A release: what was meant, what came of it, and where it stands. ``lease`` is set while somebody works on it.

    ``plan`` is `None` for a release that was imported, which had none. ``rollback`` is set where it is no new release
    but the way back to an earlier one, whose version it has; ``withdrawn`` where it was rolled back or yanked.
    ``elsewhere``: a run died in the middle of it whose journal was not at hand when it was taken over, so that anything
    that is not settled may have been tried.
    """

    id: str
    project: str
    stream: str
    version: str
    previous: str | None
    state: RecordState
    created: datetime
    finished: datetime | None
    plan: Digest | None
    variants: tuple[RecordedVariant, ...]
    gates: tuple[GateResult, ...] = ()
    overrides: tuple[Override, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    lease: Lease | None = None
    imported: Imported | None = None
    rollback: Rollback | None = None
    withdrawn: Withdrawal | None = None
    elsewhere: bool = False

    def __post_init__(self) -> None:
        if (self.plan is None) != (self.imported is not None):
            raise ValueError(f"`{self.version}` has either a plan or a place that it was imported from")

    @property
    def name(self) -> str:
        """The folder that it lies in, below its stream's: ``<version>-<id>``."""
        return f"{self.version}-{self.id}"

    def receipt(self, key: str) -> Receipt | None:
        """What is known of the action with this key."""
        return next((receipt for receipt in self.receipts if receipt.key == key), None)

    def variant(self, name: str) -> RecordedVariant | None:
        """The variant of that name, or `None` where the release had none."""
        return next((variant for variant in self.variants if variant.name == name), None)


def called(records: Iterable[Record], wanted: str) -> tuple[Record, ...]:
    """Those of ``records`` that a person may mean by ``wanted``: an id, a version or a name.

    A rollback has the version of the release that it went back to; by version that release is meant.
    """
    found = tuple(record for record in records if wanted in (record.id, record.version, record.name))
    return tuple(record for record in found if not record.rollback) or found
