"""Releases on a real Gitea, whose API Forgejo has: the contract, faults on the way, and what people can download."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from relman.errors import Malformed, RelmanError
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState
from relman.testing.executors import RULES, Trial, channel_trial
from relman_plugins.publish import forgejo
from relman_plugins.publish.assets import Asset
from relman_plugins.publish.planning import marker
from tests.integration.forge_server import Forge
from tests.servers import Asked, Front, Reply, once
from tests.standins import faults

TAG = "sample-20260705"
FILES = ["changelog.json", "notes.md", "release.json"]


@contextmanager
def trying(forge: Forge, folder: Path, *, url: str | None = None, **more: object) -> Iterator[tuple[Trial, str]]:
    """A trial upon a new repository; ``url`` where the server is reached, if not directly."""
    place, repository = folder / uuid4().hex, forge.repository()
    place.mkdir()
    keys = {"type": "forgejo", "repository": repository, "api": url or forge.url, **more}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    table = f'[[publish]]\n{lines}token = {{ env = "FORGE_TOKEN" }}\n'
    environ = {"FORGE_TOKEN": forge.token}

    def effects() -> int:
        return len(forge.releases(repository))

    with channel_trial(forgejo, table, folder=place, environ=environ, effects=effects) as trial:
        yield trial, repository


def only(trial: Trial) -> Action:
    (action,) = trial.planned.actions
    return action


def receipt_of(trial: Trial) -> Receipt:
    (receipt,) = trial.ledger.record(trial.planned.id).receipts
    return receipt


def release_of(forge: Forge, repository: str) -> dict[str, Any]:
    (release,) = forge.releases(repository)
    return release


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_forgejo_keeps_the_contract(rule: Callable[..., None], forge: Forge, tmp_path: Path) -> None:
    @contextmanager
    def make() -> Iterator[Trial]:
        with trying(forge, tmp_path, assets=["record"]) as (trial, _):
            yield trial

    rule(make)


def test_a_release_is_published_with_files_that_anybody_can_download(forge: Forge, tmp_path: Path) -> None:
    with trying(forge, tmp_path, target="main") as (trial, repository):
        trial.run()
        action, receipt = only(trial), receipt_of(trial)
        release = release_of(forge, repository)
        assert receipt.state is ReceiptState.DONE, receipt.detail
        assert (release["draft"], release["prerelease"], release["name"]) == (False, False, action.text("title"))
        assert release["body"].rstrip() == action.text("text").rstrip()
        planned = action.payload["assets"]
        assert isinstance(planned, tuple | list)
        there = {name: content.decode() for name, content in forge.assets(repository, TAG).items()}
        assert there == {one["name"]: one["text"] for one in planned}
        assert receipt.url == release["html_url"]
        assert httpx2.get(release["html_url"]).status_code == 200


def test_notes_that_do_not_fit_are_a_file_under_a_link_that_works(forge: Forge, tmp_path: Path) -> None:
    with trying(forge, tmp_path, limit=2000, assets=[]) as (trial, _):
        trial.run()
        (link,) = set(re.findall(r"http[^)\s]*notes\.md", only(trial).text("text")))

    assert len(httpx2.get(link, follow_redirects=True).text) > 2000


def test_a_tag_that_is_there_already_is_taken(forge: Forge, tmp_path: Path) -> None:
    with trying(forge, tmp_path, prerelease=["stable"]) as (trial, repository):
        forge.tag(repository, TAG)
        trial.run()

    assert (receipt_of(trial).state, release_of(forge, repository)["prerelease"]) == (ReceiptState.DONE, True)


@pytest.mark.parametrize("draft", [False, True])
def test_a_release_that_is_not_ours_is_named_and_left_alone(draft: bool, forge: Forge, tmp_path: Path) -> None:
    with trying(forge, tmp_path) as (trial, repository):
        body = {"tag_name": TAG, "name": "by hand", "body": "words", "draft": draft, "target_commitish": "main"}
        made = forge.call("POST", f"/repos/{repository}/releases", body)
        trial.run()

        assert release_of(forge, repository)["body"] == "words"
        what = f"a {'draft' if draft else 'release'} `{TAG}` already ({made['id']}, `by hand`)"
        assert what in (receipt_of(trial).detail or "")


@pytest.mark.parametrize("line", [r"POST .*/releases$", r"POST .*/assets\?name=notes.md", r"PATCH .*"])
@pytest.mark.parametrize("fault", [faults.lose, faults.before, faults.answer(502), faults.cut(10), faults.busy(0)])
def test_whatever_becomes_of_one_request_there_is_one_release_with_each_file_once(
    fault: Callable[..., Reply], line: str, forge: Forge, tmp_path: Path
) -> None:
    with Before(forge.url.removeprefix("http://")) as front:
        front.faults.append(once(line, fault))
        with trying(forge, tmp_path, url=front.url) as (trial, repository):
            trial.run()
            if receipt_of(trial).state is not ReceiptState.DONE:  # nothing was made: for the next run
                assert forge.releases(repository) == []
                trial.run()

            assert receipt_of(trial).state is ReceiptState.DONE
            release = release_of(forge, repository)
            assert (release["draft"], sorted(one["name"] for one in release["assets"])) == (False, FILES)
            assert any(re.search(line, asked.line) for asked in front.asked)


class Before(Front):
    """A front that hands tokens on: it is Gitea that asks for them."""

    def _forward(self, asked: Asked) -> Reply:
        headers = {name: value for name, value in asked.headers.items() if name not in ("host", "connection")}
        answer = httpx2.request(
            asked.method, f"http://{self.upstream}{asked.path}", content=asked.body, headers=headers, timeout=60
        )
        dropped = ("transfer-encoding", "connection", "content-encoding", "content-length")
        return Reply(answer.status_code, {n: v for n, v in answer.headers.items() if n not in dropped}, answer.content)


def test_files_of_one_name_that_two_runs_left_become_one(forge: Forge, tmp_path: Path) -> None:
    with trying(forge, tmp_path) as (trial, repository):
        action = only(trial)
        body = {"tag_name": TAG, "name": "x", "body": action.text("text"), "draft": True, "target_commitish": "main"}
        made = forge.call("POST", f"/repos/{repository}/releases", body)
        for content in (b"cut", b"cut"):
            url = f"{forge.url}/api/v1/repos/{repository}/releases/{made['id']}/assets?name=notes.md"
            headers = {"Authorization": f"token {forge.token}"}
            httpx2.post(url, files={"attachment": ("x", content)}, headers=headers).raise_for_status()

        trial.run()

        release = release_of(forge, repository)
        assert (release["id"], release["draft"]) == (made["id"], False)
        assert sorted(one["name"] for one in release["assets"]) == FILES


def test_a_server_that_takes_no_file_of_that_size_says_so(forge: Forge, tmp_path: Path) -> None:
    with trying(forge, tmp_path) as (trial, repository):
        action = only(trial)
        text = "x" * (9 * 1024 * 1024)  # the fixture's FILE_MAX_SIZE is 8
        big = Asset.of_text("notes.md", "text/markdown", text).as_json()
        action.payload["assets"] = [big]  # type: ignore[index]
        with pytest.raises(RelmanError) as caught:
            trial.executor(action).apply(action, trial.writer(action))

        assert all(one["draft"] for one in forge.releases(repository))
    assert "Forgejo (`127.0.0.1`) answers POST" in caught.value.message


def test_withdrawn_it_says_so_and_what_was_edited_by_hand_is_seen(forge: Forge, tmp_path: Path) -> None:
    with trying(forge, tmp_path) as (trial, repository):
        trial.run()
        action, receipt = only(trial), receipt_of(trial)
        executor, writer = trial.executor(action), trial.writer(action)
        for _ in range(2):
            executor.undo(action, receipt, writer)
        release = release_of(forge, repository)
        with pytest.raises(Malformed, match="is not what was published"):
            executor.verify(action, receipt, writer)

    assert release["body"].startswith("> [!CAUTION]\n> **This release was withdrawn** on 2026-07-06.\n\n")
    assert release["body"].count("withdrawn") == 1
    assert marker(action.key) in release["body"]
    assert (release["name"], release["prerelease"]) == (f"{action.text('title')} (withdrawn)", True)
