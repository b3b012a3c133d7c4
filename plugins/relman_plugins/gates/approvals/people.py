"""How many people approve: a function of what was said, of who is who and of who asks, and of nothing else.

One person may have several names and several keys, and counts once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from relman.model.gates import State
from relman_plugins.gates.verdict import Verdict, listed, plain


class Said(StrEnum):
    """What somebody says of a release."""

    YES = "approves"
    NO = "asks for changes"


class Claim(msgspec.Struct, frozen=True):
    """Something that looks like an approval: by whom, by which key, and where.

    ``fault`` is why it does not count, whatever it says.
    """

    names: tuple[str, ...]
    where: str
    said: Said = Said.YES
    key: str | None = None
    fault: str | None = None


class Rules(msgspec.Struct, frozen=True):
    """``count`` people of ``wanted`` (of all, where it is empty); ``robots`` ask and are nobody."""

    count: int
    wanted: tuple[str, ...] = ()
    robots: tuple[str, ...] = ()


class People(msgspec.Struct):
    """Who is who. Names and keys that were seen together belong to one person; names are compared without case."""

    _of: dict[str, str] = msgspec.field(default_factory=dict)

    def same(self, names: Iterable[str], key: str | None = None) -> list[str]:
        """All of these are one person: their marks."""
        marks = [_name(name) for name in names] + ([f"key {key}"] if key else [])
        for mark in marks:
            self._of[self._root(mark)] = self._root(marks[0])
        return marks

    def person(self, names: Iterable[str], key: str | None = None) -> str:
        """The person, by a mark that is the same for all their names and keys."""
        marks = self.same(names, key)
        return self._root(marks[0])

    def knows(self, name: str) -> bool:
        """Whether that name was seen."""
        return _name(name) in self._of

    def _root(self, mark: str) -> str:
        found = self._of.setdefault(mark, mark)
        while found != self._of[found]:
            found = self._of[found]
        return found


def _name(name: str) -> str:
    return f"name {unicodedata.normalize('NFKC', name).strip().casefold()}"  # an é may be one letter, or two


def known(
    claims: Iterable[Claim],
    signers: Iterable[tuple[tuple[str, ...], str]],
    aliases: Mapping[str, Sequence[str]],
    wanted: Iterable[str],
) -> People:
    """Who is who, from all that says so: ``signers`` are names with their key, ``aliases`` more names of one."""
    people = People()
    for names, key in signers:
        people.same(names, key)
    for name, others in aliases.items():
        people.same((name, *others))
    for name in wanted:
        people.same((name,))
    for claim in claims:
        if claim.fault is None and (claim.names or claim.key):
            people.same(claim.names, claim.key)
    return people


def judge(claims: Sequence[Claim], people: People, asks: str, rules: Rules, needs: str) -> Verdict:
    """Passed where enough people approve, other than the one who asks, and nobody of those asks for changes.

    Where nobody knows who asks, one of the approvals may be theirs, and one more is needed.
    """
    wanted = {people.person((name,)) for name in rules.wanted}
    robot = asks.strip().casefold() in {name.strip().casefold() for name in rules.robots}
    stranger = not robot and not people.knows(asks)
    asking = None if robot or stranger else people.person((asks,))
    yes: dict[str, Claim] = {}
    no: list[Claim] = []
    faults: list[dict[str, object]] = []
    for claim in claims:
        fault = claim.fault
        if fault is None:
            person = people.person(claim.names, claim.key)
            if rules.wanted and person not in wanted:
                fault = "is not one of those who are asked"
            elif person == asking:
                fault = "asks for the release"
            elif claim.said is Said.NO:
                no.append(claim)
            else:
                yes.setdefault(person, claim)
        if fault is not None:
            faults.append({"by": _who(claim), "where": plain(claim.where), "why": fault})
    evidence: dict[str, object] = {
        "approved": [{"by": _who(one), "where": plain(one.where)} for one in yes.values()],
        "asked_by": plain(asks),
    }
    if faults:
        evidence["not_counted"] = faults[:50]
    state, code, reason = _conclude(list(yes.values()), no, faults, asks, rules, stranger)
    return Verdict(state, reason, code, None if state is State.PASSED else needs, evidence=evidence)


def _conclude(
    yes: Sequence[Claim],
    no: Sequence[Claim],
    faults: Sequence[Mapping[str, object]],
    asks: str,
    rules: Rules,
    stranger: bool,
) -> tuple[State, str, str]:
    approve = f"{len(yes)} of {rules.count} approve" + (f": {listed([_who(one) for one in yes])}" if yes else "")
    if no:
        return State.FAILED, "changes-requested", f"{listed([_who(one) for one in no])} asks for changes"
    if len(yes) < rules.count:
        why = [f"`{one['by']}` {one['why']}" for one in faults]
        more = f", and {len(why) - 3} more" if len(why) > 3 else ""
        not_counted = f"; not counted: {', '.join(why[:3])}{more}" if why else ""
        return State.PENDING, "too-few", approve + not_counted
    if stranger and len(yes) == rules.count:
        who = plain(asks, 60) or "somebody"
        reason = f"{approve}, and `{who}`, who asks, may be one of them: name them in `people` or `robots`"
        return State.PENDING, "asker-unknown", reason
    return State.PASSED, "", approve


def _who(claim: Claim) -> str:
    return plain(claim.names[0], 80) if claim.names else "somebody"
