"""Asking the sources of contents: in their order, until one serves; else every reason, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from relman.config.values import Packages
from relman.errors import Malformed
from relman.hookspecs import ImageUnderRead
from relman.model.contents import EXACT, Capability, Contents, Package, PackageSet, Unavailable
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, PlatformImage, parse_reference
from relman.testing import MemoryRegistry
from relman.walk.inspect import Inspector

IMAGE = PlatformImage(LINUX_AMD64, Descriptor("application/x", Digest.of(b"composed"), 1), {}, None, 0)


@dataclass
class Source:
    """A source that lists ``count`` packages, or has none."""

    name: str
    count: int | None
    capabilities: frozenset[Capability] = EXACT

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        if self.count is None:
            return Unavailable(f"nothing at `{image.reference}`")
        packages = PackageSet(Package("rpm", f"p{number}", "noarch", "1-1") for number in range(self.count))
        return Contents(packages, self.name, EXACT)


def inspector(*sources: Source) -> Inspector:
    return Inspector(sources, Packages(sources=("sbom", "label", "rpmdb"), minimum=2), MemoryRegistry())


def test_the_first_source_that_has_a_whole_list_serves() -> None:
    found = inspector(Source("label", 3), Source("sbom", 1)).contents(parse_reference("ghcr.io/a/b:c"), IMAGE)

    assert (found.source, len(found.packages)) == ("label", 3)


def test_where_no_source_serves_each_says_why_and_an_image_can_be_given_an_sbom() -> None:
    with pytest.raises(Malformed) as caught:
        inspector(Source("label", None), Source("sbom", 1)).contents(parse_reference("ghcr.io/a/b:c"), IMAGE)

    assert caught.value.message.splitlines() == [
        "cannot tell what is inside `ghcr.io/a/b:c` (linux/amd64): no source serves",
        "  sbom: lists 1 packages, fewer than the 2 of `[packages] minimum`: a list that was cut, or a placeholder",
        "  label: nothing at `ghcr.io/a/b:c`",
        "  rpmdb: no plugin offers it",
    ]
    assert caught.value.hint == (
        "attach an SBOM to the image, or set `[packages] sources` and `minimum` in relman.toml"
    )


def test_nothing_can_be_attached_to_a_file() -> None:
    with pytest.raises(Malformed) as caught:
        inspector(Source("sbom", 1)).contents(parse_reference("sbom:list.json"), None)

    assert caught.value.hint == "set `[packages] sources` and `minimum` in relman.toml"
