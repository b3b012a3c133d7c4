"""Announces by Apprise (https://github.com/caronc/apprise) to what has no channel of its own here.

It is an extra: `pip install relman[apprise]`. Apprise tells no number of what it posted, and not why something failed,
so that a post which failed is unknown, and can be neither found again nor changed.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    AnswerLost,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    RelmanError,
    Secret,
    Slot,
    Unequipped,
    hookimpl,
)
from relman_plugins.announce.texts import announcement, text_sha256

TITLE = 250
"""Characters of a title, which most services have no room for beyond."""


class AppriseSettings(ChannelSettings):
    """`type = "apprise"`. ``secret`` names the variable that has Apprise's address, ``limit`` is its service's."""

    secret: Secret
    limit: Annotated[int, Field(ge=1)] = 2000
    format: Literal["markdown", "text", "html"] = "text"


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "apprise"`."""
    return (Slot("announce", "apprise", AppriseSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A message for each table."""
    for settings in context.settings(AppriseSettings):
        text = context.renderer.post(
            settings.template or "post.md.j2", format=settings.format, limit=settings.limit, url=context.page
        )
        yield announcement(
            "apprise",
            context,
            settings,
            {
                "title": " ".join(context.changelog.title.split())[:TITLE],
                "text": text,
                "format": settings.format,
            },
        )


@hookimpl
def relman_executors() -> tuple[AppriseExecutor]:
    """The one that calls Apprise."""
    return (AppriseExecutor(),)


class AppriseExecutor:
    """Posts once, or does not know."""

    kind = "apprise"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post by Apprise to news`."""
        return f"post by Apprise to `{action.channel}`"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Apprise only sends."""
        return Unknown("Apprise cannot be asked what it has posted")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Post. Every failure may have been none: Apprise does not tell a refusal from an answer that was lost."""
        apprise = _apprise()
        address = writer.reveal(writer.settings(AppriseSettings).secret).strip()
        service = apprise.Apprise()
        if not service.add(address):
            raise RelmanError(
                f"Apprise does not know the address of channel `{action.channel}`",
                hint="https://github.com/caronc/apprise/wiki has those that it knows; one address for each table",
            )
        said = {"title": action.text("title"), "body": action.text("text"), "body_format": action.text("format")}
        done = writer.outside(lambda: service.notify(**said))
        if not done:
            raise AnswerLost(f"Apprise says that posting to `{action.channel}` failed, and not how")
        return Receipt.of(action, ReceiptState.DONE, sha256=text_sha256(action))

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """There is nothing to read."""

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """What was sent was sent."""
        return None

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """What was sent was sent."""
        return None


def _apprise() -> Any:
    try:
        found = importlib.import_module("apprise")
    except ImportError as error:
        raise Unequipped("Apprise is not installed", hint="`pip install 'relman[apprise]'`") from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages have addresses in them, with their secrets
    return found
