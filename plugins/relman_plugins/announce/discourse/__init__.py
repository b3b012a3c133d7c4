"""Announces on a forum of Discourse: a topic for each release (https://docs.discourse.org).

A topic carries our key as `external_id`, which is unique in a forum: the forum itself lets nothing be posted twice, and
finds the topic by it. A reply carries it in its text, where only the API shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.plan import Action, action_key
from relman.model.record import Receipt
from relman.plugin import ActionsContext, ConfigError, Slot, UsageError, hookimpl, quiet
from relman_plugins.announce.discourse.executor import POSTED, DiscourseExecutor
from relman_plugins.announce.discourse.settings import TITLE, DiscourseSettings, marker
from relman_plugins.announce.texts import announcement, rendered


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "discourse"`."""
    return (Slot("announce", "discourse", DiscourseSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A topic for each table: all of the notes that a post holds, or what the table's template says."""
    for settings in context.settings(DiscourseSettings):
        name = settings.name or settings.type
        key = action_key(context.release.id, f"discourse:{name}")
        earlier = context.earlier.get(name)
        payload: dict[str, object] = {"title": _title(context.renderer.inline(settings.title), name)}
        if settings.reply and earlier and POSTED.fullmatch(earlier.remote_id or ""):
            payload |= {"text": _text(context, settings, None, below=marker(key)), "reply_to": earlier.remote_id}
        else:
            payload["text"] = _text(context, settings, earlier)
        # the core notes what a renderer's text measures; this one has more around it
        payload["measured"] = {"size": len(str(payload["text"])), "limit": settings.limit, "by": "characters"}
        yield announcement("discourse", context, settings, payload)


def _title(rendered: str, channel: str) -> str:
    line = " ".join(rendered.split())
    if not 1 <= len(line) <= TITLE:
        raise ConfigError(
            f"channel `{channel}`: the topic's title has {len(line)} characters, and Discourse takes 1 to {TITLE}",
            hint='a shorter one is `title = "{{ project }} {{ version }}"` in its table',
        )
    return line


def _text(context: ActionsContext, settings: DiscourseSettings, earlier: Receipt | None, *, below: str = "") -> str:
    """The post, with a line on the earlier topic above where there is one."""
    address = earlier.url if earlier else None
    above = f"This follows up [an earlier announcement]({address}).\n\n" if address and not settings.template else ""
    room = settings.limit - len(above) - len(below)
    if settings.template:
        return rendered(context, settings, format="markdown", limit=room, earlier=address) + below
    notes = context.renderer.notes
    try:
        whole = notes("markdown", limit=room, measure=lambda text: len(_quiet(text)), full=context.page)
    except UsageError as error:
        raise ConfigError(
            f"channel `{settings.name or settings.type}`: {settings.limit} characters have no room for a post",
            hint="`limit` in its table is what a post of this forum may have",
        ) from error
    return above + _quiet(whole) + below


def _quiet(notes: str) -> str:
    """Notes in which nobody is mentioned: who has a name in a repository may be another on a forum."""
    return quiet(notes.rstrip(), entities=True)


@hookimpl
def relman_executors() -> tuple[DiscourseExecutor]:
    """The one that speaks to forums."""
    return (DiscourseExecutor(),)
