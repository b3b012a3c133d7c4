"""What `relman check` finds: faults in what people wrote, before a release needs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``file`` is as people name it; ``line`` is `None` where the whole file is meant."""

    file: str
    line: int | None
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, in words (`3 highlights`), and what is wrong with it."""

    looked_at: tuple[str, ...]
    faults: tuple[Fault, ...]
