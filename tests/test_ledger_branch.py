"""A ledger in a branch: git decides who was first, over files and over HTTP, whatever gets lost on the way."""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.errors import ConfigError, Locked, Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.ledger import FolderLedger, Session
from relman.ledger.branch import BranchLedger
from relman.ledger.exchange import Place
from relman.ledger.lease import LEASE
from relman.model.observed import Observation, TagKind
from relman.model.oci import Digest
from relman.model.record import Imported, ReceiptState, Record, RecordState
from tests.git_remotes import GitServer, clone, git, log, remote, serving
from tests.test_ledger import CHANGELOG, ME, MINUTE, NOON, PLAN, attempt, begin, composed, finish, forked, receipt

BRANCH = "relman/records"
NAME = "stable-20250608-0123456789abcdef"
STRIDE = 5
nothing = ("before", lambda: None)
LATER = composed("f" * 16, "stable-20250609", days=1)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return remote(tmp_path)


@pytest.fixture
def server(bare: Path) -> Iterator[GitServer]:
    git(bare, "config", "http.receivepack", "true")
    with serving(bare.parent) as told:
        yield told


def machine(bare: Path | str, folder: Path, *options: str, **more: object) -> BranchLedger:
    """The ledger as a machine has it that has just cloned the project as CI does: one commit, no branch, nobody."""
    shallow = options or ("--depth=1",)
    checkout = folder if folder.exists() else clone(bare, folder, *shallow)
    git(checkout, "checkout", "--quiet", "--detach")
    return BranchLedger(Place(checkout, BRANCH), **more)  # type: ignore[arg-type]


def over_http(server: GitServer, folder: Path, **more: object) -> BranchLedger:
    return machine(f"{server.address}/remote.git", folder, **more)


def tree(bare: Path, commit: str = BRANCH) -> list[str]:
    return git(bare, "ls-tree", "-r", "--name-only", commit).splitlines()


def whole(session: Session, at: datetime = NOON) -> Record:
    """A release from its intent to its end, with one action."""
    session.attempt(attempt("a"))
    session.receipt(receipt("a"))
    session.tags_moved(now=at + 3 * MINUTE)
    return session.finish(RecordState.FINISHED, now=at + 4 * MINUTE, contents={"bluefin": b"list"})


# --------------------------------------------------------------------------------------------- what is written


def test_a_release_is_three_commits_on_a_branch_of_its_own_and_each_can_be_read(bare: Path, tmp_path: Path) -> None:
    ledger = machine(bare, tmp_path / "a")

    finished = whole(begin(ledger, composed()))

    assert log(bare) == [f"release: stable-20250608 {what}" for what in ("begun", "tags moved", "finished")]
    states: list[str] = []
    for commit in git(bare, "rev-list", "--reverse", BRANCH).split():
        names = tree(bare, commit)
        kept = f"contents/sha256-{Digest.of(b'list').hex}.json.zst"
        records = [f"stable/{NAME}/{name}" for name in ("changelog.json", "plan.json", "record.json")]
        last = len(states) == 2
        assert names == ["README.md", *([kept] if last else []), "relman.json", *records]
        states.append(json.loads(git(bare, "show", f"{commit}:stable/{NAME}/record.json"))["state"])
    assert states == ["intended", "partial", "finished"]
    assert git(bare, "merge-base", "--all", "--octopus", "main") != ""
    assert git(bare, "rev-list", "--max-parents=0", BRANCH) not in git(bare, "rev-list", "main")
    assert machine(bare, tmp_path / "b").records() == (finished,)
    assert machine(bare, tmp_path / "b").plan_of(finished) == PLAN
    assert machine(bare, tmp_path / "b").changelog_of(finished) == CHANGELOG
    assert machine(bare, tmp_path / "b").contents(Digest.of(b"list")) == b"list"


def test_nothing_of_the_checkout_is_touched(bare: Path, tmp_path: Path) -> None:
    checkout = clone(bare, tmp_path / "a")
    (checkout / "staged").write_text("mine")
    git(checkout, "add", "staged")
    (checkout / "loose").write_text("mine")

    def seen() -> object:
        inside = {path: path.read_bytes() for path in (checkout / ".git").rglob("*") if path.is_file()}
        ours = {path: content for path, content in inside.items() if path.parts[len(checkout.parts) + 1] != "relman"}
        return ours, git(checkout, "status", "--porcelain"), sorted(path.name for path in checkout.iterdir())

    before = seen()
    ledger = BranchLedger(Place(checkout, BRANCH))
    assert ledger.records() == ()
    whole(begin(ledger, composed()))

    assert seen() == before


def test_commits_are_of_whom_git_is_told_else_of_relman(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    begin(machine(bare, tmp_path / "a"), composed())
    git(clone(bare, tmp_path / "b"), "config", "user.name", "Robin")
    git(tmp_path / "b", "config", "user.email", "robin@example.org")
    begin(machine(bare, tmp_path / "b"), composed(stream="testing"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Kim")
    begin(machine(bare, tmp_path / "b"), composed(stream="next"))

    assert git(bare, "log", "--reverse", "--format=%an <%ae>, %cn", BRANCH).splitlines() == [
        "relman <relman@localhost>, relman",
        "Robin <robin@example.org>, Robin",
        "Kim <robin@example.org>, Robin",
    ]


def test_a_write_that_changes_nothing_is_no_commit(bare: Path, tmp_path: Path) -> None:
    ledger = machine(bare, tmp_path / "a")
    digest = ledger.keep_contents(b"list")

    assert ledger.keep_contents(b"list") == digest
    assert log(bare) == ["contents kept"]
    assert ledger.prune() == (digest,)
    assert ledger.prune() == ()
    assert log(bare) == ["contents kept", "contents removed that nothing needs"]


def test_what_people_put_beside_the_records_stays_and_changes_no_byte_of_them(bare: Path, tmp_path: Path) -> None:
    finish(machine(bare, tmp_path / "a"), composed())
    people = clone(bare, tmp_path / "people", "--branch", BRANCH)
    (people / ".gitattributes").write_text("* text eol=crlf\n")
    (people / ".gitignore").write_text("*.json\n")
    (people / "CNAME").write_text("example.org\n")
    git(people, "add", "--all")
    git(people, "commit", "--quiet", "-m", "chore: a name")
    git(people, "push", "--quiet")

    finished = finish(machine(bare, tmp_path / "b"), LATER)

    assert {".gitattributes", ".gitignore", "CNAME", f"stable/{finished.name}/record.json"} <= set(tree(bare))
    assert machine(bare, tmp_path / "c").plan_of(finished) == PLAN
    assert log(bare)[2:] == ["chore: a name", *(f"release: stable-20250609 {what}" for what in ("begun", "finished"))]


# ------------------------------------------------------------------------------------------------- many machines


def test_what_a_dead_run_tried_from_another_checkout_of_this_machine_is_not_known_here(
    bare: Path, tmp_path: Path
) -> None:
    begin(machine(bare, tmp_path / "here"), composed()).attempt(attempt("a"))
    again = begin(machine(bare, tmp_path / "here"), composed(), now=NOON + 2 * LEASE)
    assert (again.taken_over is None, again.record.elsewhere) == (False, False)

    other = begin(machine(bare, tmp_path / "there"), composed(), now=NOON + 4 * LEASE)

    assert (other.taken_over is None, other.record.elsewhere) == (False, True)


@pytest.mark.parametrize("ends", ["killed", "stopped", "for another release"])
def test_that_a_run_elsewhere_may_have_tried_anything_is_known_to_all_runs_after_it(
    bare: Path, tmp_path: Path, ends: str
) -> None:
    begin(machine(bare, tmp_path / "there"), composed(), host="there").attempt(attempt("a"))
    here = machine(bare, tmp_path / "here")
    if ends == "for another release":
        begin(here, LATER, now=NOON + 2 * LEASE).finish(RecordState.PARTIAL, now=NOON + 2 * LEASE)
    else:
        second = begin(here, composed(), now=NOON + 2 * LEASE)
        if ends == "stopped":
            second.finish(RecordState.INTENDED, now=NOON + 2 * LEASE)

    third = begin(here, composed(), now=NOON + 4 * LEASE)

    assert third.record.elsewhere
    assert here.record(composed().name).elsewhere


def test_a_run_on_another_machine_is_named_and_waited_for_and_then_taken_over(bare: Path, tmp_path: Path) -> None:
    here, there = machine(bare, tmp_path / "here"), machine(bare, tmp_path / "there")
    first = begin(here, composed(), host="here")
    first.attempt(attempt("a"))

    for release in (composed(), LATER):
        with pytest.raises(Locked, match=f"is held by process {ME} on `here`, which works on `{NAME}`") as caught:
            begin(there, release, host="there", now=NOON + LEASE - MINUTE)
        assert caught.value.exit_code == 8
    second = begin(there, composed(), host="there", now=NOON + LEASE)

    assert second.taken_over is not None
    assert (second.taken_over.host, second.record.elsewhere) == ("here", True)
    for late in (
        lambda: first.attempt(attempt("b", 6)),
        lambda: first.tags_moved(now=NOON + 7 * MINUTE),
        lambda: first.finish(RecordState.FINISHED, now=NOON + 7 * MINUTE),
    ):
        with pytest.raises(Locked, match="another run took over"):
            late()
    first.receipt(receipt("a"))
    assert [r.state for r in BranchLedger(Place(tmp_path / "here", BRANCH)).records()[0].receipts] == [
        ReceiptState.DONE
    ]
    assert log(bare) == ["release: stable-20250608 begun"] * 2


def test_a_run_renews_its_lease_in_the_branch_before_it_grows_short_and_not_sooner(bare: Path, tmp_path: Path) -> None:
    ledger = machine(bare, tmp_path / "a")
    session = begin(ledger, composed(), host="here")
    session.attempt(attempt("a", 5))
    session.receipt(receipt("a", 6))
    assert log(bare) == ["release: stable-20250608 begun"]

    session.attempt(attempt("b", 6))

    assert log(bare) == ["release: stable-20250608 begun", "release: stable-20250608 lease renewed"]
    (seen,) = machine(bare, tmp_path / "b").records()
    assert seen.lease is not None
    assert seen.lease.until == NOON + 6 * MINUTE + LEASE
    assert (seen.state, seen.receipts) == (RecordState.INTENDED, (receipt("a", 6),))
    with pytest.raises(Locked):
        begin(machine(bare, tmp_path / "b"), LATER, host="there", now=NOON + LEASE)


def test_a_look_at_the_branch_finds_a_takeover_that_no_clock_here_can_tell(bare: Path, tmp_path: Path) -> None:
    careful = machine(bare, tmp_path / "here", look=0.0)
    session = begin(careful, composed(), host="here")
    fast = begin(machine(bare, tmp_path / "there"), LATER, host="there", now=NOON + timedelta(hours=1))

    with pytest.raises(Locked, match="another run took over"):
        session.attempt(attempt("a"))
    fast.attempt(attempt("b", 61))


def test_a_look_that_fails_takes_a_lease_from_nobody(bare: Path, tmp_path: Path, server: GitServer) -> None:
    session = begin(over_http(server, tmp_path / "a", look=0.0), composed())
    git(tmp_path / "a", "config", "remote.origin.url", f"http://127.0.0.1:{_closed_port()}/remote.git")
    away = begin(machine(bare, tmp_path / "b"), composed(stream="testing"))

    session.attempt(attempt("a"))
    away.attempt(attempt("b"))


def test_leases_run_by_the_clock_whatever_now_is_for_a_release(bare: Path, tmp_path: Path) -> None:
    real = NOON + timedelta(days=400)
    session = begin(machine(bare, tmp_path / "a", clock=lambda: real), composed(), host="here")
    assert session.record.lease is not None
    assert session.record.lease.until == real + LEASE
    with pytest.raises(Locked):
        begin(machine(bare, tmp_path / "b", clock=lambda: real + MINUTE), LATER, host="there", now=NOON + LEASE)


@pytest.mark.parametrize("transport", ["file", "http"])
def test_of_several_machines_that_begin_at_once_exactly_one_wins(
    bare: Path, tmp_path: Path, server: GitServer, transport: str
) -> None:
    address = bare if transport == "file" else f"{server.address}/remote.git"
    for number in range(3):
        ledgers = [machine(address, tmp_path / f"{name}-{number}") for name in "abc"]
        start, go = os.pipe()
        report, done = os.pipe()
        record = composed(f"{number:016x}", f"v{number}", stream=f"s{number}")
        children = [forked(partial(_begin_at_once, ledger, record, start, go, done)) for ledger in ledgers]
        os.close(go)  # the end of this pipe is the signal for all of them
        answers = sorted(os.read(report, 1) for _ in children)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for descriptor in (start, report, done):
            os.close(descriptor)

        assert answers == [b"0", b"8", b"8"]
    assert log(bare) == [f"release: v{number} begun" for number in range(3)]


def _begin_at_once(ledger: BranchLedger, record: Record, start: int, go: int, done: int) -> None:
    os.close(go)
    os.read(start, 1)
    try:
        begin(ledger, record, process=os.getpid(), host=f"machine-{os.getpid()}")
    except RelmanError as error:
        os.write(done, str(error.exit_code).encode())
    else:
        os.write(done, b"0")
    signal.pause()


def test_what_others_push_meanwhile_is_kept_and_the_write_follows_it(
    bare: Path, tmp_path: Path, server: GitServer
) -> None:
    ours, theirs = over_http(server, tmp_path / "ours"), machine(bare, tmp_path / "theirs")
    server.pushes = [
        ("before", lambda: begin(theirs, composed(stream="testing"), host="there")),
        ("before", lambda: theirs.keep_contents(b"list")),
    ]

    session = begin(ours, composed())

    assert log(bare) == ["release: stable-20250608 begun", "contents kept", "release: stable-20250608 begun"]
    assert {record.stream for record in machine(bare, tmp_path / "c").records()} == {"testing", "stable"}
    session.attempt(attempt("a"))


@pytest.mark.parametrize("when", ["before it is told where the branch is", "after"])
def test_one_who_was_first_between_look_and_push_holds_the_stream(
    bare: Path, tmp_path: Path, server: GitServer, when: str
) -> None:
    ours, theirs = over_http(server, tmp_path / "ours"), machine(bare, tmp_path / "theirs")
    ours.keep_contents(b"list")

    def first() -> None:
        begin(theirs, LATER, host="there")

    if when == "after":
        server.pushes = [("before", first)]
    else:
        server.adverts = [first]

    with pytest.raises(Locked, match="on `there`"):
        begin(ours, composed())

    assert (server.pushes, server.adverts) == ([], [])
    assert log(bare) == ["contents kept", "release: stable-20250609 begun"]
    assert [record.version for record in ours.records()] == ["stable-20250609"]


# ---------------------------------------------------------------------------------------------- what gets lost


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_an_answer_that_is_lost_is_settled_by_reading(bare: Path, tmp_path: Path, server: GitServer, lost: int) -> None:
    ledger = over_http(server, tmp_path / "a")
    server.pushes = [*[nothing] * lost, "lose"]

    finished = whole(begin(ledger, composed()))

    assert server.pushes == []
    assert log(bare) == [f"release: stable-20250608 {what}" for what in ("begun", "tags moved", "finished")]
    assert machine(bare, tmp_path / "b").records() == (finished,)


def test_a_lost_answer_is_settled_also_where_others_have_written_since(
    bare: Path, tmp_path: Path, server: GitServer
) -> None:
    ledger, theirs = over_http(server, tmp_path / "a"), machine(bare, tmp_path / "b")

    def others() -> None:
        for number in range(3):
            theirs.keep_contents(f"list {number}".encode())
        raise ConnectionError

    server.pushes = [("after", others)]

    session = begin(ledger, composed())

    assert log(bare) == ["release: stable-20250608 begun", *["contents kept"] * 3]
    assert whole(session).state is RecordState.FINISHED


def test_a_push_that_never_arrived_is_sent_again(bare: Path, tmp_path: Path, server: GitServer) -> None:
    server.pushes = ["drop", 503]

    whole(begin(over_http(server, tmp_path / "a"), composed()))

    assert log(bare) == [f"release: stable-20250608 {what}" for what in ("begun", "tags moved", "finished")]


def test_a_remote_that_takes_no_push_leaves_everything_as_it_was_and_exits_with_75(
    bare: Path, tmp_path: Path, server: GitServer
) -> None:
    ledger = over_http(server, tmp_path / "a")
    server.every = 503

    with pytest.raises(Passing, match=r"cannot write the branch `relman/records` of `origin`: .*503") as caught:
        begin(ledger, composed())

    assert caught.value.exit_code == 75
    assert (ledger.records(), log(bare)) == ((), [])
    server.every = None
    assert begin(ledger, composed()).record.lease is not None


def test_an_end_that_could_not_be_written_is_in_the_journal_for_the_next_run(
    bare: Path, tmp_path: Path, server: GitServer
) -> None:
    session = begin(over_http(server, tmp_path / "a"), composed())
    session.attempt(attempt("a"))
    session.receipt(receipt("a"))
    server.every = 503
    for _ in range(2):
        with pytest.raises(Passing):
            session.finish(RecordState.FINISHED, now=NOON + 4 * MINUTE)
    assert [record.state for record in machine(bare, tmp_path / "b").records()] == [RecordState.INTENDED]

    server.every = None
    (known,) = over_http(server, tmp_path / "a").records()

    assert known.receipts == (receipt("a"),)
    assert session.finish(RecordState.FINISHED, now=NOON + 5 * MINUTE).receipts == (receipt("a"),)
    assert log(bare) == [f"release: stable-20250608 {what}" for what in ("begun", "finished")]


def test_the_journal_of_a_dead_run_is_kept_until_the_ledger_has_what_is_in_it(
    bare: Path, tmp_path: Path, server: GitServer
) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    dead = begin(over_http(server, tmp_path / "a"), composed(), process=child.pid)
    dead.attempt(attempt("a"))
    dead.receipt(receipt("a"))
    server.every = 503
    for release in (composed(), LATER):
        with pytest.raises(Passing):
            begin(over_http(server, tmp_path / "a"), release)
    server.every = None

    assert begin(over_http(server, tmp_path / "a"), LATER).taken_over is None

    (_, left) = machine(bare, tmp_path / "b").records()
    assert (left.receipts, left.lease) == ((receipt("a"),), None)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("push", [0, 1, 2])
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_after_a_kill_at_any_push_the_next_run_finishes(
    bare: Path, tmp_path: Path, server: GitServer, push: int, when: str, where: str
) -> None:
    over_http(server, tmp_path / "here")
    victim: list[int] = []
    server.pushes = [*[nothing] * push, (when, lambda: os.kill(victim[0], signal.SIGKILL))]

    def run() -> None:
        whole(begin(over_http(server, tmp_path / "here"), composed(), host="here", process=os.getpid()))

    victim.append(forked(run))
    assert os.WIFSIGNALED(os.waitpid(victim[0], 0)[1])

    # What was sent goes on its way also without who sent it: git, which sends, was not killed.
    later = NOON + (MINUTE if where == "here" else LEASE + 3 * MINUTE)
    session = begin(over_http(server, tmp_path / where), composed(), host=where, now=later)
    if not session.finished:
        known = session.record.receipt("a")
        if where == "here" and push:
            assert known == receipt("a")
        if known is None or not known.settled:
            session.attempt(attempt("a", 14))
            session.receipt(receipt("a", 15))
        session.finish(RecordState.FINISHED, now=later + 4 * MINUTE)

    (record,) = machine(bare, tmp_path / "reader").records()
    assert (record.state, [r.key for r in record.receipts if r.settled]) == (RecordState.FINISHED, ["a"])
    assert (push, when) == (2, "after") or log(bare)[-1] == "release: stable-20250608 finished"


# ------------------------------------------------------------------------------------------- what is refused


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_remote_that_cannot_be_reached_is_exit_75_and_one_that_is_not_there_exit_1(
    bare: Path, tmp_path: Path
) -> None:
    ledger = machine(bare, tmp_path / "a")
    git(tmp_path / "a", "config", "remote.origin.url", f"http://127.0.0.1:{_closed_port()}/x.git")
    with pytest.raises(Passing, match="cannot read the branch `relman/records` of `origin`"):
        ledger.records()
    git(tmp_path / "a", "config", "remote.origin.url", str(tmp_path / "nowhere.git"))
    with pytest.raises(NotFound, match=r"nowhere\.git"):
        BranchLedger(Place(tmp_path / "a", BRANCH)).records()


@pytest.mark.parametrize("written", ["into the checkout", "beside it"])
def test_credentials_that_are_missing_are_exit_7_and_those_of_the_checkout_are_used_and_never_shown(
    bare: Path, tmp_path: Path, server: GitServer, caplog: pytest.LogCaptureFixture, written: str
) -> None:
    caplog.set_level("DEBUG")
    over_http(server, tmp_path / "a")
    server.password = "composed-secret"
    with pytest.raises(Unequipped, match="could not read Username") as caught:
        over_http(server, tmp_path / "a").records()
    assert caught.value.exit_code == 7

    beside = tmp_path / "credentials"
    place = ("--local",) if written == "into the checkout" else ("--file", str(beside))
    git(tmp_path / "a", "config", *place, f"http.{server.address}/.extraheader", server.header)
    git(tmp_path / "a", "config", f"includeIf.gitdir:{tmp_path}/a/.git.path", str(beside))
    begin(over_http(server, tmp_path / "a"), composed())

    assert log(bare) == ["release: stable-20250608 begun"]
    assert server.header.rpartition(" ")[2] not in caplog.text
    inside = (path for path in (tmp_path / "a/.git/relman").rglob("*") if path.is_file())
    assert not [path for path in inside if server.header.encode() in path.read_bytes()]


def test_a_server_that_forbids_pushing_is_exit_7(bare: Path, tmp_path: Path, server: GitServer) -> None:
    ledger = over_http(server, tmp_path / "a")
    server.every = 403

    with pytest.raises(Unequipped, match="403") as caught:
        begin(ledger, composed())

    assert caught.value.hint == "may this user push there? in GitHub Actions: `permissions: contents: write`"
    assert ledger.records() == ()


def test_a_branch_that_is_protected_is_exit_7_in_the_servers_words(bare: Path, tmp_path: Path) -> None:
    hook = bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: GH006: Protected branch update failed' >&2\nexit 1\n")
    hook.chmod(0o755)
    ledger = machine(bare, tmp_path / "a")

    with pytest.raises(Unequipped, match="GH006: Protected branch update failed"):
        begin(ledger, composed())

    assert ledger.records() == ()


def test_a_branch_of_something_else_is_refused_and_left_as_it_is(bare: Path, tmp_path: Path) -> None:
    checkout = clone(bare, tmp_path / "people")
    (checkout / "code.py").write_text("print()")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "feat: code")
    git(checkout, "push", "--quiet")
    ledger = BranchLedger(Place(checkout, "main"))

    for use in (ledger.records, lambda: begin(ledger, composed()), lambda: ledger.keep_contents(b"list")):
        with pytest.raises(Malformed, match=r"the branch `main` of `origin` is not a ledger: .* no `relman.json`"):
            use()
    assert log(bare, "main")[-1] == "feat: code"


def test_a_branch_without_files_is_taken_for_a_ledger(bare: Path, tmp_path: Path) -> None:
    empty = git(bare, "commit-tree", git(bare, "mktree", given=b"").strip(), "-m", "chore: empty").strip()
    git(bare, "update-ref", f"refs/heads/{BRANCH}", empty)

    begin(machine(bare, tmp_path / "a"), composed())

    assert log(bare) == ["chore: empty", "release: stable-20250608 begun"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"120000 blob %b\tlink", "`relman/records:link` is no plain file"),
        (b"160000 commit %c\tmodule", "`relman/records:module` is no plain file"),
        (b"040000 tree %t\t.Journal", "`relman/records:.Journal/file` cannot be in a ledger"),
    ],
)
def test_what_no_ledger_has_is_refused_before_any_file_is_written(
    bare: Path, tmp_path: Path, entry: bytes, message: str
) -> None:
    blob = git(bare, "hash-object", "-w", "--stdin", given=b"/etc/passwd").strip()
    folder = git(bare, "mktree", given=f"100644 blob {blob}\tfile\n".encode()).strip()
    marked = f"100644 blob {blob}\trelman.json\n".encode()
    for sign, id in ((b"%b", blob), (b"%t", folder), (b"%c", git(bare, "rev-parse", "main").strip())):
        entry = entry.replace(sign, id.encode())
    made = git(bare, "mktree", "--missing", given=entry + b"\n" + marked).strip()
    git(bare, "update-ref", f"refs/heads/{BRANCH}", git(bare, "commit-tree", made, "-m", "chore: traps").strip())
    ledger = machine(bare, tmp_path / "a")

    with pytest.raises(Malformed) as caught:
        ledger.records()

    assert message in caught.value.message
    assert [path.name for path in (tmp_path / "a/.git/relman").glob("*/tree/*")] == [".journal"]


def test_a_broken_file_is_named_as_git_names_it(bare: Path, tmp_path: Path) -> None:
    finish(machine(bare, tmp_path / "a"), composed())
    people = clone(bare, tmp_path / "people", "--branch", BRANCH)
    (people / "stable" / NAME / "record.json").write_text("{")
    git(people, "commit", "--quiet", "--all", "-m", "fix: nothing")
    git(people, "push", "--quiet")
    ledger = machine(bare, tmp_path / "b")

    for use in (ledger.records, lambda: begin(ledger, LATER)):
        with pytest.raises(Malformed, match=f"^`relman/records:stable/{NAME}/record.json` is not JSON"):
            use()
    assert begin(ledger, composed(stream="testing")).record.lease is not None


def test_a_branch_that_is_gone_is_an_error_and_no_ledger_without_records(bare: Path, tmp_path: Path) -> None:
    finish(machine(bare, tmp_path / "a"), composed())
    git(bare, "update-ref", "-d", f"refs/heads/{BRANCH}")

    with pytest.raises(
        RelmanError, match="the branch `relman/records`, which holds the records, is gone from `origin`"
    ):
        machine(bare, tmp_path / "a").records()


# ------------------------------------------------------------------------------------------------ which remote


def test_a_checkout_without_a_remote_keeps_the_branch_itself(tmp_path: Path, bare: Path) -> None:
    for checkout in (clone(bare, tmp_path / "a"), bare):
        if checkout != bare:
            git(checkout, "remote", "remove", "origin")
        finished = whole(begin(BranchLedger(Place(checkout, BRANCH)), composed()))

        assert BranchLedger(Place(checkout, BRANCH)).records() == (finished,)
        assert len(log(checkout)) == 3


def test_the_remote_is_origin_or_the_only_one_or_the_one_that_is_named(tmp_path: Path, bare: Path) -> None:
    other = tmp_path / "other.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(bare), str(other))
    checkout = clone(bare, tmp_path / "a", "--origin", "upstream")

    begin(BranchLedger(Place(checkout, BRANCH)), composed())
    git(checkout, "remote", "add", "fork", "../other.git")  # as git has it: from the top of the work tree
    with pytest.raises(ConfigError, match="has several remotes \\(`fork`, `upstream`\\), and none is `origin`"):
        BranchLedger(Place(checkout, BRANCH)).records()
    with pytest.raises(ConfigError, match="has no remote `orign`"):
        BranchLedger(Place(checkout, BRANCH, "orign")).records()
    begin(BranchLedger(Place(checkout, BRANCH, "fork")), LATER)
    begin(BranchLedger(Place(checkout, BRANCH, ".")), composed(stream="local"))
    assert BranchLedger(Place(checkout, BRANCH, other.as_uri())).records()[0].version == "stable-20250609"

    assert [log(place)[0].split()[1] for place in (bare, other, checkout)] == [
        "stable-20250608",
        "stable-20250609",
        "stable-20250608",
    ]


def test_two_work_trees_of_one_repository_share_the_journal(bare: Path, tmp_path: Path) -> None:
    checkout = clone(bare, tmp_path / "a")
    git(checkout, "worktree", "add", "--quiet", "--detach", str(tmp_path / "b"))
    begin(BranchLedger(Place(checkout, BRANCH)), composed()).attempt(attempt("a"))

    (seen,) = BranchLedger(Place(tmp_path / "b", BRANCH)).records()

    assert [r.state for r in seen.receipts] == [ReceiptState.UNKNOWN]


def test_the_recipe_takes_records_from_a_folder_to_a_branch(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "kim@example.org")
    text = (Path(__file__).parent.parent / "docs/recipes.md").read_text()
    recipe = text.partition("## Records from a folder to a branch")[2].partition("```sh\n")[2].partition("```")[0]
    checkout = clone(bare, tmp_path / "a")
    folder = FolderLedger(checkout / "releases")
    finished = finish(folder, composed(), b"list")

    subprocess.run(["sh", "-e", "-c", recipe], cwd=checkout, check=True, capture_output=True)

    ledger = BranchLedger(Place(checkout, BRANCH))
    assert (ledger.records(), ledger.plan_of(finished)) == (folder.records(), PLAN)
    finish(ledger, LATER)
    assert log(bare)[0] == "release: records from the folder"


def test_ssh_goes_the_way_that_the_checkout_says(bare: Path, tmp_path: Path) -> None:
    program = tmp_path / "ssh.sh"
    program.write_text(f'#!/bin/sh\necho "$2" >> {tmp_path}/asked\nshift\nexec sh -c "$1"\n')
    program.chmod(0o755)
    ledger = machine(bare, tmp_path / "a")
    for key, value in (
        ("core.sshCommand", str(program)),
        ("ssh.variant", "simple"),
        ("url.ssh://forge.example/.insteadOf", "forge:"),
        ("remote.origin.url", f"forge:{bare.relative_to('/')}"),
    ):
        git(tmp_path / "a", "config", key, value)

    begin(ledger, composed())

    asked = [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()]
    assert (asked, len(log(bare))) == (["git-upload-pack", "git-upload-pack", "git-receive-pack"], 1)


def test_everything_that_a_ledger_does_goes_through_the_branch() -> None:
    """A method that is added to the folder's ledger reads by `_read` in a branch, and writes by `_write` in both."""
    for name, method in inspect.getmembers(FolderLedger, inspect.isfunction):
        if not name.startswith("_"):
            body = inspect.getsource(method)
            assert "writing()" not in body, name
            assert name in vars(BranchLedger) or "self._write(" in body or "self.records(" in body, name


def test_after_a_kill_at_any_git_command_the_next_run_finishes(bare: Path, tmp_path: Path) -> None:
    """Every fifth of them: they cost their time. A hook of the interpreter counts."""
    step, killed = 0, True
    while killed:
        stream = f"s{step}"
        record = composed(f"{step:016x}", f"v{step}", stream=stream)

        def run(record: Record = record, left: int = step) -> None:
            def hook(event: str, _arguments: tuple[object, ...]) -> None:
                nonlocal left
                if event == "subprocess.Popen":
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            whole(begin(machine(bare, tmp_path / "a"), record, process=os.getpid()))

        machine(bare, tmp_path / "a")
        status = os.waitpid(forked(run), 0)[1]
        killed = os.WIFSIGNALED(status)
        assert killed or os.WEXITSTATUS(status) == 0

        session = begin(machine(bare, tmp_path / "a"), record, now=NOON + MINUTE)
        finished = session.record if session.finished else whole(session, NOON + MINUTE)

        assert (finished.state, [r.key for r in finished.receipts]) == (RecordState.FINISHED, ["a"])
        step += STRIDE
    assert machine(bare, tmp_path / "b").records(stream) == (finished,)
    assert step > 30


def test_what_was_observed_and_what_was_imported_reach_every_machine(bare: Path, tmp_path: Path) -> None:
    one, two = machine(bare, tmp_path / "a"), machine(bare, tmp_path / "b")
    seen = Observation(NOON, "stable", "os", TagKind.STREAM, "stable", Digest.of(b"os"))
    record = replace(
        composed("0" * 16, "v0"), plan=None, imported=Imported("github", "releases.json", None, "0" * 64, 0)
    )
    finished = replace(record, state=RecordState.FINISHED)

    assert one.observe([seen], known=one.observed()) == (seen,)
    assert one.adopt([(finished, b"{}")]) == (finished,)

    assert two.observed().entries == (seen,)
    assert [each.name for each in two.records()] == [finished.name]
    assert two.observe([seen], known=two.observed()) == ()
    assert two.survey("stable")[1] == ()
