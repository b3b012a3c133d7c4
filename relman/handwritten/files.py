"""One handwritten file: a head in TOML between two lines `+++`, which may be left out, then Markdown."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from pydantic import Field, StringConstraints, ValidationError

from relman.errors import Malformed
from relman.settings import Table

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

LIMIT = 64 * 1024
"""The largest file, in bytes."""

_HEAD = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_LARGEST_HEADING = 4  # the section's own is of the second level, the fragment's title of the third
_PROBE = "relman-end-of-text"

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\r\n]+$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>()\[\]]+$", max_length=500)]
T = TypeVar("T", bound=Table)


class FragmentHead(Table):
    """The head of a highlight."""

    title: Line | None = None
    streams: tuple[Line, ...] = ()
    variants: tuple[Line, ...] = ()


class KnownIssueHead(Table):
    """The head of a known issue."""

    title: Line
    affects: tuple[Line, ...] = ()
    since: Line | None = None
    issue: Address | None = None
    fixed_in: Line | None = Field(None, alias="fixed-in")
    withdrawn: Line | None = None


class Fragment(msgspec.Struct, frozen=True):
    """A highlight. ``streams`` and ``variants`` are those that it is about; empty means all."""

    name: str
    title: str | None
    text: str
    streams: tuple[str, ...]
    variants: tuple[str, ...]


class KnownIssue(msgspec.Struct, frozen=True):
    """Something that is known to be wrong. ``affects`` are variants or traits; empty means all.

    ``since`` and ``fixed_in`` are versions, for people; ``issue`` is the address where it is discussed; ``withdrawn``
    says why it was never one. Of the last two, whichever is given closes it.
    """

    name: str
    title: str
    text: str
    affects: tuple[str, ...]
    since: str | None
    issue: str | None
    fixed_in: str | None
    withdrawn: str | None

    @property
    def open(self) -> bool:
        """Whether readers have to know of it."""
        return self.fixed_in is None and self.withdrawn is None


def is_handwritten(name: str) -> bool:
    """Whether a file of this name is one: Markdown, and neither hidden nor the folder's own README."""
    return name.lower().endswith(".md") and not name.startswith((".", "_")) and name.lower() != "readme.md"


def read_fragment(name: str, content: bytes) -> Fragment:
    """The highlight in a file called ``name``. Without a title, a heading at its start is it. Raises `Malformed`."""
    head, text = _parts(name, content, FragmentHead)
    title = head.title
    if title is None and (found := re.match(r"#{1,6}[ \t]+([^\n]+?)[ \t]*#*[ \t]*(?:\n|\Z)", text)):
        title, text = found[1], text[found.end() :].strip("\n")
    if not text.strip():
        raise Malformed(f"`{name}` says nothing below its head", hint="write what readers should know")
    return Fragment(name, title, _lowered(text), head.streams, head.variants)


def read_known_issue(name: str, content: bytes) -> KnownIssue:
    """The known issue in a file called ``name``; its text may be empty, its title may not. Raises `Malformed`."""
    head, text = _parts(name, content, KnownIssueHead)
    return KnownIssue(
        name, head.title, _lowered(text), head.affects, head.since, head.issue, head.fixed_in, head.withdrawn
    )


def without_head(text: str) -> str:
    """The text with empty lines for its head, so that lines keep their numbers."""
    match = _HEAD.match(text)
    return "\n" * match[0].count("\n") + text[match.end() :] if match else text


def _parts(name: str, content: bytes, model: type[T]) -> tuple[T, str]:
    if len(content) > LIMIT:
        raise Malformed(f"`{name}` is larger than {LIMIT // 1024} KiB")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Malformed(f"`{name}` is not UTF-8: {error}") from error
    if "\0" in text:
        raise Malformed(f"`{name}` is not text: it has a NUL byte")
    match = _HEAD.match(text)
    if match is None and re.match(r"(?:\+\+\+|---)[ \t]*\n", text):
        raise Malformed(f"`{name}` begins with a head that is not one", hint="write it as TOML between two lines `+++`")
    try:
        table = tomllib.loads(match[1]) if match else {}
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"the head of `{name}` is not TOML: {error}") from error
    try:
        head = model.model_validate(table)
    except ValidationError as error:
        keys = ", ".join(f"`{field.alias or key}`" for key, field in model.model_fields.items())
        raise Malformed(f"the head of `{name}`: {_faults(error)}", hint=f"its keys are {keys}") from error
    body = (text[match.end() :] if match else text).strip("\n").rstrip()
    if not _is_closed(body):
        raise Malformed(f"something in `{name}` is never closed: a code block, a comment, or an HTML tag")
    return head, body


def _faults(error: ValidationError) -> str:
    said = []
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"]))
        message = {"extra_forbidden": "is no key of it", "missing": "is missing"}.get(fault["type"], fault["msg"])
        said.append(f"`{key}` {message[:1].lower()}{message[1:]}")
    return "; ".join(said)


def _is_closed(markdown: str) -> bool:
    """Whether a paragraph after the text would still be one: nothing swallows what comes next in the notes."""
    tokens = _parser().parse(f"{markdown}\n\n{_PROBE}\n")
    return any(token.type == "inline" and token.level == 1 and token.content == _PROBE for token in tokens[-2:])


def _lowered(markdown: str) -> str:
    """The text with its headings below those of the notes, which would fall apart otherwise."""
    lines = markdown.split("\n")
    for token in _parser().parse(markdown):
        if token.type != "heading_open" or token.map is None or token.level:
            continue
        start, end = token.map
        level = min(int(token.tag[1:]) + _LARGEST_HEADING - 1, 6)
        if token.markup in ("-", "="):  # underlined: its text may have several lines, a heading of ours has one
            lines[start:end] = [f"{'#' * level} {' '.join(lines[start : end - 1]).strip()}"] + [""] * (end - start - 1)
        else:
            lines[start] = f"{'#' * level} {lines[start].lstrip(' #')}"
    return "\n".join(lines)


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # most runs read no file

    return MarkdownIt("commonmark")
