"""What is known to be wrong: one Markdown file each, in the folder `[changelog] known_issues`, until declared fixed."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.changelog import Section
from relman.plugin import KnownIssue, SectionsContext, checkout_at, hookimpl, known_issues_at


@hookimpl
def relman_sections(context: SectionsContext) -> Iterator[Section]:
    """The issues that the build has, and those that it fixes."""
    if context.known_issues is None or context.checkout is None:
        return
    opened: dict[str, KnownIssue] = {}
    fixed: dict[str, KnownIssue] = {}
    with checkout_at(context.checkout) as repository:
        for before, after in _builds(context):
            found = known_issues_at(repository, context.known_issues, before, after)
            opened |= {issue.name: issue for issue in found.open}
            fixed |= {issue.name: issue for issue in found.fixed}
    parts = ["\n".join(_listed(opened[name]) for name in sorted(opened))] if opened else []
    closed = [name for name in sorted(fixed) if name not in opened]
    if closed:
        parts.append("Fixed with this release:\n\n" + "\n".join(f"- {_named(fixed[name])}" for name in closed))
    if parts:
        yield Section("known-issues", rank=20, title="Known issues", markdown="\n\n".join(parts))


def _builds(context: SectionsContext) -> tuple[tuple[str | None, str], ...]:
    """The revisions before and after, each pair once; before is `None` where nothing was before."""
    pairs = [(diff.before.revision, diff.after.revision) for diff in context.diffs]
    if not pairs and context.release:
        pairs = [(None, candidate.revision) for candidate in context.release.candidates]
    return tuple(dict.fromkeys((before, after) for before, after in pairs if after is not None))


def _listed(issue: KnownIssue) -> str:
    about = [f"affects {', '.join(issue.affects)}"] if issue.affects else []
    about += [f"since {issue.since}"] if issue.since else []
    said = f" ({'; '.join(about)})" if about else ""
    head = f"- **{_named(issue)}**{said}"
    if not issue.text:
        return head
    if "\n" not in issue.text:
        return f"{head}: {issue.text}"
    return head + "\n\n" + "\n".join(f"  {line}" if line else "" for line in issue.text.split("\n"))


def _named(issue: KnownIssue) -> str:
    return f"[{issue.title}]({issue.issue})" if issue.issue else issue.title
