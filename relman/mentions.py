"""Mentions that ping nobody: the one place where an `@` is kept apart from the name after it."""

from __future__ import annotations

import re

JOINER = "\u2060"
"""Stands between an `@` and a name: invisible, no line breaks there, and no service takes what follows for a name."""

_WRITTEN_AT = re.compile(r"&(?:#0*64|#[xX]0*40|commat);")
_LOUD = "everyone|here|channel"
"""Names that ping everybody, with Discord wherever they stand."""
_AT = re.compile(
    # `https://example.social/@os` is where somebody is, and `…/os@sha256:1f` what is there: neither pings
    rf"(?P<address>https?://(?!@)(?:[^\s<>()\"'@]|(?<=[^\W_])@(?!{_LOUD})|(?<=[/=])@(?!{_LOUD}))+)"
    # `os@sha256:1f` and `os@example.org`: whoever mentions somebody has no letter before the `@`
    rf"|(?<![^\W_])@[\u200b-\u200d\u2060]*(?=\S)|@[\u200b-\u200d\u2060]*(?={_LOUD})",
    re.IGNORECASE,
)


def quiet(text: str, *, entities: bool = False) -> str:
    """``text`` in which no `@` can be read as the beginning of a mention; addresses keep theirs.

    That goes for `@everyone`, `@user@example.social` and `<@123>`, and with ``entities``, where they are read, for an
    `@` that is written as one.
    """
    plain = _WRITTEN_AT.sub("@", text) if entities else text
    if "@" not in plain:
        return plain
    return _AT.sub(lambda found: found["address"] or f"@{JOINER}", plain)
