"""A ledger in a branch of a git repository: every write is a commit that is pushed only where nobody was first.

The files of the branch are a folder on this machine, and all rules are those of `FolderLedger`. A write brings the
branch, changes the folder, commits and pushes; where another was first, it does so again with what that one left. So
the intent locks everybody who can push there, and two runs that begin at once are told apart by git.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from relman.errors import Malformed, Passing, RelmanError, Unequipped
from relman.ledger.disk import write_file
from relman.ledger.exchange import Exchange, Place
from relman.ledger.folder import FolderLedger
from relman.ledger.index import NOTES, index, notes_of
from relman.ledger.layout import Layout
from relman.ledger.session import FinishedSession
from relman.model.audit import BrokenRecord
from relman.model.holds import Hold
from relman.model.observed import Observations
from relman.model.oci import Digest
from relman.model.record import Lease, Record

log = logging.getLogger(__name__)

T = TypeVar("T")

MARGIN = timedelta(minutes=5)
"""How much of its lease a run has left, at least, before each action: with less it is written anew first."""
LOOK = 60.0
"""Seconds after which a run looks whether the branch still says that it holds the release."""
PATIENCE = 600.0
"""Seconds that one run on this machine waits for another that pushes."""

_ROUNDS = 20
_FAILURES = 3


def _nothing(_written: object) -> None:
    """What is left to do after most writes."""


class BranchLedger(FolderLedger):
    """The records in the branch at ``place``, which need not be there yet. See `relman.ledger.protocol.Ledger`.

    Nothing is asked of git before the first record is asked for or written. What is read is the branch as it was when
    this ledger was first used, or last written. ``clock`` tells by which time leases run: "now" may be another time
    for a release that is made again, and other machines do not know of that.
    """

    def __init__(self, place: Place, *, clock: Callable[[], datetime] | None = None, look: float = LOOK) -> None:
        self._place = place
        self._clock = clock
        self._look = look
        self._let_go: set[Lease] = set()
        self._seen_at: float | None = None

    @cached_property
    def _exchange(self) -> Exchange:
        return Exchange(self._place)

    @cached_property
    def _layout(self) -> Layout:  # type: ignore[override]  # found when it is needed: that takes a look at the checkout
        return Layout(self._exchange.tree, PATIENCE)

    # ---------------------------------------------------------------------------------------------- reading

    def records(self, stream: str | None = None) -> tuple[Record, ...]:
        """As in a folder. Raises `Passing` where the remote cannot be reached, `Unequipped` where it refuses."""
        return self._read(lambda: super(BranchLedger, self).records(stream))

    def plan_of(self, record: Record) -> bytes | None:
        """As in a folder."""
        return self._read(lambda: super(BranchLedger, self).plan_of(record))

    def changelog_of(self, record: Record) -> bytes | None:
        """As in a folder."""
        return self._read(lambda: super(BranchLedger, self).changelog_of(record))

    def contents(self, digest: Digest) -> bytes | None:
        """As in a folder."""
        return self._read(lambda: super(BranchLedger, self).contents(digest))

    def survey(self, stream: str) -> tuple[tuple[Record, ...], tuple[BrokenRecord, ...]]:
        """As in a folder."""
        return self._read(lambda: super(BranchLedger, self).survey(stream))

    def holds(self) -> tuple[Hold, ...]:
        """As in a folder."""
        return self._read(lambda: super(BranchLedger, self).holds())

    def observed(self) -> Observations:
        """As in a folder."""
        return self._read(lambda: super(BranchLedger, self).observed())

    def _finished_before(self, record: Record) -> FinishedSession | None:
        return self._read(lambda: super(BranchLedger, self)._finished_before(record))

    def _read(self, work: Callable[[], T]) -> T:
        """Do ``work`` while nobody on this machine changes the files, and with those of the branch."""
        with self._layout.writing():
            try:
                if self._seen_at is None:
                    self._update()
                return work()
            except Malformed as error:
                raise self._named(error) from error

    # ---------------------------------------------------------------------------------------------- writing

    def _write(self, message: str, change: Callable[[], T], then: Callable[[T], object] = _nothing) -> T:
        with self._layout.writing():
            try:
                written = self._pushed(message, change)
            except Malformed as error:
                self._take_back()
                raise self._named(error) from error
            except BaseException:
                self._take_back()
                raise
            then(written)
            return written

    def _take_back(self) -> None:
        """Let readers find nothing that nobody else can see."""
        try:
            self._exchange.restore()
        except RelmanError as error:
            log.debug("the files of the ledger are not restored", exc_info=error)
            self._seen_at = None  # whoever reads next brings them anew

    def _pushed(self, message: str, change: Callable[[], T]) -> T:
        sent: list[tuple[str, T]] = []
        failed = 0
        refusal: RelmanError | None = None
        for number in range(_ROUNDS):
            before = self._exchange.base
            self._update()
            for commit, written in sent:
                if self._exchange.has(commit):  # it had arrived: only the answer was lost
                    return written
            if self._exchange.base != before:
                failed = 0  # somebody was first, which is no failure
            elif refusal is not None and failed >= _FAILURES:
                raise refusal
            written = change()
            self._add_what_people_read()
            new = self._exchange.commit(message)
            if new is None:
                return written
            sent.append((new, written))
            refusal = self._exchange.push(new)
            if refusal is None:
                self._seen_at = time.monotonic()
                return written
            if isinstance(refusal, Unequipped):
                raise refusal
            failed += 1
            time.sleep(random.uniform(0.05, 0.2) * (number + 1))  # noqa: S311  so that two do not meet again
        raise Passing(f"others write the branch `{self._place.branch}` all the time: `{message}` was not written")

    def _update(self) -> None:
        self._exchange.update()
        self._seen_at = time.monotonic()

    def _moment(self, now: datetime) -> datetime:
        return self._clock() if self._clock else now

    def _is_due(self, lease: Lease, now: datetime) -> bool:
        """Whether the lease that the branch has must be renewed before an action, so that nobody takes over meanwhile.

        Time is told twice: by the clock, and by how long ago the branch was seen, which no clock that is set can hide.
        """
        if self._seen_at is not None and time.monotonic() - self._seen_at > self._look:
            try:
                with self._layout.writing():
                    self._update()  # whoever took over is then found in the files
            except Passing as error:  # the lease is ours by the clock: that no look is possible takes it from nobody
                log.debug("the branch cannot be looked at: %s", error)
        return lease.until - self._moment(now) < MARGIN  # last: a look may have taken its time

    def _add_what_people_read(self) -> None:
        """The index of all releases, and the notes of each whose plan has them."""
        try:
            found = [seen.record for seen in self._all(None)]
        except Malformed as error:
            log.warning("the index of releases is not written: %s", self._named(error))
            return
        for record in found:
            path = self._file(record, NOTES)
            if not path.exists() and (notes := notes_of(self._file(record, "plan.json"))):
                write_file(path, notes)
        with_notes = {record.name for record in found if self._file(record, NOTES).exists()}
        write_file(self._layout.root / "README.md", index(found, with_notes))

    def _named(self, error: Malformed) -> Malformed:
        """The same error with files named as git does, ``branch:path``: where they lie on this machine tells nobody."""
        text = error.message.replace(f"{self._layout.root}/", f"{self._place.branch}:")
        return type(error)(text, hint=error.hint)


def in_branch(checkout: Path, branch: str, remote: str | None) -> BranchLedger:
    """The ledger in ``branch`` of the checkout's ``remote``; see `Place`."""
    return BranchLedger(Place(checkout, branch, remote), clock=lambda: datetime.now(UTC))
