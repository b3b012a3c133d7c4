"""Asking the sources of contents: in their order, until one serves; else every reason, and what to do.

Where more than the list is wanted, those that know it may come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from relman.config.values import Packages
from relman.errors import Malformed, Unequipped
from relman.hookspecs import ImageUnderRead
from relman.model.contents import (
    EXACT,
    Capability,
    ChangelogEntry,
    Contents,
    Details,
    Package,
    PackageSet,
    Unavailable,
)
from relman.model.details import DiffDetails
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, PlatformImage, parse_reference
from relman.testing import MemoryRegistry
from relman.walk.comparing import Comparer, Pair
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


# ------------------------------------------------------------------------------- more than the list is wanted

RICH = EXACT | {Capability.CHANGELOG}
WANTS = frozenset({Capability.CHANGELOG})
PINNED = parse_reference("ghcr.io/a/b:c")


@dataclass
class Database(Source):
    """A source that may know changelogs (``knows``: these do)."""

    capabilities: frozenset[Capability] = RICH
    knows: bool = True
    asked: int = 0

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        self.asked += 1
        found = super().read(image)
        if isinstance(found, Unavailable) or not (self.knows and image.wants):
            return found
        logs = {"p1": (ChangelogEntry(1, "A", "- text"),)}
        return replace(found, capabilities=RICH, details=Details(changelogs=logs))


def wanting(*sources: Source, richest: bool) -> Inspector:
    packages = Packages(sources=("sbom", "label", "rpmdb"), minimum=2)
    return Inspector(sources, packages, MemoryRegistry(), wants=WANTS, richest=richest)


def test_what_can_know_more_is_asked_first_where_that_is_wanted() -> None:
    sources = Source("sbom", 3), Database("rpmdb", 3)

    rich, configured = (wanting(*sources, richest=richest).detailed(PINNED, IMAGE) for richest in (True, False))

    assert (rich.source, rich.capabilities, rich.passed_over) == ("rpmdb", RICH, ())
    assert (configured.source, configured.capabilities) == ("sbom", EXACT)


def test_where_none_knows_more_the_first_that_has_a_list_serves_and_the_reasons_are_kept() -> None:
    found = wanting(Source("sbom", 1), Source("label", 3), Database("rpmdb", None), richest=True)

    contents = found.detailed(PINNED, IMAGE)

    assert contents.source == "label"
    assert contents.passed_over == (
        "rpmdb: nothing at `ghcr.io/a/b:c`",
        "sbom: lists 1 packages, fewer than the 2 of `[packages] minimum`: a list that was cut, or a placeholder",
    )


def test_a_database_without_changelogs_serves_only_where_no_other_source_has_them() -> None:
    bare, other = Database("rpmdb", 3, knows=False), Database("label", 3)

    assert wanting(bare, richest=True).detailed(PINNED, IMAGE).source == "rpmdb"
    assert wanting(Database("sbom", 3, knows=False), other, richest=True).detailed(PINNED, IMAGE).source == "label"
    assert wanting(bare, Source("sbom", 3), richest=True).detailed(PINNED, IMAGE).source == "rpmdb"


def test_changelogs_are_handed_out_and_not_held() -> None:
    source = Database("rpmdb", 3)
    one = wanting(source, richest=True)

    detailed, plain, again = one.detailed(PINNED, IMAGE), one.contents(PINNED, IMAGE), one.detailed(PINNED, IMAGE)

    assert plain == detailed.plain != detailed == again
    assert (plain.capabilities, plain.details) == (EXACT, Details())
    assert source.asked == 2


def test_what_no_source_kept_is_read_once() -> None:
    source = Database("rpmdb", 3, knows=False)
    one = wanting(source, richest=True)

    assert one.detailed(PINNED, IMAGE) is one.detailed(PINNED, IMAGE) is one.contents(PINNED, IMAGE)
    assert source.asked == 1


def comparer(source: Source) -> Comparer:
    return Comparer(wanting(source, richest=True), Packages(minimum=2), lambda _digest: None)


def test_one_image_on_both_sides_is_read_once() -> None:
    source = Database("rpmdb", 3)

    diff, details = comparer(source).diff((PINNED, IMAGE), (PINNED, IMAGE))

    assert (diff.changes, details) == ((), DiffDetails(changelogs=(), security=()))
    assert source.asked == 1


def test_what_was_compared_no_longer_holds_changelogs() -> None:
    other = replace(IMAGE, manifest=replace(IMAGE.manifest, digest=Digest.of(b"other")))
    pair = Pair("os", None, LINUX_AMD64, (PINNED, IMAGE), (PINNED, other), IMAGE.manifest.digest, None)

    (one,) = comparer(Database("rpmdb", 3)).compare([pair])

    assert one.details == DiffDetails(changelogs=(), security=())
    assert one.before is not None
    assert (one.before.capabilities, one.after.capabilities) == (EXACT, EXACT)
    assert (one.before.details, one.after.details) == (Details(), Details())


def test_a_file_given_by_hand_is_not_said_to_have_been_passed_over() -> None:
    found = inspector(Source("sbom", None), Source("label", 3)).contents(parse_reference("sbom:list.json"), None)

    assert found.passed_over == ()


# ------------------------------------------------------------------------------------- an SBOM that stands in


def test_an_sbom_on_disk_stands_for_an_image_and_says_so() -> None:
    one = inspector(Source("sbom", 3), Source("label", 5))
    one.stand_in(parse_reference("sbom:/folder/list.json"), "list.json", IMAGE)

    found = one.contents(PINNED, IMAGE)

    assert (found.source, len(found.packages)) == ("sbom:list.json", 3)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Source("sbom", 1), "lists 1 packages, fewer than the 2 of `[packages] minimum`"),
        (Source("sbom", None), "nothing at `sbom:/folder/list.json`"),
    ],
)
def test_a_file_that_is_no_list_stands_for_nothing(source: Source, reason: str) -> None:
    with pytest.raises(Malformed, match=re.escape(f"(linux/amd64): {reason}")):
        inspector(source, Source("label", 5)).stand_in(parse_reference("sbom:/folder/list.json"), "list.json", IMAGE)


def test_without_the_plugin_no_sbom_can_stand_in() -> None:
    with pytest.raises(Unequipped, match="no plugin offers the source `sbom`"):
        inspector(Source("label", 5)).stand_in(parse_reference("sbom:list.json"), "list.json", IMAGE)
