"""Announces in a room of Matrix (https://spec.matrix.org/latest/client-server-api/).

The server takes a transaction of an access token once. A message also carries our key in its content, by which it is
found in the room's history, days later and with another token. Only messages of our own account count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

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
    NotShown,
    RelmanError,
    Secret,
    Slot,
    hookimpl,
)
from relman_plugins.announce.answers import body, check, fields, printable, under
from relman_plugins.announce.texts import announcement, replying, since, text_sha256

EVENT_LIMIT = 65_536
"""Bytes of an event at most, as canonical JSON (Client-Server API, "Size limits")."""
LIMIT = 24_000
"""Bytes of the text, and of its HTML: both are in the event, with what servers add."""
KEY = "org.relman.key"
PAGE, PAGES = 100, 50
"""Messages of the history that are read at once, and how often."""
TRIES = 3
"""The same transaction is sent again where its answer was lost: the server takes it once."""

_ROOM = re.compile(r"![^\s:/?#]{1,200}(:[^\s/?#]{1,200})?")
_EVENT = re.compile(r"\$[A-Za-z0-9+/_=.:-]{1,200}")
_POSTED = re.compile(rf"({_ROOM.pattern}) ({_EVENT.pattern})")
_HINTS = {
    "M_UNKNOWN_TOKEN": "the token is wrong, or was logged out",
    "M_MISSING_TOKEN": "the token is empty",
    "M_FORBIDDEN": "invite the account of the token into the room, join, and let it write there",
}


class MatrixSettings(ChannelSettings):
    """`type = "matrix"`. ``room`` is an id (`!…`) or an address (`#…:server`); ``url`` is that of the homeserver."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")]
    room: Annotated[str, StringConstraints(pattern=r"^(![^\s/?#]+|#[^\s/?]+:[^\s/?#]+)$", max_length=255)]
    token: Secret
    limit: Annotated[int, Field(ge=1, le=LIMIT)] = LIMIT


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "matrix"`."""
    return (Slot("announce", "matrix", MatrixSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A message for each table, as text and as HTML; it answers the one on the release that this one follows up."""
    for settings in context.settings(MatrixSettings):
        name = settings.name or settings.type
        earlier = context.earlier.get(name)
        template = settings.template or "post.md.j2"
        limits: Mapping[str, Any] = {"limit": settings.limit, "measure": "bytes", "url": context.page}
        payload: dict[str, object] = {
            "text": context.renderer.post(template, format="text", **limits),
            "html": context.renderer.post(template, format="html", **limits),
        }
        payload |= replying(earlier) | since(context)
        yield announcement("matrix", context, settings, payload)


@hookimpl
def relman_executors() -> tuple[MatrixExecutor]:
    """The one that speaks to homeservers."""
    return (MatrixExecutor(),)


class Home(msgspec.Struct, frozen=True):
    """A homeserver, as an action's channel reaches it."""

    action: Action
    reader: ChannelReader

    @property
    def settings(self) -> MatrixSettings:
        """The channel's table."""
        return self.reader.settings(MatrixSettings)

    def headers(self) -> Mapping[str, str]:
        """With the token."""
        token = self.reader.reveal(self.settings.token).strip()
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def address(self, *path: str, **query: object) -> str:
        """Of a resource below `/_matrix/client/v3`, each part of its path quoted."""
        below = "/".join(quote(part, safe="") for part in path)
        return f"{self.settings.url.rstrip('/')}/_matrix/client/v3/{below}" + (f"?{urlencode(query)}" if query else "")

    def get(self, *path: str, **query: object) -> Mapping[str, Any]:
        """What the server shows. Raises `NotFound` for what is not there."""
        answer = self.reader.get(self.address(*path, **query), headers=self.headers())
        if answer.status == 404:
            raise NotFound(f"the server of channel `{self.action.channel}` has no {path[-1]}: {_words(answer)}")
        self.check(answer, reading=True)
        return fields(answer)

    def check(self, answer: HttpResponse, *, reading: bool = False) -> None:
        """Return where the answer is a success."""
        hint = _HINTS.get(str(fields(answer).get("errcode")))
        check(answer, f"the server of channel `{self.action.channel}`", _words(answer), hint=hint, reading=reading)

    def room(self) -> str:
        """The id of the room, looked up where the table has its address."""
        room = self.settings.room
        found = room if room.startswith("!") else self.get("directory", "room", room).get("room_id")
        if not isinstance(found, str) or not _ROOM.fullmatch(found):
            raise Malformed(f"the server of channel `{self.action.channel}` gives `{printable(found)}` for {room}")
        return found

    def account(self) -> str:
        """Whose token it is."""
        user = self.get("account", "whoami").get("user_id")
        if not isinstance(user, str):
            raise Malformed(f"the server of channel `{self.action.channel}` does not say whose token it is")
        return user

    def require_plain(self, room: str) -> None:
        """Raise where what is written in the room is encrypted, and so has to be written by a client."""
        try:
            self.get("rooms", room, "state", "m.room.encryption")
        except NotFound:
            return
        raise ConfigError(
            f"the room of channel `{self.action.channel}` is encrypted, and a message of relman's would not be",
            hint="announce in a room that is not",
        )


class MatrixExecutor:
    """Posts once. ``remote_id`` is the room's id and the event's."""

    kind = "matrix"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post to the Matrix room of news`."""
        return f"post to the Matrix room of `{action.channel}`"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Look for our key among our own messages in the room, back to when the newest image was built."""
        home = Home(action, reader)
        room, account = home.room(), home.account()
        since = action.payload.get("since")
        oldest = since * 1000 if isinstance(since, int) and since < reader.now.timestamp() else 0
        query: dict[str, object] = {"dir": "b", "limit": PAGE, "filter": json.dumps({"types": ["m.room.message"]})}
        for _ in range(PAGES):
            page = home.get("rooms", room, "messages", **query)
            chunk = page.get("chunk")
            if not isinstance(chunk, list):  # that nothing is there is said by an empty list alone
                raise Malformed(f"the server of channel `{action.channel}` does not show the room's messages")
            for event in chunk:
                id = under(event, "event_id")
                if _is_ours(event, action, account) and isinstance(id, str) and _EVENT.fullmatch(id):
                    return _receipt(action, ReceiptState.ADOPTED, room, id)
            times = [at for event in chunk if isinstance(at := under(event, "origin_server_ts"), int)]
            end = page.get("end")
            if not isinstance(end, str) or (times and min(times) < oldest):
                return None
            query["from"] = end
        return Unknown(f"there are more than {PAGE * PAGES:,} messages in the room since then")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Send the message, in answer to the earlier one where there is one in this room."""
        home = Home(action, writer)
        room = home.room()
        home.require_plain(room)
        content = _content(action)
        earlier = _POSTED.fullmatch(str(action.payload.get("reply_to", "")))
        if earlier and earlier[1] == room:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": earlier.group(3)}}
        return _receipt(action, ReceiptState.DONE, room, _sent(home, writer, room, content, action.key))

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The event is in the room, with our key and our text, or a correction of it."""
        posted = _POSTED.fullmatch(receipt.remote_id or "")
        if posted is None:
            raise Malformed(f"`{printable(receipt.remote_id)}` is not the number of a message")
        room, id = posted[1], posted.group(3)
        try:
            event = Home(action, reader).get("rooms", room, "event", id)
        except NotFound as error:
            raise NotShown(error.message) from error
        content = under(event, "content")
        latest = under(event, "unsigned", "m.relations", "m.replace", "content", "m.new_content") or content
        if under(content, KEY) != action.key:
            raise NotFound(f"the message of channel `{action.channel}` was taken away")
        if action.text("text") not in (under(latest, "body"), under(content, "body")):
            raise Malformed(f"the message of channel `{action.channel}` says something else")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Replace the message's content by an event that points to it (`m.replace`)."""
        posted = _POSTED.fullmatch(receipt.remote_id or "")
        if posted is None:
            return None
        room, id = posted[1], posted.group(3)
        content = _content(action)
        content = {
            **content,
            "body": f"* {content['body']}",
            "m.new_content": content,
            "m.relates_to": {"rel_type": "m.replace", "event_id": id},
        }
        content.pop(KEY)
        _sent(Home(action, writer), writer, room, content, _later(action, writer, "edit"))
        return _receipt(action, ReceiptState.DONE, room, id)

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Redact the message: its text is gone for everybody."""
        posted = _POSTED.fullmatch(receipt.remote_id or "")
        if posted is None:
            return None
        home = Home(action, writer)
        address = home.address("rooms", posted[1], "redact", posted.group(3), _later(action, writer, "undo"))
        answer = writer.send("PUT", address, content=b'{"reason": "withdrawn"}', headers=home.headers())
        if answer.status != 404:
            home.check(answer)
        return Receipt.of(action, ReceiptState.DONE, detail="redacted")


def _later(action: Action, writer: ChannelWriter, what: str) -> str:
    """A transaction of this run: another correction, later, is another one, whatever it says."""
    return f"{action.key}.{what}.{int(writer.now.timestamp())}"


def _sent(home: Home, writer: ChannelWriter, room: str, content: Mapping[str, object], transaction: str) -> str:
    """The number of the event. Raises `AnswerLost` where no try was answered."""
    payload = json.dumps(content, ensure_ascii=False).encode()
    if len(payload) > EVENT_LIMIT - 4096:
        raise RelmanError(f"the message of channel `{home.action.channel}` has {len(payload):,} bytes: too many")
    address = home.address("rooms", room, "send", "m.room.message", transaction)
    for left in reversed(range(TRIES)):
        try:
            answer = writer.send("PUT", address, content=payload, headers=home.headers())
            home.check(answer)
        except AnswerLost:
            if not left:
                raise
        else:
            break
    id = fields(answer).get("event_id")
    if not isinstance(id, str) or not _EVENT.fullmatch(id):
        raise AnswerLost(f"the server of channel `{home.action.channel}` answered without the message's number")
    return id


def _content(action: Action) -> dict[str, object]:
    return {
        "msgtype": "m.notice",
        "body": action.text("text"),
        "format": "org.matrix.custom.html",
        "formatted_body": action.text("html"),
        "m.mentions": {},
        KEY: action.key,
    }


def _is_ours(event: object, action: Action, account: str) -> bool:
    return bool(under(event, "sender") == account and under(event, "content", KEY) == action.key)


def _receipt(action: Action, state: ReceiptState, room: str, event: str) -> Receipt:
    url = f"https://matrix.to/#/{quote(room, safe='!:')}/{quote(event, safe='$:')}"
    return Receipt.of(action, state, remote_id=f"{room} {event}", url=url, sha256=text_sha256(action))


def _words(answer: HttpResponse) -> str:
    found = fields(answer)
    return printable(f"{found.get('errcode', '')} {found.get('error', '')}".strip()) or body(answer)
