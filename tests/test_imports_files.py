"""Files of published releases: each kind told by what is in it, and what is not to be trusted in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import pytest

from relman.config import Config
from relman.errors import Malformed, NotFound, RelmanError
from relman.imports import files
from relman.imports.atom import XHTML
from relman.imports.files import read_file
from relman.imports.importing import Fate, ImportPlan, plan_import
from relman.imports.published import Origin, Published
from relman.render.markdown import to_html
from tests import published

SHA = "0340d37cdfd067a608c1e0ab5f883f2efdc00946"
BODY = f"""\
This is an automatically generated changelog for release `stable-20250608`.

From previous `stable` version `stable-20250525` there have been the following changes. \
**One package per new version shown.**

### Commits
| Hash | Subject |
| --- | --- |
| **[0340d37](https://github.com/acme/os/commit/{SHA})** | feat: Add `iwd` (#2616) |

### All Images
| | Name | Previous | New |
| --- | --- | --- | --- |
| ✨ | iwd | | 3.6-1 |
"""
TITLE = "stable-20250608: Stable (F42.20250608, #0340d37)"
PAGE = "https://github.com/acme/os/releases/tag/stable-20250608"
JUNE = datetime(2025, 6, 8, 5, 30, tzinfo=UTC)


def release(**more: object) -> dict[str, object]:
    return {
        "tag_name": "stable-20250608",
        "name": TITLE,
        "draft": False,
        "html_url": PAGE,
        "published_at": "2025-06-08T05:30:00Z",
        "body": BODY,
    } | more


def atom(body: str, *, tag: str = "stable-20250608", head: str = "") -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
{head}<feed xmlns="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/" xml:lang="en-US">
  <id>tag:github.com,2008:https://github.com/acme/os/releases</id>
  <link type="text/html" rel="alternate" href="https://github.com/acme/os/releases"/>
  <title>Release notes from os</title>
  <updated>2025-06-08T05:30:00Z</updated>
  <entry>
    <id>tag:github.com,2008:Repository/1/{tag}</id>
    <updated>2025-06-08T05:30:00Z</updated>
    <link rel="alternate" type="text/html" href="https://github.com/acme/os/releases/tag/{tag}"/>
    <title>{TITLE}</title>
    <content type="html">{escape(to_html(body))}</content>
    <author><name>github-actions[bot]</name></author>
    <media:thumbnail height="30" width="30" url="https://avatars.example.org/1"/>
  </entry>
</feed>
"""


FEED = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "os",
    "items": [
        {
            "id": "1",
            "url": PAGE,
            "title": TITLE,
            "date_published": "2025-06-08T05:30:00Z",
            "content_html": to_html(BODY),
        }
    ],
}
MARKDOWN = f'---\ntitle: "{TITLE}"\nauthors: [bot]\n---\n\n{BODY}'

FORMS = {
    "github.json": json.dumps([release()]),
    "one.json": json.dumps(release()),
    "pages.json": json.dumps([[release()], []]),
    "gh-view.json": json.dumps(
        {
            "tagName": "stable-20250608",
            "name": TITLE,
            "isDraft": False,
            "url": PAGE,
            "publishedAt": "2025-06-08T05:30:00Z",
            "body": BODY,
        }
    ),
    "bom.json": "\ufeff" + json.dumps([release(body=BODY.replace("\n", "\r\n"))]),
    "releases.atom": atom(BODY),
    "xhtml.atom": atom(BODY)
    .replace(escape(to_html(BODY)), f'<div xmlns="{XHTML}">{to_html(BODY)}</div>')
    .replace('content type="html"', 'content type="xhtml"'),
    "feed.json": json.dumps(FEED),
    "2025-06-08-notes.md": MARKDOWN,
    "crlf.md": MARKDOWN.replace("---\ntitle", "---\ndate: 2025-06-08T05:30:00Z\ntitle").replace("\n", "\r\n"),
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return published.config(tmp_path)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return path


def imported(config: Config, folder: Path, content: str, name: str = "x.json", **more: str) -> ImportPlan:
    return plan_import([written(folder, name, content)], config, (), **more)


def reasons(plan: ImportPlan) -> list[str | None]:
    return [item.reason for item in plan.items] or [error.message for error in plan.failed]


@pytest.mark.parametrize("name", FORMS)
def test_every_kind_of_file_gives_the_same_release(name: str, config: Config, tmp_path: Path) -> None:
    plan = imported(config, tmp_path, FORMS[name], name)

    (item,) = plan.items
    assert item.record
    assert item.changelog
    assert (plan.failed, item.fate, item.record.stream, item.record.version) == (
        (),
        Fate.NEW,
        "stable",
        "stable-20250608",
    )
    assert item.record.created == (JUNE if "2025" not in name else datetime(2025, 6, 8, tzinfo=UTC))
    assert (item.changelog.title, item.changelog.major, item.changelog.previous) == (TITLE, 42, "stable-20250525")
    assert [(c.sha, c.subject) for c in item.changelog.commits] == [(SHA, "feat: Add `iwd` (#2616)")]
    assert [(r.packages[0].name, r.after) for g in item.changelog.groups for r in g.rows] == [("iwd", ("3.6-1",))]
    assert item.record.variants[0].revision == SHA


def test_lines_of_markdown_files_are_counted_with_their_front_matter(config: Config, tmp_path: Path) -> None:
    text = MARKDOWN + "| 🔄 | devpod | {pkgrel:devpod} | 1 |\n"

    (item,) = imported(config, tmp_path, text, "2025-06-08-x.md").items

    assert item.notes
    assert [each.line for each in item.notes.not_read] == [
        text.splitlines().index("| 🔄 | devpod | {pkgrel:devpod} | 1 |") + 1
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no release to import: it has nothing of the classic format of release notes"),
        ("# Hello\n\nWorld.\n", "holds no release to import: it has nothing of the classic format of release notes"),
        ("\0\x01\x02", "holds no release to import: it has nothing of the classic format of release notes"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        ("[]", "is an empty list: there is no release in it"),
        ("[1]", "is JSON of another kind: something in it has no `tag_name`"),
        ('{"a": 1}', "is JSON of another kind: something in it has no `tag_name`"),
        ('{"version": "https://jsonfeed.org/version/1.1", "items": []}', "is a JSON feed without items"),
        (
            '{"version": "https://jsonfeed.org/version/1.1", "items": [1]}',
            "is a JSON feed with an item that is no object",
        ),
        ("[" * 100_000, "nests too deep"),
        ('[{"tag_name": "a", "tag_name": "b"}]', "is not JSON: the key `tag_name` stands there twice"),
        ("{not json", "is not JSON"),
        ("<?xml version='1.0'?><rss/>", "is XML, and no Atom feed"),
        ("<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'>", "is not XML"),
        ("<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'/>", "is an Atom feed without entries"),
        ("<rss/>", "is neither JSON, an Atom feed, a JSON feed, nor Markdown"),
        ("<!DOCTYPE html><html></html>", "is neither JSON, an Atom feed, a JSON feed, nor Markdown"),
    ],
)
def test_what_is_no_release_is_an_error_that_names_the_file(
    content: str | bytes, message: str, config: Config, tmp_path: Path
) -> None:
    path = written(tmp_path, "x", content)

    plan = plan_import([path], config, ())

    assert [message in error.message and f"`{path}`" in error.message for error in plan.failed] == [True], plan.failed
    assert plan.items == ()


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=f"there is no `{tmp_path / 'x'}`"):
        read_file(tmp_path / "x")
    with pytest.raises(NotFound, match="is not a file"):
        read_file(tmp_path)


def test_a_file_that_holds_nothing_stops_none_of_the_others(config: Config, tmp_path: Path) -> None:
    bad, good = written(tmp_path, "bad.md", "Hello"), written(tmp_path, "good.json", FORMS["github.json"])

    plan = plan_import([bad, good], config, ())

    assert ([item.version for item in plan.new], len(plan.failed)) == (["stable-20250608"], 1)


LAUGHS = '<!DOCTYPE feed [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'
OUTSIDE = '<!DOCTYPE feed [<!ENTITY a SYSTEM "file:///etc/hostname">]>\n'


@pytest.mark.parametrize("head", [LAUGHS, OUTSIDE, "<!DOCTYPE feed>\n"], ids=["laughs", "outside", "plain"])
def test_a_feed_with_a_document_type_is_refused(head: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="has a document type"):
        read_file(written(tmp_path, "x.atom", atom(BODY, head=head)))


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "x.json", FORMS["github.json"])
    feed = written(tmp_path, "x.atom", FORMS["releases.atom"])
    for name, value, said in (
        ("BODY_LIMIT", 100, "the text of `stable-20250608` is longer than 100 characters"),
        ("MOST_RELEASES", 0, "more than 0"),
        ("FILE_LIMIT", 200, "is larger than 0 MiB"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(files, name, value)
            for each in (path, feed):
                with pytest.raises(Malformed, match=said):
                    read_file(each)


def test_deep_xml_is_refused(tmp_path: Path) -> None:
    text = atom(BODY).replace("<author>", "<author>" + "<a>" * 100)

    with pytest.raises(RelmanError, match="nests too deep"):
        read_file(written(tmp_path, "x.atom", text))


# ------------------------------------------------------------------------------------------ which become records


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"draft": True}, "it is a draft"),
        ({"published_at": "yesterday"}, "`yesterday` is not a time"),
        ({"published_at": "2025-02-30T00:00:00Z"}, "`2025-02-30T00:00:00Z` is not a time"),
        ({"published_at": "0001-01-01T00:00:00+23:59"}, "`0001-01-01T00:00:00+23:59` is not a time"),
        ({"published_at": "1066-10-14T09:00:00Z"}, "`1066-10-14T09:00:00Z` cannot be when it was published"),
        ({"body": "We made things."}, "it has nothing of the classic format of release notes"),
        ({"body": None}, "it has nothing of the classic format of release notes"),
        ({"tag_name": "v3.7.0"}, "no stream of relman.toml reads `v3.7.0` as a version (`--stream` names one)"),
        ({"tag_name": "../../stable-20250608"}, "'../../stable-20250608' cannot be a version"),
        ({"tag_name": "stable-20250608\x1b[2J"}, "'stable-20250608\\x1b[2J' cannot be a version"),
        ({"tag_name": "x" * 300}, "is longer than 200 bytes"),
        ({"tag_name": "stable-20250230"}, "no stream of relman.toml reads `stable-20250230`"),
        ({"body": BODY + "\n<p>" * 300 + "|a|b|\n"}, None),
    ],
)
def test_a_release_that_cannot_be_a_record_is_left_out_with_its_reason(
    more: dict[str, object], reason: str | None, config: Config, tmp_path: Path
) -> None:
    good = release(tag_name="stable-20250601")
    plan = imported(config, tmp_path, json.dumps([release(**more), good]))

    assert [item.version for item in plan.new][-1:] == ["stable-20250601"]
    if reason is None:
        assert len(plan.new) == 2
    else:
        assert plan.items[0].fate is Fate.LEFT_OUT
        assert reason in (plan.items[0].reason or "")
        assert plan.items[0].name.isprintable()


def test_a_time_that_is_missing_is_that_of_the_version(config: Config, tmp_path: Path) -> None:
    (item,) = imported(config, tmp_path, json.dumps(release(published_at=None))).items
    (other,) = imported(
        config, tmp_path, json.dumps([release(published_at=None, tag_name="x")]), stream="stable"
    ).items or [None]

    assert item.record
    assert item.record.created == datetime(2025, 6, 8, tzinfo=UTC)
    assert other is None


@pytest.mark.parametrize(
    ("title", "found"),
    [
        (TITLE, ["stable-20250608"]),
        ("stable-20250608", ["stable-20250608"]),
        ("Bluefin Stable stable-20250608", []),
        ("Changelog: what is new", []),
    ],
)
def test_the_title_of_a_text_that_names_no_version_says_which_it_is(
    title: str, found: list[str], config: Config, tmp_path: Path
) -> None:
    untold = BODY.partition("\n\n")[2]

    plan = imported(config, tmp_path, f'---\ntitle: "{title}"\n---\n{untold}', "x.md", stream="stable")

    assert [item.version for item in plan.new] == found
    assert found or "neither it nor its text says which version it is" in str(reasons(plan))


def test_a_text_that_names_its_version_is_believed_before_its_title(config: Config, tmp_path: Path) -> None:
    (item,) = imported(config, tmp_path, f'---\ntitle: "stable-20990101: x"\n---\n{BODY}', "x.md").items

    assert item.version == "stable-20250608"


def test_a_stream_may_be_named_for_versions_that_no_pattern_reads(config: Config, tmp_path: Path) -> None:
    (item,) = imported(config, tmp_path, json.dumps(release(tag_name="v3.7.0")), stream="gts").items

    assert item.record
    assert (item.record.stream, item.record.version) == ("gts", "v3.7.0")


def test_of_several_streams_that_read_a_version_the_notes_name_the_one(tmp_path: Path) -> None:
    text = (
        published.RELMAN_TOML + '\n[streams.plain]\ntags = ["plain{suffix}"]\nversions = ["{major}.{date}[.{point}]"]\n'
    )
    config = published.config(tmp_path, text)
    unnamed = BODY.replace("previous `stable` version", "previous version")

    def stream(body: str) -> object:
        plan = imported(config, tmp_path, json.dumps([release(tag_name="42.20250608", body=body)]))
        return [item.stream for item in plan.new] or reasons(plan)

    assert stream(BODY) == ["stable"]
    assert stream(BODY.replace("`stable` version", "`plain` version")) == ["plain"]
    assert "the streams `stable`, `plain` all read `42.20250608`: say which with `--stream`" in str(stream(unnamed))


def test_of_a_version_that_is_there_twice_the_first_is_taken(config: Config, tmp_path: Path) -> None:
    other = release(body=BODY.replace("iwd", "joe"))
    path = written(tmp_path, "x.json", json.dumps([release(), release(), other]))

    plan = plan_import([path], config, ())

    assert [(item.fate, item.reason) for item in plan.items] == [
        (Fate.NEW, None),
        (Fate.KNOWN, f"read from `{path}` already"),
        (Fate.KNOWN, f"read from `{path}` already, where its text is another"),
    ]


def test_the_hash_is_that_of_the_text_as_it_was_published() -> None:
    one = Published(Origin.GITHUB, "x", "x", None, None, None, None, "a\r\n")

    assert one.sha256 == "8e4621379786ef42a4fec155cd525c291dd7db3c1fde3478522f4f61c03fd1bd"
