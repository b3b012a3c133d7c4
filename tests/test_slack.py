"""Announcements in Slack: what an app and a webhook send, how an app finds its posts, and `"ok": false`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from relman.errors import AnswerLost, NotShown, Passing, RelmanError, Unequipped
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman_plugins.announce.slack import SlackExecutor, SlackSettings
from tests.chat_cases import NAMED, SECRET, SLACK, SLACK_WEBHOOK, TEXT
from tests.chats import Slack
from tests.servers import Reply, once
from tests.standins.base import answer
from tests.standins.faults import lose
from tests.test_chats_contract import trial
from tests.walking import MONDAY

EXECUTOR = SlackExecutor()


def planned(tmp_path: Path, earlier: Receipt | None = None, **table: object) -> Action:
    case = dataclasses.replace(SLACK, table=lambda server: {**SLACK.table(server), **table})
    with trial(case, tmp_path, earlier={"news": earlier} if earlier else {}) as made:
        return made.planned.actions[0]


def sent(server: Slack) -> list[Any]:
    return [json.loads(asked.body) for asked in server.asked if asked.method == "POST"]


@pytest.mark.parametrize(
    "table",
    [{}, {"token": NAMED}, {"channel": "C0123456789"}, {"token": NAMED, "channel": "#a", "webhook": NAMED},
     {"webhook": NAMED, "channel": "#a"}, {"token": NAMED, "channel": "a b"}, {"token": NAMED, "channel": "<!here>"}],
)  # fmt: skip
def test_a_table_has_a_token_and_a_channel_or_a_webhook(table: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError):
        SlackSettings.model_validate({"type": "slack", **table})


# ------------------------------------------------------------------------------------------------- messages


def test_an_app_posts_with_our_key_in_the_metadata(tmp_path: Path) -> None:
    with Slack() as server:
        receipt = EXECUTOR.apply(SLACK.action(), SLACK.channel(server, tmp_path))

    assert sent(server) == [
        {
            "channel": Slack.channel,
            "text": TEXT,
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {"event_type": "relman_release", "event_payload": {"key": SLACK.action().key}},
        }
    ]
    assert receipt.remote_id == f"{Slack.channel} 1782259201.000100"
    assert receipt.url == f"https://acme.slack.com/archives/{Slack.channel}/p1782259201000100"


def test_a_webhook_posts_the_text_alone(tmp_path: Path) -> None:
    with Slack() as server:
        receipt = EXECUTOR.apply(SLACK_WEBHOOK.action(), SLACK_WEBHOOK.channel(server, tmp_path))

    assert sent(server) == [{"text": TEXT, "unfurl_links": False, "unfurl_media": False}]
    assert (receipt.remote_id, receipt.url) == (None, None)
    assert receipt.detail == "a webhook tells no number, so that it can be neither changed nor taken back"


@pytest.mark.parametrize(
    "link",
    ["http://acme.slack.com/x", "https://evil.example/x", "https://slack.com.evil.example/", "javascript:x", 7, None,
     "https://acme.slack.com@evil.example/", "https://a:b@acme.slack.com/", "https://acme.slack.com/\n", "https://[",
     "https://acme.slack.com/" + "x" * 300],
)  # fmt: skip
def test_an_address_that_is_not_of_slack_is_kept_nowhere(tmp_path: Path, link: object) -> None:
    with Slack() as server:
        server.faults.append(once("getPermalink", lambda _: answer({"ok": True, "permalink": link})))
        receipt = EXECUTOR.apply(SLACK.action(), SLACK.channel(server, tmp_path))

    assert (receipt.state, receipt.url) == (ReceiptState.DONE, None)


@pytest.mark.parametrize("reply", [Reply(500), Reply(reset=True), answer({"ok": False, "error": "ratelimited"})])
def test_where_slack_tells_no_address_it_is_posted_all_the_same(tmp_path: Path, reply: Reply) -> None:
    with Slack() as server:
        server.faults.append(once("getPermalink", lambda _: reply, times=9))

        assert EXECUTOR.apply(SLACK.action(), SLACK.channel(server, tmp_path)).url is None
        assert len(server.writes) == 1


# -------------------------------------------------------------------------------------------------- threads


def test_a_follow_up_stands_in_the_thread_and_in_the_channel(tmp_path: Path) -> None:
    with Slack() as server:
        channel = SLACK.channel(server, tmp_path)
        ts = server.say("testing")
        receipt = EXECUTOR.apply(SLACK.action(reply_to=f"{Slack.channel} {ts}"), channel)
        EXECUTOR.verify(SLACK.action(), receipt, channel)

        assert (server.posts[-1]["thread_ts"], server.posts[-1]["reply_broadcast"]) == (ts, True)


@pytest.mark.parametrize("reply_to", [f"{Slack.channel} 1.000100", "C0ANOTHER 1.000100", "nonsense", ""])
def test_where_that_message_is_gone_or_elsewhere_it_stands_by_itself(tmp_path: Path, reply_to: str) -> None:
    with Slack() as server:
        EXECUTOR.apply(SLACK.action(reply_to=reply_to), SLACK.channel(server, tmp_path))

        assert [message.get("thread_ts") for message in server.posts] == [None]


def test_a_plan_says_which_message_it_answers(tmp_path: Path) -> None:
    earlier = Receipt.of(planned(tmp_path), ReceiptState.DONE, remote_id="C0123456789 1.000100")

    assert planned(tmp_path, earlier).payload["reply_to"] == "C0123456789 1.000100"


# -------------------------------------------------------------------------------------------------- finding


def test_a_message_is_found_however_many_came_after_it(tmp_path: Path) -> None:
    with Slack(page=3) as server:
        channel = SLACK.channel(server, tmp_path)
        server.faults.append(once("^POST", lose))
        with pytest.raises(AnswerLost):
            EXECUTOR.apply(SLACK.action(), channel)
        for number in range(10):
            server.say(f"{number}", metadata={"event_type": "relman_release", "event_payload": {"key": "another"}})
        found = EXECUTOR.probe(SLACK.action(), channel)

    assert isinstance(found, Receipt)
    assert found.remote_id == f"{Slack.channel} 1782259201.000100"


def test_the_history_is_read_no_further_back_than_the_newest_image(tmp_path: Path) -> None:
    with Slack(page=1) as server:
        for number in range(4):
            server.say(f"{number}")
        tomorrow = replace(SLACK.channel(server, tmp_path), now=MONDAY + timedelta(days=1))
        assert EXECUTOR.probe(SLACK.action(since=1782259203), tomorrow) is None
        assert len(server.asked) == 2
        # a clock that is ahead is not believed
        assert EXECUTOR.probe(SLACK.action(since=10**10), tomorrow) is None
        assert len(server.asked) == 6


def test_a_history_that_has_no_end_cannot_tell(tmp_path: Path) -> None:
    with Slack(page=1) as server:
        for number in range(25):
            server.say(f"{number}")
        found = EXECUTOR.probe(SLACK.action(), SLACK.channel(server, tmp_path))

        assert len(server.asked) == 20
    assert isinstance(found, Unknown)


@pytest.mark.parametrize("error", ["missing_scope", "not_in_channel", "channel_not_found"])
def test_an_app_that_may_not_read_the_history_posts_and_cannot_tell(tmp_path: Path, error: str) -> None:
    with Slack() as server:
        server.refused["conversations.history"] = error
        channel, action = SLACK.channel(server, tmp_path), SLACK.action()
        found = EXECUTOR.probe(action, channel)
        EXECUTOR.verify(action, EXECUTOR.apply(action, channel), channel)

    assert found == Unknown(f"the channel's history cannot be read: Slack answers `{error}`")


def test_a_channel_may_be_named_and_is_then_not_searched(tmp_path: Path) -> None:
    with Slack() as server:
        channel, action = SLACK.channel(server, tmp_path, channel="#releases"), SLACK.action()
        found = EXECUTOR.probe(action, channel)
        receipt = EXECUTOR.apply(action, channel)
        EXECUTOR.edit(SLACK.action("another text"), receipt, channel)

        assert SLACK.posts(server) == ["another text"]
    assert isinstance(found, Unknown)
    assert "by its id (`C…`)" in found.reason
    assert receipt.remote_id == f"{Slack.channel} 1782259201.000100"


def test_a_message_that_is_gone_is_told(tmp_path: Path) -> None:
    with Slack() as server:
        channel, action = SLACK.channel(server, tmp_path), SLACK.action()
        receipt = EXECUTOR.apply(action, channel)
        server.posts.clear()
        with pytest.raises(NotShown):
            EXECUTOR.verify(action, receipt, channel)
        with pytest.raises(RelmanError, match="message_not_found"):
            EXECUTOR.edit(action, receipt, channel)


def test_where_nobody_may_delete_the_message_says_that_it_is_withdrawn(tmp_path: Path) -> None:
    with Slack() as server:
        server.refused["chat.delete"] = "cant_delete_message"
        channel, action = SLACK.channel(server, tmp_path), SLACK.action()
        undone = EXECUTOR.undo(action, EXECUTOR.apply(action, channel), channel)

        assert SLACK.posts(server) == ["*Withdrawn.* This announcement no longer stands."]
    assert undone is not None
    assert "nobody delete" in (undone.detail or "")


# ---------------------------------------------------------------------------------------------- `"ok": false`


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        ("ratelimited", Passing, "asks to wait"),
        ("invalid_auth", Unequipped, "token is wrong"),
        ("missing_scope", Unequipped, "`chat:write`"),
        ("not_in_channel", Unequipped, "/invite"),
        ("token_revoked", Unequipped, "anew"),
        ("channel_not_found", RelmanError, "its id"),
        ("is_archived", RelmanError, "archived"),
        ("msg_too_long", RelmanError, "`limit`"),
        ("something_new", RelmanError, ""),
        ("fatal_error", AnswerLost, ""),
        ("internal_error", AnswerLost, ""),
        ("service_unavailable", AnswerLost, ""),
    ],
)
def test_an_ok_that_is_false_is_a_failure_though_the_status_is_200(
    tmp_path: Path, error: str, kind: type[RelmanError], hint: str
) -> None:
    with Slack() as server:
        server.refused["chat.postMessage"] = error
        with pytest.raises(RelmanError, match=f"chat.postMessage of channel `news` was refused: {error}") as caught:
            EXECUTOR.apply(SLACK.action(), SLACK.channel(server, tmp_path))
        assert SLACK.posts(server) == []

    assert type(caught.value) is kind
    assert hint in (caught.value.hint or "")


def test_what_scope_is_needed_is_answer(tmp_path: Path) -> None:
    document = {"ok": False, "error": "missing_scope", "needed": "chat:write.public", "provided": "chat:write"}
    with Slack() as server:
        server.faults.append(once("^POST", lambda _: answer(document)))
        with pytest.raises(Unequipped, match=r"missing_scope \(chat:write.public\)"):
            EXECUTOR.apply(SLACK.action(), SLACK.channel(server, tmp_path))


@pytest.mark.parametrize("more", [{"response_metadata": 7}, {"response_metadata": {"messages": "x"}}, {"needed": []},
                                  {"response_metadata": {"messages": {"a": 1}}}])  # fmt: skip
def test_a_refusal_of_any_shape_is_read(tmp_path: Path, more: dict[str, Any]) -> None:
    with Slack() as server:
        server.faults.append(once("^POST", lambda _: answer({"ok": False, "error": "no_text", **more})))
        with pytest.raises(RelmanError, match="was refused: no_text"):
            EXECUTOR.apply(SLACK.action(), SLACK.channel(server, tmp_path))


@pytest.mark.parametrize(
    ("status", "words"), [(403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived")]
)
def test_a_webhook_that_is_gone_is_named_by_its_channel(tmp_path: Path, status: int, words: str) -> None:
    with Slack() as server:
        server.faults.append(once("^POST", lambda _: Reply(status, {}, words.encode())))
        with pytest.raises(RelmanError, match=f"the webhook of channel `news` answered {status}: {words}") as caught:
            EXECUTOR.apply(SLACK_WEBHOOK.action(), SLACK_WEBHOOK.channel(server, tmp_path))
    assert "make another webhook" in (caught.value.hint or "")


@pytest.mark.parametrize("address", ["nonsense", "http://hooks.slack.com/services/composed", "https://[", "ftp://a/b"])
def test_a_secret_that_is_no_address_is_not_repeated(tmp_path: Path, address: str) -> None:
    with Slack() as server:
        channel = replace(SLACK_WEBHOOK.channel(server, tmp_path), environ={SECRET: address})
        with pytest.raises(Unequipped) as caught:
            EXECUTOR.apply(SLACK_WEBHOOK.action(), channel)

    assert address not in caught.value.message
