"""`relman check`: the configuration, templates and handwritten notes, for pull requests."""

from __future__ import annotations

import re

import click

from relman.cli import github
from relman.cli.app import lifecycle
from relman.cli.options import common_options, format_option
from relman.cli.output import document
from relman.documents.check import check_document
from relman.errors import FOUND, ConfigError
from relman.model.check import Checked, Fault
from relman.redaction import redact
from relman.walk import checking


@click.command()
@format_option("text", "json")
@common_options
def check(format_: str) -> int:
    """Check the configuration, templates, highlights and known issues, as pull requests change them.

    Every fault is named with its file; the exit code is 9 where there is one. Registries are not asked.
    """
    checked = _checked()
    if format_ == "json":
        document(check_document(checked))
    else:
        for fault in checked.faults:
            click.echo(redact(_text(fault)))
        counted = f"{len(checked.faults)} fault" + ("" if len(checked.faults) == 1 else "s")
        click.echo(f"checked: {', '.join(checked.looked_at)}; {counted if checked.faults else 'nothing is wrong'}")
    github.annotate((fault.file, fault.line, fault.message) for fault in checked.faults)
    return FOUND if checked.faults else 0


def _checked() -> Checked:
    try:
        with lifecycle(needs_config=True) as walk:
            found = checking.check(walk.config, walk.instruments.templates)
            posts = walk.rehearse()
            told = {(fault.file, fault.message) for fault in found.faults}
            new = tuple(fault for fault in posts if (fault.file, fault.message) not in told)
            channels = (f"{len(walk.config.channels)} posts",) if len(walk.config.channels) > 1 else ()
            return Checked((walk.config.where, *found.looked_at, *channels), (*found.faults, *new))
    except ConfigError as error:
        if not error.problems:
            raise
        return Checked(("the configuration",), tuple(map(_fault, error.problems)))


def _fault(problem: str) -> Fault:
    match = re.fullmatch(r"(.+?):([0-9]+): (.*)", problem, re.DOTALL)
    return Fault(match[1], int(match[2]), match[3]) if match else Fault("the configuration", None, problem)


def _text(fault: Fault) -> str:
    place = fault.file if fault.line is None else f"{fault.file}:{fault.line}"
    hint = f"\n  {click.style('hint', fg='cyan')}: {fault.hint}" if fault.hint else ""
    return f"{click.style(place, bold=True)}: {fault.message}{hint}"
