"""Asking once: what a digest names is asked for once, what a tag names each time; the past may come from a cache."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relman.cache import ContentsCache, Usage
from relman.errors import NotFound
from relman.model.oci import Descriptor, Digest, Reference, Repository, parse_repository
from relman.registry.look import look_at
from relman.registry.protocol import OCI_MANIFEST, Manifest
from relman.registry.remembering import Past, Remembering
from relman.testing import MemoryRegistry, put_image

OS = parse_repository("ghcr.io/acme/os")


class Asked(MemoryRegistry):
    """A registry that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def manifest(self, reference: Reference) -> Manifest:
        self.asked.append(f"manifest {reference.tag or reference.digest}")
        return super().manifest(reference)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        self.asked.append("blob")
        return super().blob(repository, digest, limit=limit)


@pytest.fixture
def registry() -> Asked:
    return Asked()


@pytest.fixture
def cache(tmp_path: Path) -> ContentsCache:
    return ContentsCache(tmp_path / "cache")


def test_a_tag_is_asked_for_each_time_and_the_digest_that_it_gave_not_again(registry: Asked) -> None:
    digest = put_image(registry, OS, tags=["stable"])
    reader = Remembering(registry)

    found = [reader.manifest(reference) for reference in (OS.tag("stable"), OS.tag("stable"), OS.digest(digest))]

    assert len({manifest.content for manifest in found}) == 1
    assert registry.asked == ["manifest stable", "manifest stable"]


def test_a_manifest_is_remembered_for_its_own_repository_alone(registry: Asked) -> None:
    digest = put_image(registry, OS, tags=["stable"])
    reader = Remembering(registry)
    reader.manifest(OS.tag("stable"))

    with pytest.raises(NotFound):
        reader.manifest(parse_repository("ghcr.io/acme/other").digest(digest))


def test_the_next_run_asks_for_a_known_image_by_its_tag_alone(registry: Asked, cache: ContentsCache) -> None:
    put_image(registry, OS, tags=["stable"], labels={"a": "b"})
    first = look_at(Remembering(registry, cache), OS.tag("stable"))
    registry.asked.clear()

    assert look_at(Remembering(registry, cache), OS.tag("stable")) == first
    assert registry.asked == ["manifest stable"]


def test_what_was_released_before_needs_no_registry(registry: Asked, cache: ContentsCache) -> None:
    digest = put_image(registry, OS, tags=["stable"])
    first = look_at(Remembering(registry, cache), OS.tag("stable"))
    elsewhere = MemoryRegistry()

    past = Past(Remembering(elsewhere, cache), cache)

    assert look_at(past, OS.digest(digest)).platforms == first.platforms
    with pytest.raises(NotFound):
        past.manifest(OS.tag("stable"))


def test_what_is_to_be_released_has_to_be_in_the_registry(registry: Asked, cache: ContentsCache) -> None:
    digest = put_image(registry, OS, tags=["stable"])
    look_at(Remembering(registry, cache), OS.tag("stable"))

    with pytest.raises(NotFound):
        look_at(Remembering(MemoryRegistry(), cache), OS.digest(digest))


@pytest.mark.parametrize("damage", [b"", b"not zstd", b"\x28\xb5\x2f\xfd"])
def test_a_kept_piece_that_is_broken_is_asked_for_again(registry: Asked, cache: ContentsCache, damage: bytes) -> None:
    put_image(registry, OS, tags=["stable"])
    first = look_at(Remembering(registry, cache), OS.tag("stable"))
    for path in cache.folder.rglob("*.piece"):
        path.write_bytes(damage)
    registry.asked.clear()

    assert look_at(Remembering(registry, cache), OS.tag("stable")) == first
    assert registry.asked == ["manifest stable", "blob"]


def test_a_piece_of_other_content_is_never_given_out(cache: ContentsCache) -> None:
    cache.keep_piece(Digest.of(b"a"), b"a")
    cache.keep_piece(Digest.of(b"b"), b"b")
    one, two = (cache._piece_path(Digest.of(content)) for content in (b"a", b"b"))

    one.replace(two)

    assert cache.piece(Digest.of(b"b")) is None
    assert not two.exists()


def test_pieces_are_no_lists_but_take_room_and_are_cleared(cache: ContentsCache) -> None:
    cache.keep_piece(Digest.of(b"a" * 1000), b"a" * 1000)

    usage = cache.usage()
    assert (usage.entries, usage.size > 0) == (0, True)
    assert cache.clear() == usage
    assert cache.usage() == Usage(0, 0)


def test_a_manifest_whose_type_only_the_registry_knows_is_not_kept(cache: ContentsCache) -> None:
    class Odd(MemoryRegistry):
        def manifest(self, reference: Reference) -> Manifest:
            found = super().manifest(reference)
            content = found.content.replace(OCI_MANIFEST.encode(), b"x" * len(OCI_MANIFEST))
            return Manifest(found.descriptor, content)

    registry = Odd()
    digest = put_image(registry, OS, tags=["stable"])

    Remembering(registry, cache).manifest(OS.tag("stable"))

    assert cache.piece(digest) is None


def test_what_two_ask_for_at_once_is_asked_for_once() -> None:
    class Slow(Asked):
        """Answers when two have asked, or when nobody else did for a while."""

        def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
            self.asked.append("referrers")
            asking.wait(0.2)
            return ()

        def manifest(self, reference: Reference) -> Manifest:
            found = super().manifest(reference)
            asking.wait(0.2)
            return found

    asking = threading.Event()
    registry = Slow()
    digest = put_image(registry, OS, tags=["stable"])
    registry.asked.clear()
    reader = Remembering(registry)

    with ThreadPoolExecutor(8) as pool:
        manifests = list(pool.map(lambda _: reader.manifest(OS.digest(digest)), range(4)))
        lists = list(pool.map(lambda _: reader.referrers(OS, digest), range(4)))

    assert len(set(map(id, manifests))) == len(set(map(id, lists))) == 1
    assert registry.asked == [f"manifest {digest}", "referrers"]
