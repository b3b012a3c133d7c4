"""The gates that come with relman: `complete`, `hold` and `no-downgrade`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relman.model.diff import Change, ChangeKind, Diff, Side
from relman.model.holds import Hold
from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, parse_repository
from relman.model.plan import GateResult, State
from relman.model.release import Candidate, Predecessor, Release
from relman.model.streams import GateRule, Place, Stream, TagPattern, Variant
from relman.plugin import GatesContext
from relman.testing import MemoryRegistry
from relman_plugins.gates import complete, hold, no_downgrade

NOON = datetime(2026, 7, 6, 12, tzinfo=UTC)
REPOSITORY = parse_repository("ghcr.io/acme/os")
AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


def image(
    name: str, platforms: tuple[Platform, ...] = (AMD,), created: datetime | None = NOON, version: str | None = None
) -> Image:
    digest = Digest.of(name.encode())
    descriptor = Descriptor("application/json", digest, 1)
    labels = {"org.opencontainers.image.version": version} if version else {}
    parts = tuple(PlatformImage(platform, descriptor, labels, created, 1) for platform in platforms)
    return Image(REPOSITORY.digest(digest), "application/json", parts)


def candidate(
    held: Image, *, required: tuple[Platform, ...] = (), follows: Predecessor | None = None, name: str = "os"
) -> Candidate:
    place = Place(Variant(name, "os"), REPOSITORY)
    return Candidate(place, held, tuple(p.platform for p in held.platforms), follows=follows, required=required)


def diff_of(variant: str, *downgraded: str) -> Diff:
    side = Side("x", None, AMD, None, None, 100, "sbom")
    changes = tuple(
        Change(ChangeKind.DOWNGRADED, None, "rpm", name, "x86_64", ("6.0-1.fc44", "6.2-1.fc44"), ("6.1-1.fc44",))
        for name in downgraded
    )
    return Diff(variant, AMD, side, side, changes, (), (), True, ())


def context(*candidates: Candidate, rules: tuple[GateRule, ...], diffs: tuple[Diff, ...] = ()) -> GatesContext:
    release = Release("0" * 16, "X", "stable", "testing", "v", None, None, candidates)
    stream = Stream("stable", (TagPattern("stable"),), (TagPattern("stable-{date}"),))
    return GatesContext(release, stream, rules, diffs, MemoryRegistry(), (), NOON, lambda model: ())


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

    assert replace(result, evidence={}) == GateResult("no-downgrade", "os", held.digest, state, reason)


GOING_BACK = {
    "time": (
        NOON - MINUTE,
        "44.20260706",
        (),
        "it was made 2026-07-06 11:59, before its predecessor of 2026-07-06 12:00",
    ),
    "version": (NOON, "44.20260704.9", (), "it calls itself 44.20260704.9, and its predecessor 44.20260705"),
    "package": (NOON, "44.20260706", ("kernel",), "`kernel` goes back from 6.2-1.fc44 to 6.1-1.fc44"),
}


@pytest.mark.parametrize("which", GOING_BACK)
def test_each_of_time_version_and_named_packages_alone_closes_the_gate(which: str) -> None:
    created, version, packages, reason = GOING_BACK[which]
    earlier = image("before", version="44.20260705")
    held = image("x", created=created, version=version)
    before = Predecessor("stable-20260705", earlier.digest, earlier, "the last finished record")
    rules = (GateRule("no-downgrade", "no-downgrade"),)
    asked = context(candidate(held, follows=before), rules=rules, diffs=(diff_of("os", *packages),))

    (result,) = no_downgrade.relman_gates(asked)

    evidence: dict[str, object] = {
        "version": ["44.20260705", version],
        "created": ["2026-07-06T12:00:00Z", f"{created:%Y-%m-%dT%H:%M:%SZ}"],
    }
    if packages:
        evidence["packages"] = {"kernel": ["6.2-1.fc44", "6.1-1.fc44"]}
    assert result == GateResult("no-downgrade", "os", held.digest, State.FAILED, reason, evidence)


@pytest.mark.parametrize(
    ("named", "state"),
    [(None, State.PASSED), (("vim-*",), State.FAILED), (("kernel",), State.PASSED), ((), State.PASSED)],
)
def test_only_named_packages_must_not_go_back(named: tuple[str, ...] | None, state: State) -> None:
    held, before = image("x"), follows(NOON)
    rules = (GateRule("no-downgrade", "no-downgrade", {} if named is None else {"packages": named}),)
    diffs = (diff_of("os", "vim-common"), diff_of("dx", "kernel"))
    asked = context(candidate(held, follows=before), rules=rules, diffs=diffs)

    assert [result.state for result in no_downgrade.relman_gates(asked)] == [state]


def test_a_package_that_goes_back_closes_the_gate_also_where_the_registry_lost_the_image() -> None:
    rules = (GateRule("no-downgrade", "no-downgrade"),)
    asked = context(
        candidate(image("x"), follows=follows(NOON, there=False)), rules=rules, diffs=(diff_of("os", "systemd"),)
    )

    (result,) = no_downgrade.relman_gates(asked)

    assert (result.state, result.reason) == (State.FAILED, "`systemd` goes back from 6.2-1.fc44 to 6.1-1.fc44")


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [
        ("44.20260705", "44.20260704", True),
        ("44.20260705", "44.20260705", False),
        ("44.20260705", "44.20260705.1", False),
        ("44.20260705.1", "44.20260705", True),
        ("44.20260704.3", "44.20260705", False),
        ("44.20260705.10", "44.20260705.9", True),
        ("43.20260801", "44.20260705", False),
        ("44.20260705", "43.20260801", True),
        ("testing-44.20260705", "testing-44.20260601", True),
        ("testing-44.20260705", "stable-44.20260601", False),
        ("1.0-rc2", "1.0", False),
        ("2.0-beta", "1.0", True),
        ("v2", "latest", False),
        ("", "1", False),
        ("1" * 5000, "2" * 5000, False),
    ],
)
def test_a_version_goes_back_only_where_its_numbers_surely_do(before: str, after: str, back: bool) -> None:
    assert no_downgrade.goes_back(before, after) is back


# -------------------------------------------------------------------------------------------------------- hold

HOLD = (GateRule("hold", "hold"),)


@pytest.mark.parametrize(
    ("held", "state", "reason"),
    [
        ((), State.PASSED, "nobody holds it"),
        (
            (Hold("stable", None, "a broken kernel", "ada", NOON),),
            State.FAILED,
            "ada holds stable since 2026-07-06 12:00: a broken kernel (`relman unhold stable`)",
        ),
        (
            (Hold("stable", "os", "no sound", "ada", NOON),),
            State.FAILED,
            "ada holds stable, variant os since 2026-07-06 12:00: no sound (`relman unhold stable`)",
        ),
        ((Hold("stable", "os-dx", "another's", "ada", NOON),), State.PASSED, "nobody holds it"),
        ((Hold("testing", None, "another stream", "ada", NOON),), State.PASSED, "nobody holds it"),
    ],
)
def test_what_is_held_stays_out_and_the_gate_says_who_why_and_what_lifts_it(
    held: tuple[Hold, ...], state: State, reason: str
) -> None:
    asked = replace(context(candidate(image("x")), rules=HOLD), holds=held)

    (result,) = hold.relman_gates(asked)

    assert (result.state, result.reason) == (state, reason)
