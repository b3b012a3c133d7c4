"""Announces into a file: for a site, a feed reader, another job."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    Malformed,
    Slot,
    hookimpl,
)
from relman_plugins.announce.texts import announcement


class FileSettings(ChannelSettings):
    """`type = "file"`. ``path`` is a template, such as `announcements/{{ version }}.md`."""

    path: str


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "file"`."""
    return (Slot("announce", "file", FileSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A file for each table: the notes, or what its template says."""
    for settings in context.settings(FileSettings):
        render = context.renderer
        text = render.render(settings.template) if settings.template else render.notes("markdown")
        yield announcement("file", context, settings, {"path": render.path(settings.path), "text": text})


@hookimpl
def relman_executors() -> tuple[FileExecutor]:
    """The one that writes files."""
    return (FileExecutor(),)


class FileExecutor:
    """Writes the file whole. Written again it is the same file, so a lost receipt costs nothing."""

    kind = "file"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`write announcements/x.md (1,234 bytes)`."""
        return f"write {action.text('path')} ({len(action.text('text').encode()):,} bytes)"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Adopted where the file has just this text."""
        content = action.text("text").encode()
        return _receipt(action, ReceiptState.ADOPTED) if reader.read_file(action.text("path")) == content else None

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Replace the file."""
        writer.write_file(action.text("path"), action.text("text").encode())
        return _receipt(action, ReceiptState.DONE)

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The file has the text."""
        if self.probe(action, reader) is None:
            there = reader.read_file(action.text("path")) is not None
            why = "does not hold what was written" if there else "is not there, on this machine"
            raise Malformed(f"`{action.text('path')}` {why}")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Write it anew."""
        return self.apply(action, writer)

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """A file that others may have read already is not taken back."""
        return None


def _receipt(action: Action, state: ReceiptState) -> Receipt:
    sha256 = hashlib.sha256(action.text("text").encode()).hexdigest()
    return Receipt.of(action, state, remote_id=action.text("path"), sha256=sha256)
