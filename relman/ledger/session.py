"""One run's hold on one release, in a ledger that is a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from relman.documents.record import RECORD_LIMIT, record_bytes, record_from_bytes
from relman.errors import Locked, RelmanError
from relman.ledger import store
from relman.ledger.disk import read_file, write_file
from relman.ledger.journal import Begin, Entry, Journal, line, merged
from relman.ledger.layout import Layout
from relman.ledger.lease import LEASE
from relman.model.record import Attempt, Lease, Receipt, Record, RecordState

log = logging.getLogger(__name__)

_OVER = frozenset({RecordState.FINISHED, RecordState.ROLLED_BACK, RecordState.YANKED})


class FolderSession:
    """See `relman.ledger.protocol.Session`. Made by `FolderLedger.begin`."""

    finished = False

    def __init__(
        self,
        layout: Layout,
        record: Record,
        begin: Begin,
        *,
        taken_over: Lease | None,
        prune: Callable[[], object],
        let_go: Callable[[Lease], None],
    ) -> None:
        self.taken_over = taken_over
        self._layout = layout
        self._record = record
        self._begin = begin
        self._prune = prune
        self._let_go = let_go
        self._journal = Journal(layout.journal(record.stream, record.name))
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
        with self._layout.writing():
            self._must_hold()
            self._send()
            self._note(attempt)

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
        """Write to the ledger that the tags are where they shall be: the record is `partial`."""
        self._must_be_open()
        with self._layout.writing():
            self._must_hold()
            record = self._merged()
            lease = replace(record.lease, until=now + LEASE) if record.lease else None
            self._write(replace(record, state=RecordState.PARTIAL, lease=lease))

    def finish(self, state: RecordState, *, now: datetime, contents: Mapping[str, bytes] | None = None) -> Record:
        """Write what became of the release, and let go of it. May be called again after it failed."""
        self._must_be_open()
        try:
            with self._layout.writing():
                self._must_hold()
                self._write(self._final(state, now, contents or {}))
                self._open = False
                self._journal.remove()
                self._prune_quietly()
        except RelmanError:
            if self._record.lease:
                self._let_go(self._record.lease)
            raise
        return self._record

    def _final(self, state: RecordState, now: datetime, contents: Mapping[str, bytes]) -> Record:
        kept = {variant: store.keep(self._layout, document) for variant, document in contents.items()}
        record = self._merged()
        return replace(
            record,
            state=state,
            finished=record.finished or (now if state in _OVER else None),
            variants=tuple(replace(v, contents=kept.get(v.name, v.contents)) for v in record.variants),
            lease=None,
        )

    def _prune_quietly(self) -> None:
        # The release is written: a broken record of another stream must not make it look failed.
        try:
            self._prune()
        except RelmanError as error:
            log.warning("lists of contents that nothing needs were not removed: %s", error)

    def _merged(self) -> Record:
        """The record with all that is noted, by this run and by a run that was taken over and answered late."""
        return merged(merged(self._record, self._journal.entries() or self._noted), (self._begin, *self._unsent))

    def _write(self, record: Record) -> None:
        write_file(record_file(self._layout, record), record_bytes(record))
        self._record = record

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
        """Whether the journal is still this run's; without one, whether the record still names its lease."""
        content = self._journal.content()
        if content is not None:
            return content.startswith(line(self._begin))
        path = record_file(self._layout, self._record)
        stored = read_file(path, limit=RECORD_LIMIT)
        return stored is not None and record_from_bytes(stored, what=f"`{path}`").lease == self._record.lease

    def _must_hold(self) -> None:
        if not self._holds():
            raise Locked(
                f"another run took over `{self._record.name}`: this one had been silent for too long",
                hint=f"`relman status {self._record.stream}` shows who works on it",
            )

    def _must_be_open(self) -> None:
        if not self._open:
            raise RelmanError(f"release `{self._record.name}` is finished: nothing more can be noted of it")


class FinishedSession:
    """What `begin` answers for a release that was finished before: it holds nothing, and refuses to write."""

    finished = True
    taken_over: Lease | None = None

    def __init__(self, record: Record) -> None:
        self.record = record

    def attempt(self, attempt: Attempt) -> None:
        """Refuse."""
        raise self._refusal()

    def receipt(self, receipt: Receipt) -> None:
        """Refuse."""
        raise self._refusal()

    def tags_moved(self, *, now: datetime) -> None:
        """Refuse."""
        raise self._refusal()

    def finish(self, state: RecordState, *, now: datetime, contents: Mapping[str, bytes] | None = None) -> Record:
        """Refuse, except to finish what is finished."""
        if state is not RecordState.FINISHED:
            raise self._refusal()
        return self.record

    def _refusal(self) -> RelmanError:
        return RelmanError(f"release `{self.record.name}` was finished before: nothing more can be noted of it")


def record_file(layout: Layout, record: Record) -> Path:
    """Where the record lies."""
    return layout.record(record.stream, record.name) / "record.json"
