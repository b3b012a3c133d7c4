"""The benchmark's front before the real registry: what GHCR and its CDN answer. Nothing here is timed."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from relman.registry.protocol import OCI_MANIFEST
from tests.bench.distance import Counts, Distant
from tests.bench.store import TAGS, Inside, Store, put_variant
from tests.servers import docker_registry

LOGIN = {"Authorization": "Basic Y29tcG9zZWQ6Y29tcG9zZWQ="}
STABLE = "/v2/own/v00/manifests/stable"
TYPED = {"Accept": OCI_MANIFEST}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Store]]:
    if shutil.which("docker-registry") is None:
        pytest.skip("`docker-registry` is not installed, and no package of this system has it")
    folder = tmp_path_factory.mktemp("distance")
    with docker_registry(folder) as upstream:
        store = Store(folder / "data")
        for variant in ("v00", "v01"):
            put_variant(store, f"own/{variant}", [Inside(), Inside()])
        yield upstream, store


@pytest.fixture(scope="module")
def distant(registry: tuple[str, Store]) -> Iterator[Distant]:
    with Distant(*registry, 0) as front:
        yield front


@dataclass
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(host: str, method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> Answered:
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        return Answered(answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def token(distant: Distant, repository: str, actions: str = "pull", login: Mapping[str, str] = {}) -> dict[str, str]:
    answer = ask(distant.host, "GET", f"/token?service=front&scope=repository:{repository}:{actions}", login)
    return {"Authorization": f"Bearer {json.loads(answer.body)['token']}"}


def test_a_token_is_for_one_repository(distant: Distant) -> None:
    refused = ask(distant.host, "GET", STABLE)
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == (
        f'Bearer realm="http://{distant.host}/token",service="front",scope="repository:own/v00:pull"'
    )

    assert ask(distant.host, "GET", STABLE, {"Authorization": "Bearer made-up"}).status == 401
    assert ask(distant.host, "GET", STABLE, TYPED | token(distant, "own/v01")).status == 401
    assert ask(distant.host, "GET", STABLE, TYPED | token(distant, "own/v00")).status == 200


def test_head_says_what_get_would_bring(distant: Distant) -> None:
    headers = TYPED | token(distant, "own/v00")

    whole, head = ask(distant.host, "GET", STABLE, headers), ask(distant.host, "HEAD", STABLE, headers)

    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(whole.body)
    assert head.headers["docker-content-digest"] == whole.headers["docker-content-digest"]


def test_a_blob_is_another_address_with_parts(distant: Distant) -> None:
    headers = token(distant, "own/v00")
    manifest = json.loads(ask(distant.host, "GET", STABLE, TYPED | headers).body)
    path = f"/v2/own/v00/blobs/{manifest['config']['digest']}"

    there = urlsplit(ask(distant.host, "GET", path, headers).headers["location"])
    whole = ask(there.netloc, "GET", f"{there.path}?{there.query}")
    part = ask(there.netloc, "GET", there.path, {"Range": "bytes=5-9"})
    head = ask(there.netloc, "HEAD", there.path)
    outside = ask(there.netloc, "GET", there.path, {"Range": "bytes=99999999-"})

    assert there.netloc != distant.host
    assert (whole.status, len(whole.body)) == (200, manifest["config"]["size"])
    assert (part.status, part.body) == (206, whole.body[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(whole.body)}"
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(whole.body)), b"")
    assert outside.status == 416
    assert ask(distant.host, "HEAD", f"/v2/own/v00/blobs/sha256:{'0' * 64}", headers).status == 404


def pages(distant: Distant, query: str) -> tuple[list[int], list[str]]:
    """How many tags each page has, and where the pages after the first are."""
    headers, target, sizes, links = token(distant, "own/v00"), f"/v2/own/v00/tags/list{query}", [], []
    while target:
        answer = ask(distant.host, "GET", target, headers)
        sizes.append(len(json.loads(answer.body)["tags"]))
        target = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
        links += [urlsplit(target).query.partition("&")[0]] if target else []
    return sizes, links


@pytest.mark.parametrize(
    ("query", "sizes", "links"),
    [
        ("", [100, 100, 96], ["n=100", "n=100"]),
        ("?n=1000", [296], []),
        ("?n=10000", [296], []),
        ("?n=200", [200, 96], ["n=200"]),
        ("?n=0", [0], []),
    ],
)
def test_a_page_has_a_hundred_tags_or_as_many_as_are_asked_for(
    distant: Distant, query: str, sizes: list[int], links: list[str]
) -> None:
    assert pages(distant, query) == (sizes, links)


def test_a_registry_may_have_short_pages(registry: tuple[str, Store]) -> None:
    with Distant(*registry, 0, page=120) as short:
        assert pages(short, "?n=1000") == ([120, 120, 56], ["n=120", "n=120"])
        assert pages(short, "") == ([100, 100, 96], ["n=100", "n=100"])


def test_what_is_written_reaches_the_registry_and_is_seen_at_once(distant: Distant) -> None:
    push = TYPED | token(distant, "own/v01", "pull,push", LOGIN)
    stable, target = "/v2/own/v01/manifests/stable", "/v2/own/v01/manifests/moved"
    old = ask(distant.host, "GET", f"/v2/own/v01/manifests/{TAGS[0]}", push)
    new = ask(distant.host, "GET", stable, push)
    assert old.body != new.body
    assert ask(distant.host, "GET", target, push).status == 404

    for written in (new, old):
        put = ask(distant.host, "PUT", target, push | {"Content-Type": OCI_MANIFEST}, written.body)
        assert put.status == 201
        assert ask(distant.host, "GET", target, push).body == written.body
    assert "moved" not in json.loads(ask(distant.host, "GET", "/v2/own/v00/tags/list", token(distant, "own/v00")).body)


def test_a_blob_is_uploaded_where_the_registry_says(distant: Distant) -> None:
    push = token(distant, "own/v01", "pull,push", LOGIN)
    started = ask(distant.host, "POST", "/v2/own/v01/blobs/uploads/", push)
    there = urlsplit(started.headers["location"])
    assert (started.status, there.netloc) == (202, distant.host)

    typed = push | {"Content-Type": "application/octet-stream"}
    patched = ask(distant.host, "PATCH", f"{there.path}?{there.query}", typed, b"composed")
    there = urlsplit(patched.headers["location"])
    digest = "sha256:0a9e8c2ab6cb2e5d4b0d2ef2e5c9d6a1c2a0f1e0c2e5bd8c0a2f3c6e6a5c9d10"
    wrong = ask(distant.host, "PUT", f"{there.path}?{there.query}&digest={digest}", push)

    assert (patched.status, wrong.status) == (202, 400)


def test_nobody_pushes_without_a_login(distant: Distant) -> None:
    pull = TYPED | token(distant, "own/v01", "pull,push")

    refused = ask(distant.host, "PUT", "/v2/own/v01/manifests/moved", pull, b"{}")

    assert refused.status == 401
    assert refused.headers["www-authenticate"].endswith('scope="repository:own/v01:pull,push"')


def test_what_arrives_is_counted_by_what_it_is(distant: Distant) -> None:
    distant.counts = Counts()
    headers = token(distant, "own/v00")
    body = ask(distant.host, "GET", STABLE, TYPED | headers).body
    before = distant.counts
    ask(distant.host, "HEAD", STABLE, TYPED | headers)
    ask(distant.host, "GET", STABLE)
    ask(distant.host, "GET", f"/v2/own/v00/referrers/sha256:{'0' * 64}", headers)

    found = distant.counts
    assert dict(found.kinds) == {"token": 1, "manifest": 2, "refused": 1, "referrers": 1}
    assert (found.connections, found.requests, before.requests) == (5, 5, 2)
    assert found.first is not None
    assert before.first == found.first
    assert len(body) < before.sent < found.sent
    distant.counts = Counts()
    assert distant.counts == Counts()
