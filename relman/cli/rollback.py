"""`relman rollback`: a stream's tags back to an earlier release, planned and recorded like a promotion."""

from __future__ import annotations

import click

from relman import returning
from relman.cli.app import lifecycle, say, working
from relman.cli.apply import carry_out
from relman.cli.options import common_options, override_option, until_option
from relman.cli.output import write
from relman.cli.person import agreed, require_somebody, said
from relman.cli.plan import explain, overrides_of
from relman.documents.plan import plan_bytes
from relman.errors import GateClosed
from relman.walk.gating import closed
from relman.walk.gating import explain as explain_gates


@click.command()
@click.argument("stream")
@click.option("--to", metavar="V", help="The release to go back to, by version or id; else the one before.")
@click.option("--reason", metavar="TEXT", help="Why; and, with --override, why the gates are overridden.")
@click.option("-o", "--output", metavar="FILE", help="Save the plan for `relman apply`, and change nothing.")
@override_option
@until_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@common_options
def rollback(
    stream: str,
    to: str | None,
    reason: str | None,
    output: str | None,
    gates: tuple[str, ...],
    until: str | None,
    yes: bool,
) -> None:
    """Let STREAM hold an earlier release again, and hold it there until `relman unhold`.

    Only the stream's own tags move; nothing is removed or published. Channels that announce are told.
    """
    if output is None:
        require_somebody(yes)
    with lifecycle(needs_config=True) as walk:
        chosen = walk.config.stream(stream)
        overrides = overrides_of(gates, reason if gates else None, until, walk.person())
        why = (said(reason) or None) if reason else None
        with working(f"looking for the way back of {stream}"):
            plan = returning.plan_rollback(walk, chosen, to=to, reason=why, by=walk.person(), overrides=overrides)
        if plan is None:
            say(f"nothing to do: `{stream}` was rolled back already; `--to V` goes further")
            return
        say(explain(plan, walk))
        if output:
            write(plan_bytes(plan).decode(), output)
            if output != "-":
                say(f"saved: `relman apply {output}` carries out exactly this")
            return
        if not plan.changed:
            return
        if shut := closed(plan.gates, plan.overrides, walk.clock()):
            raise GateClosed(explain_gates(shut))
        if agreed(yes, f"Roll {stream} back to {plan.version}?"):
            carry_out(walk, plan)
