"""A compact list in the image itself: the last layer, and the label that announces it."""

from __future__ import annotations

import io
import sys
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from relman.compact.lists import FILE, LABEL, PACKED_LIMIT, of_platform, read_document, unpack
from relman.errors import DigestMismatch, Malformed
from relman.model.contents import Contents
from relman.model.oci import Digest, PlatformImage, Repository
from relman.registry.manifests import encode, read_object
from relman.registry.protocol import RegistryReader

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LABEL_LIMIT = 4096
_LAYER_LIMIT: Final = PACKED_LIMIT + 64 * 1024  # headers and padding around the one file
_BLOCK = tarfile.BLOCKSIZE
_WHAT = f"the list that the label `{LABEL}` announces"


class Announced(msgspec.Struct, frozen=True):
    """What the label says: the last layer's `diff_id`, the digest of the packed list, the chain of what is beneath."""

    layer: Digest
    list: Digest
    beneath: Digest

    def encode(self) -> str:
        """The label's text."""
        return encode({"layer": self.layer, "list": self.list, "beneath": self.beneath}).decode()


def announced(labels: Mapping[str, str]) -> Announced | None:
    """What the labels announce; `None` where there is no such label. Raises `Malformed` for one that cannot be read."""
    text = labels.get(LABEL)
    if text is None:
        return None
    if len(text) > _LABEL_LIMIT:
        raise Malformed(f"the label `{LABEL}` has {len(text)} characters, more than the {_LABEL_LIMIT} that are read")
    fields = read_object(text.encode(errors="replace"), f"the label `{LABEL}`")
    try:
        return Announced(*(Digest(fields[name]) for name in ("layer", "list", "beneath")))
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"the label `{LABEL}` does not name `layer`, `list` and `beneath` by digest") from error


def chain_id(diff_ids: Sequence[Digest]) -> Digest:
    """The `ChainID` of layers, the lowest first: one digest for all of them, in their order. There is at least one."""
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = Digest.of(f"{chain} {diff_id}".encode())
    return chain


def refuse_stale(image: PlatformImage, found: Announced) -> None:
    """Raise `Malformed` where the image's layers are not those that the label speaks of: no byte more is read."""
    if len(image.diff_ids) < 2 or len(image.layers) != len(image.diff_ids):
        raise Malformed(f"the label `{LABEL}` announces a layer that cannot be there: it has {len(image.layers)}")
    if image.diff_ids[-1] != found.layer or chain_id(image.diff_ids[:-1]) != found.beneath:
        raise Malformed(
            f"stale: the image was built on one that carries a list (label `{LABEL}`), which is not its own"
        )


def embedded_contents(reader: RegistryReader, repository: Repository, image: PlatformImage) -> Contents | None:
    """The contents of ``image`` by its own last layer; `None` where no label announces it.

    Raises `Malformed` where it is stale, broken or of another image, `NotFound` where the registry lost the layer.
    """
    document = embedded_document(reader, repository, image)
    if document is None:
        return None
    read = read_document(document, _WHAT)
    beneath = chain_id(image.diff_ids[:-1])
    if read.beneath != beneath:
        raise Malformed(f"{_WHAT} is of other layers: `{read.beneath or 'none'}`, not `{beneath}`")
    return of_platform(read, image.platform, _WHAT)


def embedded_document(reader: RegistryReader, repository: Repository, image: PlatformImage) -> bytes | None:
    """The document in the last layer, unpacked; see `embedded_contents`."""
    found = announced(image.labels)
    if found is None:
        return None
    refuse_stale(image, found)
    layer = image.layers[-1]
    if layer.size > _LAYER_LIMIT:
        raise Malformed(f"{_WHAT} lies in a layer of {layer.size} bytes, more than the {_LAYER_LIMIT} that are read")
    archive = _unpack_layer(reader.blob(repository, layer.digest, limit=layer.size))
    if Digest.of(archive, found.layer.algorithm) != found.layer:
        raise DigestMismatch(f"{_WHAT} lies in a layer that does not unpack to `{found.layer}`")
    packed = _only_file(archive)
    if Digest.of(packed, found.list.algorithm) != found.list:
        raise DigestMismatch(f"{_WHAT} is not `{found.list}`, as the label says")
    return unpack(packed, _WHAT)


def layer_tar(packed: bytes) -> bytes:
    """The layer, a tar with the packed list as its one file: the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(FILE)
        entry.size = len(packed)
        archive.addfile(entry, io.BytesIO(packed))
    return buffer.getvalue()


def _only_file(archive: bytes) -> bytes:
    try:
        entry = tarfile.TarInfo.frombuf(archive[:_BLOCK], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise Malformed(f"{_WHAT} lies in a layer that is no tar: {error}") from error
    if entry.name != FILE or not entry.isreg() or not 0 <= entry.size <= len(archive) - _BLOCK:
        raise Malformed(f"{_WHAT} lies in a layer that does not begin with `{FILE}`")
    return archive[_BLOCK : _BLOCK + entry.size]


def _unpack_layer(content: bytes) -> bytes:
    """The tar in a layer, whichever way it is compressed, in bounds."""
    room = _LAYER_LIMIT + 1
    try:
        if content.startswith(b"\x1f\x8b"):
            archive = zlib.decompressobj(wbits=31).decompress(content, room)
        elif content.startswith(b"\x28\xb5\x2f\xfd") or content[1:4] == b"\x2a\x4d\x18":
            archive = _unzstd(content, room)
        else:
            archive = content
    except (zlib.error, zstd.ZstdError) as error:
        raise Malformed(f"{_WHAT} lies in a layer that is corrupt: {error}") from error
    if len(archive) >= room:
        raise Malformed(f"{_WHAT} lies in a layer that unpacks to more than {_LAYER_LIMIT} bytes")
    return archive


def _unzstd(content: bytes, room: int) -> bytes:
    """Every frame: zstd:chunked layers are several, and their table of contents is one that holds nothing."""
    archive = bytearray()
    while content and len(archive) < room:
        frame = zstd.ZstdDecompressor()
        archive += frame.decompress(content, room - len(archive))
        if not frame.eof:
            break
        content = frame.unused_data
    return bytes(archive)
