"""Every state that each gate which asks others can answer with, and that of them all only `passed` opens."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from relman.model.gates import GateResult, State
from relman.model.oci import Digest
from relman.walk.gating import closed, settle
from relman_plugins.gates import approvals, checks, command, http, vulnerabilities
from tests.documents import ROOT, rows, sections
from tests.gates_asked import ID, NOON, OS, REVISION, answers, context, hurried, rule
from tests.servers import Asked, Reply, Scripted

DIGEST = str(OS.image.digest)


@dataclass(frozen=True)
class Case:
    """How a gate is asked: its table, what is in the folder, what a server answers, and whether images were read."""

    table: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    reply: Reply | None = None
    read: bool = True


def program(text: str) -> Case:
    return Case({"argv": ["./smoke"], "pending": [75], "timeout": "1s"}, {"smoke": f"#!/bin/sh\n{text}\n"})


def service(status: int = 200, **fields: object) -> Case:
    body = json.dumps({"digest": DIGEST, "state": "passed", **fields}).encode()
    return Case({"field": "state", "equals": "passed", "pending": [202]}, reply=Reply(status, {}, body))


def forge(*runs: dict[str, object], status: int = 200) -> Case:
    whole = [
        {"id": n, "head_sha": REVISION, "name": f"n{n}", "status": "completed", **one} for n, one in enumerate(runs)
    ]
    body = {"check_runs": whole, "sha": REVISION, "statuses": []}
    document = json.dumps(body).encode()
    return Case({"forge": "github", "repository": "acme/os"}, reply=Reply(status, {}, document))


def scan(severity: str | None, **table: object) -> Case:
    match = {"vulnerability": {"id": "CVE-2026-0001", "severity": severity}, "artifact": {"name": "openssl"}}
    target = {"manifestDigest": DIGEST}
    report = {"matches": [match] if severity else [], "source": {"target": target}, "descriptor": {}}
    return Case({"report": "report.json", **table}, {"report.json": json.dumps(report)})


SIGNED = {"allowed_signers": "approvers", "robots": ["ada"]}
REVIEWED = {"reviews": True, "from": ["grace"], "robots": ["ada"], "forge": "github", "repository": "acme/os"}


def reviewed(state: str | None, status: int = 200) -> Case:
    """One answer for pull requests and their reviews alike, which the gate reads as either."""
    both = {
        "number": 1, "body": f"<!-- relman:release:{ID} -->", "user": {"login": "ada"}, "head": {"sha": "x", "ref": ID},
        "id": 1, "state": state, "commit_id": "x",
    }  # fmt: skip
    as_review = {**both, "user": {"login": "grace"}}
    return Case(REVIEWED, {"pull": json.dumps(both), "review": json.dumps(as_review)}, Reply(status))


GATES: dict[str, tuple[ModuleType, dict[State, Case]]] = {
    "command": (
        command,
        {
            State.PASSED: program("exit 0"),
            State.FAILED: program("exit 1"),
            State.PENDING: program("exit 75"),
            State.ERROR: program("sleep 600"),
            State.SKIPPED: dataclasses.replace(program("exit 0"), read=False),
        },
    ),
    "http": (
        http,
        {
            State.PASSED: service(),
            State.FAILED: service(state="failed"),
            State.PENDING: service(202),
            State.ERROR: service(digest=str(Digest.of(b"another build"))),
            State.ABSENT: service(404),
        },
    ),
    "checks": (
        checks,
        {
            State.PASSED: forge({"conclusion": "success"}),
            State.FAILED: forge({"conclusion": "failure"}),
            State.PENDING: forge({"status": "queued"}),
            State.ERROR: forge(status=500),
            State.ABSENT: forge(),
            State.SKIPPED: forge({"conclusion": "skipped"}),
        },
    ),
    "vulnerabilities": (
        vulnerabilities,
        {
            State.PASSED: scan("Low"),
            State.FAILED: scan("High"),
            State.ERROR: scan("Low", max_age="1d"),
            State.ABSENT: scan(None),
            State.SKIPPED: Case({"argv": ["./scan"]}, read=False),
        },
    ),
    "approvals": (
        approvals,
        {
            State.PASSED: reviewed("APPROVED"),
            State.FAILED: reviewed("CHANGES_REQUESTED"),
            State.PENDING: reviewed("COMMENTED"),
            State.ERROR: reviewed("APPROVED", 500),
            State.ABSENT: Case(SIGNED),
        },
    ),
}
NEVER = {
    ("command", State.ABSENT): "a program that is not there is an error, and one that is asked answers",
    ("http", State.SKIPPED): "it is asked also for a look at where things stand",
    ("vulnerabilities", State.PENDING): "a report is there, or it is not",
    ("approvals", State.SKIPPED): "it is asked also for a look at where things stand",
}


@contextmanager
def asked(gate: str, case: Case, folder: Path) -> Iterator[list[GateResult]]:
    """What the gate says of the image."""
    for name, text in case.files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    def reply(request: Asked) -> Reply:
        assert case.reply is not None
        if gate != "approvals":
            return case.reply
        which = "review" if "/reviews" in request.path else "pull"
        held = f"[{case.files[which]}]" if "page=1" in request.path else "[]"
        return dataclasses.replace(case.reply, body=held.encode())

    with Scripted(reply) as server, hurried() as web:
        table = dict(case.table)
        if case.reply is not None:
            table["url" if gate == "http" else "api"] = server.url
        plugin, _ = GATES[gate]
        yield answers(plugin, context(rule(gate, **table), folder=folder, web=web, read=case.read))


ROWS = [(gate, state) for gate, (_, cases) in GATES.items() for state in cases]


@pytest.mark.parametrize(("gate", "state"), ROWS)
def test_each_state_is_answered_bound_to_the_digest_and_only_passed_opens(
    gate: str, state: State, tmp_path: Path
) -> None:
    with asked(gate, GATES[gate][1][state], tmp_path) as results:
        (result,) = results

    assert (result.state, result.digest, result.variant) == (state, OS.image.digest, "os"), result.reason
    (settled,) = settle([rule(gate)], [OS], results, {})
    assert (closed([settled], (), NOON) == ()) == (state is State.PASSED)
    assert result.reason
    assert (result.code == "") == (state is State.PASSED)


def test_the_table_has_every_gate_with_every_state_or_says_why_there_is_none() -> None:
    assert set(ROWS) | set(NEVER) == {(gate, state) for gate in GATES for state in State}
    assert not set(ROWS) & set(NEVER)


@pytest.mark.parametrize("gate", GATES)
def test_what_was_said_of_another_build_does_not_open(gate: str, tmp_path: Path) -> None:
    with asked(gate, GATES[gate][1][State.PASSED], tmp_path) as results:
        rebuilt = replace(OS, image=replace(OS.image, reference=OS.image.reference.at(Digest.of(b"rebuilt"))))

    (settled,) = settle([rule(gate)], [rebuilt], results, {})

    assert (settled.state, settled.code) == (State.ERROR, "other-digest")


@pytest.mark.parametrize("gate", ["http", "checks", "approvals"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"Content-Type": "text/html"}, b"<html><form action=/login>"),
        Reply(200),
        Reply(200, {}, b'{"digest": "'),
        Reply(200, {}, b'{"state": "passed", "state": "passed"}'),
        Reply(200, {}, b"[" * 1_000_000),
        Reply(200, {}, b"[" + b"1," * 5_000_000 + b"1]"),
        Reply(302, {"Location": "/elsewhere"}),
        Reply(302, {"Location": "file:///etc/passwd"}),
        Reply(500),
        Reply(reset=True),
    ],
    ids=["a login page", "nothing", "cut", "a key twice", "deep", "long", "a circle", "to a file", "broken", "reset"],
)
def test_an_answer_that_says_nothing_opens_no_gate(gate: str, reply: Reply, tmp_path: Path) -> None:
    tables = {"http": {}, "checks": forge().table, "approvals": REVIEWED}
    with Scripted(lambda request: reply) as server, hurried() as web:
        table = {**tables[gate], "url" if gate == "http" else "api": server.url}
        plugin, _ = GATES[gate]
        (result,) = answers(plugin, context(rule(gate, **table), folder=tmp_path, web=web))

    assert result.state is State.ERROR, result.reason


# ---------------------------------------------------------------------------------------------- time boundaries


def signed(folder: Path, until: str) -> Callable[[Any], State]:
    """A release that is signed with a key which is good until then."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (folder / "approvers").write_text(f'grace valid-before="{until}" {key.with_suffix(".pub").read_text()}')
    (folder / "approvals" / ID).mkdir(parents=True)
    argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "relman", "-f", str(key)]
    done = subprocess.run(argv, input=f"{ID}\n".encode(), check=True, capture_output=True)
    (folder / "approvals" / ID / "grace.sig").write_bytes(done.stdout)

    def at(now: Any) -> State:
        (result,) = answers(approvals, context(rule("approvals", **SIGNED), folder=folder, now=now))
        return result.state

    return at


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="`ssh-keygen` is not installed")
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"])
def test_a_key_expires_at_the_same_moment_wherever_that_is_looked_at(
    tmp_path: Path, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    at = signed(tmp_path, "20261025013000")  # an hour that Berlin has twice

    states = [at(NOON.replace(month=10, day=25, hour=1, minute=30) + timedelta(seconds=s)) for s in (-1, 0, 1)]

    assert states == [State.PASSED, State.PASSED, State.PENDING]


# ------------------------------------------------------------------------------------------------- what is listed

SOURCES = Path(str(command.__file__)).parent
SHARED = {
    "unreachable", "unreadable", "not-json", "empty-report", "unequipped", "not-answered", "unfit", "rate-limited",
    "refused", "cut",
}  # fmt: skip
"""Codes of what several gates have in common."""


def codes_in(*paths: Path) -> set[str]:
    """Every code that stands in these modules as a code: an argument of a verdict, or of what makes one."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            texts: list[ast.expr] = []
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Verdict", "verdict", "_file"):
                texts = node.args[1:]
            elif isinstance(node, ast.Tuple):
                texts = node.elts
            elif isinstance(node, ast.IfExp):
                texts = [node.body, node.orelse]
            words = [text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str)]
            found |= {word for word in words if re.fullmatch(r"[a-z]+(-[a-z]+)+", word)}
    return found


@pytest.mark.parametrize("gate", GATES)
def test_every_code_of_a_gate_is_explained(gate: str) -> None:
    folder = SOURCES / gate
    own = codes_in(*(sorted(folder.glob("*.py")) if folder.is_dir() else [SOURCES / f"{gate}.py"]))
    everywhere = codes_in(SOURCES / "verdict.py", *sorted((SOURCES / "asking").glob("*.py")))
    page = sections(ROOT / "docs" / "gates.md")

    listed = {
        code for row in rows(page[f"Type {gate}"]) if len(row) == 2 for code in re.findall(r"`([a-z-]+)`", row[0])
    }
    shared = {code for row in rows(page["What holds for all of them"]) for code in re.findall(r"`([a-z-]+)`", row[0])}

    assert own - SHARED <= listed
    assert everywhere - listed - {"not-read"} <= shared | SHARED
