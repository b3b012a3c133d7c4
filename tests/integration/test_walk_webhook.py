"""Webhooks end to end: signed, told apart by a key, sent once, and no secret anywhere it does not belong."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.driver import Project, Workshop
from tests.servers import Asked, Reply, Scripted, in_turn

SECRET = "composed/secret+of the hook"
TOKEN = "composed-token-in-a-header"
VARIABLES: dict[str, Any] = {"HOOK_SECRET": SECRET, "HOOK_TOKEN": TOKEN}


@pytest.fixture(scope="module")
def workshop(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("webhook"), docker_registry)


def project_with(workshop: Workshop, hook: Scripted, *, required: bool = True, more: str = "") -> Project:
    project = workshop.layouts(
        f"""
[[announce]]
type = "webhook"
name = "hook"
url = "{hook.url}/in?room=1"
secret = {{ env = "HOOK_SECRET" }}
headers = {{ X-Token = {{ env = "HOOK_TOKEN" }}, X-From = "relman" }}
required = {str(required).lower()}
streams = ["stable"]
{more}
"""
    )
    project.plan(**VARIABLES)
    return project


def state(project: Project) -> tuple[str, str]:
    record = project.record
    (receipt,) = [r for r in record["receipts"] if r["action"] == "webhook:hook"]
    return record["state"], receipt["state"]


def test_a_required_webhook_that_answers_500_is_sent_again_by_resume_under_the_same_key(workshop: Workshop) -> None:
    with Scripted(in_turn(Reply(500, {}, b"boom"), Reply(200))) as hook:
        project = project_with(workshop, hook)

        ran = project.relman("apply", "plan.json", code=4, **VARIABLES)
        assert "500" in ran.stderr
        assert "webhook:hook" in ran.stderr
        assert state(project) == ("partial", "failed")
        project.relman("resume", **VARIABLES)
        assert state(project) == ("finished", "done")
        project.relman("apply", "plan.json", **VARIABLES)

    first, second = hook.asked
    assert first.line == second.line == "POST /in?room=1"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body
    for asked in hook.asked:
        signature = hmac.new(SECRET.encode(), asked.body, hashlib.sha256).hexdigest()
        assert asked.headers["relman-signature"] == f"sha256={signature}"
        assert (asked.headers["x-token"], asked.headers["x-from"]) == (TOKEN, "relman")
    body = json.loads(first.body)
    assert (body["stream"], body["version"], body["id"]) == ("stable", "stable-20260624", project.record["id"])


def test_an_optional_webhook_that_fails_is_reported_and_holds_nothing_up(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(500)) as hook:
        project = project_with(workshop, hook, required=False)

        ran = project.relman("apply", "plan.json", **VARIABLES)

    assert "warning" in ran.stderr
    assert "webhook:hook" in ran.stderr
    assert state(project) == ("finished", "failed")


@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_to_wait_is_waited_for(workshop: Workshop, status: int) -> None:
    with Scripted(in_turn(Reply(status, {"Retry-After": "1"}), Reply(202))) as hook:
        project = project_with(workshop, hook)

        project.relman("apply", "plan.json", **VARIABLES)

    assert state(project) == ("finished", "done")
    assert len({asked.headers["idempotency-key"] for asked in hook.asked}) == 1
    assert len(hook.asked) == 2


@pytest.mark.parametrize(
    "reply",
    [Reply(reset=True), Reply(502), Reply(504), Reply(200, {}, b"x" * 100, cut=10)],
    ids=["reset", "502", "504", "cut"],
)
def test_a_lost_answer_stays_unknown_and_is_not_sent_again(workshop: Workshop, reply: Reply) -> None:
    with Scripted(lambda _asked: reply) as hook:
        project = project_with(workshop, hook)

        for arguments in (("apply", "plan.json"), ("apply", "plan.json"), ("resume",)):
            ran = project.relman(*arguments, code=4, **VARIABLES)
            assert "webhook:hook" in ran.stderr

        assert len(hook.asked) == 1
    assert state(project) == ("partial", "unknown")


@pytest.mark.parametrize(("expect", "status", "code"), [("[418]", 418, 0), ("[418]", 200, 4), ("[200, 204]", 202, 4)])
def test_expect_says_which_answers_are_right(workshop: Workshop, expect: str, status: int, code: int) -> None:
    with Scripted(lambda _asked: Reply(status)) as hook:
        project = project_with(workshop, hook, more=f"expect = {expect}")

        project.relman("apply", "plan.json", code=code, **VARIABLES)

    assert len(hook.asked) == 1


def test_a_redirect_is_no_receipt(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as elsewhere:
        with Scripted(lambda _asked: Reply(307, {"Location": f"{elsewhere.url}/steal"})) as hook:
            project = project_with(workshop, hook)
            project.relman("apply", "plan.json", code=4, **VARIABLES)
        assert elsewhere.asked == []


def test_a_slow_webhook_is_bounded_by_its_timeout(workshop: Workshop) -> None:
    import threading

    done = threading.Event()

    def never(_asked: Asked) -> Reply:
        done.wait(30)
        return Reply(204)

    with Scripted(never) as hook:
        project = project_with(workshop, hook, more='timeout = "1s"')
        project.relman("apply", "plan.json", code=4, **VARIABLES)
        done.set()

    assert state(project) == ("partial", "unknown")


def test_a_template_makes_the_body(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as hook:
        project = workshop.layouts(
            f'[[announce]]\ntype = "webhook"\nurl = "{hook.url}"\ntemplate = "say.j2"\nstreams = ["stable"]\n'
        )
        (project.folder / "templates").mkdir()
        (project.folder / "templates/say.j2").write_text("{{ project }} {{ version }} follows {{ previous }}\n")
        project.relman("release", "stable", "--yes")

    (asked,) = hook.asked
    assert asked.body.decode().strip() == "Composed stable-20260624 follows stable-20260610"
    assert asked.headers["content-type"].startswith("text/plain")


def test_a_name_that_a_template_does_not_know_is_an_error_before_anything_is_written(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as hook:
        project = workshop.layouts(f'[[announce]]\ntype = "webhook"\nurl = "{hook.url}"\ntemplate = "say.j2"\n')
        (project.folder / "templates").mkdir()
        (project.folder / "templates/say.j2").write_text("{{ verson }}\n")

        ran = project.relman("release", "stable", "--yes", code=None)

        assert hook.asked == []
    assert ran.code in (1, 2)
    assert "verson" in ran.stderr
    assert project.builds("stable") == {"stable": {0}}


def test_a_channel_of_another_stream_hears_nothing(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as hook:
        project = project_with(workshop, hook)
        project.configure('versions = ["testing-', 'gates = []\nversions = ["testing-')
        project.relman("release", "testing", "--yes", **VARIABLES)

        assert hook.asked == []


def test_show_prints_the_post_of_one_channel(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as hook:
        project = project_with(workshop, hook)
        shown = project.relman("show", "plan.json", "--channel", "hook").stdout
        project.relman("apply", "plan.json", **VARIABLES)

        assert shown.startswith(hook.asked[0].body.decode().strip())
        assert "`hook`" in project.relman("show", "plan.json", "--channel", "hok", code=2).stderr


def test_no_secret_is_in_any_output_file_or_argument(workshop: Workshop, tmp_path: Path) -> None:
    """The server echoes what it was sent, looks at its client's command line, and resets in between."""
    seen: list[str] = []

    def echoing(asked: Asked) -> Reply:
        seen.extend(
            path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if _mine(path)
        )
        return Reply(500, {}, f"{asked.headers} {SECRET} {TOKEN}".encode())

    def _mine(path: Path) -> bool:
        try:
            return b"relman" in path.read_bytes()
        except OSError:
            return False

    variables: dict[str, Any] = {
        **VARIABLES,
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    with Scripted(echoing) as hook:
        project = project_with(workshop, hook)
        texts: list[str] = []
        for arguments, code in (
            (("plan", "stable", "-o", "plan.json"), 0),
            (("show", "plan.json"), 0),
            (("apply", "plan.json"), 4),
            (("resume",), 4),
            (("records", "show", "stable-20260624"), 0),
            (("status",), 0),
        ):
            ran = project.relman(*arguments, "--verbose", code=code, **variables)
            texts += [ran.stdout, ran.stderr]
        assert hook.asked
    files = [
        path
        for path in (*project.folder.rglob("*"), *tmp_path.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    ]
    texts += [path.read_bytes().decode(errors="replace") for path in files]
    texts += seen

    forms = forms_of(SECRET) | forms_of(TOKEN)
    assert [text[:200] for text in texts if any(form in text for form in forms)] == []
    assert seen


def forms_of(secret: str) -> set[str]:
    """The secret, and how it is written in an address, in JSON and in a basic login."""
    import base64
    from urllib.parse import quote, quote_plus

    spell: list[Callable[[str], str]] = [
        str,
        lambda s: quote(s, safe=""),
        quote,
        quote_plus,
        lambda s: json.dumps(s)[1:-1],
        lambda s: base64.b64encode(s.encode()).decode(),
    ]
    return {form(secret) for form in spell}
