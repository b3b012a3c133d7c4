"""What people say against a release or a stream: which record they mean, and whether it can be said of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from relman.config import Config
from relman.errors import NotFound, PartlyDone, RelmanError, UsageError
from relman.model.holds import Hold
from relman.model.plan import Plan
from relman.model.record import Record, RecordState, called
from relman.model.streams import Stream
from relman.walk.planning import moved_in_part


def of_release(
    records: Sequence[Record], stream: Stream, version: str, plan_of: Callable[[Record], Plan | None]
) -> Record:
    """The release to yank, by id, version or name. Raises where there is none, or where nobody ever saw it."""
    found = called(records, version)
    if not found:
        raise NotFound(
            f"stream `{stream.name}` has no record `{version}`",
            hint=f"`relman records --stream {stream.name}` lists those there are",
        )
    seen = [record for record in found if record.state is not RecordState.INTENDED]
    if not seen:
        raise RelmanError(f"`{found[0].version}` was never released: its record is {found[0].state}")
    record = next((one for one in seen if one.state is RecordState.FINISHED), seen[0])
    plan = plan_of(record) if record.state is RecordState.PARTIAL else None
    if plan and moved_in_part(plan, record.receipts):
        raise PartlyDone(
            f"the tags of `{stream.name}` are partly moved: `{record.version}` is not finished",
            hint=f"finish it first: `relman resume {record.id}`",
        )
    return record


def hold_of(config: Config, stream: Stream, variant: str | None, reason: str, by: str, now: datetime) -> Hold:
    """The hold. Raises `UsageError` for a variant that is not configured, and for want of a reason."""
    if variant is not None and all(one.name != variant for one in config.variants):
        names = ", ".join(f"`{one.name}`" for one in config.variants)
        raise UsageError(f"there is no variant `{variant}`", hint=f"there are {names}")
    if not reason.strip():
        raise UsageError("a hold needs a reason: whoever comes next has to know what would lift it")
    return Hold(stream.name, variant, reason.strip(), by, now)
