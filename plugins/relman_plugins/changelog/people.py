"""Who wrote a project's commits: programs told from people, and people who are here for the first time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

# What forges and updaters call themselves: `renovate[bot]`, `Renovate Bot`, `github-actions`, `release-bot`.
_BOT = re.compile(
    r"\[bot\]|(?:^|[\s_-])bot$|^(?:dependabot|renovate|github[ -]actions|mergify|pre-commit[ .-]ci|weblate)\b",
    re.IGNORECASE,
)
# GitHub hides addresses as `12345+login@users.noreply.github.com`, without the number before 2017.
_HIDDEN = re.compile(r"(?:[0-9]+\+)?([^@]+)@users\.noreply\.", re.IGNORECASE)


class Person(NamedTuple):
    """A name and an address, as a commit has them."""

    name: str
    address: str

    @property
    def bot(self) -> bool:
        """Whether it is a program, as far as name and address tell."""
        return bool(_BOT.search(self.name.strip()) or "[bot]" in self.address)


class Known(msgspec.Struct):
    """People who contributed before. One is known by name or by address: people change either, seldom both."""

    _names: set[str] = msgspec.field(default_factory=set)
    _addresses: set[str] = msgspec.field(default_factory=set)

    def add(self, people: Iterable[Person]) -> None:
        """They contributed."""
        for person in people:
            self._names.add(_same(person.name))
            self._addresses.add(_address(person.address))

    def newcomers(self, people: Sequence[Person]) -> tuple[str, ...]:
        """The names of those, programs aside, who are not known; from now on all of them are."""
        found = {
            _same(person.name): person.name
            for person in people
            if not person.bot
            and _same(person.name) not in self._names
            and _address(person.address) not in self._addresses
        }
        self.add(people)
        return tuple(found.values())


def _same(name: str) -> str:
    return " ".join(name.split()).casefold()


def _address(address: str) -> str:
    hidden = _HIDDEN.match(address)
    return (hidden[1] + "@hidden" if hidden else address).casefold()
