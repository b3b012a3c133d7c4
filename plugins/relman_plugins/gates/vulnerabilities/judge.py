"""What a scanner's report amounts to: a function of reports, settings and the time, and of nothing else."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Literal, Self

import msgspec
from pydantic import Field, model_validator

from relman.model.gates import State
from relman.plugin import Duration, Table
from relman_plugins.gates.asking.answers import stamp
from relman_plugins.gates.asking.placeholders import Template
from relman_plugins.gates.verdict import Verdict, plain
from relman_plugins.gates.vulnerabilities.report import Finding, Report, Severity

_SHOWN = 50
_ORDER = tuple(Severity)


class Ignored(Table):
    """A vulnerability that does not count, ``until`` a day (UTC) or for ever; ``package`` limits it to one."""

    id: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    until: dt.date | None = None
    package: str | None = None


class VulnerabilitiesSettings(Table):
    """`{ type = "vulnerabilities", … }`: ``report`` names a file, ``argv`` is a scanner that prints it."""

    report: Template | None = None
    argv: tuple[Template, ...] = ()
    timeout: Duration = timedelta(minutes=20)
    fail_on: Severity | Literal["none"] = Severity.HIGH
    allow: Mapping[Severity, int] = Field(default_factory=dict)
    ignore: tuple[Ignored, ...] = ()
    only_new: bool = False
    baseline: Template | None = None
    unknown: Severity = Severity.CRITICAL
    max_age: Duration | None = None
    unbound: bool = False
    allow_empty: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.report is None) == (not self.argv):
            raise ValueError("give `report`, a file, or `argv`, a program that prints one")
        if self.argv and "{" in self.argv[0]:
            raise ValueError("the program itself takes no placeholders")
        if self.only_new and self.baseline is None:
            raise ValueError("`only_new` compares with an earlier report: give `baseline`")
        if self.unbound and self.max_age is None:
            raise ValueError("a report that names no digest has to be young: give `max_age`")
        if any(count < 0 for count in self.allow.values()):
            raise ValueError("`allow` counts from 0")
        return self


class About(msgspec.Struct, frozen=True):
    """What a report has to be about: the digests that mean it, and its architecture where it is one platform's."""

    digests: tuple[str, ...]
    architecture: str | None = None
    several: bool = False


def judge(
    report: Report, about: About, baseline: Report | None, settings: VulnerabilitiesSettings, now: datetime
) -> Verdict:
    """Passed where the report is about this image, says something, and no severity has more than is allowed."""
    evidence: dict[str, object] = {"format": report.format, "made": stamp(report.made)}
    if settings.unbound:
        evidence["unbound"] = True
    if refusal := _unfit(report, about, settings, now):
        state, code, reason = refusal
        return Verdict(state, reason, code, evidence=evidence)
    known = {(one.id, one.package) for one in baseline.findings} if baseline else set()
    counted, ignored, expired = _sorted(report.findings, settings, known, now)
    counts = Counter(severity for _, severity in counted)
    limits = _limits(settings)
    over = {one: (counts[one], limits[one]) for one in _ORDER if one in limits and counts[one] > limits[one]}
    evidence["counts"] = {one.value: counts[one] for one in _ORDER if counts[one]}
    evidence["findings"] = [
        {"id": plain(one.id, 80), "package": plain(one.package, 120), "severity": severity.value}
        for one, severity in counted[:_SHOWN]
    ]
    if ignored:
        evidence["ignored"] = sorted(ignored)
    if baseline is not None:
        evidence["known_before"] = sum((one.id, one.package) in known for one in set(report.findings))
    new = "new " if settings.only_new and baseline is not None else ""
    if over:
        said = [f"{count} {new}{one.value}, and {limit} may be" for one, (count, limit) in over.items()]
        worst = [one.id for one, severity in counted if severity in over]
        shown = ", ".join(plain(one, 40) for one in list(dict.fromkeys(worst))[:5])
        again = f"; no longer ignored: {', '.join(sorted(expired))}" if expired else ""
        reason = f"{'; '.join(said)}: {shown}{again}"
        needs = "an image without them, or `ignore` with a reason"
        return Verdict(State.FAILED, reason, "vulnerabilities", needs, evidence=evidence)
    rest = ", ".join(f"{counts[one]} {new}{one.value}" for one in _ORDER if counts[one]) or f"no {new}finding"
    return Verdict(State.PASSED, f"{rest}" + (f", {len(ignored)} ignored" if ignored else ""), evidence=evidence)


def _unfit(
    report: Report, about: About, settings: VulnerabilitiesSettings, now: datetime
) -> tuple[State, str, str] | None:
    """Why the report cannot be gone by."""
    if not settings.unbound:
        if not report.digests & set(about.digests):
            named = ", ".join(plain(one, 19) for one in sorted(report.digests)[:3])
            which = f"about {named}" if named else "about no digest"
            return State.ERROR, "other-digest", f"the report is {which}, and this is {about.digests[0]}"
        if about.several:
            reason = "the image is for several platforms, and a report is about one: put `{platform}` into its name"
            return State.ERROR, "one-platform", reason
        if about.architecture and report.architecture and report.architecture != about.architecture:
            reason = f"the report is about {plain(report.architecture, 20)}, and this is {about.architecture}"
            return State.ERROR, "other-platform", reason
    if not report.packages and not settings.allow_empty:
        reason = "the report tells of no package at all: was anything looked at?"
        return State.ABSENT, "empty-report", reason
    if settings.max_age is not None:
        if report.made is None or report.made > now + timedelta(minutes=5):
            return State.ERROR, "no-date", "the report does not say when it was made"
        if now - report.made > settings.max_age:
            return State.FAILED, "stale", f"the report is of {report.made:%Y-%m-%d %H:%M}, which is too old"
    return None


def _sorted(
    findings: Iterable[Finding], settings: VulnerabilitiesSettings, known: set[tuple[str, str]], now: datetime
) -> tuple[list[tuple[Finding, Severity]], set[str], set[str]]:
    """Those that count, the worst first; the ids that are ignored; and those that no longer are."""
    ignored: set[str] = set()
    expired: set[str] = set()
    counted: dict[tuple[str, str], tuple[Finding, Severity]] = {}
    for one in findings:
        if settings.only_new and (one.id, one.package) in known:
            continue
        rules = [rule for rule in settings.ignore if _means(rule, one)]
        if any(_holds(rule, now) for rule in rules):
            ignored.add(plain(one.id, 80))
            continue
        expired |= {plain(one.id, 80)} if rules else set()
        severity = one.severity or settings.unknown
        key = (one.id, one.package)
        if key not in counted or _ORDER.index(severity) < _ORDER.index(counted[key][1]):
            counted[key] = (one, severity)
    ranked = sorted(counted.values(), key=lambda found: (_ORDER.index(found[1]), found[0].id, found[0].package))
    return ranked, ignored, expired


def _means(rule: Ignored, finding: Finding) -> bool:
    return rule.id.casefold() == finding.id.casefold() and rule.package in (None, finding.package)


def _holds(rule: Ignored, now: datetime) -> bool:
    return rule.until is None or now < datetime.combine(rule.until, time(), UTC)


def _limits(settings: VulnerabilitiesSettings) -> dict[Severity, int]:
    """How many there may be of each; what is not in it has no limit."""
    worst = 0 if settings.fail_on == "none" else _ORDER.index(settings.fail_on) + 1
    return dict.fromkeys(_ORDER[:worst], 0) | dict(settings.allow)
