"""Reading ahead: what is inside an image is asked for before the run knows all that it will need."""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path

import pytest

from relman.errors import Malformed
from relman.model.oci import Descriptor, Digest, Repository
from relman.registry.protocol import RegistryReader
from relman.testing import MemoryRegistry
from relman.walk.comparing import pairs_of_release
from tests.walking import World

STREAM = """
[[variants]]
name = "os"

[streams.stable]
tags = ["stable"]
versions = ["stable-{date}"]

[packages]
minimum = 1

[changelog]
commits = { required = false }
"""
PATIENCE = 30.0  # of what never comes, in seconds: nothing waits for so long where it is right


class Tags(MemoryRegistry):
    """A registry that does not say which tags there are before it was asked what is attached to the candidate."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.waited: list[bool] = []
        self.questions: list[Digest] = []

    def forget(self) -> None:
        """What was asked so far was asked by whoever made the images."""
        self.asked.clear()
        self.questions.clear()

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        self.questions.append(digest)
        self.asked.set()
        return super().referrers(repository, digest)

    def tags(self, repository: Repository) -> tuple[str, ...]:
        self.waited.append(self.asked.wait(PATIENCE))
        return super().tags(repository)


@pytest.fixture
def registry() -> Tags:
    return Tags()


@pytest.fixture
def world(tmp_path: Path, registry: Tags) -> World:
    world = World(tmp_path, registry=registry)
    world.configure(STREAM)
    world.push("os", "stable-20260616", day=date(2026, 6, 16), packages={"bash": "5.2-1"})
    world.push("os", "stable", "stable-20260623", day=date(2026, 6, 23), packages={"bash": "5.3-1"})
    registry.forget()
    return world


def test_a_candidate_is_read_while_the_tags_are_listed(world: World, registry: Tags) -> None:
    with world.walk() as walk:
        comparer = walk.instruments.comparer
        release = walk.resolve(walk.config.stream("stable"), ahead=walk.ahead(lambda: comparer))
        (compared,) = comparer.compare(pairs_of_release(release))

    assert registry.waited == [True]
    assert compared.diff is not None
    assert [(change.name, change.before, change.after) for change in compared.diff.changes] == [
        ("bash", ("5.2-1",), ("5.3-1",))
    ]


def test_what_was_read_ahead_is_not_asked_for_again(world: World, registry: Tags) -> None:
    with world.walk() as walk:
        comparer = walk.instruments.comparer
        release = walk.resolve(walk.config.stream("stable"), ahead=walk.ahead(lambda: comparer))
        comparer.compare(pairs_of_release(release))

    assert len(registry.questions) == len(set(registry.questions)) == 2


def test_what_fails_ahead_fails_for_whoever_needs_it_and_not_before(world: World) -> None:
    world.configure(STREAM.replace("minimum = 1", "minimum = 1000"))
    with world.walk() as walk:
        comparer = walk.instruments.comparer
        release = walk.resolve(walk.config.stream("stable"), ahead=walk.ahead(lambda: comparer))

        with pytest.raises(Malformed, match="fewer than the 1000"):
            comparer.compare(pairs_of_release(release))


def test_another_platform_than_those_that_are_compared_is_not_read_ahead(world: World, registry: Tags) -> None:
    both = ("linux/amd64", "linux/arm64")
    for day in (24, 25):
        tags = (f"stable-202606{day}", *(("stable",) if day == 25 else ()))
        world.push("os", *tags, day=date(2026, 6, day), platforms=both, packages={"bash": f"5.{day}-1"})
    registry.forget()
    with world.walk() as walk:
        comparer = walk.instruments.comparer
        (wanted,) = [
            p for p in walk.instruments.look(world.reference("os:stable")).platforms if str(p.platform) == both[1]
        ]
        ahead = walk.ahead(lambda: comparer, [wanted.platform])
        release = walk.resolve(walk.config.stream("stable"), ahead=ahead)
        comparer.compare(pairs_of_release(release, [wanted.platform]))
        others = {
            part.manifest.digest
            for candidate in release.candidates
            for part in candidate.image.platforms
            if part.platform != wanted.platform
        }

    assert registry.questions
    assert not others & set(registry.questions)


def test_the_reader_that_is_watched_answers_what_it_is_asked(world: World) -> None:
    with world.walk() as walk:
        reader: RegistryReader = walk.instruments.reader
        comparer = walk.instruments.comparer
        found = walk.ahead(lambda: comparer).of(walk.instruments.resolver)

        assert found.reader.manifest(world.reference("os:stable")) == reader.manifest(world.reference("os:stable"))
