"""The gate `approvals`: who counts, who does not and why; real signatures by `ssh-keygen`, reviews by a server."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from relman.http import Client
from relman.model.gates import GateResult, State
from relman.model.release import release_marker
from relman_plugins.gates import approvals
from relman_plugins.gates.approvals import ApprovalsSettings
from relman_plugins.gates.approvals.people import Claim, Rules, Said, judge, known
from tests.gates_asked import ID, NOON, OS, answers, candidate, context, hurried, rule, said
from tests.servers import Asked, Reply, Scripted
from tests.standins.github_reviews import ReviewedGitHub

# ----------------------------------------------------------------------------------------------------- who counts

ADA, GRACE, LIN = (Claim((name,), f"{name}.sig", key=f"key-{name}") for name in ("ada", "grace", "lin"))
TWO = Rules(2)

TABLE: dict[str, tuple[list[Claim], str, Rules, dict[str, tuple[str, ...]], State, str]] = {
    "nobody": ([], "ada", TWO, {}, State.PENDING, "too-few"),
    "one of two": ([GRACE], "lin", TWO, {}, State.PENDING, "too-few"),
    "two": ([ADA, GRACE], "lin", TWO, {"lin": ()}, State.PASSED, ""),
    "three": ([ADA, GRACE, LIN], "lin", TWO, {}, State.PASSED, ""),
    "one's own does not count": ([ADA, GRACE], "ada", TWO, {}, State.PENDING, "too-few"),
    "one's own beside two": ([ADA, GRACE, LIN], "ada", TWO, {}, State.PASSED, ""),
    "one's own in another case": ([ADA, GRACE], " ADA ", TWO, {}, State.PENDING, "too-few"),
    "one's own under another name": ([ADA, GRACE], "Ada L.", TWO, {"ada": ("Ada L.",)}, State.PENDING, "too-few"),
    "who asks is unknown": ([ADA, GRACE], "Ada L.", TWO, {}, State.PENDING, "asker-unknown"),
    "who asks is unknown, one more": ([ADA, GRACE, LIN], "Ada L.", TWO, {}, State.PASSED, ""),
    "nobody asks": ([ADA, GRACE], "", TWO, {}, State.PENDING, "asker-unknown"),
    "a robot asks": ([ADA, GRACE], "bot", Rules(2, robots=("Bot",)), {}, State.PASSED, ""),
    "the same twice": ([ADA, replace(ADA, where="copy.sig")], "lin", TWO, {"lin": ()}, State.PENDING, "too-few"),
    "one name, two keys": ([ADA, replace(ADA, key="new")], "lin", TWO, {"lin": ()}, State.PENDING, "too-few"),
    "one key, two names": (
        [ADA, Claim(("eve",), "x", key="key-ada")],
        "lin",
        TWO,
        {"lin": ()},
        State.PENDING,
        "too-few",
    ),
    "two cases of a name": ([ADA, Claim(("ADA",), "#1")], "lin", TWO, {"lin": ()}, State.PENDING, "too-few"),
    "two names of one person": (
        [ADA, Claim(("ada-l",), "#1")],
        "lin",
        TWO,
        {"ada": ("ada-l",), "lin": ()},
        State.PENDING,
        "too-few",
    ),
    "not one of those asked": ([ADA, GRACE], "lin", Rules(2, ("ada", "lin")), {}, State.PENDING, "too-few"),
    "those asked": ([ADA, GRACE], "lin", Rules(2, ("Ada", "GRACE")), {"lin": ()}, State.PASSED, ""),
    "a fault": (
        [ADA, replace(GRACE, fault="is of another release")],
        "lin",
        TWO,
        {"lin": ()},
        State.PENDING,
        "too-few",
    ),
    "somebody objects": (
        [ADA, GRACE, replace(LIN, said=Said.NO)],
        "bob",
        TWO,
        {"bob": ()},
        State.FAILED,
        "changes-requested",
    ),
    "a stranger objects": (
        [ADA, GRACE, replace(LIN, said=Said.NO)],
        "bob",
        Rules(2, ("ada", "grace")),
        {"bob": ()},
        State.PASSED,
        "",
    ),
    "one who asks objects": ([ADA, GRACE, replace(LIN, said=Said.NO)], "lin", TWO, {}, State.PASSED, ""),
}


@pytest.mark.parametrize("case", TABLE)
def test_people_count_once_and_never_for_themselves(case: str) -> None:
    claims, asks, rules, aliases, state, code = TABLE[case]

    verdict = judge(claims, known(claims, (), aliases, rules.wanted), asks, rules, "how")

    assert (verdict.state, verdict.code) == (state, code), verdict.reason
    assert verdict.needs == (None if state is State.PASSED else "how")


def test_a_line_of_signers_that_joins_two_names_joins_two_people() -> None:
    claims = [ADA, GRACE]
    people = known(claims, [(("ada", "grace"), "key-old")], {"lin": ()}, ())

    assert judge(claims, people, "lin", TWO, "").code == "too-few"


def test_a_verdict_says_who_approves_who_does_not_count_and_why() -> None:
    claims = [ADA, replace(GRACE, fault="is revoked")]

    verdict = judge(claims, known(claims, (), {"lin": ()}, ()), "lin", TWO, "how")

    assert verdict.reason == "1 of 2 approve: `ada`; not counted: `grace` is revoked"
    assert verdict.evidence == {
        "approved": [{"by": "ada", "where": "ada.sig"}],
        "asked_by": "lin",
        "not_counted": [{"by": "grace", "where": "grace.sig", "why": "is revoked"}],
    }


# ------------------------------------------------------------------------------------------------------ signatures


class Desk:
    """A folder in which people sign with real keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "keys").mkdir()

    def key(self, name: str, kind: str = "ed25519") -> Path:
        file = self.folder / "keys" / name
        if not file.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(file)], check=True)
        return file

    def public(self, name: str) -> str:
        return " ".join(self.key(name).with_suffix(".pub").read_text().split()[:2])

    def allow(self, *lines: str) -> None:
        (self.folder / "approvers").write_text("".join(f"{line}\n" for line in lines))

    def sign(
        self, name: str, *, id: str = ID, text: str | None = None, namespace: str = "relman", below: str = ID
    ) -> Path:
        message = (text if text is not None else f"{id}\n").encode()
        argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.key(name))]
        signature = subprocess.run(argv, input=message, check=True, capture_output=True).stdout
        file = self.folder / "approvals" / below / f"{name}.sig"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(signature)
        return file

    def ask(self, *, now: Any = NOON, by: str = "release-bot", **table: Any) -> GateResult:
        asked = rule("approvals", **{"allowed_signers": "approvers", "count": 1, "robots": ["release-bot"], **table})
        (result,) = answers(approvals, context(asked, folder=self.folder, now=now, by=by))
        return result


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("`ssh-keygen` is not installed, and no package of this system has it")
    made = Desk(tmp_path)
    made.allow(f"ada {made.public('ada')}", f"grace {made.public('grace')}")
    return made


def why(result: GateResult) -> list[str]:
    faults = result.evidence.get("not_counted", [])
    assert isinstance(faults, list)
    return [str(one["why"]) for one in faults]


def test_two_people_who_sign_the_release_open(desk: Desk) -> None:
    desk.sign("ada")
    desk.sign("grace")
    wanted: dict[str, Any] = {"from": ["ada", "grace"]}

    result = desk.ask(count=2, **wanted)

    assert (result.state, result.reason, result.digest) == (
        State.PASSED,
        "2 of 2 approve: `ada`, `grace`",
        OS.image.digest,
    )


def test_the_command_that_a_refusal_names_is_one_that_approves(desk: Desk) -> None:
    result = desk.ask()
    assert (result.state, result.code) == (State.PENDING, "too-few")
    assert result.needs is not None
    line = result.needs.split("`")[1].replace("KEY", str(desk.key("ada"))).replace("NAME", "ada")

    subprocess.run(["sh", "-c", line], cwd=desk.folder, check=True)

    assert desk.ask().state is State.PASSED


def test_who_asks_and_signs_needs_somebody_else(desk: Desk) -> None:
    desk.sign("ada")

    assert said([desk.ask(by="Ada")]) == [(State.PENDING, "too-few")]
    assert why(desk.ask(by="Ada")) == ["asks for the release"]
    desk.sign("grace")
    assert desk.ask(by="Ada").state is State.PASSED


def test_one_key_with_two_names_is_one_person(desk: Desk) -> None:
    desk.allow(f"ada {desk.public('ada')}", f"grace,lin {desk.public('ada')}", f"eve {desk.public('grace')}")
    shutil.copy(desk.sign("ada"), desk.folder / "approvals" / ID / "grace.sig")

    assert said([desk.ask(count=2)]) == [(State.PENDING, "too-few")]


def test_a_copy_of_a_signature_counts_once(desk: Desk) -> None:
    shutil.copy(desk.sign("ada"), desk.folder / "approvals" / ID / "again.sig")

    assert desk.ask(count=1).state is State.PASSED
    assert said([desk.ask(count=2)]) == [(State.PENDING, "too-few")]


def test_names_with_spaces_stand_in_quotes_and_are_read_whole(desk: Desk) -> None:
    desk.allow(f'"Ada L.,ada" {desk.public("ada")}', f'"Ada B." {desk.public("grace")}')
    desk.sign("ada", namespace="file")

    assert said([desk.ask(by="ada b.")]) == [(State.PENDING, "too-few")]
    assert [one["by"] for one in desk.ask().evidence["not_counted"]] == ["Ada L."]  # type: ignore[attr-defined]
    desk.sign("ada")
    desk.sign("grace")
    assert desk.ask(count=2).state is State.PASSED
    assert said([desk.ask(count=2, by="ada b.")]) == [(State.PENDING, "too-few")]


def test_one_name_in_two_spellings_of_unicode_is_one_person() -> None:
    claims = [Claim(("Ren\u00e9",), "1.sig", key="one"), Claim(("Rene\u0301",), "2.sig", key="two")]

    verdict = judge(claims, known(claims, (), {"lin": ()}, ()), "lin", TWO, "how")

    assert (verdict.state, verdict.code) == (State.PENDING, "too-few")


NOT_COUNTED: dict[str, tuple[dict[str, Any], str]] = {
    "another release": ({"id": "f" * 16}, "does not hold for the release 0123456789abcdef"),
    "without the newline": ({"text": ID}, "does not hold for the release"),
    "another namespace": ({"namespace": "file"}, "is signed for `file`, and not for `relman`"),
    "an unknown key": ({"name": "eve"}, "is signed with a key of nobody who may sign"),
}


@pytest.mark.parametrize("case", NOT_COUNTED)
def test_a_signature_of_something_else_does_not_count(desk: Desk, case: str) -> None:
    given, reason = NOT_COUNTED[case]

    desk.sign(**{"name": "ada", **given})

    result = desk.ask()
    assert (result.state, len(why(result))) == (State.PENDING, 1)
    assert why(result)[0].startswith(reason)


def test_a_signature_in_the_folder_of_another_release_is_not_looked_at(desk: Desk) -> None:
    desk.sign("ada", below="f" * 16)

    assert desk.ask().evidence == {"approved": [], "asked_by": "release-bot"}


LINES: dict[str, tuple[str, State, str]] = {
    "no longer valid": (
        'ada valid-before="20260624115959Z" KEY',
        State.PENDING,
        "is signed with a key that is not valid at this time",
    ),
    "still valid": ('ada valid-before="20260624120000Z" KEY', State.PASSED, ""),
    "not yet valid": (
        'ada valid-after="20260624120001Z" KEY',
        State.PENDING,
        "is signed with a key that is not valid at this time",
    ),
    "just valid": ('ada valid-after="20260624120000Z" KEY', State.PASSED, ""),
    "for another purpose": ('ada namespaces="git" KEY', State.PENDING, "does not hold for the release"),
    "for this purpose": ('ada namespaces="git,relman" KEY', State.PASSED, ""),
    "a pattern": ("* KEY", State.PENDING, "is signed by a pattern, which names nobody"),
    "an authority": ("ada cert-authority KEY", State.PENDING, "is signed with a key of nobody who may sign"),
    "a remark": ("# ada KEY", State.PENDING, "is signed with a key of nobody who may sign"),
}


@pytest.mark.parametrize("case", LINES)
def test_the_file_of_signers_is_read_as_ssh_reads_it(desk: Desk, case: str) -> None:
    line, state, reason = LINES[case]
    desk.allow(line.replace("KEY", desk.public("ada")))
    desk.sign("ada")

    result = desk.ask()

    assert result.state is state, (result.reason, result.evidence)
    if state is State.PENDING:
        assert why(result)[0].startswith(reason)


def test_a_key_that_expires_between_planning_and_acting_counts_no_more(desk: Desk) -> None:
    desk.allow(f'ada valid-before="20260624130000Z" {desk.public("ada")}')
    desk.sign("ada")

    assert desk.ask(now=NOON).state is State.PASSED
    assert desk.ask(now=NOON + timedelta(hours=2)).state is State.PENDING


def test_a_revoked_key_does_not_count(desk: Desk) -> None:
    desk.sign("ada")
    (desk.folder / "revoked").write_text(f"{desk.public('ada')}\n")

    result = desk.ask(revoked="revoked")

    assert (result.state, why(result)) == (State.PENDING, ["is signed with a key that is revoked"])
    desk.sign("grace")
    assert desk.ask(revoked="revoked").state is State.PASSED
    assert said([desk.ask(revoked="absent")]) == [(State.ERROR, "no-revocations")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"-----BEGIN SSH SIGNATURE-----\n!!!!\n-----END SSH SIGNATURE-----\n",
        b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAf////8=\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\nä\n-----END SSH SIGNATURE-----\n".encode(),
    ],
)
def test_what_is_no_signature_does_not_count(desk: Desk, content: bytes) -> None:
    desk.sign("ada").write_bytes(content)

    assert why(desk.ask()) == ["is no SSH signature"]


def test_a_signature_whose_bytes_were_changed_does_not_count(desk: Desk) -> None:
    file = desk.sign("ada")
    lines = file.read_text().splitlines()
    lines[4] = lines[4][::-1] if lines[4][::-1] != lines[4] else "A" * len(lines[4])
    file.write_text("\n".join(lines) + "\n")

    assert desk.ask().state is State.PENDING


def test_folders_links_and_huge_files_in_place_of_signatures_do_not_count(desk: Desk) -> None:
    file = desk.sign("ada")
    (file.parent / "folder.sig").mkdir()
    (file.parent / "nowhere.sig").symlink_to("absent")
    assert desk.ask().state is State.PASSED
    assert sorted(why(desk.ask())) == ["is no file", "is no file"]
    (file.parent / "huge.sig").write_bytes(b"x" * 20_000)
    assert said([desk.ask()]) == [(State.ERROR, "unreadable")]


def test_a_hundred_signatures_are_too_many(desk: Desk) -> None:
    file = desk.sign("ada")
    for number in range(60):
        shutil.copy(file, file.parent / f"{number}.sig")

    assert said([desk.ask()]) == [(State.ERROR, "too-many")]


def test_without_a_file_of_signers_nothing_opens(desk: Desk) -> None:
    desk.sign("ada")
    (desk.folder / "approvers").unlink()

    assert said([desk.ask()]) == [(State.ABSENT, "no-signers")]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0garbage\n", b"ada\n", b"ada ssh-ed25519 !!!\n"])
def test_a_file_of_signers_that_says_nothing_opens_nothing(desk: Desk, content: bytes) -> None:
    desk.sign("ada")
    (desk.folder / "approvers").write_bytes(content)

    assert why(desk.ask()) == ["is signed with a key of nobody who may sign"]


def test_it_holds_for_every_image_of_the_release(desk: Desk) -> None:
    desk.sign("ada")
    asked = rule("approvals", allowed_signers="approvers", robots=["bot"])

    results = answers(approvals, context(asked, candidate("os"), candidate("dx"), folder=desk.folder, by="bot"))

    assert [(one.variant, one.state) for one in results] == [("os", State.PASSED), ("dx", State.PASSED)]


# --------------------------------------------------------------------------------------------------------- reviews

HEAD = "3e" * 20
MARK = release_marker(ID)


def pull(
    number: int = 7, *, body: str | None = f"{MARK}\n## X", author: str = "bot", branch: str = f"release-{ID}"
) -> Any:
    return {"number": number, "body": body, "user": {"login": author}, "head": {"sha": HEAD, "ref": branch}}


def review(login: str, state: str = "APPROVED", *, id: int = 1, commit: str = HEAD, **more: object) -> Any:
    at = f"2026-06-24T10:{id:02}:00Z"
    return {
        "id": id,
        "user": {"login": login},
        "state": state,
        "commit_id": commit,
        "submitted_at": at,
        "body": "",
        **more,
    }


@pytest.fixture
def client() -> Iterator[Client]:
    with hurried() as made:
        yield made


def ask_forge(
    client: Client, pulls: list[Any], reviews: dict[int, list[Any]], *, by: str = "bot", **table: object
) -> GateResult:
    def reply(asked: Asked) -> Reply:
        path, _, query = asked.path.partition("?")
        first = "page=1" in query.split("&")
        if path.endswith("/reviews"):
            found = reviews.get(int(path.split("/")[-2]), [])
            return Reply(200, {}, json.dumps(found if first else []).encode())
        return Reply(200, {}, json.dumps(pulls if first else []).encode())

    with Scripted(reply) as server:
        whole = {
            "reviews": True, "count": 1, "from": ["ada", "grace"], "forge": "github", "repository": "acme/os",
            "api": server.url, "robots": ["bot"], **table,
        }  # fmt: skip
        (result,) = answers(approvals, context(rule("approvals", **whole), web=client, by=by))
    return result


REVIEWS: dict[str, tuple[list[Any], list[Any], dict[str, Any], State, str]] = {
    "approved": ([pull()], [review("ada")], {}, State.PASSED, ""),
    "in another case": ([pull()], [review("Ada")], {}, State.PASSED, ""),
    "one of two": ([pull()], [review("ada")], {"count": 2}, State.PENDING, "too-few"),
    "two": ([pull()], [review("ada"), review("grace", id=2)], {"count": 2}, State.PASSED, ""),
    "the same twice": ([pull()], [review("ada"), review("ada", id=2)], {"count": 2}, State.PENDING, "too-few"),
    "no review": ([pull()], [], {}, State.PENDING, "too-few"),
    "no pull request": ([], [], {}, State.PENDING, "too-few"),
    "another release's": ([pull(body=release_marker("f" * 16))], [review("ada")], {}, State.PENDING, "too-few"),
    "of several releases": (
        [pull(body=MARK + release_marker("f" * 16))],
        [review("ada")],
        {},
        State.PENDING,
        "too-few",
    ),
    "the id alone": ([pull(body=ID)], [review("ada")], {}, State.PENDING, "too-few"),
    "no text": ([pull(body=None)], [review("ada")], {}, State.PENDING, "too-few"),
    "a remark": ([pull()], [review("ada", "COMMENTED")], {}, State.PENDING, "too-few"),
    "not sent yet": ([pull()], [review("ada", "PENDING")], {}, State.PENDING, "too-few"),
    "dismissed": ([pull()], [review("ada", "DISMISSED")], {}, State.PENDING, "too-few"),
    "dismissed, as Forgejo says": ([pull()], [review("ada", dismissed=True)], {}, State.PENDING, "too-few"),
    "stale": ([pull()], [review("ada", commit="4d" * 20)], {}, State.PENDING, "too-few"),
    "stale, as Forgejo says": ([pull()], [review("ada", stale=True)], {}, State.PENDING, "too-few"),
    "not official": ([pull()], [review("ada", official=False)], {}, State.PENDING, "too-few"),
    "changed their mind": (
        [pull()],
        [review("ada"), review("ada", "CHANGES_REQUESTED", id=2)],
        {},
        State.FAILED,
        "changes-requested",
    ),
    "changed it back": ([pull()], [review("ada", "CHANGES_REQUESTED"), review("ada", id=2)], {}, State.PASSED, ""),
    "in any order": ([pull()], [review("ada", id=2), review("ada", "CHANGES_REQUESTED")], {}, State.PASSED, ""),
    "a remark after it": ([pull()], [review("ada"), review("ada", "COMMENTED", id=2)], {}, State.PASSED, ""),
    "dismissed after it": ([pull()], [review("ada"), review("ada", "DISMISSED", id=2)], {}, State.PENDING, "too-few"),
    "a stranger": ([pull()], [review("eve")], {}, State.PENDING, "too-few"),
    "a stranger objects": ([pull()], [review("ada"), review("eve", "CHANGES_REQUESTED")], {}, State.PASSED, ""),
    "a stranger's pull request": ([pull(author="eve")], [review("ada")], {}, State.PENDING, "too-few"),
    "one's own pull request": ([pull(author="ada")], [review("ada")], {}, State.PENDING, "too-few"),
    "who is gone": ([pull()], [{**review("ada"), "user": None}], {}, State.PENDING, "too-few"),
    "a branch of any name": ([pull(branch="main")], [review("ada")], {}, State.PENDING, "too-few"),
    "named in the review": ([pull(branch="main")], [review("ada", body=f"approve {ID}")], {}, State.PASSED, ""),
    "unbound": ([pull(branch="main")], [review("ada")], {"unbound": True}, State.PASSED, ""),
}


@pytest.mark.parametrize("case", REVIEWS)
def test_the_last_word_of_each_on_the_release_as_it_is_counts(client: Client, case: str) -> None:
    pulls, reviews, table, state, code = REVIEWS[case]

    result = ask_forge(client, pulls, {7: reviews}, **table)

    assert (result.state, result.code) == (state, code), (result.reason, result.evidence)


def test_the_review_of_who_asks_does_not_count(client: Client) -> None:
    assert said([ask_forge(client, [pull()], {7: [review("ada")]}, by="ada")]) == [(State.PENDING, "too-few")]


@pytest.fixture
def github() -> Iterator[ReviewedGitHub]:
    with ReviewedGitHub() as server:
        yield server


def ask_github(github: ReviewedGitHub, client: Client, **table: object) -> GateResult:
    whole = {
        "reviews": True, "from": ["ada", "grace"], "robots": ["bot"], "forge": "github", "repository": "acme/os",
        "api": github.url, "token": {"env": "T"}, **table,
    }  # fmt: skip
    asked = context(rule("approvals", **whole), web=client, by="bot", environ={"T": github.token})
    (result,) = answers(approvals, asked)
    return result


def test_github_is_asked_for_pull_requests_and_their_reviews(github: ReviewedGitHub, client: Client) -> None:
    github.review(github.pull(MARK, branch=f"release/{ID}"), "ada")
    github.pull("another")

    result = ask_github(github, client)

    assert (result.state, result.reason) == (State.PASSED, "1 of 1 approve: `ada`")
    assert github.lines == [
        "GET /repos/acme/os/pulls?state=all&sort=updated&direction=desc&per_page=50&page=1",
        "GET /repos/acme/os/pulls/1/reviews?per_page=50&page=1",
        "GET /repos/acme/os/pulls?state=all&sort=updated&direction=desc&per_page=50&page=2",
    ]


def test_reviews_on_the_last_page_count_too(github: ReviewedGitHub, client: Client) -> None:
    number = github.pull(MARK, branch=ID)
    for _ in range(70):
        github.review(number, "eve", "COMMENTED")
    github.review(number, "ada")
    assert ask_github(github, client).state is State.PASSED

    github.review(number, "ada", "CHANGES_REQUESTED")

    assert ask_github(github, client).state is State.FAILED


def test_a_text_that_was_edited_after_the_approval_opens_nothing(github: ReviewedGitHub, client: Client) -> None:
    number = github.pull(release_marker("f" * 16), branch="next-release")
    github.review(number, "ada", body="approved: " + "f" * 16)
    github.pulls[0]["body"] = MARK

    result = ask_github(github, client)

    assert (result.state, why(result)) == (
        State.PENDING,
        ["does not name the release, and the branch neither: the text may have changed since"],
    )


def test_reviews_and_signatures_of_one_person_count_once(desk: Desk, client: Client) -> None:
    desk.sign("ada")

    def reply(asked: Asked) -> Reply:
        first = "page=1" in asked.path
        found = [review("ada-l")] if "/reviews" in asked.path else [pull()]
        return Reply(200, {}, json.dumps(found if first else []).encode())

    with Scripted(reply) as server:
        table = {
            "reviews": True, "allowed_signers": "approvers", "count": 2, "from": ["ada", "grace"], "robots": ["bot"],
            "people": {"ada": ["ada-l"]}, "forge": "github", "repository": "acme/os", "api": server.url,
        }  # fmt: skip
        asked = context(rule("approvals", **table), folder=desk.folder, web=client, by="bot")
        (result,) = answers(approvals, asked)

    assert result.reason == "1 of 2 approve: `ada`"


def gitlab(
    client: Client, approved: list[Any], versions: list[str], *, branch: str = ID, **table: object
) -> GateResult:
    request = {"iid": 3, "description": MARK, "author": {"username": "bot"}, "source_branch": branch}
    answers_ = {
        "merge_requests": [request],
        "approvals": {"approved_by": approved},
        "versions": [{"id": n, "created_at": at} for n, at in enumerate(versions)],
    }

    def reply(asked: Asked) -> Reply:
        path, _, query = asked.path.partition("?")
        found = answers_[path.rsplit("/", 1)[-1]]
        return Reply(200, {}, json.dumps([] if "page=2" in query else found).encode())

    with Scripted(reply) as server:
        whole = {
            "reviews": True, "count": 1, "from": ["ada"], "forge": "gitlab", "repository": "acme/os", "api": server.url,
            "robots": ["bot"], **table,
        }  # fmt: skip
        (result,) = answers(approvals, context(rule("approvals", **whole), web=client, by="bot"))
    return result


BY_ADA = {"user": {"username": "ada"}}
MORNING, NIGHT = "2026-06-24T08:00:00.000Z", "2026-06-24T23:00:00.000Z"


@pytest.mark.parametrize(
    ("approved", "versions", "branch", "state"),
    [
        ([BY_ADA], [MORNING], ID, State.PASSED),
        ([BY_ADA], [MORNING], "main", State.PENDING),
        ([], [MORNING], ID, State.PENDING),
        ([BY_ADA], [MORNING, NIGHT], ID, State.PENDING),
        ([{**BY_ADA, "approved_at": "2026-06-24T09:00:00Z"}], [MORNING, NIGHT], ID, State.PENDING),
        ([{**BY_ADA, "approved_at": "2026-06-24T23:30:00Z"}], [MORNING, NIGHT], ID, State.PASSED),
        ([BY_ADA], [], ID, State.ERROR),
    ],
)
def test_gitlabs_approvals_count_for_the_newest_version(
    client: Client, approved: list[Any], versions: list[str], branch: str, state: State
) -> None:
    assert gitlab(client, approved, versions, branch=branch).state is state


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(404), "unknown-repository"),
        (Reply(200, {}, b"<html>"), "not-json"),
        (Reply(200, {}, b"{}"), "unreadable"),
        (Reply(200, {}, b"[1]"), "unreadable"),
        (Reply(500), "unreachable"),
        (Reply(401), "refused"),
    ],
)
def test_a_forge_that_does_not_answer_opens_nothing(client: Client, reply: Reply, code: str) -> None:
    with Scripted(lambda asked: reply) as server:
        table = {"reviews": True, "from": ["ada"], "forge": "github", "repository": "acme/os", "api": server.url}
        (result,) = answers(approvals, context(rule("approvals", **table), web=client))

    assert (result.code, result.opens) == (code, False)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({}, "say where people approve"),
        ({"reviews": True}, "anybody can review"),
        ({"allowed_signers": "a", "count": 0}, "greater than or equal to 1"),
        ({"allowed_signers": "a", "count": 2, "from": ["ada", "Ada"]}, "`from` has only 1"),
    ],
)
def test_a_table_that_makes_no_sense_is_a_fault(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ApprovalsSettings.model_validate(table)
