"""zstd:chunked: what its table of contents saves, and that it cannot lie."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman.model.contents import Contents, Unavailable
from relman.model.oci import Digest, parse_repository
from relman.testing import MemoryRegistry
from relman_plugins.inspect.layers import Limits
from relman_plugins.inspect.rpmdb import DatabaseSource
from tests.layer_factories import (
    RPMDB,
    Counting,
    Entries,
    Layer,
    Link,
    chunked,
    desc,
    gzipped,
    names,
    noise,
    plain,
    put_layers,
    read,
    status,
    zstandard,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HERE = parse_repository("registry.example/os")
STATUS = "var/lib/dpkg/status"
NEW, OLD = "io.github.containers.zstd-chunked", "io.containers.zstd-chunked"
BESIDE: Entries = {"usr/bin/a": noise(200_000), STATUS: status("a", "b"), "var/z": noise(200_000, 1)}


def counted(*layers: Layer, source: DatabaseSource | None = None) -> tuple[Contents | Unavailable, Counting]:
    registry = MemoryRegistry()
    counting = Counting(registry)
    return read(counting, put_layers(registry, HERE, layers), source=source), counting


@pytest.mark.parametrize("prefix", [NEW, OLD])
def test_two_ranges_are_enough(prefix: str) -> None:
    found, counting = counted(chunked(BESIDE, prefix))

    assert names(found) == ["a", "b"]
    assert len(counting.ranges) == 2
    assert counting.opened == []
    assert counting.bytes < 2000


def test_a_layer_without_the_database_costs_one_range() -> None:
    found, counting = counted(chunked({STATUS: status("a")}), chunked({"usr/bin/a": noise(200_000)}))

    assert names(found) == ["a"]
    assert len(counting.ranges) == 3
    assert counting.bytes < 2000


def test_hard_links_are_followed_without_reading_more() -> None:
    linked: Entries = {"usr/aa": status("a"), "usr/bb": Link("usr/aa"), STATUS: Link("usr/bb"), "var/z": noise(200_000)}

    found, counting = counted(chunked(linked))

    assert names(found) == ["a"]
    assert (len(counting.ranges), counting.opened) == (2, [])


def test_a_layer_with_many_wanted_files_is_read_instead() -> None:
    place = "var/lib/pacman/local"
    layer = chunked({f"{place}/p{n}-1/desc": desc(f"p{n}") for n in range(9)})

    found, counting = counted(layer)

    assert names(found) == [f"p{n}" for n in range(9)]
    assert (len(counting.ranges), len(counting.opened)) == (1, 1)


def test_a_large_file_is_fetched_in_parts() -> None:
    packages = [f"package-{noise(20, n).hex()}" for n in range(200)]

    found, counting = counted(chunked({STATUS: status(*packages)}), source=DatabaseSource(Limits(part=1000)))

    assert names(found) == sorted(packages)
    assert len(counting.ranges) > 3
    assert {length for _, length in counting.ranges[1:-1]} == {1000}


@pytest.mark.parametrize(
    "annotations",
    [
        {"manifest-position": "1:2:3"},
        {"manifest-position": "1:2:3:2"},
        {"manifest-position": "-1:2:3:1"},
        {"manifest-position": "0:0:0:1"},
        {"manifest-position": f"0:1:{10**18}:1"},
        {"manifest-position": f"0:{10**18}:1:1"},
        {"manifest-position": "١:2:3:1"},
        {"manifest-checksum": "sha256:0"},
        {"manifest-checksum": ""},
    ],
)
def test_a_layer_whose_annotations_say_nothing_is_read_as_any_other(annotations: dict[str, str]) -> None:
    found, counting = counted(chunked(BESIDE, annotations=annotations))

    assert names(found) == ["a", "b"]
    assert (counting.ranges, len(counting.opened)) == ([], 1)


def with_table(table: object, layer: Layer | None = None) -> Layer:
    """A layer whose annotations lead to ``table``, which hashes to what they say."""
    layer = layer or zstandard(BESIDE)
    content = table if isinstance(table, bytes) else json.dumps(table).encode()
    packed = zstd.compress(content)
    frame = b"\x50\x2a\x4d\x18" + len(packed).to_bytes(4, "little") + packed
    place = f"{len(layer.blob) + 8}:{len(packed)}:{len(content)}:1"
    stated = {f"{NEW}.manifest-position": place, f"{NEW}.manifest-checksum": Digest.of(packed)}
    return replace(layer, blob=layer.blob + frame, annotations=stated)


def test_a_table_of_a_later_version_is_left_alone() -> None:
    found, counting = counted(with_table({"version": 3, "entries": []}))

    assert names(found) == ["a", "b"]
    assert len(counting.opened) == 1


def entry(**fields: object) -> dict[str, object]:
    return {"version": 1, "entries": [{"type": "reg", "name": STATUS, **fields}]}


SOME = {"size": 10, "digest": Digest.of(b"x"), "offset": 0, "endOffset": 100}


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (chunked(BESIDE, annotations={"manifest-checksum": Digest.of(b"x")}), "another checksum"),
        (chunked(BESIDE, annotations={"manifest-position": "1:9:9:1"}), "another checksum"),
        (chunked(BESIDE, annotations={"manifest-position": f"{10**9}:9:9:1"}), "said to end at byte 1000000009"),
        (chunked({STATUS: status("a")}, digest=Digest.of(b"x")), "lies"),
        (chunked({STATUS: status("a")}, size=10), "lies"),
        (chunked({STATUS: status("a")}, size=10**6), "lies"),
        (chunked({STATUS: status("a")}, size=10**12), "is more than the"),
        (chunked({STATUS: status("a")}, size=-1), "a size of -1"),
        (chunked({STATUS: status("a")}, offset=5), "lies"),
        (chunked({STATUS: status("a")}, offset=0), "lies"),
        (chunked({STATUS: status("a")}, offset=-1), "at bytes -1 to"),
        (chunked({STATUS: status("a")}, endOffset=10**12), "at bytes"),
        (chunked({STATUS: status("a")}, endOffset=0), "at bytes"),
        (chunked({STATUS: status("a")}, digest="md5:1"), "has no digest of"),
        (chunked({STATUS: status("a")}, digest=""), "has no digest of"),
        (with_table(b"\0"), "table of contents is none"),
        (with_table(b"[" * 10_000), "table of contents is none"),
        (with_table(b'{"version": 1, "entries": [{"type": "reg", "name": "\xff"}]}'), "table of contents is none"),
        (with_table({"version": 1}), "table of contents is none"),
        (with_table(entry(size="10")), "table of contents is none"),
        (with_table(entry(**SOME)), "lies"),
        (with_table(entry(**{**SOME, "type": "hardlink", "linkName": ""})), "as a link to nothing"),
        (with_table(entry(**{**SOME, "type": "hardlink", "linkName": "../../x"})), "as a link to nothing"),
        (with_table(entry(**{**SOME, "type": "hardlink", "linkName": STATUS})), "lead in a circle"),
        (
            replace(
                with_table({"version": 1, "entries": []}),
                annotations={
                    **with_table({"version": 1, "entries": []}).annotations,
                    f"{NEW}.manifest-position": f"{len(zstandard(BESIDE).blob) + 8}:"
                    f"{len(zstd.compress(json.dumps({'version': 1, 'entries': []}).encode()))}:5:1",
                },
            ),
            "larger than 5 bytes once it is unpacked",
        ),
    ],
)
def test_a_table_that_lies_is_caught(layer: Layer, said: str) -> None:
    found, _ = counted(plain({"etc/x": b""}), layer)

    assert isinstance(found, Unavailable)
    assert said in found.reason
    assert found.reason.startswith("layer 2 of 2 (`sha256:") or said == "lead in a circle"


def test_a_table_that_is_a_bomb_is_refused_before_it_is_unpacked() -> None:
    layer = with_table(b" " * 300_000_000)

    found, counting = counted(layer)

    # It is larger than any that is read, and so no table at all.
    assert names(found) == ["a", "b"]
    assert counting.ranges == []


def test_a_file_that_is_a_bomb_is_refused() -> None:
    bomb = zstd.compress(bytes(50_000_000))
    layer = with_table(entry(size=1000, digest=Digest.of(b"x"), offset=0, endOffset=len(bomb)), Layer(bomb, "", "x"))
    layer = replace(layer, diff_id=Digest.of(b""))

    found, _ = counted(layer)

    assert isinstance(found, Unavailable)
    assert "lies" in found.reason


def test_names_in_the_table_that_lead_out_of_the_image_are_no_names() -> None:
    table = {"version": 2, "entries": [{"type": "reg", "name": f"../{STATUS}", **SOME}, {"type": "dir", "name": "/"}]}

    found, _ = counted(with_table(table))

    assert isinstance(found, Unavailable)
    assert "no package database in" in found.reason


def test_the_stream_of_a_chunked_layer_is_an_ordinary_one() -> None:
    layer = replace(chunked(BESIDE), annotations={})

    assert names(counted(layer)[0]) == ["a", "b"]


def test_links_to_what_a_table_has_in_another_layer_are_followed() -> None:
    assert names(counted(chunked({"opt/db": status("a")}), gzipped({STATUS: Link("opt/db")}))[0]) == ["a"]
    assert names(counted(gzipped({"opt/db": status("a")}), chunked({STATUS: Link("opt/db")}))[0]) == ["a"]


# ------------------------------------------------------------------------------------------------------ fuzzed

LIMITED = DatabaseSource(Limits(unpacked=2_000_000, spooled=500_000, held=500_000, entries=1000))
numbers = st.integers(min_value=-(2**63), max_value=2**64)
small = st.integers(min_value=0, max_value=3000)
paths = st.sampled_from(
    [STATUS, RPMDB, f"{RPMDB}-wal", "usr/share/rpm", "var/lib/.wh.dpkg", "a", "../a", "", "/", "var"]
)
files = st.fixed_dictionaries(
    {"type": st.sampled_from(["reg", "hardlink", "symlink", "dir", "chunk", "char", "?"]), "name": paths | st.text()},
    optional={
        "linkName": paths | st.text(),
        "size": small | numbers,
        "digest": st.sampled_from(["", "sha256:1", Digest.of(status("a", "b")), Digest.of(b"x")]),
        "offset": small | numbers,
        "endOffset": small | numbers,
    },
)


@settings(deadline=None)
@given(st.fixed_dictionaries({"version": st.integers(0, 3), "entries": st.lists(files, max_size=12)}) | st.text())
def test_whatever_a_table_says_is_an_answer_or_a_reason(table: object) -> None:
    registry = MemoryRegistry()
    layer = with_table(table, zstandard({STATUS: status("a", "b"), "x": noise(2000)}))

    found = read(registry, put_layers(registry, HERE, [layer]), source=LIMITED)

    assert isinstance(found, Unavailable) or len(found.packages)


@settings(deadline=None)
@given(st.data())
def test_a_chunked_layer_with_a_byte_changed_is_an_answer_or_a_reason(data: st.DataObject) -> None:
    layer = chunked({"usr/aa": status("a"), STATUS: Link("usr/aa"), "var/z": noise(500)})
    blob = bytearray(layer.blob)
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    registry = MemoryRegistry()

    found = read(registry, put_layers(registry, HERE, [replace(layer, blob=bytes(blob))]), source=LIMITED)

    # What is read is checked: it is either as it was, or refused.
    assert isinstance(found, Unavailable) or names(found) == ["a"]
