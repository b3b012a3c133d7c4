"""Releases on GitHub, against a stand-in that checks each request: once, whole, and never over somebody else's."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from msgspec.structs import replace

from relman.errors import Malformed, NotFound, Passing, RelmanError, Unequipped
from relman.model.plan import Action, Stage
from relman.model.record import Receipt, ReceiptState
from relman.testing.executors import RULES, Blow, Killed, Trial, channel_trial
from relman_plugins.publish import github
from relman_plugins.publish.assets import Asset
from relman_plugins.publish.planning import marker
from tests.servers import Asked, Reply, once
from tests.standins import faults
from tests.standins import github as standin

TAG = "sample-20260705"
FILES = ["notes.md", "changelog.json", "release.json"]


class GitHub(standin.GitHub):
    """As GitHub Enterprise Server has it: the API below a path, uploads on another port of the same host."""

    def base_of(self, asked: Asked) -> str | None:
        return "/api/v3" if asked.path.startswith("/api/v3/") else ""


def table(server: GitHub, **more: object) -> str:
    keys = {"type": "github", "repository": "acme/os", "api": server.url, **more}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return f'[[publish]]\n{lines}token = {{ env = "GITHUB_TOKEN" }}\n'


@contextmanager
def trying(server: GitHub, folder: Path, **more: object) -> Iterator[Trial]:
    place = folder / uuid4().hex
    place.mkdir()
    environ = {"GITHUB_TOKEN": server.token}
    with channel_trial(
        github, table(server, **more), folder=place, environ=environ, effects=lambda: len(server.releases)
    ) as trial:
        yield trial


@pytest.fixture
def server() -> Iterator[GitHub]:
    with GitHub() as found:
        yield found


@pytest.fixture
def trial(server: GitHub, tmp_path: Path) -> Iterator[Trial]:
    with trying(server, tmp_path) as found:
        yield found


def only(trial: Trial) -> Action:
    (action,) = trial.planned.actions
    return action


def receipt_of(trial: Trial) -> Receipt:
    """What came of the last run."""
    (receipt,) = trial.ledger.record(trial.planned.id).receipts
    return receipt


def release_of(server: GitHub) -> dict[str, Any]:
    (release,) = server.releases
    return release


def files(server: GitHub) -> list[str]:
    assert len({asset.release for asset in server.assets}) <= 1
    return [asset.name for asset in server.assets if asset.state == "uploaded"]


# -------------------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_github_keeps_the_contract(rule: Callable[..., None], tmp_path: Path) -> None:
    @contextmanager
    def make() -> Iterator[Trial]:
        with GitHub() as server, trying(server, tmp_path) as trial:
            yield trial

    rule(make)


def test_killed_at_any_write_the_next_run_leaves_one_published_release_with_its_files(tmp_path: Path) -> None:
    written = 0
    for number in range(1, 20):
        for after in (False, True):
            with GitHub() as server, trying(server, tmp_path) as trial:

                def die(*_: object) -> object:
                    raise Killed

                with suppress(Killed):
                    trial.run(Blow(number, after, die))
                    written = number - 1
                trial.lose_journal()
                trial.run()
                release = release_of(server)
                assert (release["draft"], release["tag_name"], files(server)) == (False, TAG, FILES), (number, after)
                assert receipt_of(trial).state is ReceiptState.DONE or written
        if written:
            break

    assert written == 5  # the draft, three files, publication


# ------------------------------------------------------------------------------------------------ what is published


def test_a_release_is_a_draft_until_its_files_are_there(server: GitHub, trial: Trial) -> None:
    trial.run()

    assert [line.partition("?")[0].replace("/api/v3", "") for line in server.writes] == [
        "POST /repos/acme/os/releases",
        *["POST /repos/acme/os/releases/1/assets"] * 3,
        "PATCH /repos/acme/os/releases/1",
    ]
    release, action = release_of(server), only(trial)
    assert action.stage is Stage.PUBLISH
    assert (release["body"], release["name"]) == (action.text("text"), action.text("title"))
    assert release["body"].endswith(f"\n\n{marker(action.key)}\n")
    assert (release["draft"], release["prerelease"], release["make_latest"]) == (False, False, "false")
    receipt = receipt_of(trial)
    assert (receipt.state, receipt.remote_id) == (ReceiptState.DONE, "1")
    assert receipt.url == f"{server.url}/acme/os/releases/tag/{TAG}"


def test_the_files_are_what_the_plan_says(server: GitHub, trial: Trial) -> None:
    trial.run()

    planned = only(trial).payload["assets"]
    assert isinstance(planned, list | tuple)
    assert {a.name: a.data.decode() for a in server.assets} == {one["name"]: one["text"] for one in planned}
    record = json.loads(next(a.data for a in server.assets if a.name == "release.json"))
    assert (record["schema"], record["version"], record["id"]) == ("relman.release/1", TAG, trial.planned.id)
    (variant,) = record["variants"]
    assert variant["reference"].endswith(f"/os@{variant['digest']}")


@pytest.mark.parametrize(
    ("more", "flags"),
    [
        ({"latest": ["stable"]}, {"prerelease": False, "make_latest": "true"}),
        ({"prerelease": ["stable"]}, {"prerelease": True, "make_latest": "false"}),
        ({"discussion_category": "Announcements"}, {"discussion_category_name": "Announcements"}),
        ({"target": "main"}, {"target_commitish": "main"}),
        ({"tag": "os/{{ version }}"}, {"tag_name": f"os/{TAG}"}),
    ],
)
def test_marks_are_those_of_the_table(
    more: dict[str, object], flags: dict[str, object], server: GitHub, tmp_path: Path
) -> None:
    with trying(server, tmp_path, **more) as trial:
        trial.run()

    release = release_of(server)
    assert {key: release[key] for key in flags} == flags


def test_a_draft_stays_one_until_a_person_publishes_it(server: GitHub, tmp_path: Path) -> None:
    with trying(server, tmp_path, draft=True) as trial:
        trial.run()
        assert (release_of(server)["draft"], files(server)) == (True, FILES)
        assert receipt_of(trial).url is None
        action = only(trial)
        still = trial.executor(action).probe(action, trial.reader(action))
        assert isinstance(still, Receipt)
        assert (still.remote_id, still.url) == ("1", None)
        release_of(server)["draft"] = False
        found = trial.executor(action).probe(action, trial.reader(action))

    assert isinstance(found, Receipt)
    assert found.url == f"{server.url}/acme/os/releases/tag/{TAG}"


@pytest.mark.parametrize(("limit", "cut"), [(125_000, False), (2_000, True)])
def test_notes_that_do_not_fit_are_a_file_under_a_link_that_works(
    limit: int, cut: bool, server: GitHub, tmp_path: Path
) -> None:
    with trying(server, tmp_path, limit=limit, assets=[]) as trial:
        trial.run()
        text = only(trial).text("text")

    assert len(text) <= limit
    assert files(server) == (["notes.md"] if cut else [])
    if cut:
        (link,) = set(re.findall(r"http[^)\s]*notes\.md", text))
        assert link == f"{server.url}/acme/os/releases/download/{TAG}/notes.md"
        whole = httpx2.get(link.replace(server.url, server.site.url)).text
        assert len(whole) > limit


# ------------------------------------------------------------------------------------------------ what is in the way


@pytest.mark.parametrize("ours", ["", "<!-- relman:0123456789abcdef0123456789abcdef -->"])
def test_a_release_of_the_tag_that_is_not_ours_is_named_and_left_alone(ours: str, server: GitHub, trial: Trial) -> None:
    body = {"tag_name": TAG, "name": "by hand", "body": f"words {ours}"}
    httpx2.post(f"{server.url}/repos/acme/os/releases", json=body, headers={"Authorization": f"token {server.token}"})
    before = dict(release_of(server))

    trial.run()

    assert release_of(server) == before
    receipt = receipt_of(trial)
    assert receipt.state is ReceiptState.FAILED
    assert f"GitHub has a release `{TAG}` already (1, `by hand`), which is not of this release" in (
        receipt.detail or ""
    )


def draft(server: GitHub, action: Action, **more: object) -> dict[str, Any]:
    body = {"tag_name": TAG, "name": "x", "body": action.text("text"), "draft": True, **more}
    headers = {"Authorization": f"token {server.token}"}
    made: dict[str, Any] = httpx2.post(f"{server.url}/repos/acme/os/releases", json=body, headers=headers).json()
    return made


def test_of_several_drafts_of_ours_the_eldest_stays_and_those_of_others_are_let_be(
    server: GitHub, trial: Trial
) -> None:
    theirs = draft(server, only(trial), body="a draft of a person")
    eldest = draft(server, only(trial))
    draft(server, only(trial))

    trial.run()

    assert [(one["id"], one["draft"]) for one in server.releases] == [(theirs["id"], True), (eldest["id"], False)]
    assert release_of_id(server, eldest["id"])["name"] == only(trial).text("title")


def release_of_id(server: GitHub, id: int) -> dict[str, Any]:
    return next(one for one in server.releases if one["id"] == id)


def test_our_draft_is_found_behind_pages_of_releases(server: GitHub, trial: Trial) -> None:
    ours = draft(server, only(trial))
    for number in range(150):
        draft(server, only(trial), tag_name=f"v{number}", body="other", draft=False)

    trial.run()

    assert release_of_id(server, ours["id"])["draft"] is False
    assert len(server.releases) == 151


@pytest.mark.parametrize("state", ["starter", "open"])
def test_what_is_left_of_an_upload_that_broke_is_deleted_and_sent_again(
    state: str, server: GitHub, trial: Trial
) -> None:
    made = draft(server, only(trial))
    server.assets.append(standin.Asset(900, made["id"], "notes.md", b"", "text/markdown", state=state))
    server.assets.append(standin.Asset(901, made["id"], "changelog.json", b"other bytes", "application/json"))

    trial.run()

    server.violations = [
        fault for fault in server.violations if "'starter' is not one of" not in fault
    ]  # not described
    assert sorted(files(server)) == sorted(FILES)
    assert not {900, 901} & {asset.id for asset in server.assets}
    assert release_of(server)["draft"] is False


def test_files_of_others_on_our_release_are_let_be(server: GitHub, trial: Trial) -> None:
    made = draft(server, only(trial))
    server.assets.append(standin.Asset(900, made["id"], "by-hand.txt", b"x", "text/plain"))

    trial.run()

    assert files(server) == ["by-hand.txt", *FILES]


def test_two_runs_at_once_make_one_release(server: GitHub, tmp_path: Path) -> None:
    """The second begins and ends while the first has made its draft, and has not looked again."""
    with trying(server, tmp_path) as first, trying(server, tmp_path) as second:
        meanwhile: list[object] = []

        def interrupted(forward: Callable[[], Reply]) -> Reply:
            meanwhile.append(second.run())
            return forward()

        server.faults.append(once(r"POST .*/releases$", interrupted))
        first.run()
        receipts = [receipt_of(one) for one in (first, second)]

    assert len(meanwhile) == 1
    assert (release_of(server)["draft"], files(server)) == (False, FILES)
    assert {(receipt.state.value in ("done", "adopted"), receipt.remote_id) for receipt in receipts} == {
        (True, str(release_of(server)["id"]))
    }


def test_a_draft_that_another_run_took_away_is_no_failure(server: GitHub, trial: Trial) -> None:
    def taken(forward: Callable[[], Reply]) -> Reply:
        server.releases.clear()
        return forward()

    server.faults.append(once(r"POST .*/assets", taken))
    trial.run()

    assert (release_of(server)["draft"], files(server)) == (False, FILES)


# ------------------------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("line", [r"POST .*/releases$", r"POST .*/assets\?name=notes.md", r"PATCH .*"])
@pytest.mark.parametrize(
    "fault", [faults.lose, faults.before, faults.answer(500), faults.answer(502), faults.cut(10), faults.slow(0.0002)]
)
def test_one_lost_answer_is_settled_within_the_run(
    fault: Callable[..., Reply], line: str, server: GitHub, trial: Trial
) -> None:
    server.faults.append(once(line, fault))
    trial.run()
    if receipt_of(trial).state is not ReceiptState.DONE:  # nothing was made, which only the next run may try again
        assert (fault, line) in {(faults.before, r"POST .*/releases$")} or server.releases == []
        trial.run()

    assert (release_of(server)["draft"], files(server)) == (False, FILES)
    assert receipt_of(trial).state is ReceiptState.DONE


def test_a_draft_whose_answer_was_lost_and_that_is_not_listed_yet_is_not_made_again(
    server: GitHub, trial: Trial
) -> None:
    late = once(r"GET .*/releases\?", lambda _: Reply(200, {}, b"[]"), times=9)
    server.faults += [late, once(r"POST .*/releases$", faults.lose)]
    trial.run()
    assert (receipt_of(trial).state, len(server.releases)) == (ReceiptState.FAILED, 1)

    server.faults.clear()
    trial.run()

    assert (release_of(server)["draft"], files(server)) == (False, FILES)


def test_a_draft_that_is_not_listed_yet_is_known_by_its_answer(server: GitHub, trial: Trial) -> None:
    server.faults.append(once(r"GET .*/releases\?", lambda _: Reply(200, {}, b"[]"), times=99))

    trial.run()

    assert (release_of(server)["draft"], files(server)) == (False, FILES)


def test_a_success_that_names_no_release_is_settled_by_looking(server: GitHub, trial: Trial) -> None:
    def empty(forward: Callable[[], Reply]) -> Reply:
        forward()
        return Reply(201, {"Content-Type": "application/json"}, b'{"ok": true}')

    server.faults.append(once(r"POST .*/releases$", empty))
    trial.run()

    assert (release_of(server)["draft"], files(server)) == (False, FILES)


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1783339200"}), Passing, "2026-07-06 12:00"),
        (Reply(403, {}, b'{"message": "You have exceeded a secondary rate limit"}'), Passing, "too often"),
        (Reply(403, {}, b'{"message": "Resource not accessible by integration"}'), Unequipped, "contents: write"),
        (Reply(401, {}, b'{"message": "Bad credentials"}'), Unequipped, "the token is wrong"),
        (Reply(404, {}, b'{"message": "Not Found"}'), NotFound, "check `repository`"),
        (Reply(301, {"Location": "https://elsewhere.example/x"}, b""), RelmanError, "it has moved"),
        (Reply(422, {}, b'{"message": "Validation Failed", "errors": [{"field": "target", "code": "invalid"}]}'),
         RelmanError, "Validation Failed; target invalid"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_github_said_and_what_to_do(
    reply: Reply, kind: type[RelmanError], says: str, server: GitHub, trial: Trial
) -> None:
    server.faults.append(once(r"POST .*/releases$", lambda _: reply, times=9))
    action = only(trial)

    with pytest.raises(kind) as caught:
        trial.executor(action).apply(action, trial.writer(action))

    assert says in f"{caught.value.message} {caught.value.hint}"
    assert server.releases == []


@pytest.mark.parametrize("status", [403, 429])
def test_where_github_says_when_to_come_back_it_is_asked_again_then(status: int, server: GitHub, trial: Trial) -> None:
    reply = Reply(status, {"Retry-After": "0"}, b'{"message": "secondary rate limit"}')
    server.faults.append(once(r"POST .*/assets", lambda _: reply))

    trial.run()

    assert receipt_of(trial).state is ReceiptState.DONE


@pytest.mark.parametrize(
    "address",
    [
        "https://uploads.example.com/repos/acme/os/releases/1/assets{?name,label}",
        "http://127.0.0.1.example.com/repos/acme/os/releases/1/assets{?name,label}",
        "http://user@127.0.0.1/repos/acme/os/releases/1/assets{?name,label}",
        "http://127.0.0.1:x/repos/acme/os/releases/1/assets",
        "/repos/acme/os/releases/1/assets",
        "",
    ],
)
def test_no_file_and_no_token_goes_to_a_host_that_is_not_githubs(address: str, server: GitHub, trial: Trial) -> None:
    def misled(forward: Callable[[], Reply]) -> Reply:
        reply = forward()
        return dataclasses.replace(
            reply, body=re.sub(rb'"upload_url": "[^"]*"', f'"upload_url": "{address}"'.encode(), reply.body)
        )

    server.faults.append(once(r"(GET|POST) .*/releases(\?.*)?$", misled, times=99))
    trial.run()

    assert receipt_of(trial).state is ReceiptState.FAILED
    assert "which is not its own" in (receipt_of(trial).detail or "")
    assert server.assets == []


@pytest.mark.parametrize(
    ("api", "site", "uploads"),
    [
        ("https://api.github.com", "https://github.com", "https://uploads.github.com/x"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com", "https://uploads.acme.ghe.com/x"),
        ("https://git.acme.example/api/v3", "https://git.acme.example", "https://git.acme.example/api/uploads/x"),
        ("https://git.acme.example", "https://git.acme.example", "https://git.acme.example/api/uploads/x"),
    ],
)
def test_where_a_server_has_its_site_and_its_uploads(api: str, site: str, uploads: str) -> None:
    settings = github.GitHubSettings.model_validate(
        {"type": "github", "repository": "a/b", "token": {"env": "X"}, "api": api}
    )

    assert settings.address.site == site
    assert settings.address.owns(uploads, aside=(f"uploads.{site.removeprefix('https://')}",))
    assert settings.page("v1") == f"{site}/a/b/releases/tag/v1"


@pytest.mark.parametrize("body", [b"[]", b'{"id": "1"}', b'[{"id": -1}]', b"[1]", b"nothing", b"[" * 5000])
def test_an_answer_that_is_no_release_is_told(body: bytes, server: GitHub, trial: Trial) -> None:
    server.faults.append(once(r"GET .*/releases/tags/", lambda _: Reply(200, {}, body)))
    action = only(trial)

    with pytest.raises(Malformed):
        trial.executor(action).probe(action, trial.reader(action))


def test_what_the_token_is_sent_with_is_repeated_nowhere(server: GitHub, trial: Trial) -> None:
    echo = Reply(400, {}, json.dumps({"message": f"what is {server.token} \x1b[31m" + "x" * 9000}).encode())
    server.faults.append(once(r"POST", lambda _: echo))
    action = only(trial)

    with pytest.raises(RelmanError) as caught:
        trial.executor(action).apply(action, trial.writer(action))

    assert server.token not in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


# ------------------------------------------------------------------------------------------------ edit and withdraw


def corrected(trial: Trial) -> Action:
    """The action as it would be planned with corrected notes."""
    action = only(trial)
    planned = action.payload["assets"]
    assert isinstance(planned, tuple | list)
    other = Asset.of_text("notes.md", "text/markdown", "corrected").as_json()
    assets = [other if one["name"] == "notes.md" else one for one in planned]
    text = f"corrected\n\n{marker(action.key)}"
    return replace(action, payload={**action.payload, "text": text, "assets": assets})


def edited(trial: Trial, action: Action) -> Receipt:
    receipt = github.GitHubExecutor().edit(action, receipt_of(trial), trial.writer(action))
    assert receipt is not None
    return receipt


def test_an_edit_changes_text_and_files(server: GitHub, trial: Trial) -> None:
    trial.run()
    action = corrected(trial)

    receipt = edited(trial, action)

    assert release_of(server)["body"] == action.text("text")
    assert next(a.data for a in server.assets if a.name == "notes.md") == b"corrected"
    trial.executor(action).verify(action, receipt, trial.reader(action))


def test_of_an_immutable_release_only_the_text_is_edited_and_the_receipt_says_so(tmp_path: Path) -> None:
    with GitHub(immutable=True) as server, trying(server, tmp_path) as trial:
        trial.run()
        assert (release_of(server)["immutable"], files(server)) == (True, FILES)
        action = corrected(trial)
        before = len(server.writes)

        receipt = edited(trial, action)

    assert receipt.detail == "immutable: the text is changed, `notes.md` cannot be"
    assert release_of(server)["body"] == action.text("text")
    assert [line.partition(" ")[0] for line in server.writes[before:]] == ["PATCH"]


def test_an_immutable_release_without_its_files_is_an_error_that_says_so(tmp_path: Path) -> None:
    with GitHub(immutable=True) as server, trying(server, tmp_path) as trial:
        draft(server, only(trial), draft=False)
        trial.run()

    assert receipt_of(trial).state is ReceiptState.FAILED
    assert f"the release `{TAG}` is immutable, and lacks `notes.md`" in (receipt_of(trial).detail or "")


@pytest.mark.parametrize("immutable", [False, True])
def test_a_release_that_is_withdrawn_says_so_and_stays(immutable: bool, tmp_path: Path) -> None:
    with GitHub(immutable=immutable) as server, trying(server, tmp_path, latest=["stable"]) as trial:
        trial.run()
        action, receipt = only(trial), receipt_of(trial)
        for _ in range(2):
            done = trial.executor(action).undo(action, receipt, trial.writer(action))
        release = release_of(server)

    assert release["body"] == f"> [!CAUTION]\n> **This release was withdrawn** on 2026-07-06.\n\n{action.text('text')}"
    assert release["name"] == f"{action.text('title')} (withdrawn)"
    assert (release["prerelease"], release["make_latest"]) == ((False, "true") if immutable else (True, "false"))
    assert done is not None
    assert done.detail == "marked as withdrawn, not deleted"


def test_a_draft_that_is_withdrawn_is_deleted(server: GitHub, tmp_path: Path) -> None:
    with trying(server, tmp_path, draft=True) as trial:
        trial.run()
        action = only(trial)
        trial.executor(action).undo(action, receipt_of(trial), trial.writer(action))

    assert server.releases == []


@pytest.mark.parametrize("change", ["edit", "undo"])
def test_what_became_somebody_elses_is_not_changed(change: str, server: GitHub, trial: Trial) -> None:
    trial.run()
    release_of(server)["body"] = "written anew, by hand"
    action = only(trial)

    with pytest.raises(RelmanError, match="which is not of this release"):
        getattr(trial.executor(action), change)(action, receipt_of(trial), trial.writer(action))

    assert release_of(server)["body"] == "written anew, by hand"


# ------------------------------------------------------------------------------------------------ read back


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"body": "another text"}, "the text of"),
        ({"name": "another title"}, "the title of"),
        ({"tag_name": "v2"}, "has the tag `v2` now"),
    ],
)
def test_what_was_edited_by_hand_is_seen(change: dict[str, object], says: str, server: GitHub, trial: Trial) -> None:
    trial.run()
    release_of(server).update(change)
    action = only(trial)

    with pytest.raises(Malformed, match=says):
        trial.executor(action).verify(action, receipt_of(trial), trial.reader(action))


def test_line_ends_of_another_system_are_no_edit(server: GitHub, trial: Trial) -> None:
    trial.run()
    release = release_of(server)
    release["body"] = release["body"].replace("\n", "\r\n").rstrip()
    action = only(trial)

    trial.executor(action).verify(action, receipt_of(trial), trial.reader(action))


def test_a_file_that_is_gone_or_another_is_seen(server: GitHub, trial: Trial) -> None:
    trial.run()
    server.assets[0].data = b"other bytes of it"
    del server.assets[1]
    action = only(trial)

    with pytest.raises(Malformed, match=r"has no `notes.md`, `changelog.json`, or another file"):
        trial.executor(action).verify(action, receipt_of(trial), trial.reader(action))


def test_a_release_that_is_gone_is_not_there(server: GitHub, trial: Trial) -> None:
    trial.run()
    server.releases.clear()
    action = only(trial)

    with pytest.raises(NotFound):
        trial.executor(action).verify(action, receipt_of(trial), trial.reader(action))
