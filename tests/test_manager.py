"""Plugins: a broken one is named and the rest lives, whatever a stranger's code does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from relman import hookspecs
from relman.errors import ConfigError, PluginError
from relman.hookspecs import WALK
from relman.manager import Answer, Broken, Plugins

GOOD = """\
from relman.plugin import Slot, hookimpl, Table

@hookimpl
def relman_settings():
    yield Slot("plugin", "NAME", Table)

@hookimpl
def relman_executors():
    return None
"""

Write = Callable[..., Plugins]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Plugins as if they were installed: the text of each module by the plugin's name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(**modules: str) -> Plugins:
        points = []
        for name, text in modules.items():
            module = f"composed_{tmp_path.name}_{name}".replace("-", "_")
            (tmp_path / f"{module}.py").write_text(text)
            points.append(EntryPoint(name, module, "relman"))
        return Plugins(points)

    return install


BROKEN = {
    "import": ("import there_is_no_such_module", "No module named 'there_is_no_such_module'"),
    "syntax": ("def x(:", "SyntaxError"),
    "raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "misspelt": (
        "from relman.plugin import hookimpl\n@hookimpl\ndef relman_gate(context): ...",
        "there is no hook `relman_gate`",
    ),
    "arguments": (
        "from relman.plugin import hookimpl\n@hookimpl\ndef relman_gates(contexts): ...",
        "contexts",
    ),
    "one_good_one_misspelt": (
        GOOD + "\n@hookimpl\ndef relman_anounce(context): ...",
        "there is no hook `relman_anounce`",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_named_with_its_reason_and_the_rest_lives(fault: str, installed: Write) -> None:
    text, reason = BROKEN[fault]

    found = installed(a_good=GOOD, m_broken=text, z_good=GOOD)

    assert found.names == ("a_good", "z_good")
    (broken,) = found.broken
    assert broken.name == "m_broken"
    assert reason in broken.reason
    assert [answer.plugin for answer in found.ask(hookspecs.relman_settings)] == ["a_good", "z_good"]


def test_a_module_that_is_not_there_is_a_broken_plugin() -> None:
    found = Plugins(
        [EntryPoint("lost", "there_is_no_such_module", "relman"), EntryPoint("attr", "json:nope", "relman")]
    )

    assert (found.names, [broken.name for broken in found.broken]) == ((), ["attr", "lost"])


def test_of_two_plugins_of_one_name_the_second_is_broken_and_the_first_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for number in (1, 2):
        (tmp_path / f"composed_twin_{number}.py").write_text(GOOD.replace("NAME", f"twin-{number}"))

    found = Plugins([EntryPoint("twin", f"composed_twin_{number}", "relman") for number in (1, 2)])

    assert (found.names, found.broken) == (
        ("twin",),
        (Broken("twin", "there are two plugins `twin`: the first is in use"),),
    )
    (answer,) = found.ask(hookspecs.relman_settings)
    assert [slot.type for slot in answer.values] == ["twin-1"]


def test_plugins_are_asked_in_the_order_of_their_names_and_answers_are_whole(installed: Write) -> None:
    found = installed(
        b="from relman.plugin import hookimpl\n@hookimpl\ndef relman_settings():\n    yield 1\n    yield 2",
        c="from relman.plugin import hookimpl\n@hookimpl\ndef relman_settings():\n    return None",
        a="from relman.plugin import hookimpl\n@hookimpl\ndef relman_settings():\n    return [3]",
        d="x = 1",
    )

    assert found.answering("relman_settings") == ("a", "b", "c")
    assert found.ask(hookspecs.relman_settings) == (Answer("a", (3,)), Answer("b", (1, 2)), Answer("c", ()))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("yield 1\n    raise RuntimeError('boom')", "RuntimeError: boom"),
        ("return 3", "TypeError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("yield 1\n    raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_hook_that_fails_is_an_error_that_names_plugin_and_hook(body: str, said: str, installed: Write) -> None:
    found = installed(mine=f"from relman.plugin import hookimpl\n@hookimpl\ndef relman_settings():\n    {body}")

    with pytest.raises(PluginError, match="plugin `mine` failed in `relman_settings`") as caught:
        found.ask(hookspecs.relman_settings)

    assert said in caught.value.message
    assert "--verbose" in (caught.value.hint or "")


def test_an_error_of_relmans_own_kind_passes_as_it_is(installed: Write) -> None:
    found = installed(
        mine="from relman.plugin import ConfigError, hookimpl\n"
        "@hookimpl\ndef relman_settings():\n    raise ConfigError('no `url`')"
    )

    with pytest.raises(ConfigError) as caught:
        found.ask(hookspecs.relman_settings)

    assert (caught.value.message, caught.value.exit_code) == ("no `url`", 2)


def test_a_plugin_may_be_registered_by_hand(installed: Write) -> None:
    class Mine:
        @hookspecs.hookimpl
        def relman_executors(self) -> list[int]:
            return [1]

    found = installed()
    found.register(Mine(), "mine")

    assert found.ask(hookspecs.relman_executors) == (Answer("mine", (1,)),)
    assert found.origin("mine") == ""


def test_every_built_in_plugin_is_found_as_a_strangers_is() -> None:
    found = Plugins()

    assert found.broken == ()
    assert {"gate-complete", "gate-no-downgrade", "promote-tags"} <= set(found.names)
    assert all(found.origin(name).startswith("relman ") for name in found.names if name.startswith("gate-"))


def test_the_command_lists_every_hook_who_answers_it_and_who_is_broken(tmp_path: Path) -> None:
    info = tmp_path / "composed_plugins-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: composed-plugins\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[relman]\nmine = composed_mine\nwrong = composed_wrong\n")
    (tmp_path / "composed_mine.py").write_text(GOOD)
    (tmp_path / "composed_wrong.py").write_text(BROKEN["misspelt"][0])

    def run(*arguments: str) -> str:
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path}
        argv = [sys.executable, "-m", "relman", "plugins", *arguments]
        return subprocess.run(argv, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    found = json.loads(run("--format", "json"))
    text = run("list")

    assert found["schema"] == "relman.plugins/1"
    assert [hook["hook"] for hook in found["hooks"]] == [hook.__name__ for hook in WALK]
    assert {"name": "mine", "from": "composed-plugins 1.2"} in found["plugins"]
    assert found["broken"] == [{"name": "wrong", "reason": "there is no hook `relman_gate`"}]
    by_hook = {hook["hook"]: hook["plugins"] for hook in found["hooks"]}
    assert "mine" in by_hook["relman_settings"]
    assert by_hook["relman_gates"] == sorted(by_hook["relman_gates"])
    for expected in (*by_hook, "composed-plugins 1.2", "wrong: there is no hook `relman_gate`"):
        assert expected in text
