"""pacman's database: one `desc` a package."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.model.contents import Capability, Identity, Obsolete, Package
from relman.plugin import Malformed
from relman_plugins.inspect.databases import read_pacman

LIBPULSE = b"""%NAME%
libpulse

%VERSION%
17.0+r43+g3e2bb8a1e-1

%BASE%
pulseaudio

%DESC%
A featureful, general-purpose sound server (client library)
%NAME% is only text here

%ARCH%
x86_64

%BUILDDATE%
1726766042

%PACKAGER%
A Packager <packager@example.org>

%SIZE%
1264581

%LICENSE%
LGPL-2.1-or-later
GPL-2.0-or-later

%REPLACES%
libpulse-simple
old<=2:1.0-1
bad name

"""


def desc(**fields: str) -> bytes:
    return "".join(f"%{key}%\n{value}\n\n" for key, value in fields.items()).encode()


def test_a_package_is_what_its_desc_says() -> None:
    found = read_pacman([("libpulse-17.0/desc", LIBPULSE)])

    identity = Identity("alpm", "libpulse", "x86_64")
    assert list(found.packages) == [Package("alpm", "libpulse", "x86_64", "17.0+r43+g3e2bb8a1e-1", "pulseaudio")]
    assert found.details is not None
    assert found.details.sizes == {identity: 1264581}
    assert found.details.obsoletes == {identity: (Obsolete("libpulse-simple"), Obsolete("old", "<=", "2:1.0-1"))}
    assert Capability.VENDOR not in found.capabilities


def test_a_package_without_a_base_is_its_own_source() -> None:
    (found,) = read_pacman([("x", desc(NAME="a", VERSION="1:2-3", ARCH="any"))]).packages

    assert found == Package("alpm", "a", "any", "1:2-3", "a")


def test_line_ends_of_windows_and_a_missing_last_one_do_not_matter() -> None:
    (found,) = read_pacman([("x", b"%NAME%\r\na\r\n\r\n%VERSION%\r\n1-1")]).packages

    assert found == Package("alpm", "a", None, "1-1", "a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "`x/desc` has `` as its %NAME%"),
        (desc(NAME="a"), "`x/desc` has `` as its %VERSION%"),
        (desc(NAME="a\x1b", VERSION="1"), r"has `a\\x1b` as its %NAME%"),
        (desc(NAME="a" * 2000, VERSION="1"), "as its %NAME%"),
    ],
)
def test_a_broken_desc_is_refused_by_its_name(content: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_pacman([("x/desc", content)])


def test_an_empty_database_is_an_empty_list() -> None:
    assert len(read_pacman([]).packages) == 0


@given(st.one_of(st.binary(max_size=200), st.text("%NAMEVRSIO1a\n\r ").map(str.encode)))
def test_anything_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(Malformed):
        read_pacman([("x", content)])
