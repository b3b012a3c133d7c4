"""Notes as the ledger keeps them: those of one release, and those of the way from one to another."""

from __future__ import annotations

from relman.documents.changelog import changelog_from_document
from relman.documents.reading import PLAN_LIMIT, read_json
from relman.ledger.protocol import Ledger
from relman.model.changelog import Changelog
from relman.model.record import Record, RecordState, called


def recorded(ledger: Ledger, stream: str, version: str) -> tuple[Record, Changelog] | None:
    """A release of ``stream`` by its version or id: its record, and the changelog that it was announced with.

    `None` where there is no such record, or none with a changelog.
    """
    for record in called(ledger.records(stream), version):
        if (made := _changelog(ledger, record)) is not None:
            return record, made
    return None


def steps_between(ledger: Ledger, stream: str, since: str, to: str | None) -> tuple[Changelog, ...] | None:
    """The changelogs of every finished release after ``since`` up to ``to``, or up to the last, the earliest first.

    ``since`` may also be what the first release on record followed. `None` where one of the two is unknown, ``to`` does
    not come after ``since``, or a changelog on the way is missing. Empty only where ``since`` is the last release and
    ``to`` is not given.
    """
    # What was rolled back is no step, and neither is the way back: the next release follows what was gone back to.
    finished = [
        record
        for record in reversed(ledger.records(stream))
        if record.state is RecordState.FINISHED and record.rollback is None
    ]
    places = {name: at for at, record in enumerate(finished) for name in (record.version, record.id)}
    first = _changelog(ledger, finished[0]) if finished else None
    start = places.get(since, -1 if first is not None and first.previous == since else None)
    end = len(finished) - 1 if to is None else places.get(to)
    if start is None or end is None or (to is not None and end <= start):
        return None
    found = [_changelog(ledger, record) for record in finished[start + 1 : end + 1]]
    made = tuple(changelog for changelog in found if changelog is not None)
    return made if len(made) == len(found) else None


def _changelog(ledger: Ledger, record: Record) -> Changelog | None:
    content = ledger.changelog_of(record)
    what = f"the changelog of `{record.name}`"
    return changelog_from_document(read_json(content, what=what, limit=PLAN_LIMIT), what=what) if content else None
