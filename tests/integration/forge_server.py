"""A real Gitea on loopback: its API of releases, assets and statuses is Forgejo's, too."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.servers import serving

OWNER = "acme"
PASSWORD = "composed-password"

CONFIGURATION = """\
APP_NAME = forge
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {files}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1$8
SECRET_KEY = composed-secret-key
[log]
LEVEL = warn
[repository.release]
FILE_MAX_SIZE = 8
[cron]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
"""

_count = itertools.count(1)


@dataclass(frozen=True)
class Forge:
    """The server, and an owner with a token for all; make a repository of your own for each test."""

    url: str
    token: str
    owner: str = OWNER
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60), repr=False)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What the API below ``/api/v1`` answers, which has to be a success; `None` where it says nothing."""
        headers = {"Authorization": f"token {self.token}"}
        answer = self.client.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def repository(self) -> str:
        """A new repository with one commit on `main`, ``owner/name``."""
        body = {"name": f"os-{next(_count)}", "auto_init": True, "default_branch": "main"}
        made: str = self.call("POST", "/user/repos", body)["full_name"]
        return made

    def head(self, repository: str) -> str:
        """The commit of `main`."""
        found: str = self.call("GET", f"/repos/{repository}/branches/main")["commit"]["id"]
        return found

    def tag(self, repository: str, name: str) -> None:
        """A tag on `main`."""
        self.call("POST", f"/repos/{repository}/tags", {"tag_name": name, "target": "main"})

    def releases(self, repository: str) -> list[dict[str, Any]]:
        """All, drafts among them, the oldest first."""
        found: list[dict[str, Any]] = self.call("GET", f"/repos/{repository}/releases?limit=50")
        return found[::-1]

    def assets(self, repository: str, tag: str) -> dict[str, bytes]:
        """What can be downloaded of a release by whoever comes along."""
        release = self.call("GET", f"/repos/{repository}/releases/tags/{tag}")
        found = {}
        for asset in release["assets"]:
            answer = httpx2.get(asset["browser_download_url"], timeout=60)
            answer.raise_for_status()
            found[asset["name"]] = answer.content
        return found

    def status(self, repository: str, commit: str, context: str, state: str) -> None:
        """A status of a commit: `pending`, `success`, `error`, `failure`, `warning` or `skipped`."""
        self.call("POST", f"/repos/{repository}/statuses/{commit}", {"context": context, "state": state})


def _gitea(folder: Path, *arguments: str) -> list[str]:
    return ["gitea", "--work-path", str(folder), "--config", str(folder / "app.ini"), *arguments]


def _command(folder: Path, port: int) -> list[str]:
    program = shutil.which("gitea")
    assert program is not None
    files = Path(program).parent.parent / "share" / "gitea"
    (folder / "app.ini").write_text(CONFIGURATION.format(port=port, files=files))
    return _gitea(folder, "web")


def _run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(
        _gitea(folder, *arguments), check=True, capture_output=True, text=True, timeout=120, env=environment
    )
    return done.stdout.splitlines()[-1]  # root is warned on stdout, too


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A real Gitea for the whole run."""
    if shutil.which("gitea") is None:
        pytest.skip("`gitea` is not there: `./dev test --peers` builds it")
    folder = tmp_path_factory.mktemp("forge")
    with serving(folder, _command, patience=120) as host:
        user = ["--username", OWNER, "--password", PASSWORD, "--email", f"{OWNER}@example.invalid"]
        _run(folder, "admin", "user", "create", "--admin", "--must-change-password=false", *user)
        names = ["--username", OWNER, "--token-name", "relman", "--scopes", "all"]
        yield Forge(f"http://{host}", _run(folder, "admin", "user", "generate-access-token", "--raw", *names))
