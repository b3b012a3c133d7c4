"""promote, publish, announce, finish: a plan's actions one by one, each attempt noted before, each receipt after.

What is settled is not done again. A lost answer is settled by reading, never by doing it again; where reading cannot
tell, it stays `unknown`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from relman.boundary import guarded
from relman.errors import AnswerLost, NotShown, PluginError, RelmanError
from relman.hookspecs import Executor
from relman.ledger.protocol import Session
from relman.model.plan import Action, Plan, Stage
from relman.model.record import Attempt, Receipt, ReceiptState, Record, RecordState, Unknown
from relman.model.streams import OnFailure

log = logging.getLogger(__name__)

TAGS = (Stage.PROMOTE, Stage.SEAL)
WAITS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""How long a registry may take to show what was written, in seconds: pauses between looks."""
UNFINISHED = (RecordState.INTENDED, RecordState.PARTIAL)


@dataclass(frozen=True, slots=True)
class Tools:
    """What actions are carried out with. ``reader`` and ``writer`` hand an executor what its kind of action needs.

    ``elsewhere``: a run died in the middle of this release whose journal is not here, so that what it tried is not
    known.
    """

    executors: Mapping[str, Executor[Any, Any]]
    reader: Callable[[Action, Executor[Any, Any]], Any]
    writer: Callable[[Action, Executor[Any, Any]], Any]
    clock: Callable[[], datetime]
    report: Callable[[Action, Receipt], None]
    elsewhere: bool = False
    filled: Callable[[Action, Record], Action] = lambda action, _: action
    """An action with what only its record can tell, just before it is tried."""
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of every action of a plan, in its order.

    ``stopped`` is the error that kept tags from moving; ``restored`` says that what had moved was put back.
    """

    receipts: tuple[Receipt, ...]
    state: RecordState
    stopped: RelmanError | None
    restored: bool = False


def act(plan: Plan, session: Session, tools: Tools, on_failure: OnFailure) -> Outcome:
    """Carry out what ``plan`` has left to do. An exception from outside (Ctrl-C, a full disk) passes through."""
    receipts: dict[str, Receipt] = {}
    stopped: RelmanError | None = None
    noted = False
    for action in plan.actions:
        if not noted and action.stage > Stage.SEAL and _settled(plan, receipts):
            session.tags_moved(now=tools.clock())
            noted = True
        known = session.record.receipt(action.key)
        if known and known.settled:
            receipts[action.key] = known
            continue
        why_not = _held_back(action, plan, receipts, stopped)
        if why_not:
            receipt = Receipt.of(action, ReceiptState.SKIPPED, detail=why_not)
        else:
            receipt, error = _carry_out(tools.filled(action, session.record), known, session, tools)
            if error and action.stage <= Stage.SEAL:
                stopped = error
        receipt = replace(receipt, at=tools.clock())
        session.receipt(receipt)
        receipts[action.key] = receipt
        tools.report(action, receipt)
    if not noted and _settled(plan, receipts):
        session.tags_moved(now=tools.clock())
    if stopped and on_failure is OnFailure.RESTORE:
        return _restore(plan, receipts, session, tools, stopped)
    return Outcome(tuple(receipts.values()), state_so_far(plan, receipts.values()), stopped)


def _carry_out(
    action: Action, known: Receipt | None, session: Session, tools: Tools
) -> tuple[Receipt, RelmanError | None]:
    """Try one action. The error comes back beside the `failed` receipt, for what it says of the exit code."""
    executor = tools.executors.get(action.kind)
    if executor is None:
        error: RelmanError = PluginError(f"no plugin carries out actions of the kind `{action.kind}`")
        return Receipt.of(action, ReceiptState.FAILED, detail=error.message), error
    # A dead run elsewhere may have tried again what the ledger last saw fail.
    tried = tools.elsewhere or (known is not None and known.state is ReceiptState.UNKNOWN)
    try:
        reader = tools.reader(action, executor)
        found = _guarded(executor.probe, action, reader)
        if isinstance(found, Receipt):
            if tried:  # it was this release that did it, so it is this release's to put back
                return replace(found, state=ReceiptState.DONE, detail="tried before; read back"), None
            return found, None
        if isinstance(found, Unknown) and tried:
            return Receipt.of(action, ReceiptState.UNKNOWN, detail=f"tried before, and {found.reason}"), None
        session.attempt(Attempt(action.key, action.target, tools.clock()))
        try:
            receipt = _guarded(executor.apply, action, tools.writer(action, executor))
        except AnswerLost as lost:
            return _after_lost_answer(action, executor, reader, lost, tools.sleep)
        try:
            _read_back(action, executor, receipt, reader, tools.sleep)
        except RelmanError as error:
            return _unknown(receipt, error)
    except RelmanError as error:
        log.debug("%s failed", action.target, exc_info=error)
        detail = error.message if error.hint is None else f"{error.message} ({error.hint})"
        return Receipt.of(action, ReceiptState.FAILED, detail=detail), error
    return receipt, None


def _read_back(
    action: Action, executor: Executor[Any, Any], receipt: Receipt, reader: Any, sleep: Callable[[float], None]
) -> None:
    """Raises what `verify` raises. What is not shown is asked for again: a registry of many machines answers late."""
    for pause in WAITS:
        try:
            _guarded(executor.verify, action, receipt, reader)
        except NotShown as error:
            log.debug("%s: looking again in %g s", error.message, pause)
            sleep(pause)
        else:
            return
    _guarded(executor.verify, action, receipt, reader)


def _after_lost_answer(
    action: Action, executor: Executor[Any, Any], reader: Any, lost: AnswerLost, sleep: Callable[[float], None]
) -> tuple[Receipt, RelmanError | None]:
    try:
        found = _guarded(executor.probe, action, reader)
        for pause in WAITS if executor.scope == "registry" else ():
            if found is not None:
                break
            sleep(pause)
            found = _guarded(executor.probe, action, reader)
    except RelmanError as error:
        return _unknown(Receipt.of(action, ReceiptState.UNKNOWN), error, lost)
    if isinstance(found, Receipt):
        return replace(found, state=ReceiptState.DONE, detail="the answer was lost; read back"), None
    if isinstance(found, Unknown):
        detail = f"{lost.message}; {found.reason}"
        return Receipt.of(action, ReceiptState.UNKNOWN, detail=detail), lost
    return Receipt.of(action, ReceiptState.FAILED, detail=f"{lost.message}; it did not take effect"), lost


def _unknown(receipt: Receipt, error: RelmanError, lost: RelmanError | None = None) -> tuple[Receipt, RelmanError]:
    """What was sent and could not be read back: neither done nor failed, and for the next run to settle."""
    detail = f"{lost.message}; {error.message}" if lost else error.message
    return replace(receipt, state=ReceiptState.UNKNOWN, detail=detail), error


def _guarded(call: Callable[..., Any], action: Action, *arguments: Any) -> Any:
    return guarded(f"`{action.target}` failed", call, action, *arguments)


def _held_back(action: Action, plan: Plan, receipts: Mapping[str, Receipt], stopped: RelmanError | None) -> str | None:
    """Why an action is not tried: what it needs is not done, or moving tags has stopped."""
    targets = {other.key: other.target for other in plan.actions}
    open_needs = [targets[key] for key in action.needs if not (key in receipts and receipts[key].settled)]
    if open_needs:
        return f"needs `{open_needs[0]}`"
    if stopped and action.stage <= Stage.SEAL:
        return "moving tags stopped before it"
    if action.stage > Stage.SEAL and not _settled(plan, receipts):
        return "the tags are not all moved"
    return None


def _settled(plan: Plan, receipts: Mapping[str, Receipt]) -> bool:
    """Whether everything up to the dated tags is done."""
    keys = [action.key for action in plan.actions if action.stage <= Stage.SEAL]
    return all(key in receipts and receipts[key].settled for key in keys)


def state_so_far(plan: Plan, known: Iterable[Receipt]) -> RecordState:
    """Where a release stands: finished once everything required is done, intended while no tag moved."""
    receipts = {receipt.key: receipt for receipt in known}
    settled = {key for key, receipt in receipts.items() if receipt.settled}
    if settled.issuperset(action.key for action in plan.actions if action.required):
        return RecordState.FINISHED
    tags = {action.key for action in plan.actions if action.stage in TAGS}
    touched = {key for key, receipt in receipts.items() if receipt.settled or receipt.state is ReceiptState.UNKNOWN}
    return RecordState.INTENDED if tags and not tags & touched else RecordState.PARTIAL


def state_after_exception(plan: Plan, known: Iterable[Receipt]) -> RecordState:
    """`state_so_far` where an exception came between. A rollback is over only once more than its actions is done."""
    state = state_so_far(plan, known)
    return RecordState.PARTIAL if plan.rollback and state is RecordState.FINISHED else state


def begun(known: Iterable[Receipt]) -> bool:
    """Whether anything was done, or may have been."""
    return any(receipt.settled or receipt.state is ReceiptState.UNKNOWN for receipt in known)


def _restore(plan: Plan, receipts: dict[str, Receipt], session: Session, tools: Tools, stopped: RelmanError) -> Outcome:
    """Put back what this release moved, the last first. What was so before stays."""
    whole = True
    for action in reversed(plan.actions):
        receipt = receipts[action.key]
        if action.stage in TAGS and receipt.state is ReceiptState.UNKNOWN:
            whole = False
        if action.stage not in TAGS or receipt.state is not ReceiptState.DONE:
            continue
        executor = tools.executors[action.kind]
        try:
            back = _guarded(executor.undo, action, receipt, tools.writer(action, executor))
        except RelmanError as error:
            back = None
            log.debug("undoing %s failed", action.target, exc_info=error)
        if back is None:
            whole = False
            continue
        detail = f"restored: {back.detail or 'put back'}"
        undone = replace(receipt, state=ReceiptState.SKIPPED, at=tools.clock(), detail=detail)
        session.receipt(undone)
        receipts[action.key] = undone
        tools.report(action, undone)
    return Outcome(tuple(receipts.values()), state_so_far(plan, receipts.values()), stopped, restored=whole)
