"""zstd:chunked layers: a table of contents, found by an annotation, says where in the blob each file is compressed.

The format is containers/storage's (`pkg/chunked/internal/minimal/compression.go`): the annotation `manifest-position`
is `offset:length:length unpacked:type`, `manifest-checksum` the digest of those bytes as they are in the blob. The
annotations are part of the image's manifest, so what they vouch for is vouched for by its digest: the table by its
checksum, each file by its digest in the table. Two ranges are enough, and nothing of them is taken on trust.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from relman.model.oci import Descriptor, Digest, Repository
from relman.plugin import Malformed, RegistryReader

from ..decoding import braces
from ..unpack import decompressed, unpack
from .paths import LINKS, Hidden, Role, Wanted
from .spool import Spool
from .stream import Limits
from .tar import Entry, Kind, cleaned
from .view import Held, View

_PREFIXES = ("io.github.containers.zstd-chunked", "io.containers.zstd-chunked")  # now, and until 2023
_POSITION = re.compile(r"([0-9]{1,19}):([0-9]{1,19}):([0-9]{1,19}):([0-9]{1,19})", re.ASCII)
_TYPE = 1
_VERSIONS = (1, 2)
_PACKED_LIMIT = 64 * 1024 * 1024
_LIMIT = 192 * 1024 * 1024
_CHUNKS = 4  # objects for each file: parts of large ones are entries, too, and attributes are objects
_MANY = 8  # more files than this are had sooner by reading the layer

_KINDS = {"reg": Kind.FILE, "hardlink": Kind.HARD_LINK, "symlink": Kind.SYMLINK, "dir": Kind.FOLDER}


class _File(msgspec.Struct, gc=False):
    type: str
    name: str
    link: str = msgspec.field(default="", name="linkName")
    size: int = 0
    digest: str = ""
    start: int = msgspec.field(default=0, name="offset")
    end: int = msgspec.field(default=0, name="endOffset")


class _Toc(msgspec.Struct, gc=False):
    version: int
    entries: list[msgspec.Raw]  # read one by one, twice: a million of them read at once would take 300 MB


# Prepared here: msgspec crashes where two threads do that at once.
_ENTRY: Final = msgspec.json.Decoder(_File)
_TABLE: Final = msgspec.json.Decoder(_Toc)


class Blob(msgspec.Struct, frozen=True):
    """A layer where it is kept; ``part`` is how many bytes are asked for at once."""

    registry: RegistryReader
    repository: Repository
    layer: Descriptor
    part: int

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``."""
        for begin in range(start, end, self.part):
            length = min(self.part, end - begin)
            yield self.registry.blob_range(self.repository, self.layer.digest, begin, length)


def listed_in(blob: Blob, number: int, wanted: Wanted, hidden: Hidden, spool: Spool, limits: Limits) -> View | None:
    """What the layer has by its table of contents, nothing of it fetched yet.

    `None` where it has no table, one of a kind that is not known, or so many wanted files that the layer is better
    read: all that it has can be had from the stream. Raises `Malformed` for a table that is not what it should be.
    """
    toc = _toc(blob, limits)
    if toc is None:
        return None
    view = View(number)
    for file, name in _named(toc):
        kind = _KINDS.get(file.type, Kind.OTHER)
        target = (cleaned(file.link) or "") if kind is Kind.HARD_LINK else file.link
        role = view.note(Entry(kind, name, file.size, target), wanted, spool)
        if role is not None and (role is Role.TARGET or not hidden.hides(name)):
            spool.note(name + target)
            view.files[name] = _held(blob, number, role, file, target, spool)
    if sum(held.role in (Role.STATUS, Role.PART, Role.TARGET) for held in view.files.values()) > _MANY:
        return None
    _add_targets(view, blob, toc, spool)
    return view


def _add_targets(view: View, blob: Blob, toc: _Toc, spool: Spool) -> None:
    """Add what the hard links among the files lead to, as far as the table has it."""
    missing = {held.target for held in view.files.values() if held.target}
    for _ in range(LINKS):
        missing -= view.linkable.keys()
        if not missing:
            return
        for file, name in _named(toc):
            if name in missing and file.type in ("reg", "hardlink"):
                link = (cleaned(file.link) or "") if file.type == "hardlink" else ""
                view.linkable[name] = _held(blob, view.layer, Role.TARGET, file, link, spool)
        missing = {held.target for held in view.linkable.values() if held.target}


def _named(toc: _Toc) -> Iterator[tuple[_File, str]]:
    """Every file of the table with its clean name. Raises `Malformed`."""
    for raw in toc.entries:
        try:
            file = _ENTRY.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"its table of contents is none: {error}") from error
        name = cleaned(file.name) if file.type != "chunk" else None
        if name is not None:
            yield file, name


def _held(blob: Blob, number: int, role: Role, file: _File, target: str, spool: Spool) -> Held:
    if file.type == "hardlink":
        if not target:
            raise Malformed(f"its table of contents has `{ascii(file.name[:200])[1:-1]}` as a link to nothing")
        return Held(number, role, 0, target)
    if file.size < 0:
        raise Malformed(f"its table of contents gives `{ascii(file.name[:200])[1:-1]}` a size of {file.size}")
    return Held(number, role, file.size, fetch=lambda: _fetch(blob, file, spool))


def _fetch(blob: Blob, file: _File, spool: Spool) -> Path:
    """The file's content, checked against its digest in the table."""
    what = f"`{ascii(file.name[:200])[1:-1]}`"
    try:
        digest = Digest(file.digest)
    except ValueError as error:
        raise Malformed(f"its table of contents has no digest of {what}: {error}") from error
    if not 0 <= file.start < file.end <= blob.layer.size:
        raise Malformed(
            f"its table of contents has {what} at bytes {file.start} to {file.end}, and the layer has {blob.layer.size}"
        )
    return spool.keep(_checked(decompressed(blob.pieces(file.start, file.end)), file.size, digest, what), file.size)


def _checked(pieces: Iterator[bytes], size: int, digest: Digest, what: str) -> Iterator[bytes]:
    seen, count = hashlib.new(digest.algorithm), 0
    for piece in pieces:
        count += len(piece)
        if count > size:
            break
        seen.update(piece)
        yield piece
    if count != size or seen.hexdigest() != digest.hex:
        raise Malformed(f"its table of contents lies: what it points at for {what} has another digest or size")


def _toc(blob: Blob, limits: Limits) -> _Toc | None:
    place = _place(blob.layer)
    if place is None:
        return None
    start, packed, unpacked, checksum = place
    if start + packed > blob.layer.size:
        raise Malformed(f"its table of contents is said to end at byte {start + packed}, and it has {blob.layer.size}")
    content = b"".join(blob.pieces(start, start + packed))
    if Digest.of(content, checksum.algorithm) != checksum:
        raise Malformed("its table of contents has another checksum than its annotation says")
    try:
        table = unpack(iter((content,)), limit=unpacked)
        if braces(table) > limits.entries * _CHUNKS:
            raise Malformed(f"it has more than {limits.entries * _CHUNKS} entries")
        toc = _TABLE.decode(table)
    except Malformed as error:
        raise Malformed(f"its table of contents: {error.message}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"its table of contents is none: {error}") from error
    return toc if toc.version in _VERSIONS else None


def _place(layer: Descriptor) -> tuple[int, int, int, Digest] | None:
    """Where the table of contents is: its first byte, its length in the blob and unpacked, and its checksum."""
    for prefix in _PREFIXES:
        position = _POSITION.fullmatch(layer.annotations.get(f"{prefix}.manifest-position", ""))
        if position is None:
            continue
        try:
            checksum = Digest(layer.annotations.get(f"{prefix}.manifest-checksum", ""))
        except ValueError:
            continue
        start, packed, unpacked, kind = map(int, position.groups())
        if kind == _TYPE and 0 < packed <= _PACKED_LIMIT and 0 < unpacked <= _LIMIT:
            return start, packed, unpacked, checksum
    return None
