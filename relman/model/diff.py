"""What changed between two lists of contents (docs/contract: `relman diff --format json`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec.structs import astuple

from relman.model.contents import Identity
from relman.model.oci import Digest, Platform
from relman.model.versions import Part as Part


class ChangeKind(StrEnum):
    """What became of a package, by the newest version of each side in full order."""

    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    REBUILT = "rebuilt"
    RENAMED = "renamed"
    CHANGED = "changed"


class Change(msgspec.Struct, frozen=True):
    """One changed package with all its versions before and after, each in order; an empty side is not installed.

    ``source`` is the source package's name and ``vendor`` who built the later side, where that is known.
    ``arch_before``, ``vendor_before`` and ``name_before`` are set only where that, too, changed. Two changes are equal
    whether or not their sources know the vendor: it is no part of what changed.
    """

    kind: ChangeKind
    part: Part | None
    ecosystem: str
    name: str
    arch: str | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    source: str | None = None
    arch_before: str | None = None
    vendor_before: str | None = None
    name_before: str | None = None
    vendor: str | None = None

    def __post_init__(self) -> None:
        if not self.before and not self.after:
            raise ValueError(f"`{self.name}` is on neither side, so nothing changed")
        if (self.kind is ChangeKind.ADDED) != (not self.before) or (self.kind is ChangeKind.REMOVED) != (
            not self.after
        ):
            raise ValueError(f"`{self.name}` cannot be {self.kind} from `{self.before}` to `{self.after}`")

    def __eq__(self, other: object) -> bool:
        return self._compared == other._compared if isinstance(other, Change) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._compared)

    @property
    def _compared(self) -> tuple[object, ...]:
        """Every field but ``vendor``, which is the last."""
        return astuple(self)[:-1]

    @property
    def identity(self) -> Identity:
        """Which package changed, as the later side names it."""
        return Identity(self.ecosystem, self.name, self.arch)


class Side(msgspec.Struct, frozen=True):
    """One side of a diff: which image, and where its list came from. ``packages`` counts installed packages.

    ``passed_over`` says which sources did not serve before ``source`` did, and why.
    """

    reference: str
    digest: Digest | None
    platform: Platform | None
    version: str | None
    revision: str | None
    packages: int
    source: str
    passed_over: tuple[str, ...] = ()


class Diff(msgspec.Struct, frozen=True):
    """Every difference between two images of one platform, sorted by ecosystem, name, arch.

    ``exact`` is false when a source could not know the epoch, the arch or several versions of one name; ``notes`` says
    which. ``variant`` is `None` for two images given by hand.
    """

    variant: str | None
    platform: Platform | None
    before: Side
    after: Side
    changes: tuple[Change, ...]
    keys_added: tuple[str, ...]
    keys_removed: tuple[str, ...]
    exact: bool
    notes: tuple[str, ...]

    @property
    def summary(self) -> Mapping[ChangeKind, int]:
        """How many changes of each kind, every kind named."""
        counts = Counter(change.kind for change in self.changes)
        order = ("added", "removed", "upgraded", "downgraded", "rebuilt", "renamed", "changed")
        return {ChangeKind(kind): counts[ChangeKind(kind)] for kind in order}
