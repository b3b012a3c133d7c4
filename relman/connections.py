"""Addresses, redirects, and what it means when a connection breaks."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected, UnknownProtocol
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError
from urllib3.exceptions import TimeoutError as TookTooLong

from relman.curl import shown
from relman.errors import AnswerLost, Malformed, Passing, RelmanError
from relman.redaction import redact

_PUBLIC = frozenset({"accept", "accept-encoding", "content-length", "content-type", "range", "user-agent"})
"""What may be said to a host that a redirect leads to: credentials come in headers of any name."""


_AS_THEY_ARE = "!#$%&'()*+,-./:;=?@[\\]^_|~"
"""What stays as it is in a path or query: also `%`, since a signature may be of the very bytes."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Untrusted(RelmanError):
    """A server's TLS does not hold: a certificate that nobody vouches for, or no TLS at all."""


class Broken(Exception):
    """No whole answer: ``sent`` where the request may have arrived, ``tls`` where the server is not to be trusted."""

    def __init__(self, url: str, reason: str, *, sent: bool, tls: bool = False) -> None:
        super().__init__(reason)
        self.url, self.reason, self.sent, self.tls = url, reason, sent, tls


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


def target_of(url: str) -> str:
    """What to ask a host for, with nothing changed that may be sent as it is. Raises `ValueError` for what may not.

    urllib3 would write escapes in capitals, which signed addresses do not survive.
    """
    if _CONTROL.search(url):
        raise ValueError("there is a control character in it")
    parts = urlsplit(url)
    path, query = quote(parts.path, safe=_AS_THEY_ARE), quote(parts.query, safe=_AS_THEY_ARE + "`{}")
    return f"{path or '/'}?{query}" if query else path or "/"


@contextmanager
def translated(url: str, timeout: float, sent: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """What urllib3 raises, in terms of what matters: was it ``sent``, and is it the certificate?

    Raises `Broken`, and `Malformed` for what cannot be sent.
    """
    try:
        yield
    except (LocationValueError, ValueError) as error:  # no host, or a header with a line break
        raise Malformed(f"`{shown(url)}` cannot be asked: {error}") from error
    except (HTTPError, HTTPException, OSError) as error:
        raise _broken(url, timeout, error, sent()) from error


def _broken(url: str, timeout: float, error: Exception, sent: bool) -> Broken:
    first = _first(error)
    late = isinstance(error, TookTooLong) and not isinstance(error, NewConnectionError)
    if late or (isinstance(first, TimeoutError) and first.errno is None):  # one of the system has a number
        return Broken(url, f"no {'answer' if sent else 'connection'} within {timeout:g} s", sent=sent)
    return Broken(url, _reason(first), sent=sent, tls=not sent and tls_cause(error) is not None)


def _first(error: BaseException) -> BaseException:
    """What went wrong at first: urllib3 wraps it in classes of its own."""
    while inner := error.__cause__ or next((part for part in error.args if isinstance(part, BaseException)), None):
        error = inner
    return error


def _reason(error: BaseException) -> str:
    if isinstance(error, IncompleteRead):
        got = error.partial if isinstance(error.partial, int) else len(error.partial)  # urllib3 counts
        missing = f", of {got + error.expected}" if error.expected else ""
        return f"its body was cut off after {got} bytes{missing}"
    if isinstance(error, BadStatusLine | UnknownProtocol) and not isinstance(error, RemoteDisconnected):
        return f"it does not answer in HTTP: {str(error).strip()[:100]}"
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
