"""The benchmark's own parts: the connections of its front, by a clock that stands still, and what its table says."""

from __future__ import annotations

import asyncio
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import measure, report
from tests.bench.distance import Counts
from tests.bench.ghcr import span
from tests.bench.measure import Row, Run, compile_relman, surroundings
from tests.bench.wire import Answer, Connection, Link, Request

AWAY = 0.04


class Hours(asyncio.SelectorEventLoop):
    """A loop whose time passes only by `pass_on`."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def pass_on(self, seconds: float) -> None:
        """Everything until then happens in its order."""
        until = self.now + seconds
        while (due := min((handle.when() for handle in self._timers()), default=until)) <= until:
            self.now = max(self.now, due)
            self._settle()
            if due == until:
                break
        self.now = until
        self._settle()

    def _timers(self) -> list[asyncio.TimerHandle]:
        timers: list[asyncio.TimerHandle] = vars(self)["_scheduled"]
        return timers

    def _settle(self) -> None:
        for _ in range(10):
            self.call_soon(self.stop)
            self.run_forever()


@pytest.fixture
def loop() -> Iterator[Hours]:
    loop = Hours()
    yield loop
    loop.close()


class Client:
    """The other side of a connection, and what was answered so far."""

    def __init__(
        self, loop: Hours, link: Link, answering: Callable[[Request], Answer | asyncio.Future[Answer]]
    ) -> None:
        self._loop = loop
        self._socket, theirs = socket.socketpair(socket.AF_UNIX)
        self._socket.setblocking(False)
        Connection(loop, link, answering, theirs)

    def ask(self, *targets: str, method: str = "GET", more: str = "") -> None:
        self._socket.send("".join(f"{method} {target} HTTP/1.1\r\n{more}\r\n" for target in targets).encode())
        self._loop.pass_on(0)

    def heard(self) -> bytes:
        self._loop.pass_on(0)
        try:
            return self._socket.recv(1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def link() -> Link:
    return Link(AWAY)


def echo(request: Request) -> Answer:
    return Answer(body=request.target.encode())


def answered(*targets: str) -> bytes:
    return b"".join(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(t), t.encode()) for t in targets)


@pytest.fixture(autouse=True)
def no_nagle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket pair is no TCP, and has nothing to switch off."""
    monkeypatch.setattr(socket, "TCP_NODELAY", socket.SO_REUSEADDR)
    monkeypatch.setattr(socket, "IPPROTO_TCP", socket.SOL_SOCKET)


def test_a_new_connection_waits_for_two_round_trips_and_each_request_for_one(loop: Hours, link: Link) -> None:
    client = Client(loop, link, echo)
    client.ask("/a")

    loop.pass_on(3 * AWAY - 0.001)
    assert client.heard() == b""
    loop.pass_on(0.001)
    assert client.heard() == answered("/a")

    client.ask("/b")
    loop.pass_on(AWAY - 0.001)
    assert client.heard() == b""
    loop.pass_on(0.001)
    assert client.heard() == answered("/b")


def test_what_a_connection_takes_to_be_made_runs_before_anything_is_asked(loop: Hours, link: Link) -> None:
    client = Client(loop, link, echo)
    loop.pass_on(2 * AWAY)
    client.ask("/a")

    loop.pass_on(AWAY)

    assert client.heard() == answered("/a")


def test_connections_are_made_beside_each_other(loop: Hours, link: Link) -> None:
    first = Client(loop, link, echo)
    first.ask("/a")
    loop.pass_on(AWAY)
    second = Client(loop, link, echo)
    second.ask("/b")

    loop.pass_on(2 * AWAY)
    assert (first.heard(), second.heard()) == (answered("/a"), b"")
    loop.pass_on(AWAY)
    assert second.heard() == answered("/b")


def test_answers_keep_their_order_on_a_connection_and_wait_one_after_the_other(loop: Hours, link: Link) -> None:
    later: asyncio.Future[Answer] = loop.create_future()
    client = Client(loop, link, lambda request: later if request.target == "/slow" else echo(request))
    loop.pass_on(2 * AWAY)
    client.ask("/slow", "/b")

    loop.pass_on(5 * AWAY)
    assert client.heard() == b""
    later.set_result(Answer(body=b"/slow"))
    assert client.heard() == answered("/slow")
    loop.pass_on(AWAY)
    assert client.heard() == answered("/b")


def test_an_answer_that_comes_by_a_thread_within_the_round_trip_is_not_later_for_it(loop: Hours, link: Link) -> None:
    later: asyncio.Future[Answer] = loop.create_future()
    client = Client(loop, link, lambda _: later)
    loop.pass_on(2 * AWAY)
    client.ask("/a")
    loop.pass_on(AWAY / 2)
    later.set_result(Answer(body=b"/a"))

    loop.pass_on(AWAY / 2 - 0.001)
    assert client.heard() == b""
    loop.pass_on(0.001)
    assert client.heard() == answered("/a")


def test_an_answer_to_head_has_the_length_and_no_body(loop: Hours) -> None:
    client = Client(loop, link := Link(), echo)

    client.ask("/abc", method="HEAD")

    assert client.heard() == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    assert link.counts.sent == 0


def test_a_body_that_arrives_in_pieces_is_one_request(loop: Hours) -> None:
    asked: list[Request] = []
    client = Client(loop, Link(), lambda request: asked.append(request) or Answer(201))  # type: ignore[func-returns-value]

    client.ask("/a", method="PUT", more="Content-Length: 6\r\nExpect: 100-continue\r\nACCEPT: a\r\nAccept: b\r\n")
    assert client.heard() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client._socket.send(b"abc")
    assert client.heard() == b""
    client._socket.send(b"def")

    assert client.heard().startswith(b"HTTP/1.1 201 Created\r\n")
    assert [(one.method, one.body, one.headers["accept"]) for one in asked] == [("PUT", b"abcdef", "a, b")]


def test_a_client_that_greets_in_tls_is_told_at_once(loop: Hours) -> None:
    client = Client(loop, Link(), echo)

    client._socket.send(b"\x16\x03\x01\x02\x00\x01\x00")

    assert client.heard().startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("said", ["nonsense", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked", "GET / HTTP/1.1\r\nno"])
def test_what_is_no_request_of_a_registrys_client_is_refused(loop: Hours, said: str) -> None:
    client = Client(loop, Link(), echo)

    client._socket.send(f"{said}\r\n\r\n".encode())

    assert client.heard().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert client.heard() == b""


def test_only_bytes_that_left_are_counted_and_others_have_their_turn(loop: Hours, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(50_000_000))
    large, link = Answer(file=tmp_path / "blob", part=(10, 50_000_000)), Link()
    greedy = Client(loop, link, lambda _: large)
    greedy.ask("/large")  # and reads nothing
    other = Client(loop, link, echo)

    other.ask("/a")

    assert other.heard() == answered("/a")
    stuck = link.counts.sent
    assert 0 < stuck < 10_000_000
    greedy.close()
    loop.pass_on(1)
    assert link.counts.sent == stuck


def test_a_part_of_a_file_is_sent(loop: Hours, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"0123456789")
    client = Client(loop, link := Link(), lambda _: Answer(206, file=tmp_path / "blob", part=(2, 5)))

    client.ask("/blob", "/blob")

    assert client.heard() == b"HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\n234" * 2
    assert link.counts.sent == 6


@pytest.mark.parametrize(
    ("header", "part"),
    [(None, (0, 10)), ("bytes=0-", (0, 10)), ("bytes=2-4", (2, 5)), ("bytes=8-99", (8, 10)), ("bytes=-3", (7, 10))],
)
def test_ranges(header: str | None, part: tuple[int, int]) -> None:
    assert span(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=5-4", "bytes=-0", "lines=1-2"])
def test_a_range_outside_of_the_file_is_none(header: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        span(header, 10)


def row(*walls: float) -> Row:
    return Row("own", 10, AWAY, [Run(wall, 0.5, 1, 10**6, 1, Counts(), 0) for wall in walls])


def test_the_table_has_the_median_and_how_far_the_runs_are_apart() -> None:
    head, _, three, one = report.table([row(3, 1, 2), row(1)], spread=True).splitlines()

    assert head.startswith("| case | N | ms away | wall s | min-max | start-up s |")
    assert three.startswith("| own | 10 | 40 | 2.00 | 1.00–3.00 | 0.50 |")
    assert one.startswith("| own | 10 | 40 | 1.00 | – | 0.50 |")


def test_one_run_has_no_spread() -> None:
    head, *_ = report.table([row(1)], spread=False).splitlines()

    assert "min-max" not in head


def test_relman_is_measured_as_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    assert not [name for name in surroundings(tmp_path, tmp_path) if name.startswith("PYTHON")]


def test_that_it_could_not_be_compiled_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text("def")
    monkeypatch.setattr(measure, "installed", lambda: [str(tmp_path)])

    compile_relman()

    assert "bench: relman could not be compiled" in capsys.readouterr().err
    (tmp_path / "broken.py").write_text("whole = True")
    compile_relman()
    assert capsys.readouterr().err == ""
    assert list(tmp_path.glob("__pycache__/broken.*.pyc"))


def test_a_page_of_no_tags_is_wrong_usage() -> None:
    argv = [sys.executable, "-m", "tests.bench", "--page", "0"]
    done = subprocess.run(argv, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "--page" in done.stderr
