"""What each tag of a repository is to the streams, and why nothing reads the others (docs/contract: `relman tags`)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from relman.model.oci import Digest
from relman.model.streams import Stream, Variant, Version

_REFERRER = re.compile(r"(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})(?:\.([a-z0-9]+))?")
_HOLDS = {"sig": "a signature", "att": "attestations", "sbom": "an SBOM", None: "what refers to it"}
_ARCHES = "amd64|arm64|x86_64|aarch64|ppc64le|s390x|riscv64"
_ARCH = re.compile(rf"(.+)[-.]({_ARCHES})")
_COMMIT = re.compile(r"(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{7,40}")
_DAY = re.compile(r"(?<![0-9])[0-9]{8}(?![0-9])")
_NUMBERED = re.compile(r"v?[0-9]+(?:\.[0-9]+)+(?:[-+.][0-9A-Za-z.-]+)?")


class Kind(StrEnum):
    """What a tag is to the streams."""

    DATED = "dated"
    MOVING = "moving"
    UNREAD = "unread"


class Reading(msgspec.Struct, frozen=True):
    """One way to read a tag: the stream and the variants that it belongs to, and the pattern that says so.

    ``version`` is `None` for a tag that moves.
    """

    stream: str
    variants: tuple[str, ...]
    pattern: str
    version: Version | None


class ExplainedTag(msgspec.Struct, frozen=True):
    """A tag with every way to read it; where there is none, ``reason`` says why.

    ``order`` counts a dated tag among the builds of its stream and variant: 1 is the newest. ``digest`` is `None`
    where it was not asked for. ``alias_of`` is the tag that stands for the same build, `None` for that tag itself.
    """

    tag: str
    kind: Kind
    readings: tuple[Reading, ...] = ()
    reason: str | None = None
    order: int | None = None
    digest: Digest | None = None
    alias_of: str | None = None

    @property
    def first(self) -> Reading | None:
        """The reading that comes first in the configuration."""
        return self.readings[0] if self.readings else None

    @property
    def version(self) -> Version | None:
        """What the first reading says of it."""
        return self.readings[0].version if self.readings else None


def explain(
    tags: Iterable[str],
    streams: Sequence[Stream],
    variants: Sequence[Variant],
    *,
    only: Stream | None = None,
    neighbours: Sequence[Variant] = (),
    digests: Mapping[str, Digest | None] | None = None,
) -> tuple[ExplainedTag, ...]:
    """Each tag, once: builds the newest first, stream by stream, then those that move, then those that nothing reads.

    ``neighbours`` are the other variants of the same repository. With ``only``, tags of other streams are unread.
    """
    asked = [only] if only else list(streams)
    found = [_explained(tag, asked, streams, variants, neighbours, digests or {}) for tag in dict.fromkeys(tags)]
    ranks = {stream.name: number for number, stream in enumerate(streams)}

    def place(each: ExplainedTag) -> tuple[object, ...]:
        first, version = each.first, each.version
        if first is None:
            return (2, each.tag)
        at = (ranks[first.stream], first.variants)
        if version is None:
            return (1, *at, each.tag)
        stream = next(stream for stream in streams if stream.name == first.stream)
        pattern = [pattern.text for pattern in stream.versions].index(first.pattern)
        return (0, *at, -version.date.toordinal(), -version.point, pattern, each.tag)

    return _joined(sorted(found, key=place))


def _explained(
    tag: str,
    asked: Sequence[Stream],
    streams: Sequence[Stream],
    variants: Sequence[Variant],
    neighbours: Sequence[Variant],
    digests: Mapping[str, Digest | None],
) -> ExplainedTag:
    readings = readings_of(tag, asked, variants)
    if readings:
        kind = Kind.DATED if readings[0].version else Kind.MOVING
        return ExplainedTag(tag, kind, readings, digest=digests.get(tag))
    if others := readings_of(tag, streams, variants):
        return ExplainedTag(tag, Kind.UNREAD, reason=f"the stream `{others[0].stream}` reads it")
    if others := readings_of(tag, streams, neighbours):
        first = others[0]
        whose = f"it is of the variant `{first.variants[0]}` (stream `{first.stream}`)"
        return ExplainedTag(tag, Kind.UNREAD, reason=whose)
    return ExplainedTag(tag, Kind.UNREAD, reason=reason(tag, streams, (*variants, *neighbours)))


def readings_of(tag: str, streams: Iterable[Stream], variants: Sequence[Variant]) -> tuple[Reading, ...]:
    """Every stream that reads ``tag``, dated ones first. Variants with the same suffix read it alike."""
    suffixes: dict[str, list[Variant]] = {}
    for variant in variants:
        suffixes.setdefault(variant.suffix, []).append(variant)
    dated: list[Reading] = []
    moving: list[Reading] = []
    for stream in streams:
        for alike in suffixes.values():
            names = tuple(variant.name for variant in alike)
            for pattern in stream.versions:
                if version := pattern.read(tag, alike[0].suffix):
                    dated.append(Reading(stream.name, names, pattern.text, version))
                    break
            else:
                if named := stream.moving(tag, alike[0]):
                    moving.append(Reading(stream.name, names, named.text, None))
    return (*dated, *moving)


def reason(tag: str, streams: Sequence[Stream], variants: Sequence[Variant]) -> str:
    """Why no stream reads ``tag``, for people."""
    if match := _REFERRER.fullmatch(tag):
        holds = _HOLDS.get(match[3], f"what `.{match[3]}` says")
        return f"it holds {holds}, of {match[1]}:{match[2][:12]}"
    if tag.startswith(("sha256-", "sha512-")):
        return "its name is that of a tag which holds signatures or referrers, and it is never a build"
    if match := re.match(r"pr-([0-9]+)(?=-|$)", tag):
        return f"it is a build of pull request {match[1]}"
    if match := _ARCH.fullmatch(tag):
        whole = readings_of(match[1], streams, variants)
        stream = f" (stream `{whole[0].stream}`)" if whole else ""
        return f"it is {match[2]} alone, of `{match[1]}`{stream}"
    if commit := next((part for part in re.split(r"[-.]", tag) if _COMMIT.fullmatch(part)), None):
        return f"it names the commit `{commit}`"
    days = _DAY.findall(tag)
    if days and not any(map(_calendar, days)):
        return f"`{days[0]}` is no day of the calendar"
    if days:
        return f"no pattern reads `{_shape(tag)}`"
    if _NUMBERED.fullmatch(tag):
        return "it is a version number without a day"
    return "no stream has this tag, and it names no day"


def _calendar(digits: str) -> bool:
    try:
        dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


def _shape(tag: str) -> str:
    """``tag`` as a pattern that would read it: where its last day stands, and what looks like major and point."""
    day = [match for match in _DAY.finditer(tag) if _calendar(match[0])][-1]
    before, after = tag[: day.start()], tag[day.end() :]
    before = re.sub(r"(?<![0-9A-Za-z])[0-9]{2}\.$", "{major}.", before)
    after = re.sub(r"^\.[0-9]{1,9}$", "[.{point}]", after)
    return f"{before}{{date}}{after}"


def _joined(found: Sequence[ExplainedTag]) -> tuple[ExplainedTag, ...]:
    """The tags with their order, and those that are spellings of one build joined: by digest, else by what they say."""
    heads: dict[object, str] = {}
    counts: dict[tuple[str, tuple[str, ...]], list[tuple[dt.date, int]]] = {}
    explained: list[ExplainedTag] = []
    for each in found:
        first, version = each.first, each.version
        if first is None:
            explained.append(each)
            continue
        order = None
        if version:
            seen = counts.setdefault((first.stream, first.variants), [])
            if version.order not in seen:
                seen.append(version.order)
            order = seen.index(version.order) + 1
        build = _build(each, first, version)
        head = heads.setdefault(build, each.tag) if build else each.tag
        explained.append(replace(each, order=order, alias_of=head if head != each.tag else None))
    return tuple(explained)


def _build(each: ExplainedTag, first: Reading, version: Version | None) -> object:
    """What is the same for all spellings of one build; `None` where nothing tells which build it is."""
    if each.digest:
        return (each.digest, first.variants)
    return (first.stream, first.variants, version.order) if version else None
