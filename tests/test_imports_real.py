"""Published notes of Bluefin and Bazzite: no row is lost, and rendered again they say the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.config import Config
from relman.imports.classic import read_notes
from relman.imports.html import read_html
from relman.imports.importing import Fate, plan_import
from relman.imports.notes import Notes, Tally
from relman.model.changelog import Changelog
from relman.model.diff import ChangeKind
from relman.render import NotesRenderer, Templates
from relman.render.markdown import to_html
from tests import published
from tests.published import body_of, counted, notes

REAL = published.real()
TEXTS = pytest.mark.parametrize("name", REAL)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return published.config(tmp_path)


def said(changelog: Changelog) -> Changelog:
    """A changelog without what notes say of themselves and not of the release."""
    return replace(changelog, title="", notes=(), major=None)


@TEXTS
def test_every_row_of_a_published_text_is_read_or_named(name: str) -> None:
    rows = counted(REAL[name])

    read = notes(body_of(REAL[name]))

    lost = [each.text for each in read.not_read]
    kinds = [(bool(row.before), bool(row.after)) for group in read.groups for row in group.rows]
    assert (
        kinds.count((False, True)),
        kinds.count((True, True)),
        kinds.count((True, False)),
        len(read.majors) + sum(text.startswith("| **") and not text.startswith("| **[") for text in lost),
        len(read.commits) + sum(text.startswith("| **[") for text in lost),
    ) == (rows.added, rows.changed, rows.removed, rows.majors, rows.commits)


def test_what_is_not_read_of_all_published_texts_is_a_placeholder_and_a_made_up_commit() -> None:
    reasons = [each.reason for text in REAL.values() for each in notes(body_of(text)).not_read]

    assert sorted(reasons) == [
        "`ghi9012` is not the id of a commit",
        *["`{pkgrel:devpod}` is a placeholder, not a version"] * 24,
    ]


def test_the_published_texts_hold_as_many_rows_as_grep_counted() -> None:
    every = [notes(body_of(text)) for text in REAL.values()]

    assert (
        len(every),
        sum(len(read.majors) for read in every),
        sum(read.packages for read in every),
        sum(len(read.commits) for read in every),
    ) == (58, 516 - 24, 3815, 381 - 1)


@TEXTS
def test_published_notes_rendered_again_read_back_as_the_same_data(name: str, config: Config) -> None:
    first = published.changelog(notes(body_of(REAL[name])), config)

    text = NotesRenderer(Templates(), first, {"authors": True, "id": None}).notes("classic")

    again = published.changelog(notes(text), config)
    assert said(again) == said(first)
    assert counted(text).packages == counted(REAL[name]).packages


@TEXTS
def test_the_same_notes_as_a_web_page_read_the_same(name: str) -> None:
    body = body_of(REAL[name])

    page = read_notes(read_html(to_html(body)))

    assert rows_of(page) == rows_of(notes(body))


def rows_of(read: Notes) -> object:
    """What was read, the numbers of lines and the texts aside."""
    return (
        read.version,
        read.stream,
        read.previous,
        read.remark,
        [replace(row, line=0) for row in read.majors],
        [(group.title, [replace(row, line=0) for row in group.rows]) for group in read.groups],
        [replace(row, line=0) for row in read.commits],
        [text.title for text in read.texts],
        [each.reason for each in read.not_read],
    )


def test_a_tally_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(
        ValueError, match="3 rows are in the text, but 1 were read, 0 kept and 1 not read: some were lost"
    ):
        Tally(5, 5, 0, 0, rows=3, rows_read=1, rows_kept=0, rows_not_read=1)


def test_a_folder_of_published_notes_becomes_a_chain_of_records(config: Config) -> None:
    plan = plan_import(sorted(published.CHANGELOGS.glob("*.md")), config, ())

    records = {item.record.id: item.record for item in plan.new if item.record}
    gaps = sorted(r.version for r in records.values() if r.previous is None)
    assert (len(records), plan.failed) == (43, ())
    assert all(records[r.previous].created <= r.created for r in records.values() if r.previous)
    # The first of each stream, and the one whose predecessor was announced nowhere.
    assert gaps == ["gts-20240420", "gts-20250330", "lts-20250602", "stable-20250323.2"]


def test_releases_of_the_github_api_carry_time_title_page_and_hash(config: Config) -> None:
    plan = plan_import([published.BAZZITE], config, ())

    release = json.loads(published.BAZZITE.read_text(encoding="utf-8"))[0]
    item = plan.items[0]
    assert item.record
    assert item.record.imported
    assert item.changelog
    assert {item.fate for item in plan.items} == {Fate.NEW}
    assert (item.record.stream, item.record.version) == ("testing", "testing-44.20260721")
    assert item.record.created.isoformat() == "2026-07-21T07:45:45+00:00"
    assert (item.record.imported.origin, item.record.imported.url) == ("github", release["html_url"])
    assert item.record.imported.sha256 == item.published.sha256
    assert (item.changelog.title, item.changelog.major) == (release["name"], 44)
    assert item.record.variants[0].revision == "a3281c7b6303c8a367334ff42557d365ce433d3a"
    assert [i.stream for i in plan.items if i.version == "44.20260713"] == ["stable"]


def test_an_imported_changelog_claims_nothing_that_notes_do_not_say(config: Config) -> None:
    made = published.changelog(notes(body_of(REAL["2025-06-08-stable-20250608.md"])), config)

    groups = {group.title: group for group in made.groups}
    assert made.imported
    assert {(v.digest, v.previous_digest, v.packages, v.exact) for v in made.variants} == {(None, None, None, False)}
    assert {(p.arch, r.source) for g in made.groups for r in g.rows for p in r.packages} == {(None, None)}
    assert [(g.title, g.variants) for g in made.groups] == [
        ("All Images", ("os", "os-dx", "os-nvidia")),
        ("Dev Experience Images", ("os-dx",)),
        ("Nvidia Images", ("os-nvidia",)),
    ]
    assert made.accounting.packages_changed == 56 * 3 + 17 + 1
    assert [row.kind for row in groups["All Images"].rows].count(ChangeKind.UPGRADED) == 52
    assert [(m.label, m.package, m.variants) for m in made.majors][::5] == [
        ("Kernel", "kernel", ("os", "os-dx", "os-nvidia")),
        ("Incus", "Incus", ("os-dx",)),
    ]
