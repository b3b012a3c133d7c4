"""Keeps secrets out of everything that is printed or logged.

A secret is made known once, when it is read from the environment or handed over by a registry; from then on
every line that goes to a terminal, a log or an error passes through `redact`, in all the ways in which it is commonly
written. What is printed in pieces passes through a `RedactingStream`, which no secret gets past in two halves.
"""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

_MASK = "…redacted…"
SHORTEST = 4
"""Characters that a secret has, at least: masking every `a` would hide nothing and ruin all output."""
_TELLING = 16
"""Characters after which a part of a secret is one by itself: the token in an address, or after a colon."""
_FRAGMENT = 8
"""Characters of base64 that are certainly the secret's and nothing else's."""

_known: set[str] = set()
_lock = threading.Lock()


def register(secret: str) -> None:
    """Hide ``secret``, and the ways it is commonly written, from now on.

    Those are percent-encoded, base64 (also inside a longer text, as in `Authorization: Basic`), escaped for JSON,
    HTML, Python and the shell. Of a secret of several lines each line is hidden, of an address the parts of its path
    and query that are long enough to be tokens. What is shorter than `SHORTEST` is not hidden.
    """
    if len(secret) < SHORTEST:
        return
    with _lock:
        new = secret not in _known
    if new and os.environ.get("GITHUB_ACTIONS") == "true":
        # The runner hides what it is told of in every log. It reads such lines from stderr, too.
        escaped = secret.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        raw = sys.stderr.raw if isinstance(sys.stderr, RedactingStream) else sys.stderr
        raw.write(f"::add-mask::{escaped}\n")
    forms = {form for part in _parts(secret) for form in _written(part)}
    with _lock:
        _known.update(forms)


def _parts(secret: str) -> Iterator[str]:
    """The secret, and what of it gives it away by itself."""
    yield secret
    yield from (line for line in secret.splitlines() if len(line) >= _FRAGMENT and not line.startswith("-----"))
    address = re.match(r"[a-z][a-z0-9+.-]*://[^/?#]*", secret)
    rest = secret[address.end() :] if address else secret
    if address and len(rest) >= _FRAGMENT:
        yield rest
    for part in re.split(r"[/?#&=]|(?<!:):(?!:)" if address else r":", rest):
        if len(part) >= _TELLING:
            yield part


def _written(part: str) -> Iterator[str]:
    content = part.encode("utf-8", "surrogateescape")
    yield part
    for encoded in (quote(content, safe=""), quote(content), quote_plus(content)):
        yield encoded
        yield re.sub("%..", lambda found: found.group().lower(), encoded)
    yield base64.b64encode(content).decode()
    for before, skipped in enumerate((0, 2, 3)):  # as it lies in the base64 of a longer text
        padded = bytes(before) + content
        sure = base64.b64encode(padded)[skipped : len(padded) * 8 // 6].decode()
        if len(sure) >= _FRAGMENT:
            yield sure
            yield sure.replace("+", "-").replace("/", "_")
    yield json.dumps(part)[1:-1]
    yield json.dumps(part, ensure_ascii=False)[1:-1]
    yield html.escape(part)
    yield repr(part)[1:-1]
    yield repr(content)[2:-1]
    yield part.replace("'", "'\"'\"'")  # as `shlex.join` writes it


def redact(text: str) -> str:
    """``text`` with every known secret, and what looks like a credential in an address, masked."""
    if pattern := _pattern():
        text = pattern.sub(_MASK, text)
    return re.sub(r"(https?://)[^/\s:@]+:[^/\s@]+@", rf"\1{_MASK}@", text)


def _pattern() -> re.Pattern[str] | None:
    """What finds every known secret, of several at one place the longest; `None` where none is known."""
    with _lock:
        known = frozenset(_known)
    return _compiled(known) if known else None


@lru_cache(maxsize=4)
def _compiled(secrets: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(secrets, key=len, reverse=True))))


class RedactingFilter(logging.Filter):
    """Redacts a log record after its arguments were filled in, so that a secret split over both is caught.

    Tracebacks, too: they repeat what an exception says.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always keep the record, changed where it held a secret."""
        record.msg = redact(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


class RedactingStream:
    """A text stream that no secret gets through, in however many pieces it is written.

    The end of what was written is held back while it may be the beginning of a secret. What is still held back at the
    `close` was none, and is written then. Everything else is the stream's own.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self._held = ""
        self._turn = threading.RLock()

    def write(self, text: str) -> int:
        """Write what is surely no secret. Answers with the length of ``text``, as streams do."""
        with self._turn:
            pattern = _pattern()
            if pattern is None and not self._held:
                self.raw.write(text)
                return len(text)
            text_so_far = self._held + text
            end = len(text_so_far) if pattern is None else _held_from(text_so_far, pattern)
            self._held = text_so_far[end:]
            if end:
                self.raw.write(redact(text_so_far[:end]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Let go what was written; what may begin a secret stays."""
        self.raw.flush()

    def release(self) -> None:
        """Write what was held back: nothing more comes. A long beginning of a secret is masked all the same."""
        with self._turn:
            held, self._held = self._held, ""
        if held:
            shown = redact(held)
            self.raw.write(_MASK if shown == held and len(held) >= _FRAGMENT else shown)
        self.raw.flush()

    def close(self) -> None:
        """Write what was held back, and close."""
        self.release()
        self.raw.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def _held_from(text: str, pattern: re.Pattern[str]) -> int:
    """Where, at the end of ``text``, a secret may begin that goes on; its length where none does.

    What begins inside a secret that is whole is hidden with that one.
    """
    with _lock:
        known = tuple(_known)
    starts = sorted(
        {
            len(text) - length
            for secret in known
            for length in range(1, min(len(secret), len(text) + 1))
            if text.endswith(secret[:length])
        }
    )
    if not starts:
        return len(text)
    whole = [found.span() for found in pattern.finditer(text)]
    return next((at for at in starts if not any(start < at < end for start, end in whole)), len(text))


@contextmanager
def redacted_streams() -> Iterator[None]:
    """Let nothing get to stdout and stderr but through a `RedactingStream`."""
    own = sys.stdout, sys.stderr
    for raw in own:
        if isinstance(raw, io.TextIOWrapper) and raw.encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968"):
            raw.reconfigure(encoding="utf-8")  # as click does it, behind our back
    streams = RedactingStream(sys.stdout), RedactingStream(sys.stderr)
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        sys.stdout, sys.stderr = own
        for stream in streams:
            with suppress(OSError):  # nobody reads on, or a full disk: whoever flushes has said so
                stream.release()
