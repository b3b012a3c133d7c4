"""One action of a plan, tried: looked at, done, read back.

A lost answer is settled by reading, never by doing it again; where reading cannot tell, it stays `unknown`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from relman.boundary import guarded
from relman.errors import AnswerLost, NotShown, PluginError, RelmanError
from relman.hookspecs import Executor
from relman.model.plan import Action
from relman.model.record import Attempt, Receipt, ReceiptState, Record, Unknown

log = logging.getLogger(__name__)

WAITS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""How long a registry may take to show what was written, in seconds: pauses between looks."""


class Tools(msgspec.Struct, frozen=True):
    """What actions are carried out with. ``reader`` and ``writer`` hand an executor what its kind of action needs."""

    executors: Mapping[str, Executor[Any, Any]]
    reader: Callable[[Action, Executor[Any, Any]], Any]
    writer: Callable[[Action, Executor[Any, Any]], Any]
    clock: Callable[[], datetime]
    report: Callable[[Action, Receipt], None]
    filled: Callable[[Action, Record], Action] = lambda action, _: action
    """An action with what only its record can tell, just before it is tried."""
    sleep: Callable[[float], None] = time.sleep


def carry_out(
    action: Action,
    *,
    tried: bool,
    fill: Callable[[Action], Action],
    attempt: Callable[[Attempt], None],
    tools: Tools,
) -> tuple[Receipt, RelmanError | None]:
    """Try one action. The error comes back beside the `failed` receipt, for what it says of the exit code.

    ``tried``: it may have happened before, in a try whose end nobody noted. ``fill`` completes the action where it is
    to be done, with what was not known when it was planned. ``attempt`` is told just before it is
    done; where that fails, it is not done.
    """
    executor = tools.executors.get(action.kind)
    if executor is None:
        error: RelmanError = PluginError(f"no plugin carries out actions of the kind `{action.kind}`")
        state = ReceiptState.UNKNOWN if tried else ReceiptState.FAILED
        return Receipt.of(action, state, detail=error.message), error
    looked = False
    try:
        reader = tools.reader(action, executor)
        found = _guarded(executor.probe, action, reader)
        looked = True
        if isinstance(found, Receipt):
            if tried:  # it was this release that did it, so it is this release's to put back
                return replace(found, state=ReceiptState.DONE, detail="tried before; read back"), None
            return found, None
        if isinstance(found, Unknown) and tried:
            return Receipt.of(action, ReceiptState.UNKNOWN, detail=f"tried before, and {found.reason}"), None
        action = fill(action)
        attempt(Attempt(action.key, action.target, tools.clock()))
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
        if tried and not looked:  # it may be there all the same: `failed` would let the next run send it again
            return Receipt.of(
                action, ReceiptState.UNKNOWN, detail=f"tried before, and not looked after: {detail}"
            ), error
        return Receipt.of(action, ReceiptState.FAILED, detail=detail), error
    return receipt, None


def put_back(action: Action, receipt: Receipt, tools: Tools) -> Receipt | None:
    """Undo what ``receipt`` says was done; `None` where there is no way back, or none just now."""
    executor = tools.executors[action.kind]
    try:
        back: Receipt | None = _guarded(executor.undo, action, receipt, tools.writer(action, executor))
    except RelmanError as error:
        log.debug("undoing %s failed", action.target, exc_info=error)
        return None
    return back


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
