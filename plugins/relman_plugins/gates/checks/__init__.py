"""The gate `checks`: what a forge's CI says of the commit that an image was built from.

    { type = "checks", required = ["build", "e2e-*"], max_age = "7d" }

Only a success counts. A check that is missing, skipped, still running, of another commit or too old does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relman.model.gates import GateResult, State
from relman.model.release import Candidate
from relman.plugin import GatesContext, Slot, hookimpl
from relman_plugins.gates.asking.forge import forge_of
from relman_plugins.gates.checks.judge import ChecksSettings, judge
from relman_plugins.gates.checks.reading import checks_of
from relman_plugins.gates.verdict import Verdict, closing, plain


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "checks", ChecksSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where every check that counts for the candidate's commit was a success."""
    for rule, settings in context.asked("checks", ChecksSettings):
        known: dict[str, Verdict] = {}
        for candidate in context.release.candidates:
            found = _revision(candidate)
            if isinstance(found, Verdict):
                yield found.of(candidate, rule.name)
                continue
            if found not in known:
                known[found] = closing(_ask, context, settings, found)
            yield known[found].of(candidate, rule.name)


def _ask(context: GatesContext, settings: ChecksSettings, revision: str) -> Verdict:
    forge = forge_of(context, settings)
    checks = checks_of(forge, revision)
    if checks is None:
        reason = f"`{forge.repository}` has no commit {revision[:12]}, or does not show it"
        return Verdict(State.ABSENT, reason, "unknown-revision", "`repository` and `token` that lead to the commit")
    return judge(checks, revision, settings, forge.now)


def _revision(candidate: Candidate) -> str | Verdict:
    """The commit that all of the image was built from, or why there is none."""
    told = {part.revision for part in candidate.image.platforms}
    if len(told) > 1:
        which = ", ".join(f"{part.platform} {plain(part.revision, 12)}" for part in candidate.image.platforms)
        return Verdict(State.FAILED, f"its platforms were built from different commits: {which}", "several-revisions")
    revision = candidate.revision
    needs = "the label `org.opencontainers.image.revision`"
    if not revision:
        return Verdict(State.ABSENT, "the image does not say which commit it was built from", "no-revision", needs)
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
        return Verdict(State.ABSENT, f"`{plain(revision, 70)}` is no commit's full name", "no-revision", needs)
    return revision
