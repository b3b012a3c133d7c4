"""The HTML that Telegram reads (Bot API, "HTML style"): b, i, u, s, a, code, pre, blockquote; nothing else."""

from __future__ import annotations

import html
import re

from relman.render.measures import utf16_units
from relman.render.messages import Dialect

_TAG = re.compile(r"</?[a-z]+(?: href=\"[^\"]*\")?>")


class Telegram(Dialect):
    """Tags are balanced, since each is written with its end. Links lead to the web alone."""

    def text(self, text: str) -> str:
        """Escaped."""
        return html.escape(text, quote=False)

    def strong(self, inner: str) -> str:
        """`<b>`."""
        return f"<b>{inner}</b>"

    def emphasis(self, inner: str) -> str:
        """`<i>`."""
        return f"<i>{inner}</i>"

    def struck(self, inner: str) -> str:
        """`<s>`."""
        return f"<s>{inner}</s>"

    def code(self, text: str) -> str:
        """`<code>`."""
        line = text.replace("\n", " ")
        return f"<code>{self.text(line)}</code>" if line.strip() else line

    def fence(self, text: str) -> str:
        """`<pre>`."""
        return f"<pre>{self.text(text)}</pre>"

    def link(self, address: str, inner: str, shown: str) -> str:
        """`<a>`. Inside it there is text alone: neither code nor another link may stand there."""
        return f'<a href="{html.escape(address)}">{self.text(" ".join(shown.split()))}</a>'

    def heading(self, level: int, inner: str, shown: str) -> str:
        """Bold, since there are no headings."""
        return f"<b>{self.text(shown)}</b>"

    def quote(self, inner: str) -> str:
        """`<blockquote>`, which cannot stand in another."""
        return f"<blockquote>{inner.replace('<blockquote>', '').replace('</blockquote>', '')}</blockquote>"


def to_telegram(markdown: str) -> str:
    """The text as Telegram reads it."""
    return Telegram().written(markdown)


def telegram_units(text: str) -> int:
    """What Telegram's limit counts: units of UTF-16, after the tags are taken out and the entities read."""
    return utf16_units(html.unescape(_TAG.sub("", text)))
