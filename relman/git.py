"""A git repository, read with suspicion: output is bounded, nothing is fetched, no program of its settings is run."""

from __future__ import annotations

import io
import logging
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relman.errors import Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.redaction import redact

if TYPE_CHECKING:
    from git import Repo
    from typing_extensions import Buffer

log = logging.getLogger(__name__)

OUTPUT_LIMIT = 256 * 1024 * 1024
"""Bytes that are read of what one git command prints."""
TIMEOUT = 600.0
"""Seconds that one git command may take."""

# The checkout's own configuration can name programs (a monitor of files, gpg, transports that fetch what a partial
# clone lacks), and replacements and grafts stand in for the commits that were built from: none of it is wanted here.
_OPTIONS = ("--no-pager", "--no-replace-objects", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false")
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_GRAFT_FILE": os.devnull,
}
_CHECKOUT_HINT = "let `checkout` under `[project]` name a clone that has the images' revisions"


class GitFailed(RelmanError):
    """git exited with another code than 0. ``said`` is the last thing that it called fatal or an error, or empty."""

    def __init__(self, argv: tuple[str, ...], status: object, stderr: str) -> None:
        self.stderr = redact(stderr)
        found = re.findall(r"(?:fatal|error): (.*)", self.stderr)
        self.said = found[-1].rstrip("'")[:300] if found else ""
        super().__init__(redact(f"`git {shlex.join(argv)}` failed: {self.said or f'exit code {status}'}"))


@dataclass(frozen=True, slots=True)
class Checkout:
    """A git repository, with or without a work tree, that was found at ``path`` or above it."""

    path: Path
    _repo: Repo

    def git(self, *arguments: str, limit: int = OUTPUT_LIMIT) -> str:
        """What git prints, as text. Raises `GitFailed`; `Passing` after too long, `Malformed` beyond ``limit``."""
        return self.raw(*arguments, limit=limit).decode(errors="replace")

    def raw(self, *arguments: str, limit: int = OUTPUT_LIMIT) -> bytes:
        """The same as bytes."""
        from git import GitCommandError

        # Named outright: neither GIT_DIR nor who owns the folder (containers in CI) may pick another one or refuse it.
        program = self._repo.git.GIT_PYTHON_GIT_EXECUTABLE or "git"
        argv = [program, f"--git-dir={self._repo.git_dir}", *_OPTIONS, *arguments]
        log.debug("$ %s", shlex.join(argv))
        output = _Bounded(limit)
        try:
            self._repo.git.execute(argv, output_stream=output, env=_ENVIRONMENT, kill_after_timeout=TIMEOUT)
        except GitCommandError as error:
            if "Timeout:" in str(error.stderr):
                raise Passing(f"`git {arguments[0]}` in `{self.path}` took longer than {TIMEOUT:g} s") from error
            raise GitFailed(arguments, error.status, str(error.stderr)) from error
        return output.getvalue()

    def resolved(self, revision: str) -> str:
        """The whole name of the commit that ``revision`` abbreviates; a whole name as it is. Raises `NotFound`."""
        if len(revision) == 40:
            return revision
        try:
            sha = self.git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
        except GitFailed as error:
            raise self.unknown(revision) from error
        if not sha.startswith(revision):  # git prefers a branch or a tag of that name
            raise self.unknown(revision)
        return sha

    def files(self, revision: str, folder: str) -> Mapping[str, str]:
        """The files right below ``folder`` at ``revision``, by name, each with the id of its content.

        Empty where there is no such folder. Raises `NotFound` for a revision that is not there.
        """
        place = folder.strip("/")
        tree = f"{revision}^{{commit}}:{place}" if place not in ("", ".") else f"{revision}^{{commit}}:"
        try:
            listed = self.git("ls-tree", "-z", "--full-tree", tree)
        except GitFailed as error:
            try:
                self.git("cat-file", "-e", f"{revision}^{{commit}}")
            except GitFailed:
                raise self.unknown(revision) from error
            return {}
        found: dict[str, str] = {}
        for line in listed.split("\0"):
            about, _, name = line.partition("\t")
            if name and about.startswith(("100644 blob ", "100755 blob ")):
                found[name] = about.split()[2]
        return found

    def deleted(self, revision: str, folder: str) -> Mapping[str, str]:
        """The files right below ``folder`` that were deleted in the history of ``revision``, with their last content.

        Of one that was deleted several times, the latest counts. Whether it is there again, this does not say.
        """
        place = folder.strip("/")
        arguments = ("--diff-filter=D", "--no-renames", "--raw", "--no-abbrev", "-z", "--format=")
        output = self.git("log", *arguments, f"{revision}^{{commit}}", "--", f":(top,literal){place}")
        found: dict[str, str] = {}
        fields = [field for field in output.split("\0") if field.strip("\n")]
        for about, path in zip(fields[::2], fields[1::2], strict=False):
            parent, _, name = path.rpartition("/")
            if parent == place and about.lstrip("\n").startswith(":100"):
                found.setdefault(name, about.split()[2])
        return found

    @property
    def work_tree(self) -> Path | None:
        """The folder of the files, or `None` for a bare repository."""
        folder = self._repo.working_tree_dir
        return Path(folder) if folder else None

    def content(self, id: str, *, limit: int) -> bytes:
        """The content with this id. Raises `Malformed` where it has more than ``limit`` bytes."""
        return self.raw("cat-file", "blob", id, limit=limit)

    @property
    def shallow(self) -> bool:
        """Whether commits were left out when cloning: git shows the last ones it has as if they had no parents."""
        try:
            return (Path(self._repo.common_dir) / "shallow").stat().st_size > 0
        except FileNotFoundError:
            return False

    def unknown(self, revision: str) -> NotFound:
        """The error for a revision that is not here, with the command that would bring it."""
        git = f"git -C {shlex.quote(str(self.path))} fetch"
        fetch = f"{git} origin {revision}" if len(revision) in (40, 64) else f"{git} --all --tags"
        return NotFound(
            f"revision `{revision}` is not in `{self.path}`",
            hint=f"run `{fetch}`, or `{git} --unshallow` where it is a shallow clone",
        )


@contextmanager
def checkout_at(path: Path) -> Iterator[Checkout]:
    """The git repository at ``path`` or above it. Raises `NotFound` where there is none, `Unequipped` without git."""
    try:
        import git  # not at the top: it looks for the program, and every command imports what imports this
    except ImportError as error:
        raise _no_git() from error
    try:
        repo = git.Repo(path, search_parent_directories=True, expand_vars=False)
    except git.NoSuchPathError as error:
        raise NotFound(f"there is no folder `{path}` to read commits from", hint=_CHECKOUT_HINT) from error
    except (git.InvalidGitRepositoryError, OSError) as error:
        raise NotFound(f"`{path}` is not a git repository", hint=_CHECKOUT_HINT) from error
    try:
        yield Checkout(path, repo)
    except git.GitCommandNotFound as error:
        raise _no_git() from error
    finally:
        repo.close()


def _no_git() -> Unequipped:
    return Unequipped("`git` is not installed", hint="install git with your system's packages")


class _Bounded(io.BytesIO):
    """Takes what git prints, up to a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Buffer) -> int:
        if self.tell() + memoryview(data).nbytes > self._limit:
            raise Malformed(f"git printed more than the {self._limit:,} bytes that are read")
        return super().write(data)
