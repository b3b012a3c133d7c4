"""What makes a release a rollback, and its id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import msgspec

from relman.model.oci import Digest, Platform


class Rollback(msgspec.Struct, frozen=True):
    """What makes a release a rollback: it takes back the release ``of``, and goes back to the one ``to``.

    Both are ids of records. ``reason`` is what the person said who asked for it, or `None`.
    """

    of: str
    to: str
    reason: str | None
    by: str


def rollback_id(project: str, stream: str, digests: Iterable[tuple[str, Platform, Digest]], of: str) -> str:
    """The id of the rollback that takes back the release ``of``: the same on every machine, and no release's.

    The first 16 hex digits of the SHA-256 of the canonical JSON of ``[project, stream, [[variant, platform, digest],
    …] sorted, of, "rollback"]``: a list of five is never the four of `release_id`.
    """
    rows = sorted([variant, str(platform), digest] for variant, platform, digest in digests)
    text = json.dumps([project, stream, rows, of, "rollback"], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
