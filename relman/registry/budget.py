"""How many bytes of contents are held at once, whatever their number: so that memory does not grow with sizes.

Sizes are known from manifests before a blob is opened. The reader that a source of contents is handed takes them from
one budget; a source, a stranger's too, need not know of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from relman.errors import Malformed
from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry.forwarding import Forwarding
from relman.registry.manifests import read_manifest
from relman.registry.protocol import Manifest, RegistryReader

IN_FLIGHT: Final = 160 * 1024 * 1024
"""How much is held at once, in bytes. What is larger is read alone."""

_STREAMED = 32 * 1024 * 1024
_SWELLS = 8
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")
_SMALL = 1024 * 1024


class Budget:
    """So many bytes, for any number of threads. First come, first served, so that large ones are not passed for ever.

    One that is larger than the whole gets the whole, alone: nothing waits for what can never be.
    """

    def __init__(self, size: int = IN_FLIGHT) -> None:
        self._size = size
        self._left = size
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    def take(self, weight: int) -> int:
        """Wait until ``weight`` bytes are free; how many were taken, to be given back."""
        weight = min(weight, self._size)
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is turn and weight <= self._left)
                self._left -= weight
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        return weight

    def give(self, weight: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._left += weight
            self._changed.notify_all()


class Metered(Forwarding):
    """`RegistryReader` for one image under read. It holds as much of ``budget`` as its largest blob so far weighs.

    What it holds it gives back before it waits for more, so that nobody waits while holding; all of it when the
    reading ends. ``layers``, the image's own, are streamed by whoever reads them, and weigh what that takes.
    """

    def __init__(self, reader: RegistryReader, budget: Budget, layers: Iterable[Descriptor] = ()) -> None:
        super().__init__(reader)
        self._budget = budget
        self._lock = threading.Lock()
        self._held = 0
        self._streamed = frozenset(layer.digest for layer in layers)
        self._sizes: dict[Digest, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._budget.give(self._held)
            self._held = 0

    def manifest(self, reference: Reference) -> Manifest:
        """The manifest; what it says of the sizes of blobs is noted."""
        found = self._reader.manifest(reference)
        try:
            parts = read_manifest(found.content, found.descriptor.media_type, f"`{reference}`")
        except Malformed:  # for whoever asked to say
            return found
        self._sizes.update((blob.digest, blob.size) for blob in parts.blobs)
        return found

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """The blob, which is held from now on."""
        self._hold(min(limit, self._sizes.get(digest, limit)))
        return self._reader.blob(repository, digest, limit=limit)

    @contextmanager
    def open_blob(self, repository: Repository, digest: Digest) -> Iterator[Iterator[bytes]]:
        """The blob in pieces. One that is compressed is taken to be held unpacked."""
        size = self._sizes.get(digest, 0)
        if digest in self._streamed:
            self._hold(_STREAMED)
        else:
            self._hold(size)
        with self._reader.open_blob(repository, digest) as pieces:
            first = next(pieces, b"")
            if digest not in self._streamed and first.startswith(_PACKED):
                self._hold(size * _SWELLS)
            yield _chained(first, pieces)

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """The part, which is held from now on."""
        self._hold(length + _STREAMED)
        return self._reader.blob_range(repository, digest, start, length)

    def _hold(self, weight: int) -> None:
        if weight < _SMALL:
            return
        with self._lock:
            if weight > self._held:
                self._budget.give(self._held)
                self._held = 0
                self._held = self._budget.take(weight)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
