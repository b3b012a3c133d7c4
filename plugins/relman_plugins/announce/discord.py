"""Announces in a channel of Discord, by a webhook (https://discord.com/developers/docs/resources/webhook).

A message of a webhook can be read by its number alone: where an answer is lost, what came of it stays unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from pydantic import Field, StringConstraints

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    AnswerLost,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    ConfigError,
    HttpResponse,
    Malformed,
    NotFound,
    Passing,
    RelmanError,
    Secret,
    Slot,
    Unequipped,
    hookimpl,
)
from relman_plugins.announce.answers import body, check, fields, printable, secret_address
from relman_plugins.announce.texts import announcement, rendered, replying, surviving, text_sha256

LIMIT = 2000
"""Characters of a message. The service counts code points (discord/discord-api-docs#1315), and so does Python."""
THREAD_NAME = 100
"""Characters of a thread's name."""
VERSION = "v10"
"""Of the API; an address that names none would get the oldest that is still there."""
SUPPRESS_EMBEDS = 1 << 2

_WEBHOOK = re.compile(r"(?P<base>/(?:[^?#]*/)?)webhooks/(?P<id>[0-9]{1,20})/(?P<token>[A-Za-z0-9_.-]{1,200})/?")
_NUMBER = re.compile(r"[0-9]{1,20}")
_POSTED = re.compile(r"([0-9]{1,20})(?: ([0-9]{1,20}))?")
_UNKNOWN_CHANNEL, _UNKNOWN_MESSAGE = 10003, 10008
_HINTS = {
    10015: "the webhook was deleted: make another, and put its address into the variable",
    30046: "Discord allows no more changes of messages so old for now",
    50027: "the address of the webhook is wrong: copy it again",
    40067: "this forum wants tags: `tags` in its table, by number",
    220001: "this is a forum: it needs `thread_name` in its table",
    220003: "this is no forum: take `thread_name` out of its table",
}


class DiscordSettings(ChannelSettings):
    """`type = "discord"`. ``thread_name`` is a template, for the title of a forum's post; ``tags`` are numbers.

    ``username`` and ``avatar_url`` stand in place of the webhook's own; ``previews`` shows links large.
    """

    webhook: Secret
    thread_name: str | None = None
    tags: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")], ...] = ()
    username: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    avatar_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    limit: Annotated[int, Field(ge=1, le=LIMIT)] = LIMIT
    previews: bool = False


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "discord"`."""
    return (Slot("announce", "discord", DiscordSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A message for each table; in a forum it goes to the thread of the release that this one follows up."""
    for settings in context.settings(DiscordSettings):
        name = settings.name or settings.type
        earlier = context.earlier.get(name)
        address = earlier.url if earlier else None
        text = rendered(context, settings, format="discord", limit=settings.limit, earlier=address)
        payload: dict[str, object] = {"text": text}
        if settings.thread_name is not None:
            payload["thread_name"] = _thread_name(context.renderer.inline(settings.thread_name), name)
        payload |= replying(earlier)
        yield announcement("discord", context, settings, payload)


def _thread_name(rendered: str, channel: str) -> str:
    line = " ".join(rendered.split())
    if not 1 <= len(line) <= THREAD_NAME:
        raise ConfigError(
            f"channel `{channel}`: the `thread_name` has {len(line)} characters, and Discord takes 1 to {THREAD_NAME}",
            hint='a shorter one is `thread_name = "{{ version }}"`',
        )
    return line


@hookimpl
def relman_executors() -> tuple[DiscordExecutor]:
    """The one that speaks to webhooks."""
    return (DiscordExecutor(),)


class DiscordExecutor:
    """Posts once. ``remote_id`` is the message's number and, where it is in a thread, the thread's."""

    kind = "discord"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post to the Discord channel of news, as “stable-20260705”`."""
        title = printable(action.payload.get("thread_name"))
        where = f", as “{title}”" if title else ""
        return f"post to the Discord channel of `{action.channel}`{where}"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """A webhook cannot look around in its channel."""
        return Unknown("a webhook of Discord cannot look for a message whose number it does not know")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Ask who the webhook is, then post. Where the thread of the earlier post is gone, it stands by itself."""
        settings, hook = writer.settings(DiscordSettings), _webhook(action, writer)
        about = _about(hook, writer)
        content = _content(action.text("text"), settings, flags=True)
        for name, value in (("username", settings.username), ("avatar_url", settings.avatar_url)):
            if value is not None:
                content[name] = value
        earlier = _POSTED.fullmatch(str(action.payload.get("reply_to", "")))
        thread = hook.thread or (earlier[2] if earlier else None)
        response = hook.send(writer, "POST", "", content, wait="true", thread_id=thread) if thread else None
        if response is None or (not hook.thread and _code(response) == _UNKNOWN_CHANNEL):
            if title := action.payload.get("thread_name"):
                content |= {"thread_name": title, **({"applied_tags": list(settings.tags)} if settings.tags else {})}
            response = hook.send(writer, "POST", "", content, wait="true")
        _check(response, hook)
        if response.status == 204:
            detail = "accepted without a number, so that it can be neither changed nor taken back"
            return Receipt.of(action, ReceiptState.DONE, sha256=text_sha256(action), detail=detail)
        message, channel = _numbers(fields(response), "id", "channel_id")
        if message is None:
            raise AnswerLost(f"{hook} answered {response.status} without the message's number")
        inside = f" {channel}" if channel and channel != about.get("channel_id") else ""
        return Receipt.of(
            action,
            ReceiptState.DONE,
            remote_id=f"{message}{inside}",
            url=_address(about, channel, message),
            sha256=text_sha256(action),
        )

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The message says what was sent."""
        if not receipt.remote_id:
            return
        hook = _webhook(action, reader)
        path, query = _posted(receipt)
        response = reader.get(hook.address(path, **query))
        if _code(response) in (_UNKNOWN_MESSAGE, _UNKNOWN_CHANNEL):
            raise NotFound(f"the message of channel `{action.channel}` is not there")
        _check(response, hook, reading=True)
        if surviving(str(fields(response).get("content"))) != surviving(action.text("text")):
            raise Malformed(f"the message of channel `{action.channel}` says something else than what was sent")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """`PATCH …/messages/{id}`."""
        if not receipt.remote_id:
            return None
        hook = _webhook(action, writer)
        path, query = _posted(receipt)
        content = _content(action.text("text"), writer.settings(DiscordSettings), flags=False)
        response = hook.send(writer, "PATCH", path, content, **query)
        _check(response, hook)
        return Receipt.of(
            action, ReceiptState.DONE, remote_id=receipt.remote_id, url=receipt.url, sha256=text_sha256(action)
        )

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """`DELETE …/messages/{id}`; one that is gone is what was asked for."""
        if not receipt.remote_id:
            return None
        hook = _webhook(action, writer)
        path, query = _posted(receipt)
        response = hook.send(writer, "DELETE", path, None, **query)
        if _code(response) not in (_UNKNOWN_MESSAGE, _UNKNOWN_CHANNEL):
            _check(response, hook)
        return Receipt.of(action, ReceiptState.DONE, detail="deleted")


class _Webhook(msgspec.Struct, frozen=True):
    """A webhook's address in its parts; ``thread`` is the one that it names. Printed without its token."""

    channel: str
    base: str
    thread: str | None

    def __str__(self) -> str:
        return f"the webhook of channel `{self.channel}`"

    def address(self, path: str = "", /, **query: str) -> str:
        """Its address, or one below."""
        return f"{self.base}{path}{f'?{urlencode(query)}' if query else ''}"

    def send(
        self, writer: ChannelWriter, method: str, path: str, content: Mapping[str, object] | None, /, **query: str
    ) -> HttpResponse:
        """One request that changes something."""
        headers = {"Content-Type": "application/json"} if content else None
        sent = json.dumps(content).encode() if content else b""
        return writer.send(method, self.address(path, **query), content=sent, headers=headers)


def _webhook(action: Action, reader: ChannelReader) -> _Webhook:
    """The channel's webhook. Raises `Unequipped` for a secret that is no address of one; it is not repeated there."""
    secret = reader.settings(DiscordSettings).webhook
    parts = secret_address(reader.reveal(secret))
    found = _WEBHOOK.fullmatch(parts.path) if parts else None
    if parts is None or found is None:
        raise Unequipped(
            f"channel `{action.channel}`: `{secret.env}` does not hold the address of a webhook of Discord",
            hint="copy it from the channel's settings; it looks like `https://discord.com/api/webhooks/123/…`",
        )
    base = f"/api/{VERSION}/" if found["base"] == "/api/" else found["base"]
    thread = re.search(r"(?:^|&)thread_id=([0-9]{1,20})(?:&|$)", parts.query)
    address = f"{parts.scheme}://{parts.netloc}{base}webhooks/{found['id']}/{found['token']}"
    return _Webhook(str(action.channel), address, thread[1] if thread else None)


def _about(hook: _Webhook, reader: ChannelReader) -> Mapping[str, str]:
    """Server and channel of the webhook, as far as it tells. Raises where there is none: then nothing is sent."""
    response = reader.get(hook.address())
    _check(response, hook, reading=True)
    about = fields(response)
    guild, channel = _numbers(about, "guild_id", "channel_id")
    return {name: value for name, value in (("guild_id", guild), ("channel_id", channel)) if value}


def _address(about: Mapping[str, str], channel: str | None, message: str) -> str | None:
    """Where people who may see the channel read it; `None` where the webhook does not tell its server."""
    guild, channel = about.get("guild_id"), channel or about.get("channel_id")
    return f"https://discord.com/channels/{guild}/{channel}/{message}" if guild and channel else None


def _content(text: str, settings: DiscordSettings, *, flags: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"content": text, "allowed_mentions": {"parse": []}}
    if flags or not settings.previews:
        content["flags"] = 0 if settings.previews else SUPPRESS_EMBEDS
    return content


def _posted(receipt: Receipt) -> tuple[str, Mapping[str, str]]:
    """Path and query of an earlier message. Raises `Malformed` where the receipt has another kind of number."""
    found = _POSTED.fullmatch(receipt.remote_id or "")
    if not found:
        raise Malformed(f"the receipt of `{receipt.action}` has no number of a message of Discord")
    return f"/messages/{found[1]}", {"thread_id": found[2]} if found[2] else {}


def _numbers(answer: Mapping[str, Any], *names: str) -> tuple[str | None, ...]:
    values = (answer.get(name) for name in names)
    return tuple(value if isinstance(value, str) and _NUMBER.fullmatch(value) else None for value in values)


def _code(response: HttpResponse) -> object:
    """Discord's own code of an error; `None` for an answer that is none."""
    return fields(response).get("code") if response.status >= 400 else None


def _check(response: HttpResponse, hook: _Webhook, *, reading: bool = False) -> None:
    if 200 <= response.status < 300:
        return
    answer = fields(response)
    words = printable("; ".join((str(answer.get("message", "")), *_faults(answer.get("errors"))))) or body(response)
    code = answer.get("code")
    hint = _HINTS.get(code) if isinstance(code, int) else None
    if response.status == 429:
        wait = answer.get("retry_after")
        seconds = f" for {wait:g} s" if isinstance(wait, int | float) else ""
        raise Passing(f"{hook} is asked to wait{seconds}: {words}", hint="the same command later may work")
    if response.status == 404 and code in (None, 0, 10015, _UNKNOWN_CHANNEL):
        raise Unequipped(f"{hook} answered 404: {words}", hint=hint or _HINTS[10015])
    if response.status == 400 and hint:
        raise RelmanError(f"{hook} answered 400: {words}", hint=hint)
    check(response, str(hook), words, hint=hint, reading=reading)


def _faults(errors: object, depth: int = 6) -> Iterator[str]:
    """What is wrong with which field: `content: Must be 2000 or fewer in length.`"""
    if not isinstance(errors, dict) or not depth:
        return
    for name, below in list(errors.items())[:5]:
        if name == "_errors" and isinstance(below, list):
            yield from (str(fault.get("message", "")) for fault in below[:3] if isinstance(fault, dict))
        else:
            yield from (f"{name}: {fault}" if ": " not in fault else fault for fault in _faults(below, depth - 1))
