"""`relman tags`: what each tag of a repository is to the streams, and why nothing reads the others."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from relman.cli.app import image, lifecycle, working
from relman.cli.options import common_options, format_option
from relman.cli.output import counted, document, table
from relman.documents.lists import TagDocument
from relman.errors import RelmanError, UsageError
from relman.lifecycle import Lifecycle
from relman.model.oci import Digest, Repository
from relman.model.streams import Variant
from relman.walk.explaining import ExplainedTag, Kind, Reading, explain, readings_of
from relman.walk.parallel import in_parallel
from relman.walk.tags import TagBook

_LARGEST = 16 * 1024 * 1024
"""Bytes that a list of tags may have: a hundred times that of 1,907 real ones."""


@click.command()
@click.argument("image_name", metavar="[IMAGE]", required=False)
@click.option("--stream", metavar="S", help="Only what this stream reads.")
@click.option("--digests", is_flag=True, help="Ask the registry which tags are one build.")
@click.option("--from-file", metavar="FILE", help="Read tags, one a line, from here (`-`: stdin), and ask no registry.")
@format_option("text", "json")
@common_options
def tags(image_name: str | None, stream: str | None, digests: bool, from_file: str | None, format_: str) -> None:
    """Explain the tags of IMAGE's repository: stream, version, order; and why nothing reads the others.

    IMAGE is a variant's name, or a repository such as `ghcr.io/ublue-os/bluefin`. With `--from-file` it may be left
    out: then the tags are read as any variant's.
    """
    if from_file is None and image_name is None:
        raise UsageError("which image?", hint="name a variant or a repository, or give a list with `--from-file FILE`")
    if from_file is not None and digests:
        raise UsageError("`--digests` asks the registry, and `--from-file` asks none: give one of them")
    with lifecycle(needs_config=True) as walk:
        repository, variants, neighbours = _place(image_name, stream, walk)
        streams = tuple(walk.config.streams.values())
        only = walk.config.stream(stream) if stream else None
        held: Mapping[str, Digest | None] = {}
        if from_file is not None:
            listed = _listed(from_file)
        else:
            assert repository
            with working("looking at the registry"):
                listed = walk.instruments.reader.tags(repository)
                if digests:
                    asked = [tag for tag in listed if readings_of(tag, [only] if only else streams, variants)]
                    book = TagBook(walk.instruments.reader)
                    answers = in_parallel(lambda tag: book.holds(repository.tag(tag)), asked)
                    held = dict(zip(asked, answers, strict=True))
        found = explain(listed, streams, variants, only=only, neighbours=neighbours, digests=held)
    if format_ == "json":
        rows = sorted(map(_document, found), key=_place_in_document)
        document({"schema": "relman.tags/1", "repository": str(repository) if repository else None, "tags": rows})
    else:
        click.echo(_text(found, str(repository or ("stdin" if from_file == "-" else from_file))))


def _place(
    name: str | None, stream: str | None, walk: Lifecycle
) -> tuple[Repository | None, tuple[Variant, ...], tuple[Variant, ...]]:
    """The repository, the variants whose tags are asked for, and those that share the repository with them."""
    everyone = walk.config.variants
    if name is None:
        return None, everyone, ()
    chosen = next((variant for variant in everyone if variant.name == name), None)
    streams = [walk.config.stream(stream)] if stream else list(walk.config.streams.values())
    if chosen and streams:
        repository = walk.config.place(chosen, streams[0]).repository
        beside = tuple(v for v in everyone if v != chosen and v.repository == chosen.repository)
        return repository, (chosen,), beside
    try:
        repository = image(name, walk).repository
    except UsageError as error:
        raise UsageError(error.message, hint=f"or name a variant: {_named(everyone)}") from error
    here = tuple(v for v in everyone if any(walk.config.place(v, s).repository == repository for s in streams))
    return repository, here or everyone, ()


def _named(variants: Sequence[Variant]) -> str:
    return ", ".join(f"`{variant.name}`" for variant in variants) or "there are none in the configuration"


def _listed(path: str) -> tuple[str, ...]:
    """The first word of each line; blank lines and those that begin with `#` say nothing."""
    try:
        if path == "-":
            text = sys.stdin.read(_LARGEST + 1)
        else:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(_LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise RelmanError(f"cannot read the tags in `{path}`: {error}") from error
    if len(text) > _LARGEST:
        raise RelmanError(f"`{path}` is no list of tags: it has more than {_LARGEST:,} characters")
    words = (line.split(maxsplit=1) for line in text.splitlines())
    return tuple(word[0] for word in words if word and not word[0].startswith("#"))


def _document(each: ExplainedTag) -> TagDocument:
    first, version = each.first, each.version
    return {
        "tag": each.tag,
        "kind": each.kind.value,
        "stream": first.stream if first else None,
        "variant": first.variants[0] if first else None,
        "date": version.date.isoformat() if version else None,
        "point": version.point if version else None,
        "major": version.major if version else None,
        "streams": list(dict.fromkeys(reading.stream for reading in each.readings)),
        "variants": list(first.variants) if first else [],
        "pattern": first.pattern if first else None,
        "order": each.order,
        "digest": str(each.digest) if each.digest else None,
        "alias_of": each.alias_of,
        "reason": each.reason,
    }


def _place_in_document(row: TagDocument) -> tuple[object, ...]:
    unread = row["stream"] is None
    return (unread, row["stream"] or "", row["kind"] != "moving", row["date"] or "", row["point"] or 0, row["tag"])


def _text(found: Sequence[ExplainedTag], title: str) -> str:
    """Three tables: builds, each with all its names; tags that move; and those that nothing reads."""
    builds: dict[str, list[ExplainedTag]] = {}
    for each in found:
        if each.kind is Kind.DATED:
            builds.setdefault(each.alias_of or each.tag, []).append(each)
    moving = [each for each in found if each.kind is Kind.MOVING]
    unread = [each for each in found if each.kind is Kind.UNREAD]
    parts = [click.style(title, bold=True)]
    if builds:
        head = ("build", "stream", "variant", "date", "point", "major", "order", "read by", "also")
        lines = [_build(spellings) for spellings in builds.values()]
        parts.append(f"{counted(len(builds), 'build')}\n{table(lines, header=head, indent='  ')}")
    if moving:
        shown = table(list(map(_moving, moving)), header=("tag", "stream", "variant", ""), indent="  ")
        parts.append(f"{_some(moving)} that {'move' if len(moving) > 1 else 'moves'}\n{shown}")
    if unread:
        reasons = table([(each.tag, each.reason or "") for each in unread], indent="  ")
        parts.append(f"{_some(unread)} that nothing reads\n{reasons}")
    return "\n\n".join(parts) if len(parts) > 1 else f"{parts[0]}\n  no tags"


def _some(tags: Sequence[ExplainedTag]) -> str:
    return counted(len(tags), "tag")


def _build(spellings: Sequence[ExplainedTag]) -> tuple[str, ...]:
    """A build's row: the tag that stands for it, and what all its spellings say together."""
    head = spellings[0]
    assert head.version
    assert head.first
    streams = dict.fromkeys(reading.stream for each in spellings for reading in each.readings)
    major = next((each.version.major for each in spellings if each.version and each.version.major), None)
    day, point = head.version.date.isoformat(), str(head.version.point or "")
    said = (day, point, str(major or ""), str(head.order), head.first.pattern)
    return (head.tag, ", ".join(streams), _variants(head.first), *said, " ".join(each.tag for each in spellings[1:]))


def _moving(each: ExplainedTag) -> tuple[str, ...]:
    assert each.first
    streams = dict.fromkeys(reading.stream for reading in each.readings)
    return (each.tag, ", ".join(streams), _variants(each.first), f"is {each.alias_of}" if each.alias_of else "")


def _variants(reading: Reading) -> str:
    more = f" +{len(reading.variants) - 1}" if len(reading.variants) > 1 else ""
    return reading.variants[0] + more
