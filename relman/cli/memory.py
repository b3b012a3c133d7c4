"""Lets memory go back to the system once it is free: a run's peak is then what it holds, not what it once held."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

# mallopt(3): the numbers are glibc's.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_LARGE: Final = 4 * 1024 * 1024


def give_back() -> None:
    """Tell glibc so; elsewhere nothing happens.

    By itself it gives each thread an arena, and takes the size of the largest buffer that was ever freed (up to 32 MB)
    for what to keep there from then on: with two dozen threads that read lists, hundreds of MB that nobody uses.
    """
    import ctypes

    with suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE), (_ARENA_MAX, 2)):
            mallopt(option, value)
