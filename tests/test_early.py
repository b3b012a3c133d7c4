"""What begins before a command is imported: the right registry is greeted, by the right commands, and no harm done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relman import early
from relman.registry.greeting import Greeting
from tests.servers import Asked, Reply, Scripted

DIFF = ("diff", "--stream", "stable")
THREE = '[[variants]]\nname = "a"\n[[variants]]\nname = "b"\n[[variants]]\nname = "c"\n'


@pytest.fixture
def greeted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, frozenset[str], int]]]:
    """Whom a run greets: host, hosts without TLS, connections."""
    found: list[tuple[str, frozenset[str], int]] = []

    def greet(_client: object, host: str, insecure: frozenset[str], connections: int) -> str:
        found.append((host, insecure, connections))
        return host

    monkeypatch.setattr("relman.registry.greeting.Greeting", greet)
    yield found
    while begun := early.begun():
        begun[0].close()


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "relman.toml").write_text(text)
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    monkeypatch.delenv("RELMAN_CONFIG", raising=False)


@pytest.mark.parametrize(
    "arguments",
    [
        DIFF,
        ("diff", "--stream=stable", "--format", "json", "-q"),
        ("changelog", "--stream", "stable"),
        ("status",),
        ("plan", "stable", "-o", "plan.json"),
        ("release", "stable", "--yes"),
        ("observe",),
        ("audit",),
        ("rollback", "stable"),
    ],
)
def test_commands_that_look_at_the_configured_registry_greet_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    greeted: list[tuple[str, frozenset[str], int]],
    arguments: tuple[str, ...],
) -> None:
    project(tmp_path, monkeypatch, f'[registry]\nprefix = "ghcr.io/ublue-os"\ninsecure = ["a", "b:1"]\n{THREE}')

    early.begin(arguments)

    assert greeted == [("ghcr.io", frozenset({"a", "b:1"}), 6)]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("diff", "ghcr.io/a/b:1", "ghcr.io/a/b:2"),
        ("changelog", "a", "b"),
        ("check",),
        ("records",),
        ("apply", "plan.json"),
        ("cache",),
        ("nothing", "--stream", "stable"),
        (*DIFF, "--help"),
        (*DIFF, "-h"),
        (*DIFF, "--verbose"),
        (*DIFF, "-qv"),
        (*DIFF, "--config", "other.toml"),
        (*DIFF, "--config=other.toml"),
        ("--config", "other.toml", *DIFF),
        ("-v", *DIFF),
    ],
)
def test_other_commands_and_those_that_show_each_request_greet_nobody(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    greeted: list[tuple[str, frozenset[str], int]],
    arguments: tuple[str, ...],
) -> None:
    project(tmp_path, monkeypatch, f'[registry]\nprefix = "ghcr.io/ublue-os"\n{THREE}')

    early.begin(arguments)

    assert (greeted, early.begun()) == ([], None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no toml [",
        "[registry]\n",
        '[registry]\nprefix = "ghcr.io/a"\n',
        f"[registry]\nprefix = 5\n{THREE}",
        f'[registry]\nprefix = {{ env = "PREFIX" }}\n{THREE}',
        f'[registry]\nprefix = "oci:images"\n{THREE}',
        f'[registry]\nprefix = "images"\n{THREE}',
        f'[registry]\nprefix = "ghcr.io/a"\ninsecure = "all"\n{THREE}',
        'variants = "many"\n[registry]\nprefix = "ghcr.io/a"\n',
        "registry = 1\nvariants = []\n",
        "\udcff",
    ],
)
def test_a_configuration_that_does_not_say_which_registry_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[tuple[str, frozenset[str], int]], text: str
) -> None:
    project(tmp_path, monkeypatch, "")
    (tmp_path / "relman.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    early.begin(DIFF)

    assert (greeted, early.begun()) == ([], None)


def test_no_configuration_at_all_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[tuple[str, frozenset[str], int]]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELMAN_CONFIG", str(tmp_path / "missing.toml"))

    early.begin(DIFF)

    assert (greeted, early.begun()) == ([], None)


def test_a_greeting_is_one_request_and_its_answer_is_there_for_who_asks_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(401, {"WWW-Authenticate": f'Bearer realm="{asked.path}"'})

    with Scripted(answer) as server:
        project(tmp_path, monkeypatch, f'[registry]\nprefix = "{server.host}/os"\n{THREE}')
        early.begin(DIFF)
        begun = early.begun()
        assert begun
        client, greeting = begun
        with client:
            assert isinstance(greeting, Greeting)
            said = greeting.answer()

    assert said
    assert (said.status, server.lines, early.begun()) == (401, ["GET /v2/"], None)
