"""The gate `complete`: every configured variant, on every platform that must be there. It always runs."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.plan import GateResult, State
from relman.plugin import GatesContext, hookimpl


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where the image has each platform that its variant must have."""
    for rule in context.of_type("complete"):
        for candidate in context.release.candidates:
            there = [str(part.platform) for part in candidate.image.platforms]
            wanted = [str(platform) for platform in candidate.required]
            missing = [platform for platform in wanted if platform not in there]
            yield GateResult(
                gate=rule.name,
                variant=candidate.variant.name,
                digest=candidate.image.digest,
                state=State.FAILED if missing else State.PASSED,
                reason=(
                    f"the image has no {', '.join(missing)}: it has {', '.join(there)}"
                    if missing
                    else f"has {', '.join(wanted or there)}"
                ),
                evidence={"wanted": wanted, "there": there},
            )
