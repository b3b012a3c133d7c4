"""relman.toml: what one table says of another, of the environment, and of the gates of plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from relman.channel import Channel
from relman.config import Config
from relman.errors import ConfigError
from relman.http import Client
from relman.lifecycle import configure
from relman.manager import Plugins
from relman.model.streams import GateRule
from relman.plugin import Slot, Table, hookimpl
from relman.walk.settings import SettingsOf
from relman_plugins.announce.file import FileSettings
from tests.test_config import BASE, BUILT, STABLE, faults, load
from tests.walking import MONDAY

Configured = Callable[[str], tuple[Config, tuple[Slot, ...]]]

PROMOTED = STABLE + 'from = "testing"\nnew_version = "stable-{today}"\n'

# -------------------------------------------------------------------------------------------------- variants


@pytest.mark.parametrize(
    ("name", "repository", "problem"),
    [
        ("OS", None, "16: variants[2].name: `acme/OS` is not a repository's name"),
        ("b", "UPPER/../x", "17: variants[2].repository: `acme/UPPER/../x` is not a repository's name"),
        ("b", "../other/os", "17: variants[2].repository: `acme/../other/os` is not a repository's name"),
        ("b", "", "17: variants[2].repository: `acme/` is not a repository's name"),
        ("b", "/b", "17: variants[2].repository: `acme//b` is not a repository's name"),
        ("b", "os:tag", "17: variants[2].repository: `ghcr.io/acme/os:tag` is not a repository: leave out the tag"),
        ("b", "os@sha256:" + "0" * 64, "17: variants[2].repository: `ghcr.io/acme/os@sha256:0000"),
    ],
)
def test_a_variant_whose_repository_can_be_none_is_a_fault_with_its_line(
    name: str, repository: str | None, problem: str, tmp_path: Path
) -> None:
    text = f'[[variants]]\nname = "{name}"\n'
    text += f'repository = "{repository}"\n' if repository is not None else ""

    (found,) = faults(tmp_path, BASE + text)

    assert found.startswith(f"relman.toml:{problem}")


def test_a_variants_name_may_be_anything_where_its_repository_is_said(tmp_path: Path) -> None:
    config = load(tmp_path, BASE + '[[variants]]\nname = "OS_Big"\nrepository = "os/big__er.x-y"\n')

    variant = config.variants[1]
    place = config.place(variant, config.stream("testing"))
    assert (variant.name, str(place.repository)) == ("OS_Big", "ghcr.io/acme/os/big__er.x-y")


SHARED = '[[variants]]\nname = "os-nvidia"\nrepository = "os"\nsuffix = "-nvidia"\n\n'
TOLD_APART = BASE.replace('"testing"', '"testing{suffix}"').replace('"testing-', '"testing{suffix}-')


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (BASE, ["12: streams.testing.tags: `testing`", "13: streams.testing.versions: `testing-{date}`"]),
        (
            TOLD_APART.replace("]\n\n[streams", ']\n\n[streams.s]\ntags = ["s{suffix}", "s"]\n[streams').replace(
                "[streams.s]\n", '[streams.s]\nversions = ["s{suffix}-{date}", "s-{date}.{point}"]\n'
            ),
            ["12: streams.s.versions: `s-{date}.{point}`", "13: streams.s.tags: `s`"],
        ),
        (
            TOLD_APART + '[streams.s]\ntags = ["s{suffix}"]\nfrom = "testing"\nnew_version = "s-{today}"\n',
            ["18: streams.s.new_version: `s-{today}`"],
        ),
        (
            TOLD_APART
            + '[streams.s]\ntags = ["s{suffix}"]\nfrom = "testing"\n'
            + 'new_version = ["s{suffix}-{today}", "{major}.{today}"]\n',
            ["18: streams.s.new_version: `{major}.{today}`"],
        ),
    ],
    ids=["a stream", "further tags", "a new version", "several new versions"],
)
def test_variants_that_share_a_repository_are_told_apart_in_every_tag(
    text: str, problems: list[str], tmp_path: Path
) -> None:
    said = " is one tag for all variants of the repository `os`: put {suffix} in it"

    assert list(faults(tmp_path, text + SHARED)) == [f"relman.toml:{problem}{said}" for problem in problems]


def test_variants_of_one_repository_with_their_suffix_everywhere_and_variants_apart_are_no_fault(
    tmp_path: Path,
) -> None:
    assert [variant.suffix for variant in load(tmp_path, TOLD_APART + SHARED).variants] == ["", "-nvidia"]
    apart = BASE + SHARED.replace('repository = "os"\n', "")
    assert [variant.repository for variant in load(tmp_path, apart).variants] == ["os", "os-nvidia"]


# --------------------------------------------------------------------------------------------------- streams


def test_two_streams_with_one_first_tag_are_a_fault_of_the_second(tmp_path: Path) -> None:
    text = PROMOTED.replace('tags = ["stable"]', 'tags = ["testing", "stable"]')

    assert faults(tmp_path, BASE + text) == (
        "relman.toml:16: streams.stable.tags: `testing` is the first tag of the stream `testing`, too",
    )


@pytest.mark.parametrize(
    "text",
    [
        PROMOTED.replace('["stable"]', '["stable", "testing"]'),
        PROMOTED.replace('["stable"]', '["testing"]') + 'prefix = "ghcr.io/acme/prod"\n',
    ],
    ids=["a further tag", "another place"],
)
def test_a_further_tag_or_another_place_may_have_that_name(text: str, tmp_path: Path) -> None:
    assert set(load(tmp_path, BASE + text).streams) == {"testing", "stable"}


# ----------------------------------------------------------------------------------------------- environment


def test_values_of_the_core_may_be_named_by_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PREFIX": "ghcr.io/composed", "LEAST": "7", "STRICT": "false", "IGNORED": "*-b"}.items():
        monkeypatch.setenv(f"COMPOSED_{name}", value)

    config = load(
        tmp_path,
        BASE.replace('"ghcr.io/acme"', '{ env = "COMPOSED_PREFIX" }')
        + '[packages]\nminimum = { env = "COMPOSED_LEAST" }\nignore = ["*-a", { env = "COMPOSED_IGNORED" }]\n'
        + '[changelog]\ncommits = { required = { env = "COMPOSED_STRICT" } }\n',
    )

    assert (config.prefix, config.packages.minimum, config.packages.ignore, config.notes.required) == (
        "ghcr.io/composed",
        7,
        ("*-a", "*-b"),
        False,
    )


def test_what_a_variable_gives_is_checked_and_pinned_as_if_it_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = BASE.replace('"ghcr.io/acme"', '{ env = "COMPOSED_PREFIX" }')
    monkeypatch.setenv("COMPOSED_PREFIX", "ghcr.io/acme")
    assert load(tmp_path, text).pinned == load(tmp_path, BASE).pinned

    monkeypatch.setenv("COMPOSED_PREFIX", "nowhere")
    assert faults(tmp_path, text)[0].startswith("relman.toml:5: registry.prefix: `nowhere/x` does not begin with")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (BASE.replace('"ghcr.io/acme"', "UNSET"), "5: registry.prefix"),
        (BASE.replace('"testing"', "UNSET"), "12: streams.testing.tags[1]"),
        (BASE + "[packages]\nminimum = UNSET\n", "16: packages.minimum"),
        (BASE + '[changelog]\ncommits = { exclude = ["^a", UNSET] }\n', "16: changelog.commits.exclude[2]"),
    ],
)
def test_a_variable_of_the_core_that_is_not_set_is_a_fault_with_its_line(
    text: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPOSED_UNSET", raising=False)

    found = faults(tmp_path, text.replace("UNSET", '{ env = "COMPOSED_UNSET" }'))

    assert f"relman.toml:{place}: the environment variable `COMPOSED_UNSET` is not set" in found
    assert all(line.startswith(f"relman.toml:{place}: ") for line in found)


def test_what_every_channel_has_may_be_named_by_variables_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSED_NAME", "news")
    config = load(tmp_path, BASE + '[[announce]]\ntype = "file"\nname = { env = "COMPOSED_NAME" }\npath = "x"\n')

    (table,) = config.channels
    with Client() as http:
        settings = Channel(table, tmp_path, http, MONDAY).settings(FileSettings)

    assert (table.name, settings.name) == ("news", "news")


# ----------------------------------------------------------------------------------------------------- gates


class Smoke(Table):
    """A composed gate's table."""

    argv: tuple[str, ...]
    tries: int = 1


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Reads a configuration where a plugin understands gates of the type `smoke`."""

    class Composed:
        @hookimpl
        def relman_settings(self) -> list[Slot]:
            return [Slot("gate", "smoke", Smoke)]

    found = Plugins()
    found.register(Composed(), "composed")

    def read(text: str) -> tuple[Config, tuple[Slot, ...]]:
        (tmp_path / "relman.toml").write_text(text, encoding="utf-8")
        return configure(found, tmp_path / "relman.toml", tmp_path)

    return read


def test_a_gates_table_is_checked_against_the_model_of_the_plugin_that_has_its_slot(configured: Configured) -> None:
    tables = '["soak", { type = "smoke", name = "x", agrv = ["./smoke"], tries = "many" }]'

    with pytest.raises(ConfigError) as caught:
        configured(BASE + BUILT + f"gates = {tables}\n")

    assert caught.value.problems == (
        "relman.toml:18: streams.stable.gates[2]: `argv` is missing",
        "relman.toml:18: streams.stable.gates[2].tries: `many`: input should be a valid integer, "
        "unable to parse string as an integer",
        "relman.toml:18: streams.stable.gates[2].agrv: unknown key `agrv`; did you mean `argv`?",
    )


def test_faults_of_several_gates_are_named_at_once_each_where_it_stands(configured: Configured) -> None:
    tables = """gates = [
  7,
  { name = "x" },
  { type = "smoke", argv = ["a"] },
  { type = "smoke", argv = ["b"] },
  { type = "nobody", name = "smoke" },
  { type = "nobody", name = "hold" },
  { type = "nobody", name = "a/b" },
  { type = "nobody", name = 5, override = "ada" },
]
"""

    with pytest.raises(ConfigError) as caught:
        configured(BASE + BUILT + tables)

    gates = "streams.stable.gates"
    assert [one.removeprefix("relman.toml:").partition(": ")[2] for one in caught.value.problems] == [
        f"{gates}[1]: `7` is not a gate: write its name, or a table with its `type`",
        f'{gates}[2]: a gate\'s table needs a `type = "…"`',
        f"{gates}[4].name: two gates are called `smoke`: give each a `name` of its own",
        f"{gates}[5].name: two gates are called `smoke`: give each a `name` of its own",
        f"{gates}[6].name: `hold` is the name of a gate of its own: give this one another `name`",
        f"{gates}[7].name: `a/b` is no name of a gate: write a text without `/`",
        f"{gates}[8].name: `5` is no name of a gate: write a text without `/`",
        f'{gates}[8].override: `override = "ada"` says who may let a gate pass: true, false, or a list of names',
    ]


def test_the_gate_signature_has_no_keys_of_its_own(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, BASE + BUILT + 'gates = [{ type = "signature", keys = ["a.pub"] }]\n')

    assert found == "relman.toml:18: streams.stable.gates[1].keys: unknown key `keys`"


def test_a_gates_table_that_is_right_is_handed_to_its_plugin(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSED_TRIES", "3")
    table = '{ type = "smoke", name = "x", argv = ["./smoke"], tries = { env = "COMPOSED_TRIES" } }'

    config, slots = configured(BASE + BUILT + f"gates = [{table}]\n")

    assert config.stream("stable").gates == (
        GateRule("smoke", "x", {"argv": ["./smoke"], "tries": {"env": "COMPOSED_TRIES"}}),
    )
    assert SettingsOf(config, slots, config.stream("stable"))(Smoke) == (Smoke(argv=("./smoke",), tries=3),)


def test_a_gates_table_that_no_plugin_has_a_slot_for_is_left_for_the_gate_to_be_absent(configured: Configured) -> None:
    config, _ = configured(BASE + BUILT + 'gates = [{ type = "nobody", whatever = 1 }]\n')

    assert config.stream("stable").gates == (GateRule("nobody", "nobody", {"whatever": 1}),)
