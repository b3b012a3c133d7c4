"""Templates: a project's own first, then those that come with relman, and errors that say where and what."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from jinja2 import (
    Environment,
    FileSystemLoader,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
)

from relman.errors import ConfigError
from relman.render.sandbox import LARGEST, Runaway, Sandbox, refill

_PACKAGED = Path(__file__).parent.parent / "templates"
BUILT_IN = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "templates"
"""The folder of the templates that come with relman: inside the installed package, or of the checkout."""

_INLINE = "<template>"
_FAULTS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class Templates:
    """Templates by name, looked for in ``folders`` in order and then among the built-in ones.

    Whatever goes wrong in one is a `ConfigError` with its name and line: an unknown name, bad syntax, a template that
    is not there, one that writes more than 10 MiB or does not end.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = (*folders, BUILT_IN)
        self._environment = Sandbox(FileSystemLoader([str(folder) for folder in self._folders]))

    @property
    def names(self) -> tuple[str, ...]:
        """Every template that can be rendered by name."""
        return tuple(self._environment.list_templates())

    def render(self, template: str, values: Mapping[str, object]) -> str:
        """The template of that name, filled in."""
        loaded = self._loaded(template)
        return self._rendered(loaded, values)

    def inline(self, source: str, values: Mapping[str, object]) -> str:
        """A template given as text, filled in."""
        return self._inline(self._environment, source, values)

    def _inline(self, environment: Environment, source: str, values: Mapping[str, object]) -> str:
        return self._rendered(self._compiled(environment, source), values)

    def path(self, source: str, values: Mapping[str, object]) -> str:
        """A path given as a template. Whatever is filled in, it adds neither a folder nor a `..`."""
        path = self._inline(self._environment.overlay(finalize=_segment), source, values)
        if not path.strip() or "\0" in path:
            raise ConfigError(f"the path `{_shown(source)}` is empty")
        return path

    def address(self, source: str) -> Callable[[Mapping[str, object]], str]:
        """What fills in an address given as a template. Whatever is filled in is quoted. Raises `ConfigError`."""
        template = self._compiled(self._environment.overlay(finalize=_quoted), source)
        return lambda values: self._rendered(template, values)

    def command(self, source: str, /, **values: object) -> str:
        """A command line given as a template. Each value that is filled in is one word of the shell, or part of one."""
        return self._inline(self._environment.overlay(finalize=_word), source, values)

    def check(self, template: str) -> None:
        """Read a template without rendering it. Raises `ConfigError` where it cannot be read."""
        self._loaded(template)

    def _compiled(self, environment: Environment, source: str) -> Template:
        try:
            return environment.from_string(source)
        except TemplateSyntaxError as error:
            raise ConfigError(f"template `{_shown(source)}`: {_lowered(str(error.message))}") from error

    def _loaded(self, name: str) -> Template:
        try:
            return self._environment.get_template(name)
        except TemplateNotFound as error:
            raise self._missing(error) from error
        except TemplateSyntaxError as error:
            raise self._unreadable(error) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"template `{name}` cannot be read: {error}") from error

    def _rendered(self, template: Template, values: Mapping[str, object]) -> str:
        refill()
        written: list[str] = []
        size = 0
        try:
            for part in template.generate(values):
                size += len(part)
                if size > LARGEST:
                    raise ConfigError(f"{_subject(template)} writes more than {LARGEST:,} characters")
                written.append(part)
        except TemplateNotFound as error:
            raise self._missing(error) from error
        except TemplateSyntaxError as error:
            raise self._unreadable(error) from error
        except UndefinedError as error:
            raise self._undefined(error, template, values) from error
        except Runaway as error:
            raise ConfigError(f"{self._where(error, template)} {error}", hint="the template does not end") from error
        except (TemplateError, *_FAULTS) as error:
            raise ConfigError(f"{self._where(error, template)}: {_lowered(str(error))}") from error
        return "".join(written).encode("utf-8", "replace").decode()  # halves of surrogates cannot be written to a file

    def _missing(self, error: TemplateNotFound) -> ConfigError:
        looked = ", ".join(f"`{folder}`" for folder in self._folders)
        hint = _closest(str(error.name), self.names) or f"looked in {looked}"
        return ConfigError(f"there is no template `{error.name}`", hint=hint)

    def _unreadable(self, error: TemplateSyntaxError) -> ConfigError:
        return ConfigError(f"template `{error.name or _INLINE}`, line {error.lineno}: {_lowered(str(error.message))}")

    def _undefined(self, error: UndefinedError, template: Template, values: Mapping[str, object]) -> ConfigError:
        message = error.args[0] if error.args else "something is not defined"
        name = getattr(message, "name", "")
        known = getattr(message, "known", ()) or tuple(values)
        hint = _closest(name, known) if name else None
        if hint is None and name and len(known) <= 60:
            hint = "there are " + ", ".join(f"`{each}`" for each in sorted(known))
        return ConfigError(f"{self._where(error, template)}: {message}", hint=hint)

    def _where(self, error: BaseException, template: Template) -> str:
        """The template and line where it happened: the innermost, when templates include others."""
        where = _subject(template)
        for traceback in _steps(error.__traceback__):
            filename = traceback.tb_frame.f_code.co_filename
            if filename == _INLINE or filename in self._environment.filenames:
                where = f"template `{self._name(filename)}`, line {traceback.tb_lineno}"
        return where

    def _name(self, filename: str) -> str:
        path = Path(filename)
        inside = (path.relative_to(folder) for folder in self._folders if path.is_relative_to(folder))
        return str(next(inside, path))


def render_title(templates: Templates, source: str, **values: object) -> str:
    """The configured title, filled in. Raises `ConfigError` where it comes out empty or has several lines."""
    title = templates.inline(source, values).strip()
    if not title:
        raise ConfigError(f"the title `{_shown(source)}` comes out empty")
    if len(title.splitlines()) > 1:
        raise ConfigError(f"the title `{_shown(source)}` comes out with several lines, from `{_shown(title)}`")
    return title


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _subject(template: Template) -> str:
    return f"template `{template.name or _INLINE}`"


def _closest(name: str, known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(f'`{each}`' for each in close)}?" if close else None


def _lowered(message: str) -> str:
    """As our own messages are written: lower case, no full stop."""
    return message[:1].lower() + message[1:].rstrip(".")


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _word(value: object) -> str:
    """The value, quoted for a shell where it has to be."""
    if value is None or not str(value):
        raise ValueError("a command line cannot do with an empty value")
    if not str(value).isprintable():
        raise ValueError("a control character cannot stand in a command line")
    return shlex.quote(str(value))


def _segment(value: object) -> str:
    """What may stand in a part of a path; `-` where nothing is left of it."""
    return re.sub(r"[^\w.+-]+", "-", "" if value is None else str(value)).lstrip(".-") or "-"


def _quoted(value: object) -> str:
    """What may stand in an address between two of its delimiters."""
    return quote("" if value is None else str(value), safe="", errors="replace")
