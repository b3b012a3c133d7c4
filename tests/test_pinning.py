"""A plan that was edited by hand: what its gates answered for is what gets the tags, or nothing does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from relman import afterwards
from relman.documents.plan import plan_bytes, plan_from_bytes
from relman.errors import GateClosed, Malformed, StalePlan
from relman.model.oci import Digest, Repository, parse_repository
from relman.model.plan import Plan
from relman.model.record import ReceiptState, RecordState
from relman.testing import MemoryRegistry
from tests.signing import Signer
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"
platforms = ["linux/amd64"]

[signature]
keys = ["acme.pub"]

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}[.{point}]"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
ALICE = Signer()


class Refusing(MemoryRegistry):
    """A registry in which the tag `stable` cannot be written, where it is told so."""

    refuses = False

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        if self.refuses and tag == "stable":
            raise Malformed("it will not have it")
        return super().put_manifest(repository, content, media_type, tag=tag)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, Refusing())
    (tmp_path / "acme.pub").write_text(ALICE.pem)
    found.configure(CONFIG)
    for day, tags in ((date(2026, 6, 28), ()), (date(2026, 7, 5), ("testing",))):
        digest = found.push("os", f"testing-{day:%Y%m%d}", *tags, day=day, platforms=("linux/amd64", "linux/arm64"))
        ALICE.sign(found.registry, parse_repository(f"{found.prefix}/os"), digest)
    return found


def planned(world: World) -> Plan:
    with world.walk() as walk:
        return walk.plan(walk.config.stream("stable"))


def edited(plan: Plan, edit: Callable[[dict[str, Any]], None]) -> Plan:
    document = json.loads(plan_bytes(plan))
    edit(document)
    return plan_from_bytes(json.dumps(document).encode())


def apply(world: World, plan: Plan, *, hours: int = 0) -> RecordState:
    with world.walk(now=MONDAY + timedelta(hours=hours)) as walk:
        return walk.apply(plan, lambda action, receipt: None)[0].state


def refused(world: World, plan: Plan) -> str:
    writes = len(world.memory.writes)
    with pytest.raises((Malformed, StalePlan)) as caught:
        apply(world, plan)
    assert (len(world.memory.writes), world.ledger.records()) == (writes, ())
    return caught.value.message


def tag_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["actions"] if one["target"] == "tag:os:stable")
    return found


def test_what_was_not_edited_is_carried_out(world: World) -> None:
    assert apply(world, edited(planned(world), lambda document: None)) is RecordState.FINISHED


def test_a_tag_that_would_get_another_image_than_the_gates_answered_for_is_refused(world: World) -> None:
    older = world.holds("os:testing-20260628")
    assert older

    def edit(document: dict[str, Any]) -> None:
        tag_of(document)["payload"]["digest"] = older

    plan = edited(planned(world), edit)

    newer = plan.variants[0].digest
    assert refused(world, plan) == (
        f"the plan of `stable-20260706` does not add up: `{world.prefix}/os:stable` would get {older.short}, and the "
        f"image of `os` is {newer.short}"
    )


@pytest.mark.parametrize("reference", ["ghcr.io/acme/other:stable", "{prefix}/os:latest"])
def test_a_tag_that_the_plan_does_not_list_is_refused(reference: str, world: World) -> None:
    reference = reference.format(prefix=world.prefix)

    def edit(document: dict[str, Any]) -> None:
        tag_of(document)["payload"]["reference"] = reference

    assert f"would move `{reference}`, which is no tag of `os`" in refused(world, edited(planned(world), edit))


def test_a_plan_keeps_the_id_of_its_images_alone(world: World) -> None:
    older = world.holds("os:testing-20260628")
    plan = planned(world)
    assert older

    other = plan_from_bytes(plan_bytes(plan).replace(plan.variants[0].digest.encode(), older.encode()))

    message = refused(world, other)
    assert f"its id is `{plan.id}`, and that of these images is `" in message


def test_signatures_that_would_not_be_verified_make_a_plan_stale(world: World) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["actions"] = [one for one in document["actions"] if one["kind"] != "verify"]

    assert refused(world, edited(planned(world), edit)) == (
        "the plan would move tags of `os` without verifying the signatures that [signature] asks for"
    )


def test_what_closes_after_preparations_and_before_the_first_tag_keeps_it_out(world: World) -> None:
    assert isinstance(world.registry, Refusing)
    plan = planned(world)
    world.registry.refuses = True
    assert apply(world, plan) is RecordState.INTENDED
    (record,) = world.ledger.records()
    assert record.receipts[0].state is ReceiptState.DONE  # signatures were verified
    world.registry.refuses = False
    with world.walk() as walk:
        walk.ledger.hold(afterwards.held_by(walk, walk.config.stream("stable"), None, "no sound", by="ada"))

    with pytest.raises(GateClosed, match="gate `hold` is failed for `os`"):
        apply(world, plan, hours=1)
    assert world.holds("os:stable") is None


def test_what_is_older_than_what_the_tag_holds_does_not_enter_though_nothing_was_released_before(world: World) -> None:
    newer = world.holds("os:testing")
    older = world.holds("os:testing-20260628")
    assert newer
    assert older
    repository = parse_repository(f"{world.prefix}/os")
    for tag, digest in (("stable", newer), ("testing", older)):
        manifest = world.registry.manifest(repository.digest(digest))
        world.registry.put_manifest(repository, manifest.content, manifest.descriptor.media_type, tag=tag)

    plan = planned(world)

    assert [(one.gate, one.code, one.reason) for one in plan.closed] == [
        (
            "no-downgrade",
            "older-build",
            "it was made 2026-06-28 04:40, before what `stable` holds of 2026-07-05 04:40",
        )
    ]
    with pytest.raises(GateClosed, match="before what `stable` holds of 2026-07-05 04:40"):
        apply(world, plan)
