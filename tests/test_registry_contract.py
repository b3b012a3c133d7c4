"""What every registry promises (relman/registry/protocol.py), over a folder, a server and the one in memory."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relman import process
from relman.errors import Malformed, NotFound, UsageError
from relman.model.oci import Descriptor, Digest, Reference, Repository, parse_repository
from relman.registry import Registries
from relman.registry.manifests import as_json, encode
from relman.registry.protocol import OCI_INDEX, OCI_MANIFEST, RegistryWriter
from relman.testing import MemoryRegistry, attach, put_image, put_index

SBOM = "application/vnd.syft+json"
MISSING = Digest.of(b"never stored")
_count = itertools.count()


@pytest.fixture(params=["memory", "memory without referrers API", "layout", "docker-registry"])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[RegistryWriter, Callable[[str], Repository]]]:
    kind, run = request.param, next(_count)
    if kind.startswith("memory"):
        memory = MemoryRegistry(referrers_api=kind == "memory")
        yield memory, lambda name: parse_repository(f"registry.example/{name}")
        return
    with Registries(tmp_path) as registries:
        if kind == "layout":
            yield registries, lambda name: parse_repository(f"oci:images/{name}")
        else:
            host = request.getfixturevalue("docker_registry")
            yield registries, lambda name: parse_repository(f"{host}/contract-{run}/{name}")


Registry = tuple[RegistryWriter, Callable[[str], Repository]]


def test_a_tag_leads_to_the_bytes_that_were_put(registry: Registry) -> None:
    writer, name = registry
    digest = put_image(writer, name("os"), tags=["stable", "stable-20250608"], labels={"a": "b"})

    manifest = writer.manifest(name("os").tag("stable"))

    assert sorted(writer.tags(name("os"))) == ["stable", "stable-20250608"]
    assert Digest.of(manifest.content) == digest == manifest.descriptor.digest
    assert manifest.descriptor == Descriptor(OCI_MANIFEST, digest, len(manifest.content))
    assert writer.resolve(name("os").tag("stable")) == manifest.descriptor
    assert writer.resolve(name("os").digest(digest)) == manifest.descriptor


def test_a_tag_can_be_moved_and_the_old_image_stays_by_digest(registry: Registry) -> None:
    writer, name = registry
    old = put_image(writer, name("os"), tags=["stable"], labels={"build": "1"})
    new = put_image(writer, name("os"), tags=["testing"], labels={"build": "2"})
    manifest = writer.manifest(name("os").digest(new))

    assert (
        writer.put_manifest(name("os"), manifest.content, manifest.descriptor.media_type, tag="stable")
        == new
        == writer.manifest(name("os").tag("stable")).descriptor.digest
    )
    assert writer.manifest(name("os").digest(old)).descriptor.digest == old
    assert sorted(writer.tags(name("os"))) == ["stable", "testing"]


def test_a_digest_decides_over_the_tag_beside_it(registry: Registry) -> None:
    writer, name = registry
    old = put_image(writer, name("os"), tags=["old"], labels={"build": "1"})
    put_image(writer, name("os"), tags=["stable"], labels={"build": "2"})

    both = name("os").tag("stable").at(old)

    assert writer.manifest(both).descriptor.digest == old
    found = writer.resolve(both)
    assert found is not None
    assert found.digest == old


def test_what_is_not_there_is_none_or_not_found(registry: Registry) -> None:
    writer, name = registry
    put_image(writer, name("os"), tags=["stable"])

    assert writer.resolve(name("os").tag("testing")) is None
    assert writer.resolve(name("os").digest(MISSING)) is None
    assert writer.resolve(name("nothing").tag("stable")) is None
    assert writer.referrers(name("os"), MISSING) == ()
    for read in (
        lambda: writer.tags(name("nothing")),
        lambda: writer.manifest(name("os").tag("testing")),
        lambda: writer.manifest(name("os").digest(MISSING)),
        lambda: writer.manifest(name("nothing").tag("stable")),
        lambda: writer.blob(name("os"), MISSING, limit=10),
        lambda: writer.open_blob(name("os"), MISSING).__enter__(),
    ):
        with pytest.raises(NotFound):
            read()


def test_which_image_of_several_is_meant_is_not_guessed(registry: Registry) -> None:
    writer, name = registry
    put_image(writer, name("os"), tags=["a"], labels={"build": "1"})
    put_image(writer, name("os"), tags=["b"], labels={"build": "2"})

    for ask in (writer.resolve, writer.manifest):
        with pytest.raises(UsageError, match="names no image"):
            ask(Reference(name("os")))


def test_a_blob_comes_back_whole_and_in_pieces(registry: Registry) -> None:
    writer, name = registry
    content = bytes(range(256)) * 9000

    digest = writer.put_blob(name("os"), content)
    put_image(writer, name("os"), tags=["a"], layers=[content])

    assert digest == Digest.of(content)
    assert writer.blob(name("os"), digest, limit=len(content)) == content
    with writer.open_blob(name("os"), digest) as pieces:
        assert b"".join(pieces) == content


def test_a_blob_over_the_limit_is_malformed(registry: Registry) -> None:
    writer, name = registry
    digest = writer.put_blob(name("os"), b"x" * 1001)

    with pytest.raises(Malformed, match="larger than 1000 bytes"):
        writer.blob(name("os"), digest, limit=1000)


def test_an_empty_blob_is_a_blob(registry: Registry) -> None:
    writer, name = registry

    assert writer.blob(name("os"), writer.put_blob(name("os"), b""), limit=0) == b""
    with writer.open_blob(name("os"), Digest.of(b"")) as pieces:
        assert b"".join(pieces) == b""


@pytest.mark.parametrize(("start", "length"), [(0, 1), (0, 1000), (7, 300), (999, 1), (0, 999)])
def test_a_part_of_a_blob_is_exactly_that_part(registry: Registry, start: int, length: int) -> None:
    writer, name = registry
    content = bytes(n % 251 for n in range(1000))
    digest = writer.put_blob(name("os"), content)

    assert writer.blob_range(name("os"), digest, start, length) == content[start : start + length]


@pytest.mark.parametrize(("start", "length"), [(0, 1001), (990, 11), (1000, 1), (10**12, 5)])
def test_a_part_that_a_blob_does_not_have_is_malformed(registry: Registry, start: int, length: int) -> None:
    writer, name = registry
    digest = writer.put_blob(name("os"), b"x" * 1000)

    with pytest.raises(Malformed, match="ends"):
        writer.blob_range(name("os"), digest, start, length)


def test_a_part_of_a_missing_blob_is_not_found(registry: Registry) -> None:
    writer, name = registry
    writer.put_blob(name("os"), b"x")

    with pytest.raises(NotFound):
        writer.blob_range(name("os"), MISSING, 0, 1)


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, 0), (0, -1)])
def test_a_part_that_is_none_cannot_be_asked_for(registry: Registry, start: int, length: int) -> None:
    writer, name = registry
    digest = writer.put_blob(name("os"), b"x")

    with pytest.raises(ValueError, match="no range"):
        writer.blob_range(name("os"), digest, start, length)


@pytest.mark.parametrize("by_fallback_tag", [None, True])
def test_what_is_attached_is_listed_with_its_type(registry: Registry, by_fallback_tag: bool | None) -> None:
    writer, name = registry
    image = put_image(writer, name("os"), tags=["stable"])
    other = put_image(writer, name("os"), tags=["other"], labels={"other": "image"})

    first = attach(writer, name("os"), image, b"{}", SBOM, SBOM, by_fallback_tag=by_fallback_tag)
    second = attach(writer, name("os"), image, b"sig", "application/x-sig", "text/plain", by_fallback_tag=None)
    again = attach(writer, name("os"), image, b"{}", SBOM, SBOM, by_fallback_tag=by_fallback_tag)

    found = writer.referrers(name("os"), image)
    assert again == first
    assert {(d.digest, d.artifact_type) for d in found} == {(first, SBOM), (second, "application/x-sig")}
    assert len(found) == 2
    assert writer.referrers(name("os"), other) == ()
    assert writer.resolve(name("os").tag("stable")) == writer.resolve(name("os").digest(image))


def test_an_entry_of_a_fallback_list_without_a_type_has_none(registry: Registry) -> None:
    writer, name = registry
    image = put_image(writer, name("os"), tags=["stable"])
    plain = put_image(writer, name("os"), labels={"not": "typed"})
    found = writer.resolve(name("os").digest(plain))
    assert found is not None
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [as_json(found)]}

    writer.put_manifest(name("os"), encode(index), OCI_INDEX, tag=image.fallback_tag)

    assert [(d.digest, d.artifact_type) for d in writer.referrers(name("os"), image)] == [(plain, None)]


def test_an_index_is_copied_whole_with_its_digests_and_without_a_tag(registry: Registry) -> None:
    writer, name = registry
    platforms = ("linux/amd64", "linux/arm64")
    children = [put_image(writer, name("testing"), platform=p, layers=[p.encode(), b"shared"]) for p in platforms]
    index = put_index(writer, name("testing"), children, tags=["t"])
    put_image(writer, name("stable"), tags=["old"])

    writer.copy(name("testing").tag("t").at(index), name("stable"))
    writer.copy(name("testing").digest(index), name("stable"))

    assert writer.tags(name("stable")) == ("old",)
    for digest in (index, *children):
        original = writer.manifest(name("testing").digest(digest))
        assert writer.manifest(name("stable").digest(digest)) == original
    for layer in (b"linux/amd64", b"linux/arm64", b"shared"):
        assert writer.blob(name("stable"), Digest.of(layer), limit=100) == layer


def test_only_what_is_pinned_is_copied(registry: Registry) -> None:
    writer, name = registry
    put_image(writer, name("testing"), tags=["t"])

    with pytest.raises(UsageError, match="not pinned"):
        writer.copy(name("testing").tag("t"), name("stable"))


def test_a_manifest_that_is_none_is_refused(registry: Registry) -> None:
    writer, name = registry

    with pytest.raises(Exception, match=r"."):  # each says it in its own words
        writer.put_manifest(name("os"), b"not json", OCI_MANIFEST, tag="t")
    assert writer.resolve(name("os").tag("t")) is None


def test_the_same_arguments_make_the_same_image(registry: Registry) -> None:
    writer, name = registry

    assert put_image(writer, name("a"), labels={"x": "y"}) == put_image(MemoryRegistry(), name("b"), labels={"x": "y"})


def test_asking_what_registries_promise_loads_no_client() -> None:
    program = (
        "import sys, relman.registry.protocol; print([m for m in ('urllib3', 'stamina', 'ssl') if m in sys.modules])"
    )

    assert process.run([sys.executable, "-c", program], timeout=60).stdout == b"[]\n"
