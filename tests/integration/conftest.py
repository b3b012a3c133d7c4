"""Fixtures for tests against real tools."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from relman.http import Client, Retry
from relman.model.oci import Repository, parse_repository
from tests.servers import Front

_count = itertools.count()


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that waits a millisecond where others wait seconds."""
    with Client(timeout=10, retry=Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0, pause_max=0.01)) as client:
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
