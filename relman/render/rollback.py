"""What people read when a stream goes back: one text, in whatever shape a channel asks for.

A channel's own template speaks of a new release, and would be wrong. So whatever template is asked for a text in
Markdown, `rollback.md.j2` is filled in; templates of data (`.json.j2`) stay, and find `rollback` among their values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from relman.errors import UsageError
from relman.model.changelog import Changelog
from relman.model.links import LinkRule
from relman.render import Measure, NotesRenderer, Templates
from relman.render.measures import MEASURES
from relman.render.posts import DETAIL, POST_FORMATS

TEMPLATE = "rollback.md.j2"


class Withdrawn(msgspec.Struct, frozen=True):
    """What a rollback takes back, and what it leaves: versions, the reason, images by digest, tags that stay."""

    of: str
    to: str
    reason: str | None
    by: str
    images: tuple[Mapping[str, str], ...]
    stays: tuple[str, ...]

    def as_values(self) -> dict[str, object]:
        """As templates have it."""
        return {
            "of": self.of,
            "to": self.to,
            "reason": self.reason,
            "by": self.by,
            "images": [dict(image) for image in self.images],
            "stays": list(self.stays),
        }


def told(changelog: Changelog, withdrawn: Withdrawn) -> Changelog:
    """``changelog`` under a title that says what happened."""
    stream = f" {changelog.stream}" if changelog.stream else ""
    return replace(changelog, title=f"{changelog.project}{stream} goes back to {withdrawn.to}")


class RollbackRenderer(NotesRenderer):
    """`NotesRenderer` for the announcements of a rollback."""

    def __init__(
        self,
        templates: Templates,
        changelog: Changelog,
        withdrawn: Withdrawn,
        extra: Mapping[str, object],
        links: Sequence[LinkRule] = (),
    ) -> None:
        super().__init__(templates, changelog, {**extra, "rollback": withdrawn.as_values()}, links)

    def render(self, template: str, /, **values: object) -> str:
        """The text of the rollback; a template that is not for texts as it is."""
        return super().render(_instead_of(template), **values)

    def path(self, source: str, /) -> str:
        """A path of its own for each rollback: the notes of the release that it goes back to stay where they are."""
        values = dict(self._values)
        rollback = values["rollback"]
        assert isinstance(rollback, dict)
        values["version"] = f"{values['version']}-instead-of-{rollback['of']}"
        return self._templates.path(source, values)

    def notes(
        self,
        format: str = "markdown",
        *,
        limit: int | None = None,
        measure: Measure = "characters",
        full: str | None = None,
    ) -> str:
        """The same text in one of `relman.render.FORMATS`; ``json`` is the changelog, as for a release."""
        if format not in (*POST_FORMATS, "classic"):
            return super().notes(format, limit=limit, measure=measure, full=full)
        if format == "html":
            return self._page(limit, MEASURES[measure] if isinstance(measure, str) else measure, full)
        as_post = "markdown" if format == "classic" else format
        return self.post(TEMPLATE, format=as_post, limit=limit, measure=measure, url=full) + "\n"

    def _page(self, limit: int | None, measure: Callable[[str], int], full: str | None) -> str:
        """A whole page, in as much detail as there is room for."""
        for detail in DETAIL:
            markdown = self.render(TEMPLATE, detail=detail, url=full)
            page = super().render("notes.html.j2", markdown=markdown)
            if limit is None or measure(page) <= limit:
                return page
        raise UsageError(f"what is told of a rollback does not fit into {limit:,}")


def _instead_of(template: str) -> str:
    return template if template.endswith((".json.j2", ".html.j2")) else TEMPLATE
