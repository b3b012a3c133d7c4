"""Whether what was published still says what it said: each channel is asked, as far as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from os import environ

from relman.boundary import guarded
from relman.errors import ConfigError, Malformed, NotFound, RelmanError, StalePlan
from relman.model.audit import Code, Unchecked
from relman.model.plan import Action
from relman.model.record import Receipt, Record, Unknown
from relman.walk.audit.facts import Answer, Facts

_OTHERWISE = (Malformed, NotFound, StalePlan)
"""What an executor raises where the world shows something else."""


def edited(facts: Facts) -> Iterator[Answer]:
    """Texts that are gone, or are not what was posted. One that a later release replaced in its place is let be."""
    replaced: set[tuple[str, str | None]] = set()
    said: set[str] = set()
    for record in facts.recent:
        try:
            plan = facts.published.plan_of(record)
        except Malformed as error:
            yield facts.finding(
                Code.BROKEN_RECORD,
                f"the plan of `{record.version}` cannot be read: {error.message}",
                "restore it from the history of the ledger",
                version=record.version,
                evidence={"record": record.id},
            )
            continue
        for action in plan.actions if plan else ():
            receipt = record.receipt(action.key)
            if receipt is None or not receipt.stands or receipt.edited or action.channel is None:
                continue  # what was corrected says something else than the plan, and nothing else is known
            place = (action.target, receipt.remote_id)
            if receipt.remote_id and place in replaced:
                continue
            replaced.add(place)
            answer = _read_back(facts, record, action, receipt)
            if isinstance(answer, Unchecked):
                if answer.reason in said:
                    continue
                said.add(answer.reason)
            if answer:
                yield answer


def _read_back(facts: Facts, record: Record, action: Action, receipt: Receipt) -> Answer | None:
    """What the channel says of one text; `None` where it is as it was."""
    table = next((table for table in facts.config.channels if table.name == action.channel), None)
    executor = facts.published.executor(action.kind)
    if table is None or executor is None:
        missing = (
            f"there is no channel `{action.channel}` any more" if table is None else f"no plugin reads `{action.kind}`"
        )
        return facts.unchecked(Code.EDITED, f"{missing}: what it published was not read back")
    if unset := [name for name in table.variables if not environ.get(name)]:
        return facts.unchecked(
            Code.EDITED, f"channel `{action.channel}` was not asked: it needs `{unset[0]}`, which is not set"
        )
    what = f"channel `{action.channel}` could not be asked"
    try:
        reader = facts.published.reader(action, executor)
        found = guarded(what, executor.probe, action, reader)
        if isinstance(found, Unknown):
            return facts.unchecked(Code.EDITED, f"channel `{action.channel}` cannot tell: {found.reason}")
        guarded(what, executor.verify, action, receipt, reader)
    except _OTHERWISE as error:
        return _edited(facts, record, receipt, error.message)
    except ConfigError:
        raise
    except RelmanError as error:
        return facts.unchecked(Code.EDITED, f"channel `{action.channel}`: {error.message}", error.exit_code)
    if found is None:
        return _edited(facts, record, receipt, "it is not there")
    if receipt.sha256 and found.sha256 and receipt.sha256 != found.sha256:
        return _edited(facts, record, receipt, "its hash is another")
    return None


def _edited(facts: Facts, record: Record, receipt: Receipt, why: str) -> Answer:
    return facts.finding(
        Code.EDITED,
        f"what `{receipt.action}` published of `{record.version}` is not what was posted: {why}",
        f"`relman records show {record.id}` has the hash, the record's plan.json the text",
        version=record.version,
        evidence={
            "record": record.id,
            "action": receipt.action,
            "sha256": receipt.sha256,
            "remote_id": receipt.remote_id,
            "url": receipt.url,
        },
    )
