"""JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from relman.plugin import Malformed
from relman_plugins.announce.feed.entries import Entry, Head, Slot, bounded, key_of, moment, written

VERSION = "https://jsonfeed.org/version/1.1"

Raw: TypeAlias = dict[str, Any]


def read(content: bytes | None, what: str) -> tuple[Slot[Raw], ...]:
    """The entries of a feed, none where there is no file yet, each with what relman wrote there.

    Raises `Malformed` for what is no JSON Feed: it is somebody else's, and not overwritten.
    """
    if content is None:
        return ()
    try:
        document = json.loads(bounded(content, what))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{what} is not JSON: {error}", hint="repair it, or move it away") from error
    version = document.get("version") if isinstance(document, dict) else None
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(version, str) or not version.startswith("https://jsonfeed.org/version/"):
        raise Malformed(f"{what} is JSON, and no JSON Feed", hint="another `path` leaves it alone")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Malformed(f"{what} has no list of `items`")
    try:
        return tuple(_slot(item) for item in items)
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{what} has an entry of relman's that cannot be read: {error}") from error


def write(head: Head, slots: Iterable[Slot[Raw]]) -> bytes:
    """The whole feed."""
    document: Raw = {"version": VERSION, "title": head.title}
    document |= {"home_page_url": head.home} if head.home else {}
    document |= {"feed_url": head.url} if head.url else {}
    document["items"] = [slot.raw for slot in slots]
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def element(entry: Entry) -> Raw:
    """An entry as it is written."""
    found: Raw = {"id": entry.id, "title": entry.title}
    found |= {"url": entry.url} if entry.url else {}
    return found | {
        "content_html": entry.html,
        "date_published": written(entry.published),
        "date_modified": written(entry.updated),
        "authors": [{"name": entry.author}],
    }


def _slot(item: Raw) -> Slot[Raw]:
    id = item.get("id")
    if not isinstance(id, str) or key_of(id) is None:
        return Slot(item, None)
    return Slot(
        item,
        Entry(
            id=id,
            title=str(item["title"]),
            url=str(item["url"]) if "url" in item else None,
            author=str(item["authors"][0]["name"]),
            html=str(item["content_html"]),
            published=moment(item["date_published"]),
            updated=moment(item["date_modified"]),
        ),
    )
