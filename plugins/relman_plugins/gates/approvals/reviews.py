"""Approvals as reviews of a pull request on a forge, whose text has the release's marker.

A text can be edited after it was approved, and no forge tells readers of its API. So an approval also has to name the
release's id itself, or be of a branch whose name has it, which nobody can change.

Sources: GitHub REST API, "List reviews for a pull request"; Forgejo and Gitea, `PullReview`; GitLab, "Merge request
approvals" and "List merge request diff versions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from relman.model.gates import State
from relman.model.release import release_marker
from relman_plugins.gates.approvals.people import Claim, Said
from relman_plugins.gates.asking.answers import field_of, list_of, moment_of, text_of, unreadable
from relman_plugins.gates.asking.forge import PER_PAGE, Forge, Kind
from relman_plugins.gates.verdict import Closed, Verdict, plain

RECENT = 3
"""Pages of pull requests that are looked through, the ones that changed last first."""

_MARKER = re.compile(r"<!-- relman:release:([0-9a-f]+) -->")
_UNNAMED = "does not name the release, and the branch neither: the text may have changed since"

Trusted = Callable[[str], bool]
"""Whether a pull request of that author may speak for a release: else anybody could put the marker into theirs."""


def claims_from(forge: Forge, release: str, trusted: Trusted, *, unbound: bool) -> Iterator[Claim]:
    """What was said of ``release`` in reviews: the last word of each person on each of its pull requests.

    ``unbound``: the pull request's text is enough to say what an approval is about.
    """
    for pull in _pulls(forge, release):
        text = text_of(pull.get(_body(forge)))
        if release_marker(release) not in text:
            continue
        number = _number(forge, pull)
        author = _login(pull, "author" if forge.kind is Kind.GITLAB else "user")
        where = f"{'!' if forge.kind is Kind.GITLAB else '#'}{number}"
        if not trusted(author):
            yield Claim((author,), where, fault="opened the pull request, and is nobody who may")
            continue
        if set(_MARKER.findall(text)) != {release}:
            yield Claim((author,), where, fault="speaks for several releases")
            continue
        branch = text_of(pull.get("source_branch") or field_of(pull, "head.ref"))
        bound = release if not unbound and release not in branch else None
        for claim in _said(forge, pull, number, where, bound):
            own = claim.fault is None and any(name.casefold() == author.casefold() for name in claim.names)
            yield Claim(claim.names, where, claim.said, fault="opened the pull request") if own else claim


def _pulls(forge: Forge, release: str) -> Iterable[dict[str, Any]]:
    if forge.kind is Kind.GITLAB:
        words = f"relman:release:{release}"
        query: dict[str, object] = {"search": words, "in": "description", "state": "all", "scope": "all"}
        return _pages(forge, "merge_requests", query, "per_page")
    newest = {"sort": "updated", "direction": "desc"} if forge.kind is Kind.GITHUB else {"sort": "recentupdate"}
    size = "per_page" if forge.kind is Kind.GITHUB else "limit"
    return _pages(forge, "pulls", {"state": "all", **newest}, size)


def _pages(forge: Forge, path: str, query: dict[str, object], size: str) -> Iterator[dict[str, Any]]:
    for page in range(1, RECENT + 1):
        got = forge.get(path, **{**query, size: PER_PAGE, "page": page})
        if got is None:
            reason = f"`{forge.repository}` is not there, or shows no pull requests"
            raise Closed(Verdict(State.ABSENT, reason, "unknown-repository", "a `token` that may read them"))
        items = list_of(got[0], "the list of pull requests")
        for one in items:
            if not isinstance(one, dict):
                raise unreadable("a pull request", "it is not an object")
            yield one
        if not items:
            return


def _said(forge: Forge, pull: dict[str, Any], number: int, where: str, bound: str | None) -> Iterator[Claim]:
    """``bound`` is the id that a review has to name by itself."""
    if forge.kind is Kind.GITLAB:
        yield from _gitlab(forge, number, where, bound)
        return
    reviews = forge.items(f"pulls/{number}/reviews")
    head = text_of(field_of(pull, "head.sha"))
    last: dict[str, tuple[tuple[str, int], Claim]] = {}
    for review in reviews.found if reviews else ():
        claim = _review(review, head, where, bound)
        if claim is None:
            continue
        who = claim.names[0].casefold()
        order = (text_of(review.get("submitted_at")), _id(review))
        if who not in last or last[who][0] <= order:
            last[who] = (order, claim)
    yield from (claim for _, claim in last.values())


def _review(review: dict[str, Any], head: str, where: str, bound: str | None) -> Claim | None:
    """What a review says of the pull request as it is now; `None` for remarks, which say neither yes nor no."""
    state = text_of(review.get("state")).upper()
    who = (_login(review, "user"),)
    if state == "DISMISSED" or review.get("dismissed") is True:
        return Claim(who, where, fault="had the review dismissed")
    if state in ("CHANGES_REQUESTED", "REQUEST_CHANGES"):
        return Claim(who, where, Said.NO)
    if state != "APPROVED":
        return None
    if review.get("stale") is True or not head or text_of(review.get("commit_id")) != head:
        return Claim(who, where, fault="approved before the pull request changed")
    if review.get("official") is False:
        return Claim(who, where, fault="may not approve there, says the forge")
    if bound and bound not in text_of(review.get("body")):
        return Claim(who, where, fault=_UNNAMED)
    return Claim(who, where)


def _gitlab(forge: Forge, number: int, where: str, bound: str | None) -> Iterator[Claim]:
    """Who approves now. GitLab may keep approvals when the branch changes: those from before are stale."""
    got = forge.get(f"merge_requests/{number}/approvals")
    versions = forge.items(f"merge_requests/{number}/versions")
    if got is None or versions is None or not versions.found:
        raise Closed(Verdict(State.ERROR, f"{where} tells nothing of its approvals", "unreadable"))
    moments = [moment_of(one.get("created_at")) for one in versions.found]
    changed = max((one for one in moments if one), default=None)
    for one in list_of(field_of(got[0], "approved_by"), "the approvals"):
        who = (_login(one, "user"),)
        at = moment_of(field_of(one, "approved_at"))
        fresh = len(moments) == 1 or (at is not None and changed is not None and at >= changed)
        fault = _UNNAMED if bound else None
        yield Claim(who, where, fault=fault if fresh else "approved before the merge request changed")


def _body(forge: Forge) -> str:
    return "description" if forge.kind is Kind.GITLAB else "body"


def _number(forge: Forge, pull: dict[str, Any]) -> int:
    number = pull.get("iid" if forge.kind is Kind.GITLAB else "number")
    if not isinstance(number, int) or isinstance(number, bool):
        raise unreadable("a pull request", f"its number is `{plain(number, 40)}`")
    return number


def _id(review: dict[str, Any]) -> int:
    number = review.get("id")
    return number if isinstance(number, int) else 0


def _login(entry: object, key: str) -> str:
    login = field_of(entry, f"{key}.username") or field_of(entry, f"{key}.login")
    return login if isinstance(login, str) and login else "somebody who is gone"
