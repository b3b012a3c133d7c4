"""The walk with everything in memory but the records: a configuration as text, a registry, images made to order."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path

from relman.http import Client
from relman.ledger import FolderLedger
from relman.lifecycle import Lifecycle, configure
from relman.manager import Plugins
from relman.model.oci import Digest, Reference, parse_reference, parse_repository
from relman.registry.protocol import RegistryWriter
from relman.testing import MemoryRegistry, attach, put_image, put_index

PREFIX = "ghcr.io/acme"
MONDAY = datetime(2026, 7, 6, 12, tzinfo=UTC)
"""When tests are set, where they do not say."""

SYSTEM: Mapping[str, str] = {f"composed-{number:03}": "1.0-1.fc44" for number in range(100)}
"""A hundred packages that never change: with fewer a list is no image's."""

_ARCHES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@functools.cache
def plugins() -> Plugins:
    """Those of this installation, as a user has them."""
    return Plugins()


@dataclass
class World:
    """A project: its folder, a registry, and what time it is."""

    folder: Path
    registry: RegistryWriter
    prefix: str = PREFIX
    now: datetime = MONDAY
    plugins: Plugins = field(default_factory=plugins)

    @property
    def ledger(self) -> FolderLedger:
        """The records, where the configuration has them by default."""
        return FolderLedger(self.folder / "releases")

    @property
    def memory(self) -> MemoryRegistry:
        """The registry, where it is in memory."""
        assert isinstance(self.registry, MemoryRegistry)
        return self.registry

    @contextmanager
    def walk(self, file: Path | None = None, *, now: datetime | None = None) -> Iterator[Lifecycle]:
        """A run, with the relman.toml of the folder where ``file`` does not name another."""
        config, slots = configure(self.plugins, file or self.folder / "relman.toml", self.folder)
        with Client() as http:
            moment = now or self.now
            yield Lifecycle(config, slots, self.plugins, self.registry, http, self.ledger, lambda: moment)

    def configure(self, text: str) -> None:
        """Write relman.toml: ``text`` after a project and a registry."""
        head = f'[project]\nname = "Composed OS"\n\n[registry]\nprefix = "{self.prefix}"\n\n'
        (self.folder / "relman.toml").write_text(head + text, encoding="utf-8")

    def push(
        self,
        name: str,
        *tags: str,
        day: date | None = None,
        packages: Mapping[str, str] | None = None,
        platforms: Sequence[str] = ("linux/amd64",),
        revision: str | None = None,
        **labels: str,
    ) -> Digest:
        """An image under ``tags``, made at 04:40 of ``day``, with a list of its packages; several platforms: an index.

        ``packages`` come beside `SYSTEM`. Without ``day`` it does not say when it was made.
        """
        repository = parse_repository(f"{self.prefix}/{name}")
        labels = {key.replace("__", "."): value for key, value in labels.items()}
        if revision:
            labels["org.opencontainers.image.revision"] = revision
        created = datetime.combine(day, time(4, 40), UTC) if day else None
        children = []
        for platform in platforms:
            single = tags if len(platforms) == 1 else ()
            digest = put_image(
                self.registry, repository, tags=single, labels=labels, platform=platform, created=created
            )
            content = sbom({**SYSTEM, **(packages or {})}, _ARCHES[platform])
            attach(self.registry, repository, digest, content, "application/vnd.spdx+json", "application/json")
            children.append(digest)
        return children[0] if len(children) == 1 else put_index(self.registry, repository, children, tags=tags)

    def tag(self, source: str, *tags: str) -> Digest:
        """Let more tags of its repository point at ``source`` (`os:stable`, `os@sha256:…`)."""
        reference = self.reference(source)
        manifest = self.registry.manifest(reference)
        for tag in tags:
            self.registry.put_manifest(reference.repository, manifest.content, manifest.descriptor.media_type, tag=tag)
        return manifest.descriptor.digest

    def reference(self, text: str) -> Reference:
        """`os:stable`, below the prefix."""
        return parse_reference(f"{self.prefix}/{text}")

    def holds(self, text: str) -> Digest | None:
        """What a tag points at, or `None`."""
        found = self.registry.resolve(self.reference(text))
        return found.digest if found else None


def sbom(packages: Mapping[str, str], arch: str = "x86_64") -> bytes:
    """A list in syft's own format: ``packages`` are ``[epoch:]version-release`` by name."""
    artifacts = []
    for number, (name, version) in enumerate(packages.items()):
        epoch, colon, rest = version.rpartition(":")
        metadata = {
            "name": name,
            "version": rest.rpartition("-")[0],
            "epoch": int(epoch) if colon else None,
            "architecture": arch,
            "release": rest.rpartition("-")[2],
            "sourceRpm": f"{name}-{rest}.src.rpm",
        }
        artifacts.append(
            {
                "id": f"rpm-{number}",
                "name": name,
                "version": version,
                "type": "rpm",
                "foundBy": "rpm-db-cataloger",
                "locations": [{"path": "/usr/share/rpm/rpmdb.sqlite"}],
                "metadataType": "rpm-db-entry",
                "metadata": metadata,
            }
        )
    return json.dumps({"artifacts": artifacts, "schema": {"version": "16.0.34"}}).encode()
