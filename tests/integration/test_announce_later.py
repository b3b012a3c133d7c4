"""`relman announce` and `relman publish`: what a release left out, corrects and takes back, long after it was made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.git_remotes import clone, git
from tests.integration.driver import Project, Workshop, command, environment
from tests.servers import Reply, Scripted

VERSION = "stable-20260624"
FEED = '[[announce]]\ntype = "feed"\nname = "feed"\npath = "feed.xml"\nurl = "https://os.example/feed.xml"\n'
NEWS = '[[announce]]\ntype = "file"\nname = "news"\npath = "news.md"\ntemplate = "news.md.j2"\n'


class Hook(Scripted):
    """A webhook that answers what it is told to."""

    def __init__(self) -> None:
        self.next: Callable[[], Reply] = lambda: Reply(204)
        super().__init__(lambda asked: self.next())

    @property
    def table(self) -> str:
        return f'[[announce]]\ntype = "webhook"\nname = "hook"\nurl = "{self.url}/hook"\n'


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("later"), "")


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        yield server


def released(workshop: Workshop, *tables: str, code: int = 0, template: str = "{{ title }}\n") -> Project:
    project = workshop.layouts("\n".join(tables))
    (project.folder / "templates").mkdir()
    (project.folder / "templates" / "news.md.j2").write_text(template)
    project.plan()
    project.relman("apply", "plan.json", code=code)
    return project


def receipt(project: Project, action: str) -> dict[str, Any]:
    (found,) = (one for one in project.record["receipts"] if one["action"] == action)
    return dict(found)


# ------------------------------------------------------------------------------------------------ left out


def test_an_optional_post_that_failed_is_posted_later_and_once(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, hook.table)
    assert (project.record["state"], receipt(project, "webhook:hook")["state"]) == ("finished", "failed")
    hook.next = lambda: Reply(204)

    first = project.relman("announce", VERSION, "--yes")
    second = project.relman("announce", VERSION, "--yes")

    assert "post to the webhook `hook`" in first.stdout
    assert "nothing to do" in second.stderr
    assert len(hook.asked) == 2
    assert hook.asked[0].body == hook.asked[1].body
    assert (project.record["state"], receipt(project, "webhook:hook")["state"]) == ("finished", "done")
    assert "lease" not in project.record


def test_an_optional_post_that_fails_again_is_reported_and_a_required_one_is_exit_4(
    workshop: Workshop, hook: Hook
) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, hook.table)

    assert "warning: `webhook:hook` is failed" in project.relman("announce", VERSION, "--yes").stderr

    project = released(workshop, f"{hook.table}required = true\n", code=4)
    again = project.relman("announce", VERSION, "--yes", code=4)
    assert "`relman announce" in again.stderr
    hook.next = lambda: Reply(204)
    project.relman("resume")
    assert project.record["state"] == "finished"


def test_no_half_of_a_secret_is_left_where_what_a_server_says_is_cut(workshop: Workshop, hook: Hook) -> None:
    secret = "composed-token-in-a-header"
    hook.next = lambda: Reply(400, {}, b"x" * 190 + secret.encode())
    project = workshop.layouts(f'{hook.table}required = true\nheaders = {{ token = {{ env = "HOOK_TOKEN" }} }}\n')
    project.plan(HOOK_TOKEN=secret)

    said = project.relman("apply", "plan.json", code=4, HOOK_TOKEN=secret).stderr

    assert "answered 400: xxx" in said
    assert secret[:5] not in said


def test_announcing_what_a_required_channel_lacked_finishes_the_release(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, f"{hook.table}required = true\n", code=4)
    assert project.record["state"] == "partial"
    hook.next = lambda: Reply(204)

    project.relman("announce", VERSION, "--yes")

    assert project.record["state"] == "finished"
    assert "nothing is unfinished" in project.relman("resume").stderr


def test_a_channel_that_came_since_is_posted_to_and_the_others_are_let_be(workshop: Workshop, hook: Hook) -> None:
    project = released(workshop, hook.table)
    project.add(NEWS)

    project.relman("announce", VERSION, "--yes", "--channel", "news")
    project.relman("announce", VERSION, "--yes")

    assert (project.folder / "news.md").read_text().startswith(VERSION)
    assert len(hook.asked) == 1
    assert receipt(project, "file:news")["state"] == "done"


def test_publish_is_for_what_is_published_and_announce_for_the_rest(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, hook.table)

    assert "nothing to do" in project.relman("publish", VERSION, "--yes").stderr
    assert len(hook.asked) == 1


def test_nobody_to_ask_is_wrong_usage_and_so_is_a_channel_that_is_not_there(workshop: Workshop, hook: Hook) -> None:
    project = released(workshop, hook.table)

    assert "nobody to ask" in project.relman("announce", VERSION, code=2).stderr
    assert "`hook`" in project.relman("announce", VERSION, "--yes", "--channel", "hok", code=2).stderr
    assert "exclude each other" in project.relman("announce", VERSION, "--yes", "--edit", "--withdraw", code=2).stderr
    assert "`--reason`" in project.relman("announce", VERSION, "--yes", "--skip", code=2).stderr


def test_two_at_once_post_once(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, hook.table)
    began, go_on = Event(), Event()

    def slow() -> Reply:
        began.set()
        go_on.wait(30)
        return Reply(204)

    hook.next = slow
    with ThreadPoolExecutor() as pool:
        first = pool.submit(project.relman, "announce", VERSION, "--yes")
        try:
            assert began.wait(30)
            second = project.relman("announce", VERSION, "--yes", code=8)
        finally:
            go_on.set()
        first.result()

    assert "is held by process" in second.stderr
    assert len(hook.asked) == 2
    assert receipt(project, "webhook:hook")["state"] == "done"


def test_killed_while_it_announces_it_is_unknown_and_never_sent_twice(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, hook.table)
    began, go_on = Event(), Event()

    def slow() -> Reply:
        began.set()
        go_on.wait(30)
        return Reply(204)

    hook.next = slow
    process = project.start("announce", VERSION, "--yes")
    try:
        assert began.wait(30)
        process.kill()
        process.wait(30)
    finally:
        go_on.set()
    hook.next = lambda: Reply(204)

    again = project.relman("announce", VERSION, "--yes")

    assert "warning: `webhook:hook` is unknown" in again.stderr
    assert len(hook.asked) == 2
    assert project.record["state"] == "finished"
    project.relman("announce", VERSION, "--yes", "--posted")
    assert receipt(project, "webhook:hook")["state"] == "done"


def test_where_the_images_are_gone_what_was_planned_is_posted_all_the_same(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, hook.table)
    project.add(NEWS)
    shutil.move(project.folder / "images", project.folder / "elsewhere")
    hook.next = lambda: Reply(204)

    assert "`--channel NAME`" in project.relman("announce", VERSION, "--yes", code=1).stderr
    project.relman("announce", VERSION, "--yes", "--channel", "hook")

    assert receipt(project, "webhook:hook")["state"] == "done"


# ------------------------------------------------------------------------------------------ an end nobody knows


@pytest.fixture
def unknown(workshop: Workshop, hook: Hook) -> Project:
    hook.next = lambda: Reply(reset=True)
    project = released(workshop, f"{hook.table}required = true\n", code=4)
    hook.next = lambda: Reply(204)
    assert receipt(project, "webhook:hook")["state"] == "unknown"
    return project


def test_an_unknown_post_is_not_sent_again_by_itself(unknown: Project, hook: Hook) -> None:
    ran = unknown.relman("announce", VERSION, "--yes", code=4)

    assert "`--posted`" in ran.stderr
    assert len(hook.asked) == 1


def test_it_is_settled_by_somebody_who_saw_it(unknown: Project, hook: Hook) -> None:
    unknown.relman("announce", VERSION, "--yes", "--posted", "https://forum.example/t/1")

    settled = receipt(unknown, "webhook:hook")
    assert (settled["state"], settled["url"], bool(settled["by"])) == ("done", "https://forum.example/t/1", True)
    assert unknown.record["state"] == "finished"
    assert len(hook.asked) == 1
    assert "no post is unknown" in unknown.relman("announce", VERSION, "--yes", "--posted", code=2).stderr


@pytest.mark.parametrize(
    "address", ["ftp://a.example/1", "https://", "https://ada:pw@a.example/1", "https://a.example/1\n2", "https://[a"]
)
def test_what_is_no_address_for_people_does_not_get_into_the_record(unknown: Project, address: str) -> None:
    said = unknown.relman("announce", VERSION, "--yes", "--posted", address, code=2).stderr

    assert "is no address of a post" in said
    assert receipt(unknown, "webhook:hook")["state"] == "unknown"


def test_it_is_sent_again_for_somebody_who_did_not_see_it(unknown: Project, hook: Hook) -> None:
    unknown.relman("announce", VERSION, "--yes", "--again")

    assert len(hook.asked) == 2
    assert (unknown.record["state"], receipt(unknown, "webhook:hook")["state"]) == ("finished", "done")


def test_it_is_left_for_a_reason(unknown: Project, hook: Hook) -> None:
    unknown.relman("announce", VERSION, "--yes", "--skip", "--reason", "the forum is closed")

    left = receipt(unknown, "webhook:hook")
    assert (left["state"], left["detail"], bool(left["by"])) == ("skipped", "the forum is closed", True)
    assert unknown.record["state"] == "finished"
    assert "nothing to do" in unknown.relman("announce", VERSION, "--yes").stderr
    assert "the forum is closed" in unknown.relman("records", "show", VERSION).stdout
    assert len(hook.asked) == 1


def test_a_table_that_is_taken_out_and_put_back_lets_nothing_be_sent_again(unknown: Project, hook: Hook) -> None:
    with_table = (unknown.folder / "relman.toml").read_text()
    unknown.configure(f"{hook.table}required = true\n", "")
    assert "no channel `hook`" in unknown.relman("announce", VERSION, "--yes", code=4).stderr
    (unknown.folder / "relman.toml").write_text(with_table)

    assert "is unknown" in unknown.relman("announce", VERSION, "--yes", code=4).stderr

    assert len(hook.asked) == 1


@pytest.mark.parametrize("asked_for", [("--again",), ("--skip", "--reason", "never mind"), ("--posted",)])
def test_what_somebody_does_while_another_looks_is_not_done_over(
    unknown: Project, hook: Hook, asked_for: tuple[str, ...]
) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command(("announce", VERSION, *asked_for)),
        cwd=unknown.folder,
        env=environment(unknown.folder, {}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout
        shown = b""
        while b"?" not in shown:
            shown += os.read(process.stdout.fileno(), 1000)
        unknown.relman("announce", VERSION, "--again", "--yes")
        os.write(ours, b"y\n")
        said = process.communicate(timeout=60)[0].decode()
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)

    assert "`webhook:hook` is done now" in said
    assert process.returncode == 5
    assert len(hook.asked) == 2
    assert (unknown.record["state"], receipt(unknown, "webhook:hook")["state"]) == ("finished", "done")
    assert "lease" not in unknown.record


# ----------------------------------------------------------------------------------------- edited and taken back


def test_an_edit_shows_what_changes_and_is_made_once(workshop: Workshop) -> None:
    project = released(workshop, NEWS)
    (project.folder / "templates" / "news.md.j2").write_text("{{ title }}, corrected\n")

    first = project.relman("announce", VERSION, "--edit", "--yes")
    second = project.relman("announce", VERSION, "--edit", "--yes")

    assert "\n-" in first.stdout
    assert ", corrected" in first.stdout
    assert "says what it would say today" in second.stderr
    assert (project.folder / "news.md").read_text().endswith(", corrected\n")
    edited = receipt(project, "file:news")
    assert (edited["state"], sorted(edited["edited"])) == ("done", ["at", "by", "sha256"])
    assert "edited" in project.relman("records", "show", VERSION).stdout


def test_an_edit_can_be_edited_and_nothing_that_was_not_posted_is(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = released(workshop, NEWS, hook.table)
    for words in ("one", "two"):
        (project.folder / "templates" / "news.md.j2").write_text(f"{{{{ title }}}} {words}\n")
        project.relman("announce", VERSION, "--edit", "--yes")
        assert (project.folder / "news.md").read_text().endswith(f" {words}\n")

    assert len(hook.asked) == 1


def test_what_a_service_cannot_change_is_an_error_that_says_so(workshop: Workshop, hook: Hook) -> None:
    project = released(workshop, f'{hook.table}template = "news.md.j2"\n')
    (project.folder / "templates" / "news.md.j2").write_text("other\n")

    assert "cannot be changed" in project.relman("announce", VERSION, "--edit", "--yes", code=1).stderr
    assert "cannot be taken back" in project.relman("announce", VERSION, "--withdraw", "--yes", code=1).stderr
    assert receipt(project, "webhook:hook")["state"] == "done"
    assert "lease" not in project.record


def test_what_cannot_be_changed_is_said_and_holds_up_nothing_else(workshop: Workshop, hook: Hook) -> None:
    project = released(workshop, FEED, f'{hook.table}template = "news.md.j2"\n')
    (project.folder / "templates" / "news.md.j2").write_text("other\n")
    (project.folder / "note.md").write_text("Restart twice.\n")

    edited = project.relman("announce", VERSION, "--edit", "--note", "note.md", "--yes")
    withdrawn = project.relman("announce", VERSION, "--withdraw", "--yes")

    assert ("`webhook:hook` cannot be changed" in edited.stderr, "1 post done" in edited.stderr) == (True, True)
    assert ("`webhook:hook` cannot be taken" in withdrawn.stderr, "1 post done" in withdrawn.stderr) == (True, True)
    assert "<entry>" not in (project.folder / "feed.xml").read_text()


def test_an_edit_of_what_says_the_same_today_touches_nothing(workshop: Workshop, hook: Hook) -> None:
    """Some services tell all readers of an edit. A plan that was read has its keys in another order than a new one."""
    project = released(workshop, FEED, NEWS, hook.table)
    before = (project.folder / "feed.xml").read_bytes()

    for channel in ("feed", "news", "hook"):
        ran = project.relman("announce", VERSION, "--edit", "--channel", channel, "--yes")
        assert "says what it would say today" in ran.stderr

    assert (project.folder / "feed.xml").read_bytes() == before


def test_a_yank_names_the_command_and_the_edit_puts_a_banner_above(workshop: Workshop) -> None:
    project = released(workshop, FEED, NEWS)
    yanked = project.relman("yank", "stable", VERSION, "--reason", "eats *files*", "--yes")
    assert "announce" in yanked.stderr
    assert "--edit" in yanked.stderr

    assert "nothing new is announced" in project.relman("announce", VERSION, "--yes", code=2).stderr
    project.relman("announce", VERSION, "--edit", "--yes", "--channel", "feed")

    assert "This release was yanked" in (project.folder / "feed.xml").read_text()
    assert project.record["state"] == "yanked"


def test_a_handwritten_note_is_put_into_what_was_posted(workshop: Workshop) -> None:
    project = released(workshop, FEED)
    (project.folder / "note.md").write_text("Restart **twice**.\n")

    project.relman("announce", VERSION, "--edit", "--note", "note.md", "--yes")

    assert "Restart &lt;strong&gt;twice" in (project.folder / "feed.xml").read_text()


def test_what_was_taken_back_stays_away(workshop: Workshop) -> None:
    project = released(workshop, FEED)

    project.relman("announce", VERSION, "--withdraw", "--yes")

    assert "<entry>" not in (project.folder / "feed.xml").read_text()
    gone = receipt(project, "feed:feed")
    assert (gone["state"], sorted(gone["withdrawn"])) == ("skipped", ["at", "by"])
    assert project.record["state"] == "finished"
    for arguments in (("--withdraw",), (), ("--edit",)):
        assert "nothing to do" in project.relman("announce", VERSION, "--yes", *arguments).stderr
    assert "<entry>" not in (project.folder / "feed.xml").read_text()


# -------------------------------------------------------------------------------------------------- the ledger


def test_in_a_branch_it_is_the_same(workshop: Workshop, hook: Hook) -> None:
    hook.next = lambda: Reply(400)
    project = workshop.layouts(hook.table)
    own = clone(project.history.folder, project.folder / "source")
    git(own, "remote", "remove", "origin")  # the history of all tests, which is not to have records
    project.configure(json.dumps(str(project.history.folder)), json.dumps(str(own)))
    project.configure('path = "releases"', 'branch = "relman/records"')
    project.plan()
    project.relman("apply", "plan.json")
    hook.next = lambda: Reply(204)

    project.relman("announce", VERSION, "--yes")
    ran = project.relman("announce", VERSION, "--yes")

    assert "nothing to do" in ran.stderr
    assert len(hook.asked) == 2
    shown = project.relman("records", "show", VERSION, "--format", "json").json
    assert [(one["action"], one["state"]) for one in shown["receipts"]][-1] == ("webhook:hook", "done")


def test_a_release_that_was_not_made_here_has_nothing_to_post(workshop: Workshop, tmp_path: Path) -> None:
    project = workshop.layouts(NEWS)
    published = Path(__file__).parents[1] / "data" / "changelogs" / "2025-06-08-stable-20250608.md"
    shutil.copy(published, project.folder / "old.md")
    project.relman("records", "import", "old.md", "--stream", "stable", "--yes")

    assert "was imported" in project.relman("announce", "stable-20250608", "--yes", code=2).stderr
