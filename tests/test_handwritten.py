"""Handwritten files: what one says, and which of them belong to a release. On real git repositories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.errors import Malformed, NotFound
from relman.git import checkout_at
from relman.handwritten import (
    Fragment,
    KnownIssue,
    KnownIssues,
    fragments_between,
    known_issues_at,
    read_fragment,
    read_known_issue,
)
from relman.handwritten.history import deleted_open
from relman.model.changelog import Section
from relman.model.diff import Diff, Side
from relman.model.oci import LINUX_AMD64, Digest
from relman.model.record import Record, RecordedVariant, RecordState
from relman.plugin import SectionsContext
from relman.render import Templates
from relman_plugins.changelog import highlights, known_issues
from tests.test_commits import Checkout
from tests.walking import MONDAY


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    made.commit("root")
    return made


def put(checkout: Checkout, **files: str | None) -> str:
    """A commit that writes (or, with `None`, removes) files, `changes__a` being `changes/a.md`."""
    for name, text in files.items():
        path = checkout.folder / (name.replace("__", "/") + ".md")
        path.parent.mkdir(exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    checkout.git("add", "-A")
    return checkout.commit("docs: words")


# ----------------------------------------------------------------------------------------------------- one file


def test_a_highlight_has_a_title_by_its_head_or_by_its_first_heading_or_none() -> None:
    head = b'\xef\xbb\xbf+++\r\ntitle = "Sleep works"\r\nvariants = ["dx"]\r\n+++\r\n\r\nOn the *new* laptop.\r\n'
    assert read_fragment("a.md", head) == Fragment("a.md", "Sleep works", "On the *new* laptop.", (), ("dx",))
    assert read_fragment("a.md", b"## Sleep works ##\n\nAgain.\n") == Fragment("a.md", "Sleep works", "Again.", (), ())
    assert read_fragment("a.md", b"Plain words.\n") == Fragment("a.md", None, "Plain words.", (), ())


def test_headings_in_a_text_stand_below_those_of_the_notes() -> None:
    text = b"Words\n\n# One\n\nTwo\n===\n\n###### Six\n\n```\n# code\n```\n"
    assert read_fragment("a.md", text).text == "Words\n\n#### One\n\n#### Two\n\n\n###### Six\n\n```\n# code\n```"


def test_a_known_issue_is_open_until_it_is_fixed_or_withdrawn() -> None:
    head = '+++\ntitle = "No sleep"\naffects = ["nvidia"]\nsince = "stable-1"\nissue = "https://example.org/7"\n'
    whole = KnownIssue("a.md", "No sleep", "Wait.", ("nvidia",), "stable-1", "https://example.org/7", None, None)
    fixed, withdrawn = 'fixed-in = "stable-2"\n', 'withdrawn = "a wrong cable"\n'
    found = [read_known_issue("a.md", f"{head}{more}+++\nWait.\n".encode()) for more in ("", fixed, withdrawn)]
    assert found == [
        whole,
        replace(whole, fixed_in="stable-2"),
        replace(whole, withdrawn="a wrong cable"),
    ]
    assert [issue.open for issue in found] == [True, False, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "`a.md` says nothing below its head"),
        (b'+++\ntitle = "x"\n+++\n', "`a.md` says nothing below its head"),
        (b"+++\ntitel = 'x'\n+++\nx", "the head of `a.md`: `titel` is no key of it"),
        (b"+++\ntitle = 'x'\n", "`a.md` begins with a head that is not one"),
        (b"---\ntitle: x\n---\nx", "`a.md` begins with a head that is not one"),
        (b"+++\ntitle = x\n+++\nx", "the head of `a.md` is not TOML: Invalid value (at line 1, column 9)"),
        (b"x\n```\ncode", "something in `a.md` is never closed"),
        (b"x\n\n<!-- hidden", "something in `a.md` is never closed"),
        (b"x" * 65537, "`a.md` is larger than 64 KiB"),
        (b"caf\xe9", "`a.md` is not UTF-8"),
        (b"a\0b", "`a.md` is not text: it has a NUL byte"),
    ],
)
def test_a_highlight_that_cannot_stand_in_the_notes_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(Malformed) as raised:
        read_fragment("a.md", content)
    assert raised.value.message.startswith(message)


def test_a_known_issue_without_a_title_or_with_a_strange_address_is_refused_with_every_fault() -> None:
    with pytest.raises(Malformed, match="`title` is missing; `issue` string should match"):
        read_known_issue("a.md", b'+++\nissue = "javascript:alert(1)"\n+++\nx')


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"+++\n{text}\n+++\n{text}".encode()))
def test_any_bytes_are_a_highlight_or_refused(content: bytes) -> None:
    try:
        found = read_fragment("a.md", content)
    except Malformed:
        return
    assert found.text.strip()


# --------------------------------------------------------------------------------------------------- highlights


def texts(checkout: Checkout, *revisions: str) -> dict[str, str]:
    with checkout_at(checkout.folder) as repository:
        return {f.name: f.text for f in fragments_between(repository, "changes", revisions)}


def test_highlights_are_those_that_came_in_since_the_predecessor_in_their_last_words(checkout: Checkout) -> None:
    a = put(checkout, changes__old="Old", changes__README="How to write one")
    put(checkout, changes__one="One", changes__old="Old, corrected")
    b = put(checkout, changes__one="One, corrected")
    assert texts(checkout, a, b) == {"changes/one.md": "One, corrected"}


def test_a_highlight_that_cannot_be_read_is_mended_by_a_later_commit_or_taken_away(checkout: Checkout) -> None:
    a = checkout.head
    b = put(checkout, changes__one="+++\ntitle = broken\n+++\nOne", changes__two="", changes__three="Three")
    with pytest.raises(Malformed):
        texts(checkout, a, b)
    put(checkout, changes__one="One", changes__two=None, changes__three="Three, later")
    assert texts(checkout, a, b) == {"changes/one.md": "One", "changes/three.md": "Three"}


def test_highlights_of_a_long_step_are_those_of_its_short_ones_each_once(checkout: Checkout) -> None:
    a = checkout.head
    b = put(checkout, changes__one="One", changes__two="Two")
    c = put(checkout, changes__one=None, changes__two="Two, corrected", changes__three="Three")
    assert texts(checkout, a, b) == {"changes/one.md": "One", "changes/two.md": "Two"}
    assert texts(checkout, b, c) == {"changes/three.md": "Three"}
    assert texts(checkout, a, b, c) == {
        "changes/one.md": "One",
        "changes/three.md": "Three",
        "changes/two.md": "Two, corrected",
    }
    assert "changes/one.md" not in texts(checkout, a, c), "it came and went without a release in between"


def side(revision: str | None) -> Side:
    return Side("r", None, LINUX_AMD64, None, revision, 100, "sbom")


def diff(before: str | None, after: str | None, variant: str | None = "os") -> Diff:
    return Diff(variant, LINUX_AMD64, side(before), side(after), (), (), (), True, ())


def record(revision: str, state: RecordState = RecordState.FINISHED) -> Record:
    variant = RecordedVariant("os", "r/os", None, None, (), revision)
    return Record(revision, "p", "stable", revision, None, state, MONDAY, None, Digest.of(b""), (variant,))


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("", "ac"),
        ("a", "ac"),
        ("ab", "abc"),
        ("xaby", "abyc"),
        ("abcd", "abc"),
        ("xyz", "ac"),
    ],
)
def test_the_way_to_a_build_leads_over_the_releases_in_between(recorded: str, expected: str) -> None:
    records = tuple(record(revision) for revision in reversed(recorded))
    assert highlights.revisions(diff("a", "c"), records) == tuple(expected)


def test_the_way_from_what_the_first_release_followed_leads_over_that_release() -> None:
    old = Digest.of(b"old")
    (one,) = record("b").variants
    first = replace(record("b"), variants=(replace(one, previous_digest=old),))
    long = diff("a", "c")

    assert highlights.revisions(replace(long, before=replace(long.before, digest=old)), (first,)) == ("a", "b", "c")
    assert highlights.revisions(long, (first,)) == ("a", "c")


def test_a_release_that_never_was_is_no_step_of_the_way() -> None:
    records = (record("b", RecordState.ROLLED_BACK), record("a"))
    assert highlights.revisions(diff("a", "c"), records) == ("a", "c")
    assert highlights.revisions(diff(None, "c"), records) == ()


def context(checkout: Checkout, diffs: Sequence[Diff], **folders: str) -> SectionsContext:
    command = Templates().command
    found = tuple(diffs)
    return SectionsContext(None, found, (), (), None, lambda model: (), None, command, checkout.folder, **folders)


def test_the_section_has_titles_and_says_whom_it_is_about(checkout: Checkout) -> None:
    a = checkout.head
    b = put(checkout, changes__b="Plain words.", changes__a='+++\ntitle = "T"\nvariants = ["os", "dx"]\n+++\nText.')
    put(checkout, changes__c='+++\nvariants = ["other"]\n+++\nNot of these.')
    made = context(checkout, [diff(a, b), diff(a, checkout.head, "dx")], highlights="changes")
    assert list(highlights.relman_sections(made)) == [
        Section("highlights", 10, "Highlights", "### T *(only os, dx)*\n\nText.\n\nPlain words.")
    ]
    assert list(highlights.relman_sections(context(checkout, [diff(b, b)], highlights="changes"))) == []
    assert list(highlights.relman_sections(context(checkout, [diff(a, b)]))) == []


# ------------------------------------------------------------------------------------------------- known issues

OPEN = '+++\ntitle = "{0}"\n+++\n{0} text.\n'
FIXED = '+++\ntitle = "{0}"\nfixed-in = "next"\n+++\n'


def issues(checkout: Checkout, before: str | None, after: str) -> tuple[list[str], list[str]]:
    with checkout_at(checkout.folder) as repository:
        found = known_issues_at(repository, "known", before, after)
    return [issue.title for issue in found.open], [issue.title for issue in found.fixed]


def test_an_issue_is_carried_until_it_is_declared_fixed_and_then_named_once(checkout: Checkout) -> None:
    a = put(checkout, known__x=OPEN.format("X"))
    b = put(checkout, changes__y="Y")
    c = put(checkout, known__x=FIXED.format("X"))
    d = put(checkout, changes__z="Z")
    assert issues(checkout, None, a) == (["X"], [])
    assert issues(checkout, a, b) == (["X"], [])
    assert issues(checkout, b, c) == ([], ["X"])
    assert issues(checkout, c, d) == ([], [])
    assert issues(checkout, a, d) == ([], ["X"]), "over a release in between it is named, too"


def test_an_issue_that_was_found_after_the_build_counts_and_its_later_words_are_shown(checkout: Checkout) -> None:
    a = checkout.head
    put(checkout, known__x=OPEN.format("X"))
    assert issues(checkout, None, a) == (["X"], [])
    b = put(checkout, known__x=FIXED.format("X"))
    assert issues(checkout, a, b) == ([], ["X"])
    assert issues(checkout, None, a) == ([], []), "found and fixed after this build: nobody can tell whether it has it"


def test_a_fix_that_the_build_does_not_have_leaves_the_issue_open_in_it(checkout: Checkout) -> None:
    a = put(checkout, known__x=OPEN.format("X"))
    put(checkout, known__x=FIXED.format("X"))
    assert issues(checkout, None, a) == (["X"], [])


def test_an_issue_that_cannot_be_read_is_mended_by_a_later_commit_or_taken_away(checkout: Checkout) -> None:
    a = put(checkout, known__x="no head", known__y="no head", known__z=OPEN.format("Z"))
    with pytest.raises(Malformed, match="`title` is missing"):
        issues(checkout, None, a)
    b = put(checkout, known__x=OPEN.format("X"), known__y=None, known__z="a slip")
    assert issues(checkout, None, a) == (["X", "Z"], [])
    with pytest.raises(Malformed):
        issues(checkout, a, b)
    c = put(checkout, known__x=FIXED.format("X"), known__z=OPEN.format("Z"))
    assert issues(checkout, a, c) == (["Z"], ["X"])


def test_a_deleted_issue_is_carried_unless_it_was_declared_or_moved(checkout: Checkout) -> None:
    put(checkout, known__x=OPEN.format("X"), known__y=FIXED.format("Y"), known__z=OPEN.format("Z"))
    put(checkout, known__x=None, known__y=None, known__z=None, known__zz=OPEN.format("Z"))
    b = put(checkout, changes__a="A")
    assert issues(checkout, None, b) == (["X", "Z"], [])
    with checkout_at(checkout.folder) as repository:
        assert [issue.title for issue in deleted_open(repository, "known")] == ["X"]


def test_the_section_lists_what_is_open_and_what_is_fixed(checkout: Checkout) -> None:
    head = '+++\ntitle = "No sleep"\naffects = ["dx"]\nsince = "stable-1"\nissue = "https://example.org/7"\n+++\n'
    a = put(checkout, known__a=head + "Wait.", known__b=OPEN.format("B") + "\nMore.", known__c=OPEN.format("C"))
    b = put(checkout, known__c=FIXED.format("C"))
    (section,) = known_issues.relman_sections(context(checkout, [diff(a, b)], known_issues="known"))
    assert section == Section(
        "known-issues",
        20,
        "Known issues",
        "- **[No sleep](https://example.org/7)** (affects dx; since stable-1): Wait.\n"
        "- **B**\n\n  B text.\n\n  More.\n\n"
        "Fixed with this release:\n\n- C",
    )


def test_a_revision_that_is_not_there_is_named(checkout: Checkout) -> None:
    with checkout_at(checkout.folder) as repository:
        with pytest.raises(NotFound, match=f"`{'a' * 40}` is not in"):
            known_issues_at(repository, "known", None, "a" * 40)
        with pytest.raises(NotFound, match=f"`{'a' * 40}` is not in"):
            fragments_between(repository, "changes", (checkout.head, "a" * 40))
        assert known_issues_at(repository, "known", None, checkout.head) == KnownIssues((), ())
