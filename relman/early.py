"""What begins before a command is imported: the way to the registry, which takes as long as all the rest of the start.

The configuration is peeked into for nothing but which registry that is. Whatever is wrong with it is for those who
read it whole to say; here, it only means that nothing begins early.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from relman.addresses import is_direct, registry_address
from relman.opening import opening
from relman.project import find

if TYPE_CHECKING:
    from relman.registry.session import Session

_ASKING = frozenset({"status", "plan", "release", "observe", "audit", "rollback"})
"""Commands that look at the configured registry, whatever their options."""
_OF_A_STREAM = frozenset({"diff", "changelog"})
"""Those that do so with `--stream`."""

_HOST = re.compile(r"(?=localhost|.*[.:])([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""A registry's host in a reference, plain enough to be worth a try."""
_PROFILE = re.compile(r"[a-z0-9-]+")
_PROFILES = Path(__file__).parent / "config" / "profiles"
_EACH = 4
"""What is asked of a variant at once: its tags, its candidate, what is attached to that, what it follows."""
_MOST = 48

_begun: list[Session] = []


class Named(NamedTuple):
    """What relman.toml says of its registry: ``host``, the hosts without TLS, and the names of repositories there."""

    host: str
    insecure: frozenset[str]
    repositories: tuple[str, ...]


def begin(arguments: Sequence[str]) -> None:
    """Greet the registry that the command of ``arguments`` will look at, where that is known already."""
    named = _named_for(arguments)
    if named is None:
        return
    address = registry_address(named.host, named.insecure)
    connections = min(_MOST, len(named.repositories) * _EACH)
    begun = opening(address, connections if is_direct(address) else 0)
    # What speaks over them takes as long to import as they take to be opened.
    from relman.http import Client
    from relman.model.oci import Repository, Transport
    from relman.registry.credentials import CredentialStore
    from relman.registry.session import Session

    client = Client()
    client.open_ahead(address, connections, begun)
    session = Session(named.host, client, CredentialStore(), named.insecure)
    try:
        repositories = [Repository(Transport.DOCKER, named.host, name) for name in dict.fromkeys(named.repositories)]
    except ValueError:  # no name of a repository: whoever reads it all will say so
        repositories = []
    session.greet(repositories)
    _begun.append(session)


def begun() -> Session | None:
    """What was begun, for who goes on with it."""
    return _begun.pop() if _begun else None


def _named_for(arguments: Sequence[str]) -> Named | None:
    command = arguments[0] if arguments else ""
    if command not in _ASKING and not (command in _OF_A_STREAM and _has(arguments, "--stream")):
        return None
    # With `--verbose` each request is shown, and that begins when the options are read.
    if any(_has(arguments, option) for option in ("--help", "--verbose", "--config")) or _has_short(arguments, "hv"):
        return None
    try:
        file = find(Path.cwd())
        return _named(file.read_text(encoding="utf-8")) if file else None
    except (OSError, ValueError, RecursionError):  # what is no TOML, too
        return None


def _named(text: str) -> Named | None:
    import tomllib

    table = tomllib.loads(text)
    if isinstance(profile := table.get("profile"), str) and _PROFILE.fullmatch(profile):
        table = tomllib.loads((_PROFILES / f"{profile}.toml").read_text(encoding="utf-8")) | table
    registry, variants = table.get("registry"), table.get("variants")
    if not isinstance(registry, dict) or not isinstance(variants, list):
        return None
    prefix, insecure = registry.get("prefix"), registry.get("insecure", [])
    if not isinstance(prefix, str) or not isinstance(insecure, list):
        return None
    host, _, path = prefix.removeprefix("docker://").strip("/").partition("/")
    if not _HOST.fullmatch(host) or urlsplit(f"//{host}").port == 0:  # a `ValueError` where that is none
        return None
    names = [one.get("repository", one.get("name")) for one in variants if isinstance(one, dict)]
    repositories = tuple(f"{path}/{name}".strip("/") for name in names if isinstance(name, str))
    return Named(host, frozenset(name for name in insecure if isinstance(name, str)), repositories)


def _has(arguments: Sequence[str], option: str) -> bool:
    return any(argument == option or argument.startswith(f"{option}=") for argument in arguments)


def _has_short(arguments: Sequence[str], letters: str) -> bool:
    short = (argument for argument in arguments if argument.startswith("-") and not argument.startswith("--"))
    return any(letter in argument for argument in short for letter in letters)
