"""Modules that are imported when something of them is first used: a command walks only part of the way."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class Later(ModuleType):
    """Stands for the module of its name, in any number of threads, as `import` does.

    Beside each stands an import under `TYPE_CHECKING`: type checkers and the rules on who imports whom read that one.
    """

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self.__name__), name)
