"""What one run notes as it goes: the ledger's unsent tail, a line for each entry (JSON Lines).

The first line says whose run it is. An `attempt` is on disk before its action is tried, the receipt after it. A line
without its end was cut while it was written: what it would have said was not yet relied on, so it is let be.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec.structs import replace
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from relman.documents.reading import compact, printable, read_json
from relman.documents.receipts import receipt_document, receipt_from_document
from relman.documents.values import Name, Time, parse_rfc3339, rfc3339
from relman.errors import Malformed
from relman.ledger.disk import make_folder, read_file, remove_file, touching, write_file
from relman.ledger.lease import LEASE
from relman.model.record import Attempt, Lease, Receipt, ReceiptState, Record

JOURNAL_SCHEMA = "relman.journal/1"
LIMIT = 64 * 1024 * 1024
UNANSWERED = "attempted, and no receipt followed"


class Begin(msgspec.Struct, frozen=True):
    """The run that a journal is of. ``token`` is its own, so that a run knows whether the journal is still its."""

    token: str
    host: str
    process: int
    started: str | None
    at: datetime

    def is_of(self, lease: Lease | None) -> bool:
        """Whether ``lease`` is this run's."""
        return lease is not None and (lease.host, lease.process, lease.started) == (
            self.host,
            self.process,
            self.started,
        )


Entry: TypeAlias = Begin | Attempt | Receipt


class _BeginLine(TypedDict):
    entry: Literal["begin"]
    schema: Literal["relman.journal/1"]
    token: Name
    host: Name
    process: Annotated[int, Field(gt=0)]
    started: str | None
    at: Time


class _AttemptLine(TypedDict):
    entry: Literal["attempt"]
    key: Name
    action: Name
    at: Time


class _ReceiptLine(TypedDict):
    entry: Literal["receipt"]
    receipt: dict[str, object]


_LINE: TypeAdapter[_BeginLine | _AttemptLine | _ReceiptLine] = TypeAdapter(
    Annotated[_BeginLine | _AttemptLine | _ReceiptLine, Field(discriminator="entry")]
)


def line(entry: Entry) -> bytes:
    """One entry as it is written, its end included."""
    match entry:
        case Begin():
            document: dict[str, object] = {
                "entry": "begin",
                "schema": JOURNAL_SCHEMA,
                "token": entry.token,
                "host": entry.host,
                "process": entry.process,
                "started": entry.started,
                "at": rfc3339(entry.at),
            }
        case Attempt():
            document = {"entry": "attempt", "key": entry.key, "action": entry.action, "at": rfc3339(entry.at)}
        case Receipt():
            document = {"entry": "receipt", "receipt": receipt_document(entry)}
    return compact(document)


def parse(content: bytes, *, what: str) -> tuple[Entry, ...]:
    """The entries of a journal, whose cut last line is let be. Raises `Malformed` for any other line that is broken."""
    *lines, _cut = content.split(b"\n")
    return tuple(_entry(text, f"{what}, line {number}") for number, text in enumerate(lines, 1))


def _entry(text: bytes, what: str) -> Entry:
    try:
        read = _LINE.validate_python(read_json(text, what=what, limit=LIMIT), strict=True)
        if read["entry"] == "begin":
            return Begin(read["token"], read["host"], read["process"], read["started"], parse_rfc3339(read["at"]))
        if read["entry"] == "attempt":
            return Attempt(read["key"], read["action"], parse_rfc3339(read["at"]))
        return receipt_from_document(read["receipt"])
    except ValidationError as error:
        raise Malformed(printable(f"{what}, is no entry of a journal: {error.errors()[0]['msg']}")) from error


def merged(record: Record, entries: Iterable[Entry]) -> Record:
    """``record`` with all that its journal knows, and with its lease as the journal renewed it.

    Of each action the journal's last word counts; an attempt without a receipt is `unknown`. The journal of the run
    that holds the record is newer than the record; any other gives way to a receipt of a later time.
    """
    entries = tuple(entries)
    begin = next((entry for entry in entries if isinstance(entry, Begin)), None)
    ours = begin is not None and begin.is_of(record.lease)
    known = {receipt.key: receipt for receipt in record.receipts}
    for key, word in _last_words(entries).items():
        if ours or key not in known or word.at >= known[key].at:
            known[key] = word
    lease = record.lease
    if ours and lease is not None:
        lease = replace(lease, until=max(lease.until, entries[-1].at + LEASE))
    return replace(record, receipts=tuple(known.values()), lease=lease)


def _last_words(entries: Iterable[Entry]) -> dict[str, Receipt]:
    words: dict[str, Receipt] = {}
    for entry in entries:
        match entry:
            case Attempt():
                words[entry.key] = Receipt(entry.key, entry.action, ReceiptState.UNKNOWN, entry.at, detail=UNANSWERED)
            case Receipt():
                words[entry.key] = entry
            case Begin():
                pass
    return words


class Journal:
    """The journal of one record, on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def content(self) -> bytes | None:
        """Its bytes, or `None` where nothing was noted."""
        return read_file(self.path, limit=LIMIT)

    def entries(self) -> tuple[Entry, ...]:
        """What was noted, in order; empty where nothing was."""
        return parse(self.content() or b"", what=f"journal `{self.path}`")

    def start(self, entries: Iterable[Entry]) -> None:
        """Begin anew with ``entries``, at once."""
        make_folder(self.path.parent)
        write_file(self.path, b"".join(map(line, entries)))

    def append(self, entry: Entry) -> None:
        """Note ``entry``: on disk when this returns. Where that fails the journal is as it was."""
        make_folder(self.path.parent)
        with touching(self.path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self.path, flags, 0o666)
            try:
                _append(descriptor, line(entry))
            finally:
                os.close(descriptor)

    def remove(self) -> None:
        """Forget it: the ledger has it all."""
        remove_file(self.path)


def _append(descriptor: int, text: bytes) -> None:
    size = _whole(descriptor)
    try:
        left = text
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _whole(descriptor: int) -> int:
    """The size up to the last whole line, after cutting off what an earlier failure left behind it."""
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, size, 0)
    whole = content.rfind(b"\n") + 1
    if whole != size:
        os.ftruncate(descriptor, whole)
    return whole
