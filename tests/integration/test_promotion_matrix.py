"""Every fault at every write, on real registries: all new, all old, or listed; then finished; then nothing is written.

A release of an index and an image with their lists and a signature from one repository into another, which is another
one each time. What is killed runs in a process of its own, everything else in this one. Every tag, and of the other
writes the last of each kind; with `RELMAN_MATRIX=1` each of them. tests/test_promotion_faults.py has
every write in memory. The counts of a row are printed (`pytest -rP`).
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from relman.documents.plan import plan_bytes
from relman.errors import RelmanError
from relman.http import Client, Retry
from relman.ledger import FolderLedger
from relman.lifecycle import Lifecycle, configure
from relman.model.oci import parse_repository
from relman.model.plan import Plan
from relman.model.record import RecordState
from relman.registry import Registries
from relman.registry.carrying import first_missing
from relman.registry.evidence import lost
from tests.integration import forked
from tests.integration.driver import NOW, mortal
from tests.integration.elsewhere import Renaming, written
from tests.integration.front import Act, Forward, answer, lose, nth_write
from tests.servers import Reply, docker_registry, olareg
from tests.test_evidence import signed_by_tag
from tests.walking import World, plugins

CONFIG = """\
[changelog]
commits = {{ required = false }}

[[variants]]
name = "os"

[[variants]]
name = "dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{{date}}"]

[streams.stable]
tags = ["stable"]
from = "testing"
prefix = "{host}/released"
new_version = "stable-{{today}}"
gates = []
"""
TAGS = [f"{name}:{tag}" for name in ("os", "dx") for tag in ("stable", "stable-20260624")]
_count = itertools.count()


@dataclass
class Case:
    """A registry behind a front, a plan, and a folder in which the plan is about to be carried out."""

    front: Renaming
    folder: Path
    plan: Plan
    upstream: str

    def run(self) -> RecordState | RelmanError | None:
        """In this process: how it stands, what stopped it, or `None` where there was nothing left to do."""
        config, slots = configure(plugins(), self.folder / "relman.toml", self.folder)
        retry = Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0)
        with Client(timeout=10, retry=retry) as http, Registries(self.folder, client=http) as registry:
            walk = Lifecycle(config, slots, plugins(), registry, http, FolderLedger(config.ledger), lambda: NOW)
            try:
                record, outcome = walk.apply(self.plan, lambda action, receipt: None)
            except RelmanError as error:
                return error
        return None if outcome is None else outcome.stopped or record.state

    def held(self) -> dict[str, bool]:
        """Which tags hold what was planned, whole and with its evidence. None holds anything else."""
        found = {}
        with Registries(self.folder) as reader:
            for name in TAGS:
                variant, _, tag = name.partition(":")
                digest = next(one.digest for one in self.plan.variants if one.name == variant)
                target = parse_repository(f"{self.upstream}/{self.front.real}/{variant}")
                held = reader.resolve(target.tag(tag))
                assert held is None or held.digest == digest
                found[name] = held is not None
                if held is not None:
                    source = parse_repository(f"{self.upstream}/built/{variant}")
                    assert first_missing(reader, target.digest(digest)) is None
                    assert lost(reader, source.digest(digest), target) == ()
        return found

    def ending(self, stopped: object, held: dict[str, bool]) -> str:
        if all(held.values()):
            return "all new"
        if not any(held.values()):
            return "all old"
        if stopped != -signal.SIGKILL:
            (record,) = FolderLedger(self.folder / "releases").records("stable")
            assert record.state is RecordState.PARTIAL
            settled = {receipt.action for receipt in record.receipts if receipt.settled}
            assert {name for name in TAGS if f"tag:{name}" in settled} == {name for name in held if held[name]}
        return "partly, listed"


@pytest.fixture(scope="module", params=[docker_registry, olareg], ids=["docker-registry", "olareg"])
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Images, and a plan that every case carries out into repositories of its own."""
    program = {docker_registry: "docker-registry", olareg: "olareg"}[request.param]
    if shutil.which(program) is None:
        pytest.skip(f"`{program}` is not there: `./dev test --peers` builds it")
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "registry").mkdir()
    with request.param(folder / "registry") as upstream, Renaming(upstream) as front, Registries(folder) as writer:
        built = World(folder, writer, prefix=f"{upstream}/built")
        index = built.push(
            "os", "testing", "testing-20260623", day=date(2026, 6, 23), platforms=("linux/amd64",), n="1"
        )
        single = built.push("dx", "testing", "testing-20260623", day=date(2026, 6, 23), n="2")
        assert index != single
        place = parse_repository(f"{upstream}/built/os")
        signed_by_tag(writer, place, f"{index.fallback_tag}.sig", "one")
        world = World(folder, writer, prefix=f"{front.host}/built", now=NOW)
        world.configure(CONFIG.format(host=front.host))
        with world.walk() as walk:
            plan = walk.plan(walk.config.stream("stable"))
        (folder / "plan.json").write_bytes(plan_bytes(plan))
        yield Case(front, folder, plan, upstream)


def fresh(ready: Case) -> Case:
    """The same plan, in a folder and into repositories that nobody has used."""
    number = next(_count)
    folder = ready.folder / str(number)
    folder.mkdir()
    for name in ("relman.toml", "plan.json"):
        shutil.copy(ready.folder / name, folder / name)
    ready.front.real = f"released-{number}"
    ready.front.faults.clear()
    ready.front.asked.clear()
    return Case(ready.front, folder, ready.plan, ready.upstream)


def killed(reins: forked.Reins, *, after: bool) -> Act:
    def act(forward: Forward) -> Reply:
        if after:
            forward()
        reins.kill()
        return Reply(reset=True)

    return act


def disturbed(case: Case, fault: str, number: int) -> object:
    """Carry it out with this fault at the write of this number: what came of it."""
    if fault.startswith("killed"):
        reins = forked.Reins()
        case.front.faults.append(nth_write(number, killed(reins, after=fault == "killed just after")))
        return mortal(case.folder, reins, "apply", "plan.json").code
    act, for_ever = {
        "503 for a while": (answer(503), True),
        "403 for ever": (answer(403), True),
        "answer lost": (lose, False),
    }[fault]
    case.front.faults.append(nth_write(number, act, for_ever=for_ever))
    return case.run()


FAULTS = ("503 for a while", "403 for ever", "answer lost", "killed just before", "killed just after")
KINDS: dict[str, Callable[[str], bool]] = {
    "blobs": lambda write: write in ("blob", "mount"),
    "manifests": lambda write: write.startswith("manifest"),
    "lists and signatures under tags": lambda write: write.startswith("tag sha256-"),
    "tags": lambda write: re.match("tag stable", write) is not None,
}


def kind_of(write: str) -> str:
    return next(kind for kind, fits in KINDS.items() if fits(write))


def numbers(writes: list[str]) -> list[int]:
    """Every tag, and the last write of each other kind; all where the whole matrix is asked for."""
    every = range(1, len(writes) + 1)
    if os.environ.get("RELMAN_MATRIX"):
        return list(every)
    of = {kind: [number for number in every if kind_of(writes[number - 1]) == kind] for kind in KINDS}
    return sorted({*of.pop("tags"), *(number for found in of.values() for number in found[-1:])})


@pytest.mark.parametrize("fault", FAULTS)
def test_on_real_registries_every_fault_at_every_write_ends_new_old_or_listed_and_is_finished(
    ready: Case, fault: str
) -> None:
    whole = fresh(ready)
    assert whole.run() is RecordState.FINISHED
    writes = written(whole.front)
    counts: Counter[tuple[str, str]] = Counter()
    chosen = numbers(writes)
    for number in chosen:
        case = fresh(ready)
        came = disturbed(case, fault, number)
        counts[kind_of(writes[number - 1]), case.ending(came, case.held())] += 1
        case.front.faults.clear()

        again = case.run()

        assert again in (RecordState.FINISHED, None), again
        assert all(case.held().values())
        before = len(written(case.front))
        assert case.run() is None
        assert len(written(case.front)) == before
    assert sum(counts.values()) == len(chosen)
    if fault == "answer lost":
        assert {ending for _, ending in counts} == {"all new"}
    ends = ("all new", "all old", "partly, listed")
    cells = ["; ".join(f"{counts[of, end]} {end}" for end in ends if counts[of, end]) for of in KINDS]
    print(f"| {fault} | {' | '.join(cells)} |")  # noqa: T201  the row is what a reader of the run wants
