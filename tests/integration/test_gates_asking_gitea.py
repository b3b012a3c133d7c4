"""The gates `checks` and `approvals` against a real Gitea, whose API is Forgejo's, too."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from relman.http import Client
from relman.model.gates import GateResult, State
from relman.model.release import release_marker
from relman_plugins.gates import approvals, checks
from tests.gates_asked import ID, answers, candidate, context, hurried, rule
from tests.integration.forge_server import Forge

MARK = release_marker(ID)


@pytest.fixture
def client() -> Iterator[Client]:
    with hurried() as made:
        yield made


def table(forge: Forge, repository: str, **more: object) -> dict[str, Any]:
    return {"forge": "gitea", "repository": repository, "api": f"{forge.url}/api/v1", "token": {"env": "T"}, **more}


def ask_checks(forge: Forge, client: Client, repository: str, commit: str, **more: object) -> GateResult:
    asked = rule("checks", **table(forge, repository, **more))
    (result,) = answers(checks, context(asked, candidate(revision=commit), web=client, environ={"T": forge.token}))
    return result


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([], State.ABSENT),
        (["success"], State.PASSED),
        (["pending"], State.PENDING),
        (["failure"], State.FAILED),
        (["error"], State.FAILED),
        (["warning"], State.SKIPPED),
        (["skipped"], State.SKIPPED),
        (["failure", "success"], State.PASSED),
        (["success", "failure"], State.FAILED),
    ],
)
def test_the_newest_status_of_the_commit_decides(forge: Forge, client: Client, states: list[str], state: State) -> None:
    repository = forge.repository()
    commit = forge.head(repository)
    for one in states:
        forge.status(repository, commit, "e2e", one)

    result = ask_checks(forge, client, repository, commit)

    assert result.state is state, result.reason


def test_more_statuses_than_a_page_has_are_all_read(forge: Forge, client: Client) -> None:
    repository = forge.repository()
    commit = forge.head(repository)
    for number in range(60):
        forge.status(repository, commit, f"n{number:02}", "success" if number else "failure")

    result = ask_checks(forge, client, repository, commit)

    assert (result.state, result.reason) == (State.FAILED, "failed: `n00: failure`")
    forge.status(repository, commit, "n00", "success")
    assert ask_checks(forge, client, repository, commit, minimum=60).state is State.PASSED


def test_a_commit_or_a_repository_that_is_not_there_is_absent(forge: Forge, client: Client) -> None:
    repository = forge.repository()

    assert ask_checks(forge, client, repository, "1f" * 20).state is State.ABSENT
    assert ask_checks(forge, client, "acme/absent", "1f" * 20).code == "unknown-revision"


# ------------------------------------------------------------------------------------------------------ reviews


class Proposal:
    """A pull request by a robot of its own, and people who look at it."""

    def __init__(self, forge: Forge, name: str, branch: str, body: str) -> None:
        self.forge = forge
        self.robot = self.user(f"{name}-bot")
        self.ada = self.user(f"{name}-ada")
        self.repository = forge.repository()
        for one in (self.robot, self.ada):
            forge.call("PUT", f"/repos/{self.repository}/collaborators/{one}", {"permission": "write"})
        self.branch = branch
        self.commit("plan.json", new=True)
        pull = {"head": branch, "base": "main", "title": "release", "body": body}
        self.number = self.call(self.robot, "POST", "pulls", pull)["number"]

    def user(self, name: str) -> str:
        body = {"username": name, "email": f"{name}@example.invalid", "password": "composed-password"}
        self.forge.call("POST", "/admin/users", {**body, "must_change_password": False})
        return name

    def call(self, by: str, method: str, path: str, body: object) -> Any:
        answer = httpx2.request(
            method,
            f"{self.forge.url}/api/v1/repos/{self.repository}/{path}",
            json=body,
            auth=(by, "composed-password"),
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json()

    def commit(self, file: str, *, new: bool = False) -> None:
        body = {"content": base64.b64encode(file.encode()).decode(), "message": file}
        where = {"branch": "main", "new_branch": self.branch} if new else {"branch": self.branch}
        self.call(self.robot, "POST", f"contents/{file}", {**body, **where})

    def review(self, event: str, body: str = "") -> int:
        made: int = self.call(self.ada, "POST", f"pulls/{self.number}/reviews", {"event": event, "body": body})["id"]
        return made

    def ask(self, client: Client) -> GateResult:
        people = {"reviews": True, "from": [self.ada.upper()], "robots": [self.robot]}
        asked = rule("approvals", **table(self.forge, self.repository, **people))
        made = context(asked, web=client, by=self.robot, environ={"T": self.forge.token})
        (result,) = answers(approvals, made)
        return result


def test_a_review_approves_until_it_is_stale_or_dismissed(forge: Forge, client: Client) -> None:
    proposal = Proposal(forge, "one", f"release-{ID}", MARK)
    assert proposal.ask(client).state is State.PENDING

    review = proposal.review("APPROVED")
    assert proposal.ask(client).reason == "1 of 1 approve: `one-ada`"

    proposal.commit("more.txt")
    assert "approved before the pull request changed" in proposal.ask(client).reason

    review = proposal.review("APPROVED")
    assert proposal.ask(client).state is State.PASSED
    forge.call(
        "POST", f"/repos/{proposal.repository}/pulls/{proposal.number}/reviews/{review}/dismissals", {"message": "no"}
    )
    assert "had the review dismissed" in proposal.ask(client).reason


def test_who_asks_for_changes_holds_the_release_back(forge: Forge, client: Client) -> None:
    proposal = Proposal(forge, "two", f"release-{ID}", f"{MARK}\n## Release")
    proposal.review("APPROVED")
    proposal.review("REQUEST_CHANGES", "not today")

    assert proposal.ask(client).code == "changes-requested"


def test_on_a_branch_of_any_name_the_review_has_to_name_the_release(forge: Forge, client: Client) -> None:
    proposal = Proposal(forge, "three", "next", MARK)
    proposal.review("APPROVED")
    assert proposal.ask(client).state is State.PENDING

    proposal.review("APPROVED", f"good: {ID}")

    assert proposal.ask(client).state is State.PASSED
