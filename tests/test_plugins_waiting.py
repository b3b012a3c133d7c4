"""Plugins that wait: what a package says of its plugins is held to what they do, and nothing else is imported."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import relman_plugins
from relman import hookspecs
from relman.config import ChannelTable, load
from relman.errors import ConfigError, PluginError
from relman.hands import Executors
from relman.hookspecs import WALK, ActionsContext
from relman.manager import Broken, Plugins
from tests.gates import candidate, context

NEVER: Any = None  # what a plugin without a table must not look at

CHANNEL = """\
from relman.plugin import ChannelSettings, Slot, hookimpl

class Settings(ChannelSettings):
    pass

@hookimpl
def relman_settings():
    yield Slot("announce", "NAME", Settings)

@hookimpl
def relman_executors():
    class Executor:
        kind = "NAME"
    yield Executor()
"""
HOOKS = ("relman_settings", "relman_executors")
FILE = '[project]\nname = "X"\n[registry]\nprefix = "ghcr.io/x"\n[[variants]]\nname = "os"\n'

Install = Callable[..., Plugins]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"composed_{tmp_path.name}".replace("-", "_")
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
def install(tmp_path: Path, package: str) -> Install:
    """A package with a plugin for each name, which says of them what it is told to say."""

    def install(said: object, /, on_broken: Callable[[Broken], object] = lambda _: None, **modules: str) -> Plugins:
        (tmp_path / package / "__init__.py").write_text(f"RELMAN_PLUGINS = {said!r}\n")
        for name, text in modules.items():
            (tmp_path / package / f"{name}.py").write_text(text.replace("NAME", name))
        return Plugins([EntryPoint(name, f"{package}.{name}", "relman") for name in modules], on_broken)

    return install


def loaded(package: str) -> list[str]:
    return sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith(f"{package}."))


def points() -> dict[str, str]:
    """Every built-in plugin's module, by its name."""
    found = {point.name: point.value for point in importlib.metadata.entry_points(group="relman")}
    return {name: module for name, module in found.items() if module.startswith("relman_plugins.")}


# ------------------------------------------------------------------------------------ what relman says of its own


def test_what_relman_says_of_its_own_plugins_is_what_they_answer() -> None:
    found, modules = Plugins(), points()
    hooks: dict[str, set[str]] = {module: set() for module in modules.values()}
    tables: dict[str, set[str]] = {module: set() for module in modules.values()}
    for hook in WALK:
        for name in found.answering(hook.__name__):
            hooks[modules[name]].add(hook.__name__)
    for answer in found.ask(hookspecs.relman_settings):
        tables[modules[answer.plugin]] |= {slot.table for slot in answer.values}

    assert found.broken == ()
    assert {module: (set(said), set(of)) for module, (said, of) in relman_plugins.RELMAN_PLUGINS.items()} == {
        module: (hooks[module], tables[module]) for module in modules.values()
    }


def test_no_plugin_of_relmans_own_has_an_answer_where_none_of_its_channels_and_gates_is_there() -> None:
    """What says that it is for channels or gates alone is not asked without them: nothing must be lost by that."""
    found, modules = Plugins(), points()
    gates = context(candidate("a"), rules=())
    actions = ActionsContext(gates.release, gates.stream, NEVER, NEVER, lambda model: ())
    asked = 0
    for hook, about in ((hookspecs.relman_gates, gates), (hookspecs.relman_actions, actions)):
        for name in set(found.answering(hook.__name__)) - set(found.answering(hook.__name__, ())):
            assert found.ask_one(name, hook, context=about).values == (), modules[name]
            asked += 1
    assert asked > 25


def test_an_executor_whose_plugin_was_not_asked_is_found_by_its_kind() -> None:
    """A plan may be older than the configuration."""
    executors = Executors(lambda tables: Plugins().ask(hookspecs.relman_executors, tables), ["announce.webhook"])

    assert {"webhook", "tag", "copy", "evidence"} <= set(executors)
    assert not {"github", "discord"} & set(executors)
    assert executors["github"].kind == "github"
    assert executors.get("no-such-kind") is None


# ------------------------------------------------------------------------------------------- when they are loaded


def test_a_plugin_is_loaded_when_a_hook_is_asked_that_its_package_says_it_answers(
    install: Install, package: str
) -> None:
    found = install({f"{package}.late": (HOOKS, ("announce.late",))}, late=CHANNEL, silent=CHANNEL)

    at_first = loaded(package)
    found.ask(hookspecs.relman_gates, context=None)
    after_another = loaded(package)
    answers = found.ask(hookspecs.relman_settings)

    assert at_first == after_another == ["silent"]
    assert [answer.plugin for answer in answers] == ["late", "silent"]


def test_a_channel_that_the_file_does_not_name_is_not_loaded(install: Install, package: str, tmp_path: Path) -> None:
    said = {f"{package}.{name}": (HOOKS, (f"announce.{name}",)) for name in ("one", "two")}
    found = install(said, one=CHANNEL, two=CHANNEL)
    (tmp_path / "relman.toml").write_text(f'{FILE}[[announce]]\ntype = "two"\n')

    config = load(tmp_path / "relman.toml", found.understood)
    executors = found.ask(hookspecs.relman_executors, config.tables)

    assert config.channels == (ChannelTable("announce", "two", "two", (), False, {"type": "two"}),)
    assert [answer.plugin for answer in executors] == ["two"]
    assert loaded(package) == ["two"]


def test_a_misspelt_type_is_compared_with_all_that_plugins_understand(
    install: Install, package: str, tmp_path: Path
) -> None:
    said = {f"{package}.{name}": (HOOKS, (f"announce.{name}",)) for name in ("carrier", "pigeon")}
    found = install(said, carrier=CHANNEL, pigeon=CHANNEL)
    (tmp_path / "relman.toml").write_text(f'{FILE}[[announce]]\ntype = "pigeom"\n')

    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "relman.toml", found.understood)

    assert "no plugin understands the type `pigeom`; did you mean `pigeon`?" in str(raised.value.problems)
    assert loaded(package) == ["carrier", "pigeon"]


def test_a_table_of_the_plugins_own_may_be_left_out_and_the_plugin_is_asked_all_the_same(
    install: Install, package: str
) -> None:
    text = CHANNEL.replace('"announce"', '"plugin"')
    found = install({f"{package}.mine": (HOOKS, ("plugin.mine",))}, mine=text)

    assert found.understood(()) == ()
    assert loaded(package) == []
    assert [answer.plugin for answer in found.ask(hookspecs.relman_executors, ())] == ["mine"]


# ------------------------------------------------------------------------------------- packages that say it wrongly


def test_a_broken_plugin_is_named_when_it_is_found_out(install: Install, package: str) -> None:
    told: list[Broken] = []
    found = install({f"{package}.late": (HOOKS, ())}, told.append, late="1 / 0")

    assert told == []
    assert found.ask(hookspecs.relman_settings) == ()
    assert [(one.name, "ZeroDivisionError" in one.reason) for one in told] == [("late", True)]
    assert found.broken == tuple(told)


@pytest.mark.parametrize("hooks", [("relman_settings",), (*HOOKS, "relman_gates")])
def test_a_package_that_is_wrong_about_hooks_is_found_out(
    install: Install, package: str, hooks: tuple[str, ...]
) -> None:
    found = install({f"{package}.late": (hooks, ("announce.late",))}, late=CHANNEL)
    (wrong,) = set(hooks) ^ set(HOOKS)

    assert found.broken == (Broken("late", f"`RELMAN_PLUGINS` of its package is wrong about `{wrong}`"),)


def test_a_package_that_is_wrong_about_tables_is_found_out(install: Install, package: str) -> None:
    found = install({f"{package}.late": (HOOKS, ("announce.other",))}, late=CHANNEL)

    with pytest.raises(PluginError, match=r"plugin `late`: its package does not say that it has `announce\.late`"):
        found.understood(["announce.other"])


@pytest.mark.parametrize("said", [3, {}, {"NAME.late": 3}, {"NAME.late": ((3,), ())}, {"NAME.late": ("x", "y", "z")}])
def test_what_is_not_said_or_is_nonsense_is_loaded_at_once(install: Install, package: str, said: Any) -> None:
    told = {key.replace("NAME", package): value for key, value in said.items()} if isinstance(said, dict) else said
    found = install(told, late=CHANNEL)

    assert loaded(package) == ["late"]
    assert found.names == ("late",)


def test_a_package_that_cannot_be_imported_breaks_its_plugins_and_no_others(tmp_path: Path, package: str) -> None:
    (tmp_path / package / "__init__.py").write_text("1 / 0")
    (tmp_path / package / "late.py").write_text(CHANNEL)

    found = Plugins([EntryPoint("late", f"{package}.late", "relman")])

    assert [(broken.name, "ZeroDivisionError" in broken.reason) for broken in found.broken] == [("late", True)]


def test_of_two_plugins_of_one_name_the_first_is_in_use_whether_it_waits_or_not(install: Install, package: str) -> None:
    install({f"{package}.late": (HOOKS, ("announce.late",))}, late=CHANNEL, soon=CHANNEL)
    for modules in (("late", "soon"), ("soon", "late")):
        found = Plugins([EntryPoint("same", f"{package}.{module}", "relman") for module in modules])

        assert found.broken == (Broken("same", "there are two plugins `same`: the first is in use"),)
        assert [slot.type for slot in found.understood(["x"])] == [modules[0]]


def test_a_plugin_registered_by_hand_does_not_take_the_name_of_one_that_waits(install: Install, package: str) -> None:
    found = install({f"{package}.late": (HOOKS, ("announce.late",))}, late=CHANNEL)
    found.register(object(), "late")

    assert found.broken == (Broken("late", "there are two plugins `late`: the first is in use"),)
    assert found.names == ("late",)
