"""Fixtures that several test files share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests import servers


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real docker-registry for the whole run, ``127.0.0.1:PORT``: use a repository name of your own."""
    if shutil.which("docker-registry") is None:
        pytest.skip("`docker-registry` is not installed, and no package of this system has it")
    with servers.docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="session")
def olareg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real olareg, which has the referrers API, for the whole run: use a repository name of your own."""
    if shutil.which("olareg") is None:
        pytest.skip("`olareg` is not installed: `./dev test --peers` builds it")
    with servers.olareg(tmp_path_factory.mktemp("olareg")) as host:
        yield host
