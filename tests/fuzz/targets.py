"""What is fuzzed: each reader of things from outside, as a function of bytes.

A target takes any bytes and returns how much it made of them. It raises `RelmanError` where they are not what they
should be, and nothing else, ever; what it makes is bounded by what it was given, which it checks itself. `SEEDS` are
well-formed inputs to begin from.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import lzma
import socket
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

from urllib3 import HTTPHeaderDict, HTTPResponse

from relman.answers import Head
from relman.compact.lists import document_bytes
from relman.connections import Broken, explain, translated
from relman.documents.contents import bound_contents
from relman.errors import RelmanError
from relman.model.contents import Capability, Contents, Unavailable
from relman.model.oci import (
    LINUX_AMD64,
    Descriptor,
    Digest,
    PlatformImage,
    Reference,
    parse_reference,
    parse_repository,
)
from relman.plugin import ImageUnderRead
from relman.registry.look import look_at
from relman.testing import MemoryRegistry
from relman_plugins.inspect.databases import read_dpkg, read_pacman, read_rpm, rpm, rpm_ndb
from relman_plugins.inspect.formats import entries
from relman_plugins.inspect.label import LABEL, LabelSource
from relman_plugins.inspect.layers import Limits
from relman_plugins.inspect.layers.tar import Archive
from relman_plugins.inspect.listed import contents
from relman_plugins.inspect.purl import parse_purl
from relman_plugins.inspect.rpmdb import DatabaseSource
from relman_plugins.inspect.unpack import decompressed, unpack
from tests import trap_sources, traps
from tests.layer_factories import RPMDB, Entries, Layer, Symlink, as_ostree, chunked, gzipped, put_layers, tarred
from tests.rpm_headers import ndb_database

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Target = Callable[[bytes], int]

DATA = Path(__file__).parents[1] / "data"
HERE = parse_repository("registry.example/os")
WANTS = frozenset({Capability.CHANGELOG, Capability.FILES})
ENTRIES = 5000
"""The most entries of one archive here."""
UNPACKED = 4 * 1024 * 1024
"""The most bytes that anything may unpack to here."""
LIMITS = Limits(unpacked=UNPACKED, spooled=UNPACKED, held=UNPACKED, entries=ENTRIES, noted=1_000_000, part=65536)


def _counted(found: Contents, given: int) -> int:
    """The packages, none of which can take less than three bytes, and not more text than was there.

    What is no UTF-8 is shown escaped, in four characters for a byte.
    """
    assert 3 * len(found.packages) <= given, (len(found.packages), given)
    assert sum(len(one.name) for one in found.packages) <= 4 * given
    return len(found.packages)


def rpm_header(data: bytes) -> int:
    """One header blob, with all that can be wanted of it."""
    found = rpm.contents([data], WANTS, "rpmdb")
    assert found.details is not None
    assert len(found.details.files) <= len(data)
    assert sum(len(e.text) for several in found.details.changelogs.values() for e in several) <= 4 * len(data)
    return _counted(found, len(data))


def rpm_database(data: bytes) -> int:
    """`rpmdb.sqlite`, or ndb, by its first bytes."""
    with tempfile.TemporaryDirectory(prefix="relman-fuzz-") as folder:
        path = Path(folder, "db")
        path.write_bytes(data)
        return _counted(read_rpm(path), len(data))


def ndb(data: bytes) -> int:
    """`Packages.db`: its slots and blobs."""
    with tempfile.TemporaryDirectory(prefix="relman-fuzz-") as folder:
        path = Path(folder, "db")
        path.write_bytes(data)
        total = sum(map(len, rpm_ndb.blobs(path)))
    assert total <= len(data)
    return total


def dpkg(data: bytes) -> int:
    """`status`, and a file of `status.d`."""
    return _counted(read_dpkg(data, {"x": data}, wants=WANTS), 2 * len(data))


def dpkg_files(data: bytes) -> int:
    """`md5sums`."""
    found = read_dpkg(b"Package: a\nVersion: 1\nStatus: install ok installed\n", {}, {"a.md5sums": data}, WANTS)
    assert found.details is not None
    assert 3 * len(found.details.files) <= len(data)
    return len(found.details.files)


def pacman(data: bytes) -> int:
    """`desc`."""
    return _counted(read_pacman([("a", data)]), len(data))


def tar(data: bytes) -> int:
    """A tar archive, all content of which is taken."""
    taken = count = 0
    archive = Archive(iter((data[:700], data[700:])), entries=ENTRIES)
    for entry in archive:
        count += 1
        assert not entry.name.startswith("/")
        assert ".." not in entry.name.split("/")
        taken += sum(map(len, archive.content()))
    assert 512 * count + taken <= len(data)
    return count


def stream(data: bytes) -> int:
    """Whatever is compressed, within a limit."""
    taken = 0
    for piece in decompressed(iter((data[:5], data[5:]))):
        assert len(piece) <= 1024 * 1024 or piece == data[5:]
        taken += len(piece)
        if taken > UNPACKED:
            break
    return taken


def layer(data: bytes) -> int:
    """An image of one layer, whatever that is."""
    registry = MemoryRegistry()
    blob = Layer(data, Digest.of(data), "application/vnd.oci.image.layer.v1.tar+gzip")
    reference = put_layers(registry, HERE, [blob])
    return _answered(_read(registry, reference), UNPACKED)


def chunked_table(data: bytes) -> int:
    """The table of contents of a zstd:chunked layer that holds a database at the end of the blob."""
    database = zstd.compress(_database())
    packed = zstd.compress(data)
    blob = database + packed
    place = f"{len(database)}:{len(packed)}:{len(data)}:1"
    said = {
        "io.github.containers.zstd-chunked.manifest-position": place,
        "io.github.containers.zstd-chunked.manifest-checksum": Digest.of(packed),
    }
    registry = MemoryRegistry()
    reference = put_layers(registry, HERE, [Layer(blob, Digest.of(b""), "application/x+zstd", said)])
    return _answered(_read(registry, reference), UNPACKED)


def sbom(data: bytes) -> int:
    """A list in any format, in any packing."""
    content = unpack(iter((data,)), packed_limit=UNPACKED, limit=UNPACKED)
    assert len(content) <= UNPACKED
    return _counted(contents(entries(content), "sbom", frozenset({"npm", "golang"})), len(content))


class _Wire:
    """A connection on which ``data`` is all that ever comes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client reads from."""
        return io.BufferedReader(cast(io.RawIOBase, io.BytesIO(self._data)))


def answer(data: bytes) -> int:
    """An answer over HTTP, head and body."""
    url, size = "http://registry.example/v2/", 0
    try:
        with translated(url, 1):
            head = Head(cast(socket.socket, _Wire(data)), method="GET")
            head.begin()
            headers = HTTPHeaderDict(head.msg.items())
            raw = HTTPResponse(head, headers, head.status, preload_content=False, request_method="GET")
            while piece := raw.read1(65536, decode_content=False):
                size += len(piece)
    except Broken as broken:
        raise explain(broken, "GET", url, writes=False, doubtful=False) from broken
    assert size <= len(data)
    return 1


def label(data: bytes) -> int:
    """rechunk's label."""
    text = data.decode("utf-8", "surrogateescape")
    image = PlatformImage(LINUX_AMD64, Descriptor("application/x", Digest.of(b""), 1), {LABEL: text}, None, 0)
    found = LabelSource().read(ImageUnderRead(parse_reference("registry.example/a:b"), image, MemoryRegistry()))
    return _answered(found, len(data))


def purl(data: bytes) -> int:
    """A package URL."""
    found = parse_purl(data.decode("utf-8", "surrogateescape"))
    return 0 if found is None else len(found.name)


def compact(data: bytes) -> int:
    """relman's own list, unpacked."""
    return sum(_counted(found, len(data)) for found in bound_contents(data, what="it").platforms.values())


def _read(registry: MemoryRegistry, reference: Reference) -> Contents | Unavailable:
    (part,) = look_at(registry, reference).platforms
    return DatabaseSource(LIMITS).read(ImageUnderRead(reference, part, registry, WANTS))


def _answered(found: Contents | Unavailable, given: int) -> int:
    if isinstance(found, Unavailable):
        assert found.reason
        return 0
    return _counted(found, given)


TARGETS: dict[str, Target] = {
    "rpm-header": rpm_header,
    "rpm-database": rpm_database,
    "ndb": ndb,
    "dpkg": dpkg,
    "dpkg-files": dpkg_files,
    "pacman": pacman,
    "tar": tar,
    "stream": stream,
    "layer": layer,
    "chunked-table": chunked_table,
    "sbom": sbom,
    "label": label,
    "answer": answer,
    "purl": purl,
    "compact": compact,
}


def outcome(target: Target, data: bytes) -> int | None:
    """What came of ``data``; `None` where it was refused. Whatever else is raised is a fault."""
    try:
        return target(data)
    except RelmanError:
        return None


# ----------------------------------------------------------------------------------------------------- seeds

_FEW = (*traps.RPM[0].before, *traps.RPM[2].after, *traps.RPM[16].before, *traps.RPM[17].after, *traps.RPM[19].after)
_DEB = tuple(one for trap in traps.DEB for one in trap.after)
_ALPM = tuple(one for trap in traps.ALPM for one in trap.after)


@functools.cache
def _database() -> bytes:
    return trap_sources.rpmdb(_FEW)


def _real_ndb() -> bytes:
    """The first packages of SUSE's own database, as one of their own."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        whole.write_bytes(lzma.decompress((DATA / "rpmdb" / "sle15-bci-Packages.db.xz").read_bytes()))
        smallest = sorted(rpm_ndb.blobs(whole), key=len)[:4]
        return ndb_database(Path(folder, "few"), smallest).read_bytes()


def _tables() -> Iterator[bytes]:
    whole = chunked({RPMDB: _database(), "usr/share/x": b"x"})
    place = whole.annotations["io.github.containers.zstd-chunked.manifest-position"].split(":")
    start, length = int(place[0]), int(place[1])
    yield zstd.decompress(whole.blob[start : start + length])
    database = zstd.compress(_database())
    right = {"type": "reg", "name": RPMDB, "size": len(_database()), "digest": Digest.of(_database())}
    right |= {"offset": 0, "endOffset": len(database)}
    link = {"type": "hardlink", "name": "usr/lib/sysimage/rpm/rpmdb.sqlite", "linkName": RPMDB}
    for files in ([right], [right, link], [{**right, "endOffset": 1 << 40}], [right, right]):
        yield json.dumps({"version": 1, "entries": files}).encode()


def seeds(name: str) -> list[bytes]:
    """Well-formed inputs of a target."""
    return list(_SEEDS[name]())


def _archives() -> Iterable[bytes]:
    files: Entries = {
        RPMDB: b"SQLite format 3\0",
        "usr/share/.wh.rpm": b"",
        "x/" + "long" * 23 + "/y": b"x",
        "d": Symlink(".."),
    }
    return [tarred(files, kind) for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)]


def _layers() -> Iterable[bytes]:
    files = {RPMDB: _database(), f"{RPMDB}-wal": b""}
    return [
        gzipped(files).blob,
        tarred(as_ostree(files)),
        tarred(trap_sources.status(_DEB[:3])),
        tarred(trap_sources.local(_ALPM[:2])),
    ]


def _sboms() -> Iterable[bytes]:
    writers = (
        trap_sources.syft_json,
        trap_sources.spdx,
        trap_sources.spdx_by_trivy,
        trap_sources.spdx_3,
        trap_sources.cyclonedx,
        trap_sources.cyclonedx_by_trivy,
    )
    plain = [write(packages, 1) for write in writers for packages in (_FEW, _DEB[:3], _ALPM[:2])]
    return [*plain, gzip.compress(plain[0]), zstd.compress(plain[3])]


def _labels() -> Iterable[bytes]:
    packages = {one.name: one.version for one in _FEW}
    return [json.dumps({"version": version, "packages": packages}).encode() for version in (1, 2)]


def _answers() -> Iterable[bytes]:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
    challenge = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="x"\r\n'
    return [
        hints + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
        challenge + b"Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nX: a\r\n b\r\n\r\nto the end",
    ]


def _lists() -> Iterable[bytes]:
    found = trap_sources.on_disk(_FEW, 0)
    assert isinstance(found, Contents)
    return [document_bytes(LINUX_AMD64, found, image=Digest.of(b""))]


_SEEDS: dict[str, Callable[[], Iterable[bytes]]] = {
    "rpm-header": lambda: trap_sources.headers(_FEW),
    "rpm-database": lambda: [_database(), trap_sources.rpmdb(_FEW, ndb_database)],
    "ndb": lambda: [trap_sources.rpmdb(_FEW, ndb_database), _real_ndb()],
    "dpkg": lambda: trap_sources.status(_DEB).values(),
    "dpkg-files": lambda: [b"d41d8cd98f00b204e9800998ecf8427e  usr/bin/a\n" * 2],
    "pacman": lambda: list(trap_sources.local(_ALPM).values())[1:],
    "tar": _archives,
    "stream": lambda: [gzip.compress(b"a" * 5000), zstd.compress(b"b" * 5000) * 2, b"plain"],
    "layer": _layers,
    "chunked-table": _tables,
    "sbom": _sboms,
    "label": _labels,
    "answer": _answers,
    "purl": lambda: [b"pkg:rpm/fedora/a%2Bb@1.0-1?arch=x86_64&epoch=1#x", b"pkg:npm/@angular/core@1"],
    "compact": _lists,
}
