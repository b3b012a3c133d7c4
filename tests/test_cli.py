"""The command line as programs and people meet it: what it prints where, what it imports, which schemas it keeps."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter, ValidationError

from relman.cli import output
from relman.cli import relman as group
from relman.documents import schemas
from tests.integration.driver import Project, Workshop, command, environment, relman

ROOT = Path(__file__).parent.parent
HEAVY = (
    "click",
    "pydantic",
    "urllib3",
    "jinja2",
    "git",
    "rich",
    "msgspec",
    "markdown_it",
    "stamina",
    "pluggy",
    "relman_plugins",
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project on layouts with one release behind it and another in front."""
    project = Workshop(tmp_path_factory.mktemp("cli"), "").layouts()
    project.plan()
    project.relman("apply", "plan.json")
    for variant in ("base", "dx"):
        project.retag(variant, "testing", 2)
    return project


PUBLISHED = Path(__file__).parent / "data" / "changelogs" / "2025-06-08-stable-20250608.md"

READERS: dict[str, tuple[str, ...]] = {
    "diff": ("diff", "oci:images/base:stable", "oci:images/base:testing"),
    "diffs": ("diff", "--stream", "stable"),
    "changelog": ("changelog", "--stream", "stable"),
    "plan": ("plan", "stable"),
    "show": ("show", "plan.json"),
    "status": ("status",),
    "observe": ("observe",),
    "audit": ("audit", "testing"),
    "record": ("records", "show", "stable-20260624"),
    "records": ("records",),
    "tags": ("tags", "base"),
    "packages": ("contents", "oci:images/base:stable"),
    "plugins": ("plugins",),
    "cache": ("cache",),
    "check": ("check",),
    "holds": ("unhold", "stable", "--yes"),
    "published": ("contents", "oci:images/base:stable", "--publish", "--yes"),
    "import": ("records", "import", str(PUBLISHED), "--yes"),
    "embedded": ("contents", "oci:images/base:stable", "--embed", "--yes"),
}
"""Every command that prints a document, by that document (`show` prints a plan)."""


@pytest.mark.parametrize("name", READERS)
def test_stdout_is_one_json_document_with_its_schema_and_nothing_else(released: Project, name: str) -> None:
    ran = released.relman(*READERS[name], "--format", "json", "--verbose", FORCE_COLOR="1")

    expected = {"show": "plan"}.get(name, name)
    assert ran.json["schema"] == f"relman.{expected}/1"
    assert "\x1b" not in ran.stdout


@pytest.mark.parametrize("name", schemas.names())
def test_a_document_fits_the_schema_that_relman_prints_for_it(released: Project, name: str) -> None:
    if name == "contents":
        (file, *_) = sorted(released.folder.glob("releases/contents/*"))
        document = json.loads(subprocess.run(["zstd", "-dc", str(file)], capture_output=True, check=True).stdout)
    elif name == "observed":
        released.relman("observe")
        document = json.loads((released.folder / "releases" / "observed.jsonl").read_text().splitlines()[0])
    else:
        document = released.relman(*READERS[name], "--format", "json").json
    schema = released.relman("schema", name).json
    adapter: TypeAdapter[Any] = TypeAdapter(schemas._DOCUMENTS[name])

    adapter.validate_json(json.dumps(document), strict=True)
    assert schema["$id"] == f"relman.{name}/1"
    assert set(schema.get("required", [])) <= set(document)
    assert set(document) <= set(schema["properties"])
    with pytest.raises(ValidationError):
        adapter.validate_json(json.dumps({**document, "schema": f"relman.{name}/2"}), strict=True)


def test_schema_lists_its_names_and_refuses_others(tmp_path: Path) -> None:
    assert relman(tmp_path, "schema").stdout.split() == list(schemas.names())
    assert relman(tmp_path, "schema", "relman.diff/1").json == relman(tmp_path, "schema", "diff").json
    assert "`relman.dif/1`" in relman(tmp_path, "schema", "relman.dif/1", code=2).stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("-h",)])
def test_help_and_version_import_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "relman", *arguments],
        cwd=tmp_path,
        env=environment(tmp_path, {}),
        capture_output=True,
        text=True,
        check=True,
    )

    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert imported & set(HEAVY) == set()
    assert "relman" in imported


IMPORTED = """
import sys

class Seen:
    def find_spec(self, name, path=None, target=None):
        print(name, file=file, flush=True)

file = open(sys.argv.pop(1), "w")
sys.meta_path.insert(0, Seen())
from relman.__main__ import main
main()
"""
"""relman, noting every module that it imports: the first argument is the file for that."""

PLUGINS = ("relman_plugins.announce.", "relman_plugins.publish.", "relman_plugins.gates.", "relman_plugins.promote.")


UNUSED_BY_DIFF = {
    *("jinja2", "markdown_it", "git", "cryptography", "rich"),
    *("relman.render", "relman.documents.plan", "relman.hands", "relman.channel", "relman.ledger.branch"),
    *("relman.walk.acting", "relman.walk.announcing", "relman.walk.composing", "relman.walk.gating"),
    *("relman.walk.planning", "relman.walk.rollback", "relman.walk.audit.auditing"),
}
"""What comparing two images has no use for."""


def imported_by(project: Project, *arguments: str) -> set[str]:
    """The modules that a command imports."""
    file = project.folder.parent / "imported.txt"
    subprocess.run(
        [sys.executable, "-c", IMPORTED, str(file), *arguments],
        cwd=project.folder,
        env=environment(project.folder.parent, {}),
        capture_output=True,
        check=True,
    )
    return set(file.read_text().split())


def test_a_diff_imports_nothing_of_gates_notes_and_effects(released: Project) -> None:
    imported = imported_by(released, "diff", "oci:images/base:stable", "oci:images/base:testing")

    assert "relman.walk.compare" in imported
    assert {name for name in imported if name.startswith(PLUGINS)} == set()
    assert imported & UNUSED_BY_DIFF == set()


def test_status_imports_the_gates_that_it_asks_and_no_channel(released: Project) -> None:
    imported = imported_by(released, "status")

    assert {name for name in imported if name.startswith(PLUGINS)} >= {"relman_plugins.gates.complete"}
    assert {
        name
        for name in imported
        if name.startswith(("relman_plugins.announce.", "relman_plugins.publish."))
        or name in {f"relman_plugins.gates.{gate}" for gate in ("http", "vulnerabilities", "soak", "size", "approvals")}
    } == set()
    assert not {"jinja2", "markdown_it", "relman.render", "relman.hands", "relman.ledger.branch"} & imported


def test_a_plan_imports_only_the_channels_that_the_file_names(released: Project) -> None:
    named = set(re.findall(r'^type = "(\w+)"', (released.folder / "relman.toml").read_text(), flags=re.MULTILINE))
    imported = imported_by(released, "plan", "stable")

    channels = {name for name in imported if re.fullmatch(r"relman_plugins\.(announce|publish)\.\w+", name)}
    assert channels == {f"relman_plugins.announce.{name}" for name in named}


def test_a_document_is_spelled_as_json_spells_it(capsys: pytest.CaptureFixture[str]) -> None:
    value: dict[str, object] = {
        "empty": [{}, [], "", None],
        "text": 'a \u00fc \u2028 \x7f \x01 \n " \\ / \U0001f600',
        "numbers": [0, -1, 2**70, 1.5, 1e16, 1e-7, True],
        "deep": {"a": [{"b": [[1, 2], {"c": {}}]}]},
    }

    output.document(value)

    assert capsys.readouterr().out == json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def test_the_first_page_of_help_is_what_click_would_print() -> None:
    page = ROOT / "relman" / "cli" / "help.txt"
    made = CliRunner().invoke(group, ["--help"], prog_name="relman", env={"COLUMNS": "80"}).output
    if os.environ.get("RELMAN_UPDATE_GOLDEN") == "1":
        page.write_text(made)

    assert page.read_text() == made, "`RELMAN_UPDATE_GOLDEN=1 pytest tests/test_cli.py` writes it anew"


def test_version_is_that_of_the_package(tmp_path: Path) -> None:
    from relman import __version__

    assert relman(tmp_path, "--version").stdout == f"relman {__version__}\n"


def test_help_names_every_command_and_each_has_help_of_its_own(tmp_path: Path) -> None:
    text = relman(tmp_path, "--help").stdout
    names = re.findall(r"^  ([a-z]+)  ", text.partition("Commands:")[2], flags=re.MULTILINE)

    assert {"diff", "changelog", "status", "plan", "show", "apply", "release", "resume", "records", "tags"} <= set(
        names
    )
    for name in names:
        text = relman(tmp_path, name, "-h").stdout
        assert "--verbose" in text
        assert "--help" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chagelog",), "changelog"),
        (("diff",), "--stream"),
        (("diff", "only-one"), "--stream"),
        (("diff", "--no-such-option"), "--no-such-option"),
        (("status", "--timeout", "soon"), "soon"),
        (("status", "--now", "yesterday"), "yesterday"),
        (("changelog", "a", "b", "--to", "c"), "--stream"),
        (("plan", "stable", "--override", "x"), "--reason"),
        (("plan", "stable", "--reason", "x"), "--override"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_right(released: Project, arguments: tuple[str, ...], said: str) -> None:
    ran = released.relman(*arguments, code=2)

    assert said in ran.stderr
    assert ran.stdout == ""


def test_a_clock_that_is_none_is_wrong_usage(released: Project) -> None:
    assert "SOURCE_DATE_EPOCH" in released.relman("status", code=2, SOURCE_DATE_EPOCH="soon").stderr


def test_now_decides_over_source_date_epoch(released: Project) -> None:
    plan = released.relman("plan", "stable", "--now", "2026-06-30", "--format", "json").json

    assert plan["version"] == "stable-20260630"
    assert plan["created"] == "2026-06-30T00:00:00Z"


def test_the_same_inputs_give_the_same_bytes(released: Project) -> None:
    for seed, format_ in enumerate(("json", "markdown", "classic", "html", "text")):
        arguments = ("changelog", "--stream", "stable", "--format", format_)
        another = released.relman(*arguments, PYTHONHASHSEED=f"{seed}")  # the order of sets is another
        assert another.stdout == released.relman(*arguments).stdout


def test_notes_are_fitted_to_a_limit_and_link_to_all_of_them(released: Project) -> None:
    fitted = ("changelog", "--stream", "stable", "--limit", "1200", "--full", "https://example.org/all")

    text = released.relman(*fitted, "--format", "bbcode").stdout

    assert len(text) <= 1200
    assert "[i]Left out here for want of room: " in text
    assert "[url=https://example.org/all]The full notes[/url]" in text
    assert "`json` is data" in released.relman(*fitted, "--format", "json", code=2).stderr


def test_options_are_taken_before_and_after_the_command(released: Project) -> None:
    file = str(released.folder / "relman.toml")

    before = relman(released.folder.parent, "--config", file, "status", "--format", "json")
    after = relman(released.folder.parent, "status", "--format", "json", "--config", file)

    assert before.stdout == after.stdout


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}])
def test_there_is_no_colour_without_a_terminal_or_where_it_is_not_wanted(
    released: Project, variables: dict[str, Any]
) -> None:
    for arguments in (("status",), ("plan", "stable"), ("diff", "--stream", "stable")):
        ran = released.relman(*arguments, **variables)
        assert "\x1b" not in ran.stdout + ran.stderr


def test_verbose_shows_each_request_as_a_command_to_paste(docker_registry: str, tmp_path: Path) -> None:
    project = Workshop(tmp_path, docker_registry).behind(docker_registry)

    ran = project.relman("diff", f"{project.store}/base:stable", f"{project.store}/base:testing", "--verbose")

    commands = [line for line in ran.stderr.splitlines() if line.startswith("$ curl ")]
    assert any(f"{project.store.removeprefix(docker_registry)}/base/manifests/stable" in line for line in commands)
    quiet = project.relman("diff", f"{project.store}/base:stable", f"{project.store}/base:testing")
    assert quiet.stdout == ran.stdout
    assert "curl" not in quiet.stderr
    shown = next(line for line in commands if "/manifests/stable" in line)
    assert any(word.startswith(f"http://{docker_registry}/v2/") for word in shlex.split(shown))


def test_quiet_says_nothing_that_does_not_matter(released: Project) -> None:
    assert released.relman("plan", "stable", "-o", "quiet.json", "--quiet").stderr == ""


def test_detailed_exitcode_tells_no_change_from_changes(released: Project) -> None:
    same = ("diff", "oci:images/base:stable", "oci:images/base:stable")
    other = ("diff", "oci:images/base:stable", "oci:images/base:testing")

    released.relman(*same)
    released.relman(*same, "--detailed-exitcode", code=3)
    released.relman(*other, "--detailed-exitcode")


# ------------------------------------------------------------------------------------------------------ in CI


def outputs(file: Path) -> dict[str, str]:
    """What GitHub would read in the file: each name once, its value between the delimiters that it names."""
    found: dict[str, str] = {}
    lines = iter(file.read_text().splitlines())
    for line in lines:
        name, _, delimiter = line.partition("<<")
        value = []
        for text in lines:
            if text == delimiter:
                break
            value.append(text)
        assert name not in found
        found[name] = "\n".join(value)
    return found


def test_a_plan_writes_the_outputs_and_the_summary_of_a_step(released: Project, tmp_path: Path) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"
    output.write_text("earlier<<x\n1\nx\n")
    variables: dict[str, Any] = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}

    released.relman("plan", "stable", "-o", "next.json", **variables)

    plan = released.read("next.json")
    assert outputs(output) == {
        "earlier": "1",
        "title": plan["changelog"]["title"],
        "version": "stable-20260624.1",
        "previous": "stable-20260624",
        "changed": "true",
        "plan-file": "next.json",
        "release-id": plan["id"],
        "digests": json.dumps({v["name"]: v["digest"] for v in plan["variants"]}, separators=(",", ":")),
    }
    assert plan["notes"].strip() in summary.read_text()


def test_the_delimiters_of_outputs_cannot_be_guessed(released: Project, tmp_path: Path) -> None:
    names = []
    for number in range(2):
        file = tmp_path / f"output-{number}"
        released.relman("plan", "stable", GITHUB_OUTPUT=str(file))
        names += re.findall(r"<<(.+)", file.read_text())

    assert len(names) == len(set(names))


def test_a_changelog_in_a_file_is_named_in_the_outputs(released: Project, tmp_path: Path) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"

    ran = released.relman(
        "changelog", "--stream", "stable", "-o", "notes.md",
        GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary),
    )  # fmt: skip

    assert ran.stdout == ""
    assert outputs(output)["notes-file"] == "notes.md"
    assert outputs(output)["changed"] == "true"
    assert summary.read_text() == (released.folder / "notes.md").read_text()


def test_a_release_with_nothing_to_do_says_changed_false(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = Workshop(tmp_path_factory.mktemp("nothing"), "").layouts()
    first, second = tmp_path / "first", tmp_path / "second"

    project.relman("release", "stable", "--yes", GITHUB_OUTPUT=str(first))
    project.relman("release", "stable", "--yes", GITHUB_OUTPUT=str(second))

    assert (outputs(first)["changed"], outputs(second)["changed"]) == ("true", "false")
    assert outputs(first)["digests"] == outputs(second)["digests"]


def test_a_reader_that_has_had_enough_is_no_error(released: Project) -> None:
    process = subprocess.Popen(
        command(["contents", "oci:images/base:stable", "--format", "json"]),
        cwd=released.folder,
        env=environment(released.folder, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert (process.wait(60), process.stderr.read()) == (0, b"")
    process.stderr.close()
