"""The n-th write fails, or kills who wrote it: all new, all old, or exit 4 with what is left; the next run finishes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.integration.driver import Project, Ran, Workshop
from tests.integration.front import Forward, Gate, Victim, answer, lose, nth_write, writes
from tests.servers import Asked, Front, Reply, Scripted

WRITES = ("base:stable", "dx:stable", "base:stable-20260624", "dx:stable-20260624")
"""What a release of the small set writes: the stream's tags in this order, then the dated ones, at the same time."""
NUMBERS = range(1, len(WRITES) + 1)
HOOK = """
[[announce]]
type = "webhook"
name = "hook"
url = "{url}/hook"
required = true
"""


@pytest.fixture(scope="module")
def workshop(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("faults"), docker_registry)


@pytest.fixture
def hook() -> Iterator[Scripted]:
    with Scripted(lambda _asked: Reply(204)) as hook:
        yield hook


@dataclass(frozen=True)
class Broken:
    """A project in the middle of trouble, with the front that makes it."""

    project: Project
    front: Front
    hook: Scripted

    def tags(self) -> dict[str, set[int | None]]:
        return self.project.builds("stable", "stable-20260624")

    def finish(self) -> None:
        """Resume without faults; then again, which has nothing to write."""
        self.front.faults.clear()
        self.project.relman("resume")
        assert self.tags() == NEW
        assert self.project.record["state"] == "finished"
        assert len(self.hook.asked) == 1
        count = len(writes(self.front))
        self.project.relman("apply", "plan.json")
        assert len(writes(self.front)) == count
        assert len(self.hook.asked) == 1


NEW: dict[str, set[int | None]] = {"stable": {1}, "stable-20260624": {1}}
OLD: dict[str, set[int | None]] = {"stable": {0}, "stable-20260624": {None}}


@contextmanager
def planned(workshop: Workshop, hook: Scripted, extra: str = "") -> Iterator[Broken]:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host, HOOK.format(url=hook.url))
        if extra:
            project.configure('from = "testing"', f'from = "testing"\n{extra}')
        project.plan()
        yield Broken(project, front, hook)


def check_what_is_left(ran: Ran, broken: Broken, number: int) -> None:
    """All old with exit 1, 7 or 75, or partly done with exit 4 and everything named that is left."""
    states = {receipt["action"]: receipt["state"] for receipt in broken.project.record["receipts"]}
    done = {f"tag:{name}" for name, state in ((w, states[f"tag:{w}"]) for w in WRITES) if state == "done"}
    assert len(done) == number - 1
    assert {f"tag:{name}" for name in WRITES[: min(number - 1, 2)]} <= done
    assert states["webhook:hook"] == "skipped"
    assert broken.hook.asked == []
    if number == 1:
        assert broken.tags() == OLD
        assert broken.project.record["state"] == "intended"
    else:
        assert ran.code == 4
        assert any(f"tag:{name}" in ran.stderr for name in WRITES[min(number - 1, 2) :])
        assert f"relman resume {broken.project.record['id']}" in ran.stderr
        assert broken.project.record["state"] == "partial"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_write_that_is_forbidden_stops_the_release_and_resume_finishes_it(
    workshop: Workshop, hook: Scripted, number: int
) -> None:
    with planned(workshop, hook) as broken:
        broken.front.faults.append(nth_write(number, answer(403), for_ever=True))

        ran = broken.project.relman("apply", "plan.json", code=4 if number > 1 else 7)

        # Of two dated tags the second may be under way already when the first is refused.
        assert len(writes(broken.front)) in ((3, 4) if number == 3 else (number,))
        check_what_is_left(ran, broken, number)
        broken.finish()


def test_a_write_that_is_never_answered_with_anything_but_503_is_taken_up_again(
    workshop: Workshop, hook: Scripted
) -> None:
    def one(number: int) -> None:
        with Scripted(lambda _asked: Reply(204)) as own, planned(workshop, own) as broken:
            broken.front.faults.append(nth_write(number, answer(503), for_ever=True))
            ran = broken.project.relman("apply", "plan.json", code=4 if number > 1 else 75)
            check_what_is_left(ran, broken, number)
            broken.finish()

    with ThreadPoolExecutor(len(NUMBERS)) as pool:  # each waits for its retries most of the time
        list(pool.map(one, NUMBERS))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_write_whose_answer_is_lost_is_settled_by_reading(workshop: Workshop, hook: Scripted, number: int) -> None:
    with planned(workshop, hook) as broken:
        broken.front.faults.append(nth_write(number, lose))

        broken.project.relman("apply", "plan.json")

        assert len(writes(broken.front)) == len(WRITES)
        assert broken.tags() == NEW
        assert broken.project.record["state"] == "finished"
        assert len(hook.asked) == 1


def test_a_passing_503_goes_unnoticed(workshop: Workshop, hook: Scripted) -> None:
    with planned(workshop, hook) as broken:
        broken.front.faults.append(nth_write(2, answer(503)))

        broken.project.relman("apply", "plan.json")

        assert broken.tags() == NEW
        assert len(writes(broken.front)) == len(WRITES) + 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", NUMBERS)
def test_who_is_killed_at_a_write_finishes_when_it_is_run_again(
    workshop: Workshop, hook: Scripted, number: int, after: bool
) -> None:
    with planned(workshop, hook) as broken:
        victim = Victim()
        broken.front.faults.append(nth_write(number, victim.kill(after=after)))
        process = broken.project.start("apply", "plan.json")
        victim.is_(process)
        assert process.wait(60) == -signal.SIGKILL
        broken.front.faults.clear()

        broken.project.relman("apply", "plan.json")

        assert broken.tags() == NEW
        assert broken.project.record["state"] == "finished"
        assert len(writes(broken.front)) == len(WRITES) + (not after)
        assert len(hook.asked) == 1


def test_while_tags_are_partly_moved_plan_and_release_exit_with_4_and_name_resume(
    workshop: Workshop, hook: Scripted
) -> None:
    with planned(workshop, hook) as broken:
        broken.front.faults.append(nth_write(2, answer(403), for_ever=True))
        broken.project.relman("apply", "plan.json", code=4)
        id = broken.project.record["id"]

        for arguments in (("plan", "stable"), ("release", "stable", "--yes")):
            assert f"relman resume {id}" in broken.project.relman(*arguments, code=4).stderr
        assert id in broken.project.relman("status", "stable").stdout
        broken.finish()


def test_with_restore_the_recorded_digests_are_put_back(workshop: Workshop, hook: Scripted) -> None:
    with planned(workshop, hook, 'on_failure = "restore"') as broken:
        broken.front.faults.append(nth_write(2, answer(403)))

        ran = broken.project.relman("apply", "plan.json", code=None)

        assert ran.code in (1, 7)
        assert "put back" in ran.stderr
        assert broken.tags() == OLD
        assert hook.asked == []
        broken.project.relman("apply", "plan.json")  # what was put back can be made again
        assert broken.tags() == NEW
        assert len(hook.asked) == 1


def test_an_interrupted_release_exits_with_130_and_resume_finishes_it(workshop: Workshop, hook: Scripted) -> None:
    with planned(workshop, hook) as broken:
        gate = Gate()
        broken.front.faults.append(nth_write(2, gate.hold))
        process = broken.project.start("apply", "plan.json")
        assert gate.reached.wait(30)
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(30)
        finally:
            gate.open.set()
        assert code == 130

        broken.finish()


def test_of_two_at_once_one_wins_and_the_other_exits_with_8(workshop: Workshop, hook: Scripted) -> None:
    with planned(workshop, hook) as broken:
        gate = Gate()
        broken.front.faults.append(nth_write(1, gate.hold))
        winner = broken.project.start("apply", "plan.json")
        assert gate.reached.wait(30)

        loser = broken.project.relman("apply", "plan.json", code=None)
        gate.open.set()

        assert winner.wait(60) == 0
        assert loser.code == 8
        assert str(winner.pid) in loser.stderr
        assert broken.tags() == NEW
        assert len(hook.asked) == 1
        assert len(writes(broken.front)) == len(WRITES)


def test_one_that_is_killed_while_it_announces_is_unknown_and_never_sent_twice(workshop: Workshop) -> None:
    victim = Victim()

    def received(asked: Asked) -> Reply:
        return victim.kill(after=False)(lambda: Reply(204))

    with Scripted(received) as hook, planned(workshop, hook) as broken:
        process = broken.project.start("apply", "plan.json")
        victim.is_(process)
        assert process.wait(60) == -signal.SIGKILL

        for arguments in (("apply", "plan.json"), ("resume",)):
            ran = broken.project.relman(*arguments, code=4)
            assert "webhook:hook" in ran.stderr
            assert "unknown" in ran.stderr

        assert len(hook.asked) == 1
        assert broken.tags() == NEW
        (receipt,) = [r for r in broken.project.record["receipts"] if r["action"] == "webhook:hook"]
        assert receipt["state"] == "unknown"
        broken.project.relman("plan", "stable")  # what is still open blocks nothing


def test_a_registry_that_dies_with_the_first_write_leaves_the_tag_unknown_and_resume_finishes(
    workshop: Workshop, hook: Scripted
) -> None:
    with planned(workshop, hook) as broken:
        dead = [False]

        def dying(_asked: Asked, _forward: Forward) -> Reply | None:
            return Reply(reset=True) if dead[0] else None

        def last(forward: Forward) -> Reply:
            dead[0] = True
            return lose(forward)

        broken.front.faults += [dying, nth_write(1, last)]

        ran = broken.project.relman("apply", "plan.json", code=4)

        assert "tag:base:stable" in ran.stderr
        (receipt,) = [r for r in broken.project.record["receipts"] if r["action"] == "tag:base:stable"]
        assert receipt["state"] == "unknown"
        dead[0] = False
        broken.finish()
        assert len(writes(broken.front)) == len(WRITES)


def test_a_timeout_in_the_middle_is_partly_done_and_resume_finishes_it(workshop: Workshop, hook: Scripted) -> None:
    with planned(workshop, hook) as broken:
        gate = Gate()
        broken.front.faults.append(nth_write(3, gate.hold))

        ran = broken.project.relman("apply", "plan.json", "--timeout", "8s", code=4)

        assert gate.reached.is_set()
        assert "--timeout 8s" in ran.stderr
        gate.open.set()
        broken.finish()


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[None]:
    """A file system of its own in ``folder``, with so much room. Skips where that cannot be had."""
    folder.mkdir(exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "none", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(argv, capture_output=True).returncode:
        pytest.skip("a full disk: a small file system can be mounted by root alone")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _write_for_ever(stream: BinaryIO, block: bytes) -> None:
    while stream.write(block):
        pass


def fill(folder: Path) -> Path:
    """Take all the room that is left."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        for size in (65536, 4096, 1):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                _write_for_ever(stream, b"x" * size)
    return file


def test_with_a_full_disk_nothing_is_written(workshop: Workshop, hook: Scripted) -> None:
    with planned(workshop, hook) as broken, small_disk(broken.project.folder / "releases", 2048):
        filler = fill(broken.project.folder / "releases")

        ran = broken.project.relman("apply", "plan.json", code=1)

        assert "no space left" in ran.stderr
        assert writes(broken.front) == []
        filler.unlink()
        broken.project.relman("apply", "plan.json")
        assert broken.tags() == NEW


@pytest.mark.parametrize("number", [1, len(WRITES)])
def test_a_disk_that_fills_in_the_middle_loses_nothing_and_announces_nothing(
    workshop: Workshop, hook: Scripted, number: int
) -> None:
    with planned(workshop, hook) as broken, small_disk(broken.project.folder / "releases", 2048):
        fillers: list[Path] = []

        def full(forward: Forward) -> Reply:
            fillers.append(fill(broken.project.folder / "releases"))
            return forward()

        broken.front.faults.append(nth_write(number, full))

        ran = broken.project.relman("apply", "plan.json", code=None)

        assert ran.code != 0
        assert "no space left" in ran.stderr
        assert hook.asked == []
        fillers[0].unlink()
        broken.finish()
        assert len(writes(broken.front)) == len(WRITES)


def test_a_tag_moved_while_a_release_is_partly_done_is_4_and_says_how_to_go_on(
    workshop: Workshop, hook: Scripted
) -> None:
    with planned(workshop, hook) as broken:
        broken.front.faults.append(nth_write(2, answer(403)))
        broken.project.relman("apply", "plan.json", code=4)
        broken.project.retag("dx", "stable", 2)

        ran = broken.project.relman("resume", code=4)

        assert "dx:stable" in ran.stderr
        assert "relman plan" not in ran.stderr
