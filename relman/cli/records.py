"""`relman records`: what was released, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from relman import afterwards
from relman.cli.app import lifecycle
from relman.cli.options import common_options, format_option
from relman.cli.output import counted, document, printable, table
from relman.cli.plan import override_lines
from relman.documents.record import record_document
from relman.errors import NotFound, RelmanError, UsageError
from relman.model.record import Receipt, Record
from relman.signing.keys import PublicKey


@click.group(invoke_without_command=True)
@click.option("--stream", metavar="S", help="Only this stream's.")
@format_option("text", "json")
@common_options
@click.pass_context
def records(context: click.Context, stream: str | None, format_: str) -> None:
    """List the records of releases, the newest first."""
    if context.invoked_subcommand:
        return
    with lifecycle(needs_config=True) as walk:
        found = walk.ledger.records(walk.config.stream(stream).name if stream else None)
    if format_ == "json":
        document({"schema": "relman.records/1", "records": [record_document(record) for record in found]})
        return
    rows = [
        (
            r.created.strftime("%Y-%m-%d %H:%M"),
            r.stream,
            r.version,
            r.id,
            r.state,
            counted(len(r.variants), "variant") + (", rolled back to" if r.rollback else ""),
        )
        for r in found
    ]
    header = ("when", "stream", "version", "id", "state", "")
    click.echo(table(rows, header=header) if rows else "there is no record yet")


@records.command()
@click.argument("record_name", metavar="RELEASE")
@click.option("--statement", metavar="V", help="This variant's promotion, as an in-toto statement in JSON.")
@click.option("--key", metavar="FILE", help="With --statement: the attached one, signed with this public key, as DSSE.")
@format_option("text", "json")
@common_options
def show(record_name: str, statement: str | None, key: str | None, format_: str) -> None:
    """Show one record: RELEASE by id, version, or both."""
    if key and not statement:
        raise UsageError("`--key` verifies what is attached to a variant: name it with `--statement V`")
    with lifecycle(needs_config=True) as walk:
        record = walk.ledger.record(record_name)
        if statement and key:
            stated: bytes | None = afterwards.signed_statement(walk, record, statement, public_key(key))
        else:
            stated = afterwards.promotion_statement(walk, record, statement) if statement else None
    if stated is not None:
        click.echo(stated.decode(), nl=False)
    elif format_ == "json":
        document(record_document(record))
    else:
        click.echo(_text(record))


@records.command(name="import")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--stream", metavar="S", help="The stream of all of them; without it, the one that reads the version.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@format_option("text", "json")
@common_options
def import_(files: tuple[Path, ...], stream: str | None, yes: bool, format_: str) -> None:
    """Take in releases that were published before: GitHub's JSON, Atom, JSON Feed, or Markdown files."""
    from relman.cli.importing import import_files

    if not yes and not sys.stdin.isatty():
        raise UsageError("there is nobody to ask", hint="give `--yes`")
    with lifecycle(needs_config=True) as walk:
        import_files(walk, files, stream, yes=yes, format_=format_)


def public_key(file: str) -> PublicKey:
    """The public key in a file. Raises `NotFound`, `Malformed`, `RelmanError`."""
    try:
        pem = Path(file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no key `{file}`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RelmanError(f"cannot read the key `{file}`: {error}") from error
    return PublicKey(pem, f"`{file}`")


def _came(receipt: Receipt) -> str:
    """Where a post is, and what became of it since."""
    said = [receipt.url or receipt.detail or ""]
    if receipt.url and receipt.by:
        said.append(receipt.detail or "")
    if receipt.by and not receipt.url:
        said.append(f"by {receipt.by}")
    for word, correction in (("edited", receipt.edited), ("taken back", receipt.withdrawn)):
        if correction:
            said.append(f"{word} {correction.at:%Y-%m-%d %H:%M} by {correction.by}")
    return ", ".join(filter(None, said))


def _text(record: Record) -> str:
    finished = f", finished {record.finished:%Y-%m-%d %H:%M}" if record.finished else ""
    title = click.style(f"{record.project} {record.stream} {record.version}", bold=True)
    variants = [
        (v.name, v.previous_digest.short if v.previous_digest else "—", "→", v.digest.short if v.digest else "—")
        for v in record.variants
    ]
    receipts = [(r.state, r.action, f"{r.at:%Y-%m-%d %H:%M:%S}", _came(r)) for r in record.receipts]
    begun = "published" if record.imported else "begun"
    lines = [
        f"{title}   {record.id}",
        f"  {record.state}, {begun} {record.created:%Y-%m-%d %H:%M}{'' if record.imported else finished}",
        f"  follows {record.previous or 'nothing'}",
        "",
        table(variants, indent="  "),
    ]
    if imported := record.imported:
        left = f"; {counted(imported.not_read, 'line')} of it not read" if imported.not_read else ""
        lines.insert(3, f"  imported from {imported.url or imported.file}{left}")
    if back := record.rollback:
        why = f": {printable(back.reason)}" if back.reason else ""
        lines.insert(3, f"  rolled back {back.of} to {back.to} ({printable(back.by)}){why}")
    if gone := record.withdrawn:
        word = click.style(str(record.state), fg="red")
        lines.insert(2, f"  {word} {gone.at:%Y-%m-%d %H:%M} by {printable(gone.by)}: {printable(gone.reason)}")
    if receipts:
        lines += ["", table(receipts, indent="  ")]
    lines += [f"  {line}" for line in override_lines(record.overrides)]
    return "\n".join(lines)
