"""What a step of GitHub Actions gets from relman: outputs, a summary, masks.

Source: GitHub's "Workflow commands for GitHub Actions" (GITHUB_OUTPUT with a delimiter, GITHUB_STEP_SUMMARY).
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from relman.errors import RelmanError
from relman.model.plan import Plan

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
