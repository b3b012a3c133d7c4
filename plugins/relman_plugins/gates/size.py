"""The gate `size`: how large an image may be, how much it may grow, and how much a host may have to download.

All from manifests: bytes of layers as they are compressed. Each platform is judged by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from relman.model.download import download
from relman.model.gates import GateResult, State
from relman.model.oci import PlatformImage
from relman.model.release import Candidate
from relman.plugin import GatesContext, Slot, Table, hookimpl
from relman_plugins.gates.verdict import Verdict, passed

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?%", re.ASCII)


def _bytes(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"`{value}` is not a size: there are no fewer than 0 bytes")
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"`{value}` is not a size: write bytes, `500 MB` or `2 GiB` ({', '.join(_UNITS)})")
    return int(Fraction(match[1]) * _UNITS[match[2]])


def _growth(value: Any) -> Any:
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return value
    try:
        return _bytes(value)
    except ValueError as error:
        raise ValueError(f"`{value}` is no growth: write `5%`, bytes, `500 MB` or `2 GiB`") from error


Bytes = Annotated[int, BeforeValidator(_bytes)]
Growth = Annotated[int | str, BeforeValidator(_growth)]


class SizeSettings(Table):
    """`{ type = "size", image = "8 GiB", grow = "5%", download = "2 GiB" }`: the most of each; at least one is set."""

    image: Bytes | None = None
    grow: Growth | None = None
    download: Bytes | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> SizeSettings:
        if self.image is self.grow is self.download is None:
            raise ValueError('the gate `size` needs a limit: `image = "8 GiB"`, `grow = "5%"` or `download = "2 GiB"`')
        return self


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "size", SizeSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Failed for each limit that a platform's image is beyond, with the figures."""
    for rule, limits in context.asked("size", SizeSettings):
        for candidate in context.release.candidates:
            for part in candidate.image.platforms:
                before, first = _before(candidate, part)
                for each in verdicts(before, part, limits, first=first):
                    yield each.of(candidate, rule.name, part.platform)


def _before(candidate: Candidate, part: PlatformImage) -> tuple[PlatformImage | None, bool]:
    """The predecessor's image of the same platform, and whether there never was one."""
    if candidate.follows is None:
        return None, True
    earlier = candidate.follows.image
    before = earlier.on(part.platform) if earlier else None
    return before, earlier is not None and before is None


def verdicts(before: PlatformImage | None, after: PlatformImage, limits: SizeSettings, *, first: bool) -> list[Verdict]:
    """An answer for each limit that ``after`` is beyond or that nobody can tell of; else one that passes.

    ``before`` is `None` where there is nothing to compare with: because this is the ``first`` release of its variant
    and platform, which is no fault, or because the registry no longer has that image.
    """
    if not after.layers:
        why = "its manifest lists no layers, so it has no size"
        return [Verdict(State.ABSENT, why, code="no-size", needs="an image with layers")]
    found = [_image(after.size, limits.image)]
    if not first and (limits.grow, limits.download) != (None, None):
        if before is None or not before.layers:
            why = "there is no predecessor's image of this platform to compare with"
            found.append(Verdict(State.ABSENT, why, code="predecessor-gone", needs="the predecessor in the registry"))
        else:
            found += [_grown(before.size, after.size, limits.grow), _downloaded(before, after, limits.download)]
    return [verdict for verdict in found if verdict] or [_within(before, after)]


def _within(before: PlatformImage | None, after: PlatformImage) -> Verdict:
    step = download(before, after) if before else None
    if step is None:
        return passed(f"{shown(after.size)}", size=after.size)
    return passed(
        f"{shown(after.size)}, before {shown(step.size_before)}, to download {shown(step.new_bytes)}",
        size=after.size,
        before=step.size_before,
        download=step.new_bytes,
    )


def _image(size: int, most: int | None) -> Verdict | None:
    if most is None or size <= most:
        return None
    return Verdict(
        State.FAILED,
        f"it has {_more(size, most)}",
        code="too-large",
        needs=f"an image of at most {shown(most)}",
        evidence={"size": size, "limit": most},
    )


def _grown(before: int, after: int, limit: int | str | None) -> Verdict | None:
    if limit is None:
        return None
    most = largest(before, limit)
    if after <= most:
        return None
    how = f"more than {limit} of {shown(before)}" if isinstance(limit, str) else ""
    return Verdict(
        State.FAILED,
        f"it grows by {f'{shown(after - before)}, {how}' if how else _more(after - before, most - before)}",
        code="grows",
        needs=f"an image of at most {shown(most)}",
        evidence={"before": before, "size": after, "limit": limit},
    )


def largest(before: int, limit: int | str) -> int:
    """The most bytes after growth of at most ``limit``, bytes or `5%` of ``before``."""
    if isinstance(limit, int):
        return before + limit
    return before + int(Fraction(limit.rstrip("% ")) * before / 100)


def _downloaded(before: PlatformImage, after: PlatformImage, most: int | None) -> Verdict | None:
    step = download(before, after)
    if most is None or step is None or step.new_bytes <= most:
        return None
    return Verdict(
        State.FAILED,
        f"hosts download {_more(step.new_bytes, most)}",
        code="download-too-large",
        needs=f"a build that shares more layers with its predecessor: at most {shown(most)} new",
        evidence={"download": step.new_bytes, "limit": most},
    )


def _more(size: int, most: int) -> str:
    if shown(size) == shown(most):
        return f"{size:,} B, more than {most:,} B"
    return f"{shown(size)}, more than {shown(most)}"


def shown(size: int) -> str:
    """``size`` bytes for people: `950 B`, `1.5 MB`, `2.1 GB`."""
    for unit in ("GB", "MB", "kB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}"
    return f"{size} B"
