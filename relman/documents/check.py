"""`relman.check/1`: what `relman check --format json` prints."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from relman.model.check import Checked


class FaultDocument(TypedDict):
    """One fault; ``line`` is null where the whole file is meant, ``hint`` where there is no next step to name."""

    file: str
    line: int | None
    message: str
    hint: str | None


class CheckDocument(TypedDict):
    """What was looked at, in words, and every fault."""

    schema: Literal["relman.check/1"]
    looked_at: list[str]
    faults: list[FaultDocument]


def check_document(checked: Checked) -> CheckDocument:
    """The document for ``checked``."""
    return {
        "schema": "relman.check/1",
        "looked_at": list(checked.looked_at),
        "faults": [
            {"file": fault.file, "line": fault.line, "message": fault.message, "hint": fault.hint}
            for fault in checked.faults
        ],
    }
