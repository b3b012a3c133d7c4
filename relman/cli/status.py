"""`relman status`: what each stream holds, what waits, which gates are open, what is unfinished."""

from __future__ import annotations

from datetime import datetime

import click

from relman import standing
from relman.cli.app import lifecycle, working
from relman.cli.gates import gate_lines, gate_markdown
from relman.cli.options import common_options, format_option
from relman.cli.output import document, printable, table
from relman.documents.status import status_document
from relman.model.gates import State
from relman.model.state import StreamState, age


@click.command()
@click.argument("stream", required=False)
@format_option("text", "markdown", "json")
@common_options
def status(stream: str | None, format_: str) -> None:
    """Show every stream, or STREAM: version, digest, age, what waits, which gates are open, what is unfinished."""
    with lifecycle(needs_config=True) as walk:
        chosen = [walk.config.stream(stream)] if stream else list(walk.config.streams.values())
        with working("looking at the registry"):
            states = tuple(standing.stream_state(walk, one) for one in chosen)
        now = walk.clock()
    if format_ == "json":
        document(status_document(walk.config.project, states, now))
    elif format_ == "markdown":
        click.echo("\n\n".join(_markdown(state, now) for state in states))
    else:
        click.echo("\n\n".join(_text(state, now) for state in states))


def _markdown(state: StreamState, now: datetime) -> str:
    """For an issue or a page: what the stream holds, what is wrong, and every gate."""

    from relman.render.escaping import code, escape, sentence  # texts load much, and are seldom asked for

    source = f", from {code(state.source)}" if state.source else ""
    lines = [f"## {code(state.name)}{source}", "", "| Image | Version | Digest | Waits |", "| --- | --- | --- | --- |"]
    for variant in state.variants:
        waits = (variant.waiting_version or variant.waits.short) if variant.waits else ""
        held = code(variant.holds.short) if variant.holds else "not there"
        lines.append(f"| {escape(variant.name)} | {escape(variant.version or '')} | {held} | {escape(waits)} |")
    said = [*((state.problem,) if state.problem else ()), *_stalled(state)]
    said += [f"{hold.by} holds {hold.what} since {hold.since:%Y-%m-%d %H:%M}: {hold.reason}" for hold in state.holds]
    said += [
        f"no dated tag holds what `{one.name}` has: clean-up may take it once the stream moves on"
        for one in state.variants
        if one.pinned is False
    ]
    said += [f"`{record.version}` is {record.state}: `relman resume {record.id}`" for record in state.unfinished]
    if said:
        lines += ["", *(f"- ⚠️ {sentence(line)}" for line in said)]
    if state.waiting and state.gates:
        lines += ["", *gate_markdown(state.gates, (), now)]
    return "\n".join(lines)


def _text(state: StreamState, now: datetime) -> str:
    title = click.style(state.name, bold=True) + (f"  from {state.source}" if state.source else "  built in place")
    lines = [title]
    rows = []
    observed = any(variant.since for variant in state.variants)
    for variant in state.variants:
        made = age(variant.created, now) if variant.created else ""
        waits = f"waits: {variant.waiting_version or variant.waits.short}" if variant.waits else ""
        held = variant.holds.short if variant.holds else "not there"
        since = f"observed for {age(variant.since, now)}" if variant.since else ""
        rows.append((variant.name, variant.version or "", held, made, *((since,) if observed else ()), waits))
    lines.append(table(rows, indent="  "))
    if state.problem:
        lines.append(f"  {click.style('!', fg='yellow')} {state.problem}")
    released = f"{state.released.version} ({state.released.id})" if state.released else "never, by relman"
    lines.append(f"  released   {released}")
    for hold in state.holds:
        which = f" {hold.variant}" if hold.variant else ""
        held = click.style("held", fg="yellow")
        lines.append(
            f"  {held}{which}       by {printable(hold.by)} since {hold.since:%Y-%m-%d %H:%M}: {printable(hold.reason)}"
        )
    if state.yanked:
        way = f": `relman rollback {state.name}`" if state.source else ""
        lines.append(f"  {click.style('yanked', fg='red')}     {state.yanked.version} is what the stream holds{way}")
    if loose := [variant.name for variant in state.variants if variant.pinned is False]:
        why = "no dated tag holds it: clean-up may take it once the stream moves on"
        lines.append(f"  {click.style('unpinned', fg='yellow')}   {', '.join(loose)}: {why}")
    for record in state.unfinished:
        left = [receipt.action for receipt in record.receipts if not receipt.settled]
        what = f": {', '.join(left)} left" if left else ""
        lines.append(
            f"  {click.style('unfinished', fg='yellow')} {record.version} ({record.id}) is {record.state}{what}"
        )
    lines += [f"  {click.style('stalled', fg='red')}    {printable(line)}" for line in _stalled(state)]
    if state.waiting and state.gates:
        ready = ", ".join(dict.fromkeys(gate.gate for gate in state.gates if gate.opens)) or "none"
        shut = [gate for gate in state.gates if not gate.opens]
        later = all(gate.state is State.SKIPPED for gate in shut)
        lines.append(f"  gates      {ready} open" if later else f"  gates      closed, {ready} open")
        lines += [f"  {line}" for line in gate_lines(shut, (), now)]
    return "\n".join(lines)


def _stalled(state: StreamState) -> list[str]:
    """What has not moved for too long; of another stream, the source, with its name."""
    return [one.message if one.stream == state.name else f"{one.message} (in `{one.stream}`)" for one in state.stalled]
