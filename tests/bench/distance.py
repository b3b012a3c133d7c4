"""A registry far away: what GHCR and its CDN look like from a build machine.

Each request waits for a round trip, the first one on a connection for two more (TCP and TLS). Tokens, a CDN on an
address of its own, pages of tags, no API for referrers. What the registry answered once is answered from memory from
then on, and blobs come from its folder: what is measured is the client, not docker-registry. For the same reason it is
a process of its own (`tests.bench.front`), which this starts and speaks with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bench.store import Store

LONGEST = 1000
"""Tags of a page at most, whatever number is asked for."""
TAGS_IN_ALL = 300

_ROOT = Path(__file__).parent.parent.parent


@dataclass
class Counts:
    """What arrived. ``first`` is when the first request did, by `time.perf_counter`, one clock for all processes."""

    kinds: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    sent: int = 0
    first: float | None = None

    @property
    def requests(self) -> int:
        """All of them, tokens and refusals too."""
        return sum(self.kinds.values())

    def words(self) -> dict[str, Any]:
        """As it is told from process to process."""
        return dict(vars(self))

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Self:
        """What `words` told."""
        return cls(**{**words, "kinds": Counter(words["kinds"])})


class Distant:
    """``round_trip`` in seconds; ``page`` is the longest page of tags. `counts` is replaced by whoever measures."""

    def __init__(self, upstream: str, store: Store, round_trip: float, page: int = LONGEST) -> None:
        self._argv = [sys.executable, "-m", "tests.bench.front", upstream, str(store.folder), str(page)]
        self._round_trip = round_trip
        self._process: subprocess.Popen[str] | None = None
        self.host = ""

    def __enter__(self) -> Self:
        path = {"PYTHONPATH": os.pathsep.join(map(str, (_ROOT, _ROOT / "plugins")))}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._argv, env=os.environ | path, stdin=pipe, stdout=pipe, text=True)
        self.host = self._heard()["host"]
        self.round_trip = self._round_trip
        return self

    def __exit__(self, *args: object) -> None:
        process, self._process = self._running, None
        with process:  # closes its stdin, which ends it
            pass

    @property
    def pid(self) -> int:
        """Of the process that serves."""
        return self._running.pid

    @property
    def round_trip(self) -> float:
        """How far away it is, in seconds."""
        return self._round_trip

    @round_trip.setter
    def round_trip(self, seconds: float) -> None:
        self._round_trip = seconds
        self._asked(round_trip=seconds)

    @property
    def counts(self) -> Counts:
        """What arrived until now: a copy, which does not grow."""
        return Counts.of(self._asked())

    @counts.setter
    def counts(self, counts: Counts) -> None:
        self._asked(counts=counts.words())

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "it runs inside of `with`"
        return self._process

    def _asked(self, **order: object) -> Mapping[str, Any]:
        assert self._running.stdin is not None
        self._running.stdin.write(f"{json.dumps(order)}\n")
        self._running.stdin.flush()
        return self._heard()

    def _heard(self) -> Mapping[str, Any]:
        assert self._running.stdout is not None
        line = self._running.stdout.readline()
        if not line:
            raise RuntimeError("the front ended: what it said last is on stderr")
        words: Mapping[str, Any] = json.loads(line)
        return words
