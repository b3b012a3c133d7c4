"""`relman schema`: the JSON Schema of a document of the contract."""

from __future__ import annotations

import click

from relman.cli.options import common_options
from relman.cli.output import document
from relman.documents import schemas
from relman.errors import UsageError


@click.command()
@click.argument("name", required=False)
@common_options
def schema(name: str | None) -> None:
    """Print the JSON Schema (2020-12) of the document NAME; without one, the names there are."""
    if name is None:
        click.echo("\n".join(schemas.names()))
        return
    wanted = name.removeprefix("relman.").partition("/")[0]
    if wanted not in schemas.names():
        raise UsageError(f"there is no document `{name}`", hint=f"there are {', '.join(schemas.names())}")
    document(schemas.schema(wanted))
