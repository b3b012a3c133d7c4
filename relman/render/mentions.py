"""Mentions that ping nobody: the one place where an `@` is kept apart from the name after it."""

from __future__ import annotations

import re

JOINER = "\u2060"
"""Stands between an `@` and a name: invisible, no line breaks there, and no service takes what follows for a name."""

_WRITTEN_AT = re.compile(r"&(?:#0*64|#[xX]0*40|commat);")
_AT = re.compile(
    r"(?P<address>https?://[^\s<>()\"'@]*/)(?=@)"  # `https://example.social/@os` is where somebody is, and pings nobody
    r"|@[\u200b\u200c\u200d\u2060]*(?=\S)"
)
_EVERYBODY = re.compile(r"(?P<path>/)@(?=everyone|here|channel)", re.IGNORECASE)


def quiet(text: str, *, entities: bool = False) -> str:
    """``text`` in which no `@` can be read as the beginning of a mention; addresses keep theirs.

    That goes for `@everyone`, `@user@example.social` and `<@123>`, and with ``entities``, where they are read, for an
    `@` that is written as one.
    """
    plain = _WRITTEN_AT.sub("@", text) if entities else text
    if "@" not in plain:
        return plain
    written: list[str] = []
    at = 0
    for found in _AT.finditer(plain):
        if found.start() < at:
            continue
        written.append(plain[at : found.start()])
        if found["address"]:
            end = found.end() + 1
            loud = _EVERYBODY.match(plain, found.end() - 1) is not None
            written.append(found["address"] + "@" + JOINER * loud)
        else:
            end = found.end()
            written.append("@" + JOINER)
        at = end
    return "".join(written) + plain[at:]
