"""A request as a `curl` command that could be pasted, without its secrets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from relman.redaction import redact

_MASK = "…redacted…"
# Query parameters of signed addresses (S3, Azure, GCS) and of sloppy services.
_SECRET_PARAMETER = re.compile(r"(?i)(^|[-_])(sig|signature|credential|token|key|secret|password|passwd|auth|policy)$")
_SECRET_HEADER = re.compile(r"(?i)^(proxy-)?authorization$|cookie|token|secret|password|signature|api-?key")
_QUIET = frozenset({"user-agent", "accept-encoding"})


def as_curl(method: str, url: str, headers: Mapping[str, str], size: int) -> str:
    """The command; a body of ``size`` bytes is named `@body`, not shown."""
    words = ["curl"]
    if method == "HEAD":
        words.append("--head")
    elif method != "GET":
        words += ["--request", method]
    for name, value in headers.items():
        if name.lower() in _QUIET or (name.lower(), value) == ("accept", "*/*"):
            continue
        words += ["--header", f"{name}: {_masked(name, value)}"]
    if size:
        words += ["--data-binary", "@body"]
    return f"{shlex.join([*words, shown(url)])}" + (f"  # {size} bytes" if size else "")


def _masked(name: str, value: str) -> str:
    if not _SECRET_HEADER.search(name):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {_MASK}" if space else _MASK


def shown(url: str) -> str:
    """An address as it may be printed: no user and password, no signatures in its query."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all, and from outside: nothing of it is trusted
        return redact("".join(c for c in url[:200] if c.isprintable()))
    host = parts.netloc.rpartition("@")[2]
    if not parts.query:
        return redact(urlunsplit((parts.scheme, host, parts.path, "", "")))
    query = "&".join(
        f"{name}={_MASK if _SECRET_PARAMETER.search(name) else quote(value, safe=':/,@')}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return redact(urlunsplit((parts.scheme, host, parts.path, query, "")))
