"""The way back: planned, checked, carried out and recorded like a promotion; and what is said against a release."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman import afterwards, returning, standing
from relman.documents.changelog import changelog_bytes
from relman.documents.plan import plan_bytes, plan_digest, plan_from_bytes
from relman.errors import (
    AnswerLost,
    GateClosed,
    Locked,
    Malformed,
    NotFound,
    PartlyDone,
    RelmanError,
    StalePlan,
    Unequipped,
    UsageError,
)
from relman.ledger.folder import FolderLedger
from relman.model.holds import Hold
from relman.model.oci import Digest, Repository
from relman.model.plan import Action, Plan, State
from relman.model.record import Receipt, ReceiptState, Record, RecordState
from relman.render.rollback import RollbackRenderer, Withdrawn, told
from relman.testing import MemoryRegistry
from relman.walk.acting import Outcome
from relman.walk.planning import record_of
from relman.walk.recorded import recorded
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[[announce]]
type = "file"
name = "news"
path = "news-{{ version }}.md"
required = true

[streams.testing]
tags = ["testing"]
versions = ["testing-{major}.{date}[.{point}]"]

[streams.stable]
tags = ["stable", "{major}"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
NAMES = ("os", "os-dx")
A, B, C = "stable-20260706", "stable-20260707", "stable-20260708"


class Failing(MemoryRegistry):
    """A registry that goes wrong at the ``at``-th tag that it is told to move, in the way that ``how`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.at: int | None = None
        self.how = ""
        self.moves = 0
        self.gone: set[Digest] = set()

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        self.moves += tag is not None
        hit = tag is not None and self.moves == self.at
        if hit and self.how == "refused":
            raise Unequipped(f"`{repository}` refuses")
        if hit and self.how == "lost before":
            raise AnswerLost("no answer")
        if hit and self.how == "killed before":
            raise KeyboardInterrupt
        digest = super().put_manifest(repository, content, media_type, tag=tag)
        if hit and self.how == "lost after":
            raise AnswerLost("no answer")
        if hit and self.how == "killed after":
            raise KeyboardInterrupt
        return digest

    def fail(self, at: int | None, how: str = "") -> None:
        self.at, self.how, self.moves = at, how, 0

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        if digest in self.gone:
            raise NotFound(f"`{repository}` has no blob `{digest}`")
        return super().blob_range(repository, digest, start, length)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three releases, A, B and C, of which C is the one with fedora 45 in it."""
    found = World(tmp_path, Failing())
    found.configure(CONFIG)
    for day, (major, kernel) in enumerate([(44, "6.1"), (44, "6.2"), (45, "6.3")]):
        release(found, day, kernel, major=major)
    return found


def release(world: World, day: int, kernel: str, *, major: int = 45) -> Record:
    world.now = MONDAY + timedelta(day)
    for name in NAMES:
        built = date(2026, 7, 5) + timedelta(day)
        packages = {"kernel": f"{kernel}-1.fc44"}
        world.push(name, f"testing-{major}.{built:%Y%m%d}", "testing", day=built, packages=packages, v=name)
    with world.walk() as walk:
        record, _ = walk.apply(walk.plan(walk.config.stream("stable")), quietly)
    assert record.state is RecordState.FINISHED
    return record


def quietly(action: Action, receipt: Receipt) -> None:
    """Say nothing."""


def rollback(world: World, to: str | None = None, *, reason: str | None = None) -> Plan | None:
    world.now += timedelta(hours=1)
    with world.walk() as walk:
        return returning.plan_rollback(walk, walk.config.stream("stable"), to=to, reason=reason, by="ada")


def way_back(world: World, to: str | None = None, *, reason: str | None = None) -> Plan:
    plan = rollback(world, to, reason=reason)
    assert plan is not None
    return plan


def apply(
    world: World, plan: Plan, report: Callable[[Action, Receipt], None] = quietly
) -> tuple[Record, Outcome | None]:
    with world.walk() as walk:
        return walk.apply(plan, report)


def images(world: World, version: str) -> dict[str, Digest | None]:
    """What the dated tags of a release hold."""
    return {name: world.holds(f"{name}:{version}") for name in NAMES}


def tags(world: World, tag: str = "stable") -> dict[str, Digest | None]:
    return images(world, tag)


def states(world: World) -> dict[str, str]:
    return {record.version + ("*" if record.rollback else ""): record.state for record in world.ledger.records()}


def unhold(world: World) -> None:
    world.ledger.unhold("stable")


def failing(world: World) -> Failing:
    assert isinstance(world.registry, Failing)
    return world.registry


# ------------------------------------------------------------------------------------------------ the whole


def test_a_rollback_moves_the_streams_tags_back_and_nothing_else(world: World) -> None:
    before = {tag: tags(world, tag) for tag in (A, B, C, "testing", "45")}
    plan = way_back(world, reason="no sound")
    writes = len(world.memory.writes)

    record, outcome = apply(world, plan)

    assert outcome is not None
    assert tags(world) == tags(world, "44") == images(world, B)
    assert {tag: tags(world, tag) for tag in before} == before
    assert sorted((w.kind, w.repository.name, w.tag) for w in world.memory.writes[writes:]) == [
        ("manifest", "acme/os", "stable"),
        ("manifest", "acme/os-dx", "stable"),
    ]
    assert {receipt.action: receipt.state for receipt in outcome.receipts} == {
        "tag:os:stable": ReceiptState.DONE,
        "tag:os:44": ReceiptState.ADOPTED,
        "tag:os-dx:stable": ReceiptState.DONE,
        "tag:os-dx:44": ReceiptState.ADOPTED,
        "file:news": ReceiptState.DONE,
    }
    assert (record.state, record.version, record.previous, record.rollback) == (
        RecordState.FINISHED,
        B,
        plan.previous_id,
        plan.rollback,
    )
    assert plan.rollback is not None
    assert (plan.rollback.reason, plan.rollback.by) == ("no sound", "ada")
    assert states(world) == {f"{B}*": "finished", C: "rolled-back", B: "finished", A: "finished"}
    assert sorted(file.name for file in world.folder.glob("news-*")) == [
        f"news-{name}.md" for name in (A, f"{B}-instead-of-{C}", B, C)
    ]


def test_the_plan_says_what_users_get_and_which_tags_stay(world: World) -> None:
    plan = way_back(world)

    (group,) = plan.changelog.groups
    assert [(row.packages[0].name, row.before, row.after) for row in group.rows] == [
        ("kernel", ("6.3-1.fc44",), ("6.2-1.fc44",))
    ]
    assert plan.changelog.commits == ()
    assert plan.assumed == (
        f"this goes back from `{C}` to `{B}`",
        f"`ghcr.io/acme/os:45` stays where it is: `{B}` did not have it",
        f"`ghcr.io/acme/os-dx:45` stays where it is: `{B}` did not have it",
    )
    assert [(gate.gate, gate.state) for gate in plan.gates] == [("complete", State.PASSED)] * 2
    assert plan_from_bytes(plan_bytes(plan)) == plan


def test_a_rollback_holds_the_stream_until_it_is_let_go(world: World) -> None:
    record, _ = apply(world, way_back(world, reason="no sound"))

    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
        state = standing.stream_state(walk, walk.config.stream("stable"))
        with pytest.raises(GateClosed) as caught:
            walk.apply(plan, quietly)

    (hold,) = state.holds
    assert hold == Hold("stable", None, f"rolled back from {C} to {B}: no sound", "ada", record.created)
    assert f"ada holds stable since 2026-07-08 13:00: rolled back from {C} to {B}: no sound" in caught.value.message
    assert "`relman unhold stable`" in caught.value.message
    unhold(world)
    with world.walk() as walk:
        assert {gate.state for gate in walk.plan(walk.config.stream("stable")).gates} == {State.PASSED}


def test_the_next_release_follows_what_the_stream_was_rolled_back_to(world: World) -> None:
    back, _ = apply(world, way_back(world))
    unhold(world)

    newer = release(world, 4, "6.4")

    assert newer.previous == back.id
    assert {v.name: v.previous_digest for v in newer.variants} == images(world, B)
    with world.walk() as walk:
        _, changelog = recorded(walk.ledger, "stable", newer.version) or (None, None)
    assert changelog is not None
    assert changelog.previous == B


def test_notes_of_a_version_are_those_of_its_release_not_of_the_way_back_to_it(world: World) -> None:
    apply(world, way_back(world))

    with world.walk() as walk:
        record, changelog = recorded(walk.ledger, "stable", B) or (None, None)
        published = walk.published(walk.config.stream("stable"), B)

    assert record is not None
    assert changelog is not None
    assert (record.rollback, changelog.previous, published.previous, published.id) == (None, A, A, record.id)
    assert world.ledger.record(B) == record


def test_a_stream_that_is_back_is_not_taken_further_back_by_the_same_command(world: World) -> None:
    apply(world, way_back(world))

    assert rollback(world) is None


def test_a_stream_is_taken_further_back_and_forward_again_by_name(world: World) -> None:
    apply(world, way_back(world))
    apply(world, way_back(world, A))
    assert (tags(world), states(world)) == (
        images(world, A),
        {f"{A}*": "finished", f"{B}*": "rolled-back", C: "rolled-back", B: "rolled-back", A: "finished"},
    )
    (hold,) = world.ledger.holds()
    assert hold.reason == f"rolled back from {C} to {B}"

    apply(world, way_back(world, C))

    assert tags(world) == images(world, C)
    assert states(world)[A] == "finished"


def test_what_was_released_after_a_rollback_goes_back_to_what_the_stream_held_then(world: World) -> None:
    apply(world, way_back(world))
    apply(world, way_back(world, A))
    unhold(world)
    release(world, 4, "6.4")

    assert way_back(world).version == A


def test_going_back_to_what_is_held_is_nothing_to_do(world: World) -> None:
    apply(world, way_back(world))

    plan = way_back(world, B)

    assert (plan.changed, plan.actions) == (False, ())


def test_tags_that_somebody_set_back_by_hand_are_recorded(world: World) -> None:
    for name in NAMES:
        world.tag(f"{name}:{B}", "stable")

    record, outcome = apply(world, way_back(world))

    assert outcome is not None
    tags_alone = [receipt for receipt in outcome.receipts if receipt.action.startswith("tag:")]
    assert {receipt.state for receipt in tags_alone} == {ReceiptState.ADOPTED}
    assert (record.state, tags(world)) == (RecordState.FINISHED, images(world, B))


def test_a_release_whose_announcement_is_open_can_be_taken_back(world: World) -> None:
    (world.folder / "news-stable-20260710.md").mkdir()
    with pytest.raises(AssertionError):
        release(world, 4, "6.4")
    assert states(world)["stable-20260710"] == "partial"

    plan = way_back(world)
    apply(world, plan)

    assert plan.version == C
    assert states(world)["stable-20260710"] == "rolled-back"


def test_with_a_clock_that_stands_still_the_rollback_is_still_the_newest_record(world: World) -> None:
    with world.walk() as walk:
        plan = returning.plan_rollback(walk, walk.config.stream("stable"), by="ada")
        assert plan is not None
        record, _ = walk.apply(plan, quietly)

    assert world.ledger.records()[0] == record


# ------------------------------------------------------------------------------------------ what is refused


def test_a_stream_that_is_built_in_place_says_who_writes_its_tag(world: World) -> None:
    with world.walk() as walk, pytest.raises(UsageError, match="stream `testing` is built in place: its builds write"):
        returning.plan_rollback(walk, walk.config.stream("testing"), by="ada")


def test_without_an_earlier_release_there_is_no_way_back(world: World) -> None:
    apply(world, way_back(world, A))
    with pytest.raises(NotFound, match="stream `stable` has no record `stable-20250101`"):
        rollback(world, "stable-20250101")
    with world.walk() as walk:
        afterwards.yank(walk, world.ledger.record(A), "worse", by="ada")
    with pytest.raises(NotFound, match="there is no finished release of `stable` with digests before"):
        rollback(world)


def test_a_release_without_one_of_the_variants_is_no_way_back(world: World) -> None:
    world.configure(CONFIG.replace('name = "os-dx"', 'name = "os-dx"\n\n[[variants]]\nname = "os-nvidia"'))

    with pytest.raises(NotFound, match=f"`{B}` has no `os-nvidia`: a rollback moves every variant, or none"):
        rollback(world)


def test_an_image_that_is_gone_or_hollow_is_no_way_back(world: World) -> None:
    with world.walk() as walk:
        image = walk.instruments.look(world.reference(f"os:{B}"))
    failing(world).gone = {image.platforms[0].layers[0].digest}

    with pytest.raises(NotFound, match=f"`os` of `{B}` cannot be gone back to: `.*` has no blob"):
        rollback(world)


def test_a_platform_that_lacks_closes_the_gate(world: World) -> None:
    world.configure(CONFIG.replace('name = "os-dx"', 'name = "os-dx"\nplatforms = ["linux/amd64", "linux/arm64"]'))
    plan = way_back(world)
    before = tags(world)

    with pytest.raises(GateClosed, match="gate `complete` is failed for `os-dx`"):
        apply(world, plan)

    assert (tags(world), world.ledger.holds()) == (before, ())


def test_lists_that_nobody_can_read_hold_up_no_rollback(world: World) -> None:
    world.configure(CONFIG + "\n[packages]\nsources = []\n")

    plan = way_back(world)
    apply(world, plan)

    assert "Nothing was compared" in plan.notes
    assert tags(world) == images(world, B)


def test_a_stale_rollback_writes_nothing(world: World) -> None:
    plan = way_back(world)
    world.push("os-dx", "stable", n="somebody else's")
    before, records = tags(world), world.ledger.records()

    with pytest.raises(StalePlan):
        apply(world, plan)

    assert (tags(world), world.ledger.records(), world.ledger.holds()) == (before, records, ())


def test_a_release_that_was_yanked_meanwhile_is_not_gone_back_to(world: World) -> None:
    plan = way_back(world)
    with world.walk() as walk:
        afterwards.yank(walk, world.ledger.record(B), "worse", by="ada")

    with pytest.raises(StalePlan, match=f"`{B}` was yanked since the plan was made"):
        apply(world, plan)


# ---------------------------------------------------------------------------------------- in the middle

FAULTS = ("refused", "lost before", "lost after", "killed before", "killed after")


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("how", FAULTS)
def test_whatever_goes_wrong_at_any_write_the_next_run_finishes_and_a_third_writes_nothing(
    how: str, at: int, world: World
) -> None:
    plan, old = way_back(world), tags(world)
    failing(world).fail(at, how)
    exact = {"refused": at - 1, "lost before": at - 1, "killed before": at - 1, "lost after": 2, "killed after": at}

    try:
        record, _ = apply(world, plan)
        finished = record.state is RecordState.FINISHED
    except KeyboardInterrupt:
        finished = False
    moved = [name for name in NAMES if tags(world)[name] != old[name]]
    assert (finished, len(moved)) == (how == "lost after", exact[how])
    if not finished:
        assert states(world)[C] == "finished"
    if moved and not finished:
        with pytest.raises(PartlyDone) as caught:
            rollback(world)
        assert caught.value.hint == f"finish it: `relman resume {plan.id}`"

    failing(world).fail(None)
    record, _ = apply(world, plan)
    assert (record.state, tags(world)) == (RecordState.FINISHED, images(world, B))
    assert states(world) == {f"{B}*": "finished", C: "rolled-back", B: "finished", A: "finished"}
    assert [hold.reason for hold in world.ledger.holds()] == [f"rolled back from {C} to {B}"]

    writes = list(world.memory.writes)
    assert apply(world, plan) == (record, None)
    assert world.memory.writes == writes


@pytest.mark.parametrize("after", range(5))
def test_a_run_that_is_killed_after_any_action_is_not_over_before_the_old_record_says_so(
    after: int, world: World
) -> None:
    plan = way_back(world)
    done: list[str] = []

    def stop(action: Action, receipt: Receipt) -> None:
        done.append(action.target)
        if len(done) == after + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(world, plan, stop)
    assert states(world) == {f"{B}*": "partial", C: "finished", B: "finished", A: "finished"}
    with pytest.raises(PartlyDone):
        rollback(world)

    record, _ = apply(world, plan)
    assert (record.state, states(world)[C]) == (RecordState.FINISHED, "rolled-back")


# ------------------------------------------------------------------------------------------------ people are told


def test_a_rollback_is_announced_with_a_text_of_its_own_whatever_template_a_channel_has(world: World) -> None:
    templates = world.folder / "templates"
    templates.mkdir()
    (templates / "toot.md.j2").write_text("Hooray, {{ version }} is here!\n")
    more = '[[announce]]\ntype = "file"\nname = "toot"\npath = "toot.md"\ntemplate = "toot.md.j2"\n\n'
    more += '[[announce]]\ntype = "webhook"\nname = "hook"\nurl = "https://acme.example/hook"\n\n'
    world.configure(CONFIG.replace("[[announce]]", f"{more}[[announce]]", 1))

    plan = way_back(world, reason="no *sound*")

    texts = {action.target: action.payload for action in plan.actions if action.channel}
    images_now = [f"- {name}: `{digest}` of `ghcr.io/acme/{name}`" for name, digest in images(world, B).items()]
    said = [
        "**Composed OS stable goes back to stable-20260707**",
        "",
        f"Composed OS `stable` holds `{B}` again. `{C}` is withdrawn: no \\*sound\\*.",
        "",
        f"Machines that follow `stable` go back with their next update; whoever has `{C}` should update now.",
        "",
        "These tags still hold what was withdrawn: `ghcr.io/acme/os:45`, `ghcr.io/acme/os-dx:45`. "
        "Who follows one of them should switch.",
        "",
        *images_now,
    ]
    assert str(texts["file:toot"]["text"]).strip().splitlines() == said
    assert str(texts["file:news"]["text"]).strip().splitlines() == said
    body = json.loads(str(texts["webhook:hook"]["body"]))
    assert body["rollback"] == {"of": C, "to": B, "reason": "no *sound*"}
    assert body["summary"] == f"Composed OS stable goes back to {B}: {C} is withdrawn: no *sound*"
    assert {action.target: action.required for action in plan.actions if action.channel} == {
        "file:toot": False,
        "webhook:hook": False,
        "file:news": True,
    }


@pytest.mark.parametrize("format", ["markdown", "classic", "html", "text", "bbcode"])
def test_notes_of_a_rollback_say_the_same_in_every_format_and_fit_where_there_is_little_room(
    world: World, format: str
) -> None:
    with world.walk() as walk:
        plan = returning.plan_rollback(walk, walk.config.stream("stable"), by="ada", reason="<no> & sound")
        assert plan is not None
        images_of = ({"name": "os", "repository": "ghcr.io/acme/os", "digest": "sha256:" + "a" * 64},) * 30
        withdrawn = Withdrawn(C, B, "<no> & sound", "ada", images_of, ())
        said = told(plan.changelog, withdrawn)
        renderer = RollbackRenderer(walk.instruments.templates, said, withdrawn, {"authors": False, "id": plan.id})

    whole, short = renderer.notes(format), renderer.notes(format, limit=2100 if format == "html" else 400)

    assert len(short) < 2101 < len(whole)
    for text in (whole, short):
        assert B in text.replace("\\", "")
        assert C in text.replace("\\", "")
        assert "<no>" not in text or format in ("text", "bbcode")


def test_a_rollback_whose_announcement_fails_is_over_for_the_stream_and_can_be_taken_up_again(world: World) -> None:
    news = world.folder / f"news-{B}-instead-of-{C}.md"
    news.mkdir()
    plan = way_back(world)

    record, _ = apply(world, plan)

    assert (record.state, states(world)[C], tags(world)) == (RecordState.PARTIAL, "rolled-back", images(world, B))
    further = way_back(world, A)
    assert further.version == A
    news.rmdir()
    record, _ = apply(world, plan)
    assert (record.state, news.read_text().startswith("**Composed OS stable goes back")) == (RecordState.FINISHED, True)


def test_a_rollback_of_which_nothing_happened_lets_go_of_the_stream(world: World) -> None:
    plan = way_back(world)
    failing(world).fail(1, "refused")

    record, outcome = apply(world, plan)

    assert outcome is not None
    assert isinstance(outcome.stopped, Unequipped)
    assert (record.state, world.ledger.holds()) == (RecordState.INTENDED, ())


def test_on_failure_restore_puts_the_stream_where_it_was(world: World) -> None:
    world.configure(CONFIG + 'on_failure = "restore"\n')
    plan, before = way_back(world), tags(world)
    failing(world).fail(2, "refused")

    _, outcome = apply(world, plan)

    assert outcome is not None
    assert (outcome.restored, tags(world), world.ledger.holds()) == (True, before, ())
    assert states(world)[C] == "finished"


def test_a_hold_that_a_person_set_stays_whatever_becomes_of_the_rollback(world: World) -> None:
    hold = Hold("stable", None, "holidays", "grace", MONDAY)
    world.ledger.hold(hold)
    plan = way_back(world)
    failing(world).fail(1, "refused")
    apply(world, plan)
    failing(world).fail(None)
    apply(world, plan)

    assert world.ledger.holds() == (hold,)


def test_the_audit_takes_a_rollback_for_no_fault(world: World) -> None:
    apply(world, way_back(world))
    unhold(world)
    release(world, 4, "6.4")

    with world.walk() as walk:
        found = standing.audit(walk, [walk.config.stream("stable")], last=None)

    assert found.findings == ()


# ----------------------------------------------------------------------------------------------------- yank


def yank(world: World, version: str, reason: str = "eats files", *, by: str = "ada") -> Record:
    with world.walk() as walk:
        return afterwards.yank(walk, afterwards.yankable(walk, walk.config.stream("stable"), version), reason, by=by)


def test_a_yank_marks_the_record_and_nothing_else(world: World) -> None:
    before, writes = tags(world), list(world.memory.writes)

    record = yank(world, B)

    assert record.withdrawn is not None
    assert (record.state, record.withdrawn.reason, record.withdrawn.by, record.withdrawn.at) == (
        RecordState.YANKED,
        "eats files",
        "ada",
        world.now,
    )
    assert world.ledger.record(B) == record
    assert (tags(world), world.memory.writes) == (before, writes)


def test_a_release_that_somebody_works_on_is_not_yanked(world: World) -> None:
    plan = way_back(world)
    content = plan_bytes(plan)
    world.ledger.begin(
        record_of(plan, plan_digest(content)),
        content,
        changelog_bytes(plan.changelog),
        host=socket.gethostname(),
        process=os.getppid(),
        now=world.now,
    )
    ours = next(record for record in world.ledger.records() if record.id == plan.id)

    with world.walk() as walk, pytest.raises(Locked):
        afterwards.yank(walk, ours, "eats files", by="ada")


def test_a_second_yank_changes_nothing(world: World) -> None:
    first = yank(world, B)

    assert yank(world, B, "another reason", by="grace") == first


def test_a_yanked_release_is_no_way_back_and_no_predecessor(world: World) -> None:
    yank(world, B)

    assert way_back(world).version == A
    with pytest.raises(RelmanError, match=f"`{B}` was yanked: eats files"):
        rollback(world, B)
    yank(world, C)
    newer = release(world, 4, "6.4")
    assert {v.name: v.previous_digest for v in newer.variants} == images(world, A)


def test_a_yanked_release_that_the_stream_holds_is_named_and_taken_back(world: World) -> None:
    record = yank(world, C)

    with world.walk() as walk:
        stream = walk.config.stream("stable")
        assert afterwards.holding(walk, stream, record) == NAMES
        state = standing.stream_state(walk, stream)
    assert (state.yanked, state.released and state.released.version) == (record, B)
    apply(world, way_back(world))

    assert tags(world) == images(world, B)
    assert states(world) == {f"{B}*": "finished", C: "yanked", B: "finished", A: "finished"}
    with world.walk() as walk:
        assert standing.stream_state(walk, stream).yanked is None


def test_what_a_rollback_went_to_and_was_yanked_then_is_taken_back_by_the_same_command(world: World) -> None:
    apply(world, way_back(world))
    yank(world, B)

    assert way_back(world).version == A


def test_a_yanked_image_never_enters_the_stream_again(world: World) -> None:
    apply(world, way_back(world))
    yank(world, C)
    unhold(world)

    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))

    assert {(gate.gate, gate.reason) for gate in plan.closed if gate.gate == "hold"} == {
        ("hold", f"it was yanked as {C}: eats files")
    }


def test_only_what_was_released_is_yanked(world: World) -> None:
    with pytest.raises(NotFound, match="stream `stable` has no record `stable-20250101`"):
        yank(world, "stable-20250101")
    world.now += timedelta(days=2)
    for name in NAMES:
        world.push(name, "testing", "testing-45.20260709", day=date(2026, 7, 9), v=name)
    with world.walk() as walk:
        failing(world).fail(1, "refused")
        walk.apply(walk.plan(walk.config.stream("stable")), quietly)
    with pytest.raises(RelmanError, match="`stable-20260710` was never released: its record is intended"):
        yank(world, "stable-20260710")
    with world.walk() as walk:
        failing(world).fail(2, "refused")
        walk.apply(walk.plan(walk.config.stream("stable")), quietly)
    with pytest.raises(PartlyDone):
        yank(world, "stable-20260710")


# -------------------------------------------------------------------------------------------------- the holds

NOON = datetime.fromisoformat("2026-07-06T12:00:00Z")
ALL = Hold("stable", None, "a broken kernel", "ada", NOON)
ONE = Hold("stable", "os-dx", "no sound", "grace", NOON)


def test_holds_are_kept_one_for_each_stream_and_variant(tmp_path: Path) -> None:
    ledger = FolderLedger(tmp_path)
    assert ledger.holds() == ()

    for hold in (ONE, Hold("next", None, "holidays", "ada", NOON), ALL, replace(ONE, reason="still no sound")):
        ledger.hold(hold)

    assert ledger.holds() == (
        Hold("next", None, "holidays", "ada", NOON),
        ALL,
        replace(ONE, reason="still no sound"),
    )
    assert ledger.records() == ()


def test_lifting_answers_with_what_was_lifted_and_nothing_is_no_error(tmp_path: Path) -> None:
    ledger = FolderLedger(tmp_path)
    for hold in (ALL, ONE):
        ledger.hold(hold)

    assert ledger.unhold("next") == ()
    assert ledger.unhold("stable", "os-dx") == (ONE,)
    assert ledger.holds() == (ALL,)
    ledger.hold(ONE)
    assert ledger.unhold("stable") == (ALL, ONE)
    assert (ledger.holds(), ledger.unhold("stable")) == ((), ())


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema": "relman.holds/2", "holds": []}', b"[", b"\xff"])
def test_holds_that_cannot_be_read_do_not_pass_for_none(content: bytes, world: World) -> None:
    (world.folder / "releases" / "holds.json").write_bytes(content)

    with world.walk() as walk, pytest.raises(Malformed) as caught:
        walk.plan(walk.config.stream("stable"))

    assert "holds.json" in caught.value.message


def test_a_hold_names_a_variant_that_is_there_and_a_reason(world: World) -> None:
    with world.walk() as walk:
        stream = walk.config.stream("stable")
        with pytest.raises(UsageError, match="there is no variant `kde`"):
            afterwards.held_by(walk, stream, "kde", "x", by="ada")
        with pytest.raises(UsageError, match="a hold needs a reason"):
            afterwards.held_by(walk, stream, None, "  ", by="ada")


def test_a_held_variant_keeps_the_whole_release_out(world: World) -> None:
    world.ledger.hold(ONE)
    for name in NAMES:
        world.push(name, "testing", "testing-45.20260710", day=date(2026, 7, 10), v=name)

    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
        with pytest.raises(GateClosed):
            walk.apply(plan, quietly)

    assert [(gate.gate, gate.variant) for gate in plan.closed] == [("hold", "os-dx")]
