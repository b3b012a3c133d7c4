"""Faults between tables. Works on the data as it was read, so that a fault elsewhere does not hide these."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from relman.config.channels import validate_table
from relman.config.problems import Problems, check_secrets, did_you_mean
from relman.hookspecs import Slot
from relman.model.oci import parse_repository
from relman.model.streams import TagPattern

ALWAYS_ASKED = frozenset({"complete", "hold", "soak"})
"""Gates that are asked whatever a stream lists, or where it has a `soak`: no other may answer by their name."""


def check_references(data: Mapping[str, Any], problems: Problems) -> None:
    """Streams that promote from nothing, variants that are the same, tags that two would write, unknown traits."""
    streams, variants = _table(data.get("streams")), _tables(data.get("variants"))
    _check_sources(streams, problems)
    prefixes = [_table(table).get("prefix") for table in (data.get("registry"), *streams.values())]
    _check_variants(variants, prefixes, problems)
    _check_tags(data, variants, problems)
    known = {trait for variant in variants for trait in _texts(variant.get("traits"))}
    for key in ("groups", "majors"):
        for number, table in enumerate(_tables(data.get(key))):
            for trait in _texts(table.get("traits")):
                if trait not in known:
                    problems.add(
                        (key, number, "traits"), f"no variant has the trait `{trait}`{did_you_mean(trait, known)}"
                    )


def check_gates(data: Mapping[str, Any], slots: Iterable[Slot], problems: Problems) -> None:
    """Gates, each against the model of the plugin that has the slot. One that nobody has is `absent` when asked."""
    models = {slot.type: slot.model for slot in slots if slot.kind == "gate"}
    for stream, table in _table(data.get("streams")).items():
        gates = _table(table).get("gates")
        names: set[str] = set()
        for number, gate in enumerate(gates if isinstance(gates, list) else []):
            path = ("streams", stream, "gates", number)
            rule = {"type": gate} if isinstance(gate, str) else gate
            if not isinstance(rule, dict):
                problems.add(path, f"`{gate}` is not a gate: write its name, or a table with its `type`")
                continue
            _check_rule(rule, names, path, problems)
            rest = {key: value for key, value in rule.items() if key not in {"type", "name", "override"}}
            rest = check_secrets(rest, path, problems)
            model = models.get(str(rule.get("type")))
            if model:
                validate_table(rest, model, path, problems)


def _check_rule(rule: Mapping[str, Any], names: set[str], path: tuple[str | int, ...], problems: Problems) -> None:
    """What all gates' tables have. ``names`` are those before it: answers and overrides are known by them."""
    type_name = rule.get("type")
    if not isinstance(type_name, str) or not type_name:
        problems.add(path, 'a gate\'s table needs a `type = "…"`')
        return
    name = rule.get("name", type_name)
    if not isinstance(name, str) or not name or "/" in name or not name.isprintable():
        problems.add((*path, "name"), f"`{name}` is no name of a gate: write a text without `/`")
    elif name in ALWAYS_ASKED and name != type_name:
        problems.add((*path, "name"), f"`{name}` is the name of a gate of its own: give this one another `name`")
    elif name in names:
        problems.add((*path, "name"), f"two gates are called `{name}`: give each a `name` of its own")
    names.add(str(name))
    allowed = rule.get("override", True)
    people = allowed if isinstance(allowed, list) else []
    if not isinstance(allowed, bool) and not (people and all(isinstance(one, str) and one for one in people)):
        shown = json.dumps(allowed, ensure_ascii=False, default=str)
        problems.add(
            (*path, "override"),
            f"`override = {shown}` says who may let a gate pass: true, false, or a list of names",
        )


def _check_sources(streams: Mapping[str, Any], problems: Problems) -> None:
    for name, stream in streams.items():
        source = _table(stream).get("from")
        if not isinstance(source, str):
            continue
        if source == name:
            problems.add(("streams", name, "from"), f"stream `{name}` cannot promote from itself")
        elif source not in streams:
            problems.add(("streams", name, "from"), f"there is no stream `{source}`{did_you_mean(source, streams)}")


def _check_variants(variants: list[dict[str, Any]], prefixes: Iterable[object], problems: Problems) -> None:
    names: set[str] = set()
    places: set[tuple[str, str]] = set()
    usable = [prefix for prefix in prefixes if isinstance(prefix, str) and _fault(prefix, "x") is None]
    for number, variant in enumerate(variants):
        name, repository = variant.get("name"), variant.get("repository", variant.get("name"))
        if not isinstance(name, str) or not isinstance(repository, str):
            continue
        place = (repository, str(variant.get("suffix", "")))
        if name in names:
            problems.add(("variants", number, "name"), f"there are two variants `{name}`")
        elif place in places:
            problems.add(("variants", number), f"`{name}` has the repository and suffix of another variant")
        names.add(name)
        places.add(place)
        fault = next((found for prefix in usable if (found := _fault(prefix, repository))), None)
        if fault:
            problems.add(("variants", number, "repository" if "repository" in variant else "name"), fault)


def _fault(prefix: str, repository: str) -> str | None:
    """Why there can be no such repository below ``prefix``; `None` where there can."""
    try:
        parse_repository(f"{prefix.rstrip('/')}/{repository}")
    except ValueError as error:
        return str(error)
    return None


def _check_tags(data: Mapping[str, Any], variants: list[dict[str, Any]], problems: Problems) -> None:
    """Variants of one repository are told apart by their suffix in every tag; streams by their first tag."""
    repositories = [variant.get("repository", variant.get("name")) for variant in variants]
    shared = sorted({str(one) for one in repositories if repositories.count(one) > 1})
    registry = _table(data.get("registry")).get("prefix")
    primary: dict[tuple[str, str], str] = {}
    for name, stream in _table(data.get("streams")).items():
        table = _table(stream)
        new = table.get("new_version")
        patterns = {
            "tags": _texts(table.get("tags")),
            "versions": _texts(table.get("versions")),
            "new_version": [new] if isinstance(new, str) else _texts(new),
        }
        for key, texts in patterns.items():
            for text in texts:
                if shared and not _tells_apart(text):
                    problems.add(
                        ("streams", name, key),
                        f"`{text}` is one tag for all variants of the repository `{shared[0]}`: put {{suffix}} in it",
                    )
        if patterns["tags"]:
            first = (patterns["tags"][0], str(table.get("prefix", registry)).rstrip("/"))
            if first in primary:
                problems.add(
                    ("streams", name, "tags"), f"`{first[0]}` is the first tag of the stream `{primary[first]}`, too"
                )
            primary.setdefault(first, name)


def _tells_apart(pattern: str) -> bool:
    try:
        return TagPattern(pattern).tells_variants_apart
    except ValueError:
        return True  # what is wrong with it is said elsewhere


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
