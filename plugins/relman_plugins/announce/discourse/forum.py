"""A forum as its API is asked: https://docs.discourse.org."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from relman.model.plan import Action
from relman.plugin import ChannelReader, ChannelWriter, HttpResponse, Malformed, NotFound, Passing
from relman_plugins.announce.answers import body, check, fields, printable, under, whole
from relman_plugins.announce.discourse.settings import DiscourseSettings, external_id

_HINT = "`key` is a key of the API for topics, and `username` whom it is for"
_TOPIC = re.compile(r"/t/(?:[^/?#]+/)?([0-9]{1,19})(?:\.json)?(?:[/?#]|$)")
_HINTS = (
    ("title has already been used", "titles are unique there: `title` in its table makes another, in a plan made anew"),
    ("title", "`title` in its table makes another, in a plan made anew"),
    ("body", "make a new plan with `limit` in its table: what a post of this forum may have"),
    ("tag", "`tags` are tags that this forum has, and that the user may use"),
    ("category", "`category` is one that the user may post to"),
)


class Forum(msgspec.Struct, frozen=True):
    """A forum as its API is asked; ``address`` is without a slash at the end."""

    channel: str
    address: str
    headers: Mapping[str, str]

    def __str__(self) -> str:
        return f"the forum of channel `{self.channel}`"

    def get(self, reader: ChannelReader, path: str) -> HttpResponse:
        """Read."""
        return reader.get(f"{self.address}{path}", headers=self.headers)

    def send(self, writer: ChannelWriter, method: str, path: str, content: Mapping[str, object] | None) -> HttpResponse:
        """One request that changes something."""
        headers = {**self.headers, **({"Content-Type": "application/json"} if content else {})}
        sent = json.dumps(content).encode() if content else b""
        return writer.send(method, f"{self.address}{path}", content=sent, headers=headers)

    def check(self, response: HttpResponse, *, reading: bool = False) -> None:
        """Raises what an answer that is no success means, in the forum's own words."""
        answer = fields(response)
        words = printable("; ".join(words_of(answer))) or body(response)
        wait = under(answer, "extras", "wait_seconds")
        if response.status == 429 and isinstance(wait, int | float):
            raise Passing(f"{self} asks to wait for {wait:g} s: {words}", hint="the same command later may work")
        hint = _HINT if response.status in (401, 403) else None
        if response.status == 422:
            hint = next((hint for said, hint in _HINTS if said in words.lower()), None)
        check(response, str(self), words, hint=hint, reading=reading)


def forum_of(action: Action, reader: ChannelReader) -> Forum:
    """The forum of an action's channel."""
    settings = reader.settings(DiscourseSettings)
    headers = {
        "Api-Key": reader.reveal(settings.key),
        "Api-Username": quote(settings.username, safe=""),
        "Accept": "application/json",
    }
    return Forum(str(action.channel), settings.url.rstrip("/"), headers)


def words_of(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """What the forum says is wrong."""
    errors = answer.get("errors")
    if isinstance(errors, list):
        return tuple(error for error in errors[:5] if isinstance(error, str))
    return (errors,) if isinstance(errors, str) else ()


def topic_by_key(forum: Forum, action: Action, reader: ChannelReader) -> int | None:
    """The number of the topic with our key, to which the forum redirects; `None` where there is none."""
    response = forum.get(reader, f"/t/external_id/{external_id(action)}.json")
    if response.status in (404, 410):
        return None
    if response.status in (301, 302, 307, 308):
        found = _TOPIC.search(response.headers.get("location", ""))
        if found:
            return int(found[1])
        raise Malformed(f"{forum} redirects to no topic")
    forum.check(response, reading=True)
    topic = whole(fields(response).get("id"))
    if topic is None:
        raise Malformed(f"{forum} answered {response.status}, but with no topic")
    return topic


def category_number(wanted: int | str, forum: Forum, reader: ChannelReader) -> int:
    """The number of a category. Raises `NotFound` where no slug, or more than one, is so."""
    if isinstance(wanted, int) or wanted.isdigit():
        return int(wanted)
    if "/" not in wanted:
        response = forum.get(reader, f"/c/{quote(wanted, safe='')}/show.json")
        number = whole(under(fields(response), "category", "id")) if response.status == 200 else None
        if number is not None:
            return number
    response = forum.get(reader, "/categories.json?include_subcategories=true")
    forum.check(response, reading=True)
    listed = under(fields(response), "category_list", "categories")
    found = {number for name, number in _named(listed) if wanted in (name, name.rpartition("/")[2])}
    if len(found) != 1:
        raise NotFound(
            f"{forum} shows {'no category' if not found else 'more than one category'} `{wanted}`",
            hint="`category` may be a number, too: it stands in the address of the category's page",
        )
    return found.pop()


def _named(categories: object, above: str = "") -> Iterator[tuple[str, int]]:
    """Every category as `slug`, or `parent/slug`, with its number."""
    below: Iterable[object] = categories if isinstance(categories, list) else ()
    for category in below:
        slug, number = under(category, "slug"), whole(under(category, "id"))
        if isinstance(slug, str) and number is not None:
            yield f"{above}{slug}", number
            if not above:
                yield from _named(under(category, "subcategory_list"), f"{slug}/")
