"""Discourse, Discord, Slack and Telegram for the tests, as far as announcements go: small, strict, and on loopback.

Each keeps what was posted, refuses what its service refuses, and checks requests by the service's published
description (tests/openapi). A request that does not conform fails the test when the server is left.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.openapi.checking import check_request, describe
from tests.servers import Asked, Fault, Reply, Scripted

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def said(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(document).encode())


class Chat(Scripted):
    """What they have in common: descriptions, faults, and who is asked."""

    name: ClassVar[str]
    base: ClassVar[str] = ""
    beside: ClassVar[tuple[str, ...]] = ()
    """Patterns of ``METHOD path`` that the service has and its description has not."""

    def __init__(self, **options: Any) -> None:
        self.faults: list[Fault] = []
        self.violations: list[str] = []
        super().__init__(self._checked, **options)

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        assert not self.violations, "\n".join(self.violations)

    @property
    def writes(self) -> list[str]:
        """What was asked for that changes something: ``METHOD path``."""
        return [asked.line for asked in self.asked if asked.method in WRITES]

    def below(self, path: str) -> str:
        """The path as the description has it."""
        return path.removeprefix(self.base)

    def serve(self, asked: Asked, path: str, query: dict[str, str], body: Any) -> Reply:
        """The answer; ``path`` is without base and query."""
        raise NotImplementedError

    def _checked(self, asked: Asked) -> Reply:
        path = self.below(asked.path)
        if not any(re.fullmatch(pattern, f"{asked.method} {urlsplit(path).path}") for pattern in self.beside):
            self.violations += check_request(describe(self.name), asked.method, path, asked.headers, asked.body)
        body = json.loads(asked.body) if asked.body else {}
        query = {name: values[-1] for name, values in parse_qs(urlsplit(path).query).items()}

        def forward() -> Reply:
            return self.serve(asked, urlsplit(path).path, query, body)

        for fault in self.faults:
            if (reply := fault(asked, forward)) is not None:
                return reply
        return forward()


# -------------------------------------------------------------------------------------------------- Discord


class Discord(Chat):
    """A channel with a webhook; ``forum`` where it is one, ``silent`` where 204 is all that it answers."""

    name = "discord"
    base = "/api/v10"
    hook = "112233445566778899"
    token = "composed-Discord_token.of-sixty-and-more-characters-0123456789abcdef"
    guild, channel = "223344556677889900", "334455667788990011"

    def __init__(self, *, forum: bool = False, silent: bool = False, **options: Any) -> None:
        self.forum, self.silent = forum, silent
        self.messages: dict[str, dict[str, Any]] = {}
        self.threads: set[str] = set()
        self._ids = iter(range(445566778899001122, 10**19))
        super().__init__(**options)

    @property
    def webhook(self) -> str:
        """The address as people copy it."""
        return f"{self.url}/api/webhooks/{self.hook}/{self.token}"

    def serve(self, asked: Asked, path: str, query: dict[str, str], body: Any) -> Reply:
        at = f"/webhooks/{self.hook}/{self.token}"
        if not path.startswith(at):
            return said({"message": "Invalid Webhook Token", "code": 50027}, 401)
        rest = path.removeprefix(at)
        if not rest:
            if asked.method == "GET":
                return said({"id": self.hook, "guild_id": self.guild, "channel_id": self.channel, "type": 1})
            return self._posted(query, body)
        message = self.messages.get(rest.removeprefix("/messages/"))
        if message is None or message["channel_id"] != query.get("thread_id", self.channel):
            return said({"message": "Unknown Message", "code": 10008}, 404)
        if asked.method == "DELETE":
            del self.messages[message["id"]]
            return Reply(204)
        if asked.method == "PATCH":
            if fault := self._fault(body):
                return fault
            message["content"] = body["content"]
        return said(message)

    def _posted(self, query: dict[str, str], body: Any) -> Reply:
        if fault := self._fault(body):
            return fault
        thread = query.get("thread_id")
        if thread is not None and thread not in self.threads:
            return said({"message": "Unknown Channel", "code": 10003}, 404)
        if self.forum and thread is None and not body.get("thread_name"):
            words = "Webhooks posted to forum channels must have a thread_name or thread_id"
            return said({"message": words, "code": 220001}, 400)
        if not self.forum and body.get("thread_name"):
            words = "Webhooks can only create threads in forum channels"
            return said({"message": words, "code": 220003}, 400)
        number = str(next(self._ids))
        place = thread or (number if self.forum else self.channel)
        if self.forum:
            self.threads.add(place)
        kept = {"id": number, "channel_id": place, "webhook_id": self.hook, "title": body.get("thread_name")}
        self.messages[number] = {**kept, **{name: body.get(name) for name in ("content", "username", "flags")}}
        return Reply(204) if self.silent or query.get("wait") != "true" else said(self.messages[number])

    def _fault(self, body: Any) -> Reply | None:
        if body.get("allowed_mentions") != {"parse": []}:
            self.violations.append("a message that may ping somebody")
        if 1 <= len(body["content"]) <= 2000:
            return None
        wrong = {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}
        return said({"message": "Invalid Form Body", "code": 50035, "errors": {"content": {"_errors": [wrong]}}}, 400)


# ---------------------------------------------------------------------------------------------------- Slack


class Slack(Chat):
    """A workspace with one channel. ``refused`` are errors by method; ``page`` is how much history is shown at once."""

    name = "slack"
    base = "/api"
    beside = (r"POST /services/.*",)
    token = "xoxb-composed-0123456789-of-slack"
    channel = "C0COMPOSED"

    def __init__(self, *, page: int = 1000, **options: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refused: dict[str, str] = {}
        self.page = page
        self._times = iter(range(1783339200, 10**10))
        super().__init__(**options)

    @property
    def webhook(self) -> str:
        """The address of an incoming webhook."""
        return f"{self.url}/services/T0COMPOSED/B0COMPOSED/composedSecretOfAWebhook"

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def say(self, text: str, **more: Any) -> str:
        """Something that somebody wrote."""
        ts = f"{next(self._times)}.000100"
        self.messages.append({"type": "message", "ts": ts, "text": text, **more})
        return ts

    def serve(self, asked: Asked, path: str, query: dict[str, str], body: Any) -> Reply:
        if path.startswith("/services/"):
            if not self.webhook.endswith(path):
                return Reply(403, {}, b"invalid_token")
            if len(body.get("text", "")) > 40_000:
                return Reply(400, {}, b"invalid_payload")
            self.say(body["text"])
            return Reply(200, {"Content-Type": "text/html"}, b"ok")
        method = path.removeprefix("/")
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return said({"ok": False, "error": "invalid_auth"})
        if method in self.refused:
            return said({"ok": False, "error": self.refused[method]})
        told = {**query, **body}
        if told.get("channel") not in (self.channel, "#releases") or (
            method != "chat.postMessage" and told["channel"] != self.channel
        ):
            return said({"ok": False, "error": "channel_not_found"})
        handler: Callable[[dict[str, Any]], Reply] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "conversations.history": self._history,
        }[method]
        return handler(told)

    def _post(self, told: dict[str, Any]) -> Reply:
        if len(told["text"]) > 40_000:
            return said({"ok": False, "error": "msg_too_long"})
        thread = told.get("thread_ts")
        if thread and not self._found(thread):
            return said({"ok": False, "error": "thread_not_found"})
        kept = {name: told[name] for name in ("metadata", "thread_ts", "reply_broadcast") if name in told}
        ts = self.say(told["text"], **kept)
        return said({"ok": True, "channel": self.channel, "ts": ts, "message": self.messages[-1]})

    def _update(self, told: dict[str, Any]) -> Reply:
        message = self._found(told["ts"])
        if message is None:
            return said({"ok": False, "error": "message_not_found"})
        message |= {"text": told["text"], "metadata": told["metadata"]}
        return said({"ok": True, "channel": self.channel, "ts": told["ts"], "text": told["text"], "message": message})

    def _delete(self, told: dict[str, Any]) -> Reply:
        message = self._found(told["ts"])
        if message is None:
            return said({"ok": False, "error": "message_not_found"})
        self.messages.remove(message)
        return said({"ok": True, "channel": self.channel, "ts": told["ts"]})

    def _permalink(self, told: dict[str, Any]) -> Reply:
        link = f"https://acme.slack.com/archives/{self.channel}/p{told['message_ts'].replace('.', '')}"
        return said({"ok": True, "channel": self.channel, "permalink": link})

    def _history(self, told: dict[str, Any]) -> Reply:
        if told.get("include_all_metadata") != "true":
            self.violations.append("history without metadata finds nothing")
        oldest, latest = float(told.get("oldest", 0)), float(told.get("latest", 10**11))
        newest_first = [m for m in reversed(self.messages) if oldest <= float(m["ts"]) <= latest]
        start, size = int(told.get("cursor") or 0), min(self.page, int(told["limit"]))
        more = start + size < len(newest_first)
        cursor = {"response_metadata": {"next_cursor": str(start + size)}} if more else {}
        return said({"ok": True, "messages": newest_first[start : start + size], "has_more": more, **cursor})

    def _found(self, ts: str) -> dict[str, Any] | None:
        return next((message for message in self.messages if message["ts"] == ts), None)


# ------------------------------------------------------------------------------------------------- Telegram

_TAGS = frozenset(
    ["b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "tg-spoiler", "blockquote"]
)


class Telegram(Chat):
    """One chat, by its number or as `@composed`; messages in ``old`` cannot be deleted any more."""

    name = "telegram"
    token = "123456789:composed-Token_of-a-bot-0123456789ab"
    chat = -1001234567890

    def __init__(self, *, username: str | None = "composed", kind: str = "channel", **options: Any) -> None:
        self.messages: dict[int, dict[str, Any]] = {}
        self.old: set[int] = set()
        self.described = {"id": self.chat, "type": kind, **({"username": username} if username else {})}
        self._ids = iter(range(7, 10**9))
        super().__init__(**options)

    def below(self, path: str) -> str:
        return re.sub(r"^/bot[^/]*", "", path)

    def serve(self, asked: Asked, path: str, query: dict[str, str], body: Any) -> Reply:
        if not asked.path.startswith(f"/bot{self.token}/"):
            return said({"ok": False, "error_code": 401, "description": "Unauthorized"}, 401)
        if body.get("chat_id") not in (self.chat, "@composed"):
            return self._bad("chat not found")
        if "text" in body:
            if body.get("parse_mode") != "HTML" or (shown := parsed(body["text"])) is None:
                return self._bad("can't parse entities: Unclosed start tag at byte offset 1")
            if not shown.strip():
                return self._bad("message text is empty")
            if len(shown.encode("utf-16-le")) // 2 > 4096:
                return self._bad("message is too long")
        if path == "/sendMessage":
            number = next(self._ids)
            self.messages[number] = {name: value for name, value in body.items() if name != "chat_id"}
            return said({"ok": True, "result": {"message_id": number, "date": 1, "chat": self.described}})
        number = body["message_id"]
        if path == "/deleteMessage":
            if number not in self.messages:
                return self._bad("message to delete not found")
            if number in self.old:
                return self._bad("message can't be deleted for everyone")
            del self.messages[number]
            return said({"ok": True, "result": True})
        if number not in self.messages:
            return self._bad("message to edit not found")
        if self.messages[number]["text"] == body["text"]:
            return self._bad("message is not modified: specified new message content is exactly the same")
        self.messages[number]["text"] = body["text"]
        return said({"ok": True, "result": {"message_id": number, "date": 1, "chat": self.described}})

    def _bad(self, words: str) -> Reply:
        return said({"ok": False, "error_code": 400, "description": f"Bad Request: {words}"}, 400)


def parsed(text: str) -> str | None:
    """What a reader sees of Telegram's HTML; `None` where Telegram does not read it."""
    opened: list[str] = []
    shown = ""
    for part in re.split(r"(<[^>]*>?)", text):
        if not part.startswith("<"):
            if re.search(r"&(?!(lt|gt|amp|quot|#\d+|#x[0-9a-f]+);)", part):
                return None
            shown += html.unescape(part)
        elif match := re.fullmatch(r"</([a-z-]+)>", part):
            if not opened or opened.pop() != match[1]:
                return None
        elif match := re.fullmatch(r"<([a-z-]+)( (href|class)=\"[^\"<>]*\"| expandable)?>", part):
            if match[1] not in _TAGS:
                return None
            opened.append(match[1])
        else:
            return None
    return None if opened else shown


# ------------------------------------------------------------------------------------------------ Discourse


@dataclass
class Topic:
    """A topic with its first post."""

    id: int
    post: int
    title: str
    raw: str
    external_id: str | None = None
    category: int | None = None
    tags: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


class Discourse(Chat):
    """A forum. ``queued`` holds every post back for a moderator; ``may_delete`` says whether the user may delete."""

    name = "discourse"
    beside = (r"GET /posts/[^/]+/pending\.json", r"GET /c/[^/]+/show\.json", r"GET /categories\.json")
    key = "composed-key-of-discourse-0123456789abcdef"

    def __init__(self, *, limit: int = 32_000, queued: bool = False, may_delete: bool = True, **options: Any) -> None:
        self.limit, self.queued, self.may_delete = limit, queued, may_delete
        self.topics: dict[int, Topic] = {}
        self.pending: list[dict[str, Any]] = []
        self.categories: list[dict[str, Any]] = [
            {"id": 5, "slug": "news", "subcategory_list": [{"id": 6, "slug": "stable"}]},
            {"id": 7, "slug": "other", "subcategory_list": [{"id": 8, "slug": "stable"}]},
        ]
        self._ids = iter(range(101, 10**9))
        super().__init__(**options)

    def serve(self, asked: Asked, path: str, query: dict[str, str], body: Any) -> Reply:
        if asked.headers.get("api-key") != self.key or not asked.headers.get("api-username"):
            words = "You are not permitted to view the requested resource."
            return said({"errors": [words], "error_type": "invalid_access"}, 403)
        if asked.line == "POST /posts.json":
            return self._created(body)
        if match := re.fullmatch(r"/t/external_id/(.+)\.json", path):
            found = next((topic for topic in self.topics.values() if topic.external_id == match[1]), None)
            return Reply(301, {"Location": f"{self.url}/t/a-slug/{found.id}.json"}) if found else _gone()
        if path.endswith("/pending.json"):
            return said({"pending_posts": self.pending})
        if match := re.fullmatch(r"/c/(.+)/show\.json", path):
            top = next((category for category in self.categories if category["slug"] == match[1]), None)
            return said({"category": top}) if top else _gone()
        if path == "/categories.json":
            return said({"category_list": {"categories": self.categories}})
        match = re.fullmatch(r"/(t|t/-|posts)/(\d+)\.json", path)
        assert match is not None
        by = "post" if match[1] == "posts" else "id"
        topic = next((topic for topic in self.topics.values() if getattr(topic, by) == int(match[2])), None)
        return self._existing(asked.method, match[1], topic, body) if topic else _gone()

    def _existing(self, method: str, kind: str, topic: Topic, body: Any) -> Reply:
        if method == "DELETE":
            if not self.may_delete:
                return said({"errors": ["You are not permitted to do that."], "error_type": "invalid_access"}, 403)
            del self.topics[topic.id]
            return Reply(200)
        if method == "PUT" and kind == "posts":
            if faults := self._faults(None, body["post"]["raw"]):
                return said({"errors": faults}, 422)
            topic.raw = body["post"]["raw"].strip()
            topic.reasons.append(body["post"]["edit_reason"])
        elif method == "PUT":
            if faults := self._faults(body["title"], None, topic):
                return said({"errors": faults}, 422)
            topic.title = body["title"]
        if kind == "posts":
            return said({"id": topic.post, "topic_id": topic.id, "raw": topic.raw})
        posts = {"posts": [{"id": topic.post, "post_number": 1}]}
        return said({"id": topic.id, "slug": "a-slug", "title": topic.title, "post_stream": posts})

    def _created(self, body: Any) -> Reply:
        faults = self._faults(body["title"], body["raw"])
        if any(topic.external_id == body.get("external_id") for topic in self.topics.values()):
            faults.append("External has already been taken")
        if body["category"] not in (5, 6, 7, 8):
            faults.append("Category can't be blank")
        if faults:
            return said({"action": "create_post", "errors": faults}, 422)
        if self.queued:
            self.pending.append({"id": 1, "title": body["title"], "raw_text": body["raw"]})
            return said({"action": "enqueued", "success": True, "pending_count": len(self.pending)})
        topic = Topic(next(self._ids), next(self._ids), body["title"], body["raw"].strip(), body.get("external_id"))
        topic.category, topic.tags = body["category"], body.get("tags", [])
        self.topics[topic.id] = topic
        return said({"id": topic.post, "topic_id": topic.id, "topic_slug": "a-slug", "raw": topic.raw})

    def _faults(self, title: str | None, raw: str | None, own: Topic | None = None) -> list[str]:
        faults = []
        if title is not None:
            if len(title) < 15:
                faults.append("Title is too short (minimum is 15 characters)")
            if any(topic.title.lower() == title.lower() for topic in self.topics.values() if topic is not own):
                faults.append("Title has already been used")
        if raw is not None and len(raw) > self.limit:
            faults.append(f"Body is too long (maximum is {self.limit} characters)")
        return faults


def _gone() -> Reply:
    return said({"errors": ["The requested URL or resource could not be found."], "error_type": "not_found"}, 404)
