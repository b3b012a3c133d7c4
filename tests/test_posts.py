"""Messages as channels read them: nothing from outside becomes markup or a ping, and lengths are the services' own."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.errors import ConfigError, UsageError
from relman.mentions import JOINER, quiet
from relman.model.changelog import Major
from relman.model.gates import Override
from relman.model.oci import Digest
from relman.render import NotesRenderer, Templates
from relman.render.escaping import escape, sanitised
from relman.render.measures import MEASURES, clusters, graphemes, mastodon, shortened, telegram
from relman.render.posts import POST_FORMATS, written
from relman.render.sample import sample

PAGE = "https://github.com/composed/os/releases/tag/sample-20260705"
CASES = Path(__file__).parent / "data" / "unicode" / "GraphemeBreakTest.txt"
HOSTILE = [
    *("@everyone", "@here", "<@123>", "<@&1>", "<!channel>", "@u@example.social", "&#64;all", ":tada:", "<t:1:R>"),
    *("**", "__", "~~", "||", "`", "```", "*", "_", "~", "|", "\\", "# ", "> ", "- ", "1. ", "\n", " "),
    *("[a](https://evil.example)", "<b>", "</b>", "<a href='tg://user?id=1'>", "&", "&lt;"),
    *("ä", "שלום", "e\u0301", "\U0001f469\u200d\U0001f4bb", "\U0001f1e9\U0001f1ea", "\u202e", "\u0928\u093f"),
]
"""Markup, pings, emoji of several characters, marks, and text from right to left."""
hostile = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(HOSTILE),
    ),
    max_size=12,
).map("".join)


def renderer(title: str = "A title", **changed: object) -> NotesRenderer:
    made = sample("Composed OS", "stable", ("os", "os-dx"))
    return NotesRenderer(Templates(), replace(made, title=title, **changed))


# -------------------------------------------------------------------------------------------------- formats

MARKDOWN = """\
# One *two*

#### Deep

A **bold** and *soft* and ~~gone~~ `code` [link](https://example.org/a_(b)?x=1&y=2 "t") <https://example.org/@os>

- first
  second line
- outer
  - inner

3. three
4. four

> said
> so

```
x < y & `z`
```

| A | B |
| - | - |
| 1 | 2 |

---

<details><summary>More</summary>

![picture](https://example.org/p.png) and [none](mailto:a@b.example)

</details>
"""
EXPECTED = {
    "discord": """\
# One *two*

**Deep**

A **bold** and *soft* and ~~gone~~ `code` [link](https://example.org/a_%28b%29?x=1&y=2) https://example.org/@os

- first
  second line
- outer
  - inner

3. three
4. four

> said
> so

```
x < y & `z`
```

- 1 · 2

More

[picture](https://example.org/p.png) and none""",
    "slack": """\
*One two*

*Deep*

A *bold* and _soft_ and ~gone~ `code` <https://example.org/a_%28b%29?x=1&amp;y=2|link> <https://example.org/@os>

• first
  second line
• outer
  • inner

3. three
4. four

> said
> so

```
x &lt; y &amp; `z`
```

• 1 · 2

More

<https://example.org/p.png|picture> and none""",
    "telegram": """\
<b>One two</b>

<b>Deep</b>

A <b>bold</b> and <i>soft</i> and <s>gone</s> <code>code</code> \
<a href="https://example.org/a_%28b%29?x=1&amp;y=2">link</a> <a href="https://example.org/@os">https://example.org/@os</a>

• first
  second line
• outer
  • inner

3. three
4. four

<blockquote>said
so</blockquote>

<pre>x &lt; y &amp; `z`</pre>

• 1 · 2

More

<a href="https://example.org/p.png">picture</a> and none""",
}


@pytest.mark.parametrize("format", EXPECTED)
def test_a_message_has_what_its_channel_knows_and_nothing_else(format: str) -> None:
    assert written(MARKDOWN, format) == EXPECTED[format]


def test_another_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no format `morse`") as caught:
        written("x", "morse")

    assert "`discord`" in str(caught.value.hint)


# ---------------------------------------------------------------------------- what comes from outside stays text


def shown(text: str) -> str:
    """Without what stands behind an `@`: where that has to be is `test_nothing_pings_in_any_format`'s."""
    return re.sub("@[\u200b-\u200d\u2060]+", "@", sanitised(text)).strip()


@given(hostile)
def test_in_discord_every_mark_of_a_stranger_is_escaped(text: str) -> None:
    message = written(escape(text), "discord")

    assert shown(re.sub(r"\\(.)", r"\1", message)) == shown(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|<>\[\]]", message)
    assert not re.match(r"(#{1,3} |-# |> |[-+*] |\d+\. )", message)


class Tags(HTMLParser):
    """The tags as they open and close, and the text between."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.opened: list[str] = []
        self.seen: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not {name for name, _ in attrs} - {"href"}

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@given(hostile)
def test_in_telegram_a_stranger_writes_no_tag(text: str) -> None:
    tags = Tags(written(escape(text), "telegram"))

    assert (tags.seen, shown(tags.text)) == (set(), shown(text))


@given(hostile)
def test_any_markdown_becomes_html_of_telegram_whose_tags_are_balanced(text: str) -> None:
    tags = Tags(
        written(f"# {text}\n\n> **{text}** *{text}*\n\n- `{text}` [{text}](https://a.example)\n\n{text}", "telegram")
    )

    assert tags.opened == []
    assert tags.seen <= {"b", "i", "u", "s", "a", "code", "pre", "blockquote"}
    assert all(link.startswith(("http://", "https://")) for link in tags.links)


@given(hostile)
def test_in_slack_a_stranger_writes_neither_a_link_nor_a_mark(text: str) -> None:
    message = written(escape(text), "slack")

    assert "<" not in message
    assert ">" not in message
    assert shown(html.unescape(message).replace(JOINER, "")) == shown(text).replace(JOINER, "")
    assert not re.search(r"(?:^|[\s(])([*_~`])(?=\S).*\S\1(?:$|[\s).,])", message)


@pytest.mark.parametrize("format", POST_FORMATS)
@given(hostile)
def test_nothing_pings_in_any_format(format: str, text: str) -> None:
    for markdown in (escape(text), text, f"`{text}`", f"[{text}](https://a.example)"):
        message = written(markdown, format)
        assert not re.search(r"@(?=everyone|here|channel)", message, flags=re.I)
        assert not re.search(r"(?<![^\W_])@(?=\w)", re.sub(r"https?://[^@][^\s<>()\"']*", "", message, flags=re.I))
        assert format != "slack" or not re.search(r"<[@!#]", message)


@pytest.mark.parametrize(
    ("text", "quieted"),
    [
        ("@everyone", f"@{JOINER}everyone"),
        ("<@123> @u@b.example", f"<@{JOINER}123> @{JOINER}u@b.example"),
        ("&#64;here &commat;here &#x40;here", f"@{JOINER}here @{JOINER}here @{JOINER}here"),
        ("@\u200bhere", f"@{JOINER}here"),
        ("https://example.social/@os", "https://example.social/@os"),
        ("https://example.social/@everyone", f"https://example.social/@{JOINER}everyone"),
        ("https://a.example/b@c/d@sha256:1f?x=@d", "https://a.example/b@c/d@sha256:1f?x=@d"),
        ("<https://a.example/b@c>, @d", f"<https://a.example/b@c>, @{JOINER}d"),
        ("https://a.example/b@Everyone", f"https://a.example/b@{JOINER}Everyone"),
        ("https://@os", f"https://@{JOINER}os"),
        ("ghcr.io/os/os@sha256:1f ada@a.example", "ghcr.io/os/os@sha256:1f ada@a.example"),
        ("os@here _@os_ *@os*", f"os@{JOINER}here _@{JOINER}os_ *@{JOINER}os*"),
        ("a @ b", "a @ b"),
        ("AT&T", "AT&T"),
    ],
)
def test_an_at_is_kept_apart_from_a_name_save_in_an_address(text: str, quieted: str) -> None:
    assert quiet(text, entities=True) == quieted
    assert quiet(quieted, entities=True) == quieted


# ---------------------------------------------------------------------------------------- what is let through by hand


def let_through(reason: str) -> NotesRenderer:
    digest = Digest.of(b"")
    made = sample("Composed OS", "stable", ("os", "os-dx"))
    each = [Override("soak", "pending", name, digest, reason, "ada", datetime(2026, 7, 6, tzinfo=UTC)) for name in "ab"]
    return NotesRenderer(Templates(), made, {"overrides": tuple(each)})


@pytest.mark.parametrize("template", ["post.md.j2", "rollback.md.j2"])
def test_a_post_says_what_was_let_through_by_hand_in_every_detail(template: str) -> None:
    back = {"rollback": {"of": "b", "to": "a", "reason": "", "by": "ada", "stays": [], "images": []}}
    render = let_through("@everyone waits for `it`")
    texts = [written(render.render(template, detail=detail, **back), "text") for detail in (3, 2, 1, 0)]

    assert ["soak" in text for text in texts] == [True, True, True, False]
    assert all("Let through by hand" in text for text in texts)
    assert "waits for `it`" in texts[0]
    assert texts[0].count("waits for") == 1
    assert "by hand" not in written(renderer().render(template, detail=3, **back), "text")


def test_a_webhook_is_told_what_was_let_through_by_hand() -> None:
    told = json.loads(let_through('a "reason"').render("webhook.json.j2"))["overrides"]

    assert told == [
        {"gate": "soak", "code": "pending", "variant": name, "reason": 'a "reason"', "by": "ada"} for name in "ab"
    ]


def test_the_longest_reason_does_not_keep_a_post_from_its_channel() -> None:
    text = let_through("👩‍👩‍👧‍👦 @everyone " * 1000).post("post.md.j2", format="text", limit=280, measure="graphemes")

    assert graphemes(text) <= 280
    assert "Let through by hand" in text


def test_a_label_that_is_there_twice_says_for_which_images_also_where_there_is_little_room() -> None:
    two = [Major("Kernel", "kernel", ("1",), (after,), (name,)) for after, name in (("2", "os"), ("3", "os-dx"))]
    lines = written(renderer(majors=tuple(two)).render("post.md.j2", detail=2), "text").splitlines()

    assert [line for line in lines if "Kernel" in line] == ["- Kernel (os): 1 ➡️ 2", "- Kernel (os-dx): 1 ➡️ 3"]


def test_in_the_shortest_list_a_label_stands_once_and_no_version_that_only_some_images_have() -> None:
    several = [Major("Kernel", "kernel", ("1",), (after,), (name,)) for after, name in (("2", "os"), ("3", "os-dx"))]
    several.append(Major("Mesa", "mesa", ("4",), ("5",), ("os", "os-dx")))
    lines = written(renderer(majors=tuple(several)).render("post.md.j2", detail=1), "text").splitlines()

    assert [line for line in lines if "Kernel" in line] == ["Kernel, Mesa 5 changed."]


# -------------------------------------------------------------------------------------------------- lengths


def test_graphemes_are_those_of_unicode() -> None:
    lines = [line for line in CASES.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    for line in lines:
        wanted = ["".join(chr(int(point, 16)) for point in part.replace("×", " ").split()) for part in line.split("÷")]
        wanted = [cluster for cluster in wanted if cluster]
        assert (clusters("".join(wanted)), graphemes("".join(wanted))) == (wanted, len(wanted)), line
    assert len(lines) == 853


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("https://example.org/" + "a" * 100, 23),
        ("https://e.org", 23),
        ("see https://example.org/a, and http://example.org.", 4 + 23 + 6 + 23 + 1),
        ("http://127.0.0.1:8000/" + "a" * 30, 52),
        ("@user@example.social hi", 8),
        ("a@user@example.social", 21),
        ("\U0001f469\u200d\U0001f4bb e\u0301", 3),
        ("ftp://example.org/x", 19),
    ],
)
def test_mastodon_counts_addresses_and_mentions_as_it_does(text: str, size: int) -> None:
    assert mastodon(text) == size


def test_telegram_counts_what_is_left_when_tags_and_entities_are_read() -> None:
    assert telegram('<b>a &amp; <a href="https://example.org/long?x=1&amp;y=2">\U0001f600</a></b>') == 6


@given(st.text(max_size=60), st.integers(1, 40))
def test_what_is_shortened_is_cut_between_graphemes(text: str, most: int) -> None:
    cut = shortened(text, most)

    assert graphemes(cut) <= max(most, 1)
    assert cut == text or cut.endswith("…")
    kept = cut.removesuffix("…") if cut != text else cut
    assert any("".join(clusters(text)[:number]).rstrip() == kept.rstrip() for number in range(len(clusters(text)) + 1))


def test_a_pile_of_marks_is_no_way_around_a_limit() -> None:
    assert len(shortened("e" + "\u0301" * 5000, 10)) <= 41


LIMITS = {
    "graphemes": ("text", 300),
    "mastodon": ("text", 500),
    "characters": ("discord", 2000),
    "telegram": ("telegram", 4096),
}


@pytest.mark.parametrize("measure", LIMITS)
@settings(deadline=None, max_examples=40)
@given(hostile)
def test_the_built_in_post_fits_whatever_its_title_is(measure: str, title: str) -> None:
    format, limit = LIMITS[measure]

    message = renderer(title + "x").post("post.md.j2", format=format, limit=limit, measure=measure, url=PAGE)

    assert MEASURES[measure](message) <= limit
    assert PAGE in html.unescape(message)


@pytest.mark.parametrize("measure", MEASURES)
@settings(deadline=None, max_examples=40)
@given(hostile)
def test_a_limit_is_kept_to_the_last_unit(measure: str, title: str) -> None:
    made = renderer(title + "x")
    format = "telegram" if measure == "telegram" else "text"
    sizes = [MEASURES[measure](made.post("post.md.j2", format=format, measure=measure, url=PAGE))]
    whole = sizes[0]

    at = made.post("post.md.j2", format=format, measure=measure, limit=whole, url=PAGE)
    over = made.post("post.md.j2", format=format, measure=measure, limit=whole + 1, url=PAGE)
    under = made.post("post.md.j2", format=format, measure=measure, limit=whole - 1, url=PAGE)

    assert MEASURES[measure](at) == whole
    assert over == at
    assert MEASURES[measure](under) < whole


def test_where_nothing_fits_the_error_has_template_limit_and_size() -> None:
    with pytest.raises(
        ConfigError, match=r"template `post.md.j2` says measures \d+ \(graphemes\).* takes 10"
    ) as caught:
        renderer().post("post.md.j2", format="text", limit=10, measure="graphemes", url=PAGE)

    assert "`detail`" in str(caught.value.hint)


def test_less_detail_says_less_and_never_where_to_read_on() -> None:
    made = renderer("Composed OS sample-20260705 is a title of its own")
    texts = [written(made.render("post.md.j2", url=PAGE, detail=detail), "text") for detail in (3, 2, 1, 0)]

    assert [len(text) for text in texts] == sorted((len(text) for text in texts), reverse=True)
    assert all("sample-20260705" in text and PAGE in text for text in texts)
    assert [("security" in text, "Three" in text) for text in texts] == [(True, True)] * 3 + [(False, False)]
