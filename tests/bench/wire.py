"""HTTP/1.1 over sockets, far away: one thread, no library between it and the kernel, so that it costs little.

What is measured is the client, on the same cores. `http.server` takes a thread for each connection, reads headers as if
they were mail, and is late when thirty requests come at once. This reads no more than registries' clients send:
requests with a length, one after the other on a connection that is kept.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from http import HTTPStatus
from pathlib import Path

from tests.bench.distance import Counts

_READ = 256 * 1024
_TLS = b"\x16"
"""What TLS begins with: skopeo tries that first, and waits for ten seconds where nobody says that it is not spoken."""
_AT_ONCE = 128 * 1024
"""Bytes of a file that are sent before it is another connection's turn."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; names of headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Answer:
    """What is answered: ``body``, or ``file`` from the first to the second byte of ``part``."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    part: tuple[int, int] = (0, 0)

    @cached_property
    def head(self) -> bytes:
        """Status and headers as they are sent."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if "content-length" not in map(str.lower, self.headers):  # an answer to HEAD has that of what GET would bring
            lines.append(f"Content-Length: {self.part[1] - self.part[0] if self.file else len(self.body)}")
        return "\r\n".join((*lines, "\r\n")).encode("latin-1")


@dataclass
class Link:
    """What all connections share: how far away they are, in seconds, and what came over them."""

    round_trip: float = 0
    counts: Counts = field(default_factory=Counts)


Answering = Callable[[Request], Answer | asyncio.Future[Answer]]
"""Called when a request has arrived, so that its answer is there when the round trip is over."""


class Listener:
    """Accepts connections on a free port of loopback, as long as ``loop`` runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link, answering: Answering) -> None:
        self._loop, self._link, self._answering = loop, link, answering
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._socket.setblocking(False)
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        while True:  # all that wait
            try:
                accepted, _ = self._socket.accept()
            except BlockingIOError:
                return
            self._link.counts.connections += 1
            Connection(self._loop, self._link, self._answering, accepted)

    def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()


class Connection:
    """One connection: two round trips after it was accepted it is read from; each request waits for one more.

    TCP and TLS are what the first two stand for. They run from the beginning: a client that opens a connection before
    it has something to ask gains by that, as it does in reality.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: Link, answering: Answering, accepted: socket.socket
    ) -> None:
        self._loop, self._link, self._answering, self._socket = loop, link, answering, accepted
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = bytearray()
        self._output = memoryview(b"")
        self._body = 0  # bytes of a body from memory, which are counted when all have left
        self._file, self._at, self._until = -1, 0, 0
        self._answered = True  # the next request is taken only then: answers keep their order
        self._writing = self._last = self._ended = False
        self._after(2 * link.round_trip, self._open)

    def _after(self, delay: float, call: Callable[[], None]) -> None:
        if delay > 0:
            self._loop.call_later(delay, call)
        else:
            call()

    def _open(self) -> None:
        self._loop.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        try:
            read = self._socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            read = b""
        if read:
            self._input += read
            self._next()
        else:  # what was asked before is still answered
            self._ended = True
            self._loop.remove_reader(self._socket)
            if self._answered:
                self._close()

    def _next(self) -> None:
        if not self._answered or self._ended:
            return
        try:
            request = self._taken()
        except ValueError:
            self._last = True
            self._send(Request("", "", {}), Answer(400))
            return
        if request is None:
            return
        self._answered = False
        self._link.counts.first = self._link.counts.first or time.perf_counter()
        due = self._loop.time() + self._link.round_trip
        answer = self._answering(request)
        if isinstance(answer, Answer):
            self._after(due - self._loop.time(), partial(self._send, request, answer))
        else:
            answer.add_done_callback(
                lambda done: self._after(due - self._loop.time(), partial(self._send, request, done.result()))
            )

    def _taken(self) -> Request | None:
        """The next request, where all of it is there. Raises `ValueError` for what is none."""
        end = self._input.find(b"\r\n\r\n")
        if end < 0:
            if self._input[:1] == _TLS:
                raise ValueError("no HTTP")
            return None
        request = _read(self._input[:end].decode("latin-1"))
        begin, size = end + 4, int(request.headers.get("content-length", 0))
        if len(self._input) < begin + size:
            if request.headers.get("expect", "").lower() == "100-continue" and len(self._input) == begin:
                self._socket.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body = bytes(self._input[begin : begin + size])
        del self._input[: begin + size]
        self._last = request.headers.get("connection", "").lower() == "close"
        return replace(request, body=body) if body else request

    def _send(self, request: Request, answer: Answer) -> None:
        self._answered = False
        plain = request.method != "HEAD"
        self._output = memoryview(answer.head + answer.body if plain else answer.head)
        self._body = len(answer.body) if plain else 0
        if answer.file is not None and plain:
            self._file = os.open(answer.file, os.O_RDONLY)
            self._at, self._until = answer.part
        self._flush()

    def _flush(self) -> None:
        """Send what the kernel takes; it is called again when it takes more."""
        try:
            while self._output:  # a head goes in one packet with the beginning of its file
                sent = self._socket.send(self._output, socket.MSG_MORE if self._at < self._until else 0)
                self._output = self._output[sent:]
            if self._at < self._until:
                sent = os.sendfile(self._socket.fileno(), self._file, self._at, min(_AT_ONCE, self._until - self._at))
                if not sent:
                    raise OSError("the file is shorter than it was")
                self._at += sent
                self._link.counts.sent += sent
        except BlockingIOError:
            pass
        except OSError:  # who has read enough hangs up
            self._close()
            return
        if self._output or self._at < self._until:
            self._wait_to_write()
        else:
            self._done()

    def _wait_to_write(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._flush)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _done(self) -> None:
        self._link.counts.sent += self._body
        self._stop_writing()
        self._answered = True
        if self._last or self._ended:
            self._close()
        elif self._input:
            self._loop.call_soon(self._next)

    def _close(self) -> None:
        self._stop_writing()
        self._loop.remove_reader(self._socket)
        self._ended = True
        self._socket.close()


def _read(head: str) -> Request:
    """The request of a head without its last empty line."""
    first, *lines = head.split("\r\n")
    method, target, version = first.split(" ")
    if version != "HTTP/1.1":
        raise ValueError(version)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(line)
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value  # skopeo says Accept for each type
    if "transfer-encoding" in headers:
        raise ValueError("a body whose length is not said")
    return Request(method, target, headers)
