"""What holds for every announcement in a chat or forum: posted once, or unknown for a reason; no secret anywhere."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from relman import redaction
from relman.errors import AnswerLost, Passing, RelmanError, Unequipped
from relman.http import Client, Retry
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.redaction import redact
from tests.chat_cases import CASES, OTHER, SECRET, Case
from tests.servers import Reply, free_port, once
from tests.standins.certificates import certified
from tests.standins.faults import before, busy, cut, lose, slow

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(params=[*CASES.values()], ids=[*CASES])
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())


WRITE = r"^(POST|PUT|PATCH|DELETE) "


def test_it_is_posted_once_as_it_was_reviewed_and_found_where_the_service_can_tell(case: Case, tmp_path: Path) -> None:
    with case.server() as server:
        channel, action = case.channel(server, tmp_path), case.action()
        before = case.executor.probe(action, channel)
        receipt = case.executor.apply(action, channel)
        case.executor.verify(action, receipt, channel)
        after = case.executor.probe(action, channel)
        posts = case.posts(server)

    assert posts == [case.text]
    assert (receipt.state, receipt.sha256) == (ReceiptState.DONE, hashlib.sha256(case.text.encode()).hexdigest())
    assert bool(receipt.remote_id) == case.edits
    if case.finds:
        assert before is None
        assert after == replace(receipt, state=ReceiptState.ADOPTED)
    else:
        assert isinstance(before, Unknown)
        assert isinstance(after, Unknown)
        assert after.reason


@pytest.mark.parametrize("fault", [before, lose, cut(1)], ids=["before", "after", "cut"])
def test_where_the_answer_was_lost_nothing_is_sent_again_and_what_can_be_found_is(
    case: Case, tmp_path: Path, fault: object
) -> None:
    with case.server() as server:
        server.faults.append(once(WRITE, fault))  # type: ignore[arg-type]
        channel, action = case.channel(server, tmp_path), case.action()
        with pytest.raises(AnswerLost):
            case.executor.apply(action, channel)
        writes, posts, found = len(server.writes), case.posts(server), case.executor.probe(action, channel)

    assert writes == 1
    if case.finds:
        assert bool(posts) == isinstance(found, Receipt)
    else:
        assert isinstance(found, Unknown)


@pytest.mark.parametrize("status", [500, 502, 504, 503])
def test_an_answer_of_five_hundred_may_mean_that_it_was_posted(case: Case, tmp_path: Path, status: int) -> None:
    with case.server() as server:
        server.faults.append(once(WRITE, lambda _: Reply(status, {}, b"<html>oh</html>")))
        with pytest.raises(AnswerLost, match=f"answered {status}; it may have been posted"):
            case.executor.apply(case.action(), case.channel(server, tmp_path))

        assert len(server.writes) == 1


def test_who_asks_to_wait_is_waited_for_and_it_is_posted_once(case: Case, tmp_path: Path) -> None:
    with case.server() as server:
        server.faults.append(once(WRITE, busy(0), times=2))
        case.executor.apply(case.action(), case.channel(server, tmp_path))

        assert (len(server.writes), case.posts(server)) == (3, [case.text])


def test_who_asks_to_wait_for_ever_is_a_passing_failure(case: Case, tmp_path: Path) -> None:
    said = {"extras": {"wait_seconds": 93}, "retry_after": 93, "ok": False, "error": "ratelimited"}
    with case.server() as server:
        server.faults.append(
            once(WRITE, busy(0, {**said, "parameters": {"retry_after": 93}, "errors": ["slow down"]}), times=9)
        )
        with pytest.raises(Passing) as caught:
            case.executor.apply(case.action(), case.channel(server, tmp_path))

        assert case.posts(server) == []
    assert case.type == "slack" or "93 s" in caught.value.message


def test_a_slow_answer_is_lost_when_the_time_is_over(case: Case, tmp_path: Path) -> None:
    with case.server() as server:
        server.faults.append(once(WRITE, slow(1.5)))
        with Client(total=1, retry=Retry(attempts=1)) as http, pytest.raises(AnswerLost):
            case.executor.apply(case.action(), case.channel(server, tmp_path, http=http, timeout="10s"))

        assert case.posts(server) == [case.text]


def test_a_server_that_is_not_there_is_a_passing_failure(case: Case, tmp_path: Path) -> None:
    with case.server() as server:
        channel = case.channel(server, tmp_path)
        here, nowhere = re.compile(r"127\.0\.0\.1:\d+"), f"127.0.0.1:{free_port()}"
        entries = channel.table.table.items()
        table = {name: here.sub(nowhere, value) if isinstance(value, str) else value for name, value in entries}
        environ = {SECRET: here.sub(nowhere, case.secret(server))}
        away = replace(channel, table=replace(channel.table, table=table), environ=environ)
        with pytest.raises(Passing, match="cannot be reached"):
            case.executor.apply(case.action(), away)

        assert server.asked == []


def test_a_certificate_that_expired_is_no_place_for_a_secret(case: Case, tmp_path: Path) -> None:
    good, expired = certified(tmp_path / "good"), certified(tmp_path / "expired", expired=True)
    with case.server(tls=expired.server()) as server, Client(verify=expired.client()) as http:
        with pytest.raises(RelmanError, match="no TLS with"):
            case.executor.apply(case.action(), case.channel(server, tmp_path, http=http))
        assert server.asked == []
    with case.server(tls=good.server()) as server, Client(verify=good.client()) as http:
        case.executor.apply(case.action(), case.channel(server, tmp_path, http=http))
        assert case.posts(server) == [case.text]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"<html>", b'{"ok": true}', b"[" * 100_000, b"\xff", b'{"ok": true, "result": 7}',
     b'{"id": "../../x", "topic_id": {}, "ok": true, "channel": "C1/..", "ts": 7, "result": {"message_id": true}}'],
)  # fmt: skip
def test_a_success_that_does_not_say_what_was_posted_is_none(case: Case, tmp_path: Path, content: bytes) -> None:
    with case.server() as server:
        server.faults.append(once(WRITE, lambda _: Reply(200, {"Content-Type": "application/json"}, content)))
        with pytest.raises(AnswerLost):
            case.executor.apply(case.action(), case.channel(server, tmp_path))


def test_an_answer_without_an_end_is_read_no_further_than_a_mebibyte(case: Case, tmp_path: Path) -> None:
    with case.server() as server:
        server.faults.append(once(WRITE, lambda _: Reply(200, {}, b'{"ok": true, "a": "' + b"x" * (3 << 20))))
        with pytest.raises(AnswerLost):
            case.executor.apply(case.action(), case.channel(server, tmp_path))


def test_a_redirect_is_not_followed(case: Case, tmp_path: Path) -> None:
    with case.server() as server, case.server() as other:
        server.faults.append(once(WRITE, lambda _: Reply(308, {"Location": f"{other.url}/steal"})))
        with pytest.raises(RelmanError, match="308"):
            case.executor.apply(case.action(), case.channel(server, tmp_path))

        assert other.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_is_refused_is_missing(case: Case, tmp_path: Path, status: int) -> None:
    with case.server() as server:
        server.faults.append(once(WRITE, lambda _: Reply(status, {}, b"no")))
        with pytest.raises(Unequipped, match=f"answered {status}: no") as caught:
            case.executor.apply(case.action(), case.channel(server, tmp_path))
    assert caught.value.hint


# ------------------------------------------------------------------------------------------ edit and withdraw


def test_what_was_posted_can_be_corrected_twice_and_taken_back_twice(case: Case, tmp_path: Path) -> None:
    with case.server() as server:
        channel, action = case.channel(server, tmp_path), case.action()
        receipt = case.executor.apply(action, channel)
        changed = case.action(OTHER)
        edits = [case.executor.edit(changed, receipt, channel) for _ in range(2)]
        if not case.edits:
            assert [*edits, case.executor.undo(action, receipt, channel)] == [None] * 3
            return
        case.executor.verify(changed, edits[1], channel)
        assert case.posts(server) == [OTHER]
        assert {edit.remote_id for edit in edits} == {receipt.remote_id}
        undone = [case.executor.undo(action, receipt, channel) for _ in range(2)]
        assert case.posts(server) == []
    assert [receipt.state for receipt in undone] == [ReceiptState.DONE] * 2


@pytest.mark.parametrize("fault", [before, lose], ids=["before", "after"])
@pytest.mark.parametrize("what", ["edit", "undo"])
def test_a_correction_whose_answer_was_lost_can_be_asked_for_again(
    case: Case, tmp_path: Path, fault: object, what: str
) -> None:
    if not case.edits:
        pytest.skip("a webhook of Slack corrects nothing")
    with case.server() as server:
        channel, action = case.channel(server, tmp_path), case.action()
        receipt = case.executor.apply(action, channel)
        changed = case.action(OTHER)
        server.faults.append(once(WRITE, fault))  # type: ignore[arg-type]
        with pytest.raises(AnswerLost):
            getattr(case.executor, what)(changed, receipt, channel)
        getattr(case.executor, what)(changed, receipt, channel)

        assert case.posts(server) == ([OTHER] if what == "edit" else [])


@pytest.mark.parametrize("remote_id", [None, "", "../../x", "1 2 3 4", "1/../../2", "C1 ../x", "x" * 5000, "１ ２"])
def test_a_receipt_with_no_number_of_the_service_leads_nowhere_else(
    case: Case, tmp_path: Path, remote_id: str | None
) -> None:
    with case.server() as server:
        channel, action = case.channel(server, tmp_path), case.action()
        receipt = Receipt.of(action, ReceiptState.DONE, remote_id=remote_id)
        for call in (case.executor.edit, case.executor.undo):
            with suppress(RelmanError):
                call(action, receipt, channel)

        assert server.writes == []


# -------------------------------------------------------------------------------------------------- secrets


def test_no_secret_is_in_what_errors_say_nor_in_the_log(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The service repeats what it was sent, in every way that it could."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    for status in (200, 400, 401, 403, 404, 409, 410, 418, 422, 429, 500, 503):
        with case.server() as server:
            secret = case.secret(server)
            words = f"{'x' * 180} {secret} {quote(secret, safe='')} {secret}"
            document = {
                "message": words, "description": words, "error": words, "errors": [words], "ok": False,
                "response_metadata": {"messages": [words]}, "needed": words, "code": 7,
            }  # fmt: skip
            for content in (json.dumps(document).encode(), words.encode(), b""):
                server.faults[:] = [once(WRITE, lambda _, c=content, s=status: Reply(s, {}, c))]  # type: ignore[misc]
                try:
                    case.executor.apply(case.action(), case.channel(server, tmp_path))
                except RelmanError as error:
                    texts += [error.message, error.hint or ""]
    for word in pieces(secret):
        assert [text for text in texts if word in text] == [], word
    for word in pieces(secret):
        assert [r.getMessage() for r in caplog.records if word in redact(r.getMessage())] == [], word


def pieces(secret: str) -> list[str]:
    """The secret, and what of it is enough to guess the rest."""
    last = secret.rpartition("/")[2]
    return [secret, last, last[:16], last[-16:], quote(last, safe="")]


def test_a_secret_that_is_not_set_sends_nothing(case: Case, tmp_path: Path) -> None:
    with case.server() as server:
        channel = replace(case.channel(server, tmp_path), environ={})
        with pytest.raises(Unequipped, match=SECRET):
            case.executor.apply(case.action(), channel)

        assert server.asked == []


def test_it_is_described_in_one_line_without_a_secret(case: Case) -> None:
    line = case.executor.describe(case.action(title="a\nb\x1b[31m", thread_name="a\nb\x1b[31m"))

    assert line.isprintable()
    assert "`news`" in line
