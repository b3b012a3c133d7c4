"""`relman diff` for people: what was asked for beside the packages, and nothing in it that a terminal would obey."""

from __future__ import annotations

import click
import pytest
from msgspec.structs import replace

from relman.cli.difference import difference, passed_over
from relman.cli.sboms import parse_sboms
from relman.documents.diff import Detail
from relman.errors import UsageError
from relman.model.changelog import Fix
from relman.model.contents import ChangelogEntry
from relman.model.details import ChangedFile, DiffDetails, SourceEntries
from relman.model.diff import Diff, Side
from relman.model.oci import LINUX_AMD64, Platform
from relman.walk.given import GivenSbom

SIDE = Side("ghcr.io/acme/os:1", None, LINUX_AMD64, None, None, 100, "rpmdb")
DIFF = Diff("os", LINUX_AMD64, SIDE, SIDE, (), (), (), True, ())
ALL: list[Detail] = ["changelogs", "security", "files"]
HEAD = """\
os (linux/amd64)
  before  ghcr.io/acme/os:1  100 packages (rpmdb)
  after   ghcr.io/acme/os:1  100 packages (rpmdb)
"""
KERNEL = tuple(f"kernel-{number}" for number in range(6))


def text(details: DiffDetails | None, asked: list[Detail]) -> str:
    return click.unstyle(difference(DIFF, details, asked))


def test_all_of_it_for_people() -> None:
    details = DiffDetails(
        changelogs=(
            SourceEntries(
                "openssl",
                ("openssl", "openssl-libs"),
                (
                    ChangelogEntry(1767268800, "A <a@example.org> - 2-1", "- Update\n\t  again\n\n- \x1b[2Jx"),
                    ChangelogEntry(1767182400, "B", "- y"),
                ),
            ),
            SourceEntries("zlib", ("zlib",), (ChangelogEntry(1767268800, "C", "- z"),)),
        ),
        security=(
            *(Fix(f"CVE-2026-{number}", KERNEL, "x") for number in range(1000, 1014)),
            Fix("CVE-2025-1", ("openssl",), "Fix \x1b]0;it"),
        ),
        files=(ChangedFile("/etc/\x07a", True), ChangedFile("/usr/b", False)),
    )

    assert text(details, ALL) == HEAD + (
        "  no package changed\n"
        "\n"
        "  security fixes: 15, by the packages' own changelogs\n"
        "    CVE-2026-1000, CVE-2026-1001, CVE-2026-1002, CVE-2026-1003, CVE-2026-1004, CVE-2026-1005, CVE-2026-1006, "
        "CVE-2026-1007, CVE-2026-1008, CVE-2026-1009, CVE-2026-1010, CVE-2026-1011 and 2 more  "
        "kernel-0, kernel-1, kernel-2, kernel-3 and 2 more\n"
        "    CVE-2025-1  openssl\n"
        "      Fix �]0;it\n"
        "\n"
        "  changelogs: 3 new entries of 2 source packages\n"
        "    openssl  (openssl, openssl-libs)\n"
        "      2026-01-01  A <a@example.org> - 2-1\n"
        "        - Update\n"
        "                  again\n"
        "\n"
        "        - �[2Jx\n"
        "      2025-12-31  B\n"
        "        - y\n"
        "    zlib\n"
        "      2026-01-01  C\n"
        "        - z\n"
        "\n"
        "  files: 2 changed, 1 of them configuration\n"
        "    /etc/�a  configuration\n"
        "    /usr/b"
    )


def test_nothing_is_not_the_same_as_not_known() -> None:
    assert text(DiffDetails(changelogs=(), security=(), files=()), ALL) == HEAD + (
        "  no package changed\n\n"
        "  security fixes: the packages' changelogs name none\n\n"
        "  changelogs: no new entries\n\n"
        "  files: no packaged file changed"
    )
    assert text(DiffDetails(changelog_notes=("no changelogs.",), file_notes=("no files.",)), ALL) == HEAD.rstrip() + (
        "\n  note    no changelogs.\n"
        "  note    no files.\n"
        "  no package changed\n\n"
        "  security fixes: not known\n\n"
        "  changelogs: not known\n\n"
        "  files: not known"
    )


def test_what_was_not_asked_for_is_not_shown() -> None:
    details = DiffDetails(changelogs=(), security=(), files=(), changelog_notes=("a",), file_notes=("b",))

    assert text(details, []) == text(None, []) == HEAD + "  no package changed"


def test_each_source_that_did_not_serve_is_one_line_that_no_terminal_obeys() -> None:
    before = replace(SIDE, passed_over=("contents: none", "sbom: \x1b[2Jbroken\nx"))

    assert list(passed_over(replace(DIFF, before=before))) == [
        "os (linux/amd64) before: not from contents: none",
        "os (linux/amd64) before: not from sbom: �[2Jbroken�x",
    ]


def test_an_sbom_is_given_by_variant_and_where_there_are_several_by_platform() -> None:
    assert parse_sboms(["os=a=b.json", "os-dx:linux/arm64=c:d.json"]) == (
        GivenSbom("os", None, "a=b.json"),
        GivenSbom("os-dx", Platform.parse("linux/arm64"), "c:d.json"),
    )


@pytest.mark.parametrize("value", ["", "os", "=a", "os=", "os:=a", ":linux/amd64=a", "os:linux=a"])
def test_what_names_no_variant_or_no_file_is_wrong_usage(value: str) -> None:
    with pytest.raises(UsageError, match="`--sbom "):
        parse_sboms([value])
