"""The gate `http`: a service that answers for a digest, for another one, or with a page to log in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from relman.http import Client
from relman.model.gates import State
from relman.model.oci import Digest
from relman.plugin import HttpResponse
from relman_plugins.gates import http
from relman_plugins.gates.http import HttpSettings, judge
from relman_plugins.gates.verdict import closing
from tests.gates_asked import AMD, ARM, OS, answers, candidate, context, hurried, rule, said
from tests.servers import Asked, Reply, Scripted

DIGEST = OS.image.digest
OTHER = Digest.of(b"another build")
STATE = {"field": "result.state", "equals": "passed"}


def body(**fields: object) -> bytes:
    return json.dumps({"digest": DIGEST, "result": {"state": "passed"}, **fields}).encode()


def response(content: bytes = b"", status: int = 200, about: str | None = None) -> HttpResponse:
    return HttpResponse(status, {"x-digest": about} if about else {}, content)


LOGIN = f"<!doctype html><a href='/login?next=/results/{DIGEST}'>Sign in</a>".encode()
FREE = {"unbound": True, **STATE}
TABLE: dict[str, tuple[HttpResponse, dict[str, Any], State, str]] = {
    "a digest": (response(body()), {}, State.PASSED, ""),
    "a digest and a state": (response(body()), STATE, State.PASSED, ""),
    "another state": (response(body(result={"state": "failed"})), STATE, State.FAILED, "other-value"),
    "no state": (response(body(result={})), STATE, State.ABSENT, "no-field"),
    "a state elsewhere": (response(body(result="passed")), STATE, State.ABSENT, "no-field"),
    "null": (response(body(result={"state": None})), STATE, State.ABSENT, "no-field"),
    "a list": (response(body(result=[{"ok": True}])), {"field": "result.0.ok", "equals": True}, State.PASSED, ""),
    "1 is not true": (response(body(result=1)), {"field": "result", "equals": True}, State.FAILED, "other-value"),
    "true is not 1": (response(body(result=True)), {"field": "result", "equals": 1}, State.FAILED, "other-value"),
    "a number": (response(body(result=1)), {"field": "result", "equals": 1}, State.PASSED, ""),
    "another digest": (response(body(digest=OTHER)), STATE, State.ERROR, "other-digest"),
    "no digest": (response(b'{"result": {"state": "passed"}}'), STATE, State.ERROR, "other-digest"),
    "no digest, as told": (response(b'{"result": {"state": "passed"}}'), FREE, State.PASSED, ""),
    "no digest, and no state": (response(b"{}"), FREE, State.ABSENT, "no-field"),
    "a digest elsewhere": (response(body(digest=None, image=DIGEST)), {"digest_field": "image"}, State.PASSED, ""),
    "in a header": (response(b"fine", about=DIGEST), {"digest_header": "X-Digest"}, State.PASSED, ""),
    "another there": (
        response(body(), about=OTHER),
        {"digest_header": "X-Digest"},
        State.ERROR,
        "other-digest",
    ),
    "no header": (response(body()), {"digest_header": "X-Digest"}, State.ERROR, "other-digest"),
    "a page to log in": (response(LOGIN), {}, State.ERROR, "not-json"),
    "a page to log in, unbound": (response(LOGIN), FREE, State.ERROR, "not-json"),
    "nothing": (response(), {}, State.ERROR, "empty-report"),
    "half of it": (response(body()[:-4]), {}, State.ERROR, "unreadable"),
    "a key twice": (response(b'{"digest": "x", "digest": "%s"}' % DIGEST.encode()), {}, State.ERROR, "unreadable"),
    "too large": (response(body() + b" " * http.LIMIT), {}, State.ERROR, "unreadable"),
    "201": (response(body(), 201), {}, State.FAILED, "other-status"),
    "201, expected": (response(body(), 201), {"expect": [200, 201]}, State.PASSED, ""),
    "202, pending": (response(b"", 202), {"pending": [202]}, State.PENDING, "pending"),
    "404": (response(b"", 404), {}, State.ABSENT, "unknown"),
    "302 that leads nowhere": (response(b"", 302), {}, State.FAILED, "other-status"),
    "401": (response(b"", 401), {}, State.ERROR, "other-status"),
    "503": (response(b"", 503), {}, State.ERROR, "other-status"),
}


@pytest.mark.parametrize("case", TABLE)
def test_only_an_answer_about_this_digest_opens(case: str) -> None:
    given, table, state, code = TABLE[case]
    settings = HttpSettings.model_validate({"url": "https://ci.example/{digest}", **table})

    verdict = closing(judge, given, (DIGEST,), settings)

    assert (verdict.state, verdict.code) == (state, code), verdict.reason
    if state is State.PASSED and table.get("unbound"):
        assert verdict.evidence["unbound"] is True
        assert "of no digest in particular" in verdict.reason


@pytest.fixture
def client() -> Iterator[Client]:
    with hurried() as made:
        yield made


def test_the_service_is_asked_for_the_digest_with_its_headers(client: Client) -> None:
    with Scripted(lambda asked: Reply(200, {}, body())) as server:
        table = {"url": f"{server.url}/r/{{digest}}?s={{stream}}", "headers": {"X-Api-Key": {"env": "K"}, "X-Of": "os"}}
        asked = context(rule("http", **table), web=client, environ={"K": "composed-api-key"})

        (result,) = answers(http, asked)

        assert (result.state, result.digest) == (State.PASSED, DIGEST)
        assert server.lines == [f"GET /r/{DIGEST.replace(':', '%3A')}?s=stable"]
        headers = server.asked[0].headers
        assert (headers["x-api-key"], headers["x-of"]) == ("composed-api-key", "os")
        assert "composed-api-key" not in repr(result)


def test_a_secret_does_not_follow_a_redirect_to_another_host(client: Client) -> None:
    with Scripted(lambda asked: Reply(200, {}, body())) as there:
        with Scripted(lambda asked: Reply(302, {"Location": there.url})) as here:
            table = {"url": here.url, "headers": {"X-Api-Key": {"env": "K"}}}
            results = answers(http, context(rule("http", **table), web=client, environ={"K": "composed-api-key"}))

        assert said(results) == [(State.PASSED, "")]
        assert "x-api-key" not in there.asked[0].headers


@pytest.mark.parametrize(
    ("table", "environ", "code"),
    [
        ({"url": "https://ci.example/x", "headers": {"A": {"env": "K"}}}, {}, "unequipped"),
        ({"url": "http://ci.example/x", "headers": {"A": {"env": "K"}}}, {"K": "composed"}, "not-answered"),
        ({"url": "http://127.0.0.1:9/x"}, {}, "unreachable"),
    ],
)
def test_who_cannot_be_asked_does_not_open(
    client: Client, table: dict[str, Any], environ: dict[str, str], code: str
) -> None:
    assert said(answers(http, context(rule("http", **table), web=client, environ=environ))) == [(State.ERROR, code)]


def test_with_a_platform_each_is_asked_about_and_answers_for_its_own_manifest(client: Client) -> None:
    two = candidate(platforms=[AMD, ARM])
    manifests = {f"/linux%2F{part.platform.architecture}": part.manifest.digest for part in two.image.platforms}

    def reply(asked: Asked) -> Reply:
        return Reply(200, {}, body(digest=manifests["/linux%2Famd64"]))

    with Scripted(reply) as server:
        results = answers(http, context(rule("http", url=f"{server.url}/{{platform}}"), two, web=client))

        assert server.lines == ["GET /linux%2Famd64", "GET /linux%2Farm64"]
    assert [(one.platform, one.code) for one in results] == [(AMD, ""), (ARM, "other-digest")]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({}, "Field required"),
        ({"url": "ci.example"}, "write an address"),
        ({"url": "ftp://ci.example"}, "write an address"),
        ({"url": "https://{variant}.example/"}, "a host without placeholders"),
        ({"url": "https://user:pass@ci.example/"}, "without placeholders and passwords"),
        ({"url": "https://ci.example/{digset}"}, "is no placeholder"),
        ({"url": "https://ci.example", "field": "x"}, "go together"),
        ({"url": "https://ci.example", "unbound": True}, "has to say something"),
        ({"url": "https://ci.example", **FREE, "digest_field": "x"}, "none to look for"),
        ({"url": "https://ci.example", "expect": []}, "at least 1 item"),
        ({"url": "https://ci.example", "expect": [1]}, "greater than or equal to 200"),
    ],
)
def test_a_table_that_makes_no_sense_is_a_fault(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        HttpSettings.model_validate(table)


@pytest.mark.parametrize(
    ("answered", "wanted", "reason"),
    [
        (1, "1", '`result` is `1`, and not `"1"`'),
        (True, "true", '`result` is `true`, and not `"true"`'),
        ("True", True, '`result` is `"True"`, and not `true`'),
        ("bad", "good", "`result` is `bad`, and not `good`"),
    ],
)
def test_what_only_looks_alike_is_told_apart(answered: object, wanted: object, reason: str) -> None:
    settings = HttpSettings.model_validate({"url": "https://ci.example.org/", "field": "result", "equals": wanted})

    assert judge(response(body(result=answered)), (OS.image.digest,), settings).reason == reason
