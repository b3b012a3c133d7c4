"""The security section of a changelog: one list of all images, ranked and folded, and never "none" for "unknown"."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from relman.model.changelog import Fix, FixGroup, folded_fixes
from relman.model.contents import EXACT, Contents, PackageSet
from relman.model.details import DiffDetails
from relman.model.diff import Diff, Side
from relman.model.oci import LINUX_AMD64, Digest
from relman.walk.compared import Compared
from relman.walk.security import security_of
from tests.changelogs import changelog
from tests.notes_reading import notes

SIDE = Side("a", None, LINUX_AMD64, None, None, 0, "rpmdb")
DIFF = Diff(None, LINUX_AMD64, SIDE, SIDE, (), (), (), True, ())
CONTENTS = Contents(PackageSet([]), "rpmdb", EXACT)
OPENSSL = Fix("CVE-2026-20000", ("openssl",), "words")
KERNEL = Fix("CVE-2025-9999", ("kernel", "kernel-core"), "Fix it")


def compared(name: str, *fixes: Fix, details: DiffDetails | None = None) -> Compared:
    told = details or DiffDetails(security=fixes)
    digest = Digest.of(name.encode())
    return Compared(None, name, LINUX_AMD64, CONTENTS, digest, {}, before=CONTENTS, diff=DIFF, details=told)


UNKNOWN = compared("dx", details=DiffDetails(changelog_notes=("The source `sbom` of both sides …",)))
ALONE = replace(UNKNOWN, before=None, diff=None, details=None)


def test_the_fixes_of_all_images_are_one_list_with_every_package_those_of_most_first() -> None:
    other = replace(OPENSSL, packages=("openssl-fips", "openssl-libs"), text="other words")

    found, said = security_of([compared("os", OPENSSL, KERNEL), compared("dx", other)])

    assert found == (Fix("CVE-2026-20000", ("openssl", "openssl-fips", "openssl-libs"), "words"), KERNEL)
    assert said == ()


def test_where_no_source_can_tell_it_is_unknown_and_not_none() -> None:
    assert security_of([UNKNOWN, UNKNOWN]) == (None, ())
    assert security_of([ALONE]) == (None, ())
    assert security_of([replace(UNKNOWN, details=None)]) == (None, ())


def test_none_by_some_and_unknown_by_others_is_unknown() -> None:
    assert security_of([compared("os"), UNKNOWN]) == (None, ())
    assert security_of([compared("os"), ALONE]) == ((), ())
    assert security_of([compared("os")]) == ((), ())


def test_some_by_some_and_unknown_by_others_is_said() -> None:
    assert security_of([compared("os", KERNEL), UNKNOWN]) == (
        (KERNEL,),
        ("dx: no source can tell security fixes; those listed are of the other images.",),
    )


def test_what_a_source_cannot_tell_of_some_packages_is_said_once() -> None:
    bare = DiffDetails(security=(KERNEL,), changelog_notes=("There was no changelog before of `a`: nothing tells …",))

    assert security_of([compared("os", details=bare), compared("dx", details=bare)])[1] == bare.changelog_notes


# ---------------------------------------------------------------------------------------------------- folded


def test_a_few_fixes_of_the_same_packages_stand_alone_and_more_together() -> None:
    many = [Fix(f"CVE-2026-{number}", ("kernel", "kernel-core"), f"- {number}") for number in range(1000, 1004)]

    assert folded_fixes([*many, OPENSSL]) == (
        FixGroup(("kernel", "kernel-core"), tuple(fix.id for fix in many), ""),
        FixGroup(("openssl",), ("CVE-2026-20000",), "words"),
    )
    assert [group.ids for group in folded_fixes(many[:3])] == [(fix.id,) for fix in many[:3]]


@pytest.mark.parametrize("id", ["", "x", "CVE-x-y", "GHSA-a-b-c", "CVE-²-1", f"CVE-{'9' * 30}-1"])
def test_ids_without_a_number_sort_last(id: str) -> None:
    odd, known = Fix(id, ("a",), ""), Fix("CVE-1999-0001", ("a",), "")

    assert sorted([odd, known], key=lambda fix: fix.rank) == [known, odd]


def test_the_notes_fold_many_ids_count_the_rest_and_show_the_packages_words_as_text() -> None:
    many = tuple(
        Fix(f"CVE-2026-{number}", tuple(f"kernel-{n}" for n in range(9)), "") for number in range(1009, 999, -1)
    )
    hostile = Fix("CVE-2025-1", ("a|b",), "</details> ![x](http://e.example) @all *x*\n# y")

    text = notes(changelog(security=(*many, hostile)))

    section = text.partition("## Security fixes\n\n")[2].partition("\n## ")[0].partition("\n---")[0]
    assert section.strip() == (
        "- **CVE-2026-1009, CVE-2026-1008, CVE-2026-1007, CVE-2026-1006, CVE-2026-1005, CVE-2026-1004, CVE-2026-1003, "
        "CVE-2026-1002** and 2 more (kernel-0, kernel-1, kernel-2, kernel-3, kernel-4 and 4 more)\n"
        "- **CVE-2025-1** (a&#124;b): &lt;/details&gt; !\\[x\\](http://e.example) @\u200ball \\*x\\* \\# y"
    )


def test_notes_with_fixes_of_very_many_packages_count_what_they_leave_out() -> None:
    fixes = tuple(Fix(f"CVE-2026-{1000 + number}", (f"p{number}",), "x") for number in range(35))

    text = notes(changelog(security=fixes))

    assert "\n- **CVE-2026-1029** (p29): x\n- and 5 more, of other packages\n" in text
