"""resolve, the last step: every tag that a promotion would write, and what each holds now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec
from msgspec.structs import replace

from relman.errors import ConfigError
from relman.model.record import Record
from relman.model.release import Candidate, TagMove
from relman.model.streams import Stream
from relman.walk.parallel import in_parallel
from relman.walk.tags import TagBook


class Moves(msgspec.Struct, frozen=True):
    """Makes the tags of a release on the day ``today``."""

    tags: TagBook
    records: tuple[Record, ...]
    today: date

    def with_moves(self, candidates: tuple[Candidate, ...], stream: Stream, id: str) -> tuple[Candidate, ...]:
        """The candidates with every tag that a promotion would write, and what each held when looked at."""
        begun = next((record for record in self.records if record.id == id), None)
        if begun and (version := stream.read(begun.version, candidates[0].variant)):
            day, point = version.date, version.point or None  # the same release again keeps its version
        else:
            day, point = self.today, self._free_point(candidates, stream)

        def moves(candidate: Candidate) -> Candidate:
            suffix, build = candidate.variant.suffix, candidate.build
            try:
                moving = [p.make(suffix, today=day, build=build) for p in stream.tags]
                dated = [p.make(suffix, today=day, build=build, point=point) for p in stream.new_versions]
            except ValueError as error:
                raise ConfigError(f"cannot make a tag for `{candidate.variant.name}`: {error}") from error
            repository = candidate.place.repository
            made = [(repository.tag(tag), False) for tag in moving] + [(repository.tag(tag), True) for tag in dated]
            return replace(
                candidate,
                moves=tuple(TagMove(reference, self.tags.holds(reference), is_dated) for reference, is_dated in made),
            )

        return in_parallel(moves, candidates)

    def _free_point(self, candidates: Sequence[Candidate], stream: Stream) -> int | None:
        """`None` while the tags without a point are unused in every repository, then the first free number from 1."""
        used = [frozenset(self.tags.list(candidate.place.repository)) for candidate in candidates]
        points: tuple[int | None, ...] = (None, *range(1, 1000))
        for point in points:
            try:
                free = all(
                    pattern.make(c.variant.suffix, today=self.today, build=c.build, point=point) not in tags
                    for pattern in stream.new_versions
                    for c, tags in zip(candidates, used, strict=True)
                )
            except ValueError as error:
                raise ConfigError(f"cannot make the version of `{stream.name}`: {error}") from error
            if free:
                return point
            if point is None and not any("point" in p.placeholders for p in stream.new_versions):
                names = ", ".join(f"`{pattern.text}`" for pattern in stream.new_versions)
                raise ConfigError(
                    f"{names} of today is taken, and dated tags are never moved",
                    hint="let `new_version` end in `[.{point}]`, which counts",
                )
        raise ConfigError(f"a thousand releases of `{stream.name}` in one day")
