"""How long a text is, as the places that take it count."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_ADDRESS = re.compile(
    r"https?://(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::[0-9]+)?"
    r"(?:/(?:[A-Za-z0-9!*';:=+,.$/%#_~@&|-]*[A-Za-z0-9=_#/+-])?)?"
    r"(?:\?[A-Za-z0-9!?*'();:&=+$/%#\[\]_.,~|@-]*[A-Za-z0-9_&=#/-])?"
)
_MENTION = re.compile(r"(?<![=/\w])(@[A-Za-z0-9_]+(?:[A-Za-z0-9_.-]+[A-Za-z0-9_]+)?)@[\w.-]+\w")
ADDRESS = 23
"""Characters that Mastodon counts for an address, however long it is."""


def characters(text: str) -> int:
    """Unicode characters: GitHub, GitLab, Discourse, Discord."""
    return len(text)


def utf8_bytes(text: str) -> int:
    """Bytes in UTF-8: Matrix, Steam, a file."""
    return len(text.encode("utf-8", "replace"))


def utf16_units(text: str) -> int:
    """Units of UTF-16, of which an emoji has two: Telegram."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clusters(text: str) -> list[str]:
    """The text taken apart into what readers take for one character (Unicode's annex 29, extended clusters)."""
    if text.isascii() and "\r" not in text:
        return list(text)
    import regex  # type: ignore[import-untyped]  # no types come with it; imported late, as it takes a hundredth of a second

    found: list[str] = regex.findall(r"\X", text)
    return found


def graphemes(text: str) -> int:
    """What readers take for one character: Bluesky, which counts by `Intl.Segmenter`."""
    return len(text) if text.isascii() and "\r" not in text else len(clusters(text))


def mastodon(text: str) -> int:
    """Graphemes, an address counted as `ADDRESS` and `@user@example.social` as `@user` (`StatusLengthValidator`).

    What Mastodon might not take for an address, such as one without a name of a domain, is counted in full.
    """
    shortened = _ADDRESS.sub("x" * ADDRESS, text)
    return graphemes(_MENTION.sub(r"\1", shortened))


def telegram(text: str) -> int:
    """What Telegram's limit counts of HTML: units of UTF-16, once its tags are taken out and its entities read."""
    from relman.render.telegram import telegram_units

    return telegram_units(text)


MEASURES: Mapping[str, Callable[[str], int]] = {
    "characters": characters,
    "bytes": utf8_bytes,
    "utf16": utf16_units,
    "graphemes": graphemes,
    "mastodon": mastodon,
    "telegram": telegram,
}
"""By the names that channels and options use."""


def shortened(text: str, most: int) -> str:
    """``text`` in at most ``most`` graphemes, the last of which says that it was cut. No grapheme is cut.

    Of marks piled upon each other no more than fit into four characters for each grapheme are kept.
    """
    found = clusters(text)
    if len(found) <= most and len(text) <= 4 * most:
        return text
    kept: list[str] = []
    size = 0
    for cluster in found[: max(most - 1, 0)]:
        size += len(cluster)
        if size > 4 * most:
            break
        kept.append(cluster)
    return "".join(kept).rstrip() + "…"
