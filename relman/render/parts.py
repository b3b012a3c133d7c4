"""The parts of the notes, and the order in which they go when a channel has no room for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from relman.render.escaping import url

# Noncharacters (Unicode, 23.7): texts of strangers are cleaned of them, so that only a template can write a marker.
_START, _END, _SLOT = "\ufdd0", "\ufdd1", "\ufdd2"
MARKERS = (_START, _END, _SLOT)


class Shed(msgspec.Struct, frozen=True):
    """A kind of part that may go, and what one and several of what it holds are called.

    ``alone`` says that what it holds is shown elsewhere, so that it counts as left out only where it goes by itself.
    """

    id: str
    one: str
    many: str
    alone: bool = False


ORDER = (
    Shed("names", "list of the packages of a source", "lists of the packages of a source", alone=True),
    Shed("undone", "commit taken back", "commits taken back"),
    Shed("rebuilt", "package built again", "packages built again"),
    Shed("group", "changed package", "changed packages"),
    Shed("commits", "commit", "commits"),
    Shed("section", "section", "sections"),
    Shed("images", "image", "images"),
    Shed("packages", "changed package", "changed packages"),
    Shed("fixes", "security fix", "security fixes"),
    Shed("keys", "trusted key", "trusted keys"),
)
"""What goes, in this order, each kind from its last part to its first. Before any of it, the links of package rows go.

The summary, major packages, what is pointed out, sections before the packages, notes and the accounting stay. Where
even those do not fit, the text is cut from its end (`relman.render.fit`).
"""

_SHEDS = {shed.id: shed for shed in ORDER}
_WORDS = tuple(dict.fromkeys((shed.one, shed.many) for shed in ORDER))


def start(id: str, count: int) -> str:
    """The line with which a template begins a part that holds ``count`` of what it is. Raises `ValueError`."""
    if id not in _SHEDS:
        raise ValueError(f"there is no part `{id}` of the notes: there are {', '.join(_SHEDS)}")
    return f"{_START}{id} {count}"


def end() -> str:
    """The line with which it ends it."""
    return _END


def slot() -> str:
    """The line, followed by an empty one, where a template wants to have said what was left out."""
    return _SLOT


def unmarked(text: str) -> str:
    """The text without the lines that mark parts."""
    return _joined(text.split("\n")) if any(marker in text for marker in MARKERS) else text


def _joined(lines: Iterable[str | None], said: str = "") -> str:
    """The lines without markers. Where something is missing (`None`), the empty lines around it become one."""
    kept: list[str] = []
    gap = False
    for line in lines:
        if line is None or (line.startswith(_SLOT) and not said):
            gap = True
        elif line.startswith(_SLOT):
            kept.append(said)
        elif not line.startswith((_START, _END)) and not (gap and not line and kept[-1:] == [""]):
            kept.append(line)
            gap = False
    return "\n".join(kept)


class _Part(msgspec.Struct):
    id: str
    count: int
    first: int
    last: int = 0
    inner: list[_Part] = msgspec.field(default_factory=list)


class Parted:
    """A rendered text with its parts marked. ``steps`` is how many parts can go, one after the other."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._parts = _shed_order(_parts(self._lines))
        self.steps = len(self._parts)

    def without(self, steps: int, said: str = "") -> str:
        """The text without the first ``steps`` parts of the order, and with ``said`` where it is to be said."""
        dropped = {line for part in self._parts[:steps] for line in range(part.first, part.last + 1)}
        return _joined((None if at in dropped else line for at, line in enumerate(self._lines)), said)

    def left_out(self, steps: int, *, links: bool, full: str | None) -> str:
        """The sentence on what goes with these parts, in Markdown; empty where nothing does.

        ``links`` says that the links of package rows went, too; ``full`` is the address of the whole text.
        """
        gone = [each for part in self._parts[:steps] for each in (part, *_counted(part.inner))]
        counts: Counter[tuple[str, str]] = Counter()
        for part in {id(each): each for each in gone}.values():
            counts[_SHEDS[part.id].one, _SHEDS[part.id].many] += part.count
        words = [f"{counts[key]:,} {key[counts[key] != 1]}" for key in _WORDS if counts[key]]
        words += ["the links of package rows"] * links
        if not words:
            return ""
        listed = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
        address = url(full) if full else None
        link = f" [The full notes]({address})." if address else ""
        return f"*Left out here for want of room: {listed}. Counts are those of the full notes.*{link}"


def _counted(parts: Iterable[_Part]) -> Iterable[_Part]:
    """The parts inside a part that goes, as far as they are not shown elsewhere."""
    return (part for part in _all(parts) if not _SHEDS[part.id].alone)


def _all(parts: Iterable[_Part]) -> Iterable[_Part]:
    for part in parts:
        yield part
        yield from _all(part.inner)


def _parts(lines: Sequence[str]) -> list[_Part]:
    """The outermost parts; one that a template never ends is none."""
    found: list[_Part] = []
    opened: list[_Part] = []
    for at, line in enumerate(lines):
        if line.startswith(_START):
            id, _, count = line.removeprefix(_START).partition(" ")
            opened.append(_Part(id, int(count), at))
        elif line.startswith(_END) and opened:
            part = opened.pop()
            part.last = at
            (opened[-1].inner if opened else found).append(part)
    return found


def _shed_order(parts: Iterable[_Part]) -> list[_Part]:
    """The parts in the order in which they go."""
    every = sorted(_all(parts), key=lambda part: part.first)
    return [part for shed in ORDER for part in reversed(every) if part.id == shed.id]


def more(full: str | None) -> str:
    """The last line of a text whose end was cut off."""
    address = url(full) if full else None
    return f"… [The full notes]({address})" if address else "…"
