"""What the documents list is compared with the code: keys, sources, modules, dependencies, exit codes."""

from __future__ import annotations

import json
import re
import tomllib
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from relman import errors
from relman.config import tables
from relman.errors import RelmanError
from relman.hookspecs import ContentsContext, relman_contents_sources
from relman.manager import Plugins
from relman.model.streams import OnFailure, SourceMoved
from relman.settings import ChannelSettings, Secret, Table
from tests.documents import ROOT, blocks, codes, environment, headings, rows, run, sections, short, slots
from tests.test_gate_states import GATES, ROWS

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
GATES_PAGE = ROOT / "docs" / "gates.md"
CHANGELOG = ROOT / "CHANGELOG.md"


def models() -> Iterator[Any]:
    """The heading under which each table stands, with its model."""
    for found in vars(tables).values():
        if isinstance(found, type) and issubclass(found, Table) and found not in (Table, Secret, tables.FileTable):
            assert found.__doc__
            heading = found.__doc__.strip(".").replace("An entry of ", "").replace("`", "")
            yield pytest.param(heading, found, id=heading)
    yield pytest.param("[[publish]] and [[announce]]", ChannelSettings, id="channels")
    for slot in slots():
        common = set(ChannelSettings.model_fields) if slot.kind in ("publish", "announce") else set()
        own = [key for key in slot.model.model_fields if key not in common]
        heading = f"[plugins.{slot.type}]" if slot.kind == "plugin" else f"Type {slot.type}"
        yield pytest.param(heading, types.SimpleNamespace(model=slot.model, keys=own), id=slot.type)


def keys_of(model: Any) -> dict[str, FieldInfo]:
    """The keys of a table as they are written; of a channel's type, those that it adds.

    A key whose type is that of nothing is there to be refused with a reason.
    """
    own: type[BaseModel] = getattr(model, "model", model)
    wanted = getattr(model, "keys", None)
    fields = {name: f for name, f in own.model_fields.items() if f.annotation is not types.NoneType}
    return {f.alias or name: f for name, f in fields.items() if wanted is None or name in wanted}


def default(field: FieldInfo) -> str:
    """A default as the tables of the document write it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel):
        return "–"
    if isinstance(value, timedelta):
        return f'`"{value.total_seconds():.0f}s"`'
    return f"`{json.dumps(value)}`"


@pytest.mark.parametrize(("heading", "model"), list(models()))
def test_every_key_is_listed_with_its_default_and_none_that_is_not_there(heading: str, model: Any) -> None:
    manual = {**sections(GATES_PAGE), **sections(CONFIGURATION)}
    listed = {row[0].strip("`"): row[2] for row in rows(manual[heading]) if len(row) == 3}
    listed.pop("Key", None)  # a gate may have no keys of its own

    # A key that only says that its service has no such thing is none.
    keys = {key: field for key, field in keys_of(model).items() if field.annotation is not type(None)}
    assert listed == {key: default(field) for key, field in keys.items()}


def test_every_source_of_contents_is_listed() -> None:
    context = ContentsContext(frozenset(), lambda _model: ())
    answers = Plugins().ask(relman_contents_sources, context=context)

    listed = [row for row in rows(sections(CONFIGURATION)["[packages]"]) if len(row) == 2]

    assert {row[0].strip("`") for row in listed[1:]} == {source.name for answer in answers for source in answer.values}


def test_every_table_of_the_file_has_its_heading() -> None:
    there = " ".join(headings(CONFIGURATION))

    assert [name for name in tables.FileTable.model_fields if not re.search(rf"\[{name}[\].]", there)] == []


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.__name__.rpartition(".")[2])
def test_every_code_of_a_gate_is_listed_with_what_opens_it_and_no_other(gate: Any) -> None:
    name = gate.__name__.rpartition(".")[2].replace("_", "-")
    section = sections(CONFIGURATION)[f"Type {name}"]
    cells = [row[0] for row in rows(section) if len(row) == 2 and row[0] != "Code"]

    listed = {code for cell in cells for code in re.findall(r"`([a-z]+(?:-[a-z]+)*)`", cell)}

    words = {"friday"} if name == "freeze" else set()  # of its other table
    assert listed - words == {row.code for row in ROWS if row.gate is gate} - {"", "error"}


@pytest.mark.parametrize("choice", [*SourceMoved, *OnFailure])
def test_every_choice_of_a_key_is_named(choice: str) -> None:
    assert f'`"{choice}"`' in CONFIGURATION.read_text(encoding="utf-8")


def modules() -> list[Path]:
    """Every module that has something in it, those aside that git has not been told of yet: they are being written."""
    new = run("git ls-files --others --exclude-standard", ROOT, env=environment())[0].split()
    return [
        path.relative_to(ROOT)
        for part in ("relman", "plugins/relman_plugins")
        for path in sorted((ROOT / part).rglob("*.py"))
        if path.name != "__init__.py" and short(path) not in new
    ]


def named(heading: str, code: str) -> set[Path]:
    """What a code span in docs/architecture.md may name: a path in the checkout, or one in a folder of the heading."""
    path = Path(code if code.endswith(".py") else f"{code}.py")
    return {path, *(Path(folder) / path for folder in re.findall(r"[\w/]*relman[\w/]*", heading))}


def test_every_module_is_said_to_be_where_it_is() -> None:
    found = sections(ARCHITECTURE).items()
    said = {path for heading, section in found for code in codes(section) for path in named(heading, code)}

    assert [str(module) for module in modules() if module not in said] == []


def test_no_module_is_said_to_be_there_that_is_not() -> None:
    found = sections(ARCHITECTURE).items()
    spans = [(heading, code) for heading, section in found for code in codes(section) if code.endswith(".py")]

    assert [code for heading, code in spans if not any((ROOT / path).exists() for path in named(heading, code))] == []


def test_every_dependency_has_its_line_and_no_other_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [re.match(r"[\w.-]+", text) for text in project["dependencies"]]

    listed = [row[0].strip("`") for row in rows(sections(ARCHITECTURE)["Dependencies"])[1:]]

    assert sorted(listed) == sorted(match[0] for match in wanted if match)


def test_the_layers_are_those_that_are_kept() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    kept = next(rule["layers"] for rule in rules if rule["type"] == "layers")

    assert any(block.text.splitlines() == kept for block in blocks(ARCHITECTURE, "text"))


def test_every_exit_code_has_its_line() -> None:
    kinds = [found for found in vars(errors).values() if isinstance(found, type)]
    raised = {found.exit_code for found in kinds if issubclass(found, RelmanError)}

    listed = {int(row[0]) for row in rows(sections(README)["Exit codes"])[1:]}

    assert listed == raised | {0, 3, errors.FOUND, 130}


def test_the_changelog_is_in_its_form() -> None:
    changelog = headings(CHANGELOG)
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

    assert changelog[:2] == ["Changelog", "[Unreleased]"] or changelog[:2] == ["Changelog", "Unreleased"]
    for heading in changelog[2:]:
        assert heading in allowed or re.fullmatch(r"\[?\d+\.\d+\.\d+\]? - \d{4}-\d{2}-\d{2}", heading)
