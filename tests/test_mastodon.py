"""Announcing by Mastodon's API: once by its key, found again by its text, within what the server takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from relman.errors import AnswerLost, ConfigError, Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.model.plan import Action
from relman.model.record import ReceiptState
from relman.testing.executors import RULES, Rule, Trial, channel_trial, with_other_text
from relman_plugins.announce import mastodon as plugin
from tests.integration.front import answer, lose, nth_write
from tests.servers import once
from tests.standins.faults import before, busy, cut
from tests.standins.mastodon import Mastodon


@contextmanager
def channel_of(server: Mastodon, folder: Path, more: str = "", token: str | None = None) -> Iterator[Trial]:
    own = folder / uuid4().hex
    own.mkdir()
    table = f'[[announce]]\ntype = "mastodon"\nurl = "{server.url}"\ntoken = {{ env = "TOKEN" }}\n{more}'
    environ = {"TOKEN": token or server.token}
    with channel_trial(plugin, table, folder=own, environ=environ, effects=lambda: len(server.posts)) as trial:
        yield trial


@contextmanager
def world(folder: Path) -> Iterator[Trial]:
    with Mastodon() as server, channel_of(server, folder) as trial:
        yield trial


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_contract_of_executors_holds(rule: Rule, tmp_path: Path) -> None:
    rule(lambda: world(tmp_path))


@pytest.fixture
def mastodon() -> Iterator[Mastodon]:
    with Mastodon() as server:
        yield server


@pytest.fixture
def trial(mastodon: Mastodon, tmp_path: Path) -> Iterator[Trial]:
    with channel_of(mastodon, tmp_path) as found:
        yield found


def the(trial: Trial) -> tuple[Action, plugin.MastodonExecutor]:
    (action,) = trial.planned.actions
    return action, plugin.MastodonExecutor()


def test_the_post_is_what_the_plan_has_seen_as_the_table_says(mastodon: Mastodon, tmp_path: Path) -> None:
    with channel_of(mastodon, tmp_path, 'visibility = "unlisted"\nlanguage = "en"\n') as trial:
        action, executor = the(trial)
        receipt = executor.apply(action, trial.writer(action))

    (post,) = mastodon.posts
    assert {name: post[name] for name in ("status", "visibility", "language")} == {
        "status": action.text("text"),
        "visibility": "unlisted",
        "language": "en",
    }
    assert receipt.remote_id == post["id"]


@pytest.mark.parametrize("hours", [0, 2])
def test_an_answer_that_was_lost_is_settled_by_the_key_and_later_by_the_text(
    hours: int, mastodon: Mastodon, trial: Trial
) -> None:
    action, executor = the(trial)
    mastodon.faults.append(nth_write(1, lose, for_ever=True))
    with pytest.raises(AnswerLost):
        executor.apply(action, trial.writer(action))
    mastodon.faults.clear()
    mastodon.now += timedelta(hours=hours)

    found = executor.probe(action, trial.reader(action))

    assert len(mastodon.posts) == 1
    assert found is not None
    assert getattr(found, "state", None) is ReceiptState.ADOPTED


@pytest.mark.parametrize("fault", [lose, cut(10)])
def test_one_lost_answer_costs_nothing(fault: object, mastodon: Mastodon, trial: Trial) -> None:
    action, executor = the(trial)
    mastodon.faults.append(nth_write(1, fault))  # type: ignore[arg-type]

    receipt = executor.apply(action, trial.writer(action))

    assert [post["id"] for post in mastodon.posts] == [receipt.remote_id]


def test_among_many_later_posts_ours_is_found(mastodon: Mastodon, trial: Trial) -> None:
    action, executor = the(trial)
    receipt = executor.apply(action, trial.writer(action))
    for number in range(130):
        other = replace(action, key=f"{number:032x}", payload={**action.payload, "text": f"other {number}"})
        executor.apply(other, trial.writer(action))

    assert executor.probe(action, trial.reader(action)) == replace(receipt, state=ReceiptState.ADOPTED)


def test_a_server_that_takes_less_is_asked_before_anything_is_sent(tmp_path: Path) -> None:
    with Mastodon(limit=60) as server, channel_of(server, tmp_path) as trial:
        action, executor = the(trial)
        with pytest.raises(ConfigError, match="its server takes 60") as caught:
            executor.apply(action, trial.writer(action))

        assert caught.value.hint == "write `limit = 60` into its table, and make a new plan"
        assert server.writes == []


def test_an_old_server_that_does_not_tell_is_posted_to(tmp_path: Path) -> None:
    with Mastodon(old=True) as server, channel_of(server, tmp_path) as trial:
        action, executor = the(trial)
        executor.apply(action, trial.writer(action))

        assert len(server.posts) == 1


def test_a_follow_up_answers_the_earlier_post_and_stands_alone_where_that_is_gone(
    mastodon: Mastodon, trial: Trial
) -> None:
    action, executor = the(trial)
    first = executor.apply(action, trial.writer(action))
    for key, earlier in (("e" * 32, first.remote_id), ("f" * 32, "1")):
        follow = replace(action, key=key, payload={**action.payload, "text": key, "reply_to": earlier})
        executor.apply(follow, trial.writer(action))

    assert [post.get("in_reply_to_id") for post in mastodon.posts] == [None, first.remote_id, None]


def test_a_correction_is_an_edit_and_a_withdrawn_post_is_deleted(mastodon: Mastodon, trial: Trial) -> None:
    action, executor = the(trial)
    receipt = executor.apply(action, trial.writer(action))

    executor.edit(with_other_text(action), receipt, trial.writer(action))
    assert [post["status"] for post in mastodon.posts] == [with_other_text(action).text("text")]
    executor.verify(with_other_text(action), receipt, trial.reader(action))
    with pytest.raises(Malformed, match="says something else"):
        executor.verify(action, receipt, trial.reader(action))

    for _ in range(2):
        executor.undo(action, receipt, trial.writer(action))
    assert mastodon.posts == []
    with pytest.raises(NotFound):
        executor.verify(action, receipt, trial.reader(action))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (busy(0), Passing),
        (answer(401), Unequipped),
        (answer(403), Unequipped),
        (answer(422), RelmanError),
        (answer(500), AnswerLost),
        (answer(503), AnswerLost),
        (before, AnswerLost),
    ],
)
def test_what_the_server_refuses_is_said_and_nothing_is_there_twice(
    fault: object, error: type[RelmanError], mastodon: Mastodon, trial: Trial
) -> None:
    action, executor = the(trial)
    mastodon.faults.append(nth_write(1, fault, for_ever=True))  # type: ignore[arg-type]

    with pytest.raises(error) as caught:
        executor.apply(action, trial.writer(action))

    assert type(caught.value) is error
    assert mastodon.token not in f"{caught.value}{caught.value.hint}"
    assert mastodon.posts == []


def test_a_server_that_answers_nonsense_when_read_is_named(mastodon: Mastodon, trial: Trial) -> None:
    action, executor = the(trial)
    mastodon.faults.append(once("GET .*/verify_credentials", answer(200)))

    with pytest.raises(Malformed):
        executor.probe(action, trial.reader(action))
