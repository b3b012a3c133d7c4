"""What is seen when an image is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.errors import Malformed, NotFound
from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, parse_repository
from relman.registry.look import look_at
from relman.registry.manifests import OCI_CONFIG, OCI_EMPTY, as_json, encode, read_manifest
from relman.registry.protocol import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest
from relman.testing import MemoryRegistry, attach, put_image, put_index

OS = parse_repository("registry.example/os")
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def put_config(registry: MemoryRegistry, config: Any, **manifest: Any) -> Digest:
    """An image with this configuration and a layer of five bytes."""
    encoded = config if isinstance(config, bytes) else encode(config)
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": as_json(Descriptor(OCI_CONFIG, registry.put_blob(OS, encoded), len(encoded))),
        "layers": [as_json(Descriptor("application/x", registry.put_blob(OS, b"layer"), 5))],
        **manifest,
    }
    return registry.put_manifest(OS, encode(value), OCI_MANIFEST, tag="t")


def put_entries(registry: MemoryRegistry, entries: list[dict[str, Any]]) -> Digest:
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return registry.put_manifest(OS, encode(value), OCI_INDEX, tag="t")


def entry(registry: MemoryRegistry, digest: Digest, **fields: Any) -> dict[str, Any]:
    found = registry.resolve(OS.digest(digest))
    assert found is not None
    return {**as_json(found), **fields}


def test_an_image_of_one_platform_is_pinned_and_keeps_its_tag(registry: MemoryRegistry) -> None:
    created = datetime(2025, 6, 8, 1, 2, 3, 456789, tzinfo=UTC)
    labels = {"org.opencontainers.image.version": "stable-20250608"}
    digest = put_image(registry, OS, tags=["stable"], labels=labels, created=created, layers=[b"four", b"seven.."])
    size = len(registry.manifest(OS.digest(digest)).content)
    manifest = Descriptor(OCI_MANIFEST, digest, size, platform=AMD64)
    layers = tuple(
        Descriptor("application/vnd.oci.image.layer.v1.tar", Digest.of(layer), len(layer))
        for layer in (b"four", b"seven..")
    )
    diff_ids = tuple(layer.digest for layer in layers)

    assert look_at(registry, OS.tag("stable")) == Image(
        OS.tag("stable").at(digest),
        OCI_MANIFEST,
        (PlatformImage(AMD64, manifest, labels, created, 11, layers, diff_ids),),
    )
    assert look_at(registry, OS.digest(digest)).platforms[0].labels == labels


def test_an_index_shows_every_platform_in_its_order(registry: MemoryRegistry) -> None:
    children = [
        put_image(registry, OS, platform=platform, labels={"p": platform})
        for platform in ("linux/arm64", "linux/amd64", "linux/arm/v7", "linux/s390x")
    ]
    index = put_index(registry, OS, children, tags=["stable"])

    image = look_at(registry, OS.tag("stable"))

    assert image.digest == index
    assert image.media_type == OCI_INDEX
    assert [(str(p.platform), p.manifest.digest, p.labels["p"]) for p in image.platforms] == [
        ("linux/arm64", children[0], "linux/arm64"),
        ("linux/amd64", children[1], "linux/amd64"),
        ("linux/arm/v7", children[2], "linux/arm/v7"),
        ("linux/s390x", children[3], "linux/s390x"),
    ]


def test_attestations_and_artifacts_in_an_index_are_no_platforms(registry: MemoryRegistry) -> None:
    image = put_image(registry, OS, layers=[b"image"])
    unknown = put_image(registry, OS, layers=[b"attestation"], platform="unknown/unknown")
    sbom = attach(registry, OS, image, b"{}", "application/x", "application/x")
    marked = put_image(registry, OS, layers=[b"marked"])
    put_entries(
        registry,
        [
            entry(registry, unknown, platform={"os": "unknown", "architecture": "unknown"}),
            entry(registry, image, platform={"os": "linux", "architecture": "amd64"}),
            entry(registry, sbom),
            entry(registry, sbom, artifactType="application/x"),
            entry(registry, marked, annotations={"vnd.docker.reference.type": "attestation-manifest"}),
        ],
    )

    assert [p.manifest.digest for p in look_at(registry, OS.tag("t")).platforms] == [image]


def test_an_entry_without_a_platform_takes_it_from_the_configuration(registry: MemoryRegistry) -> None:
    image = put_image(registry, OS, platform="linux/arm64")
    put_entries(registry, [entry(registry, image)])

    assert look_at(registry, OS.tag("t")).on(ARM64) is not None


def test_arm64_v8_is_arm64(registry: MemoryRegistry) -> None:
    image = put_image(registry, OS, platform="linux/arm64")
    put_entries(registry, [entry(registry, image, platform={"os": "linux", "architecture": "arm64", "variant": "v8"})])

    assert look_at(registry, OS.tag("t")).platforms[0].platform == ARM64


def test_the_same_platform_twice_is_the_first_one(registry: MemoryRegistry) -> None:
    gzip, zstd = put_image(registry, OS, layers=[b"gzip"]), put_image(registry, OS, layers=[b"zstd"])
    put_index(registry, OS, [gzip, zstd], tags=["t"])

    assert [p.manifest.digest for p in look_at(registry, OS.tag("t")).platforms] == [gzip]


def test_an_index_in_an_index_is_opened_but_not_for_ever(registry: MemoryRegistry) -> None:
    image = put_image(registry, OS)
    inner = put_index(registry, OS, [image])
    put_index(registry, OS, [inner], tags=["t"])
    assert [p.manifest.digest for p in look_at(registry, OS.tag("t")).platforms] == [image]

    for _ in range(5):
        inner = put_index(registry, OS, [inner], tags=["deep"])
    with pytest.raises(Malformed, match="indexes in indexes"):
        look_at(registry, OS.tag("deep"))


@pytest.mark.parametrize(
    "platform", [{"os": "linux", "architecture": "arm64"}, {"os": "windows", "architecture": "amd64"}]
)
def test_an_entry_for_another_platform_than_its_image_is_malformed_and_both_are_named(
    registry: MemoryRegistry, platform: dict[str, str]
) -> None:
    image = put_image(registry, OS, platform="linux/amd64")
    put_entries(registry, [entry(registry, image, platform=platform)])

    listed = f"{platform['os']}/{platform['architecture']}"
    with pytest.raises(Malformed, match=f"for `{listed}`, and its configuration says `linux/amd64`"):
        look_at(registry, OS.tag("t"))


def test_an_entry_with_another_size_is_malformed(registry: MemoryRegistry) -> None:
    image = put_image(registry, OS)
    put_entries(registry, [entry(registry, image, size=7)])

    with pytest.raises(Malformed, match="has 7 bytes, and it has"):
        look_at(registry, OS.tag("t"))


def test_an_artifact_is_no_image(registry: MemoryRegistry) -> None:
    image = put_image(registry, OS)
    sbom = attach(registry, OS, image, b"{}", "application/x-sbom", "application/x")

    with pytest.raises(Malformed, match="is an artifact of the type `application/x-sbom`"):
        look_at(registry, OS.digest(sbom))


def test_an_index_without_images_is_malformed(registry: MemoryRegistry) -> None:
    put_entries(registry, [])

    with pytest.raises(Malformed, match="holds no image of any platform"):
        look_at(registry, OS.tag("t"))


def test_what_is_not_there_is_not_found(registry: MemoryRegistry) -> None:
    with pytest.raises(NotFound):
        look_at(registry, OS.tag("stable"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-08T01:02:03Z", datetime(2025, 6, 8, 1, 2, 3, tzinfo=UTC)),
        ("2025-06-08T01:02:03.123456789Z", datetime(2025, 6, 8, 1, 2, 3, 123456, tzinfo=UTC)),
        ("2025-06-08t01:02:03.5+02:00", datetime(2025, 6, 7, 23, 2, 3, 500000, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_the_time_of_an_image(registry: MemoryRegistry, text: str | None, expected: datetime | None) -> None:
    put_config(registry, {"os": "linux", "architecture": "amd64", "created": text})

    assert look_at(registry, OS.tag("t")).platforms[0].created == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"os": "linux", "architecture": "amd64", "created": "yesterday"}, "created at `yesterday`"),
        ({"os": "linux", "architecture": "amd64", "created": "2025-06-08T01:02:03"}, "which is no time"),
        ({"os": "linux", "architecture": "amd64", "created": "2025-02-30T01:02:03Z"}, "which is no time"),
        ({"os": "linux", "architecture": "amd64", "created": 5}, "which is no time"),
        ({"os": "linux", "architecture": "amd64", "config": {"Labels": {"a": 1}}}, "no map of strings"),
        ({"os": "linux", "architecture": "amd64", "config": {"Labels": ["a"]}}, "no map of strings"),
        ({"os": "linux", "architecture": "amd64", "config": []}, None),
        ({"os": "linux", "architecture": "amd64", "config": "x"}, "`config` that is no object"),
        ({"os": "linux", "architecture": "\x1b[2J"}, "no part of a platform"),
        ({"os": ["linux"], "architecture": "amd64"}, "is no platform"),
        ({}, "names no platform"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "is not a JSON object"),
    ],
)
def test_a_configuration_that_is_none_is_malformed(
    registry: MemoryRegistry, config: dict[str, Any] | bytes, message: str | None
) -> None:
    put_config(registry, config)

    if message is None:
        assert look_at(registry, OS.tag("t")).platforms[0].labels == {}
        return
    with pytest.raises(Malformed, match=message):
        look_at(registry, OS.tag("t"))


def test_labels_that_are_null_are_none(registry: MemoryRegistry) -> None:
    put_config(registry, {"os": "linux", "architecture": "amd64", "config": {"Labels": None}})

    assert look_at(registry, OS.tag("t")).platforms[0].labels == {}


def test_a_configuration_beyond_measure_is_not_read(registry: MemoryRegistry) -> None:
    put_config(registry, {"os": "linux", "architecture": "amd64", "x": "y" * (16 * 1024 * 1024)})

    with pytest.raises(Malformed, match="larger than 16777216 bytes"):
        look_at(registry, OS.tag("t"))


class Canned(MemoryRegistry):
    """Answers one manifest, as it was given."""

    def __init__(self, media_type: str, content: bytes) -> None:
        super().__init__()
        self.canned = Manifest(Descriptor(media_type, Digest.of(content), len(content)), content)

    def manifest(self, reference: object) -> Manifest:
        return self.canned


@pytest.mark.parametrize("kind", ["v1+json", "v1+prettyjws"])
def test_docker_schema_1_is_refused_by_its_name(kind: str) -> None:
    registry = Canned(f"application/vnd.docker.distribution.manifest.{kind}", b'{"schemaVersion": 1}')

    with pytest.raises(Malformed, match="Docker schema 1") as caught:
        look_at(registry, OS.tag("t"))
    assert caught.value.hint is not None


def test_dockers_own_types_are_images_too(registry: MemoryRegistry) -> None:
    config = encode({"os": "linux", "architecture": "amd64"})
    docker_config = "application/vnd.docker.container.image.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": as_json(Descriptor(docker_config, registry.put_blob(OS, config), len(config))),
        "layers": [],
    }
    digest = registry.put_manifest(OS, encode(manifest), DOCKER_MANIFEST)
    found = registry.resolve(OS.digest(digest))
    assert found is not None
    index = {"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": [as_json(found)]}
    registry.put_manifest(OS, encode(index), DOCKER_INDEX, tag="t")

    image = look_at(registry, OS.tag("t"))

    assert (image.media_type, image.platforms[0].manifest.media_type) == (DOCKER_INDEX, DOCKER_MANIFEST)


def test_bytes_that_call_themselves_something_else_are_refused() -> None:
    content = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})

    with pytest.raises(Malformed, match="calls itself"):
        look_at(Canned(OCI_MANIFEST, content), OS.tag("t"))


LEAF = st.sampled_from([None, True, 0, -1, 7, 1.5, "", "x", OCI_INDEX, OCI_MANIFEST, str(Digest.of(b"a")), "sha256:x"])
DESCRIPTORS = st.dictionaries(st.sampled_from(["mediaType", "digest", "size", "platform"]), LEAF)
JSON = LEAF | DESCRIPTORS | st.lists(LEAF | DESCRIPTORS, max_size=3)
FIELDS = st.sampled_from(["mediaType", "config", "layers", "manifests", "subject", "annotations", "artifactType"])


@given(st.dictionaries(FIELDS, JSON), st.sampled_from([OCI_MANIFEST, OCI_INDEX, "text/plain"]))
def test_any_manifest_is_read_or_malformed(value: dict[str, Any], media_type: str) -> None:
    try:
        parts = read_manifest(json.dumps(value).encode(), media_type, "it")
    except Malformed:
        return
    assert isinstance(value["manifests" if media_type == OCI_INDEX else "layers"], list)
    assert parts.media_type == media_type


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("config"),
        lambda m: m.pop("layers"),
        lambda m: m["config"].pop("digest"),
        lambda m: m["config"].update(digest="sha256:short"),
        lambda m: m["config"].update(size="5"),
        lambda m: m["config"].update(size=True),
        lambda m: m.update(layers={"a": 1}),
        lambda m: m.update(annotations={"a": 1}),
        lambda m: m.update(subject="x"),
    ],
)
def test_a_manifest_without_what_it_must_have_is_malformed(
    registry: MemoryRegistry, change: Callable[[dict[str, Any]], object]
) -> None:
    put_image(registry, OS, tags=["t"])
    value = json.loads(registry.manifest(OS.tag("t")).content)
    change(value)

    with pytest.raises(Malformed, match=r"registry\.example/os"):
        look_at(Canned(OCI_MANIFEST, encode(value)), OS.tag("t"))


def test_a_marked_artifact_with_an_images_configuration_is_no_platform(registry: MemoryRegistry) -> None:
    put_config(registry, {"os": "linux", "architecture": "amd64"}, artifactType="application/x")

    with pytest.raises(Malformed, match="no image of any platform"):
        look_at(registry, OS.tag("t"))


def test_empty_config_is_the_mark_of_an_artifact(registry: MemoryRegistry) -> None:
    empty = as_json(Descriptor(OCI_EMPTY, registry.put_blob(OS, b"{}"), 2))
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": []}
    registry.put_manifest(OS, encode(manifest), OCI_MANIFEST, tag="t")

    with pytest.raises(Malformed, match=f"artifact of the type `{OCI_EMPTY}`".replace("+", r"\+")):
        look_at(registry, OS.tag("t"))
