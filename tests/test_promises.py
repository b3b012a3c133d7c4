"""docs/promises.md names tests that are there, and every promise has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBERS = [*range(1, 16), 18, 19, 21, 22, 25, 26, 27, 28, 29]


def promises() -> dict[int, str]:
    """The last cell of each promise."""
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", (ROOT / "docs" / "promises.md").read_text(), re.MULTILINE)
    return {int(number): tests for number, tests in rows}


def test_every_promise_stands_there_once_and_in_order() -> None:
    assert list(promises()) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_the_tests_of_a_promise_are_there(number: int) -> None:
    cell = promises()[number]
    named = re.findall(r"`(test_\w+)`", cell)
    code = "".join(file.read_text() for file in sorted((ROOT / "tests").rglob("test_*.py")))
    assert named
    assert [name for name in named if f"def {name}(" not in code] == []
