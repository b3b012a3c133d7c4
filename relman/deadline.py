"""An end for several requests together: over repetitions, redirects and bodies that come byte by byte.

A wait for the network is bounded by itself, and begins anew with every byte; a server that sends one now and then would
hold up everything behind it. So at the end the connections are shut down, whoever waits for them.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Told = Callable[[socket.socket], None]
"""Hears of a connection when it is opened, before anything is said on it."""


class Deadline:
    """So many ``seconds`` for requests together, which count while they run. ``clock`` is that of `time`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._spent = 0.0
        self._since: float | None = None

    @property
    def left(self) -> float:
        """The seconds that are left; never less than none."""
        running = 0.0 if self._since is None else self._clock() - self._since
        return max(0.0, self.seconds - self._spent - running)

    @contextmanager
    def running(self) -> Iterator[None]:
        """A request, with all its repetitions and pauses. One after the other."""
        self._since = self._clock()
        try:
            yield
        finally:
            self._spent += self._clock() - self._since
            self._since = None

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0

    @property
    def reason(self) -> str:
        """What ended, for people."""
        return f"took longer than {self.seconds:g} s in all"

    @contextmanager
    def guarding(self) -> Iterator[Told]:
        """Shut down, at the end, the connections that are told of while this is open."""
        held: list[socket.socket] = []
        lock = threading.Lock()

        def cut() -> None:
            with lock:
                for each in held:
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)

        def told(own: socket.socket) -> None:
            # A second handle to the same connection: TLS takes the first one over.
            twin = socket.socket(fileno=os.dup(own.fileno()))
            with lock:
                held.append(twin)
            if self.over:
                cut()

        watch = threading.Timer(self.left, cut)
        watch.daemon = True
        watch.start()
        try:
            yield told
        finally:
            watch.cancel()
            with lock:
                for each in held:
                    each.close()
                held.clear()
