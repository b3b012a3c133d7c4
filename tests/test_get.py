"""How to get a release: the commands in the notes, each value one word of the shell, whatever is in it."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.errors import ConfigError
from relman.model.changelog import Section
from relman.render import Templates
from relman.render.markdown import problems
from relman.testing import MemoryRegistry
from relman.walk.comparing import pairs_of_release
from tests.test_profiles import OWN
from tests.walking import World

DAY = dt.date(2026, 7, 5)
BUILT = (
    '[streams.stable]\ntags = ["stable"]\nversions = ["stable-{date}"]\n[changelog]\ncommits = { required = false }\n'
)


def section(world: World, stream: str = "stable") -> Section | None:
    with world.walk() as walk:
        release = walk.resolve(walk.config.stream(stream))
        changelog = walk.compose(walk.inspect(pairs_of_release(release)), release)
        assert problems(walk.instruments.renderer(changelog, release.id).notes("markdown")) == ()
    return next((each for each in changelog.sections if each.id == "get"), None)


def world(folder: Path, text: str, *variants: str, bootc: str = "") -> World:
    """Images of these variants, under `stable`; ``bootc`` is what they say to `containers.bootc`."""
    made = World(folder, MemoryRegistry(), "ghcr.io/acme")
    (folder / "relman.toml").write_text(text, encoding="utf-8")
    for name in variants:
        made.push(name, "stable", f"stable-{DAY:%Y%m%d}", day=DAY, v=name, containers__bootc=bootc)
    return made


def test_images_made_for_bootc_say_how_to_follow_stay_and_go_back(tmp_path: Path) -> None:
    made = world(tmp_path, OWN + BUILT, "os", bootc="1")

    assert section(made) == Section(
        "get",
        80,
        "How to get it",
        "Follow this stream:\n\n```sh\nsudo bootc switch ghcr.io/acme/os:stable\n```\n\n"
        f"Stay on this very build:\n\n```sh\nsudo bootc switch ghcr.io/acme/os@{made.holds('os:stable')}\n```\n\n"
        "Go back to what ran before:\n\n```sh\nsudo bootc rollback\n```",
    )


def test_other_images_say_nothing_unless_they_are_told_to(tmp_path: Path) -> None:
    assert section(world(tmp_path, OWN + BUILT, "os")) is None

    told = world(
        tmp_path, OWN + BUILT + '[[plugins.get.steps]]\ntitle = "Pull"\nrun = "podman pull {{ image }}"\n', "os"
    )
    assert section(told) == Section("get", 80, "How to get it", "Pull:\n\n```sh\npodman pull ghcr.io/acme/os\n```")


def test_an_image_in_a_folder_can_be_had_by_nobody_else(tmp_path: Path) -> None:
    from relman.registry import Registries

    (tmp_path / "relman.toml").write_text(OWN.replace("ghcr.io/acme", "oci:images") + BUILT, encoding="utf-8")
    made = World(tmp_path, Registries(tmp_path), "oci:images")
    made.push("os", "stable", f"stable-{DAY:%Y%m%d}", day=DAY, containers__bootc="1")

    assert section(made) is None


def test_a_command_that_is_alike_for_all_variants_stands_once_and_many_are_folded(tmp_path: Path) -> None:
    variants = ("os", "os-dx", "os-nvidia", "os-dx-nvidia")
    own = OWN + "".join(f'[[variants]]\nname = "{name}"\ntraits = ["x"]\n' for name in variants[1:])
    steps = (
        '[plugins.get]\ntitle = "Get"\nsteps = [\n  { title = "All <of> them", run = "get {{ image }}" },\n'
        '  { title = "X", run = "x {{ variant }} {{ version }}", traits = ["x"] },\n'
        '  { title = "None", run = "never", traits = ["y"] },\n  { title = "Once", run = "once {{ stream }}" },\n]\n'
    )
    found = section(world(tmp_path, own + BUILT + steps, *variants))

    assert found
    assert found.title == "Get"
    assert found.markdown == (
        "<details>\n<summary>All &lt;of&gt; them (4 commands)</summary>\n\n```sh\n"
        + "".join(f"get ghcr.io/acme/{name}\n" for name in variants)
        + "```\n\n</details>\n\nX:\n\n```sh\n"
        + "".join(f"x {name} stable-20260705\n" for name in variants[1:])
        + "```\n\nOnce:\n\n```sh\nonce stable\n```"
    )


def test_a_promotion_names_the_tags_that_it_will_write(tmp_path: Path) -> None:
    text = (
        'profile = { name = "bazzite", without = ["variants"] }\n[registry]\nprefix = "ghcr.io/acme"\n'
        '[[variants]]\nname = "os"\n[streams.stable]\nfrom = "testing"\nnew_version = "{major}.{today}[.{point}]"\n'
        "[changelog]\ncommits = { required = false }\n"
    )
    (tmp_path / "relman.toml").write_text(text, encoding="utf-8")
    made = World(tmp_path, MemoryRegistry(), "ghcr.io/acme")
    digest = made.push("os", "testing", "testing-44.20260705", day=DAY)

    found = section(made)

    assert found
    commands = re.findall(r"```sh\n(.*?)\n```", found.markdown, re.DOTALL)
    assert commands == [
        "bazzite-rollback-helper rebase stable",
        "bazzite-rollback-helper rebase 44.20260706",
        "sudo bootc rollback",
        "cosign verify --key https://raw.githubusercontent.com/ublue-os/bazzite/main/cosign.pub "
        f"ghcr.io/acme/os@{digest}",
        f"oras discover ghcr.io/acme/os@{digest}",
    ]


def test_a_step_that_names_what_is_not_there_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    steps = '[[plugins.get.steps]]\ntitle = "Pull"\nrun = "podman pull {{ imge }}"\n'

    with pytest.raises(ConfigError, match="`imge` is not defined") as caught:
        section(world(tmp_path, OWN + BUILT + steps, "os"))
    assert caught.value.hint == "did you mean `image` or `digest`?"


# --------------------------------------------------------------------------------------------- hostile values


@given(st.text(min_size=1).filter(str.isprintable))
def test_whatever_a_value_is_it_stays_one_word_of_the_shell(value: str) -> None:
    command = Templates().command("switch {{ image }}:{{ tag }} --yes", image="a", tag=value)

    assert shlex.split(command) == ["switch", f"a:{value}", "--yes"]


@pytest.mark.parametrize("value", ["a\nb", "a\x1b[2Jb", "a\u202eb", "a\0b", "", None])
def test_what_a_terminal_would_obey_is_refused(value: str | None) -> None:
    with pytest.raises(ConfigError, match=r"a control character cannot stand|cannot do with an empty value"):
        Templates().command("switch {{ tag }}", tag=value)


def test_backquotes_do_not_end_the_block(tmp_path: Path) -> None:
    steps = '[[plugins.get.steps]]\ntitle = "Odd"\nrun = "echo ```` {{ image }}"\n'
    found = section(world(tmp_path, OWN + BUILT + steps, "os"))

    assert found
    assert found.markdown == "Odd:\n\n`````sh\necho ```` ghcr.io/acme/os\n`````"
