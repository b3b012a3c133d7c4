"""Connections to hosts: shared between threads, by a proxy where the environment names one, and opened ahead.

A connection takes two round trips before it can be asked anything. Where it is known that several will be wanted, they
are opened while there is still something else to wait for.
"""

from __future__ import annotations

import http.client
import io
import logging
import os
import platform
import re
import socket
import ssl
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout, make_headers

from relman.addresses import is_direct
from relman.connections import Broken, translated
from relman.curl import shown
from relman.deadline import Told
from relman.errors import Unequipped
from relman.opening import Opening

# It warns of connections that it closes, and of nothing that relman does not say itself.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_KEPT = 64
"""Connections to one host that are kept for the next request."""
_PIECE = 256 * 1024
"""How much of a body is taken at once, in bytes: more than the network has ready, small enough to stay in caches."""
_DRAINED = 16 * 1024
"""What is left of an answer is read, rather than its connection closed, up to so many bytes."""
_BROKEN_OFF = frozenset("\r\n\0")
# Where distributions keep the certificates that they trust, for a Python whose OpenSSL was built for another place.
_BUNDLES = (
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class _Exchange(msgspec.Struct):
    """One request, as far as connections know of it: whether one is being opened, and who wants to be told."""

    told: Told | None
    connecting: bool = False


_current: ContextVar[_Exchange | None] = ContextVar("_current", default=None)


class _Lines:
    """What an answer's head is read from; ``last`` is the line that was read last."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self._file.readline(limit)
        return self.last

    def close(self) -> None:
        self._file.close()


class _Answer(http.client.HTTPResponse):
    """Refuses an answer whose head was cut off: http.client takes it for a whole one, without a body."""

    def begin(self) -> None:
        file: Any = self.fp
        lines: Any = _Lines(file)
        self.fp = lines
        try:
            super().begin()
        finally:
            self.fp = file if self.fp is lines else cast(Any, None)
        if lines.last not in (b"\r\n", b"\n"):
            self.close()
            raise http.client.IncompleteRead(lines.last)


class _Plain(HTTPConnection):
    """HTTP. It tells the request for which it is opened; ``given`` is a connection that somebody else opened."""

    response_class = _Answer
    given: socket.socket | None = None

    def connect(self) -> None:
        with _connecting():
            super().connect()

    def _new_conn(self) -> socket.socket:
        return _given(self) or _told_of(super()._new_conn())


class _Secure(HTTPSConnection):
    """HTTPS, the same."""

    response_class = _Answer
    given: socket.socket | None = None

    def connect(self) -> None:
        with _connecting():
            super().connect()

    def _new_conn(self) -> socket.socket:
        return _given(self) or _told_of(super()._new_conn())


def _given(connection: _Plain | _Secure) -> socket.socket | None:
    given, connection.given = connection.given, None
    if given is not None:
        given.settimeout(connection.timeout)
    return given


@contextmanager
def _connecting() -> Iterator[None]:
    exchange = _current.get() or _Exchange(None)
    exchange.connecting = True
    yield
    exchange.connecting = False  # whatever was raised before was raised on the way


def _told_of(made: socket.socket) -> socket.socket:
    exchange = _current.get()
    if exchange is not None and exchange.told is not None:
        exchange.told(made)
    return made


class _Ahead(HTTPConnectionPool):
    """A pool of one host's connections, some of which are opened before anybody asks for them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opening: deque[Future[_Plain | _Secure | None]] = deque()
        self._counting = threading.Lock()
        self.opened = 0

    def open_ahead(self, count: int, begun: Sequence[Opening]) -> None:
        """Open connections until so many were, each in a thread of its own, or go on with those that are ``begun``.

        One that fails is as if it had not been tried.
        """
        with self._counting:
            wanted: list[Future[_Plain | _Secure | None]] = [Future() for _ in range(count - self.opened)]
            self._opening.extend(wanted)
            self.opened += len(wanted)
        for future, opening in zip_longest(wanted, begun):
            if future is None:
                opening.add_done_callback(_hang_up)
            elif opening is None or self.scheme == "https":  # TLS has more to say and to wait for
                threading.Thread(target=self._open, args=(future, opening), daemon=True).start()
            else:
                opening.add_done_callback(partial(self._open, future))

    def _open(self, future: Future[_Plain | _Secure | None], opening: Opening | None) -> None:
        given = opening.result() if opening else None
        if opening and not given:
            future.set_result(None)
            return
        made = self._closed()
        made.given = given
        try:
            made.connect()
        except (HTTPError, OSError):  # whoever asks next will meet the same, and say so
            future.set_result(None)
        else:
            future.set_result(made)

    def _closed(self) -> _Plain | _Secure:
        return cast("_Plain | _Secure", super()._new_conn())

    def _new_conn(self) -> HTTPConnection:
        with suppress(IndexError):
            while True:
                made = self._opening.popleft().result()
                if made is not None and _is_waiting(made):
                    return made
                if made is not None:  # the server did not want to wait
                    made.close()
        with self._counting:
            self.opened += 1
        return self._closed()

    def close(self) -> None:
        """Close what is not in use, also what nobody has asked for yet."""
        super().close()
        while self._opening:
            self._opening.popleft().add_done_callback(_close)


def _close(future: Future[_Plain | _Secure | None]) -> None:
    made = future.result()
    if made is not None:
        made.close()


def _is_waiting(made: _Plain | _Secure) -> bool:
    """Whether the server still waits for the first request.

    urllib3 takes whatever can be read for an end; with TLS 1.3, it is tickets for the next time, unread until then.
    """
    if not isinstance(made, _Secure):
        return made.is_connected
    with socket.socket(fileno=os.dup(made.sock.fileno())) as beneath:
        try:
            return beneath.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


def _hang_up(opening: Opening) -> None:
    given = opening.result()
    if given is not None:
        given.close()


class _PlainPool(_Ahead):
    ConnectionCls = _Plain


class _SecurePool(_Ahead, HTTPSConnectionPool):  # type: ignore[misc]  # urllib3 names a type that says less there
    ConnectionCls = _Secure


class Response(msgspec.Struct):
    """What came back, its body still to be read. ``wait`` bounds each wait for the network, in seconds."""

    url: str
    raw: urllib3.BaseHTTPResponse
    wait: float

    @property
    def status(self) -> int:
        """The status code."""
        return self.raw.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in any case; several of one name are joined by commas."""
        return self.raw.headers

    def pieces(self) -> Iterator[bytes]:
        """The body as it is sent, as it comes. Raises `Broken` where it ends before it should."""
        while True:
            with translated(self.url, self.wait):
                piece = self.raw.read1(_PIECE, decode_content=False)
            if not piece:
                return
            yield piece

    def finish(self) -> None:
        """Leave the connection to the next request, where that takes no longer than a new one would."""
        size = self.headers.get("content-length", "")
        if size.isascii() and size.isdigit() and int(size) <= _DRAINED:
            with suppress(Broken):
                for _ in self.pieces():
                    pass
        self.close()

    def close(self) -> None:
        """Want nothing more of it. Its connection is closed, unless all of the body was read."""
        self.raw.close()


class Pools(msgspec.Struct):
    """Every connection of a client. ``wait`` is how long one may take to be opened ahead, in seconds.

    ``verify`` are the certificates to trust, by default those of the system, which are read when they are needed.
    """

    verify: ssl.SSLContext | None
    wait: float
    lock: threading.Lock = msgspec.field(default_factory=threading.Lock)
    made: dict[tuple[bool, str | None], urllib3.PoolManager] = msgspec.field(default_factory=dict)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | Iterable[bytes] | None,
        *,
        wait: float,
        kept: bool,
        told: Told | None,
    ) -> Response:
        """Send, and return when the headers are there; any status is an answer.

        ``kept`` connections may have gone stale, which nothing that writes once should meet. ``told`` hears of the
        connection when it is opened. Raises `Broken`, and `Malformed` for what cannot be sent.
        """
        manager = self._manager(url, kept=kept)
        exchange = _Exchange(told)
        token = _current.set(exchange)
        try:
            with translated(url, wait, lambda: not exchange.connecting):
                for name, value in headers.items():  # http.client lets lines go on that begin with a space
                    if not _BROKEN_OFF.isdisjoint(value):
                        raise ValueError(f"the header `{name}` has a line break in its value")
                raw = manager.urlopen(
                    method,
                    url,
                    redirect=False,
                    headers=dict(headers),
                    body=content,
                    timeout=Timeout(connect=wait, read=wait),
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
        finally:
            _current.reset(token)
        return Response(url, raw, wait)

    def open_ahead(self, url: str, count: int, begun: Sequence[Opening] = ()) -> None:
        """Begin to open connections to where ``url`` leads, until so many were; those ``begun`` are of these."""
        direct = proxy_of(url) is None
        self._pool(url).open_ahead(count if direct else 0, begun)

    def opened(self, url: str) -> int:
        """How many connections were opened to where ``url`` leads."""
        return self._pool(url).opened if proxy_of(url) is None else 0

    def _pool(self, url: str) -> _Ahead:
        with self.lock:
            manager = self._shared(url, None)
        return cast(_Ahead, manager.connection_from_url(url))

    def close(self) -> None:
        """Close them all."""
        with self.lock:
            for manager in self.made.values():
                manager.clear()
            self.made.clear()

    def _manager(self, url: str, *, kept: bool) -> urllib3.PoolManager:
        proxy = proxy_of(url)
        with self.lock:
            return self._shared(url, proxy) if kept else self._new(url, proxy)

    def _shared(self, url: str, proxy: str | None) -> urllib3.PoolManager:
        key = (url.startswith("https:"), proxy)
        if key not in self.made:
            self.made[key] = self._new(url, proxy)
        return self.made[key]

    def _new(self, url: str, proxy: str | None) -> urllib3.PoolManager:
        options: dict[str, Any] = {"num_pools": _KEPT, "maxsize": _KEPT, "timeout": Timeout(self.wait)}
        if url.startswith("https:") or (proxy or "").startswith("https:"):
            self.verify = self.verify or trusted()
            options["ssl_context"] = self.verify
        if proxy is not None:
            return by_proxy(proxy, options)
        return _own(urllib3.PoolManager(**options))


def proxy_of(url: str) -> str | None:
    """The proxy that the environment (on macOS, the system) names for ``url``; `None` for loopback, always."""
    if is_direct(url):
        return None
    from urllib.request import getproxies, proxy_bypass

    parts, named = urlsplit(url), getproxies()
    found = named.get(parts.scheme) or named.get("all")
    if not found or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return found if "://" in found else f"http://{found}"


def by_proxy(proxy: str, options: Mapping[str, Any]) -> urllib3.PoolManager:
    """What speaks by ``proxy``, whose address may hold a user and a password."""
    parts = urlsplit(proxy)
    if parts.scheme.startswith("socks"):
        try:
            with warnings.catch_warnings(action="ignore"):  # of what is said below
                from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise Unequipped(
                f"the proxy `{shown(proxy)}` speaks SOCKS, and PySocks is not installed",
                hint="install it beside relman (`pip install PySocks`), or name an HTTP proxy",
            ) from None
        return SOCKSProxyManager(proxy, **options)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    return _own(urllib3.ProxyManager(proxy, proxy_headers=make_headers(proxy_basic_auth=login), **options))


def _own(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


def trusted() -> ssl.SSLContext:
    """The certificates that this system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others."""
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if platform.system() in ("Darwin", "Windows") and not named:
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_default_verify_paths()
    if not named and not _has_certificates(ssl.get_default_verify_paths()):
        context.load_verify_locations(next(filter(os.path.isfile, _BUNDLES), None))
    return context


def _has_certificates(paths: ssl.DefaultVerifyPaths) -> bool:
    """Whether there is anything where this Python's OpenSSL looks: one file, or files named by their hashes."""
    if paths.cafile:
        return True
    return paths.capath is not None and any(
        re.fullmatch(r"[0-9a-f]{8}\.\d", file.name) for file in Path(paths.capath).iterdir()
    )
