"""The small language of tags: what dated tags say, what is no dated tag, and how tags are made."""

from __future__ import annotations

import datetime as dt
import re
import string
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relman import config as configuration
from relman.model.oci import Digest, parse_repository
from relman.model.streams import Place, Stream, TagPattern, Variant, Version
from relman.registry.look import look_at
from relman.registry.remembering import Remembering
from relman.testing import MemoryRegistry, put_image
from relman.walk.parallel import both, in_background, in_parallel
from relman.walk.tags import TagBook

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
TODAY = dt.date(2026, 7, 6)


def version(tag: str, day: str, point: int = 0, major: int | None = None) -> Version:
    return Version(tag, dt.date.fromisoformat(day), point, major)


# ------------------------------------------------ what is no dated tag, beside the spellings of test_explaining.py

NEVER = [
    "sha256-" + "0" * 64,
    "sha256-" + "0" * 64 + ".sig",
    "sha256-" + "0" * 64 + ".att",
    "sha256-20260623",
    "latest",
    "stable",
    "stable-daily",
    "gts",
    "44",
    "stable-44",
    "pr-4700-stable-20260623",
    "0a1b2c3-stable-20260623",
    "stable-20260623-0a1b2c3",
    "v3.7.0",
    "v2026.06",
    "lts-hwe-20260502",
    "lts-hwe-testing-50.20260624",
    "stream10-testing.20260621",
    "10-20260606",
    "stable-20260231",
    "stable-2026062",
    "stable-202606231",
    "stable-20260623.",
    "stable-20260623.x",
    "stable-20260623.1.2",
    "stable-20260623 ",
    " stable-20260623",
    "stable-20260623\n",
    "Stable-20260623",
    "stable_20260623",
    "stable-٢٠٢٦٠٦٢٣",
    "stable-00000000",
    "stable-20261301",
    "stable-20250229",
    "stable-20260623.1234567890",
    "",
]


def reads(project: str, tag: str, *, only: str | None = None) -> list[tuple[str, str, Version]]:
    config = configuration.load(EXAMPLES / project / "relman.toml")
    found = [
        (stream.name, variant.name, read)
        for stream in config.streams.values()
        for variant in config.variants
        if (read := stream.read(tag, variant))
    ]
    return [row for row in found if only is None or row[0] == only]


@pytest.mark.parametrize("tag", NEVER)
@pytest.mark.parametrize("project", ["bluefin", "bazzite", "ucore"])
def test_what_is_no_dated_tag_is_read_by_no_stream_of_the_project(project: str, tag: str) -> None:
    assert reads(project, tag) == []


def test_variants_that_share_a_repository_do_not_read_each_others_tags() -> None:
    found = {
        tag: [variant for _, variant, _ in reads("ucore", tag, only="stable") if variant.startswith("ucore")]
        for tag in ("stable-20260720", "stable-nvidia-20260720", "stable-nvidia-lts-20260720")
    }

    assert {tag: [v for v in names if v.startswith("ucore-nvidia")] for tag, names in found.items()} == {
        "stable-20260720": [],
        "stable-nvidia-20260720": ["ucore-nvidia"],
        "stable-nvidia-lts-20260720": ["ucore-nvidia-lts"],
    }


# ------------------------------------------------------------------------------------------------- the language

PATTERNS = [
    "stable{suffix}-{date}[.{point}]",
    "testing{suffix}-{major}.{date}[.{point}]",
    "{major}.{date}[.{point}]",
    "{date}{suffix}[-{point}]",
    "v{date}.{point}",
    "a.b_c-{suffix}{date}",
    "{today}[.{point}]{suffix}",
]
days = st.dates(dt.date(1000, 1, 1), dt.date(9999, 12, 31))
suffixes = st.sampled_from(["", "-nvidia", ".x+y".replace("+", "_"), "-a.b"])


@given(st.sampled_from(PATTERNS), days, st.integers(1, 999_999_999), st.booleans(), st.integers(0, 999), suffixes)
def test_a_tag_that_was_made_is_read_as_the_same_version(
    text: str, day: dt.date, point: int, counted: bool, major: int, suffix: str
) -> None:
    pattern = TagPattern(text)
    counted = counted or "[" not in text
    said = point if counted and "point" in pattern.placeholders else 0

    tag = pattern.make(suffix, today=day, build=Version("x", day, 0, major), point=point if counted else None)

    expected = Version(tag, day, said, major if "major" in pattern.placeholders else None)
    assert pattern.read(tag, suffix) == expected


@given(st.text(max_size=140) | st.text(string.digits + ".-stable", max_size=30), suffixes)
@example("stable-" + "9" * 8, "")
@example("stable-20260623." + "9" * 9, "")
@example("stable-20260623\n", "")
def test_whatever_a_tag_is_reading_it_answers_a_version_of_that_tag_or_nothing(tag: str, suffix: str) -> None:
    for pattern in map(TagPattern, PATTERNS):
        found = pattern.read(tag, suffix)
        assert found is None or (found.tag == tag and f"{found.date:%Y%m%d}"[-4:] in tag and tag.isascii())


def test_versions_are_ordered_by_number_and_a_day_without_a_point_comes_first() -> None:
    pattern = TagPattern("s-{date}[.{point}]")
    tags = ["s-20260623", "s-20260623.1", "s-20260623.2", "s-20260623.9", "s-20260623.10", "s-20260624", "s-20270101"]

    found = sorted((v for tag in reversed(tags) if (v := pattern.read(tag))), key=lambda v: v.order)

    assert [v.tag for v in found] == tags


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cannot be empty"),
        ("{dat}", "`{dat}` is no placeholder; there are {date}, {major}, {point}, {suffix}, {today}"),
        ("{}", "`{}` is no placeholder"),
        ("{date", "is no placeholder"),
        ("date}", "is no placeholder"),
        ("{date!r}", "is no placeholder"),
        ("{date:%Y}", "is no placeholder"),
        ("{0}", "is no placeholder"),
        ("{__class__}", "is no placeholder"),
        ("a[.{point}", "`[` without `]`"),
        ("a.{point}]", "`]` without `[`"),
        ("a[b[c]]", "`[` inside `[…]`"),
        ("{date}{date}", "stands there twice"),
        ("a b", "`a b` cannot stand in a tag"),
        ("a/b", "cannot stand in a tag"),
        ("a:{date}", "cannot stand in a tag"),
        ("{{ today }}", "is no placeholder"),
        ("é", "cannot stand in a tag"),
    ],
)
def test_a_pattern_that_says_nothing_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        TagPattern(text)


def test_characters_of_a_pattern_and_of_a_suffix_stand_for_themselves() -> None:
    pattern = TagPattern("a.b{suffix}-{date}")

    assert pattern.read("axb.c-20260623", ".c") is None
    assert pattern.read("a.bxc-20260623", ".c") is None
    assert pattern.read("a.b.c-20260623", ".c") is not None


@pytest.mark.parametrize(
    ("text", "build", "why"),
    [
        ("{major}", None, "wants the candidate's major, and it has no dated tag"),
        ("x-{date}", None, "wants the candidate's date, and it has no dated tag"),
        (
            "{major}",
            Version("testing-20260705", dt.date(2026, 7, 5)),
            "wants the candidate's major, and its dated tag `testing-20260705` does not say",
        ),
    ],
)
def test_a_tag_that_would_have_to_be_guessed_is_not_made(text: str, build: Version | None, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        TagPattern(text).make("", today=TODAY, build=build)


@pytest.mark.parametrize(
    ("text", "point", "tag"),
    [
        ("stable{suffix}-{today}[.{point}]", None, "stable-dx-20260706"),
        ("stable{suffix}-{today}[.{point}]", 1, "stable-dx-20260706.1"),
        ("{major}.{date}[.{point}]", 12, "44.20260705.12"),
        ("{major}{suffix}", None, "44-dx"),
        ("stable", 3, "stable"),
    ],
)
def test_date_and_major_of_a_new_tag_are_those_of_the_candidate(text: str, point: int | None, tag: str) -> None:
    build = Version("testing-44.20260705.2", dt.date(2026, 7, 5), 2, 44)

    assert TagPattern(text).make("-dx", today=TODAY, build=build, point=point) == tag


# --------------------------------------------------------------------------------- the tags of a repository

REPOSITORY = parse_repository("ghcr.io/acme/os")
PLACE = Place(Variant("os", "os"), REPOSITORY)
STABLE = Stream(
    "stable",
    (TagPattern("stable"),),
    (TagPattern("stable-{date}[.{point}]"), TagPattern("stable-{major}.{date}[.{point}]")),
)


def pushed(tags: dict[str, int], *, day: dt.date | None = None) -> tuple[MemoryRegistry, dict[int, Digest]]:
    """A registry whose tags point at images with these numbers."""
    registry = MemoryRegistry()
    created = dt.datetime.combine(day, dt.time(4), dt.UTC) if day else None
    digests: dict[int, Digest] = {}
    for tag, number in tags.items():
        digests[number] = put_image(registry, REPOSITORY, tags=[tag], labels={"n": str(number)}, created=created)
    return registry, digests


def test_builds_are_listed_newest_first_and_equal_ones_by_the_order_of_the_patterns() -> None:
    registry, digests = pushed(
        {
            "stable-44.20260623": 1,
            "stable-20260623": 1,
            "stable-20260623.10": 3,
            "stable-20260623.9": 2,
            "stable": 3,
            "stable-20260231": 4,
            "sha256-" + "a" * 64: 5,
            "gts-20270101": 6,
        }
    )
    put_image(registry, REPOSITORY, tags=[f"{digests[3].fallback_tag}.sig"])

    assert [v.tag for v in TagBook(registry).dated(STABLE, PLACE)] == [
        "stable-20260623.10",
        "stable-20260623.9",
        "stable-20260623",
        "stable-44.20260623",
    ]


def test_the_version_of_an_image_is_the_first_patterns_then_the_highest() -> None:
    registry, _ = pushed(
        {"stable-44.20260629": 1, "stable-20260623": 1, "stable-20260623.2": 1, "stable-20260624": 2, "stable": 1}
    )
    image = look_at(registry, REPOSITORY.tag("stable"))

    assert TagBook(registry).build(STABLE, PLACE, image) == version("stable-20260623.2", "2026-06-23", 2)


def test_an_image_that_no_dated_tag_holds_has_no_version() -> None:
    registry, _ = pushed({"stable-20260623": 1, "stable": 2})

    assert TagBook(registry).build(STABLE, PLACE, look_at(registry, REPOSITORY.tag("stable"))) is None


def test_dated_tags_of_days_before_an_image_was_made_are_not_asked_for() -> None:
    made = dt.date(2026, 6, 23)
    tags = {f"stable-{made - dt.timedelta(days):%Y%m%d}": days for days in range(3, 60)}
    registry, _ = pushed({**tags, "stable": 1000, "stable-20260622": 1000}, day=made)
    image = look_at(registry, REPOSITORY.tag("stable"))
    asked: list[str] = []

    class Counting(MemoryRegistry):
        def tags(self, repository):  # type: ignore[no-untyped-def]
            return registry.tags(repository)

        def resolve(self, reference):  # type: ignore[no-untyped-def]
            asked.append(reference.tag)
            return registry.resolve(reference)

    assert TagBook(Counting()).build(STABLE, PLACE, image) == version("stable-20260622", "2026-06-22")
    assert asked == ["stable-20260622"]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 40])
def test_the_newest_build_with_another_digest_is_found_however_many_share_one(count: int) -> None:
    tags = {f"stable-20260623.{point}": 1 for point in range(1, count + 1)}
    registry, digests = pushed({**tags, "stable-20260622": 2, "stable-20260621": 3})

    found = TagBook(registry).newest_other(STABLE, PLACE, frozenset({digests[1]}), None)

    assert found == version("stable-20260622", "2026-06-22")
    assert TagBook(registry).newest_other(STABLE, PLACE, frozenset(digests.values()), None) is None
    earlier = TagBook(registry).newest_other(STABLE, PLACE, frozenset(), version("x", "2026-06-22"))
    assert earlier == version("stable-20260621", "2026-06-21")


def test_the_newest_other_build_is_looked_at_without_another_question_for_its_tag() -> None:
    registry, digests = pushed({"stable-20260623": 1, "stable-20260622": 2, "stable-20260621": 3})
    asked = []

    class Asked(MemoryRegistry):
        def tags(self, repository):  # type: ignore[no-untyped-def]
            return registry.tags(repository)

        def resolve(self, reference):  # type: ignore[no-untyped-def]
            asked.append(f"HEAD {reference.tag}")
            return registry.resolve(reference)

        def manifest(self, reference):  # type: ignore[no-untyped-def]
            asked.append(f"GET {reference.tag or reference.digest}")
            return registry.manifest(reference)

    reader = Remembering(Asked())
    book = TagBook(reader)
    book.holds(REPOSITORY.tag("stable-20260623"))

    found = book.newest_other(STABLE, PLACE, frozenset({digests[1]}), None)

    assert found == version("stable-20260622", "2026-06-22")
    assert reader.manifest(REPOSITORY.digest(digests[2])).descriptor.digest == digests[2]
    assert asked == ["HEAD stable-20260623", "GET stable-20260622"]


def test_a_repository_that_is_not_there_has_no_tags() -> None:
    assert TagBook(MemoryRegistry()).list(REPOSITORY) == ()
    assert TagBook(MemoryRegistry()).holds(REPOSITORY.tag("stable")) is None


def test_each_list_and_each_tag_is_asked_for_once() -> None:
    asked: list[str] = []

    class Counting(MemoryRegistry):
        def tags(self, repository):  # type: ignore[no-untyped-def]
            asked.append(str(repository))
            return ("stable",)

        def resolve(self, reference):  # type: ignore[no-untyped-def]
            asked.append(str(reference))

    book = TagBook(Counting())

    for _ in range(2):
        assert book.list(REPOSITORY) == ("stable",)
        assert book.holds(REPOSITORY.tag("stable")) is None
    assert asked == ["ghcr.io/acme/os", "ghcr.io/acme/os:stable"]


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 16))
def test_answers_come_in_the_order_of_the_questions(items: list[int], workers: int) -> None:
    assert in_parallel(lambda item: item * 2, items, workers=workers) == tuple(item * 2 for item in items)


def test_one_failure_among_many_questions_is_the_answer() -> None:
    def ask(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    with pytest.raises(ValueError, match="three"):
        in_parallel(ask, range(6))


def test_questions_inside_of_questions_are_each_asked_once_and_wait_for_no_thread() -> None:
    asked: list[tuple[int, int, int]] = []

    def ask(outer: int, inner: int) -> tuple[int, int]:
        def one(number: int) -> int:
            asked.append((outer, inner, number))
            return number

        return both(lambda: one(0), lambda: one(1))

    found = in_parallel(lambda outer: in_parallel(lambda inner: ask(outer, inner), range(8)), range(30))

    assert found == (((0, 1),) * 8,) * 30
    assert len(asked) == len(set(asked)) == 30 * 8 * 2


def test_what_was_begun_in_the_background_waits_for_nobody_who_waits_for_it() -> None:
    everybody = threading.Barrier(24)

    def ask(number: int) -> int:
        everybody.wait(10)  # threads of the shared pool, and as many as there are of a call's own
        return sum(in_parallel(lambda _: in_background(lambda: number)(), range(8)))

    found: list[int] = []
    asking = threading.Thread(target=lambda: found.extend(in_parallel(ask, range(24))), daemon=True)
    asking.start()
    asking.join(20)

    assert found == [8 * number for number in range(24)]


def test_what_was_begun_in_the_background_fails_for_everybody_who_asks_as_it_did() -> None:
    answer = in_background(lambda: 1 // 0)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            answer()
