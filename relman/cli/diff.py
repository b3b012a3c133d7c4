"""`relman diff`: what changed between two images, or from the predecessor to the candidate of a stream."""

from __future__ import annotations

from collections.abc import Sequence

import click

from relman.cli.app import image, lifecycle, say, working
from relman.cli.options import common_options, format_option
from relman.cli.output import document, table
from relman.documents.diff import diff_document, diffs_document
from relman.errors import UsageError
from relman.lifecycle import Lifecycle
from relman.model.diff import Diff, Side
from relman.model.oci import Platform, Transport
from relman.walk.comparing import Place, pairs_of_images, pairs_of_release

_FILES = (Transport.SBOM, Transport.RPMDB)


@click.command()
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option("--stream", metavar="S", help="Each variant of a stream: the predecessor against the candidate.")
@click.option("--from", "since", metavar="V", help="With --stream: another predecessor, by its version.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Which platform; may be repeated.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 where nothing changed.")
@format_option("text", "json")
@common_options
def diff(
    before: str | None,
    after: str | None,
    stream: str | None,
    since: str | None,
    platforms: tuple[str, ...],
    detailed_exitcode: bool,
    format_: str,
) -> int:
    """Say exactly which packages changed from BEFORE to AFTER, or in a stream.

    BEFORE and AFTER are images (`ghcr.io/ublue-os/bluefin:stable-20250525`, `oci:FOLDER:TAG`, either with `@DIGEST`)
    or SBOMs in files (`sbom:FILE`).
    """
    if (stream is None and after is None) or (stream is not None and before is not None):
        raise UsageError("give two images, or `--stream`", hint="`relman diff BEFORE AFTER`")
    wanted = parse_platforms(platforms)
    with lifecycle(needs_config=stream is not None) as walk, working("reading what is in the images"):
        if stream is not None:
            diffs = _of_stream(walk, stream, since, wanted)
        else:
            diffs = _of_two(walk, before or "", after or "", wanted)
    if format_ == "json":
        one = stream is None and len(diffs) == 1
        document(diff_document(diffs[0]) if one else diffs_document(diffs))
    else:
        click.echo("\n\n".join(map(_text, diffs)) or "nothing to compare with")
    return 3 if detailed_exitcode and not any(d.changes or d.keys_added or d.keys_removed for d in diffs) else 0


def parse_platforms(texts: Sequence[str]) -> tuple[Platform, ...]:
    """The platforms of `--platform`. Raises `UsageError`."""
    try:
        return tuple(map(Platform.parse, texts))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _of_stream(walk: Lifecycle, name: str, since: str | None, platforms: tuple[Platform, ...]) -> tuple[Diff, ...]:
    release = walk.resolve(walk.config.stream(name), since=since)
    for sentence in release.assumed:
        say(f"note: {sentence}")
    return tuple(one.diff for one in walk.inspect(pairs_of_release(release, platforms)) if one.diff)


def _of_two(walk: Lifecycle, before: str, after: str, platforms: tuple[Platform, ...]) -> tuple[Diff, ...]:
    one, two = image(before, walk), image(after, walk)
    files = [reference for reference in (one, two) if reference.repository.transport in _FILES]
    if not files:
        wanted = platforms or walk.config.platforms
        pairs = pairs_of_images(walk.look(one), walk.look(two), wanted)
        return tuple(compared.diff for compared in walk.inspect(pairs) if compared.diff)
    if len(platforms) > 1:
        raise UsageError(f"`{files[0]}` is a list of one platform's packages", hint="give one `--platform`")
    sides: list[Place] = []
    for reference in (one, two):
        if reference in files:
            sides.append((reference, None))
        else:
            found = walk.look(reference)
            part = found.on(platforms[0]) if platforms else found.platforms[0]
            if part is None or (not platforms and len(found.platforms) > 1):
                there = ", ".join(str(p.platform) for p in found.platforms)
                raise UsageError(f"`{reference}` is there for {there}", hint="say which with `--platform`")
            sides.append((found.reference, part))
    return (walk.comparer.diff(sides[0], sides[1]),)


_SYMBOLS = {
    "added": "+",
    "removed": "-",
    "upgraded": "↑",
    "downgraded": "↓",
    "rebuilt": "=",
    "renamed": "→",
    "changed": "~",
}


def _text(diff: Diff) -> str:
    title = " ".join(part for part in (diff.variant, f"({diff.platform})" if diff.platform else None) if part)
    lines = [click.style(title, bold=True)] if title else []
    lines += [f"  before  {_side(diff.before)}", f"  after   {_side(diff.after)}"]
    lines += [f"  note    {note}" for note in diff.notes]
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
    return "\n".join(lines)


def _side(side: Side) -> str:
    reference, _, digest = side.reference.partition("@")
    short = f"@{side.digest.short}" if digest and side.digest else ""
    version = f"{side.version}  " if side.version else ""
    return f"{version}{reference}{short}  {side.packages:,} packages ({side.source})"
