"""`relman.record/1`: what a release leaves behind (docs/contract: Records)."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from relman.documents.gates import (
    GateDocument,
    OverrideDocument,
    gate_document,
    gate_from,
    override_document,
    override_from,
)
from relman.documents.reading import canonical, printable, read_json, validated
from relman.documents.receipts import ReceiptDocument, receipt_document, receipt_from
from relman.documents.values import Name, PlatformText, Time, bounded, one_of, parse_rfc3339, rfc3339
from relman.errors import Malformed
from relman.model.oci import Digest, Platform
from relman.model.record import (
    Imported,
    Lease,
    Record,
    RecordedEvidence,
    RecordedVariant,
    RecordState,
    Withdrawal,
)
from relman.model.rollback import Rollback

RECORD_SCHEMA: Final = "relman.record/1"
RECORD_LIMIT = 16 * 1024 * 1024
"""The largest record that is read, in bytes: a thousand times what a release of ten variants needs."""


class EvidenceDocument(TypedDict):
    """A signature, an attestation or a list: of which manifest, and the tag of cosign's that held it, or null."""

    subject: Digest
    digest: Digest
    kind: str
    tag: str | None


class RecordedVariantDocument(TypedDict):
    """One variant as it was released; ``evidence``, what was attached then, is there only where somebody looked."""

    name: Name
    reference: str
    digest: Digest | None
    previous_digest: Digest | None
    platforms: list[PlatformText]
    revision: str | None
    contents: Digest | None
    evidence: NotRequired[list[EvidenceDocument]]


class LeaseDocument(TypedDict):
    """Who works on the release; ``started`` tells a reused process id apart, and is null where that is not known."""

    host: Name
    process: Annotated[int, Field(gt=0)]
    started: str | None
    until: Time


ImportedDocument = TypedDict(
    "ImportedDocument",
    {
        "from": Name,
        "file": str,
        "url": str | None,
        "sha256": Annotated[str, Field(pattern="^[0-9a-f]{64}$")],
        "not_read": Annotated[int, Field(ge=0)],
    },
)
"""Where an imported release was published; ``sha256`` is the hash of the text that was read, as UTF-8."""


class WithdrawalDocument(TypedDict):
    """Why a release no longer stands."""

    reason: str
    by: str
    at: Time


class RollbackDocument(TypedDict):
    """The record of the release that is taken back, that of the one gone back to, and who asked for it, and why."""

    of: Name
    to: Name
    reason: str | None
    by: str


class RecordDocument(TypedDict):
    """A whole record; ``lease`` is there only while somebody works on it.

    ``imported`` is there, and ``plan`` null, where relman did not make the release. ``rollback`` is there where it is
    the way back to an earlier release, ``withdrawn`` where it was itself rolled back or yanked,
    ``elsewhere`` where a run died in the middle of it on another machine, so that nobody knows all that it tried.
    """

    schema: Literal["relman.record/1"]
    id: Name
    project: str
    stream: Name
    version: Name
    previous: str | None
    state: Annotated[RecordState, one_of(RecordState)]
    created: Time
    finished: Time | None
    plan: Digest | None
    variants: list[RecordedVariantDocument]
    gates: list[GateDocument]
    overrides: list[OverrideDocument]
    receipts: list[ReceiptDocument]
    lease: NotRequired[LeaseDocument]
    imported: NotRequired[ImportedDocument]
    rollback: NotRequired[RollbackDocument]
    withdrawn: NotRequired[WithdrawalDocument]
    elsewhere: NotRequired[Literal[True]]


_RECORD = TypeAdapter(RecordDocument)


def record_document(record: Record) -> RecordDocument:
    """The record as JSON has it, its keys in the order of the contract."""
    document = RecordDocument(
        schema=RECORD_SCHEMA,
        id=record.id,
        project=record.project,
        stream=record.stream,
        version=record.version,
        previous=record.previous,
        state=record.state,
        created=rfc3339(record.created),
        finished=rfc3339(record.finished) if record.finished else None,
        plan=record.plan,
        variants=[_variant_document(variant) for variant in record.variants],
        gates=[gate_document(gate) for gate in record.gates],
        overrides=[override_document(override) for override in record.overrides],
        receipts=[receipt_document(receipt) for receipt in record.receipts],
    )
    if (lease := record.lease) is not None:
        document["lease"] = LeaseDocument(
            host=lease.host, process=lease.process, started=lease.started, until=rfc3339(lease.until)
        )
    if (imported := record.imported) is not None:
        document["imported"] = {
            "from": imported.origin,
            "file": imported.file,
            "url": imported.url,
            "sha256": imported.sha256,
            "not_read": imported.not_read,
        }
    if record.rollback is not None:
        document["rollback"] = rollback_document(record.rollback)
    if (withdrawn := record.withdrawn) is not None:
        document["withdrawn"] = WithdrawalDocument(reason=withdrawn.reason, by=withdrawn.by, at=rfc3339(withdrawn.at))
    if record.elsewhere:
        document["elsewhere"] = True
    return document


def _variant_document(variant: RecordedVariant) -> RecordedVariantDocument:
    document = RecordedVariantDocument(
        name=variant.name,
        reference=variant.reference,
        digest=variant.digest,
        previous_digest=variant.previous_digest,
        platforms=[str(platform) for platform in variant.platforms],
        revision=variant.revision,
        contents=variant.contents,
    )
    if variant.evidence is not None:
        document["evidence"] = [
            EvidenceDocument(subject=one.subject, digest=one.digest, kind=bounded(one.kind), tag=one.tag)
            for one in variant.evidence
        ]
    return document


def _variant(read: RecordedVariantDocument) -> RecordedVariant:
    evidence = read.get("evidence")
    return RecordedVariant(
        name=read["name"],
        reference=read["reference"],
        digest=read["digest"],
        previous_digest=read["previous_digest"],
        platforms=tuple(Platform.parse(platform) for platform in read["platforms"]),
        revision=read["revision"],
        contents=read["contents"],
        evidence=None
        if evidence is None
        else tuple(RecordedEvidence(one["subject"], one["digest"], one["kind"], one["tag"]) for one in evidence),
    )


def record_from_document(document: object, *, what: str = "the record") -> Record:
    """The record that ``document`` holds. Raises `Malformed`; ``what`` names the document in the message."""
    read = validated(_RECORD, document, RECORD_SCHEMA, what=what)
    try:
        return _record(read)
    except ValueError as error:
        raise Malformed(f"{what} does not add up: {error}") from error


def record_bytes(record: Record) -> bytes:
    """The record as it lies in the ledger. Raises `Malformed` for evidence of a gate that JSON cannot hold."""
    try:
        return canonical(record_document(record))
    except ValueError as error:
        raise Malformed(printable(f"the record of `{record.name}` cannot be written: {error}")) from error


def record_from_bytes(content: bytes, *, what: str = "the record") -> Record:
    """The record in a file. Raises `Malformed`."""
    return record_from_document(read_json(content, what=what, limit=RECORD_LIMIT), what=what)


def _record(read: RecordDocument) -> Record:
    lease, imported, withdrawn = read.get("lease"), read.get("imported"), read.get("withdrawn")
    return Record(
        id=read["id"],
        project=read["project"],
        stream=read["stream"],
        version=read["version"],
        previous=read["previous"],
        state=read["state"],
        created=parse_rfc3339(read["created"]),
        finished=parse_rfc3339(read["finished"]) if read["finished"] else None,
        plan=read["plan"],
        variants=tuple(map(_variant, read["variants"])),
        gates=tuple(gate_from(gate) for gate in read["gates"]),
        overrides=tuple(map(override_from, read["overrides"])),
        receipts=tuple(receipt_from(receipt) for receipt in read["receipts"]),
        lease=Lease(lease["host"], lease["process"], lease["started"], parse_rfc3339(lease["until"]))
        if lease
        else None,
        imported=Imported(imported["from"], imported["file"], imported["url"], imported["sha256"], imported["not_read"])
        if imported
        else None,
        rollback=rollback_from(read.get("rollback")),
        withdrawn=Withdrawal(withdrawn["reason"], withdrawn["by"], parse_rfc3339(withdrawn["at"]))
        if withdrawn
        else None,
        elsewhere=read.get("elsewhere", False),
    )


def rollback_document(rollback: Rollback) -> RollbackDocument:
    """What makes a release a rollback, as records and plans have it."""
    return RollbackDocument(of=rollback.of, to=rollback.to, reason=rollback.reason, by=rollback.by)


def rollback_from(read: RollbackDocument | None) -> Rollback | None:
    """What a validated document says of it."""
    return Rollback(read["of"], read["to"], read["reason"], read["by"]) if read else None
