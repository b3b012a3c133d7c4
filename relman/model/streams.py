"""Streams, variants, and the small language of tags (docs/contract: Releases)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Self

import msgspec

from relman.model.oci import Platform, Repository

_PLACEHOLDERS = frozenset({"date", "point", "major", "suffix", "today"})
_TOKEN = re.compile(r"\{([a-z_]*)\}|(\[)|(\])|([^{}\[\]]+)|(.)")


class Version(msgspec.Struct, frozen=True):
    """What a dated tag says: ordered by (date, point), by number. A tag without a point comes before its ``.1``."""

    tag: str
    date: dt.date
    point: int = 0
    major: int | None = None

    @property
    def order(self) -> tuple[dt.date, int]:
        """What versions of one stream are ordered by."""
        return (self.date, self.point)


class TagPattern(msgspec.Struct, frozen=True, dict=True):
    """A pattern such as ``stable{suffix}-{major}.{date}[.{point}]``: reads dated tags, and makes tags.

    ``{date}`` is a real calendar day YYYYMMDD, ``{point}`` and ``{major}`` are numbers, ``{suffix}`` is the variant's,
    ``{today}`` stands for the day on which a tag is made, ``[…]`` is optional, all else is literal. Nothing else is
    allowed: `ValueError` says what is wrong.
    """

    text: str

    def __post_init__(self) -> None:
        if not self._parts:
            raise ValueError("a tag's pattern cannot be empty")

    @cached_property
    def _parts(self) -> tuple[tuple[str, str, bool], ...]:
        """What it is made of: the kind, the literal text, and whether it stands in `[…]`."""
        parts: list[tuple[str, str, bool]] = []
        optional = False
        for name, opening, closing, literal, stray in _TOKEN.findall(self.text):
            if opening:
                if optional:
                    raise ValueError(f"`{self.text}`: `[` inside `[…]`")
                optional = True
            elif closing:
                if not optional:
                    raise ValueError(f"`{self.text}`: `]` without `[`")
                optional = False
            elif literal:
                if not re.fullmatch(r"[A-Za-z0-9_.-]+", literal):
                    raise ValueError(f"`{self.text}`: `{literal}` cannot stand in a tag")
                parts.append(("literal", literal, optional))
            elif stray or name not in _PLACEHOLDERS:
                known = ", ".join(f"{{{p}}}" for p in sorted(_PLACEHOLDERS))
                raise ValueError(f"`{self.text}`: `{stray or '{' + name + '}'}` is no placeholder; there are {known}")
            else:
                if name != "suffix" and any(kind == name for kind, _, _ in parts):
                    raise ValueError(f"`{self.text}`: `{{{name}}}` stands there twice")
                parts.append((name, "", optional))
        if optional:
            raise ValueError(f"`{self.text}`: `[` without `]`")
        return tuple(parts)

    @property
    def placeholders(self) -> frozenset[str]:
        """The names between braces."""
        return frozenset(kind for kind, _, _ in self._parts if kind != "literal")

    @property
    def tells_variants_apart(self) -> bool:
        """Whether the variant's suffix is always part of the tag."""
        return any(kind == "suffix" and not optional for kind, _, optional in self._parts)

    def read(self, tag: str, suffix: str = "") -> Version | None:
        """What ``tag`` says to this pattern, or `None` where it is not of this shape.

        Tags that hold signatures and referrers (``sha256-…``) are never builds.
        """
        match = None if tag.startswith(("sha256-", "sha512-")) else _expression(self, suffix).fullmatch(tag)
        if match is None:
            return None
        found = match.groupdict()
        day = _day(found.get("date") or found.get("today") or "")
        if day is None:
            return None
        point, major = found.get("point"), found.get("major")
        return Version(tag, day, int(point) if point else 0, int(major) if major else None)

    def fits(self, tag: str, suffix: str = "") -> bool:
        """Whether ``tag`` has this shape, whatever its day: what can be asked of tags that move, which have none."""
        return _expression(self, suffix).fullmatch(tag) is not None

    def make(self, suffix: str, *, today: dt.date, build: Version | None, point: int | None = None) -> str:
        """The tag for a variant; ``{date}`` and ``{major}`` come from ``build``, the candidate's own dated tag.

        The optional part is left out where ``point`` is `None`. Raises `ValueError` where the build does not say.
        """
        made: list[str] = []
        for kind, literal, optional in self._parts:
            if optional and point is None:
                continue
            made.append(literal if kind == "literal" else self._value(kind, suffix, today, build, point))
        return "".join(made)

    def _value(self, kind: str, suffix: str, today: dt.date, build: Version | None, point: int | None) -> str:
        if kind == "suffix":
            return suffix
        if kind == "today":
            return f"{today:%Y%m%d}"
        if kind == "point":
            return str(point or 0)
        value = None if build is None else (f"{build.date:%Y%m%d}" if kind == "date" else build.major)
        if value is None:
            tag = f"its dated tag `{build.tag}` does not say" if build else "it has no dated tag"
            raise ValueError(f"`{self.text}` wants the candidate's {kind}, and {tag}")
        return str(value)


@lru_cache(maxsize=256)
def _expression(pattern: TagPattern, suffix: str) -> re.Pattern[str]:
    """Each once: a repository has thousands of tags."""
    forms = {
        "date": r"(?P<date>[0-9]{8})",
        "today": r"(?P<today>[0-9]{8})",
        "point": r"(?P<point>[0-9]{1,9})",
        "major": r"(?P<major>[0-9]{1,9})",
        "suffix": re.escape(suffix),
    }
    out, inside = "", False
    for kind, literal, optional in pattern._parts:
        if optional != inside:
            out += "(?:" if optional else ")?"
            inside = optional
        out += re.escape(literal) if kind == "literal" else forms[kind]
    return re.compile(out + (")?" if inside else ""), re.ASCII)


def _day(digits: str) -> dt.date | None:
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


class Variant(msgspec.Struct, frozen=True):
    """An edition: a repository, or a suffix of the tags in a shared one.

    ``platforms`` are those that must be there; empty means those that its image holds.
    """

    name: str
    repository: str
    suffix: str = ""
    traits: frozenset[str] = frozenset()
    platforms: tuple[Platform, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ValueError(f"`{self.name}` is not a variant's name (letters, digits, `_`, `.`, `-`)")
        if not re.fullmatch(r"[A-Za-z0-9_.-]*", self.suffix):
            raise ValueError(f"`{self.suffix}` cannot stand in a tag")


class SourceMoved(StrEnum):
    """What to do when the source stream moved on after planning."""

    PROMOTE_PLANNED = "promote-planned"
    REFUSE = "refuse"


class OnFailure(StrEnum):
    """What to do when moving tags fails in the middle."""

    FORWARD = "forward"
    RESTORE = "restore"


class GateRule(msgspec.Struct, frozen=True):
    """A gate as the configuration asks for it: its type, its name, and the rest of its table.

    ``may_override`` are those who may let it pass when it is closed; `None`: whoever may release, and empty: nobody.
    """

    type: str
    name: str
    table: Mapping[str, object] = msgspec.field(default_factory=dict)
    may_override: tuple[str, ...] | None = None

    def __hash__(self) -> int:
        return hash((self.type, self.name))


class Stream(msgspec.Struct, frozen=True):
    """What users follow. ``source`` is the stream that it promotes from; `None` for one that builds write directly.

    ``gates`` is `None` where the configuration leaves the choice to relman.
    """

    name: str
    tags: tuple[TagPattern, ...]
    versions: tuple[TagPattern, ...]
    source: str | None = None
    new_versions: tuple[TagPattern, ...] = ()
    on_source_moved: SourceMoved = SourceMoved.PROMOTE_PLANNED
    on_failure: OnFailure = OnFailure.FORWARD
    soak: timedelta | None = None
    gates: tuple[GateRule, ...] | None = None
    prefix: str | None = None
    expect: timedelta | None = None

    def __post_init__(self) -> None:
        if not self.tags:
            raise ValueError(f"stream `{self.name}` needs at least one tag")

    @property
    def primary(self) -> TagPattern:
        """The tag that says what the stream holds."""
        return self.tags[0]

    def tag(self, variant: Variant) -> str:
        """The tag that says what the stream holds of ``variant``."""
        return self.primary.make(variant.suffix, today=dt.date.min, build=None)  # it names no day and no major

    def read(self, tag: str, variant: Variant) -> Version | None:
        """What ``tag`` says, by the first pattern that reads it; `None` for tags of another shape."""
        return next((v for p in self.versions if (v := p.read(tag, variant.suffix))), None)

    def moving(self, tag: str, variant: Variant) -> TagPattern | None:
        """The pattern of the stream's own tags, which move, that ``tag`` is one of; else `None`."""
        return next((pattern for pattern in self.tags if pattern.fits(tag, variant.suffix)), None)


class Place(msgspec.Struct, frozen=True):
    """A variant's repository for one stream."""

    variant: Variant
    repository: Repository

    @classmethod
    def below(cls, prefix: str, variant: Variant) -> Self:
        """The variant's repository below ``prefix``: ``ghcr.io/owner``, ``localhost:5000/os`` or ``oci:FOLDER``."""
        from relman.model.oci import parse_repository

        return cls(variant, parse_repository(f"{prefix.rstrip('/')}/{variant.repository}"))
