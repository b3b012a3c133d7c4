"""A whole release on a real registry: planned, applied, applied again, read back by skopeo, and on record."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.driver import DAYS, RELEASED, VARIANTS, Project, Ran, Workshop, installed
from tests.integration.front import writes
from tests.servers import Front, Reply, Scripted

CHANNELS = """
[[announce]]
type = "file"
name = "news"
path = "news/{{{{ version }}}}.md"
[[announce]]
type = "webhook"
name = "hook"
url = "{url}/hook"
secret = {{ env = "HOOK_SECRET" }}
required = true
"""
SECRET = "composed-secret-of-the-hook"
TOMORROW: dict[str, Any] = {"SOURCE_DATE_EPOCH": "1782388800"}


@pytest.fixture(scope="module")
def workshop(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("release"), docker_registry)


@dataclass(frozen=True)
class Walked:
    """A release with all that it printed, and what the servers saw of it."""

    project: Project
    plan: Any
    first: Ran
    second: Ran
    next_day: Ran
    asked: tuple[str, ...]
    asked_again: tuple[str, ...]
    posted: tuple[Any, ...]


@pytest.fixture(scope="module")
def walked(workshop: Workshop) -> Iterator[Walked]:
    with Scripted(lambda _asked: Reply(204)) as hook, Front(workshop.registry) as front:
        project = workshop.behind(front.host, CHANNELS.format(url=hook.url))
        project.configure('tags = ["stable"]', 'tags = ["stable", "{major}"]')
        plan = project.plan()
        assert writes(front) == []
        first = project.relman("apply", "plan.json", HOOK_SECRET=SECRET)
        asked = tuple(writes(front))
        second = project.relman("apply", "plan.json", HOOK_SECRET=SECRET)
        next_day = project.relman("release", "stable", "--yes", HOOK_SECRET=SECRET, **TOMORROW)
        yield Walked(
            project, plan, first, second, next_day, asked, tuple(writes(front))[len(asked) :], tuple(hook.asked)
        )


def test_the_tags_hold_the_planned_digests(walked: Walked) -> None:
    planned = {variant: walked.project.digests[variant, 1] for variant in VARIANTS}

    assert walked.project.holds("stable") == planned
    assert walked.project.holds("44") == planned
    assert walked.project.holds("stable-20260624") == planned
    assert {variant["name"]: variant["digest"] for variant in walked.plan["variants"]} == planned


def test_nothing_is_written_but_the_tags_and_the_dated_tag_comes_last(walked: Walked) -> None:
    assert (walked.asked[0], sorted(walked.asked[:4])) == ("stable", ["44", "44", "stable", "stable"])
    assert walked.asked[4:] == ("stable-20260624", "stable-20260624")


def test_the_same_plan_again_writes_nothing(walked: Walked) -> None:
    assert walked.asked_again == ()
    assert "nothing to do" in walked.second.stderr
    assert len(walked.posted) == 1


def test_a_release_on_the_next_day_has_nothing_to_do(walked: Walked) -> None:
    assert "nothing to do" in walked.next_day.stderr
    again = walked.project.relman("release", "stable", "--yes", "--detailed-exitcode", code=3, **TOMORROW)
    assert walked.project.relman("plan", "stable", "--detailed-exitcode", code=3, **TOMORROW).code == 3
    assert again.stdout == ""


def test_the_record_is_as_the_contract_has_it(walked: Walked) -> None:
    record, plan = walked.project.record, walked.plan
    (folder,) = walked.project.folder.glob("releases/stable/*")

    assert folder.name == f"stable-20260624-{record['id']}"
    assert sorted(path.name for path in folder.iterdir()) == ["changelog.json", "plan.json", "record.json"]
    assert {key: record[key] for key in ("schema", "id", "project", "stream", "version", "previous", "state")} == {
        "schema": "relman.record/1",
        "id": plan["id"],
        "project": "Composed",
        "stream": "stable",
        "version": "stable-20260624",
        "previous": None,
        "state": "finished",
    }
    assert (record["created"], record["finished"]) == ("2026-06-24T12:00:00Z", "2026-06-24T12:00:00Z")
    assert record["plan"] == f"sha256:{hashlib.sha256((folder / 'plan.json').read_bytes()).hexdigest()}"
    assert (folder / "plan.json").read_bytes() == (walked.project.folder / "plan.json").read_bytes()
    assert json.loads((folder / "changelog.json").read_bytes()) == plan["changelog"]
    digests, history = walked.project.digests, walked.project.history
    assert [
        {k: v for k, v in variant.items() if k not in ("contents", "reference", "evidence")}
        for variant in record["variants"]
    ] == [
        {
            "name": variant,
            "digest": digests[variant, 1],
            "previous_digest": digests[variant, 0],
            "platforms": ["linux/amd64"],
            "revision": history.revisions[1],
        }
        for variant in VARIANTS
    ]
    assert {(g["gate"], g["variant"], g["digest"], g["state"]) for g in record["gates"]} == {
        (gate, variant, digests[variant, 1], "passed")
        for gate in ("complete", "hold", "no-downgrade")
        for variant in VARIANTS
    }
    assert [[piece["kind"] for piece in variant["evidence"]] for variant in record["variants"]] == [
        ["application/vnd.spdx+json"] for _ in VARIANTS
    ]
    assert record["overrides"] == []


def test_every_action_has_a_receipt_under_its_own_key(walked: Walked) -> None:
    receipts = walked.project.record["receipts"]

    assert [(receipt["action"], receipt["state"]) for receipt in receipts] == [
        ("tag:base:stable", "done"),
        ("tag:base:44", "done"),
        ("tag:dx:stable", "done"),
        ("tag:dx:44", "done"),
        ("tag:base:stable-20260624", "done"),
        ("tag:dx:stable-20260624", "done"),
        ("file:news", "done"),
        ("webhook:hook", "done"),
    ]
    assert [receipt["key"] for receipt in receipts] == [action["key"] for action in walked.plan["actions"]]
    assert all(receipt["at"].endswith("Z") for receipt in receipts)
    news = (walked.project.folder / "news/stable-20260624.md").read_bytes()
    posted = walked.posted[0].body
    assert [receipt["sha256"] for receipt in receipts[-2:]] == [hashlib.sha256(t).hexdigest() for t in (news, posted)]


def test_the_contents_of_a_release_are_kept_and_are_what_was_inside(walked: Walked) -> None:
    contents = walked.project.folder / "releases/contents"
    names = {variant["name"]: variant["contents"] for variant in walked.project.record["variants"]}

    assert {path.name for path in contents.iterdir()} == {
        f"{digest.replace(':', '-')}.json.zst" for digest in names.values()
    }
    for variant, digest in names.items():
        file = contents / f"{digest.replace(':', '-')}.json.zst"
        text = subprocess.run(["zstd", "-dc", str(file)], capture_output=True, check=True).stdout
        assert digest == f"sha256:{hashlib.sha256(text).hexdigest()}"
        for package in installed(variant, 1):
            assert f'"{package.name}"'.encode() in text


def test_nothing_of_the_machine_is_left_of_a_finished_release(walked: Walked) -> None:
    left = [path.name for path in walked.project.folder.glob("releases/.journal/**/*") if path.is_file()]

    assert [name for name in left if name not in ("lock", ".gitignore")] == []


def test_what_was_posted_is_signed_and_has_the_key_of_the_action(walked: Walked) -> None:
    (request,) = walked.posted
    action = walked.plan["actions"][-1]

    assert request.line == "POST /hook"
    assert request.body.decode() == action["payload"]["body"]
    signature = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["relman-signature"] == f"sha256={signature}"
    assert request.headers["idempotency-key"] == action["key"]
    assert request.headers["content-type"] == "application/json"


def test_the_notes_say_what_changed_and_what_it_follows(walked: Walked) -> None:
    changelog = walked.plan["changelog"]

    assert (changelog["version"], changelog["previous"]) == ("stable-20260624", RELEASED)
    rows = {
        (tuple(group["variants"]), row["kind"], *(p["name"] for p in row["packages"]), *row["before"], *row["after"])
        for group in changelog["groups"]
        for row in group["changes"]
    }
    assert rows == {
        (VARIANTS, "upgraded", "package-001", "1.0-1.fc44", "1.1-1.fc44"),
        (("dx",), "added", "tool-new", "2.0-1.fc44"),
    }
    assert (walked.project.folder / "news/stable-20260624.md").read_text() == walked.plan["notes"]


def test_a_release_is_the_same_tomorrow_and_in_another_clone_of_the_folder(workshop: Workshop, tmp_path: Path) -> None:
    project = workshop.layouts()
    today = project.plan()
    clone = Project(tmp_path / "clone", project.store, project.history, project.digests)
    shutil.copytree(project.folder, clone.folder)

    tomorrow = clone.plan(**TOMORROW)

    assert tomorrow["id"] == today["id"]
    assert len(today["id"]) == 16
    assert int(today["id"], 16)
    same = ("tag:base:stable", "tag:dx:stable")
    assert [a["key"] for a in tomorrow["actions"] if a["target"] in same] == [
        a["key"] for a in today["actions"] if a["target"] in same
    ]
    assert (today["version"], tomorrow["version"]) == ("stable-20260624", "stable-20260625")


def test_the_second_release_follows_the_record_of_the_first(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.relman("release", "stable", "--yes")
    for variant in VARIANTS:
        project.retag(variant, "testing", 2)

    project.relman("release", "stable", "--yes")

    second, first = project.relman("records", "--format", "json").json["records"]
    assert (first["version"], second["version"]) == ("stable-20260624", "stable-20260624.1")
    assert (first["previous"], second["previous"]) == (None, first["id"])
    assert [v["previous_digest"] for v in second["variants"]] == [v["digest"] for v in first["variants"]]
    assert project.builds("stable", "stable-20260624", "stable-20260624.1") == {
        "stable": {2},
        "stable-20260624": {1},
        "stable-20260624.1": {2},
    }


def test_contents_are_kept_for_the_current_and_the_previous_release_alone(workshop: Workshop) -> None:
    project = workshop.layouts()
    kept = []
    for build in (1, 2, 1):
        for variant in VARIANTS:
            project.retag(variant, "testing", build)
        project.relman(
            "release", "stable", "--yes", "--override", "no-downgrade", "--reason", "a test", "--until", "2027-01-01"
        )
        kept.append(len(list((project.folder / "releases/contents").iterdir())))

    assert kept == [2, 4, 4]  # the third holds the lists of the first again


def test_what_the_registry_no_longer_has_is_compared_with_what_the_ledger_kept(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.relman("release", "stable", "--yes")
    fresh = workshop.layouts()
    shutil.rmtree(project.folder / "images")
    shutil.copytree(fresh.folder / "images", project.folder / "images")
    for variant in VARIANTS:
        project.retag(variant, "testing", 2)
        index = project.folder / "images" / variant / "index.json"
        listed = json.loads(index.read_bytes())
        gone = project.digests[variant, 1]
        listed["manifests"] = [entry for entry in listed["manifests"] if entry["digest"] != gone]
        index.write_text(json.dumps(listed))
        (project.folder / "images" / variant / "blobs/sha256" / gone.removeprefix("sha256:")).unlink()

    diffs = project.relman("diff", "--stream", "stable", "--format", "json").json["diffs"]

    assert [(d["variant"], [(c["name"], c["before"], c["after"]) for c in d["changes"]]) for d in diffs] == [
        (variant, [("package-002", ["1.0-1.fc44"], ["1.2-1.fc44"])]) for variant in VARIANTS
    ]


def test_an_applied_plan_and_a_released_stream_are_the_same(workshop: Workshop) -> None:
    planned, released = workshop.layouts(), workshop.layouts()
    planned.plan()
    planned.relman("apply", "plan.json")
    released.relman("release", "stable", "--yes")

    assert planned.record["id"] == released.record["id"]
    assert planned.record["receipts"] == released.record["receipts"]


def test_status_and_records_tell_of_the_release(walked: Walked) -> None:
    status = walked.project.relman("status", "stable", "--format", "json").json
    shown = walked.project.relman("records", "show", walked.plan["id"], "--format", "json").json
    (stream,) = status["streams"]

    assert shown == walked.project.record
    assert stream["name"] == "stable"
    assert [(v["name"], v["digest"], v["version"]) for v in stream["variants"]] == [
        (variant, walked.project.digests[variant, 1], "stable-20260624") for variant in VARIANTS
    ]


def test_release_asks_and_without_anybody_to_ask_it_needs_yes(workshop: Workshop) -> None:
    project = workshop.layouts()

    ran = project.relman("release", "stable", code=2)

    assert "--yes" in ran.stderr
    assert project.builds("stable") == {"stable": {0}}
    assert not (project.folder / "releases").exists()


def test_a_plan_reads_only(workshop: Workshop, tmp_path: Path) -> None:
    project = workshop.layouts()

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in project.folder.rglob("*") if path.is_file()}

    before = times()

    for arguments in (
        ("plan", "stable"),
        ("changelog", "--stream", "stable"),
        ("diff", "--stream", "stable"),
        ("status",),
    ):
        project.relman(*arguments, XDG_CACHE_HOME=str(tmp_path))

    assert times() == before


def test_a_handwritten_note_is_in_plan_and_notes(workshop: Workshop) -> None:
    project = workshop.layouts()
    (project.folder / "note.md").write_text("Mind the *new* tool.\n")

    project.relman("plan", "stable", "--note", "note.md", "-o", "plan.json")

    assert "Mind the *new* tool." in project.read("plan.json")["notes"]
    assert "Mind the *new* tool." in project.relman("show", "plan.json", "--format", "markdown").stdout


def test_an_override_opens_a_gate_until_its_end_and_is_on_record(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.relman("release", "stable", "--yes")
    for variant in VARIANTS:
        project.retag(variant, "testing", 0)
    excuse = ("--override", "no-downgrade", "--reason", "back to what worked", "--until", "2026-06-26")

    project.relman("release", "stable", "--yes", code=6)
    project.relman("plan", "stable", *excuse, "-o", "plan.json")
    late = project.relman("apply", "plan.json", code=6, SOURCE_DATE_EPOCH="1783000000")
    project.relman("apply", "plan.json")

    assert "no-downgrade" in late.stderr
    newest = project.relman("records", "--format", "json").json["records"][0]
    assert {(one["gate"], one["variant"], one["reason"], one["until"]) for one in newest["overrides"]} == {
        ("no-downgrade", variant, "back to what worked", "2026-06-26T00:00:00Z") for variant in VARIANTS
    }
    assert {one["code"] for one in newest["overrides"]} == {"older-build", "older-version"}
    assert project.builds("stable") == {"stable": {0}}


def test_the_days_of_the_set_are_in_order() -> None:
    assert list(DAYS) == sorted(DAYS)


def test_the_second_release_into_another_place_finds_what_the_first_one_held(
    workshop: Workshop, tmp_path: Path
) -> None:
    project = workshop.layouts()
    project.configure('from = "testing"', f'from = "testing"\nprefix = "{project.store}-released"')
    project.relman("release", "stable", "--yes", XDG_CACHE_HOME=str(tmp_path / "a"))
    for variant in VARIANTS:
        project.retag(variant, "testing", 2)

    project.relman("plan", "stable", XDG_CACHE_HOME=str(tmp_path / "b"))
