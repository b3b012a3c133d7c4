"""Announcing on a real personal data server of Bluesky: one record, found again, corrected, taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.errors import AnswerLost, Malformed, NotFound, Unequipped
from relman.model.plan import Action
from relman.model.record import ReceiptState
from relman.testing.executors import RULES, Rule, Trial, channel_trial, with_other_text
from relman_plugins.announce import bluesky as plugin
from tests.integration.bluesky_server import Account, Bluesky


@contextmanager
def channel_of(server: Bluesky, account: Account, folder: Path, *, password: str | None = None) -> Iterator[Trial]:
    own = folder / uuid4().hex
    own.mkdir()
    table = f'[[announce]]\ntype = "bluesky"\nurl = "{server.url}"\nhandle = "@{account.handle}"\n'
    with channel_trial(
        plugin,
        table + 'password = { env = "PASSWORD" }\n',
        folder=own,
        environ={"PASSWORD": password or account.password},
        effects=lambda: len(server.posts(account)),
    ) as trial:
        yield trial


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_contract_of_executors_holds_on_a_real_server(rule: Rule, bluesky: Bluesky, tmp_path: Path) -> None:
    rule(lambda: channel_of(bluesky, bluesky.account(), tmp_path))


@pytest.fixture
def account(bluesky: Bluesky) -> Account:
    return bluesky.account()


@pytest.fixture
def trial(bluesky: Bluesky, account: Account, tmp_path: Path) -> Iterator[Trial]:
    with channel_of(bluesky, account, tmp_path) as found:
        yield found


def the(trial: Trial) -> tuple[Action, plugin.BlueskyExecutor]:
    (action,) = trial.planned.actions
    return action, plugin.BlueskyExecutor()


def test_the_post_has_a_card_that_leads_to_the_notes(bluesky: Bluesky, account: Account, trial: Trial) -> None:
    action, executor = the(trial)

    receipt = executor.apply(action, trial.writer(action))

    ((rkey, record),) = bluesky.posts(account).items()
    assert rkey == action.text("rkey")
    assert record["text"] == action.text("text")
    assert record["langs"] == ["en"]
    assert record["embed"]["external"] == action.payload["card"]
    assert receipt.url == f"https://bsky.app/profile/{account.did}/post/{rkey}"
    executor.verify(action, receipt, trial.reader(action))


def test_written_by_another_run_in_between_it_is_found_and_not_overwritten(
    bluesky: Bluesky, account: Account, trial: Trial
) -> None:
    action, executor = the(trial)
    first = executor.apply(action, trial.writer(action))
    before = bluesky.writes(account)

    executor.apply(action, trial.writer(action))
    with pytest.raises(AnswerLost, match="another post of that key already"):
        executor.apply(with_other_text(action), trial.writer(action))

    assert bluesky.writes(account) == before
    assert executor.probe(action, trial.reader(action)) == replace(first, state=ReceiptState.ADOPTED)


def test_a_correction_keeps_key_time_and_thread(bluesky: Bluesky, account: Account, trial: Trial) -> None:
    action, executor = the(trial)
    parent = executor.apply(action, trial.writer(action))
    other = plugin.record_key("e" * 32, None)
    follow = replace(action, key="e" * 32, payload={**action.payload, "rkey": other, "reply_to": parent.remote_id})
    receipt = executor.apply(follow, trial.writer(follow))
    before = bluesky.posts(account)[other]
    assert {part["uri"] for part in before["reply"].values()} == {parent.remote_id}

    edited = executor.edit(with_other_text(follow), receipt, trial.writer(follow))

    after = bluesky.posts(account)[other]
    assert after["text"] == with_other_text(follow).text("text")
    assert (after["createdAt"], after["reply"]) == (before["createdAt"], before["reply"])
    assert edited is not None
    assert edited.detail == plugin.EDITED


def test_a_follow_up_of_a_post_that_is_gone_stands_by_itself(bluesky: Bluesky, account: Account, trial: Trial) -> None:
    action, executor = the(trial)
    gone = f"at://{account.did}/app.bsky.feed.post/3jui7kd54zh2y"

    executor.apply(replace(action, payload={**action.payload, "reply_to": gone}), trial.writer(action))

    (record,) = bluesky.posts(account).values()
    assert "reply" not in record


def test_a_post_that_was_deleted_or_says_something_else_is_named(trial: Trial) -> None:
    action, executor = the(trial)
    receipt = executor.apply(action, trial.writer(action))

    with pytest.raises(Malformed, match="says something else"):
        executor.verify(with_other_text(action), receipt, trial.reader(action))
    executor.undo(action, receipt, trial.writer(action))
    with pytest.raises(NotFound, match="is not there"):
        executor.verify(action, receipt, trial.reader(action))


def test_a_wrong_password_is_a_missing_credential_and_not_shown(
    bluesky: Bluesky, account: Account, tmp_path: Path
) -> None:
    with channel_of(bluesky, account, tmp_path, password="composed-wrong-one") as trial:
        action, executor = the(trial)
        with pytest.raises(Unequipped) as caught:
            executor.apply(action, trial.writer(action))
        assert "composed-wrong-one" not in f"{caught.value}{caught.value.hint}"
        assert "app passwords" in (caught.value.hint or "")


# ------------------------------------------------------------------------------------------------- keys and facets

EARLY, LATE = datetime(2020, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001  hypothesis adds the zone
hexadecimal = st.text("0123456789abcdef", min_size=32, max_size=32)
moments = st.datetimes(EARLY, LATE, timezones=st.just(UTC))
pieces = st.sampled_from(["https://a.example/x?y=1", "ü", "👩‍💻", " ", "(", ")", ".", "\n", "http://b.example"])


@given(key=hexadecimal, built=st.none() | moments)
def test_a_record_key_is_a_timestamp_identifier_that_derives_from_the_key(key: str, built: datetime | None) -> None:
    found = plugin.record_key(key, built)

    assert re.fullmatch(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}", found)
    assert found == plugin.record_key(key, built)


def test_newer_images_have_later_record_keys() -> None:
    times = [datetime(2026, 7, day, tzinfo=UTC) for day in (1, 2, 3)]

    keys = [plugin.record_key(digit * 32, time) for digit, time in zip("f08", times, strict=True)]

    assert keys == sorted(keys)


@given(st.lists(pieces, max_size=12))
def test_links_are_where_their_bytes_are(parts: list[str]) -> None:
    text = "".join(parts)
    encoded = text.encode()

    for facet in plugin.facets(text):
        place, features = facet["index"], facet["features"]
        assert isinstance(place, dict)
        assert isinstance(features, list)
        (feature,) = features
        assert encoded[place["byteStart"] : place["byteEnd"]].decode() == feature["uri"]
        assert feature["uri"].startswith("http")
