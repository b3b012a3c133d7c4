"""`relman contents --publish` and `--embed` on a real docker-registry, on layouts, and under the eyes of skopeo."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from relman.cli.contents import contents
from relman.compact.lists import ARTIFACT_TYPE, FILE, LABEL
from relman.documents.lists import EmbeddedDocument, PublishedDocument
from relman.errors import UsageError
from relman.hookspecs import ImageUnderRead
from relman.model.contents import Contents
from relman.model.oci import Descriptor, Digest, Reference, Repository, parse_reference, parse_repository
from relman.registry import Registries
from relman.registry.attaching import CAREFUL, attach
from relman.registry.look import look_at
from relman.registry.manifests import as_json, encode
from relman.registry.protocol import DOCKER_MANIFEST, OCI_MANIFEST
from relman.testing import attach as attach_sbom
from relman.testing import put_image, put_index, tar
from relman_plugins.inspect.compact import CompactSource
from tests.compact_lists import BUILT
from tests.integration.driver import relman
from tests.servers import Front
from tests.walking import SYSTEM, sbom

_count = itertools.count()
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PLATFORMS = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@pytest.fixture
def registries(tmp_path: Path) -> Registries:
    return Registries(tmp_path, environment={"HOME": str(tmp_path)})


@pytest.fixture
def server(docker_registry: str) -> Repository:
    """An empty repository on the real docker-registry."""
    return parse_repository(f"{docker_registry}/lists/os-{next(_count)}")


@pytest.fixture(params=["layout", "docker-registry"])
def place(request: pytest.FixtureRequest, docker_registry: str) -> Repository:
    if request.param == "layout":
        return parse_repository("oci:images/os")
    return parse_repository(f"{docker_registry}/lists/os-{next(_count)}")


def push(
    writer: Registries, repository: Repository, tag: str, kernel: str = "6.19.9-200.fc44", *, index: bool = False
) -> Digest:
    """An image with an SBOM of 101 packages, of one platform or an index of two."""
    children = []
    for platform, arch in list(PLATFORMS.items())[: 2 if index else 1]:
        layers = [tar({"usr/lib/os-release": b"NAME=composed\n"}), tar({"usr/bin/kernel": f"{kernel} {arch}".encode()})]
        tags = [] if index else [tag]
        digest = put_image(writer, repository, tags=tags, platform=platform, created=BUILT, layers=layers)
        content = sbom({**SYSTEM, "kernel": kernel, "bash": "1:5.3-1.fc44"}, arch)
        attach_sbom(writer, repository, digest, content, "application/vnd.spdx+json", "application/json")
        children.append(digest)
    return put_index(writer, repository, children, tags=[tag]) if index else children[0]


def kinds(writer: Registries, repository: Repository, digest: Digest) -> list[str]:
    return sorted(found.artifact_type or "" for found in writer.referrers(repository, digest))


def has_list(writer: Registries, image: Reference) -> bool:
    """Whether relman's own list of ``image`` is found, attached or inside."""
    found = look_at(writer, image)
    read = CompactSource().read(ImageUnderRead(found.reference, found.platforms[0], writer))
    return isinstance(read, Contents) and len(read.packages) >= 101


def skopeo(*arguments: str) -> bytes:
    return subprocess.run(["skopeo", *arguments], capture_output=True, check=True, timeout=120).stdout


def as_skopeo_names(image: Reference, folder: Path) -> str:
    if image.repository.registry:
        return f"docker://{image.repository}:{image.tag}"
    return f"oci:{folder / image.repository.name}:{image.tag}"


# ------------------------------------------------------------------------------------------- publishing


def test_a_list_is_attached_beside_what_was_there_and_found_first(
    registries: Registries, place: Repository, tmp_path: Path
) -> None:
    digest = push(registries, place, "stable")

    done = relman(tmp_path, "contents", f"{place}:stable", "--publish", "--yes", "--format", "json")

    TypeAdapter(PublishedDocument).validate_python(done.json)
    (entry,) = done.json["lists"]
    assert (entry["digest"], entry["state"], entry["packages"], entry["source"]) == (digest, "attached", 102, "sbom")
    assert kinds(registries, place, digest) == [ARTIFACT_TYPE, "application/vnd.spdx+json"]
    assert relman(tmp_path, "contents", f"{place}:stable", "--format", "json").json["source"] == "contents"
    assert "would be attached" in done.stderr


def test_publishing_again_writes_nothing(
    registries: Registries, front: Front, repository: Repository, tmp_path: Path
) -> None:
    push(registries, repository, "stable")
    first = relman(tmp_path, "contents", f"{repository}:stable", "--publish", "--yes")
    front.asked.clear()

    second = relman(tmp_path, "contents", f"{repository}:stable", "--publish", "--yes", SOURCE_DATE_EPOCH="1900000000")

    assert second.stdout == first.stdout
    assert [asked.line for asked in front.asked if asked.method not in ("GET", "HEAD")] == []
    assert "is attached already" in second.stderr


def test_every_platform_of_an_index_gets_its_list(registries: Registries, place: Repository, tmp_path: Path) -> None:
    push(registries, place, "stable", index=True)

    relman(tmp_path, "contents", f"{place}:stable", "--publish", "--yes")

    image = look_at(registries, place.tag("stable"))
    assert [kinds(registries, place, part.manifest.digest) for part in image.platforms] == [
        [ARTIFACT_TYPE, "application/vnd.spdx+json"]
    ] * 2
    listed = relman(
        tmp_path, "contents", f"{place}:stable", "--platform", "linux/arm64", "--format", "json", "--no-cache"
    ).json
    assert listed["source"] == "contents"
    assert {package["arch"] for package in listed["packages"]} == {"aarch64"}


def test_one_platform_alone_may_be_chosen(registries: Registries, place: Repository, tmp_path: Path) -> None:
    push(registries, place, "stable", index=True)

    done = relman(
        tmp_path, "contents", f"{place}:stable", "--publish", "--yes", "--platform", "linux/arm64", "--format", "json"
    )

    assert [entry["platform"] for entry in done.json["lists"]] == ["linux/arm64"]


def test_publishers_at_once_lose_nothing(registries: Registries, server: Repository) -> None:
    """The registry has no referrers API and no compare-and-set: all of them rewrite one list."""
    digest = push(registries, server, "stable")
    names = [f"application/x-composed-{number}" for number in range(8)]

    def publish(name: str) -> None:
        with Registries(Path("/"), environment={}) as own:
            attach(own, server, digest, name.encode(), artifact_type=name, media_type="text/plain", patience=CAREFUL)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(publish, names))

    assert kinds(registries, server, digest) == sorted([*names, "application/vnd.spdx+json"])


def test_two_runs_at_once_are_one_list(registries: Registries, server: Repository, tmp_path: Path) -> None:
    digest = push(registries, server, "stable")

    def publish(_: int) -> str:
        return relman(tmp_path, "contents", f"{server}:stable", "--publish", "--yes").stdout

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(publish, range(2))

    assert first == second
    assert kinds(registries, server, digest) == [ARTIFACT_TYPE, "application/vnd.spdx+json"]


def test_a_copy_with_layers_compressed_otherwise_gets_the_list_of_its_source(
    registries: Registries, server: Repository, tmp_path: Path
) -> None:
    """A build job reads what it built, and attaches to what it pushed."""
    built = parse_repository("oci:built")
    push(registries, built, "latest")
    folder = tmp_path / "built"
    skopeo("copy", "-q", "--dest-tls-verify=false", f"oci:{folder}:latest", f"docker://{server}:same")
    skopeo(
        "copy",
        "-q",
        "--dest-tls-verify=false",
        "--dest-compress-format=zstd",
        "--dest-compress-level=3",
        "--format=oci",
        f"oci:{folder}:latest",
        f"docker://{server}:stable",
    )
    assert look_at(registries, server.tag("stable")).digest != look_at(registries, built.tag("latest")).digest

    relman(tmp_path, "contents", "oci:built:latest", "--publish", "--yes", "--to", f"{server}:stable")

    assert has_list(registries, server.tag("stable"))


def test_a_list_is_not_attached_to_another_image(registries: Registries, server: Repository, tmp_path: Path) -> None:
    push(registries, parse_repository("oci:built"), "latest")
    digest = push(registries, server, "other", kernel="6.19.12-200.fc44")

    done = relman(tmp_path, "contents", "oci:built:latest", "--publish", "--yes", "--to", f"{server}:other", code=2)

    assert "is not a copy of `oci:built:latest@" in done.stderr
    assert kinds(registries, server, digest) == ["application/vnd.spdx+json"]


def test_an_approximation_is_not_published(registries: Registries, server: Repository, tmp_path: Path) -> None:
    label = json.dumps({"version": 2, "packages": {f"composed-{n}": "1.0-1.fc44" for n in range(120)}})
    put_image(registries, server, tags=["stable"], labels={"dev.hhd.rechunk.info": label})

    done = relman(tmp_path, "contents", f"{server}:stable", "--publish", "--yes", code=1)

    assert "is an approximation" in done.stderr


# ---------------------------------------------------------------------------------------------- requests


def test_a_diff_by_the_lists_is_a_handful_of_small_requests(
    registries: Registries, front: Front, repository: Repository, tmp_path: Path
) -> None:
    for tag, kernel in (("old", "6.19.9-200.fc44"), ("new", "6.19.12-200.fc44")):
        push(registries, repository, tag, kernel)
        relman(tmp_path, "contents", f"{repository}:{tag}", "--publish", "--yes")
    front.asked.clear()

    diff = relman(tmp_path, "diff", f"{repository}:old", f"{repository}:new", "--format", "json", "--no-cache").json

    assert [(c["kind"], c["name"], c["before"], c["after"]) for c in diff["changes"]] == [
        ("upgraded", "kernel", ["6.19.9-200.fc44"], ["6.19.12-200.fc44"])
    ]
    assert (diff["exact"], diff["before"]["source"], diff["after"]["source"]) == (True, "contents", "contents")
    whats = sorted(asked.path.split("/")[-2] for asked in front.asked if "/referrers/" not in asked.path)
    # Of each image the manifest, the configuration, the fallback tag's list and the list itself; the registry is
    # asked once, or by both threads at once, whether it has the referrers API.
    assert whats == ["blobs"] * 2 + ["manifests"] * 6
    assert len(front.asked) - len(whats) in (1, 2)


def test_what_was_read_before_costs_nothing_but_the_look(
    registries: Registries, front: Front, repository: Repository, tmp_path: Path
) -> None:
    push(registries, repository, "stable")
    relman(tmp_path, "contents", f"{repository}:stable")
    front.asked.clear()

    relman(tmp_path, "contents", f"{repository}:stable")

    assert [asked.path.split("/")[-2] for asked in front.asked] == ["manifests"]
    shown = relman(tmp_path, "cache", "--format", "json").json
    assert (shown["entries"], shown["folder"]) == (1, str(tmp_path / ".cache/relman"))
    relman(tmp_path, "cache", "clear")
    assert relman(tmp_path, "cache", "--format", "json").json["entries"] == 0


def test_a_cache_elsewhere_and_none_at_all(registries: Registries, tmp_path: Path) -> None:
    place = parse_repository("oci:images/os")
    push(registries, place, "stable")
    kept = tmp_path / "elsewhere"

    relman(tmp_path, "contents", f"{place}:stable", "--no-cache", RELMAN_CACHE=str(kept))
    assert not kept.exists()
    relman(tmp_path, "contents", f"{place}:stable", RELMAN_CACHE=str(kept))

    assert len(list(kept.rglob("*.contents"))) == 1


# ------------------------------------------------------------------------------------------------ in band


def test_skopeo_reads_and_copies_an_image_with_its_list_inside(
    registries: Registries, place: Repository, tmp_path: Path
) -> None:
    digest = push(registries, place, "stable")

    done = relman(tmp_path, "contents", f"{place}:stable", "--embed", "--yes", "--tag", "listed", "--format", "json")

    TypeAdapter(EmbeddedDocument).validate_python(done.json)
    new = place.tag("listed")
    name = as_skopeo_names(new, tmp_path)
    seen: Any = json.loads(skopeo("inspect", "--tls-verify=false", name))
    assert seen["Digest"] == done.json["digest"] != digest
    assert len(seen["Layers"]) == 3
    assert LABEL in seen["Labels"]
    skopeo("copy", "-q", "--src-tls-verify=false", name, f"oci:{tmp_path}/copied:c")
    assert has_list(registries, parse_reference("oci:copied:c"))
    assert look_at(registries, place.tag("stable")).digest == digest


def test_the_list_survives_a_copy_that_drops_referrers_and_recompresses(
    registries: Registries, server: Repository, tmp_path: Path
) -> None:
    push(registries, server, "stable")
    relman(tmp_path, "contents", f"{server}:stable", "--embed", "--yes", "--tag", "listed")
    copy = parse_reference(f"{server}-copy:listed")

    skopeo(
        "copy",
        "-q",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--dest-compress-format=zstd",
        f"docker://{server}:listed",
        f"docker://{copy}",
    )

    assert registries.referrers(copy.repository, look_at(registries, copy).digest) == ()
    assert has_list(registries, copy)


def test_an_index_is_embedded_for_all_platforms_and_copied_whole(
    registries: Registries, place: Repository, tmp_path: Path
) -> None:
    push(registries, place, "stable", index=True)

    relman(tmp_path, "contents", f"{place}:stable", "--embed", "--yes", "--tag", "listed")

    name = as_skopeo_names(place.tag("listed"), tmp_path)
    skopeo("copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false", name, f"oci:{tmp_path}/all:a")
    image = look_at(registries, parse_repository("oci:all").tag("a"))
    assert image.digest == look_at(registries, place.tag("listed")).digest
    assert [LABEL in part.labels for part in image.platforms] == [True, True]


def test_embedding_again_moves_only_the_tag(registries: Registries, tmp_path: Path) -> None:
    place = parse_repository("oci:images/os")
    push(registries, place, "stable")
    arguments = ("contents", f"{place}:stable", "--embed", "--yes")

    first = relman(tmp_path, *arguments).stdout
    second = relman(tmp_path, *arguments, "--tag", "listed").stdout

    assert first.partition("@")[2] == second.partition("@")[2]
    assert second.strip() == str(place.tag("listed").at(look_at(registries, place.tag("listed")).digest))


def test_the_layer_is_compressed_as_the_one_below_it(
    registries: Registries, server: Repository, tmp_path: Path
) -> None:
    digest = push(registries, server, "plain")
    manifest = json.loads(registries.manifest(server.digest(digest)).content)
    layer = manifest["layers"][-1]
    packed = subprocess.run(
        ["zstd", "-c"], input=registries.blob(server, Digest(layer["digest"]), limit=1 << 20), capture_output=True
    ).stdout
    zstd = Descriptor("application/vnd.oci.image.layer.v1.tar+zstd", registries.put_blob(server, packed), len(packed))
    manifest["layers"][-1] = as_json(zstd)
    other = registries.put_manifest(server, encode(manifest), OCI_MANIFEST, tag="zstd")
    attach_sbom(registries, server, other, sbom({**SYSTEM, "a": "1-1"}), "application/vnd.spdx+json", "text/plain")

    for tag in ("plain", "zstd"):
        relman(tmp_path, "contents", f"{server}:{tag}", "--embed", "--yes", "--tag", f"{tag}-listed")

    last = [look_at(registries, server.tag(f"{tag}-listed")).platforms[0].layers[-1] for tag in ("plain", "zstd")]
    assert [one.media_type.rpartition("+")[2] for one in last] == ["gzip", "zstd"]
    unpacked = subprocess.run(
        ["zstd", "-dc"], input=registries.blob(server, last[1].digest, limit=1 << 20), capture_output=True
    ).stdout
    listing = subprocess.run(["tar", "-tv"], input=unpacked, capture_output=True, check=True).stdout.decode()
    assert listing.split()[-1] == FILE
    assert listing.startswith("-rw-r--r-- 0/0")
    assert "1970-01-01" in listing
    for tag in ("plain", "zstd"):
        assert has_list(registries, server.tag(f"{tag}-listed"))


def test_an_image_in_dockers_format_stays_in_it(registries: Registries, server: Repository, tmp_path: Path) -> None:
    push(registries, parse_repository("oci:built"), "latest")
    skopeo(
        "copy", "-q", "--dest-tls-verify=false", "--format=v2s2", f"oci:{tmp_path}/built:latest", f"docker://{server}:d"
    )
    digest = look_at(registries, server.tag("d")).digest
    attach_sbom(registries, server, digest, sbom({**SYSTEM, "a": "1-1"}), "application/vnd.spdx+json", "text/plain")

    relman(tmp_path, "contents", f"{server}:d", "--embed", "--yes", "--tag", "listed")
    relman(tmp_path, "contents", f"{server}:d", "--publish", "--yes")

    new = look_at(registries, server.tag("listed"))
    assert (new.media_type, new.platforms[0].layers[-1].media_type) == (DOCKER_MANIFEST, DOCKER_LAYER)
    assert json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{server}:listed"))["Digest"] == new.digest
    assert has_list(registries, server.tag("listed"))
    assert has_list(registries, server.tag("d"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["oci:x:a", "--publish", "--embed"], "give one of them"),
        (["oci:x:a", "--to", "oci:y:a"], "goes with `--publish`"),
        (["oci:x:a", "--tag", "b"], "goes with `--embed`"),
        (["oci:x:a", "--embed", "--yes", "--platform", "linux/amd64"], "leave out `--platform`"),
        (["oci:x:a", "--publish", "--yes", "-o", "file"], "leave out `--publish`"),
        (["oci:x:a", "--publish"], "there is nobody to ask"),
        (["oci:x:a", "--embed"], "there is nobody to ask"),
        (["sbom:x", "--publish", "--yes"], "is a list of contents"),
        (["containers-storage:x", "--publish", "--yes"], "nothing can be attached in containers-storage"),
        (["containers-storage:x", "--embed", "--yes"], "cannot be written to"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_read(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=said):
        contents.main(arguments, standalone_mode=False)


def test_a_list_is_written_to_a_file(registries: Registries, tmp_path: Path) -> None:
    place = parse_repository("oci:images/os")
    push(registries, place, "stable")

    done = relman(tmp_path, "contents", f"{place}:stable", "--format", "json", "-o", "out/list.json")

    written = json.loads((tmp_path / "out/list.json").read_text())
    assert done.stdout == ""
    assert len(written["packages"]) == 102
    assert {"ecosystem", "name", "arch", "version", "source", "vendor"} == set(written["packages"][0])


# ----------------------------------------------------------------------------------- containers-storage


@pytest.fixture
def storage(registries: Registries, tmp_path: Path) -> str:
    """An image as podman and buildah keep it, in a storage of its own; its name as relman takes it."""
    if os.geteuid() != 0:
        pytest.skip("a containers-storage of one's own needs root, or user namespaces")
    label = json.dumps({"version": 2, "packages": {f"composed-{n}": "1.0-1.fc44" for n in range(120)}})
    place = parse_repository("oci:for-storage")
    layers = [tar({"usr/lib/os-release": b"NAME=composed\n"})]
    put_image(registries, place, tags=["a"], labels={"dev.hhd.rechunk.info": label}, layers=layers)
    name = f"containers-storage:[vfs@{tmp_path}/root+{tmp_path}/run]localhost/os:a"
    skopeo("copy", "-q", f"oci:{tmp_path}/for-storage:a", name)
    return name


def test_an_image_in_containers_storage_is_read_by_way_of_skopeo(storage: str, tmp_path: Path) -> None:
    found = relman(tmp_path, "contents", storage, "--format", "json").json

    assert (found["source"], found["reference"], len(found["packages"])) == ("label", storage, 120)


def test_what_is_published_from_containers_storage_has_to_be_the_same_image(
    registries: Registries, server: Repository, storage: str, tmp_path: Path
) -> None:
    push(registries, server, "other")
    skopeo("copy", "-q", "--dest-tls-verify=false", storage, f"docker://{server}:same")

    other = relman(tmp_path, "contents", storage, "--publish", "--yes", "--to", f"{server}:other", code=2)
    same = relman(tmp_path, "contents", storage, "--publish", "--yes", "--to", f"{server}:same", code=1)

    assert "is not a copy of" in other.stderr
    assert "is an approximation" in same.stderr  # all that this image has is a label


def test_an_image_that_is_not_in_containers_storage_says_what_skopeo_said(tmp_path: Path) -> None:
    name = f"containers-storage:[vfs@{tmp_path}/root+{tmp_path}/run]localhost/nothing:here"

    done = relman(tmp_path, "contents", name, code=1)

    assert "`skopeo copy" in done.stderr
