"""A promotion as an in-toto statement: what it says, where it hangs, and that it hangs there once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from relman import __version__, afterwards, returning
from relman.errors import NotFound
from relman.model.gates import OverrideRequest
from relman.model.oci import Descriptor, Digest
from relman.model.plan import Action, Plan, Stage, State
from relman.model.record import Receipt, ReceiptState, Record, RecordState
from relman.registry.manifests import read_object
from relman.testing import MemoryRegistry
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}[.{point}]"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
ATTACH = CONFIG + "\n[record]\nattach = true\n"
VERSION = "stable-20260706"


@pytest.fixture(params=[True, False], ids=["by API", "by tag"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry(referrers_api=request.param))
    found.configure(ATTACH)
    found.push("os", "testing-20260601", "stable", "stable-20260602", day=date(2026, 6, 1))
    found.push("os", "testing-20260705", "testing", day=date(2026, 7, 5), n="new")
    return found


def planned(world: World, **more: Any) -> Plan:
    with world.walk() as walk:
        return walk.plan(walk.config.stream("stable"), **more)


def apply(world: World, plan: Plan, *, stop_after: str | None = None) -> Record:
    def report(action: Action, receipt: Receipt) -> None:
        if action.target == stop_after:
            raise KeyboardInterrupt

    with world.walk(now=MONDAY + timedelta(minutes=5)) as walk:
        return walk.apply(plan, report)[0]


def statements(world: World) -> list[Descriptor]:
    """What hangs on the promoted image and is a statement."""
    digest = world.holds("os:testing")
    assert digest
    referrers = world.registry.referrers(world.reference("os:testing").repository, digest)
    return [one for one in referrers if one.artifact_type == "application/vnd.in-toto+json"]


def text(world: World, referrer: Descriptor) -> bytes:
    repository = world.reference("os:testing").repository
    (layer,) = read_object(world.registry.manifest(repository.digest(referrer.digest)).content, "it")["layers"]
    return world.registry.blob(repository, Digest(layer["digest"]), limit=1 << 20)


def document(world: World) -> Mapping[str, Any]:
    (referrer,) = statements(world)
    found: Mapping[str, Any] = json.loads(text(world, referrer))
    return found


def test_the_statement_says_who_promoted_what_from_where_by_which_gates(world: World) -> None:
    before = world.holds("os:stable")
    candidate = world.holds("os:testing")
    plan = planned(world)

    record = apply(world, plan)

    assert candidate
    (referrer,) = statements(world)
    assert referrer.annotations == {
        "in-toto.io/predicate-type": "https://slsa.dev/verification_summary/v1",
        "dev.relman.release": plan.id,
    }
    said = document(world)
    gates = said["predicate"]["urn:relman:promotion/1"].pop("gates")
    assert [(gate["gate"], gate["state"]) for gate in gates] == [
        ("complete", "passed"),
        ("hold", "passed"),
        ("no-downgrade", "passed"),
    ]
    assert said == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "ghcr.io/acme/os", "digest": {"sha256": candidate.hex}}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": "urn:relman:project:Composed%20OS", "version": {"relman": __version__}},
            "timeVerified": "2026-07-06T12:05:00Z",
            "resourceUri": "docker://ghcr.io/acme/os:stable",
            "policy": {"uri": "urn:relman:configuration", "digest": {"sha256": plan.config.hex}},
            "verificationResult": "PASSED",
            "verifiedLevels": ["SLSA_BUILD_LEVEL_UNEVALUATED"],
            "slsaVersion": "1.1",
            "urn:relman:promotion/1": {
                "project": "Composed OS",
                "stream": "stable",
                "variant": "os",
                "version": VERSION,
                "release": plan.id,
                "plan": record.plan,
                "from": f"ghcr.io/acme/os:testing@{candidate}",
                "previous": None,
                "previous_digest": before,
                "tags": {"stable": before, VERSION: None},
                "overrides": [],
            },
        },
    }


def test_it_is_attached_after_the_tags_and_once(world: World) -> None:
    plan = planned(world)

    record = apply(world, plan)
    writes = list(world.memory.writes)
    apply(world, plan)

    assert [(action.target, action.stage) for action in plan.actions][-1] == ("statement:os", Stage.PUBLISH)
    receipt = record.receipts[-1]
    (referrer,) = statements(world)
    assert (receipt.action, receipt.state, receipt.remote_id) == ("statement:os", ReceiptState.DONE, referrer.digest)
    assert world.memory.writes == writes


def test_a_run_that_was_killed_before_it_attached_is_finished_with_the_same_words(world: World) -> None:
    plan = planned(world)
    with pytest.raises(KeyboardInterrupt):
        apply(world, plan, stop_after=f"tag:os:{VERSION}")
    assert statements(world) == []

    record = apply(world, plan)

    (referrer,) = statements(world)
    with world.walk() as walk:
        assert afterwards.promotion_statement(walk, record, "os") == text(world, referrer)
    assert record.state is RecordState.FINISHED


def test_what_another_machine_attached_is_adopted(world: World) -> None:
    plan = planned(world)
    apply(world, plan)
    for path in sorted((world.folder / "releases").rglob("record.json")):
        path.unlink()
        path.with_name("plan.json").unlink()
        path.with_name("changelog.json").unlink()

    record = apply(world, plan)

    assert {receipt.state for receipt in record.receipts} == {ReceiptState.ADOPTED}
    assert len(statements(world)) == 1


def test_overrides_and_the_gates_as_they_were_at_the_promotion_are_in_it(world: World) -> None:
    world.configure(ATTACH.replace("new_version", 'gates = ["soak"]\nnew_version'))
    until = MONDAY + timedelta(days=1)
    plan = planned(world, overrides=[OverrideRequest("soak", None, None, "urgent", "ada", until)])

    record = apply(world, plan)

    said = document(world)["predicate"]["urn:relman:promotion/1"]
    assert [(gate["gate"], gate["state"]) for gate in said["gates"]] == [
        ("complete", "passed"),
        ("hold", "passed"),
        ("soak", "absent"),
    ]
    assert said["overrides"] == [
        {
            "by": "ada",
            "code": "no-time",
            "digest": one.digest,
            "gate": "soak",
            "reason": "urgent",
            "until": "2026-07-07T12:00:00Z",
            "variant": one.name,
        }
        for one in plan.variants
    ]
    assert {gate.state for gate in record.gates} == {State.PASSED, State.ABSENT}


def test_without_the_configuration_nothing_is_attached_and_the_statement_can_still_be_had(world: World) -> None:
    world.configure(CONFIG)
    record = apply(world, planned(world))

    with world.walk() as walk:
        said = json.loads(afterwards.promotion_statement(walk, record, "os"))
        with pytest.raises(NotFound, match=f"`{VERSION}` has no variant `kde`"):
            afterwards.promotion_statement(walk, record, "kde")
        with pytest.raises(NotFound, match="was not promoted"):
            afterwards.promotion_statement(walk, replace(record, receipts=()), "os")
    assert (statements(world), said["predicate"]["verificationResult"]) == ([], "PASSED")


def test_a_rollback_is_stated_too(world: World) -> None:
    apply(world, planned(world))
    world.now += timedelta(days=1)
    world.push("os", "testing-20260706", "testing", day=date(2026, 7, 6), n="newer")
    with world.walk() as walk:
        walk.apply(walk.plan(walk.config.stream("stable")), lambda action, receipt: None)
    world.now += timedelta(days=1)
    with world.walk() as walk:
        plan = returning.plan_rollback(walk, walk.config.stream("stable"), by="ada", reason="no sound")
        assert plan is not None
        record, _ = walk.apply(plan, lambda action, receipt: None)
        said = json.loads(afterwards.promotion_statement(walk, record, "os"))["predicate"]["urn:relman:promotion/1"]

    assert plan.rollback is not None
    assert said["rollback"] == {"of": plan.rollback.of, "to": plan.rollback.to, "reason": "no sound", "by": "ada"}
    assert record.receipt(plan.actions[-1].key) is not None
    assert plan.actions[-1].target == "statement:os"
