"""Input that is meant to hurt: what is made of it is bounded in memory and disk, and the refusal says what is wrong.

Memory is the kernel's own count of this process's largest size. Where quadratic work is the danger, the input is so
large that the test would not end.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from relman.errors import Malformed
from relman.model.contents import Contents, Unavailable
from relman.model.oci import Digest, parse_reference, parse_repository
from relman.plugin import ImageUnderRead
from relman.testing import MemoryRegistry
from relman_plugins.inspect.databases import read_dpkg, read_rpm, rpm
from relman_plugins.inspect.layers import Limits
from relman_plugins.inspect.layers.tar import Archive
from relman_plugins.inspect.rpmdb import DatabaseSource
from relman_plugins.inspect.sbom import SbomSource
from relman_plugins.inspect.unpack import decompressed, unpack
from tests import trap_sources
from tests.layer_factories import (
    RPMDB,
    TAR,
    Entries,
    Layer,
    gzipped,
    names,
    noise,
    plain,
    put_layers,
    raw,
    read,
    tarred,
)
from tests.rpm_headers import ndb_database, package, sqlite_database
from tests.test_layers import END, headed, pax, record
from tests.traps import RPM

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HERE = parse_repository("registry.example/os")
MB = 1024 * 1024
ALLOWED = 96 * MB
"""How much larger the process may get, whatever the input."""

Peak = Callable[[Callable[[], object]], int]


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {key}")


@pytest.fixture
def peak() -> Peak:
    """By how many bytes this process grew at most while something was done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        _status("VmHWM")
    except OSError:
        pytest.skip("the kernel does not count this process's peak memory anew (`/proc/self/clear_refs`)")

    def peak(act: Callable[[], object]) -> int:
        before = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        act()
        return _status("VmHWM") - before

    return peak


def of(*layers: Layer, limits: Limits | None = None) -> Contents | Unavailable:
    """What the source says of an image of ``layers``."""
    registry = MemoryRegistry()
    source = DatabaseSource(limits) if limits else DatabaseSource()
    return read(registry, put_layers(registry, HERE, layers), source=source)


def refused(*layers: Layer, limits: Limits | None = None) -> str:
    found = of(*layers, limits=limits)
    assert isinstance(found, Unavailable), found
    return found.reason


# ---------------------------------------------------------------------------------------------------- bombs


def _frames(content: bytes, times: int) -> bytes:
    return zstd.compress(content) * times


BOMBS: dict[str, tuple[Callable[[], Layer], str]] = {
    "gzip": (lambda: gzipped({"a": bytes(300 * MB)}), "unpacks to more than 268435456 bytes"),
    "gzip members": (
        lambda: raw(gzip.compress(tarred({"a": bytes(8 * MB)})[: 512 + 8 * MB]) * 40),
        "unpacks to more than 268435456 bytes",
    ),
    "zstd": (lambda: raw(zstd.compress(tarred({"a": bytes(300 * MB)}), 19)), "unpacks to more than 268435456 bytes"),
    "zstd frames": (
        lambda: raw(zstd.compress(tarred({"a": bytes(300 * MB)})[:MB]) + _frames(bytes(64 * MB), 5)),
        "unpacks to more than 268435456 bytes",
    ),
    "a database that is one": (
        lambda: gzipped({RPMDB: b"SQLite format 3\0" + bytes(200 * MB)}),
        "is more than the 67108864 that are read",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_layer_that_is_a_bomb_is_refused_in_little_memory(name: str, peak: Peak) -> None:
    make, said = BOMBS[name]
    layer = make()
    limits = Limits(unpacked=256 * MB, spooled=64 * MB, held=64 * MB)
    reasons: list[str] = []

    grown = peak(lambda: reasons.append(refused(layer, limits=limits)))

    assert said in reasons[0]
    assert grown < ALLOWED


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_list_that_is_a_bomb_is_refused_at_the_limit(pack: Callable[[bytes], bytes], peak: Peak) -> None:
    bomb = pack(b" " * (300 * MB))

    def act() -> None:
        with pytest.raises(Malformed, match="larger than 20971520 bytes once it is unpacked"):
            unpack(iter((bomb,)), limit=20 * MB)

    assert peak(act) < ALLOWED


def test_a_window_that_no_decompressor_should_hold_is_refused(peak: Peak) -> None:
    # RFC 8878, 3.1.1: no content size, no checksum, no dictionary; a window descriptor of 31 (2 TiB, or 2 GiB)
    for descriptor in (0xF8, 0xA8):
        frame = b"\x28\xb5\x2f\xfd\x00" + bytes([descriptor]) + b"\x01\x00\x00"

        def act(frame: bytes = frame) -> None:
            with pytest.raises(Malformed, match="zstd stream is corrupt"):
                list(decompressed(iter((frame,))))

        assert peak(act) < ALLOWED


@pytest.mark.parametrize(
    ("blob", "size"),
    [
        (gzip.compress(b"", mtime=0) * 100_000, 0),
        (gzip.compress(b"a", mtime=0) * 100_000, 100_000),
        (gzip.compress(b"a", mtime=0) + bytes(20 * MB), 1),
        (b"\x50\x2a\x4d\x18\x00\x00\x00\x00" * 20_000 + zstd.compress(b"a"), 1),
        (zstd.compress(b"a") * 20_000, 20_000),
    ],
    ids=["empty members", "members", "padding", "skippable frames", "frames"],
)
def test_many_tiny_members_in_one_piece_do_not_copy_it_each_time(blob: bytes, size: int) -> None:
    assert sum(map(len, decompressed(iter((blob,))))) == size


# ---------------------------------------------------------------------------------------------------- archives


def test_an_archive_of_very_many_entries_costs_no_memory(peak: Peak) -> None:
    header = tarred({"usr/share/doc/a": b""})[:512]

    def act() -> None:
        with pytest.raises(Malformed, match="more than 250000 entries"):
            for _ in Archive((header * 1024 for _ in range(250)), entries=250_000):
                pass

    assert peak(act) < ALLOWED


def test_extended_headers_as_large_as_allowed_are_not_kept(peak: Peak) -> None:
    def pieces() -> Iterator[bytes]:
        entry = tarred([("a" * 200, b"")])
        record = b"1040000 GNU.sparse.x=" + b"y" * (1_040_000 - 22) + b"\n"
        size = f"{len(record):011o}\0".encode()
        pax = bytearray(entry[:512])
        pax[124:136] = size
        pax[148:156] = b" " * 8
        pax[148:156] = f"{sum(pax):06o}\0 ".encode()
        for _ in range(150):
            yield bytes(pax) + record + bytes(-len(record) % 512) + entry[1024:1536]

    def act() -> None:
        assert len(list(Archive(pieces()))) == 150

    assert peak(act) < ALLOWED


def test_a_database_with_holes_is_refused() -> None:
    content = pax(record("GNU.sparse.major", "1") + record("GNU.sparse.name", RPMDB)) + headed("x", 512) + bytes(512)

    assert f"`{RPMDB}` is a sparse file, which layers do not have" in refused(raw(content + END))


def test_names_of_wanted_files_add_up_over_all_layers(peak: Peak) -> None:
    """Each layer removes, or holds, files of long names: nothing of that is content, and all of it is kept."""

    def layer(number: int) -> Layer:
        entries: Entries = [
            *((f"var/lib/dpkg/{number}/{n}/{'x' * 200}/.wh.a", b"") for n in range(2000)),
            *((f"var/lib/pacman/local/{number}-{n}-{'x' * 200}/desc", b"") for n in range(2000)),
        ]
        return gzipped(entries)

    layers = [layer(number) for number in range(4)]
    reasons: list[str] = []

    grown = peak(lambda: reasons.append(refused(*layers, limits=Limits(noted=6 * MB))))

    assert "more files of package databases than 6291456 bytes can name" in reasons[0]
    assert grown < ALLOWED


def test_a_table_of_contents_of_half_a_million_files_is_read_in_little_memory(peak: Peak) -> None:
    entry = b'{"type":"reg","name":"usr/share/doc/some/file","mode":420,"size":1,"digest":"sha256:%s"},' % (b"a" * 64)
    table = b'{"version":1,"entries":[' + entry * 500_000 + b'{"type":"dir","name":"usr"}]}'
    packed = zstd.compress(table)
    prefix = "io.github.containers.zstd-chunked"
    said = {
        f"{prefix}.manifest-position": f"0:{len(packed)}:{len(table)}:1",
        f"{prefix}.manifest-checksum": Digest.of(packed),
    }
    layer = replace(Layer(packed, Digest.of(b""), f"{TAR}+zstd"), annotations=said)
    reasons: list[str] = []

    grown = peak(lambda: reasons.append(refused(layer)))

    assert "no package database in" in reasons[0]
    assert grown < 2 * len(table) + ALLOWED


# --------------------------------------------------------------------------------------------------- databases


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of many pages, and what it lists."""
    blobs = (package(f"p{n}", vendor="v" * 900) for n in range(120))
    return sqlite_database(tmp_path_factory.mktemp("whole") / "rpmdb.sqlite", blobs)


def test_a_database_that_is_cut_anywhere_never_lists_fewer_packages(whole: Path, tmp_path: Path) -> None:
    content, all_of_it = whole.read_bytes(), read_rpm(whole)
    cuts = sorted({*range(0, 200), *range(0, len(content), 512), *(n - 1 for n in range(4096, len(content), 4096))})
    path = tmp_path / "rpmdb.sqlite"
    wrong = []
    for cut in cuts:
        path.write_bytes(content[:cut])
        try:
            found = read_rpm(path)
        except Malformed:
            continue
        if found != all_of_it:
            wrong.append(cut)

    assert wrong == []
    assert len(cuts) > 400


def test_an_ndb_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = ndb_database(tmp_path / "Packages.db", (package(f"p{n}") for n in range(20)))
    content = path.read_bytes()
    for cut in (*range(64), *range(64, len(content), 61), len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(Malformed):
            read_rpm(path)


@pytest.mark.parametrize("log", [b"\0" * 40, b"\x37\x7f\x06\x82" + b"\xff" * 5000, noise(9000)])
def test_a_log_that_is_none_changes_nothing(log: bytes, whole: Path) -> None:
    found = of(gzipped({RPMDB: whole.read_bytes(), f"{RPMDB}-wal": log}))

    assert isinstance(found, Contents)
    assert found.packages == read_rpm(whole).packages


def test_a_field_of_a_million_lines_is_read_once() -> None:
    status = b"Package: a\nVersion: 1\nStatus: install ok installed\nConffiles:\n" + b" /etc/x 0123\n" * 1_000_000

    assert [one.name for one in read_dpkg(status).packages] == ["a"]


def test_obsoletes_of_one_name_in_many_packages_are_gathered_once() -> None:
    blobs = (package("a", version=f"{n}", obsoletename=[f"o{n}-{m}" for m in range(100)]) for n in range(2000))

    details = rpm.contents(blobs, frozenset(), "rpmdb").details

    assert details is not None
    assert [len(several) for several in details.obsoletes.values()] == [200_000]


# ------------------------------------------------------------------------------------------------------- SBOMs

_FEW = [*RPM[0].after, *RPM[1].after]
_WHOLE = trap_sources.spdx(_FEW, 0)


def listed(content: bytes, folder: Path) -> Contents | Unavailable:
    path = folder / "list.json"
    path.write_bytes(content)
    return SbomSource().read(ImageUnderRead(parse_reference(f"sbom:{path}"), None, MemoryRegistry()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_WHOLE.decode().encode("utf-16"), "it is UTF-16 or UTF-32 text"),
        (_WHOLE.decode().encode("utf-16-be"), "it is UTF-16 or UTF-32 text"),
        (_WHOLE.decode().encode("utf-32"), "it is UTF-16 or UTF-32 text"),
        (_WHOLE[:-1] + b',"x":NaN}', "it is not JSON"),
        (_WHOLE[:-1] + b',"x":Infinity}', "it is not JSON"),
        (b"[" * 3_000_000, "Expected `object`, got `array`"),
        (b'{"artifacts":' + b'{"a":' * 1_000_000, "it is"),
        (b'{"bomFormat":"CycloneDX","components":' + b'[{"components":' * 100_000, "it is"),
        (b'{"spdxVersion":"SPDX-2.3","packages":[' + b"{}," * 4_000_001 + b"{}]}", "more than 4000000 objects"),
        (_WHOLE.replace(b'"kernel"', b'"' + b"k" * (2 * MB) + b'"'), "is no package's name (2097152 characters)"),
        (_WHOLE[:-30], "it is not JSON, or cut"),
        (b"\xef\xbb\xbf" + _WHOLE[:-30], "it is not JSON, or cut"),
    ],
    ids=[
        "UTF-16",
        "UTF-16 without a mark",
        "UTF-32",
        "NaN",
        "infinity",
        "deep lists",
        "deep objects",
        "deep components",
        "too many objects",
        "a huge string",
        "cut",
        "cut behind a mark",
    ],
)
def test_a_list_that_is_no_json_or_too_much_of_it_is_refused_by_what_it_is(
    content: bytes, said: str, tmp_path: Path, peak: Peak
) -> None:
    found: list[Contents | Unavailable] = []

    grown = peak(lambda: found.append(listed(content, tmp_path)))

    assert isinstance(found[0], Unavailable), found
    assert said in found[0].reason
    assert len(found[0].reason) < 600
    assert grown < 4 * len(content) + ALLOWED


def test_of_a_key_that_is_there_twice_the_last_counts_as_everywhere(tmp_path: Path) -> None:
    once = json.loads(_WHOLE)
    twice = b'{"packages": [{"name": "first"}], ' + json.dumps(once).encode()[1:]

    assert listed(twice, tmp_path) == listed(_WHOLE, tmp_path)


# -------------------------------------------------------------------------------------------- no database at all


def test_an_image_without_a_database_says_how_much_was_read_and_where_it_would_be() -> None:
    layers = [plain({"usr/bin/a": b"a"}), gzipped({"etc/os-release": b"ID=scratch"})]

    assert refused(*layers) == (
        "2 layers, 2 read: no package database in `usr/share/rpm`, `usr/lib/sysimage/rpm`, `var/lib/rpm`, "
        "`var/lib/dpkg`, `var/lib/pacman/local`"
    )


def test_what_is_hidden_is_not_there() -> None:
    assert "no package database" in refused(gzipped({RPMDB: b"x"}), gzipped({"usr/.wh.share": b""}))
    assert names(of(gzipped({"var/lib/dpkg/status": b"Package: a\nVersion: 1\nStatus: install ok installed\n"}))) == [
        "a"
    ]
