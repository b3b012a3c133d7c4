"""docs/plugins.md is run: its plugins are installed, and do in a demo folder what the guide says."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from relman import hookspecs, plugin
from relman.demo.build import build_demo
from relman.model.oci import Digest, parse_reference
from relman.registry import Registries
from relman.testing import attach
from relman.testing.executors import RULES
from tests.documents import ROOT, blocks, check_consoles, codes, environment, headings, run, sections

GUIDE = ROOT / "docs" / "plugins.md"
EXAMPLE = ROOT / "docs" / "examples" / "plugin"
MODULES = {name: block.text for block in blocks(GUIDE, "python") for name in re.findall(r"\A# (\w+)\.py\n", block.text)}
MISSPELT = """\
from relman.plugin import hookimpl

@hookimpl
def relman_sektions(context):
    return []
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH: the example as pip installs it, the guide's other plugins, and a misspelt one."""
    target = tmp_path_factory.mktemp("installed")
    example = tmp_path_factory.mktemp("example") / "plugin"
    shutil.copytree(EXAMPLE, example)
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(example)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plugins = {name: text for name, text in MODULES.items() if name.startswith("relman_")}
    for name, text in {**plugins, "relman_misspelt": MISSPELT}.items():
        (target / f"{name}.py").write_text(text)
        folder = target / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        entry = name.removeprefix("relman_").replace("_", "-")
        (folder / "entry_points.txt").write_text(f"[relman]\n{entry} = {name}\n")
    return target


@pytest.fixture(scope="module")
def env(installed: Path) -> dict[str, str]:
    """The environment in which they are found."""
    return environment(PYTHONPATH=str(installed), BOARD_TOKEN="let-me-in-please")


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A fresh demo folder."""
    with Registries(tmp_path) as registries:
        build_demo(tmp_path, registries, "oci:images")
    return tmp_path


def change(folder: Path, before: str, after: str) -> None:
    """Edit relman.toml."""
    file = folder / "relman.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def table(first_line: str) -> str:
    """The guide's TOML block that begins so."""
    return next(block.text for block in blocks(GUIDE, "toml") if block.text.startswith(first_line))


def test_the_guide_prints_what_relman_prints(demo: Path, env: dict[str, str]) -> None:
    check_consoles(GUIDE, demo, env)


def test_the_example_in_the_guide_is_the_example() -> None:
    python, toml = blocks(GUIDE, "python")[0].text, blocks(GUIDE, "toml")[0].text

    assert python == (EXAMPLE / "relman_package_count.py").read_text()
    assert toml == (EXAMPLE / "pyproject.toml").read_text()


def test_the_example_has_ten_lines() -> None:
    lines = (EXAMPLE / "relman_package_count.py").read_text().splitlines()

    assert len([line for line in lines if line.strip()]) <= 10


def test_the_example_adds_its_section_behind_the_packages(demo: Path, env: dict[str, str]) -> None:
    document, _ = run("relman changelog --stream stable --format json 2>/dev/null", demo, env=env)
    notes, _ = run("relman changelog --stream stable", demo, env=env)

    lines = ["- bluefin: 190 → 195", "- bluefin-dx: 205 → 210"]
    lines += ["- bluefin-nvidia-open: 198 → 203", "- bluefin-dx-nvidia-open: 213 → 218"]
    markdown = "\n".join(lines)
    section = {"id": "count", "rank": 60, "title": "Installed packages", "markdown": markdown}
    assert section in json.loads(document)["sections"]
    assert notes.index("## Packages") < notes.index(f"## Installed packages\n\n{markdown}\n")


def test_the_gate_has_ten_lines() -> None:
    lines = [line for line in MODULES["relman_tested"].splitlines() if line.strip() and not line.startswith("#")]

    assert len(lines) <= 10


def test_the_gate_of_ten_lines_lets_in_what_says_that_it_was_tested_and_nothing_else(
    demo: Path, env: dict[str, str]
) -> None:
    change(demo, 'from = "testing"', 'from = "testing"\ngates = ["tested"]')
    before, code = run("relman release stable --yes", demo, env=env)

    assert code == 6
    assert "gate `tested` is failed for `bluefin`, `bluefin-dx`" in before
    assert "tested: False" in before
    for folder in (demo / "images").iterdir():
        say_tested(demo, f"oci:images/{folder.name}:testing")
    after, code = run("relman release stable --yes", demo, env=env)
    assert code == 0, after


def say_tested(folder: Path, name: str) -> None:
    """Let a tag hold the same image with the label, and with what is attached to it."""
    reference = parse_reference(name)
    with Registries(folder) as registries:
        manifest = registries.manifest(reference)
        fields = json.loads(manifest.content)
        config = json.loads(registries.blob(reference.repository, Digest(fields["config"]["digest"]), limit=10**6))
        config["config"]["Labels"]["org.example.tested"] = "yes"
        content = json.dumps(config).encode()
        fields["config"] |= {"digest": registries.put_blob(reference.repository, content), "size": len(content)}
        put = registries.put_manifest(
            reference.repository, json.dumps(fields).encode(), manifest.descriptor.media_type, tag=reference.tag
        )
        for referrer in registries.referrers(reference.repository, manifest.descriptor.digest):
            layers = json.loads(registries.manifest(reference.repository.digest(referrer.digest)).content)["layers"]
            sbom = registries.blob(reference.repository, Digest(layers[0]["digest"]), limit=10**9)
            kind = referrer.artifact_type or ""
            attach(registries, reference.repository, put, sbom, artifact_type=kind, media_type=layers[0]["mediaType"])


def test_the_gate_closes_on_the_days_that_its_table_names(demo: Path, env: dict[str, str]) -> None:
    gates = next(line for line in table("[streams.stable]").splitlines() if line.startswith("gates"))
    change(demo, 'from = "testing"', f'from = "testing"\n{gates}')

    sunday = run("relman plan stable -o plan.json >/dev/null && relman apply plan.json", demo, env=env)
    status, _ = run("relman --now 2026-07-06 status stable", demo, env=env)
    monday = run("relman --now 2026-07-06 apply plan.json", demo, env=env)

    assert sunday[1] == 6
    assert "gate `quiet-days` is pending for `bluefin`, `bluefin-dx`" in sunday[0]
    assert "gates      complete, hold, no-downgrade, quiet-days open" in status
    assert monday[1] == 0


def test_a_wrong_value_in_the_table_of_a_gate_is_a_fault_of_the_file(demo: Path, env: dict[str, str]) -> None:
    change(demo, 'from = "testing"', 'from = "testing"\ngates = [{ type = "quiet-days", days = ["fryday"] }]')

    printed, code = run("relman plan stable", demo, env=env)

    assert code == 2, printed
    assert "`fryday`" in printed


def test_the_source_serves_what_is_attached_and_nothing_else(demo: Path, env: dict[str, str]) -> None:
    change(demo, "[changelog]", f"{table('[packages]')}minimum = 2\n\n[changelog]")
    reference = parse_reference("oci:images/bluefin:stable")
    with Registries(demo) as registries:
        found = registries.resolve(reference)
        assert found is not None
        text = b"bash x86_64 5.3.0-1.fc44\nkernel x86_64 7.0.6-200.fc44\nkernel x86_64 7.0.7-200.fc44\n"
        kind = "application/vnd.example.packages"
        attach(registries, reference.repository, found.digest, text, artifact_type=kind, media_type="text/plain")

    attached, _ = run("relman contents oci:images/bluefin:stable --format json", demo, env=env)
    sbom, _ = run("relman contents oci:images/bluefin:testing --format json", demo, env=env)

    there, other = json.loads(_json(attached)), json.loads(_json(sbom))
    assert "packages-txt" in json.dumps(there)
    assert "7.0.7-200.fc44" in json.dumps(there)
    assert "packages-txt" not in json.dumps(other)


def test_the_channel_posts_once_whatever_becomes_of_the_answer(demo: Path, env: dict[str, str]) -> None:
    with Board() as board:
        config = table("[[announce]]\ntype").replace("https://board.example.org", board.address)
        (demo / "relman.toml").write_text((demo / "relman.toml").read_text() + "\n" + config)
        board.loses_answers = True

        first = run("relman plan stable -o plan.json >/dev/null && relman apply plan.json", demo, env=env)
        again = run("relman apply plan.json", demo, env=env)
        assert first[1] == 0, first[0]
        shutil.rmtree(demo / "releases")
        elsewhere = run("relman apply plan.json", demo, env=env)

    assert [first[1], again[1], elsewhere[1]] == [0, 0, 0], first[0]
    assert len(board.messages) == 1
    assert "stable-20260705" in board.messages[0]["text"]
    assert "let-me-in-please" not in first[0] + (demo / "plan.json").read_text()


def test_the_contract_test_of_the_guide_passes_over_the_channel_of_the_guide(
    installed: Path, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "board_server.py").write_text(f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n{_BOARD_SERVER}")
    (tmp_path / "test_board.py").write_text(MODULES["test_board"])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "test_board.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert f"{len(RULES)} passed" in done.stdout


_BOARD_SERVER = "from tests.integration.test_plugin_guide import Board\n"


def _json(printed: str) -> str:
    return printed[printed.index("{") :]


class Board:
    """A message board as the guide describes it. It can lose its answer after it has taken a message."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.loses_answers = False
        board = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, board.messages)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["Authorization"] != "Bearer let-me-in-please":
                    self._answer(401, {})
                    return
                board.messages.append(body)
                if board.loses_answers:
                    self.connection.close()
                    return
                self._answer(201, {})

            def _answer(self, status: int, document: Any) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Board:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


# --------------------------------------------------------------------------------- the reference is complete


def classes() -> Iterator[tuple[str, type]]:
    """Every public class of hookspecs.py, with the hook that it is for: the next one in the file."""
    hooks = [(inspect.getsourcelines(hook)[1], hook.__name__) for hook in hookspecs.WALK]
    for name, found in vars(hookspecs).items():
        if inspect.isclass(found) and found.__module__ == hookspecs.__name__ and not name.startswith("_"):
            line = inspect.getsourcelines(found)[1]
            yield next(hook for at, hook in hooks if at > line), found


def members(found: type) -> set[str]:
    """What a class has that an author of plugins meets."""
    names = {*inspect.get_annotations(found), *vars(found)}
    return {name for name in names if not name.startswith("_")}


def test_every_hook_has_its_heading_in_the_order_of_the_walk() -> None:
    assert [heading for heading in headings(GUIDE) if heading.startswith("relman_")] == [
        hook.__name__ for hook in hookspecs.WALK
    ]


@pytest.mark.parametrize(("hook", "found"), list(classes()), ids=lambda value: getattr(value, "__name__", value))
def test_every_field_of_what_a_hook_is_given_is_explained(hook: str, found: type) -> None:
    named = set(codes(sections(GUIDE)[hook]))

    assert members(found) - named == set()


def test_everything_that_plugins_may_import_is_named_in_the_guide() -> None:
    text = GUIDE.read_text()

    assert [name for name in plugin.__all__ if not re.search(rf"\b{name}\b", text)] == []
