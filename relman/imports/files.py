"""Files of published releases: which kind each is, told by what is in it, and the releases in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relman.documents.reading import printable, read_json
from relman.errors import Malformed, NotFound, RelmanError
from relman.imports.atom import read_atom
from relman.imports.published import Origin, Published, tag_of_address, tag_of_title

FILE_LIMIT = 64 * 1024 * 1024
"""The largest file that is read, in bytes: three thousand releases of twenty kilobytes each."""

BODY_LIMIT = 1024 * 1024
"""The longest text of one release, in characters: a forge takes 125,000, and the HTML of that is six times as long."""

MOST_RELEASES = 20_000
"""The releases of one file that are read."""

_FRONT_MATTER = 200


def read_file(path: Path) -> tuple[Published, ...]:
    """The releases in a file, in its order. Raises `NotFound`, and `Malformed` for what holds no releases."""
    what = f"`{path}`"
    try:
        if not path.is_file():
            raise NotFound(f"{what} is not a file" if path.exists() else f"there is no {what}")
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise RelmanError(f"cannot read {what}: {error.strerror}") from error
    if len(content) > FILE_LIMIT:
        raise Malformed(f"{what} is larger than {FILE_LIMIT // 1024 // 1024} MiB")
    content = content.removeprefix(b"\xef\xbb\xbf")
    start = content[:256].lstrip()
    if start.startswith((b"{", b"[")):
        found = tuple(_of_json(read_json(content, what=what, limit=FILE_LIMIT), str(path), what))
    elif start.startswith((b"<?xml", b"<feed")):
        found = tuple(_of_atom(content, str(path), what))
    elif start.startswith((b"<rss", b"<!DOCTYPE", b"<!doctype", b"<html")):
        raise Malformed(
            f"{what} is neither JSON, an Atom feed, a JSON feed, nor Markdown",
            hint="GitHub's feed is at `https://github.com/OWNER/NAME/releases.atom`",
        )
    else:
        found = (_of_markdown(content, path, what),)
    for each in found:
        if len(each.body) > BODY_LIMIT:
            raise Malformed(f"{what}: the text of `{each.name}` is longer than {BODY_LIMIT:,} characters")
    return found


# ------------------------------------------------------------------------------------------------------------- JSON


def _of_json(value: object, file: str, what: str) -> Iterator[Published]:
    if isinstance(value, Mapping) and isinstance(value.get("version"), str) and "jsonfeed.org" in value["version"]:
        yield from _of_json_feed(value, file, what)
        return
    pages = value if isinstance(value, list) else [value]
    releases = [one for page in pages for one in (page if isinstance(page, list) else [page])]
    if not releases:
        raise Malformed(f"{what} is an empty list: there is no release in it")
    if len(releases) > MOST_RELEASES:
        raise Malformed(f"{what} has more than {MOST_RELEASES:,} releases")
    for release in releases:
        tag = _text(release, "tag_name", "tagName") if isinstance(release, Mapping) else None
        if tag is None or not isinstance(release, Mapping):
            raise Malformed(
                f"{what} is JSON of another kind: something in it has no `tag_name`",
                hint="`gh api --paginate --slurp repos/OWNER/NAME/releases` gives what relman reads",
            )
        draft = release.get("draft", release.get("isDraft")) is True
        at, problem = _time(_text(release, "published_at", "publishedAt"))
        yield Published(
            origin=Origin.GITHUB,
            file=file,
            name=printable(tag),
            tag=tag,
            title=_text(release, "name"),
            url=_text(release, "html_url", "url"),
            at=at,
            body=_text(release, "body") or "",
            refused="it is a draft" if draft else problem,
        )


def _of_json_feed(feed: Mapping[Any, Any], file: str, what: str) -> Iterator[Published]:
    """Items of a JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""
    items = feed.get("items")
    if not isinstance(items, list) or not items:
        raise Malformed(f"{what} is a JSON feed without items")
    if len(items) > MOST_RELEASES:
        raise Malformed(f"{what} has more than {MOST_RELEASES:,} items")
    for item in items:
        if not isinstance(item, Mapping):
            raise Malformed(f"{what} is a JSON feed with an item that is no object")
        url, title, html = _text(item, "url"), _text(item, "title"), _text(item, "content_html")
        at, problem = _time(_text(item, "date_published"))
        tag = tag_of_address(url or "")
        yield Published(
            origin=Origin.JSON_FEED,
            file=file,
            name=printable(tag or title or _text(item, "id") or "an item"),
            tag=tag or tag_of_title(title),
            title=title,
            url=url,
            at=at,
            body=html if html is not None else _text(item, "content_text") or "",
            html=html is not None,
            refused=problem,
        )


def _text(value: Mapping[Any, Any], *keys: str) -> str | None:
    """The first of ``keys`` that holds text; half a surrogate pair, which no file can hold, is replaced."""
    found = next((value[key] for key in keys if isinstance(value.get(key), str)), None)
    return found.encode("utf-8", "replace").decode() if found is not None else None


# ------------------------------------------------------------------------------------------------------------- Atom


def _of_atom(content: bytes, file: str, what: str) -> Iterator[Published]:
    entries = read_atom(content, what=what, most=MOST_RELEASES)
    if not entries:
        raise Malformed(f"{what} is an Atom feed without entries")
    for entry in entries:
        title = entry.texts.get("title", "").strip() or None
        tag = tag_of_address(entry.address or "") or entry.texts.get("id", "").rpartition("/")[2].strip()
        at, problem = _time(entry.texts.get("published", entry.texts.get("updated", "")).strip() or None)
        yield Published(
            origin=Origin.ATOM,
            file=file,
            name=printable(tag or title or "an entry"),
            tag=tag or tag_of_title(title),
            title=title,
            url=entry.address,
            at=at,
            body=entry.texts.get("content", ""),
            html=entry.content_type in ("html", "text/html", "xhtml"),
            refused=problem,
        )


# --------------------------------------------------------------------------------------------------------- Markdown


def _of_markdown(content: bytes, path: Path, what: str) -> Published:
    try:
        text = content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8 text") from error
    matter, lines = _front_matter(text)
    day = matter.get("date") or _day_of(path.name)
    at, problem = _time(day) if day else (None, None)
    return Published(
        origin=Origin.MARKDOWN,
        file=str(path),
        name=printable(path.name),
        tag=None,
        title=matter.get("title"),
        url=None,
        at=at,
        body="\n".join(text.split("\n")[lines:]),
        line=lines,
        refused=problem,
    )


def _front_matter(text: str) -> tuple[dict[str, str], int]:
    """The keys above a text that hold plain text, and the number of lines that they take; none where there are none."""
    lines = text.split("\n", _FRONT_MATTER + 1)[: _FRONT_MATTER + 1]
    if lines[0].rstrip() != "---":
        return {}, 0
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        return {}, 0
    pairs = (line.partition(":") for line in lines[1:end] if line[:1].isalpha())
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}, end + 1


def _day_of(name: str) -> str | None:
    """The day that blogs put before a file's name: `2025-06-08-stable-20250608.md`."""
    day = name[:10]
    return day if len(day) == 10 and day[4] == day[7] == "-" and (day[:4] + day[5:7] + day[8:]).isdigit() else None


def _time(text: str | None) -> tuple[datetime | None, str | None]:
    """The moment, in UTC, and what is wrong with it; both `None` where there is none."""
    if text is None:
        return None, None
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None, printable(f"`{text[:40]}` is not a time")
    if not 1990 <= moment.year <= 9000:
        return None, printable(f"`{text[:40]}` cannot be when it was published")
    return moment, None
