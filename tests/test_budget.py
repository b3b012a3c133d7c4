"""How many bytes are held at once: never more than the budget, nobody waits for ever, and sources need not know."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman.model.oci import Descriptor, Digest, parse_repository
from relman.registry.budget import Budget, Metered
from relman.testing import MemoryRegistry, attach, put_image
from relman.walk.parallel import in_parallel

MIB = 1024 * 1024
OS = parse_repository("ghcr.io/acme/os")
SBOM = "application/vnd.spdx+json"


class Watched(Budget):
    """A budget that remembers the most that was held of it at once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.held = self.most = 0
        self._watching = threading.Lock()

    def take(self, weight: int) -> int:
        taken = super().take(weight)
        with self._watching:
            self.held += taken
            self.most = max(self.most, self.held)
        return taken

    def give(self, weight: int) -> None:
        with self._watching:
            self.held -= weight
        super().give(weight)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 12))
def test_no_more_than_the_budget_is_held_and_everybody_gets_a_turn(weights: Sequence[int], size: int) -> None:
    budget = Watched(size)

    def use(weight: int) -> int:
        taken = budget.take(weight)
        budget.give(taken)
        return taken

    assert in_parallel(use, weights) == tuple(min(weight, size) for weight in weights)
    assert budget.most <= size
    assert budget.held == 0


def test_what_is_larger_than_the_whole_goes_alone() -> None:
    budget = Budget(10)
    taken = budget.take(1000)
    passed = threading.Event()

    def small() -> None:
        budget.take(1)
        passed.set()

    threading.Thread(target=small, daemon=True).start()

    assert not passed.wait(0.05)
    budget.give(taken)

    assert passed.wait(10)


def test_small_ones_do_not_pass_a_large_one_for_ever() -> None:
    budget, order = Budget(10), list[str]()

    def use(weight: int, name: str) -> None:
        taken = budget.take(weight)
        order.append(name)
        budget.give(taken)

    first = budget.take(6)
    large = threading.Thread(target=use, args=(10, "large"), daemon=True)
    large.start()
    while not budget._waiting:
        pass
    small = threading.Thread(target=use, args=(1, "small"), daemon=True)
    small.start()

    budget.give(first)
    large.join(10)
    small.join(10)

    assert order == ["large", "small"]


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def attached(registry: MemoryRegistry, content: bytes) -> Digest:
    """The layer of an SBOM, and its manifest noted by nobody yet."""
    image = put_image(registry, OS, tags=["t"])
    attach(registry, OS, image, content, SBOM, SBOM)
    return image


def read_sbom(reader: Metered, registry: MemoryRegistry, image: Digest, content: bytes, budget: Watched) -> int:
    """What is held of the budget in the middle of reading, by a source that knows nothing of it."""
    (referrer,) = reader.referrers(OS, image)
    reader.manifest(OS.digest(referrer.digest))
    with reader.open_blob(OS, Digest.of(content)) as pieces:
        assert b"".join(pieces) == content
        return budget.held


@pytest.mark.parametrize(
    ("content", "weight"),
    [
        (b"{" + b" " * 3 * MIB, 3 * MIB + 1),
        (b"\x1f\x8b" + b" " * (3 * MIB - 2), 24 * MIB),
        (b"\x28\xb5\x2f\xfd" + b" " * (3 * MIB - 4), 24 * MIB),
        (b"small", 0),
    ],
)
def test_a_list_weighs_what_it_has_unpacked_until_the_image_is_read(
    registry: MemoryRegistry, content: bytes, weight: int
) -> None:
    image, budget = attached(registry, content), Watched(64 * MIB)

    with Metered(registry, budget) as reader:
        assert read_sbom(reader, registry, image, content, budget) == weight
        assert budget.held == weight

    assert budget.held == 0


def test_the_images_own_layers_weigh_what_streaming_them_takes(registry: MemoryRegistry) -> None:
    content = b"layer" * MIB
    layer = Descriptor("application/vnd.oci.image.layer.v1.tar", registry.put_blob(OS, content), len(content))
    budget = Watched(64 * MIB)

    with Metered(registry, budget, [layer]) as reader, reader.open_blob(OS, layer.digest):
        assert budget.held == 32 * MIB


def test_an_image_holds_as_much_as_its_largest_blob_and_nothing_while_it_waits(registry: MemoryRegistry) -> None:
    small, large = b"s" * 2 * MIB, b"l" * 5 * MIB
    digests = [registry.put_blob(OS, content) for content in (small, large)]
    budget = Watched(6 * MIB)

    with Metered(registry, budget) as one, Metered(registry, budget) as two:
        held = []
        for reader, digest in ((one, digests[0]), (two, digests[0])):
            reader.blob(OS, digest, limit=2 * MIB)
            held.append(budget.held)
        # Each holds 2 MiB and wants 5, where 6 are all there are: if they kept theirs, they would wait for ever.
        waiting = threading.Thread(target=lambda: one.blob(OS, digests[1], limit=5 * MIB), daemon=True)
        waiting.start()
        two.__exit__()
        waiting.join(10)
        held.append(budget.held)

    assert held == [2 * MIB, 4 * MIB, 5 * MIB]
    assert (budget.held, budget.most) == (0, 5 * MIB)
