"""Announces by mail: the notes as text and as HTML, with a Message-ID that is the same in every try.

A server cannot be asked what it has taken, so that a lost answer stays unknown. Sent again by a person, the mail has
the same Message-ID, by which lists and mailboxes tell a repetition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from relman.model.plan import Action, action_key
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    MailServer,
    RelmanError,
    Secret,
    Slot,
    hookimpl,
)
from relman_plugins.announce.texts import announcement, replying, text_sha256

SUBJECT = 200
"""Characters of a subject at most: more is shown nowhere."""
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ID = re.compile(r"<relman\.[0-9a-f]{32}@[A-Za-z0-9.-]+>")


def _address(text: str) -> str:
    try:
        found = Address(addr_spec=text)
    except (ValueError, IndexError) as error:
        raise ValueError(f"`{text}` is not an address of mail, such as `news@example.org`") from error
    if not found.domain or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"`{text}` is not an address of mail, such as `news@example.org`")
    return text


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


MailAddress = Annotated[str, AfterValidator(_address)]


class EmailSettings(ChannelSettings):
    """`type = "email"`. ``to`` is an address or several; every receiver sees them all. ``list_id`` names a list."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    username: str | None = None
    password: Secret | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    from_: Annotated[MailAddress, Field(alias="from")]
    sender_name: Annotated[str, StringConstraints(pattern=r"^[^\r\n]{1,100}$")] | None = None
    to: Annotated[tuple[MailAddress, ...], BeforeValidator(_several), Field(min_length=1, max_length=100)]
    list_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,200}$")] | None = None

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` go together")
        return self


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "email"`."""
    return (Slot("announce", "email", EmailSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A mail for each table: all of the notes, or what its template says."""
    for settings in context.settings(EmailSettings):
        name = settings.name or settings.type
        key = action_key(context.release.id, f"email:{name}")
        template, render = settings.template or "notes.md.j2", context.renderer
        earlier = context.earlier.get(name)
        payload: dict[str, object] = {
            "title": " ".join(context.changelog.title.split())[:SUBJECT],
            "text": render.post(template, format="text", url=context.page),
            "html": render.post(template, format="html", url=context.page),
            "message_id": f"<relman.{key}@{settings.from_.rpartition('@')[2]}>",
        }
        payload |= replying(earlier)
        yield announcement("email", context, settings, payload)


@hookimpl
def relman_executors() -> tuple[EmailExecutor]:
    """The one that sends mail."""
    return (EmailExecutor(),)


class EmailExecutor:
    """Sends once. ``remote_id`` is the Message-ID."""

    kind = "email"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`send a mail by news (12,345 bytes)`."""
        size = len((action.text("text") + action.text("html")).encode())
        return f"send a mail by `{action.channel}` ({size:,} bytes)"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Mail servers do not tell."""
        return Unknown("a mail server cannot be asked what it has taken")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Hand the mail in. Receivers that the server does not know are named, where it took it for others."""
        settings = writer.settings(EmailSettings)
        login = (settings.username, writer.reveal(settings.password)) if settings.username else None
        server = MailServer(settings.host, settings.port or _PORTS[settings.tls], settings.tls, login)
        refused = writer.mail(server, settings.from_, settings.to, _message(action, settings, writer))
        detail = "; ".join(f"not for `{receiver}`: {why}" for receiver, why in refused.items()) or None
        return Receipt.of(
            action,
            ReceiptState.DONE,
            remote_id=action.text("message_id"),
            sha256=text_sha256(action),
            detail=detail,
        )

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """That the server took it was the proof."""

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """What was sent was sent."""
        return None

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """What was sent was sent."""
        return None


def _message(action: Action, settings: EmailSettings, writer: ChannelWriter) -> bytes:
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(settings.sender_name or "", addr_spec=settings.from_)
        message["To"] = [Address(addr_spec=one) for one in settings.to]
        message["Subject"] = action.text("title")
        message["Date"] = format_datetime(writer.now)
        message["Message-ID"] = action.text("message_id")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is to be answered
        if settings.list_id:
            message["List-Id"] = f"<{settings.list_id}>"
        earlier = action.payload.get("reply_to")
        if isinstance(earlier, str) and _ID.fullmatch(earlier):
            message["In-Reply-To"] = message["References"] = earlier
        message.set_content(action.text("text"))
        message.add_alternative(action.text("html"), subtype="html")
        return message.as_bytes()
    except (ValueError, UnicodeError) as error:
        raise RelmanError(f"the mail of channel `{action.channel}` cannot be written: {error}") from error
