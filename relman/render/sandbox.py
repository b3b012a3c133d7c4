"""The Jinja environment that templates run in: no way out, no silent gaps, no end without a bound."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import asdict

from relman.model.oci import Digest
from relman.render.bbcode import FLAVOURS, to_bbcode
from relman.render.escaping import code, escape, in_html, sentence, url
from relman.render.markdown import closed, to_html, to_text
from relman.render.measures import shortened

LARGEST = 10 * 1024 * 1024
"""Characters that one template may write. GitHub takes 125,000, and the largest real notes have 87,412."""

LARGEST_POWER = 1024
"""Bits that a power may have."""

STEPS = 2_000_000
"""Calls and rounds of loops that one template may make."""

_left: ContextVar[int] = ContextVar("steps left", default=STEPS)
_COUNTED = "relman counted"


class Runaway(SecurityError):
    """A template that would not end, or would write without end."""


def refill() -> None:
    """Give the template that is about to be rendered its steps."""
    _left.set(STEPS)


def _spend() -> None:
    left = _left.get() - 1
    if left < 0:
        raise Runaway(f"takes more than {STEPS:,} steps")
    _left.set(left)


@pass_context  # so that it runs when the template does, and not while it is compiled
def _counted(_: Context, items: Iterable[object]) -> Iterator[object]:
    for item in items:
        _spend()
        yield item


class _Message(str):
    """The words of an undefined name, with the name and what would have been there."""

    __slots__ = ("known", "name")

    def __new__(cls, text: str, name: str, known: tuple[str, ...]) -> _Message:
        message = super().__new__(cls, text)
        message.name, message.known = name, known  # type: ignore[attr-defined]
        return message


class Undefined(StrictUndefined):
    """A name that is not there: an error wherever it is used, except to ask whether it `is defined`."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name, owner = str(self._undefined_name), self._undefined_obj
        if self._undefined_hint:
            return self._undefined_hint
        if owner is missing:
            return _Message(f"`{name}` is not defined", name, ())
        return _Message(f"`{name}` is not known of `{type(owner).__name__}`", name, _attributes(owner))


def _attributes(owner: object) -> tuple[str, ...]:
    if isinstance(owner, Mapping):
        return tuple(str(key) for key in owner)
    return tuple(name for name in dir(owner) if not name.startswith("_"))


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with our filters; every loop and call counts against the steps, and large repetitions are refused.

    ``filenames`` are those of the templates read so far, by which a traceback's frames are told apart.
    """

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=Undefined,
            autoescape=lambda name: name is not None and name.endswith((".html.j2", ".html", ".xml.j2")),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            finalize=lambda value: "" if value is None else value,  # what is not there is never `None` in a text
        )
        self.filenames: set[str] = set()
        self.filters.update(FILTERS)
        self.filters[_COUNTED] = _counted

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        """Jinja's hook between reading a template and compiling it: count the rounds of every loop."""
        if filename is not None:
            self.filenames.add(filename)
        for loop in list(source.find_all(nodes.For)):
            where = {"lineno": loop.lineno, "environment": self}
            loop.iter = nodes.Filter(loop.iter, _COUNTED, [], [], None, None, **where)
        return super()._generate(source, name, filename, defer_init)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse a multiplication or power whose result could not be held."""
        numbers = isinstance(left, int) and isinstance(right, int)
        if operator == "**":
            if not numbers or left.bit_length() * right > LARGEST_POWER:
                raise Runaway("raises a number to a power that is too large")
        elif not numbers:
            for times, what in ((left, right), (right, left)):
                if isinstance(times, int) and hasattr(what, "__len__") and len(what) * times > LARGEST:
                    raise Runaway(f"repeats a text {times:,} times")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Count the call; padding a text to a huge width is refused."""
        _spend()
        if isinstance(getattr(obj, "__self__", None), str) and any(
            isinstance(arg, int) and arg > LARGEST for arg in args
        ):
            raise Runaway(f"pads a text to more than {LARGEST:,} characters")
        return super().call(context, obj, *args, **kwargs)


def _versions(versions: str | Iterable[str]) -> str:
    """Every version, the newest last; empty where there is none."""
    return versions if isinstance(versions, str) else ", ".join(versions)


def _short(digest: object) -> str:
    """Enough of a digest for people; empty for `None`."""
    return "" if digest is None else Digest(str(digest)).short


_MEGA = 1_000_000


def megabytes(size: int) -> str:
    """Bytes in millions of them, as downloads are given: `412 MB`, `4.2 MB`, `<0.1 MB`."""
    millions = size / _MEGA
    written = "<0.1" if 0 < millions < 0.05 else f"{millions:,.0f}" if millions >= 99.95 else f"{millions:.1f}"
    return f"{'0' if not size else written} MB"


def _date(day: date | datetime | str, format: str = "%Y-%m-%d") -> str:
    """A day or a time, by default as `2025-06-08`; a text is read as ISO 8601."""
    return (datetime.fromisoformat(day) if isinstance(day, str) else day).strftime(format)


@pass_eval_context
def _tojson(context: EvalContext, value: object, indent: int | None = None) -> str:
    """The value as JSON; on HTML pages written so that it can stand in a `<script>`."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)
    if not context.autoescape:
        return text
    for char in "<>&'":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704  # the four characters that HTML could read are gone


def _plain(value: object) -> object:
    if isinstance(value, Struct):
        return asdict(value)
    if is_dataclass(value) and not isinstance(value, type):  # a plugin's own
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Undefined):
        return str(value)  # which raises, with the name
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"`{type(value).__name__}` cannot be written as JSON")


def _said(value: object) -> str:
    """A value's text; what is not there is never `None` in a text."""
    return "" if value is None else str(value)


def _html(text: str) -> Markup:
    """Markdown as a safe HTML fragment."""
    return Markup(to_html(_said(text)))  # noqa: S704  # `to_html` escapes whatever is not ours


def _summary(text: str) -> Markup:
    """A string for `<summary>` and other HTML inside Markdown."""
    return Markup(in_html(_said(text)))  # noqa: S704  # escaped


def _center(text: str, width: int = 80) -> str:
    """Jinja's own, for widths that a line can have."""
    return str(text).center(min(width, 1000))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "bbcode": lambda text, flavour="steam": to_bbcode(_said(text), FLAVOURS[flavour]),
    "cell": lambda text: escape(_said(text), whole=True),
    "center": _center,
    "closed": lambda text: closed(_said(text)),
    "code": lambda text: code(_said(text)),
    "date": _date,
    "html": _html,
    "megabytes": megabytes,
    "md": lambda text: escape(_said(text)),
    "sentence": lambda text: sentence(_said(text)),
    "short": _short,
    "shortened": lambda text, most: shortened(_said(text), most),
    "summary": _summary,
    "text": lambda text: to_text(_said(text)),
    "tojson": _tojson,
    "url": lambda text: url(_said(text)) if text else None,
    "versions": _versions,
}
"""What templates have beside Jinja's own filters: `md` escapes for Markdown, `cell` the same for a whole cell, `code`
makes a code span, `sentence` keeps those of relman's own sentences, `summary` escapes for HTML inside Markdown,
`closed` makes foreign Markdown swallow nothing, `shortened` cuts to so many graphemes."""
