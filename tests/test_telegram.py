"""Announcements in Telegram: what a bot sends, how long it may be, addresses, corrections, and refusals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from relman.errors import Passing, RelmanError, Unequipped
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState
from relman.render.measures import telegram
from relman_plugins.announce.telegram import TelegramExecutor
from tests.chat_cases import SECRET, TELEGRAM
from tests.chats import Telegram
from tests.servers import once
from tests.standins.base import answer
from tests.standins.faults import busy
from tests.standins.telegram import readable
from tests.test_chats_contract import trial

EXECUTOR = TelegramExecutor()


def planned(tmp_path: Path, earlier: Receipt | None = None, **table: object) -> Action:
    case = dataclasses.replace(TELEGRAM, table=lambda server: {**TELEGRAM.table(server), **table})
    with trial(case, tmp_path, earlier={"news": earlier} if earlier else {}) as made:
        return made.planned.actions[0]


def sent(server: Telegram) -> list[Any]:
    return [json.loads(asked.body) for asked in server.asked]


def test_a_message_is_html_in_the_chat_and_its_topic(tmp_path: Path) -> None:
    with Telegram() as server:
        receipt = EXECUTOR.apply(TELEGRAM.action(), TELEGRAM.channel(server, tmp_path, chat="@acme_os", topic=5))

    assert server.lines == [f"POST /bot{Telegram.secret}/sendMessage"]
    assert sent(server) == [
        {
            "chat_id": "@acme_os",
            "message_thread_id": 5,
            "text": TELEGRAM.text,
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
    ]
    assert (receipt.remote_id, receipt.url) == ("-1001234567890 1", "https://t.me/acme_os/1")


@pytest.mark.parametrize(
    ("kind", "username", "url"),
    [
        ("channel", "acme_os", "https://t.me/acme_os/1"),
        ("supergroup", "acme_os", "https://t.me/acme_os/1"),
        ("supergroup", None, "https://t.me/c/1234567890/1"),
        ("supergroup", "../evil", "https://t.me/c/1234567890/1"),
        ("private", "somebody", None),
        ("group", None, None),
    ],
)
def test_the_address_is_that_of_who_may_read_it(
    tmp_path: Path, kind: str, username: str | None, url: str | None
) -> None:
    with Telegram(kind=kind, username=username) as server:
        assert EXECUTOR.apply(TELEGRAM.action(), TELEGRAM.channel(server, tmp_path)).url == url


# --------------------------------------------------------------------------------------------------- length


@pytest.mark.parametrize("unit", ["x", "é", "\U0001f600", "<b>&lt;</b>"])
def test_the_limit_is_counted_as_telegram_counts(tmp_path: Path, unit: str) -> None:
    each = telegram(unit)
    with Telegram() as server:
        channel = TELEGRAM.channel(server, tmp_path)
        fits = unit * (4096 // each)
        assert telegram(fits) == 4096
        EXECUTOR.apply(TELEGRAM.action(fits), channel)
        with pytest.raises(RelmanError, match="message is too long") as caught:
            EXECUTOR.apply(TELEGRAM.action(fits + "x" * 4096), channel)
        assert len(server.posts) == 1
    assert "smaller `limit`" in (caught.value.hint or "")


def test_a_planned_message_is_read_by_telegram_and_pings_nobody(tmp_path: Path) -> None:
    written = planned(tmp_path).text("text")
    shown = readable(written, "HTML")

    assert "@everyone" not in shown


# ------------------------------------------------------------------------------------------------ follow-ups


def test_a_follow_up_answers_the_earlier_message_where_it_is_there(tmp_path: Path) -> None:
    earlier = Receipt.of(planned(tmp_path), ReceiptState.DONE, remote_id="-1001234567890 3")
    assert planned(tmp_path, earlier).payload["reply_to"] == "-1001234567890 3"

    with Telegram() as server:
        EXECUTOR.apply(TELEGRAM.action(reply_to="-1001234567890 3"), TELEGRAM.channel(server, tmp_path))

    assert sent(server)[0]["reply_parameters"] == {
        "chat_id": -1001234567890,
        "message_id": 3,
        "allow_sending_without_reply": True,
    }


# ------------------------------------------------------------------------------------------ edit and withdraw


def test_a_message_that_telegram_does_not_delete_any_more_says_that_it_is_withdrawn(tmp_path: Path) -> None:
    with Telegram() as server:
        channel, action = TELEGRAM.channel(server, tmp_path), TELEGRAM.action()
        receipt = EXECUTOR.apply(action, channel)
        server.old.add(1)
        undone = [EXECUTOR.undo(action, receipt, channel) for _ in range(2)]

        assert TELEGRAM.posts(server) == ["<b>Withdrawn.</b> This announcement no longer stands."]
    assert [receipt and receipt.detail for receipt in undone] == [
        "Telegram deletes nothing so old: the message says that it is withdrawn"
    ] * 2


def test_a_correction_of_what_is_gone_is_refused(tmp_path: Path) -> None:
    with Telegram() as server:
        channel, action = TELEGRAM.channel(server, tmp_path), TELEGRAM.action()
        receipt = EXECUTOR.apply(action, channel)
        server.posts.clear()
        with pytest.raises(RelmanError, match="message to edit not found"):
            EXECUTOR.edit(action, receipt, channel)


# ------------------------------------------------------------------------------------------------- refusals


def test_html_that_telegram_does_not_read_is_named(tmp_path: Path) -> None:
    with Telegram() as server:
        with pytest.raises(
            RelmanError, match="sendMessage of channel `news` was refused: Bad Request: can't"
        ) as caught:
            EXECUTOR.apply(TELEGRAM.action("<b>a"), TELEGRAM.channel(server, tmp_path))
        assert server.posts == []
    assert "template" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("status", "document", "kind", "hint"),
    [
        (401, {"description": "Unauthorized"}, Unequipped, "token"),
        (403, {"description": "Forbidden: bot was kicked from the channel chat"}, Unequipped, "token"),
        (404, {"description": "Not Found"}, Unequipped, "`api`"),
        (400, {"description": "Bad Request: chat not found"}, RelmanError, "`chat`"),
        (400, {"description": "Bad Request: message thread not found"}, RelmanError, "`topic`"),
        (400, {"description": "upgraded", "parameters": {"migrate_to_chat_id": -1007}}, RelmanError, "`chat = -1007`"),
        (400, {"description": 7}, RelmanError, ""),
        (200, {"description": "whatever"}, RelmanError, ""),
        (200, {"description": "wait", "parameters": {"retry_after": 5}}, Passing, "later"),
    ],
)  # fmt: skip
def test_what_a_refusal_means(
    tmp_path: Path, status: int, document: dict[str, Any], kind: type[RelmanError], hint: str
) -> None:
    with Telegram() as server:
        server.faults.append(once("^POST", lambda _: answer({"ok": False, **document}, status)))
        with pytest.raises(RelmanError) as caught:
            EXECUTOR.apply(TELEGRAM.action(), TELEGRAM.channel(server, tmp_path))

    assert type(caught.value) is kind
    assert hint in (caught.value.hint or "")


def test_how_long_to_wait_is_answer(tmp_path: Path) -> None:
    document = {"ok": False, "description": "Too Many Requests: retry after 40", "parameters": {"retry_after": 40}}
    with Telegram() as server:
        server.faults.append(once("^POST", busy(0, document), times=9))
        with pytest.raises(Passing, match="is asked to wait for 40 s: Too Many Requests"):
            EXECUTOR.apply(TELEGRAM.action(), TELEGRAM.channel(server, tmp_path))


@pytest.mark.parametrize("token", ["nonsense", "123456:composed/../../x", "123456:composed?x", "12:é", " 12:composed"])
def test_a_secret_that_is_no_token_goes_into_no_address(tmp_path: Path, token: str) -> None:
    with Telegram() as server:
        channel = replace(TELEGRAM.channel(server, tmp_path), environ={SECRET: token})
        with pytest.raises(Unequipped, match=f"`{SECRET}` does not hold a token of a bot") as caught:
            EXECUTOR.apply(TELEGRAM.action(), channel)
        assert server.asked == []

    assert token not in caught.value.message
