"""Lists of contents: what is the same package, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.model.contents import Capability, Contents, Identity, Package, PackageSet

KERNELS = ("6.19.9-200.fc44", "6.19.10-200.fc44", "6.19.2-200.fc44")


def kernel(version: str, arch: str | None = "x86_64") -> Package:
    return Package("rpm", "kernel", arch, version)


def test_a_package_keeps_all_its_versions_in_order() -> None:
    packages = PackageSet(map(kernel, KERNELS))

    assert [package.version for package in packages.get(Identity("rpm", "kernel", "x86_64"))] == [
        "6.19.2-200.fc44",
        "6.19.9-200.fc44",
        "6.19.10-200.fc44",
    ]
    assert len(packages) == 3


def test_the_same_package_twice_is_there_once() -> None:
    assert PackageSet([kernel("1-1"), kernel("1-1")]) == PackageSet([kernel("1-1")])


def test_another_arch_or_ecosystem_is_another_package() -> None:
    packages = PackageSet(
        [kernel("1-1"), kernel("1-1", "i686"), kernel("1-1", None), Package("deb", "kernel", None, "1")]
    )

    assert [(p.ecosystem, p.arch) for p in packages] == [
        ("deb", None),
        ("rpm", None),
        ("rpm", "i686"),
        ("rpm", "x86_64"),
    ]


def test_what_is_not_installed_has_no_versions() -> None:
    assert PackageSet([]).get(Identity("rpm", "kernel", None)) == ()
    assert len(PackageSet([])) == 0


@pytest.mark.parametrize(("ecosystem", "name", "version"), [("", "a", "1"), ("rpm", "", "1"), ("rpm", "a", "")])
def test_a_package_without_ecosystem_name_or_version_is_refused(ecosystem: str, name: str, version: str) -> None:
    with pytest.raises(ValueError, match="a package needs ecosystem, name and version"):
        Package(ecosystem, name, None, version)


def test_contents_need_the_name_of_their_source() -> None:
    with pytest.raises(ValueError, match="need the name of their source"):
        Contents(PackageSet([]), "", frozenset({Capability.ARCH}))


PACKAGES = st.builds(
    Package,
    st.sampled_from(["rpm", "deb", "npm"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from([None, "noarch"]),
    st.sampled_from(["1-1", "1.0-1", "01-1", "1~a-1", "1:0-1"]),
)


@given(st.lists(PACKAGES), st.randoms())
def test_a_set_does_not_depend_on_the_order_of_the_list(packages: list[Package], chance: object) -> None:
    shuffled = list(packages)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    one, two = PackageSet(packages), PackageSet(shuffled)

    assert one == two
    assert list(one) == list(two)
    assert hash(one) == hash(two)
    assert len(one) == len({(p.identity, p.version) for p in packages})
