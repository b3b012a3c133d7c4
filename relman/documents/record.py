"""`relman.record/1`: what a release leaves behind (docs/contract: Records)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from relman.documents.reading import canonical, printable, read_json, validated
from relman.documents.values import JsonObject, Name, PlatformText, Time, one_of, parse_rfc3339, plain_object, rfc3339
from relman.errors import Malformed
from relman.model.gates import GateResult, Override, State
from relman.model.oci import Digest, Platform
from relman.model.record import (
    Correction,
    Imported,
    Lease,
    Receipt,
    ReceiptState,
    Record,
    RecordedEvidence,
    RecordedVariant,
    RecordState,
    Withdrawal,
)
from relman.model.rollback import Rollback
from relman.redaction import redact

RECORD_SCHEMA: Final = "relman.record/1"
RECORD_LIMIT = 16 * 1024 * 1024
"""The largest record that is read, in bytes: a thousand times what a release of ten variants needs."""


_LONGEST = 4096


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


class GateDocument(TypedDict):
    """What a gate said of a digest; ``platform``, ``at`` and ``needs`` are there only where the gate named them.

    ``code`` is there where it says more than the state; ``may_override`` where not everybody may who may release.
    """

    gate: Name
    variant: Name
    digest: Digest
    state: Annotated[State, one_of(State)]
    reason: str
    evidence: JsonObject
    platform: NotRequired[PlatformText]
    at: NotRequired[Time]
    code: NotRequired[str]
    needs: NotRequired[str]
    may_override: NotRequired[list[str]]


class OverrideDocument(TypedDict):
    """Who lets which answer of a gate pass: of that code, for that variant's digest, until when, and why.

    ``platform`` is there where the answer was about one.
    """

    gate: Name
    code: Name
    variant: Name
    digest: Digest
    reason: str
    by: str
    until: Time
    platform: NotRequired[PlatformText]


class CorrectionDocument(TypedDict):
    """Who changed or took back a post; ``sha256``, of an edit, is the hash of what it made of the action's payload."""

    at: Time
    by: str
    sha256: NotRequired[str]


class ReceiptDocument(TypedDict):
    """What came of an action; ``detail`` is there only where there is something to say.

    ``edited`` and ``withdrawn`` are there where the post was corrected or taken back, ``by`` where a person said what
    came of it.
    """

    key: Name
    action: Name
    state: Annotated[ReceiptState, one_of(ReceiptState)]
    at: Time
    remote_id: str | None
    url: str | None
    sha256: str | None
    detail: NotRequired[str]
    edited: NotRequired[CorrectionDocument]
    withdrawn: NotRequired[CorrectionDocument]
    by: NotRequired[str]


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
_RECEIPT = TypeAdapter(ReceiptDocument)


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
            EvidenceDocument(subject=one.subject, digest=one.digest, kind=_bounded(one.kind), tag=one.tag)
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
        receipts=tuple(_receipt(receipt) for receipt in read["receipts"]),
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


def gate_document(gate: GateResult) -> GateDocument:
    """A gate's answer as records and plans have it."""
    document = GateDocument(
        gate=gate.gate,
        variant=gate.variant,
        digest=gate.digest,
        state=gate.state,
        reason=gate.reason,
        evidence=plain_object(gate.evidence),
    )
    if gate.platform is not None:
        document["platform"] = str(gate.platform)
    if gate.at is not None:
        document["at"] = rfc3339(gate.at)
    if gate.code not in ("", gate.state):
        document["code"] = gate.code
    if gate.needs is not None:
        document["needs"] = gate.needs
    if gate.may_override is not None:
        document["may_override"] = list(gate.may_override)
    return document


def override_document(override: Override) -> OverrideDocument:
    """An override as records and plans have it."""
    document = OverrideDocument(
        gate=override.gate,
        code=override.code,
        variant=override.variant,
        digest=override.digest,
        reason=override.reason,
        by=override.by,
        until=rfc3339(override.until),
    )
    if override.platform is not None:
        document["platform"] = str(override.platform)
    return document


def override_from(read: OverrideDocument) -> Override:
    """The override that a validated document holds."""
    return Override(
        gate=read["gate"],
        code=read["code"],
        variant=read["variant"],
        digest=read["digest"],
        reason=read["reason"],
        by=read["by"],
        until=parse_rfc3339(read["until"]),
        platform=Platform.parse(read["platform"]) if "platform" in read else None,
    )


def gate_from(read: GateDocument) -> GateResult:
    """The answer that a validated document holds."""
    platform, at = read.get("platform"), read.get("at")
    return GateResult(
        gate=read["gate"],
        variant=read["variant"],
        digest=read["digest"],
        state=read["state"],
        reason=read["reason"],
        evidence=read["evidence"],
        platform=Platform.parse(platform) if platform else None,
        at=parse_rfc3339(at) if at else None,
        code=read.get("code", ""),
        needs=read.get("needs"),
        may_override=tuple(read["may_override"]) if "may_override" in read else None,
    )


def receipt_document(receipt: Receipt) -> ReceiptDocument:
    """A receipt as records and journals have it; what a service answered is cut where it is longer than any name."""
    document = ReceiptDocument(
        key=receipt.key,
        action=receipt.action,
        state=receipt.state,
        at=rfc3339(receipt.at),
        remote_id=None if receipt.remote_id is None else _bounded(receipt.remote_id),
        url=None if receipt.url is None else _bounded(receipt.url),
        sha256=receipt.sha256,
    )
    if receipt.detail is not None:  # the words of a service, which may repeat what it was sent
        document["detail"] = _bounded(redact(receipt.detail))
    if receipt.edited is not None:
        document["edited"] = _correction_document(receipt.edited)
    if receipt.withdrawn is not None:
        document["withdrawn"] = _correction_document(receipt.withdrawn)
    if receipt.by is not None:
        document["by"] = _bounded(receipt.by)
    return document


def _correction_document(correction: Correction) -> CorrectionDocument:
    document = CorrectionDocument(at=rfc3339(correction.at), by=_bounded(correction.by))
    if correction.sha256 is not None:
        document["sha256"] = correction.sha256
    return document


def _correction(read: CorrectionDocument | None) -> Correction | None:
    return Correction(parse_rfc3339(read["at"]), read["by"], read.get("sha256")) if read else None


def _bounded(text: str) -> str:
    """``text`` short and writable: a service that answers with a megabyte must not cost the record."""
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return text.encode(errors="replace").decode()


def receipt_from_document(document: Mapping[str, object]) -> Receipt:
    """The receipt that ``document`` holds. Raises pydantic's `ValidationError`, a `ValueError`."""
    return _receipt(_RECEIPT.validate_python(document, strict=True))


def _receipt(read: ReceiptDocument) -> Receipt:
    return Receipt(
        key=read["key"],
        action=read["action"],
        state=read["state"],
        at=parse_rfc3339(read["at"]),
        remote_id=read["remote_id"],
        url=read["url"],
        sha256=read["sha256"],
        detail=read.get("detail"),
        edited=_correction(read.get("edited")),
        withdrawn=_correction(read.get("withdrawn")),
        by=read.get("by"),
    )
