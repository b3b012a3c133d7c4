"""Holds: a stream, or one variant of it, that nothing may enter until a person lifts the hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec


class Hold(msgspec.Struct, frozen=True):
    """Why nothing may enter ``stream``, who said so, and since when. Without ``variant`` all of the stream is held."""

    stream: str
    variant: str | None
    reason: str
    by: str
    since: datetime

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError(f"a hold of `{self.stream}` needs a reason")

    @property
    def what(self) -> str:
        """`stable`, or `stable, variant dx`."""
        return self.stream if self.variant is None else f"{self.stream}, variant {self.variant}"

    def covers(self, stream: str, variant: str) -> bool:
        """Whether ``variant`` may not enter ``stream``."""
        return self.stream == stream and self.variant in (None, variant)


def with_hold(holds: Iterable[Hold], hold: Hold) -> tuple[Hold, ...]:
    """``holds`` with ``hold``, instead of an earlier one of the same stream and variant. Sorted by those two."""
    others = (one for one in holds if (one.stream, one.variant) != (hold.stream, hold.variant))
    return tuple(sorted((*others, hold), key=lambda one: (one.stream, one.variant or "")))
