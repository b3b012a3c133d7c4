"""`relman diff`: what changed between two images, or from the predecessor to the candidate of a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import click

from relman.cli.app import image, lifecycle, say, working
from relman.cli.difference import difference, passed_over
from relman.cli.options import common_options, format_option, settings
from relman.cli.output import document
from relman.cli.sboms import parse_sboms, sbom_option
from relman.documents.diff import Detail, detail_notes, diff_document, diffs_document
from relman.errors import UsageError
from relman.lifecycle import Lifecycle
from relman.model.contents import Capability
from relman.model.details import DiffDetails
from relman.model.diff import Diff
from relman.model.oci import Platform, Transport
from relman.walk.comparing import Comparer, Place, pairs_of_images, pairs_of_release
from relman.walk.given import GivenSbom
from relman.walk.parallel import in_background, in_parallel

_FILES = (Transport.SBOM, Transport.RPMDB)
_NEEDS: Mapping[Detail, Capability] = {
    "changelogs": Capability.CHANGELOG,
    "security": Capability.CHANGELOG,
    "files": Capability.FILES,
}
Compared = tuple[Diff, DiffDetails | None]


@click.command()
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option("--stream", metavar="S", help="Each variant of a stream: the predecessor against the candidate.")
@click.option("--from", "since", metavar="V", help="With --stream: another predecessor, by its version.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Which platform; may be repeated.")
@click.option("--changelogs", is_flag=True, help="Also the new entries of the packages' own changelogs.")
@click.option("--security", is_flag=True, help="Also the CVE ids that those entries name.")
@click.option("--files", is_flag=True, help="Also the packaged files whose content changed.")
@sbom_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 where nothing changed.")
@format_option("text", "json")
@common_options
def diff(
    before: str | None,
    after: str | None,
    stream: str | None,
    since: str | None,
    platforms: tuple[str, ...],
    changelogs: bool,
    security: bool,
    files: bool,
    sboms: tuple[str, ...],
    detailed_exitcode: bool,
    format_: str,
) -> int:
    """Say exactly which packages changed from BEFORE to AFTER, or in a stream.

    BEFORE and AFTER are images (`ghcr.io/ublue-os/bluefin:stable-20250525`, `oci:FOLDER:TAG`, either with `@DIGEST`),
    SBOMs in files (`sbom:FILE`) or package databases (`rpmdb:FILE-OR-FOLDER`).

    What --changelogs, --security and --files tell, only package databases know: with one of these, they are read
    before any other source, for the packages as well.
    """
    if (stream is None and after is None) or (stream is not None and before is not None):
        raise UsageError("give two images, or `--stream`", hint="`relman diff BEFORE AFTER`")
    if stream is None and sboms:
        raise UsageError("`--sbom` goes with `--stream`", hint="of two images, give `sbom:FILE` in place of one")
    wanted, given = parse_platforms(platforms), parse_sboms(sboms)
    flags: Mapping[Detail, bool] = {"changelogs": changelogs, "security": security, "files": files}
    asked = [detail for detail, flag in flags.items() if flag]
    with lifecycle(needs_config=stream is not None) as walk, working("reading what is in the images"):
        needs = frozenset(_NEEDS[detail] for detail in asked)
        comparer = in_background(lambda: walk.instruments.comparer_of(needs, richest=True))
        if stream is not None:
            found = _of_stream(walk, comparer, stream, since, wanted, given)
        else:
            found = _of_two(walk, comparer(), before or "", after or "", wanted)
    for one, details in found:
        if settings().verbose or detail_notes(details, asked):
            for line in passed_over(one):
                say(f"note: {line}")
    if format_ == "json":
        documents = [diff_document(one, details, asked) for one, details in found]
        single = stream is None and len(documents) == 1
        document(documents[0] if single else diffs_document(documents))
    else:
        texts = [difference(one, details, asked) for one, details in found]
        click.echo("\n\n".join(texts) or "nothing to compare with")
    return 3 if detailed_exitcode and not any(d.changes or d.keys_added or d.keys_removed for d, _ in found) else 0


def parse_platforms(texts: Sequence[str]) -> tuple[Platform, ...]:
    """The platforms of `--platform`. Raises `UsageError`."""
    try:
        return tuple(map(Platform.parse, texts))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _of_stream(
    walk: Lifecycle,
    comparer: Callable[[], Comparer],
    name: str,
    since: str | None,
    platforms: tuple[Platform, ...],
    given: tuple[GivenSbom, ...],
) -> tuple[Compared, ...]:
    ahead = None if given else walk.ahead(comparer, platforms)
    release = walk.resolve(walk.config.stream(name), since=since, ahead=ahead)
    for sentence in release.assumed:
        say(f"note: {sentence}")
    walk.stand_in(given, release, comparer())
    pairs = pairs_of_release(release, platforms)
    return tuple((one.diff, one.details) for one in comparer().compare(pairs) if one.diff)


def _of_two(
    walk: Lifecycle, comparer: Comparer, before: str, after: str, platforms: tuple[Platform, ...]
) -> tuple[Compared, ...]:
    one, two = image(before, walk), image(after, walk)
    files = [reference for reference in (one, two) if reference.repository.transport in _FILES]
    if not files:
        wanted = platforms or walk.config.platforms
        earlier, later = in_parallel(walk.instruments.look, (one, two))
        pairs = pairs_of_images(earlier, later, wanted)
        return tuple((compared.diff, compared.details) for compared in comparer.compare(pairs) if compared.diff)
    if len(platforms) > 1:
        raise UsageError(f"`{files[0]}` is a list of one platform's packages", hint="give one `--platform`")
    sides: list[Place] = []
    for reference in (one, two):
        if reference in files:
            sides.append((reference, None))
        else:
            found = walk.instruments.look(reference)
            part = found.on(platforms[0]) if platforms else found.platforms[0]
            if part is None or (not platforms and len(found.platforms) > 1):
                there = ", ".join(str(p.platform) for p in found.platforms)
                raise UsageError(f"`{reference}` is there for {there}", hint="say which with `--platform`")
            sides.append((found.reference, part))
    return (comparer.diff(sides[0], sides[1]),)
