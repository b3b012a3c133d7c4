"""Which handwritten files belong to a release: what came into the repository with it, and what is still open.

A highlight belongs to the build that has it first. A known issue is often found after a build was made, so those that
the checkout has now count as well; whether it is fixed in a build, only that build's own revision can say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import msgspec

from relman.errors import Malformed
from relman.git import Checkout
from relman.handwritten.files import (
    LIMIT,
    Fragment,
    KnownIssue,
    is_handwritten,
    read_fragment,
    read_known_issue,
)

T = TypeVar("T")

MOST = 500
"""Files of one folder that are read."""


class KnownIssues(msgspec.Struct, frozen=True):
    """Those that a build has, and those that it fixes; each by name."""

    open: tuple[KnownIssue, ...]
    fixed: tuple[KnownIssue, ...]


def fragments_between(repository: Checkout, folder: str, revisions: Sequence[str]) -> tuple[Fragment, ...]:
    """The highlights that came in between the first and the last of ``revisions``, each once, by name.

    ``revisions`` are those of one release after another, the earliest first. What came with one of them counts, also
    where the file was removed later: so the highlights of a long step are those of the short ones together. Each is
    read as the latest of the revisions has it; where that cannot be read, as the checkout has it now, or not at all if
    it is gone, so that no build has to be made again for a slip in a text. Raises `NotFound` for a revision that is not
    there, `Malformed`.
    """
    found: dict[str, str] = {}
    for before, after in pairwise(revisions):
        old, new = _files(repository, before, folder), _files(repository, after, folder)
        for name, id in new.items():
            if name not in old or name in found:
                found[name] = id
    fragments = (_mended(repository, folder, name, id, read_fragment) for name, id in sorted(found.items()))
    return tuple(fragment for fragment in fragments if fragment)


def known_issues_at(repository: Checkout, folder: str, before: str | None, after: str) -> KnownIssues:
    """The known issues of the build of ``after``, which follows that of ``before`` (`None`: nothing).

    A file that was deleted without being declared fixed is still open, unless another one took its place with the same
    title or the same text. Raises `NotFound` for a revision that is not there, `Malformed`.
    """
    here = _files(repository, after, folder)
    earlier = _files(repository, before, folder) if before else {}
    now = _files(repository, "HEAD", folder)

    def readable(name: str, files: Mapping[str, str]) -> KnownIssue | None:
        try:
            return _read(repository, folder, name, files[name], read_known_issue) if name in files else None
        except Malformed:
            return None

    def found(name: str) -> KnownIssue | None:
        if name not in here:
            return _read(repository, folder, name, now[name], read_known_issue)
        return _mended(repository, folder, name, here[name], read_known_issue)

    opened: dict[str, KnownIssue] = {}
    fixed: dict[str, KnownIssue] = {}
    seen: set[str] = set()
    for name in sorted(here.keys() | now.keys()):
        issue = found(name)
        if issue is None:
            continue
        seen.add(issue.title.casefold())
        if issue.open:
            newer = readable(name, now)
            opened[name] = newer if newer and newer.open else issue
        elif name in here and issue.fixed_in and not ((was := readable(name, earlier)) and not was.open):
            fixed[name] = issue
    for name, id in sorted({**_deleted(repository, after, folder), **earlier}.items()):
        if name in here or name in now:
            continue
        issue = readable(name, {name: id})  # one that is not could never be shown, and is gone
        if issue and issue.open and issue.title.casefold() not in seen:
            opened[name] = issue
    return KnownIssues(tuple(opened[name] for name in sorted(opened)), tuple(fixed[name] for name in sorted(fixed)))


def dropped_issues(repository: Checkout, folder: str, before: str | None, after: str) -> tuple[KnownIssue, ...]:
    """Those of `known_issues_at` that are open because nobody said otherwise: their file is gone.

    It is neither in the build of ``after`` nor in the checkout, and none took its place. Raises as that does.
    """
    there = _files(repository, after, folder).keys() | _files(repository, "HEAD", folder).keys()
    named = {f"{folder.rstrip('/')}/{name}" for name in there}
    found = known_issues_at(repository, folder, before, after)
    return tuple(issue for issue in found.open if issue.name not in named)


def deleted_open(repository: Checkout, folder: str, revision: str = "HEAD") -> tuple[KnownIssue, ...]:
    """Known issues whose files were deleted in the history of ``revision`` without being declared fixed."""
    here = _files(repository, revision, folder)
    titles = {_read(repository, folder, name, id, read_known_issue).title.casefold() for name, id in here.items()}
    gone = []
    for name, id in sorted(_deleted(repository, revision, folder).items()):
        try:
            issue = _read(repository, folder, name, id, read_known_issue)
        except Malformed:
            continue
        if name not in here and issue.open and issue.title.casefold() not in titles:
            gone.append(issue)
    return tuple(gone)


def _files(repository: Checkout, revision: str, folder: str) -> Mapping[str, str]:
    files = {name: id for name, id in repository.files(revision, folder).items() if is_handwritten(name)}
    if len(files) > MOST:
        raise Malformed(
            f"`{folder}` has {len(files)} handwritten files at `{revision[:12]}`, more than the {MOST} that are read",
            hint="remove those of old releases",
        )
    return files


def _deleted(repository: Checkout, revision: str, folder: str) -> Mapping[str, str]:
    gone = repository.deleted(revision, folder)
    return {name: id for name, id in gone.items() if is_handwritten(name)}


def _mended(repository: Checkout, folder: str, name: str, id: str, read: Callable[[str, bytes], T]) -> T | None:
    """The file; one that cannot be read as it has been mended since, and `None` where it has been taken away."""
    try:
        return _read(repository, folder, name, id, read)
    except Malformed:
        now = _files(repository, "HEAD", folder)
        if name not in now:
            return None
        if now[name] == id:
            raise
        return _read(repository, folder, name, now[name], read)


def _read(repository: Checkout, folder: str, name: str, id: str, read: Callable[[str, bytes], T]) -> T:
    return read(f"{folder.rstrip('/')}/{name}", repository.content(id, limit=LIMIT + 1))
