"""What relman reads of a git repository beside commits: files at a revision, within bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from relman.errors import Malformed, NotFound
from relman.git import GitFailed, checkout_at
from tests.test_commits import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    made.commit("root")
    return made


def written(checkout: Checkout, **files: str) -> str:
    for name, text in files.items():
        path = checkout.folder / "changes" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    checkout.git("add", "-A")
    return checkout.commit("docs: words")


def test_the_files_of_a_folder_are_those_of_the_revision_and_not_of_the_work_tree(checkout: Checkout) -> None:
    empty, one = checkout.head, written(checkout, first="One\n")
    two = written(checkout, first="One, corrected\n", second="Two\n")
    (checkout.folder / "changes/third.md").write_text("not committed")
    with checkout_at(checkout.folder) as repository:
        assert repository.files(empty, "changes/") == {}
        texts = [
            {name: repository.content(id, limit=100) for name, id in repository.files(revision, "changes").items()}
            for revision in (one, two)
        ]
    assert texts == [{"first.md": b"One\n"}, {"first.md": b"One, corrected\n", "second.md": b"Two\n"}]


def test_links_and_folders_are_no_files(checkout: Checkout) -> None:
    folder = checkout.folder / "changes"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner/deep.md").write_text("deep")
    (folder / "link.md").symlink_to("/etc/passwd")
    revision = written(checkout, plain="plain")
    with checkout_at(checkout.folder) as repository:
        assert list(repository.files(revision, "changes")) == ["plain.md"]


def test_a_revision_that_is_not_there_is_named_with_the_fetch_that_would_help(checkout: Checkout) -> None:
    with checkout_at(checkout.folder) as repository, pytest.raises(NotFound, match=f"`{'a' * 40}` is not in") as raised:
        repository.files("a" * 40, "changes")
    assert raised.value.hint is not None
    assert f"fetch origin {'a' * 40}" in raised.value.hint


def test_more_text_than_the_limit_is_an_error(checkout: Checkout) -> None:
    checkout.commit("x" * 5000)
    with checkout_at(checkout.folder) as repository, pytest.raises(Malformed, match="git printed more than the 4,096"):
        repository.git("log", limit=4096)


def test_what_git_refuses_is_said_in_its_words(checkout: Checkout) -> None:
    with checkout_at(checkout.folder) as repository, pytest.raises(GitFailed, match="Not a valid object name nothing"):
        repository.git("cat-file", "-t", "nothing")


def test_settings_are_those_of_remotes_logins_and_people_and_no_others(checkout: Checkout) -> None:
    with (checkout.folder / ".git/config").open("a") as file:
        file.write('[http]\n\tsslVerify\n[http "https://a.example/"]\n\textraHeader = X: 1\n\textraHeader =\n')
        file.write("[core]\n\tautocrlf = true\n\tsshCommand = ssh -i key\n\thooksPath = x\n[include]\n\tpath = more\n")
        file.write('[remote "a.b"]\n\turl = ../b.git\n\tfetch = +refs/*:refs/*\n\tpromisor = true\n')
    (checkout.folder / ".git/more").write_text("[user]\n\tname = Kim\n[commit]\n\tgpgSign = true\n")

    with checkout_at(checkout.folder) as repository:
        assert repository.settings() == (
            ("http.sslverify", "true"),
            ("http.https://a.example/.extraheader", "X: 1"),
            ("http.https://a.example/.extraheader", ""),
            ("core.sshcommand", "ssh -i key"),
            ("user.name", "Kim"),
            ("remote.a.b.url", "../b.git"),
        )
        assert repository.remotes == {"a.b": "../b.git"}
