"""The gate `freeze`, and the windows that it is made of: at their boundaries, in zones whose clocks jump."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relman.model.gates import State
from relman_plugins.gates import freeze
from relman_plugins.gates.freeze import FreezeSettings, closed_from, verdict
from relman_plugins.gates.verdict import Verdict
from relman_plugins.gates.windows import Window, first_instant, last_instant
from tests.gates import candidate, context, rule, utc

SECOND = timedelta(seconds=1)
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
HOLIDAYS = {"from": "2026-12-20", "to": "2027-01-03", "zone": BERLIN, "reason": "holidays"}
WEEKENDS = {"days": ["friday"], "from": "16:00", "to": "monday 08:00", "zone": NEW_YORK}


def windows(*tables: dict[str, Any]) -> tuple[Window, ...]:
    return FreezeSettings.model_validate({"windows": tables}).windows


# ------------------------------------------------------------------------------------------------ at boundaries

# What is written; when it begins and when it ends, in UTC.
BOUNDARIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "dates, the last day whole": (HOLIDAYS, "2026-12-19 23:00", "2027-01-03 23:00"),
    "one day": ({"from": "2026-12-24", "to": "2026-12-24"}, "2026-12-24 00:00", "2026-12-25 00:00"),
    "dates with times": (
        {"from": "2026-12-20 18:00", "to": "2027-01-03 08:30", "zone": "Asia/Kolkata"},
        "2026-12-20 12:30",
        "2027-01-03 03:00",
    ),
    "toml's own dates": (
        tomllib.loads("from = 2026-12-20\nto = 2027-01-03T08:00:00"),
        "2026-12-20 00:00",
        "2027-01-03 08:00",
    ),
    "from Friday to Monday": (WEEKENDS, "2026-11-27 21:00", "2026-11-30 13:00"),
    "the same by days of the week": (
        {"from": "friday 16:00", "to": "monday 08:00", "zone": NEW_YORK},
        "2026-11-27 21:00",
        "2026-11-30 13:00",
    ),
    "whole days of the week": ({"from": "saturday", "to": "sunday"}, "2026-11-28 00:00", "2026-11-30 00:00"),
    "whole days, one by one": ({"days": ["saturday"]}, "2026-11-28 00:00", "2026-11-29 00:00"),
    "Friday afternoon": ({"days": ["friday"], "from": "12:00"}, "2026-11-27 12:00", "2026-11-28 00:00"),
    "Friday until midnight": (
        {"days": ["friday"], "from": "12:00", "to": "24:00"},
        "2026-11-27 12:00",
        "2026-11-28 00:00",
    ),
    "a night, of the day on which it begins": (
        {"days": ["friday"], "from": "22:00", "to": "06:00"},
        "2026-11-27 22:00",
        "2026-11-28 06:00",
    ),
    "every night": ({"from": "22:00", "to": "06:00"}, "2026-11-27 22:00", "2026-11-28 06:00"),
    "every day, as toml's own times": ({"from": time(9), "to": time(17)}, "2026-11-27 09:00", "2026-11-27 17:00"),
    "a week but for an hour": (
        {"from": "monday 10:00", "to": "monday 09:00"},
        "2026-11-23 10:00",
        "2026-11-30 09:00",
    ),
    "each year, over New Year": ({"from": "12-20", "to": "01-03"}, "2026-12-20 00:00", "2027-01-04 00:00"),
    "each year, in summer": ({"from": "07-01 12:00", "to": "08-31"}, "2028-07-01 12:00", "2028-09-01 00:00"),
    "the leap day, in a leap year": ({"from": "02-29", "to": "02-29"}, "2028-02-29 00:00", "2028-03-01 00:00"),
    "until the leap day, in a leap year": ({"from": "02-20", "to": "02-29"}, "2028-02-20 00:00", "2028-03-01 00:00"),
    "until the leap day, in another": ({"from": "02-20", "to": "02-29"}, "2027-02-20 00:00", "2027-03-01 00:00"),
    "from the leap day, in another": ({"from": "02-29 06:00", "to": "03-02"}, "2027-03-01 00:00", "2027-03-03 00:00"),
    # Berlin: at 02:00 on March 29, 2026 it is 03:00; at 03:00 on October 25 it is 02:00 again.
    "begins at a time that is left out": (
        {"from": "02:30", "to": "05:00", "zone": BERLIN},
        "2026-03-29 01:00",
        "2026-03-29 03:00",
    ),
    "ends at a time that is left out": (
        {"from": "2026-03-29 01:00", "to": "2026-03-29 02:30", "zone": BERLIN},
        "2026-03-29 00:00",
        "2026-03-29 01:00",
    ),
    "begins at a time that comes twice": (
        {"from": "2026-10-25 02:30", "to": "2026-10-25 05:00", "zone": BERLIN},
        "2026-10-25 00:30",
        "2026-10-25 04:00",
    ),
    "ends at a time that comes twice": (
        {"from": "2026-10-25 01:00", "to": "2026-10-25 02:30", "zone": BERLIN},
        "2026-10-24 23:00",
        "2026-10-25 01:30",
    ),
    "a day of 23 hours": ({"days": ["sunday"], "zone": BERLIN}, "2026-03-28 23:00", "2026-03-29 22:00"),
    "a day of 25 hours": ({"days": ["sunday"], "zone": BERLIN}, "2026-10-24 22:00", "2026-10-25 23:00"),
    "a clock that jumps by half an hour": (
        {"from": "2026-10-04 02:15", "to": "2026-10-04 04:00", "zone": "Australia/Lord_Howe"},
        "2026-10-03 15:30",
        "2026-10-03 17:00",
    ),
    "half-past as seen from where the day is another": (
        {"days": ["monday"], "from": "00:00", "to": "12:00", "zone": "Pacific/Kiritimati"},
        "2026-11-29 10:00",
        "2026-11-29 22:00",
    ),
}


@pytest.mark.parametrize("which", BOUNDARIES)
def test_a_window_is_open_from_its_first_second_to_its_last_and_not_one_more(which: str) -> None:
    table, start, end = BOUNDARIES[which]
    (one,) = windows(table)
    begins, ends = utc(start), utc(end)

    assert {moment: one.open_until(moment) for moment in (begins - SECOND, begins, ends - SECOND, ends)} == {
        begins - SECOND: None,
        begins: ends,
        ends - SECOND: ends,
        ends: None,
    }


def test_the_leap_day_alone_is_no_day_in_other_years() -> None:
    (one,) = windows({"from": "02-29", "to": "02-29"})
    start = utc("2027-01-01 00:00")

    assert all(one.open_until(start + timedelta(hours=hour)) is None for hour in range(24 * 365))


def test_a_day_that_a_zone_left_out_altogether_is_no_window() -> None:
    (one,) = windows({"from": "2011-12-30", "to": "2011-12-30", "zone": "Pacific/Apia"})  # the date line moved

    start = utc("2011-12-29 00:00")
    assert all(one.open_until(start + timedelta(hours=hour)) is None for hour in range(72))


# ------------------------------------------------------------------------------------------------- the verdict


def test_a_freeze_says_why_until_when_and_what_would_help() -> None:
    now = utc("2026-12-24 12:00")

    assert verdict(windows(HOLIDAYS), now) == Verdict(
        State.PENDING,
        "frozen until 2027-01-04 00:00 (Europe/Berlin): holidays",
        "frozen",
        "no window that is open: after 2027-01-03 23:00 UTC",
        utc("2027-01-03 23:00"),
        {"windows": ["until 2027-01-04 00:00 (Europe/Berlin): holidays"]},
    )
    assert verdict(windows(HOLIDAYS), utc("2027-01-03 23:00")) == Verdict(
        State.PASSED, "no window is open", evidence={}
    )


def test_windows_that_adjoin_open_when_the_last_of_them_ends() -> None:
    table = windows({"days": ["thursday", "friday"]}, {"from": "saturday", "to": "sunday 18:00"}, HOLIDAYS)

    assert verdict(table, utc("2026-11-26 09:00")).at == utc("2026-11-29 18:00")
    # Thursday, December 17: Friday, the weekend, the holidays, which end late on a Sunday.
    assert verdict(table, utc("2026-12-17 09:00")).at == utc("2027-01-03 23:00")


def test_windows_without_an_end_in_sight_say_so() -> None:
    found = verdict(windows({"from": "00:00", "to": "24:00"}), utc("2026-11-27 09:00"))

    assert (found.state, found.at, found.needs) == (State.PENDING, None, "windows that end")


def test_every_candidate_has_the_same_answer() -> None:
    asked = context(
        candidate("1"),
        candidate("2", name="dx"),
        rules=[rule("freeze", windows=[HOLIDAYS])],
        now=utc("2026-12-24 12:00"),
    )

    assert [(one.variant, one.state, one.code) for one in freeze.relman_gates(asked)] == [
        ("os", State.PENDING, "frozen"),
        ("dx", State.PENDING, "frozen"),
    ]


# ------------------------------------------------------------------------------------------------ for every time

ZONES = [BERLIN, NEW_YORK, "UTC", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Kiritimati", "Africa/Casablanca"]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
minutes = st.integers(0, 24 * 60 - 1)
zones = st.sampled_from(ZONES)
# Around the days on which clocks jump, and around leap days and New Year.
AROUND = [
    utc(f"{day} 00:00") for day in ("2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01", "2028-02-29", "2027-01-01")
]
nows = st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds), st.sampled_from(AROUND), st.integers(-300_000, 300_000)
)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def shown(now: datetime, zone: str) -> datetime:
    return now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def doubled(now: datetime, zone: str) -> bool:
    """Whether the clock is put back within a few hours: times come twice, and windows are longer than it shows."""
    near = [now + timedelta(minutes=minute) for minute in range(-300, 301, 30)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0) for moment in near]
    return any(later < earlier for earlier, later in pairwise(offsets))


@given(minutes, minutes, zones, nows)
def test_a_window_of_each_day_is_open_when_the_clock_on_the_wall_says_so(
    start: int, end: int, zone: str, now: datetime
) -> None:
    if start == end:
        return
    (one,) = windows({"from": clock(start), "to": clock(end), "zone": zone})
    wall = shown(now, zone)
    minute = wall.hour * 60 + wall.minute
    by_wall = start <= minute < end if start < end else minute >= start or minute < end

    is_open = one.open_until(now) is not None

    assert is_open or not by_wall  # never shorter than the clock shows
    assert is_open == by_wall or doubled(now, zone)


@given(st.sampled_from(DAYS), minutes, st.sampled_from(DAYS), minutes, zones, nows)
def test_a_window_of_each_week_is_open_when_the_clock_on_the_wall_says_so(
    first: str, start: int, last: str, end: int, zone: str, now: datetime
) -> None:
    begins, ends = DAYS.index(first) * 1440 + start, DAYS.index(last) * 1440 + end
    if begins == ends:
        return
    (one,) = windows({"from": f"{first} {clock(start)}", "to": f"{last} {clock(end)}", "zone": zone})
    wall = shown(now, zone)
    minute = wall.weekday() * 1440 + wall.hour * 60 + wall.minute
    by_wall = begins <= minute < ends if begins < ends else minute >= begins or minute < ends

    is_open = one.open_until(now) is not None

    assert is_open or not by_wall
    assert is_open == by_wall or doubled(now, zone)


days_of_year = st.dates(date(2028, 1, 1), date(2028, 12, 31))


@given(days_of_year, days_of_year, zones, nows)
def test_a_window_of_each_year_is_open_on_the_days_that_it_names_and_between(
    first: date, last: date, zone: str, now: datetime
) -> None:
    (one,) = windows({"from": f"{first:%m-%d}", "to": f"{last:%m-%d}", "zone": zone})
    today = f"{shown(now, zone):%m-%d}"
    begins, ends = f"{first:%m-%d}", f"{last:%m-%d}"
    named = begins <= today <= ends if begins <= ends else today >= begins or today <= ends

    assert (one.open_until(now) is not None) == named


tables = st.one_of(
    st.builds(
        lambda start, length, zone: {"from": clock(start), "to": clock((start + length) % 1440), "zone": zone},
        minutes,
        st.integers(1, 1000),
        zones,
    ),
    st.builds(
        lambda days, start, zone: {"days": days, "from": clock(start), "zone": zone},
        st.lists(st.sampled_from(DAYS), min_size=1, max_size=3),
        minutes,
        zones,
    ),
    st.builds(
        lambda day, length, zone: {
            "from": f"{day:%Y-%m-%d}",
            "to": f"{day + timedelta(days=length):%Y-%m-%d}",
            "zone": zone,
        },
        st.dates(date(2026, 1, 1), date(2028, 12, 1)),
        st.integers(0, 30),
        zones,
    ),
)


@given(st.lists(tables, min_size=1, max_size=4), nows)
def test_it_never_opens_inside_is_never_closed_outside_and_what_it_names_is_truly_open(
    written: list[dict[str, Any]], now: datetime
) -> None:
    made = windows(*written)
    found = verdict(made, now)
    open_now = [one for one in made if one.open_until(now) is not None]

    assert (found.state is State.PASSED) == (not open_now)
    if found.state is State.PASSED:
        assert closed_from(made, now) == now
        return
    if found.at is not None:
        assert found.at > now
        assert verdict(made, found.at).state is State.PASSED
        assert verdict(made, found.at - SECOND).state is State.PENDING


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)), zones)  # noqa: DTZ001  # clocks on walls
def test_an_instant_is_the_first_or_last_at_which_the_clock_shows_as_much(wall: datetime, zone: str) -> None:
    wall = wall.replace(microsecond=0)
    first, last = first_instant(wall, ZoneInfo(zone)), last_instant(wall, ZoneInfo(zone))

    assert first <= last
    assert shown(first, zone) >= wall > shown(first - SECOND, zone)
    assert shown(last, zone) >= wall
    assert first.tzinfo is last.tzinfo is UTC


# ---------------------------------------------------------------------------------------------- what is refused

FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no zone": (HOLIDAYS | {"zone": "Europe/Berln"}, "`Europe/Berln` is no time zone of this machine"),
    "a folder": (HOLIDAYS | {"zone": "Europe"}, "`Europe` is no time zone"),
    "a way out": (HOLIDAYS | {"zone": "../../etc/passwd"}, "is no time zone"),
    "an empty zone": (HOLIDAYS | {"zone": ""}, "is no time zone"),
    "no day of the week": ({"from": "freitag", "to": "monday"}, "`freitag` is no day of the week"),
    "no such day in days": ({"days": ["fryday"]}, "monday"),
    "no such date": ({"from": "2027-02-29", "to": "2027-03-01"}, "there is no such day"),
    "no such month": ({"from": "13-01", "to": "01-01"}, "there is no such day"),
    "no such time": ({"from": "24:01", "to": "08:00"}, "there is no such time"),
    "no such minute": ({"from": "10:60", "to": "11:00"}, "there is no such time"),
    "words": ({"from": "tomorrow at ten", "to": "monday"}, "is no moment"),
    "an empty text": ({"from": "", "to": "monday"}, "is no moment"),
    "a number": ({"from": 5, "to": "monday"}, "is no moment"),
    "seconds": ({"from": time(10, 0, 1), "to": "11:00"}, "is no moment"),
    "an offset": ({"from": datetime(2026, 1, 1, tzinfo=UTC), "to": "2026-01-02"}, "the key `zone`"),
    "nothing": ({}, "a window needs `from` and `to`, or `days`"),
    "no end": ({"from": "2026-12-20"}, "a window needs `from` and `to`"),
    "two kinds": ({"from": "2026-12-20", "to": "01-03"}, "are of one kind"),
    "backwards": ({"from": "2026-12-20", "to": "2026-12-19"}, "it ends before it begins"),
    "no time between": ({"from": "2026-12-20 10:00", "to": "2026-12-20 10:00"}, "it ends before it begins"),
    "the same time": ({"from": "10:00", "to": "10:00"}, "it ends when it begins"),
    "the same moment of a week": ({"from": "friday 10:00", "to": "friday 10:00"}, "it ends when it begins"),
    "the same moment of a year": ({"from": "12-20 10:00", "to": "12-20 10:00"}, "it ends when it begins"),
    "days and a date": ({"days": ["friday"], "from": "2026-12-20"}, "with `days`, `from` is a time"),
    "days until a date": ({"days": ["friday"], "to": "2026-12-20"}, "with `days`, `to` is a time"),
    "an unknown key": (HOLIDAYS | {"until": "x"}, "until"),
}


@pytest.mark.parametrize("which", FAULTS)
def test_what_cannot_be_a_window_is_refused_with_what_is_wrong(which: str) -> None:
    table, fault = FAULTS[which]

    with pytest.raises(ValidationError, match=fault.replace("`", ".").replace("(", ".")):
        windows(table)


def test_a_gate_without_windows_is_refused() -> None:
    with pytest.raises(ValidationError):
        windows()
