"""Who we are to a registry: the files and helper programs in which skopeo, podman and docker keep logins.

Sources: containers-auth.json(5); docker's `config.json` and the protocol of docker-credential-helpers.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relman import process
from relman.addresses import DOCKER_HUB
from relman.errors import Malformed, Unequipped
from relman.redaction import register

_LIMIT = 4 * 1024 * 1024
_HELPER_SECONDS = 60
_TOKEN_USER = "<token>"  # noqa: S105  a marker of docker's, not a secret
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login. ``identity_token`` is traded for tokens in place of a password; ``origin`` is where it was found."""

    username: str
    password: str
    identity_token: str | None
    origin: str

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, origin={self.origin!r})"


class CredentialStore:
    """Finds logins. The files are read when they are first asked for, and again for each new question.

    ``environment`` stands for `os.environ`.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def files(self) -> tuple[Path, ...]:
        """Where logins may be, the first one first. `REGISTRY_AUTH_FILE` stands for all others."""
        given = self._environment.get("REGISTRY_AUTH_FILE")
        if given:
            return (Path(given),)
        home = Path(self._environment.get("HOME") or Path.home())
        runtime = self._environment.get("XDG_RUNTIME_DIR")
        containers = Path(runtime) / "containers" if runtime else Path("/run/containers") / str(os.getuid())
        config = Path(self._environment.get("XDG_CONFIG_HOME") or home / ".config")
        docker = Path(self._environment.get("DOCKER_CONFIG") or home / ".docker")
        return (containers / "auth.json", config / "containers" / "auth.json", docker / "config.json")

    def find(self, registry: str, repository: str) -> Credentials | None:
        """The login for a repository: that of the longest key in the first file that has one; `None`: anonymous.

        Raises `Malformed` for a file that cannot be read as one, `Unequipped` for a helper that is not installed.
        """
        explicit = bool(self._environment.get("REGISTRY_AUTH_FILE"))
        for path in self.files():
            table = _read(path, required=explicit)
            found = None if table is None else self._in_file(table, path, registry, repository)
            if found is not None:
                for secret in (found.password, found.identity_token, found.basic.partition(" ")[2]):
                    register(secret or "")
                return found
        return None

    def _in_file(self, table: Mapping[str, Any], path: Path, registry: str, repository: str) -> Credentials | None:
        helpers = {_normal(key): name for key, name in _table(table, "credHelpers", path).items()}
        entries = {_normal(key): entry for key, entry in _table(table, "auths", path).items()}
        for key in _keys(registry, repository):
            if key in helpers:
                found = self._ask(helpers[key], key, path)
                if found is not None:
                    return found
            if entries.get(key):
                entry = _entry(entries[key], key, path)
                if entry is not None:
                    return entry
        store = table.get("credsStore")
        return self._ask(store, registry, path) if store else None

    def _ask(self, helper: object, key: str, path: Path) -> Credentials | None:
        if not isinstance(helper, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", helper):
            raise Malformed(f"`{path}` names `{helper}` as a credential helper")
        program = f"docker-credential-{helper}"
        server = _DOCKER_HUB_KEY if key == DOCKER_HUB else key
        try:
            done = process.run(
                [program, "get"],
                timeout=_HELPER_SECONDS,
                stdin=server.encode(),
                environment={name: value for name, value in self._environment.items() if name in ("PATH", "HOME")},
            )
        except process.ProcessFailed as error:
            # The protocol has one exit code; the words are fixed (credentials.IsErrCredentialsNotFoundMessage).
            if b"credentials not found" in error.stdout or "credentials not found" in error.stderr:
                return None
            raise Unequipped(f"{error.message} (asked because of `{path}`)") from error
        except Unequipped as error:
            raise Unequipped(
                error.message, hint=f"install it, or take `{helper}` out of `{path}` and log in again"
            ) from error
        answer = _json(done.stdout, f"the answer of `{program}`")
        user, secret = answer.get("Username"), answer.get("Secret")
        if not isinstance(user, str) or not isinstance(secret, str):
            raise Malformed(f"the answer of `{program}` has no `Username` and `Secret`")
        if not secret:
            return None
        token = secret if user == _TOKEN_USER else None
        return Credentials(user, "" if token else secret, token, program)


def _keys(registry: str, repository: str) -> Iterator[str]:
    parts = [registry, *repository.split("/")]
    for count in range(len(parts), 0, -1):
        yield "/".join(parts[:count])


def _normal(key: str) -> str:
    """Docker writes `https://host/v1/`, containers write `host/namespace`; both have their own word for the Hub."""
    bare = re.sub(r"^https?://", "", key)
    if bare != key or re.search(r"/v[12]/?$", bare):
        bare = bare.partition("/")[0]
    host, slash, path = bare.rstrip("/").partition("/")
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = DOCKER_HUB
    return f"{host}{slash}{path}" if path else host


def _entry(value: object, key: str, path: Path) -> Credentials | None:
    if not isinstance(value, dict):
        raise Malformed(f"`{path}`: what stands under `{key}` is no login")
    token = value.get("identitytoken")
    identity = token if isinstance(token, str) and token else None
    encoded = value.get("auth")
    if not encoded:
        user, password = value.get("username"), value.get("password")
        if isinstance(user, str) and isinstance(password, str) and user:
            return Credentials(user, password, identity, str(path))
        return Credentials("", "", identity, str(path)) if identity else None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError, TypeError) as error:
        raise Malformed(f"`{path}`: `auth` under `{key}` is not base64") from error
    if not colon:
        raise Malformed(f"`{path}`: `auth` under `{key}` does not hold `user:password`")
    return Credentials(user, password.rstrip("\0"), identity, str(path))


def _read(path: Path, *, required: bool) -> Mapping[str, Any] | None:
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if required:
            raise Unequipped(
                f"`{path}`, which REGISTRY_AUTH_FILE names, is not there", hint="log in, or unset REGISTRY_AUTH_FILE"
            ) from error
        return None
    except OSError as error:
        if not required and isinstance(error, PermissionError):
            return None  # another user's, as `/run/containers/0` is to a container that dropped its rights
        raise Unequipped(f"`{path}` cannot be read: {error.strerror}") from error
    if len(content) > _LIMIT:
        raise Malformed(f"`{path}` is larger than {_LIMIT} bytes")
    return _json(content, f"`{path}`") if content.strip() else None


def _json(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        # Without the cause: its message may quote the file.
        raise Malformed(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object")
    return value


def _table(table: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    value = table.get(name) or {}
    if not isinstance(value, dict):
        raise Malformed(f"`{path}`: `{name}` is no table")
    return value
