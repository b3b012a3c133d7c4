"""The source `rpmdb` against a real docker-registry: what it asks for, how many bytes come, and real zstd:chunked."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from relman.http import Client
from relman.model.contents import Contents, Unavailable
from relman.model.oci import Reference, Repository, parse_repository
from relman.plugin import Malformed
from relman.registry import Registries
from relman.registry.look import look_at
from tests.layer_factories import (
    RPMDB,
    Entries,
    Layer,
    as_ostree,
    chunked,
    gzipped,
    names,
    noise,
    plain,
    put_layers,
    read,
    real_database,
    status,
)
from tests.servers import Asked, Fault, Front, Reply

STATUS = "var/lib/dpkg/status"
PACKAGES = ["one", "two"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("rpm") is None or shutil.which("rpmbuild") is None:
        pytest.skip("builds packages with rpmbuild, which is not installed")
    return (real_database(tmp_path_factory.mktemp("rpm"), *PACKAGES) / "rpmdb.sqlite").read_bytes()


@pytest.fixture
def registries(tmp_path: Path, client: Client) -> Iterator[Registries]:
    with Registries(tmp_path, client=client, environment={}) as registries:
        yield registries


def asked_for(front: Front, registries: Registries, reference: Reference) -> tuple[Contents | Unavailable, list[str]]:
    """The answer, and what was asked for it."""
    front.asked.clear()
    found = read(registries, reference)
    return found, [_named(asked) for asked in front.asked]


def _named(asked: Asked) -> str:
    kind = "manifest" if "/manifests/" in asked.path else "blob"
    return f"{kind} range" if "range" in asked.headers else kind


def test_a_layer_of_its_own_costs_a_manifest_a_configuration_and_one_blob(
    front: Front, repository: Repository, registries: Registries, database: bytes
) -> None:
    layers = [
        gzipped({"usr/bin/bash": noise(100_000)}).named(chunkah="rpm/bash"),
        gzipped({RPMDB: database}).named(chunkah="bigfiles/rpmdb.sqlite"),
        gzipped({"usr/bin/zsh": noise(100_000, 1)}).named(chunkah="rpm/zsh"),
    ]

    found, asked = asked_for(front, registries, put_layers(registries, repository, layers))

    assert names(found) == PACKAGES
    assert asked == ["manifest", "blob", "blob"]


def test_a_chunked_layer_costs_two_ranges(
    front: Front, repository: Repository, registries: Registries, database: bytes
) -> None:
    layer = chunked({"usr/bin/bash": noise(100_000), RPMDB: database, "var/x": noise(100_000)})

    found, asked = asked_for(front, registries, put_layers(registries, repository, [layer]))

    assert names(found) == PACKAGES
    assert asked == ["manifest", "blob", "blob range", "blob range"]


# ------------------------------------------------------------------------------------ servers without ranges


def ignores(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
    """Takes no notice of ranges, as the specification allows."""
    if "range" not in asked.headers:
        return None
    del asked.headers["range"]
    return forward()


def refuses(status: int) -> Fault:
    """Refuses them."""
    return lambda asked, forward: Reply(status, {}, b"no") if "range" in asked.headers else None


@pytest.mark.parametrize("fault", [ignores, refuses(416), refuses(501), refuses(400)])
@pytest.mark.parametrize("cdn", [False, True])
def test_servers_without_ranges_are_served_all_the_same(
    fault: Fault, cdn: bool, docker_registry: str, registries: Registries, database: bytes
) -> None:
    with Front(docker_registry, cdn=cdn) as front:
        repository = parse_repository(f"{front.host}/no-ranges/os")
        layer = chunked({"usr/bin/bash": noise(100_000), RPMDB: database, "var/x": noise(100_000)})
        reference = put_layers(registries, repository, [layer])
        front.faults.append(fault)

        assert names(read(registries, reference)) == PACKAGES


def test_a_server_that_refused_ranges_is_not_asked_for_them_again(
    front: Front, repository: Repository, registries: Registries
) -> None:
    digest = registries.put_blob(repository, bytes(1000))
    front.faults.append(refuses(416))
    front.asked.clear()

    for start in (0, 500, 900):
        assert registries.blob_range(repository, digest, start, 100) == bytes(100)
    with pytest.raises(Malformed, match="ends at 1000"):
        registries.blob_range(repository, digest, 950, 100)

    assert [_named(asked) for asked in front.asked][:4] == ["blob range", "blob", "blob", "blob"]


def test_a_part_that_is_cut_short_is_taken_up_where_it_broke(
    front: Front, repository: Repository, registries: Registries
) -> None:
    content = noise(1_000_000)
    digest = registries.put_blob(repository, content)
    cuts = [300_000, 100_000]

    def cut(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        reply = forward()
        reply.cut = cuts.pop() if cuts else None
        return reply

    front.faults.append(cut)

    assert registries.blob_range(repository, digest, 5000, 800_000) == content[5000:805_000]
    ranges = [asked.headers["range"].removeprefix("bytes=") for asked in front.asked if "range" in asked.headers]
    starts = [int(text.removesuffix("-804999")) for text in ranges]
    assert len(starts) == 3
    assert starts[0] == 5000 < starts[1] <= 105_000 < starts[2] <= 405_000


def test_another_part_than_was_asked_for_is_refused(
    front: Front, repository: Repository, registries: Registries
) -> None:
    digest = registries.put_blob(repository, bytes(1000))
    headers = {"Content-Range": "bytes 0-99/1000"}
    front.faults.append(lambda asked, forward: Reply(206, headers, bytes(100)) if "range" in asked.headers else None)

    with pytest.raises(Malformed, match="another part"):
        registries.blob_range(repository, digest, 100, 100)


def test_parts_shorter_than_asked_for_are_put_together(
    front: Front, repository: Repository, registries: Registries
) -> None:
    content = noise(1000)
    digest = registries.put_blob(repository, content)

    def hundred(asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        if "range" not in asked.headers:
            return None
        start = int(asked.headers["range"].removeprefix("bytes=").partition("-")[0])
        part = content[start : start + 100]
        return Reply(206, {"Content-Range": f"bytes {start}-{start + len(part) - 1}/1000"}, part)

    front.faults.append(hundred)

    assert registries.blob_range(repository, digest, 50, 900) == content[50:950]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Range": "bytes */1000"},
        {"Content-Range": "octets 100-199/1000"},
        {"Content-Type": "multipart/byteranges; boundary=x"},
    ],
)
def test_a_part_that_does_not_say_which_it_is_is_refused(
    headers: dict[str, str], front: Front, repository: Repository, registries: Registries
) -> None:
    digest = registries.put_blob(repository, noise(1000))
    front.faults.append(lambda asked, forward: Reply(206, headers, b"x" * 100) if "range" in asked.headers else None)

    with pytest.raises(Malformed, match="another part"):
        registries.blob_range(repository, digest, 100, 100)


def test_more_than_was_asked_for_is_not_taken(front: Front, repository: Repository, registries: Registries) -> None:
    digest = registries.put_blob(repository, bytes(10))
    headers = {"Content-Range": "bytes 5-9/10"}
    front.faults.append(
        lambda asked, forward: Reply(206, headers, b"abcde" * 100_000) if "range" in asked.headers else None
    )

    assert registries.blob_range(repository, digest, 5, 3) == b"abc"


# ------------------------------------------------------------------------------------------------- bytes


class Wire:
    """A relay before a server that counts the bytes which the client took of its answers."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.partition(":")
        self._upstream = (host, int(port))
        self.answered = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            # So little is under way that what was sent is what was taken, within some 100 KB.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
            server = socket.create_connection(self._upstream)
            threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(16 * 1024):
                target.sendall(data)
                self.answered += len(data) if counted else 0
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(docker_registry: str) -> Iterator[Wire]:
    wire = Wire(docker_registry)
    yield wire
    wire.close()


def taken(wire: Wire, registries: Registries, name: str, *layers: Layer) -> int:
    """How many bytes it costs to read the packages of an image of ``layers``."""
    reference = put_layers(registries, parse_repository(f"{wire.host}/wire/{name}"), layers)
    before = wire.answered
    assert names(read(registries, reference)) == PACKAGES
    return wire.answered - before


def test_a_large_layer_is_left_in_the_middle(wire: Wire, registries: Registries, database: bytes) -> None:
    layer = gzipped({"bin/a": noise(500_000), RPMDB: database, "var/b": noise(30_000_000, 1)})

    assert taken(wire, registries, "early", layer) < 7_000_000 < len(layer.blob) / 4


def test_of_a_large_chunked_layer_little_is_taken(wire: Wire, registries: Registries, database: bytes) -> None:
    layer = chunked({"bin/a": noise(5_000_000), RPMDB: database, "var/b": noise(5_000_000, 1)})

    assert taken(wire, registries, "chunked", layer) < len(database) + 20_000


# ------------------------------------------------------------------------------- zstd:chunked by a real tool


@pytest.fixture(scope="module")
def compress() -> Callable[[Repository, Path, Entries], None]:
    """`skopeo copy` of one layer to zstd:chunked."""
    if shutil.which("skopeo") is None:
        pytest.skip("compresses layers with skopeo, which is not installed")

    def compress(target: Repository, folder: Path, entries: Entries) -> None:
        with Registries(folder) as registries:
            put_layers(registries, parse_repository("oci:plain"), [plain(entries)])
            copy = ["skopeo", "copy", "--quiet", "--dest-compress-format=zstd:chunked", "oci:plain:t", "oci:packed:t"]
            subprocess.run(copy, cwd=folder, check=True, timeout=60)
            packed = registries.manifest(parse_repository("oci:packed").tag("t"))
            pinned = parse_repository("oci:packed").digest(packed.descriptor.digest)
            registries.copy(pinned, target)
            registries.put_manifest(target, packed.content, packed.descriptor.media_type, tag="t")

    return compress


@pytest.mark.parametrize("kind", ["plain", "ostree"])
def test_a_layer_that_skopeo_made_is_read_by_two_ranges(
    kind: str,
    front: Front,
    repository: Repository,
    registries: Registries,
    compress: Callable[[Repository, Path, Entries], None],
    database: bytes,
    tmp_path: Path,
) -> None:
    files: dict[str, bytes] = {"usr/bin/a": noise(300_000), RPMDB: database, "usr/z": b"z" * 5000}
    compress(repository, tmp_path, as_ostree(files) if kind == "ostree" else files)
    reference = repository.tag("t").at(registries.manifest(repository.tag("t")).descriptor.digest)

    found, asked = asked_for(front, registries, reference)

    (part,) = look_at(registries, reference).platforms
    assert any("zstd-chunked.manifest-position" in key for key in part.layers[0].annotations)
    assert names(found) == PACKAGES
    assert asked == ["manifest", "blob", "blob range", "blob range"]


def test_a_layer_that_skopeo_made_is_an_ordinary_one_to_those_who_read_it_whole(
    front: Front,
    repository: Repository,
    registries: Registries,
    compress: Callable[[Repository, Path, Entries], None],
    tmp_path: Path,
) -> None:
    place = "var/lib/dpkg/status.d"
    compress(repository, tmp_path, {f"{place}/{n:02}": status(f"p{n:02}") for n in range(20)})
    reference = repository.tag("t").at(registries.manifest(repository.tag("t")).descriptor.digest)

    found, asked = asked_for(front, registries, reference)

    assert names(found) == [f"p{n:02}" for n in range(20)]
    assert asked == ["manifest", "blob", "blob range", "blob"]
