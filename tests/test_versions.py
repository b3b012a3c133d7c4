"""The order of versions: rpm's, dpkg's and pacman's own answers, and what holds for any text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relman.model.versions import (
    EVR,
    Part,
    compare,
    deb_compare,
    differing_part,
    normalise,
    parse,
    rpm_compare,
    sorted_versions,
    strip_dist,
)

VECTORS = Path(__file__).parent / "data" / "versions"
SYMBOLS = {"<": -1, "=": 0, ">": 1}

PIECES = st.sampled_from(
    [*"019.~^+-_:aZ", "00", "10", "rc", "fc44", "el10", "git1", "alpha", "α", "٣", " ", "\n", "-1"]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=6)
ORDERED = st.sampled_from(["rpm", "deb"])


def pairs(ecosystem: str) -> Iterator[tuple[str, str, int]]:
    for a, b, order in json.loads((VECTORS / f"{ecosystem}-pairs.json").read_text()):
        yield a, b, order
    lines = VECTORS / f"{ecosystem}-osv-scalibr.txt"
    if lines.exists():
        for line in lines.read_text().splitlines():
            if line and not line.startswith("#"):
                a, symbol, b = line.split(" ")
                yield a, b, SYMBOLS[symbol]


@pytest.mark.parametrize(("ecosystem", "count"), [("rpm", 2165), ("deb", 15442), ("alpm", 300)])
def test_the_order_is_that_of_the_tools_themselves(ecosystem: str, count: int) -> None:
    vectors = list(pairs(ecosystem))

    wrong = [
        (a, b, order)
        for x, y, sign in vectors
        for a, b, order in ((x, y, sign), (y, x, -sign))
        if compare(ecosystem, a, b) != order
    ]

    assert wrong == []
    assert len(vectors) == count


def test_every_file_of_vectors_is_read() -> None:
    read = {f"{ecosystem}-{kind}" for ecosystem in ("rpm", "deb", "alpm") for kind in ("pairs.json", "osv-scalibr.txt")}

    assert {path.name for path in VECTORS.iterdir()} <= read | {"README.md"}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0^git1"),
        ("1.0^git1", "1.0.1"),
        ("1.0^20160101^git1", "1.0^20160102"),
        ("1.0^git1~pre", "1.0^git1"),
        ("6.0", "6.0.rc1"),
        ("2.0.1", "2.0.1a"),
        ("1b.fc17", "1.fc17"),
        ("1.fc17", "1g.fc17"),
        ("6.19.2", "6.19.12"),
        ("a", "1"),
    ],
)
def test_rpm_orders_segments_tildes_and_carets_as_documented(older: str, newer: str) -> None:
    assert (rpm_compare(older, newer), rpm_compare(newer, older)) == (-1, 1)


@pytest.mark.parametrize(("a", "b"), [("2_0", "2.0"), ("1.0", "1+.+0"), ("abc123", "abc.0123"), ("1.01", "1.1")])
def test_rpm_takes_other_spellings_of_a_version_for_the_same(a: str, b: str) -> None:
    assert rpm_compare(a, b) == 0


def test_deb_orders_a_tilde_before_the_end_before_letters_before_the_rest() -> None:
    texts = ["1+", "1a", "1", "1~", "1~~"]

    assert sorted_versions("deb", texts) == ["1~~", "1~", "1", "1a", "1+"]
    assert deb_compare("1.0", "1.00") == 0


def test_alpm_orders_a_trailing_letter_before_the_end_and_ignores_a_missing_release() -> None:
    texts = ["1.0.1", "1.0.a", "1.0", "1.0rc", "1.0alpha", "1.0a"]

    assert sorted_versions("alpm", texts) == ["1.0a", "1.0alpha", "1.0rc", "1.0", "1.0.a", "1.0.1"]
    assert [compare("alpm", "1.0", other) for other in ("1.0-1", "1.0-9")] == [0, 0]


def test_the_epoch_decides_before_everything_else() -> None:
    assert compare("rpm", "5.0-1", "1:1.0-1") == -1
    assert compare("deb", "9-1", "1:1-1") == -1
    assert compare("rpm", "5.0-1", "0:5.0-1") == 0


def test_versions_of_other_ecosystems_have_no_order() -> None:
    assert compare("npm", "1.0.0", "2.0.0") is None
    assert differing_part("npm", "1.0.0", "2.0.0") is None
    assert sorted_versions("npm", ["2", "10", "1"]) == ["1", "10", "2"]


@given(ORDERED, TEXTS, TEXTS)
def test_turning_a_pair_around_turns_its_order_around(ecosystem: str, a: str, b: str) -> None:
    forth, back = compare(ecosystem, a, b), compare(ecosystem, b, a)

    assert forth is not None
    assert back == -forth


@given(TEXTS, TEXTS)
def test_turning_a_pair_around_turns_pacmans_order_around(a: str, b: str) -> None:
    forth, back = compare("alpm", a, b), compare("alpm", b, a)

    assert forth is not None
    assert back == -forth


@given(st.sampled_from(["rpm", "deb", "alpm"]), TEXTS)
def test_every_version_equals_itself(ecosystem: str, text: str) -> None:
    # The two are equal texts and not the same object, so that no shortcut answers.
    assert compare(ecosystem, text, "".join(list(text))) == 0
    assert compare(ecosystem, text, text + "") == 0
    assert differing_part(ecosystem, text, text) is None


@given(ORDERED, st.lists(TEXTS, min_size=3, max_size=3))
def test_the_order_carries_over(ecosystem: str, texts: list[str]) -> None:
    a, b, c = sorted_versions(ecosystem, texts)

    assert [compare(ecosystem, x, y) in (-1, 0) for x, y in ((a, b), (b, c), (a, c))] == [True, True, True]
    if compare(ecosystem, a, b) == 0 and compare(ecosystem, b, c) == 0:
        assert compare(ecosystem, a, c) == 0


@given(st.sampled_from(["rpm", "deb", "alpm", "npm"]), st.lists(TEXTS, max_size=6), st.randoms())
def test_sorting_does_not_depend_on_the_order_of_the_input(ecosystem: str, texts: list[str], chance: object) -> None:
    shuffled = list(texts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert sorted_versions(ecosystem, shuffled) == sorted_versions(ecosystem, texts)


@given(ORDERED, TEXTS, TEXTS)
@example("rpm", "1-1.fc43", "1-1.fc44")
def test_a_part_differs_exactly_where_the_versions_do(ecosystem: str, a: str, b: str) -> None:
    part = differing_part(ecosystem, a, b)

    assert (part is None) == (compare(ecosystem, a, b) == 0)
    if part is Part.EPOCH:
        assert parse(ecosystem, a).epoch != parse(ecosystem, b).epoch


@pytest.mark.parametrize(
    ("text", "evr"),
    [
        ("1:2.0-3.fc44", EVR(1, "2.0", "3.fc44")),
        ("2.0-3", EVR(0, "2.0", "3")),
        ("2.0", EVR(0, "2.0", None)),
        ("0:2.0-rc1-3", EVR(0, "2.0-rc1", "3")),
        (":2.0-3", EVR(0, ":2.0", "3")),
        ("a:2.0-3", EVR(0, "a:2.0", "3")),
        ("٣:2.0-3", EVR(0, "٣:2.0", "3")),
        ("", EVR(0, "", None)),
    ],
)
def test_only_a_number_before_the_colon_is_an_epoch_and_only_the_last_hyphen_splits(text: str, evr: EVR) -> None:
    assert parse("rpm", text) == evr


def test_an_empty_revision_is_none_for_deb() -> None:
    assert parse("deb", "1.0-") == EVR(0, "1.0", None)
    assert compare("deb", "1.0-", "1.0-0") == 0


@pytest.mark.parametrize(
    ("ecosystem", "a", "b", "part"),
    [
        ("rpm", "2.0-1.fc44", "1:1.0-1.fc44", Part.EPOCH),
        ("rpm", "2.0-1.fc44", "2.1-1.fc45", Part.VERSION),
        ("rpm", "2.0-1.fc44", "2.0-2.fc45", Part.RELEASE),
        ("rpm", "2.0-1.fc44", "2.0-1.fc45", Part.DIST),
        ("rpm", "2.0-1.fc44", "2.0-1.fc44.1", Part.DIST),
        ("rpm", "2.0-1", "2.0-1.fc44", Part.DIST),
        ("rpm", "2.0-1.fc44", "2.0-10.fc44", Part.RELEASE),
        ("rpm", "2.0-1.fc44", "2.0-10", Part.RELEASE),
        ("rpm", "2.0-1.fc100", "2.0-10.fc44", Part.RELEASE),
        ("rpm", "2.0-1.fc42.switcheroo", "2.0-1.fc42", Part.RELEASE),
        ("rpm", "2.0", "2.0-1.fc44", Part.RELEASE),
        ("rpm", "1.01-1", "1.1-1", None),
        ("deb", "1.0-1", "1.0-1+b1", Part.RELEASE),
        ("deb", "1.0-1.fc44", "1.0-1.fc45", Part.RELEASE),
        ("alpm", "1.0-1", "1.0-2", Part.RELEASE),
        ("alpm", "1.0", "1.0-2", None),
    ],
)
def test_the_part_is_where_they_differ_first(ecosystem: str, a: str, b: str, part: Part | None) -> None:
    assert (differing_part(ecosystem, a, b), differing_part(ecosystem, b, a)) == (part, part)


@pytest.mark.parametrize(
    ("release", "bare"),
    [
        ("1.fc44", "1"),
        ("1.fc44.1", "1"),
        ("1.fc100", "1"),
        ("1.el10", "1"),
        ("1.el10_1", "1"),
        ("1.el9_5.2", "1"),
        ("1.el8_10.2.1", "1"),
        ("201.bazzite.fc43", "201.bazzite"),
        ("0.3.rc1.fc44", "0.3.rc1"),
        ("1.fc43.fc44", "1.fc43"),
        ("1", "1"),
        ("1.fc", "1.fc"),
        ("1fc44", "1fc44"),
        ("1.fc42.switcheroo", "1.fc42.switcheroo"),
        ("1.fc44.gitabc1234", "1.fc44.gitabc1234"),
        ("1.fc44.1234567", "1.fc44.1234567"),
        ("1.fc44.1.g3f2", "1.fc44.1.g3f2"),
        ("1.module_el8.5.0+1", "1.module_el8.5.0+1"),
        ("1.fc4٣", "1.fc4٣"),
    ],
)
def test_the_dist_tag_goes_with_what_a_rebuild_appends_and_nothing_else(release: str, bare: str) -> None:
    assert strip_dist(release) == bare


@given(TEXTS)
def test_what_is_left_without_the_dist_tag_begins_the_release(release: str) -> None:
    assert release.startswith(strip_dist(release))


@pytest.mark.parametrize(
    ("ecosystem", "epoch", "version", "release", "text"),
    [
        ("rpm", None, "1.0", "1.fc44", "1.0-1.fc44"),
        ("rpm", 0, "1.0", "1.fc44", "1.0-1.fc44"),
        ("rpm", "0", "1.0", "1.fc44", "1.0-1.fc44"),
        ("rpm", "01", "1.0", "1.fc44", "1:1.0-1.fc44"),
        ("rpm", 3, "1.0", None, "3:1.0"),
        ("deb", "", "1.0", "", "1.0"),
        ("deb", 1, "1.0", "2", "1:1.0-2"),
    ],
)
def test_a_version_has_one_spelling(
    ecosystem: str, epoch: int | str | None, version: str, release: str | None, text: str
) -> None:
    assert normalise(ecosystem, epoch, version, release) == text


@pytest.mark.parametrize("epoch", ["x", "-1", "٣", "9" * 5000])
def test_an_epoch_is_a_number(epoch: str) -> None:
    with pytest.raises(ValueError, match="is not an epoch"):
        normalise("rpm", epoch, "1.0", "1")


@pytest.mark.parametrize("ecosystem", ["rpm", "deb", "alpm"])
def test_versions_of_any_length_are_compared_and_refused_nowhere(ecosystem: str) -> None:
    # Python refuses to read numbers of more than 4300 digits; and none of this may take quadratic time.
    long = "9" * 50_000
    texts = [f"{long}:1-1", f"1:{long}-1", f"1:{long}1-1", "1." * 20_000, "~" * 50_000, "a1-" * 20_000]

    for a, b in pairwise(texts):
        forth = compare(ecosystem, a, b)
        assert forth is not None
        assert compare(ecosystem, b, a) == -forth
        assert differing_part(ecosystem, a, b) is not None
    assert compare(ecosystem, f"1:{long}-1", f"1:{long}1-1") == -1


def test_dist_tags_of_any_length_are_looked_for_in_vain() -> None:
    long = "9" * 50_000

    assert strip_dist(f"1.fc{long}.fc44") == f"1.fc{long}"
    assert strip_dist(".1" * 50_000 + "x") == ".1" * 50_000 + "x"
