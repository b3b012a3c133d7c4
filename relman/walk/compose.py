"""compose: what was compared, the commits and the sections become a changelog. The same inputs give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from relman.config.values import GroupRule, MajorRule
from relman.model.changelog import Accounting, Changelog, Commit, Fix, Section, VariantSummary
from relman.model.contents import EXACT
from relman.model.diff import Diff
from relman.walk.compared import Compared as Compared
from relman.walk.grouping import group_changes
from relman.walk.history import CommitRange
from relman.walk.majors import majors_of


def compose(
    compared: Sequence[Compared],
    *,
    project: str,
    title: str,
    stream: str | None = None,
    version: str | None = None,
    previous: str | None = None,
    ranges: Sequence[CommitRange] = (),
    commits: Sequence[Commit] = (),
    notes: Iterable[str] = (),
    sections: Iterable[Section] = (),
    security: Sequence[Fix] | None = None,
    majors: Sequence[MajorRule] = (),
    groups: Sequence[GroupRule] = (),
    ignore: Sequence[str] = (),
    repository_url: str | None = None,
    major: int | None = None,
) -> Changelog:
    """Assemble a changelog and prove by counting that it lost nothing (`ValueError` where it did).

    ``compared`` is in the configured order. ``ranges`` are the commits as they were read, counted here; ``commits``
    are what `merge_ranges` and `apply_rules` made of them. ``notes`` are sentences beside those that `notes_on` finds,
    such as on commits that could not be read.
    """
    diffs = tuple(_named_diff(each, each.diff) for each in compared if each.diff is not None)
    grouped = group_changes(diffs, variants={each.name: each.traits for each in compared}, groups=groups, ignore=ignore)
    accounting = Accounting(
        commits_in_range=len({commit.sha for each in ranges for commit in each.commits}),
        commits_listed=sum(commit.listed for commit in commits),
        commits_excluded=sum(not commit.listed for commit in commits),
        packages_changed=sum(len(diff.changes) for diff in diffs),
        packages_shown=grouped.shown,
        packages_ignored=grouped.ignored,
    )
    return Changelog(
        project=project,
        stream=stream,
        version=version,
        previous=previous,
        title=title,
        variants=tuple(_summary(each) for each in compared),
        majors=majors_of(compared, majors),
        groups=grouped.groups,
        commits=tuple(commits),
        security=None if security is None else tuple(security),
        sections=tuple(sorted(sections, key=lambda section: (section.rank, section.id))),
        keys_added=tuple(sorted({key for diff in diffs for key in diff.keys_added})),
        keys_removed=tuple(sorted({key for diff in diffs for key in diff.keys_removed})),
        accounting=accounting,
        notes=tuple(dict.fromkeys((*notes_on(compared, previous), *notes))),
        repository_url=repository_url,
        major=major,
    )


def _named_diff(compared: Compared, diff: Diff) -> Diff:
    return replace(diff, variant=compared.name, platform=compared.platform)


def _summary(compared: Compared) -> VariantSummary:
    return VariantSummary(
        name=compared.name,
        platform=compared.platform,
        digest=compared.digest,
        previous_digest=compared.previous_digest,
        revision=compared.revision,
        exact=compared.diff.exact if compared.diff else compared.after.capabilities >= EXACT,
        packages=len(compared.after.packages),
        download=compared.download,
    )


def notes_on(compared: Sequence[Compared], previous: str | None) -> tuple[str, ...]:
    """What readers have to know of how the images were compared, a sentence each; empty where all is as it should be.

    ``previous`` is the version of the release before, `None` where there was none.
    """
    return (*_nothing_to_compare(compared, previous), *_approximate(compared), *_given(compared), *_revisions(compared))


def _nothing_to_compare(compared: Sequence[Compared], previous: str | None) -> Iterable[str]:
    alone = [each for each in compared if each.diff is None]
    new = [each for each in alone if each.previous_digest is None]
    gone = [each for each in alone if each.previous_digest is not None]
    if len(new) == len(compared) and previous is None:
        yield "This is the first release: there is nothing to compare it with."
    elif new:
        yield f"{names_of(new, compared)}: new in this release, there is nothing to compare with."
    if gone:
        yield (
            f"{names_of(gone, compared)}: the previous image is no longer there, and neither is a list of what was in "
            "it, so nothing was compared."
        )


def _approximate(compared: Sequence[Compared]) -> Iterable[str]:
    said: dict[tuple[bool, tuple[str, ...]], list[Compared]] = {}
    for each in compared:
        if each.diff is not None and (each.diff.notes or not each.diff.exact):
            said.setdefault((each.diff.exact, each.diff.notes), []).append(each)
    for (exact, notes), places in said.items():
        names = names_of(places, compared)
        begin = f"{names}:" if exact else f"{names}: the comparison is not exact."
        yield " ".join((begin, *(note if note.endswith(".") else f"{note}." for note in notes)))


def _given(compared: Sequence[Compared]) -> Iterable[str]:
    said: dict[str, list[Compared]] = {}
    for each in compared:
        if each.after.source.startswith("sbom:"):
            said.setdefault(each.after.source.removeprefix("sbom:"), []).append(each)
    for file, places in said.items():
        yield f"{names_of(places, compared)}: the packages are those of an SBOM that was given by hand, `{file}`."


def _revisions(compared: Sequence[Compared]) -> Iterable[str]:
    built: dict[str | None, list[Compared]] = {}
    for each in compared:
        built.setdefault(each.revision, []).append(each)
    unnamed = built.pop(None, [])
    if len(built) > 1:
        parts = (f"{names_of(places, compared)} from {(revision or '')[:12]}" for revision, places in built.items())
        yield f"The images were built from different revisions: {'; '.join(parts)}."
    if unnamed:
        yield f"{names_of(unnamed, compared)}: the image does not say which commit it was built from."


def names_of(places: Sequence[Compared], compared: Sequence[Compared]) -> str:
    """``All images``, or the variants' names, with the platform where only some of a variant's are meant."""
    if len(places) == len(compared) and len(compared) > 1:
        return "All images"
    there = {(each.name, each.platform) for each in places}
    names: dict[str, None] = {}
    for each in places:
        whole = all((other.name, other.platform) in there for other in compared if other.name == each.name)
        names[each.name if whole else f"{each.name} ({each.platform})"] = None
    return ", ".join(names)
