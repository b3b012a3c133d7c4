"""The classic format as other projects and other months write it, and as people edit it by hand (composed)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.errors import Malformed
from relman.imports.classic import read_notes
from relman.imports.html import read_html
from relman.imports.markdown import cells_of, read_markdown
from relman.imports.notes import CommitRow, KeptText, MajorRow, Notes, PackageRow, PublishedGroup
from tests.published import notes

SHA = "0340d37cdfd067a608c1e0ab5f883f2efdc00946"
HEADER = """\
This is an automatically generated changelog for release `stable-20250608`.

From previous `stable` version `stable-20250525` there have been the following changes. \
**One package per new version shown.**
"""
GROUP = "### All Images\n| | Name | Previous | New |\n| --- | --- | --- | --- |\n"
COMMITS = "### Commits\n| Hash | Subject |\n| --- | --- |\n"
MAJORS = "### Major packages\n| Name | Version |\n| --- | --- |\n"


def packages(text: str) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    return [(g.title, row.name, row.before, row.after) for g in notes(text).groups for row in g.rows]


def refused(text: str) -> list[tuple[int, str]]:
    return [(each.line, each.reason) for each in notes(text).not_read]


# ------------------------------------------------------------------------------------------------- other projects


def test_bluefin_lts_with_its_hwe_kernel_is_read() -> None:
    read = notes(
        """\
# lts.20250808: Bluefin LTS (c10s, #a1b2c3d)

This is an automatically generated changelog for release `lts.20250808`.

From previous `lts` version `lts.20250729` there have been the following changes. \
**One package per new version shown.**

### Major packages
| Name | Version |
| --- | --- |
| **Kernel** | 6.12.0-113.el10 ➡️ 6.12.0-116.el10 |
| **HWE Kernel** | 6.15.9-201 |

### Major GDX packages
| Name | Version |
| --- | --- |
| **CUDA** | N/A |

### All Images
| | Name | Previous | New |
| --- | --- | --- | --- |
| 🔄 | avahi | 0.9~rc2-1.el10 | 0.9~rc2-2.el10_1 |
"""
    )

    assert (read.title, read.version, read.stream) == (
        "lts.20250808: Bluefin LTS (c10s, #a1b2c3d)",
        "lts.20250808",
        "lts",
    )
    assert read.previous == "lts.20250729"
    assert read.majors == (
        MajorRow(10, "", "Kernel", ("6.12.0-113.el10",), ("6.12.0-116.el10",)),
        MajorRow(11, "", "HWE Kernel", ("6.15.9-201",), ("6.15.9-201",)),
    )
    assert read.groups == (
        PublishedGroup("All Images", (PackageRow(21, "avahi", ("0.9~rc2-1.el10",), ("0.9~rc2-2.el10_1",)),)),
    )
    assert [(each.line, each.reason) for each in read.not_read] == [(16, "`N/A` is not a version")]


def test_the_newer_family_with_a_section_for_each_symbol_is_read() -> None:
    read = notes(
        f"""\
# 🦕 stable-20260217: Stable Release

A word by hand.

This is an automatically generated changelog for release `stable-20260217`.

From previous version `stable-20260210` there have been the following changes. \
**Only packages that actually changed are shown.**

## 📦 bluefin Packages

### ✨ Added
| Package | Version |
| --- | --- |
| iwd | 3.6-1 |

### ❌ Removed
| Package | Version |
| --- | --- |
| joe | 4.6-1 |

### 🔄 Changed
| Package | Version |
| --- | --- |
| mesa | 25.0-1 ➡️ 25.1-1 |

## 📦 bluefin-dx Packages

### 🔄 Changed
| Package | Version |
| --- | --- |
| code | 1.1 ➡️ 1.2 |

## 📜 Commits
| Hash | Subject | Author |
| --- | --- | --- |
| 🔹 **[0340d37](https://github.com/ublue-os/bluefin/commit/{SHA})** | feat: a thing | A. Maintainer |
"""
    )

    assert (read.version, read.stream, read.previous) == ("stable-20260217", None, "stable-20260210")
    assert read.remark == "Only packages that actually changed are shown."
    assert [(g.title, [(r.name, r.before, r.after) for r in g.rows]) for g in read.groups] == [
        (
            "📦 bluefin Packages",
            [("iwd", (), ("3.6-1",)), ("joe", ("4.6-1",), ()), ("mesa", ("25.0-1",), ("25.1-1",))],
        ),
        ("📦 bluefin-dx Packages", [("code", ("1.1",), ("1.2",))]),
    ]
    assert read.commits == (
        CommitRow(36, SHA, "feat: a thing", "A. Maintainer", "https://github.com/ublue-os/bluefin"),
    )
    assert read.texts == (KeptText("Introduction", "A word by hand.", early=True),)
    assert read.not_read == ()


def test_aurora_with_linked_titles_an_empty_group_and_a_table_of_digests_is_read() -> None:
    read = notes(
        HEADER
        + """
### Major packages
| Name | Version |
| --- | --- |
| **[HHD](https://github.com/hhd-dev/hhd)** | 1.0-1 |

### [Aurora Images](https://getaurora.dev/)
| | Name | Previous | New |
| --- | --- | --- | --- |

### [Developer Experience Images](https://docs.getaurora.dev/dx)
| | Name | Previous | New |
| --- | --- | --- | --- |
| ✨ | code | | 1.1-1 |

### Images

| Variant | Pull reference |
| --- | --- |
| `aurora` | `ghcr.io/ublue-os/aurora@sha256:00` |
"""
    )

    assert [row.label for row in read.majors] == ["HHD"]
    assert [group.title for group in read.groups] == ["Developer Experience Images"]
    assert [text.title for text in read.texts] == ["Images"]
    assert (read.tally.rows, read.tally.rows_read, read.tally.rows_kept) == (3, 2, 1)


def test_both_sentences_of_the_header_may_stand_in_one_paragraph() -> None:
    read = notes(HEADER.replace("\n\n", "\n") + "\n" + GROUP + "| ✨ | iwd | | 3.6-1 |\n")

    assert (read.version, read.stream, read.previous, read.remark, read.texts) == (
        "stable-20250608",
        "stable",
        "stable-20250525",
        "One package per new version shown.",
        (),
    )


def test_a_link_or_a_stroke_around_a_whole_name_or_version_is_no_part_of_it() -> None:
    rows = "| ✨ | [iwd](https://src.example/iwd) | | [3](https://src.example/3) |\n| 🔄 | ~~bar~~ | 1 | **2** |\n"

    assert packages(GROUP + rows) == [("All Images", "iwd", (), ("3",)), ("All Images", "bar", ("1",), ("2",))]


def test_a_dash_where_the_mark_says_that_nothing_is_there_is_nothing() -> None:
    rows = "| ✨ | iwd | - | 3.6-1 |\n| ❌ | wpa | 2.11-1 | N/A |\n| 🔄 | bar | – | 2 |\n"

    assert packages(GROUP + rows) == [
        ("All Images", "iwd", (), ("3.6-1",)),
        ("All Images", "wpa", ("2.11-1",), ()),
    ]
    assert [reason for _, reason in refused(GROUP + rows)] == ["`–` is not a version"]


# ------------------------------------------------------------------------------------------------ by hand, and odd


def test_line_ends_and_pipes_of_other_editors_are_the_same_table() -> None:
    cut = HEADER + "\n### All Images\r\n |Name|Previous|New\n---|---|---|---\n🔄 | mesa | 1.0 | 1.1\n"

    assert packages((HEADER + "\n" + GROUP + "| 🔄 | mesa | 1.0 | 1.1 |\n").replace("\n", "\r\n")) == [
        ("All Images", "mesa", ("1.0",), ("1.1",))
    ]
    # Three columns of four: GFM sees no table here, and relman does not guess one.
    assert packages(cut) == []
    assert refused(cut) == [(n, "it looks like a row, and stands in no table") for n in (6, 7, 8)]


def test_a_table_without_pipes_at_its_ends_is_read() -> None:
    text = "### Commits\nHash | Subject\n--- | ---\n**[0340d37](https://x.org/r/commit/" + SHA + ")** | fix: a"

    assert [(row.sha, row.subject, row.base) for row in notes(text).commits] == [(SHA, "fix: a", "https://x.org/r")]


@pytest.mark.parametrize(
    ("cell", "subject"),
    [
        ("feat: Add `iwd` (#2616)", "feat: Add `iwd` (#2616)"),
        ("fix: a | b", "fix: a | b"),
        ("fix: a \\| b", "fix: a | b"),
        ("fix: a &#124; b &amp; c", "fix: a | b & c"),
        ("fix(_x_): *all* of <b>it</b> ~~now~~", "fix(_x_): *all* of <b>it</b> ~~now~~"),
        ("docs: [a link](https://x.org) and <https://y.org>", "docs: [a link](https://x.org) and https://y.org"),
        ("feat: snake_case_name, 2 * 3, a~b", "feat: snake_case_name, 2 * 3, a~b"),
        ("feat: \\*escaped\\* @\u200bsomeone", "feat: *escaped* @someone"),
        ("feat: \u2068שלום\u2069", "feat: שלום"),
    ],
)
def test_a_subject_is_what_was_committed_whatever_markup_is_in_it(cell: str, subject: str) -> None:
    text = f"{COMMITS}| **[0340d37](https://github.com/a/b/commit/{SHA})** | {cell} |\n"
    with_author = text.replace("| Subject |", "| Subject | Author |").replace("--- |\n|", "--- | --- |\n|")[:-1]

    assert [row.subject for row in notes(text).commits] == [subject]
    assert [(row.subject, row.author) for row in notes(with_author + " A. B. |\n").commits] == [(subject, "A. B.")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("| 🔄 | devpod | {pkgrel:devpod} | 1 |", "`{pkgrel:devpod}` is a placeholder, not a version"),
        ("| 🔄 | ramalama | N/A | 1 |", "`N/A` is not a version"),
        ("| 🔄 | a | 1 | two words |", "`two words` is not a version: it has spaces in it"),
        ("| 🔄 | a | | 1 |", "it is marked `🔄`, and has only a version after"),
        ("| ✨ | a | 1 | 2 |", "it is marked `✨`, and has a version before and one after"),
        ("| ❓ | a | 1 | 2 |", "it is marked `❓`, and has a version before and one after"),
        ("| ✨ | a | | |", "it has no version"),
        ("| ✨ | | | 1 |", "it names no package"),
        ("| 🔄 | a | 1 | 2 | 3 |", "it has 5 cells, and its table 4 columns"),
        ("Too close below.", "a sentence that stands too close below a table: an empty line is missing"),
        (f"| ✨ | {'a' * 5000} | | 1 |", "a cell is longer than 4,096 characters"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_its_line_and_the_others_are_read(row: str, reason: str) -> None:
    text = f"{HEADER}\n{GROUP}| 🔄 | before | 1 | 2 |\n{row}\n| 🔄 | after | 1 | 2 |\n"

    assert [name for _, name, _, _ in packages(text)] == ["before", "after"]
    assert refused(text) == [(9, reason)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("| **Devpod** | {pkgrel:devpod} |", "`{pkgrel:devpod}` is a placeholder, not a version"),
        ("| **Devpod** | |", "it has no version"),
        ("| | 1.0 |", "it names no package"),
        ("| **Kernel** | 1 ➡️ |", "a version is missing beside the arrow"),
        ("| **Kernel** |  ➡️ 2 |", "a version is missing beside the arrow"),
    ],
)
def test_a_major_that_cannot_be_read_is_named(row: str, reason: str) -> None:
    assert [each.reason for each in notes(f"{MAJORS}{row}\n").not_read] == [reason]


def test_relmans_own_additions_to_the_classic_tables_are_read() -> None:
    text = (
        HEADER + "\n" + MAJORS + "| **Kernel (os-dx)** | 1-1, 2-1 ➡️ 2-1, 3-1 |\n| **Old** | 1-1 ➡️ removed |\n\n"
        f"{GROUP}| 🔄 | a | 1-1 (noarch, vendor Fedora Project) | 1-2 |\n"
    )

    read = notes(text)

    assert [(row.label, row.before, row.after) for row in read.majors] == [
        ("Kernel (os-dx)", ("1-1", "2-1"), ("2-1", "3-1")),
        ("Old", ("1-1",), ()),
    ]
    assert read.groups[0].rows[0].remark == "noarch, vendor Fedora Project"


def test_a_table_that_an_empty_line_cuts_in_two_goes_on() -> None:
    text = f"{GROUP}| 🔄 | a | 1 | 2 |\n\n| 🔄 | b | 1 | 2 |\n| ❌ | c | 1 | |\n\nWords after it.\n"

    read = notes(text)

    assert [row.name for row in read.groups[0].rows] == ["a", "b", "c"]
    assert (read.tally.rows, read.tally.rows_read) == (3, 3)
    assert read.texts == (KeptText("All Images", "Words after it.", early=False),)


def test_rows_that_stand_in_no_table_are_named() -> None:
    text = f"{HEADER}\nMind this:\n| 🔄 | a | 1 | 2 |\n"

    assert refused(text) == [(6, "it looks like a row, and stands in no table")]
    assert notes(text).texts == (KeptText("Introduction", "Mind this:", early=True),)


def test_text_around_the_tables_is_kept_whole_under_its_title() -> None:
    text = f"""\
Dear readers,

this one is big.

{HEADER}
### Known issues
- one
- two

#### With a title inside
```bash
# no heading
```

{GROUP}| 🔄 | a | 1 | 2 |

### How to rebase
Type this:

---

Done.

[docs]: https://docs.example.org
"""

    assert notes(text).texts == (
        KeptText("Introduction", "Dear readers,\n\nthis one is big.", early=True),
        KeptText("Known issues", "- one\n- two\n\n#### With a title inside\n\n```bash\n# no heading\n```", early=True),
        KeptText("How to rebase", "Type this:\n\n---\n\nDone.\n\n[docs]: https://docs.example.org", early=False),
    )


def test_a_header_with_more_in_it_is_read_and_kept() -> None:
    text = "This is an automatically generated changelog for `x` release `v1`, built off [`y`](https://y.org).\n"

    assert notes(text).texts == (KeptText("Introduction", text.strip(), early=True),)


def test_a_heading_with_nothing_below_it_is_named() -> None:
    assert refused(f"{HEADER}\n### Nothing\n\n### Commits\n") == [
        (5, "a heading with nothing below it"),
        (7, "a heading with nothing below it"),
    ]


def test_a_link_that_is_not_the_commits_leaves_the_short_id() -> None:
    rows = [
        f"| [0340d37](https://github.com/a/b/commit/{'f' * 40}) | fix: other |",
        "| 0340d37 | fix: none |",
        "| [0340d37](https://github.com/a/b/pull/5) | fix: pull |",
    ]

    found = notes(COMMITS + "\n".join(rows)).commits

    assert [(row.sha, row.base) for row in found] == [("0340d37", None)] * 3


def test_other_notes_are_none_of_the_classic_format() -> None:
    assert not notes("# v3.7.0\n\nWe *made* things.\n\n| Feature | State |\n| --- | --- |\n| a | b |\n").found


# ---------------------------------------------------------------------------------------------------------- as HTML

PAGE = f"""<p>This is an automatically generated changelog for release <code>stable-20250608</code>.</p>
<p>From previous <code>stable</code> version <code>stable-20250525</code> there have been the following changes. \
<strong>One package per new version shown.</strong></p>
<h3>Major packages</h3>
<markdown-accessiblity-table><table>
<thead>
<tr>
<th>Name</th>
<th>Version</th>
</tr>
</thead>
<tbody>
<tr>
<td><strong>Kernel</strong></td>
<td>6.14.3-300 <g-emoji class="g-emoji" alias="arrow_right">➡️</g-emoji> 6.14.5-300</td>
</tr>
</tbody>
</table></markdown-accessiblity-table>
<h3>Commits</h3>
<table role="table">
<thead><tr><th>Hash</th><th>Subject</th></tr></thead>
<tbody>
<tr>
<td><strong><a class="commit-link" href="https://github.com/ublue-os/bluefin/commit/{SHA}"><tt>0340d37</tt></a></strong></td>
<td>feat: Add <code class="notranslate">iwd</code> &amp; more (<a class="issue-link" href="https://github.com/ublue-os/bluefin/pull/2616">#2616</a>)</td>
</tr>
</tbody>
</table>
<h3><a href="https://docs.projectbluefin.io/bluefin-dx">Dev Experience Images</a></h3>
<table><tr><th></th><th>Name</th><th>Previous</th><th>New</th></tr>
<tr><td>✨</td><td>iwd<td></td><td>3.6-1</td></tr>
<tr><td>❌</td><td>joe</td><td>4.6-1</td><td></td></tr></table>
<h3>How to rebase</h3>
<p>Read the <a href="https://docs.example.org/">manual</a>, <em>please</em>:</p>
<ul>
<li>one</li>
<li>two</li>
</ul>
<pre><code># For this Stream
sudo bootc switch</code></pre>
"""


def test_the_html_of_a_forge_is_read() -> None:
    read = read_notes(read_html(PAGE))

    assert (read.version, read.stream, read.previous) == ("stable-20250608", "stable", "stable-20250525")
    assert [(r.label, r.before, r.after) for r in read.majors] == [("Kernel", ("6.14.3-300",), ("6.14.5-300",))]
    assert [(r.sha, r.subject, r.base) for r in read.commits] == [
        (SHA, "feat: Add `iwd` & more (#2616)", "https://github.com/ublue-os/bluefin")
    ]
    assert [(g.title, [(r.name, r.before, r.after) for r in g.rows]) for g in read.groups] == [
        ("Dev Experience Images", [("iwd", (), ("3.6-1",)), ("joe", ("4.6-1",), ())])
    ]
    assert read.texts == (
        KeptText(
            "How to rebase",
            "Read the [manual](https://docs.example.org/), *please*:\n\n- one\n- two\n\n"
            "```\n# For this Stream\nsudo bootc switch\n```",
            early=False,
        ),
    )
    assert read.not_read == ()


def test_html_that_nests_without_end_is_refused() -> None:
    with pytest.raises(Malformed, match="nests too deep"):
        read_html("<div>" * 100_000)


# -------------------------------------------------------------------------------------------------------- whatever

PIECES = st.lists(
    st.sampled_from(
        [
            *("| ✨ | a | | 1 |", "| 🔄 | a | 1 | 2 |", "| --- | --- | --- | --- |", "| | Name | Previous | New |"),
            *("### All Images", "### Commits", "| Hash | Subject |", "| --- | --- |", f"| {SHA[:7]} | a | b |"),
            *("| **Kernel** | 1 ➡️ 2 |", "| Name | Version |", "text", "", "", "---", "===", "> quoted", "- item"),
            *("    code", "```", "<!-- note", "-->", "<details>", "[a]: https://b.org", "### ✨ Added", "# x", "1. a"),
            *(HEADER, "\\", "`", "\t", "\0", "\r", "|", "||", "&#124;", "<table><tr><td>", "</table>", "<h3>", "</p>"),
        ]
    )
    | st.text(max_size=12),
    max_size=30,
)


@given(PIECES)
def test_whatever_the_text_every_line_and_row_has_its_fate(pieces: list[str]) -> None:
    text = "\n".join(pieces)

    read: Notes = read_notes(read_markdown(text))  # the tallies refuse what does not add up
    page = read_notes(read_html(text))

    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert read.tally.units == sum(1 for line in lines if line.strip())
    assert all(1 <= each.line <= len(lines) for each in (*read.not_read, *page.not_read))


def test_a_pipe_with_a_backslash_before_it_splits_no_cell() -> None:
    assert cells_of(r"| a \| b | \\| c |  |") == [" a | b ", r" \| c ", "  "]


@given(st.text(alphabet="|\\a `", max_size=20))
def test_cells_joined_again_are_the_line(line: str) -> None:
    cells = cells_of(line)

    assert "".join(cells).replace("\\", "").replace("|", "").replace(" ", "") == "".join(c for c in line if c in "a`")


def test_numbered_steps_of_html_keep_their_numbers() -> None:
    steps = (
        "<h3>How to</h3><p>Then:</p><ol><li>one<ul><li>aside</li></ul></li><li><p>two</p></li></ol><ul><li>x</li></ul>"
    )

    read = read_notes(read_html(steps))

    assert [text.markdown for text in read.texts] == ["Then:\n\n1. one\n- aside\n2. two\n\n- x"]
