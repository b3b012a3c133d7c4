"""What gates are handed to ask others over HTTP with (`hookspecs.Web`), and how secrets are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from relman import redaction
from relman.deadline import Deadline
from relman.errors import Unequipped
from relman.hookspecs import HttpResponse
from relman.http import BODY_LIMIT, Answer, Client
from relman.settings import Secret

REDIRECTS = 3
"""Followed at most: a repository that was renamed, and its new owner."""


class ReadingWeb(msgspec.Struct, frozen=True):
    """Reads, and nothing else."""

    http: Client
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: os.environ)

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(seconds=30),
        limit: int = BODY_LIMIT,
    ) -> HttpResponse:
        """GET, retried where that may help; any status is an answer."""
        seconds = timeout.total_seconds()
        answer = self.http.request(
            "GET",
            url,
            headers=headers,
            limit=limit,
            cut=True,
            timeout=seconds,
            redirects=REDIRECTS,
            deadline=Deadline(seconds),
        )
        return response(answer)

    def reveal(self, secret: object, /) -> str:
        """The value of a `Secret`, hidden in every output from now on."""
        return revealed(secret, "a gate", self.environ)


def revealed(secret: object, who: str, environ: Mapping[str, str]) -> str:
    """The value of a `Secret`, hidden in every output from now on. Raises `Unequipped` where it is not set."""
    if not isinstance(secret, Secret):
        raise TypeError(f"`{type(secret).__name__}` is no Secret")
    value = environ.get(secret.env)
    if not value:
        raise Unequipped(f"{who} needs the environment variable `{secret.env}`, which is not set")
    redaction.register(value)
    return value


def response(answer: Answer) -> HttpResponse:
    """An answer as plugins see it."""
    return HttpResponse(answer.status, answer.headers, answer.content)
