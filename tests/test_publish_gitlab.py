"""Releases on GitLab, against a stand-in that checks each request: packages first, then one release with its links."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from msgspec.structs import replace

from relman.errors import Malformed, RelmanError
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState
from relman.testing.executors import RULES, Trial, channel_trial
from relman_plugins.publish import gitlab
from relman_plugins.publish.assets import Asset
from relman_plugins.publish.planning import marker
from tests.servers import Reply, once
from tests.standins import faults
from tests.standins import gitlab as standin
from tests.standins.base import Call, answer, on
from tests.standins.gitlab import PackageFile

TAG = "sample-20260705"
FILES = ["notes.md", "changelog.json", "release.json"]


class GitLab(standin.GitLab):
    """With the setting of packages by which one file cannot come twice."""

    def __init__(self, *, duplicates: bool = True) -> None:
        self.duplicates = duplicates
        super().__init__()

    @on("PUT /projects/{id}/packages/generic/{package_name}/{package_version}/{file_name}")
    def _upload(self, call: Call) -> Reply:
        wanted = (call["package_name"], call["package_version"], call["file_name"])
        if not self.duplicates and any((one.name, one.version, one.file) == wanted for one in self.files):
            return answer({"message": "400 Bad request - Duplicate package is not allowed"}, 400)
        return super()._upload(call)


@contextmanager
def trying(server: GitLab, folder: Path, variable: str = "GITLAB_TOKEN", **more: object) -> Iterator[Trial]:
    place = folder / uuid4().hex
    place.mkdir()
    keys = {"type": "gitlab", "repository": "acme/os", "api": server.url, **more}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    table = f'[[publish]]\n{lines}token = {{ env = "{variable}" }}\n'
    environ = {variable: server.token}
    with channel_trial(gitlab, table, folder=place, environ=environ, effects=lambda: len(server.releases)) as trial:
        yield trial


@pytest.fixture
def server() -> Iterator[GitLab]:
    with GitLab() as found:
        yield found


@pytest.fixture
def trial(server: GitLab, tmp_path: Path) -> Iterator[Trial]:
    with trying(server, tmp_path) as found:
        yield found


def only(trial: Trial) -> Action:
    (action,) = trial.planned.actions
    return action


def receipt_of(trial: Trial) -> Receipt:
    (receipt,) = trial.ledger.record(trial.planned.id).receipts
    return receipt


def stored(server: GitLab) -> list[str]:
    return [one.file for one in server.files]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_gitlab_keeps_the_contract(rule: Callable[..., None], tmp_path: Path) -> None:
    @contextmanager
    def make() -> Iterator[Trial]:
        with GitLab(duplicates=False) as server, trying(server, tmp_path) as trial:
            yield trial

    rule(make)


def test_nothing_is_seen_before_all_files_are_there(server: GitLab, trial: Trial) -> None:
    trial.run()

    lines = [line.rpartition("/")[2] for line in server.writes]
    assert lines == [*(f"{name}?select=package_file" for name in FILES), "releases"]
    (release,), action, receipt = server.releases, only(trial), receipt_of(trial)
    assert (release["name"], release["description"]) == (action.text("title"), action.text("text"))
    assert [link["name"] for link in release["links"]] == FILES
    assert server.tags == {TAG: "main"}
    assert (receipt.state, receipt.remote_id) == (ReceiptState.DONE, TAG)
    assert receipt.url == f"{server.url}/acme/os/-/releases/{TAG}"
    assert httpx2.get(receipt.url).status_code == 200


def test_a_tag_that_is_there_is_taken_as_it_is(server: GitLab, trial: Trial) -> None:
    server.tags[TAG] = "0" * 40

    trial.run()

    assert (receipt_of(trial).state, server.tags) == (ReceiptState.DONE, {TAG: "0" * 40})


def test_a_job_says_its_own_token_as_gitlab_wants_it(server: GitLab, tmp_path: Path) -> None:
    with trying(server, tmp_path, "CI_JOB_TOKEN") as trial:
        trial.run()

    assert {asked.headers.get("job-token") for asked in server.asked} == {server.token}
    assert not any("private-token" in asked.headers for asked in server.asked)


def test_notes_that_do_not_fit_are_a_file_under_a_link_that_works(server: GitLab, tmp_path: Path) -> None:
    with trying(server, tmp_path, limit=2000, assets=[]) as trial:
        trial.run()
        text = only(trial).text("text")

    assert len(text.encode()) <= 2000
    (link,) = set(re.findall(r"http[^)\s]*notes\.md", text))
    answer = httpx2.get(link)
    assert (answer.status_code, answer.headers["location"]) == (302, server.releases[0]["links"][0]["url"])


def test_a_release_of_the_tag_that_is_not_ours_is_named_and_left_alone(server: GitLab, trial: Trial) -> None:
    server.tags[TAG] = "0" * 40
    body = {"tag_name": TAG, "name": "by hand", "description": "words"}
    headers = {"PRIVATE-TOKEN": server.token}
    httpx2.post(f"{server.url}/api/v4/projects/1/releases", json=body, headers=headers).raise_for_status()
    before = [dict(one) for one in server.releases]

    trial.run()

    assert server.releases == before
    assert f"GitLab has a release `{TAG}` already (`by hand`)" in (receipt_of(trial).detail or "")
    assert server.files == []


@pytest.mark.parametrize("line", [r"POST .*/releases$", r"PUT .*/notes.md"])
@pytest.mark.parametrize("fault", [faults.lose, faults.before, faults.answer(502), faults.cut(10), faults.busy(0)])
@pytest.mark.parametrize("duplicates", [False, True])
def test_one_lost_answer_is_settled_within_the_run(
    fault: Callable[..., Reply], line: str, duplicates: bool, tmp_path: Path
) -> None:
    with GitLab(duplicates=duplicates) as server, trying(server, tmp_path) as trial:
        server.faults.append(once(line, fault))
        trial.run()

    assert receipt_of(trial).state is ReceiptState.DONE
    assert len(server.releases) == 1
    assert stored(server) == FILES


def test_two_runs_at_once_make_one_release(server: GitLab, tmp_path: Path) -> None:
    with trying(server, tmp_path) as first, trying(server, tmp_path) as second:

        def interrupted(forward: Callable[[], Reply]) -> Reply:
            second.run()
            return forward()

        server.faults.append(once(r"POST .*/releases$", interrupted))
        first.run()

    assert [receipt_of(one).state for one in (first, second)] == [ReceiptState.DONE] * 2
    assert (len(server.releases), stored(server)) == (1, FILES)


def test_packages_of_other_names_and_other_content_are_no_proof(server: GitLab, trial: Trial) -> None:
    asset = next(one for one in only(trial).payload["assets"] if one["name"] == "notes.md")  # type: ignore[attr-defined]
    version = f"{TAG}-{asset['sha256'][:16]}"
    server.files.append(PackageFile(801, 800, "relman-other", version, "notes.md", asset["text"].encode()))
    server.files.append(PackageFile(803, 802, "relman", version, "notes.md", b"cut"))

    trial.run()

    assert [one.data for one in server.files if one.package == 802] == [b"cut", asset["text"].encode()]


def corrected(trial: Trial) -> Action:
    action = only(trial)
    planned = action.payload["assets"]
    assert isinstance(planned, tuple | list)
    other = Asset.of_text("notes.md", "text/markdown", "corrected").as_json()
    assets = [other if one["name"] == "notes.md" else one for one in planned]
    return replace(action, payload={**action.payload, "text": f"corrected\n\n{marker(action.key)}", "assets": assets})


def test_an_edit_changes_the_text_and_lets_links_lead_to_the_new_files(server: GitLab, trial: Trial) -> None:
    trial.run()
    action, executor = corrected(trial), gitlab.GitLabExecutor()

    for _ in range(2):
        receipt = executor.edit(action, receipt_of(trial), trial.writer(action))

    assert receipt is not None
    executor.verify(action, receipt, trial.reader(action))
    (release,) = server.releases
    assert release["description"] == action.text("text")
    assert [link["name"] for link in release["links"]] == FILES
    assert stored(server) == [*FILES, "notes.md"]


def test_a_release_that_is_withdrawn_says_so_and_stays(server: GitLab, trial: Trial) -> None:
    trial.run()
    action = only(trial)
    for _ in range(2):
        done = trial.executor(action).undo(action, receipt_of(trial), trial.writer(action))

    (release,) = server.releases
    banner = "> [!CAUTION]\n> **This release was withdrawn** on 2026-07-06.\n\n"
    assert release["description"] == banner + action.text("text")
    assert release["name"] == f"{action.text('title')} (withdrawn)"
    assert done is not None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"description": "MARKER other"}, "the text of"),
        ({"name": "another title"}, "the title of"),
        ({"links": []}, "has no `notes.md`"),
    ],
)
def test_what_was_changed_by_hand_is_seen(change: dict[str, object], says: str, server: GitLab, trial: Trial) -> None:
    trial.run()
    action = only(trial)
    changed = {
        key: value.replace("MARKER", marker(action.key)) if isinstance(value, str) else value
        for key, value in change.items()
    }
    server.releases[0].update(changed)

    with pytest.raises(Malformed, match=says):
        trial.executor(action).verify(action, receipt_of(trial), trial.reader(action))


def test_what_gitlab_says_of_several_fields_is_said(server: GitLab, trial: Trial) -> None:
    reply = Reply(400, {}, json.dumps({"message": {"description": ["is too long"], "name": ["is taken"]}}).encode())
    server.faults.append(once(r"POST .*/releases$", lambda _: reply))
    action = only(trial)

    with pytest.raises(RelmanError, match="description: is too long; name: is taken"):
        trial.executor(action).apply(action, trial.writer(action))


@pytest.mark.parametrize(
    ("key", "why"),
    [("draft", "drafts"), ("latest", "newest"), ("prerelease", "no mark"), ("discussion_category", "no discussions")],
)
def test_what_gitlab_does_not_have_is_refused_with_the_reason(
    key: str, why: str, server: GitLab, tmp_path: Path
) -> None:
    with (
        pytest.raises(AssertionError, match=f"{key}: is no key of `gitlab`: it .*{why}"),
        trying(server, tmp_path, "TOKEN", **{key: ["stable"]}),
    ):
        pass
