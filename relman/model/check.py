"""What `relman check` finds: faults in what people wrote, before a release needs it."""

from __future__ import annotations

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One fault. ``file`` is as people name it; ``line`` is `None` where the whole file is meant."""

    file: str
    line: int | None
    message: str
    hint: str | None = None


class Checked(msgspec.Struct, frozen=True):
    """What was looked at, in words (`3 highlights`), and what is wrong with it."""

    looked_at: tuple[str, ...]
    faults: tuple[Fault, ...]
