"""One dead service holds nothing up for longer than its limit: whatever it sends, however slowly, however often."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from relman.channel import Channel, ReadingChannel
from relman.config import ChannelTable
from relman.deadline import Deadline
from relman.errors import AnswerLost, Passing
from relman.http import Client, Retry
from relman.model.record import ReceiptState, RecordState
from relman.testing import MemoryRegistry
from tests.servers import Asked, Reply, Scripted
from tests.walking import MONDAY, World

ENDLESS = 200
"""Bytes that a drip would take ten times the limit for."""


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def channel(client: Client, folder: Path, timeout: str = "1s") -> Channel:
    table = {"type": "webhook", "url": "https://a.example", "timeout": timeout}
    return Channel(ChannelTable("announce", "webhook", "hook", (), False, table), folder, client, MONDAY, {})


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(retry=Retry(attempts=4, wait_initial=0, wait_jitter=0)) as made:
        yield made


@contextmanager
def dripping(head: bytes, drop: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server that sends ``head`` and then ``drop`` again and again; how many drops each connection got."""
    listener = socket.create_server(("127.0.0.1", 0))
    sent: list[int] = []
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        number = len(sent)
        sent.append(0)
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(head)
            while sent[number] < ENDLESS and not over.wait(0.05):
                connection.sendall(drop)
                sent[number] += 1

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", sent
    finally:
        over.set()
        listener.close()


DRIPS = {
    "headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "a body of a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"a"),
    "a body without a length": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"a"),
    "a body in chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_an_answer_that_comes_byte_by_byte_is_cut_off_and_its_fate_is_not_known(
    drip: tuple[bytes, bytes], client: Client, tmp_path: Path
) -> None:
    with dripping(*drip) as (url, sent):
        with pytest.raises(AnswerLost, match="took longer than 1 s in all"):
            channel(client, tmp_path).send("POST", url, content=b"x")

        assert len(sent) == 1
        assert sent[0] < ENDLESS


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_reading_is_cut_off_too_and_not_begun_anew(drip: tuple[bytes, bytes], client: Client, tmp_path: Path) -> None:
    with dripping(*drip) as (url, sent):
        with pytest.raises(Passing, match="took longer than 1 s in all"):
            channel(client, tmp_path).get(url)

        assert len(sent) == 1
        assert sent[0] < ENDLESS


def test_several_requests_of_one_action_share_its_limit(client: Client, tmp_path: Path) -> None:
    with dripping(*DRIPS["headers"]) as (url, sent):
        acting = channel(client, tmp_path)
        for _ in range(3):
            with pytest.raises((AnswerLost, Passing)):
                acting.send("POST", url, content=b"x")

        assert len(sent) == 1


def test_what_is_asked_for_later_than_there_is_time_is_not_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    with (
        Client(retry=Retry(wait_initial=0, wait_jitter=0), clock=clock, sleep=clock.sleep) as client,
        Scripted(lambda asked: Reply(429, {"Retry-After": "40"})) as server,
    ):
        first = client.send("POST", server.url, content=b"x", deadline=Deadline(30, clock))
        with pytest.raises(Passing, match="left alone"):
            client.send("POST", server.url, content=b"x", deadline=Deadline(30, clock))

    assert (first.status, len(server.asked), clock.slept) == (429, 1, [])


def test_a_pause_that_fits_is_kept_and_counts(tmp_path: Path) -> None:
    clock = Clock()
    with (
        Client(retry=Retry(wait_initial=0, wait_jitter=0), clock=clock, sleep=clock.sleep) as client,
        Scripted(lambda asked: Reply(429, {"Retry-After": "20"})) as server,
    ):
        deadline = Deadline(30, clock)
        answer = client.send("POST", server.url, content=b"x", deadline=deadline)

    assert (answer.status, len(server.asked), sum(clock.slept), deadline.left) == (429, 2, 20, 10)


def test_time_between_requests_does_not_count() -> None:
    clock = Clock()
    deadline = Deadline(30, clock)
    with deadline.running():
        clock.now += 10
    clock.now += 1000
    with deadline.running():
        clock.now += 5

        assert (deadline.left, deadline.over) == (15, False)
        clock.now += 100

        assert (deadline.left, deadline.over) == (0, True)


def test_who_answers_in_time_is_not_disturbed(client: Client, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(200, {}, b"b" * 100_000)

    with Scripted(answer) as server:
        acting = channel(client, tmp_path, "30s")
        assert [len(acting.get(server.url).content) for _ in range(5)] == [100_000] * 5
        assert acting.send("POST", server.url, content=b"x").status == 200

    assert isinstance(acting, ReadingChannel)
    assert threading.active_count() < 50


TWO = """\
[changelog]
commits = {{ required = false }}

[[variants]]
name = "os"

[streams.stable]
tags = ["stable"]
versions = ["stable-{{date}}"]

[[announce]]
type = "webhook"
name = "dead"
url = "{dead}"
timeout = "1s"

[[announce]]
type = "webhook"
name = "alive"
url = "{alive}"
"""


def test_a_dead_service_lets_the_others_have_their_turn(tmp_path: Path) -> None:
    world = World(tmp_path, MemoryRegistry())
    with dripping(*DRIPS["headers"]) as (dead, sent), Scripted(lambda asked: Reply(204)) as alive:
        world.configure(TWO.format(dead=dead, alive=alive.url))
        world.push("os", "stable", "stable-20260705")
        with world.walk() as walk:
            record, outcome = walk.apply(walk.plan(walk.config.stream("stable")), lambda action, receipt: None)

        assert outcome
        assert [receipt.state for receipt in outcome.receipts] == [ReceiptState.UNKNOWN, ReceiptState.DONE]
        assert "took longer than 1 s in all" in (outcome.receipts[0].detail or "")
        assert record.state is RecordState.FINISHED
        assert (len(alive.asked), len(sent)) == (1, 1)
        assert sent[0] < ENDLESS
