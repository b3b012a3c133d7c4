"""`relman audit`: where registry, records and observations do not agree."""

from __future__ import annotations

from collections.abc import Iterable

import click

from relman import standing
from relman.cli.app import lifecycle, working
from relman.cli.options import common_options, format_option
from relman.cli.output import counted, document, printable, wrapped
from relman.documents.audit import audit_document
from relman.errors import FOUND
from relman.model.audit import Audit, Finding, Severity, StreamAudit, Unchecked

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan"}
_CODES = 13
_INDENT = 26
"""Where what is found begins: after the severity and the code."""
_FIRST = (7, 75, 1)
"""Which failure is told where several kept something from being looked into (docs/contract: exit codes)."""


@click.command()
@click.argument("stream", required=False)
@click.option(
    "--last",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    metavar="N",
    help="Ask registry and channels after the current and the N releases before it.",
)
@click.option("--all", "everything", is_flag=True, help="Ask after all releases and all dated tags.")
@format_option("text", "json")
@common_options
def audit(stream: str | None, last: int, everything: bool, format_: str) -> int:
    """Compare registry, records and observations of every stream, or STREAM. Reads only.

    Exits with 9 where something was found. What could not be looked into is said, and never counts as clean.
    """
    with lifecycle(needs_config=True) as walk:
        chosen = [walk.config.stream(stream)] if stream else list(walk.config.streams.values())
        with working("comparing registry and records"):
            found = standing.audit(walk, chosen, last=None if everything else last)
        now = walk.clock()
    if format_ == "json":
        document(audit_document(walk.config.project, found, now))
    else:
        click.echo(_text(found))
    return exit_code(found)


def exit_code(found: Audit) -> int:
    """9 where something was found, else that of the failure that kept something from being looked into."""
    if found.all_findings:
        return FOUND
    failures = {one.exit_code for one in found.all_unchecked if one.exit_code is not None}
    return next((code for code in _FIRST if code in failures), 1 if failures else 0)


def _text(found: Audit) -> str:
    parts = [_stream(stream) for stream in found.streams]
    if found.findings or found.unchecked:
        title = click.style("the ledger", bold=True)
        parts.insert(0, "\n".join([title, *_findings(found.findings), *_unchecked(found.unchecked)]))
    count = len(found.all_findings)
    failed = any(one.exit_code is not None for one in found.all_unchecked)
    nothing = "nothing was found, and not everything could be looked into" if failed else "nothing was found"
    return "\n\n".join([*parts, counted(count, "finding") if count else nothing])


def _stream(stream: StreamAudit) -> str:
    kind = f"from {stream.source}" if stream.source else "built in place"
    title = f"{click.style(stream.stream, bold=True)}  {kind}, {counted(stream.records, 'record')}"
    return "\n".join([title, *_findings(stream.findings), *_unchecked(stream.unchecked)])


def _findings(findings: Iterable[Finding]) -> list[str]:
    lines = []
    for finding in sorted(findings, key=lambda one: list(Severity).index(one.severity)):
        severity = click.style(f"{finding.severity:<7}", fg=_COLOURS[finding.severity])
        lines.append(f"  {severity}  {finding.code:<13}  {wrapped(printable(finding.message), _INDENT)}")
        lines.append(f"{'':{_INDENT}}{wrapped(printable(finding.hint), _INDENT)}")
    return lines


def _unchecked(unchecked: Iterable[Unchecked]) -> list[str]:
    """What was not looked into; several findings that one reason keeps from being looked for are told together."""
    reasons: dict[tuple[str, bool], list[str]] = {}
    for one in unchecked:
        reasons.setdefault((one.reason, one.exit_code is not None), []).append(one.code)
    lines = []
    for (reason, failed), codes in reasons.items():
        word = click.style("failed " if failed else "unknown", fg="yellow" if failed else None, dim=not failed)
        names = ", ".join(dict.fromkeys(codes))
        if len(names) > _CODES:  # a line of their own, so that what is said begins where it always does
            lines += [f"  {word}  {wrapped(names, 11)}", f"{'':{_INDENT}}{wrapped(printable(reason), _INDENT)}"]
        else:
            lines.append(f"  {word}  {names:<{_CODES}}  {wrapped(printable(reason), _INDENT)}")
    return lines
