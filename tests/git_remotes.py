"""Real git repositories for tests: a bare remote with one commit, clones of it, and a server that speaks HTTP."""

from __future__ import annotations

import base64
import gzip
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

_NOBODY = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "A. Composer",
    "GIT_AUTHOR_EMAIL": "composer@example.org",
    "GIT_COMMITTER_NAME": "A. Composer",
    "GIT_COMMITTER_EMAIL": "composer@example.org",
}


def git(folder: Path, *arguments: str, given: bytes | None = None) -> str:
    """What git prints in ``folder``."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, input=given, capture_output=True, check=True, env={**os.environ, **_NOBODY}
    )
    return done.stdout.decode()


def remote(folder: Path) -> Path:
    """A bare repository that has a branch `main` with two commits."""
    bare = folder / "remote.git"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    tree = git(bare, "mktree", given=b"").strip()
    first = git(bare, "commit-tree", tree, "-m", "feat: a beginning").strip()
    second = git(bare, "commit-tree", tree, "-p", first, "-m", "fix: a step").strip()
    git(bare, "update-ref", "refs/heads/main", second)
    return bare


def clone(bare: Path | str, folder: Path, *options: str) -> Path:
    """A clone, as people or (with ``options``) machines make it."""
    address = bare.as_uri() if isinstance(bare, Path) else bare
    git(folder.parent, "clone", "--quiet", *options, address, str(folder))
    return folder


def log(bare: Path, branch: str = "relman/records") -> list[str]:
    """The subjects of a branch, the oldest first; none where there is no such branch."""
    try:
        return git(bare, "log", "--reverse", "--format=%s", f"refs/heads/{branch}").splitlines()
    except subprocess.CalledProcessError:
        return []


@dataclass
class GitServer:
    """git over HTTP, as a forge serves it, which breaks things when it is told to.

    ``pushes`` holds what happens to the next pushes, one each: ``lose`` the answer after it took effect, ``drop`` it
    before, answer with a status, or call something ``before`` or ``after`` it took effect. ``adverts`` are called
    before whoever is about to push is told where the branches are.
    """

    address: str = ""
    password: str | None = None
    pushes: list[str | int | tuple[str, Callable[[], object]]] = field(default_factory=list)
    every: str | int | None = None
    adverts: list[Callable[[], object]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def header(self) -> str:
        """The header that logs in, as actions/checkout writes it into a clone's settings."""
        return "AUTHORIZATION: basic " + base64.b64encode(f"x:{self.password}".encode()).decode()


@contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """A server for the repositories below ``root``, by `git http-backend`."""
    backend = shutil.which("git-http-backend", path=git(root, "--exec-path").strip())
    if backend is None:
        pytest.skip("`git http-backend` is not installed")
    program: str = backend
    told = GitServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self._serve(body)

        def _serve(self, body: bytes) -> None:
            told.asked.append(f"{self.command} {self.path}")
            if told.password and self.headers.get("Authorization") != told.header.partition(": ")[2]:
                return self._answer(401, {"WWW-Authenticate": 'Basic realm="composed"'}, b"")
            push = self.command == "POST" and self.path.endswith("/git-receive-pack")
            fault: Any = None
            if push and len(body) > 4:  # git asks with an empty one first where the real one is long
                fault = told.pushes.pop(0) if told.pushes else told.every
            if fault == "drop":
                return self._reset()
            if isinstance(fault, int):
                return self._answer(fault, {}, b"composed")
            if isinstance(fault, tuple) and fault[0] == "before":
                fault[1]()
            if self.path.endswith("/info/refs?service=git-receive-pack") and told.adverts:
                told.adverts.pop(0)()
            answer = self._backend(body)
            if fault == "lose":
                return self._reset()
            if isinstance(fault, tuple) and fault[0] == "after":
                fault[1]()
            head, _, content = answer.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            return self._answer(int(headers.pop("Status", "200").split()[0]), headers, content)

        def _backend(self, body: bytes) -> bytes:
            parts = urlsplit(self.path)
            variables = {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "REMOTE_USER": "composer",
                "REMOTE_ADDR": "127.0.0.1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            environment = {**os.environ, **_NOBODY, **variables}
            return subprocess.run([program], input=body, capture_output=True, check=True, env=environment).stdout

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
