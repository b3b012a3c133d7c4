"""What people see of a ledger on a forge: a page that lists its releases, and the notes of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from urllib.parse import quote

from relman.documents.plan import plan_from_bytes
from relman.documents.reading import PLAN_LIMIT
from relman.errors import RelmanError
from relman.ledger.disk import read_file
from relman.model.record import Record

NOTES = "notes.md"
SHOWN = 200
"""How many releases of a stream are listed; older ones are in their folders."""

_HEAD = """\
# Releases of {project}

[relman](https://github.com/relman/relman) writes this branch: what was released, when, and what came of it. Nothing
here is meant to be edited by hand. Each folder has `record.json` (the record), `plan.json` (what was meant),
`changelog.json` (the data of the notes) and, in most cases, `notes.md`.
"""

_TABLE = ("| Version | State | Begun (UTC) | Finished (UTC) | |", "| --- | --- | --- | --- | --- |")


def index(records: Iterable[Record], with_notes: Collection[str]) -> bytes:
    """The page, in Markdown; ``records`` come newest first, ``with_notes`` names those that have notes beside them."""
    records = tuple(records)
    lines = [_HEAD.format(project=_plain(records[0].project) if records else "this project")]
    for stream in sorted({record.stream for record in records}):
        of_stream = [record for record in records if record.stream == stream]
        lines += [f"## {_plain(stream)}", "", *_TABLE]
        lines += [_row(record, record.name in with_notes) for record in of_stream[:SHOWN]]
        lines.append("")
        if len(of_stream) > SHOWN:
            lines += [f"{len(of_stream) - SHOWN} older ones are in [{_plain(stream)}]({quote(stream)}).", ""]
    return "\n".join(lines).encode()


def _row(record: Record, notes: bool) -> str:
    folder = f"{quote(record.stream)}/{quote(record.name)}"
    cells = (
        f"[{_plain(record.version)}]({folder}{f'/{NOTES}' if notes else ''})",
        str(record.state),
        f"{record.created:%Y-%m-%d %H:%M}",
        f"{record.finished:%Y-%m-%d %H:%M}" if record.finished else "",
        f"[record]({folder}/record.json)",
    )
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """A name as Markdown shows it, whatever is in it."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&])", r"\\\1", " ".join(text.split()))


def notes_of(plan: Path) -> bytes | None:
    """The notes that a plan has; `None` for one that is not there or cannot be read: the page does without."""
    try:
        content = read_file(plan, limit=PLAN_LIMIT)
        return plan_from_bytes(content).notes.encode() if content is not None else None
    except RelmanError:
        return None
