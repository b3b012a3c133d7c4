"""Messages: one Markdown text, written as each channel reads it. In none of them does anything ping."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relman.errors import UsageError
from relman.mentions import quiet
from relman.render.bbcode import to_bbcode
from relman.render.discord import to_discord
from relman.render.html import to_html
from relman.render.markdown import to_text
from relman.render.slack import to_slack
from relman.render.telegram import to_telegram

_WRITERS: Mapping[str, Callable[[str], str]] = {
    "markdown": str,
    "discord": to_discord,
    "text": to_text,
    "html": to_html,
    "telegram": to_telegram,
    "slack": to_slack,
    "bbcode": to_bbcode,
}
POST_FORMATS = tuple(_WRITERS)
"""How a message can be written, by the names that channels use."""

DETAIL = (3, 2, 1, 0)
"""How much a template is asked to say: all of it first, then less."""


def written(markdown: str, format: str) -> str:
    """A message in one of `POST_FORMATS`, without space around it. Raises `UsageError` for another format."""
    if format not in _WRITERS:
        formats = ", ".join(f"`{name}`" for name in POST_FORMATS)
        raise UsageError(f"there is no format `{format}` for posts", hint=f"there are {formats}")
    return quiet(_WRITERS[format](markdown), entities=format == "markdown").strip()
