"""OCI image layouts on disk: what is written, what is read of others' layouts, and what goes wrong."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relman.errors import DigestMismatch, Malformed, NotFound, RelmanError, Unequipped
from relman.model.oci import Descriptor, Digest, Reference, Repository, parse_repository
from relman.registry.layout import Layouts
from relman.registry.manifests import REF_NAME, as_json, encode
from relman.registry.protocol import OCI_INDEX, OCI_MANIFEST
from relman.testing import attach, put_image, put_index

OS = parse_repository("oci:os")


def entries(folder: Path) -> list[tuple[str, str | None]]:
    """Digest and tag of every line of `index.json`."""
    index = json.loads((folder / "index.json").read_text())
    return [(entry["digest"], entry.get("annotations", {}).get(REF_NAME)) for entry in index["manifests"]]


def write_index(folder: Path, manifests: list[dict[str, Any]], **fields: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, **fields, "manifests": manifests}))


def blob_path(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / digest.algorithm / digest.hex


def test_a_layout_is_what_the_specification_says(tmp_path: Path) -> None:
    digest = put_image(Layouts(tmp_path), OS, tags=["stable"])

    assert json.loads((tmp_path / "os/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((tmp_path / "os/index.json").read_text())
    size = blob_path(tmp_path / "os", digest).stat().st_size
    assert index == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest, "size": size, "annotations": {REF_NAME: "stable"}}],
    }


def test_relative_folders_are_below_the_base_and_absolute_ones_are_not(tmp_path: Path) -> None:
    put_image(Layouts(tmp_path / "base"), parse_repository(f"oci:{tmp_path}/elsewhere"), tags=["a"])
    put_image(Layouts(tmp_path / "base"), parse_repository("oci:images/os"), tags=["b"])

    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("index.json")) == [
        "base/images/os/index.json",
        "elsewhere/index.json",
    ]


def test_every_manifest_is_listed_unless_a_listed_index_holds_it(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    children = [put_image(layouts, OS, platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    alone = put_image(layouts, OS, labels={"alone": "yes"})
    index = put_index(layouts, OS, children, tags=["stable"])
    sbom = attach(layouts, OS, index, b"{}", "application/x", "application/x")

    assert entries(tmp_path / "os") == [(alone, None), (index, "stable"), (sbom, None)]
    assert {child: layouts.manifest(OS.digest(child)).descriptor.digest for child in children} == {
        child: child for child in children
    }


def test_an_image_that_loses_its_tag_stays_listed_without_one(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    old = put_image(layouts, OS, tags=["stable"], labels={"build": "1"})
    new = put_image(layouts, OS, tags=["stable", "latest"], labels={"build": "2"})

    assert entries(tmp_path / "os") == [(old, None), (new, "stable"), (new, "latest")]


def test_writing_the_same_again_leaves_the_file_alone(tmp_path: Path) -> None:
    put_image(Layouts(tmp_path), OS, tags=["stable"])
    before = (tmp_path / "os/index.json").stat()

    put_image(Layouts(tmp_path), OS, tags=["stable"])

    after = (tmp_path / "os/index.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_other_tools_wrote_is_kept(tmp_path: Path) -> None:
    other = {
        "mediaType": OCI_MANIFEST,
        "digest": str(Digest.of(b"other")),
        "size": 5,
        "urls": ["https://example.org/other"],
        "platform": {"os": "linux", "architecture": "arm64", "variant": "v8", "os.features": ["x"]},
        "annotations": {REF_NAME: "docker.io/library/other:latest", "io.containerd.image.name": "other"},
    }
    write_index(tmp_path / "os", [other], annotations={"made.by": "hand"})

    put_image(Layouts(tmp_path), OS, tags=["stable"])

    index = json.loads((tmp_path / "os/index.json").read_text())
    assert index["annotations"] == {"made.by": "hand"}
    assert index["manifests"][0] == other
    assert Layouts(tmp_path).tags(OS) == ("stable",)


def test_referrers_are_found_by_their_subject_alone(tmp_path: Path) -> None:
    """As `oras copy` and others leave them: listed, without a fallback tag or a type in the list."""
    layouts = Layouts(tmp_path)
    image = put_image(layouts, OS, tags=["stable"])
    sbom = attach(layouts, OS, image, b"{}", "application/x", "application/x")
    index = json.loads((tmp_path / "os/index.json").read_text())
    for entry in index["manifests"]:
        entry.pop("artifactType", None)
    write_index(tmp_path / "os", index["manifests"])

    assert [(d.digest, d.artifact_type) for d in layouts.referrers(OS, image)] == [(sbom, "application/x")]


def test_referrers_are_found_by_the_fallback_tag_alone(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    image = put_image(layouts, OS, tags=["stable"])
    sbom = attach(layouts, OS, image, b"{}", "application/x", "application/x", by_fallback_tag=True)
    index = json.loads((tmp_path / "os/index.json").read_text())
    named = [entry for entry in index["manifests"] if REF_NAME in entry.get("annotations", {})]
    write_index(tmp_path / "os", named)

    assert [entry["annotations"][REF_NAME] for entry in named] == ["stable", image.fallback_tag]
    assert [(d.digest, d.artifact_type) for d in layouts.referrers(OS, image)] == [(sbom, "application/x")]


def test_one_name_for_two_manifests_is_an_error_not_a_guess(tmp_path: Path) -> None:
    named = {"annotations": {REF_NAME: "stable"}, "mediaType": OCI_MANIFEST, "size": 1}
    write_index(tmp_path / "os", [{**named, "digest": Digest.of(b"a")}, {**named, "digest": Digest.of(b"b")}])

    with pytest.raises(Malformed, match="names 2 different manifests"):
        Layouts(tmp_path).resolve(OS.tag("stable"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "there is no such folder"),
        (lambda folder: folder.mkdir(), "it has no `index.json`"),
        (lambda folder: folder.write_text("a file"), "there is no such folder"),
    ],
)
def test_what_is_no_layout_is_not_found(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "os")

    with pytest.raises(NotFound, match=message):
        Layouts(tmp_path).tags(OS)
    with pytest.raises(NotFound, match=message):
        Layouts(tmp_path).manifest(OS.tag("stable"))
    assert Layouts(tmp_path).resolve(OS.tag("stable")) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"manifests": {}}',
        '{"manifests": [1]}',
        '{"manifests": [{"mediaType": "x", "digest": "sha256:../../etc/passwd", "size": 1}]}',
        '{"manifests": [{"mediaType": "x", "digest": "sha256:' + "a" * 64 + '", "size": -1}]}',
        '{"manifests": [{"mediaType": "x", "digest": "sha256:' + "a" * 64 + '"}]}',
    ],
)
def test_a_broken_index_is_malformed_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    write_index(tmp_path / "os", [])
    (tmp_path / "os/index.json").write_text(content)

    with pytest.raises(Malformed, match=r"index\.json"):
        Layouts(tmp_path).tags(OS)
    with pytest.raises(Malformed, match=r"index\.json"):
        put_image(Layouts(tmp_path), OS, tags=["stable"])
    assert (tmp_path / "os/index.json").read_text() == content


def test_a_flipped_byte_is_noticed_and_mended_by_writing_again(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    image = put_image(layouts, OS, tags=["stable"], layers=[b"a layer"])
    layer = blob_path(tmp_path / "os", Digest.of(b"a layer"))
    layer.write_bytes(b"a lazer")
    whole = blob_path(tmp_path / "os", image).read_bytes()
    blob_path(tmp_path / "os", image).write_bytes(whole[:-1] + b" ")

    for read in (
        lambda: layouts.blob(OS, Digest.of(b"a layer"), limit=100),
        lambda: layouts.manifest(OS.tag("stable")),
    ):
        with pytest.raises(DigestMismatch):
            read()
    assert put_image(layouts, OS, tags=["stable"], layers=[b"a layer"]) == image
    assert layouts.blob(OS, Digest.of(b"a layer"), limit=100) == b"a layer"
    assert layouts.manifest(OS.tag("stable")).content == whole


def test_a_copy_of_a_damaged_image_fails_and_leaves_no_manifest(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    image = put_image(layouts, OS, tags=["stable"], layers=[b"a layer"])
    blob_path(tmp_path / "os", Digest.of(b"a layer")).write_bytes(b"a lazer")
    target = parse_repository("oci:target")

    with pytest.raises(DigestMismatch):
        layouts.copy(OS.digest(image), target)
    assert layouts.resolve(target.digest(image)) is None
    assert [path for path in tmp_path.glob("target/blobs/*/*") if path.name.startswith(".")] == []


def test_a_layer_is_no_manifest(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    for content in (b"\x1f\x8b a layer", b'{"schemaVersion": 2}', b'{"mediaType": "application/x"}', b"{", b"[]"):
        assert layouts.resolve(OS.digest(layouts.put_blob(OS, content))) is None


def test_a_child_that_says_no_media_type_is_known_by_its_form(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    config = Descriptor("application/vnd.oci.image.config.v1+json", Digest.of(b"{}"), 2)
    bare = encode({"schemaVersion": 2, "config": as_json(config), "layers": []})

    assert layouts.resolve(OS.digest(layouts.put_blob(OS, bare))) is None  # no layout yet: nothing lists it
    put_image(layouts, OS, tags=["stable"])
    assert layouts.resolve(OS.digest(Digest.of(bare))) == Descriptor(OCI_MANIFEST, Digest.of(bare), len(bare))


# ------------------------------------------------------------------------------ processes, disks, rights


def _put_many(base: str, worker: int) -> None:
    for number in range(10):
        tag = f"w{worker}-{number}"
        put_image(Layouts(Path(base)), OS, tags=[tag], labels={"tag": tag})


def test_two_processes_that_write_one_layout_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_many, args=(str(tmp_path), worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert set(Layouts(tmp_path).tags(OS)) == {f"w{worker}-{number}" for worker in range(3) for number in range(10)}


def _put_for_ever(base: str) -> None:
    for number in range(10**6):
        put_image(Layouts(Path(base)), OS, tags=[f"t{number}", "latest"], labels={"n": str(number)})


def test_a_writer_that_is_killed_leaves_every_tag_readable_and_no_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        worker = context.Process(target=_put_for_ever, args=(str(tmp_path),))
        worker.start()
        while not (tmp_path / "os/index.json").exists():
            assert worker.exitcode is None
        worker.join(0.05)
        worker.kill()
        worker.join()
        layouts = Layouts(tmp_path)
        put_image(layouts, OS, tags=["after"])
        for tag in layouts.tags(OS):
            manifest = layouts.manifest(OS.tag(tag))
            for layer in json.loads(manifest.content)["layers"]:
                layouts.blob(OS, Digest(layer["digest"]), limit=10**6)
        shutil.rmtree(tmp_path / "os")


def test_the_one_image_of_a_layout_needs_no_tag(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    image = put_image(layouts, OS, tags=["a", "b"])
    attach(layouts, OS, image, b"{}", "application/x", "application/x")

    assert layouts.manifest(Reference(OS)).descriptor.digest == image


def _in_child(act: Callable[[], None]) -> RelmanError | None:
    """What ``act`` raises in a process of its own, where limits and rights can be taken away."""
    queue: multiprocessing.Queue[tuple[str, str, str | None] | None] = multiprocessing.get_context("fork").Queue()

    def child() -> None:
        try:
            act()
        except RelmanError as error:
            queue.put((type(error).__name__, error.message, error.hint))
        else:
            queue.put(None)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    found = queue.get(timeout=30)
    process.join()
    if found is None:
        return None
    kinds = {"Unequipped": Unequipped, "RelmanError": RelmanError}
    return kinds[found[0]](found[1], hint=found[2])


def test_a_disk_without_room_is_said_and_leaves_the_old_state(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    put_image(layouts, OS, tags=["stable"])
    before = sorted(tmp_path.rglob("*"))

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        layouts.put_blob(OS, b"x" * 5000)

    error = _in_child(fill)

    assert error is not None
    assert os.strerror(errno.EFBIG) in error.message
    assert error.hint == "make room on the disk; nothing half-written was left behind"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_may_not_be_written_is_a_missing_permission(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path)
    put_image(layouts, OS, tags=["stable"])
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in tmp_path.parents[: tmp_path.parents.index(Path(tempfile.gettempdir()))]:
        parent.chmod(0o755)

    def write() -> None:
        if os.getuid() == 0:
            os.setuid(65534)  # root may write everywhere
        layouts.put_blob(OS, b"new")

    error = _in_child(write)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755)

    assert isinstance(error, Unequipped)
    assert "cannot write" in error.message
    assert os.strerror(errno.EACCES) in error.message


def test_a_repository_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "os").write_text("in the way")

    with pytest.raises(RelmanError, match="cannot write"):
        put_image(Layouts(tmp_path), OS, tags=["stable"])


def test_a_repository_may_not_be_without_a_path() -> None:
    with pytest.raises(ValueError, match="takes a path"):
        Repository(OS.transport, "", "")
