"""What a step of GitHub Actions gets from relman: outputs, a summary, masks, annotations.

Source: GitHub's "Workflow commands for GitHub Actions" (GITHUB_OUTPUT with a delimiter, GITHUB_STEP_SUMMARY).
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from relman.errors import RelmanError
from relman.model.plan import Plan
from relman.redaction import redact

SUMMARY_LIMIT = 1024 * 1024
"""The largest summary of a step, in bytes."""


def outputs(values: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> None:
    """Add ``values`` to the step's outputs, each behind a delimiter that nobody can guess; nothing elsewhere."""
    file = environ.get("GITHUB_OUTPUT")
    if not file:
        return
    text = ""
    for name, value in values.items():
        delimiter = f"relman-{uuid.uuid4()}"
        while delimiter in value:  # it cannot be, and must not
            delimiter = f"relman-{uuid.uuid4()}"
        text += f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
    _append(file, text)


def summary(markdown: str, environ: Mapping[str, str] = os.environ) -> None:
    """Add ``markdown`` to the summary of the step; where it is too long for GitHub, a sentence says so instead."""
    file = environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    if len(markdown.encode()) > SUMMARY_LIMIT:
        markdown = "The notes are too long for a step's summary (1 MiB); see the file that relman wrote.\n"
    _append(file, markdown if markdown.endswith("\n") else markdown + "\n")


def annotate(faults: Iterable[tuple[str, int | None, str]], environ: Mapping[str, str] = os.environ) -> None:
    """Show each fault (file, line, message) beside its line in the pull request; nothing outside of a step."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    for file, line, message in faults:
        place = f"file={_property(file)}" + (f",line={line}" if line else "")
        print(f"::error {place}::{_data(redact(message))}", file=sys.stderr)  # noqa: T201  the runner reads both streams


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def of_plan(plan: Plan, *, notes_file: str | None = None, plan_file: str | None = None) -> Mapping[str, str]:
    """The outputs of the contract."""
    values = {
        "title": plan.changelog.title,
        "version": plan.version,
        "previous": plan.previous or "",
        "changed": "true" if plan.changed else "false",
        "release-id": plan.id,
        "digests": json.dumps({variant.name: variant.digest for variant in plan.variants}, separators=(",", ":")),
    }
    if notes_file:
        values["notes-file"] = notes_file
    if plan_file:
        values["plan-file"] = plan_file
    return values


def _append(file: str, text: str) -> None:
    try:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise RelmanError(f"cannot write `{file}`: {error.strerror}") from error
