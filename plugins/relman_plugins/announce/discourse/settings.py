"""`[[announce]] type = "discourse"`, and what an announcement is on a forum."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from relman.model.plan import Action
from relman.plugin import ChannelSettings, Secret

LIMIT = 32_000
"""Characters of a post, by default: a forum may set another (`max post length`), and tells only its admins."""
TITLE = 255
"""Characters of a title at most; a forum may take less (`max topic title length`), and wants 15 by default."""


class DiscourseSettings(ChannelSettings):
    """`type = "discourse"`. ``category`` is its number or its slug, `parent/child` for one below another.

    ``title`` is a template in place of the release's title; ``limit`` is what a post may have on this forum. With
    ``reply`` a release that follows up another is told in that one's topic.
    """

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")]
    category: Annotated[int, Field(ge=1)] | Annotated[str, StringConstraints(pattern=r"^[\w-]+(/[\w-]+)?$")]
    key: Secret
    username: Annotated[str, StringConstraints(pattern=r"^\S{1,100}$")] = "system"
    tags: tuple[Annotated[str, StringConstraints(pattern=r"^[^\s,]{1,100}$")], ...] = ()
    title: str = "{{ title }}"
    reply: bool = False
    limit: Annotated[int, Field(ge=100)] = LIMIT


def external_id(action: Action) -> str:
    """The key by which a forum knows a topic (`external_id`: at most 50 of letters, digits, `_` and `-`)."""
    return f"relman-{action.key}"


def marker(key: str) -> str:
    """What tells a reply: replies have no external id. Discourse shows no comments of HTML."""
    return f"\n\n<!-- relman:{key} -->"
