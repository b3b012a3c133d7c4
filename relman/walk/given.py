"""SBOMs on disk that stand for candidates (`--sbom VARIANT=FILE`): which image each one is meant for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from relman.errors import NotFound, UsageError
from relman.model.oci import Platform, PlatformImage, Reference, Repository, Transport
from relman.model.release import Candidate, Release

if TYPE_CHECKING:
    from relman.walk.inspect import Inspector

Given = Mapping[str, Mapping[Platform, str]]
"""SBOMs that stand for candidates: files by variant and platform."""


class GivenSbom(msgspec.Struct, frozen=True):
    """An SBOM for one variant's candidate. ``file`` is as it was typed; without ``platform``, its only one."""

    variant: str
    platform: Platform | None
    file: str

    def __str__(self) -> str:
        platform = f":{self.platform}" if self.platform else ""
        return f"--sbom {self.variant}{platform}={self.file}"


class StandIn(msgspec.Struct, frozen=True):
    """An SBOM, and the image of a candidate that it stands for."""

    given: GivenSbom
    image: PlatformImage


def stand_in(given: Sequence[GivenSbom], release: Release, inspector: Inspector) -> Given:
    """Let ``inspector`` read the SBOMs in place of the images. Raises as `stand_ins`, and `Malformed`."""
    found: dict[str, dict[Platform, str]] = {}
    for one in stand_ins(given, release):
        file = Reference(Repository(Transport.SBOM, "", str(Path(one.given.file).absolute())))
        inspector.stand_in(file, one.given.file, one.image)
        found.setdefault(one.given.variant, {})[one.image.platform] = one.given.file
    return found


def stand_ins(given: Sequence[GivenSbom], release: Release) -> tuple[StandIn, ...]:
    """Each SBOM with its image. Nothing is read.

    Raises `UsageError` for a variant or a platform that the release does not have, and for two lists of one image;
    `NotFound` where a file is not there.
    """
    found: dict[tuple[str, Platform], StandIn] = {}
    for one in given:
        candidate = _candidate(one, release.candidates)
        image = _image(one, candidate)
        place = (one.variant, image.platform)
        if place in found:
            raise UsageError(f"`{one}`: `{found[place].given.file}` is given for the same image")
        if not Path(one.file).is_file():
            raise NotFound(f"`{one}`: there is no file `{one.file}`")
        found[place] = StandIn(one, image)
    return tuple(found.values())


def _candidate(one: GivenSbom, candidates: Iterable[Candidate]) -> Candidate:
    by_name = {candidate.variant.name: candidate for candidate in candidates}
    if one.variant not in by_name:
        known = ", ".join(f"`{name}`" for name in by_name)
        raise UsageError(f"`{one}`: there is no variant `{one.variant}`", hint=f"the candidates are {known}")
    return by_name[one.variant]


def _image(one: GivenSbom, candidate: Candidate) -> PlatformImage:
    platforms = candidate.platforms
    if one.platform is None and len(platforms) > 1:
        raise UsageError(
            f"`{one}`: `{one.variant}` is there for {', '.join(map(str, platforms))}",
            hint=f"say which: `--sbom {one.variant}:{platforms[0]}=FILE`",
        )
    wanted = one.platform or (platforms[0] if platforms else None)
    image = candidate.image.on(wanted) if wanted in platforms and wanted else None
    if image is None:
        there = ", ".join(map(str, platforms)) or "no platform"
        raise UsageError(f"`{one}`: `{one.variant}` is compared on {there}")
    return image
