"""What executors look and act with: the registry, or one channel and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from relman.channel import Channel, ReadingChannel
from relman.config import ChannelTable, Config
from relman.errors import PluginError, RelmanError, Unequipped
from relman.hookspecs import Executor
from relman.http import Client
from relman.manager import Answer
from relman.model.oci import Reference
from relman.model.plan import Action, Plan
from relman.model.record import Record
from relman.registry.protocol import RegistryReader, RegistryWriter


class Executors(Mapping[str, Executor[Any, Any]]):
    """One for each kind of action: of the plugins that have a part in ``tables``, and of all where none of those is it.

    A plan may be older than the configuration, and have actions for channels that are there no more. Raises
    `PluginError` where two plugins want the same kind.
    """

    def __init__(self, ask: Callable[[Collection[str] | None], tuple[Answer, ...]], tables: Collection[str]) -> None:
        self._ask = ask
        self._all = False
        self._found = _by_kind(ask(tables))

    def __getitem__(self, kind: str) -> Executor[Any, Any]:
        if kind not in self._found and not self._all:
            self._found = {**_by_kind(self._ask(None)), **self._found}
            self._all = True
        return self._found[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _by_kind(answers: tuple[Answer, ...]) -> dict[str, Executor[Any, Any]]:
    executors: dict[str, Executor[Any, Any]] = {}
    for answer in answers:
        for executor in answer.values:
            if executor.kind in executors:
                raise PluginError(f"plugin `{answer.plugin}` offers a second executor for `{executor.kind}`")
            executors[executor.kind] = executor
    return executors


class Hands(msgspec.Struct, frozen=True, dict=True):
    """The executors of all plugins, and what each is handed for an action.

    ``ask_executors`` asks the plugins that have a part in some tables of the configuration, or (`None`) all.
    """

    config: Config
    registry: RegistryWriter
    reader: RegistryReader
    http: Client
    clock: Callable[[], datetime]
    ask_executors: Callable[[Collection[str] | None], tuple[Answer, ...]]

    @cached_property
    def executors(self) -> Mapping[str, Executor[Any, Any]]:
        """One for each kind of action. Raises `PluginError` where two plugins want the same kind."""
        return Executors(self.ask_executors, self.config.tables)

    def describe(self, action: Action) -> str:
        """One line for people, in the words of the action's executor."""
        executor = self.executors.get(action.kind)
        return executor.describe(action) if executor else f"{action.target} (no plugin carries out `{action.kind}`)"

    def eyes(self, action: Action, executor: Executor[Any, Any]) -> RegistryReader | ReadingChannel:
        """What the executor of an action looks with."""
        return self.reader if executor.scope == "registry" else ReadingChannel(*self._channel(action))

    def hands(self, action: Action, executor: Executor[Any, Any]) -> RegistryWriter | Channel:
        """What the executor of an action acts with: the registry, or its channel and nothing else."""
        return self.registry if executor.scope == "registry" else Channel(*self._channel(action), blob=self._blob)

    def _blob(self, reference: Reference, size: int) -> bytes:
        """What a plan names by digest. No other repositories are read for it than those that the images are in."""
        places = {
            self.config.place(variant, stream).repository
            for variant in self.config.variants
            for stream in self.config.streams.values()
        }
        if reference.digest is None or reference.repository not in places:
            raise RelmanError(f"`{reference}` is in no repository of {self.config.where}", hint="make a new plan")
        return self.reader.blob(reference.repository, reference.digest, limit=size)

    def _channel(self, action: Action) -> tuple[ChannelTable, Path, Client, datetime]:
        table = next((table for table in self.config.channels if table.name == action.channel), None)
        if table is None:
            raise RelmanError(
                f"{self.config.where} has no channel `{action.channel}` any more",
                hint="put its table back, or make a new plan",
            )
        return table, self.config.folder, self.http, self.clock()

    def check_channels(self, plan: Plan, before: Record | None) -> None:
        """Before the first write: what a required channel would need and this machine does not have."""
        settled = {receipt.key for receipt in before.receipts if receipt.settled} if before else set()
        for action in plan.actions:
            if action.channel and action.required and action.key not in settled:
                table = next((table for table in self.config.channels if table.name == action.channel), None)
                for name in table.variables if table else ():
                    if not os.environ.get(name):
                        raise Unequipped(
                            f"channel `{action.channel}` needs the environment variable `{name}`, which is not set"
                        )
