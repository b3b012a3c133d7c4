"""`relman observe`: notes in the ledger which digest each stream holds now, and since when."""

from __future__ import annotations

import click

from relman import standing
from relman.cli.app import lifecycle, say, working
from relman.cli.options import common_options, format_option
from relman.cli.output import counted, document, table
from relman.documents.observed import observe_document
from relman.model.observed import TagKind
from relman.walk.observing import Observed

_NAMED = 3


@click.command()
@click.argument("stream", required=False)
@format_option("text", "json")
@common_options
def observe(stream: str | None, format_: str) -> None:
    """Note in the ledger which digest every stream, or STREAM, holds now, and what new dated tags hold.

    For a job that runs on a schedule. It asks nothing, and where nothing has changed it writes nothing.
    """
    with lifecycle(needs_config=True) as walk:
        chosen = [walk.config.stream(stream)] if stream else list(walk.config.streams.values())
        with working("looking at the registry"):
            observed = standing.observe(walk, chosen)
        now = walk.clock()
    for note in observed.notes:
        say(f"note: {note}")
    if format_ == "json":
        streams = [
            (one.name, [(h.variant, h.tag, h.digest, h.since) for h in observed.held if h.stream == one.name])
            for one in chosen
        ]
        document(observe_document(walk.config.project, now, observed.noted, streams, observed.notes))
    else:
        click.echo(_text(observed))


def _text(observed: Observed) -> str:
    """What has changed: streams by digest, dated tags by their number and the first few names."""
    rows: list[tuple[str, ...]] = []
    dated: dict[tuple[str, str, bool], list[str]] = {}
    for entry in observed.noted:
        if entry.kind is TagKind.STREAM:
            before = observed.known.last(entry.slot)
            was = before.digest.short if before and before.digest else "not there" if before else "first seen"
            rows.append((entry.stream, entry.variant, was, "→", entry.digest.short if entry.digest else "not there"))
        else:
            dated.setdefault((entry.stream, entry.variant, entry.digest is None), []).append(entry.tag)
    for (stream, variant, gone), tags in dated.items():
        names = ", ".join(tags[:_NAMED]) + ", …" * (len(tags) > _NAMED)
        rows.append((stream, variant, f"{counted(len(tags), 'dated tag')} {'gone' if gone else 'new'}", "", names))
    return table(rows) if rows else "nothing has changed"
