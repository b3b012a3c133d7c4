"""What one gate says of one image, before it is bound to that image: the answer of a pure function of the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from relman.model.gates import GateResult, State
from relman.model.oci import Platform
from relman.model.release import Candidate


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with its reason; the other fields are those of `GateResult`, which says what they mean."""

    state: State
    reason: str
    code: str = ""
    needs: str | None = None
    at: datetime | None = None
    evidence: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, candidate: Candidate, gate: str, platform: Platform | None = None) -> GateResult:
        """The same of ``candidate``, said by the gate of that name."""
        return candidate.gate(
            gate,
            self.state,
            self.reason,
            code=self.code,
            needs=self.needs,
            at=self.at,
            evidence=self.evidence,
            platform=platform,
        )


def passed(reason: str, **evidence: object) -> Verdict:
    """It may enter."""
    return Verdict(State.PASSED, reason, evidence=evidence)


def skipped(what: str) -> Verdict:
    """Nobody looked, since the images are not read: ``what`` is looked at when a release is planned."""
    return Verdict(State.SKIPPED, f"{what} when a release is planned", code="not-read", needs="`relman plan`")
