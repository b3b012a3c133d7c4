"""`relman.holds/1`: the holds in a ledger, and what `relman hold` and `relman unhold` print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from relman.documents.reading import canonical, read_json, validated
from relman.documents.values import Name, Time, parse_rfc3339, rfc3339
from relman.errors import Malformed
from relman.model.holds import Hold

HOLDS_SCHEMA: Final = "relman.holds/1"
HOLDS_LIMIT = 1024 * 1024
"""The largest file of holds that is read, in bytes."""


class HoldDocument(TypedDict):
    """One hold; ``variant`` is null where all of the stream is held."""

    stream: Name
    variant: Name | None
    reason: Annotated[str, Field(min_length=1)]
    by: str
    since: Time


class HoldsDocument(TypedDict):
    """Every hold that nobody has lifted."""

    schema: Literal["relman.holds/1"]
    holds: list[HoldDocument]


_HOLDS = TypeAdapter(HoldsDocument)


def hold_document(hold: Hold) -> HoldDocument:
    """One hold as JSON has it."""
    return HoldDocument(
        stream=hold.stream, variant=hold.variant, reason=hold.reason, by=hold.by, since=rfc3339(hold.since)
    )


def holds_document(holds: Iterable[Hold]) -> HoldsDocument:
    """The document for ``holds``."""
    return HoldsDocument(schema=HOLDS_SCHEMA, holds=[hold_document(hold) for hold in holds])


def holds_bytes(holds: Iterable[Hold]) -> bytes:
    """The document as it lies in the ledger."""
    return canonical(dict(holds_document(holds)))


def holds_from_bytes(content: bytes, *, what: str) -> tuple[Hold, ...]:
    """The holds in a file. Raises `Malformed`: a file that cannot be read must not pass for "nothing is held"."""
    read = validated(_HOLDS, read_json(content, what=what, limit=HOLDS_LIMIT), HOLDS_SCHEMA, what=what)
    try:
        return tuple(
            Hold(one["stream"], one["variant"], one["reason"], one["by"], parse_rfc3339(one["since"]))
            for one in read["holds"]
        )
    except ValueError as error:
        raise Malformed(f"{what} does not add up: {error}") from error
