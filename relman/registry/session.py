"""Speaking the distribution protocol to one registry: its address, its authentication, what its refusals mean."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from relman.addresses import DOCKER_HUB, registry_address
from relman.connections import joined
from relman.curl import shown
from relman.errors import AnswerLost, Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.http import BODY_LIMIT, Answer, Client, Content, Repeat, Stream
from relman.model.oci import Repository
from relman.redaction import redact
from relman.registry.auth import Authorizer, Scopes, granted_by
from relman.registry.credentials import CredentialStore

A = TypeVar("A")
log = logging.getLogger(__name__)

_REDIRECTS = 5
_UNCERTAIN = frozenset({500, 502, 504})
_PATIENCE = 3.0
"""Seconds for which a greeting may hold up what it is to make faster: three round trips take less."""
_LET_IN = 48
"""Tokens that are asked for ahead."""


def pull(*repositories: Repository) -> Scopes:
    """The scopes for reading."""
    return tuple(f"repository:{server_name(repository)}:pull" for repository in repositories)


def push(target: Repository, *sources: Repository) -> Scopes:
    """The scopes for writing to ``target`` and mounting from ``sources``."""
    return (f"repository:{server_name(target)}:pull,push", *pull(*sources))


def server_name(repository: Repository) -> str:
    """The name below `/v2/`: docker.io has its own word for names without an owner."""
    if repository.registry == DOCKER_HUB and "/" not in repository.name:
        return f"library/{repository.name}"
    return repository.name


def path(repository: Repository, rest: str) -> str:
    """The path of something in a repository, such as ``tags/list``."""
    return f"/v2/{server_name(repository)}/{rest}"


def _begin(work: Callable[[A], object], about: A) -> bool:
    try:
        threading.Thread(target=work, args=(about,), daemon=True).start()
    except RuntimeError:  # no more threads
        return False
    return True


class First:
    """Lets the first of many threads go alone, so that all others know what it learned, and need not learn it too.

    ``for_all``: where it got no answer, after as many tries as are made, those who waited do not try as often again.
    """

    def __init__(self, *, for_all: bool = False) -> None:
        self._lock = threading.Lock()
        self._gone = False
        self._for_all = for_all
        self._unanswered: Passing | None = None

    def skip(self) -> None:
        """Let nobody wait: what was to be learned is known."""
        self._gone = True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait while the first is under way; whether it succeeds or fails, nobody waits after that."""
        if not self._gone:
            with self._lock:
                if not self._gone:
                    try:
                        yield
                    except Passing as error:
                        self._unanswered = error if self._for_all else None
                        raise
                    finally:
                        self._gone = True
                    return
            if self._unanswered is not None:
                raise Passing(self._unanswered.message, hint=self._unanswered.hint) from self._unanswered
        yield


class Session:
    """One registry, for any number of threads."""

    def __init__(self, host: str, client: Client, store: CredentialStore, insecure: frozenset[str]) -> None:
        self.host = host
        self.client = client
        self.insecure = insecure
        self.base = registry_address(host, insecure)
        self.auth = Authorizer(host, client, store, insecure)
        self.has_referrers = True
        self.referrers_known = False
        self.has_ranges = True
        self.first_referrers = First()
        self._introduction = First(for_all=True)
        self._greeted = threading.Event()
        self._greeted.set()

    def greet(self, repositories: Collection[Repository]) -> None:
        """Hear how the registry wants to be asked, and be let in to read ``repositories``, while nobody waits.

        It says so only where it refuses (`GET /v2/`, OCI Distribution 1.1, end-1; skopeo and docker begin so, too).
        What cannot be had here is asked for again by whoever needs it.
        """
        self._greeted.clear()
        if not _begin(self._hear, repositories):
            self._greeted.set()

    def _hear(self, repositories: Collection[Repository]) -> None:
        try:
            answer = self.client.request("GET", f"{self.base}/v2/", once=True)
            if not self.auth.greeted(answer):
                return
            self._introduction.skip()
        except (RelmanError, OSError) as error:  # whoever asks next will meet the same, and say so
            log.debug("greeted `%s` in vain: %s", self.host, error)
            return
        finally:
            self._greeted.set()
        for repository in islice(repositories, _LET_IN):
            _begin(self._be_let_in, pull(repository))

    def _be_let_in(self, scopes: Scopes) -> None:
        try:
            self.auth.header(scopes)
        except (RelmanError, OSError) as error:  # the same
            log.debug("asked `%s` for a token in vain: %s", self.host, error)

    def ask(
        self,
        method: str,
        target: str,
        scopes: Scopes,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content = b"",
        limit: int = BODY_LIMIT,
        repeat: Repeat | None = None,
    ) -> Answer:
        """Ask for ``target``, a path or an address that the registry gave. 401 is settled here, once.

        Raises as `Client.request` does, and `Unequipped` where the registry lets nobody in.
        """
        url = urljoin(self.base, target)
        answer = None
        for _ in range(2):
            with self._introduction.alone():
                authorization = self._authorization(url, scopes)
                answer = self.client.request(
                    method,
                    url,
                    headers=_with(headers, authorization),
                    content=content,
                    limit=limit,
                    repeat=repeat,
                    redirects=_REDIRECTS if method in ("GET", "HEAD") else 0,
                    plain=self.insecure,
                )
                if answer.status == 401 and self._is_own(answer.url):
                    self.auth.challenged(answer, scopes, authorization)
            if answer.status != 401 or not self._is_own(answer.url):
                return answer
        raise self.auth.refused("refuses the credentials (401)", scopes)

    @contextmanager
    def stream(self, target: str, scopes: Scopes, headers: Mapping[str, str]) -> Iterator[Stream]:
        """The same for a body in pieces."""
        url = urljoin(self.base, target)
        for _ in range(2):
            authorization = self._authorization(url, scopes)
            with self.client.stream(
                url, headers=_with(headers, authorization), redirects=_REDIRECTS, plain=self.insecure
            ) as stream:
                if stream.status != 401 or not self._is_own(stream.url):
                    yield stream
                    return
                self.auth.challenged(Answer("GET", stream.url, 401, stream.headers, b""), scopes, authorization)
        raise self.auth.refused("refuses the credentials (401)", scopes)

    def require_push(self, repository: Repository) -> None:
        """Raise `Unequipped` where there is no login to push with, or its token says that it cannot."""
        scopes = push(repository)
        granted = granted_by(self.auth.header(scopes))
        name = server_name(repository)
        if granted is not None and "push" not in granted.get(name, ()) and "*" not in granted.get(name, ()):
            raise self.auth.refused("gives a token that cannot push", scopes)

    def upload_address(self, answer: Answer) -> str:
        """Where an upload goes on, from its Location, which may be relative."""
        location = answer.headers.get("location")
        if not location:
            raise Malformed(f"`{self.host}` began an upload without saying where it goes on")
        url = self._joined(answer.url, location)
        if urlsplit(url).scheme == "http" and self.base.startswith("https:"):
            raise Malformed(f"`{self.host}` wants an upload sent to `{shown(url)}`, without TLS")
        return url

    def next_page(self, answer: Answer) -> str | None:
        """The address in `Link: <…>; rel="next"`, which must be on the same host; `None` on the last page."""
        for link in answer.headers.get("link", "").split(","):
            address, semicolon, parameters = link.strip().partition(";")
            relations = [p.strip().replace('"', "").lower() for p in parameters.split(";")]
            if not semicolon or "rel=next" not in relations or not address.startswith("<"):
                continue
            url = self._joined(answer.url, address.strip().strip("<>"))
            if not self._is_own(url):
                raise Malformed(f"`{self.host}` continues its list at `{shown(url)}`, on another host")
            return url
        return None

    def failure(self, answer: Answer, what: str) -> RelmanError:
        """The error for an answer that is none of those that were hoped for. ``what`` names what was asked for."""
        said = _said(answer)
        if answer.status in (401, 403):
            return Unequipped(
                f"`{self.host}` refuses {what} ({answer.status}){said}",
                hint=f"log in with `skopeo login {self.host}` as somebody who may",
            )
        if answer.status == 404:
            return NotFound(f"`{self.host}` does not have {what}{said}")
        if answer.doubtful or (answer.method not in ("GET", "HEAD") and answer.status in _UNCERTAIN):
            return AnswerLost(f"`{self.host}` answered {answer.status} to {what}: it may have been done{said}")
        if answer.status in (408, 429, 500, 502, 503, 504):
            return Passing(f"`{self.host}` answered {answer.status} to {what}, time after time{said}")
        return RelmanError(f"`{self.host}` answered {answer.status} to {what}{said}")

    def _authorization(self, url: str, scopes: Scopes) -> str | None:
        if not self._is_own(url):
            return None
        if not self._greeted.wait(_PATIENCE):
            self._greeted.set()  # nobody else waits for it either
        return self.auth.header(scopes)

    def _joined(self, base: str, address: str) -> str:
        url = joined(base, address, f"`{self.host}` points elsewhere: ")
        parts, own = urlsplit(url), urlsplit(self.base)
        if parts.scheme == "http" and own.scheme == "https" and parts.hostname == own.hostname:
            # Registries behind a proxy that ends TLS often do not know that they are spoken to by it.
            return urlunsplit(("https", own.netloc, parts.path, parts.query, ""))
        return url

    def _is_own(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self.base)[:2]


def _with(headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
    given = dict(headers or {})
    if authorization:
        given["Authorization"] = authorization
    return given


def _said(answer: Answer) -> str:
    """The registry's own words (distribution spec, "Error Codes"), made harmless for a terminal."""
    try:
        errors = json.loads(answer.content)["errors"]
        words = "; ".join(f"{error.get('code', '')} {error.get('message', '')}".strip() for error in errors[:3])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return ""
    clean = "".join(character if character.isprintable() else " " for character in words)[:300].strip()
    return f": {redact(clean)}" if clean else ""
