"""What a text measures against the limit of its channel, noted beside it, so that people see it before it is posted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from relman.hookspecs import Renderer
from relman.model.plan import Action
from relman.render.measures import MEASURES

MEASURED = "measured"
"""The key of a payload that says what its text measures."""
UNITS: Mapping[str, str] = {
    "characters": "characters",
    "bytes": "bytes",
    "utf16": "UTF-16 units",
    "graphemes": "graphemes",
    "mastodon": "characters as Mastodon counts",
    "telegram": "characters as Telegram counts",
}


class _Measured(str):
    """A text with what it measures, for as long as nobody makes another one of it."""

    found: dict[str, object]

    @classmethod
    def of(cls, text: str, found: dict[str, object]) -> _Measured:
        made = cls(text)
        made.found = found
        return made


class Measuring(msgspec.Struct, frozen=True):
    """A renderer that remembers what each text with a limit measures (`relman.hookspecs.Renderer`).

    A text that was also asked for without a limit, as for a file, says nothing of whose it is.
    """

    renderer: Renderer
    seen: dict[str, dict[str, object]] = msgspec.field(default_factory=dict)
    unlimited: set[str] = msgspec.field(default_factory=set)

    def render(self, template: str, /, **values: object) -> str:
        """See `Renderer.render`."""
        return self.renderer.render(template, **values)

    def inline(self, source: str, /, **values: object) -> str:
        """See `Renderer.inline`."""
        return self.renderer.inline(source, **values)

    def path(self, source: str, /) -> str:
        """See `Renderer.path`."""
        return self.renderer.path(source)

    def notes(
        self,
        format: str = "markdown",
        *,
        limit: int | None = None,
        measure: str | Callable[[str], int] = "characters",
        full: str | None = None,
    ) -> str:
        """See `Renderer.notes`."""
        text = self.renderer.notes(format, limit=limit, measure=measure, full=full)
        return self._noted(text, limit, measure)

    def post(
        self,
        template: str,
        /,
        *,
        format: str = "markdown",
        limit: int | None = None,
        measure: str | Callable[[str], int] = "characters",
        **values: object,
    ) -> str:
        """See `Renderer.post`."""
        text = self.renderer.post(template, format=format, limit=limit, measure=measure, **values)
        return self._noted(text, limit, measure)

    def _noted(self, text: str, limit: int | None, measure: str | Callable[[str], int]) -> str:
        if limit is not None:
            counted = MEASURES[measure] if isinstance(measure, str) else measure
            by = measure if isinstance(measure, str) else "units"
            found = {"size": counted(text), "limit": limit, "by": by}
            self.seen[text] = found
            return _Measured.of(text, found)
        self.unlimited.add(text)
        return text

    def noting(self, action: Action) -> Action:
        """``action`` with what its text measures, where that has a limit."""
        texts = [value for value in action.payload.values() if isinstance(value, str)]
        found = next((text.found for text in texts if isinstance(text, _Measured)), None)
        if found is None:  # a plugin that put something before it, or after it, has another string, if an equal one
            found = next((self.seen[text] for text in texts if text in self.seen and text not in self.unlimited), None)
        if found is None or action.channel is None:
            return action
        return replace(action, payload={**action.payload, MEASURED: found})


def measured(action: Action) -> str | None:
    """`1,234 of 2,000 characters`; `None` where the channel has no limit that is known when planning."""
    found = action.payload.get(MEASURED)
    if not isinstance(found, Mapping):
        return None
    size, limit, by = (found.get(name) for name in ("size", "limit", "by"))
    if not isinstance(size, int) or not isinstance(limit, int):
        return None
    return f"{size:,} of {limit:,} {UNITS.get(str(by), 'units')}"
