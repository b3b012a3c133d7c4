"""The gate `consistent`: who differs from most, in what, under a code for each kind of mismatch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from relman.model.contents import EXACT, Capability
from relman.model.gates import State
from relman_plugins.gates import consistent
from relman_plugins.gates.consistent import ConsistentSettings, Facts, too_far, verdicts
from relman_plugins.gates.installed import Installed, installed, minority
from tests.gates import AMD, ARM, NOON, candidate, contents, context, image, rule

HOUR = timedelta(hours=1)


def kernel(version: str, platform: str = "linux/amd64") -> Installed:
    return Installed(frozenset({platform}), {(platform, "kernel"): (version,)})


SAME = Facts("abc", "44.20260706", "sha256:base", (NOON,), frozenset({"linux/amd64"}), kernel("6.14-1"))


def settings(**table: Any) -> ConsistentSettings:
    return ConsistentSettings.model_validate(table)


def judged(facts: Mapping[str, Facts], *, read: bool = True, **table: Any) -> dict[str, list[tuple[State, str]]]:
    found = verdicts(facts, settings(**table), read=read)
    assert all(one.needs for answers in found.values() for one in answers if one.state is not State.PASSED)
    return {name: [(one.state, one.code) for one in answers] for name, answers in found.items()}


PASSED = [(State.PASSED, "")]

# What is compared; what of one variant differs; the code of that; what of it is missing; the code of that.
KINDS: dict[str, tuple[dict[str, Any], str, dict[str, Any] | None, str]] = {
    "kernel": (
        {"installed": kernel("6.15-1")},
        "kernel-differs",
        {"installed": replace(SAME.installed, versions={})},
        "no-kernel",
    ),
    "base": ({"base": "sha256:other"}, "base-differs", {"base": None}, "no-base"),
    "revision": ({"revision": "def"}, "revision-differs", {"revision": None}, "no-revision"),
    "created": ({"created": (NOON + 13 * HOUR,)}, "created-apart", {"created": ()}, "no-build-time"),
    "platforms": ({"platforms": frozenset({"linux/amd64", "linux/arm64"})}, "platforms-differ", None, ""),
    "version": ({"version": "44.20260705"}, "version-differs", {"version": None}, "no-version"),
}


@pytest.mark.parametrize("what", KINDS)
def test_who_differs_from_most_is_closed_under_the_code_of_what_differs(what: str) -> None:
    other, code, _, _ = KINDS[what]
    facts = {"base": SAME, "dx": SAME, "nvidia": replace(SAME, **other)}

    assert judged(facts, compare=[what]) == {"base": PASSED, "dx": PASSED, "nvidia": [(State.FAILED, code)]}
    assert all(answers == PASSED for answers in judged(facts, compare=[one for one in KINDS if one != what]).values())


@pytest.mark.parametrize("what", KINDS)
def test_of_two_that_differ_nobody_knows_which_is_right(what: str) -> None:
    other, code, _, _ = KINDS[what]

    assert judged({"base": SAME, "dx": replace(SAME, **other)}, compare=[what]) == {
        "base": [(State.FAILED, code)],
        "dx": [(State.FAILED, code)],
    }


@pytest.mark.parametrize("what", [what for what, kind in KINDS.items() if kind[2]])
def test_what_a_variant_does_not_say_is_absent_where_it_is_asked(what: str) -> None:
    _, _, nothing, code = KINDS[what]
    facts = {"base": SAME, "dx": SAME, "nvidia": replace(SAME, **(nothing or {}))}

    assert judged(facts, compare=[what]) == {"base": PASSED, "dx": PASSED, "nvidia": [(State.ABSENT, code)]}
    assert all(answers == PASSED for answers in judged(facts, compare=[one for one in KINDS if one != what]).values())


def test_one_variant_alone_is_consistent_whatever_it_does_not_say() -> None:
    silent = Facts(None, None, None, (), frozenset(), Installed(frozenset(), None))

    assert judged({"base": silent}) == {"base": PASSED}


def test_what_differs_is_said_of_whom_and_against_what() -> None:
    facts = {"base": SAME, "dx": SAME, "nvidia": replace(SAME, revision="def", installed=kernel("6.15-1"))}
    (revision,) = verdicts(facts, settings(compare=["revision"]))["nvidia"]
    (one,) = verdicts(facts, settings(compare=["kernel"]))["nvidia"]
    (fine,) = verdicts(facts, settings(compare=["revision"]))["dx"]
    (tie,) = verdicts({"a": SAME, "b": replace(SAME, revision="def")}, settings(compare=["revision"]))["a"]
    (apart,) = verdicts({"a": SAME, "b": replace(SAME, created=(NOON + 13 * HOUR,))}, settings(compare=["created"]))[
        "b"
    ]

    assert (revision.reason, revision.needs) == (
        "its revision is def, that of base, dx is abc",
        "a build with the revision abc",
    )
    assert revision.evidence == {"revision": {"base": "abc", "dx": "abc", "nvidia": "def"}}
    assert one.reason == "its kernel is 6.15-1, that of base, dx is 6.14-1 (linux/amd64)"
    assert fine.reason == "it is as most of the 3 variants are (revision)"
    assert (tie.reason, tie.needs) == ("its revision is abc, that of b is def", "variants of one revision")
    assert apart.reason == (
        "it was made 2026-07-07 01:00; the variants were made from 2026-07-06 12:00 to 2026-07-07 01:00, "
        "more than 12h apart"
    )


@pytest.mark.parametrize(
    ("apart", "within", "found"),
    [
        (12 * HOUR, "12h", PASSED),
        (12 * HOUR + timedelta(seconds=1), "12h", [(State.FAILED, "created-apart")]),
        (timedelta(seconds=1), "0s", [(State.FAILED, "created-apart")]),
        (timedelta(0), "0s", PASSED),
        (timedelta(days=30), "9999999w", PASSED),
    ],
)
def test_variants_are_built_within_some_time_of_each_other(
    apart: timedelta, within: str, found: list[tuple[State, str]]
) -> None:
    facts = {"base": SAME, "dx": replace(SAME, created=(NOON + apart,))}

    assert judged(facts, compare=["created"], within=within) == {"base": found, "dx": found}


def test_all_platforms_of_a_variant_are_built_within_that_time() -> None:
    late = replace(SAME, created=(NOON, NOON + 13 * HOUR))

    assert judged({"base": SAME, "dx": late}, compare=["created"])["dx"] == [(State.FAILED, "created-apart")]


# ---------------------------------------------------------------------------------------------- in the packages


def lists(**packages: tuple[str, ...]) -> dict[str, Facts]:
    return {
        name: replace(SAME, installed=installed({AMD: contents(*held)}, ["mesa-*", "kernel*"]))
        for name, held in packages.items()
    }


@pytest.mark.parametrize(
    ("base", "dx", "found"),
    [
        (("mesa-dri 25-1", "mesa-va 25-1"), ("mesa-dri 25-1",), PASSED),  # who does not have it is let be
        (("mesa-dri 25-1",), ("mesa-dri 25-2",), [(State.FAILED, "packages-differ")]),
        (("mesa-dri 1:25-1",), ("mesa-dri 25-1",), [(State.FAILED, "packages-differ")]),
        (("vim 9-1",), ("vim 9-1",), [(State.ABSENT, "no-package")]),
    ],
)
def test_who_has_a_named_package_has_it_in_the_same_version(
    base: tuple[str, ...], dx: tuple[str, ...], found: list[tuple[State, str]]
) -> None:
    assert judged(lists(base=base, dx=dx), compare=[], packages=["mesa-*"]) == {"base": found, "dx": found}


@pytest.mark.parametrize(
    ("dx", "found"),
    [
        (("kernel 6.14-1", "kernel 6.15-1"), PASSED),
        (("kernel 6.15-1",), [(State.FAILED, "kernel-differs")]),  # one of two that the other has
        (("kernel 6.14-1", "kernel 6.15-1", "kernel-core 6.15-1"), [(State.FAILED, "kernel-differs")]),
    ],
)
def test_all_kernels_that_are_installed_are_compared(dx: tuple[str, ...], found: list[tuple[State, str]]) -> None:
    facts = lists(base=("kernel 6.14-1", "kernel 6.15-1"), dx=dx)

    assert judged(facts, compare=["kernel"]) == {"base": found, "dx": found}


def test_lists_that_know_less_are_compared_by_what_both_know_and_that_is_said() -> None:
    exact = installed({AMD: contents("kernel 1:6.9-1", "kernel 1:6.14-1")}, ["kernel"])
    rough = installed({AMD: contents("kernel 6.14-1", knows=frozenset({Capability.ARCH}))}, ["kernel"])
    other = replace(rough, versions={("linux/amd64", "kernel"): ("6.15-1",)})
    facts = {"base": replace(SAME, installed=exact), "dx": replace(SAME, installed=rough)}

    assert judged(facts, compare=["kernel"]) == {"base": PASSED, "dx": PASSED}
    (found,) = verdicts({**facts, "dx": replace(SAME, installed=other)}, settings(compare=["kernel"]))["dx"]
    assert found.reason.endswith("; compared without epochs, which some lists do not know")


def test_a_list_that_is_out_of_reach_stays_closed_and_status_says_what_it_did_not_look_at() -> None:
    unread = replace(SAME, installed=installed({AMD: None}, ["kernel"]))
    facts = {"base": unread, "dx": unread}

    assert judged(facts, compare=["kernel"])["dx"] == [(State.ABSENT, "no-list")]
    assert judged(facts, compare=["kernel", "revision"], read=False)["dx"] == [(State.SKIPPED, "not-read")]
    assert judged(facts, compare=["revision"], read=False)["dx"] == PASSED
    (found,) = verdicts(facts, settings(compare=["kernel", "revision"]), read=False)["dx"]
    assert found.reason == (
        "2 variants agree (revision); kernel of all variants are compared when a release is planned"
    )


def test_what_a_list_holds_is_kept_by_platform_and_name() -> None:
    held = contents("kernel 6.9-1", "kernel 6.14-1", "glibc 2-1 i686", "glibc 2-1")

    assert installed({AMD: held, ARM: contents("kernel 6.14-1 aarch64")}, ["kernel", "glibc"]) == Installed(
        frozenset({"linux/amd64", "linux/arm64"}),
        {
            ("linux/amd64", "glibc"): ("2-1",),
            ("linux/amd64", "kernel"): ("6.9-1", "6.14-1"),
            ("linux/arm64", "kernel"): ("6.14-1",),
        },
        True,
    )
    assert installed({AMD: contents("kernel 6-1", knows=EXACT - {Capability.EPOCH})}, ["kernel"]).exact is False


# ------------------------------------------------------------------------------------------------ for all values

values = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["x", "y", "z"]), min_size=2)


@given(values)
def test_all_agree_or_somebody_is_closed_and_whoever_passes_has_what_most_have(held: dict[str, str]) -> None:
    found = judged({name: replace(SAME, revision=value) for name, value in held.items()}, compare=["revision"])
    passing = [name for name, answers in found.items() if answers == PASSED]

    assert (len(passing) == len(held)) == (len(set(held.values())) == 1)
    assert len({held[name] for name in passing}) <= 1
    if passing:
        most = held[passing[0]]
        assert all(
            list(held.values()).count(most) > list(held.values()).count(other) for other in set(held.values()) - {most}
        )


@given(values)
def test_the_order_of_variants_means_nothing(held: dict[str, str]) -> None:
    assert minority(held) == minority(dict(reversed(held.items())))


times = st.dictionaries(
    st.sampled_from("abcdef"),
    st.lists(st.integers(0, 48).map(lambda hour: NOON + hour * HOUR), min_size=1, max_size=2).map(tuple),
    min_size=2,
)


@given(times, st.integers(0, 24))
def test_nobody_is_too_far_exactly_where_all_fit_into_the_time(
    created: dict[str, tuple[datetime, ...]], hours: int
) -> None:
    within = hours * HOUR
    every = [moment for own in created.values() for moment in own]
    far = too_far(created, within)
    near = [moment for name, own in created.items() if name not in far for moment in own]

    assert (not far) == (max(every) - min(every) <= within)
    assert not near or max(near) - min(near) <= within


# ------------------------------------------------------------------------------------------------- the gate


def test_labels_of_all_platforms_speak_for_a_variant() -> None:
    one = image("1", (AMD, ARM), revision="abc", version="1")
    mixed = replace(one, platforms=(one.platforms[0], replace(one.platforms[1], labels={})))
    asked = context(candidate(one), candidate(mixed, name="dx"), rules=[rule("consistent", compare=["revision"])])

    assert [(each.variant, each.state, each.code) for each in consistent.relman_gates(asked)] == [
        ("os", State.PASSED, ""),
        ("dx", State.ABSENT, "no-revision"),
    ]


def test_a_label_of_a_megabyte_is_cut_where_it_is_shown_and_compared_whole() -> None:
    long = "x" * 1_000_000
    asked = context(
        candidate(image("1", revision=f"{long}1")),
        candidate(image("2", revision=f"{long}2"), name="dx"),
        rules=[rule("consistent", compare=["revision"])],
    )

    found = list(consistent.relman_gates(asked))

    assert [each.code for each in found] == ["revision-differs", "revision-differs"]
    assert all(len(each.reason) < 1000 for each in found)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"compare": []}, "compares nothing"),
        ({"compare": ["colour"]}, "kernel"),
        ({"within": "soon"}, "is not a duration"),
    ],
)
def test_what_cannot_be_compared_is_refused(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        settings(**table)
