"""Doing several things at once where somebody may have to stop waiting for them: Ctrl-C, `--timeout`, a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def together(work: Callable[[T], None], things: Sequence[T], workers: int) -> None:
    """Call ``work`` with each of ``things``, in their order, at most ``workers`` at a time.

    The first exception ends it: nothing new is begun, what is under way is waited for, and it is raised. An exception
    in the caller's own thread (a signal) is raised at once: what is under way then goes on unheard, in threads that
    do not keep the process alive.
    """
    waiting: SimpleQueue[T] = SimpleQueue()
    for thing in things:
        waiting.put(thing)
    failures: list[BaseException] = []
    ending = threading.Event()

    def worker() -> None:
        while not ending.is_set():
            try:
                thing = waiting.get_nowait()
            except Empty:
                return
            try:
                work(thing)
            except BaseException as error:  # noqa: BLE001  whatever it is: it is raised where somebody waits
                failures.append(error)
                ending.set()

    threads = [
        threading.Thread(target=worker, name=f"together-{number}", daemon=True)
        for number in range(min(workers, len(things)))
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        ending.set()
    if failures:
        raise failures[0]
