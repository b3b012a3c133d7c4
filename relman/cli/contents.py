"""`relman contents`: the packages inside an image, and relman's own list of them attached to it or put into it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import click

from relman.cli.app import image, lifecycle
from relman.cli.diff import parse_platforms
from relman.cli.lists import embed, publish
from relman.cli.options import common_options, format_option
from relman.cli.output import table, write
from relman.documents.lists import packages_document
from relman.errors import NotFound, UsageError
from relman.lifecycle import Lifecycle
from relman.model.contents import Contents
from relman.model.oci import LINUX_AMD64, Platform, Reference, Transport, parse_repository

_FILES = (Transport.SBOM, Transport.RPMDB)


@click.command()
@click.argument("image_name", metavar="IMAGE")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Which platform.")
@click.option("--publish", "publishes", is_flag=True, help="Attach relman's compact list to every platform of IMAGE.")
@click.option("--to", metavar="REFERENCE", help="With --publish: attach to this copy of IMAGE, in a registry.")
@click.option("--embed", "embeds", is_flag=True, help="Make an image with the list in one more layer; IMAGE stays.")
@click.option("--tag", metavar="TAG", help="With --embed: let this tag point at the new image.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("-o", "--output", metavar="FILE", help="Write there instead of to stdout.")
@format_option("text", "json")
@common_options
def contents(
    image_name: str,
    platforms: tuple[str, ...],
    publishes: bool,
    to: str | None,
    embeds: bool,
    tag: str | None,
    yes: bool,
    output: str | None,
    format_: str,
) -> None:
    """List the packages inside IMAGE (an image, `sbom:FILE`, or `containers-storage:IMAGE` of podman and buildah).

    With --publish or --embed, leave that list where relman finds it at once the next time: it is read from the package
    database or from what else the image has, never from such a list itself.
    """
    _check_usage(publishes, embeds, to, tag, output)
    wanted = parse_platforms(platforms)
    with lifecycle(needs_config=False) as walk:
        given = image(image_name, walk)
        if given.repository.transport is Transport.CONTAINERS_STORAGE:
            _check_storage(publishes, embeds, to)
        with _in_reach(given) as reference:
            if publishes:
                publish(walk, reference, image(to, walk) if to else None, wanted, yes=yes, format_=format_)
                return
            if embeds:
                embed(walk, reference, wanted, tag, yes=yes, format_=format_)
                return
            looked, found = _read(walk, reference, wanted)
    shown = str(looked if reference == given else given)
    if format_ == "json":
        write(json.dumps(packages_document(shown, found), ensure_ascii=False, indent=2), output)
    else:
        write(table([(p.name, p.version, p.arch or "", p.source or "") for p in found.packages]), output)


def _check_usage(publishes: bool, embeds: bool, to: str | None, tag: str | None, output: str | None) -> None:
    if publishes and embeds:
        raise UsageError("`--publish` attaches to an image, `--embed` makes another one: give one of them")
    if to and not publishes:
        raise UsageError("`--to` goes with `--publish`")
    if tag and not embeds:
        raise UsageError("`--tag` goes with `--embed`")
    if output and (publishes or embeds):
        raise UsageError("`-o` is for the list itself: leave out `--publish` and `--embed`")


def _check_storage(publishes: bool, embeds: bool, to: str | None) -> None:
    if embeds:
        raise UsageError(
            "an image in containers-storage cannot be written to",
            hint="copy it first: `skopeo copy containers-storage:IMAGE oci:FOLDER:TAG`",
        )
    if publishes and not to:
        raise UsageError("nothing can be attached in containers-storage", hint="say where it was pushed: `--to`")


@contextmanager
def _in_reach(reference: Reference) -> Iterator[Reference]:
    """The image where relman can read it: what lies in containers-storage is copied out for the while, by skopeo."""
    if reference.repository.transport is not Transport.CONTAINERS_STORAGE:
        yield reference
        return
    from relman.registry import skopeo

    with tempfile.TemporaryDirectory(prefix="relman-") as folder:
        layout = parse_repository(f"oci:{folder}/image")
        skopeo.export(reference, layout, "image")
        yield layout.tag("image")


def _read(walk: Lifecycle, reference: Reference, wanted: tuple[Platform, ...]) -> tuple[Reference, Contents]:
    if reference.repository.transport in _FILES:
        return reference, walk.instruments.comparer.inspector.contents(reference, None)
    looked = walk.instruments.look(reference)
    platform = wanted[0] if wanted else LINUX_AMD64
    part = looked.on(platform) or (None if wanted else looked.platforms[0])
    if part is None:
        there = ", ".join(str(p.platform) for p in looked.platforms)
        raise NotFound(f"`{looked.reference}` is not there for {platform}", hint=f"it is for {there}")
    return looked.reference, walk.instruments.comparer.inspector.contents(looked.reference, part)
