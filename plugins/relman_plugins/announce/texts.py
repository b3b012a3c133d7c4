"""Texts of announcements: as they are planned, hashed, and found again at a service that tidies them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable

from relman.model.plan import Action
from relman.plugin import ActionsContext, ChannelSettings, ConfigError


def rendered(
    context: ActionsContext,
    settings: ChannelSettings,
    *,
    format: str,
    limit: int,
    measure: str | Callable[[str], int] = "characters",
    earlier: str | None = None,
) -> str:
    """The message of a channel, by its template or the built-in one. ``earlier`` is the address of a post before.

    Raises `ConfigError` that names the channel where no message is short enough, or where it would be empty.
    """
    template = settings.template or "post.md.j2"
    render = context.renderer
    try:
        return render.post(template, format=format, limit=limit, measure=measure, url=context.page, earlier=earlier)
    except ConfigError as error:
        message = f"channel `{settings.name or settings.type}`: {error.message}"
        raise ConfigError(message, error.problems, hint=error.hint) from error


def text_sha256(action: Action) -> str:
    """The hash of what is posted, for its receipt."""
    return hashlib.sha256(action.text("text").encode()).hexdigest()


def surviving(text: str) -> str:
    """What services keep of a text: they trim and fold white space, and some drop what is invisible."""
    kept = (char for char in unicodedata.normalize("NFC", text) if unicodedata.category(char) != "Cf")
    return " ".join("".join(kept).split())
