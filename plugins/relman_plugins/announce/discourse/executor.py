"""Posts topics and replies, and finds, corrects and withdraws them."""

from __future__ import annotations

import re
from typing import Literal

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import AnswerLost, ChannelReader, ChannelWriter, Malformed, NotFound, RelmanError
from relman_plugins.announce.answers import fields, https, printable, under, whole
from relman_plugins.announce.discourse.forum import Forum, category_number, forum_of, topic_by_key, words_of
from relman_plugins.announce.discourse.replies import found_reply, is_there
from relman_plugins.announce.discourse.settings import DiscourseSettings, external_id, marker
from relman_plugins.announce.texts import surviving, text_sha256

WITHDRAWN = "> **Withdrawn.** This announcement no longer stands."
POSTED = re.compile(r"([0-9]{1,19}) ([0-9]{1,19})(?: ([0-9]{1,19}))?")
"""A topic, a post, and, of a reply, which in the topic it is."""
_SLUG = re.compile(r"[\w%-]{1,255}")


class DiscourseExecutor:
    """Posts a topic once. ``remote_id`` is the topic's number and its first post's."""

    kind = "discourse"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post “Bluefin stable” to the forum of news`."""
        return f"post “{printable(action.text('title'))}” to the forum of `{action.channel}`"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """The reply with our mark, the topic with our external id, or the post that waits for a moderator."""
        forum = forum_of(action, reader)
        if answered := _answered(action):
            reply = found_reply(forum, answered, action, reader)
            if isinstance(reply, Unknown):
                return reply
            if reply is not None:
                return _receipt(action, ReceiptState.ADOPTED, forum, int(answered), reply[0], None, reply[1])
        topic = topic_by_key(forum, action, reader)
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
        settings, forum = writer.settings(DiscourseSettings), forum_of(action, writer)
        answered = _answered(action)
        new: dict[str, object] = {"raw": action.text("text")}
        reply = answered is not None and is_there(forum, answered, writer)
        if answered is not None and reply:
            new["topic_id"] = int(answered)
        else:
            new |= {"title": action.text("title"), "external_id": external_id(action)}
            new["category"] = category_number(settings.category, forum, writer)
            # by name: newer forums (2026.1) would rather have objects, and older ones take nothing else
            new |= {"tags": list(settings.tags)} if settings.tags else {}
        response = forum.send(writer, "POST", "/posts.json", new)
        answer = fields(response)
        if response.status == 422 and any("external" in word.lower() for word in words_of(answer)):
            raise AnswerLost(f"{forum} has a topic of this release already")
        forum.check(response)
        if answer.get("action") == "enqueued":
            return _pending(action, ReceiptState.DONE)
        number, post = whole(answer.get("topic_id")), whole(answer.get("id"))
        if number is None or post is None:
            raise AnswerLost(f"{forum} answered {response.status} without the topic's number")
        place = whole(answer.get("post_number")) if reply else None
        if reply and place is None:
            raise AnswerLost(f"{forum} answered {response.status} without the reply's place")
        return _receipt(action, ReceiptState.DONE, forum, number, post, answer.get("topic_slug"), place)

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The first post says what was sent."""
        posted = POSTED.fullmatch(receipt.remote_id or "")
        if posted is None:
            return
        forum = forum_of(action, reader)
        response = forum.get(reader, f"/posts/{posted[2]}.json")
        if response.status in (404, 410):
            raise NotFound(f"{forum} has topic {posted[1]} no more")
        forum.check(response, reading=True)
        if surviving(str(fields(response).get("raw"))) != surviving(action.text("text")):
            raise Malformed(f"the topic {posted[1]} of {forum} says something else than what was sent")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """The post, with a reason, and the title of a topic of ours."""
        forum = forum_of(action, writer)
        current = self._posted(action, receipt, writer)
        topic, post, reply = _numbers(current, forum)
        _revise(forum, writer, post, action.text("text"), "The announcement was corrected.")
        if not reply:
            # the description has the title inside `topic`, and the server reads it outside
            title = action.text("title")
            response = forum.send(writer, "PUT", f"/t/-/{topic}.json", {"title": title, "topic": {"title": title}})
            forum.check(response)
        return Receipt.of(
            action, ReceiptState.DONE, remote_id=current.remote_id, url=current.url, sha256=text_sha256(action)
        )

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Delete the topic or the reply; where the user may not, the post says that it is withdrawn."""
        forum = forum_of(action, writer)
        current = self._posted(action, receipt, writer, gone=True)
        if current.remote_id is None:
            return Receipt.of(action, ReceiptState.DONE, detail="it was deleted before")
        topic, post, reply = _numbers(current, forum)
        response = forum.send(writer, "DELETE", f"/posts/{post}.json" if reply else f"/t/{topic}.json", None)
        if response.status in (404, 410):
            return Receipt.of(action, ReceiptState.DONE, detail="it was deleted before")
        if response.status in (403, 422):
            text = f"{WITHDRAWN}\n\n{action.text('text')}"
            limit = writer.settings(DiscourseSettings).limit
            least = WITHDRAWN + (marker(action.key) if reply else "")
            _revise(forum, writer, post, text if len(text) <= limit else least, "The announcement was withdrawn.")
            detail = "the user may not delete topics: the post says that it is withdrawn"
            return Receipt.of(action, ReceiptState.DONE, remote_id=current.remote_id, url=current.url, detail=detail)
        forum.check(response)
        return Receipt.of(action, ReceiptState.DONE, detail="deleted")

    def _posted(self, action: Action, receipt: Receipt, reader: ChannelReader, *, gone: bool = False) -> Receipt:
        """``receipt``, or what the forum shows where it has no numbers: a person settled it, or a moderator since."""
        if POSTED.fullmatch(receipt.remote_id or ""):
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


def _waiting(forum: Forum, action: Action, reader: ChannelReader) -> Receipt | None:
    """Our post among those that wait for a moderator: it has no external id before it is let through."""
    response = forum.get(reader, f"/posts/{forum.headers['Api-Username']}/pending.json")
    if response.status in (403, 404):  # who may not see what waits, and a forum that shows it nobody
        return None
    forum.check(response, reading=True)
    pending = fields(response).get("pending_posts")
    if not isinstance(pending, list):
        raise Malformed(f"{forum} does not show what waits for a moderator")
    for one in pending:
        named = under(one, "title") == action.text("title") or (_answered(action) and under(one, "title") is None)
        if named and surviving(str(under(one, "raw_text"))) == surviving(action.text("text")):
            return _pending(action, ReceiptState.ADOPTED)
    return None


def _pending(action: Action, state: ReceiptState) -> Receipt:
    return Receipt.of(action, state, sha256=text_sha256(action), detail="accepted; it waits for a moderator")


def _receipt(
    action: Action, state: ReceiptState, forum: Forum, topic: int, post: int, slug: object, place: int | None = None
) -> Receipt:
    """``place`` is which post of its topic a reply is."""
    between = f"{slug}/" if isinstance(slug, str) and _SLUG.fullmatch(slug) else "" if place is None else "-/"
    url = https(f"{forum.address}/t/{between}{topic}{'' if place is None else f'/{place}'}")
    numbers = f"{topic} {post}" + ("" if place is None else f" {place}")
    return Receipt.of(action, state, remote_id=numbers, url=url, sha256=text_sha256(action))


def _numbers(receipt: Receipt, forum: Forum) -> tuple[str, str, bool]:
    """Topic and post, and whether it is a reply there."""
    posted = POSTED.fullmatch(receipt.remote_id or "")
    if posted is None:
        raise Malformed(f"the receipt has no numbers of a topic of {forum}")
    return posted[1], posted[2], posted[3] is not None


def _answered(action: Action) -> str | None:
    """The topic that this is to be a reply in."""
    earlier = POSTED.fullmatch(str(action.payload.get("reply_to", "")))
    return earlier[1] if earlier else None


def _revise(forum: Forum, writer: ChannelWriter, post: str, raw: str, reason: str) -> None:
    change = {"post": {"raw": raw, "edit_reason": reason}}
    forum.check(forum.send(writer, "PUT", f"/posts/{post}.json", change))
