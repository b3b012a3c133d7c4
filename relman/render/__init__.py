"""From a changelog to words: release notes in six formats, fitted to their place, and the texts of announcements."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from relman.errors import ConfigError, UsageError
from relman.model.changelog import Changelog
from relman.model.links import LinkRule
from relman.render.banner import Banner
from relman.render.bbcode import to_bbcode
from relman.render.fit import fit
from relman.render.links import Links
from relman.render.markdown import to_text
from relman.render.measures import MEASURES
from relman.render.parts import Parted, more, unmarked
from relman.render.posts import DETAIL, written
from relman.render.templates import Templates, render_title
from relman.render.values import standard_values

__all__ = ["FORMATS", "Banner", "NotesRenderer", "Templates", "render_title", "standard_values"]

FORMATS = ("markdown", "classic", "html", "text", "bbcode", "json")
"""What `NotesRenderer.notes` can write."""

_REASON = {3: 600, 2: 200, 1: 80, 0: 0}
"""How many graphemes of the reason for which a release no longer stands, by how much a post is to say."""

_UNLINKED = frozenset({"classic", "text"})
"""Formats whose package rows have no links: the former's readers know none, the latter's would see only addresses."""

Measure = str | Callable[[str], int]
"""How a channel counts: a name of `relman.render.measures.MEASURES`, or a function."""


class NotesRenderer:
    """Renders texts about one changelog (`relman.hookspecs.Renderer`).

    ``extra`` are values for every template beside the standard ones, such as ``authors = true``, which adds the
    authors to the classic commits. ``links`` are the project's own rules on links, which come before the default ones.
    ``withdrawn`` stands above every text of a release that no longer stands.
    """

    def __init__(
        self,
        templates: Templates,
        changelog: Changelog,
        extra: Mapping[str, object] = MappingProxyType({}),
        links: Sequence[LinkRule] = (),
        withdrawn: Banner | None = None,
    ) -> None:
        self._withdrawn = withdrawn
        self._templates = templates
        self._changelog = changelog
        self._values = {**standard_values(changelog, Links(templates, links)), "overrides": (), **extra}

    def render(self, template: str, /, **values: object) -> str:
        """The template filled in with the standard values and ``values``, which win. Raises `ConfigError`."""
        return unmarked(self._marked(template, **values))

    def inline(self, source: str, /, **values: object) -> str:
        """The same for a template given as text, such as a path or a title."""
        return unmarked(self._templates.inline(source, {**self._values, **values}))

    def path(self, source: str, /) -> str:
        """The same for a path. What is filled in can add neither a folder nor a `..`: a title is not a place."""
        return self._templates.path(source, self._values)

    def notes(
        self,
        format: str = "markdown",
        *,
        limit: int | None = None,
        measure: Measure = "characters",
        full: str | None = None,
    ) -> str:
        """The release notes in one of `FORMATS`; ``html`` is a whole page. Raises `UsageError` for another format.

        Where they measure more than ``limit``, the links of rows go first, then parts in the order of
        `relman.render.parts.ORDER`, and a sentence says what was left out, with a link to ``full``, the address of the
        whole text. Raises `UsageError` where nothing is short enough, and for a ``limit`` on ``json``.
        """
        if format not in FORMATS:
            formats = ", ".join(f"`{name}`" for name in FORMATS)
            raise UsageError(f"there is no format `{format}` for notes", hint=f"there are {formats}")
        if format == "json":
            if limit is not None:
                raise UsageError("`json` is data, which is never cut to a limit")
            return self._withdrawn.above(self._json(), format) if self._withdrawn else self._json()
        if self._withdrawn:
            counted = MEASURES[measure] if isinstance(measure, str) else measure
            room = None if limit is None else limit - counted(self._withdrawn.above("", format))
            return self._withdrawn.above(self._notes(format, room, measure, full), format)
        return self._notes(format, limit, measure, full)

    def _notes(self, format: str, limit: int | None, measure: Measure, full: str | None) -> str:
        template = "classic.md.j2" if format == "classic" else "notes.md.j2"
        linked = format not in _UNLINKED
        marked = self._marked(template) if linked else self._marked(template, row_links=False)
        whole = self._as(format, unmarked(marked))
        counted = MEASURES[measure] if isinstance(measure, str) else measure
        if limit is None or counted(whole) <= limit:
            return whole
        parted = Parted(self._marked(template, row_links=False, shortened=True))
        return _fitted(parted, lambda text: self._as(format, text), limit, counted, linked=linked, full=full)

    def post(
        self,
        template: str,
        /,
        *,
        format: str = "markdown",
        limit: int | None = None,
        measure: Measure = "characters",
        **values: object,
    ) -> str:
        """A message from ``template``, as the channel reads it, in as much detail as its ``limit`` has room for.

        See `relman.hookspecs.Renderer.post`.
        """
        counted = MEASURES[measure] if isinstance(measure, str) else measure
        size = 0
        for detail in DETAIL:
            banner = self._withdrawn.line(_REASON[detail]) if self._withdrawn else ""
            text = written(banner + self.render(template, detail=detail, **values), format)
            if not text:
                raise ConfigError(f"template `{template}` comes out empty: there is nothing to post")
            size = counted(text)
            if limit is None or size <= limit:
                return text
        unit = measure if isinstance(measure, str) else "long"
        raise ConfigError(
            f"what template `{template}` says measures {size:,} ({unit}), and the channel takes {limit:,}",
            hint="let it say less where `detail` is smaller: it is rendered with 3, 2, 1 and 0",
        )

    def _as(self, format: str, markdown: str) -> str:
        match format:
            case "text":
                return to_text(markdown)
            case "bbcode":
                return to_bbcode(markdown)
            case "html":
                return self.render("notes.html.j2", markdown=markdown)
            case _:
                return markdown

    def _json(self) -> str:
        from relman.documents.changelog import changelog_document  # documents load pydantic, texts need not

        return json.dumps(changelog_document(self._changelog), ensure_ascii=False, indent=2) + "\n"

    def _marked(self, template: str, **values: object) -> str:
        return self._templates.render(template, {**self._values, **values})


def _fitted(
    parted: Parted,
    convert: Callable[[str], str],
    limit: int,
    measure: Callable[[str], int],
    *,
    linked: bool,
    full: str | None,
) -> str:
    """As much as fits, converted; ``parted`` is without the links of rows, which it was to have where ``linked``."""

    def without(steps: int) -> str:
        return parted.without(steps, parted.left_out(steps, links=linked, full=full))

    def length(text: str) -> int:
        return measure(convert(text + "\n" * (not text.endswith("\n"))))

    steps = bisect_left(range(parted.steps), True, key=lambda steps: length(without(steps)) <= limit)
    if length(text := without(steps)) <= limit:
        return convert(text)
    try:
        cut = _cut(
            parted, steps, lambda text, last: fit(text, limit, length, last, always=True), linked=linked, full=full
        )
    except ValueError as error:
        raise UsageError(f"the notes cannot be made to fit: {error}") from error
    return convert(cut + "\n")


def _cut(parted: Parted, steps: int, cut: Callable[[str, str], str], *, linked: bool, full: str | None) -> str:
    """What is left when all parts are gone, cut from its end; its last line is the shorter one where room is scarce."""
    text, said = parted.without(steps), parted.left_out(steps, links=linked, full=full)
    if said:
        try:
            if (found := cut(text, said)) != said:
                return found
        except ValueError:
            pass  # there is no room for all that went to be named
    return cut(text, more(full))
