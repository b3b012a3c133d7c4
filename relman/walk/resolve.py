"""resolve: a stream becomes a release, every candidate pinned and its predecessor chosen. Never a guess.

The rules are the contract's ("Releases"): records first, then dated tags, and every choice made for want of a record
is written down in ``assumed``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from relman.config import Config
from relman.errors import ConfigError, NotFound
from relman.model.oci import Digest, Image, Reference, parse_repository
from relman.model.plan import Plan, PlannedVariant
from relman.model.record import Record, RecordedVariant, RecordState
from relman.model.release import Candidate, Predecessor, Release, TagMove, release_id
from relman.model.streams import Place, Stream, Variant, Version
from relman.registry.protocol import RegistryReader
from relman.walk.state import VariantState
from relman.walk.tags import TagBook, in_parallel

LookAt = Callable[[RegistryReader, Reference], Image]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Everything that choosing the images of a release needs. It reads, and writes nothing."""

    config: Config
    reader: RegistryReader
    tags: TagBook
    look_at: LookAt
    records: tuple[Record, ...]
    now: datetime

    def release(self, stream: Stream, *, since: str | None = None) -> Release:
        """The release that ``stream`` would make now; ``since`` names another predecessor than the rule's.

        Raises `NotFound` for a candidate that is not there.
        """
        source = self.config.stream(stream.source) if stream.source else stream
        candidates = in_parallel(lambda variant: self._candidate(variant, stream, source), self._variants())
        last = self.last_finished(stream.name)
        candidates = in_parallel(lambda c: replace(c, follows=self._predecessor(c, stream, last, since)), candidates)
        id = release_id(
            self.config.project,
            stream.name,
            ((c.variant.name, platform, c.image.digest) for c in candidates for platform in c.platforms),
            last.id if last else None,
        )
        if last and holds_exactly(last, candidates):
            version = last.version  # nothing would move, so nothing is made
        elif stream.source:
            candidates = self._with_moves(candidates, stream, id)
            version = next(move.reference.tag or "" for move in candidates[0].moves if move.dated)
        else:
            version = self._own_version(candidates[0], stream)
        first = candidates[0].follows
        return Release(
            id=id,
            project=self.config.project,
            stream=stream.name,
            source=stream.source,
            version=version,
            previous=first.version if first else None,
            previous_id=last.id if last else None,
            candidates=candidates,
            assumed=_assumptions(candidates, last, stream),
        )

    def published(self, stream: Stream, version: str, *, since: str | None = None) -> Release:
        """A release that ``stream`` had: by its record, else by its dated tags. Raises `NotFound`."""
        record = next((r for r in self.records if r.stream == stream.name and version in (r.version, r.id)), None)
        earlier = self._before(record) if record else None

        def find(variant: Variant) -> Candidate | None:
            place = self.config.place(variant, stream)
            recorded = record.variant(variant.name) if record else None
            if record and recorded is None:
                return None  # the variant did not exist yet
            digest = recorded.digest if recorded else None
            tag = self._tag_of(version, stream, place)
            if digest is None and tag is None:
                raise NotFound(
                    f"stream `{stream.name}` has no release `{version}`: neither a record nor a dated tag of "
                    f"`{place.repository}`",
                    hint="`relman records` lists those it knows",
                )
            reference = place.repository.digest(digest) if digest else place.repository.tag(tag.tag if tag else "")
            image = self.look_at(self.reader, reference)
            candidate = self._candidate_of(variant, stream, image, tag)
            return replace(candidate, follows=self._predecessor(candidate, stream, earlier, since, before=tag))

        candidates = tuple(found for found in in_parallel(find, self._variants()) if found)
        if not candidates:
            raise NotFound(f"none of the variants of `{version}` is configured any more")
        first = candidates[0].follows
        digests = ((c.variant.name, platform, c.image.digest) for c in candidates for platform in c.platforms)
        previous_id = earlier.id if earlier else None
        return Release(
            id=record.id if record else release_id(self.config.project, stream.name, digests, previous_id),
            project=self.config.project,
            stream=stream.name,
            source=stream.source,
            version=record.version if record else version,
            previous=first.version if first else None,
            previous_id=previous_id,
            candidates=candidates,
            assumed=_assumptions(candidates, earlier, stream),
        )

    def pinned(self, plan: Plan) -> Release:
        """The release of a plan again, from the digests that it pins: nothing is chosen anew."""
        stream = self.config.stream(plan.stream)
        by_name = {variant.name: variant for variant in self._variants()}

        def find(planned: PlannedVariant) -> Candidate:
            image = self.look_at(self.reader, planned.reference)
            candidate = self._candidate_of(by_name[planned.name], stream, image, None)
            if planned.previous_digest is None:
                return candidate
            try:
                earlier = self.look_at(self.reader, planned.reference.repository.digest(planned.previous_digest))
            except NotFound:
                earlier = None
            recorded = self._recorded_with(stream, planned)
            follows = Predecessor(plan.previous, planned.previous_digest, earlier, "as planned")
            if recorded:
                follows = replace(follows, revision=recorded.revision, contents=recorded.contents)
            return replace(candidate, follows=follows)

        return Release(
            id=plan.id,
            project=plan.project,
            stream=plan.stream,
            source=stream.source,
            version=plan.version,
            previous=plan.previous,
            previous_id=plan.previous_id,
            candidates=in_parallel(find, plan.variants),
            assumed=plan.assumed,
        )

    def _recorded_with(self, stream: Stream, planned: PlannedVariant) -> RecordedVariant | None:
        variants = (r.variant(planned.name) for r in self.records if r.stream == stream.name)
        return next((v for v in variants if v and v.digest == planned.previous_digest), None)

    def last_finished(self, stream: str) -> Record | None:
        """The stream's last finished record, or `None`."""
        return next((r for r in self.records if r.stream == stream and r.state is RecordState.FINISHED), None)

    def held(self, stream: Stream, release: Release | None, released: Record | None) -> tuple[VariantState, ...]:
        """What the stream's primary tag holds for each variant, beside what ``release`` would give it."""

        def one(variant: Variant) -> VariantState:
            place = self.config.place(variant, stream)
            tag = stream.primary.make(variant.suffix, today=self.now.date(), build=None)
            try:
                image = self.look_at(self.reader, place.repository.tag(tag))
            except NotFound:
                image = None
            candidate = next((c for c in release.candidates if c.variant == variant), None) if release else None
            dated = self.tags.build(stream, place, image) if image else None
            recorded = released.variant(variant.name) if released else None
            # A stream that builds write directly holds its candidate already: what waits, if ever, is its release.
            known = recorded.digest if stream.source is None and recorded else image and image.digest
            waits = candidate if candidate and candidate.image.digest != known else None
            return VariantState(
                name=variant.name,
                holds=image.digest if image else None,
                version=dated.tag if dated else image.platforms[0].version if image else None,
                created=image.platforms[0].created if image else None,
                waits=waits.image.digest if waits else None,
                waiting_version=waits.build.tag if waits and waits.build else None,
            )

        return in_parallel(one, self._variants())

    # ------------------------------------------------------------------------------------------ candidates

    def _variants(self) -> tuple[Variant, ...]:
        if not self.config.variants:
            raise ConfigError(f"{self.config.where} has no [[variants]]: which images make up a release?")
        return self.config.variants

    def _candidate(self, variant: Variant, stream: Stream, source: Stream) -> Candidate:
        home = self.config.place(variant, source)
        tag = source.primary.make(variant.suffix, today=self.now.date(), build=None)
        try:
            image = self.look_at(self.reader, home.repository.tag(tag))
        except NotFound as error:
            raise NotFound(
                f"variant `{variant.name}` has no candidate: {error.message}",
                hint=f"stream `{source.name}` is read from the tag `{tag}` of every variant's repository",
            ) from error
        build = self.tags.build(source, home, image)
        return self._candidate_of(variant, stream, image, build)

    def _candidate_of(self, variant: Variant, stream: Stream, image: Image, build: Version | None) -> Candidate:
        """The platforms that are compared are those that the configuration demands and the image has, else the image's.

        One that is demanded and missing is for the gate `complete` to say.
        """
        wanted = self.config.platforms_of(variant)
        there = tuple(platform for platform in wanted if image.on(platform))
        platforms = there or tuple(part.platform for part in image.platforms)
        return Candidate(self.config.place(variant, stream), image, platforms, build, required=wanted)

    def _own_version(self, candidate: Candidate, stream: Stream) -> str:
        if candidate.build is None:
            patterns = ", ".join(f"`{pattern.text}`" for pattern in stream.versions)
            raise NotFound(
                f"no dated tag of `{candidate.place.repository}` holds {candidate.image.digest.short}, which "
                f"`{candidate.image.reference.tag}` points at: its version is unknown",
                hint=f"dated tags are read by {patterns} ([streams.{stream.name}] versions)",
            )
        return candidate.build.tag

    # ---------------------------------------------------------------------------------------- predecessors

    def _predecessor(
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
            if tag := self._tag_of(last.version, stream, place):
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
        why = f"there is no earlier record of `{stream.name}`: the newest dated tag with another digest stands for it"
        return self._tagged(place, found, why)

    def _given(self, place: Place, stream: Stream, since: str) -> Predecessor:
        for record in self.records:
            if record.stream == stream.name and since in (record.version, record.id):
                variant = record.variant(place.variant.name)
                if variant and variant.digest:
                    return replace(self._recorded(place, record, variant), why="given by `--from`")
        tag = self._tag_of(since, stream, place)
        if tag is None:
            raise NotFound(
                f"`--from {since}`: `{place.repository}` has no such dated tag, and `{stream.name}` no such record",
                hint="`relman records` lists releases",
            )
        return self._tagged(place, tag, "given by `--from`")

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
        image = self.look_at(self.reader, place.repository.tag(version.tag))
        return Predecessor(version.tag, image.digest, image, why, image.platforms[0].revision)

    def _tag_of(self, version: str, stream: Stream, place: Place) -> Version | None:
        """The variant's dated tag for a release that is named by the first variant's tag, or `None`."""
        named = stream.read(version, place.variant) or stream.read(version, self.config.variants[0])
        dated = self.tags.dated(stream, place)
        exact = next((found for found in dated if found.tag == version), None)
        if exact or named is None:
            return exact
        return next((found for found in dated if found.order == named.order), None)

    def _before(self, record: Record) -> Record | None:
        return next((r for r in self.records if r.stream == record.stream and r.id == record.previous), None)

    # ----------------------------------------------------------------------------------------------- moves

    def _with_moves(self, candidates: tuple[Candidate, ...], stream: Stream, id: str) -> tuple[Candidate, ...]:
        """The candidates with every tag that a promotion would write, and what each held when looked at."""
        begun = next((record for record in self.records if record.id == id), None)
        if begun and (version := stream.read(begun.version, candidates[0].variant)):
            day, point = version.date, version.point or None  # the same release again keeps its version
        else:
            day, point = self.now.date(), self._free_point(candidates, stream)

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
                    pattern.make(c.variant.suffix, today=self.now.date(), build=c.build, point=point) not in tags
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


def holds_exactly(record: Record, candidates: Sequence[Candidate]) -> bool:
    """Whether ``record`` released exactly these images: then there is nothing to do."""
    held: dict[str, Digest | None] = {variant.name: variant.digest for variant in record.variants}
    return held == {candidate.variant.name: candidate.image.digest for candidate in candidates}


def _assumptions(candidates: Sequence[Candidate], last: Record | None, stream: Stream) -> tuple[str, ...]:
    """Every choice that was made for want of better knowledge, in sentences."""
    reasons = dict.fromkeys(c.follows.why for c in candidates if c.follows)
    said = [why for why in reasons if not why.startswith(("the last finished", "given by"))]
    firsts = [c.variant.name for c in candidates if c.follows is None]
    if len(firsts) == len(candidates):
        said.append(f"this is the first release of `{stream.name}`: there is nothing to compare it with")
    elif firsts:
        names = ", ".join(f"`{name}`" for name in firsts)
        said.append(f"{names} had no release before: there is nothing to compare with")
    first = candidates[0]
    for other in candidates[1:]:
        if first.build and other.build and first.build.order != other.build.order:
            said.append(
                f"`{other.variant.name}` is the build `{other.build.tag}`, while `{first.variant.name}` is "
                f"`{first.build.tag}`"
            )
        mine, theirs = first.follows, other.follows
        if last is None and mine and theirs and _day_of(stream, first, mine) != _day_of(stream, other, theirs):
            said.append(f"`{other.variant.name}` follows `{theirs.version}`, not `{mine.version}`")
    return tuple(said)


def _day_of(stream: Stream, candidate: Candidate, follows: Predecessor) -> object:
    read = stream.read(follows.version or "", candidate.variant)
    return read.order if read else follows.version
