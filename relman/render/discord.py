"""Markdown as Discord has it: no tables, no HTML, headings up to the third, links with a text."""

from __future__ import annotations

import re

from relman.render.messages import Dialect

_SPECIAL = re.compile(r"[\\*_~`|<>\[\]()]|:(?=[A-Za-z0-9_+-]+:)")
_START = re.compile(r"(?m)^(\s*)([#>+-]|\d+(?=[.)]))")
DEEPEST = 3


class Discord(Dialect):
    """What Discord's Text Formatting (Help Center, "Markdown Text 101") reads. It escapes with a backslash."""

    bullet = "- "

    def text(self, text: str) -> str:
        """Escaped: every mark, custom emoji and timestamps (`<…>`), and names of emoji (`:…:`)."""
        return _SPECIAL.sub(r"\\\g<0>", text)

    def paragraph(self, inner: str) -> str:
        """No line of it begins a heading, a quotation or a list."""
        return _START.sub(_defused, inner)

    def strong(self, inner: str) -> str:
        """`**…**`."""
        return f"**{inner}**"

    def emphasis(self, inner: str) -> str:
        """`*…*`."""
        return f"*{inner}*"

    def struck(self, inner: str) -> str:
        """`~~…~~`."""
        return f"~~{inner}~~"

    def code(self, text: str) -> str:
        """A span where it can be one."""
        line = text.replace("\n", " ")
        return f"`{line}`" if line.strip() and "`" not in line and not line.endswith("\\") else self.text(line)

    def fence(self, text: str) -> str:
        """A block whose text cannot end it."""
        inside = text.replace("```", "``\u200b`")
        return f"```\n{inside}\n```"

    def link(self, address: str, inner: str, shown: str) -> str:
        """`[…](…)`; the address alone where the text looks like one, which Discord does not link."""
        if "://" in shown:
            return address
        return f"[{inner.replace(chr(10), ' ')}]({address})"

    def heading(self, level: int, inner: str, shown: str) -> str:
        """`# …` to `### …`; deeper ones are bold."""
        return f"{'#' * level} {inner}" if level <= DEEPEST else f"**{self.text(shown)}**"


def _defused(found: re.Match[str]) -> str:
    space, mark = found.groups()
    return f"{space}{mark}\\" if mark.isdigit() else f"{space}\\{mark}"


def to_discord(markdown: str) -> str:
    """The text as Discord reads it."""
    return Discord().written(markdown)
