"""The cases: what images carry, how relman is asked, and what there is before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import inputs
from tests.bench.store import Inside
from tests.layer_factories import Layer

DIFF = ("diff", "--stream", "stable", "--format", "json", "--quiet")


@dataclass(frozen=True)
class Case:
    """``make`` gives what a build carries; ``source`` is the one of relman's sources that is asked.

    ``state`` is what relman knows before: nothing (`cold`), the older side (`cached`), or that nothing changed
    (`unchanged`: a record of the same digests, and a cache). ``bound`` is the lower bound of requests a variant.
    """

    name: str
    title: str
    source: str
    make: Callable[[int, Path], Inside]
    bound: float
    images: str
    state: str = "cold"

    @property
    def allowed(self) -> float:
        """Requests a variant that are within a tenth of the bound, with six for configurations, tags, the dated tag."""
        return self.bound + 1 if self.state == "unchanged" else 1.1 * self.bound + 6


def _sbom(size: int) -> Callable[[int, Path], Inside]:
    return lambda build, _: Inside(sbom=inputs.sbom(build, size * 1_000_000))


def _own(build: int, _: Path) -> Inside:
    return Inside(own=inputs.own_contents(build))


def _label(build: int, _: Path) -> Inside:
    return Inside(labels={"dev.hhd.rechunk.info": inputs.label(build)})


def _layer(make: Callable[[int, Path], Layer]) -> Callable[[int, Path], Inside]:
    return lambda build, folder: Inside(layers=[make(build, folder)])


CASES = (
    Case("label", "rechunk's label", "label", _label, 7, "label"),
    Case("own", "relman's own list", "contents", _own, 7, "own"),
    Case("sbom-4", "SBOM, 4 MB", "sbom", _sbom(4), 11, "sbom-4"),
    Case("sbom-50", "SBOM, 50 MB", "sbom", _sbom(50), 11, "sbom-50"),
    Case("sbom-150", "SBOM, 150 MB", "sbom", _sbom(150), 11, "sbom-150"),
    Case("rpmdb-own", "database, own 20 MB layer", "rpmdb", _layer(inputs.own_layer), 7, "rpmdb-own"),
    Case("rpmdb-chunked", "database, zstd:chunked", "rpmdb", _layer(inputs.chunked_layer), 11, "rpmdb-chunked"),
    Case("rpmdb-tail", "database, last in 120 MB gzip", "rpmdb", _layer(inputs.tail_layer), 7, "rpmdb-tail"),
    Case("label-cached", "rechunk's label, older side cached", "label", _label, 3.5, "label", "cached"),
    Case(
        "rpmdb-own-cached", "database, older side cached", "rpmdb", _layer(inputs.own_layer), 3.5, "rpmdb-own", "cached"
    ),
    Case("sbom-50-cached", "SBOM, 50 MB, older side cached", "sbom", _sbom(50), 5.5, "sbom-50", "cached"),
    Case("own-cached", "own list, older side cached", "contents", _own, 3.5, "own", "cached"),
    Case("unchanged", "nothing changed, known", "contents", _own, 1, "own", "unchanged"),
)


def configuration(host: str, prefix: str, variants: list[str], source: str) -> str:
    """A relman.toml for a stream that builds write directly."""
    tables = "".join(f'[[variants]]\nname = "{variant}"\n' for variant in variants)
    return f"""\
[project]
name = "Composed"
[registry]
prefix = "{host}/{prefix}"
{tables}
[packages]
sources = ["{source}"]
[streams.stable]
tags = ["stable"]
versions = ["stable-{{date}}[.{{point}}]"]
[changelog]
commits = {{ required = false }}
[ledger]
path = "releases"
"""


def by_name(names: list[str]) -> tuple[Case, ...]:
    """The cases of these names, in their order here."""
    known: Mapping[str, Case] = {case.name: case for case in CASES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"there is no case `{unknown[0]}`: choose from {', '.join(known)}")
    return tuple(case for case in CASES if case.name in names)
