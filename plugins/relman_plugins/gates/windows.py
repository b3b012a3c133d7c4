"""Windows of time as people write them, and when they are open: once, each year, each week, each day.

What stands in `from` and `to` says how often: `2026-12-20`, `12-20`, `friday 16:00`, `16:00`. Times are those of a
clock on a wall in the window's zone, to the minute. Where such a clock is put forward, a time that it leaves out is
the moment at which it jumps; where it is put back, a window begins at the first of two equal times, and ends at the
last: it is never shorter than the clock on the wall shows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from pydantic import AfterValidator, Field, PlainValidator, model_validator

from relman.plugin import Table

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAYS = get_args(Day)
_DAY = 24 * 60  # minutes
_TEXT = re.compile(
    r"(?:(?:(?P<year>[0-9]{4})-)?(?P<month>[0-9]{2})-(?P<day>[0-9]{2})|(?P<weekday>[a-z]+))?"
    r"(?:(?:^|[ T])(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}))?",
    re.ASCII,
)
_HOW = "write `2026-12-20`, `12-20`, `friday` or nothing, and a time such as `16:00`"
_REACH = 9
"""Days before and after which no window of a week is looked for: the longest one lasts for eight."""


class Often(IntEnum):
    """How often a moment comes."""

    ONCE = 0
    YEARLY = 1
    WEEKLY = 2
    DAILY = 3


class Moment(msgspec.Struct, frozen=True):
    """What stands in `from` or `to`. ``date`` is (year, month, day) with the year 0 for each; ``minute`` of the day."""

    often: Often
    date: tuple[int, int, int] = (0, 0, 0)
    weekday: int = 0
    minute: int | None = None

    @property
    def begins(self) -> int:
        """The minute of the day at which a window begins with it."""
        return self.minute or 0

    @property
    def ends(self) -> int:
        """The minute of the day at which a window ends with it: a day alone counts whole."""
        return _DAY if self.minute is None else self.minute


def read_moment(value: Any) -> Moment:
    """A moment as it is written, also as TOML's own dates and times. Raises `ValueError`."""
    if isinstance(value, dt.datetime | dt.time) and value.tzinfo is not None:
        raise ValueError(f"`{value}` has an offset of its own: the key `zone` says where the clock hangs")
    if isinstance(value, dt.datetime | dt.time) and not (value.second or value.microsecond):
        value = value.isoformat(timespec="minutes")
    elif isinstance(value, dt.date):
        value = value.isoformat()
    match = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if not match or not value:
        raise ValueError(f"`{value}` is no moment: {_HOW}")
    minute = None if match["hour"] is None else int(match["hour"]) * 60 + int(match["minute"])
    if minute is not None and (minute > _DAY or int(match["minute"]) > 59):
        raise ValueError(f"`{value}`: there is no such time, between `00:00` and `24:00`")
    if match["weekday"]:
        if match["weekday"] not in _DAYS:
            raise ValueError(f"`{match['weekday']}` is no day of the week: there are {', '.join(_DAYS)}")
        return Moment(Often.WEEKLY, weekday=_DAYS.index(match["weekday"]), minute=minute)
    if not match["month"]:
        return Moment(Often.DAILY, minute=minute)
    year, month, day = int(match["year"] or 0), int(match["month"]), int(match["day"])
    try:
        dt.date(year or 2000, month, day)  # a leap year: each year has its 29th of February, though it may be empty
        if match["year"] and not 1970 <= year < 9000:
            raise ValueError
    except ValueError as error:
        raise ValueError(f"`{value}`: there is no such day") from error
    return Moment(Often.YEARLY if not match["year"] else Often.ONCE, (year, month, day), minute=minute)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"`{name}` is no time zone of this machine: write one such as `Europe/Berlin`, or install its `tzdata`"
        ) from error
    return name


Point = Annotated[Moment, PlainValidator(read_moment)]


class Window(Table):
    """`{ from = "12-20", to = "01-03", zone = "Europe/Berlin", reason = "holidays" }`.

    With ``days``, `from` and `to` are times, by themselves the whole day; `to` may be a later day of the week.
    """

    from_: Point | None = Field(None, alias="from")
    to: Point | None = None
    days: tuple[Day, ...] = ()
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    reason: str = ""

    @model_validator(mode="after")
    def _is_one(self) -> Window:
        start, end = self.from_, self.to
        if self.days:
            if start is not None and start.often is not Often.DAILY:
                raise ValueError('with `days`, `from` is a time such as `"16:00"`: it begins on each of them')
            if end is not None and end.often not in (Often.DAILY, Often.WEEKLY):
                raise ValueError('with `days`, `to` is a time, or a day of the week: `"08:00"`, `"monday 08:00"`')
            return self
        if start is None or end is None:
            raise ValueError("a window needs `from` and `to`, or `days`")
        if start.often is not end.often:
            raise ValueError("`from` and `to` are of one kind: two dates, two days of the year or week, or two times")
        if start.often is Often.ONCE and _once(end, end.ends) <= _once(start, start.begins):
            raise ValueError("it ends before it begins")
        if (start.date, start.weekday, start.begins) == (end.date, end.weekday, end.ends):
            raise ValueError("it ends when it begins: leave out the times where the whole day is meant")
        return self

    def open_until(self, now: datetime) -> datetime | None:
        """When it ends, where it is open ``now``; else `None`."""
        zone = ZoneInfo(self.zone)
        spans = (
            (first_instant(start, zone), last_instant(end, zone))
            for start, end in self._spans(now.astimezone(zone).date())
        )
        return max((end for start, end in spans if start <= now < end), default=None)

    def _spans(self, day: dt.date) -> Iterator[tuple[datetime, datetime]]:
        """When it begins and ends, by the clock on the wall, each time that could be open on ``day``."""
        start = self.from_ or Moment(Often.DAILY, minute=0)
        end = self.to or Moment(Often.DAILY, minute=_DAY)
        if start.often is Often.ONCE:
            yield _once(start, start.begins), _once(end, end.ends)
        elif start.often is Often.YEARLY:
            wraps = (end.date, end.ends) <= (start.date, start.begins)
            for year in range(day.year - 1, day.year + 2):
                yield _in_year(year, start, start.begins), _in_year(year + wraps, end, end.ends)
        else:
            on = {_DAYS.index(name) for name in self.days} or (
                {start.weekday} if start.often is Often.WEEKLY else set(range(7))
            )
            for first in (day + timedelta(days=offset) for offset in range(-_REACH, 2)):
                if first.weekday() in on:
                    yield _at(first, start.begins), _next(first, start.begins, end)


def _once(moment: Moment, minute: int) -> datetime:
    return _at(dt.date(*moment.date), minute)


def _in_year(year: int, moment: Moment, minute: int) -> datetime:
    """The moment in that year; the 29th of February is the beginning of March where there is none."""
    _, month, day = moment.date
    try:
        return _at(dt.date(year, month, day), minute)
    except ValueError:
        return _at(dt.date(year, 3, 1), 0)


def _next(day: dt.date, begins: int, end: Moment) -> datetime:
    """The first time after ``begins`` of ``day`` at which ``end`` comes."""
    days = (end.weekday - day.weekday()) % 7 if end.often is Often.WEEKLY else 0
    if days == 0 and end.ends <= begins:
        days = 7 if end.often is Often.WEEKLY else 1
    return _at(day + timedelta(days=days), end.ends)


def _at(day: dt.date, minute: int) -> datetime:
    return datetime.combine(day, dt.time.min) + timedelta(minutes=minute)


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which a clock in ``zone`` shows ``wall`` or, where it leaves that out, more."""
    return _instant(wall.replace(fold=0), zone)


def last_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The last moment, in UTC, at which a clock in ``zone`` shows ``wall``; where it leaves that out, when it jumps."""
    return _instant(wall.replace(fold=1), zone)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if _shown(instant, zone) == wall.replace(fold=0):
        return instant
    # In a gap, PEP 495 has the offset before it for one fold and that after it for the other: it lies in between.
    early, late = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (early, middle) if _shown(middle, zone) >= wall.replace(fold=0) else (middle, late)
    return late


def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)
