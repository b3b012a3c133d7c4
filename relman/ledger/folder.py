"""A ledger in a folder: a folder a record, what is machine-local beside them (docs/contract: Records).

Only this file system is locked: two machines need a ledger in a branch.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from relman.documents.reading import PLAN_LIMIT
from relman.documents.record import record_bytes
from relman.documents.values import rfc3339
from relman.errors import DigestMismatch, Locked, NotFound, PartlyDone, RelmanError
from relman.ledger import store
from relman.ledger.disk import make_folder, read_file, sync_folder, touching, write_file
from relman.ledger.journal import Begin, Journal
from relman.ledger.lease import is_held, take
from relman.ledger.reading import FolderReading, Seen
from relman.ledger.session import FinishedSession, FolderSession, Footing, record_file
from relman.model.holds import Hold, with_hold
from relman.model.observed import Observation, Observations, changes
from relman.model.oci import Digest
from relman.model.record import Lease, Record, RecordState, Withdrawal

T = TypeVar("T")

_UNFINISHED = frozenset({RecordState.INTENDED, RecordState.PARTIAL})


def _nothing(_written: object) -> None:
    """What is left to do after most writes."""


class _Taken(msgspec.Struct, frozen=True):
    """A release that this run has now, from whom, and the journals whose content the ledger has now."""

    begin: Begin
    record: Record
    taken_over: Lease | None
    absorbed: tuple[tuple[Journal, bytes], ...]


class FolderLedger(FolderReading):
    """The records below ``root``, which need not be there yet. See `relman.ledger.protocol.Ledger`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._let_go: set[Lease] = set()

    def begin(
        self, record: Record, plan: bytes, changelog: bytes, *, host: str, process: int, now: datetime
    ) -> FolderSession | FinishedSession:
        """Write the intent, which is also the lock of the stream. See `relman.ledger.protocol.Ledger.begin`."""
        if record.plan is None:
            raise RelmanError(f"`{record.name}` was imported: there is nothing to carry out")
        if Digest.of(plan, record.plan.algorithm) != record.plan:
            raise DigestMismatch(f"the plan is not `{record.plan.short}`, which the record of `{record.name}` names")
        # What is finished is left alone, also where nothing may be written.
        if (over := self._finished_before(record)) is not None:
            return over

        def take() -> _Taken | FinishedSession:
            return self._take(record, plan, changelog, host=host, process=process, now=self._moment(now))

        taken = self._write(f"release: {record.version} begun", take, self._settle)
        if isinstance(taken, FinishedSession):
            return taken
        footing = Footing(self._layout, self._write, self._is_due, self._moment, self._prune, self._let_go.add)
        return FolderSession(footing, taken.record, taken.begin, taken_over=taken.taken_over)

    def reopen(self, record: Record, *, host: str, process: int, now: datetime) -> FolderSession:
        """Hold a release for receipts that come later. See `relman.ledger.protocol.Ledger.reopen`."""

        def take_again() -> _Taken:
            moment = self._moment(now)
            self._sweep(record.stream)
            seen = self._all(record.stream)
            for each in seen:
                self._refuse_if_held(each, host=host, now=moment)
            this = next((each for each in seen if each.record.id == record.id), None)
            if this is None:
                raise NotFound(f"the record `{record.name}` is no longer in `{self._layout.root}`")
            absorbed = tuple(journal for each in seen for journal in self._absorb(each))
            lease = take(host, process, moment)
            held = replace(this.record, lease=lease, elsewhere=this.elsewhere)
            write_file(record_file(self._layout, held), record_bytes(held))
            begin = Begin(secrets.token_hex(8), host, process, lease.started, moment)
            return _Taken(begin, held, this.stored.lease, absorbed)

        taken = self._write(f"release: {record.version} reopened", take_again, self._settle)
        footing = Footing(self._layout, self._write, self._is_due, self._moment, self._prune, self._let_go.add)
        return FolderSession(
            footing,
            taken.record,
            taken.begin,
            taken_over=taken.taken_over,
            reopened=True,
        )

    def _finished_before(self, record: Record) -> FinishedSession | None:
        seen = self._see(self._layout.record(record.stream, record.name))
        return _over([seen], record.id) if seen is not None else None

    def _write(self, message: str, change: Callable[[], T], then: Callable[[T], object] = _nothing) -> T:
        """Change the ledger, as the only one who writes; every write of it goes through here.

        ``message`` says what for. ``change`` writes files, and may be done more than once, each time to a ledger as it
        is then. ``then`` does, once the change will last, what must not be done before: to forget what it has now.
        """
        with self._layout.writing():
            written = change()
            then(written)
            return written

    def _moment(self, now: datetime) -> datetime:
        """The time by which leases run, where a run says that it is ``now``."""
        return now

    def _is_due(self, lease: Lease, now: datetime) -> bool:
        """Whether a run has to write its lease anew to be sure of it: in a folder, its journal renews it."""
        return False

    def _take(
        self, record: Record, plan: bytes, changelog: bytes, *, host: str, process: int, now: datetime
    ) -> _Taken | FinishedSession:
        self._sweep(record.stream)
        seen = self._all(record.stream)
        if (over := _over(seen, record.id)) is not None:
            return over
        for each in seen:
            self._refuse_if_held(each, host=host, now=now)
        earlier = next((each for each in seen if each.record.id == record.id), None)
        absorbed = [journal for each in seen if each is not earlier for journal in self._absorb(each)]
        lease = take(host, process, now)
        if earlier is not None and earlier.record.plan == record.plan and earlier.record.name == record.name:
            intent = replace(
                earlier.record,
                gates=record.gates or earlier.record.gates,
                overrides=record.overrides or earlier.record.overrides,
                lease=lease,
                elsewhere=earlier.elsewhere,
            )
            self._rewrite(intent, plan, changelog)
        else:
            intent = replace(record, state=RecordState.INTENDED, finished=None, lease=lease)
            before = replace(earlier.record, elsewhere=earlier.elsewhere) if earlier else None
            self._create(intent, plan, changelog, instead_of=before)
            if earlier is not None and earlier.record.name != intent.name:
                absorbed += self._journal_of(earlier.record)
        begin = Begin(secrets.token_hex(8), host, process, lease.started, now)
        taken_over = earlier.record.lease if earlier else None
        return _Taken(begin, intent, taken_over, tuple(absorbed))

    def _settle(self, taken: _Taken | FinishedSession) -> None:
        """Forget the journals that the ledger has now, and begin that of this run."""
        if isinstance(taken, FinishedSession):
            return
        try:
            _forget(taken.absorbed)
            Journal(self._layout.journal(taken.record.stream, taken.record.name)).start([taken.begin])
        except RelmanError:
            if taken.record.lease:
                self._let_go.add(taken.record.lease)
            raise

    def adopt(self, records: Sequence[tuple[Record, bytes]]) -> tuple[Record, ...]:
        """Take in finished releases that were not made here. See `relman.ledger.protocol.Ledger.adopt`."""
        return self._write("records imported", lambda: self._adopt(records))

    def _adopt(self, records: Sequence[tuple[Record, bytes]]) -> tuple[Record, ...]:
        written: list[Record] = []
        known: dict[str, set[str]] = {}
        for record, changelog in records:
            if record.stream not in known:
                self._sweep(record.stream)
                there = [seen.record for seen in self._all(record.stream)]
                known[record.stream] = {name for each in there for name in (each.id, each.version)}
            names = known[record.stream]
            if record.id not in names and record.version not in names:
                self._create(record, None, changelog, instead_of=None)
                names |= {record.id, record.version}
                written.append(record)
        return tuple(written)

    def _refuse_if_held(self, seen: Seen, *, host: str, now: datetime) -> None:
        lease, since = seen.record.lease, seen.since
        if lease is None or since is None or seen.stored.lease in self._let_go:
            return
        if is_held(lease, host=host, now=now):
            raise Locked(
                f"stream `{seen.record.stream}` is held by process {lease.process} on `{lease.host}`, which works on "
                f"`{seen.record.name}` since {rfc3339(since)}",
                hint=f"wait for it, or end it; if it stays silent it is taken over after {rfc3339(lease.until)}",
            )

    def _absorb(self, seen: Seen) -> list[tuple[Journal, bytes]]:
        """Write what a run left in its journal into the record, and take the record out of its hands."""
        if seen.stored.lease is None and not seen.entries:
            return []
        record = replace(seen.record, lease=None, elsewhere=seen.elsewhere)
        if record != seen.stored:
            write_file(record_file(self._layout, record), record_bytes(record))
        return self._journal_of(record)

    def _journal_of(self, record: Record) -> list[tuple[Journal, bytes]]:
        journal = Journal(self._layout.journal(record.stream, record.name))
        content = journal.content()
        return [(journal, content)] if content is not None else []

    def _rewrite(self, record: Record, plan: bytes, changelog: bytes) -> None:
        for name, content in (("plan.json", plan), ("changelog.json", changelog)):
            path = self._file(record, name)
            if read_file(path, limit=PLAN_LIMIT) != content:
                write_file(path, content)
        write_file(record_file(self._layout, record), record_bytes(record))

    def _create(self, record: Record, plan: bytes | None, changelog: bytes, *, instead_of: Record | None) -> None:
        """Lay down a record's folder at once; ``instead_of`` is the same release by a plan that came to nothing."""
        if instead_of is not None and _came_to_something(instead_of):
            raise PartlyDone(
                f"release `{record.id}` was begun as `{instead_of.name}` by another plan, and some of it is done",
                hint=f"`relman resume {instead_of.name}` finishes it",
            )
        folder = self._layout.record(record.stream, record.name)
        fresh = folder.with_name(f".new-{record.name}")
        make_folder(fresh)
        for name, content in (
            ("plan.json", plan),
            ("changelog.json", changelog),
            ("record.json", record_bytes(record)),
        ):
            if content is not None:
                write_file(fresh / name, content)
        with touching(folder):
            if instead_of is not None:
                self._layout.record(record.stream, instead_of.name).rename(folder.with_name(f".old-{instead_of.name}"))
            fresh.rename(folder)
            sync_folder(folder.parent)
        if instead_of is not None:
            self._sweep(record.stream)

    def _sweep(self, stream: str) -> None:
        """Remove what a killed run left half-made. Nothing there was ever acted upon."""
        folder = self._layout.stream(stream)
        with touching(folder):
            for pattern in (".new-*", ".old-*"):
                for path in folder.glob(pattern):
                    shutil.rmtree(path)

    def withdraw(self, record: Record, state: RecordState, why: Withdrawal, *, host: str, now: datetime) -> Record:
        """Write that a release no longer stands. See `relman.ledger.protocol.Ledger.withdraw`."""
        message = f"{state}: {record.version}"

        def change() -> tuple[Record, list[tuple[Journal, bytes]]]:
            seen = self._see(self._layout.record(record.stream, record.name))
            if seen is None:
                raise NotFound(f"the record `{record.name}` is no longer in `{self._layout.root}`")
            if seen.record.state in (state, RecordState.YANKED):
                return seen.record, []
            self._refuse_if_held(seen, host=host, now=now)
            absorbed = self._absorb(seen)
            withdrawn = replace(seen.record, state=state, withdrawn=why, lease=None)
            write_file(record_file(self._layout, withdrawn), record_bytes(withdrawn))
            return withdrawn, absorbed

        return self._write(message, change, lambda made: _forget(made[1]))[0]

    def hold(self, hold: Hold) -> None:
        """Note ``hold``, instead of an earlier one of the same stream and variant."""
        self._layout.stream(hold.stream)

        def change() -> None:
            known = self._holds.read()
            if hold not in known:
                self._holds.write(with_hold(known, hold))

        self._write(f"hold: {hold.stream}", change)

    def unhold(self, stream: str, variant: str | None = None) -> tuple[Hold, ...]:
        """Lift the holds of ``stream``. See `relman.ledger.protocol.Ledger.unhold`."""

        def lifted(hold: Hold) -> bool:
            return hold.stream == stream and variant in (None, hold.variant)

        def change() -> tuple[Hold, ...]:
            known = self._holds.read()
            gone = tuple(filter(lifted, known))
            if gone:
                self._holds.write(tuple(hold for hold in known if hold not in gone))
            return gone

        return self._write(f"unhold: {stream}", change) if any(map(lifted, self.holds())) else ()

    def observe(self, seen: Iterable[Observation], *, known: Observations) -> tuple[Observation, ...]:
        """Note what is new in ``seen``. See `relman.ledger.protocol.Ledger.observe`."""
        seen = tuple(seen)
        if not changes(self.observed(), seen, known=known):
            return ()
        return self._write("what the streams hold", lambda: self._observe(seen, known))

    def _observe(self, seen: Sequence[Observation], known: Observations) -> tuple[Observation, ...]:
        new = changes(self._observed.read(), seen, known=known)
        if new:
            self._observed.append(new)
        return new

    def keep_contents(self, document: bytes) -> Digest:
        """Keep a `relman.contents/1` document; its digest is what records name it by."""
        return self._write("contents kept", lambda: store.keep(self._layout, document))

    def prune(self) -> tuple[Digest, ...]:
        """Remove the lists of contents that no current, previous or unfinished release names; answers with those."""
        return self._write("contents removed that nothing needs", self._prune)

    def _prune(self) -> tuple[Digest, ...]:
        return store.prune(self._layout, _wanted(seen.record for seen in self._all(None)))


def _forget(journals: Iterable[tuple[Journal, bytes]]) -> None:
    """Remove journals whose content is in the ledger now, unless somebody went on writing them."""
    for journal, content in journals:
        if journal.content() == content:
            journal.remove()


def _over(seen: Iterable[Seen], id: str) -> FinishedSession | None:
    """A session that holds nothing, where the release with this id is finished. Raises where it was taken back."""
    earlier = next((each.record for each in seen if each.record.id == id), None)
    if earlier is None or earlier.state in _UNFINISHED:
        return None
    if earlier.state is RecordState.FINISHED:
        return FinishedSession(earlier)
    raise RelmanError(
        f"release `{earlier.name}` is {earlier.state}: it cannot be carried out again",
        hint="build again, and plan a release of that build",
    )


def _came_to_something(record: Record) -> bool:
    return record.elsewhere or any(receipt.ours for receipt in record.receipts)


def _wanted(records: Iterable[Record]) -> set[Digest]:
    wanted: set[Digest] = set()
    finished: dict[str, int] = {}
    for record in records:
        if record.state is RecordState.FINISHED:
            finished[record.stream] = finished.get(record.stream, 0) + 1
        if record.state in _UNFINISHED or (record.state is RecordState.FINISHED and finished[record.stream] <= 2):
            wanted |= {variant.contents for variant in record.variants if variant.contents is not None}
    return wanted
