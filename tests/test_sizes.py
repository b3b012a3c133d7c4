"""What a user downloads from one build to the next, and how the notes say it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.model.changelog import Section
from relman.model.download import Download, download
from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, parse_repository
from relman.model.release import Candidate, Predecessor, Release
from relman.model.streams import Place, Variant
from relman.plugin import SectionsContext
from relman.render import Templates
from relman_plugins.changelog.size import megabytes, relman_sections
from tests.compact_lists import AMD64, ARM64, BUILT

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def image(*layers: tuple[str, int], platform: Platform = AMD64) -> PlatformImage:
    described = tuple(Descriptor(LAYER, Digest.of(name.encode()), size) for name, size in layers)
    manifest = Descriptor("application/vnd.oci.image.manifest.v1+json", Digest.of(repr(layers).encode()), 1)
    return PlatformImage(platform, manifest, {}, BUILT, sum(size for _, size in layers), described)


def test_layers_that_both_have_are_not_downloaded() -> None:
    before = image(("base", 900), ("old", 50), ("kept", 7))
    after = image(("base", 900), ("kept", 7), ("new", 60), ("more", 3))

    assert download(before, after) == Download(2, 2, 63, 957, 970)


def test_the_same_image_is_no_download() -> None:
    same = image(("base", 900), ("kept", 7))

    assert download(same, same) == Download(2, 0, 0, 907, 907)


def test_a_layer_that_is_there_twice_is_downloaded_once() -> None:
    assert download(image(("base", 1)), image(("base", 1), ("new", 5), ("new", 5))) == Download(1, 1, 5, 1, 11)


def test_without_layers_nothing_is_known() -> None:
    assert download(image(), image(("a", 1))) is None
    assert download(image(("a", 1)), image()) is None


layers = st.dictionaries(st.sampled_from("abcdefgh"), st.just(0), min_size=1).map(
    lambda names: [(name, ord(name) * 1000) for name in names]
)


@given(layers, layers)
def test_every_layer_is_shared_or_new_and_only_new_ones_cost(
    old: list[tuple[str, int]], new: list[tuple[str, int]]
) -> None:
    step = download(image(*old), image(*new))

    assert step is not None
    assert step.shared_layers + step.new_layers == len(new)
    assert step.new_bytes == sum(size for name, size in new if (name, size) not in old)
    assert (step.size_before, step.size_after) == (sum(s for _, s in old), sum(s for _, s in new))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (1, "<0.1"),
        (49_999, "<0.1"),
        (50_000, "0.1"),
        (1_234_567, "1.2"),
        (99_940_000, "99.9"),
        (99_960_000, "100"),
        (4_812_345_678, "4,812"),
    ],
)
def test_sizes_are_in_millions_of_bytes(size: int, text: str) -> None:
    assert megabytes(size) == text


# ------------------------------------------------------------------------------------------ the section


def whole(name: str, parts: Sequence[PlatformImage]) -> Image:
    reference = parse_repository(f"registry.example/{name}").digest(Digest.of(repr((name, parts)).encode()))
    return Image(reference, "application/vnd.oci.image.index.v1+json", tuple(parts))


def candidate(name: str, after: Sequence[PlatformImage], before: Sequence[PlatformImage] | None) -> Candidate:
    place = Place(Variant(name, name), parse_repository(f"registry.example/{name}"))
    old = whole(name, before) if before is not None else None
    follows = Predecessor("stable-1", Digest.of(b"old"), old, "composed")
    return Candidate(place, whole(name, after), tuple(part.platform for part in after), follows=follows)


def sections(*candidates: Candidate) -> list[Section]:
    release = Release("0" * 16, "OS", "stable", None, "stable-2", None, None, candidates) if candidates else None
    context = SectionsContext(release, (), (), (), None, lambda model: (), None, Templates().command)
    return list(relman_sections(context))


OLD, NEW = image(("base", 2_000_000_000), ("old", 5_000_000)), image(("base", 2_000_000_000), ("new", 61_240_000))


def test_the_notes_have_one_table_of_downloads_and_sizes() -> None:
    arm = replace(NEW, platform=ARM64)

    (section,) = sections(
        candidate("bluefin", [NEW], [OLD]),
        candidate("bluefin-dx", [NEW, arm], [OLD, replace(arm, layers=OLD.layers, size=OLD.size)]),
        candidate("same", [NEW], [NEW]),
    )

    assert section == Section(
        "size",
        60,
        "Size",
        "| Image | Download | Size |\n"
        "| --- | ---: | ---: |\n"
        "| bluefin | 61.2 MB in 1 of 2 layers | 2,005 → 2,061 MB |\n"
        "| bluefin-dx (linux/amd64) | 61.2 MB in 1 of 2 layers | 2,005 → 2,061 MB |\n"
        "| bluefin-dx (linux/arm64) | 61.2 MB in 1 of 2 layers | 2,005 → 2,061 MB |\n"
        "| same | 0 MB in 0 of 2 layers | 2,061 → 2,061 MB |",
    )


def test_an_image_without_a_predecessor_in_the_registry_has_no_row() -> None:
    (section,) = sections(candidate("a", [NEW], [OLD]), candidate("b", [NEW], None))

    assert "| a |" in section.markdown
    assert "| b |" not in section.markdown
    assert sections(candidate("b", [NEW], None)) == []


def test_a_platform_that_is_new_has_no_row() -> None:
    (section,) = sections(candidate("a", [NEW, replace(NEW, platform=ARM64)], [OLD]))

    assert section.markdown.count("linux/") == 1


def test_two_images_given_by_hand_have_no_such_section() -> None:
    assert sections() == []
