"""The rules of the house: who imports whom, and that every public module says what it is for."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.report import LONG, long_files

ROOT = Path(__file__).parent.parent
PYPROJECT = ROOT / "pyproject.toml"
PARTS = ("relman", "plugins/relman_plugins")
OPEN_TO_PLUGINS = {"relman.plugin", "relman.model", "relman.testing"}


def modules() -> list[Path]:
    """Every module of the project's own, tests aside."""
    return [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a tree in ``folder`` by the rules that its pyproject.toml holds."""
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(command), "--no-cache", "--config", "pyproject.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{folder}:{folder}/plugins", "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's code and rules, to break."""
    for part in PARTS:
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PYPROJECT, tmp_path)
    return tmp_path


def test_the_import_rules_hold() -> None:
    done = lint_imports(ROOT)

    assert done.returncode == 0, done.stdout


def late_and_plain(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What a module imports late (`Later`), by the name that it has there; and what type checkers see imported."""
    tree = ast.parse(path.read_text())
    late: dict[str, str] = {}
    plain: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            for target, value in zip(targets, values, strict=False):
                if isinstance(value, ast.Call) and ast.unparse(value.func) == "Later":
                    late[ast.unparse(target)] = ast.literal_eval(value.args[0])
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for each in node.body:
                if isinstance(each, ast.ImportFrom):
                    plain |= {alias.asname or alias.name: f"{each.module}.{alias.name}" for alias in each.names}
    return late, plain


def test_what_is_imported_late_is_what_type_checkers_and_import_rules_see() -> None:
    found = {path.name: late_and_plain(path) for path in modules() if "Later(" in path.read_text()}
    found.pop("later.py")

    assert "lifecycle.py" in found
    for name, (late, plain) in found.items():
        assert late, name
        assert late == {each: plain.get(each) for each in late}, name
        for module in late.values():
            assert importlib.util.find_spec(module), module


@pytest.mark.parametrize(
    ("file", "line", "rule"),
    [
        ("relman/model/oci.py", "import relman.process", "each part imports only what stands below it"),
        ("relman/registry/protocol.py", "import relman.lifecycle", "each part imports only what stands below it"),
        ("relman/ledger/__init__.py", "import relman.render", "each part imports only what stands below it"),
        ("relman/new_part.py", '"""Something without a place."""', "each part imports only what stands below it"),
        ("relman/lifecycle.py", "import relman.cli", "nothing imports the command line"),
        ("relman/lifecycle.py", "import relman.testing", "the factories of relman.testing are for tests"),
        ("relman/lifecycle.py", "import relman_plugins.promote.tags", "the core finds plugins by their entry points"),
        ("relman/render/__init__.py", "import subprocess", "programs are run in one place"),
        ("plugins/relman_plugins/gates/complete.py", "import relman.ledger", "plugins import only relman.plugin"),
        ("plugins/relman_plugins/gates/complete.py", "import urllib3", "requests go through one client"),
        ("relman/model/diff.py", "import pydantic", "the model speaks to no service"),
    ],
)
def test_every_import_rule_bites(copy: Path, file: str, line: str, rule: str) -> None:
    path = copy / file
    path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")

    done = lint_imports(copy)

    assert done.returncode == 1
    assert [said for said in done.stdout.splitlines() if said.startswith(rule) and " BROKEN" in said], done.stdout


def test_plugins_are_kept_from_every_module_that_is_not_theirs() -> None:
    rules: list[dict[str, Any]] = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
    (plugins,) = (rule for rule in rules if rule["id"] == "plugins")
    found = {f"relman.{path.stem}" for path in (ROOT / "relman").iterdir() if path.suffix == ".py"}
    found |= {f"relman.{path.parent.name}" for path in (ROOT / "relman").glob("*/__init__.py")}

    assert set(plugins["forbidden_modules"]) == found - OPEN_TO_PLUGINS - {"relman.__init__"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text()))

    assert said
    assert said.rstrip().endswith((".", ":")) or "\n" in said


def test_no_module_is_named_for_nothing() -> None:
    nameless = {"utils", "util", "helpers", "helper", "common", "misc"}

    assert [path for path in modules() if path.stem in nameless] == []


def test_no_file_is_twice_as_long_as_one_should_be() -> None:
    """Those that are merely long are listed at the end of `./dev test`."""
    assert [name for name, lines in long_files(ROOT) if lines > 2 * LONG] == []


def test_no_two_threads_can_prepare_a_type_of_msgspec_at_once() -> None:
    """Where they do, msgspec 0.22 crashes the process: decoders are made when a module is imported, or under a lock."""
    loose = re.compile(r"msgspec\.(json\.|msgpack\.)?(decode|convert)\(")

    assert [str(path) for path in modules() if loose.search(path.read_text())] == []


def test_the_model_takes_of_msgspec_what_values_are_made_of_and_nothing_that_reads_or_writes() -> None:
    model = [path for path in modules() if path.parent.name == "model"]
    used = {name for path in model for name in re.findall(r"msgspec[.\w]*", path.read_text())}

    assert used == {"msgspec", "msgspec.Struct", "msgspec.field", "msgspec.structs"}


def test_a_frozen_value_is_a_struct_unless_a_field_of_it_must_not_be_shown() -> None:
    """A dataclass takes thirty times as long to make, in every command; but what a Struct holds, it shows."""
    classes = [
        (path, node)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any("frozen=True" in ast.unparse(one) for one in node.decorator_list)
    ]

    assert {node.name for _, node in classes} == {"Api", "Credentials", "Embedding", "Forge", "PrivateKey"}
    assert [node.name for _, node in classes if not re.search(r"repr=False|__repr__", ast.unparse(node))] == []
