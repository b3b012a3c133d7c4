"""Databases on disk: every format, the same rows as `rpm -qa`, logs that are still live, and files that are hostile."""

from __future__ import annotations

import lzma
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relman.model.contents import Capability, ChangelogEntry, Contents, Identity, Obsolete, Package, PackagedFile
from relman.plugin import Malformed, NotFound, RelmanError
from relman_plugins.inspect.databases import Kind, Located, locate, merged, read_path, read_rpm, read_rpm_bytes
from tests.rpm_headers import ndb_database, package, sqlite_database

DATA = Path(__file__).parent / "data" / "rpmdb"
EVERYTHING = frozenset(Capability)
NO_RPM = shutil.which("rpm") is None or shutil.which("rpmbuild") is None

Write = Callable[[Path, Iterator[bytes]], Path]


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name.removesuffix(".xz")
    path.write_bytes(lzma.decompress((DATA / name).read_bytes()))
    return path


def rows(contents: Contents) -> list[tuple[str | None, ...]]:
    return sorted((p.name, p.arch, p.version, p.source, p.vendor) for p in contents.packages)


def names(contents: Contents) -> list[str]:
    return [p.name for p in contents.packages]


# ------------------------------------------------------------------------------------------------- real ones


def test_suse_keeps_its_packages_in_ndb_and_every_row_is_right(tmp_path: Path) -> None:
    found = read_rpm(unpacked("sle15-bci-Packages.db.xz", tmp_path), EVERYTHING)

    said = [line.split("\t") for line in (DATA / "sle15-bci.tsv").read_text().splitlines()]
    assert rows(found) == [
        (name, arch, evr, source.removesuffix(".src.rpm").rsplit("-", 2)[0], vendor)
        for name, arch, evr, source, vendor, _ in said
    ]
    assert found.details is not None
    assert found.details.sizes == {Identity("rpm", name, arch): int(size) for name, arch, *_, size in said}
    assert found.capabilities == EVERYTHING
    assert found.details.changelogs["bash"][0].time == max(e.time for e in found.details.changelogs["bash"])
    assert found.details.files["/etc/nsswitch.conf"].config


def test_a_database_that_rpm_left_in_wal_mode_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = unpacked("rhel8-libuuid-rpmdb.sqlite.xz", tmp_path)
    assert path.read_bytes()[18:20] == b"\2\2"
    before = sorted(tmp_path.iterdir())
    tmp_path.chmod(0o500)
    try:
        found = read_rpm(path)
    finally:
        tmp_path.chmod(0o700)

    assert rows(found) == [("libuuid", "x86_64", "2.32.1-42.el8_8", "util-linux", "Red Hat, Inc.")]
    assert sorted(tmp_path.iterdir()) == before


SPECS = {
    "alpha": """Epoch: 2
Version: 1.0
Release: 3.fc44
BuildArch: noarch
Vendor: Composed Vendor
Obsoletes: omega < 2:0.9, chi = 1.0-1
Obsoletes: tau <= 3
%changelog
* Mon Jun 09 2025 Ann Other <ann@example.org> - 2:1.0-3
- Fix CVE-2025-1234
- Größe

* Mon Jan 06 2025 Ann Other <ann@example.org> - 1.0-1
- first
%install
mkdir -p %{buildroot}/etc %{buildroot}/usr/share/alpha %{buildroot}/var/log
echo conf > %{buildroot}/etc/alpha.conf
echo data > %{buildroot}/usr/share/alpha/data
ln -s data %{buildroot}/usr/share/alpha/link
touch %{buildroot}/var/log/alpha
%files
%config(noreplace) /etc/alpha.conf
/usr/share/alpha
%ghost /var/log/alpha
""",
    "beta": "Version: 1~rc1^git2\nRelease: 1\n%package libs\nSummary: L\n%description libs\nL\n%files\n%files libs\n",
    "kernel": "Version: 6.9\nRelease: 1\n%files\n",
    "kernel-next": "Name: kernel\nVersion: 6.10\nRelease: 1\n%files\n",
}


def build(folder: Path, name: str, spec: str, target: str = "x86_64") -> None:
    head = "" if "Name:" in spec else f"Name: {name}\n"
    tags, section, rest = spec.partition("\n%")
    text = f"{head}{tags}\nSummary: composed\nLicense: MIT\n%description\nComposed.\n{section[1:]}{rest}"
    (folder / f"{name}.spec").write_text(text)
    command = [
        "rpmbuild",
        "-bb",
        "--quiet",
        f"--target={target}",
        f"--define=_topdir {folder}",
        f"{folder / name}.spec",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that the real rpm made of packages that the real rpmbuild built."""
    if NO_RPM:
        pytest.skip("builds packages with rpmbuild, which is not installed")
    folder = tmp_path_factory.mktemp("rpm")
    for name, spec in SPECS.items():
        build(folder, name, spec)
    build(folder, "beta", SPECS["beta"], "i686")
    files = sorted(map(str, folder.glob("RPMS/*/*.rpm")))
    options = ["--justdb", "--nodeps", "--ignorearch", "--noscripts", "--force"]
    subprocess.run(["rpm", f"--dbpath={folder / 'db'}", "-i", *options, *files], check=True, capture_output=True)
    return folder / "db"


def test_the_rows_of_a_real_database_are_those_of_rpm(installed: Path) -> None:
    asked = "%{NAME}\t%{ARCH}\t%{EVR}\t%{SOURCERPM}\t%{VENDOR}\t%{SIZE}\n"
    done = subprocess.run(
        ["rpm", f"--dbpath={installed}", "-qa", f"--qf={asked}"], check=True, capture_output=True, text=True
    )
    said = sorted(line.split("\t") for line in done.stdout.splitlines())

    found = read_path(installed, EVERYTHING)

    assert len(said) == 7
    assert rows(found) == sorted(
        (n, a, evr, source.rsplit("-", 2)[0], None if vendor == "(none)" else vendor)
        for n, a, evr, source, vendor, _ in said
    )
    assert found.details is not None
    assert found.details.sizes == {Identity("rpm", n, a): int(size) for n, a, *_, size in said}


def test_what_else_rpm_knows_is_read_from_a_real_database(installed: Path) -> None:
    details = read_path(installed, EVERYTHING).details

    assert details is not None
    assert details.obsoletes == {
        Identity("rpm", "alpha", "noarch"): (
            Obsolete("chi", "=", "1.0-1"),
            Obsolete("omega", "<", "2:0.9"),
            Obsolete("tau", "<=", "3"),
        )
    }
    assert details.changelogs == {
        "alpha": (
            ChangelogEntry(1749470400, "Ann Other <ann@example.org> - 2:1.0-3", "- Fix CVE-2025-1234\n- Größe"),
            ChangelogEntry(1736164800, "Ann Other <ann@example.org> - 1.0-1", "- first"),
        )
    }
    assert dict(details.files) == {
        "/etc/alpha.conf": PackagedFile(
            "sha256:8d0d4c8a1e6ab75ae2f81abf1e1e66ce1ab7be53c7b8f245a41907fc45b3a801", config=True
        ),
        "/usr/share/alpha/data": PackagedFile(
            "sha256:6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f", config=False
        ),
    }


# -------------------------------------------------------------------------------------------- live and stale


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A database with a writer: 88 rows in the file, of which the log removes 9."""
    path = sqlite_database(tmp_path / "rpmdb.sqlite", (package(f"p{n:02}") for n in range(88)))
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("DELETE FROM Packages WHERE hnum > 79")
        writer.commit()
        yield path


def test_a_live_log_counts_and_nothing_is_written_beside_it(live: Path) -> None:
    before = {file: file.read_bytes() for file in live.parent.iterdir()}

    found = read_rpm(live)

    assert len(found.packages) == 79
    assert {file: file.read_bytes() for file in live.parent.iterdir()} == before


def test_the_log_counts_for_a_database_in_memory_too(live: Path) -> None:
    content, wal = live.read_bytes(), live.with_name("rpmdb.sqlite-wal").read_bytes()

    assert len(read_rpm_bytes(content, wal).packages) == 79
    assert len(read_rpm_bytes(content, b"").packages) == 88
    assert len(read_rpm_bytes(content).packages) == 88


def test_a_log_that_ends_in_the_middle_of_a_write_counts_up_to_there(live: Path) -> None:
    wal = live.with_name("rpmdb.sqlite-wal").read_bytes()

    assert len(read_rpm_bytes(live.read_bytes(), wal[:-100]).packages) == 88


def test_a_change_that_was_never_finished_does_not_count(tmp_path: Path) -> None:
    """A rollback journal that is left over holds the pages as they were before."""
    path = sqlite_database(tmp_path / "rpmdb.sqlite", (package(f"p{n}", vendor="v" * 900) for n in range(300)))
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("PRAGMA cache_size = 5")
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("DELETE FROM Packages WHERE hnum > 1")
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in tmp_path.glob("rpmdb.sqlite*"):
            shutil.copy(file, copy)
        writer.execute("ROLLBACK")

    assert (copy / "rpmdb.sqlite-journal").stat().st_size > 0
    assert len(read_rpm(copy / "rpmdb.sqlite").packages) == 300


# --------------------------------------------------------------------------------------- what is none of them


@pytest.mark.parametrize("write", [sqlite_database, ndb_database])
def test_an_empty_database_is_an_empty_list(write: Write, tmp_path: Path) -> None:
    assert len(read_rpm(write(tmp_path / "db", iter(()))).packages) == 0


@pytest.mark.parametrize("write", [sqlite_database, ndb_database])
def test_many_packages_are_all_there(write: Write, tmp_path: Path) -> None:
    found = read_rpm(write(tmp_path / "db", (package(f"p{n:03}") for n in range(600))))

    assert names(found) == [f"p{n:03}" for n in range(600)]


def test_berkeley_db_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for magic in (b"\x61\x15\x06\x00", b"\x00\x06\x15\x61", b"\x62\x31\x05\x00"):
        path = tmp_path / "Packages"
        path.write_bytes(b"\0" * 12 + magic + b"\0" * 4080)

        with pytest.raises(Malformed, match="`Packages` cannot be read: it is a Berkeley DB") as refused:
            read_rpm(path)
        assert "rpmdb --rebuilddb" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"hello, world, hello", "it is neither SQLite nor ndb: it begins with `68656c6c6f2c2077`"),
        (b"SQLite format 3\0", "it is no SQLite database that can be read"),
        (b"SQLite format 3\0" + b"\xff" * 9000, "it is no SQLite database that can be read"),
        (b"RpmP", "its header is cut"),
        (b"RpmP" + b"\1\0\0\0" + b"\0" * 5000, "it is no ndb database of version 0"),
        (b"RpmP" + b"\0" * 5000, "it claims 0 pages of slots"),
        (b"RpmP" + b"\0" * 8 + b"\xff" * 4 + b"\0" * 5000, "it claims 4294967295 pages of slots"),
        (b"RpmP" + b"\0" * 8 + b"\1\0\0\0" + b"\0" * 5000, "its slot 2 is corrupt"),
    ],
)
def test_what_is_no_database_is_refused_by_what_is_wrong(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rpmdb.sqlite"
    path.write_bytes(content)

    with pytest.raises(Malformed, match=said):
        read_rpm(path)


def test_a_database_that_is_not_there_or_a_folder_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(NotFound, match="cannot be read"):
            read_rpm(path)


SLOW = "instr(zeroblob(60000000), zeroblob(30000000) || x'01')"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE TABLE Other (x)", "it has no table `Packages`"),
        ("CREATE VIEW Packages AS SELECT 1 AS hnum, zeroblob(9) AS blob", "it has no table `Packages`"),
        ("CREATE VIRTUAL TABLE Packages USING fts4(blob)", "it has no table `Packages`"),
        (f"CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB AS ({SLOW}))", "is none of rpm's"),
        (f"CREATE TABLE Packages (x AS ({SLOW}), blob BLOB)", "is none of rpm's"),
        ("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY)", "is none of rpm's"),
        ("CREATE TABLE Packages (blob)", "row 1 of its table `Packages` holds no header"),
        ("CREATE TABLE Packages (blob TEXT DEFAULT 'x')", "row 1 of its table `Packages` holds no header"),
        ("CREATE TABLE Packages (blob PRIMARY KEY DEFAULT 'x') WITHOUT ROWID", "it is no SQLite database that can be"),
    ],
)
def test_a_schema_that_is_not_rpms_is_refused_and_none_of_it_runs(statement: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rpmdb.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)
        if statement.startswith("CREATE TABLE Packages") and SLOW not in statement:
            database.execute("INSERT INTO Packages DEFAULT VALUES")

    with pytest.raises(Malformed, match=said):
        read_rpm(path)


def test_pages_that_are_pointed_to_again_and_again_come_to_an_end(tmp_path: Path) -> None:
    """Two hundred entries of the root that all lead to the same leaf would be read two hundred times."""
    path = sqlite_database(tmp_path / "db", (package(f"p{n}", vendor="v" * 1500) for n in range(500)))
    with closing(sqlite3.connect(path)) as database:
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'Packages'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
        database.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(path.read_bytes())
    page = (root - 1) * size
    assert content[page] == 5, "the root is no inner page: make more rows"
    cells = int.from_bytes(content[page + 3 : page + 5], "big")
    places = [int.from_bytes(content[page + 12 + 2 * n : page + 14 + 2 * n], "big") for n in range(cells)]
    leaf = content[page + places[0] : page + places[0] + 4]
    for place in places:
        content[page + place : page + place + 4] = leaf
    path.write_bytes(content)

    with pytest.raises(Malformed, match="is one that it cannot have: its pages overlap"):
        read_rpm(path)


def test_a_corrupt_package_is_refused_and_named(tmp_path: Path) -> None:
    for write in (sqlite_database, ndb_database):
        blobs = iter([package("fine"), package("fine") + b"\0"])
        with pytest.raises(Malformed, match="package 2: its header claims 5 entries"):
            read_rpm(write(tmp_path / write.__name__, blobs))


@pytest.mark.parametrize(
    ("place", "byte", "said"),
    [
        (4096, 0, "package 1 is corrupt: its head and tail do not fit"),
        (4096 + 12, 0xFF, "package 1 is corrupt: its head and tail do not fit"),
        (4096 + 40, 0xFF, "package 1 is corrupt: its checksum is wrong"),
        (32 + 9, 0xFF, "its slot 2 names blocks 65280 to"),
        (32 + 12, 0xFF, "its slot 2 names blocks 256 to"),
        (48 + 9, 1, "overlaps another one"),
    ],
)
def test_an_ndb_with_a_byte_changed_is_refused(place: int, byte: int, said: str, tmp_path: Path) -> None:
    path = ndb_database(tmp_path / "Packages.db", [package("a"), package("b")])
    content = bytearray(path.read_bytes())
    content[place] = byte
    if "overlaps" in said:
        content[48 + 8] = 0
    path.write_bytes(content)

    with pytest.raises(Malformed, match=said):
        read_rpm(path)


# -------------------------------------------------------------------------------------------------- fuzzing

DATABASES = {"sqlite": (sqlite_database, 4096 * 4), "ndb": (ndb_database, 4096 * 2)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    blobs = [package(f"p{n}", vendor="v" * 300) for n in range(20)]
    return {name: write(folder / name, iter(blobs)).read_bytes() for name, (write, _) in DATABASES.items()}


@pytest.mark.parametrize("kind", DATABASES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_database_with_bytes_changed_or_cut_is_read_or_refused(
    kind: str, data: st.DataObject, whole: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(whole[kind])
    near = st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1))
    for place, byte in data.draw(st.lists(st.tuples(near, st.integers(0, 255)), max_size=20)):
        content[place] = byte
    path = tmp_path / "db"
    path.write_bytes(content[: data.draw(st.one_of(st.none(), st.integers(0, len(content))))])
    with suppress(RelmanError):
        read_rpm(path, EVERYTHING)


# ----------------------------------------------------------------------------------------------- finding them


def make(path: Path, *packages: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite_database(path, map(package, packages))


def test_a_file_is_read_by_what_it_is_and_not_by_its_name(tmp_path: Path) -> None:
    database = make(tmp_path / "any.name", "a")
    status = tmp_path / "status"
    status.write_text("Package: b\nStatus: install ok installed\nVersion: 1\n")

    assert locate(database) == (Located(Kind.RPM, database),)
    assert names(read_path(database)) == ["a"]
    assert locate(status) == (Located(Kind.DPKG, status),)
    assert names(read_path(status)) == ["b"]


@pytest.mark.parametrize("name", ["rpmdb.sqlite", "Packages.db", "Packages"])
def test_a_folder_of_rpm_is_read_whatever_its_format(name: str, tmp_path: Path) -> None:
    (tmp_path / "rpmdb.sqlite").touch()
    write = ndb_database if name == "Packages.db" else sqlite_database
    (tmp_path / name).unlink(missing_ok=True)
    path = write(tmp_path / name, iter([package("a")]))

    assert locate(tmp_path) == (Located(Kind.RPM, path),)


@pytest.mark.parametrize("place", ["usr/share/rpm", "usr/lib/sysimage/rpm", "var/lib/rpm"])
def test_the_root_of_a_file_tree_is_searched(place: str, tmp_path: Path) -> None:
    make(tmp_path / "usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite", "base")
    path = make(tmp_path / place / "rpmdb.sqlite", "real")

    assert locate(tmp_path) == (Located(Kind.RPM, path),)
    assert names(read_path(tmp_path)) == ["real"]


def test_the_base_images_list_alone_is_no_list(tmp_path: Path) -> None:
    make(tmp_path / "usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite", "base")

    with pytest.raises(NotFound, match="holds no package database"):
        locate(tmp_path)


@pytest.mark.parametrize("target", ["../../../share/rpm", "/usr/share/rpm", "/../../usr/share/rpm"])
def test_links_are_followed_as_if_the_tree_were_the_root(target: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    path = make(root / "usr/share/rpm/elsewhere", "a").parent
    (path / "elsewhere").rename(path / "Packages")
    (root / "usr/lib/sysimage").mkdir(parents=True)
    (root / "usr/lib/sysimage/rpm").symlink_to(target)
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/rpm").symlink_to("/usr/lib/sysimage/rpm")

    assert locate(root) == (Located(Kind.RPM, root / "usr/share/rpm/Packages"),)


def test_a_link_out_of_the_tree_leads_nowhere(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside/rpmdb.sqlite", "secret")
    root = tmp_path / "root"
    (root / "usr/share/rpm").mkdir(parents=True)
    (root / "usr/share/rpm/rpmdb.sqlite").symlink_to(outside)
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/rpm").symlink_to("../../../outside")
    (root / "var/lib/dpkg").mkdir()
    (root / "var/lib/dpkg/status").symlink_to("/var/lib/dpkg/status")
    (root / "usr/lib/sysimage").mkdir(parents=True)
    (root / "usr/lib/sysimage/rpm").symlink_to("rpm")

    with pytest.raises(NotFound, match="holds no package database"):
        locate(root)


def test_every_kind_of_database_in_a_tree_counts_and_empty_ones_do_not(tmp_path: Path) -> None:
    make(tmp_path / "var/lib/rpm/rpmdb.sqlite")
    dpkg = tmp_path / "var/lib/dpkg"
    (dpkg / "status.d").mkdir(parents=True)
    (dpkg / "status.d/b").write_text("Package: b\nVersion: 1\nArchitecture: all\n")
    local = tmp_path / "var/lib/pacman/local"
    (local / "c-1-1").mkdir(parents=True)
    (local / "c-1-1/desc").write_text("%NAME%\nc\n\n%VERSION%\n1-1\n")
    (local / "ALPM_DB_VERSION").write_text("9\n")

    assert [located.kind for located in locate(tmp_path)] == [Kind.RPM, Kind.DPKG, Kind.PACMAN]
    found = read_path(tmp_path, EVERYTHING)
    assert list(found.packages) == [Package("alpm", "c", None, "1-1", "c"), Package("deb", "b", "all", "1", "b")]
    assert Capability.VENDOR not in found.capabilities
    assert names(read_path(dpkg)) == ["b"]
    assert names(read_path(local)) == names(read_path(local.parent)) == ["c"]


def test_files_of_dpkg_are_read_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "info").mkdir()
    (tmp_path / "status").write_text("Package: b\nStatus: install ok installed\nVersion: 1\n")
    (tmp_path / "info/b.md5sums").write_text("00  usr/bin/b\n")

    for wants, files in (
        (frozenset({Capability.FILES}), {"/usr/bin/b": PackagedFile("md5:00", False)}),
        (frozenset(), {}),
    ):
        details = read_path(tmp_path, wants).details
        assert details is not None
        assert dict(details.files) == files


def test_a_tree_whose_databases_are_all_empty_is_an_error(tmp_path: Path) -> None:
    make(tmp_path / "var/lib/rpm/rpmdb.sqlite")

    with pytest.raises(Malformed, match="lists no packages"):
        read_path(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("x", b"\0\1\2"), ("status", b"\0"), ("x.json", b"{}")])
def test_a_file_that_is_no_database_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(Malformed, match=f"{name}` is no package database"):
        locate(tmp_path / name)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(NotFound):
            read_path(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said_so(tmp_path: Path) -> None:
    path = make(tmp_path / "rpmdb.sqlite", "a")
    path.chmod(0)

    with pytest.raises(NotFound, match="Permission denied"):
        read_rpm(path)


def test_lists_are_merged_to_what_all_of_them_know(tmp_path: Path) -> None:
    one = read_rpm(
        sqlite_database(tmp_path / "one", [package("a", size=1), package("gpg-pubkey", "k", "1", arch=None)])
    )
    two = read_rpm(sqlite_database(tmp_path / "two", [package("b", size=2)]))

    found = merged([one, two])

    assert (names(found), found.keys) == (["a", "b"], ("k-1",))
    assert found.details is not None
    assert found.details.sizes == {Identity("rpm", "a", "x86_64"): 1, Identity("rpm", "b", "x86_64"): 2}
    assert merged([one]) is one
    with pytest.raises(ValueError, match="no list to merge"):
        merged([])
