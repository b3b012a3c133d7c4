"""A greeting makes a run faster, or changes nothing: whatever a registry's `/v2/` and its token server have to say."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relman import early
from relman.errors import Passing, RelmanError, Unequipped
from relman.http import Client, Retry
from relman.opening import opening
from relman.registry import session as sessions
from relman.registry.auth import Scopes
from relman.registry.credentials import CredentialStore
from relman.registry.session import First, Session
from tests.servers import Asked, Reply, Scripted, free_port

QUICK = Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0)
SCOPES: Scopes = ("repository:os:pull",)
TAGS = "/v2/os/tags/list"
FINE = Reply(200, {}, b"{}")


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(timeout=5, retry=QUICK) as client:
        yield client


def greeted(client: Client, host: str, home: Path) -> Session:
    session = Session(host, client, CredentialStore({"HOME": str(home)}), frozenset())
    session.greet([])
    return session


def asking_for(challenge: str, token: Reply) -> Callable[[Asked], Reply]:
    """A registry that anybody may read, whatever it says at its door."""

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return token
        if asked.path == "/v2/":
            return Reply(401, {"WWW-Authenticate": challenge.replace("HOST", asked.headers["host"])})
        return FINE

    return answer


@pytest.mark.parametrize(
    ("challenge", "token"),
    [
        ("Basic realm=x", FINE),
        ("Bearer", FINE),
        ('Bearer realm="http://elsewhere.invalid/token"', FINE),
        ('Bearer realm="http://127.0.0.1:1/token"', FINE),
        ('Bearer realm="http://HOST/token"', Reply(500)),
        ('Bearer realm="http://HOST/token"', Reply(401)),
        ('Bearer realm="http://HOST/token"', Reply(200, {}, b"<html>")),
        ("Negotiate", FINE),
    ],
)
def test_what_a_registry_wants_at_its_door_and_nobody_has_may_not_be_wanted_inside(
    client: Client, tmp_path: Path, challenge: str, token: Reply
) -> None:
    with Scripted(asking_for(challenge, token)) as server:
        session = greeted(client, server.host, tmp_path)

        assert session.ask("GET", TAGS, SCOPES).status == 200
        assert len([line for line in server.lines if line.startswith("GET /token")]) <= 1


def test_who_was_let_in_and_may_not_push_hears_so(client: Client, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return Reply(403) if "push" in asked.path else Reply(200, {}, b'{"token": "composed"}')
        return FINE if "authorization" in asked.headers else Reply(401, {"WWW-Authenticate": bearer})

    with Scripted(answer) as server:
        bearer = f'Bearer realm="{server.url}/token"'
        session = greeted(client, server.host, tmp_path)
        session.ask("GET", TAGS, SCOPES)

        with pytest.raises(Unequipped, match="gives no token"):
            session.auth.header(("repository:os:pull,push",))


def test_a_door_that_stays_shut_is_waited_at_for_a_moment_and_once(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_PATIENCE", 0.3)
    over = threading.Event()

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v2/":
            over.wait(20)
        return FINE

    with Scripted(answer) as server:
        session = greeted(client, server.host, tmp_path)
        begun = time.monotonic()
        for _ in range(5):
            assert session.ask("GET", TAGS, SCOPES).status == 200
        assert 0.2 < time.monotonic() - begun < 1.2
        over.set()


def both(first: First) -> tuple[list[str], list[RelmanError]]:
    """Who went, and what they heard, where the first gets no answer while a second one waits."""
    inside, waiting, went, heard = threading.Event(), threading.Event(), list[str](), list[RelmanError]()

    def go(name: str) -> None:
        try:
            with first.alone():
                went.append(name)
                inside.set()
                waiting.wait(0.3)
                raise Passing(f"no answer for the {name}")
        except RelmanError as error:
            heard.append(error)

    threads = [threading.Thread(target=go, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
        inside.wait(5)
    for thread in threads:
        thread.join(5)
    return went, heard


def test_where_the_first_got_no_answer_those_who_waited_do_not_try_as_often() -> None:
    first = First(for_all=True)
    went, heard = both(first)
    with first.alone():  # who comes later tries for itself
        went.append("later")

    assert (went, [error.message for error in heard]) == (["first", "later"], ["no answer for the first"] * 2)


def test_where_what_the_first_asked_for_was_its_own_the_others_go_on() -> None:
    went, heard = both(First())

    assert (went, len(heard)) == (["first", "second"], 2)


def test_those_who_wait_for_a_token_that_is_not_to_be_had_hear_the_same(client: Client, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            time.sleep(0.3)
            return Reply(403)
        return Reply(401, {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})

    with Scripted(answer) as server:
        session = Session(server.host, client, CredentialStore({"HOME": str(tmp_path)}), frozenset())
        session.auth.challenged(client.request("GET", server.url), SCOPES, None)

        def ask() -> None:
            with pytest.raises(Unequipped, match="gives no token"):
                session.auth.header(SCOPES)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(server.lines) == 2
        ask()  # who comes later tries for itself
        assert len(server.lines) == 3


# ---------------------------------------------------------------------------------------------- beginning


def test_connections_are_not_handed_over_where_there_is_no_way() -> None:
    assert [one.result(5) for one in opening(f"http://127.0.0.1:{free_port()}", 2)] == [None, None]
    assert [one.result(5) for one in opening("http://255.255.255.255:1", 2)] == [None, None]
    assert [one.result(5) for one in opening("http://a..b", 2)] == [None, None]


def test_the_address_after_one_without_a_way_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        places = ["255.255.255.255", "127.0.0.1"]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (it, listener.getsockname()[1])) for it in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        made = [one.result(5) for one in opening("http://registry.invalid", 2)]
        assert [one and one.getpeername()[0] for one in made] == ["127.0.0.1"] * 2

    for one in made:
        assert one
        one.close()


def test_nothing_begins_where_the_folder_is_gone_or_the_file_is_a_maze(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "relman.toml").write_text("a = " + "[" * 5000)
    monkeypatch.chdir(tmp_path)
    early.begin(["status"])

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    early.begin(["status"])

    assert early.begun() is None


SLOWLY = """
import signal, sys, time
from relman import early
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests in the background has it ignored
def begin(arguments):
    print("begun", flush=True)
    time.sleep(20)
early.begin = begin
sys.argv = ["relman", "status"]
from relman.__main__ import main
main()
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_while_it_begins_says_so_in_a_line(tmp_path: Path, sent: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        process.send_signal(sent)
        _, said = process.communicate(timeout=20)

    assert (process.returncode, said) == (130, "\ninterrupted; safe to run again\n")
