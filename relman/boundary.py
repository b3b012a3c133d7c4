"""The one boundary around plugins' code: whatever it raises comes out as an error that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from relman.errors import PluginError, RelmanError

P = ParamSpec("P")
T = TypeVar("T")


def guarded(what: str, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """``call`` a plugin's code. Errors of relman's own kind pass as they are, any other becomes a `PluginError`.

    ``what`` begins its sentence: `plugin x failed in relman_sections`.
    """
    try:
        return call(*arguments, **named)
    except RelmanError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything; the rest must live
        raise PluginError(
            f"{what}: {type(error).__name__}: {error}", hint="run again with `--verbose` for its traceback"
        ) from error
