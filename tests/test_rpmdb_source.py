"""The source `rpmdb`: from the layers of an image to its packages, whatever the layers are like."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.errors import Passing, Unequipped
from relman.model.contents import Capability, Contents, Unavailable
from relman.model.oci import (
    LINUX_AMD64,
    Descriptor,
    Digest,
    PlatformImage,
    parse_reference,
    parse_repository,
)
from relman.plugin import ImageUnderRead
from relman.testing import MemoryRegistry
from relman_plugins.inspect.databases import read_rpm
from relman_plugins.inspect.layers import Limits
from relman_plugins.inspect.rpmdb import DatabaseSource
from tests.layer_factories import (
    OSTREE,
    RPMDB,
    Content,
    Counting,
    Entries,
    Folder,
    Layer,
    Link,
    Symlink,
    as_ostree,
    chunked,
    desc,
    gzipped,
    names,
    noise,
    plain,
    put_layers,
    raw,
    read,
    real_database,
    status,
    zstandard,
)

HERE = parse_repository("registry.example/os")
BASE_COPY = "usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite"
NEW, OLD = ["new-one", "new-two"], ["old"]
FILES: frozenset[Capability] = frozenset({Capability.FILES})
Compress = Callable[[Entries], Layer]
COMPRESSIONS = [plain, gzipped, zstandard, chunked]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two real databases."""
    if shutil.which("rpm") is None or shutil.which("rpmbuild") is None:
        pytest.skip("builds packages with rpmbuild, which is not installed")
    new, old = tmp_path_factory.mktemp("new"), tmp_path_factory.mktemp("old")
    return real_database(new, *NEW), real_database(old, *OLD)


@pytest.fixture(scope="module")
def new(folders: tuple[Path, Path]) -> bytes:
    return (folders[0] / "rpmdb.sqlite").read_bytes()


@pytest.fixture(scope="module")
def old(folders: tuple[Path, Path]) -> bytes:
    return (folders[1] / "rpmdb.sqlite").read_bytes()


def of(layers: Sequence[Layer], **how: object) -> Contents | Unavailable:
    """What the source says of an image of ``layers``."""
    registry = MemoryRegistry()
    return read(registry, put_layers(registry, HERE, layers, **how))  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------- the matrix of layouts


def layouts(new: bytes, old: bytes) -> dict[str, list[Entries]]:
    """Where the database can be; in each, the image's packages are those of ``new``."""
    library, state = "usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite"
    return {
        "rpm-ostree's place": [{RPMDB: new}],
        "fedora's and suse's place": [{library: new}],
        "the old place": [{state: new}],
        "with a dot before": [[("./", Folder()), ("./usr/share/rpm/", Folder()), (f"./{RPMDB}", new)]],
        "with a slash before": [{f"/{RPMDB}": new}],
        "between many others": [{**{f"usr/bin/{n}": b"x" * n for n in range(300)}, RPMDB: new, "var/x": b""}],
        "the top-most copy wins": [{library: old}, {"etc/a": b"a"}, {library: new}, {"etc/b": b"b"}],
        "another place above": [{state: old}, {library: new}],
        "beside the base image's copy": [{BASE_COPY: old, RPMDB: new}],
        "under the base image's copy": [{RPMDB: new}, {BASE_COPY: old}],
        "a link to the base image's copy": [[(BASE_COPY, new), (RPMDB, Link(BASE_COPY))]],
        "a link that comes first": [[(RPMDB, Link("zz/db")), ("zz/db", new)]],
        "a link to what nobody kept": [[("aa/db", new), (RPMDB, Link("aa/db"))]],
        "a link to a link": [[("aa/db", new), ("aa/link", Link("aa/db")), (RPMDB, Link("./aa/link"))]],
        "ostree's objects": [as_ostree({"usr/bin/a": b"a", RPMDB: new, f"{RPMDB}-wal": b"", "usr/x": b""})],
        "ostree's object in a layer below": [[(f"{OSTREE}/aa/b.file", new)], [(RPMDB, Link(f"{OSTREE}/aa/b.file"))]],
        "ostree's object in a layer above": [[(RPMDB, Link(f"{OSTREE}/aa/b.file"))], [(f"{OSTREE}/aa/b.file", new)]],
        "a linked file in a layer below": [{"opt/db": new}, {RPMDB: Link("opt/db")}],
        "the linked file is that of its own layer": [{"opt/db": new}, {RPMDB: Link("opt/db")}, {"opt/db": old}],
        "a linked folder": [{RPMDB: new, "usr/lib/sysimage/rpm": Symlink("../../share/rpm")}],
        "a linked folder hides what was in it": [
            {library: old},
            {"usr/lib/sysimage/rpm": Symlink("../../share/rpm"), RPMDB: new},
        ],
        "a folder linked to another place": [{"opt/db/rpmdb.sqlite": new}, {"usr/share/rpm": Symlink("/opt/db")}],
        "a file linked to another place": [{RPMDB: Symlink("../../../opt/x")}, {"opt/x": new}],
        "links of links": [{"usr/share": Symlink("../a"), "a/rpm": Symlink("../b")}, {"b/rpmdb.sqlite": new}],
        "a whiteout hides the file below": [{library: new}, {RPMDB: old}, {"usr/share/rpm/.wh.rpmdb.sqlite": b""}],
        "a whiteout of a folder": [{library: new}, {RPMDB: old}, {"usr/share/.wh.rpm": b""}],
        "an opaque folder": [{library: new}, {RPMDB: old}, {"usr/share/.wh..wh..opq": b""}],
        "an opaque folder with a new file": [{RPMDB: old}, {"usr/share/rpm/.wh..wh..opq": b"", RPMDB: new}],
        "a whiteout hides nothing of its own layer": [{RPMDB: old}, [(RPMDB, new), ("usr/share/.wh.rpm", b"")]],
        "an empty file hides the one below": [{library: new}, {RPMDB: old}, {RPMDB: b""}],
        "a file in place of a folder": [{library: new}, {RPMDB: old}, {"usr/share/rpm": b"gone"}],
        "other databases lie about": [
            {"usr/share/x/rpmdb.sqlite": old, "home/usr/share/rpm/rpmdb.sqlite": old},
            {state: new},
        ],
        "an old database that was converted": [{"usr/share/rpm/Packages": b"\0" * 100, RPMDB: new}],
        "dpkg is installed as a tool": [{state: new}, {"var/lib/dpkg/status": b"\n"}],
    }


NAMES = list(layouts(b"", b""))


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("layout", NAMES)
def test_the_packages_are_those_of_the_image(layout: str, compress: Compress, new: bytes, old: bytes) -> None:
    layers = [compress(entries) for entries in layouts(new, old)[layout]]

    assert names(of(layers)) == NEW


def test_everything_that_the_database_says_is_handed_on(folders: tuple[Path, Path], new: bytes) -> None:
    wants = frozenset({Capability.FILES, Capability.CHANGELOG})
    registry = MemoryRegistry()

    found = read(registry, put_layers(registry, HERE, [gzipped({RPMDB: new})]), wants)

    assert found == read_rpm(folders[0] / "rpmdb.sqlite", wants)
    assert isinstance(found, Contents)
    assert found.source == "rpmdb"
    assert found.capabilities <= DatabaseSource.capabilities


# ------------------------------------------------------------------------------------------------ a live log


@pytest.fixture(scope="module")
def live(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A database and the log beside it, which alone knows that all packages but one are gone."""
    import sqlite3

    folder = tmp_path_factory.mktemp("live")
    path = shutil.copyfile(folders[0] / "rpmdb.sqlite", folder / "rpmdb.sqlite")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("DELETE FROM Packages WHERE hnum > (SELECT min(hnum) FROM Packages)")
        database.commit()
        content, log = path.read_bytes(), (folder / "rpmdb.sqlite-wal").read_bytes()
    database.close()
    return content, log


def logged(content: bytes, log: bytes) -> dict[str, list[Entries]]:
    return {
        "beside it": [{RPMDB: content, f"{RPMDB}-shm": b"\0" * 32768, f"{RPMDB}-wal": log, "usr/x": b"x"}],
        "before it": [[(f"{RPMDB}-wal", log), (RPMDB, content)]],
        "in a layer above": [{RPMDB: content}, {f"{RPMDB}-wal": log}],
        "in ostree's objects": [as_ostree({RPMDB: content, "usr/x": b"x", f"{RPMDB}-wal": log})],
    }


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("where", list(logged(b"", b"")))
def test_what_only_the_log_says_counts(where: str, compress: Compress, live: tuple[bytes, bytes]) -> None:
    assert len(names(of([compress(entries) for entries in logged(*live)[where]]))) == 1


def test_a_log_that_was_removed_does_not_count(live: tuple[bytes, bytes]) -> None:
    layers = [
        gzipped({RPMDB: live[0]}),
        gzipped({f"{RPMDB}-wal": live[1]}),
        gzipped({"usr/share/rpm/.wh.rpmdb.sqlite-wal": b""}),
    ]

    assert names(of(layers)) == NEW


# ------------------------------------------------------------------------------------------ the other systems


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_dpkg_is_read_from_the_top_most_status(compress: Compress) -> None:
    layers = [
        {"var/lib/dpkg/status": status("old")},
        {"etc/x": b""},
        {"var/lib/dpkg/status": status("a", "b")},
        {"etc/y": b""},
    ]

    assert names(of([compress(entries) for entries in layers])) == ["a", "b"]


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_distroless_lists_are_gathered_over_the_layers(compress: Compress) -> None:
    place = "var/lib/dpkg/status.d"
    one = {f"{place}/base": status("base"), f"{place}/gone": status("gone"), f"{place}/base.md5sums": b"x"}
    two = {f"{place}/tz": status("tzdata"), f"{place}/.wh.gone": b"", f"{place}/base": status("base-new")}

    assert names(of([compress(one), compress(two)])) == ["base-new", "tzdata"]


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_pacmans_packages_are_gathered_over_the_layers(compress: Compress) -> None:
    place = "var/lib/pacman/local"
    many = {f"{place}/p{n:02}-1.0-1/desc": desc(f"p{n:02}") for n in range(20)}
    one = {
        f"{place}/a-1.0-1/desc": desc("a"),
        f"{place}/a-1.0-1/files": b"%FILES%\n",
        f"{place}/b-1.0-1/desc": desc("b"),
    }
    two = {f"{place}/.wh.a-1.0-1": b"", f"{place}/a-2.0-1/desc": desc("a", "2.0-1"), "etc/x": b""}

    found = of([compress(one | many), compress(two)])

    assert isinstance(found, Contents)
    rows = [(package.name, package.version) for package in found.packages]
    assert rows == [("a", "2.0-1"), ("b", "1.0-1"), *((f"p{n:02}", "1.0-1") for n in range(20))]


def test_pacmans_packages_are_found_in_ostrees_objects() -> None:
    files = {f"var/lib/pacman/local/p{n}-1/desc": desc(f"p{n}") for n in range(5)}

    assert names(of([gzipped(as_ostree(files)), gzipped({"etc/x": b""})])) == [f"p{n}" for n in range(5)]


def test_the_digests_of_dpkgs_files_are_gathered_where_they_are_wanted() -> None:
    digest = "0123456789abcdef0123456789abcdef"
    below = {"var/lib/dpkg/info/a.md5sums": f"{digest}  usr/bin/a\n".encode(), "var/lib/dpkg/status": status("old")}
    above = {"var/lib/dpkg/status": status("a")}
    registry = MemoryRegistry()
    reference = put_layers(registry, HERE, [gzipped(below), gzipped(above)])

    without, with_files = Counting(registry), Counting(registry)
    assert names(read(without, reference)) == ["a"]
    found = read(with_files, reference, FILES)

    assert isinstance(found, Contents)
    assert found.details is not None
    assert list(found.details.files) == ["/usr/bin/a"]
    assert (len(without.opened), len(with_files.opened)) == (1, 2)


def test_an_empty_rpm_database_does_not_hide_that_of_dpkg(tmp_path: Path) -> None:
    if shutil.which("rpm") is None:
        pytest.skip("makes a database with rpm, which is not installed")
    empty = real_database(tmp_path) / "rpmdb.sqlite"
    layers = [gzipped({"var/lib/dpkg/status": status("a")}), gzipped({"var/lib/rpm/rpmdb.sqlite": empty.read_bytes()})]

    assert names(of(layers)) == ["a"]
    assert of(layers[1:]) == Unavailable(
        "1 layers, 1 read: no package database that lists a package (that of rpm is empty) in `usr/share/rpm`, "
        "`usr/lib/sysimage/rpm`, `var/lib/rpm`, `var/lib/dpkg`, `var/lib/pacman/local`"
    )


# ------------------------------------------------------------------------------------------ from few bytes


LABEL = "dev.hhd.rechunk.info"


def test_the_layer_that_chunkah_names_is_read_alone(new: bytes, old: bytes) -> None:
    layers = [
        gzipped({"usr/bin/bash": noise(1000)}).named(chunkah="rpm/bash rpm/coreutils"),
        gzipped({RPMDB: new}).named(chunkah="bigfiles/rpmdb.sqlite"),
        gzipped({"usr/lib/x": noise(1000)}).named(chunkah="chunkah/unclaimed"),
    ]

    assert _opened(layers) == (NEW, [1])


def test_the_base_images_copy_may_have_the_bare_name(new: bytes, old: bytes) -> None:
    layers = [
        gzipped({RPMDB: new}).named(chunkah="bigfiles/usr/share/rpm/rpmdb.sqlite"),
        gzipped({BASE_COPY: old}).named(chunkah="bigfiles/rpmdb.sqlite"),
        gzipped({"usr/lib/x": noise(1000)}).named(chunkah="chunkah/unclaimed"),
    ]

    assert _opened(layers) == (NEW, [0])
    # Even where only a wrong name leads there: the path in the layer decides.
    layers[0] = layers[0].named(chunkah="bigfiles/other")
    assert _opened(layers) == (NEW, [1, 2, 0])


@pytest.mark.parametrize("component", ["rpmostree-unpackaged-content", "dedi:meta:unpackaged", "rpmdb"])
def test_the_layer_that_ostree_names_is_read_alone(component: str, new: bytes) -> None:
    layers = [
        gzipped({"usr/bin/bash": noise(1000)}).named(ostree="bash,coreutils"),
        gzipped(as_ostree({RPMDB: new, f"{RPMDB}-wal": b"", "usr/share/rpm/rpmdb.sqlite-shm": b""})).named(
            ostree=component
        ),
        gzipped({"usr/lib/x": noise(1000)}).named(ostree="kernel"),
    ]

    assert _opened(layers) == (NEW, [1])


@pytest.mark.parametrize("label", [{"ostree.commit": "0" * 64}, {}])
def test_names_in_the_history_count_for_an_image_made_from_ostree(label: dict[str, str], new: bytes) -> None:
    layers = [
        gzipped({"ostree": b"x"}).named(created_by="ostree export of commit " + "0" * 64),
        gzipped({RPMDB: new}).named(created_by="initramfs (kernel 6.9-1.fc44) and rpmostree-unpackaged-content"),
        gzipped({"usr/bin/bash": noise(1000)}).named(created_by="bash"),
        gzipped({"usr/lib/x": noise(1000)}).named(created_by="12 components"),
    ]

    assert _opened(layers, labels=label) == (NEW, [1] if label else [3, 2, 1])


def test_chunkahs_names_survive_in_the_history(new: bytes) -> None:
    layers = [
        gzipped({RPMDB: new}).named(created_by="chunkah", comment="bigfiles/rpmdb.sqlite rpm/a"),
        gzipped({"usr/bin/bash": noise(1000)}).named(created_by="chunkah", comment="rpm/bash rpm/coreutils"),
    ]

    assert _opened(layers) == (NEW, [0])
    assert _opened(layers, history=False) == (NEW, [1, 0])


@pytest.mark.parametrize(
    "history",
    [
        [{"created_by": "chunkah", "comment": "bigfiles/rpmdb.sqlite"}],
        [{"created_by": "chunkah", "comment": "bigfiles/rpmdb.sqlite"}] * 3,
        [{"created_by": 1, "comment": []}, {}],
        [1, 2],
        {"created_by": "chunkah"},
        "chunkah",
        None,
    ],
)
def test_a_history_that_does_not_fit_the_layers_names_nothing(history: object, new: bytes) -> None:
    layers = [gzipped({RPMDB: new}), gzipped({"usr/bin/bash": noise(1000)})]

    assert _opened(layers, history=history) == (NEW, [1, 0])


@pytest.mark.parametrize(
    "above",
    [
        gzipped({"etc/x": b"x"}),
        gzipped({"etc/x": b"x"}).named(created_by="/bin/sh -c dnf install x"),
        gzipped({"etc/x": b"x"}).named(created_by="RUN dnf install x"),
        gzipped({"etc/x": b"x"}).named(created_by="chunkah", comment=""),
    ],
)
def test_whatever_was_added_above_is_read_first(above: Layer, new: bytes, old: bytes) -> None:
    labels = {"ostree.commit": "0" * 64}
    named = [
        gzipped({RPMDB: old}).named(chunkah="bigfiles/rpmdb.sqlite"),
        gzipped({"usr/bin/bash": noise(1000)}).named(chunkah="rpm/bash"),
    ]

    assert _opened([*named, above], labels=labels) == (OLD, [2, 0])
    assert _opened([*named, gzipped({RPMDB: new}), above], labels=labels) == (NEW, [3, 2])
    removed = gzipped({"usr/share/rpm/.wh.rpmdb.sqlite": b""})
    found = of([*named, above, removed], labels=labels)
    assert isinstance(found, Unavailable)
    assert found.reason.startswith("4 layers, 4 read: no package database in")


def test_rechunks_label_says_which_layer_unless_more_were_added(new: bytes) -> None:
    layers = [
        gzipped({RPMDB: new}),
        gzipped({"usr/bin/bash": noise(1000)}),
        gzipped({"usr/lib/x": noise(1000)}),
    ]
    info = '{"version": 2, "uniq": "x", "packages": {}, "layers": [["dedi:meta:unpackaged"], ["bash"], ["x", "y"]]}'

    assert _opened(layers, labels={LABEL: info}) == (NEW, [0])
    assert _opened([*layers, gzipped({"a": b""})], labels={LABEL: info}) == (NEW, [3, 2, 1, 0])
    for broken in ("", "{", '{"layers": 1}', '{"layers": [[1]]}', "[" * 100_000):
        assert _opened(layers, labels={LABEL: broken}) == (NEW, [2, 1, 0])


def _opened(layers: Sequence[Layer], **how: object) -> tuple[list[str], list[int]]:
    """The packages, and the numbers of the layers that were read, in order."""
    registry = MemoryRegistry()
    reference = put_layers(registry, HERE, layers, **how)  # type: ignore[arg-type]
    counting = Counting(registry)
    found = names(read(counting, reference))
    digests = [Digest.of(layer.blob) for layer in layers]
    return found, [digests.index(digest) for digest in counting.opened]


@pytest.mark.parametrize("compress", [plain, gzipped, zstandard])
def test_a_layer_is_left_as_soon_as_the_database_is_whole(compress: Compress, new: bytes) -> None:
    registry = MemoryRegistry()
    entries = {"bin/a": noise(500_000), RPMDB: new, "var/b": noise(6_000_000, 1), "var/c": noise(6_000_000, 2)}
    layer = compress(entries)
    counting = Counting(registry)

    assert names(read(counting, put_layers(registry, HERE, [layer]))) == NEW

    assert counting.bytes < 500_000 + len(new) + 1_500_000 < len(layer.blob) / 4


def test_a_short_rest_is_read_so_that_the_digest_is_checked(new: bytes) -> None:
    layer = gzipped({RPMDB: new, "var/b": noise(300_000)})
    registry = Damaged(MemoryRegistry(), at=len(layer.blob) - 1000)
    reference = put_layers(registry.inner, HERE, [layer])  # type: ignore[arg-type]

    found = read(registry, reference)

    assert isinstance(found, Unavailable)
    assert "hash" in found.reason


class Damaged(Counting):
    """A registry that changes the byte ``at`` of every layer, and checks digests as the others do."""

    def __init__(self, inner: MemoryRegistry, at: int) -> None:
        super().__init__(inner)
        self.at = at

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        from relman.errors import DigestMismatch

        content = bytearray(b"".join(pieces))
        content[self.at] ^= 1
        for start in range(0, len(content), 65536):
            yield bytes(content[start : start + 65536])
        raise DigestMismatch("came with bytes that hash to something else")


def test_the_same_layer_twice_is_read_once(new: bytes) -> None:
    empty = gzipped({})
    layers = [gzipped({RPMDB: new}), empty, gzipped({"a": b"a"}), empty, empty]

    assert _opened(layers) == (NEW, [1, 2, 0])


def test_nothing_is_left_behind(new: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for compress in COMPRESSIONS:
        assert names(of([compress({RPMDB: new})])) == NEW
    assert isinstance(of([gzipped({RPMDB: b"SQLite format 3\0" + noise(5000)})]), Unavailable)

    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------- what is refused


def test_an_image_without_a_database_says_what_was_looked_for() -> None:
    layers = [gzipped({"a": b""}), plain({BASE_COPY: b"SQLite format 3\0" + bytes(100), "usr/share/rpm/x": b"x"})]

    assert of(layers) == Unavailable(
        "2 layers, 2 read: no package database in `usr/share/rpm`, `usr/lib/sysimage/rpm`, `var/lib/rpm`, "
        "`var/lib/dpkg`, `var/lib/pacman/local`"
    )


def test_an_image_without_layers_says_so() -> None:
    part = PlatformImage(LINUX_AMD64, Descriptor("x", Digest.of(b""), 0), {}, None, 0)

    assert DatabaseSource().read(ImageUnderRead(HERE.tag("t"), part, MemoryRegistry())) == Unavailable(
        "the image has no layers"
    )


BOMB = Limits(unpacked=4_000_000, spooled=300_000, held=10_000, noted=2_000, entries=100)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (
            dataclasses.replace(gzipped({"a": noise(5000)}), blob=gzipped({"a": noise(5000)}).blob[:3000]),
            "gzip stream is cut",
        ),
        (
            dataclasses.replace(zstandard({"a": noise(5000)}), blob=zstandard({"a": noise(5000)}).blob[:3000]),
            "zstd stream is cut",
        ),
        (dataclasses.replace(plain({"a": noise(5000)}), blob=plain({"a": noise(5000)}).blob[:3000]), "archive is cut"),
        (raw(b"\x1f\x8b" + bytes(100)), "gzip stream is corrupt"),
        (raw(b"\x28\xb5\x2f\xfd" + b"\xff" * 100), "zstd stream is corrupt"),
        (raw(b"no tar at all" * 100), "no tar archive"),
        (gzipped({"a": bytes(5_000_000)}), "unpacks to more than 4000000 bytes"),
        (zstandard({"a": bytes(5_000_000)}), "unpacks to more than 4000000 bytes"),
        (gzipped({str(n): b"" for n in range(101)}), "more than 100 entries"),
        (gzipped({RPMDB: noise(300_001)}), "300001 bytes is more than the 300000 that are read"),
        (gzipped({"var/lib/dpkg/status": noise(10_001)}), "larger than 10000 bytes"),
        (
            gzipped({f"var/lib/dpkg/.wh.{n}": b"" for n in range(9)}),
            "more files of package databases than 2000 bytes can name",
        ),
        (gzipped({RPMDB: Link(RPMDB)}), "a hard link to itself"),
        (gzipped({RPMDB: Link("../../etc/passwd")}), "a hard link to itself, or out of the image"),
        (gzipped({RPMDB: Link("a")}), "hard link to `a`, which is in no layer"),
        (gzipped({RPMDB: Link("a"), "a": Link("b"), "b": Link("a")}), "lead in a circle"),
        (gzipped({RPMDB: noise(3000)}), "neither SQLite nor ndb"),
        (chunked({RPMDB: Link("a")}), "hard link to `a`, which is in no layer"),
        (chunked({RPMDB: Link("a"), "a": Link("b"), "b": Link("a")}), "lead in a circle"),
    ],
)
def test_a_layer_that_is_not_what_it_should_be_is_named(layer: Layer, said: str) -> None:
    registry = MemoryRegistry()
    reference = put_layers(registry, HERE, [plain({"etc/x": b""}), layer])

    found = read(registry, reference, source=DatabaseSource(BOMB))

    assert isinstance(found, Unavailable)
    assert said in found.reason
    assert "layer 2 of 2 (`sha256:" in found.reason or "circle" in said or "SQLite" in said


def test_symbolic_links_in_a_circle_lead_nowhere() -> None:
    entries: dict[str, Content] = {"usr/share/rpm": Symlink("../lib/a"), "usr/lib/a": Symlink("../share/rpm")}

    found = of([gzipped(entries)])

    assert isinstance(found, Unavailable)


def test_a_broken_layer_below_the_database_matters_to_nobody(new: bytes) -> None:
    assert names(of([raw(b"broken"), gzipped({RPMDB: new})])) == NEW


def test_what_the_registry_fails_at_is_raised() -> None:
    class Busy(Counting):
        def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
            raise Passing("`registry.example` does not answer")

    registry = MemoryRegistry()
    reference = put_layers(registry, HERE, [gzipped({"a": b""})])

    with pytest.raises(Passing, match="does not answer"):
        read(Busy(registry), reference)


def test_a_layer_that_is_kept_elsewhere_is_no_failure_of_the_registry() -> None:
    registry = MemoryRegistry()
    reference = put_layers(registry, HERE, [gzipped({"a": b""})])
    (part,) = _looked(registry, reference)
    missing = replace(part, layers=(Descriptor("x", Digest.of(b"missing"), 10),))

    found = DatabaseSource().read(ImageUnderRead(reference, missing, registry))

    assert isinstance(found, Unavailable)
    assert "layer 1 of 1" in found.reason


def _looked(registry: MemoryRegistry, reference: object) -> tuple[PlatformImage, ...]:
    from relman.registry.look import look_at

    return look_at(registry, reference).platforms  # type: ignore[arg-type]


def test_a_disk_that_is_full_is_said_to_be(new: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))

    with pytest.raises(Unequipped, match="temporary folder"):
        of([gzipped({RPMDB: new})])


# -------------------------------------------------------------------------------------- `rpmdb:FILE-OR-FOLDER`


def test_a_database_given_by_hand_is_read(folders: tuple[Path, Path]) -> None:
    for path in (folders[0], folders[0] / "rpmdb.sqlite"):
        found = DatabaseSource().read(ImageUnderRead(parse_reference(f"rpmdb:{path}"), None, MemoryRegistry()))
        assert names(found) == NEW


def test_what_is_no_database_is_unavailable_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0nothing")

    def reason(text: str) -> str:
        found = DatabaseSource().read(ImageUnderRead(parse_reference(text), None, MemoryRegistry()))
        assert isinstance(found, Unavailable)
        return found.reason

    assert "is no package database" in reason(f"rpmdb:{tmp_path / 'file'}")
    assert "is not there" in reason(f"rpmdb:{tmp_path / 'missing'}")
    assert "holds no package database" in reason(f"rpmdb:{tmp_path}")
    assert reason(f"sbom:{tmp_path}") == f"`sbom:{tmp_path}` is not a package database"
