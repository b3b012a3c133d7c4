"""The gate `packages`: required, forbidden and protected, in versions, on variants, from lists of all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relman.model.contents import EXACT, Capability, Contents, Package
from relman.model.diff import Change, ChangeKind, Diff
from relman.model.gates import State
from relman_plugins.gates import packages
from relman_plugins.gates.package_rules import PackageRule
from relman_plugins.gates.packages import PackagesSettings, verdicts
from tests.gates import AMD, after, candidate, change, contents, context, diff, image, rule

HERE = contents(
    "kernel 6.14.3-300.fc42",
    "kernel 6.14.4-300.fc42",
    "mesa-dri 1:25.0.4-1.fc42",
    "glibc 2.41-3.fc42 i686",
    "glibc 2.41-3.fc42",
)


def settings(**table: Any) -> PackagesSettings:
    return PackagesSettings.model_validate(table)


def codes(
    held: Contents | None = HERE, changes: Diff | None = None, *, first: bool = False, **table: Any
) -> list[tuple[State, str]]:
    found = verdicts(settings(**table), held, changes, first=first)
    assert all(one.needs for one in found if one.state is not State.PASSED)
    return [(one.state, one.code) for one in found]


PASSED = [(State.PASSED, "")]
MISSING, VERSION = [(State.FAILED, "required-missing")], [(State.FAILED, "required-version")]
PRESENT, CANNOT = [(State.FAILED, "forbidden-present")], [(State.ERROR, "cannot-tell")]
GONE, UNREAD = [(State.FAILED, "protected-removed")], [(State.ERROR, "not-read")]


# ------------------------------------------------------------------------------------ required and forbidden


@pytest.mark.parametrize(
    ("required", "found"),
    [
        ("kernel", PASSED),
        ("mesa-*", PASSED),
        ("*", PASSED),
        ("kernel-core", MISSING),
        ("Kernel", MISSING),
        ("kernel >= 6.14", PASSED),
        ("kernel >= 6.14.4", PASSED),
        ("kernel >= 6.14.4-300", PASSED),
        ("kernel >= 6.14.4-301", VERSION),
        ("kernel >= 6.15", VERSION),
        ("kernel < 6.14.4", PASSED),  # one of the two
        ("kernel < 6.14.3", VERSION),
        ("kernel = 6.14.3", PASSED),
        ("kernel = 6.14.3-300.fc42", PASSED),
        ("kernel != 6.14.3", PASSED),
        ("kernel > 6.14.4", VERSION),
        ("kernel <= 6.14.3", PASSED),
        ("mesa-dri >= 25", PASSED),  # without an epoch nothing is said of it
        ("mesa-dri < 26", PASSED),
        ("mesa-dri >= 1:25", PASSED),
        ("mesa-dri >= 2:0", VERSION),
        ("kernel>=6.14", PASSED),
        ({"name": "glibc", "arch": "i686"}, PASSED),
        ({"name": "kernel", "arch": "aarch64"}, MISSING),
        ({"name": "kernel", "version": ">= 6.14"}, PASSED),
    ],
)
def test_what_is_required_is_there_in_such_a_version(required: Any, found: list[Any]) -> None:
    assert codes(required=[required]) == found


@pytest.mark.parametrize(
    ("forbidden", "found"),
    [
        ("nano", PASSED),
        ("kern*", PRESENT),
        ("kernel < 6.14.4", PRESENT),  # any of those that are installed
        ("kernel < 6.14.3", PASSED),
        ("mesa-* < 25.0.4", PASSED),
        ({"name": "glibc", "arch": "i686"}, PRESENT),
    ],
)
def test_what_is_forbidden_is_in_no_installed_version(forbidden: Any, found: list[Any]) -> None:
    assert codes(forbidden=[forbidden]) == found


def test_all_that_is_wrong_is_said_under_a_code_for_each_kind() -> None:
    found = verdicts(
        settings(required=["kernel >= 7", "nano", "vim"], forbidden=["mesa-*"], protected=["bash"]),
        HERE,
        diff("os", change(ChangeKind.REMOVED, "bash")),
        first=False,
    )

    assert [(one.code, one.reason) for one in found] == [
        ("required-missing", "has no nano, vim"),
        ("required-version", "has kernel 6.14.3-300.fc42, kernel 6.14.4-300.fc42, not `kernel >= 7`"),
        ("forbidden-present", "has mesa-dri 1:25.0.4-1.fc42, against `mesa-*`"),
        ("protected-removed", "bash.x86_64 is gone"),
    ]
    assert found[0].evidence == {"missing": ["nano", "vim"], "source": "sbom"}


@pytest.mark.parametrize(
    ("knows", "table", "found"),
    [
        (EXACT - {Capability.EPOCH}, {"required": ["mesa-dri >= 1:25"]}, CANNOT),
        (EXACT - {Capability.EPOCH}, {"required": ["mesa-dri >= 25"]}, PASSED),
        (EXACT - {Capability.EPOCH}, {"forbidden": ["mesa-dri < 1:25"]}, CANNOT),
        (EXACT - {Capability.MULTI_VERSION}, {"forbidden": ["kernel < 6"]}, CANNOT),
        (EXACT - {Capability.MULTI_VERSION}, {"forbidden": ["nano"]}, PASSED),
        (EXACT - {Capability.MULTI_VERSION}, {"required": ["kernel >= 6.14"]}, CANNOT),
        (EXACT - {Capability.ARCH}, {"required": [{"name": "glibc", "arch": "x86_64"}]}, CANNOT),
        (EXACT - {Capability.ARCH}, {"required": ["glibc"]}, PASSED),
        (frozenset(), {"required": ["nano"]}, MISSING),
    ],
)
def test_what_a_list_cannot_tell_is_an_error_and_never_a_guess(
    knows: frozenset[Capability], table: dict[str, Any], found: list[Any]
) -> None:
    held = Contents(HERE.packages, "label", knows)

    assert codes(held, **table) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [("black = 24.1", PASSED), ("black != 24.1", VERSION), ("black >= 24", CANNOT), ("black", PASSED)],
)
def test_versions_without_an_order_are_equal_or_not_and_nothing_more(asked: str, found: list[Any]) -> None:
    assert codes(contents("black 24.1", ecosystem="pypi"), required=[asked]) == found


# ------------------------------------------------------------------------------------------------- protected


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ((), PASSED),
        ((change(ChangeKind.REMOVED, "vim"),), PASSED),
        ((change(ChangeKind.REMOVED, "kernel-core"),), GONE),
        ((change(ChangeKind.ADDED, "kernel"),), PASSED),
        ((change(ChangeKind.DOWNGRADED, "kernel"),), PASSED),
        ((change(ChangeKind.RENAMED, "vmlinux", name_before="kernel"),), GONE),
        ((change(ChangeKind.RENAMED, "kernel", name_before="vmlinux"),), PASSED),
    ],
)
def test_what_is_protected_does_not_go_away(changes: tuple[Change, ...], found: list[Any]) -> None:
    assert codes(changes=diff("os", *changes), protected=["kernel*"]) == found


def test_what_was_never_there_cannot_go_away_and_what_was_not_compared_may_have() -> None:
    assert codes(None, None, first=True, protected=["kernel"]) == PASSED
    assert codes(HERE, None, protected=["kernel"]) == UNREAD


def test_approximate_lists_are_said_and_do_not_answer_for_one_architecture() -> None:
    rough = diff("os", notes=("the label does not know the arch",))
    (found,) = verdicts(settings(protected=["kernel"]), HERE, rough, first=False)

    assert (found.state, found.reason) == (
        State.PASSED,
        "its rule holds (approximate: the label does not know the arch)",
    )
    assert codes(changes=rough, protected=[{"name": "glibc", "arch": "i686"}]) == CANNOT


def test_a_list_that_is_out_of_reach_is_an_error() -> None:
    assert codes(None, required=["kernel"]) == UNREAD
    assert codes(None, diff("os"), forbidden=["kernel"], protected=["vim"]) == UNREAD


# ------------------------------------------------------------------------------------------------- for all lists

names = st.sampled_from(["kernel", "kernel-core", "mesa", "vim"])
versions = st.sampled_from(["6.14-1", "6.15-1", "7.0-2"])
lists = st.lists(st.builds(lambda name, version: f"{name} {version}", names, versions), max_size=6)
patterns = st.sampled_from(["kernel", "kernel*", "vim", "nano", "*"])


@given(lists, patterns, st.sampled_from(["", " >= 6.15", " < 6.15", " = 7.0"]))
def test_required_and_forbidden_are_the_negation_of_each_other(held: list[str], name: str, condition: str) -> None:
    asked, there = f"{name}{condition}", contents(*held)

    required = codes(there, required=[asked]) == PASSED
    forbidden = codes(there, forbidden=[asked]) == PASSED

    assert required is not forbidden
    assert required == any(_fits(line, name, condition) for line in held)


def _fits(line: str, name: str, condition: str) -> bool:
    package, version = line.split()
    named = package == name or (name.endswith("*") and package.startswith(name[:-1]))
    number = float(version.partition("-")[0])
    return (
        named and {"": True, " >= 6.15": number >= 6.15, " < 6.15": number < 6.15, " = 7.0": number == 7.0}[condition]
    )


# ------------------------------------------------------------------------------------------------- the gate


def asked(table: dict[str, Any], *, read: bool = True, traits: Sequence[str] = ("nvidia",)) -> list[Any]:
    one = candidate("1", follows=after(image("0")))
    two = candidate("2", name="nv", traits=traits)
    there = {("os", AMD): contents("kernel 6-1"), ("nv", AMD): contents("kernel 6-1", "nvidia 570-1")}
    made = context(
        one, two, rules=[rule("packages", **table)], contents=there if read else {}, diffs=(diff("os"),), read=read
    )
    return [(each.variant, each.state, each.code) for each in packages.relman_gates(made)]


def test_a_rule_with_traits_is_for_variants_that_have_all_of_them() -> None:
    nvidia = {"name": "nvidia", "traits": ["nvidia"]}

    assert asked({"required": [nvidia]}) == [("os", State.PASSED, ""), ("nv", State.PASSED, "")]
    assert asked({"forbidden": [nvidia]}) == [("os", State.PASSED, ""), ("nv", State.FAILED, "forbidden-present")]
    assert asked({"required": ["nvidia"]}) == [("os", State.FAILED, "required-missing"), ("nv", State.PASSED, "")]


def test_a_trait_that_no_variant_has_is_an_error_and_no_rule_that_is_never_asked() -> None:
    table = {"required": [{"name": "nvidia", "traits": ["nvida"]}]}

    assert asked(table) == [("os", State.ERROR, "unknown-trait"), ("nv", State.ERROR, "unknown-trait")]


def test_where_images_are_not_read_it_is_skipped() -> None:
    assert asked({"required": ["kernel"]}, read=False) == [
        ("os", State.SKIPPED, "not-read"),
        ("nv", State.SKIPPED, "not-read"),
    ]


# ------------------------------------------------------------------------------------------------- its table


def test_a_rule_as_text_is_the_rule_as_a_table() -> None:
    assert settings(required=["kernel >= 6.14"]) == settings(required=[{"name": "kernel", "version": ">= 6.14"}])
    assert str(PackageRule(name="glibc", version="= 2", arch="i686")) == "glibc.i686 = 2"


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({}, "needs .required"),
        ({"required": []}, "needs .required"),
        ({"required": ["two words"]}, "is no package"),
        ({"required": [""]}, "is no package"),
        ({"required": [{"name": ""}]}, "at least 1 character"),
        ({"required": ["kernel >="]}, "is no condition"),
        ({"required": ["kernel == 6"]}, "is no condition"),
        ({"required": ["kernel >= 6 or so"]}, "is no condition"),
        ({"required": [{"name": "kernel", "version": "6.14"}]}, "is no condition"),
        ({"required": [{"name": "kernel", "trait": ["x"]}]}, "trait"),
        ({"protected": ["kernel >= 6"]}, "in any version"),
        ({"needed": ["kernel"]}, "needed"),
    ],
)
def test_what_is_no_rule_is_refused(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        settings(**table)


def test_hostile_versions_are_compared_in_no_time() -> None:
    long = Package("rpm", "kernel", "x86_64", "9" * 100_000 + "-1")

    assert codes(contents(long), required=["kernel >= 6"]) == PASSED
