"""The front as a process of its own: what the benchmark does meanwhile, in Python too, does not make it late.

`python -m tests.bench.front UPSTREAM FOLDER LONGEST-PAGE`. Each line of its stdin is a question or an order in JSON,
each answered by a line; it ends where stdin does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import selectors
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.distance import Counts
from tests.bench.ghcr import Registry
from tests.bench.store import Store
from tests.bench.wire import Link


class Control:
    """Reads stdin for the loop that serves."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link) -> None:
        self._loop, self._link = loop, link
        self._input = b""
        loop.add_reader(sys.stdin.fileno(), self._readable)

    def _readable(self) -> None:
        read = os.read(sys.stdin.fileno(), 65536)
        if not read:
            self._loop.stop()
        *lines, self._input = (self._input + read).split(b"\n")
        for line in lines:
            say(self._obey(json.loads(line)))

    def _obey(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        if "round_trip" in order:
            self._link.round_trip = order["round_trip"]
        if "counts" in order:
            self._link.counts = Counts.of(order["counts"])
        return self._link.counts.words()


def say(words: Mapping[str, Any]) -> None:
    """A line for who started this."""
    sys.stdout.write(f"{json.dumps(words)}\n")
    sys.stdout.flush()


def _failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A front that went on after an error would leave its client waiting for an answer."""
    loop.default_exception_handler(context)
    sys.stderr.flush()
    os._exit(1)


def main(upstream: str, folder: str, longest: str) -> int:
    """Serve until stdin ends."""
    # epoll waits for whole milliseconds and so is late by half of one; there are few connections to look through.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.set_exception_handler(_failed)
    link = Link()
    registry = Registry(loop, link, upstream, Store(Path(folder)), int(longest))
    Control(loop, link)
    say({"host": registry.host})
    gc.freeze()
    loop.run_forever()
    registry.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
