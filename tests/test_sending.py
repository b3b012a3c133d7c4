"""What goes out: addresses to the byte, bodies piece by piece, and whose fault it is when one does not end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from relman import pooled
from relman.errors import Malformed, NotFound, RelmanError, Unequipped
from relman.http import Client, Repeat, Retry
from relman.opening import Opening
from tests.servers import Asked, Reply, Scripted, in_turn

QUICK = Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0)
FINE = Reply(200, {}, b"fine")
SIGNED = "/b%2fc%2Fd;e~f%7e/%41:@!$&'()*+,=?X-Amz-Signature=a%2Bb%2fc%3D%3d~-._+*'()!$,;:@/?&t=%7e%41%zz%&u=[1]|^`{}\\"


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(timeout=5, retry=QUICK) as client:
        yield client


# ---------------------------------------------------------------------------------------------- addresses


def test_an_address_arrives_as_it_was_written(client: Client) -> None:
    with Scripted(in_turn(FINE)) as server:
        client.request("GET", server.url + SIGNED)
        client.send("POST", f"{server.url}{SIGNED}#nobody-else-s", content=b"1")

        assert server.lines == [f"GET {SIGNED}", f"POST {SIGNED}"]


def test_a_redirect_leads_to_the_very_address_that_it_names(client: Client) -> None:
    with Scripted(in_turn(Reply(307, {"Location": SIGNED}), FINE)) as server:
        assert client.request("GET", f"{server.url}/x", redirects=1).content == b"fine"
        assert server.lines[1] == f"GET {SIGNED}"


def test_a_proxy_is_asked_for_the_very_address_without_its_login(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Scripted(in_turn(FINE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        client.request("GET", f"http://me:composed@registry.invalid:81{SIGNED}")

        assert proxy.lines == [f"GET http://registry.invalid:81{SIGNED}"]


@pytest.mark.parametrize(
    ("written", "sent"),
    [("/a b?c d", "/a%20b?c%20d"), ("/é?ü", "/%C3%A9?%C3%BC"), ('/"<>', "/%22%3C%3E"), ("", "/"), ("?a=b", "/?a=b")],
)
def test_what_no_address_may_hold_is_escaped(client: Client, written: str, sent: str) -> None:
    with Scripted(in_turn(FINE)) as server:
        client.request("GET", server.url + written)

        assert server.lines == [f"GET {sent}"]


@pytest.mark.parametrize("written", ["/a\nb", "/a\tb", "/a\x01b", "/a\x7fb", "/a\udcffb", "/?a\r\nb"])
def test_an_address_with_control_characters_is_none(client: Client, written: str) -> None:
    with Scripted(in_turn(FINE)) as server, pytest.raises(Malformed, match="cannot be asked"):
        client.request("GET", server.url + written)
    assert server.lines == []


def test_a_redirect_to_a_port_that_is_none_is_malformed(client: Client) -> None:
    for address in ("http://127.0.0.1:99999/", "http://127.0.0.1:ab/"):
        server = Scripted(in_turn(Reply(307, {"Location": address}), FINE))
        with server, pytest.raises(Malformed, match="cannot be asked"):
            client.request("GET", f"{server.url}/x", redirects=1)


def test_a_login_in_an_address_is_shown_there_and_stays_there(client: Client) -> None:
    def answer(asked: Asked) -> Reply:
        return FINE if asked.path == "/y" else Reply(307, {"Location": f"{server.url}/y"})

    with Scripted(answer) as server:
        url = server.url.replace("//", "//me:com%40posed@") + "/x"
        client.request("GET", url, headers={"authorization": "Bearer other"}, redirects=1)

        assert [asked.headers.get("authorization") for asked in server.asked] == ["Basic bWU6Y29tQHBvc2Vk", None]


@pytest.mark.parametrize("name", ["X Y", "X:", "", "X\r\nY", "é"])
def test_a_name_that_no_header_can_have_is_not_sent(client: Client, name: str) -> None:
    with Scripted(in_turn(FINE)) as server, pytest.raises(Malformed, match="is no name of a header"):
        client.request("GET", server.url, headers={name: "1"})
    assert server.asked == []


# ------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("as_pieces", [False, True])
def test_a_large_body_may_take_longer_than_one_wait(as_pieces: bool) -> None:
    size, taken = 24_000_000, [0]

    def slowly() -> None:
        with closing(listener.accept()[0]) as connection:
            while taken[0] < size:
                taken[0] += len(connection.recv(100_000))
                time.sleep(0.006)
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    with socket.socket() as listener, Client(timeout=0.7, retry=QUICK) as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=slowly, daemon=True).start()
        body = b"x" * size
        answer = client.request(
            "PUT",
            f"http://127.0.0.1:{listener.getsockname()[1]}/x",
            content=(lambda: iter([body])) if as_pieces else body,
            headers={"Content-Length": str(size)},
        )

    assert answer.status == 201
    assert taken[0] >= size


def failing(error: Exception) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield b"begun"
        raise error

    return pieces


@pytest.mark.parametrize(
    "error",
    [
        NotFound("gone"),
        FileNotFoundError(2, "gone"),
        TimeoutError("late"),
        BrokenPipeError(32, "pipe"),
        ValueError("no"),
    ],
)
def test_what_the_maker_of_a_body_raises_is_no_fault_of_the_connection(client: Client, error: Exception) -> None:
    with Scripted(in_turn(FINE)) as server:
        with pytest.raises(type(error)) as caught:
            client.request(
                "PUT", server.url, content=failing(error), headers={"Content-Length": "9"}, repeat=Repeat.ALWAYS
            )
        assert caught.value is error
        assert server.asked == []


@pytest.mark.parametrize(("pieces", "how"), [((b"abc", b"def"), "more than the 5"), ((b"abc",), "less than the 5")])
def test_a_body_of_another_size_than_was_promised_is_not_carried_through(
    client: Client, pieces: tuple[bytes, ...], how: str
) -> None:
    with Scripted(in_turn(FINE)) as server:
        with pytest.raises(Malformed, match=how):
            client.request("PUT", server.url, content=lambda: iter(pieces), headers={"Content-Length": "5"})
        assert server.asked == []


def test_a_server_that_takes_no_more_of_a_body_did_not_answer_in_time() -> None:
    lost = pytest.raises(RelmanError, match=r"was lost: no answer within 0\.2 s")
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(timeout=0.2, retry=QUICK) as client, lost:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        client.request("PUT", url, content=b"x" * 16_000_000, repeat=Repeat.ANSWERED)


# -------------------------------------------------------------------------------------------- connections


def test_a_redirect_whose_words_do_not_come_is_followed_at_once() -> None:
    def drips(asked: Asked) -> Reply:
        return Reply(307, {"Location": "/y"}, b"w" * 100, drip=0.3) if asked.path == "/x" else FINE

    with Scripted(drips) as server, Client(timeout=30, retry=QUICK) as client:
        begun = time.monotonic()
        assert client.request("GET", f"{server.url}/x", redirects=1).content == b"fine"
        assert time.monotonic() - begun < 5


def test_a_connection_that_nobody_used_for_long_is_not_used_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[int] = []
    with Scripted(in_turn(FINE)) as server:
        server.on_connection = lambda: connections.append(1)
        client.request("GET", server.url)
        client.request("GET", server.url)
        assert len(connections) == 1

        monkeypatch.setattr(pooled, "_IDLE", 0.0)
        client.request("PUT", server.url, content=b"1", repeat=Repeat.ANSWERED)
        assert len(connections) == 2


def test_who_waits_for_a_connection_that_is_being_opened_waits_no_longer_than_for_any(client: Client) -> None:
    with Scripted(in_turn(FINE)) as server:
        client.open_ahead(server.url, 1, [Opening()])  # which will never be there
        with pytest.raises(RelmanError, match=r"cannot be reached: no connection within 0\.1 s"):
            client.request("GET", server.url, timeout=0.1, once=True)
        assert client.request("GET", server.url).content == b"fine"


def test_where_no_thread_can_be_had_to_open_connections_ahead_they_are_opened_when_asked_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Scripted(in_turn(FINE)) as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            client.open_ahead(server.url, 2)
        assert client.request("GET", server.url).content == b"fine"


@pytest.mark.parametrize("proxy", ["ftp://me:composed@p:1", "http://me:composed@p:ab", "http://me:composed@p:99999"])
def test_a_proxy_that_is_none_is_named_without_its_password(
    client: Client, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)

    with pytest.raises(Unequipped, match="as a proxy, which is no address of one") as caught:
        client.request("GET", "http://registry.invalid/x")
    assert "composed" not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__}"


def test_a_proxys_password_may_have_any_letters(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted(in_turn(FINE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:%E2%98%83@"))
        monkeypatch.delenv("no_proxy", raising=False)
        client.request("GET", "http://registry.invalid/x")

        assert proxy.asked[0].headers["proxy-authorization"] == "Basic bWU64piD"
