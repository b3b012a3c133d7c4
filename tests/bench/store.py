"""Images written straight into docker-registry's folder: thirty variants in seconds, each blob once.

The registry serves what it finds there (distribution's `registry/storage/paths.go` has the layout). Variants share
blobs of layers and lists, as they do in the field; manifests and configurations are each variant's own, so that no
digest is met twice and nothing is remembered that would have to be asked for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from relman.compact.lists import ARTIFACT_TYPE, LAYER_TYPE, document_bytes, pack
from relman.model.contents import Contents
from relman.model.oci import Digest, Platform
from relman.registry.manifests import OCI_CONFIG, OCI_EMPTY, encode
from relman.registry.protocol import OCI_INDEX, OCI_MANIFEST
from tests.layer_factories import Layer

AMD64 = Platform("linux", "amd64")
DAYS = (datetime(2026, 6, 16, 4, 40, tzinfo=UTC), datetime(2026, 6, 23, 4, 40, tzinfo=UTC))
TAGS = tuple(f"stable-{day:%Y%m%d}" for day in DAYS)
SBOM_TYPE = "application/vnd.spdx+json"
_LAYERS = 64
_TAR = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY = b"{}"


@dataclass
class Store:
    """A docker-registry's folder."""

    folder: Path
    _known: set[Digest] = field(default_factory=set)

    @property
    def _root(self) -> Path:
        return self.folder / "docker/registry/v2"

    def path(self, digest: str) -> Path:
        """Where a blob's bytes are."""
        algorithm, _, hex = digest.partition(":")
        return self._root / f"blobs/{algorithm}/{hex[:2]}/{hex}/data"

    def has(self, repository: str, digest: str) -> bool:
        """Whether this repository has the blob."""
        return self._layer(repository, digest).exists()

    def _layer(self, repository: str, digest: str) -> Path:
        return self._root / f"repositories/{repository}/_layers/{digest.replace(':', '/')}/link"

    def blob(self, repository: str, content: bytes, digest: Digest | None = None) -> dict[str, object]:
        """Store it, let the repository have it, and describe it (without a media type)."""
        digest = digest or Digest.of(content)
        if digest not in self._known:
            path = self.path(digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self._known.add(digest)
        _link(self._layer(repository, digest), digest)
        return {"digest": digest, "size": len(content)}

    def manifest(self, repository: str, value: Mapping[str, object], *tags: str) -> dict[str, object]:
        """Store a manifest under its digest and these tags, and describe it."""
        content = encode(value)
        described = self.blob(repository, content)
        digest = Digest.of(content)
        manifests = self._root / f"repositories/{repository}/_manifests"
        _link(manifests / f"revisions/sha256/{digest.hex}/link", digest)
        for tag in tags:
            _link(manifests / f"tags/{tag}/current/link", digest)
            _link(manifests / f"tags/{tag}/index/sha256/{digest.hex}/link", digest)
        return {"mediaType": value["mediaType"], **described}

    def attach(
        self, repository: str, subject: Mapping[str, object], artifact_type: str, layer: Mapping[str, object]
    ) -> None:
        """A referrer of ``subject``, under its fallback tag: GHCR has no API for them."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": {"mediaType": OCI_EMPTY, **self.blob(repository, _EMPTY)},
            "layers": [dict(layer)],
            "subject": dict(subject),
        }
        entry = {**self.manifest(repository, manifest), "artifactType": artifact_type}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        self.manifest(repository, index, Digest(str(subject["digest"])).fallback_tag)


def _link(path: Path, digest: Digest) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(digest)


@dataclass(frozen=True)
class Inside:
    """What one build of a case carries: ``layers`` above the others, ``labels``, and what is attached."""

    layers: Sequence[Layer] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    sbom: bytes | None = None
    own: Contents | None = None


def put_variant(store: Store, repository: str, inside: Sequence[Inside]) -> tuple[str, ...]:
    """Both builds of one variant, of 65 layers each; `stable` is the newer one. Returns the digests."""
    digests = []
    for build, one in enumerate(inside):
        tags = (TAGS[build], "stable") if build else (TAGS[build],)
        subject = _put_image(store, repository, build, one, tags)
        if one.sbom is not None:
            digest = _digest_of(one.sbom)
            named = {
                "annotations": {"org.opencontainers.image.title": "sbom.json"}
            }  # oras pulls no blob without a name
            layer = {"mediaType": SBOM_TYPE, **store.blob(repository, one.sbom, digest), **named}
            store.attach(repository, subject, SBOM_TYPE, layer)
        if one.own is not None:
            packed = pack(document_bytes(AMD64, one.own, image=Digest(str(subject["digest"]))))
            layer = {"mediaType": LAYER_TYPE, **store.blob(repository, packed)}
            store.attach(repository, subject, ARTIFACT_TYPE, {**layer, "data": base64.b64encode(packed).decode()})
        digests.append(str(subject["digest"]))
    return tuple(digests)


_digests: dict[int, Digest] = {}


def _digest_of(content: bytes) -> Digest:
    return _digests.setdefault(id(content), Digest.of(content))


def _put_image(store: Store, repository: str, build: int, inside: Inside, tags: Sequence[str]) -> dict[str, object]:
    layers: list[dict[str, object]] = []
    diff_ids = []
    for number in range(_LAYERS):
        content = f"composed layer {number}".encode()
        layers.append({"mediaType": _TAR, **store.blob(repository, content)})
        diff_ids.append(str(Digest.of(content)))
    for layer in inside.layers:
        described = store.blob(repository, layer.blob, _digest_of(layer.blob))
        layers.append({"mediaType": layer.media_type, **described, "annotations": dict(layer.annotations)})
        diff_ids.append(layer.diff_id)
    labels = {
        "org.opencontainers.image.version": TAGS[build],
        "org.opencontainers.image.revision": f"{build:040}",
        "org.opencontainers.image.title": repository,
        **inside.labels,
    }
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": DAYS[build].isoformat().replace("+00:00", "Z"),
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "composed"} for _ in diff_ids],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, **store.blob(repository, json.dumps(config).encode())},
        "layers": layers,
    }
    return store.manifest(repository, manifest, *tags)
