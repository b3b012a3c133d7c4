"""promote, publish, announce: what is done at most once, what is not tried, and what can be told afterwards."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.errors import AnswerLost, GateClosed, NotShown, Passing, PluginError, RelmanError
from relman.hookspecs import Executor
from relman.ledger.protocol import Session
from relman.model.changelog import Accounting, Changelog
from relman.model.oci import Digest
from relman.model.plan import Action, Plan, Stage, action_key, ordered
from relman.model.record import Attempt, Lease, Receipt, ReceiptState, Record, RecordState, Unknown
from relman.model.streams import OnFailure
from relman.walk.acting import WORKERS, Outcome, act, state_so_far
from relman.walk.trying import WAITS, Tools

NOON = datetime(2026, 7, 6, 12, tzinfo=UTC)
DONE, ADOPTED, SKIPPED, FAILED, UNKNOWN = (
    ReceiptState.DONE,
    ReceiptState.ADOPTED,
    ReceiptState.SKIPPED,
    ReceiptState.FAILED,
    ReceiptState.UNKNOWN,
)
CHANGELOG = Changelog("X", "stable", "v", None, "v", (), (), (), (), None, (), (), (), Accounting(0, 0, 0, 0, 0, 0))


def action(
    name: str, stage: Stage = Stage.ANNOUNCE, *, kind: str = "blind", needs: Sequence[str] = (), required: bool = True
) -> Action:
    return Action(kind, stage, key(name), name, tuple(map(key, needs)), None, required)


def key(name: str) -> str:
    return action_key("0123456789abcdef", name)


def plan_of(*actions: Action) -> Plan:
    return Plan(
        id="0123456789abcdef",
        project="X",
        stream="stable",
        version="v",
        previous=None,
        previous_id=None,
        created=NOON,
        config=Digest.of(b""),
        changed=True,
        variants=(),
        gates=(),
        actions=ordered(actions),
        assumed=(),
        changelog=CHANGELOG,
        notes="",
    )


RECORD = Record("0123456789abcdef", "X", "stable", "v", None, RecordState.INTENDED, NOON, None, Digest.of(b"plan"), ())


@dataclass
class Remembering:
    """A session in memory: an attempt without a receipt is `unknown`, as the journal has it."""

    record: Record = RECORD
    log: list[str] = field(default_factory=list)
    finished: bool = False
    taken_over: Lease | None = None

    def attempt(self, attempt: Attempt) -> None:
        self.log.append(f"attempt {attempt.action}")
        self._note(Receipt(attempt.key, attempt.action, UNKNOWN, attempt.at))

    def assure(self, *, now: datetime) -> None:
        """Nobody else is there."""

    def receipt(self, receipt: Receipt) -> None:
        self.log.append(f"{receipt.state} {receipt.action}")
        self._note(receipt)

    def tags_moved(self, *, now: datetime) -> None:
        self.log.append("tags moved")

    def finish(self, state: RecordState, *, now: datetime, **more: Any) -> Record:
        raise NotImplementedError("acting does not finish")

    def _note(self, receipt: Receipt) -> None:
        others = tuple(other for other in self.record.receipts if other.key != receipt.key)
        self.record = replace(self.record, receipts=(*others, receipt))


def knowing(*receipts: tuple[str, ReceiptState]) -> Remembering:
    known = tuple(Receipt(key(name), name, state, NOON) for name, state in receipts)
    return Remembering(replace(RECORD, receipts=known))


Step = Callable[["World", Action], Receipt | None]


def ok(world: World, action: Action) -> Receipt:
    world.effects.append(action.target)
    return Receipt.of(action, DONE, remote_id="42")


def refused(world: World, action: Action) -> None:
    raise RelmanError("refused", hint="ask nicely")


def busy(world: World, action: Action) -> None:
    raise Passing("busy")


def lost(world: World, action: Action) -> None:
    world.effects.append(action.target)
    raise AnswerLost("the answer was lost")


def lost_before(world: World, action: Action) -> None:
    raise AnswerLost("the answer was lost")


def stranger(world: World, action: Action) -> None:
    raise ZeroDivisionError("a stranger's bug")


def killed(world: World, action: Action) -> None:
    raise KeyboardInterrupt


def killed_after(world: World, action: Action) -> None:
    world.effects.append(action.target)
    raise KeyboardInterrupt


@dataclass
class World:
    """What executors act on. ``script`` says what becomes of each try of a target; without more it goes well."""

    script: dict[str, list[Step]] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    probed: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)

    def step(self, action: Action) -> Receipt:
        steps = self.script.get(action.target, [])
        receipt = (steps.pop(0) if steps else ok)(self, action)
        assert receipt is not None
        return receipt


@dataclass
class Fake:
    """An executor: `blind` cannot be asked, `readable` shows what is there."""

    kind: str
    scope: Any = "channel"
    verify_fails: bool = False
    no_way_back: str = ""
    probe_fails: BaseException | None = None

    def describe(self, action: Action) -> str:
        return action.target

    def probe(self, action: Action, reader: World) -> Receipt | Unknown | None:
        reader.probed.append(action.target)
        if self.probe_fails:
            raise self.probe_fails
        if self.kind == "blind":
            return Unknown("it cannot be asked")
        return Receipt.of(action, ADOPTED) if action.target in reader.effects else None

    def apply(self, action: Action, writer: World) -> Receipt:
        return writer.step(action)

    def verify(self, action: Action, receipt: Receipt, reader: World) -> None:
        assert receipt.remote_id == "42"
        if self.verify_fails:
            raise RelmanError("it is not there after all")

    def undo(self, action: Action, receipt: Receipt, writer: World) -> Receipt | None:
        if self.no_way_back == action.target:
            raise Passing("no way back just now")
        if self.kind == "blind":
            return None
        writer.undone.append(action.target)
        writer.effects.remove(action.target)
        return Receipt.of(action, DONE, detail="put back")


def run(
    plan: Plan,
    session: Session,
    world: World,
    *executors: Fake,
    on_failure: OnFailure = OnFailure.FORWARD,
    reported: list[str] | None = None,
    report: Callable[[Action, Receipt], None] | None = None,
) -> Outcome:
    known: dict[str, Executor[Any, Any]] = {e.kind: e for e in executors or (Fake("blind"), Fake("readable"))}
    said = [] if reported is None else reported
    tools = Tools(
        executors=known,
        reader=lambda action, executor: world,
        writer=lambda action, executor: world,
        clock=lambda: NOON,
        report=report or (lambda action, receipt: said.append(f"{receipt.state} {action.target}")),
    )
    return act(plan, session, tools, on_failure)


def states(outcome: Outcome) -> dict[str, ReceiptState]:
    return {receipt.action: receipt.state for receipt in outcome.receipts}


TAGS = (
    action("copy", Stage.PREPARE, kind="readable"),
    action("tag:a", Stage.PROMOTE, kind="readable", needs=["copy"]),
    action("tag:b", Stage.PROMOTE, kind="readable"),
    action("dated", Stage.SEAL, kind="readable", needs=["tag:a", "tag:b"]),
)
POSTS = (
    action("notes", Stage.PUBLISH, kind="readable"),
    action("forum", needs=["notes"]),
    action("chat", required=False),
)

# ------------------------------------------------------------------------------------------ one action


@pytest.mark.parametrize(
    ("kind", "step", "state", "effects", "detail"),
    [
        ("blind", ok, DONE, 1, None),
        ("readable", ok, DONE, 1, None),
        ("blind", refused, FAILED, 0, "refused (ask nicely)"),
        ("readable", refused, FAILED, 0, "refused (ask nicely)"),
        ("blind", lost, UNKNOWN, 1, "the answer was lost; it cannot be asked"),
        ("blind", lost_before, UNKNOWN, 0, "the answer was lost; it cannot be asked"),
        ("readable", lost, DONE, 1, "the answer was lost; read back"),
        ("readable", lost_before, FAILED, 0, "the answer was lost; it did not take effect"),
        ("blind", stranger, FAILED, 0, "`x` failed: ZeroDivisionError: a stranger's bug"),
    ],
)
def test_what_comes_of_one_try(kind: str, step: Step, state: ReceiptState, effects: int, detail: str | None) -> None:
    world, session = World({"x": [step]}), Remembering()

    (receipt,) = run(plan_of(action("x", kind=kind)), session, world).receipts

    assert (receipt.state, receipt.at, receipt.key) == (state, NOON, key("x"))
    assert len(world.effects) == effects
    assert (receipt.detail or "").startswith(detail or "")
    assert session.log == ["tags moved", "attempt x", f"{state} x"]


@pytest.mark.parametrize(
    ("known", "elsewhere", "kind", "there", "state", "tried"),
    [
        # nothing is known, or it surely did not happen: tried
        *(
            (known, False, kind, False, DONE, True)
            for known in (None, SKIPPED, FAILED)
            for kind in ("blind", "readable")
        ),
        # it is on record as done: not even looked at
        *(
            (known, elsewhere, kind, True, known, False)
            for known in (DONE, ADOPTED)
            for elsewhere in (False, True)
            for kind in ("blind", "readable")
        ),
        # it may have happened, here or on a machine that died, which may have tried again what had failed: only
        # reading settles it
        *(
            (known, elsewhere, kind, there, state, tried)
            for known, elsewhere in ((UNKNOWN, False), *((known, True) for known in (None, UNKNOWN, FAILED, SKIPPED)))
            for kind, there, state, tried in (
                ("readable", True, DONE, False),
                ("readable", False, DONE, True),
                ("blind", True, UNKNOWN, False),
                ("blind", False, UNKNOWN, False),
            )
        ),
        # it is there although nothing is known of it
        *((known, False, "readable", True, ADOPTED, False) for known in (None, SKIPPED, FAILED)),
    ],
)
def test_an_effect_happens_at_most_once_whatever_is_known_of_it(
    known: ReceiptState | None, elsewhere: bool, kind: str, there: bool, state: ReceiptState, tried: bool
) -> None:
    """``there``: it happened already, in a try of which ``known`` is what is noted."""
    world = World(effects=["x"] if there else [])
    session = knowing(("x", known)) if known else Remembering()
    session.record = replace(session.record, elsewhere=elsewhere)

    (receipt,) = run(plan_of(action("x", kind=kind)), session, world).receipts

    assert receipt.state is state
    assert world.effects == (["x"] if there or tried else [])
    assert ("attempt x" in session.log) == tried
    assert world.probed == ([] if known in (DONE, ADOPTED) else ["x"])
    if state is UNKNOWN:
        assert receipt.detail == "tried before, and it cannot be asked"


def test_what_is_so_already_is_adopted_and_nothing_is_attempted() -> None:
    world, session = World(effects=["x"]), Remembering()

    outcome = run(plan_of(action("x", kind="readable")), session, world)

    assert (states(outcome), outcome.state, world.effects) == ({"x": ADOPTED}, RecordState.FINISHED, ["x"])
    assert "attempt x" not in session.log


def test_an_attempt_is_noted_before_anything_is_done() -> None:
    session = Remembering()

    def look(world: World, action: Action) -> Receipt:
        assert session.log[-1] == "attempt x"
        return ok(world, action)

    assert states(run(plan_of(action("x")), session, World({"x": [look]}))) == {"x": DONE}


def test_what_cannot_be_read_back_is_not_done() -> None:
    outcome = run(plan_of(action("x", kind="readable")), Remembering(), World(), Fake("readable", verify_fails=True))

    (receipt,) = outcome.receipts
    assert (receipt.settled, receipt.detail, outcome.state) == (False, "it is not there after all", RecordState.PARTIAL)


@dataclass
class Unread(Fake):
    """One whose effects cannot be read back just now: not after it did something, nor when it looks the second time."""

    looks: int = 0

    def probe(self, action: Action, reader: World) -> Receipt | Unknown | None:
        self.looks += 1
        if self.looks == 2:
            raise Passing("no connection")
        return super().probe(action, reader)

    def verify(self, action: Action, receipt: Receipt, reader: World) -> None:
        raise Passing("busy")


@pytest.mark.parametrize(
    ("step", "detail"), [(ok, "busy"), (lost, "the answer was lost; no connection")], ids=["done", "lost"]
)
def test_what_was_sent_and_cannot_be_read_back_just_now_is_unknown_and_not_failed(step: Step, detail: str) -> None:
    plan = plan_of(action("tag:b", Stage.PROMOTE, kind="readable"))

    outcome = run(plan, Remembering(), World({"tag:b": [step]}), Unread("readable"))

    (receipt,) = outcome.receipts
    assert (receipt.state, receipt.detail, outcome.state) == (UNKNOWN, detail, RecordState.PARTIAL)
    assert isinstance(outcome.stopped, Passing)


def test_what_was_done_and_could_not_be_read_back_is_not_done_again() -> None:
    world, session = World(), Remembering()
    plan = plan_of(action("x"))

    run(plan, session, world, Unread("blind"))
    outcome = run(plan, session, world, Fake("blind"))

    assert (world.effects, states(outcome)) == (["x"], {"x": UNKNOWN})


def test_what_was_tried_before_and_is_read_back_later_was_done_by_this_release() -> None:
    world, session = World(), Remembering()
    plan = plan_of(action("x", kind="readable"))
    run(plan, session, world, Unread("readable"))

    (receipt,) = run(plan, session, world).receipts

    assert (receipt.state, receipt.detail, world.effects) == (DONE, "tried before; read back", ["x"])


@pytest.mark.parametrize("fault", ["a service that is down", "no table", "no plugin"])
def test_what_may_have_happened_stays_unknown_while_nothing_can_look_after_it(fault: str) -> None:
    """`failed` would let the next run send it again."""
    plan, world, session = plan_of(action("x")), World({"x": [lost]}), Remembering()
    run(plan, session, world)

    why = Passing("no network") if fault == "a service that is down" else RelmanError("no channel", hint="its table")
    run(plan, session, world, Fake("other") if fault == "no plugin" else Fake("blind", probe_fails=why))
    run(plan, session, world)

    assert len(world.effects) == 1
    assert session.record.receipts[0].state is UNKNOWN


def test_a_kind_that_nobody_carries_out_fails_with_that_reason() -> None:
    outcome = run(plan_of(action("x", kind="pigeon")), Remembering(), World())

    assert states(outcome) == {"x": FAILED}
    assert outcome.receipts[0].detail == "no plugin carries out actions of the kind `pigeon`"


def test_a_stranger_that_fails_while_it_looks_is_named_and_nothing_is_tried() -> None:
    world = World()

    outcome = run(
        plan_of(action("x")), Remembering(), world, Fake("blind", probe_fails=RuntimeError("a stranger's bug"))
    )

    assert "`x` failed: RuntimeError: a stranger's bug" in (outcome.receipts[0].detail or "")
    assert world.effects == []


def test_an_interruption_passes_through_and_leaves_the_attempt() -> None:
    session = Remembering()

    with pytest.raises(KeyboardInterrupt):
        run(plan_of(action("x"), action("y")), session, World({"x": [killed]}))

    assert [(r.action, r.state) for r in session.record.receipts] == [("x", UNKNOWN)]


def test_a_channel_that_is_gone_fails_alone() -> None:
    def gone(action: Action, executor: Executor[Any, Any]) -> World:
        if action.target == "x":
            raise RelmanError("relman.toml has no channel `x` any more")
        return World()

    tools = Tools({"blind": Fake("blind")}, gone, gone, lambda: NOON, lambda action, receipt: None)

    outcome = act(plan_of(action("x"), action("y")), Remembering(), tools, OnFailure.FORWARD)

    assert states(outcome) == {"x": FAILED, "y": DONE}


@dataclass
class Late(Fake):
    """An executor for a registry that shows what was written only after ``looks`` looks."""

    looks: int = 0

    def _shown(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def probe(self, action: Action, reader: World) -> Receipt | Unknown | None:
        return super().probe(action, reader) if reader.effects and self._shown() else None

    def verify(self, action: Action, receipt: Receipt, reader: World) -> None:
        if not self._shown():
            raise NotShown("it is not there yet")


@pytest.mark.parametrize("step", [ok, lost])
@pytest.mark.parametrize(("looks", "state", "slept"), [(3, DONE, [0.25, 0.5, 1.0]), (99, None, list(WAITS))])
def test_a_registry_is_given_some_seconds_to_show_what_was_written(
    step: Step, looks: int, state: ReceiptState | None, slept: list[float]
) -> None:
    sleeps: list[float] = []
    world = World({"x": [step]})
    tools = Tools(
        {"late": Late("late", scope="registry", looks=looks)},
        lambda action, executor: world,
        lambda action, executor: world,
        lambda: NOON,
        lambda action, receipt: None,
        sleep=sleeps.append,
    )

    outcome = act(plan_of(action("x", Stage.PROMOTE, kind="late")), Remembering(), tools, OnFailure.FORWARD)

    assert states(outcome) == {"x": state or (UNKNOWN if step is ok else FAILED)}
    assert sleeps == slept


# ------------------------------------------------------------------------------------- several actions


def test_a_release_goes_stage_by_stage_and_its_record_is_written_once_the_tags_have_moved() -> None:
    session = Remembering()
    reported: list[str] = []

    outcome = run(plan_of(*POSTS, *TAGS), session, World(), reported=reported)

    order = ["copy", "tag:a", "tag:b", "dated", "notes", "forum", "chat"]
    assert [r.action for r in outcome.receipts] == order
    assert reported == [f"done {name}" for name in order]
    assert session.log == [
        *(line for name in order[:4] for line in (f"attempt {name}", f"done {name}")),
        "tags moved",
        *(line for name in order[4:] for line in (f"attempt {name}", f"done {name}")),
    ]
    assert (outcome.state, outcome.stopped) == (RecordState.FINISHED, None)


def test_a_second_run_changes_nothing() -> None:
    world, session = World(), Remembering()
    plan = plan_of(*POSTS, *TAGS)
    first = run(plan, session, world)
    effects, log = list(world.effects), list(session.log)

    second = run(plan, session, world)

    assert (second, world.effects) == (first, effects)
    assert [line for line in session.log[len(log) :] if line != "tags moved"] == []


@pytest.mark.parametrize("name", ["copy", "tag:a", "tag:b", "dated"])
def test_a_failure_among_the_tags_stops_them_and_everything_that_people_see(name: str) -> None:
    world = World({name: [refused]})

    outcome = run(plan_of(*TAGS, *POSTS), Remembering(), world)

    before = [action.target for action in TAGS][: [action.target for action in TAGS].index(name)]
    assert world.effects == before
    assert {target for target, state in states(outcome).items() if state is SKIPPED} == {
        action.target for action in (*TAGS, *POSTS)
    } - {*before, name}
    assert outcome.stopped is not None
    assert outcome.stopped.message == "refused"
    moved = any(target.startswith("tag") for target in before)
    assert outcome.state is (RecordState.PARTIAL if moved else RecordState.INTENDED)


def test_what_is_not_tried_says_why() -> None:
    outcome = run(plan_of(*TAGS, *POSTS), Remembering(), World({"tag:a": [refused]}))

    assert {r.action: r.detail for r in outcome.receipts if r.state is SKIPPED} == {
        "tag:b": "moving tags stopped before it",
        "dated": "needs `tag:a`",
        "notes": "the tags are not all moved",
        "forum": "needs `notes`",
        "chat": "the tags are not all moved",
    }


def test_announcements_do_not_silence_each_other() -> None:
    posts = [action(name, required=False) for name in ("a", "b", "c", "d", "e")]
    world = World({"a": [refused], "b": [stranger], "c": [lost], "d": [busy]})

    outcome = run(plan_of(*TAGS, *posts), Remembering(), world)

    assert {r.action: r.state for r in outcome.receipts[4:]} == {
        "a": FAILED,
        "b": FAILED,
        "c": UNKNOWN,
        "d": FAILED,
        "e": DONE,
    }
    assert (outcome.state, outcome.stopped) == (RecordState.FINISHED, None)


def test_what_needs_a_failed_publication_waits_and_the_rest_goes_on() -> None:
    outcome = run(plan_of(*TAGS, *POSTS), Remembering(), World({"notes": [refused]}))

    assert states(outcome) == {
        **dict.fromkeys((a.target for a in TAGS), DONE),
        "notes": FAILED,
        "forum": SKIPPED,
        "chat": DONE,
    }
    assert outcome.state is RecordState.PARTIAL


def test_a_required_announcement_keeps_a_release_open_and_an_optional_one_does_not() -> None:
    for required, state in ((True, RecordState.PARTIAL), (False, RecordState.FINISHED)):
        plan = plan_of(*TAGS, action("x", required=required))
        assert run(plan, Remembering(), World({"x": [refused]})).state is state


def test_running_again_goes_on_where_it_stopped() -> None:
    world, session = World({"tag:b": [busy], "forum": [refused]}), Remembering()
    plan = plan_of(*TAGS, *POSTS)

    run(plan, session, world)
    assert world.effects == ["copy", "tag:a"]
    run(plan, session, world)
    assert world.effects == ["copy", "tag:a", "tag:b", "dated", "notes", "chat"]
    outcome = run(plan, session, world)

    assert world.effects == ["copy", "tag:a", "tag:b", "dated", "notes", "chat", "forum"]
    assert outcome.state is RecordState.FINISHED


def test_a_release_without_tags_announces_at_once() -> None:
    outcome = run(plan_of(*POSTS), Remembering(), World())

    assert set(states(outcome).values()) == {DONE}
    assert outcome.state is RecordState.FINISHED


# ----------------------------------------------------------------------------------------------- restore


def test_restoring_puts_back_what_this_release_moved_the_last_first() -> None:
    world, session = World({"dated": [refused]}), Remembering()

    outcome = run(plan_of(*TAGS, *POSTS), session, world, on_failure=OnFailure.RESTORE)

    assert world.undone == ["tag:b", "tag:a"]
    assert world.effects == ["copy"]
    assert states(outcome)["tag:a"] is SKIPPED
    assert {r.action: r.detail for r in outcome.receipts}["tag:a"] == "restored: put back"
    assert outcome.restored
    assert outcome.stopped is not None
    assert [line for line in session.log if line.startswith("skipped tag")] == ["skipped tag:b", "skipped tag:a"]


def test_what_was_so_before_the_release_is_not_put_back() -> None:
    world = World({"dated": [refused]}, effects=["tag:a"])

    outcome = run(plan_of(*TAGS), Remembering(), world, on_failure=OnFailure.RESTORE)

    assert (world.undone, states(outcome)["tag:a"], outcome.restored) == (["tag:b"], ADOPTED, True)


def test_restoring_puts_back_what_an_earlier_run_moved_and_did_not_note() -> None:
    world, session = World({"tag:a": [killed_after], "dated": [refused]}), Remembering()
    plan = plan_of(*TAGS)
    with pytest.raises(KeyboardInterrupt):
        run(plan, session, world, on_failure=OnFailure.RESTORE)

    outcome = run(plan, session, world, on_failure=OnFailure.RESTORE)

    assert (world.effects, world.undone, outcome.restored) == (["copy"], ["tag:b", "tag:a"], True)


def test_a_tag_that_may_have_moved_is_not_said_to_be_put_back() -> None:
    plan = plan_of(action("tag:a", Stage.PROMOTE, kind="readable"))

    outcome = run(plan, Remembering(), World(), Unread("readable"), on_failure=OnFailure.RESTORE)

    assert (states(outcome), outcome.restored, outcome.state) == ({"tag:a": UNKNOWN}, False, RecordState.PARTIAL)


def test_a_way_back_that_fails_leaves_the_release_open_and_the_others_are_put_back() -> None:
    world = World({"dated": [refused]})

    outcome = run(
        plan_of(*TAGS), Remembering(), world, Fake("readable", no_way_back="tag:b"), on_failure=OnFailure.RESTORE
    )

    assert (world.undone, outcome.restored, outcome.state) == (["tag:a"], False, RecordState.PARTIAL)
    assert states(outcome)["tag:b"] is DONE


def test_announcements_that_fail_put_nothing_back() -> None:
    world = World({"forum": [refused]})

    outcome = run(plan_of(*TAGS, *POSTS), Remembering(), world, on_failure=OnFailure.RESTORE)

    assert (world.undone, outcome.restored, outcome.state) == ([], False, RecordState.PARTIAL)


# ------------------------------------------------------------------------------------------ several at once


@dataclass
class Together(Fake):
    """An executor for tags that may move a few at a time; ``most`` is how many did."""

    kind: str = "readable"
    concurrent: bool = True
    under_way: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, action: Action, writer: World) -> Receipt:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            return writer.step(action)
        finally:
            with self.lock:
                self.under_way -= 1


STREAM = [f"tag:{number}" for number in range(2 * WORKERS + 1)]
DATED = [f"dated:{number}" for number in range(WORKERS + 1)]
MANY = plan_of(
    *(action(name, Stage.PROMOTE, kind="readable") for name in STREAM),
    *(action(name, Stage.SEAL, kind="readable", needs=STREAM) for name in DATED),
)


def met(*names: str) -> dict[str, list[Step]]:
    """A script in which the actions called so wait for each other."""
    barrier = threading.Barrier(len(names), timeout=10)

    def step(world: World, action: Action) -> Receipt:
        barrier.wait()
        return ok(world, action)

    return {name: [step] for name in names}


def test_tags_of_a_stage_move_a_few_at_a_time_after_the_first_one_and_dated_tags_after_all_of_them() -> None:
    session, executor, reported = Remembering(), Together(), list[str]()
    world = World({**met(*STREAM[1 : WORKERS + 1]), **met(*STREAM[WORKERS + 1 :]), **met(*DATED[:WORKERS])})

    outcome = run(MANY, session, world, executor, reported=reported)

    assert [receipt.action for receipt in outcome.receipts] == [*STREAM, *DATED]
    assert reported == [f"done {name}" for name in (*STREAM, *DATED)]
    assert set(states(outcome).values()) == {DONE}
    assert executor.most == WORKERS
    assert session.log[:2] == ["attempt tag:0", "done tag:0"]
    tags = session.log[: 2 * len(STREAM)]
    assert sorted(tags) == sorted(f"{what} {name}" for name in STREAM for what in ("attempt", "done"))
    assert all(session.log.index(f"attempt {name}") < session.log.index(f"done {name}") for name in (*STREAM, *DATED))


@pytest.mark.parametrize("on_failure", OnFailure)
def test_after_the_first_failure_no_tag_is_begun_and_those_under_way_are_noted(on_failure: OnFailure) -> None:
    under_way = STREAM[1 : WORKERS + 1]
    failing, *others = under_way
    barrier, failed = threading.Barrier(WORKERS, timeout=10), threading.Event()

    def fails(world: World, action: Action) -> None:
        barrier.wait()
        raise Passing("busy")

    def goes_on(world: World, action: Action) -> Receipt:
        barrier.wait()
        assert failed.wait(10)
        return ok(world, action)

    def report(action: Action, receipt: Receipt) -> None:
        if receipt.state is FAILED:
            failed.set()

    session, world = Remembering(), World({failing: [fails], **{name: [goes_on] for name in others}})

    outcome = run(MANY, session, world, Together(), on_failure=on_failure, report=report)

    assert [line for line in session.log if line.startswith("attempt")] == [f"attempt {STREAM[0]}"] + [
        f"attempt {name}" for name in sorted(under_way, key=lambda n: session.log.index(f"attempt {n}"))
    ]
    moved = {STREAM[0], *others}
    if on_failure is OnFailure.FORWARD:
        assert {name for name, state in states(outcome).items() if state is DONE} == moved
        assert outcome.state is RecordState.PARTIAL
    else:
        assert (set(world.undone), world.effects, outcome.restored) == (moved, [], True)
        assert outcome.state is RecordState.INTENDED
    assert (states(outcome)[failing], outcome.stopped and outcome.stopped.exit_code) == (FAILED, 75)


def test_of_several_failures_at_once_the_first_in_the_plan_decides_the_exit_code() -> None:
    barrier = threading.Barrier(2, timeout=10)

    def at_once(error: RelmanError) -> Step:
        def step(world: World, action: Action) -> None:
            barrier.wait()
            raise error

        return step

    world = World({STREAM[1]: [at_once(GateClosed("no"))], STREAM[2]: [at_once(Passing("busy"))]})

    assert isinstance(run(MANY, Remembering(), world, Together()).stopped, GateClosed)


def _interrupt() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # it wakes who waits, as Ctrl-C does


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that runs the tests in the background has them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_it_at_once_and_nothing_is_noted_after_it() -> None:
    session, let_go, ended = Remembering(), threading.Event(), threading.Semaphore(0)
    barrier = threading.Barrier(WORKERS, action=_interrupt, timeout=10)

    def hangs(world: World, action: Action) -> Receipt:
        try:
            barrier.wait()
            assert let_go.wait(10)
            return ok(world, action)
        finally:
            ended.release()

    under_way = STREAM[1 : WORKERS + 1]
    world = World({name: [hangs] for name in under_way})
    with pytest.raises(KeyboardInterrupt):
        run(MANY, session, world, Together())
    known = session.record.receipts
    let_go.set()
    for _ in under_way:
        assert ended.acquire(timeout=10)

    outcome = run(MANY, session, World(effects=world.effects), Together())

    assert {r.action: r.state for r in known} == {STREAM[0]: DONE, **dict.fromkeys(under_way, UNKNOWN)}
    assert set(states(outcome).values()) == {DONE}
    assert {r.action for r in outcome.receipts if r.detail == "tried before; read back"} == set(under_way)


def test_what_cannot_be_noted_is_not_tried_and_stops_the_tags() -> None:
    class Full(Remembering):
        def attempt(self, attempt: Attempt) -> None:
            if attempt.action == STREAM[3]:
                raise RelmanError("no space left")
            super().attempt(attempt)

    session, world = Full(), World()

    outcome = run(MANY, session, world, Together())

    assert (states(outcome)[STREAM[3]], outcome.stopped and outcome.stopped.message) == (FAILED, "no space left")
    assert STREAM[3] not in world.effects
    assert not set(DATED) & set(world.effects)


# -------------------------------------------------------------------------------------- what is not forgotten


def test_what_a_run_may_have_tried_is_not_forgotten_by_one_that_stops_before_it() -> None:
    plan = plan_of(*TAGS, action("forum"))
    session = knowing(("forum", UNKNOWN))

    run(plan, session, World({"tag:a": [refused]}))
    outcome = run(plan, session, World())

    assert states(outcome)["forum"] is UNKNOWN


def test_with_restore_a_release_that_adopted_one_tag_and_moved_the_others_back_is_only_intended() -> None:
    world = World({"dated": [refused]}, effects=["tag:b"])

    outcome = run(plan_of(*TAGS), Remembering(), world, on_failure=OnFailure.RESTORE)

    assert (states(outcome)["tag:b"], outcome.restored, outcome.state) == (ADOPTED, True, RecordState.INTENDED)


# ------------------------------------------------------------------------------------------- where it stands


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({}, RecordState.INTENDED),
        ({"copy": DONE}, RecordState.INTENDED),
        ({"copy": DONE, "tag:a": FAILED, "tag:b": SKIPPED}, RecordState.INTENDED),
        ({"copy": DONE, "tag:a": UNKNOWN}, RecordState.PARTIAL),
        ({"copy": DONE, "tag:a": ADOPTED}, RecordState.INTENDED),  # it was so before: this release moved nothing
        ({"copy": DONE, "tag:a": DONE, "tag:b": DONE, "dated": DONE, "notes": DONE}, RecordState.PARTIAL),
        (
            {"copy": DONE, "tag:a": DONE, "tag:b": DONE, "dated": DONE, "notes": DONE, "forum": UNKNOWN},
            RecordState.PARTIAL,
        ),
        (
            {"copy": DONE, "tag:a": DONE, "tag:b": ADOPTED, "dated": DONE, "notes": DONE, "forum": DONE},
            RecordState.FINISHED,
        ),
    ],
)
def test_where_a_release_stands(known: dict[str, ReceiptState], state: RecordState) -> None:
    receipts = [Receipt(key(name), name, what, NOON) for name, what in known.items()]

    assert state_so_far(plan_of(*TAGS, *POSTS), receipts) is state


# -------------------------------------------------------------------------------------------- at most once

TARGETS = [a.target for a in (*TAGS, *POSTS)]
READABLE = {a.target for a in (*TAGS, *POSTS) if a.kind == "readable"}
steps = st.sampled_from([ok, refused, busy, lost, lost_before, stranger, killed, killed_after])
scripts = st.dictionaries(st.sampled_from(TARGETS), st.lists(steps, max_size=4))


@settings(max_examples=300, deadline=None)
@given(scripts, st.lists(st.booleans(), max_size=6))
def test_whatever_fails_nothing_happens_twice_and_running_again_ends_with_all_that_can_be_known(
    script: dict[str, list[Step]], moved: list[bool]
) -> None:
    plan = plan_of(*TAGS, *POSTS)
    world, session = World({target: list(steps) for target, steps in script.items()}), Remembering()
    outcome: Outcome | None = None
    for _ in range(40):
        before = session.record.receipts, {target: len(steps) for target, steps in world.script.items()}
        try:
            outcome = run(plan, session, world)
        except KeyboardInterrupt:
            outcome = None
        assert len(set(world.effects)) == len(world.effects)
        if outcome and before == (session.record.receipts, {t: len(s) for t, s in world.script.items()}):
            break
    assert outcome is not None

    found = states(outcome)
    for target in READABLE:
        assert (found[target], target in world.effects) in ((DONE, True), (ADOPTED, True))
    assert set(found.values()) <= {DONE, ADOPTED, UNKNOWN}
    assert {target for target, state in found.items() if state is UNKNOWN} <= {"forum", "chat"}
    assert outcome.state is (RecordState.PARTIAL if found["forum"] is UNKNOWN else RecordState.FINISHED)


def test_the_error_that_stopped_the_tags_is_kept_with_its_exit_code() -> None:
    def shut(world: World, action: Action) -> None:
        raise GateClosed("no")

    for step, code in ((busy, 75), (shut, 6), (stranger, 1)):
        outcome = run(plan_of(*TAGS), Remembering(), World({"tag:a": [step]}))
        assert outcome.stopped is not None
        assert outcome.stopped.exit_code == code
    assert isinstance(outcome.stopped, PluginError)
