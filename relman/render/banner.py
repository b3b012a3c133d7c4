"""The banner on the notes of a release that no longer stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec

from relman.errors import UsageError
from relman.render.bbcode import to_bbcode
from relman.render.escaping import escape, in_html
from relman.render.measures import shortened


class Banner(msgspec.Struct, frozen=True):
    """Why a release no longer stands: ``state`` as people say it (`yanked`, `rolled back`), since when, by whom."""

    state: str
    at: datetime
    by: str
    reason: str

    def above(self, text: str, format: str) -> str:
        """``text``, notes in ``format``, with this above."""
        return with_banner(text, format, state=self.state, at=self.at, by=self.by, reason=self.reason)

    def line(self, most: int) -> str:
        """It in Markdown, with at most so many graphemes of the reason."""
        reason = f": {escape(shortened(' '.join(self.reason.split()), most))}" if most else ""
        return f"**This release was {self.state}** on {self.at.astimezone(UTC):%Y-%m-%d}{reason}\n\n"


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
        case "bbcode":
            said = to_bbcode(f"**This release was {state}** on {when}: {escape(' '.join(reason.split()))}")
            return f"{said}\n{text}"
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
