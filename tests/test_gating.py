"""gate: only `passed` opens, only for the digest at hand; what fails or is not answered stays closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.errors import UsageError
from relman.model.gates import GateResult, Override, OverrideRequest, State
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, Image, Platform, PlatformImage, parse_repository
from relman.model.release import Candidate
from relman.model.streams import GateRule, Place, Stream, TagPattern, Variant
from relman.walk.gating import closed, explain, granted, rules_of, settle

NOON = datetime(2026, 7, 6, 12, tzinfo=UTC)
COMPLETE = GateRule("complete", "complete")
SOAK = GateRule("soak", "soak")


def stream(*gates: GateRule, default: bool = False) -> Stream:
    pattern = TagPattern("stable-{date}")
    return Stream("stable", (TagPattern("stable"),), (pattern,), gates=None if default else gates)


def candidate(name: str) -> Candidate:
    digest = Digest.of(name.encode())
    part = PlatformImage(LINUX_AMD64, Descriptor("application/json", digest, 1), {}, None, 1)
    repository = parse_repository(f"ghcr.io/acme/{name}")
    image = Image(repository.digest(digest), "application/json", (part,))
    return Candidate(Place(Variant(name, name), repository), image, (LINUX_AMD64,))


OS, DX = candidate("os"), candidate("os-dx")


def answer(
    rule: str = "soak",
    of: Candidate = OS,
    state: State = State.PASSED,
    reason: str = "3 d",
    digest: Digest | None = None,
) -> GateResult:
    return GateResult(rule, of.variant.name, digest or of.image.digest, state, reason)


# --------------------------------------------------------------------------------------------- which rules


@pytest.mark.parametrize(
    ("of", "signed", "names"),
    [
        (stream(default=True), False, ["complete", "hold", "no-downgrade"]),
        (stream(default=True), True, ["complete", "hold", "no-downgrade", "signature"]),
        (stream(), True, ["complete", "hold"]),
        (stream(SOAK), True, ["complete", "hold", "soak"]),
        (stream(COMPLETE, SOAK), False, ["complete", "hold", "soak"]),
        (stream(GateRule("command", "smoke", {"argv": []})), False, ["complete", "hold", "smoke"]),
        (replace(stream(), soak=timedelta(days=3)), False, ["complete", "hold", "soak"]),
        (replace(stream(default=True), soak=timedelta(0)), False, ["complete", "hold", "no-downgrade", "soak"]),
        (replace(stream(GateRule("soak", "rest")), soak=timedelta(days=3)), False, ["complete", "hold", "rest"]),
    ],
)
def test_some_gates_always_run_and_the_configuration_chooses_the_others(
    of: Stream, signed: bool, names: list[str]
) -> None:
    assert [rule.name for rule in rules_of(of, signed=signed)] == names


# -------------------------------------------------------------------------------------------- the answers


@pytest.mark.parametrize("state", State)
def test_only_passed_opens(state: State) -> None:
    (result,) = settle([SOAK], [OS], [answer(state=state)], {})

    assert result == answer(state=state)
    assert (closed([result], (), NOON) == ()) == (state is State.PASSED)


def test_an_answer_about_another_digest_is_an_error_that_names_it() -> None:
    yesterday = Digest.of(b"yesterday's build")

    (result,) = settle([SOAK], [OS], [answer(digest=yesterday)], {})

    reason = f"what answers for it spoke about `{yesterday.short}`, and this is `{OS.image.digest.short}`"
    assert result == OS.gate("soak", State.ERROR, reason, code="other-digest", needs="an answer about this digest")


def test_an_answer_for_another_variant_or_rule_does_not_count() -> None:
    others = [
        answer(of=DX),
        answer(rule="Soak"),
        GateResult("soak", "os-dx", OS.image.digest, State.PASSED, "of another variant"),
    ]

    (result,) = settle([SOAK], [OS], others, {})

    reason, needs = "no plugin answers for gates of the type `soak`", "the plugin that does, or another `type`"
    assert result == OS.gate("soak", State.ABSENT, reason, needs=needs)


def test_a_plugin_that_failed_closes_what_it_may_have_answered_and_no_more() -> None:
    results = settle([SOAK, COMPLETE], [OS, DX], [answer()], {"mine": "plugin `mine` failed: boom"})

    assert [(r.gate, r.variant, r.state, r.reason) for r in results] == [
        ("soak", "os", State.PASSED, "3 d"),
        ("soak", "os-dx", State.ERROR, "plugin `mine` failed: boom"),
        ("complete", "os", State.ERROR, "plugin `mine` failed: boom"),
        ("complete", "os-dx", State.ERROR, "plugin `mine` failed: boom"),
    ]


def test_of_several_answers_for_one_rule_each_must_open() -> None:
    both = [answer(reason="amd64"), answer(state=State.FAILED, reason="arm64")]

    assert closed(settle([SOAK], [OS], both, {}), (), NOON) == (both[1],)


states = st.sampled_from(State)


@given(
    st.lists(st.tuples(st.sampled_from(["soak", "complete", "else"]), st.sampled_from([OS, DX]), states), max_size=8)
)
def test_a_release_goes_through_only_where_every_rule_has_passed_for_every_candidate(
    given_answers: list[tuple[str, Candidate, State]],
) -> None:
    answers = [answer(rule, of, state) for rule, of, state in given_answers]

    opens = not closed(settle([SOAK, COMPLETE], [OS, DX], answers, {}), (), NOON)

    def passed(rule: str, of: Candidate) -> bool:
        own = [state for name, candidate, state in given_answers if (name, candidate) == (rule, of)]
        return bool(own) and set(own) == {State.PASSED}

    assert opens == all(passed(rule, of) for rule in ("soak", "complete") for of in (OS, DX))


# ------------------------------------------------------------------------------------------------- overrides


def asks(gate: str, code: str | None = None, variant: str | None = None, by: str = "ada") -> OverrideRequest:
    return OverrideRequest(gate, code, variant, "an urgent fix", by, NOON + timedelta(hours=2))


def test_an_override_is_bound_to_gate_code_variant_and_digest() -> None:
    shut = settle([SOAK, COMPLETE], [OS, DX], [answer(state=State.PENDING)], {})

    by_hand, unused = granted([asks("soak")], shut, NOON)

    until = NOON + timedelta(hours=2)
    assert (by_hand, unused) == (
        (
            Override("soak", "pending", "os", OS.image.digest, "an urgent fix", "ada", until),
            Override("soak", "absent", "os-dx", DX.image.digest, "an urgent fix", "ada", until),
        ),
        (),
    )


@pytest.mark.parametrize(
    ("request_", "variants"),
    [
        (asks("soak"), ["os", "os-dx"]),
        (asks("soak", "pending"), ["os"]),
        (asks("soak", None, "os-dx"), ["os-dx"]),
        (asks("soak", "absent", "os"), []),
    ],
)
def test_an_override_asks_for_no_more_than_it_names(request_: OverrideRequest, variants: list[str]) -> None:
    shut = settle([SOAK], [OS, DX], [answer(state=State.PENDING)], {})

    by_hand, unused = granted([request_], shut, NOON)

    assert [one.variant for one in by_hand] == variants
    assert bool(unused) == (not variants)


@pytest.mark.parametrize(
    "changed",
    [
        {"gate": "other"},
        {"variant": "os-dx"},
        {"digest": Digest.of(b"rebuilt")},
        {"state": State.FAILED},
        {"code": "too-young"},
    ],
)
def test_an_override_lets_nothing_else_pass(changed: dict[str, Any]) -> None:
    pending = answer(state=State.PENDING)
    (by_hand,), _ = granted([asks("soak")], [pending], NOON)
    other = replace(pending, **({"code": ""} | changed))

    assert closed([pending], [by_hand], NOON) == ()
    assert closed([other], [by_hand], NOON) == (other,)


@pytest.mark.parametrize("until", [NOON, NOON - timedelta(seconds=1)])
def test_an_override_that_is_over_before_it_began_is_refused(until: datetime) -> None:
    with pytest.raises(UsageError, match="which is past"):
        granted([replace(asks("soak"), until=until)], settle([SOAK], [OS], [], {}), NOON)


def test_an_override_of_a_gate_that_is_not_asked_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no gate `smoke` to override"):
        granted([asks("smoke")], settle([SOAK], [OS], [], {}), NOON)


@pytest.mark.parametrize(("may", "by"), [((), "ada"), (("grace",), "ada")])
def test_a_gate_may_say_who_overrides_it(may: tuple[str, ...], by: str) -> None:
    rule = replace(SOAK, may_override=may)

    with pytest.raises(UsageError, match="`ada` may not override the gate `soak`"):
        granted([asks("soak", by=by)], settle([rule], [OS], [], {}), NOON)


def test_who_may_not_override_does_not_get_through_with_a_plan_edited_by_hand() -> None:
    shut = settle([SOAK], [OS], [], {})
    by_hand, _ = granted([asks("soak")], shut, NOON)
    stricter = settle([replace(SOAK, may_override=("grace",))], [OS], [], {})

    assert closed(stricter, by_hand, NOON) == stricter


def test_an_override_opens_its_own_gate_until_it_expires() -> None:
    shut = settle([SOAK, COMPLETE], [OS], [], {})
    by_hand, _ = granted([asks("soak")], shut, NOON)

    def names(now: datetime) -> list[str]:
        return [result.gate for result in closed(shut, by_hand, now)]

    assert names(NOON) == ["complete"]
    assert names(NOON + timedelta(hours=1, minutes=59, seconds=59)) == ["complete"]
    assert names(NOON + timedelta(hours=2)) == ["soak", "complete"]


# ------------------------------------------------------------------------------------------------- in words


def test_closed_gates_that_say_the_same_are_explained_once() -> None:
    results = [
        answer(of=OS, state=State.PENDING, reason="2 d left"),
        answer(of=DX, state=State.PENDING, reason="2 d left"),
        answer("complete", OS, State.FAILED, "no arm64"),
    ]

    assert explain(results) == (
        "gate `soak` is pending for `os`, `os-dx`: 2 d left; gate `complete` is failed for `os`: no arm64"
    )


# --------------------------------------------------------------------------------------------- platforms

ARM = Platform.parse("linux/arm64")


def both(name: str) -> Candidate:
    """A candidate for two platforms."""
    made = candidate(name)
    parts = tuple(replace(made.image.platforms[0], platform=platform) for platform in (LINUX_AMD64, ARM))
    return replace(made, image=replace(made.image, platforms=parts), platforms=(LINUX_AMD64, ARM))


def test_a_platform_that_nobody_spoke_of_stays_closed() -> None:
    image = both("os")
    half = replace(answer(of=image), platform=LINUX_AMD64)

    results = settle([SOAK], [image], [half], {})

    why = "what answers for it spoke about linux/amd64 alone"
    left = GateResult(
        "soak",
        "os",
        image.image.digest,
        State.ABSENT,
        why,
        platform=ARM,
        code="other-platform",
        needs="an answer about this platform",
    )
    assert results == (half, left)


def test_an_answer_for_the_image_or_for_each_of_its_platforms_is_whole() -> None:
    image = both("os")
    halves = [replace(answer(of=image), platform=platform) for platform in image.platforms]

    assert settle([SOAK], [image], halves, {}) == tuple(halves)
    assert settle([SOAK], [image], [answer(of=image), halves[0]], {}) == (answer(of=image), halves[0])


def test_a_refusal_names_the_platforms_that_it_is_about() -> None:
    image = both("os")
    closed_on = [replace(answer(of=image, state=State.FAILED, reason="no"), platform=one) for one in image.platforms]
    other = answer(of=DX, state=State.FAILED, reason="no")

    assert explain([*closed_on, other]) == "gate `soak` is failed for `os` (linux/amd64, linux/arm64), `os-dx`: no"


def test_who_does_not_answer_is_named_by_what_the_gate_is_and_each_refusal_says_what_is_needed() -> None:
    rule = GateRule("chekcs", "ci")

    (absent,) = settle([rule], [OS], [], {})
    (error,) = settle([rule], [OS], [], {"x": "plugin `x` failed"})
    (other,) = settle([rule], [OS], [answer("ci", digest=DX.image.digest)], {})

    assert absent.reason == "no plugin answers for gates of the type `chekcs`"
    assert [one.needs for one in (absent, error, other)] == [
        "the plugin that does, or another `type`",
        "plugins that do not fail: one of these may have had the answer",
        "an answer about this digest",
    ]


def test_an_override_of_one_platforms_answer_leaves_that_of_another() -> None:
    amd = replace(answer(of=both("os"), state=State.FAILED, reason="no"), platform=LINUX_AMD64)
    arm = replace(amd, platform=ARM)
    request = OverrideRequest("soak", None, None, "urgent", "ada", NOON + timedelta(hours=1))

    by_hand, _ = granted([request], [amd], NOON)

    assert [one.platform for one in by_hand] == [LINUX_AMD64]
    assert closed([amd, arm], by_hand, NOON) == (arm,)
