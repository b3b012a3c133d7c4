"""One run's hold on one release, in a ledger that is a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from relman.documents.record import RECORD_LIMIT, record_bytes, record_from_bytes
from relman.errors import Locked, RelmanError
from relman.ledger import store
from relman.ledger.disk import read_file, write_file
from relman.ledger.journal import Begin, Entry, Journal, line, merged
from relman.ledger.layout import Layout
from relman.ledger.lease import LEASE
from relman.model.record import Attempt, Lease, Receipt, Record, RecordedEvidence, RecordState

log = logging.getLogger(__name__)

_OVER = frozenset({RecordState.FINISHED, RecordState.ROLLED_BACK, RecordState.YANKED})


_ENDS = {
    RecordState.INTENDED: "stopped before any tag moved",
    RecordState.PARTIAL: "stopped, to be resumed",
    RecordState.ROLLED_BACK: "rolled back",
}
T = TypeVar("T")


class Write(Protocol):
    """How a session changes its ledger: see `FolderLedger._write`."""

    def __call__(self, message: str, change: Callable[[], T], then: Callable[[T], object] = ...) -> T:
        """Do ``change``, and ``then`` what must wait until it lasts."""


class Footing(msgspec.Struct, frozen=True):
    """What a session stands on in its ledger: where it lies, how it is written, when its lease has to be."""

    layout: Layout
    write: Write
    is_due: Callable[[Lease, datetime], bool]
    moment: Callable[[datetime], datetime]
    prune: Callable[[], object]
    let_go: Callable[[Lease], None]


class FolderSession:
    """See `relman.ledger.protocol.Session`. Made by `FolderLedger.begin`."""

    finished = False

    def __init__(
        self,
        footing: Footing,
        record: Record,
        begin: Begin,
        *,
        taken_over: Lease | None,
        reopened: bool = False,
    ) -> None:
        self._reopened = reopened
        self.taken_over = taken_over
        self._ledger = footing
        self._layout = footing.layout
        self._record = record
        self._begin = begin
        self._journal = Journal(footing.layout.journal(record.stream, record.name))
        self._noted: list[Entry] = [begin]
        self._unsent: list[Receipt] = []
        self._open = True

    @property
    def record(self) -> Record:
        """The release as it is known now."""
        return merged(self._record, (*self._noted, *self._unsent)) if self._open else self._record

    def attempt(self, attempt: Attempt) -> None:
        """Note that an action is about to be tried. Raises `Locked` where another run took over meanwhile."""
        self._must_be_open()
        if self._record.lease and self._ledger.is_due(self._record.lease, attempt.at):
            self._renew("lease renewed", self._record.state, attempt.at)
        with self._layout.writing():
            self._must_hold()
            self._send()
            self._note(attempt)

    def assure(self, *, now: datetime) -> None:
        """Make sure that this run still holds the release. Raises `Locked` where another run took over meanwhile."""
        self._must_be_open()
        if self._record.lease and self._ledger.is_due(self._record.lease, now):
            self._renew("lease renewed", self._record.state, now)
        with self._layout.writing():
            self._must_hold()
            self._send()

    def receipt(self, receipt: Receipt) -> None:
        """Note what came of an action; where the disk refuses, it is kept, and goes out with the next that is written.

        After another run took over, only what was really done is still noted: the rest is for that run to find out.
        """
        self._must_be_open()
        self._unsent.append(receipt)
        with self._layout.writing():
            if self._holds():
                self._send()
                return
            self._unsent.clear()
            if receipt.settled:
                self._journal.append(receipt)

    def tags_moved(self, *, now: datetime) -> None:
        """Write to the ledger that the tags are where they shall be: the record is `partial`, unless it was more."""
        self._must_be_open()
        if self._reopened:
            return
        self._renew("tags moved", RecordState.PARTIAL, now)

    def _renew(self, what: str, state: RecordState, now: datetime) -> None:
        def change() -> Record:
            self._must_hold()
            record = self._merged()
            lease = replace(record.lease, until=self._ledger.moment(now) + LEASE) if record.lease else None
            return self._put(replace(record, state=state, lease=lease))

        self._record = self._ledger.write(f"release: {self._record.version} {what}", change)

    def finish(
        self,
        state: RecordState,
        *,
        now: datetime,
        contents: Mapping[str, bytes] | None = None,
        evidence: Mapping[str, tuple[RecordedEvidence, ...]] | None = None,
        order: Sequence[str] = (),
    ) -> Record:
        """Write what became of the release, and let go of it. May be called again after it failed."""
        self._must_be_open()

        def change() -> Record:
            self._must_hold()
            record = self._put(_in_order(self._final(state, now, contents or {}, evidence or {}), order))
            self._prune_quietly()
            return record

        try:
            message = f"release: {self._record.version} {_ENDS.get(state, state)}"
            self._record = self._ledger.write(message, change, self._forget)
        except RelmanError:
            if self._record.lease:
                self._ledger.let_go(self._record.lease)
            raise
        return self._record

    def _forget(self, record: Record) -> None:
        """Let go of the journal: the ledger has it all. One that cannot be removed is swept up by a later release."""
        self._record, self._open = record, False
        try:
            self._journal.remove()
        except RelmanError as error:
            log.warning("the journal of `%s` was not removed: %s", record.name, error)

    def _final(
        self,
        state: RecordState,
        now: datetime,
        contents: Mapping[str, bytes],
        evidence: Mapping[str, tuple[RecordedEvidence, ...]],
    ) -> Record:
        kept = {variant: store.keep(self._layout, document) for variant, document in contents.items()}
        record = self._merged()
        return replace(
            record,
            state=state,
            finished=record.finished or (now if state in _OVER else None),
            variants=tuple(
                replace(v, contents=kept.get(v.name, v.contents), evidence=evidence.get(v.name, v.evidence))
                for v in record.variants
            ),
            lease=None,
        )

    def _prune_quietly(self) -> None:
        # The release is written: a broken record of another stream must not make it look failed.
        try:
            self._ledger.prune()
        except RelmanError as error:
            log.warning("lists of contents that nothing needs were not removed: %s", error)

    def _merged(self) -> Record:
        """The record with all that is noted, by this run and by a run that was taken over and answered late."""
        return merged(merged(self._record, self._journal.entries() or self._noted), (self._begin, *self._unsent))

    def _put(self, record: Record) -> Record:
        write_file(record_file(self._layout, record), record_bytes(record))
        return record

    def _send(self) -> None:
        while self._unsent:
            self._note(self._unsent[0])
            self._unsent.pop(0)

    def _note(self, entry: Entry) -> None:
        if self._journal.content() is None:
            self._journal.start(self._noted)  # somebody cleaned up beneath us
        self._journal.append(entry)
        self._noted.append(entry)

    def _holds(self) -> bool:
        """Whether the journal, where there is one, and the record are still this run's."""
        content = self._journal.content()
        if content is not None and not content.startswith(line(self._begin)):
            return False
        path = record_file(self._layout, self._record)
        stored = read_file(path, limit=RECORD_LIMIT)
        return stored is not None and self._begin.is_of(record_from_bytes(stored, what=f"`{path}`").lease)

    def _must_hold(self) -> None:
        if not self._holds():
            raise Locked(
                f"another run took over `{self._record.name}`: this one had been silent for too long",
                hint=f"`relman status {self._record.stream}` shows who works on it",
            )

    def _must_be_open(self) -> None:
        if not self._open:
            raise RelmanError(f"release `{self._record.name}` is finished: nothing more can be noted of it")


def _in_order(record: Record, order: Sequence[str]) -> Record:
    """Receipts as their actions stand in the plan: tags that move together are noted as they are answered."""
    place = {key: number for number, key in enumerate(order)}
    receipts = sorted(record.receipts, key=lambda receipt: place.get(receipt.key, len(place)))
    return replace(record, receipts=tuple(receipts))


class FinishedSession:
    """What `begin` answers for a release that was finished before: it holds nothing, and refuses to write."""

    finished = True
    taken_over: Lease | None = None

    def __init__(self, record: Record) -> None:
        self.record = record

    def attempt(self, attempt: Attempt) -> None:
        """Refuse."""
        raise self._refusal()

    def assure(self, *, now: datetime) -> None:
        """Refuse."""
        raise self._refusal()

    def receipt(self, receipt: Receipt) -> None:
        """Refuse."""
        raise self._refusal()

    def tags_moved(self, *, now: datetime) -> None:
        """Refuse."""
        raise self._refusal()

    def finish(
        self,
        state: RecordState,
        *,
        now: datetime,
        contents: Mapping[str, bytes] | None = None,
        evidence: Mapping[str, tuple[RecordedEvidence, ...]] | None = None,
        order: Sequence[str] = (),
    ) -> Record:
        """Refuse, except to finish what is finished."""
        if state is not RecordState.FINISHED:
            raise self._refusal()
        return self.record

    def _refusal(self) -> RelmanError:
        return RelmanError(f"release `{self.record.name}` was finished before: nothing more can be noted of it")


def record_file(layout: Layout, record: Record) -> Path:
    """Where the record lies."""
    return layout.record(record.stream, record.name) / "record.json"
