"""compose, put together: which ranges of commits are read, what is said where they are missing, and the title."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from relman.errors import NotFound
from relman.hookspecs import CommitsContext
from relman.lifecycle import Lifecycle
from relman.model.changelog import Commit
from relman.model.release import Release
from relman.testing import MemoryRegistry
from relman.walk.compared import Compared
from relman.walk.comparing import pairs_of_release
from relman.walk.composing import Commits, compose_changelog, read_commits
from tests.walking import World

CONFIG = """\
[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[[variants]]
name = "os-new"

[streams.stable]
tags = ["stable"]
versions = ["stable-{major}.{date}", "stable-{date}"]

[changelog]
commits = { exclude = ["^chore"], required = REQUIRED }
highlights = "changes/"
known_issues = "known-issues/"
"""
OLD, NEW, OTHER = "1" * 40, "2" * 40, "3" * 40


def commit(sha: str, subject: str = "feat: x") -> Commit:
    return Commit(sha, subject, "Contributor One")


@dataclass
class History:
    """What a plugin answers, and what it was asked."""

    ranges: dict[tuple[str, str], tuple[Commit, ...]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, context: CommitsContext) -> tuple[Commit, ...]:
        self.asked.append((context.before, context.after))
        if (context.before, context.after) not in self.ranges:
            raise NotFound(f"commit `{context.before[:7]}` is not in `{context.checkout}`", hint="git fetch origin")
        return self.ranges[context.before, context.after]


Build = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> Build:
    def make(*, required: bool = True, **revisions: tuple[str | None, str | None]) -> World:
        found = World(tmp_path, MemoryRegistry())
        found.configure(CONFIG.replace("REQUIRED", str(required).lower()))
        for name in ("os", "os-dx"):
            before, after = revisions.get(name.replace("-", "_"), (OLD, NEW))
            found.push(name, "stable-20260601", day=date(2026, 6, 1), revision=before, v=name)
            found.push(name, "stable", "stable-44.20260705", day=date(2026, 7, 5), revision=after, v=name)
        found.push("os-new", "stable", "stable-44.20260705", day=date(2026, 7, 5), revision=NEW)
        return found

    return make


def compared(walk: Lifecycle) -> tuple[Release, tuple[Compared, ...]]:
    release = walk.resolve(walk.config.stream("stable"))
    return release, walk.inspect(pairs_of_release(release))


def read(world: World, history: History) -> Commits:
    with world.walk() as walk:
        return read_commits(compared(walk)[1], history, walk.config)


# -------------------------------------------------------------------------------------------------- commits


def test_a_range_that_several_variants_share_is_read_once(world: Build) -> None:
    history = History({(OLD, NEW): (commit("a" * 40), commit("b" * 40, "chore: y"))})

    found = read(world(), history)

    assert history.asked == [(OLD, NEW)]
    assert [(c.sha[0], c.listed, c.reason, c.variants) for c in found.ruled] == [
        ("a", True, None, ("os", "os-dx")),
        ("b", False, "excluded by `^chore`", ("os", "os-dx")),
    ]
    assert found.missing == ()


def test_variants_of_other_revisions_have_ranges_of_their_own(world: Build) -> None:
    both, own = commit("a" * 40), commit("b" * 40)
    history = History({(OLD, NEW): (both,), (OLD, OTHER): (own, both)})

    found = read(world(os_dx=(OLD, OTHER)), history)

    assert {c.sha[0]: c.variants for c in found.ruled} == {"a": ("os", "os-dx"), "b": ("os-dx",)}


def test_where_both_sides_are_of_one_revision_nothing_is_asked(world: Build) -> None:
    history = History()

    assert read(world(os=(NEW, NEW), os_dx=(NEW, NEW)), history).ruled == ()
    assert history.asked == []


@pytest.mark.parametrize(
    ("revisions", "why"),
    [
        ((None, NEW), "the earlier image of `os` does not say which commit it was built from"),
        ((OLD, None), "the later image of `os` does not say which commit it was built from"),
        ((OTHER, NEW), "commit `3333333` is not in"),
    ],
)
def test_commits_that_cannot_be_read_are_an_error_unless_they_are_not_required(
    revisions: tuple[str | None, str | None], why: str, world: Build
) -> None:
    history = History({(OLD, NEW): (commit("a" * 40),)})

    with pytest.raises(NotFound, match=why) as caught:
        read(world(os=revisions), history)
    found = read(world(os=revisions, required=False), history)

    assert caught.value.hint
    (said,) = found.missing
    assert why in said
    assert [c.variants for c in found.ruled] == [("os-dx",)]


# -------------------------------------------------------------------------------------------- the changelog


def test_a_changelog_names_stream_versions_and_title_and_says_what_it_lacks(world: Build) -> None:
    made = world(required=False, os=(OLD, OTHER))
    history = History({(OLD, NEW): (commit("a" * 40),)})
    with made.walk() as walk:
        release, both = compared(walk)
        commits = read_commits(both, history, walk.config)
        changelog = compose_changelog(both, release, commits, (), walk.config, walk.instruments.templates)

    assert (changelog.project, changelog.stream, changelog.version, changelog.previous, changelog.major) == (
        "Composed OS",
        "stable",
        "stable-44.20260705",
        "stable-20260601",
        44,
    )
    assert changelog.title == "stable-44.20260705: Composed OS stable (F44, #3333333)"
    assert [(v.name, v.revision, v.previous_digest is None) for v in changelog.variants] == [
        ("os", OTHER, False),
        ("os-dx", NEW, False),
        ("os-new", NEW, True),
    ]
    text = " ".join(changelog.notes)
    assert "os-new: new in this release, there is nothing to compare with." in text
    assert "Commits are missing here: commit `1111111` is not in the checkout. Highlights and known issues" in text
    assert str(made.folder) not in text, "where the checkout lies is for nobody who reads notes"


@pytest.mark.parametrize(
    ("kernel", "major"),
    [("6.14.3-300.fc42.x86_64", 42), ("6.12.0-55.el10.x86_64", 10), ("6.14.3", None), ("", None)],
)
def test_without_a_dated_tag_that_says_it_the_kernel_tells_the_systems_release(
    kernel: str, major: int | None, tmp_path: Path
) -> None:
    world = World(tmp_path, MemoryRegistry())
    text = CONFIG.replace("REQUIRED", "false").replace('"stable-{major}.{date}", ', "")
    world.configure('[[variants]]\nname = "os"\n\n' + text.partition('[[variants]]\nname = "os-new"\n\n')[2])
    world.push("os", "stable", "stable-20260705", day=date(2026, 7, 5), ostree__linux=kernel)

    with world.walk() as walk:
        release, both = compared(walk)
        commits = read_commits(both, History(), walk.config)
        assert compose_changelog(both, release, commits, (), walk.config, walk.instruments.templates).major == major
