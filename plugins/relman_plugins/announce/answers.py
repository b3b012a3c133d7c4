"""What services answer, read with suspicion: what a status means, and what they say of it, fit to be printed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from relman.plugin import AnswerLost, HttpResponse, Passing, RelmanError, Unequipped, redact

LONGEST = 200
"""Characters of a service's own words that an error repeats."""
LONGEST_READ = 100_000
"""Of them that are looked at."""


def fields(response: HttpResponse) -> Mapping[str, Any]:
    """The JSON object of an answer; empty where it is none, is cut, or is nested deeper than anybody means."""
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def under(document: object, *names: str) -> Any:
    """What lies in ``document`` below these names, one after the other; `None` where there is nothing."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def whole(value: object) -> int | None:
    """A number as ids are; `None` for everything else, and for what no service counts up to."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**20 else None


def printable(words: object) -> str:
    """``words`` as one line that can do nothing to a terminal, cut. Secrets go first: half of one is one, too."""
    text = redact(words[:LONGEST_READ]) if isinstance(words, str) else ""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def body(response: HttpResponse) -> str:
    """An answer's body for people, where its JSON has no words for them; pages of HTML say nothing."""
    text = response.content[:LONGEST_READ].decode(errors="replace")
    return "" if text.lstrip().startswith("<") else printable(text)


def check(response: HttpResponse, who: str, words: str, *, hint: str | None = None, reading: bool = False) -> None:
    """Return where the answer is a success. ``words`` are what the service says; ``hint`` the step for 401 and 403.

    Raises `Unequipped` for these two, `Passing` where it asks to wait, `AnswerLost` where something may have been
    posted all the same (never while ``reading``), and `RelmanError` for every other refusal.
    """
    status = response.status
    if 200 <= status < 300:
        return
    saying = f"{who} answered {status}{f': {words}' if words else ''}"
    if status in (401, 403):
        raise Unequipped(saying, hint=hint or "its credentials, and what they may do there")
    if status == 429 or (status == 503 and "retry-after" in response.headers):
        raise Passing(saying, hint="it asks to wait; the same command later may work")
    if status >= 500:
        raise Passing(saying) if reading else AnswerLost(f"{saying}; it may have been posted all the same")
    if 300 <= status < 400:
        raise RelmanError(saying, hint="its address redirects elsewhere: write where it leads to")
    raise RelmanError(saying, hint=hint)


def secret_address(value: str) -> SplitResult | None:
    """An address that is a secret, in its parts; `None` where it is none, or would be shown to the whole way there."""
    try:
        parts = urlsplit(value.strip())
        loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    except ValueError:  # brackets that do not match
        return None
    return parts if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and loopback)) else None


def https(url: str) -> str | None:
    """``url`` where it is one for people, protected by TLS; `None` for any other, such as that of a test server."""
    return url if url.startswith("https://") else None
