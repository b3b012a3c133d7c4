"""What GHCR and its CDN answer, before a docker-registry: tokens, redirects, pages of tags, no API for referrers.

What the registry answered once is answered from memory, until something is written to that repository; blobs come from
its folder. Everything else is forwarded by threads, so that nobody else waits for that.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from tests.bench.distance import TAGS_IN_ALL
from tests.bench.store import DAYS, Store
from tests.bench.wire import Answer, Link, Listener, Request

PAGE = 100
"""Tags of a page where no number is asked for."""

_REPOSITORY = re.compile(r"/v2/(.+?)/(?:manifests|blobs|tags|referrers)/")
_KINDS = {"manifests": "manifest", "blobs": "redirect", "tags": "tag page", "referrers": "referrers"}
_OLD = [f"stable-{DAYS[0] - timedelta(days=n):%Y%m%d}" for n in range(7, TAGS_IN_ALL)]
_READS = ("GET", "HEAD")
_HOP = ("host", "authorization", "connection", "expect")


class Registry:
    """The front and its CDN, each on a port of its own. ``longest`` is the most tags that a page has."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link, upstream: str, store: Store, longest: int) -> None:
        self._loop, self._link, self._upstream, self._store, self._longest = loop, link, upstream, store, longest
        self._memory: dict[str, dict[str, Answer]] = {}
        self._tokens: dict[str, frozenset[str]] = {}
        self._threads = ThreadPoolExecutor(8)
        self._front = Listener(loop, link, self._at_front)
        self._cdn = Listener(loop, link, self._at_cdn)
        self.host = self._front.host

    def close(self) -> None:
        """Accept no more."""
        self._front.close()
        self._cdn.close()
        self._threads.shutdown()

    def _at_cdn(self, request: Request) -> Answer:
        self._link.counts.kinds["blob"] += 1
        file = self._store.path(request.path.rpartition("/")[2])
        if not file.exists():
            return Answer(404)
        size = file.stat().st_size
        try:
            start, end = span(request.headers.get("range"), size)
        except ValueError:
            return Answer(416, {"Content-Range": f"bytes */{size}"})
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{size}"} if (start, end) != (0, size) else {}
        return Answer(206 if headers else 200, headers, file=file, part=(start, end))

    def _at_front(self, request: Request) -> Answer | asyncio.Future[Answer]:
        path = request.path
        if path == "/token":
            self._link.counts.kinds["token"] += 1
            return self._token(request)
        found = _REPOSITORY.match(path)
        repository = found[1] if found else ""
        if not self._allowed(request, repository):
            self._link.counts.kinds["refused"] += 1
            scope = f"repository:{repository}:{'pull' if request.method in _READS else 'pull,push'}"
            challenge = f'Bearer realm="http://{self.host}/token",service="front",scope="{scope}"'
            return Answer(401, {"WWW-Authenticate": challenge}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
        part = path[found.end(1) + 1 :].partition("/")[0] if found else ""
        self._link.counts.kinds[_KINDS.get(part, "ping")] += 1
        if request.method not in _READS or "/blobs/uploads/" in path:
            return self._loop.create_task(self._written(request, repository))
        if part == "blobs":
            return self._redirected(path, repository)
        if part == "referrers":
            return Answer(404, {}, b'{"errors":[{"code":"UNSUPPORTED"}]}')
        if part == "tags":
            return self._remembered(request.target, repository, lambda: self._tags(request, repository))
        return self._remembered(f"{request.method} {path}", repository, lambda: self._forwarded(request))

    def _remembered(
        self, key: str, repository: str, learn: Callable[[], Coroutine[None, None, Answer]]
    ) -> Answer | asyncio.Future[Answer]:
        memory = self._memory.setdefault(repository, {})
        return memory.get(key) or self._loop.create_task(_learned(memory, key, learn()))

    async def _written(self, request: Request, repository: str) -> Answer:
        """Forwarded; what was learned before it, or while it ran, is forgotten."""
        answer = await self._forwarded(request)
        self._memory.pop(repository, None)
        return answer

    def _redirected(self, path: str, repository: str) -> Answer:
        digest = path.rpartition("/")[2]
        if not self._store.has(repository, digest):
            return Answer(404, {}, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}')
        return Answer(307, {"Location": f"http://{self._cdn.host}{path}?X-Amz-Signature=composed"})

    async def _tags(self, request: Request, repository: str) -> Answer:
        path, query = request.path, parse_qs(urlsplit(request.target).query)
        whole = Request("GET", path, {})
        listed = await _settled(self._remembered("all tags", repository, lambda: self._forwarded(whole)))
        if listed.status != 200:
            return listed
        names = json.loads(listed.body)["tags"] or []
        after, asked = query.get("last", [""])[0], query.get("n", [""])[0]
        size = min(int(asked), self._longest) if asked.isdecimal() else min(PAGE, self._longest)
        left = [name for name in sorted({*names, *_OLD})[-TAGS_IN_ALL:] if name > after]
        page, more = left[:size], len(left) > size > 0
        headers = {"Link": f'<{path}?n={size}&last={page[-1]}>; rel="next"'} if more else {}
        return Answer(200, headers, json.dumps({"name": repository, "tags": page}).encode())

    def _token(self, request: Request) -> Answer:
        """Anybody may pull. Who logs in may push, whoever it is: nobody has to be kept out of a benchmark."""
        scopes = parse_qs(urlsplit(request.target).query).get("scope", [])
        if "authorization" not in request.headers:
            scopes = [scope.replace("pull,push", "pull") for scope in scopes]
        token = f"composed-token-{len(self._tokens)}"
        self._tokens[token] = frozenset(scopes)
        return Answer(200, {}, json.dumps({"token": token, "expires_in": 300}).encode())

    def _allowed(self, request: Request, repository: str) -> bool:
        scopes = self._tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "), frozenset())
        read = request.method in _READS and f"repository:{repository}:pull" in scopes
        return read or f"repository:{repository}:pull,push" in scopes

    async def _forwarded(self, request: Request) -> Answer:
        return await self._loop.run_in_executor(self._threads, self._forward, request)

    def _forward(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._upstream, timeout=30)
        headers = {n: v for n, v in request.headers.items() if n not in _HOP}
        try:
            connection.request(request.method, request.target, request.body, headers)
            answer = connection.getresponse()
            kept = {n: v for n, v in answer.getheaders() if n.lower() not in ("transfer-encoding", "connection")}
            if "Location" in kept:
                kept["Location"] = kept["Location"].replace(f"http://{self._upstream}", f"http://{self.host}")
            return Answer(answer.status, kept, answer.read())
        finally:
            connection.close()


async def _learned(memory: dict[str, Answer], key: str, answer: Coroutine[None, None, Answer]) -> Answer:
    memory[key] = await answer
    return memory[key]


async def _settled(answer: Answer | asyncio.Future[Answer]) -> Answer:
    return answer if isinstance(answer, Answer) else await answer


def span(header: str | None, size: int) -> tuple[int, int]:
    """From where to where a Range is, in a file of ``size``. Raises `ValueError` where it is no part of that."""
    if header is None:
        return 0, size
    first, _, last = header.removeprefix("bytes=").partition("-")
    if first:
        start, end = int(first), min(size, int(last) + 1) if last else size
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise ValueError(header)
    return start, end
