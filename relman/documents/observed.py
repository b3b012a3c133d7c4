"""`relman.observed/1`, a line of `observed.jsonl`, and `relman.observe/1`, what `relman observe` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from relman.documents.reading import compact, read_json, validated
from relman.documents.values import Name, Time, one_of, parse_rfc3339, rfc3339
from relman.errors import Malformed
from relman.model.observed import Observation, Observations, TagKind
from relman.model.oci import Digest

OBSERVED_SCHEMA: Final = "relman.observed/1"
OBSERVED_LIMIT = 64 * 1024 * 1024
"""The largest file of observations that is read, in bytes: thirty variants that are built daily take eleven years."""

_LINE_LIMIT = 16 * 1024


class ObservedDocument(TypedDict):
    """One line: a tag that was seen to hold something else than before; ``digest`` is null where it was gone."""

    schema: Literal["relman.observed/1"]
    at: Time
    stream: Name
    variant: Name
    kind: Annotated[TagKind, one_of(TagKind)]
    tag: Name
    digest: Digest | None


class HeldDocument(TypedDict):
    """What a variant's tag in a stream holds, and since when that was seen; both are null where it is not there."""

    variant: str
    tag: str
    digest: str | None
    since: str | None


class ObservedStreamDocument(TypedDict):
    """One stream that was looked at."""

    name: str
    variants: list[HeldDocument]


class ObserveDocument(TypedDict):
    """What `relman observe` found: the lines that it wrote, and what all streams hold. ``notes`` are for people."""

    schema: Literal["relman.observe/1"]
    project: str
    now: str
    noted: list[ObservedDocument]
    streams: list[ObservedStreamDocument]
    notes: list[str]


_LINE = TypeAdapter(ObservedDocument)


def observed_document(entry: Observation) -> ObservedDocument:
    """One observation as JSON has it."""
    return ObservedDocument(
        schema=OBSERVED_SCHEMA,
        at=rfc3339(entry.at),
        stream=entry.stream,
        variant=entry.variant,
        kind=entry.kind,
        tag=entry.tag,
        digest=entry.digest,
    )


def observed_lines(entries: Iterable[Observation]) -> bytes:
    """Observations as they are written, each line with its end."""
    return b"".join(compact(dict(observed_document(entry))) for entry in entries)


def observations_from(content: bytes, *, what: str) -> tuple[Observations, int]:
    """The observations in a file, and up to which byte it is whole.

    Empty lines are let be, and so is a last line that was cut while it was written: nobody relied on it yet. Raises
    `Malformed`, with its number, for any other line that cannot be read.
    """
    *lines, rest = content.split(b"\n")
    entries = [_entry(line, f"{what}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    whole = len(content) - len(rest)
    if rest.strip():
        try:
            entries.append(_entry(rest, what))
            whole = len(content)  # an editor left out the last line's end
        except Malformed:
            pass
    return Observations(tuple(entries)), whole


def _entry(line: bytes, what: str) -> Observation:
    read = validated(_LINE, read_json(line, what=what, limit=_LINE_LIMIT), OBSERVED_SCHEMA, what=what)
    return Observation(
        parse_rfc3339(read["at"]), read["stream"], read["variant"], read["kind"], read["tag"], read["digest"]
    )


def observe_document(
    project: str,
    now: datetime,
    noted: Sequence[Observation],
    streams: Sequence[tuple[str, Sequence[tuple[str, str, Digest | None, datetime | None]]]],
    notes: Sequence[str],
) -> ObserveDocument:
    """The document; ``streams`` holds a name with (variant, tag, digest, since) for each."""
    return ObserveDocument(
        schema="relman.observe/1",
        project=project,
        now=rfc3339(now),
        noted=[observed_document(entry) for entry in noted],
        streams=[
            ObservedStreamDocument(
                name=name,
                variants=[
                    HeldDocument(variant=variant, tag=tag, digest=digest, since=rfc3339(since) if since else None)
                    for variant, tag, digest, since in variants
                ],
            )
            for name, variants in streams
        ],
        notes=list(notes),
    )
