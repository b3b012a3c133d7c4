"""plan: what it pins, what makes it stale, and whether another release stands half done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.documents.plan import plan_bytes, plan_digest, plan_from_bytes
from relman.errors import StalePlan
from relman.model.oci import LINUX_AMD64, Digest
from relman.model.plan import Plan, PlannedVariant, Stage
from relman.model.record import Receipt, ReceiptState, RecordedVariant, RecordState
from relman.testing import MemoryRegistry
from relman.walk.planning import check_fresh, moved_in_part, record_of
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{major}.{date}[.{point}]"]

[streams.stable]
tags = ["stable", "{major}"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
PROMOTES = [f"tag:{name}:{tag}" for name in ("os", "os-dx") for tag in ("stable", "44")]
SEALS = [f"tag:{name}:stable-20260706" for name in ("os", "os-dx")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry())
    found.configure(CONFIG)
    for name in ("os", "os-dx"):
        found.push(name, "testing-44.20260601", "stable", "stable-20260602", day=MONDAY.date() - timedelta(35), v=name)
        day = MONDAY.date() - timedelta(1)
        found.push(name, "testing-44.20260705", "testing", day=day, packages={"kernel": "2-1.fc44"}, v=name)
    return found


def planned(world: World) -> Plan:
    with world.walk() as walk:
        return walk.plan(walk.config.stream("stable"))


def check(world: World, plan: Plan, *known: Receipt) -> None:
    with world.walk() as walk:
        check_fresh(plan, walk.config, world.registry, known)


def receipts(plan: Plan, **states: ReceiptState) -> tuple[Receipt, ...]:
    wanted = {target.replace("__", ":"): state for target, state in states.items()}
    return tuple(
        Receipt(action.key, action.target, wanted[action.target], MONDAY)
        for action in plan.actions
        if action.target in wanted
    )


# ---------------------------------------------------------------------------------------------- what it holds


def test_a_plan_pins_every_variant_and_what_each_tag_held(world: World) -> None:
    plan = planned(world)

    assert plan.variants == tuple(
        PlannedVariant(
            name=name,
            reference=world.reference(f"{name}@{world.holds(f'{name}:testing')}"),
            digest=Digest(str(world.holds(f"{name}:testing"))),
            platforms=(LINUX_AMD64,),
            revision=None,
            previous_digest=world.holds(f"{name}:stable"),
            source=world.reference(f"{name}:testing@{world.holds(f'{name}:testing')}"),
            tags={"stable": world.holds(f"{name}:stable"), "44": None, "stable-20260706": None},
        )
        for name in ("os", "os-dx")
    )
    assert [(action.stage, action.target) for action in plan.actions] == [
        *((Stage.PROMOTE, target) for target in PROMOTES),
        *((Stage.SEAL, target) for target in SEALS),
    ]
    assert (plan.version, plan.previous, plan.changed) == ("stable-20260706", "stable-20260602", True)


def test_planning_writes_nothing_and_gives_the_same_bytes_each_time(world: World) -> None:
    before = list(world.memory.writes)

    one, two = plan_bytes(planned(world)), plan_bytes(planned(world))

    assert one == two
    assert plan_from_bytes(one) == planned(world)
    assert world.memory.writes == before
    assert not (world.folder / "releases").exists()


def test_the_record_of_a_plan_is_its_intent(world: World) -> None:
    plan = planned(world)
    digest = plan_digest(plan_bytes(plan))

    record = record_of(plan, digest)

    assert (record.id, record.version, record.state, record.plan, record.previous, record.finished) == (
        plan.id,
        "stable-20260706",
        RecordState.INTENDED,
        digest,
        None,
        None,
    )
    assert record.gates == plan.gates
    assert record.variants[0] == RecordedVariant(
        "os",
        "ghcr.io/acme/os",
        Digest(str(world.holds("os:testing"))),
        world.holds("os:stable"),
        (LINUX_AMD64,),
        None,
    )


# ------------------------------------------------------------------------------------------------------ stale


def test_a_plan_is_fresh_while_its_tags_hold_what_it_saw_or_what_it_plans(world: World) -> None:
    plan = planned(world)
    check(world, plan)
    world.tag("os:testing", "stable", "44", "stable-20260706")
    check(world, plan)


@pytest.mark.parametrize("tag", ["stable", "44", "stable-20260706"])
def test_a_tag_that_somebody_else_moved_makes_a_plan_stale_and_is_named(tag: str, world: World) -> None:
    plan = planned(world)
    world.push("os-dx", tag, n="somebody else's")

    with pytest.raises(StalePlan, match=f"`ghcr.io/acme/os-dx:{tag}` held") as caught:
        check(world, plan)

    assert caught.value.exit_code == 5
    assert caught.value.hint == "make a new plan: `relman plan stable`"


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (lambda text: text.replace("stable-{today}", "release-{today}"), True),
        (lambda text: text.replace("ghcr.io/acme", "ghcr.io/other"), True),
        (lambda text: text.replace("Composed OS", "Another OS"), True),
        (lambda text: text + '\n[[variants]]\nname = "third"\n', True),
        (lambda text: text + '\n[[announce]]\ntype = "file"\npath = "news.md"\n', False),
        (lambda text: "# a comment\n" + text + "\n[packages]\nminimum = 7\n", False),
    ],
)
def test_of_the_configuration_only_what_is_pinned_makes_a_plan_stale(
    change: Callable[[str], str], stale: bool, world: World
) -> None:
    plan = planned(world)
    file = world.folder / "relman.toml"
    file.write_text(change(file.read_text()))

    if stale:
        with pytest.raises(StalePlan, match="has changed since the plan was made"):
            check(world, plan)
    else:
        check(world, plan)


def test_a_source_that_moved_on_does_not_matter_unless_the_stream_refuses(world: World) -> None:
    plan = planned(world)
    world.push("os", "testing", n="newer")
    check(world, plan)

    world.configure(CONFIG + 'on_source_moved = "refuse"\n')
    world.tag(f"os@{plan.variants[0].digest}", "testing")
    plan = planned(world)
    world.push("os", "testing", n="newer")
    with pytest.raises(StalePlan, match=r"the source `ghcr\.io/acme/os:testing` moved on from"):
        check(world, plan)


def test_a_source_that_moved_on_after_the_first_write_is_never_refused(world: World) -> None:
    world.configure(CONFIG + 'on_source_moved = "refuse"\n')
    plan = planned(world)
    world.push("os", "testing", n="newer")

    check(world, plan, *receipts(plan, tag__os__stable=ReceiptState.DONE))
    with pytest.raises(StalePlan):
        check(world, plan, *receipts(plan, tag__os__stable=ReceiptState.FAILED))


# ------------------------------------------------------------------------------------------------- half done

ALL = [target.replace(":", "__") for target in (*PROMOTES, *SEALS)]


@pytest.mark.parametrize(
    ("states", "half"),
    [
        ({}, False),
        (dict.fromkeys(ALL, ReceiptState.FAILED), False),
        (dict.fromkeys(ALL, ReceiptState.SKIPPED), False),
        ({ALL[0]: ReceiptState.DONE}, True),
        ({ALL[0]: ReceiptState.UNKNOWN}, True),
        ({ALL[-1]: ReceiptState.ADOPTED}, False),  # it was so before
        (dict.fromkeys(ALL, ReceiptState.DONE) | {ALL[-1]: ReceiptState.FAILED}, True),
        (dict.fromkeys(ALL, ReceiptState.DONE), False),
    ],
)
def test_a_release_stands_half_done_where_some_but_not_all_of_its_tags_may_have_moved(
    states: dict[str, ReceiptState], half: bool, world: World
) -> None:
    plan = planned(world)

    assert moved_in_part(plan, receipts(plan, **states)) == half


def test_a_release_without_tags_is_never_half_done(world: World) -> None:
    assert not moved_in_part(replace(planned(world), actions=()), ())
