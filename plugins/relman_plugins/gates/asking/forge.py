"""Which forge a gate asks, and its lists, page by page to the end.

Sources: GitHub REST API (2022-11-28), GitLab REST API v4, Forgejo's and Gitea's API v1; for limits, GitHub's "Rate
limits for the REST API" and GitLab's "Rate limit headers".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from relman.model.gates import State
from relman.plugin import ConfigError, Duration, GatesContext, HttpResponse, Secret, Table, Web
from relman_plugins.gates.asking.answers import json_of, list_of, object_of, unreadable
from relman_plugins.gates.verdict import Closed, Verdict, plain

LIMIT = 8 * 1024 * 1024
"""Bytes of one answer: a check run may have a summary of 64 KiB."""
PAGES = 20
"""Pages of one list that are read. What has more is closed rather than cut."""
PER_PAGE = 50
"""Items of a page: what Forgejo allows at most by itself."""


class Kind(StrEnum):
    """Which API a forge has."""

    GITHUB = "github"
    GITLAB = "gitlab"
    FORGEJO = "forgejo"


class ForgeTable(Table):
    """The keys that say which forge to ask. By itself that is where the project's repository lies."""

    forge: Literal["github", "gitlab", "forgejo", "gitea"] | None = None
    repository: str | None = None
    api: str | None = None
    token: Secret | None = None
    timeout: Duration = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Forge:
    """A repository's API: ``api`` without a slash at its end, ``repository`` as `OWNER/NAME`."""

    kind: Kind
    api: str
    repository: str
    web: Web
    now: datetime
    timeout: timedelta
    headers: dict[str, str] = field(repr=False)

    @property
    def base(self) -> str:
        """Below which the repository's own resources are."""
        if self.kind is Kind.GITLAB:
            return f"{self.api}/projects/{quote(self.repository, safe='')}"
        return f"{self.api}/repos/{quote(self.repository)}"

    def get(self, path: str, **query: object) -> tuple[Any, HttpResponse] | None:
        """The JSON at ``path`` below the repository; `None` where there is nothing. Raises `Closed` and `Passing`."""
        url = f"{self.base}/{path}" + (f"?{urlencode(query)}" if query else "")
        response = self.web.get(url, headers=self.headers, timeout=self.timeout, limit=LIMIT)
        host = urlsplit(self.api).netloc
        if response.status in (404, 410, 422):
            return None
        if response.status != 200:
            raise Closed(_refused(response, host, self.now))
        return json_of(response.content, f"what `{host}` answered", limit=LIMIT), response

    def items(self, path: str, key: str | None = None, **query: object) -> Items | None:
        """A list, whole, below ``key`` of each page where one is named; `None` where there is nothing.

        Raises `Closed` where it does not come to an end, or comes to it before the number of items that was told.
        """
        found: list[Any] = []
        first: Any = None
        size = "limit" if self.kind is Kind.FORGEJO else "per_page"
        for page in range(1, PAGES + 1):
            got = self.get(path, **{**query, size: PER_PAGE, "page": page})
            if got is None:
                if page == 1:
                    return None
                raise Closed(_cut(len(found), "it was there, and then it was not"))
            document, response = got
            first = document if first is None else first
            held = document if key is None else object_of(document, "a page").get(key)
            if held is None and key and key in document and self.kind is Kind.FORGEJO:
                held = []  # an empty list is `null` there
            items = [object_of(item, "an entry") for item in list_of(held, "a list")]
            found += items
            total = _total(document, response)
            # Forgejo may hand out fewer than it was asked for, so that a short page is not the last one.
            short = total is None and len(items) < PER_PAGE and self.kind is not Kind.FORGEJO
            enough = total is not None and len(found) >= total
            if not items or ((short or enough) and not _has_next(response)):
                break
        else:
            raise Closed(_cut(len(found), f"there are more than {PAGES} pages"))
        if total is not None and len(found) < total:
            raise Closed(_cut(len(found), f"there should be {total}"))
        return Items(found, first)


class Items(msgspec.Struct, frozen=True):
    """What a list has, and its first page as it came."""

    found: list[Any]
    first: Any


def forge_of(context: GatesContext, table: ForgeTable) -> Forge:
    """The forge that ``table`` means. Raises `ConfigError` where neither it nor the project's address says."""
    address = urlsplit(context.repository_url or "")
    host = address.hostname or ""
    kind = _kind(table.forge, host)
    repository = table.repository or address.path.strip("/").removesuffix(".git")
    steps = r"[^/\s?#]+"
    if not re.fullmatch(rf"{steps}(/{steps})+", repository) or ".." in repository.split("/"):
        raise ConfigError(f"`{plain(repository)}` is no repository of a forge", hint='set `repository = "OWNER/NAME"`')
    origin = f"{address.scheme}://{address.netloc}" if host else ""
    api = (table.api or _api(kind, host, origin)).rstrip("/")
    if not api:
        raise ConfigError("nothing says which forge to ask", hint="set `repository_url` in `[project]`, or `api`")
    if context.web is None:
        raise ConfigError("there is nothing to ask with")
    headers = {"Accept": "application/vnd.github+json" if kind is Kind.GITHUB else "application/json"}
    if kind is Kind.GITHUB:
        headers["X-GitHub-Api-Version"] = "2022-11-28"
    if table.token is not None:
        _require_safe(api)
        word = "token" if kind is Kind.FORGEJO else "Bearer"
        headers["Authorization"] = f"{word} {context.web.reveal(table.token)}"
    return Forge(kind, api, repository, context.web, context.now, table.timeout, headers)


def _kind(named: str | None, host: str) -> Kind:
    if named:
        return Kind.FORGEJO if named == "gitea" else Kind(named)
    labels = host.lower().split(".")
    for kind, names in (
        (Kind.GITHUB, {"github"}),
        (Kind.GITLAB, {"gitlab"}),
        (Kind.FORGEJO, {"codeberg", "forgejo", "gitea"}),
    ):
        if names & set(labels):
            return kind
    raise ConfigError(
        f"nothing says what kind of forge `{host or 'the project'}` is",
        hint='set `forge` to "github", "gitlab" or "forgejo"',
    )


def _api(kind: Kind, host: str, origin: str) -> str:
    if not origin:
        return {Kind.GITHUB: "https://api.github.com", Kind.GITLAB: "https://gitlab.com/api/v4"}.get(kind, "")
    if kind is Kind.GITHUB:
        return "https://api.github.com" if host in ("github.com", "www.github.com") else f"{origin}/api/v3"
    return f"{origin}/api/v4" if kind is Kind.GITLAB else f"{origin}/api/v1"


def _require_safe(api: str) -> None:
    """A token is sent over TLS, or stays on this machine."""
    parts = urlsplit(api)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError(f"`{plain(api)}` would get the token without TLS", hint="write `https://`")


def _refused(response: HttpResponse, host: str, now: datetime) -> Verdict:
    headers = response.headers
    exhausted = "0" in (headers.get("x-ratelimit-remaining"), headers.get("ratelimit-remaining"))
    if response.status == 429 or (response.status == 403 and (exhausted or "retry-after" in headers)):
        at = _reset(headers.get("retry-after"), headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset"), now)
        reason = f"`{host}` was asked too often" + (f", and answers again at {at:%Y-%m-%d %H:%M:%S}" if at else "")
        return Verdict(State.ERROR, reason, "rate-limited", "a `token`, which may ask more often", at)
    if response.status in (401, 403):
        reason = f"`{host}` refuses to answer ({response.status})"
        return Verdict(State.ERROR, reason, "refused", "a `token` that may read there")
    return Verdict(State.ERROR, f"`{host}` answered {response.status}", "unreachable")


def _reset(after: str | None, reset: str | None, now: datetime) -> datetime | None:
    """When it answers again, by `Retry-After` in seconds, else by a time in seconds since 1970."""
    if after and re.fullmatch(r"[0-9]{1,7}", after):
        return now + timedelta(seconds=int(after))
    if reset and re.fullmatch(r"[0-9]{9,11}", reset):
        return datetime.fromtimestamp(int(reset), UTC)
    return None


def _total(document: object, response: HttpResponse) -> int | None:
    told = document.get("total_count") if isinstance(document, dict) else None
    if told is None:
        header = response.headers.get("x-total-count") or response.headers.get("x-total") or ""
        told = int(header) if re.fullmatch(r"[0-9]{1,9}", header) else None
    if told is None or (isinstance(told, int) and not isinstance(told, bool)):
        return told
    raise unreadable("the number of items", "it is no number")


def _has_next(response: HttpResponse) -> bool:
    """Whether the answer says that there is another page (RFC 8288). Where that is, we know ourselves."""
    return re.search(r'rel="?[^",;]*\bnext\b', response.headers.get("link") or "") is not None


def _cut(count: int, why: str) -> Verdict:
    return Verdict(State.ERROR, f"the list is not whole: {count} came, and {why}", "cut")
