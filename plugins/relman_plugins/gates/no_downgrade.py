"""The gate `no-downgrade`: what enters a stream is no older than what the stream holds.

Three things are looked at, and each alone closes the gate, under a code of its own: when the image was made, the
version that it gives itself, and the packages that must not go back. Where the stream's tag holds something else than
the release before, as after moving it by hand, the first two are looked at for that as well. A downgrade that is meant
is let through by an override of that code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase

import msgspec

from relman.model.diff import ChangeKind
from relman.model.gates import GateResult, State
from relman.model.oci import Digest, Image, PlatformImage
from relman.model.release import Candidate
from relman.plugin import GatesContext, NotFound, Slot, Table, hookimpl, look_at
from relman_plugins.gates.verdict import Verdict, passed

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
    """Failed for each of the three in which a candidate goes back, with the evidence."""
    for rule, settings in context.asked("no-downgrade", NoDowngradeSettings):
        for candidate in context.release.candidates:
            parts = [part for part in candidate.image.platforms if part.platform in candidate.platforms]
            held = _held(context, candidate)
            for part in parts:
                found = verdicts(_steps(context, candidate, part, settings.packages))
                if held:
                    found = both(found, verdicts(_beside(held, part)))
                for each in found:
                    yield each.of(candidate, rule.name, part.platform if len(parts) > 1 else None)


class Steps(msgspec.Struct, frozen=True):
    """The steps from the predecessor of one platform's image to itself, each as (before, after).

    ``packages`` are named packages whose newest version is older than before. ``unread`` says why
    packages were not looked at, `None` where they were; ``follows`` is the predecessor's version, ``whom`` what it is.
    """

    follows: str
    there: bool
    created: tuple[datetime | None, datetime | None]
    version: tuple[str | None, str | None]
    packages: Mapping[str, tuple[str, str]]
    unread: str | None = None
    whom: str = "its predecessor"


class Held(msgspec.Struct, frozen=True):
    """What hosts have that follow a tag, where that is not what the candidate follows. The registry may lack it."""

    tag: str
    digest: Digest
    image: Image | None


def _held(context: GatesContext, candidate: Candidate) -> Held | None:
    """Whatever the records say: hosts go back where their tag does."""
    move = next((move for move in candidate.moves if not move.dated), None)
    known = (None, candidate.image.digest, candidate.follows.digest if candidate.follows else None)
    if move is None or move.before is None or move.before in known:
        return None
    try:
        image = look_at(context.registry, move.reference.repository.digest(move.before))
    except NotFound:
        image = None
    return Held(move.reference.tag or "", move.before, image)


def _beside(held: Held, later: PlatformImage) -> Steps:
    """The step from what a tag holds; packages are compared with the predecessor alone."""
    earlier = _part_like(held.image, later)
    return Steps(
        follows=held.digest.short,
        there=earlier is not None,
        created=(earlier.created if earlier else None, later.created),
        version=(earlier.version if earlier else None, later.version),
        packages={},
        whom=f"what `{held.tag}` holds",
    )


def _part_like(image: Image | None, later: PlatformImage) -> PlatformImage | None:
    return (image.on(later.platform) or image.platforms[0]) if image else None


def both(first: list[Verdict], second: list[Verdict]) -> list[Verdict]:
    """What is said of two steps: each refusal, else that the first one passes."""
    closed = [verdict for verdict in (*first, *second) if verdict.state is not State.PASSED]
    return closed or first


def _steps(context: GatesContext, candidate: Candidate, later: PlatformImage, names: tuple[str, ...]) -> Steps | None:
    """What is judged of one platform's image; `None` for the first release of a variant."""
    follows = candidate.follows
    if follows is None:
        return None
    earlier = _part_like(follows.image, later)
    own = (candidate.variant.name, later.platform)
    diff = next((diff for diff in context.diffs if (diff.variant, diff.platform) == own), None)
    unread = None
    if names and not context.read:
        unread = "packages are compared when a release is planned"
    elif names and diff is None:
        unread = "packages were not compared: nothing says what was inside"
    return Steps(
        follows=follows.version or (follows.digest.short if follows.digest else "its predecessor"),
        there=earlier is not None,
        created=(earlier.created if earlier else None, later.created),
        version=(earlier.version if earlier else None, later.version),
        packages={
            change.name: (change.before[-1], change.after[-1])
            for change in (diff.changes if diff else ())
            if change.kind is ChangeKind.DOWNGRADED and any(fnmatchcase(change.name, name) for name in names)
        },
        unread=unread,
    )


def verdicts(steps: Steps | None) -> list[Verdict]:
    """An answer for each of time, version and packages that goes back or that nobody can tell; else one that passes."""
    if steps is None:
        return [passed("it is the first release of this variant")]
    found = [verdict for verdict in (_time(steps), _version(steps), _packages(steps)) if verdict]
    if found:
        return found
    before, after = steps.created
    reason = f"made {after:%Y-%m-%d %H:%M}, {steps.whom} {before:%Y-%m-%d %H:%M}"
    evidence: dict[str, object] = {"created": [_shown(before), _shown(after)]}
    if all(steps.version):
        evidence["version"] = list(steps.version)
    if steps.unread:
        evidence["packages"] = "not looked at"
    return [passed(f"{reason}; {steps.unread}" if steps.unread else reason, **evidence)]


def _time(steps: Steps) -> Verdict | None:
    before, after = steps.created
    if not steps.there:
        why = f"the registry no longer has `{steps.follows}`: there is no build time to compare with"
        return Verdict(State.ABSENT, why, code="predecessor-gone", needs=f"`{steps.follows}` in the registry")
    if before is None or after is None:
        which = steps.whom if before is None else "the candidate"
        why = f"{which} does not say when it was made"
        return Verdict(State.ABSENT, why, code="no-build-time", needs="builds that say `created`")
    if after >= before:
        return None
    return Verdict(
        State.FAILED,
        f"it was made {after:%Y-%m-%d %H:%M}, before {steps.whom} of {before:%Y-%m-%d %H:%M}",
        code="older-build",
        needs="a later build",
        evidence={"created": [_shown(before), _shown(after)]},
    )


def _version(steps: Steps) -> Verdict | None:
    before, after = steps.version
    if not before or not after or not goes_back(before, after):
        return None
    return Verdict(
        State.FAILED,
        f"it calls itself {after}, and {steps.whom} {before}",
        code="older-version",
        needs=f"a build that calls itself {before} or later",
        evidence={"version": [before, after]},
    )


def _packages(steps: Steps) -> Verdict | None:
    if not steps.packages:
        return None
    said = [f"`{name}` goes back from {old} to {new}" for name, (old, new) in steps.packages.items()]
    return Verdict(
        State.FAILED,
        "; ".join(said),
        code="package-goes-back",
        needs="a build with " + ", ".join(f"`{name}` {old} or later" for name, (old, _) in steps.packages.items()),
        evidence={"packages": {name: list(step) for name, step in steps.packages.items()}},
    )


def _shown(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None


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
