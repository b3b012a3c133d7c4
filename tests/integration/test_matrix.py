"""Announcing in rooms of a real Synapse: once, found again, corrected, taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from relman.errors import ConfigError, Malformed, NotFound, RelmanError, Unequipped
from relman.model.plan import Action
from relman.model.record import ReceiptState
from relman.testing.executors import RULES, Rule, Trial, channel_trial, with_other_text
from relman_plugins.announce import matrix as plugin
from tests.integration.matrix_server import Matrix


@contextmanager
def room_of(server: Matrix, folder: Path, *, address: bool = False, token: str | None = None) -> Iterator[Trial]:
    """A new room, and the channel that announces in it."""
    room = server.room()
    name = room
    if address:
        name = server.call("GET", f"/_matrix/client/v3/rooms/{room}/aliases")["aliases"][0]
    own = folder / uuid4().hex
    own.mkdir()
    table = f'[[announce]]\ntype = "matrix"\nurl = "{server.url}"\nroom = "{name}"\ntoken = {{ env = "TOKEN" }}\n'
    with channel_trial(
        plugin,
        table,
        folder=own,
        environ={"TOKEN": token or server.account.token},
        effects=lambda: len(server.posts(room)),
    ) as trial:
        yield trial


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_contract_of_executors_holds_on_a_real_server(rule: Rule, matrix: Matrix, tmp_path: Path) -> None:
    rule(lambda: room_of(matrix, tmp_path))


@pytest.fixture
def trial(matrix: Matrix, tmp_path: Path) -> Iterator[Trial]:
    with room_of(matrix, tmp_path) as found:
        yield found


def the(trial: Trial) -> tuple[Action, Any]:
    (action,) = trial.planned.actions
    return action, plugin.MatrixExecutor()


def test_readers_see_text_and_html_and_nobody_is_pinged(matrix: Matrix, trial: Trial) -> None:
    action, executor = the(trial)

    receipt = executor.apply(action, trial.writer(action))

    room, event = receipt.remote_id.split(" ")
    (content,) = matrix.posts(room)
    assert content == {
        "msgtype": "m.notice",
        "body": action.text("text"),
        "format": "org.matrix.custom.html",
        "formatted_body": action.text("html"),
        "m.mentions": {},
        "org.relman.key": action.key,
    }
    assert receipt.url == f"https://matrix.to/#/{room}/{event}"


def test_a_room_may_be_named_by_its_address(matrix: Matrix, tmp_path: Path) -> None:
    with room_of(matrix, tmp_path, address=True) as trial:
        action, executor = the(trial)
        receipt = executor.apply(action, trial.writer(action))
        assert executor.probe(action, trial.reader(action)) == replace(receipt, state=ReceiptState.ADOPTED)


def test_with_another_token_and_after_many_messages_it_is_found_and_not_sent_again(
    matrix: Matrix, tmp_path: Path
) -> None:
    with room_of(matrix, tmp_path) as trial:
        action, executor = the(trial)
        receipt = executor.apply(action, trial.writer(action))
        room = receipt.remote_id.split(" ")[0]
        for number in range(150):
            path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/other-{number}"
            matrix.call("PUT", path, {"msgtype": "m.text", "body": str(number)})

        assert executor.probe(action, trial.reader(action)) == replace(receipt, state=ReceiptState.ADOPTED)


def test_somebody_elses_message_with_our_key_is_not_ours(matrix: Matrix, trial: Trial) -> None:
    action, executor = the(trial)
    room = matrix_room(trial)
    other = matrix.register(f"mallory-{uuid4().hex[:8]}")
    matrix.call("POST", f"/_matrix/client/v3/rooms/{room}/join", {}, token=other.token)
    forged = {"msgtype": "m.text", "body": "forged", "org.relman.key": action.key}
    path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/x"
    matrix.call("PUT", path, forged, token=other.token)

    assert executor.probe(action, trial.reader(action)) is None


def matrix_room(trial: Trial) -> str:
    (action,) = trial.planned.actions
    return plugin.Home(action, trial.reader(action)).room()


def test_a_correction_replaces_what_readers_see(matrix: Matrix, trial: Trial) -> None:
    action, executor = the(trial)
    receipt = executor.apply(action, trial.writer(action))
    changed = with_other_text(action)

    executor.edit(changed, receipt, trial.writer(action))

    room, event = receipt.remote_id.split(" ")
    aggregated = matrix.events(room)[-1]["content"]
    assert aggregated["m.relates_to"] == {"rel_type": "m.replace", "event_id": event}
    assert aggregated["m.new_content"]["body"] == changed.text("text")
    assert len(matrix.posts(room)) == 1
    executor.verify(changed, receipt, trial.reader(action))


def test_what_was_redacted_by_somebody_is_named_as_taken_away(matrix: Matrix, trial: Trial) -> None:
    action, executor = the(trial)
    receipt = executor.apply(action, trial.writer(action))
    room, event = receipt.remote_id.split(" ")
    matrix.call("PUT", f"/_matrix/client/v3/rooms/{room}/redact/{event}/z", {})

    with pytest.raises(NotFound, match="was taken away"):
        executor.verify(action, receipt, trial.reader(action))


def test_a_message_with_another_text_is_named(trial: Trial) -> None:
    action, executor = the(trial)
    receipt = executor.apply(action, trial.writer(action))

    with pytest.raises(Malformed, match="says something else"):
        executor.verify(with_other_text(action), receipt, trial.reader(action))


def test_a_follow_up_answers_the_earlier_message(matrix: Matrix, trial: Trial) -> None:
    action, executor = the(trial)
    first = executor.apply(action, trial.writer(action))
    follow = replace(action, key="f" * 32, payload={**action.payload, "reply_to": first.remote_id})

    executor.apply(follow, trial.writer(action))

    room, event = first.remote_id.split(" ")
    assert matrix.posts(room)[-1]["m.relates_to"] == {"m.in_reply_to": {"event_id": event}}


def test_an_encrypted_room_is_refused(matrix: Matrix, trial: Trial) -> None:
    action, executor = the(trial)
    path = f"/_matrix/client/v3/rooms/{matrix_room(trial)}/state/m.room.encryption"
    matrix.call("PUT", path, {"algorithm": "m.megolm.v1.aes-sha2"})

    with pytest.raises(ConfigError, match="is encrypted"):
        executor.apply(action, trial.writer(action))


@pytest.mark.parametrize("token", ["composed-wrong-token"])
def test_a_wrong_token_is_a_missing_credential_and_not_shown(matrix: Matrix, tmp_path: Path, token: str) -> None:
    with room_of(matrix, tmp_path, token=token) as trial:
        action, executor = the(trial)
        with pytest.raises(Unequipped, match="M_UNKNOWN_TOKEN") as caught:
            executor.apply(action, trial.writer(action))
        assert token not in f"{caught.value}{caught.value.hint}"


def test_a_room_that_we_are_not_in_says_what_to_do(matrix: Matrix, tmp_path: Path) -> None:
    stranger = matrix.register(f"stranger-{uuid4().hex[:8]}")
    with room_of(matrix, tmp_path, token=stranger.token) as trial:
        action, executor = the(trial)
        with pytest.raises(RelmanError) as caught:
            executor.apply(action, trial.writer(action))
        assert "join" in (caught.value.hint or "")
