"""The gate `soak`: counted for each digest from when it was first seen, with a clock that tests set."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.model.gates import State
from relman.model.observed import Observation, Observations, TagKind
from relman.model.release import Candidate
from relman_plugins.gates import soak
from relman_plugins.gates.soak import verdict, written
from relman_plugins.gates.verdict import Verdict
from tests.gates import NOON, STABLE, candidate, context, rule, utc

DAYS = timedelta(days=3)
SECOND = timedelta(seconds=1)
ONE = candidate("one")


def seen(*entries: tuple[datetime, Candidate | None], variant: str = "os") -> Observations:
    return Observations(
        tuple(
            Observation(at, "testing", variant, TagKind.STREAM, "testing", held.image.digest if held else None)
            for at, held in entries
        )
    )


def asked(observed: Observations, now: datetime, held: Candidate = ONE, time: str | None = "3d") -> tuple[State, str]:
    table = {} if time is None else {"time": time}
    (result,) = soak.relman_gates(context(held, rules=[rule("soak", **table)], observed=observed, now=now))
    assert result.digest == held.image.digest
    return result.state, result.code


# ------------------------------------------------------------------------------------------------ the verdict


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (
            NOON + DAYS - SECOND,
            Verdict(
                State.PENDING,
                "in `testing` for 2d23h of 3d",
                "too-young",
                "1s more in `testing`",
                NOON + DAYS,
                {"since": "2026-07-06T12:00:00Z", "time": "3d"},
            ),
        ),
        (
            NOON + DAYS,
            Verdict(
                State.PASSED,
                "in `testing` for 3d, at least 3d",
                evidence={"since": "2026-07-06T12:00:00Z", "time": "3d"},
            ),
        ),
    ],
)
def test_it_opens_exactly_when_the_time_is_over(now: datetime, found: Verdict) -> None:
    assert verdict(NOON, DAYS, now, "testing") == found


def test_what_was_never_observed_stays_closed_and_says_what_would_help_and_when_it_could_open() -> None:
    assert verdict(None, DAYS, NOON, "testing") == Verdict(
        State.ABSENT,
        "it was never observed in `testing`, so nobody knows since when it is there",
        "never-observed",
        "run `relman observe` on a schedule",
        NOON + DAYS,
    )


@pytest.mark.parametrize(
    ("first", "opens"),
    [
        # Berlin puts the clock forward on March 29 and back on October 25: three days are 72 hours all the same.
        (datetime(2026, 3, 28, 1, 30, tzinfo=ZoneInfo("Europe/Berlin")), utc("2026-03-31 00:30")),
        (datetime(2026, 10, 24, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), utc("2026-10-27 00:30")),
        (utc("2028-02-28 12:00"), utc("2028-03-02 12:00")),  # a leap year
        (utc("2027-02-26 12:00"), utc("2027-03-01 12:00")),
        (utc("2026-12-30 00:00"), utc("2027-01-02 00:00")),
    ],
)
def test_days_have_24_hours_whatever_clocks_on_walls_do(first: datetime, opens: datetime) -> None:
    before, then = verdict(first, DAYS, opens - SECOND, "testing"), verdict(first, DAYS, opens, "testing")

    assert (before.state, before.at, then.state) == (State.PENDING, opens, State.PASSED)


def test_a_time_longer_than_there_are_dates_never_opens() -> None:
    found = verdict(NOON, timedelta.max, NOON, "testing")

    assert (found.state, found.at) == (State.PENDING, None)


moments = st.integers(0, 20 * 366 * 86400).map(lambda seconds: NOON + timedelta(seconds=seconds))
lengths = st.timedeltas(timedelta(0), timedelta(days=400))


@given(moments, lengths, lengths)
def test_it_is_open_from_the_moment_on_that_it_names_and_never_before(
    first: datetime, time: timedelta, passed: timedelta
) -> None:
    found = verdict(first, time, first + passed, "testing")

    assert (found.state is State.PASSED) == (passed >= time)
    if found.at is not None:
        assert verdict(first, time, found.at, "testing").state is State.PASSED
        assert verdict(first, time, found.at - timedelta(microseconds=1), "testing").state is State.PENDING


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(days=3), "3d"),
        (timedelta(days=1, hours=12, minutes=5), "1d12h"),
        (timedelta(seconds=61), "1m1s"),
        (timedelta(seconds=-5), "0s"),
        (timedelta(microseconds=5), "0s"),
    ],
)
def test_a_length_is_written_as_relman_toml_has_it(time: timedelta, text: str) -> None:
    assert written(time) == text


# ------------------------------------------------------------------------------------------------- observations


def test_newer_candidates_take_nothing_from_it_and_another_digest_begins_anew() -> None:
    two = candidate("two")
    observed = seen((NOON, ONE), (NOON + timedelta(days=1), two))

    assert asked(observed, NOON + DAYS) == (State.PASSED, "")
    assert asked(observed, NOON + DAYS, two) == (State.PENDING, "too-young")
    assert asked(observed, NOON + DAYS + timedelta(days=1), two) == (State.PASSED, "")


def test_one_that_was_gone_in_between_begins_anew() -> None:
    day = timedelta(days=1)
    observed = seen((NOON, ONE), (NOON + day, None), (NOON + 2 * day, ONE))

    assert asked(observed, NOON + 3 * day) == (State.PENDING, "too-young")
    assert asked(observed, NOON + 5 * day) == (State.PASSED, "")


def test_a_clock_that_goes_back_makes_a_soak_longer_and_never_shorter() -> None:
    observed = seen((NOON, ONE))

    assert asked(observed, NOON - timedelta(days=30)) == (State.PENDING, "too-young")
    assert asked(observed, NOON + DAYS - SECOND) == (State.PENDING, "too-young")
    again = Observations((*observed.entries, *seen((NOON - timedelta(days=30), ONE)).entries))
    assert asked(again, NOON - timedelta(days=28)) == (State.PENDING, "too-young")
    assert asked(again, NOON - timedelta(days=27)) == (State.PASSED, "")


def test_another_variant_and_another_digest_do_not_count() -> None:
    assert asked(seen((NOON, ONE), variant="os-dx"), NOON + DAYS) == (State.ABSENT, "never-observed")
    assert asked(seen((NOON, candidate("two"))), NOON + DAYS) == (State.ABSENT, "never-observed")


def test_the_streams_own_time_counts_where_the_gate_has_none_of_its_own() -> None:
    observed, now = seen((NOON, ONE)), NOON + timedelta(days=1)

    def state(own: str | None, stream: timedelta | None) -> tuple[State, str]:
        rules = [rule("soak", **({"time": own} if own else {}))]
        (result,) = soak.relman_gates(
            context(ONE, rules=rules, stream=replace(STABLE, soak=stream), observed=observed, now=now)
        )
        return result.state, result.code

    assert state(None, None) == (State.ABSENT, "no-time")
    assert state(None, DAYS) == (State.PENDING, "too-young")
    assert state("1d", DAYS) == (State.PASSED, "")
    assert state("4d", timedelta(0)) == (State.PENDING, "too-young")


def test_a_stream_that_promotes_from_nothing_has_no_place_to_wait_in() -> None:
    in_place = replace(STABLE, source=None)
    (result,) = soak.relman_gates(context(ONE, rules=[rule("soak", time="3d")], stream=in_place))

    assert (result.state, result.code) == (State.ABSENT, "no-source")
