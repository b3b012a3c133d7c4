"""`relman records import`: what it shows, writes and leaves alone; and what the walk makes of such records."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.cli import relman
from relman.documents.changelog import changelog_bytes, changelog_document, changelog_from_document
from relman.documents.record import record_bytes, record_from_bytes
from relman.errors import Malformed, NotFound, PartlyDone, RelmanError, UsageError
from relman.ledger import FolderLedger
from relman.model.changelog import Changelog
from relman.model.oci import Digest
from relman.model.record import Imported, Record, RecordedVariant, RecordState
from relman.model.release import imported_id, release_id
from relman.render.escaping import cleaned
from relman.testing import MemoryRegistry
from relman.walk.recorded import recorded
from tests import changelogs, published
from tests.notes_reading import notes as rendered
from tests.published import notes
from tests.test_imports_files import BODY, release
from tests.walking import World

JUNE = datetime(2025, 6, 8, 5, 30, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, where commands run."""
    published.config(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELMAN_CONFIG", raising=False)
    (tmp_path / "x.json").write_text(json.dumps([release()]), encoding="utf-8")
    return tmp_path


def command(*arguments: object, input: str | None = None) -> Result:
    return CliRunner().invoke(relman, ["records", "import", *map(str, arguments)], input=input)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def record(**more: object) -> Record:
    made = Record(
        id=imported_id("Composed OS", "stable", "stable-20250608"),
        project="Composed OS",
        stream="stable",
        version="stable-20250608",
        previous=None,
        state=RecordState.FINISHED,
        created=JUNE,
        finished=JUNE,
        plan=None,
        variants=(RecordedVariant("os", "ghcr.io/acme/os", None, None, (), None),),
        imported=Imported("github", "x.json", "https://github.com/acme/os/releases/tag/stable-20250608", "0" * 64, 2),
    )
    return replace(made, **more)  # the fields of a record


# ------------------------------------------------------------------------------------------------------ the command


def test_an_import_says_what_it_reads_and_writes_records(folder: Path) -> None:
    found = command("x.json", "--yes")

    ledger = FolderLedger(folder / "releases")
    (made,) = ledger.records()
    assert (found.exit_code, found.stdout) == (0, "stable-20250608: 0 majors, 1 package, 1 commit\n")
    assert "+  stable  stable-20250608  2025-06-08 05:30  0 majors, 1 package, 1 commit" in found.stderr
    assert (made.version, made.state, made.created) == ("stable-20250608", RecordState.FINISHED, JUNE)
    assert made.id == imported_id("Composed OS", "stable", "stable-20250608")
    assert sorted(p.name for p in (folder / "releases" / "stable" / made.name).iterdir()) == [
        "changelog.json",
        "record.json",
    ]


def test_imported_twice_the_second_time_writes_nothing(folder: Path) -> None:
    command("x.json", "--yes")
    before = tree(folder / "releases")

    again = command("x.json", "--yes")

    assert (again.exit_code, again.stdout) == (0, "")
    assert "there is nothing to import" in again.stderr
    assert tree(folder / "releases") == before


def test_with_nobody_to_ask_nothing_is_read_or_written(folder: Path) -> None:
    found = command("x.json")

    assert isinstance(found.exception, UsageError)
    assert not (folder / "releases").exists()


def test_lines_that_were_not_read_are_said_counted_and_in_the_document(folder: Path) -> None:
    path = folder / "2025-06-08-x.md"
    path.write_text(BODY + "| 🔄 | devpod | {pkgrel:devpod} | 1 |\n\x1b[2J| 🔄 | joe | 1 | 2 | 3 |\n", encoding="utf-8")

    text = command(path.name, "--yes")
    read = json.loads(command(path.name, "--yes", "--format", "json").stdout)

    assert (text.exit_code, text.stdout) == (0, "stable-20250608: 0 majors, 1 package, 1 commit; 2 lines not read\n")
    assert f"warning: `{path.name}`, line 14 is not read: `{{pkgrel:devpod}}` is a placeholder" in text.stderr
    assert "\x1b[2J" not in text.stderr
    assert (read["schema"], [r["state"] for r in read["releases"]], read["failed"]) == (
        "relman.import/1",
        ["known"],
        [],
    )
    assert [each["line"] for each in read["releases"][0]["not_read"]] == [14, 15]
    (made,) = FolderLedger(folder / "releases").records()
    assert made.imported
    assert made.imported.not_read == 2


def test_a_file_without_releases_is_an_error_and_the_others_are_imported(folder: Path) -> None:
    (folder / "bad.md").write_text("Hello", encoding="utf-8")

    found = command("bad.md", "x.json", "--yes")
    alone = command("bad.md", "--yes")

    assert isinstance(found.exception, PartlyDone)
    assert "error: `bad.md` holds no release to import" in found.stderr
    assert found.stdout == "stable-20250608: 0 majors, 1 package, 1 commit\n"
    assert isinstance(alone.exception, Malformed)
    assert alone.exception.message.startswith("`bad.md` holds no release to import")


def test_a_release_that_relman_made_itself_is_left_as_it_is(folder: Path) -> None:
    ledger = FolderLedger(folder / "releases")
    plan = b"{}\n"
    own = record(id="0123456789abcdef", plan=Digest.of(plan), imported=None, state=RecordState.INTENDED, finished=None)
    session = ledger.begin(own, plan, b"{}\n", host="here", process=1, now=JUNE)
    session.finish(RecordState.FINISHED, now=JUNE)
    before = tree(folder / "releases")

    found = command("x.json", "--yes")

    assert (
        "note: `stable-20250608` is left as it is: the ledger has a record of its own, `0123456789abcdef`"
        in found.stderr
    )
    assert tree(folder / "releases") == before


def test_records_show_where_an_imported_one_is_from(folder: Path) -> None:
    command("x.json", "--yes")

    shown = CliRunner().invoke(relman, ["records", "show", "stable-20250608"]).stdout

    assert "finished, published 2025-06-08 05:30\n" in shown
    assert "imported from https://github.com/acme/os/releases/tag/stable-20250608\n" in shown


# ------------------------------------------------------------------------------------------------------- the ledger


def test_a_ledger_takes_in_what_it_does_not_have_and_says_which(tmp_path: Path) -> None:
    ledger = FolderLedger(tmp_path / "releases")
    one, two = record(), record(id="f" * 16, version="stable-20250615")
    same_version, same_id = record(id="e" * 16), record(version="other")

    first = ledger.adopt([(one, b"{}\n")])
    second = ledger.adopt([(same_version, b"{1}\n"), (same_id, b"{2}\n"), (two, b"{3}\n")])

    assert (first, second) == ((one,), (two,))
    assert ledger.records() == (two, one)
    assert (ledger.changelog_of(one), ledger.plan_of(one)) == (b"{}\n", None)


def test_a_name_that_is_no_files_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    ledger = FolderLedger(tmp_path / "releases")

    with pytest.raises(Malformed, match="cannot be the name of a record"):
        ledger.adopt([(record(version="../x"), b"{}\n")])

    assert not [path for path in tree(tmp_path) if ".journal" not in path]


def test_an_imported_record_is_nothing_to_carry_out(tmp_path: Path) -> None:
    with pytest.raises(RelmanError, match="was imported: there is nothing to carry out"):
        FolderLedger(tmp_path).begin(record(), b"{}", b"{}", host="here", process=1, now=JUNE)


def test_an_imported_record_survives_in_its_document() -> None:
    assert record_from_bytes(record_bytes(record())) == record()


@pytest.mark.parametrize("more", [{"imported": None}, {"plan": Digest.of(b"plan")}])
def test_a_record_has_a_plan_or_was_imported(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either a plan or a place that it was imported from"):
        record(**more)


def test_an_imported_changelog_survives_in_its_document(tmp_path: Path) -> None:
    made = published.changelog(notes(BODY), published.config(tmp_path))

    assert changelog_from_document(json.loads(changelog_bytes(made))) == made
    assert "imported" not in changelog_document(changelogs.small())


def test_the_id_of_an_imported_release_is_that_of_its_name_alone() -> None:
    assert imported_id("Bluefin", "stable", "stable-20250608") == "f1cd16a8d928186b"
    assert imported_id("a", "b", "c") != release_id("a", "b", (), "c")


# --------------------------------------------------------------------------------------------------------- the walk

WALK = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[streams.stable]
tags = ["stable"]
versions = ["stable-{date}"]
gates = []
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry())
    found.configure(WALK)
    return found


def adopt(world: World, version: str = "stable-20260705") -> Record:
    made = record(id=imported_id("Composed OS", "stable", version), version=version)
    changelog = replace(changelogs.small(), imported=True, version=version)
    world.ledger.adopt([(made, changelog_bytes(changelog))])
    return made


def test_an_imported_release_is_shown_as_it_was_recorded_without_its_images(world: World) -> None:
    made = adopt(world)

    with world.walk() as walk:
        stream = walk.config.stream("stable")
        with pytest.raises(NotFound):
            walk.published(stream, made.version)
        found = recorded(walk.ledger, "stable", made.version)
        missing = recorded(walk.ledger, "stable", "stable-20200101")

    assert found is not None
    assert (found[0], found[1].groups, missing) == (made, changelogs.small().groups, None)


def test_after_an_import_the_dated_tag_stands_for_the_digest(world: World) -> None:
    world.push("os", "stable-20260705", day=date(2026, 7, 5), packages={"joe": "4.6-1"})
    made = adopt(world)
    world.push("os", "stable", "stable-20260706", day=date(2026, 7, 6), packages={"joe": "4.7-1"})

    with world.walk() as walk:
        found = walk.resolve(walk.config.stream("stable"))

    follows = found.candidates[0].follows
    assert follows
    assert (found.changed, found.version, found.previous, found.previous_id) == (
        True,
        "stable-20260706",
        "stable-20260705",
        made.id,
    )
    assert follows.digest == world.holds("os:stable-20260705")


def test_the_very_build_that_was_imported_is_not_released_again(world: World) -> None:
    world.push("os", "stable", "stable-20260705", day=date(2026, 7, 5))
    adopt(world)

    with world.walk() as walk:
        found = walk.resolve(walk.config.stream("stable"))

    assert (found.changed, found.version) == (False, "stable-20260705")


def test_changelog_to_an_imported_version_renders_the_data_that_was_imported(folder: Path) -> None:
    name = "2025-06-08-stable-20250608.md"
    shutil.copy(published.CHANGELOGS / name, folder / name)
    command(name, "--yes")

    def changelog(*more: str) -> Result:
        return CliRunner().invoke(relman, ["changelog", "--stream", "stable", "--to", "stable-20250608", *more])

    text = changelog("--format", "classic").stdout
    document = json.loads(changelog("--format", "json").stdout)
    with_note = changelog("--platform", "linux/amd64")

    config = published.config(folder)
    body = published.body_of((folder / name).read_text(encoding="utf-8"))
    assert replace(published.changelog(notes(text), config), title="", notes=()) == replace(
        published.changelog(notes(body), config), title="", notes=()
    )
    assert (document["imported"], document["variants"][0]["digest"]) == (True, None)
    assert isinstance(with_note.exception, UsageError)
    for format in ("markdown", "html", "text"):
        assert "NetworkManager-ssh" in changelog("--format", format).stdout


def test_a_release_whose_images_are_gone_is_shown_as_it_was_recorded(folder: Path) -> None:
    published.config(folder, published.RELMAN_TOML.replace("ghcr.io/acme", "oci:images"))
    plan, digest = b"{}\n", Digest.of(b"gone")
    made = record(
        plan=Digest.of(plan),
        imported=None,
        variants=(RecordedVariant("os", "oci:images/os", digest, None, (), None),),
    )
    session = FolderLedger(folder / "releases").begin(
        made, plan, changelog_bytes(changelogs.small()), host="here", process=1, now=JUNE
    )
    session.finish(RecordState.FINISHED, now=JUNE)

    found = CliRunner().invoke(
        relman, ["changelog", "--stream", "stable", "--to", "stable-20250608", "--format", "classic"]
    )

    assert (found.exit_code, found.stdout) == (0, rendered(changelogs.small(), "classic", authors=False))
    assert "these are the notes as they were recorded" in found.stderr


def test_a_jump_over_releases_whose_images_are_gone_is_told_by_the_notes_of_all_of_them(folder: Path) -> None:
    published.config(folder, published.RELMAN_TOML.replace("ghcr.io/acme", "oci:images"))
    later = (
        BODY.replace("20250525", "20250601")
        .replace("20250608", "20250615")
        .replace("✨ | iwd | |", "🔄 | iwd | 3.6-1 |")
    )
    earlier = BODY.replace("20250608", "20250601")
    releases = [
        release(tag_name="stable-20250601", body=earlier, published_at="2025-06-01T05:30:00Z"),
        release(tag_name="stable-20250615", body=later.replace("3.6-1 |\n", "3.7-1 |\n"), html_url=None),
    ]
    (folder / "x.json").write_text(json.dumps(releases), encoding="utf-8")
    command("x.json", "--yes")

    def jump(since: str) -> Result:
        options = ["--from", since, "--to", "stable-20250615", "--format", "json"]
        return CliRunner().invoke(relman, ["changelog", "--stream", "stable", *options])

    whole = json.loads(jump("stable-20250525").stdout)
    (row,) = whole["groups"][0]["changes"]
    assert (whole["previous"], whole["version"]) == ("stable-20250525", "stable-20250615")
    assert (row["kind"], row["before"], row["after"]) == ("added", [], ["3.7-1"])
    assert "the notes of the releases in between, joined" in jump("stable-20250601").stderr
    assert isinstance(jump("stable-20250101").exception, NotFound)


# ------------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", ["small", "large", "pathological"])
def test_what_relman_itself_wrote_in_the_classic_format_reads_back(name: str) -> None:
    made: Changelog = getattr(changelogs, name)()

    read = notes(rendered(made, "classic", authors=True))

    lines = sum(len(r.packages) * (2 if r.name_before else 1) for g in made.groups for r in g.rows)
    assert read.packages + sum(1 for each in read.not_read if each.text.startswith(("| ✨", "| 🔄", "| ❌"))) == lines
    if name != "pathological":  # a version with a backtick and a pipe in it is no tag of a registry
        assert (read.version, read.previous) == (made.version, made.previous)


SUBJECTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@settings(deadline=None)
@given(SUBJECTS, SUBJECTS)
def test_any_subject_survives_the_way_through_the_classic_format(subject: str, author: str) -> None:
    commit = changelogs.commit(subject)
    made = changelogs.changelog(commits=(replace(commit, author=author),))

    read = notes(rendered(made, "classic", authors=True))

    wanted = [(cleaned(subject), cleaned(author))] if cleaned(subject) else []
    assert [(row.subject, row.author) for row in read.commits] == wanted
