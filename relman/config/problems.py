"""Turns what is wrong with a configuration into lines that people can act on."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from relman.config.lines import Path
from relman.config.merging import Origin
from relman.settings import SECRET_KEYS

_IN_TOML: Mapping[str, str] = {
    "tuple_type": "Input should be a list",
    "dict_type": "Input should be a table",
    "model_type": "Input should be a table",
    "too_short": "There should be an entry in it",
}
"""What pydantic says in Python's words, in those of the file; no list of ours has a minimum beyond one."""


class Problems:
    """Gathers every fault of a configuration, each with its line, in the file or in the profile that it is in."""

    def __init__(self, file: str, origins: Mapping[Path, Origin]) -> None:
        self._file = file
        self._origins = origins
        self._found: list[tuple[bool, int, str]] = []
        self._settled: set[Path] = set()

    def add(self, path: Path, message: str, *, last_word: bool = False) -> None:
        """Note that what stands at ``path`` is wrong. After the ``last_word`` nothing more is said of it."""
        if any(path[:length] in self._settled for length in range(1, len(path) + 1)):
            return
        if last_word:
            self._settled.add(path)
        origin, said = self._origin(path)
        where = f"{origin.file}:{origin.line}: {_dotted(said)}"
        self._found.append((origin.file != self._file, origin.line, f"{where}: {message}"))

    def add_all(
        self, error: ValidationError, model: type[BaseModel], prefix: Path = (), *, but: Collection[str] = ()
    ) -> None:
        """Note every fault that pydantic found in a table of ``model`` at ``prefix``, ``but`` those of some keys."""
        faults = [fault for fault in error.errors() if not (fault["loc"] and fault["loc"][0] in but)]
        inner = {fault["loc"][:-1] for fault in faults}
        for fault in faults:
            location = tuple(part for part in fault["loc"] if not _union_branch(part))
            if fault["type"] == "too_short" and fault["loc"] in inner:
                continue  # it is short because its entries are at fault, which is said already
            if fault["type"] == "extra_forbidden":
                name = str(location[-1])
                known = _keys_at(model, location[:-1])
                self.add(prefix + location, f"unknown key `{name}`{did_you_mean(name, known)}")
            elif fault["type"] == "missing":
                self.add(prefix + location[:-1], f"`{location[-1]}` is missing")
            else:
                message = _IN_TOML.get(fault["type"], fault["msg"]).removeprefix("Value error, ")
                shown = "" if "`" in message or isinstance(fault["input"], dict) else f"`{fault['input']}`: "
                self.add(prefix + location, shown + message[:1].lower() + message[1:])

    def lines(self) -> tuple[str, ...]:
        """Every fault, once, in the order of the file; then those of the profile."""
        return tuple(dict.fromkeys(text for *_, text in sorted(self._found, key=lambda found: found[:2])))

    def _origin(self, path: Path) -> tuple[Origin, Path]:
        """Where ``path``, or the nearest thing around it, was written, and what it is called there."""
        for length in range(len(path), 0, -1):
            if origin := self._origins.get(path[:length]):
                return origin, origin.path + path[length:]
        return Origin(self._file, 1, ()), path


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where something known is close, else the empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def check_secrets(table: Mapping[str, object], path: Path, problems: Problems) -> dict[str, object]:
    """``table`` without secrets that are written out, each of which is noted as a fault."""
    clean: dict[str, object] = {}
    for key, value in table.items():
        if key in SECRET_KEYS and not (isinstance(value, dict) and set(value) == {"env"}):
            problems.add(
                (*path, key), f'a secret is named here, never written: `{key} = {{ env = "{_variable(path, key)}" }}`'
            )
            clean[key] = {"env": "WRITTEN_OUT"}
        else:
            clean[key] = value
    return clean


def _variable(path: Path, key: str) -> str:
    return f"{path[0]}_{key}".upper()


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def _union_branch(part: object) -> bool:
    return isinstance(part, str) and ("[" in part or part in {"str", "constrained-str", "function-after"})


def _keys_at(model: Any, path: Path) -> list[str]:
    """The keys that a table has at ``path`` of ``model``."""
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = fields.get(str(part))
        else:  # inside a list or a table of tables: an index or a name, which says nothing of the type
            model = _inner(model)
    model = _inner(model)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _inner(annotation: Any) -> Any:
    """The model inside `tuple[Model, ...]`, `dict[str, Model]`, `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _inner(argument)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation
