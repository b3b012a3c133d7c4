"""Commits in the notes: grouped, linked, folded with what takes them back, and none lost."""

from __future__ import annotations

from relman.render.tables import undone
from relman.render.values import commit_groups
from tests import changelogs
from tests.changelogs import changelog, commit, variant
from tests.notes_reading import notes, read_tables

REVERT = 'Revert "a"'


def test_commits_are_under_their_kind_and_what_was_left_out_is_counted() -> None:
    made = changelog(
        commits=(
            commit("feat!: new", type="feat", breaking=True),
            commit("feat: one", type="feat"),
            commit("Update things"),
            commit("fix: two", type="fix"),
            commit("chore: a", reason="^chore"),
            commit("chore: b", reason="^chore"),
            commit("Merge c", reason="^Merge "),
        )
    )

    tables = {table.heading: [line[1] for line in table.rows] for table in read_tables(notes(made))}

    assert list(tables.items())[:-1] == [
        ("Breaking changes", ["feat!: new"]),
        ("Features", ["feat: one"]),
        ("Fixes", ["fix: two"]),
        ("Other", ["Update things"]),
    ]
    assert "\n3 commits left out: `^chore` 2, `^Merge` 1.\n" in notes(made)


def test_a_commit_and_its_revert_are_folded_together() -> None:
    made = changelog(commits=(commit(REVERT), commit("b"), commit("a", reverted_by=REVERT)))

    commits = [table.rows for table in read_tables(notes(made)) if table.heading == "Commits"]

    assert [[line[1:] for line in rows] for rows in commits] == [
        [["b", "A. Maintainer"]],
        [["a", f"{changelogs.sha(REVERT)[:7]} {REVERT}"]],
    ]


def test_a_revert_that_was_reverted_takes_nothing_back() -> None:
    first = commit("a", reverted_by="revert a")
    second = commit("revert a", reverted_by="revert the revert")
    third = commit("revert the revert")

    assert undone((third, second, first)) == ((second, third),)
    assert undone((first, second, third)) == ((second, third),)


def test_a_revert_outside_the_range_and_a_circle_of_reverts_do_no_harm() -> None:
    outside = commit("a", reverted_by="elsewhere")
    circle = (commit("x", reverted_by="y"), commit("y", reverted_by="x"))

    assert undone((outside,)) == ()
    assert len(undone(circle)) == 1


def test_every_listed_commit_is_shown_exactly_once_or_with_its_revert() -> None:
    made = changelogs.large()
    listed = [c for c in made.commits if c.listed]

    grouped = commit_groups(listed)

    assert sorted(c.sha for those in grouped.values() for c in those) == sorted(c.sha for c in listed)


def test_commits_link_to_the_forge_only_where_there_is_one() -> None:
    one = commit("a")

    assert f"| [{one.short}](https://github.com/ublue-os/bluefin/commit/{one.sha}) | a |" in notes(
        changelog(commits=(one,))
    )
    assert f"| `{one.short}` | a |" in notes(changelog(commits=(one,), repository_url=None))
    assert f"| `{one.short}` | a |" in notes(changelog(commits=(one,), repository_url="javascript:alert(1)"))


def test_a_commit_of_some_variants_says_which() -> None:
    made = changelog(
        variants=(variant("a"), variant("b")),
        commits=(commit("one", variants=("a",)), commit("two", variants=("a", "b")), commit("three")),
    )

    assert [line[1] for line in read_tables(notes(made))[0].rows] == ["one (only a)", "two", "three"]
