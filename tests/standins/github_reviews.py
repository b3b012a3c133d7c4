"""Pull requests of GitHub and what reviewers say of them, beside what `GitHub` has. Checked by `@octokit/openapi`."""

from __future__ import annotations

from typing import Any

from tests.openapi.sampling import sample
from tests.servers import Reply
from tests.standins.base import Call, on
from tests.standins.github import GitHub

PULLS = "/repos/{owner}/{repo}/pulls"
REVIEWS = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
HEAD = "3e" * 20


class ReviewedGitHub(GitHub):
    """The same repository, with pull requests; the one that changed last comes first."""

    def __init__(self, *, token: str = "composed-github-token") -> None:
        self.pulls: list[dict[str, Any]] = []
        self.reviews: dict[int, list[dict[str, Any]]] = {}
        super().__init__(token=token)

    def pull(self, body: str | None, *, by: str = "bot", branch: str = "main", head: str = HEAD) -> int:
        """A new pull request; its number."""
        number = len(self.pulls) + 1
        made = self._sampled(PULLS)
        made |= {"number": number, "body": body, "user": self._user(by), "state": "open", "title": "composed"}
        made["head"] |= {"ref": branch, "sha": head}
        self.pulls.append(made)
        return number

    def review(self, number: int, by: str, state: str = "APPROVED", *, body: str = "", commit: str = HEAD) -> None:
        """What somebody says of it, after what was said before."""
        made = self._sampled(REVIEWS) | {"id": next(self._ids), "user": self._user(by), "state": state, "body": body}
        said = self.reviews.setdefault(number, [])
        said.append(
            made | {"commit_id": commit, "submitted_at": f"2026-06-24T11:{len(said) // 60:02}:{len(said) % 60:02}Z"}
        )

    @on(f"GET {PULLS}")
    def _pulls(self, call: Call) -> Reply:
        return self._paged(call, self.pulls[::-1])

    @on(f"GET {REVIEWS}")
    def _reviews(self, call: Call) -> Reply:
        number = int(call["pull_number"])
        if number > len(self.pulls):
            return self.unknown(call.asked)
        return self._paged(call, self.reviews.get(number, []))

    def _sampled(self, path: str) -> dict[str, Any]:
        schema = self.description.at("paths", path, "get", "responses", "200", "content", "application/json", "schema")
        made: dict[str, Any] = sample(self.description, schema["items"])
        return made
