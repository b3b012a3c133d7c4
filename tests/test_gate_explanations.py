"""Every refusal is explained: the gate, why, what is needed, when it could pass, and who may override."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from relman import standing
from relman.cli.gates import gate_lines, gate_markdown, left
from relman.cli.plan import explain
from relman.manager import Plugins
from relman.model.gates import GateResult, Override, OverrideRequest, State
from relman.model.oci import Digest
from relman.plugin import GatesContext, hookimpl
from relman.testing import MemoryRegistry
from tests.walking import MONDAY, World

NOON = datetime(2026, 7, 6, 12, tzinfo=UTC)
A, B = Digest.of(b"a"), Digest.of(b"b")

YOUNG = GateResult(
    "soak",
    "os",
    A,
    State.PENDING,
    "2 d 3 h of 3 d left",
    at=NOON + timedelta(days=2, hours=3),
    code="too-young",
    needs="nothing but time",
)
GONE = GateResult("packages", "os", A, State.FAILED, "`kernel` is gone", may_override=())
SIGNED = GateResult("signature", "os", A, State.FAILED, "no signature", may_override=("ada", "grace"))
LATER = GateResult("size", "os", A, State.SKIPPED, "looked at when planning")
GOOD = GateResult("hold", "os", A, State.PASSED, "nobody holds it")


def lines(results: Sequence[GateResult], *overrides: Override, now: datetime = NOON) -> list[str]:
    """As they are on a terminal without colours."""
    return [click.unstyle(line) for line in gate_lines(results, overrides, now)]


def test_a_refusal_says_why_what_is_needed_when_and_who_may_override() -> None:
    assert lines([GOOD, YOUNG, GONE, SIGNED, LATER]) == [
        "  ✓  hold       all  passed               nobody holds it",
        "  ✗  soak       all  pending (too-young)  2 d 3 h of 3 d left",
        "      needs     nothing but time",
        "      opens     2026-07-08 15:00 UTC at the earliest, in 2 d 3 h",
        "      override  whoever releases: `--override soak --reason TEXT --until TIME`",
        "  ✗  packages   all  failed               `kernel` is gone",
        "      override  nobody may",
        "  ✗  signature  all  failed               no signature",
        "      override  ada, grace: `--override signature --reason TEXT --until TIME`",
        "  –  size       all  skipped              looked at when planning",
    ]


def test_images_of_which_a_gate_says_the_same_stand_in_one_row() -> None:
    results = [
        GateResult("hold", "os", A, State.PASSED, "nobody holds it"),
        GateResult("hold", "dx", B, State.PASSED, "nobody holds it"),
        GateResult("size", "os", A, State.FAILED, "too large"),
        GateResult("size", "dx", B, State.PASSED, "as before"),
    ]

    assert [line for line in lines(results) if "override" not in line] == [
        "  ✓  hold  all  passed  nobody holds it",
        "  ✗  size  os   failed  too large",
        "  ✓  size  dx   passed  as before",
    ]


def test_what_was_let_through_by_hand_says_by_whom_until_when_and_why() -> None:
    by_hand = Override("soak", "too-young", "os", A, "an urgent fix", "ada", NOON + timedelta(hours=2))

    assert lines([YOUNG], by_hand) == [
        "  ~  soak  all  pending (too-young)  2 d 3 h of 3 d left",
        "      by hand   ada, until 2026-07-06 14:00: an urgent fix",
    ]
    assert gate_lines([YOUNG], [by_hand], NOON, closed_only=True) == []
    assert lines([YOUNG], by_hand, now=NOON + timedelta(hours=2))[0].startswith("  ✗")


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=2, hours=3, minutes=59), "2 d 3 h"),
        (timedelta(days=3), "3 d"),
        (timedelta(hours=23, minutes=5), "23 h 5 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(minutes=1, seconds=1), "2 min"),
        (timedelta(seconds=1), "1 min"),
    ],
)
def test_what_is_left_is_never_said_to_be_less_than_it_is(span: timedelta, words: str) -> None:
    assert left(span) == words


def test_markdown_says_the_same_and_lets_nothing_become_markup() -> None:
    hostile = GateResult("smoke", "os", A, State.FAILED, "a | b\n## c <script> @everyone", needs="`x` | y")

    written = gate_markdown([GOOD, hostile], (), NOON)

    html = MarkdownIt("gfm-like", {"linkify": False}).render("\n".join(written))
    assert html.count("<tr>") == 3
    assert "<script>" not in html
    assert "<h2>" not in html
    assert "nobody may" not in html
    assert "--override smoke" in html


class Mood:
    """A gate that is closed for a reason that it can say."""

    @hookimpl
    def relman_gates(self, context: GatesContext) -> list[GateResult]:
        return [
            candidate.gate(rule.name, State.PENDING, "it is Monday", code="monday", needs="a better day")
            for rule in context.of_type("mood")
            for candidate in context.release.candidates
        ]


CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}"]
expect = "3d"

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}"
gates = ["mood"]
expect = "7d"
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry(), plugins=Plugins())
    found.plugins.register(Mood(), "mood")
    found.configure(CONFIG)
    found.push("os", "stable", "stable-20260621", day=date(2026, 6, 21))
    found.push("os", "testing", "testing-20260705", day=date(2026, 7, 5))
    return found


def stalled(world: World, stream: str, days: int) -> list[str]:
    with world.walk(now=MONDAY + timedelta(days=days)) as walk:
        standing.observe(walk, [walk.config.stream("testing"), walk.config.stream("stable")])
    with world.walk(now=MONDAY + timedelta(days=days)) as walk:
        return [one.message for one in standing.stream_state(walk, walk.config.stream(stream)).stalled]


def test_status_says_when_a_gate_has_not_opened_for_longer_than_the_rhythm(world: World) -> None:
    with world.walk(now=MONDAY - timedelta(days=1)) as walk:
        standing.observe(walk, [walk.config.stream("testing"), walk.config.stream("stable")])

    assert stalled(world, "stable", 1) == []
    assert stalled(world, "stable", 7)[0] == (
        "`os` has not moved for 8 d; expected is 7 d; meanwhile `testing` holds another build, which waits behind "
        "`mood` (pending)"
    )


def test_status_says_when_the_source_has_not_moved(world: World) -> None:
    with world.walk(now=MONDAY - timedelta(days=1)) as walk:
        standing.observe(walk, [walk.config.stream("testing"), walk.config.stream("stable")])

    assert stalled(world, "testing", 4) == ["`os` has not moved for 5 d; expected is 3 d"]
    assert stalled(world, "stable", 4) == ["`os` has not moved for 5 d; expected is 3 d"]


def test_an_override_stands_in_plan_notes_and_record(world: World) -> None:
    request = OverrideRequest("mood", "monday", None, "it *cannot* wait", "ada", MONDAY + timedelta(hours=1))
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"), overrides=[request])
        record, _ = walk.apply(plan, lambda action, receipt: None)

    digest = plan.variants[0].digest
    expected = (Override("mood", "monday", "os", digest, "it *cannot* wait", "ada", MONDAY + timedelta(hours=1)),)
    assert (plan.overrides, record.overrides) == (expected, expected)
    assert "## Let through by hand\n\n- The gate `mood` for os: it \\*cannot\\* wait (ada)\n" in plan.notes


def test_an_override_that_means_no_refusal_is_said_to_have_no_effect(world: World) -> None:
    request = OverrideRequest("mood", "tuesday", None, "x", "ada", MONDAY + timedelta(hours=1))
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"), overrides=[request])
        lines = explain(plan, walk, probe=False).split("\n")

    assert plan.overrides == ()
    assert lines.count("  nothing that `mood` says needs the override: it has no effect") == 1
    assert len([line for line in lines if "there is no earlier record" in line.lower()]) == 1
