"""Every state that each built-in gate can answer with, under every code, and what must hold of all of them.

The clock is the tests'. What opens is `passed` alone; whatever is closed says what it needs, for which digest, in data
that a record can keep; and where it names a time, that lies ahead.
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from relman.model.contents import Contents
from relman.model.diff import ChangeKind
from relman.model.gates import GateResult, State
from relman.model.holds import Hold
from relman.model.observed import Observation, Observations, TagKind
from relman.model.oci import Digest
from relman.model.record import Record, RecordedVariant, RecordState, Withdrawal
from relman.plugin import GatesContext
from relman.testing import MemoryRegistry
from relman.walk.gating import closed, settle
from relman_plugins.gates import (
    complete,
    consistent,
    freeze,
    hold,
    installed,
    known_issues,
    no_downgrade,
    packages,
    sbom,
    size,
    soak,
)
from tests.gates import AMD, ARM, NOON, STABLE, after, candidate, change, contents, context, diff, image, rule
from tests.test_commits import Checkout
from tests.test_gate_sbom import OTHER, Unreachable, attached, pushed, statement
from tests.test_gate_sbom import WHOLE as LIST
from tests.test_handwritten import put
from tests.walking import sbom as list_of

DAY = timedelta(days=1)
_FOLDER, _numbers = TemporaryDirectory(prefix="relman-gates-"), itertools.count()


@dataclass(frozen=True)
class Row:
    """One line of the table: which gate, what it is asked, and what it answers.

    ``surely``: that it opens at the time that it names, where nothing comes between.
    """

    gate: ModuleType
    state: State
    code: str
    asked: Callable[[], GatesContext]
    surely: bool = True


ROWS: list[Row] = []


def say(gate: ModuleType, state: State, code: str, asked: Callable[[], GatesContext]) -> None:
    ROWS.append(Row(gate, state, code, asked))


# ---------------------------------------------------------------------------------------------------- complete

say(
    complete,
    State.PASSED,
    "",
    lambda: context(candidate(image("1", (AMD, ARM)), required=(AMD, ARM)), rules=[rule("complete")]),
)
say(
    complete,
    State.FAILED,
    "platform-missing",
    lambda: context(candidate("1", required=(AMD, ARM)), rules=[rule("complete")]),
)

# -------------------------------------------------------------------------------------------------------- hold

HOLD = [rule("hold")]
say(hold, State.PASSED, "", lambda: context(candidate("1"), rules=HOLD))
say(
    hold,
    State.FAILED,
    "held",
    lambda: context(candidate("1"), rules=HOLD, holds=(Hold("stable", None, "no", "ada", NOON),)),
)
say(hold, State.FAILED, "yanked", lambda: context(candidate("1"), rules=HOLD, records=(yanked(),)))


def yanked() -> Record:
    held = image("1")
    variant = RecordedVariant("os", str(held.reference), held.digest, None, (AMD,), None)
    return Record(
        id="1" * 16,
        project="X",
        stream="stable",
        version="stable-20260705",
        previous=None,
        state=RecordState.YANKED,
        created=NOON,
        finished=NOON,
        plan=Digest.of(b"a plan"),
        variants=(variant,),
        withdrawn=Withdrawal("eats files", "ada", NOON),
    )


# -------------------------------------------------------------------------------------------------------- soak


def soaking(days: float, *, seen: bool = True, **more: Any) -> GatesContext:
    held = candidate("1")
    entry = Observation(NOON - days * DAY, "testing", "os", TagKind.STREAM, "testing", held.image.digest)
    return context(
        held, rules=[rule("soak", **more.pop("table", {"time": "3d"}))], observed=Observations((entry,) * seen), **more
    )


say(soak, State.PASSED, "", lambda: soaking(3))
say(soak, State.PENDING, "too-young", lambda: soaking(3 - 1 / 86400))
ROWS.append(Row(soak, State.PENDING, "too-young", lambda: soaking(-3), surely=False))  # a clock went back
say(soak, State.ABSENT, "never-observed", lambda: soaking(3, seen=False))
say(soak, State.ABSENT, "no-time", lambda: soaking(3, table={}))
say(soak, State.ABSENT, "no-source", lambda: soaking(3, stream=replace(STABLE, source=None)))

# -------------------------------------------------------------------------------------------------------- sbom


def with_sboms(*contents: bytes, media_type: str = "application/json", **more: Any) -> GatesContext:
    registry = MemoryRegistry()
    held = pushed(registry, "linux/amd64")
    for content in contents:
        attached(content, media_type=media_type)(registry, held.image.digest)
    reader = Unreachable(registry) if more.pop("gone", False) else registry
    return context(held, rules=[rule("sbom")], registry=reader, **more)


say(sbom, State.PASSED, "", lambda: with_sboms(LIST))
say(sbom, State.FAILED, "no-sbom", with_sboms)
say(sbom, State.FAILED, "empty-sbom", lambda: with_sboms(b""))
say(sbom, State.FAILED, "broken-sbom", lambda: with_sboms(b"{"))
say(sbom, State.FAILED, "short-sbom", lambda: with_sboms(list_of({"bash": "5-1"})))
say(
    sbom,
    State.FAILED,
    "foreign-sbom",
    lambda: with_sboms(statement(LIST, OTHER), media_type="application/vnd.in-toto+json"),
)
say(sbom, State.ERROR, "error", lambda: with_sboms(LIST, gone=True))
say(sbom, State.SKIPPED, "not-read", lambda: with_sboms(LIST, read=False))

# ------------------------------------------------------------------------------------------------ no-downgrade


def stepping(
    made: Any = NOON, version: str = "44.2", *gone: str, before: Any = NOON, there: bool = True
) -> GatesContext:
    earlier = after(image("0", created=before, version="44.1"), there=there)
    changes = [change(ChangeKind.DOWNGRADED, name) for name in gone]
    held = candidate(image("1", created=made, version=version), follows=earlier)
    return context(held, rules=[rule("no-downgrade")], diffs=(diff("os", *changes),))


say(no_downgrade, State.PASSED, "", stepping)
say(no_downgrade, State.FAILED, "older-build", lambda: stepping(NOON - DAY))
say(no_downgrade, State.FAILED, "older-version", lambda: stepping(NOON, "44.0"))
say(no_downgrade, State.FAILED, "package-goes-back", lambda: stepping(NOON, "44.2", "kernel"))
say(no_downgrade, State.ABSENT, "no-build-time", lambda: stepping(None))
say(no_downgrade, State.ABSENT, "predecessor-gone", lambda: stepping(there=False))

# ---------------------------------------------------------------------------------------------------- packages


def listing(
    held: Contents | None, *gone: str, table: dict[str, Any], compared: bool = True, **more: Any
) -> GatesContext:
    one = candidate("1", follows=after(image("0")))
    known = {("os", AMD): held} if held else {}
    diffs = (diff("os", *(change(ChangeKind.REMOVED, name) for name in gone)),) * compared
    return context(one, rules=[rule("packages", **table)], contents=known, diffs=diffs, **more)


KERNEL = contents("kernel 6.14-1")
say(packages, State.PASSED, "", lambda: listing(KERNEL, table={"required": ["kernel"]}))
say(packages, State.FAILED, "required-missing", lambda: listing(KERNEL, table={"required": ["vim"]}))
say(packages, State.FAILED, "required-version", lambda: listing(KERNEL, table={"required": ["kernel > 7"]}))
say(packages, State.FAILED, "forbidden-present", lambda: listing(KERNEL, table={"forbidden": ["kernel"]}))
say(packages, State.FAILED, "protected-removed", lambda: listing(KERNEL, "vim", table={"protected": ["vim"]}))
say(packages, State.ERROR, "not-read", lambda: listing(None, table={"required": ["kernel"]}))
say(packages, State.ERROR, "not-read", lambda: listing(KERNEL, table={"protected": ["vim"]}, compared=False))
say(
    packages,
    State.ERROR,
    "cannot-tell",
    lambda: listing(Contents(KERNEL.packages, "label", frozenset()), table={"required": ["kernel > 6"]}),
)
say(
    packages,
    State.ERROR,
    "unknown-trait",
    lambda: listing(KERNEL, table={"required": [{"name": "x", "traits": ["y"]}]}),
)
say(packages, State.SKIPPED, "not-read", lambda: listing(None, table={"required": ["kernel"]}, read=False))

# -------------------------------------------------------------------------------------------------- consistent


def beside(compare: str | None, held: Contents | None = KERNEL, *, read: bool = True, **other: Any) -> GatesContext:
    same: dict[str, Any] = {"revision": "a", "version": "1", "base": "sha256:b", "created": NOON}
    platforms = other.pop("platforms", (AMD,))
    one, two = candidate(image("1", **same)), candidate(image("2", platforms, **same | other), name="dx")
    known = {("os", AMD): KERNEL} | ({("dx", platform): held for platform in platforms} if held else {})
    table: dict[str, Any] = {"compare": [compare]} if compare else {"compare": [], "packages": ["kernel"]}
    return context(one, two, rules=[rule("consistent", **table)], contents=known if read else {}, read=read)


OTHER_KERNEL, NO_KERNEL = contents("kernel 6.15-1"), contents("vim 9-1")
say(consistent, State.PASSED, "", lambda: beside("revision"))
say(consistent, State.FAILED, "kernel-differs", lambda: beside("kernel", OTHER_KERNEL))
say(consistent, State.FAILED, "packages-differ", lambda: beside(None, OTHER_KERNEL))
say(consistent, State.FAILED, "base-differs", lambda: beside("base", base="sha256:c"))
say(consistent, State.FAILED, "revision-differs", lambda: beside("revision", revision="b"))
say(consistent, State.FAILED, "version-differs", lambda: beside("version", version="2"))
say(consistent, State.FAILED, "created-apart", lambda: beside("created", created=NOON + DAY))
say(consistent, State.FAILED, "platforms-differ", lambda: beside("platforms", platforms=(AMD, ARM)))
say(consistent, State.ABSENT, "no-base", lambda: beside("base", base=None))
say(consistent, State.ABSENT, "no-revision", lambda: beside("revision", revision=None))
say(consistent, State.ABSENT, "no-version", lambda: beside("version", version=None))
say(consistent, State.ABSENT, "no-build-time", lambda: beside("created", created=None))
say(consistent, State.ABSENT, "no-kernel", lambda: beside("kernel", NO_KERNEL))
say(consistent, State.ABSENT, "no-list", lambda: beside("kernel", None))
say(consistent, State.SKIPPED, "not-read", lambda: beside("kernel", read=False))


say(
    consistent,
    State.ABSENT,
    "no-package",
    lambda: replace(beside(None), rules=(rule("consistent", compare=[], packages=["mesa-*"]),)),
)

# ------------------------------------------------------------------------------------------------ known-issues


def issues(
    dropped: bool, folder: str | None = "issues", *, revision: str | None = "", checkout: bool = True
) -> GatesContext:
    repository = Checkout(Path(_FOLDER.name) / str(next(_numbers)))
    repository.commit("root")
    before = put(repository, issues__sleep='+++\ntitle = "No sleep"\n+++\n')
    later = put(repository, **({"issues__sleep": None} if dropped else {"other__file": "x"}))
    built = image("1", revision=later if revision == "" else revision)
    held = candidate(built, follows=after(image("0", revision=before)))
    path = repository.folder if checkout else None
    return context(held, rules=[rule("known-issues")], checkout=path, known_issues=folder)


say(known_issues, State.PASSED, "", lambda: issues(False))
say(known_issues, State.FAILED, "issue-dropped", lambda: issues(True))
say(known_issues, State.ABSENT, "no-folder", lambda: issues(False, None))
say(known_issues, State.ERROR, "no-revision", lambda: issues(False, revision=None))
say(known_issues, State.ERROR, "no-checkout", lambda: issues(False, checkout=False))
say(known_issues, State.ERROR, "unreadable", lambda: issues(False, revision="0" * 40))

# -------------------------------------------------------------------------------------------------------- size


def growing(*, there: bool = True, layers: dict[str, int] | None = None, **limits: Any) -> GatesContext:
    earlier = after(image("0", layers={"a": 100}), there=there)
    held = candidate(image("1", layers={"b": 110} if layers is None else layers), follows=earlier)
    return context(held, rules=[rule("size", **limits)])


say(size, State.PASSED, "", lambda: growing(image=110, grow="10%", download=110))
say(size, State.FAILED, "too-large", lambda: growing(image=109))
say(size, State.FAILED, "grows", lambda: growing(grow="9.9%"))
say(size, State.FAILED, "download-too-large", lambda: growing(download=109))
say(size, State.ABSENT, "predecessor-gone", lambda: growing(grow=5, there=False))
say(size, State.ABSENT, "no-size", lambda: growing(image=5, layers={}))

# ------------------------------------------------------------------------------------------------------ freeze

FREEZE = [rule("freeze", windows=[{"days": ["monday"], "from": "12:00", "to": "13:00"}])]  # NOON is a Monday's
say(freeze, State.PENDING, "frozen", lambda: context(candidate("1"), rules=FREEZE))
say(
    freeze,
    State.PENDING,
    "frozen",
    lambda: context(candidate("1"), rules=FREEZE, now=NOON + timedelta(minutes=59, seconds=59)),
)
say(freeze, State.PASSED, "", lambda: context(candidate("1"), rules=FREEZE, now=NOON - timedelta(seconds=1)))
say(freeze, State.PASSED, "", lambda: context(candidate("1"), rules=FREEZE, now=NOON + timedelta(hours=1)))

# --------------------------------------------------------------------------------------------------- the table


def answers(asked: GatesContext, gate: ModuleType) -> list[GateResult]:
    return list(gate.relman_gates(asked))


def name(each: Row) -> str:
    return f"{each.gate.__name__.rpartition('.')[2]}-{each.state}-{each.code}"


@pytest.mark.parametrize("each", ROWS, ids=name)
def test_each_state_of_each_gate_is_what_the_table_says_and_only_passed_opens(each: Row) -> None:
    asked = each.asked()
    found = answers(asked, each.gate)

    own = [one for one in found if (one.state, one.code) == (each.state, each.code)]
    assert own, [(one.state, one.code, one.reason) for one in found]
    settled = settle(asked.rules, asked.release.candidates, found, {})
    shut = closed(settled, (), asked.now)
    assert all(one.state is not State.PASSED for one in shut)
    assert bool(shut) == (each.state is not State.PASSED)


@pytest.mark.parametrize("each", ROWS, ids=name)
def test_each_answer_is_bound_says_what_it_needs_can_be_kept_and_is_the_same_again(each: Row) -> None:
    asked = each.asked()
    found = answers(asked, each.gate)

    digests = {one.variant.name: one.image.digest for one in asked.release.candidates}
    assert {one.variant for one in found} == set(digests)
    for one in found:
        assert one.digest == digests[one.variant]
        assert one.reason
        assert bool(one.needs) == (one.state is not State.PASSED)
        assert one.at is None or (one.at > asked.now and one.at.tzinfo is not None)
        json.dumps(dict(one.evidence))
    assert answers(asked, each.gate) == found


@pytest.mark.parametrize("each", [each for each in ROWS if each.state is State.PENDING], ids=name)
def test_what_is_pending_is_open_at_the_time_that_it_names_and_not_a_second_before(each: Row) -> None:
    asked = each.asked()
    (found,) = answers(asked, each.gate)
    assert found.at

    then = [one.state for one in answers(replace(asked, now=found.at), each.gate)]
    assert then == [State.PASSED] or not each.surely
    just_before = replace(asked, now=found.at - timedelta(seconds=1))
    assert [one.state for one in answers(just_before, each.gate)] == [State.PENDING]


GATES = sorted({each.gate for each in ROWS}, key=lambda gate: gate.__name__)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.__name__.rpartition(".")[2])
def test_the_table_has_every_code_that_a_gate_can_answer_with(gate: ModuleType) -> None:
    written = set(re.findall(r'code="([a-z-]+)"', inspect.getsource(gate)))
    written |= set(re.findall(r'"([a-z]+-(?:differs?|apart|sbom))"', inspect.getsource(gate)))
    if gate is consistent:
        written |= set(re.findall(r'code="([a-z-]+)"', inspect.getsource(installed)))

    assert written - {each.code for each in ROWS if each.gate is gate} == set()


def test_a_gate_that_is_not_asked_for_says_nothing() -> None:
    asked = context(candidate("1"), rules=[rule("another")])

    assert [answers(asked, gate) for gate in GATES] == [[]] * len(GATES)
