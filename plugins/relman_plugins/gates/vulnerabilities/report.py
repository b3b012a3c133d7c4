"""Reports of vulnerability scanners: grype's JSON, trivy's JSON, and SARIF 2.1.0, told apart by what is in them.

Sources: anchore/grype, `grype/presenter/models` (`matches[].vulnerability`, `source.target`, `descriptor.timestamp`);
aquasecurity/trivy, `pkg/types/report.go` and `pkg/report/sarif.go` (`security-severity`, `tags`, the run's
`repoDigests`); SARIF 2.1.0 (OASIS), 3.14 run, 3.27 result; GitHub, "SARIF support for code scanning", and CVSS 3.1, 5,
for what a `security-severity` means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from relman_plugins.gates.asking.answers import (
    field_of,
    json_of,
    list_of,
    moment_of,
    object_of,
    text_of,
    unreadable,
)

LIMIT = 32 * 1024 * 1024
"""Bytes of a report at most."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ID = re.compile(r"(?:CVE-[0-9]{4}-[0-9]{4,19}|GHSA(?:-[0-9a-z]{4}){3})", re.IGNORECASE)


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NEGLIGIBLE = "negligible"


_LEVELS = {"error": Severity.CRITICAL, "warning": Severity.MEDIUM, "note": Severity.LOW}


class Finding(msgspec.Struct, frozen=True):
    """A vulnerability of a package; ``severity`` is `None` where the scanner does not know."""

    id: str
    package: str
    severity: Severity | None


class Report(msgspec.Struct, frozen=True):
    """What a scanner says. ``digests`` are those that it names as what it looked at, ``made`` when that was.

    ``architecture`` is the image's, as OCI calls it; ``packages`` is how many things of any kind it tells of.
    """

    format: str
    findings: tuple[Finding, ...]
    digests: frozenset[str]
    architecture: str | None
    made: datetime | None
    packages: int


def read_report(content: bytes, what: str) -> Report:
    """The report in ``content``. Raises `Closed` for what is none, is cut, or is of no known kind."""
    document = object_of(json_of(content, what, limit=LIMIT), what)
    if "runs" in document:
        return _sarif(document, what)
    if "matches" in document and "source" in document:
        return _grype(document, what)
    if "SchemaVersion" in document and "ArtifactName" in document:
        return _trivy(document, what)
    raise unreadable(what, "it is neither SARIF nor JSON of grype or trivy")


def _severity(word: object) -> Severity | None:
    try:
        return Severity(text_of(word).lower())
    except ValueError:
        return None


def _grype(document: dict[str, Any], what: str) -> Report:
    findings = []
    for match in _objects(document["matches"], what):
        id = text_of(field_of(match, "vulnerability.id"))
        if not id:
            raise unreadable(what, "a match has no `vulnerability.id`")
        package = text_of(field_of(match, "artifact.name"))
        findings.append(Finding(id, package, _severity(field_of(match, "vulnerability.severity"))))
    target = field_of(document, "source.target")
    named = [field_of(target, "manifestDigest"), field_of(target, "imageID"), field_of(target, "userInput")]
    repo = field_of(target, "repoDigests")
    return Report(
        "grype",
        tuple(findings),
        _digests(named + (repo if isinstance(repo, list) else [])),
        text_of(field_of(target, "architecture")) or None,
        moment_of(field_of(document, "descriptor.timestamp")),
        len(findings),
    )


def _trivy(document: dict[str, Any], what: str) -> Report:
    findings, packages = [], 0
    for result in _objects(document.get("Results") or [], what):
        packages += len(list_of(result.get("Packages") or [], what))
        for found in _objects(result.get("Vulnerabilities") or [], what):
            packages += 1
            id = text_of(found.get("VulnerabilityID"))
            if not id:
                raise unreadable(what, "a vulnerability has no `VulnerabilityID`")
            findings.append(Finding(id, text_of(found.get("PkgName")), _severity(found.get("Severity"))))
    named = [document["ArtifactName"], field_of(document, "Metadata.ImageID")]
    repo = field_of(document, "Metadata.RepoDigests")
    return Report(
        "trivy",
        tuple(findings),
        _digests(named + (repo if isinstance(repo, list) else [])),
        text_of(field_of(document, "Metadata.ImageConfig.architecture")) or None,
        moment_of(document.get("CreatedAt")),
        packages,
    )


def _sarif(document: dict[str, Any], what: str) -> Report:
    if document.get("version") != "2.1.0":
        raise unreadable(what, "it is no SARIF 2.1.0")
    findings: list[Finding] = []
    named: list[object] = []
    made: datetime | None = None
    for run in _objects(document["runs"], what):
        # A run whose `results` are absent was not carried out to its end (3.14.23).
        findings += _sarif_findings(run, what)
        named += _sarif_names(run)
        for invocation in _objects(run.get("invocations") or [], what):
            if invocation.get("executionSuccessful") is False:
                raise unreadable(what, "the scanner says that it did not succeed")
            made = moment_of(invocation.get("endTimeUtc")) or made
    return Report("sarif", tuple(findings), _digests(named), None, made, len(findings))


def _sarif_findings(run: dict[str, Any], what: str) -> Iterator[Finding]:
    driver = object_of(field_of(run, "tool.driver"), f"the tool of {what}")
    rules = list(_objects(driver.get("rules") or [], what))
    by_id = {rule.get("id"): rule for rule in rules if isinstance(rule.get("id"), str)}
    for result in _objects(run.get("results"), what):
        if result.get("kind", "fail") in ("pass", "notApplicable", "informational"):
            continue
        index = result.get("ruleIndex")
        known = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(rules)
        rule_id = text_of(result.get("ruleId")) or text_of(field_of(result, "rule.id"))
        rule = rules[index] if known and isinstance(index, int) else by_id.get(rule_id, {})
        rule_id = rule_id or text_of(rule.get("id"))
        if not rule_id:
            raise unreadable(what, "a result has no `ruleId`")
        found = _ID.search(rule_id)
        place = text_of(field_of(result, "locations.0.physicalLocation.artifactLocation.uri"))
        message = text_of(field_of(result, "locations.0.message.text"))
        yield Finding(
            found[0] if found else rule_id, _sarif_package(rule_id, message, place), _sarif_level(result, rule)
        )


def _sarif_package(rule: str, message: str, place: str) -> str:
    """What the finding is in: trivy's `PLACE: NAME@VERSION` without the version, else the rule and the place."""
    name = re.fullmatch(r"(.{1,500}): (.{1,200})@[^@]*", message, re.DOTALL)
    return f"{name[1]}: {name[2]}" if name else f"{rule} {place}".strip()


def _sarif_level(result: dict[str, Any], rule: dict[str, Any]) -> Severity | None:
    """By the rule's tags, as trivy writes them; else by its `security-severity`; else by the level."""
    tags = field_of(rule, "properties.tags")
    words = [_severity(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    tagged = [word for word in words if word]
    if tagged:
        return tagged[0]
    score = field_of(result, "properties.security-severity") or field_of(rule, "properties.security-severity")
    if score is not None:
        return _of_score(score)
    level = result.get("level") or field_of(rule, "defaultConfiguration.level") or "warning"  # 3.27.10
    return _LEVELS.get(level) if isinstance(level, str) else None


def _of_score(score: object) -> Severity | None:
    """What a CVSS score is called. Scanners write 0.0 where they do not know."""
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,4})?", str(score)):
        return None
    value = float(str(score))
    bounds = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
    return next((severity for least, severity in bounds if value >= least), None)


def _sarif_names(run: dict[str, Any]) -> list[object]:
    properties = field_of(run, "properties")
    repo = field_of(properties, "repoDigests")
    named = [field_of(properties, "imageName"), field_of(properties, "imageID")]
    artifacts = run.get("artifacts")
    if isinstance(artifacts, list):
        named += [field_of(artifact, "location.uri") for artifact in artifacts[:1000]]
    return named + (repo if isinstance(repo, list) else [])


def _digests(named: list[object]) -> frozenset[str]:
    return frozenset(found for one in named if isinstance(one, str) for found in _DIGEST.findall(one[:2000]))


def _objects(value: object, what: str) -> Iterator[dict[str, Any]]:
    for one in list_of(value, f"a list in {what}"):
        yield object_of(one, f"an entry of {what}")
