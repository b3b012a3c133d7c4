"""The difference of two lists: what counts as a change, and what both sides have to know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.model.contents import EXACT, Capability, Contents, Details, Identity, Obsolete, Package, PackageSet
from relman.model.diff import Change, ChangeKind, Part, Side
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, PlatformImage, parse_reference
from relman.walk.compare import Comparison, assemble, compare_contents, side

ALL = EXACT | {Capability.SOURCE_PACKAGE, Capability.VENDOR}
EPOCH, ARCH, MULTI = Capability.EPOCH, Capability.ARCH, Capability.MULTI_VERSION
NOTHING: Mapping[str, object] = MappingProxyType({})


def rpm(name: str, *versions: str, arch: str | None = "x86_64", vendor: str | None = None) -> list[Package]:
    return [Package("rpm", name, arch, version, vendor=vendor) for version in versions]


def contents(
    *packages: list[Package],
    lacks: frozenset[Capability] | set[Capability] = frozenset(),
    keys: tuple[str, ...] = (),
    source: str = "sbom",
    extras: Mapping[str, object] = NOTHING,
) -> Contents:
    return Contents(PackageSet(p for several in packages for p in several), source, ALL - lacks, keys, extras)


def change(
    kind: str,
    name: str,
    before: str,
    after: str,
    part: str | None = None,
    *,
    arch: str | None = "x86_64",
    arch_before: str | None = None,
    vendor_before: str | None = None,
    vendor: str | None = None,
    name_before: str | None = None,
    ecosystem: str = "rpm",
) -> Change:
    return Change(
        kind=ChangeKind(kind),
        part=Part(part) if part else None,
        ecosystem=ecosystem,
        name=name,
        arch=arch,
        before=tuple(before.split()),
        after=tuple(after.split()),
        arch_before=arch_before,
        vendor_before=vendor_before,
        vendor=vendor,
        name_before=name_before,
    )


def changes(before: Contents, after: Contents) -> tuple[Change, ...]:
    return compare_contents(before, after).changes


@pytest.mark.parametrize(
    ("before", "after", "kind", "part"),
    [
        ("1.0-1.fc44", "1.1-1.fc44", "upgraded", "version"),
        ("1.1-1.fc44", "1.0-1.fc44", "downgraded", "version"),
        ("5.0-1", "1:1.0-1", "upgraded", "epoch"),
        ("1:1.0-1", "5.0-1", "downgraded", "epoch"),
        ("1.0-1.fc44", "1.0-2.fc44", "upgraded", "release"),
        ("1.0-2.fc44", "1.0-1.fc45", "downgraded", "release"),
        ("1.0-1.fc44", "1.0-1.fc45", "rebuilt", "dist"),
        ("1.0-1.fc45", "1.0-1.fc44", "rebuilt", "dist"),
        ("1.0-1.fc44", "1.0-1.fc44.1", "rebuilt", "dist"),
        ("1.0-1.fc44", "1.0-1.fc100", "rebuilt", "dist"),
        ("1.0-1.fc42.switcheroo", "1.0-1.fc42", "downgraded", "release"),
        ("1.0~rc1-1", "1.0-1", "upgraded", "version"),
        ("1.0-1", "1.0^git1-1", "upgraded", "version"),
        ("6.9-1", "6.10-1", "upgraded", "version"),
    ],
)
def test_the_newest_versions_decide_what_it_is(before: str, after: str, kind: str, part: str) -> None:
    assert changes(contents(rpm("a", before)), contents(rpm("a", after))) == (change(kind, "a", before, after, part),)


def test_what_came_and_what_went_show_all_their_versions() -> None:
    before, after = contents(rpm("old", "1-1", "2-1")), contents(rpm("new", "10-1", "9-1"))

    assert changes(before, after) == (change("added", "new", "", "9-1 10-1"), change("removed", "old", "1-1 2-1", ""))


def test_versions_side_by_side_are_one_row_with_all_of_them() -> None:
    before, after = contents(rpm("kernel", "6.19.2-1", "6.19.9-1")), contents(rpm("kernel", "6.19.9-1", "6.19.12-1"))

    assert changes(before, after) == (
        change("upgraded", "kernel", "6.19.2-1 6.19.9-1", "6.19.9-1 6.19.12-1", "version"),
    )


def test_the_same_newest_version_with_others_beside_it_is_changed() -> None:
    before, after = contents(rpm("kernel", "1-1", "3-1")), contents(rpm("kernel", "2-1", "3-1"))

    assert changes(before, after) == (change("changed", "kernel", "1-1 3-1", "2-1 3-1"),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("1.01-1",), ("1.1-1",)),
        (("0:1.0-1",), ("1.0-1",)),
        (("2_0-1", "3-1"), ("2.0-1", "3-01")),
        (("1.01-1", "1.1-1"), ("1.1-1",)),
    ],
)
def test_another_spelling_of_the_same_versions_is_no_change(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert changes(contents(rpm("a", *before)), contents(rpm("a", *after))) == ()


def test_the_architectures_of_a_name_are_compared_apart() -> None:
    before = contents(rpm("glibc", "1-1"), rpm("glibc", "1-1", arch="i686"))
    after = contents(rpm("glibc", "2-1"))

    assert changes(before, after) == (
        change("removed", "glibc", "1-1", "", arch="i686"),
        change("upgraded", "glibc", "1-1", "2-1", "version"),
    )


def test_another_arch_is_one_change_and_not_two() -> None:
    before = contents(rpm("fonts", "1-1"), rpm("themes", "1-1"))
    after = contents(rpm("fonts", "1-1", arch="noarch"), rpm("themes", "2-1", arch="noarch"))

    assert changes(before, after) == (
        change("changed", "fonts", "1-1", "1-1", arch="noarch", arch_before="x86_64"),
        change("upgraded", "themes", "1-1", "2-1", "version", arch="noarch", arch_before="x86_64"),
    )


def test_an_architecture_that_left_while_another_stayed_is_removed() -> None:
    before = contents(rpm("a", "1-1"), rpm("a", "1-1", arch="i686"))
    after = contents(rpm("a", "1-1", arch="noarch"))

    assert changes(before, after) == (
        change("removed", "a", "1-1", "", arch="i686"),
        change("added", "a", "", "1-1", arch="noarch"),
        change("removed", "a", "1-1", ""),
    )


def test_another_vendor_is_news_even_at_the_same_version() -> None:
    before = contents(rpm("mesa", "1-1", vendor="Fedora Project"), rpm("zsh", "1-1", vendor="Fedora Project"))
    after = contents(rpm("mesa", "1-1", vendor="Terra"), rpm("zsh", "2-1", vendor="Terra"))

    assert changes(before, after) == (
        change("changed", "mesa", "1-1", "1-1", vendor_before="Fedora Project", vendor="Terra"),
        change("upgraded", "zsh", "1-1", "2-1", "version", vendor_before="Fedora Project", vendor="Terra"),
    )


@pytest.mark.parametrize("lacking", [{Capability.VENDOR}, set()])
def test_a_vendor_that_one_side_does_not_know_is_no_change(lacking: set[Capability]) -> None:
    vendor = "Terra" if lacking else None
    before, after = (
        contents(rpm("mesa", "1-1", vendor="Fedora")),
        contents(rpm("mesa", "1-1", vendor=vendor), lacks=lacking),
    )

    assert changes(before, after) == ()
    assert compare_contents(before, after).exact


def test_a_removed_package_that_the_new_one_obsoletes_is_renamed() -> None:
    before = contents(rpm("pulseaudio", "1-1"), rpm("gone", "1-1"))
    after = contents(
        rpm("pipewire-pulse", "2-1"), extras={"obsoletes": {"pipewire-pulse": ["pulseaudio", "never-there"]}}
    )

    assert changes(before, after) == (
        change("removed", "gone", "1-1", ""),
        change("renamed", "pipewire-pulse", "1-1", "2-1", "version", name_before="pulseaudio"),
    )


def test_a_rename_prefers_its_own_arch_and_takes_each_package_once() -> None:
    obsoletes = {"one": ["old"], "three": ["old"], "two": ["old"]}
    before = contents(rpm("old", "1-1"))
    after = contents(
        rpm("one", "1-1", arch="noarch"), rpm("two", "1-1"), rpm("three", "1-1"), extras={"obsoletes": obsoletes}
    )

    assert changes(before, after) == (
        change("added", "one", "", "1-1", arch="noarch"),
        change("renamed", "three", "1-1", "1-1", name_before="old"),
        change("added", "two", "", "1-1"),
    )


def test_a_rename_may_change_the_arch_as_well() -> None:
    before = contents(rpm("old", "1-1"))
    after = contents(rpm("new", "1-2", arch="noarch"), extras={"obsoletes": {"new": ["old"]}})

    assert changes(before, after) == (
        change("renamed", "new", "1-1", "1-2", "release", arch="noarch", arch_before="x86_64", name_before="old"),
    )


def obsoleting(*rows: str, lacks: frozenset[Capability] | set[Capability] = frozenset()) -> Contents:
    """``new`` 2-1, which obsoletes each row: a name, or a name, a relation and a version."""
    details = Details({Identity("rpm", "new", "x86_64"): tuple(Obsolete(*row.split()) for row in rows)})
    return replace(contents(rpm("new", "2-1"), lacks=lacks), details=details)


@pytest.mark.parametrize(
    ("obsoletes", "renamed"),
    [
        (["other", "old"], True),
        (["old < 1-2"], True),
        (["old < 1-1"], False),
        (["old <= 1"], True),
        (["old = 3-1", "old = 1-1"], True),
        (["old < 0:2"], True),
        (["old >= 1:0"], False),
        ([], False),
    ],
)
def test_a_database_says_which_versions_a_new_package_takes_the_place_of(obsoletes: list[str], renamed: bool) -> None:
    found = changes(contents(rpm("old", "1-1")), obsoleting(*obsoletes))

    if renamed:
        assert found == (change("renamed", "new", "1-1", "2-1", "version", name_before="old"),)
    else:
        assert found == (change("added", "new", "", "2-1"), change("removed", "old", "1-1", ""))


def test_an_epoch_that_one_side_does_not_know_is_left_out_of_the_range_too() -> None:
    before = contents(rpm("old", "1-1"), lacks={EPOCH})

    assert changes(before, obsoleting("old < 2:2-1")) == (
        change("renamed", "new", "1-1", "2-1", "version", name_before="old"),
    )


def test_rules_rename_what_is_obsoleted_too() -> None:
    before = contents(rpm("kmod-old-6", "1-1"))
    rules = [(re.compile("^kmod-old-.*"), "kmod-old"), (re.compile("^new$"), "kmod-new")]

    assert compare_contents(before, obsoleting("kmod-old-6 < 2"), rename=rules).changes == (
        change("renamed", "kmod-new", "1-1", "2-1", "version", name_before="kmod-old"),
    )


def test_of_several_versions_that_left_one_in_range_is_enough() -> None:
    before = contents(rpm("old", "1-1", "3-1"))

    (found,) = changes(before, obsoleting("old < 2"))
    assert (found.kind, found.name_before, found.before) == (ChangeKind.RENAMED, "old", ("1-1", "3-1"))


def test_what_is_still_there_was_not_renamed() -> None:
    before = contents(rpm("old", "1-1"))
    after = contents(rpm("old", "1-1"), rpm("new", "1-1"), extras={"obsoletes": {"new": ["old"]}})

    assert changes(before, after) == (change("added", "new", "", "1-1"),)


@pytest.mark.parametrize("obsoletes", ["old", {"new": "old"}, {"new": None}, None, 7])
def test_obsoletes_in_another_shape_are_not_understood(obsoletes: object) -> None:
    before, after = contents(rpm("o", "1-1")), contents(rpm("new", "1-1"), extras={"obsoletes": obsoletes})

    assert [c.kind for c in changes(before, after)] == [ChangeKind.ADDED, ChangeKind.REMOVED]


def test_versions_without_an_order_are_changed() -> None:
    def npm(*versions: str) -> list[Package]:
        return [Package("npm", "left-pad", None, version) for version in versions]

    assert changes(contents(npm("1.0.0")), contents(npm("2.0.0", "1.1.0"))) == (
        change("changed", "left-pad", "1.0.0", "1.1.0 2.0.0", arch=None, ecosystem="npm"),
    )
    assert changes(contents(npm("1", "2")), contents(npm("2", "1"))) == ()


def test_rules_rename_packages_on_both_sides_before_they_are_compared() -> None:
    before = contents(rpm("kmod-nvidia-6.14.4", "1-1"), rpm("kmod-nvidia-6.14.5", "1-1"), rpm("kmod", "34-1"))
    after = contents(rpm("kmod-nvidia-6.14.6", "2-1"), rpm("kmod", "34-1"))
    rules = [(re.compile(r"^kmod-(.*)-[0-9].*$"), r"akmod-\1"), (re.compile("^akmod-"), "kmod-")]

    assert compare_contents(before, after, rename=rules).changes == (
        change("upgraded", "kmod-nvidia", "1-1", "2-1", "version"),
    )


def test_a_rule_that_leaves_nothing_of_a_name_is_passed_over() -> None:
    rules = [(re.compile(".*"), "")]

    assert compare_contents(contents(rpm("a", "1-1")), contents(rpm("a", "2-1")), rename=rules).changes == (
        change("upgraded", "a", "1-1", "2-1", "version"),
    )


def test_trusted_keys_are_compared_as_keys() -> None:
    found = compare_contents(contents(keys=("b", "a")), contents(keys=("d", "b", "c")))

    assert (found.changes, found.keys_added, found.keys_removed) == ((), ("c", "d"), ("a",))


# ------------------------------------------------------------------------------------- what both sides know


def test_what_both_sides_know_is_exact() -> None:
    assert compare_contents(contents(), contents()) == Comparison((), (), (), True, ())


@pytest.mark.parametrize("before_lacks", [True, False])
def test_epochs_are_left_out_on_both_sides_where_one_does_not_know_them(before_lacks: bool) -> None:
    sides = [contents(rpm("a", "1.0-1"), rpm("b", "2.0-1"), lacks={EPOCH}, source="label")]
    sides.insert(before_lacks, contents(rpm("a", "1:1.0-1"), rpm("b", "1:1.0-1")))

    found = compare_contents(*sides)

    place = "before" if before_lacks else "after"
    kind, old, new = ("downgraded", "2.0-1", "1.0-1") if before_lacks else ("upgraded", "1.0-1", "2.0-1")
    assert found.changes == (change(kind, "b", old, new, "version"),)
    assert not found.exact
    assert found.notes == (
        f"The source `label` of the side `{place}` knows no epochs: they are left out on both sides, "
        "so a step in the epoch alone is not seen.",
    )


def test_architectures_are_compared_as_one_where_one_side_does_not_know_them() -> None:
    before = contents(rpm("glibc", "1-1"), rpm("glibc", "1-1", arch="i686"), rpm("fonts", "1-1"))
    after = contents(rpm("glibc", "1-1", arch=None), rpm("fonts", "2-1", arch="noarch"), lacks={ARCH})

    found = compare_contents(before, after)

    assert found.changes == (change("upgraded", "fonts", "1-1", "2-1", "version", arch=None),)
    assert [found.exact, len(found.notes)] == [False, 1]


@pytest.mark.parametrize(
    ("several", "single", "expected"),
    [
        ("1-1 2-1", "1-1", None),
        ("1-1 2-1", "02-1", None),
        ("1-1 2-1", "3-1", ("upgraded", "2-1", "3-1")),
        ("1-1 3-1", "2-1", ("downgraded", "3-1", "2-1")),
        ("1-1.fc43 2-1.fc43", "2-1.fc44", ("rebuilt", "2-1.fc43", "2-1.fc44")),
    ],
)
def test_one_version_is_found_among_several_or_compared_with_the_newest(
    several: str, single: str, expected: tuple[str, str, str] | None
) -> None:
    before, after = contents(rpm("kernel", *several.split())), contents(rpm("kernel", single), lacks={MULTI})

    found = compare_contents(before, after)

    part = "dist" if expected and expected[0] == "rebuilt" else "version"
    assert found.changes == ((change(expected[0], "kernel", *expected[1:], part),) if expected else ())
    assert not found.exact


def test_a_name_that_came_or_went_shows_all_versions_that_its_side_knows() -> None:
    assert changes(contents(rpm("a", "1-1", "2-1")), contents(lacks={MULTI})) == (
        change("removed", "a", "1-1 2-1", ""),
    )


@pytest.mark.parametrize(
    ("before", "after", "added", "removed"),
    [
        (("a",), ("a", "b"), (), ()),
        ((), ("a",), (), ()),
        (("a",), ("b",), ("b",), ("a",)),
    ],
)
def test_a_side_that_knows_one_key_of_several_says_little_about_keys(
    before: tuple[str, ...], after: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    found = compare_contents(contents(keys=before, lacks={MULTI}), contents(keys=after))

    assert (found.keys_added, found.keys_removed) == (added, removed)


def test_each_thing_that_is_not_known_has_a_note_that_names_the_sources() -> None:
    lacks = {EPOCH, ARCH, MULTI}
    found = compare_contents(contents(lacks=lacks, source="label"), contents(lacks=lacks, source="packages-txt"))

    assert [note.partition(" both sides ")[0] for note in found.notes] == [
        "The source `label` and `packages-txt` of"
    ] * 3


# ----------------------------------------------------------------------------------------------- properties

PACKAGES = st.builds(
    Package,
    st.sampled_from(["rpm", "deb", "npm", "alpm"]),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([None, "x86_64", "i686", "noarch"]),
    st.sampled_from(["1-1", "1.0-1", "01-1", "1~a-1", "1:0-1", "1-1.fc44", "1-1.fc45", "2-1"]),
    st.sampled_from([None, "src"]),
    st.sampled_from([None, "v", "w"]),
)
LISTS = st.builds(
    Contents,
    st.lists(PACKAGES, max_size=12).map(PackageSet),
    st.just("sbom"),
    st.frozensets(st.sampled_from(sorted(ALL))),
    st.lists(st.sampled_from("xyz"), unique=True).map(tuple),
)


@given(LISTS, LISTS)
def test_whatever_is_compared_the_rows_are_sorted_and_each_package_has_one(before: Contents, after: Contents) -> None:
    found = compare_contents(before, after)

    order = [(c.ecosystem, c.name, c.arch or "") for c in found.changes]
    assert order == sorted(order)
    assert len({c.identity for c in found.changes}) == len(order)
    assert found.exact == (len(found.notes) == 0)


@given(LISTS)
def test_a_list_does_not_differ_from_itself(one: Contents) -> None:
    assert compare_contents(one, one).changes == ()


TURNED = {"added": "removed", "removed": "added", "upgraded": "downgraded", "downgraded": "upgraded"}


@given(LISTS, LISTS)
def test_turned_around_every_change_is_undone(before: Contents, after: Contents) -> None:
    forth, back = compare_contents(before, after), compare_contents(after, before)

    assert sorted(
        (c.name, c.ecosystem, c.before, c.after, TURNED.get(c.kind, c.kind), c.part or "") for c in forth.changes
    ) == sorted((c.name, c.ecosystem, c.after, c.before, str(c.kind), c.part or "") for c in back.changes)
    assert (forth.keys_added, forth.keys_removed) == (back.keys_removed, back.keys_added)


# ---------------------------------------------------------------------------------- short lists, whole diffs


def test_a_diff_carries_both_sides_as_their_labels_have_them() -> None:
    digest = Digest("sha256:" + "a" * 64)
    labels = {"org.opencontainers.image.version": "stable-1", "org.opencontainers.image.revision": "f" * 40}
    image = PlatformImage(LINUX_AMD64, Descriptor("application/x", digest, 1), labels, None, 0)
    file, reference = parse_reference("sbom:old.json"), parse_reference("ghcr.io/a/b:c")
    before, after = contents(rpm("a", "1-1"), lacks={EPOCH}), contents(rpm("a", "2-1"), keys=("k",))

    diff = assemble(
        compare_contents(before, after), side(file, None, before), side(reference, image, after), variant="base"
    )

    assert diff.before == Side("sbom:old.json", None, None, None, None, 1, "sbom")
    assert diff.after == Side("ghcr.io/a/b:c", digest, LINUX_AMD64, "stable-1", "f" * 40, 1, "sbom")
    assert (diff.variant, diff.platform, diff.exact, len(diff.notes)) == ("base", LINUX_AMD64, False, 1)
    assert (diff.changes, diff.keys_added) == ((change("upgraded", "a", "1-1", "2-1", "version"),), ("k",))
