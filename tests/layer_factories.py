"""Images layer by layer, for tests: tars by `tarfile`, compressed as they come, with names, links and whiteouts; real
rpm databases by rpm; and a reader that counts what is read of them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from relman.model.contents import Capability, Contents, Unavailable
from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.plugin import ImageUnderRead, RegistryReader, RegistryWriter
from relman.registry.look import look_at
from relman.registry.manifests import OCI_CONFIG, as_json, encode
from relman.registry.protocol import OCI_MANIFEST, Manifest
from relman_plugins.inspect.rpmdb import DatabaseSource

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TAR = "application/vnd.oci.image.layer.v1.tar"
RPMDB = "usr/share/rpm/rpmdb.sqlite"
OSTREE = "sysroot/ostree/repo/objects"


@dataclass(frozen=True)
class Link:
    """A hard link."""

    target: str


@dataclass(frozen=True)
class Symlink:
    """A symbolic link."""

    target: str


class Folder:
    """A folder."""


Content = bytes | Link | Symlink | Folder
Entries = Mapping[str, Content] | Sequence[tuple[str, Content]]


@dataclass(frozen=True)
class Layer:
    """A layer's blob, and what the manifest and the history say of it."""

    blob: bytes
    diff_id: str
    media_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    created_by: str = ""
    comment: str = ""

    def named(self, *, chunkah: str = "", ostree: str = "", created_by: str = "", comment: str = "") -> Layer:
        """The same with a name, in an annotation or in the history."""
        more = {"org.chunkah.component": chunkah} if chunkah else {}
        more |= {"ostree.components": ostree} if ostree else {}
        return replace(self, annotations={**self.annotations, **more}, created_by=created_by, comment=comment)


def tarred(entries: Entries, format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar with ``entries`` in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in entries.items() if isinstance(entries, Mapping) else entries:
            entry = tarfile.TarInfo(name)
            match content:
                case Link(target):
                    entry.type, entry.linkname = tarfile.LNKTYPE, target
                case Symlink(target):
                    entry.type, entry.linkname = tarfile.SYMTYPE, target
                case Folder():
                    entry.type = tarfile.DIRTYPE
                case bytes():
                    entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content if isinstance(content, bytes) else b""))
    return buffer.getvalue()


def raw(blob: bytes) -> Layer:
    """Whatever bytes as a layer."""
    return Layer(blob, Digest.of(blob), TAR)


def plain(entries: Entries) -> Layer:
    """An uncompressed layer."""
    content = tarred(entries)
    return Layer(content, Digest.of(content), TAR)


def gzipped(entries: Entries) -> Layer:
    """As docker and buildah push by default."""
    content = tarred(entries)
    return Layer(gzip.compress(content, 1, mtime=0), Digest.of(content), f"{TAR}+gzip")


def zstandard(entries: Entries) -> Layer:
    """As `--compression-format=zstd` pushes."""
    content = tarred(entries)
    return Layer(zstd.compress(content), Digest.of(content), f"{TAR}+zstd")


def chunked(entries: Entries, prefix: str = "io.github.containers.zstd-chunked", **lies: Any) -> Layer:
    """zstd:chunked, composed by the format's description; real ones are in tests/integration/test_rpmdb.py.

    ``lies`` replace fields of the table's entry for the first file with content, or, as ``annotations``, those.
    """
    stream, position = bytearray(), 0
    content = tarred(entries)
    table: list[dict[str, Any]] = []
    annotations: dict[str, str] = lies.pop("annotations", {})
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            entry: dict[str, Any] = {"type": _type(member), "name": member.name, "mode": 0o644}
            if member.linkname:
                entry["linkName"] = member.linkname
            if member.isreg() and member.size:
                stream += zstd.compress(content[position : member.offset_data])
                file = content[member.offset_data : member.offset_data + member.size]
                # Each file is frames of its own; large ones are several.
                start, half = len(stream), len(file) // 2
                stream += zstd.compress(file[:half]) + zstd.compress(file[half:])
                position = member.offset_data + member.size
                entry |= {"size": member.size, "digest": Digest.of(file), "offset": start, "endOffset": len(stream)}
                entry |= lies
                lies = {}
            table.append(entry)
    stream += zstd.compress(content[position:])
    toc = json.dumps({"version": 1, "entries": table}).encode()
    packed = zstd.compress(toc)
    place = f"{len(stream) + 8}:{len(packed)}:{len(toc)}:1"
    stream += b"\x50\x2a\x4d\x18" + len(packed).to_bytes(4, "little") + packed
    stated = {f"{prefix}.manifest-position": place, f"{prefix}.manifest-checksum": Digest.of(packed)}
    stated |= {f"{prefix}.{key}": text for key, text in annotations.items()}
    return Layer(bytes(stream), Digest.of(content), f"{TAR}+zstd", stated)


def _type(member: tarfile.TarInfo) -> str:
    kinds = {tarfile.LNKTYPE: "hardlink", tarfile.SYMTYPE: "symlink", tarfile.DIRTYPE: "dir"}
    return kinds.get(member.type, "reg")


def put_layers(
    writer: RegistryWriter,
    repository: Repository,
    layers: Sequence[Layer],
    *,
    tag: str = "t",
    labels: Mapping[str, str] | None = None,
    history: object = True,
) -> Reference:
    """An image of ``layers``, the bottom first; pinned. ``history`` is theirs, none, or whatever is given."""
    config: dict[str, object] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": dict(labels or {})},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    if history is True:
        made = [{"created_by": layer.created_by, "comment": layer.comment} for layer in layers]
        config["history"] = [{"created_by": "ENV composed", "empty_layer": True}, *made]
    elif history is not False:
        config["history"] = history
    encoded = encode(config)
    descriptors = [
        Descriptor(layer.media_type, writer.put_blob(repository, layer.blob), len(layer.blob), None, layer.annotations)
        for layer in layers
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": as_json(Descriptor(OCI_CONFIG, writer.put_blob(repository, encoded), len(encoded))),
        "layers": [as_json(d) | {"annotations": dict(d.annotations)} for d in descriptors],
    }
    return repository.tag(tag).at(writer.put_manifest(repository, encode(manifest), OCI_MANIFEST, tag=tag))


class Counting:
    """A `RegistryReader` that counts what is taken from ``inner``: blobs opened, ranges, bytes."""

    def __init__(self, inner: RegistryReader) -> None:
        self.inner = inner
        self.opened: list[Digest] = []
        self.ranges: list[tuple[int, int]] = []
        self.bytes = 0

    def tags(self, repository: Repository) -> tuple[str, ...]:
        return self.inner.tags(repository)

    def resolve(self, reference: Reference) -> Descriptor | None:
        return self.inner.resolve(reference)

    def manifest(self, reference: Reference) -> Manifest:
        return self.inner.manifest(reference)

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        return self.inner.referrers(repository, digest)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        return self.inner.blob(repository, digest, limit=limit)

    def lists_referrers(self, repository: Repository) -> bool | None:
        return None

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        return self.inner.has_blob(repository, digest)

    @contextmanager
    def open_blob(self, repository: Repository, digest: Digest) -> Iterator[Iterator[bytes]]:
        self.opened.append(digest)
        with self.inner.open_blob(repository, digest) as pieces:
            yield self._counted(pieces)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.bytes += len(piece)
            yield piece

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        self.ranges.append((start, length))
        self.bytes += length
        return self.inner.blob_range(repository, digest, start, length)


def read(
    registry: RegistryReader,
    reference: Reference,
    wants: frozenset[Capability] = frozenset(),
    source: DatabaseSource | None = None,
) -> Contents | Unavailable:
    """What the source says of the image at ``reference``."""
    (part,) = look_at(registry, reference).platforms
    return (source or DatabaseSource()).read(ImageUnderRead(reference, part, registry, wants))


def names(contents: Contents | Unavailable) -> list[str]:
    """The names of the packages."""
    assert isinstance(contents, Contents), contents
    return [package.name for package in contents.packages]


# ------------------------------------------------------------------------------------------------- databases


def real_database(folder: Path, *packages: str) -> Path:
    """A folder with the database that rpm makes of ``packages``, each built by rpmbuild; empty without any."""
    for name in packages:
        spec = f"Name: {name}\nVersion: 1.0\nRelease: 1\nSummary: composed\nLicense: MIT\nBuildArch: noarch\n"
        (folder / f"{name}.spec").write_text(spec + "%description\nComposed.\n%files\n")
        command = ["rpmbuild", "-bb", "--quiet", f"--define=_topdir {folder}", str(folder / f"{name}.spec")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    files = sorted(map(str, folder.glob("RPMS/*/*.rpm")))
    install = ["-i", "--justdb", "--nodeps", "--noscripts", *files] if files else ["--initdb"]
    command = ["rpm", f"--dbpath={folder / 'db'}", *install]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "db"


def noise(size: int, seed: int = 0) -> bytes:
    """``size`` bytes that do not compress, the same for the same ``seed``."""
    return random.Random(seed).randbytes(size)


def as_ostree(files: Entries) -> list[tuple[str, Content]]:
    """``files`` as a layer made from an ostree commit has them: each content an object, each path a hard link to it."""
    made: list[tuple[str, Content]] = []
    for name, content in sorted(files.items() if isinstance(files, Mapping) else files, key=lambda pair: pair[0][::-1]):
        assert isinstance(content, bytes)
        digest = hashlib.sha256(content).hexdigest()
        place = f"{OSTREE}/{digest[:2]}/{digest[2:]}.file"
        if place not in dict(made):
            made.append((place, content))
        made.append((name, Link(place)))
    return made


def status(*packages: str) -> bytes:
    """dpkg's `status` with ``packages``."""
    paragraph = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n\n"
    return "".join(map(paragraph.format, packages)).encode()


def desc(name: str, version: str = "1.0-1") -> bytes:
    """pacman's `desc` of a package."""
    return f"%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%ARCH%\nx86_64\n\n".encode()
