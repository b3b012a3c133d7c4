"""All checks, in the order in which they are told, each kept from the failure of another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from relman.config import Config
from relman.errors import ConfigError, Malformed, Passing, RelmanError, Unequipped
from relman.ledger.protocol import Ledger
from relman.model.audit import Audit, Code, Finding, StreamAudit, Unchecked
from relman.model.gates import GateResult
from relman.model.observed import Observations
from relman.model.streams import Stream
from relman.registry.protocol import RegistryReader
from relman.walk.audit import builds, evidence, images, pins, records, rhythm, tags, texts
from relman.walk.audit.facts import Answer, Facts, Images, Published
from relman.walk.tags import TagBook

_NEVER_OBSERVED = (
    "nothing was ever observed, so tags are compared with records alone: run `relman observe` on a schedule"
)


class Check(msgspec.Struct, frozen=True):
    """One check: which findings it is known by, and whether it needs the registry."""

    code: Code
    run: Callable[[Facts], Iterable[Answer]]
    asks_registry: bool = True


CHECKS = (
    Check(Code.BROKEN_RECORD, records.broken, asks_registry=False),
    Check(Code.UNFINISHED, records.unfinished, asks_registry=False),
    Check(Code.GAP, records.gap, asks_registry=False),
    Check(Code.BACKWARDS, records.backwards, asks_registry=False),
    Check(Code.SAME_BUILD, records.same_build, asks_registry=False),
    Check(Code.EDITED, texts.edited, asks_registry=False),
    Check(Code.STANDSTILL, rhythm.standstill),
    Check(Code.FOREIGN_MOVE, tags.foreign_move),
    Check(Code.MOVED_TAG, tags.moved_tag),
    Check(Code.UNANNOUNCED, builds.unannounced),
    Check(Code.SAME_BUILD, builds.same_tagged_build),
    Check(Code.IMAGE_GONE, images.image_gone),
    Check(Code.BACKWARDS, images.made_before),
    Check(Code.UNPINNED, pins.unpinned),
    Check(Code.EVIDENCE_LOST, evidence.evidence_lost),
)
"""Another finding is another function, with its line here."""


def audit(
    config: Config,
    streams: Sequence[Stream],
    ledger: Ledger,
    reader: RegistryReader,
    published: Published,
    *,
    now: datetime,
    last: int | None,
    closed: Callable[[Stream], tuple[GateResult, ...]] = lambda _: (),
) -> Audit:
    """Every stream of ``streams``, one by one: what the registry said of one is not asked again for the next.

    ``closed`` says which gates keep out what waits to enter a stream.
    """
    tags, images = TagBook(reader), Images(reader)
    findings: tuple[Finding, ...] = ()
    try:
        observed = ledger.observed()
    except Malformed as error:
        observed = Observations()
        hint = error.hint or "restore it from the history of the ledger"
        findings = (Finding(Code.BROKEN_RECORD, None, None, None, error.message, hint),)

    def one(stream: Stream) -> StreamAudit:
        found, broken = ledger.survey(stream.name)
        return audit_stream(
            Facts(config, stream, found, broken, observed, tags, images, reader, published, now, last, closed)
        )

    never = not observed.entries and not findings
    return Audit(tuple(map(one, streams)), findings, (Unchecked(Code.MOVED_TAG, None, _NEVER_OBSERVED),) * never)


def audit_stream(facts: Facts) -> StreamAudit:
    """Everything that is found in one stream, and what could not be looked into.

    A registry that does not answer, or refuses to, is asked no more; checks that need none still say what they find.
    """
    findings: list[Finding] = []
    unchecked: list[Unchecked] = []
    down: RelmanError | None = None
    for check in CHECKS:
        if down and check.asks_registry:
            unchecked.append(facts.unchecked(check.code, down.message, down.exit_code))
            continue
        try:
            for answer in check.run(facts):
                if isinstance(answer, Finding):
                    findings.append(answer)
                else:
                    unchecked.append(answer)
        except ConfigError:
            raise
        except RelmanError as error:
            unchecked.append(facts.unchecked(check.code, error.message, error.exit_code))
            if isinstance(error, Passing | Unequipped) and check.asks_registry:
                down = error
    return StreamAudit(
        facts.stream.name, facts.stream.source, len(facts.records), tuple(findings), tuple(dict.fromkeys(unchecked))
    )
