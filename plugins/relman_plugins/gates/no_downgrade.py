"""The gate `no-downgrade`: what enters a stream is no older than what the stream holds.

Three things are looked at, and each alone closes the gate: when the image was made, the version that it gives itself,
and the packages that must not go back. A downgrade that is meant is let through with `--override no-downgrade`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from relman.model.diff import ChangeKind
from relman.model.plan import GateResult, State
from relman.model.release import Candidate
from relman.plugin import GatesContext, Slot, Table, hookimpl

PACKAGES = (
    "kernel",
    "kernel-core",
    "linux",
    "linux-image-*",
    "systemd",
    "bootc",
    "ostree",
    "rpm-ostree",
    "glibc",
    "libc6",
    "shim-*",
)
"""Those that a host boots with, or is updated by."""

_PART = re.compile(r"([0-9]+)")
_DIGITS = 20


class NoDowngradeSettings(Table):
    """`{ type = "no-downgrade", packages = […] }`. ``packages`` are names in which `*` stands for anything."""

    packages: tuple[str, ...] = PACKAGES


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "no-downgrade", NoDowngradeSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Failed where a candidate goes back in one of the three, with the evidence."""
    for rule, settings in context.asked("no-downgrade", NoDowngradeSettings):
        for candidate in context.release.candidates:
            back = _packages_that_go_back(context, candidate.variant.name, settings.packages)
            state, reason, evidence = _judge(candidate, back)
            yield candidate.gate(rule.name, state, reason, evidence=evidence)


def _judge(candidate: Candidate, packages: Mapping[str, list[str]]) -> tuple[State, str, dict[str, object]]:
    follows = candidate.follows
    if follows is None:
        return State.PASSED, "it is the first release of this variant", {}
    back = [f"`{name}` goes back from {old} to {new}" for name, (old, new) in packages.items()]
    evidence: dict[str, object] = {"packages": dict(packages)} if packages else {}
    if follows.image is None:
        if back:
            return State.FAILED, "; ".join(back), evidence
        why = f"the registry no longer has `{follows.version}`: there is no build time to compare with"
        return State.ABSENT, why, evidence
    earlier, later = follows.image.platforms[0], candidate.first
    if earlier.version and later.version:
        evidence["version"] = [earlier.version, later.version]
        if goes_back(earlier.version, later.version):
            back.insert(0, f"it calls itself {later.version}, and its predecessor {earlier.version}")
    before, after = earlier.created, later.created
    if before and after:
        evidence["created"] = [f"{before:%Y-%m-%dT%H:%M:%SZ}", f"{after:%Y-%m-%dT%H:%M:%SZ}"]
        if after < before:
            back.insert(0, f"it was made {after:%Y-%m-%d %H:%M}, before its predecessor of {before:%Y-%m-%d %H:%M}")
    if back:
        return State.FAILED, "; ".join(back), evidence
    if before is None or after is None:
        which = "its predecessor" if before is None else "the candidate"
        return State.ABSENT, f"{which} does not say when it was made", evidence
    return State.PASSED, f"made {after:%Y-%m-%d %H:%M}, its predecessor {before:%Y-%m-%d %H:%M}", evidence


def _packages_that_go_back(context: GatesContext, variant: str, names: tuple[str, ...]) -> dict[str, list[str]]:
    """The named packages whose newest version is older than before, on any platform: `[before, after]` by name.

    Where nothing could be compared, as before the images were read (`relman status`), none is known to.
    """
    return {
        change.name: [change.before[-1], change.after[-1]]
        for diff in context.diffs
        if diff.variant == variant
        for change in diff.changes
        if change.kind is ChangeKind.DOWNGRADED and any(fnmatchcase(change.name, name) for name in names)
    }


def goes_back(before: str, after: str) -> bool:
    """Whether ``after`` is surely an older version than ``before``.

    They are compared number by number, as far as all between the numbers is the same: `44.20260705` is older than
    `44.20260705.1`, and newer than `44.20260704.3`. Where that differs there is no order that everybody agrees on, and
    nothing is sure.
    """
    old, new = _PART.split(before), _PART.split(after)
    for one, other in zip(_pairs(old), _pairs(new), strict=False):
        if one[0] != other[0] or max(len(one[1]), len(other[1])) > _DIGITS:
            return False
        if int(one[1]) != int(other[1]):
            return int(other[1]) < int(one[1])
    longer, shorter = _pairs(old), _pairs(new)
    return len(longer) > len(shorter) and new[-1] == "" and longer[len(shorter)][0] == "."


def _pairs(parts: list[str]) -> list[tuple[str, str]]:
    """Each number with what stands before it."""
    return list(zip(parts[::2], parts[1::2], strict=False))
