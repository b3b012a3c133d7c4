"""The handwritten introduction (`--note`), first of all sections."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.changelog import Section
from relman.plugin import SectionsContext, hookimpl


@hookimpl
def relman_sections(context: SectionsContext) -> Iterator[Section]:
    """The note as it was written, line ends aside; a blank one is none."""
    if context.note is None:
        return
    markdown = context.note.removeprefix("\ufeff").replace("\r\n", "\n").lstrip("\n").rstrip()
    if markdown:
        yield Section("note", rank=0, title="From the maintainers", markdown=markdown)
