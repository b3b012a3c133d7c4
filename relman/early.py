"""What begins before a command is imported: the way to the registry, which takes as long as all the rest of the start.

The configuration is peeked into for nothing but which registry that is. Whatever is wrong with it is for those who
read it whole to say; here, it only means that nothing begins early.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from relman.project import find

if TYPE_CHECKING:
    from relman.http import Client
    from relman.registry.greeting import Greeting

_ASKING = frozenset({"status", "plan", "release", "observe", "audit", "rollback"})
"""Commands that look at the configured registry, whatever their options."""
_OF_A_STREAM = frozenset({"diff", "changelog"})
"""Those that do so with `--stream`."""

_begun: list[tuple[Client, Greeting]] = []


def begin(arguments: Sequence[str]) -> None:
    """Greet the registry that the command of ``arguments`` will look at, where that is known already."""
    host = _host_for(arguments)
    if host is None:
        return
    from relman.http import Client
    from relman.registry.greeting import Greeting

    client = Client()
    _begun.append((client, Greeting(client, *host)))


def begun() -> tuple[Client, Greeting] | None:
    """What was begun, for who goes on with it."""
    return _begun.pop() if _begun else None


def _host_for(arguments: Sequence[str]) -> tuple[str, frozenset[str], int] | None:
    command = arguments[0] if arguments else ""
    if command not in _ASKING and not (command in _OF_A_STREAM and _has(arguments, "--stream")):
        return None
    # With `--verbose` each request is shown, and that begins when the options are read.
    if any(_has(arguments, option) for option in ("--help", "--verbose", "--config")) or _has_short(arguments, "hv"):
        return None
    file = find(Path.cwd())
    try:
        return _named(file.read_text(encoding="utf-8")) if file else None
    except (OSError, ValueError):  # what is no TOML, too
        return None


def _named(text: str) -> tuple[str, frozenset[str], int] | None:
    import tomllib

    from relman.model.oci import Transport, parse_reference

    table = tomllib.loads(text)
    registry, variants = table.get("registry"), table.get("variants")
    if not isinstance(registry, dict) or not isinstance(variants, list):
        return None
    prefix, insecure = registry.get("prefix"), registry.get("insecure", [])
    if not isinstance(prefix, str) or not isinstance(insecure, list):
        return None
    repository = parse_reference(f"{prefix.rstrip('/')}/any").repository
    if repository.transport is not Transport.DOCKER:
        return None
    return repository.registry, frozenset(name for name in insecure if isinstance(name, str)), 2 * len(variants)


def _has(arguments: Sequence[str], option: str) -> bool:
    return any(argument == option or argument.startswith(f"{option}=") for argument in arguments)


def _has_short(arguments: Sequence[str], letters: str) -> bool:
    short = (argument for argument in arguments if argument.startswith("-") and not argument.startswith("--"))
    return any(letter in argument for argument in short for letter in letters)
