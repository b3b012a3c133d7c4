"""What begins before a command is imported: the right registry is greeted, by the right commands, and no harm done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relman import early
from relman.config import load
from relman.config.profiles import names
from relman.manager import Plugins
from relman.model.oci import Repository, parse_repository
from relman.opening import Opening
from relman.registry.session import Session, pull
from tests.servers import Asked, Reply, Scripted

DIFF = ("diff", "--stream", "stable")
THREE = '[[variants]]\nname = "a"\n[[variants]]\nname = "b"\n[[variants]]\nname = "c"\n'


Greeted = tuple[str, frozenset[str], list[str], int]


@pytest.fixture
def greeted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Greeted]]:
    """Whom a run greets: host, hosts without TLS, repositories, connections that are opened. Nobody hears of it."""
    found: list[Greeted] = []
    opened: list[int] = []

    def opening(_url: str, count: int) -> tuple[Opening, ...]:
        opened.append(count)
        begun = tuple(Opening() for _ in range(count))
        for one in begun:
            one.set_result(None)
        return begun

    def greet(self: Session, repositories: list[Repository]) -> None:
        found.append((self.host, self.insecure, [repository.name for repository in repositories], opened.pop()))

    monkeypatch.setattr(early, "opening", opening)
    monkeypatch.setattr(Session, "greet", greet)
    yield found
    while begun := early.begun():
        begun.client.close()


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
    greeted: list[Greeted],
    arguments: tuple[str, ...],
) -> None:
    project(tmp_path, monkeypatch, f'[registry]\nprefix = "ghcr.io/ublue-os"\ninsecure = ["a", "b:1"]\n{THREE}')

    early.begin(arguments)

    assert greeted == [("ghcr.io", frozenset({"a", "b:1"}), ["ublue-os/a", "ublue-os/b", "ublue-os/c"], 12)]


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
    greeted: list[Greeted],
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
        f'[registry]\nprefix = "ghcr.io:99999/a"\n{THREE}',
        f'[registry]\nprefix = "ghcr.io:0/a"\n{THREE}',
        f'[registry]\nprefix = "me:composed@ghcr.io/a"\n{THREE}',
        f'[registry]\nprefix = "[::1/a"\n{THREE}',
        f'[registry]\nprefix = "containers-storage:localhost/a"\n{THREE}',
        f'[registry]\nprefix = "ghcr.io/a"\ninsecure = "all"\n{THREE}',
        'variants = "many"\n[registry]\nprefix = "ghcr.io/a"\n',
        "registry = 1\nvariants = []\n",
        "\udcff",
    ],
)
def test_a_configuration_that_does_not_say_which_registry_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[Greeted], text: str
) -> None:
    project(tmp_path, monkeypatch, "")
    (tmp_path / "relman.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    early.begin(DIFF)

    assert (greeted, early.begun()) == ([], None)


@pytest.mark.parametrize("profile", sorted({*names()} - {"plain"}))  # which names no registry
def test_a_profile_names_the_same_registry_as_for_everybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[Greeted], profile: str
) -> None:
    project(tmp_path, monkeypatch, f'profile = "{profile}"\n')
    config = load(tmp_path / "relman.toml", Plugins().understood)
    stream = next(iter(config.streams.values()))
    places = [config.place(variant, stream).repository for variant in config.variants] if config.prefix else []

    early.begin(DIFF)

    assert {name for _, _, found, _ in greeted for name in found} == {place.name for place in places}


def test_no_more_connections_are_opened_than_are_used_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[Greeted]
) -> None:
    many = "".join(f'[[variants]]\nname = "v{n}"\n' for n in range(30))
    project(tmp_path, monkeypatch, f'[registry]\nprefix = "localhost:5000/os"\n{many}')

    early.begin(DIFF)

    assert greeted == [("localhost:5000", frozenset(), [f"os/v{n}" for n in range(30)], 48)]


def test_by_a_proxy_a_registry_is_greeted_and_nothing_is_opened_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[Greeted]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    project(tmp_path, monkeypatch, f'[registry]\nprefix = "ghcr.io/os"\n{THREE}')

    early.begin(DIFF)

    assert greeted == [("ghcr.io", frozenset(), ["os/a", "os/b", "os/c"], 0)]


@pytest.mark.parametrize(
    ("text", "repositories"),
    [
        (f'profile = "ucore"\n{THREE}', ["ublue-os/a", "ublue-os/b", "ublue-os/c"]),
        ('[registry]\nprefix = "docker://ghcr.io/me/"\n[[variants]]\nname = "a"\nrepository = "b"\n', ["me/b"]),
        ('[registry]\nprefix = "ghcr.io"\n[[variants]]\nname = "a"\n[[variants]]\nname = "a"\n', ["a"]),
    ],
)
def test_repositories_are_those_of_the_variants_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[Greeted], text: str, repositories: list[str]
) -> None:
    project(tmp_path, monkeypatch, text)

    early.begin(DIFF)

    assert sorted(greeted[0][2]) == repositories


def test_no_configuration_at_all_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeted: list[Greeted]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELMAN_CONFIG", str(tmp_path / "missing.toml"))

    early.begin(DIFF)

    assert (greeted, early.begun()) == ([], None)


def test_who_goes_on_finds_that_it_was_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/v2/":
            return Reply(401, {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})
        return Reply(200, {}, b'{"token": "composed"}')

    with Scripted(answer) as server:
        project(tmp_path, monkeypatch, f'[registry]\nprefix = "{server.host}/os"\n[[variants]]\nname = "b"\n')
        monkeypatch.setenv("HOME", str(tmp_path))
        early.begin(DIFF)
        session = early.begun()
        assert session
        with session.client:
            scopes = pull(parse_repository(f"{server.host}/os/b"))
            assert session.ask("GET", "/v2/os/b/tags/list", scopes).status == 200

    assert server.lines == ["GET /v2/", "GET /token?scope=repository%3Aos%2Fb%3Apull", "GET /v2/os/b/tags/list"]
    assert early.begun() is None
