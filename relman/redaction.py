"""Keeps secrets out of everything that is printed or logged.

A secret is made known once, when it is read from the environment or handed over by a registry; from then on
every line that goes to a terminal, a log or an error passes through `redact`.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import sys
import threading
from urllib.parse import quote

_MASK = "…redacted…"
_known: set[str] = set()
_lock = threading.Lock()


def register(secret: str) -> None:
    """Hide ``secret``, and the ways it is commonly written (base64, percent-encoded), from now on.

    Values shorter than four characters are not hidden: masking every `a` would hide nothing and ruin all output.
    """
    if len(secret) < 4:
        return
    with _lock:
        new = secret not in _known
    if new and os.environ.get("GITHUB_ACTIONS") == "true":
        # The runner hides what it is told of in every log. It reads such lines from stderr, too.
        escaped = secret.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        sys.stderr.write(f"::add-mask::{escaped}\n")
    forms = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
    with _lock:
        _known.update(forms)


def redact(text: str) -> str:
    """``text`` with every known secret, and what looks like a credential in an address, masked."""
    with _lock:
        secrets = sorted(_known, key=len, reverse=True)
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, _MASK)
    return re.sub(r"(https?://)[^/\s:@]+:[^/\s@]+@", rf"\1{_MASK}@", text)


class RedactingFilter(logging.Filter):
    """Redacts a log record after its arguments were filled in, so that a secret split over both is caught."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always keep the record, changed where it held a secret."""
        record.msg = redact(record.getMessage())
        record.args = ()
        return True
