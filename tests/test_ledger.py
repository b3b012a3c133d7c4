"""A ledger in a folder: its three writes, its lock, and what is left of a run that was killed anywhere in it."""

from __future__ import annotations

import errno
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from relman.documents.record import record_bytes
from relman.errors import (
    DigestMismatch,
    Locked,
    Malformed,
    NotFound,
    PartlyDone,
    RelmanError,
    Unequipped,
    UsageError,
)
from relman.ledger import FolderLedger, Ledger, Session
from relman.ledger.branch import BranchLedger
from relman.ledger.exchange import Place
from relman.ledger.journal import UNANSWERED
from relman.ledger.lease import LEASE
from relman.model.oci import Digest, Platform
from relman.model.record import Attempt, Correction, Receipt, ReceiptState, Record, RecordedVariant, RecordState
from tests.git_remotes import clone, remote

NOON = datetime(2025, 6, 8, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAN = b'{"composed": "plan"}\n'
CHANGELOG = b'{"composed": "changelog"}\n'
HOST = "builder"
ME = os.getpid()


def composed(
    id: str = "0123456789abcdef", version: str = "stable-20250608", *, days: int = 0, **more: object
) -> Record:
    record = Record(
        id=id,
        project="Bluefin",
        stream="stable",
        version=version,
        previous=None,
        state=RecordState.INTENDED,
        created=NOON + timedelta(days=days),
        finished=None,
        plan=Digest.of(PLAN),
        variants=(
            RecordedVariant(
                "bluefin", "ghcr.io/ublue-os/bluefin", Digest.of(b"a"), None, (Platform("linux", "amd64"),), None
            ),
        ),
    )
    return replace(record, **more)  # the fields of a record


def begin(
    ledger: FolderLedger, record: Record, *, process: int = ME, host: str = HOST, now: datetime = NOON
) -> Session:
    return ledger.begin(record, PLAN, CHANGELOG, host=host, process=process, now=now)


def attempt(key: str, minutes: int = 1) -> Attempt:
    return Attempt(key, f"tag:{key}", NOON + minutes * MINUTE)


def receipt(key: str, minutes: int = 2, state: ReceiptState = ReceiptState.DONE) -> Receipt:
    return Receipt(key, f"tag:{key}", state, NOON + minutes * MINUTE)


def finish(ledger: FolderLedger, record: Record, contents: bytes | None = None) -> Record:
    documents = None if contents is None else {"bluefin": contents}
    return begin(ledger, record).finish(RecordState.FINISHED, now=record.created + MINUTE, contents=documents)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What holds for a folder holds for a branch: only tests that look into ``tmp_path`` are the folder's own."""
    if "ledger" in metafunc.fixturenames:
        kinds = ["folder"] if "tmp_path" in inspect.signature(metafunc.function).parameters else ["folder", "branch"]
        metafunc.parametrize("ledger", kinds, indirect=True)


@pytest.fixture
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> FolderLedger:
    if request.param == "folder":
        return FolderLedger(tmp_path / "releases")
    return BranchLedger(Place(clone(remote(tmp_path), tmp_path / "clone"), "relman/records"))


@pytest.fixture
def dead() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


# ------------------------------------------------------------------------------------------------ three writes


def test_a_folder_is_a_ledger(ledger: FolderLedger) -> None:
    kept: Ledger = ledger

    assert kept.records() == ()


def test_a_release_leaves_its_record_its_changelog_and_its_plan(ledger: FolderLedger, tmp_path: Path) -> None:
    session = begin(ledger, composed())
    session.attempt(attempt("a"))
    session.receipt(receipt("a"))
    session.tags_moved(now=NOON + 3 * MINUTE)
    finished = session.finish(RecordState.FINISHED, now=NOON + 4 * MINUTE)

    assert finished == composed(
        state=RecordState.FINISHED, finished=NOON + 4 * MINUTE, receipts=(receipt("a"),), lease=None
    )
    assert FolderLedger(tmp_path / "releases").records() == (finished,)
    assert ledger.plan_of(finished) == PLAN
    assert ledger.changelog_of(finished) == CHANGELOG
    folder = "stable/stable-20250608-0123456789abcdef"
    assert files(tmp_path / "releases") == [
        ".journal/.gitignore",
        ".journal/lock",
        f"{folder}/changelog.json",
        f"{folder}/plan.json",
        f"{folder}/record.json",
    ]
    assert (tmp_path / "releases/.journal/.gitignore").read_text() == "*\n"


def test_git_sees_nothing_of_what_is_this_machines_alone(ledger: FolderLedger, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    begin(ledger, composed()).attempt(attempt("a"))

    seen = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=tmp_path, check=True, capture_output=True, text=True
    )

    assert [Path(line[3:]).name for line in seen.stdout.splitlines()] == ["changelog.json", "plan.json", "record.json"]


def test_the_three_states_of_a_release_are_seen_from_outside(ledger: FolderLedger, tmp_path: Path) -> None:
    outside = FolderLedger(tmp_path / "releases")
    states = []

    session = begin(ledger, composed())
    states.append(outside.record("stable-20250608").state)
    session.tags_moved(now=NOON)
    states.append(outside.record("stable-20250608").state)
    session.finish(RecordState.FINISHED, now=NOON)
    states.append(outside.record("stable-20250608").state)

    assert states == [RecordState.INTENDED, RecordState.PARTIAL, RecordState.FINISHED]


def test_receipts_are_seen_before_the_ledger_is_written_again(ledger: FolderLedger, tmp_path: Path) -> None:
    session = begin(ledger, composed())
    session.attempt(attempt("a"))
    session.receipt(receipt("a"))
    session.attempt(attempt("b", 3))

    (seen,) = FolderLedger(tmp_path / "releases").records()

    assert seen.receipts == (
        receipt("a"),
        Receipt("b", "tag:b", ReceiptState.UNKNOWN, NOON + 3 * MINUTE, detail=UNANSWERED),
    )
    assert session.record == seen
    assert seen.lease is not None
    assert seen.lease.until == NOON + 3 * MINUTE + LEASE


def test_a_run_that_stops_half_way_lets_go_and_the_next_goes_on(ledger: FolderLedger) -> None:
    first = begin(ledger, composed())
    first.attempt(attempt("a"))
    first.receipt(receipt("a"))
    first.attempt(attempt("b"))
    first.receipt(receipt("b", 2, ReceiptState.FAILED))
    stopped = first.finish(RecordState.PARTIAL, now=NOON + 3 * MINUTE)

    second = begin(ledger, composed(), now=NOON + 4 * MINUTE)

    assert (stopped.lease, stopped.finished) == (None, None)
    assert not second.finished
    assert second.taken_over is None
    assert second.record.receipts == (receipt("a"), receipt("b", 2, ReceiptState.FAILED))
    second.attempt(attempt("b", 5))
    second.receipt(receipt("b", 6))
    assert second.finish(RecordState.FINISHED, now=NOON + 7 * MINUTE).receipts == (receipt("a"), receipt("b", 6))


def test_a_finished_release_begun_again_says_so_and_writes_nothing(ledger: FolderLedger, tmp_path: Path) -> None:
    finished = finish(ledger, composed())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    again = begin(ledger, composed(), now=NOON + timedelta(days=1))

    assert again.finished
    assert again.record == finished
    assert again.finish(RecordState.FINISHED, now=NOON) == finished
    with pytest.raises(RelmanError, match="was finished before"):
        again.attempt(attempt("a"))
    with pytest.raises(RelmanError, match="was finished before"):
        again.receipt(receipt("a"))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_finished_session_refuses_to_note_more(ledger: FolderLedger) -> None:
    session = begin(ledger, composed())
    session.finish(RecordState.FINISHED, now=NOON)

    with pytest.raises(RelmanError, match="is finished: nothing more can be noted"):
        session.attempt(attempt("a"))


@pytest.mark.parametrize("state", [RecordState.ROLLED_BACK, RecordState.YANKED])
def test_a_release_that_was_taken_back_is_not_carried_out_again(ledger: FolderLedger, state: RecordState) -> None:
    begin(ledger, composed()).finish(state, now=NOON)

    with pytest.raises(RelmanError, match=f"is {state}: it cannot be carried out again"):
        begin(ledger, composed())


def test_a_plan_that_is_not_the_records_is_refused(ledger: FolderLedger) -> None:
    with pytest.raises(DigestMismatch):
        ledger.begin(composed(), b"another", CHANGELOG, host=HOST, process=ME, now=NOON)
    assert ledger.records() == ()


def test_another_plan_for_a_release_that_came_to_nothing_takes_its_place(ledger: FolderLedger, tmp_path: Path) -> None:
    first = begin(ledger, composed())
    first.attempt(attempt("a"))
    first.receipt(receipt("a", 2, ReceiptState.FAILED))
    first.finish(RecordState.PARTIAL, now=NOON)
    later = composed(version="stable-20250609", days=1, plan=Digest.of(b"later"))

    session = ledger.begin(later, b"later", CHANGELOG, host=HOST, process=ME, now=NOON)

    assert [record.version for record in ledger.records()] == ["stable-20250609"]
    assert ledger.plan_of(session.record) == b"later"
    assert sorted(path.name for path in (tmp_path / "releases/stable").iterdir()) == [later.name]


@pytest.mark.parametrize("state", [ReceiptState.DONE, None])
def test_another_plan_for_a_release_that_is_partly_done_is_refused(
    ledger: FolderLedger, state: ReceiptState | None
) -> None:
    first = begin(ledger, composed())
    first.attempt(attempt("a"))
    if state is not None:
        first.receipt(receipt("a", 2, state))
    stopped = first.finish(RecordState.PARTIAL, now=NOON)
    later = composed(version="stable-20250609", plan=Digest.of(b"later"))

    with pytest.raises(PartlyDone) as caught:
        ledger.begin(later, b"later", CHANGELOG, host=HOST, process=ME, now=NOON)

    assert caught.value.hint == "`relman resume stable-20250608-0123456789abcdef` finishes it"
    assert ledger.records() == (stopped,)


# -------------------------------------------------------------------------------------------------------- lock


def test_a_living_run_locks_its_stream_and_is_named(ledger: FolderLedger, tmp_path: Path) -> None:
    begin(ledger, composed()).attempt(attempt("a", 5))

    for other in (composed(), composed("f" * 16, "stable-20250609")):
        with pytest.raises(Locked) as caught:
            begin(FolderLedger(tmp_path / "releases"), other, now=NOON + 14 * MINUTE)
        assert caught.value.exit_code == 8
        assert caught.value.message == (
            f"stream `stable` is held by process {ME} on `builder`, which works on "
            "`stable-20250608-0123456789abcdef` since 2025-06-08T12:00:00Z"
        )
        assert caught.value.hint == (
            "wait for it, or end it; if it stays silent it is taken over after 2025-06-08T12:15:00Z"
        )


def test_another_stream_is_free(ledger: FolderLedger) -> None:
    begin(ledger, composed())

    assert begin(ledger, composed(stream="testing")).taken_over is None


def test_a_run_on_another_host_is_waited_for_until_its_lease_runs_out(ledger: FolderLedger, dead: int) -> None:
    lease = begin(ledger, composed(), host="elsewhere", process=dead).record.lease

    with pytest.raises(Locked):
        begin(ledger, composed(), now=NOON + LEASE - MINUTE)
    assert begin(ledger, composed(), now=NOON + LEASE).taken_over == lease


def test_a_dead_run_is_taken_over_at_once_with_all_that_it_noted(ledger: FolderLedger, dead: int) -> None:
    first = begin(ledger, composed(), process=dead)
    first.attempt(attempt("a"))
    first.receipt(receipt("a"))
    first.attempt(attempt("b", 3))

    second = begin(ledger, composed(), now=NOON + 4 * MINUTE)

    assert second.taken_over is not None
    assert (second.taken_over.process, second.record.elsewhere) == (dead, False)
    assert [(r.key, r.state) for r in second.record.receipts] == [("a", ReceiptState.DONE), ("b", ReceiptState.UNKNOWN)]


def test_another_release_after_a_dead_run_keeps_what_that_one_noted(ledger: FolderLedger, dead: int) -> None:
    first = begin(ledger, composed(), process=dead)
    first.attempt(attempt("a"))
    first.receipt(receipt("a"))

    begin(ledger, composed("f" * 16, "stable-20250609", days=1))

    left = ledger.record("stable-20250608")
    assert (left.state, left.receipts, left.lease) == (RecordState.INTENDED, (receipt("a"),), None)


@pytest.mark.parametrize("other", [composed(), composed("f" * 16, "stable-20250609")])
def test_a_run_that_was_silent_too_long_may_not_try_anything_more(ledger: FolderLedger, other: Record) -> None:
    silent = begin(ledger, composed())
    silent.attempt(attempt("a"))
    owner = begin(ledger, other, now=NOON + 20 * MINUTE)

    for act in (
        lambda: silent.attempt(attempt("b", 21)),
        lambda: silent.tags_moved(now=NOON),
        lambda: silent.finish(RecordState.FINISHED, now=NOON),
    ):
        with pytest.raises(Locked, match="another run took over"):
            act()
    owner.attempt(attempt("b", 22))
    owner.receipt(receipt("b", 23))
    assert owner.finish(RecordState.FINISHED, now=NOON + 24 * MINUTE).state is RecordState.FINISHED


@pytest.mark.parametrize("over", [True, False])
def test_what_a_silent_run_really_did_is_still_noted(ledger: FolderLedger, over: bool) -> None:
    silent = begin(ledger, composed())
    silent.attempt(attempt("a"))
    owner = begin(ledger, composed(), now=NOON + 20 * MINUTE)
    if over:
        owner.finish(RecordState.PARTIAL, now=NOON + 21 * MINUTE)

    silent.receipt(receipt("a", 22))

    assert ledger.record("stable-20250608").receipts == (receipt("a", 22),)
    if not over:
        assert owner.finish(RecordState.FINISHED, now=NOON).receipts == (receipt("a", 22),)


def test_what_a_silent_run_failed_to_do_is_for_the_new_run_to_find_out(ledger: FolderLedger) -> None:
    silent = begin(ledger, composed())
    silent.attempt(attempt("a"))
    owner = begin(ledger, composed(), now=NOON + 20 * MINUTE)
    owner.attempt(attempt("a", 21))
    owner.receipt(receipt("a", 22))

    silent.receipt(receipt("a", 23, ReceiptState.FAILED))

    assert owner.finish(RecordState.FINISHED, now=NOON).receipts == (receipt("a", 22),)


def test_a_journal_that_is_cleaned_away_beneath_a_run_is_written_anew(ledger: FolderLedger, tmp_path: Path) -> None:
    session = begin(ledger, composed())
    session.attempt(attempt("a"))
    (tmp_path / "releases/.journal/stable/stable-20250608-0123456789abcdef.jsonl").unlink()

    session.receipt(receipt("a"))
    session.attempt(attempt("b"))

    assert [r.state for r in ledger.records()[0].receipts] == [ReceiptState.DONE, ReceiptState.UNKNOWN]


def test_of_two_processes_that_begin_at_once_exactly_one_wins(tmp_path: Path) -> None:
    for round in range(8):
        ledger = FolderLedger(tmp_path / str(round))
        start, go = os.pipe()
        report, done = os.pipe()
        children = [forked(partial(_begin_at_once, ledger, start, go, done)) for _ in range(4)]
        os.close(go)  # the end of this pipe is the signal for all of them
        answers = sorted(os.read(report, 1) for _ in children)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for descriptor in (start, report, done):
            os.close(descriptor)

        assert answers == [b"0", b"8", b"8", b"8"]
        assert len(ledger.records()) == 1


def _begin_at_once(ledger: FolderLedger, start: int, go: int, done: int) -> None:
    os.close(go)
    os.read(start, 1)
    try:
        begin(ledger, composed(), process=os.getpid())
    except RelmanError as error:
        os.write(done, str(error.exit_code).encode())
    else:
        os.write(done, b"0")
    signal.pause()  # a winner that ended would be taken over


def forked(work: Callable[[], object]) -> int:
    """The id of a new process that does ``work`` and ends: with 0, or with 99 where it raised."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:  # noqa: BLE001  a fork that raised must not go on as a second pytest
        os._exit(99)
    os._exit(0)


# --------------------------------------------------------------------------------------------------- kill -9

KEYS = ("a", "b")


def _effect(world: Path, key: str) -> None:
    with world.open("a") as file:
        file.write(f"{key}\n")


def _effects(world: Path) -> list[str]:
    return world.read_text().split() if world.exists() else []


def _release(root: Path, world: Path, *, now: datetime = NOON) -> Record:
    """A whole run, as the walk does it: what is `unknown` is settled by reading the world."""
    session = begin(FolderLedger(root), composed(), process=os.getpid(), now=now)
    if session.finished:
        return session.record
    for minutes, key in enumerate(KEYS, 1):
        known = session.record.receipt(key)
        if known is not None and known.settled:
            continue
        if known is not None and key in _effects(world):
            session.receipt(Receipt(key, f"tag:{key}", ReceiptState.ADOPTED, now + minutes * MINUTE))
            continue
        session.attempt(Attempt(key, f"tag:{key}", now + minutes * MINUTE))
        _effect(world, key)
        session.receipt(Receipt(key, f"tag:{key}", ReceiptState.DONE, now + minutes * MINUTE))
        if key == "a":
            session.tags_moved(now=now + minutes * MINUTE)
    return session.finish(RecordState.FINISHED, now=now + 9 * MINUTE, contents={"bluefin": b"list"})


_TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "fcntl.flock", "shutil.rmtree")


def _killed_at(step: int, folder: Path, work: Callable[[], object]) -> bool:
    """Do ``work`` in a process of its own and kill it right before its ``step``-th touch of the disk.

    False where it ended before. A hook of the interpreter counts: nothing of relman is changed for this.
    """

    def run() -> None:
        left = step

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in _TOUCHES and (event == "fcntl.flock" or str(arguments[0]).startswith(str(folder))):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()

    status = os.waitpid(forked(run), 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _assert_the_ledger_knows(root: Path, world: Path) -> None:
    """Done is done; what was never noted was never tried; between the two is `unknown`."""
    done = _effects(world)
    assert len(done) == len(set(done))
    known = {receipt.key: receipt for record in FolderLedger(root).records() for receipt in record.receipts}
    for key in KEYS:
        if key in known and known[key].settled:
            assert key in done
        elif key in known:
            assert known[key].state is ReceiptState.UNKNOWN
        else:
            assert key not in done


def test_after_a_kill_at_any_moment_the_next_run_knows_what_is_done_and_finishes(tmp_path: Path) -> None:
    step, killed = 0, True
    while killed:
        folder = tmp_path / str(step)
        root, world = folder / "releases", folder / "world"
        folder.mkdir()
        killed = _killed_at(step, folder, partial(_release, root, world))
        _assert_the_ledger_knows(root, world)

        finished = _release(root, world, now=NOON + MINUTE)

        assert _effects(world) == list(KEYS)
        assert finished.state is RecordState.FINISHED
        assert {r.key for r in finished.receipts if r.settled} == set(KEYS)
        assert FolderLedger(root).records() == (finished,)
        assert [name for name in files(root) if name.startswith(".journal")] in (
            [".journal/.gitignore", ".journal/lock"],
            # Killed between its last write and forgetting its journal, which a later release of the stream sweeps up.
            [".journal/.gitignore", ".journal/lock", f".journal/stable/{finished.name}.jsonl"],
        )
        begin(FolderLedger(root), composed("f" * 16, "stable-20250609", days=1), now=NOON)
        assert not [name for name in files(root) if name.endswith(".tmp") or "/.new-" in name]
        step += 1
    assert step > 40


def test_after_a_kill_in_the_middle_of_taking_over_nothing_is_lost_either(tmp_path: Path) -> None:
    step, killed = 0, True
    while killed:
        folder = tmp_path / str(step)
        root, world = folder / "releases", folder / "world"
        folder.mkdir()
        first = os.waitpid(forked(partial(_die_after_an_effect, root, world)), 0)[1]
        assert os.WIFSIGNALED(first)
        killed = _killed_at(step, folder, partial(_release, root, world))
        _assert_the_ledger_knows(root, world)

        finished = _release(root, world, now=NOON + MINUTE)

        assert _effects(world) == list(KEYS)
        assert {r.key for r in finished.receipts if r.settled} == set(KEYS)
        step += 1
    assert step > 40


def _die_after_an_effect(root: Path, world: Path) -> None:
    session = begin(FolderLedger(root), composed(), process=os.getpid())
    session.attempt(attempt("a"))
    _effect(world, "a")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_while_another_plan_takes_the_place_of_one_that_came_to_nothing_leaves_one_of_them(
    tmp_path: Path,
) -> None:
    later = composed(version="stable-20250609", plan=Digest.of(b"later"))
    step, killed = 0, True
    while killed:
        root = tmp_path / str(step)
        begin(FolderLedger(root), composed()).finish(RecordState.PARTIAL, now=NOON)

        def replace_it(root: Path = root) -> None:
            FolderLedger(root).begin(later, b"later", CHANGELOG, host=HOST, process=os.getpid(), now=NOON)

        killed = _killed_at(step, root, replace_it)
        assert len(FolderLedger(root).records()) <= 1
        replace_it()
        assert [record.name for record in FolderLedger(root).records()] == [later.name]
        step += 1
    assert step > 10


# ------------------------------------------------------------------------------------------------------ disks


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a file system needs root; a limit on the size of files stands for it elsewhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(folder: Path, leave: int) -> Path:
    filler = folder / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(descriptor, b"x" * 4096):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 4096 * 4096 - leave)
    finally:
        os.close(descriptor)
    return filler


def test_a_full_disk_loses_nothing_and_the_run_ends_when_there_is_room(tiny: Path) -> None:
    ledger = FolderLedger(tiny / "releases")
    session = begin(ledger, composed())
    session.attempt(attempt("a"))
    filler = _fill(tiny, 0)

    session.receipt(receipt("a"))  # fits into the block that the journal has already
    with pytest.raises(RelmanError) as caught:
        session.finish(RecordState.FINISHED, now=NOON, contents={"bluefin": os.urandom(5000)})

    assert caught.value.exit_code == 1
    assert "no space left on device" in caught.value.message
    assert ledger.records()[0].receipts == (receipt("a"),)
    assert not [name for name in files(tiny) if name.endswith(".tmp")]
    filler.unlink()
    assert session.finish(RecordState.FINISHED, now=NOON).receipts == (receipt("a"),)


def test_after_a_finish_that_failed_the_next_begin_has_what_the_journal_holds(tiny: Path) -> None:
    ledger = FolderLedger(tiny / "releases")
    session = begin(ledger, composed())
    session.attempt(attempt("a"))
    session.receipt(receipt("a"))
    filler = _fill(tiny, 0)
    with pytest.raises(RelmanError):
        session.finish(RecordState.FINISHED, now=NOON)
    filler.unlink()

    again = begin(ledger, composed(), now=NOON + 3 * MINUTE)

    assert again.record.receipts == (receipt("a"),)
    assert again.finish(RecordState.FINISHED, now=NOON).receipts == (receipt("a"),)


def test_an_intent_that_does_not_fit_leaves_no_half_of_a_record(tiny: Path) -> None:
    (tiny / "releases").mkdir()
    filler = _fill(tiny, 8192)

    with pytest.raises(RelmanError, match="no space left"):
        begin(FolderLedger(tiny / "releases"), composed())

    assert FolderLedger(tiny / "releases").records() == ()
    filler.unlink()
    assert not begin(FolderLedger(tiny / "releases"), composed()).finished


def test_a_receipt_that_does_not_fit_goes_out_with_the_next_write(tmp_path: Path) -> None:
    script = """
import resource, sys
from functools import partial
from pathlib import Path
from tests.test_ledger import *
ledger = FolderLedger(Path(sys.argv[1]))
session = begin(ledger, composed())
session.attempt(attempt("a"))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
for write in (lambda: session.receipt(receipt("a")), lambda: session.attempt(attempt("b"))):
    try:
        write()
    except RelmanError as error:
        print(error.exit_code, error.message.rpartition(": ")[2])
print([r.state.value for r in ledger.records()[0].receipts], [r.state.value for r in session.record.receipts])
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print([r.state.value for r in session.finish(RecordState.FINISHED, now=NOON).receipts])
"""

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "releases")],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["1 file too large", "1 file too large", "['unknown'] ['done']", "['done']"]


def test_a_folder_that_may_not_be_written_is_exit_7_and_can_still_be_read(tiny: Path) -> None:
    root = tiny / "releases"
    finished = finish(FolderLedger(root), composed())
    subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)

    with pytest.raises(Unequipped, match="read-only file system") as caught:
        begin(FolderLedger(root), composed("f" * 16, "stable-20250609"))

    assert caught.value.exit_code == 7
    assert FolderLedger(root).records() == (finished,)
    assert begin(FolderLedger(root), composed()).finished


def test_a_folder_of_somebody_else_is_exit_7(tmp_path: Path) -> None:
    root = tmp_path / "releases"
    root.mkdir(mode=0o555)

    def work() -> None:
        if os.geteuid() == 0:
            for folder in (root, *root.parents):  # so that the other user gets as far as the ledger
                if folder != root and folder.is_relative_to(tmp_path.parent.parent):
                    folder.chmod(0o755)
            os.setuid(65534)
        try:
            begin(FolderLedger(root), composed())
        except Unequipped:
            os._exit(7)

    assert os.waitstatus_to_exitcode(os.waitpid(forked(work), 0)[1]) == 7


@pytest.mark.parametrize("place", ["", "stable", ".journal", "stable/.new-stable-20250608-0123456789abcdef"])
def test_a_file_in_the_way_is_named(tmp_path: Path, place: str) -> None:
    path = tmp_path / "releases" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")

    with pytest.raises(RelmanError, match="something else is in its place") as caught:
        begin(FolderLedger(tmp_path / "releases"), composed())

    assert str(tmp_path / "releases") in caught.value.message
    assert path.read_text() == "mine"


def test_a_folder_that_is_no_record_is_not_overwritten(ledger: FolderLedger, tmp_path: Path) -> None:
    notes = tmp_path / "releases/stable/stable-20250608-0123456789abcdef/notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")

    with pytest.raises(RelmanError, match="something else is in its place"):
        begin(ledger, composed())

    assert notes.read_text() == "mine"


# ---------------------------------------------------------------------------------------------------- reading


def test_records_come_newest_first_over_all_streams_or_one(ledger: FolderLedger) -> None:
    for number, stream in enumerate(["stable", "testing", "stable"]):
        finish(ledger, composed(f"{number:016x}", f"v{number}", days=number, stream=stream))

    assert [record.version for record in ledger.records()] == ["v2", "v1", "v0"]
    assert [record.version for record in ledger.records("stable")] == ["v2", "v0"]
    assert ledger.records("next") == ()


def test_records_of_one_moment_are_ordered_by_version(ledger: FolderLedger) -> None:
    for version in ("b", "c", "a"):
        finish(ledger, composed(version * 16, version))

    assert [record.version for record in ledger.records()] == ["c", "b", "a"]


def test_a_record_is_found_by_id_by_version_and_by_name(ledger: FolderLedger) -> None:
    finished = finish(ledger, composed())

    assert [ledger.record(wanted) for wanted in (finished.id, finished.version, finished.name)] == [finished] * 3


def test_a_record_that_is_not_there_is_answered_with_what_comes_close(ledger: FolderLedger) -> None:
    finish(ledger, composed())

    with pytest.raises(NotFound) as caught:
        ledger.record("stable-20250609", "stable")

    assert "there is no record `stable-20250609` of stream `stable`" in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean `stable-20250608`")


def test_a_version_of_two_streams_is_ambiguous_until_the_stream_is_named(ledger: FolderLedger) -> None:
    finish(ledger, composed(version="44.20260713"))
    testing = finish(ledger, composed("f" * 16, version="44.20260713", stream="testing"))

    with pytest.raises(UsageError, match=r"`44\.20260713` is a release of `stable`, `testing`"):
        ledger.record("44.20260713")
    assert ledger.record("44.20260713", "testing") == testing


def test_of_two_records_of_one_version_the_finished_one_is_meant(ledger: FolderLedger) -> None:
    finished = finish(ledger, composed())
    begin(ledger, composed("f" * 16, days=1))

    assert ledger.record("stable-20250608") == finished


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "record.json` is not JSON"),
        (b"{}", "record.json` is not a document of relman"),
        (record_bytes(composed(version="stable-20250701")), "it lies in another's folder"),
        (record_bytes(composed(stream="testing")), "it lies in another's folder"),
        (None, "record.json` is missing"),
    ],
)
def test_a_broken_record_is_an_error_that_names_the_file(
    ledger: FolderLedger, tmp_path: Path, content: bytes | None, message: str
) -> None:
    finished = finish(ledger, composed())
    path = tmp_path / "releases/stable" / finished.name / "record.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    for read in (ledger.records, lambda: ledger.record("x"), lambda: begin(ledger, composed("f" * 16))):
        with pytest.raises(Malformed) as caught:
            read()
        assert str(path) in caught.value.message
        assert message in caught.value.message


def test_files_and_folders_that_are_no_records_are_let_be(ledger: FolderLedger, tmp_path: Path) -> None:
    finished = finish(ledger, composed())
    root = tmp_path / "releases"
    (root / "README.md").write_text("ours")
    (root / "docs/images").mkdir(parents=True)
    (root / "stable/notes.txt").write_text("ours")
    (root / ".git").mkdir()

    assert ledger.records() == (finished,)


def test_a_plan_that_was_changed_in_the_ledger_is_refused(ledger: FolderLedger, tmp_path: Path) -> None:
    finished = finish(ledger, composed())
    (tmp_path / "releases/stable" / finished.name / "plan.json").write_bytes(b"changed")

    with pytest.raises(DigestMismatch, match="is not the plan"):
        ledger.plan_of(finished)


def test_a_plan_that_is_gone_is_none_and_is_put_back_by_the_next_run(ledger: FolderLedger, tmp_path: Path) -> None:
    record = begin(ledger, composed()).finish(RecordState.PARTIAL, now=NOON)
    (tmp_path / "releases/stable" / record.name / "plan.json").unlink()

    assert ledger.plan_of(record) is None
    begin(ledger, composed())
    assert ledger.plan_of(record) == PLAN


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", ".journal", "contents", "a\0b", "x" * 201])
def test_a_name_that_would_lead_out_of_the_ledger_is_refused(ledger: FolderLedger, tmp_path: Path, name: str) -> None:
    with pytest.raises(Malformed):
        begin(ledger, composed(stream=name))
    with pytest.raises(Malformed):
        ledger.records(name)
    if "/" in name or "\\" in name or "\0" in name or len(name) > 200:
        with pytest.raises(Malformed):
            begin(ledger, composed(version=name))
        with pytest.raises(Malformed):
            begin(ledger, composed(id=name))
    assert list(tmp_path.rglob("*")) == []


# --------------------------------------------------------------------------------------------------- contents


def test_contents_are_kept_under_the_digest_of_the_document(ledger: FolderLedger, tmp_path: Path) -> None:
    document = b'{"schema":"relman.contents/1","platforms":{}}\n' * 100

    digest = ledger.keep_contents(document)

    assert digest == Digest.of(document)
    assert ledger.contents(digest) == document
    path = tmp_path / f"releases/contents/sha256-{digest.hex}.json.zst"
    assert path.stat().st_size < 200
    unpacked = subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True)
    assert unpacked.stdout == document


def test_contents_that_were_not_kept_are_none(ledger: FolderLedger) -> None:
    assert ledger.contents(Digest.of(b"never")) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed: b"",
        lambda packed: b"garbage",
        lambda packed: packed[:-3],
        lambda packed: packed + b"x",
        lambda packed: packed + packed,
    ],
)
def test_spoiled_contents_are_malformed_and_are_replaced_when_kept_again(
    ledger: FolderLedger, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    digest = ledger.keep_contents(b"list")
    path = tmp_path / f"releases/contents/sha256-{digest.hex}.json.zst"
    path.write_bytes(spoil(path.read_bytes()))

    with pytest.raises(Malformed, match="contents/sha256-"):
        ledger.contents(digest)
    assert ledger.keep_contents(b"list") == digest
    assert ledger.contents(digest) == b"list"


def test_contents_of_another_digest_are_a_mismatch(ledger: FolderLedger, tmp_path: Path) -> None:
    folder = tmp_path / "releases/contents"
    one, other = ledger.keep_contents(b"one"), ledger.keep_contents(b"other")
    (folder / f"sha256-{one.hex}.json.zst").replace(folder / f"sha256-{other.hex}.json.zst")

    with pytest.raises(DigestMismatch):
        ledger.contents(other)


def test_a_small_file_that_unpacks_to_very_much_is_refused(ledger: FolderLedger, tmp_path: Path) -> None:
    digest = ledger.keep_contents(b"list")
    path = tmp_path / f"releases/contents/sha256-{digest.hex}.json.zst"
    zeros = subprocess.run(["head", "-c", str(80 * 1024 * 1024), "/dev/zero"], capture_output=True, check=True).stdout
    path.write_bytes(subprocess.run(["zstd", "-c"], input=zeros, capture_output=True, check=True).stdout)

    with pytest.raises(Malformed, match="unpacks to more than 65536 KiB"):
        ledger.contents(digest)


def test_the_contents_of_the_current_and_the_previous_release_of_each_stream_are_kept(ledger: FolderLedger) -> None:
    digests = [Digest.of(f"list {n}".encode()) for n in range(4)]
    testing = finish(ledger, composed("e" * 16, "t", stream="testing", days=-9), b"testing")

    for number in range(4):
        finish(ledger, composed(f"{number:016x}", f"v{number}", days=number), f"list {number}".encode())

    assert [ledger.contents(digest) is not None for digest in digests] == [False, False, True, True]
    assert [variant.contents for variant in ledger.record("v0").variants] == [digests[0]]
    assert ledger.contents(Digest.of(b"testing")) == b"testing"
    assert testing.variants[0].contents == Digest.of(b"testing")


def test_pruning_never_takes_what_an_unfinished_release_names(ledger: FolderLedger) -> None:
    stopped = begin(ledger, composed("e" * 16, "half", days=-1))
    stopped.finish(RecordState.PARTIAL, now=NOON, contents={"bluefin": b"half"})

    for number in range(3):
        finish(ledger, composed(f"{number:016x}", f"v{number}", days=number), f"list {number}".encode())

    assert ledger.contents(Digest.of(b"half")) == b"half"
    assert ledger.contents(Digest.of(b"list 0")) is None


def test_pruning_answers_with_what_it_removed_and_leaves_other_files(ledger: FolderLedger, tmp_path: Path) -> None:
    digest = ledger.keep_contents(b"nobody's")
    mine = tmp_path / "releases/contents/README"
    mine.write_text("mine")

    assert ledger.prune() == (digest,)
    assert mine.read_text() == "mine"


def test_a_broken_record_of_another_stream_does_not_make_a_finished_release_fail(
    ledger: FolderLedger, tmp_path: Path
) -> None:
    finish(ledger, composed("e" * 16, "t", stream="testing"), b"testing")
    (tmp_path / "releases/testing" / f"t-{'e' * 16}" / "record.json").write_bytes(b"{")

    finished = finish(ledger, composed())

    assert finished.state is RecordState.FINISHED
    assert ledger.contents(Digest.of(b"testing")) == b"testing"


def test_what_a_killed_run_left_half_made_is_swept_up_by_the_next(ledger: FolderLedger, tmp_path: Path) -> None:
    for left in ("stable/.new-stable-20250601-0/plan.json", "stable/.old-stable-20250601-0/record.json"):
        (tmp_path / "releases" / left).parent.mkdir(parents=True)
        (tmp_path / "releases" / left).write_text("half")

    assert ledger.records() == ()
    begin(ledger, composed())

    assert [path.name for path in (tmp_path / "releases/stable").iterdir()] == ["stable-20250608-0123456789abcdef"]


# ------------------------------------------------------------------------------------- receipts that come later


def reopen(ledger: FolderLedger, record: Record, *, process: int = ME, host: str = HOST, hours: int = 1) -> Session:
    return ledger.reopen(record, host=host, process=process, now=NOON + timedelta(hours=hours))


def test_a_finished_release_takes_receipts_later_and_stays_what_it_is(ledger: FolderLedger) -> None:
    finished = finish(ledger, composed())

    session = reopen(ledger, finished)
    session.attempt(attempt("late", 61))
    session.receipt(receipt("late", 62))
    session.tags_moved(now=NOON + timedelta(hours=1))
    during = ledger.record(finished.id)
    after = session.finish(finished.state, now=NOON + timedelta(hours=2))

    assert (during.state, during.lease is not None) == (RecordState.FINISHED, True)
    assert after == replace(finished, receipts=(receipt("late", 62),))
    assert ledger.records() == (after,)


def test_the_plan_and_the_notes_of_a_release_stay_when_it_is_reopened(ledger: FolderLedger) -> None:
    finished = finish(ledger, composed())

    again = reopen(ledger, finished).finish(finished.state, now=NOON + timedelta(hours=2))

    assert again == finished
    assert (ledger.plan_of(again), ledger.changelog_of(again)) == (PLAN, CHANGELOG)


def test_of_two_that_reopen_a_release_the_second_is_told_who_holds_it(ledger: FolderLedger) -> None:
    finished = finish(ledger, composed())
    session = reopen(ledger, finished, host="elsewhere")

    with pytest.raises(Locked, match="`elsewhere`"):
        reopen(ledger, finished)
    with pytest.raises(Locked, match="`elsewhere`"):
        ledger.begin(
            composed("f" * 16, "v2", days=1), PLAN, CHANGELOG, host=HOST, process=ME, now=NOON + timedelta(hours=1)
        )
    session.assure(now=NOON + timedelta(hours=1))


def test_a_run_that_died_over_a_reopened_release_leaves_what_it_tried_unknown(ledger: FolderLedger, dead: int) -> None:
    finished = finish(ledger, composed())
    reopen(ledger, finished, process=dead).attempt(attempt("late", 61))

    session = reopen(ledger, finished)

    (left,) = session.record.receipts
    assert (left.key, left.state, left.detail) == ("late", ReceiptState.UNKNOWN, UNANSWERED)
    assert (session.record.elsewhere, session.record.state) == (False, RecordState.FINISHED)


def test_who_lost_a_reopened_release_to_another_run_does_nothing_more(ledger: FolderLedger) -> None:
    finished = finish(ledger, composed())
    lost = reopen(ledger, finished, host="elsewhere")
    reopen(ledger, finished, hours=2)

    for write in (
        partial(lost.assure, now=NOON + timedelta(hours=2)),
        partial(lost.attempt, attempt("late", 121)),
        partial(lost.finish, finished.state, now=NOON + timedelta(hours=2)),
    ):
        with pytest.raises(Locked, match="took over"):
            write()


def test_a_record_that_is_gone_cannot_be_reopened(ledger: FolderLedger) -> None:
    with pytest.raises(NotFound, match="no longer in"):
        reopen(ledger, composed())


def test_what_was_corrected_and_taken_back_is_read_as_it_was_written(ledger: FolderLedger) -> None:
    finished = finish(ledger, composed())
    correction = Correction(NOON, "ada", "0" * 64)
    late = replace(receipt("late", 62), by="ada", edited=correction, withdrawn=replace(correction, sha256=None))
    session = reopen(ledger, finished)
    session.receipt(late)

    assert session.finish(finished.state, now=NOON).receipts == (late,)
    assert ledger.record(finished.id).receipts == (late,)
