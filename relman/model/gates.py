"""Gates' answers, and overrides: what lets a release through one that is closed, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec.structs import force_setattr

from relman.model.oci import Digest, Platform


class State(StrEnum):
    """A gate's answer. Only ``passed`` opens."""

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    ERROR = "error"
    ABSENT = "absent"
    SKIPPED = "skipped"


class GateResult(msgspec.Struct, frozen=True):
    """What a gate says of one variant's digest, or, with ``platform``, of its image for that platform.

    ``reason`` is for people, ``evidence`` what it rests on. ``code`` names the kind of refusal in a word or two
    (`kernel-differs`), for programs and overrides: by itself it is the state's name, and nothing where it passed.
    ``needs`` is what would have to happen for it to pass, ``at`` when that could be at the earliest.
    ``may_override`` are those who may let it pass; `None`: whoever may release, and empty: nobody.
    """

    gate: str
    variant: str
    digest: Digest
    state: State
    reason: str
    evidence: Mapping[str, object] = msgspec.field(default_factory=dict)
    platform: Platform | None = None
    at: datetime | None = None
    code: str = ""
    needs: str | None = None
    may_override: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.state is State.PASSED:
            if self.code:
                raise ValueError(f"gate `{self.gate}` passed, so it has no code for a refusal (`{self.code}`)")
        elif not self.code:
            force_setattr(self, "code", self.state.value)
        elif not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.code):
            raise ValueError(f"`{self.code}` is not a code: write small letters, digits and `-`")

    def __hash__(self) -> int:
        return hash((self.gate, self.variant, self.digest, self.platform, self.code))

    def overridable_by(self, person: str) -> bool:
        """Whether ``person`` may let it pass."""
        return self.may_override is None or person in self.may_override

    @property
    def opens(self) -> bool:
        """Whether the release may go through."""
        return self.state is State.PASSED


class Override(msgspec.Struct, frozen=True):
    """One closed answer of one gate that somebody lets pass: of that code, for that variant's digest, until ``until``.

    ``by`` is who said so, ``reason`` why; ``platform`` is that of the answer, where it has one. Another refusal of the
    same gate, another digest, another variant and another platform stay where they are.
    """

    gate: str
    code: str
    variant: str
    digest: Digest
    reason: str
    by: str
    until: datetime
    platform: Platform | None = None

    def passes(self, result: GateResult, now: datetime) -> bool:
        """Whether it lets ``result`` through now: it names just that, has not expired, and is one who may."""
        return (
            now < self.until
            and result.overridable_by(self.by)
            and (self.gate, self.code, self.variant, self.digest, self.platform)
            == (result.gate, result.code, result.variant, result.digest, result.platform)
        )


class OverrideRequest(msgspec.Struct, frozen=True):
    """What somebody asks to let through, before it is bound to digests: `GATE`, `GATE/CODE` or `GATE/CODE/VARIANT`.

    ``code`` and ``variant`` are `None` where any is meant.
    """

    gate: str
    code: str | None
    variant: str | None
    reason: str
    by: str
    until: datetime

    def means(self, result: GateResult) -> bool:
        """Whether ``result`` is one of those."""
        return result.gate == self.gate and self.code in (None, result.code) and self.variant in (None, result.variant)

    def bound(self, result: GateResult) -> Override:
        """The override of just this ``result``."""
        return Override(
            result.gate,
            result.code,
            result.variant,
            result.digest,
            self.reason,
            self.by,
            self.until,
            result.platform,
        )


def closed(results: Iterable[GateResult], overrides: Iterable[Override], now: datetime) -> tuple[GateResult, ...]:
    """The results that keep a release out."""
    overrides = tuple(overrides)
    return tuple(
        result for result in results if not result.opens and not any(one.passes(result, now) for one in overrides)
    )
