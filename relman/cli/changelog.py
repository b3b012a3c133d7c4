"""`relman changelog`: notes of two images, or of a stream's release."""

from __future__ import annotations

import click
import msgspec
from msgspec.structs import replace

from relman.cli import github
from relman.cli.app import image, lifecycle, say, working
from relman.cli.diff import parse_platforms
from relman.cli.options import common_options, format_option
from relman.cli.output import read_note, write
from relman.cli.sboms import parse_sboms, sbom_option
from relman.errors import NotFound, UsageError
from relman.lifecycle import Lifecycle
from relman.model.changelog import Changelog
from relman.model.oci import Platform
from relman.model.record import Record
from relman.model.streams import Stream
from relman.render.banner import with_banner
from relman.walk.comparing import Pair, pairs_of_images, pairs_of_release
from relman.walk.given import GivenSbom
from relman.walk.joining import join
from relman.walk.recorded import recorded, steps_between


@click.command()
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option("--stream", metavar="S", help="The release that a stream would make now.")
@click.option("--from", "since", metavar="V", help="With --stream: another predecessor, by its version.")
@click.option("--to", metavar="V", help="With --stream: a release that it made before.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Which platform; may be repeated.")
@sbom_option
@click.option("--note", metavar="FILE", help="A handwritten introduction in Markdown; `-` for stdin.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Leave parts out until it has N characters.")
@click.option("--full", metavar="URL", help="With --limit: where the whole text is.")
@click.option("-o", "--output", metavar="FILE", help="Write there instead of to stdout.")
@format_option("markdown", "classic", "html", "text", "bbcode", "json", default="markdown")
@common_options
def changelog(
    before: str | None,
    after: str | None,
    stream: str | None,
    since: str | None,
    to: str | None,
    platforms: tuple[str, ...],
    sboms: tuple[str, ...],
    note: str | None,
    limit: int | None,
    full: str | None,
    output: str | None,
    format_: str,
) -> None:
    """Write the notes of what changed from BEFORE to AFTER, or in a stream."""
    if (stream is None and after is None) or (stream is not None and before is not None):
        raise UsageError("give two images, or `--stream`", hint="`relman changelog --stream stable`")
    if stream is None and (since or to or sboms):
        raise UsageError("`--from`, `--to` and `--sbom` go with `--stream`")
    introduction = read_note(note)
    wanted, given = parse_platforms(platforms), parse_sboms(sboms)
    with lifecycle(needs_config=stream is not None) as walk:
        if stream is None:
            with working("reading what is in the images"):
                made = walk.compose(walk.inspect(_of_two(walk, before or "", after or "", wanted)), note=introduction)
            id, changed = None, True
        else:
            asked = _Asked(since, to, wanted, introduction, given)
            made, id, changed = _of_stream(walk, walk.config.stream(stream), asked)
        renderer = walk.instruments.renderer(made, id)
        notes = renderer.notes(format_, limit=limit, full=full)
        write(_with_banner(walk, id if to else None, notes, format_), output)
        if format_ == "markdown":
            summary = renderer.notes(limit=github.SUMMARY_LIMIT, measure="bytes", full=full)
            github.summary(_with_banner(walk, id if to else None, summary, format_))
        github.outputs(_outputs(made, id, changed=changed, notes_file=output))


class _Asked(msgspec.Struct, frozen=True):
    """What was asked of a stream's notes: from where, up to which release, on which platforms, and with what."""

    since: str | None
    to: str | None
    platforms: tuple[Platform, ...]
    note: str | None
    given: tuple[GivenSbom, ...]


_Made = tuple[Changelog, str | None, bool]
"""A changelog, the id of its release, and whether that would change anything."""


def _of_stream(walk: Lifecycle, stream: Stream, asked: _Asked) -> _Made:
    """From the images where they are there, else from the notes on record, joined where it takes several."""
    kept = recorded(walk.ledger, stream.name, asked.to) if asked.to else None
    lost = "it was published before relman, and imported"
    if kept is None or kept[0].imported is None:
        try:
            return _of_images(walk, stream, asked)
        except NotFound as error:
            lost = error.message
            made = _of_records(walk, stream, asked, kept)
            if made is None:
                raise
    else:
        made = _of_records(walk, stream, asked, kept)
    if made is None:
        raise NotFound(
            f"`--from {asked.since}`: there are no notes of every release from there to `{asked.to}`",
            hint=f"`relman records` lists the releases of `{stream.name}`",
        )
    option = "--note" if asked.note else "--platform" if asked.platforms else "--sbom" if asked.given else None
    if option:
        raise UsageError(f"`{option}` cannot change notes that are shown as they were recorded ({lost})")
    joined = "of the releases in between, joined" if asked.since else "as they were recorded"
    say(f"note: {lost}: these are the notes {joined}")
    return made


def _of_images(walk: Lifecycle, stream: Stream, asked: _Asked) -> _Made:
    """Raises `NotFound` where an image is gone, or all that a jump begins with are."""
    with working("reading what is in the images"):
        if asked.to:
            release = walk.published(stream, asked.to, since=asked.since)
        else:
            comparer = walk.instruments.notes_comparer
            ahead = None if asked.given else walk.ahead(lambda: comparer, asked.platforms)
            release = walk.resolve(stream, since=asked.since, ahead=ahead)
        for sentence in release.assumed:
            say(f"note: {sentence}")
        pairs = pairs_of_release(release, asked.platforms)
        walk.stand_in(asked.given, release)
        compared = walk.inspect(pairs)
    if asked.since and not any(one.diff for one in compared):
        raise NotFound(f"the images of `{asked.since}` are gone, and so are the lists of what was in them")
    return walk.compose(compared, release, note=asked.note), release.id, release.changed


def _of_records(walk: Lifecycle, stream: Stream, asked: _Asked, kept: tuple[Record, Changelog] | None) -> _Made | None:
    """The notes of ``kept``, or those of all releases on the way to it or to what waits; `None` where some lack."""
    if asked.since is None:
        return (kept[1], kept[0].id, True) if kept else None
    steps = steps_between(walk.ledger, stream.name, asked.since, asked.to)
    if steps is None:
        return None
    id: str | None = kept[0].id if kept else None
    if asked.to is None:
        last, id, _ = _of_images(walk, stream, replace(asked, since=None))
        steps = (*steps, last)
    traits = {variant.name: variant.traits for variant in walk.config.variants}
    return join(steps, traits, walk.config.groups), id, True


def _with_banner(walk: Lifecycle, id: str | None, notes: str, format_: str) -> str:
    """The notes of a release that was yanked or rolled back say so at their top."""
    record = next((one for one in walk.ledger.records() if one.id == id), None) if id else None
    if record is None or record.withdrawn is None:
        return notes
    why = record.withdrawn
    return with_banner(notes, format_, state=record.state.replace("-", " "), at=why.at, by=why.by, reason=why.reason)


def _of_two(walk: Lifecycle, before: str, after: str, platforms: tuple[Platform, ...]) -> tuple[Pair, ...]:
    one, two = walk.instruments.look(image(before, walk)), walk.instruments.look(image(after, walk))
    return pairs_of_images(one, two, platforms or walk.config.platforms)


def _outputs(made: Changelog, id: str | None, *, changed: bool, notes_file: str | None) -> dict[str, str]:
    import json

    digests = {variant.name: variant.digest for variant in made.variants}
    values = {
        "title": made.title,
        "version": made.version or "",
        "previous": made.previous or "",
        "changed": "true" if changed else "false",
        "digests": json.dumps(digests, separators=(",", ":")),
    }
    if id:
        values["release-id"] = id
    if notes_file and notes_file != "-":
        values["notes-file"] = notes_file
    return values
