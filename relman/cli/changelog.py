"""`relman changelog`: notes of two images, or of a stream's release."""

from __future__ import annotations

import click

from relman.cli import github
from relman.cli.app import image, lifecycle, say
from relman.cli.diff import parse_platforms
from relman.cli.options import common_options, format_option
from relman.cli.output import read_note, write
from relman.errors import UsageError
from relman.model.changelog import Changelog
from relman.model.release import Release
from relman.walk.comparing import pairs_of_images, pairs_of_release
from relman.walk.resolve import holds_exactly


@click.command()
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option("--stream", metavar="S", help="The release that a stream would make now.")
@click.option("--from", "since", metavar="V", help="With --stream: another predecessor, by its version.")
@click.option("--to", metavar="V", help="With --stream: a release that it made before.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Which platform; may be repeated.")
@click.option("--note", metavar="FILE", help="A handwritten introduction in Markdown; `-` for stdin.")
@click.option("-o", "--output", metavar="FILE", help="Write there instead of to stdout.")
@format_option("markdown", "classic", "html", "text", "json", default="markdown")
@common_options
def changelog(
    before: str | None,
    after: str | None,
    stream: str | None,
    since: str | None,
    to: str | None,
    platforms: tuple[str, ...],
    note: str | None,
    output: str | None,
    format_: str,
) -> None:
    """Write the notes of what changed from BEFORE to AFTER, or in a stream."""
    if (stream is None) == (before is None or after is None):
        raise UsageError("give two images, or `--stream`", hint="`relman changelog --stream stable`")
    if stream is None and (since or to):
        raise UsageError("`--from` and `--to` go with `--stream`")
    introduction = read_note(note)
    wanted = parse_platforms(platforms)
    release: Release | None = None
    with lifecycle(needs_config=stream is not None) as walk:
        if stream is not None:
            which = walk.config.stream(stream)
            release = walk.published(which, to, since=since) if to else walk.resolve(which, since=since)
            pairs = pairs_of_release(release, wanted)
            for sentence in release.assumed:
                say(f"note: {sentence}")
        else:
            one, two = walk.look(image(before or "", walk)), walk.look(image(after or "", walk))
            pairs = pairs_of_images(one, two, wanted or walk.config.platforms)
        compared = walk.inspect(pairs)
        made = walk.compose(compared, release, note=introduction)
        renderer = walk.renderer(made, release.id if release else None)
        last = next((r for r in walk.ledger.records(stream) if r.state == "finished"), None) if stream else None
        changed = last is None or release is None or not holds_exactly(last, release.candidates)
        write(renderer.notes(format_), output)
        if format_ == "markdown":
            github.summary(renderer.notes("markdown"))
        github.outputs(_outputs(made, release, changed=changed, notes_file=output))


def _outputs(made: Changelog, release: Release | None, *, changed: bool, notes_file: str | None) -> dict[str, str]:
    import json

    digests = {variant.name: variant.digest for variant in made.variants}
    values = {
        "title": made.title,
        "version": made.version or "",
        "previous": made.previous or "",
        "changed": "true" if changed else "false",
        "digests": json.dumps(digests, separators=(",", ":")),
    }
    if release:
        values["release-id"] = release.id
    if notes_file and notes_file != "-":
        values["notes-file"] = notes_file
    return values
