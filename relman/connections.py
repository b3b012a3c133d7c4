"""Connections: which may be shared, which go by a proxy, and what it means when one breaks."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx2

from relman.curl import shown
from relman.errors import AnswerLost, Malformed, Passing, RelmanError
from relman.redaction import redact

_PUBLIC = frozenset({"accept", "accept-encoding", "content-length", "content-type", "range", "user-agent"})
"""What may be said to a host that a redirect leads to: credentials come in headers of any name."""


class Untrusted(RelmanError):
    """A server's TLS does not hold: a certificate that nobody vouches for, or no TLS at all."""


class Broken(Exception):
    """No whole answer: ``sent`` where the request may have arrived, ``tls`` where the server is not to be trusted."""

    def __init__(self, url: str, reason: str, *, sent: bool, tls: bool = False) -> None:
        super().__init__(reason)
        self.url, self.reason, self.sent, self.tls = url, reason, sent, tls


@dataclass(slots=True)
class Pools:
    """Clients of httpx2, each made when it is first needed: making one reads the system's certificates."""

    verify: ssl.SSLContext | None
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: dict[tuple[bool, bool], httpx2.Client] = field(default_factory=dict)

    def get(self, url: str, *, kept: bool) -> httpx2.Client:
        """For this address; ``kept`` connections may have gone stale, which nothing that writes once should meet."""
        direct = is_loopback(urlsplit(url).hostname or "")
        with self.lock:
            if (direct, kept) not in self.made:
                self.verify = self.verify or httpx2.create_ssl_context()
                limits = httpx2.Limits(
                    max_connections=64, max_keepalive_connections=32 if kept else 0, keepalive_expiry=15
                )
                # Cookies would tie one request to another; some registries then want a CSRF token.
                jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
                self.made[direct, kept] = httpx2.Client(
                    verify=self.verify, trust_env=not direct, limits=limits, cookies=jar, follow_redirects=False
                )
            return self.made[direct, kept]

    def close(self) -> None:
        """Close them all."""
        with self.lock:
            for client in self.made.values():
                client.close()
            self.made.clear()


def web_address(url: str, whose: str = "") -> SplitResult:
    """``url`` in its parts. Raises `Malformed` for anything but http and https with a host; ``whose`` word it is."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    except ValueError:  # brackets that do not match
        pass
    raise Malformed(f"{whose}`{shown(url)}` is not an address of the web")


def joined(base: str, address: str, whose: str) -> str:
    """``address``, which may be relative to ``base``, in full. Raises `Malformed` where that is no address."""
    try:
        url = urljoin(base, address)
    except ValueError:
        url = address
    web_address(url, whose)
    return url


def is_loopback(hostname: str) -> bool:
    """Whether this name or address, without a port, never leaves the machine."""
    bare = hostname.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


@contextmanager
def translated(url: str, timeout: float) -> Iterator[None]:
    """What httpx2 raises, in terms of what matters: was it sent, and is it the certificate?"""
    try:
        yield
    except (httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise Broken(url, f"no connection within {timeout:g} s", sent=False) from error
    except httpx2.TimeoutException as error:
        raise Broken(url, f"no answer within {timeout:g} s", sent=True) from error
    except (httpx2.ConnectError, httpx2.ProxyError) as error:
        raise Broken(url, _reason(error), sent=False, tls=tls_cause(error) is not None) from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
        raise Malformed(f"`{shown(url)}` cannot be asked: {error}") from error
    except httpx2.TransportError as error:
        raise Broken(url, _reason(error), sent=True) from error


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def tls_cause(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS itself complained of; a connection that was merely dropped is none of it."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return error
        error = error.__cause__ or error.__context__
    return None


def redirected(
    url: str, location: str, headers: Mapping[str, str], plain: frozenset[str]
) -> tuple[str, dict[str, str]]:
    """Where a redirect leads, and what is said there: no credentials but to the host that they were meant for.

    Raises `Malformed` for what is no address, and for a way from TLS to plain HTTP, save to the hosts ``plain``.
    """
    old = urlsplit(url)
    target = joined(url, location, f"`{old.netloc}` redirects elsewhere: ")
    new = urlsplit(target)
    if old.scheme == "https" and new.scheme == "http" and not {new.netloc, new.hostname} & plain:
        raise Malformed(f"`{old.netloc}` redirects to `{shown(target)}`, which is not protected by TLS")
    if new[:2] == old[:2]:
        return target, dict(headers)
    return target, {name: value for name, value in headers.items() if name.lower() in _PUBLIC}


def explain(broken: Broken, method: str, url: str, *, writes: bool, doubtful: bool) -> RelmanError:
    """The error for a call that ended ``broken``: `AnswerLost` where a write may have been carried out all the same."""
    host = urlsplit(broken.url).netloc.rpartition("@")[2]
    if broken.tls:
        unvouched = isinstance(tls_cause(broken), ssl.SSLCertVerificationError)
        hint = "its certificate's authority must be known to this system (`SSL_CERT_FILE` names others)"
        plain = f"where it speaks plain HTTP, add `{host}` to `insecure` under `[registry]`"
        return Untrusted(f"no TLS with `{host}`: {redact(broken.reason)}", hint=hint if unvouched else plain)
    where = f"{method} `{shown(url)}`"
    if writes and doubtful:
        return AnswerLost(f"the answer of `{host}` to {where} was lost: {redact(broken.reason)}")
    if broken.sent:
        return Passing(f"`{host}` did not answer {where} in whole: {redact(broken.reason)}")
    return Passing(f"`{host}` cannot be reached: {redact(broken.reason)}")
