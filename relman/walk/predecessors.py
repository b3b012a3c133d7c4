"""resolve, the half that fails most in every system in use: which published build a candidate follows.

Records first, then dated tags; the caller's `--from` decides over both (docs/contract: Releases).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from relman.config import Config
from relman.errors import NotFound
from relman.model.oci import Image, Reference, parse_repository
from relman.model.record import Record, RecordedVariant, RecordState
from relman.model.release import Candidate, Predecessor
from relman.model.streams import Place, Stream, Version
from relman.registry.protocol import RegistryReader
from relman.walk.tags import TagBook

LookAt = Callable[[RegistryReader, Reference], Image]


class Predecessors(msgspec.Struct, frozen=True):
    """Chooses predecessors from records and tags. ``records`` are the newest first, ``reader`` is for the past."""

    config: Config
    reader: RegistryReader
    tags: TagBook
    look_at: LookAt
    records: tuple[Record, ...]

    def of(
        self,
        candidate: Candidate,
        stream: Stream,
        last: Record | None,
        since: str | None,
        *,
        before: Version | None = None,
    ) -> Predecessor | None:
        """What ``candidate`` follows, or `None` where it is the first. The caller's ``since`` decides over all else."""
        place = candidate.place
        if since is not None:
            return self._given(place, stream, since)
        recorded = last.variant(place.variant.name) if last else None
        if last and recorded:
            if recorded.digest:
                return self._recorded(place, last, recorded)
            if tag := self.tag_of(last.version, stream, place):
                return self._tagged(place, tag, f"record `{last.version}` has no digest: its dated tag stands for it")
        unfinished = {
            variant.digest
            for record in self.records
            if record.stream == stream.name and record.state in (RecordState.INTENDED, RecordState.PARTIAL)
            for variant in record.variants
            if variant.digest
        }
        found = self.tags.newest_other(stream, place, frozenset(unfinished | {candidate.image.digest}), before)
        if found is None:
            return None
        none = f"the last record of `{stream.name}` has no `{place.variant.name}`" if last else None
        none = none or f"there is no earlier record of `{stream.name}`"
        return self._tagged(place, found, f"{none}: the newest dated tag with another digest stands for it")

    def _given(self, place: Place, stream: Stream, since: str) -> Predecessor | None:
        """The release called ``since``, or `None` for a variant that it did not have yet."""
        known = [r for r in self.records if r.stream == stream.name and since in (r.version, r.id)]
        for record in known:
            variant = record.variant(place.variant.name)
            if variant and variant.digest:
                return replace(self._recorded(place, record, variant), why="given by `--from`")
        if tag := self.tag_of(since, stream, place):
            return self._tagged(place, tag, "given by `--from`")
        others = (self.config.place(variant, stream) for variant in self.config.variants)
        held = any(variant.digest for record in known for variant in record.variants)
        if held or any(self.tag_of(since, stream, other) for other in others):
            return None
        raise NotFound(
            f"`--from {since}`: no variant has such a dated tag, and `{stream.name}` no such record",
            hint="`relman records` lists releases",
        )

    def _recorded(self, place: Place, record: Record, variant: RecordedVariant) -> Predecessor:
        assert variant.digest
        repository = parse_repository(variant.reference) if variant.reference else place.repository
        try:
            image = self.look_at(self.reader, repository.digest(variant.digest))
        except NotFound:
            image = None
        return Predecessor(
            record.version, variant.digest, image, "the last finished record", variant.revision, variant.contents
        )

    def _tagged(self, place: Place, version: Version, why: str) -> Predecessor:
        reference = place.repository.tag(version.tag)
        digest = self.tags.holds(reference)
        image = self.look_at(self.reader, reference.at(digest) if digest else reference)
        return Predecessor(version.tag, image.digest, image, why, image.platforms[0].revision)

    def tag_of(self, version: str, stream: Stream, place: Place) -> Version | None:
        """The variant's dated tag for a release that is named by the first variant's tag, or `None`."""
        named = stream.read(version, place.variant) or stream.read(version, self.config.variants[0])
        dated = self.tags.dated(stream, place)
        exact = next((found for found in dated if found.tag == version), None)
        if exact or named is None:
            return exact
        return next((found for found in dated if found.order == named.order), None)

    def release_before(self, record: Record) -> Record | None:
        """The record that ``record`` says it followed."""
        return next((r for r in self.records if r.stream == record.stream and r.id == record.previous), None)
