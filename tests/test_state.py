"""What `relman status` tells of a stream, and how old things are, in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from relman import standing
from relman.model.record import RecordState
from relman.model.state import StreamState, VariantState, age
from relman.testing import MemoryRegistry
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}"
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry())
    found.configure(CONFIG)
    return found


def state(world: World, stream: str = "stable") -> StreamState:
    with world.walk() as walk:
        return standing.stream_state(walk, walk.config.stream(stream))


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-1), "in the future"),
        (timedelta(0), "0 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=47, minutes=59), "47 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=400, hours=23), "400 d"),
    ],
)
def test_how_long_ago_is_said_as_people_say_it(passed: timedelta, said: str) -> None:
    assert age(MONDAY - passed, MONDAY) == said


def test_a_stream_says_what_it_holds_what_waits_and_what_its_gates_say(world: World) -> None:
    held = world.push("os", "stable", "stable-20260601", day=date(2026, 6, 1))
    waits = world.push("os", "testing", "testing-20260705", day=date(2026, 7, 5))

    found = state(world)

    assert found.variants == (
        VariantState(
            "os",
            held,
            "stable-20260601",
            datetime(2026, 6, 1, 4, 40, tzinfo=UTC),
            waits,
            "testing-20260705",
            pinned=True,
        ),
    )
    assert (found.source, found.released, found.unfinished, found.problem, found.waiting) == (
        "testing",
        None,
        (),
        None,
        True,
    )
    assert [(gate.gate, gate.opens) for gate in found.gates] == [
        ("complete", True),
        ("hold", True),
        ("no-downgrade", True),
    ]


def test_a_stream_whose_release_cannot_be_worked_out_says_why_and_still_what_it_holds(world: World) -> None:
    held = world.push("os", "stable", day=date(2026, 6, 1))

    found = state(world)

    assert "variant `os` has no candidate" in (found.problem or "")
    assert [variant.holds for variant in found.variants] == [held]
    assert (found.gates, found.waiting) == ((), False)


def test_after_its_release_nothing_waits_and_the_record_is_named(world: World) -> None:
    world.push("os", "testing", "testing-20260705", day=date(2026, 7, 5))
    with world.walk() as walk:
        record, _ = walk.apply(walk.plan(walk.config.stream("stable")), lambda action, receipt: None)

    found = state(world)

    assert record.state is RecordState.FINISHED
    assert (found.released, found.unfinished, found.waiting) == (record, (), False)
    assert [variant.version for variant in found.variants] == ["stable-20260706"]


def test_what_is_not_there_at_all_is_no_error(world: World) -> None:
    found = state(world)

    assert found.variants == (VariantState("os", None, None, None, None, None),)
    assert found.problem
