"""How fast a server is asked: one 429 slows every worker that talks to the same host."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

_FIRST_INTERVAL = 0.05
_LONGEST_INTERVAL = 1.0
_NEGLIGIBLE = 0.01


class _Lane(msgspec.Struct):
    until: float = 0.0
    next: float = 0.0
    interval: float = 0.0


class Pace:
    """When the next request to a host may leave, for all threads of a client.

    ``clock`` and ``sleep`` are those of `time`; a test hands in its own.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}

    def wait(self, host: str, most: float | None = None) -> bool:
        """Return when it is this caller's turn; at once, and with `False`, where that is more than ``most`` seconds."""
        while True:
            with self._lock:
                lane = self._lanes.setdefault(host, _Lane())
                now = self._clock()
                turn = max(lane.until, lane.next)
                if turn <= now:
                    lane.next = now + lane.interval
                    return True
            if most is not None:
                if turn - now > most:
                    return False
                most -= turn - now
            self._sleep(turn - now)

    def slow(self, host: str, pause: float) -> None:
        """Let nobody ask ``host`` for ``pause`` seconds, and everybody less often after that."""
        with self._lock:
            lane = self._lanes.setdefault(host, _Lane())
            lane.until = max(lane.until, self._clock() + pause)
            lane.interval = min(_LONGEST_INTERVAL, max(_FIRST_INTERVAL, lane.interval * 2))

    def ease(self, host: str) -> None:
        """An answer came: go a little faster again."""
        with self._lock:
            lane = self._lanes.get(host)
            if lane is not None:
                lane.interval = lane.interval * 0.8 if lane.interval > _NEGLIGIBLE else 0.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait (RFC 9110, 10.2.3); `None` where it does not say, or says nonsense.

    A date is counted from the answer's own `Date`, so that a clock that is wrong here does no harm.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    then, now = _moment(value), _moment(headers.get("date", ""))
    if then is None:
        return None
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
