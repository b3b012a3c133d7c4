"""The composed Bluefin-like set: is its truth the truth, and does relman find it, to the row?"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from relman.model.contents import Contents
from relman.model.diff import ChangeKind
from relman.plugin import ImageUnderRead
from relman.registry.look import look_at
from relman.testing import MemoryRegistry
from relman.walk.compare import compare_contents
from relman_plugins.inspect.label import LabelSource
from relman_plugins.inspect.sbom import SbomSource
from tests.bluefin import ALL, DATES, NVIDIA, VARIANTS, Composed, compose
from tests.bluefin_commits import History, make_history
from tests.bluefin_images import FORMATS, MOVING, Published, publish, tags_of

PREFIX = "registry.example.org/os"


@pytest.fixture(scope="session")
def composed() -> Composed:
    return compose()


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return make_history(tmp_path_factory.mktemp("bluefin") / "source")


def read(registry: MemoryRegistry, published: Published, variant: str, build: int) -> Contents:
    reference = published.repository(variant).digest(published.digests[variant, build])
    image = look_at(registry, reference)
    source = LabelSource() if image.platforms[0].labels.get("dev.hhd.rechunk.info") else SbomSource()
    contents = source.read(ImageUnderRead(reference, image.platforms[0], registry))
    assert isinstance(contents, Contents), contents
    return contents


# ------------------------------------------------------------------------------------- the generator itself


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("build", range(len(DATES) - 1))
def test_the_truth_accounts_for_every_line_that_differs(composed: Composed, variant: str, build: int) -> None:
    before, after = (set(composed.installed(variant, number)) for number in (build, build + 1))
    steps = [step for step in composed.steps(build, build + 1) if variant in step.variants]

    gone = {line for step in steps for line in step.side(after=False)} - {
        line for step in steps for line in step.side(after=True)
    }
    come = {line for step in steps for line in step.side(after=True)} - {
        line for step in steps for line in step.side(after=False)
    }

    assert (before - after, after - before) == (gone, come)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_step_leads_from_all_that_was_installed_to_all_that_is(composed: Composed, variant: str) -> None:
    for build in (0, 1):
        for after in (False, True):
            installed: dict[tuple[str, str], list[str]] = {}
            for package in composed.installed(variant, build + after):
                installed.setdefault((package.name, package.arch), []).append(package.version)
            for step in composed.steps(build, build + 1):
                if variant in step.variants:
                    arch = step.arch if after else step.arch_before or step.arch
                    versions = step.after if after else step.before
                    assert sorted(installed.get((step.name, arch), [])) == sorted(versions)


def test_no_package_of_a_variant_is_touched_twice(composed: Composed) -> None:
    touched = Counter(
        (variant, step.name, arch)
        for step in composed.steps(0, 2)
        for variant in step.variants
        for arch in {step.arch, step.arch_before or step.arch}
    )

    assert [key for key, times in touched.items() if times > 1] == []


def test_no_package_is_installed_as_noarch_and_for_a_machine(composed: Composed) -> None:
    for variant in VARIANTS:
        arches: dict[str, set[str]] = {}
        for package in composed.installed(variant, 0):
            arches.setdefault(package.name, set()).add(package.arch)

        assert [name for name, found in arches.items() if "noarch" in found and len(found) > 1] == []


def test_the_set_has_the_size_and_the_kinds_of_a_real_one(composed: Composed) -> None:
    for variant in VARIANTS:
        assert 1800 <= len(composed.installed(variant, 0)) <= 2000
        kinds = {change.kind for change in composed.changes(variant, 0, 1)}
        assert kinds == set(ChangeKind) - {ChangeKind.RENAMED}  # no SBOM tells of renames
    assert composed.changed(0, 1) == sum(len(composed.changes(variant, 0, 1)) for variant in VARIANTS)


def test_the_groups_hold_every_change_once(composed: Composed) -> None:
    groups = composed.groups(0, 2)

    rows = sum(len(variants) * len(row.packages) for variants, rows in groups.items() for row in rows)

    assert rows == composed.changed(0, 2)
    assert {ALL, NVIDIA, ALL - NVIDIA, ALL - {"bluefin"}, frozenset({"bluefin-dx-nvidia-open"})} <= set(groups)


def test_the_same_seed_makes_the_same_images_and_another_makes_others(composed: Composed, history: History) -> None:
    formats = {"bluefin": "syft-zstd"}
    one, two = (publish(composed, history, MemoryRegistry(), PREFIX, formats=formats) for _ in range(2))

    assert one == two
    assert compose(7).changes("bluefin", 0, 1) != composed.changes("bluefin", 0, 1)


def test_the_history_is_the_same_every_time_and_git_agrees_on_its_order(history: History, tmp_path: Path) -> None:
    again = make_history(tmp_path / "again")
    log = subprocess.run(
        ["git", "-C", str(history.folder), "log", "--format=%H", f"{history.revisions[0]}..{history.revisions[2]}"],
        capture_output=True,
        check=True,
        text=True,
    )

    assert again.revisions == history.revisions
    assert log.stdout.split() == [commit.sha for commit in history.commits(0, 2)]


def test_the_tags_are_those_of_a_real_registry(composed: Composed, history: History) -> None:
    registry = MemoryRegistry()
    published = publish(composed, history, registry, PREFIX, formats={"bluefin": "spdx"})
    repository = published.repository("bluefin")

    tags = set(registry.tags(repository))

    assert {tag for day in DATES for tag in tags_of(day)} | set(MOVING) <= tags
    newest = registry.resolve(repository.tag("stable"))
    assert newest is not None
    assert newest.digest == published.digests["bluefin", 2]


# --------------------------------------------------------------------------------------------- what relman reads


@pytest.mark.parametrize(
    ("form", "by_fallback_tag"), [("syft", True), ("syft-zstd", False), ("spdx", False), ("cyclonedx", True)]
)
def test_every_format_gives_the_right_diff_to_the_row(
    composed: Composed, history: History, form: str, by_fallback_tag: bool
) -> None:
    variant = "bluefin-dx-nvidia-open"  # what it holds is what the others hold, and more
    registry = MemoryRegistry(referrers_api=not by_fallback_tag)
    published = publish(composed, history, registry, PREFIX, formats={variant: form}, by_fallback_tag=by_fallback_tag)

    builds = [read(registry, published, variant, build) for build in range(3)]

    for before, after in ((0, 1), (1, 2), (0, 2)):
        found = compare_contents(builds[before], builds[after])
        assert found.changes == composed.changes(variant, before, after)
        assert (found.keys_added, found.keys_removed) == composed.keys(before, after)
        assert found.exact
    assert [len(contents.packages) for contents in builds] == [
        len(composed.installed(variant, build)) for build in range(3)
    ]


def test_the_rechunk_label_gives_what_it_can_know_and_says_that_it_is_not_exact(
    composed: Composed, history: History
) -> None:
    registry = MemoryRegistry()
    published = publish(composed, history, registry, PREFIX, formats={"bluefin": "label"})

    found = compare_contents(*(read(registry, published, "bluefin", build) for build in (0, 1)))

    simple = {
        change.name: change
        for change in composed.changes("bluefin", 0, 1)
        if len(change.before) < 2 and len(change.after) < 2 and change.arch_before is None
        if ":" not in "".join(change.before + change.after)
    }
    shown = {change.name: change for change in found.changes}
    assert not found.exact
    assert found.notes
    for name, change in simple.items():
        if name != "openssl-libs":  # one architecture of two is gone: without architectures nothing is
            assert (shown[name].kind, shown[name].before, shown[name].after) == (
                change.kind,
                change.before,
                change.after,
            )


def test_the_formats_of_the_set_are_all_different() -> None:
    assert sorted(FORMATS) == sorted(VARIANTS)
    assert len(set(FORMATS.values())) == len(VARIANTS)
