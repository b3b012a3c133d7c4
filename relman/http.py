"""The one way to speak HTTP: pooled, bounded, repeated only where that is safe, and logged as a command to paste.

Any status is an answer here; what a 404 or a 503 means is for the caller to say. What raises is the want of an answer.
"""

from __future__ import annotations

import functools
import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Self
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from relman import __version__
from relman.connections import Broken, explain, redirected, web_address
from relman.curl import as_curl, shown
from relman.deadline import Deadline, Told
from relman.errors import Malformed, RelmanError
from relman.opening import Opening
from relman.pace import Pace, retry_after
from relman.pools import Pools, Response
from relman.redaction import redact

log = logging.getLogger(__name__)

USER_AGENT = f"relman/{__version__} (+https://github.com/relman/relman)"
BODY_LIMIT = 1024 * 1024
"""How much of a body is read where the caller does not say, in bytes."""

Content = bytes | Callable[[], Iterator[bytes]]
"""A request's body: bytes, or how to begin it anew for each try (its Content-Length is then the caller's to set)."""

_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_UNCERTAIN = frozenset({500, 502, 504})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_MORE = 0.5
"""Seconds with which nothing is tried once more."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Repeat(Enum):
    """When a request is sent again."""

    ALWAYS = "always"
    """It may be carried out twice: busy answers, resets and cut bodies are all tried again."""
    ANSWERED = "answered"
    """After a busy answer, but not after none: the first one may have taken effect."""
    REFUSED = "refused"
    """Only where it was surely not carried out: no connection, 429, 403 or 503 with Retry-After."""


class Retry(msgspec.Struct, frozen=True):
    """How often and how patiently a request is repeated; times in seconds.

    ``pause_max`` caps what a server may ask for by Retry-After. A host without a connection is given up sooner.
    """

    attempts: int = 6
    connections: int = 3
    wait_initial: float = 0.2
    wait_max: float = 5.0
    wait_jitter: float = 0.2
    pause_max: float = 60.0


class Answer(msgspec.Struct, frozen=True):
    """What a server answered. ``headers`` are found in any case; ``content`` is what was read of the body.

    ``doubtful``: an earlier try of this write may have been carried out, whatever this answer says.
    """

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    doubtful: bool = False


class Stream(msgspec.Struct, frozen=True):
    """An answer whose body is still coming: ``pieces`` raises `Passing` where it is cut short."""

    url: str
    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class _Call(msgspec.Struct):
    method: str
    url: str
    headers: Mapping[str, str]
    content: Content
    repeat: Repeat
    timeout: float
    redirects: int
    plain: frozenset[str]
    deadline: Deadline | None = None
    told: Told | None = None
    once: bool = False
    tries: int = 0
    doubtful: bool = False

    def __post_init__(self) -> None:
        web_address(self.url)

    @property
    def writes(self) -> bool:
        return self.method not in _SAFE

    def explain(self, broken: Broken) -> RelmanError:
        return explain(broken, self.method, self.url, writes=self.writes, doubtful=self.doubtful)


class _Busy(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Client:
    """A pooled client for any number of threads and hosts.

    ``timeout`` bounds each wait for the network and ``total`` one whole try with its body, in seconds. ``clock`` and
    ``sleep`` are those of `time`. Proxies come from the environment, save for loopback.
    """

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        total: float = 600.0,
        retry: Retry | None = None,
        verify: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.timeout = timeout
        self.total = total
        self.retry = retry or Retry()
        self._clock = clock
        self._pace = Pace(clock, sleep)
        self._pools = Pools(verify, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._pools.close()

    def open_ahead(self, url: str, connections: int, begun: Sequence[Opening] = ()) -> None:
        """Begin to open connections to where ``url`` leads, so many with those that there were, and do not wait.

        Those ``begun`` are of these.
        """
        self._pools.open_ahead(url, connections, begun)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content = b"",
        limit: int = BODY_LIMIT,
        cut: bool = False,
        repeat: Repeat | None = None,
        timeout: float | None = None,
        redirects: int = 0,
        plain: frozenset[str] = frozenset(),
        deadline: Deadline | None = None,
        once: bool = False,
    ) -> Answer:
        """The whole answer. Unless it is asked ``once``, ``repeat`` says when again (by default: reads always, writes
        where refused).

        A body over ``limit`` bytes is `Malformed`, or with ``cut`` cut there. Up to ``redirects`` are followed, never
        from TLS to plain HTTP (save to the hosts ``plain``), and credentials stay with the host they were meant for.
        ``deadline`` bounds all of that together, on a connection of its own.
        Raises `Passing` where no answer can be had, `AnswerLost` where a write may have been carried out, `Untrusted`.
        """
        default = Repeat.ALWAYS if method in _SAFE else Repeat.REFUSED
        wait = self.timeout if timeout is None else timeout
        call = _Call(
            method, url, _complete(headers), content, repeat or default, wait, redirects, plain, deadline, once=once
        )

        def whole() -> Answer:
            response = self._open(call)
            try:
                body = self._body(response, call, limit, cut)
            finally:
                response.close()
            return self._judge(call, response, body)

        if deadline is None:
            return self._repeatedly(call, whole)
        with deadline.running():
            return self._repeatedly(call, functools.partial(_in_time, call, whole))

    def send(
        self,
        method: str,
        url: str,
        *,
        content: bytes,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """One request that may change something, on a connection of its own; any status is an answer.

        Sent again only where it was surely not carried out. Raises `AnswerLost` where no whole answer came.
        """
        return self.request(
            method,
            url,
            headers=headers,
            content=content,
            cut=True,
            repeat=Repeat.REFUSED,
            timeout=timeout,
            deadline=deadline,
        )

    @contextmanager
    def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        redirects: int = 0,
        plain: frozenset[str] = frozenset(),
    ) -> Iterator[Stream]:
        """GET a body piece by piece. Repeated until it begins to come; a body that is cut later is not."""
        call = _Call("GET", url, _complete(headers), b"", Repeat.ALWAYS, self.timeout, redirects, plain)
        opened: list[Response] = []

        def begin() -> Answer:
            response = self._open(call)
            if response.status in _BUSY:
                try:
                    return self._judge(call, response, self._body(response, call, BODY_LIMIT, True))
                finally:
                    response.close()
            opened.append(response)
            return self._judge(call, response, b"")

        answer = self._repeatedly(call, begin)
        try:
            pieces = self._stream_pieces(opened[-1], call) if opened else iter((answer.content,))
            yield Stream(answer.url, answer.status, answer.headers, pieces)
        finally:
            for response in opened:
                response.close()

    def _repeatedly(self, call: _Call, once: Callable[[], Answer]) -> Answer:
        try:
            call.tries += 1
            try:
                return once()
            except (_Busy, Broken) as error:
                if call.once:
                    raise
                return self._once_more(call, error, once)
        except _Busy as busy:
            return replace(busy.answer, doubtful=call.doubtful)
        except Broken as broken:
            raise call.explain(broken) from broken.__cause__

    def _once_more(self, call: _Call, first: Exception, once: Callable[[], Answer]) -> Answer:
        """After a try that ended with ``first``: as often, and after as long, as is left."""
        import stamina  # most runs never have to

        retry, failed = self.retry, iter((first,))
        # Every repetition is logged here with its reason; its own warning would say it a second time, on stderr.
        logging.getLogger("stamina").setLevel(logging.ERROR)
        for attempt in stamina.retry_context(
            on=functools.partial(self._again, call),
            attempts=retry.attempts,
            timeout=None,
            wait_initial=retry.wait_initial,
            wait_max=retry.wait_max,
            wait_jitter=retry.wait_jitter,
        ):
            with attempt:
                for error in failed:
                    raise error
                call.tries += 1
                return once()
        raise AssertionError("stamina tries at least once")

    def _again(self, call: _Call, error: Exception) -> bool | float:
        """Whether to try again, and after how long; `Pace` already holds the host back where the server asked."""
        if isinstance(error, _Busy):
            answer = error.answer
            asked = retry_after(answer.headers)
            refused = answer.status == 429 or (answer.status in (403, 503) and asked is not None)
            call.doubtful = call.doubtful or (call.writes and answer.status in _UNCERTAIN)
            if call.repeat is Repeat.REFUSED and not refused:
                return False
            if call.deadline and call.deadline.left <= max(_NO_MORE, min(self.retry.pause_max, asked or 0.0)):
                return False
            log.debug("answered %d: trying again", answer.status)
            return True if asked is None else 0.0
        if isinstance(error, Broken):
            call.doubtful = call.doubtful or (call.writes and error.sent)
            if error.tls or (error.sent and call.repeat is not Repeat.ALWAYS):
                return False
            if call.deadline and call.deadline.left <= _NO_MORE:
                return False
            log.debug("%s: trying again", error.reason)
            return error.sent or call.tries < self.retry.connections
        return False

    def _judge(self, call: _Call, response: Response, body: bytes) -> Answer:
        url = response.url
        answer = Answer(call.method, url, response.status, response.headers, body, call.doubtful)
        host = urlsplit(url).netloc
        asked = retry_after(answer.headers)
        # GitHub says 403 where it is asked too often: what comes with a time to come back is no refusal for good.
        if answer.status not in _BUSY and not (answer.status == 403 and asked is not None):
            self._pace.ease(host)
            return answer
        if answer.status == 429 or asked is not None:
            self._pace.slow(host, min(self.retry.pause_max, asked or 0.0))
        raise _Busy(answer)

    def _open(self, call: _Call) -> Response:
        """Send, follow redirects, and return when the headers are there."""
        url, headers, method = call.url, dict(call.headers), call.method
        for _ in range(call.redirects + 1):
            if not self._pace.wait(urlsplit(url).netloc, call.deadline.left if call.deadline else None):
                raise Broken(url, "it asked to be left alone for longer than there is time", sent=False)
            response = self._exchange(call, method, url, headers)
            if response.status not in _REDIRECTS or "location" not in response.headers or not call.redirects:
                return response
            response.finish()
            before = url
            url, headers = redirected(url, response.headers["location"], headers, call.plain)
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                # Who is sent elsewhere is seldom alone: the others will need a connection there, too.
                self._pools.open_ahead(url, self._pools.opened(before))
        raise Malformed(f"`{shown(call.url)}` redirects more than {call.redirects} times")

    def _exchange(self, call: _Call, method: str, url: str, headers: Mapping[str, str]) -> Response:
        content = call.content if isinstance(call.content, bytes) else call.content()
        size = len(content) if isinstance(content, bytes) else int(headers.get("Content-Length", 0))
        verbose = log.isEnabledFor(logging.DEBUG)
        if verbose:
            log.debug("$ %s", redact(as_curl(method, url, headers, size)))
        if call.deadline and call.deadline.over:
            raise Broken(url, call.deadline.reason, sent=False)
        response = self._pools.send(
            method,
            url,
            headers,
            content if size else None,
            wait=min(call.timeout, call.deadline.left) if call.deadline else call.timeout,
            kept=call.repeat is not Repeat.REFUSED and not call.deadline,
            told=call.told,
        )
        if verbose:
            log.debug("%d from %s", response.status, urlsplit(url).netloc)
        return response

    def _body(self, response: Response, call: _Call, limit: int, cut: bool) -> bytes:
        gathered, size, end = [], 0, self._clock() + self.total
        if response.status >= 400:  # an error's words: the limit is for what was asked for
            limit, cut = max(limit, BODY_LIMIT), True
        for piece in response.pieces():
            gathered.append(piece)
            size += len(piece)
            if size > limit:
                if cut:
                    break
                raise Malformed(f"the answer of `{shown(response.url)}` is larger than {limit} bytes")
            if self._clock() > end:
                raise Broken(response.url, f"took longer than {self.total:g} s", sent=True)
        if call.deadline and call.deadline.over:
            raise Broken(response.url, call.deadline.reason, sent=True)
        return b"".join(gathered)[:limit]

    def _stream_pieces(self, response: Response, call: _Call) -> Iterator[bytes]:
        try:
            yield from response.pieces()
        except Broken as broken:
            raise call.explain(broken) from broken.__cause__


def _in_time(call: _Call, once: Callable[[], Answer]) -> Answer:
    """``once``, cut off when the call's time is over: what came by then may look whole and is not."""
    assert call.deadline
    with call.deadline.guarding() as call.told:
        try:
            answer = once()
        except Broken as broken:
            if not call.deadline.over:
                raise
            raise Broken(broken.url, call.deadline.reason, sent=broken.sent) from broken
    return answer


def _complete(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    # Identity: digests are over the bytes as they are stored, and a small body cannot swell to a large one.
    return {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})}
