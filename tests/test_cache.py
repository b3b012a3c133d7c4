"""What was read before: whole or not there, for many runs at once, within bounds, and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.cache import ContentsCache, Reading, Usage, cache_folder
from relman.config.values import Packages
from relman.hookspecs import ContentsSource, ImageUnderRead
from relman.model.contents import EXACT, Capability, Contents, Package, PackageSet, Unavailable
from relman.model.oci import Descriptor, Digest, Image, Repository, parse_reference, parse_repository
from relman.testing import MemoryRegistry
from relman.walk.inspect import Inspector
from tests.compact_lists import AMD64, ARM64, RICH, contents, put

READING = Reading(Digest.of(b"image"), AMD64, ("sbom", "rpmdb"))
OTHERS = [
    replace(READING, image=Digest.of(b"other")),
    replace(READING, platform=ARM64),
    replace(READING, sources=("rpmdb", "sbom")),
    replace(READING, sources=("sbom",)),
    replace(READING, wants=frozenset({Capability.CHANGELOG})),
    replace(READING, settings=("npm",)),
]


@pytest.fixture
def cache(tmp_path: Path) -> ContentsCache:
    return ContentsCache(tmp_path / "cache")


def files(cache: ContentsCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def test_what_was_kept_is_read_whole(cache: ContentsCache) -> None:
    listed = replace(contents(), extras={"modules": {"a": "1"}})

    cache.keep(READING, listed)

    found = cache.read(READING)
    assert found is not None
    assert (found, found.details, found.extras) == (listed, listed.details, listed.extras)


@pytest.mark.parametrize("other", OTHERS)
def test_another_reading_is_another_entry(cache: ContentsCache, other: Reading) -> None:
    cache.keep(READING, contents())

    assert cache.read(other) is None
    assert other.key != READING.key


def test_an_approximation_is_not_kept(cache: ContentsCache) -> None:
    cache.keep(READING, replace(contents(), capabilities=RICH - {Capability.EPOCH}))

    assert cache.read(READING) is None
    assert not cache.folder.exists()


def test_lists_of_files_are_not_kept(cache: ContentsCache) -> None:
    cache.keep(replace(READING, wants=frozenset({Capability.FILES})), contents())

    assert not cache.folder.exists()


def test_extras_that_are_no_json_are_not_kept_and_no_error(cache: ContentsCache) -> None:
    cache.keep(READING, replace(contents(), extras={"composed": object()}))

    assert cache.read(READING) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_file_with_any_byte_changed_or_cut_is_dropped(cache: ContentsCache, data: st.DataObject) -> None:
    cache.keep(READING, contents())
    (file,) = files(cache)
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())

    file.write_bytes(whole[:place] if cut else whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])

    assert cache.read(READING) is None
    assert files(cache) == []


def test_a_whole_list_of_another_image_under_this_name_is_dropped(cache: ContentsCache) -> None:
    cache.keep(OTHERS[0], contents())
    (file,) = files(cache)
    place = cache.folder / READING.key[:2] / f"{READING.key}.contents"
    place.parent.mkdir(exist_ok=True)
    file.rename(place)

    assert cache.read(READING) is None
    assert files(cache) == []


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    probe = ContentsCache(tmp_path / "probe")
    probe.keep(READING, contents())
    size = probe.usage().size
    cache = ContentsCache(tmp_path / "cache", limit=4 * size + size // 2)
    readings = [replace(READING, settings=(str(number),)) for number in range(4)]
    for age, reading in enumerate(readings):
        cache.keep(reading, contents())
        for file in files(cache):
            if reading.key in file.name:
                os.utime(file, (1000 + age, 1000 + age))

    assert cache.read(readings[0]) is not None  # used now
    cache.keep(READING, contents())

    assert [cache.read(reading) is not None for reading in readings] == [True, False, True, True]
    assert cache.read(READING) is not None
    assert cache.usage().size <= 4 * size + size // 2


def test_what_is_larger_than_all_room_is_not_kept(tmp_path: Path) -> None:
    cache = ContentsCache(tmp_path / "cache", limit=100)

    cache.keep(READING, contents())

    assert cache.usage() == Usage(0, 0)


def test_what_a_killed_run_left_is_cleared_away_in_time(cache: ContentsCache) -> None:
    cache.keep(READING, contents())
    folder = files(cache)[0].parent
    old, new = folder / ".old.tmp", folder / ".new.tmp"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1000, 1000))

    ContentsCache(cache.folder).keep(READING, contents())

    assert (old.exists(), new.exists()) == (False, True)
    assert cache.usage().entries == 1


def test_clearing_removes_its_own_files_and_no_others(cache: ContentsCache) -> None:
    cache.keep(READING, contents())
    stranger = cache.folder / "README"
    stranger.write_text("not ours")
    (cache.folder / READING.key[:2] / ".left.tmp").write_bytes(b"half")

    assert cache.clear().entries == 2
    assert files(cache) == [stranger]
    assert cache.read(READING) is None
    assert cache.usage() == Usage(0, 0)
    assert cache.clear() == Usage(0, 0)


def test_a_folder_that_cannot_be_written_is_no_cache_and_no_error(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    cache = ContentsCache(place / "cache")

    cache.keep(READING, contents())

    assert cache.read(READING) is None
    assert cache.usage() == Usage(0, 0)
    assert place.read_text() == "in the way"


def _hammer(folder: str, number: int) -> bool:
    cache = ContentsCache(Path(folder), limit=20_000)
    whole = True
    for turn in range(40):
        reading = replace(READING, settings=(str((number + turn) % 7),))
        cache.keep(reading, contents())
        found = cache.read(reading)
        whole = whole and (found is None or found == contents())  # None: another run made room
    return whole


def test_runs_at_once_see_whole_lists_or_none(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.starmap(_hammer, [(str(tmp_path / "cache"), number) for number in range(4)]) == [True] * 4
        pool.close()  # ends by itself: a test before this one may have given SIGTERM another meaning
        pool.join()

    cache = ContentsCache(tmp_path / "cache")
    assert 0 < cache.usage().entries <= 7
    assert [path.name for path in files(cache) if path.suffix == ".tmp"] == []


def test_threads_at_once_see_whole_lists_or_none(cache: ContentsCache) -> None:
    wrong: list[object] = []

    def use(number: int) -> None:
        for turn in range(20):
            reading = replace(READING, settings=(str((number + turn) % 3),))
            cache.keep(reading, contents())
            if cache.read(reading) != contents():
                wrong.append(reading)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"RELMAN_CACHE": "/r", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, Path("/r")),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, Path("/x/relman")),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, Path("/h/.cache/relman")),
        ({"RELMAN_CACHE": "", "HOME": "/h"}, Path("/h/.cache/relman")),
        ({}, None),
    ],
)
def test_the_folder_is_where_the_environment_says(environment: dict[str, str], folder: Path | None) -> None:
    assert cache_folder(environment) == folder


# ------------------------------------------------------------------------------------- the inspector


class Listed:
    """A source that counts how often it was asked."""

    name = "sbom"
    capabilities = RICH

    def __init__(self, answer: Contents | Unavailable) -> None:
        self.answer = answer
        self.asked: list[frozenset[Capability]] = []

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        self.asked.append(image.wants)
        return self.answer


OS = parse_repository("registry.example/os")


@pytest.fixture
def image() -> Image:
    return put(MemoryRegistry(), OS, "stable")


def inspector(sources: Iterable[ContentsSource], cache: ContentsCache | None, minimum: int = 100) -> Inspector:
    return Inspector(sources, Packages(minimum=minimum), MemoryRegistry(), cache=cache)


def test_the_next_run_asks_no_source(cache: ContentsCache, image: Image) -> None:
    source = Listed(contents())
    part = image.platforms[0]

    first = inspector([source], cache).detailed(image.reference, part)
    second = inspector([source], cache).detailed(image.reference, part)

    assert first == second == contents()
    assert len(source.asked) == 1


def test_without_a_cache_every_run_asks(image: Image) -> None:
    source = Listed(contents())
    for _ in range(2):
        inspector([source], None).contents(image.reference, image.platforms[0])

    assert len(source.asked) == 2


def test_a_file_given_by_hand_is_never_cached(cache: ContentsCache) -> None:
    source = Listed(contents())
    for _ in range(2):
        inspector([source], cache).contents(parse_reference("sbom:list.json"), None)

    assert len(source.asked) == 2


def test_a_kept_list_that_is_too_short_now_is_read_again(cache: ContentsCache, image: Image) -> None:
    source = Listed(replace(contents(), packages=PackageSet([Package("rpm", "a", "x86_64", "1-1")]), details=None))
    inspector([source], cache, minimum=1).contents(image.reference, image.platforms[0])

    with pytest.raises(Exception, match="lists 1 packages, fewer than the 100"):
        inspector([source], cache).contents(image.reference, image.platforms[0])
    assert len(source.asked) == 2


def test_what_a_run_wants_reaches_the_source_and_is_a_reading_of_its_own(cache: ContentsCache, image: Image) -> None:
    source, wants = Listed(contents()), frozenset({Capability.CHANGELOG})
    inspector([source], cache).contents(image.reference, image.platforms[0])

    found = Inspector([source], Packages(), MemoryRegistry(), cache=cache, wants=wants)
    again = Inspector([source], Packages(), MemoryRegistry(), cache=cache, wants=wants)
    one, two = (each.detailed(image.reference, image.platforms[0]) for each in (found, again))

    assert source.asked == [frozenset(), wants]
    assert one.details == two.details
    assert two.details is not None
    assert two.details.changelogs


def wanting(source: ContentsSource, cache: ContentsCache) -> Inspector:
    return Inspector([source], Packages(), MemoryRegistry(), cache=cache, wants=frozenset({Capability.CHANGELOG}))


def test_a_list_of_a_source_that_knows_no_more_serves_those_who_want_more(cache: ContentsCache, image: Image) -> None:
    poor = Listed(replace(contents(source="sbom"), capabilities=EXACT, details=None))
    poor.capabilities = EXACT
    place = image.reference, image.platforms[0]

    inspector([poor], cache).contents(*place)
    one = wanting(poor, cache).detailed(*place)
    cache.clear()
    two = wanting(poor, cache).detailed(*place)
    inspector([poor], cache).contents(*place)

    assert one == two == poor.answer
    assert len(poor.asked) == 2


def test_a_list_with_changelogs_serves_those_who_want_none(cache: ContentsCache, image: Image) -> None:
    source, place = Listed(contents()), (image.reference, image.platforms[0])

    wanting(source, cache).detailed(*place)
    found = inspector([source], cache).contents(*place)

    assert found == contents().plain
    assert len(source.asked) == 1


def test_sources_share_one_question_for_what_is_attached(image: Image) -> None:
    class Asking(MemoryRegistry):
        asked = 0

        def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
            self.asked += 1
            return super().referrers(repository, digest)

    class Curious(Listed):
        def read(self, image: ImageUnderRead) -> Contents | Unavailable:
            assert image.image is not None
            for _ in range(2):
                image.registry.referrers(image.reference.repository, image.image.manifest.digest)
            return super().read(image)

    registry = Asking()
    Inspector([Curious(contents())], Packages(), registry).contents(image.reference, image.platforms[0])

    assert registry.asked == 1
