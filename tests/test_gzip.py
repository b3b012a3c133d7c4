"""gzip is judged as `zlib` judges it, whichever library inflates it: the same bytes, the same words."""

import random
import struct
import zlib
from collections.abc import Iterator

import pytest

from relman.plugin import Malformed
from relman_plugins.inspect.unpack import decompressed

_SEEDS = range(12)
_CHANGED = 60  # streams for each seed
_FLAGS = ((4, b"\x03\x00abc"), (8, b"name\0"), (16, b"a comment\0"))  # RFC 1952, 2.3.1: FEXTRA, FNAME, FCOMMENT


def by_zlib(stream: bytes) -> tuple[bytes, str]:
    """What `zlib` makes of every member of ``stream``, and what it says against it."""
    content = b""
    while True:
        member = zlib.decompressobj(wbits=31)
        try:
            content += member.decompress(stream)
        except zlib.error as error:
            return content, f"its gzip stream is corrupt: {error}"
        if not member.eof:
            return content, "its gzip stream is cut: the end is missing"
        stream = member.unused_data.lstrip(b"\0")
        if not stream:
            return content, ""


def by_relman(stream: bytes, size: int) -> tuple[bytes, str]:
    """The same by relman, which gets the stream in pieces of ``size``."""
    content = bytearray()
    try:
        for piece in decompressed(stream[at : at + size] for at in range(0, len(stream), size)):
            content += piece
    except Malformed as error:
        return bytes(content), error.message
    return bytes(content), ""


def members(chance: random.Random) -> Iterator[bytes]:
    """Members of every kind that compressors write: stored, fixed and dynamic blocks, small windows, full headers."""
    for _ in range(chance.choice([1, 1, 2, 3])):
        size = chance.choice([0, 1, 300, 20_000])
        content = chance.choice(
            [
                chance.randbytes(size),
                bytes(size),
                chance.randbytes(size // 2).hex().encode(),
                b"".join(chance.choices([b"usr/", b"lib64/", b"\0\0", b"x86_64"], k=size // 4)),
            ]
        )
        packing = zlib.compressobj(
            chance.randrange(10), zlib.DEFLATED, -chance.randrange(9, 16), 8, chance.randrange(5)
        )
        half = len(content) // 2
        packed = packing.compress(content[:half]) + packing.flush(zlib.Z_FULL_FLUSH)
        packed += packing.compress(content[half:]) + packing.flush()
        flags = chance.randrange(32) & ~1
        head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\0\x03"
        head += b"".join(field for flag, field in _FLAGS if flags & flag)
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF) if flags & 2 else b""
        yield head + packed + struct.pack("<II", zlib.crc32(content), len(content))


def changed(stream: bytes, chance: random.Random) -> bytes:
    """The stream after what happens to streams, its first two bytes kept: by them it is known to be gzip."""
    content = bytearray(stream)
    for _ in range(chance.choice([0, 1, 1, 2])):
        at = chance.choice([chance.randrange(2, len(content)), len(content) - 1 - chance.randrange(12)])
        match chance.randrange(6):
            case 0 | 1:
                content[at] ^= 1 << chance.randrange(8)
            case 2:
                del content[max(at, 4) :]
            case 3:
                del content[at : at + chance.randrange(1, 9)]
                content += bytes(4)
            case 4:
                content[at:at] = chance.randbytes(chance.randrange(1, 9))
            case _:
                content += chance.choice([bytes(5000), b"\x1f", b"\x1f\x8b", b"no gzip", *members(chance)])
    return b"\x1f\x8b" + bytes(content[2:])


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_stream_is_judged_as_zlib_judges_it(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(_CHANGED):
        stream = changed(b"".join(members(chance)), chance)
        content, said = by_zlib(stream)

        found, reason = by_relman(stream, chance.choice([37, 4096, len(stream)]))

        assert reason == said
        assert found == content if not said else content.startswith(found) or found.startswith(content)


def test_the_trial_has_streams_of_each_kind() -> None:
    said = set()
    for seed in _SEEDS:
        chance = random.Random(seed)
        for _ in range(_CHANGED):
            said.add(by_zlib(changed(b"".join(members(chance)), chance))[1].rpartition(": ")[2])
            chance.choice([37])

    assert said >= {"", "the end is missing", "incorrect data check", "incorrect length check"}
    assert said >= {
        "incorrect header check",
        "header crc mismatch",
        "invalid distance too far back",
        "invalid block type",
    }


@pytest.mark.parametrize("size", [1000, 70_000, 3_000_000])
def test_a_piece_of_any_size_is_inflated_whole(size: int) -> None:
    content = random.Random(1).randbytes(1_500_000).hex().encode()
    packing = zlib.compressobj(6, zlib.DEFLATED, 31)

    assert by_relman(packing.compress(content) + packing.flush(), size) == (content, "")
