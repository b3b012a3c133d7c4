"""A forge's API on behalf of one channel: JSON, what its refusals mean, and no trust in what it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from relman.plugin import (
    AnswerLost,
    ChannelReader,
    ChannelWriter,
    HttpResponse,
    Malformed,
    NotFound,
    Passing,
    RelmanError,
    Unequipped,
)

SAID = 200
"""How much of a forge's own words is repeated, in characters."""
PAGE = 100
PAGES = 100
"""GitHub lists no more than the newest 10,000 releases."""
LISTING = 64 * 1024 * 1024
"""The most bytes of one page of releases: a hundred with texts of 125,000 characters, four bytes each, and more."""
IDEMPOTENT = 3
"""How often a request is tried that is the same however often it is carried out."""


class Overtaken(RelmanError):
    """Something is not as it was a moment ago: another run, or a person, was faster. To be looked at again."""


@dataclass(frozen=True, slots=True)
class Api:
    """Requests to ``base``. ``name`` is the forge's, ``channel`` the table's; ``secret`` is never repeated."""

    reader: ChannelReader
    base: str
    name: str
    channel: str
    headers: Mapping[str, str]
    secret: str = field(repr=False)
    permission: str = ""

    @property
    def writer(self) -> ChannelWriter:
        """What writes, where there is one. Raises `TypeError` while relman only looks."""
        if not hasattr(self.reader, "send"):
            raise TypeError(f"channel `{self.channel}` is only looked at")
        return self.reader  # type: ignore[return-value]  # protocols of methods cannot be told apart when it runs

    # ------------------------------------------------------------------------------------------------- reads

    def get(self, path: str) -> Any:
        """What is there as JSON; `None` where there is nothing."""
        return self._read(path, None)[0]

    def pages(self, path: str, size: str = "per_page", *, each: int = PAGE) -> Iterator[Mapping[str, Any]]:
        """Every object of a list that comes in pages. Raises `Malformed` for anything else than objects."""
        mark = "&" if "?" in path else "?"
        for page in range(1, PAGES + 1):
            found, headers = self._read(f"{path}{mark}{size}={each}&page={page}", LISTING)
            if found is None:
                raise self.missing(path)
            if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
                raise Malformed(f"{self.name} answers GET `{path}` with what is no list")
            yield from found
            if 'rel="next"' not in headers.get("link", ""):
                return

    def _read(self, path: str, limit: int | None) -> tuple[Any, Mapping[str, str]]:
        url = f"{self.base}{path}"
        more = {} if limit is None else {"limit": limit}
        answer = self.reader.get(url, headers=self.headers, **more)
        if answer.status == 404:
            return None, answer.headers
        if not 200 <= answer.status < 300:
            raise self._refused(answer, f"GET {_short(path)}", writes=False)
        try:
            return json.loads(answer.content), answer.headers
        except (ValueError, RecursionError) as error:
            cut = limit is not None and len(answer.content) >= limit
            why = f"it has more than {limit} bytes" if cut else "it is no JSON"
            raise Malformed(f"{self.name} answers GET `{_short(path)}` with what cannot be read: {why}") from error

    # ------------------------------------------------------------------------------------------------ writes

    def write(self, method: str, url: str, document: object = None, *, again: bool = False) -> Any:
        """The answer of one write of JSON. ``again``: it may be carried out twice, so a lost answer is no loss.

        Raises `NotFound` for 404, `AnswerLost` where it may have been carried out.
        """
        content = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if document is not None else {}
        for _ in range(IDEMPOTENT - 1 if again else 0):
            try:
                return self.send(method, url, content, headers)
            except AnswerLost:
                continue
        return self.send(method, url, content, headers)

    def send(self, method: str, url: str, content: bytes, headers: Mapping[str, str]) -> Any:
        """The same for any bytes; what is answered as JSON, `None` where nothing is."""
        where = url if url.startswith(("http://", "https://")) else f"{self.base}{url}"
        answer = self.writer.send(method, where, content=content, headers={**self.headers, **headers})
        if not 200 <= answer.status < 300:
            raise self._refused(answer, f"{method} {_short(url)}", writes=True)
        if answer.status == 204 or not answer.content.strip():
            return None
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            raise AnswerLost(
                f"{self.name} answers {method} `{_short(url)}` with {answer.status} and no JSON"
            ) from error

    # ---------------------------------------------------------------------------------------------- refusals

    def missing(self, what: str) -> NotFound:
        """What is not there, or not for this token: forges say 404 for both."""
        return NotFound(
            f"{self.name} has no `{_short(what)}`, or does not show it to the token of channel `{self.channel}`",
            hint=f"check `repository` in its table, and that its token may write there{self.permission}",
        )

    def _refused(self, answer: HttpResponse, what: str, *, writes: bool) -> RelmanError:
        said = self._said(answer)
        message = f"{self.name} answers {what} of channel `{self.channel}` with {answer.status}{said and f': {said}'}"
        status = answer.status
        if status == 429 or (status == 403 and self._too_often(answer, said)):
            return Passing(message, hint=_when(answer))
        if status == 401:
            return Unequipped(message, hint="the token is wrong, or is over")
        if status == 403:
            return Unequipped(message, hint=f"the token may not do that{self.permission}")
        if status == 404:
            return self.missing(what)
        if 300 <= status < 400:
            return RelmanError(message, hint="it has moved: put its new name into `repository`, or mend `api`")
        if status >= 500:
            return AnswerLost(message) if writes else Passing(message)
        if status == 409 or (status == 422 and "already" in said.lower()):
            return Overtaken(message)
        return RelmanError(message)

    def _too_often(self, answer: HttpResponse, said: str) -> bool:
        # Both limits of GitHub come as 403, too (docs: "Rate limits for the REST API").
        spent = answer.headers.get("x-ratelimit-remaining") == "0"
        return spent or "retry-after" in answer.headers or "rate limit" in said.lower()

    def _said(self, answer: HttpResponse) -> str:
        """The service's own words: one line, printable, without the token, and not all of them."""
        text = answer.content[: 16 * SAID].decode(errors="replace")
        try:
            document = json.loads(answer.content)
        except (ValueError, RecursionError):
            pass
        else:
            text = "; ".join(_words(document))
        shown = "".join(c if c.isprintable() else " " for c in text.replace(self.secret, "…"))
        shown = " ".join(shown.split())
        return shown if len(shown) <= SAID else f"{shown[: SAID - 1]}…"


def _words(document: object, depth: int = 4) -> Iterator[str]:
    """What an error says: GitHub's `message` and `errors`, GitLab's `message` or `error`, Gitea's `message`."""
    if isinstance(document, str):
        yield document
    elif depth and isinstance(document, Mapping):
        said = [document.get(key) for key in ("message", "error", "field", "code")]
        known = [" ".join(word for word in said if isinstance(word, str) and word)]
        yield from (word for word in known if word)
        for key in ("message", "errors", "error"):
            inner = document.get(key)
            if isinstance(inner, Mapping):
                yield from (f"{name}: {word}" for name, value in inner.items() for word in _words(value, depth - 1))
            elif isinstance(inner, Sequence) and not isinstance(inner, str):
                yield from _words(inner, depth - 1)
    elif depth and isinstance(document, Sequence):
        for one in document[:20]:
            yield from _words(one, depth - 1)


def _when(answer: HttpResponse) -> str:
    """When to come back, as far as the answer tells."""
    try:
        at = datetime.fromtimestamp(int(answer.headers.get("x-ratelimit-reset", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return "it is asked too often: wait a minute or more, then `relman resume`"
    return f"it is asked too often until {at:%Y-%m-%d %H:%M} UTC: `relman resume` after that"


def _short(url: str) -> str:
    """A path for messages: without what was asked for beside it, and not longer than a line."""
    path = url.partition("?")[0]
    return path if len(path) <= SAID else f"{path[: SAID - 1]}…"
