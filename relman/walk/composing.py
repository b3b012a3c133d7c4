"""compose, put together: the commits of every range, the title, and the changelog of it all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from relman.config import Config
from relman.errors import NotFound, RelmanError
from relman.hookspecs import CommitsContext
from relman.model.changelog import Changelog, Commit, Section
from relman.model.release import Release
from relman.walk.compared import Compared
from relman.walk.compose import compose
from relman.walk.history import CommitRange, apply_rules, merge_ranges
from relman.walk.security import security_of

if TYPE_CHECKING:
    from relman.render import Templates

Ask = Callable[[CommitsContext], Iterable[Commit]]


class Commits(msgspec.Struct, frozen=True):
    """The commits of all ranges: as they were read, as the rules left them, and why some could not be read."""

    ranges: tuple[CommitRange, ...]
    ruled: tuple[Commit, ...]
    missing: tuple[str, ...]


def read_commits(compared: Sequence[Compared], ask: Ask, config: Config) -> Commits:
    """Read each range of revisions once.

    Raises what reading raises where the configuration requires commits; without a configuration nothing does.
    """
    ranges: list[CommitRange] = []
    missing: list[str] = []
    for (before, after), names in _revisions(compared).items():
        try:
            commits = _range(before, after, names, ask, config.checkout)
        except RelmanError as error:
            if config.notes.required and config.file:
                raise
            missing.append(error.message)
        else:
            ranges.append(CommitRange(names, commits))
    ruled = apply_rules(merge_ranges(ranges), config.notes.exclude)
    return Commits(tuple(ranges), ruled, tuple(dict.fromkeys(missing)))


def _revisions(compared: Sequence[Compared]) -> dict[tuple[str | None, str | None], tuple[str, ...]]:
    """The variants that were built from each pair of revisions, by the images' own labels."""
    found: dict[tuple[str | None, str | None], dict[str, None]] = {}
    for one in compared:
        if one.diff:
            found.setdefault((one.diff.before.revision, one.diff.after.revision), {})[one.name] = None
    return {revisions: tuple(names) for revisions, names in found.items()}


def _range(
    before: str | None, after: str | None, names: Sequence[str], ask: Ask, checkout: Path | None
) -> tuple[Commit, ...]:
    if before is None or after is None:
        which = "earlier" if before is None else "later"
        raise NotFound(
            f"the {which} image of {', '.join(f'`{name}`' for name in names)} does not say which commit it was built "
            "from (label `org.opencontainers.image.revision`)",
            hint="`[changelog] commits = { required = false }` makes notes without commits",
        )
    if before == after:
        return ()
    if checkout is None:
        raise NotFound("there is no git repository to read commits from")
    return tuple(ask(CommitsContext(before, after, checkout)))


def _missing(commits: Commits, config: Config) -> Iterator[str]:
    """What is not there, in words for readers: where the checkout lies is a machine's own business."""
    for why in commits.missing:
        yield f"Commits are missing here: {why.replace(f'`{config.checkout}`', 'the checkout')}."
    kinds = [("highlights", config.notes.highlights), ("known issues", config.notes.known_issues)]
    if commits.missing and (unread := [kind for kind, folder in kinds if folder]):
        yield f"{' and '.join(unread).capitalize()}, which are read from the same place, are missing, too."


def compose_changelog(
    compared: Sequence[Compared],
    release: Release | None,
    commits: Commits,
    sections: Iterable[Section],
    config: Config,
    templates: Templates,
) -> Changelog:
    """The changelog of a release, or of two images given by hand, whose versions are those of their labels."""
    first = compared[0]
    version = release.version if release else first.after_labels.get(_VERSION)
    previous = release.previous if release else (first.before_labels or {}).get(_VERSION)
    project = config.project if config.file else first.name
    major = _major(release, first)
    from relman.render import render_title  # heavy, and for texts alone

    title = render_title(
        templates,
        config.notes.title,
        version=version,
        previous=previous,
        project=project,
        stream=release.stream if release else None,
        major=major,
        revision=first.revision or "",
    )
    security, said = security_of(compared)
    return compose(
        compared,
        project=project,
        title=title,
        stream=release.stream if release else None,
        version=version,
        previous=previous,
        ranges=commits.ranges,
        commits=commits.ruled,
        notes=[
            *(_sentence(said) for said in (release.assumed if release else ())),
            *_missing(commits, config),
            *said,
        ],
        sections=sections,
        security=security,
        majors=config.majors,
        groups=config.groups,
        ignore=config.packages.ignore,
        repository_url=config.repository_url,
        major=major,
    )


def compose_without_commits(
    compared: Sequence[Compared], release: Release, config: Config, templates: Templates
) -> Changelog:
    """The changelog of the way back to an earlier release: commits that are taken back are no news of it."""
    return compose_changelog(compared, release, Commits((), (), ()), (), config, templates)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


_VERSION = "org.opencontainers.image.version"


def _major(release: Release | None, first: Compared) -> int | None:
    """The number of the system's release: the dated tag's, else that in the kernel's dist tag (`ostree.linux`)."""
    build = release.candidates[0].build if release else None
    if build and build.major is not None:
        return build.major
    found = re.search(r"\.(?:fc|el)([0-9]{1,3})\b", first.after_labels.get("ostree.linux", ""))
    return int(found[1]) if found else None
