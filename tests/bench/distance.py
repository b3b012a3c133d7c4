"""The front of the tests (`tests.servers.Front`), far away: what GHCR and its CDN look like from a build machine.

Each request waits for a round trip, the first one on a connection for two more (TCP and TLS). Tokens, a CDN on an
address of its own, pages of a hundred tags, no API for referrers. What the registry answered once is answered from
memory from then on, and blobs come from its folder: what is measured is the client, not docker-registry.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from tests.bench.store import DAYS, Store
from tests.servers import Asked, Front, Reply

PAGE = 100
TAGS_IN_ALL = 300


@dataclass
class Counts:
    """What arrived. ``first`` is when the first request did, by `time.perf_counter`."""

    kinds: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    sent: int = 0
    first: float | None = None

    @property
    def requests(self) -> int:
        """All of them, tokens and refusals too."""
        return sum(self.kinds.values())


class Distant(Front):
    """``round_trip`` in seconds. `counts` is replaced by whoever measures."""

    def __init__(self, upstream: str, store: Store, round_trip: float) -> None:
        self.store = store
        self.round_trip = round_trip
        self.counts = Counts()
        self._counting = threading.Lock()
        self._answers: dict[str, Reply] = {}
        self._old = [f"stable-{DAYS[0] - timedelta(days=n):%Y%m%d}" for n in range(7, TAGS_IN_ALL)]
        super().__init__(upstream, users={}, cdn=True)
        assert self.cdn is not None
        for server in (self, self.cdn):
            server.on_connection = self._connected
            server.remembers = False
        self.cdn.on_sent = self._blob_sent

    def _connected(self) -> None:
        with self._counting:
            self.counts.connections += 1
        time.sleep(2 * self.round_trip)

    def _at_front(self, asked: Asked) -> Reply:
        time.sleep(self.round_trip)
        reply = self._token(asked) if urlsplit(asked.path).path == "/token" else super()._at_front(asked)
        self._count(_kind(asked, reply), len(reply.body) if asked.method != "HEAD" else 0)
        return reply

    def _at_cdn(self, asked: Asked) -> Reply:
        time.sleep(self.round_trip)
        digest = urlsplit(asked.path).path.rpartition("/")[2]
        file = self.store.path(digest)
        size = file.stat().st_size
        start, end = _range(asked.headers.get("range"), size)
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{size}"} if (start, end) != (0, size) else {}
        reply = Reply(206 if headers else 200, headers, file=file, part=(start, end))
        self._count("blob", 0)
        return reply

    def _blob_sent(self, size: int) -> None:
        with self._counting:
            self.counts.sent += size

    def _count(self, kind: str, size: int) -> None:
        with self._counting:
            self.counts.first = self.counts.first or time.perf_counter() - self.round_trip
            self.counts.kinds[kind] += 1
            self.counts.sent += size

    def _faulty(self, asked: Asked, forward: object) -> Reply:
        path = urlsplit(asked.path).path
        if "/referrers/" in path:
            return Reply(404, {}, b'{"errors":[{"code":"UNSUPPORTED"}]}')
        if path.endswith("/tags/list"):
            return self._tags(asked, path)
        key = f"{asked.method} {path}"
        if key not in self._answers:
            self._answers[key] = self._forward(asked)
        return self._answers[key]

    def _tags(self, asked: Asked, path: str) -> Reply:
        key = f"{path} all"
        if key not in self._answers:
            self._answers[key] = self._forward(Asked("GET", path, asked.headers, b""))
        listed = json.loads(self._answers[key].body)
        names = sorted({*listed["tags"], *self._old})[-TAGS_IN_ALL:]
        query = parse_qs(urlsplit(asked.path).query)
        after = query.get("last", [""])[0]
        left = [name for name in names if name > after]
        page = left[:PAGE]
        more = len(left) > PAGE
        headers = {"Link": f'<{path}?n={PAGE}&last={page[-1]}>; rel="next"'} if more else {}
        return Reply(200, headers, json.dumps({"name": listed["name"], "tags": page}).encode())


def _kind(asked: Asked, reply: Reply) -> str:
    path = urlsplit(asked.path).path
    if path == "/token":
        return "token"
    if reply.status == 401:
        return "refused"
    for part in ("manifests", "blobs", "tags", "referrers"):
        if f"/{part}/" in path:
            return {"manifests": "manifest", "blobs": "redirect", "tags": "tag page"}.get(part, part)
    return "ping"


def _range(header: str | None, size: int) -> tuple[int, int]:
    if header is None:
        return 0, size
    first, _, last = header.removeprefix("bytes=").partition("-")
    return int(first), min(size, int(last) + 1) if last else size
