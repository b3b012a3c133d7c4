"""`relman plugins`: who answers which hook, in which order."""

from __future__ import annotations

import click

from relman import hookspecs
from relman.cli.options import common_options, format_option
from relman.cli.output import document, table
from relman.manager import Plugins


@click.group(invoke_without_command=True)
@format_option("text", "json")
@common_options
@click.pass_context
def plugins(context: click.Context, format_: str) -> None:
    """List the hooks in the order of the walk, who answers each, and plugins that are broken."""
    if context.invoked_subcommand is None:
        _list(format_)


@plugins.command("list")
@format_option("text", "json")
@common_options
def list_(format_: str) -> None:
    """The same."""
    _list(format_)


def _list(format_: str) -> None:
    found = Plugins()
    hooks = [(hook.__name__, found.answering(hook.__name__)) for hook in hookspecs.WALK]
    if format_ == "json":
        document(
            {
                "schema": "relman.plugins/1",
                "plugins": [{"name": name, "from": found.origin(name)} for name in found.names],
                "hooks": [{"hook": hook, "plugins": list(names)} for hook, names in hooks],
                "broken": [{"name": broken.name, "reason": broken.reason} for broken in found.broken],
            }
        )
        return
    for hook, names in hooks:
        click.echo(click.style(hook, bold=True))
        click.echo(table([(name, found.origin(name)) for name in names] or [("nobody", "")], indent="  "))
    for broken in found.broken:
        click.echo(f"{click.style('broken', fg='red')} {broken.name}: {broken.reason}")
