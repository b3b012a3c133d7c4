"""The gate `vulnerabilities`: reports of grype, of trivy and in SARIF, good ones, empty ones, and of something else."""

from __future__ import annotations

import datetime as dt
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from relman.model.gates import GateResult, State
from relman.model.oci import Digest
from relman.testing import MemoryRegistry, put_image
from relman_plugins.gates import vulnerabilities
from relman_plugins.gates.verdict import Closed
from relman_plugins.gates.vulnerabilities.judge import About, VulnerabilitiesSettings, judge
from relman_plugins.gates.vulnerabilities.report import Finding, Report, Severity, read_report
from tests.gates_asked import AMD, ARM, BEFORE, NOON, OS, REPOSITORY, answers, candidate, context, rule, said

DIGEST = str(OS.image.digest)
OTHER = str(Digest.of(b"another build"))
MORNING = NOON - timedelta(hours=4)
DAY = timedelta(days=1)
ABOUT = About((DIGEST,))


def found(id: str = "CVE-2026-0001", severity: Severity | None = Severity.HIGH, package: str = "openssl") -> Finding:
    return Finding(id, package, severity)


def report(*findings: Finding, **changed: Any) -> Report:
    made = Report("grype", findings, frozenset({DIGEST}), "amd64", MORNING, max(1, len(findings)))
    return replace(made, **changed)


def findings(severity: Severity, count: int) -> list[Finding]:
    return [found(f"CVE-2026-{number:04}", severity) for number in range(count)]


def ignoring(**changed: object) -> dict[str, Any]:
    return {"ignore": [{"id": "CVE-2026-0001", "reason": "not reachable", **changed}]}


CRITICAL, HIGH, MEDIUM, LOW = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW
TODAY, TOMORROW = dt.date(2026, 6, 24), dt.date(2026, 6, 25)
FREE = {"unbound": True, "max_age": "1d"}
TABLE: dict[str, tuple[Report, dict[str, Any], State, str]] = {
    "nothing bad": (report(found(severity=LOW)), {}, State.PASSED, ""),
    "high": (report(found()), {}, State.FAILED, "vulnerabilities"),
    "critical": (report(found(severity=CRITICAL)), {}, State.FAILED, "vulnerabilities"),
    "medium": (report(found(severity=MEDIUM)), {}, State.PASSED, ""),
    "medium where that fails": (report(found(severity=MEDIUM)), {"fail_on": "medium"}, State.FAILED, "vulnerabilities"),
    "high where critical fails": (report(found()), {"fail_on": "critical"}, State.PASSED, ""),
    "negligible": (
        report(found(severity=Severity.NEGLIGIBLE)),
        {"fail_on": "negligible"},
        State.FAILED,
        "vulnerabilities",
    ),
    "nothing fails": (report(found(severity=CRITICAL)), {"fail_on": "none"}, State.PASSED, ""),
    "as many as may be": (report(*findings(MEDIUM, 10)), {"allow": {"medium": 10}}, State.PASSED, ""),
    "one more": (report(*findings(MEDIUM, 11)), {"allow": {"medium": 10}}, State.FAILED, "vulnerabilities"),
    "allowed though high": (report(found()), {"allow": {"high": 1}}, State.PASSED, ""),
    "the same twice is one": (report(found(), found()), {"allow": {"high": 1}}, State.PASSED, ""),
    "in two packages it is two": (
        report(found(), found(package="b")),
        {"allow": {"high": 1}},
        State.FAILED,
        "vulnerabilities",
    ),
    "unknown is the worst": (report(found(severity=None)), {"fail_on": "critical"}, State.FAILED, "vulnerabilities"),
    "unknown, as told": (report(found(severity=None)), {"unknown": "low"}, State.PASSED, ""),
    "ignored": (report(found()), ignoring(), State.PASSED, ""),
    "ignored in another case": (report(found()), ignoring(id="cve-2026-0001"), State.PASSED, ""),
    "ignored until tomorrow": (report(found()), ignoring(until=TOMORROW), State.PASSED, ""),
    "ignored until today": (report(found()), ignoring(until=TODAY), State.FAILED, "vulnerabilities"),
    "ignored elsewhere": (report(found()), ignoring(package="kernel"), State.FAILED, "vulnerabilities"),
    "another is ignored": (report(found()), ignoring(id="CVE-2026-00011"), State.FAILED, "vulnerabilities"),
    "another digest": (report(found(severity=LOW), digests=frozenset({OTHER})), {}, State.ERROR, "other-digest"),
    "no digest": (report(found(severity=LOW), digests=frozenset()), {}, State.ERROR, "other-digest"),
    "no digest, unbound": (report(found(severity=LOW), digests=frozenset()), FREE, State.PASSED, ""),
    "unbound, and bad": (report(found(), digests=frozenset()), FREE, State.FAILED, "vulnerabilities"),
    "empty": (report(packages=0), {}, State.ABSENT, "empty-report"),
    "empty, as told": (report(packages=0), {"allow_empty": True}, State.PASSED, ""),
    "packages, and nothing in them": (report(packages=400), {}, State.PASSED, ""),
    "just young enough": (report(made=NOON - DAY), {"max_age": "1d"}, State.PASSED, ""),
    "a second too old": (report(made=NOON - DAY - timedelta(seconds=1)), {"max_age": "1d"}, State.FAILED, "stale"),
    "of no time": (report(made=None), {"max_age": "1d"}, State.ERROR, "no-date"),
    "from the future": (report(made=NOON + DAY), {"max_age": "1d"}, State.ERROR, "no-date"),
}


@pytest.mark.parametrize("case", TABLE)
def test_only_a_report_on_this_image_within_the_thresholds_opens(case: str) -> None:
    given, table, state, code = TABLE[case]
    settings = VulnerabilitiesSettings.model_validate({"report": "x.json", **table})

    verdict = judge(given, ABOUT, None, settings, NOON)

    assert (verdict.state, verdict.code) == (state, code), verdict.reason


@pytest.mark.parametrize(("seconds", "state"), [(-1, State.PASSED), (0, State.FAILED)])
def test_what_is_ignored_until_a_day_counts_from_its_first_second(seconds: int, state: State) -> None:
    settings = VulnerabilitiesSettings.model_validate({"report": "x", **ignoring(until=TOMORROW)})
    midnight = NOON + timedelta(hours=12)

    assert judge(report(found()), ABOUT, None, settings, midnight + timedelta(seconds=seconds)).state is state


NEW = {"report": "x.json", "only_new": True, "baseline": "y.json"}


@pytest.mark.parametrize(
    ("now", "before", "state"),
    [
        ([found()], [found()], State.PASSED),
        ([found()], [], State.FAILED),
        ([found()], [found(severity=LOW)], State.PASSED),
        ([found()], [found(package="kernel")], State.FAILED),
        ([found(), found("CVE-2026-0002")], [found()], State.FAILED),
    ],
)
def test_where_only_what_is_new_counts_the_rest_does_not(
    now: list[Finding], before: list[Finding], state: State
) -> None:
    settings = VulnerabilitiesSettings.model_validate(NEW)

    assert judge(report(*now), ABOUT, report(*before), settings, NOON).state is state


def test_without_anything_before_all_is_new() -> None:
    assert judge(report(found()), ABOUT, None, VulnerabilitiesSettings.model_validate(NEW), NOON).state is State.FAILED


def test_a_refusal_counts_names_and_says_what_is_no_longer_ignored() -> None:
    settings = VulnerabilitiesSettings.model_validate({"report": "x", **ignoring(until=TODAY)})

    verdict = judge(report(found(), found("CVE-2026-0002", MEDIUM)), ABOUT, None, settings, NOON)

    assert verdict.reason == "1 high, and 0 may be: CVE-2026-0001; no longer ignored: CVE-2026-0001"
    assert verdict.evidence == {
        "format": "grype",
        "made": "2026-06-24T08:00:00Z",
        "counts": {"high": 1, "medium": 1},
        "findings": [
            {"id": "CVE-2026-0001", "package": "openssl", "severity": "high"},
            {"id": "CVE-2026-0002", "package": "openssl", "severity": "medium"},
        ],
    }


def test_evidence_of_a_hundred_thousand_findings_is_bounded() -> None:
    many = [found(f"CVE-2026-{number:06}") for number in range(100_000)]

    verdict = judge(report(*many), ABOUT, None, VulnerabilitiesSettings(report="x"), NOON)

    assert len(json.dumps(dict(verdict.evidence))) < 10_000
    assert verdict.reason.startswith("100000 high, and 0 may be: CVE-2026-000000, ")


# -------------------------------------------------------------------------------------------------------- formats


def grype(severity: str = "High", digest: str = DIGEST, **target: object) -> dict[str, Any]:
    match = {
        "vulnerability": {"id": "CVE-2026-0001", "severity": severity, "namespace": "redhat:distro:redhat:9"},
        "matchDetails": [],
        "artifact": {"name": "openssl", "version": "3.0.7", "type": "rpm"},
    }
    return {
        "matches": [match],
        "source": {
            "type": "image",
            "target": {
                "userInput": "x",
                "manifestDigest": digest,
                "repoDigests": [],
                "architecture": "amd64",
                **target,
            },
        },
        "descriptor": {"name": "grype", "version": "0.90.0", "timestamp": "2026-06-24T08:00:00.123456789Z"},
    }


def trivy(severity: str = "HIGH", digest: str = DIGEST, **metadata: object) -> dict[str, Any]:
    return {
        "SchemaVersion": 2,
        "CreatedAt": "2026-06-24T10:00:00.123456789+02:00",
        "ArtifactName": "ghcr.io/acme/os:testing",
        "ArtifactType": "container_image",
        "Metadata": {
            "ImageID": OTHER,
            "RepoDigests": [f"ghcr.io/acme/os@{digest}"],
            "ImageConfig": {"architecture": "amd64"},
            **metadata,
        },
        "Results": [
            {
                "Target": "ghcr.io/acme/os:testing (centos 10)",
                "Class": "os-pkgs",
                "Vulnerabilities": [
                    {"VulnerabilityID": "CVE-2026-0001", "PkgName": "openssl", "Severity": severity},
                ],
            }
        ],
    }


def sarif(rule: dict[str, Any] | None = None, result: dict[str, Any] | None = None, **run: object) -> dict[str, Any]:
    rules = [{"id": "CVE-2026-0001", **(rule or {})}]
    results = [{"ruleId": "CVE-2026-0001", "ruleIndex": 0, "message": {"text": "x"}, **(result or {})}]
    properties = {"imageName": "x", "repoDigests": [f"ghcr.io/acme/os@{DIGEST}"], "imageID": OTHER}
    driver = {"name": "Scanner", "rules": rules}
    whole = {"tool": {"driver": driver}, "results": results, "properties": properties, **run}
    return {"version": "2.1.0", "runs": [whole]}


def read(document: object) -> Report:
    return read_report(json.dumps(document).encode(), "the report")


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("Critical", CRITICAL),
        ("High", HIGH),
        ("Medium", MEDIUM),
        ("Low", LOW),
        ("Negligible", Severity.NEGLIGIBLE),
        ("Unknown", None),
        ("Splendid", None),
    ],
)
def test_grypes_words_are_read_as_it_documents_them(word: str, severity: Severity | None) -> None:
    whole = read(grype(word))

    assert whole == Report(
        "grype", (found(severity=severity),), frozenset({DIGEST}), "amd64", MORNING.replace(microsecond=123456), 1
    )


@pytest.mark.parametrize(
    ("word", "severity"), [("CRITICAL", CRITICAL), ("HIGH", HIGH), ("MEDIUM", MEDIUM), ("LOW", LOW), ("UNKNOWN", None)]
)
def test_trivys_words_are_read_as_it_documents_them(word: str, severity: Severity | None) -> None:
    whole = read(trivy(word))

    assert whole == Report(
        "trivy",
        (found(severity=severity),),
        frozenset({DIGEST, OTHER}),
        "amd64",
        MORNING.replace(microsecond=123456),
        1,
    )


def score(text: object) -> dict[str, Any]:
    return {"properties": {"security-severity": text}}


@pytest.mark.parametrize(
    ("rule", "result", "severity"),
    [
        (score("10.0"), {}, CRITICAL),
        (score("9.0"), {}, CRITICAL),
        (score("8.9"), {}, HIGH),
        (score("7.0"), {}, HIGH),
        (score("6.9"), {}, MEDIUM),
        (score("4.0"), {}, MEDIUM),
        (score("3.9"), {}, LOW),
        (score("0.1"), {}, LOW),
        (score("0.0"), {}, None),
        (score(7.5), {}, HIGH),
        (score("high"), {}, None),
        ({"properties": {"tags": ["vulnerability", "security", "LOW"], "security-severity": "9.8"}}, {}, LOW),
        ({}, {"level": "error"}, CRITICAL),
        ({}, {"level": "warning"}, MEDIUM),
        ({}, {"level": "note"}, LOW),
        ({}, {"level": "none"}, None),
        ({"defaultConfiguration": {"level": "error"}}, {}, CRITICAL),
        ({}, {}, MEDIUM),
        ({}, score("9.9"), CRITICAL),
    ],
)
def test_a_severity_in_sarif_is_the_tags_else_the_score_else_the_level(
    rule: dict[str, Any], result: dict[str, Any], severity: Severity | None
) -> None:
    assert [one.severity for one in read(sarif(rule, result)).findings] == [severity]


def test_sarif_says_what_it_looked_at_in_the_run() -> None:
    where = [{"message": {"text": "os/x: openssl@3.0.7"}, "physicalLocation": {"artifactLocation": {"uri": "os/x"}}}]
    whole = read(sarif(result={"locations": where}, invocations=[{"endTimeUtc": "2026-06-24T08:00:00Z"}]))

    assert whole == Report(
        "sarif", (found(severity=MEDIUM, package="os/x: openssl"),), frozenset({DIGEST, OTHER}), None, MORNING, 1
    )


def test_ids_in_sarif_may_have_a_package_behind_them() -> None:
    (one,) = read(sarif(result={"ruleId": "GHSA-aaaa-bbbb-cccc-openssl", "ruleIndex": -1})).findings

    assert (one.id, one.package) == ("GHSA-aaaa-bbbb-cccc", "GHSA-aaaa-bbbb-cccc-openssl")


def test_results_in_sarif_that_passed_are_no_findings_and_those_that_are_suppressed_are() -> None:
    assert read(sarif(result={"kind": "pass"})).findings == ()
    assert len(read(sarif(result={"suppressions": [{"kind": "external", "status": "accepted"}]})).findings) == 1


TRUNCATED = json.dumps(grype()).encode()[:-10]
UNREADABLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty-report"),
    "a page": (b"<html>", "not-json"),
    "half of it": (TRUNCATED, "unreadable"),
    "a list": (b"[]", "unreadable"),
    "an object": (b"{}", "unreadable"),
    "nested without end": (b'{"runs": ' + b"[" * 100_000, "unreadable"),
    "a key twice": (b'{"matches": [1], "matches": [], "source": {}}', "unreadable"),
    "NaN": (b'{"matches": [], "source": NaN}', "unreadable"),
    "not text": (b'{"matches": "\xff"}', "unreadable"),
    "matches that are none": (json.dumps({"matches": {}, "source": {}}).encode(), "unreadable"),
    "a match without an id": (json.dumps({"matches": [{}], "source": {}}).encode(), "unreadable"),
    "entries that are numbers": (json.dumps({"matches": [1], "source": {}}).encode(), "unreadable"),
    "sarif 2.0": (json.dumps({**sarif(), "version": "2.0.0"}).encode(), "unreadable"),
    "sarif without results": (json.dumps(sarif(results=None)).encode(), "unreadable"),
    "sarif that did not succeed": (
        json.dumps(sarif(invocations=[{"executionSuccessful": False}])).encode(),
        "unreadable",
    ),
    "sarif without a tool": (json.dumps(sarif(tool={})).encode(), "unreadable"),
    "sarif without a rule": (json.dumps(sarif(result={"ruleId": None, "ruleIndex": 7})).encode(), "unreadable"),
    "trivy without an id": (
        json.dumps({**trivy(), "Results": [{"Vulnerabilities": [{"Severity": "LOW"}]}]}).encode(),
        "unreadable",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_report_is_refused(case: str) -> None:
    content, code = UNREADABLE[case]

    with pytest.raises(Closed) as caught:
        read_report(content, "the report")

    assert caught.value.verdict.code == code


@pytest.mark.parametrize(
    "document", [{**trivy(), "Results": []}, {**trivy(), "Results": None}, {**grype(), "matches": []}]
)
def test_a_report_without_a_single_package_is_empty(document: dict[str, Any]) -> None:
    assert judge(read(document), ABOUT, None, VulnerabilitiesSettings(report="x"), NOON).code == "empty-report"


def test_trivys_list_of_packages_shows_that_it_looked() -> None:
    document = {**trivy(), "Results": [{"Target": "x", "Packages": [{"Name": "bash"}]}]}

    assert judge(read(document), ABOUT, None, VulnerabilitiesSettings(report="x"), NOON).state is State.PASSED


# ------------------------------------------------------------------------------------------------ files, scanners


def ask(folder: Path, of: Any = OS, **table: object) -> list[GateResult]:
    asked = rule("vulnerabilities", **({"report": "reports/{variant}.json"} | table))
    return answers(vulnerabilities, context(asked, of, folder=folder))


def write(folder: Path, document: object, name: str = "os.json") -> None:
    (folder / "reports").mkdir(exist_ok=True)
    (folder / "reports" / name).write_text(json.dumps(document))


@pytest.mark.parametrize("make", [grype, trivy])
def test_a_report_is_found_by_the_variants_name(tmp_path: Path, make: Any) -> None:
    write(tmp_path, make("medium" if make is trivy else "Medium"))

    (result,) = ask(tmp_path)

    assert (result.state, result.digest, result.reason) == (State.PASSED, OS.image.digest, "1 medium")


def test_a_report_may_be_called_by_the_digest(tmp_path: Path) -> None:
    write(tmp_path, grype("Low"), f"{DIGEST.replace(':', '-')}.json")

    assert said(ask(tmp_path, report="reports/{digest}.json")) == [(State.PASSED, "")]


def test_a_report_that_is_not_there_is_no_file_or_too_large_does_not_open(tmp_path: Path) -> None:
    assert said(ask(tmp_path)) == [(State.ABSENT, "no-report")]
    (tmp_path / "reports/os.json").mkdir(parents=True)
    assert said(ask(tmp_path)) == [(State.ERROR, "unreadable")]
    (tmp_path / "reports/os.json").rmdir()
    with (tmp_path / "reports/os.json").open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    assert said(ask(tmp_path)) == [(State.ERROR, "unreadable")]


def test_a_fifo_in_place_of_a_report_holds_up_nobody(tmp_path: Path) -> None:
    import os

    (tmp_path / "reports").mkdir()
    os.mkfifo(tmp_path / "reports/os.json")

    assert said(ask(tmp_path)) == [(State.ERROR, "unreadable")]


def test_each_platform_has_a_report_of_its_own(tmp_path: Path) -> None:
    two = candidate(platforms=[AMD, ARM])
    amd, arm = (str(part.manifest.digest) for part in two.image.platforms)
    write(tmp_path, grype("Low", amd), "linux-amd64.json")
    write(tmp_path, grype("High", arm, architecture="arm64"), "linux-arm64.json")

    results = ask(tmp_path, two, report="reports/{platform}.json")

    assert [(one.platform, one.state) for one in results] == [(AMD, State.PASSED), (ARM, State.FAILED)]


def test_a_report_on_one_platform_does_not_speak_for_another(tmp_path: Path) -> None:
    two = candidate(platforms=[AMD, ARM])
    amd = str(two.image.platforms[0].manifest.digest)
    write(tmp_path, grype("Low", amd), "linux-arm64.json")
    write(tmp_path, grype("Low", str(two.image.digest)), "linux-amd64.json")

    assert said(ask(tmp_path, two, report="reports/{platform}.json"))[1] == (State.ERROR, "other-digest")
    write(tmp_path, grype("Low", str(two.image.digest)), "linux-arm64.json")
    assert said(ask(tmp_path, two, report="reports/{platform}.json")) == [
        (State.PASSED, ""),
        (State.ERROR, "other-platform"),
    ]


def test_one_report_is_not_enough_for_several_platforms(tmp_path: Path) -> None:
    two = candidate(platforms=[AMD, ARM])
    write(tmp_path, grype("Low", str(two.image.digest)))

    assert said(ask(tmp_path, two)) == [(State.ERROR, "one-platform")]


def test_an_image_id_is_the_digest_of_the_configuration(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    digest = put_image(registry, REPOSITORY, tags=("x",))
    config = json.loads(registry.manifest(REPOSITORY.digest(digest)).content)["config"]["digest"]
    part = replace(OS.image.platforms[0], manifest=replace(OS.image.platforms[0].manifest, digest=digest))
    of = replace(OS, image=replace(OS.image, reference=REPOSITORY.digest(digest), platforms=(part,)))
    write(tmp_path, trivy("LOW", OTHER, ImageID=config, RepoDigests=[]))
    asked = context(rule("vulnerabilities", report="reports/os.json"), of, folder=tmp_path)

    assert said(answers(vulnerabilities, replace(asked, registry=registry))) == [(State.PASSED, "")]
    write(tmp_path, trivy("LOW", OTHER, RepoDigests=[]))
    assert said(answers(vulnerabilities, replace(asked, registry=registry))) == [(State.ERROR, "other-digest")]


ONLY_NEW = {"only_new": True, "baseline": "reports/{previous}.json"}


@pytest.mark.parametrize(
    ("before", "states"),
    [
        (grype("High", str(BEFORE)), (State.PASSED, "")),
        (grype("High", OTHER), (State.ERROR, "other-baseline")),
        ({**grype("High", str(BEFORE)), "matches": []}, (State.FAILED, "vulnerabilities")),
        (None, (State.ABSENT, "no-baseline")),
        ([], (State.ERROR, "unreadable")),
    ],
)
def test_what_was_there_before_is_told_by_the_report_on_what_the_image_follows(
    tmp_path: Path, before: object, states: tuple[State, str]
) -> None:
    write(tmp_path, grype("High"))
    if before is not None:
        write(tmp_path, before, f"{str(BEFORE).replace(':', '-')}.json")

    assert said(ask(tmp_path, **ONLY_NEW)) == [states]


def scanner(folder: Path, text: str) -> None:
    (folder / "scan").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "scan").chmod(0o755)


@pytest.mark.parametrize(
    ("text", "state", "code"),
    [
        ("cat low.json", State.PASSED, ""),
        ("cat high.json", State.FAILED, "vulnerabilities"),
        ("cat low.json; exit 1", State.ERROR, "scanner-failed"),
        ("head -c 100 low.json", State.ERROR, "unreadable"),
        ("exit 0", State.ERROR, "empty-report"),
        ("sleep 600", State.ERROR, "timeout"),
    ],
)
def test_a_scanner_is_run_with_the_image_and_its_report_judged(
    tmp_path: Path, text: str, state: State, code: str
) -> None:
    (tmp_path / "low.json").write_text(json.dumps(grype("Low")))
    (tmp_path / "high.json").write_text(json.dumps(grype("High")))
    scanner(tmp_path, f'[ "$1" = "ghcr.io/acme/os@{DIGEST}" ] || exit 9; {text}')

    assert said(ask(tmp_path, report=None, argv=["./scan", "{reference}"], timeout="2s")) == [(state, code)]


def test_a_look_at_where_things_stand_scans_nothing(tmp_path: Path) -> None:
    scanner(tmp_path, "touch ran")
    asked = context(rule("vulnerabilities", argv=["./scan"]), folder=tmp_path, read=False)

    assert said(answers(vulnerabilities, asked)) == [(State.SKIPPED, "not-read")]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({}, "give `report`, a file, or `argv`"),
        ({"report": "x", "argv": ["y"]}, "give `report`, a file, or `argv`"),
        ({"argv": ["{digest}"]}, "the program itself takes no placeholders"),
        ({"report": "x", "only_new": True}, "give `baseline`"),
        ({"report": "x", "unbound": True}, "give `max_age`"),
        ({"report": "x", "fail_on": "bad"}, "fail_on"),
        ({"report": "x", "allow": {"high": -1}}, "counts from 0"),
        ({"report": "x", "ignore": [{"id": "CVE-2026-0001"}]}, "Field required"),
        ({"report": "x", "ignore": [{"id": "CVE-2026-0001", "reason": ""}]}, "at least 1 character"),
    ],
)
def test_a_table_that_makes_no_sense_is_a_fault(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        VulnerabilitiesSettings.model_validate(table)
