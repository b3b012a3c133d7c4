"""`relman changelog`: notes of two images, or of a stream's release."""

from __future__ import annotations

import click

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
from relman.model.release import Release
from relman.walk.comparing import Pair, pairs_of_images, pairs_of_release


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
        id: str | None
        if stream is not None and to is not None and since is None and not given:
            made, id, changed = _of_release(walk, stream, to, wanted, introduction)
        elif stream is not None and to is not None and since is not None and not given:
            made, id, changed = _of_jump(walk, stream, since, to, wanted, introduction)
        else:
            with working("reading what is in the images"):
                if stream is not None:
                    release, pairs = _of_stream(walk, stream, since, to, wanted)
                    walk.stand_in(given, release)
                else:
                    release, pairs = None, _of_two(walk, before or "", after or "", wanted)
                made = walk.compose(walk.inspect(pairs), release, note=introduction)
            id, changed = (release.id, release.changed) if release else (None, True)
        renderer = walk.renderer(made, id)
        write(renderer.notes(format_, limit=limit, full=full), output)
        if format_ == "markdown":
            github.summary(renderer.notes(limit=github.SUMMARY_LIMIT, measure="bytes", full=full))
        github.outputs(_outputs(made, id, changed=changed, notes_file=output))


def _of_release(
    walk: Lifecycle, name: str, version: str, platforms: tuple[Platform, ...], note: str | None
) -> tuple[Changelog, str, bool]:
    """A release of before: of its images; as it is recorded where it was imported, or where they are gone."""
    stream = walk.config.stream(name)
    kept = walk.recorded(stream, version)
    if kept is None or kept[0].imported is None:
        try:
            with working("reading what is in the images"):
                release, pairs = _of_stream(walk, name, None, version, platforms)
                return walk.compose(walk.inspect(pairs), release, note=note), release.id, release.changed
        except NotFound as error:
            if kept is None:
                raise
            say(f"note: {error.message}: these are the notes as they were recorded")
    record, made = kept
    if note or platforms:
        option = "--note" if note else "--platform"
        raise UsageError(f"`{option}` cannot change `{record.version}`: its notes are shown as they are recorded")
    return made, record.id, True


def _of_jump(
    walk: Lifecycle, name: str, since: str, to: str, platforms: tuple[Platform, ...], note: str | None
) -> tuple[Changelog, str, bool]:
    """From one release of before to another: of their images; where they are gone, of the releases in between."""
    try:
        with working("reading what is in the images"):
            release, pairs = _of_stream(walk, name, since, to, platforms)
            return walk.compose(walk.inspect(pairs), release, note=note), release.id, release.changed
    except NotFound as error:
        joined = None if note or platforms else walk.joined(walk.config.stream(name), since, to)
        if joined is None:
            raise
        say(f"note: {error.message}: these are the notes of the releases in between, joined")
    record, made = joined
    return made, record.id, True


def _of_stream(
    walk: Lifecycle, name: str, since: str | None, to: str | None, platforms: tuple[Platform, ...]
) -> tuple[Release, tuple[Pair, ...]]:
    stream = walk.config.stream(name)
    release = walk.published(stream, to, since=since) if to else walk.resolve(stream, since=since)
    for sentence in release.assumed:
        say(f"note: {sentence}")
    return release, pairs_of_release(release, platforms)


def _of_two(walk: Lifecycle, before: str, after: str, platforms: tuple[Platform, ...]) -> tuple[Pair, ...]:
    one, two = walk.look(image(before, walk)), walk.look(image(after, walk))
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
