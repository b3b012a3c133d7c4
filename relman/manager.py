"""Finds plugins and asks them: built-in ones and strangers' in the same way, each by its entry point."""

from __future__ import annotations

import importlib
import importlib.metadata
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from types import ModuleType
from typing import Any

import msgspec
import pluggy

from relman import hookspecs
from relman.boundary import guarded
from relman.errors import PluginError
from relman.hookspecs import Slot

GROUP = "relman"
SAID = "RELMAN_PLUGINS"
"""Under which name a package says what its plugins answer (docs/plugins: plugins that wait)."""


class Broken(msgspec.Struct, frozen=True):
    """A plugin that could not be used, and why. The others live."""

    name: str
    reason: str


class Answer(msgspec.Struct, frozen=True):
    """What one plugin answered to a hook."""

    plugin: str
    values: tuple[Any, ...]


class Said(msgspec.Struct, frozen=True):
    """What a package says of one of its plugins: the hooks that it answers, and the tables that it understands."""

    hooks: frozenset[str]
    tables: frozenset[str]

    def has_part(self, hook: str, tables: Collection[str]) -> bool:
        """Whether it may answer ``hook`` where the configuration has these ``tables``.

        One that understands channels or gates alone has nothing to say where there is none of them. A table
        `[plugins.NAME]` may be left out.
        """
        if not self.tables or not self.tables.isdisjoint(tables):
            return True
        return hook != "relman_settings" and any(table.startswith("plugin.") for table in self.tables)


class _Manager(pluggy.PluginManager):
    """pluggy's, which else takes a close look at every name that a module has, those that it imported included."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """What the marker of an implementation says; `None` where there is none."""
        return super().parse_hookimpl_opts(plugin, name) if _is_marked(plugin, name, "relman_impl") else None

    def parse_hookspec_opts(self, module_or_class: ModuleType | type, name: str) -> pluggy.HookspecOpts | None:
        """The same of a hook's specification."""
        marked = _is_marked(module_or_class, name, "relman_spec")
        return super().parse_hookspec_opts(module_or_class, name) if marked else None


def _is_marked(holder: object, name: str, mark: str) -> bool:
    """Whether ``name`` may carry the mark. Of a module that is plain to see; pluggy knows the other cases."""
    return not isinstance(holder, ModuleType) or hasattr(vars(holder).get(name), mark)


class Plugins:
    """The plugins of this installation. ``broken`` are those that could not be loaded or that misspell a hook.

    A plugin whose package says what it answers is loaded when that is asked, and the others at once. ``on_broken`` is
    told of each that is broken, when that is found out.
    """

    def __init__(
        self,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
        on_broken: Callable[[Broken], object] = lambda _: None,
    ) -> None:
        self._manager = _Manager("relman")
        self._manager.add_hookspecs(hookspecs)
        self._on_broken = on_broken
        self._broken: tuple[Broken, ...] = ()
        self._origins: dict[str, importlib.metadata.Distribution] = {}
        self._said: dict[str, Said] = {}
        self._waiting: dict[str, importlib.metadata.EntryPoint] = {}
        self._loading = threading.RLock()
        found = importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        for entry_point in sorted(found, key=lambda point: point.name):
            said = None if entry_point.name in self._waiting else _said(entry_point)
            if said is None:
                self._load(entry_point)
            elif self._manager.has_plugin(entry_point.name):
                self._refuse(entry_point.name, _second(entry_point.name))
            else:
                self._said[entry_point.name] = said
                self._waiting[entry_point.name] = entry_point

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Those that cannot be used: all are loaded to find out."""
        self._load_waiting(lambda _: True)
        return self._broken

    def _refuse(self, name: str, reason: str) -> None:
        broken = Broken(name, reason)
        self._broken += (broken,)
        self._on_broken(broken)

    def _load(self, entry_point: importlib.metadata.EntryPoint) -> None:
        name = entry_point.name
        try:
            plugin = guarded("cannot be loaded", entry_point.load)
        except PluginError as error:
            self._refuse(name, error.message)
            return
        known = self._is_there(name)
        self.register(plugin, name)
        if entry_point.dist and not known:
            self._origins[name] = entry_point.dist

    def _is_there(self, name: str) -> bool:
        return name in self._waiting or self._manager.has_plugin(name)

    def _load_waiting(self, wanted: Callable[[Said], bool]) -> None:
        with self._loading:
            for name in [name for name in self._waiting if wanted(self._said[name])]:
                self._load(self._waiting.pop(name))

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin; one that pluggy refuses (a hook that does not exist, other arguments) is `broken`."""
        if self._is_there(name):
            self._refuse(name, _second(name))
            return
        try:
            self._manager.register(plugin, name)
            hooks = {
                attribute
                for attribute in dir(plugin)
                if attribute.startswith("relman_") and self._manager.parse_hookimpl_opts(plugin, attribute) is not None
            }
            if unknown := sorted(hooks - {hook.__name__ for hook in hookspecs.WALK}):
                raise pluggy.PluginValidationError(plugin, f"there is no hook `{unknown[0]}`")
            if name in self._said and (wrong := sorted(hooks ^ self._said[name].hooks)):
                raise pluggy.PluginValidationError(plugin, f"`{SAID}` of its package is wrong about `{wrong[0]}`")
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self._refuse(name, str(error).splitlines()[-1])

    def origin(self, name: str) -> str:
        """The distribution that the plugin came with, as `relman 0.1.0`; empty for one that was registered by hand."""
        came_with = self._origins.get(name)  # reading what a distribution says of itself takes a while
        return f"{came_with.name} {came_with.version}" if came_with else ""

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that are in use, sorted: all are loaded to find out."""
        self._load_waiting(lambda _: True)
        return tuple(sorted(name for name, plugin in self._manager.list_name_plugin() if plugin is not None))

    def answering(self, hook: str, tables: Collection[str] | None = None) -> tuple[str, ...]:
        """Who implements ``hook``, in the order in which they are asked.

        With ``tables``, those of the configuration, nobody who says that he has no part in them.
        """

        def wanted(said: Said) -> bool:
            return hook in said.hooks and (tables is None or said.has_part(hook, tables))

        with self._loading:
            self._load_waiting(wanted)
            callers = getattr(self._manager.hook, hook).get_hookimpls()
        names = sorted(implementation.plugin_name for implementation in callers)
        return tuple(name for name in names if name not in self._said or wanted(self._said[name]))

    def ask(
        self, hook: Callable[..., object], tables: Collection[str] | None = None, **arguments: object
    ) -> tuple[Answer, ...]:
        """Every plugin's answer to ``hook``, in the order of their names, each collected whole; ``tables`` as above.

        Raises `PluginError` where a plugin fails, naming it; errors of relman's own kind pass as they are.
        """
        return tuple(self.ask_one(name, hook, **arguments) for name in self.answering(hook.__name__, tables))

    def ask_one(self, name: str, hook: Callable[..., object], **arguments: object) -> Answer:
        """One plugin's answer to ``hook``. Fails as `ask` does."""
        with self._loading:
            others = [plugin for other, plugin in self._manager.list_name_plugin() if other != name and plugin]
            caller = self._manager.subset_hook_caller(hook.__name__, others)

        def collect() -> tuple[Any, ...]:
            return tuple(value for answer in caller(**arguments) for value in answer or ())

        return Answer(name, guarded(f"plugin `{name}` failed in `{hook.__name__}`", collect))

    def understood(self, tables: Collection[str]) -> tuple[Slot, ...]:
        """What plugins understand of ``tables``, such as `announce.discord`; there may be more among it.

        It is all that any plugin understands where they do not know one of them: errors say what there is.
        """
        slots = self._slots(tables)
        return slots if {slot.table for slot in slots}.issuperset(tables) else self._slots(None)

    def _slots(self, tables: Collection[str] | None) -> tuple[Slot, ...]:
        found: list[Slot] = []
        for answer in self.ask(hookspecs.relman_settings, tables):
            said = self._said.get(answer.plugin)
            for slot in answer.values:
                if said and slot.table not in said.tables:
                    raise PluginError(f"plugin `{answer.plugin}`: its package does not say that it has `{slot.table}`")
                found.append(slot)
        return tuple(found)


def _second(name: str) -> str:
    return f"there are two plugins `{name}`: the first is in use"


def _said(entry_point: importlib.metadata.EntryPoint) -> Said | None:
    """What the package of a plugin says of it; `None` where it says nothing, or nonsense: it is loaded at once."""
    package = entry_point.module.partition(".")[0]
    if package == entry_point.module:  # importing the package would load the plugin
        return None
    try:
        said = getattr(guarded("cannot be loaded", importlib.import_module, package), SAID, None)
    except PluginError:  # loading it will say why
        return None
    entry = said.get(entry_point.value) if isinstance(said, Mapping) else None
    match entry:
        case (tuple() as hooks, tuple() as tables) if all(isinstance(text, str) for text in (*hooks, *tables)):
            return Said(frozenset(hooks), frozenset(tables))
    return None
