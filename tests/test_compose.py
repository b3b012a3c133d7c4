"""From diffs, commits and sections to a changelog that lost nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.config.values import GroupRule, MajorRule
from relman.model.changelog import Accounting, Commit, Group, Major, PackageName, Row, Section, VariantSummary
from relman.model.contents import EXACT, Contents, Package, PackageSet
from relman.model.diff import Change, ChangeKind, Diff, Part, Side
from relman.model.oci import Digest, Platform
from relman.model.streams import Variant
from relman.walk.compose import Compared, compose
from relman.walk.grouping import Grouped, group_changes
from relman.walk.history import CommitRange, apply_rules, merge_ranges
from relman.walk.majors import majors_of

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
BLUEFIN = {
    "bluefin": frozenset({"base", "main"}),
    "bluefin-dx": frozenset({"dx", "main"}),
    "bluefin-nvidia": frozenset({"base", "nvidia"}),
    "bluefin-dx-nvidia": frozenset({"dx", "nvidia"}),
}
DX = GroupRule("Dev Experience Images", frozenset({"dx"}))
NVIDIA = GroupRule("Nvidia Images", frozenset({"nvidia"}))


def change(
    name: str,
    before: str | None = "1-1",
    after: str | None = "2-1",
    *,
    arch: str | None = "x86_64",
    source: str | None = None,
    kind: ChangeKind | None = None,
) -> Change:
    found = ChangeKind.ADDED if before is None else ChangeKind.REMOVED if after is None else ChangeKind.UPGRADED
    return Change(
        kind=kind or found,
        part=Part.VERSION if before and after else None,
        ecosystem="rpm",
        name=name,
        arch=arch,
        before=(before,) if before else (),
        after=(after,) if after else (),
        source=source,
    )


def diff(variant: str | None, *changes: Change, platform: Platform | None = AMD64, **more: object) -> Diff:
    side = Side(f"example.org/{variant}", None, platform, None, None, 3, "sbom")
    made = Diff(variant, platform, side, side, changes, (), (), exact=True, notes=())
    return replace(made, **more)  # tests name the fields


def group(*diffs: Diff, rules: tuple[GroupRule, ...] = (DX, NVIDIA), ignore: tuple[str, ...] = ()) -> Grouped:
    return group_changes(diffs, variants=BLUEFIN, groups=rules, ignore=ignore)


def names(grouped: Grouped) -> dict[str, list[str]]:
    return {each.title: [row.title for row in each.rows] for each in grouped.groups}


# ------------------------------------------------------------------------------------------------------ grouping


def test_a_package_is_shown_where_it_made_the_same_step_and_nowhere_else() -> None:
    everywhere, only_dx, nvidia = change("mesa"), change("docker"), change("nvidia-driver")
    grouped = group(
        diff("bluefin", everywhere),
        diff("bluefin-dx", everywhere, only_dx),
        diff("bluefin-nvidia", everywhere, nvidia),
        diff("bluefin-dx-nvidia", everywhere, only_dx, nvidia, change("lone")),
    )
    assert names(grouped) == {
        "All images": ["mesa"],
        "Dev Experience Images": ["docker"],
        "Nvidia Images": ["nvidia-driver"],
        "bluefin-dx-nvidia": ["lone"],
    }
    assert (grouped.shown, grouped.ignored) == (4 + 2 + 2 + 1, 0)


def test_a_row_knows_who_built_it_and_who_built_it_makes_no_group() -> None:
    known, unknown = replace(change("mesa", source="mesa"), vendor="Terra"), change("mesa", source="mesa")

    grouped = group(
        diff("bluefin", unknown), diff("bluefin-dx", known), diff("bluefin-nvidia"), diff("bluefin-dx-nvidia")
    )

    assert [(each.title, [(row.title, row.vendor) for row in each.rows]) for each in grouped.groups] == [
        ("bluefin, bluefin-dx", [("mesa", "Terra")])
    ]


def test_the_same_package_with_another_step_is_another_row_in_another_group() -> None:
    grouped = group(
        diff("bluefin", change("kernel", "6.1-1", "6.2-1")),
        diff("bluefin-dx", change("kernel", "6.1-1", "6.2-1")),
        diff("bluefin-nvidia", change("kernel", "6.0-1", "6.2-1")),
        diff("bluefin-dx-nvidia"),
    )
    assert [(each.title, each.rows[0].before) for each in grouped.groups] == [
        ("bluefin, bluefin-dx", ("6.1-1",)),
        ("bluefin-nvidia", ("6.0-1",)),
    ]


def test_packages_of_one_source_with_one_step_are_one_row_and_those_of_unknown_source_are_not() -> None:
    grouped = group(
        diff(
            "bluefin",
            change("mesa-libGL", source="mesa"),
            change("mesa-filesystem", source="mesa"),
            change("mesa-filesystem", source="mesa", arch="i686"),
            change("mesa-old", "0-1", source="mesa"),
            change("alone"),
            change("another"),
        )
    )
    assert grouped.groups == (
        Group(
            "All images",
            ("bluefin",),
            (AMD64,),
            (
                Row(
                    ChangeKind.UPGRADED,
                    Part.VERSION,
                    "rpm",
                    None,
                    (PackageName("alone", "x86_64"),),
                    ("1-1",),
                    ("2-1",),
                ),
                Row(
                    ChangeKind.UPGRADED,
                    Part.VERSION,
                    "rpm",
                    None,
                    (PackageName("another", "x86_64"),),
                    ("1-1",),
                    ("2-1",),
                ),
                Row(
                    ChangeKind.UPGRADED,
                    Part.VERSION,
                    "rpm",
                    "mesa",
                    (
                        PackageName("mesa-filesystem", "i686"),
                        PackageName("mesa-filesystem", "x86_64"),
                        PackageName("mesa-libGL", "x86_64"),
                    ),
                    ("1-1",),
                    ("2-1",),
                ),
                Row(
                    ChangeKind.UPGRADED,
                    Part.VERSION,
                    "rpm",
                    "mesa",
                    (PackageName("mesa-old", "x86_64"),),
                    ("0-1",),
                    ("2-1",),
                ),
            ),
        ),
    )


def test_a_source_that_only_one_variant_knows_does_not_part_what_changed_alike() -> None:
    grouped = group(diff("bluefin", change("a")), diff("bluefin-dx", change("a", source="s"), change("b", source="s")))
    assert [(each.title, [(row.source, len(row.packages)) for row in each.rows]) for each in grouped.groups] == [
        ("All images", [("s", 1)]),
        ("Dev Experience Images", [("s", 1)]),
    ]


def test_platforms_are_named_where_a_change_is_not_on_all_of_them() -> None:
    noarch, x86, arm = (change(name, arch=arch) for name, arch in (("n", "noarch"), ("x", "x86_64"), ("x", "aarch64")))
    grouped = group(
        diff("bluefin", noarch, x86),
        diff("bluefin", noarch, arm, platform=ARM64),
        diff("bluefin-dx", noarch, x86, change("d")),
        diff("bluefin-dx", noarch, arm, platform=ARM64),
    )
    assert [(each.title, each.variants, each.platforms) for each in grouped.groups] == [
        ("All images", ("bluefin", "bluefin-dx"), (AMD64, ARM64)),
        ("All images (linux/amd64)", ("bluefin", "bluefin-dx"), (AMD64,)),
        ("All images (linux/arm64)", ("bluefin", "bluefin-dx"), (ARM64,)),
        ("Dev Experience Images (linux/amd64)", ("bluefin-dx",), (AMD64,)),
    ]
    assert grouped.shown == 9


def test_a_set_that_is_no_product_of_variants_and_platforms_is_split_into_groups_that_are() -> None:
    noarch = change("n", arch="noarch")
    grouped = group(diff("bluefin", noarch), diff("bluefin", noarch, platform=ARM64), diff("bluefin-dx", noarch))
    assert [(each.title, each.variants, each.platforms) for each in grouped.groups] == [
        ("All images (linux/amd64)", ("bluefin", "bluefin-dx"), (AMD64,)),
        ("bluefin (linux/arm64)", ("bluefin",), (ARM64,)),
    ]
    assert grouped.shown == 3


def test_groups_stand_in_one_order_whatever_the_order_of_the_diffs() -> None:
    diffs = [
        diff("bluefin", change("all"), change("z"), change("three")),
        diff("bluefin-dx", change("all"), change("dx"), change("three"), change("y")),
        diff("bluefin-nvidia", change("all"), change("nv"), change("three"), change("y")),
        diff("bluefin-dx-nvidia", change("all"), change("dx"), change("nv")),
    ]
    expected = [
        "All images",
        "Dev Experience Images",
        "Nvidia Images",
        "bluefin, bluefin-dx, bluefin-nvidia",
        "bluefin-dx, bluefin-nvidia",
        "bluefin",
    ]
    assert [each.title for each in group(*diffs).groups] == expected
    assert group(*diffs) == group(*reversed(diffs))


def test_a_group_of_all_images_is_all_images_and_the_first_of_two_equal_rules_counts() -> None:
    everything = GroupRule("Everything", frozenset())
    again = GroupRule("Again", frozenset({"dx"}))
    diffs = (diff("bluefin", change("a")), diff("bluefin-dx", change("a"), change("b")))
    assert list(names(group(*diffs, rules=(everything, DX, again)))) == ["All images", "Dev Experience Images"]


def test_ignored_packages_are_counted_and_not_shown() -> None:
    diffs = [diff(name, change("gcc-debuginfo"), change("gcc"), change("GCC-DEBUGINFO")) for name in BLUEFIN]
    grouped = group(*diffs, ignore=("*-debuginfo", "gcc-*"))
    assert names(grouped) == {"All images": ["GCC-DEBUGINFO", "gcc"]}
    assert (grouped.shown, grouped.ignored) == (8, 4)


@pytest.mark.parametrize(
    "diffs",
    [(diff(None),), (diff("bluefin", platform=None),), (diff("unheard-of"),), (diff("bluefin"), diff("bluefin"))],
)
def test_diffs_that_do_not_say_what_they_are_of_are_refused(diffs: tuple[Diff, ...]) -> None:
    with pytest.raises(ValueError, match="diff"):
        group(*diffs)


_versions = st.sampled_from(["1-1", "2-1", "1:1-1"])
_changes = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "b-debuginfo", "c"]), st.sampled_from(["x86_64", "i686", None])),
    st.tuples(st.none() | _versions, st.none() | _versions, st.sampled_from([None, "s", "t"])).filter(
        lambda step: step[0] is not None or step[1] is not None
    ),
    max_size=8,
).map(
    lambda made: tuple(change(n, old, new, arch=arch, source=source) for (n, arch), (old, new, source) in made.items())
)
_places = st.dictionaries(st.tuples(st.sampled_from(list(BLUEFIN)), st.sampled_from([AMD64, ARM64])), _changes)


def _tally(diffs: Mapping[tuple[str, Platform], tuple[Change, ...]]) -> Counter[object]:
    return Counter(
        (variant, platform, each.name, each.arch, each.kind, each.before, each.after)
        for (variant, platform), changes in diffs.items()
        for each in changes
        if not each.name.endswith("-debuginfo")
    )


@given(_places)
def test_every_changed_row_of_every_diff_is_in_the_groups_exactly_once(
    places: dict[tuple[str, Platform], tuple[Change, ...]],
) -> None:
    grouped = group(*(diff(v, *changes, platform=p) for (v, p), changes in places.items()), ignore=("*-debuginfo",))
    found = Counter(
        (variant, platform, package.name, package.arch, row.kind, row.before, row.after)
        for each in grouped.groups
        for variant in each.variants
        for platform in each.platforms
        for row in each.rows
        for package in row.packages
    )
    assert found == _tally(places)
    assert grouped.shown == found.total()
    assert grouped.shown + grouped.ignored == sum(map(len, places.values()))
    assert len({(each.variants, each.platforms) for each in grouped.groups}) == len(grouped.groups)
    assert len({each.title for each in grouped.groups}) == len(grouped.groups)
    assert all([row.title for row in each.rows] == sorted(row.title for row in each.rows) for each in grouped.groups)


# -------------------------------------------------------------------------------------------------------- majors


def contents(*packages: tuple[str, str, str | None] | Package) -> Contents:
    made = (p if isinstance(p, Package) else Package("rpm", p[0], p[2], p[1]) for p in packages)
    return Contents(PackageSet(made), "sbom", EXACT)


def compared(name: str, before: Contents | None, after: Contents, **more: object) -> Compared:
    made = Compared(
        variant=Variant(name, name, traits=BLUEFIN.get(name, frozenset())),
        name=name,
        platform=AMD64,
        after=after,
        digest=Digest.of(name.encode()),
        after_labels={},
        revision="a" * 40,
        before=before,
        diff=diff(name) if before else None,
        previous_digest=Digest.of(b"old" + name.encode()) if before else None,
    )
    return replace(made, **more)  # tests name the fields


KERNEL = MajorRule("Kernel", "kernel", None, frozenset())


def test_majors_are_listed_changed_or_not_and_share_a_row_where_variants_agree() -> None:
    old, new = contents(("kernel", "6.1-1", "x86_64")), contents(("kernel", "6.2-1", "x86_64"))
    docker = contents(("kernel", "6.1-1", "x86_64"), ("docker-ce", "1-1", "x86_64"))
    rules = [
        KERNEL,
        MajorRule("Docker", "docker-ce", None, frozenset({"dx"})),
        MajorRule("Nvidia", "nv", None, frozenset()),
    ]
    rows = majors_of(
        [compared("bluefin", old, new), compared("bluefin-dx", old, docker), compared("bluefin-nvidia", old, new)],
        rules,
    )
    assert rows == (
        Major("Kernel", "kernel", ("6.1-1",), ("6.2-1",), ("bluefin", "bluefin-nvidia")),
        Major("Kernel", "kernel", ("6.1-1",), ("6.1-1",), ("bluefin-dx",)),
        Major("Docker", "docker-ce", (), ("1-1",), ("bluefin-dx",), frozenset({"dx"})),
    )


def test_a_major_names_all_versions_that_are_installed_side_by_side() -> None:
    before = contents(("kernel", "6.14.4-300.fc42", "x86_64"), ("kernel", "6.14.3-300.fc42", "x86_64"))
    (row,) = majors_of([compared("bluefin", before, before)], [KERNEL])
    assert row.before == row.after == ("6.14.3-300.fc42", "6.14.4-300.fc42")


@pytest.mark.parametrize(
    ("arches", "platform", "taken"),
    [
        (("i686", "x86_64"), AMD64, "x86_64"),
        (("i686", "noarch"), AMD64, "noarch"),
        (("i686",), AMD64, "i686"),
        (("x86_64", "aarch64"), ARM64, "aarch64"),
        (("i686", "x86_64"), Platform("linux", "386"), "i686"),
        ((None, "i686"), AMD64, None),
    ],
)
def test_a_major_is_the_package_of_the_platform_s_own_arch(
    arches: tuple[str | None, ...], platform: Platform, taken: str | None
) -> None:
    installed = contents(*(("kernel", f"1-{arch}", arch) for arch in arches))
    (row,) = majors_of([compared("bluefin", installed, installed, platform=platform)], [KERNEL])
    assert row.after == (f"1-{taken}",)


def test_a_major_is_the_system_s_package_before_one_of_another_ecosystem() -> None:
    both = contents(Package("gomod", "kernel", None, "9"), ("kernel", "6-1", "x86_64"))
    (row,) = majors_of([compared("bluefin", None, both)], [KERNEL])
    assert (row.before, row.after) == ((), ("6-1",))


def test_a_major_may_come_from_a_label_as_it_is_given() -> None:
    rule = MajorRule("Kernel", None, "ostree.linux", frozenset())
    booted = {"before_labels": {"ostree.linux": "6.1-1.x86_64"}, "after_labels": {"ostree.linux": "6.2-1.x86_64"}}
    rows = majors_of(
        [
            compared("bluefin", contents(), contents(), **booted),
            compared("bluefin-dx", contents(), contents(), after_labels={"ostree.linux": " "}),
        ],
        [rule],
    )
    assert rows == (Major("Kernel", "label:ostree.linux", ("6.1-1.x86_64",), ("6.2-1.x86_64",), ("bluefin",)),)


# ------------------------------------------------------------------------------------------------------- commits


def commits(shas: str, **more: str) -> tuple[Commit, ...]:
    return tuple(Commit(sha=sha * 40, subject=f"fix: {sha}", author="A", **more) for sha in shas)  # type: ignore[arg-type]


def shas(found: tuple[Commit, ...]) -> str:
    return "".join(commit.sha[0] for commit in found)


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [
        (("cba", "cba"), "cba"),
        (("cb", "cba"), "cba"),
        (("ba", "dcba"), "dcba"),
        (("fda", "feda"), "feda"),
        (("cb", "fe"), "cbfe"),
        (("ab", "ba"), "ab"),
        (("", "a"), "a"),
        ((), ""),
    ],
)
def test_ranges_are_merged_in_an_order_that_each_of_them_has(ranges: tuple[str, ...], merged: str) -> None:
    made = merge_ranges([CommitRange((f"v{n}",), commits(text)) for n, text in enumerate(ranges)])
    assert shas(made) == merged


@given(st.permutations("abcdef"), st.lists(st.sets(st.sampled_from("abcdef")), max_size=5))
def test_ranges_of_one_history_keep_its_order(history: list[str], chosen: list[set[str]]) -> None:
    ranges = [CommitRange((str(n),), commits("".join(s for s in history if s in c))) for n, c in enumerate(chosen)]
    merged = merge_ranges(ranges)
    assert sorted(shas(merged)) == sorted(set().union(*chosen))
    for each in ranges:
        assert [commit.sha for commit in merged if commit.sha in {c.sha for c in each.commits}] == [
            commit.sha for commit in each.commits
        ]
    for commit in merged:
        assert commit.variants == tuple(str(n) for n, c in enumerate(chosen) if commit.sha[0] in c)


def test_a_revert_that_only_one_variant_has_still_names_what_it_reverts() -> None:
    reverted = commits("a", reverted_by="b" * 40)
    merged = merge_ranges([CommitRange(("x",), commits("a")), CommitRange(("y",), commits("b") + reverted)])
    assert [(c.sha[0], c.reverted_by, c.variants) for c in merged] == [("b", None, ("y",)), ("a", "b" * 40, ("x", "y"))]


def test_a_commit_that_a_rule_leaves_out_says_which_rule() -> None:
    chore = Commit("c" * 40, "chore: a | b", "A")
    kept = Commit("d" * 40, "fix: chore", "A")
    before = Commit("e" * 40, "chore: x", "A", listed=False, reason="by a plugin")
    rules = (re.compile("^chore"), re.compile("a"))
    assert apply_rules((chore, kept, before), rules) == (
        replace(chore, listed=False, reason="excluded by `^chore`"),
        kept,
        before,
    )


# ------------------------------------------------------------------------------------------------------- compose


def test_a_changelog_holds_everything_and_counts_it_from_both_ends() -> None:
    old, new = contents(("kernel", "1-1", "x86_64"), ("x", "1-1", None)), contents(("kernel", "2-1", "x86_64"))
    changes = (change("kernel"), change("x", "1-1", None, arch=None))
    images = [
        compared("bluefin", old, new, diff=diff("bluefin", *changes, keys_added=("k2", "k1"))),
        compared("bluefin-dx", old, new, diff=diff("bluefin-dx", changes[0], keys_added=("k1",), keys_removed=("k0",))),
    ]
    ranges = [CommitRange(("bluefin",), commits("ba")), CommitRange(("bluefin-dx",), commits("ba"))]
    found = apply_rules(merge_ranges(ranges), (re.compile("b$"),))
    made = compose(
        images,
        project="Bluefin",
        title="t",
        stream="stable",
        version="2",
        previous="1",
        ranges=ranges,
        commits=found,
        sections=[Section("z", 10, "Z", "z"), Section("b", 0, "B", "b"), Section("a", 10, "A", "a")],
        majors=[KERNEL],
        groups=[DX],
        ignore=["x"],
        repository_url="https://example.org",
        major=44,
    )
    assert made.accounting == Accounting(2, 1, 1, packages_changed=3, packages_shown=2, packages_ignored=1)
    assert made.variants[0] == VariantSummary(
        "bluefin", AMD64, images[0].digest, images[0].previous_digest, "a" * 40, exact=True, packages=1
    )
    assert [section.id for section in made.sections] == ["b", "a", "z"]
    assert (made.keys_added, made.keys_removed) == (("k1", "k2"), ("k0",))
    assert [commit.variants for commit in made.commits] == [("bluefin", "bluefin-dx")] * 2
    assert [each.title for each in made.groups] == ["All images"]
    assert (made.notes, made.major, made.security) == ((), 44, None)


def test_a_commit_that_was_lost_on_the_way_is_refused() -> None:
    with pytest.raises(ValueError, match="a commit was lost"):
        compose([], project="p", title="t", ranges=[CommitRange((), commits("ab"))], commits=commits("a"))


def test_two_images_given_by_hand_are_compared_under_their_name() -> None:
    some = contents(("a", "1-1", None))
    by_hand = compared("bluefin", some, some, variant=None, diff=diff(None, change("a"), platform=None))
    made = compose([by_hand], project="p", title="t")
    assert [(each.title, each.variants, each.platforms) for each in made.groups] == [
        ("All images", ("bluefin",), (AMD64,))
    ]


def test_the_notes_say_what_readers_have_to_know() -> None:
    some = contents(("a", "1-1", None))
    vague = diff("bluefin", exact=False, notes=("The source `label` cannot know epochs.", "nor arches"))
    made = compose(
        [
            compared("bluefin", some, some, diff=vague),
            compared("bluefin-dx", some, some, revision="b" * 40, diff=diff("bluefin-dx", notes=("By the way.",))),
            compared("bluefin-nvidia", None, some, revision=None),
            compared("bluefin-dx-nvidia", None, some, previous_digest=Digest.of(b"gone")),
        ],
        project="p",
        title="t",
        previous="1",
        notes=["Commits are missing: why."],
    )
    assert made.notes == (
        "bluefin-nvidia: new in this release, there is nothing to compare with.",
        "bluefin-dx-nvidia: the previous image is no longer there, and neither is a list of what was in it, "
        "so nothing was compared.",
        "bluefin: the comparison is not exact. The source `label` cannot know epochs. nor arches.",
        "bluefin-dx: By the way.",
        "The images were built from different revisions: bluefin, bluefin-dx-nvidia from aaaaaaaaaaaa; "
        "bluefin-dx from bbbbbbbbbbbb.",
        "bluefin-nvidia: the image does not say which commit it was built from.",
        "Commits are missing: why.",
    )
    assert [variant.exact for variant in made.variants] == [False, True, True, True]


def test_a_first_release_says_so_and_shows_nothing_as_added() -> None:
    some = contents(("a", "1-1", None))
    made = compose([compared(name, None, some) for name in BLUEFIN], project="p", title="t")
    assert made.notes == ("This is the first release: there is nothing to compare it with.",)
    assert (made.groups, made.accounting) == ((), Accounting(0, 0, 0, 0, 0, 0))


def test_contents_before_and_a_diff_belong_together() -> None:
    some = contents(("a", "1-1", None))
    with pytest.raises(ValueError, match="has a diff exactly where"):
        compared("bluefin", some, some, diff=None)
