"""The contract of executors over everything that announces in chats and forums: killed, lost, refused, corrected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from relman.model.record import NO_TIME, Receipt, ReceiptState
from relman.testing.executors import RULES, Rule, Trial, channel_trial
from relman_plugins.announce import discord, discourse, slack, telegram
from tests.chat_cases import CASES, SECRET, Case
from tests.chats import Discourse
from tests.standins.discourse import Topic

PLUGINS: Mapping[str, Any] = {"discord": discord, "discourse": discourse, "slack": slack, "telegram": telegram}


def written(table: Mapping[str, object]) -> str:
    """A table as relman.toml has it."""
    lines = ["[[announce]]"]
    for name, value in table.items():
        if isinstance(value, dict):
            lines.append(f'{name} = {{ env = "{value["env"]}" }}')
        elif isinstance(value, str | int):
            lines.append(f"{name} = {json.dumps(value)}")
        elif isinstance(value, list):
            lines.append(f"{name} = {[str(each) for each in value]}".replace("'", '"'))
    return "\n".join(lines) + "\n"


@contextmanager
def trial(case: Case, folder: Path, *, earlier: Mapping[str, Receipt] | None = None, **options: Any) -> Iterator[Trial]:
    """A world of its own for a case."""
    place = folder / uuid4().hex
    place.mkdir()
    with case.server(**options) as server:
        table = {"type": case.type, "name": "news", **case.table(server)}
        with channel_trial(
            PLUGINS[case.type],
            written(table),
            folder=place,
            environ={SECRET: case.secret(server)},
            effects=lambda: len(case.posts(server)),
            earlier=earlier or {},
        ) as made:
            yield made


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", CASES)
def test_it_keeps_the_contract_of_executors(name: str, rule: Rule, tmp_path: Path) -> None:
    rule(lambda: trial(CASES[name], tmp_path))


def forum_with_a_topic(**options: Any) -> Discourse:
    """The earlier release has its topic already."""
    forum = Discourse(**options)
    forum.all_topics.append(Topic(101, 102, "Composed testing: 20260705", "the earlier notes", 5, [], None))
    return forum


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_so_does_a_reply_on_a_forum(rule: Rule, tmp_path: Path) -> None:
    replying = replace(
        CASES["discourse"],
        server=forum_with_a_topic,
        table=lambda server: {**CASES["discourse"].table(server), "reply": True},
        posts=lambda server: [post["raw"] for post in server.answers.values()],
    )
    earlier = Receipt("k", "discourse:news", ReceiptState.DONE, NO_TIME, remote_id="101 102")

    rule(lambda: trial(replying, tmp_path, earlier={"news": earlier}))


@pytest.mark.parametrize("rule", RULES[:7], ids=lambda rule: rule.__name__)
def test_so_does_a_topic_that_waits_for_a_moderator(rule: Rule, tmp_path: Path) -> None:
    queued = replace(CASES["discourse"], server=lambda **_: Discourse(queued=True), posts=lambda server: server.pending)

    rule(lambda: trial(queued, tmp_path))
