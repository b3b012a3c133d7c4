"""The gates that come with relman: `complete`, `hold` and `no-downgrade`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.model.diff import ChangeKind, Diff
from relman.model.gates import GateResult, State
from relman.model.holds import Hold
from relman.model.oci import Digest, Platform
from relman.model.record import Record, RecordedVariant, RecordState, Withdrawal
from relman.model.release import Predecessor
from relman.model.streams import GateRule
from relman_plugins.gates import complete, hold, no_downgrade
from relman_plugins.gates.no_downgrade import Steps
from tests.gates import AMD, ARM, NOON, after, candidate, change, context, diff, image


def diff_of(variant: str, *downgraded: str) -> Diff:
    return diff(variant, *(change(ChangeKind.DOWNGRADED, name) for name in downgraded))


# ---------------------------------------------------------------------------------------------------- complete

COMPLETE = (GateRule("complete", "complete"),)


@pytest.mark.parametrize(
    ("there", "required", "state", "reason"),
    [
        ((AMD,), (), State.PASSED, "has linux/amd64"),
        ((AMD, ARM), (), State.PASSED, "has linux/amd64, linux/arm64"),
        ((AMD, ARM), (ARM,), State.PASSED, "has linux/arm64"),
        ((AMD,), (AMD, ARM), State.FAILED, "the image has no linux/arm64: it has linux/amd64"),
        ((ARM,), (AMD,), State.FAILED, "the image has no linux/amd64: it has linux/arm64"),
        (
            (Platform.parse("linux/arm64/v8"),),
            (ARM,),
            State.FAILED,
            "the image has no linux/arm64: it has linux/arm64/v8",
        ),
    ],
)
def test_an_image_is_complete_with_every_platform_that_must_be_there(
    there: tuple[Platform, ...], required: tuple[Platform, ...], state: State, reason: str
) -> None:
    held = image("x", there)

    evidence = {"wanted": [str(p) for p in required], "there": [str(p) for p in there]}
    missing = reason.partition(" no ")[2].partition(":")[0]
    failed: dict[str, Any] = {
        "code": "platform-missing",
        "needs": f"a build for {missing}, or `platforms` in relman.toml without it",
    }
    assert list(complete.relman_gates(context(candidate(held, required=required), rules=COMPLETE))) == [
        GateResult("complete", "os", held.digest, state, reason, evidence, **(failed if missing else {}))
    ]


platforms = st.lists(st.sampled_from([AMD, ARM, Platform.parse("linux/arm64/v8")]), max_size=3, unique=True)


@given(platforms.filter(bool), platforms)
def test_an_image_is_complete_exactly_where_nothing_that_is_required_is_missing(
    there: list[Platform], required: list[Platform]
) -> None:
    found = complete.verdict(there, required)

    assert (found.state is State.PASSED) == (set(required) <= set(there))
    assert found.code == ("" if found.state is State.PASSED else "platform-missing")


def test_a_gate_answers_for_every_candidate_under_the_name_that_it_has_in_the_configuration() -> None:
    rules = (GateRule("complete", "all-there"), GateRule("soak", "complete"))
    one, two = candidate(image("1")), candidate(image("2"), name="os-dx")

    results = list(complete.relman_gates(context(one, two, rules=rules)))

    assert [(r.gate, r.variant, r.digest) for r in results] == [
        ("all-there", "os", one.image.digest),
        ("all-there", "os-dx", two.image.digest),
    ]


def test_a_gate_that_is_not_asked_for_says_nothing() -> None:
    asked = context(candidate(image("1")), rules=(GateRule("soak", "soak"),))

    assert list(complete.relman_gates(asked)) == list(no_downgrade.relman_gates(asked)) == []


# ------------------------------------------------------------------------------------------------ no-downgrade

MINUTE = timedelta(minutes=1)
RULES = (GateRule("no-downgrade", "no-downgrade"),)


def follows(created: datetime | None, *, there: bool = True) -> Predecessor:
    return after(image("before", created=created), there=there)


@pytest.mark.parametrize(
    ("created", "before", "state", "code", "reason"),
    [
        (NOON, None, State.PASSED, "", "it is the first release of this variant"),
        (NOON, follows(NOON - MINUTE), State.PASSED, "", "made 2026-07-06 12:00, its predecessor 2026-07-06 11:59"),
        (NOON, follows(NOON), State.PASSED, "", "made 2026-07-06 12:00, its predecessor 2026-07-06 12:00"),
        (
            NOON,
            follows(NOON + MINUTE),
            State.FAILED,
            "older-build",
            "it was made 2026-07-06 12:00, before its predecessor of 2026-07-06 12:01",
        ),
        (None, follows(NOON), State.ABSENT, "no-build-time", "the candidate does not say when it was made"),
        (NOON, follows(None), State.ABSENT, "no-build-time", "its predecessor does not say when it was made"),
        (
            NOON,
            follows(NOON, there=False),
            State.ABSENT,
            "predecessor-gone",
            "the registry no longer has `stable-20260601`: there is no build time to compare with",
        ),
    ],
)
def test_what_enters_a_stream_was_made_no_earlier_than_what_it_follows(
    created: datetime | None, before: Predecessor | None, state: State, code: str, reason: str
) -> None:
    held = image("x", created=created)

    asked = context(candidate(held, follows=before), rules=RULES, diffs=(diff_of("os"),))
    (result,) = no_downgrade.relman_gates(asked)

    assert replace(result, evidence={}, needs=None) == GateResult(
        "no-downgrade", "os", held.digest, state, reason, code=code
    )


GOING_BACK: dict[str, Any] = {
    "older-build": (
        NOON - MINUTE,
        "44.20260706",
        (),
        "it was made 2026-07-06 11:59, before its predecessor of 2026-07-06 12:00",
        {"created": ["2026-07-06T12:00:00Z", "2026-07-06T11:59:00Z"]},
    ),
    "older-version": (
        NOON,
        "44.20260704.9",
        (),
        "it calls itself 44.20260704.9, and its predecessor 44.20260705",
        {"version": ["44.20260705", "44.20260704.9"]},
    ),
    "package-goes-back": (
        NOON,
        "44.20260706",
        ("kernel",),
        "`kernel` goes back from 6.2-1.fc44 to 6.1-1.fc44",
        {"packages": {"kernel": ["6.2-1.fc44", "6.1-1.fc44"]}},
    ),
}


@pytest.mark.parametrize("which", GOING_BACK)
def test_each_of_time_version_and_named_packages_alone_closes_the_gate(which: str) -> None:
    created, version, packages, reason, evidence = GOING_BACK[which]
    held = image("x", created=created, version=version)
    before = after(image("before", version="44.20260705"))
    asked = context(candidate(held, follows=before), rules=RULES, diffs=(diff_of("os", *packages),))

    (result,) = no_downgrade.relman_gates(asked)

    assert replace(result, needs=None) == GateResult(
        "no-downgrade", "os", held.digest, State.FAILED, reason, evidence, code=which
    )
    assert result.needs


@pytest.mark.parametrize(
    ("named", "state"),
    [(None, State.PASSED), (("vim-*",), State.FAILED), (("kernel",), State.PASSED), ((), State.PASSED)],
)
def test_only_named_packages_must_not_go_back(named: tuple[str, ...] | None, state: State) -> None:
    held, before = image("x"), follows(NOON)
    rules = (GateRule("no-downgrade", "no-downgrade", {} if named is None else {"packages": named}),)
    diffs = (diff_of("os", "vim-common"), diff_of("dx", "kernel"))
    asked = context(candidate(held, follows=before), rules=rules, diffs=diffs)

    assert [result.state for result in no_downgrade.relman_gates(asked)] == [state]


def test_where_the_registry_lost_the_image_packages_are_judged_all_the_same_and_the_time_stays_open() -> None:
    asked = context(
        candidate(image("x"), follows=follows(NOON, there=False)), rules=RULES, diffs=(diff_of("os", "systemd"),)
    )

    assert [(one.state, one.code) for one in no_downgrade.relman_gates(asked)] == [
        (State.ABSENT, "predecessor-gone"),
        (State.FAILED, "package-goes-back"),
    ]


@pytest.mark.parametrize(
    ("read", "diffs", "said"),
    [
        (True, (diff_of("os"),), ""),
        (True, (), "; packages were not compared: nothing says what was inside"),
        (False, (), "; packages are compared when a release is planned"),
    ],
)
def test_packages_that_nobody_looked_at_are_not_said_to_be_fine(read: bool, diffs: tuple[Diff, ...], said: str) -> None:
    asked = context(candidate("x", follows=follows(NOON)), rules=RULES, diffs=diffs, read=read)

    (result,) = no_downgrade.relman_gates(asked)

    assert result.state is State.PASSED
    assert result.reason == f"made 2026-07-06 12:00, its predecessor 2026-07-06 12:00{said}"
    assert ("packages" in result.evidence) is bool(said)


def test_each_platform_is_judged_by_itself() -> None:
    held, earlier = image("x", (AMD, ARM), version="2"), image("before", (AMD, ARM), version="2")
    arm = replace(held.platforms[1], created=NOON - MINUTE)
    held = replace(held, platforms=(held.platforms[0], arm))
    diffs = (diff_of("os"), diff("os", change(ChangeKind.DOWNGRADED, "kernel"), platform=ARM))
    asked = context(candidate(held, follows=after(earlier)), rules=RULES, diffs=diffs)

    assert [(one.platform, one.state, one.code) for one in no_downgrade.relman_gates(asked)] == [
        (AMD, State.PASSED, ""),
        (ARM, State.FAILED, "older-build"),
        (ARM, State.FAILED, "package-goes-back"),
    ]


moments = st.sampled_from([None, NOON - MINUTE, NOON, NOON + MINUTE])
labels = st.sampled_from([None, "1.1", "1.2", "other"])


@given(st.booleans(), st.tuples(moments, moments), st.tuples(labels, labels), st.booleans())
def test_nothing_passes_that_goes_back_in_one_of_three_and_each_has_an_answer_of_its_own(
    there: bool,
    created: tuple[datetime | None, datetime | None],
    version: tuple[str | None, str | None],
    package: bool,
) -> None:
    before, later = created
    packages = {"kernel": ("2", "1")} if package else {}

    found = no_downgrade.verdicts(Steps("v", there, created, version, packages))

    expected = {
        "predecessor-gone": not there,
        "no-build-time": there and None in created,
        "older-build": bool(there and before and later and later < before),
        "older-version": version == ("1.2", "1.1"),
        "package-goes-back": package,
    }
    assert [one.code for one in found] == ([code for code, is_so in expected.items() if is_so] or [""])
    assert all(one.needs for one in found if one.state is not State.PASSED)


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [
        ("44.20260705", "44.20260704", True),
        ("44.20260705", "44.20260705", False),
        ("44.20260705", "44.20260705.1", False),
        ("44.20260705.1", "44.20260705", True),
        ("44.20260704.3", "44.20260705", False),
        ("44.20260705.10", "44.20260705.9", True),
        ("43.20260801", "44.20260705", False),
        ("44.20260705", "43.20260801", True),
        ("testing-44.20260705", "testing-44.20260601", True),
        ("testing-44.20260705", "stable-44.20260601", False),
        ("1.0-rc2", "1.0", False),
        ("2.0-beta", "1.0", True),
        ("v2", "latest", False),
        ("", "1", False),
        ("1" * 5000, "2" * 5000, False),
    ],
)
def test_a_version_goes_back_only_where_its_numbers_surely_do(before: str, after: str, back: bool) -> None:
    assert no_downgrade.goes_back(before, after) is back


# -------------------------------------------------------------------------------------------------------- hold

HOLD = (GateRule("hold", "hold"),)


@pytest.mark.parametrize(
    ("held", "state", "reason"),
    [
        ((), State.PASSED, "nobody holds it"),
        (
            (Hold("stable", None, "a broken kernel", "ada", NOON),),
            State.FAILED,
            "ada holds stable since 2026-07-06 12:00: a broken kernel (`relman unhold stable`)",
        ),
        (
            (Hold("stable", "os", "no sound", "ada", NOON),),
            State.FAILED,
            "ada holds stable, variant os since 2026-07-06 12:00: no sound (`relman unhold stable`)",
        ),
        ((Hold("stable", "os-dx", "another's", "ada", NOON),), State.PASSED, "nobody holds it"),
        ((Hold("testing", None, "another stream", "ada", NOON),), State.PASSED, "nobody holds it"),
    ],
)
def test_what_is_held_stays_out_and_the_gate_says_who_why_and_what_lifts_it(
    held: tuple[Hold, ...], state: State, reason: str
) -> None:
    asked = replace(context(candidate(image("x")), rules=HOLD), holds=held)

    (result,) = hold.relman_gates(asked)

    assert (result.state, result.reason) == (state, reason)
    assert (result.code, result.needs) == (
        ("held", "`relman unhold stable`") if reason != "nobody holds it" else ("", None)
    )


def test_what_is_held_and_was_yanked_has_an_answer_for_each_so_that_an_override_of_one_leaves_the_other() -> None:
    held = image("x")
    variant = RecordedVariant("os", str(held.reference), held.digest, None, (AMD,), None)
    yanked = Record(
        id="1" * 16,
        project="X",
        stream="stable",
        version="stable-20260705",
        previous=None,
        state=RecordState.YANKED,
        created=NOON,
        finished=NOON,
        plan=Digest.of(b"a plan"),
        variants=(variant,),
        withdrawn=Withdrawal("eats files", "ada", NOON),
    )
    asked = context(candidate(held), rules=HOLD, records=(yanked,), holds=(Hold("stable", None, "wait", "ada", NOON),))

    assert [(one.state, one.code, one.needs) for one in hold.relman_gates(asked)] == [
        (State.FAILED, "held", "`relman unhold stable`"),
        (State.FAILED, "yanked", "another build"),
    ]
    finished = replace(yanked, state=RecordState.FINISHED, withdrawn=None)
    assert [one.state for one in hold.relman_gates(replace(asked, records=(finished,), holds=()))] == [State.PASSED]
