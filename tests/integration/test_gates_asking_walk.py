"""Each gate that asks others is in turn the only thing that holds a release back, and lets it through when met."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from relman.model.release import release_marker
from tests.integration.driver import VARIANTS, Project, Workshop
from tests.servers import Asked, Reply, Scripted
from tests.standins.github import GitHub
from tests.standins.github_reviews import ReviewedGitHub

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="`skopeo` is not installed")

LIN: dict[str, Any] = {"GITHUB_ACTOR": "lin"}
OLD: dict[str, set[int | None]] = {"stable": {0}, "stable-20260624": {None}}
NEW: dict[str, set[int | None]] = {"stable": {1}, "stable-20260624": {1}}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("gates-asking"), "layouts alone")


@dataclass
class Held:
    """A project with one gate, and what opens and shuts it; ``code`` is what the gate says before it was opened."""

    project: Project
    gate: str
    code: str
    open: Callable[[str], None]
    shut: Callable[[], None]
    variables: dict[str, Any] = field(default_factory=dict)


def gated(project: Project, **table: object) -> Project:
    pairs = ", ".join(f"{key} = {_toml(value)}" for key, value in table.items())
    project.configure('from = "testing"', f'from = "testing"\ngates = [{{ {pairs} }}]')
    return project


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


def command(project: Project) -> Iterator[Held]:
    smoke = project.folder / "smoke"
    smoke.write_text('#!/bin/sh\n[ -e good ] && printf \'{"digest": "%s", "state": "passed"}\' "$RELMAN_DIGEST"\n')
    smoke.chmod(0o755)
    gated(project, type="command", name="smoke", argv=["./smoke", "{reference}"], report=True)
    good = project.folder / "good"
    yield Held(project, "smoke", "failed", lambda _id: good.touch(), good.unlink)


def http(project: Project) -> Iterator[Held]:
    state = ["running"]

    def reply(asked: Asked) -> Reply:
        return Reply(200, {}, json.dumps({"digest": asked.path[1:].replace("%3A", ":"), "state": state[0]}).encode())

    with Scripted(reply) as server:
        gated(project, type="http", url=f"{server.url}/{{digest}}", field="state", equals="passed")
        yield Held(
            project,
            "http",
            "other-value",
            lambda _id: state.__setitem__(0, "passed"),
            lambda: state.__setitem__(0, "x"),
        )


def checks(project: Project) -> Iterator[Held]:
    revision = project.history.revisions[1]
    with GitHub() as github:
        gated(
            project, type="checks", forge="github", repository="acme/os", api=github.url, required=["e2e-*"],
            token={"env": "FORGE_TOKEN"},
        )  # fmt: skip
        github.check(project.history.revisions[0], "e2e-base", "success")
        github.check(revision, "build", "success")
        yield Held(
            project,
            "checks",
            "missing-checks",
            lambda _id: github.check(revision, "e2e-base", "success"),
            lambda: github.check(revision, "e2e-base", "failure"),
            {"FORGE_TOKEN": github.token},
        )


def vulnerabilities(project: Project) -> Iterator[Held]:
    def write(severity: str) -> None:
        (project.folder / "reports").mkdir(exist_ok=True)
        for variant in VARIANTS:
            match = {"vulnerability": {"id": "CVE-2026-0001", "severity": severity}, "artifact": {"name": "openssl"}}
            target = {"manifestDigest": project.digests[variant, 1]}
            report = {"matches": [match], "source": {"target": target}, "descriptor": {}}
            (project.folder / "reports" / f"{variant}.json").write_text(json.dumps(report))

    gated(project, type="vulnerabilities", report="reports/{variant}.json", fail_on="high")
    yield Held(project, "vulnerabilities", "no-report", lambda _id: write("Low"), lambda: write("Critical"))


def approvals(project: Project) -> Iterator[Held]:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("`ssh-keygen` is not installed")
    folder = project.folder
    lines = []
    for name in ("ada", "grace"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        lines.append(f"{name} {(folder / name).with_suffix('.pub').read_text()}")
    (folder / "approvers").write_text("".join(lines))
    gated(project, type="approvals", count=2, allowed_signers="approvers", people={"lin": []})

    def sign(id: str) -> None:
        below = folder / "approvals" / id
        below.mkdir(parents=True)
        for name in ("ada", "grace"):
            argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "relman", "-f", str(folder / name)]
            done = subprocess.run(argv, input=f"{id}\n".encode(), check=True, capture_output=True)
            (below / f"{name}.sig").write_bytes(done.stdout)

    yield Held(project, "approvals", "too-few", sign, lambda: shutil.rmtree(folder / "approvals"), LIN)


def reviews(project: Project) -> Iterator[Held]:
    with ReviewedGitHub() as github:
        table: dict[str, Any] = {
            "reviews": True, "from": ["ada", "grace"], "forge": "github", "repository": "acme/os", "api": github.url,
            "token": {"env": "FORGE_TOKEN"}, "people": {"lin": []},
        }  # fmt: skip
        gated(project, type="approvals", name="reviews", **table)
        opened: list[int] = []

        def approve(id: str) -> None:
            text = project.relman("show", "plan.json", "--format", "markdown").stdout
            opened.append(github.pull(text, by="lin", branch=f"release-{id}"))
            github.review(opened[-1], "ada")

        yield Held(
            project,
            "reviews",
            "too-few",
            approve,
            lambda: github.review(opened[-1], "ada", "DISMISSED"),
            {**LIN, "FORGE_TOKEN": github.token},
        )


GATES = {each.__name__: each for each in (command, http, checks, vulnerabilities, approvals, reviews)}


@pytest.fixture(params=GATES)
def held(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[Held]:
    yield from GATES[request.param](workshop.layouts())


def refused(plan: dict[str, Any]) -> set[tuple[str, str]]:
    return {(gate["gate"], gate.get("code", gate["state"])) for gate in plan["gates"] if gate["state"] != "passed"}


def test_the_gate_alone_holds_the_release_back_and_lets_it_through(held: Held) -> None:
    project, variables = held.project, held.variables

    plan = project.plan(**variables)

    assert refused(plan) == {(held.gate, held.code)}
    ran = project.relman("apply", "plan.json", code=6, **variables)
    assert f"gate `{held.gate}`" in ran.stderr
    assert project.builds(*OLD) == OLD
    assert not list(project.folder.glob("releases/stable/*/record.json"))

    held.open(plan["id"])
    project.relman("apply", "plan.json", **variables)

    assert project.builds(*NEW) == NEW
    states = {gate["state"] for gate in project.record["gates"] if gate["gate"] == held.gate}
    assert (project.record["state"], states) == ("finished", {"passed"})


def test_a_gate_that_was_open_when_planning_and_is_shut_now_lets_nothing_through(held: Held) -> None:
    project, variables = held.project, held.variables
    held.open(project.plan(**variables)["id"])
    assert refused(project.plan(**variables)) == set()
    held.shut()

    ran = project.relman("apply", "plan.json", code=6, **variables)

    assert f"gate `{held.gate}`" in ran.stderr
    assert project.builds(*OLD) == OLD


def test_a_release_in_one_go_is_held_back_and_goes_through(held: Held) -> None:
    project, variables = held.project, held.variables
    project.relman("release", "stable", "--yes", code=6, **variables)
    assert project.builds(*OLD) == OLD

    held.open(project.plan(**variables)["id"])
    project.relman("release", "stable", "--yes", **variables)

    assert project.builds(*NEW) == NEW


def test_a_program_that_takes_long_runs_once_in_a_release(workshop: Workshop) -> None:
    project = workshop.layouts()
    smoke = project.folder / "smoke"
    smoke.write_text("#!/bin/sh\necho $RELMAN_VARIANT $RELMAN_DIGEST >> runs\n")
    smoke.chmod(0o755)
    gated(project, type="command", argv=["./smoke"])

    project.relman("release", "stable", "--yes")

    assert (project.folder / "runs").read_text().splitlines() == [f"{v} {project.digests[v, 1]}" for v in VARIANTS]
    assert project.builds(*NEW) == NEW


def test_who_releases_cannot_be_the_one_who_approves(workshop: Workshop) -> None:
    (held,) = approvals(workshop.layouts())
    plan = held.project.plan(**LIN)
    held.open(plan["id"])

    ran = held.project.relman("apply", "plan.json", code=6, GITHUB_ACTOR="Ada")

    assert "`ada` asks for the release" in ran.stderr
    held.project.relman("apply", "plan.json", **LIN)


def test_a_plan_in_markdown_begins_with_the_marker_of_the_release(workshop: Workshop) -> None:
    project = workshop.layouts()
    plan = project.plan()

    ran = project.relman("show", "plan.json", "--format", "markdown")

    assert ran.stdout.splitlines()[0] == release_marker(plan["id"])


def test_status_asks_and_runs_nothing(workshop: Workshop) -> None:
    (held,) = command(workshop.layouts())
    (held.project.folder / "good").touch()

    gates = [
        gate for stream in held.project.relman("status", "--format", "json").json["streams"] for gate in stream["gates"]
    ]

    assert {gate["state"] for gate in gates if gate["gate"] == "smoke"} == {"skipped"}


def test_a_table_that_makes_no_sense_is_a_fault_of_the_configuration(workshop: Workshop, tmp_path: Path) -> None:
    project = gated(workshop.layouts(), type="http", url="https://ci.example", unbound=True)

    ran = project.relman("plan", "stable", code=2)

    assert "an answer that names no digest has to say something" in ran.stderr
