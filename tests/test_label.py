"""Contents from rechunk's label."""

from __future__ import annotations

import json

import pytest

from relman.hookspecs import ContentsContext, ContentsSource, ImageUnderRead
from relman.model.contents import Contents, Package, PackageSet, Unavailable
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, PlatformImage, parse_reference
from relman.testing.registry import MemoryRegistry
from relman_plugins.inspect.label import LABEL, LabelSource, relman_contents_sources

PACKAGES = {"bash": "5.2.32-1.fc41", "kernel": "6.14.3-300.fc42"}
V2 = {
    "version": 2,
    "uniq": "41.20250101.2",
    "packages": PACKAGES,
    "layers": [["kernel", "kernel-core"], ["mesa-filesystem"]],
    "revision": None,
}


def read(text: str | None) -> Contents | Unavailable:
    digest = Digest("sha256:" + "a" * 64)
    labels = {} if text is None else {LABEL: text}
    image = PlatformImage(LINUX_AMD64, Descriptor("application/x", digest, 1), labels, None, 0)
    source: ContentsSource = LabelSource()
    return source.read(ImageUnderRead(parse_reference("ghcr.io/a/b:c"), image, MemoryRegistry()))


@pytest.mark.parametrize("document", [V2, {"version": 1, "uniq": "41.20250101", "packages": PACKAGES}])
def test_both_versions_of_the_label_give_names_and_versions_and_claim_no_more(document: dict[str, object]) -> None:
    assert read(json.dumps(document)) == Contents(
        PackageSet(Package("rpm", name, None, version) for name, version in PACKAGES.items()), "label", frozenset()
    )


def test_a_trusted_key_is_no_package() -> None:
    found = read(json.dumps({**V2, "packages": {**PACKAGES, "gpg-pubkey": "b99058cd-67a3b2c0"}}))

    assert isinstance(found, Contents)
    assert (found.keys, len(found.packages)) == (("b99058cd-67a3b2c0",), 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "the image has no label `dev.hhd.rechunk.info`"),
        ("", "is not what rechunk writes"),
        ("{", "is not what rechunk writes"),
        ("[]", "is not what rechunk writes: Expected `object`, got `array`"),
        ('{"version": 2}', "missing required field `packages`"),
        ('{"packages": {"bash": 5}}', "Expected `str`, got `int`"),
        (json.dumps({**V2, "packages": {}}), "lists no packages"),
        (json.dumps({**V2, "version": 3}), "has version 3 of its format, which is not read"),
        (json.dumps({**V2, "packages": {"bash": ""}}), "is no package's name or version"),
        (json.dumps({**V2, "packages": {"a\nb": "1-1"}}), r"`a\nb` is no package's name or version"),
        (json.dumps({**V2, "packages": {"b" * 2000: "1-1"}}), "is no package's name or version"),
        ('{"packages": ' + "[" * 100_000, "is not what rechunk writes"),
        ("x" * (4 * 1024 * 1024 + 1), "has 4194305 characters, more than the 4194304 that are read"),
    ],
)
def test_a_label_that_is_missing_broken_or_too_large_is_unavailable_and_says_why(text: str | None, reason: str) -> None:
    found = read(text)

    assert isinstance(found, Unavailable)
    assert reason in found.reason


def test_a_file_has_no_labels() -> None:
    found = LabelSource().read(ImageUnderRead(parse_reference("sbom:x.json"), None, MemoryRegistry()))

    assert found == Unavailable("`sbom:x.json` is a file, which has no labels")


def test_the_plugin_offers_one_source() -> None:
    context = ContentsContext(frozenset(), lambda model: ())

    assert [source.name for source in relman_contents_sources(context)] == ["label"]
