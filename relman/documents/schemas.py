"""The JSON Schemas of every document, made from the types that write them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from relman.documents.audit import AuditDocument
from relman.documents.changelog_shape import ChangelogDocument
from relman.documents.check import CheckDocument
from relman.documents.contents import ContentsDocument
from relman.documents.diff import DiffDocument, DiffsDocument
from relman.documents.holds import HoldsDocument
from relman.documents.imported import ImportDocument
from relman.documents.lists import (
    CacheDocument,
    EmbeddedDocument,
    PackagesDocument,
    PluginsDocument,
    PublishedDocument,
    RecordsDocument,
    TagsDocument,
)
from relman.documents.observed import ObservedDocument, ObserveDocument
from relman.documents.plan import PlanDocument
from relman.documents.record import RecordDocument
from relman.documents.status import StatusDocument

_DOCUMENTS: dict[str, Any] = {
    "diff": DiffDocument,
    "diffs": DiffsDocument,
    "changelog": ChangelogDocument,
    "plan": PlanDocument,
    "record": RecordDocument,
    "contents": ContentsDocument,
    "status": StatusDocument,
    "observe": ObserveDocument,
    "observed": ObservedDocument,
    "holds": HoldsDocument,
    "audit": AuditDocument,
    "packages": PackagesDocument,
    "published": PublishedDocument,
    "embedded": EmbeddedDocument,
    "check": CheckDocument,
    "cache": CacheDocument,
    "tags": TagsDocument,
    "records": RecordsDocument,
    "import": ImportDocument,
    "plugins": PluginsDocument,
}


def names() -> tuple[str, ...]:
    """The documents that have a schema."""
    return tuple(_DOCUMENTS)


def schema(name: str) -> dict[str, object]:
    """The JSON Schema (2020-12) of the document ``name``."""
    made = TypeAdapter(_DOCUMENTS[name]).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"relman.{name}/1", **made}
