"""A changelog to try templates with: made up, with something of everything that templates may ask for."""

from __future__ import annotations

from relman.model.changelog import (
    Accounting,
    Changelog,
    Commit,
    Fix,
    Group,
    Major,
    PackageName,
    Row,
    Section,
    VariantSummary,
)
from relman.model.diff import ChangeKind, Part
from relman.model.oci import LINUX_AMD64, Digest


def sample(project: str, stream: str, variants: tuple[str, ...]) -> Changelog:
    """A release of ``project`` that never was."""
    rows = (
        Row(ChangeKind.ADDED, None, "rpm", "one", (PackageName("one", "x86_64"),), (), ("1.0-1.fc44",)),
        Row(ChangeKind.REMOVED, None, "rpm", None, (PackageName("two", "noarch"),), ("2.0-1.fc44",), ()),
        _step(ChangeKind.UPGRADED, Part.VERSION, "3.0-1.fc44", "3.1-1.fc44", "three", "three-libs"),
        _step(ChangeKind.DOWNGRADED, Part.RELEASE, "4.0-2.fc44", "4.0-1.fc44", "four"),
        _step(ChangeKind.REBUILT, Part.DIST, "5.0-1.fc43", "5.0-1.fc44", "five"),
    )
    shown = sum(len(row.packages) for row in rows) * len(variants)
    revert, fix = "b" * 40, "c" * 40
    commits = (
        Commit("a" * 40, "feat!: something new (#12)", "Somebody", type="feat", breaking=True, pull_request=12),
        Commit(revert, 'Revert "fix: something"', "Somebody", newcomers=("Somebody",)),
        Commit(fix, "fix: something", "Somebody", type="fix", reverted_by=revert, co_authors=("Somebody else",)),
        Commit("d" * 40, "chore: tidy up", "a bot", type="chore", bot=True),
        Commit("e" * 40, "chore: more of it", "Somebody", listed=False, reason="excluded by `^chore`"),
    )
    return Changelog(
        project=project,
        stream=stream,
        version="sample-20260705",
        previous="sample-20260621",
        title=f"sample-20260705: {project} {stream}",
        variants=tuple(
            VariantSummary(name, LINUX_AMD64, Digest.of(name.encode()), Digest.of(b"before"), "a" * 40, True, 2000)
            for name in variants
        ),
        majors=(Major("Three", "three", ("3.0-1.fc44",), ("3.1-1.fc44",), variants),),
        groups=(Group("All images", variants, (LINUX_AMD64,), rows),),
        commits=commits,
        security=(Fix("CVE-2026-1234", ("three",), "Fixes an overrun."),),
        sections=(Section("highlights", 10, "Highlights", "Something to know."),),
        keys_added=("b99058cd-00000000",),
        keys_removed=(),
        accounting=Accounting(5, 4, 1, shown, shown, 0),
        notes=("This release is made up.",),
        repository_url="https://example.org/project",
        major=44,
    )


def _step(kind: ChangeKind, part: Part, before: str, after: str, *names: str) -> Row:
    packages = tuple(PackageName(name, "x86_64") for name in names)
    return Row(kind, part, "rpm", names[0], packages, (before,), (after,))
