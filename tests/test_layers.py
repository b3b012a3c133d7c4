"""Tars as container engines read them, the paths that matter in them, and what one layer hides of another."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman.errors import Malformed, RelmanError
from relman.model.contents import Unavailable
from relman.model.oci import parse_repository
from relman.testing import MemoryRegistry
from relman_plugins.inspect.layers import Limits
from relman_plugins.inspect.layers.paths import Hidden, linked
from relman_plugins.inspect.layers.tar import Archive, Entry, Kind, cleaned
from relman_plugins.inspect.rpmdb import DatabaseSource
from tests.layer_factories import (
    RPMDB,
    Content,
    Folder,
    Link,
    Symlink,
    as_ostree,
    gzipped,
    put_layers,
    raw,
    read,
    status,
    tarred,
)

FORMATS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]


def pieces(content: bytes, size: int = 65536) -> Iterator[bytes]:
    return iter([content[start : start + size] for start in range(0, len(content), size)])


def walked(content: bytes, size: int = 65536, **how: int) -> list[tuple[Entry, bytes]]:
    """Every entry with its content."""
    archive = Archive(pieces(content, size), **how)
    return [(entry, b"".join(archive.content())) for entry in archive]


def headed(name: str = "a", size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A header, with a checksum that is right; ``fields`` are put at ``at_N``."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    header = bytearray(entry.tobuf(tarfile.USTAR_FORMAT))
    for key, value in fields.items():
        start = int(key.removeprefix("at_"))
        header[start : start + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return headed("pax", len(records), kind) + records + bytes(-len(records) % 512)


def record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


END = bytes(1024)

# -------------------------------------------------------------------------------------------- as tarfile reads

segments = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60)
names = st.lists(segments, min_size=1, max_size=6).map("/".join)
contents = st.binary(max_size=1500) | st.builds(Link, names) | st.builds(Symlink, names) | st.builds(Folder)


@settings(deadline=None)
@given(
    st.lists(st.tuples(names, contents), max_size=8),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.integers(1, 2000),
)
def test_every_entry_is_as_tarfile_has_it(entries: list[tuple[str, Content]], format: int, size: int) -> None:
    content = tarred(entries, format)

    found = walked(content, size)

    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        expected = []
        for member in archive:
            if (name := cleaned(member.name)) is None:
                continue
            body = archive.extractfile(member) if member.isreg() else None
            kinds = {tarfile.LNKTYPE: Kind.HARD_LINK, tarfile.SYMTYPE: Kind.SYMLINK, tarfile.DIRTYPE: Kind.FOLDER}
            kind = kinds.get(member.type, Kind.FILE)
            target = (cleaned(member.linkname) or "") if kind is Kind.HARD_LINK else member.linkname
            expected.append((Entry(kind, name, member.size, target), body.read() if body else b""))
    assert found == expected


@pytest.mark.parametrize("format", FORMATS)
def test_content_that_nobody_takes_is_passed_over(format: int) -> None:
    archive = Archive(pieces(tarred({"a": b"a" * 700, "b": b"", "c": b"c" * 512}, format), 100))

    taken = [(entry.name, next(archive.content(), b"")[:1]) for entry in archive]

    assert taken == [("a", b"a"), ("b", b""), ("c", b"c")]


def test_a_long_path_of_posix_is_put_together_and_that_of_gnu_is_not() -> None:
    ustar = tarred({f"{'d' * 90}/{'f' * 90}": b"x"}, tarfile.USTAR_FORMAT)
    # GNU keeps times where POSIX has the prefix.
    gnu = headed("f", at_257=b"ustar  \0", at_345=b"14777777777")

    assert [entry.name for entry, _ in walked(ustar)] == [f"{'d' * 90}/{'f' * 90}"]
    assert [entry.name for entry, _ in walked(gnu + END)] == ["f"]


def test_the_forms_of_go_and_of_old_writers_are_understood() -> None:
    signed = bytearray(headed("é"))
    total = sum(byte - 256 if byte > 127 else byte for byte in signed[:148] + b" " * 8 + signed[156:])
    signed[148:156] = f"{total:06o}\0 ".encode()
    large = headed("large", at_124=b"\x80" + (3).to_bytes(11, "big")) + b"abc" + bytes(509)
    link = headed("link", 999, b"1", at_157=b"./a//b")

    found = walked(bytes(signed) + large + link + headed("folder/", kind=b"0") + headed("old", kind=b"\0") + END)

    assert found == [
        (Entry(Kind.FILE, "é"), b""),
        (Entry(Kind.FILE, "large", 3), b"abc"),
        (Entry(Kind.HARD_LINK, "link", 0, "a/b"), b""),
        (Entry(Kind.FOLDER, "folder"), b""),
        (Entry(Kind.FILE, "old"), b""),
    ]


def test_a_pax_header_counts_for_the_next_entry_alone_and_a_global_one_for_none() -> None:
    content = (
        pax(record("path", "global"), b"g")
        + pax(record("path", "long") + record("size", "2") + record("SCHILY.xattr.x", "\0\0"))
        + headed("short", 0)
        + b"ab"
        + bytes(510)
        + pax(record("linkpath", "to"))
        + headed("link", kind=b"2", at_157=b"nowhere")
        + headed("b")
        + END
    )

    assert walked(content) == [
        (Entry(Kind.FILE, "long", 2), b"ab"),
        (Entry(Kind.SYMLINK, "link", 0, "to"), b""),
        (Entry(Kind.FILE, "b"), b""),
    ]


def test_sparse_files_are_gone_over_and_marked() -> None:
    old = headed("old", 3, b"S", at_257=b"ustar  \0", at_482=b"\1")
    more, last = bytearray(512), bytes(512)
    more[504] = 1
    new = pax(record("GNU.sparse.major", "1") + record("GNU.sparse.name", "new")) + headed("GNUSparseFile.0/new", 2)

    found = walked(old + bytes(more) + last + b"abc" + bytes(509) + new + b"de" + bytes(510) + headed("b") + END)

    assert found == [
        (Entry(Kind.FILE, "old", 3, sparse=True), b"abc"),
        (Entry(Kind.FILE, "new", 2, sparse=True), b"de"),
        (Entry(Kind.FILE, "b"), b""),
    ]


def test_an_archive_may_end_without_the_blocks_that_say_so() -> None:
    assert walked(headed("a")) == [(Entry(Kind.FILE, "a"), b"")]
    assert walked(b"") == []
    assert walked(END + headed("behind the end")) == []


def test_entries_outside_of_the_root_are_left_out() -> None:
    assert [entry.name for entry, _ in walked(tarred({"../a": b"a", "a/../../b": b"b", "..": b"c", "c": b"d"}))] == [
        "c"
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (headed("a", 600) + bytes(512), "archive is cut"),
        (headed("a", 600) + bytes(700), "archive is cut"),
        (headed("a")[:300], "archive is cut"),
        (headed("a", at_124=b"7" * 11 + b"\0") + bytes(512), "archive is cut"),
        (headed("a", at_124=b"\xff" * 12), "a negative size"),
        (headed("a", at_124=b"\x80" + b"\x3f" * 11) + bytes(512), "archive is cut"),
        (headed("a", at_124=b"1x\0"), "no number where one belongs"),
        (headed("a", at_124=b"8\0"), "no number where one belongs"),
        (headed("a").replace(b"ustar", b"vstar"), "checksum is wrong"),
        (b"\1" * 512, "no tar archive"),
        (pax(b"x" * 100), "a pax header that is none"),
        (pax(b"5 a=b\n"), "a pax header that is none"),
        (pax(b"99999999999999999999 a=b\n"), "a pax header that is none"),
        (pax(b"0 a=b\n"), "a pax header that is none"),
        (pax(record("path", "a\0b")), "with a NUL"),
        (pax(record("size", "-1")) + headed("a"), "of the size `-1`"),
        (pax(record("size", "9" * 30)) + headed("a"), "of the size `999"),
        (headed("pax", 10**9, b"x"), "an extended header of 1000000000 bytes"),
        (headed("long", 2**20 + 1, b"L"), "an extended header of 1048577 bytes"),
        (headed("a", kind=b"S", at_482=b"\1") + b"\1" * 2048, "archive is cut"),
    ],
)
def test_what_is_no_archive_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        walked(content)


def test_entries_are_bounded_with_the_headers_that_belong_to_them() -> None:
    def bomb() -> Iterator[bytes]:
        header = pax(record("path", "x" * 300))
        while True:
            yield header

    assert len(walked(tarred({str(n): b"" for n in range(5)}), entries=5)) == 5
    with pytest.raises(Malformed, match="more than 5 entries"):
        walked(tarred({str(n): b"" for n in range(6)}), entries=5)
    with pytest.raises(Malformed, match="more than 1000 entries"):
        list(Archive(bomb(), entries=1000))


# ------------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("usr/lib", "usr/lib"),
        ("./usr/lib/", "usr/lib"),
        ("/usr//lib", "usr/lib"),
        (".//usr/./lib", "usr/lib"),
        ("usr/../lib", "lib"),
        ("usr/..", ""),
        (".", ""),
        ("./", ""),
        ("/", ""),
        ("..", None),
        ("../usr", None),
        ("usr/../../lib", None),
        (".wh.a", ".wh.a"),
        ("usr/.wh.a", "usr/.wh.a"),
        ("..a/b", "..a/b"),
    ],
)
def test_paths_are_cleaned_as_go_does(path: str, clean: str | None) -> None:
    assert cleaned(path) == clean


@given(st.text("./ab", max_size=12))
def test_a_clean_path_stays_as_it_is_and_leads_nowhere_else(path: str) -> None:
    clean = cleaned(path)

    assert clean is None or (cleaned(clean) == clean and not {"", ".", ".."} & set(clean.split("/")) - {""})
    assert clean is None or clean == "" or "" not in clean.split("/")


@pytest.mark.parametrize(
    ("link", "target", "there"),
    [
        ("usr/lib/sysimage/rpm", "../../share/rpm", "usr/share/rpm"),
        ("var/lib/rpm", "/usr/share/rpm", "usr/share/rpm"),
        ("var/lib/rpm", "../../../../../etc", "etc"),
        ("a", ".", None),
        ("a", "b/./c/", "b/c"),
    ],
)
def test_symbolic_links_lead_where_they_would_with_the_image_as_the_root(
    link: str, target: str, there: str | None
) -> None:
    assert linked(link, target) == there


def test_what_is_hidden_is_hidden_with_all_that_is_below_it() -> None:
    hidden = Hidden()
    assert not hidden.hides("a")

    hidden.add({"usr/share/rpm"}, {"var/lib"})

    assert [hidden.hides(p) for p in ("usr/share/rpm", "usr/share/rpm/x", "usr/share/rpmx", "usr/share")] == [
        True,
        True,
        False,
        False,
    ]
    # An opaque folder is itself still there.
    assert [hidden.hides(p) for p in ("var/lib/rpm/x", "var/lib", "var")] == [True, False, False]
    hidden.add((), {""})
    assert hidden.hides("anything")


def test_what_ostree_writes_is_not_in_the_order_of_paths() -> None:
    # The reason why its layers are read to their end; the composed ones of these tests are like that.
    paths = [name for name, _ in as_ostree({RPMDB: b"1", f"{RPMDB}-wal": b"2", "usr/x": b"3"})]

    assert any(before > after for before, after in pairwise(paths))


# ------------------------------------------------------------------------------------------------------ fuzzed

HERE = parse_repository("registry.example/os")
LIMITED = DatabaseSource(Limits(unpacked=1_000_000, spooled=200_000, held=200_000, entries=1000, noted=20_000))
BASE = tarred({"a": b"a" * 600, "var/lib/dpkg/status": status("a"), "d" * 120: b"", "l": Link("a"), "s": Symlink("a")})


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.binary(min_size=1, max_size=12)), max_size=4),
    st.integers(1, 700),
)
def test_an_archive_with_bytes_changed_is_read_or_refused(changes: list[tuple[int, bytes]], size: int) -> None:
    content = bytearray(BASE)
    for place, value in changes:
        content[place : place + len(value)] = value
    try:
        found = walked(bytes(content), size)
    except RelmanError:
        return

    assert all(isinstance(entry, Entry) and len(body) == entry.size for entry, body in found)


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_whatever_a_layer_is_there_is_an_answer_or_a_reason(content: bytes) -> None:
    registry = MemoryRegistry()
    for blob in (content, headed("pax", len(content), b"x") + content, b"\x1f\x8b\x08\0" + content):
        found = read(registry, put_layers(registry, HERE, [raw(blob)]), source=LIMITED)
        assert isinstance(found, Unavailable)


wild_names = st.sampled_from(
    [
        RPMDB,
        f"{RPMDB}-wal",
        "usr/share/rpm/Packages.db",
        "usr/lib/sysimage/rpm/rpmdb.sqlite",
        "var/lib/dpkg/status",
        "var/lib/dpkg/status.d/a",
        "var/lib/pacman/local/a-1/desc",
        "usr/share/.wh.rpm",
        "usr/share/rpm/.wh..wh..opq",
        "usr/share/rpm",
        "usr",
        "sysroot/ostree/repo/objects/aa/b.file",
        "x",
    ]
)
wild = st.one_of(
    st.sampled_from([b"", b"SQLite format 3\0" + bytes(100), b"RpmP" + bytes(100), status("a"), b"%NAME%\na\n", b"\n"]),
    st.builds(Link, wild_names),
    st.builds(Symlink, wild_names | st.sampled_from(["..", "/", "../../..", "."])),
    st.builds(Folder),
)


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(wild_names, wild), max_size=6), min_size=1, max_size=4))
def test_whatever_the_layers_link_to_and_hide_there_is_an_answer_or_a_reason(
    layers: list[list[tuple[str, Content]]],
) -> None:
    registry = MemoryRegistry()
    reference = put_layers(registry, HERE, [gzipped(entries) for entries in layers])

    found = read(registry, reference, source=LIMITED)

    assert isinstance(found, Unavailable) or [package.name for package in found.packages] in (["a"],)
