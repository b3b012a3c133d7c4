"""Notes and posts made from changelogs: whole files against golden ones, and the rules that they keep."""

from __future__ import annotations

import json
import re

import pytest
from markdown_it.tree import SyntaxTreeNode
from msgspec.structs import replace

from relman.errors import UsageError
from relman.hookspecs import Renderer
from relman.model.changelog import Accounting, Changelog, Commit, Fix, Major, Section
from relman.model.diff import ChangeKind
from relman.render import FORMATS, NotesRenderer
from relman.render.markdown import problems
from relman.render.parsing import parse
from relman.render.tables import lines
from tests import changelogs
from tests.changelogs import changelog, group, row, variant
from tests.golden_files import check_golden
from tests.notes_reading import BUILT_IN, MADE, notes, read_tables, words

ENDINGS = {"markdown": "md", "classic": "classic.md", "html": "html", "text": "txt", "bbcode": "bbcode", "json": "json"}


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

    named = {word.strip(",") for line in text.splitlines() for word in re.sub(r"[|\[\]()]", " ", line).split()}
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


def test_an_arch_is_named_where_one_name_has_several_and_where_it_is_not_the_systems_own() -> None:
    rows = [
        row((("glibc", "i686"), ("glibc", "x86_64")), "1-1", "1-2", source="glibc"),
        row("bash", "1-1", "1-2", arch="i686"),
        row("zlib", "1-1", "1-2", arch="i686"),
        row("zlib", "1-1", "1-3", arch="x86_64"),
    ]

    assert [line.name for line in lines(group("x", rows))] == [
        "bash.i686",
        "glibc.i686",
        "glibc.x86_64",
        "zlib.i686",
        "zlib.x86_64",
    ]


def test_downgrades_and_removals_are_pointed_out_and_too_many_are_counted() -> None:
    back = [row(f"package{n:02}", "2-1", "1-1", kind=ChangeKind.DOWNGRADED) for n in range(21)]
    gone = [row(f"gone{n:02}", "2-1", "") for n in range(15)]
    groups = (group("All images", back + gone, ("a", "b")), group("b", [row("x", "1", "")], ("b",)))

    text = notes(changelog(variants=(variant("a"), variant("b")), groups=groups))

    assert "\n- ⏪ **package00**: 2-1 ➡️ 1-1\n" in text
    assert "**package08**" not in text
    assert "\n- ⏪ and 13 more, marked ⏪ below\n- ❌ Removed: **gone00**, **gone01**, " in text
    assert "**gone11** and 3 more, marked ❌ below\n- ❌ Removed from b: **x**\n" in text


def test_rebuilt_packages_are_folded_apart() -> None:
    rows = [row("a", "1-1.fc41", "1-1.fc42", kind=ChangeKind.REBUILT), row("b", "1-1", "2-1")]

    text = notes(changelog(groups=(group("All images", rows),)))

    assert [table.rows for table in read_tables(text) if table.heading == "Packages"] == [[["🔄", "b", "1-1", "2-1"]]]
    assert "<summary>🔁 1 package built again from the same version</summary>\n\na\n\n</details>" in text


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

    assert read_tables(notes(made))[0].rows == [
        ["Mesa", "1-1 ➡️ 2-1"],
        ["Kernel (bluefin-dx)", "6-1 ➡️ 7-1"],
        ["Docker (DX images)", "✨ 1-1"],
        ["Incus (DX images)", "❌ 1-1 ➡️ removed"],
    ]
    assert "\nUnchanged: **Kernel** 6-1 (bluefin).\n" in notes(made)
    assert "Never" not in notes(made)


def test_many_variants_are_counted_where_naming_them_would_fill_the_screen() -> None:
    names = tuple(f"os{n}" for n in range(9))
    made = changelog(
        variants=tuple(map(variant, names)),
        majors=(Major("Mesa", "mesa", ("1",), ("2",), names[:7]), Major("Mesa", "mesa", ("2",), ("3",), names[7:])),
        groups=(group(", ".join(names[:7]), [row("mesa", "1", "2")], names[:7]),),
    )

    text = notes(made)

    assert "| **Mesa** (7 of 9 images) | 1 ➡️ 2 |\n| **Mesa** (os7, os8) | 2 ➡️ 3 |" in text
    assert "<summary>7 of 9 images: 1 package (🔄 1 upgraded)</summary>\n\nOnly os0, os1, os2," in text


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

    assert f"\n\n{sentence}\n" in text
    assert "## Packages" not in text


@pytest.mark.parametrize(
    ("security", "said"),
    [
        (None, "upgraded. No source of these contents can tell which security fixes are in them.\n"),
        ((), "upgraded. The packages name no security fix.\n"),
        ((Fix("CVE-1", ("a", "b"), "Mends it."),), "\n## Security fixes\n\n- **CVE-1** (a, b): Mends it.\n"),
    ],
)
def test_unknown_fixes_are_not_no_fixes(security: tuple[Fix, ...] | None, said: str) -> None:
    text = notes(changelog(security=security, groups=(group("All images", [row("a", "1", "2")]),)))

    assert said in text
    assert ("## Security fixes" in text) == bool(security)


def test_many_fixes_are_folded_after_those_of_major_packages() -> None:
    fixes = tuple(Fix(f"CVE-2025-{n}", (f"p{n}",), "Mends it.") for n in range(30))
    made = changelog(
        security=(*fixes, Fix("CVE-2025-99", (*(f"kernel-{n}" for n in range(7)), "kernel"), "Mends it.")),
        majors=(Major("Kernel", "kernel", ("1",), ("2",), ("bluefin",)),),
    )

    text = notes(made)

    assert (
        "## Security fixes\n\n- **CVE-2025-99** (kernel-0, kernel-1, kernel-2, kernel-3, kernel-4 and 3 more): " in text
    )
    assert (
        text.index("- **CVE-2025-3**")
        < text.index("<summary>26 more security fixes</summary>")
        < text.index("2025-4**")
    )


def test_the_first_screen_says_how_much_is_downloaded_where_that_is_known() -> None:
    one, two = variant("a", download=412_345_678), variant("b", download=4_200_000)

    assert " Updating downloads 412 MB.\n" in notes(changelog(variants=(one,)))
    assert " Updating downloads 4.2 MB to 412 MB, depending on the image.\n" in notes(changelog(variants=(one, two)))
    assert "download" not in notes(changelog(variants=(variant("a"), variant("b", download=0))))


def test_what_readers_want_first_stands_first_and_the_accounting_ends_it() -> None:
    sections = tuple(
        Section(id, rank, id.title(), "text")
        for id, rank in (("note", 0), ("highlights", 10), ("known-issues", 20), ("size", 60))
    )
    text = notes(replace(changelogs.small(), sections=sections))

    headings = [
        words(node) for node in SyntaxTreeNode(parse(text)).walk() if node.type == "heading" and node.tag == "h2"
    ]
    assert headings == [
        "Note",
        "Major packages",
        "Security fixes",
        "Highlights",
        "Known-Issues",
        "Downgraded or removed",
        "Packages",
        "Trusted keys",
        "Commits",
        "New contributors",
        "Size",
        "Good to know",
        "Images",
    ]


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


# ---------------------------------------------------------------------------------------------------- the rest


def test_a_webhook_is_sent_valid_json_whatever_the_names() -> None:
    hostile = replace(changelogs.pathological(), project='"Blue"\\fin\n</script>', title="a\u2028b\x00")
    renderer = NotesRenderer(BUILT_IN, hostile)

    sent = json.loads(renderer.render("webhook.json.j2", url="https://example.org/1"))

    assert (sent["project"], sent["title"], sent["url"]) == (hostile.project, hostile.title, "https://example.org/1")
    assert sent["counts"]["packages"] == 15
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

    assert caught.value.hint == "there are `markdown`, `classic`, `html`, `text`, `bbcode`, `json`"


def test_notes_of_a_thousand_rows_stay_small_enough_to_render() -> None:
    rows = [row(f"package{n}", f"{n}-1", f"{n}-2") for n in range(5000)]

    assert notes(changelog(groups=(group("All images", rows),))).count("| 🔄 | package") == 5000


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
