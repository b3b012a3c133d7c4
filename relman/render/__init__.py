"""From a changelog to words: release notes in five formats, and the texts of announcements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from relman.errors import UsageError
from relman.model.changelog import Changelog
from relman.render.markdown import to_text
from relman.render.templates import Templates, render_title
from relman.render.values import standard_values

__all__ = ["FORMATS", "NotesRenderer", "Templates", "render_title", "standard_values"]

FORMATS = ("markdown", "classic", "html", "text", "json")
"""What `NotesRenderer.notes` can write."""


class NotesRenderer:
    """Renders texts about one changelog (`relman.hookspecs.Renderer`).

    ``extra`` are values for every template beside the standard ones, such as ``authors = true``, which adds the
    authors to the classic commits.
    """

    def __init__(
        self,
        templates: Templates,
        changelog: Changelog,
        extra: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self._templates = templates
        self._changelog = changelog
        self._values = {**standard_values(changelog), **extra}

    def render(self, template: str, /, **values: object) -> str:
        """The template filled in with the standard values and ``values``, which win. Raises `ConfigError`."""
        return self._templates.render(template, {**self._values, **values})

    def inline(self, source: str, /, **values: object) -> str:
        """The same for a template given as text, such as a path or a title."""
        return self._templates.inline(source, {**self._values, **values})

    def path(self, source: str, /) -> str:
        """The same for a path. What is filled in can add neither a folder nor a `..`: a title is not a place."""
        return self._templates.path(source, self._values)

    def notes(self, format: str = "markdown") -> str:
        """The release notes in one of `FORMATS`; ``html`` is a whole page. Raises `UsageError` for another format."""
        match format:
            case "markdown":
                return self.render("notes.md.j2")
            case "classic":
                return self.render("classic.md.j2")
            case "text":
                return to_text(self.notes())
            case "html":
                return self.render("notes.html.j2", markdown=self.notes())
            case "json":
                from relman.documents.changelog import changelog_document  # documents load pydantic, texts need not

                return json.dumps(changelog_document(self._changelog), ensure_ascii=False, indent=2) + "\n"
            case _:
                formats = ", ".join(f"`{name}`" for name in FORMATS)
                raise UsageError(f"there is no format `{format}` for notes", hint=f"there are {formats}")
