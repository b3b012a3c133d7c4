"""Connections: opened ahead, kept, by a proxy; and that what comes over them is whole."""

from __future__ import annotations

import base64
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman import pools
from relman.errors import Malformed, Passing, Unequipped
from relman.http import Client, Retry
from relman.opening import opening
from tests.servers import Asked, Reply, Scripted, free_port
from tests.standins.certificates import certified

QUICK = Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0)
PATIENCE = 10


class Counted:
    """A server that counts its connections, and lets ``held`` requests come together before it answers any."""

    def __init__(
        self,
        held: int = 1,
        reply: Callable[[Asked], Reply] = lambda _: Reply(200, {}, b"fine"),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connections = 0
        self._reply = reply
        self._together = threading.Barrier(held)
        self._changed = threading.Condition()
        self.server = Scripted(self._answer, tls=tls)
        self.server.on_connection = self._connected
        self.url = self.server.url

    def _connected(self) -> None:
        with self._changed:
            self.connections += 1
            self._changed.notify_all()

    def _answer(self, asked: Asked) -> Reply:
        self._together.wait(PATIENCE)
        return self._reply(asked)

    def wait_for(self, connections: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.connections >= connections, PATIENCE)

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(timeout=5, retry=QUICK) as client:
        yield client


def at_once(client: Client, url: str, count: int) -> list[bytes]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda n: client.request("GET", f"{url}/{n}").content, range(count)))


# --------------------------------------------------------------------------------------------- opened ahead


def test_connections_that_were_opened_ahead_are_those_that_requests_use(client: Client) -> None:
    with Counted(held=3) as counted:
        client.open_ahead(counted.url, 3)
        counted.wait_for(3)

        assert at_once(client, counted.url, 3) == [b"fine"] * 3
        assert counted.connections == 3


def test_who_opened_connections_before_there_was_a_client_hands_them_over(client: Client) -> None:
    with Counted(held=2) as counted:
        begun = opening(counted.url, 3)
        counted.wait_for(3)
        client.open_ahead(counted.url, 2, begun)

        assert at_once(client, counted.url, 2) == [b"fine"] * 2
        assert counted.connections == 3  # the third was not wanted, and is closed


@pytest.mark.parametrize("handed_over", [False, True])
def test_connections_with_tls_are_opened_ahead_too(tmp_path: Path, handed_over: bool) -> None:
    known = certified(tmp_path)
    with Counted(held=3, tls=known.server()) as counted, Client(timeout=5, verify=known.client()) as client:
        client.open_ahead(counted.url, 3, opening(counted.url, 3) if handed_over else ())
        counted.wait_for(3)

        assert at_once(client, counted.url, 3) == [b"fine"] * 3
        assert counted.connections == 3


def test_a_server_that_ended_tls_while_it_waited_is_connected_to_anew(tmp_path: Path) -> None:
    known = certified(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(timeout=5, verify=known.client()) as client:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        client.open_ahead(url, 1)
        known.server().wrap_socket(listener.accept()[0], server_side=True).close()

        def answer() -> None:
            with known.server().wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")

        threading.Thread(target=answer, daemon=True).start()

        assert client.request("GET", f"{url}/x").content == b"fine"


def test_an_opening_that_fails_is_missed_by_nobody(client: Client) -> None:
    port = free_port()
    client.open_ahead(f"http://127.0.0.1:{port}", 2, opening(f"http://127.0.0.1:{port}", 1))

    with pytest.raises(Passing, match=r"cannot be reached: .*refused"):
        client.request("GET", f"http://127.0.0.1:{port}/x")


def test_no_more_are_opened_ahead_than_were_wanted_in_all(client: Client) -> None:
    with Counted() as counted:
        client.request("GET", f"{counted.url}/x")
        client.open_ahead(counted.url, 2)
        client.open_ahead(counted.url, 2)
        counted.wait_for(2)

        client.request("GET", f"{counted.url}/y")

        assert counted.connections == 2


def test_a_connection_that_could_not_be_opened_ahead_is_missed_by_nobody(client: Client) -> None:
    port = free_port()
    client.open_ahead(f"http://127.0.0.1:{port}", 4)

    with pytest.raises(Passing, match=r"cannot be reached: .*refused"):
        client.request("GET", f"http://127.0.0.1:{port}/x")


def test_a_server_that_did_not_want_to_wait_is_connected_to_anew() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(timeout=5, retry=QUICK) as client:
        client.open_ahead(f"http://127.0.0.1:{listener.getsockname()[1]}", 1)
        listener.accept()[0].close()

        def answer() -> None:
            connection = listener.accept()[0]
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        answered = client.send("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/x", content=b"1")

    assert answered.content == b"fine"


def test_who_closes_the_client_leaves_no_connection_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(timeout=5)
        client.open_ahead(f"http://127.0.0.1:{listener.getsockname()[1]}", 2)
        ours = [listener.accept()[0] for _ in range(2)]

        client.close()

        assert [connection.recv(1) for connection in ours] == [b"", b""]
        for connection in ours:
            connection.close()


def test_the_first_redirect_to_another_host_opens_as_many_connections_there(client: Client) -> None:
    with Counted(reply=lambda _: Reply(200, {}, b"blob")) as cdn:
        sent = lambda asked: Reply(307, {"Location": f"{cdn.url}{asked.path}"}, b"elsewhere")  # noqa: E731
        with Counted(held=3, reply=sent) as registry, ThreadPoolExecutor(3) as pool:
            found = pool.map(lambda n: client.request("GET", f"{registry.url}/{n}", redirects=1).content, range(3))

            assert list(found) == [b"blob"] * 3
            cdn.wait_for(3)
            assert (registry.connections, cdn.connections) == (3, 3)


def test_a_redirect_leaves_its_connection_to_the_next_request(client: Client) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(302, {"Location": "/y"}, b"moved") if asked.path == "/x" else Reply(200, {}, b"fine")

    with Counted(reply=answer) as counted:
        for _ in range(3):
            assert client.request("GET", f"{counted.url}/x", redirects=1).content == b"fine"
        assert counted.connections == 1


def test_a_write_that_is_sent_once_has_a_connection_of_its_own(client: Client) -> None:
    with Counted() as counted:
        client.request("GET", f"{counted.url}/x")
        for _ in range(2):
            client.send("POST", f"{counted.url}/x", content=b"1")

        assert counted.connections == 3


# ------------------------------------------------------------------------------------------------- whole


@contextmanager
def sending(raw: bytes) -> Iterator[str]:
    """A server that sends these bytes to whoever connects, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                connection.recv(65536)
                connection.sendall(raw)
                connection.close()

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join(PATIENCE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20_000), max_size=5), st.booleans())
def test_a_body_comes_whole_in_whatever_pieces_it_was_sent(parts: list[bytes], chunked: bool) -> None:
    if chunked:
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    else:
        body = b"".join(parts)
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    with sending(raw) as url, Client(timeout=5, retry=QUICK) as client:
        assert client.request("GET", url).content == b"".join(parts)
        with client.stream(url) as stream:
            assert b"".join(stream.pieces) == b"".join(parts)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n",
        *(b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\nhalf" % size for size in (b"", b"-4", b"+4", b"0x4", b"\xb2")),
        *(b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 9\r\n\r\nhalf" % no for no in (b"X", b" X: y", b"X : y", b": y")),
        b"HTTP/1.1 200 OK\r\nX: y\rZ: z\r\nContent-Length: 4\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nX: y\0z\r\nContent-Length: 4\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nhalf",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100,
        b"HTTP/2 200\r\nContent-Length: 4\r\n\r\nhalf",
        b"",
    ],
)
def test_an_answer_that_is_cut_or_none_is_a_passing_failure(client: Client, raw: bytes) -> None:
    with sending(raw) as url, pytest.raises(Passing, match=r"did not answer GET .* in whole"):
        client.request("GET", url)


INTERIM = b"HTTP/1.1 %d Wait\r\nLink: </x>; rel=preload\r\n\r\n"


@pytest.mark.parametrize("codes", [(100,), (103,), (102, 100, 103)])
def test_what_announces_an_answer_is_not_taken_for_it(client: Client, codes: tuple[int, ...]) -> None:
    raw = b"".join(INTERIM % code for code in codes) + b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nfine"
    with sending(raw) as url:
        for answer in (client.request("GET", url), client.send("POST", url, content=b"1")):
            assert (answer.status, answer.content, "link" in answer.headers) == (201, b"fine", False)


def test_a_length_that_is_said_twice_or_on_two_lines_ends_the_body(client: Client) -> None:
    for length in (b"4, 4", b"4\r\nContent-Length: 4", b"\r\n 4"):
        with sending(b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\nfine and more" % length) as url:
            assert client.request("GET", url).content == b"fine"


def test_headers_of_one_name_are_joined_and_those_in_utf_8_read_so(client: Client) -> None:
    said = "X-A: 1\r\nX-A: 2\r\nLocation: /café\r\nX-B: ".encode() + b"caf\xe9\r\nContent-Length: 0\r\n\r\n"
    with sending(b"HTTP/1.1 200 OK\r\n" + said) as url:
        headers = client.request("GET", url).headers

    assert [headers[name] for name in ("x-a", "LOCATION", "X-B")] == ["1, 2", "/café", "café"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "its body was cut off after 4 bytes, of 10"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "its head was cut off"),
        (b"nonsense\r\n\r\n", "it does not answer in HTTP: nonsense"),
        (b"HTTP/1.1 200 OK\r\nX\r\n\r\n", "a line of its head is no header"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_in_words(client: Client, raw: bytes, reason: str) -> None:
    with sending(raw) as url, pytest.raises(Passing, match=f"in whole: {reason}"):
        client.request("GET", url)


@pytest.mark.parametrize("value", ["1\r\nX-B: 2", "1\r\n X-B: 2", "1\n\t2", "1\r2", "1\x002", "☃"])
def test_a_header_that_is_none_is_not_sent(client: Client, value: str) -> None:
    with Counted() as counted, pytest.raises(Malformed, match="cannot be asked"):
        client.request("GET", f"{counted.url}/x", headers={"X-A": value})
    assert counted.server.asked == []


# ------------------------------------------------------------------------------------------------ proxies


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://ghcr.io/v2/", None),
        ({"https_proxy": "http://p:1"}, "https://ghcr.io/v2/", "http://p:1"),
        ({"https_proxy": "p:1"}, "https://ghcr.io/v2/", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "http://ghcr.io/v2/", None),
        ({"all_proxy": "http://p:1"}, "http://ghcr.io/v2/", "http://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "ghcr.io"}, "https://ghcr.io:443/v2/", None),
        ({"all_proxy": "http://p:1", "no_proxy": ".io"}, "https://ghcr.io/v2/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "*"}, "https://ghcr.io/v2/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "other.io"}, "https://ghcr.io/v2/", "http://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "x, *.IO"}, "https://ghcr.io/v2/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "*.ghcr.io"}, "https://ghcr.io/v2/", "http://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "http://10.1.2.3:5000/v2/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "fd00::/8"}, "http://[fd00::1]:5000/v2/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "http://11.1.2.3/v2/", "http://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "https://ghcr.io/v2/", "http://p:1"),
        ({"all_proxy": "http://p:1"}, "http://127.0.0.1:5000/v2/", None),
        ({"all_proxy": "http://p:1"}, "http://localhost:5000/v2/", None),
    ],
)
def test_the_environment_says_which_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, proxy: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert pools.proxy_of(url) == proxy


def test_a_proxys_user_and_password_are_shown_to_it_and_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with Counted() as proxy, Client(timeout=5, retry=QUICK) as client:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:com%20posed@"))
        monkeypatch.delenv("no_proxy", raising=False)

        client.request("GET", "http://registry.invalid/x")

        asked = proxy.server.asked[0]
        login = base64.b64encode(b"me:com posed").decode()
        assert (asked.line, asked.headers["proxy-authorization"]) == ("GET http://registry.invalid/x", f"Basic {login}")


def test_a_socks_proxy_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://me:composed@127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setitem(sys.modules, "socks", None)

    with (
        Client(timeout=5, retry=QUICK) as client,
        pytest.raises(Unequipped, match="PySocks is not installed") as caught,
    ):
        client.request("GET", "http://registry.invalid/x")
    assert "composed" not in caught.value.message
