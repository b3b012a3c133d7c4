"""Raw, gzip or zstd, by their first bytes: what is published as a list of contents, in bounded memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from relman.plugin import Malformed

from .buffers import AVAILABLE, Buffer, Lent

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKED_LIMIT = 512 * 1024 * 1024
"""The most bytes that are read of one list as it is published."""
LIMIT = 1024 * 1024 * 1024
"""The most bytes that one list may have once it is unpacked."""

_STEP = 1024 * 1024
_PART = 128 * 1024  # what is not taken of a part is copied each time: of a piece of 60 MB that would be gigabytes
# What follows a member or a frame is copied when that ends: of many tiny ones each would copy the whole piece.
_SHORT = 4096
_MAGIC_LENGTH = 4
_LARGE = 1024 * 1024


def unpack(
    pieces: Iterable[bytes], *, packed_limit: int = PACKED_LIMIT, limit: int = LIMIT, lent: Lent | None = None
) -> bytearray | memoryview:
    """The whole content of ``pieces``, decompressed where it is gzip (RFC 1952) or zstd (RFC 8878).

    What is large comes into what is ``lent``, if anything is. Raises `Malformed` where it is larger than a limit, cut
    or corrupt. Nothing beyond a limit is ever held.
    """
    small, size = bytearray(), 0
    large: Buffer | None = None
    for piece in decompressed(_bounded(pieces, packed_limit)):
        size += len(piece)
        if size > limit:
            raise Malformed(f"it is larger than {limit} bytes once it is unpacked")
        if large is None and size > _LARGE and AVAILABLE:
            large = lent.take() if lent else Buffer()
            large.add(small)
            small.clear()
        if large is not None:
            large.add(piece)
        else:
            small += piece
    return small if large is None else large.view()


def _bounded(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise Malformed(f"it is larger than {limit} bytes")
        yield piece


def decompressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same in pieces of at most a MiB, without a limit: whoever reads them counts. Raises `Malformed`."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _MAGIC_LENGTH:
            break
    whole = _chain(head, pieces)
    if head.startswith(b"\x1f\x8b"):
        return _gunzip(whole)
    return _unzstd(whole) if _is_zstd(head) else whole


def _is_zstd(head: bytes) -> bool:
    # A skippable frame (0x184D2A50 to 5F) may stand first: some packers keep their seek table there.
    return head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5)


def _chain(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from pieces


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    from zlib_ng import zlib_ng  # imported where something is gzip: lists mostly are not

    member = zlib_ng.decompressobj(wbits=31)
    try:
        for piece in pieces:
            at, step = 0, _PART
            while at < len(piece):
                if member.eof:
                    at = _behind_zeros(piece, at)  # padding, which gzip(1) passes over, too
                    if at == len(piece):
                        break
                    member, step = zlib_ng.decompressobj(wbits=31), _SHORT
                part = memoryview(piece)[at : at + step]
                yield member.decompress(part, _STEP)
                at += len(part) - len(member.unused_data if member.eof else member.unconsumed_tail)
                step = min(2 * step, _PART)
        # What the last window still holds comes out in steps, too.
        while not member.eof and (rest := member.decompress(b"", _STEP)):
            yield rest
    except zlib_ng.error as error:  # type: ignore[misc]  # a class, which its stub calls an instance
        raise Malformed(f"its gzip stream is corrupt: {error}") from error
    if not member.eof:
        raise Malformed("its gzip stream is cut: the end is missing")


def _behind_zeros(piece: bytes, at: int) -> int:
    while at < len(piece) and not piece[at]:
        rest = piece[at : at + _SHORT].lstrip(b"\0")
        at = min(at + _SHORT, len(piece)) - len(rest)
    return at


def _unzstd(pieces: Iterator[bytes]) -> Iterator[bytes]:
    frame = zstd.ZstdDecompressor()
    try:
        for piece in pieces:
            at, step = 0, _PART
            while at < len(piece) or not (frame.eof or frame.needs_input):
                if frame.eof:
                    frame, step = zstd.ZstdDecompressor(), _SHORT
                part = memoryview(piece)[at : at + step] if frame.needs_input else b""
                yield frame.decompress(part, _STEP)
                at += len(part) - (len(frame.unused_data) if frame.eof else 0)
                step = min(2 * step, _PART)
    except zstd.ZstdError as error:
        raise Malformed(f"its zstd stream is corrupt: {error}") from error
    if not frame.eof:
        raise Malformed("its zstd stream is cut: the end is missing")
