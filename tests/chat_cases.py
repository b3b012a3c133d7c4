"""Each way to announce in a chat or forum with a server of its own: what the tests of all of them are made over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relman.channel import Channel
from relman.config import ChannelTable
from relman.http import Client, Retry
from relman.model.plan import Action, Stage, action_key
from relman_plugins.announce.discord import DiscordExecutor
from relman_plugins.announce.discourse.executor import DiscourseExecutor
from relman_plugins.announce.slack import SlackExecutor
from relman_plugins.announce.telegram import TelegramExecutor
from tests.chats import Discord, Discourse, Slack, Telegram
from tests.standins.base import Standin
from tests.walking import MONDAY

OTHER = "another text, as long as forums want one"
TEXT = "Composed stable is now stable-20260706. @everyone <!channel> & more: 👩‍👩‍👧‍👦"
RELEASE = "0" * 16
SECRET = "CHAT_SECRET"


@dataclass(frozen=True)
class Case:
    """A channel named `news`. ``finds``: its service can say whether a post is there; ``edits``: it can change one."""

    type: str
    executor: Any
    server: Callable[..., Any]
    table: Callable[[Any], Mapping[str, object]]
    secret: Callable[[Any], str]
    posts: Callable[[Any], list[str]]
    """The texts that are there."""
    finds: bool
    edits: bool = True
    text: str = TEXT
    payload: Mapping[str, object] = field(default_factory=dict)

    def action(self, text: str | None = None, **more: object) -> Action:
        """What is announced."""
        target = f"{self.type}:news"
        payload = {"text": self.text if text is None else text, **self.payload, **more}
        return Action(self.type, Stage.ANNOUNCE, action_key(RELEASE, target), target, channel="news", payload=payload)

    def channel(self, server: Standin, folder: Path, *, http: Client | None = None, **table: object) -> Channel:
        """What the executor acts with."""
        entries = {"type": self.type, "name": "news", **self.table(server), **table}
        kept = ChannelTable("announce", self.type, "news", (), False, entries)
        client = http or Client(retry=Retry(attempts=3, connections=1, wait_initial=0, wait_jitter=0))
        return Channel(kept, folder, client, MONDAY, {SECRET: self.secret(server)})


NAMED = {"env": SECRET}
DISCOURSE = Case(
    "discourse",
    DiscourseExecutor(),
    Discourse,
    lambda server: {"url": server.url, "category": 5, "username": "relman", "key": NAMED, "tags": ["release"]},
    lambda server: server.secret,
    lambda server: [topic.raw for topic in server.topics],
    finds=True,
    payload={"title": "Composed stable: stable-20260706"},
)
DISCORD = Case(
    "discord",
    DiscordExecutor(),
    Discord,
    lambda server: {"webhook": NAMED},
    lambda server: server.webhook,
    lambda server: [post["content"] for post in server.posts],
    finds=False,
)
SLACK = Case(
    "slack",
    SlackExecutor(),
    Slack,
    lambda server: {"token": NAMED, "channel": Slack.channel, "api": server.api},
    lambda server: server.secret,
    lambda server: [post["text"] for post in server.posts],
    finds=True,
)
SLACK_WEBHOOK = Case(
    "slack",
    SlackExecutor(),
    Slack,
    lambda server: {"webhook": NAMED},
    lambda server: server.webhook,
    lambda server: [post["text"] for post in server.posts],
    finds=False,
    edits=False,
)
TELEGRAM = Case(
    "telegram",
    TelegramExecutor(),
    Telegram,
    lambda server: {"token": NAMED, "chat": Telegram.chat, "api": server.url},
    lambda server: server.secret,
    lambda server: [post["text"] for post in server.posts],
    finds=False,
    text="<b>Composed</b> stable is now stable-20260706. @everyone &amp; more: 👩‍👩‍👧‍👦",
)
CASES = {
    "discourse": DISCOURSE,
    "discord": DISCORD,
    "slack": SLACK,
    "slack-webhook": SLACK_WEBHOOK,
    "telegram": TELEGRAM,
}
