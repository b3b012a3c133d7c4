"""What the records alone tell: links that do not meet, versions that go back, releases left open, broken files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from relman.model.audit import Code, Finding
from relman.model.record import Record, RecordState
from relman.walk.acting import UNFINISHED
from relman.walk.audit.facts import Facts, short


def broken(facts: Facts) -> Iterator[Finding]:
    """Records that cannot be read. The others are audited without them."""
    for record in facts.broken:
        yield facts.finding(
            Code.BROKEN_RECORD,
            f"the record `{record.name}` cannot be read: {record.reason}",
            "restore it from the history of the ledger",
            version=record.version or None,
            evidence={"record": record.name},
        )


def unfinished(facts: Facts) -> Iterator[Finding]:
    """Releases that were begun, and that nobody works on any more."""
    for record in facts.records:
        if record.state not in UNFINISHED or (record.lease and record.lease.until > facts.now):
            continue
        left = [receipt.action for receipt in record.receipts if not receipt.settled]
        yield facts.finding(
            Code.UNFINISHED,
            f"`{record.version}` was begun at {record.created:%Y-%m-%d %H:%M} and is {record.state}"
            + (f": {', '.join(left[:5])} left" if left else ""),
            f"`relman resume {record.id}` finishes it",
            version=record.version,
            evidence={"record": record.id, "state": record.state, "left": left},
        )


def gap(facts: Facts) -> Iterator[Finding]:
    """Releases that do not follow the one before them: what changed in between was announced nowhere."""
    for position, record in enumerate(facts.over[:-1]):
        earlier = facts.over[position + 1 :]
        before = _followed(record, earlier, {one.id for one in facts.broken})
        if before is None:
            continue
        if record.previous != before.id:
            named = f"names `{record.previous}`" if record.previous else "names none"
            yield facts.finding(
                Code.GAP,
                f"`{record.version}` should follow `{before.version}`, and {named}: what changed between the two was "
                f"announced nowhere",
                _hint(before, record),
                version=record.version,
                evidence={"record": record.id, "previous": record.previous, "before": before.id},
            )
            continue
        yield from _gaps_of_images(facts, record, before, earlier)


def _followed(record: Record, earlier: tuple[Record, ...], broken: set[str]) -> Record | None:
    """The record that ``record`` should name; `None` where that cannot be told.

    A release that was taken back may be followed, by one made before it was, or not. One that was imported later was
    not known when the first was made here.
    """
    if record.previous in broken or not _was_made_here(record):
        return None
    for before in earlier:
        if before.id == record.previous or before.state is RecordState.FINISHED:
            unknown_then = record.previous is None and not _was_made_here(before)
            return None if unknown_then else before
    return None


def _was_made_here(record: Record) -> bool:
    """Not imported from somewhere else: such a record has no digests, and need not know what it followed."""
    return any(variant.digest for variant in record.variants)


def _gaps_of_images(facts: Facts, record: Record, before: Record, earlier: tuple[Record, ...]) -> Iterator[Finding]:
    missed = []
    for variant in record.variants:
        old = before.variant(variant.name)
        if old is None or old.digest is None or variant.previous_digest == old.digest:
            continue
        older = (one.variant(variant.name) for one in earlier)
        if variant.previous_digest and any(one and one.digest == variant.previous_digest for one in older):
            continue  # it was compared with an even older release: then nothing is left out
        missed.append((variant.name, variant.previous_digest, old.digest))
    if not missed:
        return
    one, words = facts.variants(name for name, _, _ in missed)
    _, found, expected = missed[0]
    yield facts.finding(
        Code.GAP,
        f"`{record.version}` follows `{before.version}`, and for {words} it was compared with {short(found)}, not with "
        f"{short(expected)}: what changed between the two was announced nowhere",
        _hint(before, record),
        variant=one,
        version=record.version,
        evidence={
            "record": record.id,
            "before": before.id,
            "variants": {name: {"previous": found, "before": expected} for name, found, expected in missed},
        },
    )


def _hint(before: Record, record: Record) -> str:
    return f"`relman changelog --stream {record.stream} --from {before.version} --to {record.version}` tells it"


def same_build(facts: Facts) -> Iterator[Finding]:
    """Releases of exactly the images of the release before."""
    for record, before in pairwise(facts.over):
        mine = {variant.name: variant.digest for variant in record.variants}
        theirs = {variant.name: variant.digest for variant in before.variants}
        if mine == theirs and mine and all(mine.values()) and not record.rollback:
            yield facts.finding(
                Code.SAME_BUILD,
                f"`{record.version}` released exactly the images of `{before.version}`",
                f"see whether the builds of `{facts.stream.source or facts.stream.name}` still arrive",
                version=record.version,
                evidence={"record": record.id, "before": before.id, "digests": mine},
            )


def backwards(facts: Facts) -> Iterator[Finding]:
    """Releases whose version is older than that of the release before."""
    for record, before in pairwise(facts.finished):
        mine, theirs = facts.order(record.version), facts.order(before.version)
        if mine and theirs and mine < theirs and not record.rollback:
            yield facts.finding(
                Code.BACKWARDS,
                f"`{record.version}` was released after `{before.version}`, and its version is older",
                "who updates gets an older build: release a newer one",
                version=record.version,
                evidence={"record": record.id, "before": before.id},
            )
