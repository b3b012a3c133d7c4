"""`relman apply`, `relman release`, `relman resume`: carry out a plan, one action at a time, and finish it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from relman.cli import github
from relman.cli.app import lifecycle, say, working
from relman.cli.options import common_options, override_options
from relman.cli.output import read_note
from relman.cli.plan import explain, explain_markdown, overrides_of, read_plan
from relman.cli.sboms import parse_sboms, sbom_option
from relman.documents.plan import plan_from_bytes
from relman.errors import GateClosed, NotFound, OutOfTime, PartlyDone, UsageError
from relman.lifecycle import Lifecycle
from relman.model.plan import Action, Plan
from relman.model.record import Receipt, ReceiptState, Record, RecordState
from relman.walk.acting import UNFINISHED, Outcome
from relman.walk.gating import closed
from relman.walk.gating import explain as explain_gates

_MARKS = {
    ReceiptState.DONE: ("✓", "green"),
    ReceiptState.ADOPTED: ("✓", "green"),
    ReceiptState.SKIPPED: ("–", "yellow"),
    ReceiptState.FAILED: ("✗", "red"),
    ReceiptState.UNKNOWN: ("?", "yellow"),
}


@click.command()
@click.argument("plan_file", metavar="PLAN")
@common_options
def apply(plan_file: str) -> None:
    """Carry out exactly the saved PLAN. It asks nothing: the plan was the review. Run again, it finishes."""
    plan = read_plan(plan_file)
    with lifecycle(needs_config=True) as walk:
        carry_out(walk, plan)
        _tell_the_job(plan, walk)


@click.command()
@click.argument("stream")
@click.option("--from", "since", metavar="V", help="Another predecessor, by its version.")
@sbom_option
@click.option("--note", metavar="FILE", help="A handwritten introduction in Markdown; `-` for stdin.")
@override_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 where there is nothing to do.")
@common_options
def release(
    stream: str,
    since: str | None,
    sboms: tuple[str, ...],
    note: str | None,
    gates: tuple[str, ...],
    reason: str | None,
    until: str | None,
    yes: bool,
    detailed_exitcode: bool,
) -> int:
    """Plan a release of STREAM, show it, ask, and carry it out."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("there is nobody to ask", hint="give `--yes`, or `relman plan` and `relman apply`")
    introduction, given = read_note(note), parse_sboms(sboms)
    with lifecycle(needs_config=True) as walk:
        overrides = overrides_of(gates, reason, until, walk.person())
        with working(f"planning {stream}"):
            plan = walk.plan(
                walk.config.stream(stream), since=since, note=introduction, overrides=overrides, sboms=given
            )
        say(explain(plan, walk))
        github.outputs(github.of_plan(plan))
        if not plan.changed:
            return 3 if detailed_exitcode else 0
        shut = closed(plan.gates, plan.overrides, walk.clock())
        if shut:
            raise GateClosed(explain_gates(shut))
        if not yes and not click.confirm(f"\nRelease {plan.version}?", default=False, err=True):
            say("nothing was changed")
            return 0
        carry_out(walk, plan)
        github.summary(explain_markdown(plan, walk))
    return 0


def _tell_the_job(plan: Plan, walk: Lifecycle) -> None:
    github.outputs(github.of_plan(plan))
    github.summary(explain_markdown(plan, walk))


@click.command()
@click.argument("release_name", metavar="[RELEASE]", required=False)
@common_options
def resume(release_name: str | None) -> None:
    """Finish a release that an earlier run left: RELEASE by id or version, or the only one that is unfinished."""
    with lifecycle(needs_config=True) as walk:
        record = _unfinished(walk, release_name)
        if record is None:
            say("nothing is unfinished")
            return
        content = walk.ledger.plan_of(record)
        if content is None:
            raise NotFound(f"the plan of `{record.version}` is not in the ledger, so it cannot be resumed")
        plan = plan_from_bytes(content, what=f"the plan of `{record.version}`")
        carry_out(walk, plan)
        _tell_the_job(plan, walk)


def carry_out(walk: Lifecycle, plan: Plan) -> None:
    """Apply a plan and say what came of it. Raises what its exit code asks for."""
    if not plan.changed:
        say(f"nothing to do: the last release of `{plan.stream}` holds exactly these images")
        return
    try:
        record, outcome = walk.apply(plan, reporter(walk))
    except OutOfTime as error:
        begun = next((r for r in walk.ledger.records(plan.stream) if r.id == plan.id), None)
        if begun is None or begun.state is not RecordState.PARTIAL:
            raise
        hint = f"finish it: `relman resume {plan.id}`"
        raise PartlyDone(f"`{plan.version}` is partly done: {error}", hint=hint) from error
    if outcome is None:
        say(f"nothing to do: `{record.version}` is {record.state}")
        return
    _conclude(record, outcome, plan)


def reporter(walk: Lifecycle) -> Callable[[Action, Receipt], None]:
    """Says what came of each action, a line for each."""

    def report(action: Action, receipt: Receipt) -> None:
        mark, colour = _MARKS[receipt.state]
        state = "" if receipt.state is ReceiptState.DONE else f"  {receipt.state}"
        detail = f": {receipt.detail}" if receipt.detail else ""
        say(f"{click.style(mark, fg=colour)} {walk.hands.describe(action)}{state}{detail}")

    return report


def _conclude(record: Record, outcome: Outcome, plan: Plan) -> None:
    by_key = {action.key: action for action in plan.actions}
    left = [receipt for receipt in outcome.receipts if not receipt.settled]
    if record.state is RecordState.FINISHED:
        for receipt in left:
            say(f"warning: `{receipt.action}` is {receipt.state}, and not required: {receipt.detail}")
        if plan.rollback:
            say(
                f"`{plan.stream}` is back at {record.version}, and held there: `relman unhold {plan.stream}` lifts that"
            )
        else:
            say(f"{record.version} is released: `relman records show {record.id}`")
        return
    if outcome.restored and outcome.stopped:
        say(f"`{plan.stream}` was put back to what it held before")
        raise outcome.stopped
    if record.state is RecordState.INTENDED and outcome.stopped:
        raise outcome.stopped
    first = next((r for r in left if by_key[r.key].required and r.state is not ReceiptState.SKIPPED), left[0])
    others = f", and {len(left) - 1} more" if len(left) > 1 else ""
    hint = f"finish it: `relman resume {record.id}`"
    if first.state is ReceiptState.UNKNOWN:
        hint = (
            f"look whether it arrived; then `relman announce {record.id}` with `--posted`, `--again` or `--skip`: "
            "relman does not send it twice by itself"
        )
    raise PartlyDone(
        f"`{record.version}` is partly done: `{first.action}` is {first.state}: {first.detail}{others}", hint=hint
    )


def _unfinished(walk: Lifecycle, name: str | None) -> Record | None:
    if name is not None:
        return walk.ledger.record(name)
    found = [record for record in walk.ledger.records() if record.state in UNFINISHED]
    if len(found) > 1:
        names = ", ".join(f"`{record.id}` ({record.stream} {record.version})" for record in found)
        raise UsageError(f"several releases are unfinished: {names}", hint="say which: `relman resume ID`")
    return found[0] if found else None
