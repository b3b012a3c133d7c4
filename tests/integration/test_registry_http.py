"""The distribution protocol against a real docker-registry, behind a front that has tokens, a CDN, and bad days."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from relman.errors import (
    AnswerLost,
    DigestMismatch,
    Malformed,
    NotFound,
    Passing,
    RelmanError,
    Unequipped,
)
from relman.http import Client, Retry
from relman.model.oci import Descriptor, Digest, Repository, parse_repository
from relman.registry import Registries
from relman.registry.credentials import CredentialStore
from relman.registry.distribution import Distribution
from relman.registry.look import look_at
from relman.registry.manifests import as_json, encode
from relman.registry.protocol import OCI_INDEX, OCI_MANIFEST
from relman.registry.session import Session
from relman.testing import MemoryRegistry, attach, put_image, put_index
from tests.servers import Asked, Front, Reply, Scripted, once

LAYER = bytes(range(256)) * 2000


@pytest.fixture
def registry(client: Client, tmp_path: Path) -> Distribution:
    return Distribution(client, store=CredentialStore({"HOME": str(tmp_path)}))


def writes(front: Front, since: int = 0) -> list[str]:
    """The changes that the front saw."""
    return [asked.line for asked in front.asked[since:] if asked.method not in ("GET", "HEAD")]


# --------------------------------------------------------------------------------- tokens and the CDN


class Guarded:
    """A registry like GHCR: tokens for everybody, pushes for one user, blobs at a CDN."""

    def __init__(self, upstream: str, client: Client, home: Path) -> None:
        self.front = Front(upstream, users={"me": "composed"}, cdn=True)
        self.client = client
        self.home = home
        self.repository = parse_repository(f"{self.front.host}/{home.name.replace('_', '-').lower()}/os")

    def login(self, password: str = "composed") -> None:
        file = self.home / ".docker/config.json"
        file.parent.mkdir(exist_ok=True)
        auth = base64.b64encode(f"me:{password}".encode()).decode()
        file.write_text(json.dumps({"auths": {self.front.host: {"auth": auth}}}))

    def registry(self) -> Distribution:
        return Distribution(self.client, store=CredentialStore({"HOME": str(self.home)}))


@pytest.fixture
def guarded(docker_registry: str, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    guarded = Guarded(docker_registry, client, tmp_path_factory.mktemp("home"))
    with guarded.front:
        yield guarded


def test_a_login_pushes_and_anybody_pulls_by_way_of_the_cdn(guarded: Guarded) -> None:
    guarded.login()
    digest = put_image(guarded.registry(), guarded.repository, tags=["stable"], layers=[LAYER])
    (guarded.home / ".docker/config.json").unlink()
    anonymous = guarded.registry()

    assert look_at(anonymous, guarded.repository.tag("stable")).digest == digest
    assert anonymous.blob(guarded.repository, Digest.of(LAYER), limit=len(LAYER)) == LAYER
    with anonymous.open_blob(guarded.repository, Digest.of(LAYER)) as pieces:
        assert b"".join(pieces) == LAYER
    assert guarded.front.cdn is not None
    assert len(guarded.front.cdn.asked) >= 3
    assert guarded.front.leaks == []


def test_one_token_serves_many_requests(guarded: Guarded) -> None:
    guarded.login()
    put_image(guarded.registry(), guarded.repository, tags=["a", "b"])
    guarded.front.token_requests.clear()
    registry = guarded.registry()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(registry.manifest, [guarded.repository.tag("a"), guarded.repository.tag("b")] * 20))

    assert len(guarded.front.token_requests) == 1


def test_after_a_greeting_nothing_is_asked_without_a_token(guarded: Guarded) -> None:
    guarded.login()
    put_image(guarded.registry(), guarded.repository, tags=["a", "b"])
    guarded.front.asked.clear()
    store = CredentialStore({"HOME": str(guarded.home)})
    session = Session(guarded.front.host, guarded.client, store, frozenset())
    session.greet([guarded.repository])
    registry = Distribution(guarded.client, store=store, sessions=[session])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(registry.manifest, [guarded.repository.tag("a"), guarded.repository.tag("b")] * 4))

    bare = [asked.line for asked in guarded.front.asked if "authorization" not in asked.headers]
    assert bare == ["GET /v2/"]


@pytest.mark.parametrize(
    ("greeted", "asked"),
    [
        (Reply(200, {}, b"{}"), ["GET /v2/", "GET /v2/os/manifests/a", "GET /token?scope=repository%3Aos%3Apull"]),
        (Reply(404), ["GET /v2/", "GET /v2/os/manifests/a", "GET /token?scope=repository%3Aos%3Apull"]),
        (Reply(503), ["GET /v2/", "GET /v2/os/manifests/a", "GET /token?scope=repository%3Aos%3Apull"]),
        (Reply(reset=True), ["GET /v2/", "GET /v2/os/manifests/a", "GET /token?scope=repository%3Aos%3Apull"]),
        (None, ["GET /v2/", "GET /token?scope=repository%3Aos%3Apull"]),
    ],
)
def test_a_greeting_that_tells_nothing_is_as_if_there_had_been_none(
    client: Client, tmp_path: Path, greeted: Reply | None, asked: list[str]
) -> None:
    content = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})

    def answer(seen: Asked) -> Reply:
        example = ',scope="repository:user/image:pull"' if seen.path == "/v2/" else ""  # as GHCR answers
        refusal = Reply(401, {"WWW-Authenticate": f'Bearer realm="{server.url}/token"{example}'})
        if seen.path == "/v2/":
            return greeted or refusal
        if seen.path.startswith("/token"):
            return Reply(200, {}, b'{"token": "composed"}')
        return Reply(200, {"Content-Type": OCI_INDEX}, content) if "authorization" in seen.headers else refusal

    with Scripted(answer) as server:
        store = CredentialStore({"HOME": str(tmp_path)})
        session = Session(server.host, client, store, frozenset())
        session.greet([])
        registry = Distribution(client, store=store, sessions=[session])
        found = registry.manifest(parse_repository(f"{server.host}/os").tag("a"))

    assert (found.content, server.lines) == (content, [*asked, "GET /v2/os/manifests/a"])


def test_a_token_that_runs_out_is_renewed(guarded: Guarded) -> None:
    guarded.login()
    put_image(guarded.registry(), guarded.repository, tags=["stable"])
    guarded.front.uses = 2
    registry = guarded.registry()

    found = [registry.resolve(guarded.repository.tag("stable")) for _ in range(6)]

    assert len(set(found)) == 1
    assert found[0] is not None


def test_a_push_without_a_login_is_refused_with_what_to_do(guarded: Guarded) -> None:
    with pytest.raises(Unequipped, match="refuses the credentials") as caught:
        guarded.registry().put_blob(guarded.repository, b"x")

    assert caught.value.hint is not None
    assert f"skopeo login {guarded.front.host}" in caught.value.hint
    assert f"`{guarded.repository}` without a login" in caught.value.message


def test_a_wrong_password_is_refused_and_not_shown(guarded: Guarded) -> None:
    guarded.login("composed-but-wrong")

    with pytest.raises(Unequipped, match="as `me` ") as caught:
        guarded.registry().tags(guarded.repository)
    assert "composed-but-wrong" not in str(caught.value)


def test_blobs_are_mounted_with_a_token_for_both_repositories(guarded: Guarded) -> None:
    guarded.login()
    registry = guarded.registry()
    digest = put_image(registry, guarded.repository, layers=[LAYER])
    target = parse_repository(f"{guarded.repository}-stable")
    before = len(guarded.front.asked)

    registry.copy(guarded.repository.digest(digest), target)

    seen = guarded.front.asked[before:]
    assert [a.line for a in seen if "/blobs/" in a.path and a.method in ("GET", "PUT", "PATCH")] == []
    assert len([a for a in seen if a.method == "POST" and "mount=sha256" in a.path]) == 2
    assert registry.manifest(target.digest(digest)).descriptor.digest == digest


# ------------------------------------------------------------------------------------------- requests


def test_moving_a_tag_is_three_requests(registry: Distribution, repository: Repository, front: Front) -> None:
    digest = put_image(registry, repository, tags=["testing"])
    before = len(front.asked)

    manifest = registry.manifest(repository.digest(digest))
    registry.put_manifest(repository, manifest.content, manifest.descriptor.media_type, tag="stable")
    moved = registry.resolve(repository.tag("stable"))

    assert moved == manifest.descriptor
    assert [a.method for a in front.asked[before:]] == ["GET", "PUT", "HEAD"]


def test_what_is_there_is_not_sent_again(registry: Distribution, repository: Repository, front: Front) -> None:
    registry.put_blob(repository, LAYER)
    before = len(front.asked)

    registry.put_blob(repository, LAYER)

    assert [a.method for a in front.asked[before:]] == ["HEAD"]


def test_a_registry_that_does_not_mount_gets_the_blob_by_streaming(
    registry: Distribution, repository: Repository, front: Front
) -> None:
    digest = put_image(registry, repository, layers=[LAYER])
    target = parse_repository(f"{repository}-stable")

    def without_mount(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        if "mount=" not in asked.path:
            return None
        return front._forward(Asked("POST", asked.path.partition("?")[0], asked.headers, b""))

    front.faults.append(without_mount)
    registry.copy(repository.digest(digest), target)

    assert registry.blob(target, Digest.of(LAYER), limit=len(LAYER)) == LAYER


def test_a_copy_made_twice_writes_once(registry: Distribution, repository: Repository, front: Front) -> None:
    index = put_index(registry, repository, [put_image(registry, repository, platform="linux/arm64")])
    target = parse_repository(f"{repository}-stable")
    registry.copy(repository.digest(index), target)
    before = len(front.asked)

    registry.copy(repository.digest(index), target)

    assert writes(front, before) == []


# ----------------------------------------------------------------------------------------------- faults

Act = Callable[[Callable[[], Reply]], Reply]


def busy(status: int, **headers: str) -> Act:
    return lambda forward: Reply(status, {name.replace("_", "-"): value for name, value in headers.items()})


def reset(forward: Callable[[], Reply]) -> Reply:
    return Reply(reset=True)


def lose(forward: Callable[[], Reply]) -> Reply:
    """Carried out, and the answer lost."""
    forward()
    return Reply(reset=True)


def cut(forward: Callable[[], Reply]) -> Reply:
    reply = forward()
    reply.cut = len(reply.body) // 2
    return reply


def flip(forward: Callable[[], Reply]) -> Reply:
    reply = forward()
    reply.body = bytes([reply.body[0] ^ 1]) + reply.body[1:]
    return reply


PASSING = [busy(408), busy(429, Retry_After="1"), busy(500), busy(502), busy(503), busy(504), reset]
NAMES = ["408", "429", "500", "502", "503", "504", "reset"]


@pytest.mark.parametrize("act", [*PASSING, cut], ids=[*NAMES, "cut"])
@pytest.mark.parametrize("what", ["GET .*/manifests/", "GET .*/blobs/", "GET .*/tags/"])
def test_reads_survive_what_passes(
    registry: Distribution, repository: Repository, front: Front, act: Act, what: str
) -> None:
    digest = put_image(registry, repository, tags=["stable"], layers=[LAYER])
    front.faults.append(once(what, act, times=2))

    assert registry.tags(repository) == ("stable",)
    assert registry.manifest(repository.tag("stable")).descriptor.digest == digest
    assert registry.blob(repository, Digest.of(LAYER), limit=len(LAYER)) == LAYER


@pytest.mark.parametrize("act", PASSING, ids=NAMES)
@pytest.mark.parametrize("what", ["HEAD .*/blobs/", "POST .*/uploads/", "PUT .*/uploads/", "PUT .*/manifests/sha256"])
def test_writes_by_digest_survive_what_passes(
    registry: Distribution, repository: Repository, front: Front, act: Act, what: str
) -> None:
    front.faults.append(once(what, act, times=2))

    digest = put_image(registry, repository, layers=[LAYER])

    assert registry.manifest(repository.digest(digest)).descriptor.digest == digest
    assert registry.blob(repository, Digest.of(LAYER), limit=len(LAYER)) == LAYER


@pytest.mark.parametrize("what", ["POST .*/uploads/", "PUT .*/uploads/", "PUT .*/manifests/sha256"])
def test_a_write_by_digest_whose_answer_is_lost_is_settled(
    registry: Distribution, repository: Repository, front: Front, what: str
) -> None:
    front.faults.append(once(what, lose))

    digest = put_image(registry, repository, layers=[LAYER])

    assert registry.manifest(repository.digest(digest)).descriptor.digest == digest


def test_a_tag_whose_answer_is_lost_is_not_written_twice(
    registry: Distribution, repository: Repository, front: Front
) -> None:
    digest = put_image(registry, repository)
    manifest = registry.manifest(repository.digest(digest))
    front.faults.append(once("PUT .*/manifests/stable", lose))

    with pytest.raises(AnswerLost, match="was lost"):
        registry.put_manifest(repository, manifest.content, OCI_MANIFEST, tag="stable")

    assert len([line for line in front.lines if line.startswith("PUT") and line.endswith("/stable")]) == 1
    assert registry.resolve(repository.tag("stable")) == manifest.descriptor


@pytest.mark.parametrize("status", [429, 503])
def test_a_tag_is_put_again_after_a_clear_refusal(
    registry: Distribution, repository: Repository, front: Front, status: int
) -> None:
    front.faults.append(once("PUT .*/manifests/stable", busy(status), times=3))

    digest = put_image(registry, repository, tags=["stable"])

    assert registry.manifest(repository.tag("stable")).descriptor.digest == digest


@pytest.mark.parametrize(
    ("status", "error"), [(429, Passing), (503, Passing), (500, AnswerLost), (502, AnswerLost), (504, AnswerLost)]
)
def test_a_registry_that_stays_busy_is_passing_or_unclear(
    registry: Distribution, repository: Repository, front: Front, status: int, error: type[RelmanError]
) -> None:
    digest = put_image(registry, repository)
    content = registry.manifest(repository.digest(digest)).content
    front.faults.append(once(".*", busy(status), times=10**6))

    with pytest.raises(error, match=f"`{front.host}` answered {status}"):
        registry.put_manifest(repository, content, OCI_MANIFEST, tag="stable")
    with pytest.raises(Passing, match=f"`{front.host}` answered {status}"):
        registry.manifest(repository.digest(digest))
    with pytest.raises(Passing):
        registry.resolve(repository.tag("stable"))


def test_a_blob_that_is_cut_is_taken_up_where_it_broke(
    registry: Distribution, repository: Repository, front: Front
) -> None:
    registry.put_blob(repository, LAYER)
    front.faults.append(once("GET .*/blobs/", cut, times=3))

    with registry.open_blob(repository, Digest.of(LAYER)) as pieces:
        assert b"".join(pieces) == LAYER

    ranges = [a.headers.get("range") for a in front.asked if a.method == "GET" and "/blobs/" in a.path]
    assert ranges[0] is None
    assert all(found and found.startswith("bytes=") for found in ranges[1:])
    assert len(ranges) == 4


def test_a_blob_is_taken_up_from_servers_without_ranges_too(
    registry: Distribution, repository: Repository, front: Front
) -> None:
    registry.put_blob(repository, LAYER)

    def whole(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        if asked.method != "GET" or "/blobs/" not in asked.path or "range" not in asked.headers:
            return None
        return front._forward(Asked("GET", asked.path, {}, b""))

    front.faults += [once("GET .*/blobs/", cut), whole]

    with registry.open_blob(repository, Digest.of(LAYER)) as pieces:
        assert b"".join(pieces) == LAYER


def test_a_flipped_byte_is_never_believed(registry: Distribution, repository: Repository, front: Front) -> None:
    digest = put_image(registry, repository, tags=["stable"], layers=[LAYER])
    front.faults.append(once("GET ", flip, times=10**6))

    for read in (
        lambda: registry.manifest(repository.digest(digest)),
        lambda: registry.manifest(repository.tag("stable")),
        lambda: registry.blob(repository, Digest.of(LAYER), limit=len(LAYER)),
    ):
        with pytest.raises(DigestMismatch):
            read()
    with pytest.raises(DigestMismatch), registry.open_blob(repository, Digest.of(LAYER)) as pieces:
        list(pieces)


def test_a_copy_of_flipped_bytes_stores_nothing(registry: Distribution, repository: Repository, front: Front) -> None:
    digest = put_image(registry, repository, layers=[LAYER])
    target = parse_repository(f"{repository}-stable")

    def no_mount_and_flip(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        if "mount=" in asked.path:
            return front._forward(Asked("POST", asked.path.partition("?")[0], asked.headers, b""))
        return flip(forward) if asked.method == "GET" and str(Digest.of(LAYER)) in asked.path else None

    front.faults.append(no_mount_and_flip)

    with pytest.raises(DigestMismatch):
        registry.copy(repository.digest(digest), target)
    assert registry.resolve(target.digest(digest)) is None


def test_a_wrong_digest_in_the_answer_is_noticed(registry: Distribution, repository: Repository, front: Front) -> None:
    digest = put_image(registry, repository, tags=["stable"])
    content = registry.manifest(repository.digest(digest)).content

    def lie(forward: Callable[[], Reply]) -> Reply:
        reply = forward()
        return Reply(reply.status, {**reply.headers, "Docker-Content-Digest": str(Digest.of(b"lie"))}, reply.body)

    front.faults.append(once("/manifests/", lie, times=10**6))

    for ask in (
        lambda: registry.manifest(repository.tag("stable")),
        lambda: registry.resolve(repository.digest(digest)),
        lambda: registry.put_manifest(repository, content, OCI_MANIFEST, tag="other"),
    ):
        with pytest.raises(DigestMismatch):
            ask()


@pytest.mark.parametrize("header", ["Docker-Content-Digest", "Content-Type", "Content-Length"])
def test_a_head_that_does_not_say_enough_is_followed_by_a_get(
    registry: Distribution, repository: Repository, front: Front, header: str
) -> None:
    put_image(registry, repository, tags=["stable"])
    expected = registry.resolve(repository.tag("stable"))

    def silent(forward: Callable[[], Reply]) -> Reply:
        reply = forward()
        kept = {name: value for name, value in reply.headers.items() if name != header}
        return Reply(reply.status, kept | ({"Content-Length": "x"} if header == "Content-Length" else {}), reply.body)

    front.faults.append(once("HEAD .*/manifests/", silent))

    assert registry.resolve(repository.tag("stable")) == expected


def test_a_manifest_beyond_measure_is_not_read(registry: Distribution, repository: Repository, front: Front) -> None:
    front.faults.append(once("GET ", lambda forward: Reply(200, {"Content-Type": OCI_MANIFEST}, b" " * 4194305)))

    with pytest.raises(Malformed, match="larger than 4194304 bytes"):
        registry.manifest(repository.tag("stable"))


def test_the_registrys_own_words_are_shown_without_control_characters(
    registry: Distribution, repository: Repository, front: Front
) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no\x1b[2J more\n quota"}]}).encode()
    front.faults.append(once("PUT ", lambda forward: Reply(403, {}, body)))

    with pytest.raises(Unequipped, match=r"\(403\): DENIED no \[2J more  quota$"):
        registry.put_blob(repository, b"x")


def test_a_manifest_that_refers_to_what_is_not_there_is_refused_in_the_registrys_words(
    registry: Distribution, repository: Repository
) -> None:
    memory = MemoryRegistry()
    content = memory.manifest(repository.digest(put_image(memory, repository))).content

    with pytest.raises(RelmanError, match="MANIFEST_BLOB_UNKNOWN"):
        registry.put_manifest(repository, content, OCI_MANIFEST)


def test_readers_survive_a_writer_of_the_same_manifest(docker_registry: str, tmp_path: Path) -> None:
    """docker-registry answers 500 to reads by digest while another client puts that manifest, for some 50 ms."""
    repository = parse_repository(f"{docker_registry}/busy/os")
    store = CredentialStore({"HOME": str(tmp_path)})
    with Client(timeout=10, retry=Retry(wait_initial=0.05)) as patient, ThreadPoolExecutor(4) as pool:
        registry = Distribution(patient, store=store)
        digest = put_image(registry, repository, tags=["stable"])
        content = registry.manifest(repository.digest(digest)).content

        def act(number: int) -> Digest:
            if number % 4 == 0:
                return registry.put_manifest(repository, content, OCI_MANIFEST, tag="stable")
            return registry.manifest(repository.digest(digest)).descriptor.digest

        assert set(pool.map(act, range(120))) == {digest}


# ------------------------------------------------------------------------------------------------ lists


def paged(pages: dict[str, Reply]) -> Callable[[Asked], Reply]:
    return lambda asked: pages.get(asked.path, Reply(404))


def tag_page(tags: list[str], link: str | None = None) -> Reply:
    return Reply(200, {"Link": link} if link else {}, json.dumps({"tags": tags}).encode())


def test_tags_are_read_page_by_page(registry: Distribution) -> None:
    first, second = "/v2/os/tags/list?n=1000", "/v2/os/tags/list?n=1000&last=b"
    with Scripted(lambda asked: Reply(404)) as server:
        third = f"{server.url}/v2/os/tags/list?last=c"
        server.answer = paged(
            {
                first: tag_page(["a", "b"], f'<{second}>; rel="next"'),
                second: tag_page(["c"], f"<{third}>;rel=next"),
                "/v2/os/tags/list?last=c": tag_page(["d"], '</v2/os/tags/list>; rel="prev"'),
            }
        )
        assert registry.tags(parse_repository(f"{server.host}/os")) == ("a", "b", "c", "d")


def test_many_tags_of_a_real_registry_are_read_in_pages(
    registry: Distribution, repository: Repository, front: Front
) -> None:
    """docker-registry 2.8 gives all tags at once; the front cuts its list into pages of four."""
    tags = [f"44.2026{number:04}" for number in range(25)]
    put_image(registry, repository, tags=tags)

    def pages(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        path, _, query = asked.path.partition("?")
        if not path.endswith("/tags/list"):
            return None
        names = sorted(json.loads(forward().body)["tags"])
        start = int(query.partition("start=")[2] or 0)
        link = f'<{path}?start={start + 4}>; rel="next"' if start + 4 < len(names) else None
        return tag_page(names[start : start + 4], link)

    front.faults.append(pages)

    assert registry.tags(repository) == tuple(tags)
    assert len([line for line in front.lines if "/tags/list" in line]) == 7


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (tag_page(["a"], '<http://evil.example/v2/os/tags/list>; rel="next"'), "on another host"),
        (tag_page(["a"], '</v2/os/tags/list?n=1000>; rel="next"'), None),
        (tag_page(["a", "not a tag"]), "is not a tag"),
        (Reply(200, {}, b'{"tags": ["a", 5]}'), "not a list of names"),
        (Reply(200, {}, b'{"tags": "ab"}'), "not a list of names"),
        (Reply(200, {}, b"[]"), "not a JSON object"),
        (Reply(200, {}, b"<html>"), "is not JSON|are not JSON"),
    ],
)
def test_a_list_of_tags_that_is_none_is_malformed(registry: Distribution, reply: Reply, message: str | None) -> None:
    circular = message is None
    with Scripted(lambda asked: reply) as server:
        if circular:
            reply.headers["Link"] = f'<{server.url}/v2/os/tags/list?n=1000>; rel="next"'
        with pytest.raises(Malformed, match=message or "goes round in circles"):
            registry.tags(parse_repository(f"{server.host}/os"))


def test_a_repository_without_tags_has_none(registry: Distribution) -> None:
    with Scripted(lambda asked: Reply(200, {}, b'{"name": "os", "tags": null}')) as server:
        assert registry.tags(parse_repository(f"{server.host}/os")) == ()


# -------------------------------------------------------------------------------------------- referrers

IMAGE = Digest.of(b"image")
SBOM = Descriptor(OCI_MANIFEST, Digest.of(b"sbom"), 4, "application/x", {"a": "b"})
BARE = Descriptor(OCI_MANIFEST, Digest.of(b"bare"), 4)


def index_of(*entries: Descriptor) -> bytes:
    return encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [as_json(e) for e in entries]})


def test_referrers_come_from_the_api_where_there_is_one(registry: Distribution) -> None:
    path = f"/v2/os/referrers/{IMAGE}"
    pages = {
        path: Reply(200, {"Content-Type": OCI_INDEX, "Link": f'<{path}?p=2>; rel="next"'}, index_of(SBOM)),
        f"{path}?p=2": Reply(200, {"Content-Type": OCI_INDEX}, index_of(BARE)),
    }
    with Scripted(paged(pages)) as server:
        found = registry.referrers(parse_repository(f"{server.host}/os"), IMAGE)

        assert found == (SBOM, BARE)
        assert [dict(d.annotations) for d in found] == [{"a": "b"}, {}]
        assert server.lines == [f"GET {path}", f"GET {path}?p=2"]


@pytest.mark.parametrize("no", [Reply(404), Reply(405), Reply(200, {"Content-Type": "text/html"}, b"<html>")])
def test_without_the_api_the_fallback_tag_is_read_and_the_api_not_asked_again(
    registry: Distribution, no: Reply
) -> None:
    path, tag = f"/v2/os/referrers/{IMAGE}", f"/v2/os/manifests/{IMAGE.fallback_tag}"
    pages = {path: no, tag: Reply(200, {"Content-Type": OCI_INDEX}, index_of(SBOM, BARE))}
    with Scripted(paged(pages)) as server:
        repository = parse_repository(f"{server.host}/os")
        assert [registry.referrers(repository, IMAGE), registry.referrers(repository, IMAGE)] == [(SBOM, BARE)] * 2
        assert server.lines == [f"GET {path}", f"GET {tag}", f"GET {tag}"]


def test_a_fallback_tag_that_is_no_list_is_malformed(registry: Distribution, repository: Repository) -> None:
    image = put_image(registry, repository, tags=["stable"])
    put_image(registry, repository, tags=[image.fallback_tag])

    with pytest.raises(Malformed, match="not an index"):
        registry.referrers(repository, image)


def test_attaching_keeps_what_the_fallback_tag_listed(registry: Distribution, repository: Repository) -> None:
    image = put_image(registry, repository, tags=["stable"])
    foreign = put_image(registry, repository, labels={"attached": "by another tool"})
    entry = registry.resolve(repository.digest(foreign))
    assert entry is not None
    registry.put_manifest(repository, index_of(entry), OCI_INDEX, tag=image.fallback_tag)

    mine = attach(registry, repository, image, b"{}", "application/x", "application/x")

    assert [(d.digest, d.artifact_type) for d in registry.referrers(repository, image)] == [
        (foreign, None),
        (mine, "application/x"),
    ]


# --------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize("kind", ["relative", "absolute", "with a query", "none", "elsewhere"])
def test_an_upload_goes_on_where_the_registry_says(client: Client, tmp_path: Path, kind: str) -> None:
    other = Scripted(lambda asked: Reply(201))
    seen: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        if asked.method == "HEAD":
            return Reply(404)
        if asked.method == "POST":
            location = {
                "relative": "/up/1",
                "absolute": f"{server.url}/up/1",
                "with a query": "/up/1?_state=a%3Db",
                "elsewhere": f"{other.url}/up/1",
            }.get(kind)
            return Reply(202, {"Location": location} if location else {})
        seen.append(asked)
        return Reply(201)

    with Scripted(answer) as server, other:
        auth = base64.b64encode(b"me:composed").decode()
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {server.host: {"auth": auth}}}))
        registry = Distribution(client, store=CredentialStore({"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}))
        repository = parse_repository(f"{server.host}/os")
        if kind == "none":
            with pytest.raises(Malformed, match="without saying where it goes on"):
                registry.put_blob(repository, b"x")
            return
        digest = registry.put_blob(repository, b"x")
        (put,) = seen or other.asked
        state = "_state=a%3Db&" if kind == "with a query" else ""
        assert put.line == f"PUT /up/1?{state}digest={str(digest).replace(':', '%3A')}"
        assert (put.body, put.headers["content-length"]) == (b"x", "1")
        assert [a for a in other.asked if "authorization" in a.headers] == []


def test_an_insecure_host_by_name_is_spoken_to_in_plain_http(client: Client, front: Front, tmp_path: Path) -> None:
    port = urlsplit(front.url).port
    plain = f"localhost:{port}"
    with Registries(tmp_path, frozenset({plain}), client=client) as registries:
        repository = parse_repository(f"{plain}/named/os")
        digest = put_image(registries, repository, tags=["stable"])

        assert registries.manifest(repository.tag("stable")).descriptor.digest == digest


def test_a_registry_that_is_not_there_is_passing(registry: Distribution) -> None:
    from tests.servers import free_port

    with pytest.raises(Passing, match="cannot be reached"):
        registry.tags(parse_repository(f"127.0.0.1:{free_port()}/os"))


def test_an_image_is_copied_from_a_folder_to_a_registry_and_back(
    docker_registry: str, client: Client, tmp_path: Path
) -> None:
    with Registries(tmp_path, client=client, environment={"HOME": str(tmp_path)}) as registries:
        folder, back = parse_repository("oci:there"), parse_repository("oci:back")
        server = parse_repository(f"{docker_registry}/from/folder")
        children = [put_image(registries, folder, platform=p, layers=[LAYER]) for p in ("linux/amd64", "linux/arm64")]
        index = put_index(registries, folder, children)

        registries.copy(folder.digest(index), server)
        registries.copy(server.digest(index), back)

        assert look_at(registries, back.digest(index)).platforms == look_at(registries, folder.digest(index)).platforms
        assert registries.blob(back, Digest.of(LAYER), limit=len(LAYER)) == LAYER


def test_a_missing_child_stops_a_copy(registry: Distribution, client: Client, tmp_path: Path) -> None:
    with Registries(tmp_path, client=client) as registries:
        folder, target = parse_repository("oci:there"), parse_repository("oci:target")
        child = put_image(registries, folder)
        index = put_index(registries, folder, [child], tags=["t"])
        (tmp_path / "there/blobs/sha256" / child.hex).unlink()

        with pytest.raises(NotFound, match=child):
            registries.copy(folder.digest(index), target)
        assert registries.resolve(target.digest(index)) is None
