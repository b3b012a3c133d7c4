"""Evidence travels: every signature, attestation and SBOM of an image, in every place, or an error that names it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relman.errors import Malformed
from relman.model.oci import Descriptor, Digest, Repository, parse_repository
from relman.registry import Registries
from relman.registry.evidence import EvidenceLost, copy_evidence, evidence_of, lost
from relman.registry.manifests import OCI_CONFIG, as_json, encode
from relman.registry.protocol import OCI_MANIFEST, RegistryWriter
from relman.testing import MemoryRegistry, attach, put_image, put_index

SPDX = "application/vnd.spdx+json"
SIGSTORE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_count = itertools.count()


@dataclass(frozen=True)
class Place:
    """A registry and how its repositories are called."""

    writer: RegistryWriter
    name: Callable[[str], Repository]


@pytest.fixture(params=["memory", "memory without referrers API", "layout", "docker-registry"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param.startswith("memory"):
        memory = MemoryRegistry(referrers_api=request.param == "memory")
        yield Place(memory, lambda name: parse_repository(f"registry.example/{name}"))
        return
    with Registries(tmp_path) as registries:
        if request.param == "layout":
            yield Place(registries, lambda name: parse_repository(f"oci:images/{name}"))
        else:
            host, run = request.getfixturevalue("docker_registry"), next(_count)
            yield Place(registries, lambda name: parse_repository(f"{host}/evidence-{run}/{name}"))


def signed_by_tag(writer: RegistryWriter, repository: Repository, tag: str, *signatures: str) -> Digest:
    """A manifest as cosign writes it: a layer for each signature, which stands in the layer's annotation."""
    config = writer.put_blob(repository, b'{"architecture":"","os":""}')
    layers = []
    for signature in signatures:
        payload = f'{{"critical":{{"type":"{signature}"}}}}'.encode()
        layer = as_json(
            Descriptor(
                "application/vnd.dev.cosign.simplesigning.v1+json", writer.put_blob(repository, payload), len(payload)
            )
        )
        layers.append({**layer, "annotations": {"dev.cosignproject.cosign/signature": signature}})
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": as_json(Descriptor(OCI_CONFIG, config, 27)),
        "layers": layers,
    }
    return writer.put_manifest(repository, encode(manifest), OCI_MANIFEST, tag=tag)


@dataclass(frozen=True)
class Everything:
    """An index of two platforms with all kinds of evidence, some of it with evidence of its own."""

    digest: Digest
    pieces: frozenset[str]


def everything(writer: RegistryWriter, repository: Repository) -> Everything:
    children = [
        put_image(writer, repository, platform=platform, labels={"x": platform})
        for platform in ("linux/amd64", "linux/arm64")
    ]
    index = put_index(writer, repository, children, tags=["testing"])
    sbom = attach(writer, repository, children[0], b'{"spdxVersion":"SPDX-2.3"}', SPDX, "application/json")
    bundle = attach(writer, repository, index, b'{"bundle":1}', SIGSTORE, SIGSTORE)
    nested = attach(writer, repository, sbom, b'{"bundle":2}', SIGSTORE, SIGSTORE)
    tags = {
        f"{index.fallback_tag}.sig": ("one",),
        f"{children[1].fallback_tag}.att": ("attested",),
        f"{index.fallback_tag}.sbom": ("listed",),
        f"{sbom.fallback_tag}.sig": ("of the list",),
    }
    for tag, signatures in tags.items():
        signed_by_tag(writer, repository, tag, *signatures)
    return Everything(index, frozenset({sbom, bundle, nested, *tags}))


def names(writer: RegistryWriter, repository: Repository, digest: Digest) -> frozenset[str]:
    return frozenset(piece.tag or piece.descriptor.digest for piece in evidence_of(writer, repository.digest(digest)))


def test_all_evidence_is_found_also_that_of_platforms_and_of_evidence_itself(place: Place) -> None:
    made = everything(place.writer, place.name("os"))
    assert names(place.writer, place.name("os"), made.digest) == made.pieces


def test_all_evidence_arrives_and_a_second_time_there_is_nothing_to_do(place: Place) -> None:
    writer, source, target = place.writer, place.name("os"), place.name("stable/os")
    made = everything(writer, source)
    writer.copy(source.digest(made.digest), target)
    assert len(lost(writer, source.digest(made.digest), target)) == 7

    assert len(copy_evidence(writer, source.digest(made.digest), target)) == 7
    assert copy_evidence(writer, source.digest(made.digest), target) == ()

    assert names(writer, target, made.digest) == made.pieces
    assert lost(writer, source.digest(made.digest), target) == ()


def test_other_signatures_that_are_there_stay_beside_those_that_come(place: Place) -> None:
    writer, source, target = place.writer, place.name("os"), place.name("stable/os")
    image = put_image(writer, source)
    writer.copy(source.digest(image), target)
    tag = f"{image.fallback_tag}.sig"
    signed_by_tag(writer, source, tag, "one", "two")
    signed_by_tag(writer, target, tag, "three", "two")
    theirs = attach(writer, target, image, b"theirs", SPDX, SPDX)
    ours = attach(writer, source, image, b"ours", SPDX, SPDX)

    copy_evidence(writer, source.digest(image), target)

    layers = json.loads(writer.manifest(target.tag(tag)).content)["layers"]
    assert [layer["annotations"]["dev.cosignproject.cosign/signature"] for layer in layers] == ["three", "two", "one"]
    assert {d.digest for d in writer.referrers(target, image)} == {theirs, ours}
    assert lost(writer, source.digest(image), target) == ()


def test_what_is_missing_is_named(place: Place) -> None:
    writer, source, target = place.writer, place.name("os"), place.name("stable/os")
    image = put_image(writer, source)
    writer.copy(source.digest(image), target)
    signed_by_tag(writer, source, f"{image.fallback_tag}.sig", "one")
    sbom = attach(writer, source, image, b"list", SPDX, SPDX)

    missing = lost(writer, source.digest(image), target)

    assert EvidenceLost(missing, target).message == (
        f"`{target}` lacks `{sbom.short}` ({SPDX}) of `{image.short}`, "
        f"the tag `{image.fallback_tag}.sig` of `{image.short}`"
    )


def test_an_image_without_evidence_has_none(place: Place) -> None:
    image = put_image(place.writer, place.name("os"))
    assert evidence_of(place.writer, place.name("os").digest(image)) == ()


def test_evidence_without_end_is_refused() -> None:
    writer, repository = MemoryRegistry(), parse_repository("registry.example/os")
    subject = image = put_image(writer, repository)
    for number in range(6):
        subject = attach(writer, repository, subject, str(number).encode(), SPDX, SPDX)
    with pytest.raises(Malformed, match="more than 4 deep"):
        evidence_of(writer, repository.digest(image))
