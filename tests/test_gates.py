"""The gates that come with relman: `complete` and `no-downgrade`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, parse_repository
from relman.model.plan import GateResult, State
from relman.model.release import Candidate, Predecessor, Release
from relman.model.streams import GateRule, Place, Stream, TagPattern, Variant
from relman.plugin import GatesContext
from relman.testing import MemoryRegistry
from relman_plugins.gates import complete, no_downgrade

NOON = datetime(2026, 7, 6, 12, tzinfo=UTC)
REPOSITORY = parse_repository("ghcr.io/acme/os")
AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


def image(name: str, platforms: tuple[Platform, ...] = (AMD,), created: datetime | None = NOON) -> Image:
    digest = Digest.of(name.encode())
    descriptor = Descriptor("application/json", digest, 1)
    parts = tuple(PlatformImage(platform, descriptor, {}, created, 1) for platform in platforms)
    return Image(REPOSITORY.digest(digest), "application/json", parts)


def candidate(
    held: Image, *, required: tuple[Platform, ...] = (), follows: Predecessor | None = None, name: str = "os"
) -> Candidate:
    place = Place(Variant(name, "os"), REPOSITORY)
    return Candidate(place, held, tuple(p.platform for p in held.platforms), follows=follows, required=required)


def context(*candidates: Candidate, rules: tuple[GateRule, ...]) -> GatesContext:
    release = Release("0" * 16, "X", "stable", "testing", "v", None, None, candidates)
    stream = Stream("stable", (TagPattern("stable"),), (TagPattern("stable-{date}"),))
    return GatesContext(release, stream, rules, (), MemoryRegistry(), (), NOON, lambda model: ())


# ---------------------------------------------------------------------------------------------------- complete

COMPLETE = (GateRule("complete", "complete"),)


@pytest.mark.parametrize(
    ("there", "required", "state", "reason"),
    [
        ((AMD,), (), State.PASSED, "has linux/amd64"),
        ((AMD, ARM), (), State.PASSED, "has linux/amd64, linux/arm64"),
        ((AMD, ARM), (ARM,), State.PASSED, "has linux/arm64"),
        ((AMD,), (AMD, ARM), State.FAILED, "the image has no linux/arm64: it has linux/amd64"),
        ((ARM,), (AMD,), State.FAILED, "the image has no linux/amd64: it has linux/arm64"),
        (
            (Platform.parse("linux/arm64/v8"),),
            (ARM,),
            State.FAILED,
            "the image has no linux/arm64: it has linux/arm64/v8",
        ),
    ],
)
def test_an_image_is_complete_with_every_platform_that_must_be_there(
    there: tuple[Platform, ...], required: tuple[Platform, ...], state: State, reason: str
) -> None:
    held = image("x", there)

    evidence = {"wanted": [str(p) for p in required], "there": [str(p) for p in there]}
    assert list(complete.relman_gates(context(candidate(held, required=required), rules=COMPLETE))) == [
        GateResult("complete", "os", held.digest, state, reason, evidence)
    ]


def test_a_gate_answers_for_every_candidate_under_the_name_that_it_has_in_the_configuration() -> None:
    rules = (GateRule("complete", "all-there"), GateRule("soak", "complete"))
    one, two = candidate(image("1")), candidate(image("2"), name="os-dx")

    results = list(complete.relman_gates(context(one, two, rules=rules)))

    assert [(r.gate, r.variant, r.digest) for r in results] == [
        ("all-there", "os", one.image.digest),
        ("all-there", "os-dx", two.image.digest),
    ]


def test_a_gate_that_is_not_asked_for_says_nothing() -> None:
    asked = context(candidate(image("1")), rules=(GateRule("soak", "soak"),))

    assert list(complete.relman_gates(asked)) == list(no_downgrade.relman_gates(asked)) == []


# ------------------------------------------------------------------------------------------------ no-downgrade

MINUTE = timedelta(minutes=1)


def follows(created: datetime | None, *, there: bool = True) -> Predecessor:
    held = image("before", created=created)
    return Predecessor("stable-20260601", held.digest, held if there else None, "the last finished record")


@pytest.mark.parametrize(
    ("created", "before", "state", "reason"),
    [
        (NOON, None, State.PASSED, "it is the first release of this variant"),
        (NOON, follows(NOON - MINUTE), State.PASSED, "made 2026-07-06 12:00, its predecessor 2026-07-06 11:59"),
        (NOON, follows(NOON), State.PASSED, "made 2026-07-06 12:00, its predecessor 2026-07-06 12:00"),
        (
            NOON,
            follows(NOON + MINUTE),
            State.FAILED,
            "it was made 2026-07-06 12:00, before its predecessor of 2026-07-06 12:01",
        ),
        (None, follows(NOON), State.ABSENT, "the candidate does not say when it was made"),
        (NOON, follows(None), State.ABSENT, "its predecessor does not say when it was made"),
        (
            NOON,
            follows(NOON, there=False),
            State.ABSENT,
            "the registry no longer has `stable-20260601`: there is no build time to compare with",
        ),
    ],
)
def test_what_enters_a_stream_was_made_no_earlier_than_what_it_follows(
    created: datetime | None, before: Predecessor | None, state: State, reason: str
) -> None:
    held = image("x", created=created)
    rules = (GateRule("no-downgrade", "no-downgrade"),)

    (result,) = no_downgrade.relman_gates(context(candidate(held, follows=before), rules=rules))

    assert result == GateResult("no-downgrade", "os", held.digest, state, reason)
