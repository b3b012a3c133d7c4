"""A real personal data server of Bluesky on loopback, with its directory of identities."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.servers import serving

PASSWORD = "composed-password"
POST = "app.bsky.feed.post"

_count = itertools.count(1)


@dataclass(frozen=True)
class Account:
    """A user: a name that can change, an identity that cannot, the password, and a token as it is after logging in."""

    handle: str
    did: str
    password: str
    token: str


@dataclass(frozen=True)
class Bluesky:
    """The server: make an account of your own for each test."""

    url: str
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60), repr=False)

    def call(self, method: str, name: str, body: object = None, token: str = "", **query: str) -> Any:
        """What the server answers to an XRPC, which has to be a success."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.client.request(method, f"{self.url}/xrpc/{name}", json=body, params=query, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def account(self) -> Account:
        """A new one."""
        handle = f"relman-{next(_count)}.test"
        body = {"handle": handle, "email": f"{handle}@example.invalid", "password": PASSWORD}
        made = self.call("POST", "com.atproto.server.createAccount", body)
        return Account(handle, made["did"], PASSWORD, made["accessJwt"])

    def posts(self, account: Account) -> dict[str, dict[str, Any]]:
        """The posts of an account by their keys, the oldest key first."""
        query = {"repo": account.did, "collection": POST, "limit": "100", "reverse": "true"}
        found = self.call("GET", "com.atproto.repo.listRecords", **query)["records"]
        return {record["uri"].rpartition("/")[2]: record["value"] for record in found}

    def writes(self, account: Account) -> str:
        """The revision of all that an account holds: another one after each write, even of the same."""
        query = {"did": account.did}
        revision: str = self.call("GET", "com.atproto.sync.getLatestCommit", **query)["rev"]
        return revision


def _command(folder: Path, port: int) -> list[str]:
    return ["bluesky_node", str(Path(__file__).with_name("bluesky_server.mjs")), str(folder), str(port)]


@pytest.fixture(scope="session")
def bluesky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bluesky]:
    """A real personal data server for the whole run."""
    if shutil.which("bluesky_node") is None:
        pytest.skip("`bluesky_node` is not there: `./dev test --peers` installs it")
    with serving(tmp_path_factory.mktemp("bluesky"), _command, patience=120) as host:
        yield Bluesky(f"http://{host}")
