"""The contract of executors, over every executor of this installation; and that each of its rules can be broken.

A plugin that brings an executor has its world among `WORLDS`. A world makes a trial in an empty folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from relman import hookspecs
from relman.model.oci import parse_repository
from relman.model.plan import Action, Stage, action_key
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import ChannelSettings, RelmanError, Secret, Slot
from relman.testing import MemoryRegistry, Write, attach, put_image
from relman.testing.executors import RULES, Rule, Trial, channel_trial, registry_trial
from relman.testing.trials import RELEASE
from relman_plugins.announce import feed, file, webhook
from relman_plugins.gates.signature.demand import Demand, Kind, Requirement
from relman_plugins.gates.signature.executor import VerifyExecutor
from relman_plugins.gates.signature.identity import Identity, Match
from relman_plugins.gates.signature.keys import PublicKey
from relman_plugins.gates.signature.names import Name
from relman_plugins.promote.statement import StatementExecutor
from relman_plugins.promote.tags import CopyExecutor, EvidenceExecutor, TagExecutor
from tests.servers import Reply, Scripted
from tests.signing import Signer
from tests.walking import plugins

World = Callable[[Path], AbstractContextManager[Trial]]
OS, NEXT = parse_repository("ghcr.io/composed/os"), parse_repository("ghcr.io/composed/next")
SIGNER = Signer()


@contextmanager
def file_world(folder: Path) -> Iterator[Trial]:
    table = '[[announce]]\ntype = "file"\npath = "news/{{ version }}.md"\n'
    with channel_trial(file, table, folder=folder, effects=lambda: len(list(folder.glob("news/*")))) as trial:
        yield trial


@contextmanager
def feed_world(folder: Path) -> Iterator[Trial]:
    table = '[[announce]]\ntype = "feed"\npath = "feed.xml"\nurl = "https://composed.example/feed.xml"\n'

    def entries() -> int:
        written = folder / "feed.xml"
        return written.read_text().count("<entry>") if written.exists() else 0

    with channel_trial(feed, table, folder=folder, effects=entries) as trial:
        yield trial


@contextmanager
def webhook_world(folder: Path) -> Iterator[Trial]:
    with Scripted(lambda asked: Reply(204)) as server:
        table = f'[[announce]]\ntype = "webhook"\nurl = "{server.url}/in"\nsecret = {{ env = "KEY" }}\n'
        table += 'headers = { Authorization = { env = "TOKEN" } }\n'
        environ = {"KEY": "composed/secret+1", "TOKEN": 'composed "token" ü'[:16]}
        with channel_trial(webhook, table, folder=folder, environ=environ, effects=lambda: len(server.asked)) as trial:
            yield trial


def acting(kind: str, stage: Stage, payload: Mapping[str, object]) -> Action:
    return Action(kind, stage, action_key(RELEASE, f"{kind}:os"), f"{kind}:os", payload=payload)


@contextmanager
def tag_world(folder: Path) -> Iterator[Trial]:
    registry = MemoryRegistry()
    before = put_image(registry, OS, tags=["stable"])
    digest = put_image(registry, OS, tags=["testing"], labels={"new": "yes"})
    payload = {"reference": f"{OS}:stable", "digest": digest, "before": before, "dated": False}
    effects = lambda: sum(write.tag == "stable" and write.digest == digest for write in registry.writes)  # noqa: E731
    yield registry_trial(TagExecutor(), acting("tag", Stage.PROMOTE, payload), registry, folder=folder, effects=effects)


@contextmanager
def copy_world(folder: Path) -> Iterator[Trial]:
    registry = MemoryRegistry()
    digest = put_image(registry, OS, tags=["testing"])
    payload = {"from": str(OS.digest(digest)), "to": str(NEXT)}
    effects = lambda: int(registry.resolve(NEXT.digest(digest)) is not None)  # noqa: E731
    yield registry_trial(
        CopyExecutor(), acting("copy", Stage.PREPARE, payload), registry, folder=folder, effects=effects
    )


@contextmanager
def evidence_world(folder: Path) -> Iterator[Trial]:
    registry = MemoryRegistry()
    digest = put_image(registry, OS, tags=["testing"])
    for kind in ("application/vnd.composed.one", "application/vnd.composed.two"):
        attach(registry, OS, digest, kind.encode(), kind, "text/plain")
    registry.copy(OS.digest(digest), NEXT)
    payload = {"from": str(OS.digest(digest)), "to": str(NEXT)}
    effects = lambda: int(len(registry.referrers(NEXT, digest)) == 2)  # noqa: E731
    yield registry_trial(
        EvidenceExecutor(), acting("evidence", Stage.PREPARE, payload), registry, folder=folder, effects=effects
    )


@contextmanager
def statement_world(folder: Path) -> Iterator[Trial]:
    registry = MemoryRegistry()
    image = OS.digest(put_image(registry, OS, tags=["stable"]))
    payload = {"reference": str(image), "release": RELEASE, "predicate": "urn:composed", "text": "{}"}
    effects = lambda: len(registry.referrers(OS, image.digest)) if image.digest else 0  # noqa: E731
    yield registry_trial(
        StatementExecutor(), acting("statement", Stage.PUBLISH, payload), registry, folder=folder, effects=effects
    )


@contextmanager
def verify_world(folder: Path) -> Iterator[Trial]:
    registry = MemoryRegistry()
    digest = put_image(registry, OS, tags=["testing"])
    SIGNER.sign(registry, OS, digest)
    before: list[Write] = list(registry.writes)
    wanted = Requirement(Kind.KEYS, (PublicKey(SIGNER.pem),), (Identity(Match.REPOSITORY, ()),))
    demand = Demand(Name.parse(f"{OS}:stable"), (wanted,), "the policy")
    payload = {"reference": str(OS.digest(digest)), "platforms": [digest], "demands": [demand.as_json()]}
    yield registry_trial(
        VerifyExecutor(),
        acting("verify", Stage.PREPARE, payload),
        registry,
        folder=folder,
        effects=lambda: len(registry.writes) - len(before),
        expected=0,
    )


WORLDS: Mapping[str, World] = {
    "copy": copy_world,
    "evidence": evidence_world,
    "feed": feed_world,
    "file": file_world,
    "statement": statement_world,
    "tag": tag_world,
    "verify": verify_world,
    "webhook": webhook_world,
}
"""A world for each kind of action. A plugin's own test file may hold its world; here it is named."""

ELSEWHERE: Mapping[str, str] = {
    "apprise": "tests/test_apprise.py",
    "bluesky": "tests/integration/test_bluesky.py",
    "discord": "tests/test_chats_contract.py",
    "discourse": "tests/test_chats_contract.py",
    "email": "tests/integration/test_email.py",
    "forgejo": "tests/integration/test_forgejo.py",
    "github": "tests/test_publish_github.py",
    "gitlab": "tests/test_publish_gitlab.py",
    "mastodon": "tests/test_mastodon.py",
    "matrix": "tests/integration/test_matrix.py",
    "slack": "tests/test_chats_contract.py",
    "telegram": "tests/test_chats_contract.py",
}
"""Where every rule is tried over a kind of action that wants a server of its own, some of them real ones."""


def making(world: World, folder: Path) -> Callable[[], AbstractContextManager[Trial]]:
    numbers = count()

    def make() -> AbstractContextManager[Trial]:
        own = folder / str(next(numbers))
        own.mkdir(parents=True)
        return world(own)

    return make


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("kind", WORLDS)
def test_every_executor_keeps_the_contract(kind: str, rule: Rule, tmp_path: Path) -> None:
    rule(making(WORLDS[kind], tmp_path))


def test_no_executor_of_a_plugin_is_left_out() -> None:
    answers = plugins().ask(hookspecs.relman_executors)

    assert sorted([*WORLDS, *ELSEWHERE]) == sorted(executor.kind for answer in answers for executor in answer.values)


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_what_is_tried_elsewhere_is_tried_there_by_every_rule(kind: str) -> None:
    text = (Path(__file__).parents[1] / ELSEWHERE[kind]).read_text()

    assert re.search(rf"relman_plugins\.(announce|publish) import .*\b{kind}\b", text)
    assert "RULES" in text
    assert re.search(r"\brule\(", text)


# --------------------------------------------------------------------------------- what the contract is there for


class BoardSettings(ChannelSettings):
    url: str
    token: Secret


@dataclass
class Board:
    """A message board on loopback, which is as wrong as a test wants it."""

    posts: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def answer(self, asked: Any) -> Reply:
        if asked.method == "GET":
            return Reply(200, {}, json.dumps(self.posts).encode())
        body = json.loads(asked.body)
        if asked.method == "DELETE":
            self.posts.pop(body["id"], None)
            return Reply(204)
        if asked.method == "POST":
            self.made += 1
            number = str(self.made)
            self.posts[number] = f"{body['key']} {body['text']}"
            return Reply(201, {}, json.dumps({"id": number}).encode())
        self.posts[body["id"]] = f"{body['key']} {body['text']}"
        return Reply(200)


class BoardExecutor:
    """A right one: found again by the key that its message carries."""

    kind = "board"
    scope = "channel"

    def describe(self, action: Action) -> str:
        return f"post to the board `{action.channel}`"

    def probe(self, action: Action, reader: Any) -> Receipt | Unknown | None:
        posts = json.loads(reader.get(reader.settings(BoardSettings).url).content)
        found = [number for number, text in posts.items() if text.startswith(action.key)]
        return Receipt.of(action, ReceiptState.ADOPTED, remote_id=found[0]) if found else None

    def apply(self, action: Action, writer: Any) -> Receipt:
        answer = self._sent("POST", {"key": action.key, "text": action.text("text")}, writer)
        if answer.status != 201:
            raise RelmanError(f"the board answered {answer.status}: {answer.content[:200].decode()}")
        return Receipt.of(action, ReceiptState.DONE, remote_id=json.loads(answer.content)["id"])

    def verify(self, action: Action, receipt: Receipt, reader: Any) -> None:
        posts = json.loads(reader.get(reader.settings(BoardSettings).url).content)
        if posts.get(receipt.remote_id) != f"{action.key} {action.text('text')}":
            raise RelmanError("the board says something else")

    def edit(self, action: Action, receipt: Receipt, writer: Any) -> Receipt | None:
        self._sent("PUT", {"id": receipt.remote_id, "key": action.key, "text": action.text("text")}, writer)
        return receipt

    def undo(self, action: Action, receipt: Receipt, writer: Any) -> Receipt | None:
        self._sent("DELETE", {"id": receipt.remote_id}, writer)
        return receipt

    def _sent(self, method: str, body: object, writer: Any) -> Any:
        settings = writer.settings(BoardSettings)
        headers = {"Authorization": f"Bearer {writer.reveal(settings.token)}"}
        return writer.send(method, settings.url, content=json.dumps(body).encode(), headers=headers)


def board_actions(context: Any) -> Iterator[Action]:
    for settings in context.settings(BoardSettings):
        key = action_key(context.release.id, f"board:{settings.name}")
        yield Action("board", Stage.ANNOUNCE, key, f"board:{settings.name}", (), settings.name, False, {"text": "x"})


def board_world(executor: object, actions: Callable[[Any], Iterator[Action]] = board_actions) -> World:
    @contextmanager
    def world(folder: Path) -> Iterator[Trial]:
        board = Board()
        plugin = SimpleNamespace(
            relman_settings=lambda: [Slot("announce", "board", BoardSettings)],
            relman_actions=actions,
            relman_executors=lambda: [executor],
        )
        with Scripted(board.answer) as server:
            table = f'[[announce]]\ntype = "board"\nurl = "{server.url}/b"\ntoken = {{ env = "TOKEN" }}\n'
            environ = {"TOKEN": "composed-board-token"}
            with channel_trial(
                plugin, table, folder=folder, environ=environ, effects=lambda: len(board.posts)
            ) as trial:
                yield trial

    return world


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_right_executor_passes(rule: Rule, tmp_path: Path) -> None:
    rule(making(board_world(BoardExecutor()), tmp_path))


class Blind(BoardExecutor):
    """Says that nothing is there, whatever is."""

    def probe(self, action: Action, reader: Any) -> Receipt | Unknown | None:
        return None


class PostsWhenAsked(BoardExecutor):
    """Writes while it should only look."""

    def probe(self, action: Action, reader: Any) -> Receipt | Unknown | None:
        reader.http.send("POST", reader.settings(BoardSettings).url, content=b'{"key": "", "text": ""}')
        return None


class TakesAnyAnswer(BoardExecutor):
    """Never looks at the status."""

    def apply(self, action: Action, writer: Any) -> Receipt:
        self._sent("POST", {"key": action.key, "text": action.text("text")}, writer)
        found = self.probe(action, writer)
        return (
            replace(found, state=ReceiptState.DONE)
            if isinstance(found, Receipt)
            else Receipt.of(action, ReceiptState.DONE)
        )

    def verify(self, action: Action, receipt: Receipt, reader: Any) -> None:
        pass


class EditsByPosting(BoardExecutor):
    """Posts the correction beside what it corrects."""

    def edit(self, action: Action, receipt: Receipt, writer: Any) -> Receipt | None:
        self.apply(action, writer)
        return receipt


class WithdrawsOnce(BoardExecutor):
    """Fails where there is nothing left to withdraw."""

    def undo(self, action: Action, receipt: Receipt, writer: Any) -> Receipt | None:
        if self.probe(action, writer) is None:
            raise RelmanError("it is gone")
        return super().undo(action, receipt, writer)


class Talks(BoardExecutor):
    """Has the token in what it remembers."""

    def apply(self, action: Action, writer: Any) -> Receipt:
        token = writer.reveal(writer.settings(BoardSettings).token)
        return replace(super().apply(action, writer), url=f"https://example.org/?{token}")


class SaysNoReason(BoardExecutor):
    def probe(self, action: Action, reader: Any) -> Receipt | Unknown | None:
        return Unknown("")


def planned_with_the_secret(context: Any) -> Iterator[Action]:
    for action in board_actions(context):
        yield replace(action, payload={"text": "composed-board-token"})


NUMBERS = count()


def planned_by_chance(context: Any) -> Iterator[Action]:
    for action in board_actions(context):
        yield replace(action, payload={"text": f"{next(NUMBERS)}"})


@pytest.mark.parametrize(
    ("executor", "actions", "broken"),
    [
        (Blind(), board_actions, "killed_anywhere_it_is_there_once"),
        (Blind(), board_actions, "done_again_it_is_there_once"),
        (PostsWhenAsked(), board_actions, "planning_writes_nothing"),
        (SaysNoReason(), board_actions, "planning_writes_nothing"),
        (TakesAnyAnswer(), board_actions, "refused_it_is_not_done_and_can_be_done_later"),
        (EditsByPosting(), board_actions, "edited_twice_it_is_there_once"),
        (WithdrawsOnce(), board_actions, "withdrawn_twice_is_withdrawn"),
        (Talks(), board_actions, "no_secret_is_in_any_output"),
        (BoardExecutor(), planned_with_the_secret, "a_plan_is_data"),
        (BoardExecutor(), planned_by_chance, "a_plan_is_data"),
    ],
    ids=lambda each: each if isinstance(each, str) else getattr(each, "__name__", type(each).__name__),
)
def test_a_wrong_executor_does_not(
    executor: object, actions: Callable[[Any], Iterator[Action]], broken: str, tmp_path: Path
) -> None:
    (rule,) = (rule for rule in RULES if rule.__name__ == broken)

    with pytest.raises(AssertionError):
        rule(making(board_world(executor, actions), tmp_path))
