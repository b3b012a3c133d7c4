"""Where in relman.toml each key stands: the lines that faults are named with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman.config.lines import key_lines, line_of


def test_keys_are_found_behind_everything_that_toml_allows() -> None:
    text = '''\
# [not.a.table]
top = 1
"quoted key" = "a # b [c]"
'literal.key'.inner . third = { x = [ "]" ], y = "}" }  # comment with [brackets
text = """
key = "inside a string"
[table.inside]
\\""" still """
literal = \'\'\'
# ]]] [
\'\'\'
array = [  # [[[
  "a]", 'b[',
  [ 1, 2 ],  # ]
  { z = 1 },
]
after = 1

[ table . "x.y" ]  # [[no]]
key = 1
[[list]]
key = 1
[list.sub]
key = 1
[[list.sub2]]
[[list]]
key = 1
[[list.sub2]]
[[list.sub2]]
key = """a\\
"""
last = 1'''
    assert tomllib.loads(text)

    for end in ("\n", "\r\n"):
        found = key_lines(text.replace("\n", end))
        expected: dict[tuple[str | int, ...], int] = {
            ("top",): 2,
            ("quoted key",): 3,
            ("literal.key",): 4,
            ("literal.key", "inner"): 4,
            ("literal.key", "inner", "third"): 4,
            ("text",): 5,
            ("literal",): 9,
            ("array",): 12,
            ("array", 0): 13,
            ("array", 1): 13,
            ("array", 2): 14,
            ("array", 3): 15,
            ("after",): 17,
            ("table", "x.y"): 19,
            ("table", "x.y", "key"): 20,
            ("list", 0): 21,
            ("list", 0, "key"): 22,
            ("list", 0, "sub"): 23,
            ("list", 0, "sub", "key"): 24,
            ("list", 0, "sub2", 0): 25,
            ("list", 1): 26,
            ("list", 1, "key"): 27,
            ("list", 1, "sub2", 0): 28,
            ("list", 1, "sub2", 1): 29,
            ("list", 1, "sub2", 1, "key"): 30,
            ("list", 1, "sub2", 1, "last"): 32,
        }
        assert {path: found.get(path) for path in expected} == expected
        assert all(any(path == other[: len(path)] for other in expected) for path in found)


def test_a_table_that_only_its_inner_tables_name_stands_where_the_first_of_them_does() -> None:
    assert key_lines("[a.b]\nx = 1\n[a.c]\n[[d.e]]\n") == {
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "b", "x"): 2,
        ("a", "c"): 3,
        ("d",): 4,
        ("d", "e"): 4,
        ("d", "e", 0): 4,
    }


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('"a\\u0062" = 1\n', ("ab",)),
        ('"\\"\\\\\\t" = 1\n', ('"\\\t',)),
        ('["a.\\u0062".c]\n', ("a.b", "c")),
        ("'a\\u0062' = 1\n", ("a\\u0062",)),
    ],
)
def test_a_key_is_called_what_toml_reads_it_as(text: str, path: tuple[str, ...]) -> None:
    data: Any = tomllib.loads(text)
    for part in path:
        data = data[part]

    assert line_of(key_lines(text), path) == 1
    assert path in key_lines(text)


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_text_over_several_lines_may_end_in_quotes_of_its_own(quote: str, count: int) -> None:
    text = f"a = [{quote * 3}x{quote * count}, {quote}[{quote},\n]\nb = 1\n"
    assert tomllib.loads(text)["a"][0] == "x" + quote * (count - 3)

    assert key_lines(text) == {("a",): 1, ("b",): 3}


def test_inside_an_inline_table_the_line_on_which_it_begins_is_the_answer() -> None:
    lines = key_lines('a = 1\nrename = [\n  { match = "x" },\n  { mtch = "x" },\n]\n')

    assert line_of(lines, ("rename", 1, "mtch")) == 4
    assert line_of(lines, ("nothing", "here")) is None


bare = st.text("abcXYZ019_-", min_size=1, max_size=6)
inner = st.text("ab #[]{}=,.'é", max_size=8)
names = bare | inner
scalars = st.sampled_from(["1", "true", "1.5", "1979-05-27T07:32:00Z", "0x_".replace("_", "1")])
strings = st.one_of(
    inner.map(lambda text: f'"{text}"'),
    inner.map(lambda text: "'" + text.replace("'", "") + "'"),
    st.sampled_from(['"\\" ["', '"\\\\"', "''", '""', '""""""', "''''''"]),
    st.lists(inner, max_size=3).map(lambda parts: '"""' + "\n".join(parts) + '"""'),
    st.lists(inner, max_size=3).map(lambda parts: "'''\n" + "\n".join(p.replace("'", '"') for p in parts) + "'''"),
    st.sampled_from(['"""x""""', '"""x"""""', "'''x''''", "'''x'''''", '"""""x"""']),
    st.sampled_from(['"""\na = 1\n[b]\n"""', '"""\\\n  x\\""" ]"""', '"""a "" b"""']),
)
spaces = st.sampled_from(["", " ", "\n", "\n  # ] [ { comment\n  "])


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def written(parts: list[tuple[str, str, str]]) -> str:
        return "[" + ",".join(before + value + after for before, value, after in parts) + "]"

    return st.lists(st.tuples(spaces, values, spaces), max_size=3).map(written)


def inline_tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=3).map(
        lambda parts: "{ " + ", ".join(f"k{number} = {value}" for number, value in enumerate(parts)) + " }"
    )


values = st.recursive(scalars | strings, lambda deeper: arrays(deeper) | inline_tables(deeper), max_leaves=5)


def quoted(name: str) -> str:
    """A key as TOML takes it: bare where it can be, else in quotes."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[tuple[str | int, ...], int]]:
    """A TOML document, and on which line each of its keys and tables was written."""
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    headers: list[tuple[str | int, ...]] = [()]
    for number, name in enumerate(draw(st.lists(names, max_size=4))):
        headers.append((f"{name}{number}",))
        headers += [(f"{name}{number}", index) for index in range(draw(st.integers(0, 3)))]
    for path in _consistent(headers):
        if path:
            dotted = draw(st.sampled_from(["", " "])) + quoted(str(path[0])) + draw(st.sampled_from(["", " "]))
            expected[path] = len(lines) + 1
            lines.append((f"[[{dotted}]]" if len(path) == 2 else f"[{dotted}]") + draw(st.sampled_from(["", " # [x]"])))
        for key in draw(st.lists(names, unique=True, max_size=4)):
            parts = [f"k{key}", *draw(st.lists(names, max_size=2))]
            for depth in range(1, len(parts) + 1):
                expected.setdefault((*path, *parts[:depth]), len(lines) + 1)
            dot = draw(st.sampled_from([".", " . "]))
            comment = draw(st.sampled_from(["", "  # [ comment", "  # \"'"]))
            lines += f"{dot.join(map(quoted, parts))} = {draw(values)}{comment}".split("\n")
            lines += draw(st.sampled_from([[], [""], ["# [comment]", "  # '''"]]))
    return "\n".join(lines), expected


def _consistent(headers: list[tuple[str | int, ...]]) -> list[tuple[str | int, ...]]:
    """A name is either that of a table or that of an array of tables."""
    lists = {path[0] for path in headers if len(path) == 2}
    return [path for path in headers if len(path) != 1 or path[0] not in lists]


def keys_of(data: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """The path of every key of every table; what is inside a value is the value's own business."""
    if isinstance(data, Mapping):
        return {p for key, value in data.items() for p in ({(*path, key)} | keys_of(value, (*path, key)))}
    return set()


@settings(max_examples=150, deadline=None)
@given(documents(), st.sampled_from(["\n", "\r\n"]))
def test_every_key_is_found_on_the_line_where_it_stands(
    document: tuple[str, dict[tuple[str | int, ...], int]], end: str
) -> None:
    text, expected = document
    data = tomllib.loads(text.replace("\n", end))

    assert {path: line for path, line in key_lines(text.replace("\n", end)).items() if path in expected} == expected
    assert {path[:1] for path in keys_of(data)} == {path[:1] for path in expected}
