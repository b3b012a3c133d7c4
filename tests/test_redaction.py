"""Secrets are in nothing that is printed or logged, however they are written."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman import redaction
from relman.redaction import RedactingFilter, RedactingStream, redact, register


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())


def test_a_known_secret_is_masked_wherever_it_stands() -> None:
    register("hunter2222")

    assert redact("a hunter2222 b hunter2222hunter2222") == "a …redacted… b …redacted……redacted…"


SECRET = "p@ss/word=ü"


@pytest.mark.parametrize("written", [SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()])
def test_the_ways_in_which_secrets_are_commonly_written_are_masked_too(written: str) -> None:
    register(SECRET)

    assert redact(f"<{written}>") == "<…redacted…>"


def test_of_two_secrets_the_longer_is_masked_whole() -> None:
    register("abcd")
    register("abcdefgh")

    assert redact("abcdefgh abcd") == "…redacted… …redacted…"


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_what_is_too_short_to_hide_is_not_hidden(short: str) -> None:
    register(short)

    assert redact("abc a b c") == "abc a b c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:s3cret@example.org/x", "https://…redacted…@example.org/x"),
        ("http://me:s3cret@127.0.0.1:5000/v2/", "http://…redacted…@127.0.0.1:5000/v2/"),
        ("https://example.org:5000/a@b", "https://example.org:5000/a@b"),
        ("mail me@example.org", "mail me@example.org"),
    ],
)
def test_what_looks_like_a_credential_in_an_address_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded in a path": quote,
    "percent-encoded in a query": quote_plus,
    "percent-encoded in small letters": lambda secret: re.sub(
        "%..", lambda found: found.group().lower(), quote(secret, safe="")
    ),
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "as JSON": json.dumps,
    "as JSON with all of Unicode": lambda secret: json.dumps(secret, ensure_ascii=False),
    "as HTML": html.escape,
    "as Python": repr,
    "as bytes of Python": lambda secret: repr(secret.encode()),
    "as a word of the shell": lambda secret: shlex.join(["curl", secret]),
    "in a path": lambda secret: f"https://api.example.org/bot{secret}/sendMessage?x=1",
}


@pytest.mark.parametrize("secret", ["p@ss/wörd='\"<&>\\ x%", "123456:AA-secret_ABCDEFGHIJKLMNOP", "composed-token"])
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_hidden_in_whatever_way_it_is_written(written: Callable[[str], str], secret: str) -> None:
    register(secret)

    shown = redact(f"before {written(secret)} after")

    assert "…redacted…" in shown
    assert written(secret) not in shown
    assert (shown[:7], shown[-6:]) == ("before ", " after")


@given(st.text(min_size=16, max_size=40), st.text(max_size=8), st.text(max_size=8))
def test_a_password_is_hidden_in_basic_authentication(secret: str, user: str, after: str) -> None:
    redaction._known.clear()
    register(secret)
    encoded = base64.b64encode(f"{user}:{secret}{after}".encode()).decode()

    assert "…redacted…" in redact(f"Authorization: Basic {encoded}")


def test_of_an_address_that_is_secret_the_token_is_hidden_alone_too() -> None:
    register("https://hooks.example.org/api/webhooks/123/Abcdefghijklmnop_qrstuv?wait=true")

    assert redact("POST /api/webhooks/123/Abcdefghijklmnop_qrstuv") == "POST /api/webhooks/123/…redacted…"
    assert redact("POST /api/webhooks/123/Abcdefghijklmnop_qrstuv?wait=true") == "POST …redacted…"
    assert redact("https://hooks.example.org/") == "https://hooks.example.org/"


def test_every_line_of_a_key_is_hidden() -> None:
    register("-----BEGIN PRIVATE KEY-----\nMIIcomposedLine1\nMIIcomposedLine2\n-----END PRIVATE KEY-----\n")

    assert redact("x MIIcomposedLine2 y") == "x …redacted… y"
    assert redact("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def in_pieces(text: str, cuts: list[int]) -> str:
    """What gets through a stream when ``text`` is written in pieces, each flushed."""
    raw = io.StringIO()
    stream = RedactingStream(raw)
    places = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    for start, end in pairwise(places):
        assert stream.write(text[start:end]) == end - start
        stream.flush()
    stream.release()
    return raw.getvalue()


secrets = st.lists(st.text("abcd:/%", min_size=4, max_size=9), min_size=1, max_size=3)


@given(secrets, st.data())
def test_no_split_lets_a_secret_through_a_stream(secrets: list[str], data: st.DataObject) -> None:
    redaction._known.clear()
    for secret in secrets:
        register(secret)
    filling = st.text("abcd:/% \n", max_size=6)
    text = "".join(piece for secret in secrets for piece in (data.draw(filling), secret)) + data.draw(filling)
    cuts = data.draw(st.lists(st.integers(1, len(text)), max_size=len(text)))

    shown = in_pieces(text, cuts)

    assert all(secret not in piece for secret in secrets for piece in shown.split("…redacted…"))


@given(secrets, st.text("xyz \n…", max_size=30), st.lists(st.integers(1, 30)))
def test_what_is_no_secret_gets_through_as_it_is(secrets: list[str], text: str, cuts: list[int]) -> None:
    redaction._known.clear()
    for secret in secrets:
        register(secret)

    assert in_pieces(text, cuts) == text


def test_what_may_begin_a_secret_is_held_back_and_comes_when_it_did_not() -> None:
    register("composed-secret")
    raw = io.StringIO()
    stream = RedactingStream(raw)

    stream.write("go on? comp")
    before = raw.getvalue()
    stream.write("uter\n")

    assert (before, raw.getvalue()) == ("go on? ", "go on? computer\n")


def test_the_beginning_of_a_secret_is_not_let_out_at_the_end() -> None:
    register("composed-secret")

    assert in_pieces("x composed-secre", []) == "x …redacted…"
    assert in_pieces("x co", []) == "x co"


@given(st.text(min_size=4), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    redaction._known.clear()
    register(secret)

    assert all(secret not in piece for piece in redact(before + secret + after).split("…redacted…"))


def test_a_log_record_is_redacted_after_its_arguments_were_filled_in() -> None:
    register("split-secret")
    record = logging.LogRecord("relman", logging.DEBUG, "x", 1, "split-%s and %d", ("secret", 3), None)

    assert RedactingFilter().filter(record)
    assert record.getMessage() == "…redacted… and 3"


def test_a_traceback_in_the_log_is_redacted() -> None:
    register("composed-secret")
    try:
        raise ValueError("composed-" + "secret")
    except ValueError as error:
        raised = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("relman", logging.DEBUG, "x", 1, "failed", (), raised)

    RedactingFilter().filter(record)

    assert "ValueError: …redacted…" in logging.Formatter("%(message)s").format(record)
