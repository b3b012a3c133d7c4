"""resolve: which images make up a release, what each follows, what it is called. Records first, then tags."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.errors import ConfigError, NotFound, Passing
from relman.lifecycle import configure
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, Platform, Reference, Repository, parse_reference
from relman.model.record import Record, RecordedVariant, RecordState
from relman.model.release import Predecessor, Release, TagMove, release_id
from relman.model.streams import Version
from relman.registry.look import look_at
from relman.registry.protocol import Manifest
from relman.testing import MemoryRegistry
from relman.walk.resolve import Resolver, holds_exactly
from relman.walk.tags import TagBook
from tests.walking import MONDAY, PREFIX, World

CONFIG = """\
[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{major}.{date}[.{point}]", "testing-{date}[.{point}]"]

[streams.stable]
tags = ["stable", "{major}"]
versions = ["stable-{date}[.{point}]"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
JUNE = [date(2026, 6, day) for day in range(1, 31)]
ARM = Platform("linux", "arm64")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two variants: stable holds the build of 1 June, testing that of 5 July."""
    found = World(tmp_path, MemoryRegistry())
    found.configure(CONFIG)
    for name in ("os", "os-dx"):
        found.push(name, "testing-44.20260601", "stable", "44", "stable-20260602", day=JUNE[0], v=name)
        found.push(name, "testing-44.20260705", "testing", day=date(2026, 7, 5), v=name)
    return found


def resolver(world: World, *records: Record, now: datetime = MONDAY) -> Resolver:
    config, _ = configure(world.plugins, world.folder / "relman.toml", world.folder)
    readers = (world.registry,) * 3
    return Resolver(config, *readers, TagBook(world.registry), look_at, records, now)


def resolve(
    world: World, *records: Record, stream: str = "stable", since: str | None = None, now: datetime = MONDAY
) -> Release:
    found = resolver(world, *records, now=now)
    return found.release(found.config.stream(stream), since=since)


def published(
    world: World, version: str, *records: Record, stream: str = "stable", since: str | None = None
) -> Release:
    found = resolver(world, *records)
    return found.published(found.config.stream(stream), version, since=since)


def recorded(
    version: str,
    digests: dict[str, Digest | None],
    *,
    stream: str = "stable",
    state: RecordState = RecordState.FINISHED,
    id: str = "0123456789abcdef",
    previous: str | None = None,
    at: datetime = MONDAY - timedelta(days=30),
    contents: Digest | None = None,
) -> Record:
    variants = tuple(
        RecordedVariant(name, f"{PREFIX}/{name}", digest, None, (LINUX_AMD64,), "0" * 40, contents)
        for name, digest in digests.items()
    )
    return Record(id, "Composed OS", stream, version, previous, state, at, at, Digest.of(b"plan"), variants)


def follows(release: Release) -> dict[str, tuple[str | None, Digest | None] | None]:
    return {c.variant.name: (c.follows.version, c.follows.digest) if c.follows else None for c in release.candidates}


# ------------------------------------------------------------------------------------------------ candidates


def test_a_candidate_is_the_source_streams_image_pinned(world: World) -> None:
    release = resolve(world)

    assert [(c.variant.name, str(c.image.reference)) for c in release.candidates] == [
        (name, f"{PREFIX}/{name}:testing@{world.holds(f'{name}:testing')}") for name in ("os", "os-dx")
    ]
    assert (release.project, release.stream, release.source) == ("Composed OS", "stable", "testing")
    assert release.candidates[0].build == Version("testing-44.20260705", date(2026, 7, 5), 0, 44)


def test_a_release_writes_every_tag_of_every_variant_and_the_dated_one_last(world: World) -> None:
    before = {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")}

    assert {c.variant.name: c.moves for c in resolve(world).candidates} == {
        name: (
            TagMove(parse_reference(f"{PREFIX}/{name}:stable"), before[name], False),
            TagMove(parse_reference(f"{PREFIX}/{name}:44"), before[name], False),
            TagMove(parse_reference(f"{PREFIX}/{name}:stable-20260706"), None, True),
        )
        for name in ("os", "os-dx")
    }


def test_resolving_writes_nothing(world: World) -> None:
    before = list(world.memory.writes)

    resolve(world)

    assert world.memory.writes == before


def test_a_variant_without_a_candidate_is_an_error_that_names_it_and_the_tag(world: World) -> None:
    world.configure(CONFIG + '\n[[variants]]\nname = "os-new"\n')

    with pytest.raises(NotFound, match="variant `os-new` has no candidate") as caught:
        resolve(world)

    assert "`testing`" in (caught.value.hint or "")


def test_a_configuration_without_variants_is_an_error(world: World) -> None:
    world.configure(CONFIG.partition("[streams")[1] + CONFIG.partition("[streams")[2])

    with pytest.raises(ConfigError, match=r"no \[\[variants\]\]"):
        resolve(world)


def test_both_platforms_of_an_index_are_compared_and_the_index_is_what_moves(world: World) -> None:
    both = ("linux/amd64", "linux/arm64")
    for name in ("os", "os-dx"):
        world.push(name, "testing", "testing-44.20260706", day=date(2026, 7, 6), platforms=both)

    release = resolve(world)

    first = release.candidates[0]
    assert first.platforms == (LINUX_AMD64, ARM)
    assert first.image.digest == world.holds("os:testing")
    assert first.image.digest not in {part.manifest.digest for part in first.image.platforms}


def test_a_demanded_platform_that_is_missing_is_left_to_the_gate(world: World) -> None:
    world.configure('\n[[variants]]\nname = "os"\nplatforms = ["linux/amd64", "linux/arm64"]\n' + CONFIG[26:])

    candidate = resolve(world).candidates[0]

    assert (candidate.platforms, candidate.required) == ((LINUX_AMD64,), (LINUX_AMD64, ARM))


# ------------------------------------------------------------------------------------------ predecessors


def test_the_last_finished_record_says_what_each_variant_follows(world: World) -> None:
    older = {name: world.push(name, "old", day=JUNE[0], n="1") for name in ("os", "os-dx")}
    record = recorded("stable-20260520", dict(older), contents=Digest.of(b"kept"))

    release = resolve(world, record)

    assert follows(release) == {name: ("stable-20260520", digest) for name, digest in older.items()}
    assert (release.previous, release.previous_id, release.assumed) == ("stable-20260520", record.id, ())
    first = release.candidates[0].follows
    assert first
    assert first.image
    assert (first.image.digest, first.revision, first.contents) == (older["os"], "0" * 40, Digest.of(b"kept"))


def test_records_of_other_streams_and_unfinished_ones_are_not_followed(world: World) -> None:
    stable = {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")}
    other: dict[str, Digest | None] = {name: world.push(name, "x", n="1") for name in stable}
    records = [
        recorded(f"v{number}", other, state=state, id=f"{number:016x}")
        for number, state in enumerate(RecordState)
        if state is not RecordState.FINISHED
    ]

    release = resolve(
        world, recorded("t", other, stream="testing"), *records, recorded("stable-20260602", dict(stable))
    )

    assert follows(release) == {name: ("stable-20260602", digest) for name, digest in stable.items()}


def test_without_a_record_the_newest_dated_tag_is_followed_and_the_notes_say_so(world: World) -> None:
    release = resolve(world)

    assert follows(release) == {
        name: ("stable-20260602", world.holds(f"{name}:stable-20260602")) for name in ("os", "os-dx")
    }
    assert (release.previous, release.previous_id) == ("stable-20260602", None)
    (said,) = release.assumed
    assert "record of `stable`" in said
    assert "the newest dated tag with another digest stands for it" in said


def test_several_dated_tags_of_the_candidates_own_digest_are_passed_over(world: World) -> None:
    world.tag("os:testing", "stable-20260703", "stable-20260704", "stable-20260705.10")

    assert follows(resolve(world))["os"] == ("stable-20260602", world.holds("os:stable"))


def test_the_dated_tags_of_an_unfinished_release_are_no_predecessors(world: World) -> None:
    half = {name: world.push(name, "stable-20260701", day=JUNE[29], n="half") for name in ("os", "os-dx")}

    for state in (RecordState.INTENDED, RecordState.PARTIAL):
        record = recorded("stable-20260701", dict(half), state=state)
        assert {version for version, _ in filter(None, follows(resolve(world, record)).values())} == {"stable-20260602"}


def test_for_an_imported_record_without_digests_its_dated_tag_stands(world: World) -> None:
    world.push("os", "stable-20260620", day=JUNE[19])
    record = recorded("stable-20260602", {"os": None, "os-dx": None})

    release = resolve(world, record)

    assert follows(release) == {
        name: ("stable-20260602", world.holds(f"{name}:stable-20260602")) for name in ("os", "os-dx")
    }
    assert release.assumed == ("record `stable-20260602` has no digest: its dated tag stands for it",)
    assert release.previous_id == record.id


def test_a_variant_that_is_new_in_this_release_follows_nothing(world: World) -> None:
    world.configure(CONFIG + '\n[[variants]]\nname = "os-new"\n')
    world.push("os-new", "testing", "testing-44.20260705", day=date(2026, 7, 5))
    record = recorded("stable-20260602", {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")})

    release = resolve(world, record)

    assert follows(release)["os-new"] is None
    assert release.assumed == ()


@pytest.mark.parametrize(
    ("known", "version", "why"),
    [
        ((), "stable-20260602", "there is no earlier record of `stable`: the newest dated tag with another digest"),
        (
            ("os-dx",),
            "stable-20260602",
            "the last record of `stable` has no `os`: the newest dated tag with another digest",
        ),
        (("os", "os-dx"), "stable-20260601", "record `stable-20260601` has no digest: its dated tag"),
    ],
    ids=["no record", "none of the variant", "no digest"],
)
def test_where_a_dated_tag_stands_for_a_record_the_reason_is_named(
    known: tuple[str, ...], version: str, why: str, world: World
) -> None:
    for name in ("os", "os-dx"):
        world.push(name, "stable-20260601", day=date(2026, 5, 31), n="imported")
    imported = "os" in known  # what was imported has no digests
    digests = {name: None if imported else world.holds(f"{name}:stable") for name in known}

    release = resolve(world, *([recorded("stable-20260601", digests)] if known else []))

    assert follows(release)["os"] == (version, world.holds(f"os:{version}"))
    assert release.assumed == (f"{why} stands for it",)


def test_the_first_release_of_all_follows_nothing(world: World) -> None:
    world.configure(CONFIG.replace("stable-", "release-").replace('"stable"', '"release"'))

    release = resolve(world)

    assert follows(release) == {"os": None, "os-dx": None}
    assert (release.previous, release.version, release.assumed) == (None, "release-20260706", ())


def test_after_a_rollback_the_release_before_it_is_followed(world: World) -> None:
    good = recorded("stable-20260602", {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")}, id="a" * 16)
    bad: dict[str, Digest | None] = {name: world.push(name, "stable-20260620", n="bad") for name in ("os", "os-dx")}

    for state in (RecordState.ROLLED_BACK, RecordState.YANKED):
        release = resolve(world, recorded("stable-20260620", bad, state=state, id="b" * 16), good)
        assert {version for version, _ in filter(None, follows(release).values())} == {"stable-20260602"}
        assert release.previous_id == "a" * 16


def test_a_predecessor_that_the_registry_lost_keeps_its_kept_contents(world: World) -> None:
    gone = Digest.of(b"gone")
    record = recorded("stable-20260520", {"os": gone, "os-dx": gone}, contents=Digest.of(b"kept"))

    release = resolve(world, record)

    assert release.candidates[0].follows == Predecessor(
        "stable-20260520", gone, None, "the last finished record", "0" * 40, Digest.of(b"kept")
    )


@pytest.mark.parametrize("since", ["stable-20260520", "c" * 16])
def test_from_overrides_the_record_by_version_or_id(since: str, world: World) -> None:
    old: dict[str, Digest | None] = {name: world.push(name, "old", n="1") for name in ("os", "os-dx")}
    newer = recorded("stable-20260602", {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")})

    release = resolve(world, newer, recorded("stable-20260520", old, id="c" * 16), since=since)

    assert follows(release) == {name: ("stable-20260520", digest) for name, digest in old.items()}
    assert (release.previous, release.previous_id) == ("stable-20260520", newer.id)
    assert release.assumed == ()


def test_from_takes_a_dated_tag_where_there_is_no_record(world: World) -> None:
    for name in ("os", "os-dx"):
        world.push(name, "stable-20260501.2", day=date(2026, 5, 1), n="may")

    release = resolve(world, since="stable-20260501.2")

    assert follows(release) == {
        name: ("stable-20260501.2", world.holds(f"{name}:stable-20260501.2")) for name in ("os", "os-dx")
    }


@pytest.mark.parametrize("kept", ["record", "dated tag"])
def test_a_variant_that_is_new_since_the_release_that_from_names_follows_nothing(kept: str, world: World) -> None:
    world.configure(CONFIG + '\n[[variants]]\nname = "os-new"\n')
    world.push("os-new", "testing", "testing-44.20260705", day=date(2026, 7, 5))
    world.push("os-new", "stable-20260620", day=JUNE[19])
    old: dict[str, Digest | None] = {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")}
    version = "stable-20260602"
    if kept == "record":
        version = "stable-20260520"  # which no tag has

    release = resolve(world, *([recorded(version, old)] if kept == "record" else []), since=version)

    assert follows(release) == {**{name: (version, digest) for name, digest in old.items()}, "os-new": None}
    assert (release.previous, release.assumed) == (version, ())


def test_from_something_that_never_was_is_an_error(world: World) -> None:
    with pytest.raises(NotFound, match=r"`--from stable-19990101`") as caught:
        resolve(world, since="stable-19990101")

    assert caught.value.message == (
        "`--from stable-19990101`: no variant has such a dated tag, and `stable` no such record"
    )


# ----------------------------------------------------------------------------------------------- versions


def made(release: Release) -> dict[str, str]:
    return {
        c.variant.name: next(move.reference.tag or "" for move in c.moves if move.dated) for c in release.candidates
    }


@pytest.mark.parametrize(
    ("taken", "version"),
    [
        ({}, "stable-20260706"),
        ({"os": ["stable-20260706"]}, "stable-20260706.1"),
        ({"os-dx": ["stable-20260706"]}, "stable-20260706.1"),
        ({"os": ["stable-20260706"], "os-dx": ["stable-20260706.1"]}, "stable-20260706.2"),
        ({"os": ["stable-20260706", *(f"stable-20260706.{n}" for n in range(1, 10))]}, "stable-20260706.10"),
        ({"os": ["stable-20260706.1"]}, "stable-20260706"),
        ({"os": ["stable-20260706", "stable-20260706.2"]}, "stable-20260706.1"),
    ],
)
def test_the_point_counts_from_one_over_the_repositories_of_all_variants(
    taken: dict[str, list[str]], version: str, world: World
) -> None:
    for name, tags in taken.items():
        world.tag(f"{name}:stable", *tags)

    release = resolve(world)

    assert release.version == version
    assert set(made(release).values()) == {version}


def test_a_day_without_a_free_tag_is_an_error_where_the_pattern_does_not_count(world: World) -> None:
    world.configure(CONFIG.replace("{today}[.{point}]", "{today}"))
    world.tag("os:stable", "stable-20260706")

    with pytest.raises(ConfigError, match="taken, and dated tags are never moved"):
        resolve(world)


def test_several_new_versions_are_made_and_the_first_names_the_release(world: World) -> None:
    world.configure(
        CONFIG.replace('"stable-{today}[.{point}]"', '["{major}.{date}[.{point}]", "stable-{today}[.{point}]"]')
    )
    world.tag("os-dx:stable", "stable-20260706")

    release = resolve(world)

    assert release.version == "44.20260705.1"
    assert [m.reference.tag for m in release.candidates[0].moves] == [
        "stable",
        "44",
        "44.20260705.1",
        "stable-20260706.1",
    ]


def test_major_and_date_of_new_tags_are_each_candidates_own(world: World) -> None:
    world.configure(CONFIG.replace("stable-{today}", "{major}.{date}"))
    world.push("os-dx", "testing", "testing-45.20260704.3", day=date(2026, 7, 4), n="45")

    release = resolve(world)

    assert [[m.reference.tag for m in c.moves] for c in release.candidates] == [
        ["stable", "44", "44.20260705"],
        ["stable", "45", "45.20260704"],
    ]
    assert release.assumed[-1] == ("`os-dx` is the build `testing-45.20260704.3`, while `os` is `testing-44.20260705`")


def test_a_major_that_no_dated_tag_says_is_an_error_and_never_a_guess(world: World) -> None:
    world.push("os", "testing", "testing-20260706", day=date(2026, 7, 6))

    with pytest.raises(ConfigError, match=r"cannot make a tag for `os`: `\{major\}` wants the candidate's major"):
        resolve(world)


def test_where_another_variant_follows_another_day_it_is_named(world: World) -> None:
    world.push("os-dx", "stable-20260610", day=JUNE[9])

    release = resolve(world)

    assert release.previous == "stable-20260602"
    assert release.assumed[-1] == "`os-dx` follows `stable-20260610`, not `stable-20260602`"


# ------------------------------------------------------------------------------------- built in place

IN_PLACE = """\
[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.stable]
tags = ["stable"]
versions = ["stable-{date}[.{point}]", "stable-{major}.{date}[.{point}]"]
"""


def test_a_stream_that_is_built_in_place_releases_what_it_holds_and_moves_nothing(world: World) -> None:
    world.configure(IN_PLACE)
    for name in ("os", "os-dx"):
        world.push(name, "stable-20260705", "stable-44.20260705", "stable", day=date(2026, 7, 5), n="new")

    release = resolve(world)

    assert (release.version, release.previous, release.source) == ("stable-20260705", "stable-20260602", None)
    assert [c.moves for c in release.candidates] == [(), ()]
    assert [c.image.digest for c in release.candidates] == [world.holds(f"{n}:stable") for n in ("os", "os-dx")]


@pytest.mark.parametrize(
    ("tags", "version"),
    [
        (["stable-20260705", "stable-20260705.1", "stable-20260704"], "stable-20260705.1"),
        (["stable-20260705.9", "stable-20260705.10"], "stable-20260705.10"),
        (["stable-44.20260706", "stable-20260705"], "stable-20260705"),
        (["stable-44.20260705", "stable-44.20260705.1"], "stable-44.20260705.1"),
    ],
)
def test_the_version_is_the_first_patterns_highest_tag_of_the_first_variant(
    tags: list[str], version: str, world: World
) -> None:
    world.configure(IN_PLACE)
    world.push("os", "stable", *tags, day=date(2026, 7, 4), n="new")

    release = resolve(world)

    assert release.version == version
    assert f"`os-dx` is the build `stable-20260602`, while `os` is `{version}`" in release.assumed


def test_an_image_in_place_without_a_dated_tag_has_no_version_and_that_is_an_error(world: World) -> None:
    world.configure(IN_PLACE)
    world.push("os", "stable", day=date(2026, 7, 4), n="undated")

    with pytest.raises(NotFound, match="its version is unknown") as caught:
        resolve(world)

    assert "`stable-{date}[.{point}]`" in (caught.value.hint or "")


def test_a_stream_that_was_set_back_follows_its_last_record_all_the_same(world: World) -> None:
    world.configure(IN_PLACE)
    newest: dict[str, Digest | None] = {
        name: world.push(name, "stable-20260701", day=date(2026, 7, 1), n="new") for name in ("os", "os-dx")
    }

    release = resolve(world, recorded("stable-20260701", newest))

    assert (release.version, release.previous) == ("stable-20260602", "stable-20260701")


# --------------------------------------------------------------------------------------------- identity


def expected_id(project: str, stream: str, rows: list[list[str]], previous: str | None) -> str:
    """What the contract says of it, written down a second time."""
    text = json.dumps([project, stream, sorted(rows), previous], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def test_a_release_is_what_its_images_and_its_predecessor_are_and_not_when_it_was_made(world: World) -> None:
    rows = [[name, "linux/amd64", str(world.holds(f"{name}:testing"))] for name in ("os", "os-dx")]
    today, tomorrow = resolve(world), resolve(world, now=MONDAY + timedelta(days=1))

    assert today.id == tomorrow.id == expected_id("Composed OS", "stable", rows, None)
    assert (today.version, tomorrow.version) == ("stable-20260706", "stable-20260707")


def test_each_platform_and_the_id_of_the_previous_record_are_part_of_the_identity(world: World) -> None:
    world.push("os", "testing", "testing-44.20260706", platforms=("linux/amd64", "linux/arm64"))
    record = recorded("stable-20260602", {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")})
    rows = [[name, "linux/amd64", str(world.holds(f"{name}:testing"))] for name in ("os", "os-dx")]
    rows.append(["os", "linux/arm64", str(world.holds("os:testing"))])

    assert resolve(world, record).id == expected_id("Composed OS", "stable", rows, record.id)


def test_the_order_of_variants_and_of_platforms_does_not_matter() -> None:
    digest = Digest.of(b"x")
    rows = [("b", LINUX_AMD64, digest), ("a", ARM, digest), ("a", LINUX_AMD64, digest)]

    assert release_id("Projekt Ä", "s", rows, None) == release_id("Projekt Ä", "s", reversed(rows), None)
    assert release_id("Projekt Ä", "s", rows, None) == expected_id(
        "Projekt Ä", "s", [[name, str(platform), digest] for name, platform, digest in rows], None
    )
    assert release_id("Projekt Ä", "s", rows, None) != release_id("Projekt Ä", "s", rows, "0" * 16)


def test_a_release_that_was_begun_yesterday_keeps_its_version_today(world: World) -> None:
    yesterday = resolve(world, now=MONDAY - timedelta(days=1))
    digests: dict[str, Digest | None] = {c.variant.name: c.image.digest for c in yesterday.candidates}
    begun = recorded("stable-20260705", digests, state=RecordState.PARTIAL, id=yesterday.id)
    world.tag("os:testing", "stable-20260705")

    release = resolve(world, begun)

    assert (release.id, release.version) == (yesterday.id, "stable-20260705")
    assert set(made(release).values()) == {"stable-20260705"}


def test_what_the_last_record_holds_already_makes_no_new_version(world: World) -> None:
    held: dict[str, Digest | None] = {name: world.tag(f"{name}:testing", "stable") for name in ("os", "os-dx")}
    record = recorded("stable-20260705", held)

    release = resolve(world, record)

    assert (release.version, release.changed) == ("stable-20260705", False)
    assert [c.moves for c in release.candidates] == [(), ()]
    assert holds_exactly(record, release.candidates)
    assert not holds_exactly(recorded("x", {**held, "os": Digest.of(b"x")}), release.candidates)
    assert not holds_exactly(recorded("x", {"os": held["os"]}), release.candidates)
    assert not holds_exactly(recorded("x", {**held, "os-gone": Digest.of(b"x")}), release.candidates)


@pytest.mark.parametrize("back", [("os",), ("os", "os-dx")])
def test_a_stream_that_somebody_set_back_can_be_released_forward_again(back: tuple[str, ...], world: World) -> None:
    held: dict[str, Digest | None] = {name: world.tag(f"{name}:testing", "stable") for name in ("os", "os-dx")}
    record = recorded("stable-20260706", held)
    for name in held:
        world.tag(f"{name}:testing", "stable-20260706")
    for name in back:
        world.tag(f"{name}:stable-20260602", "stable")

    release = resolve(world, record)

    assert (release.changed, release.version, release.previous_id) == (True, "stable-20260706.1", record.id)
    assert release.id != record.id
    before = {name: "stable-20260602" if name in back else "stable-20260706" for name in held}
    assert {c.variant.name: c.moves[0] for c in release.candidates} == {
        name: TagMove(parse_reference(f"{PREFIX}/{name}:stable"), world.holds(f"{name}:{tag}"), False)
        for name, tag in before.items()
    }


def test_a_stream_that_is_built_in_place_cannot_be_taken_away_from_itself(world: World) -> None:
    world.configure(IN_PLACE)
    held: dict[str, Digest | None] = {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")}

    release = resolve(world, recorded("stable-20260602", held))

    assert (release.changed, release.version) == (False, "stable-20260602")


# ------------------------------------------------------------------------------------- what was published


def test_a_release_of_the_past_is_found_by_its_record(world: World) -> None:
    first = {name: world.push(name, "a", n="1") for name in ("os", "os-dx")}
    second = {name: world.push(name, "b", n="2") for name in ("os", "os-dx")}
    older = recorded("stable-20260501", dict(first), id="a" * 16)
    newer = recorded("stable-20260502", dict(second), id="b" * 16, previous="a" * 16)

    for name in ("stable-20260502", "b" * 16):
        release = published(world, name, newer, older)
        assert (release.id, release.version, release.previous, release.previous_id) == (
            "b" * 16,
            "stable-20260502",
            "stable-20260501",
            "a" * 16,
        )
        assert {c.variant.name: c.image.digest for c in release.candidates} == second
        assert follows(release) == {name: ("stable-20260501", digest) for name, digest in first.items()}


def test_a_release_of_the_past_without_a_record_is_found_by_its_dated_tag(world: World) -> None:
    world.tag("os:testing", "stable-20260706")
    world.tag("os-dx:testing", "stable-20260706")

    release = published(world, "stable-20260706")

    assert (release.version, release.previous, release.previous_id) == ("stable-20260706", "stable-20260602", None)
    assert [c.image.digest for c in release.candidates] == [world.holds(f"{n}:testing") for n in ("os", "os-dx")]


def test_the_first_release_of_the_past_follows_nothing(world: World) -> None:
    release = published(world, "stable-20260602")

    assert follows(release) == {"os": None, "os-dx": None}


def test_a_release_of_the_past_can_be_compared_with_another_than_its_predecessor(world: World) -> None:
    for name in ("os", "os-dx"):
        world.push(name, "stable-20260101", n="old")
        world.push(name, "stable-20260501", n="may")

    assert published(world, "stable-20260602").previous == "stable-20260501"
    assert published(world, "stable-20260602", since="stable-20260101").previous == "stable-20260101"


def test_a_release_that_never_was_is_an_error(world: World) -> None:
    with pytest.raises(NotFound, match="stream `stable` has no release `stable-20260603`"):
        published(world, "stable-20260603")


def test_a_variant_that_a_release_of_the_past_did_not_have_is_left_out(world: World) -> None:
    record = recorded("stable-20260602", {"os": world.holds("os:stable")})

    assert [c.variant.name for c in published(world, "stable-20260602", record).candidates] == ["os"]


def test_other_streams_releases_are_not_found(world: World) -> None:
    record = recorded("testing-44.20260705", {"os": world.holds("os:testing")}, stream="testing")

    with pytest.raises(NotFound):
        published(world, "testing-44.20260705", record)


# ------------------------------------------------------------------------------------------------- status

Say = Callable[[str], Digest | None]


def test_a_stream_says_what_it_holds_and_what_waits(world: World) -> None:
    found = resolver(world)
    stable = found.config.stream("stable")

    states = found.held(stable, found.release(stable), None)

    assert [(s.name, s.holds, s.version, s.created, s.waits, s.waiting_version) for s in states] == [
        (
            name,
            world.holds(f"{name}:stable"),
            "stable-20260602",
            datetime(2026, 6, 1, 4, 40, tzinfo=UTC),
            world.holds(f"{name}:testing"),
            "testing-44.20260705",
        )
        for name in ("os", "os-dx")
    ]


def test_nothing_waits_where_the_stream_holds_the_candidate(world: World) -> None:
    for name in ("os", "os-dx"):
        world.tag(f"{name}:testing", "stable")
    found = resolver(world)
    stable = found.config.stream("stable")

    assert [state.waits for state in found.held(stable, found.release(stable), None)] == [None, None]


def test_a_build_in_place_waits_until_it_is_on_record(world: World) -> None:
    world.configure(IN_PLACE)
    held: dict[str, Digest | None] = {name: world.holds(f"{name}:stable") for name in ("os", "os-dx")}
    old = recorded("stable-20260501", {name: Digest.of(b"old") for name in held})
    new = recorded("stable-20260602", held)

    for record, waits in ((old, list(held.values())), (new, [None, None])):
        found = resolver(world, record)
        stream = found.config.stream("stable")
        assert [s.waits for s in found.held(stream, found.release(stream), record)] == waits


def test_a_stream_without_its_tag_holds_nothing(world: World) -> None:
    world.configure(CONFIG.replace('["stable", "{major}"]', '["next"]'))
    found = resolver(world)

    states = found.held(found.config.stream("stable"), None, None)

    assert [replace(state, name="") for state in states] == [
        replace(states[0], name="", holds=None, version=None, created=None, waits=None, waiting_version=None)
    ] * 2


# ----------------------------------------------------------------------------------------------- looking ahead


class Stuck(MemoryRegistry):
    """A registry whose dated tags cannot be asked for while the candidates are looked at."""

    def __init__(self, world: World, failures: int) -> None:
        super().__init__()
        self.inner, self.failures = world.registry, failures

    def tags(self, repository: Repository) -> tuple[str, ...]:
        if self.failures:
            self.failures -= 1
            raise Passing(f"`{repository}` is busy")
        return self.inner.tags(repository)

    def resolve(self, reference: Reference) -> Descriptor | None:
        return self.inner.resolve(reference)

    def manifest(self, reference: Reference) -> Manifest:
        return self.inner.manifest(reference)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        return self.inner.blob(repository, digest, limit=limit)


def stuck(world: World, failures: int) -> Resolver:
    config, _ = configure(world.plugins, world.folder / "relman.toml", world.folder)
    registry = Stuck(world, failures)
    return Resolver(config, registry, registry, registry, TagBook(registry), look_at, (), MONDAY)


def test_what_was_asked_for_ahead_in_vain_is_asked_for_again(world: World) -> None:
    found = stuck(world, failures=1)

    assert found.release(found.config.stream("stable")) == resolve(world)


def test_what_cannot_be_had_at_all_is_an_error_all_the_same(world: World) -> None:
    found = stuck(world, failures=1000)

    with pytest.raises(Passing, match="is busy"):
        found.release(found.config.stream("stable"))
