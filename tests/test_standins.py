"""The stand-ins for services answer as their descriptions say, keep what was posted, and break when told to."""

from __future__ import annotations

import json
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.openapi.checking import check_request, check_response, describe
from tests.servers import once
from tests.standins import faults
from tests.standins.certificates import certified
from tests.standins.discord import Discord
from tests.standins.discourse import Discourse
from tests.standins.github import BODY, GitHub
from tests.standins.gitlab import GitLab
from tests.standins.mastodon import Mastodon
from tests.standins.slack import CHANNEL, Slack
from tests.standins.telegram import Telegram

JSON = {"content-type": "application/json"}


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


# ----------------------------------------------------------------------------------------- descriptions


@pytest.mark.parametrize(
    ("name", "line", "headers", "body", "faults"),
    [
        ("github", "POST /repos/a/b/releases", JSON, {"tag_name": "v1", "make_latest": "legacy"}, []),
        ("github", "POST /repos/a/b/releases", JSON, {}, ["the whole: 'tag_name' is a required property"]),
        ("github", "POST /repos/a/b/releases", JSON, {"tag_name": 1}, ["tag_name: 1 is not of type 'string'"]),
        ("github", "POST /repos/a/b/releases", JSON, {"tag_name": "v", "bdy": ""}, ["`bdy` is not described"]),
        ("github", "GET /repos/a/b/releases?per_page=x", {}, None, ["'x' is not of type 'integer'"]),
        ("github", "GET /repos/a/b/releases?pages=1", {}, None, ["query `pages`: not described"]),
        ("github", "PUT /repos/a/b/releases", JSON, {}, ["github describes no such operation"]),
        ("github", "POST /repos/a/b/releases", {}, {"tag_name": "v"}, ["content-type ``: not one of application/json"]),
        ("discord", "POST /webhooks/1/t?wait=true", JSON, {"content": "x" * 2000}, []),
        ("discord", "POST /webhooks/1/t?wait=1", JSON, {"content": "x"}, ["query `wait`", "'1' is not of type"]),
        ("discord", "POST /webhooks/1/t", JSON, {"content": "x" * 2001}, ["is too long"]),
        ("discord", "POST /webhooks/x/t", JSON, {"content": "x"}, ["path `webhook_id`", "'x' does not match"]),
        ("slack", "POST /chat.postMessage", JSON, {"channel": "C", "blocks": "[]"}, ["'[]' is not of type 'array'"]),
        ("telegram", "POST /sendMessage", JSON, {"chat_id": 1, "text": ""}, ["'' should be non-empty"]),
        ("discourse", "POST /posts.json", JSON, {"raw": "x", "category": "1"}, ["'1' is not of type 'integer'"]),
        ("gitlab", "POST /projects/a%2Fb/releases", JSON, {"tag_name": "v", "body": ""}, ["'body' was unexpected"]),
        ("gitlab", "PUT /projects/1/packages/generic/n/v/a%20b", {}, "x", ["path `file_name`"]),
        ("mastodon", "POST /api/v1/statuses", JSON, {"status": "x", "visibility": "all"}, ["'all' is not one of"]),
        ("discourse", "POST /posts.json", JSON, {"raw": "x", "topics": 1}, ["'topics' was unexpected"]),
    ],
)  # fmt: skip
def test_a_request_that_does_not_conform_is_told_apart(
    name: str, line: str, headers: dict[str, str], body: Any, faults: list[str]
) -> None:
    method, _, path = line.partition(" ")
    found = check_request(describe(name), method, path, headers, b"" if body is None else encoded(body))

    assert bool(found) is bool(faults), found
    for fault in faults:
        assert fault in "\n".join(found)


def test_an_answer_that_does_not_conform_is_told_apart() -> None:
    github = describe("github")

    assert check_response(github, "GET", "/repos/a/b/releases", 200, {}, b"[]") == ()
    assert check_response(github, "GET", "/repos/a/b/releases", 503, {}, b"") == ()
    assert check_response(github, "GET", "/repos/a/b/releases", 200, {}, b"[{") != ()
    assert check_response(github, "GET", "/repos/a/b/releases", 204, {}, b"") != ()
    (fault,) = check_response(github, "DELETE", "/repos/a/b/releases/1", 200, {}, b"")
    assert fault.endswith("/releases/{release_id} → 200: no such status is described, but 204, 404")


def test_a_request_that_does_not_conform_fails_the_test_that_made_it() -> None:
    with pytest.raises(AssertionError, match="`bdy` is not described"), GitHub() as github:
        httpx2.post(f"{github.url}/repos/acme/os/releases", json={"tag_name": "v1", "bdy": ""})


# ------------------------------------------------------------------------------------------------ faults


def test_each_fault_does_what_it_says(tmp_path: Path) -> None:
    with GitHub() as github, httpx2.Client(headers={"Authorization": f"Bearer {github.token}"}) as client:
        releases = f"{github.url}/repos/acme/os/releases"
        github.faults += [
            once("POST .*/releases$", faults.busy(7)),
            once("POST .*/releases$", faults.answer(502)),
            once("POST .*/releases$", faults.before),
            once("POST .*/releases$", faults.lose),
        ]
        first, second = (client.post(releases, json={"tag_name": "v1"}) for _ in range(2))
        assert (first.status_code, first.headers["Retry-After"], second.status_code) == (429, "7", 502)
        assert github.releases == []
        with pytest.raises(httpx2.TransportError):
            client.post(releases, json={"tag_name": "v1"})
        assert github.releases == []
        with pytest.raises(httpx2.TransportError):
            client.post(releases, json={"tag_name": "v2"})
        assert [item["tag_name"] for item in github.releases] == ["v2"]

        github.faults[:] = [once("GET", faults.slow(0.0001)), once("GET", faults.refused_with_200("composed"))]
        assert [item["tag_name"] for item in client.get(releases).json()] == ["v2"]
        assert client.get(releases).json() == {"ok": False, "error": "composed"}
        github.faults[:] = [once("GET", faults.cut(5))]
        with pytest.raises(httpx2.TransportError):
            client.get(releases)


def test_a_certificate_that_expired_is_one_that_its_authority_vouched_for(tmp_path: Path) -> None:
    good, bad = certified(tmp_path / "good"), certified(tmp_path / "bad", expired=True)

    with GitHub(tls=good.server()) as github, httpx2.Client(verify=good.client()) as client:
        assert client.get(f"{github.url}/repos/acme/os/releases").json() == []
    with GitHub(tls=bad.server()) as github, httpx2.Client(verify=bad.client()) as client:  # noqa: SIM117
        with pytest.raises(httpx2.ConnectError, match="certificate has expired") as caught:
            client.get(f"{github.url}/repos/acme/os/releases")
    assert isinstance(caught.value.__cause__ or caught.value.__context__, Exception)
    assert ssl.SSLCertVerificationError.__name__ in repr(_causes(caught.value))


def _causes(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *_causes(error.__cause__ or error.__context__)]


# ------------------------------------------------------------------------------------------------ GitHub


def test_a_release_of_github_goes_from_draft_to_published_with_its_assets() -> None:
    with GitHub(immutable=True) as github, httpx2.Client(headers={"Authorization": f"Bearer {github.token}"}) as client:
        releases = f"{github.url}/repos/acme/os/releases"
        draft = client.post(releases, json={"tag_name": "v1", "draft": True, "body": "x"}).json()
        upload = draft["upload_url"].replace("{?name,label}", "?name=notes%20of%20v1.md")
        asset = client.post(upload, content=b"# v1", headers={"Content-Type": "text/markdown"})
        again = client.post(upload, content=b"# v1", headers={"Content-Type": "text/markdown"})
        assert (asset.status_code, asset.json()["name"], again.status_code) == (201, "notes.of.v1.md", 422)
        assert client.get(f"{releases}/tags/v1").status_code == 404
        assert httpx2.get(releases).json() == []
        assert httpx2.get(asset.json()["browser_download_url"]).status_code == 404

        client.patch(draft["url"], json={"draft": False})
        published = client.get(f"{releases}/tags/v1").json()
        assert httpx2.get(published["assets"][0]["browser_download_url"]).content == b"# v1"
        assert client.post(upload, content=b"more").status_code == 422
        assert client.post(releases, json={"tag_name": "v1"}).status_code == 422
        assert client.post(releases, json={"tag_name": "v2", "body": "x" * (BODY + 1)}).status_code == 422
        assert client.post(releases, json={"tag_name": "v2", "prerelease": True}).status_code == 201
        assert client.get(f"{releases}/latest").json()["tag_name"] == "v1"
        assert [item["tag_name"] for item in client.get(f"{releases}?per_page=1").json()] == ["v2"]
        assert client.get(f"{releases}?per_page=1").links["next"]["url"] == f"{releases}?per_page=1&page=2"
        assert client.delete(draft["url"]).status_code == 204
        assert ([item["tag_name"] for item in github.releases], github.assets) == (["v2"], [])


def test_github_refuses_who_has_no_right_to_write() -> None:
    with GitHub() as github:
        releases = f"{github.url}/repos/acme/os/releases"
        wrong = {"Authorization": "Bearer composed-wrong"}

        assert httpx2.post(releases, json={"tag_name": "v1"}).status_code == 404
        assert httpx2.post(releases, json={"tag_name": "v1"}, headers=wrong).status_code == 401
        assert httpx2.get(f"{github.url}/repos/acme/other/releases").status_code == 404


def test_checks_and_statuses_of_github_are_what_the_test_said() -> None:
    with GitHub() as github:
        commits = f"{github.url}/repos/acme/os/commits"
        for number in range(3):
            github.check("a" * 40, f"build {number}", None if number else "success")
        for state in ("pending", "success"):
            github.status("a" * 40, "openqa", state)

        runs = httpx2.get(f"{commits}/{'a' * 40}/check-runs?per_page=2").json()
        assert (runs["total_count"], [run["status"] for run in runs["check_runs"]]) == (3, ["completed", "in_progress"])
        combined = httpx2.get(f"{commits}/{'a' * 40}/status").json()
        assert (combined["state"], combined["total_count"]) == ("success", 1)
        assert len(httpx2.get(f"{commits}/{'a' * 40}/statuses").json()) == 2
        assert httpx2.get(f"{commits}/{'b' * 40}/status").json()["state"] == "pending"


# ----------------------------------------------------------------------------------------------- Discord


def test_a_webhook_of_discord_tells_what_became_of_a_message_only_when_asked_to() -> None:
    with Discord() as discord:
        assert httpx2.post(discord.webhook, json={"content": "v1"}).status_code == 204
        posted = httpx2.post(
            f"{discord.webhook}?wait=true", json={"embeds": [{"title": "v2"}], "username": "os"}
        ).json()
        message = f"{discord.webhook}/messages/{posted['id']}"
        assert httpx2.patch(message, json={"content": "v2"}).json()["content"] == "v2"
        assert [post.get("content") for post in discord.posts] == ["v1", "v2"]
        assert httpx2.delete(message).status_code == 204
        assert httpx2.get(message).json()["code"] == 10008
        assert httpx2.post(discord.webhook, json={}).json()["code"] == 50006
        assert httpx2.post(f"{discord.url}/api/webhooks/1/x", json={"content": "v1"}).status_code == 404
        assert httpx2.post(f"{discord.webhook}x", json={"content": "v1"}).status_code == 401
        long = {"embeds": [{"description": "x" * 4000}] * 2}
        assert httpx2.post(discord.webhook, json=long).status_code == 400
        assert httpx2.get(discord.webhook).json()["id"] in discord.webhook
        assert not discord.violations
        assert httpx2.post(discord.webhook, json={"content": "x" * 2001}).json()["code"] == 50035
        discord.violations.clear()
        assert len(discord.posts) == 1


def test_a_forum_of_discord_wants_a_thread() -> None:
    with Discord(forum=True) as discord:
        hook = f"{discord.webhook}?wait=true"
        assert httpx2.post(hook, json={"content": "v1"}).json()["code"] == 220001
        first = httpx2.post(hook, json={"content": "v1", "thread_name": "v1 is out"}).json()
        assert discord.threads == {first["channel_id"]: "v1 is out"}
        again = httpx2.post(f"{hook}&thread_id={first['channel_id']}", json={"content": "more"}).json()
        assert again["channel_id"] == first["channel_id"]
        found = f"{discord.webhook}/messages/{again['id']}"
        assert httpx2.get(found).status_code == 404
        assert httpx2.get(f"{found}?thread_id={first['channel_id']}").status_code == 200


# ---------------------------------------------------------------------------------------------- Telegram


def test_telegram_keeps_what_a_bot_may_post_and_measures_what_is_read() -> None:
    with Telegram() as telegram:

        def call(method: str, **said: object) -> Any:
            return httpx2.post(f"{telegram.url}/bot{telegram.token}/{method}", json=said).json()

        marked: dict[str, Any] = {"chat_id": "@acme_os", "parse_mode": "HTML"}
        sent = call("sendMessage", text="<b>v1</b> &amp; " + "x" * 4091, **marked)["result"]
        assert sent["text"].startswith("v1 & xxx")
        assert call("sendMessage", text="<b>v1</b> &amp; " + "x" * 4092, **marked)["description"].endswith("too long")
        for wrong in ("<b>v1", "<p>v1</p>", "a < b", "<b>v1</i>"):
            assert "can't parse entities" in call("sendMessage", text=wrong, **marked)["description"], wrong
        dotted: dict[str, Any] = {"chat_id": "@acme_os", "parse_mode": "MarkdownV2"}
        assert "is reserved" in call("sendMessage", text="v1.0", **dotted)["description"]
        assert call("sendMessage", text="*v1\\.0*", **dotted)["result"]["text"] == "v1.0"
        where: dict[str, Any] = {"chat_id": -1001234567890, "message_id": sent["message_id"]}
        assert call("editMessageText", text="v1, corrected", **where)["ok"]
        assert "not modified" in call("editMessageText", text="v1, corrected", **where)["description"]
        assert [post["text"] for post in telegram.posts] == ["v1, corrected", "*v1\\.0*"]
        assert call("deleteMessage", **where) == {"ok": True, "result": True}
        assert call("deleteMessage", **where)["error_code"] == 400
        assert call("sendMessage", chat_id="@other", text="v1")["description"] == "Bad Request: chat not found"
        assert httpx2.post(f"{telegram.url}/bot1:x/getMe").status_code == 401
        assert call("getMe")["result"]["is_bot"]


# ------------------------------------------------------------------------------------------------- Slack


def test_slack_says_no_with_200_and_keeps_metadata_for_who_asks() -> None:
    with Slack() as slack, httpx2.Client(headers={"Authorization": f"Bearer {slack.token}"}) as client:

        def call(method: str, **said: object) -> Any:
            return client.post(f"{slack.url}/api/{method}", json=said).json()

        key = {"event_type": "relman", "event_payload": {"key": "composed"}}
        first = call("chat.postMessage", channel=CHANNEL, text="v1", metadata=key)
        call("chat.postMessage", channel=CHANNEL, text="details", thread_ts=first["ts"])
        call("chat.postMessage", channel=CHANNEL, markdown_text="**v2**")
        history = f"{slack.url}/api/conversations.history?channel={CHANNEL}"
        assert [found["text"] for found in client.get(history).json()["messages"]] == ["**v2**", "v1"]
        assert "metadata" not in client.get(history).json()["messages"][1]
        found = client.get(f"{history}&include_all_metadata=true&limit=1&latest={first['ts']}&inclusive=true").json()
        assert ([item["metadata"] for item in found["messages"]], found["has_more"]) == ([key], False)
        assert call("chat.update", channel=CHANNEL, ts=first["ts"], text="v1, corrected")["text"] == "v1, corrected"
        link = client.get(f"{slack.url}/api/chat.getPermalink?channel={CHANNEL}&message_ts={first['ts']}").json()
        assert link["permalink"].endswith(first["ts"].replace(".", ""))
        assert call("chat.delete", channel=CHANNEL, ts=first["ts"])["ok"]
        assert call("chat.delete", channel=CHANNEL, ts=first["ts"])["error"] == "message_not_found"
        assert call("chat.postMessage", channel="C9", text="v1")["error"] == "channel_not_found"
        assert call("chat.postMessage", channel=CHANNEL)["error"] == "no_text"
        wrong = httpx2.post(f"{slack.url}/api/chat.postMessage", json={"channel": CHANNEL, "text": "v1"})
        assert (wrong.status_code, wrong.json()["error"]) == (200, "not_authed")
        assert [post.get("text") for post in slack.posts] == ["details", None]
        assert client.get(f"{slack.url}/api/auth.test").json()["user"] == "relman"


def test_an_incoming_webhook_of_slack_answers_in_words() -> None:
    with Slack() as slack:
        assert httpx2.post(slack.webhook, json={"text": "v1"}).text == "ok"
        assert httpx2.post(slack.webhook, json={}).status_code == 400
        assert httpx2.post(f"{slack.webhook}x", json={"text": "v1"}).status_code == 404
        assert [post["text"] for post in slack.posts] == ["v1"]


# --------------------------------------------------------------------------------------------- Discourse


def test_discourse_has_one_topic_for_each_external_id_and_title() -> None:
    title, raw = "Version 1 of the system", "The first version is here, at last."
    with Discourse() as forum:
        headers = {"Api-Key": forum.key, "Api-Username": forum.username}
        with httpx2.Client(headers=headers, base_url=forum.url, follow_redirects=True) as client:
            said = {"title": title, "raw": raw, "category": 5, "tags": ["release"], "external_id": "relman-v1"}
            made = client.post("/posts.json", json=said).json()
            again = client.post("/posts.json", json={**said, "title": f"{title} again"})
            assert (again.status_code, again.json()["errors"]) == (422, ["External has already been taken"])
            again = client.post("/posts.json", json={**said, "external_id": "other"})
            assert again.json()["errors"] == ["Title has already been used"]
            assert client.get("/t/external_id/nothing.json").status_code == 404
            found = client.get("/t/external_id/relman-v1.json")
            assert (found.history[0].status_code, found.json()["id"]) == (301, made["topic_id"])
            assert found.url.path == f"/t/{made['topic_slug']}/{made['topic_id']}.json"
            assert found.json()["post_stream"]["posts"][0]["id"] == made["id"]
            post = {"raw": f"{raw} Corrected.", "edit_reason": "a slip"}
            assert client.put(f"/posts/{made['id']}.json", json={"post": post}).json()["post"]["version"] == 2
            assert (
                client.put(f"/t/-/{made['topic_id']}.json", json={"topic": {"title": f"{title}!"}}).status_code == 200
            )
            assert client.post("/posts.json", json={"topic_id": made["topic_id"], "raw": raw}).status_code == 200
            assert [(t.title, t.raw, t.tags, len(t.replies)) for t in forum.topics] == [
                (f"{title}!", post["raw"], ["release"], 1)
            ]
            assert client.get(f"/posts/{made['id']}.json").json()["raw"] == post["raw"]
            assert client.post("/posts.json", json={**said, "category": 9}).status_code == 422
            assert client.post("/posts.json", json={"title": "short", "raw": "short"}).status_code == 422
            assert client.delete(f"/t/{made['topic_id']}.json").status_code == 200
            assert client.get("/t/external_id/relman-v1.json").status_code == 404
            assert client.post("/posts.json", json=said).json()["errors"] == ["External has already been taken"]
        assert httpx2.post(f"{forum.url}/posts.json", json={"raw": raw}).status_code == 403
        assert forum.topics == []


# ---------------------------------------------------------------------------------------------- Mastodon


def test_mastodon_takes_a_key_once_within_an_hour() -> None:
    with Mastodon() as mastodon:
        headers = {"Authorization": f"Bearer {mastodon.token}"}
        with httpx2.Client(headers=headers, base_url=mastodon.url) as client:

            def post(**said: object) -> httpx2.Response:
                return client.post("/api/v1/statuses", json=said, headers={"Idempotency-Key": "composed"})

            first = post(status="v1 is out: https://example.invalid/v1").json()
            assert post(status="v1 is out: https://example.invalid/v1").json()["id"] == first["id"]
            mastodon.now += timedelta(hours=1)
            reply = post(status="and more", in_reply_to_id=first["id"], visibility="unlisted").json()
            assert reply["in_reply_to_id"] == first["id"]
            where = f"/api/v1/statuses/{first['id']}"
            edited = client.put(where, data={"status": "v1, corrected"}).json()
            assert (edited["content"], edited["edited_at"] is None) == ("<p>v1, corrected</p>", False)
            assert client.get(f"{where}/source").json()["text"] == "v1, corrected"
            me = client.get("/api/v1/accounts/verify_credentials").json()["id"]
            mine = client.get(f"/api/v1/accounts/{me}/statuses?limit=40&exclude_replies=true").json()
            assert [status["id"] for status in mine] == [first["id"]]
            assert client.delete(where).json()["text"] == "v1, corrected"
            assert client.get(where).status_code == 404
            assert [status["status"] for status in mastodon.posts] == ["and more"]
        assert httpx2.post(f"{mastodon.url}/api/v1/statuses", json={"status": "v1"}).status_code == 401


def test_mastodon_counts_addresses_and_mentions_by_its_own_measure() -> None:
    with Mastodon(limit=50, old=True) as mastodon:
        headers = {"Authorization": f"Bearer {mastodon.token}"}

        def post(text: str) -> int:
            said = httpx2.post(f"{mastodon.url}/api/v1/statuses", json={"status": text}, headers=headers)
            return said.status_code

        assert post(f"https://example.invalid/{'x' * 100} {'x' * 26}") == 200
        assert post(f"https://example.invalid/{'x' * 100} {'x' * 27}") == 422
        assert post(f"@acme@example.invalid {'x' * 44}") == 200
        assert post(f"@acme@example.invalid {'x' * 45}") == 422
        assert post(" ") == 422
        assert httpx2.get(f"{mastodon.url}/api/v2/instance").status_code == 404


# ------------------------------------------------------------------------------------------------ GitLab


def test_a_release_of_gitlab_has_links_to_what_lies_in_packages() -> None:
    with GitLab() as gitlab, httpx2.Client(headers={"PRIVATE-TOKEN": gitlab.token}) as client:
        project = f"{gitlab.url}/api/v4/projects/acme%2Fos"
        assert client.post(f"{project}/releases", json={"tag_name": "v/1"}).json()["message"] == "Ref is not specified"
        gitlab.tags["v/1"] = "a" * 40
        made = client.post(f"{project}/releases", json={"tag_name": "v/1", "description": "notes"})
        assert (made.status_code, made.json()["name"]) == (201, "v/1")
        assert client.post(f"{project}/releases", json={"tag_name": "v/1"}).status_code == 409
        package = f"{project}/packages/generic/notes/v1/notes.md"
        kept = client.put(f"{package}?select=package_file", content=b"# v1").json()
        assert (kept["size"], client.get(package).content) == (4, b"# v1")
        links = f"{project}/releases/v%2F1/assets/links"
        link = {"name": "notes.md", "url": package, "direct_asset_path": "/notes.md", "link_type": "other"}
        added = client.post(links, json=link)
        assert added.status_code == 201
        assert client.post(links, json=link).json() == {"message": {"name": ["has already been taken"]}}
        assert httpx2.get(added.json()["direct_asset_url"], follow_redirects=True).content == b"# v1"
        assert client.put(f"{links}/{added.json()['id']}", json={"name": "v1.md"}).json()["name"] == "v1.md"
        shown = client.put(f"{project}/releases/v%2F1", json={"description": "corrected"}).json()
        assert (shown["description"], [item["name"] for item in shown["assets"]["links"]]) == ("corrected", ["v1.md"])
        client.post(
            f"{project}/releases", json={"tag_name": "v2", "ref": "main", "released_at": "2026-06-25T00:00:00Z"}
        )
        page = client.get(f"{project}/releases?per_page=1")
        assert ([item["tag_name"] for item in page.json()], page.headers["X-Next-Page"]) == (["v2"], "2")
        latest = client.get(f"{project}/releases/permalink/latest", follow_redirects=True).json()
        assert (latest["tag_name"], latest["upcoming_release"]) == ("v2", True)
        (found,) = client.get(f"{project}/packages?package_name=notes").json()
        assert len(client.get(f"{project}/packages/{found['id']}/package_files").json()) == 1
        assert client.delete(f"{project}/releases/v%2F1").status_code == 200
        assert ([item["tag_name"] for item in gitlab.releases], len(gitlab.files)) == (["v2"], 1)
        assert httpx2.post(f"{project}/releases", json={"tag_name": "v3"}).status_code == 401
        assert client.get(f"{gitlab.url}/api/v4/projects/acme%2Fother").status_code == 404


def test_statuses_and_pipelines_of_gitlab_are_what_the_test_said() -> None:
    with GitLab() as gitlab:
        project = f"{gitlab.url}/api/v4/projects/1"
        for state in ("failed", "success"):
            gitlab.status("a" * 40, "build", state)
        gitlab.pipeline("a" * 40, "running")

        statuses = f"{project}/repository/commits/{'a' * 40}/statuses"
        assert [item["status"] for item in httpx2.get(statuses).json()] == ["success"]
        assert len(httpx2.get(f"{statuses}?all=true").json()) == 2
        assert [item["status"] for item in httpx2.get(f"{project}/pipelines?sha={'a' * 40}").json()] == ["running"]
        assert httpx2.get(f"{project}/pipelines?sha={'b' * 40}").json() == []
        assert httpx2.get(f"{project}/repository/commits/{'a' * 40}").json()["status"] == "running"
