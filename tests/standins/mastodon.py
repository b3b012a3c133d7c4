"""A server of Mastodon's API, checked by a description that is written by its documentation: one account that posts."""

from __future__ import annotations

import html
import json
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from tests.openapi.sampling import sample
from tests.servers import Asked, Reply
from tests.standins.base import Call, Standin, answer, on

URL = re.compile(r"https?://[^\s<>()\"]+")
MENTION = re.compile(r"(?<![\w/])@(\w+)@[\w.-]+")
KEPT = timedelta(hours=1)
"""How long a key is remembered."""


class Mastodon(Standin):
    """One account, ``@acme``, with ``token``; a post has at most ``limit`` characters."""

    name = "mastodon"

    def __init__(
        self,
        *,
        token: str = "composed-mastodon-token",
        limit: int = 500,
        old: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.token, self.limit = token, limit
        self.old = old
        """Without `/api/v2/instance`, as before Mastodon 4.0 and on some other servers."""
        self.posts: list[dict[str, Any]] = []
        """What is there to be read, the oldest first: ``id`` and what was posted."""
        self.now = datetime(2026, 6, 24, tzinfo=UTC)
        """The server's clock, which tests set forward."""
        self._keys: dict[str, tuple[datetime, dict[str, Any]]] = {}
        self._ids = iter(range(115000000000000001, 10**18))
        super().__init__(tls=tls)

    def unknown(self, asked: Asked) -> Reply:
        """As Mastodon words it."""
        return answer({"error": "Record not found"}, 404)

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse another token; what is public needs none."""
        said = call.asked.headers.get("authorization")
        private = call.asked.method != "GET" or call.asked.path.endswith(("/verify_credentials", "/source"))
        if said is not None and said != f"Bearer {self.token}":
            return answer({"error": "The access token is invalid"}, 401)
        return (
            answer({"error": "This method requires an authenticated user"}, 401)
            if private and not said
            else handler(call)
        )

    @on("GET /api/v2/instance")
    def _instance(self, call: Call) -> Reply:
        if self.old:
            return self.unknown(call.asked)
        limits = {"max_characters": self.limit, "characters_reserved_per_url": 23, "max_media_attachments": 4}
        whole = {"domain": self.host, "title": "acme", "version": "4.4.0", "configuration": {"statuses": limits}}
        return answer(whole)

    @on("GET /api/v1/instance")
    def _old_instance(self, call: Call) -> Reply:
        return answer({"uri": self.host, "title": "acme", "version": "3.5.0" if self.old else "4.4.0"})

    @on("GET /api/v1/accounts/verify_credentials")
    def _who(self, call: Call) -> Reply:
        return answer(self._account())

    @on("GET /api/v1/accounts/{id}/statuses")
    def _statuses(self, call: Call) -> Reply:
        if call["id"] != self._account()["id"]:
            return self.unknown(call.asked)
        hidden = () if "authorization" in call.asked.headers else ("private", "direct")
        found = [
            post
            for post in reversed(self.posts)
            if post.get("visibility", "public") not in hidden
            if int(call.query.get("since_id", 0)) < int(post["id"]) < int(call.query.get("max_id", 10**18))
            if not (call.query.get("exclude_replies") == "true" and post.get("in_reply_to_id"))
        ]
        return answer([self._shown(post) for post in found[: int(call.query.get("limit", 20))]])

    @on("POST /api/v1/statuses")
    def _create(self, call: Call) -> Reply:
        said, key = self._said(call.asked), call.asked.headers.get("idempotency-key")
        if key in self._keys and self.now - self._keys[key][0] < KEPT:
            return answer(self._shown(self._keys[key][1]))
        if refused := self._wrong(said):
            return refused
        if "in_reply_to_id" in said and self._post(said["in_reply_to_id"]) is None:
            return answer({"error": "The post you are trying to reply to does not appear to exist."}, 404)
        post = {**said, "id": str(next(self._ids)), "edited": None}
        self.posts.append(post)
        if key is not None:
            self._keys[key] = (self.now, post)
        return answer(self._shown(post))

    @on("GET /api/v1/statuses/{id}")
    def _get(self, call: Call) -> Reply:
        post = self._post(call["id"])
        return self.unknown(call.asked) if post is None else answer(self._shown(post))

    @on("GET /api/v1/statuses/{id}/source")
    def _source(self, call: Call) -> Reply:
        post = self._post(call["id"])
        if post is None:
            return self.unknown(call.asked)
        return answer({"id": post["id"], "text": post["status"], "spoiler_text": post.get("spoiler_text", "")})

    @on("PUT /api/v1/statuses/{id}")
    def _edit(self, call: Call) -> Reply:
        post, said = self._post(call["id"]), self._said(call.asked)
        if post is None:
            return self.unknown(call.asked)
        if refused := self._wrong({**post, **said}):
            return refused
        post.update(said, edited=self.now.isoformat())
        return answer(self._shown(post))

    @on("DELETE /api/v1/statuses/{id}")
    def _delete(self, call: Call) -> Reply:
        post = self._post(call["id"])
        if post is None:
            return self.unknown(call.asked)
        self.posts.remove(post)
        return answer({**self._shown(post), "text": post["status"]})

    def _said(self, asked: Asked) -> dict[str, Any]:
        if asked.headers.get("content-type", "").startswith("application/json"):
            document: dict[str, Any] = json.loads(asked.body)
            return document
        return dict(parse_qsl(asked.body.decode()))

    def _wrong(self, said: dict[str, Any]) -> Reply | None:
        if not said.get("status", "").strip():
            return answer({"error": "Validation failed: Text can't be blank"}, 422)
        if counted(said["status"]) + counted(said.get("spoiler_text", "")) > self.limit:
            return answer({"error": f"Validation failed: Text character limit of {self.limit} exceeded"}, 422)
        return None

    def _post(self, number: str) -> dict[str, Any] | None:
        return next((post for post in self.posts if post["id"] == number), None)

    def _account(self) -> dict[str, Any]:
        return {"id": "1", "username": "acme", "acct": "acme", "url": f"{self.url}/@acme", "display_name": "acme"}

    def _shown(self, post: dict[str, Any]) -> dict[str, Any]:
        where = f"{self.url}/@acme/{post['id']}"
        text = html.escape(post["status"]).replace("\n\n", "</p><p>").replace("\n", "<br />")
        linked = URL.sub(lambda found: f'<a href="{found[0]}" rel="nofollow noopener">{found[0]}</a>', text)
        return {
            **sample(self.description, self.description.at("components", "schemas", "Status")),
            "id": post["id"], "url": where, "uri": f"{self.url}/users/acme/statuses/{post['id']}",
            "account": self._account(), "content": f"<p>{linked}</p>", "visibility": post.get("visibility", "public"),
            "language": post.get("language"), "in_reply_to_id": post.get("in_reply_to_id"),
            "spoiler_text": post.get("spoiler_text", ""), "edited_at": post["edited"],
            "created_at": self.now.isoformat(),
        }  # fmt: skip


def counted(text: str) -> int:
    """Characters as Mastodon counts them, by grapheme; an address counts 23, and of a mention its server does not.

    Here without joining: a text of emoji in sequences has fewer on a real server, never more.
    """
    return len(MENTION.sub(r"@\1", URL.sub("x" * 23, text)))
