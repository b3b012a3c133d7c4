"""How many requests and programs a release's diff takes, before the real registry: counted, never timed.

Two variants of two builds, behind a front that answers as GHCR does: tokens, a CDN, pages of tags, no referrers API.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relman.cache import ContentsCache
from relman.http import Client
from relman.ledger import FolderLedger
from relman.lifecycle import Lifecycle, configure
from relman.manager import Plugins
from relman.registry import Registries
from relman.walk.comparing import pairs_of_release
from tests.bench import inputs
from tests.bench.cases import DIFF, configuration
from tests.bench.distance import Counts, Distant
from tests.bench.judge import wrong_of_relman
from tests.bench.measure import make_shims, relman_run, surroundings
from tests.bench.store import TAGS, Inside, Store, put_variant
from tests.servers import docker_registry

VARIANTS = ["v00", "v01"]
NOW = datetime(2026, 6, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def distant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distant]:
    """The front, no distance away, with relman's own lists and with SBOMs."""
    folder = tmp_path_factory.mktemp("counted")
    with docker_registry(folder) as upstream:
        store = Store(folder / "data")
        for prefix, inside in (
            ("own", [Inside(own=inputs.own_contents(build)) for build in inputs.BUILDS]),
            ("sbom", [Inside(sbom=inputs.sbom(build, 1_000_000)) for build in inputs.BUILDS]),
        ):
            for variant in VARIANTS:
                put_variant(store, f"{prefix}/{variant}", inside)
        with Distant(upstream, store, 0, page=100) as front:
            yield front


def project(distant: Distant, folder: Path, prefix: str, source: str) -> Path:
    (folder / "relman.toml").write_text(configuration(distant.host, prefix, VARIANTS, source))
    return folder


@contextmanager
def walk(folder: Path) -> Iterator[Lifecycle]:
    """A run of its own, with a cache in the folder."""
    plugins = Plugins()
    config, slots = configure(plugins, folder / "relman.toml", folder)
    with Client() as http, Registries(folder, client=http, environment={}) as registries:
        ledger, cache = FolderLedger(config.ledger), ContentsCache(folder / "cache")
        yield Lifecycle(config, slots, plugins, registries, http, ledger, lambda: NOW, cache)


def counted(distant: Distant, folder: Path) -> dict[str, int]:
    """What one diff of the stream asks for."""
    distant.counts = Counts()
    with walk(folder) as run:
        compared = run.inspect(pairs_of_release(run.resolve(run.config.stream("stable"))))
    assert [len(one.after.packages) for one in compared] == [inputs.PACKAGES] * len(VARIANTS)
    return dict(distant.counts.kinds)


COLD = {
    "refused": 1,  # one for all: the others wait to hear how this registry wants to be asked
    "token": 2,
    "tag page": 6,  # 300 tags
    "referrers": 1,  # one for all: this registry has no API for them
    "manifest": 14,  # of each variant: `stable`, its dated tag (HEAD), the earlier one; two fallback tags, two lists
    "redirect": 4,
    "blob": 4,  # configurations
}


def test_relmans_own_list_takes_a_fallback_tag_and_a_manifest_for_each_image(distant: Distant, tmp_path: Path) -> None:
    assert counted(distant, project(distant, tmp_path, "own", "contents")) == COLD


def test_an_sbom_takes_two_requests_more_for_each_image(distant: Distant, tmp_path: Path) -> None:
    found = counted(distant, project(distant, tmp_path, "sbom", "sbom"))

    assert found == {**COLD, "redirect": 8, "blob": 8}


def test_a_predecessor_that_is_known_takes_none_of_the_requests_for_what_is_inside(
    distant: Distant, tmp_path: Path
) -> None:
    folder = project(distant, tmp_path, "own", "contents")
    with walk(folder) as run:
        for variant in run.config.variants:
            place = run.config.place(variant, run.config.stream("stable"))
            image = run.instruments.look(place.repository.tag(TAGS[0]))
            run.instruments.comparer.inspector.contents(image.reference, image.platforms[0])

    # Of each variant one fallback tag, one list and one configuration less: half of what is not about tags.
    assert counted(distant, folder) == {**COLD, "manifest": 10, "redirect": 2, "blob": 2}


def test_where_nothing_changed_each_variant_takes_one_request(distant: Distant, tmp_path: Path) -> None:
    folder = project(distant, tmp_path, "own", "contents")
    with walk(folder) as run:
        record, _ = run.apply(run.plan(run.config.stream("stable")), lambda _action, _receipt: None)
    assert record.version == TAGS[1]

    found = counted(distant, folder)

    assert found == {"refused": 1, "token": 2, "manifest": 2}


def test_a_diff_of_the_stream_starts_no_program_and_has_every_row_right(distant: Distant, tmp_path: Path) -> None:
    folder = project(distant, tmp_path, "own", "contents")

    made, stdout = relman_run(distant, DIFF, folder, surroundings(folder, make_shims(tmp_path)))

    assert made.processes == 1
    assert dict(made.counts.kinds) == COLD
    assert wrong_of_relman(stdout, len(VARIANTS), exact=True) == 0
