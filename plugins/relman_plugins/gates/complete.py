"""The gate `complete`: every configured variant, on every platform that must be there. It always runs.

A variant that is not there at all makes no release: finding the candidates fails before any gate is asked. So does an
image whose configuration names another system or architecture than its entry in the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relman.model.gates import GateResult, State
from relman.model.oci import Platform
from relman.plugin import GatesContext, hookimpl
from relman_plugins.gates.verdict import Verdict, passed


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where the image has each platform that its variant must have."""
    for rule in context.of_type("complete"):
        for candidate in context.release.candidates:
            there = [part.platform for part in candidate.image.platforms]
            yield verdict(there, candidate.required).of(candidate, rule.name)


def verdict(there: Sequence[Platform], required: Sequence[Platform]) -> Verdict:
    """What an image with the platforms ``there`` lacks of those that must be there; nothing where none must be."""
    has, wanted = [str(platform) for platform in there], [str(platform) for platform in required]
    missing = ", ".join(platform for platform in wanted if platform not in has)
    if not missing:
        return passed(f"has {', '.join(wanted or has)}", wanted=wanted, there=has)
    return Verdict(
        State.FAILED,
        f"the image has no {missing}: it has {', '.join(has)}",
        code="platform-missing",
        needs=f"a build for {missing}, or `platforms` in relman.toml without it",
        evidence={"wanted": wanted, "there": has},
    )
