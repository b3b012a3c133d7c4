"""What relman asks of a ledger, wherever it lies: a folder, a branch of a git repository, a table in a test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from relman.model.audit import BrokenRecord
from relman.model.holds import Hold
from relman.model.observed import Observation, Observations
from relman.model.oci import Digest
from relman.model.record import Attempt, Lease, Receipt, Record, RecordedEvidence, RecordState, Withdrawal


class Session(Protocol):
    """One run's hold on one release, from the intent to the end.

    ``finished`` says that there is nothing to do: the release was finished before, and this session holds and writes
    nothing. ``taken_over`` is the lease of a run that died or fell silent, or `None`.
    """

    finished: bool
    taken_over: Lease | None

    @property
    def record(self) -> Record:
        """The release as it is known now: after a takeover with what the earlier run noted, open ends `unknown`.

        `Record.elsewhere` is set where that run's journal is not here: it may have tried what nobody here knows of.
        """

    def attempt(self, attempt: Attempt) -> None:
        """Note that an action is about to be tried; on disk when this returns, and the lease renewed.

        Raises `Locked` where another run took over meanwhile: then the action must not be tried.
        """

    def receipt(self, receipt: Receipt) -> None:
        """Note what came of an action; on disk when this returns, and the lease renewed.

        Where the disk refuses, the receipt is kept in memory and goes out with whatever is written next.
        """

    def assure(self, *, now: datetime) -> None:
        """Make sure that this run still holds the release, and will for what it does next.

        For what can be done twice, of which no attempt is noted. Raises `Locked` where another run took over.
        """

    def tags_moved(self, *, now: datetime) -> None:
        """Write to the ledger that the tags are where they shall be: the record is `partial`."""

    def finish(
        self,
        state: RecordState,
        *,
        now: datetime,
        contents: Mapping[str, bytes] | None = None,
        evidence: Mapping[str, tuple[RecordedEvidence, ...]] | None = None,
        order: Sequence[str] = (),
    ) -> Record:
        """Write what became of the release, and let go of it.

        ``contents`` are the `relman.contents/1` documents by variant, kept for the next diff, ``evidence`` what is
        attached to each variant's image, by variant, for audits; ``order`` the keys of the plan's actions.
        A finish that fails leaves all in the journal; it may be called again.
        """


class Ledger(Protocol):
    """Where records lie. Raises `Malformed`, naming the file, for anything in it that is broken."""

    def records(self, stream: str | None = None) -> tuple[Record, ...]:
        """All records, or a stream's, the newest first; with what this machine's journals know beyond them."""

    def record(self, wanted: str, stream: str | None = None) -> Record:
        """The record with this id, version or name (``<version>-<id>``). Raises `NotFound` with what comes close."""

    def plan_of(self, record: Record) -> bytes | None:
        """The plan that ``record`` carries out, checked against its digest; `None` where it has none (imported)."""

    def changelog_of(self, record: Record) -> bytes | None:
        """The `relman.changelog/1` of ``record``; `None` where it has none."""

    def begin(
        self, record: Record, plan: bytes, changelog: bytes, *, host: str, process: int, now: datetime
    ) -> Session:
        """Write the intent, which is also the lock of the stream.

        A release that was begun before goes on where it stopped. Raises `Locked` where another run holds the stream,
        `PartlyDone` where the same release was partly carried out by another plan.
        """

    def reopen(self, record: Record, *, host: str, process: int, now: datetime) -> Session:
        """Hold a release whose tags have moved, for receipts that come later: posts left out, edited, taken back.

        Its state stays as it is until the session's `finish`, which says what it is from then on. Raises `Locked` where
        another run holds the stream, `NotFound` where the record is gone.
        """

    def adopt(self, records: Sequence[tuple[Record, bytes]]) -> tuple[Record, ...]:
        """Take in finished releases that were not made here, each with its `relman.changelog/1`.

        Answers with those that were written: a release whose id or version its stream has already is left as it is.
        Each record is there whole or not at all; the lock is held for all of them.
        """

    def withdraw(self, record: Record, state: RecordState, why: Withdrawal, *, host: str, now: datetime) -> Record:
        """Write that a release no longer stands: ``state`` is `rolled-back` or `yanked`. Nothing is removed.

        Answers with the record as it is then. One that was yanked stays so, with its first reason, and one that is in
        that state already is left alone. Raises `Locked` where another run works on it, `NotFound` where it is gone.
        """

    def holds(self) -> tuple[Hold, ...]:
        """What nothing may enter; nothing where there is no hold."""

    def hold(self, hold: Hold) -> None:
        """Note ``hold``, instead of an earlier one of the same stream and variant."""

    def unhold(self, stream: str, variant: str | None = None) -> tuple[Hold, ...]:
        """Lift the holds of ``stream``, all or only that of ``variant``, and answer with those. None is no error."""

    def keep_contents(self, document: bytes) -> Digest:
        """Keep a `relman.contents/1` document; its digest is what records name it by."""

    def contents(self, digest: Digest) -> bytes | None:
        """A kept document, checked against ``digest``; `None` where it was not kept, or is no longer."""

    def survey(self, stream: str) -> tuple[tuple[Record, ...], tuple[BrokenRecord, ...]]:
        """A stream's records that can be read, the newest first, and those that cannot: for `relman audit`."""

    def observed(self) -> Observations:
        """What tags were seen to hold; nothing where nobody has looked yet."""

    def observe(self, seen: Iterable[Observation], *, known: Observations) -> tuple[Observation, ...]:
        """Note what is new in ``seen``, and answer with what was noted; nothing new writes nothing.

        ``known`` is what `observed` said before looking: of tags that another run has noted since, its word stands.
        """
