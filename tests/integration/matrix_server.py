"""A real Synapse on loopback, with accounts and rooms made through Matrix's API, and a view of what rooms hold."""

from __future__ import annotations

import hashlib
import hmac
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
SECRET = "composed-registration-secret"
NAME = "matrix.test"

CONFIGURATION = """\
server_name: {name}
report_stats: false
suppress_key_server_warning: true
trusted_key_servers: []
federation_domain_whitelist: []
enable_registration: true
enable_registration_without_verification: true
registration_shared_secret: {secret}
macaroon_secret_key: composed-macaroon-secret
form_secret: composed-form-secret
bcrypt_rounds: 4
signing_key_path: {folder}/signing.key
media_store_path: {folder}/media
log_config: {folder}/log.yaml
database: {{name: sqlite3, args: {{database: {folder}/homeserver.db}}}}
listeners:
  - {{port: {port}, bind_addresses: [127.0.0.1], type: http, tls: false, resources: [{{names: [client]}}]}}
rc_message: {{per_second: 10000, burst_count: 10000}}
rc_room_creation: {{per_second: 10000, burst_count: 10000}}
rc_registration: {{per_second: 10000, burst_count: 10000}}
rc_login:
  address: {{per_second: 10000, burst_count: 10000}}
  account: {{per_second: 10000, burst_count: 10000}}
"""
LOGGING = """\
version: 1
root: {level: WARNING, handlers: [stderr]}
handlers: {stderr: {class: logging.StreamHandler}}
disable_existing_loggers: false
"""

_count = itertools.count(1)


@dataclass(frozen=True)
class Account:
    """A user, ``@name:server``, and one of its access tokens."""

    user: str
    token: str


@dataclass(frozen=True)
class Matrix:
    """The server, and one account of it that may write; make a room of your own for each test."""

    url: str
    account: Account
    name: str = NAME
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60), repr=False)

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Any:
        """What the server answers, which has to be a success."""
        headers = {"Authorization": f"Bearer {token or self.account.token}"} if token != "" else {}
        answer = self.client.request(method, f"{self.url}{path}", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def register(self, name: str) -> Account:
        """A new user."""
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        made = self.call("POST", "/_matrix/client/v3/register", body, token="")
        return Account(made["user_id"], made["access_token"])

    def login(self) -> Account:
        """The same account with another access token: to the server another device, with transactions of its own."""
        who = {"type": "m.id.user", "user": self.account.user}
        body = {"type": "m.login.password", "identifier": who, "password": PASSWORD}
        made = self.call("POST", "/_matrix/client/v3/login", body, token="")
        return Account(made["user_id"], made["access_token"])

    def room(self) -> str:
        """A new room with an address that nobody else uses, ``!…``."""
        body = {"preset": "public_chat", "room_alias_name": f"room-{next(_count)}"}
        made: str = self.call("POST", "/_matrix/client/v3/createRoom", body)["room_id"]
        return made

    def events(self, room: str, type_: str = "m.room.message") -> list[dict[str, Any]]:
        """The events of that type in a room, the oldest first, as they were sent, edits among them.

        What was redacted has an empty ``content``.
        """
        path = f"/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=1000"
        found = self.call("GET", path)["chunk"]
        return [event for event in reversed(found) if event["type"] == type_]

    def posts(self, room: str) -> list[dict[str, Any]]:
        """What readers take for messages: neither edits nor what was redacted."""
        events = (event["content"] for event in self.events(room))
        return [content for content in events if content and "m.new_content" not in content]

    def throttle(self, account: Account, *, burst: int, per_second: int = 1) -> None:
        """After ``burst`` events of that account, joins among them, the server answers 429, as a public one does."""
        path = f"/_synapse/admin/v1/users/{account.user}/override_ratelimit"
        self.call("POST", path, {"messages_per_second": per_second, "burst_count": burst}, token=self._admin().token)

    def _admin(self) -> Account:
        path, name = "/_synapse/admin/v1/register", f"admin-{next(_count)}"
        nonce = self.call("GET", path, token="")["nonce"]
        text = "\0".join((nonce, name, PASSWORD, "admin")).encode()
        mac = hmac.new(SECRET.encode(), text, hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": True, "mac": mac}
        made = self.call("POST", path, body, token="")
        return Account(made["user_id"], made["access_token"])


def _command(folder: Path, port: int) -> list[str]:
    config = folder / "homeserver.yaml"
    config.write_text(CONFIGURATION.format(name=NAME, secret=SECRET, folder=folder, port=port))
    (folder / "log.yaml").write_text(LOGGING)
    (folder / "signing.key").write_text("ed25519 a_comp " + "A" * 42 + "E\n")
    return ["synapse_homeserver", "--config-path", str(config)]


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """A real Synapse for the whole run."""
    if shutil.which("synapse_homeserver") is None:
        pytest.skip("`synapse_homeserver` is not there: `./dev test --peers` installs it")
    with serving(tmp_path_factory.mktemp("matrix"), _command, patience=120) as host:
        url = f"http://{host}"
        nobody = Account("", "")
        yield Matrix(url, Matrix(url, nobody).register("relman"))
