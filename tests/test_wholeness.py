"""Before the first tag: every manifest, configuration and layer of images that stay where they are, each asked once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from relman.errors import NotFound, PartlyDone, RelmanError
from relman.model.oci import Digest, Reference, Repository
from relman.model.plan import Plan
from relman.model.record import RecordState
from relman.registry.carrying import blobs_of, family
from relman.testing import MemoryRegistry
from tests.test_rollback import quietly
from tests.walking import World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}"
"""


class Hollow(MemoryRegistry):
    """A registry that lost some of what its manifests refer to, and counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[Digest] = set()
        self.looked: Counter[tuple[Repository, Digest]] = Counter()
        self.fail_at: int | None = None

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        self.looked[repository, digest] += 1
        return digest not in self.gone and super().has_blob(repository, digest)

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        if self.fail_at is not None and tag is not None:
            self.fail_at -= 1
            if self.fail_at < 0:
                raise RelmanError("no more")
        return super().put_manifest(repository, content, media_type, tag=tag)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, Hollow())
    found.configure(CONFIG)
    found.push("os", "testing", "testing-20260705", platforms=("linux/amd64", "linux/arm64"), n="1")
    found.push("os-dx", "testing", "testing-20260705", n="2")
    return found


def hollow(world: World) -> Hollow:
    assert isinstance(world.registry, Hollow)
    return world.registry


def plan(world: World) -> Plan:
    with world.walk() as walk:
        made = walk.plan(walk.config.stream("stable"))
    world.memory.writes.clear()
    hollow(world).looked.clear()
    return made


def apply(world: World, made: Plan) -> RecordState:
    with world.walk() as walk:
        record, _ = walk.apply(made, quietly)
    return record.state


def parts(world: World, name: str) -> list[Digest]:
    """Every configuration and layer of an image."""
    image = world.reference(f"{name}:testing")
    held = world.holds(f"{name}:testing")
    assert held
    pinned: Reference = image.repository.digest(held)
    return [blob.digest for one in family(world.registry, pinned) for blob in blobs_of(image.repository, one)]


@pytest.mark.parametrize("name", ["os", "os-dx"])
@pytest.mark.parametrize("number", range(2))
def test_a_layer_or_configuration_that_is_gone_is_named_before_the_first_write(
    world: World, name: str, number: int
) -> None:
    made = plan(world)
    lost = parts(world, name)[number]
    hollow(world).gone.add(lost)

    with pytest.raises(NotFound, match=f"is not whole: the blob `{lost}` is not there") as caught:
        apply(world, made)

    assert (world.memory.writes, world.ledger.records()) == ([], ())
    assert caught.value.hint is not None


def test_each_is_asked_for_once_however_many_images_share_it(world: World) -> None:
    made = plan(world)

    assert apply(world, made) is RecordState.FINISHED

    wanted = {(world.reference(f"{n}:x").repository, digest) for n in ("os", "os-dx") for digest in parts(world, n)}
    assert hollow(world).looked == dict.fromkeys(wanted, 1)


def test_one_that_lost_a_layer_while_its_release_was_partly_done_is_4(world: World) -> None:
    made = plan(world)
    hollow(world).fail_at = 1
    assert apply(world, made) is RecordState.PARTIAL
    hollow(world).fail_at = None
    hollow(world).gone.add(parts(world, "os-dx")[0])

    with pytest.raises(PartlyDone, match=r"is partly done: .* is not whole"):
        apply(world, made)


def test_a_finished_release_asks_for_nothing(world: World) -> None:
    made = plan(world)
    apply(world, made)
    hollow(world).looked.clear()

    apply(world, made)

    assert hollow(world).looked == {}
