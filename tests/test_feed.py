"""Feeds: an entry a release, once, in its place, and nothing of anybody else's lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.channel import Channel
from relman.config import ChannelTable
from relman.errors import Malformed, NotFound, RelmanError
from relman.http import Client
from relman.model.plan import Action, Stage, action_key
from relman.model.record import ReceiptState
from relman.testing import MemoryRegistry
from relman_plugins.announce.feed import FeedExecutor, atom, json_feed
from relman_plugins.announce.feed.entries import Entry, Head, Slot, entry_id
from tests.walking import MONDAY, World

ATOM = "{http://www.w3.org/2005/Atom}"
FILES = {"atom": "feed.xml", "json": "feed.json"}


def entry_of(number: int, html: str = "<p>notes</p>", *, page: str | None = "https://acme.example/r") -> Action:
    release = f"{number:016x}"
    key = action_key(release, "feed:news")
    payload: dict[str, object] = {
        "path": "public/feed",
        "feed": "Composed OS",
        "id": entry_id("acme.example", 2026, key),
        "title": f"stable-{number} & <b>",
        "author": "Composed OS",
        "url": page,
        "text": html,
    }
    return Action("feed", Stage.ANNOUNCE, key, "feed:news", channel="news", payload=payload)


@pytest.fixture(params=["atom", "json"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def http() -> Iterator[Client]:
    with Client() as client:
        yield client


def channel(folder: Path, http: Client, form: str, minutes: int = 0, **more: object) -> Channel:
    entries = {"type": "feed", "path": "public/feed", "format": form, "url": "https://acme.example/feed", **more}
    now = MONDAY + timedelta(minutes=minutes)
    return Channel(ChannelTable("announce", "feed", "news", (), False, entries), folder, http, now, {})


def standing(folder: Path, form: str) -> list[tuple[str, str, str, str]]:
    """Each entry as a reader sees it: title, text, when it was published and changed."""
    content = (folder / "public/feed").read_bytes()
    if form == "json":
        items = json.loads(content)["items"]
        return [(i["title"], i["content_html"], i["date_published"], i["date_modified"]) for i in items]
    root = ElementTree.fromstring(content)
    names = ("title", "content", "published", "updated")
    return [tuple(e.findtext(ATOM + name) or "" for name in names) for e in root.findall(f"{ATOM}entry")]  # type: ignore[misc]


def test_the_newest_release_stands_first_and_each_only_once(tmp_path: Path, http: Client, form: str) -> None:
    for number in (1, 2, 2, 1):
        FeedExecutor().apply(entry_of(number), channel(tmp_path, http, form, number))

    assert standing(tmp_path, form) == [
        ("stable-2 & <b>", "<p>notes</p>", "2026-07-06T12:02:00Z", "2026-07-06T12:02:00Z"),
        ("stable-1 & <b>", "<p>notes</p>", "2026-07-06T12:01:00Z", "2026-07-06T12:01:00Z"),
    ]


def test_what_stands_there_already_is_adopted_and_something_else_is_not(
    tmp_path: Path, http: Client, form: str
) -> None:
    feed = FeedExecutor()
    assert feed.probe(entry_of(1), channel(tmp_path, http, form)) is None

    done = feed.apply(entry_of(1), channel(tmp_path, http, form))
    found = feed.probe(entry_of(1), channel(tmp_path, http, form, minutes=90))

    assert found == replace(done, state=ReceiptState.ADOPTED)
    assert feed.probe(entry_of(1, "<p>other</p>"), channel(tmp_path, http, form)) is None
    feed.verify(entry_of(1), done, channel(tmp_path, http, form))
    with pytest.raises(Malformed, match="says something else"):
        feed.verify(entry_of(1, "<p>other</p>"), done, channel(tmp_path, http, form))
    with pytest.raises(NotFound):
        feed.verify(entry_of(2), done, channel(tmp_path, http, form))


def test_a_corrected_entry_keeps_its_place_and_the_time_of_its_publication(
    tmp_path: Path, http: Client, form: str
) -> None:
    feed = FeedExecutor()
    receipts = [feed.apply(entry_of(n), channel(tmp_path, http, form, n)) for n in (1, 2)]

    feed.edit(entry_of(1, "<p>mended</p>"), receipts[0], channel(tmp_path, http, form, 9))

    assert standing(tmp_path, form) == [
        ("stable-2 & <b>", "<p>notes</p>", "2026-07-06T12:02:00Z", "2026-07-06T12:02:00Z"),
        ("stable-1 & <b>", "<p>mended</p>", "2026-07-06T12:01:00Z", "2026-07-06T12:09:00Z"),
    ]


def test_an_entry_is_known_by_its_key_although_the_project_has_moved(tmp_path: Path, http: Client, form: str) -> None:
    feed, moved = FeedExecutor(), entry_of(1, "<p>mended</p>")
    receipt = feed.apply(entry_of(1), channel(tmp_path, http, form))
    moved = replace(moved, payload={**moved.payload, "id": entry_id("new.example", 2027, moved.key)})

    feed.edit(moved, receipt, channel(tmp_path, http, form, 1))

    assert [text for _, text, *_ in standing(tmp_path, form)] == ["<p>mended</p>"]


def test_a_withdrawn_entry_is_gone_and_taking_it_out_again_changes_nothing(
    tmp_path: Path, http: Client, form: str
) -> None:
    feed = FeedExecutor()
    receipts = [feed.apply(entry_of(n), channel(tmp_path, http, form, n)) for n in (1, 2)]

    for _ in range(2):
        feed.undo(entry_of(1), receipts[0], channel(tmp_path, http, form))

    assert [title for title, *_ in standing(tmp_path, form)] == ["stable-2 & <b>"]


def test_withdrawing_from_a_feed_that_is_not_there_makes_none(tmp_path: Path, http: Client, form: str) -> None:
    receipt = FeedExecutor().apply(entry_of(1), channel(tmp_path, http, form))
    (tmp_path / "public/feed").unlink()

    FeedExecutor().undo(entry_of(1), receipt, channel(tmp_path, http, form))

    assert not (tmp_path / "public/feed").exists()


def test_a_feed_holds_as_many_releases_as_it_is_told(tmp_path: Path, http: Client, form: str) -> None:
    for number in range(1, 6):
        FeedExecutor().apply(entry_of(number), channel(tmp_path, http, form, number, entries=3))

    assert [title for title, *_ in standing(tmp_path, form)] == [f"stable-{n} & <b>" for n in (5, 4, 3)]


FOREIGN = {
    "atom": (
        '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:m="urn:m"><id>x</id><title>Blog</title>'
        "<updated>2026-01-01T00:00:00Z</updated>"
        "<entry><id>tag:github.com,2008:Repository/1/v1</id><title>by hand</title><content>a</content>"
        "<published>2026-01-01T00:00:00Z</published><updated>2026-01-01T00:00:00Z</updated>"
        "<m:x y='1'>kept</m:x></entry>"
        "</feed>"
    ),
    "json": json.dumps(
        {
            "version": "https://jsonfeed.org/version/1",
            "title": "Blog",
            "items": [
                {
                    "id": "7",
                    "title": "by hand",
                    "content_html": "a",
                    "date_published": "2026-01-01T00:00:00Z",
                    "date_modified": "2026-01-01T00:00:00Z",
                    "_m": {"x": "kept"},
                }
            ],
        }
    ),
}


def test_entries_of_somebody_elses_stay_whole(tmp_path: Path, http: Client, form: str) -> None:
    file = tmp_path / "public/feed"
    file.parent.mkdir()
    file.write_text(FOREIGN[form])

    for number in range(1, 4):
        FeedExecutor().apply(entry_of(number), channel(tmp_path, http, form, number, entries=1))

    assert [title for title, *_ in standing(tmp_path, form)] == ["stable-3 & <b>", "by hand"]
    assert "kept" in file.read_text()


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("atom", ""),
        ("atom", "<feed"),
        ("atom", "<rss/>"),
        ("atom", '<!DOCTYPE feed [<!ENTITY a "aaaa">]><feed xmlns="http://www.w3.org/2005/Atom">&a;</feed>'),
        ("json", ""),
        ("json", "[]"),
        ("json", "{}"),
        ("json", '{"version": "https://jsonfeed.org/version/1.1", "items": [1]}'),
        ("json", "[" * 100_000),
    ],
)
def test_a_file_that_is_no_feed_is_named_and_left_alone(tmp_path: Path, http: Client, form: str, content: str) -> None:
    file = tmp_path / "public/feed"
    file.parent.mkdir()
    file.write_text(content)

    with pytest.raises(Malformed, match="`public/feed`"):
        FeedExecutor().apply(entry_of(1), channel(tmp_path, http, form))

    assert file.read_text() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, http: Client) -> None:
    (tmp_path / "public").write_text("a file where a folder has to be")

    with pytest.raises(RelmanError, match="cannot write `public/feed`"):
        FeedExecutor().apply(entry_of(1), channel(tmp_path, http, "atom"))


def test_runs_at_the_same_time_lose_no_entry(tmp_path: Path, http: Client, form: str) -> None:
    runs = [
        threading.Thread(target=FeedExecutor().apply, args=(entry_of(n), channel(tmp_path, http, form, n)))
        for n in range(1, 16)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    assert len(standing(tmp_path, form)) == 15


texts = st.text(max_size=40)


@given(text=texts, title=texts)
def test_any_text_is_read_back_as_it_was_written(text: str, title: str) -> None:
    entry = Entry(entry_id("a.example", 2026, "0" * 32), title, "https://a.example/?a=1&b=2", "x", text, MONDAY, MONDAY)
    head = Head("urn:x", title, None, None)

    (as_json,) = json_feed.read(json_feed.write(head, (slot(json_feed, entry),)), "x")
    (as_atom,) = atom.read(atom.write(head, (slot(atom, entry),)), "x")

    def cleaned(what: str) -> str:
        return atom._clean(what)

    assert as_json.own == entry
    assert as_atom.own == replace(entry, title=cleaned(title), html=cleaned(text))


def slot(form: Any, entry: Entry) -> Any:
    return Slot(form.element(entry), entry)


CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[streams.stable]
tags = ["stable"]
versions = ["stable-{date}"]

[[announce]]
type = "feed"
path = "public/{{ stream }}.xml"
url = "https://acme.example/stable.xml"
"""


def test_a_release_puts_its_notes_into_the_feed(tmp_path: Path) -> None:
    world = World(tmp_path, MemoryRegistry())
    world.configure(CONFIG)
    world.push("os", "stable", "stable-20260705", day=date(2026, 7, 5))

    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
        record, _ = walk.apply(plan, lambda action, receipt: None)

    root = ElementTree.fromstring((tmp_path / "public/stable.xml").read_bytes())
    assert [root.findtext(ATOM + name) for name in ("id", "title", "updated")] == [
        "https://acme.example/stable.xml",
        "Composed OS",
        "2026-07-06T12:00:00Z",
    ]
    (entry,) = root.findall(f"{ATOM}entry")
    (receipt,) = record.receipts
    assert entry.findtext(f"{ATOM}id") == receipt.remote_id
    assert (entry.findtext(f"{ATOM}title") or "").startswith("stable-20260705")
    assert "<h2>Images</h2>" in (entry.findtext(f"{ATOM}content") or "")
