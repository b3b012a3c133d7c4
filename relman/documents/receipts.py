"""What came of actions, as records and journals have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from relman.documents.values import Name, Time, bounded, one_of, parse_rfc3339, rfc3339
from relman.model.record import Correction, Receipt, ReceiptState
from relman.redaction import redact


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


_RECEIPT = TypeAdapter(ReceiptDocument)


def receipt_document(receipt: Receipt) -> ReceiptDocument:
    """A receipt as records and journals have it; what a service answered is cut where it is longer than any name."""
    document = ReceiptDocument(
        key=receipt.key,
        action=receipt.action,
        state=receipt.state,
        at=rfc3339(receipt.at),
        remote_id=None if receipt.remote_id is None else bounded(receipt.remote_id),
        url=None if receipt.url is None else bounded(receipt.url),
        sha256=receipt.sha256,
    )
    if receipt.detail is not None:  # the words of a service, which may repeat what it was sent
        document["detail"] = bounded(redact(receipt.detail))
    if receipt.edited is not None:
        document["edited"] = _correction_document(receipt.edited)
    if receipt.withdrawn is not None:
        document["withdrawn"] = _correction_document(receipt.withdrawn)
    if receipt.by is not None:
        document["by"] = bounded(receipt.by)
    return document


def receipt_from_document(document: Mapping[str, object]) -> Receipt:
    """The receipt that ``document`` holds. Raises pydantic's `ValidationError`, a `ValueError`."""
    return receipt_from(_RECEIPT.validate_python(document, strict=True))


def receipt_from(read: ReceiptDocument) -> Receipt:
    """The receipt that a validated document holds."""
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


def _correction_document(correction: Correction) -> CorrectionDocument:
    document = CorrectionDocument(at=rfc3339(correction.at), by=bounded(correction.by))
    if correction.sha256 is not None:
        document["sha256"] = correction.sha256
    return document


def _correction(read: CorrectionDocument | None) -> Correction | None:
    return Correction(parse_rfc3339(read["at"]), read["by"], read.get("sha256")) if read else None
