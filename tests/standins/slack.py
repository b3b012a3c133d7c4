"""Slack's Web API as a bot uses it, checked by the last description that Slack published, and an incoming webhook."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Any

from tests.servers import Asked, Reply, Scripted
from tests.standins.base import Call, Standin, answer, on

CHANNEL = "C0123456789"
TEXT = 40_000
"""Characters of a text at most; Slack cuts longer ones, and this refuses them, so that a test sees it."""
SECTION = 3000
"""Characters of the text of a section at most; in no description (docs.slack.dev/reference/block-kit/blocks)."""


class Slack(Standin):
    """A workspace with one channel that the bot is in, and an incoming webhook into it, whose address is `webhook`."""

    name = "slack"
    base = "/api"

    def __init__(self, *, token: str = "composed-bot-token", tls: ssl.SSLContext | None = None) -> None:
        self.token = token
        self.posts: list[dict[str, Any]] = []
        """What is there to be read, the oldest first: ``ts``, ``channel`` and what was posted."""
        self._ids = iter(range(1, 10**6))
        super().__init__(tls=tls)
        self.hooks = Scripted(self._hooked, tls=tls)

    def __exit__(self, *args: object) -> None:
        self.hooks.__exit__()
        super().__exit__(*args)

    @property
    def webhook(self) -> str:
        """The address that Slack shows to who makes an incoming webhook; it has a host of its own."""
        return f"{self.hooks.url}/services/T0123456789/B0123456789/composed"

    def unknown(self, asked: Asked) -> Reply:
        """An unknown method is a success in HTTP's terms, too."""
        return _refused("unknown_method")

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse other tokens and other channels, as a success in HTTP's terms."""
        said = call.asked.headers.get("authorization", "")
        if not said:
            return _refused("not_authed")
        if said != f"Bearer {self.token}":
            return _refused("invalid_auth")
        channel = call.body.get("channel", call.query.get("channel"))
        if channel is not None and channel != CHANNEL:
            return _refused("channel_not_found")
        return handler(call)

    @on("GET /auth.test")
    def _test(self, call: Call) -> Reply:
        who = {"user": "relman", "user_id": "U0123456789", "team": "acme", "team_id": "T0123456789"}
        return answer({"ok": True, "url": f"{self.url}/", "bot_id": "B0123456789", **who})

    @on("POST /chat.postMessage")
    def _post(self, call: Call) -> Reply:
        if refused := _wrong(call.body):
            return refused
        ts = f"{1782259200 + next(self._ids)}.000100"
        post = {**call.body, "ts": ts}
        self.posts.append(post)
        return answer({"ok": True, "channel": CHANNEL, "ts": ts, "message": _shown(post, metadata=True)})

    @on("POST /chat.update")
    def _update(self, call: Call) -> Reply:
        post = self._found(call.body.get("ts"))
        if post is None:
            return _refused("message_not_found")
        if refused := _wrong(call.body):
            return refused
        kept = {name: post[name] for name in ("thread_ts", "metadata") if name in post}
        new = {**kept, **call.body}
        post.clear()
        post.update(new)
        text = post.get("text", "")
        return answer({"ok": True, "channel": CHANNEL, "ts": post["ts"], "text": text, "message": {"text": text}})

    @on("POST /chat.delete")
    def _delete(self, call: Call) -> Reply:
        post = self._found(call.body.get("ts"))
        if post is None:
            return _refused("message_not_found")
        self.posts.remove(post)
        return answer({"ok": True, "channel": CHANNEL, "ts": post["ts"]})

    @on("GET /chat.getPermalink")
    def _permalink(self, call: Call) -> Reply:
        post = self._found(call.query["message_ts"])
        if post is None:
            return _refused("message_not_found")
        link = f"{self.url}/archives/{CHANNEL}/p{post['ts'].replace('.', '')}"
        return answer({"ok": True, "channel": CHANNEL, "permalink": link})

    @on("GET /conversations.history")
    def _history(self, call: Call) -> Reply:
        oldest, latest = float(call.query.get("oldest", 0)), float(call.query.get("latest", "inf"))
        same = call.query.get("inclusive") in ("true", "1")
        found = [
            post
            for post in reversed(self.posts)  # the newest first; answers in a thread are in another list
            if "thread_ts" not in post or post.get("reply_broadcast")
            if oldest < float(post["ts"]) < latest or (same and float(post["ts"]) in (oldest, latest))
        ]
        limit = int(call.query.get("limit", 100))
        metadata = call.query.get("include_all_metadata") in ("true", "1")
        rest = {"has_more": len(found) > limit, "pin_count": 0, "channel_actions_ts": None, "channel_actions_count": 0}
        return answer({"ok": True, "messages": [_shown(post, metadata=metadata) for post in found[:limit]], **rest})

    def _hooked(self, asked: Asked) -> Reply:
        """An incoming webhook answers in words; no description has it."""
        self.asked.append(asked)

        def forward() -> Reply:
            if f"{self.hooks.url}{asked.path}" != self.webhook:
                return Reply(404, {}, b"no_service")
            try:
                said = json.loads(asked.body)
            except ValueError:
                return Reply(400, {}, b"invalid_payload")
            if _wrong(said):
                return Reply(400, {}, b"no_text")
            self.posts.append({**said, "channel": CHANNEL, "ts": f"{1782259200 + next(self._ids)}.000100"})
            return Reply(200, {"Content-Type": "text/html"}, b"ok")

        for fault in self.faults:
            if (reply := fault(asked, forward)) is not None:
                return reply
        return forward()

    def _found(self, ts: str | None) -> dict[str, Any] | None:
        return next((post for post in self.posts if post["ts"] == ts), None)


def _wrong(said: dict[str, Any]) -> Reply | None:
    """What a message is refused for; `None` where it is taken."""
    blocks = said.get("blocks") or ()
    if not said.get("text") and not blocks and not said.get("markdown_text"):
        return _refused("no_text")
    if said.get("markdown_text") and (said.get("text") or blocks):
        return _refused("markdown_text_conflict")
    if len(said.get("text") or "") > TEXT:
        return _refused("msg_too_long")
    texts = [block["text"].get("text", "") for block in blocks if isinstance(block.get("text"), dict)]
    return _refused("invalid_blocks") if any(len(text) > SECTION for text in texts) else None


def _shown(post: dict[str, Any], *, metadata: bool) -> dict[str, Any]:
    names = ("ts", "thread_ts", "blocks", *(("metadata",) if metadata else ()))
    kept = {name: post[name] for name in names if name in post}
    return {
        "type": "message",
        "text": post.get("text") or post.get("markdown_text", ""),
        "bot_id": "B0123456789",
        **kept,
    }


def _refused(error: str) -> Reply:
    return answer({"ok": False, "error": error})
