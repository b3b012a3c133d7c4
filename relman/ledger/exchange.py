"""One branch of a git repository: brought here, changed, and sent back only where nobody was first.

All of it happens in a repository of relman's own (`relman.git.Aside`): the checkout's work tree, index, HEAD, refs and
objects are not touched. A push is never forced, so git itself compares: what is sent must follow what is there.
"""

from __future__ import annotations

import hashlib
import re
import time
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import msgspec

from relman.errors import ConfigError, Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.git import Aside, Checkout, GitFailed, checkout_at
from relman.ledger.disk import make_folder, remove_file, touching, write_file
from relman.redaction import redact

MARKER = "relman.json"
"""The file that says that a branch is a ledger."""
MARK = b'{"schema": "relman.ledger/1"}\n'

FILES, FILE_SIZE, SIZE = 200_000, 256 * 1024 * 1024, 4 * 1024 * 1024 * 1024
"""How many files a branch may have, and how many bytes each of them and all together."""

_BASE, _TIP = "refs/heads/records", "refs/relman/tip"
# All but dot files: those are journals, what is not whole yet, or of the people who put them into the branch.
_OURS = (".", ":(exclude,glob)**/.*", ":(exclude,glob)**/.*/**")
_DEEPER = 200
_PAUSES = (0.5, 2.0)
_DENIED = re.compile(
    r"Authentication failed|could not read (Username|Password)|terminal prompts disabled|[Pp]ermission .*denied"
    r"|returned error: 40[134]|not granted|Host key verification failed|[Pp]rotected branch|hook declined"
    r"|GH0\d\d|not allowed to|dubious ownership|currently checked out|[Rr]epository .*not found|access denied"
    r"|prohibited|Access denied|is not allowed|read.only"
)
_OUTSIDE = re.compile(
    r"[Cc]ould not resolve|[Cc]onnection |[Cc]ouldn't connect|[Ff]ailed to connect|hung up|disconnect|early EOF"
    r"|timed out|returned error: (429|5\d\d)|RPC failed|SSL|TLS|Empty reply|unpack-objects|index-pack"
    r"|Could not read from remote"
    r"|[Tt]emporary failure|transfer closed|cannot lock ref|failed to update ref|unable to create temporary"
)
_WORDS = re.compile(r"^(?:fatal: |error: (?!failed to push)|remote: | ! \[)(.*)", re.MULTILINE)


class Place(msgspec.Struct, frozen=True):
    """A branch of a checkout's remote. Without a ``remote``: `origin`, the only one, or the checkout itself."""

    checkout: Path
    branch: str
    remote: str | None = None

    def folder(self, checkout: Checkout) -> Path:
        """Where it is kept on this machine: below `.git`, where neither git nor people clean up."""
        told_apart = hashlib.sha256(f"{self.remote or ''}\0{self.branch}".encode()).hexdigest()[:8]
        return checkout.common / "relman" / f"{quote(self.branch, safe='')[:60]}-{told_apart}"

    def address(self, checkout: Checkout) -> str:
        """The remote by name, an address, or the checkout itself. Raises `ConfigError` where it cannot be told."""
        remotes = checkout.remotes
        if self.remote is None:
            if "origin" in remotes or not remotes:
                return "origin" if remotes else str(checkout.common)
            if len(remotes) == 1:
                return next(iter(remotes))
            raise ConfigError(
                f"`{self.checkout}` has several remotes (`{'`, `'.join(sorted(remotes))}`), and none is `origin`",
                hint="say with `remote` under `[ledger]` which of them has the records",
            )
        if self.remote == ".":
            return str(checkout.common)
        if self.remote in remotes or re.search(r"[:/]", self.remote):
            return self.remote
        known = f"it has `{'`, `'.join(sorted(remotes))}`" if remotes else "it has none"
        raise ConfigError(f"`ledger.remote`: `{self.checkout}` has no remote `{self.remote}`", hint=known)


class Exchange:
    """The branch at a ``place``, on this machine. Whoever calls sees to it that nobody else does at the same time."""

    def __init__(self, place: Place) -> None:
        with checkout_at(place.checkout) as checkout:
            self._remote = place.address(checkout)
            self._folder = place.folder(checkout)
            make_folder(self._folder / "tree")
            with touching(self._folder):
                self._aside: Aside = checkout.aside(self._folder)
        self.base: str | None = None
        """The commit that the branch was at when it was last brought or sent; `None` where there was no branch."""
        self._branch = place.branch
        self._ref = f"refs/heads/{place.branch}"
        self.tree = self._folder / "tree"

    # ------------------------------------------------------------------------------------------------ from there

    def update(self) -> None:
        """Bring the branch as it is now, and make the files in ``tree`` those of it; dot files are let be.

        Raises `Passing` where the remote cannot be reached, `Unequipped` where it refuses, and `Malformed` for a
        branch that is not a ledger's, or holds what no ledger does.
        """
        self._clear_locks()
        self.base, tip = self._commit(_BASE), self._there()
        if tip is not None and tip != self.base:
            tip = self._fetch(depth=1)
            self._check(tip)
            self._set(tip)
        if tip is None and self.base is not None:
            raise RelmanError(
                f"the branch `{self._branch}`, which holds the records, is gone from `{self._remote}`",
                hint=f"its last commit seen here is `{self.base}` in `{self._aside.git_dir}`: push it from there, "
                f"or remove `{self._folder}` to begin without records",
            )
        self.restore()

    def restore(self) -> None:
        """Make the files in ``tree`` those of the branch as it was last brought or sent."""
        self._aside.git("read-tree", *(("--reset", "-u", self.base) if self.base else ("--empty",)))
        self._aside.git("clean", "-fdxq", "-e", "/.journal")

    def has(self, commit: str) -> bool:
        """Whether ``commit``, which was made here, is in the branch as it was last brought."""
        base = self.base
        if base is None or base == commit:
            return base == commit
        return commit in self._parents(base) or (
            base not in self._parents(commit) and self._is_before(commit, self._fetch(depth=_DEEPER))
        )

    def _there(self) -> str | None:
        """The commit that the branch is at now."""
        listed = self._asking("read", "ls-remote", "--quiet", self._remote, self._ref)
        found = (line.split("\t") for line in listed.splitlines())
        return next((words[0] for words in found if words[1:] == [self._ref]), None)

    def _fetch(self, *, depth: int) -> str:
        """Bring the branch with its last ``depth`` commits: years of them are of no use, and a CI machine has none."""
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-filter")
        self._asking("read", "fetch", *quiet, f"--depth={depth}", self._remote, f"+{self._ref}:{_TIP}")
        tip = self._commit(_TIP)
        assert tip is not None
        return tip

    def _set(self, base: str) -> None:
        self._aside.git("update-ref", _BASE, base)
        self.base = base

    def _commit(self, name: str) -> str | None:
        try:
            return self._aside.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
        except GitFailed:
            return None

    def _parents(self, commit: str) -> list[str]:
        # Not by `git log`, which shows the last commit that was brought as if it had none.
        head = self._aside.git("cat-file", "commit", commit).partition("\n\n")[0]
        return [line.split(" ")[1] for line in head.splitlines() if line.startswith("parent ")]

    def _is_before(self, commit: str, tip: str) -> bool:
        try:
            self._aside.git("merge-base", "--is-ancestor", commit, tip)
        except GitFailed:
            return False
        return True

    def _check(self, commit: str) -> None:
        """Refuse a branch that is no ledger, before any file of it is written."""
        listed = self._aside.git("ls-tree", "-r", "-z", "-l", "--full-tree", commit, limit=64 * 1024 * 1024)
        total, names = 0, set[str]()
        for line in listed.split("\0")[:-1]:
            about, _, name = line.partition("\t")
            mode, _, _, size = about.split()
            if mode not in ("100644", "100755"):
                raise Malformed(f"`{self._branch}:{name}` is no plain file, which a ledger has nothing else of")
            if name.lower().partition("/")[0] == ".journal" or int(size) > FILE_SIZE:
                raise Malformed(f"`{self._branch}:{name}` cannot be in a ledger: it is a machine's own, or too large")
            names.add(name)
            total += int(size)
        if len(names) > FILES or total > SIZE:
            raise Malformed(
                f"the branch `{self._branch}` is too large for a ledger: {len(names):,} files, {total:,} bytes"
            )
        if names and MARKER not in names:
            raise Malformed(
                f"the branch `{self._branch}` of `{self._remote}` is not a ledger: it has files, and no `{MARKER}`",
                hint="name another branch under `[ledger]`; relman makes it with the first release",
            )

    # ------------------------------------------------------------------------------------------------- and back

    def commit(self, message: str) -> str | None:
        """A commit of what is in ``tree`` now, which nobody else sees yet; `None` where nothing changed."""
        base = self.base
        write_file(self.tree / MARKER, MARK)
        self._aside.git("add", "--all", "--force", "--", *_OURS)
        tree = self._aside.git("write-tree").strip()
        if base and tree == self._aside.git("rev-parse", f"{base}^{{tree}}").strip():
            return None
        parent = ("-p", base) if base else ()
        return self._aside.git("commit-tree", tree, *parent, "-m", message, environment=self._identity).strip()

    def push(self, commit: str) -> RelmanError | None:
        """Send ``commit``. `None` where the branch is now at it; else what was said.

        It may have arrived all the same: that, and whether somebody was first, is for `update` and `has` to tell.
        """
        try:
            quiet = ("--quiet", "--no-verify", "--no-follow-tags", "--no-recurse-submodules")
            self._aside.git("push", *quiet, self._remote, f"{commit}:{self._ref}", network=True)
        except GitFailed as error:
            return self._meant("write", error)
        except Passing as error:
            return error
        self._set(commit)
        return None

    @cached_property
    def _identity(self) -> dict[str, str]:
        """Who commits: whom git's settings name, else relman. Without settings git would guess from the machine."""
        found: dict[str, str] = {}
        for who in ("AUTHOR", "COMMITTER"):
            try:
                self._aside.git("-c", "user.useConfigOnly=true", "var", f"GIT_{who}_IDENT")
            except GitFailed:
                found |= {f"GIT_{who}_NAME": "relman", f"GIT_{who}_EMAIL": "relman@localhost"}
        return found

    def _asking(self, what: str, *arguments: str) -> str:
        """What a remote answers; asked again where it does not at first."""
        for pause in (*_PAUSES, None):
            try:
                return self._aside.git(*arguments, network=True)
            except GitFailed as error:
                meant = self._meant(what, error)
                if pause is None or not isinstance(meant, Passing):
                    raise meant from error
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _meant(self, what: str, error: GitFailed) -> RelmanError:
        """What git's refusal means, in its words."""
        words = "; ".join(dict.fromkeys(word.strip() for word in _WORDS.findall(error.stderr) if word.strip()))
        said = redact(words[-400:].strip("'") or error.said or error.message)
        text = f"cannot {what} the branch `{self._branch}` of `{redact(self._remote)}`: {said}"
        if "not appear to be a git repository" in error.stderr:
            return NotFound(text, hint="`git remote -v` in the checkout shows where its remotes are")
        if _DENIED.search(error.stderr):
            hint = "may this user push there? in GitHub Actions: `permissions: contents: write`"
            return Unequipped(text, hint=hint if what == "write" else "try `git fetch` there by hand: does git log in?")
        if _OUTSIDE.search(error.stderr):
            return Passing(text)
        return RelmanError(text)

    def _clear_locks(self) -> None:
        """Remove the locks that a killed git left: whoever is here is the only one who works here."""
        for name in ("index", "shallow", "packed-refs", _BASE, _TIP, "HEAD", "config"):
            remove_file(self._aside.git_dir / f"{name}.lock")
