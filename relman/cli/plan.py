"""`relman plan` and `relman show`: what would be done, before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from relman.cli import github, posts
from relman.cli.app import lifecycle, say, working
from relman.cli.gates import gate_lines, gate_markdown
from relman.cli.options import common_options, format_option, override_options, parse_time
from relman.cli.output import counted, document, printable, read_note, table, write
from relman.cli.person import said
from relman.cli.sboms import parse_sboms, sbom_option
from relman.documents.plan import plan_bytes, plan_document, plan_from_bytes
from relman.errors import NotFound, RelmanError, UsageError
from relman.lifecycle import Lifecycle
from relman.model.gates import Override, OverrideRequest, State
from relman.model.plan import Plan, Stage
from relman.model.release import release_marker


@click.command()
@click.argument("stream")
@click.option("-o", "--output", metavar="FILE", help="Save the plan, for `relman apply`.")
@click.option("--from", "since", metavar="V", help="Another predecessor, by its version.")
@sbom_option
@click.option("--note", metavar="FILE", help="A handwritten introduction in Markdown; `-` for stdin.")
@override_options
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 where there is nothing to do.")
@format_option("text", "markdown", "json")
@common_options
def plan(
    stream: str,
    output: str | None,
    since: str | None,
    sboms: tuple[str, ...],
    note: str | None,
    gates: tuple[str, ...],
    reason: str | None,
    until: str | None,
    detailed_exitcode: bool,
    format_: str,
) -> int:
    """Show the release that STREAM would make now. Reads only; closed gates are part of the plan, not an error."""
    introduction, given = read_note(note), parse_sboms(sboms)
    with lifecycle(needs_config=True) as walk:
        overrides = overrides_of(gates, reason, until, walk.person())
        with working(f"planning {stream}"):
            made = walk.plan(
                walk.config.stream(stream), since=since, note=introduction, overrides=overrides, sboms=given
            )
        text = explain_markdown(made, walk) if format_ == "markdown" else explain(made, walk)
        summary = explain_markdown(made, walk)
    if output and output != "-":
        write(plan_bytes(made).decode(), output)
    if output == "-" or format_ == "json":
        document(plan_document(made))
    else:
        click.echo(text)
    if output and output != "-" and made.changed:
        say(f"saved: `relman apply {output}` carries out exactly this")
    github.summary(summary)
    github.outputs(github.of_plan(made, plan_file=output if output != "-" else None))
    return 3 if detailed_exitcode and not made.changed else 0


@click.command()
@click.argument("plan_file", metavar="PLAN")
@click.option("--channel", metavar="NAME", help="The one text that this channel would get.")
@format_option("text", "markdown", "json")
@common_options
def show(plan_file: str, channel: str | None, format_: str) -> None:
    """Show a saved plan for people."""
    made = read_plan(plan_file)
    if channel is not None:
        with lifecycle(needs_config=False) as walk:
            table = next((table for table in walk.config.channels if table.name == channel), None)
        click.echo(posts.whole(posts.in_plan(made, channel), table))
    elif format_ == "json":
        document(plan_document(made))
    else:
        with lifecycle(needs_config=False) as walk:
            made_text = explain_markdown(made, walk) if format_ == "markdown" else explain(made, walk, probe=False)
            click.echo(made_text)


def read_plan(file: str) -> Plan:
    """A saved plan. Raises `NotFound`, and `Malformed` where it is none."""
    try:
        content = Path(file).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no plan `{file}`", hint="`relman plan STREAM -o plan.json` makes one") from error
    except OSError as error:
        raise RelmanError(f"cannot read the plan `{file}`: {error.strerror}") from error
    return plan_from_bytes(content, what=f"the plan `{file}`")


def overrides_of(gates: tuple[str, ...], reason: str | None, until: str | None, by: str) -> tuple[OverrideRequest, ...]:
    """The overrides that the command line asks for. Raises `UsageError` where one is not explained or has no end."""
    if not gates:
        if reason or until:
            raise UsageError("`--reason` and `--until` go with `--override`")
        return ()
    if not reason or not said(reason) or not until:
        raise UsageError("an override needs a `--reason` and an end, `--until`")
    try:
        end = parse_time(until)
    except ValueError as error:
        raise UsageError(f"`--until {until}` is not a time") from error
    return tuple(_request(gate, said(reason), by, end) for gate in gates)


def _request(text: str, reason: str, by: str, until: datetime) -> OverrideRequest:
    gate, code, variant = (*text.split("/"), None, None)[:3]
    if text.count("/") > 2 or not gate or code == "" or variant == "":
        raise UsageError(f"`--override {text}` is not `GATE`, `GATE/CODE` or `GATE/CODE/VARIANT`")
    return OverrideRequest(gate, None if code == "*" else code, variant, reason, by, until)


def override_lines(overrides: Sequence[Override]) -> list[str]:
    """Each override once, for all variants that it lets pass."""
    found: dict[tuple[str, str, str, str, datetime], list[str]] = {}
    for one in overrides:
        found.setdefault((one.gate, one.code, one.by, one.reason, one.until), []).append(one.variant)
    return [
        f"overridden: {gate}{'' if code in set(State) else f' ({code})'} for {', '.join(dict.fromkeys(variants))} "
        f"by {printable(by)} until {until:%Y-%m-%d %H:%M}: {printable(reason)}"
        for (gate, code, by, reason, until), variants in found.items()
    ]


def explain(plan: Plan, walk: Lifecycle, *, probe: bool = True) -> str:
    """A plan in words: what, from what, which gates, every write; with ``probe``, how this machine would do it."""
    lines = [_bold(f"{plan.project} {plan.stream} → {plan.version}") + f"   release {plan.id}"]
    if plan.rollback:
        why = f": {plan.rollback.reason}" if plan.rollback.reason else ""
        lines.append(f"  rolls back {plan.previous} ({plan.rollback.of}), and holds the stream{why}")
    else:
        lines.append(f"  follows {plan.previous or 'nothing: it is the first release'}")
    if not plan.changed:
        lines.append("  nothing to do: the stream's last release holds exactly these images")
    rows = []
    for variant in plan.variants:
        before = variant.previous_digest.short if variant.previous_digest else "—"
        rows.append((variant.name, before, "→", variant.digest.short, ", ".join(map(str, variant.platforms))))
    lines += ["", _bold("images"), table(rows, indent="  ")]
    counts = plan.changelog.accounting
    lines += [
        "",
        _bold("changes"),
        f"  {counted(counts.packages_changed, 'package row')} in {counted(len(plan.variants), 'variant')}, "
        f"{counted(counts.commits_in_range, 'commit')}",
    ]
    told = {note.rstrip(".").casefold() for note in plan.changelog.notes}  # as sentences, what readers care for
    further = (note for note in plan.assumed if note.rstrip(".").casefold() not in told)
    lines += [f"  {printable(note)}" for note in (*plan.changelog.notes, *further)]
    lines += ["", _bold("gates"), *gate_lines(plan.gates, plan.overrides, walk.clock())]
    if plan.actions:
        lines += ["", _bold("would do, in this order")]
        for action in plan.actions:
            lines.append(f"  {Stage(action.stage).name.lower():<9}{walk.hands.describe(action)}{posts.size(action)}")
    if able := walk.abilities(plan) if plan.actions and probe else ():
        lines += ["", _bold("how")]
        for ability in able:
            problem = ability.problem
            hint = f" ({problem.hint})" if problem and problem.hint else ""
            lines.append(f"  ✗ {ability.how}: {problem.message}{hint}" if problem else f"  {ability.how}")
    return "\n".join(lines)


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def explain_markdown(plan: Plan, walk: Lifecycle) -> str:
    """A plan as a pull request, or the summary of a CI step, shows it: gates first, every write, then the notes.

    Its first line, which nobody sees, says which release that is: the gate `approvals` looks for it.
    """

    from relman.render.escaping import code, escape, sentence  # texts load much, and are seldom asked for

    lines = [release_marker(plan.id), f"## {escape(plan.project)} {code(plan.stream)} → {code(plan.version)}", ""]
    lines += gate_markdown(plan.gates, plan.overrides, walk.clock())
    if plan.assumed:
        lines += ["", *(f"- {sentence(line)}" for line in plan.assumed)]
    if plan.actions:
        writes = [
            f"1. {Stage(action.stage).name.lower()}: {sentence(printable(walk.hands.describe(action)))}"
            for action in plan.actions
        ]
        what = counted(len(writes), "write")
        lines += ["", "<details>", f"<summary>{what}, in this order</summary>", "", *writes, "", "</details>"]
    return "\n".join([*lines, "", plan.notes])
