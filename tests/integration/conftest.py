"""Fixtures for tests against real tools."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from relman.http import Client, Retry
from relman.model.oci import Repository, parse_repository
from tests.integration.bluesky_server import bluesky as bluesky
from tests.integration.forge_server import forge as forge
from tests.integration.mail_server import mail as mail
from tests.integration.matrix_server import matrix as matrix
from tests.servers import Front

_count = itertools.count()


class _Hurry:
    """A clock for which every sleep is over at once."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def clock(self) -> float:
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        self._skipped += seconds


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that waits for no server, but counts as if it did."""
    hurry = _Hurry()
    retry = Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0)
    with Client(timeout=10, retry=retry, clock=hurry.clock, sleep=hurry.sleep) as client:
        yield client


@pytest.fixture
def front(docker_registry: str) -> Iterator[Front]:
    """A front before the real registry, without logins."""
    with Front(docker_registry) as front:
        yield front


@pytest.fixture
def repository(front: Front) -> Repository:
    """An empty repository behind the front."""
    return parse_repository(f"{front.host}/behind/front-{next(_count)}")
