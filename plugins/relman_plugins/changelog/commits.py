"""The commits between two revisions, as the project's git repository has them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

from relman.model.changelog import Commit
from relman.plugin import Checkout, CommitsContext, GitFailed, Malformed, NotFound, RelmanError, checkout_at, hookimpl
from relman_plugins.changelog import conventional
from relman_plugins.changelog.people import Known, Person

SUBJECT_LIMIT = 1000
"""Characters of a subject that are kept."""

_REVISION = re.compile(r"[0-9a-fA-F]{7,64}")
_FORMAT = "%H%x00%P%x00%an%x00%aN%x00%aE%x00%s%x00%B"
_PEOPLE = "%aN%x00%aE%x00%(trailers:key=Co-authored-by,separator=%x0a,unfold=true)"


class _Read(NamedTuple):
    sha: str
    parents: tuple[str, ...]
    author: str
    person: Person  # the author, by the name and address that the project's .mailmap gives
    subject: str
    message: str


@hookimpl
def relman_commits(context: CommitsContext) -> tuple[Commit, ...]:
    """Every commit reachable from ``after`` and not from ``before``, in the order of `git log`."""
    checkout = context.checkout
    for revision in (context.before, context.after):
        if not _REVISION.fullmatch(revision):
            shown = revision[:80].encode("unicode_escape").decode()
            raise Malformed(
                f"`{shown}` is no revision: 7 to 64 hex digits",
                hint="the image's label `org.opencontainers.image.revision` has to name a commit",
            )
    with checkout_at(checkout) as repository:
        before, after = (repository.resolved(r.lower()) for r in (context.before, context.after))
        commits = _range(repository, before, after)
        if any(not commit.parents for commit in commits) and repository.shallow:
            raise NotFound(
                f"`{checkout}` is a shallow clone that is cut between `{before}` and `{after}`",
                hint=f"run `git -C {shlex.quote(str(checkout))} fetch --unshallow`, or clone with its whole history",
            )
        known = _contributors(repository, before) if commits and not repository.shallow else None
    return _told(commits, known)


def _range(repository: Checkout, before: str, after: str) -> tuple[_Read, ...]:
    arguments = ("-z", "--no-color", "--no-show-signature", "--encoding=UTF-8", f"--format={_FORMAT}")
    try:
        # `^{commit}`, since git takes a tree for a range without commits, which would read as "nothing was changed".
        output = repository.git("log", *arguments, f"{after}^{{commit}}", f"^{before}^{{commit}}", "--")
    except GitFailed as error:
        raise _explained(repository, before, after, error) from error
    return tuple(
        _Read(
            sha, tuple(parents.split()), _bounded(author), Person(_bounded(name), address), _bounded(subject), message
        )
        for sha, parents, author, name, address, subject, message in _fields(repository, output, 7)
    )


def _fields(repository: Checkout, output: str, count: int) -> Iterable[tuple[str, ...]]:
    fields = output.split("\0")
    if fields.pop() or len(fields) % count:
        raise Malformed(f"`git log` in `{repository.path}` printed something else than was asked for")
    return zip(*[iter(fields)] * count, strict=True)


def _contributors(repository: Checkout, before: str) -> Known:
    """Everybody who wrote something that was there at ``before``."""
    known = Known()
    try:
        output = repository.git("log", "-z", "--encoding=UTF-8", f"--format={_PEOPLE}", f"{before}^{{commit}}", "--")
    except GitFailed as error:
        raise _explained(repository, before, before, error) from error
    for name, address, trailers in _fields(repository, output, 3):
        known.add([Person(name, address), *_co_authors(trailers)])
    return known


def _co_authors(message: str) -> tuple[Person, ...]:
    return tuple(Person(name, address) for name, address in conventional.co_authors(message))


def _bounded(text: str) -> str:
    return text if len(text) <= SUBJECT_LIMIT else text[: SUBJECT_LIMIT - 1] + "…"


def _explained(repository: Checkout, before: str, after: str, error: GitFailed) -> RelmanError:
    """Why `git log` failed: a revision that is not there, or a repository that is incomplete."""
    for revision in (before, after):
        try:
            kind = repository.git("cat-file", "-t", revision).strip()
        except GitFailed:
            return repository.unknown(revision)
        if kind not in ("commit", "tag"):
            return NotFound(f"revision `{revision}` is a {kind} in `{repository.path}`, not a commit")
    return NotFound(
        f"the commits from `{before}` to `{after}` cannot be read in `{repository.path}`: "
        + (error.said or error.message),
        hint=f"see what is missing with `git -C {shlex.quote(str(repository.path))} fsck --connectivity-only`, "
        "or clone again",
    )


def _told(commits: tuple[_Read, ...], known: Known | None) -> tuple[Commit, ...]:
    readings = {commit.sha: conventional.read(commit.subject, commit.message) for commit in commits}
    taken_back = _taken_back(commits, {sha: reading.reverts for sha, reading in readings.items()})
    newcomers: dict[str, tuple[str, ...]] = {}
    for commit in reversed(commits) if known else ():
        assert known
        newcomers[commit.sha] = known.newcomers([commit.person, *_co_authors(commit.message)])
    return tuple(
        Commit(
            sha=commit.sha,
            subject=commit.subject,
            author=commit.author,
            type=readings[commit.sha].type,
            scope=readings[commit.sha].scope,
            breaking=readings[commit.sha].breaking,
            reverted_by=taken_back.get(commit.sha),
            co_authors=tuple(
                dict.fromkeys(name for name, _ in readings[commit.sha].co_authors if name != commit.author)
            ),
            bot=commit.person.bot or Person(commit.author, "").bot,
            pull_request=readings[commit.sha].pull_request,
            closes=readings[commit.sha].closes,
            newcomers=newcomers[commit.sha] if known else None,
        )
        for commit in commits
    )


def _taken_back(commits: Iterable[_Read], reverts: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Each commit that another of the range says it reverts, and which: one that stands, before one that does not.

    "Stands" means that nothing reverts it in turn, or only what does not stand itself. Then the newest is taken.
    """
    if not any(reverts.values()):
        return {}
    children_first: TopologicalSorter[str] = TopologicalSorter()
    by_prefix: dict[str, list[str]] = {}
    for commit in commits:
        children_first.add(commit.sha)
        by_prefix.setdefault(commit.sha[:7], []).append(commit.sha)
        for parent in commit.parents:
            if parent in reverts:
                children_first.add(parent, commit.sha)
    standing: dict[str, str] = {}
    fallen: dict[str, str] = {}
    for sha in children_first.static_order():
        for name in reverts[sha]:
            meant = [other for other in by_prefix.get(name[:7], ()) if other.startswith(name)]
            if len(meant) == 1 and meant[0] != sha:
                (fallen if sha in standing else standing).setdefault(meant[0], sha)
    return fallen | standing
