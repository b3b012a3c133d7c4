"""Being let in: challenges (RFC 9110, 11.6.1) and tokens (Docker Registry v2 token authentication).

A login or a token goes to the registry that it is for and to the token server that this registry names, over TLS (save
for loopback and hosts named insecure); never to where a redirect leads.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from relman.addresses import is_plain
from relman.connections import web_address
from relman.curl import shown
from relman.errors import Malformed, Passing, RelmanError, Unequipped
from relman.http import Answer, Client, Repeat
from relman.redaction import register
from relman.registry.credentials import Credentials, CredentialStore

Scopes = tuple[str, ...]
log = logging.getLogger(__name__)

_CHALLENGE_LIMIT = 8192
_DEFAULT_SECONDS = 60.0
_MARGIN = 10.0
_PAIR = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)')
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?=\s|,|$)(?!\s*=)")


class Challenge(msgspec.Struct, frozen=True):
    """How a server wants to be asked: ``scheme`` in lower case, ``parameters`` by their lower-case names."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Every challenge in the value of WWW-Authenticate, several headers joined by commas. Nonsense ends the list."""
    text, found, position = header[:_CHALLENGE_LIMIT], [], 0
    while match := _SCHEME.match(text, position):
        position = match.end()
        parameters: dict[str, str] = {}
        while pair := _PAIR.match(text, position):
            name, value = pair[1].lower(), pair[2]
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            parameters.setdefault(name, value)
            position = pair.end()
        found.append(Challenge(match[1].lower(), parameters))
    return tuple(found)


def _challenge(answer: Answer) -> Challenge | None:
    """The way to be let in that is known here, of those that a refusal names."""
    challenges = {c.scheme: c for c in reversed(parse_challenges(answer.headers.get("www-authenticate", "")))}
    return challenges.get("bearer") or challenges.get("basic")


class _Token(msgspec.Struct, frozen=True):
    value: str
    until: float


class _Failed(NamedTuple):
    error: RelmanError
    once: bool


def granted_by(authorization: str | None) -> Mapping[str, tuple[str, ...]] | None:
    """What a token allows, by repository, where it says so; `None` where it does not.

    Source: distribution, "Token Authentication Implementation", the claim `access` of a JSON Web Token. It is not
    verified: whoever reads it asked for it, and the registry decides.
    """
    parts = (authorization or "").removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        access = claims["access"]
        return {entry["name"]: tuple(map(str, entry["actions"])) for entry in access if entry["type"] == "repository"}
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def host_and_port(netloc: str) -> str:
    """A network location without user and password."""
    return netloc.rpartition("@")[2]


class Authorizer:
    """What to show one registry. For any number of threads; a token is fetched once for all that need it.

    ``host`` is the name in references, by which logins are found.
    """

    def __init__(
        self,
        host: str,
        client: Client,
        store: CredentialStore,
        insecure: frozenset[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._client = client
        self._store = store
        self._insecure = insecure
        self._clock = clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._heard: Challenge | None = None
        self._wanted: dict[Scopes, Scopes] = {}
        self._tokens: dict[Scopes, _Token] = {}
        self._fetching: dict[Scopes, threading.Lock] = {}
        self._failed: dict[Scopes, _Failed] = {}

    def header(self, scopes: Scopes) -> str | None:
        """The value of Authorization for these scopes; `None` as long as the registry has not asked for any.

        Raises `Unequipped` where it asks and there is no login, or the token server refuses it.
        """
        challenge = self._challenge
        if challenge is None:
            return self._as_heard(scopes)
        if challenge.scheme == "basic":
            found = self._credentials(scopes)
            if found is None or not found.username:
                raise self.refused("wants a login, and there is none", scopes)
            return found.basic
        return self._bearer(challenge, scopes)

    def _as_heard(self, scopes: Scopes) -> str | None:
        """The token that `GET /v2/` asked for. Where none is to be had, the registry may still answer without."""
        heard = self._heard
        if heard is None:
            return None
        try:
            token = self._bearer(heard, scopes, once=True)
        except RelmanError as error:
            log.debug("no token for `%s` yet: %s", self._host, error.message)
            self._heard = None
            return None
        with self._lock:
            self._challenge = self._challenge or heard
        return token

    def _bearer(self, challenge: Challenge, scopes: Scopes, *, once: bool = False) -> str:
        with self._lock:
            gate = self._fetching.setdefault(scopes, threading.Lock())
            known = self._failed.get(scopes)
        with gate:
            token = self._tokens.get(scopes)
            if token is None or token.until <= self._clock():
                failed = self._failed.get(scopes)
                if failed is not None and failed is not known and failed.once in (once, False):
                    error = failed.error  # while this one waited, and after no fewer tries
                    raise type(error)(error.message, hint=error.hint) from error
                try:
                    token = self._fetch(challenge, scopes, once=once)
                except RelmanError as error:
                    self._failed[scopes] = _Failed(error, once)
                    raise
                self._tokens[scopes] = token
        return f"Bearer {token.value}"

    def challenged(self, answer: Answer, scopes: Scopes, used: str | None) -> None:
        """Learn from a 401: how to ask, and that ``used`` is no good any more. Raises `Unequipped` for unknown ways."""
        challenge = _challenge(answer)
        if challenge is None:
            raise self.refused("refuses, and does not say how to log in", scopes)
        asked = tuple(challenge.parameters.get("scope", "").split())
        with self._lock:
            self._challenge = challenge
            if asked:
                self._wanted[scopes] = tuple(dict.fromkeys((*scopes, *asked)))
            token = self._tokens.get(scopes)
            if token is not None and used == f"Bearer {token.value}":
                del self._tokens[scopes]

    def greeted(self, answer: Answer) -> bool:
        """Learn from what `GET /v2/` was answered; whether tokens are wanted. Its scope, if any, is only an example.

        Of logins nothing is learned: many a registry that takes them at its door lets anybody read.
        """
        challenge = _challenge(answer) if answer.status == 401 else None
        self._heard = challenge if challenge and challenge.scheme == "bearer" else None
        return self._heard is not None

    def refused(self, why: str, scopes: Scopes) -> Unequipped:
        """The error for a registry that does not let us in."""
        found = self._credentials(scopes)
        who = f"as `{found.username or 'token'}` (from `{found.origin}`)" if found else "without a login"
        name = _repository(scopes)
        place = f"{self._host}/{name}" if name else self._host
        return Unequipped(
            f"`{self._host}` {why}: asked for `{place}` {who}",
            hint=f"log in with `skopeo login {self._host}`, and check that the name is right",
        )

    def _credentials(self, scopes: Scopes) -> Credentials | None:
        return self._store.find(self._host, _repository(scopes))

    def _fetch(self, challenge: Challenge, scopes: Scopes, *, once: bool) -> _Token:
        realm = challenge.parameters.get("realm", "")
        self._check_realm(realm)
        fields = [("service", service)] if (service := challenge.parameters.get("service")) else []
        fields += [("scope", scope) for scope in self._wanted.get(scopes, scopes)]
        found = self._credentials(scopes)
        if found is not None and found.identity_token:
            answer = self._trade(realm, fields, found.identity_token, once=once)
        else:
            parts = urlsplit(realm)
            query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *fields])
            url = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
            headers = {"Authorization": found.basic} if found is not None and found.username else {}
            answer = self._client.request("GET", url, headers=headers, once=once)
        if answer.status in (400, 401, 403, 404):
            raise self.refused(f"gives no token ({answer.status})", scopes)
        if answer.status != 200:
            raise Passing(f"`{host_and_port(urlsplit(realm).netloc)}` answered {answer.status} when asked for a token")
        return self._read(answer)

    def _trade(self, realm: str, fields: list[tuple[str, str]], identity_token: str, *, once: bool) -> Answer:
        form = [(name, value) for name, value in fields if name != "scope"]
        form.append(("scope", " ".join(value for name, value in fields if name == "scope")))
        form += [("grant_type", "refresh_token"), ("client_id", "relman"), ("refresh_token", identity_token)]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        # A token may be asked for twice; nothing is changed by it.
        return self._client.request(
            "POST", realm, headers=headers, content=urlencode(form).encode(), repeat=Repeat.ALWAYS, once=once
        )

    def _check_realm(self, realm: str) -> None:
        parts = web_address(realm, f"`{self._host}` names its token server: ")
        netloc = host_and_port(parts.netloc)
        allowed = is_plain(self._host, self._insecure) and is_plain(netloc, self._insecure)
        if parts.scheme == "http" and not allowed:
            raise Malformed(
                f"`{self._host}` names `{shown(realm)}` as its token server: a login is not sent without TLS",
                hint=f"where that is meant, add `{self._host}` and `{netloc}` to `insecure` under `[registry]`",
            )

    def _read(self, answer: Answer) -> _Token:
        where = f"the token server `{host_and_port(urlsplit(answer.url).netloc)}`"
        try:
            value = json.loads(answer.content)
        except (ValueError, RecursionError):
            raise Malformed(f"{where} did not answer with JSON") from None
        token = (value.get("token") or value.get("access_token")) if isinstance(value, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Malformed(f"{where} answered without a token")
        register(token)
        seconds = value.get("expires_in")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
            seconds = _DEFAULT_SECONDS
        return _Token(token, self._clock() + max(seconds - _MARGIN, seconds / 2))


def _repository(scopes: Scopes) -> str:
    first = next((scope for scope in scopes if scope.startswith("repository:")), "")
    return first.split(":")[1] if first else ""
