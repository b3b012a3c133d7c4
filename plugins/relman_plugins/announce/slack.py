"""Announces in a channel of Slack: as an app (https://docs.slack.dev/reference/methods/chat.postMessage), by webhook.

An app's message carries our key as metadata and is found by it in the channel's history. A webhook answers `ok` and
tells nothing else: what was posted by one is neither found nor changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode, urlsplit

from pydantic import Field, StringConstraints, model_validator

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    AnswerLost,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    Malformed,
    NotShown,
    Passing,
    RelmanError,
    Secret,
    Slot,
    Unequipped,
    hookimpl,
)
from relman_plugins.announce.answers import body, check, fields, printable, secret_address, under
from relman_plugins.announce.texts import announcement, rendered, replying, since, text_sha256

LIMIT = 4000
"""Characters of a message. Slack cuts at 40,000, and shows what has more than 4,000 as several messages."""
PAGE, PAGES = 200, 20
"""Messages of the history that are read at once, and how often."""
EVENT = "relman_release"
WITHDRAWN = "*Withdrawn.* This announcement no longer stands."

_ID = re.compile(r"[CDG][A-Z0-9]{5,31}")
_POSTED = re.compile(r"([CDG][A-Z0-9]{1,31}) ([0-9]{1,12}\.[0-9]{1,9})")
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
_NO_THREAD = frozenset({"thread_not_found", "message_not_found", "cannot_reply_to_message", "invalid_thread_ts"})
_BLIND = frozenset({"missing_scope", "not_in_channel", "channel_not_found", "not_allowed_token_type", "no_permission"})
_DOUBTFUL = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
"""Errors of which Slack says that some of it may have been done, or nothing at all."""
_MISSING = {
    "invalid_auth": "the token is wrong",
    "not_authed": "the token is wrong",
    "token_revoked": "the token was revoked: install the app anew",
    "token_expired": "the token has expired",
    "account_inactive": "the token is of somebody who is gone: install the app anew",
    "not_allowed_token_type": "take the token of a bot, `xoxb-…`",
    "missing_scope": "the app needs the scope `chat:write`; to find its posts again `channels:history`, too",
    "not_in_channel": "invite the app to the channel: `/invite @NAME`",
    "no_permission": "what the app may do in this workspace",
    "restricted_action": "who may post in this channel",
    "access_denied": "what the app may do in this workspace",
    "ekm_access_denied": "what the app may do in this workspace",
    "org_login_required": "the workspace is being moved; try again later",
}
_HINTS = {
    "channel_not_found": "`channel` is its id (`C…`), and a private one has to have the app in it",
    "is_archived": "the channel is archived",
    "msg_too_long": "make a new plan with a smaller `limit` in its table",
    "edit_window_closed": "this workspace lets nobody change messages so old",
}


class SlackSettings(ChannelSettings):
    """`type = "slack"`: ``token`` and ``channel``, or ``webhook``. ``api`` is another address than Slack's own."""

    token: Secret | None = None
    channel: Annotated[str, StringConstraints(pattern=r"^#?[^\s#@<>&]+$", max_length=100)] | None = None
    webhook: Secret | None = None
    api: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")] = "https://slack.com/api"
    limit: Annotated[int, Field(ge=1, le=40_000)] = LIMIT
    previews: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.token is None) != (self.channel is None) or (self.token is None) == (self.webhook is None):
            raise ValueError("it takes `token` and `channel`, or `webhook`")
        return self


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "slack"`."""
    return (Slot("announce", "slack", SlackSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A message for each table; an app answers its own on the release that this one follows up."""
    for settings in context.settings(SlackSettings):
        name = settings.name or settings.type
        earlier = context.earlier.get(name)
        text = rendered(context, settings, format="slack", limit=settings.limit)
        payload: dict[str, object] = {"text": text}
        payload |= replying(earlier) | since(context)
        yield announcement("slack", context, settings, payload)


@hookimpl
def relman_executors() -> tuple[SlackExecutor]:
    """The one that speaks to Slack."""
    return (SlackExecutor(),)


class SlackExecutor:
    """Posts once. ``remote_id`` is the channel's id and the message's time, which is its number."""

    kind = "slack"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post to the Slack channel of news`."""
        return f"post to the Slack channel of `{action.channel}`"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Look for our key in the channel's history, back to when the newest image was built."""
        settings = reader.settings(SlackSettings)
        if settings.channel is None:
            return Unknown("a webhook of Slack cannot be asked what it has posted")
        if not _ID.fullmatch(settings.channel):
            return Unknown(f"Slack shows the history of a channel by its id (`C…`), and not of `{settings.channel}`")
        since = action.payload.get("since")
        past = isinstance(since, int) and since < reader.now.timestamp()
        query: dict[str, object] = {"limit": PAGE, **({"oldest": since} if past else {})}
        for _ in range(PAGES):
            answer = _ask(action, reader, "conversations.history", {**query, "channel": settings.channel})
            if (error := answer.get("error")) in _BLIND:
                return Unknown(f"the channel's history cannot be read: Slack answers `{error}`")
            _refuse(answer, action, "conversations.history", reading=True)
            messages = answer.get("messages")
            if not isinstance(messages, list):  # that nothing is there is said by an empty list alone
                raise Malformed(f"conversations.history of channel `{action.channel}` was answered without messages")
            for message in messages:
                ts = under(message, "ts")
                if _is_ours(message, action) and isinstance(ts, str) and _TS.fullmatch(ts):
                    return _receipt(action, reader, ReceiptState.ADOPTED, settings.channel, ts)
            if answer.get("has_more") is not True:
                return None
            cursor = under(answer, "response_metadata", "next_cursor")
            if not isinstance(cursor, str) or not cursor:
                return Unknown("Slack does not show all of the channel's history")
            query["cursor"] = cursor
        return Unknown(f"there are more than {PAGE * PAGES:,} messages in the channel since then")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """`chat.postMessage`, or the webhook. In a thread that is gone it stands by itself."""
        settings = writer.settings(SlackSettings)
        message: dict[str, object] = {
            "text": action.text("text"),
            "unfurl_links": settings.previews,
            "unfurl_media": settings.previews,
        }
        if settings.channel is None:
            return _by_webhook(action, writer, message)
        message |= {"channel": settings.channel, "metadata": _metadata(action)}
        answer: Mapping[str, Any] = {}
        earlier = _POSTED.fullmatch(str(action.payload.get("reply_to", "")))
        if earlier and (earlier[1] == settings.channel or not _ID.fullmatch(settings.channel)):
            # also in the channel: a release that only followers of an old thread hear of is not announced
            threaded = {**message, "thread_ts": earlier[2], "reply_broadcast": True}
            answer = _tell(action, writer, "chat.postMessage", threaded)
        if not answer or answer.get("error") in _NO_THREAD:
            answer = _tell(action, writer, "chat.postMessage", message)
        _refuse(answer, action, "chat.postMessage")
        channel, ts = answer.get("channel"), answer.get("ts")
        if not _POSTED.fullmatch(f"{channel} {ts}"):
            raise AnswerLost(
                f"chat.postMessage of channel `{action.channel}` was answered without the message's number"
            )
        return _receipt(action, writer, ReceiptState.DONE, str(channel), str(ts))

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The message is there, with our key. Its text is not compared: Slack rewrites emoji and addresses."""
        posted = _POSTED.fullmatch(receipt.remote_id or "")
        if posted is None:
            return
        query = {"channel": posted[1], "oldest": posted[2], "latest": posted[2], "inclusive": "true", "limit": 1}
        answer = _ask(action, reader, "conversations.history", query)
        if answer.get("error") in _BLIND:
            return
        _refuse(answer, action, "conversations.history", reading=True)
        messages = answer.get("messages")
        if not any(_is_ours(message, action) for message in (messages if isinstance(messages, list) else ())):
            raise NotShown(f"the message of channel `{action.channel}` is not in the channel's history")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """`chat.update`; a webhook cannot."""
        posted = _POSTED.fullmatch(receipt.remote_id or "")
        if posted is None or writer.settings(SlackSettings).token is None:
            return None
        _update(action, writer, posted[1], posted[2], action.text("text"))
        return Receipt.of(
            action, ReceiptState.DONE, remote_id=receipt.remote_id, url=receipt.url, sha256=text_sha256(action)
        )

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """`chat.delete`; where the workspace lets nobody delete, the message says that it is withdrawn."""
        posted = _POSTED.fullmatch(receipt.remote_id or "")
        if posted is None or writer.settings(SlackSettings).token is None:
            return None
        answer = _tell(action, writer, "chat.delete", {"channel": posted[1], "ts": posted[2]})
        if answer.get("error") in ("cant_delete_message", "compliance_exports_prevent_deletion"):
            _update(action, writer, posted[1], posted[2], WITHDRAWN)
            detail = "this workspace lets nobody delete: the message says that it is withdrawn"
            return Receipt.of(action, ReceiptState.DONE, remote_id=receipt.remote_id, url=receipt.url, detail=detail)
        if answer.get("error") != "message_not_found":
            _refuse(answer, action, "chat.delete")
        return Receipt.of(action, ReceiptState.DONE, detail="deleted")


def _by_webhook(action: Action, writer: ChannelWriter, message: Mapping[str, object]) -> Receipt:
    secret = writer.settings(SlackSettings).webhook
    who = f"the webhook of channel `{action.channel}`"
    address = secret_address(writer.reveal(secret))
    if address is None:
        raise Unequipped(f"{who} is not the address of one: it begins with `https://hooks.slack.com/services/`")
    content = json.dumps(message).encode()
    response = writer.send("POST", address.geturl(), content=content, headers={"Content-Type": "application/json"})
    hint = "make another webhook, and put its address into the variable"
    check(response, who, body(response), hint=hint if response.status in (403, 404, 410) else None)
    if response.content.strip() != b"ok":
        raise AnswerLost(f"{who} answered {response.status}, and not `ok`: {body(response)}")
    detail = "a webhook tells no number, so that it can be neither changed nor taken back"
    return Receipt.of(action, ReceiptState.DONE, sha256=text_sha256(action), detail=detail)


def _metadata(action: Action) -> dict[str, object]:
    return {"event_type": EVENT, "event_payload": {"key": action.key}}


def _is_ours(message: object, action: Action) -> bool:
    kind, key = under(message, "metadata", "event_type"), under(message, "metadata", "event_payload", "key")
    return (kind, key) == (EVENT, action.key)


def _receipt(action: Action, reader: ChannelReader, state: ReceiptState, channel: str, ts: str) -> Receipt:
    url = _permalink(action, reader, channel, ts)
    return Receipt.of(action, state, remote_id=f"{channel} {ts}", url=url, sha256=text_sha256(action))


def _permalink(action: Action, reader: ChannelReader, channel: str, ts: str) -> str | None:
    """Where people read it; `None` where Slack does not say, which makes the message no less posted."""
    try:
        answer = _ask(action, reader, "chat.getPermalink", {"channel": channel, "message_ts": ts})
        parts = urlsplit(link := str(answer.get("permalink", "")))
    except (RelmanError, ValueError):
        return None
    host = parts.hostname or ""
    fine = parts.scheme == "https" and host.endswith(".slack.com") and parts.netloc == host and link.isprintable()
    return link if fine and len(link) <= 300 else None


def _update(action: Action, writer: ChannelWriter, channel: str, ts: str, text: str) -> None:
    message = {"channel": channel, "ts": ts, "text": text, "metadata": _metadata(action)}
    _refuse(_tell(action, writer, "chat.update", message), action, "chat.update")


def _ask(action: Action, reader: ChannelReader, method: str, query: Mapping[str, object]) -> Mapping[str, Any]:
    """The answer of a method that only reads, `"ok": false` included."""
    if method == "conversations.history":
        query = {**query, "include_all_metadata": "true"}
    settings = reader.settings(SlackSettings)
    token = reader.reveal(settings.token)
    address = f"{settings.api.rstrip('/')}/{method}?{urlencode(query)}"
    response = reader.get(address, headers={"Authorization": f"Bearer {token}"})
    answer = fields(response)
    if not isinstance(answer.get("ok"), bool):
        check(response, f"{method} of channel `{action.channel}`", body(response), reading=True)
        raise Passing(f"{method} of channel `{action.channel}` was answered, but not by Slack")
    return answer


def _tell(action: Action, writer: ChannelWriter, method: str, message: Mapping[str, object]) -> Mapping[str, Any]:
    """The answer of a method that changes something, `"ok": false` included. Raises `AnswerLost` for another."""
    settings = writer.settings(SlackSettings)
    token = writer.reveal(settings.token)
    response = writer.send(
        "POST",
        f"{settings.api.rstrip('/')}/{method}",
        content=json.dumps(message).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"},
    )
    answer = fields(response)
    if not isinstance(answer.get("ok"), bool) or (answer["ok"] and response.status != 200):
        check(response, f"{method} of channel `{action.channel}`", body(response))
        raise AnswerLost(f"{method} of channel `{action.channel}` was answered, but not with what Slack answers")
    return answer


def _refuse(answer: Mapping[str, Any], action: Action, method: str, *, reading: bool = False) -> None:
    """Raises what `"ok": false` means."""
    if answer.get("ok") is True:
        return
    error, told = printable(answer.get("error")), under(answer, "response_metadata", "messages")
    lines = [str(line) for line in told[:3]] if isinstance(told, list) else []
    more = printable(str(answer.get("needed") or "; ".join(lines)))
    saying = f"{method} of channel `{action.channel}` was refused: {error}{f' ({more})' if more else ''}"
    if error in ("ratelimited", "rate_limited", "message_limit_exceeded"):
        raise Passing(saying, hint="Slack asks to wait; the same command later may work")
    if error in _DOUBTFUL:
        raise Passing(saying) if reading else AnswerLost(f"{saying}; it may have been posted all the same")
    if error in _MISSING:
        raise Unequipped(saying, hint=_MISSING[error])
    raise RelmanError(saying, hint=_HINTS.get(error))
