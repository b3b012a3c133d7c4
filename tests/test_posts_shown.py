"""Posts before they are posted: what they measure, link to, and where they would go; and those that would not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from click import unstyle
from msgspec.structs import replace

from relman import afterwards
from relman.cli.posts import in_plan, size, whole
from relman.config import ChannelTable
from relman.documents.plan import plan_bytes, plan_from_bytes
from relman.errors import ConfigError, UsageError
from relman.model.plan import Action, Stage, action_key
from relman.model.record import Receipt, ReceiptState, RecordState
from relman.render import NotesRenderer, Templates
from relman.render.measures import mastodon
from relman.render.measuring import Measuring, measured
from relman.render.sample import sample
from relman.testing import MemoryRegistry
from tests.integration.driver import Project, Workshop
from tests.servers import Reply, Scripted
from tests.walking import World

PAGE = "https://os.example/releases/1"


def planned(**more: object) -> Action:
    payload = {"title": "A title", "text": f"Hello\n{PAGE}, and <b>", **more}
    key = action_key("0123456789abcdef", "board:news")
    return Action("board", Stage.ANNOUNCE, key, "board:news", (), "news", False, payload)


def test_a_text_with_a_limit_is_noted_beside_what_it_measures() -> None:
    measuring = Measuring(NotesRenderer(Templates(), sample("Composed OS", "stable", ("os",))))
    text = measuring.post("post.md.j2", format="text", limit=500, measure="mastodon", url=PAGE)

    noted = measuring.noting(planned(text=text))

    assert noted.payload["measured"] == {"size": mastodon(text), "limit": 500, "by": "mastodon"}
    assert measured(noted) == f"{mastodon(text)} of 500 characters as Mastodon counts"
    assert measuring.noting(planned()) == planned()
    assert measuring.noting(replace(noted, channel=None, payload={"text": text})).payload == {"text": text}


def test_the_same_text_without_a_limit_has_none() -> None:
    measuring = Measuring(NotesRenderer(Templates(), sample("Composed OS", "stable", ("os",))))
    limited, whole = measuring.notes(limit=100_000), measuring.notes()
    assert limited == whole

    assert "measured" in measuring.noting(planned(text=limited)).payload
    assert "measured" not in measuring.noting(planned(text=whole)).payload
    assert "measured" not in measuring.noting(planned(text=f"{whole}")).payload


@pytest.mark.parametrize("broken", ["x", {"size": "1", "limit": 2}, {}, None])
def test_a_measure_that_was_edited_by_hand_is_no_measure(broken: object) -> None:
    assert measured(planned(measured=broken)) is None


def test_a_post_is_shown_with_what_people_want_to_know_of_it_and_no_secret() -> None:
    table = ChannelTable(
        "announce",
        "board",
        "news",
        (),
        False,
        {
            "type": "board",
            "url": "https://me:hunter2222@board.example/in?token=abc",
            "room": {"env": "ROOM"},
            "category": 5,
            "token": {"env": "TOKEN"},
        },
    )
    action = planned(
        measured={"size": 1234, "limit": 2000, "by": "characters"}, reply_to={"url": "https://b.example/7"}
    )

    assert unstyle(whole([action], table)).splitlines() == [
        "A title",
        "Hello",
        f"{PAGE}, and <b>",
        "",
        "── board:news, not required",
        "measures  1,234 of 2,000 characters",
        f"links to  {PAGE}",
        "follows   https://b.example/7",
        "goes to   board, url = https://board.example/in?token=…redacted…, room = $ROOM, category = 5",
    ]
    assert size(action) == " (1,234 of 2,000 characters)"
    assert size(planned()) == ""


CONFIG = """\
[changelog]
commits = {{ required = false }}
{page}

[[variants]]
name = "os"

[streams.testing]
tags = ["testing"]
versions = ["testing-{{date}}"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{{today}}"

[[announce]]
type = "feed"
name = "feed"
path = "{{{{ stream }}}}.xml"

[[announce]]
type = "webhook"
name = "hook"
url = "{url}"
template = "hook.md.j2"
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hook.md.j2").write_text("{{ version }}\n")
    return World(tmp_path, MemoryRegistry())


def configured(world: World, url: str = "https://hook.example/", page: str = "") -> None:
    world.configure(CONFIG.format(url=url, page=page))


def test_posts_link_to_the_page_that_the_configuration_names(world: World) -> None:
    configured(world, page='page = "https://os.example/{{ stream }}/{{ version }}?of={{ project }}"')
    world.push("os", "testing", "testing-20260705")
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))

    (feed,) = in_plan(plan, "feed")
    assert feed.payload["url"] == "https://os.example/stable/stable-20260706?of=Composed%20OS"
    assert plan_from_bytes(plan_bytes(plan)) == plan
    with pytest.raises(UsageError, match="posts nothing to `nowhere`"):
        in_plan(plan, "nowhere")


@pytest.mark.parametrize("page", ["ftp://os.example/x", "/releases/{{ version }}", "https://{{ version }}/x", "x"])
def test_a_page_that_is_no_address_is_a_fault_of_the_configuration(world: World, page: str) -> None:
    configured(world, page=f'page = "{page}"')

    with pytest.raises(ConfigError, match="has faults"), world.walk():
        pass


def test_posts_on_what_was_tested_are_told_where_that_was_announced(world: World) -> None:
    with Scripted(lambda asked: Reply(204)) as server:
        configured(world, server.url)
        world.push("os", "testing", "testing-20260705")
        with world.walk() as walk:
            first = walk.plan(walk.config.stream("testing"))
            walk.apply(first, lambda action, receipt: None)
        with world.walk() as walk:
            plan = walk.plan(walk.config.stream("stable"))
            release = walk.instruments.resolver.pinned(plan)
            records = walk.ledger.records("testing")
            earlier = _followed_up(walk, release, records)
            with afterwards.announcer(walk, records[0], first, lambda action, receipt: None) as announcer:
                _, posts = afterwards.posts(walk, records[0], (Stage.ANNOUNCE,), ("feed",), new=False)
                announcer.withdraw(posts[0])
            later = _followed_up(walk, release, walk.ledger.records("testing"))
            afterwards.yank(walk, records[0], "eats files", by="ada")
            none = _followed_up(walk, release, walk.ledger.records("testing"))

    assert {name: receipt.state for name, receipt in earlier.items()} == {
        "feed": ReceiptState.DONE,
        "hook": ReceiptState.DONE,
    }
    assert list(later) == ["hook"]
    assert dict(none) == {}
    assert records[0].state is RecordState.FINISHED


def _followed_up(walk, release, records) -> dict[str, Receipt]:  # type: ignore[no-untyped-def]
    from relman.walk.announcing import followed_up

    return dict(followed_up(release, records, walk.instruments.plan_of))


def test_checking_renders_every_post_and_names_the_channel_whose_post_fails(world: World) -> None:
    configured(world)
    with world.walk() as walk:
        assert walk.rehearse() == ()

    (world.folder / "templates" / "hook.md.j2").write_text("{{ vershun }}\n")
    with world.walk() as walk:
        (fault,) = walk.rehearse()

    assert (fault.file, fault.message) == (
        "relman.toml",
        "channel `hook`: template `hook.md.j2`, line 1: `vershun` is not defined",
    )
    assert world.memory.writes == []


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Workshop(tmp_path_factory.mktemp("shown"), "").layouts('[[announce]]\ntype = "file"\npath = "n.md"\n')


def test_the_command_shows_one_channels_post(project: Project) -> None:
    project.plan()

    shown = project.relman("show", "plan.json", "--channel", "file").stdout

    assert shown.startswith("# stable-20260624")
    assert "the channel names no limit" in shown
    assert "goes to   file, path = n.md" in shown
    assert "`file`" in project.relman("show", "plan.json", "--channel", "forum", code=2).stderr
