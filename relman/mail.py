"""Hands a mail to a server (RFC 5321), within a time limit, and tells a refusal from an answer that was lost."""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

import msgspec

from relman.addresses import is_loopback
from relman.errors import AnswerLost, ConfigError, Passing, RelmanError, Unequipped
from relman.redaction import redact

log = logging.getLogger(__name__)

Tls = Literal["starttls", "tls", "none"]
PORTS: Mapping[Tls, int] = {"starttls": 587, "tls": 465, "none": 25}
"""RFC 6409, RFC 8314, RFC 5321."""
_LONGEST = 200


class MailServer(msgspec.Struct, frozen=True):
    """Where mails are handed in. ``login`` is a user's name and password, or `None`."""

    host: str
    port: int
    tls: Tls
    login: tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def hand_in(
    server: MailServer, sender: str, recipients: Sequence[str], message: bytes, *, seconds: float
) -> Mapping[str, str]:
    """Hand in ``message``; answers with the recipients that the server refused, and why, where it took others.

    All of it takes at most ``seconds``. Raises `AnswerLost` where the mail was sent and no answer came, `Passing` where
    nothing was taken and that may pass, `Unequipped` where the server does not know us, `ConfigError` for a password
    that would go in plain text, and `RelmanError` for what the server refuses.
    """
    if server.login and server.tls == "none" and not is_loopback(server.host):
        raise ConfigError(
            f"`{server}` would be told the password in plain text",
            hint='`tls` is "starttls" or "tls" where one logs in',
        )
    log.debug("handing in a mail of %d bytes at %s (%s)", len(message), server, server.tls)
    with _connected(server, seconds) as (smtp, over):
        refused: dict[str, str] = {}
        try:
            _begin(smtp, server)
            _require(smtp.mail(sender), server, f"does not take mail from `{sender}`")
            for recipient in recipients:
                code, words = smtp.rcpt(recipient)
                if code not in (250, 251):
                    refused[recipient] = _words(code, words)
            if len(refused) == len(recipients):
                said = "; ".join(f"`{one}`: {why}" for one, why in refused.items())
                passing = all(why.startswith("4") for why in refused.values())
                raise (Passing if passing else RelmanError)(f"`{server}` takes mail for nobody: {said}")
        except smtplib.SMTPAuthenticationError as error:
            raise Unequipped(
                f"`{server}` does not let us in: {_words(error.smtp_code, error.smtp_error)}",
                hint="`username`, `password`, and whether the account may log in by SMTP",
            ) from error
        except ssl.SSLError as error:
            raise _untrusted(server, error) from error
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise Passing(f"`{server}` {_why(error, over())}; nothing was sent") from error
        try:
            code, words = smtp.data(message)
        except smtplib.SMTPDataError as error:
            code, words = error.smtp_code, error.smtp_error  # type: ignore[assignment]
        except (smtplib.SMTPException, OSError) as error:
            raise AnswerLost(f"`{server}` {_why(error, over())}, and may have taken the mail") from error
        _require((code, words), server, "does not take the mail")
    return refused


class _Plain(smtplib.SMTP):
    """Makes itself known before it connects, which a constructor does, and waits for a greeting."""

    def __init__(self, known: list[smtplib.SMTP], server: MailServer, seconds: float) -> None:
        known.append(self)
        super().__init__(server.host, server.port, timeout=seconds)


class _Tls(smtplib.SMTP_SSL):
    """The same with TLS from the start."""

    def __init__(self, known: list[smtplib.SMTP], server: MailServer, seconds: float) -> None:
        known.append(self)
        super().__init__(server.host, server.port, timeout=seconds, context=ssl.create_default_context())


@contextmanager
def _connected(server: MailServer, seconds: float) -> Iterator[tuple[smtplib.SMTP, Callable[[], bool]]]:
    """A connection that is cut when the time is over, and whether it was: no server can hold us by answering slowly."""
    known: list[smtplib.SMTP] = []
    ended = threading.Event()

    def cut() -> None:
        ended.set()
        for one in known:
            if one.sock is not None:
                with suppress(OSError):  # it was over already
                    one.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        try:
            smtp = (_Tls if server.tls == "tls" else _Plain)(known, server, seconds)
        except ssl.SSLError as error:
            raise _untrusted(server, error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Passing(f"no connection to `{server}`: it {_why(error, ended.is_set())}") from error
        yield smtp, ended.is_set
    finally:
        timer.cancel()
        for one in known:
            one.close()


def _begin(smtp: smtplib.SMTP, server: MailServer) -> None:
    smtp.ehlo_or_helo_if_needed()
    if server.tls == "starttls":
        if not smtp.has_extn("starttls"):
            raise Unequipped(f"`{server}` offers no TLS", hint='`tls = "tls"` is another way, mostly on port 465')
        smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo()
    if server.login:
        if not smtp.has_extn("auth"):
            raise Unequipped(f"`{server}` lets nobody log in", hint="leave out `username` and `password`")
        smtp.login(*server.login)


def _require(answer: tuple[int, bytes], server: MailServer, otherwise: str) -> None:
    code, words = answer
    if 200 <= code < 300:
        return
    kind = Passing if 400 <= code < 500 else RelmanError
    raise kind(f"`{server}` {otherwise}: {_words(code, words)}")


def _words(code: int, words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    line = " ".join("".join(char if char.isprintable() else " " for char in redact(text)).split())
    return f"{code} {line}"[:_LONGEST]


def _why(error: Exception, late: bool) -> str:
    if late or isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"answered {_words(error.smtp_code, error.smtp_error)}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "closed the connection"
    return redact(str(getattr(error, "strerror", None) or error or type(error).__name__)).lower()


def _untrusted(server: MailServer, error: ssl.SSLError) -> Unequipped:
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    return Unequipped(f"the TLS of `{server}` does not hold: {reason}", hint="its certificate, and `tls` in the table")
