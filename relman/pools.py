"""Connections to hosts: shared between threads, by a proxy where the environment names one, and opened ahead.

A connection takes two round trips before it can be asked anything. Where it is known that several will be wanted, they
are opened while there is still something else to wait for.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
import warnings
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from relman.addresses import is_direct
from relman.connections import Broken, target_of, translated
from relman.curl import shown
from relman.deadline import Told
from relman.errors import Malformed, Unequipped
from relman.opening import Opening
from relman.pooled import Ahead, Exchange, PlainPool, SecurePool, asking
from relman.trust import trusted

# It warns of connections that it closes, and of nothing that relman does not say itself.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_KEPT = 64
"""Connections to one host that are kept for the next request."""
_PIECE = 256 * 1024
"""How much of a body is taken at once, in bytes: more than the network has ready, small enough to stay in caches."""
_SENT = 64 * 1024
"""How much of a body is sent at once, in bytes: for as long as a wait for the network may take, not all of it."""
_DRAINED = 16 * 1024
"""What is left of an answer is read, rather than its connection closed, up to so many bytes."""
_DRAINING = 0.1
"""And for so many seconds: as long as a new connection takes."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BROKEN_OFF = frozenset("\r\n\0")


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
        size, connection = self.headers.get("content-length", ""), getattr(self.raw, "connection", None)
        if size.isascii() and size.isdigit() and int(size) <= _DRAINED and connection and connection.sock:
            connection.sock.settimeout(_DRAINING)
            end = time.monotonic() + _DRAINING
            with suppress(Broken):
                for _ in self.pieces():
                    if time.monotonic() > end:
                        break
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
        exchange = Exchange(None, wait, told)
        try:
            with translated(url, wait, lambda: not exchange.connecting), asking(exchange):
                exchange.target = target_of(url)
                raw = self._manager(url, kept=kept).urlopen(
                    method,
                    url,
                    redirect=False,
                    headers=_headers(url, headers, content),
                    body=_in_pieces(url, headers, content),
                    timeout=Timeout(connect=wait, read=wait),
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
        except _Inside as inside:
            raise inside.error from inside.error.__cause__
        return Response(url, raw, wait)

    def open_ahead(self, url: str, count: int, begun: Sequence[Opening] = ()) -> None:
        """Begin to open connections to where ``url`` leads, until so many were; those ``begun`` are of these."""
        direct = proxy_of(url) is None
        with suppress(HTTPError, ValueError):  # whoever asks there will meet the same, and say so
            self._pool(url).open_ahead(count if direct else 0, begun)

    def opened(self, url: str) -> int:
        """How many connections were opened to where ``url`` leads."""
        return self._pool(url).opened if proxy_of(url) is None else 0

    def _pool(self, url: str) -> Ahead:
        with self.lock:
            manager = self._shared(url, None)
        return cast(Ahead, manager.connection_from_url(url))

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
        key = (urlsplit(url).scheme == "https", proxy)
        if key not in self.made:
            self.made[key] = self._new(url, proxy)
        return self.made[key]

    def _new(self, url: str, proxy: str | None) -> urllib3.PoolManager:
        options: dict[str, Any] = {"num_pools": _KEPT, "maxsize": _KEPT, "timeout": Timeout(self.wait)}
        if "https" in (urlsplit(url).scheme, urlsplit(proxy or "").scheme):
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
    if (
        not found
        or proxy_bypass(parts.netloc.rpartition("@")[2])
        or _excepted(parts.hostname or "", named.get("no", ""))
    ):
        return None
    return found if "://" in found else f"http://{found}"


def _excepted(host: str, exceptions: str) -> bool:
    """Whether `no_proxy` names ``host`` in a way that Python does not know: `*.example.org`, or a network."""
    for one in exceptions.split(","):
        entry = one.strip().lower()
        if entry.startswith("*.") and host.endswith(entry[1:]):
            return True
        with suppress(ValueError):  # names of hosts, of which most are
            if "/" in entry and ip_address(host) in ip_network(entry, strict=False):
                return True
    return False


def by_proxy(proxy: str, options: Mapping[str, Any]) -> urllib3.PoolManager:
    """What speaks by ``proxy``, whose address may hold a user and a password."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme.startswith("socks"):
            return _by_socks(proxy, options)
        headers = {"Proxy-Authorization": login} if (login := _basic(parts)) else None
        return _own(urllib3.ProxyManager(proxy, proxy_headers=headers, **options))
    except (HTTPError, ValueError):  # without the cause: its message may quote the password
        raise Unequipped(
            f"the environment names `{shown(proxy)}` as a proxy, which is no address of one",
            hint="`https_proxy`, `http_proxy` and `all_proxy` take `http://HOST:PORT`; percent-encode what is special",
        ) from None


def _by_socks(proxy: str, options: Mapping[str, Any]) -> urllib3.PoolManager:
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is said below
            from urllib3.contrib.socks import SOCKSProxyManager
    except ImportError:
        raise Unequipped(
            f"the proxy `{shown(proxy)}` speaks SOCKS, and PySocks is not installed",
            hint="install it beside relman (`pip install PySocks`), or name an HTTP proxy",
        ) from None
    return SOCKSProxyManager(proxy, **options)


def _own(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return manager


def _basic(parts: SplitResult) -> str | None:
    """The value of an Authorization header for the user and password in an address."""
    if not parts.username and not parts.password:
        return None
    return "Basic " + b64encode(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()).decode()


def _headers(url: str, headers: Mapping[str, str], content: bytes | Iterable[bytes] | None) -> dict[str, str]:
    """Those to send. Raises `ValueError` for what would not arrive as one header."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"`{name}` is no name of a header")
        if not _BROKEN_OFF.isdisjoint(value):  # http.client lets lines go on that begin with a space
            raise ValueError(f"the header `{name}` has a line break in its value")
    found = dict(headers)
    if login := _basic(urlsplit(url)):
        found = {name: value for name, value in found.items() if name.lower() != "authorization"}
        found["Authorization"] = login
    if isinstance(content, bytes) and "content-length" not in map(str.lower, found):
        found["Content-Length"] = str(len(content))
    return found


class _Inside(Exception):
    """What the maker of a body raised: that is not about the connection, even where it is an `OSError`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _in_pieces(url: str, headers: Mapping[str, str], content: bytes | Iterable[bytes] | None) -> Iterable[bytes] | None:
    """A body so that each piece has its own time, and that ends where its Content-Length says."""
    if content is None:
        return None
    if isinstance(content, bytes):
        return _cut(content)
    promised = next((int(value) for name, value in headers.items() if name.lower() == "content-length"), None)
    return _whole(url, content, promised)


def _cut(content: bytes) -> Iterator[bytes]:
    return (content[start : start + _SENT] for start in range(0, len(content), _SENT))


def _whole(url: str, content: Iterable[bytes], promised: int | None) -> Iterator[bytes]:
    size = 0
    try:
        for piece in content:
            size += len(piece)
            if promised is not None and size > promised:
                break
            yield from _cut(piece)
        if promised not in (None, size):
            how = "more" if size > promised else "less"
            raise Malformed(f"what is sent to `{shown(url)}` has {how} than the {promised} bytes that were promised")
    except (OSError, ValueError, HTTPError) as error:  # which would be taken for faults of the connection
        raise _Inside(error) from error
