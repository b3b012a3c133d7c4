"""The gate `checks`: what CI says of the commit, on forges that answer well, badly, and not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from relman.http import Client
from relman.model.gates import State
from relman.plugin import Secret
from relman_plugins.gates import checks
from relman_plugins.gates.asking.forge import forge_of
from relman_plugins.gates.checks.judge import Check, ChecksSettings, Outcome, judge, newest
from tests.gates_asked import AMD, ARM, NOON, OS, REVISION, answers, candidate, context, hurried, rule, said
from tests.servers import Asked, Reply, Scripted
from tests.standins.github import GitHub

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def check(
    name: str,
    outcome: Outcome = Outcome.PASSED,
    *,
    at: datetime | None = NOON - HOUR,
    order: int = 1,
    commit: str = REVISION,
    source: str = "ci",
) -> Check:
    return Check(source, name, outcome, outcome.value, at, (order, ""), commit)


FAILED, RUNNING, NEUTRAL, SKIPPED = Outcome.FAILED, Outcome.RUNNING, Outcome.NEUTRAL, Outcome.SKIPPED
E2E = {"required": ["build", "e2e-*"]}

TABLE: dict[str, tuple[list[Check], dict[str, Any], State, str]] = {
    "nothing": ([], {}, State.ABSENT, "no-checks"),
    "all ignored": ([check("lint")], {"ignore": ["lint"]}, State.ABSENT, "no-checks"),
    "one": ([check("build")], {}, State.PASSED, ""),
    "one failed": ([check("build"), check("e2e", FAILED)], {}, State.FAILED, "failed-checks"),
    "one failed, ignored": ([check("build"), check("e2e", FAILED)], {"ignore": ["e*"]}, State.PASSED, ""),
    "one runs": ([check("build"), check("e2e", RUNNING)], {}, State.PENDING, "still-running"),
    "failed and running": ([check("build", FAILED), check("e2e", RUNNING)], {}, State.FAILED, "failed-checks"),
    "skipped": ([check("build"), check("e2e", SKIPPED)], {}, State.SKIPPED, "skipped-checks"),
    "only skipped": ([check("e2e", SKIPPED)], {}, State.SKIPPED, "skipped-checks"),
    "neutral": ([check("e2e", NEUTRAL)], {}, State.SKIPPED, "skipped-checks"),
    "neutral accepted": ([check("e2e", NEUTRAL)], {"accept": ["neutral"]}, State.PASSED, ""),
    "skipped is not neutral": ([check("e2e", SKIPPED)], {"accept": ["neutral"]}, State.SKIPPED, "skipped-checks"),
    "skipped accepted": ([check("e2e", SKIPPED)], {"accept": ["skipped"]}, State.PASSED, ""),
    "all required": ([check("build"), check("e2e-1"), check("e2e-2")], E2E, State.PASSED, ""),
    "a pattern without a match": ([check("build")], E2E, State.ABSENT, "missing-checks"),
    "a name is no pattern": ([check("build-2"), check("e2e-1")], E2E, State.ABSENT, "missing-checks"),
    "required runs": ([check("build"), check("e2e-1", RUNNING)], E2E, State.PENDING, "still-running"),
    "another runs": ([check("build"), check("e2e-1"), check("release", RUNNING)], E2E, State.PASSED, ""),
    "another was skipped": ([check("build"), check("e2e-1"), check("docs", SKIPPED)], E2E, State.PASSED, ""),
    "another failed": ([check("build"), check("e2e-1"), check("audit", FAILED)], E2E, State.FAILED, "failed-checks"),
    "required, skipped": ([check("build"), check("e2e-1", SKIPPED)], E2E, State.SKIPPED, "skipped-checks"),
    "too few": ([check("build")], {"minimum": 2}, State.ABSENT, "too-few"),
    "just enough": ([check("build"), check("e2e")], {"minimum": 2}, State.PASSED, ""),
    "others do not count": (
        [check("build"), check("x")],
        {"required": ["build"], "minimum": 2},
        State.ABSENT,
        "too-few",
    ),
    "of the last second": ([check("build", at=NOON - 7 * DAY)], {"max_age": "7d"}, State.PASSED, ""),
    "a second too old": (
        [check("build", at=NOON - 7 * DAY - timedelta(seconds=1))],
        {"max_age": "7d"},
        State.FAILED,
        "stale",
    ),
    "one of two too old": ([check("a"), check("b", at=NOON - 8 * DAY)], {"max_age": "7d"}, State.FAILED, "stale"),
    "without a time": ([check("build", at=None)], {"max_age": "7d"}, State.ERROR, "no-date"),
    "time does not matter": ([check("build", at=None)], {}, State.PASSED, ""),
    "from the future": ([check("build", at=NOON + HOUR)], {"max_age": "7d"}, State.ERROR, "no-date"),
    "a clock ahead": ([check("build", at=NOON + timedelta(minutes=5))], {"max_age": "7d"}, State.PASSED, ""),
    "of another commit": ([check("build"), check("e2e", commit="2e" * 20)], {}, State.ERROR, "other-commit"),
    "of another commit, ignored": ([check("e2e", commit="2e" * 20)], {"ignore": ["*"]}, State.ERROR, "other-commit"),
    "run again": ([check("e2e", FAILED, order=1), check("e2e", order=2)], {}, State.PASSED, ""),
    "run again, in any order": ([check("e2e", order=2), check("e2e", FAILED, order=1)], {}, State.PASSED, ""),
    "run again, and failed": (
        [check("e2e", order=1), check("e2e", FAILED, order=2)],
        {},
        State.FAILED,
        "failed-checks",
    ),
    "runs again": ([check("e2e", order=1), check("e2e", RUNNING, order=2)], {}, State.PENDING, "still-running"),
    "of two sources": ([check("e2e"), check("e2e", FAILED, source="other")], {}, State.FAILED, "failed-checks"),
}


@pytest.mark.parametrize("case", TABLE)
def test_only_checks_that_passed_for_this_commit_open(case: str) -> None:
    given, table, state, code = TABLE[case]

    verdict = judge(given, REVISION, ChecksSettings.model_validate(table), NOON)

    assert (verdict.state, verdict.code) == (state, code), verdict.reason


def test_a_refusal_names_the_checks_and_what_would_help() -> None:
    verdict = judge([check("build"), check("e2e\x1b[31m", FAILED)], REVISION, ChecksSettings(), NOON)

    assert (verdict.reason, verdict.needs) == ("failed: `e2e�[31m: failed`", "a new run that passes")
    row = {"name": "build", "source": "ci", "said": "passed", "at": "2026-06-24T11:00:00Z"}
    assert verdict.evidence == {
        "revision": REVISION,
        "checks": [row, {**row, "name": "e2e�[31m", "said": "failed"}],
    }


def test_evidence_of_a_thousand_checks_is_bounded() -> None:
    verdict = judge([check(f"n{number:04}") for number in range(1000)], REVISION, ChecksSettings(), NOON)

    shown = verdict.evidence["checks"]
    assert isinstance(shown, list)
    assert (verdict.state, len(shown), verdict.evidence["not_shown"]) == (State.PASSED, 100, 900)
    assert len(verdict.reason) < 300


def test_the_newest_run_is_told_by_its_number() -> None:
    assert newest([check("a", order=10), check("a", FAILED, order=9)]) == [check("a", order=10)]


# ------------------------------------------------------------------------------------------------------- forges


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        yield server


@pytest.fixture
def client() -> Iterator[Client]:
    with hurried() as made:
        yield made


def ask(server: Scripted, client: Client, *, environ: dict[str, str] | None = None, **table: object) -> Any:
    asked = rule("checks", **{"forge": "github", "repository": "acme/os", "api": server.url, **table})
    (result,) = answers(checks, context(asked, web=client, environ=environ))
    return result


def test_github_is_asked_for_check_runs_and_statuses_of_the_commit(github: GitHub, client: Client) -> None:
    github.check(REVISION, "build", "success")
    github.check("2e" * 20, "build", "failure")
    github.status(REVISION, "openqa", "success")

    result = ask(github, client, required=["build", "openqa"])

    assert (result.state, result.reason, result.digest) == (
        State.PASSED,
        "passed: `build`, `openqa`",
        OS.image.digest,
    )
    assert github.lines == [
        f"GET /repos/acme/os/commits/{REVISION}/check-runs?filter=latest&per_page=50&page=1",
        f"GET /repos/acme/os/commits/{REVISION}/status?per_page=50&page=1",
    ]


@pytest.mark.parametrize(
    ("conclusion", "state", "code"),
    [
        ("success", State.PASSED, ""),
        ("failure", State.FAILED, "failed-checks"),
        ("cancelled", State.FAILED, "failed-checks"),
        ("timed_out", State.FAILED, "failed-checks"),
        ("action_required", State.FAILED, "failed-checks"),
        ("neutral", State.SKIPPED, "skipped-checks"),
        ("skipped", State.SKIPPED, "skipped-checks"),
        (None, State.PENDING, "still-running"),
    ],
)
def test_of_githubs_conclusions_only_success_opens(
    github: GitHub, client: Client, conclusion: str | None, state: State, code: str
) -> None:
    github.check(REVISION, "e2e", conclusion)

    assert said([ask(github, client)]) == [(state, code)]


@pytest.mark.parametrize(
    ("status", "state"),
    [("success", State.PASSED), ("pending", State.PENDING), ("failure", State.FAILED), ("error", State.FAILED)],
)
def test_of_githubs_statuses_only_success_opens(github: GitHub, client: Client, status: str, state: State) -> None:
    github.status(REVISION, "openqa", status)

    assert ask(github, client).state is state


def test_a_commit_that_nothing_checked_is_absent(github: GitHub, client: Client) -> None:
    assert said([ask(github, client)]) == [(State.ABSENT, "no-checks")]


def test_all_pages_are_read_so_that_what_failed_on_the_last_one_counts(github: GitHub, client: Client) -> None:
    for number in range(120):
        github.check(REVISION, f"n{number:03}", "success")
    github.check(REVISION, "last", "failure")

    result = ask(github, client)

    assert (result.state, result.reason) == (State.FAILED, "failed: `last: failure`")
    assert sum("check-runs" in line for line in github.lines) == 3


def test_a_token_is_sent_to_the_forge_and_stands_nowhere_else(github: GitHub, client: Client) -> None:
    github.check(REVISION, "e2e", "success")

    result = ask(github, client, token=Secret(env="T").model_dump(), environ={"T": github.token})

    assert result.state is State.PASSED
    assert github.asked[0].headers["authorization"] == f"Bearer {github.token}"
    assert github.token not in repr(result)


def test_a_token_that_is_not_set_or_wrong_closes(github: GitHub, client: Client) -> None:
    token = {"env": "T"}

    assert said([ask(github, client, token=token)]) == [(State.ERROR, "unequipped")]
    assert said([ask(github, client, token=token, environ={"T": "another-token"})]) == [(State.ERROR, "refused")]


def test_a_token_is_not_sent_without_tls(client: Client) -> None:
    asked = rule("checks", repository="acme/os", api="http://forge.example", forge="github", token={"env": "T"})

    (result,) = answers(checks, context(asked, web=client, environ={"T": "composed-token"}))

    assert result.reason == "`http://forge.example` would get the token without TLS"


@pytest.mark.parametrize(
    ("label", "code"),
    [(None, "no-revision"), ("dedbeef", "no-revision"), ("../../x", "no-revision"), ("1F" * 20, "no-revision")],
)
def test_an_image_that_names_no_commit_is_absent_and_nothing_is_asked(
    github: GitHub, client: Client, label: str | None, code: str
) -> None:
    asked = context(rule("checks", forge="github", api=github.url), candidate(revision=label), web=client)

    assert said(answers(checks, asked)) == [(State.ABSENT, code)]
    assert github.asked == []


def test_platforms_of_different_commits_are_refused(client: Client) -> None:
    odd = candidate(platforms=[AMD, ARM], revisions=[REVISION, "2e" * 20])

    assert said(answers(checks, context(rule("checks"), odd, web=client))) == [(State.FAILED, "several-revisions")]


def test_images_of_one_commit_are_asked_about_once(github: GitHub, client: Client) -> None:
    github.check(REVISION, "e2e", "success")
    asked = context(rule("checks", api=github.url), candidate("os"), candidate("dx"), web=client)

    assert [(one.variant, one.state) for one in answers(checks, asked)] == [
        ("os", State.PASSED),
        ("dx", State.PASSED),
    ]
    assert len(github.asked) == 2


# ------------------------------------------------------------------------------------------------ hostile answers


def run(**changed: object) -> dict[str, object]:
    return {
        "id": 1, "name": "e2e", "head_sha": REVISION, "status": "completed", "conclusion": "success",
        "started_at": "2026-06-24T10:00:00Z", "completed_at": "2026-06-24T11:00:00Z", "app": {"slug": "ci"}, **changed,
    }  # fmt: skip


def pages(runs: object, total: object = None, **first: object) -> Callable[[Asked], Reply]:
    def reply(asked: Asked) -> Reply:
        if "check-runs" in asked.path:
            page = runs if "page=1" in asked.path else []
            count = len(runs) if total is None and isinstance(runs, list) else total
            return Reply(200, {}, json.dumps({"total_count": count, "check_runs": page, **first}).encode())
        return Reply(200, {}, json.dumps({"sha": REVISION, "statuses": [], "total_count": 0}).encode())

    return reply


def always(reply: Reply) -> Callable[[Asked], Reply]:
    return lambda asked: reply


HTML = Reply(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Sign in</title>")
MILLION = b'{"total_count": 9, "check_runs": [' + b",".join([b"{}"] * 3_000_000) + b"]}"
HOSTILE: dict[str, tuple[Callable[[Asked], Reply], State, str]] = {
    "good": (pages([run()]), State.PASSED, ""),
    "a login page with 200": (always(HTML), State.ERROR, "not-json"),
    "nothing with 200": (always(Reply(200)), State.ERROR, "empty-report"),
    "cut JSON": (always(Reply(200, {}, b'{"total_count": 1, "check_runs": [{"id"')), State.ERROR, "unreadable"),
    "a key twice": (always(Reply(200, {}, b'{"check_runs": [], "check_runs": []}')), State.ERROR, "unreadable"),
    "nested without end": (always(Reply(200, {}, b"[" * 100_000)), State.ERROR, "unreadable"),
    "larger than is read": (always(Reply(200, {}, MILLION)), State.ERROR, "unreadable"),
    "a list": (always(Reply(200, {}, b"[]")), State.ERROR, "unreadable"),
    "without the list": (always(Reply(200, {}, b'{"total_count": 0}')), State.ERROR, "unreadable"),
    "entries that are none": (pages([1, 2]), State.ERROR, "unreadable"),
    "a check without a name": (pages([run(name=None)]), State.ERROR, "unreadable"),
    "another commit": (pages([run(head_sha="2e" * 20)]), State.ERROR, "other-commit"),
    "a state nobody knows": (pages([run(conclusion="splendid")]), State.FAILED, "failed-checks"),
    "completed with nothing": (pages([run(conclusion=None)]), State.FAILED, "failed-checks"),
    "less than it says": (pages([run()], 2), State.ERROR, "cut"),
    "a number that is none": (pages([run()], "many"), State.ERROR, "unreadable"),
    "404": (always(Reply(404, {}, b"{}")), State.ABSENT, "unknown-revision"),
    "422": (always(Reply(422, {}, b'{"message": "No commit found for SHA"}')), State.ABSENT, "unknown-revision"),
    "401": (always(Reply(401, {}, b"{}")), State.ERROR, "refused"),
    "500": (always(Reply(500)), State.ERROR, "unreachable"),
    "204": (always(Reply(204)), State.ERROR, "unreachable"),
    "no answer": (always(Reply(reset=True)), State.ERROR, "unreachable"),
    "half an answer": (always(Reply(200, {}, b'{"total_count": 1}', cut=5)), State.ERROR, "unreachable"),
    "a redirect in a circle": (always(Reply(302, {"Location": "/again"})), State.ERROR, "unreadable"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_answer_that_is_no_answer_does_not_open(client: Client, case: str) -> None:
    script, state, code = HOSTILE[case]
    with Scripted(script) as server:
        result = ask(server, client)

    assert said([result]) == [(state, code)], result.reason
    assert len(result.reason) < 400


def test_a_short_page_is_not_the_last_where_the_forge_says_so(client: Client) -> None:
    def reply(asked: Asked) -> Reply:
        last = asked.path.endswith("&page=2")
        link = {} if last else {"Link": f'<{asked.path}>; rel="next"'}
        return Reply(200, link, json.dumps([job(id=2, name="last", status="failed") if last else job()]).encode())

    with Scripted(reply) as server:
        assert ask(server, client, forge="gitlab").reason == "failed: `last: failed`"


def test_a_list_without_end_is_given_up(client: Client) -> None:
    link = {"Link": '<https://elsewhere.example/next>; rel="next"'}
    body = json.dumps({"total_count": 10**6, "check_runs": [run(id=n, name=f"n{n}") for n in range(50)]}).encode()
    with Scripted(always(Reply(200, link, body))) as server:
        result = ask(server, client)

        assert said([result]) == [(State.ERROR, "cut")]
        assert len(server.asked) == 20


@pytest.mark.parametrize(
    ("status", "headers", "at"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1782306000"}, NOON + HOUR),
        (403, {"Retry-After": "120"}, NOON + timedelta(minutes=2)),
        (429, {"Retry-After": "60"}, NOON + timedelta(minutes=1)),
        (429, {}, None),
        (429, {"Retry-After": "9" * 40, "X-RateLimit-Reset": "9" * 40}, None),
    ],
)  # fmt: skip
def test_a_forge_that_was_asked_too_often_says_when_it_answers_again(
    client: Client, status: int, headers: dict[str, str], at: datetime | None
) -> None:
    with Scripted(always(Reply(status, headers, b"{}"))) as server:
        result = ask(server, client)

        assert len(server.asked) == 1 or at is None
    assert (result.state, result.code, result.at) == (State.ERROR, "rate-limited", at)


def test_a_redirect_is_followed_and_gets_no_token(client: Client) -> None:
    with (
        Scripted(pages([run()])) as there,
        Scripted(lambda asked: Reply(301, {"Location": there.url + asked.path})) as here,
    ):
        result = ask(here, client, token={"env": "T"}, environ={"T": "composed-token"})

        assert result.state is State.PASSED
        assert [asked.headers.get("authorization") for asked in there.asked] == [None, None]


# ------------------------------------------------------------------------------------------------ GitLab, Forgejo


def job(**changed: object) -> dict[str, object]:
    return {
        "id": 1, "sha": REVISION, "ref": "main", "status": "success", "name": "e2e", "target_url": None,
        "description": None, "created_at": "2026-06-24T10:00:00.355Z", "started_at": None,
        "finished_at": "2026-06-24T11:00:00.355Z", "allow_failure": False, "coverage": None, **changed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("jobs", "state", "code"),
    [
        ([job()], State.PASSED, ""),
        ([], State.ABSENT, "no-checks"),
        ([job(status="failed")], State.FAILED, "failed-checks"),
        ([job(status="failed", allow_failure=True)], State.SKIPPED, "skipped-checks"),
        ([job(status="canceled")], State.FAILED, "failed-checks"),
        ([job(status="skipped")], State.SKIPPED, "skipped-checks"),
        ([job(status="manual")], State.SKIPPED, "skipped-checks"),
        ([job(status="running")], State.PENDING, "still-running"),
        ([job(status="scheduled")], State.PENDING, "still-running"),
        ([job(status="splendid")], State.FAILED, "failed-checks"),
        ([job(sha="2e" * 20)], State.ERROR, "other-commit"),
        ([job(status="failed"), job(id=2)], State.PASSED, ""),
        ([job(id=2, status="failed"), job()], State.FAILED, "failed-checks"),
    ],
)
def test_gitlab_is_asked_for_the_jobs_and_statuses_of_the_commit(
    client: Client, jobs: list[dict[str, object]], state: State, code: str
) -> None:
    with Scripted(always(Reply(200, {"X-Total": str(len(jobs))}, json.dumps(jobs).encode()))) as server:
        result = ask(server, client, forge="gitlab", repository="group/sub/os")

        assert said([result]) == [(state, code)]
        assert server.lines == [
            f"GET /projects/group%2Fsub%2Fos/repository/commits/{REVISION}/statuses?per_page=50&page=1"
        ]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("success", State.PASSED),
        ("pending", State.PENDING),
        ("failure", State.FAILED),
        ("error", State.FAILED),
        ("warning", State.SKIPPED),
        ("skipped", State.SKIPPED),
        ("splendid", State.FAILED),
    ],
)
@pytest.mark.parametrize("forge", ["forgejo", "gitea"])
def test_forgejo_is_asked_for_the_combined_status(client: Client, forge: str, status: str, state: State) -> None:
    one = {"id": 1, "context": "e2e", "status": status, "created_at": "2026-06-24T10:00:00Z"}
    whole = {"sha": REVISION, "state": status, "total_count": 1, "statuses": [one]}
    with Scripted(always(Reply(200, {}, json.dumps(whole).encode()))) as server:
        result = ask(server, client, forge=forge)

        assert result.state is state
        assert server.lines == [f"GET /repos/acme/os/commits/{REVISION}/status?limit=50&page=1"]


@pytest.mark.parametrize(("forge", "state"), [("forgejo", State.ABSENT), ("github", State.ERROR)])
def test_no_list_is_an_empty_one_for_forgejo_alone(client: Client, forge: str, state: State) -> None:
    whole = {"sha": REVISION, "state": "", "total_count": 0, "statuses": None, "check_runs": None}
    with Scripted(always(Reply(200, {}, json.dumps(whole).encode()))) as server:
        assert ask(server, client, forge=forge).state is state


@pytest.mark.parametrize("page", [30, 50])
def test_forgejo_may_hand_out_fewer_than_it_was_asked_for(client: Client, page: int) -> None:
    every = [{"id": n, "context": f"n{n}", "status": "success" if n < 69 else "failure"} for n in range(70)]

    def reply(asked: Asked) -> Reply:
        first = (int(asked.path.rpartition("page=")[2]) - 1) * page
        return Reply(200, {}, json.dumps({"sha": REVISION, "statuses": every[first : first + page]}).encode())

    with Scripted(reply) as server:
        assert ask(server, client, forge="forgejo").code == "failed-checks"


# ---------------------------------------------------------------------------------------------- which forge


@pytest.mark.parametrize(
    ("url", "table", "said_so"),
    [
        ("https://git.example.org/acme/os", {}, "nothing says what kind of forge `git.example.org` is"),
        (None, {}, "nothing says what kind of forge `the project` is"),
        (None, {"forge": "forgejo", "repository": "acme/os"}, "nothing says which forge to ask"),
        (None, {"forge": "github"}, "`` is no repository of a forge"),
        ("https://github.com/acme", {}, "`acme` is no repository of a forge"),
        (None, {"forge": "github", "repository": "../os"}, "`../os` is no repository of a forge"),
        ("https://notgithub.com/acme/os", {}, "nothing says what kind of forge `notgithub.com` is"),
    ],
)
def test_a_gate_that_knows_no_forge_stays_closed(
    client: Client, url: str | None, table: dict[str, Any], said_so: str
) -> None:
    (result,) = answers(checks, replace(context(rule("checks", **table), web=client), repository_url=url))

    assert (result.state, result.reason) == (State.ERROR, said_so)


@pytest.mark.parametrize(
    ("url", "table", "base"),
    [
        ("https://github.com/acme/os", {}, "https://api.github.com/repos/acme/os"),
        ("https://github.com/acme/os.git", {}, "https://api.github.com/repos/acme/os"),
        ("https://github.example.org/acme/os", {}, "https://github.example.org/api/v3/repos/acme/os"),
        ("https://gitlab.com/a/b/os", {}, "https://gitlab.com/api/v4/projects/a%2Fb%2Fos"),
        ("https://gitlab.gnome.org/a/os", {}, "https://gitlab.gnome.org/api/v4/projects/a%2Fos"),
        ("https://codeberg.org/acme/os", {}, "https://codeberg.org/api/v1/repos/acme/os"),
        ("https://git.example.org/acme/os", {"forge": "gitea"}, "https://git.example.org/api/v1/repos/acme/os"),
        (None, {"forge": "github", "repository": "acme/os"}, "https://api.github.com/repos/acme/os"),
    ],
)
def test_the_forge_is_where_the_project_lies(client: Client, url: str | None, table: dict[str, Any], base: str) -> None:
    asked = replace(context((), web=client), repository_url=url)

    assert forge_of(asked, ChecksSettings.model_validate(table)).base == base
