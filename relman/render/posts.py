"""Messages: one Markdown text, written as each channel reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relman.render.bbcode import to_bbcode
from relman.render.html import to_html
from relman.render.markdown import to_text

POST_FORMATS: Mapping[str, Callable[[str], str]] = {
    "markdown": str,
    "text": to_text,
    "html": to_html,
    "bbcode": to_bbcode,
}
"""How a message is written, by the name that channels use."""

DETAIL = (3, 2, 1, 0)
"""How much a template is asked to say: all of it first, then less."""
