"""A forum and three chats in a whole release: posted once whatever breaks, corrected, taken back; no secret is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.chat_cases import CASES, Case
from tests.integration.driver import Project, Workshop
from tests.servers import Reply, once
from tests.standins.faults import lose
from tests.test_chats_contract import written

VERSION = "stable-20260624"


@dataclass
class Town:
    """Every service, its channel named by its case, with the variables that hold the secrets."""

    servers: dict[str, Any]

    @property
    def tables(self) -> str:
        return "\n".join(written(self.table(name, case)) for name, case in CASES.items())

    def table(self, name: str, case: Case) -> dict[str, object]:
        own = {"type": case.type, "name": name, "streams": ["stable"], "required": True}
        entries = {**own, **case.table(self.servers[name])}
        return {key: {"env": _variable(name)} if isinstance(value, dict) else value for key, value in entries.items()}

    @property
    def variables(self) -> dict[str, Any]:
        return {_variable(name): case.secret(self.servers[name]) for name, case in CASES.items()}

    @property
    def posts(self) -> dict[str, int]:
        return {name: len(case.posts(self.servers[name])) for name, case in CASES.items()}


def _variable(name: str) -> str:
    return f"SECRET_{name.replace('-', '_').upper()}"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("chats"), "")


@pytest.fixture
def town() -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town({name: stack.enter_context(case.server()) for name, case in CASES.items()})


def states(project: Project) -> dict[str, str]:
    announced = [one for one in project.record["receipts"] if one["action"].partition(":")[2] in CASES]
    return {one["action"].partition(":")[2]: one["state"] for one in announced}


def test_a_release_is_posted_once_everywhere_corrected_and_taken_back(workshop: Workshop, town: Town) -> None:
    project = workshop.layouts(town.tables)
    project.plan(**town.variables)
    project.relman("apply", "plan.json", **town.variables)
    project.relman("apply", "plan.json", **town.variables)

    assert (town.posts, states(project)) == (dict.fromkeys(CASES, 1), dict.fromkeys(CASES, "done"))
    for name, case in CASES.items():
        shown = project.relman("show", "plan.json", "--channel", name).stdout
        assert case.posts(town.servers[name])[0].strip() in shown

    same = project.relman("announce", VERSION, "--edit", "--yes", **town.variables)
    assert "says what it would say today" in same.stderr
    correctable = [name for name, case in CASES.items() if case.edits]
    chosen = [word for name in correctable for word in ("--channel", name)]
    (project.folder / "templates").mkdir()
    (project.folder / "templates" / "post.md.j2").write_text("Corrected: {{ version | md }}\n")
    project.relman("announce", VERSION, "--edit", *chosen, "--yes", **town.variables)
    project.relman("announce", VERSION, "--edit", *chosen, "--yes", **town.variables)
    for name in correctable:
        assert name == "discourse" or "Corrected" in CASES[name].posts(town.servers[name])[0]
    assert town.posts == dict.fromkeys(CASES, 1)

    project.relman("announce", VERSION, "--withdraw", *chosen, "--yes", **town.variables)
    assert town.posts == {name: int(name not in correctable) for name in CASES}


def test_where_every_answer_is_lost_what_can_be_found_is_done_and_the_rest_is_unknown(
    workshop: Workshop, town: Town
) -> None:
    for server in town.servers.values():
        server.faults.append(once("^POST", lose))
    project = workshop.layouts(town.tables)
    project.plan(**town.variables)

    for arguments in (("apply", "plan.json"), ("resume",), ("apply", "plan.json")):
        ran = project.relman(*arguments, code=4, **town.variables)
        assert "discord:discord" in ran.stderr

    assert town.posts == dict.fromkeys(CASES, 1)
    assert states(project) == {name: "done" if case.finds else "unknown" for name, case in CASES.items()}
    for one in project.record["receipts"]:
        assert one["state"] != "unknown" or "cannot" in one["detail"]


def test_no_secret_is_in_any_output_file_or_argument(workshop: Workshop, town: Town, tmp_path: Path) -> None:
    """Every service repeats what it was sent, and what it knows of who asks."""

    def echoing(name: str) -> Any:
        secret = CASES[name].secret(town.servers[name])

        def answer(_forward: object) -> Reply:
            words = f"{'x' * 170} {secret} {quote(secret, safe='')}"
            document = {"message": words, "description": words, "error": words, "errors": [words], "ok": False}
            return Reply(400, {}, json.dumps(document).encode())

        return answer

    for name, server in town.servers.items():
        server.faults.append(once(".", echoing(name), times=99))
    variables: dict[str, Any] = {**town.variables, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    project = workshop.layouts(town.tables)
    texts: list[str] = []
    for arguments, code in (
        (("plan", "stable", "-o", "plan.json"), 0),
        (("apply", "plan.json"), 4),
        (("resume",), 4),
        (("announce", VERSION, "--yes"), 4),
        (("records", "show", VERSION), 0),
        (("status",), 0),
    ):
        ran = project.relman(*arguments, "--verbose", code=code, **variables)
        texts += [ran.stdout, ran.stderr]
    assert all(server.asked for server in town.servers.values())
    files = [path for path in (*project.folder.rglob("*"), *tmp_path.rglob("*")) if path.is_file()]
    texts += [path.read_bytes().decode(errors="replace") for path in files if "images" not in path.parts]

    for secret in town.variables.values():
        last = secret.rpartition("/")[2]
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), last, last[-16:]):
            assert [text[:300] for text in texts if form in text] == [], form
