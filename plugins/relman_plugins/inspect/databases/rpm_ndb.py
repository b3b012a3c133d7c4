"""`Packages.db`: the header blobs in SUSE's database (rpm's `lib/backend/ndb/rpmpkg.c`), each read once, by place.

All numbers are little-endian. Pages of slots stand first, each slot naming the blocks of one blob; a blob has a head, a
tail and a checksum. Slots are hostile: they have to lie in the file, behind the slots, and may not overlap.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from relman.plugin import Malformed

from .header import LIMIT

MAGIC = b"RpmP"
_VERSION = 0
_BLOCK = 16
_PAGE = 4096
_FILE_HEADER = struct.Struct("<4s4I")  # magic, version, generation, pages of slots, next package
_SLOT = struct.Struct("<4s3I")  # magic, package, first block, blocks
_HEAD = struct.Struct("<4s3I")  # magic, package, time, bytes
_TAIL = struct.Struct("<2I4s")  # checksum, bytes, magic
_FIRST_SLOT = 2  # the place of the first two is taken by the file's header
_PAGE_LIMIT = 1024  # some 260,000 slots


def blobs(path: Path) -> Iterator[bytes]:
    """Every header blob in the database at ``path``. Raises `Malformed` where it is cut or corrupt."""
    with path.open("rb") as file:
        end = 0
        for package, first, count in sorted(_slots(file), key=lambda slot: slot[1]):
            if first < end:
                raise Malformed(f"the slot of package {package} overlaps another one")
            end = first + count
            yield _blob(file, package, first, count)


def _slots(file: BinaryIO) -> list[tuple[int, int, int]]:
    """The package number, the first block and the number of blocks of each blob."""
    blocks = os.fstat(file.fileno()).st_size // _BLOCK
    intro = file.read(_FILE_HEADER.size)
    if len(intro) < _FILE_HEADER.size:
        raise Malformed("its header is cut")
    magic, version, _, pages, _ = _FILE_HEADER.unpack(intro)
    if magic != MAGIC or version != _VERSION:
        raise Malformed(f"it is no ndb database of version {_VERSION}")
    if not 0 < pages <= _PAGE_LIMIT or pages * _PAGE > blocks * _BLOCK:
        raise Malformed(f"it claims {pages} pages of slots in {blocks * _BLOCK} bytes")
    file.seek(0)
    found = []
    table = file.read(pages * _PAGE)
    for number, (magic, package, first, count) in enumerate(_SLOT.iter_unpack(table)):
        if number < _FIRST_SLOT:
            continue
        if magic != b"Slot":
            raise Malformed(f"its slot {number} is corrupt")
        if not first:
            continue  # free
        if not package or not count or first < pages * _PAGE // _BLOCK or first + count > blocks:
            raise Malformed(f"its slot {number} names blocks {first} to {first + count} of {blocks}")
        found.append((package, first, count))
    return found


def _blob(file: BinaryIO, package: int, first: int, count: int) -> bytes:
    size = count * _BLOCK
    if not _HEAD.size + _TAIL.size <= size <= LIMIT:
        raise Malformed(f"package {package} claims {size} bytes")
    file.seek(first * _BLOCK)
    whole = file.read(size)
    if len(whole) != size:
        raise Malformed(f"package {package} is cut")
    magic, owner, _, length = _HEAD.unpack_from(whole)
    checksum, length_again, end = _TAIL.unpack_from(whole, size - _TAIL.size)
    if (magic, owner, length_again, end) != (b"BlbS", package, length, b"BlbE"):
        raise Malformed(f"package {package} is corrupt: its head and tail do not fit")
    if _HEAD.size + length + _TAIL.size > size:
        raise Malformed(f"package {package} claims {length} bytes in {size}")
    if zlib.adler32(memoryview(whole)[: size - _TAIL.size]) != checksum:
        raise Malformed(f"package {package} is corrupt: its checksum is wrong")
    return whole[_HEAD.size : _HEAD.size + length]
