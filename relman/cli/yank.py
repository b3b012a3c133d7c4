"""`relman yank`: says of a release that nobody should use it. Nothing is removed, and no tag is moved."""

from __future__ import annotations

import click

from relman import afterwards
from relman.cli.app import lifecycle, say
from relman.cli.options import common_options, format_option
from relman.cli.output import document, printable
from relman.cli.person import agreed, require_somebody, said
from relman.documents.record import record_document
from relman.errors import RelmanError, UsageError
from relman.lifecycle import Lifecycle
from relman.model.record import Record, RecordState
from relman.model.streams import Stream


@click.command()
@click.argument("stream")
@click.argument("version")
@click.option("--reason", metavar="TEXT", required=True, help="Why, for readers of the notes.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@format_option("text", "json")
@common_options
def yank(stream: str, version: str, reason: str, yes: bool, format_: str) -> None:
    """Say of a release of STREAM, by its VERSION or id, that nobody should use it.

    Its notes and its record say so from then on. Nothing is removed, and no tag is moved.
    """
    require_somebody(yes)
    reason = said(reason)
    if not reason:
        raise UsageError("a yank needs a reason: readers of the notes have to know what is wrong")
    with lifecycle(needs_config=True) as walk:
        chosen = walk.config.stream(stream)
        record = afterwards.yankable(walk, chosen, version)
        if record.state is not RecordState.YANKED:
            say(f"would mark {record.version} ({record.id}) of {chosen.name} as yanked: {printable(reason)}")
            if not agreed(yes, f"Yank {record.version}?"):
                return
        done = afterwards.yank(walk, record, reason, by=walk.person())
        if format_ == "json":
            document(record_document(done))
        else:
            click.echo(_text(done, already=record.state is RecordState.YANKED))
        _say_where_it_is_held(walk, chosen, done)
        _say_what_was_posted(done)


def _text(record: Record, *, already: bool) -> str:
    why = record.withdrawn
    told = f" ({why.by}, {why.at:%Y-%m-%d %H:%M}): {printable(why.reason)}" if why else ""
    return f"{record.version} {'was yanked before' if already else 'is yanked'}{told}"


def _say_what_was_posted(record: Record) -> None:
    posted = [receipt for receipt in record.receipts if receipt.stands and (receipt.url or receipt.remote_id)]
    if posted and not record.imported:
        say(
            f"what was posted does not say so: `relman announce {record.id} --edit` corrects it, "
            f"`relman publish {record.id} --edit` what is on forges, `--withdraw` takes back"
        )


def _say_where_it_is_held(walk: Lifecycle, stream: Stream, record: Record) -> None:
    """The yank stands, whatever the registry says now."""
    try:
        variants = afterwards.holding(walk, stream, record)
    except RelmanError as error:
        say(f"warning: whether `{stream.name}` holds it now could not be seen: {error.message}")
        return
    if variants:
        names = ", ".join(f"`{name}`" for name in variants)
        way = f"`relman rollback {stream.name}` goes back" if stream.source else "build another"
        say(f"warning: it is what `{stream.name}` holds now ({names}): {way}")
