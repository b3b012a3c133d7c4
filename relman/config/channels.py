"""The tables that plugins understand: channels, gates, and plugins' own, checked against their models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeGuard, TypeVar

from pydantic import BaseModel, ValidationError

from relman.config.problems import Problems, check_secrets, did_you_mean
from relman.config.values import ChannelTable
from relman.errors import ConfigError, Unequipped
from relman.hookspecs import Slot
from relman.settings import SECRET_KEYS, STREAM_KEYS

M = TypeVar("M", bound=BaseModel)

KINDS: tuple[Literal["publish", "announce"], ...] = ("publish", "announce")


def tables_named(data: Mapping[str, Any]) -> frozenset[str]:
    """The channels, gates and plugins that the data of a file names, such as `announce.discord` (`Slot.table`)."""
    found: list[tuple[str, object]] = []
    for kind in KINDS:
        entries = data.get(kind)
        found += [(kind, entry.get("type")) for entry in (entries if isinstance(entries, list) else []) if _is(entry)]
    streams = data.get("streams")
    for stream in streams.values() if _is(streams) else ():
        gates = stream.get("gates") if _is(stream) else None
        for gate in gates if isinstance(gates, list) else []:
            found.append(("gate", gate.get("type") if _is(gate) else gate))
    plugins = data.get("plugins")
    found += [("plugin", name) for name in (plugins if _is(plugins) else ())]
    return frozenset(f"{kind}.{type_name}" for kind, type_name in found if isinstance(type_name, str))


def _is(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def channel_tables(data: Mapping[str, Any], slots: Iterable[Slot], problems: Problems) -> tuple[ChannelTable, ...]:
    """Every `[[publish]]` and `[[announce]]` table, checked as far as this machine's environment allows."""
    slots = tuple(slots)
    streams = data.get("streams") if isinstance(data.get("streams"), dict) else {}
    found: list[ChannelTable] = []
    names: set[str] = set()
    for kind in KINDS:
        entries = data.get(kind)
        for number, raw in enumerate(entries if isinstance(entries, list) else []):
            if not isinstance(raw, dict):
                continue
            path = (kind, number)
            table = check_secrets(raw, path, problems)
            known = {slot.type: slot.model for slot in slots if slot.kind == kind}
            type_name = str(table.get("type", ""))
            if type_name not in known:
                hint = did_you_mean(type_name, known) or f"; there are {', '.join(f'`{k}`' for k in sorted(known))}"
                problems.add((*path, "type"), f"no plugin understands the type `{type_name}`{hint}")
                continue
            validate_table(table, known[type_name], path, problems)
            common, _ = _filled(table, os.environ)
            name = str(common.get("name") or type_name)
            if name in names:
                problems.add((*path, "name"), f"two channels are called `{name}`: give each a `name` of its own")
            names.add(name)
            written = common.get("streams")
            limited = tuple(s for s in written if isinstance(s, str)) if isinstance(written, list) else ()
            for key in sorted(STREAM_KEYS & table.keys()):
                named = table[key]
                for stream in named if isinstance(named, list) else ():
                    if isinstance(stream, str) and stream not in (streams or {}):
                        hint = did_you_mean(stream, streams or {})
                        problems.add((*path, key), f"there is no stream `{stream}`{hint}")
            found.append(ChannelTable(kind, type_name, name, limited, common.get("required") is True, table))
    return tuple(found)


def plugin_tables(
    data: Mapping[str, Any], slots: Iterable[Slot], problems: Problems
) -> Mapping[str, Mapping[str, object]]:
    """The `[plugins.NAME]` tables, each checked against the model of the plugin that has the slot."""
    known = {slot.type: slot.model for slot in slots if slot.kind == "plugin"}
    tables = data.get("plugins") if isinstance(data.get("plugins"), dict) else {}
    for name, table in (tables or {}).items():
        if name not in known:
            problems.add(("plugins", name), f"no plugin has the name `{name}`{did_you_mean(name, known)}")
        elif isinstance(table, dict):
            validate_table(check_secrets(table, ("plugins", name), problems), known[name], ("plugins", name), problems)
    return tables or {}


def read_table(table: Mapping[str, object], model: type[M], *, what: str, environ: Mapping[str, str] = os.environ) -> M:
    """``table`` as its model, with `{ env = "NAME" }` filled in where it is no secret.

    Raises `Unequipped` for a variable that is not set, `ConfigError` where the filled-in value is wrong.
    """
    filled, missing = _filled(table, environ)
    if missing:
        raise Unequipped(f"{what} needs the environment variable `{missing[0][1]}`, which is not set")
    try:
        return model.model_validate(filled)
    except ValidationError as error:
        problems = Problems(what, {})
        problems.add_all(error, model)
        raise ConfigError(f"{what} is not configured right", problems.lines()) from error


def validate_table(
    table: Mapping[str, object], model: type[BaseModel], path: tuple[str | int, ...], into: Problems
) -> None:
    """Check a table of a plugin as far as the environment allows: a variable that is not set is no fault yet."""
    filled, missing = _filled(table, os.environ)
    absent = {key for key, _ in missing}
    try:
        model.model_validate(filled)
    except ValidationError as error:
        into.add_all(error, model, path, but=absent)


def _filled(table: Mapping[str, object], environ: Mapping[str, str]) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """The table with its non-secret variables filled in, and those that are not set as (key, variable)."""
    filled: dict[str, object] = {}
    missing: list[tuple[str, str]] = []
    for key, value in table.items():
        if key in SECRET_KEYS or not (isinstance(value, dict) and set(value) == {"env"}):
            filled[key] = value
        elif (name := str(value["env"])) in environ:
            filled[key] = environ[name]
        else:
            missing.append((key, name))
    return filled, missing
