"""The commits between two revisions, as the project's git repository has them."""

from __future__ import annotations

import io
import logging
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from relman.model.changelog import Commit
from relman.plugin import CommitsContext, Malformed, NotFound, Passing, RelmanError, Unequipped, hookimpl
from relman_plugins.changelog import conventional

if TYPE_CHECKING:
    from git import GitCommandError, Repo
    from typing_extensions import Buffer

log = logging.getLogger(__name__)

SUBJECT_LIMIT = 1000
"""Characters of a subject that are kept."""
OUTPUT_LIMIT = 256 * 1024 * 1024
"""Bytes of messages that are read for one range."""
TIMEOUT = 600.0
"""Seconds that git may take for one range."""

_REVISION = re.compile(r"[0-9a-fA-F]{7,64}")
_FORMAT = "%H%x00%P%x00%an%x00%s%x00%B"

# The checkout's own configuration can name programs (a monitor of files, gpg, transports that fetch what a partial
# clone lacks), and replacements and grafts stand in for the commits that were built from: none of it is wanted here.
_OPTIONS = ("--no-pager", "--no-replace-objects", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false")
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_GRAFT_FILE": os.devnull,
}


class _Read(NamedTuple):
    sha: str
    parents: tuple[str, ...]
    author: str
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
    with _opened(checkout) as repo:
        before, after = (_resolved(repo, checkout, r.lower()) for r in (context.before, context.after))
        commits = _range(repo, checkout, before, after)
        if any(not commit.parents for commit in commits) and _shallow(repo):
            raise NotFound(
                f"`{checkout}` is a shallow clone that is cut between `{before}` and `{after}`",
                hint=f"run `git -C {shlex.quote(str(checkout))} fetch --unshallow`, or clone with its whole history",
            )
    return _told(commits)


@contextmanager
def _opened(checkout: Path) -> Iterator[Repo]:
    try:
        import git  # not at the top: it looks for the program, and every command imports the plugins
    except ImportError as error:
        raise Unequipped("`git` is not installed", hint="install git with your system's packages") from error
    try:
        repo = git.Repo(checkout, search_parent_directories=True, expand_vars=False)
    except git.NoSuchPathError as error:
        raise NotFound(f"there is no folder `{checkout}` to read commits from", hint=_CHECKOUT_HINT) from error
    except (git.InvalidGitRepositoryError, OSError) as error:
        raise NotFound(f"`{checkout}` is not a git repository", hint=_CHECKOUT_HINT) from error
    try:
        yield repo
    except git.GitCommandNotFound as error:
        raise Unequipped("`git` is not installed", hint="install git with your system's packages") from error
    finally:
        repo.close()


_CHECKOUT_HINT = "let `checkout` under `[project]` name a clone that has the images' revisions"


class _Bounded(io.BytesIO):
    """Takes what git prints, up to a limit."""

    def write(self, data: Buffer) -> int:
        if self.tell() + memoryview(data).nbytes > OUTPUT_LIMIT:
            raise Malformed(f"git printed more than {OUTPUT_LIMIT >> 20} MiB of messages for one range of commits")
        return super().write(data)


def _git(repo: Repo, *arguments: str) -> str:
    """What git prints. Raises `git.GitCommandError` where it fails."""
    # Named outright: neither GIT_DIR nor who owns the folder (containers in CI) may pick another one or refuse it.
    argv = [repo.git.GIT_PYTHON_GIT_EXECUTABLE or "git", f"--git-dir={repo.git_dir}", *_OPTIONS, *arguments]
    log.debug("$ %s", shlex.join(argv))
    output = _Bounded()
    repo.git.execute(argv, output_stream=output, env=_ENVIRONMENT, kill_after_timeout=TIMEOUT)
    return output.getvalue().decode(errors="replace")


def _resolved(repo: Repo, checkout: Path, revision: str) -> str:
    """The whole name of an abbreviated one; a whole one as it is."""
    if len(revision) == 40:
        return revision
    from git import GitCommandError

    try:
        sha = _git(repo, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except GitCommandError as error:
        raise _unknown(checkout, revision) from error
    if not sha.startswith(revision):  # git prefers a branch or a tag of that name
        raise _unknown(checkout, revision)
    return sha


def _range(repo: Repo, checkout: Path, before: str, after: str) -> tuple[_Read, ...]:
    from git import GitCommandError

    arguments = ("-z", "--no-color", "--no-show-signature", "--encoding=UTF-8", f"--format={_FORMAT}")
    try:
        # `^{commit}`, since git takes a tree for a range without commits, which would read as "nothing was changed".
        output = _git(repo, "log", *arguments, f"{after}^{{commit}}", f"^{before}^{{commit}}", "--")
    except GitCommandError as error:
        raise _explained(repo, checkout, before, after, error) from error
    fields = output.split("\0")
    if fields.pop() or len(fields) % 5:
        raise Malformed(f"`git log` in `{checkout}` printed something else than was asked for")
    return tuple(
        _Read(sha, tuple(parents.split()), _bounded(author), _bounded(subject), message)
        for sha, parents, author, subject, message in zip(*[iter(fields)] * 5, strict=True)
    )


def _bounded(text: str) -> str:
    return text if len(text) <= SUBJECT_LIMIT else text[: SUBJECT_LIMIT - 1] + "…"


def _explained(repo: Repo, checkout: Path, before: str, after: str, error: GitCommandError) -> RelmanError:
    """Why `git log` failed: a revision that is not there, or a repository that is incomplete."""
    from git import GitCommandError

    for revision in (before, after):
        try:
            kind = _git(repo, "cat-file", "-t", revision).strip()
        except GitCommandError:
            return _unknown(checkout, revision)
        if kind not in ("commit", "tag"):
            return NotFound(f"revision `{revision}` is a {kind} in `{checkout}`, not a commit")
    if "Timeout:" in str(error.stderr):
        return Passing(f"`git log` in `{checkout}` took longer than {TIMEOUT:g} s")
    said = re.findall(r"(?:fatal|error): (.*)", str(error.stderr))
    return NotFound(
        f"the commits from `{before}` to `{after}` cannot be read in `{checkout}`: "
        + (said[-1].rstrip("'")[:300] if said else f"git exited with {error.status}"),
        hint=f"see what is missing with `git -C {shlex.quote(str(checkout))} fsck --connectivity-only`, or clone again",
    )


def _unknown(checkout: Path, revision: str) -> NotFound:
    git = f"git -C {shlex.quote(str(checkout))} fetch"
    fetch = f"{git} origin {revision}" if len(revision) in (40, 64) else f"{git} --all --tags"
    return NotFound(
        f"revision `{revision}` is not in `{checkout}`",
        hint=f"run `{fetch}`, or `{git} --unshallow` where it is a shallow clone",
    )


def _shallow(repo: Repo) -> bool:
    """Whether commits were left out when cloning: git shows the last ones it has as if they had no parents."""
    try:
        return (Path(repo.common_dir) / "shallow").stat().st_size > 0
    except FileNotFoundError:
        return False


def _told(commits: tuple[_Read, ...]) -> tuple[Commit, ...]:
    readings = {commit.sha: conventional.read(commit.subject, commit.message) for commit in commits}
    taken_back = _taken_back(commits, {sha: reading.reverts for sha, reading in readings.items()})
    return tuple(
        Commit(
            sha=commit.sha,
            subject=commit.subject,
            author=commit.author,
            type=readings[commit.sha].type,
            scope=readings[commit.sha].scope,
            breaking=readings[commit.sha].breaking,
            reverted_by=taken_back.get(commit.sha),
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
