"""A Discourse, checked by docs.discourse.org: topics that one user of its API writes."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.openapi.sampling import sample
from tests.servers import Asked, Reply
from tests.standins.base import Call, Standin, answer, on

TITLE = (15, 255)
"""Characters of a title, at least and at most: the site's defaults."""
RAW = (20, 32_000)
"""Characters of a first post, at least and at most: the site's defaults."""


@dataclass
class Topic:
    """A topic as its first post has it."""

    id: int
    post: int
    title: str
    raw: str
    category: int | None
    tags: list[str]
    external_id: str | None
    replies: list[str] = field(default_factory=list)
    version: int = 1
    deleted: bool = False

    @property
    def slug(self) -> str:
        """The title as addresses have it."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "topic"


class Discourse(Standin):
    """A forum with some ``categories``, where ``username`` writes by ``key``."""

    name = "discourse"

    def __init__(
        self,
        *,
        key: str = "composed-api-key",
        username: str = "relman",
        categories: tuple[int, ...] = (1, 5),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.key, self.username, self.categories = key, username, categories
        self.all_topics: list[Topic] = []
        """Those that were deleted among them."""
        self._ids = iter(range(101, 10**9))
        super().__init__(tls=tls)

    @property
    def topics(self) -> list[Topic]:
        """What is there to be read, the oldest first."""
        return [topic for topic in self.all_topics if not topic.deleted]

    def unknown(self, asked: Asked) -> Reply:
        """As Discourse words it."""
        return _error(404, "The requested URL or resource could not be found.", "not_found")

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse another key or another user."""
        headers = call.asked.headers
        if (headers.get("api-key"), headers.get("api-username")) != (self.key, self.username):
            text = "You are not permitted to view the requested resource. The API username or key is invalid."
            return _error(403, text, "invalid_access")
        return handler(call)

    @on("POST /posts.json")
    def _create(self, call: Call) -> Reply:
        said = call.body
        if "topic_id" in said:
            topic = self._topic(said["topic_id"])
            if topic is None:
                return self.unknown(call.asked)
            topic.replies.append(said["raw"])
            return answer(
                self._post("/posts.json", "post", topic, next(self._ids), said["raw"], len(topic.replies) + 1)
            )
        faults = [*self._of_title(said.get("title", "")), *_of_raw(said["raw"]), *self._of_external(said)]
        if "category" in said and said["category"] not in self.categories:
            faults.append("Category is not valid")
        if faults:
            return answer({"action": "create_post", "errors": faults}, 422)
        wanted = (said["title"], said["raw"], said.get("category"), said.get("tags", []), said.get("external_id"))
        topic = Topic(next(self._ids), next(self._ids), *wanted)
        self.all_topics.append(topic)
        return answer(self._post("/posts.json", "post", topic, topic.post, topic.raw, 1))

    @on("GET /posts/{id}.json")
    def _get_post(self, call: Call) -> Reply:
        topic = self._by_post(call["id"])
        if topic is None:
            return self.unknown(call.asked)
        return answer(self._post("/posts/{id}.json", "get", topic, topic.post, topic.raw, 1))

    @on("PUT /posts/{id}.json")
    def _edit_post(self, call: Call) -> Reply:
        topic = self._by_post(call["id"])
        if topic is None:
            return self.unknown(call.asked)
        if faults := _of_raw(call.body["post"]["raw"]):
            return answer({"action": "edit_post", "errors": faults}, 422)
        if call.body["post"]["raw"] != topic.raw:
            topic.raw, topic.version = call.body["post"]["raw"], topic.version + 1
        schema = self._schema("/posts/{id}.json", "put")["properties"]["post"]
        shown = {**sample(self.description, schema), **self._fields(topic, topic.post, topic.raw, 1)}
        return answer({"post": {name: value for name, value in shown.items() if name in schema["properties"]}})

    @on("DELETE /posts/{id}.json")
    def _delete_post(self, call: Call) -> Reply:
        topic = self._by_post(call["id"])
        if topic is None:
            return self.unknown(call.asked)
        topic.deleted = True  # the first post is the topic
        return answer({})

    @on("GET /t/external_id/{external_id}.json")
    def _by_external(self, call: Call) -> Reply:
        topic = next((item for item in self.topics if item.external_id == call["external_id"]), None)
        if topic is None:
            return self.unknown(call.asked)
        return Reply(301, {"Location": f"{self.url}/t/{topic.slug}/{topic.id}.json"})

    @on("GET /t/{id}.json", "GET /t/{slug}/{id}.json")
    def _get_topic(self, call: Call) -> Reply:
        topic = self._topic(call["id"])
        if topic is None:
            return self.unknown(call.asked)
        schema = self._schema("/t/{id}.json", "get")
        shown = sample(self.description, schema)
        stream = shown["post_stream"]
        stream["stream"] = [topic.post]
        post = schema["properties"]["post_stream"]["properties"]["posts"]["items"]
        fields = {**sample(self.description, post), **self._fields(topic, topic.post, topic.raw, 1)}
        stream["posts"] = [{name: value for name, value in fields.items() if name in post["properties"]}]
        own = {"id": topic.id, "title": topic.title, "fancy_title": topic.title, "slug": topic.slug, "tags": topic.tags}
        return answer({**shown, **own, "category_id": topic.category or 1, "posts_count": 1 + len(topic.replies)})

    @on("PUT /t/-/{id}.json")
    def _edit_topic(self, call: Call) -> Reply:
        topic = self._topic(call["id"])
        if topic is None:
            return self.unknown(call.asked)
        title = call.body["topic"].get("title", topic.title)
        if title != topic.title and (faults := self._of_title(title)):
            return answer({"errors": faults}, 422)
        topic.title = title
        topic.category = call.body["topic"].get("category_id", topic.category)
        shown = {"id": topic.id, "title": title, "fancy_title": title, "slug": topic.slug, "posts_count": 1}
        return answer({"basic_topic": shown})

    @on("DELETE /t/{id}.json")
    def _delete_topic(self, call: Call) -> Reply:
        topic = self._topic(call["id"])
        if topic is None:
            return self.unknown(call.asked)
        topic.deleted = True
        return answer({})

    def _of_title(self, title: str) -> list[str]:
        if len(title) < TITLE[0]:
            return [f"Title is too short (minimum is {TITLE[0]} characters)"]
        if len(title) > TITLE[1]:
            return [f"Title is too long (maximum is {TITLE[1]} characters)"]
        taken = title.lower() in {topic.title.lower() for topic in self.topics}
        return ["Title has already been used"] if taken else []

    def _of_external(self, said: dict[str, Any]) -> list[str]:
        key = said.get("external_id")
        if key is None:
            return []
        if len(key) > 50 or not re.fullmatch(r"[\w-]+", key, re.ASCII):
            return ["External is invalid"]
        # the database does not forget those of deleted topics
        taken = key.lower() in {(topic.external_id or "").lower() for topic in self.all_topics}
        return ["External has already been taken"] if taken else []

    def _topic(self, number: object) -> Topic | None:
        return next((topic for topic in self.topics if str(topic.id) == str(number)), None)

    def _by_post(self, number: str) -> Topic | None:
        return next((topic for topic in self.topics if str(topic.post) == number), None)

    def _schema(self, path: str, method: str) -> Any:
        return self.description.at("paths", path, method, "responses", "200", "content", "application/json", "schema")

    def _post(self, path: str, method: str, topic: Topic, post: int, raw: str, number: int) -> dict[str, Any]:
        schema = self._schema(path, method)
        fields = {**sample(self.description, schema), **self._fields(topic, post, raw, number)}
        return {name: value for name, value in fields.items() if name in schema["properties"]}

    def _fields(self, topic: Topic, post: int, raw: str, number: int) -> dict[str, Any]:
        return {
            "id": post, "topic_id": topic.id, "topic_slug": topic.slug, "post_number": number, "raw": raw,
            "cooked": f"<p>{len(raw)} characters</p>", "username": self.username, "version": topic.version,
            "yours": True, "can_edit": True, "can_delete": True,
        }  # fmt: skip


def _of_raw(raw: str) -> list[str]:
    if len(raw) < RAW[0]:
        return [f"Body is too short (minimum is {RAW[0]} characters)"]
    return [f"Body is limited to {RAW[1]} characters; you entered {len(raw)}."] if len(raw) > RAW[1] else []


def _error(status: int, text: str, kind: str) -> Reply:
    return answer({"errors": [text], "error_type": kind}, status)
