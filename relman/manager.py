"""Finds plugins and asks them: built-in ones and strangers' in the same way, each by its entry point."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pluggy

from relman import hookspecs
from relman.boundary import guarded
from relman.errors import PluginError

GROUP = "relman"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be used, and why. The others live."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one plugin answered to a hook."""

    plugin: str
    values: tuple[Any, ...]


class Plugins:
    """The plugins of this installation. ``broken`` are those that could not be loaded or that misspell a hook."""

    def __init__(self, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> None:
        self._manager = pluggy.PluginManager("relman")
        self._manager.add_hookspecs(hookspecs)
        self.broken: tuple[Broken, ...] = ()
        self._origins: dict[str, str] = {}
        found = importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        for entry_point in sorted(found, key=lambda point: point.name):
            self._load(entry_point)

    def _load(self, entry_point: importlib.metadata.EntryPoint) -> None:
        name = entry_point.name
        try:
            plugin = guarded("cannot be loaded", entry_point.load)
        except PluginError as error:
            self.broken += (Broken(name, error.message),)
            return
        known = self._manager.has_plugin(name)
        self.register(plugin, name)
        if entry_point.dist and not known:
            self._origins[name] = f"{entry_point.dist.name} {entry_point.dist.version}"

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin; one that pluggy refuses (a hook that does not exist, other arguments) is `broken`."""
        if self._manager.has_plugin(name):
            self.broken += (Broken(name, f"there are two plugins `{name}`: the first is in use"),)
            return
        try:
            self._manager.register(plugin, name)
            unknown = [
                attribute
                for attribute in dir(plugin)
                if attribute.startswith("relman_")
                and self._manager.parse_hookimpl_opts(plugin, attribute) is not None
                and attribute not in {hook.__name__ for hook in hookspecs.WALK}
            ]
            if unknown:
                raise pluggy.PluginValidationError(plugin, f"there is no hook `{unknown[0]}`")
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.broken += (Broken(name, str(error).splitlines()[-1]),)

    def origin(self, name: str) -> str:
        """The distribution that the plugin came with, as `relman 0.1.0`; empty for one that was registered by hand."""
        return self._origins.get(name, "")

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that are in use, sorted."""
        return tuple(sorted(name for name, plugin in self._manager.list_name_plugin() if plugin is not None))

    def answering(self, hook: str) -> tuple[str, ...]:
        """Who implements ``hook``, in the order in which they are asked."""
        callers = getattr(self._manager.hook, hook).get_hookimpls()
        return tuple(sorted(implementation.plugin_name for implementation in callers))

    def ask(self, hook: Callable[..., object], **arguments: object) -> tuple[Answer, ...]:
        """Every plugin's answer to ``hook``, in the order of their names, each collected whole.

        Raises `PluginError` where a plugin fails, naming it; errors of relman's own kind pass as they are.
        """
        return tuple(self.ask_one(name, hook, **arguments) for name in self.answering(hook.__name__))

    def ask_one(self, name: str, hook: Callable[..., object], **arguments: object) -> Answer:
        """One plugin's answer to ``hook``. Fails as `ask` does."""
        others = [plugin for other, plugin in self._manager.list_name_plugin() if other != name and plugin]
        caller = self._manager.subset_hook_caller(hook.__name__, others)

        def collect() -> tuple[Any, ...]:
            return tuple(value for answer in caller(**arguments) for value in answer or ())

        return Answer(name, guarded(f"plugin `{name}` failed in `{hook.__name__}`", collect))
