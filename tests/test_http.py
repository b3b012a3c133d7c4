"""The HTTP client: what is repeated and what is not, how long it waits, what it says."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman import process, redaction
from relman.connections import Untrusted, redirected
from relman.curl import as_curl, shown
from relman.errors import AnswerLost, Malformed, Passing
from relman.http import USER_AGENT, Client, Repeat, Retry
from relman.pace import Pace, retry_after
from tests.servers import Asked, Reply, Scripted, free_port, in_turn

QUICK = Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0)


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(time: FakeTime) -> Iterator[Client]:
    with Client(timeout=5, retry=QUICK, clock=time.clock, sleep=time.sleep) as client:
        yield client


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def start(*replies: Reply) -> Scripted:
        servers.append(Scripted(in_turn(*replies)))
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


Serve = Callable[..., Scripted]
OK = Reply(200, {}, b"fine")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_answer_to_a_read_is_tried_again(client: Client, serve: Serve, status: int) -> None:
    server = serve(Reply(status), Reply(status), OK)

    assert client.request("GET", f"{server.url}/x").content == b"fine"
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 501])
def test_any_other_answer_is_final(client: Client, serve: Serve, status: int) -> None:
    server = serve(Reply(status, {}, b"so"))

    answer = client.request("GET", f"{server.url}/x")

    assert (answer.status, answer.content, len(server.asked)) == (status, b"so", 1)


def test_a_server_that_stays_busy_gets_six_tries_and_has_the_last_word(client: Client, serve: Serve) -> None:
    server = serve(Reply(503, {}, b"down"))

    answer = client.request("GET", f"{server.url}/x")

    assert (answer.status, answer.content, len(server.asked)) == (503, b"down", 6)


@pytest.mark.parametrize("broken", [Reply(reset=True), Reply(200, {}, b"x" * 5000, cut=2000)])
def test_a_broken_read_is_tried_again(client: Client, serve: Serve, broken: Reply) -> None:
    server = serve(broken, broken, OK)

    assert client.request("GET", f"{server.url}/x").content == b"fine"


def test_a_read_that_stays_broken_is_a_passing_failure_that_names_the_host(client: Client, serve: Serve) -> None:
    server = serve(Reply(reset=True))

    with pytest.raises(Passing, match=f"`{server.host}` did not answer GET"):
        client.request("GET", f"{server.url}/x")


def test_a_host_that_is_down_is_named_with_the_reason(client: Client) -> None:
    port = free_port()

    with pytest.raises(Passing, match=f"`127.0.0.1:{port}` cannot be reached: .*refused"):
        client.request("GET", f"http://127.0.0.1:{port}/x")
    with pytest.raises(Passing, match="cannot be reached"):
        client.send("POST", f"http://127.0.0.1:{port}/x", content=b"1")


def test_a_server_that_says_nothing_is_given_up(serve: Serve) -> None:
    import socket

    with socket.socket() as listener, Client(timeout=0.05, retry=Retry(attempts=2, wait_initial=0.001)) as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Passing, match=f"`{address}` did not answer GET .*: no answer within 0.05 s"):
            client.request("GET", f"http://{address}/x")
        with pytest.raises(AnswerLost, match=f"the answer of `{address}` to POST"):
            client.send("POST", f"http://{address}/x", content=b"1")


# ------------------------------------------------------------------------------------------- writes


def test_an_idempotent_write_is_repeated_after_a_lost_answer(client: Client, serve: Serve) -> None:
    server = serve(Reply(reset=True), Reply(201))

    answer = client.request("PUT", f"{server.url}/x", content=b"1", repeat=Repeat.ALWAYS)

    assert (answer.status, answer.doubtful, server.lines) == (201, True, ["PUT /x", "PUT /x"])


@pytest.mark.parametrize("repeat", [Repeat.ANSWERED, Repeat.REFUSED])
@pytest.mark.parametrize("lost", [Reply(reset=True), Reply(200, {}, b"x" * 5000, cut=10)])
def test_a_lost_answer_to_any_other_write_is_not_repeated(
    client: Client, serve: Serve, repeat: Repeat, lost: Reply
) -> None:
    server = serve(lost, OK)

    with pytest.raises(AnswerLost, match=f"the answer of `{server.host}` to PUT .* was lost"):
        client.request("PUT", f"{server.url}/x", content=b"1", repeat=repeat)
    assert server.lines == ["PUT /x"]


def test_an_idempotent_write_whose_answers_are_all_lost_is_a_lost_answer(client: Client, serve: Serve) -> None:
    server = serve(Reply(reset=True))

    with pytest.raises(AnswerLost):
        client.request("PUT", f"{server.url}/x", content=b"1", repeat=Repeat.ALWAYS)
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("refusal", "sent"),
    [
        (Reply(429), 2),
        (Reply(429, {"Retry-After": "0"}), 2),
        (Reply(503, {"Retry-After": "0"}), 2),
        (Reply(403, {"Retry-After": "0"}), 2),
        (Reply(403), 1),
        (Reply(503), 1),
        (Reply(500), 1),
        (Reply(502), 1),
        (Reply(504), 1),
        (Reply(408), 1),
    ],
)
def test_a_post_is_sent_again_only_where_it_was_surely_refused(
    client: Client, serve: Serve, refusal: Reply, sent: int
) -> None:
    server = serve(refusal, OK)

    answer = client.send("POST", f"{server.url}/x", content=b"hello")

    assert answer.status == (200 if sent == 2 else refusal.status)
    assert [asked.body for asked in server.asked] == [b"hello"] * sent


def test_a_body_from_pieces_is_begun_anew_for_each_try(client: Client, serve: Serve) -> None:
    server = serve(Reply(502), Reply(201))

    client.request(
        "PUT",
        f"{server.url}/x",
        content=lambda: iter((b"ab", b"cd")),
        headers={"Content-Length": "4"},
        repeat=Repeat.ALWAYS,
    )

    assert [(asked.body, asked.headers["content-length"]) for asked in server.asked] == [(b"abcd", "4")] * 2


# --------------------------------------------------------------------------------------------- pace


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "3600"}, 60),
        ({"Retry-After": "Sun, 08 Jun 2025 12:00:30 GMT", "Date": "Sun, 08 Jun 2025 12:00:00 GMT"}, 30),
        ({"Retry-After": "Sun, 08 Jun 2025 11:00:00 GMT", "Date": "Sun, 08 Jun 2025 12:00:00 GMT"}, 0),
    ],
)
def test_a_server_is_waited_for_as_long_as_it_asks_up_to_a_minute(
    client: Client, serve: Serve, time: FakeTime, headers: dict[str, str], waited: float
) -> None:
    server = serve(Reply(429, headers), OK)

    client.request("GET", f"{server.url}/x")

    assert sum(time.slept) == pytest.approx(waited)


def test_a_429_to_one_worker_holds_back_all_that_ask_the_same_host(time: FakeTime) -> None:
    pace = Pace(time.clock, time.sleep)
    pace.slow("busy", 5)

    pace.wait("other")
    assert time.slept == []
    pace.wait("busy")
    pace.wait("busy")
    pace.wait("busy")
    assert time.slept == pytest.approx([5, 0.05, 0.05])


def test_a_host_that_answers_again_is_asked_at_full_speed_again(time: FakeTime) -> None:
    pace = Pace(time.clock, time.sleep)
    pace.slow("busy", 0)
    for _ in range(20):
        pace.ease("busy")
    pace.wait("busy")
    before = list(time.slept)

    pace.wait("busy")

    assert time.slept == before


@given(st.text())
def test_nonsense_after_retry_after_is_no_wait(text: str) -> None:
    found = retry_after({"retry-after": text})

    assert found is None or found >= 0


# ------------------------------------------------------------------------------------- bounds, redirects


def test_a_body_over_the_limit_is_refused_or_cut_as_asked(client: Client, serve: Serve) -> None:
    server = serve(Reply(200, {}, b"x" * 1001))

    with pytest.raises(Malformed, match="larger than 1000 bytes"):
        client.request("GET", f"{server.url}/x", limit=1000)
    assert client.request("GET", f"{server.url}/x", limit=1000, cut=True).content == b"x" * 1000
    assert client.request("GET", f"{server.url}/x", limit=1001).content == b"x" * 1001


def test_a_redirect_is_followed_without_the_credentials(client: Client, serve: Serve) -> None:
    cdn = serve(OK)
    server = serve(Reply(307, {"Location": f"{cdn.url}/y?sig=1"}))
    headers = {"Authorization": "Bearer composed", "Cookie": "a=b", "Accept": "text/plain"}

    answer = client.request("GET", f"{server.url}/x", headers=headers, redirects=1)

    assert answer.content == b"fine"
    assert server.asked[0].headers["authorization"] == "Bearer composed"
    assert {"authorization", "cookie"} & set(cdn.asked[0].headers) == set()
    assert cdn.asked[0].headers["accept"] == "text/plain"


def test_a_redirect_on_the_same_host_keeps_them(client: Client, serve: Serve) -> None:
    server = serve(Reply(302, {"Location": "/y"}), OK)

    client.request("GET", f"{server.url}/x", headers={"Authorization": "Bearer composed"}, redirects=1)

    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer composed"] * 2


def test_redirects_end(client: Client, serve: Serve) -> None:
    server = serve(Reply(302, {"Location": "/round"}))

    with pytest.raises(Malformed, match="redirects more than 3 times"):
        client.request("GET", f"{server.url}/x", redirects=3)
    assert client.request("GET", f"{server.url}/x").status == 302


def test_a_redirect_does_not_leave_tls() -> None:
    with pytest.raises(Malformed, match="not protected by TLS"):
        redirected("https://ghcr.io/x", "http://ghcr.io/y", {}, frozenset())
    secret = {"Authorization": "Bearer composed"}
    assert redirected("https://a/x", "http://b:1/y", secret, frozenset({"b"})) == ("http://b:1/y", {})
    assert redirected("https://a/x", "https://a:8443/y", secret, frozenset()) == ("https://a:8443/y", {})
    assert redirected("https://a/x", "/y", secret, frozenset()) == ("https://a/y", secret)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[bad/"])
def test_a_redirect_leads_nowhere_but_the_web(client: Client, serve: Serve, target: str) -> None:
    server = serve(Reply(302, {"Location": target}))

    with pytest.raises(Malformed, match="not an address of the web"):
        client.request("GET", f"{server.url}/x", redirects=3)


def test_no_cookie_is_ever_sent_back(client: Client, serve: Serve) -> None:
    server = serve(Reply(200, {"Set-Cookie": "sid=1; Path=/"}))

    client.request("GET", f"{server.url}/x")
    client.request("GET", f"{server.url}/x")

    assert "cookie" not in server.asked[1].headers


@pytest.mark.parametrize("url", ["ghcr.io/x", "file:///etc/passwd", "http://", "http://[bad", ""])
def test_what_is_no_address_is_said_so(client: Client, url: str) -> None:
    with pytest.raises(Malformed, match="not an address of the web"):
        client.request("GET", url)


def test_a_header_with_a_line_break_is_not_sent(client: Client, serve: Serve) -> None:
    server = serve(OK)

    with pytest.raises(Malformed, match="cannot be asked"):
        client.request("GET", f"{server.url}/x", headers={"X-A": "1\r\nX-B: 2"})
    assert server.asked == []


def test_a_proxy_of_the_environment_is_used_but_never_for_loopback(
    monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    proxy, server = serve(Reply(200, {}, b"by proxy")), serve(OK)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("no_proxy", "")

    with Client(timeout=5, retry=QUICK) as client:
        assert client.request("GET", f"{server.url}/x").content == b"fine"
        assert client.request("GET", "http://registry.invalid/x").content == b"by proxy"


# ---------------------------------------------------------------------------------------------- TLS


def test_a_server_without_tls_is_named_with_the_way_to_say_so(client: Client, serve: Serve) -> None:
    server = serve(OK)

    with pytest.raises(Untrusted, match=f"no TLS with `{server.host}`") as caught:
        client.request("GET", f"https://{server.host}/x")
    assert caught.value.hint is not None
    assert f"add `{server.host}` to `insecure`" in caught.value.hint


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(client: Client, serve: Serve, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1"]
    process.run(["openssl", "req", *options, *files], timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = serve(OK)
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)

    with pytest.raises(Untrusted, match=f"no TLS with `{server.host}`: .*certificate verify failed") as caught:
        client.request("GET", f"https://{server.host}/x")
    assert caught.value.hint is not None
    assert "SSL_CERT_FILE" in caught.value.hint
    trusted = ssl.create_default_context(cafile=str(certificate))
    with Client(timeout=5, retry=QUICK, verify=trusted) as other:
        assert other.request("GET", f"https://{server.host}/x").content == b"fine"


# ---------------------------------------------------------------------------------------------- log


def test_each_request_is_logged_as_a_command_to_paste_without_its_secrets(
    client: Client, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    redaction.register("composed-secret-in-path")
    server = serve(OK)
    headers = {"Authorization": "Bearer composed", "Content-Type": "text/plain", "X-Api-Key": "composed"}

    with caplog.at_level(logging.DEBUG, logger="relman.http"):
        client.send("POST", f"{server.url}/bot/composed-secret-in-path?sig=abc&n=1", content=b"hi", headers=headers)

    assert caplog.messages[0] == (
        "$ curl --request POST --header 'Authorization: Bearer …redacted…' --header 'Content-Type: text/plain' "
        f"--header 'X-Api-Key: …redacted…' --data-binary @body '{server.url}/bot/…redacted…?sig=…redacted…&n=1'"
        "  # 2 bytes"
    )
    assert server.asked[0].headers["user-agent"] == USER_AGENT


def test_a_plain_read_is_a_plain_command() -> None:
    assert as_curl("GET", "https://ghcr.io/v2/", {"User-Agent": "x", "Accept": "*/*"}, 0) == "curl https://ghcr.io/v2/"
    assert as_curl("HEAD", "https://ghcr.io/v2/", {}, 0) == "curl --head https://ghcr.io/v2/"


def test_a_password_in_an_address_is_not_shown() -> None:
    assert shown("https://user:composed@example.org/x?token=a") == "https://example.org/x?token=…redacted…"


# ------------------------------------------------------------------------------------------- streams


def test_a_stream_begins_after_busy_answers_and_says_where_it_was_cut(client: Client, serve: Serve) -> None:
    server = serve(Reply(503), Reply(reset=True), Reply(200, {}, b"x" * 100_000, cut=70_000))
    got: list[bytes] = []

    with pytest.raises(Passing, match="in whole"), client.stream(f"{server.url}/x") as stream:
        got.extend(stream.pieces)

    assert len(server.asked) == 3
    assert b"".join(got) == b"x" * len(b"".join(got))


def test_many_threads_share_one_client(serve: Serve) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def answer(asked: Asked) -> Reply:
        return Reply(200, {}, asked.path.encode())

    server = serve(OK)
    server.answer = answer
    with Client(timeout=5, retry=QUICK) as client, ThreadPoolExecutor(16) as pool:
        found = pool.map(lambda n: client.request("GET", f"{server.url}/{n}").content, range(200))

        assert list(found) == [f"/{n}".encode() for n in range(200)]
