"""Several things at once, where they only read: in threads that are kept, and of which nobody waits for one.

What has effects goes by `relman.walk.together`, which somebody may have to stop waiting for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

WORKERS = 24
"""Requests under way at once: enough to hide the distance to a registry, few enough not to be throttled."""

_threads = ThreadPoolExecutor(32, thread_name_prefix="parallel")
"""Kept from one call to the next: a thread takes longer to start than to ask."""


def in_parallel(function: Callable[[A], B], items: Iterable[A], *, workers: int = WORKERS) -> tuple[B, ...]:
    """``function`` of every item, in the order of the items; the first failure ends it.

    This thread does what nobody else has begun, so that calls inside of calls never wait for a thread.
    """
    items = tuple(items)
    if len(items) < 2 or workers < 2:
        return tuple(map(function, items))
    pool = _threads if len(items) <= workers else ThreadPoolExecutor(workers - 1)
    others = [pool.submit(function, item) for item in items[1:]]
    try:
        first = function(items[0])
        rest = zip(others, items[1:], strict=True)
        return (first, *(function(item) if other.cancel() else other.result() for other, item in rest))
    finally:
        # After a failure, or Ctrl-C, nobody waits for requests whose answers nobody wants.
        for other in others:
            other.cancel()
        if pool is not _threads:
            pool.shutdown(wait=False)


def both(one: Callable[[], A], two: Callable[[], B]) -> tuple[A, B]:
    """Both at once; the first failure ends it."""
    other = _threads.submit(two)
    try:
        first = one()
        return first, two() if other.cancel() else other.result()
    finally:
        other.cancel()


def in_background(work: Callable[[], A]) -> Callable[[], A]:
    """``work``, begun now; what is returned waits for it, and answers or fails as it did.

    In a thread of its own: those of the others may all be waiting for it.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="background")
    begun = pool.submit(work)
    pool.shutdown(wait=False)
    return begun.result
