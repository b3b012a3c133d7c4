"""The gate `known-issues`: what was known to be wrong with the last release is not forgotten.

Each issue (a file in the folder `[changelog] known_issues`) is carried over while its file is there, and ends by
`fixed-in` or `withdrawn` in it. One whose file is gone without either closes the gate, with its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relman.model.gates import GateResult, State
from relman.model.release import Candidate
from relman.model.streams import Variant
from relman.plugin import GatesContext, KnownIssue, RelmanError, checkout_at, dropped_issues, hookimpl
from relman_plugins.gates.verdict import Verdict, passed


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Failed with the issues that nobody speaks of any more; error where git cannot tell."""
    asked = context.of_type("known-issues")
    answers: dict[tuple[str | None, str | None], Sequence[KnownIssue] | Verdict] = {}
    for candidate in context.release.candidates if asked else ():
        build = (_revision_before(candidate), candidate.revision)
        if build not in answers:
            answers[build] = _dropped(context, *build, first=candidate.follows is None)
        found = answers[build]
        answer = found if isinstance(found, Verdict) else verdict(found, candidate.variant)
        for rule in asked:
            yield answer.of(candidate, rule.name)


def _revision_before(candidate: Candidate) -> str | None:
    follows = candidate.follows
    if follows is None:
        return None
    earlier = follows.image.on(candidate.first.platform) if follows.image else None
    return (earlier.revision if earlier else None) or follows.revision


def _dropped(
    context: GatesContext, before: str | None, after: str | None, *, first: bool
) -> Sequence[KnownIssue] | Verdict:
    if context.known_issues is None:
        why = "`[changelog] known_issues` names no folder, so nobody knows of any"
        return Verdict(State.ABSENT, why, code="no-folder", needs='`known_issues = "known-issues/"` under [changelog]')
    if first:
        return passed("it is the first release of this variant")
    if after is None or before is None:
        which = "the image" if after is None else "its predecessor"
        why = f"{which} does not say from which commit it was built"
        needs = "builds with the label `org.opencontainers.image.revision`"
        return Verdict(State.ERROR, why, code="no-revision", needs=needs)
    if context.checkout is None:
        why = "there is no git repository in which to look"
        return Verdict(State.ERROR, why, code="no-checkout", needs="`checkout` under [project]")
    try:
        with checkout_at(context.checkout) as repository:
            return dropped_issues(repository, context.known_issues, before, after)
    except RelmanError as error:
        return Verdict(State.ERROR, error.message, code="unreadable", needs=error.hint)


def verdict(dropped: Sequence[KnownIssue], variant: Variant) -> Verdict:
    """What the issues that nobody speaks of any more say to a variant: those that affect it, by its name or a trait."""
    own = [issue for issue in dropped if not issue.affects or {variant.name, *variant.traits} & set(issue.affects)]
    if not own:
        return passed("every known issue is declared fixed, or carried over")
    said = ", ".join(f"`{issue.name}` ({issue.title})" for issue in own)
    return Verdict(
        State.FAILED,
        f"neither declared fixed nor carried over: {said}",
        code="issue-dropped",
        needs="the file again, with `fixed-in` or `withdrawn` where it is over",
        evidence={"issues": [issue.name for issue in own]},
    )
