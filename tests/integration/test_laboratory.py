"""The real servers of the laboratory answer, keep what is posted, and let tests count it."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path

import httpx2
import pytest

from tests.integration.bluesky_server import POST, Account, Bluesky
from tests.integration.forge_server import Forge
from tests.integration.mail_server import PASSWORD, SIZE, USER, Mail, MailFault, mail_server
from tests.integration.matrix_server import Matrix
from tests.standins.certificates import certified

# ------------------------------------------------------------------------------------------------ Matrix


def send(matrix: Matrix, room: str, transaction: str, text: str, token: str | None = None) -> str:
    path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}"
    sent: str = matrix.call("PUT", path, {"msgtype": "m.notice", "body": text}, token=token)["event_id"]
    return sent


def test_synapse_takes_a_transaction_once_for_each_token(matrix: Matrix) -> None:
    room = matrix.room()

    first = send(matrix, room, "t1", "v1")
    assert send(matrix, room, "t1", "v1") == first
    assert [post["body"] for post in matrix.posts(room)] == ["v1"]
    assert send(matrix, room, "t1", "v1", matrix.login().token) != first
    assert [post["body"] for post in matrix.posts(room)] == ["v1", "v1"]


def test_synapse_shows_edits_apart_and_no_longer_what_was_redacted(matrix: Matrix) -> None:
    room = matrix.room()
    event = send(matrix, room, "t1", "v1")
    new = {"msgtype": "m.notice", "body": "v1, corrected"}
    edit = {**new, "m.new_content": new, "m.relates_to": {"rel_type": "m.replace", "event_id": event}}
    matrix.call("PUT", f"/_matrix/client/v3/rooms/{room}/send/m.room.message/t2", edit)

    assert [content["body"] for content in matrix.posts(room)] == ["v1"]
    assert len(matrix.events(room)) == 2
    matrix.call("PUT", f"/_matrix/client/v3/rooms/{room}/redact/{event}/t3", {})
    assert matrix.posts(room) == []


def test_synapse_refuses_more_than_it_was_told_to_take(matrix: Matrix) -> None:
    room, busy = matrix.room(), matrix.register("busy")
    matrix.call("POST", f"/_matrix/client/v3/rooms/{room}/join", {}, token=busy.token)
    matrix.throttle(busy, burst=2)

    path = f"{matrix.url}/_matrix/client/v3/rooms/{room}/send/m.room.message"
    headers = {"Authorization": f"Bearer {busy.token}"}
    bodies = [{"msgtype": "m.notice", "body": str(number)} for number in range(5)]
    answers = [httpx2.put(f"{path}/t{n}", json=body, headers=headers) for n, body in enumerate(bodies)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].status_code == 200
    assert {answer.json()["errcode"] for answer in refused} == {"M_LIMIT_EXCEEDED"}
    assert refused[0].json()["retry_after_ms"] > 0


# ----------------------------------------------------------------------------------------------- Bluesky


def put(bluesky: Bluesky, account: Account, key: str, text: str) -> None:
    record = {"$type": POST, "text": text, "createdAt": "2026-06-24T00:00:00Z"}
    body = {"repo": account.did, "collection": POST, "rkey": key, "record": record}
    bluesky.call("POST", "com.atproto.repo.putRecord", body, account.token)


def test_bluesky_has_one_record_for_each_key(bluesky: Bluesky) -> None:
    account = bluesky.account()

    put(bluesky, account, "3jui7kd54zh2y", "v1")
    before = bluesky.writes(account)
    put(bluesky, account, "3jui7kd54zh2y", "v1, corrected")
    put(bluesky, account, "3jui7kd54zh3y", "v2")
    assert {key: post["text"] for key, post in bluesky.posts(account).items()} == {
        "3jui7kd54zh2y": "v1, corrected",
        "3jui7kd54zh3y": "v2",
    }
    assert bluesky.writes(account) != before


def test_bluesky_refuses_a_text_that_is_too_long(bluesky: Bluesky) -> None:
    account = bluesky.account()

    with pytest.raises(httpx2.HTTPStatusError, match="400") as caught:
        put(bluesky, account, "3jui7kd54zh2y", "x" * 301)
    assert "grapheme" in caught.value.response.json()["message"]
    assert bluesky.posts(account) == {}


# ------------------------------------------------------------------------------------------------- Gitea


def test_gitea_has_one_release_for_each_tag_and_its_assets_can_be_downloaded(forge: Forge) -> None:
    repository = forge.repository()
    release = forge.call("POST", f"/repos/{repository}/releases", {"tag_name": "v1", "name": "v1", "body": "notes"})
    upload = f"{forge.url}/api/v1/repos/{repository}/releases/{release['id']}/assets?name=notes.md"
    headers = {"Authorization": f"token {forge.token}"}
    httpx2.post(upload, files={"attachment": ("x", b"# v1")}, headers=headers).raise_for_status()

    assert [item["tag_name"] for item in forge.releases(repository)] == ["v1"]
    assert forge.assets(repository, "v1") == {"notes.md": b"# v1"}
    with pytest.raises(httpx2.HTTPStatusError, match="409"):
        forge.call("POST", f"/repos/{repository}/releases", {"tag_name": "v1"})


def test_gitea_combines_the_newest_status_of_each_context(forge: Forge) -> None:
    repository = forge.repository()
    commit = forge.head(repository)
    for state in ("pending", "success"):
        forge.status(repository, commit, "openqa", state)

    found = forge.call("GET", f"/repos/{repository}/commits/{commit}/status")
    assert (found["state"], [item["context"] for item in found["statuses"]]) == ("success", ["openqa"])


# -------------------------------------------------------------------------------------------------- mail


def message(key: str, text: str = "v1\n") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "relman@example.invalid", "users@example.invalid", f"über {key}"
    made["Message-ID"] = f"<{key}@example.invalid>"
    made.set_content(text)
    return made


def test_mails_lie_in_the_order_in_which_they_came(mail: Mail) -> None:
    with smtplib.SMTP(mail.host, mail.port, timeout=30) as client:
        for number in range(12):
            client.send_message(message(str(number)))

    assert [found["Message-ID"] for found in mail.messages()] == [f"<{n}@example.invalid>" for n in range(12)]
    assert mail.messages()[0]["Subject"] == "über 0"
    assert mail.sent[0].recipients == ("users@example.invalid",)


def test_each_fault_of_the_mail_server_does_what_it_says(mail: Mail) -> None:
    mail.faults.extend([MailFault.BEFORE, MailFault.LOST, MailFault.LATER, MailFault.REFUSED])
    answers = []
    for number in range(5):
        try:
            with smtplib.SMTP(mail.host, mail.port, timeout=30) as client:
                answers.append(client.send_message(message(str(number))) or "kept")
        except smtplib.SMTPServerDisconnected:
            answers.append("gone")
        except smtplib.SMTPDataError as error:
            answers.append(str(error.smtp_code))

    assert answers == ["gone", "gone", "451", "554", "kept"]
    assert [found["Message-ID"] for found in mail.messages()] == ["<1@example.invalid>", "<4@example.invalid>"]
    mail.refused.add("users@example.invalid")
    with smtplib.SMTP(mail.host, mail.port, timeout=30) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.send_message(message("5"))
        mail.refused.clear()
        with pytest.raises(smtplib.SMTPException):
            client.send_message(message("6", ("x" * 70 + "\n") * (SIZE // 70)))


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it does not see TLS from the start
@pytest.mark.parametrize("implicit", [False, True])
def test_mails_go_through_tls_and_a_login(tmp_path: Path, implicit: bool) -> None:
    with mail_server(tmp_path / "mail", starttls=not implicit, implicit=implicit, login=True) as mail:
        trusting = ssl.create_default_context(cafile=str(mail.authority))
        client = (
            smtplib.SMTP_SSL(mail.host, mail.port, timeout=30, context=trusting)
            if implicit
            else smtplib.SMTP(mail.host, mail.port, timeout=30)
        )
        with client:
            if not implicit:
                with pytest.raises(smtplib.SMTPException):
                    client.send_message(message("plain"))
                client.starttls(context=trusting)
            with pytest.raises(smtplib.SMTPException):
                client.send_message(message("nobody"))
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login(USER, "composed-wrong")
            client.login(USER, PASSWORD)
            client.send_message(message("v1"))

        assert [found["Message-ID"] for found in mail.messages()] == ["<v1@example.invalid>"]
        assert [(sent.user, sent.tls) for sent in mail.sent] == [(USER, True)]


def test_a_mail_server_can_have_a_certificate_that_expired(tmp_path: Path) -> None:
    old = certified(tmp_path / "old", expired=True)
    with (
        mail_server(tmp_path / "mail", starttls=True, certificate=old) as mail,
        smtplib.SMTP(mail.host, mail.port, timeout=30) as client,
        pytest.raises(ssl.SSLCertVerificationError, match="expired"),
    ):
        client.starttls(context=old.client())
