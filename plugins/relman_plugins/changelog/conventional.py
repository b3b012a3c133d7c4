"""What a commit's message says by convention: its type, whether it breaks something, which commits it takes back.

Sources: Conventional Commits 1.0.0 (items 1-5, 11-16), what `git revert` writes, the trailer `Co-authored-by` as
GitHub and GitLab read it, and their closing keywords and the marks that their merges leave. A message that follows no
convention is read as far as it goes; none is refused.
"""

from __future__ import annotations

import re

import msgspec

_HEADER = re.compile(
    r"(?P<type>[A-Za-z][A-Za-z0-9_-]{0,49})(?:\((?P<scope>[^()]*)\))?(?P<bang>!)?:[ \t]+\S",
)
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE(?::(?=\s|\Z)| #\S)", re.MULTILINE)
_SHA = r"[0-9a-fA-F]{7,64}"
_CO_AUTHOR = re.compile(
    r"^Co-authored-by:[ \t]*([^<>\n]{1,200}?)[ \t]*<([^<>\s]{1,254})>[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_PULL = re.compile(r"\(#([0-9]{1,9})\)$|^Merge pull request #([0-9]{1,9}) ")
_MERGE_REQUEST = re.compile(r"^See merge request \S*!([0-9]{1,9})$", re.MULTILINE)
_CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?[ \t]+#([0-9]{1,9})\b", re.IGNORECASE)
_MOST = 20
_REVERTS = re.compile(rf"\bThis reverts commits?\s+({_SHA}(?:(?:,?\s+and\s+|,\s*){_SHA})*)\b")


class Reading(msgspec.Struct, frozen=True):
    """``type`` (in lower case) and ``scope`` are `None` where the subject is of another shape.

    ``reverts`` are the commits that the message says it reverts, in lower case, as long or short as they stand there;
    ``co_authors`` names with addresses; ``pull_request`` the number of the pull or merge request that brought it;
    ``closes`` the numbers of the issues that it closes, each once.
    """

    type: str | None
    scope: str | None
    breaking: bool
    reverts: tuple[str, ...]
    co_authors: tuple[tuple[str, str], ...] = ()
    pull_request: int | None = None
    closes: tuple[int, ...] = ()


def read(subject: str, message: str) -> Reading:
    """Read a commit's ``subject`` and its whole ``message``, which begins with the subject."""
    header = _HEADER.match(subject)
    reverts = (sha for found in _REVERTS.findall(message) for sha in re.findall(_SHA, found))
    return Reading(
        type=header["type"].lower() if header else None,
        scope=((header["scope"] or "").strip() or None) if header else None,
        breaking=bool(header and header["bang"]) or _BREAKING.search(message) is not None,
        reverts=tuple(dict.fromkeys(sha.lower() for sha in reverts)),
        co_authors=co_authors(message),
        pull_request=_pull_request(subject, message),
        closes=tuple(dict.fromkeys(int(number) for number in _CLOSES.findall(message)))[:_MOST],
    )


def co_authors(message: str) -> tuple[tuple[str, str], ...]:
    """Names and addresses of those who are named by `Co-authored-by`, each once."""
    return tuple(dict.fromkeys((name, address) for name, address in _CO_AUTHOR.findall(message)))[:_MOST]


def _pull_request(subject: str, message: str) -> int | None:
    found = _PULL.search(subject.rstrip()) or _MERGE_REQUEST.search(message)
    return int(next(group for group in found.groups() if group)) if found else None
