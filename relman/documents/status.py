"""`relman.status/1`: what `relman status --format json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from typing_extensions import TypedDict

from relman.documents.audit import FindingDocument, finding_document
from relman.documents.gates import GateDocument, gate_document
from relman.documents.holds import HoldDocument, hold_document
from relman.documents.values import rfc3339
from relman.model.state import StreamState


class VariantStatus(TypedDict):
    """One variant in a stream; ``waits`` is `null` where nothing newer wants in, ``since`` where nobody observed it.

    ``pinned`` is whether a dated tag holds its image, too; `null` where it holds none.
    """

    name: str
    digest: str | None
    version: str | None
    created: str | None
    since: str | None
    waits: str | None
    waiting_version: str | None
    pinned: bool | None


class UnfinishedStatus(TypedDict):
    """A release that `relman resume` would finish."""

    id: str
    version: str
    state: str


StreamStatus = TypedDict(
    "StreamStatus",
    {
        "name": str,
        "from": str | None,
        "version": str | None,
        "release": str | None,
        "waiting": bool,
        "problem": str | None,
        "variants": list[VariantStatus],
        "gates": list[GateDocument],
        "unfinished": list[UnfinishedStatus],
        "holds": list[HoldDocument],
        "yanked": str | None,
        "stalled": list[FindingDocument],
    },
)
"""One stream; ``version`` and ``release`` are those of its last finished record.

``yanked`` is the version of a yanked release that the stream still holds, else null. ``stalled`` is what has not moved
for longer than `expect` says, as `relman audit` tells it.
"""


class StatusDocument(TypedDict):
    """All streams that were asked for."""

    schema: Literal["relman.status/1"]
    project: str
    now: str
    streams: list[StreamStatus]


def status_document(project: str, states: Sequence[StreamState], now: datetime) -> StatusDocument:
    """The document for ``states``."""
    return {
        "schema": "relman.status/1",
        "project": project,
        "now": rfc3339(now),
        "streams": [_stream(state) for state in states],
    }


def _stream(state: StreamState) -> StreamStatus:
    return {
        "name": state.name,
        "from": state.source,
        "version": state.released.version if state.released else None,
        "release": state.released.id if state.released else None,
        "waiting": state.waiting,
        "problem": state.problem,
        "variants": [
            {
                "name": variant.name,
                "digest": variant.holds,
                "version": variant.version,
                "created": rfc3339(variant.created) if variant.created else None,
                "since": rfc3339(variant.since) if variant.since else None,
                "waits": variant.waits,
                "waiting_version": variant.waiting_version,
                "pinned": variant.pinned,
            }
            for variant in state.variants
        ],
        "gates": [gate_document(gate) for gate in state.gates],
        "unfinished": [{"id": r.id, "version": r.version, "state": r.state} for r in state.unfinished],
        "holds": [hold_document(hold) for hold in state.holds],
        "yanked": state.yanked.version if state.yanked else None,
        "stalled": [finding_document(one) for one in state.stalled],
    }
