"""The targets of fuzzing (docs/fuzzing.md) with what hypothesis thinks up: each reads or refuses whatever there is."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, outcome, seeds

FOUND = Path(__file__).parent / "data" / "fuzz"
EXAMPLES = 150
"""Of each target: a smoke test; `./dev fuzz` is the search."""


@functools.cache
def begin(name: str) -> tuple[bytes, ...]:
    return tuple(seeds(name))


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_target_begins_from_is_read(name: str) -> None:
    read = [outcome(TARGETS[name], seed) for seed in begin(name)]

    assert any(read), "nothing that fuzzing begins from is well-formed"


@pytest.mark.parametrize("name", TARGETS)
@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_whatever_is_changed_is_read_or_refused(name: str, data: st.DataObject) -> None:
    changed = bytearray(data.draw(st.sampled_from(begin(name))))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(len(changed) - 1, 0)))
        match data.draw(st.sampled_from(["set", "cut", "insert", "repeat", "number"])):
            case "set":
                changed[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
            case "cut":
                del changed[at : at + data.draw(st.sampled_from([1, 4, 16, 512, 1 << 20]))]
            case "insert":
                changed[at:at] = data.draw(st.binary(max_size=24))
            case "repeat":
                changed[at:at] = changed[at : at + data.draw(st.sampled_from([4, 64, 512]))] * 3
            case _:
                number = data.draw(st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE]))
                changed[at : at + 4] = number.to_bytes(4, data.draw(st.sampled_from(["little", "big"])))

    outcome(TARGETS[name], bytes(changed))


@pytest.mark.parametrize("name", TARGETS)
@given(noise=st.binary(max_size=600))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_bytes_are_read_or_refused(name: str, noise: bytes) -> None:
    outcome(TARGETS[name], noise)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_fuzzing_once_found_is_read_or_refused(path: Path) -> None:
    outcome(TARGETS[path.parent.name], path.read_bytes())
