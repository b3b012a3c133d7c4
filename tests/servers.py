"""Servers for the tests, on loopback and free ports: real registries, one that answers by script, and a front
that stands before the real one as GHCR does (tokens, a CDN for blobs) and breaks things when it is told to.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """A docker-registry that keeps its data below ``folder``; yields ``127.0.0.1:PORT``."""
    with serving(folder, _docker_registry_command) as host:
        yield host


@contextmanager
def olareg(folder: Path) -> Iterator[str]:
    """An olareg, which lists referrers by API, with its data below ``folder``; yields ``127.0.0.1:PORT``."""
    with serving(folder, _olareg_command) as host:
        yield host


def _docker_registry_command(folder: Path, port: int) -> list[str]:
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: composed}}\n"
    )
    return ["docker-registry", "serve", str(config)]


def _olareg_command(folder: Path, port: int) -> list[str]:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    address = ["--addr", "127.0.0.1", "--port", str(port), "--dir", str(data)]
    return ["olareg", "serve", *address, "--api-delete", "--gc-frequency", "-1s"]


Command = Callable[[Path, int], list[str]]


@contextmanager
def serving(folder: Path, command: Command, *, patience: float = 10) -> Iterator[str]:
    """A program that listens within ``patience`` seconds, ``127.0.0.1:PORT``; what it says is in the folder's `log`."""
    found = next(filter(None, (_started(folder, command, patience) for _ in range(3))), None)
    if found is None:
        raise RuntimeError(f"the server ended: {(folder / 'log').read_text()[-3000:]}")
    server, port = found
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def _started(folder: Path, command: Command, patience: float) -> tuple[subprocess.Popen[bytes], int] | None:
    """The server and its port; `None` where it ended at once, as it does when somebody else took the port meanwhile."""
    port = free_port()
    argv = command(folder, port)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log)
    for _ in range(int(patience / 0.05)):
        if server.poll() is not None:
            return None
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, port
        time.sleep(0.05)
    server.kill()
    raise RuntimeError(f"{argv[0]} does not listen")


@dataclass(frozen=True)
class Asked:
    """A request as a server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Reply:
    """What to answer. ``cut`` sends only so many bytes of the body; ``reset`` drops the connection in place of all.

    ``file`` is sent in place of the body, from the first to the second byte of ``part``. With ``drip`` each byte of the
    body is sent alone, so many seconds after the one before.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    reset: bool = False
    file: Path | None = None
    part: tuple[int, int] = (0, 0)
    drip: float = 0

    @property
    def size(self) -> int:
        return self.part[1] - self.part[0] if self.file else len(self.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # five would let a burst of connections wait for a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | ssl.SSLError):  # who has read enough hangs up
            super().handle_error(request, client_address)


class Scripted:
    """Answers what ``answer`` says, and remembers what it was asked.

    ``on_connection`` is called before a connection's first request, ``on_sent`` with the bytes of a file that left.
    With ``tls`` it speaks that.
    """

    remembers = True
    on_connection: Callable[[], None] | None = None
    on_sent: Callable[[int], None] | None = None

    def __init__(self, answer: Callable[[Asked], Reply], *, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.scheme = "https" if tls else "http"
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                if outer.on_connection is not None:
                    outer.on_connection()

            def _any(self) -> None:
                outer._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:  # the greeting is left to the connection's thread: who stays silent blocks nobody
            plain = self._server.socket
            self._server.socket = tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("Content-Length") or 0)
        headers: dict[str, str] = {}
        for name, value in handler.headers.items():
            known = headers.get(name.lower())
            headers[name.lower()] = f"{known}, {value}" if known else value  # skopeo says Accept once for each type
        asked = Asked(handler.command, handler.path, headers, handler.rfile.read(size))
        if len(asked.body) < size:  # the client gave up in the middle
            handler.close_connection = True
            return
        if self.remembers:
            self.asked.append(asked)
        reply = self.answer(asked)
        if reply.reset:
            _reset(handler.connection)
            handler.close_connection = True
            return
        handler.send_response_only(reply.status)
        sent = {name.lower() for name in reply.headers}
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if "content-length" not in sent:
            handler.send_header("Content-Length", str(reply.size))
        handler.end_headers()
        if reply.file is not None:
            with reply.file.open("rb") as file, suppress(ConnectionError):
                try:
                    handler.connection.sendfile(file, reply.part[0], reply.size)
                finally:
                    if self.on_sent is not None:
                        self.on_sent(file.tell() - reply.part[0])
        elif reply.drip and handler.command != "HEAD":
            _drip(handler, reply)
        elif handler.command != "HEAD":
            handler.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
        if reply.cut is not None:
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True


def _drip(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Byte by byte, until the client has had enough."""
    with suppress(OSError):
        for number in range(len(reply.body)):
            handler.wfile.write(reply.body[number : number + 1])
            handler.wfile.flush()
            time.sleep(reply.drip)
        return
    handler.close_connection = True


def _reset(connection: socket.socket) -> None:
    """Close with RST, as a server that dies does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def in_turn(*replies: Reply) -> Callable[[Asked], Reply]:
    """One after the other; the last one for ever."""
    left = list(replies)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


Fault = Callable[[Asked, Callable[[], Reply]], Reply | None]
"""What a front does in place of forwarding (the second argument forwards), or `None` to leave a request alone."""


def once(pattern: str, act: Callable[[Callable[[], Reply]], Reply], *, times: int = 1) -> Fault:
    """A fault for the first ``times`` requests whose ``METHOD path`` matches."""
    left = [times]

    def fault(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        if left[0] <= 0 or not re.search(pattern, asked.line):
            return None
        left[0] -= 1
        return act(forward)

    return fault


class Front(Scripted):
    """A proxy before a registry. With ``users`` it demands Bearer tokens; with ``cdn`` blobs are redirected there.

    Anonymous tokens allow to pull; a user's to push as well. Tokens are good for ``uses`` requests.
    """

    def __init__(
        self, upstream: str, *, users: dict[str, str] | None = None, cdn: bool = False, uses: int = 10**9
    ) -> None:
        self.upstream = upstream
        self.users = users
        self.faults: list[Fault] = []
        self.uses = uses
        self.tokens: dict[str, tuple[set[str], list[int]]] = {}
        self.token_requests: list[Asked] = []
        self.leaks: list[Asked] = []
        self._lock = threading.Lock()
        self.cdn = Scripted(self._at_cdn) if cdn else None
        super().__init__(self._at_front)

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        if self.cdn is not None:
            self.cdn.__exit__()

    def _at_cdn(self, asked: Asked) -> Reply:
        if "authorization" in asked.headers:
            self.leaks.append(asked)
            return Reply(400)
        path = urlsplit(asked.path).path
        forward = lambda: self._forward(Asked(asked.method, path, asked.headers, b""))  # noqa: E731
        return self._faulty(Asked(f"CDN-{asked.method}", path, asked.headers, b""), forward)

    def _at_front(self, asked: Asked) -> Reply:
        if urlsplit(asked.path).path == "/token":
            return self._token(asked)
        if self.users is not None and not self._allowed(asked):
            name = _repository(asked.path)
            scope = f"repository:{name}:{'pull' if asked.method in ('GET', 'HEAD') else 'pull,push'}"
            challenge = f'Bearer realm="{self.url}/token",service="front",scope="{scope}"'
            return Reply(401, {"WWW-Authenticate": challenge}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
        if self.cdn is not None and asked.method in ("GET", "HEAD") and "/blobs/sha" in asked.path:
            return Reply(307, {"Location": f"{self.cdn.url}{asked.path}?X-Amz-Signature=composed"})
        return self._faulty(asked, lambda: self._forward(asked))

    def _faulty(self, asked: Asked, forward: Callable[[], Reply]) -> Reply:
        for fault in self.faults:
            reply = fault(asked, forward)
            if reply is not None:
                return reply
        return forward()

    def _token(self, asked: Asked) -> Reply:
        self.token_requests.append(asked)
        user = None
        if basic := asked.headers.get("authorization"):
            name, _, password = base64.b64decode(basic.removeprefix("Basic ")).decode().partition(":")
            if (self.users or {}).get(name) != password:
                return Reply(401)
            user = name
        scopes = parse_qs(urlsplit(asked.path).query).get("scope", [])
        granted = {scope if user else scope.replace("pull,push", "pull") for scope in scopes}
        with self._lock:
            token = f"composed-token-{len(self.tokens)}"
            self.tokens[token] = (granted, [self.uses])
        return Reply(200, {}, json.dumps({"token": token, "expires_in": 300}).encode())

    def _allowed(self, asked: Asked) -> bool:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        with self._lock:
            scopes, left = self.tokens.get(token, (set(), [0]))
            left[0] -= 1
            if left[0] < 0:
                return False
        name = _repository(asked.path)
        wanted = {f"repository:{name}:pull,push"}
        if asked.method in ("GET", "HEAD"):
            wanted.add(f"repository:{name}:pull")
        return bool(wanted & scopes)

    def _forward(self, asked: Asked) -> Reply:
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        headers = {n: v for n, v in asked.headers.items() if n not in ("host", "authorization", "connection")}
        try:
            connection.request(asked.method, asked.path, asked.body, headers)
            answer = connection.getresponse()
            kept = {n: v for n, v in answer.getheaders() if n.lower() not in ("transfer-encoding", "connection")}
            if "Location" in kept:
                kept["Location"] = kept["Location"].replace(f"http://{self.upstream}", self.url)
            return Reply(answer.status, kept, answer.read())
        finally:
            connection.close()


def _repository(path: str) -> str:
    found = re.match(r"/v2/(.+?)/(?:manifests|blobs|tags|referrers)/", path)
    return found[1] if found else ""
