"""`relman tags`: a repository's tags as the streams read them, and those that nothing reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import click

from relman.cli.app import image, lifecycle
from relman.cli.options import common_options, format_option
from relman.cli.output import document, table
from relman.lifecycle import Lifecycle
from relman.model.streams import Variant


@click.command()
@click.argument("image_name", metavar="IMAGE")
@click.option("--stream", metavar="S", help="Only what this stream reads.")
@format_option("text", "json")
@common_options
def tags(image_name: str, stream: str | None, format_: str) -> None:
    """List the tags of IMAGE's repository: stream, version, order; and those that nothing reads.

    IMAGE is a variant's name, or a repository such as `ghcr.io/ublue-os/bluefin`.
    """
    with lifecycle(needs_config=True) as walk:
        names = {variant.name: variant for variant in walk.config.variants}
        only = walk.config.stream(stream) if stream else None
        if image_name in names:
            first = only or next(iter(walk.config.streams.values()))
            repository = walk.config.place(names[image_name], first).repository
            variants = [names[image_name]]
        else:
            repository = image(image_name, walk).repository
            variants = list(walk.config.variants)
        found = [_read(walk, tag, variants, stream) for tag in walk.registry.tags(repository)]
    found.sort(key=lambda row: (row.stream is None, row.stream or "", row.kind != "moving", row.order, row.tag))
    if format_ == "json":
        rows = [asdict(row) for row in found]
        document({"schema": "relman.tags/1", "repository": str(repository), "tags": rows})
        return
    lines = [(r.tag, r.stream or "", r.variant or "", r.kind, r.date or "", str(r.point or "")) for r in found]
    click.echo(click.style(str(repository), bold=True))
    click.echo(table(lines, header=("tag", "stream", "variant", "", "date", "point"), indent="  "))


@dataclass(frozen=True, slots=True)
class ReadTag:
    """What the streams make of a tag. ``kind``: `dated`, `moving` or `unread`."""

    tag: str
    kind: str
    stream: str | None = None
    variant: str | None = None
    date: str | None = None
    point: int | None = None
    major: int | None = None

    @property
    def order(self) -> tuple[str, int]:
        """What dated tags of one stream are sorted by."""
        return (self.date or "", self.point or 0)


def _read(walk: Lifecycle, tag: str, variants: list[Variant], only: str | None) -> ReadTag:
    today = walk.clock().date()
    for name, stream in walk.config.streams.items():
        if only and name != only:
            continue
        moving = [pattern for pattern in stream.tags if "major" not in pattern.placeholders]
        for variant in variants:
            version = stream.read(tag, variant)
            if version:
                day = version.date.isoformat()
                return ReadTag(tag, "dated", name, variant.name, day, version.point, version.major)
            if tag in [pattern.make(variant.suffix, today=today, build=None) for pattern in moving]:
                return ReadTag(tag, "moving", name, variant.name)
    return ReadTag(tag, "unread")
