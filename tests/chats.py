"""The stand-ins for Discourse, Discord, Slack and Telegram, with the corners of these services that announcements meet.

No description has them: moderators, subcategories, histories with an end, what nobody may delete any more.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from tests.servers import Asked, Reply
from tests.standins import discord, discourse, slack, telegram
from tests.standins.base import Call, answer, on


class Discord(discord.Discord):
    """A channel with a webhook; ``silent`` where 204 is all that it answers."""

    hook, channel, guild = discord.ID, discord.CHANNEL, discord.CHANNEL
    secret = "composed-Discord_token.of-sixty-and-more-characters-0123456789abcdef"

    def __init__(self, *, silent: bool = False, **options: Any) -> None:
        self.silent = silent
        super().__init__(token=self.secret, **options)

    @on(f"POST {discord.WEBHOOK}")
    def _execute(self, call: Call) -> Reply:
        if call.body.get("allowed_mentions") != {"parse": []}:
            self.violations.append("a message that may ping somebody")
        reply = super()._execute(call)
        return Reply(204) if self.silent and reply.status == 200 else reply


class Slack(slack.Slack):
    """A workspace with one channel, `#releases`. ``refused`` are errors by method, ``page`` is shown at once."""

    channel = slack.CHANNEL
    secret = "xoxb-composed-0123456789-of-slack"

    def __init__(self, *, page: int = 1000, **options: Any) -> None:
        self.refused: dict[str, str] = {}
        self.page = page
        super().__init__(token=self.secret, **options)

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    @property
    def webhook(self) -> str:
        """The address of an incoming webhook, with a secret that can be looked for."""
        return f"{super().webhook}SecretOfAWebhook"

    def say(self, text: str, **more: Any) -> str:
        """Something that somebody wrote."""
        ts = f"{1782259200 + next(self._ids)}.000100"
        self.posts.append({"ts": ts, "channel": self.channel, "text": text, **more})
        return ts

    def checked(self, asked: Asked) -> Reply:
        """Errors and cursors are newer than the description."""
        reply = super().checked(asked)
        newer = re.compile(r"the stand-in itself: .*: (error: '|the whole: .*\('response_metadata')")
        self.violations = [fault for fault in self.violations if not newer.match(fault)]
        return reply

    def serve(self, call: Call, handler: Any) -> Reply:
        method = call.asked.path.removeprefix("/api/").partition("?")[0]
        if method in self.refused:
            return answer({"ok": False, "error": self.refused[method]})
        if method == "chat.postMessage" and call.body.get("channel") == "#releases":
            call = replace(call, body={**call.body, "channel": self.channel})
        return super().serve(call, handler)

    @on("POST /chat.postMessage")
    def _post(self, call: Call) -> Reply:
        thread = call.body.get("thread_ts")
        if thread and self._found(thread) is None:
            return answer({"ok": False, "error": "thread_not_found"})
        return super()._post(call)

    @on("GET /chat.getPermalink")
    def _permalink(self, call: Call) -> Reply:
        reply = super()._permalink(call)
        return replace(reply, body=reply.body.replace(self.url.encode(), b"https://acme.slack.com"))

    @on("GET /conversations.history")
    def _history(self, call: Call) -> Reply:
        if call.query.get("include_all_metadata") != "true":
            self.violations.append("a history without metadata finds nothing")
        whole = json.loads(super()._history(replace(call, query={**call.query, "limit": "1000"})).body)
        start, size = int(call.query.get("cursor") or 0), min(self.page, int(call.query["limit"]))
        whole["has_more"] = start + size < len(whole["messages"])
        whole["messages"] = whole["messages"][start : start + size]
        return answer(
            {**whole, **({"response_metadata": {"next_cursor": str(start + size)}} if whole["has_more"] else {})}
        )


class Telegram(telegram.Telegram):
    """One chat, by its number or as `@acme_os`; the numbers in ``old`` cannot be deleted any more."""

    chat = -1001234567890
    secret = "123456789:composed-Token_of-a-bot-0123456789ab"

    def __init__(self, *, username: str | None = "acme_os", kind: str = "channel", **options: Any) -> None:
        super().__init__(token=self.secret, **options)
        self.old: set[int] = set()
        named = {"username": username} if username else {}
        self.chats = {"@acme_os": {"id": self.chat, "type": kind, "title": "acme", **named}}

    @on("POST /deleteMessage")
    def _delete(self, call: Call) -> Reply:
        if call.body["message_id"] in self.old:
            words = "Bad Request: message can't be deleted for everyone"
            return answer({"ok": False, "error_code": 400, "description": words}, 400)
        return super()._delete(call)


class Discourse(discourse.Discourse):
    """A forum. ``queued`` holds every post back for a moderator; ``may_delete`` says whether the user may delete.

    The title of a change stands outside of `topic`, where the server reads it and its description does not have it.
    """

    secret = "composed-key-of-discourse-0123456789abcdef"
    _BESIDE = re.compile(
        r"/posts/[^/]+/pending\.json|/c/[^/]+/show\.json|/categories\.json\?include_subcategories=true"
        r"|/raw/\d+\?page=\d+|/posts/by_number/\d+/\d+\.json"
    )
    _MISPLACED = "PUT /t/-/{id}.json: body: `title` is not described"

    def __init__(self, *, queued: bool = False, may_delete: bool = True, **options: Any) -> None:
        self.queued, self.may_delete = queued, may_delete
        self.pending: list[dict[str, Any]] = []
        self.reasons: list[str] = []
        self.answers: dict[int, dict[str, Any]] = {}
        """The replies in topics: ``topic``, ``number``, ``raw`` and ``yours``."""
        self.tree: list[dict[str, Any]] = [
            {"id": 5, "slug": "news", "subcategory_list": [{"id": 6, "slug": "stable"}]},
            {"id": 7, "slug": "other", "subcategory_list": [{"id": 8, "slug": "stable"}]},
        ]
        super().__init__(key=self.secret, categories=(5, 6, 7, 8), **options)

    def checked(self, asked: Asked) -> Reply:
        reply = super().checked(asked)
        known = (self._MISPLACED, *(["the stand-in itself: POST /posts.json"] if self.queued else []))
        known += ("the stand-in itself: PUT /posts/", "the stand-in itself: GET /posts/") if self.answers else ()
        self.violations = [fault for fault in self.violations if not fault.startswith(known)]
        return reply

    def base_of(self, asked: Asked) -> str | None:
        return None if self._BESIDE.fullmatch(asked.path) else super().base_of(asked)

    def unknown(self, asked: Asked) -> Reply:
        if asked.headers.get("api-key") != self.key:
            return answer({"errors": ["not permitted"], "error_type": "invalid_access"}, 403)
        if asked.path.endswith("/pending.json"):
            return answer({"pending_posts": self.pending})
        if asked.path.startswith("/categories.json"):
            return answer({"category_list": {"categories": self.tree}})
        if match := re.fullmatch(r"/raw/(\d+)\?page=(\d+)", asked.path):
            return self._raw(int(match[1]), int(match[2]))
        if match := re.fullmatch(r"/posts/by_number/(\d+)/(\d+)\.json", asked.path):
            where = {"topic": int(match[1]), "number": int(match[2])}
            at = [number for number, post in self.answers.items() if where.items() <= post.items()]
            return self._shown_answer(at[0]) if at else super().unknown(asked)
        found = [category for category in self.tree if asked.path == f"/c/{category['slug']}/show.json"]
        return answer({"category": found[0]}) if found else super().unknown(asked)

    @on("POST /posts.json")
    def _create(self, call: Call) -> Reply:
        if not self.queued:
            reply = super()._create(call)
            if reply.status == 200 and "topic_id" in call.body:
                made = json.loads(reply.body)
                self.respond(call.body["topic_id"], call.body["raw"], post=made["id"], number=made["post_number"])
            return reply
        self.pending.append({"id": 1, "title": call.body["title"], "raw_text": call.body["raw"]})
        return Reply(
            200, {"Content-Type": "text/plain"}, b'{"action": "enqueued", "success": true, "pending_count": 1}'
        )

    def respond(self, topic: int, raw: str, *, post: int, number: int, yours: bool = True) -> None:
        """Somebody replies in a topic."""
        self.answers[post] = {"topic": topic, "number": number, "raw": raw.strip(), "yours": yours}

    def _raw(self, topic: int, page: int) -> Reply:
        """The texts of a topic, a hundred at a time."""
        found = next((one for one in self.topics if one.id == topic), None)
        if found is None:
            return Reply(404)
        posts = [(1, found.raw), *((p["number"], p["raw"]) for p in self.answers.values() if p["topic"] == topic)]
        line = "relman | 2026-07-06 12:00:00 UTC | #{}\n\n{}\n\n-------------------------\n\n"
        text = "".join(line.format(*post) for post in posts[(page - 1) * 100 : page * 100])
        return Reply(200, {"Content-Type": "text/plain"}, text.encode())

    def _shown_answer(self, post: int) -> Reply:
        kept = self.answers[post]
        shown = {"id": post, "topic_id": kept["topic"], "post_number": kept["number"], "yours": kept["yours"]}
        return Reply(200, {"Content-Type": "text/plain"}, json.dumps({**shown, "raw": kept["raw"]}).encode())

    @on("GET /posts/{id}.json")
    def _get_post(self, call: Call) -> Reply:
        return self._shown_answer(int(call["id"])) if int(call["id"]) in self.answers else super()._get_post(call)

    @on("PUT /posts/{id}.json")
    def _edit_post(self, call: Call) -> Reply:
        self.reasons.append(call.body["post"]["edit_reason"])
        if int(call["id"]) not in self.answers:
            return super()._edit_post(call)
        self.answers[int(call["id"])]["raw"] = call.body["post"]["raw"].strip()
        return self._shown_answer(int(call["id"]))

    @on("DELETE /posts/{id}.json")
    def _delete_post(self, call: Call) -> Reply:
        if not self.may_delete:
            return self._delete_topic(call)
        return super()._delete_post(call) if self.answers.pop(int(call["id"]), None) is None else Reply(200)

    @on("PUT /t/-/{id}.json")
    def _edit_topic(self, call: Call) -> Reply:
        return super()._edit_topic(replace(call, body={"topic": {"title": call.body["title"]}}))

    @on("DELETE /t/{id}.json")
    def _delete_topic(self, call: Call) -> Reply:
        if not self.may_delete:
            words = "You are not permitted to do that."
            return answer({"errors": [words], "error_type": "invalid_access"}, 403)
        return super()._delete_topic(call)
