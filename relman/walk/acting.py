"""promote, publish, announce: a plan's actions in their order, each attempt noted before, each receipt after.

What is settled is not done again. Tags of one stage move a few at a time, everything else one by one; after the first
failure among the tags nothing new is begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from threading import Lock

import msgspec
from msgspec.structs import replace

from relman.errors import RelmanError
from relman.ledger.protocol import Session
from relman.model.plan import Action, Plan, Stage
from relman.model.record import Attempt, Receipt, ReceiptState, RecordState
from relman.model.streams import OnFailure
from relman.walk.together import together
from relman.walk.trying import Tools, carry_out, put_back

TAGS = (Stage.PROMOTE, Stage.SEAL)
WORKERS = 4
"""How many tags move at once. So many may have moved, beside those before them, when one of them fails."""
UNFINISHED = (RecordState.INTENDED, RecordState.PARTIAL)


class Outcome(msgspec.Struct, frozen=True):
    """What came of every action of a plan, in its order.

    ``stopped`` is the error that kept tags from moving; ``restored`` says that what had moved was put back.
    """

    receipts: tuple[Receipt, ...]
    state: RecordState
    stopped: RelmanError | None
    restored: bool = False


def act(plan: Plan, session: Session, tools: Tools, on_failure: OnFailure) -> Outcome:
    """Carry out what ``plan`` has left to do. An exception from outside (Ctrl-C, a full disk) passes through."""
    run = _Run(plan, session, tools)
    noted = False
    for several in run.steps():
        if not noted and several[0].stage > Stage.SEAL and run.tags_are_settled:
            session.tags_moved(now=tools.clock())
            noted = True
        if len(several) == 1:
            run.settle(several[0])
        else:
            run.settle_together(several)
    if not noted and run.tags_are_settled:
        session.tags_moved(now=tools.clock())
    if run.stopped and on_failure is OnFailure.RESTORE:
        return run.restore()
    return run.outcome()


class _Stopped(Exception):
    """Nothing new is begun: another tag could not be moved, or the run is over."""


class _Run(msgspec.Struct):
    """What is known so far of the actions of one plan. Whatever changes here is changed under the lock."""

    plan: Plan
    session: Session
    tools: Tools
    receipts: dict[str, Receipt] = msgspec.field(default_factory=dict)
    failures: dict[str, RelmanError] = msgspec.field(default_factory=dict)
    lock: Lock = msgspec.field(default_factory=Lock)
    over: bool = False
    turns: list[Action] = msgspec.field(default_factory=list)
    """Of several at once, those whose turn to be told of has not come: people read them in the plan's order."""

    @property
    def stopped(self) -> RelmanError | None:
        """What kept tags from moving: of several failures that of the first action in the plan."""
        return next((self.failures[action.key] for action in self.plan.actions if action.key in self.failures), None)

    @property
    def tags_are_settled(self) -> bool:
        """Whether everything up to the dated tags is done."""
        keys = [action.key for action in self.plan.actions if action.stage <= Stage.SEAL]
        return all(key in self.receipts and self.receipts[key].settled for key in keys)

    def steps(self) -> Iterator[Sequence[Action]]:
        """Actions that may go together, in the plan's order. The first tag goes alone: it may show that none can."""
        settled = {receipt.key for receipt in self.session.record.receipts if receipt.settled}
        alone = next((one for one in self.plan.actions if self._is_concurrent(one) and one.key not in settled), None)
        for _, group in groupby(self.plan.actions, lambda one: (one.stage, self._is_concurrent(one), one is alone)):
            found = tuple(group)
            keys = {action.key for action in found}
            if self._is_concurrent(found[0]) and not any(keys.intersection(action.needs) for action in found):
                yield found
            else:
                yield from ((action,) for action in found)

    def _is_concurrent(self, action: Action) -> bool:
        executor = self.tools.executors.get(action.kind)
        return action.stage in TAGS and bool(getattr(executor, "concurrent", False))

    def settle_together(self, several: Sequence[Action]) -> None:
        """Settle actions a few at a time. What ends the run ends it for all: nobody notes anything after that."""
        self.turns = list(several)
        try:
            together(self.settle, several, WORKERS)
        except BaseException:
            with self.lock:
                self.over = True
            raise
        finally:
            self.turns = []

    def settle(self, action: Action) -> None:
        """Try an action that is not settled, unless something holds it back, and note what came of it."""
        with self.lock:
            known = self.session.record.receipt(action.key)
            if known and known.settled:
                self.receipts[action.key] = known
                self.turns = [turn for turn in self.turns if turn is not action]
                self._tell()
                return
            if (why_not := self._held_back(action)) is not None:
                self._note(action, _skipped(action, known, why_not))
                return
            record = self.session.record
        # A run elsewhere that died may have tried anything, also what the ledger last saw fail.
        tried = record.elsewhere or (known is not None and known.state is ReceiptState.UNKNOWN)
        try:
            receipt, error = carry_out(
                action,
                tried=tried,
                fill=lambda planned: self.tools.filled(planned, record),
                attempt=self._attempt,
                tools=self.tools,
            )
        except _Stopped as stopped:
            receipt, error = _skipped(action, known, str(stopped)), None
        with self.lock:
            if error and action.stage <= Stage.SEAL:
                self.failures[action.key] = error
            self._note(action, receipt)

    def _attempt(self, attempt: Attempt) -> None:
        with self.lock:
            if self.over or self.failures:
                raise _Stopped("moving tags stopped before it")
            self.session.attempt(attempt)

    def _note(self, action: Action, receipt: Receipt) -> None:
        if self.over:
            return
        receipt = replace(receipt, at=self.tools.clock())
        self.receipts[action.key] = receipt
        self.session.receipt(receipt)
        if not self.turns:
            self.tools.report(action, receipt)
        self._tell()

    def _tell(self) -> None:
        while self.turns and self.turns[0].key in self.receipts:
            turn = self.turns.pop(0)
            self.tools.report(turn, self.receipts[turn.key])

    def _held_back(self, action: Action) -> str | None:
        """Why an action is not tried: what it needs is not done, or moving tags has stopped."""
        targets = {other.key: other.target for other in self.plan.actions}
        done = {key for key, receipt in self.receipts.items() if receipt.settled}
        open_needs = [targets[key] for key in action.needs if key not in done]
        if open_needs:
            return f"needs `{open_needs[0]}`"
        if self.failures and action.stage <= Stage.SEAL:
            return "moving tags stopped before it"
        if action.stage > Stage.SEAL and not self.tags_are_settled:
            return "the tags are not all moved"
        return None

    def outcome(self, *, restored: bool = False) -> Outcome:
        """What came of it all."""
        receipts = tuple(self.receipts[action.key] for action in self.plan.actions)
        return Outcome(receipts, state_so_far(self.plan, receipts), self.stopped, restored)

    def restore(self) -> Outcome:
        """Put back what this release moved, the last first. What was so before stays."""
        whole = True
        for action in reversed(self.plan.actions):
            receipt = self.receipts[action.key]
            if action.stage in TAGS and receipt.state is ReceiptState.UNKNOWN:
                whole = False
            if action.stage not in TAGS or receipt.state is not ReceiptState.DONE:
                continue
            back = put_back(action, receipt, self.tools)
            if back is None:
                whole = False
                continue
            detail = f"restored: {back.detail or 'put back'}"
            self._note(action, replace(receipt, state=ReceiptState.SKIPPED, detail=detail))
        return self.outcome(restored=whole)


def _skipped(action: Action, known: Receipt | None, why_not: str) -> Receipt:
    """What is not tried this time. That an earlier try may have happened is not forgotten for that."""
    if known is not None and known.state is ReceiptState.UNKNOWN:
        return replace(known, detail=f"tried before, and not looked after: {why_not}")
    return Receipt.of(action, ReceiptState.SKIPPED, detail=why_not)


def state_so_far(plan: Plan, known: Iterable[Receipt]) -> RecordState:
    """Where a release stands: finished once everything required is done, intended while it moved no tag."""
    receipts = {receipt.key: receipt for receipt in known}
    settled = {key for key, receipt in receipts.items() if receipt.settled}
    if settled.issuperset(action.key for action in plan.actions if action.required):
        return RecordState.FINISHED
    tags = {action.key for action in plan.actions if action.stage in TAGS}
    ours = {key for key, receipt in receipts.items() if receipt.ours}
    return RecordState.INTENDED if tags and not tags & ours else RecordState.PARTIAL


def state_after_exception(plan: Plan, known: Iterable[Receipt]) -> RecordState:
    """`state_so_far` where an exception came between. A rollback is over only once more than its actions is done."""
    state = state_so_far(plan, known)
    return RecordState.PARTIAL if plan.rollback and state is RecordState.FINISHED else state


def begun(known: Iterable[Receipt]) -> bool:
    """Whether this release did anything, or may have."""
    return any(receipt.ours for receipt in known)
