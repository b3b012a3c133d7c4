"""relman.toml: every fault at once, each with its line and its key; and what it means where it is right."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from relman import config as configuration
from relman.channel import Channel
from relman.config import ChannelTable, Config
from relman.config.values import LedgerBranch
from relman.errors import ConfigError, Unequipped, UsageError
from relman.http import Client
from relman.lifecycle import configure
from relman.model.links import LinkRule
from relman.model.oci import Platform, parse_repository
from relman.model.streams import GateRule, OnFailure, SourceMoved, TagPattern, Variant
from relman.settings import Secret
from relman.walk.settings import SettingsOf
from relman_plugins.announce.file import FileSettings
from relman_plugins.announce.webhook import WebhookSettings
from tests.walking import MONDAY, plugins

BASE = """\
[project]
name = "Composed"

[registry]
prefix = "ghcr.io/acme"

[[variants]]
name = "os"
traits = ["base"]

[streams.testing]
tags = ["testing"]
versions = ["testing-{date}"]

"""
"""Fourteen lines without a fault: what is appended begins on line 15."""


def load(folder: Path, text: str) -> Config:
    (folder / "relman.toml").write_text(text, encoding="utf-8")
    return configure(plugins(), folder / "relman.toml", folder)[0]


def faults(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert caught.value.exit_code == 2
    return caught.value.problems


# ------------------------------------------------------------------------------------------------- faults

STABLE = '[streams.stable]\ntags = ["stable"]\n'
BUILT = STABLE + 'versions = ["stable-{date}"]\n'
HOOK = '[[announce]]\ntype = "webhook"\nurl = "https://example.org"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[packges]\nminimum = 7", "15: packges: unknown key `packges`; did you mean `packages`?"),
        ("[packages]\nminimun = 7", "16: packages.minimun: unknown key `minimun`; did you mean `minimum`?"),
        ("[packages]\nminimum = 0", "16: packages.minimum: `0`: input should be greater than or equal to 1"),
        ("[packages]\nquite_another = 7", "16: packages.quite_another: unknown key `quite_another`"),
        (
            "[changelog]\ncommits = { requird = true }",
            "16: changelog.commits.requird: unknown key `requird`; did you mean `required`?",
        ),
        (
            'changelog.commits.exclude = ["("]',
            "15: streams.testing.changelog: unknown key `changelog`",
        ),
        (
            '[changelog.commits]\nexclude = [\n  "^fine",\n  "(",\n]',
            "16: changelog.commits.exclude[2]: `(` is not a regular expression: "
            "missing ), unterminated subpattern at position 0",
        ),
        (
            BUILT.replace("{date}", "{dat}"),
            "17: streams.stable.versions[1]: `stable-{dat}`: `{dat}` is no placeholder; "
            "there are {date}, {major}, {point}, {suffix}, {today}",
        ),
        (
            BUILT.replace('["stable"]', '["stable", "v{date}"]'),
            "16: streams.stable.tags[2]: `v{date}` is the tag of a stream, which moves: "
            "it takes only {suffix} and {major}",
        ),
        (
            BUILT.replace('["stable"]', '["{major}"]'),
            "16: streams.stable.tags: the first tag says what the stream holds, so `{major}` cannot depend on {major}",
        ),
        (STABLE, "15: streams.stable: needs `versions`: how are its dated tags read?"),
        (
            STABLE + 'from = "testing"',
            "15: streams.stable: a stream with `from` needs `new_version`, "
            'such as `"stable{suffix}-{today}[.{point}]"`',
        ),
        (
            BUILT + 'new_version = "stable-{today}"',
            "15: streams.stable: `new_version` is for streams with `from`: this one is built in place, by your builds",
        ),
        (
            STABLE + 'from = "testin"\nnew_version = "stable-{today}"',
            "17: streams.stable.from: there is no stream `testin`; did you mean `testing`?",
        ),
        (
            STABLE + 'from = "stable"\nnew_version = "stable-{today}"',
            "17: streams.stable.from: stream `stable` cannot promote from itself",
        ),
        (STABLE + "exepct = 1", "17: streams.stable.exepct: unknown key `exepct`; did you mean `expect`?"),
        (
            BUILT + 'soak = "99999999999999w"',
            "18: streams.stable.soak: `99999999999999w` is longer than can be counted",
        ),
        (
            STABLE + 'versions = ["stable-{major}"]',
            "17: streams.stable.versions[1]: `stable-{major}` has no day: a dated tag needs {date} "
            "(or, where it is made, {today})",
        ),
        (
            STABLE + 'from = "testing"\nnew_version = ["stable-{today}", "stable"]',
            "18: streams.stable.new_version[2]: `stable` has no day: a dated tag needs {date} "
            "(or, where it is made, {today})",
        ),
        (
            BUILT + 'soak = "3 days"',
            "18: streams.stable.soak: `3 days` is not a duration: write `30s`, `20m`, `12h`, `3d` or `1w`",
        ),
        (
            BUILT + "soak = 3",
            '18: streams.stable.soak: `3` is not a duration: write it with its unit, in quotes, such as `"3d"`',
        ),
        (
            BUILT + 'gates = [{ name = "x" }]',
            '18: streams.stable.gates[1]: a gate\'s table needs a `type = "…"`',
        ),
        (
            '[[variants]]\nname = "arm"\nplatforms = ["arm64"]',
            "17: variants[2].platforms[1]: `arm64` is not a platform: write `os/architecture`, such as `linux/amd64`",
        ),
        ('[[variants]]\nname = "os"', "16: variants[2].name: there are two variants `os`"),
        (
            '[[variants]]\nname = "b"\ntrait = ["x"]',
            "17: variants[2].trait: unknown key `trait`; did you mean `traits`?",
        ),
        (
            '[[variants]]\nname = "twin"\nrepository = "os"',
            "15: variants[2]: `twin` has the repository and suffix of another variant",
        ),
        (
            '[[groups]]\ntitle = "X"\ntraits = ["bse"]',
            "17: groups[1].traits: no variant has the trait `bse`; did you mean `base`?",
        ),
        ('[[groups]]\ntitle = "X"', "15: groups[1]: `traits` is missing"),
        (
            '[[majors]]\nlabel = "K"\n\n[[majors]]\nlabel = "L"\npackage = "l"\nfrom = "label:l"',
            '18: majors[2]: give either `package = "…"` or `from = "label:…"`',
        ),
        (
            '[[links]]\nurl = "https://{{ vendor }}/x"',
            "16: links[1].url: `https://{{ vendor }}/x` is not the template of an address: it begins with https:// "
            "and a host as it is",
        ),
        (
            '[ledger]\npath = "a"\nbranch = "b"',
            "15: ledger: records lie in a folder (`path`) or in a branch, not in both",
        ),
        (
            '[ledger]\nremote = "origin"',
            "15: ledger: `remote` says where a `branch` lies, and there is none",
        ),
        ('[ledger]\nbranch = "a..b"', "16: ledger.branch: `a..b` cannot be the name of a branch"),
        (
            HOOK.replace("webhook", "webhok"),
            "16: announce[1].type: no plugin understands the type `webhok`; did you mean `webhook`?",
        ),
        (HOOK.replace("url", "ulr"), "17: announce[1].ulr: unknown key `ulr`; did you mean `url`?"),
        (HOOK + 'expect = ["ok"]', "18: announce[1].expect[1]: `ok`: input should be a valid integer"),
        (
            HOOK + '\n[[announce]]\ntype = "file"\nname = "webhook"\npath = "x"',
            "21: announce[2].name: two channels are called `webhook`: give each a `name` of its own",
        ),
        (
            HOOK + 'streams = ["tested"]',
            "18: announce[1].streams: there is no stream `tested`; did you mean `testing`?",
        ),
        (HOOK + 'timeout = "soon"', "18: announce[1].timeout: `soon` is not a duration"),
        ("[plugins.sbomb]\nx = 1", "15: plugins.sbomb: no plugin has the name `sbomb`"),
    ],
)
def test_a_fault_is_named_with_its_line_and_its_key(text: str, problem: str, tmp_path: Path) -> None:
    found = faults(tmp_path, BASE + text + "\n")

    assert any(line.startswith(f"relman.toml:{problem}") for line in found), found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[variants]]\nname = "b"\ntraits = 3', "17: variants[2].traits: `3`: input should be a list"),
        (
            '[[groups]]\ntitle = "x"\ntraits = [["base"]]',
            "17: groups[1].traits[1]: `['base']`: input should be a valid string",
        ),
        (
            '[[majors]]\nlabel = "x"\npackage = "x"\ntraits = "base"',
            "18: majors[1].traits: `base`: input should be a list",
        ),
        ("[streams]\nbuilt = 3", "16: streams.built: `3`: input should be a table"),
        (
            '[streams.built]\ntags = []\nversions = ["a-{date}"]',
            "16: streams.built.tags: `[]`: there should be an entry in it",
        ),
        (BUILT + 'from = ["a"]', "18: streams.stable.from: `['a']`: input should be a valid string"),
        (HOOK + "streams = 3", "18: announce[1].streams: `3`: input should be a list"),
        (HOOK + 'streams = "testing"', "18: announce[1].streams: `testing`: input should be a list"),
        (HOOK + 'streams = [["a"]]', "18: announce[1].streams[1]: `['a']`: input should be a valid string"),
        (HOOK + 'name = ["a"]', "18: announce[1].name: `['a']`: input should be a valid string"),
    ],
)
def test_a_value_of_another_type_is_one_fault_and_no_crash(text: str, problem: str, tmp_path: Path) -> None:
    assert faults(tmp_path, BASE + text + "\n") == (f"relman.toml:{problem}",)


def test_every_fault_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        BASE.replace('name = "Composed"', 'title = "Composed"').replace("ghcr.io/acme", "acme")
        + BUILT.replace("{date}", "{day}")
        + HOOK.replace('"https', '"gopher')
        + 'secret = "composed-secret"\n\n[[announce]]\ntype = "pigeon"\n\n[packages]\nminimum = "lots"\n'
    )

    found = faults(tmp_path, text)

    assert [line.split(": ")[:2] for line in found] == [
        ["relman.toml:1", "project"],
        ["relman.toml:2", "project.title"],
        ["relman.toml:5", "registry.prefix"],
        ["relman.toml:17", "streams.stable.versions[1]"],
        ["relman.toml:20", "announce[1].url"],
        ["relman.toml:21", "announce[1].secret"],
        ["relman.toml:24", "announce[2].type"],
        ["relman.toml:27", "packages.minimum"],
    ]
    assert not any("composed-secret" in line for line in found)


def test_what_is_no_toml_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 1"):
        load(tmp_path, "[project\n")


@pytest.mark.parametrize("content", [b"\xff\xfe[project]", None])
def test_a_file_that_cannot_be_read_is_a_fault_of_the_configuration(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "relman.toml"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"relman\.toml"):
        configuration.load(file)


# ------------------------------------------------------------------------------- secrets and the environment


@pytest.mark.parametrize("value", ['"composed-secret"', "12345", '["a"]', '{ env = "A", or = "b" }', "true"])
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(value: str, tmp_path: Path) -> None:
    (found,) = faults(tmp_path, BASE + HOOK + f"secret = {value}\n")

    assert found == (
        "relman.toml:18: announce[1].secret: a secret is named here, never written: "
        '`secret = { env = "ANNOUNCE_SECRET" }`'
    )


def test_a_secret_needs_the_name_of_a_variable(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, BASE + HOOK + 'secret = { env = "not a name" }\n')

    assert found.startswith("relman.toml:18: announce[1].secret.env: `not a name`")


def test_a_value_may_be_named_by_a_variable_that_is_read_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = BASE + '[[announce]]\ntype = "webhook"\nurl = { env = "COMPOSED_URL" }\nsecret = { env = "COMPOSED_KEY" }\n'
    monkeypatch.setenv("COMPOSED_URL", "https://example.org/in")
    config, slots = configure(plugins(), _file(tmp_path, text), tmp_path)

    (table,) = config.channels
    (settings_,) = SettingsOf(config, slots)(WebhookSettings)

    assert table.table["url"] == {"env": "COMPOSED_URL"}
    assert settings_.url == "https://example.org/in"
    assert settings_.secret == Secret(env="COMPOSED_KEY")


def test_a_variable_that_is_not_set_is_no_fault_of_the_file_and_is_missed_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPOSED_URL", raising=False)
    config = load(tmp_path, BASE + '[[announce]]\ntype = "webhook"\nurl = { env = "COMPOSED_URL" }\n')

    with Client() as http, pytest.raises(Unequipped, match=r"channel `webhook` needs .* `COMPOSED_URL`") as caught:
        Channel(config.channels[0], tmp_path, http, MONDAY).settings(WebhookSettings)

    assert caught.value.exit_code == 7


def test_a_variable_with_a_wrong_value_is_a_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSED_URL", "nowhere")

    (found,) = faults(tmp_path, BASE + '[[announce]]\ntype = "webhook"\nurl = { env = "COMPOSED_URL" }\n')

    assert found.startswith("relman.toml:17: announce[1].url: `nowhere`")


# ----------------------------------------------------------------------------------------------- what it means


def test_a_configuration_says_everything_that_the_walk_needs(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """\
[project]
name = "Composed"
repository = "https://example.org/composed/"
checkout = "source"
platforms = ["linux/amd64"]

[registry]
prefix = "ghcr.io/acme/"
insecure = ["registry.example:5000"]

[[variants]]
name = "os-nvidia"
repository = "os"
suffix = "-nvidia"
traits = ["nvidia"]
platforms = ["linux/arm64/v8"]

[streams.testing]
tags = ["testing{suffix}"]
versions = ["testing{suffix}-{date}"]

[streams.stable]
tags = ["stable{suffix}", "{major}{suffix}"]
from = "testing"
new_version = ["{major}.{today}[.{point}]", "stable{suffix}-{today}[.{point}]"]
on_source_moved = "refuse"
on_failure = "restore"
soak = "1d12h"
expect = "1w"
gates = ["soak", { type = "command", name = "smoke", argv = ["./smoke"] }]
prefix = "oci:images"

[packages]
sources = ["sbom"]
minimum = 7
ignore = ["*-debuginfo"]
rename = [{ match = "^kmod-(.*)$", to = "\\\\1" }]
ecosystems = ["npm"]

[ledger]
path = "records"
""",
    )

    (variant,) = config.variants
    stable = config.stream("stable")
    assert variant == Variant("os-nvidia", "os", "-nvidia", frozenset({"nvidia"}), (Platform("linux", "arm64", "v8"),))
    assert config.platforms_of(variant) == (Platform("linux", "arm64", "v8"),)
    assert config.place(variant, config.stream("testing")).repository == parse_repository("ghcr.io/acme/os")
    assert config.place(variant, stable).repository == parse_repository("oci:images/os")
    assert (stable.source, stable.on_source_moved, stable.on_failure) == (
        "testing",
        SourceMoved.REFUSE,
        OnFailure.RESTORE,
    )
    assert (stable.soak, stable.expect) == (timedelta(days=1, hours=12), timedelta(weeks=1))
    made = (TagPattern("{major}.{today}[.{point}]"), TagPattern("stable{suffix}-{today}[.{point}]"))
    assert (stable.new_versions, stable.versions) == (made, made)
    assert stable.gates == (GateRule("soak", "soak"), GateRule("command", "smoke", {"argv": ["./smoke"]}))
    assert config.repository_url == "https://example.org/composed"
    assert config.insecure == {"registry.example:5000"}
    assert (config.checkout, config.ledger) == (tmp_path / "source", tmp_path / "records")
    assert config.packages.rename == ((re.compile("^kmod-(.*)$"), "\\1"),)
    assert config.packages.ecosystems == {"npm"}
    assert not config.signed


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("20m", timedelta(minutes=20)),
        ("12h", timedelta(hours=12)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(days=7)),
        ("1w2d3h4m5s", timedelta(days=9, hours=3, minutes=4, seconds=5)),
    ],
)
def test_a_length_of_time_is_written_with_its_unit(text: str, length: timedelta, tmp_path: Path) -> None:
    assert load(tmp_path, BASE + BUILT + f'soak = "{text}"\n').stream("stable").soak == length


@pytest.mark.parametrize("text", ["", "3", "d", "3 d", "-3d", "1.5h", "3D", "3d ", "3d,4h"])
def test_what_is_no_length_of_time_is_refused(text: str, tmp_path: Path) -> None:
    assert faults(tmp_path, BASE + BUILT + f'soak = "{text}"\n')


def test_a_channel_without_a_name_has_that_of_its_type_and_gets_every_stream(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        BASE
        + '[[announce]]\ntype = "file"\npath = "a"\n\n'
        + '[[announce]]\ntype = "file"\nname = "b"\npath = "b"\nstreams = ["testing"]\nrequired = true\n',
    )

    assert config.channels == (
        ChannelTable("announce", "file", "file", (), False, {"type": "file", "path": "a"}),
        ChannelTable(
            "announce",
            "file",
            "b",
            ("testing",),
            True,
            {"type": "file", "name": "b", "path": "b", "streams": ["testing"], "required": True},
        ),
    )
    assert [table.applies("stable") for table in config.channels] == [True, False]


def test_a_plugin_is_handed_its_own_tables_of_its_stream_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        BASE
        + BUILT
        + "".join(
            f'\n[[announce]]\ntype = "{type_}"\nname = "{name}"\n{key} = "https://a.example"\nstreams = {streams}\n'
            for type_, key, name, streams in (
                ("file", "path", "first", ["stable"]),
                ("webhook", "url", "second", []),
                ("file", "path", "third", ["testing"]),
                ("file", "path", "fourth", []),
            )
        )
    )
    config, slots = configure(plugins(), _file(tmp_path, text), tmp_path)

    names = {
        name: [table.name for table in SettingsOf(config, slots, stream)(FileSettings)]
        for name, stream in {"stable": config.stream("stable"), "none": None}.items()
    }

    assert names == {"stable": ["first", "fourth"], "none": ["first", "third", "fourth"]}


def test_a_plan_pins_project_registry_variants_and_streams_and_nothing_else(tmp_path: Path) -> None:
    pinned = load(tmp_path, BASE).pinned

    assert load(tmp_path, "# moved\n" + BASE + HOOK + "[packages]\nminimum = 7\n").pinned == pinned
    for changed in (
        BASE.replace("Composed", "Other"),
        BASE.replace("acme", "other"),
        BASE.replace('"os"', '"os2"'),
        BASE.replace("testing-{date}", "testing.{date}"),
    ):
        assert load(tmp_path, changed).pinned != pinned


def test_a_stream_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`stable`") as caught:
        load(tmp_path, BASE).stream("stable")

    assert caught.value.hint == "relman.toml has `testing`"


def test_without_a_file_there_is_enough_to_compare_images(tmp_path: Path) -> None:
    config = configuration.without_file(tmp_path)

    assert (config.file, config.variants, config.streams, config.packages.minimum) == (None, (), {}, 100)
    with pytest.raises(ConfigError):
        config.stream("stable")


def test_records_lie_in_a_branch_where_one_is_named(tmp_path: Path) -> None:
    folder = load(tmp_path, BASE)
    branch = load(tmp_path, BASE + '[ledger]\nbranch = "relman/records"\nremote = "upstream"\n')

    assert (folder.ledger_branch, branch.ledger_branch) == (None, LedgerBranch("relman/records", "upstream"))


@pytest.mark.parametrize(
    "name",
    ["-x", "/x", "x/", "x.", "x.lock", "x.lock/y", "a//b", "a/.b", ".a", "a b", "a~1", "a^", "a:b", "a*", "a@{1}"],
)
def test_a_name_that_no_branch_can_have_is_refused(tmp_path: Path, name: str) -> None:
    known = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)

    assert known.returncode != 0
    with pytest.raises(ConfigError):
        load(tmp_path, BASE + f"[ledger]\nbranch = '{name}'\n")


def test_folders_of_handwritten_notes_are_below_the_root_of_the_repository(tmp_path: Path) -> None:
    config = load(tmp_path, BASE + '[changelog]\nhighlights = "changes/"\nknown_issues = "docs/known"\n')

    assert (config.notes.highlights, config.notes.known_issues) == ("changes", "docs/known")


@pytest.mark.parametrize("folder", ["/etc", "../up", "a//b", "./a", "HEAD:a", ""])
def test_a_folder_that_is_none_of_the_repository_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, BASE + f'[changelog]\nhighlights = "{folder}"\n')

    assert "changelog.highlights" in "\n".join(caught.value.problems)


# ---------------------------------------------------------------------------------------------- where it lies


def test_the_file_is_found_in_a_folder_above(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "relman.toml").write_text(BASE)

    assert configuration.find(tmp_path / "a" / "b", {}) == tmp_path / "relman.toml"
    assert configuration.find(tmp_path, {}) == tmp_path / "relman.toml"


def test_the_nearest_file_wins_and_a_folder_of_that_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "a" / "relman.toml").mkdir(parents=True)
    (tmp_path / "relman.toml").write_text(BASE)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "relman.toml").write_text(BASE)

    assert configuration.find(tmp_path / "a", {}) == tmp_path / "relman.toml"
    assert configuration.find(tmp_path / "b", {}) == tmp_path / "b" / "relman.toml"


def test_relman_config_decides_over_the_folder(tmp_path: Path) -> None:
    (tmp_path / "relman.toml").write_text(BASE)

    assert configuration.find(tmp_path, {"RELMAN_CONFIG": "/elsewhere/r.toml"}) == Path("/elsewhere/r.toml")


def test_relative_paths_begin_at_the_file_wherever_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "templates").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    _file(tmp_path / "project", BASE)
    monkeypatch.chdir(tmp_path / "elsewhere")

    config = configuration.load(Path("../project/relman.toml"))

    project = tmp_path / "project"
    assert (config.folder, config.checkout, config.ledger, config.notes.templates) == (
        project,
        project,
        project / "releases",
        project / "templates",
    )


def _file(folder: Path, text: str) -> Path:
    file = folder / "relman.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_rules_on_links_are_read_in_their_order(tmp_path: Path) -> None:
    first = (
        '[[links]]\nvendor = "Acme"\nurl = "https://git.example.org/{{ source }}"\nbuild = "http://b.example.org/"\n'
    )

    config = load(tmp_path, BASE + first + '[[links]]\npackage = "secret-*"\n')

    assert config.links == (
        LinkRule("https://git.example.org/{{ source }}", "http://b.example.org/", vendor="Acme"),
        LinkRule(package="secret-*"),
    )
