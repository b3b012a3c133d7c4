"""The banner on the notes of a release that no longer stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from relman.errors import UsageError
from relman.render.escaping import escape, in_html


def with_banner(text: str, format: str, *, state: str, at: datetime, by: str, reason: str) -> str:
    """``text``, notes in ``format``, with what everybody has to know before they read on.

    JSON gains the key ``withdrawn``. Raises `UsageError` for a format that notes do not have.
    """
    when = f"{at.astimezone(UTC):%Y-%m-%d}"
    match format:
        case "markdown" | "classic":
            return (
                f"> [!CAUTION]\n> **This release was {state}** on {when}: {escape(' '.join(reason.split()))}\n\n{text}"
            )
        case "text":
            return f"THIS RELEASE WAS {state.upper()} on {when}: {' '.join(reason.split())}\n\n{text}"
        case "html":
            banner = f"<p><strong>This release was {state}</strong> on {when}: {in_html(reason)}</p>\n"
            head, body, rest = text.partition("<body>")
            return f"{head}{body}\n{banner}{rest.lstrip()}" if body else banner + text
        case "json":
            document = json.loads(text)
            moment = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
            document["withdrawn"] = {"state": state, "at": moment, "by": by, "reason": reason}
            return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        case _:
            raise UsageError(f"there is no format `{format}` for notes")
