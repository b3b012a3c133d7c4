"""Announcing by Apprise, to a server of its plainest kind: once, or unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from relman.errors import AnswerLost, RelmanError
from relman.model.plan import Action
from relman.model.record import Unknown
from relman.testing.executors import RULES, Rule, Trial, channel_trial
from relman_plugins.announce import apprise as plugin
from tests.servers import Reply, Scripted

pytest.importorskip("apprise")


@contextmanager
def channel_of(server: Scripted, folder: Path, more: str = "", address: str | None = None) -> Iterator[Trial]:
    own = folder / uuid4().hex
    own.mkdir()
    table = f'[[announce]]\ntype = "apprise"\nsecret = {{ env = "ADDRESS" }}\n{more}'
    address = address or f"json://composed-user:composed-secret@{server.host}/in"
    environ = {"ADDRESS": address}
    with channel_trial(plugin, table, folder=own, environ=environ, effects=lambda: len(server.asked)) as trial:
        yield trial


@contextmanager
def world(folder: Path) -> Iterator[Trial]:
    with Scripted(lambda asked: Reply(200)) as server, channel_of(server, folder) as trial:
        yield trial


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_contract_of_executors_holds(rule: Rule, tmp_path: Path) -> None:
    rule(lambda: world(tmp_path))


def the(trial: Trial) -> tuple[Action, plugin.AppriseExecutor]:
    (action,) = trial.planned.actions
    return action, plugin.AppriseExecutor()


def test_it_is_given_the_text_that_was_reviewed(tmp_path: Path) -> None:
    with Scripted(lambda asked: Reply(200)) as server, channel_of(server, tmp_path) as trial:
        action, executor = the(trial)
        executor.apply(action, trial.writer(action))

    (asked,) = server.asked
    sent = json.loads(asked.body)
    assert (sent["title"], sent["message"]) == (action.text("title"), action.text("text"))


@pytest.mark.parametrize("reply", [Reply(500), Reply(403), Reply(reset=True)])
def test_what_failed_is_unknown_since_apprise_does_not_say_how(reply: Reply, tmp_path: Path) -> None:
    with Scripted(lambda asked: reply) as server, channel_of(server, tmp_path) as trial:
        action, executor = the(trial)
        with pytest.raises(AnswerLost):
            executor.apply(action, trial.writer(action))
        assert isinstance(executor.probe(action, trial.reader(action)), Unknown)


def test_a_service_that_takes_too_long_is_left(tmp_path: Path) -> None:
    slow = Reply(200, {}, b"x" * 400, drip=0.1)
    with (
        Scripted(lambda asked: slow) as server,
        channel_of(server, tmp_path, 'timeout = "1s"\n') as trial,
    ):
        action, executor = the(trial)
        with pytest.raises(AnswerLost, match="took longer than 1 s"):
            executor.apply(action, trial.writer(action))


def test_an_address_that_apprise_does_not_know_is_named_without_its_secret(tmp_path: Path) -> None:
    with (
        Scripted(lambda asked: Reply(200)) as server,
        channel_of(server, tmp_path, address="nothing://composed-secret-token") as trial,
    ):
        action, executor = the(trial)
        with pytest.raises(RelmanError, match="does not know the address") as caught:
            executor.apply(action, trial.writer(action))

        assert "composed-secret-token" not in f"{caught.value}{caught.value.hint}"
