"""Notes of a long step, joined from those of the short ones: what a direct comparison says, and nothing twice."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.model.changelog import Changelog, Fix, Section
from relman.model.contents import Capability, Contents, Package, PackageSet
from relman.model.diff import Side
from relman.model.oci import LINUX_AMD64, Digest
from relman.model.streams import Variant
from relman.walk.compare import assemble, compare_contents
from relman.walk.compared import Compared
from relman.walk.compose import compose
from relman.walk.joining import join
from tests.changelogs import changelog, commit

KNOWS = frozenset(Capability) - {Capability.CHANGELOG, Capability.FILES}
Image = Mapping[tuple[str, str], tuple[frozenset[str], str | None]]
"""Versions and vendor by name and arch."""


def contents(image: Image, obsoletes: Mapping[str, tuple[str, ...]]) -> Contents:
    packages = [
        Package("rpm", name, arch, version, f"{name}-source", vendor)
        for (name, arch), (versions, vendor) in image.items()
        for version in versions
    ]
    return Contents(PackageSet(packages), "sbom", KNOWS, extras={"obsoletes": obsoletes})


def notes_of(
    before: Mapping[str, Image], after: Mapping[str, Image], obsoletes: Mapping[str, tuple[str, ...]]
) -> Changelog:
    compared = []
    side = Side("r", None, LINUX_AMD64, None, None, 0, "sbom")
    for name in sorted(before):
        old, new = contents(before[name], {}), contents(after[name], obsoletes)
        diff = assemble(compare_contents(old, new), side, side, variant=name, platform=LINUX_AMD64)
        digest = Digest.of(name.encode())
        variant = Variant(name, name)
        compared.append(
            Compared(
                variant=variant,
                name=name,
                platform=LINUX_AMD64,
                after=new,
                digest=digest,
                after_labels={},
                before=old,
                diff=diff,
                before_labels={},
                previous_digest=digest,
            )
        )
    return compose(compared, project="p", title="t", version="new", previous="old")


_versions = st.sampled_from(["1-1.fc43", "1-1.fc44", "1-2.fc43", "2-1.fc43", "1:1-1.fc43"])
_images = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["x86_64", "i686", "noarch"])),
    st.tuples(st.frozensets(_versions, min_size=1, max_size=2), st.just("Fedora")),
    max_size=5,
)
_builds = st.fixed_dictionaries({"os": _images, "os-dx": _images})


@given(_builds, _builds, _builds)
@example(
    {"os": {}, "os-dx": {("a", "x86_64"): (frozenset({"1-1.fc43"}), "Fedora")}},
    {"os": {}, "os-dx": {("a", "noarch"): (frozenset({"2-1.fc43"}), "Fedora")}},
    {"os": {}, "os-dx": {("a", "x86_64"): (frozenset({"1-1.fc43"}), "Fedora")}},
)
def test_joined_notes_have_the_groups_of_a_direct_comparison(
    a: Mapping[str, Image], b: Mapping[str, Image], c: Mapping[str, Image]
) -> None:
    direct = notes_of(a, c, {})
    joined = join([notes_of(a, b, {}), notes_of(b, c, {})])
    assert joined.groups == direct.groups
    assert joined.accounting == direct.accounting
    assert joined.notes[0] == "Put together from the notes of 2 releases: new, new."


def one(name: str, version: str, vendor: str = "Fedora") -> Mapping[str, Image]:
    return {"os": {(name, "x86_64"): (frozenset({version}), vendor)}}


def test_renames_and_vendors_are_followed_over_the_releases_in_between() -> None:
    renamed = {"two": ("one",), "three": ("two", "one")}
    steps = [one("one", "1-1"), one("one", "2-1"), one("two", "2-1", "Terra"), one("three", "3-1", "Terra")]
    notes = [notes_of(before, after, renamed) for before, after in itertools.pairwise(steps)]
    direct = notes_of(steps[0], steps[-1], renamed)
    assert join(notes).groups == direct.groups
    (row,) = direct.groups[0].rows
    assert (row.name_before, row.vendor_before, row.before, row.after) == ("one", "Fedora", ("1-1",), ("3-1",))


def test_what_was_changed_and_changed_back_is_no_row() -> None:
    there = notes_of(one("one", "1-1"), one("one", "2-1"), {})
    back = notes_of(one("one", "2-1"), one("one", "1-1"), {})
    assert (join([there, back]).groups, join([there, back]).accounting.packages_changed) == ((), 0)


def test_steps_that_do_not_meet_are_said() -> None:
    moved = notes_of(one("one", "3-1"), one("one", "4-1"), {})
    joined = join([notes_of(one("one", "1-1"), one("one", "2-1"), {}), moved])
    (row,) = joined.groups[0].rows
    assert (row.before, row.after) == (("1-1",), ("4-1",))
    assert joined.notes[1] == "Of 1 package rows the notes of two releases do not meet."


def test_commits_come_newest_first_and_reverts_find_what_they_take_back_in_an_earlier_release() -> None:
    first = changelog(commits=(commit("b"), commit("a")))
    second = changelog(commits=(commit('Revert "a" (#9)'), commit("c")))
    joined = join([first, second])
    assert [(c.subject, c.reverted_by) for c in joined.commits] == [
        ('Revert "a" (#9)', None),
        ("c", None),
        ("b", None),
        ("a", commit('Revert "a" (#9)').sha),
    ]
    assert (joined.accounting.commits_in_range, joined.accounting.commits_listed) == (4, 4)


def test_highlights_stand_there_once_and_known_issues_are_those_of_the_last() -> None:
    def step(*sections: tuple[str, str]) -> Changelog:
        return changelog(sections=tuple(Section(id, 10, id, text) for id, text in sections))

    steps = [
        step(("highlights", "One."), ("known-issues", "Old."), ("size", "1 MB")),
        step(("highlights", "Two.")),
        step(("highlights", "Two."), ("known-issues", "New.")),
    ]
    assert [(s.id, s.markdown) for s in join(steps).sections] == [
        ("highlights", "Two.\n\nOne."),
        ("known-issues", "New."),
    ]


def test_keys_that_came_and_went_cancel_out() -> None:
    steps = [
        changelog(keys_added=("a", "b"), keys_removed=("c",)),
        changelog(keys_added=("c",), keys_removed=("b", "d")),
    ]
    assert (join(steps).keys_added, join(steps).keys_removed) == (("a",), ("d",))


def test_security_is_known_only_where_every_step_knows_it() -> None:
    one, two = Fix("CVE-2026-1", ("a",), "Old words."), Fix("CVE-2026-1", ("b",), "New words.")
    known = [changelog(security=(one,)), changelog(security=(two,))]
    assert join(known).security == (Fix("CVE-2026-1", ("a", "b"), "New words."),)
    assert join([*known, changelog(security=None)]).security is None


def test_a_variant_that_was_new_on_the_way_has_nothing_to_be_compared_with() -> None:
    a, b = notes_of(one("one", "1-1"), one("one", "2-1"), {}), notes_of(one("one", "2-1"), one("one", "3-1"), {})
    (summary,) = a.variants
    other = replace(summary, name="other")
    joined = join([replace(a, variants=(summary, replace(other, previous_digest=None))), b])
    assert [group.title for group in joined.groups] == ["All images"]
    assert joined.previous == "old"
