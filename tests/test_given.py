"""SBOMs on disk that stand for candidates: which image, what is checked, what is recorded, and applied elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from relman.documents.contents import contents_from_bytes
from relman.documents.plan import plan_bytes, plan_from_bytes
from relman.errors import GateClosed, Malformed, NotFound, UsageError
from relman.hookspecs import GatesContext, hookimpl
from relman.manager import Plugins
from relman.model.oci import LINUX_AMD64, Digest, Platform, parse_repository
from relman.model.plan import GateResult, State
from relman.testing import MemoryRegistry, put_image, put_index
from relman.walk.comparing import pairs_of_release
from relman.walk.given import GivenSbom
from tests.walking import PREFIX, SYSTEM, World, sbom

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}[.{point}]"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
OLD, NEW = date(2026, 6, 22), date(2026, 6, 29)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two variants; of the candidate of `os`, nothing says what is inside."""
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path, MemoryRegistry())
    made.configure(CONFIG)
    for name in ("os", "os-dx"):
        made.push(name, "stable", "stable-20260622", day=OLD, title=name)
    made.push("os-dx", "testing", "testing-20260629", day=NEW, packages={"added": "1-1"}, title="os-dx")
    bare(made, "os", "testing", "testing-20260629")
    (tmp_path / "os.json").write_bytes(sbom({**SYSTEM, "given": "2.0-1"}))
    return made


def bare(world: World, name: str, *tags: str, platform: str = "linux/amd64") -> Digest:
    """An image to which no list is attached."""
    created = datetime(2026, 6, 29, 4, 40, tzinfo=UTC)
    repository = parse_repository(f"{PREFIX}/{name}")
    return put_image(
        world.registry, repository, tags=tags, created=created, platform=platform, labels={"title": f"bare {name}"}
    )


GIVEN = (GivenSbom("os", None, "os.json"),)


def test_without_the_file_nothing_says_what_is_inside(world: World) -> None:
    with world.walk() as walk, pytest.raises(Malformed, match="no source serves"):
        walk.plan(walk.config.stream("stable"))


def test_the_file_stands_for_the_candidate_and_is_recorded(world: World) -> None:
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"), sboms=GIVEN)

    shown = [(p.name, row.kind) for group in plan.changelog.groups for row in group.rows for p in row.packages]
    assert sorted(shown) == [("added", "added"), ("given", "added")]
    assert [dict(variant.sboms) for variant in plan.variants] == [{LINUX_AMD64: "os.json"}, {}]
    assert "os: the packages are those of an SBOM that was given by hand, `os.json`." in plan.changelog.notes
    assert plan_from_bytes(plan_bytes(plan)) == plan


def test_a_diff_says_that_its_list_was_given(world: World) -> None:
    with world.walk() as walk:
        release = walk.resolve(walk.config.stream("stable"))
        walk.stand_in(GIVEN, release, walk.instruments.comparer)
        one, two = (compared.diff for compared in walk.instruments.comparer.compare(pairs_of_release(release)))

    assert one is not None
    assert two is not None
    assert (one.before.source, one.after.source, two.after.source) == ("sbom", "sbom:os.json", "sbom")
    assert str(one.after.reference).startswith("ghcr.io/acme/os:testing@sha256:")
    assert one.exact


def test_a_plan_is_applied_on_a_machine_that_does_not_have_the_file(world: World) -> None:
    with world.walk() as walk:
        content = plan_bytes(walk.plan(walk.config.stream("stable"), sboms=GIVEN))
    (world.folder / "os.json").unlink()

    with world.walk() as walk:
        record, outcome = walk.apply(plan_from_bytes(content), lambda _action, _receipt: None)

    assert (record.state, outcome is not None) == ("finished", True)
    assert [variant.contents is None for variant in record.variants] == [True, False]  # nothing knows it here


def test_a_release_in_one_go_keeps_what_the_file_said(world: World) -> None:
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"), sboms=GIVEN)
        record, _ = walk.apply(plan, lambda _action, _receipt: None)

        kept = record.variants[0].contents
        assert kept is not None
        content = walk.ledger.contents(kept)
    assert content is not None
    (contents,) = contents_from_bytes(content).values()
    assert (contents.source, len(contents.packages)) == ("sbom:os.json", 101)


class Watching:
    """A gate that opens for those whose diff it sees, or for all."""

    def __init__(self) -> None:
        self.seen: list[list[str | None]] = []
        self.opens = True

    @hookimpl
    def relman_gates(self, context: GatesContext) -> Iterator[GateResult]:
        self.seen.append([diff.variant for diff in context.diffs])
        state = State.PASSED if self.opens else State.FAILED
        for candidate in context.release.candidates:
            yield GateResult("watching", candidate.variant.name, candidate.image.digest, state, "composed")


def test_gates_are_asked_again_with_the_diffs_that_can_be_made_there(world: World) -> None:
    watching, world.plugins = Watching(), Plugins()
    world.plugins.register(watching, "watching")
    world.configure(CONFIG + 'gates = ["watching"]\n')
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"), sboms=GIVEN)

    watching.opens = False
    with world.walk() as walk, pytest.raises(GateClosed):
        walk.apply(plan, lambda _action, _receipt: None)

    assert watching.seen == [["os", "os-dx"], ["os-dx"]]


def test_only_a_list_that_was_given_by_hand_may_be_missing_then(world: World) -> None:
    with world.walk() as walk:
        pairs = pairs_of_release(walk.resolve(walk.config.stream("stable")))

        assert [c.name for c in walk.instruments.notes_comparer.compare(pairs, optional=[("os", LINUX_AMD64)])] == [
            "os-dx"
        ]
        with pytest.raises(Malformed, match="no source serves"):
            walk.instruments.notes_comparer.compare(pairs, optional=[("os-dx", LINUX_AMD64)])


# --------------------------------------------------------------------------------------------- what is checked


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (GivenSbom("nope", None, "os.json"), UsageError, "`--sbom nope=os.json`: there is no variant `nope`"),
        (GivenSbom("os", None, "gone.json"), NotFound, "`--sbom os=gone.json`: there is no file `gone.json`"),
        (
            GivenSbom("os", Platform.parse("linux/arm64"), "os.json"),
            UsageError,
            "`--sbom os:linux/arm64=os.json`: `os` is compared on linux/amd64",
        ),
        (
            GivenSbom("os", None, "short.json"),
            Malformed,
            "lists 2 packages, fewer than the 100 of `[packages] minimum`",
        ),
        (GivenSbom("os", None, "arm.json"), Malformed, "it lists packages for `aarch64`, not for linux/amd64"),
        (GivenSbom("os", None, "none.json"), Malformed, "`none.json` cannot stand for what is inside `sha256:"),
    ],
)
def test_what_cannot_stand_in_is_refused(world: World, given: GivenSbom, error: type[Exception], says: str) -> None:
    (world.folder / "short.json").write_bytes(sbom({"a": "1-1", "b": "1-1"}))
    (world.folder / "arm.json").write_bytes(sbom(SYSTEM, "aarch64"))
    (world.folder / "none.json").write_bytes(b"{}")

    with world.walk() as walk, pytest.raises(error) as caught:
        walk.plan(walk.config.stream("stable"), sboms=(given,))

    assert says in str(caught.value)


def test_two_lists_for_one_image_are_refused(world: World) -> None:
    with world.walk() as walk, pytest.raises(UsageError, match="is given for the same image"):
        walk.plan(walk.config.stream("stable"), sboms=(*GIVEN, GivenSbom("os", LINUX_AMD64, "os.json")))


def test_of_several_platforms_it_has_to_be_said_which(world: World) -> None:
    repository, platforms = parse_repository(f"{PREFIX}/os"), ("linux/amd64", "linux/arm64")
    children = [bare(world, "os", platform=platform) for platform in platforms]
    put_index(world.registry, repository, children, tags=("testing",))
    (world.folder / "arm.json").write_bytes(sbom({**SYSTEM, "given": "2.0-1"}, "aarch64"))

    with world.walk() as walk:
        with pytest.raises(UsageError, match="`os` is there for linux/amd64, linux/arm64") as caught:
            walk.plan(walk.config.stream("stable"), sboms=GIVEN)
        assert caught.value.hint == "say which: `--sbom os:linux/amd64=FILE`"
        both = dict(zip(map(Platform.parse, platforms), ("os.json", "arm.json"), strict=True))
        given = [GivenSbom("os", platform, file) for platform, file in both.items()]
        plan = walk.plan(walk.config.stream("stable"), sboms=given)

    assert dict(plan.variants[0].sboms) == both
