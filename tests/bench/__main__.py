"""`./dev bench`: composes images, puts a registry far away, and measures relman beside the flow in use today."""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import report
from tests.bench.cases import CASES, DIFF, Case, by_name, configuration
from tests.bench.distance import LONGEST, Counts, Distant
from tests.bench.judge import wrong_of_relman
from tests.bench.measure import RELMAN, Row, Run, compile_relman, make_shims, relman_run, run, surroundings, unbiased
from tests.bench.store import TAGS, Inside, Store, put_variant
from tests.servers import docker_registry

_ROOT = Path(__file__).parent.parent.parent
_QUICK = "label,own,sbom-4,sbom-50,rpmdb-own,sbom-50-cached,unchanged"
_STARTS = 15


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--cases", default="all", help="by name, with commas; `list` names them")
    parser.add_argument("--variants", default="10", help="how many, such as 4,10,30")
    parser.add_argument("--distance", default="40", help="round trips in milliseconds, such as 10,40,80")
    parser.add_argument("--runs", type=int, default=3, help="how often each case is run")
    parser.add_argument("--today", default="4", help="variants for today's flow (ten seconds each); 0: none")
    parser.add_argument("--quick", action="store_true", help="some cases, four variants, one run: two minutes")
    parser.add_argument("--full", action="store_true", help="4, 10 and 30 variants; 10, 40 and 80 ms: half an hour")
    parser.add_argument("--page", type=int, default=LONGEST, help="the longest page of tags that the registry gives")
    parser.add_argument("--kinds", action="store_true", help="say which requests were made, too")
    options = parser.parse_args()
    if options.page < 1:
        parser.error("--page: a page has a tag at least")
    if options.cases == "list":
        parser.exit(message="".join(f"{case.name:16} {case.title}\n" for case in CASES))
    if options.quick:
        options.variants, options.runs, options.today = "4", 1, "0"
        options.cases = _QUICK if options.cases == "all" else options.cases
    return options


class Bench:
    """One run of the benchmark, in ``folder``. ``front`` stands before the registry that serves ``store``."""

    def __init__(self, folder: Path, store: Store, front: Distant, options: argparse.Namespace) -> None:
        self.folder = folder
        self.store = store
        self.front = front
        self.options = options
        self.shims = make_shims(folder)
        self._numbers = itertools.count()
        self._put: dict[str, int] = {}
        self._inside: tuple[str, tuple[Inside, ...]] = ("", ())

    def relman(self, case: Case, variants: int, round_trip: float) -> Row:
        """A case of relman's."""
        self._images(case, variants)
        note = " (approximate, and says so)" if case.source == "label" else ""
        row = Row(case.title, variants, round_trip, note=note, allowed=case.allowed)
        for _ in range(self.options.runs):
            project, environment = self._project(case, variants)
            self._prepare(case, project, environment)
            with self._away(round_trip):
                made, stdout = relman_run(self.front, DIFF, project, environment)
            made.wrong = _wrong(case, stdout, variants)
            row.runs.append(made)
        return row

    def today(self, case: Case, variants: int, round_trip: float) -> Row:
        """The same images by the flow in use today, once: it is long, and the same each time."""
        self._images(case, variants)
        row = Row(f"today's flow, {case.title}", variants, round_trip)
        environment = _for_helpers(surroundings(self._fresh(), self.shims))
        argv = [sys.executable, "-m", "tests.bench.today", f"{self.front.host}/{case.images}", *_names(variants)]
        with self._away(round_trip):
            self.front.counts = Counts()
            done = run(argv, self.folder, environment)
            counts = self.front.counts
        said = json.loads(done.stdout)
        row.runs.append(Run(said["seconds"], 0, done.cpu, done.peak, said["programs"], counts, said["wrong"]))
        return row

    @contextmanager
    def _away(self, round_trip: float) -> Iterator[None]:
        """What is not measured does not wait."""
        self.front.round_trip = round_trip
        yield
        self.front.round_trip = 0

    def _images(self, case: Case, variants: int) -> None:
        if self._put.get(case.images, 0) >= variants:
            return
        if self._inside[0] != case.images:
            self._inside = (case.images, tuple(case.make(build, self.folder) for build in (0, 1)))
        for name in _names(variants):
            put_variant(self.store, f"{case.images}/{name}", self._inside[1])
        self._put[case.images] = variants
        self._warm(case, variants)

    def _warm(self, case: Case, variants: int) -> None:
        """So that the first run is no slower than the second: files are read, and the front knows its answers."""
        project, environment = self._project(case, variants)
        run([RELMAN, *DIFF], project, environment)

    def _project(self, case: Case, variants: int) -> tuple[Path, dict[str, str]]:
        project = self._fresh()
        text = configuration(self.front.host, case.images, _names(variants), case.source)
        (project / "relman.toml").write_text(text)
        return project, surroundings(project, self.shims)

    def _prepare(self, case: Case, project: Path, environment: dict[str, str]) -> None:
        if case.state == "cached":
            run([sys.executable, "-m", "tests.bench.prime", TAGS[0]], project, _for_helpers(environment))
        elif case.state == "unchanged":
            run([RELMAN, "release", "stable", "--yes", "--quiet"], project, environment)
            run([RELMAN, *DIFF], project, environment)

    def _fresh(self) -> Path:
        folder = self.folder / f"run-{next(self._numbers)}"
        folder.mkdir()
        return folder


def _for_helpers(environment: dict[str, str]) -> dict[str, str]:
    """That of relman, and the benchmark's own modules are found."""
    return {**environment, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'plugins'}"}


def _names(variants: int) -> list[str]:
    return [f"v{number:02}" for number in range(variants)]


def _wrong(case: Case, stdout: bytes, variants: int) -> int:
    if case.state == "unchanged":
        return sum(len(diff["changes"]) for diff in json.loads(stdout)["diffs"])
    return wrong_of_relman(stdout, variants, exact=case.source != "label")


def _starts() -> str:
    """How long an empty Python, `--version` and `--help` take."""
    commands = {
        "an empty Python": [sys.executable, "-c", "pass"],
        "`relman --version`": [RELMAN, "--version"],
        "`relman --help`": [RELMAN, "--help"],
    }
    for argv in commands.values():  # not measured: files are read
        _seconds(argv)
    taken = {name: statistics.median(_seconds(argv) for _ in range(_STARTS)) for name, argv in commands.items()}
    empty = taken["an empty Python"]
    return ", ".join(f"{name} {seconds * 1000:.0f} ms ({seconds / empty:.1f} ×)" for name, seconds in taken.items())


def _seconds(argv: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(argv, env=unbiased(), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _rows(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    cases = CASES if options.cases == "all" else by_name(options.cases.split(","))
    counts, distances = _numbers(options.variants), _numbers(options.distance)
    plan = [(count, distances[0]) for count in counts] + [(counts[0], distance) for distance in distances[1:]]
    if options.full:
        plan = [(10, 40), (4, 40), (30, 40), (10, 10), (10, 80)]
    for case in cases:
        for variants, distance in plan:
            yield bench.relman(case, variants, distance / 1000)
        if int(options.today) and shutil.which("oras") and case.source == "sbom" and case.state == "cold":
            yield bench.today(case, int(options.today), plan[0][1] / 1000)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


@contextmanager
def _bench(options: argparse.Namespace) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="relman-bench-") as name:
        folder = Path(name)
        store = Store(folder / "data")
        with docker_registry(folder) as upstream, Distant(upstream, store, 0, options.page) as front:
            yield Bench(folder, store, front, options)


def main() -> int:
    """Measure, talk about it on stderr, and print the table on stdout."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed then, too
    begin, rows, spread = time.perf_counter(), [], options.runs > 1
    compile_relman()
    with _bench(options) as bench:
        for row in _rows(bench, options):
            rows.append(row)
            sys.stderr.write(f"{report.table([row], spread=spread).splitlines()[-1]}\n")
            if options.kinds:
                sys.stderr.write(f"  {report.kinds(row)}\n")
    words = f"{report.versions()}.\nStart-up: {_starts()}.\nWith `./dev bench {' '.join(sys.argv[1:])}`".rstrip()
    sys.stdout.write(f"\n{report.table(rows, spread=spread)}\n\n{words}, in {time.perf_counter() - begin:.0f} s.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
