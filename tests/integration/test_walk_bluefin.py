"""The composed Bluefin-like set through the commands, on a real registry and on layouts: right to the row.

What is expected comes from the generator's steps (`tests.bluefin`), never from comparing two lists.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from relman.model.diff import ChangeKind
from relman.registry import Registries
from tests.bluefin import ALL, DX, NVIDIA, TRAITS, VARIANTS, Composed, FoldedRow, as_json, compose
from tests.bluefin_commits import History, Made, make_history
from tests.bluefin_images import FORMATS, Published, publish
from tests.integration.driver import relman

CONFIGURATION = """\
[project]
name = "Bluefin"
repository = "https://github.com/ublue-os/bluefin"
checkout = {checkout}
[registry]
prefix = "{prefix}"
{variants}
[[groups]]
title = "Dev Experience Images"
traits = ["dx"]
[[groups]]
title = "Nvidia Images"
traits = ["nvidia"]
[[majors]]
label = "Kernel"
package = "kernel"
[[majors]]
label = "Mesa"
package = "mesa-filesystem"
[[majors]]
label = "GDM"
package = "gdm"
[[majors]]
label = "Docker"
package = "docker-ce"
traits = ["dx"]
[streams.stable]
tags = ["stable"]
versions = ["stable-{{date}}[.{{point}}]", "stable-{{major}}.{{date}}[.{{point}}]"]
[changelog]
commits = {{ exclude = ["^chore", "^Merge "] }}
[ledger]
path = "releases"
"""
FROM = ("--from", "stable-20260609")
TITLES = {ALL: "All images", DX: "Dev Experience Images", NVIDIA: "Nvidia Images"}
SYMBOLS = {
    ChangeKind.ADDED: "✨",
    ChangeKind.REMOVED: "❌",
    ChangeKind.UPGRADED: "🔄",
    ChangeKind.DOWNGRADED: "⏪",
    ChangeKind.REBUILT: "🔁",
    ChangeKind.CHANGED: "🔀",
}


@dataclass(frozen=True)
class Set:
    """The set in one place, with what relman printed of it since the oldest build."""

    folder: Path
    composed: Composed
    history: History
    published: Published

    def relman(self, *arguments: str) -> str:
        return relman(self.folder, *arguments, SOURCE_DATE_EPOCH="1782216000").stdout

    def notes(self, format_: str) -> str:
        return self.relman("changelog", "--stream", "stable", *FROM, "--format", format_)


@pytest.fixture(scope="module")
def composed() -> Composed:
    return compose()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return make_history(tmp_path_factory.mktemp("bluefin") / "source")


def make(folder: Path, composed: Composed, history: History, prefix: str, formats: Mapping[str, str] = FORMATS) -> Set:
    with Registries(folder) as writer:
        by_tag = not prefix.startswith("oci:")  # docker-registry has no other way
        published = publish(composed, history, writer, prefix, formats=formats, by_fallback_tag=by_tag)
    variants = "".join(
        f'[[variants]]\nname = "{variant}"\ntraits = {json.dumps(TRAITS[variant])}\n' for variant in formats
    )
    text = CONFIGURATION.format(checkout=json.dumps(str(history.folder)), prefix=prefix, variants=variants)
    (folder / "relman.toml").write_text(text)
    return Set(folder, composed, history, published)


@pytest.fixture(scope="module")
def layouts(composed: Composed, history: History, tmp_path_factory: pytest.TempPathFactory) -> Set:
    return make(tmp_path_factory.mktemp("layouts"), composed, history, "oci:images")


@pytest.fixture(scope="module")
def served(docker_registry: str, composed: Composed, history: History, tmp_path_factory: pytest.TempPathFactory) -> Set:
    """On docker-registry, which has no referrers API: lists are found by the fallback tag."""
    return make(tmp_path_factory.mktemp("served"), composed, history, f"{docker_registry}/bluefin-walk")


# -------------------------------------------------------------------------------------------------------- diff


def check_diffs(found: Any, place: Set, before: int, after: int) -> None:
    composed, published, history = place.composed, place.published, place.history
    added, removed = composed.keys(before, after)
    assert [diff["variant"] for diff in found["diffs"]] == list(VARIANTS)
    for diff in found["diffs"]:
        variant = diff["variant"]
        changes = composed.changes(variant, before, after)
        assert diff["changes"] == [as_json(change) for change in changes]
        assert diff["summary"] == {kind.value: [c.kind for c in changes].count(kind) for kind in ChangeKind}
        assert diff["keys"] == {"added": list(added), "removed": list(removed)}
        assert (diff["exact"], diff["notes"]) == (True, [])
        for side, build in (("before", before), ("after", after)):
            assert {key: diff[side][key] for key in ("digest", "platform", "revision", "packages")} == {
                "digest": published.digests[variant, build],
                "platform": "linux/amd64",
                "revision": history.revisions[build],
                "packages": len(composed.installed(variant, build)),
            }


@pytest.mark.parametrize("where", ["layouts", "served"])
@pytest.mark.parametrize(("arguments", "before"), [((), 1), (FROM, 0)], ids=["by the rule", "from the oldest"])
def test_the_diff_of_a_stream_is_right_to_the_row(
    request: pytest.FixtureRequest, where: str, arguments: tuple[str, ...], before: int
) -> None:
    place: Set = request.getfixturevalue(where)

    found = json.loads(place.relman("diff", "--stream", "stable", *arguments, "--format", "json"))

    assert found["schema"] == "relman.diffs/1"
    check_diffs(found, place, before, 2)


def test_the_label_alone_gives_what_it_can_know_and_says_that_it_is_not_exact(
    composed: Composed, history: History, tmp_path: Path
) -> None:
    place = make(tmp_path, composed, history, "oci:images", dict.fromkeys(VARIANTS, "label"))

    found = json.loads(place.relman("diff", "--stream", "stable", *FROM, "--format", "json"))

    for diff in found["diffs"]:
        variant = diff["variant"]
        changes = composed.changes(variant, 0, 2)
        knowable = {
            (c.name, c.kind.value, c.before, c.after)
            for c in changes
            if len(c.before) < 2 and len(c.after) < 2 and not c.arch_before and ":" not in "".join(c.before + c.after)
            if c.name != "openssl-libs"  # one architecture of two is gone: without architectures nothing is
        }
        shown = {(c["name"], c["kind"], tuple(c["before"]), tuple(c["after"])) for c in diff["changes"]}
        assert knowable <= shown
        assert {name for name, *_ in shown} <= {change.name for change in changes}
        assert diff["exact"] is False
        assert diff["notes"]


# -------------------------------------------------------------------------------------------------------- json


def folded(row: dict[str, Any]) -> tuple[object, ...]:
    packages = frozenset((package["name"], package["arch"]) for package in row["packages"])
    return (row["source"], row["kind"], row["part"], tuple(row["before"]), tuple(row["after"]), packages)


def truth_of(row: FoldedRow) -> tuple[object, ...]:
    part = row.part.value if row.part else None
    return (row.source, row.kind.value, part, row.before, row.after, row.packages)


def title(variants: frozenset[str]) -> str:
    return TITLES.get(variants) or ", ".join(variant for variant in VARIANTS if variant in variants)


@dataclass(frozen=True)
class TrueMajor:
    label: str
    package: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    variants: tuple[str, ...]


def true_majors(composed: Composed) -> list[TrueMajor]:
    """From the steps where it changed, else from what the first build has."""
    found: list[TrueMajor] = []
    rules = (
        ("Kernel", "kernel", ALL),
        ("Mesa", "mesa-filesystem", ALL),
        ("GDM", "gdm", ALL),
        ("Docker", "docker-ce", DX),
    )
    for label, package, where in rules:
        rows: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
        for variant in (v for v in VARIANTS if v in where):
            steps = [
                s for s in composed.steps(0, 2) if (s.name, s.arch) == (package, "x86_64") and variant in s.variants
            ]
            first = tuple(p.version for p in composed.installed(variant, 0) if (p.name, p.arch) == (package, "x86_64"))
            rows.setdefault((steps[0].before, steps[-1].after) if steps else (first, first), []).append(variant)
        found += [TrueMajor(label, package, *step, tuple(names)) for step, names in rows.items()]
    return found


def excluded(commit: Made) -> str | None:
    return next((rule for rule in ("^chore", "^Merge ") if re.search(rule, commit.line.subject)), None)


@pytest.mark.parametrize("where", ["layouts", "served"])
def test_the_changelog_as_json_is_right_to_the_row(request: pytest.FixtureRequest, where: str) -> None:
    place: Set = request.getfixturevalue(where)
    composed, history = place.composed, place.history

    found = json.loads(place.notes("json"))

    groups = composed.groups(0, 2)
    assert {frozenset(g["variants"]): {folded(row) for row in g["changes"]} for g in found["groups"]} == {
        variants: {truth_of(row) for row in rows} for variants, rows in groups.items()
    }
    assert {g["title"] for g in found["groups"]} == {title(variants) for variants in groups}
    assert all(g["platforms"] == ["linux/amd64"] for g in found["groups"])
    assert sum(len(g["changes"]) for g in found["groups"]) == sum(map(len, groups.values()))
    assert [
        TrueMajor(m["label"], m["package"], tuple(m["before"]), tuple(m["after"]), tuple(m["variants"]))
        for m in found["majors"]
    ] == true_majors(composed)
    assert [
        (c["sha"], c["subject"], c["author"], c["reverted_by"], c["listed"], c["variants"]) for c in found["commits"]
    ] == [
        (c.sha, c.line.subject, c.line.author, c.reverted_by, excluded(c) is None, list(VARIANTS))
        for c in history.commits(0, 2)
    ]
    for commit, made in zip(found["commits"], history.commits(0, 2), strict=True):
        rule = excluded(made)
        assert (rule in commit["reason"]) if rule else commit["reason"] is None
        if not made.line.reverts:
            assert (commit["type"], commit["scope"], commit["breaking"]) == (
                made.line.type,
                made.line.scope,
                made.line.breaking,
            )
    out = sum(excluded(commit) is not None for commit in history.commits(0, 2))
    total = len(history.commits(0, 2))
    changed = composed.changed(0, 2)
    assert found["accounting"] == {
        "commits": {"in_range": total, "listed": total - out, "excluded": out},
        "packages": {"changed": changed, "shown": changed, "ignored": 0},
    }
    added, removed = composed.keys(0, 2)
    assert found["keys"] == {"added": list(added), "removed": list(removed)}
    assert [(v["name"], v["digest"], v["previous_digest"], v["exact"]) for v in found["variants"]] == [
        (variant, place.published.digests[variant, 2], place.published.digests[variant, 0], True)
        for variant in VARIANTS
    ]
    assert (found["version"], found["previous"]) == ("stable-20260623", "stable-20260609")


def test_both_places_give_the_same_changelog(layouts: Set, served: Set) -> None:
    folders, server = json.loads(layouts.notes("json")), json.loads(served.notes("json"))
    here = [section["id"] for section in folders["sections"]]

    assert [section["id"] for section in server["sections"]] == [*here, "get"]  # only a server's images can be pulled
    server["sections"] = [section for section in server["sections"] if section["id"] != "get"]
    assert folders == server


def test_what_is_ignored_is_counted(layouts: Set, tmp_path: Path) -> None:
    file = tmp_path / "relman.toml"
    text = (layouts.folder / "relman.toml").read_text().replace("oci:images", f"oci:{layouts.folder}/images")
    file.write_text(text + '[packages]\nignore = ["kernel*", "mesa-*"]\n')
    gone = sum(
        len(step.variants)
        for step in layouts.composed.steps(0, 2)
        if step.kind and step.name.startswith(("kernel", "mesa-"))
    )

    found = json.loads(relman(tmp_path, "changelog", "--stream", "stable", *FROM, "--format", "json").stdout)

    changed = layouts.composed.changed(0, 2)
    assert found["accounting"]["packages"] == {"changed": changed, "shown": changed - gone, "ignored": gone}
    names = {p["name"] for g in found["groups"] for row in g["changes"] for p in row["packages"]}
    assert [name for name in names if name.startswith(("kernel", "mesa-"))] == []


# ------------------------------------------------------------------------------------------- markdown, classic


@dataclass(frozen=True)
class Piece:
    """A heading, an HTML block, a paragraph or list item, or a table, as a reader's program finds it in Markdown."""

    kind: str
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


def pieces(markdown: str) -> Iterator[Piece]:
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    rows: list[tuple[str, ...]] = []
    cells: list[str] = []
    kind = ""
    for token in tokens:
        if token.type == "table_open":
            rows, kind = [], "table"
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close":
            rows.append(tuple(cells))
        elif token.type == "table_close":
            yield Piece("table", rows=tuple(rows[1:]))
            kind = ""
        elif token.type == "heading_open":
            kind = token.tag
        elif token.type == "html_block":
            yield Piece("html", token.content)
        elif token.type == "inline":
            if kind == "table":
                cells.append(plain(token))
            else:
                yield Piece(kind or "text", plain(token))
                kind = ""


def plain(token: Token) -> str:
    """What is read: the words of text and code, whatever stands around them."""
    return "".join(
        child.content if child.type in ("text", "code_inline", "html_inline") else "\n" if "break" in child.type else ""
        for child in token.children or ()
    ).strip()


def labels(rows: Iterable[FoldedRow]) -> dict[tuple[str, str], str]:
    """How packages are called within a group: with the arch where one name stands for several, or it is 32-bit."""
    found = [package for row in rows for package in row.packages]
    arches = Counter(name for name, _ in found)
    return {(name, arch): f"{name}.{arch}" if arches[name] > 1 or arch == "i686" else name for name, arch in found}


def remark(composed: Composed, row: FoldedRow) -> str:
    steps = [s for s in composed.steps(0, 2) if (s.name, s.arch) in row.packages and s.after == row.after]
    before = ", ".join(row.before)
    return f"{before} ({steps[0].arch_before})" if steps[0].arch_before else before


def test_the_markdown_tables_are_right_to_the_row(layouts: Set) -> None:
    found: dict[str, list[tuple[str, ...]]] = {}
    names: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    rebuilt: dict[str, list[str]] = {}
    where, inside, again = "", False, False
    for piece in pieces(layouts.notes("markdown")):
        if piece.kind == "h2":
            inside = piece.text == "Packages"
        elif inside and again and piece.kind == "text":
            rebuilt[where], again = sorted(piece.text.split(", ")), False
        elif inside and piece.kind == "html" and (summary := re.search(r"<summary>(.*?)</summary>", piece.text)):
            head, colon, rest = html.unescape(summary[1]).rpartition(": ")
            again = "built again" in summary[1]
            if colon:
                where = head
                counts[where] = int(rest.split()[0].replace(",", ""))
        elif inside and piece.kind == "table":
            found.setdefault(where, []).extend(piece.rows)
        elif inside and piece.kind == "text" and ": " in piece.text:
            names.setdefault(where, []).append(piece.text)

    for variants, rows in layouts.composed.groups(0, 2).items():
        called = labels(rows)
        expected = Counter(
            (
                SYMBOLS[row.kind],
                called[next(iter(row.packages))]
                if len(row.packages) == 1
                else f"{row.source} ({len(row.packages)} packages)",
                remark(layouts.composed, row),
                ", ".join(row.after),
            )
            for row in rows
            if row.kind is not ChangeKind.REBUILT
        )
        assert Counter(found.pop(title(variants))) == expected
        assert rebuilt.pop(title(variants), []) == sorted(
            called[package] for row in rows if row.kind is ChangeKind.REBUILT for package in row.packages
        )
        assert counts.pop(title(variants)) == sum(len(row.packages) for row in rows)
        lists = Counter(
            f"{row.source} {', '.join(row.after or row.before)}: {', '.join(sorted(called[p] for p in row.packages))}"
            for row in rows
            if len(row.packages) > 1 and row.kind is not ChangeKind.REBUILT
        )
        assert Counter(sorted_names(text) for text in names.get(title(variants), [])) == lists
    assert found == {}
    assert rebuilt == {}
    assert counts == {}


def sorted_names(text: str) -> str:
    head, _, names = text.partition(": ")
    return f"{head}: {', '.join(sorted(names.split(', ')))}"


def test_the_classic_tables_are_right_to_the_row(layouts: Set) -> None:
    tables: dict[str, tuple[tuple[str, ...], ...]] = {}
    heading = ""
    for piece in pieces(layouts.notes("classic")):
        if piece.kind == "h3":
            heading = piece.text
        elif piece.kind == "table":
            tables[heading] = piece.rows

    for variants, rows in layouts.composed.groups(0, 2).items():
        called = labels(rows)
        expected = Counter(
            (
                "✨" if not row.before else "❌" if not row.after else "🔄",
                called[package],
                remark(layouts.composed, row),
                ", ".join(row.after),
            )
            for row in rows
            for package in row.packages
        )
        name = "All Images" if variants == ALL else title(variants)
        assert Counter(tables.pop(name)) == expected
    commits = tables.pop("Commits")
    listed = [commit for commit in layouts.history.commits(0, 2) if excluded(commit) is None]
    assert [row[0] for row in commits] == [commit.sha[:7] for commit in listed]
    assert [len(row) for row in commits] == [2] * len(listed)
    majors = {row[0]: row[1] for row in (*tables.pop("Major packages"), *tables.pop("Major DX packages"))}
    tables.pop("Size", None)  # a section, not a group of packages
    assert tables == {}
    several = Counter(major.label for major in true_majors(layouts.composed))
    assert majors == {  # label and version
        f"{m.label} ({', '.join(m.variants)})" if several[m.label] > 1 else m.label: ", ".join(m.after)
        if m.before == m.after
        else f"{', '.join(m.before)} ➡️ {', '.join(m.after)}"
        for m in true_majors(layouts.composed)
    }


PACKAGE_PAGES = ("https://src.fedoraproject.org/rpms/", "https://bodhi.fedoraproject.org/updates/?builds=")
"""Where the packages of Fedora are made and discussed."""


@pytest.mark.parametrize("format_", ["markdown", "classic"])
def test_subjects_stay_harmless_wherever_they_are_printed(layouts: Set, format_: str) -> None:
    text = layouts.notes(format_)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]

    links = [str(child.attrs["href"]) for child in inline if child.type == "link_open"]
    project = "https://github.com/ublue-os/bluefin"
    ours = (f"{project}/commit/", f"{project}/issues/", *PACKAGE_PAGES)
    assert [link for link in links if not link.startswith(ours)] == []
    assert [child for child in inline if child.type in ("image", "html_inline")] == []
    blocks = "".join(token.content for token in tokens if token.type == "html_block")
    assert set(re.findall(r"</?\s*([a-z]+)", blocks)) <= {"details", "summary"}
    outside_code = "".join(child.content for child in inline if child.type == "text")
    assert re.findall(r"(?<![\w`])@[A-Za-z]", outside_code) == []
    assert "\u202e" not in text


@pytest.mark.parametrize("format_", ["text", "html"])
def test_every_changed_package_is_in_the_other_formats_too(layouts: Set, format_: str) -> None:
    text = html.unescape(layouts.notes(format_))

    names = {name for rows in layouts.composed.groups(0, 2).values() for row in rows for name, _ in row.packages}
    assert [name for name in names if name not in text] == []


def test_two_images_of_the_registry_are_compared_without_a_configuration(served: Set, tmp_path: Path) -> None:
    variant = "bluefin-dx-nvidia-open"
    repository = str(served.published.repository(variant))
    one, two = (f"{repository}@{served.published.digests[variant, build]}" for build in (0, 1))

    found = json.loads(relman(tmp_path, "diff", f"docker://{one}", two, "--format", "json").stdout)

    assert found["changes"] == [as_json(change) for change in served.composed.changes(variant, 0, 1)]
    assert found["schema"] == "relman.diff/1"


def test_a_list_in_a_file_is_compared_with_an_image(served: Set, tmp_path: Path) -> None:
    from tests import bluefin_sboms as sboms

    variant = "bluefin"
    packages, keys = served.composed.installed(variant, 0), served.composed.trusted[0]
    (tmp_path / "before.spdx.json").write_bytes(sboms.spdx(packages, keys, 0))
    image = f"{served.published.repository(variant)}:stable-20260616"

    found = json.loads(relman(tmp_path, "diff", "sbom:before.spdx.json", image, "--format", "json").stdout)

    assert found["changes"] == [as_json(change) for change in served.composed.changes(variant, 0, 1)]


def test_the_order_of_commits_is_that_of_git_log(layouts: Set) -> None:
    found = json.loads(layouts.notes("json"))
    revisions = layouts.history.revisions
    argv = ["git", "-C", str(layouts.history.folder), "log", "--format=%H", f"{revisions[0]}..{revisions[2]}"]

    log = subprocess.run(argv, capture_output=True, check=True, text=True).stdout.split()

    assert [commit["sha"] for commit in found["commits"]] == log
