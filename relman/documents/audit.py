"""`relman.audit/1`: what `relman audit --format json` prints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from typing_extensions import TypedDict

from relman.documents.values import JsonObject, Time, one_of, plain_object, rfc3339
from relman.model.audit import Audit, Code, Finding, Severity, StreamAudit, Unchecked


class FindingDocument(TypedDict):
    """One thing that is not as it should be; ``stream`` is null for the ledger as a whole.

    ``variant`` is null where it is about several or none, ``version`` where it is about no release or tag.
    """

    code: Annotated[Code, one_of(Code)]
    severity: Annotated[Severity, one_of(Severity)]
    stream: str | None
    variant: str | None
    version: str | None
    message: str
    hint: str
    evidence: JsonObject


class UncheckedDocument(TypedDict):
    """What could not be looked into; ``failed`` is false where nothing failed and nobody could know."""

    code: Annotated[Code, one_of(Code)]
    stream: str | None
    reason: str
    failed: bool


AuditedStreamDocument = TypedDict(
    "AuditedStreamDocument", {"name": str, "from": str | None, "records": int, "findings": int}
)
"""A stream that was audited, with how many records were read and how many findings there are."""


class AuditDocument(TypedDict):
    """All that was found. Without findings, what is ``unchecked`` is still not known to be as it should be."""

    schema: Literal["relman.audit/1"]
    project: str
    now: Time
    streams: list[AuditedStreamDocument]
    findings: list[FindingDocument]
    unchecked: list[UncheckedDocument]


def audit_document(project: str, audit: Audit, now: datetime) -> AuditDocument:
    """The document for ``audit``."""
    return AuditDocument(
        schema="relman.audit/1",
        project=project,
        now=rfc3339(now),
        streams=[_stream(stream) for stream in audit.streams],
        findings=[finding_document(finding) for finding in audit.all_findings],
        unchecked=[_unchecked(one) for one in audit.all_unchecked],
    )


def _stream(stream: StreamAudit) -> AuditedStreamDocument:
    return {
        "name": stream.stream,
        "from": stream.source,
        "records": stream.records,
        "findings": len(stream.findings),
    }


def finding_document(finding: Finding) -> FindingDocument:
    """One finding as audits and `relman status` have it."""
    return FindingDocument(
        code=finding.code,
        severity=finding.severity,
        stream=finding.stream,
        variant=finding.variant,
        version=finding.version,
        message=finding.message,
        hint=finding.hint,
        evidence=plain_object(finding.evidence),
    )


def _unchecked(one: Unchecked) -> UncheckedDocument:
    return UncheckedDocument(code=one.code, stream=one.stream, reason=one.reason, failed=one.exit_code is not None)
