"""Announces to a webhook: a templated body, signed, with a key by which the receiver can tell a repetition."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

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
    hookimpl,
)
from relman_plugins.announce.answers import body as body_of
from relman_plugins.announce.texts import announcement


class WebhookSettings(ChannelSettings):
    """`type = "webhook"`. ``expect`` are the status codes that count as received."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    secret: Secret | None = None
    headers: Mapping[str, str | Secret] = Field(default_factory=dict)
    expect: tuple[int, ...] = (200, 201, 202, 204)


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "webhook"`."""
    return (Slot("announce", "webhook", WebhookSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A request for each table: JSON, or what its template says."""
    for settings in context.settings(WebhookSettings):
        body = context.renderer.render(settings.template or "webhook.json.j2", id=context.release.id)
        yield announcement("webhook", context, settings, {"body": body, "content_type": _content_type(body)})


@hookimpl
def relman_executors() -> tuple[WebhookExecutor]:
    """The one that posts."""
    return (WebhookExecutor(),)


class WebhookExecutor:
    """Posts once. A webhook cannot be asked what it received, so a lost answer stays unknown."""

    kind = "webhook"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post to the webhook forum (321 bytes)`."""
        return f"post to the webhook `{action.channel}` ({len(action.text('body').encode()):,} bytes)"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """A webhook cannot tell."""
        return Unknown("a webhook cannot be asked whether it received something")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Post the body, signed where a secret is configured."""
        settings = writer.settings(WebhookSettings)
        body = action.text("body").encode()
        headers = {
            name: writer.reveal(value) if isinstance(value, Secret) else value
            for name, value in settings.headers.items()
        }
        headers |= {"Content-Type": action.text("content_type"), "Idempotency-Key": action.key}
        if settings.secret:
            signature = hmac.new(writer.reveal(settings.secret).encode(), body, hashlib.sha256).hexdigest()
            headers["Relman-Signature"] = f"sha256={signature}"
        response = writer.send("POST", settings.url, content=body, headers=headers)
        if response.status in (502, 504):
            raise AnswerLost(
                f"webhook `{action.channel}` answered {response.status}: something before it lost the answer"
            )
        if response.status not in settings.expect:
            said = body_of(response)
            expected = ", ".join(map(str, settings.expect))
            raise RelmanError(
                f"webhook `{action.channel}` answered {response.status}{f': {said}' if said else ''}",
                hint=f"expected {expected}; `expect` in its table says which answers are right",
            )
        return Receipt.of(action, ReceiptState.DONE, sha256=hashlib.sha256(body).hexdigest())

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The answer was the proof; there is nothing to read."""

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """What was sent was sent."""
        return None

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """What was sent was sent."""
        return None


def _content_type(body: str) -> str:
    try:
        json.loads(body)
    except ValueError:
        return "text/plain; charset=utf-8"
    return "application/json"
