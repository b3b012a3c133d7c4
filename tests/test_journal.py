"""The journal: what a run notes as it goes, and what is made of it after the run ended in any way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.errors import Malformed, RelmanError
from relman.ledger.journal import UNANSWERED, Begin, Entry, Journal, line, merged, parse
from relman.ledger.lease import LEASE, is_held, process_started, take
from relman.model.oci import Digest
from relman.model.record import Attempt, Lease, Receipt, ReceiptState, Record, RecordState

NOON = datetime(2025, 6, 8, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BEGIN = Begin("t0ken", "builder", 42, "17@4026531836", NOON)
LEASED = Lease("builder", 42, "17@4026531836", NOON + LEASE)
RECORD = Record(
    id="0123456789abcdef",
    project="Bluefin",
    stream="stable",
    version="stable-20250608",
    previous=None,
    state=RecordState.INTENDED,
    created=NOON,
    finished=None,
    plan=Digest.of(b"plan"),
    variants=(),
    lease=LEASED,
)


def attempt(key: str, minutes: int = 1) -> Attempt:
    return Attempt(key, f"tag:{key}", NOON + minutes * MINUTE)


def receipt(key: str, minutes: int = 2, state: ReceiptState = ReceiptState.DONE) -> Receipt:
    return Receipt(key, f"tag:{key}", state, NOON + minutes * MINUTE)


def unknown(key: str, minutes: int = 1) -> Receipt:
    return Receipt(key, f"tag:{key}", ReceiptState.UNKNOWN, NOON + minutes * MINUTE, detail=UNANSWERED)


keys = st.sampled_from(["a", "b", "c"])
minutes = st.integers(-30, 30)
entries = st.lists(
    st.builds(attempt, keys, minutes)
    | st.builds(receipt, keys, minutes, st.sampled_from(ReceiptState))
    | st.builds(Receipt, keys, st.text(min_size=1), st.just(ReceiptState.DONE), st.just(NOON), st.text(), st.text()),
    max_size=12,
)


@given(entries, st.data())
def test_any_prefix_of_a_journal_gives_a_consistent_record(noted: list[Attempt | Receipt], data: st.DataObject) -> None:
    lines = [line(entry) for entry in (BEGIN, *noted)]
    content = b"".join(lines)
    cut = data.draw(st.integers(0, len(content)))

    record = merged(RECORD, parse(content[:cut], what="j"))

    whole = sum(sum(map(len, lines[: n + 1])) <= cut for n in range(len(lines)))
    expected: dict[str, Receipt] = {}
    for entry in noted[: max(0, whole - 1)]:
        if isinstance(entry, Attempt):
            entry = Receipt(entry.key, entry.action, ReceiptState.UNKNOWN, entry.at, detail=UNANSWERED)
        expected[entry.key] = entry
    assert {receipt.key: receipt for receipt in record.receipts} == expected
    assert len(record.receipts) == len(expected)
    assert merged(record, parse(content[:cut], what="j")) == record


@given(entries)
def test_a_journal_is_read_back_as_it_was_written(noted: list[Attempt | Receipt]) -> None:
    everything: tuple[Entry, ...] = (BEGIN, *noted)

    assert parse(b"".join(map(line, everything)), what="j") == everything


@pytest.mark.parametrize("tail", [b"", b"{", b'{"entry":"receipt"', b"\0\0\0\0", line(receipt("b"))[:-1], b"\xff"])
def test_a_last_line_that_was_cut_is_let_be_and_those_before_it_count(tail: bytes) -> None:
    content = line(BEGIN) + line(attempt("a")) + line(receipt("a")) + tail

    assert parse(content, what="j") == (BEGIN, attempt("a"), receipt("a"))


@pytest.mark.parametrize(
    "broken", [b"\n", b"{}\n", b"x\n", b'{"entry":"mood"}\n', b'{"entry":"receipt","receipt":{}}\n', b"\0\0\n"]
)
def test_a_broken_line_in_the_middle_is_an_error_that_names_it(broken: bytes) -> None:
    with pytest.raises(Malformed, match="journal `x`, line 2"):
        parse(line(BEGIN) + broken + line(attempt("a")), what="journal `x`")


def test_an_attempt_without_a_receipt_is_unknown() -> None:
    assert merged(RECORD, [BEGIN, attempt("a"), receipt("a"), attempt("b", 3)]).receipts == (
        receipt("a"),
        unknown("b", 3),
    )


def test_an_attempt_after_a_failure_is_unknown_again() -> None:
    noted: list[Entry] = [BEGIN, attempt("a"), receipt("a", 2, ReceiptState.FAILED), attempt("a", 3)]

    assert merged(RECORD, noted).receipts == (unknown("a", 3),)


def test_the_journal_of_the_run_that_holds_the_record_counts_whatever_its_clock_says() -> None:
    known = replace(RECORD, receipts=(receipt("a", 30, ReceiptState.FAILED),))

    assert merged(known, [BEGIN, attempt("a", 1), receipt("a", 0)]).receipts == (receipt("a", 0),)


def test_an_older_journal_gives_way_to_a_later_receipt_and_adds_what_the_record_lacks() -> None:
    known = replace(RECORD, lease=None, receipts=(receipt("a", 5), receipt("b", 1, ReceiptState.FAILED)))

    noted: list[Entry] = [BEGIN, attempt("a", 1), receipt("b", 3), attempt("c", 4)]
    record = merged(known, noted)

    assert record.receipts == (receipt("a", 5), receipt("b", 3), unknown("c", 4))


def test_each_line_renews_the_lease_of_the_run_it_is_of_and_no_other() -> None:
    noted: list[Entry] = [BEGIN, attempt("a", 7)]
    other = replace(LEASED, process=43)

    assert merged(RECORD, noted).lease == replace(LEASED, until=NOON + 7 * MINUTE + LEASE)
    assert merged(replace(RECORD, lease=other), noted).lease == other


def test_what_an_earlier_failure_left_half_written_is_cut_off_before_the_next_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.start([BEGIN])
    with journal.path.open("ab") as file:
        file.write(line(attempt("a"))[:9])

    journal.append(attempt("b"))

    assert journal.entries() == (BEGIN, attempt("b"))


def test_a_line_that_does_not_fit_on_the_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    # In a process of its own: a limit on the size of files cannot be raised again.
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_journal import *
from relman.errors import RelmanError
journal = Journal(Path({str(tmp_path)!r}) / "j.jsonl")
journal.start([BEGIN])
resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 20,) * 2)
try:
    journal.append(attempt("a"))
except RelmanError as error:
    print(error.message)
    sys.exit(error.exit_code)
"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"cannot write `{tmp_path}/j.jsonl`: file too large\n"
    assert (tmp_path / "j.jsonl").read_bytes() == line(BEGIN)


def test_a_journal_that_is_a_named_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "j.jsonl")

    with pytest.raises(RelmanError, match="is not a file"):
        Journal(tmp_path / "j.jsonl").entries()


# ------------------------------------------------------------------------------------------------------ leases


def test_a_lease_of_a_living_process_is_held_until_it_runs_out() -> None:
    host = socket.gethostname()
    lease = take(host, os.getpid(), NOON)

    assert is_held(lease, host=host, now=NOON + LEASE - timedelta(seconds=1))
    assert not is_held(lease, host=host, now=NOON + LEASE)


def test_a_dead_process_holds_nothing_on_its_own_host() -> None:
    child = subprocess.Popen(["true"])
    lease = take("builder", child.pid, NOON)
    child.wait()

    assert not is_held(lease, host="builder", now=NOON)
    assert is_held(lease, host="another", now=NOON)


def test_a_killed_process_that_nobody_waited_for_is_dead() -> None:
    child = subprocess.Popen(["sleep", "60"])
    lease = take("builder", child.pid, NOON)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes

    assert not is_held(lease, host="builder", now=NOON)
    child.wait()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc to tell start times from")
def test_a_reused_process_id_is_told_from_the_process_that_had_it() -> None:
    started = process_started(os.getpid())
    assert started is not None
    ticks, _, namespace = started.partition("@")
    earlier = Lease("builder", os.getpid(), f"{int(ticks) - 1}@{namespace}", NOON + LEASE)

    assert not is_held(earlier, host="builder", now=NOON)
    assert is_held(replace(earlier, started=started), host="builder", now=NOON)


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="this system has no namespaces of process ids")
def test_a_process_id_of_another_container_says_nothing_here() -> None:
    lease = Lease("builder", 2**22 + 1, "17@1", NOON + LEASE)

    assert is_held(lease, host="builder", now=NOON)
    assert not is_held(replace(lease, started=None), host="builder", now=NOON)


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="this system has no namespaces of process ids")
def test_a_process_id_of_another_machine_of_the_same_name_says_nothing_here() -> None:
    ours = process_started(os.getpid())
    assert ours is not None
    place, _, started = ours.rpartition(".")
    assert started
    twin = f"{place}.00000000"  # the same first namespace, as every copy of a machine has it, after another start
    lease = Lease("builder", 2**22 + 1, twin, NOON + LEASE)

    assert is_held(lease, host="builder", now=NOON)
    assert not is_held(replace(lease, started=ours), host="builder", now=NOON)
