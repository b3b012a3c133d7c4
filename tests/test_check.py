"""`relman check`: every fault in what people wrote, with its file, before a release needs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from relman.cli import github
from relman.cli.check import check
from relman.cli.options import settings
from relman.model.check import Checked, Fault
from relman.walk import checking
from tests.test_commits import Checkout
from tests.test_handwritten import OPEN, put
from tests.walking import World

CONFIG = """\
[changelog]
highlights = "changes/"
known_issues = "known/"

[[variants]]
name = "os"
traits = ["base"]

[streams.stable]
tags = ["stable"]
versions = ["stable-{date}"]
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    checkout = Checkout(tmp_path / "project")
    checkout.commit("root")
    made = World(checkout.folder, None)  # type: ignore[arg-type]  # a check asks no registry
    made.configure(CONFIG)
    return made


def checked(world: World) -> Checked:
    with world.walk() as walk:
        return checking.check(walk.config, walk.instruments.templates)


def write(world: World, name: str, text: str) -> None:
    path = world.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_a_project_without_faults_has_none(world: World) -> None:
    write(world, "changes/a.md", "Good news.")
    write(world, "known/b.md", OPEN.format("B"))
    write(world, "templates/post.md.j2", "{{ title | md }}, {{ packages_changed }}")
    assert checked(world) == Checked(("1 template", "1 highlight", "1 known issue"), ())


def test_every_fault_in_handwritten_files_is_named_with_its_line(world: World) -> None:
    write(world, "changes/a.md", '+++\nvariants = ["sso"]\n+++\n\nText with <b>HTML</b>.\n')
    write(world, "changes/b.md", "")
    write(world, "known/c.md", '+++\ntitle = "C"\naffects = ["base", "dx"]\n+++\n')
    write(world, "known/d.md", "no head")
    assert checked(world).faults == (
        Fault("changes/a.md", 5, "raw HTML `<b>`: write Markdown instead"),
        Fault("changes/a.md", 5, "raw HTML `</b>`: write Markdown instead"),
        Fault("changes/a.md", None, "there is no variant `sso`; there are `os`"),
        Fault("changes/b.md", None, "`changes/b.md` says nothing below its head", "write what readers should know"),
        Fault("known/c.md", None, "there is no variant or trait `dx`; there are `base`, `os`"),
        Fault(
            "known/d.md",
            None,
            "the head of `known/d.md`: `title` is missing",
            "its keys are `title`, `affects`, `since`, `issue`, `fixed-in`, `withdrawn`",
        ),
    )


def test_a_text_that_begins_like_a_head_and_has_none_is_a_text(world: World) -> None:
    write(world, "changes/a.md", "+++Great <b>news</b> for everybody")
    assert [(fault.file, fault.line) for fault in checked(world).faults] == [("changes/a.md", 1)] * 2


def test_an_issue_that_was_deleted_without_a_word_is_a_fault(world: World) -> None:
    checkout = Checkout.__new__(Checkout)
    checkout.folder, checkout._clock = world.folder, 1_760_000_000
    put(checkout, known__x=OPEN.format("X"))
    put(checkout, known__x=None)
    (fault,) = checked(world).faults
    assert (fault.file, fault.message) == (
        "known/x.md",
        "known issue `X` was deleted without being declared fixed: the notes still carry it",
    )


def test_templates_are_tried_before_a_release_is_made_with_them(world: World) -> None:
    write(world, "templates/notes.md.j2", "# {{ title }}\n{{ pkgrel.devpod }}\n")
    write(world, "templates/mine.md.j2", "fine")
    faults = checked(world).faults
    assert [(fault.file, fault.line) for fault in faults] == [("notes.md.j2", 2)]
    assert "`pkgrel`" in faults[0].message
    write(world, "templates/mine.md.j2", "{% if %}")
    assert [(fault.file, fault.line) for fault in checked(world).faults] == [("mine.md.j2", 1)]


def test_a_title_that_names_what_is_not_there_is_a_fault(world: World) -> None:
    world.configure(CONFIG.replace("[changelog]\n", '[changelog]\ntitle = "{{ verson }}"\n'))
    (fault,) = checked(world).faults
    assert fault.file == "relman.toml"
    assert "`verson`" in fault.message


def test_the_command_ends_with_9_and_names_faults_of_the_configuration_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    monkeypatch.setattr(settings(), "config", None)
    good = CliRunner().invoke(check, standalone_mode=False)
    world.configure(CONFIG.replace("highlights =", "highligths ="))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    bad = CliRunner().invoke(check, standalone_mode=False)
    assert (good.return_value, good.stdout) == (
        0,
        "checked: relman.toml, 0 highlights, 0 known issues; nothing is wrong\n",
    )
    assert bad.return_value == 9
    said = "relman.toml:8: changelog.highligths: unknown key `highligths`; did you mean `highlights`?\n"
    assert said.partition(": ")[2] in bad.stdout
    assert bad.stderr.startswith("::error file=relman.toml,line=8::changelog.highligths")


def test_annotations_hold_no_command_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    github.annotate([("a,b:c.md", 3, "bad\n::set-output name=x::y 100%")], {"GITHUB_ACTIONS": "true"})
    github.annotate([("a.md", None, "silent elsewhere")], {})
    assert capsys.readouterr().err == "::error file=a%2Cb%3Ac.md,line=3::bad%0A::set-output name=x::y 100%25\n"
