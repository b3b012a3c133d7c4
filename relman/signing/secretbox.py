"""Opening what NaCl's secretbox closed: XSalsa20 and Poly1305, in which cosign keeps private keys.

Sources: D. J. Bernstein, "Extending the Salsa20 nonce" and "The Salsa20 family of stream ciphers"; NaCl,
crypto_secretbox. A key has some 150 bytes, so that plain Python does; the arithmetic of Poly1305 is the library's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
_MASK = 0xFFFFFFFF
_TAG = 16
# Rounds of columns and of rows, as (target, first, second, rotation) of the words of the 4×4 matrix.
_STEPS = tuple(
    (order[(start + 1 + step) % 4], order[(start + step) % 4], order[(start + step - 1) % 4], turn)
    for orders in (
        ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)),
        ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)),
    )
    for order in orders
    for start, step, turn in ((0, 0, 7), (0, 1, 9), (0, 2, 13), (0, 3, 18))
)


def opened(box: bytes, nonce: bytes, key: bytes) -> bytes | None:
    """What ``box`` holds; `None` where it was closed with another key, or was changed. Raises `ValueError`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    if len(key) != 32 or len(nonce) != 24 or len(box) < _TAG:
        raise ValueError("a box has a key of 32 bytes, a nonce of 24 bytes and a tag of 16 bytes")
    tag, closed = box[:_TAG], box[_TAG:]
    subkey = _hsalsa20(key, nonce[:16])
    stream = b"".join(_block(subkey, nonce[16:], number) for number in range((len(closed) + 32 + 63) // 64))
    try:
        Poly1305.verify_tag(stream[:32], closed, tag)
    except InvalidSignature:
        return None
    return bytes(a ^ b for a, b in zip(closed, stream[32:], strict=False))


def _matrix(key: bytes, middle: bytes) -> list[int]:
    """The state: constants on the diagonal, the key around them, the nonce and the counter in the middle."""
    k, n = struct.unpack("<8I", key), struct.unpack("<4I", middle)
    return [_SIGMA[0], *k[:4], _SIGMA[1], *n, _SIGMA[2], *k[4:], _SIGMA[3]]


def _rounds(state: Sequence[int]) -> list[int]:
    """Twenty rounds: ten of columns and ten of rows, in turn."""
    x = list(state)
    for _ in range(10):
        for target, first, second, turn in _STEPS:
            total = (x[first] + x[second]) & _MASK
            x[target] ^= ((total << turn) | (total >> (32 - turn))) & _MASK
    return x


def _block(key: bytes, nonce: bytes, number: int) -> bytes:
    state = _matrix(key, nonce + struct.pack("<Q", number))
    return struct.pack("<16I", *((a + b) & _MASK for a, b in zip(_rounds(state), state, strict=True)))


def _hsalsa20(key: bytes, nonce: bytes) -> bytes:
    x = _rounds(_matrix(key, nonce))
    return struct.pack("<8I", *(x[place] for place in (0, 5, 10, 15, 6, 7, 8, 9)))
