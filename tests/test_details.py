"""What changelogs and files tell of two sides: new entries, security fixes, changed files, ranges of obsoletes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.model.changelog import Fix
from relman.model.contents import (
    EXACT,
    Capability,
    ChangelogEntry,
    Contents,
    Details,
    Obsolete,
    Package,
    PackagedFile,
    PackageSet,
)
from relman.model.details import ChangedFile, DiffDetails, SourceEntries
from relman.model.diff import Diff, Side
from relman.walk.compare import assemble, compare_contents
from relman.walk.details import FIXES_LIMIT, changed_files, cve_ids, details_of, new_entries, obsoletes

EVERYTHING = frozenset(Capability)
DAY = 86400
Logs = Mapping[str, tuple[ChangelogEntry, ...]]
NOTHING: Logs = MappingProxyType({})
SIDE = Side("a", None, None, None, None, 1, "rpmdb")


def entry(day: int, text: str = "- text", author: str = "A") -> ChangelogEntry:
    return ChangelogEntry(day * DAY, author, text)


# ------------------------------------------------------------------------------------------------ new entries

OLD, MID, NEW = entry(1), entry(2), entry(3)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((MID, OLD), (NEW, MID, OLD), (NEW,)),
        ((MID, OLD), (MID, OLD), ()),
        ((OLD,), (NEW, MID), (NEW, MID)),  # trimmed: what was the newest is gone
        ((NEW, MID), (MID, OLD), ()),  # a downgrade
        ((), (NEW, MID, OLD), ()),  # nothing tells what is new
        ((OLD,), (), ()),
        (
            (entry(2, "- x", "A - 1.0-9"),),
            (entry(2, "- y", "A - 1.0-10"), entry(2, "- x", "A - 1.0-9")),
            (entry(2, "- y", "A - 1.0-10"),),
        ),
        ((entry(2, "- z"),), (entry(2, "- a"), entry(2, "- z"), OLD), (entry(2, "- a"),)),
        ((entry(2, "1.10-1"),), (entry(3, "1.9-1"), entry(2, "1.10-1")), (entry(3, "1.9-1"),)),
    ],
)
def test_new_is_what_stands_before_the_newest_that_was_known(
    before: tuple[ChangelogEntry, ...], after: tuple[ChangelogEntry, ...], expected: tuple[ChangelogEntry, ...]
) -> None:
    assert new_entries(before, after) == expected


ENTRIES = st.lists(
    st.builds(ChangelogEntry, st.integers(0, 5), st.sampled_from("AB"), st.sampled_from("xyz")), unique=True
).map(lambda entries: tuple(sorted(entries, key=lambda e: -e.time)))


@given(ENTRIES, ENTRIES)
def test_what_is_new_was_not_there_and_is_not_older(
    before: tuple[ChangelogEntry, ...], after: tuple[ChangelogEntry, ...]
) -> None:
    found = new_entries(before, after)

    assert found == after[: len(found)]
    assert not set(found) & {e for e in before if e.time == before[0].time}
    assert all(e.time >= before[0].time for e in found)


@given(ENTRIES, ENTRIES)
def test_what_was_added_on_top_is_found_whole(
    added: tuple[ChangelogEntry, ...], before: tuple[ChangelogEntry, ...]
) -> None:
    newer = tuple(ChangelogEntry(e.time + 10, e.author, e.text) for e in added)

    assert new_entries(before, newer + before) == (newer if before else ())


# ------------------------------------------------------------------------------------------------------- CVEs


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("- Fix CVE-2025-1234 (rhbz#1), CVE-2024-123456", ("CVE-2025-1234", "CVE-2024-123456")),
        ("cve-2025-1234 and CVE-2025-1234", ("CVE-2025-1234",)),
        ("CVE-2025-123 XCVE-2025-1234 CVE-25-1234 CVE2025-1234", ()),
        ("(CVE-2025-1234)[CVE-2025-1235]/CVE-2025-1236_x", ("CVE-2025-1234", "CVE-2025-1235", "CVE-2025-1236")),
        ("CVE-2025-" + "1" * 100_000, ()),
        ("", ()),
    ],
)
def test_cve_ids_are_found_in_any_case_and_once(text: str, ids: tuple[str, ...]) -> None:
    assert cve_ids(text) == ids


def contents(
    *packages: str,
    logs: Logs = NOTHING,
    files: Mapping[str, PackagedFile] | None = None,
    lacks: Capability | None = None,
) -> Contents:
    """Packages as ``name version source``."""
    made = [Package("rpm", name, "x86_64", version, source) for name, version, source in map(str.split, packages)]
    return Contents(
        PackageSet(made),
        "rpmdb",
        EVERYTHING - {lacks},
        details=Details(changelogs=logs, files=files or {}),
    )


def diff(before: Contents, after: Contents) -> Diff:
    return assemble(compare_contents(before, after), SIDE, SIDE)


def fixes(before: Contents, after: Contents) -> tuple[Fix, ...] | None:
    return told(before, after).security


def told(before: Contents, after: Contents, *wants: Capability) -> DiffDetails:
    return details_of(diff(before, after), before, after, frozenset(wants or {Capability.CHANGELOG}))


def test_fixes_are_what_the_packages_own_new_entries_name() -> None:
    before = contents(
        "openssl 1-1 openssl", "openssl-libs 1-1 openssl", "zlib 1-1 zlib", "same 1-1 same",
        logs={"openssl": (entry(1, "- CVE-2020-0001"),), "zlib": (entry(1),), "same": (entry(1),)},
    )  # fmt: skip
    after = contents(
        "openssl 2-1 openssl", "openssl-libs 2-1 openssl", "zlib 2-1 zlib", "same 1-1 same",
        logs={
            "openssl": (
                entry(3, "- again CVE-2025-0300"),
                entry(2, " - CVE-2025-1000, CVE-2025-0300\n"),
                entry(1, "- CVE-2020-0001"),
            ),
            "zlib": (entry(2, "- Fixes CVE-2025-0999 and CVE-2025-1000"), entry(1)),
            "same": (entry(9, "- CVE-2025-9999"), entry(1)),
        },
    )  # fmt: skip

    assert fixes(before, after) == (
        Fix("CVE-2025-1000", ("openssl", "openssl-libs", "zlib"), "CVE-2025-1000, CVE-2025-0300"),
        Fix("CVE-2025-0300", ("openssl", "openssl-libs"), "again CVE-2025-0300"),
        Fix("CVE-2025-0999", ("zlib",), "Fixes CVE-2025-0999 and CVE-2025-1000"),
    )


def test_of_ids_of_as_many_packages_the_newest_comes_first() -> None:
    before = contents("a 1-1 a", logs={"a": (entry(1),)})
    after = contents("a 2-1 a", logs={"a": (entry(2, "CVE-2025-10000 CVE-2025-9999 CVE-2024-20000"), entry(1))})

    assert [fix.id for fix in fixes(before, after) or ()] == ["CVE-2025-10000", "CVE-2025-9999", "CVE-2024-20000"]


def test_the_text_of_a_fix_is_the_point_that_names_it_on_one_line() -> None:
    text = "- Update to 3.2\n\n - Fix a\n   overrun, cve-2025-1000\n* CVE-2025-1001: -x\n- Resolves: #1"
    before = contents("a 1-1 a", logs={"a": (entry(1),)})
    after = contents("a 2-1 a", logs={"a": (entry(2, text), entry(1))})

    assert fixes(before, after) == (
        Fix("CVE-2025-1001", ("a",), "CVE-2025-1001: -x"),
        Fix("CVE-2025-1000", ("a",), "Fix a overrun, cve-2025-1000"),
    )


def test_a_changelog_without_end_names_a_bounded_number_of_fixes_and_that_is_said() -> None:
    text = "\n".join(f"- CVE-2025-{number}" for number in range(10_000, 10_000 + FIXES_LIMIT + 5))
    before = contents("a 1-1 a", logs={"a": (entry(1),)})
    after = contents("a 2-1 a", logs={"a": (entry(2, text), entry(1))})

    found = told(before, after)

    assert len(found.security or ()) == FIXES_LIMIT
    assert found.changelog_notes == ("The changelogs name 2,000 security fixes or more: no more are listed.",)


def test_a_long_entry_is_cut_to_five_hundred_characters() -> None:
    before = contents("a 1-1 a", logs={"a": (entry(1),)})
    after = contents("a 2-1 a", logs={"a": (entry(2, "CVE-2025-1000 " + "x" * 1000), entry(1))})

    (fix,) = fixes(before, after) or ()
    assert fix.text == "CVE-2025-1000 " + "x" * 485 + "…"


@pytest.mark.parametrize(
    ("old", "new"),
    [("2-1", "1-1"), ("2-1.fc44", "2-1.fc43"), (None, "1-1"), ("1-1", None)],
)
def test_what_went_back_came_or_left_fixes_nothing(old: str | None, new: str | None) -> None:
    logs: tuple[Logs, Logs] = {"a": (entry(1),)}, {"a": (entry(2, "CVE-2025-1000"), entry(1))}
    before, after = (
        contents(*([f"a {version} a"] if version else []), logs=log)
        for version, log in zip((old, new), logs, strict=True)
    )

    assert fixes(before, after) == ()


def test_without_an_old_changelog_nothing_is_claimed_of_a_package() -> None:
    after = contents("a 2-1 a", logs={"a": (entry(2, "CVE-2025-1000"),)})

    assert fixes(contents("a 1-1 a"), after) == ()


def test_where_a_side_has_no_changelogs_nobody_can_tell() -> None:
    one, lacking = contents("a 1-1 a"), contents("a 2-1 a", lacks=Capability.CHANGELOG)
    bare = Contents(PackageSet([]), "sbom", EXACT)

    assert fixes(one, lacking) is fixes(lacking, one) is fixes(one, bare) is fixes(bare, one) is None
    assert fixes(one, one) == ()


# --------------------------------------------------------------------------------------------- all of it


def test_new_entries_are_told_by_source_package_with_the_packages_that_came_with_them() -> None:
    before = contents(
        "openssl 1-1 openssl", "openssl-libs 1-1 openssl", "zlib 1-1 zlib", "new 1-1 new",
        logs={"openssl": (entry(1),), "zlib": (entry(1),)},
    )  # fmt: skip
    after = contents(
        "openssl 2-1 openssl", "openssl-libs 2-1 openssl", "zlib 2-1 zlib", "new 2-1 new",
        logs={
            "openssl": (entry(3, "- 2"), entry(1)),
            "zlib": (entry(1),),
            "new": (entry(5, "- CVE-2025-9999"),),
        },
    )  # fmt: skip

    assert told(before, after) == DiffDetails(
        changelogs=(SourceEntries("openssl", ("openssl", "openssl-libs"), (entry(3, "- 2"),)),),
        security=(),
        changelog_notes=("There was no changelog before of `new`: nothing tells what is new in theirs.",),
    )


def test_what_is_not_wanted_is_not_told_and_what_cannot_be_told_is_said() -> None:
    one, sbom = contents(files={"/a": file("1")}), Contents(PackageSet([]), "sbom", EXACT)
    other = contents(files={"/a": file("2", True)})

    assert details_of(diff(one, other), one, other, frozenset()) == DiffDetails()
    assert told(one, other, Capability.FILES) == DiffDetails(files=(ChangedFile("/a", True),))
    assert told(sbom, other, Capability.FILES, Capability.CHANGELOG) == DiffDetails(
        changelog_notes=(
            "The source `sbom` of the side `before` has no changelogs: which entries and security fixes are new cannot "
            "be told.",
        ),
        file_notes=("The source `sbom` of the side `before` knows no files: which of them changed cannot be told.",),
    )
    assert told(sbom, sbom).changelog_notes == (
        "The source `sbom` of both sides has no changelogs: which entries and security fixes are new cannot be told.",
    )


def test_many_packages_without_an_old_changelog_are_counted() -> None:
    names = [f"p{number}" for number in range(7)]
    after = contents(*(f"{name} 2-1 {name}" for name in names), logs={name: (entry(2),) for name in names})

    assert told(contents(*(f"{name} 1-1 {name}" for name in names)), after).changelog_notes == (
        "There was no changelog before of `p0`, `p1`, `p2`, `p3`, `p4` and 2 more: "
        "nothing tells what is new in theirs.",
    )


# ------------------------------------------------------------------------------------------------------ files


def file(digest: str, config: bool = False) -> PackagedFile:
    return PackagedFile(f"sha256:{digest}", config)


def test_changed_files_are_those_of_both_sides_with_other_content() -> None:
    before = contents(
        files={
            "/z": file("1"), "/etc/a": file("1", True), "/etc/b": file("1", True), "/same": file("1"),
            "/gone": file("1"), "/other": PackagedFile("md5:1", False),
        }
    )  # fmt: skip
    after = contents(
        files={
            "/z": file("2"), "/etc/a": file("2", True), "/etc/b": file("2"), "/same": file("1", True),
            "/new": file("1"), "/other": file("2"),
        }
    )  # fmt: skip

    assert changed_files(before, after) == (
        ChangedFile("/etc/a", True),
        ChangedFile("/etc/b", True),
        ChangedFile("/z", False),
    )


def test_where_a_side_does_not_know_files_nobody_can_tell() -> None:
    one, lacking = contents(), contents(lacks=Capability.FILES)
    bare = Contents(PackageSet([]), "sbom", EXACT)

    assert changed_files(one, one) == ()
    assert changed_files(one, lacking) is changed_files(lacking, one) is None
    assert changed_files(one, bare) is changed_files(bare, one) is None


# -------------------------------------------------------------------------------------------------- obsoletes


@pytest.mark.parametrize(
    ("version", "relation", "limit", "matches"),
    [
        ("1-1", "", "", True),
        ("1-1", "<", "1-1", False),
        ("1-1", "<=", "1-1", True),
        ("1-1", "=", "1-1", True),
        ("1-1", ">=", "1-2", False),
        ("1-2", ">", "1-1", True),
        ("1-99.fc44", "<", "1", False),  # no release: any release of 1
        ("1-99.fc44", "<=", "1", True),
        ("1-99.fc44", "=", "1", True),
        ("1-99.fc44", ">", "1", False),
        ("9-1", "<", "1:1", True),  # the epoch first
        ("1:1-1", "<", "9", False),
        ("1:1-1", "=", "1:1", True),
        ("1.0~rc1-1", "<", "1.0", True),
        ("1.9-1", "<", "1.10-1", True),
        ("1-1", "!=", "2", False),
    ],
)
def test_an_obsolete_is_for_the_versions_in_its_range(version: str, relation: str, limit: str, matches: bool) -> None:
    assert obsoletes(Obsolete("a", relation, limit), Package("rpm", "a", "noarch", version)) is matches


@pytest.mark.parametrize(
    ("ecosystem", "version", "relation", "limit", "matches"),
    [("deb", "1.0-1", "<", "1.0", False), ("deb", "1.0~1-1", "<", "1.0", True), ("alpm", "1:1-1", "<", "2", False)],
)
def test_each_ecosystem_has_its_own_order(
    ecosystem: str, version: str, relation: str, limit: str, matches: bool
) -> None:
    assert obsoletes(Obsolete("a", relation, limit), Package(ecosystem, "a", None, version)) is matches


def test_an_obsolete_is_for_its_name_alone_and_a_range_needs_an_order() -> None:
    assert not obsoletes(Obsolete("a"), Package("rpm", "b", None, "1"))
    assert not obsoletes(Obsolete("a", "<", "2"), Package("npm", "a", None, "1"))
