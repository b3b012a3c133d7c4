"""The gate `size`: how large, how much larger, how much to download, each limit to the byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relman.model.gates import State
from relman.model.oci import PlatformImage
from relman_plugins.gates import size
from relman_plugins.gates.size import SizeSettings, largest, shown, verdicts
from tests.gates import AMD, ARM, after, candidate, context, image, rule

MB = 1_000_000
OLD = {"base": 100 * MB, "old": 20 * MB}


def part(**layers: int) -> PlatformImage:
    return image("x", layers=layers).platforms[0]


def limits(**table: Any) -> SizeSettings:
    return SizeSettings.model_validate(table)


def codes(before: PlatformImage | None, later: PlatformImage, *, first: bool = False, **table: Any) -> list[str]:
    found = verdicts(before, later, limits(**table), first=first)
    assert all((one.code == "") == (one.state is State.PASSED) and (one.needs or not one.code) for one in found)
    return [one.code or one.state.value for one in found]


# ----------------------------------------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("table", "layers", "found"),
    [
        ({"image": 120 * MB}, {"base": 100 * MB, "new": 20 * MB}, ["passed"]),
        ({"image": 120 * MB - 1}, {"base": 100 * MB, "new": 20 * MB}, ["too-large"]),
        ({"grow": 5 * MB}, {"base": 100 * MB, "new": 25 * MB}, ["passed"]),
        ({"grow": 5 * MB}, {"base": 100 * MB, "new": 25 * MB + 1}, ["grows"]),
        ({"grow": "5%"}, {"base": 100 * MB, "new": 26 * MB}, ["passed"]),
        ({"grow": "5%"}, {"base": 100 * MB, "new": 26 * MB + 1}, ["grows"]),
        ({"grow": "0%"}, {"base": 100 * MB, "new": 20 * MB}, ["passed"]),
        ({"grow": 0}, {"base": 100 * MB, "new": 1 * MB}, ["passed"]),
        ({"download": 20 * MB}, {"base": 100 * MB, "new": 20 * MB}, ["passed"]),
        ({"download": 20 * MB - 1}, {"base": 100 * MB, "new": 20 * MB}, ["download-too-large"]),
        (
            {"image": MB, "grow": "1%", "download": MB},
            {"other": 150 * MB},
            ["too-large", "grows", "download-too-large"],
        ),
    ],
)
def test_each_limit_holds_to_the_byte_and_has_a_code_of_its_own(
    table: dict[str, Any], layers: dict[str, int], found: list[str]
) -> None:
    assert codes(part(**OLD), part(**layers), **table) == found


@pytest.mark.parametrize(
    ("table", "before", "first", "found"),
    [
        ({"grow": "5%", "download": MB}, None, True, ["passed"]),  # nothing was there before
        ({"image": MB, "grow": "5%"}, None, True, ["too-large"]),
        ({"grow": "5%"}, None, False, ["predecessor-gone"]),
        ({"download": MB}, part(), False, ["predecessor-gone"]),  # looked at without its layers
        ({"image": 500 * MB}, None, False, ["passed"]),
        ({"image": MB, "grow": "5%"}, None, False, ["too-large", "predecessor-gone"]),
    ],
)
def test_what_cannot_be_compared_stays_closed_unless_there_was_nothing_before(
    table: dict[str, Any], before: PlatformImage | None, first: bool, found: list[str]
) -> None:
    assert codes(before, part(**OLD), first=first, **table) == found


def test_an_image_without_layers_has_no_size() -> None:
    assert codes(part(**OLD), part(), image=MB) == ["no-size"]


def test_the_figures_are_said() -> None:
    (large,) = verdicts(part(**OLD), part(base=100 * MB, new=50 * MB), limits(grow="10%"), first=False)
    (one,) = verdicts(None, part(base=2 * MB + 1), limits(image="2 MB"), first=True)
    (fine,) = verdicts(part(**OLD), part(base=100 * MB, new=25 * MB), limits(grow="10%"), first=False)

    assert large.reason == "it grows by 30.0 MB, more than 10% of 120.0 MB"
    assert (large.needs, large.evidence) == (
        "an image of at most 132.0 MB",
        {"before": 120 * MB, "size": 150 * MB, "limit": "10%"},
    )
    assert one.reason == "it has 2,000,001 B, more than 2,000,000 B"
    assert fine.reason == "125.0 MB, before 120.0 MB, to download 25.0 MB"


sizes = st.integers(0, 10**12)


@given(sizes, st.integers(1, 10**12), st.one_of(sizes, st.integers(0, 500).map(lambda percent: f"{percent}%")))
def test_growth_is_allowed_up_to_its_limit_and_not_a_byte_more(before: int, later: int, limit: int | str) -> None:
    grown = (later - before) * 100 > int(limit[:-1]) * before if isinstance(limit, str) else later - before > limit

    assert (later > largest(before, limit)) == grown
    assert ("grows" in codes(part(x=before), part(y=later), grow=limit)) == grown


# ------------------------------------------------------------------------------------------------- the gate


def test_each_platform_is_judged_by_itself_and_a_new_one_has_nothing_before_it() -> None:
    before = image("old", (AMD,), layers=OLD)
    later = image("new", (AMD, ARM), layers={"base": 100 * MB, "new": 60 * MB})
    asked = context(candidate(later, follows=after(before)), rules=[rule("size", grow="5%")])

    assert [(one.platform, one.state, one.code) for one in size.relman_gates(asked)] == [
        (AMD, State.FAILED, "grows"),
        (ARM, State.PASSED, ""),
    ]
    gone = context(candidate(later, follows=after(before, there=False)), rules=[rule("size", grow="5%")])
    assert [one.code for one in size.relman_gates(gone)] == ["predecessor-gone", "predecessor-gone"]


# ------------------------------------------------------------------------------------------------- its table


@pytest.mark.parametrize(
    ("written", "count"),
    [(5, 5), ("5 B", 5), ("1.5 kB", 1500), ("2GiB", 2 * 2**30), ("0.5 MiB", 2**19), ("700 MB", 700 * MB), (0, 0)],
)
def test_sizes_are_written_as_people_do(written: object, count: int) -> None:
    assert limits(image=written).image == count


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({}, "needs a limit"),
        ({"image": "5%"}, "is not a size"),
        ({"image": "much"}, "is not a size"),
        ({"image": "5 mb"}, "is not a size"),
        ({"image": "-5 MB"}, "is not a size"),
        ({"image": -5}, "no fewer than 0 bytes"),
        ({"image": True}, "is not a size"),
        ({"image": 1.5}, "is not a size"),
        ({"image": "9" * 400 + " MB"}, "is not a size"),
        ({"grow": "5 %%"}, "is no growth"),
        ({"grow": "-5%"}, "is no growth"),
        ({"limit": 5}, "limit"),
    ],
)
def test_what_is_no_limit_is_refused(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        limits(**table)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2 * MB, "2.0 MB"), (3 * 10**9, "3.0 GB")]
)
def test_a_size_is_shown_in_one_unit(count: int, text: str) -> None:
    assert shown(count) == text
