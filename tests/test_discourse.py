"""Announcements on a forum of Discourse: what is posted, titles, categories, moderators, and what the forum refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from relman.errors import AnswerLost, ConfigError, Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.http import Client
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman_plugins.announce.discourse.executor import DiscourseExecutor
from tests.chat_cases import DISCOURSE, OTHER, TEXT
from tests.chats import Discourse
from tests.servers import Reply, once
from tests.standins.certificates import certified
from tests.standins.faults import busy, lose
from tests.test_chats_contract import trial

EXECUTOR = DiscourseExecutor()
EARLIER = "https://forum.example/t/a-slug/7"


def planned(tmp_path: Path, earlier: Receipt | None = None, **table: object) -> Action:
    case = dataclasses.replace(DISCOURSE, table=lambda server: {**DISCOURSE.table(server), **table})
    with trial(case, tmp_path, earlier={"news": earlier} if earlier else {}) as made:
        return made.planned.actions[0]


# ------------------------------------------------------------------------------------------------- planning


def test_a_topic_has_all_of_the_notes_and_the_title_of_the_release(tmp_path: Path) -> None:
    action = planned(tmp_path)

    assert set(action.payload) == {"title", "text", "measured"}
    assert action.text("title").startswith("sample-20260705: Composed *OS*")
    assert "## " in action.text("text")


def test_notes_that_are_longer_than_a_post_lose_parts_and_link_to_all_of_them(tmp_path: Path) -> None:
    whole, cut = planned(tmp_path).text("text"), planned(tmp_path, limit=900).text("text")

    assert len(cut) <= 900 < len(whole)
    assert "https://example.org/releases/sample-20260705" in cut


def test_a_limit_that_leaves_room_for_nothing_is_refused_when_planning(tmp_path: Path) -> None:
    earlier = Receipt.of(planned(tmp_path), ReceiptState.DONE, remote_id="7 8", url=EARLIER)
    with pytest.raises(ConfigError, match="channel `news`: 100 characters have no room for a post"):
        planned(tmp_path, earlier, limit=100)


@pytest.mark.parametrize(("title", "size"), [("{{ '' }}", 0), ("{{ 'x' * 256 }}", 256)])
def test_a_title_that_no_forum_takes_is_refused_when_planning(tmp_path: Path, title: str, size: int) -> None:
    with pytest.raises(ConfigError, match=f"channel `news`: the topic's title has {size} characters"):
        planned(tmp_path, title=title)

    assert planned(tmp_path, title="{{ 'x' * 255 }}").text("title") == "x" * 255


def test_a_release_that_follows_up_another_links_to_its_topic(tmp_path: Path) -> None:
    earlier = Receipt.of(planned(tmp_path), ReceiptState.DONE, remote_id="7 8", url=EARLIER)

    text = planned(tmp_path, earlier, limit=900).text("text")

    assert text.startswith(f"This follows up [an earlier announcement]({EARLIER}).\n\n")
    assert len(text) <= 900


# -------------------------------------------------------------------------------------------------- posting


def test_the_request_is_that_of_a_topic_with_our_key(tmp_path: Path) -> None:
    with Discourse() as server:
        EXECUTOR.apply(DISCOURSE.action(), DISCOURSE.channel(server, tmp_path))

    (asked,) = server.asked
    assert (asked.line, asked.headers["api-username"]) == ("POST /posts.json", "relman")
    assert json.loads(asked.body) == {
        "title": "Composed stable: stable-20260706",
        "raw": TEXT,
        "category": 5,
        "external_id": f"relman-{DISCOURSE.action().key}",
        "tags": ["release"],
    }


def test_the_address_is_that_of_the_topic_on_the_configured_forum(tmp_path: Path) -> None:
    known = certified(tmp_path / "tls")
    with Discourse(tls=known.server()) as server, Client(verify=known.client()) as http:
        channel = DISCOURSE.channel(server, tmp_path, http=http)
        receipt = EXECUTOR.apply(DISCOURSE.action(), channel)
        found = EXECUTOR.probe(DISCOURSE.action(), channel)

    assert (receipt.remote_id, receipt.url) == ("101 102", f"{server.url}/t/composed-stable-stable-20260706/101")
    assert found == replace(receipt, state=ReceiptState.ADOPTED)


@pytest.mark.parametrize("slug", ["../../evil", "a b", "x" * 300, 7, None, "a?b", ""])
def test_a_slug_that_is_none_is_left_out_of_the_address(tmp_path: Path, slug: object) -> None:
    known = certified(tmp_path / "tls")
    with Discourse(tls=known.server()) as server, Client(verify=known.client()) as http:
        answer = json.dumps({"id": 8, "topic_id": 7, "topic_slug": slug}).encode()
        server.faults.append(once("POST", lambda _: Reply(200, {}, answer)))
        receipt = EXECUTOR.apply(DISCOURSE.action(), DISCOURSE.channel(server, tmp_path, http=http))

    assert receipt.url == f"{server.url}/t/7"


@pytest.mark.parametrize(
    ("category", "number"), [(6, 6), ("news", 5), ("6", 6), ("news/stable", 6), ("other/stable", 8)]
)
def test_a_category_is_given_by_number_or_slug(tmp_path: Path, category: object, number: int) -> None:
    with Discourse() as server:
        EXECUTOR.apply(DISCOURSE.action(), DISCOURSE.channel(server, tmp_path, category=category))

        assert [topic.category for topic in server.topics] == [number]


@pytest.mark.parametrize(("slug", "why"), [("nowhere", "no category"), ("stable", "more than one category")])
def test_a_slug_of_no_category_or_of_several_posts_nothing(tmp_path: Path, slug: str, why: str) -> None:
    with Discourse() as server:
        with pytest.raises(NotFound, match=f"{why} `{slug}`") as caught:
            EXECUTOR.apply(DISCOURSE.action(), DISCOURSE.channel(server, tmp_path, category=slug))
        assert "number" in (caught.value.hint or "")
        assert server.writes == []


# ----------------------------------------------------------------------------------------------- moderators


def test_a_topic_that_waits_for_a_moderator_is_accepted_once_and_says_so(tmp_path: Path) -> None:
    with Discourse(queued=True) as server:
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action()
        receipt = EXECUTOR.apply(action, channel)
        EXECUTOR.verify(action, receipt, channel)
        found = EXECUTOR.probe(action, channel)
        for call in (EXECUTOR.edit, EXECUTOR.undo):
            with pytest.raises(RelmanError, match="it waits for a moderator"):
                call(action, receipt, channel)

    assert (receipt.state, receipt.remote_id, receipt.detail) == (
        ReceiptState.DONE, None, "accepted; it waits for a moderator",
    )  # fmt: skip
    assert found == replace(receipt, state=ReceiptState.ADOPTED)
    assert len(server.pending) == 1


def test_a_lost_answer_on_a_topic_that_waits_is_found_among_those_that_wait(tmp_path: Path) -> None:
    with Discourse(queued=True) as server:
        server.faults.append(once("POST", lose))
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action()
        with pytest.raises(AnswerLost):
            EXECUTOR.apply(action, channel)
        found = EXECUTOR.probe(action, channel)

    assert isinstance(found, Receipt)
    assert found.detail == "accepted; it waits for a moderator"


def test_a_forum_that_shows_nobody_what_waits_has_nothing_that_waits(tmp_path: Path) -> None:
    with Discourse() as server:
        server.faults.append(once("pending", lambda _: Reply(403)))

        assert EXECUTOR.probe(DISCOURSE.action(), DISCOURSE.channel(server, tmp_path)) is None


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("more", "said", "hint"),
    [
        ({"title": "short"}, "Title is too short", "`title` in its table"),
        ({"text": "x" * 33_000}, "Body is limited to 32000", "`limit` in its table"),
    ],
)
def test_the_forums_own_words_and_the_setting_that_helps(
    tmp_path: Path, more: dict[str, str], said: str, hint: str
) -> None:
    with Discourse() as server:
        with pytest.raises(RelmanError, match=f"the forum of channel `news` answered 422: {said}") as caught:
            EXECUTOR.apply(DISCOURSE.action(**more), DISCOURSE.channel(server, tmp_path))
        assert hint in (caught.value.hint or "")
        assert server.topics == []


def test_a_topic_of_somebody_else_with_this_title_is_named_and_left_alone(tmp_path: Path) -> None:
    with Discourse() as server:
        channel = DISCOURSE.channel(server, tmp_path)
        other = replace(DISCOURSE.action(), key="f" * 32)
        EXECUTOR.apply(other, channel)
        with pytest.raises(RelmanError, match="Title has already been used") as caught:
            EXECUTOR.apply(DISCOURSE.action(OTHER), channel)

        assert "titles are unique" in (caught.value.hint or "")
        assert DISCOURSE.posts(server) == [TEXT]


def test_two_at_once_make_one_topic(tmp_path: Path) -> None:
    with Discourse() as server:
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action()
        EXECUTOR.apply(action, channel)
        with pytest.raises(AnswerLost, match="has a topic of this release already"):
            EXECUTOR.apply(replace(action, payload={**action.payload, "title": "Another title of it"}), channel)

        assert isinstance(EXECUTOR.probe(action, channel), Receipt)
        assert len(server.topics) == 1


def test_how_long_to_wait_is_said(tmp_path: Path) -> None:
    said = {"errors": ["You've performed this action too many times."], "extras": {"wait_seconds": 3600}}
    with Discourse() as server:
        server.faults.append(once("POST", busy(0, said), times=9))
        with pytest.raises(Passing, match="asks to wait for 3600 s: You've performed"):
            EXECUTOR.apply(DISCOURSE.action(), DISCOURSE.channel(server, tmp_path))


def test_a_wrong_key_is_missing_before_anything_is_posted(tmp_path: Path) -> None:
    with Discourse() as server:
        channel = replace(DISCOURSE.channel(server, tmp_path), environ={"CHAT_SECRET": "another-key"})
        with pytest.raises(Unequipped, match="not permitted"):
            EXECUTOR.probe(DISCOURSE.action(), channel)


@pytest.mark.parametrize("location", ["", "/", "https://evil.example/x", "/t/a-slug/x.json", "/u/1", "//[", "/t/"])
def test_a_redirect_that_leads_to_no_topic_is_no_answer(tmp_path: Path, location: str) -> None:
    with Discourse() as server:
        server.faults.append(once("external_id", lambda _: Reply(301, {"Location": location})))
        with pytest.raises(Malformed):
            EXECUTOR.probe(DISCOURSE.action(), DISCOURSE.channel(server, tmp_path))

        assert len(server.asked) == 1


def test_a_redirect_elsewhere_leads_to_the_topic_of_that_number_here(tmp_path: Path) -> None:
    with Discourse() as server, Discourse() as other:
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action()
        receipt = EXECUTOR.apply(action, channel)
        server.faults.append(once("external_id", lambda _: Reply(301, {"Location": f"{other.url}/t/x/101.json"})))
        found = EXECUTOR.probe(action, channel)

    assert found == replace(receipt, state=ReceiptState.ADOPTED)
    assert other.asked == []


# ------------------------------------------------------------------------------------------ edit and withdraw


def test_a_correction_changes_text_and_title_and_gives_a_reason(tmp_path: Path) -> None:
    with Discourse() as server:
        channel = DISCOURSE.channel(server, tmp_path)
        receipt = EXECUTOR.apply(DISCOURSE.action(), channel)
        EXECUTOR.edit(DISCOURSE.action(OTHER, title="Another title of it"), receipt, channel)
        (topic,) = server.topics

    assert (topic.title, topic.raw, server.reasons) == (
        "Another title of it", OTHER, ["The announcement was corrected."],
    )  # fmt: skip


def test_a_post_that_a_person_settled_is_found_by_its_key(tmp_path: Path) -> None:
    with Discourse() as server:
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action()
        receipt = EXECUTOR.apply(action, channel)
        settled = Receipt.of(action, ReceiptState.DONE)

        assert EXECUTOR.edit(action, settled, channel) == replace(receipt, detail=None)
        EXECUTOR.undo(action, settled, channel)
        assert server.topics == []


def test_where_the_user_may_not_delete_the_post_says_that_it_is_withdrawn(tmp_path: Path) -> None:
    with Discourse(may_delete=False) as server:
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action()
        receipt = EXECUTOR.apply(action, channel)
        undone = EXECUTOR.undo(action, receipt, channel)
        (topic,) = server.topics

    assert topic.raw == f"> **Withdrawn.** This announcement no longer stands.\n\n{TEXT}"
    assert undone is not None
    assert undone.detail == "the user may not delete topics: the post says that it is withdrawn"


def test_a_withdrawn_post_that_has_no_room_for_its_text_says_that_alone(tmp_path: Path) -> None:
    with Discourse(may_delete=False) as server:
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action("x" * 32_000)
        EXECUTOR.undo(action, EXECUTOR.apply(action, channel), channel)
        (topic,) = server.topics

    assert topic.raw == "> **Withdrawn.** This announcement no longer stands."


def test_what_somebody_changed_or_took_away_is_told(tmp_path: Path) -> None:
    with Discourse() as server:
        channel, action = DISCOURSE.channel(server, tmp_path), DISCOURSE.action()
        receipt = EXECUTOR.apply(action, channel)
        (topic,) = server.topics
        topic.raw = f"  {TEXT.replace(' ', chr(10), 1)}\n"
        EXECUTOR.verify(action, receipt, channel)
        topic.raw = "something else"
        with pytest.raises(Malformed, match="says something else than what was sent"):
            EXECUTOR.verify(action, receipt, channel)
        server.all_topics.clear()
        with pytest.raises(NotFound):
            EXECUTOR.verify(action, receipt, channel)


# -------------------------------------------------------------------------------------------------- replies


def mark(action: Action) -> str:
    return f"<!-- relman:{action.key} -->"


def reply_in(server: Discourse, tmp_path: Path) -> tuple[Any, Action]:
    """A topic of an earlier release, and an announcement that answers it."""
    channel = DISCOURSE.channel(server, tmp_path, reply=True)
    first = EXECUTOR.apply(replace(DISCOURSE.action(), key="e" * 32), channel)
    action = DISCOURSE.action(reply_to=first.remote_id, title="Composed stable: another title")
    return channel, replace(action, payload={**action.payload, "text": f"{OTHER}\n\n{mark(action)}"})


def test_a_plan_replies_to_the_earlier_topic_where_the_table_says_so(tmp_path: Path) -> None:
    earlier = Receipt.of(planned(tmp_path), ReceiptState.DONE, remote_id="7 8", url=EARLIER)

    action = planned(tmp_path, earlier, reply=True, limit=900)

    assert (action.payload["reply_to"], len(action.text("text")) <= 900) == ("7 8", True)
    assert action.text("text").endswith(f"\n\n{mark(action)}")
    assert EARLIER not in action.text("text")
    assert "reply_to" not in planned(tmp_path, reply=True).payload


@pytest.mark.parametrize("others", [0, 250])
def test_a_reply_is_posted_found_corrected_and_taken_back(tmp_path: Path, others: int) -> None:
    with Discourse() as server:
        channel, action = reply_in(server, tmp_path)
        for number in range(others):
            server.respond(101, "words of somebody else", post=10_000 + number, number=1000 + number, yours=False)
        assert EXECUTOR.probe(action, channel) is None
        receipt = EXECUTOR.apply(action, channel)
        EXECUTOR.verify(action, receipt, channel)
        found = EXECUTOR.probe(action, channel)
        mine = int(str(receipt.remote_id).split()[1])
        assert server.answers[mine]["raw"] == action.text("text")
        changed = replace(action, payload={**action.payload, "text": f"changed\n\n{mark(action)}"})
        EXECUTOR.edit(changed, receipt, channel)
        assert server.answers[mine]["raw"] == changed.text("text")
        for _ in range(2):
            EXECUTOR.undo(action, receipt, channel)

        assert (len(server.topics), len(server.answers)) == (1, others)
        assert server.topics[0].raw == TEXT
    assert receipt.remote_id == f"101 {mine} 2"
    assert found == replace(receipt, state=ReceiptState.ADOPTED)


def test_a_reply_whose_answer_was_lost_is_found(tmp_path: Path) -> None:
    with Discourse() as server:
        channel, action = reply_in(server, tmp_path)
        server.faults.append(once("POST", lose))
        with pytest.raises(AnswerLost):
            EXECUTOR.apply(action, channel)

        assert isinstance(EXECUTOR.probe(action, channel), Receipt)
        assert len(server.answers) == 1


@pytest.mark.parametrize("forged", ["{mark}", "relman | 2026-07-06 12:00:00 UTC | #1\n\n{mark}", "x | y | #99\n{mark}"])
def test_whoever_else_writes_our_mark_is_not_believed(tmp_path: Path, forged: str) -> None:
    with Discourse() as server:
        channel, action = reply_in(server, tmp_path)
        server.respond(101, forged.format(mark=mark(action)), post=500, number=2, yours=False)
        assert EXECUTOR.probe(action, channel) is None
        server.respond(101, action.text("text"), post=501, number=3)
        found = EXECUTOR.probe(action, channel)

    assert isinstance(found, Receipt)
    assert found.remote_id == "101 501 3"


def test_where_the_earlier_topic_is_gone_the_release_has_a_topic_of_its_own(tmp_path: Path) -> None:
    with Discourse() as server:
        channel, action = reply_in(server, tmp_path)
        server.topics[0].deleted = True
        assert EXECUTOR.probe(action, channel) is None
        receipt = EXECUTOR.apply(action, channel)

        assert [topic.title for topic in server.topics] == ["Composed stable: another title"]
        assert EXECUTOR.probe(action, channel) == replace(receipt, state=ReceiptState.ADOPTED)


def test_an_earlier_topic_that_is_too_long_cannot_tell(tmp_path: Path) -> None:
    with Discourse() as server:
        channel, action = reply_in(server, tmp_path)
        server.faults.append(once("/raw/", lambda _: Reply(200, {}, b"x" * (2 << 20))))
        assert isinstance(EXECUTOR.probe(action, channel), Unknown)
        server.faults.append(once("/raw/", lambda _: Reply(200, {}, b"words"), times=99))
        assert isinstance(EXECUTOR.probe(action, channel), Unknown)
    assert len(server.asked) == 22


def test_a_reply_that_may_not_be_deleted_says_that_it_is_withdrawn_and_is_found_all_the_same(tmp_path: Path) -> None:
    with Discourse(may_delete=False) as server:
        channel, action = reply_in(server, tmp_path)
        receipt = EXECUTOR.apply(action, channel)
        EXECUTOR.undo(
            action, receipt, replace(channel, table=replace(channel.table, table={**channel.table.table, "limit": 110}))
        )
        (reply,) = server.answers.values()

        assert reply["raw"] == f"> **Withdrawn.** This announcement no longer stands.\n\n{mark(action)}"
        assert isinstance(EXECUTOR.probe(action, channel), Receipt)
