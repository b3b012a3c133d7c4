"""Announces in a chat of Telegram, by a bot (https://core.telegram.org/bots/api).

A message carries no key of ours, and a bot cannot read what it has posted: where an answer is lost, it stays unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    AnswerLost,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    HttpResponse,
    Passing,
    RelmanError,
    Secret,
    Slot,
    Unequipped,
    hookimpl,
)
from relman_plugins.announce.answers import body, check, fields, printable, under, whole
from relman_plugins.announce.texts import announcement, rendered, replying, text_sha256

LIMIT = 4096
"""Of a message, "after entities parsing" (sendMessage): without tags, in units of UTF-16, as entities are counted."""

WITHDRAWN = "<b>Withdrawn.</b> This announcement no longer stands."
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,200}")
_POSTED = re.compile(r"(-?[0-9]{1,20}) ([0-9]{1,20})")
_SUPERGROUP = "-100"


class TelegramSettings(ChannelSettings):
    """`type = "telegram"`. ``chat`` is `@name` or a number, ``topic`` the number of a forum's topic.

    ``api`` is another Bot API server's address; ``limit`` is less than Telegram takes; ``previews`` shows links large.
    """

    token: Secret
    chat: int | Annotated[str, StringConstraints(pattern=r"^(@[A-Za-z0-9_]+|-?[0-9]+)$")]
    topic: Annotated[int, Field(ge=1)] | None = None
    api: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")] = "https://api.telegram.org"
    limit: Annotated[int, Field(ge=1, le=LIMIT)] = LIMIT
    previews: bool = False


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "telegram"`."""
    return (Slot("announce", "telegram", TelegramSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A message for each table, beneath the one on the release that this one follows up."""
    for settings in context.settings(TelegramSettings):
        name = settings.name or settings.type
        earlier = context.earlier.get(name)
        text = rendered(context, settings, format="telegram", limit=settings.limit, measure="telegram")
        yield announcement("telegram", context, settings, {"text": text, **replying(earlier)})


@hookimpl
def relman_executors() -> tuple[TelegramExecutor]:
    """The one that sends messages."""
    return (TelegramExecutor(),)


class TelegramExecutor:
    """Sends a message once. ``remote_id`` is the chat's number and the message's."""

    kind = "telegram"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post in the Telegram chat of news`."""
        return f"post in the Telegram chat of `{action.channel}`"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """A bot cannot read what is in a chat."""
        return Unknown("a bot of Telegram cannot look for a message that it may have sent")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """`sendMessage`; a message that is gone is no longer replied to."""
        settings = writer.settings(TelegramSettings)
        message: dict[str, object] = {"chat_id": settings.chat, **_content(action.text("text"), settings)}
        if settings.topic is not None:
            message["message_thread_id"] = settings.topic
        answered = _POSTED.fullmatch(str(action.payload.get("reply_to", "")))
        if answered:
            message["reply_parameters"] = {
                "chat_id": int(answered[1]),
                "message_id": int(answered[2]),
                "allow_sending_without_reply": True,
            }
        return _receipt(action, _call(action, writer, "sendMessage", message))

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The answer, which has the message's number, was the proof: there is nothing to read."""

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """`editMessageText`. A message that says so already is what was asked for."""
        posted = _posted(receipt)
        if posted is None:
            return None
        content = _content(action.text("text"), writer.settings(TelegramSettings))
        _call(action, writer, "editMessageText", {**posted, **content}, fine="message is not modified")
        return Receipt.of(
            action, ReceiptState.DONE, remote_id=receipt.remote_id, url=receipt.url, sha256=text_sha256(action)
        )

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """`deleteMessage`; after 48 hours, when Telegram refuses that, the message says that it is withdrawn."""
        posted = _posted(receipt)
        if posted is None:
            return None
        try:
            _call(action, writer, "deleteMessage", posted, fine="message to delete not found")
        except Kept:
            content = _content(WITHDRAWN, writer.settings(TelegramSettings))
            _call(action, writer, "editMessageText", {**posted, **content}, fine="message is not modified")
            detail = "Telegram deletes nothing so old: the message says that it is withdrawn"
            return Receipt.of(action, ReceiptState.DONE, remote_id=receipt.remote_id, url=receipt.url, detail=detail)
        return Receipt.of(action, ReceiptState.DONE, detail="deleted")


class Kept(RelmanError):
    """Telegram does not delete this message."""


def _content(text: str, settings: TelegramSettings) -> dict[str, object]:
    previews = {"is_disabled": not settings.previews}
    return {"text": text, "parse_mode": "HTML", "link_preview_options": previews}


def _posted(receipt: Receipt) -> dict[str, object] | None:
    """Chat and message of an earlier post; `None` where its receipt does not tell, as for one that a person settled."""
    found = _POSTED.fullmatch(receipt.remote_id or "")
    return {"chat_id": int(found[1]), "message_id": int(found[2])} if found else None


def _call(
    action: Action, writer: ChannelWriter, method: str, parameters: Mapping[str, object], *, fine: str | None = None
) -> Mapping[str, Any]:
    """One method's ``result``; empty where it was refused in the words ``fine``, which say that it is so already."""
    settings = writer.settings(TelegramSettings)
    token = writer.reveal(settings.token)
    if not _TOKEN.fullmatch(token):
        raise Unequipped(
            f"channel `{action.channel}`: `{settings.token.env}` does not hold a token of a bot",
            hint="@BotFather hands them out; they look like `123456:ABC…`",
        )
    address = f"{settings.api.rstrip('/')}/bot{token}/{method}"
    content = json.dumps(parameters).encode()
    response = writer.send("POST", address, content=content, headers={"Content-Type": "application/json"})
    answer = fields(response)
    if response.status == 200 and answer.get("ok") is True:
        result = answer.get("result")
        return result if isinstance(result, dict) else {}
    description = str(answer.get("description", "")).lower()
    if fine and response.status == 400 and fine in description:
        return {}
    _refused(response, answer, f"{method} of channel `{action.channel}`")
    raise AnswerLost(f"{method} of channel `{action.channel}` was answered, but not with what it answers")


def _refused(response: HttpResponse, answer: Mapping[str, Any], who: str) -> None:
    """Raises what a refusal means; returns where the answer is none that Telegram gives."""
    if response.status == 200 and answer.get("ok") is not False:
        return
    words = printable(answer.get("description")) or body(response)
    wait = whole(under(answer, "parameters", "retry_after"))
    if response.status == 429 or wait is not None:
        raise Passing(
            f"{who} is asked to wait{f' for {wait} s' if wait is not None else ''}: {words}",
            hint="the same command later may work",
        )
    moved = whole(under(answer, "parameters", "migrate_to_chat_id"))
    lower = words.lower()
    for said, hint in _HINTS:
        if said in lower and response.status < 500:
            raise (Kept if said in _KEPT else RelmanError)(f"{who} was refused: {words}", hint=hint)
    if moved is not None:
        raise RelmanError(f"{who} was refused: {words}", hint=f"the chat is another now: `chat = {moved}`")
    if response.status == 200:
        raise RelmanError(f"{who} was refused: {words}")
    if response.status == 404:
        raise Unequipped(f"{who} answered 404: {words}", hint="the token, or `api`, is wrong")
    check(response, who, words, hint="the bot's token, and what it may do in this chat")


_KEPT = ("message can't be deleted",)
_HINTS: tuple[tuple[str, str | None], ...] = (
    ("can't parse entities", "the template writes HTML that Telegram does not read; a plan made anew has another text"),
    ("message is too long", "make a new plan with a smaller `limit` in its table"),
    ("chat not found", "`chat` is `@name` of a public chat or a number, and the bot has to be in it"),
    ("thread not found", "`topic` is the number of a topic of this chat"),
    (_KEPT[0], None),
)


def _receipt(action: Action, result: Mapping[str, Any]) -> Receipt:
    chat, message = whole(under(result, "chat", "id")), whole(result.get("message_id"))
    if chat is None or message is None or message < 0:
        raise AnswerLost(f"sendMessage of channel `{action.channel}` was answered without the message's number")
    url = _address(chat, message, result["chat"])
    return Receipt.of(action, ReceiptState.DONE, remote_id=f"{chat} {message}", url=url, sha256=text_sha256(action))


def _address(chat: int, message: int, described: Mapping[str, Any]) -> str | None:
    """Where people read it: anybody in a public chat, its members in another; small groups and people have none."""
    number, username = str(chat), described.get("username")
    if described.get("type") not in ("channel", "supergroup"):
        return None
    if isinstance(username, str) and re.fullmatch(r"[A-Za-z0-9_]{1,64}", username):
        return f"https://t.me/{username}/{message}"
    return f"https://t.me/c/{number[len(_SUPERGROUP) :]}/{message}" if number.startswith(_SUPERGROUP) else None
