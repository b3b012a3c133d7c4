"""What known projects have, as data: a TOML file for each, in the language of relman.toml.

`profile = "bazzite"` at the top of relman.toml puts the project's own file over it (`relman.config.merging`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from importlib import resources
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from relman.config.lines import Path, key_lines
from relman.config.merging import Layer, Merged, Origin, dotted_parts, find, name_of
from relman.config.problems import Problems, did_you_mean
from relman.config.tables import ProfileTable
from relman.errors import ConfigError

_PRUNED = ("groups", "majors")


def names() -> tuple[str, ...]:
    """Every profile that comes with relman."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def text_of(name: str) -> str:
    """The profile as it is written."""
    return resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def profiled(
    own: Layer, understood: Callable[[Collection[str]], Collection[str]]
) -> tuple[dict[str, Any], Mapping[Path, Origin]]:
    """``own`` over the profile that it names, or alone; and where each part comes from.

    Left out of the profile are groups and majors for which no variant is left, and the tables of plugins that are not
    ``understood``, by names such as `plugin.get`. Raises `ConfigError` for a profile that is not there: nothing else
    could be judged without it.
    """
    merged = Merged()
    if "profile" not in own.data:
        data: dict[str, Any] = merged.take(own, own.data, (), ())
        return data, merged.origins
    profile = _chosen(own)
    text = text_of(profile.name)
    where = f"profile {profile.name}"
    base = Layer(where, where, tomllib.loads(text), key_lines(text))
    plugins = {f"plugin.{name}": name for name in base.data.get("plugins", ())}
    known = understood(plugins)
    without: set[Path] = {("plugins", name) for table, name in plugins.items() if table not in known}
    problems = _problems(own)
    for number, dotted in enumerate(profile.without):
        path = find(base.data, dotted)
        if path is None:
            hint = did_you_mean(dotted, dotted_parts(base.data))
            problems.add(("profile", "without", number), f"the profile `{profile.name}` has no `{dotted}`{hint}")
        else:
            without.add(path)
    if problems.lines():
        raise ConfigError(f"`{own.shown}` has faults", problems.lines())
    base = replace(base, without=without)
    base = replace(base, without=without | _unused(base, own))
    return merged.merge(base, own), merged.origins


def _chosen(own: Layer) -> ProfileTable:
    problems = _problems(own)
    written = own.data["profile"]
    try:
        profile = ProfileTable.model_validate({"name": written} if isinstance(written, str) else written)
    except ValidationError as error:
        problems.add_all(error, ProfileTable, ("profile",))
        raise ConfigError(f"`{own.shown}` has faults", problems.lines(), hint=_known()) from error
    if profile.name not in names():
        path = ("profile",) if isinstance(written, str) else ("profile", "name")
        problems.add(path, f"there is no profile `{profile.name}`{did_you_mean(profile.name, names())}")
        raise ConfigError(f"`{own.shown}` has faults", problems.lines(), hint=_known())
    return profile


def _known() -> str:
    return f"there are {', '.join(f'`{name}`' for name in names())}; leave `profile` out for a project of your own"


def _problems(own: Layer) -> Problems:
    alone = Merged()
    alone.take(own, own.data, (), ())
    return Problems(own.file, alone.origins)


def _unused(base: Layer, own: Layer) -> set[Path]:
    """Groups and majors of the profile with a trait that no variant has, where the project says nothing of them."""
    variants = Merged().merge(_only(base, "variants"), _only(own, "variants")).get("variants")
    known = {trait for variant in _entries(variants) for trait in _texts(variant.get("traits"))}
    return {
        (key, number)
        for key in _PRUNED
        for number, entry in enumerate(_entries(base.data.get(key)))
        if not known.issuperset(_texts(entry.get("traits")))
        and name_of(entry) not in map(name_of, _entries(own.data.get(key)))
    }


def _entries(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _only(layer: Layer, key: str) -> Layer:
    return replace(layer, data={key: layer.data[key]} if key in layer.data else {})
