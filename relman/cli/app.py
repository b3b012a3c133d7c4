"""Puts a run together: plugins, configuration, registry, ledger, clock."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from relman import config as configuration
from relman.cache import ContentsCache, cache_folder
from relman.cli.memory import give_back
from relman.cli.options import clock, settings
from relman.cli.person import who
from relman.config import Config
from relman.early import begun
from relman.errors import ConfigError, UsageError
from relman.http import Client
from relman.ledger import FolderLedger, Ledger
from relman.lifecycle import Lifecycle, configure
from relman.manager import Plugins
from relman.model.oci import Reference, Repository, Transport, parse_reference
from relman.registry import Registries


@contextmanager
def lifecycle(*, needs_config: bool) -> Iterator[Lifecycle]:
    """The walk of this run, closed at the end. Without ``needs_config`` it works where there is no relman.toml."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    give_back()
    plugins = Plugins(on_broken=lambda one: say(f"warning: plugin `{one.name}` is left out: {one.reason}"))
    here = Path.cwd()
    file = settings().config or configuration.find(here)
    if file is None and needs_config:
        raise ConfigError(
            f"there is no {configuration.FILE_NAME} in `{here}` or above it",
            hint="`relman demo` makes one to look at; `--config FILE` names one that is elsewhere",
        )
    config, slots = configure(plugins, file, here)
    session = begun()
    http, sessions = (session.client, (session,)) if session else (Client(), ())
    with http, Registries(config.folder, config.insecure, client=http, sessions=sessions) as registries:
        ledger = ledger_of(config)
        cache, person = contents_cache(), lambda: who(config.checkout)
        yield Lifecycle(config, slots, plugins, registries, http, ledger, clock(), cache=cache, person=person)


def ledger_of(config: Config) -> Ledger:
    """Where the records lie: in a folder, or in a branch of the checkout."""
    if config.ledger_branch is None:
        return FolderLedger(config.ledger)
    from relman.ledger.branch import in_branch  # and with it plans, notes and git

    return in_branch(config.checkout or config.folder, config.ledger_branch.name, config.ledger_branch.remote)


def contents_cache() -> ContentsCache | None:
    """What earlier runs read; `None` with `--no-cache`, and where there is no place for it."""
    folder = cache_folder() if settings().cache else None
    return ContentsCache(folder) if folder else None


def image(text: str, walk: Lifecycle) -> Reference:
    """An image as it was typed. Files and folders are named from where the user is, wherever the configuration lies."""
    try:
        reference = parse_reference(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    repository = reference.repository
    if repository.transport is not Transport.OCI:  # only layouts are looked for from the configuration's folder
        return reference
    path = repository.name
    if not Path(path).is_absolute() and Path.cwd() != walk.config.folder:
        path = os.path.relpath(Path.cwd() / path, walk.config.folder)
    return Reference(Repository(repository.transport, "", path), reference.tag, reference.digest)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show, on a terminal, that something is under way that may take a while."""
    if not sys.stderr.isatty() or settings().quiet or settings().verbose:
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def say(text: str) -> None:
    """Talk, on stderr; `--quiet` keeps it to what matters."""
    if not settings().quiet or text.startswith(("error", "warning")):
        click.echo(text, err=True)


def _as_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
