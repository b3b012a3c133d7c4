"""Announces in a feed: an Atom or JSON Feed file, for readers, sites and other programs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from relman.model.plan import Action, action_key
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    Malformed,
    NotFound,
    Slot,
    hookimpl,
)
from relman_plugins.announce.feed import atom, json_feed
from relman_plugins.announce.feed.entries import Entry, Head, entry_id, standing, with_entry, without_entry
from relman_plugins.announce.texts import announcement

_FORMATS: dict[str, ModuleType] = {"atom": atom, "json": json_feed}
_YEAR = 2026
"""The year in `tag:` URIs of images that do not say when they were made, and of feeds."""

Change = Callable[[tuple[Any, ...], ModuleType], tuple[Any, ...]]


class FeedSettings(ChannelSettings):
    """`type = "feed"`. ``path`` is the file, ``url`` the address that it is read at, ``home`` the page it belongs to.

    ``entries`` is how many releases it holds.
    """

    path: str
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/?#\s]+\S*$")] | None = None
    home: Annotated[str, StringConstraints(pattern=r"^https?://[^/?#\s]+\S*$")] | None = None
    format: Literal["atom", "json"] = "atom"
    entries: Annotated[int, Field(ge=1, le=1000)] = 20
    title: str | None = None


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "feed"`."""
    return (Slot("announce", "feed", FeedSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """An entry for each table: the notes, or what its template says, as HTML."""
    release, changelog = context.release, context.changelog
    for settings in context.settings(FeedSettings):
        name = settings.name or settings.type
        key = action_key(release.id, f"feed:{name}")
        created = release.candidates[0].first.created
        yield announcement(
            "feed",
            context,
            settings,
            {
                "path": context.renderer.path(settings.path),
                "feed": settings.title or _title(settings, release.project),
                "id": entry_id(_domain(settings, context.page), created.year if created else _YEAR, key),
                "title": changelog.title,
                "author": release.project,
                "url": context.page,
                "text": context.renderer.post(settings.template or "notes.md.j2", format="html", url=context.page),
            },
        )


def _title(settings: FeedSettings, project: str) -> str:
    return f"{project} {settings.streams[0]}" if len(settings.streams) == 1 else project


def _domain(settings: FeedSettings, page: str | None) -> str:
    """A domain of the project's; one that nobody has (RFC 2606) where no address names one."""
    addresses = (settings.url, settings.home, page)
    return next((host for one in addresses if one and (host := urlsplit(one).hostname)), "relman.invalid")


@hookimpl
def relman_executors() -> tuple[FeedExecutor]:
    """The one that keeps feeds."""
    return (FeedExecutor(),)


class FeedExecutor:
    """Puts an entry into a file, or lets the one that stands there say something else: twice is once."""

    kind = "feed"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`put an entry into feed.xml (12,345 bytes)`."""
        return f"put an entry into {action.text('path')} ({len(action.text('text').encode()):,} bytes)"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Adopted where the feed has just this entry."""
        found = self._standing(action, reader)
        return _receipt(action, ReceiptState.ADOPTED) if found and found.says(_entry(action, reader)) else None

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Put the entry in front, or into its place where it stands already."""
        entry, most = _entry(action, writer), writer.settings(FeedSettings).entries
        self._change(action, writer, lambda slots, form: with_entry(slots, entry, most, form.element))
        return _receipt(action, ReceiptState.DONE)

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The feed has the entry."""
        found = self._standing(action, reader)
        if found is None:
            raise NotFound(f"`{action.text('path')}` has no entry `{action.text('id')}`")
        if not found.says(_entry(action, reader)):
            raise Malformed(f"the entry `{action.text('id')}` in `{action.text('path')}` says something else")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Let the entry say what the action says; readers show it as updated."""
        return self.apply(action, writer)

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Take the entry out."""
        self._change(action, writer, lambda slots, _: without_entry(slots, action.key))
        return _receipt(action, ReceiptState.SKIPPED)

    def _standing(self, action: Action, reader: ChannelReader) -> Entry | None:
        path, form = action.text("path"), _FORMATS[reader.settings(FeedSettings).format]
        return standing(form.read(reader.read_file(path), f"`{path}`"), action.key)

    def _change(self, action: Action, writer: ChannelWriter, change: Change) -> None:
        path, settings = action.text("path"), writer.settings(FeedSettings)
        form = _FORMATS[settings.format]
        domain = action.text("id").removeprefix("tag:").partition(",")[0]
        head = Head(
            settings.url or f"tag:{domain},{_YEAR}:relman/{path}", action.text("feed"), settings.url, settings.home
        )

        def changed(content: bytes | None) -> bytes | None:
            slots = form.read(content, f"`{path}`")
            after = change(slots, form)
            written: bytes = form.write(head, after)
            return written if after != slots else None

        writer.change_file(path, changed)


def _entry(action: Action, reader: ChannelReader) -> Entry:
    url = action.payload.get("url")
    return Entry(
        id=action.text("id"),
        title=action.text("title"),
        url=url if isinstance(url, str) else None,
        author=action.text("author"),
        html=action.text("text"),
        published=reader.now,
        updated=reader.now,
    )


def _receipt(action: Action, state: ReceiptState) -> Receipt:
    sha256 = hashlib.sha256(action.text("text").encode()).hexdigest()
    url = action.payload.get("url")
    return Receipt.of(
        action, state, remote_id=action.text("id"), url=url if isinstance(url, str) else None, sha256=sha256
    )
