"""Announcing by mail to a real server: with TLS and a login, once, and unknown where nobody can tell."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from relman.errors import AnswerLost, ConfigError, Passing, RelmanError, Unequipped
from relman.mail import MailServer, hand_in
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.testing.executors import RULES, Rule, Trial, channel_trial
from relman_plugins.announce import email as plugin
from tests.integration.mail_server import USER, Mail, MailFault, mail_server
from tests.standins.certificates import certified

LIST = "news@example.org"


def table_of(mail: Mail, *, tls: str = "none", to: str = f'"{LIST}"', more: str = "") -> str:
    login = f'username = "{mail.user}"\npassword = {{ env = "PASSWORD" }}\n' if mail.user else ""
    return (
        f'[[announce]]\ntype = "email"\nhost = "{mail.host}"\nport = {mail.port}\ntls = "{tls}"\n'
        f'from = "releases@example.org"\nto = {to}\n{login}{more}'
    )


@contextmanager
def channel_of(mail: Mail, folder: Path, table: str) -> Iterator[Trial]:
    own = folder / uuid4().hex
    own.mkdir()
    environ = {"PASSWORD": mail.password} if mail.password else {}
    with channel_trial(plugin, table, folder=own, environ=environ, effects=lambda: len(mail.sent)) as trial:
        yield trial


@contextmanager
def world(folder: Path) -> Iterator[Trial]:
    folder = folder / uuid4().hex
    folder.mkdir()
    with mail_server(folder / "mail", login=True) as mail, channel_of(mail, folder, table_of(mail)) as trial:
        yield trial


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_contract_of_executors_holds_on_a_real_server(rule: Rule, tmp_path: Path) -> None:
    rule(lambda: world(tmp_path))


@pytest.fixture
def trial(mail: Mail, tmp_path: Path) -> Iterator[Trial]:
    with channel_of(mail, tmp_path, table_of(mail, more='list_id = "news.example.org"\n')) as found:
        yield found


def the(trial: Trial) -> tuple[Action, plugin.EmailExecutor]:
    (action,) = trial.planned.actions
    return action, plugin.EmailExecutor()


def test_the_mail_has_both_texts_and_says_that_a_program_sent_it(mail: Mail, trial: Trial) -> None:
    action, executor = the(trial)

    receipt = executor.apply(action, trial.writer(action))

    (message,) = mail.messages()
    names = ("From", "To", "Message-ID", "Auto-Submitted", "List-Id", "Date")
    assert {name: str(message[name]) for name in names} == {
        "From": "releases@example.org",
        "To": LIST,
        "Message-ID": f"<relman.{action.key}@example.org>",
        "Auto-Submitted": "auto-generated",
        "List-Id": "<news.example.org>",
        "Date": "Mon, 06 Jul 2026 12:00:00 +0000",
    }
    assert str(message["Subject"]) == action.text("title")
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().split() == action.text("text").split()
    assert html.get_content().split() == action.text("html").split()
    sha256 = hashlib.sha256(action.text("text").encode()).hexdigest()
    assert receipt == Receipt.of(action, ReceiptState.DONE, remote_id=str(message["Message-ID"]), sha256=sha256)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_tls_and_a_login_are_used_where_the_table_says_so(
    tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tmp_path / "mail", starttls=tls == "starttls", implicit=tls == "tls", login=True) as mail:
        monkeypatch.setenv("SSL_CERT_FILE", str(mail.authority))
        with channel_of(mail, tmp_path, table_of(mail, tls=tls)) as trial:
            action, executor = the(trial)
            executor.apply(action, trial.writer(action))

        assert [(sent.user, sent.tls, sent.recipients) for sent in mail.sent] == [(USER, True, (LIST,))]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("expired", [True, False], ids=["expired", "nobody vouches"])
def test_a_certificate_that_does_not_hold_keeps_mail_and_password_here(
    tls: str, expired: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = certified(tmp_path / "bad", expired=True) if expired else None
    with mail_server(
        tmp_path / "mail", starttls=tls == "starttls", implicit=tls == "tls", login=True, certificate=bad
    ) as mail:
        if expired:
            monkeypatch.setenv("SSL_CERT_FILE", str(mail.authority))
        with channel_of(mail, tmp_path, table_of(mail, tls=tls)) as trial:
            action, executor = the(trial)
            with pytest.raises(Unequipped, match="does not hold"):
                executor.apply(action, trial.writer(action))

        assert mail.sent == []


def test_a_wrong_password_is_a_missing_credential_and_not_shown(tmp_path: Path) -> None:
    with mail_server(tmp_path / "mail", login=True) as mail:
        wrong = dataclasses.replace(mail, password="composed-wrong-password")
        with channel_of(wrong, tmp_path, table_of(wrong)) as trial:
            action, executor = the(trial)
            with pytest.raises(Unequipped, match="does not let us in") as caught:
                executor.apply(action, trial.writer(action))

        assert "composed-wrong-password" not in f"{caught.value}{caught.value.hint}"
        assert mail.sent == []


@pytest.mark.parametrize(
    ("fault", "error", "sent"),
    [
        (MailFault.LATER, Passing, 0),
        (MailFault.REFUSED, RelmanError, 0),
        (MailFault.BEFORE, AnswerLost, 0),
        (MailFault.LOST, AnswerLost, 1),
    ],
)
def test_what_became_of_a_mail_is_told_from_what_nobody_knows(
    fault: MailFault, error: type[RelmanError], sent: int, mail: Mail, trial: Trial
) -> None:
    action, executor = the(trial)
    mail.faults.append(fault)

    with pytest.raises(RelmanError) as caught:
        executor.apply(action, trial.writer(action))

    assert (type(caught.value), len(mail.sent)) == (error, sent)
    assert isinstance(executor.probe(action, trial.reader(action)), Unknown)


def test_receivers_that_are_not_known_are_named_where_others_are(mail: Mail, tmp_path: Path) -> None:
    mail.refused.add("gone@example.org")
    both = f'["{LIST}", "gone@example.org"]'
    with channel_of(mail, tmp_path, table_of(mail, to=both)) as trial:
        action, executor = the(trial)
        receipt = executor.apply(action, trial.writer(action))

    assert receipt.detail == "not for `gone@example.org`: 550 5.1.1 no such mailbox here"
    assert [sent.recipients for sent in mail.sent] == [(LIST,)]


def test_a_mail_for_nobody_is_refused(mail: Mail, trial: Trial) -> None:
    mail.refused.add(LIST)
    action, executor = the(trial)

    with pytest.raises(RelmanError, match="takes mail for nobody"):
        executor.apply(action, trial.writer(action))


def test_a_follow_up_names_the_earlier_mail(mail: Mail, trial: Trial) -> None:
    action, executor = the(trial)
    first = executor.apply(action, trial.writer(action))
    changed = {**action.payload, "reply_to": first.remote_id, "message_id": f"<relman.{'f' * 32}@example.org>"}

    executor.apply(replace(action, key="f" * 32, payload=changed), trial.writer(action))

    message = mail.messages()[-1]
    assert (str(message["In-Reply-To"]), str(message["References"])) == (first.remote_id, first.remote_id)


@pytest.mark.parametrize("hostile", ["\r\nBcc: all@example.org", "\n\n<script>", "\x00", "\ud800"])
def test_a_title_can_add_no_header(hostile: str, mail: Mail, trial: Trial) -> None:
    action, executor = the(trial)
    changed = replace(action, payload={**action.payload, "title": f"stable{hostile}"})

    with suppress(RelmanError):  # what cannot be written is not sent
        executor.apply(changed, trial.writer(action))

    assert [(message["Bcc"], sent.recipients) for message, sent in zip(mail.messages(), mail.sent, strict=True)] in (
        [],
        [(None, (LIST,))],
    )


def test_a_password_does_not_go_in_plain_text_over_the_network() -> None:
    server = MailServer("mail.example.org", 25, "none", ("ada", "composed-password"))

    with pytest.raises(ConfigError, match="in plain text"):
        hand_in(server, "a@example.org", ["b@example.org"], b"", seconds=1)


@contextmanager
def dripping(pause: float) -> Iterator[int]:
    """A server that greets without an end, a byte now and then, so that no single wait is ever too long."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    connection.sendall(b"220-")
                    while not over.wait(pause):
                        connection.sendall(b"x")
                except OSError:
                    over.set()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        thread.join(10)
        assert not thread.is_alive()


def test_a_server_that_answers_byte_by_byte_is_left_when_the_time_is_over() -> None:
    with dripping(0.05) as port, pytest.raises(Passing):
        hand_in(MailServer("127.0.0.1", port, "none"), "a@example.org", ["b@example.org"], b"", seconds=0.5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('to = "nobody"', "is not an address of mail"),
        ('to = "a b@example.org"', "is not an address of mail"),
        ("to = []", "there should be an entry"),
        ('from = "x@y\\r\\nBcc: z@y"', "is not an address of mail"),
        ('username = "ada"', "go together"),
        ('password = "written here"', "env"),
    ],
)
def test_what_is_written_wrong_is_named(line: str, said: str, mail: Mail, tmp_path: Path) -> None:
    key = line.split(" ")[0]
    lines = [one for one in table_of(mail).splitlines() if not one.startswith(f"{key} ")]

    with pytest.raises(AssertionError, match=said), channel_of(mail, tmp_path, "\n".join([*lines, line])):
        pass
