"""Logins from where skopeo, podman and docker keep them; challenges and tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.addresses import is_plain
from relman.errors import Malformed, Unequipped
from relman.http import Answer, Client, Retry
from relman.redaction import redact
from relman.registry.auth import Authorizer, Challenge, parse_challenges
from relman.registry.credentials import Credentials, CredentialStore
from tests.servers import Asked, Reply, Scripted


def encoded(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


class Home:
    """A home folder with login files in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run"), "PATH": str(root / "bin")}

    def write(self, path: str, content: dict[str, Any] | str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content if isinstance(content, str) else json.dumps(content))
        return target

    def helper(self, name: str, script: str) -> None:
        program = self.write(f"bin/docker-credential-{name}", f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def find(self, registry: str = "ghcr.io", repository: str = "owner/image") -> Credentials | None:
        return CredentialStore(self.environment).find(registry, repository)

    def user(self, registry: str = "ghcr.io", repository: str = "owner/image") -> str | None:
        found = self.find(registry, repository)
        return found.username if found else None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


FILES = ["run/containers/auth.json", ".config/containers/auth.json", ".docker/config.json"]


@pytest.mark.parametrize("path", FILES)
def test_a_login_is_found_in_each_place(home: Home, path: str) -> None:
    file = home.write(path, {"auths": {"ghcr.io": encoded("me", "composed:with:colons")}})

    assert home.find() == Credentials("me", "composed:with:colons", None, str(file))


def test_earlier_places_come_first_and_a_file_without_the_host_is_passed_over(home: Home) -> None:
    for user, path in zip(("first", "second", "third"), FILES, strict=True):
        home.write(path, {"auths": {"ghcr.io": encoded(user, "composed")}})
    assert home.user() == "first"

    home.write(FILES[0], {"auths": {"quay.io": encoded("other", "composed")}})
    assert home.user() == "second"

    (home.root / FILES[1]).write_text("")
    assert home.user() == "third"


@pytest.mark.parametrize(
    ("variable", "path"),
    [("XDG_CONFIG_HOME", "xdg/containers/auth.json"), ("DOCKER_CONFIG", "xdg/config.json")],
)
def test_places_move_with_their_variables(home: Home, variable: str, path: str) -> None:
    home.write(path, {"auths": {"ghcr.io": encoded("moved", "composed")}})
    home.environment[variable] = str(home.root / "xdg")

    assert home.user() == "moved"


def test_registry_auth_file_stands_for_all_others(home: Home) -> None:
    home.write(FILES[2], {"auths": {"ghcr.io": encoded("docker", "composed"), "quay.io": encoded("docker", "x")}})
    given_file = home.write("given.json", {"auths": {"ghcr.io": encoded("given", "composed")}})
    home.environment["REGISTRY_AUTH_FILE"] = str(given_file)

    assert (home.user("ghcr.io"), home.user("quay.io")) == ("given", None)

    given_file.unlink()
    with pytest.raises(Unequipped, match=r"given.json`, which REGISTRY_AUTH_FILE names, is not there"):
        home.find()


def test_nobody_is_logged_in_where_there_are_no_files(home: Home) -> None:
    assert home.find() is None


def test_the_longest_key_wins_and_never_matches_half_a_name(home: Home) -> None:
    keys = ["ghcr.io", "ghcr.io/owner", "ghcr.io/owner/image", "ghcr.io/own", "ghcr.io:443", "evil-ghcr.io"]
    home.write(FILES[0], {"auths": {key: encoded(key.replace(":", "+"), "x") for key in keys}})

    assert home.user("ghcr.io", "owner/image") == "ghcr.io/owner/image"
    assert home.user("ghcr.io", "owner/image-dx") == "ghcr.io/owner"
    assert home.user("ghcr.io", "owners/image") == "ghcr.io"
    assert home.user("ghcr.io:443", "x") == "ghcr.io+443"
    assert home.user("io", "x") is None


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("ghcr.io/v1/", "ghcr.io"),
        ("http://localhost:5000", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("ghcr.io/", "ghcr.io"),
    ],
)
def test_the_ways_in_which_docker_writes_hosts_are_known(home: Home, key: str, registry: str) -> None:
    home.write(FILES[2], {"auths": {key: encoded("me", "composed")}})

    assert home.user(registry, "library/fedora") == "me"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"username": "me", "password": "composed"}, ("me", "composed", None)),
        ({**encoded("me", ""), "identitytoken": "composed"}, ("me", "", "composed")),
        ({"identitytoken": "composed"}, ("", "", "composed")),
        ({}, None),
    ],
)
def test_the_forms_of_an_entry(home: Home, entry: dict[str, str], expected: tuple[str, str, str | None] | None) -> None:
    home.write(FILES[2], {"auths": {"ghcr.io": entry}})
    found = home.find()

    assert (found and (found.username, found.password, found.identity_token)) == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"auths": []}', None),
        ('{"auths": [1]}', "`auths` is no table"),
        ('{"auths": {"ghcr.io": "x"}}', "under `ghcr.io` is no login"),
        ('{"auths": {"ghcr.io": {"auth": "composed!"}}}', "is not base64"),
        ('{"auths": {"ghcr.io": {"auth": "Y29tcG9zZWQ="}}}', "does not hold `user:password`"),
        ('{"credHelpers": {"ghcr.io": "../evil"}}', "as a credential helper"),
        ('{"credsStore": "a b"}', "as a credential helper"),
    ],
)
def test_a_broken_file_is_named_and_never_quoted(home: Home, content: str, problem: str | None) -> None:
    file = home.write(FILES[0], content)
    if problem is None:
        assert home.find() is None
        return
    with pytest.raises(Malformed, match=problem) as caught:
        home.find()
    assert str(file) in caught.value.message
    assert "composed" not in caught.value.message.lower()


def test_a_helper_is_asked_over_its_standard_input(home: Home) -> None:
    home.helper(
        "test",
        'read -r server; echo "{\\"ServerURL\\":\\"x\\",\\"Username\\":\\"$server\\",\\"Secret\\":\\"s3cr3t\\"}"',
    )
    home.write(FILES[2], {"credHelpers": {"ghcr.io": "test"}, "auths": {"ghcr.io": encoded("file", "composed")}})
    assert home.find() == Credentials("ghcr.io", "s3cr3t", None, "docker-credential-test")

    home.write(FILES[2], {"credsStore": "test"})
    assert home.user("quay.io") == "quay.io"
    assert home.user("docker.io") == "https://index.docker.io/v1/"
    assert "s3cr3t" not in redact("the secret is s3cr3t")


def test_a_token_from_a_helper_is_an_identity_token(home: Home) -> None:
    home.helper("test", """echo '{"Username":"<token>","Secret":"composed"}'""")
    home.write(FILES[2], {"credsStore": "test"})

    found = home.find()

    assert found is not None
    assert (found.password, found.identity_token) == ("", "composed")


def test_a_helper_that_knows_nothing_leaves_the_file_to_answer(home: Home) -> None:
    home.helper("test", "echo 'credentials not found in native keychain'; exit 1")
    home.write(FILES[2], {"credsStore": "test", "auths": {"ghcr.io": encoded("file", "composed")}})

    assert (home.user("ghcr.io"), home.user("quay.io")) == ("file", None)


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (None, Unequipped, "`docker-credential-test` is not installed"),
        ("echo locked >&2; exit 1", Unequipped, "`docker-credential-test get` exited with 1: locked"),
        ("echo no", Malformed, "is not JSON"),
        ("echo '{}'", Malformed, "has no `Username` and `Secret`"),
    ],
)
def test_a_helper_that_fails_is_named(home: Home, script: str | None, error: type[Exception], message: str) -> None:
    if script is not None:
        home.helper("test", script)
    home.write(FILES[2], {"credHelpers": {"ghcr.io": "test"}})

    with pytest.raises(error, match=message):
        home.find()


def test_a_login_shows_no_secret() -> None:
    assert "composed" not in repr(Credentials("me", "composed", "composed-token", "file"))


# --------------------------------------------------------------------------------------- challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://ghcr.io/token", "service": "ghcr.io", "scope": "repository:a/b:pull,push"})],
        ),
        ('Basic realm="a \\"quoted\\" one"', [("basic", {"realm": 'a "quoted" one'})]),
        ("Basic", [("basic", {})]),
        ('BEARER Realm = "x" , Service=y', [("bearer", {"realm": "x", "service": "y"})]),
        ('Bearer realm="x", Basic realm="y"', [("bearer", {"realm": "x"}), ("basic", {"realm": "y"})]),
        ('Negotiate, Bearer realm="x"', [("negotiate", {}), ("bearer", {"realm": "x"})]),
        ("", []),
    ],
)
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(header) == tuple(Challenge(scheme, found) for scheme, found in expected)


@given(st.text())
def test_any_header_is_read_without_harm(text: str) -> None:
    assert isinstance(parse_challenges(text), tuple)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("127.0.0.1:5000", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("[::1]:5000", True),
        ("registry.lan:5000", True),
        ("registry.lan:5001", False),
        ("named.lan:1234", True),
        ("ghcr.io", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("128.0.0.1", False),
    ],
)
def test_only_loopback_and_named_hosts_are_spoken_to_without_tls(host: str, plain: bool) -> None:
    assert is_plain(host, frozenset({"registry.lan:5000", "named.lan"})) is plain


# ------------------------------------------------------------------------------------------- tokens


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def token_server() -> Iterator[Scripted]:
    count = iter(range(1000))

    def answer(asked: Asked) -> Reply:
        return Reply(200, {}, json.dumps({"token": f"composed-{next(count)}", "expires_in": 100}).encode())

    with Scripted(answer) as server:
        yield server


SCOPES = ("repository:owner/image:pull",)


@pytest.fixture
def make(home: Home, token_server: Scripted) -> Iterator[Callable[..., Authorizer]]:
    with Client(timeout=5, retry=Retry(attempts=1)) as client:

        def authorizer(
            host: str = "127.0.0.1:5000",
            header: str | None = None,
            insecure: frozenset[str] = frozenset(),
            clock: Callable[[], float] | None = None,
        ) -> Authorizer:
            made = Authorizer(host, client, CredentialStore(home.environment), insecure, clock or Clock())
            value = header or f'Bearer realm="{token_server.url}/token",service="front"'
            made.challenged(Answer("GET", "", 401, {"www-authenticate": value}, b""), SCOPES, None)
            return made

        yield authorizer


Make = Callable[..., Authorizer]


def test_a_token_is_fetched_once_for_a_scope_and_again_when_it_ages_or_is_refused(
    make: Make, token_server: Scripted
) -> None:
    clock = Clock()
    auth = make(clock=clock)

    assert [auth.header(SCOPES), auth.header(SCOPES)] == ["Bearer composed-0"] * 2
    assert auth.header(("repository:owner/other:pull",)) == "Bearer composed-1"
    clock.now = 89
    assert auth.header(SCOPES) == "Bearer composed-0"
    clock.now = 91
    assert auth.header(SCOPES) == "Bearer composed-2"
    challenge = {"www-authenticate": f'Bearer realm="{token_server.url}/token"'}
    auth.challenged(Answer("GET", "", 401, challenge, b""), SCOPES, "Bearer composed-2")
    assert auth.header(SCOPES) == "Bearer composed-3"
    auth.challenged(Answer("GET", "", 401, challenge, b""), SCOPES, "Bearer composed-0")
    assert auth.header(SCOPES) == "Bearer composed-3"


def test_the_token_server_gets_the_login_the_service_and_every_scope(
    make: Make, token_server: Scripted, home: Home
) -> None:
    home.write(FILES[0], {"auths": {"127.0.0.1:5000": encoded("me", "composed")}})
    header = f'Bearer realm="{token_server.url}/token?a=b",service="front",scope="repository:owner/image:pull other"'

    make(header=header).header(SCOPES)

    (asked,) = token_server.asked
    assert asked.path == "/token?a=b&service=front&scope=repository%3Aowner%2Fimage%3Apull&scope=other"
    assert asked.headers["authorization"] == "Basic " + encoded("me", "composed")["auth"]


def test_an_identity_token_is_traded_by_post(make: Make, token_server: Scripted, home: Home) -> None:
    home.write(FILES[0], {"auths": {"127.0.0.1:5000": {"identitytoken": "composed-identity"}}})

    assert make().header(SCOPES) == "Bearer composed-0"

    (asked,) = token_server.asked
    assert (asked.method, asked.body) == (
        "POST",
        b"service=front&scope=repository%3Aowner%2Fimage%3Apull&grant_type=refresh_token&client_id=relman"
        b"&refresh_token=composed-identity",
    )
    assert "authorization" not in asked.headers


def test_an_anonymous_token_is_asked_for_without_a_login(make: Make, token_server: Scripted) -> None:
    make().header(SCOPES)

    assert "authorization" not in token_server.asked[0].headers


@pytest.mark.parametrize(
    ("host", "realm", "insecure"),
    [
        ("ghcr.io", "http://ghcr.io/token", []),
        ("ghcr.io", "http://127.0.0.1:1/token", []),
        ("127.0.0.1:5000", "http://evil.example/token", []),
        ("registry.lan", "http://evil.example/token", ["registry.lan"]),
    ],
)
def test_no_login_goes_to_a_token_server_without_tls(
    make: Make, home: Home, host: str, realm: str, insecure: list[str]
) -> None:
    home.write(FILES[0], {"auths": {host: encoded("me", "composed")}})

    with pytest.raises(Malformed, match="a login is not sent without TLS"):
        make(host, f'Bearer realm="{realm}"', frozenset(insecure)).header(SCOPES)


@pytest.mark.parametrize("realm", ["", "token", "file:///etc/passwd", "http://[bad"])
def test_a_token_server_must_be_an_address(make: Make, realm: str) -> None:
    with pytest.raises(Malformed, match="not an address of the web"):
        make(header=f'Bearer realm="{realm}"').header(SCOPES)


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply(401), Unequipped, "gives no token"),
        (Reply(403), Unequipped, "gives no token"),
        (Reply(200, {}, b"no"), Malformed, "did not answer with JSON"),
        (Reply(200, {}, b"{}"), Malformed, "without a token"),
        (Reply(200, {}, b'{"token": "a\\r\\nX-Evil: 1"}'), Malformed, "without a token"),
        (Reply(200, {}, b'{"token": 7}'), Malformed, "without a token"),
    ],
)
def test_a_token_server_that_gives_none_is_an_error(
    make: Make, token_server: Scripted, reply: Reply, error: type[Exception], message: str
) -> None:
    token_server.answer = lambda asked: reply

    with pytest.raises(error, match=message):
        make().header(SCOPES)


def test_basic_sends_the_login_itself_and_wants_one(make: Make, home: Home) -> None:
    with pytest.raises(Unequipped, match=r"wants a login, and there is none: asked for `127.0.0.1:5000/owner/image`"):
        make(header='Basic realm="x"').header(SCOPES)

    home.write(FILES[0], {"auths": {"127.0.0.1:5000": encoded("me", "composed")}})
    assert make(header='Basic realm="x"').header(SCOPES) == "Basic " + encoded("me", "composed")["auth"]


def test_a_challenge_of_an_unknown_kind_is_an_error(make: Make) -> None:
    with pytest.raises(Unequipped, match="does not say how to log in"):
        make(header="Negotiate")
