"""A git repository, read with suspicion: output is bounded, nothing is fetched, no program of its settings is run.

Beside it may lie one of relman's own (`Aside`), where what is fetched, committed and sent is no part of the user's.
"""

from __future__ import annotations

import io
import logging
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from relman.errors import Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.redaction import redact, register

if TYPE_CHECKING:
    from git import Git, Repo
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
# The settings of a checkout that say how its remotes are reached and who commits: an `Aside` takes them over.
_TAKEN_OVER = re.compile(
    r"(http|credential|url|user|author|committer|ssh)\..*|core\.(sshcommand|askpass|gitproxy)"
    r"|remote\..*\.(url|pushurl|proxy|proxyauthmethod)"
)
_NETWORK = {"GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file"}
NETWORK_TIMEOUT = 120.0
"""Seconds that one git command may take that speaks to a remote."""
# What the user's own settings could change about bytes, hooks and clean-up in a repository that is not the user's.
_ASIDE_SETTINGS = """\
[core]
	bare = true
	hooksPath = /dev/null
	excludesFile = /dev/null
	autocrlf = false
	fileMode = false
	symlinks = false
	untrackedCache = false
	splitIndex = false
[gc]
	autoDetach = false
[maintenance]
	autoDetach = false
[fetch]
	fsckObjects = true
[push]
	recurseSubmodules = no
	gpgSign = false
	followTags = false
"""
_ASIDE_ATTRIBUTES = "* -text -eol -filter -ident -working-tree-encoding\n"
_CHECKOUT_HINT = "let `checkout` under `[project]` name a clone that has the images' revisions"


class GitFailed(RelmanError):
    """git exited with another code than 0. ``said`` is the last thing that it called fatal or an error, or empty."""

    def __init__(self, argv: tuple[str, ...], status: object, stderr: str) -> None:
        self.stderr = redact(stderr)
        found = re.findall(r"(?:fatal|error): (.*)", self.stderr)
        self.said = found[-1].rstrip("'")[:300] if found else ""
        super().__init__(redact(f"`git {shlex.join(argv)}` failed: {self.said or f'exit code {status}'}"))


class Checkout(msgspec.Struct, frozen=True):
    """A git repository, with or without a work tree, that was found at ``path`` or above it."""

    path: Path
    _repo: Repo

    def git(self, *arguments: str, limit: int = OUTPUT_LIMIT) -> str:
        """What git prints, as text. Raises `GitFailed`; `Passing` after too long, `Malformed` beyond ``limit``."""
        return self.raw(*arguments, limit=limit).decode(errors="replace")

    def raw(self, *arguments: str, limit: int = OUTPUT_LIMIT) -> bytes:
        """The same as bytes."""
        # Named outright: neither GIT_DIR nor who owns the folder (containers in CI) may pick another one or refuse it.
        options = (f"--git-dir={self._repo.git_dir}", *_OPTIONS)
        return _execute(self._repo.git, options, arguments, _ENVIRONMENT, limit=limit, timeout=TIMEOUT, where=self.path)

    @property
    def common(self) -> Path:
        """The folder that all work trees of the repository share (`.git`, or a bare repository itself)."""
        return Path(self._repo.common_dir).resolve()

    @property
    def remotes(self) -> Mapping[str, str]:
        """The address of each remote, by name."""
        found = ((re.fullmatch(r"remote\.(.+)\.url", key, re.DOTALL), value) for key, value in self.settings())
        return {match[1]: value for match, value in found if match}

    def settings(self) -> tuple[tuple[str, str], ...]:
        """What the repository's own configuration says of remotes, credentials and who commits, in its order.

        What is in the user's and the system's is left out: git reads that anywhere. The values may be secrets.
        """
        words = self.git("config", "--list", "-z", "--show-scope").split("\0")
        found: list[tuple[str, str]] = []
        for scope, entry in zip(words[::2], words[1::2], strict=False):
            key, given, value = entry.partition("\n")
            if scope in ("local", "worktree") and _TAKEN_OVER.fullmatch(key):
                found.append((key, value if given else "true"))  # a key without a value is a yes, an empty one a no
        return tuple(found)

    def aside(self, folder: Path) -> Aside:
        """A repository of relman's own in ``folder``, made where there is none yet.

        It reaches remotes as this checkout does, relative addresses and credentials included.
        """
        settings = self.settings()
        for key, value in settings:
            if key.startswith("http.") and key.endswith(".extraheader"):
                register(value.rpartition(" ")[2])
        given = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        environment = {
            **_ENVIRONMENT,
            "GIT_CONFIG_COUNT": str(given + len(settings)),
            **{f"GIT_CONFIG_KEY_{given + number}": key for number, (key, _) in enumerate(settings)},
            **{f"GIT_CONFIG_VALUE_{given + number}": value for number, (_, value) in enumerate(settings)},
            "GIT_INDEX_FILE": str(folder / "git/index"),
            "GIT_OBJECT_DIRECTORY": str(folder / "git/objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        }
        start = self._repo.working_tree_dir or self._repo.git_dir
        git = type(self._repo.git)(start)
        aside = Aside(folder / "git", folder / "tree", git, environment)
        last = folder / "git/info/attributes"
        if not last.exists():
            form = self.git("rev-parse", "--show-object-format").strip()
            made = ("init", "--quiet", "--bare", "--template=", f"--object-format={form}")
            _execute(git, (f"--git-dir={aside.git_dir}",), made, environment, limit=0, timeout=TIMEOUT, where=folder)
            with (aside.git_dir / "config").open("a") as file:
                file.write(_ASIDE_SETTINGS)
            last.parent.mkdir(exist_ok=True)
            last.write_text(_ASIDE_ATTRIBUTES)  # they win over those in a branch, which could change bytes
        return aside

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


class Aside(msgspec.Struct, frozen=True):
    """A repository of relman's own beside a checkout, with its files in ``tree``. See `Checkout.aside`.

    Only here may git speak to a remote, and only where ``network`` says so: by https, http, ssh, git or as a file,
    never asking on the terminal, with the programs that git is set up to ask for credentials.
    """

    git_dir: Path
    tree: Path
    _git: Git
    _environment: Mapping[str, str]

    def git(
        self,
        *arguments: str,
        limit: int = OUTPUT_LIMIT,
        network: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """What git prints, as text; ``environment`` is added. Raises as `Checkout.git` does."""
        added = {**self._environment, **(_NETWORK if network else {}), **(environment or {})}
        options = (f"--git-dir={self.git_dir}", f"--work-tree={self.tree}", *_OPTIONS)
        timeout = NETWORK_TIMEOUT if network else TIMEOUT
        output = _execute(self._git, options, arguments, added, limit=limit, timeout=timeout, where=self.git_dir)
        return output.decode(errors="surrogateescape")


def _execute(
    git: Git,
    options: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    limit: int,
    timeout: float,
    where: Path,
) -> bytes:
    from git import GitCommandError

    argv = [git.GIT_PYTHON_GIT_EXECUTABLE or "git", *options, *arguments]
    log.debug("$ %s", shlex.join(argv))
    output = _Bounded(limit)
    try:
        git.execute(argv, output_stream=output, env=environment, kill_after_timeout=timeout)
    except GitCommandError as error:
        if "Timeout:" in str(error.stderr):
            raise Passing(f"`git {arguments[0]}` in `{where}` took longer than {timeout:g} s") from error
        said = str(error.stderr).strip().removeprefix("stderr: '").removesuffix("'")  # as GitPython frames it
        raise GitFailed(tuple(arguments), error.status, said) from error
    return output.getvalue()


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
