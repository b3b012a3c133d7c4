"""Services that are asked whether a post is there: only an answer that says so means that it is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from relman.channel import Channel
from relman.config import ChannelTable
from relman.errors import Malformed, Passing
from relman.http import Client, Retry
from relman.model.plan import Action, Stage, action_key
from relman_plugins.announce.discourse.executor import DiscourseExecutor
from relman_plugins.announce.mastodon import MastodonExecutor
from relman_plugins.announce.matrix import MatrixExecutor
from relman_plugins.announce.slack import SlackExecutor
from tests.servers import Asked, Reply, Scripted
from tests.walking import MONDAY

TOKEN: Mapping[str, object] = {"env": "TOKEN"}
SERVICES: Mapping[str, tuple[Any, Mapping[str, object], Mapping[str, bytes], bytes]] = {
    "slack": (SlackExecutor(), {"api": "URL", "channel": "C0123456789", "token": TOKEN}, {}, b'{"ok": true}'),
    "mastodon": (
        MastodonExecutor(),
        {"url": "URL", "token": TOKEN},
        {"verify_credentials": b'{"id": "1"}'},
        b'{"error": "being moved"}',
    ),
    "matrix": (
        MatrixExecutor(),
        {"url": "URL", "room": "!room:a.example", "token": TOKEN},
        {"whoami": b'{"user_id": "@os:a.example"}'},
        b'{"end": "t1"}',
    ),
    "discourse": (
        DiscourseExecutor(),
        {"url": "URL", "category": 5, "username": "relman", "key": TOKEN},
        {"external_id": b""},
        b"{}",
    ),
}
"""Executor, table, what it is answered before, and a list that is not there."""


@pytest.mark.parametrize("listed", ["", "<html>log in</html>", "[1", "7", "null"])
@pytest.mark.parametrize("name", SERVICES)
def test_an_answer_without_a_list_does_not_say_that_nothing_is_there(name: str, listed: str, tmp_path: Path) -> None:
    executor, table, before, empty = SERVICES[name]

    def answering(asked: Asked) -> Reply:
        for part, body in before.items():
            if part in asked.path:
                return Reply(200 if body else 404, {"Content-Type": "application/json"}, body)
        return Reply(200, {}, listed.encode() or empty)

    target = f"{name}:news"
    action = Action(
        name, Stage.ANNOUNCE, action_key("0" * 16, target), target, channel="news", payload={"text": "x", "title": "y"}
    )
    with Scripted(answering) as server:
        entries = {key: server.url if value == "URL" else value for key, value in table.items()}
        read = ChannelTable("announce", name, "news", (), False, {"type": name, **entries})
        http = Client(retry=Retry(attempts=1, connections=1, wait_initial=0, wait_jitter=0))
        channel = Channel(read, tmp_path, http, MONDAY, {"TOKEN": "composed-token-0123456789"})
        with pytest.raises((Malformed, Passing)):
            executor.probe(action, channel)
