"""The contract of executors, as a test that plugins run over their own.

    from relman.testing.executors import RULES, channel_trial

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_the_board_keeps_the_contract(rule, tmp_path):
        @contextmanager
        def make():
            with Board() as board, channel_trial(
                relman_board,
                f'[[announce]]\\ntype = "board"\\nurl = "{board.url}"\\ntoken = {{ env = "TOKEN" }}\\n',
                folder=tmp_path / uuid4().hex, environ={"TOKEN": "composed-token"}, effects=lambda: len(board.messages),
            ) as trial:
                yield trial

        rule(make)

Every rule makes as many worlds as it needs, each new, and raises `AssertionError` with what was broken. Where a lost
answer can be settled by asking, there is one post in the end; where not, the action stays `unknown`, with a reason.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeAlias
from urllib.parse import quote

from msgspec.structs import replace

from relman.documents.plan import plan_bytes, plan_from_bytes
from relman.errors import AnswerLost, RelmanError
from relman.hookspecs import HttpResponse
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.redaction import redact
from relman.testing.trials import RELEASE, Blow, Killed, Struck, Trial, channel_trial, registry_trial, with_other_text
from relman.walk.acting import Outcome

__all__ = ["RULES", "Blow", "Killed", "Trial", "channel_trial", "registry_trial", "with_other_text"]

Make: TypeAlias = Callable[[], AbstractContextManager[Trial]]
Rule: TypeAlias = Callable[[Make], None]

REFUSALS = (400, 401, 403, 404, 413, 422, 429, 500, 503)
"""Statuses of services that did nothing."""
_MOST_WRITES = 40


# -------------------------------------------------------------------------------------------------- planning


def planning_writes_nothing(make: Make) -> None:
    """Planned twice, asked after and described, and there is nothing in the world."""
    with make() as trial:
        before = trial.effects()
        trial.plan()
        for action in trial.planned.actions:
            executor = trial.executor(action)
            found = executor.probe(action, trial.reader(action))
            _require(not isinstance(found, Receipt), f"`{action.target}` was found done before anything was done")
            _require(not isinstance(found, Unknown) or bool(found.reason.strip()), "`Unknown` without a reason")
            said = executor.describe(action)
            _require(said.strip() != "" and said.isprintable(), f"it is described in no line for people: {said!r}")
        _require(trial.effects() == before, "planning, asking or describing changed the world")


def a_plan_is_data(make: Make) -> None:
    """Planned again it is the same, a file gives it back whole, and no secret is in it."""
    with make() as trial:
        planned = trial.planned
        _require(planned.actions != (), "it plans nothing")
        again = {action.key: replace(action, required=True) for action in trial.plan()}
        _require(again == {action.key: action for action in planned.actions}, "planned again it differs")
        content = plan_bytes(planned)
        _require(plan_from_bytes(content).actions == planned.actions, "a saved plan does not give the actions back")
        _require_clean(trial, [content.decode()])


# ---------------------------------------------------------------------------------------------------- acting


def done_once_it_is_there_once(make: Make) -> None:
    """Everything is done, read back, and there once."""
    with make() as trial:
        outcome = _ran(trial)
        for receipt in outcome.receipts:
            _require(receipt.state is ReceiptState.DONE, f"`{receipt.action}` is {receipt.state}: {receipt.detail}")
        _require_effects(trial, exactly=True)
        _require(bool(trial.expected) <= bool(_writes(make)), "nothing was written, or it was written past the writer")


def done_again_it_is_there_once(make: Make) -> None:
    """A finished release carried out again does nothing, and whoever asks the service later is told."""
    with make() as trial:
        receipts = {receipt.key: receipt for receipt in _ran(trial).receipts}
        _require(trial.run() is None, "carried out again there was still something to do")
        for action in trial.planned.actions if trial.expected else ():
            found = trial.executor(action).probe(action, trial.reader(action))
            _require(found is not None, f"`{action.target}` was done, and `probe` says that it was not")
            if isinstance(found, Receipt):
                _require(found.state is ReceiptState.ADOPTED, f"`probe` of `{action.target}` answers {found.state}")
                same = found.remote_id == receipts[action.key].remote_id
                _require(same, f"`{action.target}`: `probe` finds `{found.remote_id}`, which is not what was made")
        _require_effects(trial, exactly=True)


def killed_anywhere_it_is_there_once(make: Make) -> None:
    """Killed before a request, between request and answer, and before the receipt; run again here and elsewhere."""
    for blow in (*_blows(make, _kill), Blow(0, True, _kill)):
        for elsewhere in (False, True):
            with make() as trial:
                with suppress(Killed):
                    trial.run(blow)
                if elsewhere:
                    trial.lose_journal()
                _require_settled(trial, _last(trial), f"killed {_when(blow)}{' and run elsewhere' * elsewhere}")


def an_answer_that_is_lost_is_settled(make: Make) -> None:
    """A time-out before or after the service did it: one post in the end, or `unknown` with a reason."""
    for blow in _blows(make, _lose):
        with make() as trial:
            trial.run(blow)
            _require(trial.effects() <= trial.expected, f"the answer lost {_when(blow)}, it was done twice at once")
            _require_settled(trial, _last(trial), f"the answer lost {_when(blow)}")


def refused_it_is_not_done_and_can_be_done_later(make: Make) -> None:
    """A service that refuses, and repeats in its answer all that it was sent, tries nobody's secrets."""
    for status in REFUSALS:
        for blow in _blows(make, lambda *sent, status=status: _refusal(status, *sent)):
            if blow.after:
                continue
            with make() as trial:
                outcome = trial.run(blow)
                done = outcome is not None and all(receipt.settled for receipt in outcome.receipts)
                _require(not done or trial.effects() == trial.expected, f"an answer of {status} was taken for success")
                _require_outputs_clean(trial)
                _require_settled(trial, _last(trial), f"refused by {status} {_when(blow)}")


# ----------------------------------------------------------------------------------------- edit and withdraw


def edited_twice_it_is_there_once(make: Make) -> None:
    """`edit` changes what is there, adds nothing, and can be asked for again, also where its answer was lost."""
    with make() as trial:
        receipts = _done(trial)
        editing = [a for a in trial.planned.actions if _edited(trial, a, receipts[a.key]) is not None]
        _require_effects(trial, exactly=True)
        for action in editing:
            changed, receipt = trial.changed(action), receipts[action.key]
            again = _edited(trial, action, receipt)
            _require(again is not None, f"`{action.target}` was edited once, and not again")
            assert again is not None
            _require(again.remote_id == receipt.remote_id, f"`{action.target}`: edited, it has another `remote_id`")
            trial.executor(action).verify(changed, again, trial.reader(action))
        _require_effects(trial, exactly=True)
    for action in editing:
        _interrupted(make, action, "edit")


def withdrawn_twice_is_withdrawn(make: Make) -> None:
    """`undo` takes back, or says that it cannot, and can be asked for again, also where its answer was lost."""
    with make() as trial:
        receipts = _done(trial)
        actions = trial.planned.actions
        undone = [a for a in actions if _call(trial, "undo", a, receipts[a.key], None) is not None]
        for action in undone:
            _call(trial, "undo", action, receipts[action.key], None)
        _require_effects(trial, exactly=not undone)
    for action in undone:
        _interrupted(make, action, "undo")


# ------------------------------------------------------------------------------------------------------ talk


def no_secret_is_in_any_output(make: Make) -> None:
    """Not in the plan, the record, the journal, the log, what is said of it, nor in what errors say."""
    with make() as trial:
        receipts = _done(trial)
        for action in trial.planned.actions:
            for name in ("edit", "undo"):
                with trial.listening():
                    _call(trial, name, trial.changed(action), receipts[action.key], None)
        _require_outputs_clean(trial)
    for blow in (*_blows(make, _lose), *_blows(make, _unreachable)):
        with make() as trial:
            trial.run(blow)
            _require_outputs_clean(trial)


RULES: tuple[Rule, ...] = (
    planning_writes_nothing,
    a_plan_is_data,
    done_once_it_is_there_once,
    done_again_it_is_there_once,
    killed_anywhere_it_is_there_once,
    an_answer_that_is_lost_is_settled,
    refused_it_is_not_done_and_can_be_done_later,
    edited_twice_it_is_there_once,
    withdrawn_twice_is_withdrawn,
    no_secret_is_in_any_output,
)
"""All of the contract."""


# --------------------------------------------------------------------------------------------------- striking


def _kill(*_sent: object) -> object:
    raise Killed


def _lose(*sent: object) -> object:
    raise AnswerLost(f"no answer came to `{_words(sent)}`")


def _unreachable(*sent: object) -> object:
    raise RelmanError(f"cannot reach `{_words(sent)}`", hint=f"is `{_words(sent)}` right?")


def _refusal(status: int, arguments: tuple[object, ...], named: Mapping[str, object]) -> object:
    """What a service answers that refuses, and gives away all that it was sent; for another writer an error."""
    words = _words((arguments, named))
    if len(arguments) >= 2 and isinstance(arguments[1], str) and arguments[1].startswith("http"):
        body = json.dumps({"ok": False, "error": f"refused: {words}", "message": words}).encode()
        return HttpResponse(status, {"content-type": "application/json"}, body)
    raise RelmanError(f"refused: {words}")


def _words(sent: object) -> str:
    match sent:
        case bytes():
            return sent.decode(errors="replace")
        case Mapping():
            return " ".join(f"{name}: {_words(value)}" for name, value in sent.items())
        case tuple() | list():
            return " ".join(map(_words, sent))
        case _:
            return str(sent)


def _writes(make: Make) -> int:
    """How many writes a run makes that nothing strikes."""
    counted: list[int] = []
    with make() as trial:
        trial.run(Blow(-1, False, lambda *_: None))
        counted.append(trial.tallied)
    _require(counted[0] <= _MOST_WRITES, f"one release takes {counted[0]} writes, more than {_MOST_WRITES}")
    return counted[0]


def _blows(make: Make, strike: Callable[..., object]) -> Iterator[Blow]:
    for number in range(1, _writes(make) + 1):
        yield Blow(number, False, strike)
        yield Blow(number, True, strike)


def _when(blow: Blow) -> str:
    if blow.number == 0:
        return "before the receipt was noted"
    return f"{'after' if blow.after else 'before'} write {blow.number}"


def _call(trial: Trial, name: str, action: Action, receipt: Receipt, blow: Blow | None) -> Receipt | None:
    """`edit` or `undo` of an executor; `None` also where it has no such thing."""
    call = getattr(trial.executor(action), name, None)
    if call is None:
        return None
    with trial.struck(blow) as tally:
        try:
            answer = call(action, receipt, Struck(trial.writer(action), tally))
        except AnswerLost:
            raise
        except RelmanError as error:
            raise AssertionError(f"`{action.target}`: its `{name}` failed: {error.message}") from error
        finally:
            trial.tallied = tally.count
    return answer if isinstance(answer, Receipt) else None


def _edited(trial: Trial, action: Action, receipt: Receipt) -> Receipt | None:
    return _call(trial, "edit", trial.changed(action), receipt, None)


def _interrupted(make: Make, action: Action, name: str) -> None:
    """Whatever answer was lost, it can be asked for again."""
    number = 1
    while True:
        for after in (False, True):
            with make() as trial:
                receipt = _done(trial)[action.key]
                changed = trial.changed(action) if name == "edit" else action
                with suppress(AnswerLost):
                    _call(trial, name, changed, receipt, Blow(number, after, _lose))
                    if trial.tallied < number:
                        return
                again = _call(trial, name, changed, receipt, None)
                what = f"`{action.target}`, the answer to its `{name}` lost {_when(Blow(number, after, _lose))}"
                _require(trial.effects() <= trial.expected, f"{what}, is there more than once")
                if name == "edit":
                    _require(again is not None, f"{what}, could not be asked for it again")
                    assert again is not None
                    _require_effects(trial, exactly=True)
                    trial.executor(action).verify(changed, again, trial.reader(action))
        number += 1


# -------------------------------------------------------------------------------------------------- requiring


def _ran(trial: Trial) -> Outcome:
    outcome = trial.run()
    assert outcome is not None, "the first run found its work done"
    return outcome


def _done(trial: Trial) -> dict[str, Receipt]:
    return {receipt.key: receipt for receipt in _ran(trial).receipts}


def _last(trial: Trial) -> tuple[Receipt, ...]:
    """What is known after the release was carried out once more, and again."""
    trial.run()
    trial.run()
    return trial.ledger.record(RELEASE).receipts


def _require_settled(trial: Trial, receipts: tuple[Receipt, ...], when: str) -> None:
    unknown = [receipt for receipt in receipts if receipt.state is ReceiptState.UNKNOWN]
    for receipt in receipts:
        open_too = bool(unknown) and receipt.state is ReceiptState.SKIPPED
        fine = receipt.settled or receipt.state is ReceiptState.UNKNOWN or open_too
        _require(fine, f"{when}, `{receipt.action}` ends as {receipt.state}: {receipt.detail}")
    for receipt in unknown:
        _require(
            bool(receipt.detail and receipt.detail.strip()), f"{when}, `{receipt.action}` is unknown for no reason"
        )
    count = trial.effects()
    _require(count <= trial.expected, f"{when}, it is there {count} times")
    _require(bool(unknown) or count == trial.expected, f"{when}, it counts as done and is there {count} times")
    _require_outputs_clean(trial)


def _require_effects(trial: Trial, *, exactly: bool) -> None:
    count = trial.effects()
    fine = count == trial.expected if exactly else count <= trial.expected
    _require(fine, f"it is there {count} times, and should be {trial.expected}")


def _require_outputs_clean(trial: Trial) -> None:
    _require_clean(trial, [content.decode(errors="replace") for content in trial.written])
    _require_clean(trial, map(redact, trial.said))  # as the command line prints it


def _require_clean(trial: Trial, texts: Any) -> None:
    forms = [form for secret in trial.secrets for form in _forms(secret)]
    for text in texts:
        found = next((form for form in forms if form in text), None)
        _require(found is None, f"a secret is in an output: {text[:300]!r}")


def _forms(secret: str) -> set[str]:
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, quote(secret), quote(secret, safe=""), encoded, json.dumps(secret)[1:-1]}


def _require(fine: bool, otherwise: str) -> None:
    if not fine:
        raise AssertionError(otherwise)
