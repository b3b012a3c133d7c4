"""The documents say what is true: what they show is run, what they list is compared with the code."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tomllib
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from relman import config, errors
from relman.cli import relman
from relman.config import tables
from relman.demo.build import build_demo
from relman.errors import RelmanError
from relman.hookspecs import ContentsContext, Slot, relman_contents_sources, relman_settings
from relman.manager import Plugins
from relman.model.streams import OnFailure, SourceMoved
from relman.registry import Registries
from relman.settings import ChannelSettings, Table
from tests.documents import (
    ROOT,
    Block,
    anchors,
    blocks,
    check_consoles,
    codes,
    documents,
    environment,
    headings,
    links,
    rows,
    run,
    sections,
    short,
    shows,
    updated,
)

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
RECIPES = ROOT / "docs" / "recipes.md"
CHANGELOG = ROOT / "CHANGELOG.md"
MANUALS = [README, CONFIGURATION, RECIPES, ROOT / "docs" / "plugins.md"]


# ------------------------------------------------------------------------------------------ what is printed


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo folder as it is before its tour. Copy it to change it."""
    folder = tmp_path_factory.mktemp("demo")
    with Registries(folder) as registries:
        build_demo(folder, registries, "oci:images")
    return folder


@pytest.fixture(scope="module")
def released(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after its release."""
    folder = tmp_path_factory.mktemp("released") / "demo"
    shutil.copytree(fresh, folder)
    printed, code = run("relman release stable --yes", folder, env=environment())
    assert code == 0, printed
    return folder


@pytest.fixture
def own(fresh: Path, tmp_path: Path) -> Path:
    """A copy of the fresh folder."""
    return shutil.copytree(fresh, tmp_path / "demo")


def test_the_readme_prints_what_relman_prints(own: Path) -> None:
    check_consoles(README, own, environment())


def test_the_recipes_print_what_relman_prints(released: Path) -> None:
    check_consoles(RECIPES, released, environment())


def test_the_readme_shows_the_tour_and_the_help() -> None:
    shown = [line for block in blocks(README, "console") for line in block.text.splitlines() if line.startswith("$ ")]

    assert [line.split()[2] for line in shown] == [
        *("status", "diff", "changelog", "plan", "apply", "records", "apply"),
        "--help",
    ]


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a b c", "a b c", True),
        ("a b c", "a b", False),
        ("a … c", "a b b c", True),
        ("a … c", "a c", False),
        ("a … c", "a b c d", False),
        ("… c", "a b c", True),
        ("a …", "a", False),
        ("a … c … e", "a b c d e", True),
        ("a … d … e", "a b c d e", False),
        ("a … x … e", "a b c d e", False),
    ],
)
def test_a_cut_stands_for_one_line_or_more(expected: str, printed: str, same: bool) -> None:
    assert shows(expected.split(), printed.split()) is same


def test_a_console_that_is_written_anew_keeps_its_cuts() -> None:
    expected, printed = ["a", "…", "c", "d", "…", "z"], ["A", "b", "b", "c", "D", "e", "f", "Z"]

    assert updated(expected, printed) == ["A", "…", "c", "D", "…", "Z"]


# ------------------------------------------------------------------------------------- what can be followed


def following() -> Iterator[Any]:
    """Every link that leads to a file, with the document that has it."""
    for file in documents():
        for link in sorted(set(links(file))):
            if not re.match(r"[a-z]+:", link):
                yield pytest.param(file, link, id=f"{short(file)}->{link}")


@pytest.mark.parametrize(("file", "link"), list(following()))
def test_a_relative_link_leads_somewhere(file: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (file.parent / path).resolve() if path else file

    assert target.exists()
    assert target.is_relative_to(ROOT)
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize("file", MANUALS, ids=short)
def test_every_command_in_a_document_can_be_given(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    lines = [line.strip() for block in blocks(file, "sh", "yaml") for line in block.text.splitlines()]
    lines += [code for section in sections(file).values() for code in codes(section)]
    commands = [re.sub(r"^(?:- )?run: ", "", line).partition(" #")[0] for line in lines]
    commands = [line for line in commands if re.match(r"relman [a-z]", line) and "COMMAND" not in line]

    assert commands or "relman" not in text
    for command in commands:
        parse(command)


def parse(command: str) -> None:
    """Parse a command line without running it. In a sentence an argument may be left out (`relman plan`)."""
    words = re.findall(r'"[^"]*"|\S+', command)[1:]
    found = relman.get_command(click.Context(relman), words[0])
    assert found is not None, f"there is no `{command}`"
    with contextlib.suppress(click.MissingParameter):
        found.make_context(words[0], [word.strip('"') for word in words[1:]])


# ------------------------------------------------------------------------------------------- what is loaded

BASE = {
    "project": '[project]\nname = "Example"\n',
    "registry": '[registry]\nprefix = "ghcr.io/example"\n',
    "variants": '[[variants]]\nname = "example"\n',
    "streams": '[streams.stable]\ntags = ["stable"]\nversions = ["stable-{date}"]\n',
}


def fragments() -> list[Block]:
    """Every piece of relman.toml in the documents, those aside that need a plugin of the guide."""
    return [block for file in (README, CONFIGURATION, RECIPES) for block in blocks(file, "toml")]


def slots() -> tuple[Slot, ...]:
    return tuple(slot for answer in Plugins().ask(relman_settings) for slot in answer.values)


@pytest.mark.parametrize("block", fragments(), ids=str)
def test_a_piece_of_configuration_can_be_loaded(block: Block, tmp_path: Path) -> None:
    there = tomllib.loads(block.text)
    rest = [text for table, text in BASE.items() if table not in there]
    file = tmp_path / "relman.toml"
    file.write_text("\n".join([*rest, block.text]))

    loaded = config.load(file, slots())

    assert loaded.project


def complete(file: Path) -> list[str]:
    return [
        block.text for block in blocks(file, "toml") if block.text.startswith("[project]\n") and "[[v" in block.text
    ]


@pytest.mark.parametrize(("number", "command"), [(0, "changelog --stream stable"), (1, "release stable --yes")])
def test_the_configurations_of_the_readme_work(number: int, command: str, released: Path, own: Path) -> None:
    folder = released if number == 0 else own
    text = complete(README)[number].replace("ghcr.io/example", "oci:images").replace('"."', '"source"')
    (folder / "own.toml").write_text(text + '\n[ledger]\npath = "own"\n')

    printed, code = run(f"relman --config own.toml {command}", folder, env=environment())

    assert code == 0, printed
    assert "stable-20260621" in printed


def test_the_workflow_of_the_readme_runs_and_its_outputs_are_there(own: Path, tmp_path: Path) -> None:
    (workflow,) = blocks(README, "yaml")
    outputs = tmp_path / "outputs"
    env = environment(GITHUB_OUTPUT=str(outputs))
    commands = re.findall(r"run: (relman .*)", workflow.text)

    results = [run(command, own, env=env) for command in commands]

    assert [code for _, code in results] == [0, 0], results
    written = dict(re.findall(r"^([a-z-]+)<<(?:.*)\n(.*)\n", outputs.read_text(), re.MULTILINE))
    wanted = set(re.findall(r"outputs\.([a-z-]+)", workflow.text))
    assert wanted <= set(written)
    assert (written["changed"], written["version"], written["plan-file"]) == ("true", "stable-20260705", "plan.json")
    assert set(json.loads(written["digests"])) == {
        *("bluefin", "bluefin-dx", "bluefin-nvidia-open", "bluefin-dx-nvidia-open")
    }


def test_the_template_of_the_recipes_renders(own: Path) -> None:
    (template,) = blocks(RECIPES, "jinja")
    (table,) = (block.text for block in blocks(RECIPES, "toml") if "forum.md.j2" in block.text)
    (own / "templates").mkdir()
    (own / "templates" / "forum.md.j2").write_text(template.text)
    with (own / "relman.toml").open("a") as file:
        file.write("\n" + table)

    made = run("relman plan stable -o plan.json", own, env=environment())
    shown, code = run("relman show plan.json --channel forum", own, env=environment())

    assert "planned twice" not in made[0]
    assert (made[1], code) == (0, 0), made[0]
    assert "is out: 50 packages changed." in shown
    assert "- Mesa: 26.0.8-4.fc44" in shown


# ------------------------------------------------------------------------------------------- what is listed


def models() -> Iterator[Any]:
    """The heading under which each table stands, with its model."""
    for found in vars(tables).values():
        if isinstance(found, type) and issubclass(found, Table) and found not in (Table, tables.FileTable):
            assert found.__doc__
            heading = found.__doc__.strip(".").replace("An entry of ", "").replace("`", "")
            yield pytest.param(heading, found, id=heading)
    yield pytest.param("[[publish]] and [[announce]]", ChannelSettings, id="channels")
    for slot in slots():
        own = [key for key in slot.model.model_fields if key not in ChannelSettings.model_fields]
        yield pytest.param(f"Type {slot.type}", types.SimpleNamespace(model=slot.model, keys=own), id=slot.type)


def keys_of(model: Any) -> dict[str, FieldInfo]:
    """The keys of a table as they are written; of a channel's type, those that it adds."""
    own: type[BaseModel] = getattr(model, "model", model)
    wanted = getattr(model, "keys", None)
    return {f.alias or name: f for name, f in own.model_fields.items() if wanted is None or name in wanted}


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
    listed = {row[0].strip("`"): row[2] for row in rows(sections(CONFIGURATION)[heading]) if len(row) == 3}
    del listed["Key"]

    assert listed == {key: default(field) for key, field in keys_of(model).items()}


def test_every_source_of_contents_is_listed() -> None:
    context = ContentsContext(frozenset(), lambda _model: ())
    answers = Plugins().ask(relman_contents_sources, context=context)

    listed = [row for row in rows(sections(CONFIGURATION)["[packages]"]) if len(row) == 2]

    assert {row[0].strip("`") for row in listed[1:]} == {source.name for answer in answers for source in answer.values}


def test_every_table_of_the_file_has_its_heading() -> None:
    there = " ".join(headings(CONFIGURATION))

    assert [name for name in tables.FileTable.model_fields if not re.search(rf"\[{name}[\].]", there)] == []


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

    assert listed == raised | {0, 3, 130}


def test_the_changelog_is_in_its_form() -> None:
    changelog = headings(CHANGELOG)
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

    assert changelog[:2] == ["Changelog", "[Unreleased]"] or changelog[:2] == ["Changelog", "Unreleased"]
    for heading in changelog[2:]:
        assert heading in allowed or re.fullmatch(r"\[?\d+\.\d+\.\d+\]? - \d{4}-\d{2}-\d{2}", heading)
