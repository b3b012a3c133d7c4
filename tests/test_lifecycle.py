"""The walk, whole: from a stream to a record, and again after whatever went wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from relman.documents.changelog import changelog_bytes
from relman.documents.plan import plan_bytes, plan_digest
from relman.errors import GateClosed, Locked, Malformed, PartlyDone, Passing, PluginError, StalePlan
from relman.hookspecs import GatesContext, SectionsContext, hookimpl
from relman.manager import Plugins
from relman.model.changelog import Section
from relman.model.contents import Identity
from relman.model.diff import ChangeKind
from relman.model.gates import OverrideRequest
from relman.model.oci import Digest, Repository
from relman.model.plan import Action, GateResult, Plan, State
from relman.model.record import Receipt, ReceiptState, Record, RecordState
from relman.testing import MemoryRegistry
from relman.walk.acting import Outcome
from relman.walk.planning import record_of
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[[majors]]
label = "Kernel"
package = "kernel"

[[announce]]
type = "file"
name = "news"
path = "news.md"
required = true

[streams.testing]
tags = ["testing"]
versions = ["testing-{major}.{date}[.{point}]"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
NAMES = ("os", "os-dx")


class Faulty(MemoryRegistry):
    """A registry that loses and refuses what it is told to: tags that cannot be written, digests that are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: set[str] = set()
        self.gone: set[Digest] = set()

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        if f"{repository.name.rpartition('/')[2]}:{tag}" in self.refuses:
            raise Passing(f"`{repository}` is busy")
        return super().put_manifest(repository, content, media_type, tag=tag)

    def resolve(self, reference):  # type: ignore[no-untyped-def]
        found = super().resolve(reference)
        return None if found and found.digest in self.gone else found


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, Faulty())
    found.configure(CONFIG)
    for name in NAMES:
        old = {"kernel": "6.1-1.fc44", "only-old": "1-1.fc44"}
        found.push(name, "testing-44.20260601", "stable", "stable-20260602", day=date(2026, 6, 1), packages=old, v=name)
        build(found, name, "testing-44.20260705", {"kernel": "6.2-1.fc44"}, date(2026, 7, 5))
    return found


def build(world: World, name: str, tag: str, packages: dict[str, str], day: date) -> None:
    world.push(name, tag, "testing", day=day, packages=packages, v=name)


def planned(world: World, **more: object) -> Plan:
    with world.walk() as walk:
        return walk.plan(walk.config.stream("stable"), **more)  # type: ignore[arg-type]


def apply(world: World, plan: Plan, *, days: int = 0) -> tuple[Record, Outcome | None]:
    with world.walk(now=MONDAY + timedelta(days)) as walk:
        return walk.apply(plan, lambda action, receipt: None)


def tags(world: World, tag: str = "stable") -> dict[str, Digest | None]:
    return {name: world.holds(f"{name}:{tag}") for name in NAMES}


# ------------------------------------------------------------------------------------------------ the whole


def test_a_release_moves_every_variant_announces_and_leaves_a_record(world: World) -> None:
    candidates = tags(world, "testing")
    plan = planned(world)

    record, outcome = apply(world, plan)

    assert outcome is not None
    assert {receipt.action: receipt.state for receipt in outcome.receipts} == dict.fromkeys(
        [*(f"tag:{n}:stable" for n in NAMES), *(f"tag:{n}:stable-20260706" for n in NAMES), "file:news"],
        ReceiptState.DONE,
    )
    assert tags(world) == tags(world, "stable-20260706") == candidates
    assert (world.folder / "news.md").read_text() == plan.notes
    assert (record.state, record.version, record.finished, record.id) == (
        RecordState.FINISHED,
        "stable-20260706",
        MONDAY,
        plan.id,
    )
    assert world.ledger.records() == (record,)
    assert {v.name: v.digest for v in record.variants} == candidates
    assert all(v.contents and world.ledger.contents(v.contents) for v in record.variants)
    assert world.ledger.changelog_of(record) == changelog_bytes(plan.changelog)


def test_the_notes_say_what_changed_in_every_variant(world: World) -> None:
    plan = planned(world, note="Something *handwritten*.")

    (group,) = plan.changelog.groups
    rows = {row.packages[0].name: (row.kind, row.before, row.after) for row in group.rows}
    assert (group.title, group.variants) == ("All images", NAMES)
    assert rows == {
        "kernel": (ChangeKind.UPGRADED, ("6.1-1.fc44",), ("6.2-1.fc44",)),
        "only-old": (ChangeKind.REMOVED, ("1-1.fc44",), ()),
    }
    assert [(major.label, major.before, major.after) for major in plan.changelog.majors] == [
        ("Kernel", ("6.1-1.fc44",), ("6.2-1.fc44",))
    ]
    assert "Something *handwritten*." in plan.notes


def test_a_finished_plan_is_a_no_op_whatever_has_moved_since(world: World) -> None:
    plan = planned(world)
    record, _ = apply(world, plan)
    for name in NAMES:
        world.push(name, "stable", n="moved by hand")
        build(world, name, "testing-44.20260706", {}, date(2026, 7, 6))
    world.configure(CONFIG.replace("stable-{today}", "x-{today}"))
    writes = list(world.memory.writes)

    assert apply(world, plan, days=9) == (record, None)
    assert world.memory.writes == writes


def test_what_the_last_release_holds_makes_no_new_one(world: World) -> None:
    apply(world, planned(world))

    again = planned(world)

    assert (again.changed, again.actions, again.version) == (False, (), "stable-20260706")


def test_a_stream_that_was_set_back_by_hand_is_released_forward_again_and_then_rests(world: World) -> None:
    candidates = tags(world, "testing")
    first, _ = apply(world, planned(world))
    for name in NAMES:
        world.tag(f"{name}:stable-20260602", "stable")

    again = planned(world)
    record, _ = apply(world, again)

    assert (again.changed, again.previous_id, again.version) == (True, first.id, "stable-20260706.1")
    assert (record.state, tags(world), tags(world, "stable-20260706.1")) == (
        RecordState.FINISHED,
        candidates,
        candidates,
    )
    assert planned(world).changed is False


def test_a_title_without_what_it_asks_for_never_says_none(world: World) -> None:
    title = "{{ version }} (F{{ major }}, {{ previous }})"
    world.configure(
        CONFIG.replace("[changelog]\n", f'[changelog]\ntitle = "{title}"\n').replace("{major}.{date}", "{date}")
    )
    for name in NAMES:
        world.push(name, "testing", "testing-20260705", day=date(2026, 7, 5), v=name)

    assert planned(world).changelog.title == "stable-20260706 (F, stable-20260602)"


def test_the_next_release_follows_the_record_even_where_the_registry_lost_its_image(world: World) -> None:
    first, _ = apply(world, planned(world))
    assert isinstance(world.registry, Faulty)
    world.registry.gone = {v.digest for v in first.variants if v.digest}
    for name in NAMES:
        build(world, name, "testing-44.20260706", {"kernel": "6.3-1.fc44"}, date(2026, 7, 6))

    with world.walk() as walk:
        release = walk.resolve(walk.config.stream("stable"))
        compared = walk.instruments.comparer.compare(())
        plan = walk.plan(walk.config.stream("stable"))

    assert compared == ()
    assert [c.follows.image for c in release.candidates if c.follows] == [None, None]
    assert (plan.previous, plan.previous_id) == ("stable-20260706", first.id)
    (group,) = plan.changelog.groups
    assert [(row.packages[0].name, row.before, row.after) for row in group.rows] == [
        ("kernel", ("6.2-1.fc44",), ("6.3-1.fc44",))
    ]


def test_where_nothing_of_the_predecessor_is_left_nothing_is_compared(world: World) -> None:
    first, _ = apply(world, planned(world))
    assert isinstance(world.registry, Faulty)
    world.registry.gone = {v.digest for v in first.variants if v.digest}
    for path in (world.folder / "releases" / "contents").iterdir():
        path.unlink()
    for name in NAMES:
        build(world, name, "testing-44.20260706", {"kernel": "6.3-1.fc44"}, date(2026, 7, 6))

    changelog = planned(world).changelog

    assert (changelog.groups, changelog.previous) == ((), "stable-20260706")


# ------------------------------------------------------------------------------------------ in the middle


def test_a_release_that_stopped_half_way_goes_on_where_it_stopped(world: World) -> None:
    assert isinstance(world.registry, Faulty)
    world.registry.refuses = {"os-dx:stable"}
    plan = planned(world)

    record, outcome = apply(world, plan)
    assert outcome is not None
    assert isinstance(outcome.stopped, Passing)
    assert (record.state, world.holds("os:stable-20260706")) == (RecordState.PARTIAL, None)
    assert not (world.folder / "news.md").exists()
    with pytest.raises(PartlyDone, match="the tags of `stable` are partly moved") as caught:
        planned(world)
    assert caught.value.hint == f"finish it: `relman resume {record.id}`"

    world.registry.refuses = set()
    writes = len(world.memory.writes)
    record, outcome = apply(world, plan, days=1)
    assert outcome is not None
    assert record.state is RecordState.FINISHED
    assert [write.tag for write in world.memory.writes[writes:]] == ["stable", "stable-20260706", "stable-20260706"]


def test_a_release_of_which_nothing_happened_leaves_the_stream_free(world: World) -> None:
    assert isinstance(world.registry, Faulty)
    world.registry.refuses = {"os:stable"}

    record, outcome = apply(world, planned(world))

    assert outcome is not None
    assert record.state is RecordState.INTENDED
    world.registry.refuses = set()
    for name in NAMES:
        build(world, name, "testing-44.20260706", {"kernel": "6.3-1.fc44"}, date(2026, 7, 6))
    newer, _ = apply(world, planned(world))
    assert newer.state is RecordState.FINISHED
    assert newer.id != record.id


def test_on_failure_restore_puts_the_stream_back(world: World) -> None:
    world.configure(CONFIG + 'on_failure = "restore"\n')
    assert isinstance(world.registry, Faulty)
    world.registry.refuses = {"os-dx:stable"}
    before = tags(world)

    record, outcome = apply(world, planned(world))

    assert outcome is not None
    assert outcome.restored
    assert (tags(world), record.state is RecordState.FINISHED) == (before, False)
    world.registry.refuses = set()
    again, _ = apply(world, planned(world))
    assert again.state is RecordState.FINISHED
    assert tags(world) == tags(world, "testing")


def test_an_open_announcement_is_finished_later_and_blocks_no_plan(world: World) -> None:
    (world.folder / "news.md").mkdir()
    plan = planned(world)
    record, _ = apply(world, plan)
    assert record.state is RecordState.PARTIAL
    for name in NAMES:
        build(world, name, "testing-44.20260706", {"kernel": "6.3-1.fc44"}, date(2026, 7, 6))

    assert planned(world).changed
    (world.folder / "news.md").rmdir()
    record, _ = apply(world, plan)
    assert record.state is RecordState.FINISHED


@pytest.mark.parametrize("after", range(5))
def test_a_run_that_was_killed_after_any_action_is_finished_by_the_next(after: int, world: World) -> None:
    plan = planned(world)
    done: list[str] = []

    def stop(action: Action, receipt: Receipt) -> None:
        done.append(action.target)
        if len(done) == after + 1:
            raise KeyboardInterrupt

    with world.walk() as walk, pytest.raises(KeyboardInterrupt):
        walk.apply(plan, stop)
    first = list(world.memory.writes)
    record, _ = apply(world, plan)

    assert record.state is RecordState.FINISHED
    assert all(receipt.settled for receipt in record.receipts)
    tagged = [(write.repository, write.tag) for write in world.memory.writes if write.tag == "stable-20260706"]
    assert len(tagged) == len(set(tagged)) == 2
    assert world.memory.writes[: len(first)] == first


def test_a_stream_that_another_run_holds_is_left_alone(world: World) -> None:
    plan = planned(world)
    content = plan_bytes(plan)
    ours = world.ledger.begin(
        record_of(plan, plan_digest(content)),
        content,
        changelog_bytes(plan.changelog),
        host=socket.gethostname(),
        process=os.getppid(),
        now=MONDAY,
    )
    before = tags(world)

    with pytest.raises(Locked) as caught:
        apply(world, plan)

    assert caught.value.exit_code == 8
    assert (tags(world), ours.finished) == (before, False)


# ----------------------------------------------------------------------------------------------- stale, gates


def test_a_stale_plan_writes_nothing(world: World) -> None:
    plan = planned(world)
    world.push("os-dx", "stable", n="somebody else's")
    before = tags(world)

    with pytest.raises(StalePlan):
        apply(world, plan)

    assert tags(world) == before
    assert world.ledger.records() == ()


class Moody:
    """A gate whose answer is set from outside; `None` fails as strangers' code does."""

    def __init__(self) -> None:
        self.state: State | None = State.PASSED

    @hookimpl
    def relman_gates(self, context: GatesContext) -> Iterator[GateResult]:
        for candidate in context.release.candidates:
            if self.state is None:
                raise ZeroDivisionError("a stranger's bug")
            yield GateResult("mood", candidate.variant.name, candidate.image.digest, self.state, "says the mood")


@pytest.fixture
def moody(world: World) -> Moody:
    world.plugins = Plugins()
    gate = Moody()
    world.plugins.register(gate, "moody")
    world.configure(CONFIG + 'gates = ["mood"]\n')
    return gate


@pytest.mark.parametrize("state", [None, *State])
def test_a_gate_that_is_not_passed_before_the_first_write_keeps_everything_as_it_is(
    state: State | None, moody: Moody, world: World
) -> None:
    plan = planned(world)
    moody.state = state
    before = tags(world)

    if state is State.PASSED:
        assert apply(world, plan)[0].state is RecordState.FINISHED
        return
    with pytest.raises(GateClosed, match="gate `mood` is") as caught:
        apply(world, plan)

    assert (caught.value.exit_code, caught.value.hint) == (6, "`relman plan stable` says what would open each gate")
    assert (tags(world), world.ledger.records()) == (before, ())


def test_a_gates_plugin_that_fails_is_a_result_and_no_exception(moody: Moody, world: World) -> None:
    moody.state = None

    plan = planned(world)

    assert [(r.gate, r.variant, r.state) for r in plan.gates] == [
        *(("complete", name, State.PASSED) for name in NAMES),
        *(("hold", name, State.PASSED) for name in NAMES),
        *(("mood", name, State.ERROR) for name in NAMES),
    ]
    assert "plugin `moody` failed in `relman_gates`: ZeroDivisionError: a stranger's bug" in plan.gates[-1].reason


def test_a_gate_is_overridden_until_the_override_ends(moody: Moody, world: World) -> None:
    moody.state = State.FAILED
    by_hand = OverrideRequest("mood", None, None, "urgent", "ada", MONDAY + timedelta(hours=2))
    plan = planned(world, overrides=[by_hand])

    with pytest.raises(GateClosed):
        apply(world, plan, days=1)
    record, _ = apply(world, plan)

    assert [(one.gate, one.variant) for one in plan.overrides] == [("mood", name) for name in NAMES]
    assert (record.state, record.overrides) == (RecordState.FINISHED, plan.overrides)


def test_what_was_begun_is_finished_even_where_a_gate_has_closed_since(moody: Moody, world: World) -> None:
    assert isinstance(world.registry, Faulty)
    world.registry.refuses = {"os-dx:stable"}
    plan = planned(world)
    apply(world, plan)
    world.registry.refuses = set()
    moody.state = State.FAILED

    assert apply(world, plan)[0].state is RecordState.FINISHED


def test_a_gate_that_nobody_answers_is_closed(world: World) -> None:
    world.configure(CONFIG + 'gates = ["nobody"]\n')

    plan = planned(world)

    assert [(r.gate, r.state) for r in plan.closed] == [("nobody", State.ABSENT)] * 2


# ------------------------------------------------------------------------------------------------ plugins


def test_a_section_of_a_plugin_is_in_the_notes_and_one_that_fails_is_named(world: World) -> None:
    class Sized:
        @hookimpl
        def relman_sections(self, context: SectionsContext) -> Iterator[Section]:
            yield Section("size", 60, "Size", f"{len(context.diffs)} images were compared.")

    class Broken:
        @hookimpl
        def relman_sections(self, context: SectionsContext) -> Iterator[Section]:
            raise ZeroDivisionError("a stranger's bug")

    world.plugins = Plugins()
    world.plugins.register(Sized(), "sized")
    assert "2 images were compared." in planned(world).notes
    world.plugins.register(Broken(), "broken")
    with pytest.raises(PluginError, match="plugin `broken` failed in `relman_sections`"):
        planned(world)


def test_two_executors_for_one_kind_are_an_error(world: World) -> None:
    class Second:
        @hookimpl
        def relman_executors(self) -> list[object]:
            from relman_plugins.promote.tags import TagExecutor

            return [TagExecutor()]

    world.plugins = Plugins()
    world.plugins.register(Second(), "z-second")

    with pytest.raises(PluginError, match="plugin `z-second` offers a second executor for `tag`"):
        apply(world, planned(world))


def test_an_image_whose_contents_nobody_can_tell_is_an_error_and_never_an_empty_list(world: World) -> None:
    from relman.testing import put_image

    put_image(world.registry, world.reference("os:x").repository, tags=["testing", "testing-44.20260706"])

    with pytest.raises(Malformed, match="no source serves"):
        planned(world)


def test_what_a_release_kept_is_what_was_in_its_images(world: World) -> None:
    from relman.documents.contents import contents_from_bytes

    record, _ = apply(world, planned(world))

    for variant in record.variants:
        assert variant.contents is not None
        (lists,) = contents_from_bytes(world.ledger.contents(variant.contents) or b"").values()
        (kernel,) = lists.packages.get(Identity("rpm", "kernel", "x86_64"))
        assert (kernel.version, len(lists.packages)) == ("6.2-1.fc44", 101)
