"""The gate `consistent`: the variants of a release belong together.

Kernel, named packages, base image, revision, build time, platforms and version label, each where it is asked for and
each with a code of its own. Those that differ from what most variants have are closed; where no value has a majority,
all are. One variant alone is consistent with itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from pydantic import model_validator

from relman.model.gates import GateResult, State
from relman.model.oci import Digest
from relman.model.release import Candidate
from relman.plugin import Duration, GatesContext, Slot, Table, hookimpl
from relman_plugins.gates.installed import Found, Installed, against, installed, installed_alike, minority, not_said
from relman_plugins.gates.soak import written
from relman_plugins.gates.verdict import Verdict, passed, skipped

KERNEL = ("kernel", "kernel-core", "kernel-longterm", "kernel-longterm-core", "linux", "linux-lts", "linux-image-*")
"""Packages that are the kernel, with the version that hosts boot."""

What = Literal["kernel", "base", "revision", "created", "platforms", "version"]
_BASE = ("org.opencontainers.image.base.digest", "org.opencontainers.image.base.name")
_LONGEST = 120
"""Characters of a label that are shown."""


class ConsistentSettings(Table):
    """`{ type = "consistent", compare = […], packages = […], within = "12h" }`.

    ``packages`` are names in which `*` stands for anything: who has such a package has it in the same version.
    ``within`` is how far apart the variants may have been built.
    """

    compare: tuple[What, ...] = ("kernel", "revision", "created", "platforms", "version")
    packages: tuple[str, ...] = ()
    within: Duration = timedelta(hours=12)

    @model_validator(mode="after")
    def _something(self) -> ConsistentSettings:
        if not (self.compare or self.packages):
            raise ValueError("the gate `consistent` compares nothing: give `compare` or `packages`")
        return self


class Facts(msgspec.Struct, frozen=True):
    """What one variant is compared by, over all its platforms: what its labels say, and what is installed.

    What one of its platforms does not say is `None`; ``created`` is then empty.
    """

    revision: str | None
    version: str | None
    base: str | None
    created: tuple[datetime, ...]
    platforms: frozenset[str]
    installed: Installed


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "consistent", ConsistentSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """An answer for each kind of mismatch that a variant has, or that nobody can tell; else one that passes."""
    for rule, settings in context.asked("consistent", ConsistentSettings):
        candidates = {each.variant.name: each for each in context.release.candidates}
        names = (*KERNEL, *settings.packages)
        facts = {name: _facts(context, candidate, names) for name, candidate in candidates.items()}
        for name, found in verdicts(facts, settings, read=context.read).items():
            for each in found:
                yield each.of(candidates[name], rule.name)


def _facts(context: GatesContext, candidate: Candidate, names: Sequence[str]) -> Facts:
    parts = [part for part in candidate.image.platforms if part.platform in candidate.platforms]
    created = tuple(part.created for part in parts if part.created)
    return Facts(
        revision=_joined([part.revision for part in parts]),
        version=_joined([part.version for part in parts]),
        base=_joined([next(filter(None, map(part.labels.get, _BASE)), None) for part in parts]),
        created=created if len(created) == len(parts) else (),
        platforms=frozenset(str(part.platform) for part in candidate.image.platforms),
        installed=installed(
            {one: context.contents.get((candidate.variant.name, one)) for one in candidate.platforms}, names
        ),
    )


def _joined(values: Sequence[str | None]) -> str | None:
    """What all platforms say, each once; `None` where one of them says nothing."""
    said = sorted({_brief(value) for value in values if value})
    return " and ".join(said) if all(values) else None


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({Digest.of(text.encode(errors='replace')).short})"


def verdicts(
    facts: Mapping[str, Facts], settings: ConsistentSettings, *, read: bool = True
) -> dict[str, list[Verdict]]:
    """By variant: an answer for each kind of mismatch; else one that passes, or is skipped where packages were not
    ``read`` and are asked for.
    """
    if len(facts) < 2:
        return {name: [passed("it is the only variant")] for name in facts}
    found: dict[str, list[Verdict]] = {name: [] for name in facts}
    for what in dict.fromkeys(settings.compare):
        if what != "kernel" or read:
            _add(found, _judge(what, facts, settings.within))
    if settings.packages and read:
        _add(found, installed_alike(_lists(facts), settings.packages, "package", "packages-differ", alone=True))
    asked = list(dict.fromkeys(settings.compare)) + (["packages"] if settings.packages else [])
    unread = [what for what in asked if what in ("kernel", "packages") and not read]
    agreed = ", ".join(what for what in asked if what not in unread)
    said = f"{len(facts)} variants agree ({agreed})" if agreed else ""
    if any(found.values()):
        said = f"it is as most of the {len(facts)} variants are ({agreed})"
    for answers in found.values():
        if not answers and unread:
            answers.append(skipped(f"{said}{'; ' if said else ''}{' and '.join(unread)} of all variants are compared"))
        elif not answers:
            answers.append(passed(said))
    return found


def _add(found: dict[str, list[Verdict]], more: Found) -> None:
    for name, verdict in more.items():
        found[name].append(verdict)


def _judge(what: What, facts: Mapping[str, Facts], within: timedelta) -> Found:
    """An answer for each variant that differs in one thing, or does not say it."""
    match what:
        case "kernel":
            return installed_alike(_lists(facts), KERNEL, what, "kernel-differs", alone=False)
        case "created":
            return _created({name: one.created for name, one in facts.items()}, within)
        case "platforms":
            return _platforms({name: ", ".join(sorted(one.platforms)) for name, one in facts.items()})
        case "base":
            return _label(what, "base-differs", {name: one.base for name, one in facts.items()})
        case "revision":
            return _label(what, "revision-differs", {name: one.revision for name, one in facts.items()})
        case "version":
            return _label(what, "version-differs", {name: one.version for name, one in facts.items()})


def _lists(facts: Mapping[str, Facts]) -> dict[str, Installed]:
    return {name: one.installed for name, one in facts.items()}


def _label(what: str, code: str, values: Mapping[str, str | None]) -> Found:
    """Compares what labels say."""
    said = {name: value for name, value in values.items() if value is not None}
    missing = not_said(what, [name for name in values if name not in said])
    return missing or _differing(what, code, said)


def _differing(what: str, code: str, values: Mapping[str, str]) -> Found:
    others, usual = minority(values)
    return {
        name: Verdict(
            State.FAILED,
            f"its {what} is {values[name]}, {against(values, name, usual)}",
            code=code,
            needs=f"variants of one {what}" if usual is None else f"a build with the {what} {usual}",
            evidence={what: dict(values)},
        )
        for name in values
        if name in others
    }


def _platforms(values: Mapping[str, str]) -> Found:
    others, usual = minority(values)
    return {
        name: Verdict(
            State.FAILED,
            f"it has {values[name]}; {against(values, name, usual).replace('that of ', '').replace(' is ', ' has ')}",
            code="platforms-differ",
            needs="variants with the same platforms" if usual is None else f"a build for {usual}",
            evidence={"platforms": dict(values)},
        )
        for name in values
        if name in others
    }


def _created(created: Mapping[str, tuple[datetime, ...]], within: timedelta) -> Found:
    missing = not_said("build-time", [name for name, times in created.items() if not times])
    if missing:
        return missing
    others = too_far(created, within)
    every = [moment for times in created.values() for moment in times]
    spread = f"from {min(every):%Y-%m-%d %H:%M} to {max(every):%Y-%m-%d %H:%M}, more than {written(within)} apart"
    shown = {name: [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in times] for name, times in created.items()}
    return {
        name: Verdict(
            State.FAILED,
            f"it was made {min(times):%Y-%m-%d %H:%M}; the variants were made {spread}",
            code="created-apart",
            needs=f"variants that were built within {written(within)}",
            evidence={"created": shown},
        )
        for name, times in created.items()
        if name in others
    }


def too_far(created: Mapping[str, tuple[datetime, ...]], within: timedelta) -> frozenset[str]:
    """Who was not built together with most: outside the span of ``within`` that has the most of them whole.

    Nobody where all fit into one; everybody where several spans have as many and do not have the same ones.
    """
    spans = {
        frozenset(name for name, times in created.items() if start <= min(times) <= max(times) <= _later(start, within))
        for own in created.values()
        for start in own
    }
    most = max(map(len, spans))
    largest = [span for span in spans if len(span) == most]
    return frozenset(created) - (largest[0] if len(largest) == 1 else frozenset())


def _later(moment: datetime, time: timedelta) -> datetime:
    try:
        return moment + time
    except OverflowError:
        return datetime.max.replace(tzinfo=moment.tzinfo)
