"""`relman contents --publish` and `--embed`: show what would be written, ask, write, say what came of it."""

from __future__ import annotations

import sys

import click

from relman.cli.app import say
from relman.cli.output import document, table
from relman.compact import embedding, publishing
from relman.documents.lists import AttachedDocument, EmbeddedDocument, GrownDocument, PublishedDocument
from relman.errors import NotFound, RelmanError, UsageError
from relman.lifecycle import Lifecycle
from relman.model.contents import EXACT, Contents
from relman.model.oci import Image, Platform, PlatformImage, Reference, Transport

_REGISTRIES = (Transport.DOCKER, Transport.OCI)


def publish(
    walk: Lifecycle,
    source: Reference,
    to: Reference | None,
    wanted: tuple[Platform, ...],
    *,
    yes: bool,
    format_: str,
) -> None:
    """Attach the list of each platform to the image at ``source``, or to its copy at ``to``."""
    _somebody_to_ask(yes)
    _in_a_registry(source)
    read = walk.instruments.look(source)
    target = walk.instruments.look(to) if to else read
    parts = _chosen(target, wanted)
    lists = {part.platform: _firsthand(walk, read, _twin(read, part, target)) for part in parts}
    made = publishing.publications(walk.registry, target, lists, now=walk.clock())
    rows = [
        (
            str(one.image.platform),
            one.image.manifest.digest.short,
            f"{len(one.contents.packages):,} packages ({one.contents.source})",
            f"{len(one.packed):,} bytes",
            "is attached already" if one.there else "would be attached",
        )
        for one in made
    ]
    say(f"{click.style(str(target.reference), bold=True)}\n{table(rows, indent='  ')}")
    if not all(one.there for one in made) and not _agreed(yes, "Attach?"):
        return
    digests = publishing.publish(walk.registry, target.reference.repository, made)
    if format_ == "json":
        entries = [
            AttachedDocument(
                platform=str(one.image.platform),
                digest=one.image.manifest.digest,
                list=digest,
                state="there" if one.there else "attached",
                packages=len(one.contents.packages),
                source=one.contents.source,
                bytes=len(one.packed),
            )
            for one, digest in zip(made, digests, strict=True)
        ]
        document(PublishedDocument(schema="relman.published/1", reference=str(target.reference), lists=entries))
        return
    for one, digest in zip(made, digests, strict=True):
        click.echo(f"{one.image.platform}  {digest}")


def embed(
    walk: Lifecycle, source: Reference, wanted: tuple[Platform, ...], tag: str | None, *, yes: bool, format_: str
) -> None:
    """Store the image at ``source`` once more, with its list in it; only ``tag`` is moved."""
    _somebody_to_ask(yes)
    _in_a_registry(source)
    if wanted:
        raise UsageError("`--embed` puts a list into every platform's image: leave out `--platform`")
    image = walk.instruments.look(source)
    repository = image.reference.repository
    if tag is not None:
        _check_tag(image, tag)
    lists = {part.platform: _firsthand(walk, image, part) for part in image.platforms}
    made = embedding.embedding(walk.registry, image, lists)
    rows = [
        (
            str(platform),
            f"{len(lists[platform].packages):,} packages ({lists[platform].source})",
            f"{size:,} bytes more",
        )
        for platform, size in made.added.items()
    ]
    held = walk.registry.resolve(repository.tag(tag)) if tag else None
    done = made.digest == image.digest and (tag is None or (held is not None and held.digest == made.digest))
    what = f"{image.digest.short} → {made.digest.short}" if made.digest != image.digest else "the list is in it already"
    say(f"{click.style(str(image.reference), bold=True)}\n  {what}\n{table(rows, indent='  ')}")
    if tag:
        say(f"  tag `{tag}`: {held.digest.short if held else 'not there'} → {made.digest.short}")
    if not done:
        if not _agreed(yes, "Store?"):
            return
        embedding.store(walk.registry, repository, made, tag)
    new = repository.tag(tag).at(made.digest) if tag else repository.digest(made.digest)
    if format_ == "json":
        grown = [GrownDocument(platform=str(platform), added=size) for platform, size in made.added.items()]
        document(
            EmbeddedDocument(
                schema="relman.embedded/1",
                before=str(image.reference),
                reference=str(new),
                digest=made.digest,
                tag=tag,
                platforms=grown,
            )
        )
    else:
        click.echo(str(new))


def _firsthand(walk: Lifecycle, image: Image, part: PlatformImage) -> Contents:
    found = walk.instruments.firsthand.contents(image.reference, part)
    if not found.capabilities >= EXACT:
        raise RelmanError(
            f"what `{found.source}` says of `{image.reference}` ({part.platform}) is an approximation, and no list "
            "to go by from now on",
            hint="attach an SBOM first, or let relman read the image's package database",
        )
    return found


def _twin(read: Image, part: PlatformImage, target: Image) -> PlatformImage:
    """The image that was read for one of ``target``: the same manifest, or the same layers compressed otherwise."""
    found = read.on(part.platform)
    if found and (
        found.manifest.digest == part.manifest.digest or (found.diff_ids and found.diff_ids == part.diff_ids)
    ):
        return found
    raise UsageError(
        f"`{target.reference}` ({part.platform}) is not a copy of `{read.reference}`: its layers are others",
        hint="name the reference under which this very image was pushed",
    )


def _chosen(image: Image, wanted: tuple[Platform, ...]) -> tuple[PlatformImage, ...]:
    for platform in wanted:
        if image.on(platform) is None:
            there = ", ".join(str(part.platform) for part in image.platforms)
            raise NotFound(f"`{image.reference}` is not there for {platform}", hint=f"it is for {there}")
    return tuple(part for part in image.platforms if not wanted or part.platform in wanted)


def _in_a_registry(reference: Reference) -> None:
    if reference.repository.transport not in _REGISTRIES:
        raise UsageError(f"`{reference}` is a list of contents, not an image to which one could be added")


def _check_tag(image: Image, tag: str) -> None:
    try:
        image.reference.repository.tag(tag)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _somebody_to_ask(yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise UsageError("there is nobody to ask", hint="give `--yes`")


def _agreed(yes: bool, question: str) -> bool:
    if yes or click.confirm(f"\n{question}", default=False, err=True):
        return True
    say("nothing was changed")
    return False
