"""What `relman status` tells: what each stream holds, what waits to enter it, and what is unfinished."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from relman.model.audit import Finding
from relman.model.gates import GateResult
from relman.model.holds import Hold
from relman.model.oci import Digest
from relman.model.record import Record, RecordState


class VariantState(msgspec.Struct, frozen=True):
    """One variant in a stream. ``holds`` is `None` where its tag is not there; ``waits`` where nothing newer does.

    ``since`` is when it was first observed there, `None` where nobody observed it. ``pinned``: whether a dated tag
    holds it, too, which keeps it from being cleaned up once the stream moves on; `None` where it holds nothing.
    """

    name: str
    holds: Digest | None
    version: str | None
    created: datetime | None
    waits: Digest | None
    waiting_version: str | None
    since: datetime | None = None
    pinned: bool | None = None


class StreamState(msgspec.Struct, frozen=True):
    """One stream. ``released`` is its last finished record, ``problem`` why its release could not be worked out.

    ``yanked`` is the release that it still holds, for one variant at least, although it was yanked. ``stalled`` is
    what has not moved for longer than `expect` says: the stream, its source, or what waits behind a closed gate.
    """

    name: str
    source: str | None
    variants: tuple[VariantState, ...]
    released: Record | None
    unfinished: tuple[Record, ...]
    gates: tuple[GateResult, ...]
    problem: str | None
    holds: tuple[Hold, ...] = ()
    yanked: Record | None = None
    stalled: tuple[Finding, ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether a release would change something."""
        return any(variant.waits for variant in self.variants)


def still_held(records: Sequence[Record], variants: Sequence[VariantState]) -> Record | None:
    """The newest yanked release whose image one of ``variants`` holds, or `None`."""
    held = {(variant.name, variant.holds) for variant in variants if variant.holds}
    return next(
        (
            record
            for record in records
            if record.state is RecordState.YANKED and any((one.name, one.digest) in held for one in record.variants)
        ),
        None,
    )


def age(then: datetime, now: datetime) -> str:
    """`3 h`, `12 d`: how long ago, as people say it."""
    passed = now - then
    if passed < timedelta(0):
        return "in the future"
    if passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min"
    if passed < timedelta(days=2):
        return f"{int(passed.total_seconds() // 3600)} h"
    return f"{passed.days} d"
