"""A diff for people: the packages, and what was asked for beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import click

from relman.cli.output import counted, printable, table
from relman.documents.diff import Detail, detail_notes, entry_time
from relman.model.changelog import Fix, folded_fixes
from relman.model.details import ChangedFile, DiffDetails, SourceEntries
from relman.model.diff import Diff, Side

_SYMBOLS = {
    "added": "+",
    "removed": "-",
    "upgraded": "↑",
    "downgraded": "↓",
    "rebuilt": "=",
    "renamed": "→",
    "changed": "~",
}
_NAMES = 4
_IDS = 12


def passed_over(diff: Diff) -> Iterator[str]:
    """Which sources did not serve, and why: a line each."""
    name = f"{diff.variant} " if diff.variant else ""
    platform = f"({diff.platform}) " if diff.platform else ""
    for place, side in (("before", diff.before), ("after", diff.after)):
        yield from (f"{name}{platform}{place}: not from {printable(why)}" for why in side.passed_over)


def difference(diff: Diff, details: DiffDetails | None, asked: Collection[Detail]) -> str:
    """The text of one diff, with what was ``asked`` for beside the packages."""
    title = " ".join(part for part in (diff.variant, f"({diff.platform})" if diff.platform else None) if part)
    lines = [click.style(title, bold=True)] if title else []
    for place, side in (("before", diff.before), ("after ", diff.after)):
        lines.append(f"  {place}  {_side(side)}")
    lines += [f"  note    {printable(note)}" for note in (*diff.notes, *detail_notes(details, asked))]
    counts = ", ".join(f"{count} {kind}" for kind, count in diff.summary.items() if count)
    lines.append(f"  {counts or 'no package changed'}")
    rows = []
    for change in diff.changes:
        name = change.name if change.name_before is None else f"{change.name_before} → {change.name}"
        arch = change.arch or ""
        arch = arch if change.arch_before is None else f"{change.arch_before} → {arch}"
        rows.append(
            (_SYMBOLS[change.kind], change.kind, name, arch, ", ".join(change.before), "→", ", ".join(change.after))
        )
    if rows:
        lines += ["", table(rows, indent="  ")]
    for sign, keys in (("+", diff.keys_added), ("-", diff.keys_removed)):
        lines += [f"  {sign} trusted key {key}" for key in keys]
    told = details or DiffDetails()
    if "security" in asked:
        lines += ["", *_security(told.security)]
    if "changelogs" in asked:
        lines += ["", *_changelogs(told.changelogs)]
    if "files" in asked:
        lines += ["", *_files(told.files)]
    return "\n".join(lines)


def _side(side: Side) -> str:
    reference, _, digest = side.reference.partition("@")
    short = f"@{side.digest.short}" if digest and side.digest else ""
    version = f"{side.version}  " if side.version else ""
    return f"{version}{reference}{short}  {side.packages:,} packages ({side.source})"


def _heading(what: str, rest: str) -> str:
    return f"  {click.style(what, bold=True)}: {rest}"


def _security(fixes: Sequence[Fix] | None) -> Iterator[str]:
    if fixes is None:
        yield _heading("security fixes", "not known")
        return
    if not fixes:
        yield _heading("security fixes", "the packages' changelogs name none")
        return
    yield _heading("security fixes", f"{len(fixes):,}, by the packages' own changelogs")
    for group in folded_fixes(fixes):
        more = f" and {len(group.ids) - _IDS} more" if len(group.ids) > _IDS else ""
        yield f"    {', '.join(group.ids[:_IDS])}{more}  {_names(group.packages)}"
        if group.text:
            yield f"      {printable(group.text)}"


def _changelogs(sources: Sequence[SourceEntries] | None) -> Iterator[str]:
    if sources is None:
        yield _heading("changelogs", "not known")
        return
    if not sources:
        yield _heading("changelogs", "no new entries")
        return
    entries = sum(len(one.entries) for one in sources)
    many = "entry" if entries == 1 else "entries"
    yield _heading("changelogs", f"{entries:,} new {many} of {counted(len(sources), 'source package')}")
    for one in sources:
        also = f"  ({_names(one.packages)})" if one.packages != (one.source,) else ""
        yield f"    {click.style(printable(one.source), bold=True)}{also}"
        for entry in one.entries:
            yield f"      {entry_time(entry)[:10]}  {printable(entry.author)}"
            yield from (f"        {printable(line.expandtabs())}".rstrip() for line in entry.text.splitlines())


def _files(files: Sequence[ChangedFile] | None) -> Iterator[str]:
    if files is None:
        yield _heading("files", "not known")
        return
    if not files:
        yield _heading("files", "no packaged file changed")
        return
    config = sum(file.config for file in files)
    yield _heading("files", f"{len(files):,} changed, {config:,} of them configuration")
    yield from (f"    {printable(file.path)}{'  configuration' if file.config else ''}" for file in files)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:_NAMES]))
    return f"{shown} and {len(names) - _NAMES} more" if len(names) > _NAMES else shown
