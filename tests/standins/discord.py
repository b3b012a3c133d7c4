"""Discord's webhooks, checked by `discord/discord-api-spec`: one webhook into one channel, or into a forum."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import Any

from tests.openapi.sampling import sample
from tests.servers import Asked, Reply
from tests.standins.base import Call, Standin, answer, on

ID = "123456789012345678"
CHANNEL = "223456789012345678"
TIME = "2026-06-24T00:00:00Z"
EMBEDS = 6000
"""Characters of all texts of a message's embeds together; in no description."""

WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
MESSAGE = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"


class Discord(Standin):
    """One webhook, whose address is `webhook`; in a ``forum`` every message starts a thread, or goes into one."""

    name = "discord"
    base = "/api"

    def __init__(
        self, *, token: str = "composed-webhook-token", forum: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        self.token, self.forum = token, forum
        self.posts: list[dict[str, Any]] = []
        """What is there to be read, the oldest first: ``id``, ``channel_id`` and what was posted."""
        self.threads: dict[str, str] = {}
        """The titles of a forum's threads by their ids."""
        self._ids = iter(range(323456789012345678, 10**18))
        super().__init__(tls=tls)

    @property
    def webhook(self) -> str:
        """The address that Discord shows to who makes a webhook."""
        return f"{self.url}/api/webhooks/{ID}/{self.token}"

    def base_of(self, asked: Asked) -> str | None:
        """With a version or without."""
        found = re.match(r"/api(?:/v\d+)?(?=/webhooks/)", asked.path)
        return found[0] if found else None

    def unknown(self, asked: Asked) -> Reply:
        """As Discord words it."""
        return answer({"message": "404: Not Found", "code": 0}, 404)

    def refusal(self, wrong: tuple[str, ...]) -> Reply | None:
        """Discord looks closely at bodies."""
        if not any(": body" in fault for fault in wrong):
            return None
        return _error(400, 50035, "Invalid Form Body")

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse other webhooks, and tell how much may still be asked."""
        if call["webhook_id"] != ID:
            return _error(404, 10015, "Unknown Webhook")
        if call["webhook_token"] != self.token:
            return _error(401, 50027, "Invalid Webhook Token")
        reply = handler(call)
        reply.headers |= {
            "X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "4", "X-RateLimit-Reset-After": "0.4",
            "X-RateLimit-Bucket": "composed",
        }  # fmt: skip
        return reply

    @on(f"GET {WEBHOOK}")
    def _webhook(self, call: Call) -> Reply:
        guild = self.description.at("components", "schemas", "GuildIncomingWebhookResponse")
        shown = {"id": ID, "channel_id": CHANNEL, "name": "relman", "token": self.token, "guild_id": CHANNEL}
        return answer({**sample(self.description, guild), **shown})

    @on(f"POST {WEBHOOK}")
    def _execute(self, call: Call) -> Reply:
        said, thread = call.body, call.query.get("thread_id")
        if not any(said.get(part) for part in ("content", "embeds", "components", "poll")):
            return _error(400, 50006, "Cannot send an empty message")
        if sum(_texts(embed) for embed in said.get("embeds") or ()) > EMBEDS:
            return _error(400, 50035, "Invalid Form Body")
        number = str(next(self._ids))
        if self.forum and thread is None and not said.get("thread_name"):
            return _error(400, 220001, "Webhooks posted to forum channels must have a thread_name or thread_id")
        if said.get("thread_name"):
            if not self.forum:
                return _error(400, 220003, "Webhooks can only create threads in forum channels")
            thread = number  # a thread has the id of the message that starts it
            self.threads[thread] = said["thread_name"]
        elif thread is not None and thread not in self.threads:
            return _error(400, 10003, "Unknown Channel")
        post = {**said, "id": number, "channel_id": thread or CHANNEL}
        self.posts.append(post)
        return answer(self._shown(post)) if call.query.get("wait") == "true" else Reply(204)

    @on(f"GET {MESSAGE}")
    def _get(self, call: Call) -> Reply:
        post = self._post(call)
        return _error(404, 10008, "Unknown Message") if post is None else answer(self._shown(post))

    @on(f"PATCH {MESSAGE}")
    def _edit(self, call: Call) -> Reply:
        post = self._post(call)
        if post is None:
            return _error(404, 10008, "Unknown Message")
        post.update(call.body)
        return answer(self._shown(post))

    @on(f"DELETE {MESSAGE}")
    def _delete(self, call: Call) -> Reply:
        post = self._post(call)
        if post is None:
            return _error(404, 10008, "Unknown Message")
        self.posts.remove(post)
        return Reply(204)

    def _post(self, call: Call) -> dict[str, Any] | None:
        where = call.query.get("thread_id", CHANNEL)
        return next((p for p in self.posts if (p["id"], p["channel_id"]) == (call["message_id"], where)), None)

    def _shown(self, post: dict[str, Any]) -> dict[str, Any]:
        schema = self.description.at("components", "schemas", "MessageResponse")
        least = sample(self.description, schema)
        least |= {"author": {**least["author"], "id": ID, "discriminator": "0000"}, "type": 0, "timestamp": TIME}
        embeds = [{"type": "rich", **embed} for embed in post.get("embeds") or ()]
        return {
            **least, "id": post["id"], "channel_id": post["channel_id"], "webhook_id": ID, "embeds": [],
            "content": post.get("content") or "",
        } | ({"embeds": embeds} if embeds else {})  # fmt: skip


def _texts(embed: dict[str, Any]) -> int:
    own = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    fields = [field.get(part) for field in embed.get("fields") or () for part in ("name", "value")]
    return sum(len(text or "") for text in (*own, (embed.get("author") or {}).get("name"), *fields))


def _error(status: int, code: int, message: str) -> Reply:
    return answer({"message": message, "code": code}, status)
