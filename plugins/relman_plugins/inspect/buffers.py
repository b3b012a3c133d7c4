"""Memory for large lists, in pages of 2 MiB, and used again for the next list.

Pages from the system come zeroed, and of fifty megabytes that takes longer than filling them: in pages of 4 KiB many
times as long, in large ones (madvise(2)) on some machines still as long as reading the list that they are for.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

KEPT: Final = 160 * 1024 * 1024
"""The most bytes that are kept for the next list, those that are in use counted."""

_RESERVED = 64 * 1024 * 1024
_HUGE_PAGES: int | None = getattr(mmap, "MADV_HUGEPAGE", None)

AVAILABLE: Final = _HUGE_PAGES is not None
"""Whether this system has such pages."""


class Buffer:
    """Bytes one after the other, in memory of their own."""

    def __init__(self, store: Store | None = None) -> None:
        self._map = mmap.mmap(-1, _RESERVED, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # not there before it is written
        if _HUGE_PAGES is not None:
            with suppress(OSError):  # a kernel without them
                self._map.madvise(_HUGE_PAGES)
        self._store = store
        self._size = 0
        self.touched = 0

    def add(self, piece: bytes | bytearray) -> None:
        """Append ``piece``."""
        end = self._size + len(piece)
        while end > len(self._map):
            self._map.resize(2 * len(self._map))
        if end > self.touched:
            if self._store is not None:
                self._store.count(end - self.touched)
            self.touched = end
        self._map[self._size : end] = piece
        self._size = end

    def view(self) -> memoryview:
        """What was added."""
        return memoryview(self._map)[: self._size]

    def cleared(self) -> bool:
        """Begin anew; false where somebody still looks at what was added."""
        try:
            self._map.resize(len(self._map))  # which is refused as long as there is a view of it
        except BufferError:
            return False
        self._size = 0
        return True

    def close(self) -> None:
        """Give the memory back to the system."""
        self._map.close()


class Store:
    """Buffers that wait for the next list, as long as anybody reads lists. For any number of threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._idle: list[Buffer] = []
        self._readers = 0
        self._touched = 0  # of all buffers, idle or not

    @contextmanager
    def lent(self) -> Iterator[Lent]:
        """A buffer, where one is needed. It is kept only if every view of it is gone when the reading ends."""
        with self._lock:
            self._readers += 1
        lent = Lent(self)
        try:
            yield lent
        finally:
            self._back(lent.buffer)

    def take(self) -> Buffer:
        """An idle buffer, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Buffer(self)

    def count(self, more: int) -> None:
        """``more`` bytes are used of a buffer that were not before: idle ones make room for them."""
        with self._lock:
            self._touched += more
            while self._idle and self._touched > self._kept:
                self._drop(self._idle.pop(0))

    def _back(self, buffer: Buffer | None) -> None:
        with self._lock:
            self._readers -= 1
            if buffer is not None and buffer.cleared():
                self._idle.append(buffer)
            elif buffer is not None:  # it goes when the last view of it does
                self._touched -= buffer.touched
            while self._idle and (not self._readers or self._touched > self._kept):
                self._drop(self._idle.pop(0))

    def _drop(self, buffer: Buffer) -> None:
        self._touched -= buffer.touched
        buffer.close()


class Lent:
    """What one reader may use."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.buffer: Buffer | None = None

    def take(self) -> Buffer:
        """The buffer, which is a list's only one."""
        assert self.buffer is None
        self.buffer = self._store.take()
        return self.buffer


STORE: Final = Store()
"""The one of this process."""
