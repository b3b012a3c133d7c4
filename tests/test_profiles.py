"""Profiles: what known projects have, what a project says over it, and where a fault in the two together stands."""

from __future__ import annotations

import datetime as dt
import itertools
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.config import Config, profiles
from relman.config.merging import Layer, Merged
from relman.errors import ConfigError
from relman.lifecycle import configure
from relman.model.oci import parse_repository
from relman.model.streams import TagPattern, Variant, Version
from relman.walk.explaining import readings_of
from tests.documents import ROOT
from tests.walking import plugins

NAMES = profiles.names()
OWN = """
[project]
name = "Composed"

[registry]
prefix = "ghcr.io/acme"

[[variants]]
name = "os"
"""
"""What the profile `plain` leaves to the project."""


def load(folder: Path, text: str) -> Config:
    (folder / "relman.toml").write_text(text, encoding="utf-8")
    return configure(plugins(), folder / "relman.toml", folder)[0]


def profile(name: str, folder: Path) -> Config:
    return load(folder, f'profile = "{name}"\n' + (OWN if name == "plain" else ""))


def faults(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value.problems


# ----------------------------------------------------------------------------------------------- what there is


def test_there_is_a_profile_for_each_project_of_the_field() -> None:
    assert NAMES == ("aurora", "bazzite", "bluefin", "bluefin-lts", "plain", "ucore")


@pytest.mark.parametrize("name", NAMES)
def test_one_line_is_a_configuration(name: str, tmp_path: Path) -> None:
    config = profile(name, tmp_path)

    assert config.variants
    assert config.majors
    assert all(stream.source is None for stream in config.streams.values())
    traits = {trait for variant in config.variants for trait in variant.traits}
    assert all(traits >= group.traits for group in config.groups)


def test_names_and_repositories_are_those_of_the_projects(tmp_path: Path) -> None:
    found = {name: profile(name, tmp_path) for name in NAMES}

    assert {name: (config.project, len(config.variants)) for name, config in found.items()} == {
        "aurora": ("Aurora", 4),
        "bazzite": ("Bazzite", 10),
        "bluefin": ("Bluefin", 4),
        "bluefin-lts": ("Bluefin LTS", 3),
        "plain": ("Composed", 1),
        "ucore": ("uCore", 9),
    }
    assert {name: list(config.streams) for name, config in found.items()} == {
        "aurora": ["stable", "stable-daily", "latest", "testing", "beta"],
        "bazzite": ["stable", "testing", "unstable"],
        "bluefin": ["stable", "stable-daily", "gts", "latest", "testing", "beta"],
        "bluefin-lts": ["lts", "lts-testing", "lts-testing-50", "lts-hwe", "lts-hwe-testing", "lts-hwe-testing-50"],
        "plain": ["latest"],
        "ucore": ["stable", "testing", "lts"],
    }


def test_profiles_are_in_the_wheel_and_in_the_sdist(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    wanted = {f"relman/config/profiles/{name}.toml" for name in NAMES}

    with zipfile.ZipFile(wheel) as zipped, tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
        assert wanted <= set(zipped.namelist())
        assert wanted <= names


# -------------------------------------------------------------------------------- no stream reads another's tags

DAYS = (dt.date(2024, 12, 27), dt.date(2026, 6, 23))
NUMBERS = (10, 44, 50)


def made(pattern: TagPattern, variant: Variant) -> Iterator[str]:
    """Tags that a pattern makes: with and without a point, of several days and majors."""
    for day, major, point in itertools.product(DAYS, NUMBERS, (None, 1, 10)):
        yield pattern.make(variant.suffix, today=day, build=Version("x", day, 0, major), point=point)


def neighbours(name: str, config: Config, folder: Path) -> dict[str, Config]:
    """The profiles that have an image repository in common with this one, itself among them."""
    here = {places(config, variant) for variant in config.variants}
    others = {other: profile(other, folder) for other in NAMES if other not in (name, "plain")}
    shared = {other: c for other, c in others.items() if here & {places(c, v) for v in c.variants}}
    return {name: config, **shared}


def places(config: Config, variant: Variant) -> object:
    return parse_repository(f"{config.prefix}/{variant.repository}")


@pytest.mark.parametrize("name", NAMES)
def test_no_stream_of_a_repository_reads_the_tags_of_another(name: str, tmp_path: Path) -> None:
    config = profile(name, tmp_path)
    beside = neighbours(name, config, tmp_path)
    seen = 0
    for variant, stream in itertools.product(config.variants, config.streams.values()):
        for pattern in (*stream.versions, *stream.tags):
            for tag in dict.fromkeys(made(pattern, variant)):
                found = {
                    (other, reading.stream, suffix_of(c, reading.variants[0]))
                    for other, c in beside.items()
                    for reading in readings_of(tag, c.streams.values(), sharing(c, config, variant))
                }
                assert found == {(name, stream.name, variant.suffix)}, tag
                seen += 1
    assert seen > 10


def sharing(other: Config, config: Config, variant: Variant) -> list[Variant]:
    return [v for v in other.variants if places(other, v) == places(config, variant)]


def suffix_of(config: Config, name: str) -> str:
    return next(variant.suffix for variant in config.variants if variant.name == name)


def test_bluefin_and_its_lts_are_told_apart_in_the_repository_that_they_share(tmp_path: Path) -> None:
    assert set(neighbours("bluefin", profile("bluefin", tmp_path), tmp_path)) == {"bluefin", "bluefin-lts"}


# ----------------------------------------------------------------------------------- what is said over a profile


def test_tables_merge_key_by_key_and_other_values_take_the_place_of_the_profiles(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        'profile = "bazzite"\n[project]\nname = "Bazzite Mine"\n[registry]\nprefix = "localhost:5000/os"\n'
        '[streams.stable]\nfrom = "testing"\nnew_version = "{major}.{today}"\nversions = ["{major}.{date}"]\n'
        '[changelog]\ncommits = { exclude = ["^chore"] }\n',
    )

    assert (config.project, config.repository_url) == ("Bazzite Mine", "https://github.com/ublue-os/bazzite")
    assert config.prefix == "localhost:5000/os"
    stable = config.streams["stable"]
    assert [pattern.text for pattern in stable.tags] == ["stable{suffix}", "latest{suffix}", "stable{suffix}-{major}"]
    assert (stable.source, [pattern.text for pattern in stable.versions]) == (
        "testing",
        ["{major}.{date}", "{major}.{today}"],
    )
    assert ([each.pattern for each in config.notes.exclude], config.notes.authors) == (["^chore"], True)


def test_entries_of_lists_merge_by_their_name_and_new_ones_come_last(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        'profile = "bluefin"\n'
        '[[variants]]\nname = "bluefin-dx"\nplatforms = ["linux/arm64"]\n'
        '[[variants]]\nname = "bluefin-mine"\ntraits = ["base"]\n'
        '[[majors]]\nlabel = "Gnome"\npackage = "gnome-session"\n'
        '[[majors]]\nlabel = "Gnome"\npackage = "mutter"\n'
        '[[groups]]\ntitle = "Base Images"\ntraits = ["base", "main"]\n',
    )

    assert [v.name for v in config.variants] == [
        *("bluefin", "bluefin-dx", "bluefin-nvidia-open", "bluefin-dx-nvidia-open", "bluefin-mine"),
    ]
    dx = config.variants[1]
    assert (sorted(dx.traits), [str(platform) for platform in dx.platforms]) == (["dx", "main"], ["linux/arm64"])
    assert [(major.title, major.package) for major in config.majors if major.title == "Gnome"] == [
        ("Gnome", "gnome-session"),
        ("Gnome", "mutter"),
    ]
    assert config.majors[1].package == "gnome-session"
    assert config.groups[0].traits == {"base", "main"}


def test_what_a_project_does_not_have_is_left_out_and_what_was_for_it_goes_too(tmp_path: Path) -> None:
    without = ["variants.bluefin-nvidia-open", "variants.bluefin-dx-nvidia-open", "streams.gts", "plugins.get.steps"]
    config = load(tmp_path, f'profile = {{ name = "bluefin", without = {without} }}\n'.replace("'", '"'))

    assert [variant.name for variant in config.variants] == ["bluefin", "bluefin-dx"]
    assert [group.title for group in config.groups] == ["Base Images", "Dev Experience Images"]
    assert "Nvidia" not in [major.title for major in config.majors]
    assert "gts" not in config.streams
    assert config.plugins["get"] == {}


def test_what_a_project_says_of_a_group_or_major_keeps_the_rest_of_it(tmp_path: Path) -> None:
    text = (
        '[profile]\nname = "bluefin"\nwithout = ["variants"]\n[[variants]]\nname = "mine"\ntraits = ["gpu"]\n'
        '[[majors]]\nlabel = "Nvidia"\ntraits = ["gpu"]\n[[groups]]\ntitle = "Nvidia Images"\ntraits = ["gpu"]\n'
    )
    config = load(tmp_path, text)

    assert [(m.title, m.package, m.traits) for m in config.majors if m.traits] == [
        ("Nvidia", "nvidia-driver", frozenset({"gpu"}))
    ]
    assert [(group.title, group.traits) for group in config.groups] == [("Nvidia Images", frozenset({"gpu"}))]


def test_a_whole_list_is_replaced_where_the_profiles_is_left_out(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        '[profile]\nname = "bluefin"\nwithout = ["variants", "majors"]\n[[variants]]\nname = "mine"\n'
        '[[majors]]\nlabel = "Kernel"\npackage = "linux"\n',
    )

    assert [variant.name for variant in config.variants] == ["mine"]
    assert [(major.title, major.package) for major in config.majors] == [("Kernel", "linux")]
    assert config.groups == ()


def test_a_plan_pins_what_is_merged_wherever_it_was_written(tmp_path: Path) -> None:
    merged = load(tmp_path, 'profile = "ucore"\n[streams.stable]\nexpect = "14d"\n')
    written = profiles.text_of("ucore").replace("[streams.stable]\n", '[streams.stable]\nexpect = "14d"\n')
    alone = load(tmp_path, written)

    assert merged.pinned == alone.pinned
    assert merged.pinned != load(tmp_path, 'profile = "ucore"\n').pinned
    assert (merged.variants, merged.groups, merged.majors) == (alone.variants, alone.groups, alone.majors)


# ------------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('profile = "bazite"', "relman.toml:1: profile: there is no profile `bazite`; did you mean `bazzite`?"),
        ('[profile]\nname = "x"', "relman.toml:2: profile.name: there is no profile `x`"),
        ("[profile]\nwithout = []", "relman.toml:1: profile: `name` is missing"),
        ('[profile]\nname = "ucore"\nwithot = []', "relman.toml:3: profile.withot: unknown key `withot`; "),
        ("profile = 7", "relman.toml:1: profile: "),
        (
            'profile = { name = "ucore", without = ["variants.ucore", "streams.sable"] }',
            "relman.toml:1: profile.without[2]: the profile `ucore` has no `streams.sable`; "
            "did you mean `streams.stable`?",
        ),
        ('profile = "plain"', "relman.toml:1: the file: `project` is missing"),
    ],
)
def test_a_profile_that_cannot_be_is_named_with_what_there_is(text: str, problem: str, tmp_path: Path) -> None:
    (found, *_) = faults(tmp_path, text)

    assert found.startswith(problem)


def test_the_hint_lists_the_profiles(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, 'profile = "bazite"')

    assert caught.value.hint == (
        "there are `aurora`, `bazzite`, `bluefin`, `bluefin-lts`, `plain`, `ucore`; "
        "leave `profile` out for a project of your own"
    )


def test_a_fault_is_where_its_part_was_written_and_entries_are_counted_there(tmp_path: Path) -> None:
    text = (
        'profile = "bazzite"\n'
        '[[variants]]\nname = "mine"\n'
        '[[variants]]\nname = "bazzite-deck"\nplatform = ["linux/amd64"]\n'
        '[[majors]]\nlabel = "Kernel"\nfrom = "label:ostree.linux"\n'
        '[streams.stable]\nfrom = "tsting"\n'
        '[changelog]\ntitel = "x"\n'
    )

    assert faults(tmp_path, text) == (
        "relman.toml:6: variants[2].platform: unknown key `platform`; did you mean `platforms`?",
        'relman.toml:7: majors[1]: give either `package = "…"` or `from = "label:…"`',
        "relman.toml:10: streams.stable: a stream with `from` needs `new_version`, such as "
        '`"stable{suffix}-{today}[.{point}]"`',
        "relman.toml:11: streams.stable.from: there is no stream `tsting`; did you mean `testing`?",
        "relman.toml:13: changelog.titel: unknown key `titel`; did you mean `title`?",
    )


def test_a_fault_in_what_is_left_of_a_profile_names_the_line_of_the_profile(tmp_path: Path) -> None:
    found = faults(tmp_path, '[profile]\nname = "bazzite"\nwithout = ["registry.prefix", "streams.testing.tags"]\n')

    lines = profiles.text_of("bazzite").splitlines()
    registry, testing = (1 + lines.index(f"[{name}]") for name in ("registry", "streams.testing"))
    assert found == (
        f"profile bazzite:{registry}: registry: `prefix` is missing",
        f"profile bazzite:{testing}: streams.testing: `tags` is missing",
    )


@pytest.mark.parametrize("junk", ["7", "[7]", "{}", "[{}]", "[[{}]]", "[{ name = 7, traits = 7 }]"])
@pytest.mark.parametrize("key", ["variants", "majors", "streams", "plugins"])
def test_whatever_stands_over_a_profile_is_taken_or_refused_with_its_line(key: str, junk: str, tmp_path: Path) -> None:
    found: tuple[str, ...] = ()
    try:
        load(tmp_path, f'profile = "bluefin"\n{key} = {junk}\n')
    except ConfigError as error:
        found = error.problems or ("nothing is said of it",)

    assert [problem for problem in found if not problem.startswith(f"relman.toml:2: {key}")] == []


# ------------------------------------------------------------------------------------------- the rule as a rule

names = st.sampled_from("abc")
leaves = st.integers() | st.booleans() | st.lists(st.integers(), max_size=2)
tables = st.recursive(
    st.dictionaries(names, leaves, max_size=3),
    lambda inner: (
        st.dictionaries(names, inner | leaves, max_size=3)
        | st.dictionaries(names, st.lists(st.fixed_dictionaries({"name": names}, optional={"x": leaves}), max_size=3))
    ),
    max_leaves=8,
)


def layer(name: str, data: dict[str, object]) -> Layer:
    return Layer(name, name, data, {})


@given(tables)
def test_nothing_over_a_profile_is_the_profile_and_anything_over_nothing_is_itself(data: dict[str, object]) -> None:
    assert Merged().merge(layer("base", data), layer("own", {})) == data
    assert Merged().merge(layer("base", {}), layer("own", data)) == data


@given(tables, tables)
def test_every_table_and_key_knows_where_it_is_from(base: dict[str, object], own: dict[str, object]) -> None:
    merged = Merged()
    data = merged.merge(layer("base", base), layer("own", own))

    for path, origin in merged.origins.items():
        assert at(data, path) is not Ellipsis
        assert at({"base": base, "own": own}[origin.file], origin.path) is not Ellipsis
    for key in own:
        assert merged.origins[(key,)].file == "own"


def at(data: object, path: tuple[str | int, ...]) -> object:
    for part in path:
        inside = dict(enumerate(data)) if isinstance(data, list) else data
        if not isinstance(inside, dict) or part not in inside:
            return ...
        data = inside[part]
    return data


@pytest.mark.parametrize("name", NAMES)
def test_where_a_project_publishes_and_what_it_promotes_is_its_own_to_say(name: str) -> None:
    data = tomllib.loads(profiles.text_of(name))

    assert not {"profile", "publish", "announce", "ledger", "signature"} & set(data)
    assert not any({"from", "gates"} & set(stream) for stream in data["streams"].values())
