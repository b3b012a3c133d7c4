"""Announces on a forum of Discourse: a topic for each release (https://docs.discourse.org).

A topic carries our key as `external_id`, which is unique in a forum: the forum itself lets nothing be posted twice, and
finds the topic by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, StringConstraints

from relman.model.plan import Action, Stage, action_key
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
    Passing,
    RelmanError,
    Secret,
    Slot,
    hookimpl,
)
from relman_plugins.announce.answers import body, check, fields, https, printable, surviving, text_sha256, under, whole

LIMIT = 32_000
"""Characters of a post, by default: a forum may set another (`max post length`), and tells only its admins."""
TITLE = 255
"""Characters of a title at most; a forum may take less (`max topic title length`), and wants 15 by default."""
WITHDRAWN = "> **Withdrawn.** This announcement no longer stands."

_POSTED = re.compile(r"([0-9]{1,19}) ([0-9]{1,19})")
_TOPIC = re.compile(r"/t/(?:[^/?#]+/)?([0-9]{1,19})(?:\.json)?(?:[/?#]|$)")
_SLUG = re.compile(r"[\w%-]{1,255}")
_HINT = "`key` is a key of the API for topics, and `username` whom it is for"


class DiscourseSettings(ChannelSettings):
    """`type = "discourse"`. ``category`` is its number or its slug, `parent/child` for one below another.

    ``title`` is a template in place of the release's title; ``limit`` is what a post may have on this forum.
    """

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")]
    category: Annotated[int, Field(ge=1)] | Annotated[str, StringConstraints(pattern=r"^[\w-]+(/[\w-]+)?$")]
    key: Secret
    username: Annotated[str, StringConstraints(pattern=r"^\S{1,100}$")] = "system"
    tags: tuple[Annotated[str, StringConstraints(pattern=r"^[^\s,]{1,100}$")], ...] = ()
    title: str = "{{ title }}"
    limit: Annotated[int, Field(ge=100)] = LIMIT


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "discourse"`."""
    return (Slot("announce", "discourse", DiscourseSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A topic for each table: all of the notes that a post holds, or what the table's template says."""
    for settings in context.settings(DiscourseSettings):
        name = settings.name or settings.type
        earlier = context.earlier.get(name)
        yield Action(
            kind="discourse",
            stage=Stage.ANNOUNCE,
            key=action_key(context.release.id, f"discourse:{name}"),
            target=f"discourse:{name}",
            channel=name,
            required=settings.required,
            payload={
                "title": _title(context.renderer.inline(settings.title), name),
                "text": _text(context, settings, earlier.url if earlier else None),
            },
        )


def _title(rendered: str, channel: str) -> str:
    line = " ".join(rendered.split())
    if not 1 <= len(line) <= TITLE:
        raise ConfigError(
            f"channel `{channel}`: the topic's title has {len(line)} characters, and Discourse takes 1 to {TITLE}",
            hint='a shorter one is `title = "{{ project }} {{ version }}"` in its table',
        )
    return line


def _text(context: ActionsContext, settings: DiscourseSettings, earlier: str | None) -> str:
    """The post, below a line on the earlier topic where there is one."""
    render, page = context.renderer, context.page
    if settings.template:
        return render.post(settings.template, format="markdown", limit=settings.limit, url=page, earlier=earlier)
    above = f"This follows up [an earlier announcement]({earlier}).\n\n" if earlier else ""
    return above + render.notes("markdown", limit=settings.limit - len(above), full=page)


@hookimpl
def relman_executors() -> tuple[DiscourseExecutor]:
    """The one that speaks to forums."""
    return (DiscourseExecutor(),)


class DiscourseExecutor:
    """Posts a topic once. ``remote_id`` is the topic's number and its first post's."""

    kind = "discourse"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post “Bluefin stable” to the forum of news (12,345 characters)`."""
        size = len(action.text("text"))
        return f"post “{printable(action.text('title'))}” to the forum of `{action.channel}` ({size:,} characters)"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """The topic with our external id, or the post that waits for a moderator."""
        forum = _forum(action, reader)
        topic = _by_external_id(forum, action, reader)
        if topic is None:
            return _waiting(forum, action, reader)
        answer = forum.get(reader, f"/t/{topic}.json")
        forum.check(answer, reading=True)
        found = fields(answer)
        posts = under(found, "post_stream", "posts")
        first = whole(under(posts[0], "id")) if isinstance(posts, list) and posts else None
        if first is None:
            raise Malformed(f"{forum} shows topic {topic} without its first post")
        return _receipt(action, ReceiptState.ADOPTED, forum, topic, first, found.get("slug"))

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """`POST /posts.json`. One that waits for a moderator is accepted, once, and has no number yet."""
        settings, forum = writer.settings(DiscourseSettings), _forum(action, writer)
        topic = {
            "title": action.text("title"),
            "raw": action.text("text"),
            "category": _category(settings.category, forum, writer),
            "external_id": _external_id(action),
            **({"tags": list(settings.tags)} if settings.tags else {}),
        }
        response = forum.send(writer, "POST", "/posts.json", topic)
        answer = fields(response)
        if response.status == 422 and any("external" in word.lower() for word in _words(answer)):
            raise AnswerLost(f"{forum} has a topic of this release already")
        forum.check(response)
        if answer.get("action") == "enqueued":
            return _pending(action, ReceiptState.DONE)
        number, post = whole(answer.get("topic_id")), whole(answer.get("id"))
        if number is None or post is None:
            raise AnswerLost(f"{forum} answered {response.status} without the topic's number")
        return _receipt(action, ReceiptState.DONE, forum, number, post, answer.get("topic_slug"))

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The first post says what was sent."""
        posted = _POSTED.fullmatch(receipt.remote_id or "")
        if posted is None:
            return
        forum = _forum(action, reader)
        response = forum.get(reader, f"/posts/{posted[2]}.json")
        if response.status in (404, 410):
            raise NotFound(f"{forum} has topic {posted[1]} no more")
        forum.check(response, reading=True)
        if surviving(str(fields(response).get("raw"))) != surviving(action.text("text")):
            raise Malformed(f"the topic {posted[1]} of {forum} says something else than what was sent")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """The first post, with a reason, and the title."""
        forum = _forum(action, writer)
        current = self._posted(action, receipt, writer)
        topic, post = _numbers(current, forum)
        _revise(forum, writer, post, action.text("text"), "The announcement was corrected.")
        # the description has the title inside `topic`, and the server reads it outside
        title = action.text("title")
        response = forum.send(writer, "PUT", f"/t/-/{topic}.json", {"title": title, "topic": {"title": title}})
        forum.check(response)
        return Receipt.of(
            action, ReceiptState.DONE, remote_id=current.remote_id, url=current.url, sha256=text_sha256(action)
        )

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Delete the topic; where the user may not, the post says that it is withdrawn."""
        forum = _forum(action, writer)
        current = self._posted(action, receipt, writer, gone=True)
        if current.remote_id is None:
            return Receipt.of(action, ReceiptState.DONE, detail="it was deleted before")
        topic, post = _numbers(current, forum)
        response = forum.send(writer, "DELETE", f"/t/{topic}.json", None)
        if response.status in (404, 410):
            return Receipt.of(action, ReceiptState.DONE, detail="it was deleted before")
        if response.status in (403, 422):
            text = f"{WITHDRAWN}\n\n{action.text('text')}"
            limit = writer.settings(DiscourseSettings).limit
            _revise(forum, writer, post, text if len(text) <= limit else WITHDRAWN, "The announcement was withdrawn.")
            detail = "the user may not delete topics: the post says that it is withdrawn"
            return Receipt.of(action, ReceiptState.DONE, remote_id=current.remote_id, url=current.url, detail=detail)
        forum.check(response)
        return Receipt.of(action, ReceiptState.DONE, detail="deleted")

    def _posted(self, action: Action, receipt: Receipt, reader: ChannelReader, *, gone: bool = False) -> Receipt:
        """``receipt``, or what the forum shows where it has no numbers: a person settled it, or a moderator since."""
        if _POSTED.fullmatch(receipt.remote_id or ""):
            return receipt
        found = self.probe(action, reader)
        if isinstance(found, Receipt) and found.remote_id:
            return found
        if isinstance(found, Receipt) or not gone:
            why = "it waits for a moderator" if isinstance(found, Receipt) else "no topic has its key"
            raise RelmanError(
                f"channel `{action.channel}`: the topic cannot be found: {why}", hint="change it on the forum itself"
            )
        return Receipt.of(action, ReceiptState.DONE)


@dataclass(frozen=True, slots=True)
class _Forum:
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
        words = printable("; ".join(_words(answer))) or body(response)
        wait = under(answer, "extras", "wait_seconds")
        if response.status == 429 and isinstance(wait, int | float):
            raise Passing(f"{self} asks to wait for {wait:g} s: {words}", hint="the same command later may work")
        hint = _HINT if response.status in (401, 403) else None
        if response.status == 422:
            hint = next((hint for said, hint in _HINTS if said in words.lower()), None)
        check(response, str(self), words, hint=hint, reading=reading)


_HINTS = (
    ("title has already been used", "titles are unique there: `title` in its table makes another, in a plan made anew"),
    ("title", "`title` in its table makes another, in a plan made anew"),
    ("body", "make a new plan with `limit` in its table: what a post of this forum may have"),
    ("tag", "`tags` are tags that this forum has, and that the user may use"),
    ("category", "`category` is one that the user may post to"),
)


def _forum(action: Action, reader: ChannelReader) -> _Forum:
    settings = reader.settings(DiscourseSettings)
    headers = {
        "Api-Key": reader.reveal(settings.key),
        "Api-Username": quote(settings.username, safe=""),
        "Accept": "application/json",
    }
    return _Forum(str(action.channel), settings.url.rstrip("/"), headers)


def _words(answer: Mapping[str, Any]) -> tuple[str, ...]:
    errors = answer.get("errors")
    if isinstance(errors, list):
        return tuple(error for error in errors[:5] if isinstance(error, str))
    return (errors,) if isinstance(errors, str) else ()


def _external_id(action: Action) -> str:
    return f"relman-{action.key}"


def _by_external_id(forum: _Forum, action: Action, reader: ChannelReader) -> int | None:
    """The number of the topic with our key, to which the forum redirects; `None` where there is none."""
    response = forum.get(reader, f"/t/external_id/{_external_id(action)}.json")
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


def _waiting(forum: _Forum, action: Action, reader: ChannelReader) -> Receipt | None:
    """Our post among those that wait for a moderator: it has no external id before it is let through."""
    response = forum.get(reader, f"/posts/{forum.headers['Api-Username']}/pending.json")
    pending = fields(response).get("pending_posts") if response.status == 200 else None
    for post in pending if isinstance(pending, list) else ():
        same = (under(post, "title"), surviving(str(under(post, "raw_text"))))
        if same == (action.text("title"), surviving(action.text("text"))):
            return _pending(action, ReceiptState.ADOPTED)
    return None


def _pending(action: Action, state: ReceiptState) -> Receipt:
    return Receipt.of(action, state, sha256=text_sha256(action), detail="accepted; it waits for a moderator")


def _receipt(action: Action, state: ReceiptState, forum: _Forum, topic: int, post: int, slug: object) -> Receipt:
    between = f"{slug}/" if isinstance(slug, str) and _SLUG.fullmatch(slug) else ""
    url = https(f"{forum.address}/t/{between}{topic}")
    return Receipt.of(action, state, remote_id=f"{topic} {post}", url=url, sha256=text_sha256(action))


def _numbers(receipt: Receipt, forum: _Forum) -> tuple[str, str]:
    posted = _POSTED.fullmatch(receipt.remote_id or "")
    if posted is None:
        raise Malformed(f"the receipt has no numbers of a topic of {forum}")
    return posted[1], posted[2]


def _revise(forum: _Forum, writer: ChannelWriter, post: str, raw: str, reason: str) -> None:
    change = {"post": {"raw": raw, "edit_reason": reason}}
    forum.check(forum.send(writer, "PUT", f"/posts/{post}.json", change))


def _category(wanted: int | str, forum: _Forum, reader: ChannelReader) -> int:
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
