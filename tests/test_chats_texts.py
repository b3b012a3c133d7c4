"""Texts for chats and forums: as long as the service takes, counted as it counts, read as it reads, pinging nobody."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from relman import config as configuration
from relman.errors import ConfigError
from relman.hookspecs import ActionsContext
from relman.model.changelog import Section
from relman.model.plan import Action
from relman.model.record import Receipt
from relman.render import NotesRenderer, Templates
from relman.render.measures import telegram, utf16_units
from relman.render.sample import sample
from relman.testing import trials
from relman.walk.settings import SettingsOf
from tests.chat_cases import CASES, Case
from tests.chats import Telegram
from tests.standins.telegram import readable
from tests.test_chats_contract import PLUGINS, written

PAGE = "https://example.org/releases/sample-20260705"
EARLIER = "https://example.org/earlier"
LIMITS = {"discourse": 32_000, "discord": 2000, "slack": 4000, "slack-webhook": 4000, "telegram": 4096}
TABLES: Mapping[str, Mapping[str, object]] = {
    "discourse": {"url": "https://forum.example", "category": 5, "key": {"env": "KEY"}},
    "discord": {"webhook": {"env": "KEY"}},
    "slack": {"token": {"env": "KEY"}, "channel": "C0123456789"},
    "slack-webhook": {"webhook": {"env": "KEY"}},
    "telegram": {"token": {"env": "KEY"}, "chat": Telegram.chat},
}


def planned(
    name: str,
    of: str,
    *,
    section: str = "",
    earlier: str | None = None,
    template: str | None = None,
    **table: object,
) -> Action:
    """What a channel would post on a release of that title."""
    case = CASES[name]
    plugin = PLUGINS[case.type]
    changelog = replace(sample("Composed OS", "stable", ("os",)), title=of)
    if section:
        changelog = replace(changelog, sections=(Section("handwritten", 10, "Handwritten", section),))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "relman.toml"
        own: dict[str, object] = {"template": "own.md.j2"} if template is not None else {}
        entries = {"type": case.type, "name": "news", **TABLES[name], **own, **table}
        file.write_text(trials._HEAD + written(entries), encoding="utf-8")
        (Path(folder) / "own.md.j2").write_text(template or "", encoding="utf-8")
        slots = tuple(plugin.relman_settings())
        config = configuration.load(file, slots)
        stream = config.stream("stable")
        renderer = NotesRenderer(Templates((Path(folder),)), changelog, {"id": trials.RELEASE})
        before = {"news": Receipt("", "", "done", trials._NOON, "1 2", earlier)} if earlier else {}  # type: ignore[arg-type]
        context = ActionsContext(
            trials._release(), stream, changelog, renderer, SettingsOf(config, slots, stream), page=PAGE, earlier=before
        )
        (action,) = plugin.relman_actions(context)
        assert isinstance(action, Action)
        return action


def measured(case: Case, text: str) -> int:
    """As the service counts."""
    return telegram(text) if case.type == "telegram" else len(text)


hostile = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["@everyone", "@here", "<@123>", "<!channel>", "<#1>", "&", "**", "__", "`", "</b>", "<b>", "[x](y)", "||",
             "👩‍👩‍👧‍👦", "🇪🇺", "e\u0301\u0302", "שלום", "مرحبا", "\u202e", "\x1b[31m", "\n", "# ", "&#64;here", ":a:"]
        ),
    ),
    max_size=60,
).map("".join)  # fmt: skip

PINGS = {
    "discourse": re.compile(r"(?<!\w)@\w"),
    "discord": re.compile(r"@(?:everyone|here)|(?<!\\)<(?:@[!&]?|#)\d+>"),
    "slack": re.compile(r"<[!@#]"),
    "telegram": re.compile(r"(?<!\w)@\w"),
}
"""What rings a bell where."""


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(hostile)
def test_whatever_a_title_holds_the_text_fits_and_pings_nobody(name: str, title: str) -> None:
    text = planned(name, f"x{title}", **({"title": "{{ version }}"} if name == "discourse" else {})).text("text")

    assert measured(CASES[name], text) <= LIMITS[name]
    if name == "telegram":
        text = readable(text, "HTML")
        assert utf16_units(text) <= LIMITS[name]
    assert not PINGS[CASES[name].type].search(re.sub(r"https?://\S+", "", text)), text


@pytest.mark.parametrize("name", CASES)
def test_at_the_limit_all_is_said_and_one_below_it_less(name: str) -> None:
    whole = planned(name, "Composed 👩‍👩‍👧‍👦 & <b>OS</b>: a title of its own").text("text")
    size = measured(CASES[name], whole)
    title = "Composed 👩‍👩‍👧‍👦 & <b>OS</b>: a title of its own"

    assert planned(name, title, limit=size).text("text") == whole
    assert planned(name, title, limit=size + 1).text("text") == whole
    less = planned(name, title, limit=size - 1).text("text")
    assert less != whole
    assert measured(CASES[name], less) < size


@pytest.mark.parametrize("name", ["discord", "slack", "telegram"])
def test_where_not_even_the_least_fits_the_channel_is_named_when_planning(name: str) -> None:
    with pytest.raises(ConfigError, match=r"channel `news`: what template `post.md.j2` says measures .* takes 5"):
        planned(name, "x", limit=5)


@pytest.mark.parametrize("name", CASES)
def test_a_template_of_the_projects_own_is_taken_in_place_of_the_built_in_one(name: str) -> None:
    text = planned(name, "x", template="{{ version | md }} @everyone {{ url }} {{ earlier }}", earlier=EARLIER).text(
        "text"
    )

    assert text.startswith("sample-20260705 @\u2060everyone ")
    assert PAGE in text


@pytest.mark.parametrize("name", ["discord", "discourse"])
def test_where_a_channel_has_no_replies_the_text_links_to_the_earlier_post(name: str) -> None:
    assert f"]({EARLIER})" in planned(name, "a title of some length", earlier=EARLIER).text("text")


@pytest.mark.parametrize(
    ("written_by_hand", "posted"),
    [
        ("Thanks to @alice and (@bob), @ home.", "Thanks to @\u2060alice and (@\u2060bob), @ home."),
        ("&#64;alice &#x40;bob &commat;carol", "@\u2060alice @\u2060bob @\u2060carol"),
        ("[x](https://a.example/@os/b@c) mail@a.example", "[x](https://a.example/@os/b@c) mail@a.example"),
    ],
)
def test_who_is_mentioned_by_hand_in_the_notes_is_nobody_on_the_forum(written_by_hand: str, posted: str) -> None:
    assert posted in planned("discourse", "a title of some length", section=written_by_hand).text("text")


@pytest.mark.parametrize("reply", [False, True])
def test_a_plan_says_what_the_whole_post_on_a_forum_measures(reply: bool) -> None:
    action = planned("discourse", "a title of some length", earlier=EARLIER, reply=reply)

    assert action.payload["measured"] == {"size": len(action.text("text")), "limit": 32_000, "by": "characters"}
