"""Telegram's Bot API, checked by the description of Bot API 5.5 with what was added since: one bot, some chats."""

from __future__ import annotations

import html
import re
import ssl
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from tests.servers import Asked, Reply
from tests.standins.base import Call, Standin, answer, on

LONGEST = 4096
"""Characters of a message "after entities parsing"."""
TAGS = frozenset(
    [
        "b",
        "strong",
        "i",
        "em",
        "u",
        "ins",
        "s",
        "strike",
        "del",
        "span",
        "tg-spoiler",
        "a",
        "tg-emoji",
        "code",
        "pre",
        "blockquote",
    ]
)
RESERVED = re.compile(r"(?<!\\)[>#+\-=|{}.!]")
"""What MarkdownV2 wants to have escaped wherever it stands (the rest is markup)."""


class Telegram(Standin):
    """A bot with ``token``, which may write into `chats`."""

    name = "telegram"

    def __init__(self, *, token: str = "123456:composed-bot-token", tls: ssl.SSLContext | None = None) -> None:
        self.token = token
        self.chats: dict[str, dict[str, Any]] = {
            "@acme_os": {"id": -1001234567890, "type": "channel", "title": "acme", "username": "acme_os"}
        }
        """By the name or the number that a request says; a private one has no name."""
        self.posts: list[dict[str, Any]] = []
        """What is there to be read, the oldest first: ``message_id``, ``chat_id`` and what was posted."""
        self._ids = iter(range(1, 10**9))
        super().__init__(tls=tls)

    def base_of(self, asked: Asked) -> str | None:
        """The token is part of the path."""
        found = re.match(r"/bot[^/]+(?=/)", asked.path)
        return found[0] if found else None

    def unknown(self, asked: Asked) -> Reply:
        """As Telegram words it."""
        return _error(404, "Not Found")

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse other tokens, and chats that the bot is not in."""
        if not call.asked.path.startswith(f"/bot{self.token}/"):
            return _error(401, "Unauthorized")
        if "chat_id" in call.body and self._chat(call) is None:
            return _error(400, "Bad Request: chat not found")
        return handler(call)

    @on("POST /getMe")
    def _me(self, call: Call) -> Reply:
        return _result({"id": 123456, "is_bot": True, "first_name": "relman", "username": "relman_bot"})

    @on("POST /getChat")
    def _get_chat(self, call: Call) -> Reply:
        return _result(self._chat(call))

    @on("POST /sendMessage")
    def _send(self, call: Call) -> Reply:
        fault = _unreadable(call.body)
        if fault is not None:
            return _error(400, f"Bad Request: {fault}")
        chat = self._chat(call)
        assert chat is not None
        post = {**call.body, "message_id": next(self._ids), "chat_id": chat["id"]}
        self.posts.append(post)
        return _result(self._shown(post))

    @on("POST /editMessageText")
    def _edit(self, call: Call) -> Reply:
        post = self._post(call)
        if post is None:
            return _error(400, "Bad Request: message to edit not found")
        fault = _unreadable(call.body)
        if fault is not None:
            return _error(400, f"Bad Request: {fault}")
        new = {**post, **call.body, "chat_id": post["chat_id"]}
        if new == post:
            return _error(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
                "same as a current content and reply markup of the message",
            )
        post.update(new)
        return _result(self._shown(post))

    @on("POST /deleteMessage")
    def _delete(self, call: Call) -> Reply:
        post = self._post(call)
        if post is None:
            return _error(400, "Bad Request: message to delete not found")
        self.posts.remove(post)
        return _result(True)

    def _chat(self, call: Call) -> dict[str, Any] | None:
        said = str(call.body.get("chat_id"))
        known = {**self.chats, **{str(chat["id"]): chat for chat in self.chats.values()}}
        return known.get(said)

    def _post(self, call: Call) -> dict[str, Any] | None:
        chat = self._chat(call) or {}
        wanted = (chat.get("id"), call.body.get("message_id"))
        return next((post for post in self.posts if (post["chat_id"], post["message_id"]) == wanted), None)

    def _shown(self, post: dict[str, Any]) -> dict[str, Any]:
        chat = next(chat for chat in self.chats.values() if chat["id"] == post["chat_id"])
        text = readable(post["text"], post.get("parse_mode"))
        return {"message_id": post["message_id"], "date": 1782259200, "chat": chat, "text": text}


class Unparsed(ValueError):
    """A text that is not what its ``parse_mode`` says."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in TAGS:
            raise Unparsed(f'Unsupported start tag "{tag}" at byte offset {self.getpos()[1]}')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise Unparsed(f'Unmatched end tag at byte offset {self.getpos()[1]}, found "</{tag}>"')

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise Unparsed(f'Unsupported start tag "" at byte offset {self.getpos()[1]}')
        self.text.append(data)

    def handle_entityref(self, name: str) -> None:
        self.text.append(html.unescape(f"&{name};") if name in ("lt", "gt", "amp", "quot") else f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.text.append(html.unescape(f"&#{name};"))


def readable(text: str, mode: str | None) -> str:
    """What readers see of a text; raises `Unparsed`."""
    if mode == "HTML":
        reader = _Reader()
        reader.feed(text)
        reader.close()
        if reader.open:
            raise Unparsed(f'Can\'t find end tag corresponding to start tag "{reader.open[-1]}"')
        return "".join(reader.text)
    if mode == "MarkdownV2":
        outside = re.sub(r"(?s)```.*?```|`.*?`|\]\([^)]*\)", "", text)
        if found := RESERVED.search(outside):
            raise Unparsed(f"Character '{found[0]}' is reserved and must be escaped with the preceding '\\'")
        return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)[*_~|`]", "", text))
    return text


def _unreadable(said: dict[str, Any]) -> str | None:
    try:
        seen = readable(said["text"], said.get("parse_mode"))
    except Unparsed as error:
        return f"can't parse entities: {error}"
    if not seen.strip():
        return "message text is empty"
    return "message is too long" if len(seen) > LONGEST else None


def _result(result: object) -> Reply:
    return answer({"ok": True, "result": result})


def _error(status: int, description: str) -> Reply:
    return answer({"ok": False, "error_code": status, "description": description}, status)
