"""A release with `[signature]`, from its plan to its tags: what is unsigned where the stream lives gets no tag."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from relman.documents.plan import plan_bytes, plan_from_bytes
from relman.errors import ConfigError, GateClosed
from relman.model.gates import OverrideRequest
from relman.model.oci import parse_repository
from relman.model.plan import Plan, Stage, State
from relman.model.record import ReceiptState, Record, RecordState
from relman.testing import MemoryRegistry
from relman.walk.acting import Outcome
from relman_plugins.gates.signature.attached import tag_of
from tests.signing import Signer
from tests.walking import MONDAY, World

CONFIG = """\
[changelog]
commits = { required = false }

[[variants]]
name = "os"

[signature]
keys = ["acme.pub"]

[streams.testing]
tags = ["testing"]
versions = ["testing-{major}.{date}[.{point}]"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{today}[.{point}]"
"""
ELSEWHERE = CONFIG + 'prefix = "ghcr.io/acme/released"\n'
ALICE = Signer()


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path, MemoryRegistry())
    (tmp_path / "acme.pub").write_text(ALICE.pem)
    found.configure(CONFIG)
    found.push("os", "testing-44.20260705", "testing", day=date(2026, 7, 5))
    return found


def planned(world: World, *, by_hand: bool = False) -> Plan:
    """The plan, as it comes out of its file."""
    overrides = (
        (OverrideRequest("signature", None, None, "urgent", "ada", MONDAY + timedelta(hours=2)),) if by_hand else ()
    )
    with world.walk() as walk:
        return plan_from_bytes(plan_bytes(walk.plan(walk.config.stream("stable"), overrides=overrides)))


def apply(world: World, plan: Plan) -> tuple[Record, Outcome | None]:
    with world.walk() as walk:
        return walk.apply(plan, lambda action, receipt: None)


def sign(world: World) -> None:
    digest = world.holds("os:testing")
    assert digest
    ALICE.sign(world.registry, parse_repository(f"{world.prefix}/os"), digest)


def states(plan: Plan) -> dict[str, State]:
    return {gate.gate: gate.state for gate in plan.gates}


def test_what_is_signed_is_verified_again_before_its_tags_move(world: World) -> None:
    sign(world)
    plan = planned(world)

    assert states(plan)["signature"] is State.PASSED
    assert (plan.actions[0].target, plan.actions[0].stage) == ("verify:os", Stage.PREPARE)
    record, outcome = apply(world, plan)
    assert outcome is not None
    assert record.state is RecordState.FINISHED
    assert world.holds("os:stable") == world.holds("os:stable-20260706") == world.holds("os:testing")
    (gate,) = [gate for gate in record.gates if gate.gate == "signature"]
    assert "SHA256:" in str(gate.evidence)


def test_what_is_unsigned_is_closed_and_writes_nothing(world: World) -> None:
    plan = planned(world)
    writes = len(world.memory.writes)

    with pytest.raises(GateClosed, match="gate `signature` is failed for `os`"):
        apply(world, plan)
    assert len(world.memory.writes) == writes
    assert world.ledger.records() == ()


def test_a_gate_signature_without_its_table_says_that_this_is_what_is_missing(world: World) -> None:
    head, _, rest = CONFIG.partition("[signature]")
    world.configure(head + rest.partition("\n\n")[2] + 'gates = ["signature"]\n')

    (gate,) = planned(world).closed

    assert (gate.gate, gate.state, gate.code) == ("signature", State.ABSENT, "no-rule")
    assert gate.reason == "there is no table [signature], which says who must have signed"
    assert gate.needs == "[signature] in relman.toml"


def test_no_override_gets_an_unsigned_image_a_tag(world: World) -> None:
    plan = planned(world, by_hand=True)
    writes = len(world.memory.writes)

    record, outcome = apply(world, plan)

    assert outcome is not None
    assert isinstance(outcome.stopped, GateClosed)
    assert [(r.action, r.state) for r in outcome.receipts] == [
        ("verify:os", ReceiptState.FAILED),
        ("tag:os:stable", ReceiptState.SKIPPED),
        ("tag:os:stable-20260706", ReceiptState.SKIPPED),
    ]
    assert record.state is RecordState.INTENDED
    assert len(world.memory.writes) == writes
    sign(world)
    record, _ = apply(world, plan)
    assert record.state is RecordState.FINISHED
    assert world.holds("os:stable") == world.holds("os:testing")


def test_a_copy_is_verified_where_it_arrived_after_its_signatures_and_before_its_tags(world: World) -> None:
    world.configure(ELSEWHERE)
    sign(world)
    plan = planned(world)

    assert [action.target for action in plan.actions] == [
        "copy:os",
        "evidence:os",
        "verify:os",
        "tag:os:stable",
        "tag:os:stable-20260706",
    ]
    record, _ = apply(world, plan)
    assert record.state is RecordState.FINISHED
    (receipt,) = [receipt for receipt in record.receipts if receipt.action == "verify:os"]
    assert receipt.remote_id == f"ghcr.io/acme/released/os@{world.holds('os:testing')}"
    digest = world.holds("released/os:stable")
    assert digest
    assert world.holds(f"released/os:{tag_of(digest)}") is not None


def test_with_a_policy_the_name_is_that_of_the_stream(world: World) -> None:
    text = ELSEWHERE.replace('keys = ["acme.pub"]', 'policy = "etc/containers/policy.json"')
    world.configure(text)
    folder = world.folder / "etc/containers"
    (folder / "registries.d").mkdir(parents=True)
    (folder / "registries.d/acme.yaml").write_text("docker:\n  ghcr.io:\n    use-sigstore-attachments: true\n")
    (world.folder / "etc/acme.pub").write_text(ALICE.pem)
    policy = '{"default": [{"type": "sigstoreSigned", "keyPath": "/etc/acme.pub", "signedIdentity": {"type": "%s"}}]}'
    (folder / "policy.json").write_text(policy % "matchRepository")
    sign(world)
    copied = planned(world)
    (folder / "policy.json").write_text(
        policy % 'exactRepository", "dockerRepository": "ghcr.io/acme/os'  # the build's, under which it was signed
    )
    named = planned(world)

    assert states(copied)["signature"] is State.FAILED
    assert "is for the name `ghcr.io/acme/os`, which matchRepository does not accept" in copied.gates[-1].reason
    assert states(named)["signature"] is State.PASSED
    assert apply(world, named)[0].state is RecordState.FINISHED


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("", "give one of `policy"),
        ('keys = ["a.pub"]\npolicy = "p.json"', "give one of `policy"),
        ('identity = "ci@acme.example"', "`identity` and `issuer` go together"),
        ('keys = ["a.pub"]\nregistries = "registries.d"', "`registries` is what hosts read beside a policy"),
    ],
)
def test_a_table_that_asks_for_nothing_or_for_too_much_is_a_fault(world: World, table: str, fault: str) -> None:
    world.configure(CONFIG.replace('keys = ["acme.pub"]', table))

    with pytest.raises(ConfigError) as caught, world.walk():
        pass
    assert fault in "\n".join(caught.value.problems)
