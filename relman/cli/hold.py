"""`relman hold` and `relman unhold`: nothing enters a stream until a person says so."""

from __future__ import annotations

import click

from relman import afterwards
from relman.cli.app import lifecycle, say
from relman.cli.options import common_options, format_option
from relman.cli.output import document, printable
from relman.cli.person import agreed, require_somebody, said
from relman.documents.holds import holds_document
from relman.model.holds import Hold


@click.command()
@click.argument("stream")
@click.option("--variant", metavar="V", help="Hold only this variant.")
@click.option("--reason", metavar="TEXT", required=True, help="Why, for whoever comes next.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@format_option("text", "json")
@common_options
def hold(stream: str, variant: str | None, reason: str, yes: bool, format_: str) -> None:
    """Let nothing enter STREAM until `relman unhold`: the gate `hold` stays closed, with the reason."""
    require_somebody(yes)
    with lifecycle(needs_config=True) as walk:
        chosen = walk.config.stream(stream)
        made = afterwards.held_by(walk, chosen, variant, said(reason), by=walk.person())
        say(f"would hold {_line(made)}")
        if not agreed(yes, f"Hold {made.what}?"):
            return
        walk.ledger.hold(made)
    _tell((made,), "held", format_)


@click.command()
@click.argument("stream")
@click.option("--variant", metavar="V", help="Lift only the hold of this variant.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@format_option("text", "json")
@common_options
def unhold(stream: str, variant: str | None, yes: bool, format_: str) -> None:
    """Lift every hold of STREAM, those of its variants included."""
    require_somebody(yes)
    with lifecycle(needs_config=True) as walk:
        name = walk.config.stream(stream).name
        there = [one for one in walk.ledger.holds() if one.stream == name and variant in (None, one.variant)]
        for one in there:
            say(f"would lift the hold of {_line(one)}")
        if there and not agreed(yes, f"Lift {'it' if len(there) == 1 else 'them'}?"):
            return
        lifted = walk.ledger.unhold(name, variant)
    if not lifted:
        say(f"nobody holds `{stream}`" + (f", variant `{variant}`" if variant else ""))
    _tell(lifted, "lifted", format_)


def _tell(holds: tuple[Hold, ...], word: str, format_: str) -> None:
    if format_ == "json":
        document(holds_document(holds))
    elif holds:
        click.echo("\n".join(f"{word}: {_line(one)}" for one in holds))


def _line(hold: Hold) -> str:
    return printable(f"{hold.what} ({hold.by}, {hold.since:%Y-%m-%d %H:%M}): {hold.reason}")
