"""Faults for the front before docker-registry, and for webhooks: the n-th write, and what becomes of who wrote it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable

from tests.servers import Asked, Fault, Reply, Scripted

Forward = Callable[[], Reply]
Act = Callable[[Forward], Reply]

WRITES = frozenset({"PUT", "POST", "PATCH", "DELETE"})


def writes(server: Scripted) -> list[str]:
    """Every write that was asked for, in order, by the last part of its path."""
    return [asked.path.rpartition("/")[2] for asked in server.asked if asked.method in WRITES]


def nth_write(number: int, act: Act, *, for_ever: bool = False) -> Fault:
    """``act`` in place of the write with this number, from 1; ``for_ever`` that write and all that follow."""
    lock, count = threading.Lock(), [0]

    def fault(asked: Asked, forward: Forward) -> Reply | None:
        if asked.method not in WRITES:
            return None
        with lock:
            count[0] += 1
            hit = count[0] == number or (for_ever and count[0] > number)
        return act(forward) if hit else None

    return fault


def answer(status: int, **headers: str) -> Act:
    """Answer with ``status`` and let nothing through."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _forward: Reply(status, named, b'{"errors":[{"code":"COMPOSED","message":"as the test wants it"}]}')


def lose(forward: Forward) -> Reply:
    """Let it through, and drop the connection in place of the answer."""
    forward()
    return Reply(reset=True)


class Victim:
    """A process that is to be killed by the server that it talks to."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._known = threading.Event()
        self.killed = threading.Event()

    def is_(self, process: subprocess.Popen[str]) -> None:
        """Name it, once it runs."""
        self._process = process
        self._known.set()

    def kill(self, *, after: bool) -> Act:
        """SIGKILL, with the write let through before (``after`` is true) or not at all."""

        def act(forward: Forward) -> Reply:
            if after:
                forward()
            self._known.wait(30)
            assert self._process is not None
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self.killed.set()
            return Reply(reset=True)

        return act


class Gate:
    """Holds a request until the test has done something else."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def hold(self, forward: Forward) -> Reply:
        """Wait, then let it through."""
        self.reached.set()
        self.open.wait(60)
        return forward()
