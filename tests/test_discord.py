"""Announcements in Discord: what a webhook is sent, forums and threads, 200 and 204, addresses, and its refusals."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from relman.errors import ConfigError, Malformed, NotFound, RelmanError, Unequipped
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState
from relman_plugins.announce.discord import DiscordExecutor
from tests.chat_cases import DISCORD, SECRET, TEXT
from tests.chats import Discord
from tests.servers import Reply, once
from tests.standins.base import answer
from tests.test_chats_contract import trial

EXECUTOR = DiscordExecutor()


def planned(tmp_path: Path, earlier: Receipt | None = None, **table: object) -> Action:
    case = dataclasses.replace(DISCORD, table=lambda server: {**DISCORD.table(server), **table})
    with trial(case, tmp_path, earlier={"news": earlier} if earlier else {}) as made:
        return made.planned.actions[0]


def sent(server: Discord) -> list[Any]:
    return [json.loads(asked.body) for asked in server.asked if asked.method == "POST"]


# ------------------------------------------------------------------------------------------------- planning


def test_the_name_of_a_thread_is_a_template(tmp_path: Path) -> None:
    assert planned(tmp_path, thread_name="{{ project }} {{ version }}").text("thread_name") == (
        "Composed OS sample-20260705"
    )


@pytest.mark.parametrize(("template", "size"), [("{{ '' }}", 0), ("{{ 'x' * 101 }}", 101)])
def test_a_name_that_no_thread_can_have_is_refused_when_planning(tmp_path: Path, template: str, size: int) -> None:
    with pytest.raises(ConfigError, match=f"the `thread_name` has {size} characters, and Discord takes 1 to 100"):
        planned(tmp_path, thread_name=template)


def test_a_release_that_follows_up_another_links_to_its_message(tmp_path: Path) -> None:
    address = "https://discord.com/channels/1/2/3"
    earlier = Receipt.of(planned(tmp_path), ReceiptState.DONE, remote_id="3", url=address)

    action = planned(tmp_path, earlier)

    assert address in action.text("text")
    assert action.text("reply_to") == "3"


# -------------------------------------------------------------------------------------------------- posting


def test_the_webhook_is_asked_who_it_is_and_is_sent_a_message_that_pings_nobody(tmp_path: Path) -> None:
    with Discord() as server:
        channel = DISCORD.channel(server, tmp_path, username="relman", avatar_url="https://a.example/i.png")
        receipt = EXECUTOR.apply(DISCORD.action(), channel)
        (number,) = [post["id"] for post in server.posts]

    at = f"/api/v10/webhooks/{Discord.hook}/{Discord.secret}"
    assert server.lines == [f"GET {at}", f"POST {at}?wait=true"]
    assert sent(server) == [
        {
            "content": TEXT,
            "allowed_mentions": {"parse": []},
            "flags": 4,
            "username": "relman",
            "avatar_url": "https://a.example/i.png",
        }
    ]
    url = f"https://discord.com/channels/{Discord.guild}/{Discord.channel}/{number}"
    assert (receipt.remote_id, receipt.url) == (number, url)


def test_previews_of_links_are_shown_where_the_table_says_so(tmp_path: Path) -> None:
    with Discord() as server:
        EXECUTOR.apply(DISCORD.action(), DISCORD.channel(server, tmp_path, previews=True))

    assert sent(server)[0]["flags"] == 0


def test_a_success_without_a_number_is_one_and_says_what_it_costs(tmp_path: Path) -> None:
    with Discord(silent=True) as server:
        channel, action = DISCORD.channel(server, tmp_path), DISCORD.action()
        receipt = EXECUTOR.apply(action, channel)
        EXECUTOR.verify(action, receipt, channel)
        corrected = [EXECUTOR.edit(action, receipt, channel), EXECUTOR.undo(action, receipt, channel)]

    assert (receipt.state, receipt.remote_id) == (ReceiptState.DONE, None)
    assert receipt.detail == "accepted without a number, so that it can be neither changed nor taken back"
    assert corrected == [None, None]


def test_a_webhook_that_does_not_tell_its_server_posts_all_the_same(tmp_path: Path) -> None:
    with Discord() as server:
        server.faults.append(once("^GET", lambda _: answer({"id": Discord.hook, "guild_id": "../1", "channel_id": 7})))
        receipt = EXECUTOR.apply(DISCORD.action(), DISCORD.channel(server, tmp_path))

    assert receipt.url is None
    assert receipt.remote_id


# ---------------------------------------------------------------------------------------- forums and threads


def test_in_a_forum_each_release_is_a_thread_and_is_corrected_there(tmp_path: Path) -> None:
    with Discord(forum=True) as server:
        channel = DISCORD.channel(server, tmp_path, tags=["123"])
        action = DISCORD.action(thread_name="stable-20260706")
        receipt = EXECUTOR.apply(action, channel)
        (message,) = server.posts
        EXECUTOR.verify(action, receipt, channel)
        EXECUTOR.edit(DISCORD.action("another text"), receipt, channel)
        assert message["content"] == "another text"
        EXECUTOR.undo(action, receipt, channel)
        assert server.posts == []

    assert (sent(server)[0]["thread_name"], sent(server)[0]["applied_tags"]) == ("stable-20260706", ["123"])
    assert receipt.remote_id == f"{message['id']} {message['channel_id']}"
    assert receipt.url == f"https://discord.com/channels/{Discord.guild}/{message['channel_id']}/{message['id']}"


def test_a_follow_up_stands_in_the_thread_of_the_earlier_release(tmp_path: Path) -> None:
    with Discord(forum=True) as server:
        channel = DISCORD.channel(server, tmp_path)
        first = EXECUTOR.apply(DISCORD.action(thread_name="testing"), channel)
        EXECUTOR.apply(DISCORD.action(thread_name="stable", reply_to=first.remote_id), channel)

        assert [message["channel_id"] for message in server.posts] == [*server.threads] * 2


def test_where_that_thread_is_gone_it_stands_by_itself(tmp_path: Path) -> None:
    with Discord(forum=True) as server:
        action = DISCORD.action(thread_name="stable", reply_to="1 2")
        EXECUTOR.apply(action, DISCORD.channel(server, tmp_path))

        assert [*server.threads.values()] == ["stable"]
    assert len(server.writes) == 2


def test_an_address_may_name_a_thread(tmp_path: Path) -> None:
    with Discord(forum=True) as server:
        server.threads["77"] = "testing"
        channel = replace(DISCORD.channel(server, tmp_path), environ={SECRET: f"{server.webhook}?thread_id=77"})
        receipt = EXECUTOR.apply(DISCORD.action(thread_name="stable"), channel)

    assert str(receipt.remote_id).endswith(" 77")
    assert "thread_name" not in sent(server)[0]


@pytest.mark.parametrize(
    ("forum", "more", "hint"),
    [(True, {}, "needs `thread_name`"), (False, {"thread_name": "x"}, "take `thread_name` out")],
)
def test_a_forum_and_a_channel_are_told_apart_by_what_they_refuse(
    tmp_path: Path, forum: bool, more: Mapping[str, object], hint: str
) -> None:
    words = "the webhook of channel `news` answered 400: Webhooks"
    with Discord(forum=forum) as server, pytest.raises(RelmanError, match=words) as caught:
        EXECUTOR.apply(replace(DISCORD.action(), payload={"text": TEXT, **more}), DISCORD.channel(server, tmp_path))
    assert hint in (caught.value.hint or "")


# ------------------------------------------------------------------------------------------------- refusals


def test_what_is_wrong_with_which_field_is_answer(tmp_path: Path) -> None:
    with Discord() as server:
        channel = DISCORD.channel(server, tmp_path)
        wrong = {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}]}
        document = {"message": "Invalid Form Body", "code": 50035, "errors": {"content": wrong}}
        server.faults.append(once("^POST", lambda _: answer(document, 400)))
        with pytest.raises(RelmanError, match="Invalid Form Body; content: Must be 2000 or fewer in length"):
            EXECUTOR.apply(DISCORD.action(), channel)


def test_two_thousand_characters_are_counted_as_python_counts_them(tmp_path: Path) -> None:
    with Discord() as server:
        with pytest.raises(RelmanError, match="answered 400: Invalid Form Body"):
            EXECUTOR.apply(DISCORD.action("x" * 2001), DISCORD.channel(server, tmp_path))
        server.violations.clear()  # the description says so, too
        EXECUTOR.apply(DISCORD.action("\U0001f600" * 2000), DISCORD.channel(server, tmp_path))

        assert len(server.posts) == 1


def test_a_webhook_that_was_deleted_is_missing_and_nothing_is_sent(tmp_path: Path) -> None:
    with Discord() as server:
        server.faults.append(once("^GET", lambda _: answer({"message": "Unknown Webhook", "code": 10015}, 404)))
        with pytest.raises(Unequipped, match="answered 404: Unknown Webhook") as caught:
            EXECUTOR.apply(DISCORD.action(), DISCORD.channel(server, tmp_path))
        assert server.writes == []
    assert "make another" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "address",
    ["", " ", "not an address", "http://discord.com/api/webhooks/1/composed", "https://discord.com/api/webhooks/1",
     "https://discord.com/api/webhooks/x/composed", "file:///api/webhooks/1/composed", "https:///api/webhooks/1/composed",
     "https://discord.com/api/webhooks/1/composed/../../2", "https://[/api/webhooks/1/composed"],
)  # fmt: skip
def test_a_secret_that_is_no_address_of_a_webhook_is_not_repeated(tmp_path: Path, address: str) -> None:
    with Discord() as server:
        channel = replace(DISCORD.channel(server, tmp_path), environ={SECRET: address})
        with pytest.raises(Unequipped) as caught:
            EXECUTOR.apply(DISCORD.action(), channel)

    assert "composed" not in caught.value.message
    assert SECRET in caught.value.message


def test_what_somebody_changed_or_took_away_is_told(tmp_path: Path) -> None:
    with Discord() as server:
        channel, action = DISCORD.channel(server, tmp_path), DISCORD.action()
        receipt = EXECUTOR.apply(action, channel)
        (message,) = server.posts
        message["content"] = "something else"
        with pytest.raises(Malformed, match="says something else than what was sent"):
            EXECUTOR.verify(action, receipt, channel)
        server.posts.clear()
        with pytest.raises(NotFound):
            EXECUTOR.verify(action, receipt, channel)
        with pytest.raises(RelmanError, match="Unknown Message"):
            EXECUTOR.edit(action, receipt, channel)


@pytest.mark.parametrize("errors", [{"a": {"b": {"c": {}}}}, [1], "x", {"_errors": [1, {"message": 7}]}, {"a": 1}])
def test_faults_of_any_shape_are_read(tmp_path: Path, errors: object) -> None:
    with Discord() as server:
        document = {"message": "Invalid", "code": 50035, "errors": errors}
        server.faults.append(once("^POST", lambda _: answer(document, 400)))
        with pytest.raises(RelmanError, match="answered 400: Invalid"):
            EXECUTOR.apply(DISCORD.action(), DISCORD.channel(server, tmp_path))


def test_a_rate_limit_that_tells_its_bucket_is_waited_for(tmp_path: Path) -> None:
    limited = Reply(
        429,
        {"Retry-After": "0", "X-RateLimit-Scope": "user", "X-RateLimit-Reset-After": "0.1"},
        b'{"message": "You are being rate limited.", "retry_after": 0.1, "global": false}',
    )
    with Discord() as server:
        server.faults.append(once("^POST", lambda _: limited, times=2))
        EXECUTOR.apply(DISCORD.action(), DISCORD.channel(server, tmp_path))

        assert len(server.posts) == 1
