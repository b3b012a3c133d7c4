"""dpkg's database: what counts as installed, and the same rows as `dpkg-query`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.model.contents import Capability, Contents, Identity, Obsolete, Package, PackagedFile
from relman.plugin import Malformed
from relman_plugins.inspect.databases import read_dpkg

FILES = frozenset({Capability.FILES})
STATUS = Path("/var/lib/dpkg/status")
MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def paragraph(
    name: str = "a", version: str = "1", arch: str = "amd64", status: str = "install ok installed", **more: str
) -> str:
    lines = [f"Package: {name}", f"Status: {status}", f"Architecture: {arch}", f"Version: {version}"]
    return "\n".join([*lines, *(f"{key.replace('_', '-')}: {value}" for key, value in more.items())]) + "\n\n"


def read(
    *paragraphs: str, wants: frozenset[Capability] = frozenset(), info: dict[str, bytes] | None = None
) -> Contents:
    return read_dpkg("".join(paragraphs).encode(), info=info or {}, wants=wants)


def packages(*paragraphs: str) -> list[Package]:
    return list(read(*paragraphs).packages)


@pytest.mark.parametrize(
    ("status", "installed"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("deinstall ok installed", True),
        ("install reinstreq installed", True),
        ("install ok triggers-pending", True),
        ("install ok triggers-awaited", True),
        ("deinstall ok config-files", False),
        ("purge ok not-installed", False),
        ("install ok half-installed", False),
        ("install ok unpacked", False),
        ("", False),
    ],
)
def test_what_is_there_counts_whatever_is_wanted_of_it(status: str, installed: bool) -> None:
    assert packages(paragraph(status=status)) == ([Package("deb", "a", "amd64", "1", "a")] if installed else [])


def test_a_package_of_two_architectures_is_two() -> None:
    found = packages(paragraph("libc6", "2.36-9", "i386", Source="glibc"), paragraph("libc6", "2.36-9", Source="glibc"))

    assert found == [
        Package("deb", "libc6", "amd64", "2.36-9", "glibc"),
        Package("deb", "libc6", "i386", "2.36-9", "glibc"),
    ]


def test_a_source_package_may_have_a_version_of_its_own() -> None:
    assert [
        p.source for p in packages(paragraph("a", Source="src (1:2-3)"), paragraph("b", Source="src2"), paragraph("c"))
    ] == [
        "src",
        "src2",
        "c",
    ]


def test_versions_are_as_dpkg_prints_them_and_sizes_are_bytes() -> None:
    found = read(paragraph(version="2:1.0~rc1+dfsg-1+b2", Installed_Size="12"))

    assert [p.version for p in found.packages] == ["2:1.0~rc1+dfsg-1+b2"]
    assert found.details is not None
    assert found.details.sizes == {Identity("deb", "a", "amd64"): 12 * 1024}


def test_what_is_replaced_and_cannot_stay_is_obsoleted() -> None:
    found = read(
        paragraph(
            "libfoo1t64",
            Replaces="libfoo1, bar (<< 2), baz:any (>> 3)",
            Breaks="libfoo1 (<< 1.2), baz",
            Conflicts="qux",
        )
    )

    assert found.details is not None
    assert found.details.obsoletes == {
        Identity("deb", "libfoo1t64", "amd64"): (Obsolete("libfoo1"), Obsolete("baz", ">", "3"))
    }


def test_field_names_have_any_case_and_fields_may_go_on_and_on() -> None:
    text = (
        "package: a\nSTATUS: install ok installed\n"
        "Description: short\n long\n .\n more: with colon\n\tand a tab\nversion:1\n"
    )

    assert packages(text) == [Package("deb", "a", None, "1", "a")]


def test_windows_and_many_empty_lines_part_packages_all_the_same() -> None:
    assert len(packages("\n\n", paragraph("a"), "\n \n\n", paragraph("b").rstrip())) == 2


def test_distroless_images_have_a_file_a_package() -> None:
    found = read_dpkg(
        None,
        {
            "base": b"Package: base-files\nVersion: 12.4\nArchitecture: amd64\nSource: base\n",
            "base.md5sums": f"{MD5}  etc/debian_version\n".encode(),
            "gone": paragraph("gone", status="deinstall ok config-files").encode(),
            "tz": paragraph("tzdata", "2024a-0").encode(),
            "tz.md5sums": b"",
        },
        wants=FILES,
    )

    assert list(found.packages) == [
        Package("deb", "base-files", "amd64", "12.4", "base"),
        Package("deb", "tzdata", "amd64", "2024a-0", "tzdata"),
    ]


def test_files_are_read_where_they_are_wanted() -> None:
    text = paragraph("a", Conffiles=f"\n /etc/a b.conf {MD5}\n /etc/old {MD5} obsolete\n /etc/new newconffile")
    info = {
        "a:amd64.md5sums": f"{MD5}  usr/bin/a\n{'0' * 32}  usr/share/doc/a  b\n".encode(),
        "b.md5sums": b"no package of this name",
    }

    found = read(text, wants=FILES, info=info)

    assert found.details is not None
    assert dict(found.details.files) == {
        "/etc/a b.conf": PackagedFile(f"md5:{MD5}", True),
        "/usr/bin/a": PackagedFile(f"md5:{MD5}", False),
        "/usr/share/doc/a  b": PackagedFile(f"md5:{'0' * 32}", False),
    }
    assert Capability.FILES in found.capabilities
    assert read(text, info=info).capabilities == found.capabilities - FILES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Package: a\nnonsense\n", "line 2 of `status` is no field: `nonsense`"),
        (" starts\n", "line 1 of `status` continues nothing"),
        ("Package: a\nStatus: install ok installed\n", "package `a`: `` is no version"),
        ("Version: 1\nStatus: install ok installed\n", "package ``: `` is no package"),
        (paragraph("a\x1bb"), r"package `a\\x1bb`: `a\\x1bb` is no package"),
        (paragraph("a" * 2000), "is no package"),
    ],
)
def test_a_broken_status_is_refused_with_its_line_or_package(text: str, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read(text)


def test_files_with_broken_digests_are_refused() -> None:
    with pytest.raises(Malformed, match="the digest of its file `x` is none"):
        read(paragraph(), wants=FILES, info={"a.md5sums": b"nothex  x\n"})


def test_an_empty_database_is_an_empty_list() -> None:
    assert len(read_dpkg(b"").packages) == len(read_dpkg(None).packages) == 0


@given(st.text(alphabet="Package:Status install ok installed\n\tVersion 1\0é", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
        read_dpkg(None, {"x": text.encode()}, {"x.md5sums": text.encode()}, FILES)
    except Malformed:
        pass


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read(paragraph("a"), wants=FILES, info={"a.md5sums": content})
        read_dpkg(content, {"x": content})
    except Malformed:
        pass


@pytest.mark.skipif(
    not STATUS.exists() or shutil.which("dpkg-query") is None, reason="compares with dpkg-query, on Debian's kin alone"
)
def test_the_rows_are_those_of_dpkg_query() -> None:
    asked = "${db:Status-Status}\t${Package}\t${Architecture}\t${Version}\t${source:Package}\t${Installed-Size}\n"
    done = subprocess.run(["dpkg-query", "-W", "-f", asked], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.startswith(("installed\t", "triggers"))]

    found = read_dpkg(STATUS.read_bytes())

    assert found.details is not None
    sizes = found.details.sizes
    assert sorted(
        ["installed", p.name, str(p.arch), p.version, str(p.source), str(sizes.get(p.identity, 0) // 1024 or "")]
        for p in found.packages
    ) == sorted(rows)
