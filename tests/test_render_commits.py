"""Commits in the notes: grouped, linked, folded with what takes them back, and none lost."""

from __future__ import annotations

from relman.render.commits import bare_subject, commit_groups, undone
from relman.render.forge import Forge
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
            commit("ci: faster", type="ci"),
        )
    )

    tables = {table.heading: [line[1] for line in table.rows] for table in read_tables(notes(made))}

    assert list(tables.items())[:-1] == [
        ("Breaking changes", ["feat!: new"]),
        ("Features", ["feat: one"]),
        ("Fixes", ["fix: two"]),
        ("Build and maintenance", ["ci: faster"]),
        ("Other", ["Update things"]),
    ]
    assert "\n3 commits left out: `^chore` 2, `^Merge` 1.\n" in notes(made)


def test_the_rule_that_left_a_commit_out_is_shown_as_code_inside_its_sentence() -> None:
    made = changelog(commits=(commit("feat: one"), commit("chore: a", reason="excluded by `^chore`")))

    assert "\n1 commit left out: excluded by `^chore` 1.\n" in notes(made)


def test_an_issue_that_the_subject_closes_at_its_end_is_named_once() -> None:
    made = [
        commit("feat: a, closes #7", closes=(7,)),
        commit("fix: b (fixes #8)", closes=(8,)),
        commit("closes #9", closes=(9,)),
        commit("fix: c, closes #1", closes=()),
    ]

    assert [bare_subject(each) for each in made] == ["feat: a", "fix: b", "closes #9", "fix: c, closes #1"]


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


def test_what_bots_wrote_stands_apart_unless_it_breaks_something() -> None:
    made = changelog(
        commits=(
            commit("feat: one", type="feat"),
            commit("chore: update a", type="chore", author="renovate[bot]", bot=True),
            commit("chore!: drop b", type="chore", author="renovate[bot]", bot=True, breaking=True),
        )
    )

    tables = [[line[1] for line in table.rows] for table in read_tables(notes(made))[:3]]

    assert tables == [["chore!: drop b"], ["feat: one"], ["chore: update a"]]
    assert "<summary>1 commit by bots</summary>" in notes(made)


def test_co_authors_are_credited_beside_the_author() -> None:
    made = changelog(commits=(commit("a", author="Ann", co_authors=("Bob", "C|D")),))

    assert read_tables(notes(made))[0].rows[0][2] == "Ann with Bob, C|D"


def test_pull_requests_and_closed_issues_are_linked_once() -> None:
    one = commit("fix: it (#12)", pull_request=12, closes=(7, 12, 9))
    page = "https://github.com/ublue-os/bluefin/issues"

    assert f"| fix: it ([#12]({page}/12)), closes [#7]({page}/7), [#9]({page}/9) |" in notes(changelog(commits=(one,)))
    assert "| fix: it (#12), closes #7, #9 |" in notes(changelog(commits=(one,), repository_url=None))


def test_those_who_are_here_for_the_first_time_are_welcomed_the_first_of_them_first() -> None:
    late = commit("fix: b (#3)", pull_request=3, newcomers=("Bob", "*Eve*"))
    early = commit("chore: a", reason="^chore", newcomers=("Ann",))
    made = changelog(commits=(late, commit("c", newcomers=None), early), repository_url=None)

    assert notes(made).partition("## New contributors\n\n")[2].split("\n\n")[:2] == [
        "Welcome, and thank you:",
        f"- **Ann**: chore: a (`{early.short}`)\n"
        f"- **Bob**: fix: b (#3) (`{late.short}`)\n"
        f"- **\\*Eve\\***: fix: b (#3) (`{late.short}`)",
    ]
    assert "New contributors" not in notes(changelog(commits=(commit("c", newcomers=None),)))


def test_addresses_are_those_of_the_forge() -> None:
    github, gitlab = Forge.at("https://github.com/a/b/"), Forge.at("https://gitlab.gnome.org/a/b")
    sha = "ab" * 20

    assert [github.commit(sha), github.pull_request(1), github.issue(2)] == [
        f"https://github.com/a/b/commit/{sha}",
        "https://github.com/a/b/issues/1",
        "https://github.com/a/b/issues/2",
    ]
    assert [gitlab.commit(sha), gitlab.pull_request(1), gitlab.issue(2)] == [
        f"https://gitlab.gnome.org/a/b/-/commit/{sha}",
        "https://gitlab.gnome.org/a/b/-/merge_requests/1",
        "https://gitlab.gnome.org/a/b/-/issues/2",
    ]
    assert Forge.at("javascript:alert(1)") == Forge.at(None) == Forge(None)
    assert github.commit("../../evil") is None
