"""The commits plugin on real git repositories, and the handwritten note."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from relman.errors import Malformed, NotFound, Unequipped
from relman.model.changelog import Commit, Section
from relman.plugin import CommitsContext, SectionsContext
from relman_plugins.changelog import commits as plugin
from relman_plugins.changelog import conventional, note


class Checkout:
    """A git repository whose clock goes on by a minute with each commit."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._clock = 1_750_000_000
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *arguments: str, stdin: bytes | None = None, **environment: str) -> str:
        made = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann",
            "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_COMMITTER_NAME": "Bob",
            "GIT_COMMITTER_EMAIL": "bob@example.org",
            "GIT_AUTHOR_DATE": f"{self._clock} +0000",
            "GIT_COMMITTER_DATE": f"{self._clock} +0000",
        }
        done = subprocess.run(
            ["git", "-C", str(self.folder), "-c", "protocol.file.allow=always", *arguments],
            input=stdin,
            capture_output=True,
            check=True,
            env=os.environ | made | environment,
        )
        return done.stdout.decode().strip()

    def commit(self, message: str, *, at: int | None = None) -> str:
        self._clock = self._clock + 60 if at is None else at
        self.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", message)
        return self.head

    def commit_by(self, name: str, address: str, message: str) -> str:
        self._clock += 60
        self.git("commit", "--quiet", "--allow-empty", "-m", message, GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=address)
        return self.head

    def merge(self, message: str, *branches: str) -> str:
        parents = [self.head, *(self.git("rev-parse", branch) for branch in branches)]
        return self.made(message, *parents)

    def made(self, message: str, *parents: str) -> str:
        """A commit with these parents, which the current branch then points at."""
        self._clock += 60
        tree = self.git("write-tree")
        sha = self.git("commit-tree", tree, *(a for p in parents for a in ("-p", p)), "-F", "-", stdin=message.encode())
        self.git("reset", "--quiet", "--soft", sha)
        return sha

    def raw(self, headers: bytes, message: bytes, parent: str) -> str:
        """A commit with these very bytes, on the current branch."""
        tree = self.git("write-tree")
        content = f"tree {tree}\nparent {parent}\n".encode() + headers + b"\n\n" + message
        sha = self.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=content)
        self.git("update-ref", "HEAD", sha)
        return sha

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def clone(self, folder: Path, *options: str) -> Path:
        self.git("clone", "--quiet", *options, f"file://{self.folder}", str(folder))
        return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    made.commit("root")
    return made


def read(checkout: Checkout | Path, before: str, after: str) -> tuple[Commit, ...]:
    folder = checkout.folder if isinstance(checkout, Checkout) else checkout
    return plugin.relman_commits(CommitsContext(before, after, folder))


def subjects(found: tuple[Commit, ...]) -> list[str]:
    return [commit.subject for commit in found]


# --------------------------------------------------------------------------------------------------------- range


def test_commits_are_those_reachable_from_after_and_not_from_before_newest_first(checkout: Checkout) -> None:
    before = checkout.head
    first = checkout.commit("feat(dx)!: a | b `c` @d <e>")
    second = checkout.commit("Just words 🎉 שלום")
    assert read(checkout, before, second) == (
        Commit(second, "Just words 🎉 שלום", "Ann"),
        Commit(first, "feat(dx)!: a | b `c` @d <e>", "Ann", type="feat", scope="dx", breaking=True),
    )
    assert read(checkout, second, second) == read(checkout, second, before) == ()


def test_the_order_is_that_of_git_log_across_merges(checkout: Checkout) -> None:
    before = checkout.head
    for branch in ("a", "b"):
        checkout.git("checkout", "--quiet", "-b", branch, before)
        checkout.commit(f"{branch}1")
    checkout.commit("b2")
    criss, cross = checkout.git("rev-parse", "a"), checkout.git("rev-parse", "b")
    checkout.made("a takes b", criss, cross)
    checkout.git("branch", "-f", "left")
    checkout.git("reset", "--quiet", "--soft", cross)
    checkout.made("b takes a", cross, criss)
    checkout.commit("b3", at=1_750_000_001)  # older than its parent by the clock
    checkout.git("checkout", "--quiet", "left")
    checkout.git("branch", "-f", "third", before)
    after = checkout.merge("octopus", "b", "third")
    expected = checkout.git("log", "--format=%s", f"{before}..{after}").splitlines()
    assert subjects(read(checkout, before, after)) == expected
    assert sorted(expected) == ["a takes b", "a1", "b takes a", "b1", "b2", "b3", "octopus"]


def test_an_octopus_merge_brings_in_all_its_branches(checkout: Checkout) -> None:
    before = checkout.head
    for branch in "abc":
        checkout.git("checkout", "--quiet", "-b", branch, before)
        checkout.commit(branch)
    checkout.git("checkout", "--quiet", "main")
    after = checkout.merge("Merge branches", "a", "b", "c")
    assert subjects(read(checkout, before, after)) == ["Merge branches", "c", "b", "a"]


@pytest.mark.parametrize("kind", ["bare", "worktree", "subfolder", "gitdir"])
def test_a_checkout_may_be_bare_a_linked_work_tree_or_a_folder_inside(
    checkout: Checkout, tmp_path: Path, kind: str
) -> None:
    before, after = checkout.head, checkout.commit("fix: x")
    folder = tmp_path / "other"
    if kind == "bare":
        checkout.clone(folder, "--bare")
    elif kind == "worktree":
        checkout.git("worktree", "add", "--quiet", str(folder), before)
    elif kind == "subfolder":
        folder = checkout.folder / "deep" / "er"
        folder.mkdir(parents=True)
    else:
        folder = checkout.folder / ".git"
    assert subjects(read(folder, before, after)) == ["fix: x"]


def test_revisions_may_be_short_and_in_capitals(checkout: Checkout) -> None:
    before, after = checkout.head, checkout.commit("fix: x")
    assert subjects(read(checkout, before[:7].upper(), after[:12])) == ["fix: x"]


def test_a_repository_of_long_object_names_is_read(tmp_path: Path) -> None:
    long = Checkout(tmp_path / "long", "--object-format=sha256")
    before, after = long.commit("root"), long.commit("fix: x")
    assert [(len(c.sha), c.subject) for c in read(long, before, after)] == [(64, "fix: x")]


# --------------------------------------------------------------------------------------------------------- wrong


@pytest.mark.parametrize(
    "revision",
    [
        "",
        "main",
        "HEAD",
        "abc",
        "--output=x",
        "a" * 65,
        "abcdef1^",
        "abcdef1..abcdef2",
        "abcdef1\n",
        " abcdef1",
        "abcdé12",
    ],
)
def test_what_is_no_revision_is_refused_and_quoted(checkout: Checkout, revision: str) -> None:
    shown = revision.encode("unicode_escape").decode()
    for before, after in ((revision, checkout.head), (checkout.head, revision)):
        with pytest.raises(Malformed) as caught:
            read(checkout, before, after)
        assert caught.value.message == f"`{shown}` is no revision: 7 to 64 hex digits"


@pytest.mark.parametrize("unknown", ["0" * 39 + "1", "dedbeef"])
def test_a_revision_that_the_checkout_lacks_is_named_with_the_fetch_that_would_help(
    checkout: Checkout, unknown: str
) -> None:
    for before, after in ((unknown, checkout.head), (checkout.head, unknown)):
        with pytest.raises(NotFound) as caught:
            read(checkout, before, after)
        assert caught.value.message == f"revision `{unknown}` is not in `{checkout.folder}`"
        fetch = f"origin {unknown}" if len(unknown) == 40 else "--all --tags"
        assert f"git -C {checkout.folder} fetch {fetch}" in (caught.value.hint or "")


def test_a_branch_that_is_called_like_a_revision_is_not_taken_for_it(checkout: Checkout) -> None:
    before = checkout.head
    checkout.commit("fix: x")
    checkout.git("branch", "dedbeef")
    with pytest.raises(NotFound, match="revision `dedbeef` is not in"):
        read(checkout, before, "dedbeef")


def test_a_revision_that_is_no_commit_is_named_for_what_it_is(checkout: Checkout) -> None:
    tree = checkout.git("rev-parse", "HEAD^{tree}")
    for before, after in ((tree, checkout.head), (checkout.head, tree)):
        with pytest.raises(NotFound, match=f"revision `{tree}` is a tree in"):
            read(checkout, before, after)


def test_no_repository_and_no_folder_are_errors_that_name_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=f"`{tmp_path}` is not a git repository"):
        read(tmp_path, "a" * 40, "b" * 40)
    with pytest.raises(NotFound, match=f"there is no folder `{tmp_path}/none`"):
        read(tmp_path / "none", "a" * 40, "b" * 40)


def test_a_shallow_clone_is_refused_exactly_where_its_edge_cuts_the_range(checkout: Checkout, tmp_path: Path) -> None:
    made = [checkout.commit(str(number)) for number in range(6)]
    shallow = checkout.clone(tmp_path / "shallow", "--depth=3")
    assert subjects(read(shallow, made[3], made[5])) == ["5", "4"]
    with pytest.raises(NotFound) as caught:
        read(shallow, made[1], made[5])
    assert caught.value.message == f"revision `{made[1]}` is not in `{shallow}`"
    assert "fetch --unshallow" in (caught.value.hint or "")
    subprocess.run(
        ["git", "-C", str(shallow), "fetch", "--quiet", "--depth=1", "origin", made[1]], check=True, capture_output=True
    )
    with pytest.raises(NotFound) as caught:
        read(shallow, made[1], made[5])
    assert caught.value.message == f"`{shallow}` is a shallow clone that is cut between `{made[1]}` and `{made[5]}`"
    assert "fetch --unshallow" in (caught.value.hint or "")


def test_a_commit_that_is_missing_inside_the_range_is_an_error(checkout: Checkout) -> None:
    before, lost = checkout.head, checkout.commit("lost")
    checkout.commit("a")
    after = checkout.commit("b")
    (checkout.folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(NotFound, match="cannot be read in"):
        read(checkout, before, after)


def test_a_partial_clone_that_lacks_trees_and_files_suffices_and_fetches_nothing(
    checkout: Checkout, tmp_path: Path
) -> None:
    before, after = checkout.head, checkout.commit("fix: x")
    checkout.git("config", "uploadpack.allowFilter", "true")
    partial = checkout.clone(tmp_path / "partial", "--bare", "--filter=tree:0")
    assert subjects(read(partial, before, after)) == ["fix: x"]
    extra = checkout.commit("made after cloning")
    checkout.git("config", "uploadpack.allowAnySHA1InWant", "true")
    with pytest.raises(NotFound, match=f"revision `{extra}` is not in"):
        read(partial, before, extra)


def test_without_git_the_missing_program_is_named(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    head = checkout.head
    read(checkout, head, head)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Unequipped, match="`git` is not installed"):
        read(checkout, head, head)


# ------------------------------------------------------------------------------------------------------- hostile


def test_the_configuration_of_a_checkout_runs_no_program_and_changes_no_answer(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, lie, after = checkout.head, checkout.commit("truth"), checkout.commit("fix: after")
    marker = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> {marker}\n")
    program.chmod(0o755)
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    identity = b"author \xc3\x84nn <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"
    signed = checkout.raw(identity + signature, "fix: sïgned\n".encode(), after)
    checkout.git("replace", lie, checkout.made("a lie", before))
    (checkout.folder / ".git/info").mkdir(exist_ok=True)
    (checkout.folder / ".git/info/grafts").write_text(f"{after} {before}\n")
    for key in (
        "core.fsmonitor",
        "core.pager",
        "pager.log",
        "gpg.program",
        "gpg.ssh.program",
        "diff.external",
        "core.sshCommand",
        "core.editor",
        "alias.log",
    ):
        checkout.git("config", key, str(program))
    for key, value in {
        "log.showSignature": "true",
        "color.ui": "always",
        "format.pretty": "oneline",
        "log.decorate": "full",
        "log.mailmap": "true",
        "i18n.logOutputEncoding": "latin1",
    }.items():
        checkout.git("config", key, value)
    other = Checkout(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_PAGER", str(program))
    marker.unlink(missing_ok=True)  # setting up may have run it
    found = read(checkout, before, signed)
    assert [(c.subject, c.author) for c in found] == [("fix: sïgned", "Änn"), ("fix: after", "Ann"), ("truth", "Ann")]
    assert not marker.exists()


IDENTITY = b"author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000"


@pytest.mark.parametrize(
    ("headers", "message", "subject"),
    [
        (IDENTITY + b"\nencoding ISO-8859-1", b"fix: caf\xe9\n", "fix: café"),
        (IDENTITY, b"fix: caf\xe9\n", "fix: caf\ufffd"),
        (IDENTITY + b"\nencoding no-such-thing", b"fix: caf\xe9\n", "fix: caf\ufffd"),
        (IDENTITY + b"\nencoding UTF-7", b"fix: a+AAAAAA-b\n", None),
        (IDENTITY, b"fix: before\0after\n\nbody\0\n", "fix: before"),
        (IDENTITY, b"", ""),
        (IDENTITY, b"\n\n  \nfix: late\n", "fix: late"),
        (IDENTITY, b"fix: one\ntwo\r\n\r\nbody\n", "fix: one two\r"),
        (b"author <> 1 +0000\ncommitter x", b"fix: nobody\n", "fix: nobody"),
        (IDENTITY, b"fix: " + b"long " * 400_000, "fix: " + ("long " * 200)[: 1000 - 6] + "…"),
    ],
)
def test_no_message_breaks_the_list(checkout: Checkout, headers: bytes, message: bytes, subject: str | None) -> None:
    before = checkout.head
    strange = checkout.raw(headers, message, before)
    after = checkout.commit("fix: after")
    found = read(checkout, before, after)
    assert [commit.sha for commit in found] == [after, strange]
    if subject is not None:
        assert found[1].subject.rstrip() == subject.rstrip()
    assert len(found[1].subject) <= 1000


def test_a_long_range_takes_two_processes(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkout.head
    stream = "".join(
        f"commit refs/heads/long\ncommitter A <a@b> {1_750_001_000 + n} +0000\ndata <<E\nfix: {n}\nE\n"
        + (f"from {before}\n" if n == 0 else "")
        for n in range(3000)
    )
    checkout.git("fast-import", "--quiet", stdin=stream.encode())
    real, seen = shutil.which("git"), tmp_path / "seen"
    counting = tmp_path / "bin" / "git"
    counting.parent.mkdir()
    counting.write_text(f'#!/bin/sh\necho x >> {seen}\nexec {real} "$@"\n')
    counting.chmod(0o755)
    after = checkout.git("rev-parse", "long")
    monkeypatch.setenv("PATH", f"{counting.parent}:{os.environ['PATH']}")
    read(checkout, before, before)  # GitPython looks for git once, when it is imported
    seen.write_text("")
    found = read(checkout, before, after)
    assert (len(found), found[0].subject, found[-1].subject) == (3000, "fix: 2999", "fix: 0")
    assert seen.read_text() == "x\n" * 2


# ------------------------------------------------------------------------------------------------------- reverts


def reverts(found: tuple[Commit, ...]) -> dict[str, str]:
    names = {commit.sha: commit.subject for commit in found}
    return {commit.subject: names[commit.reverted_by] for commit in found if commit.reverted_by}


def test_a_commit_and_its_revert_are_joined_and_both_stay(checkout: Checkout) -> None:
    before, bad = checkout.head, checkout.commit("feat: bad")
    after = checkout.commit(f'Revert "feat: bad"\n\nThis reverts commit {bad}.')
    found = read(checkout, before, after)
    assert len(found) == 2
    assert reverts(found) == {"feat: bad": 'Revert "feat: bad"'}
    assert read(checkout, bad, after)[0].reverted_by is None


def test_a_revert_of_a_revert_is_a_chain(checkout: Checkout) -> None:
    before, bad = checkout.head, checkout.commit("bad")
    undo = checkout.commit(f"undo\n\nThis reverts commit {bad}.")
    redo = checkout.commit(f"redo\n\nThis reverts commit {undo}.")
    assert reverts(read(checkout, before, redo)) == {"bad": "undo", "undo": "redo"}
    again = checkout.commit(f"again\n\nThis reverts commit {bad}.")
    assert reverts(read(checkout, before, again)) == {"bad": "again", "undo": "redo"}


def test_reverts_are_read_short_folded_and_of_merges_and_never_guessed(checkout: Checkout) -> None:
    before = checkout.head
    short, folded, merged = checkout.commit("short"), checkout.commit("folded"), checkout.commit("merged")
    checkout.commit(f"1\n\nThis reverts commit {short[:8]} (short, 2025-06-01).")
    checkout.commit(f"2\n\nThis reverts commit\n{folded}.")
    checkout.commit(f"3\n\nThis reverts commit {merged}, reversing\nchanges made to {before}.")
    after = checkout.commit("4\n\nThis reverts commit 1234567. This reverts commit abc.")
    assert reverts(read(checkout, before, after)) == {"short": "1", "folded": "2", "merged": "3"}


# -------------------------------------------------------------------------------------------------- conventional


@pytest.mark.parametrize(
    ("message", "type", "scope", "breaking"),
    [
        ("fix: x", "fix", None, False),
        ("FEAT(ui): x", "feat", "ui", False),
        ("feat!: x", "feat", None, True),
        ("chore(deps)!: x", "chore", "deps", True),
        ("fix(a b/c): x", "fix", "a b/c", False),
        ("fix( ): x", "fix", None, False),
        ("build-deps: x", "build-deps", None, False),
        ("fix: x\n\nBREAKING CHANGE: y", "fix", None, True),
        ("fix: x\n\nbody\n\nBREAKING-CHANGE: y", "fix", None, True),
        ("fix: x\n\nBREAKING CHANGE #7", "fix", None, True),
        ("Words\n\nBREAKING CHANGE:\n y", None, None, True),
        ("fix: x\n\nno BREAKING CHANGE: y", "fix", None, False),
        ("fix: x\n\nbreaking change: y", "fix", None, False),
        ("fix: x\n\nBREAKING CHANGES: y", "fix", None, False),
        ("fix:x", None, None, False),
        ("fix", None, None, False),
        ("fix:", None, None, False),
        ("fix(a: x", None, None, False),
        ("fix!(a): x", None, None, False),
        ("https://example.org", None, None, False),
        ("Merge branch 'a': b", None, None, False),
        ('Revert "fix: x"', None, None, False),
        ("✨ feat: x", None, None, False),
        ("| | {{ x }}: y", None, None, False),
        ("", None, None, False),
    ],
)
def test_a_message_is_read_as_far_as_it_follows_the_convention(
    message: str, type: str | None, scope: str | None, breaking: bool
) -> None:
    assert conventional.read(message.partition("\n")[0], message) == conventional.Reading(type, scope, breaking, ())


# ---------------------------------------------------------------------------------------------------------- note


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("Hello\r\n\r\n*you*\n\n", "Hello\n\n*you*"),
        ("\ufeff\n    code\n", "    code"),
        (" \n\t", None),
        ("", None),
        (None, None),
    ],
)
def test_the_note_comes_first_as_it_was_written_and_a_blank_one_not_at_all(
    text: str | None, markdown: str | None
) -> None:
    context = cast(SectionsContext, SimpleNamespace(note=text))
    expected = [] if markdown is None else [Section("note", 0, "From the maintainers", markdown)]
    assert list(note.relman_sections(context)) == expected


# -------------------------------------------------------------------------------------------------------- people


def test_co_authors_pull_requests_and_closed_issues_are_read_from_the_message(checkout: Checkout) -> None:
    before = checkout.head
    checkout.commit(
        "fix: it (#12)\n\nFixes #7, closes: #9 and mentions #8.\n\n"
        "Co-authored-by: Bob <bob@example.org>\nco-authored-by:  Ann <ann@example.org>\nCo-authored-by: nobody"
    )
    checkout.commit("Merge pull request #34 from x/y")
    checkout.commit("Merge branch 'x'\n\nSee merge request group/project!56")
    found = read(checkout, before, checkout.head)
    assert [(c.pull_request, c.closes, c.co_authors) for c in found] == [
        (56, (), ()),
        (34, (), ()),
        (12, (7, 9), ("Bob",)),
    ]


def test_programs_are_told_from_people(checkout: Checkout) -> None:
    before = checkout.head
    names = [
        ("renovate[bot]", "29139614+renovate[bot]@users.noreply.github.com"),
        ("Renovate Bot", "bot@example.org"),
        ("github-actions", "a@example.org"),
        ("Talbot", "talbot@example.org"),
        ("Robot Fan", "fan@example.org"),
    ]
    for name, address in names:
        checkout.commit_by(name, address, name)
    found = read(checkout, before, checkout.head)
    assert [commit.bot for commit in reversed(found)] == [True, True, True, False, False]
    assert [commit.newcomers for commit in reversed(found)] == [(), (), (), ("Talbot",), ("Robot Fan",)]


def test_newcomers_are_counted_over_the_whole_history(checkout: Checkout) -> None:
    checkout.commit_by("Old Hand", "1+old@users.noreply.github.com", "one\n\nCo-authored-by: Helper <help@example.org>")
    checkout.commit_by("Moved", "moved@old.example.org", "two")
    before = checkout.commit("three")
    checkout.commit_by("Other Name", "2+old@users.noreply.github.com", "known by address")
    checkout.commit_by("moved", "moved@new.example.org", "known by name")
    checkout.commit_by("New", "new@example.org", "first\n\nCo-authored-by: Helper <help@example.org>")
    checkout.commit_by("New", "new@example.org", "second\n\nCo-authored-by: Newer <newer@example.org>")
    found = read(checkout, before, checkout.head)
    assert [(commit.subject, commit.newcomers) for commit in found] == [
        ("second", ("Newer",)),
        ("first", ("New",)),
        ("known by name", ()),
        ("known by address", ()),
    ]


def test_where_the_history_is_cut_nobody_can_tell_who_is_new(checkout: Checkout, tmp_path: Path) -> None:
    before = checkout.commit("one")
    checkout.commit_by("New", "new@example.org", "two")
    after = checkout.commit("three")
    shallow = checkout.clone(tmp_path / "shallow", "--depth=3")
    assert [commit.newcomers for commit in read(shallow, before, after)] == [None, None]
    assert [commit.newcomers for commit in read(checkout, before, after)] == [(), ("New",)]
