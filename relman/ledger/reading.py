"""Records in a folder, as they lie there: what is read of a ledger without its lock.

A run may write meanwhile: what its journal has by then counts as written.
"""

from __future__ import annotations

import difflib
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec

from relman.documents.reading import PLAN_LIMIT
from relman.documents.record import RECORD_LIMIT, record_from_bytes
from relman.errors import DigestMismatch, Malformed, NotFound, UsageError
from relman.ledger import store
from relman.ledger.disk import read_file, touching
from relman.ledger.holding import HoldsFile
from relman.ledger.journal import Begin, Entry, Journal, merged
from relman.ledger.layout import Layout
from relman.ledger.lease import LEASE
from relman.ledger.observations import ObservedFile
from relman.model.audit import BrokenRecord
from relman.model.holds import Hold
from relman.model.observed import Observations
from relman.model.oci import Digest
from relman.model.record import Record, RecordState, called


class Seen(msgspec.Struct, frozen=True):
    """A record as it lies on disk, what its journal holds, and both merged."""

    stored: Record
    entries: tuple[Entry, ...]
    record: Record

    @property
    def since(self) -> datetime | None:
        """When whoever works on it began."""
        if self.stored.lease is None:
            return None
        return self._begin.at if self._begin else self.stored.lease.until - LEASE

    @property
    def elsewhere(self) -> bool:
        """Whether somebody works or worked on it whose journal is not here: another machine's, another checkout's."""
        return self.stored.elsewhere or (self.stored.lease is not None and self._begin is None)

    @property
    def _begin(self) -> Begin | None:
        begins = (entry for entry in self.entries if isinstance(entry, Begin) and entry.is_of(self.stored.lease))
        return next(begins, None)


class FolderReading:
    """What is below ``root``, which need not be there yet."""

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)

    @cached_property
    def _observed(self) -> ObservedFile:
        return ObservedFile(self._layout.observed)

    def records(self, stream: str | None = None) -> tuple[Record, ...]:
        """All records, or a stream's, the newest first. Raises `Malformed`, naming the file that is broken."""
        return tuple(seen.record for seen in self._all(stream))

    def record(self, wanted: str, stream: str | None = None) -> Record:
        """The record with this id, version or name. Of several of one stream the newest finished one is meant.

        A rollback has the version of the release that it went back to: by version that release is meant.

        Raises `NotFound` with what comes close, and `UsageError` where several streams have such a one.
        """
        records = self.records(stream)
        found = called(records, wanted)
        streams = sorted({record.stream for record in found})
        if len(streams) > 1:
            raise UsageError(
                f"`{wanted}` is a release of `{'`, `'.join(streams)}`",
                hint=f"name it in full, such as `{found[0].name}`",
            )
        if found:
            return next((record for record in found if record.state is RecordState.FINISHED), found[0])
        known = [name for record in records for name in (record.version, record.name, record.id)]
        close = list(dict.fromkeys(difflib.get_close_matches(wanted, known, n=3)))
        where = f" of stream `{stream}`" if stream is not None else ""
        hint = f"did you mean `{'`, `'.join(close)}`?" if close else "`relman records` lists them"
        raise NotFound(f"there is no record `{wanted}`{where} in `{self._layout.root}`", hint=hint)

    def plan_of(self, record: Record) -> bytes | None:
        """The plan that ``record`` carries out, checked against its digest; `None` where it has none."""
        if record.plan is None:
            return None
        path = self._file(record, "plan.json")
        plan = read_file(path, limit=PLAN_LIMIT)
        if plan is not None and Digest.of(plan, record.plan.algorithm) != record.plan:
            raise DigestMismatch(f"`{path}` is not the plan `{record.plan.short}` that its record names")
        return plan

    def changelog_of(self, record: Record) -> bytes | None:
        """The `relman.changelog/1` of ``record``; `None` where it has none."""
        return read_file(self._file(record, "changelog.json"), limit=PLAN_LIMIT)

    def contents(self, digest: Digest) -> bytes | None:
        """A kept document, checked against ``digest``; `None` where it was not kept, or is no longer."""
        return store.read(self._layout.contents(digest), digest)

    def survey(self, stream: str) -> tuple[tuple[Record, ...], tuple[BrokenRecord, ...]]:
        """A stream's records that can be read, the newest first, and those that cannot."""
        found: list[Seen] = []
        broken: list[BrokenRecord] = []
        for folder in self._layout.records(self._layout.stream(stream)):
            try:
                seen = self._see(folder)
            except Malformed as error:
                broken.append(BrokenRecord(stream, folder.name, error.message))
            else:
                found += [seen] if seen else []
        return tuple(seen.record for seen in sorted(found, key=_age, reverse=True)), tuple(broken)

    def observed(self) -> Observations:
        """What tags were seen to hold. Raises `Malformed`, naming the line that is broken."""
        return self._observed.read()

    @property
    def _holds(self) -> HoldsFile:
        return HoldsFile(self._layout.holds)

    def holds(self) -> tuple[Hold, ...]:
        """What nothing may enter. Raises `Malformed`: what cannot be read must not pass for open."""
        return self._holds.read()

    def _file(self, record: Record, name: str) -> Path:
        return self._layout.record(record.stream, record.name) / name

    def _all(self, stream: str | None) -> tuple[Seen, ...]:
        streams = self._layout.streams() if stream is None else (self._layout.stream(stream),)
        found = [seen for path in streams for folder in self._layout.records(path) if (seen := self._see(folder))]
        return tuple(sorted(found, key=_age, reverse=True))

    def _see(self, folder: Path) -> Seen | None:
        """The record in ``folder``, or `None` where a folder is something else than a record's."""
        # The journal first: a run that finishes between the two reads has then written all of it into the record.
        journal = Journal(self._layout.journal(folder.parent.name, folder.name))
        entries = journal.entries()
        path = folder / "record.json"
        content = read_file(path, limit=RECORD_LIMIT)
        if content is None:
            with touching(folder):
                remains = [name for name in ("plan.json", "changelog.json") if (folder / name).exists()]
            if remains:
                raise Malformed(f"`{path}` is missing", hint="restore it, or move its folder out of the ledger")
            return None
        stored = record_from_bytes(content, what=f"`{path}`")
        if (stored.stream, stored.name) != (folder.parent.name, folder.name):
            raise Malformed(
                f"`{path}` is the record of `{stored.name}` in `{stored.stream}`: it lies in another's folder"
            )
        return Seen(stored, entries, merged(stored, entries))


def _age(seen: Seen) -> tuple[datetime, str, str]:
    return (seen.record.created, seen.record.version, seen.record.id)
