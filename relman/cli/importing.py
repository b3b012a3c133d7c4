"""`relman records import`: show what would be taken in and what could not be read, ask, write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from relman.cli.app import say, working
from relman.cli.output import counted, document, table
from relman.documents.imported import FailedFileDocument, ImportDocument, ImportedReleaseDocument, NotReadDocument
from relman.errors import PartlyDone, RelmanError
from relman.imports.importing import Fate, ImportPlan, Item, plan_import
from relman.imports.notes import NotRead
from relman.lifecycle import Lifecycle
from relman.model.record import Record

_SHOWN = 20
_MARKS = {Fate.NEW: ("+", "green"), Fate.KNOWN: ("=", None), Fate.LEFT_OUT: ("–", "yellow")}


def import_files(walk: Lifecycle, files: Sequence[Path], stream: str | None, *, yes: bool, format_: str) -> None:
    """Import ``files`` into the ledger. Raises what the exit code asks for where some of them hold no releases."""
    with working("reading what was published"):
        plan = plan_import(files, walk.config, walk.ledger.records(), stream=stream)
    _show(plan)
    written: tuple[Record, ...] = ()
    agreed = bool(plan.new) and (yes or click.confirm(f"\nImport {_releases(plan.new)}?", default=False, err=True))
    if agreed:
        written = walk.ledger.adopt(plan.documents())
    ids = {record.id for record in written}
    if format_ == "json":
        document(_document(plan, ids, agreed=agreed))
    else:
        for item in plan.new:
            if item.record and item.record.id in ids:
                click.echo(f"{item.name}: {_counts(item)}")
    if plan.new and not agreed:
        say("nothing was changed")
    elif not plan.new:
        say("there is nothing to import")
    _fail(plan, changed=bool(written))


def _show(plan: ImportPlan) -> None:
    """The plan, and every line that was not read, on stderr."""
    rows = [
        (_MARKS[item.fate][0], item.stream or "", item.name, _when(item), item.reason or _counts(item))
        for item in plan.items
    ]
    if rows:
        say(table(rows, indent="  ", colours=[_MARKS[item.fate][1] for item in plan.items]))
    for item in plan.items:
        if item.fate is Fate.LEFT_OUT:
            say(f"warning: `{item.name}` in `{item.published.file}` is left out: {item.reason}")
        elif item.fate is Fate.KNOWN and item.reason:
            say(f"note: `{item.name}` is left as it is: {item.reason}")
        if item.fate is Fate.NEW and item.notes is not None:
            _show_not_read(item, item.notes.not_read)
    if _alone(plan):
        return
    for error in plan.failed:
        say(f"error: {error.message}")
        if error.hint:
            say(f"hint: {error.hint}")


def _show_not_read(item: Item, lines: Sequence[NotRead]) -> None:
    for each in lines[:_SHOWN]:
        say(f"warning: {_where(item)} {each.line} is not read: {each.reason}: {each.text}")
    if len(lines) > _SHOWN:
        left = counted(len(lines) - _SHOWN, "more line")
        say(f"warning: {_where(item)} … and {left}: `--format json` has them")


def _alone(plan: ImportPlan) -> bool:
    """Whether one file that failed is all there is: then its own error is the whole answer."""
    return len(plan.failed) == 1 and not plan.items


def _where(item: Item) -> str:
    place = f"`{item.published.file}`"
    return f"{place}, line" if item.published.line is not None else f"{place}, `{item.name}`, line"


def _when(item: Item) -> str:
    record = item.record
    return f"{record.created:%Y-%m-%d %H:%M}" if record else ""


def _counts(item: Item) -> str:
    """`13 majors, 57 packages, 6 commits; 2 lines not read`."""
    notes = item.notes
    if notes is None:
        return ""
    read = ", ".join(
        (
            counted(len(notes.majors), "major"),
            counted(notes.packages, "package"),
            counted(len(notes.commits), "commit"),
        )
    )
    return f"{read}; {counted(len(notes.not_read), 'line')} not read" if notes.not_read else read


def _releases(items: Sequence[Item]) -> str:
    return counted(len(items), "release")


def _document(plan: ImportPlan, written: set[str], *, agreed: bool) -> ImportDocument:
    return ImportDocument(
        schema="relman.import/1",
        releases=[_release(item, written, agreed=agreed) for item in plan.items],
        failed=[FailedFileDocument(reason=error.message) for error in plan.failed],
    )


def _release(item: Item, written: set[str], *, agreed: bool) -> ImportedReleaseDocument:
    notes, record = item.notes, item.record
    made = ImportedReleaseDocument(
        file=item.published.file,
        name=item.name,
        stream=item.stream,
        version=item.version,
        id=record.id if record else None,
        state="left-out" if item.fate is Fate.LEFT_OUT else "known" if item.fate is Fate.KNOWN else "planned",
        reason=item.reason,
        not_read=[NotReadDocument(line=n.line, text=n.text, reason=n.reason) for n in notes.not_read] if notes else [],
    )
    if item.fate is Fate.NEW and agreed and record:
        # Another run may have been faster, between the plan and the writing.
        made["state"] = "imported" if record.id in written else "known"
    if notes is not None:
        made["majors"], made["packages"], made["commits"] = len(notes.majors), notes.packages, len(notes.commits)
    return made


def _fail(plan: ImportPlan, *, changed: bool) -> None:
    if not plan.failed:
        return
    files = counted(len(plan.failed), "file")
    if changed:
        raise PartlyDone(f"{files} could not be imported, the others were", hint="the reasons stand above")
    if _alone(plan):
        raise plan.failed[0]
    raise RelmanError(f"{files} could not be imported", hint="the reasons stand above")
