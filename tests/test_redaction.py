"""Secrets are in nothing that is printed or logged, however they are written."""

from __future__ import annotations

import base64
import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman import redaction
from relman.redaction import RedactingFilter, redact, register


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
