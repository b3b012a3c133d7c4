"""Header blobs: what is read of a package, and what hostile ones are answered with."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.model.contents import Capability, ChangelogEntry, Identity, Obsolete, Package, PackagedFile
from relman.plugin import Malformed
from relman_plugins.inspect.databases import rpm
from relman_plugins.inspect.databases.header import Header, Tag
from tests.rpm_headers import header, package

EVERYTHING = frozenset(Capability)
SHA = "ab" * 32


def contents(*blobs: bytes, wants: frozenset[Capability] = EVERYTHING) -> Any:
    return rpm.contents(blobs, wants, "rpmdb")


def packages(*blobs: bytes) -> list[Package]:
    return list(contents(*blobs).packages)


# ------------------------------------------------------------------------------------------------- one header


def test_a_tag_is_read_by_its_type() -> None:
    found = Header(header({Tag.NAME: "a", Tag.DIRNAMES: ["/x/", "", "/y/"], Tag.SIZE: 7, Tag.DIRINDEXES: [2, 0]}))

    assert found.text(Tag.NAME) == b"a"
    assert found.texts(Tag.DIRNAMES) == [b"/x/", b"", b"/y/"]
    assert (found.number(Tag.SIZE), found.numbers(Tag.DIRINDEXES)) == (7, (2, 0))


def test_a_tag_that_is_not_there_is_none_and_not_empty_text() -> None:
    found = Header(header({Tag.NAME: ""}))

    assert (found.text(Tag.NAME), found.text(Tag.VENDOR), found.number(Tag.EPOCH)) == (b"", None, None)
    assert (found.texts(Tag.DIRNAMES), found.numbers(Tag.DIRINDEXES)) == ([], ())


def test_what_rpm_added_when_it_installed_takes_the_place_of_what_was_there() -> None:
    data = b"old\0new\0"
    index = struct.pack(">8I", Tag.VENDOR, 6, 0, 1, Tag.VENDOR, 6, 4, 1)

    assert Header(struct.pack(">2I", 2, len(data)) + index + data).text(Tag.VENDOR) == b"new"


@pytest.mark.parametrize("kind", [6, 8, 9])
def test_of_translated_texts_the_first_counts(kind: int) -> None:
    data = b"first\0second\0"
    blob = struct.pack(">6I", 1, len(data), Tag.VENDOR, kind, 0, 2) + data

    assert Header(blob).text(Tag.VENDOR) == b"first"


NAME = package("a")


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"", "its header is cut: it has 0 bytes"),
        (b"\0\0\0\1", "its header is cut: it has 4 bytes"),
        (NAME[:-1], "its header claims 5 entries"),
        (NAME + b"\0", "its header claims 5 entries"),
        (struct.pack(">2I", 0, 0), "claims 0 entries in 8 bytes"),
        (struct.pack(">2I", 0xFFFFFFFF, 0xFFFFFFFF), "claims 4294967295 entries"),
        (struct.pack(">2I", 70_000, 0) + b"\0" * 1_120_000, "claims 70000 entries"),
    ],
)
def test_a_header_that_is_cut_or_claims_too_much_is_refused(blob: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        Header(blob)


@pytest.mark.parametrize(
    ("entry", "data", "said"),
    [
        ((Tag.NAME, 7, 0, 1), b"a\0", r"its name \(tag 1000\) is of type 7"),
        ((Tag.NAME, 6, 2, 1), b"a\0", r"its name \(tag 1000\) lies outside of the header, at 2"),
        ((Tag.NAME, 6, 0xFFFFFFF0, 1), b"a\0", r"its name \(tag 1000\) lies outside of the header"),
        ((Tag.NAME, 6, 0, 1), b"aa", r"its name \(tag 1000\) has no end"),
        ((Tag.NAME, 6, 0, 0), b"a\0", r"its name \(tag 1000\) claims 0 values"),
        ((Tag.NAME, 6, 0, 0xFFFFFFFF), b"a\0", r"its name \(tag 1000\) claims 4294967295 values"),
    ],
)
def test_an_entry_that_points_elsewhere_is_refused_by_name(entry: tuple[int, ...], data: bytes, said: str) -> None:
    blob = struct.pack(">6I", 1, len(data), *entry) + data

    with pytest.raises(Malformed, match=said):
        Header(blob).text(Tag.NAME)


def test_fewer_texts_or_numbers_than_claimed_are_refused() -> None:
    texts = struct.pack(">6I", 1, 4, Tag.DIRNAMES, 8, 0, 3) + b"a\0b\0"
    numbers = struct.pack(">6I", 1, 4, Tag.DIRINDEXES, 4, 0, 2) + b"\0\0\0\1"

    with pytest.raises(Malformed, match="claims 3 strings, and has 2"):
        Header(texts).texts(Tag.DIRNAMES)
    with pytest.raises(Malformed, match="claims 2 numbers, more than its header holds"):
        Header(numbers).numbers(Tag.DIRINDEXES)


# ------------------------------------------------------------------------------------------------ one package


def test_a_package_is_all_that_its_header_says_of_it() -> None:
    blob = package("bash", "5.3", "2.fc44", epoch=1, sourcerpm="bash-5.3-2.fc44.src.rpm", vendor="Fedora Project")

    assert packages(blob) == [Package("rpm", "bash", "x86_64", "1:5.3-2.fc44", "bash", "Fedora Project")]


def test_an_explicit_epoch_of_zero_is_none() -> None:
    assert packages(package("a", epoch=0)) == packages(package("a"))


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("gcc-c++-libs-15.1.1-2.fc44.src.rpm", "gcc-c++-libs"),
        ("firmware-1-1.nosrc.rpm", "firmware"),
        ("(none)", None),
        ("x.src.rpm", None),
        ("", None),
    ],
)
def test_the_source_package_is_the_name_in_the_source_rpm(said: str, source: str | None) -> None:
    (found,) = packages(package("a", sourcerpm=said))

    assert found.source == source


def test_keys_are_no_packages() -> None:
    key = package("gpg-pubkey", "6d9f90a6", "6786af3b", arch=None)
    found = contents(package("a"), key, package("gpg-pubkey", "0b5c3d64", "1", arch=None))

    assert [p.name for p in found.packages] == ["a"]
    assert found.keys == ("0b5c3d64-1", "6d9f90a6-6786af3b")


def test_several_versions_of_a_name_are_all_there_and_their_sizes_add_up() -> None:
    found = contents(package("kernel", "6.9", size=10), package("kernel", "6.10", longsize=2**40))

    assert [p.version for p in found.packages] == ["6.9-1.fc44", "6.10-1.fc44"]
    assert found.details.sizes == {Identity("rpm", "kernel", "x86_64"): 10 + 2**40}


def test_obsoletes_keep_their_range() -> None:
    blob = package(
        "new",
        obsoletename=["a", "b", "c", "d", "e", "f"],
        obsoleteflags=[0, 2, 10, 8, 12, 4],
        obsoleteversion=["", "2:1.0", "1", "1-1", "3", "9"],
    )

    assert contents(blob).details.obsoletes == {
        Identity("rpm", "new", "x86_64"): (
            Obsolete("a"),
            Obsolete("b", "<", "2:1.0"),
            Obsolete("c", "<=", "1"),
            Obsolete("d", "=", "1-1"),
            Obsolete("e", ">=", "3"),
            Obsolete("f", ">", "9"),
        )
    }


def test_the_module_of_a_package_is_kept() -> None:
    label = "nodejs:18:3820230710143122:9edba152"

    assert contents(package("npm", modularitylabel=label)).extras == {"modules": {"npm.x86_64": label}}


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (package(""), "package 2: it has no name"),
        (package("a", ""), r"package 2 \(`a`\): it has no version"),
        (header({Tag.NAME: "a", Tag.VERSION: "1"}), r"package 2 \(`a`\): it has no release"),
        (package("a\nb"), r"package 2: `a\\nb` is no name"),
        (package("a" * 2000), "package 2: `a+` is no name .2000 characters"),
        (package("a", obsoletename=["x"], obsoleteflags=[8]), "it has 1 obsoletes with 1 flags and 0 versions"),
        (package("a", changelogtime=[1], changelogname=["x"]), "its changelog has 1 times, 1 authors and 0 texts"),
        (package("a", filedigests=[SHA], basenames=["x"]), "it has 1 files, 1 digests, 0 folders, 0 flags"),
        (
            package("a", filedigests=[SHA], basenames=["x"], dirindexes=[1], dirnames=["/"], fileflags=[0]),
            "a file lies in folder 1 of 1",
        ),
        (
            package("a", filedigests=["xy"], basenames=["x"], dirindexes=[0], dirnames=["/"], fileflags=[0]),
            "the digest of its file `x` is none",
        ),
        (
            package("a", filedigests=[SHA], basenames=["x/y"], dirindexes=[0], dirnames=["/"], fileflags=[0]),
            "`/x/y` is no path of a file",
        ),
        (b"\0", "package 2: its header is cut"),
    ],
)
def test_a_package_that_is_none_is_refused_with_its_number_and_name(blob: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        contents(package("fine"), blob)


@pytest.mark.parametrize(
    "other",
    [
        {"version": "2"},
        {"release": "2"},
        {"epoch": 1},
        {"arch": "noarch"},
        {"sourcerpm": "b-1-1.src.rpm"},
        {"vendor": "Nobody"},
    ],
    ids=str,
)
def test_a_package_that_was_read_before_is_that_one_and_no_other(other: dict[str, Any]) -> None:
    one, again, two = (packages(package("known", **more))[0] for more in ({}, {}, other))

    assert one is again
    assert one != two


def test_the_first_fault_is_told_whichever_is_found_first() -> None:
    broken = header({Tag.NAME: "a", Tag.VERSION: "1\n", Tag.RELEASE: "1", Tag.VENDOR: [1]})

    with pytest.raises(Malformed, match="is no version"):
        contents(broken)


def test_an_arch_is_not_needed() -> None:
    assert packages(package("a", arch=None)) == [Package("rpm", "a", None, "1.0-1.fc44")]


def test_a_vendor_with_line_breaks_is_one_line() -> None:
    (found,) = packages(package("a", vendor="Ac\nme\x1b[31m"))

    assert found.vendor == "Ac me [31m"


# ------------------------------------------------------------------------------------- changelogs and files


def changelog(*entries: tuple[int, str, str]) -> dict[str, Any]:
    times, authors, texts = zip(*entries, strict=True)
    return {"changelogtime": list(times), "changelogname": list(authors), "changelogtext": list(texts)}


def test_a_changelog_is_read_once_per_source_package_and_is_newest_first() -> None:
    source = {"sourcerpm": "mesa-1-1.src.rpm"}
    found = contents(
        package("mesa-libs", **source, **changelog((10, "A", "old"), (20, "B", "new\nlines"))),
        package("mesa-dri", **source, **changelog((99, "C", "another"))),
        package("none"),
    )

    assert found.details.changelogs == {"mesa": (ChangelogEntry(20, "B", "new\nlines"), ChangelogEntry(10, "A", "old"))}


def test_of_several_builds_of_a_source_the_newest_has_the_changelog() -> None:
    blobs = [
        package("kernel", version, sourcerpm=f"kernel-{version}-1.src.rpm", **changelog((when, "A", version)))
        for version, when in (("6.9", 1), ("6.10", 2), ("6.8", 0))
    ]

    for several in (blobs, blobs[::-1]):
        assert contents(*several).details.changelogs == {"kernel": (ChangelogEntry(2, "A", "6.10"),)}


def test_a_package_without_a_source_has_its_changelog_under_its_own_name() -> None:
    assert contents(package("own", **changelog((1, "A", "x")))).details.changelogs == {
        "own": (ChangelogEntry(1, "A", "x"),)
    }


def files(names: list[str], flags: list[int], states: list[int], digests: list[str]) -> bytes:
    return package(
        "a",
        basenames=names,
        dirindexes=[0] * len(names),
        dirnames=["/etc/"],
        fileflags=flags,
        filestates=states,
        filedigests=digests,
        filedigestalgo=8,
    )


def test_files_have_their_digest_and_whether_they_are_configuration() -> None:
    found = contents(
        files(["a.conf", "b", "folder", "left-out", "ü"], [17, 0, 0, 0, 2], [0, 0, 0, 2, 0], [SHA, "00", "", SHA, "0f"])
    )

    assert dict(found.details.files) == {
        "/etc/a.conf": PackagedFile(f"sha256:{SHA}", True),
        "/etc/b": PackagedFile("sha256:00", False),
        "/etc/ü": PackagedFile("sha256:0f", False),
    }
    assert len(found.details.files) == 3
    assert found.details.files.get("/etc/folder") is None


def test_digests_without_a_name_are_md5() -> None:
    blob = package("a", basenames=["x"], dirindexes=[0], dirnames=["/"], fileflags=[0], filedigests=["00"])

    assert dict(contents(blob).details.files) == {"/x": PackagedFile("md5:00", False)}


def test_what_nobody_wants_is_not_read_and_not_claimed() -> None:
    blob = package("a", **changelog((1, "A", "x")), basenames=["x"], filedigests=["broken"])
    found = contents(blob, wants=frozenset())

    assert (found.details.changelogs, len(found.details.files)) == ({}, 0)
    assert found.capabilities == EVERYTHING - {Capability.CHANGELOG, Capability.FILES}


def test_what_a_database_does_not_have_is_not_claimed() -> None:
    """Some distributions strip changelogs: that is no news of "no fixes"."""
    assert contents(package("a")).capabilities == EVERYTHING - {Capability.CHANGELOG, Capability.FILES}


# -------------------------------------------------------------------------------------------------- hostile

WHOLE = package(
    "whole",
    epoch=3,
    sourcerpm="whole-1.0-1.src.rpm",
    vendor="V",
    size=3,
    obsoletename=["x", "y"],
    obsoleteflags=[0, 2],
    obsoleteversion=["", "1"],
    basenames=["a", "b"],
    dirindexes=[0, 1],
    dirnames=["/a/", "/b/"],
    fileflags=[0, 1],
    filestates=[0, 0],
    filedigests=["00", "11"],
    **changelog((2, "A", "two"), (1, "B", "one")),
)


def read_or_refuse(blob: bytes) -> None:
    """Read it wholly, every file looked at; a refusal is an answer too, any other exception is not."""
    try:
        found = contents(blob)
    except Malformed:
        return
    assert found.details is not None
    assert len(dict(found.details.files)) == len(found.details.files)
    list(found.packages)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_header_are_refused_and_nothing_else_happens(blob: bytes) -> None:
    read_or_refuse(blob)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_header_with_bytes_changed_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    blob = bytearray(WHOLE)
    for place, byte in changes:
        blob[place] = byte
    read_or_refuse(bytes(blob))


ENTRIES = st.tuples(
    st.sampled_from(sorted(Tag)),
    st.integers(0, 10),
    st.one_of(st.integers(0, 64), st.integers(0, 2**32 - 1)),
    st.one_of(st.integers(0, 8), st.integers(0, 2**32 - 1)),
)
NAMED = struct.pack(">12I", Tag.NAME, 6, 0, 1, Tag.VERSION, 6, 0, 1, Tag.RELEASE, 6, 0, 1)


@given(st.lists(ENTRIES, max_size=12), st.binary(max_size=64))
def test_an_index_that_claims_anything_is_read_or_refused(entries: list[tuple[int, ...]], data: bytes) -> None:
    index = NAMED + b"".join(struct.pack(">4I", *entry) for entry in entries)
    data = b"a\0" + data
    read_or_refuse(struct.pack(">2I", 3 + len(entries), len(data)) + index + data)
