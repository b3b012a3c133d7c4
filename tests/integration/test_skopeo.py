"""skopeo and relman understand each other's layouts and registries; copies between registries are skopeo's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from relman import process
from relman.errors import RelmanError, Unequipped
from relman.model.oci import Digest, Reference, parse_reference, parse_repository
from relman.process import ProcessFailed
from relman.registry import Registries, skopeo
from relman.registry.look import look_at
from relman.registry.manifests import as_json, encode
from relman.registry.protocol import OCI_INDEX
from relman.testing import put_image, put_index
from tests import servers
from tests.servers import Front, Reply, once

_count = itertools.count()


@pytest.fixture
def registries(tmp_path: Path) -> Iterator[Registries]:
    with Registries(tmp_path, environment={"HOME": str(tmp_path)}) as registries:
        yield registries


@pytest.fixture(scope="module")
def other_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.docker_registry(tmp_path_factory.mktemp("other")) as host:
        yield host


def an_index(registries: Registries, repository: str) -> Reference:
    where = parse_repository(repository)
    children = [
        put_image(registries, where, platform=platform, labels={"platform": platform}, layers=[platform.encode(), b"x"])
        for platform in ("linux/amd64", "linux/arm64")
    ]
    return where.tag("stable").at(put_index(registries, where, children, tags=["stable"]))


def test_the_version_is_read() -> None:
    assert skopeo.version() >= (1, 4)


def test_skopeo_reads_a_layout_that_we_wrote(registries: Registries, tmp_path: Path) -> None:
    image = an_index(registries, f"oci:{tmp_path}/ours")

    raw = skopeo.inspect_raw(image.repository.tag("stable"))
    argv = ["skopeo", "copy", "--all", "--preserve-digests", f"oci:{tmp_path}/ours:stable", f"dir:{tmp_path}/out"]
    process.run(argv, timeout=60)

    assert Digest.of(raw) == image.digest
    assert Digest.of((tmp_path / "out/manifest.json").read_bytes()) == image.digest
    layer = Digest.of(b"linux/arm64").hex
    assert (tmp_path / "out" / layer).read_bytes() == b"linux/arm64"


def test_we_read_a_layout_that_skopeo_wrote(registries: Registries, tmp_path: Path) -> None:
    image = an_index(registries, f"oci:{tmp_path}/ours")
    for tag in ("stable", "other"):
        source, target = f"oci:{tmp_path}/ours:stable", f"oci:{tmp_path}/theirs:{tag}"
        process.run(["skopeo", "copy", "--all", "--preserve-digests", source, target], timeout=60)
    theirs = parse_repository(f"oci:{tmp_path}/theirs")

    seen = look_at(registries, theirs.tag("other"))

    assert sorted(registries.tags(theirs)) == ["other", "stable"]
    assert seen.digest == image.digest
    assert seen.platforms == look_at(registries, image).platforms


def test_both_write_into_one_layout(registries: Registries, tmp_path: Path) -> None:
    an_index(registries, f"oci:{tmp_path}/ours")
    source, target = f"oci:{tmp_path}/ours:stable", f"oci:{tmp_path}/ours:by-skopeo"
    process.run(["skopeo", "copy", "--all", "--preserve-digests", source, target], timeout=60)
    put_image(registries, parse_repository(f"oci:{tmp_path}/ours"), tags=["by-us"])

    assert sorted(registries.tags(parse_repository(f"oci:{tmp_path}/ours"))) == ["by-skopeo", "by-us", "stable"]


def test_skopeo_and_we_see_the_same_registry(registries: Registries, docker_registry: str) -> None:
    image = an_index(registries, f"{docker_registry}/skopeo/same-{next(_count)}")

    assert skopeo.list_tags(image.repository) == registries.tags(image.repository) == ("stable",)
    assert skopeo.inspect_raw(image) == registries.manifest(image).content


def test_a_copy_between_registries_keeps_every_digest_and_makes_no_tag(
    registries: Registries, docker_registry: str, other_registry: str
) -> None:
    image = an_index(registries, f"{docker_registry}/skopeo/from-{next(_count)}")
    target = parse_repository(f"{other_registry}/skopeo/to-{next(_count)}")
    put_image(registries, target, tags=["old"])

    registries.copy(image, target)

    assert image.digest is not None
    assert registries.tags(target) == ("old",)
    assert look_at(registries, target.digest(image.digest)).platforms == look_at(registries, image).platforms
    assert registries.blob(target, Digest.of(b"linux/arm64"), limit=100) == b"linux/arm64"


def test_what_skopeo_gives_up_on_is_carried_without_it(
    registries: Registries, docker_registry: str, other_registry: str
) -> None:
    """skopeo 1.9 gives up on a 503; whatever its reason, the copy is ours to finish."""
    image = an_index(registries, f"{docker_registry}/skopeo/hard-{next(_count)}")
    with Front(other_registry) as front:
        target = parse_repository(f"{front.host}/skopeo/hard-{next(_count)}")
        front.faults.append(once("/manifests/", lambda forward: Reply(503), times=4))

        registries.copy(image, target)

        assert image.digest is not None
        assert registries.manifest(target.digest(image.digest)) == registries.manifest(image)


def test_without_skopeo_a_copy_is_carried_all_the_same(
    registries: Registries, docker_registry: str, other_registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = an_index(registries, f"{docker_registry}/skopeo/none-{next(_count)}")
    target = parse_repository(f"{other_registry}/skopeo/none-{next(_count)}")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unequipped, match="`skopeo` is not installed"):
        skopeo.inspect_raw(image)
    registries.copy(image, target)

    assert image.digest is not None
    assert registries.resolve(target.digest(image.digest)) is not None


def test_a_copy_of_what_is_not_there_says_so(registries: Registries, docker_registry: str, other_registry: str) -> None:
    missing = parse_repository(f"{docker_registry}/skopeo/nothing").digest(Digest.of(b"missing"))

    with pytest.raises(RelmanError, match="does not have"):
        registries.copy(missing, parse_repository(f"{other_registry}/skopeo/nothing"))


def test_what_skopeo_said_is_kept_in_the_error() -> None:
    with pytest.raises(ProcessFailed) as caught:
        skopeo.inspect_raw(parse_reference(f"127.0.0.1:{servers.free_port()}/nothing:here"))
    assert "connection refused" in caught.value.stderr
    assert caught.value.argv[:3] == ("skopeo", "inspect", "--raw")


def test_zstd_and_unknown_layer_types_travel_between_layout_and_registry(
    registries: Registries, docker_registry: str, tmp_path: Path
) -> None:
    folder = parse_repository(f"oci:{tmp_path}/zstd")
    child = put_image(registries, folder, layers=[b"\x28\xb5\x2f\xfd zstd"])
    found = registries.manifest(folder.digest(child))
    manifest = json.loads(found.content)
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
    zstd = registries.put_manifest(folder, encode(manifest), found.descriptor.media_type)
    entry = registries.resolve(folder.digest(zstd))
    assert entry is not None
    annotated = {**as_json(entry), "annotations": {"io.github.containers.compression.zstd": "true"}}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [annotated]}
    digest = registries.put_manifest(folder, encode(index), OCI_INDEX)
    target = parse_repository(f"{docker_registry}/skopeo/zstd-{next(_count)}")

    registries.copy(folder.digest(digest), target)

    assert registries.manifest(target.digest(digest)).content == encode(index)
