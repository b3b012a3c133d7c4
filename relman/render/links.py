"""Links from a changed package to where it is made and discussed: upstream is where to contribute."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from relman.model.changelog import Row
from relman.model.links import LinkRule
from relman.render.escaping import url
from relman.render.templates import Templates

_DEFAULTS = Path(__file__).with_name("links.toml")


@cache
def default_rules() -> tuple[LinkRule, ...]:
    """The rules that come with relman, in order."""
    return tuple(LinkRule(**rule) for rule in tomllib.loads(_DEFAULTS.read_text(encoding="utf-8"))["links"])


class Links:
    """Knows each row's pages, by the first of ``rules`` that matches it, then of the default ones.

    Whatever is filled into an address is quoted, so that a name changes neither the host nor the query.
    """

    def __init__(self, templates: Templates, rules: Sequence[LinkRule] = ()) -> None:
        self._templates = templates
        self._rules = (*rules, *default_rules())
        self._fillers: dict[str, Callable[[Mapping[str, object]], str]] = {}
        self._matching: dict[tuple[str, ...], LinkRule | None] = {}

    def source(self, row: Row) -> str | None:
        """The page of the package's source; `None` where no rule knows one. Raises `ConfigError`."""
        rule = self._rule(row)
        return self._filled(rule.url, row) if rule else None

    def build(self, row: Row) -> str | None:
        """The page of the build that is installed now; `None` where no rule knows one, or nothing is installed."""
        rule = self._rule(row) if row.after else None
        return self._filled(rule.build, row) if rule else None

    def _rule(self, row: Row) -> LinkRule | None:
        key = (row.ecosystem, row.vendor or "", row.source or row.title, row.newest)
        if key not in self._matching:
            self._matching[key] = next((rule for rule in self._rules if rule.matches(row)), None)
        return self._matching[key]

    def _filled(self, template: str, row: Row) -> str | None:
        if not template:
            return None
        if template not in self._fillers:
            self._fillers[template] = self._templates.address(template)
        values = {
            "name": row.title,
            "source": row.source or row.title,
            "vendor": row.vendor or "",
            "ecosystem": row.ecosystem,
            "version": row.newest.rpartition(":")[2],  # neither Koji nor Bodhi have the epoch in a build's name
            "full_version": row.newest,
        }
        return url(self._fillers[template](values))
