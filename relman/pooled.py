"""One host's connections: those that are kept for the next request, and those that are opened before there is one."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from http.client import HTTPException
from itertools import zip_longest
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from relman.answers import Head
from relman.deadline import Told
from relman.opening import Opening

_IDLE = 15.0
"""Seconds for which nobody forgets a connection. Those who do, as many a router, tell neither end of it."""


class Exchange(msgspec.Struct):
    """One request, as far as connections know of it.

    ``target`` is what is asked for, to the byte, and ``wait`` how long a connection may take, in seconds. ``told``
    hears of one that is opened; whether that goes on is in ``connecting``.
    """

    target: str | None = None
    wait: float | None = None
    told: Told | None = None
    connecting: bool = False


_current: ContextVar[Exchange | None] = ContextVar("_current", default=None)


@contextmanager
def asking(exchange: Exchange) -> Iterator[None]:
    """What this thread asks for, while it does."""
    token = _current.set(exchange)
    try:
        yield
    finally:
        _current.reset(token)


class _Plain(HTTPConnection):
    """HTTP. It tells the request for which it is opened; ``given`` is a connection that somebody else opened."""

    response_class = Head
    given: socket.socket | None = None
    used = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether it is good for another request: not closed, and not left alone for so long that it may be dead."""
        return super().is_connected and self._is_fresh

    @property
    def is_waiting(self) -> bool:
        """The same for its first request."""
        return self.is_connected

    @property
    def _is_fresh(self) -> bool:
        return time.monotonic() - self.used < _IDLE

    def connect(self) -> None:
        with _connecting():
            super().connect()
        self.used = time.monotonic()

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        exchange = _current.get()
        if exchange is not None and exchange.target is not None:
            parts = urlsplit(url)  # with a host, where a proxy is asked
            host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc and parts.scheme else ""
            url = host + exchange.target
        super().putrequest(method, url, *args, **kwargs)

    def _new_conn(self) -> socket.socket:
        given, self.given = self.given, None
        if given is not None:
            given.settimeout(self.timeout)
            return given
        made, exchange = super()._new_conn(), _current.get()
        if exchange is not None and exchange.told is not None:
            exchange.told(made)
        return made


class _Secure(_Plain, HTTPSConnection):
    """HTTPS, the same."""

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the first request.

        urllib3 takes whatever can be read for an end; with TLS 1.3, it is tickets for the next time, unread until then.
        """
        if self.sock is None or not self._is_fresh:
            return False
        with socket.socket(fileno=os.dup(self.sock.fileno())) as beneath:
            try:
                return beneath.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
            except BlockingIOError:
                return True
            except OSError:
                return False


@contextmanager
def _connecting() -> Iterator[None]:
    exchange = _current.get() or Exchange()
    exchange.connecting = True
    yield
    exchange.connecting = False  # whatever was raised before was raised on the way


_Made = Future[_Plain | None]


class Ahead(HTTPConnectionPool):
    """A pool of one host's connections, some of which are opened before anybody asks for them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opening: deque[_Made] = deque()
        self._counting = threading.Lock()
        self.opened = 0

    def open_ahead(self, count: int, begun: Sequence[Opening]) -> None:
        """Open connections until so many were, each in a thread of its own, or go on with those that are ``begun``.

        One that fails is as if it had not been tried.
        """
        with self._counting:
            wanted: list[_Made] = [Future() for _ in range(count - self.opened)]
            self._opening.extend(wanted)
            self.opened += len(wanted)
        for future, opening in zip_longest(wanted, begun):
            if future is None:
                opening.add_done_callback(_hang_up)
            elif opening is None or self.scheme == "https":  # TLS has more to say and to wait for
                self._open_in_thread(future, opening)
            else:
                opening.add_done_callback(partial(self._open, future))

    def _open_in_thread(self, future: _Made, opening: Opening | None) -> None:
        try:
            threading.Thread(target=self._open, args=(future, opening), daemon=True).start()
        except RuntimeError:  # no more threads: the request that wants it can still open one itself
            future.set_result(None)
            if opening is not None:
                opening.add_done_callback(_hang_up)

    def _open(self, future: _Made, opening: Opening | None) -> None:
        made = None
        try:
            given = opening.result() if opening else None
            if opening is None or given:
                made = self._closed()
                made.given = given
                made.connect()
        except (HTTPError, HTTPException, OSError, ValueError):  # whoever asks next will meet the same, and say so
            if made is not None:
                made.close()
            made = None
        finally:
            future.set_result(made)

    def _closed(self) -> _Plain:
        return cast("_Plain", super()._new_conn())

    def _new_conn(self) -> HTTPConnection:
        with suppress(IndexError):
            end = time.monotonic() + _patience()
            while True:
                made = self._next(max(0.0, end - time.monotonic()))
                if made is not None and made.is_waiting:
                    return made
                if made is not None:  # the server did not want to wait
                    made.close()
        with self._counting:
            self.opened += 1
        return self._closed()

    def _next(self, seconds: float) -> _Plain | None:
        """One that was opened ahead, when it is."""
        future = self._opening.popleft()
        try:
            with _connecting():
                return future.result(seconds)
        except TimeoutError:
            future.add_done_callback(_close)
            raise ConnectTimeoutError(self, "it is still being opened") from None

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.used = time.monotonic()
        super()._put_conn(conn)

    def close(self) -> None:
        """Close what is not in use, also what nobody has asked for yet."""
        super().close()
        with suppress(IndexError):  # somebody may still be taking some
            while True:
                self._opening.popleft().add_done_callback(_close)


def _patience() -> float:
    exchange = _current.get()
    return threading.TIMEOUT_MAX if exchange is None or exchange.wait is None else exchange.wait


def _close(future: _Made) -> None:
    made = future.result()
    if made is not None:
        made.close()


def _hang_up(opening: Opening) -> None:
    given = opening.result()
    if given is not None:
        given.close()


class PlainPool(Ahead):
    """HTTP."""

    ConnectionCls = _Plain


class SecurePool(Ahead, HTTPSConnectionPool):  # type: ignore[misc]  # urllib3 names a type that says less there
    """HTTPS."""

    ConnectionCls = _Secure
