"""`relman.plan/1`: a plan in a file that anybody may have written. All values are composed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.documents.plan import ActionDocument, plan_bytes, plan_digest, plan_from_bytes
from relman.errors import Malformed
from relman.model.changelog import Accounting, Changelog, VariantSummary
from relman.model.gates import Override
from relman.model.oci import LINUX_AMD64, Digest, Platform, parse_reference
from relman.model.plan import Action, GateResult, Plan, PlannedVariant, Stage, State, action_key

A = Digest.of(b"a")
B = Digest.of(b"b")
AMD64 = Platform("linux", "amd64")
ID = "0123456789abcdef"

CHANGELOG = Changelog(
    project="Bluefin",
    stream="stable",
    version="stable-20250608",
    previous="stable-20250525",
    title="stable-20250608: Bluefin",
    variants=(VariantSummary("bluefin", AMD64, A, B, "c0ffee", exact=True, packages=1828),),
    majors=(),
    groups=(),
    commits=(),
    security=None,
    sections=(),
    keys_added=(),
    keys_removed=(),
    accounting=Accounting(0, 0, 0, 0, 0, 0),
)


def action(
    target: str, *, kind: str = "tag", stage: Stage = Stage.PROMOTE, needs: tuple[str, ...] = (), **more: Any
) -> Action:
    return Action(kind, stage, action_key(ID, target), target, tuple(action_key(ID, need) for need in needs), **more)


PLAN = Plan(
    id=ID,
    project="Bluefin",
    stream="stable",
    version="stable-20250608",
    previous="stable-20250525",
    previous_id=None,
    created=datetime(2025, 6, 8, 12, tzinfo=UTC),
    config=B,
    changed=True,
    variants=(
        PlannedVariant(
            "bluefin",
            parse_reference("ghcr.io/ublue-os/bluefin"),
            A,
            (AMD64,),
            "c0ffee",
            B,
            parse_reference("ghcr.io/ublue-os/bluefin:testing"),
            {"stable": B, "42": None},
        ),
    ),
    gates=(GateResult("complete", "bluefin", A, State.PASSED, "all there", {"platforms": ["linux/amd64"]}),),
    actions=(
        action("tag:bluefin:stable", payload={"text": "🐧 | `{`", "digest": A}),
        action("dated:bluefin", stage=Stage.SEAL, needs=("tag:bluefin:stable",)),
        action("discourse:forum", kind="discourse", stage=Stage.ANNOUNCE, channel="forum", required=False),
    ),
    assumed=("the dated tag `stable-20250525` stands for a record",),
    changelog=CHANGELOG,
    notes="# Bluefin\n\n| a | b |\n",
    overrides=(
        Override("soak", "pending", "bluefin", A, "urgent", "ada", datetime(2025, 6, 9, tzinfo=UTC)),
        Override("sbom", "no-sbom", "bluefin", A, "urgent", "ada", datetime(2025, 6, 9, tzinfo=UTC), LINUX_AMD64),
    ),
)

texts = st.text(max_size=20)
targets = st.lists(st.text(min_size=1, max_size=10), unique=True, max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    actions: list[Action] = []
    for target in draw(targets):
        needs = draw(st.lists(st.sampled_from([a.target for a in actions]), unique=True)) if actions else []
        actions.append(
            action(
                target,
                kind=draw(st.text(min_size=1, max_size=5)),
                stage=draw(st.sampled_from(Stage)),
                needs=tuple(needs),
                channel=draw(st.none() | texts),
                required=draw(st.booleans()),
                payload=draw(st.dictionaries(texts, values, max_size=3)),
            )
        )
    return replace(
        PLAN,
        project=draw(texts),
        actions=tuple(actions),
        notes=draw(texts),
        assumed=tuple(draw(st.lists(texts, max_size=2))),
        changed=draw(st.booleans()),
        previous=draw(st.none() | texts),
        created=draw(st.datetimes(timezones=st.just(UTC))),
        overrides=tuple(replace(PLAN.overrides[0], reason=reason) for reason in draw(st.lists(texts, max_size=2))),
    )


@given(plans())
def test_a_plan_is_read_back_as_it_was_saved(plan: Plan) -> None:
    content = plan_bytes(plan)

    assert plan_from_bytes(content) == plan
    assert plan_bytes(plan_from_bytes(content)) == content


def test_a_saved_plan_reads_as_json_for_people_do() -> None:
    content = plan_bytes(PLAN)
    document = json.loads(content)

    assert list(document) == [
        "schema", "id", "project", "stream", "version", "previous", "previous_id", "created", "config", "changed",
        "variants", "gates", "overrides", "actions", "assumed", "changelog", "notes",
    ]  # fmt: skip
    assert document["variants"][0]["reference"] == "ghcr.io/ublue-os/bluefin"
    assert document["variants"][0]["source"] == "ghcr.io/ublue-os/bluefin:testing"
    assert list(document["variants"][0]["tags"].items()) == [("stable", B), ("42", None)]
    assert document["actions"][1] == {
        "kind": "tag",
        "stage": "seal",
        "key": action_key(ID, "dated:bluefin"),
        "target": "dated:bluefin",
        "needs": [action_key(ID, "tag:bluefin:stable")],
        "channel": None,
        "required": True,
        "payload": {},
    }
    assert document["changelog"]["schema"] == "relman.changelog/1"
    assert "🐧".encode() in content
    assert content.endswith(b"\n}\n")
    assert plan_digest(content) == Digest.of(content)


def test_equal_plans_are_saved_as_equal_bytes() -> None:
    first, *others = PLAN.actions
    same = replace(PLAN, actions=(replace(first, payload=dict(reversed(list(first.payload.items())))), *others))

    assert same == PLAN
    assert plan_bytes(same) == plan_bytes(PLAN)


def test_every_stage_has_its_name_in_the_document() -> None:
    annotation = get_type_hints(ActionDocument)["stage"]

    assert set(get_args(annotation)) == {stage.name.lower() for stage in Stage}


def _drop_first_action(plan: Any) -> None:
    del plan["actions"][0]


def _another_digest(plan: Any) -> None:
    plan["variants"][0]["digest"] = B


def _another_id(plan: Any) -> None:
    plan["id"] = "f" * 16


def _another_target(plan: Any) -> None:
    plan["actions"][0]["target"] = "tag:bluefin:latest"


def _twice(plan: Any) -> None:
    plan["actions"].append(plan["actions"][0])


def _circle(plan: Any) -> None:
    plan["actions"][0]["needs"] = [plan["actions"][1]["key"]]


def _variant_twice(plan: Any) -> None:
    plan["variants"].append(plan["variants"][0])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_drop_first_action, "`dated:bluefin` needs an action that no plugin plans"),
        (_another_digest, f"gate `complete` answered for `{A.short}`, and `bluefin` is `{B.short}`"),
        (_another_id, "which does not derive from release `ffffffffffffffff`"),
        (_another_target, "the key of `tag:bluefin:latest` is"),
        (_twice, "`tag:bluefin:stable` is planned twice"),
        (_circle, "waits for itself"),
        (_variant_twice, "a variant stands in it twice"),
    ],
)
def test_a_plan_edited_by_hand_that_does_not_add_up_is_malformed(edit: Callable[[Any], None], message: str) -> None:
    document = json.loads(plan_bytes(PLAN))
    edit(document)

    with pytest.raises(Malformed) as caught:
        plan_from_bytes(json.dumps(document).encode(), what="`plan.json`")

    assert caught.value.message.startswith("`plan.json` does not add up: ")
    assert message in caught.value.message
    assert caught.value.hint == "make it again with `relman plan`"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("actions", 0, "stage"),
            "Promote",
            "`actions[0].stage` has a bad value: a stage is one of `prepare`, `promote`",
        ),
        (("actions", 0, "stage"), 20, "`actions[0].stage` has a bad value: a stage is one of"),
        (("actions", 0, "required"), "yes", "`actions[0].required` has a bad value: input should be a valid boolean"),
        (("actions", 0, "payload"), [], "`actions[0].payload` has a bad value: input should be a valid dictionary"),
        (("actions", 0, "needs"), "k", "`actions[0].needs` has a bad value: input should be a valid list"),
        (("variants",), [], "`variants` has a bad value: list should have at least 1 item"),
        (("variants", 0, "tags", "stable"), "x", "`variants[0].tags.stable` has a bad value: `x` is not a digest"),
        (("variants", 0, "reference"), "bluefin", "`variants[0].reference` has a bad value: `bluefin` does not begin"),
        (("config",), None, "`config` has a bad value: input should be a valid string"),
        (("changed",), 1, "`changed` has a bad value: input should be a valid boolean"),
        (("gates", 0, "state"), "fine", "`gates[0].state` has a bad value: it is one of `passed`, `failed`"),
    ],
)
def test_a_bad_value_is_refused_and_its_key_named(path: tuple[str | int, ...], value: object, message: str) -> None:
    document = json.loads(plan_bytes(PLAN))
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value

    with pytest.raises(Malformed) as caught:
        plan_from_bytes(json.dumps(document).encode(), what="`plan.json`")

    assert caught.value.message.startswith(f"`plan.json` is not a `relman.plan/1`: {message}")


def test_every_key_of_a_plan_is_needed() -> None:
    whole = json.loads(plan_bytes(PLAN))
    for key in list(whole)[1:]:
        document = {name: value for name, value in whole.items() if name != key}
        with pytest.raises(Malformed, match=f"`{key}` is missing"):
            plan_from_bytes(json.dumps(document).encode())


def test_a_changelog_that_does_not_add_up_spoils_the_plan() -> None:
    document = json.loads(plan_bytes(PLAN))
    document["changelog"]["accounting"]["commits"]["in_range"] = 7

    with pytest.raises(Malformed, match="7 commits are in the range"):
        plan_from_bytes(json.dumps(document).encode())


def test_a_key_that_stands_twice_is_refused_since_readers_disagree_on_which_counts() -> None:
    content = plan_bytes(PLAN).replace(b' "changed": true,', b' "changed": true,\n "changed": false,')

    with pytest.raises(Malformed, match="the key `changed` stands there twice"):
        plan_from_bytes(content)


def test_a_payload_that_nests_without_measure_is_refused() -> None:
    deep = b"[" * 80 + b"]" * 80
    content = plan_bytes(PLAN).replace(b'"payload": {}', b'"payload": {"a": ' + deep + b"}")

    with pytest.raises(Malformed, match=r"`actions\[1\].payload` has a bad value: nests deeper than 64 levels"):
        plan_from_bytes(content)


def test_a_plan_larger_than_its_bound_is_refused() -> None:
    with pytest.raises(Malformed, match="larger than 65536 KiB"):
        plan_from_bytes(b" " * (64 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, actions=(replace(PLAN.actions[0], key="mine"),)),
        replace(PLAN, actions=(replace(PLAN.actions[0], payload={"when": datetime(2025, 6, 8, tzinfo=UTC)}),)),
        replace(PLAN, notes="\ud800"),
        replace(PLAN, actions=PLAN.actions[1:]),
    ],
)
def test_a_plan_that_could_not_be_read_back_is_not_saved(plan: Plan) -> None:
    with pytest.raises(Malformed, match="the plan of `stable-20250608` cannot be saved: "):
        plan_bytes(plan)


def test_a_plan_in_oci_layouts_is_read_back(tmp_path: Any) -> None:
    reference = parse_reference(f"oci:{tmp_path}/images/bluefin")
    plan = replace(
        PLAN, variants=(replace(PLAN.variants[0], reference=reference, source=reference.repository.tag("testing")),)
    )

    assert plan_from_bytes(plan_bytes(plan)) == plan
