"""Which published releases become records, and which do not; decided before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec.structs import replace

from relman.config import Config
from relman.documents.changelog import changelog_bytes
from relman.documents.reading import printable
from relman.errors import ConfigError, Malformed, RelmanError
from relman.imports.changelogs import changelog_of
from relman.imports.classic import read_notes
from relman.imports.files import read_file
from relman.imports.html import read_html
from relman.imports.markdown import read_markdown
from relman.imports.notes import Notes
from relman.imports.published import Origin, Published, tag_of_title
from relman.ledger.layout import safe_name
from relman.model.changelog import Changelog
from relman.model.record import Imported, Record, RecordedVariant, RecordState
from relman.model.release import imported_id
from relman.model.streams import Stream, Version


class Fate(StrEnum):
    """What becomes of a published release: taken in; there already; or left out, for a reason."""

    NEW = "new"
    KNOWN = "known"
    LEFT_OUT = "left-out"


class Item(msgspec.Struct, frozen=True):
    """A published release and what becomes of it. ``notes`` are `None` where it was not looked into."""

    published: Published
    fate: Fate
    reason: str | None = None
    stream: str | None = None
    version: str | None = None
    notes: Notes | None = None
    record: Record | None = None
    changelog: Changelog | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return printable(self.version) if self.version else self.published.name


class ImportPlan(msgspec.Struct, frozen=True):
    """Everything that an import would do, and the files that hold nothing to import."""

    items: tuple[Item, ...]
    failed: tuple[RelmanError, ...]

    @property
    def new(self) -> tuple[Item, ...]:
        """Those that would be written."""
        return tuple(item for item in self.items if item.fate is Fate.NEW)

    def documents(self) -> list[tuple[Record, bytes]]:
        """What would be written: each record with the bytes of its changelog."""
        return [(i.record, changelog_bytes(i.changelog)) for i in self.new if i.record and i.changelog]


class _LeftOut(Exception):  # a reason, caught in this module
    """A release that is not imported; its text says why."""


def plan_import(
    paths: Iterable[Path], config: Config, records: Sequence[Record], *, stream: str | None = None
) -> ImportPlan:
    """What importing ``paths`` would do, beside the ``records`` that are there. ``stream`` is that of all of them.

    A file that cannot be read, or holds no release notes at all, is among ``failed``; it stops none of the others.
    """
    if not config.variants:
        raise ConfigError(f"{config.where} names no variants", hint="releases are made of them: add `[[variants]]`")
    items: list[Item] = []
    failed: list[RelmanError] = []
    for path in paths:
        try:
            found = [_item(published, config, stream) for published in read_file(path)]
        except RelmanError as error:
            failed.append(error)
            continue
        if all(item.fate is Fate.LEFT_OUT for item in found):
            reasons = dict.fromkeys(item.reason or "" for item in found)
            failed.append(Malformed(f"`{path}` holds no release to import: {'; '.join(list(reasons)[:3])}"))
        if len(found) > 1 or found[0].fate is not Fate.LEFT_OUT:
            items += found
    return ImportPlan(_chained(_once(items, records), records), tuple(failed))


# ------------------------------------------------------------------------------------------------------ one release


def _item(published: Published, config: Config, wanted: str | None) -> Item:
    notes: Notes | None = None
    version = published.tag
    try:
        if published.refused:
            raise _LeftOut(published.refused)
        notes = _notes(published)
        if not notes.found:
            raise _LeftOut("it has nothing of the classic format of release notes")
        version = published.tag or notes.version or tag_of_title(published.title)
        if version is None:
            raise _LeftOut("neither it nor its text says which version it is")
        try:
            safe_name(version, "a version")
        except Malformed as error:
            raise _LeftOut(error.message) from error
        stream, read = _stream(version, notes, config, wanted)
        at = published.at or (datetime.combine(read.date, time(), UTC) if read else None)
        if at is None:
            raise _LeftOut("nothing says when it was published")
    except _LeftOut as reason:
        return Item(published, Fate.LEFT_OUT, str(reason), version=version, notes=notes)
    changelog = changelog_of(notes, published, config, stream=stream.name, version=version, read=read)
    record = _record(published, changelog, config, stream, at, len(notes.not_read))
    return Item(published, Fate.NEW, None, stream.name, version, notes, record, changelog)


def _notes(published: Published) -> Notes:
    try:
        notes = read_notes((read_html if published.html else read_markdown)(published.body))
    except Malformed as error:
        raise _LeftOut(error.message) from error
    if not published.line:
        return notes
    moved = tuple(replace(each, line=each.line + published.line) for each in notes.not_read)
    return replace(notes, not_read=moved)


def _stream(version: str, notes: Notes, config: Config, wanted: str | None) -> tuple[Stream, Version | None]:
    """The stream whose patterns read the version; where several do, the one that the notes name."""
    if wanted is not None:
        stream = config.stream(wanted)
        return stream, _read(stream, version, config)
    found = [(stream, read) for stream in config.streams.values() if (read := _read(stream, version, config))]
    named = [pair for pair in found if pair[0].name == notes.stream]
    if len(found) > 1 and len(named) != 1:
        names = "`, `".join(stream.name for stream, _ in found)
        raise _LeftOut(f"the streams `{names}` all read `{version}`: say which with `--stream`")
    if not found:
        raise _LeftOut(f"no stream of {config.where} reads `{version}` as a version (`--stream` names one)")
    return named[0] if named else found[0]


def _read(stream: Stream, version: str, config: Config) -> Version | None:
    return next((read for variant in config.variants if (read := stream.read(version, variant))), None)


def _record(
    published: Published, changelog: Changelog, config: Config, stream: Stream, at: datetime, not_read: int
) -> Record:
    version = changelog.version or ""
    revision = changelog.variants[0].revision
    return Record(
        id=imported_id(config.project, stream.name, version),
        project=config.project,
        stream=stream.name,
        version=version,
        previous=None,
        state=RecordState.FINISHED,
        created=at,
        finished=at,
        plan=None,
        variants=tuple(
            RecordedVariant(
                name=variant.name,
                reference=str(config.place(variant, stream).repository) if stream.prefix or config.prefix else "",
                digest=None,
                previous_digest=None,
                platforms=config.platforms_of(variant),
                revision=revision,
            )
            for variant in config.variants
        ),
        imported=Imported(
            origin=published.origin,
            file=Path(published.file).name,
            url=published.url if published.origin is not Origin.MARKDOWN else None,
            sha256=published.sha256,
            not_read=not_read,
        ),
    )


# ----------------------------------------------------------------------------------------------------- all of them


def _once(items: Sequence[Item], records: Sequence[Record]) -> list[Item]:
    """Each version once: what the ledger has stays as it is, and of two texts the first is taken."""
    there: Mapping[tuple[str, str], Record] = {(record.stream, record.version): record for record in records}
    first: dict[tuple[str | None, str | None], Item] = {}
    settled: list[Item] = []
    for item in items:
        if item.fate is not Fate.NEW or item.record is None:
            settled.append(item)
            continue
        key = (item.record.stream, item.record.version)
        if record := there.get(key):
            same = record.imported is not None and record.imported.sha256 == item.published.sha256
            made = "imported from another text" if record.imported else f"a record of its own, `{record.id}`"
            settled.append(replace(item, fate=Fate.KNOWN, reason=None if same else f"the ledger has {made}"))
        elif earlier := first.get(key):
            same = earlier.published.sha256 == item.published.sha256
            where = f"`{earlier.published.file}`"
            reason = f"read from {where} already" if same else f"read from {where} already, where its text is another"
            settled.append(replace(item, fate=Fate.KNOWN, reason=reason))
        else:
            first[key] = item
            settled.append(item)
    return settled


def _chained(items: Sequence[Item], records: Sequence[Record]) -> tuple[Item, ...]:
    """Each new record with the id of the release that its notes name as the one before, where that is known."""
    ids = {(record.stream, record.version): record.id for record in records}
    for item in items:
        if item.fate is Fate.NEW and item.record:
            ids.setdefault((item.record.stream, item.record.version), item.record.id)

    def chained(item: Item) -> Item:
        if item.fate is not Fate.NEW or item.record is None or item.notes is None:
            return item
        before = ids.get((item.record.stream, item.notes.previous or ""))
        return replace(item, record=replace(item.record, previous=before if before != item.record.id else None))

    return tuple(chained(item) for item in items)
