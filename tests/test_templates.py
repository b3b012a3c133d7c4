"""Templates: whose comes first, what they can use, and how a fault in one is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relman.errors import ConfigError
from relman.model.changelog import PackageName
from relman.render import FORMATS, NotesRenderer, Templates, render_title, standard_values
from tests import changelogs
from tests.changelogs import changelog, commit
from tests.notes_reading import BUILT_IN, notes


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
        '["1-1", "2-1"] '
    )


@pytest.mark.parametrize("name", ["a.md.j2", "a.html.j2", "a.j2"])
def test_what_is_not_there_is_empty_in_a_text_and_never_none(name: str, tmp_path: Path) -> None:
    source = "({{ x }}|{{ x | short }}|{{ y.z }}|{{ 0 }}|{{ false }})"
    values = {"x": None, "y": {"z": None}}
    templates = project(tmp_path, **{name.replace(".", "__"): source})

    assert templates.inline(source, values) == templates.render(name, values) == "(|||0|False)"


def test_pages_escape_by_themselves_and_json_in_them_is_harmless(tmp_path: Path) -> None:
    templates = project(tmp_path, a__html__j2="{{ x }} {{ x | tojson }} {{ '**b**' | html }}", b__md__j2="{{ x }}")

    assert templates.render("a.html.j2", {"x": "<b>'&"}) == (
        '&lt;b&gt;&#39;&amp; "\\u003cb\\u003e\\u0027\\u0026" <p><strong>b</strong></p>\n'
    )
    assert templates.render("b.md.j2", {"x": "<b>"}) == "<b>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ changelog.NAME }}",
        "{{ changelog['NAME'] }}",
        "{{ changelog | attr('NAME') }}",
        "{{ [changelog] | map(attribute='NAME') | first }}",
        "{{ '{0.NAME}'.format(changelog) }}",
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "__struct_fields__",
        "__struct_config__",
        "__struct_encode_fields__",
        "__struct_defaults__",
        "__replace__",
        "__copy__",
        "__reduce__",
        "__rich_repr__",
        "__post_init__",
        "__init__",
        "__class__",
    ],
)
def test_what_a_value_is_made_of_is_out_of_reach(source: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` is not known|access to attribute '{name}' .* is unsafe"):
        NotesRenderer(BUILT_IN, changelog()).inline(source.replace("NAME", name))


def test_a_value_is_an_object_in_json_also_inside_a_dataclass_of_a_plugin() -> None:
    first = PackageName("zsh", None)
    row = {"name": "zsh", "arch": None}

    assert json.loads(Templates().inline("{{ x | tojson }}", {"x": _OfAPlugin((first,), {"of": first})})) == {
        "names": [row],
        "by": {"of": row},
    }
    made = changelogs.large()
    assert list(json.loads(Templates().inline("{{ x | tojson }}", {"x": made}))) == list(made.__struct_fields__)


@dataclass(frozen=True)
class _OfAPlugin:
    names: tuple[PackageName, ...]
    by: Mapping[str, PackageName]


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
