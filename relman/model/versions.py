"""The order of versions, by ecosystem: rpm, deb, alpm. Everything else is opaque and never ordered.

Sources: rpm(8) and rpm's `rpmio/rpmvercmp.c` (segments, `~`, `^`), deb-version(7) and dpkg's `lib/dpkg/version.c`,
vercmp(8) and pacman's `lib/libalpm/version.c`. Checked against vectors made with the tools themselves
(tests/data/versions). Versions are hostile text: nothing here raises for any of them, and all is linear in their
length, so a version of a million digits is only slow to read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

ORDERED = frozenset({"rpm", "deb", "alpm"})
"""The ecosystems whose versions have an order."""

_EPOCH_DIGITS = 600  # more is no epoch; Python refuses to read more than 640 digits in its strictest setting
_CACHED_LENGTH = 200  # longer versions do not exist outside of attacks, and would fill the memory


class Part(StrEnum):
    """Where the newest versions of both sides differ first."""

    EPOCH = "epoch"
    VERSION = "version"
    RELEASE = "release"
    DIST = "dist"


class EVR(msgspec.Struct, frozen=True):
    """Epoch, version, release: what is compared. ``release`` is `None` where the text has none."""

    epoch: int
    version: str
    release: str | None


def parse(ecosystem: str, text: str) -> EVR:
    """Split ``[epoch:]version[-release]``. An epoch that is not given is 0; only the last hyphen splits."""
    head, colon, rest = text.partition(":")
    epoch = 0
    if colon and len(head) <= _EPOCH_DIGITS and head.isascii() and head.isdigit():
        epoch, text = int(head), rest
    version, hyphen, release = text.rpartition("-")
    if not hyphen:
        return EVR(epoch, text, None)
    return EVR(epoch, version, None if ecosystem == "deb" and not release else release)


def normalise(ecosystem: str, epoch: int | str | None, version: str, release: str | None) -> str:
    """``[epoch:]version[-release]`` in the one spelling that lists are compared in.

    An epoch of 0 is left out where versions are ordered, as rpm, dpkg and pacman print it; `None` and empty are no
    epoch and no release. Raises `ValueError` for an epoch that is no number.
    """
    text = f"{version}-{release}" if release else version
    if epoch is None or epoch == "":
        return text
    digits = str(epoch)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _EPOCH_DIGITS:
        raise ValueError(f"`{digits[:40]}` is not an epoch")
    if ecosystem in ORDERED:
        digits = digits.lstrip("0")
    return f"{digits}:{text}" if digits else text


# ------------------------------------------------------------------------------------------------------- rpm

_RPM_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|[~^]", re.ASCII)
_TILDE, _END, _CARET, _LETTERS, _DIGITS = range(5)  # the order of what may stand at one place of an rpm version


def _rpm_key(text: str) -> tuple[Any, ...]:
    key: list[tuple[int, int, str]] = []
    for segment in _RPM_SEGMENT.findall(text):
        if segment == "~":
            key.append((_TILDE, 0, ""))
        elif segment == "^":
            key.append((_CARET, 0, ""))
        elif segment[0] <= "9":
            digits = segment.lstrip("0")
            key.append((_DIGITS, len(digits), digits))
        else:
            key.append((_LETTERS, 0, segment))
    key.append((_END, 0, ""))
    return tuple(key)


def rpm_compare(a: str, b: str) -> int:
    """The order of two versions or two releases as `rpmvercmp` has it: -1, 0 or 1."""
    return _sign(_rpm_key(a), _rpm_key(b))


# ------------------------------------------------------------------------------------------------------- deb

_DEB_PIECE = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)
_DEB_END = "\x01"


class _DebOrder(dict[int, str]):
    """dpkg's order of characters that are no digits: `~`, the end, letters, then the others."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character == "~":
            return "\x00"
        if character.isascii() and character.isalpha():
            return character
        return chr(min(code + 256, 0x10FFFF))


_DEB_ORDER = _DebOrder()


def _deb_key(text: str) -> tuple[Any, ...]:
    # Pairs of other characters and a number, in the way of dpkg's `verrevcmp`; the end is a pair without characters.
    key: list[Any] = []
    for other, number in _DEB_PIECE.findall(text):
        if other or number:
            digits = number.lstrip("0")
            key += (other.translate(_DEB_ORDER) + _DEB_END, (len(digits), digits))
    return (*key, _DEB_END) if key else (_DEB_END, (0, ""), _DEB_END)


def deb_compare(a: str, b: str) -> int:
    """The order of two upstream versions or two revisions as dpkg has it: -1, 0 or 1."""
    return _sign(_deb_key(a), _deb_key(b))


# ------------------------------------------------------------------------------------------------------ alpm

_ALPM_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+", re.ASCII)


class _AlpmVersion(msgspec.Struct, frozen=True):
    """``segments``: the length of the separator, whether it is a number, its length, its text. ``open``: separators
    follow the last one.
    """

    segments: tuple[tuple[int, bool, int, str], ...]
    open: bool

    def rest(self, index: int, skip: bool) -> str:
        """What pacman looks at when the segments before ``index`` are used up: `""` end, `.`, `a` or `1`."""
        if index >= len(self.segments):
            return "." if self.open and not skip else ""
        separator, number, _, _ = self.segments[index]
        return "." if separator and not skip else "1" if number else "a"


def _alpm_key(text: str) -> _AlpmVersion:
    segments = []
    end = 0
    for match in _ALPM_SEGMENT.finditer(text):
        segment = match[0]
        number = segment[0] <= "9"
        segment = segment.lstrip("0") if number else segment
        segments.append((match.start() - end, number, len(segment) if number else 0, segment))
        end = match.end()
    return _AlpmVersion(tuple(segments), end < len(text))


def _alpm_order(a: _AlpmVersion, b: _AlpmVersion) -> int:
    shared = min(len(a.segments), len(b.segments))
    for one, two in zip(a.segments, b.segments, strict=False):
        if one != two:
            return 1 if one > two else -1
    # Separators at the place where either ends are skipped only while neither has come to its very end.
    skip = a.rest(shared, False) != "" and b.rest(shared, False) != ""
    left, right = a.rest(shared, skip), b.rest(shared, skip)
    if not left and not right:
        return 0
    # A letter that is left over is a pre-release, anything else a later one.
    return -1 if (not left and right != "a") or left == "a" else 1


# ------------------------------------------------------------------------------------------------ all of them


def _sign(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


def _make_key(ecosystem: str, text: str) -> tuple[Any, ...]:
    evr = parse(ecosystem, text)
    if ecosystem == "deb":
        return (evr.epoch, _deb_key(evr.version), _deb_key(evr.release or ""))
    if ecosystem == "alpm":
        return (evr.epoch, _alpm_key(evr.version), None if evr.release is None else _alpm_key(evr.release))
    # A version without a release comes before the same one with any.
    return (evr.epoch, _rpm_key(evr.version), () if evr.release is None else _rpm_key(evr.release))


_cached_key = functools.lru_cache(maxsize=16384)(_make_key)


def _key(ecosystem: str, text: str) -> tuple[Any, ...]:
    return _cached_key(ecosystem, text) if len(text) <= _CACHED_LENGTH else _make_key(ecosystem, text)


def compare(ecosystem: str, a: str, b: str) -> int | None:
    """The full order of two versions: -1, 0, 1, or `None` where this ecosystem has no order (`opaque`).

    For alpm this is pacman's answer for the pair, which ignores a release that one side lacks: `1.0` equals both
    `1.0-1` and `1.0-2`.
    """
    if ecosystem not in ORDERED:
        return None
    if a == b:
        return 0
    one, two = _key(ecosystem, a), _key(ecosystem, b)
    if ecosystem != "alpm":
        return _sign(one, two)
    return _alpm_compare(one, two)


def _alpm_compare(one: tuple[Any, ...], two: tuple[Any, ...]) -> int:
    order: int = _sign(one[0], two[0]) or _alpm_order(one[1], two[1])
    return order if order or one[2] is None or two[2] is None else _alpm_order(one[2], two[2])


def sorted_versions(ecosystem: str, versions: Iterable[str]) -> list[str]:
    """Versions in their order, the newest last; by text where there is no order, so that the result is the same."""
    by_text = sorted(versions)
    if len(by_text) < 2 or ecosystem not in ORDERED:
        return by_text
    if ecosystem == "alpm":

        def order(a: str, b: str) -> int:
            return compare(ecosystem, a, b) or 0

        return sorted(by_text, key=functools.cmp_to_key(order))
    return sorted(by_text, key=functools.partial(_key, ecosystem))


_DIST = re.compile(r"\.(?:fc|eln?|amzn|azl|mga|hum)[0-9]+(?:_[0-9]{1,3})?(?:\.[0-9]{1,3})*\Z", re.ASCII)
_DIST_REACH = 120  # a dist tag with all that a rebuild appends is shorter


def strip_dist(release: str) -> str:
    """``release`` without its dist tag: `1` for `1.fc44`, `1.fc44.1`, `1.el10_1` and `1.el9_5.2`.

    What a rebuild appends are small counters. Anything else behind the tag (a git hash, a name: `1.fc42.switcheroo`)
    says more than "built again", so such a release stays whole, as does one without a dist tag.
    """
    reach = max(0, len(release) - _DIST_REACH)
    match = _DIST.search(release, reach)
    return release[: match.start()] if match else release


def differing_part(ecosystem: str, a: str, b: str) -> Part | None:
    """Where two versions differ first; `None` where they are equal in order, or have none.

    `Part.DIST` says that their releases are equal but for the dist tag, which only rpm has.
    """
    if not compare(ecosystem, a, b):
        return None
    one, two = _key(ecosystem, a), _key(ecosystem, b)
    order = _alpm_order if ecosystem == "alpm" else _sign
    if one[0] != two[0]:
        return Part.EPOCH
    if order(one[1], two[1]):
        return Part.VERSION
    return Part.DIST if ecosystem == "rpm" and _same_but_for_dist(a, b) else Part.RELEASE


def _same_but_for_dist(a: str, b: str) -> bool:
    one, two = parse("rpm", a).release, parse("rpm", b).release
    return one is not None and two is not None and rpm_compare(strip_dist(one), strip_dist(two)) == 0
