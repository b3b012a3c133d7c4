"""What an executor is handed of one channel: its settings, its secrets, HTTP, and files that are whole or not there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from relman import redaction
from relman.channel import Channel
from relman.config import ChannelTable
from relman.errors import AnswerLost, ConfigError, Passing, RelmanError, Unequipped
from relman.http import Client, Retry
from relman.redaction import redact
from relman.settings import Secret
from relman_plugins.announce.webhook import WebhookSettings
from tests.servers import Asked, Reply, Scripted, free_port, in_turn
from tests.walking import MONDAY


@pytest.fixture
def http() -> Iterator[Client]:
    with Client(retry=Retry(attempts=3, connections=2, wait_initial=0, wait_jitter=0)) as client:
        yield client


def channel(
    http: Client, folder: Path, table: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> Channel:
    entries = {"type": "webhook", "url": "https://a.example", **(table or {})}
    return Channel(ChannelTable("announce", "webhook", "hook", (), False, entries), folder, http, MONDAY, environ or {})


# ------------------------------------------------------------------------------------------- settings, secrets


def test_settings_are_the_table_with_the_environment_filled_in(http: Client, tmp_path: Path) -> None:
    found = channel(http, tmp_path, {"url": {"env": "URL"}, "secret": {"env": "KEY"}}, {"URL": "https://b.example"})

    assert found.settings(WebhookSettings) == WebhookSettings(
        type="webhook", url="https://b.example", secret=Secret(env="KEY")
    )


def test_a_wrong_value_of_the_environment_is_an_error_that_names_the_channel(http: Client, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="channel `hook` is not configured right") as caught:
        channel(http, tmp_path, {"url": {"env": "URL"}}, {"URL": "gopher://x"}).settings(WebhookSettings)

    assert "url" in caught.value.problems[0]


def test_a_secret_is_read_where_it_is_used_and_hidden_from_then_on(
    http: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "_known", set())

    assert channel(http, tmp_path, environ={"KEY": "composed-secret"}).reveal(Secret(env="KEY")) == "composed-secret"
    assert redact("a composed-secret b") == "a …redacted… b"


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_a_secret_that_is_not_set_is_missing_equipment(environ: dict[str, str], http: Client, tmp_path: Path) -> None:
    with pytest.raises(Unequipped, match="channel `hook` needs the environment variable `KEY`") as caught:
        channel(http, tmp_path, environ=environ).reveal(Secret(env="KEY"))

    assert caught.value.exit_code == 7


def test_only_a_secret_can_be_revealed(http: Client, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        channel(http, tmp_path, environ={"KEY": "x"}).reveal("KEY")


# ---------------------------------------------------------------------------------------------------- HTTP


def test_reading_is_repeated_and_any_status_is_an_answer(http: Client, tmp_path: Path) -> None:
    with Scripted(in_turn(Reply(500), Reply(reset=True), Reply(404, {"X-Why": "gone"}, b"no"))) as server:
        answer = channel(http, tmp_path).get(f"{server.url}/a", headers={"X-Key": "v"})

    assert (answer.status, answer.headers["x-why"], answer.content) == (404, "gone", b"no")
    assert [(asked.line, asked.headers["x-key"]) for asked in server.asked] == [("GET /a", "v")] * 3


def test_a_body_is_cut_at_one_mebibyte(http: Client, tmp_path: Path) -> None:
    with Scripted(lambda asked: Reply(200, {}, b"x" * (2 << 20))) as server:
        assert len(channel(http, tmp_path).get(server.url).content) == 1 << 20


def test_what_changes_something_is_sent_once_and_its_answer_whatever_it_is_handed_on(
    http: Client, tmp_path: Path
) -> None:
    with Scripted(lambda asked: Reply(500, {}, b"oops")) as server:
        answer = channel(http, tmp_path).send("POST", f"{server.url}/in", content=b"body", headers={"A": "b"})

    assert (answer.status, answer.content) == (500, b"oops")
    (asked,) = server.asked
    assert (asked.line, asked.body, asked.headers["a"]) == ("POST /in", b"body", "b")


@pytest.mark.parametrize("reply", [Reply(reset=True), Reply(200, {"Content-Length": "9"}, b"x" * 9, cut=3)])
def test_a_lost_answer_is_told_and_nothing_is_sent_again(reply: Reply, http: Client, tmp_path: Path) -> None:
    with Scripted(lambda asked: reply) as server, pytest.raises(AnswerLost):
        channel(http, tmp_path).send("POST", server.url, content=b"body")

    assert len(server.asked) == 1


def test_what_was_surely_not_carried_out_is_sent_again(http: Client, tmp_path: Path) -> None:
    busy = Reply(429, {"Retry-After": "0"})
    with Scripted(in_turn(busy, Reply(503, {"Retry-After": "0"}), Reply(204))) as server:
        assert channel(http, tmp_path).send("POST", server.url, content=b"body").status == 204

    assert len(server.asked) == 3


def test_a_server_that_is_not_there_is_a_passing_failure(http: Client, tmp_path: Path) -> None:
    with pytest.raises(Passing) as caught:
        channel(http, tmp_path).send("POST", f"http://127.0.0.1:{free_port()}", content=b"body")

    assert caught.value.exit_code == 75


def test_the_timeout_of_the_table_bounds_a_wait(http: Client, tmp_path: Path) -> None:
    ended = threading.Event()

    def wait(asked: Asked) -> Reply:
        ended.wait(20)
        return Reply()

    with Scripted(wait) as server:
        try:
            with pytest.raises(AnswerLost):
                channel(http, tmp_path, {"timeout": "1s"}).send("POST", server.url, content=b"x")
        finally:
            ended.set()


# --------------------------------------------------------------------------------------------------- files


def test_files_lie_below_the_configurations_folder(http: Client, tmp_path: Path) -> None:
    found = channel(http, tmp_path)
    assert found.read_file("news/a.md") is None

    found.write_file("news/a.md", "ä".encode())

    assert (tmp_path / "news" / "a.md").read_text(encoding="utf-8") == "ä"
    assert found.read_file("news/a.md") == "ä".encode()
    assert [path.name for path in (tmp_path / "news").iterdir()] == ["a.md"]
    assert (tmp_path / "news" / "a.md").stat().st_mode & 0o777 == 0o644


def test_a_file_is_replaced_whole_or_not_at_all(http: Client, tmp_path: Path) -> None:
    found = channel(http, tmp_path)
    found.write_file("a.md", b"before")
    os.link(tmp_path / "a.md", tmp_path / "kept")

    found.write_file("a.md", b"after")

    assert ((tmp_path / "a.md").read_bytes(), (tmp_path / "kept").read_bytes()) == (b"after", b"before")


def test_a_place_that_cannot_be_written_or_read_is_an_error_and_leaves_nothing_behind(
    http: Client, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder" / "a.md").mkdir(parents=True)
    found = channel(http, tmp_path)

    for path in ("file/a.md", "folder/a.md"):
        with pytest.raises(RelmanError, match=f"cannot write `{path}`"):
            found.write_file(path, b"y")
    with pytest.raises(RelmanError, match=r"cannot read `folder/a\.md`"):
        found.read_file("folder/a.md")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a.md"]
