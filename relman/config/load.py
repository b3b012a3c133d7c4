"""Finds relman.toml, reads it, and refuses it whole with every fault named."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from relman.config.channels import channel_tables, plugin_tables, tables_named
from relman.config.lines import key_lines
from relman.config.merging import Layer
from relman.config.problems import Problems, check_secrets
from relman.config.profiles import profiled
from relman.config.references import check_gates, check_references
from relman.config.tables import SHIPPED, FileTable, RecordTable, StreamTable
from relman.config.values import DEFAULT_TITLE, Config, GroupRule, LedgerBranch, MajorRule, Notes, Packages
from relman.errors import ConfigError
from relman.hookspecs import Slot
from relman.model.links import LinkRule
from relman.model.oci import Digest, Platform
from relman.model.signature import SignatureRule, SigningMode, StatementSigning
from relman.model.streams import GateRule, Stream, TagPattern, Variant
from relman.project import FILE_NAME

_THEIRS = ("publish", "announce", "plugins")  # tables of plugins, whose variables are filled in when they are used

Understood: TypeAlias = Callable[[Collection[str]], Iterable[Slot]]
"""What plugins understand of the tables that a file has, by names such as `announce.discord` (`Slot.table`)."""


def load(file: Path, understood: Understood | Iterable[Slot] = ()) -> Config:
    """Read and check ``file``. Raises `ConfigError` with every fault, each with its line and its key.

    ``understood`` is asked for those tables of plugins that the file has, or it is all of them.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no `{file}`", hint="`relman demo` makes one to look at") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read `{file}`: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"`{file}` is not TOML: {error}") from error
    known = understood if callable(understood) else (lambda _tables, slots=tuple(understood): slots)
    own = Layer(file.name, str(file), data, key_lines(text))
    data, origins = profiled(own, lambda tables: {slot.table for slot in known(tables)})
    slots = tuple(known(tables_named(data)))
    problems = Problems(file.name, origins)
    theirs = {key: data[key] for key in _THEIRS if key in data}
    if isinstance(record := data.get("record"), dict):
        data = {**data, "record": check_secrets(record, ("record",), problems)}
    ours = _filled({key: value for key, value in data.items() if key not in _THEIRS}, (), problems)
    data = {**ours, **theirs}
    tables: FileTable | None = None
    try:
        tables = FileTable.model_validate(data)
    except ValidationError as error:
        problems.add_all(error, FileTable)
    check_references(data, problems)
    check_gates(data, slots, problems)
    channels = channel_tables(data, slots, problems)
    plugins = plugin_tables(data, slots, problems)
    if tables is None or problems.lines():
        raise ConfigError(f"`{file}` has faults", problems.lines())
    return _build(file, tables, channels, plugins)


def without_file(folder: Path) -> Config:
    """What holds where there is no configuration: enough to compare images given by hand."""
    tables = FileTable.model_validate({"project": {"name": "-", "checkout": "."}})
    return _build(folder / FILE_NAME, tables, (), {}, exists=False)


def _filled(value: Any, path: tuple[str | int, ...], problems: Problems) -> Any:
    """The core's own tables with `{ env = "NAME" }` filled in; a variable that is not set is a fault."""
    if isinstance(value, dict) and set(value) == {"env"} and isinstance(value["env"], str):
        name = value["env"]
        if name not in os.environ:
            problems.add(path, f"the environment variable `{name}` is not set", last_word=True)
        return os.environ.get(name, value)
    if isinstance(value, dict):
        # Gates, which are their plugins', and [record] may hold secrets: those are read where they are used.
        return {
            k: v if k == "gates" or path == ("record",) else _filled(v, (*path, k), problems) for k, v in value.items()
        }
    if isinstance(value, list):
        return [_filled(entry, (*path, number), problems) for number, entry in enumerate(value)]
    return value


def _build(
    file: Path,
    tables: FileTable,
    channels: tuple[Any, ...],
    plugins: Mapping[str, Mapping[str, object]],
    *,
    exists: bool = True,
) -> Config:
    folder = file.resolve().parent
    project, changelog = tables.project, tables.changelog
    templates = folder / (changelog.templates or "templates")
    return Config(
        folder=folder,
        file=file if exists else None,
        project=project.name,
        repository_url=project.repository.rstrip("/") if project.repository else None,
        checkout=(folder / project.checkout).resolve(),
        platforms=tuple(map(Platform.parse, project.platforms)),
        prefix=tables.registry.prefix.rstrip("/") if tables.registry else None,
        insecure=frozenset(tables.registry.insecure if tables.registry else ()),
        variants=tuple(
            Variant(
                v.name, v.repository or v.name, v.suffix, frozenset(v.traits), tuple(map(Platform.parse, v.platforms))
            )
            for v in tables.variants
        ),
        groups=tuple(GroupRule(group.title, frozenset(group.traits)) for group in tables.groups),
        majors=tuple(
            MajorRule(m.label, m.package, m.from_.removeprefix("label:") if m.from_ else None, frozenset(m.traits))
            for m in tables.majors
        ),
        links=tuple(LinkRule(**link.model_dump()) for link in tables.links),
        streams={name: _stream(name, table) for name, table in tables.streams.items()},
        packages=Packages(
            tables.packages.sources,
            tables.packages.minimum,
            tables.packages.ignore,
            tuple((re.compile(rule.match), rule.to) for rule in tables.packages.rename),
            frozenset(tables.packages.ecosystems),
        ),
        notes=Notes(
            title=changelog.title or DEFAULT_TITLE,
            page=changelog.page,
            exclude=tuple(map(re.compile, changelog.commits.exclude)),
            required=changelog.commits.required,
            authors=changelog.commits.authors,
            security=changelog.security,
            templates=templates if exists and (changelog.templates or templates.is_dir()) else None,
            highlights=changelog.highlights,
            known_issues=changelog.known_issues,
        ),
        ledger=folder / (tables.ledger.path or "releases"),
        ledger_branch=LedgerBranch(tables.ledger.branch, tables.ledger.remote) if tables.ledger.branch else None,
        channels=channels,
        plugins=plugins,
        signature=_signature(folder, tables),
        pinned=_pinned(tables),
        attach=tables.record.attach,
        signing=_signing(tables.record),
    )


def _signing(table: RecordTable) -> StatementSigning | None:
    if table.key:
        return StatementSigning(SigningMode.KEY, table.key.env, table.password.env if table.password else None)
    return StatementSigning(SigningMode.KEYLESS) if table.sign else None


def _signature(folder: Path, tables: FileTable) -> SignatureRule | None:
    table = tables.signature
    if table is None:
        return None
    shipped = table.policy.removeprefix(SHIPPED) if table.policy and table.policy.startswith(SHIPPED) else None
    return SignatureRule(
        policy=folder / table.policy if table.policy and shipped is None else None,
        shipped=shipped,
        registries=folder / table.registries if table.registries else None,
        keys=tuple(folder / key for key in table.keys),
        identity=table.identity,
        issuer=table.issuer,
        insecure=frozenset(tables.registry.insecure if tables.registry else ()),
    )


def _stream(name: str, table: StreamTable) -> Stream:
    new_versions = tuple(map(TagPattern, table.new_version or ()))
    read = tuple(map(TagPattern, table.versions))
    return Stream(
        name=name,
        tags=tuple(map(TagPattern, table.tags)),
        versions=read + tuple(pattern for pattern in new_versions if pattern not in read),
        source=table.from_,
        new_versions=new_versions,
        on_source_moved=table.on_source_moved,
        on_failure=table.on_failure,
        soak=table.soak,
        gates=None if table.gates is None else tuple(map(_gate, table.gates)),
        prefix=table.prefix,
        expect=table.expect,
    )


def _gate(gate: str | dict[str, Any]) -> GateRule:
    if isinstance(gate, str):
        return GateRule(gate, gate)
    rest = {key: value for key, value in gate.items() if key not in {"type", "name", "override"}}
    allowed = gate.get("override", True)
    may_override = None if allowed is True else () if allowed is False else tuple(allowed)
    return GateRule(gate["type"], str(gate.get("name", gate["type"])), rest, may_override)


def _pinned(tables: FileTable) -> Digest:
    """The digest of what a plan pins: project, registry, variants and streams. Channels may be mended meanwhile."""
    pinned: dict[str, Any] = tables.model_dump(
        mode="json", include={"registry", "variants", "streams"} | {"project": {"name", "platforms"}}.keys()
    )
    return Digest.of(json.dumps(pinned, sort_keys=True, separators=(",", ":")).encode())
