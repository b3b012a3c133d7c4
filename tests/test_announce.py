"""The announcements into files and to webhooks: what is posted, where to, and that it is posted once."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.channel import Channel
from relman.config import ChannelTable
from relman.errors import AnswerLost, ConfigError, Malformed, RelmanError, Unequipped
from relman.http import Client, Retry
from relman.model.changelog import Accounting, Changelog, Commit
from relman.model.plan import Action, Plan, Stage, action_key
from relman.model.record import Receipt, ReceiptState, RecordState, Unknown
from relman.render import NotesRenderer, Templates
from relman.testing import MemoryRegistry
from relman.walk.acting import Outcome
from relman_plugins.announce.file import FileExecutor
from relman_plugins.announce.webhook import WebhookExecutor
from tests.servers import Reply, Scripted, in_turn
from tests.walking import MONDAY, World

KEY = action_key("0" * 16, "webhook:hook")


def post(body: str = '{"a": "ü"}', content_type: str = "application/json") -> Action:
    payload = {"body": body, "content_type": content_type}
    return Action("webhook", Stage.ANNOUNCE, KEY, "webhook:hook", channel="hook", payload=payload)


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    with Client(retry=Retry(attempts=2, connections=1, wait_initial=0, wait_jitter=0)) as http:

        def make(url: str, environ: dict[str, str] | None = None, **table: object) -> Channel:
            entries = {"type": "webhook", "url": url, **table}
            kept = ChannelTable("announce", "webhook", "hook", (), False, entries)
            return Channel(kept, tmp_path, http, MONDAY, environ or {})

        yield make


# -------------------------------------------------------------------------------------------------- webhooks


def test_a_webhook_is_sent_the_text_that_was_reviewed_signed_and_with_its_key(hook: Callable[..., Any]) -> None:
    body = '{"a": "ü"}'
    with Scripted(lambda asked: Reply(204)) as server:
        channel = hook(
            f"{server.url}/in?x=1",
            {"KEY": "composed-secret", "TOKEN": "composed-token"},
            secret={"env": "KEY"},
            headers={"X-Plain": "plain", "Authorization": {"env": "TOKEN"}},
        )
        receipt = WebhookExecutor().apply(post(body), channel)

    (asked,) = server.asked
    assert (asked.line, asked.body) == ("POST /in?x=1", body.encode())
    signature = hmac.new(b"composed-secret", body.encode(), hashlib.sha256).hexdigest()
    names = ("content-type", "idempotency-key", "relman-signature", "x-plain", "authorization")
    assert {name: asked.headers[name] for name in names} == {
        "content-type": "application/json",
        "idempotency-key": KEY,
        "relman-signature": f"sha256={signature}",
        "x-plain": "plain",
        "authorization": "composed-token",
    }
    assert receipt == Receipt.of(post(), ReceiptState.DONE, sha256=hashlib.sha256(body.encode()).hexdigest())


def test_without_a_secret_nothing_is_signed(hook: Callable[..., Any]) -> None:
    with Scripted(lambda asked: Reply(200)) as server:
        WebhookExecutor().apply(post(), hook(server.url))

    assert "relman-signature" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("status", "expect", "received"),
    [
        (200, None, True),
        (201, None, True),
        (202, None, True),
        (204, None, True),
        (206, None, False),
        (302, None, False),
        (403, None, False),
        (500, None, False),
        (200, [204], False),
        (418, [418], True),
    ],
)
def test_which_answers_count_as_received_is_for_the_table_to_say(
    status: int, expect: list[int] | None, received: bool, hook: Callable[..., Any]
) -> None:
    with Scripted(lambda asked: Reply(status, {"Location": "/elsewhere"}, b"why not")) as server:
        channel = hook(server.url, **({"expect": expect} if expect else {}))
        if received:
            assert WebhookExecutor().apply(post(), channel).state is ReceiptState.DONE
        else:
            with pytest.raises(RelmanError, match=f"webhook `hook` answered {status}: why not") as caught:
                WebhookExecutor().apply(post(), channel)
            assert not isinstance(caught.value, AnswerLost)
            assert "`expect`" in (caught.value.hint or "")

    assert len(server.asked) == 1


@pytest.mark.parametrize("reply", [Reply(502), Reply(504), Reply(reset=True)])
def test_where_something_before_the_webhook_lost_the_answer_it_may_have_been_received(
    reply: Reply, hook: Callable[..., Any]
) -> None:
    with Scripted(lambda asked: reply) as server, pytest.raises(AnswerLost):
        WebhookExecutor().apply(post(), hook(server.url))

    assert len(server.asked) == 1


def test_a_secret_that_is_not_set_sends_nothing(hook: Callable[..., Any]) -> None:
    with Scripted(lambda asked: Reply(204)) as server, pytest.raises(Unequipped, match="`KEY`"):
        WebhookExecutor().apply(post(), hook(server.url, secret={"env": "KEY"}))

    assert server.asked == []


def test_a_webhook_cannot_tell_and_cannot_take_back(hook: Callable[..., Any]) -> None:
    channel = hook("https://a.example")

    assert isinstance(WebhookExecutor().probe(post(), channel), Unknown)
    assert WebhookExecutor().undo(post(), Receipt.of(post(), ReceiptState.DONE), channel) is None


# ----------------------------------------------------------------------------------------------------- files


def written(path: str = "news/a.md", text: str = "ü\n") -> Action:
    payload = {"path": path, "text": text}
    return Action("file", Stage.ANNOUNCE, KEY, "file:news", channel="news", payload=payload)


def test_a_file_is_written_adopted_when_it_is_there_and_never_taken_back(hook: Callable[..., Any]) -> None:
    channel, action = hook("https://a.example"), written()
    assert FileExecutor().probe(action, channel) is None
    with pytest.raises(Malformed, match=r"`news/a.md` is not there, on this machine"):
        FileExecutor().verify(action, Receipt.of(action, ReceiptState.DONE), channel)

    receipt = FileExecutor().apply(action, channel)
    FileExecutor().verify(action, receipt, channel)

    sha256 = hashlib.sha256("ü\n".encode()).hexdigest()
    assert receipt == Receipt.of(action, ReceiptState.DONE, remote_id="news/a.md", sha256=sha256)
    assert FileExecutor().probe(action, channel) == replace(receipt, state=ReceiptState.ADOPTED)
    assert FileExecutor().undo(action, receipt, channel) is None
    channel.write_file("news/a.md", b"something else")
    assert FileExecutor().probe(action, channel) is None
    with pytest.raises(Malformed, match="does not hold what was written"):
        FileExecutor().verify(action, receipt, channel)


hostile = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["../../x", "/etc/x", "..", ".", "a/../../b", "a\\..\\b", "..\x00", "~/.ssh/x", "a\n/b", ".git"]),
)


def path_of(source: str, *, version: str = "v", title: str = "t", subject: str = "s") -> str:
    """A path as a `file` channel has it, of a release whose words are these."""
    changelog = Changelog(
        "X",
        "stable",
        version,
        None,
        title,
        (),
        (),
        (),
        (Commit("a" * 40, subject, "b"),),
        None,
        (),
        (),
        (),
        Accounting(1, 1, 0, 0, 0, 0),
    )
    return NotesRenderer(Templates(()), changelog).path(source)


@given(hostile, hostile)
def test_neither_a_version_nor_a_title_leads_out_of_the_folder(version: str, title: str) -> None:
    path = path_of("news/{{ version }}/x-{{ title }}.md", version=version, title=title)

    parts = PurePosixPath(path).parts
    assert parts[0] == "news"
    assert ".." not in parts
    assert len(path.split("/")) == 3
    assert not {"\x00", "\n", "\\"} & set(path)


@pytest.mark.parametrize(
    "template",
    [
        "{{ commits[0].subject }}",
        "{{ changelog.commits[0].subject }}",
        "{{ changelog.title }}",
        "{{ title | trim }}",
        "{% for commit in commits %}{{ commit.subject }}{% endfor %}",
        "{% set place = title %}{{ place }}",
        "x{% for part in title %}{{ part }}{% endfor %}",
        "{{ version ~ '/' ~ title }}",
    ],
)
@given(hostile)
def test_nor_does_anything_that_is_reached_through_another_value(template: str, text: str) -> None:
    path = path_of(f"news/{template}/a.md", version=text, title=text, subject=text)

    folder, name, file = path.split("/")
    assert (folder, file) == ("news", "a.md")
    assert name not in ("", ".", "..")
    assert not {"\x00", "\n", "\\"} & set(name)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{{ version }}/{{ title }}.md", "stable-20260706.1/X-stable-F44-.md"),
        ("{{ commits[0].subject }}.md", "tmp-x.md"),
        ("{{ previous }}.md", "-.md"),
        ("a/{{ '' }}/b", "a/-/b"),
        ("{{ accounting.commits_in_range }}.md", "1.md"),
        ("a/../{{ stream }}", "a/../stable"),
    ],
)
def test_a_path_keeps_its_own_folders_and_an_empty_value_becomes_a_dash(template: str, path: str) -> None:
    subject = "../../../tmp/x"

    assert path_of(template, version="stable-20260706.1", title="X: stable (F44)", subject=subject) == path


@pytest.mark.parametrize("template", ["", "  ", "{% if previous %}a{% endif %}", "a\0b"])
def test_a_path_that_names_no_file_is_a_fault_of_the_configuration(template: str) -> None:
    with pytest.raises(ConfigError, match="the path `"):
        path_of(template)


# ------------------------------------------------------------------------------------------- in a whole release

CONFIG = """\
[changelog]
commits = {{ required = false }}

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
type = "file"
name = "news"
path = "news/{{{{ version }}}}.md"

[[announce]]
type = "webhook"
name = "hook"
url = "{url}"
required = {required}
streams = ["stable"]

[[announce]]
type = "file"
name = "elsewhere"
path = "elsewhere.md"
streams = ["testing"]
"""


def release(world: World, url: str, *, required: bool = False) -> tuple[Plan, Outcome]:
    world.configure(CONFIG.format(url=url, required=str(required).lower()))
    world.push("os", "testing", "testing-20260705", packages={"bash": "5.2-1.fc44"})
    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))
    return plan, again(world, plan)


def again(world: World, plan: Plan) -> Outcome:
    with world.walk() as walk:
        record, outcome = walk.apply(plan, lambda action, receipt: None)
    assert outcome is not None
    assert record.state is outcome.state
    return outcome


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, MemoryRegistry())


def test_a_stream_gets_its_own_channels_texts_as_they_were_planned(world: World) -> None:
    with Scripted(lambda asked: Reply(204)) as server:
        plan, outcome = release(world, server.url)

    assert [a.target for a in plan.actions if a.stage is Stage.ANNOUNCE] == ["file:news", "webhook:hook"]
    assert (world.folder / "news" / "stable-20260706.md").read_text() == plan.notes
    assert not (world.folder / "elsewhere.md").exists()
    body = json.loads(server.asked[0].body)
    assert (body["project"], body["stream"], body["version"], body["id"]) == (
        "Composed OS",
        "stable",
        "stable-20260706",
        plan.id,
    )
    assert outcome.state is RecordState.FINISHED


def test_a_dead_webhook_silences_nobody_and_holds_nothing_up(world: World) -> None:
    with Scripted(lambda asked: Reply(500)) as server:
        _, outcome = release(world, server.url)

    assert [r.state for r in outcome.receipts[-2:]] == [ReceiptState.DONE, ReceiptState.FAILED]
    assert outcome.state is RecordState.FINISHED
    assert world.holds("os:stable") == world.holds("os:testing")


def test_a_required_webhook_that_refused_is_asked_again_and_nothing_else_is_repeated(world: World) -> None:
    with Scripted(in_turn(Reply(500), Reply(204))) as server:
        plan, outcome = release(world, server.url, required=True)
        assert outcome.state is RecordState.PARTIAL
        before = list(world.memory.writes)
        assert again(world, plan).state is RecordState.FINISHED

    assert [asked.headers["idempotency-key"] for asked in server.asked] == [plan.actions[-1].key] * 2
    assert world.memory.writes == before


def test_a_required_webhook_whose_answer_was_lost_is_never_sent_twice(world: World) -> None:
    with Scripted(lambda asked: Reply(reset=True)) as server:
        plan, outcome = release(world, server.url, required=True)
        for _ in range(2):
            outcome = again(world, plan)

    assert (len(server.asked), outcome.state, outcome.receipts[-1].state) == (
        1,
        RecordState.PARTIAL,
        ReceiptState.UNKNOWN,
    )


def test_a_wrong_address_can_be_mended_between_two_tries(world: World) -> None:
    with Scripted(lambda asked: Reply(404)) as wrong, Scripted(lambda asked: Reply(204)) as right:
        plan, outcome = release(world, wrong.url, required=True)
        assert outcome.state is RecordState.PARTIAL
        world.configure(CONFIG.format(url=right.url, required="true"))
        assert again(world, plan).state is RecordState.FINISHED

    assert (len(wrong.asked), len(right.asked)) == (1, 1)
