"""Slack's mrkdwn (docs.slack.dev, "Formatting message text"): `*bold*`, `<address|text>`, `& < >` as entities."""

from __future__ import annotations

import re

from relman.render.messages import Dialect

_APART = "\u2060"
_MARK = re.compile(r"(?<![^\W_])[*_~]|[*_~](?![^\W_])|`|:(?=[A-Za-z0-9_+'-]+:)")


class Slack(Dialect):
    """It has no escapes but for `& < >`: marks are kept from being read by a word joiner on both sides."""

    def text(self, text: str) -> str:
        """Escaped. A mark inside a word is none, and is left alone: names of packages are full of them."""
        return _entities(_MARK.sub(lambda mark: f"{_APART}{mark.group()}{_APART}", text))

    def strong(self, inner: str) -> str:
        """`*…*`."""
        return _around("*", inner)

    def emphasis(self, inner: str) -> str:
        """`_…_`."""
        return _around("_", inner)

    def struck(self, inner: str) -> str:
        """`~…~`."""
        return _around("~", inner)

    def code(self, text: str) -> str:
        """A span where it can be one."""
        line = text.replace("\n", " ")
        return f"`{_entities(line)}`" if line.strip() and "`" not in line else self.text(line)

    def fence(self, text: str) -> str:
        """A block whose text cannot end it."""
        inside = text.replace("```", f"``{_APART}`")
        return f"```\n{_entities(inside)}\n```"

    def link(self, address: str, inner: str, shown: str) -> str:
        """`<address|text>`."""
        target = address.replace("&", "&amp;")
        words = _entities(" ".join(shown.split())).replace("|", "¦")
        return f"<{target}>" if words in (address, target) else f"<{target}|{words}>"

    def heading(self, level: int, inner: str, shown: str) -> str:
        """Bold, since there are no headings."""
        return _around("*", self.text(shown))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _around(mark: str, inner: str) -> str:
    """Marks on each line of it, where Slack reads them: at the edge of a word."""
    lines = [line.strip() for line in inner.split("\n")]
    return "\n".join(f"{mark}{line}{mark}" if line else "" for line in lines)


def to_slack(markdown: str) -> str:
    """The text as Slack reads it."""
    return Slack().written(markdown)
