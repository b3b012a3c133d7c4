"""Notes and posts made from changelogs: whole files against golden ones, and the rules that they keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from markdown_it.tree import SyntaxTreeNode

from relman.errors import ConfigError, UsageError
from relman.hookspecs import Renderer
from relman.model.changelog import Accounting, Changelog, Commit, Fix, Major, Section
from relman.model.diff import ChangeKind
from relman.render import FORMATS, NotesRenderer, Templates, render_title, standard_values
from relman.render.markdown import problems, sanitised
from relman.render.parsing import parse
from relman.render.tables import lines, undone
from relman.render.values import commit_groups
from tests import changelogs
from tests.changelogs import changelog, commit, group, row, variant
from tests.golden_files import check_golden

MADE: dict[str, Callable[[], Changelog]] = {
    "empty": changelogs.empty,
    "unchanged": changelogs.unchanged,
    "small": changelogs.small,
    "large": changelogs.large,
    "pathological": changelogs.pathological,
}
REVERT = 'Revert "a"'
BUILT_IN = Templates()
ENDINGS = {"markdown": "md", "classic": "classic.md", "html": "html", "text": "txt", "json": "json"}


def notes(made: Changelog, format: str = "markdown", **extra: object) -> str:
    return NotesRenderer(BUILT_IN, made, extra).notes(format)


@dataclass
class Read:
    """A table as a reader finds it: the heading above it, its head and its rows."""

    heading: str
    head: list[str]
    rows: list[list[str]]


def read_tables(markdown: str) -> list[Read]:
    """Every table of a text, by markdown-it."""
    found: list[Read] = []
    heading = ""
    for node in SyntaxTreeNode(parse(markdown)).walk():
        if node.type == "heading":
            heading = words(node)
        elif node.type == "table":
            head, *rest = [[words(cell) for cell in line.children] for part in node.children for line in part.children]
            found.append(Read(heading, head, rest))
    return found


def words(node: SyntaxTreeNode) -> str:
    return "".join(inner.content for inner in node.walk() if inner.type in ("text", "code_inline"))


# ------------------------------------------------------------------------------------------------------ golden


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", MADE)
def test_notes_are_as_reviewed(name: str, format: str) -> None:
    check_golden(f"{name}.{ENDINGS[format]}", notes(MADE[name](), format))


@pytest.mark.parametrize("template", ["webhook.json.j2", "post.md.j2"])
@pytest.mark.parametrize("name", ["empty", "small", "pathological"])
def test_announcements_are_as_reviewed(name: str, template: str) -> None:
    renderer = NotesRenderer(BUILT_IN, MADE[name]())

    text = renderer.render(template, id="0123456789abcdef", url="https://example.org/releases/1")

    check_golden(f"{name}.{template.removesuffix('.j2')}", text)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", MADE)
def test_notes_end_with_one_line_end_and_hold_no_gaps(name: str, format: str) -> None:
    text = notes(MADE[name](), format)

    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text
    assert not [line for line in text.split("\n") if line != line.rstrip()]


def test_the_same_changelog_gives_the_same_bytes() -> None:
    assert notes(changelogs.large()) == notes(changelogs.large())


# ------------------------------------------------------------------------------------------------------- notes


@pytest.mark.parametrize("name", MADE)
def test_every_table_has_rows_and_every_row_all_its_cells(name: str) -> None:
    for format in ("markdown", "classic"):
        for table in read_tables(notes(MADE[name](), format)):
            assert table.rows
            assert {len(line) for line in table.rows} == {len(table.head)}


@pytest.mark.parametrize("name", ["empty", "unchanged", "small", "large"])
def test_notes_are_balanced(name: str) -> None:
    assert problems(notes(MADE[name]())) == ()


def test_the_title_stands_first_and_once() -> None:
    text = notes(changelogs.small())

    assert text.startswith("# stable-20250608: Bluefin stable (F42, #0340d37)\n")
    assert text.count("F42") == 1


def test_every_package_of_every_group_is_named_in_the_notes() -> None:
    made = changelogs.large()

    text = NotesRenderer(BUILT_IN, made).notes()

    named = {word.strip(",") for line in text.splitlines() for word in line.replace("|", " ").split()}
    assert {p.name for g in made.groups for r in g.rows for p in r.packages} <= named


def test_packages_of_one_source_share_a_row_and_are_named_below() -> None:
    made = changelog(groups=(group("All images", [row(("mesa-a", "mesa-b"), "1-1", "2-1", source="mesa")]),))

    text = notes(made)

    assert "| 🔄 | **mesa** (2 packages) | 1-1 | 2-1 |\n" in text
    assert "\n- **mesa** 2-1: mesa-a, mesa-b\n" in text


def test_versions_are_shown_whole_with_epoch_dist_and_all_that_are_installed() -> None:
    made = changelog(
        groups=(group("All images", [row("kernel", ("1:6.1-1.fc41", "1:6.2-1.fc42"), "2:6.3~rc1-1.fc42")]),)
    )

    for format in ("markdown", "classic"):
        assert "| kernel | 1:6.1-1.fc41, 1:6.2-1.fc42 | 2:6.3~rc1-1.fc42 |" in notes(made, format)


def test_an_arch_is_named_only_where_one_name_has_several() -> None:
    rows = [
        row((("glibc", "i686"), ("glibc", "x86_64")), "1-1", "1-2", source="glibc"),
        row("bash", "1-1", "1-2", arch="i686"),
        row("zlib", "1-1", "1-2", arch="i686"),
        row("zlib", "1-1", "1-3", arch="x86_64"),
    ]

    assert [line.name for line in lines(group("x", rows))] == [
        "bash",
        "glibc.i686",
        "glibc.x86_64",
        "zlib.i686",
        "zlib.x86_64",
    ]


def test_downgrades_and_removals_are_pointed_out_and_too_many_are_counted() -> None:
    rows = [row(f"package{n:02}", "2-1", "1-1", kind=ChangeKind.DOWNGRADED) for n in range(33)]

    text = notes(changelog(groups=(group("All images", rows),)))

    assert "\n- ⏪ **package00**, All images: 2-1 ➡️ 1-1\n" in text
    assert "**package20**" not in text
    assert "\n- and 13 more, marked ⏪ or ❌ below\n" in text


def test_rebuilt_packages_are_folded_apart() -> None:
    rows = [row("a", "1-1.fc41", "1-1.fc42", kind=ChangeKind.REBUILT), row("b", "1-1", "2-1")]

    tables = read_tables(notes(changelog(groups=(group("All images", rows),))))

    assert [table.rows for table in tables if table.heading == "Packages"] == [
        [["🔄", "b", "1-1", "2-1"]],
        [["🔁", "a", "1-1.fc41", "1-1.fc42"]],
    ]


def test_majors_name_the_variants_only_where_they_differ() -> None:
    both, dx = ("bluefin", "bluefin-dx"), ("bluefin-dx",)
    made = changelog(
        variants=(variant("bluefin"), variant("bluefin-dx")),
        majors=(
            Major("Mesa", "mesa", ("1-1",), ("2-1",), both),
            Major("Kernel", "kernel", ("6-1",), ("6-1",), ("bluefin",)),
            Major("Kernel", "kernel", ("6-1",), ("7-1",), dx),
            Major("Docker", "docker", (), ("1-1",), dx, frozenset({"dx"})),
            Major("Incus", "incus", ("1-1",), (), dx, frozenset({"dx"})),
            Major("Never", "never", (), (), both),
        ),
    )

    assert read_tables(notes(made))[1].rows == [
        ["Mesa", "1-1 ➡️ 2-1"],
        ["Kernel (bluefin)", "6-1"],
        ["Kernel (bluefin-dx)", "6-1 ➡️ 7-1"],
        ["Docker (DX images)", "✨ 1-1"],
        ["Incus (DX images)", "❌ 1-1 ➡️ removed"],
        ["Never", "–"],
    ]


def test_a_package_is_counted_once_however_many_groups_have_it() -> None:
    same = row("bash", "1-1", "2-1")
    made = changelog(
        variants=(variant("a"), variant("b"), variant("c")),
        groups=(
            group("a", [same], ("a",)),
            group("b", [row("bash", "1-2", "2-1")], ("b",)),
            group("c", [same], ("c",)),
        ),
    )

    assert "1 package changed: 🔄 1 upgraded." in notes(made)
    assert "\n3 changed package rows over all images: 3 shown, 0 ignored.\n" in notes(made)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (changelog(variants=(variant("bluefin", follows=False),)), "There is nothing to compare it with."),
        (changelog(), "No package changed."),
        (changelog(ignored=3), "No package changed, apart from those that the configuration ignores."),
    ],
)
def test_no_changes_are_said_in_a_sentence(made: Changelog, sentence: str) -> None:
    text = notes(made)

    assert f". {sentence}\n" in text
    assert "## Packages" not in text


@pytest.mark.parametrize(
    ("security", "sentence"),
    [
        (None, "No source of these contents can tell which security fixes are in them."),
        ((), "The packages name no security fix."),
        ((Fix("CVE-1", ("a", "b"), "Mends it."),), "- **CVE-1** (a, b): Mends it."),
    ],
)
def test_unknown_fixes_are_not_no_fixes(security: tuple[Fix, ...] | None, sentence: str) -> None:
    assert f"\n## Security fixes\n\n{sentence}\n" in notes(changelog(security=security))


def test_sections_stand_on_both_sides_of_the_packages_by_rank_and_id() -> None:
    sections = tuple(Section(id, rank, f"Part {id}", f"text {id}") for id, rank in [("z", 49), ("b", 50), ("a", 50)])
    made = changelog(sections=sections, groups=(group("All images", [row("a", "1", "2")]),))

    for format in ("markdown", "classic"):
        headings = [words(node) for node in SyntaxTreeNode(parse(notes(made, format))).walk() if node.type == "heading"]
        wanted = [
            heading for heading in headings if heading in ("Part z", "Part a", "Part b", "Packages", "All Images")
        ]
        assert wanted == ["Part z", wanted[1], "Part a", "Part b"]
        assert wanted[1] in ("Packages", "All Images")


def test_a_section_cannot_swallow_what_comes_after_it() -> None:
    made = changelogs.pathological()

    assert [table.heading for table in read_tables(notes(made))].count("Packages") == 3
    assert "Security fixes" in [words(n) for n in SyntaxTreeNode(parse(notes(made))).walk() if n.type == "heading"]


# ----------------------------------------------------------------------------------------------------- commits


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

    assert list(tables.items())[1:] == [
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

    assert [line[1] for line in read_tables(notes(made))[1].rows] == ["one (only a)", "two", "three"]


# ----------------------------------------------------------------------------------------------------- classic


def expected_lines(made: Changelog) -> list[tuple[str, list[list[str]]]]:
    """What the classic tables have to say about each group, taken from the changelog by itself."""
    found = []
    for each in made.groups:
        arches: dict[str, set[str | None]] = {}
        for r in each.rows:
            for package in r.packages:
                arches.setdefault(package.name, set()).add(package.arch)
        rows = []
        for r in each.rows:
            said = ", ".join(filter(None, [r.arch_before, r.vendor_before and f"vendor {r.vendor_before}"]))
            before = ", ".join(r.before) + (f" ({said})" if said else "")
            for package in r.packages:
                name = f"{package.name}.{package.arch}" if len(arches[package.name]) > 1 else package.name
                if r.name_before:
                    rows += [["❌", r.name_before, before, ""], ["✨", name, "", ", ".join(r.after)]]
                else:
                    symbol = "✨" if not r.before else "❌" if not r.after else "🔄"
                    rows.append([symbol, name, before, ", ".join(r.after)])
        title = "All Images" if each.title == "All images" else each.title
        found.append((sanitised(title), sorted([sanitised(cell) for cell in line] for line in rows)))
    return found


@pytest.mark.parametrize("name", ["small", "large", "pathological"])
def test_a_parser_reads_the_same_packages_back_from_the_classic_tables(name: str) -> None:
    made = MADE[name]()

    tables = [table for table in read_tables(notes(made, "classic")) if table.head == ["", "Name", "Previous", "New"]]

    assert [(table.heading, sorted(table.rows)) for table in tables] == expected_lines(made)


@pytest.mark.parametrize("name", ["small", "large", "pathological"])
def test_a_page_that_splits_lines_at_pipes_finds_the_same_cells(name: str) -> None:
    text = notes(MADE[name](), "classic", authors=True)
    wanted = [len(table.head) for table in read_tables(text) for _ in range(len(table.rows) + 2)]

    found = [len(line[1:-1].split("|")) for line in text.splitlines() if line.startswith("|")]

    assert found == wanted


def test_classic_majors_and_commits_are_those_of_todays_notes() -> None:
    text = notes(changelogs.small(), "classic", authors=True)

    majors, dx, commits, *_ = read_tables(text)

    assert text.startswith(
        "This is an automatically generated changelog for release `stable-20250608`.\n\n"
        "From previous `stable` version `stable-20250525` there have been the following changes. "
        "**Every changed package is shown.**\n\n"
    )
    assert majors == Read(
        "Major packages",
        ["Name", "Version"],
        [["Kernel", "6.14.4-300.fc42 ➡️ 6.14.5-300.fc42"], ["Podman", "5:5.5.0-1.fc42"]],
    )
    assert dx == Read("Major DX packages", ["Name", "Version"], [["Docker", "28.1.1-1.fc42 ➡️ 28.2.2-1.fc42"]])
    assert (commits.heading, commits.head) == ("Commits", ["Hash", "Subject", "Author"])
    assert commits.rows[0] == [
        changelogs.sha("feat: Add `iwd` (#2616)")[:7],
        "feat: Add `iwd` (#2616)",
        "A. Maintainer",
    ]
    assert len(commits.rows) == 4


def test_classic_notes_of_nothing_say_so() -> None:
    assert "have been the following changes. **No package changed.**\n" in notes(changelog(), "classic")
    assert "There is no previous `stable` version to compare it with.\n" in notes(
        changelog(variants=(variant("bluefin", follows=False),)), "classic"
    )


def test_classic_notes_admit_what_the_configuration_ignores() -> None:
    assert "**Every changed package is shown, except 3 that the configuration ignores.**" in notes(
        changelog(ignored=3, groups=(group("All images", [row("a", "1", "2")]),)), "classic"
    )


# ---------------------------------------------------------------------------------------------------- the rest


def test_a_webhook_is_sent_valid_json_whatever_the_names() -> None:
    hostile = replace(changelogs.pathological(), project='"Blue"\\fin\n</script>', title="a\u2028b\x00")
    renderer = NotesRenderer(BUILT_IN, hostile)

    sent = json.loads(renderer.render("webhook.json.j2", url="https://example.org/1"))

    assert (sent["project"], sent["title"], sent["url"]) == (hostile.project, hostile.title, "https://example.org/1")
    assert sent["counts"]["packages"] == 13
    assert "id" not in sent


def test_the_page_is_whole_and_its_title_escaped() -> None:
    page = notes(changelogs.pathological(), "html")

    assert page.startswith("<!DOCTYPE html>\n")
    assert "<title>stable-20250608: &lt;b&gt;Bluefin&lt;/b&gt; | `stable` @everyone #</title>" in page
    assert "<script" not in page
    assert page.count("<details>") == page.count("</details>")


def test_json_notes_are_the_document_of_the_contract() -> None:
    document = json.loads(notes(changelogs.small(), "json"))

    assert (document["schema"], document["version"]) == ("relman.changelog/1", "stable-20250608")


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="there is no format `pdf` for notes") as caught:
        notes(changelogs.empty(), "pdf")

    assert caught.value.hint == "there are `markdown`, `classic`, `html`, `text`, `json`"


def test_notes_of_a_thousand_rows_stay_small_enough_to_render() -> None:
    rows = [row(f"package{n}", f"{n}-1", f"{n}-2") for n in range(5000)]

    assert notes(changelog(groups=(group("All images", rows),))).count("| 🔄 | package") == 5000


# --------------------------------------------------------------------------------------------------- templates


def project(folder: Path, **templates: str) -> Templates:
    """Templates of a project; `__` in a name stands for a dot."""
    for name, text in templates.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return Templates([folder])


def test_a_projects_template_comes_before_the_built_in_one(tmp_path: Path) -> None:
    templates = project(tmp_path, notes__md__j2="{{ title }}, the {{ stream }} one\n")

    assert NotesRenderer(templates, changelog()).notes() == (
        "stable-20250608: Bluefin stable (F42, #0340d37), the stable one\n"
    )
    assert NotesRenderer(templates, changelog()).notes("classic").startswith("This is an automatically")


def test_values_of_the_call_win_over_extra_ones_and_those_over_the_standard() -> None:
    renderer = NotesRenderer(BUILT_IN, changelog(), {"project": "extra", "color": "blue"})

    assert renderer.inline("{{ project }} {{ color }} {{ stream }}", color="red") == "extra red stable"


def test_all_standard_values_are_there_for_an_empty_changelog() -> None:
    brief = "project stream version previous title major revision variants majors groups commits listed security "
    brief += "sections sections_before sections_after keys_added keys_removed accounting notes repository_url changelog"

    assert set(brief.split()) <= set(standard_values(changelogs.empty()))


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("a\n{{ verison }}", "template `bad.j2`, line 2: `verison` is not defined", "did you mean `version`"),
        ("{{ changelog.titel }}", "line 1: `titel` is not known of `Changelog`", "did you mean `title`?"),
        ("{{ counts.nonsense }}", "`nonsense` is not known of `dict`", None),
        ("\n\n{% for x in variants %}", "template `bad.j2`, line 3: unexpected end of template", None),
        ("{{ title | shout }}", "line 1: no filter named 'shout'", None),
        ("{% include 'nots.md.j2' %}", "there is no template `nots.md.j2`", "did you mean `notes.md.j2` or"),
        ("\n{{ title + 1 }}", "template `bad.j2`, line 2: can only concatenate str", None),
        ("{{ 1 / 0 }}", "line 1: division by zero", None),
        ("{{ ''.__class__.__mro__ }}", "line 1: access to attribute '__class__' of 'str' object is unsafe", None),
        ("{{ commits.append(1) }}", "`append` is not known of `tuple`", None),
        ("{{ nothing | short }}", "`nothing` is not defined", None),
        ("{{ 'x' | short }}", "line 1: `x` is not a digest", None),
    ],
)
def test_a_faulty_template_is_named_with_its_line(tmp_path: Path, source: str, message: str, hint: str | None) -> None:
    renderer = NotesRenderer(project(tmp_path, bad__j2=source), changelog())

    with pytest.raises(ConfigError) as caught:
        renderer.render("bad.j2")

    assert message in caught.value.message
    assert hint is None or (caught.value.hint or "").startswith(hint)


def test_a_fault_in_an_included_template_is_named_where_it_is(tmp_path: Path) -> None:
    templates = project(tmp_path, outer__j2="\n\n{% include 'inner.j2' %}", inner__j2="\n{{ oops }}")

    with pytest.raises(ConfigError, match=r"template `inner\.j2`, line 2: `oops` is not defined"):
        templates.render("outer.j2", {})


def test_a_fault_in_a_text_template_is_named_by_its_line() -> None:
    with pytest.raises(ConfigError, match="template `<template>`, line 1: `x` is not defined"):
        Templates().inline("{{ x }}", {})
    with pytest.raises(ConfigError, match=r"template `\{\{ x`: unexpected end of template"):
        Templates().inline("{{ x", {})


def test_a_template_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no template `zzz`") as caught:
        Templates([tmp_path]).render("zzz", {})

    assert str(tmp_path) in (caught.value.hint or "")
    with pytest.raises(ConfigError, match=r"there is no template `\.\./secret`"):
        Templates([tmp_path]).render("../secret", {})


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ range(10 ** 9) }}",
        "{{ 'x' * 10 ** 10 }}",
        "{{ [0] * 10 ** 10 }}",
        "{{ 10 ** 10000 }}",
        "{{ 10 ** 10 ** 10 ** 10 ** 10 }}",
        "{{ 'x'.ljust(10 ** 10) }}",
        "{% include 'loop.j2' %}",
    ],
)
def test_a_template_without_end_is_stopped(tmp_path: Path, source: str) -> None:
    templates = project(tmp_path, loop__j2=source)

    with pytest.raises(ConfigError, match=r"`loop\.j2`|`<template>`"):
        templates.render("loop.j2", {})


def test_loops_still_know_their_length_and_their_end() -> None:
    source = "{% for a in x if a > 1 %}{{ loop.index }}/{{ loop.length }}{{ ', ' if not loop.last }}{% endfor %}"

    assert Templates().inline(source, {"x": [1, 2, 3]}) == "1/2, 2/2"


def test_filters_do_what_they_are_called() -> None:
    values = {
        "digest": changelogs.digest("a"),
        "when": datetime(2025, 6, 8, 12, tzinfo=UTC),
        "versions_": ("1-1", "2-1"),
        "bad": "<a|b> *c* @d\ud800",
    }

    assert Templates().inline(
        "{{ digest | short }} {{ when | date }} {{ '2025-06-08' | date('%d.%m.%Y') }} {{ versions_ | versions }} "
        "{{ bad | md }} {{ '1~2' | cell }} {{ 'x' | code }} {{ bad | summary }} {{ versions_ | tojson }} "
        "{{ none | url }}",
        values,
    ) == (
        "sha256:ca978112ca1b 2025-06-08 08.06.2025 1-1, 2-1 "
        "&lt;a&#124;b&gt; \\*c\\* @\u200bd\ufffd 1~2 `x` &lt;a|b&gt; *c* @\u200bd\ufffd "
        '["1-1", "2-1"] None'
    )


def test_pages_escape_by_themselves_and_json_in_them_is_harmless(tmp_path: Path) -> None:
    templates = project(tmp_path, a__html__j2="{{ x }} {{ x | tojson }} {{ '**b**' | html }}", b__md__j2="{{ x }}")

    assert templates.render("a.html.j2", {"x": "<b>'&"}) == (
        '&lt;b&gt;&#39;&amp; "\\u003cb\\u003e\\u0027\\u0026" <p><strong>b</strong></p>\n'
    )
    assert templates.render("b.md.j2", {"x": "<b>"}) == "<b>"


def test_halves_of_surrogates_never_reach_a_file() -> None:
    made = changelog(commits=(commit("fix: \udcff byte"),), title="t \udcff")

    for format in FORMATS[:4]:
        notes(made, format).encode()


def test_every_built_in_template_can_be_read() -> None:
    templates = Templates()

    assert {"notes.md.j2", "classic.md.j2", "notes.html.j2", "post.md.j2", "webhook.json.j2"} <= set(templates.names)
    for name in templates.names:
        templates.check(name)


# ------------------------------------------------------------------------------------------------------- title


def test_a_title_is_filled_in() -> None:
    source = "{{ version }}: {{ project }} {{ stream }} (F{{ major }}, #{{ revision[:7] }})"

    assert (
        render_title(
            Templates(),
            source,
            version="stable-20250608",
            project="Bluefin",
            stream="stable",
            major=42,
            revision="0340d37cdfd067a608c1e0ab5f883f2efdc00946",
        )
        == "stable-20250608: Bluefin stable (F42, #0340d37)"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ nme }}", "`nme` is not defined"),
        (" {# nothing #} ", "the title `{# nothing #}` comes out empty"),
        ("{{ name }}\nb", "the title `{{ name }} b` comes out with several lines, from `a b`"),
        ("{{ name", "unexpected end of template"),
    ],
)
def test_a_title_is_strict_and_one_line(source: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render_title(Templates(), source, name="a")

    assert message in caught.value.message


def test_accounting_is_the_last_line_and_says_what_is_hidden() -> None:
    made = changelog(accounting=Accounting(3, 2, 1, 12_345, 12_000, 345))

    assert notes(made).splitlines()[-1] == (
        "12,345 changed package rows over all images: 12,000 shown, 345 ignored. "
        "3 commits in the range: 2 listed, 1 left out."
    )


def test_a_commit_without_a_subject_still_has_its_row() -> None:
    nameless = Commit(sha="a" * 40, subject="", author="")

    assert "| [aaaaaaa](https://github.com/ublue-os/bluefin/commit/" in notes(changelog(commits=(nameless,)))


def test_the_renderer_is_what_plugins_are_promised() -> None:
    promised: Renderer = NotesRenderer(BUILT_IN, changelogs.empty())

    assert promised.inline("{{ project }}") == "Bluefin"
