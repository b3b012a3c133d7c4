"""Announcements as they are planned, and their texts: hashed, and found again at a service that tidies them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from datetime import timedelta

from relman.model.plan import Action, Stage, action_key
from relman.model.record import Receipt
from relman.plugin import ActionsContext, ChannelSettings, ConfigError

_EARLIER = timedelta(days=1)
"""How long before the newest image was built a history is read back to: clocks differ."""


def announcement(
    kind: str, context: ActionsContext, settings: ChannelSettings, payload: Mapping[str, object]
) -> Action:
    """The action that posts ``payload`` in the channel of ``settings``: one for a release and a channel."""
    name = settings.name or settings.type
    target = f"{kind}:{name}"
    return Action(
        kind=kind,
        stage=Stage.ANNOUNCE,
        key=action_key(context.release.id, target),
        target=target,
        channel=name,
        required=settings.required,
        payload=payload,
    )


def replying(earlier: Receipt | None) -> dict[str, object]:
    """What a payload has of the post that it follows up, where that has a number."""
    return {"reply_to": earlier.remote_id} if earlier and earlier.remote_id else {}


def since(context: ActionsContext) -> dict[str, object]:
    """What a payload has for looking back: no post on these images is older. Empty where none says its time."""
    built = [image.created for candidate in context.release.candidates if (image := candidate.first).created]
    return {"since": int((max(built) - _EARLIER).timestamp())} if built else {}


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
