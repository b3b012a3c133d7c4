"""Copies, evidence and tags: the n-th write fails, or ends the run. All new, all old, or exit 4; then it is finished.

Every n, on the walk as it is, with the registry alone in memory. tests/integration has the same with processes that are
killed, and with a real registry. With `RELMAN_MATRIX=1` the counts are written into docs/promises.md.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from relman.errors import AnswerLost, Passing, RelmanError, Unequipped
from relman.ledger.session import FolderSession
from relman.lifecycle import Lifecycle
from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.model.plan import Plan
from relman.model.record import RecordState
from relman.registry.carrying import carry, first_missing
from relman.registry.evidence import lost
from relman.testing import MemoryRegistry
from tests.test_evidence import signed_by_tag
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}"]

[streams.stable]
tags = ["stable", "latest"]
from = "testing"
prefix = "ghcr.io/acme/prod"
new_version = "stable-{today}"
gates = []
"""
DATED = "stable-20260706"
TAGS = [f"{name}:{tag}" for name in ("os", "os-dx") for tag in ("stable", "latest", DATED)]


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Breaking(MemoryRegistry):
    """A registry whose ``at``-th write becomes what ``fault`` makes of it; copies are made piece by piece."""

    def __init__(self) -> None:
        super().__init__(referrers_api=False)
        self.at = 0
        self.done: list[str] = []
        self.dead: Killed | None = None
        self.fault: Callable[[Callable[[], Digest], bool], Digest] = lambda write, hit: write()

    def put_blob(self, repository: Repository, content: bytes) -> Digest:
        if self.has_blob(repository, Digest.of(content)):
            return Digest.of(content)
        return self._write("blob", lambda: super(Breaking, self).put_blob(repository, content))

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        name = f"tag {tag}" if tag else "manifest"
        put = super().put_manifest
        return self._write(name, lambda: put(repository, content, media_type, tag=tag))

    def copy(self, source: Reference, target: Repository) -> None:
        def mount(blob: Descriptor) -> None:
            self.put_blob(target, self.blob(source.repository, blob.digest, limit=1 << 30))

        carry(self, self, source, target, mount)

    def _write(self, name: str, write: Callable[[], Digest]) -> Digest:
        with self._lock:
            if self.dead is not None:
                raise self.dead
            self.done.append(name)
            return self.fault(write, self.at > 0 and len(self.done) >= self.at)


@dataclass
class Case:
    """A promotion that is planned, and about to be disturbed."""

    world: World
    registry: Breaking
    plan: Plan

    def run(self, *, later: bool = False) -> RelmanError | Killed | RecordState | None:
        """Carry it out: what stopped it, `None` where it was finished before, or how it stands."""
        with self.world.walk(now=MONDAY + timedelta(hours=1) if later else None) as walk:
            try:
                record, outcome = mortal(walk).apply(self.plan, lambda action, receipt: None)
            except (RelmanError, Killed) as error:
                return error
        if outcome is None:
            return None
        return outcome.stopped or record.state

    def held(self) -> dict[str, bool]:
        """Which tags hold what was planned. None holds anything else, nor what is not whole with its evidence."""
        found = {}
        for name in TAGS:
            held, planned = self.world.holds(f"prod/{name}"), self.world.holds(f"{name.partition(':')[0]}:testing")
            assert held in (None, planned)
            found[name] = held is not None
            if held is not None:
                source, target = (self.world.reference(f"{at}{name}").repository for at in ("", "prod/"))
                assert first_missing(self.registry, target.digest(held)) is None
                assert lost(self.registry, source.digest(held), target) == ()
        return found


def mortal(walk: Lifecycle) -> Lifecycle:
    """The walk, with a ledger in which a killed process writes nothing more."""
    begin = walk.ledger.begin

    def beginning(*arguments: object, **named: object) -> object:
        session = begin(*arguments, **named)  # type: ignore[arg-type]
        if isinstance(session, FolderSession):
            finish = session.finish

            def finishing(*given: object, **more: object) -> object:
                if isinstance(walk.registry, Breaking) and walk.registry.dead is not None:
                    raise walk.registry.dead
                return finish(*given, **more)  # type: ignore[arg-type]

            session.finish = finishing  # type: ignore[method-assign, assignment]
        return session

    walk.ledger.begin = beginning  # type: ignore[method-assign, assignment]
    return walk


def case(folder: Path) -> Case:
    folder.mkdir()
    registry = Breaking()
    world = World(folder, registry)
    world.configure(CONFIG)
    world.push("os", "testing", "testing-20260705", platforms=("linux/amd64", "linux/arm64"), n="1")
    digest = world.push("os-dx", "testing", "testing-20260705", n="2")
    place = world.reference("os-dx").repository
    signed_by_tag(registry, place, f"{digest.fallback_tag}.sig", "one")
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
    registry.done.clear()
    return Case(world, registry, plan)


def refused(error: RelmanError) -> Callable[[Breaking, int], None]:
    def breaking(registry: Breaking, number: int) -> None:
        def fault(write: Callable[[], Digest], hit: bool) -> Digest:
            if hit:
                raise error
            return write()

        registry.at, registry.fault = number, fault

    return breaking


def once(then: type[BaseException], *, before: bool) -> Callable[[Breaking, int], None]:
    """The write with this number is let through or not, and then ``then`` happens."""

    def breaking(registry: Breaking, number: int) -> None:
        def fault(write: Callable[[], Digest], hit: bool) -> Digest:
            if not hit or len(registry.done) > number:
                return write()
            if not before:
                write()
            error = then("the answer was lost")
            registry.dead = error if isinstance(error, Killed) else None
            raise error

        registry.at, registry.fault = number, fault

    return breaking


FAULTS = {
    "503 for a while": refused(Passing("503, time after time")),
    "403 for ever": refused(Unequipped("403")),
    "answer lost": once(AnswerLost, before=False),
    "killed just before": once(Killed, before=True),
    "killed just after": once(Killed, before=False),
}


def ending(case: Case, came: object, held: dict[str, bool]) -> str:
    if all(held.values()):
        return "all new"
    if not any(held.values()):
        return "all old"
    if not isinstance(came, Killed):  # exit 4, from a record that has every tag that is left
        (record,) = case.world.ledger.records("stable")
        assert record.state is RecordState.PARTIAL
        settled = {receipt.action for receipt in record.receipts if receipt.settled}
        assert {name for name in TAGS if f"tag:{name}" in settled} == {name for name in held if held[name]}
    return "partly, listed"


def action_of(write: str) -> str:
    if write in ("tag stable", "tag latest", f"tag {DATED}"):
        return "tags"
    return "lists and signatures under tags" if write.startswith("tag ") else f"{write}s"


@pytest.mark.parametrize("fault", FAULTS)
def test_at_every_write_it_ends_new_old_or_listed_then_finishes_and_then_writes_nothing(
    fault: str, tmp_path: Path
) -> None:
    undisturbed = case(tmp_path / "0")
    assert undisturbed.run() is RecordState.FINISHED
    writes = tuple(undisturbed.registry.done)
    counts: Counter[tuple[str, str]] = Counter()
    for number, write in enumerate(writes, 1):
        one = case(tmp_path / str(number))
        FAULTS[fault](one.registry, number)
        came = one.run()
        counts[action_of(write), ending(one, came, one.held())] += 1
        one.registry.at, one.registry.dead = 0, None

        again = one.run(later=True)

        assert again in (RecordState.FINISHED, None)
        assert all(one.held().values())
        count = len(one.registry.done)
        assert one.run(later=True) is None
        assert len(one.registry.done) == count
    assert sum(counts.values()) == len(writes)
    tell(fault, counts)


ACTIONS = ("blobs", "manifests", "lists and signatures under tags", "tags")


def tell(fault: str, counts: Counter[tuple[str, str]]) -> None:
    """The row of docs/promises.md: written where that is asked for, and in any case there."""
    ends = ("all new", "all old", "partly, listed")
    cells = ["; ".join(f"{counts[of, end]} {end}" for end in ends if counts[of, end]) for of in ACTIONS]
    row = f"| {fault} | {' | '.join(cells)} |"
    page = Path(__file__).parents[1] / "docs" / "promises.md"
    if os.environ.get("RELMAN_MATRIX"):
        page.write_text(re.sub(rf"^\| {fault} \|.*$", row, page.read_text(), flags=re.MULTILINE))
    assert row in page.read_text().splitlines()
