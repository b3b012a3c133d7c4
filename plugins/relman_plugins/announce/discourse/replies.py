"""Replies in the topic of an earlier release, found again by the mark in their text."""

from __future__ import annotations

import re

from relman.model.plan import Action
from relman.model.record import Unknown
from relman.plugin import ChannelReader
from relman_plugins.announce.answers import fields, under, whole
from relman_plugins.announce.discourse.forum import Forum
from relman_plugins.announce.discourse.settings import marker

PAGES = 20
"""Of a hundred posts each, that are looked through."""
_MEBIBYTE = 1024 * 1024
_HEAD = re.compile(r"(?m)^(\S+) \| [^|\n]{1,100} \| #([0-9]{1,9})$")
"""The line above each post: its author, when, and which in the topic it is."""


def found_reply(forum: Forum, topic: str, action: Action, reader: ChannelReader) -> tuple[int, int] | Unknown | None:
    """The number of our reply, and which in the topic it is; `None` where it is not there, or the topic is not.

    The texts of a topic come a hundred at a time (`/raw/{topic}`). Whoever else writes our mark, or such a line, into a
    post of theirs is not believed: the post itself says whose it is.
    """
    mark = marker(action.key).strip()
    for page in range(1, PAGES + 1):
        response = forum.get(reader, f"/raw/{topic}?page={page}")
        if response.status in (404, 410):
            return None
        forum.check(response, reading=True)
        text = response.content.decode(errors="replace")
        for number in _above(mark, text):
            if (post := _ours(forum, topic, number, mark, reader)) is not None:
                return post, number
        if not text.strip():
            return None
        if len(response.content) >= _MEBIBYTE:
            return Unknown("the earlier topic is longer than can be looked through")
    return Unknown(f"there are more than {PAGES * 100:,} posts in the earlier topic")


def _above(mark: str, text: str) -> list[int]:
    """Which posts have the mark, as far as the lines above them can be believed."""
    heads = list(_HEAD.finditer(text))
    places = [at.start() for at in re.finditer(re.escape(mark), text)]
    return [number for place in places[:10] for number in [int(h[2]) for h in heads if h.start() < place][-3:][::-1]]


def _ours(forum: Forum, topic: str, number: int, mark: str, reader: ChannelReader) -> int | None:
    response = forum.get(reader, f"/posts/by_number/{topic}/{number}.json")
    if response.status in (404, 410):
        return None
    forum.check(response, reading=True)
    post = fields(response)
    ours = under(post, "yours") is True and mark in str(under(post, "raw"))
    return whole(under(post, "id")) if ours and whole(under(post, "post_number")) == number else None


def is_there(forum: Forum, topic: str, reader: ChannelReader) -> bool:
    """Whether a topic can still be replied to, as far as it is not gone."""
    response = forum.get(reader, f"/t/{topic}.json")
    if response.status in (404, 410):
        return False
    forum.check(response, reading=True)
    return True
