"""The gate `known-issues`, on a real git repository: nothing that was known to be wrong is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.git import checkout_at
from relman.handwritten import KnownIssue, dropped_issues
from relman.model.gates import State
from relman.model.release import Candidate
from relman.model.streams import Variant
from relman_plugins.gates import known_issues
from relman_plugins.gates.known_issues import verdict
from tests.gates import after, candidate, context, image, rule
from tests.test_commits import Checkout
from tests.test_handwritten import put

SLEEP = '+++\ntitle = "No sleep"\n+++\nIt stays awake.\n'
FIXED = SLEEP.replace('"\n', '"\nfixed-in = "44"\n', 1)
WITHDRAWN = SLEEP.replace('"\n', '"\nwithdrawn = "a wrong cable"\n', 1)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    made.commit("root")
    return made


def build(before: str | None, later: str | None, **more: Any) -> Candidate:
    return candidate(
        image("new", revision=later), follows=after(image("old", revision=before)) if before != "" else None, **more
    )


def asked(checkout: Checkout | None, *candidates: Candidate, folder: str | None = "issues") -> list[tuple[Any, ...]]:
    path = checkout.folder if checkout else None
    made = context(*candidates, rules=[rule("known-issues")], checkout=path, known_issues=folder)
    found = list(known_issues.relman_gates(made))
    assert all(one.needs for one in found if one.state is not State.PASSED)
    return [(one.variant, one.state, one.code, one.reason) for one in found]


# ------------------------------------------------------------------------------------------------ the table

FATES: dict[str, tuple[dict[str, str | None], bool]] = {
    "is still there": ({"other__file": "x"}, True),
    "is declared fixed": ({"issues__sleep": FIXED}, True),
    "is withdrawn": ({"issues__sleep": WITHDRAWN}, True),
    "has another name": ({"issues__sleep": None, "issues__suspend": SLEEP}, True),
    "is fixed under another name": ({"issues__sleep": None, "issues__suspend": FIXED}, True),
    "is gone": ({"issues__sleep": None}, False),
    "gave way to another": ({"issues__sleep": None, "issues__sound": SLEEP.replace("No sleep", "No sound")}, False),
}


@pytest.mark.parametrize("fate", FATES)
def test_an_issue_of_the_last_release_is_carried_over_or_declared_over(checkout: Checkout, fate: str) -> None:
    files, passes = FATES[fate]
    before = put(checkout, issues__sleep=SLEEP)
    later = put(checkout, **files)

    assert asked(checkout, build(before, later)) == [
        ("os", State.PASSED, "", "every known issue is declared fixed, or carried over")
        if passes
        else (
            "os",
            State.FAILED,
            "issue-dropped",
            "neither declared fixed nor carried over: `issues/sleep.md` (No sleep)",
        )
    ]


def test_one_that_is_put_back_since_the_build_is_carried_over(checkout: Checkout) -> None:
    before = put(checkout, issues__sleep=SLEEP)
    later = put(checkout, issues__sleep=None)

    assert [one[1] for one in asked(checkout, build(before, later))] == [State.FAILED]
    put(checkout, issues__sleep=FIXED)
    assert [one[1] for one in asked(checkout, build(before, later))] == [State.PASSED]


def test_one_that_was_dropped_before_an_earlier_release_stays_dropped(checkout: Checkout) -> None:
    put(checkout, issues__sleep=SLEEP)
    before = put(checkout, issues__sleep=None)
    later = put(checkout, other__file="x")

    assert [one[1] for one in asked(checkout, build(before, later))] == [State.FAILED]


def test_what_is_dropped_is_what_is_open_and_has_no_file(checkout: Checkout) -> None:
    before = put(checkout, issues__sleep=SLEEP, issues__sound=SLEEP.replace("No sleep", "No sound"))
    later = put(checkout, issues__sleep=None)

    with checkout_at(checkout.folder) as repository:
        dropped = dropped_issues(repository, "issues", before, later)

    assert [issue.name for issue in dropped] == ["issues/sleep.md"]


# ----------------------------------------------------------------------------------------------- what affects whom


@pytest.mark.parametrize(
    ("affects", "closed"),
    [((), True), (("os",), True), (("nvidia",), True), (("kde", "nvidia"), True), (("kde",), False)],
)
def test_it_closes_for_those_that_it_affects(affects: tuple[str, ...], closed: bool) -> None:
    issue = KnownIssue("issues/a.md", "A", "", affects, None, None, None, None)

    found = verdict([issue], Variant("os", "os", traits=frozenset({"nvidia"})))

    assert (found.state is State.FAILED) == closed
    assert found.evidence == ({"issues": ["issues/a.md"]} if closed else {})


@given(st.lists(st.lists(st.sampled_from(["os", "dx", "kde"]), max_size=2), max_size=4))
def test_it_passes_exactly_where_no_issue_is_about_the_variant(all_affect: list[list[str]]) -> None:
    issues = [
        KnownIssue(f"issues/{number}.md", "A", "", tuple(affects), None, None, None, None)
        for number, affects in enumerate(all_affect)
    ]

    found = verdict(issues, Variant("os", "os"))

    assert (found.state is State.PASSED) == all(affects and "os" not in affects for affects in all_affect)


# ------------------------------------------------------------------------------------------- what nobody can tell


def test_what_nobody_can_tell_stays_closed_and_says_what_is_missing(checkout: Checkout) -> None:
    here = put(checkout, issues__sleep=SLEEP)
    gone = "0" * 40

    def found(*arguments: Any, **more: Any) -> tuple[Any, ...]:
        ((_, state, code, reason),) = asked(*arguments, **more)
        return state, code, reason

    assert found(checkout, build(here, here), folder=None)[:2] == (State.ABSENT, "no-folder")
    assert found(checkout, build(here, None)) == (
        State.ERROR,
        "no-revision",
        "the image does not say from which commit it was built",
    )
    assert found(checkout, build(None, here))[:2] == (State.ERROR, "no-revision")
    assert found(None, build(here, here))[:2] == (State.ERROR, "no-checkout")
    assert found(checkout, build(here, gone)) == (
        State.ERROR,
        "unreadable",
        f"revision `{gone}` is not in `{checkout.folder}`",
    )
    made = context(build(here, gone), rules=[rule("known-issues")], checkout=checkout.folder, known_issues="issues")
    (result,) = known_issues.relman_gates(made)
    assert result.needs
    assert "--unshallow" in result.needs


def test_the_first_release_has_nothing_to_carry_over(checkout: Checkout) -> None:
    put(checkout, issues__sleep=SLEEP)
    later = put(checkout, issues__sleep=None)

    assert [one[1] for one in asked(checkout, build("", later))] == [State.PASSED]


def test_a_known_issue_that_cannot_be_read_is_an_error(checkout: Checkout) -> None:
    before = put(checkout, issues__sleep=SLEEP)
    later = put(checkout, issues__sleep="+++\nno head\n")

    assert [one[1:3] for one in asked(checkout, build(before, later))] == [(State.ERROR, "unreadable")]
