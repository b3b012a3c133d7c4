"""The documents say what is true: what they show is run, what they list is compared with the code."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from relman import config
from relman.cli import relman
from relman.demo.build import build_demo
from relman.registry import Registries
from tests.documents import (
    ROOT,
    Block,
    anchors,
    blocks,
    check_consoles,
    codes,
    documents,
    environment,
    links,
    run,
    sections,
    short,
    shows,
    slots,
    updated,
)

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
RECIPES = ROOT / "docs" / "recipes.md"
CHANGELOG = ROOT / "CHANGELOG.md"
GATES = ROOT / "docs" / "gates.md"
MANUALS = [README, CONFIGURATION, GATES, RECIPES, ROOT / "docs" / "plugins.md"]


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
    return [block for file in (README, CONFIGURATION, GATES, RECIPES) for block in blocks(file, "toml")]


@pytest.mark.parametrize("block", fragments(), ids=str)
def test_a_piece_of_configuration_can_be_loaded(block: Block, tmp_path: Path) -> None:
    there = tomllib.loads(block.text)
    rest = [] if "profile" in there else [text for table, text in BASE.items() if table not in there]
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
