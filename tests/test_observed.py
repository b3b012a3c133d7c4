"""What tags were seen to hold: since when, what is news, and a file that outlives kills, rivals and editors."""

from __future__ import annotations

import json
import multiprocessing
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman import standing
from relman.documents.observed import observations_from, observed_lines
from relman.errors import Malformed, Passing
from relman.ledger import FolderLedger
from relman.model.observed import Observation, Observations, TagKind, changes
from relman.model.oci import Descriptor, Digest, Reference
from relman.testing import MemoryRegistry
from relman.walk.observing import Held, Observed
from tests.walking import MONDAY, World

A, B = Digest.of(b"a"), Digest.of(b"b")
HOUR = timedelta(hours=1)

CONFIG = """\
[[variants]]
name = "os"

[[variants]]
name = "dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}"]
"""


def seen(digest: Digest | None, hours: float, tag: str = "testing") -> Observation:
    """The stream's own tag, or a dated one, so many hours after noon."""
    kind = TagKind.STREAM if tag == "testing" else TagKind.DATED
    return Observation(MONDAY + hours * HOUR, "testing", "os", kind, tag, digest)


def since(digest: Digest, *noted: Observation, now: float = 100) -> float | None:
    """Since how many hours after noon a digest was seen, at ``now`` hours after noon."""
    found = Observations(noted).first_seen(digest, "testing", "os", now=MONDAY + now * HOUR)
    return None if found is None else (found - MONDAY) / HOUR


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry())
    found.configure(CONFIG)
    return found


def observe(world: World, hours: float = 0) -> Observed:
    with world.walk(now=MONDAY + hours * HOUR) as walk:
        return standing.observe(walk, tuple(walk.config.streams.values()))


def file(world: World) -> Path:
    return world.folder / "releases" / "observed.jsonl"


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ((), None),
        ((seen(B, 1),), None),
        ((seen(A, 1),), 1),
        ((seen(A, 1), seen(B, 2)), 1),
        ((seen(A, 1), seen(B, 2), seen(A, 3)), 3),
        ((seen(A, 1), seen(None, 2), seen(A, 3)), 3),
        ((seen(A, 10), seen(B, 5), seen(A, 6)), 6),
        ((seen(None, 1),), None),
        ((seen(B, 1), seen(A, 2, "testing-20260705")), None),
    ],
    ids=[
        "never",
        "another",
        "once",
        "a newer one came",
        "came back",
        "was gone",
        "came back, by a clock behind",
        "only gone",
        "only a dated tag",
    ],
)
def test_since_when_a_digest_was_seen(noted: tuple[Observation, ...], expected: float | None) -> None:
    assert since(A, *noted) == expected


def test_a_time_that_is_still_to_come_counts_from_now_and_no_soak_is_shortened_by_a_clock_behind() -> None:
    ahead, behind = (seen(A, 50), seen(A, 10)), (seen(A, 10), seen(A, -500))

    assert since(A, ahead[0], now=9) == 9
    assert since(A, *ahead, now=20) == 10
    assert since(A, *behind, now=-499) == -500
    assert since(A, *behind, now=20) == 10


runs = st.lists(st.tuples(st.sampled_from([A, B, None]), st.integers(-20, 20)), max_size=8)


@given(runs, st.integers(-20, 20))
def test_nothing_was_ever_first_seen_in_the_future(noted: list[tuple[Digest | None, int]], now: int) -> None:
    found = since(A, *(seen(digest, hours) for digest, hours in noted), now=now)

    assert (found is None) is (A not in [digest for digest, _ in noted])
    assert found is None or found <= now


@given(runs)
def test_what_was_noted_once_is_no_news_and_the_last_word_is_what_is_held(
    noted: list[tuple[Digest | None, int]],
) -> None:
    known = Observations()
    for digest, hours in noted:
        known = Observations((*known.entries, *changes(known, [seen(digest, hours)])))
        assert changes(known, [seen(digest, hours)]) == ()
        assert known.held("testing", "os") == digest


def test_what_another_run_noted_since_we_looked_stands() -> None:
    before = Observations((seen(A, 1),))
    after = Observations((seen(A, 1), seen(B, 2)))

    assert changes(after, [seen(A, 1.5)], known=before) == ()
    assert changes(after, [seen(A, 3)], known=after) == (seen(A, 3),)


def test_lines_are_as_the_contract_has_them_and_read_back() -> None:
    entries = (seen(A, 0), seen(None, 0, "testing-20260705"))

    content = observed_lines(entries)

    assert [json.loads(line) for line in content.splitlines()] == [
        {
            "schema": "relman.observed/1",
            "at": "2026-07-06T12:00:00Z",
            "stream": "testing",
            "variant": "os",
            "kind": kind,
            "tag": tag,
            "digest": digest,
        }
        for kind, tag, digest in (("stream", "testing", A), ("dated", "testing-20260705", None))
    ]
    assert observations_from(content, what="f") == (Observations(entries), len(content))


@given(st.integers(0, 10_000))
def test_a_file_that_was_cut_anywhere_holds_every_line_before_the_cut(cut: int) -> None:
    entries = tuple(seen(digest, hours) for hours, digest in enumerate([A, B, None, A]))
    content = observed_lines(entries)
    cut %= len(content) + 1

    found, whole = observations_from(content[:cut], what="f")

    ends = [len(observed_lines(entries[: number + 1])) for number in range(len(entries))]
    assert found.entries == entries[: sum(end - 1 <= cut for end in ends)]
    assert whole <= cut


@pytest.mark.parametrize(
    "broken",
    [b"<<<<<<< HEAD", b"{}", b'{"schema": "relman.observed/2"}', b"\xff", b"[" * 5000, b'{"a": 1, "a": 1}'],
    ids=["a merge", "no observation", "of a newer relman", "no text", "deep", "a key twice"],
)
def test_a_line_that_cannot_be_read_is_named_and_nothing_is_written(world: World, broken: bytes) -> None:
    world.push("os", "testing")
    observe(world)
    content = file(world).read_bytes() + broken + b"\n"
    file(world).write_bytes(content)

    with pytest.raises(Malformed, match=r"observed\.jsonl`, line 2") as caught:
        observe(world, 1)

    assert caught.value.hint
    assert file(world).read_bytes() == content


def test_a_file_that_an_editor_left_without_its_last_end_is_read_and_added_to(world: World) -> None:
    first = world.push("os", "testing", revision="1")
    observe(world)
    file(world).write_bytes(b"\n" + file(world).read_bytes().rstrip(b"\n").replace(b":", b" :", 1))
    second = world.push("os", "testing", revision="2")

    observe(world, 1)

    assert [entry.digest for entry in world.ledger.observed().entries] == [first, second]


def test_streams_and_new_dated_tags_are_noted_and_a_second_run_writes_nothing(world: World) -> None:
    digest = world.push("os", "testing", "testing-20260704", "testing-20260705", "other", day=date(2026, 7, 5))

    first = observe(world)
    content = file(world).read_bytes()
    made = {path: path.stat().st_mtime_ns for path in world.folder.rglob("*")}
    second = observe(world, 1)

    assert [(e.variant, e.kind, e.tag, e.digest) for e in first.noted] == [
        ("os", "stream", "testing", digest),
        ("os", "dated", "testing-20260705", digest),
        ("os", "dated", "testing-20260704", digest),
    ]
    assert (second.noted, file(world).read_bytes()) == ((), content)
    assert {path: path.stat().st_mtime_ns for path in world.folder.rglob("*")} == made
    assert second.held == (
        Held("testing", "os", "testing", digest, MONDAY),
        Held("testing", "dx", "testing", None, None),
    )


def test_nothing_to_note_makes_no_ledger(world: World) -> None:
    assert observe(world).noted == ()
    assert not (world.folder / "releases").exists()


def test_tags_that_vanish_and_come_back_are_noted(world: World) -> None:
    world.push("os", "testing", "testing-20260705")
    observe(world)
    images = world.registry
    world.registry = MemoryRegistry()
    gone = observe(world, 1)
    world.registry = images
    back = observe(world, 2)

    assert [(e.tag, e.digest) for e in gone.noted] == [("testing", None), ("testing-20260705", None)]
    assert [(e.tag, e.digest is None) for e in back.noted] == [("testing", False), ("testing-20260705", False)]
    assert back.held[0].since == MONDAY + 2 * HOUR


def test_a_clock_that_went_back_is_said_and_noted_once(world: World) -> None:
    digest = world.push("os", "testing")
    observe(world, 1000)

    back = observe(world, 1)
    again = observe(world, 2)

    assert "the clock went back" in back.notes[0]
    assert [entry.at for entry in back.noted] == [MONDAY + HOUR]
    assert (again.noted, again.notes) == ((), ())
    assert again.held[0] == Held("testing", "os", "testing", digest, MONDAY + HOUR)


class Silent(MemoryRegistry):
    """Answers for one variant alone."""

    def resolve(self, reference: Reference) -> Descriptor | None:
        if reference.repository.name.endswith("dx"):
            raise Passing("`ghcr.io` is busy")
        return super().resolve(reference)


def test_where_the_registry_does_not_answer_nothing_is_noted(world: World) -> None:
    world.registry = Silent()
    world.push("os", "testing")

    with pytest.raises(Passing):
        observe(world)

    assert not file(world).exists()


def test_more_dated_tags_than_a_run_asks_for_are_left_for_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relman.walk.observing.AT_ONCE", 2)
    world.push("os", "testing-20260703", "testing-20260704", "testing-20260705")

    first, second, third = observe(world), observe(world, 1), observe(world, 2)

    assert [e.tag for e in first.noted] == ["testing-20260705", "testing-20260704"]
    assert first.notes == ("`testing` of `os`: 1 older dated tags are left for the next run",)
    assert [e.tag for e in second.noted] == ["testing-20260703"]
    assert (third.noted, third.notes) == ((), ())


def _note(folder: Path, barrier: object, number: int) -> None:
    """One of several processes that saw the same at the same time, and something of its own."""
    ledger = FolderLedger(folder)
    barrier.wait()  # type: ignore[attr-defined]
    ledger.observe([seen(A, 0), seen(B, 0, f"testing-2026010{number}")], known=Observations())


def test_of_several_runs_at_once_each_notes_what_the_others_did_not(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_note, args=(tmp_path, barrier, number)) for number in range(1, 5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    found = FolderLedger(tmp_path).observed()

    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(entry.tag for entry in found.entries) == [
        "testing",
        *(f"testing-2026010{number}" for number in range(1, 5)),
    ]


@pytest.mark.parametrize("cut", [1, 80, 200])
def test_what_a_killed_run_left_half_written_is_cut_off_by_the_next(tmp_path: Path, cut: int) -> None:
    ledger = FolderLedger(tmp_path)
    ledger.observe([seen(A, 0)], known=Observations())
    whole = (tmp_path / "observed.jsonl").read_bytes()
    with (tmp_path / "observed.jsonl").open("ab") as left:
        left.write(observed_lines([seen(B, 1)])[:cut])

    assert ledger.observed().held("testing", "os") == A
    ledger.observe([seen(B, 2)], known=ledger.observed())

    assert (tmp_path / "observed.jsonl").read_bytes() == whole + observed_lines([seen(B, 2)])


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = FolderLedger(tmp_path)
    ledger.observe([seen(A, 0)], known=Observations())
    content = (tmp_path / "observed.jsonl").read_bytes()
    real = os.write
    tries = iter([10])

    def full(descriptor: int, data: bytes) -> int:
        for size in tries:
            return real(descriptor, data[:size])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Exception, match="no space left"):
        ledger.observe([seen(B, 1)], known=ledger.observed())
    monkeypatch.undo()

    assert (tmp_path / "observed.jsonl").read_bytes() == content


def test_a_stream_that_was_observed_says_since_when_it_holds_what_it_holds(world: World) -> None:
    world.push("os", "testing", "testing-20260705", day=date(2026, 7, 5))
    observe(world)

    with world.walk(now=MONDAY + 5 * HOUR) as walk:
        state = standing.stream_state(walk, walk.config.stream("testing"))

    assert [variant.since for variant in state.variants] == [MONDAY, None]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Observation(datetime(2026, 7, 6), "testing", "os", TagKind.STREAM, "testing", A)  # noqa: DTZ001
    assert Observation(datetime(2026, 7, 6, tzinfo=UTC), "testing", "os", TagKind.STREAM, "testing", A)
