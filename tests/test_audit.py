"""`relman audit`: each finding alone, none where all is as it should be, and nothing unchecked taken for clean."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from relman import returning, standing
from relman.cli.audit import _text as audit_text
from relman.cli.audit import exit_code
from relman.documents.audit import audit_document
from relman.documents.plan import plan_from_bytes
from relman.documents.schemas import schema
from relman.errors import Malformed, NotFound, Passing, Unequipped
from relman.model.audit import Audit, BrokenRecord, Code, Finding, StreamAudit, Unchecked
from relman.model.observed import Observations
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, Reference, Repository, parse_repository
from relman.model.plan import Plan
from relman.model.record import Lease, Receipt, ReceiptState, Record, RecordedVariant, RecordState, Unknown
from relman.registry.protocol import Manifest
from relman.testing import MemoryRegistry, attach
from relman.walk.audit import records as of_records
from relman.walk.audit import texts as of_texts
from relman.walk.audit.facts import Answer, Facts, Images, Published
from relman.walk.tags import TagBook
from tests.test_evidence import signed_by_tag
from tests.walking import MONDAY, PREFIX, World

DAY = timedelta(days=1)
CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[[variants]]
name = "dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}[.{point}]"]
expect = "7d"

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}[.{point}]"
gates = []
expect = "14d"

[[announce]]
type = "file"
name = "news"
path = "news/{{ version }}.md"
"""
NAMES = ("os", "dx")


class Shop(MemoryRegistry):
    """A registry in which things get lost."""

    def __init__(self, *, referrers_api: bool = True) -> None:
        super().__init__(referrers_api=referrers_api)
        self.lost: set[Digest] = set()
        self.bare: set[Digest] = set()
        self.hidden: set[str] = set()
        self.swept: set[str] = set()
        self.silent = False
        self.asked = 0

    def resolve(self, reference: Reference) -> Descriptor | None:
        self.asked += 1
        if self.silent:
            raise Passing("`ghcr.io` is busy")
        found = super().resolve(reference)
        return None if found is None or found.digest in self.lost or reference.tag in self.hidden else found

    def manifest(self, reference: Reference) -> Manifest:
        if reference.digest in self.lost:
            raise NotFound(f"`{reference}` is not there")
        return super().manifest(reference)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        if digest in self.lost:
            raise NotFound(f"the blob `{digest}` is not in `{repository}`")
        return super().blob(repository, digest, limit=limit)

    def tags(self, repository: Repository) -> tuple[str, ...]:
        if self.silent:
            raise Passing("`ghcr.io` is busy")
        return tuple(tag for tag in super().tags(repository) if tag not in self.hidden)

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        gone = digest in self.bare or repository.registry in self.swept
        return () if gone else super().referrers(repository, digest)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two builds, each promoted on the day after, the second announced in the source stream, too."""
    world = World(tmp_path_factory.mktemp("released"), Shop())
    world.configure(CONFIG)
    build(world, date(2026, 6, 26))
    release(world, MONDAY - 9 * DAY)
    build(world, date(2026, 7, 3))
    release(world, MONDAY - 2 * DAY)
    release(world, MONDAY - 2 * DAY, "testing")
    return world


@pytest.fixture
def world(released: World, tmp_path: Path) -> World:
    """The same, to break."""
    shutil.copytree(released.folder, tmp_path, dirs_exist_ok=True)
    fresh = Shop()
    for write in released.memory.writes:
        if write.kind == "blob":
            fresh.put_blob(write.repository, released.registry.blob(write.repository, write.digest, limit=1 << 30))
        else:
            manifest = released.registry.manifest(write.repository.digest(write.digest))
            fresh.put_manifest(write.repository, manifest.content, manifest.descriptor.media_type, tag=write.tag)
    return World(tmp_path, fresh)


def shop(world: World) -> Shop:
    assert isinstance(world.registry, Shop)
    return world.registry


def build(world: World, day: date, *more: str, names: Sequence[str] = NAMES, platforms: Any = ("linux/amd64",)) -> None:
    """Variants, built on a day: the stream `testing` holds them, and a dated tag."""
    for name in names:
        tags = ("testing", f"testing-{day:%Y%m%d}", *more)
        world.push(name, *tags, day=day, revision=f"{day:%Y%m%d}", platforms=platforms, title=name)


def release(world: World, now: datetime, stream: str = "stable") -> Record:
    with world.walk(now=now) as walk:
        record, _ = walk.apply(walk.plan(walk.config.stream(stream)), lambda _action, _receipt: None)
    assert record.state is RecordState.FINISHED
    return record


def observe(world: World, now: datetime = MONDAY) -> None:
    with world.walk(now=now) as walk:
        standing.observe(walk, tuple(walk.config.streams.values()))


def audit(world: World, *streams: str, now: datetime = MONDAY, last: int | None = 5) -> Audit:
    with world.walk(now=now) as walk:
        return standing.audit(walk, [walk.config.stream(name) for name in streams or walk.config.streams], last=last)


def found(world: World, *streams: str, **named: Any) -> list[tuple[str, str | None, str | None, str | None]]:
    """All findings as (code, stream, variant, version)."""
    return [(f.code, f.stream, f.variant, f.version) for f in audit(world, *streams, **named).all_findings]


def test_a_project_that_is_as_it_should_be_has_no_finding_and_all_of_it_was_looked_into(world: World) -> None:
    observe(world)

    result = audit(world)

    assert (result.all_findings, exit_code(result)) == ((), 0)
    assert [(one.code, one.stream, one.exit_code) for one in result.all_unchecked] == []


# ------------------------------------------------------------------------------------------ what tags tell


def test_a_build_that_was_replaced_before_its_release_was_announced_to_nobody(world: World) -> None:
    build(world, date(2026, 7, 4), "testing-20260704.1")
    build(world, date(2026, 7, 5), names=("dx",))
    build(world, date(2026, 7, 6))

    # The build of the 6th is what the stream holds, and waits; that of the 5th may still be on its way.
    assert found(world, "testing") == [("unannounced", "testing", None, "testing-20260704.1")]
    assert found(world, "testing", now=MONDAY + DAY) == [
        ("unannounced", "testing", "dx", "testing-20260705"),
        ("unannounced", "testing", None, "testing-20260704.1"),
    ]


def test_a_build_between_two_releases_was_announced_to_nobody(world: World) -> None:
    build(world, date(2026, 7, 4))
    build(world, date(2026, 7, 5))
    release(world, MONDAY, "testing")

    assert found(world, "testing") == [("unannounced", "testing", None, "testing-20260704")]


def test_a_variant_that_was_built_after_the_release_of_its_day_is_on_no_record(world: World) -> None:
    build(world, date(2026, 7, 5), names=("os",))
    release(world, MONDAY, "testing")
    build(world, date(2026, 7, 5), names=("dx",))
    waits = found(world, "testing")
    build(world, date(2026, 7, 6), names=("dx",))

    assert waits == []
    assert found(world, "testing", now=MONDAY + DAY) == [("unannounced", "testing", "dx", "testing-20260705")]


def test_a_variant_that_no_release_had_yet_has_nothing_to_announce(world: World) -> None:
    world.configure(CONFIG.replace("[streams.testing]", '[[variants]]\nname = "new"\n\n[streams.testing]'))
    build(world, date(2026, 7, 4), names=("new",))
    build(world, date(2026, 7, 5), names=("new",))

    result = audit(world, "testing")

    assert result.all_findings == ()
    assert "no record of `testing` has `new` yet" in [one.reason for one in result.all_unchecked]


def test_a_strangers_tag_of_the_day_of_a_release_is_not_the_releases(world: World) -> None:
    world.configure(CONFIG.replace("new_version = ", 'versions = ["44-{date}"]\nnew_version = '))
    world.push("os", "44-20260704", revision="theirs")

    assert [f for f in found(world, "stable") if f[0] == "moved-tag"] == []


def test_a_stream_without_records_says_so_once(world: World) -> None:
    for folder in (world.folder / "releases" / "testing").iterdir():
        folder.rename(world.folder / folder.name)

    result = audit(world, "testing")

    assert result.all_findings == ()
    assert [(one.code, one.reason) for one in result.streams[0].unchecked if one.code is Code.UNANNOUNCED] == [
        ("unannounced", "`testing` has no record yet; its variants have 4 dated builds")
    ]
    assert exit_code(result) == 0


def test_many_builds_are_counted_and_not_all_named(world: World) -> None:
    for number in range(60):
        world.push("os", f"testing-20260704.{number + 1}", revision=f"x{number}")

    findings = audit(world, "testing").all_findings

    assert [f.code for f in findings] == ["unannounced"] * 51
    assert findings[-1].message == "10 older builds are on no record either"


def test_dated_tags_beyond_a_bound_are_asked_for_only_with_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relman.walk.audit.facts.TAGS_AT_MOST", 2)
    for number in range(3):
        world.push("os", f"testing-20260704.{number + 1}", revision=f"x{number}")

    bounded, whole = audit(world, "testing"), audit(world, "testing", last=None)

    assert [f.version for f in bounded.all_findings] == ["testing-20260704.3", "testing-20260704.2"]
    assert any("1 older dated tags of `os` were not asked for" in one.reason for one in bounded.all_unchecked)
    assert len(whole.all_findings) == 3


def test_a_dated_tag_of_a_promoted_stream_that_no_record_wrote_is_a_strangers(world: World) -> None:
    world.push("dx", "stable-20260705", revision="theirs")

    (finding,) = audit(world, "stable").all_findings

    assert (finding.code, finding.variant, finding.version) == ("unannounced", "dx", "stable-20260705")
    assert "no record wrote" in finding.message


def test_a_dated_tag_that_moved_is_named_with_what_it_held(world: World) -> None:
    held = world.holds("dx:stable-20260704")
    other = world.tag("dx:testing-20260626", "stable-20260704")

    (finding,) = audit(world).all_findings

    assert (finding.code, finding.severity, finding.stream, finding.variant, finding.version) == (
        "moved-tag",
        "error",
        "stable",
        "dx",
        "stable-20260704",
    )
    assert finding.evidence["expected"] == held
    assert finding.evidence["holds"] == other


def test_a_dated_tag_that_moved_since_it_was_first_seen_needs_no_record(world: World) -> None:
    world.push("dx", "testing-20260601", revision="a", day=date(2026, 6, 1))
    observe(world, MONDAY - DAY)
    world.push("dx", "testing-20260601", revision="b", day=date(2026, 6, 1))

    (finding,) = audit(world).all_findings

    assert (finding.code, finding.variant, finding.version) == ("moved-tag", "dx", "testing-20260601")
    assert finding.evidence["observed"] == "2026-07-05T12:00:00Z"


def test_a_dated_tag_that_is_gone_while_its_image_is_there(world: World) -> None:
    shop(world).hidden.add("stable-20260704")

    assert found(world, "stable") == [
        ("moved-tag", "stable", "os", "stable-20260704"),
        ("moved-tag", "stable", "dx", "stable-20260704"),
    ]


def test_a_stream_tag_that_holds_what_no_release_gave_it(world: World) -> None:
    world.push("os", "stable", revision="theirs", day=date(2026, 7, 5))
    world.tag("dx:stable-20260627", "stable")

    findings = audit(world, "stable").all_findings

    assert [(f.code, f.variant) for f in findings] == [("foreign-move", "os"), ("foreign-move", "dx")]
    assert "(`stable-20260627`)" in findings[1].message


def test_a_build_that_is_the_last_release_again(world: World) -> None:
    for name in NAMES:
        world.tag(f"{name}:testing", "testing-20260704")

    assert found(world, "testing") == [("same-build", "testing", None, "testing-20260704")]


# --------------------------------------------------------------------------------------- how often it moves


def test_a_stream_that_does_not_move_and_what_waits_meanwhile(world: World) -> None:
    assert found(world, now=MONDAY + 3 * DAY) == []
    assert found(world, "testing", now=MONDAY + 5 * DAY) == [("standstill", "testing", None, None)]

    build(world, date(2026, 7, 20))
    (finding,) = audit(world, "stable", now=MONDAY + 15 * DAY).all_findings

    assert (finding.code, finding.variant) == ("standstill", None)
    assert "has not moved for 17 d; expected is 14 d; meanwhile `testing` holds another build" in finding.message
    assert finding.hint.startswith("no gate is known to be closed")


def test_the_gate_that_what_waits_waits_for_is_named(world: World) -> None:
    world.configure(CONFIG.replace("gates = []", 'gates = ["mood"]'))
    build(world, date(2026, 7, 20))

    (finding,) = audit(world, "stable", now=MONDAY + 15 * DAY).all_findings

    assert finding.message.endswith("meanwhile `testing` holds another build, which waits behind `mood` (absent)")
    assert finding.hint == "`relman status stable` shows what would open it"
    assert finding.evidence["gates"] == ["mood"]


def test_one_variant_that_stands_still_is_named_alone(world: World) -> None:
    build(world, date(2026, 7, 10), names=("os",))

    assert found(world, "testing", now=MONDAY + 6 * DAY) == [("standstill", "testing", "dx", None)]


def test_a_candidate_that_waits_too_long_is_named_although_the_stream_moved(world: World) -> None:
    build(world, date(2026, 7, 5))
    observe(world, MONDAY)
    for name in NAMES:
        world.push(name, "stable", revision="theirs", day=date(2026, 7, 19))
    observe(world, MONDAY + 14 * DAY)

    findings = audit(world, "stable", now=MONDAY + 15 * DAY).all_findings

    assert [f.code for f in findings] == ["standstill", "foreign-move", "foreign-move"]
    assert findings[0].message == ("a build of every variant has waited in `testing` for 16 d; expected is 14 d")


def test_since_when_a_stream_stands_still_is_told_by_what_was_observed(world: World) -> None:
    observe(world, MONDAY - DAY)
    build(world, date(2026, 6, 1), "other", names=("dx",))
    observe(world, MONDAY)

    # Built long ago, and seen to arrive now: the stream has moved.
    assert [one for one in found(world, "testing") if one[0] == "standstill"] == []
    assert ("standstill", "testing", None, None) in found(world, "testing", now=MONDAY + 8 * DAY)


def test_what_somebody_put_there_after_the_release_did_not_stand_still_before_it(world: World) -> None:
    for name in NAMES:
        world.tag(f"{name}:testing-20260626", "stable")

    codes = [(f.code, f.message) for f in audit(world, "stable", now=MONDAY + 13 * DAY).all_findings]

    assert [code for code, _ in codes] == ["standstill", "foreign-move", "foreign-move"]
    assert "has not moved for 15 d" in codes[0][1]
    assert [f[0] for f in found(world, "stable", now=MONDAY + 10 * DAY)] == ["foreign-move", "foreign-move"]


def test_without_a_rhythm_nobody_says_that_a_stream_moves(world: World) -> None:
    world.configure(CONFIG.replace('expect = "7d"\n', ""))

    result = audit(world, "testing", now=MONDAY + 900 * DAY)

    assert result.all_findings == ()
    assert any(one.code is Code.STANDSTILL and "no `expect`" in one.reason for one in result.all_unchecked)


def test_a_tag_that_is_not_there_is_named_with_and_without_a_rhythm(world: World) -> None:
    shop(world).hidden.add("testing")
    world.configure(CONFIG.replace('expect = "7d"\n', ""))

    assert found(world, "testing") == [("standstill", "testing", "os", None), ("standstill", "testing", "dx", None)]

    world.configure(CONFIG)

    assert found(world, "testing") == [("standstill", "testing", "os", None), ("standstill", "testing", "dx", None)]


# ------------------------------------------------------------------------------------------- images, texts


@pytest.mark.parametrize("part", ["index", "manifest", "configuration"])
def test_an_image_of_a_release_that_is_not_whole_any_more(tmp_path: Path, part: str) -> None:
    world = World(tmp_path, Shop())
    world.configure(CONFIG)
    build(world, date(2026, 6, 26), platforms=("linux/amd64", "linux/arm64"))
    release(world, MONDAY - 9 * DAY)
    build(world, date(2026, 7, 3), platforms=("linux/amd64", "linux/arm64"))
    release(world, MONDAY - 2 * DAY)
    with world.walk() as walk:
        image = walk.instruments.look(world.reference("os:stable-20260627"))
    manifest = json.loads(world.registry.manifest(world.reference(f"os@{image.platforms[1].manifest.digest}")).content)
    shop(world).lost.add(
        {
            "index": image.digest,
            "manifest": image.platforms[1].manifest.digest,
            "configuration": Digest(manifest["config"]["digest"]),
        }[part]
    )

    assert found(world, "stable") == [("image-gone", "stable", "os", "stable-20260627")]
    assert found(world, "stable", last=0) == []


def test_releases_that_were_not_asked_after_are_counted(world: World) -> None:
    reasons = [one.reason for one in audit(world, "stable", last=0).all_unchecked]

    assert "the images and texts of 1 older releases were not asked for: `--all` asks for them" in reasons


def test_an_image_that_was_made_before_the_one_it_follows(world: World) -> None:
    for name in NAMES:
        world.push(name, "testing", "testing-20260705", day=date(2026, 5, 1), revision="old")
    with world.walk(now=MONDAY) as walk:
        plan = walk.plan(walk.config.stream("stable"))
        walk.apply(plan, lambda _action, _receipt: None)

    findings = audit(world, "stable").all_findings

    assert [(f.code, f.variant, f.version) for f in findings] == [("backwards", None, "stable-20260706")]
    assert "was made at 2026-05-01 04:40" in findings[0].message


def test_a_stream_that_holds_an_older_build_than_its_last_release_went_back(world: World) -> None:
    repository = parse_repository(f"{PREFIX}/dx")
    old = world.registry.manifest(repository.tag("testing-20260626"))
    world.registry.put_manifest(repository, old.content, old.descriptor.media_type, tag="testing")

    (finding,) = (one for one in audit(world, "testing").all_findings if one.code is Code.BACKWARDS)

    assert (finding.code, finding.variant, finding.version) == ("backwards", "dx", "testing-20260703")
    assert "made at 2026-06-26 04:40, before that of the last release" in finding.message


def test_an_sbom_that_the_release_before_had_and_this_one_has_not(world: World) -> None:
    digest = world.holds("dx:stable")
    assert digest
    shop(world).bare.add(digest)

    (finding,) = audit(world, "stable").all_findings

    assert (finding.code, finding.variant, finding.version) == ("evidence-lost", "dx", "stable-20260704")
    piece = attached(world, "dx").short
    assert finding.message == (
        f"`stable-20260704` of `dx` had the SBOM `{piece}` attached when it was released, and has it no more"
    )


def test_a_record_of_before_evidence_was_recorded_is_compared_by_kind_with_the_release_before(world: World) -> None:
    forget_evidence(world)
    digest = world.holds("dx:stable")
    assert digest
    shop(world).bare.add(digest)

    (finding,) = audit(world, "stable").all_findings

    assert finding.message == (
        "the release before, `stable-20260627`, has an SBOM attached, and `stable-20260704` of `dx` has none"
    )


def attached(world: World, name: str) -> Digest:
    """The one piece of evidence on record for a variant of the last release."""
    (piece,) = world.ledger.records("stable")[0].variant(name).evidence  # type: ignore[union-attr, misc]
    return piece.digest


def forget_evidence(world: World) -> None:
    """As records were before they had any."""
    for file in (world.folder / "releases").glob("*/*/record.json"):
        record = json.loads(file.read_text())
        for variant in record["variants"]:
            variant.pop("evidence", None)
        file.write_text(json.dumps(record))


@pytest.mark.parametrize("how", ["by API", "by tag"])
def test_one_piece_of_several_of_the_same_kind_that_is_gone_is_named(tmp_path: Path, how: str) -> None:
    world = World(tmp_path, Shop(referrers_api=how == "by API"))
    world.configure(CONFIG)
    build(world, date(2026, 7, 3))
    repository, digest = parse_repository(f"{PREFIX}/os"), world.holds("os:testing")
    assert digest
    kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
    bundles = [attach(world.registry, repository, digest, b"%d" % number, kind, kind) for number in range(3)]
    record = release(world, MONDAY)
    assert audit(world, "stable").all_findings == ()
    shop(world).lost.add(bundles[1])

    (finding,) = audit(world, "stable").all_findings

    assert (finding.code, finding.variant, finding.evidence["pieces"]) == (
        "evidence-lost",
        "os",
        [{"subject": digest, "digest": bundles[1], "tag": None}],
    )
    assert f"had the signature `{bundles[1].short}` attached" in finding.message
    assert record.variant("os") is not None


@pytest.mark.parametrize("now", ["gone", "another", "more"])
def test_signatures_under_a_tag_are_missed_where_it_is_gone_or_holds_others(world: World, now: str) -> None:
    build(world, date(2026, 7, 5))
    repository, digest = parse_repository(f"{PREFIX}/os"), world.holds("os:testing")
    assert digest
    tag = f"{digest.fallback_tag}.sig"
    signed_by_tag(world.registry, repository, tag, "one")
    release(world, MONDAY)
    if now == "gone":
        shop(world).hidden.add(tag)
    elif now == "another":
        signed_by_tag(world.registry, repository, tag, "two")
    else:
        signed_by_tag(world.registry, repository, tag, "one", "two")

    lost = [finding for finding in audit(world, "stable").all_findings if finding.code == "evidence-lost"]

    assert [finding.message for finding in lost] == (
        []
        if now == "more"
        else [f"`stable-20260706` of `os` had the signature `{tag}` attached when it was released, and has it no more"]
    )


# ------------------------------------------------------------------------------------------------------ pins


def test_what_a_stream_holds_without_a_dated_tag_is_named_in_audit_status_and_the_way_back(world: World) -> None:
    shop(world).hidden |= {"stable-20260704", "testing-20260703"}

    findings = [finding for finding in audit(world, "stable").all_findings if finding.code == "unpinned"]
    with world.walk() as walk:
        state = standing.stream_state(walk, walk.config.stream("stable"))

    assert [(one.variant, one.severity) for one in findings] == [(None, "warning")]
    assert set(findings[0].evidence["holds"]) == set(NAMES)  # type: ignore[call-overload]
    assert {one.name: one.pinned for one in state.variants} == {"os": False, "dx": False}
    shop(world).hidden = {"stable-20260627", "testing-20260626"}
    with world.walk() as walk:
        plan = returning.plan_rollback(walk, walk.config.stream("stable"), by="ada")
        assert [one.pinned for one in standing.stream_state(walk, walk.config.stream("stable")).variants] == [
            True,
            True,
        ]
    assert plan is not None
    assert [line for line in plan.assumed if "no dated tag" in line] == [
        f"no dated tag holds the image of `{name}`: a registry's clean-up may take it once the stream moves on"
        for name in NAMES
    ]


@pytest.mark.parametrize("now_by", ["the old way", "the new way", "nothing"])
def test_a_signature_that_changes_its_form_is_not_lost(world: World, now_by: str) -> None:
    repository = parse_repository(f"{PREFIX}/os")
    before, now = world.holds("os:stable-20260627"), world.holds("os:stable")
    assert before
    assert now
    world.tag("os:stable-20260627", f"sha256-{before.hex}.sig")
    if now_by == "the old way":
        world.tag("os:stable", f"sha256-{now.hex}.sig")
    if now_by == "the new way":
        kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
        attach(world.registry, repository, now, b"{}", kind, kind)

    expected = [("evidence-lost", "stable", "os", "stable-20260704")] if now_by == "nothing" else []
    assert found(world, "stable") == expected


def test_what_the_same_image_has_where_it_came_from_was_lost_on_the_way(world: World) -> None:
    world.configure(CONFIG.replace('expect = "14d"', 'expect = "14d"\nprefix = "quay.io/acme"'))
    build(world, date(2026, 7, 4))
    record = release(world, MONDAY)
    assert audit(world, "stable").all_findings == ()
    shop = world.registry
    assert isinstance(shop, Shop)
    shop.swept.add("quay.io")

    findings = audit(world, "stable").all_findings

    assert [(f.code, f.variant, f.version) for f in findings] == [
        ("evidence-lost", "os", record.version),
        ("evidence-lost", "dx", record.version),
    ]
    assert "of `os` had the SBOM" in findings[0].message
    forget_evidence(world)
    findings = audit(world, "stable").all_findings
    assert "the same image in `ghcr.io/acme/os` has an SBOM attached" in findings[0].message


@pytest.mark.parametrize("text", ["something else", None])
def test_a_text_that_was_edited_or_taken_away_after_it_was_published(world: World, text: str | None) -> None:
    file = world.folder / "news" / "stable-20260704.md"
    if text:
        file.write_text(text)
    else:
        file.unlink()

    (finding,) = audit(world).all_findings

    assert (finding.code, finding.stream, finding.version) == ("edited", "stable", "stable-20260704")
    assert finding.evidence["action"] == "file:news"
    assert len(str(finding.evidence["sha256"])) == 64


def test_a_text_that_the_next_release_replaced_was_not_edited(tmp_path: Path) -> None:
    world = World(tmp_path, Shop())
    world.configure(CONFIG.replace("news/{{ version }}.md", "news.md"))
    for days in (9, 2):
        build(world, (MONDAY - (days + 1) * DAY).date())
        release(world, MONDAY - days * DAY)

    assert found(world, "stable") == []
    (tmp_path / "news.md").write_text("edited")
    assert found(world, "stable") == [("edited", "stable", None, "stable-20260704")]


def test_channels_that_cannot_be_asked_are_said_and_are_not_clean(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = '[[announce]]\ntype = "webhook"\nname = "news"\nurl = "https://example.org"\n'
    table = CONFIG[CONFIG.index("[[announce]]") :]

    world.configure(CONFIG.replace(table, hook + 'secret = { env = "HOOK_SECRET" }\n'))
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    unset = audit(world, "stable")
    world.configure(CONFIG.replace(table, ""))
    removed = audit(world, "stable")

    reasons = [one.reason for result in (unset, removed) for one in result.all_unchecked if one.code is Code.EDITED]
    assert reasons == [
        "channel `news` was not asked: it needs `HOOK_SECRET`, which is not set",
        "there is no channel `news` any more: what it published was not read back",
    ]
    assert (unset.all_findings, removed.all_findings) == ((), ())


class Asked:
    """An executor that says of everything the same."""

    kind = "file"
    scope = "channel"

    def __init__(self, probed: Receipt | Unknown | Exception | None, verified: Exception | None = None) -> None:
        self._probed, self._verified = probed, verified

    def probe(self, action: object, reader: object) -> Receipt | Unknown | None:
        if isinstance(self._probed, Exception):
            raise self._probed
        return self._probed

    def verify(self, action: object, receipt: object, reader: object) -> None:
        if self._verified:
            raise self._verified


def adopted(sha256: str | None) -> Receipt:
    return Receipt("key", "file:news", ReceiptState.ADOPTED, MONDAY, sha256=sha256)


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (Asked(adopted(None)), None),
        (Asked(adopted("0" * 64)), "edited"),
        (Asked(None), "edited"),
        (Asked(adopted(None), Malformed("it is another text")), "edited"),
        (Asked(NotFound("it is not there")), "edited"),
        (Asked(Unknown("it cannot be asked")), (None, "channel `news` cannot tell: it cannot be asked")),
        (Asked(Passing("busy")), (75, "channel `news`: busy")),
        (Asked(Unequipped("no token")), (7, "channel `news`: no token")),
        (Asked(ZeroDivisionError("x")), (1, "channel `news`: channel `news` could not be asked: ZeroDivisionError: x")),
    ],
    ids=["as it was", "hash", "gone", "another", "not found", "cannot tell", "busy", "refused", "a fault of a plugin"],
)
def test_what_a_channel_says_of_its_text(
    world: World, executor: Any, expected: str | tuple[int | None, str] | None
) -> None:
    def plan_of(record: Record) -> Plan | None:
        content = world.ledger.plan_of(record)
        return plan_from_bytes(content) if content else None

    published = Published(plan_of, lambda _kind: executor, lambda _action, _executor: None)
    (current, *_) = world.ledger.records("stable")

    answers = list(of_texts.edited(replace(facts(world, (current,)), published=published)))

    said = [one.code if isinstance(one, Finding) else (one.exit_code, one.reason) for one in answers]
    assert said == ([expected] if expected else [])


# ------------------------------------------------------------------------------------------- what records tell

ONE, TWO, THREE, FOUR = (Digest.of(text) for text in (b"1", b"2", b"3", b"4"))


def record(
    number: int, digest: Digest | None, before: Digest | None = None, previous: int | None = 0, **changed: Any
) -> Record:
    """The record of the build of a day of June, whose id is the day."""
    made = Record(
        id=f"{number:016}",
        project="Composed OS",
        stream="testing",
        version=f"testing-202606{number:02}",
        previous=f"{number - 1 if previous == 0 else previous:016}" if previous is not None else None,
        state=RecordState.FINISHED,
        created=datetime(2026, 6, number, 12, tzinfo=UTC),
        finished=datetime(2026, 6, number, 13, tzinfo=UTC),
        plan=Digest.of(b"plan"),
        variants=(RecordedVariant("os", f"{PREFIX}/os", digest, before, (LINUX_AMD64,), None),),
    )
    return replace(made, **changed)


def facts(world: World, records: tuple[Record, ...], broken: tuple[BrokenRecord, ...] = ()) -> Facts:
    with world.walk() as walk:
        published = Published(lambda _record: None, lambda _kind: None, lambda _action, _executor: None)
        return Facts(
            walk.config,
            walk.config.stream("testing"),
            records,
            broken,
            Observations(),
            TagBook(walk.instruments.reader),
            Images(walk.instruments.reader),
            walk.instruments.reader,
            published,
            MONDAY,
            None,
        )


YANKED, ROLLED_BACK = RecordState.YANKED, RecordState.ROLLED_BACK
INTENDED, PARTIAL = RecordState.INTENDED, RecordState.PARTIAL
POINT_9, POINT_10 = "testing-20260602.9", "testing-20260602.10"
Check = Callable[[Facts], Iterator[Answer]]


@pytest.mark.parametrize(
    ("check", "records", "versions"),
    [
        (of_records.gap, [record(3, THREE, TWO), record(2, TWO, ONE), record(1, ONE)], []),
        (of_records.gap, [record(3, THREE, ONE), record(2, TWO, ONE), record(1, ONE)], []),
        (of_records.gap, [record(3, THREE, FOUR), record(2, TWO, ONE), record(1, ONE)], [3]),
        (of_records.gap, [record(3, THREE), record(2, TWO, ONE), record(1, ONE)], [3]),
        (of_records.gap, [record(3, THREE, ONE, 1), record(2, TWO, ONE), record(1, ONE)], [3]),
        (of_records.gap, [record(3, THREE, TWO, None), record(2, TWO, ONE), record(1, ONE)], [3]),
        (of_records.gap, [record(3, THREE, TWO), record(2, TWO, ONE, state=YANKED), record(1, ONE)], []),
        (of_records.gap, [record(3, THREE, ONE, 1), record(2, TWO, ONE, state=ROLLED_BACK), record(1, ONE)], []),
        (of_records.gap, [record(3, THREE, TWO), record(2, None, None, None), record(1, None, None, None)], []),
        (of_records.gap, [record(3, THREE, FOUR, None), record(2, None, None, None)], []),
        (of_records.gap, [record(1, ONE)], []),
        (of_records.same_build, [record(2, TWO), record(1, ONE)], []),
        (of_records.same_build, [record(3, ONE), record(2, TWO), record(1, ONE)], []),
        (of_records.same_build, [record(2, ONE), record(1, ONE)], [2]),
        (of_records.same_build, [record(2, None), record(1, None)], []),
        (of_records.backwards, [record(2, TWO), record(1, ONE)], []),
        (of_records.backwards, [record(3, THREE, version="testing-20260601"), record(2, TWO)], [3]),
        (of_records.backwards, [record(3, THREE, version="testing-20260602.1"), record(2, TWO)], []),
        (of_records.backwards, [record(3, THREE, version=POINT_9), record(2, TWO, version=POINT_10)], [3]),
        (of_records.backwards, [record(3, THREE, version="testing-20260601"), record(2, TWO, state=ROLLED_BACK)], []),
        (of_records.backwards, [record(3, THREE, version="other"), record(2, TWO)], []),
        (of_records.unfinished, [record(2, TWO), record(1, ONE)], []),
        (of_records.unfinished, [record(2, TWO, state=PARTIAL), record(1, ONE)], [2]),
        (of_records.unfinished, [record(2, TWO, state=INTENDED, lease=Lease("h", 1, None, MONDAY))], [2]),
        (of_records.unfinished, [record(2, TWO, state=INTENDED, lease=Lease("h", 1, None, MONDAY + DAY))], []),
    ],
)  # fmt: skip
def test_what_records_tell(world: World, check: Check, records: list[Record], versions: list[int]) -> None:
    answers = list(check(facts(world, tuple(records))))

    by_version = {one.version: number for number, one in zip((int(r.id) for r in records), records, strict=True)}
    assert [by_version[one.version or ""] for one in answers if isinstance(one, Finding)] == versions
    assert len(answers) == len(versions)


def test_a_release_after_a_broken_record_has_no_gap(world: World) -> None:
    broken = BrokenRecord("testing", "testing-20260602-0000000000000002", "it is not JSON")
    records = (record(3, THREE, TWO), record(1, ONE))

    assert list(of_records.gap(facts(world, records, (broken,)))) == []
    assert len(list(of_records.gap(facts(world, records)))) == 1


def test_broken_records_are_named_and_the_rest_is_audited(world: World) -> None:
    (broken,) = (world.folder / "releases" / "stable").glob("stable-20260627-*/record.json")
    broken.write_text("{")
    world.tag("dx:testing-20260626", "stable-20260704")

    findings = audit(world, "stable").all_findings

    assert [(f.code, f.version) for f in findings] == [
        ("broken-record", "stable-20260627"),
        ("moved-tag", "stable-20260704"),
    ]


def test_a_plan_that_was_edited_is_named(world: World) -> None:
    (plan,) = (world.folder / "releases" / "stable").glob("stable-20260704-*/plan.json")
    plan.write_text(plan.read_text() + " ")

    assert found(world, "stable") == [("broken-record", "stable", None, "stable-20260704")]


def test_observations_that_cannot_be_read_are_named_once(world: World) -> None:
    observe(world)
    file = world.folder / "releases" / "observed.jsonl"
    file.write_text("<<<<<<<\n" + file.read_text())

    assert found(world) == [("broken-record", None, None, None)]


# -------------------------------------------------------------------------------------- what is not known


def test_a_registry_that_does_not_answer_is_not_clean_and_records_are_still_read(world: World) -> None:
    observe(world)
    shop(world).silent, shop(world).asked = True, 0

    result = audit(world)

    assert shop(world).asked <= 2 * len(NAMES)  # the first question of each stream, and no more
    assert (result.all_findings, exit_code(result)) == ((), 75)
    assert {one.code for one in result.all_unchecked if one.exit_code == 75} >= {
        Code.STANDSTILL,
        Code.MOVED_TAG,
        Code.UNANNOUNCED,
        Code.IMAGE_GONE,
        Code.EVIDENCE_LOST,
    }
    (world.folder / "news" / "stable-20260704.md").unlink()
    assert exit_code(audit(world)) == 9


@pytest.mark.parametrize(
    ("codes", "expected"), [((), 0), ((None,), 0), ((1,), 1), ((1, 75), 75), ((75, 7, 1), 7), ((4,), 1)]
)
def test_the_exit_code_is_that_of_what_kept_us_from_looking(codes: tuple[int | None, ...], expected: int) -> None:
    unchecked = tuple(Unchecked(Code.EDITED, "s", str(code), code) for code in codes)

    assert exit_code(Audit((StreamAudit("s", None, 0, (), unchecked),))) == expected


def test_the_document_fits_its_schema_and_says_all_of_it(world: World) -> None:
    world.tag("dx:testing-20260626", "stable-20260704")

    document = json.loads(json.dumps(audit_document("Composed OS", audit(world), MONDAY)))

    assert document["schema"] == "relman.audit/1"
    assert document["streams"] == [
        {"name": "testing", "from": None, "records": 1, "findings": 0},
        {"name": "stable", "from": "testing", "records": 2, "findings": 1},
    ]
    assert set(document["findings"][0]) == set(schema("audit")["$defs"]["FindingDocument"]["required"])  # type: ignore[index]
    assert [(one["code"], one["stream"], one["failed"]) for one in document["unchecked"]] == [
        ("moved-tag", None, False)
    ]


def test_on_a_terminal_long_lines_are_broken_where_they_begin_and_commands_stay_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "`stable-20260704` lacks something that is told at some length, and nobody would have broken it well by hand"
    hint = "run `relman rollback stable --to V` and read on"
    findings = (Finding(Code.IMAGE_GONE, "stable", None, None, said, hint),)
    unknown = tuple(Unchecked(code, "stable", said) for code in (Code.EDITED, Code.MOVED_TAG, Code.FOREIGN_MOVE))
    found = Audit((StreamAudit("stable", None, 1, findings, unknown),), (), ())
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = click.unstyle(audit_text(found))
    monkeypatch.setenv("COLUMNS", "100")

    text = click.unstyle(audit_text(found))

    assert max(map(len, text.splitlines())) <= 100
    assert "`relman rollback stable --to V`" in text
    assert [line for line in text.splitlines()[1:-2] if not line.startswith((" " * 26, "  error", "  unknown"))] == []
    assert said in whole
    assert " ".join(text.split()) == " ".join(whole.split())
