"""A mail server on loopback that keeps what it takes in a Maildir: plain, with STARTTLS or TLS, with logins.

with mail_server(tmp_path, starttls=True, login=True) as mail:
    mail.faults.append(MailFault.LOST)
    ...
    assert [message["Message-ID"] for message in mail.messages()] == ["<…>"]
"""

from __future__ import annotations

import asyncio
import mailbox
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from enum import StrEnum
from pathlib import Path

import pytest
from aiosmtpd import smtp
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.standins.certificates import Certified, certified

USER = "relman"
PASSWORD = "composed-mail-password"
SIZE = 1 << 20
"""Bytes of a mail at most; the server says so when it is greeted."""


class MailFault(StrEnum):
    """What becomes of one mail, in place of being taken."""

    BEFORE = "the connection ends, and the mail is not kept"
    LOST = "the mail is kept, and the connection ends without an answer"
    LATER = "451 4.7.1 greylisted, try again later"
    REFUSED = "554 5.7.1 refused"


@dataclass(frozen=True)
class Sent:
    """A mail as it was taken: from whom and for whom the envelope said, and its bytes."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    user: str | None
    tls: bool


@dataclass(frozen=True)
class Mail:
    """The server. ``faults`` are used up by one mail each, the first first."""

    host: str
    port: int
    folder: Path
    authority: Path | None
    """The certificate that vouches for the server: the value for ``SSL_CERT_FILE``."""
    user: str | None
    password: str | None
    refused: set[str] = field(default_factory=set)
    """Recipients that the server does not know."""
    faults: list[MailFault] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    """Every mail that was taken, in order."""

    def messages(self) -> list[EmailMessage]:
        """What lies in the Maildir, in the order in which it came."""
        kept = mailbox.Maildir(self.folder, create=False)
        return [_message(kept.get_bytes(key)) for key in sorted(kept.keys(), key=_order)]


def _message(data: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=SMTP).parsebytes(data)


def _order(key: str) -> tuple[int, ...]:
    """The second, the microseconds and the number of a mail, which its name in a Maildir starts with."""
    found = re.match(r"(\d+)\.M(\d+)P\d+Q(\d+)", key)
    assert found is not None, key
    return tuple(int(number) for number in found.groups())


class _Handler:
    def __init__(self, mail: Mail, implicit: bool) -> None:
        self._mail, self._implicit = mail, implicit
        self._box = mailbox.Maildir(mail.folder)

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: smtp.SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self._mail.refused:
            return "550 5.1.1 no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: smtp.SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self._mail.faults.pop(0) if self._mail.faults else None
        if fault in (MailFault.LATER, MailFault.REFUSED):
            return fault.value
        if fault is not MailFault.BEFORE:
            data = envelope.original_content or b""
            user = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else None
            recipients = tuple(str(address) for address in envelope.rcpt_tos)
            tls = self._implicit or session.ssl is not None
            self._mail.sent.append(Sent(str(envelope.mail_from), recipients, data, user, tls))
            self._box.add(data)
        if fault is not None:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            await asyncio.sleep(0)
        return "250 2.0.0 kept"


@contextmanager
def mail_server(
    folder: Path,
    *,
    starttls: bool = False,
    implicit: bool = False,
    login: bool = False,
    certificate: Certified | None = None,
) -> Iterator[Mail]:
    """A server with its Maildir in ``folder``; ``starttls`` demands that, ``implicit`` speaks TLS from the start.

    With ``login`` it takes mail of `USER` with `PASSWORD` alone. ``certificate`` is used in place of a good one.
    """
    if starttls or implicit:
        certificate = certificate or certified(folder.with_name(f"{folder.name}-certificate"))
    context = certificate.server() if certificate else None
    loop = asyncio.new_event_loop()

    def listening() -> smtp.SMTP:
        return smtp.SMTP(
            handler,
            hostname="mail.test",
            data_size_limit=SIZE,
            enable_SMTPUTF8=True,
            tls_context=context if starttls else None,
            require_starttls=starttls,
            auth_required=login,
            auth_require_tls=starttls,
            authenticator=_known,
            loop=loop,
        )

    started = loop.create_server(lambda: listening(), "127.0.0.1", 0, ssl=context if implicit else None)
    server = loop.run_until_complete(started)
    port = server.sockets[0].getsockname()[1]
    authority = certificate.authority if certificate else None
    user, password = (USER, PASSWORD) if login else (None, None)
    mail = Mail("127.0.0.1", port, folder, authority, user, password)
    handler = _Handler(mail, implicit)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield mail
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def _known(server: smtp.SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False, auth_data=data if right else None)


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[Mail]:
    """A plain server without logins."""
    with mail_server(tmp_path / "mail") as server:
        yield server
