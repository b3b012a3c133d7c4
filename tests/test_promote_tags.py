"""Promotion: tags are moved by digest, byte for byte, dated ones once; images are copied where streams live apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.errors import Malformed, NotFound, StalePlan
from relman.model.oci import Digest
from relman.model.plan import Action, Stage, action_key
from relman.model.record import Receipt, ReceiptState
from relman.testing import MemoryRegistry, Write
from relman_plugins.promote.tags import CopyExecutor, TagExecutor
from tests.walking import PREFIX, World

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry())
    found.push("os", "stable", "old", n="1")
    found.push("os", "testing", "new", n="2", platforms=BOTH)
    return found


def move(world: World, tag: str = "stable", *, dated: bool = False, before: str | None = "old") -> Action:
    """What a plan has for `os:TAG`, made while it held what ``before`` holds."""
    held = world.holds(f"os:{before}") if before else None
    payload = {"reference": f"{PREFIX}/os:{tag}", "digest": world.holds("os:new"), "before": held, "dated": dated}
    target = f"tag:os:{tag}"
    return Action("tag", Stage.PROMOTE, action_key("0" * 16, target), target, payload=payload)


def copy(world: World) -> Action:
    payload = {"from": f"{PREFIX}/os@{world.holds('os:new')}", "to": f"{PREFIX}/prod/os"}
    return Action("copy", Stage.PREPARE, action_key("0" * 16, "copy:os"), "copy:os", payload=payload)


# ------------------------------------------------------------------------------------------------------ tags


def test_a_tag_is_moved_by_writing_the_manifests_own_bytes(world: World) -> None:
    action, before = move(world), len(world.memory.writes)

    receipt = TagExecutor().apply(action, world.registry)
    TagExecutor().verify(action, receipt, world.registry)

    assert receipt == Receipt.of(action, ReceiptState.DONE, remote_id=f"{PREFIX}/os:stable")
    assert world.holds("os:stable") == world.holds("os:new")
    assert world.memory.writes[before:] == [
        Write("manifest", world.reference("os:x").repository, Digest(str(world.holds("os:new"))), "stable")
    ]
    assert world.registry.manifest(world.reference("os:stable")) == world.registry.manifest(world.reference("os:new"))


@pytest.mark.parametrize("dated", [False, True])
def test_a_tag_that_holds_the_digest_is_adopted(dated: bool, world: World) -> None:
    action = move(world, dated=dated)
    world.tag("os:new", "stable")

    adopted = Receipt.of(action, ReceiptState.ADOPTED, remote_id=f"{PREFIX}/os:stable")
    assert TagExecutor().probe(action, world.registry) == adopted


def test_a_tag_that_holds_what_it_held_is_still_to_be_moved(world: World) -> None:
    assert TagExecutor().probe(move(world), world.registry) is None


@pytest.mark.parametrize("dated", [False, True])
def test_a_tag_that_somebody_else_moved_is_stale(dated: bool, world: World) -> None:
    action = move(world, dated=dated)
    world.push("os", "stable", n="3")

    with pytest.raises(StalePlan, match=r"`ghcr\.io/acme/os:stable`") as caught:
        TagExecutor().probe(action, world.registry)

    assert caught.value.exit_code == 5


def test_a_dated_tag_that_is_new_is_written_and_one_that_is_taken_is_never_moved(world: World) -> None:
    action = move(world, "stable-20260706", dated=True, before=None)
    assert TagExecutor().probe(action, world.registry) is None
    world.tag("os:old", "stable-20260706")

    with pytest.raises(StalePlan, match="a dated tag is never moved"):
        TagExecutor().probe(action, world.registry)


def test_a_tag_that_vanished_since_the_plan_is_stale(world: World) -> None:
    action = move(world, "gone", before="old")

    with pytest.raises(StalePlan, match="and holds nothing now"):
        TagExecutor().probe(action, world.registry)


def test_a_tag_that_does_not_hold_what_was_written_is_an_error(world: World) -> None:
    action = move(world)

    with pytest.raises(Malformed, match="was written, but holds"):
        TagExecutor().verify(action, Receipt.of(action, ReceiptState.DONE), world.registry)


def test_an_image_that_is_gone_is_an_error_and_the_tag_stays(world: World) -> None:
    action = move(world)
    action = replace(action, payload={**action.payload, "digest": Digest.of(b"gone")})

    with pytest.raises(NotFound):
        TagExecutor().apply(action, world.registry)
    assert world.holds("os:stable") == world.holds("os:old")


def test_the_way_back_is_the_digest_that_the_plan_saw(world: World) -> None:
    action = move(world)
    receipt = TagExecutor().apply(action, world.registry)

    back = TagExecutor().undo(action, receipt, world.registry)

    assert back == Receipt.of(
        action, ReceiptState.DONE, detail=f"put back to {Digest(str(world.holds('os:old'))).short}"
    )
    assert world.holds("os:stable") == world.holds("os:old")


@pytest.mark.parametrize(
    ("dated", "before", "then"),
    [(True, "old", None), (False, None, None), (False, "old", "os:elsewhere")],
    ids=["dated", "new", "moved since"],
)
def test_there_is_no_way_back_for_dated_and_new_tags_nor_for_what_somebody_moved_since(
    dated: bool, before: str | None, then: str | None, world: World
) -> None:
    world.push("os", "elsewhere", n="3")
    action = move(world, dated=dated, before=before)
    receipt = TagExecutor().apply(action, world.registry)
    if then:
        world.tag(then, "stable")
    held = world.holds("os:stable")

    assert TagExecutor().undo(action, receipt, world.registry) is None
    assert world.holds("os:stable") == held


def test_a_move_is_described_in_one_line(world: World) -> None:
    old, new = (Digest(str(world.holds(f"os:{tag}"))).short for tag in ("old", "new"))

    moves = (move(world), move(world, before=None), move(world, dated=True))
    assert [TagExecutor().describe(each) for each in moves] == [
        f"tag ghcr.io/acme/os:stable: {old} → {new}",
        f"tag ghcr.io/acme/os:stable: new → {new}",
        f"tag ghcr.io/acme/os:stable → {new} (written once)",
    ]


# ------------------------------------------------------------------------------------------------------ copies


def test_an_index_is_copied_whole_and_keeps_its_digests(world: World) -> None:
    action = copy(world)
    assert CopyExecutor().probe(action, world.registry) is None

    receipt = CopyExecutor().apply(action, world.registry)
    CopyExecutor().verify(action, receipt, world.registry)

    assert receipt.state is ReceiptState.DONE
    source, target = world.reference("os:new"), world.reference(f"prod/os@{world.holds('os:new')}")
    assert world.registry.manifest(target).content == world.registry.manifest(source).content
    assert world.registry.tags(target.repository) == ()
    adopted = CopyExecutor().probe(action, world.registry)
    assert isinstance(adopted, Receipt)
    assert adopted.state is ReceiptState.ADOPTED


def test_a_copy_that_is_not_there_afterwards_is_an_error_and_has_no_way_back(world: World) -> None:
    action = copy(world)

    with pytest.raises(Malformed, match=r"was copied to .* is not there"):
        CopyExecutor().verify(action, Receipt.of(action, ReceiptState.DONE), world.registry)
    assert CopyExecutor().undo(action, Receipt.of(action, ReceiptState.DONE), world.registry) is None


# --------------------------------------------------------------------------------------------------- the plan

CONFIG = """\
[changelog]
commits = {{ required = false }}

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{{date}}"]

[streams.stable]
tags = ["stable", "latest"]
from = "testing"
new_version = "stable-{{today}}"
gates = []
{more}
"""


def actions(world: World, more: str = "") -> tuple[Action, ...]:
    world.configure(CONFIG.format(more=more))
    for name in ("os", "os-dx"):
        world.push(name, "testing", "testing-20260705", n=name)
    with world.walk() as walk:
        return walk.plan(walk.config.stream("stable")).actions


def by_target(found: tuple[Action, ...]) -> dict[str, list[str]]:
    targets = {action.key: action.target for action in found}
    return {action.target: [targets[key] for key in action.needs] for action in found}


def test_the_dated_tags_need_every_variants_stream_tags(world: World) -> None:
    moving = [f"tag:{name}:{tag}" for name in ("os", "os-dx") for tag in ("stable", "latest")]

    assert by_target(actions(world)) == {
        **{target: [] for target in moving},
        **{f"tag:{name}:stable-20260706": moving for name in ("os", "os-dx")},
    }


def test_a_stream_that_lives_elsewhere_is_copied_to_before_any_tag_moves(world: World) -> None:
    found = actions(world, 'prefix = "ghcr.io/acme/prod"')

    assert [action.target for action in found if action.kind == "copy"] == ["copy:os", "copy:os-dx"]
    needs = by_target(found)
    assert {target: needs[target] for target in needs if target.endswith(":stable")} == {
        "tag:os:stable": ["evidence:os"],
        "tag:os-dx:stable": ["evidence:os-dx"],
    }
    assert found[0].payload == {
        "from": f"{PREFIX}/os@{world.holds('os:testing')}",
        "to": f"{PREFIX}/prod/os",
    }


def test_a_stream_that_lives_elsewhere_is_released_whole_and_leaves_its_source_as_it_is(world: World) -> None:
    actions(world, 'prefix = "ghcr.io/acme/prod"')
    before = {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")}

    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
        _, outcome = walk.apply(plan, lambda action, receipt: None)

    assert outcome is not None
    assert outcome.stopped is None
    for name in ("os", "os-dx"):
        for tag in ("stable", "latest", "stable-20260706"):
            assert world.holds(f"prod/{name}:{tag}") == world.holds(f"{name}:testing")
        assert (world.holds(f"{name}:stable"), world.holds(f"{name}:latest")) == (before[name], None)


def test_keys_are_those_of_the_release_and_the_target_and_nothing_else(world: World) -> None:
    (first, *_) = actions(world)
    with world.walk() as walk:
        release = walk.resolve(walk.config.stream("stable"))

    assert first.key == action_key(release.id, "tag:os:stable")


def test_carried_out_every_tag_moves_and_the_second_time_nothing_is_written(world: World) -> None:
    actions(world)
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
        record, outcome = walk.apply(plan, lambda action, receipt: None)
    assert outcome is not None
    assert outcome.stopped is None

    for name in ("os", "os-dx"):
        for tag in ("stable", "latest", "stable-20260706"):
            assert world.holds(f"{name}:{tag}") == world.holds(f"{name}:testing")
    writes = list(world.memory.writes)
    with world.walk() as walk:
        assert walk.apply(plan, lambda action, receipt: None) == (record, None)
    assert world.memory.writes == writes
